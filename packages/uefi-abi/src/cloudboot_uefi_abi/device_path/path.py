"""Device paths: instances of nodes, between bytes and text (UEFI 2.10 chapter 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import dataclass
from cloudboot_uefi_abi.errors import DevicePathError

from .node import HEAD, Node, node_from_bytes
from .text import parse_path_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

__all__ = ["END_ENTIRE", "END_INSTANCE", "DevicePath"]

END_TYPE: Final = 0x7F
OLD_END_TYPE: Final = 0xFF  # EFI 1.10 firmware and its examples; UEFI 2.10 section 10.3.1 names 0x7F only
END_ENTIRE: Final = HEAD.pack(END_TYPE, 0xFF, HEAD.size)
END_INSTANCE: Final = HEAD.pack(END_TYPE, 0x01, HEAD.size)
_ENDS: Final = {0xFF: True, 0x01: False}


@dataclass(frozen=True, slots=True)
class DevicePath:
    """A device path: one instance or more, each a tuple of nodes.

    ``end_types`` are the types of the nodes that end the instances, 0x7F unless the path was read from bytes that have
    0xFF there, as EFI 1.10 had it.
    """

    instances: tuple[tuple[Node, ...], ...]
    end_types: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.instances:
            raise DevicePathError("a device path has one instance at least")
        if not self.end_types:
            object.__setattr__(self, "end_types", (END_TYPE,) * len(self.instances))
        elif len(self.end_types) != len(self.instances):
            raise DevicePathError(
                "every instance has one end", expected=len(self.instances), actual=len(self.end_types)
            )

    @classmethod
    def of(cls, *nodes: Node) -> DevicePath:
        """The path of one instance that has these nodes."""
        return cls((nodes,))

    @classmethod
    def parse(cls, data: Buffer) -> DevicePath:
        """The path that ``data`` holds, and nothing behind it.

        Raises:
            DevicePathError: a node leaves the data or is shorter than its head, the end is missing, or bytes follow it.
        """
        view = memoryview(data).cast("B")
        path, size = cls.parse_prefix(view)
        if size != len(view):
            raise DevicePathError(
                "bytes follow the end of the device path",
                structure="EFI_DEVICE_PATH_PROTOCOL", offset=size, expected=0, actual=len(view) - size,
            )  # fmt: skip
        return path

    @classmethod
    def parse_prefix(cls, data: Buffer, offset: int = 0) -> tuple[DevicePath, int]:
        """The path at the start of ``data``, and its size in bytes; ``offset`` is added to the offsets in errors.

        Raises:
            DevicePathError: as :meth:`parse`, but for bytes that follow.
        """
        raw = bytes(memoryview(data).cast("B"))
        instances: list[tuple[Node, ...]] = []
        ends: list[int] = []
        nodes: list[Node] = []
        for kind, subtype, start, stop in walk(raw, offset):
            if kind & 0x7F == END_TYPE:
                instances.append(tuple(nodes))
                ends.append(kind)
                nodes = []
                if _ENDS[subtype]:
                    return cls(tuple(instances), tuple(ends)), stop
            else:
                nodes.append(node_from_bytes(kind, subtype, raw[start + 4 : stop]))
        raise DevicePathError(
            "the device path has no end", structure="EFI_DEVICE_PATH_PROTOCOL", offset=offset + len(raw),
            expected=END_ENTIRE,
        )  # fmt: skip

    @classmethod
    def parse_list(cls, data: Buffer, offset: int = 0) -> tuple[DevicePath, ...]:
        """The paths that stand one behind the other and fill ``data``, as in a load option; errors as :meth:`parse`."""
        view = memoryview(data).cast("B")
        paths: list[DevicePath] = []
        position = 0
        while position < len(view):
            path, size = cls.parse_prefix(view[position:], offset + position)
            paths.append(path)
            position += size
        return tuple(paths)

    @classmethod
    def from_text(cls, text: str) -> DevicePath:
        r"""The path that ``text`` writes, ``PciRoot(0x0)/Pci(0x1,0x0)/\EFI\BOOT\BOOTX64.EFI``.

        Raises:
            DevicePathError: a node's arguments are not its own.
        """
        return cls(parse_path_text(text))

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes of the only instance.

        Raises:
            DevicePathError: the path has several instances.
        """
        if len(self.instances) != 1:
            raise DevicePathError("the device path has several instances", expected=1, actual=len(self.instances))
        return self.instances[0]

    def pack(self) -> bytes:
        """The path's bytes, its ends included.

        Raises:
            RangeError: a node's value does not fit.
        """
        last = len(self.instances) - 1
        packed = []
        for index, (nodes, end) in enumerate(zip(self.instances, self.end_types, strict=True)):
            packed += [node.pack() for node in nodes]
            packed.append(HEAD.pack(end, 0xFF if index == last else 0x01, HEAD.size))
        return b"".join(packed)

    def text(self, *, display: bool = False, shortcuts: bool = False, exact: bool = False) -> str:
        """The path's text.

        Args:
            display: the shorter form, which is not meant to be parsed.
            shortcuts: forms that depend on more than type and sub-type, such as ``VenUtf8()``.
            exact: :meth:`from_text` gives this path again; where EDK2's text would lose something, another form of the
                specification is used. It excludes ``display``.
        """
        if exact and display:
            raise ValueError("a display text is not exact")
        texts = []
        for index, nodes in enumerate(self.instances):
            if exact:
                parts = [node.exact(shortcuts=shortcuts) for node in nodes]
            else:
                parts = [node.text(display=display, shortcuts=shortcuts) for node in nodes]
            texts.append("/".join(parts if not index else ["", *parts]))
        return ",".join(texts)

    def __str__(self) -> str:
        return self.text(exact=True)

    def append(self, *nodes: Node) -> DevicePath:
        """This path of one instance with ``nodes`` behind its own.

        Raises:
            DevicePathError: the path has several instances.
        """
        return DevicePath((self.nodes + nodes,), self.end_types)

    def starts_with(self, parent: DevicePath) -> bool:
        """Whether the path's nodes begin with all of ``parent``'s; both have one instance."""
        return self.nodes[: len(parent.nodes)] == parent.nodes

    def is_child_of(self, parent: DevicePath) -> bool:
        """Whether the path's nodes begin with all of ``parent``'s, and there are more."""
        return len(self.nodes) > len(parent.nodes) and self.starts_with(parent)


def walk(data: bytes, offset: int = 0) -> Iterator[tuple[int, int, int, int]]:
    """The type, sub-type, start and end of each node of ``data``, ends of instances included.

    Raises:
        DevicePathError: a node leaves the data, is shorter than its head, or is an end node of another shape.
    """
    position, size, unpack = 0, len(data), HEAD.unpack_from
    while position + 4 <= size:
        kind, subtype, length = unpack(data, position)
        stop = position + length
        if length < 4:
            raise _malformed("a node is shorter than its head", offset + position + 2, HEAD.size, length)
        if stop > size:
            raise _malformed("a node leaves the data", offset + position + 2, size - position, length)
        if kind & 0x7F == END_TYPE and (length != 4 or subtype not in _ENDS):
            raise _malformed("not an end node", offset + position, END_ENTIRE, data[position:stop])
        yield kind, subtype, position, stop
        position = stop
    if position != size:
        raise _malformed("a node's head leaves the data", offset + position, HEAD.size, size - position)


def _malformed(message: str, offset: int, expected: object, actual: object) -> DevicePathError:
    return DevicePathError(
        message, structure="EFI_DEVICE_PATH_PROTOCOL", offset=offset, expected=expected, actual=actual
    )
