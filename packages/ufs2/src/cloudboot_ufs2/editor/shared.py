"""A UFS file system that several threads use at once."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from cloudboot_base import open_storage
from cloudboot_disk_image import installed_readers, stated_place, window
from cloudboot_ufs2.reader.partition import find_volume
from cloudboot_ufs2.reader.reader import UFS2
from cloudboot_ufs2.reader.vmimage import open_volume
from cloudboot_vfs.shared import SharedVolume

from .edit import WritableUFS2

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from typing import BinaryIO

    from typing_extensions import Buffer

    from cloudboot_base import Storage

    Source = str | os.PathLike[str] | BinaryIO | Buffer | Storage


def open_shared(
    source: Source | UFS2,
    *,
    writable: bool = False,
    offset: int | None = None,
    size: int | None = None,
    partition: str | int | None = None,
    verify: bool = True,
    clock: Callable[[], int] | None = None,
    use_reserve: bool = False,
    freebsd: int = 14,
) -> SharedVolume:
    """Open a file system for several threads.

    Args:
        source: a path, a binary file, a buffer, a storage, or a file system that is already open; what is only read
            may also be a qcow2 or VHD image, or compressed.
        writable: whether it is to be changed; see :meth:`.WritableUFS2.open`.
        offset: where the file system starts in ``source``, in bytes; by default it is looked for.
        size: how long it is; by default, all that follows.
        partition: number, name, GUID or type of its partition, if a package that reads partition tables is installed.
        verify: whether check-hashes are compared.
        clock: the time in nanoseconds, for what is changed; see :meth:`.WritableUFS2.open`.
        use_reserve: use the space that minfree keeps.
        freebsd: the oldest FreeBSD that is to read it, which limits links.

    Raises:
        PartitionError: there is no such partition, or nothing in ``source`` is a UFS file system.
        ReadOnlyError: it must not be written to as it is, or another process is writing to it.
        Ufs2Error: as :meth:`.UFS2.open` has it.
        OSError: the path cannot be opened.
    """
    if isinstance(source, UFS2):
        return SharedVolume(source)
    with contextlib.ExitStack() as stack:
        volume: UFS2
        if writable:
            disk = stack.enter_context(open_storage(source, writable=True)).storage
            place = stated_place(offset, size, partition)
            there = window(disk, place or find_volume(disk, partition=partition, readers=installed_readers()))
            volume = WritableUFS2.open(there, verify=verify, clock=clock, use_reserve=use_reserve, freebsd=freebsd)
        else:
            readers = installed_readers()
            where = open_volume(source, offset=offset, size=size, partition=partition, readers=readers)
            volume = UFS2.open(stack.enter_context(where), verify=verify)
        return SharedVolume(volume, stack.pop_all())
