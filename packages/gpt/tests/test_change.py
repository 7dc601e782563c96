"""Tables that follow their disk, partitions whose end moves, arrays that stay in place; gdisk and util-linux judge."""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING

import pytest

from cloudboot_base import Window, new_image
from cloudboot_base.testing import judge, loop_device, run
from cloudboot_gpt import (
    DiskTooSmallError,
    GPTError,
    OccupiedError,
    PartitionSpec,
    SpecificationError,
    UnrepairableError,
    check,
    create,
    grow,
    partition_types,
    plan,
    read,
    repair,
    resize,
)
from cloudboot_gpt.testing import sample_disk, sample_table, with_header

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20
DISK, TABLE = sample_disk(), sample_table()
LOADER = b"eGON.BT0" * 64


def verified(image: Path) -> str:
    """What sgdisk says about a disk; a problem fails the test."""
    said = run(judge("sgdisk", "gdisk"), "-v", image)
    assert "No problems found" in said, said
    return said


def wiped(data: bytes | bytearray, *lbas: int) -> bytes:
    changed = bytearray(data)
    for lba in lbas:
        changed[lba * 512 : lba * 512 + 512] = bytes(512)
    return bytes(changed)


def sgdisk_image(path: Path, *options: str, size: int = 16 * MIB) -> bytes:
    path.write_bytes(bytes(size))
    run(judge("sgdisk", "gdisk"), *options, path)
    return path.read_bytes()


def sfdisk_image(path: Path, script: str, size: int = 16 * MIB) -> bytes:
    path.write_bytes(bytes(size))
    run(judge("sfdisk", "fdisk"), "-q", path, stdin=script.encode())
    return path.read_bytes()


def sfdisk_dump(image: Path) -> list[dict[str, object]]:
    said = run(judge("sfdisk", "fdisk"), "-J", image)  # it warns first
    table = json.loads(said[said.index("{") :])["partitiontable"]
    found: list[dict[str, object]] = table.get("partitions", [])
    return found


# Growing


@pytest.mark.parametrize("added", [512, 4096, 5 * MIB])
def test_a_grown_disk_becomes_what_sgdisk_makes_of_it(tmp_path: Path, added: int) -> None:
    ours, theirs, repaired = tmp_path / "ours.img", tmp_path / "theirs.img", tmp_path / "repaired.img"
    before = sgdisk_image(ours, "-o", "-n", "1:0:+4M", "-n", "2:0:0")
    for image in (ours, theirs, repaired):
        image.write_bytes(before + bytes(added))
    assert [finding.kind for finding in check(ours)] == ["mbr-protective-record", "header-alternate-lba"]
    grow(ours)
    run(judge("sgdisk", "gdisk"), "-e", theirs)
    if added > 34 * 512:
        repair(repaired)
        assert repaired.read_bytes() == ours.read_bytes()
    # sgdisk writes CHS addresses of a geometry of its own.
    mine, other = bytearray(ours.read_bytes()), bytearray(theirs.read_bytes())
    mine[446:462] = other[446:462]
    assert mine == other
    assert check(ours) == []
    verified(ours)
    assert grow(ours) == []


