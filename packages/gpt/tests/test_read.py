"""Every way a table can be wrong has an error of its own, which names block, byte, field and both values."""

from __future__ import annotations

import io
import struct
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

import cloudboot_gpt as gpt
from cloudboot_base import FormatError, MemoryStorage, TruncatedError
from cloudboot_base.testing import flipped, truncations
from cloudboot_gpt.testing import header_offset, sample_disk, sample_table, with_entry, with_header, with_mbr_record

if TYPE_CHECKING:
    from pathlib import Path

DISK, TABLE = sample_disk(), sample_table()
LAST = TABLE.last_lba
ENTRY = 2 * 512


@pytest.mark.parametrize("sector_size", gpt.SECTOR_SIZES)
@pytest.mark.parametrize("backup", ["ignore", "allow", "only", "require"])
def test_a_good_disk_is_read_from_either_copy(sector_size: int, backup: Any) -> None:
    disk = sample_disk(sector_size)
    assert gpt.read(disk, backup=backup) == sample_table(sector_size)
    assert gpt.read(disk, backup=backup, sector_size=sector_size) == sample_table(sector_size)
    assert gpt.check(disk) == []


def test_every_kind_of_source_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(DISK)
    with path.open("rb") as file:
        sources: list[Any] = [path, str(path), file, DISK, bytearray(DISK), memoryview(DISK), io.BytesIO(DISK)]
        for source in [*sources, MemoryStorage(DISK)]:
            assert gpt.read(source) == TABLE
            assert gpt.check(source) == []


# Error, what is done to the disk, and the facts the error must state: block, byte, field, expected, actual.
HEADER_CASES = [
    (gpt.SignatureError, {"Signature": b"EFI PART"[::-1]}, 0, "Signature", b"EFI PART", b"TRAP IFE"),
    (gpt.RevisionError, {"Revision": 0x00020000}, 8, "Revision", 0x10000, 0x20000),
    (gpt.HeaderSizeError, {"HeaderSize": 91}, 12, "HeaderSize", "92 to 512", 91),
    (gpt.HeaderSizeError, {"HeaderSize": 513}, 12, "HeaderSize", "92 to 512", 513),
    (gpt.HeaderSizeError, {"HeaderSize": 0xFFFFFFFF}, 12, "HeaderSize", "92 to 512", 0xFFFFFFFF),
    (gpt.MyLBAError, {"MyLBA": 2}, 24, "MyLBA", 1, 2),
    (gpt.TruncatedDiskError, {"AlternateLBA": LAST + 1}, 32, "AlternateLBA", f"at most {LAST}", LAST + 1),
    (gpt.TruncatedDiskError, {"AlternateLBA": (1 << 64) - 1}, 32, "AlternateLBA", f"at most {LAST}", (1 << 64) - 1),
    (gpt.UsableRangeError, {"FirstUsableLBA": 1}, 40, "FirstUsableLBA", None, 1),
    (gpt.UsableRangeError, {"FirstUsableLBA": LAST}, 40, "FirstUsableLBA", None, LAST),
    (gpt.UsableRangeError, {"LastUsableLBA": LAST}, 48, "LastUsableLBA", f"less than {LAST}", LAST),
    (gpt.UsableRangeError, {"LastUsableLBA": (1 << 64) - 1}, 48, "LastUsableLBA", f"less than {LAST}", (1 << 64) - 1),
    (gpt.EntryArrayPlaceError, {"PartitionEntryLBA": 1}, 72, "PartitionEntryLBA", "2 to 2", 1),
    (gpt.EntryArrayPlaceError, {"PartitionEntryLBA": 3}, 72, "PartitionEntryLBA", "2 to 2", 3),
    (gpt.EntryArrayPlaceError, {"PartitionEntryLBA": (1 << 64) - 1}, 72, "PartitionEntryLBA", "2 to 2", (1 << 64) - 1),
    (gpt.EntryCountError, {"NumberOfPartitionEntries": 0}, 80, "NumberOfPartitionEntries", "1 to 32768", 0),
    (
        gpt.EntryCountError, {"NumberOfPartitionEntries": 0xFFFFFFFF}, 80, "NumberOfPartitionEntries", "1 to 32768",
        0xFFFFFFFF,
    ),
    (
        gpt.EntryArrayPlaceError, {"NumberOfPartitionEntries": 129}, 80, "NumberOfPartitionEntries",
        "at most 32 blocks", 33,
    ),
    (gpt.EntrySizeError, {"SizeOfPartitionEntry": 0}, 84, "SizeOfPartitionEntry", None, 0),
    (gpt.EntrySizeError, {"SizeOfPartitionEntry": 64}, 84, "SizeOfPartitionEntry", None, 64),
    (gpt.EntrySizeError, {"SizeOfPartitionEntry": 192}, 84, "SizeOfPartitionEntry", None, 192),
    (
        gpt.EntrySizeError, {"SizeOfPartitionEntry": 1 << 31}, 84, "SizeOfPartitionEntry",
        "128 times a power of two, at most 4194304", 1 << 31,
    ),
    (gpt.EntryArrayChecksumError, {"PartitionEntryArrayCRC32": 1}, 88, "PartitionEntryArrayCRC32", 1, None),
]  # fmt: skip


