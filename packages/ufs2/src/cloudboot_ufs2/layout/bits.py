"""The bitmaps of cylinder groups, for readers that do without numpy."""

from __future__ import annotations

from functools import cache

from .hashes import check_hash
from .records import Cg

_CKHASH = Cg.LAYOUT.offsets["cg_ckhash"]


@cache
def _octets() -> list[bytes]:
    return [bytes(octet >> bit & 1 for bit in range(8)) for octet in range(256)]


def bits_of(data: bytes) -> bytes:
    """One octet, 0 or 1, for each bit of ``data``, lowest first."""
    table = _octets()
    return b"".join([table[octet] for octet in data])


def group_hash(block: bytes) -> int:
    """The check-hash the ``fs_cgsize`` bytes of a group should carry."""
    return check_hash(block[:_CKHASH] + bytes(4) + block[_CKHASH + 4 :])
