"""Findings for what a reader lets pass, and for both copies at once."""

from __future__ import annotations

import dataclasses

import pytest

from cloudboot_base.testing import flipped
from cloudboot_gpt import SignatureError, check, create, read
from cloudboot_gpt.testing import sample_disk, sample_table, with_entry, with_header, with_mbr_record

DISK, TABLE = sample_disk(), sample_table()
GUID_1 = TABLE.partitions[0].guid.bytes_le


@pytest.mark.parametrize(
    ("disk", "kinds"),
    [
        (with_header(DISK, "primary", Reserved=1), ["reserved"]),
        (flipped(DISK, 512 + 92), ["reserved"]),
        (flipped(DISK, len(DISK) - 1), ["reserved"]),
        (with_entry(DISK, "primary", 2, UniquePartitionGUID=GUID_1), ["partition-guid", "copies-disagree"]),
        (with_entry(DISK, "primary", 2, UniquePartitionGUID=bytes(16)), ["partition-guid", "copies-disagree"]),
        (with_entry(DISK, "backup", 2, Attributes=1 << 47), ["partition-attributes", "copies-disagree"]),
        (with_mbr_record(DISK, 0, SizeInLBA=0xFFFFFFFF), ["mbr-protective-record"]),
        (with_mbr_record(DISK, 2, StartingLBA=5), ["reserved"]),
        (with_header(DISK, "primary", DiskGUID=bytes(16)), ["disk-guid", "copies-disagree"]),
    ],
)
def test_what_a_reader_lets_pass_is_found(disk: bytes, kinds: list[str]) -> None:
    assert [finding.kind for finding in check(disk)] == kinds
    assert len(read(disk).partitions) == 3


def test_both_copies_are_judged_and_placed() -> None:
    disk = with_entry(with_entry(DISK, "primary", 1, EndingLBA=63), "backup", 1, EndingLBA=63)
    findings = check(disk)
    assert [finding.kind for finding in findings] == ["partition-range", "partition-range"]
    backup_lba = TABLE.backup_entries_lba
    assert [dict(finding.where) for finding in findings] == [
        {"copy": "primary", "lba": 2, "partition": 1},
        {"copy": "backup", "lba": backup_lba, "partition": 1},
    ]
    assert [finding.offset for finding in findings] == [1024 + 40, backup_lba * 512 + 40]


def test_a_header_too_close_to_the_start_is_found() -> None:
    disk = with_header(DISK, "primary", NumberOfPartitionEntries=4, FirstUsableLBA=3)
    kinds = {finding.kind for finding in check(disk)}
    assert {"header-usable-range", "entries-crc", "copies-disagree"} <= kinds


def test_the_rest_of_a_long_entry_must_be_zero() -> None:
    table = dataclasses.replace(TABLE, entry_count=64, entry_size=256)
    disk = bytearray(table.size)
    create(disk, table)
    assert check(disk) == []
    disk[1024 + 256 + 200] = 7
    assert [finding.kind for finding in check(with_entry(bytes(disk), "primary", 2))] == ["reserved", "copies-disagree"]


@pytest.mark.parametrize("offset", [512, 4095])
def test_the_rest_of_lba_0_must_be_zero(offset: int) -> None:
    (finding,) = check(flipped(sample_disk(4096), offset, 7))
    assert (finding.kind, finding.offset, finding.actual, dict(finding.where)) == ("reserved", offset, 7, {"lba": 0})


def test_a_wiped_table_is_found_by_its_protective_mbr() -> None:
    assert [finding.kind for finding in check(DISK[:512] + bytes(len(DISK) - 512))] == [
        "header-signature",
        "backup-missing",
    ]


@pytest.mark.parametrize(("mbr", "hint"), [(bytes(512), None), (bytes(510) + b"\x55\xaa", "plain MBR")])
def test_a_disk_without_a_gpt_is_not_of_the_format(mbr: bytes, hint: str | None) -> None:
    with pytest.raises(SignatureError) as caught:
        check(mbr + bytes(1 << 20))
    assert hint is None or hint in (caught.value.hint or "")


def test_findings_read_like_errors() -> None:
    (finding,) = check(with_header(DISK, "primary", Reserved=1))
    assert str(finding) == (
        "reserved: copy primary lba 1: GPTHeader.Reserved at byte 532: the field is not zero (expected 0, found 1)"
    )
