"""The part of a repair that counts anew: the maps and counters of groups, the summary area, the superblock (pass 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base.lightdata import replace
from cloudboot_ufs2.errors import RepairRefusedError
from cloudboot_ufs2.layout.constants import CG_MAGIC, CK_CYLGRP, DT_DIR, FS_NEEDSFSCK, FS_UNCLEAN, SBLOCK_UFS2
from cloudboot_ufs2.layout.group import block_patterns, pack_maps
from cloudboot_ufs2.layout.mapoffsets import map_offsets
from cloudboot_ufs2.layout.records import Cg, Csum, CsumTotal
from cloudboot_ufs2.layout.superblock import (
    FSRECOVERY_OFFSET,
    find_superblock,
    has_hash,
    pack_recovery,
    pack_superblock,
)

from .check_inode import used_inodes
from .check_space import free_fragments
from .check_superblock import data_size

if TYPE_CHECKING:
    from cloudboot_base import Finding
    from cloudboot_base.overlay import Overlay

    from .survey import GroupFacts, Survey

_COUNTED = ("directories", "free-blocks", "free-inodes", "free-fragments")
#: what is counted anew
MAP_KINDS = frozenset({
    "block-marked-used", "block-marked-free", "inode-marked-used", "inode-marked-free", "group-frsum",
    "group-cluster-sum", "group-cluster-map", "group-map-padding", "group-hash", "group-unused", "group-rotor",
    "superblock-hash", "superblock-pending", "superblock-dsize", "superblock-numclusters", "superblock-spare",
    "backup-superblock", "backup-superblock-hash", "recovery-record", "unclean",
    *(f"{prefix}-{name}" for prefix in ("group", "summary", "superblock") for name in _COUNTED),
})  # fmt: skip
_BACKUPS = ("backup-superblock", "backup-superblock-hash")


def rebuild(overlay: Overlay, survey: Survey, findings: list[Finding], actions: list[str]) -> None:
    """Write maps, counters and summaries as they follow from the inodes."""
    geometry = survey.geometry
    summary = bytearray()
    total = CsumTotal()
    for index, facts in enumerate(survey.groups):
        if facts is None:
            raise RepairRefusedError(findings)
        before, block, counters = _group(survey, index, facts)
        if block != before:
            overlay.write_at(facts.offset, block)
            actions.append(f"group {index}: maps and counters corrected")
        summary += counters.pack(survey.byteorder)
        total.cs_ndir += counters.cs_ndir
        total.cs_nbfree += counters.cs_nbfree
        total.cs_nifree += counters.cs_nifree
        total.cs_nffree += counters.cs_nffree
    at = geometry.summary_address * geometry.fragment_size
    if overlay.read_at(at, len(summary)) != summary:
        overlay.write_at(at, summary)
        actions.append("the summary area is corrected")
    fs = replace(survey.fs)
    if fs.fs_cstotal != total:
        actions.append("the totals of the superblock are corrected")
    fs.fs_cstotal, fs.fs_pendingblocks, fs.fs_pendinginodes = total, 0, 0
    if any(finding.kind == "superblock-dsize" for finding in findings):
        fs.fs_dsize = data_size(fs)
        actions.append("the number of data fragments is corrected")
    overlay.write_at(SBLOCK_UFS2, pack_superblock(fs, survey.byteorder))
    for finding in findings:
        if finding.kind in _BACKUPS and "beyond" not in finding.message:
            group = int(finding.where.get("group", -1)) if finding.kind == "backup-superblock" else None
            _backups(overlay, survey, group)
    if any(finding.kind == "recovery-record" for finding in findings):
        overlay.write_at(FSRECOVERY_OFFSET, pack_recovery(fs, survey.byteorder))
        actions.append("the record that leads to the backups is corrected")
    if any(finding.kind in _BACKUPS for finding in findings):
        actions.append("backup superblocks are written anew")


def _backups(overlay: Overlay, survey: Survey, group: int | None) -> None:
    geometry, fs = survey.geometry, survey.fs
    for index in range(geometry.group_count) if group is None else (group,):
        at = (geometry.group_start(index) + geometry.sblkno) * geometry.fragment_size
        if at + fs.fs_sbsize <= overlay.size:
            overlay.write_at(at, pack_superblock(fs, survey.byteorder, at))


def _group(survey: Survey, index: int, facts: GroupFacts) -> tuple[bytes, bytes, Csum]:
    """The block of a group as it is and as it should be, and the counters."""
    geometry, offsets = survey.geometry, map_offsets(survey.geometry)
    before, _, _ = survey.maps(facts)
    kinds = survey.kinds.group(index, geometry.group_inodes).tobytes()
    used = used_inodes(survey, index)
    length = geometry.group_length(index)
    old = Cg.unpack_from(before, 0, survey.byteorder)
    head = Cg(
        cg_magic=CG_MAGIC,
        cg_cgx=index,
        cg_ndblk=length,
        cg_time=old.cg_time,
        cg_rotor=old.cg_rotor if old.cg_rotor < length else 0,
        cg_frotor=old.cg_frotor if old.cg_frotor < length else 0,
        cg_irotor=old.cg_irotor if old.cg_irotor < geometry.group_inodes else 0,
        cg_unrefs=old.cg_unrefs,
        cg_niblk=geometry.group_inodes,
        cg_initediblk=old.cg_initediblk,
        cg_iusedoff=offsets.iusedoff,
        cg_freeoff=offsets.freeoff,
        cg_nextfreeoff=offsets.nextfreeoff,
        cg_clustersumoff=offsets.clustersumoff,
        cg_clusteroff=offsets.clusteroff,
        cg_nclusterblks=length // geometry.fragments_per_block if geometry.cluster_summary > 0 else 0,
    )
    head.cg_cs.cs_ndir = kinds.count(DT_DIR)
    patterns = block_patterns(free_fragments(survey, index), length, geometry.fragments_per_block)
    hashed = has_hash(survey.fs, CK_CYLGRP)
    block = pack_maps(geometry, head, patterns, used, hashed=hashed, byteorder=survey.byteorder)
    return before, block, head.cg_cs


def mark_clean(overlay: Overlay, actions: list[str]) -> None:
    """Say that the file system may be mounted."""
    fs, byteorder, at = find_superblock(overlay)
    if fs.fs_clean != 1 or fs.fs_flags & (FS_UNCLEAN | FS_NEEDSFSCK):
        actions.append("the file system is marked clean")
    fs.fs_clean, fs.fs_flags = 1, fs.fs_flags & ~(FS_UNCLEAN | FS_NEEDSFSCK)
    overlay.write_at(at, pack_superblock(fs, byteorder, at))
