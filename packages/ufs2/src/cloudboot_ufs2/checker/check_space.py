"""The last pass: maps and counters of groups, summary area and superblock, against what is really in use."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from cloudboot_base import Finding
from cloudboot_ufs2.layout.bits import gather, get_bits, lowest
from cloudboot_ufs2.layout.constants import DT_DIR, UFS_ROOTINO
from cloudboot_ufs2.layout.group import SpaceCounts, block_patterns, count_patterns
from cloudboot_ufs2.layout.mapoffsets import map_offsets
from cloudboot_ufs2.layout.records import Cg, Csum, Fs
from cloudboot_ufs2.layout.ufs1 import UFS2

if TYPE_CHECKING:
    from .survey import GroupFacts, Survey

_COUNTERS = {
    "cs_ndir": "directories",
    "cs_nbfree": "free-blocks",
    "cs_nifree": "free-inodes",
    "cs_nffree": "free-fragments",
}


def check_space(survey: Survey) -> None:
    """Compare every map and counter."""
    geometry = survey.geometry
    summary = survey.storage.read_at(geometry.summary_address * geometry.fragment_size, geometry.summary_size)
    total = dict.fromkeys(_COUNTERS, 0)
    known: dict[object, tuple[int, SpaceCounts]] = {}
    for group, facts in enumerate(survey.groups):
        key = survey.claimed.key(group)
        found = known.get(key) if key is not None else None
        if found is None:
            free, frag, length = (
                free_fragments(survey, group),
                geometry.fragments_per_block,
                geometry.group_length(group),
            )
            patterns = block_patterns(free, length, frag)
            found = free, count_patterns(patterns, frag, length // frag, geometry.cluster_summary)
            if key is not None:
                known[key] = found
        free, counts = found
        expected = _counters(survey, group, counts)
        for name in _COUNTERS:
            total[name] += getattr(expected, name)
        offset = geometry.summary_address * geometry.fragment_size + group * Csum.SIZE
        stored = Csum.unpack_from(summary, group * Csum.SIZE, survey.byteorder)
        _compare(survey, "summary", group, structure="Csum", offset=offset, expected=expected, stored=stored)
        if facts is not None:
            _check_group(survey, group, facts, expected=expected, counts=counts, free=free)
    _check_rest_of_total(survey)
    stored_total = survey.fs.fs_cstotal
    for name, kind in _COUNTERS.items():
        actual = getattr(stored_total, name)
        if actual != total[name] and not survey.at_backup:
            survey.findings.add(
                Finding(
                    f"superblock-{kind}", "not the sum of the groups", structure="Fs", field=f"fs_cstotal.{name}",
                    offset=survey.fs.fs_sblockloc + Fs.LAYOUT.offsets["fs_cstotal"],
                    expected=total[name], actual=actual,
                )
            )  # fmt: skip


def free_fragments(survey: Survey, group: int) -> int:
    """The fragments of a group that nothing claims, as a bitmap."""
    claimed = survey.claimed.group(group)
    return gather(claimed) ^ ((1 << len(claimed)) - 1)


def _check_rest_of_total(survey: Survey) -> None:
    """What fsck compares with zeros in the totals of UFS2."""
    total = survey.fs.fs_cstotal
    for name, expected, actual in (
        ("cs_numclusters", 0, total.cs_numclusters),
        ("cs_spare", (0,) * len(total.cs_spare), total.cs_spare),
    ):
        if survey.dialect is UFS2 and actual != expected:
            survey.findings.add(
                Finding(
                    f"superblock-{name.removeprefix('cs_')}", "a field that is not used", structure="Fs",
                    field=f"fs_cstotal.{name}", offset=survey.fs.fs_sblockloc + Fs.LAYOUT.offsets["fs_cstotal"],
                    expected=expected, actual=actual,
                )
            )  # fmt: skip


def _counters(survey: Survey, group: int, counts: SpaceCounts) -> Csum:
    inodes = survey.geometry.group_inodes
    kinds = survey.kinds.group(group, inodes).tobytes()
    used = inodes - kinds.count(0) + (UFS_ROOTINO if group == 0 else 0)
    return Csum(
        cs_ndir=kinds.count(DT_DIR),
        cs_nbfree=counts.free_blocks,
        cs_nifree=inodes - used,
        cs_nffree=counts.free_fragments,
    )


def _compare(
    survey: Survey, prefix: str, group: int, *, structure: str, offset: int, expected: Csum, stored: Csum
) -> None:
    for name, kind in _COUNTERS.items():
        wanted, actual = getattr(expected, name), getattr(stored, name)
        if wanted != actual:
            survey.findings.add(
                Finding(
                    f"{prefix}-{kind}", "a wrong count", structure=structure, field=name,
                    offset=offset + Csum.LAYOUT.offsets[name], expected=wanted, actual=actual, where={"group": group},
                )
            )  # fmt: skip


def _check_group(
    survey: Survey, group: int, facts: GroupFacts, *, expected: Csum, counts: SpaceCounts, free: int
) -> None:
    offset = facts.offset + Cg.LAYOUT.offsets["cg_cs"]
    block, _, marked = survey.maps(facts)
    _check_unused(survey, group, facts, block)
    _compare(survey, "group", group, structure="Cg", offset=offset, expected=expected, stored=facts.head.cg_cs)
    _check_fragment_map(survey, group, facts, free=free, marked=marked)
    if facts.head.cg_frsum != counts.frsum:
        actual = facts.head.cg_frsum
        _add(survey, group, facts, "group-frsum", field="cg_frsum", expected=counts.frsum, actual=actual)
    if survey.geometry.cluster_summary <= 0:
        return
    offsets = map_offsets(survey.geometry)
    form = f"{'<' if survey.byteorder == 'little' else '>'}{survey.geometry.cluster_summary}i"
    stored_sum = list(struct.unpack_from(form, block, offsets.clustersumoff + 4))
    if stored_sum != counts.cluster_sum:
        _add(
            survey, group, facts, "group-cluster-sum", field="cg_clustersumoff",
            expected=counts.cluster_sum, actual=stored_sum,
        )  # fmt: skip
    wrong = get_bits(block, offsets.clusteroff, counts.whole) ^ counts.clusters
    if wrong:
        index = lowest(wrong)
        _add(
            survey, group, facts, "group-cluster-map", field="cg_clusteroff",
            expected=f"block {index} {'free' if counts.clusters >> index & 1 else 'not free'}", actual="the opposite",
        )  # fmt: skip


def _check_unused(survey: Survey, group: int, facts: GroupFacts, block: bytes) -> None:
    """The bits of the maps behind their last inode, fragment and block are 0: fsck compares whole bytes."""
    geometry, offsets = survey.geometry, map_offsets(survey.geometry)
    fragments = geometry.group_length(group)
    end = offsets.clustersumoff + 4 if geometry.cluster_summary > 0 else offsets.nextfreeoff
    maps = [("cg_iusedoff", offsets.iusedoff, geometry.group_inodes, offsets.freeoff)]
    maps.append(("cg_freeoff", offsets.freeoff, fragments, end))
    if geometry.cluster_summary > 0:
        blocks = fragments // geometry.fragments_per_block
        maps.append(("cg_clusteroff", offsets.clusteroff, blocks, offsets.nextfreeoff))
    for field, start, used, end in maps:
        beyond = get_bits(block, start, (end - start) * 8) >> used
        if beyond:
            actual = f"bit {used + lowest(beyond)} set"
            _add(survey, group, facts, "group-map-padding", field=field, expected=f"{used} bits", actual=actual)


def _check_fragment_map(survey: Survey, group: int, facts: GroupFacts, *, free: int, marked: int) -> None:
    start = survey.geometry.group_start(group)
    for kind, wrong, message in (
        ("block-marked-free", marked & ~free, "in use, but marked free"),
        ("block-marked-used", ~marked & free, "free, but marked in use"),
    ):
        if wrong:
            first = lowest(wrong)
            survey.findings.add(
                Finding(
                    kind,
                    f"{message} ({wrong.bit_count()} fragments of the group, this the first)",
                    structure="Cg",
                    field="cg_blksfree",
                    offset=facts.offset + map_offsets(survey.geometry).freeoff + first // 8,
                    actual=start + first,
                    where={"group": group},
                )
            )


def _add(
    survey: Survey, group: int, facts: GroupFacts, kind: str, *, field: str, expected: object, actual: object
) -> None:
    survey.findings.add(
        Finding(
            kind, "a wrong summary", structure="Cg", field=field,
            offset=facts.offset + Cg.LAYOUT.offsets[field], expected=expected, actual=actual, where={"group": group},
        )
    )  # fmt: skip
