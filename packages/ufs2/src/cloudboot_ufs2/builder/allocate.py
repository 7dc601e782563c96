"""Placing nodes: which group, which inode, which fragments.

FreeBSD's policy in short (ffs_alloc.c): directories of the root go to different groups, deeper ones stay near their
parent; inodes are in the group of their directory; metadata (directories, indirect blocks) fill the space kept for
it at the start of a group's data, files the rest, and what does not fit goes on in the next group. Everything is
placed into an empty file system, so each area fills from its start and files are contiguous.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_ufs2.errors import NoSpaceError
from cloudboot_ufs2.layout.constants import UFS_NDADDR, UFS_ROOTINO
from cloudboot_ufs2.layout.geometry import howmany
from cloudboot_ufs2.reader.extattr import area_size

from .node import Extent, Node

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_ufs2.layout.geometry import Geometry

META, DATA, _LOW = 0, 1, 2
_ORDER = ((META, DATA, _LOW), (DATA, META, _LOW))


class Totals:
    """What is free in all groups together."""

    __slots__ = ("blocks", "inodes")

    def __init__(self) -> None:
        self.blocks = self.inodes = 0


class GroupSpace:
    """The free space of one group: three runs of blocks that fill from their start, and blocks used in part."""

    __slots__ = (
        "_totals", "directories", "end", "free_blocks", "free_inodes", "next", "nodes", "open", "reserved_inodes",
    )  # fmt: skip

    def __init__(self, geometry: Geometry, index: int, totals: Totals) -> None:
        frag = geometry.fragments_per_block
        blocks = geometry.group_length(index) // frag
        first = min(geometry.dblkno // frag, blocks)
        self.open: list[list[int]] = [[] for _ in range(frag + 1)]  # by number of free fragments at the block's end
        if index == 0:
            # The summary area stands first; the rest of its last block is free for short tails.
            whole, rest = divmod(geometry.summary_fragments, frag)
            first += whole
            if rest:
                self.open[frag - rest].append(first)
                first += 1
        middle = min(first + geometry.metadata_space // frag, blocks)
        # Below the backup superblock there is free space in every group but the first, which boots from there.
        low = 0 if index == 0 else min(geometry.sblkno // frag, blocks)
        self.next = [first, middle, 0]
        self.end = [middle, max(middle, blocks), low]
        self.free_blocks = sum(self.end) - sum(self.next)
        self.reserved_inodes = UFS_ROOTINO if index == 0 else 0
        self.free_inodes = geometry.group_inodes - self.reserved_inodes
        self.directories = 0
        self.nodes: list[Node] = []
        self._totals = totals
        totals.blocks += self.free_blocks
        totals.inodes += self.free_inodes

    def take_blocks(self, kind: int, wanted: int) -> tuple[int, int]:
        """Up to ``wanted`` consecutive blocks, at least one; there must be one."""
        for area in _ORDER[kind]:
            first = self.next[area]
            count = min(wanted, self.end[area] - first)
            if count > 0:
                self.next[area] = first + count
                self.free_blocks -= count
                self._totals.blocks -= count
                return first, count
        raise AssertionError("the caller looks at free_blocks first")

    def take_inode(self, node: Node) -> int:
        """Give ``node`` the next inode; its index in the group."""
        self.nodes.append(node)
        self.free_inodes -= 1
        self._totals.inodes -= 1
        return self.reserved_inodes + len(self.nodes) - 1

    def take_fragments(self, kind: int, wanted: int, *, fresh: bool = False) -> int | None:
        """The first of ``wanted`` fragments of one block: the tightest that fits, or a ``fresh`` one nothing uses."""
        frag = len(self.open) - 1
        for free in range(frag if fresh else wanted, frag):
            if self.open[free]:
                block = self.open[free].pop()
                break
        else:
            if not self.free_blocks:
                return None
            block, free = self.take_blocks(kind, 1)[0], frag
        if free > wanted:
            self.open[free - wanted].append(block)
        return block * frag + frag - free


class Allocator:
    """Places the nodes of a tree into an empty file system.

    newfs itself makes but two directories, and puts them in the first group, each in a block of its own: ``as_newfs``.
    """

    def __init__(self, geometry: Geometry, *, as_newfs: bool = False) -> None:
        self.geometry = geometry
        self._as_newfs = as_newfs
        self._free = Totals()
        self.groups = [GroupSpace(geometry, index, self._free) for index in range(geometry.group_count)]
        self._frag = geometry.fragments_per_block
        self._cursor = 0
        count = geometry.group_count
        self._after_inodes = [(group + 1) % count for group in range(count)]
        self._after_blocks = list(self._after_inodes)

    @property
    def free_blocks(self) -> int:
        """Whole free blocks in all groups."""
        return self._free.blocks

    def place(self, root: Node) -> None:
        """Give every node below and with ``root`` an inode and fragments.

        Raises:
            NoSpaceError: the file system is too small.
        """
        pending = [(root, UFS_ROOTINO, 0)]
        while pending:
            directory, parent, depth = pending.pop()
            group = self._directory_group(parent, depth)
            directory.parent, directory.depth = parent, depth
            group = self._place_inode(directory, group)
            self.groups[group].directories += 1
            self._place_content(directory, group, META)
            children = directory.children or {}
            for child in children.values():
                if child.children is None and not child.inode:
                    where = self._place_inode(child, group)
                    if child.size and not child.inline:
                        self._place_content(child, where, DATA)
            below = [child for child in children.values() if child.children is not None]
            pending.extend((child, directory.inode, depth + 1) for child in reversed(below))

    def _directory_group(self, parent: int, depth: int) -> int:
        """The group a new directory belongs to."""
        if self._as_newfs:
            return 0
        start = parent // self.geometry.group_inodes
        if depth == 1:
            start = self._cursor
            self._cursor = (self._cursor + 1) % len(self.groups)
        return preferred_group(
            self.geometry,
            start,
            depth,
            free=(self._free.blocks, self._free.inodes),
            group_free=lambda group: (self.groups[group].free_blocks, self.groups[group].free_inodes),
        )

    def _place_inode(self, node: Node, group: int) -> int:
        """Give ``node`` the next inode of ``group``, or of the first group after it that has one."""
        space = self.groups[group]
        if not space.free_inodes:
            if not self._free.inodes:
                raise NoSpaceError("there are not enough inodes")
            group = _first(self._after_inodes, group, lambda found: self.groups[found].free_inodes > 0)
            space = self.groups[group]
        node.inode = group * self.geometry.group_inodes + space.take_inode(node)
        if node.attributes:
            self._place_attributes(node, group)
        return group

    def _place_content(self, node: Node, group: int, kind: int) -> None:
        """Give ``node`` fragments for every range of data and for the pointers to them."""
        bsize, fsize = self.geometry.block_size, self.geometry.fragment_size
        last = (node.size - 1) // bsize
        tail = self._frag
        if last < UFS_NDADDR:
            tail = -(-(node.size - last * bsize) // fsize)
            if last == 0 and tail < self._frag:
                node.extents = (Extent(0, self._take_fragments(group, kind, tail)[0], tail),)
                return
        runs = _block_runs(node, bsize, last) if node.sparse else [(0, last + 1)]
        extents: list[Extent] = []
        for first, end in runs:
            short = end == last + 1 and tail < self._frag
            block, whole = first, end - short
            while block < whole:
                address, count, group = self._take_blocks(group, kind, whole - block)
                extents.append(Extent(block, address, count * self._frag))
                block += count
            if short:
                address, group = self._take_fragments(group, kind, tail)
                extents.append(Extent(last, address, tail))
        node.extents = extents
        if last >= UFS_NDADDR:
            indirects = []
            for level, index in indirect_blocks(extents, self._frag, self.geometry.pointers_per_block):
                address, _, group = self._take_blocks(group, META, 1)
                indirects.append((level, index, address))
            node.indirects = indirects

    def _place_attributes(self, node: Node, group: int) -> None:
        """Give the extended attributes of ``node`` up to two blocks, the last of which may be short."""
        bsize, fsize = self.geometry.block_size, self.geometry.fragment_size
        size = area_size(node.attributes)
        extents: list[Extent] = []
        for block in range(howmany(size, bsize)):
            fragments = min(self._frag, howmany(size - block * bsize, fsize))
            if fragments == self._frag:
                address, _, group = self._take_blocks(group, DATA, 1)
            else:
                address, group = self._take_fragments(group, DATA, fragments)
            extents.append(Extent(block, address, fragments))
        node.attribute_extents = extents

    def _group_with_blocks(self, group: int) -> int:
        """``group``, or the first after it, that has a whole free block."""
        return _first(self._after_blocks, group, lambda found: self.groups[found].free_blocks > 0)

    def _take_blocks(self, group: int, kind: int, wanted: int) -> tuple[int, int, int]:
        """``(address, blocks, group)`` of up to ``wanted`` consecutive blocks, in ``group`` or after it."""
        if not self._free.blocks:
            raise NoSpaceError("there is not enough space")
        group = self._group_with_blocks(group)
        first, blocks = self.groups[group].take_blocks(kind, wanted)
        return self.geometry.group_start(group) + first * self._frag, blocks, group

    def _take_fragments(self, group: int, kind: int, wanted: int) -> tuple[int, int]:
        """``(address, group)`` of ``wanted`` fragments of one block."""
        fresh = self._as_newfs and kind == META
        place = self.groups[group].take_fragments(kind, wanted, fresh=fresh)
        if place is not None:
            return self.geometry.group_start(group) + place, group
        # With no whole block left anywhere, another group may have fragments.
        others = [self._group_with_blocks(group)] if self._free.blocks else range(len(self.groups))
        for found in others:
            place = self.groups[found].take_fragments(kind, wanted, fresh=fresh)
            if place is not None:
                return self.geometry.group_start(found) + place, found
        raise NoSpaceError("there is not enough space")


def preferred_group(
    geometry: Geometry,
    start: int,
    depth: int,
    *,
    free: tuple[int, int],
    group_free: Callable[[int], tuple[int, int]],
) -> int:
    """The group a new directory belongs to (ffs_dirpref, without its memory of earlier directories).

    It is ``start`` or the first after it with about as much free as the average. ``free`` are the free blocks and
    inodes of the file system, ``group_free`` gives those of a group; ``depth`` is the levels below the root.
    """
    if depth == 0:
        return 0
    count = geometry.group_count
    average_blocks, average_inodes = free[0] // count, free[1] // count
    inodes = max(1, average_inodes - average_inodes // 4)
    blocks = average_blocks
    if depth > 1:
        blocks -= geometry.group_fragments // geometry.fragments_per_block // 4
    for step in range(count):
        group = (start + step) % count
        free_blocks, free_inodes = group_free(group)
        if free_blocks >= blocks and free_inodes >= inodes:
            return group
    return start


def _first(after: list[int], group: int, suits: Callable[[int], bool]) -> int:
    """The first group from ``group`` on that suits; there must be one.

    Nothing is ever freed here, so a group that does not suit never will: ``after`` remembers how far to jump.
    """
    passed: list[int] = []
    while not suits(group):
        passed.append(group)
        group = after[group]
    for full in passed:
        after[full] = group
    return group


def _block_runs(node: Node, bsize: int, last: int) -> list[tuple[int, int]]:
    """The runs ``[first, end)`` of blocks that are stored: those with data, and the last one, which may be no hole."""
    if node.content is None:
        return [(0, last + 1)]
    runs: list[tuple[int, int]] = []
    for start, stop in [*node.content.ranges(node.size), (node.size - 1, node.size)]:
        first, end = start // bsize, -(-stop // bsize)
        if runs and first <= runs[-1][1]:
            runs[-1] = runs[-1][0], max(end, runs[-1][1])
        else:
            runs.append((first, end))
    return runs


def indirect_blocks(extents: list[Extent], frag: int, pointers: int) -> list[tuple[int, int]]:
    """The indirect blocks ``(level, index)`` that reach ``extents``, roots after what they point to.

    Level 1 blocks are numbered along the file: 0 is the single indirect block, 1 to N hang below the double one, the
    rest below the triple one. Level 2 block 0 is the double indirect block itself, the others are below the triple
    one, which is level 3.
    """
    leaves: set[int] = set()
    for extent in extents:
        end = extent.block + -(-extent.fragments // frag) - UFS_NDADDR
        if end > 0:
            start = max(0, extent.block - UFS_NDADDR)
            leaves.update(range(start // pointers, (end - 1) // pointers + 1))
    middles = {(leaf - 1) // pointers for leaf in leaves if leaf}
    roots = {0 for middle in middles if middle}
    return [(level, index) for level, found in ((1, leaves), (2, middles), (3, roots)) for index in sorted(found)]
