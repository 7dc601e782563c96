"""Finding a volume in a disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_disk_image import InstalledReaders, locate

if TYPE_CHECKING:
    from cloudboot_base import Storage
    from cloudboot_disk_image import Place

#: Partition types that hold NTFS: Microsoft basic data, Windows recovery, and MBR type 7.
TYPES: Final = frozenset({"ebd0a0a2-b9e5-4433-87c0-68b6b72699c7", "de94bba4-06d1-4d40-a16a-bfd50179d6ac", "0x7"})


def is_volume(storage: Storage) -> bool:
    """Whether the boot sector names NTFS."""
    return storage.size >= 512 and storage.read_at(3, 8) == b"NTFS    "


def find_volume(disk: Storage, partition: str | int | None = None) -> Place:
    """The volume in ``disk``: the whole of it, or the partition named, or the first of a type that holds NTFS.

    ``partition`` is a number, or what :func:`cloudboot_disk_image.choose` takes.

    Raises:
        PartitionError: there is no such partition, or no table that an installed package can read.
    """
    name = None if partition is None else str(partition)
    return locate(disk, partition=name, readers=InstalledReaders(), whole=is_volume, types=TYPES, what="NTFS volume")
