"""Where partitions land, how large the disk becomes, and which requests are refused."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from cloudboot_base import FormatError, MemoryStorage, RangeError
from cloudboot_base.exit_codes import NO_SPACE
from cloudboot_gpt import (
    DiskTooSmallError,
    OverlapError,
    PartitionAttributesError,
    PartitionGUIDError,
    PartitionRangeError,
    PartitionSpec,
    SpecificationError,
    UsableRangeError,
    create,
    partition_types,
    plan,
    read,
)
from cloudboot_gpt.guids import uuid8
from cloudboot_gpt.testing import sample_table

if TYPE_CHECKING:
    from cloudboot_gpt import Table

MIB = 1 << 20
ESP = PartitionSpec(partition_types.ESP, 16 * MIB, "EFI System")
UFS = PartitionSpec(partition_types.FREEBSD_UFS, 8 * MIB, "rootfs")


def blocks(table: Table) -> list[tuple[int, int]]:
    return [(partition.first_lba, partition.last_lba) for partition in table.partitions]


def test_the_default_layout_is_the_documented_one() -> None:
    table = plan([ESP, UFS])
    assert blocks(table) == [(64, 32831), (34816, 51199)]
    assert (table.first_usable_lba, table.last_usable_lba, table.last_lba) == (34, 51199, 51232)
    assert table.backup_entries_lba == table.last_lba - 32
    assert table.size == (51200 + 33) * 512


def test_the_same_rule_with_blocks_of_4096_bytes() -> None:
    table = plan([ESP, UFS], sector_size=4096)
    assert blocks(table) == [(64, 4159), (4352, 6399)]
    assert (table.first_usable_lba, table.last_usable_lba, table.last_lba) == (6, 6399, 6404)
    assert [partition.offset % MIB for partition in table.partitions[1:]] == [0]


def test_many_entries_push_the_first_partition_to_the_next_multiple_of_64() -> None:
    table = plan([ESP], entry_count=1024)
    assert table.first_usable_lba == 2 + 256
    assert table.partitions[0].first_lba == 320


def test_few_entries_still_reserve_16_kib() -> None:
    table = plan([ESP], entry_count=4)
    assert (table.first_usable_lba, table.array_blocks) == (34, 1)


def test_sizes_are_rounded_up_to_blocks() -> None:
    table = plan([PartitionSpec(partition_types.LINUX, 1), PartitionSpec(partition_types.LINUX, 513)])
    assert [partition.size for partition in table.partitions] == [512, 1024]


def test_a_partition_without_a_size_takes_the_rest() -> None:
    table = plan([ESP, dataclasses.replace(UFS, size=None)], disk_size=64 * MIB)
    assert table.last_usable_lba == 64 * MIB // 512 - 34
    assert table.last_usable_lba - table.partitions[1].last_lba < 8
    assert table.partitions[1].size % 4096 == 0
    assert table.size == 64 * MIB


def test_an_offset_is_kept_and_the_next_partition_follows_it() -> None:
    table = plan([dataclasses.replace(UFS, offset=40 * MIB), ESP])
    assert blocks(table) == [(81920, 98303), (98304, 131071)]


def test_partitions_may_be_listed_out_of_order() -> None:
    table = plan([dataclasses.replace(UFS, offset=40 * MIB), dataclasses.replace(ESP, offset=MIB)])
    assert blocks(table) == [(81920, 98303), (2048, 34815)]
    assert table.last_usable_lba == 98303


def test_a_disk_without_partitions() -> None:
    disk = bytearray(plan([]).size)
    assert create(disk, []).partitions == read(disk).partitions == ()


@pytest.mark.parametrize(
    ("specs", "options", "error"),
    [
        ([ESP], {"sector_size": 513}, SpecificationError),
        ([ESP], {"sector_size": 8192}, SpecificationError),
        ([ESP], {"disk_size": 64 * MIB + 1}, SpecificationError),
        ([ESP], {"disk_size": 16 * MIB}, DiskTooSmallError),
        ([ESP, dataclasses.replace(UFS, size=None)], {"disk_size": 17 * MIB}, DiskTooSmallError),
        ([], {"disk_size": 67 * 512}, DiskTooSmallError),
        ([], {"disk_size": 0}, DiskTooSmallError),
        ([ESP], {"entry_count": 0}, SpecificationError),
        ([ESP], {"entry_count": 1 << 40}, SpecificationError),
        ([ESP, UFS], {"entry_count": 1}, SpecificationError),
        ([ESP], {"first_lba": 0}, SpecificationError),
        ([ESP], {"alignment": 0}, SpecificationError),
        ([ESP], {"alignment": 1000}, SpecificationError),
        ([ESP], {"content": []}, SpecificationError),
        ([ESP], {"content": [b"short"]}, SpecificationError),
        ([UFS], {"content": [MemoryStorage(bytes(8 * MIB + 1))]}, SpecificationError),
        ([dataclasses.replace(ESP, size=0)], {}, SpecificationError),
        ([dataclasses.replace(ESP, size=-1)], {}, SpecificationError),
        ([dataclasses.replace(ESP, size=None)], {}, SpecificationError),
        ([dataclasses.replace(UFS, size=None), ESP], {"disk_size": 64 * MIB}, SpecificationError),
        ([dataclasses.replace(ESP, offset=1)], {}, SpecificationError),
        ([dataclasses.replace(ESP, offset=-512)], {}, SpecificationError),
        ([dataclasses.replace(ESP, offset=512)], {}, PartitionRangeError),
        ([dataclasses.replace(ESP, type=UUID(int=0))], {}, SpecificationError),
        ([dataclasses.replace(ESP, offset=MIB), dataclasses.replace(UFS, offset=2 * MIB)], {}, OverlapError),
        ([dataclasses.replace(spec, guid=UUID(int=7)) for spec in (ESP, UFS)], {}, PartitionGUIDError),
        ([dataclasses.replace(ESP, attributes=1 << 3)], {}, PartitionAttributesError),
        ([dataclasses.replace(ESP, attributes=1 << 64)], {}, RangeError),
        ([dataclasses.replace(ESP, attributes=-1)], {}, RangeError),
        ([dataclasses.replace(ESP, name="x" * 37)], {}, RangeError),
        ([dataclasses.replace(ESP, name="a\0b")], {}, RangeError),
        ([dataclasses.replace(ESP, size=1 << 80)], {}, RangeError),
    ],
)  # fmt: skip
def test_impossible_requests_are_refused(
    specs: list[PartitionSpec], options: dict[str, Any], error: type[FormatError]
) -> None:
    with pytest.raises(error):
        plan(specs, **options)


@pytest.mark.parametrize(
    ("specs", "disk_size", "partition", "needed"),
    [
        ([], 0, None, (34 + 1 + 33) * 512),
        ([ESP], 0, 1, (32832 + 33) * 512),
        ([ESP], 16 * MIB, 1, (32832 + 33) * 512),
        ([ESP, UFS], 24 * MIB, 2, (51200 + 33) * 512),
        ([ESP, dataclasses.replace(UFS, size=None)], 17 * MIB, 2, (34817 + 33) * 512),
        (
            [dataclasses.replace(UFS, offset=40 * MIB), dataclasses.replace(ESP, offset=MIB)],
            MIB,
            1,
            48 * MIB + 33 * 512,
        ),
    ],
)
def test_a_disk_that_is_too_small_says_how_many_bytes_it_needs(
    specs: list[PartitionSpec], disk_size: int, partition: int | None, needed: int
) -> None:
    with pytest.raises(DiskTooSmallError) as caught:
        plan(specs, disk_size=disk_size)
    assert caught.value.exit_code == NO_SPACE
    assert caught.value.partition == partition
    assert (caught.value.expected, caught.value.actual) == (f"at least {needed} bytes", disk_size)
    assert plan(specs, disk_size=needed).size == needed
    with pytest.raises(DiskTooSmallError):
        plan(specs, disk_size=needed - 512)


def test_create_refuses_a_disk_of_another_size() -> None:
    table = sample_table()
    with pytest.raises(DiskTooSmallError):
        create(bytearray(table.size - 512), table)
    with pytest.raises(SpecificationError, match="size"):
        create(bytearray(table.size + 512), table)
    with pytest.raises(TypeError, match="seed"):
        create(bytearray(table.size), table, seed="x")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"last_usable_lba": 1 << 20}, UsableRangeError),
        ({"first_usable_lba": 33}, FormatError),
        ({"disk_guid": UUID(int=0)}, FormatError),
        ({"entry_size": 192}, SpecificationError),
        ({"entry_size": 0}, SpecificationError),
        ({"entry_size": -128}, SpecificationError),
        ({"entry_count": 1 << 60}, SpecificationError),
        ({"sector_size": 0}, SpecificationError),
        ({"disk_blocks": -1}, FormatError),
        ({"disk_blocks": 1 << 70}, FormatError),
        ({"entries_lba": 0}, FormatError),
        ({"entry_count": 2}, RangeError),
        ({"sector_size": 4096}, SpecificationError),
    ],
)
def test_create_refuses_a_table_made_wrong_by_hand(change: dict[str, Any], error: type[FormatError]) -> None:
    table = dataclasses.replace(sample_table(), **change)
    disk = bytearray(1 << 20)
    with pytest.raises(error):
        create(disk, table)
    assert not any(disk)


def test_uuid8_matches_the_example_in_rfc_9562_appendix_b_2() -> None:
    dns = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
    assert str(uuid8(dns, b"www.example.com")) == "5c146b14-3c52-8afd-938a-375d0df1fbf6"


def test_guids_follow_from_what_is_known() -> None:
    plain = plan([ESP, UFS])
    assert plain == plan([ESP, UFS])
    assert plain.disk_guid.version == 8
    guids = {plain.disk_guid, *(partition.guid for partition in plain.partitions)}
    assert len(guids) == 3
    for other in (
        plan([ESP, UFS], seed="a"),
        plan([ESP, UFS], seed="b"),
        plan([ESP, UFS], content=[b"\1" * 32, None]),
        plan([ESP, UFS], content=[None, b"\1" * 32]),
        plan([ESP, dataclasses.replace(UFS, name="other")]),
        plan([ESP, UFS], sector_size=4096),
        plan([ESP, UFS], disk_size=64 * MIB),
    ):
        fresh = {other.disk_guid, *(partition.guid for partition in other.partitions)}
        assert len(fresh) == 3
        assert not guids & fresh
        guids |= fresh


def test_a_seed_alone_decides() -> None:
    one, two = plan([ESP], seed="x"), plan([UFS, ESP], seed=b"x", disk_size=64 * MIB)
    assert one.disk_guid == two.disk_guid
    assert one.partitions[0].guid == two.partitions[0].guid


def test_given_guids_stay() -> None:
    table = plan([dataclasses.replace(ESP, guid=UUID(int=1)), UFS], disk_guid=UUID(int=2), seed="x")
    assert table.disk_guid == UUID(int=2)
    assert table.partitions[0].guid == UUID(int=1)
    assert table.partitions[1].guid.version == 8


def test_no_content_is_content_nobody_gives() -> None:
    assert plan([ESP, UFS]) == plan([ESP, UFS], content=[None, None])
    assert plan([ESP, UFS]) != plan([ESP, UFS], content=[bytes(31) + b"x", None])


def test_hashing_before_and_after_the_content_lies_in_its_partition_gives_the_same_guids() -> None:
    specs = [PartitionSpec(partition_types.ESP, 40960), PartitionSpec(partition_types.FREEBSD_UFS, 8192)]
    esp, ufs = b"esp" * 1000, b"u" * 8192
    before = plan(specs, content=[MemoryStorage(esp), MemoryStorage(ufs)])
    disk = bytearray(before.size)
    for partition, data in zip(plan(specs).partitions, (esp, ufs), strict=True):
        partition.view(MemoryStorage(disk))[: len(data)] = data
    after = plan(specs, content=[partition.window(MemoryStorage(disk)) for partition in plan(specs).partitions])
    assert before == after
