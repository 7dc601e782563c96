"""Rebuild one copy of the table from the other (UEFI 2.10 section 5.3.2), and the protective MBR from both.

Rules, in this order:

- both copies are whole and agree: only the MBR can need work;
- both are whole and differ: refused, since nothing on the disk says which is meant;
- one is whole: the other becomes its mirror;
- none is whole: a valid header of one copy and an entry array of the other that has the CRC this header wants are
  together one whole table. Anything less is refused.

Whatever is intact is not written again, so that a repaired disk is byte for byte what it was before the damage.
"""

from __future__ import annotations

import dataclasses
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudboot_base import WritableStorage, open_storage

from .copies import Copy, disagreements, load_backup, load_primary
from .entries import decode_array, partition_faults
from .errors import DisagreementError, UnrepairableError
from .header import PRIMARY_LBA, array_size, header_block
from .mbr import PROTECTIVE, mbr_defects, mbr_faults, protective_mbr
from .reader import checked_sector_size
from .records import GPTHeader, MasterBootRecord
from .table import blocks_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_base import Storage

    from .header import CopyName
    from .reader import Source


@dataclass(frozen=True, slots=True)
class _Write:
    """Bytes to put at an offset, and how to tell a person."""

    offset: int
    data: bytes
    action: str


def repair(target: Source, *, sector_size: int | None = None, dry_run: bool = False) -> list[str]:
    """Make both copies and the MBR whole again, and say what was written; an empty list if nothing had to be.

    ``target`` is a path, a file, a buffer or a storage. With ``dry_run`` nothing is written. Everything is decided
    before the first byte is: an error means that the disk is unchanged.

    Raises:
        UnrepairableError: no valid header, or no entry array that goes with it, is left.
        DisagreementError: both copies are whole and differ, or the MBR lists partitions and protects no GPT.
        TruncatedDiskError: the disk is too small for any table.
        OSError: the target cannot be opened or written.
    """
    with open_storage(target, writable=not dry_run) as opened:
        storage = opened.storage
        size = checked_sector_size(storage, sector_size)
        writes = [*_table_writes(storage, size), *_mbr_writes(storage, size)]
        if not dry_run:
            if not isinstance(storage, WritableStorage):  # open_storage has seen to it; this tells the type checker
                raise TypeError("the target is not writable")
            for write in writes:
                storage.write_at(write.offset, write.data)
    return [write.action for write in writes]


def _table_writes(storage: Storage, sector_size: int) -> Iterator[_Write]:
    primary = load_primary(storage, sector_size)
    backup = load_backup(storage, sector_size, primary)
    source, array = _source(storage, primary, backup)
    header = source.header
    blocks = blocks_for(len(array), sector_size)
    backup_lba = header.AlternateLBA if source is primary else header.MyLBA
    # Tools can move an array. Where it was is known if its header is left; otherwise it goes where it usually is.
    both = not primary.header_faults and not backup.header_faults and not any(disagreements(primary, backup))
    primary_array = primary.header.PartitionEntryLBA if both or source is primary else PRIMARY_LBA + 1
    backup_array = backup.header.PartitionEntryLBA if both or source is backup else backup_lba - blocks
    if primary_array + blocks > header.FirstUsableLBA or backup_array <= header.LastUsableLBA:
        raise UnrepairableError(
            "the usable blocks leave no room for the other entry array",
            structure="GPTHeader", lba=source.place.lba, copy=source.place.copy, expected=f"{blocks} blocks",
        )  # fmt: skip
    mirrors: tuple[tuple[CopyName, int, int, int], ...] = (
        ("backup", backup_lba, PRIMARY_LBA, backup_array),
        ("primary", PRIMARY_LBA, backup_lba, primary_array),
    )
    for copy, lba, alternate, array_lba in mirrors:
        mirror = dataclasses.replace(header, MyLBA=lba, AlternateLBA=alternate, PartitionEntryLBA=array_lba)
        block = header_block(mirror, sector_size, source.block[GPTHeader.SIZE : header.HeaderSize])
        # What stands in the block after HeaderSize is no damage to the header; see ReservedError.
        intact = storage.read_at(lba * sector_size, header.HeaderSize) == block[: header.HeaderSize]
        if storage.read_at(array_lba * sector_size, len(array)) != array:
            yield _Write(array_lba * sector_size, array, f"write the {copy} entry array at LBA {array_lba}")
        if not intact:
            yield _Write(lba * sector_size, block, f"write the {copy} header at LBA {lba}")


def _source(storage: Storage, primary: Copy, backup: Copy) -> tuple[Copy, bytes]:
    """The copy whose header is right, and the entry array that goes with it."""
    if primary.whole and backup.whole:
        for fault in disagreements(primary, backup):
            raise fault
    if primary.whole:
        return primary, primary.array
    if backup.whole:
        return backup, backup.array
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
    if not other.header_faults:
        lba = other.header.PartitionEntryLBA
    elif place.copy == "primary":
        lba = header.AlternateLBA - blocks_for(size, place.sector_size)
    else:
        lba = PRIMARY_LBA + 1
    if lba < 0 or lba * place.sector_size + size > storage.size:
        return None
    array = storage.read_at(lba * place.sector_size, size)
    if zlib.crc32(array) != header.PartitionEntryArrayCRC32:
        return None
    partitions = decode_array(array, header.SizeOfPartitionEntry, place.sector_size)
    return None if any(partition_faults(partitions, header, place)) else array


def _mbr_writes(storage: Storage, sector_size: int) -> Iterator[_Write]:
    mbr = MasterBootRecord.unpack_from(storage.read_at(0, MasterBootRecord.SIZE))
    blocks = storage.size // sector_size
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
    if faults or (not foreign and any(mbr_defects(mbr, blocks))):
        mbr.PartitionRecord = protective_mbr(blocks).PartitionRecord
        mbr.Signature = protective_mbr(blocks).Signature
        yield _Write(0, mbr.pack(), "write the protective MBR at LBA 0")
