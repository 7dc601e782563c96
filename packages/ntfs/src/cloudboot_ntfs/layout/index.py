"""Index nodes: their entries, in an $INDEX_ROOT or in an index block."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import NamedTuple
from cloudboot_ntfs.errors import IndexFormatError

from .constants import ENTRY_HAS_CHILD, ENTRY_IS_LAST
from .fixup import protect
from .records import IndexBlock, IndexEntry, IndexHeader, IndexRoot

if TYPE_CHECKING:
    from collections.abc import Sequence

_ENTRY: Final = struct.Struct("<QHHH")
_HEAD: Final = IndexEntry.LAYOUT.struct()
#: Where the head of the entries stands in an index block.
BLOCK_HEADER: Final = IndexBlock.SIZE


class Entry(NamedTuple):
    """An entry of a node. ``child`` is the VCN of the node below it; the last entry of a node has no key."""

    reference: int
    key: bytes
    data: bytes
    flags: int
    child: int | None
    offset: int  #: in the node

    @property
    def is_last(self) -> bool:
        """Whether it ends its node."""
        return bool(self.flags & ENTRY_IS_LAST)


def parse_entries(
    node: bytes | bytearray, header: int, *, what: str, has_data: bool, offset: int | None = None
) -> list[Entry]:
    """The entries of a node, the last without a key included.

    Args:
        node: an index block, fixups undone, or the value of an $INDEX_ROOT.
        header: where its IndexHeader stands.
        what: its name, for errors.
        has_data: whether entries hold data in place of a file's reference, as all but those of $I30 do.
        offset: where the node starts in the volume, for errors.

    Raises:
        IndexFormatError: sizes that leave the node, or entries that do not end.
    """
    first, used, allocated, _ = struct.unpack_from("<IIII", node, header)
    end = header + used
    if first < IndexHeader.SIZE or first > used or used > allocated or header + allocated > len(node):
        raise _broken("the entries do not fit the node", what, "used", header, offset, len(node) - header, used)
    found: list[Entry] = []
    position = header + first
    while position + IndexEntry.SIZE <= end:
        reference, length, key_length, flags = _ENTRY.unpack_from(node, position)
        child_size = 8 if flags & ENTRY_HAS_CHILD else 0
        limit = position + length - child_size
        is_last = bool(flags & ENTRY_IS_LAST)
        key_end = position + IndexEntry.SIZE + (0 if is_last else key_length)
        if length < IndexEntry.SIZE + child_size or length % 8 or position + length > end or key_end > limit:
            raise _broken("an entry does not fit the node", what, "length", position, offset, end - position, length)
        child = int.from_bytes(node[limit : limit + 8], "little") if child_size else None
        data = b""
        if has_data and not is_last:
            start, size = reference & 0xFFFF, reference >> 16 & 0xFFFF
            if position + start + size > limit:
                raise _broken(
                    "the data of an entry passes its end", what, "data_length", position, offset, length, size
                )
            data = bytes(node[position + start : position + start + size]) if size else b""
        key = bytes(node[position + IndexEntry.SIZE : key_end])
        found.append(Entry(reference, key, data, flags, child, position))
        if is_last:
            return found
        position += length
    raise _broken("the entries of the node do not end", what, "flags", position, offset, "a last entry", "none")


def _broken(  # noqa: PLR0917 -- the facts of an error, in the order they are shown
    message: str, what: str, field: str, place: int, offset: int | None, expected: object, actual: object
) -> IndexFormatError:
    where = None if offset is None else offset + place
    return IndexFormatError(message, structure=what, field=field, offset=where, expected=expected, actual=actual)


def pack_entry(key: bytes, *, reference: int = 0, data: bytes = b"", child: int | None = None) -> bytes:
    """An entry: of a file by ``reference``, or of another index with ``data`` after its key."""
    flags = 0 if child is None else ENTRY_HAS_CHILD
    head = IndexEntry.SIZE
    if data or not reference:
        # Data follows the key directly; $R has keys only.
        reference = head + len(key) | len(data) << 16
    body = key + data
    length = -(-(head + len(body)) // 8) * 8
    packed = _HEAD.pack(reference, length + (0 if child is None else 8), len(key), flags, 0) + body
    packed = packed.ljust(length, b"\0")
    return packed if child is None else packed + child.to_bytes(8, "little")


def pack_last(child: int | None = None) -> bytes:
    """The entry that ends a node."""
    head = IndexEntry(0, 16 if child is None else 24, 0, ENTRY_IS_LAST | (0 if child is None else ENTRY_HAS_CHILD))
    return head.pack() if child is None else head.pack() + child.to_bytes(8, "little")


def pack_root(
    kind: int, collation: int, block_size: int, per_block: int, entries: Sequence[bytes], *, large: bool
) -> bytes:
    """The value of an $INDEX_ROOT; ``entries`` include the last."""
    body = b"".join(entries)
    size = IndexHeader.SIZE + len(body)
    return (
        IndexRoot(kind, collation, block_size, per_block).pack()
        + IndexHeader(IndexHeader.SIZE, size, size, int(large)).pack()
        + body
    )


def block_start(block_size: int) -> int:
    """Where the entries start in an index block: after the update sequence array, on a multiple of 8."""
    return -(-(BLOCK_HEADER + IndexHeader.SIZE + 2 * (block_size // 512 + 1)) // 8) * 8


def pack_block(vcn: int, block_size: int, entries: Sequence[bytes], *, has_children: bool, update: int = 1) -> bytes:
    """An index block, protected by the update sequence number ``update``; ``entries`` include the last."""
    body = b"".join(entries)
    start = block_start(block_size)
    count = block_size // 512 + 1
    head = IndexBlock(b"INDX", BLOCK_HEADER + IndexHeader.SIZE, count, 0, vcn).pack()
    first = start - BLOCK_HEADER
    head += IndexHeader(first, first + len(body), block_size - BLOCK_HEADER, int(has_children)).pack()
    block = bytearray((head.ljust(start, b"\0") + body).ljust(block_size, b"\0"))
    protect(block, update)
    return bytes(block)
