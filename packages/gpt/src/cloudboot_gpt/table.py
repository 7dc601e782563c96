"""A partition table as a value: what both copies on the disk say, in blocks and in bytes."""

from __future__ import annotations

import enum
import io
import mmap
from typing import TYPE_CHECKING

from cloudboot_base import MemoryStorage, StorageFile, Window, WritableStorage
from cloudboot_base.lightdata import dataclass, field
from cloudboot_base.storage import descriptor_of, view_of

from . import partition_types
from .errors import PartitionRangeError, TruncatedDiskError

if TYPE_CHECKING:
    from uuid import UUID

    from cloudboot_base import Storage

    from .errors import GPTError

SECTOR_SIZES = (512, 1024, 2048, 4096)
MIN_ARRAY_SIZE = 16384
"""Bytes that are reserved for the entry array even where it is smaller (UEFI 2.10 section 5.3.1)."""


class Attribute(enum.IntFlag):
    """Attribute bits (UEFI 2.10 table 5.8); bits 48 to 63 belong to the partition type and are named with its owner."""

    REQUIRED = 1 << 0
    NO_BLOCK_IO = 1 << 1
    LEGACY_BIOS_BOOTABLE = 1 << 2
    FREEBSD_BOOTFAILED = 1 << 57
    FREEBSD_BOOTONCE = 1 << 58
    FREEBSD_BOOTME = 1 << 59
    MICROSOFT_READ_ONLY = 1 << 60
    MICROSOFT_SHADOW_COPY = 1 << 61
    MICROSOFT_HIDDEN = 1 << 62
    MICROSOFT_NO_DRIVE_LETTER = 1 << 63
    LINUX_GROW_FILE_SYSTEM = 1 << 59
    LINUX_READ_ONLY = 1 << 60
    LINUX_NO_AUTO = 1 << 63


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition. ``number`` counts the entries of the array from 1; ``last_lba`` is inclusive, as on the disk."""

    number: int
    type: UUID
    guid: UUID
    first_lba: int
    last_lba: int
    attributes: int
    name: str
    sector_size: int

    @property
    def blocks(self) -> int:
        """Size in logical blocks."""
        return self.last_lba - self.first_lba + 1

    @property
    def offset(self) -> int:
        """Where the partition starts on the disk, in bytes."""
        return self.first_lba * self.sector_size

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self.blocks * self.sector_size

    @property
    def type_name(self) -> str | None:
        """The alias of the type, or ``None`` for an unknown one."""
        return partition_types.name_of(self.type)

    def window(self, storage: Storage) -> Window:
        """The partition's bytes as a storage, writable if the disk's is.

        Raises:
            PartitionRangeError: the partition ends before it starts.
            TruncatedDiskError: ``storage`` ends before the partition does.
        """
        require_inside(storage, self.number, self.offset, self.size)
        return Window(storage, self.offset, self.size)

    def open(self, storage: Storage, *, writable: bool = False) -> io.BufferedIOBase:
        """The partition as a buffered, seekable binary file of fixed size. Closing it leaves the disk open.

        Raises:
            TruncatedError: ``storage`` ends before the partition does.
            io.UnsupportedOperation: ``writable`` and the storage is not.
        """
        if writable and not isinstance(storage, WritableStorage):
            raise io.UnsupportedOperation("the storage is read-only")
        raw = StorageFile(self.window(storage), writable=writable)
        return io.BufferedRandom(raw) if writable else io.BufferedReader(raw)

    def view(self, storage: Storage) -> memoryview:
        """The partition's bytes as a memoryview of shape ``(size,)``.

        No copy where the storage is memory (the view is writable if the memory is) or a file (a read-only mapping);
        any other storage is read into memory.

        Raises:
            TruncatedError: ``storage`` ends before the partition does.
        """
        window = self.window(storage)
        view = view_of(window)
        if view is not None:
            return view
        place = descriptor_of(window)
        if place is None:
            return memoryview(window.read_at(0, window.size))
        fd, offset = place
        lead = offset % mmap.ALLOCATIONGRANULARITY
        mapping = mmap.mmap(fd, lead + window.size, access=mmap.ACCESS_READ, offset=offset - lead)
        return MemoryStorage(mapping).view[lead:]

    def as_dict(self) -> dict[str, object]:
        """The partition, ready for JSON."""
        return {
            "number": self.number,
            "type": str(self.type),
            "type_name": self.type_name,
            "guid": str(self.guid),
            "first_lba": self.first_lba,
            "last_lba": self.last_lba,
            "offset": self.offset,
            "size": self.size,
            "attributes": self.attributes,
            "name": self.name,
        }


@dataclass(frozen=True, slots=True)
class Table:
    """A whole table: geometry, the disk's GUID and the used entries in array order.

    ``disk_blocks`` counts the logical blocks of the disk up to and with the backup header. ``entries_lba`` is where the
    primary array starts; the backup array ends right before the backup header. ``faults`` are the rules that single
    partitions break (they overlap, or leave the usable blocks); the other partitions are as good as ever.
    ``notices`` are sentences about how the table was read (:func:`read_partitions`).
    """

    sector_size: int
    disk_blocks: int
    disk_guid: UUID
    first_usable_lba: int
    last_usable_lba: int
    partitions: tuple[Partition, ...]
    entry_count: int = 128
    entry_size: int = 128
    entries_lba: int = 2
    faults: tuple[GPTError, ...] = field(default=(), compare=False, repr=False)
    notices: tuple[str, ...] = field(default=(), compare=False, repr=False)

    @property
    def size(self) -> int:
        """Size of the disk, in bytes."""
        return self.disk_blocks * self.sector_size

    @property
    def last_lba(self) -> int:
        """The disk's last block, which holds the backup header."""
        return self.disk_blocks - 1

    @property
    def array_blocks(self) -> int:
        """Blocks one copy of the entry array takes."""
        return blocks_for(self.entry_count * self.entry_size, self.sector_size)

    @property
    def backup_entries_lba(self) -> int:
        """Where the backup array starts."""
        return self.last_lba - self.array_blocks

    def partition(self, number: int) -> Partition | None:
        """The partition in entry ``number`` (from 1), or ``None`` if the entry is unused."""
        return next((partition for partition in self.partitions if partition.number == number), None)

    def find(self, *types: UUID) -> Partition | None:
        """The first partition of any of ``types``, in array order, or ``None``."""
        return next((partition for partition in self.partitions if partition.type in types), None)

    def as_dict(self) -> dict[str, object]:
        """The table, ready for JSON."""
        return {
            "sector_size": self.sector_size,
            "disk_blocks": self.disk_blocks,
            "size": self.size,
            "disk_guid": str(self.disk_guid),
            "first_usable_lba": self.first_usable_lba,
            "last_usable_lba": self.last_usable_lba,
            "entry_count": self.entry_count,
            "entry_size": self.entry_size,
            "entries_lba": self.entries_lba,
            "partitions": [partition.as_dict() for partition in self.partitions],
        }


