"""Bytes at offsets: the one way format packages reach a file, a mapping, or a slice of either.

A *storage* is anything with ``size``, ``read_at`` and ``readinto_at``; a writable one adds ``write_at``. File
systems take one and neither know nor care whether it is a file, a memfd, a partition or a block device.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import mmap
import os
import re
import stat
import sys
from typing import TYPE_CHECKING, BinaryIO, Protocol, Self, runtime_checkable

from .errors import BudgetError, FileKindError, RangeError, TruncatedError, name_file, name_write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

COPY_CHUNK = 1 << 20
_BLKSSZGET = 0x1268  # linux/fs.h: _IO(0x12, 104)


@runtime_checkable
class Storage(Protocol):
    """Readable bytes of a known size."""

    @property
    def size(self) -> int:
        """Size in bytes."""

    def read_at(self, offset: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``offset``; :class:`TruncatedError` if they are not all there."""

    def readinto_at(self, offset: int, buffer: Buffer) -> None:
        """Fill ``buffer`` from ``offset``; :class:`TruncatedError` if the storage ends first."""


@runtime_checkable
class WritableStorage(Storage, Protocol):
    """Storage that can be written in place."""

    def write_at(self, offset: int, data: Buffer) -> None:
        """Write all of ``data`` at ``offset``; :class:`RangeError` if it would pass the end."""


def _check(offset: int, count: int, size: int) -> None:
    if offset < 0 or count < 0 or offset + count > size:
        raise TruncatedError(
            "the read passes the end", offset=offset, expected=count, actual=max(0, min(count, size - offset))
        )


def _check_write(offset: int, count: int, size: int) -> None:
    if offset < 0 or offset + count > size:
        raise RangeError(
            "the write passes the end", offset=offset, expected=f"at most {max(0, size - offset)} bytes", actual=count
        )


_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}


