"""Bitmaps of cylinder groups: as an int for set arithmetic, as octets for searching. Both are fast in CPython.

The lowest bit of the first byte is bit 0, as on disk.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from .geometry import howmany
from .hashes import check_hash
from .records import Cg

if TYPE_CHECKING:
    from collections.abc import Iterator

_CKHASH = Cg.LAYOUT.offsets["cg_ckhash"]


def get_bits(block: bytes, offset: int, count: int) -> int:
    """The ``count`` bits of a map that begins at byte ``offset``."""
    return int.from_bytes(block[offset : offset + howmany(count, 8)], "little") & ((1 << count) - 1)


def ones(bits: int) -> Iterator[int]:
    """The places of the bits that are set, in order."""
    octets = spread(bits.to_bytes(howmany(bits.bit_length(), 8), "little"))
    at = octets.find(1)
    while at >= 0:
        yield at
        at = octets.find(1, at + 1)


def lowest(bits: int) -> int:
    """The place of the lowest bit that is set; there must be one."""
    return (bits & -bits).bit_length() - 1


def spread(data: bytes, width: int = 1) -> bytes:
    """One octet for each ``width`` bits of ``data``; ``width`` divides 8."""
    if width == 8:
        return data
    each = 8 // width
    found = bytearray(len(data) * each)
    for place in range(each):
        found[place::each] = data.translate(_part(width, place))
    return bytes(found)


def gather(octets: bytes | bytearray, width: int = 1) -> int:
    """The map whose ``width`` bits at a time these octets are; undoes :func:`spread`."""
    each = 8 // width
    found = 0
    for place in range(each):
        found |= int.from_bytes(octets[place::each], "little") << width * place
    return found


@cache
def _part(width: int, place: int) -> bytes:
    return bytes(octet >> width * place & (1 << width) - 1 for octet in range(256))


def group_hash(block: bytes) -> int:
    """The check-hash the ``fs_cgsize`` bytes of a group should carry."""
    return check_hash(block[:_CKHASH] + bytes(4) + block[_CKHASH + 4 :])
