"""Our tables before gdisk, util-linux, parted and The Sleuth Kit, and theirs before us.

With the same geometry and GUIDs the bytes must be the same, whoever wrote them. gdisk takes every file for a disk of
512-byte blocks; fdisk (``-b``), parted (``PARTED_SECTOR_SIZE``) and mmls (``-b``) know 4096 as well.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from crccheck.crc import Crc32

from cloudboot_base.testing import judge, run
from cloudboot_gpt import Attribute, PartitionSpec, Table, check, create, partition_types, plan, read, repair
from cloudboot_gpt.table import SECTOR_SIZES

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20
DISK_GUID = UUID("a5d0ba6d-2f3b-4c0e-9d6a-1a2b3c4d5e6f")
GUIDS = [UUID(f"0000000{number}-1111-4222-8333-444455556666") for number in (1, 2, 3)]
SPECS = [
    PartitionSpec(partition_types.ESP, 2 * MIB, "EFI System", int(Attribute.REQUIRED), GUIDS[0]),
    PartitionSpec(partition_types.FREEBSD_UFS, 3 * MIB, "rootfs", int(Attribute.LEGACY_BIOS_BOOTABLE), GUIDS[1]),
    PartitionSpec(partition_types.LINUX_SWAP, MIB, "Größe \N{GREEK SMALL LETTER OMEGA}", 1 << 63, GUIDS[2]),
]
SIZE = 8 * MIB
both_sizes = pytest.mark.parametrize("sector_size", [512, 4096])


def disk(path: Path, sector_size: int = 512) -> Table:
    path.write_bytes(bytes(SIZE))
    return create(path, SPECS, sector_size=sector_size, disk_guid=DISK_GUID)


def metadata_of(path: Path, table: Table) -> tuple[bytes, bytes]:
    """Everything before and everything after the usable blocks."""
    data = path.read_bytes()
    return data[: table.first_usable_lba * table.sector_size], data[(table.last_usable_lba + 1) * table.sector_size :]


def without_ending_chs(data: bytes) -> bytes:
    """gdisk computes EndingCHS for a geometry of its own; we and util-linux write that it cannot be represented."""
    return data[:451] + b"\xff\xff\xff" + data[454:]


def sgdisk_names(path: Path) -> list[str]:
    sgdisk = judge("sgdisk", "gdisk")
    details = [run(sgdisk, "-i", str(number), path) for number in (1, 2, 3)]
    return [re.findall(r"Partition name: '(.*)'", text)[0] for text in details]


def test_sgdisk_finds_no_problem_and_reads_what_was_written(tmp_path: Path) -> None:
    sgdisk, image = judge("sgdisk", "gdisk"), tmp_path / "disk.img"
    table = disk(image)
    assert "No problems found" in run(sgdisk, "-v", image)
    printed = run(sgdisk, "-p", image)
    assert f"Disk identifier (GUID): {str(DISK_GUID).upper()}" in printed
    assert "Number  Start (sector)    End (sector)" in printed
    rows = re.findall(r"^ +(\d+) +(\d+) +(\d+) ", printed, re.MULTILINE)
    assert rows == [(str(each.number), str(each.first_lba), str(each.last_lba)) for each in table.partitions]
    for partition in table.partitions:
        details = run(sgdisk, "-i", str(partition.number), image)
        assert f"Partition GUID code: {str(partition.type).upper()}" in details
        assert f"Partition unique GUID: {str(partition.guid).upper()}" in details
        assert f"Attribute flags: {partition.attributes:016X}" in details
    assert sgdisk_names(image) == [spec.name for spec in SPECS]


def test_sfdisk_verifies_and_dumps_what_was_written(tmp_path: Path) -> None:
    sfdisk, image = judge("sfdisk", "fdisk"), tmp_path / "disk.img"
    table = disk(image)
    assert "No errors detected" in run(sfdisk, "--verify", image)
    dumped = json.loads(run(sfdisk, "--json", image))["partitiontable"]
    assert (dumped["label"], dumped["id"], dumped["sectorsize"]) == ("gpt", str(DISK_GUID).upper(), 512)
    assert (dumped["firstlba"], dumped["lastlba"]) == (table.first_usable_lba, table.last_usable_lba)
    assert [
        (each["start"], each["size"], UUID(each["type"]), UUID(each["uuid"]), each["name"])
        for each in dumped["partitions"]
    ] == [(each.first_lba, each.blocks, each.type, each.guid, each.name) for each in table.partitions]
    assert [each["attrs"] for each in dumped["partitions"]] == ["RequiredPartition", "LegacyBIOSBootable", "GUID:63"]


@pytest.mark.parametrize("sector_size", SECTOR_SIZES)
def test_fdisk_verifies_every_sector_size(tmp_path: Path, sector_size: int) -> None:
    fdisk, image = judge("fdisk", "fdisk"), tmp_path / "disk.img"
    table = disk(image, sector_size)
    output = run(fdisk, "-b", str(sector_size), image, stdin=b"v\np\nq\n")
    assert "No errors detected" in output
    assert "Using 3 out of 128 partitions" in output
    assert f"Disk identifier: {str(DISK_GUID).upper()}" in output
    rows = re.findall(r"disk\.img\d +(\d+) +(\d+) +(\d+) ", output)
    assert rows == [(str(each.first_lba), str(each.last_lba), str(each.blocks)) for each in table.partitions]


@both_sizes
def test_parted_prints_what_was_written(tmp_path: Path, sector_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    parted, image = judge("parted", "parted"), tmp_path / "disk.img"
    table = disk(image, sector_size)
    monkeypatch.setenv("PARTED_SECTOR_SIZE", str(sector_size))
    lines = run(parted, "-sm", image, "unit", "s", "print").splitlines()
    assert lines[1].split(":")[1:6] == [f"{table.disk_blocks}s", "file", str(sector_size), str(sector_size), "gpt"]
    rows = [line.rstrip(";").split(":") for line in lines[2:]]
    assert [(row[1], row[2], row[5]) for row in rows] == [
        (f"{each.first_lba}s", f"{each.last_lba}s", each.name) for each in table.partitions
    ]


@both_sizes
def test_the_sleuth_kit_lists_what_was_written(tmp_path: Path, sector_size: int) -> None:
    mmls, image = judge("mmls", "sleuthkit"), tmp_path / "disk.img"
    table = disk(image, sector_size)
    output = run(mmls, "-b", str(sector_size), "-t", "gpt", image)
    rows = re.findall(r"^\d+:  (\d{3}) +(\d+) +(\d+) ", output, re.MULTILINE)
    assert [tuple(int(word) for word in row) for row in rows] == [
        (each.number - 1, each.first_lba, each.last_lba) for each in table.partitions
    ]


def test_sgdisk_writes_the_same_bytes(tmp_path: Path) -> None:
    sgdisk, ours, theirs = judge("sgdisk", "gdisk"), tmp_path / "ours.img", tmp_path / "theirs.img"
    table = disk(ours)
    theirs.write_bytes(bytes(SIZE))
    words = ["-o", "-U", str(DISK_GUID), "-a", "1"]
    for each, spec in zip(table.partitions, SPECS, strict=True):
        number = each.number
        words += ["-n", f"{number}:{each.first_lba}:{each.last_lba}", "-t", f"{number}:{each.type}"]
        words += ["-u", f"{number}:{each.guid}", "-c", f"{number}:{spec.name}"]
        words += [f"-A{number}:set:{bit}" for bit in range(64) if spec.attributes >> bit & 1]
    run(sgdisk, *words, theirs)
    head, tail = metadata_of(theirs, table)
    assert (without_ending_chs(head), tail) == metadata_of(ours, table)


def test_sfdisk_writes_the_same_bytes(tmp_path: Path) -> None:
    sfdisk, ours, theirs = judge("sfdisk", "fdisk"), tmp_path / "ours.img", tmp_path / "theirs.img"
    table = disk(ours)
    theirs.write_bytes(bytes(SIZE))
    attributes = ["RequiredPartition", "LegacyBIOSBootable", "GUID:63"]
    script = f"label: gpt\nlabel-id: {DISK_GUID}\nfirst-lba: 34\nunit: sectors\n" + "".join(
        f"start={each.first_lba}, size={each.blocks}, type={each.type}, uuid={each.guid}, "
        f'name="{each.name}", attrs="{attrs}"\n'
        for each, attrs in zip(table.partitions, attributes, strict=True)
    )
    run(sfdisk, "--no-reread", theirs, stdin=script.encode())
    assert metadata_of(theirs, table) == metadata_of(ours, table)


@both_sizes
def test_fdisk_writes_the_same_bytes(tmp_path: Path, sector_size: int) -> None:
    fdisk, ours, theirs = judge("fdisk", "fdisk"), tmp_path / "ours.img", tmp_path / "theirs.img"
    first = 256 * 4096 // sector_size  # fdisk itself does not offer less than 1 MiB
    specs = [PartitionSpec(partition_types.LINUX, 2 * MIB, "data", guid=GUIDS[0])]
    ours.write_bytes(bytes(SIZE))
    table = create(ours, specs, sector_size=sector_size, disk_guid=DISK_GUID, first_lba=first)
    theirs.write_bytes(bytes(SIZE))
    last = table.partitions[0].last_lba
    keys = f"g\nn\n1\n{first}\n{last}\nx\ni\n{DISK_GUID}\nu\n{GUIDS[0]}\nn\ndata\nr\nw\n"
    run(fdisk, "-b", str(sector_size), theirs, stdin=keys.encode())
    changed = _with_first_usable(theirs.read_bytes(), table)
    theirs.write_bytes(changed)
    assert metadata_of(theirs, table) == metadata_of(ours, table)


def _with_first_usable(data: bytes, table: Table) -> bytes:
    """fdisk raises FirstUsableLBA to its own alignment; put the specification's value and the CRC of crccheck there."""
    changed = bytearray(data)
    for lba in (1, table.last_lba):
        header = memoryview(changed)[lba * table.sector_size :][:92]
        header[40:48] = table.first_usable_lba.to_bytes(8, "little")
        header[16:20] = bytes(4)
        header[16:20] = Crc32.calc(bytes(header)).to_bytes(4, "little")
    return bytes(changed)


