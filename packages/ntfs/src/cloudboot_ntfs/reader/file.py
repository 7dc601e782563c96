"""A file of a volume as an ordinary raw stream."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from .stream import Stream

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from .reparse import WofStream


class NTFSFile(io.RawIOBase):
    """An open data stream of a file, to be read; seekable."""

    def __init__(self, stream: Stream | WofStream, inode: int) -> None:
        self._stream, self.inode = stream, inode
        self._position = 0

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self._stream.size

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``, fewer at the end; the position stays."""
        return self._stream.read_at(offset, size)

    def data_parts(self) -> list[tuple[int, int]]:
        """``(offset, length)`` of what is stored, in order and apart; everything else is zeros."""
        if isinstance(self._stream, Stream):
            return self._stream.data_parts()
        return [(0, self.size)]

    def readable(self) -> bool:
        """Always true."""
        return True

    def seekable(self) -> bool:
        """Always true."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to ``offset``; the same rules as :meth:`io.IOBase.seek`."""
        bases = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}
        if whence not in bases:
            raise ValueError(f"invalid whence {whence}")
        if bases[whence] + offset < 0:
            raise ValueError(f"negative seek position {bases[whence] + offset}")
        self._position = bases[whence] + offset
        return self._position

    def tell(self) -> int:
        """The position, in bytes."""
        return self._position

    def readinto(self, buffer: Buffer, /) -> int:
        """Read as much as fits and is there; 0 at the end."""
        count = self._stream.readinto_at(self._position, memoryview(buffer).cast("B"))
        self._position += count
        return count
