"""How large a file system must be for a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base.lightdata import dataclass, replace
from cloudboot_ufs2.errors import NoSpaceError
from cloudboot_ufs2.layout.constants import UFS_NDADDR, UFS_ROOTINO
from cloudboot_ufs2.layout.geometry import Geometry, howmany, plan, roundup
from cloudboot_ufs2.reader.extattr import area_size

from .allocate import Allocator
from .node import Node, nodes

if TYPE_CHECKING:
    from cloudboot_ufs2.layout.options import Options

_ATTEMPTS = 64


@dataclass(frozen=True, slots=True)
class Demand:
    """What a tree takes: inodes, whole blocks (indirect ones included), and tails by number of fragments."""

    inodes: int
    blocks: int
    tails: tuple[int, ...]

    def blocks_with_tails(self, frag: int) -> int:
        """Whole blocks that hold everything, tails packed as the allocator packs them: the tightest fit first."""
        free = [0] * (frag + 1)
        blocks = self.blocks
        for size in range(frag - 1, 0, -1):
            wanted = self.tails[size] if size < len(self.tails) else 0
            for room in range(size, frag):
                if wanted <= 0:
                    break
                taken = min(free[room], wanted)
                free[room] -= taken
                free[room - size] += taken
                wanted -= taken
            each = frag // size
            new, rest = divmod(wanted, each)
            blocks += new + (rest > 0)
            free[frag - each * size] += new
            if rest:
                free[frag - rest * size] += 1
        return blocks


def demand(root: Node, options: Options) -> Demand:
    """What the tree below ``root`` takes; holes are counted as if they were data."""
    bsize, fsize = options.block_size, options.fragment
    frag, pointers = bsize // fsize, bsize // 8
    inodes = blocks = 0
    tails = [0] * frag
    for node in nodes(root):
        inodes += 1
        if node.attributes:
            whole, rest = divmod(howmany(area_size(node.attributes), fsize), frag)
            blocks += whole
            tails[rest] += rest > 0
        size = node.size
        if 0 < size < bsize and not node.inline:
            tails[-(-size // fsize) % frag] += 1  # at 0 the whole blocks, which are counted below
            continue
        if not size or node.inline:
            continue
        stored = _stored_blocks(node, bsize)
        last = (size - 1) // bsize
        if last >= UFS_NDADDR:
            blocks += stored + _indirect_bound(stored, last, pointers)
            continue
        tail = howmany(size - last * bsize, fsize)
        blocks += stored if tail == frag else stored - 1
        if tail < frag:
            tails[tail] += 1
    whole, tails[0] = tails[0], 0
    return Demand(inodes, blocks + whole, tuple(tails))


def _stored_blocks(node: Node, bsize: int) -> int:
    if node.content is None or not node.sparse:
        return howmany(node.size, bsize)
    ranges = node.content.ranges(node.size)
    return sum(howmany(end, bsize) - start // bsize for start, end in ranges) + 1


def _indirect_bound(stored: int, last: int, pointers: int) -> int:
    """At most this many indirect blocks reach ``stored`` blocks of a file whose last block is ``last``."""
    leaves = min(howmany(last + 1 - UFS_NDADDR, pointers), stored)
    return leaves + min(howmany(leaves, pointers) + 1, leaves) + 1


def inode_density(options: Options, size: int, inodes: int) -> Options:
    """``options`` with a density that gives ``inodes`` inodes in ``size`` bytes, where none was asked for."""
    if options.density is not None or plan(size, options).inode_count - UFS_ROOTINO >= inodes:
        return options
    fsize = options.fragment
    # Inodes come in whole blocks per group, so the count overshoots; the search only ever makes them denser.
    density = max(fsize, size // (inodes + UFS_ROOTINO) // fsize * fsize)
    while density > fsize and plan(size, _with(options, density)).inode_count - UFS_ROOTINO < inodes:
        density -= fsize
    return _with(options, density)


def _with(options: Options, density: int) -> Options:
    return replace(options, density=density)


@dataclass(frozen=True, slots=True)
class Fit:
    """A size in bytes, and the tree placed in a file system of that size."""

    size: int
    allocator: Allocator


def fit(root: Node, options: Options, *, keep_free: int = 0, least_groups: int = 1) -> Fit:
    """Place the tree below ``root`` in a file system close to the smallest that takes it.

    ``keep_free`` per cent of the data space stay free, and there are ``least_groups`` groups or more.

    Raises:
        NoSpaceError: no size is sufficient: the block size is too small for the tree.
    """
    wanted = demand(root, options)
    blocks = wanted.blocks_with_tails(options.block_size // options.fragment)
    size = options.block_size * (blocks + 1)
    for _ in range(_ATTEMPTS):
        size = _grow(size, blocks, wanted.inodes, options, keep_free=keep_free, least_groups=least_groups)
        allocator = Allocator(plan(size, inode_density(options, size, wanted.inodes)))
        try:
            allocator.place(root)
        except NoSpaceError:
            forget(root)
            size += max(options.block_size * 8, size // 100)
        else:
            return Fit(size, allocator)
    raise NoSpaceError("no file system with this block size takes the tree")


def _grow(size: int, blocks: int, inodes: int, options: Options, *, keep_free: int, least_groups: int) -> int:
    """The size from ``size`` on whose geometry offers the blocks and inodes."""
    bsize = options.block_size
    for _ in range(_ATTEMPTS):
        try:
            geometry = plan(size, inode_density(options, size, inodes))
        except NoSpaceError as error:
            size = max(error.needed or 0, size + size // 8)
            continue
        if geometry.group_count < least_groups:
            size = roundup(size + size // 4, bsize)
            continue
        short = blocks - data_blocks(geometry, keep_free)
        if short <= 0 and geometry.inode_count - UFS_ROOTINO >= inodes:
            return size
        if short <= 0:
            # Only inodes are missing, and they are as dense as they may be.
            missing = inodes - (geometry.inode_count - UFS_ROOTINO)
            short = howmany(missing * (options.density or options.fragment), bsize)
        size = roundup(size + max(short, 1) * bsize, bsize)
    raise NoSpaceError("no file system with this block size takes the tree")


def data_blocks(geometry: Geometry, keep_free: int) -> int:
    """Whole blocks for data, without those that ``keep_free`` per cent of the data space make."""
    blocks = Allocator(geometry).free_blocks
    return blocks - howmany(blocks * keep_free, 100)


def forget(root: Node) -> None:
    """Undo a placement."""
    for node in nodes(root):
        node.inode = 0
        node.extents = node.indirects = ()
