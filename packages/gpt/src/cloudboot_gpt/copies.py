"""One copy of the table as it is on a disk: header, entry array, and everything that is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from cloudboot_base.lightdata import dataclass, field

from .entries import array_faults, decode_array, partition_defects, partition_faults
from .errors import DisagreementError, GPTError, TruncatedDiskError
from .header import (
    PRIMARY_LBA,
    CopyName,
    Place,
    array_size,
    header_defects,
    header_faults,
    identity_faults,
    truncation,
)
from .mbr import PROTECTIVE
from .records import GPTHeader, MasterBootRecord
from .table import SECTOR_SIZES, Partition, Table, blocks_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_base import Storage

MIN_BLOCKS: Final = 6
"""The smallest disk that holds a table: MBR, two headers, two arrays of one block, one usable block."""

_ARRAY_FIELDS: Final = ("PartitionEntryLBA", "NumberOfPartitionEntries", "SizeOfPartitionEntry")
_MIRRORED: Final = (
    "Revision",
    "HeaderSize",
    "FirstUsableLBA",
    "LastUsableLBA",
    "DiskGUID",
    "NumberOfPartitionEntries",
    "SizeOfPartitionEntry",
    "PartitionEntryArrayCRC32",
)


@dataclass(slots=True)
class Copy:
    """One copy of the table.

    ``header_faults`` and ``array_faults`` make it invalid. ``truncation`` says that the disk is shorter than a valid
    primary header states; ``partition_faults`` concern single partitions; ``defects`` break a rule and change nothing
    for a reader. ``array`` is empty where the header does not say where it is.
    """

    place: Place
    block: bytes
    header: GPTHeader
    array: bytes = b""
    partitions: tuple[Partition, ...] = ()
    present: bool = False
    header_faults: list[GPTError] = field(default_factory=list)
    array_faults: list[GPTError] = field(default_factory=list)
    truncation: list[GPTError] = field(default_factory=list)
    partition_faults: list[GPTError] = field(default_factory=list)
    defects: list[GPTError] = field(default_factory=list)

    @property
    def faults(self) -> list[GPTError]:
        """Everything that makes the copy invalid, header first."""
        return [*self.header_faults, *self.array_faults]

    @property
    def whole(self) -> bool:
        """Whether the copy is valid."""
        return not self.header_faults and not self.array_faults

    def refusals(self, *, truncated: bool) -> list[GPTError]:
        """Why a reader refuses the copy; with ``truncated`` not because the disk ends too early."""
        return [*self.header_faults, *([] if truncated else self.truncation), *self.array_faults]

    def table(self) -> Table:
        """What the copy says; only for a whole one."""
        header, place = self.header, self.place
        primary = place.copy == "primary"
        last = header.AlternateLBA if primary else header.MyLBA
        return Table(
            sector_size=place.sector_size,
            disk_blocks=last + 1 if last > PRIMARY_LBA else place.disk_blocks,
            disk_guid=UUID(bytes_le=header.DiskGUID),
            first_usable_lba=header.FirstUsableLBA,
            last_usable_lba=header.LastUsableLBA,
            partitions=self.partitions,
            entry_count=header.NumberOfPartitionEntries,
            entry_size=header.SizeOfPartitionEntry,
            entries_lba=header.PartitionEntryLBA if primary else PRIMARY_LBA + 1,
            faults=tuple(self.partition_faults),
        )


def load_copy(storage: Storage, sector_size: int, name: CopyName, lba: int) -> Copy:
    """The copy whose header is at ``lba``, which is on the disk; its faults are collected, not raised."""
    place = Place(name, lba, sector_size, storage.size // sector_size)
    block = storage.read_at(lba * sector_size, sector_size)
    copy = Copy(place, block, GPTHeader.unpack_from(block, base=lba * sector_size))
    copy.header_faults.extend(identity_faults(block, copy.header, place))
    if copy.header_faults:
        return copy
    copy.present = True
    copy.header_faults.extend(header_faults(block, copy.header, place))
    copy.defects.extend(header_defects(block, copy.header, place))
    if name == "primary":
        copy.truncation.extend(truncation(copy.header, place))
    # A header that places its array badly, or makes it too large, is not followed there.
    if any(fault.field in _ARRAY_FIELDS for fault in copy.header_faults):
        return copy
    end = copy.header.PartitionEntryLBA + blocks_for(array_size(copy.header), sector_size)
    if end > place.disk_blocks:
        copy.array_faults.append(
            TruncatedDiskError(
                "the disk ends before the entry array does",
                lba=place.disk_blocks,
                copy=name,
                offset=storage.size,
                expected=f"{end} blocks",
                actual=place.disk_blocks,
            )
        )
        return copy
    copy.array = storage.read_at(copy.header.PartitionEntryLBA * sector_size, array_size(copy.header))
    copy.array_faults.extend(array_faults(copy.array, copy.header, place))
    copy.partitions = decode_array(copy.array, copy.header.SizeOfPartitionEntry, sector_size)
    copy.partition_faults.extend(partition_faults(copy.partitions, copy.header, place))
    copy.defects.extend(partition_defects(copy.array, copy.partitions, copy.header, place))
    return copy


def load_primary(storage: Storage, sector_size: int) -> Copy:
    """The primary copy."""
    return load_copy(storage, sector_size, "primary", PRIMARY_LBA)


def load_backup(storage: Storage, sector_size: int, primary: Copy) -> Copy:
    """The backup copy: where a valid primary says, or in the last block.

    On a disk that has grown, a header in the last block can belong to an older table: it counts only where there is
    none at the place that the primary names. Without a primary the protective MBR tells where the disk once ended.
    """
    last = storage.size // sector_size - 1
    backup = load_copy(storage, sector_size, "backup", last)
    if primary.header_faults:
        former = _protected_end(storage)
        if not backup.present and former is not None and MIN_BLOCKS <= former < last:
            found = load_copy(storage, sector_size, "backup", former)
            return found if found.present else backup
        return backup
    alternate = primary.header.AlternateLBA
    if PRIMARY_LBA < alternate < last:
        named = load_copy(storage, sector_size, "backup", alternate)
        if named.present or not backup.present:
            return named
    return backup


def _protected_end(storage: Storage) -> int | None:
    """The last block that the protective MBR covers, or ``None`` if it does not say."""
    mbr = MasterBootRecord.unpack_from(storage.read_at(0, MasterBootRecord.SIZE))
    for record in mbr.PartitionRecord:
        if record.OSType == PROTECTIVE and record.StartingLBA == PRIMARY_LBA:
            return record.StartingLBA + record.SizeInLBA - 1
    return None


def disagreements(primary: Copy, backup: Copy) -> Iterator[GPTError]:
    """The fields in which two headers differ although each is the other's mirror."""
    pairs = [(name, getattr(primary.header, name), getattr(backup.header, name), backup.place) for name in _MIRRORED]
    pairs.append(("AlternateLBA", backup.header.MyLBA, primary.header.AlternateLBA, primary.place))
    for name, expected, actual, place in pairs:
        if expected != actual:
            yield DisagreementError(
                "the primary header and the backup header differ",
                structure="GPTHeader", field=name, offset=place.offset(name), lba=place.lba, copy=place.copy,
                expected=expected, actual=actual,
            )  # fmt: skip


