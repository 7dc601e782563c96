"""The descent through the indirect blocks of one file."""

from __future__ import annotations

from array import array
from itertools import pairwise
from typing import TYPE_CHECKING

from cloudboot_ufs2.layout.constants import UFS_NDADDR, UFS_NIADDR
from cloudboot_ufs2.reader.blocks import find_runs, unpack_pointers

from .block_owners import claim_block, take_blocks

if TYPE_CHECKING:
    from .survey import Survey


def reach_of(pointers: int) -> list[int]:
    """The first logical block below each of di_ib, and the one after the last."""
    reach = [UFS_NDADDR]
    for level in range(1, UFS_NIADDR + 1):
        reach.append(reach[-1] + pointers**level)
    return reach


class Descent:
    """Through the indirect blocks of one file. A block is read once at most, since it is claimed first.

    Pointers up to ``marks`` are no addresses.
    """

    def __init__(self, survey: Survey, inode: int, blocks: int, *, marks: int = 0) -> None:
        self.marks = marks
        self.survey, self.inode, self.blocks = survey, inode, blocks
        self.frag = survey.geometry.fragments_per_block
        self.held = 0
        self.last = -1  #: the last logical block that is allocated

    def follow(self, root: int, level: int, first: int) -> None:
        """Claim everything below ``root``, which is ``level`` levels above the leaves and begins at ``first``."""
        geometry, nindir = self.survey.geometry, self.survey.geometry.pointers_per_block
        pending = [(root, level, first)]
        while pending:
            address, level, first = pending.pop()
            if 0 <= address <= self.marks:
                continue
            self.held += self.frag
            if not claim_block(self.survey, address, self.inode):
                continue
            data = self.survey.storage.read_at(address * geometry.fragment_size, geometry.block_size)
            pointers = unpack_pointers(data, geometry.pointer_size, self.survey.byteorder)
            span = nindir**level
            # Whole subtrees beyond the end as well as single blocks.
            end = max(0, -(-(self.blocks - first) // span))
            if end < nindir:
                self._check_beyond(pointers[end:])
            if level:
                pending.extend(
                    (pointers[slot], level - 1, first + slot * span)
                    for slot in reversed(range(min(end, nindir)))
                    if pointers[slot]
                )
            else:
                self.claim_data(pointers[:end], first)

    def _check_beyond(self, pointers: array[int]) -> None:
        beyond = next((pointer for pointer in pointers if not 0 <= pointer <= self.marks), None)
        if beyond is not None:
            self.survey.add_inode(
                "inode-partial-truncation", self.inode, "indirect blocks reach beyond the end of the file", "di_ib",
                expected=0, actual=beyond,
            )  # fmt: skip

    def claim_data(self, pointers: array[int], first: int) -> None:
        """Claim the blocks that ``pointers`` lead to, from logical block ``first`` on."""
        if self.marks:
            pointers = array(pointers.typecode, [0 if 0 <= pointer <= self.marks else pointer for pointer in pointers])
        runs = [
            (pointers[at], end - at, first + at)
            for at, end in pairwise([*find_runs(pointers, self.frag), len(pointers)])
            if pointers[at]
        ]
        if runs:
            self.held += self.frag * sum(blocks for _, blocks, _ in runs)
            self.last = max(self.last, runs[-1][2] + runs[-1][1] - 1)
            take_blocks(self.survey, runs, self.inode)
