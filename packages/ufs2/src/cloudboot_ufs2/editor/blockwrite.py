"""The space of one file while it changes: fragments, blocks and three tiers of indirect blocks, taken and given back.

The rules are ffs_balloc.c's: only the last direct block may be fewer than a block's fragments, and it grows where it
stands or moves; what was never written is a hole; the last block of a file is never one.
"""

from __future__ import annotations

import stat
from array import array
from itertools import pairwise
from typing import TYPE_CHECKING

from cloudboot_ufs2.builder.allocate import DATA, META
from cloudboot_ufs2.errors import BlockError, FileTooLargeError
from cloudboot_ufs2.layout.constants import UFS_NDADDR, UFS_NIADDR
from cloudboot_ufs2.layout.geometry import howmany
from cloudboot_ufs2.reader.blocks import Run, find_runs

from .transaction import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_ufs2.layout.records import Ufs2Dinode

    from .transaction import Transaction


class FileSpace:
    """The blocks of inode ``number``, in one operation; the inode must have blocks, or be empty."""

    def __init__(self, transaction: Transaction, number: int, inode: Ufs2Dinode | None = None) -> None:
        """Take what the operation knows of the inode, or ``inode``: what it was before its content was replaced."""
        self._transaction, self._number = transaction, number
        self._inode = transaction.inode(number) if inode is None else inode
        self._geometry = transaction.geometry
        self._bsize, self._fsize = self._geometry.block_size, self._geometry.fragment_size
        self._frag, self._nindir = self._geometry.fragments_per_block, self._geometry.pointers_per_block
        self._group = number // self._geometry.group_inodes
        self._kind = META if stat.S_ISDIR(self._inode.di_mode) else DATA

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self._inode.di_size

    # Where things are

    def pieces(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """``(offset in the volume, length)`` of the bytes ``[start, end)``, which must have been reserved.

        Raises:
            BlockError: a pointer leads to what is free, or to metadata.
        """
        for run in self._runs(start // self._bsize, howmany(end, self._bsize)):
            if not run.address:
                raise BlockError(f"inode {self._number} has a hole that it cannot have", actual=run.block)
            begin = max(start, run.block * self._bsize)
            length = min(end, (run.block + run.blocks) * self._bsize) - begin
            within = begin - run.block * self._bsize
            self._transaction.space.require_held(run.address, howmany(within + length, self._fsize))
            yield run.address * self._fsize + within, length

    def _runs(self, block: int, end: int) -> Iterator[Run]:
        """Consecutive blocks and holes that make up the blocks ``[block, end)``."""
        while block < end:
            pointers, slot = self._leaf(block)
            if pointers is None:
                count = min(end - block, self._nindir - slot)
                yield Run(block, 0, count)
            else:
                part = pointers[slot : slot + end - block]
                count = len(part)
                for first, after in pairwise([*find_runs(part, self._frag), count]):
                    yield Run(block + first, part[first], after - first)
            block += count

    def _address(self, block: int) -> int:
        """The address of a block; 0 in a hole."""
        pointers, slot = self._leaf(block)
        return 0 if pointers is None else pointers[slot]

    def _leaf(self, block: int) -> tuple[array[int] | None, int]:
        """The pointers that hold that of ``block``, and its index among them."""
        if block < UFS_NDADDR:
            return array("q", self._inode.di_db), block
        level, index = self._place(block)
        address = self._inode.di_ib[level]
        for below in range(level, 0, -1):
            slot, index = divmod(index, self._nindir**below)
            if address:
                address = self._indirect(address)[slot]
        return (self._indirect(address) if address else None), index

    def _place(self, block: int) -> tuple[int, int]:
        """Which of di_ib leads to a block, and its index below that."""
        index = block - UFS_NDADDR
        for level in range(UFS_NIADDR):
            span = self._nindir ** (level + 1)
            if index < span:
                return level, index
            index -= span
        raise FileTooLargeError("no file reaches that far", expected=f"at most {self._geometry.max_file_size} bytes")

    def _indirect(self, address: int) -> array[int]:
        if not 0 < address <= self._geometry.size - self._frag:
            raise BlockError(f"inode {self._number}: a pointer leaves the file system", actual=address)
        return self._transaction.pointers(address)

    def _fragments(self, block: int, size: int) -> int:
        """Fragments of ``block`` in a file of ``size`` bytes."""
        if block < UFS_NDADDR and block == (size - 1) // self._bsize:
            return howmany(size - block * self._bsize, self._fsize)
        return self._frag

    # Growing

    def reserve(self, start: int, end: int) -> None:
        """Make sure that the bytes ``[start, end)`` have space, and that the file is as large as ``end``.

        What is new reads as zeros, but for ``[start, end)`` itself, which the caller writes.

        Raises:
            FileTooLargeError: no file reaches that far.
            NoSpaceError: the file system is full.
        """
        if end > self._geometry.max_file_size:
            limit = self._geometry.max_file_size
            raise FileTooLargeError(
                "no file reaches that far", field="di_size", expected=f"at most {limit}", actual=end
            )
        old, new = self.size, max(self.size, end)
        if old and new > old:
            self._grow_tail(old, new, start)
        last = (new - 1) // self._bsize
        for run in list(self._runs(start // self._bsize, howmany(end, self._bsize))):
            if not run.address:
                self._fill(run, last, new, (start, end))
        self._inode.di_size = new

    def extend(self, size: int) -> None:
        """Let the file be larger: a hole, and a last block that is none (ffs_truncate)."""
        self.reserve(size - 1, size)
        ((offset, _),) = self.pieces(size - 1, size)
        self._transaction.write(offset, b"\0")

    def _grow_tail(self, old: int, new: int, start: int) -> None:
        """Give the block that was the last one the fragments it needs now, and zeros after the old end."""
        block = (old - 1) // self._bsize
        address, have, want = self._address(block), self._fragments(block, old), self._fragments(block, new)
        space = self._transaction.space
        space.require_held(address, have)
        if want > have and not space.extend(address, have, want):
            moved = self._take_one(block, want, growing=True)
            begin = block * self._bsize
            data = self._transaction.store.storage.read_at(address * self._fsize, old - begin)
            self._transaction.write(moved * self._fsize, data)
            space.give_fragments(address, have)
            self._assign(block, moved, 1)
        self._hold(want - have)
        # The caller writes [start, new); only new fragments have something to hide behind that.
        self._zero(block, old, min(max(start, old), new))
        if want > have:
            self._zero(block, new, block * self._bsize + want * self._fsize)

    def _zero(self, block: int, start: int, end: int) -> None:
        """Zeros in the bytes ``[start, end)`` of the file as far as they lie in ``block``."""
        begin = block * self._bsize
        length = min(end, begin + self._bsize) - start
        if length > 0:
            self._transaction.zero(self._address(block) * self._fsize + start - begin, length)

    def _fill(self, hole: Run, last: int, size: int, span: tuple[int, int]) -> None:
        """Take the blocks of a hole; ``last`` is the last block of the file, which will have ``size`` bytes."""
        block, end = hole.block, hole.block + hole.blocks
        while block < end:
            tail = self._fragments(block, size)
            if block == last and tail < self._frag:
                self._assign(block, self._take_one(block, tail), 1)
                self._hold(tail)
                self._zero_around(block, tail, span)
                return
            short = end - 1 == last and self._fragments(last, size) < self._frag
            group, near, most = self._preference(block)
            wanted = min(end - short - block, most)
            address, count = self._transaction.space.take_blocks(group, near, wanted, self._kind)
            self._assign(block, address, count)
            self._hold(count * self._frag)
            self._zero_around(block, count * self._frag, span)
            block += count

    def _zero_around(self, block: int, fragments: int, span: tuple[int, int]) -> None:
        """Zeros in the new fragments from ``block`` on, outside of ``span``."""
        begin, end = block * self._bsize, block * self._bsize + fragments * self._fsize
        for start, stop in ((begin, min(end, span[0])), (max(begin, span[1]), end)):
            if start < stop:
                offset = self._address(block) * self._fsize + start - begin
                self._transaction.zero(offset, stop - start)

    def _take_one(self, block: int, fragments: int, *, growing: bool = False) -> int:
        space, near = self._transaction.space, self._near(block)
        if fragments == self._frag:
            return space.take_blocks(self._group, near, 1, self._kind)[0]
        return space.take_fragments(self._group, near, fragments, self._kind, growing=growing)

    def _preference(self, block: int) -> tuple[int, int, int]:
        """Where ``block`` should stand, as a group and an address or 0, and how many blocks may follow it there.

        Behind the first indirect block a file goes on in another group after every fs_maxbpg blocks, so that one file
        does not fill a group (ffs_blkpref_ufs2).
        """
        near, first = self._near(block), UFS_NDADDR + self._nindir
        if block < first or self._kind == META:
            return self._group, near, max(1, first - block) if self._kind == DATA else self._nindir
        slot, most = (block - UFS_NDADDR) % self._nindir, max(1, self._transaction.store.fs.fs_maxbpg)
        rest = min(most - slot % most, self._nindir - slot)
        if near and slot % most:
            return self._group, near, rest
        if near and slot:
            start = (near - self._frag) // self._geometry.group_fragments + 1
        else:
            start = self._group + block // most
        return self._transaction.space.roomy_group(start), 0, rest

    def _near(self, block: int) -> int:
        """Where ``block`` would follow the one before it; 0 if there is none."""
        before = self._address(block - 1) if block else 0
        after = before + self._frag
        return after if before and after < self._geometry.size else 0

    def _hold(self, fragments: int) -> None:
        self._inode.di_blocks += fragments * (self._fsize // 512)

    def _assign(self, block: int, address: int, count: int) -> None:
        """Point at ``count`` blocks from ``block`` on; they are one after another from ``address`` on."""
        direct = list(self._inode.di_db)
        while count and block < UFS_NDADDR:
            direct[block] = address
            block, address, count = block + 1, address + self._frag, count - 1
        self._inode.di_db = tuple(direct)
        while count:
            leaf, slot = self._make_leaf(block)
            pointers = self._indirect(leaf)
            part = min(count, self._nindir - slot)
            pointers[slot : slot + part] = array("q", range(address, address + part * self._frag, self._frag))
            self._transaction.changed_pointers(leaf, Stage.EXTEND)
            block, address, count = block + part, address + part * self._frag, count - part

    def _make_leaf(self, block: int) -> tuple[int, int]:
        """The address of the indirect block with the pointer of ``block``, made if need be, and its index there."""
        level, index = self._place(block)
        roots = list(self._inode.di_ib)
        if not roots[level]:
            roots[level] = self._new_indirect()
            self._inode.di_ib = tuple(roots)
        address = roots[level]
        for below in range(level, 0, -1):
            slot, index = divmod(index, self._nindir**below)
            pointers = self._indirect(address)
            if not pointers[slot]:
                pointers[slot] = self._new_indirect()
                self._transaction.changed_pointers(address, Stage.EXTEND)
            address = pointers[slot]
        return address, index

    def _new_indirect(self) -> int:
        address, _ = self._transaction.space.take_blocks(self._group, 0, 1, META)
        self._transaction.new_pointers(address)
        self._hold(self._frag)
        return address

    # Shrinking

    def shrink(self, size: int) -> None:
        """Cut the file to ``size`` bytes, which it must have; everything beyond is given back.

        Raises:
            NoSpaceError: the new last block was a hole, and cannot be filled.
            BlockError: a block is marked free already.
        """
        old, keep = self.size, howmany(size, self._bsize)
        last = keep - 1
        filled = size > 0 and not self._address(last)
        if filled:
            # The pointer to it is to be on disk before the others go.
            self._fill(Run(last, 0, 1), last, size, (size, size))
            self._transaction.settle_pointers()
        self._cut_direct(keep, (old - 1) // self._bsize, old)
        self._cut_indirect(keep)
        self._inode.di_size = size
        if not size or filled:
            return
        address, want = self._address(last), self._fragments(last, size)
        have = self._fragments(last, old)
        if want < have:
            self._transaction.space.give_fragments(address + want, have - want)
            self._hold(want - have)
        end = last * self._bsize + want * self._fsize
        # What follows the end must read as zeros when the file grows again.
        if end > size:
            offset = address * self._fsize + size - last * self._bsize
            self._transaction.put(Stage.CUT, offset, bytes(end - size))

    def _cut_direct(self, keep: int, last: int, size: int) -> None:
        direct = list(self._inode.di_db)
        for block in range(keep, min(UFS_NDADDR, last + 1)):
            if direct[block]:
                count = self._fragments(block, size)
                self._transaction.space.give_fragments(direct[block], count)
                self._hold(-count)
                direct[block] = 0
        self._inode.di_db = tuple(direct)

    def _cut_indirect(self, keep: int) -> None:
        roots = list(self._inode.di_ib)
        first = UFS_NDADDR
        for level in range(UFS_NIADDR):
            span = self._nindir ** (level + 1)
            if roots[level] and keep < first + span:
                self._cut_below(roots[level], level, max(0, keep - first))
                if keep <= first:
                    roots[level] = 0
            first += span
        self._inode.di_ib = tuple(roots)

    def _cut_below(self, address: int, level: int, keep: int) -> None:
        """Give back what an indirect block reaches from its ``keep``-th data block on; if that is 0, the block too."""
        pointers = self._indirect(address)
        below = self._nindir**level
        if level:
            for slot in range(keep // below, len(pointers)):
                if pointers[slot]:
                    self._cut_below(pointers[slot], level - 1, max(0, keep - slot * below))
        else:
            self._give(pointers[keep:])
        first = howmany(keep, below)
        if not keep:
            self._transaction.dropped_pointers(address)
            self._give(array("q", [address]))
        elif any(pointers[first:]):
            pointers[first:] = array("q", bytes(8 * (len(pointers) - first)))
            self._transaction.changed_pointers(address, Stage.CUT)

    def _give(self, pointers: array[int]) -> None:
        """Give back the blocks that ``pointers`` lead to; a hole is 0."""
        runs = [
            (pointers[at], end - at)
            for at, end in pairwise([*find_runs(pointers, self._frag), len(pointers)])
            if pointers[at]
        ]
        last = self._geometry.size - self._frag
        for address, blocks in runs:
            if not (address > 0 and address + (blocks - 1) * self._frag <= last):
                wrong = address if address <= 0 else max(address, last + 1 + (address - last - 1) % self._frag)
                raise BlockError(f"inode {self._number}: a pointer leaves the file system", actual=wrong)
        for address, blocks in runs:
            self._transaction.space.give_blocks(address, blocks)
            self._hold(-blocks * self._frag)