@pytest.mark.parametrize(("error", "fields", "inside", "field", "expected", "actual"), HEADER_CASES)
def test_a_wrong_header_field(
    error: type[gpt.GPTError], fields: dict[str, Any], inside: int, field: str, expected: object, actual: object
) -> None:
    disk = with_header(DISK, "primary", **fields)
    with pytest.raises(error) as caught:
        gpt.read(disk)
    fault = caught.value
    assert type(fault) is error
    assert (fault.structure, fault.field, fault.lba, fault.copy) == ("GPTHeader", field, 1, "primary")
    assert fault.offset == 512 + inside
    assert expected in (None, fault.expected)
    assert actual in (None, fault.actual)
    assert fault.hint is not None
    assert field in str(fault)
    assert "lba 1" in str(fault)
    assert error.kind in {finding.kind for finding in gpt.check(disk)}
    # The backup is still good, and only used when asked for.
    assert gpt.read(disk, backup="allow") == gpt.read(disk, backup="only") == TABLE
    with pytest.raises(error):
        gpt.read(disk, backup="require")


BACKUP_CASES = [
    (gpt.MissingBackupError, {"Signature": bytes(8)}),
    (gpt.RevisionError, {"Revision": 0}),
    (gpt.MyLBAError, {"MyLBA": 1}),
    (gpt.AlternateLBAError, {"AlternateLBA": 2}),
    (gpt.UsableRangeError, {"LastUsableLBA": LAST}),
    (gpt.EntryArrayPlaceError, {"PartitionEntryLBA": TABLE.last_usable_lba}),
    (gpt.EntryArrayPlaceError, {"PartitionEntryLBA": LAST}),
    (gpt.DisagreementError, {"DiskGUID": bytes(range(16))}),
]


@pytest.mark.parametrize(("error", "fields"), BACKUP_CASES)
def test_a_wrong_backup_is_found_by_those_who_look(error: type[gpt.GPTError], fields: dict[str, Any]) -> None:
    disk = with_header(DISK, "backup", **fields)
    assert gpt.read(disk) == TABLE
    with pytest.raises(error) as caught:
        gpt.read(disk, backup="require")
    assert type(caught.value) is error
    assert (caught.value.copy, caught.value.lba) == ("backup", LAST)
    assert error.kind in {finding.kind for finding in gpt.check(disk)}


def test_a_changed_header_that_its_crc_does_not_know() -> None:
    disk = with_header(DISK, "primary", rehash=False, DiskGUID=bytes(range(16)))
    with pytest.raises(gpt.HeaderChecksumError) as caught:
        gpt.read(disk)
    (stored,) = struct.unpack_from("<I", DISK, 512 + 16)
    assert (caught.value.offset, caught.value.expected) == (512 + 16, stored)
    assert caught.value.actual != stored


