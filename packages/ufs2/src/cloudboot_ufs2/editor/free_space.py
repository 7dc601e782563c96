"""The free space and free inodes of a file system that is being changed.

A group's maps are kept in memory as one octet per block (its free fragments) and one per inode, so that C searches
them; its counters, summaries and clusters are computed when it is packed, by the code that builds file systems.

What is taken is gone at once; what is given back is only noted, and free when the caller says so, after everything
that pointed to it has been written. So nothing is ever used twice, not even within one operation.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from cloudboot_base.lightdata import astuple, replace
from cloudboot_ufs2.builder.allocate import DATA
from cloudboot_ufs2.errors import BlockError, GroupError, InodeError, NoSpaceError
from cloudboot_ufs2.layout.bits import gather, get_bits, group_hash, spread
from cloudboot_ufs2.layout.constants import CG_MAGIC, CK_CYLGRP, FS_OPTTIME, UFS_ROOTINO
from cloudboot_ufs2.layout.geometry import howmany, roundup
from cloudboot_ufs2.layout.group import block_patterns, count_patterns, pack_maps
from cloudboot_ufs2.layout.mapoffsets import map_offsets
from cloudboot_ufs2.layout.records import Cg, Csum, Fs
from cloudboot_ufs2.layout.superblock import has_hash
from cloudboot_ufs2.reader.blocks import read

from . import policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_base import Storage
    from cloudboot_records import ByteOrder
    from cloudboot_ufs2.layout.geometry import Geometry

_COUNTERS = ("cs_ndir", "cs_nbfree", "cs_nifree", "cs_nffree")
_LONGEST_SEARCH = 2048  # blocks; a run that is longer is found by growing one of these


class LiveGroup:
    """One group: its head, and its maps as bytes that can be searched."""

    __slots__ = ("head", "index", "inodes", "offset", "patterns")

    def __init__(self, geometry: Geometry, index: int, block: bytes, *, hashed: bool, byteorder: ByteOrder) -> None:
        """Read a group.

        Raises:
            GroupError: it contradicts the superblock, its own maps or its check-hash; then nothing may be written.
        """
        self.index = index
        self.offset = (geometry.group_start(index) + geometry.cblkno) * geometry.fragment_size
        self.head = Cg.unpack_from(block, 0, byteorder, base=self.offset)
        offsets = map_offsets(geometry)
        frag, length = geometry.fragments_per_block, geometry.group_length(index)
        patterns = block_patterns(get_bits(block, offsets.freeoff, length), length, frag)
        count = geometry.group_inodes
        inodes = spread(block[offsets.iusedoff : offsets.iusedoff + howmany(count, 8)])[:count]
        counts = count_patterns(patterns, frag, length // frag, geometry.cluster_summary)
        self._expect(
            cg_magic=CG_MAGIC,
            cg_cgx=index,
            cg_ndblk=length,
            cg_niblk=geometry.group_inodes,
            cg_iusedoff=offsets.iusedoff,
            cg_freeoff=offsets.freeoff,
            cg_clustersumoff=offsets.clustersumoff,
            cg_clusteroff=offsets.clusteroff,
            cg_frsum=counts.frsum,
        )
        if hashed:
            self._expect(cg_ckhash=group_hash(block))
        counters = Csum(
            cs_ndir=self.head.cg_cs.cs_ndir,
            cs_nbfree=counts.free_blocks,
            cs_nifree=inodes.count(0),
            cs_nffree=counts.free_fragments,
        )
        self._expect(cg_cs=counters)
        #: per block, which of its fragments are free
        self.patterns = bytearray(patterns)
        #: per inode, 1 if it is in use
        self.inodes = bytearray(inodes)

    def _expect(self, **fields: object) -> None:
        for field, expected in fields.items():
            actual = getattr(self.head, field)
            if actual != expected:
                raise GroupError(
                    f"group {self.index} contradicts itself or the superblock; check lists what is wrong",
                    structure="Cg",
                    field=field,
                    offset=self.offset + Cg.LAYOUT.offsets[field],
                    expected=expected,
                    actual=actual,
                )

    def copy(self) -> LiveGroup:
        """A copy that later changes leave alone."""
        twin = object.__new__(LiveGroup)
        twin.index, twin.offset = self.index, self.offset
        twin.head = replace(self.head, cg_cs=replace(self.head.cg_cs))
        twin.patterns, twin.inodes = bytearray(self.patterns), bytearray(self.inodes)
        return twin

    def find_blocks(self, full: int, start: int, wanted: int) -> tuple[int, int]:
        """``(first, count)`` of a run of up to ``wanted`` free blocks, from ``start`` on and then before it.

        The group must have a free block. A run of the whole length is looked for first, then half of it and so on.
        """
        count = min(wanted, _LONGEST_SEARCH)
        while True:
            needle = bytes([full]) * count
            first = self.patterns.find(needle, start)
            if first < 0:
                first = self.patterns.find(needle, 0, start + count - 1)
            if first >= 0:
                break
            count //= 2
        while count < wanted and first + count < len(self.patterns) and self.patterns[first + count] == full:
            count += 1
        return first, count

    def find_fragments(self, frag: int, start: int, count: int) -> tuple[int, int] | None:
        """``(block, first fragment in it)`` of ``count`` free fragments in a partly used block, the tightest fit."""
        for run in range(count, frag):
            expression = _runs_of(frag, run)
            found = expression.search(self.patterns, start) or expression.search(self.patterns)
            if found is not None:
                return found.start(), _run_start(self.patterns[found.start()], run)
        return None


class Space:
    """All groups, read when they are first needed, with the summary area and the totals of the superblock.

    ``reserve`` is the number of fragments only the superuser may use (minfree).
    """

    def __init__(
        self, storage: Storage, fs: Fs, geometry: Geometry, byteorder: ByteOrder, *, use_reserve: bool
    ) -> None:
        self._storage, self._geometry, self._byteorder = storage, geometry, byteorder
        self._hashed = has_hash(fs, CK_CYLGRP)
        self._optimise_time = fs.fs_optim == FS_OPTTIME
        self._frag = geometry.fragments_per_block
        self._full = (1 << self._frag) - 1
        self._groups: dict[int, LiveGroup] = {}
        self._saved: dict[int, LiveGroup] = {}
        self._taken: set[int] = set()
        self._given: dict[int, bytearray] = {}
        self._given_inodes: list[tuple[int, bool]] = []
        self._fs = fs
        self._recent = [0] * geometry.group_count  # fs_contigdirs, which the kernel too begins anew with each mount
        self._kept = self.reserve = 0 if use_reserve else fs.fs_dsize * fs.fs_minfree // 100
        summary = read(storage, geometry.summary_address * geometry.fragment_size, geometry.summary_size)
        #: the counters of each group; those of groups that were read are the groups' own
        self.counts = [Csum.unpack_from(summary, group * Csum.SIZE, byteorder) for group in range(geometry.group_count)]
        self.total = replace(fs.fs_cstotal)
        self._saved_total = self.total
        self._check_total()

    def _check_total(self) -> None:
        for field in _COUNTERS:
            expected, actual = sum(getattr(counts, field) for counts in self.counts), getattr(self.total, field)
            if expected != actual:
                raise GroupError(
                    "the superblock's total is not that of the summary area; check lists what is wrong",
                    structure="Fs",
                    field=f"fs_cstotal.{field}",
                    expected=expected,
                    actual=actual,
                )

    # The frame of an operation

    def begin(self) -> None:
        """Forget what the last operation noted."""
        self.reserve = self._kept
        self._saved.clear()
        self._taken.clear()
        self._given.clear()
        self._given_inodes.clear()
        self._saved_total = replace(self.total)

    @property
    def changed(self) -> bool:
        """Whether anything was taken or given back since :meth:`begin`."""
        return bool(self._taken or self._given or self._given_inodes)

    def roll_back(self) -> None:
        """Undo everything since :meth:`begin`."""
        for index, group in self._saved.items():
            self._groups[index] = group
            self.counts[index] = group.head.cg_cs
        self.total = self._saved_total
        self.begin()

    def pack_taken(self, seconds: int) -> list[tuple[int, bytes]]:
        """The blocks of the groups something was taken from, with their offsets."""
        return [self._pack(index, seconds) for index in sorted(self._taken)]

    def pack_given(self, seconds: int) -> list[tuple[int, bytes]]:
        """Free what was given back; the blocks of its groups, with their offsets."""
        changed = {number // self._geometry.group_inodes for number, _ in self._given_inodes}
        for index, masks in self._given.items():
            group = self._touch(index)
            free = int.from_bytes(group.patterns, "little") | int.from_bytes(masks, "little")
            group.patterns[:] = free.to_bytes(len(masks), "little")
            changed.add(index)
        for number, is_directory in self._given_inodes:
            index, place = divmod(number, self._geometry.group_inodes)
            group = self._touch(index)
            group.inodes[place] = 0
            group.head.cg_cs.cs_ndir -= is_directory
        return [self._pack(index, seconds) for index in sorted(changed)]

    def pack_summary(self) -> list[tuple[int, bytes]]:
        """The counters of the groups that changed, with their offsets in the volume."""
        start = self._geometry.summary_address * self._geometry.fragment_size
        self.total = replace(self._saved_total)
        for index, before in self._saved.items():
            for field in _COUNTERS:
                change = getattr(self.counts[index], field) - getattr(before.head.cg_cs, field)
                setattr(self.total, field, getattr(self.total, field) + change)
        return [(start + index * Csum.SIZE, self.counts[index].pack(self._byteorder)) for index in sorted(self._saved)]

    def _pack(self, index: int, seconds: int) -> tuple[int, bytes]:
        group = self._groups[index]
        group.head.cg_time = max(seconds, group.head.cg_time)
        return group.offset, pack_maps(
            self._geometry,
            group.head,
            group.patterns,
            group.inodes,
            hashed=self._hashed,
            byteorder=self._byteorder,
        )

    def _group(self, index: int) -> LiveGroup:
        found = self._groups.get(index)
        if found is None:
            geometry = self._geometry
            offset = (geometry.group_start(index) + geometry.cblkno) * geometry.fragment_size
            block = read(self._storage, offset, geometry.cgsize)
            found = LiveGroup(geometry, index, block, hashed=self._hashed, byteorder=self._byteorder)
            if found.head.cg_cs != self.counts[index]:
                raise GroupError(
                    f"the summary area has other counters for group {index}; check lists what is wrong",
                    structure="Csum",
                    expected=astuple(found.head.cg_cs),
                    actual=astuple(self.counts[index]),
                )
            self._groups[index] = found
            self.counts[index] = found.head.cg_cs
        return found

    def _touch(self, index: int) -> LiveGroup:
        """A group that is about to change."""
        group = self._group(index)
        if index not in self._saved:
            self._saved[index] = group.copy()
        return group

    def _order(self, group: int) -> Iterator[int]:
        """``group``, and then where to look for what it has no room for."""
        return policy.overflow(group, self._geometry.group_count)

    # Fragments

    def use_reserve(self) -> None:
        """Let this operation use what minfree keeps: what it replaces comes back at its end."""
        self.reserve = 0

    def free_runs(self) -> list[int]:
        """How many runs of 1, 2 ... free fragments there are in blocks that are partly used, by their length."""
        found = [0] * self._frag
        for index, counts in enumerate(self.counts):
            if counts.cs_nffree:
                frsum = count_patterns(self._group(index).patterns, self._frag, 0, 0).frsum
                found = [before + here for before, here in zip(found, frsum, strict=False)]
        return found

    @property
    def available(self) -> int:
        """Fragments that may still be taken, whole blocks and loose ones together."""
        return self.total.cs_nbfree * self._frag + self.total.cs_nffree - self.reserve

    def _require(self, fragments: int, message: str) -> None:
        if self.available < fragments:
            kept = " (minfree keeps the rest)" if self.reserve else ""
            raise NoSpaceError(message + kept, available=max(0, self.available) * self._geometry.fragment_size)

    def take_blocks(self, group: int, near: int, wanted: int, kind: int) -> tuple[int, int]:
        """``(address, blocks)`` of up to ``wanted`` consecutive blocks: at ``near``, in ``group``, or after it.

        Raises:
            NoSpaceError: there is no free block, or only those that minfree keeps.
        """
        self._require(self._frag, "there is no free block")
        wanted = min(wanted, self.available // self._frag)
        if near:
            group = near // self._geometry.group_fragments
        for index in self._order(group):
            if self.counts[index].cs_nbfree:
                break
        else:
            raise NoSpaceError("there is no free block", available=0)
        found = self._touch(index)
        first, count = found.find_blocks(self._full, self._start(index, near, kind), wanted)
        found.patterns[first : first + count] = bytes(count)
        self._taken.add(index)
        self._count(index, blocks=-count)
        return self._geometry.group_start(index) + first * self._frag, count

    def take_fragments(self, group: int, near: int, count: int, kind: int, *, growing: bool = False) -> int:
        """The address of ``count`` consecutive fragments of one block, fewer than a block has.

        They are the tightest that fit; where time matters more than space, a tail that is ``growing`` gets the
        start of a whole block, so that it need not move again (ffs_realloccg).

        Raises:
            NoSpaceError: there are no free fragments, or only those of the minfree reserve.
        """
        self._require(count, "there are not enough free fragments")
        if near:
            group = near // self._geometry.group_fragments
        roomy = growing and self._optimise_time
        for index in self._order(group):
            counts = self.counts[index]
            start = self._start(index, near, kind)
            if counts.cs_nffree >= count and not (roomy and counts.cs_nbfree):
                place = self._group(index).find_fragments(self._frag, start, count)
                if place is not None:
                    return self._take_run(index, place[0], place[1], count)
            if counts.cs_nbfree:
                first, _ = self._group(index).find_blocks(self._full, start, 1)
                return self._take_run(index, first, 0, count)
        raise NoSpaceError("there are not enough free fragments in one block", available=0)

    def extend(self, address: int, have: int, want: int) -> bool:
        """Take the fragments that follow ``have`` at ``address`` so that there are ``want``, if they are free.

        Raises:
            NoSpaceError: only those are free that minfree keeps.
        """
        self._require(want - have, "there are not enough free fragments")
        index, within = divmod(address, self._geometry.group_fragments)
        block, first = divmod(within, self._frag)
        mask = (1 << want - have) - 1 << first + have
        if first + want > self._frag or self._group(index).patterns[block] & mask != mask:
            return False
        self._take_run(index, block, first + have, want - have)
        return True

    def _take_run(self, index: int, block: int, first: int, count: int) -> int:
        group = self._touch(index)
        before = group.patterns[block]
        after = group.patterns[block] = before & ~((1 << count) - 1 << first)
        was_full = before == self._full
        self._count(
            index,
            blocks=-was_full,
            fragments=after.bit_count() - (0 if was_full else before.bit_count()),
        )
        self._taken.add(index)
        return self._geometry.group_start(index) + block * self._frag + first

    def _count(self, index: int, *, blocks: int = 0, fragments: int = 0) -> None:
        self.counts[index].cs_nbfree += blocks
        self.counts[index].cs_nffree += fragments
        self.total.cs_nbfree += blocks
        self.total.cs_nffree += fragments

    def _start(self, index: int, near: int, kind: int) -> int:
        """The block of group ``index`` where a search begins."""
        geometry = self._geometry
        blocks = -(-geometry.group_length(index) // self._frag)
        if near and near // geometry.group_fragments == index:
            start = near % geometry.group_fragments // self._frag
        else:
            start = (geometry.dblkno + (geometry.metadata_space if kind == DATA else 0)) // self._frag
        return start if start < blocks else 0

    def give_blocks(self, address: int, blocks: int) -> None:
        """Note that consecutive whole blocks are no longer in use.

        Raises:
            BlockError: one is no block of data, or free already.
        """
        while blocks:
            index, within = divmod(address, self._geometry.group_fragments)
            masks, first = self._masks(index, address), within // self._frag
            count = min(blocks, len(masks) - first)
            if within % self._frag or count <= 0:
                raise _not_held(address)
            if self._is_metadata(index, within, count * self._frag):
                steps = range(0, count * self._frag, self._frag)
                raise _not_held(address + next(at for at in steps if self._is_metadata(index, within + at, self._frag)))
            for octets in (self._group(index).patterns, masks):
                if octets.count(0, first, first + count) != count:
                    wrong = next(at for at in range(count) if octets[first + at])
                    raise _not_held(address + wrong * self._frag)
            masks[first : first + count] = bytes([self._full]) * count
            address, blocks = address + count * self._frag, blocks - count

    def give_fragments(self, address: int, count: int) -> None:
        """Note that ``count`` fragments of one block are no longer in use.

        Raises:
            BlockError: they are no fragments of data, or free already.
        """
        index, within = divmod(address, self._geometry.group_fragments)
        masks = self._masks(index, address)
        block, first = divmod(within, self._frag)
        mask = (1 << count) - 1 << first
        beyond = block >= len(masks) or first + count > self._frag
        if beyond or self._is_metadata(index, within, count):
            raise _not_held(address)
        if (self._group(index).patterns[block] | masks[block]) & mask:
            raise _not_held(address)
        masks[block] |= mask

    def require_held(self, address: int, fragments: int) -> None:
        """Make sure that what is written to is data that is in use, whatever pointer led there.

        Raises:
            BlockError: a fragment is free, metadata, or not of this file system.
        """
        if not 0 < address <= self._geometry.size - fragments:
            raise _not_held(address)
        end = address + fragments
        while address < end:
            index, within = divmod(address, self._geometry.group_fragments)
            count = min(end - address, self._geometry.group_fragments - within)
            first, last = within // self._frag, howmany(within + count, self._frag)
            free = self._group(index).patterns[first:last]
            if free.count(0) != len(free):
                # Of the first and the last block, what does not belong to the range may be free.
                bits = gather(free, self._frag) >> within - first * self._frag
                if bits & (1 << count) - 1:
                    raise _not_held(address)
            if self._is_metadata(index, within, count):
                raise _not_held(address)
            address += count

    def _masks(self, index: int, address: int) -> bytearray:
        """What is given back of each block of a group."""
        if not 0 <= index < self._geometry.group_count:
            raise _not_held(address)
        found = self._given.get(index)
        if found is None:
            found = self._given[index] = bytearray(len(self._group(index).patterns))
        return found

    def _is_metadata(self, index: int, within: int, count: int) -> bool:
        """Whether one of these fragments of a group is of its superblock, head or inodes, or of the summary area."""
        geometry = self._geometry
        low = 0 if index == 0 else geometry.sblkno
        address, summary = geometry.group_start(index) + within, geometry.summary_address
        return (within < geometry.dblkno and within + count > low) or (
            address < summary + geometry.summary_fragments and address + count > summary
        )

    # Inodes

    def directory_group(self, parent: int) -> int:
        """The group a new directory below the directory ``parent`` should be in."""
        group = parent // self._geometry.group_inodes
        return policy.directory_group(
            self._fs, self.counts, self.total, self._recent, group, of_root=parent == UFS_ROOTINO
        )

    def roomy_group(self, start: int) -> int:
        """The first group from ``start`` on that is not fuller than others."""
        return policy.roomy_group(start, self.counts, self.total)

    def take_inode(self, group: int, *, is_directory: bool) -> tuple[int, range]:
        """The number of a free inode, in ``group`` or after it, and which inodes must be initialised for it.

        Raises:
            NoSpaceError: there is no free space.
        """
        policy.count_recent(self._recent, group, is_directory=is_directory)
        for index in self._order(group):
            if self.counts[index].cs_nifree:
                break
        else:
            raise NoSpaceError("there is no free inode", available=0)
        found = self._touch(index)
        place = found.inodes.find(0)
        number = index * self._geometry.group_inodes + place
        if number < UFS_ROOTINO:
            raise InodeError("a reserved inode is marked free", field="inode", actual=number)
        found.inodes[place] = 1
        self._taken.add(index)
        self.counts[index].cs_nifree -= 1
        self.counts[index].cs_ndir += is_directory
        self.total.cs_nifree -= 1
        self.total.cs_ndir += is_directory
        first = found.head.cg_initediblk
        if place < first:
            return number, range(0)
        # The kernel too initialises whole blocks of inodes as they are needed (ffs_nodealloccg).
        found.head.cg_initediblk = min(self._geometry.group_inodes, roundup(place + 1, self._geometry.inodes_per_block))
        base = index * self._geometry.group_inodes
        return number, range(base + first, base + found.head.cg_initediblk)

    def give_inode(self, number: int, *, is_directory: bool) -> None:
        """Note that an inode is no longer in use.

        Raises:
            InodeError: it is free already.
        """
        index, place = divmod(number, self._geometry.group_inodes)
        if not self._group(index).inodes[place]:
            raise InodeError("the inode is in use but marked free", field="inode", actual=number)
        self._given_inodes.append((number, is_directory))


def _not_held(address: int) -> BlockError:
    return BlockError("a block in use is marked free, or is metadata; check lists what is wrong", actual=address)


@cache
def _runs_of(frag: int, run: int) -> re.Pattern[bytes]:
    """Matches a block that is partly used and has a free run of exactly ``run`` fragments."""
    suitable = [pattern for pattern in range((1 << frag) - 1) if "1" * run in _split_runs(pattern)]
    return re.compile(b"[" + b"".join(b"\\x%02x" % pattern for pattern in suitable) + b"]")


def _split_runs(pattern: int) -> list[str]:
    return f"{pattern:b}".split("0")


@cache
def _run_start(pattern: int, run: int) -> int:
    """The first fragment of the first free run of exactly ``run`` fragments."""
    lowest_first = f"{pattern:b}"[::-1] + "0"
    position = 0
    for piece in lowest_first.split("0"):
        if len(piece) == run:
            return position
        position += len(piece) + 1
    raise AssertionError("the pattern has such a run")