def test_a_disk_of_sgdisk_is_clean_and_read(tmp_path: Path) -> None:
    sgdisk, image = judge("sgdisk", "gdisk"), tmp_path / "disk.img"
    image.write_bytes(bytes(SIZE))
    run(
        sgdisk,
        "-n1:2048:+2M",
        "-t1:ef00",
        "-c1:ESP",
        "-n2:0:+1M",
        "-t2:a503",
        "-n7:0:0",
        "-t7:8300",
        "-A7:set:2",
        image,
    )
    assert check(image) == []
    table = read(image, backup="require")
    assert [(each.number, each.type_name, each.first_lba, each.name) for each in table.partitions] == [
        (1, "esp", 2048, "ESP"),
        (2, "freebsd-ufs", 6144, ""),
        (7, "linux", 8192, ""),
    ]
    assert table.partitions[2].attributes == Attribute.LEGACY_BIOS_BOOTABLE


def test_a_disk_of_sgdisk_with_a_moved_array_and_many_entries_survives_a_round_trip(tmp_path: Path) -> None:
    sgdisk, image = judge("sgdisk", "gdisk"), tmp_path / "disk.img"
    image.write_bytes(bytes(SIZE))
    run(sgdisk, "-S", "256", "-j", "100", "-n", "200:4096:+1M", "-t", "200:" + str(UUID(int=99)), image)
    assert check(image) == []
    table = read(image, backup="require")
    assert (table.entry_count, table.entries_lba) == (256, 100)
    assert [(each.number, each.type) for each in table.partitions] == [(200, UUID(int=99))]
    theirs = metadata_of(image, table)
    image.write_bytes(bytes(SIZE))
    create(image, table)
    assert metadata_of(image, table) == (without_ending_chs(theirs[0]), theirs[1])


