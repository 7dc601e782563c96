"""A file system wherever it is: a raw disk, a qcow2 image, either of them or a volume compressed, a partition of it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, BinaryIO, TypedDict, Unpack

from cloudboot_base import Storage, Window, open_storage

from .compression import MAGIC_SIZE, decoder_for, decompressed
from .constants import QCOW2_MAGIC
from .errors import ImageTruncatedError, UnsupportedError
from .partition import Place, locate
from .reader import UFS2

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator

    from typing_extensions import Buffer

    from .partition import TableReader

    Source = str | os.PathLike[str] | BinaryIO | Buffer | Storage


class Where(TypedDict, total=False):
    """How to find and reach the file system in a source."""

    offset: int | None  #: where it starts in the disk, in bytes; by default it is looked for
    size: int | None  #: how long it is; by default, all that follows
    partition: int | None  #: the number of its partition; by default the first that holds UFS, or the whole disk
    readers: Iterable[TableReader]  #: what reads partition tables; by default nothing does
    folder: str | os.PathLike[str] | None  #: where the nameless file for a compressed disk is made; by default TMPDIR
    keep_free: bool  #: whether that file also keeps what the file system calls free
    limit: int | None  #: how many bytes it may take
    progress: Callable[[int], None] | None  #: told how many bytes of a compressed source have been read


@contextlib.contextmanager
def open_volume(source: Source, **where: Unpack[Where]) -> Iterator[Storage]:
    """The bytes of the file system in ``source``, as storage.

    ``source`` is a path, a binary file, a buffer or a storage: a raw disk or volume, one compressed with gzip, xz, zstd
    or bzip2, or a qcow2 image. :class:`Where` lists the other arguments.

    Raises:
        PartitionError: no UFS could be found.
        ContainerError: the qcow2 image or the compressed stream is damaged.
        UnsupportedError: a kind of qcow2 image that is not read, or Zstandard without its module.
        ImageTruncatedError: the disk ends before the file system.
        OSError: the source cannot be read.
    """
    offset, size = where.get("offset"), where.get("size")

    def place_in(disk: Storage) -> Place:
        if offset is not None or size is not None:
            return Place(offset or 0, size)
        return locate(disk, number=where.get("partition"), readers=where.get("readers", ()))

    with contextlib.ExitStack() as stack:
        stored = stack.enter_context(open_storage(source)).storage
        head = stored.read_at(0, min(MAGIC_SIZE, stored.size))
        make = decoder_for(head)
        if make is not None:
            import tempfile  # which, like the rest, only a compressed disk needs

            from .spool import spool

            spooled = stack.enter_context(tempfile.TemporaryFile(dir=where.get("folder")))
            pieces = decompressed(_Sequential(stored), make, where.get("progress"))
            yield spool(
                _raw(pieces),
                spooled.fileno(),
                place_in,
                everything=where.get("keep_free", False),
                limit=where.get("limit"),
            )
            return
        disk: Storage = stored
        if head.startswith(QCOW2_MAGIC):
            from .qcow2 import Qcow2

            disk = Qcow2(stored)
        yield window(disk, place_in(disk))


@contextlib.contextmanager
def open_image(source: Source, *, verify: bool = True, **where: Unpack[Where]) -> Iterator[UFS2]:
    """The file system in ``source``; the other arguments and errors are those of :func:`open_volume`.

    ``verify`` says whether check-hashes are compared where the file system has them.
    """
    with open_volume(source, **where) as storage, UFS2(storage, verify=verify) as volume:
        yield volume


def window(disk: Storage, place: Place) -> Storage:
    """The part of a disk at ``place``.

    Raises:
        ImageTruncatedError: it is not all there.
    """
    if place == Place(0, None):
        return disk
    length = disk.size - place.offset if place.size is None else place.size
    if place.offset < 0 or length < 0 or place.offset + length > disk.size:
        raise ImageTruncatedError(
            "the image ends before the file system", expected=place.offset + max(0, length), actual=disk.size
        )
    return Window(disk, place.offset, length)


def _raw(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """``pieces``, unless they are something that would have to be unpacked once more."""
    first = next(pieces, b"")
    if first.startswith(QCOW2_MAGIC):
        raise UnsupportedError("a compressed qcow2 image", hint="decompress it; a qcow2 image can be read as it is")
    yield first
    yield from pieces


class _Sequential:
    """A storage read from front to back."""

    def __init__(self, storage: Storage) -> None:
        self._storage, self._position = storage, 0

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes."""
        data = self._storage.read_at(self._position, max(0, min(size, self._storage.size - self._position)))
        self._position += len(data)
        return data
