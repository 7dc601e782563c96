"""Recompute every invariant of the MBR and of both copies of the table; nothing is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base import Finding, open_storage

from .copies import disagreements, load_backup, load_primary
from .mbr import block_defects, mbr_defects, mbr_faults
from .reader import checked_sector_size
from .records import MasterBootRecord

if TYPE_CHECKING:
    from .errors import GPTError
    from .reader import Source


def check(source: Source, *, sector_size: int | None = None) -> list[Finding]:
    """Everything that is wrong with the tables of a disk, in the order MBR, primary, backup, differences.

    The source and ``sector_size`` are as for :func:`~cloudboot_gpt.read`. An empty list means that the disk follows
    UEFI 2.10 chapter 5, except for what :mod:`~cloudboot_gpt.mbr` says nobody can judge.

    Raises:
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
    for copy in (primary, backup):
        faults.extend([*copy.faults, *copy.defects])
    if not primary.header_faults and not backup.header_faults:
        faults.extend(disagreements(primary, backup))
    return [Finding.from_error(fault) for fault in faults]