def test_a_changed_entry_that_the_array_crc_does_not_know() -> None:
    disk = with_entry(DISK, "primary", 2, rehash=False, Attributes=4)
    with pytest.raises(gpt.EntryArrayChecksumError) as caught:
        gpt.read(disk)
    assert (caught.value.lba, caught.value.offset) == (1, 512 + 88)
    assert "LBA 2" in str(caught.value)


ENTRY_CASES = [
    (gpt.PartitionRangeError, 1, {"EndingLBA": 63}, 40, "EndingLBA", "at least 64", 63),
    (gpt.PartitionRangeError, 1, {"StartingLBA": 33}, 32, "StartingLBA", f"34 to {TABLE.last_usable_lba}", 33),
    (gpt.PartitionRangeError, 3, {"EndingLBA": LAST}, 40, "EndingLBA", f"34 to {TABLE.last_usable_lba}", LAST),
    (gpt.PartitionRangeError, 3, {"EndingLBA": (1 << 64) - 1}, 40, "EndingLBA", None, (1 << 64) - 1),
    (gpt.OverlapError, 2, {"StartingLBA": 100}, 32, "StartingLBA", "more than 191", 100),
    (gpt.OverlapError, 3, {"StartingLBA": 64}, 32, "StartingLBA", "more than 191", 64),
]


@pytest.mark.parametrize(("error", "number", "fields", "inside", "field", "expected", "actual"), ENTRY_CASES)
def test_a_wrong_entry(
    error: type[gpt.GPTError],
    number: int,
    fields: dict[str, Any],
    inside: int,
    field: str,
    expected: object,
    actual: object,
) -> None:
    disk = with_entry(DISK, "primary", number, **fields)
    with pytest.raises(error) as caught:
        gpt.read(disk, strict=True)
    fault = caught.value
    assert type(fault) is error
    assert str(fault) in map(str, gpt.read(disk).faults)
    assert (fault.structure, fault.field, fault.copy) == ("GPTPartitionEntry", field, "primary")
    assert fault.partition == number
    assert (fault.lba, fault.offset) == (2, ENTRY + 128 * (number - 1) + inside)
    assert expected in (None, fault.expected)
    assert fault.actual == actual
    assert error.kind in {finding.kind for finding in gpt.check(disk)}


MBR_CASES: list[tuple[type[gpt.GPTError], bytes, int]] = [
    (gpt.MBRSignatureError, flipped(DISK, 510), 510),
    (gpt.MBRSignatureError, bytes(512) + DISK[512:], 510),
    (gpt.NoProtectiveMBRError, with_mbr_record(DISK, 0, OSType=0x83), 446),
    (gpt.NoProtectiveMBRError, with_mbr_record(DISK, 0, OSType=0), 446),
    (gpt.HybridMBRError, with_mbr_record(DISK, 1, OSType=0xEF, StartingLBA=64, SizeInLBA=128), 446 + 16 + 4),
    (gpt.HybridMBRError, with_mbr_record(DISK, 3, OSType=0xEE, StartingLBA=1), 446 + 48 + 4),
    (gpt.ProtectiveRecordError, with_mbr_record(DISK, 0, StartingLBA=0), 446 + 8),
]


@pytest.mark.parametrize(("error", "disk", "offset"), MBR_CASES)
def test_a_wrong_mbr(error: type[gpt.GPTError], disk: bytes, offset: int) -> None:
    with pytest.raises(error) as caught:
        gpt.read(disk)
    assert type(caught.value) is error
    assert (caught.value.lba, caught.value.offset) == (0, offset)
    assert gpt.read(disk, mbr="ignore") == TABLE
    assert error.kind in {finding.kind for finding in gpt.check(disk)}
    if error is gpt.HybridMBRError:
        assert gpt.read(disk, mbr="hybrid") == TABLE
    else:
        with pytest.raises(error):
            gpt.read(disk, mbr="hybrid")


def test_a_protective_record_in_another_slot_is_read() -> None:
    disk = bytearray(DISK)
    disk[446:462], disk[462:478] = disk[462:478], disk[446:462]
    assert gpt.read(disk) == TABLE


