"""A GPT header: its rules and its CRC (UEFI 2.10 section 5.3.2)."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final, Literal

from cloudboot_base.lightdata import dataclass

from .errors import (
    AlternateLBAError,
    DiskGUIDError,
    EntryArrayPlaceError,
    EntryCountError,
    EntrySizeError,
    GPTError,
    HeaderChecksumError,
    HeaderSizeError,
    MissingBackupError,
    MyLBAError,
    ReservedError,
    RevisionError,
    SignatureError,
    TruncatedDiskError,
    UsableRangeError,
)
from .records import GPTHeader, GPTPartitionEntry
from .table import MIN_ARRAY_SIZE, Table, blocks_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

CopyName = Literal["primary", "backup"]

SIGNATURE: Final = b"EFI PART"
REVISION_1_0: Final = 0x00010000
PRIMARY_LBA: Final = 1
MAX_ARRAY_SIZE: Final = 4 << 20
"""Bytes of the largest entry array this package reads: 32768 entries, 256 times what any tool makes unasked."""

_OFFSETS: Final = GPTHeader.LAYOUT.offsets


@dataclass(frozen=True, slots=True)
class Place:
    """Which copy a header is, and the disk it is on."""

    copy: CopyName
    lba: int
    sector_size: int
    disk_blocks: int

    def offset(self, field: str) -> int:
        """Where a field of this header is on the disk, in bytes."""
        return self.lba * self.sector_size + _OFFSETS[field]


def header_crc(block: Buffer, header_size: int) -> int:
    """HeaderCRC32 of the header in ``block``: over ``header_size`` bytes, with the CRC's own four bytes as zero."""
    view = memoryview(block)
    at = _OFFSETS["HeaderCRC32"]
    crc = zlib.crc32(bytes(4), zlib.crc32(view[:at]))
    return zlib.crc32(view[at + 4 : header_size], crc)


def array_size(header: GPTHeader) -> int:
    """Bytes of the entry array that ``header`` describes; up to 2**64 for a hostile one."""
    return header.NumberOfPartitionEntries * header.SizeOfPartitionEntry


def header_of(table: Table, copy: CopyName, array_crc: int) -> GPTHeader:
    """The header of one copy of ``table``, without its own CRC."""
    primary = copy == "primary"
    return GPTHeader(
        Signature=SIGNATURE,
        Revision=REVISION_1_0,
        HeaderSize=GPTHeader.SIZE,
        MyLBA=PRIMARY_LBA if primary else table.last_lba,
        AlternateLBA=table.last_lba if primary else PRIMARY_LBA,
        FirstUsableLBA=table.first_usable_lba,
        LastUsableLBA=table.last_usable_lba,
        DiskGUID=table.disk_guid.bytes_le,
        PartitionEntryLBA=table.entries_lba if primary else table.backup_entries_lba,
        NumberOfPartitionEntries=table.entry_count,
        SizeOfPartitionEntry=table.entry_size,
        PartitionEntryArrayCRC32=array_crc,
    )


def header_block(header: GPTHeader, sector_size: int, tail: bytes = b"") -> bytes:
    """The logical block of ``header``, its CRC filled in; ``tail`` is what HeaderSize covers beyond the fields."""
    block = bytearray(sector_size)
    header.HeaderCRC32 = 0
    header.pack_into(block)
    block[GPTHeader.SIZE : GPTHeader.SIZE + len(tail)] = tail
    header.HeaderCRC32 = header_crc(block, header.HeaderSize)
    header.pack_into(block)
    return bytes(block)


def identity_faults(block: bytes, header: GPTHeader, place: Place) -> Iterator[GPTError]:
    """Whether the block holds a header of a known layout; if anything comes out, nothing else can be believed."""
    if header.Signature != SIGNATURE:
        missing = MissingBackupError if place.copy == "backup" else SignatureError
        yield missing("no GPT header", **_at(place, "Signature"), expected=SIGNATURE, actual=header.Signature)
    elif header.Revision != REVISION_1_0:
        yield RevisionError("unknown revision", **_at(place, "Revision"), expected=REVISION_1_0, actual=header.Revision)
    elif not GPTHeader.SIZE <= header.HeaderSize <= len(block):
        yield HeaderSizeError(
            "impossible header size",
            **_at(place, "HeaderSize"), expected=f"{GPTHeader.SIZE} to {len(block)}", actual=header.HeaderSize,
        )  # fmt: skip


def header_faults(block: bytes, header: GPTHeader, place: Place) -> Iterator[GPTError]:
    """What makes the header invalid. Call it for a header without :func:`identity_faults`."""
    crc = header_crc(block, header.HeaderSize)
    if crc != header.HeaderCRC32:
        yield HeaderChecksumError(
            "the header is damaged", **_at(place, "HeaderCRC32"), expected=header.HeaderCRC32, actual=crc
        )
    if header.MyLBA != place.lba:
        yield MyLBAError("the header belongs elsewhere", **_at(place, "MyLBA"), expected=place.lba, actual=header.MyLBA)
    yield from _range_faults(header, place)
    yield from _array_faults(header, place)


