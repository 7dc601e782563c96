"""Rebuild one copy of the table from the other (UEFI 2.10 section 5.3.2), and the protective MBR from both.

Rules, in this order:

- both copies are whole and agree: only the MBR can need work;
- both are whole and differ in nothing but where the primary says that the backup is: it is where it was found;
- both are whole and differ in more: refused, since nothing on the disk says which is meant;
- one is whole: the other becomes its mirror;
- none is whole: a valid header of one copy and an entry array of the other that has the CRC this header wants are
  together one whole table. Anything less is refused.

Whatever is intact is not written again, so that a repaired disk is byte for byte what it was before the damage. An
array whose header is lost is looked for and stays where it is; blocks that hold something else are not written. On a
disk that has grown the backup moves to the end, if nothing is there.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from cloudboot_base import open_storage
from cloudboot_base.lightdata import replace

from .copies import Copy, disagreements, load_backup, load_primary
from .errors import DisagreementError, UnrepairableError
from .header import PRIMARY_LBA, array_size, header_block
from .mbr import PROTECTIVE, mbr_defects, mbr_faults, protective_mbr
from .placement import choose_place, first_used, own_blocks, require_own
from .reader import checked_sector_size
from .records import GPTHeader, MasterBootRecord
from .table import backup_reserve, blocks_for
from .writer import Write, apply

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cloudboot_base import Storage

    from .header import CopyName
    from .reader import Source

#: libfdisk rounds FirstUsableLBA up to this many bytes and leaves the array at LBA 2.
_LIBFDISK_GRAIN = 1 << 20


def repair(target: Source, *, sector_size: int | None = None, dry_run: bool = False, force: bool = False) -> list[str]:
    """Make both copies and the MBR whole again, and say what was written; an empty list if nothing had to be.

    ``target`` is a path, a file, a buffer or a storage. With ``dry_run`` nothing is written. Everything is decided
    before the first byte is: an error means that the disk is unchanged. ``force`` writes over blocks that hold
    something that is not the table's.

    Raises:
        UnrepairableError: no valid header, or no entry array that goes with it, is left.
        DisagreementError: both copies are whole and differ, or the MBR lists partitions and protects no GPT.
        OccupiedError: blocks that had to be written hold something else.
        TruncatedDiskError: the disk is too small for any table, or ends before its table does.
        OSError: the target cannot be opened or written.
    """
    with open_storage(target, writable=not dry_run) as opened:
        storage = opened.storage
        size = checked_sector_size(storage, sector_size)
        writes, blocks = _table_writes(storage, size, force=force)
        writes += mbr_writes(storage, blocks)
        if not dry_run:
            apply(storage, writes)
    return [write.action for write in writes]


def _table_writes(storage: Storage, sector_size: int, *, force: bool) -> tuple[list[Write], int]:
    """What to write for both copies, and how many blocks the disk has according to them then."""
    primary = load_primary(storage, sector_size)
    backup = load_backup(storage, sector_size, primary)
    source, array = _source(storage, primary, backup)
    header, backup_lba = _at_the_end(storage, source, own_blocks(backup))
    moved = backup_lba != (header.AlternateLBA if source is primary else header.MyLBA)
    # Tools can move an array. Where it was is known if its header is left.
    both = not primary.header_faults and not backup.header_faults and not any(disagreements(primary, backup))
    if both or source is primary:
        primary_array = primary.header.PartitionEntryLBA
    else:
        primary_array = _lost_primary(storage, array, header, primary, force=force)
    if (both or source is backup) and not moved:
        backup_array = backup.header.PartitionEntryLBA
    else:
        backup_array = _lost_backup(storage, array, header, backup, backup_lba, force=force)
    writes: list[Write] = []
    mirrors: tuple[tuple[CopyName, int, int, int], ...] = (
        ("backup", backup_lba, PRIMARY_LBA, backup_array),
        ("primary", PRIMARY_LBA, backup_lba, primary_array),
    )
    for copy, lba, alternate, array_lba in mirrors:
        mirror = replace(header, MyLBA=lba, AlternateLBA=alternate, PartitionEntryLBA=array_lba)
        block = header_block(mirror, sector_size, source.block[GPTHeader.SIZE : header.HeaderSize])
        # What is in the block after HeaderSize is no damage to the header; see ReservedError.
        intact = storage.read_at(lba * sector_size, header.HeaderSize) == block[: header.HeaderSize]
        if storage.read_at(array_lba * sector_size, len(array)) != array:
            require_own(storage, array, sector_size, array_lba, copy=copy, force=force)
            writes.append(Write(array_lba * sector_size, array, f"write the {copy} entry array at LBA {array_lba}"))
        if not intact:
            writes.append(Write(lba * sector_size, block, f"write the {copy} header at LBA {lba}"))
    return writes, backup_lba + 1


def _at_the_end(storage: Storage, source: Copy, own: Sequence[range]) -> tuple[GPTHeader, int]:
    """The header of the repaired table, and where its backup goes: to the end of a disk that has grown.

    ``own`` are the blocks of the backup as it is, which the new one may take.
    """
    header, sector_size = source.header, source.place.sector_size
    primary = source.place.copy == "primary"
    backup_lba = header.AlternateLBA if primary else header.MyLBA
    last = source.place.disk_blocks - 1
    reserve = backup_reserve(array_size(header), sector_size)
    if backup_lba == last:
        return header, last
    end = max((partition.last_lba for partition in source.partitions), default=0)
    blocks = range(last - reserve + 1, last + 1)
    if end < blocks.start and first_used(storage, sector_size, blocks, own) is None:
        last_usable = blocks.start - 1 if backup_lba > PRIMARY_LBA else min(header.LastUsableLBA, blocks.start - 1)
        return replace(header, LastUsableLBA=last_usable), last
    if backup_lba > PRIMARY_LBA:
        return header, backup_lba
    raise UnrepairableError(
        "the header names no place for the backup, and the end of the disk is in use",
        structure="GPTHeader", field="AlternateLBA", lba=source.place.lba, copy=source.place.copy, actual=backup_lba,
    )  # fmt: skip


def _lost_primary(storage: Storage, array: bytes, header: GPTHeader, primary: Copy, *, force: bool) -> int:
    """Where the primary array is or goes when the primary header does not count."""
    size = primary.place.sector_size
    first, end = PRIMARY_LBA + 1, header.FirstUsableLBA
    _require_room(array, primary, first, end)
    usual = [first, end - blocks_for(len(array), size)]
    if end * size % _LIBFDISK_GRAIN:
        usual.reverse()
    return choose_place(storage, array, size, (first, end), [*_stated(primary), *usual], copy="primary", force=force)


def _lost_backup(
    storage: Storage, array: bytes, header: GPTHeader, backup: Copy, backup_lba: int, *, force: bool
) -> int:
    """Where the backup array is or goes when the backup header does not count, or moves to ``backup_lba``."""
    size = backup.place.sector_size
    first, end = header.LastUsableLBA + 1, backup_lba
    _require_room(array, backup, first, end)
    usual = [end - blocks_for(len(array), size), first]
    return choose_place(storage, array, size, (first, end), [*_stated(backup), *usual], copy="backup", force=force)


def _stated(copy: Copy) -> list[int]:
    """What an invalid header says about its array: worth a look, if it is a header at all."""
    return [copy.header.PartitionEntryLBA] if copy.present else []


def _require_room(array: bytes, lost: Copy, first: int, end: int) -> None:
    blocks = blocks_for(len(array), lost.place.sector_size)
    if first + blocks > end:
        raise UnrepairableError(
            f"the usable blocks leave no room for the {lost.place.copy} entry array",
            structure="GPTHeader", copy=lost.place.copy, expected=f"{blocks} blocks", actual=max(0, end - first),
        )  # fmt: skip


def _source(storage: Storage, primary: Copy, backup: Copy) -> tuple[Copy, bytes]:
    """The copy whose header is right, and the entry array that goes with it."""
    if primary.whole and backup.whole:
        differences = list(disagreements(primary, backup))
        for fault in differences:
            if fault.field != "AlternateLBA":
                raise fault
        if differences:
            return backup, backup.array
    if primary.whole and not primary.truncation:
        return primary, primary.array
    if backup.whole:
        return backup, backup.array
    for fault in primary.truncation:
        raise fault
    if not primary.header_faults and not backup.header_faults:
        for fault in disagreements(primary, backup):
            raise fault
    for copy, other in ((primary, backup), (backup, primary)):
        if copy.header_faults:
            continue
        array = _other_array(storage, copy, other)
        if array is not None:
            return copy, array
    fault = primary.faults[0]
    raise UnrepairableError(
        f"neither copy is whole, nor a header of one with the array of the other; the primary: {fault.message}",
        structure=fault.structure, field=fault.field, offset=fault.offset, lba=fault.lba,
    ) from fault  # fmt: skip


def _other_array(storage: Storage, copy: Copy, other: Copy) -> bytes | None:
    """The other copy's entry array, if it is the one that the valid header of ``copy`` wants."""
    header, place = copy.header, copy.place
    size = array_size(header)
    blocks = blocks_for(size, place.sector_size)
    if not other.header_faults:
        places = [other.header.PartitionEntryLBA]
    elif place.copy == "primary":
        places = [*_stated(other), header.AlternateLBA - blocks, header.LastUsableLBA + 1]
    else:
        places = [*_stated(other), PRIMARY_LBA + 1, header.FirstUsableLBA - blocks]
    for lba in places:
        if PRIMARY_LBA < lba <= place.disk_blocks - blocks:
            array = storage.read_at(lba * place.sector_size, size)
            if zlib.crc32(array) == header.PartitionEntryArrayCRC32:
                return array
    return None


