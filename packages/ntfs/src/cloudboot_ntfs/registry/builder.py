"""Building a hive from keys in memory, in one pass: the same keys give the same bytes."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING

from cloudboot_base.lightdata import dataclass
from cloudboot_ntfs.errors import HiveLimitError
from cloudboot_ntfs.security import from_sddl
from cloudboot_ntfs.upcase import units, upcase

from .cells import checksum
from .constants import (
    BASE_BLOCK_SIZE,
    BIN_ALIGNMENT,
    MAX_DEPTH,
    MAX_KEY_NAME,
    MAX_VALUE_NAME,
    NO_CELL,
    RESIDENT,
    SEGMENT_SIZE,
    KeyFlag,
)
from .lists import LEAF_ELEMENTS, pack_leaf, pack_root
from .records import BaseBlock, BigData, HiveBin, KeyNode, KeySecurity, KeyValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .model import Key, Value

#: The system and administrators may do everything; keys below inherit it.
DEFAULT_SECURITY = "O:BAG:SYD:(A;CI;KA;;;SY)(A;CI;KA;;;BA)"
_ROOT_FLAGS = KeyFlag.HIVE_ENTRY | KeyFlag.NO_DELETE


@dataclass(frozen=True, slots=True)
class HiveOptions:
    """What a hive says of itself."""

    #: 3 to 6; big data needs 4, lists with hashes 5
    minor_version: int = 5
    #: the last part of the path the hive has under Windows, 31 characters at most
    file_name: str = ""
    #: FILETIME of the base block and of the first bin
    modified: int = 0
    sequence: int = 1


def build(root: Key, options: HiveOptions | None = None) -> bytes:
    """The bytes of a hive of ``root`` and all below it.

    Keys are sorted as Windows looks them up. Equal security descriptors share a cell.

    Raises:
        HiveLimitError: a name that is too long or twice in a key, keys too deep, a version there is not.
    """
    options = options or HiveOptions()
    if not 3 <= options.minor_version <= 6:
        raise HiveLimitError(
            "there is no such version", field="minor_version", expected="3 to 6", actual=options.minor_version
        )
    return _Builder(options).build(root)


class _Arena:
    """Cells one after another in bins; a cell never crosses the end of its bin."""

    def __init__(self, modified: int) -> None:
        self.data = bytearray()
        self._modified = modified
        self._next = self._end = 0

    def allocate(self, size: int) -> int:
        """An allocated cell for ``size`` bytes; its offset."""
        length = -(-(size + 4) // 8) * 8
        if self._next + length > self._end:
            self._open_bin(length)
        offset = self._next
        struct.pack_into("<i", self.data, offset, -length)
        self._next += length
        return offset

    def write(self, offset: int, content: bytes) -> None:
        """Write the content of a cell."""
        self.data[offset + 4 : offset + 4 + len(content)] = content

    def store(self, content: bytes) -> int:
        """A new cell with ``content``."""
        offset = self.allocate(len(content))
        self.write(offset, content)
        return offset

    def finish(self) -> bytearray:
        """The hive bins; what is left of the last one is a free cell."""
        self._close_bin()
        return self.data

    def _open_bin(self, length: int) -> None:
        self._close_bin()
        start = self._end
        size = -(-(length + HiveBin.SIZE) // BIN_ALIGNMENT) * BIN_ALIGNMENT
        self.data += HiveBin(b"hbin", start, size, 0, 0 if start else self._modified, 0).pack()
        self.data += bytes(size - HiveBin.SIZE)
        self._next, self._end = start + HiveBin.SIZE, start + size

    def _close_bin(self) -> None:
        if self._next < self._end:
            struct.pack_into("<i", self.data, self._next, self._end - self._next)
            self._next = self._end


@dataclass(slots=True)
class _Security:
    cell: int
    descriptor: bytes
    count: int = 0


class _Builder:
    def __init__(self, options: HiveOptions) -> None:
        self._options = options
        self._arena = _Arena(options.modified)
        self._security: dict[bytes, _Security] = {}

    def build(self, root: Key) -> bytes:
        cell = self._allocate_key(root)
        # (key, its cell, its parent's cell, its parent's descriptor, depth)
        pending = [(root, cell, NO_CELL, from_sddl(DEFAULT_SECURITY), 0)]
        while pending:
            key, own, parent, inherited, depth = pending.pop()
            if depth > MAX_DEPTH:
                raise HiveLimitError("keys too deep below one another", field=key.name, expected=MAX_DEPTH)
            descriptor = inherited if key.security is None else key.security
            below = _ordered(key)
            cells = [self._allocate_key(each) for each in below]
            self._write_key(key, own, parent, descriptor, list(zip(cells, (each.name for each in below), strict=True)))
            pending.extend(
                (each, at, own, descriptor, depth + 1)
                for each, at in zip(reversed(below), reversed(cells), strict=True)
            )
        self._write_security()
        return self._base_block(cell) + bytes(self._arena.finish())

    def _allocate_key(self, key: Key) -> int:
        if not key.name and key.flags & KeyFlag.HIVE_ENTRY == 0 and self._arena.data:
            raise HiveLimitError("only the root of a hive has no name", structure="KeyNode", field="name")
        if "\\" in key.name or len(units(key.name)) > MAX_KEY_NAME:
            raise HiveLimitError(
                "not the name of a key",
                structure="KeyNode",
                field="name",
                expected=f"at most {MAX_KEY_NAME} UTF-16 units, no backslash",
                actual=key.name,
            )
        return self._arena.allocate(KeyNode.SIZE + len(_packed_name(key.name)[0]))

    def _write_key(self, key: Key, own: int, parent: int, descriptor: bytes, below: Sequence[tuple[int, str]]) -> None:
        name, is_latin = _packed_name(key.name)
        if key.values and key.flags & KeyFlag.PREDEFINED_HANDLE:
            raise HiveLimitError("a key that is a predefined handle has no values", structure="KeyNode", field=key.name)
        security = self._share(descriptor)
        flags = key.flags & ~KeyFlag.COMPRESSED_NAME | (KeyFlag.COMPRESSED_NAME if is_latin else 0)
        if parent == NO_CELL:
            flags |= _ROOT_FLAGS
        node = KeyNode(
            signature=b"nk",
            flags=int(flags),
            last_written=key.modified,
            access=key.access,
            # The parent of the root has no meaning; a cell that exists keeps every reader at ease.
            parent=own if parent == NO_CELL else parent,
            subkey_count=len(below),
            subkey_list=self._subkey_list(below),
            volatile_subkey_list=NO_CELL,
            value_count=key.handle if key.flags & KeyFlag.PREDEFINED_HANDLE else len(key.values),
            value_list=self._values(key),
            security=security.cell,
            class_name=self._arena.store(key.class_name) if key.class_name else NO_CELL,
            largest_subkey_name=max((2 * len(units(name)) for _, name in below), default=0) | key.control << 16,
            largest_subkey_class=max((len(each.class_name) for each in key.keys), default=0),
            largest_value_name=max((2 * len(units(value.name)) for value in key.values), default=0),
            largest_value_data=max((len(value.data) for value in key.values), default=0),
            name_length=len(name),
            class_length=len(key.class_name),
        )
        self._arena.write(own, node.pack() + name)

    def _subkey_list(self, below: Sequence[tuple[int, str]]) -> int:
        if not below:
            return NO_CELL
        hashed = self._options.minor_version >= 5
        leaves = [
            self._arena.store(pack_leaf(below[start : start + LEAF_ELEMENTS], hashed=hashed))
            for start in range(0, len(below), LEAF_ELEMENTS)
        ]
        return leaves[0] if len(leaves) == 1 else self._arena.store(pack_root(leaves))

    def _values(self, key: Key) -> int:
        if not key.values:
            return NO_CELL
        names: set[str] = set()
        cells = []
        for value in key.values:
            folded = upcase(value.name)
            if folded in names or len(units(value.name)) > MAX_VALUE_NAME:
                raise HiveLimitError(
                    "the name of a value is too long or there twice", field=value.name, where={"key": key.name}
                )
            names.add(folded)
            cells.append(self._value(value))
        return self._arena.store(struct.pack(f"<{len(cells)}I", *cells))

    def _value(self, value: Value) -> int:
        name, is_latin = _packed_name(value.name)
        size = len(value.data)
        if size >= RESIDENT:
            raise HiveLimitError(
                "the data of a value is too large", field=value.name, expected=RESIDENT - 1, actual=size
            )
        if size <= 4:
            place, size = int.from_bytes(value.data, "little"), size | RESIDENT
        else:
            place = self._data(value.data)
        head = KeyValue(b"vk", len(name), size, place, value.kind, 1 if is_latin else 0, 0)
        return self._arena.store(head.pack() + name)

    def _data(self, data: bytes) -> int:
        if len(data) <= SEGMENT_SIZE or self._options.minor_version < 4:
            return self._arena.store(data)
        segments = [
            self._arena.store(data[start : start + SEGMENT_SIZE]) for start in range(0, len(data), SEGMENT_SIZE)
        ]
        if len(segments) > 0xFFFF:
            raise HiveLimitError("the data of a value is too large", expected=0xFFFF * SEGMENT_SIZE, actual=len(data))
        listed = self._arena.store(struct.pack(f"<{len(segments)}I", *segments))
        return self._arena.store(BigData(b"db", len(segments), listed).pack())

    def _share(self, descriptor: bytes) -> _Security:
        found = self._security.get(descriptor)
        if found is None:
            found = _Security(self._arena.allocate(KeySecurity.SIZE + len(descriptor)), descriptor)
            self._security[descriptor] = found
        found.count += 1
        return found

    def _write_security(self) -> None:
        ring = list(self._security.values())
        for index, each in enumerate(ring):
            following = ring[(index + 1) % len(ring)].cell
            head = KeySecurity(b"sk", 0, following, ring[index - 1].cell, each.count, len(each.descriptor))
            self._arena.write(each.cell, head.pack() + each.descriptor)

    def _base_block(self, root: int) -> bytes:
        options = self._options
        name = options.file_name.encode("utf-16-le", "surrogatepass")
        if len(name) > 62:
            raise HiveLimitError(
                "the file name is too long", field="file_name", expected="31 characters", actual=options.file_name
            )
        size = -(-len(self._arena.data) // BIN_ALIGNMENT) * BIN_ALIGNMENT
        block = BaseBlock(
            signature=b"regf",
            primary_sequence=options.sequence,
            secondary_sequence=options.sequence,
            last_written=options.modified,
            major_version=1,
            minor_version=options.minor_version,
            file_format=1,
            root_cell=root,
            hive_bins_size=size,
            clustering_factor=1,
            file_name=name.ljust(64, b"\0"),
        )
        block.checksum = checksum(block.pack())
        return block.pack().ljust(BASE_BLOCK_SIZE, b"\0")


def _packed_name(name: str) -> tuple[bytes, bool]:
    """The bytes of a name, and whether they are in Latin-1."""
    try:
        return name.encode("latin-1"), True
    except UnicodeEncodeError:
        return name.encode("utf-16-le", "surrogatepass"), False


def _ordered(key: Key) -> list[Key]:
    """The keys below ``key`` in the order in which Windows looks them up."""
    folded = sorted((upcase(each.name), index) for index, each in enumerate(key.keys))
    for (first, _), (second, index) in pairwise(folded):
        if first == second:
            raise HiveLimitError(
                "two keys of one name", structure="KeyNode", field=key.keys[index].name, where={"key": key.name}
            )
    return [key.keys[index] for _, index in folded]
