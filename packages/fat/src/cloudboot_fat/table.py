"""FAT entries between their on-disk form and numpy arrays (fatgen103, "FAT Data Structure")."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Buffer

    from .geometry import FatType

    Entries = NDArray[np.uint32]


def decode(data: Buffer, fat_type: FatType) -> Entries:
    """The entries in ``data``, reserved bits of FAT32 included."""
    if fat_type == 32:
        return np.frombuffer(memoryview(data), np.dtype("<u4")).astype(np.uint32)
    if fat_type == 16:
        return np.frombuffer(memoryview(data), np.dtype("<u2")).astype(np.uint32)
    raw = np.frombuffer(memoryview(data), np.uint8)
    triples = raw[: len(raw) // 3 * 3].reshape(-1, 3).astype(np.uint32)
    entries = np.empty(2 * len(triples), np.uint32)
    entries[0::2] = triples[:, 0] | (triples[:, 1] & 0x0F) << 8
    entries[1::2] = triples[:, 1] >> 4 | triples[:, 2] << 4
    if len(raw) % 3 == 2:  # a sector is no multiple of 3 bytes; two of them hold one more entry
        entries = np.append(entries, np.uint32(int(raw[-2]) | (int(raw[-1]) & 0x0F) << 8))
    return entries


def encode(entries: Entries, fat_type: FatType) -> bytes:
    """``entries`` as they stand on disk; on FAT12 an odd last one takes two bytes."""
    if fat_type == 32:
        return entries.astype("<u4").tobytes()
    if fat_type == 16:
        return entries.astype("<u2").tobytes()
    even = np.append(entries, np.uint32(0)) if len(entries) % 2 else entries
    low, high = even[0::2], even[1::2]
    triples = np.empty((len(low), 3), np.uint8)
    triples[:, 0] = low & 0xFF
    triples[:, 1] = low >> 8 | (high & 0x0F) << 4
    triples[:, 2] = high >> 4
    raw = triples.tobytes()
    return raw[:-1] if len(entries) % 2 else raw
