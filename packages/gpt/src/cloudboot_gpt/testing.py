"""Small disks, and the same disks damaged in one chosen place, for the tests of this package and of others."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from . import partition_types
from .disklabel import MAGIC
from .header import header_crc
from .planner import PartitionSpec, plan
from .records import BSDDisklabel, BSDPartitionEntry, GPTHeader, GPTPartitionEntry, MasterBootRecord
from .writer import create

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .table import Table

SAMPLE_SPECS = (
    PartitionSpec(partition_types.ESP, 64 << 10, "EFI System", attributes=1),
    PartitionSpec(partition_types.FREEBSD_UFS, 96 << 10, "rootfs"),
    PartitionSpec(partition_types.LINUX_SWAP, 32 << 10, "swap \N{SNOWMAN} \N{GRINNING FACE}"),
)


def sample_table(sector_size: int = 512) -> Table:
    """Three partitions on the smallest disk that holds them (less than a mebibyte)."""
    return plan(SAMPLE_SPECS, sector_size=sector_size, alignment=max(4096, sector_size))


def sample_disk(sector_size: int = 512) -> bytes:
    """A good disk with :func:`sample_table`; each partition is filled with its number."""
    table = sample_table(sector_size)
    disk = bytearray(table.size)
    create(disk, table)
    for partition in table.partitions:
        disk[partition.offset : partition.offset + partition.size] = bytes([partition.number]) * partition.size
    return bytes(disk)


def header_offset(disk: bytes, copy: str, sector_size: int = 512) -> int:
    """Where the header of ``copy`` (``"primary"`` or ``"backup"``) is, in bytes."""
    return sector_size if copy == "primary" else len(disk) - sector_size


def with_header(disk: bytes, copy: str, sector_size: int = 512, *, rehash: bool = True, **fields: int | bytes) -> bytes:
    """``disk`` with other values in header fields; ``rehash`` makes HeaderCRC32 right again."""
    changed = bytearray(disk)
    at = header_offset(disk, copy, sector_size)
    header = GPTHeader.unpack_from(changed, at)
    for name, value in fields.items():
        setattr(header, name, value)
    header.pack_into(changed, at)
    if rehash:
        _rehash(changed, at, sector_size)
    return bytes(changed)


def with_entry(
    disk: bytes, copy: str, number: int, sector_size: int = 512, *, rehash: bool = True, **fields: int | bytes
) -> bytes:
    """``disk`` with other values in entry ``number`` of one copy; ``rehash`` makes both CRCs right again."""
    changed = bytearray(disk)
    at = header_offset(disk, copy, sector_size)
    header = GPTHeader.unpack_from(changed, at)
    array_at = header.PartitionEntryLBA * sector_size
    entry_at = array_at + (number - 1) * header.SizeOfPartitionEntry
    entry = GPTPartitionEntry.unpack_from(changed, entry_at)
    for name, value in fields.items():
        setattr(entry, name, value)
    entry.pack_into(changed, entry_at)
    if rehash:
        size = header.NumberOfPartitionEntries * header.SizeOfPartitionEntry
        header.PartitionEntryArrayCRC32 = zlib.crc32(changed[array_at : array_at + size])
        header.pack_into(changed, at)
        _rehash(changed, at, sector_size)
    return bytes(changed)


def with_mbr_record(disk: bytes, index: int, **fields: int | bytes) -> bytes:
    """``disk`` with other values in one of the four MBR partition records."""
    changed = bytearray(disk)
    mbr = MasterBootRecord.unpack_from(changed)
    for name, value in fields.items():
        setattr(mbr.PartitionRecord[index], name, value)
    mbr.pack_into(changed)
    return bytes(changed)


def disklabel(
    entries: Mapping[str, tuple[int, int, int]], *, count: int = 8, version: int = 0, sector_size: int = 512
) -> bytes:
    """A BSD disklabel with ``count`` entries: letter to ``(p_fstype, offset, size)``, both in sectors.

    With ``version`` 1 offsets and sizes have the 48 bits that OpenBSD gives them.
    """
    records = [BSDPartitionEntry() for _ in range(count)]
    for letter, (kind, offset, size) in entries.items():
        record = records[ord(letter) - ord("a")]
        record.p_fstype = kind
        record.p_offset, record.p_size = offset & 0xFFFFFFFF, size & 0xFFFFFFFF
        record.p_offseth, record.p_sizeh = offset >> 32, size >> 32
    head = BSDDisklabel(
        d_magic=MAGIC, d_secsize=sector_size, d_version=version, d_magic2=MAGIC, d_npartitions=count,
        d_bbsize=8192, d_sbsize=8192,
    )  # fmt: skip
    array = b"".join(record.pack() for record in records)
    for (word,) in struct.iter_unpack("<H", head.pack() + array):
        head.d_checksum ^= word
    return head.pack() + array


def _rehash(disk: bytearray, at: int, sector_size: int) -> None:
    header = GPTHeader.unpack_from(disk, at)
    header.HeaderCRC32 = header_crc(disk[at : at + sector_size], header.HeaderSize)
    header.pack_into(disk, at)
