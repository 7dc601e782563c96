"""Partitions of plain and hybrid MBRs as util-linux reads them, and chains made to lead a reader astray."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

import pytest

from cloudboot_base.testing import judge, run
from cloudboot_gpt import (
    ExtendedPartitionError,
    GPTError,
    MBRError,
    MBRSignatureError,
    RecordRangeError,
    SpecificationError,
    Table,
    read,
    read_mbr,
    read_partitions,
)
from cloudboot_gpt.legacy import MAX_LOGICAL, MBRTable
from cloudboot_gpt.testing import sample_disk, sample_table

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

MIB = 1 << 20
DISK = sample_disk()


def sfdisk_image(path: Path, script: str, size: int = 64 * MIB, *options: str) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    run(judge("sfdisk", "fdisk"), "-q", *options, path, stdin=script.encode())
    return path


def sfdisk_rows(image: Path, *options: str) -> list[tuple[int, int, int, int, bool]]:
    table = json.loads(run(judge("sfdisk", "fdisk"), "-J", *options, image))["partitiontable"]
    rows = []
    for row in table["partitions"]:
        number = int(row["node"].removeprefix(str(image)))
        rows.append((number, int(row["type"], 16), row["start"], row["size"], row.get("bootable", False)))
    return rows


def our_rows(table: MBRTable) -> list[tuple[int, int | UUID, int, int, bool]]:
    return [(each.number, each.type, each.first_lba, each.blocks, each.bootable) for each in table.partitions]


@pytest.mark.parametrize(
    "script",
    [
        "label: dos\nsize=4MiB,type=c,bootable\nsize=8MiB,type=83\n",
        "label: dos\n2: start=2048,size=4MiB,type=a5\n4: size=1MiB,type=ef\n",
        "label: dos\nsize=4MiB,type=83\nsize=40MiB,type=5\nsize=2MiB,type=83\nsize=3MiB,type=82\nsize=5MiB,type=7\n",
        "label: dos\nsize=4MiB,type=83\n3: size=40MiB,type=f\n" + "size=1MiB,type=83\n" * 15,
        "label: dos\nsize=40MiB,type=85\nsize=2MiB,type=83,bootable\n",
    ],
)
def test_partitions_are_those_that_sfdisk_lists(tmp_path: Path, script: str) -> None:
    image = sfdisk_image(tmp_path / "disk.img", script)
    table = read_mbr(image)
    assert our_rows(table) == sfdisk_rows(image)
    assert (table.faults, table.hybrid, table.size) == ((), False, 64 * MIB)
    identity = json.loads(run(judge("sfdisk", "fdisk"), "-J", image))["partitiontable"]["id"]
    assert table.as_dict()["disk_signature"] == identity
    assert read_partitions(image) == table


def test_partitions_are_those_that_parted_lists(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(64 * MIB))
    parted = judge("parted", "parted")
    run(parted, "-s", image, "mklabel", "msdos", "mkpart", "primary", "fat32", "1MiB", "9MiB",
        "mkpart", "extended", "10MiB", "100%", "mkpart", "logical", "ext2", "11MiB", "20MiB",
        "mkpart", "logical", "linux-swap", "30MiB", "40MiB", "set", "1", "boot", "on")  # fmt: skip
    lines = run(parted, "-s", "-m", image, "unit", "s", "print").splitlines()
    rows = [line.split(":")[:3] for line in lines if line[:1].isdigit()]
    assert [
        [str(each.number), f"{each.first_lba}s", f"{each.last_lba}s"] for each in read_mbr(image).partitions
    ] == rows


def test_a_deleted_logical_partition_leaves_the_others(tmp_path: Path) -> None:
    image = sfdisk_image(
        tmp_path / "disk.img", "label: dos\n1: size=40MiB,type=5\n5: size=2MiB\n6: size=3MiB\n7: size=5MiB\n"
    )
    before = read_mbr(image)
    third = before.partition(7)
    assert third is not None
    data = bytearray(image.read_bytes())
    data[(third.first_lba - 2048) * 512 + 446 : (third.first_lba - 2048) * 512 + 462] = bytes(16)
    image.write_bytes(data)
    assert len(read_mbr(image).partitions) == len(before.partitions) - 1
    assert our_rows(read_mbr(image)) == sfdisk_rows(image)


def test_a_hybrid_mbr_has_the_partitions_that_sgdisk_put_there(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(64 * MIB))
    run(
        judge("sgdisk", "gdisk"),
        "-o",
        "-n",
        "1:0:+1M",
        "-t",
        "1:ef00",
        "-n",
        "2:0:+1M",
        "-t",
        "2:a503",
        "-h",
        "1:2",
        image,
    )
    table = read_mbr(image)
    assert table.hybrid
    assert [(each.first_lba, each.size) for each in table.partitions] == [
        (each.first_lba, each.size) for each in read(image, mbr="hybrid").partitions
    ]
    # For UEFI, and so for read_partitions, the GPT is what counts.
    found = read_partitions(image)
    assert isinstance(found, Table)
    assert found.partitions[0].type_name == "esp"
    nested = [row for row in sfdisk_rows(image, "--label-nested", "dos") if row[1] != 0xEE]
    assert our_rows(table) == nested


def test_windows_read_and_write_the_partition(tmp_path: Path) -> None:
    image = sfdisk_image(tmp_path / "disk.img", "label: dos\nstart=2048,size=4MiB\n")
    data = bytearray(image.read_bytes())
    partition = read_mbr(data).partition(1)
    assert partition is not None
    from cloudboot_base import MemoryStorage

    partition.window(MemoryStorage(data)).write_at(0, b"here")
    assert data[MIB : MIB + 4] == b"here"
    assert read_mbr(data).partition(2) is None


@pytest.mark.parametrize("sector_size", [512, 4096])
def test_the_sector_size_is_the_callers(tmp_path: Path, sector_size: int) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(8 * MIB))
    record = bytes([0, 0, 0, 0, 0x83, 0, 0, 0]) + struct.pack("<II", 256, 256)
    image.write_bytes(bytes(446) + record + bytes(48) + b"\x55\xaa" + bytes(8 * MIB - 512))
    (partition,) = read_mbr(image, sector_size=sector_size).partitions
    assert (partition.offset, partition.size) == (256 * sector_size, 256 * sector_size)
    with pytest.raises(SpecificationError):
        read_mbr(image, sector_size=520)


def mbr(*records: tuple[int, int, int], boot: int = 0) -> bytes:
    """A block of 512 bytes with partition records ``(type, first block, blocks)``."""
    raw = b"".join(bytes([boot, 0, 0, 0, kind, 0, 0, 0]) + struct.pack("<II", *place) for kind, *place in records)
    return bytes(446) + raw.ljust(64, b"\0") + b"\x55\xaa"


def disk_of(blocks: dict[int, bytes], size: int = 1000) -> bytes:
    data = bytearray(size * 512)
    for lba, block in blocks.items():
        data[lba * 512 : lba * 512 + 512] = block
    return bytes(data)


CHAINS = [
    ("loops", {0: mbr((5, 10, 900)), 10: mbr((0x83, 1, 9), (5, 0, 10))}, 1),
    ("loops", {0: mbr((5, 10, 900)), 10: mbr((0x83, 1, 9), (5, 90, 10)), 100: mbr((0x83, 1, 9), (5, 90, 10))}, 2),
    ("no extended boot record", {0: mbr((5, 10, 900)), 10: mbr((0x83, 1, 9), (5, 90, 10))}, 1),
    ("behind the end", {0: mbr((5, 10, 900)), 10: mbr((0x83, 1, 9), (5, 2000, 10))}, 1),
    ("behind the end", {0: mbr((5, 10, 900)), 10: mbr((0x83, 1, 9), (5, 0xFFFFFFFF, 10))}, 1),
    ("second extended", {0: mbr((5, 10, 400), (5, 500, 400)), 10: mbr((0x83, 1, 9)), 500: mbr((0x83, 1, 9))}, 1),
]


@pytest.mark.parametrize(("words", "blocks", "logical"), CHAINS)
def test_a_chain_that_leads_astray_ends(words: str, blocks: dict[int, bytes], logical: int) -> None:
    table = read_mbr(disk_of(blocks))
    assert sum(1 for each in table.partitions if each.number > 4) == logical
    (fault,) = [each for each in table.faults if isinstance(each, ExtendedPartitionError)]
    assert words in fault.message


def test_a_chain_without_end_is_cut() -> None:
    blocks = {0: mbr((5, 1, 90_000))}
    for number in range(1, 2 * MAX_LOGICAL):
        blocks[number] = mbr((0x83, 1, 1), (5, number, 1))
    table = read_mbr(disk_of(blocks, 2000))
    assert len(table.partitions) == 1 + MAX_LOGICAL
    assert any(isinstance(fault, ExtendedPartitionError) for fault in table.faults)


def test_records_that_make_no_sense_are_named_and_the_others_read() -> None:
    table = read_mbr(disk_of({0: mbr((0x83, 10, 10), (0x83, 15, 10), (0x83, 990, 20), (0x83, 30, 0))}))
    assert [(fault.partition, type(fault)) for fault in table.faults] == [
        (3, RecordRangeError), (4, RecordRangeError), (2, RecordRangeError),
    ]  # fmt: skip
    assert table.partition(1) is not None


@pytest.mark.parametrize(
    ("disk", "error"),
    [
        (bytes(4096), MBRSignatureError),
        (disk_of({0: mbr((0x83, 1, 1), boot=0x20)}), MBRError),
        (DISK, MBRError),
        (b"", GPTError),
    ],
)
def test_what_is_no_mbr(disk: bytes, error: type[GPTError]) -> None:
    with pytest.raises(error):
        read_mbr(disk)


def test_a_gpt_comes_first_and_a_damaged_primary_gives_way() -> None:
    assert read_partitions(DISK) == sample_table()
    assert read_partitions(DISK).notices == ()
    damaged = read_partitions(DISK[:512] + bytes(512) + DISK[1024:])
    assert damaged == sample_table()
    assert damaged.notices == ("the primary partition table is damaged (no GPT header): the backup was read",)
    with pytest.raises(GPTError):
        read_partitions(bytes(1 << 20))
    # A GPT that was overwritten by an MBR: the MBR is what there is.
    plain = bytearray(disk_of({0: mbr((0x83, 10, 10))}))
    assert isinstance(read_partitions(plain), MBRTable)
