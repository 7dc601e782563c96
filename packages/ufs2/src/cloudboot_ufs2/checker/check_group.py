"""The first pass over cylinder groups: their heads, the places of their maps, their check-hashes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base import Finding
from cloudboot_ufs2.layout.bits import group_hash
from cloudboot_ufs2.layout.constants import CG_MAGIC, CK_CYLGRP
from cloudboot_ufs2.layout.mapoffsets import map_offsets
from cloudboot_ufs2.layout.records import Cg
from cloudboot_ufs2.layout.superblock import has_hash
from cloudboot_ufs2.layout.ufs1 import UFS2

from .survey import GroupFacts

# What fsck (pass5.c) compares with zeros: it keeps times, rotors and cg_unrefs, and recomputes all else.
_UNUSED = {
    "cg_firstfield": 0, "cg_old_ncyl": 0, "cg_old_niblk": 0, "cg_old_btotoff": 0, "cg_old_boff": 0,
    "cg_sparecon32": (0,), "cg_sparecon64": (0, 0, 0),
}  # fmt: skip

if TYPE_CHECKING:
    from .survey import Survey


def read_groups(survey: Survey) -> None:
    """Read the head of every group; one that is none leaves ``None``."""
    geometry = survey.geometry
    for group in range(geometry.group_count):
        survey.groups.append(_read_group(survey, group))


def _read_group(survey: Survey, group: int) -> GroupFacts | None:
    geometry = survey.geometry
    offset = (geometry.group_metadata(group) + geometry.cblkno) * geometry.fragment_size
    if offset + geometry.cgsize > survey.storage.size:
        _add(survey, group, offset, "group-missing", "cg_magic", message="the group lies beyond the image")
        return None
    block = survey.storage.read_at(offset, geometry.cgsize)
    head = survey.dialect.read_group(Cg.unpack_from(block, 0, survey.byteorder), survey.fs)
    if head.cg_magic != CG_MAGIC:
        _compare(survey, group, offset, "group-magic", cg_magic=(CG_MAGIC, head.cg_magic))
        return None
    if has_hash(survey.fs, CK_CYLGRP):
        _compare(survey, group, offset, "group-hash", cg_ckhash=(group_hash(block), head.cg_ckhash))
    _compare(survey, group, offset, "group-number", cg_cgx=(group, head.cg_cgx))
    _compare(
        survey,
        group,
        offset,
        "group-size",
        cg_niblk=(geometry.group_inodes, head.cg_niblk),
        cg_ndblk=(geometry.group_length(group), head.cg_ndblk),
    )
    clusters = geometry.group_length(group) // geometry.fragments_per_block if geometry.cluster_summary > 0 else 0
    _compare(survey, group, offset, "group-clusters", cg_nclusterblks=(clusters, head.cg_nclusterblks))
    _check_bounds(survey, group, offset, head)
    offsets = map_offsets(geometry)
    _compare(
        survey,
        group,
        offset,
        "group-map-offset",
        cg_iusedoff=(offsets.iusedoff, head.cg_iusedoff),
        cg_freeoff=(offsets.freeoff, head.cg_freeoff),
        cg_nextfreeoff=(offsets.nextfreeoff, head.cg_nextfreeoff),
        cg_clustersumoff=(offsets.clustersumoff, head.cg_clustersumoff),
        cg_clusteroff=(offsets.clusteroff, head.cg_clusteroff),
    )
    if survey.dialect is UFS2:
        for field, unused in _UNUSED.items():
            if getattr(head, field) != unused:
                _add(survey, group, offset, "group-unused", field, expected=unused, actual=getattr(head, field))
    return GroupFacts(head=head, offset=offset, initialised=min(head.cg_initediblk, geometry.group_inodes))


def _check_bounds(survey: Survey, group: int, offset: int, head: Cg) -> None:
    geometry = survey.geometry
    length, inodes = geometry.group_length(group), geometry.group_inodes
    for field, value, limit in (
        ("cg_rotor", head.cg_rotor, length),
        ("cg_frotor", head.cg_frotor, length),
        ("cg_irotor", head.cg_irotor, inodes),
    ):
        if value >= limit:
            _add(survey, group, offset, "group-rotor", field, expected=f"below {limit}", actual=value)
    if head.cg_initediblk > inodes:
        _add(
            survey, group, offset, "group-initialised", "cg_initediblk", expected=f"at most {inodes}",
            actual=head.cg_initediblk,
        )  # fmt: skip


def _compare(survey: Survey, group: int, offset: int, kind: str, **fields: tuple[int, int]) -> None:
    for field, (expected, actual) in fields.items():
        if expected != actual:
            _add(survey, group, offset, kind, field, expected=expected, actual=actual)


def _add(
    survey: Survey,
    group: int,
    offset: int,
    kind: str,
    field: str,
    *,
    message: str = "wrong in the head of a group",
    expected: object = None,
    actual: object = None,
) -> None:
    survey.findings.add(
        Finding(
            kind,
            message,
            structure="Cg",
            field=field,
            offset=offset + Cg.LAYOUT.offsets[field],
            expected=expected,
            actual=actual,
            where={"group": group},
        )
    )
