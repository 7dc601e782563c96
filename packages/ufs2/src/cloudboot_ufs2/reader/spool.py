"""A stream becomes something that can be read at any place, without being unpacked whole.

A file system needs its bytes in another order than a compressed disk gives them. Decompressing again for each step (of
a path, of an indirect block) would take a dozen passes over gigabytes; so there is one pass, and what may be needed
goes to a nameless sparse file: nothing outside the partition, no zeros, and no fragment that the map of its cylinder
group, which the stream brings first, calls free. A free fragment that held something is remembered: reading it is an
error, so that a damaged map cannot turn data into zeros.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from typing import TYPE_CHECKING

from cloudboot_base import FileStorage, TruncatedError
from cloudboot_disk_image import ContainerError
from cloudboot_ufs2.errors import SuperblockError, UnsupportedError
from cloudboot_ufs2.layout import superblock_rules
from cloudboot_ufs2.layout.bits import group_hash, spread
from cloudboot_ufs2.layout.constants import CG_MAGIC, CK_CYLGRP, SBLOCK_PIGGY, SBLOCKSIZE
from cloudboot_ufs2.layout.geometry import geometry_of, howmany
from cloudboot_ufs2.layout.mapoffsets import map_offsets
from cloudboot_ufs2.layout.records import Cg
from cloudboot_ufs2.layout.superblock import find_superblock, has_hash
from cloudboot_ufs2.layout.ufs1 import dialect_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Buffer

    from cloudboot_disk_image import Place
    from cloudboot_records import ByteOrder
    from cloudboot_ufs2.layout.records import Fs

HEAD_SIZE = 1 << 20
_CHUNK = 1 << 20
_UNIT = 512  # what is kept or not before the size of a fragment is known
_UNKNOWN_SIZE = 1 << 62


class Head:
    """The first bytes of a disk whose size is not known yet, as storage; for readers of partition tables."""

    size = _UNKNOWN_SIZE

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read_at(self, offset: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``offset``, if they are among the first."""
        if offset < 0 or size < 0 or offset + size > len(self._data):
            raise TruncatedError(
                f"partitions of a compressed disk are looked for in its first {HEAD_SIZE >> 20} MiB only",
                hint="decompress it first",
            )
        return self._data[offset : offset + size]

    def readinto_at(self, offset: int, buffer: Buffer) -> None:
        """Fill ``buffer`` from ``offset``."""
        view = memoryview(buffer).cast("B")
        view[:] = self.read_at(offset, len(view))