def _range_faults(header: GPTHeader, place: Place) -> Iterator[GPTError]:
    first, last, alternate = header.FirstUsableLBA, header.LastUsableLBA, header.AlternateLBA
    if place.copy == "backup" and alternate != PRIMARY_LBA:
        yield AlternateLBAError(
            "the primary header is at LBA 1", **_at(place, "AlternateLBA"), expected=PRIMARY_LBA, actual=alternate
        )
    end = place.lba if place.copy == "backup" else alternate
    # A primary header that names no place for a backup is read all the same: UEFI, Linux and sfdisk do.
    if last >= end > PRIMARY_LBA:
        yield UsableRangeError(
            "the usable blocks reach into the backup table",
            **_at(place, "LastUsableLBA"), expected=f"less than {end}", actual=last,
        )  # fmt: skip
    if not PRIMARY_LBA < first <= last:
        yield UsableRangeError(
            "no usable blocks", **_at(place, "FirstUsableLBA"), expected=f"2 to LastUsableLBA {last}", actual=first
        )


def truncation(header: GPTHeader, place: Place) -> Iterator[GPTError]:
    """Whether the disk ends before the primary header says it does. Call it for a valid primary header."""
    lowest, field = max((header.AlternateLBA, "AlternateLBA"), (header.LastUsableLBA, "LastUsableLBA"))
    if lowest >= place.disk_blocks:
        yield TruncatedDiskError(
            f"the disk ends {lowest + 1 - place.disk_blocks} blocks before its table does",
            **_at(place, field), expected=f"at most {place.disk_blocks - 1}", actual=lowest,
            hint="fetch the rest of the image; where every partition fits, cloudboot-gpt grow moves the backup",
        )  # fmt: skip


def _array_faults(header: GPTHeader, place: Place) -> Iterator[GPTError]:
    size, count = header.SizeOfPartitionEntry, header.NumberOfPartitionEntries
    if not GPTPartitionEntry.SIZE <= size <= MAX_ARRAY_SIZE or size & (size - 1):
        yield EntrySizeError(
            "impossible entry size", **_at(place, "SizeOfPartitionEntry"),
            expected=f"128 times a power of two, at most {MAX_ARRAY_SIZE}", actual=size,
        )  # fmt: skip
        return
    if count == 0 or array_size(header) > MAX_ARRAY_SIZE:
        yield EntryCountError(
            "impossible number of entries",
            **_at(place, "NumberOfPartitionEntries"), expected=f"1 to {MAX_ARRAY_SIZE // size}", actual=count,
        )  # fmt: skip
        return
    start, blocks = header.PartitionEntryLBA, blocks_for(array_size(header), place.sector_size)
    if place.copy == "primary":
        lowest, end = PRIMARY_LBA + 1, header.FirstUsableLBA
    else:
        lowest, end = header.LastUsableLBA + 1, place.lba
    if blocks > end - lowest:
        yield EntryArrayPlaceError(
            f"the entry array does not fit between the {place.copy} header and the usable blocks",
            **_at(place, "NumberOfPartitionEntries"), expected=f"at most {max(0, end - lowest)} blocks", actual=blocks,
        )  # fmt: skip
    elif start < lowest or start + blocks > end:
        yield EntryArrayPlaceError(
            f"the entry array of {blocks} blocks reaches into the {place.copy} header or the usable blocks",
            **_at(place, "PartitionEntryLBA"), expected=f"{lowest} to {end - blocks}", actual=start,
        )  # fmt: skip


def header_defects(block: bytes, header: GPTHeader, place: Place) -> Iterator[GPTError]:
    """What is wrong with a header that is still valid."""
    if header.Reserved:
        yield ReservedError("the field is not zero", **_at(place, "Reserved"), expected=0, actual=header.Reserved)
    tail = block[GPTHeader.SIZE :]
    if tail.strip(b"\0"):
        at = GPTHeader.SIZE + len(tail) - len(tail.lstrip(b"\0"))
        yield ReservedError(
            "the rest of the block is not zero",
            structure="GPTHeader", offset=place.lba * place.sector_size + at, lba=place.lba, copy=place.copy,
            expected=0, actual=block[at],
        )  # fmt: skip
    if not header.DiskGUID.strip(b"\0"):
        yield DiskGUIDError("the disk has no GUID", **_at(place, "DiskGUID"), actual=header.DiskGUID)
    last = place.disk_blocks - 1
    if place.copy == "primary" and header.AlternateLBA <= PRIMARY_LBA:
        yield AlternateLBAError(
            "the header names no backup", **_at(place, "AlternateLBA"), expected=last, actual=header.AlternateLBA
        )
    elif place.copy == "primary" and header.AlternateLBA < last:
        yield AlternateLBAError(
            "the backup header is not in the last block",
            **_at(place, "AlternateLBA"), expected=last, actual=header.AlternateLBA,
        )  # fmt: skip
    lowest = PRIMARY_LBA + 1 + blocks_for(MIN_ARRAY_SIZE, place.sector_size)
    if header.FirstUsableLBA < lowest:
        yield UsableRangeError(
            f"less than {MIN_ARRAY_SIZE} bytes are left for the entry array",
            **_at(place, "FirstUsableLBA"), expected=f"at least {lowest}", actual=header.FirstUsableLBA,
        )  # fmt: skip


def _at(place: Place, field: str) -> dict[str, Any]:
    """The keyword arguments that say where ``field`` of this header is."""
    return {
        "structure": "GPTHeader",
        "field": field,
        "offset": place.offset(field),
        "lba": place.lba,
        "copy": place.copy,
    }