def open_file(path: str | os.PathLike[str], *, writable: bool = False, device: bool = False) -> int:
    """Open an ordinary file, with ``device`` also a block device, and give its descriptor.

    A pipe without a writer does not hold up the caller, and a device that never ends is not read: nothing but a file
    is opened for longer than it takes to see what it is.

    Raises:
        FileKindError: the path names something else.
        OSError: it cannot be opened.
    """
    flags = (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    try:
        fd = os.open(path, flags)
    except IsADirectoryError:
        raise _wrong_kind(stat.S_IFDIR, path) from None
    try:
        _require_kind(fd, path, device=device)
        os.set_blocking(fd, True)
    except BaseException:
        os.close(fd)
        raise
    return fd


_INHERITED = re.compile(r"/(?:dev/fd|proc/self/fd)/([0-9]{1,9})|/dev/stdin")


def inherited(path: str | os.PathLike[str]) -> int | None:
    """The descriptor that a path such as ``/dev/fd/63`` names, which this process was started with; else ``None``.

    A shell's ``<(command)`` is such a path. Opened by its name, a pipe would no longer show that its writer has gone.
    """
    found = _INHERITED.fullmatch(os.fsdecode(path))
    return None if found is None else int(found[1] or 0)


def read_file(path: str | os.PathLike[str], limit: int) -> bytes:
    """All of an ordinary file of at most ``limit`` bytes.

    Raises:
        BudgetError: the file is larger.
        FileKindError: the path names a directory, a pipe, a socket or a device.
        OSError: the file cannot be read.
    """
    with open(open_file(path), "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        size = os.path.getsize(path)
        raise BudgetError("the file is too large", path=os.fsdecode(path), expected=f"at most {limit}", actual=size)
    return data


def _require_kind(fd: int, path: str | os.PathLike[str] | None, *, device: bool) -> None:
    kind = stat.S_IFMT(os.fstat(fd).st_mode)
    if kind != stat.S_IFREG and not (device and kind == stat.S_IFBLK):
        raise _wrong_kind(kind, path)


def _wrong_kind(kind: int, path: str | os.PathLike[str] | None) -> FileKindError:
    return FileKindError(
        f"this is {_KINDS.get(kind, 'not a file')}, and an ordinary file is needed",
        path=None if path is None else os.fsdecode(path),
    )


def _file_size(fd: int) -> int:
    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode):
        return status.st_size
    _require_kind(fd, None, device=True)
    # st_size is 0 for a block device. The position may be a file object's: it is put back.
    position = os.lseek(fd, 0, os.SEEK_CUR)
    size = os.lseek(fd, 0, os.SEEK_END)
    os.lseek(fd, position, os.SEEK_SET)
    return size


class FileStorage:
    """A file descriptor as storage. Positional reads and writes, so threads do not disturb one another."""

    def __init__(self, fd: int, size: int | None = None) -> None:
        self._fd = fd
        self._size = _file_size(fd) if size is None else size

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self._size

    def fileno(self) -> int:
        """The file descriptor; it stays its owner's.

        Raises:
            ValueError: it has been closed.
        """
        if self._fd < 0:
            raise ValueError("the storage is closed")
        return self._fd

    def close(self) -> None:
        """Close the descriptor; whatever still uses the storage gets an error, never another file's bytes."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def read_at(self, offset: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``offset``."""
        _check(offset, size, self._size)
        data = os.pread(self.fileno(), size, offset)
        if len(data) == size:
            return data
        whole = bytearray(size)
        whole[: len(data)] = data
        self.readinto_at(offset + len(data), memoryview(whole)[len(data) :])
        return bytes(whole)

    def readinto_at(self, offset: int, buffer: Buffer) -> None:
        """Fill ``buffer`` from ``offset``.

        Raises:
            TruncatedError: the file ends before ``buffer`` is full.
        """
        view = memoryview(buffer).cast("B")
        _check(offset, len(view), self._size)
        done = 0
        while done < len(view):
            count = os.preadv(self.fileno(), [view[done:]], offset + done)
            if count == 0:
                raise TruncatedError("the file ends early", offset=offset + done, expected=len(view), actual=done)
            done += count

    def write_at(self, offset: int, data: Buffer) -> None:
        """Write all of ``data`` at ``offset``."""
        view = memoryview(data).cast("B")
        _check_write(offset, len(view), self._size)
        write_all(self.fileno(), view, offset)


def write_all(fd: int, data: memoryview, offset: int) -> None:
    """Write all of ``data``, a view of bytes, at ``offset`` of a file."""
    while data:
        count = os.pwrite(fd, data, offset)
        data, offset = data[count:], offset + count


class MemoryStorage:
    """A buffer (bytes, bytearray, mmap, memoryview) as storage; writable if the buffer is."""

    def __init__(self, buffer: Buffer) -> None:
        self._view = memoryview(buffer).cast("B")

    @property
    def size(self) -> int:
        """Size in bytes."""
        return len(self._view)

    @property
    def view(self) -> memoryview:
        """The bytes themselves, not copied."""
        return self._view

    def read_at(self, offset: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``offset``."""
        _check(offset, size, len(self._view))
        return bytes(self._view[offset : offset + size])

    def readinto_at(self, offset: int, buffer: Buffer) -> None:
        """Fill ``buffer`` from ``offset``."""
        target = memoryview(buffer).cast("B")
        _check(offset, len(target), len(self._view))
        target[:] = self._view[offset : offset + len(target)]

    def write_at(self, offset: int, data: Buffer) -> None:
        """Write all of ``data`` at ``offset``.

        Raises:
            RangeError: the data passes the end of the buffer.
            io.UnsupportedOperation: the buffer is read-only.
        """
        source = memoryview(data).cast("B")
        _check_write(offset, len(source), len(self._view))
        if self._view.readonly:
            raise io.UnsupportedOperation("the buffer is read-only")
        self._view[offset : offset + len(source)] = source


class Window:
    """``size`` bytes of another storage, from ``offset`` on: a partition of a disk, say."""

    def __init__(self, storage: Storage, offset: int, size: int) -> None:
        _check(offset, size, storage.size)
        # A window into a window reaches the storage itself, so that nesting costs nothing.
        if isinstance(storage, Window):
            offset += storage.offset
            storage = storage.storage
        self._storage = storage
        self._offset = offset
        self._size = size

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self._size

    @property
    def storage(self) -> Storage:
        """The storage the window looks into."""
        return self._storage

    @property
    def offset(self) -> int:
        """Where the window starts in :attr:`storage`, in bytes."""
        return self._offset

    def read_at(self, offset: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``offset``."""
        _check(offset, size, self._size)
        return self._storage.read_at(self._offset + offset, size)

    def readinto_at(self, offset: int, buffer: Buffer) -> None:
        """Fill ``buffer`` from ``offset``."""
        _check(offset, memoryview(buffer).nbytes, self._size)
        self._storage.readinto_at(self._offset + offset, buffer)

    def write_at(self, offset: int, data: Buffer) -> None:
        """Write all of ``data`` at ``offset``.

        Raises:
            RangeError: the data passes the end of the window.
            io.UnsupportedOperation: the storage is read-only.
        """
        _check_write(offset, memoryview(data).nbytes, self._size)
        if not isinstance(self._storage, WritableStorage):
            raise io.UnsupportedOperation("the storage is read-only")
        self._storage.write_at(self._offset + offset, data)


class StorageFile(io.RawIOBase):
    """A storage as an ordinary seekable binary file object of fixed size."""

    def __init__(self, storage: Storage, *, writable: bool = False) -> None:
        if writable and not isinstance(storage, WritableStorage):
            raise io.UnsupportedOperation("the storage is read-only")
        self._storage, self._writable, self._position = storage, writable, 0

    def readable(self) -> bool:
        """Always true."""
        return True

    def seekable(self) -> bool:
        """Always true."""
        return True

    def writable(self) -> bool:
        """Whether writing was asked for."""
        return self._writable

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to ``offset``; the same rules as :meth:`io.IOBase.seek`.

        Raises:
            ValueError: ``whence`` is unknown, or the new position is negative.
        """
        bases = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._storage.size}
        if whence not in bases:
            raise ValueError(f"invalid whence {whence}")
        base = bases[whence]
        if base + offset < 0:
            raise ValueError(f"negative seek position {base + offset}")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """The position, in bytes."""
        return self._position

    def readinto(self, buffer: Buffer, /) -> int:
        """Read as much as fits and is there; 0 at the end."""
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self._storage.size - self._position))
        if count:
            self._storage.readinto_at(self._position, view[:count])
            self._position += count
        return count

    def write(self, data: Buffer, /) -> int:
        """Write at the position; the file does not grow.

        Raises:
            RangeError: the data passes the end of the storage.
            io.UnsupportedOperation: the storage is read-only.
        """
        if not self._writable or not isinstance(self._storage, WritableStorage):
            raise io.UnsupportedOperation("write")
        view = memoryview(data).cast("B")
        self._storage.write_at(self._position, view)
        self._position += len(view)
        return len(view)


class Opened(contextlib.AbstractContextManager["Opened"]):
    """A storage together with what must be closed after it.

    As a context, it adds the path to a :class:`~cloudboot_base.FormatError` that passes through and names no file, and
    to an error of the system that only a write ends with if the storage is open for writing.
    """

    def __init__(
        self,
        storage: Storage,
        stack: contextlib.ExitStack,
        path: str | os.PathLike[str] | None = None,
        *,
        writable: bool = False,
    ) -> None:
        self.storage, self.path, self._stack, self._writable = storage, path, stack, writable

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self.path is not None:
            name_file(error, self.path)
            if self._writable:
                name_write(error, self.path)
        self.close()

    def close(self) -> None:
        """Close the file if :func:`open_storage` opened one."""
        self._stack.close()


def open_storage(source: str | os.PathLike[str] | BinaryIO | Buffer | Storage, *, writable: bool = False) -> Opened:
    """Take a path, a real binary file, a buffer or a storage, and give a storage.

    Raises:
        FileKindError: the path names a directory, a pipe, a socket or a character device.
        OSError: the path cannot be opened.
        io.UnsupportedOperation: a file object without a descriptor, or one that is not writable when it must be.
    """
    with contextlib.ExitStack() as stack:
        storage = _storage_of(source, stack, writable=writable)
        if writable and not _takes_writes(storage):
            raise io.UnsupportedOperation("the storage is read-only")
        path = source if isinstance(source, str | os.PathLike) else None
        return Opened(storage, stack.pop_all(), path, writable=writable)


def _storage_of(
    source: str | os.PathLike[str] | BinaryIO | Buffer | Storage, stack: contextlib.ExitStack, *, writable: bool
) -> Storage:
    if isinstance(source, str | os.PathLike):
        fd = open_file(source, writable=writable, device=True)
        try:
            opened = FileStorage(fd)
        except BaseException:
            os.close(fd)
            raise
        stack.callback(opened.close)
        return opened
    if isinstance(source, Storage):
        return source
    if isinstance(source, bytes | bytearray | memoryview | mmap.mmap):
        return MemoryStorage(source)
    if isinstance(source, io.BytesIO):
        return MemoryStorage(source.getbuffer())
    if _is_compressed(source):
        raise io.UnsupportedOperation("a compressed file has no bytes at offsets; unpack it first")
    if hasattr(source, "fileno"):
        if hasattr(source, "flush"):
            source.flush()  # what the file object still holds back is part of the file
        return FileStorage(source.fileno())
    return MemoryStorage(source)


def _is_compressed(source: object) -> bool:
    import bz2  # here: few programs that open a path need any of them
    import gzip
    import lzma

    return isinstance(source, gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile)


def _takes_writes(storage: Storage) -> bool:
    place = descriptor_of(storage)
    if place is not None:
        return fcntl.fcntl(place[0], fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
    view = view_of(storage)
    if view is not None:
        return not view.readonly
    return isinstance(storage, WritableStorage)


def view_of(storage: Storage) -> memoryview | None:
    """The bytes of ``storage`` without a copy, where it is memory; ``None`` where it is not."""
    if isinstance(storage, MemoryStorage):
        return storage.view
    if isinstance(storage, Window):
        inner = view_of(storage.storage)
        return None if inner is None else inner[storage.offset : storage.offset + storage.size]
    return None


def chunks(storage: Storage, offset: int = 0, size: int | None = None, chunk: int = COPY_CHUNK) -> Iterator[bytes]:
    """The bytes of ``storage`` in pieces of at most ``chunk``. Holes of a file are zeros without being read."""
    end = storage.size if size is None else offset + size
    zeros = b""
    for start, count, is_data in _stretches(storage, offset, end):
        for at in range(start, start + count, chunk):
            length = min(chunk, start + count - at)
            if is_data:
                yield storage.read_at(at, length)
            else:
                zeros = zeros or bytes(chunk)
                yield zeros if length == chunk else bytes(length)


def _stretches(storage: Storage, offset: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """What of a storage is data and what is a hole: ``(start, length, is_data)``, in order."""
    behind = file_behind(storage)
    while offset < end:
        data = hole = None
        if behind is not None and end - offset > COPY_CHUNK:
            data, hole = _next_data(behind[0].fileno(), behind[1] + offset, behind[1] + end)
        if data is None or hole is None:
            yield offset, end - offset, True
            return
        data, hole = data - (behind[1] if behind else 0), hole - (behind[1] if behind else 0)
        if data > offset:
            yield offset, data - offset, False
        if hole > data:
            yield data, hole - data, True
        offset = hole


def _next_data(fd: int, start: int, end: int) -> tuple[int, int] | tuple[None, None]:
    """Where the next data of a file begins and ends, no further than ``end``; ``None`` if the system cannot tell."""
    if os.fstat(fd).st_size < end:  # a missing end must be noticed, not taken for a hole
        return None, None
    try:
        position = os.lseek(fd, 0, os.SEEK_CUR)  # it may be a file object's: it is put back
        try:
            data = os.lseek(fd, start, os.SEEK_DATA)
            hole = os.lseek(fd, data, os.SEEK_HOLE)
        finally:
            os.lseek(fd, position, os.SEEK_SET)
    except OSError as error:
        return (end, end) if error.errno == errno.ENXIO else (None, None)  # ENXIO: only a hole remains
    return min(data, end), min(hole, end)


def is_block_device(path: str | os.PathLike[str]) -> bool:
    """Whether ``path`` names a block device, whose content is overwritten where a file would be made."""
    try:
        return stat.S_ISBLK(os.stat(path).st_mode)
    except OSError:
        return False


def logical_block_size(storage: Storage) -> int | None:
    """The logical block size of the device behind ``storage`` (BLKSSZGET); ``None`` where it is not a device."""
    found = descriptor_of(storage)
    if found is None or not stat.S_ISBLK(os.fstat(found[0]).st_mode):
        return None
    return int.from_bytes(fcntl.ioctl(found[0], _BLKSSZGET, bytes(4)), sys.byteorder)


def file_behind(storage: Storage) -> tuple[FileStorage, int] | None:
    """The file behind ``storage`` and where the storage starts in it, or ``None`` if there is none.

    Who keeps it has to ask its :meth:`~FileStorage.fileno` each time, so as to find out that it has been closed.
    """
    if isinstance(storage, FileStorage):
        return storage, 0
    if isinstance(storage, Window):
        inner = file_behind(storage.storage)
        return None if inner is None else (inner[0], inner[1] + storage.offset)
    return None


def descriptor_of(storage: Storage) -> tuple[int, int] | None:
    """The file descriptor behind ``storage`` and where the storage starts in it, or ``None`` if it is not a file."""
    found = file_behind(storage)
    return None if found is None else (found[0].fileno(), found[1])
