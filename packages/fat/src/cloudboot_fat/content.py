"""What goes into a file: bytes, a storage, or a file of the host; and zeros."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from cloudboot_base import MemoryStorage, Storage
from cloudboot_base.copying import copy_from_file
from cloudboot_base.storage import chunks, open_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

    from cloudboot_base import WritableStorage

    #: A host path, bytes, or any storage.
    Content = str | os.PathLike[str] | Buffer | Storage

_ZEROS = bytes(1 << 20)


class Source(Protocol):
    """Readable content of a known size."""

    @property
    def size(self) -> int:
        """Size in bytes."""

    def copy_to(
        self, storage: WritableStorage, offset: int, start: int, count: int, *, skip_holes: bool = False
    ) -> None:
        """Write ``count`` bytes from ``start`` on to ``offset`` of a storage."""


class _FileSource:
    """A file of the host."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd, self.size = fd, size

    def copy_to(
        self, storage: WritableStorage, offset: int, start: int, count: int, *, skip_holes: bool = False
    ) -> None:
        copy_from_file(self._fd, storage, offset, count, source_offset=start, skip_holes=skip_holes)


class _StorageSource:
    """Any storage."""

    def __init__(self, storage: Storage) -> None:
        self._storage, self.size = storage, storage.size

    def copy_to(
        self, storage: WritableStorage, offset: int, start: int, count: int, *, skip_holes: bool = False
    ) -> None:
        for piece in chunks(self._storage, start, count):
            if not skip_holes or piece.count(0) < len(piece):
                storage.write_at(offset, piece)
            offset += len(piece)


@contextmanager
def open_content(content: Content) -> Iterator[Source]:
    """The content as a source, for as long as the block lasts.

    Raises:
        OSError: the host refuses.
        FileKindError: not an ordinary file.
    """
    if not isinstance(content, str | os.PathLike):
        yield _StorageSource(as_storage(content))
        return
    fd = open_file(content)
    try:
        yield _FileSource(fd, os.fstat(fd).st_size)
    finally:
        os.close(fd)


def as_storage(content: Buffer | Storage) -> Storage:
    """Bytes as a storage; a storage as it is."""
    return content if isinstance(content, Storage) else MemoryStorage(content)


def zero(storage: WritableStorage, offset: int, size: int) -> None:
    """Write zeros."""
    for start in range(offset, offset + size, len(_ZEROS)):
        storage.write_at(start, memoryview(_ZEROS)[: offset + size - start])
