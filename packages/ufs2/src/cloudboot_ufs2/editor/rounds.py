"""The work of a repair: rounds of looking and mending in memory, and then the writes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from cloudboot_base.overlay import Overlay, flush
from cloudboot_ufs2.checker.passes import survey as look
from cloudboot_ufs2.checker.repair_inode import INODE_KINDS, repair_inodes
from cloudboot_ufs2.checker.repair_maps import MAP_KINDS, mark_clean, rebuild
from cloudboot_ufs2.checker.survey import Findings
from cloudboot_ufs2.errors import ReadOnlyError, RepairRefusedError, SuperblockError
from cloudboot_ufs2.layout.constants import FS_NEEDSFSCK, FS_UNCLEAN, SBLOCK_UFS2, SBLOCKSIZE
from cloudboot_ufs2.layout.superblock import find_superblock, pack_superblock
from cloudboot_ufs2.layout.ufs1 import UFS2
from cloudboot_ufs2.reader.backup import find_backup, read_backup

from .reconnect import reconnect

if TYPE_CHECKING:
    from cloudboot_base import Finding, Storage, Window
    from cloudboot_records import ByteOrder
    from cloudboot_ufs2.checker.survey import Survey
    from cloudboot_ufs2.layout.records import Fs

_ROUNDS = 16
_ALL = 1 << 40
_ORPHANS = ("inode-unreferenced", "directory-orphan")


def write(volume: Window, overlay: Overlay, changes: list[tuple[int, bytes]]) -> None:
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


class Repair:
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
