"""FILETIME: 100 ns since the first of January 1601."""

from __future__ import annotations

from typing import Final

#: Units of 100 ns from 1601 to 1970.
UNIX_EPOCH: Final = 116_444_736_000_000_000
MAX_FILETIME: Final = (1 << 63) - 1


def to_unix_ns(filetime: int) -> int:
    """Nanoseconds since 1970."""
    return (filetime - UNIX_EPOCH) * 100


def from_unix_ns(nanoseconds: int) -> int:
    """The FILETIME of nanoseconds since 1970; times that there is none of become the first or the last."""
    return min(max(nanoseconds // 100 + UNIX_EPOCH, 0), MAX_FILETIME)
