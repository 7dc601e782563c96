"""From a logical block of a file to fragments of the volume: direct pointers and three levels of indirection."""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections import OrderedDict
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from cloudboot_base.lightdata import NamedTuple
from cloudboot_ufs2.errors import BlockError, ImageTruncatedError
from cloudboot_ufs2.layout.constants import UFS_NDADDR, UFS_NIADDR
from cloudboot_ufs2.layout.geometry import howmany

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_base import Storage
    from cloudboot_records import ByteOrder
    from cloudboot_ufs2.layout.geometry import Geometry
    from cloudboot_ufs2.layout.records import Ufs2Dinode

_CACHED_BLOCKS = 128


class Run(NamedTuple):
    """Consecutive blocks of a file that are consecutive in the volume; ``address`` 0 is a hole."""

    block: int
    address: int
    blocks: int


class Leaf(NamedTuple):
    """An indirect block: its pointers, and the indices at which a run of consecutive blocks begins, and the end."""

    pointers: array[int]
    breaks: list[int]


class BlockMap:
    """Finds the blocks of files. One for a whole file system, so that indirect blocks are read once."""

    def __init__(self, storage: Storage, geometry: Geometry, byteorder: ByteOrder) -> None:
        self._storage, self._geometry, self._byteorder = storage, geometry, byteorder
        self._cache: OrderedDict[int, Leaf] = OrderedDict()
        self._frag = geometry.fragments_per_block
        self._nindir = geometry.pointers_per_block

    def run(self, inode: Ufs2Dinode, block: int, number: int) -> Run:
        """The run that holds logical ``block`` of a file; it starts there. ``number`` is the inode's, for errors.

        Raises:
            BlockError: a pointer leaves the volume.
            ImageTruncatedError: an indirect block is not there.
        """
        found = self.span(inode, block, number)
        before = block - found.block
        return found if not before else Run(block, found.address + before * self._frag, found.blocks - before)

    def span(self, inode: Ufs2Dinode, block: int, number: int) -> Run:
        """:meth:`run`, but with what precedes ``block`` in the same run, as far as one indirect block knows."""
        if block < UFS_NDADDR:
            return self._direct(inode, block, number)
        index, span = block - UFS_NDADDR, 1
        for level in range(UFS_NIADDR):
            span *= self._nindir
            if index < span:
                return self._indirect(inode.di_ib[level], index, level, Run(block, 0, 0), number)
            index -= span
        raise BlockError(f"inode {number} has no block that far", field="lbn", actual=block)

    def _direct(self, inode: Ufs2Dinode, block: int, number: int) -> Run:
        first = address = inode.di_db[block]
        last = (max(1, inode.di_size) - 1) // self._geometry.block_size
        short = last < UFS_NDADDR
        count = 1
        step = self._frag if address else 0
        while block + count < min(UFS_NDADDR, last + 1) and inode.di_db[block + count] == address + step:
            address += step
            count += 1
        fragments = count * self._frag
        if short and block + count == last + 1:
            # Only the last block of a small file may be fewer than a block's fragments.
            fragments -= self._frag - howmany(
                inode.di_size - last * self._geometry.block_size, self._geometry.fragment_size
            )
        self._check(first, fragments, number, block)
        return Run(block, first, count)

    def _indirect(self, address: int, index: int, level: int, run: Run, number: int) -> Run:
        while True:
            below = self._nindir**level
            if address == 0:
                # A hole as wide as everything this pointer would reach.
                return run._replace(blocks=below * self._nindir - index)
            self._check(address, self._frag, number, run.block)
            leaf = self.leaf(address)
            slot, index = divmod(index, below)
            address = leaf.pointers[slot]
            if level == 0:
                after = bisect_right(leaf.breaks, slot)
                first, count = leaf.breaks[after - 1], leaf.breaks[after] - slot
                self._check(address, count * self._frag, number, run.block)
                before = slot - first
                if address <= before * self._frag:  # a hole, or a run that begins where no pointer may
                    return Run(run.block, address, count)
                return Run(run.block - before, address - before * self._frag, before + count)
            level -= 1

    def leaf(self, address: int) -> Leaf:
        """The indirect block at ``address``, which must be in range."""
        found = self._cache.pop(address, None)
        if found is not None:
            self._cache[address] = found  # now the last to go; another thread that misses it meanwhile reads it again
            return found
        data = read(self._storage, address * self._geometry.fragment_size, self._geometry.block_size)
        pointers = unpack_pointers(data, self._geometry.pointer_size, self._byteorder)
        found = self._cache[address] = Leaf(pointers, [*find_runs(pointers, self._frag), len(pointers)])
        if len(self._cache) > _CACHED_BLOCKS:
            self._cache.popitem(last=False)
        return found

    def forget(self, address: int) -> None:
        """The indirect block at ``address`` has changed."""
        self._cache.pop(address, None)

    def _check(self, address: int, fragments: int, number: int, block: int) -> None:
        if address and not 0 < address <= self._geometry.size - fragments:
            raise BlockError(
                f"inode {number}: a pointer of block {block} leaves the file system",
                structure="Ufs2Dinode",
                expected=f"1 to {self._geometry.size - fragments}",
                actual=address,
            )

    def runs(self, inode: Ufs2Dinode, number: int) -> Iterator[Run]:
        """All runs of a file in order, holes included; the last one ends with the file's last block.

        Raises:
            BlockError: a pointer leaves the volume, or blocks are shared so that there are more than it has.
        """
        total = howmany(inode.di_size, self._geometry.block_size)
        block, budget = 0, howmany(self._geometry.size, self._frag)
        # A hole lies beside data, or it is all an indirect block says: there are no more of them than blocks.
        holes = budget + len(inode.di_ib) + 1
        while block < total:
            found = self.run(inode, block, number)
            if found.address:
                budget -= found.blocks
            else:
                holes -= 1
            if budget < 0 or holes < 0:
                raise BlockError(f"inode {number} has more blocks than the file system", structure="Ufs2Dinode")
            yield found._replace(blocks=min(found.blocks, total - block))
            block += found.blocks

    def indirect_addresses(self, inode: Ufs2Dinode, number: int) -> Iterator[int]:
        """The addresses of the indirect blocks of a file, roots first; a hostile file ends in an error, not a loop."""
        budget = self._geometry.size // self._frag
        pending = [(address, level) for level, address in enumerate(inode.di_ib)][::-1]
        while pending:
            address, level = pending.pop()
            if not address:
                continue
            budget -= 1
            if budget < 0:
                raise BlockError(
                    f"inode {number} has more indirect blocks than the file system", structure="Ufs2Dinode"
                )
            self._check(address, self._frag, number, 0)
            yield address
            if level:
                pending.extend((below, level - 1) for below in reversed(self.leaf(address).pointers))


