"""Writing a placed tree: contents, inode tables, groups, summaries, superblocks, each in one pass over the groups."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from cloudboot_base.lightdata import replace
from cloudboot_base.storage import descriptor_of
from cloudboot_ufs2.layout.constants import DT_DIR, FS_UFS1_MAGIC, SBLOCK_UFS1, SBLOCK_UFS2
from cloudboot_ufs2.layout.directory import pack_directory
from cloudboot_ufs2.layout.geometry import roundup
from cloudboot_ufs2.layout.inode import SIZE as INODE_SIZE
from cloudboot_ufs2.layout.records import CsumTotal, Fs
from cloudboot_ufs2.layout.superblock import FSRECOVERY_OFFSET, make_superblock, pack_recovery, pack_superblock
from cloudboot_ufs2.reader.extattr import pack_attributes

from .content import Target
from .newgroups import pack_new_group
from .newinodes import indirect_pointers, inode_table
from .workers import forked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from cloudboot_base import WritableStorage
    from cloudboot_ufs2.layout.geometry import Geometry
    from cloudboot_ufs2.layout.options import Options
    from cloudboot_ufs2.layout.records import Csum

    from .allocate import Allocator, GroupSpace
    from .node import Node

_INODE_BATCH = 4096
_MUCH = 40_000_000  #: bytes of contents, from which on starting a second process pays
_FILE_COST, _INODE_COST = 20_000, 8_000  #: what opening a file and packing an inode take, in bytes copied meanwhile
_FEW = 1 << 16  #: bytes up to which a file is read and written with its neighbours


class Writer:
    """Writes a file system whose nodes have been placed. The storage need not be zero."""

    def __init__(
        self,
        storage: WritableStorage,
        geometry: Geometry,
        options: Options,
        progress: Callable[[int], None] | None = None,
        *,
        processes: int = 1,
    ) -> None:
        """``processes`` above 1 lets a second one write contents, where that pays and can be done."""
        self._storage = storage
        self._processes = processes
        self._target = Target(storage)
        self._geometry = geometry
        self._options = options
        self._progress = progress
        self._written = 0
        self._superblock = make_superblock(geometry, options, storage.size)

    def write(self, groups: Sequence[GroupSpace]) -> Fs:
        """Write everything; until the last step, the superblock, nothing recognises the volume."""
        self._erase_superblocks()
        # In the order of the volume: tails are in blocks that files before them left half empty.
        nodes = sorted((node for space in groups for node in space.nodes if node.extents), key=_first_address)
        mine = self._share(nodes)
        if mine == len(nodes):
            self._write_contents(nodes, self._target)
            fs = self._write_metadata(groups)
        else:
            fs = self._write_with_another(groups, nodes[:mine], nodes[mine:])
        self._target.flush()
        self._write(SBLOCK_UFS2, pack_superblock(fs, self._options.byteorder))
        self._target.flush()
        return fs

    def _write_with_another(self, groups: Sequence[GroupSpace], mine: Sequence[Node], others: Sequence[Node]) -> Fs:
        """Write what is not in ``others`` here, and that in a second process, which shows the progress meanwhile."""
        progress, self._progress = self._progress, None
        here = sum(node.size for node in mine)

        def work() -> None:
            self._progress, self._written = progress, here
            self._write_contents(others, Target(self._storage))

        with forked(work):
            self._write_contents(mine, self._target)
            fs = self._write_metadata(groups)
        if progress is not None:
            progress(here + sum(node.size for node in others))
        return fs

    def _share(self, nodes: Sequence[Node]) -> int:
        """How many of ``nodes`` this process writes itself; all, where it is little or another cannot help."""
        total = sum(_FILE_COST + node.size for node in nodes)
        alone = self._processes < 2 or descriptor_of(self._storage) is None or total < _MUCH
        if alone or threading.active_count() > 1:  # a copy of one of several threads may find locks that stay locked
            return len(nodes)
        # Everything else is written here, and takes as long as some of the contents.
        rest = (total - _INODE_COST * len(nodes)) // 2
        for count, node in enumerate(nodes):
            rest -= _FILE_COST + node.size
            if rest < 0:
                return count
        return len(nodes)

    def _write_contents(self, nodes: Iterable[Node], target: Target) -> None:
        for node in nodes:
            self._write_content(node, target)
        target.flush()

    def _write_metadata(self, groups: Sequence[GroupSpace]) -> Fs:
        """Everything but contents and the superblock, which is returned."""
        for space in groups:
            self._write_indirect_blocks(space.nodes)
            self._write_attributes(space.nodes)
        counters = [self._write_group(index, space) for index, space in enumerate(groups)]
        geometry, byteorder = self._geometry, self._options.byteorder
        summary = b"".join(counter.pack(byteorder) for counter in counters).ljust(geometry.summary_size, b"\0")
        self._write(geometry.summary_address * geometry.fragment_size, summary)
        fs = replace(self._superblock, fs_cstotal=_total(counters))
        for index in range(geometry.group_count):
            at = (geometry.group_start(index) + geometry.sblkno) * geometry.fragment_size
            self._write(at, pack_superblock(fs, byteorder, at))
        self._write(FSRECOVERY_OFFSET, pack_recovery(fs, byteorder))
        return fs

    def _write(self, offset: int, data: bytes | bytearray) -> None:
        self._target.write(offset, data, len(data))

    def _erase_superblocks(self) -> None:
        """Old superblocks go first: that of UFS1, as newfs does, and our own, so that a cut leaves none."""
        magic = SBLOCK_UFS1 + Fs.LAYOUT.offsets["fs_magic"]
        old = self._storage.read_at(magic, 4)
        if FS_UFS1_MAGIC in (int.from_bytes(old, "little"), int.from_bytes(old, "big")):
            self._storage.write_at(magic, bytes(4))
        self._storage.write_at(SBLOCK_UFS2, bytes(Fs.SIZE))

    def _write_group(self, index: int, space: GroupSpace) -> Csum:
        geometry, options = self._geometry, self._options
        self._write_inodes(index, space, _initialised(space, geometry))
        block, counters = _pack_space(geometry, options, index, space)
        self._write((geometry.group_start(index) + geometry.cblkno) * geometry.fragment_size, block)
        return counters

    def _write_inodes(self, index: int, space: GroupSpace, count: int) -> None:
        geometry, options = self._geometry, self._options
        first = index * geometry.group_inodes
        address = (geometry.group_start(index) + geometry.iblkno) * geometry.fragment_size
        for start in range(0, count, _INODE_BATCH):
            stop = min(count, start + _INODE_BATCH)
            held = space.nodes[max(0, start - space.reserved_inodes) : max(0, stop - space.reserved_inodes)]
            table = inode_table(
                held,
                first + start,
                stop - start,
                geometry,
                seed=self._superblock.fs_id[1],
                hashed=options.check_hash,
                byteorder=options.byteorder,
            )
            self._write(address + start * INODE_SIZE, table)

    def _write_indirect_blocks(self, nodes: Iterable[Node]) -> None:
        geometry = self._geometry
        for node in nodes:
            if node.indirects:
                for address, pointers in indirect_pointers(node, geometry, self._options.byteorder):
                    self._write(address * geometry.fragment_size, pointers.tobytes())

    def _write_content(self, node: Node, target: Target) -> None:
        extents, content = node.extents, node.content
        fsize = self._geometry.fragment_size
        if len(extents) == 1 and content is not None and node.size <= _FEW:
            room = extents[0].fragments * fsize
            target.write(extents[0].address * fsize, content.read(node.size).ljust(room, b"\0"), room)
        else:
            self._write_extents(node, target)
        self._written += node.size
        if self._progress is not None:
            self._progress(self._written)

    def _write_extents(self, node: Node, target: Target) -> None:
        bsize, fsize = self._geometry.block_size, self._geometry.fragment_size
        pieces = [
            (block * bsize, min(fragments * fsize, node.size - block * bsize), address * fsize)
            for block, address, fragments in node.extents
        ]
        if node.children is not None:
            data = self._directory(node)
            for start, length, offset in pieces:
                target.write(offset, data[start : start + length], length)
        elif node.content is not None:
            node.content.copy(pieces, node.size, target)
        _, length, offset = pieces[-1]
        # FreeBSD takes it that nothing follows the end of a file in its last block: a file that grows shows what does.
        target.zero(offset + length, node.extents[-1].fragments * fsize - length)

    def _write_attributes(self, nodes: Iterable[Node]) -> None:
        fsize, bsize = self._geometry.fragment_size, self._geometry.block_size
        for node in nodes:
            if node.attributes:
                area = pack_attributes(node.attributes, self._options.byteorder)
                for block, address, fragments in node.attribute_extents:
                    piece = area[block * bsize : (block + 1) * bsize].ljust(fragments * fsize, b"\0")
                    self._write(address * fsize, piece)

    def _directory(self, node: Node) -> bytes:
        entries = [(b".", node.inode, DT_DIR), (b"..", node.parent, DT_DIR)]
        # The type in a directory is that of the mode (dirent.h, IFTODT).
        entries += [(name, child.inode, child.mode >> 12) for name, child in (node.children or {}).items()]
        return pack_directory(entries, self._options.byteorder)


def superblock_of(allocator: Allocator, options: Options, provider_size: int) -> Fs:
    """The superblock a :class:`Writer` would write for what has been placed."""
    geometry = allocator.geometry
    counters = [_pack_space(geometry, options, index, space)[1] for index, space in enumerate(allocator.groups)]
    return replace(make_superblock(geometry, options, provider_size), fs_cstotal=_total(counters))


def _initialised(space: GroupSpace, geometry: Geometry) -> int:
    """cg_initediblk: newfs initialises two blocks of inodes; the kernel adds whole blocks as they are needed."""
    used = space.reserved_inodes + len(space.nodes)
    return max(min(geometry.group_inodes, 2 * geometry.inodes_per_block), roundup(used, geometry.inodes_per_block))


def _pack_space(geometry: Geometry, options: Options, index: int, space: GroupSpace) -> tuple[bytes, Csum]:
    """The block of a group and its counters."""
    return pack_new_group(
        geometry,
        index,
        space,
        initialised_inodes=_initialised(space, geometry),
        timestamp=options.time,
        hashed=options.check_hash,
        byteorder=options.byteorder,
    )


def _first_address(node: Node) -> int:
    return node.extents[0].address


def _total(counters: Sequence[Csum]) -> CsumTotal:
    """fs_cstotal. cs_numclusters stays 0: newfs leaves it so, and fsck compares."""
    return CsumTotal(
        cs_ndir=sum(counter.cs_ndir for counter in counters),
        cs_nbfree=sum(counter.cs_nbfree for counter in counters),
        cs_nifree=sum(counter.cs_nifree for counter in counters),
        cs_nffree=sum(counter.cs_nffree for counter in counters),
    )
