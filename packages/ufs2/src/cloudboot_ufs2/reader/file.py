"""An open file of a file system: a seekable, read-only raw stream."""

from __future__ import annotations

import io
import os
from bisect import bisect_left, insort
from operator import itemgetter
from typing import TYPE_CHECKING

from cloudboot_base.storage import file_behind

from .transfer import send, send_zeros

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from cloudboot_base import Storage
    from cloudboot_ufs2.layout.geometry import Geometry
    from cloudboot_ufs2.layout.records import Ufs2Dinode

    from .blocks import BlockMap

_KNOWN_RUNS = 1024


class UFS2File(io.RawIOBase):
    """The bytes of a file. Holes read as zeros; ``read_at`` leaves the position alone."""

    def __init__(self, storage: Storage, geometry: Geometry, blocks: BlockMap, inode: Ufs2Dinode, number: int) -> None:
        self._storage, self._geometry, self._blocks = storage, geometry, blocks
        self._inode, self._number = inode, number
        self._size = inode.di_size
        self._position = 0
        self._place = file_behind(storage)
        self._forget_runs()

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
        """Move to ``offset``; the same rules as :meth:`io.IOBase.seek`.

        Raises:
            ValueError: ``whence`` is unknown, or the new position is negative.
        """
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
        """Up to ``size`` bytes from ``offset``; fewer at the end.

        Raises:
            ValueError: a negative offset.
            BlockError: a block pointer leaves the volume.
            ImageTruncatedError: the image ends before the file does.
        """
        end = min(offset + size, self._size)
        if offset < end:
            # Most reads lie within one run: one look-up, and one system call where there is a file behind the storage.
            known = self._known
            low, high, shift = known[bisect_left(known, (offset + 1,)) - 1]
            if low <= offset and end <= high and shift is not None:
                return self._read(offset + shift, end - offset)
        data = bytearray(max(0, end - offset))
        self.readinto_at(offset, data)
        return bytes(data)

    def _read(self, start: int, count: int) -> bytes:
        if self._place is not None:
            data = os.pread(self._place[0].fileno(), count, self._place[1] + start)
            if len(data) == count:
                return data
        return self._storage.read_at(start, count)

    def readinto_at(self, offset: int, buffer: Buffer) -> int:
        """Fill ``buffer`` from ``offset`` as far as the file goes; the number of bytes.

        Raises:
            ValueError: a negative offset.
            BlockError: a block pointer leaves the volume.
            ImageTruncatedError: the image ends before the file does.
        """
        if offset < 0:
            raise ValueError(f"negative offset {offset}")
        view = memoryview(buffer).cast("B")
        total = max(0, min(len(view), self._size - offset))
        done = 0
        while done < total:
            _, high, shift = self._span(offset + done)
            count = min(total - done, high - offset - done)
            piece = view[done : done + count]
            if shift is None:
                piece[:] = bytes(count)
            else:
                self._storage.readinto_at(offset + done + shift, piece)
            done += count
        return total

    def data_parts(self) -> list[tuple[int, int]]:
        """``(offset, length)`` of what is stored, in order and apart; everything else is holes.

        Raises:
            BlockError: a block pointer leaves the volume, or there are more blocks than it has.
        """
        found: list[tuple[int, int]] = []
        block_size = self._geometry.block_size
        for run in self._blocks.runs(self._inode, self._number):
            if not run.address:
                continue
            start, end = run.block * block_size, min((run.block + run.blocks) * block_size, self._size)
            if found and sum(found[-1]) == start:
                start = found.pop()[0]
            found.append((start, end - start))
        return found

    def copy_to(self, descriptor: int) -> int:
        """Write the whole file to a pipe, socket or file of the host, inside the kernel where it can; its bytes.

        Raises:
            BlockError: a block pointer leaves the volume.
            ImageTruncatedError: the image ends before the file does.
            OSError: the host refuses.
        """
        done, size = 0, self.size
        while done < size:
            _, end, shift = self._span(done)
            # The next indirect block often goes on where this one ends.
            while shift is not None and end < size and self._span(end)[2] == shift:
                end = self._span(end)[1]
            count = min(end, size) - done
            if shift is None:
                send_zeros(count, descriptor)
            else:
                send(self._storage, done + shift, count, descriptor)
            done += count
        return done

    # Runs: where bytes [low, high) of the file stand, shifted by so many bytes in the volume; a hole has no shift

    def _forget_runs(self) -> None:
        # In order; one list, which threads that read the same file may look into and insert into as they like.
        self._known: list[tuple[int, int, int | None]] = [(-1, -1, None)]

    def _span(self, offset: int) -> tuple[int, int, int | None]:
        """The run that holds byte ``offset`` of the file."""
        known = self._known
        found = known[bisect_left(known, (offset + 1,)) - 1]
        if found[0] <= offset < found[1]:
            return found
        run = self._blocks.span(self._inode, offset // self._geometry.block_size, self._number)
        low = run.block * self._geometry.block_size
        shift = run.address * self._geometry.fragment_size - low if run.address else None
        found = low, low + run.blocks * self._geometry.block_size, shift
        if len(known) > _KNOWN_RUNS:
            self._forget_runs()
        insort(self._known, found, key=itemgetter(0))
        return found