def unpack_pointers(data: bytes, size: int, byteorder: ByteOrder) -> array[int]:
    """The pointers in an indirect block, of ``size`` bytes each."""
    pointers = array("q" if size == 8 else "i", data)
    if byteorder != sys.byteorder:
        pointers.byteswap()
    return pointers


def pack_pointers(pointers: array[int], byteorder: ByteOrder) -> bytes:
    """The bytes of an indirect block; undoes :func:`unpack_pointers`."""
    if byteorder != sys.byteorder:
        pointers = pointers[:]
        pointers.byteswap()
    return pointers.tobytes()


def find_runs(pointers: array[int], frag: int) -> list[int]:
    """The indices at which a run begins: of blocks one after another, ``frag`` fragments each, or of holes."""
    data, width = pointers.tobytes(), 8 * pointers.itemsize
    every = _every(len(pointers), width)
    packed = int.from_bytes(data, "little")
    if sys.byteorder == "big" or not pointers or packed & every << width - 1:
        return find_runs_one_by_one(pointers, frag)
    # As one long number, every pointer is compared with what would follow the one before it. Nothing is carried over
    # from one to the next, since none is below 0.
    differs = (packed + frag * every ^ packed >> width) & (1 << width * (len(pointers) - 1)) - 1
    breaks = [0]
    if differs:
        places = array(pointers.typecode, differs.to_bytes(len(data), "little"))
        breaks.extend(at for at, other in enumerate(places, 1) if other)
    found: list[int] = []
    for at, end in pairwise([*breaks, len(pointers)]):
        if not at or pointers[at] or pointers[at - 1]:
            found.append(at)
        if not pointers[at] and end - at > 1:
            found.append(at + 1)  # nothing follows a hole, not even what is at ``frag``
    return found


def find_runs_one_by_one(pointers: array[int], frag: int) -> list[int]:
    """:func:`find_runs`, which is faster, for any pointers."""
    pairs = enumerate(pairwise(pointers), 1)
    first = [0] if pointers else []
    return [*first, *(at for at, (before, here) in pairs if (here != before + frag or not here if before else here))]


@lru_cache(maxsize=4)
def _every(count: int, width: int) -> int:
    """``count`` ones, ``width`` bits apart."""
    return int.from_bytes((b"\1" + bytes(width // 8 - 1)) * count, "little")


def read(storage: Storage, offset: int, size: int) -> bytes:
    """Bytes of the volume.

    Raises:
        ImageTruncatedError: they are not all there.
    """
    if offset + size > storage.size:
        raise ImageTruncatedError(
            "the image ends early", offset=offset, expected=size, actual=max(0, storage.size - offset)
        )
    return storage.read_at(offset, size)
