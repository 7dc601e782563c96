"""Reading a hive: keys and values where they stand, nothing loaded that is not asked for."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from cloudboot_base import in_file, open_storage
from cloudboot_base.lightdata import dataclass
from cloudboot_ntfs.errors import HiveError, HiveTruncatedError, KeyNotFoundError
from cloudboot_ntfs.upcase import upcase

from .cells import Cells
from .constants import MAX_DEPTH, NO_CELL, RESIDENT, SEGMENT_SIZE, KeyFlag
from .lists import candidates, read_list
from .logs import replay
from .model import Key, Value, split
from .records import BigData, KeyNode, KeySecurity, KeyValue

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from typing_extensions import Buffer

    from cloudboot_base import Storage

    Source = str | os.PathLike[str] | BinaryIO | Buffer | Storage

#: A hive is read into memory whole. Windows' own limit for a hive is 2 GiB.
MAX_HIVE_SIZE = 1 << 31
# Plain numbers for what is asked of every key: `&` with a member of an IntFlag makes another member each time.
_COMPRESSED_NAME, _PREDEFINED_HANDLE = int(KeyFlag.COMPRESSED_NAME), int(KeyFlag.PREDEFINED_HANDLE)
_OF_A_ROOT = int(KeyFlag.COMPRESSED_NAME | KeyFlag.HIVE_ENTRY | KeyFlag.NO_DELETE)


@dataclass(frozen=True, slots=True)
class DeletedCell:
    """What a free cell still shows of a key or a value. It may be partly overwritten."""

    offset: int  #: from the start of the hive bins
    kind: str  #: ``"key"`` or ``"value"``
    name: str


def read_whole(source: Source) -> bytes:
    """The bytes of a file that is read whole.

    Raises:
        HiveError: it is larger than a hive can be.
    """
    with open_storage(source) as opened:
        if opened.storage.size > MAX_HIVE_SIZE:
            raise HiveError(
                "larger than a hive can be", expected=f"at most {MAX_HIVE_SIZE}", actual=opened.storage.size
            )
        return opened.storage.read_at(0, opened.storage.size)


class Hive:
    """A registry hive.

    Args:
        source: a path, bytes, a file or a storage; it is read whole.
        logs: transaction logs (``.LOG1``, ``.LOG2``); a dirty hive is brought up to date from them in memory. Without
            them it is read as it is, and :attr:`is_dirty` says so.

    Raises:
        HiveError: not a hive.
        HiveDirtyError: the hive is dirty, and the logs do not continue it.
    """

    def __init__(self, source: Source, *, logs: Sequence[Source] = ()) -> None:
        with in_file(source):
            self._read(source, logs)

    def _read(self, source: Source, logs: Sequence[Source]) -> None:
        data = read_whole(source)
        if logs:
            data = replay(data, [read_whole(log) for log in logs])
        self.cells = Cells(data)
        for _ in self.cells.bins():
            pass  # refuses bins that do not follow one another

    @property
    def data(self) -> bytes:
        """The bytes of the hive, logs applied."""
        return self.cells.data

    @property
    def version(self) -> tuple[int, int]:
        """Major and minor version."""
        return self.cells.base.major_version, self.cells.base.minor_version

    @property
    def is_dirty(self) -> bool:
        """Whether a write to the hive was begun and not ended."""
        return self.cells.base.primary_sequence != self.cells.base.secondary_sequence

    @property
    def file_name(self) -> str:
        """The name in the base block: the last part of the path that Windows had the hive under."""
        return self.cells.base.file_name.decode("utf-16-le", "replace").split("\0", 1)[0]

    @property
    def root(self) -> HiveKey:
        """The root key."""
        return HiveKey(self.cells, self.cells.base.root_cell, depth=0)

    def key(self, path: str) -> HiveKey:
        """The key at ``path``: names with backslashes between them, in any case.

        Raises:
            KeyNotFoundError: there is none.
        """
        node = self.root
        for name in split(path):
            node = node.key(name)
        return node

    def walk(self) -> Iterator[tuple[str, HiveKey]]:
        """Every key as ``(path, key)``, parents first; the root's path is ``""``.

        Raises:
            HiveError: a key that stands in two places.
        """
        seen: set[int] = set()
        pending = [("", self.root)]
        while pending:
            path, key = pending.pop()
            if key.cell in seen:
                raise HiveError(
                    "a key stands in two places", structure="KeyNode", where={"cell": key.cell, "key": path}
                )
            seen.add(key.cell)
            yield path, key
            pending.extend((f"{path}\\{below.name}" if path else below.name, below) for below in reversed(key.keys()))

    def load(self) -> Key:
        """The whole hive as keys in memory, which can be changed and built again.

        Raises:
            HiveError: the hive is damaged.
        """
        loaded: dict[int, Key] = {}
        root: Key | None = None
        seen: set[int] = set()
        pending = [self.root]
        while pending:
            source = pending.pop()
            if source.cell in seen:
                raise HiveError("a key stands in two places", structure="KeyNode", where={"cell": source.cell})
            seen.add(source.cell)
            key = source.copy()
            if root is None:
                root = key
            else:
                loaded[source.parent_cell].keys.append(key)
            below = source.keys()
            if below:
                loaded[source.cell] = key
                pending.extend(reversed(below))
        assert root is not None  # noqa: S101 -- the root is the first key of the loop
        return root

    def deleted(self) -> Iterator[DeletedCell]:
        """Keys and values that stand in free cells. Nothing follows their references: what they point at is reused."""
        data = self.cells.data
        for offset, size in self.cells.each():
            if size < 0:
                continue
            start = offset + 4096
            for position in range(start, start + size - 24, 8):
                mark = data[position + 4 : position + 6]
                if mark in (b"nk", b"vk"):
                    found = _deleted_at(data, position + 4, start + size)
                    if found is not None:
                        yield DeletedCell(position - 4096, *found)


def _deleted_at(data: bytes, position: int, end: int) -> tuple[str, str] | None:
    """The kind and name of the key or value at ``position``, if its name ends before ``end`` and can be one."""
    if data[position : position + 2] == b"nk":
        if position + KeyNode.SIZE > end:
            return None
        node = KeyNode.unpack_from(data, position)
        kind, size, length, is_latin = "key", KeyNode.SIZE, node.name_length, bool(node.flags & _COMPRESSED_NAME)
    else:
        if position + KeyValue.SIZE > end:
            return None
        value = KeyValue.unpack_from(data, position)
        kind, size, length, is_latin = "value", KeyValue.SIZE, value.name_length, bool(value.flags & 1)
    if position + size + length > end or (kind == "key" and not length):
        return None
    name = _name(data[position + size : position + size + length], is_latin=is_latin)
    return (kind, name) if name.isprintable() else None


def _name(raw: bytes, *, is_latin: bool) -> str:
    return (
        raw.decode("latin-1")
        if is_latin
        else raw.decode("utf-16-le", "surrogatepass" if len(raw) % 2 == 0 else "replace")
    )


class HiveKey:
    """A key where it stands in its hive."""

    __slots__ = ("_depth", "_start", "cell", "cells", "name", "node")

    def __init__(self, cells: Cells, cell: int, *, depth: int) -> None:
        start, length = cells.place(cell, "KeyNode")
        if length < KeyNode.SIZE:
            raise HiveTruncatedError(
                "the cell is too small for a key", structure="KeyNode", offset=start, actual=length
            )
        node = KeyNode.unpack_from(cells.data, start)
        if node.signature != b"nk":
            raise HiveError(
                "not a key", structure="KeyNode", field="signature", offset=start, expected=b"nk", actual=node.signature
            )
        if KeyNode.SIZE + node.name_length > length:
            raise HiveTruncatedError(
                "the name passes the end of the cell",
                structure="KeyNode",
                field="name_length",
                offset=start + 72,
                expected=f"at most {length - KeyNode.SIZE}",
                actual=node.name_length,
            )
        if depth > MAX_DEPTH:
            raise HiveError(
                "keys are deeper below one another than Windows makes them", structure="KeyNode", offset=start
            )
        self.cells, self.cell, self.node = cells, cell, node
        self._depth, self._start = depth, start
        raw = cells.data[start + KeyNode.SIZE : start + KeyNode.SIZE + node.name_length]
        self.name = _name(raw, is_latin=bool(node.flags & _COMPRESSED_NAME))

    def __repr__(self) -> str:
        return f"HiveKey({self.name!r})"

    @property
    def modified(self) -> int:
        """When the key was last written, a FILETIME: 100 ns since 1601."""
        return self.node.last_written

    @property
    def parent_cell(self) -> int:
        """The cell of the parent."""
        return self.node.parent

    @property
    def class_name(self) -> bytes:
        """The class name, UTF-16 in most hives."""
        if self.node.class_name == NO_CELL or not self.node.class_length:
            return b""
        return self.cells.content(self.node.class_name, self.node.class_length, "class name")

    @property
    def security(self) -> bytes | None:
        """The self-relative security descriptor, or ``None`` where the key has none."""
        if self.node.security == NO_CELL:
            return None
        head = KeySecurity.unpack_from(self.cells.content(self.node.security, KeySecurity.SIZE, "KeySecurity"))
        if head.signature != b"sk":
            raise HiveError(
                "not a security cell",
                structure="KeySecurity",
                field="signature",
                expected=b"sk",
                actual=head.signature,
                where={"cell": self.node.security},
            )
        whole = self.cells.content(self.node.security, KeySecurity.SIZE + head.descriptor_size, "KeySecurity")
        return whole[KeySecurity.SIZE :]

    def keys(self) -> list[HiveKey]:
        """The keys below, in the order of the hive.

        Raises:
            HiveError: they do not hold together.
        """
        count = self.node.subkey_count
        if not count:
            return []
        offsets = read_list(self.cells, self.node.subkey_list, count)
        found = [HiveKey(self.cells, offset, depth=self._depth + 1) for offset in offsets]
        for key in found:
            if key.node.parent != self.cell:
                raise HiveError(
                    "a key has another parent than the one that lists it",
                    structure="KeyNode",
                    field="parent",
                    expected=self.cell,
                    actual=key.node.parent,
                    where={"cell": key.cell},
                )
        return found

    def key(self, name: str) -> HiveKey:
        """The key of that name, in any case.

        Raises:
            KeyNotFoundError: there is none.
        """
        wanted = upcase(name)
        for cell in candidates(self.cells, self.node.subkey_list, name) if self.node.subkey_count else ():
            found = HiveKey(self.cells, cell, depth=self._depth + 1)
            if upcase(found.name) == wanted and found.node.parent == self.cell:
                return found
        # A hash may be wrong: Windows finds no such key, and a reader does.
        for key in self.keys():
            if upcase(key.name) == wanted:
                return key
        raise KeyNotFoundError("there is no such key", structure="KeyNode", field=name)

    def values(self) -> list[Value]:
        """The values, in the order of the hive.

        Raises:
            HiveError: they do not hold together.
        """
        count = self.node.value_count
        if not count or self.node.flags & _PREDEFINED_HANDLE:
            return []
        listed = self.cells.content(self.node.value_list, 4 * count, "value list")
        return [self._value(int.from_bytes(listed[at : at + 4], "little")) for at in range(0, 4 * count, 4)]

    def names_in_half(self) -> list[str]:
        """The names, of the key and of its values, in UTF-16 with an odd number of bytes: half a letter is missing.

        Raises:
            HiveError: the values do not hold together.
        """
        values = self.values()
        found = [] if self.node.flags & _COMPRESSED_NAME or self.node.name_length % 2 == 0 else [self.name]
        if values:
            listed = self.cells.content(self.node.value_list, 4 * len(values), "value list")
            for (cell,), value in zip(struct.iter_unpack("<I", listed), values, strict=True):
                head = KeyValue.unpack_from(self.cells.content(cell, KeyValue.SIZE, "KeyValue"))
                if not head.flags & 1 and head.name_length % 2:
                    found.append(value.name)
        return found

    def value(self, name: str = "") -> Value:
        """The value of that name, in any case; ``""`` is the default value.

        Raises:
            KeyNotFoundError: there is none.
        """
        wanted = upcase(name)
        for value in self.values():
            if upcase(value.name) == wanted:
                return value
        raise KeyNotFoundError("there is no such value", structure="KeyValue", field=name or "(default)")

    def copy(self) -> Key:
        """The key in memory, without the keys below it."""
        flags = self.node.flags & ~(_OF_A_ROOT if self._depth == 0 else _COMPRESSED_NAME)
        return Key(
            self.name,
            self.values(),
            modified=self.modified,
            class_name=self.class_name,
            security=self.security,
            flags=flags,
            access=self.node.access,
            control=self.node.largest_subkey_name >> 16,
            handle=self.node.value_count if flags & _PREDEFINED_HANDLE else 0,
        )

    def _value(self, cell: int) -> Value:
        start, length = self.cells.place(cell, "KeyValue")
        if length < KeyValue.SIZE:
            raise HiveTruncatedError(
                "the cell is too small for a value", structure="KeyValue", offset=start, actual=length
            )
        head = KeyValue.unpack_from(self.cells.data, start)
        if head.signature != b"vk" or KeyValue.SIZE + head.name_length > length:
            raise HiveError("not a value", structure="KeyValue", offset=start, expected=b"vk", actual=head.signature)
        raw = self.cells.data[start + KeyValue.SIZE : start + KeyValue.SIZE + head.name_length]
        return Value(_name(raw, is_latin=bool(head.flags & 1)), head.data_type, self._data(head))

    def _data(self, head: KeyValue) -> bytes:
        size = head.data_size & ~RESIDENT
        if head.data_size & RESIDENT:
            if size > 4:
                raise HiveError(
                    "data in the offset field has at most four bytes",
                    structure="KeyValue",
                    field="data_size",
                    expected="at most 4",
                    actual=size,
                )
            return head.data_offset.to_bytes(4, "little")[:size]
        if not size:
            return b""
        if size > SEGMENT_SIZE and self.cells.base.minor_version >= 4:
            data = self._big_data(head.data_offset, size)
            if data is not None:
                return data
        return self.cells.content(head.data_offset, size, "value data")

    def _big_data(self, cell: int, size: int) -> bytes | None:
        """The data of a big data cell, or ``None`` if the cell holds the data itself."""
        head = BigData.unpack_from(self.cells.content(cell, BigData.SIZE, "BigData"))
        segments = -(-size // SEGMENT_SIZE)
        if head.signature != b"db" or head.segment_count != segments:
            _, length = self.cells.place(cell, "BigData")
            if length >= size:
                return None
            raise HiveError(
                "big data with another number of segments than its size needs",
                structure="BigData",
                field="segment_count",
                expected=segments,
                actual=head.segment_count,
                where={"cell": cell},
            )
        listed = self.cells.content(head.segment_list, 4 * segments, "BigData")
        parts = []
        for index in range(segments):
            offset = int.from_bytes(listed[4 * index : 4 * index + 4], "little")
            parts.append(self.cells.content(offset, min(SEGMENT_SIZE, size - index * SEGMENT_SIZE), "BigData segment"))
        return b"".join(parts)
