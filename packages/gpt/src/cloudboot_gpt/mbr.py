"""The protective MBR in LBA 0 (UEFI 2.10 section 5.2.3).

Not judged, because the specification tells UEFI to ignore them or no two tools agree: the boot code, the boot
indicator, the disk signature, and the CHS addresses (the end depends on a geometry that an image does not have; written
is the 0xFFFFFF that stands for "cannot be represented").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from .errors import (
    GPTError,
    HybridMBRError,
    MBRSignatureError,
    NoProtectiveMBRError,
    ProtectiveRecordError,
    ReservedError,
)
from .records import MasterBootRecord, MBRPartitionRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

MBRPolicy = Literal["protective", "hybrid", "ignore"]
"""What a reader accepts in LBA 0: a protective MBR only, one with other partitions beside it, or anything."""

SIGNATURE: Final = 0xAA55
PROTECTIVE: Final = 0xEE
MAX_BLOCKS: Final = 0xFFFFFFFF
_SIGNATURE_OFFSET: Final = MasterBootRecord.LAYOUT.offsets["Signature"]
_RECORDS_OFFSET: Final = MasterBootRecord.LAYOUT.offsets["PartitionRecord"]


def protective_mbr(disk_blocks: int) -> MasterBootRecord:
    """The protective MBR of a disk of ``disk_blocks`` logical blocks (UEFI 2.10 tables 5.3 and 5.4)."""
    record = MBRPartitionRecord(
        StartingCHS=b"\x00\x02\x00",
        OSType=PROTECTIVE,
        EndingCHS=b"\xff\xff\xff",
        StartingLBA=1,
        SizeInLBA=protected_blocks(disk_blocks),
    )
    return MasterBootRecord(PartitionRecord=(record, *(MBRPartitionRecord() for _ in range(3))), Signature=SIGNATURE)


def protected_blocks(disk_blocks: int) -> int:
    """SizeInLBA of the protective record: all but LBA 0, as far as 32 bits reach."""
    return min(disk_blocks - 1, MAX_BLOCKS)


def is_protective(mbr: MasterBootRecord) -> bool:
    """Whether the MBR says that there is a GPT."""
    return mbr.Signature == SIGNATURE and any(record.OSType == PROTECTIVE for record in mbr.PartitionRecord)


def mbr_faults(mbr: MasterBootRecord, policy: MBRPolicy) -> Iterator[GPTError]:
    """What makes a reader refuse the MBR under ``policy``."""
    if policy == "ignore":
        return
    if mbr.Signature != SIGNATURE:
        yield MBRSignatureError(
            "LBA 0 holds no MBR",
            structure="MasterBootRecord", field="Signature", offset=_SIGNATURE_OFFSET, lba=0,
            expected=SIGNATURE.to_bytes(2, "little"), actual=mbr.Signature.to_bytes(2, "little"),
        )  # fmt: skip
        return
    used = [(index, record) for index, record in enumerate(mbr.PartitionRecord) if record.OSType]
    protective = [(index, record) for index, record in used if record.OSType == PROTECTIVE]
    if not protective:
        yield NoProtectiveMBRError(
            "no partition record protects the GPT",
            structure="MasterBootRecord", field="PartitionRecord", offset=_RECORDS_OFFSET, lba=0,
            expected=f"OSType {PROTECTIVE:#x}",
            actual="OSType " + " ".join(f"{record.OSType:#x}" for record in mbr.PartitionRecord),
        )  # fmt: skip
        return
    if policy == "protective" and len(used) > 1:
        index, record = next((index, record) for index, record in used if (index, record) != protective[0])
        yield HybridMBRError(
            "the MBR lists another partition beside the protective one",
            structure="MBRPartitionRecord", field="OSType", offset=record_offset(index, "OSType"), lba=0,
            expected=0, actual=record.OSType, hint='read it with mbr="hybrid" if both tables are meant',
        )  # fmt: skip
    if all(record.StartingLBA != 1 for _, record in protective):
        index, record = protective[0]
        yield ProtectiveRecordError(
            "the protective record does not start at the GPT header",
            structure="MBRPartitionRecord", field="StartingLBA", offset=record_offset(index, "StartingLBA"), lba=0,
            expected=1, actual=record.StartingLBA,
        )  # fmt: skip


def mbr_defects(mbr: MasterBootRecord, disk_blocks: int) -> Iterator[GPTError]:
    """What is wrong with an MBR that a reader still accepts."""
    expected = protected_blocks(disk_blocks)
    for index, record in enumerate(mbr.PartitionRecord):
        if record.OSType == PROTECTIVE and record.StartingLBA == 1:
            if record.SizeInLBA != expected:
                yield ProtectiveRecordError(
                    "the protective record does not cover the disk",
                    structure="MBRPartitionRecord", field="SizeInLBA", offset=record_offset(index, "SizeInLBA"), lba=0,
                    expected=expected, actual=record.SizeInLBA,
                )  # fmt: skip
        elif record.OSType == 0 and record != MBRPartitionRecord():
            yield ReservedError(
                "an unused partition record is not zero",
                structure="MasterBootRecord", field=f"PartitionRecord[{index}]", offset=record_offset(index), lba=0,
                expected=bytes(MBRPartitionRecord.SIZE), actual=record.pack(),
            )  # fmt: skip


def block_defects(block: bytes) -> Iterator[GPTError]:
    """What is wrong with the rest of LBA 0, where logical blocks are larger than the MBR."""
    tail = block[MasterBootRecord.SIZE :]
    if tail.strip(b"\0"):
        at = len(block) - len(tail.lstrip(b"\0"))
        yield ReservedError(
            "the rest of the block is not zero",
            structure="MasterBootRecord", offset=at, lba=0, expected=0, actual=block[at],
        )  # fmt: skip


def record_offset(index: int, field: str | None = None) -> int:
    """Where a partition record, or a field of it, is on the disk, in bytes."""
    inside = 0 if field is None else MBRPartitionRecord.LAYOUT.offsets[field]
    return _RECORDS_OFFSET + index * MBRPartitionRecord.SIZE + inside