def test_a_disk_that_became_smaller_is_served_if_everything_fits(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    before = sgdisk_image(image, "-o", "-n", "1:0:+4M")
    image.write_bytes(before[: 8 * MIB])
    with pytest.raises(GPTError, match="before its table does"):
        read(image)
    with pytest.raises(GPTError, match="before its table does"):
        repair(image)
    assert image.read_bytes() == before[: 8 * MIB]
    grow(image)
    assert check(image) == []
    verified(image)
    image.write_bytes(before[: 5 * MIB])
    with pytest.raises(DiskTooSmallError) as caught:
        grow(image)
    assert caught.value.partition == 1


@pytest.mark.parametrize("tail", [b"conectix".ljust(512, b"\0"), bytes(40 * 512) + b"payload".ljust(512, b"\0")])
def test_what_stands_at_the_end_of_the_disk_stays(tmp_path: Path, tail: bytes) -> None:
    image = tmp_path / "disk.img"
    before = sgdisk_image(image, "-o", "-n", "1:0:0") + tail
    image.write_bytes(before)
    assert repair(image) == []
    with pytest.raises(OccupiedError) as caught:
        grow(image)
    assert caught.value.offset == len(before) - 512
    assert ("VHD" in caught.value.message) == tail.startswith(b"conectix")
    assert image.read_bytes() == before
    if len(tail) > 512:
        assert grow(image, force=True)
        verified(image)


def test_the_backup_of_an_older_table_at_the_end_is_replaced(tmp_path: Path) -> None:
    image, older = tmp_path / "disk.img", tmp_path / "older.img"
    new = sgdisk_image(image, "-o", "-n", "1:0:+4M")
    old = sgdisk_image(older, "-o", "-n", "1:0:0", size=32 * MIB)
    image.write_bytes(new + old[len(new) :])
    assert read(image, backup="require") == read(new)
    assert repair(image) == []
    grow(image)
    assert check(image) == []
    verified(image)


def test_a_primary_that_is_lost_on_a_grown_disk_comes_back(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    before = sgdisk_image(image, "-o", "-n", "1:0:+4M")
    table = read(before)
    image.write_bytes(wiped(before, 1, 2) + bytes(MIB))
    repair(image)
    assert check(image) == []
    assert read(image).partitions == table.partitions
    verified(image)


def test_a_header_that_names_no_backup_is_read_and_repaired(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    before = sgdisk_image(image, "-o", "-n", "1:0:+4M", "-n", "2:0:+1M")
    table = read(before)
    last = len(before) // 512 - 1
    image.write_bytes(wiped(with_header(before, "primary", AlternateLBA=0), *range(last - 32, last + 1)))
    assert read(image).partitions == table.partitions
    assert [row["start"] for row in sfdisk_dump(image)] == [each.first_lba for each in table.partitions]
    assert "header-alternate-lba" in {finding.kind for finding in check(image)}
    repair(image)
    assert image.read_bytes() == before


# Arrays that were moved


@pytest.mark.parametrize("place", [2048, 100])
def test_an_array_that_sgdisk_moved_is_found_again(tmp_path: Path, place: int) -> None:
    image = tmp_path / "disk.img"
    before = bytearray(sgdisk_image(image, "-o", f"--move-main-table={place}", "-n", "1:0:+1M"))
    before[16 * 512 : 16 * 512 + len(LOADER)] = LOADER
    image.write_bytes(wiped(before, 1))
    assert repair(image) == ["write the primary header at LBA 1"]
    assert image.read_bytes() == before
    # The header and the entries: the place follows from FirstUsableLBA, since a loader is at the other one.
    image.write_bytes(wiped(before, 1, place))
    repair(image)
    assert image.read_bytes() == before
    verified(image)


def test_an_array_that_nobody_uses_to_put_there_is_found_by_its_bytes(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    before = bytearray(sgdisk_image(image, "-o", "--move-main-table=2048", "-n", "1:0:+1M"))
    array = bytes(before[2048 * 512 : 2080 * 512])
    before[2048 * 512 : 2080 * 512] = bytes(len(array))
    before[77 * 512 : 77 * 512 + len(array)] = array
    good = with_header(bytes(before), "primary", PartitionEntryLBA=77)
    assert check(good) == []
    image.write_bytes(wiped(good, 1))
    assert repair(image) == ["write the primary header at LBA 1"]
    assert image.read_bytes() == good


@pytest.mark.parametrize("lost", [(1,), (1, 2), tuple(range(1, 34))])
def test_a_disk_of_sfdisk_comes_back_to_the_byte(tmp_path: Path, lost: tuple[int, ...]) -> None:
    image = tmp_path / "disk.img"
    before = sfdisk_image(image, 'label: gpt\nsize=1MiB,name="a"\nsize=1MiB\n')
    image.write_bytes(wiped(before, *lost))
    repair(image)
    assert image.read_bytes() == before


def test_an_array_without_a_free_place_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    before = bytearray(sfdisk_image(image, "label: gpt\nsize=1MiB\n"))
    before[512 : 2048 * 512] = (b"loader" * 200_000)[: 2047 * 512]
    image.write_bytes(before)
    with pytest.raises(OccupiedError, match="in use") as caught:
        repair(image)
    assert "--force" in (caught.value.hint or "")
    assert image.read_bytes() == before
    assert repair(image, force=True)
    verified(image)


def test_a_loader_in_the_unused_part_of_the_array_is_not_overwritten(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    before = bytearray(sgdisk_image(image, "-o", "-n", "1:0:+1M"))
    before[16 * 512 : 24 * 512] = LOADER * 8
    for lost in ((), (1,)):
        damaged = wiped(before, *lost)
        image.write_bytes(damaged)
        with pytest.raises(OccupiedError, match="unused part") as caught:
            repair(image)
        assert caught.value.lba == 16
        assert image.read_bytes() == damaged
    assert repair(image, force=True)
    verified(image)


def test_an_array_full_of_noise_is_written_anew(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    before = sgdisk_image(image, "-o", "-n", "1:0:+1M")
    image.write_bytes(before[:512] + bytes(range(1, 256)) * 66 + b"\x55" * 66 + before[34 * 512 :])
    assert len(image.read_bytes()) == len(before)
    repair(image)
    assert image.read_bytes() == before


def test_nothing_is_searched_for_ever(tmp_path: Path) -> None:
    # Every block between the header and the first partition looks like the first one of the array.
    image = tmp_path / "disk.img"
    before = bytearray(sgdisk_image(image, "-o", "--move-main-table=20000", "-n", "1:0:+1M", size=32 * MIB))
    before[512:1024] = bytes(512)
    before[2 * 512 : 19000 * 512] = bytes(before[20000 * 512 : 20001 * 512]) * 18998
    before[20000 * 512 : 20032 * 512] = bytes(32 * 512)
    reads = 0

    from cloudboot_base import MemoryStorage

    class Storage(MemoryStorage):
        def read_at(self, offset: int, size: int) -> bytes:
            nonlocal reads
            reads += 1
            return super().read_at(offset, size)

    repair(Storage(before))
    assert reads < 2000


# Moving the end of a partition


def test_resized_partitions_satisfy_sgdisk_sfdisk_and_parted(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    before = sgdisk_image(image, "-o", "-n", "1:0:+2M", "-n", "2:8192:+1M", "-n", "3:0:+1M", "-A", "2:set:2")
    image.write_bytes(before)
    assert resize(image, 1, 3 * MIB)
    assert resize(image, 3, None)
    assert resize(image, 2, MIB // 2, force=True)
    assert resize(image, 2, MIB // 2) == []
    assert check(image) == []
    verified(image)
    rows = sfdisk_dump(image)
    assert [(row["start"], row["size"]) for row in rows] == [
        (2048, 6144),
        (8192, 1024),
        (10240, (32768 - 34 - 10240 + 1) // 8 * 8),  # a multiple of 4 KiB
    ]
    printed = run(judge("parted", "parted"), "-s", "-m", image, "unit", "s", "print")
    assert re.findall(r"^(\d):(\d+)s:(\d+)s", printed, re.MULTILINE) == [
        ("1", "2048", "8191"), ("2", "8192", "9215"), ("3", "10240", "32727"),
    ]  # fmt: skip
    # Nothing but the table was written, and of the entries only their last blocks.
    after = image.read_bytes()
    assert after[34 * 512 : -33 * 512] == before[34 * 512 : -33 * 512]
    old, new = read(before), read(after)
    assert [(each.guid, each.attributes) for each in new.partitions] == [
        (each.guid, each.attributes) for each in old.partitions
    ]


def test_resize_refuses_what_would_lose_data(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(DISK)
    with pytest.raises(DiskTooSmallError, match="not free") as caught:
        resize(image, 1, 65 << 10)
    assert caught.value.expected == f"at most {64 << 10} bytes"
    with pytest.raises(DiskTooSmallError) as caught:
        resize(image, 3, MIB)
    assert "grow" in (caught.value.hint or "")
    with pytest.raises(SpecificationError, match="loses"):
        resize(image, 2, 4096)
    for number, size in ((4, 4096), (2, 0), (0, 4096)):
        with pytest.raises(SpecificationError):
            resize(image, number, size)
    image.write_bytes(wiped(DISK, 1))
    with pytest.raises(GPTError) as damaged:
        resize(image, 3, 4096)
    assert damaged.value.hint == "repair the table first"
    assert image.read_bytes() == wiped(DISK, 1)


def test_an_interrupted_resize_is_finished_or_undone_by_repair() -> None:
    class FullError(Exception):
        pass

    good = bytearray(DISK)
    resize(good, 3, 16 << 10, force=True)
    from cloudboot_base import MemoryStorage

    for writes in range(5):
        disk = bytearray(DISK)

        class Stopping(MemoryStorage):
            left = writes

            def write_at(self, offset: int, data: object) -> None:
                if self.left == 0:
                    raise FullError
                self.left -= 1
                super().write_at(offset, data)  # type: ignore[arg-type]  # any buffer

        with contextlib.suppress(FullError):
            resize(Stopping(disk), 3, 16 << 10, force=True)
        if writes in {1, 3}:
            repair(disk)
        if writes == 2:  # two whole tables that differ: nothing on the disk says which is meant
            with pytest.raises(GPTError):
                repair(disk)
            continue
        assert disk in (DISK, good)


def test_a_hybrid_mbr_follows(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    sgdisk_image(image, "-o", "-n", "1:0:+2M", "-t", "1:ef00", "-h", "1")
    resize(image, 1, 3 * MIB)
    verified(image)
    assert [row["size"] for row in sfdisk_dump(image)] == [6144]
    records = run(judge("sfdisk", "fdisk"), "-J", "--label-nested", "dos", image)
    sizes = [row["size"] for row in json.loads(records)["partitiontable"]["partitions"]]
    assert 6144 in sizes


def test_too_little_left_is_still_refused() -> None:
    disk = bytearray(wiped(DISK, 1, TABLE.last_lba))
    with pytest.raises(UnrepairableError):
        repair(disk)


@pytest.mark.parametrize("sector_size", [512, 4096])
def test_what_takes_the_rest_can_be_a_device_of_large_sectors(tmp_path: Path, sector_size: int) -> None:
    """The kernel's loop driver gives a device of 4096-byte sectors all of the partition, as dm-crypt needs it."""
    image = tmp_path / "disk.img"
    table = plan(
        [PartitionSpec(partition_types.LINUX, MIB, "a"), PartitionSpec(partition_types.LINUX, None, "b")],
        disk_size=16 * MIB, sector_size=sector_size,
    )  # fmt: skip
    with new_image(image, 24 * MIB) as disk:
        create(Window(disk, 0, table.size), table)
    grow(image)
    for expected in (table.partitions[1].size, None):
        partition = read(image).partitions[1]
        assert expected in (None, partition.size)
        with open(tmp_path / "content", "wb") as file:
            file.truncate(partition.size)
        with loop_device(tmp_path / "content", 4096) as device:
            assert int(run(judge("blockdev", "util-linux"), "--getsize64", device)) == partition.size
        resize(image, 2, None)
    assert read(image).partitions[1].size > table.partitions[1].size + 7 * MIB
    assert resize(image, 2, None) == []
