"""Inodes as bytes: packed one by one, their check-hashes and generation numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .hashes import check_hash
from .records import Ufs2Dinode

if TYPE_CHECKING:
    from cloudboot_records import ByteOrder

SIZE = Ufs2Dinode.SIZE
CKHASH = Ufs2Dinode.LAYOUT.offsets["di_ckhash"]
_32_BITS = 0xFFFFFFFF


def generations(first: int, count: int, seed: int) -> list[int]:
    """A generation number for each inode, never 0: newfs takes chance, this takes the inode and the volume."""
    found = []
    for number in range(first, first + count):
        value = (number * 0x9E3779B1 + seed) & _32_BITS
        value = (value ^ value >> 15) * 0x85EBCA6B & _32_BITS
        found.append(value ^ value >> 13 or 1)
    return found


def inode_hash(data: bytes) -> int:
    """The check-hash the 256 bytes of an inode should carry."""
    return check_hash(data[:CKHASH] + bytes(4) + data[CKHASH + 4 :])


def pack_inode(inode: Ufs2Dinode, byteorder: ByteOrder, *, hashed: bool) -> bytes:
    """The 256 bytes of an inode, with its check-hash if it is in use and ``hashed``.

    Raises:
        RangeError: a value does not fit its field.
    """
    inode.di_ckhash = 0
    data = inode.pack(byteorder)
    if not hashed or not inode.di_mode:
        return data
    inode.di_ckhash = check_hash(data)
    return data[:CKHASH] + inode.di_ckhash.to_bytes(4, byteorder) + data[CKHASH + 4 :]