def check_size(storage: Storage, sector_size: int) -> None:
    """Refuse a disk on which no table fits.

    Raises:
        TruncatedDiskError: it has fewer than six logical blocks.
    """
    if storage.size < MIN_BLOCKS * sector_size:
        raise TruncatedDiskError(
            "too small for a GPT", offset=storage.size, expected=MIN_BLOCKS * sector_size, actual=storage.size
        )


def detect_sector_size(storage: Storage) -> int:
    """The logical block size that the tables on ``storage`` were made for.

    The headers tell: the first size under which the primary copy is whole wins, then the first under which the backup
    is, then one that at least shows a header. Without any the answer is 512.

    Raises:
        TruncatedDiskError: the disk is too small for a table with blocks of 512 bytes.
    """
    check_size(storage, SECTOR_SIZES[0])
    best, best_rank = SECTOR_SIZES[0], 0
    for sector_size in SECTOR_SIZES:
        if storage.size < MIN_BLOCKS * sector_size:
            break
        primary = load_primary(storage, sector_size)
        if primary.whole:
            return sector_size
        backup = load_backup(storage, sector_size, primary)
        rank = 3 if backup.whole else 2 if primary.present else 1 if backup.present else 0
        if rank > best_rank:
            best, best_rank = sector_size, rank
    return best