def mbr_writes(storage: Storage, disk_blocks: int) -> Iterator[Write]:
    """What to write into LBA 0 of a disk whose table is for ``disk_blocks`` blocks.

    Raises:
        DisagreementError: the MBR lists partitions and protects no GPT.
    """
    mbr = MasterBootRecord.unpack_from(storage.read_at(0, MasterBootRecord.SIZE))
    faults = list(mbr_faults(mbr, "hybrid"))
    # No partition can start where the GPT header is, so a record that does is the protective one, whatever its type.
    foreign = [record for record in mbr.PartitionRecord if record.OSType not in {0, PROTECTIVE}]
    foreign = [record for record in foreign if record.StartingLBA != 1]
    if faults and foreign:
        raise DisagreementError(
            "the MBR lists partitions and protects no GPT: one of the two tables is out of date",
            structure="MasterBootRecord", field="PartitionRecord", lba=0,
            hint="if the GPT is right, write a protective MBR yourself", actual=f"{len(foreign)} partitions",
        ) from faults[0]  # fmt: skip
    if faults or (not foreign and any(mbr_defects(mbr, disk_blocks))):
        mbr.PartitionRecord = protective_mbr(disk_blocks).PartitionRecord
        mbr.Signature = protective_mbr(disk_blocks).Signature
        yield Write(0, mbr.pack(), "write the protective MBR at LBA 0")
