"""What is on a medium: the entries of its GPT, its boot catalogue or its MBR, as EDK2 shows them to programs."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cloudboot_gpt
from cloudboot_base import Error
from cloudboot_gpt.records import MasterBootRecord
from cloudboot_uefi_abi.device_path import CdRom, HardDrive
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.protocols.storage import EFI_PARTITION_INFO_PROTOCOL

from .el_torito import SECTOR, VIRTUAL_SECTOR, read_catalogue, volume_sectors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_gpt.records import MBRPartitionRecord

    from .disk_io import DiskIoStorage

MBR_BLOCK: Final = 512
_MBR_SIGNATURE: Final = 0xAA55
_PROTECTIVE, _EFI = 0xEE, 0xEF
_EXTENDED: Final = frozenset({0x05, 0x0F})
_ESP: Final = GUIDS["EFI_PART_TYPE_EFI_SYSTEM_PART"].bytes_le
_REVISION: Final = 0x1000
_FLOPPIES: Final = {1: 80 * 2 * 15, 2: 80 * 2 * 18, 3: 80 * 2 * 36}
"""The sectors of the floppies that a BIOS emulates, by El Torito's media type: of 1.2, 1.44 and 2.88 MB."""
_EMULATED: Final = frozenset({*_FLOPPIES, 4})
_INFO_OTHER, _INFO_MBR, _INFO_GPT = range(3)


@dataclass(frozen=True, slots=True)
class FoundPartition:
    """A partition: its device path node, its place in bytes, its block size, and its EFI_PARTITION_INFO_PROTOCOL.

    ``type`` is the GUID of a GPT partition's type, and of every EFI system partition.
    """

    node: bytes
    offset: int
    size: int
    block_size: int
    info: bytes
    type: bytes | None = None


def partitions(storage: DiskIoStorage, problems: list[str]) -> list[FoundPartition]:
    """The entries of the first table that is valid: GPT, then a CD's boot catalogue, then MBR (section 13.3.2).

    ``problems`` take in words why there is no GPT, and no catalogue.
    """
    try:
        # As EDK2 does: any MBR with a protective entry, and the backup table where the primary is damaged.
        table = cloudboot_gpt.read(storage, sector_size=storage.block_size, backup="allow", mbr="hybrid")
    except Error as error:
        problems.append(f"no GPT: {error}")
        return list(_boot_images(storage, problems)) or list(_mbr(storage))
    return list(_gpt(table, storage.block_size))


def _info(kind: int, entry: bytes, *, system: bool) -> bytes:
    return EFI_PARTITION_INFO_PROTOCOL.pack(
        {"Revision": _REVISION, "Type": kind, "System": int(system), "Info": entry.ljust(128, b"\0")}
    )


def _gpt(table: cloudboot_gpt.Table, block: int) -> Iterator[FoundPartition]:
    for partition in table.partitions:
        node = HardDrive.gpt(partition.number, partition.first_lba, partition.blocks, partition.guid).pack()
        entry = struct.pack(
            "<16s16sQQQ72s", partition.type.bytes_le, partition.guid.bytes_le, partition.first_lba,
            partition.last_lba, partition.attributes, partition.name.encode("utf-16-le", "surrogatepass"),
        )  # fmt: skip
        kind = partition.type.bytes_le
        info = _info(_INFO_GPT, entry, system=kind == _ESP)
        yield FoundPartition(node, partition.first_lba * block, partition.blocks * block, block, info, kind)


