"""Plans survive the disk, and damage never passes unseen."""

from __future__ import annotations

import contextlib
import dataclasses

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cloudboot_base import FormatError, MemoryStorage
from cloudboot_gpt import SECTOR_SIZES, PartitionSpec, SpecificationError, Table, check, create, metadata, plan, read
from cloudboot_gpt.testing import sample_disk, sample_table

names = st.text(st.characters(exclude_characters="\0", exclude_categories=()), max_size=18)
specs = st.builds(
    PartitionSpec,
    st.uuids().filter(lambda guid: guid.int != 0),
    st.integers(1, 100_000),
    names,
    st.integers(0, 7) | st.integers(0, 0xFFFF).map(lambda bits: bits << 48),
)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    sector_size = draw(st.sampled_from(SECTOR_SIZES))
    return plan(
        draw(st.lists(specs, max_size=6)),
        sector_size=sector_size,
        entry_count=draw(st.integers(6, 300)),
        first_lba=draw(st.integers(1, 100)),
        alignment=sector_size * draw(st.integers(1, 20)),
        seed=draw(st.none() | st.binary(max_size=8)),
    )


class Recording(MemoryStorage):
    """Memory that remembers where it was written."""

    def __init__(self, size: int) -> None:
        super().__init__(bytearray(b"\xa5") * size)
        self.written: list[tuple[int, int]] = []

    def write_at(self, offset: int, data: object) -> None:
        view = memoryview(data)  # type: ignore[arg-type] # whatever the protocol allows
        self.written.append((offset, offset + view.nbytes))
        super().write_at(offset, view)


@given(tables())
def test_what_is_planned_is_created_and_read(table: Table) -> None:
    disk = Recording(table.size)
    create(disk, table)
    assert check(disk) == []
    for sector_size in (None, table.sector_size):
        assert read(disk, sector_size=sector_size, backup="require") == table
    assert read(disk, backup="only") == table
    usable = range(table.first_usable_lba * table.sector_size, (table.last_usable_lba + 1) * table.sector_size)
    for start, end in disk.written:
        assert end <= usable.start or start >= usable.stop
    assert set(bytes(disk.view[usable.start : usable.stop])) == {0xA5}


@given(tables())
def test_partitions_do_not_touch_and_lie_where_the_rule_says(table: Table) -> None:
    ends = [partition.last_lba for partition in table.partitions]
    starts = [partition.first_lba for partition in table.partitions]
    assert all(end < start for end, start in zip(ends, starts[1:], strict=False))
    assert all(table.first_usable_lba <= start for start in starts)
    assert max(ends, default=table.first_usable_lba) == table.last_usable_lba


@given(tables())
def test_the_same_table_has_the_same_bytes(table: Table) -> None:
    assert metadata(table) == metadata(dataclasses.replace(table))


@given(st.lists(specs, min_size=1, max_size=4), st.integers(0, 4000))
def test_a_disk_size_is_kept_or_refused(wanted: list[PartitionSpec], blocks: int) -> None:
    try:
        table = plan(wanted, disk_size=blocks * 512, alignment=4096)
    except SpecificationError:
        assume(False)
    assert table.size == blocks * 512


SAMPLES = {size: (sample_disk(size), sample_table(size)) for size in (512, 4096)}


@given(st.sampled_from([512, 4096]), st.booleans(), st.data())
def test_a_flip_under_a_crc_is_an_error_and_a_finding(sector_size: int, primary: bool, data: st.DataObject) -> None:
    good, table = SAMPLES[sector_size]
    lba = 1 if primary else table.last_lba
    array = (2 if primary else table.backup_entries_lba) * sector_size
    offset = data.draw(st.integers(lba * sector_size, lba * sector_size + 91) | st.integers(array, array + 16383))
    disk = bytearray(good)
    disk[offset] ^= data.draw(st.integers(1, 255))
    assert check(disk)
    with pytest.raises(FormatError) as caught:
        read(disk, backup="ignore" if primary else "only")
    assert caught.value.offset is not None
    assert read(disk, backup="allow") == table


@given(st.data())
def test_any_damage_gives_the_same_table_or_a_typed_error(data: st.DataObject) -> None:
    good, table = SAMPLES[512]
    disk = bytearray(good)
    metadata_areas = st.integers(0, 34 * 512 - 1) | st.integers(len(good) - 33 * 512, len(good) - 1)
    for offset in data.draw(st.sets(metadata_areas, min_size=1, max_size=30)):
        disk[offset] = data.draw(st.integers(0, 255))
    check(disk)
    for backup in ("ignore", "allow", "only", "require"):
        with contextlib.suppress(FormatError):
            assert read(disk, backup=backup) == table


@given(st.binary(max_size=8192))
def test_noise_is_never_a_table(noise: bytes) -> None:
    for mbr in ("protective", "ignore"):
        with pytest.raises(FormatError):
            read(noise, mbr=mbr, backup="allow")
