"""Partitions as windows, files and memoryviews, and finding the one that is wanted."""

from __future__ import annotations

import io
import mmap
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from cloudboot_base import FileStorage, MemoryStorage, TruncatedError, Window, open_storage
from cloudboot_gpt import PartitionSpec, create, find_ufs_partition, partition_types, plan, read
from cloudboot_gpt.entries import decode_name, encode_name
from cloudboot_gpt.testing import sample_disk, sample_table

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Buffer

    from cloudboot_base import Storage

DISK, TABLE = sample_disk(), sample_table()


class Remote:
    """A storage that is neither memory nor a file."""

    size = len(DISK)

    def read_at(self, offset: int, size: int) -> bytes:
        return DISK[offset : offset + size]

    def readinto_at(self, offset: int, buffer: Buffer) -> None:
        view = memoryview(buffer)
        view[:] = DISK[offset : offset + len(view)]


def test_a_partition_in_every_shape_has_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(DISK)
    with open_storage(path) as opened:
        storages: list[Storage] = [opened.storage, MemoryStorage(DISK), Remote(), Window(Remote(), 0, len(DISK))]
        for storage in storages:
            for partition in TABLE.partitions:
                expected = bytes([partition.number]) * partition.size
                window = partition.window(storage)
                assert (window.offset, window.size) == (partition.offset, partition.size)
                assert window.read_at(0, window.size) == expected
                assert partition.view(storage) == expected
                with partition.open(storage) as file:
                    assert file.read() == expected
                    assert file.read() == b""
                    assert file.seek(-1, io.SEEK_END) == partition.size - 1


def test_a_view_of_memory_is_the_memory() -> None:
    disk = bytearray(DISK)
    partition = TABLE.partitions[1]
    partition.view(MemoryStorage(disk))[:3] = b"UFS"
    assert disk[partition.offset : partition.offset + 3] == b"UFS"
    assert partition.view(MemoryStorage(DISK)).readonly


def test_a_view_of_a_file_is_a_mapping_and_follows_it(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    # Partition 2 of this table starts at a block that is not the start of a page.
    table = plan([PartitionSpec(partition_types.ESP, 512)] * 2, alignment=512)
    path.write_bytes(bytes(table.size))
    partition = table.partitions[1]
    assert partition.offset % mmap.PAGESIZE
    with path.open("r+b", buffering=0) as file:
        storage = FileStorage(file.fileno())
        view = partition.view(storage)
        assert (view.readonly, len(view)) == (True, 512)
        partition.window(storage).write_at(0, b"now")
        assert bytes(view[:3]) == b"now"


def test_a_partition_opened_for_writing_stays_within_itself() -> None:
    disk = bytearray(DISK)
    partition = TABLE.partitions[0]
    with partition.open(MemoryStorage(disk), writable=True) as file:
        file.write(b"boot")
    end = partition.offset + partition.size
    assert disk[: partition.offset] == DISK[: partition.offset]
    assert disk[partition.offset : partition.offset + 5] == b"boot\1"
    assert disk[end:] == DISK[end:]
    with pytest.raises(io.UnsupportedOperation):
        partition.open(Remote(), writable=True)


def test_a_partition_beyond_the_end_of_the_storage() -> None:
    for access in (TABLE.partitions[2].window, TABLE.partitions[2].open, TABLE.partitions[2].view):
        with pytest.raises(TruncatedError):
            access(MemoryStorage(DISK[:-40960]))


@pytest.mark.parametrize("ufs", [partition_types.FREEBSD_UFS, partition_types.NETBSD_FFS, partition_types.OPENBSD])
def test_the_ufs_partition_is_found_by_its_type(ufs: UUID) -> None:
    specs = [PartitionSpec(kind, 512) for kind in (partition_types.ESP, partition_types.FREEBSD_SWAP, ufs, ufs)]
    found = find_ufs_partition(plan(specs))
    assert found is not None
    assert (found.number, found.type) == (3, ufs)


def test_a_disk_without_ufs() -> None:
    assert find_ufs_partition(plan([PartitionSpec(partition_types.ESP, 512)])) is None


def test_entries_are_found_by_number_and_type() -> None:
    assert TABLE.partition(3) == TABLE.partitions[2]
    assert TABLE.partition(4) is None
    assert TABLE.find(partition_types.LINUX_SWAP, partition_types.FREEBSD_UFS) == TABLE.partitions[1]


def test_unknown_types_and_strange_names_survive() -> None:
    unknown, name = UUID("01234567-89ab-cdef-0123-456789abcdef"), "lone \ud800 and \udfff, \N{GRINNING FACE}\n\x1b"
    table = plan([PartitionSpec(unknown, 512, name, attributes=0xFFFF << 48)])
    disk = bytearray(table.size)
    create(disk, table)
    (partition,) = read(disk).partitions
    assert (partition.type, partition.type_name, partition.name) == (unknown, None, name)
    assert partition.attributes == 0xFFFF << 48


def test_guids_are_mixed_endian_on_the_disk() -> None:
    # UEFI 2.10 appendix A; the bytes of the ESP type as every ESP shows them.
    assert DISK[1024:1040].hex() == "28732ac11ff8d211ba4b00a0c93ec93b"


@pytest.mark.parametrize("name", ["", "x" * 36, "\N{GRINNING FACE}" * 18])
def test_names_fill_their_field(name: str) -> None:
    assert len(encode_name(name)) == 72
    assert decode_name(encode_name(name)) == name


def test_a_name_ends_at_its_first_zero() -> None:
    assert decode_name("ab\0cd".encode("utf-16-le").ljust(72, b"\0")) == "ab"


def test_types_are_parsed_by_alias_and_guid() -> None:
    esp = partition_types.ESP
    assert [partition_types.parse(text) for text in ("esp", " ESP", str(esp).upper(), esp.hex)] == [esp] * 4
    assert partition_types.parse("FreeBSD_UFS") == partition_types.FREEBSD_UFS
    with pytest.raises(ValueError, match="no such partition type"):
        partition_types.parse("minix")
