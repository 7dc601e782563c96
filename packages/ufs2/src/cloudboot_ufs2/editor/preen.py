"""Repairing what a file system lost count of: what fsck_ffs does when it preens (``fsck_ffs -p``), and no more.

Leaked blocks and inodes, link counts that are too high, maps, counters and summaries, check-hashes, a superblock that a
backup can replace, and the mark that says that the file system is clean. What preening refuses (blocks in two
files, names of inodes that are not in use, damaged directories) is refused here, and listed.

Everything is worked out in memory and checked there; only then it is written, the superblock last. A repair that is cut
off leaves a file system that is marked unclean, and can be repeated.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from cloudboot_base import Window, WritableStorage, open_storage
from cloudboot_base.lightdata import dataclass
from cloudboot_ufs2.errors import ReadOnlyError
from cloudboot_ufs2.layout.options import link_max
from cloudboot_vfs.exclusive import claim

if TYPE_CHECKING:
    import os
    from typing import BinaryIO

    from typing_extensions import Buffer

    from cloudboot_base import Finding, Storage


@dataclass(frozen=True, slots=True)
class Repaired:
    """What was repaired, or would be."""

    findings: tuple[Finding, ...]  #: what was wrong
    actions: tuple[str, ...]  #: what was done about it
    size: int  #: bytes that were written


def repair(
    source: str | os.PathLike[str] | BinaryIO | Buffer | Storage,
    *,
    offset: int = 0,
    size: int | None = None,
    superblock: int | None = None,
    dry_run: bool = False,
    freebsd: int = 14,
) -> Repaired:
    """Repair a UFS2 file system as ``fsck_ffs -p`` does, completely or not at all.

    Files without a name go to ``/lost+found`` under the number of their inode; those of a file system with soft
    updates, which has lost no file that was complete, and empty ones are cleared.

    Args:
        source: what holds the file system.
        offset: where it starts, in bytes.
        size: how long it is, in bytes.
        superblock: the byte of the file system at which a backup stands that is to be used; by default one is looked
            for where the superblock is damaged.
        dry_run: say what would be done, and write nothing.
        freebsd: the oldest FreeBSD that is to read it, which limits links.

    Raises:
        RepairRefusedError: there is damage of another kind; ``findings`` lists it, and nothing has been written.
        SuperblockError: there is neither a superblock nor a backup.
        ReadOnlyError: the storage cannot be written to, or somebody else writes to it, or it is not UFS2.
        OSError: the source cannot be read or written.
    """
    from .rounds import Repair, write  # 7 ms, which a reader is spared

    with contextlib.ExitStack() as stack:
        storage = stack.enter_context(open_storage(source, writable=not dry_run)).storage
        volume = Window(storage, offset, storage.size - offset if size is None else size)
        if not dry_run:
            if not isinstance(volume, WritableStorage):
                raise ReadOnlyError("the storage cannot be written to")
            claim(volume, stack, ReadOnlyError)
        work = Repair(volume, superblock, link_max(freebsd))
        work.run()
        changes = work.overlay.changes()
        if not dry_run and changes:
            write(volume, work.overlay, changes)
        return Repaired(tuple(work.found), tuple(work.actions), sum(len(data) for _, data in changes))
