"""A FAT volume that several threads use at once."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from cloudboot_base import WritableStorage, open_storage
from cloudboot_disk_image import Place, installed_readers, locate, open_partition, stated_place, window
from cloudboot_vfs.errors import ReadOnlyError
from cloudboot_vfs.shared import SharedVolume

from .opening import TYPES, is_volume
from .volume import FatVolume, WritableFatVolume

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from typing import BinaryIO

    from typing_extensions import Buffer

    from cloudboot_base import Storage

    Source = str | os.PathLike[str] | BinaryIO | Buffer | Storage


def _found(disk: Storage, partition: str | int | None = None) -> Place:
    name = None if partition is None else str(partition)
    return locate(disk, partition=name, readers=installed_readers(), whole=is_volume, types=TYPES, what="FAT volume")


def open_shared(
    source: Source | FatVolume,
    *,
    writable: bool = False,
    offset: int | None = None,
    size: int | None = None,
    partition: str | int | None = None,
    codepage: str = "cp437",
    clock: Callable[[], int] | None = None,
) -> SharedVolume:
    """Open a volume for several threads.

    Args:
        source: a path, a binary file, a buffer, a storage, or a volume that is already open; what is only read may
            also be a qcow2 or VHD image, or compressed.
        writable: whether it is to be changed.
        offset: where the volume starts in ``source``, in bytes; by default it is looked for.
        size: how long it is; by default, all that follows.
        partition: number, name, GUID or type of its partition, if a package that reads partition tables is installed.
        codepage: the code page of short names.
        clock: the time in nanoseconds since 1970, for what is changed; see :class:`.WritableFatVolume`.

    Raises:
        PartitionError: there is no such partition, or nothing in ``source`` is a FAT volume.
        ReadOnlyError: another process is writing to it.
        FatError: it is damaged.
        OSError: the path cannot be opened.
    """
    if isinstance(source, FatVolume):
        return SharedVolume(source)
    with contextlib.ExitStack() as stack:
        volume: FatVolume
        if writable:
            disk = stack.enter_context(open_storage(source, writable=True)).storage
            there = window(disk, stated_place(offset, size, partition) or _found(disk, partition))
            if not isinstance(there, WritableStorage):
                raise ReadOnlyError("the storage cannot be written to")
            volume = WritableFatVolume(there, codepage=codepage, clock=clock)
        else:
            name = None if partition is None else str(partition)
            where = open_partition(source, name, offset=offset, size=size, readers=installed_readers(), find=_found)
            volume = FatVolume(stack.enter_context(where), codepage=codepage)
        return SharedVolume(volume, stack.pop_all())
