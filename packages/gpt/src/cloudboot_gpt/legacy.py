"""Partitions of an MBR: the records of a plain or hybrid one, logical ones, and those of the disklabels of BSD slices.

UEFI 2.10 section 5.2.1 describes the MBR. No standard describes extended boot records; they are read as Linux and
util-linux read them: in each, the first record places a logical partition relative to the extended boot record itself,
and the second names the next extended boot record relative to the start of the extended partition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_base import Window, open_storage
from cloudboot_base.lightdata import dataclass, field

from .disklabel import SLICES, Slice, nested
from .errors import (
    ExtendedPartitionError,
    GPTError,
    MBRError,
    MBRSignatureError,
    RecordRangeError,
    SpecificationError,
    TruncatedDiskError,
)
from .mbr import PROTECTIVE, SIGNATURE, record_offset
from .records import MasterBootRecord
from .table import SECTOR_SIZES, require_inside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_base import Storage

    from .disklabel import BSDPartition
    from .reader import Source
    from .records import MBRPartitionRecord

EXTENDED: Final = frozenset({0x05, 0x0F, 0x85})
MAX_LOGICAL: Final = 256
"""Logical partitions that are followed: more than util-linux (60) and Linux (256 numbers in all) use."""

TYPE_NAMES: Final = {
    0x01: "fat12", 0x04: "fat16-small", 0x05: "extended", 0x06: "fat16", 0x07: "ntfs", 0x0B: "fat32", 0x0C: "fat32-lba",
    0x0E: "fat16-lba", 0x0F: "extended-lba", 0x27: "windows-recovery", 0x82: "linux-swap", 0x83: "linux",
    0x85: "linux-extended", 0x8E: "linux-lvm", 0xA5: "freebsd", 0xA6: "openbsd", 0xA9: "netbsd", 0xEE: "gpt-protective",
    0xEF: "esp", 0xFD: "linux-raid",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class MBRPartition:
    """One partition. ``number`` is 1 to 4 for the records of the MBR and 5 and more for logical ones."""

    number: int
    type: int
    first_lba: int
    blocks: int
    bootable: bool
    sector_size: int

    @property
    def last_lba(self) -> int:
        """The last block, inclusive."""
        return self.first_lba + self.blocks - 1

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
        """A name of the type, or ``None`` for an unknown one."""
        return TYPE_NAMES.get(self.type)

    @property
    def name(self) -> str:
        """Always empty: an MBR has no names."""
        return ""

    @property
    def guid(self) -> None:
        """Always ``None``: an MBR has no GUIDs."""

    @property
    def is_extended(self) -> bool:
        """Whether it only holds logical partitions."""
        return self.type in EXTENDED and self.number <= 4

    def window(self, storage: Storage) -> Window:
        """The partition's bytes as a storage, writable if the disk's is.

        Raises:
            TruncatedDiskError: ``storage`` ends before the partition does.
        """
        require_inside(storage, self.number, self.offset, self.size)
        return Window(storage, self.offset, self.size)

    def as_dict(self) -> dict[str, object]:
        """The partition, ready for JSON."""
        return {
            "number": self.number,
            "type": f"{self.type:#04x}",
            "type_name": self.type_name,
            "first_lba": self.first_lba,
            "last_lba": self.last_lba,
            "offset": self.offset,
            "size": self.size,
            "bootable": self.bootable,
        }


@dataclass(frozen=True, slots=True)
class MBRTable:
    """The partitions of an MBR, logical ones after the others, and then those of disklabels.

    ``hybrid`` says that a GPT stands beside it; the protective record is not among the partitions. ``faults`` are the
    rules that single partitions and the chain of logical ones break, ``notices`` sentences for a person.
    """

    sector_size: int
    disk_blocks: int
    disk_signature: int
    hybrid: bool
    partitions: tuple[MBRPartition | BSDPartition, ...]
    faults: tuple[GPTError, ...] = field(default=(), compare=False, repr=False)
    notices: tuple[str, ...] = field(default=(), compare=False, repr=False)

    @property
    def size(self) -> int:
        """Size of the disk, in bytes."""
        return self.disk_blocks * self.sector_size

    def partition(self, number: int) -> MBRPartition | BSDPartition | None:
        """Partition ``number``, or ``None`` if there is none."""
        return next((partition for partition in self.partitions if partition.number == number), None)

    def as_dict(self) -> dict[str, object]:
        """The table, ready for JSON."""
        return {
            "scheme": "mbr",
            "sector_size": self.sector_size,
            "disk_blocks": self.disk_blocks,
            "size": self.size,
            "disk_signature": f"{self.disk_signature:#010x}",
            "hybrid": self.hybrid,
            "partitions": [partition.as_dict() for partition in self.partitions],
        }


def read_mbr(source: Source, *, sector_size: int = 512) -> MBRTable:
    """The partitions that LBA 0 lists, those of a plain MBR or the other ones of a hybrid MBR.

    An MBR does not tell its block size, hence ``sector_size``. A partition that leaves the disk or overlaps another is
    named in :attr:`MBRTable.faults`, and so is where a chain of logical partitions could not be followed further.

    Raises:
        MBRSignatureError: LBA 0 does not end in 55 AA.
        MBRError: it does, but what is there is a boot sector and no MBR, or an MBR that only protects a GPT.
        SpecificationError: not a sector size.
        TruncatedDiskError: the disk is shorter than a block.
        OSError: the path cannot be opened.
    """
    if sector_size not in SECTOR_SIZES:
        raise SpecificationError("not a sector size", expected=SECTOR_SIZES, actual=sector_size)
    with open_storage(source) as opened:
        storage = opened.storage
        if storage.size < sector_size:
            raise TruncatedDiskError("too small for an MBR", expected=sector_size, actual=storage.size)
        mbr = MasterBootRecord.unpack_from(storage.read_at(0, MasterBootRecord.SIZE))
        _require_mbr(mbr)
        blocks = storage.size // sector_size
        used = [(index, each) for index, each in enumerate(mbr.PartitionRecord) if each.OSType]
        hybrid = any(record.OSType == PROTECTIVE for _, record in used)
        partitions = [_partition(index + 1, each, 0, sector_size) for index, each in used if each.OSType != PROTECTIVE]
        if hybrid and not partitions:
            raise MBRError(
                "the MBR lists no partition but the one that protects a GPT",
                structure="MasterBootRecord", field="PartitionRecord", lba=0,
            )  # fmt: skip
        faults: list[GPTError] = []
        extended = [partition for partition in partitions if partition.type in EXTENDED]
        for each in extended[:1]:
            partitions += _logical(storage, each, sector_size, faults)
        more = "a second extended partition is not followed"
        faults += [_chain(more, each.first_lba, sector_size, each.number) for each in extended[1:]]
        faults += _range_faults(partitions, blocks)
        labelled = tuple(_labelled(storage, partitions, faults))
    signature = mbr.UniqueMBRDiskSignature
    return MBRTable(sector_size, blocks, signature, hybrid, (*partitions, *labelled), tuple(faults))


def _require_mbr(mbr: MasterBootRecord) -> None:
    if mbr.Signature != SIGNATURE:
        raise MBRSignatureError(
            "LBA 0 holds no MBR",
            structure="MasterBootRecord", field="Signature", offset=MasterBootRecord.LAYOUT.offsets["Signature"], lba=0,
            expected=SIGNATURE.to_bytes(2, "little"), actual=mbr.Signature.to_bytes(2, "little"),
        )  # fmt: skip
    for index, record in enumerate(mbr.PartitionRecord):
        if record.BootIndicator not in {0, 0x80}:
            raise MBRError(
                "LBA 0 holds a boot sector and no MBR",
                structure="MBRPartitionRecord", field="BootIndicator", offset=record_offset(index, "BootIndicator"),
                lba=0, expected="0 or 0x80", actual=record.BootIndicator,
            )  # fmt: skip


def _partition(number: int, record: MBRPartitionRecord, base: int, sector_size: int) -> MBRPartition:
    return MBRPartition(
        number, record.OSType, base + record.StartingLBA, record.SizeInLBA, record.BootIndicator == 0x80, sector_size
    )


def _logical(
    storage: Storage, extended: MBRPartition, sector_size: int, faults: list[GPTError]
) -> Iterator[MBRPartition]:
    """The logical partitions, in the order of their chain, numbered from 5."""
    lba, number, seen = extended.first_lba, 5, set[int]()
    while True:
        if lba in seen:
            faults.append(_chain("the chain of extended boot records loops", lba, sector_size, number))
            return
        if number >= 5 + MAX_LOGICAL:
            faults.append(_chain(f"more than {MAX_LOGICAL} logical partitions", lba, sector_size, number))
            return
        seen.add(lba)
        if (lba + 1) * sector_size > storage.size:
            faults.append(_chain("the extended boot record lies behind the end of the disk", lba, sector_size, number))
            return
        record = MasterBootRecord.unpack_from(storage.read_at(lba * sector_size, MasterBootRecord.SIZE))
        if record.Signature != SIGNATURE:
            faults.append(_chain("no extended boot record", lba, sector_size, number))
            return
        following = None
        for each in record.PartitionRecord:
            if each.OSType in EXTENDED and each.SizeInLBA:
                following = each if following is None else following
            elif each.OSType and each.SizeInLBA:
                yield _partition(number, each, lba, sector_size)
                number += 1
        if following is None:
            return
        lba = extended.first_lba + following.StartingLBA


def _labelled(storage: Storage, partitions: list[MBRPartition], faults: list[GPTError]) -> Iterator[BSDPartition]:
    """The partitions of the slices that have a disklabel, numbered after the logical ones."""
    number = max(4, *(partition.number for partition in partitions)) + 1 if partitions else 5
    for each in partitions:
        if each.type in SLICES:
            place = Slice(each.number, each.type, each.offset, each.size, each.sector_size)
            for found in nested(storage, place, number, faults):
                yield found
                number += 1


def _chain(message: str, lba: int, sector_size: int, number: int) -> ExtendedPartitionError:
    return ExtendedPartitionError(
        message, structure="MasterBootRecord", lba=lba, offset=lba * sector_size, partition=number
    )


def _range_faults(partitions: list[MBRPartition], disk_blocks: int) -> Iterator[GPTError]:
    holders = [partition for partition in partitions if not partition.is_extended]
    for partition in partitions:
        if partition.blocks == 0 or partition.last_lba >= disk_blocks:
            yield RecordRangeError(
                "the partition leaves the disk" if partition.blocks else "the partition has no blocks",
                structure="MBRPartitionRecord", field="SizeInLBA", partition=partition.number,
                expected=f"1 to {max(0, disk_blocks - partition.first_lba)}", actual=partition.blocks,
            )  # fmt: skip
    highest: MBRPartition | None = None
    for partition in sorted(holders, key=lambda each: (each.first_lba, each.number)):
        if highest is not None and partition.blocks and partition.first_lba <= highest.last_lba:
            yield RecordRangeError(
                f"the partition shares blocks with partition {highest.number}",
                structure="MBRPartitionRecord", field="StartingLBA", partition=partition.number,
                expected=f"more than {highest.last_lba}", actual=partition.first_lba,
            )  # fmt: skip
        if highest is None or partition.last_lba > highest.last_lba:
            highest = partition
