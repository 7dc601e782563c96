"""Repairing what a file system lost count of: what fsck_ffs does when it preens (``fsck_ffs -p``), and no more.

Leaked blocks and inodes, link counts that are too high, maps, counters and summaries, check-hashes, a superblock that a
backup can replace, and the mark that says that the file system is clean. What preening refuses (blocks in two
files, names of inodes that are not in use, damaged directories) is refused here, and listed.

Everything is worked out in memory and checked there; only then it is written, the superblock last. A repair that is cut
off leaves a file system that is marked unclean, and can be repeated.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

from cloudboot_base import Window, WritableStorage, open_storage
from cloudboot_base.overlay import Overlay, flush
from cloudboot_ufs2.checker.check import survey as look
from cloudboot_ufs2.checker.repair_inode import INODE_KINDS, repair_inodes
from cloudboot_ufs2.checker.repair_maps import MAP_KINDS, mark_clean, rebuild
from cloudboot_ufs2.checker.survey import Findings
from cloudboot_ufs2.errors import ReadOnlyError, RepairRefusedError, SuperblockError
from cloudboot_ufs2.layout.constants import FS_NEEDSFSCK, FS_UNCLEAN, SBLOCK_UFS2, SBLOCKSIZE
from cloudboot_ufs2.layout.options import link_max
from cloudboot_ufs2.layout.superblock import find_superblock, pack_superblock
from cloudboot_ufs2.layout.ufs1 import UFS2
from cloudboot_ufs2.reader.backup import find_backup, read_backup
from cloudboot_vfs.exclusive import claim

from .reconnect import reconnect

if TYPE_CHECKING:
    import os
    from typing import BinaryIO

    from typing_extensions import Buffer

    from cloudboot_base import Finding, Storage
    from cloudboot_records import ByteOrder
    from cloudboot_ufs2.checker.survey import Survey
    from cloudboot_ufs2.layout.records import Fs

_ROUNDS = 16
_ALL = 1 << 40
_ORPHANS = ("inode-unreferenced", "directory-orphan")


@dataclasses.dataclass(frozen=True, slots=True)
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
    with contextlib.ExitStack() as stack:
        storage = stack.enter_context(open_storage(source, writable=not dry_run)).storage
        volume = Window(storage, offset, storage.size - offset if size is None else size)
        if not dry_run:
            if not isinstance(volume, WritableStorage):
                raise ReadOnlyError("the storage cannot be written to")
            claim(volume, stack, ReadOnlyError)
        work = _Repair(volume, superblock, link_max(freebsd))
        work.run()
        changes = work.overlay.changes()
        if not dry_run and changes:
            _write(volume, work.overlay, changes)
        return Repaired(tuple(work.found), tuple(work.actions), sum(len(data) for _, data in changes))


def _write(volume: Window, overlay: Overlay, changes: list[tuple[int, bytes]]) -> None:
    """Write everything but the superblock, which says so beforehand, and then the superblock."""
    within = range(SBLOCK_UFS2, SBLOCK_UFS2 + SBLOCKSIZE)
    rest = [change for change in changes if change[0] not in within]
    final = overlay.read_at(SBLOCK_UFS2, SBLOCKSIZE)  # before what is below the overlay changes
    if rest:
        with contextlib.suppress(SuperblockError):
            fs, byteorder, at = find_superblock(volume)
            if at == SBLOCK_UFS2 and fs.fs_sbsize <= SBLOCKSIZE:
                fs.fs_clean, fs.fs_flags = 0, fs.fs_flags | FS_NEEDSFSCK
                flush(volume, [(at, pack_superblock(fs, byteorder, at))])
        flush(volume, rest)
    flush(volume, [(SBLOCK_UFS2, final)])


class _Repair:
    """One repair: rounds of looking and mending, in memory, until nothing is found."""

    def __init__(self, volume: Storage, superblock: int | None, most_links: int) -> None:
        self.overlay = Overlay(volume)
        self._superblock, self._link_max = superblock, most_links
        self.actions: list[str] = []
        self.found: list[Finding] = []

    def run(self) -> None:
        """Work everything out.

        Raises:
            RepairRefusedError: there is damage that is not repaired.
        """
        self.found = self._look()[0]
        if self._superblock is not None or _is_broken(self.found):
            self._restore()
        for _ in range(_ROUNDS):
            findings, survey = self._look()
            if not findings:
                return
            if survey is None:
                raise RepairRefusedError(findings)
            if survey.dialect is not UFS2:
                raise ReadOnlyError("only UFS2 is repaired", structure="Fs", field="fs_magic")
            self._require_known(findings)
            if not repair_inodes(self.overlay, survey, findings, self.actions):
                orphans = [finding for finding in findings if finding.kind in _ORPHANS]
                rebuild(self.overlay, survey, findings, self.actions)
                if orphans:
                    reconnect(self.overlay, survey, orphans, self.actions)
                mark_clean(self.overlay, self.actions)
        raise RepairRefusedError(self._look()[0])

    def _look(self) -> tuple[list[Finding], Survey | None]:
        findings = Findings(_ALL)
        survey = look(self.overlay, findings, link_max=self._link_max)
        return findings.result(), survey

    @staticmethod
    def _require_known(findings: list[Finding]) -> None:
        twice = {finding.where.get("inode") for finding in findings if finding.kind == "directory-linked-twice"}
        refused = [
            finding
            for finding in findings
            if finding.kind not in MAP_KINDS | INODE_KINDS
            and not (finding.kind == "directory-dotdot" and finding.where.get("inode") in twice)
        ]
        if refused:
            raise RepairRefusedError(refused)

    def _restore(self) -> None:
        """Put a backup in the place of the superblock; the totals are counted anew afterwards."""
        at = self._superblock
        found = find_backup(self.overlay) if at is None else read_backup(self.overlay, at)
        if found is None:
            raise RepairRefusedError(self.found)
        fs, byteorder, at = found
        self._keep_label(fs, byteorder)
        fs.fs_clean, fs.fs_flags = 0, fs.fs_flags | FS_NEEDSFSCK & ~FS_UNCLEAN
        self.overlay.write_at(SBLOCK_UFS2, pack_superblock(fs, byteorder).ljust(SBLOCKSIZE, b"\0"))
        self.actions.append(f"the superblock is restored from the backup at byte {at} (sector {at // 512})")

    def _keep_label(self, fs: Fs, byteorder: ByteOrder) -> None:
        """What a backup does not know: a label given later, and the time of the last change."""
        try:
            old, order, at = find_superblock(self.overlay)
        except SuperblockError:
            return
        label = old.fs_volname.rstrip(b"\0")
        if at == SBLOCK_UFS2 and order == byteorder and all(32 < each < 127 for each in label):
            fs.fs_volname = old.fs_volname
            fs.fs_time = max(fs.fs_time, old.fs_time) if 0 < old.fs_time < 1 << 40 else fs.fs_time


def _is_broken(findings: list[Finding]) -> bool:
    """Whether the superblock itself is damaged: by more than a hash that a cut write left behind."""
    kinds = {finding.kind for finding in findings}
    own = {
        finding.kind for finding in findings if finding.structure == "Fs" and finding.kind.startswith("superblock-")
    } - MAP_KINDS
    return bool(own) or ("superblock-hash" in kinds and "backup-superblock" in kinds)
