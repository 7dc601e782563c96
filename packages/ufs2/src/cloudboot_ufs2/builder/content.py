"""Where the bytes of a file come from, and how they reach the image."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from typing import TYPE_CHECKING, Protocol

from cloudboot_base.storage import descriptor_of
from cloudboot_ufs2.errors import SourceChangedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from typing_extensions import Buffer, TypeIs

    from cloudboot_base import WritableStorage

_CHUNK = 1 << 17  # with it a copy stays within a processor's second cache
_GATHER = 512  # pieces of one pwritev; Linux allows 1024
_GATHER_BYTES = 2 * _CHUNK
_ZEROS = bytes(65536)
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_FICLONERANGE = 0x4020940D  # linux/fs.h: _IOW(0x94, 13, struct file_clone_range)
_FS_IOC_RESVSP = 0x40305828  # linux/falloc.h: _IOW('X', 40, struct space_resv); fallocate(2) without libc's imitation
_LARGE = 1 << 20
_ALIGNMENT = 4096  # of what is shared: the usual block of a file system


class Content(Protocol):
    """The bytes of one file."""

    def ranges(self, size: int) -> list[tuple[int, int]]:
        """The parts ``[start, end)`` that hold data, in order; what lies between is a hole."""

    def read(self, size: int) -> bytes:
        """All of the file of ``size`` bytes, which are few."""

    def copy(self, pieces: Sequence[tuple[int, int, int]], size: int, target: Target) -> None:
        """Write each piece ``(start, length, offset in the target)`` of the file of ``size`` bytes."""


class Readable(Protocol):
    """A binary file, as far as it is read."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes; none at the end."""


class Target:
    """A storage that small consecutive writes are gathered for, and that shares the blocks of large files if it can."""

    def __init__(self, storage: WritableStorage) -> None:
        self._storage = storage
        self._descriptor = descriptor_of(storage)
        self._pieces: list[Buffer] = []
        self._start = self._end = 0
        self._shares = self._reserves = True
        self._buffer: memoryview | None = None

    def write(self, offset: int, data: Buffer, length: int) -> None:
        """Write ``length`` bytes at ``offset``; the data may be used until :meth:`flush`."""
        if self._descriptor is None:
            self._storage.write_at(offset, data)
            return
        if offset != self._end or len(self._pieces) >= _GATHER or offset - self._start >= _GATHER_BYTES:
            self.flush()
            self._start = offset
        self._pieces.append(data)
        self._end = offset + length

    def zero(self, offset: int, length: int) -> None:
        """Write zeros; the padding of a fragment, a table that is not used yet."""
        while length > 0:
            count = min(length, len(_ZEROS))
            self.write(offset, memoryview(_ZEROS)[:count], count)
            offset, length = offset + count, length - count

    def flush(self) -> None:
        """Bring what was gathered to the storage."""
        if self._pieces and self._descriptor is not None:
            fd, base = self._descriptor
            length = self._end - self._start
            if self._end > self._storage.size or os.pwritev(fd, self._pieces, base + self._start) != length:
                # A short write, rare on files: the storage's own loop finishes it, and it says what is out of range.
                self._storage.write_at(self._start, b"".join(self._pieces))
        self._pieces.clear()
        self._start = self._end = 0

    def copy_from(self, fd: int, start: int, offset: int, length: int) -> int:
        """Copy ``length`` bytes of the file ``fd`` from ``start`` to ``offset``; fewer if the file ends before."""
        done = self._share(fd, start, offset, length)
        self._reserve(offset + done, length - done)
        # Two copies within the processor's cache are faster than the kernel's copy_file_range, which goes by pages.
        buffer = self._buffer = self._buffer or memoryview(bytearray(_CHUNK))
        while done < length:
            # Writes that end where a page of any size could make the host's cache use large ones.
            aligned = _CHUNK - (offset + done) % _CHUNK
            count = os.preadv(fd, [buffer[: min(aligned, length - done)]], start + done)
            if count == 0:
                break
            self._storage.write_at(offset + done, buffer[:count])
            done += count
        return done

    def _reserve(self, offset: int, length: int) -> None:
        """Have the host's file system find the space for a large piece at once, instead of page by page."""
        if self._descriptor is None or not self._reserves or length < _LARGE or offset + length > self._storage.size:
            return
        out, base = self._descriptor
        try:
            fcntl.ioctl(out, _FS_IOC_RESVSP, struct.pack("@hhqqiI4i", 0, os.SEEK_SET, base + offset, length, *[0] * 6))
        except OSError:  # it cannot, or has no room, of which the writing will tell
            self._reserves = False

    def _share(self, fd: int, start: int, offset: int, length: int) -> int:
        """How many bytes the two files share now, where the host's file system can do that: nothing is copied."""
        if self._descriptor is None or not self._shares or offset + length > self._storage.size:
            return 0
        out, base = self._descriptor
        length -= length % _ALIGNMENT
        if not length or start % _ALIGNMENT or (base + offset) % _ALIGNMENT:
            return 0
        try:
            fcntl.ioctl(out, _FICLONERANGE, struct.pack("@qQQQ", fd, start, length, base + offset))
        except OSError:  # another file system, one that cannot, or a file that ends before: copying finds out
            self._shares = False
            return 0
        return length


