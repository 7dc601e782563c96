"""Who holds which fragments: every pointer is a claim, and no fragment may be claimed twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudboot_ufs2.layout.group import Bools

    from .fragmentmap import Ints
    from .survey import Survey


class Claims(NamedTuple):
    """Pointers side by side: address and length in fragments, the inode, its logical block (below 0: none)."""

    address: Ints
    fragments: Ints
    inode: Ints
    block: Ints

    @classmethod
    def join(cls, parts: Sequence[Claims]) -> Claims:
        """All the claims of ``parts``."""
        if not parts:
            empty = np.zeros(0, dtype=np.int64)
            return cls(empty, empty, empty, empty)
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def select(self, chosen: Ints | Bools) -> Claims:
        """The claims at these indices, or where a mask is true."""
        return Claims(*(column[chosen] for column in self))


def take(survey: Survey, claims: Claims) -> Claims:
    """Mark what is claimed, report what may not be, and give the claims that are inside the volume."""
    geometry = survey.geometry
    size, frag = geometry.size, geometry.fragments_per_block
    # size - count cannot overflow, address + count of a hostile pointer could.
    inside = (claims.address > 0) & (claims.address <= size - claims.fragments)
    for index in np.flatnonzero(~inside).tolist():
        _report(
            survey, claims, index, "block-out-of-range", "a pointer leaves the file system", expected=f"1 to {size - 1}"
        )
    claims = claims.select(inside)
    crossing = claims.address % frag + claims.fragments > frag
    for index in np.flatnonzero(crossing).tolist():
        _report(survey, claims, index, "block-misaligned", "the fragments are not of one block")
    _report_shared(survey, claims)
    for step in range(frag):
        survey.claimed.mark(claims.address[claims.fragments > step] + step)
    return claims


def _report_shared(survey: Survey, claims: Claims) -> None:
    """Claims on fragments that are claimed already, before this call or within it."""
    shared = np.zeros(len(claims.address), dtype=np.bool_)
    for step in range(survey.geometry.fragments_per_block):
        longer = np.flatnonzero(claims.fragments > step)
        shared[longer] |= survey.claimed.test(claims.address[longer] + step)
    order = np.argsort(claims.address, kind="stable")
    address, count = claims.address[order], claims.fragments[order]
    if len(order) > 1:
        # The furthest end so far, so that a long claim also meets those after the next.
        ends = np.maximum.accumulate(address + count)
        shared[order[1:][address[1:] < ends[:-1]]] = True
    for index in np.flatnonzero(shared).tolist():
        if in_metadata(survey, int(claims.address[index]), int(claims.fragments[index])):
            _report(survey, claims, index, "block-in-metadata", "a pointer leads into metadata")
        else:
            _report(survey, claims, index, "block-claimed-twice", "the block belongs to something else too")


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
    one = Claims(*(np.array([value], dtype=np.int64) for value in (
        address, survey.geometry.fragments_per_block, inode, -1,
    )))  # fmt: skip
    before = len(survey.findings)
    return len(take(survey, one).address) == 1 and len(survey.findings) == before


def _report(survey: Survey, claims: Claims, index: int, kind: str, message: str, *, expected: object = None) -> None:
    block = int(claims.block[index])
    field = "di_ib" if block < 0 else f"block {block}"
    survey.add_inode(
        kind, int(claims.inode[index]), message, field, expected=expected, actual=int(claims.address[index])
    )