@both_sizes
def test_a_disk_of_parted_is_clean_and_read(tmp_path: Path, sector_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    parted, image = judge("parted", "parted"), tmp_path / "disk.img"
    image.write_bytes(bytes(SIZE))
    monkeypatch.setenv("PARTED_SECTOR_SIZE", str(sector_size))
    run(parted, "-s", image, "mklabel", "gpt", "mkpart", "ESP", "fat16", "1MiB", "3MiB", "set", "1", "esp", "on")
    assert check(image) == []
    table = read(image)
    assert table.sector_size == sector_size
    assert [(each.type_name, each.offset, each.size, each.name) for each in table.partitions] == [
        ("esp", MIB, 2 * MIB, "ESP")
    ]


def test_a_hybrid_disk_of_sgdisk_is_named_as_one(tmp_path: Path) -> None:
    sgdisk, image = judge("sgdisk", "gdisk"), tmp_path / "disk.img"
    disk(image)
    run(sgdisk, "-h", "1", image)
    assert "mbr-hybrid" in {finding.kind for finding in check(image)}
    assert read(image, mbr="hybrid").disk_guid == DISK_GUID
    before = image.read_bytes()
    assert repair(image) == []
    assert image.read_bytes() == before


def test_what_we_repaired_satisfies_sgdisk(tmp_path: Path) -> None:
    sgdisk, image = judge("sgdisk", "gdisk"), tmp_path / "disk.img"
    disk(image)
    good, verdict = image.read_bytes(), run(sgdisk, "-v", image)
    for start in (512, SIZE - 512, 0):
        image.write_bytes(good[:start] + bytes(512) + good[start + 512 :])
        assert run(sgdisk, "-v", image, codes=range(256)) != verdict
        assert len(repair(image)) == 1
        assert run(sgdisk, "-v", image) == verdict


def test_sgdisk_repairs_a_disk_to_the_bytes_that_we_wrote(tmp_path: Path) -> None:
    sgdisk, image = judge("sgdisk", "gdisk"), tmp_path / "disk.img"
    table = disk(image)
    good = metadata_of(image, table)
    damaged = bytearray(image.read_bytes())
    damaged[-512:] = bytes(512)
    image.write_bytes(damaged)
    run(sgdisk, "-e", image)
    assert metadata_of(image, table) == good


def test_partition_types_have_the_guids_util_linux_knows() -> None:
    listed = run(judge("sfdisk", "fdisk"), "--label", "gpt", "--list-types")
    theirs = {UUID(line[:36]): line[36:].strip() for line in listed.splitlines() if re.match(r"[0-9A-Fa-f]{8}-", line)}
    unknown = {name for name, guid in partition_types.ALIASES.items() if guid not in theirs}
    assert unknown == {"linux-luks"}  # the Discoverable Partitions Specification's; sgdisk knows it, as 8309
    names = {alias: theirs[guid] for alias, guid in partition_types.ALIASES.items() if alias not in unknown}
    expected: dict[str, Any] = {
        "esp": "EFI System", "bios-boot": "BIOS boot", "freebsd-boot": "FreeBSD boot", "freebsd-ufs": "FreeBSD UFS",
        "freebsd-swap": "FreeBSD swap", "freebsd-zfs": "FreeBSD ZFS", "netbsd-ffs": "NetBSD FFS",
        "openbsd": "OpenBSD data", "linux": "Linux filesystem", "linux-root-arm64": "Linux root (ARM-64)",
        "linux-root-riscv64": "Linux root (RISC-V-64)", "linux-root-loongarch64": "Linux root (LoongArch-64)",
        "microsoft-reserved": "Microsoft reserved", "microsoft-basic-data": "Microsoft basic data",
        "microsoft-recovery": "Windows recovery environment", "prep-boot": "PowerPC PReP boot",
    }  # fmt: skip
    assert {alias: names[alias] for alias in expected} == expected
    for alias, name in names.items():
        assert name.split()[0].lower() in (*alias.split("-"), "efi", "mbr", "bios", "powerpc", "windows"), (alias, name)


def test_the_luks_type_is_the_one_gdisk_names(tmp_path: Path) -> None:
    sgdisk, image = judge("sgdisk", "gdisk"), tmp_path / "disk.img"
    image.write_bytes(bytes(SIZE))
    run(sgdisk, "-n1:2048:+1M", "-t1:8309", image)
    assert read(image).partitions[0].type == partition_types.LINUX_LUKS


@both_sizes
def test_crccheck_computes_the_same_checksums(tmp_path: Path, sector_size: int) -> None:
    image = tmp_path / "disk.img"
    table = disk(image, sector_size)
    data = image.read_bytes()
    for lba in (1, table.last_lba):
        header = bytearray(data[lba * sector_size :][:92])
        stored = int.from_bytes(header[16:20], "little")
        header[16:20] = bytes(4)
        assert Crc32.calc(header) == stored
        array = int.from_bytes(header[72:80], "little") * sector_size
        assert Crc32.calc(data[array : array + 128 * 128]) == int.from_bytes(header[88:92], "little")


def test_the_sleuth_kit_reads_entries_of_256_bytes(tmp_path: Path) -> None:
    mmls, image = judge("mmls", "sleuthkit"), tmp_path / "disk.img"
    image.write_bytes(bytes(SIZE))
    table = dataclasses.replace(plan(SPECS, disk_size=SIZE), entry_count=64, entry_size=256)
    assert create(image, table) == read(image, backup="require")
    rows = re.findall(r"^\d+:  (\d{3}) +(\d+) +(\d+) ", run(mmls, "-t", "gpt", image), re.MULTILINE)
    assert [int(row[1]) for row in rows] == [each.first_lba for each in table.partitions]


@pytest.mark.slow
def test_a_disk_of_more_blocks_than_the_mbr_can_count(tmp_path: Path) -> None:
    sgdisk, image = judge("sgdisk", "gdisk"), tmp_path / "disk.img"
    size = 3 << 40
    with image.open("wb") as file:
        os.ftruncate(file.fileno(), size)
    table = create(image, plan([PartitionSpec(partition_types.LINUX, None)], disk_size=size))
    assert table.disk_blocks > 1 << 32
    assert "No problems found" in run(sgdisk, "-v", image)
    assert check(image) == []
    assert read(image, backup="require") == table