class MemoryContent:
    """Bytes at hand."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def data(self) -> bytes:
        """The bytes."""
        return self._data

    def ranges(self, size: int) -> list[tuple[int, int]]:
        """All of it."""
        return [(0, size)]

    def read(self, size: int) -> bytes:  # noqa: ARG002 -- protocol
        """All of it."""
        return self._data

    def copy(self, pieces: Sequence[tuple[int, int, int]], size: int, target: Target) -> None:  # noqa: ARG002 -- protocol
        """Write each piece."""
        view = memoryview(self._data)
        for start, length, offset in pieces:
            target.write(offset, view[start : start + length], length)


class FileContent:
    """A file of the host, opened when it is copied."""

    __slots__ = ("_path",)

    def __init__(self, path: bytes) -> None:
        self._path = path

    def ranges(self, size: int) -> list[tuple[int, int]]:
        """What ``SEEK_DATA`` finds; all of it where the host's file system does not say."""
        fd = os.open(self._path, _READ)
        try:
            return data_ranges(fd, size)
        finally:
            os.close(fd)

    def read(self, size: int) -> bytes:
        """All of it, in one read."""
        fd = os.open(self._path, _READ)
        try:
            data = os.read(fd, size + 1)  # one byte more than there should be, to see a file that grew
        finally:
            os.close(fd)
        if len(data) != size:
            raise self._changed(size, len(data))
        return data

    def copy(self, pieces: Sequence[tuple[int, int, int]], size: int, target: Target) -> None:
        """Write each piece."""
        fd = os.open(self._path, _READ)
        try:
            now = os.fstat(fd).st_size
            if now != size:
                raise self._changed(size, now)
            for start, length, offset in pieces:
                done = target.copy_from(fd, start, offset, length)
                if done != length:
                    raise self._changed(size, start + done)
        finally:
            os.close(fd)

    def _changed(self, expected: int, actual: int) -> SourceChangedError:
        return SourceChangedError(
            "the file changed while it was read", member=os.fsdecode(self._path), expected=expected, actual=actual
        )


def data_ranges(fd: int, size: int) -> list[tuple[int, int]]:
    """The parts of an open file that hold data; all of it where the host's file system does not say."""
    found: list[tuple[int, int]] = []
    position = 0
    while position < size:
        try:
            start = os.lseek(fd, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole from here on
                break
            return [(0, size)]
        end = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        found.append((start, end))
        position = end
    return found


class SliceContent:
    """Parts of one open file: a member of an archive. ``parts`` are ``(start in the member, length, offset)``."""

    __slots__ = ("_fd", "_member", "_parts")

    def __init__(self, fd: int, parts: list[tuple[int, int, int]], member: str) -> None:
        self._fd, self._parts, self._member = fd, parts, member

    def ranges(self, size: int) -> list[tuple[int, int]]:  # noqa: ARG002 -- protocol
        """The parts the archive holds."""
        return [(start, start + length) for start, length, _ in self._parts if length]

    def read(self, size: int) -> bytes:
        """All of it, zeros where the member has a hole."""
        data = bytearray(size)
        for start, length, source in self._parts:
            part = os.pread(self._fd, length, source)
            if len(part) != length:
                raise SourceChangedError("the archive ends early", member=self._member)
            data[start : start + length] = part
        return bytes(data)

    def copy(self, pieces: Sequence[tuple[int, int, int]], size: int, target: Target) -> None:  # noqa: ARG002 -- protocol
        """Write each piece, and zeros where a piece covers a hole of the member."""
        for start, length, offset in pieces:
            position = start
            for part_start, part_length, source in self._parts:
                low, high = max(position, part_start), min(start + length, part_start + part_length)
                if low >= high:
                    continue
                target.zero(offset + position - start, low - position)
                done = target.copy_from(self._fd, source + low - part_start, offset + low - start, high - low)
                if done != high - low:
                    raise SourceChangedError("the archive ends early", member=self._member)
                position = high
            target.zero(offset + position - start, start + length - position)


def parts_of(data: Buffer | Readable | os.PathLike[str], size: int) -> Iterator[tuple[int, memoryview]]:
    """Pieces ``(where it starts, its bytes)`` of ``size`` bytes or fewer, in order.

    Holes of a file of the host, given by its path, are left out; if it ends in one, the last piece is empty.
    """
    if isinstance(data, os.PathLike):
        yield from _parts_of_host_file(data, size)
    elif _is_readable(data):
        buffer, start = bytearray(size), 0
        while count := _fill(data, memoryview(buffer)):
            yield start, memoryview(buffer)[:count]
            start += count
    else:
        view = memoryview(data).cast("B")
        for start in range(0, len(view), size):
            yield start, view[start : start + size]


def _is_readable(data: Buffer | Readable) -> TypeIs[Readable]:
    # Not by isinstance: since Python 3.12 that does not see the methods a temporary file hands on.
    return callable(getattr(data, "read", None))


def _parts_of_host_file(path: os.PathLike[str], size: int) -> Iterator[tuple[int, memoryview]]:
    with open(path, "rb", buffering=0) as file:
        total = os.fstat(file.fileno()).st_size
        buffer = memoryview(bytearray(size))
        for first, end in data_ranges(file.fileno(), total):
            for start in range(first, end, size):
                file.seek(start)
                part = buffer[: min(size, end - start)]
                if _fill(file, part) != len(part):
                    raise SourceChangedError("the file changed while it was read", member=os.fspath(path))
                yield start, part
        yield total, memoryview(b"")


def _fill(file: Readable, buffer: memoryview) -> int:
    """Read as much as fits and is there."""
    done = 0
    while part := file.read(len(buffer) - done):
        buffer[done : done + len(part)] = part
        done += len(part)
    return done


def runs_without_zeros(data: memoryview, block: int) -> Iterator[tuple[int, int]]:
    """The runs ``[start, end)`` of whole blocks of ``data`` that are not all zeros; its last block may be short."""
    zeros = bytes(block)
    first = None
    for start in range(0, len(data), block):
        end = min(start + block, len(data))
        if data[start:end] == zeros[: end - start]:
            if first is not None:
                yield first, start
                first = None
        elif first is None:
            first = start
    if first is not None:
        yield first, len(data)