def _boot_images(storage: DiskIoStorage, problems: list[str]) -> Iterator[FoundPartition]:
    """The boot images of a CD, as CDROM nodes; block numbers are the medium's own.

    EDK2 counts what the catalogue calls sectors of 512 bytes in sectors of the CD, so that an image without emulation
    is four times as large as it is, and may pass the end of the medium; the size of a floppy is that of its kind.
    Programs find these sizes on other machines too.
    """
    block = storage.block_size
    if SECTOR % block:
        return
    try:
        entries = read_catalogue(storage)
    except Error as error:
        problems.append(f"no boot catalogue: {error}")
        return
    for entry in entries:
        first = entry.sector * SECTOR // block
        sectors = _FLOPPIES.get(entry.media, entry.sectors)
        child = VIRTUAL_SECTOR if entry.media in _EMULATED else block
        if sectors < 2:
            size = min(volume_sectors(storage) * SECTOR // block, storage.size // block) - first
        else:
            size = -(-sectors * (SECTOR // block) * child // block)
        node = CdRom(entry.number, first, max(size, 1)).pack()
        info = _info(_INFO_OTHER, b"", system=False)
        yield FoundPartition(node, first * block, max(size, 1) * block, child, info)


def _read_mbr(storage: DiskIoStorage, block: int = 0) -> MasterBootRecord | None:
    try:
        return MasterBootRecord.unpack_from(storage.read_at(block * storage.block_size, MasterBootRecord.SIZE))
    except Error:
        return None


def _used(record: MasterBootRecord, storage: DiskIoStorage) -> list[tuple[int, MBRPartitionRecord]]:
    """The used records with their numbers; none where one leaves the medium or two overlap.

    A boot sector of FAT ends with the same signature; what is there then is no table of partitions.
    """
    if record.Signature != _MBR_SIGNATURE:
        return []
    used = [(number, each) for number, each in enumerate(record.PartitionRecord, 1) if each.OSType and each.SizeInLBA]
    end = 0
    for each in sorted((each for _, each in used), key=lambda each: each.StartingLBA):
        if each.StartingLBA < end:
            return []
        end = each.StartingLBA + each.SizeInLBA
    # In sectors of 512 bytes whatever the medium's blocks are, as EDK2 looks at it.
    return used if end <= storage.size // MBR_BLOCK else []


def _mbr(storage: DiskIoStorage) -> Iterator[FoundPartition]:
    record, block = _read_mbr(storage), storage.block_size
    for number, each in _used(record, storage) if record is not None else ():
        if each.OSType == _PROTECTIVE or record is None:
            continue
        node = HardDrive.mbr(number, each.StartingLBA, each.SizeInLBA, record.UniqueMBRDiskSignature).pack()
        yield _mbr_partition(node, each, each.StartingLBA * block, block)


def _mbr_partition(node: bytes, record: MBRPartitionRecord, offset: int, block: int) -> FoundPartition:
    system = record.OSType == _EFI
    info = _info(_INFO_MBR, record.pack(), system=system)
    return FoundPartition(node, offset, record.SizeInLBA * block, MBR_BLOCK, info, _ESP if system else None)


def boot_image_partitions(storage: DiskIoStorage) -> list[FoundPartition]:
    """The partitions of the MBR in a CD's boot image: programs that format a FAT volume often write one there."""
    return list(_mbr(storage))


def logical_partitions(storage: DiskIoStorage, parent: HardDrive, problems: list[str]) -> Iterator[FoundPartition]:
    """The logical partitions of an extended one, whose node is ``parent``; numbers from 1, blocks of the whole disk."""
    record, block = _read_mbr(storage), storage.block_size
    if record is None or not _used(record, storage):
        return
    number, at, seen = 1, 0, {0}
    while True:
        record = _read_mbr(storage, at)
        if record is None or not record.PartitionRecord[0].SizeInLBA:
            return
        first, second, *_ = record.PartitionRecord
        if first.OSType in _EXTENDED:
            following = first.StartingLBA
        else:
            start = at + first.StartingLBA
            if not 0 < start <= parent.size - first.SizeInLBA:
                return
            node = HardDrive.mbr(number, parent.start + start, first.SizeInLBA, 0).pack()
            yield _mbr_partition(node, first, start * block, block)
            number += 1
            following = second.StartingLBA if second.OSType in _EXTENDED else 0
        if not 0 < following < parent.size:
            return
        if following in seen:
            problems.append(f"the chain of logical partitions comes back to block {following}")
            return
        seen.add(following)
        at = following
