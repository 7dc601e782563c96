"""The check-hash of UFS2 metadata: CRC-32C from ~0 without the final inversion (FreeBSD ``calculate_crc32c(~0, ...)``).

The package google-crc32c computes it where it is installed. Elsewhere Python does. CRCs are linear: the CRC of a row
of bytes is the exclusive or of what each of its bytes contributes, which depends on the byte's place only. So many rows
are done at once, place by place, each with ``bytes.translate`` and an exclusive or of long integers. A long buffer is
cut into rows whose CRCs are then joined.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_POLYNOMIAL = 0x82F63B78  # Castagnoli, reflected
_START = 0xFFFFFFFF
_ROW = 64
_FEW = 2048  #: fewer bytes are done one by one in less time


def check_hash(data: bytes | bytearray) -> int:
    """The check-hash of ``data``, whose own hash field must have been zeroed."""
    if _crc32c is not None:
        return _crc32c(bytes(data)) ^ _START
    return check_hash_plain(bytes(data))


def check_hash_plain(data: bytes) -> int:
    """:func:`check_hash` without google-crc32c."""
    value, done = _START, 0
    if len(data) >= _FEW:
        done = len(data) // _ROW * _ROW
        first, second, third, fourth = (_joined(planes) for planes in _contributions(_ROW)[:4])
        for row in _row_crcs(data[:done], _ROW):
            # The CRC so far acts on what follows as if it were the first four bytes of the row.
            value = first[value & 255] ^ second[value >> 8 & 255] ^ third[value >> 16 & 255] ^ fourth[value >> 24] ^ row
    table = _table()
    for octet in data[done:] if done else data:
        value = table[(value ^ octet) & 255] ^ value >> 8
    return value


def hashes_of(table: bytes, size: int) -> list[int]:
    """The check-hash of each ``size`` bytes of ``table``."""
    if _crc32c is not None:
        return [_crc32c(table[at : at + size]) ^ _START for at in range(0, len(table), size)]
    return hashes_of_plain(table, size)


def hashes_of_plain(table: bytes, size: int) -> list[int]:
    """:func:`hashes_of` without google-crc32c."""
    if size < 4 or len(table) < 64 * size:
        return [check_hash_plain(table[at : at + size]) for at in range(0, len(table), size)]
    start = 0
    for planes in _contributions(size)[:4]:
        start ^= _joined(planes)[255]
    return [start ^ row for row in _row_crcs(table, size)]


def _row_crcs(table: bytes, size: int) -> tuple[int, ...]:
    """The CRC, from 0, of each ``size`` bytes of ``table``."""
    count = len(table) // size
    low = second = third = high = 0
    for place, (first, *others) in enumerate(_contributions(size)):
        column = table[place::size]
        if column.count(0) == count:
            continue  # zeros contribute nothing, and metadata are full of them
        low ^= int.from_bytes(column.translate(first), "little")
        second ^= int.from_bytes(column.translate(others[0]), "little")
        third ^= int.from_bytes(column.translate(others[1]), "little")
        high ^= int.from_bytes(column.translate(others[2]), "little")
    found = bytearray(4 * count)
    for place, plane in enumerate((low, second, third, high)):
        found[place::4] = plane.to_bytes(count, "little")
    return struct.unpack(f"<{count}I", found)


@cache
def _contributions(size: int) -> list[tuple[bytes, bytes, bytes, bytes]]:
    """For each place in a row of ``size`` bytes, what a byte there contributes to the CRC: its four bytes as tables."""
    zero = [struct.pack("<256I", *_table())[place::4] for place in range(4)]
    planes = zero
    found = [(planes[0], planes[1], planes[2], planes[3])]
    for _ in range(size - 1):
        # One zero byte more follows.
        shifted = [planes[0].translate(table) for table in zero]
        planes = [_xor(shifted[place], planes[place + 1]) for place in range(3)] + [shifted[3]]
        found.append((planes[0], planes[1], planes[2], planes[3]))
    return found[::-1]


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "little") ^ int.from_bytes(other, "little")).to_bytes(len(one), "little")


@cache
def _joined(planes: tuple[bytes, bytes, bytes, bytes]) -> list[int]:
    return [int.from_bytes(entry, "little") for entry in zip(*planes, strict=True)]


@cache
def _table() -> list[int]:
    table = list(range(256))
    for _ in range(8):
        table = [entry >> 1 ^ _POLYNOMIAL if entry & 1 else entry >> 1 for entry in table]
    return table


def _accelerated() -> Callable[[bytes], int] | None:
    try:
        from google_crc32c import implementation, value
    except ImportError:
        return None
    return value if implementation == "c" else None


_crc32c = _accelerated()
