"""What $Secure consists of: places and hashes of entries of $SDS, and the entries of $SII and $SDH that find them."""

from __future__ import annotations

import struct
from typing import Final

from cloudboot_ntfs.errors import DescriptorError

from .index import pack_entry
from .records import SdsEntry

#: The first id that a descriptor gets; those below it are Windows' own.
FIRST_ID: Final = 0x100
LAST_ID: Final = 0xFFFFFFFF
#: $SDS has blocks of this size, and each is followed by its copy.
BLOCK: Final = 0x40000
#: Bytes of an entry at most, its head included.
MAX_ENTRY: Final = 1 << 16
_ALIGNMENT: Final = 16
#: Between the data of an entry of $SDH and its end; Windows writes it, and counts it nowhere.
_PADDING: Final = b"I\0I\0"


def descriptor_hash(descriptor: bytes) -> int:
    """The hash that $Secure finds equal descriptors by: rotate by three, add, for every dword."""
    total = 0
    padded = descriptor + bytes(-len(descriptor) % 4)
    for at in range(0, len(padded), 4):
        total = ((total << 3 | total >> 29) + int.from_bytes(padded[at : at + 4], "little")) & 0xFFFFFFFF
    return total


def entry_size(descriptor: bytes) -> int:
    """Bytes of the entry of a descriptor.

    Raises:
        DescriptorError: it is larger than what $Secure holds.
    """
    size = SdsEntry.SIZE + len(descriptor)
    if size > MAX_ENTRY:
        raise DescriptorError(
            "the security descriptor is too large", structure="$Secure:$SDS", expected=MAX_ENTRY - SdsEntry.SIZE,
            actual=len(descriptor),
        )  # fmt: skip
    return size


def aligned(place: int) -> int:
    """Where the next entry can start."""
    return -(-place // _ALIGNMENT) * _ALIGNMENT


def place_after(end: int, size: int) -> int:
    """Where an entry of ``size`` bytes stands in $SDS if the one before it ends at ``end``.

    An entry does not cross the end of its block; what follows that is the block's copy.
    """
    place = aligned(end)
    if place // BLOCK % 2 or place % BLOCK + size > BLOCK:
        place = (place // (2 * BLOCK) + 1) * 2 * BLOCK
    return place


def entry_at(data: bytes | memoryview, position: int, offset: int) -> SdsEntry | None:
    """The entry at ``position`` in ``data``, which stands at ``offset`` in $SDS, or ``None`` if there is no whole one.

    Whole is an entry that states its own place, and whose hash is that of its descriptor.
    """
    if position + SdsEntry.SIZE > len(data):
        return None
    head = SdsEntry.unpack_from(data, position)
    end = position + head.size
    if head.offset != offset or not SdsEntry.SIZE < head.size <= MAX_ENTRY or end > len(data):
        return None
    return head if descriptor_hash(bytes(data[position + SdsEntry.SIZE : end])) == head.hash else None


def entry_by_id(head: SdsEntry) -> bytes:
    """The entry of $SII of a descriptor."""
    return pack_entry(struct.pack("<I", head.security_id), data=head.pack())


def entry_by_hash(head: SdsEntry) -> bytes:
    """The entry of $SDH of a descriptor."""
    packed = bytearray(pack_entry(struct.pack("<II", head.hash, head.security_id), data=head.pack() + _PADDING))
    struct.pack_into("<H", packed, 2, SdsEntry.SIZE)
    return bytes(packed)
