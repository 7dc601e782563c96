"""What can be rebuilt is rebuilt to the byte; what cannot be decided is refused and left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_base.testing import flipped
from cloudboot_gpt import DisagreementError, GPTError, UnrepairableError, check, metadata, repair
from cloudboot_gpt.testing import sample_disk, sample_table, with_entry, with_header, with_mbr_record

DISKS = {size: sample_disk(size) for size in (512, 4096)}
DISK, TABLE = DISKS[512], sample_table()
LAST, BACKUP_ARRAY = TABLE.last_lba, TABLE.backup_entries_lba


def wiped(disk: bytes, *lbas: int, sector_size: int = 512) -> bytearray:
    changed = bytearray(disk)
    for lba in lbas:
        changed[lba * sector_size : (lba + 1) * sector_size] = bytes(sector_size)
    return changed


@pytest.mark.parametrize(
    ("lbas", "actions"),
    [
        ((), []),
        ((0,), ["write the protective MBR at LBA 0"]),
        ((1,), ["write the primary header at LBA 1"]),
        ((2,), ["write the primary entry array at LBA 2"]),
        ((1, 2), ["write the primary entry array at LBA 2", "write the primary header at LBA 1"]),
        ((LAST,), [f"write the backup header at LBA {LAST}"]),
        ((BACKUP_ARRAY,), [f"write the backup entry array at LBA {BACKUP_ARRAY}"]),
        (
            (BACKUP_ARRAY, LAST),
            [f"write the backup entry array at LBA {BACKUP_ARRAY}", f"write the backup header at LBA {LAST}"],
        ),
        # The header of one copy and the array of the other.
        (
            (1, BACKUP_ARRAY),
            [f"write the backup entry array at LBA {BACKUP_ARRAY}", "write the primary header at LBA 1"],
        ),
        ((2, LAST), [f"write the backup header at LBA {LAST}", "write the primary entry array at LBA 2"]),
        ((0, 1), ["write the primary header at LBA 1", "write the protective MBR at LBA 0"]),
    ],
)
def test_a_wiped_block_comes_back_as_it_was(lbas: tuple[int, ...], actions: list[str]) -> None:
    disk = wiped(DISK, *lbas)
    damaged = bytes(disk)
    assert repair(disk, dry_run=True) == actions
    assert disk == damaged
    assert repair(disk) == actions
    assert disk == DISK
    assert repair(disk) == []


@pytest.mark.parametrize(
    "lbas", [(1, LAST), (2, BACKUP_ARRAY), (1, 2, LAST), (1, 2, BACKUP_ARRAY), (2, LAST, BACKUP_ARRAY)]
)
def test_too_little_left(lbas: tuple[int, ...]) -> None:
    disk = wiped(DISK, *lbas)
    damaged = bytes(disk)
    with pytest.raises(UnrepairableError):
        repair(disk)
    assert disk == damaged


def test_no_room_for_the_other_array() -> None:
    disk = wiped(with_header(DISK, "primary", LastUsableLBA=LAST - 1), LAST)
    with pytest.raises(UnrepairableError, match="no room"):
        repair(disk)


def test_two_whole_tables_that_differ_are_refused() -> None:
    disk = bytearray(with_entry(DISK, "backup", 2, Attributes=4))
    with pytest.raises(DisagreementError) as caught:
        repair(disk)
    assert caught.value.field == "PartitionEntryArrayCRC32"
    assert (caught.value.lba, caught.value.copy) == (LAST, "backup")


@pytest.mark.parametrize("alternate", [0, 1, LAST - 1, LAST + 5, 1 << 63])
def test_a_primary_that_misplaces_its_backup_is_corrected(alternate: int) -> None:
    disk = bytearray(with_header(DISK, "primary", AlternateLBA=alternate))
    assert repair(disk) == ["write the primary header at LBA 1"]
    assert disk == DISK
    assert check(disk) == []


def test_two_valid_headers_that_differ_without_an_array_are_refused() -> None:
    disk = wiped(with_header(DISK, "backup", DiskGUID=bytes(range(16))), 2, BACKUP_ARRAY)
    with pytest.raises(DisagreementError):
        repair(disk)


def test_the_only_whole_copy_wins_over_a_valid_header_without_its_array() -> None:
    # As an update leaves it that was interrupted between the backup's header and its array.
    disk = bytearray(with_header(DISK, "backup", PartitionEntryArrayCRC32=1))
    assert repair(disk) == [f"write the backup header at LBA {LAST}"]
    assert disk == DISK


def test_an_array_that_was_moved_stays_where_it_was() -> None:
    disk = bytearray(DISK)
    disk[34 * 512 : 66 * 512] = DISK[2 * 512 : 34 * 512]
    for copy in ("primary", "backup"):
        disk = bytearray(with_header(bytes(disk), copy, FirstUsableLBA=66))
    disk = bytearray(with_header(bytes(disk), "primary", PartitionEntryLBA=34))
    for copy in ("primary", "backup"):
        disk = bytearray(with_entry(bytes(disk), copy, 1, StartingLBA=66))
    good = bytes(disk)
    assert check(good) == []
    disk[34 * 512 : 35 * 512] = bytes(512)
    assert repair(disk) == ["write the primary entry array at LBA 34"]
    assert disk == good


def test_a_stray_backup_header_does_not_say_where_to_write() -> None:
    # A disk that has grown, with a valid header in its new last block that belongs to another table.
    stray = bytearray(with_header(DISK, "backup", MyLBA=LAST + 8, DiskGUID=bytes(range(16)))[-512:])
    disk = bytearray(DISK + bytes(7 * 512) + stray)
    disk[LAST * 512 : (LAST + 1) * 512] = bytes(512)
    with pytest.raises(DisagreementError):
        repair(disk)
    disk = bytearray(with_header(bytes(disk), "backup", PartitionEntryLBA=LAST + 8 - 32))
    assert repair(disk) == [f"write the backup header at LBA {LAST}"]
    assert disk[512 : len(DISK)] == DISK[512:]
    assert disk[len(DISK) : -512] == bytes(7 * 512)


def test_a_hybrid_mbr_is_left_alone() -> None:
    disk = bytearray(with_mbr_record(DISK, 1, OSType=0x83, StartingLBA=64, SizeInLBA=128))
    hybrid = bytes(disk)
    assert repair(disk) == []
    assert disk == hybrid


@pytest.mark.parametrize(
    "disk",
    [
        with_mbr_record(DISK, 0, OSType=0x83, StartingLBA=63),
        with_mbr_record(with_mbr_record(DISK, 1, OSType=0x83, StartingLBA=64), 0, OSType=0),
        flipped(with_mbr_record(DISK, 1, OSType=0x83, StartingLBA=64), 510),
    ],
)
def test_a_disk_partitioned_anew_with_an_mbr_is_refused(disk: bytes) -> None:
    damaged = wiped(disk, 1)
    before = bytes(damaged)
    with pytest.raises(DisagreementError, match="out of date"):
        repair(damaged)
    assert damaged == before


@pytest.mark.parametrize(
    "disk",
    [
        with_mbr_record(DISK, 0, OSType=0xEF),
        with_mbr_record(DISK, 0, StartingLBA=2),
        with_mbr_record(DISK, 0, SizeInLBA=3),
        with_mbr_record(DISK, 2, StartingLBA=9),
    ],
)
def test_a_damaged_protective_record_is_written_anew(disk: bytes) -> None:
    damaged = bytearray(disk)
    assert repair(damaged) == ["write the protective MBR at LBA 0"]
    assert damaged == DISK


def test_boot_code_survives_the_repair_of_the_mbr() -> None:
    disk = bytearray(with_mbr_record(DISK, 0, SizeInLBA=3))
    disk[:446] = good = bytes(range(256)) + bytes(190)
    repair(disk)
    assert disk[:446] == good
    assert disk[446:] == DISK[446:]


def test_a_long_header_keeps_what_it_covers() -> None:
    disk = bytearray(DISK)
    for at in (512, len(DISK) - 512):
        disk[at + 92 : at + 104] = b"vendor bytes"
    for copy in ("primary", "backup"):
        disk = bytearray(with_header(bytes(disk), copy, HeaderSize=104))
    good = bytes(disk)
    disk[512:1024] = bytes(512)
    assert repair(disk) == ["write the primary header at LBA 1"]
    assert disk == good


@pytest.mark.parametrize("sector_size", [512, 4096])
@given(data=st.data())
def test_any_damage_to_one_copy_is_found_and_undone(sector_size: int, data: st.DataObject) -> None:
    good = DISKS[sector_size]
    table = sample_table(sector_size)
    copy = data.draw(st.sampled_from(["primary", "backup"]))
    header = sector_size if copy == "primary" else table.last_lba * sector_size
    array = (2 if copy == "primary" else table.backup_entries_lba) * sector_size
    # What a CRC covers: the header's 92 bytes and the 16384 of the array.
    place = st.one_of(st.integers(header, header + 91), st.integers(array, array + 16383))
    disk = bytearray(good)
    for offset in data.draw(st.sets(place, min_size=1, max_size=20)):
        disk[offset] ^= data.draw(st.integers(1, 255))
    assert check(disk)
    assert repair(disk)
    assert disk == good


@given(st.sets(st.integers(0, len(DISK) - 1), max_size=8), st.integers(1, 255))
def test_repair_never_touches_a_partition(offsets: set[int], mask: int) -> None:
    disk = bytearray(DISK)
    for offset in offsets:
        disk[offset] ^= mask
    damaged = bytes(disk)
    try:
        actions = repair(disk)
    except GPTError:
        assert disk == damaged
        return
    inside = slice(TABLE.first_usable_lba * 512, (TABLE.last_usable_lba + 1) * 512)
    assert disk[inside] == damaged[inside]
    assert (disk == damaged) == (not actions)
    for offset, data in metadata(TABLE):
        if offset:  # the boot code in LBA 0 belongs to nobody, nor does what follows a header in its block
            size = min(len(data), 92 if len(data) == 512 else len(data))
            assert disk[offset : offset + size] == data[:size]
