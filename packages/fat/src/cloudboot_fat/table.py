"""FAT entries between their on-disk form and arrays (fatgen103, "FAT Data Structure").

Entries are an ``array("I")``, whose copies and comparisons run at the speed of memory. Most of a FAT is one of two
things: entries that point at the next cluster, or zeros. Both are found by comparing bytes, so that a loop over single
entries is only needed where a chain breaks.
"""

from __future__ import annotations

import sys
from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from .geometry import FatType

    Entries = array[int]

WIDTH = 4
"""Bytes of an element of :data:`Entries`."""


def decode(data: Buffer, fat_type: FatType) -> Entries:
    """The entries in ``data``, reserved bits of FAT32 included."""
    if fat_type == 12:
        return _decode12(bytes(data))
    stored = array("H" if fat_type == 16 else "I")
    view = memoryview(data).cast("B")
    stored.frombytes(view[: len(view) // stored.itemsize * stored.itemsize])
    if sys.byteorder == "big":
        stored.byteswap()
    return array("I", stored) if fat_type == 16 else stored


def _decode12(raw: bytes) -> Entries:
    entries = array("I")
    for at in range(0, len(raw) - 2, 3):
        low, middle, high = raw[at : at + 3]
        entries.append(low | (middle & 0x0F) << 8)
        entries.append(middle >> 4 | high << 4)
    if len(raw) % 3 == 2:  # a sector is no multiple of 3 bytes; two of them hold one more entry
        entries.append(raw[-2] | (raw[-1] & 0x0F) << 8)
    return entries


def encode(entries: Entries, fat_type: FatType) -> bytes:
    """``entries`` as they are on disk; on FAT12 an odd last one takes two bytes."""
    if fat_type == 12:
        return _encode12(entries)
    stored = array("H", entries) if fat_type == 16 else entries
    if sys.byteorder == "big":
        stored = stored[:]
        stored.byteswap()
    return stored.tobytes()


def _encode12(entries: Entries) -> bytes:
    raw = bytearray()
    for at in range(0, len(entries) - 1, 2):
        low, high = entries[at], entries[at + 1]
        raw += bytes((low & 0xFF, low >> 8 | (high & 0x0F) << 4, high >> 4))
    if len(entries) % 2:
        raw += entries[-1].to_bytes(2, "little")
    return bytes(raw)


def without_reserved(entries: Entries, mask: int) -> Entries:
    """``entries`` with the reserved bits of FAT32 cleared; the same object where none is set."""
    top = 3 if sys.byteorder == "little" else 0
    if mask != 0x0FFFFFFF or not entries.tobytes()[top::WIDTH].translate(None, _CLEAN):
        return entries
    return array("I", (entry & mask for entry in entries))


_CLEAN = bytes(range(16))


def equal_length(left: bytes, right: bytes, start: int) -> int:
    """How many elements of two arrays of one size, given as bytes, are equal from element ``start`` on."""
    size = min(len(left), len(right))
    at, step = start * WIDTH, 64 * WIDTH
    while at < size and left[at : at + step] == right[at : at + step]:
        at += step
        step = min(step * 2, 1 << 20)
    if at >= size:
        return size // WIDTH - start
    low, high = at, min(at + step, size)  # they differ between these two
    while high - low > WIDTH:
        middle = low + (high - low) // (2 * WIDTH) * WIDTH
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle
    return low // WIDTH - start


def free_flags(entries: Entries) -> bytearray:
    """One byte an entry: 1 where it is zero, else 0."""
    flags = bytearray(len(entries))
    raw = entries.tobytes()
    zeros = bytes(_BLOCK * WIDTH)
    ones = b"\1" * _BLOCK
    for start in range(0, len(entries), _BLOCK):
        count = min(_BLOCK, len(entries) - start)
        part = raw[start * WIDTH : (start + count) * WIDTH]
        if part == zeros[: len(part)]:
            flags[start : start + count] = ones[:count]
        elif 0 in (block := entries[start : start + count]):
            flags[start : start + count] = bytes(not entry for entry in block)
    return flags


_BLOCK = 256
