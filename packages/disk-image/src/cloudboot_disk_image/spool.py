"""A compressed disk becomes a nameless sparse file: decompressed once, blocks of zeros left out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cloudboot_base import FileStorage

from .errors import ContainerError

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNIT = 4096
_ZEROS = bytes(_UNIT)


def spool(pieces: Iterator[bytes], fd: int, *, limit: int | None = None) -> FileStorage:
    """Write ``pieces`` to the file ``fd``, which is empty, and give it as storage.

    ``limit`` bounds the disk's size in bytes: a small file may decompress into a very large one.

    Raises:
        ContainerError: the disk is larger than ``limit``, or the stream is damaged.
        OSError: there is no room for it.
    """
    position = 0
    for piece in pieces:
        if limit is not None and position + len(piece) > limit:
            raise ContainerError(
                "the decompressed disk is larger than allowed", expected=f"at most {limit} bytes", actual="more"
            )
        _write_sparse(fd, piece, position)
        position += len(piece)
    os.ftruncate(fd, position)
    return FileStorage(fd, position)


def _write_sparse(fd: int, piece: bytes, position: int) -> None:
    start = 0  # of what has to be written
    at = 0
    view = memoryview(piece)
    while at < len(piece):
        end = min(len(piece), at + _UNIT - (position + at) % _UNIT)
        if view[at:end] == _ZEROS[: end - at]:
            _write(fd, view[start:at], position + start)
            start = end
        at = end
    _write(fd, view[start:], position + start)


def _write(fd: int, data: memoryview, position: int) -> None:
    while data:
        count = os.pwrite(fd, data, position)
        data, position = data[count:], position + count
