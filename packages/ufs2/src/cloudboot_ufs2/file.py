"""An open file of a file system: a seekable, read-only raw stream."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from .blocks import Run

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from cloudboot_layout import Storage

    from .blocks import BlockMap
    from .geometry import Geometry
    from .records import Ufs2Dinode

_NO_RUN = Run(0, 0, 0)


class UFS2File(io.RawIOBase):
    """The bytes of a file. Holes read as zeros; ``read_at`` leaves the position alone."""

    def __init__(self, storage: Storage, geometry: Geometry, blocks: BlockMap, inode: Ufs2Dinode, number: int) -> None:
        self._storage, self._geometry, self._blocks = storage, geometry, blocks
        self._inode, self._number = inode, number
        self._size = inode.di_size
        self._position = 0
        self._run = _NO_RUN

    @property
    def inode(self) -> int:
        """The inode's number."""
        return self._number

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self._size

    def readable(self) -> bool:
        """Always true."""
        return True

    def seekable(self) -> bool:
        """Always true."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to ``offset``; the same rules as :meth:`io.IOBase.seek`."""
        bases = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}
        if whence not in bases:
            raise ValueError(f"invalid whence {whence}")
        position = bases[whence] + offset
        if position < 0:
            raise ValueError(f"negative seek position {position}")
        self._position = position
        return position

    def tell(self) -> int:
        """The position, in bytes."""
        return self._position

    def readinto(self, buffer: Buffer, /) -> int:
        """Read as much as fits and is there; 0 at the end."""
        count = self.readinto_at(self._position, buffer)
        self._position += count
        return count

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``; fewer at the end."""
        data = bytearray(max(0, min(size, self._size - offset)))
        self.readinto_at(offset, data)
        return bytes(data)

    def readinto_at(self, offset: int, buffer: Buffer) -> int:
        """Fill ``buffer`` from ``offset`` as far as the file goes; the number of bytes.

        Raises:
            BlockError: a block pointer leaves the volume.
            ImageTruncatedError: the image ends before the file does.
        """
        view = memoryview(buffer).cast("B")
        bsize, fsize = self._geometry.block_size, self._geometry.fragment_size
        total = max(0, min(len(view), self._size - offset))
        done = 0
        while done < total:
            block, within = divmod(offset + done, bsize)
            run = self._run
            if not run.block <= block < run.block + run.blocks:
                run = self._run = self._blocks.run(self._inode, block, self._number)
            start = (block - run.block) * bsize + within
            count = min(total - done, run.blocks * bsize - start)
            piece = view[done : done + count]
            if run.address:
                self._storage.readinto_at(run.address * fsize + start, piece)
            else:
                piece[:] = bytes(count)
            done += count
        return total
