"""The check-hash of UFS2 metadata: CRC-32C from ~0 without the final inversion (FreeBSD ``calculate_crc32c(~0, ...)``).

The package google-crc32c computes it where it is installed. Elsewhere Python does, with numpy where a program has it
loaded already: CRCs are linear, so a long buffer is cut into pieces whose CRCs are found side by side and then joined.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    import numpy.typing as npt

    U32 = npt.NDArray[np.uint32]

_POLYNOMIAL = 0x82F63B78  # Castagnoli, reflected
_START = 0xFFFFFFFF
_PIECE = 256
_FEW = 4 * _PIECE  #: so many bytes are done before numpy has started


def check_hash(data: bytes | bytearray | npt.NDArray[np.uint8]) -> int:
    """The check-hash of ``data``, whose own hash field must have been zeroed."""
    if _crc32c is not None:
        return _crc32c(bytes(data)) ^ _START
    return check_hash_plain(data)


def check_hash_plain(data: bytes | bytearray | npt.NDArray[np.uint8]) -> int:
    """:func:`check_hash` without google-crc32c."""
    octets = bytes(data)
    value, done = _START, 0
    if (
        len(octets) > _FEW and sys.modules.get("numpy") is not None
    ):  # starting numpy takes longer than what it would save
        import numpy as np

        done = len(octets) // _PIECE * _PIECE
        shift = _shift_tables()
        pieces = np.frombuffer(octets, dtype=np.uint8, count=done).reshape(-1, _PIECE)
        for piece in _crc_rows(pieces, 0).tolist():
            value = shift[0][value & 255] ^ shift[1][value >> 8 & 255] ^ shift[2][value >> 16 & 255] ^ (
                shift[3][value >> 24] ^ piece
            )  # fmt: skip
    table = _table_list()
    for octet in octets[done:] if done else octets:
        value = table[(value ^ octet) & 255] ^ value >> 8
    return value


def check_hashes(rows: npt.NDArray[np.uint8]) -> U32:
    """The check-hash of each row of a two-dimensional array of bytes."""
    return _crc_rows(rows, _START)


def hashes_of(table: bytes, size: int) -> Iterable[int]:
    """The check-hash of each ``size`` bytes of ``table``."""
    if _crc32c is None and sys.modules.get("numpy") is not None:
        import numpy as np

        found: list[int] = check_hashes(np.frombuffer(table, dtype=np.uint8).reshape(-1, size)).tolist()
        return found
    if _crc32c is None:
        return [check_hash_plain(table[at : at + size]) for at in range(0, len(table), size)]
    return [_crc32c(table[at : at + size]) ^ _START for at in range(0, len(table), size)]


def _crc_rows(rows: npt.NDArray[np.uint8], start: int) -> U32:
    import numpy as np

    table = _table()
    value = np.full(len(rows), start, dtype=np.uint32)
    for column in np.ascontiguousarray(rows.T):
        value = table[(value ^ column) & 255] ^ (value >> 8)
    return value


@cache
def _table() -> U32:
    import numpy as np

    return np.array(_table_list(), dtype=np.uint32)


@cache
def _table_list() -> list[int]:
    table = list(range(256))
    for _ in range(8):
        table = [entry >> 1 ^ _POLYNOMIAL if entry & 1 else entry >> 1 for entry in table]
    return table


@cache
def _shift_tables() -> list[list[int]]:
    """For each byte of a CRC, what it becomes when ``_PIECE`` zero bytes follow."""
    import numpy as np

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
