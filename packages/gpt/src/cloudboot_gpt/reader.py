"""Read a table and believe it only when it is valid (UEFI 2.10 section 5.3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cloudboot_base import open_storage

from .copies import Copy, check_size, detect_sector_size, disagreements, load_backup, load_primary
from .errors import SpecificationError
from .mbr import MBRPolicy, mbr_faults
from .records import MasterBootRecord
from .table import SECTOR_SIZES, Table

if TYPE_CHECKING:
    import os
    from typing import BinaryIO

    from typing_extensions import Buffer

    from cloudboot_base import Storage

    Source = str | os.PathLike[str] | BinaryIO | Buffer | Storage

BackupPolicy = Literal["ignore", "allow", "only", "require"]
"""What a reader does with the backup.

It never looks at it; uses it where the primary is damaged; uses nothing else; demands that both are whole and agree.
"""


def read(
    source: Source,
    *,
    sector_size: int | None = None,
    backup: BackupPolicy = "ignore",
    mbr: MBRPolicy = "protective",
    strict: bool = False,
    truncated: bool = False,
) -> Table:
    """Read the table of a disk: a path, a file, a buffer or a storage.

    ``sector_size`` is the logical block size in bytes; by default the one whose headers are found. A disk larger than
    its table (an image written to a larger device) is read; one smaller only with ``truncated``. A partition that
    overlaps another or leaves the usable blocks is named in :attr:`Table.faults`, and raised with ``strict``.

    Raises:
        MBRError: LBA 0 is not what ``mbr`` asks for.
        HeaderError, EntryArrayError: the copy read is not valid; the first thing wrong with it.
        PartitionError: ``strict``, and a partition breaks a rule.
        TruncatedDiskError: the disk ends before its table does, or is too small for any table.
        DisagreementError: ``backup="require"``, and the copies differ.
        OSError: the path cannot be opened.
    """
    with open_storage(source) as opened:
        storage = opened.storage
        size = checked_sector_size(storage, sector_size)
        for fault in mbr_faults(MasterBootRecord.unpack_from(storage.read_at(0, MasterBootRecord.SIZE)), mbr):
            raise fault
        copy = _choose(storage, size, backup, truncated=truncated)
        for fault in copy.partition_faults if strict else []:
            raise fault
        return copy.table()


def checked_sector_size(storage: Storage, sector_size: int | None) -> int:
    """``sector_size`` if it is one and the disk has enough blocks of it; the detected one for ``None``.

    Raises:
        SpecificationError: not a sector size.
        TruncatedDiskError: the disk is too small for any table.
    """
    if sector_size is None:
        return detect_sector_size(storage)
    if sector_size not in SECTOR_SIZES:
        raise SpecificationError("not a sector size", expected=SECTOR_SIZES, actual=sector_size)
    check_size(storage, sector_size)
    return sector_size


def _choose(storage: Storage, sector_size: int, policy: BackupPolicy, *, truncated: bool) -> Copy:
    primary = load_primary(storage, sector_size)
    refusals = primary.refusals(truncated=truncated)
    if not refusals and policy in {"ignore", "allow"}:
        return primary
    backup = load_backup(storage, sector_size, primary)
    if policy == "allow" and backup.whole:
        return backup
    if policy in {"ignore", "allow"}:
        fault = refusals[0]
        if backup.whole:
            fault.hint = 'the backup is whole: repair the disk, or read it with backup="allow"'
        raise fault
    for fault in [*(refusals if policy == "require" else []), *backup.faults]:
        raise fault
    if policy == "only":
        return backup
    for fault in disagreements(primary, backup):
        raise fault
    return primary
