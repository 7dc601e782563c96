"""An NTFS volume that several threads use at once."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from cloudboot_base import open_storage
from cloudboot_disk_image import InstalledReaders, open_partition, stated_place, window
from cloudboot_ntfs.reader.opening import find_volume
from cloudboot_ntfs.reader.volume import NTFS
from cloudboot_vfs.shared import SharedVolume

from .volume import WritableNTFS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudboot_base import Storage
    from cloudboot_ntfs.reader.volume import Source


@contextlib.contextmanager
def open_place(
    source: Source,
    *,
    writable: bool,
    offset: int | None = None,
    size: int | None = None,
    partition: str | int | None = None,
) -> Iterator[Storage]:
    """The storage of a volume that is to be changed: a raw image, or a part of one. Arguments as :func:`open_shared`.

    Raises:
        PartitionError: there is no such partition, or nothing in ``source`` is an NTFS volume.
        OSError: the path cannot be opened.
    """
    with open_storage(source, writable=writable) as opened:
        place = stated_place(offset, size, partition)
        yield window(opened.storage, place or find_volume(opened.storage, partition))


def open_shared(
    source: Source | NTFS,
    *,
    writable: bool = False,
    offset: int | None = None,
    size: int | None = None,
    partition: str | int | None = None,
    clock: Callable[[], int] | None = None,
    case_sensitive: bool = False,
    windows_names: bool = False,
    short_names: bool = False,
) -> SharedVolume:
    """Open a volume for several threads.

    Args:
        source: a path, a binary file, a buffer, a storage, or a volume that is already open; what is only read may also
            be a qcow2 or VHD image, or compressed.
        writable: whether it is to be changed.
        offset: where the volume starts in ``source``, in bytes; by default it is looked for.
        size: how long it is; by default, all that follows.
        partition: number, name, GUID or type of its partition, if a package that reads partition tables is installed.
        clock: the time in nanoseconds since 1970, for what is changed; see :class:`.WritableNTFS`.
        case_sensitive: whether names that differ in case only are two.
        windows_names: refuse new names that Windows cannot open.
        short_names: give new names that DOS cannot hold a short name, too.

    Raises:
        PartitionError: there is no such partition, or nothing in ``source`` is an NTFS volume.
        ReadOnlyError: it must not be written to as it is, or another process is writing to it.
        NtfsError: as :class:`.NTFS` has it.
        OSError: the path cannot be opened.
    """
    if isinstance(source, NTFS):
        return SharedVolume(source)
    with contextlib.ExitStack() as stack:
        volume: NTFS
        if writable:
            place = open_place(source, writable=True, offset=offset, size=size, partition=partition)
            volume = WritableNTFS(
                stack.enter_context(place), clock=clock, case_sensitive=case_sensitive, windows_names=windows_names,
                short_names=short_names,
            )  # fmt: skip
        else:
            name = None if partition is None else str(partition)
            where = open_partition(source, name, offset=offset, size=size, readers=InstalledReaders(), find=find_volume)
            volume = NTFS(stack.enter_context(where), case_sensitive=case_sensitive)
        return SharedVolume(volume, stack.pop_all())
