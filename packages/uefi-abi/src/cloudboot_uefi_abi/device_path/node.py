"""Device path nodes: what every kind has in common, and nodes whose kind or layout is not known.

A node is bytes with a head of type, sub-type and length (UEFI 2.10 section 10.3.1). Each kind is a frozen dataclass; a
node of another kind, or of a known kind with other bytes than its layout has, is a :class:`GenericNode`, so that every
node packs into the bytes it was read from.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, ClassVar, Final, Self

from cloudboot_base import RangeError
from cloudboot_base.lightdata import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from .arguments import Arguments

__all__ = ["GenericNode", "LayoutError", "Node", "generic_text", "node", "node_from_bytes"]

HEAD: Final = struct.Struct("<BBH")
_GENERIC: Final = {1: "HardwarePath", 2: "AcpiPath", 3: "Msg", 4: "MediaPath", 5: "BbsPath"}


class LayoutError(ValueError):
    """The bytes of a node are not those of its kind; the node is then generic."""


class Node:
    """A device path node.

    ``type`` and ``subtype`` are those of the head. Kinds of a fixed layout state it as ``LAYOUT``, whose fields are the
    dataclass's in that order.
    """

    __slots__: tuple[str, ...] = ()

    TYPE: ClassVar[int] = 0
    SUBTYPE: ClassVar[int] = 0
    LAYOUT: ClassVar[struct.Struct]

    @property
    def type(self) -> int:
        """The head's Type."""
        return self.TYPE

    @property
    def subtype(self) -> int:
        """The head's SubType."""
        return self.SUBTYPE

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """The node whose bytes after the head are ``body``.

        Raises:
            LayoutError: ``body`` is not what this kind of node has.
        """
        if len(body) != cls.LAYOUT.size:
            raise LayoutError
        return cls(*cls.LAYOUT.unpack(body))

    def body(self) -> bytes:
        """The bytes after the head."""
        return self._packed(self.LAYOUT, *(getattr(self, name) for name in type(self).__slots__))

    def _packed(self, layout: struct.Struct, *values: object) -> bytes:
        try:
            return layout.pack(*values)
        except struct.error as error:
            raise RangeError(str(error), structure=type(self).__name__) from None

    def pack(self) -> bytes:
        """The node's bytes, its head included.

        Raises:
            RangeError: a value does not fit its field, or the node exceeds 65535 bytes.
        """
        body = self.body()
        size = HEAD.size + len(body)
        if size > 0xFFFF:
            raise RangeError("a node has at most 65535 bytes", structure=type(self).__name__, actual=size)
        return HEAD.pack(self.type, self.subtype, size) + body

    def text(self, *, display: bool = False, shortcuts: bool = False) -> str:
        """The specification's text, as EDK2 prints it; what it leaves out is lost (:meth:`exact` loses nothing).

        ``display`` gives the shorter form that is not meant to be parsed, ``shortcuts`` the forms that depend on more
        than type and sub-type (UEFI 2.10 section 10.6.3).
        """
        short = self._shortcut() if shortcuts else None
        return short or (self._displayed() if display else self._plain())

    def exact(self, *, shortcuts: bool = False) -> str:
        """A text of the specification that parses into exactly this node.

        It is :meth:`text` where that loses nothing, and otherwise the generic form with all bytes, ``Msg(11,...)``.
        """
        short = self._shortcut() if shortcuts else None
        return short or self._exact()

    def is_lossless(self) -> bool:
        """Whether parsing :meth:`text` gives this node."""
        return True

    def _plain(self) -> str:
        """The text without display form and shortcuts."""
        raise NotImplementedError  # every kind has its own

    def _displayed(self) -> str:
        """The text for display, where it is another."""
        return self._plain()

    def _shortcut(self) -> str | None:
        """The short form, which loses nothing, where there is one."""
        return None

    def _exact(self) -> str:
        return self._plain() if self.is_lossless() else generic_text(self)


@dataclass(frozen=True, slots=True)
class GenericNode(Node):
    """A node of an unknown kind, or one whose bytes are not those of its kind: ``data`` is all after the head."""

    node_type: int
    node_subtype: int
    data: bytes

    @property
    def type(self) -> int:
        """The head's Type."""
        return self.node_type

    @property
    def subtype(self) -> int:
        """The head's SubType."""
        return self.node_subtype

    def body(self) -> bytes:
        """The bytes after the head."""
        return self.data

    def _plain(self) -> str:
        """``Msg(99,010203)``; of an unknown type ``Path(6,1,0102)``."""
        return generic_text(self)


def generic_text(node: Node) -> str:
    """The form that holds any node: its sub-type, and its data in hexadecimal."""
    name = _GENERIC.get(node.type)
    head = f"{name}({node.subtype}" if name else f"Path({node.type},{node.subtype}"
    data = node.body().hex().upper()
    return f"{head},{data})" if data else f"{head})"


_KINDS: dict[tuple[int, int], type[Node]] = {}
KEYWORDS: dict[str, Callable[[Arguments], Node]] = {}
"""What reads the arguments of each option name; filled while the modules of the node kinds are imported."""


def node(kind: int, subtype: int) -> Callable[[type[Node_]], type[Node_]]:
    """A class decorator that says which type and sub-type a kind of node has."""

    def register(cls: type[Node_]) -> type[Node_]:
        cls.TYPE, cls.SUBTYPE = kind, subtype
        _KINDS[kind, subtype] = cls
        return cls

    return register


def keyword(name: str) -> Callable[[Reader_], Reader_]:
    """A decorator of the function that reads the arguments of ``name(...)``."""

    def register(function: Reader_) -> Reader_:
        KEYWORDS[name] = function
        return function

    return register


def node_from_bytes(kind: int, subtype: int, body: bytes) -> Node:
    """The node of that head and body; generic where the kind is unknown or the body is not of its layout."""
    cls = _KINDS.get((kind, subtype))
    if cls is None:
        return GenericNode(kind, subtype, body)
    try:
        return cls.unpack(body)
    except LayoutError:
        return GenericNode(kind, subtype, body)


if TYPE_CHECKING:
    from typing import TypeVar

    Node_ = TypeVar("Node_", bound=Node)
    Reader_ = TypeVar("Reader_", bound=Callable[[Arguments], Node])
