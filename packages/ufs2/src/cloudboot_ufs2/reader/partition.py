"""Where on a disk a UFS file system is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_disk_image import Place, locate
from cloudboot_ufs2.errors import SuperblockError, UnsupportedError
from cloudboot_ufs2.layout.superblock import find_superblock

from .backup import find_backup

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudboot_base import Storage
    from cloudboot_disk_image import PartitionReader

#: GPT types of partitions that hold UFS: FreeBSD's, NetBSD's, OpenBSD's.
UFS_PARTITION_TYPES = frozenset({
    "516e7cb6-6ecf-11d6-8ff8-00022d09712b",
    "49f48d5a-b10e-11dc-b99b-0019d1879648",
    "824cc7a0-36a8-11e3-890a-952519ad3f61",
})  # fmt: skip


def find_volume(disk: Storage, *, partition: str | int | None = None, readers: Iterable[PartitionReader] = ()) -> Place:
    """The file system in ``disk``: the whole of it, or the partition named, or the first of a type that holds UFS.

    ``partition`` is a number, or what :func:`cloudboot_disk_image.choose` takes.

    Raises:
        PartitionError: there is no such partition, or no table that any of ``readers`` can read.
    """
    name = None if partition is None else str(partition)
    return locate(disk, partition=name, readers=readers, whole=_is_ufs, types=UFS_PARTITION_TYPES, what="UFS")


def _is_ufs(disk: Storage) -> bool:
    try:
        find_superblock(disk)
    except SuperblockError:
        return find_backup(disk, search=False) is not None
    except UnsupportedError:
        return True
    return True