@pytest.mark.parametrize("sector_size", gpt.SECTOR_SIZES)
def test_a_truncated_disk_is_never_read(sector_size: int) -> None:
    disk = sample_disk(sector_size)
    for cut in truncations(disk, max(sector_size, len(disk) // 40)):
        with pytest.raises((gpt.TruncatedDiskError, gpt.SignatureError)) as caught:
            gpt.read(cut)
        if len(cut) > 6 * sector_size:
            assert isinstance(caught.value, TruncatedError)
            assert isinstance(caught.value, EOFError)


def test_a_disk_one_byte_short_is_truncated() -> None:
    with pytest.raises(gpt.TruncatedDiskError):
        gpt.read(DISK[:-1])


def test_a_disk_that_has_grown_is_read_and_reported() -> None:
    disk = DISK + bytes(4096)
    assert gpt.read(disk) == gpt.read(disk, backup="require") == TABLE
    assert [(finding.kind, finding.field) for finding in gpt.check(disk)] == [
        ("mbr-protective-record", "SizeInLBA"),
        ("header-alternate-lba", "AlternateLBA"),
    ]


@pytest.mark.parametrize("data", [b"", b"\0", bytes(3072), bytes(1 << 20), b"EFI PART" * 1024])
def test_what_is_no_gpt_disk(data: bytes) -> None:
    for policy in ("protective", "ignore"):
        with pytest.raises(gpt.GPTError):
            gpt.read(data, mbr=policy)


def test_a_sector_size_that_is_none() -> None:
    with pytest.raises(gpt.SpecificationError):
        gpt.read(DISK, sector_size=520)
    with pytest.raises(gpt.TruncatedDiskError):
        gpt.read(bytes(6 * 512), sector_size=4096)


def test_the_sector_size_is_told_by_whichever_copy_is_left() -> None:
    disk = bytearray(sample_disk(4096))
    disk[4096:8192] = bytes(4096)
    assert gpt.read(disk, backup="allow") == sample_table(4096)
    with pytest.raises(gpt.SignatureError) as caught:
        gpt.read(disk)
    assert caught.value.offset == 4096


def test_a_stale_header_of_another_sector_size_does_not_deceive() -> None:
    disk = bytearray(sample_disk(4096))
    disk[512:604] = DISK[512:604]  # what is left of a table for 512-byte blocks
    assert gpt.read(disk) == sample_table(4096)


@pytest.mark.parametrize(
    "fields",
    [
        {"NumberOfPartitionEntries": 0xFFFFFFFF},
        {"SizeOfPartitionEntry": 1 << 31},
        {"NumberOfPartitionEntries": 0xFFFFFFFF, "SizeOfPartitionEntry": 1 << 31},
        {"NumberOfPartitionEntries": 1 << 24, "FirstUsableLBA": 1 << 30, "LastUsableLBA": 1 << 31},
    ],
)
def test_a_boastful_header_allocates_nothing(fields: dict[str, Any]) -> None:
    disk = with_header(with_header(DISK, "primary", **fields), "backup", **fields)
    tracemalloc.start()
    try:
        with pytest.raises(gpt.GPTError):
            gpt.read(disk)
        gpt.check(disk)
        with pytest.raises((gpt.UnrepairableError, gpt.TruncatedDiskError)):
            gpt.repair(bytearray(disk))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_errors_are_format_errors_with_facts_for_json() -> None:
    with pytest.raises(FormatError) as caught:
        gpt.read(with_header(DISK, "primary", MyLBA=7))
    assert caught.value.as_dict() == {
        "error": "MyLBAError",
        "message": "the header belongs elsewhere",
        "structure": "GPTHeader",
        "field": "MyLBA",
        "offset": 536,
        "expected": 1,
        "actual": 7,
        "hint": 'the backup is whole: repair the disk, or read it with backup="allow"',
        "where": {"copy": "primary", "lba": 1},
    }


def test_header_offset_names_both_copies() -> None:
    assert [header_offset(DISK, copy) for copy in ("primary", "backup")] == [512, len(DISK) - 512]
