"""What goes into files: bytes, files of the host, pieces of an archive."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Protocol

from cloudboot_base import TruncatedError
from cloudboot_base.copying import copy_from_file
from cloudboot_base.storage import chunks
from cloudboot_ntfs.errors import SourceChangedError, SourceError

if TYPE_CHECKING:
    from cloudboot_base import Storage, WritableStorage


class Content(Protocol):
    """Bytes of a known size."""

    @property
    def size(self) -> int:
        """Size in bytes."""

    def read(self) -> bytes:
        """All of them; asked for small files only."""

    def data_ranges(self) -> list[tuple[int, int]] | None:
        """Where the parts that are not holes are: ``(offset, length)``; ``None``: there are no holes."""

    def copy_to(self, target: WritableStorage, offset: int, start: int, count: int) -> None:
        """Write ``count`` bytes from ``start`` on to ``offset`` of ``target``."""


class MemoryContent:
    """Bytes in memory."""

    __slots__ = ("_data", "size")

    def __init__(self, data: bytes) -> None:
        self._data, self.size = data, len(data)

    def read(self) -> bytes:
        """All of them."""
        return self._data

    def data_ranges(self) -> None:
        """There are no holes."""
        return

    def copy_to(self, target: WritableStorage, offset: int, start: int, count: int) -> None:
        """Write a part to ``target``."""
        target.write_at(offset, memoryview(self._data)[start : start + count])


class HoleContent:
    """Zeros that take no clusters."""

    def __init__(self, size: int) -> None:
        self.size = size

    def read(self) -> bytes:
        """All of them."""
        return bytes(self.size)

    def data_ranges(self) -> list[tuple[int, int]]:
        """Everything is a hole."""
        return []

    def copy_to(self, target: WritableStorage, offset: int, start: int, count: int) -> None:
        """Write zeros, where they are to be stored."""
        del start
        target.write_at(offset, bytes(count))


class StorageContent:
    """A storage: part of an archive, say."""

    def __init__(self, storage: Storage, offset: int = 0, size: int | None = None) -> None:
        self._storage, self._offset = storage, offset
        self.size = storage.size - offset if size is None else size

    def read(self) -> bytes:
        """All of them."""
        return self._storage.read_at(self._offset, self.size)

    def data_ranges(self) -> list[tuple[int, int]] | None:
        """There are no holes that are known."""
        return None

    def copy_to(self, target: WritableStorage, offset: int, start: int, count: int) -> None:
        """Write a part to ``target``."""
        for piece in chunks(self._storage, self._offset + start, count):
            target.write_at(offset, piece)
            offset += len(piece)


class FileContent:
    """A file of the host; it must not change while it is copied."""

    __slots__ = ("_has_holes", "_mtime_ns", "_path", "size")

    def __init__(self, path: str, size: int, mtime_ns: int, *, has_holes: bool) -> None:
        self._path, self.size, self._mtime_ns, self._has_holes = path, size, mtime_ns, has_holes

    def read(self) -> bytes:
        """All of them.

        Raises:
            SourceChangedError: the file is another size than it was, or was written to.
        """
        fd = self._open()
        try:
            data = os.pread(fd, self.size + 1, 0)
            if len(data) != self.size:
                raise self._changed(len(data))
            self._require_unchanged(fd)
            return data
        finally:
            os.close(fd)

    def data_ranges(self) -> list[tuple[int, int]] | None:
        """The parts that are not holes, where the host says."""
        if not self._has_holes:
            return None
        fd = self._open()
        try:
            found, position = [], 0
            while position < self.size:
                try:
                    start = os.lseek(fd, position, os.SEEK_DATA)
                except OSError as error:
                    if error.errno == errno.ENXIO:
                        break
                    return None
                end = min(self.size, os.lseek(fd, start, os.SEEK_HOLE))
                found.append((start, end - start))
                position = end
            return found
        finally:
            os.close(fd)

    def copy_to(self, target: WritableStorage, offset: int, start: int, count: int) -> None:
        """Write a part to ``target``, by the kernel where it can.

        Raises:
            SourceChangedError: the file is another size than it was, or was written to.
        """
        fd = self._open()
        try:
            copy_from_file(fd, target, offset, count, source_offset=start)
            self._require_unchanged(fd)
        except TruncatedError as error:
            raise SourceChangedError(
                "became shorter while it was read", member=self._path, expected=count, actual=error.actual
            ) from None
        finally:
            os.close(fd)

    def _require_unchanged(self, fd: int) -> None:
        now = os.fstat(fd)
        if now.st_size != self.size or now.st_mtime_ns != self._mtime_ns:
            raise self._changed(now.st_size)

    def _changed(self, size: int) -> SourceChangedError:
        return SourceChangedError("changed while it was read", member=self._path, expected=self.size, actual=size)

    def _open(self) -> int:
        fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise SourceError("not an ordinary file any more", member=self._path)
        return fd
