"""A file system wherever it is: on a raw or compressed disk, in a qcow2 or VHD image, in a partition of it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, BinaryIO, TypedDict, Unpack

from cloudboot_base import Storage, open_storage
from cloudboot_disk_image import Place, in_place, open_disk, stated_place, window
from cloudboot_disk_image.opening import decompressed_disk

from .partition import find_volume
from .reader import UFS2

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator

    from typing_extensions import Buffer

    from cloudboot_disk_image import PartitionReader

    Source = str | os.PathLike[str] | BinaryIO | Buffer | Storage


class Where(TypedDict, total=False):
    """How to find and reach the file system in a source."""

    offset: int | None  #: where it starts in the disk, in bytes; by default it is looked for
    size: int | None  #: how long it is; by default, all that follows
    partition: (
        str | int | None
    )  #: number, name, GUID or type of its partition; by default the first that holds UFS, or the whole disk
    readers: Iterable[PartitionReader]  #: what reads partition tables; by default nothing does
    folder: str | os.PathLike[str] | None  #: where the nameless file for a compressed disk is made; by default TMPDIR
    keep_free: bool  #: whether that file also keeps what the file system calls free
    limit: int | None  #: how many bytes it may take
    progress: Callable[[int], None] | None  #: told how many bytes of a compressed source have been read


@contextlib.contextmanager
def open_volume(source: Source, **where: Unpack[Where]) -> Iterator[Storage]:
    """The bytes of the file system in ``source``, as storage.

    ``source`` is a path, a binary file, a buffer or a storage: a raw disk or volume, or a qcow2 or VHD image, each also
    compressed with gzip, xz, zstd or bzip2. :class:`Where` lists the other arguments.

    Raises:
        PartitionError: no UFS could be found.
        ContainerError: the image or the compressed stream is damaged, or the disk ends before the file system.
        UnsupportedContainerError: a container of a kind that is not read, or Zstandard without its module.
        UsageError: both a partition and a place are given.
        OSError: the source cannot be read.
    """
    partition = where.get("partition")
    stated = stated_place(where.get("offset"), where.get("size"), partition)

    def place_in(disk: Storage) -> Place:
        return stated or find_volume(disk, partition=partition, readers=where.get("readers", ()))

    with contextlib.ExitStack() as stack:
        stored = stack.enter_context(open_storage(source)).storage
        disk = in_place(stored)
        pieces = decompressed_disk(stored, where.get("progress")) if disk is None else None
        if pieces is not None:
            import tempfile  # which, like the rest, only a compressed disk needs

            from .spool import spool

            spooled = stack.enter_context(tempfile.TemporaryFile(dir=where.get("folder")))
            yield spool(
                pieces,
                spooled.fileno(),
                place_in,
                everything=where.get("keep_free", False),
                limit=where.get("limit"),
            )
            return
        if disk is None:  # a compressed qcow2 or VHD image, whose order is its own
            folder, limit, progress = where.get("folder"), where.get("limit"), where.get("progress")
            disk = stack.enter_context(open_disk(stored, folder=folder, limit=limit, progress=progress))
        yield window(disk.storage, place_in(disk.storage))


@contextlib.contextmanager
def open_image(source: Source, *, verify: bool = True, **where: Unpack[Where]) -> Iterator[UFS2]:
    """The file system in ``source``; the other arguments and errors are those of :func:`open_volume`.

    ``verify`` says whether check-hashes are compared where the file system has them.
    """
    with open_volume(source, **where) as storage, UFS2(storage, verify=verify) as volume:
        yield volume
