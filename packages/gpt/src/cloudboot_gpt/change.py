"""Change a table where it is: fit it to its disk, and move the end of a partition.

Both copies are rewritten, the backup first: what is interrupted leaves one whole copy, and :func:`repair` finishes.
Entries keep every byte but the one field that changes.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from cloudboot_base import open_storage
from cloudboot_base.lightdata import replace

from .copies import Copy, disagreements, load_backup, load_copy, load_primary
from .errors import DisagreementError, DiskTooSmallError, PartitionRangeError, SpecificationError
from .header import PRIMARY_LBA, array_size, header_block
from .mbr import PROTECTIVE
from .placement import own_blocks, require_empty
from .planner import rest_end
from .reader import checked_sector_size
from .records import GPTHeader, GPTPartitionEntry, MasterBootRecord
from .repair import mbr_writes
from .table import backup_reserve, blocks_for
from .writer import Write, apply

if TYPE_CHECKING:
    from cloudboot_base import Storage

    from .reader import Source
    from .table import Partition

_ENDING_LBA: Final = GPTPartitionEntry.LAYOUT.offsets["EndingLBA"]


def grow(target: Source, *, sector_size: int | None = None, dry_run: bool = False, force: bool = False) -> list[str]:
    """Fit the table to its disk, and say what was written; an empty list if it fits.

    The backup moves to the end, LastUsableLBA and the protective MBR follow; partitions stay as they are. A disk that
    has become smaller is served too, if every partition still fits. ``dry_run`` and ``force`` are as for
    :func:`~cloudboot_gpt.repair`.

    Raises:
        HeaderError, EntryArrayError: the primary copy is not whole: repair it first.
        DiskTooSmallError: a partition ends behind what would be usable.
        OccupiedError: the blocks where the backup goes hold something.
        DisagreementError: the MBR lists partitions and protects no GPT.
        OSError: the target cannot be opened or written.
    """
    with open_storage(target, writable=not dry_run) as opened:
        storage = opened.storage
        size = checked_sector_size(storage, sector_size)
        primary = load_primary(storage, size)
        for fault in primary.faults:
            raise fault
        writes = _moved(storage, primary, force=force)
        writes += mbr_writes(storage, storage.size // size)
        if not dry_run:
            apply(storage, writes)
    return [write.action for write in writes]


def _moved(storage: Storage, primary: Copy, *, force: bool) -> list[Write]:
    """The table with its backup in the last block of the disk; nothing where it is there already."""
    header, size = primary.header, primary.place.sector_size
    last = primary.place.disk_blocks - 1
    reserve = backup_reserve(array_size(header), size)
    if header.AlternateLBA == last:
        return []
    end = max((partition.last_lba for partition in primary.partitions), default=header.FirstUsableLBA)
    if end > last - reserve:
        number = next((each.number for each in primary.partitions if each.last_lba == end), None)
        raise DiskTooSmallError(
            "the disk ends before the partition and the backup table do", partition=number,
            expected=f"at least {(end + 1 + reserve) * size} bytes", actual=storage.size,
        )  # fmt: skip
    own = own_blocks(load_backup(storage, size, primary))
    stale = load_copy(storage, size, "backup", last)  # of an older table, which the primary does not name
    own += own_blocks(stale)
    require_empty(storage, size, range(last - reserve + 1, last + 1), own, force=force)
    moved = replace(header, AlternateLBA=last, LastUsableLBA=last - reserve)
    return _both(primary, moved, primary.array, last - blocks_for(len(primary.array), size))


def resize(
    target: Source,
    number: int,
    size: int | None,
    *,
    sector_size: int | None = None,
    dry_run: bool = False,
    force: bool = False,
) -> list[str]:
    """Give partition ``number`` another size by moving its end, and say what was written.

    ``size`` is in bytes, rounded up to whole blocks; ``None`` takes all free blocks behind the partition
    that make its size a multiple of 4 KiB. What is in
    the partition is not touched: a file system must be shrunk before, and can be grown afterwards. ``force`` allows a
    smaller size, which cuts off what is at the end. A hybrid MBR that lists the partition follows.

    Raises:
        HeaderError, EntryArrayError, DisagreementError: the copies are not whole and equal: repair them first.
        SpecificationError: there is no such partition, or it would be shrunk without ``force``.
        DiskTooSmallError: the blocks behind the partition are not free.
        OSError: the target cannot be opened or written.
    """
    with open_storage(target, writable=not dry_run) as opened:
        storage = opened.storage
        block_size = checked_sector_size(storage, sector_size)
        primary = load_primary(storage, block_size)
        backup = load_backup(storage, block_size, primary)
        for fault in [*primary.faults, *primary.truncation, *backup.faults, *disagreements(primary, backup)]:
            fault.hint = "repair the table first"
            raise fault
        partition, last_lba = _new_end(primary, number, size, force=force)
        if last_lba == partition.last_lba:
            return []
        array = bytearray(primary.array)
        at = (number - 1) * primary.header.SizeOfPartitionEntry + _ENDING_LBA
        array[at : at + 8] = last_lba.to_bytes(8, "little")
        header = replace(primary.header, PartitionEntryArrayCRC32=zlib.crc32(array))
        writes = _both(primary, header, bytes(array), backup.header.PartitionEntryLBA)
        writes += _hybrid_writes(storage, partition, last_lba)
        if not dry_run:
            apply(storage, writes)
    return [write.action for write in writes]


def _new_end(primary: Copy, number: int, size: int | None, *, force: bool) -> tuple[Partition, int]:
    """The partition and its new last block."""
    partition = next((each for each in primary.partitions if each.number == number), None)
    if partition is None:
        raise SpecificationError("the disk has no such partition", partition=number)
    for fault in primary.partition_faults:
        if fault.partition == number and isinstance(fault, PartitionRangeError):
            raise fault
    last_usable = primary.header.LastUsableLBA
    behind = [each.first_lba for each in primary.partitions if each.first_lba > partition.first_lba]
    limit = min([last_usable, *(first - 1 for first in behind)])
    if size is None:
        return partition, max(rest_end(partition.first_lba, limit, partition.sector_size), partition.last_lba)
    if size <= 0:
        raise SpecificationError("a partition has at least one byte", partition=number, actual=size)
    last = partition.first_lba + blocks_for(size, partition.sector_size) - 1
    if last > limit and last > partition.last_lba:
        raise DiskTooSmallError(
            "the blocks behind the partition are not free", partition=number,
            expected=f"at most {(limit + 1 - partition.first_lba) * partition.sector_size} bytes", actual=size,
            hint="cloudboot-gpt grow takes in what was added to the disk" if limit == last_usable else None,
        )  # fmt: skip
    if last < partition.last_lba and not force:
        raise SpecificationError(
            "a smaller partition loses the data at its end", partition=number,
            expected=f"at least {partition.size} bytes", actual=size,
            hint="shrink what is in the partition first, then use --force",
        )  # fmt: skip
    return partition, last


def _both(primary: Copy, header: GPTHeader, array: bytes, backup_array: int) -> list[Write]:
    """Both copies of a changed table, the backup first. ``header`` is the primary's."""
    size = primary.place.sector_size
    tail = primary.block[GPTHeader.SIZE : header.HeaderSize]
    last = header.AlternateLBA
    mirror = replace(header, MyLBA=last, AlternateLBA=PRIMARY_LBA, PartitionEntryLBA=backup_array)
    writes = [
        Write(backup_array * size, array, f"write the backup entry array at LBA {backup_array}"),
        Write(last * size, header_block(mirror, size, tail), f"write the backup header at LBA {last}"),
    ]
    if array != primary.array:
        at = header.PartitionEntryLBA
        writes.append(Write(at * size, array, f"write the primary entry array at LBA {at}"))
    block = header_block(replace(header), size, tail)
    writes.append(Write(PRIMARY_LBA * size, block, f"write the primary header at LBA {PRIMARY_LBA}"))
    return writes


def _hybrid_writes(storage: Storage, partition: Partition, last_lba: int) -> list[Write]:
    """LBA 0 with the new size, where a hybrid MBR lists the partition as it was."""
    mbr = MasterBootRecord.unpack_from(storage.read_at(0, MasterBootRecord.SIZE))
    blocks = last_lba - partition.first_lba + 1
    listed = [
        record
        for record in mbr.PartitionRecord
        if record.OSType not in {0, PROTECTIVE}
        and (record.StartingLBA, record.SizeInLBA) == (partition.first_lba, partition.blocks)
    ]
    if not listed:
        return []
    if blocks > 0xFFFFFFFF:
        raise DisagreementError(
            "the MBR lists the partition, and cannot hold its new size", partition=partition.number, lba=0,
            structure="MBRPartitionRecord", field="SizeInLBA", expected="32 bits", actual=blocks,
        )  # fmt: skip
    for record in listed:
        record.SizeInLBA = blocks
    return [Write(0, mbr.pack(), "write the hybrid MBR at LBA 0")]