class SpooledVolume(FileStorage):
    """What was kept of a partition; a read of something that was not is an error."""

    def __init__(self, fd: int, size: int, dropped: list[tuple[int, int]], kept: int) -> None:
        super().__init__(fd, size)
        self._starts = [start for start, _ in dropped]
        self._ends = [end for _, end in dropped]
        self.kept = kept  #: bytes that were written

    def read_at(self, offset: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``offset``."""
        self._demand(offset, size)
        return super().read_at(offset, size)

    def readinto_at(self, offset: int, buffer: Buffer) -> None:
        """Fill ``buffer`` from ``offset``."""
        self._demand(offset, memoryview(buffer).nbytes)
        super().readinto_at(offset, buffer)

    def _demand(self, offset: int, size: int) -> None:
        last = bisect_right(self._starts, offset + size - 1) - 1
        if last >= 0 and self._ends[last] > offset:
            raise ContainerError(
                "something in use was not kept: the map of its cylinder group calls it free", structure="Cg",
                field="cg_blksfree", offset=max(offset, self._starts[last]),
                hint="decompress the image first; its file system is damaged",
            )  # fmt: skip


def spool(
    pieces: Iterator[bytes],
    fd: int,
    locate: Callable[[Head], Place],
    *,
    everything: bool = False,
    limit: int | None = None,
) -> SpooledVolume:
    """Keep the volume that ``locate`` finds in a stream in the empty file ``fd``, which stays its owner's.

    ``everything`` keeps free fragments too; ``limit`` is how many bytes may be written.

    Raises:
        ContainerError: the limit is reached.
        OSError: the file cannot be written to.
    """
    stream = _Chunks(pieces)
    place = locate(Head(stream.peek(HEAD_SIZE)))
    stream.skip(place.offset)
    keeper = _Keeper(fd, place.size, everything=everything, limit=limit)
    while keeper.position < keeper.end and (data := stream.take(min(_CHUNK, keeper.end - keeper.position))):
        keeper.add(data)
    size = keeper.position if place.size is None or keeper.position < keeper.end else place.size
    os.ftruncate(fd, size)
    return SpooledVolume(fd, size, keeper.dropped, keeper.kept)


class _Chunks:
    """A stream of pieces, taken in whatever lengths are asked for."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._buffer = bytearray()

    def peek(self, size: int) -> bytes:
        while len(self._buffer) < size:
            piece = next(self._pieces, b"")
            if not piece:
                break
            self._buffer += piece
        return bytes(self._buffer[:size])

    def take(self, size: int) -> bytes:
        data = self.peek(size)
        del self._buffer[: len(data)]
        return data

    def skip(self, size: int) -> None:
        while size > 0 and (data := self.take(min(size, _CHUNK))):
            size -= len(data)


class _Keeper:
    """Writes what is to be kept, chunk by chunk from the start of the volume."""

    def __init__(self, fd: int, size: int | None, *, everything: bool, limit: int | None) -> None:
        self.fd, self.limit = fd, limit
        self.position = 0
        self.end = _UNKNOWN_SIZE if size is None else size
        self.kept = 0
        self.dropped: list[tuple[int, int]] = []
        self._maps: _Maps | None = None
        self._looking = not everything

    def add(self, data: bytes) -> None:
        """The next bytes of the volume."""
        if self._maps is None:
            self._write(self.position, data)
        else:
            for start, end, free in self._maps.parts(self.position, self.position + len(data)):
                self._write(start, data[start - self.position : end - self.position], free, self._maps.fragment_size)
        self.position += len(data)
        if self._looking and self.position >= SBLOCK_PIGGY + SBLOCKSIZE:
            self._looking = False
            self._maps = self._read_superblock()

    def _read_superblock(self) -> _Maps | None:
        """The maps of a file system that was unmounted cleanly; of another, everything is kept."""
        try:
            fs, byteorder, _ = find_superblock(FileStorage(self.fd, self.position))
        except (SuperblockError, UnsupportedError):
            return None
        if any(superblock_rules.structural(fs)):
            return None
        # What follows the file system in its partition is not needed.
        self.end = min(self.end, fs.fs_size * fs.fs_fsize)
        return _Maps(self.fd, fs, byteorder) if fs.fs_clean else None

    def _write(self, at: int, data: bytes, free: bytes | None = None, unit: int = _UNIT) -> None:
        whole = len(data) // unit
        zeros = bytes(unit)
        # One octet per unit: 0 for zeros, 1 for what is kept, 2 for what the map calls free and is not zeros.
        marks = bytearray(whole)
        if data.count(0, 0, whole * unit) < whole * unit:
            for index in range(whole):
                marks[index] = data[index * unit : (index + 1) * unit] != zeros
        if free is not None and any(marks):
            for index in range(whole):
                marks[index] += marks[index] & free[index]
        for start, end in _runs(marks, 2):
            self.dropped.append((at + start * unit, at + end * unit))
        for start, end in _runs(marks, 1):
            self._put(at + start * unit, data[start * unit : end * unit])
        if whole * unit < len(data):
            self._put(at + whole * unit, data[whole * unit :])

    def _put(self, at: int, data: bytes) -> None:
        self.kept += len(data)
        if self.limit is not None and self.kept > self.limit:
            raise ContainerError("more of the disk is in use than may be kept", expected=f"at most {self.limit} bytes")
        view = memoryview(data)
        while view:
            count = os.pwrite(self.fd, view, at)
            view, at = view[count:], at + count


def _runs(marks: bytearray, wanted: int) -> Iterator[tuple[int, int]]:
    """The runs ``[start, end)`` of octets that are ``wanted``."""
    octet = bytes([wanted])
    start = marks.find(octet)
    while start >= 0:
        end = start
        while end < len(marks) and marks[end] == wanted:
            end += 1
        yield start, end
        start = marks.find(octet, end)


class _Maps:
    """Which fragments are free, group by group, read from what has been kept so far."""

    def __init__(self, fd: int, fs: Fs, byteorder: ByteOrder) -> None:
        self._fd, self._fs, self._byteorder = fd, fs, byteorder
        self._geometry = geometry_of(fs)
        self._group = -1
        self._free: bytes | None = None
        self.fragment_size = self._geometry.fragment_size

    def parts(self, start: int, end: int) -> Iterator[tuple[int, int, bytes | None]]:
        """The volume's bytes ``start`` to ``end``, cut where what is known changes, with the free fragments of each."""
        geometry, fsize = self._geometry, self.fragment_size
        while start < end:
            group = start // (geometry.group_fragments * fsize)
            base = geometry.group_start(group)
            head_end = (geometry.group_metadata(group) + geometry.iblkno) * fsize
            group_end = (base + geometry.group_length(group)) * fsize
            if start < head_end:
                stop = min(end, head_end)
                yield start, stop, None
            else:
                stop = min(end, group_end)
                free = self._of(group)
                yield start, stop, None if free is None else free[start // fsize - base :]
            start = stop

    def _of(self, group: int) -> bytes | None:
        if group != self._group:
            self._group, self._free = group, self._read(group)
        return self._free

    def _read(self, group: int) -> bytes | None:
        """The map of a group; ``None`` where its block is not as it should be."""
        geometry, fs = self._geometry, self._fs
        offset = (geometry.group_metadata(group) + geometry.cblkno) * self.fragment_size
        block = os.pread(self._fd, geometry.cgsize, offset).ljust(geometry.cgsize, b"\0")
        head = dialect_of(fs).read_group(Cg.unpack_from(block, 0, self._byteorder), fs)
        if head.cg_magic != CG_MAGIC or head.cg_cgx != group:
            return None
        if has_hash(fs, CK_CYLGRP) and group_hash(block) != head.cg_ckhash:
            return None
        offsets = map_offsets(geometry)
        if head.cg_freeoff != offsets.freeoff:
            return None
        length = geometry.group_length(group)
        return spread(block[offsets.freeoff : offsets.freeoff + howmany(length, 8)])[:length]
