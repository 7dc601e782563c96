"""Bytes from memory to a file, without the zeros."""

from __future__ import annotations

import os

_STEP = 64 << 10


def write_sparse(fd: int, data: memoryview) -> None:
    """Write ``data`` to an empty file; runs of zeros become holes.

    Raises:
        OSError: the disk is full.
    """
    os.ftruncate(fd, len(data))
    zeros = bytes(_STEP)
    start = None
    for offset in range(0, len(data) + _STEP, _STEP):
        piece = data[offset : offset + _STEP]
        blank = not piece or piece == zeros[: len(piece)]
        if start is None and not blank:
            start = offset
        elif start is not None and blank:
            _write(fd, data[start:offset], start)
            start = None


def _write(fd: int, data: memoryview, offset: int) -> None:
    while data:
        count = os.pwrite(fd, data, offset)
        data, offset = data[count:], offset + count
