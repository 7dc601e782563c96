"""Recompute every invariant of the MBR and of both copies of the table; nothing is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base import Finding, open_storage

from .copies import disagreements, load_backup, load_primary
from .errors import ProtectiveRecordError
from .mbr import SIGNATURE, block_defects, is_protective, mbr_defects, mbr_faults
from .reader import checked_sector_size
from .records import MasterBootRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .copies import Copy
    from .errors import GPTError
    from .reader import Source


def check(source: Source, *, sector_size: int | None = None) -> list[Finding]:
    """Everything that is wrong with the tables of a disk, in the order MBR, primary, backup, differences.

    The source and ``sector_size`` are as for :func:`~cloudboot_gpt.read`. An empty list means that the disk follows
    UEFI 2.10 chapter 5, except for what :mod:`~cloudboot_gpt.mbr` says cannot be judged.

    Raises:
        SignatureError: the disk has no GPT: no header, and no MBR that protects one.
        TruncatedDiskError: the disk is too small for any table.
        OSError: the path cannot be opened.
    """
    faults: list[GPTError] = []
    with open_storage(source) as opened:
        storage = opened.storage
        size = checked_sector_size(storage, sector_size)
        block = storage.read_at(0, size)
        mbr = MasterBootRecord.unpack_from(block)
        faults.extend(mbr_faults(mbr, "protective"))
        faults.extend(mbr_defects(mbr, storage.size // size))
        faults.extend(block_defects(block))
        primary = load_primary(storage, size)
        backup = load_backup(storage, size, primary)
    if not primary.present and not backup.present and not is_protective(mbr):
        fault = primary.header_faults[0]
        if mbr.Signature == SIGNATURE:
            fault.hint = "the disk has a plain MBR, or a boot sector, and no GPT"
        raise fault
    for copy in (primary, backup):
        faults.extend([*copy.faults, *copy.truncation, *copy.partition_faults, *copy.defects])
    if not primary.header_faults and not backup.header_faults:
        faults.extend(disagreements(primary, backup))
    return [Finding.from_error(fault) for fault in faults]


def notices(source: Source, *, sector_size: int | None = None) -> list[str]:
    """What a user of a table should know about its disk: one sentence each, with the command that helps.

    Raises:
        TruncatedDiskError: the disk is too small for any table.
        OSError: the path cannot be opened.
    """
    with open_storage(source) as opened:
        storage = opened.storage
        size = checked_sector_size(storage, sector_size)
        mbr = MasterBootRecord.unpack_from(storage.read_at(0, MasterBootRecord.SIZE))
        blocks = storage.size // size
        primary = load_primary(storage, size)
        backup = load_backup(storage, size, primary)
    return list(_sentences(primary, backup, mbr, blocks))


def _sentences(primary: Copy, backup: Copy, mbr: MasterBootRecord, blocks: int) -> Iterator[str]:
    alternate = primary.header.AlternateLBA
    table_blocks = alternate + 1 if not primary.header_faults else backup.header.MyLBA + 1
    fits = True
    if not primary.whole:
        yield f"the primary table is damaged ({primary.faults[0].message}): cloudboot-gpt repair rebuilds it"
    elif primary.truncation:
        fits = False
        needed = max(table_blocks, primary.header.LastUsableLBA + 1)
        yield f"the disk has {blocks} sectors and its table is for {needed}: the end of the image is missing"
    elif table_blocks < blocks and alternate > 1:
        fits = False
        yield (
            f"the disk has {blocks} sectors and its table is for {table_blocks}: "
            "cloudboot-gpt grow moves the backup to the end"
        )
    if primary.whole and not primary.truncation and not backup.whole:
        yield f"the backup table is damaged ({backup.faults[0].message}): cloudboot-gpt repair rebuilds it"
    elif primary.whole and backup.whole and any(disagreements(primary, backup)):
        yield "the primary table and the backup differ: cloudboot-gpt check says where"
    wrong_size = any(isinstance(each, ProtectiveRecordError) for each in mbr_defects(mbr, blocks))
    if is_protective(mbr) and fits and wrong_size:
        yield "the protective MBR states another size than the disk has: cloudboot-gpt repair corrects it"
    for fault in (primary if primary.whole else backup).partition_faults:
        yield f"partition {fault.partition}: {fault.message}"