def require_inside(storage: Storage, number: int, offset: int, size: int) -> None:
    """Refuse partition ``number``, which has ``size`` bytes from ``offset`` on, if the disk does not have these bytes.

    Raises:
        PartitionRangeError: the partition ends before it starts.
        TruncatedDiskError: ``storage`` ends before the partition does.
    """
    if size < 0:
        raise PartitionRangeError("the partition ends before it starts", partition=number)
    if offset + size > storage.size:
        raise TruncatedDiskError(
            "the disk ends before the partition does", partition=number, offset=offset,
            expected=f"{offset + size} bytes", actual=storage.size,
        )  # fmt: skip


def blocks_for(size: int, sector_size: int) -> int:
    """Logical blocks that hold ``size`` bytes."""
    return -(-size // sector_size)


def backup_reserve(array_bytes: int, sector_size: int) -> int:
    """Blocks at the end of a disk that a backup takes: its array, never less than 16384 bytes, and its header."""
    return blocks_for(max(MIN_ARRAY_SIZE, array_bytes), sector_size) + 1


def find_ufs_partition(table: Table) -> Partition | None:
    """The first partition that holds FreeBSD UFS, NetBSD FFS or OpenBSD's FFS, or ``None``."""
    return table.find(*partition_types.UFS_TYPES)
