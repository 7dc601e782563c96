"""Who holds which fragments: every pointer is a claim, and no fragment may be claimed twice."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .survey import Survey

    #: address and length in fragments, the inode, its logical block (below 0: none)
    Claim = tuple[int, int, int, int]


def take(survey: Survey, claims: Sequence[Claim]) -> bool:
    """Mark what is claimed and report what may not be; whether all of it may."""
    size, frag = survey.geometry.size, survey.geometry.fragments_per_block
    outside: set[int] = set()
    crossing: set[int] = set()
    shared: set[int] = set()
    run: list[int] = []  # the claims on fragments without a gap between them
    end = 0
    for index in sorted(range(len(claims)), key=[claim[0] for claim in claims].__getitem__):
        address, count, _, _ = claims[index]
        if not 0 < address <= size - count:
            outside.add(index)
            continue
        if address % frag + count > frag:
            crossing.add(index)
        if address > end:
            shared |= _take_run(survey, claims, run, end)
            run, end = [], address
        elif address < end:
            shared.add(index)
        run.append(index)
        end = max(end, address + count)
    shared |= _take_run(survey, claims, run, end)
    if not outside and not crossing and not shared:
        return True
    for index in sorted(outside):
        message = "a pointer leaves the file system"
        _report(survey, claims[index], "block-out-of-range", message, expected=f"1 to {size - 1}")
    for index in sorted(crossing):
        _report(survey, claims[index], "block-misaligned", "the fragments are not of one block")
    for index in sorted(shared):
        if in_metadata(survey, *claims[index][:2]):
            _report(survey, claims[index], "block-in-metadata", "a pointer leads into metadata")
        else:
            _report(survey, claims[index], "block-claimed-twice", "the block belongs to something else too")
    return False


def _take_run(survey: Survey, claims: Sequence[Claim], run: list[int], end: int) -> set[int]:
    """Mark the claims ``run``, which leave no gap up to ``end``, and give those on what is claimed already."""
    if not run:
        return set()
    start, shared = claims[run[0]][0], set()
    if survey.claimed.test(start, end):
        shared = {index for index in run if survey.claimed.test(claims[index][0], sum(claims[index][:2]))}
    survey.claimed.mark(start, end)
    return shared


def take_blocks(survey: Survey, runs: Sequence[tuple[int, int, int]], inode: int) -> None:
    """:func:`take` whole blocks: for each run its address, its number of blocks, and the first's logical block."""
    size, frag = survey.geometry.size, survey.geometry.fragments_per_block
    spans = sorted((address, address + blocks * frag) for address, blocks, _ in runs)
    if (
        spans[0][0] > 0
        and all(address % frag == 0 and end <= size for address, end in spans)
        and all(before[1] <= after[0] for before, after in pairwise(spans))
        and not any(survey.claimed.test(address, end) for address, end in spans)
    ):
        for address, end in spans:
            survey.claimed.mark(address, end)
        return
    take(
        survey,
        [
            (address + step * frag, frag, inode, block + step)
            for address, blocks, block in runs
            for step in range(blocks)
        ],
    )


def in_metadata(survey: Survey, address: int, count: int) -> bool:
    """Whether fragments of a group's superblock, head or inodes, or of the summary area, are among these."""
    geometry = survey.geometry
    group = address // geometry.group_fragments
    first = address - geometry.group_metadata(group)
    low = 0 if group == 0 else geometry.sblkno
    summary = geometry.summary_address
    return (first < geometry.dblkno and first + count > low) or (
        address < summary + geometry.summary_fragments and address + count > summary
    )


def claim_block(survey: Survey, address: int, inode: int) -> bool:
    """Claim one indirect block; whether it may be read."""
    return take(survey, [(address, survey.geometry.fragments_per_block, inode, -1)])


def _report(survey: Survey, claim: Claim, kind: str, message: str, *, expected: object = None) -> None:
    address, _, inode, block = claim
    field = "di_ib" if block < 0 else f"block {block}"
    survey.add_inode(kind, inode, message, field, expected=expected, actual=address)
