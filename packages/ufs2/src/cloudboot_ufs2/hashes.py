"""The check-hash of UFS2 metadata: CRC-32C from ~0 without the final inversion (FreeBSD ``calculate_crc32c(~0, ...)``).

The package google-crc32c computes it where it is installed. Elsewhere numpy does: CRCs are linear, so a long buffer is
cut into pieces whose CRCs are found side by side and then joined.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    U32 = npt.NDArray[np.uint32]

_POLYNOMIAL = 0x82F63B78  # Castagnoli, reflected
_START = 0xFFFFFFFF
_PIECE = 256


def check_hash(data: bytes | bytearray | npt.NDArray[np.uint8]) -> int:
    """The check-hash of ``data``, whose own hash field must have been zeroed."""
    if _crc32c is not None:
        return _crc32c(bytes(data)) ^ _START
    return check_hash_plain(data)


def check_hash_plain(data: bytes | bytearray | npt.NDArray[np.uint8]) -> int:
    """:func:`check_hash` without help."""
    octets = np.frombuffer(data, dtype=np.uint8)
    whole = len(octets) // _PIECE
    value = _START
    if whole:
        shift = _shift_tables()
        for piece in _crc_rows(octets[: whole * _PIECE].reshape(whole, _PIECE), 0).tolist():
            value = shift[0][value & 255] ^ shift[1][value >> 8 & 255] ^ shift[2][value >> 16 & 255] ^ (
                shift[3][value >> 24] ^ piece
            )  # fmt: skip
    table = _table_list()
    for octet in octets[whole * _PIECE :].tolist():
        value = table[(value ^ octet) & 255] ^ value >> 8
    return value


def check_hashes(rows: npt.NDArray[np.uint8]) -> U32:
    """The check-hash of each row of a two-dimensional array of bytes."""
    return _crc_rows(rows, _START)


def _crc_rows(rows: npt.NDArray[np.uint8], start: int) -> U32:
    table = _table()
    value = np.full(len(rows), start, dtype=np.uint32)
    for column in np.ascontiguousarray(rows.T):
        value = table[(value ^ column) & 255] ^ (value >> 8)
    return value


@cache
def _table() -> U32:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ np.uint32(_POLYNOMIAL), table >> 1).astype(np.uint32)
    return table


@cache
def _table_list() -> list[int]:
    return [int(entry) for entry in _table()]


@cache
def _shift_tables() -> list[list[int]]:
    """For each byte of a CRC, what it becomes when ``_PIECE`` zero bytes follow."""
    value = np.concatenate([np.arange(256, dtype=np.uint32) << np.uint32(8 * place) for place in range(4)])
    for _ in range(_PIECE):
        value = _table()[value & 255] ^ (value >> 8)
    return [[int(entry) for entry in part] for part in value.reshape(4, 256)]


def _accelerated() -> Callable[[bytes], int] | None:
    try:
        from google_crc32c import implementation, value
    except ImportError:
        return None
    return value if implementation == "c" else None


_crc32c = _accelerated()
