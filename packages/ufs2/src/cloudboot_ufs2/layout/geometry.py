"""Where everything is in a file system, from its size and newfs's options. Pure arithmetic.

:func:`plan` follows newfs(8) (``sbin/newfs/mkfs.c``) decision by decision, since FreeBSD recomputes none of it.
All positions are in fragments from the start of the volume unless a name says otherwise.
"""

from __future__ import annotations

import contextlib
from functools import cached_property
from typing import TYPE_CHECKING

from cloudboot_base.lightdata import dataclass
from cloudboot_ufs2.errors import NoSpaceError, OptionError

from .constants import (
    DEV_BSIZE,
    FS_MAXCONTIG,
    MINCYLGRPS,
    SBLOCK_UFS2,
    SBLOCKSIZE,
    UFS_NDADDR,
    UFS_NIADDR,
)  # fmt: skip
from .records import Cg, Csum, Fs, Ufs2Dinode
from .ufs1 import UFS1, dialect_of

if TYPE_CHECKING:
    from .options import Options

MAXPHYS = 128 * 1024  # what newfs was built with when the reference sizes were taken
_CGSIZE_FUDGE = 8  # mkfs.c keeps eight bytes spare for programs that think struct cg larger
_MAXBLKSPERCG = 0x7FFFFFFF
_NFPI = 2  # fragments per inode, by default
PER_CYLINDER = 4 + 2  # bytes of the tables of free blocks by cylinder and by rotational position


def howmany(value: int, unit: int) -> int:
    """``value`` in ``unit``, rounded up."""
    return -(-value // unit)


def roundup(value: int, unit: int) -> int:
    """``value`` rounded up to a multiple of ``unit``."""
    return -(-value // unit) * unit


@dataclass(frozen=True)
class Geometry:
    """The numbers that place everything.

    ``size`` is the file system in fragments; ``group_fragments`` (fs_fpg) and ``group_inodes`` (fs_ipg) are per group.
    ``sblkno``, ``cblkno``, ``iblkno`` and ``dblkno`` are fragments from where the metadata of a group starts.
    """

    block_size: int
    fragment_size: int
    size: int
    group_count: int
    group_fragments: int
    group_inodes: int
    sblkno: int
    cblkno: int
    iblkno: int
    dblkno: int
    summary_address: int
    summary_size: int
    cgsize: int
    cluster_summary: int
    max_contiguous: int
    metadata_space: int
    # What only UFS1 has otherwise:
    inode_size: int = Ufs2Dinode.SIZE
    pointer_size: int = 8
    skew: int = 0  #: fs_old_cgoffset: so far the metadata of a group stands from that of the one before
    skew_mask: int = 0  #: ~fs_old_cgmask: after so many groups it starts again
    cylinders: int = 0  #: fs_old_cpg: for each, six bytes of rotational tables stand before the maps of a group

    @property
    def fragments_per_block(self) -> int:
        """fs_frag."""
        return self.block_size // self.fragment_size

    @property
    def inodes_per_block(self) -> int:
        """fs_inopb."""
        return self.block_size // self.inode_size

    @property
    def pointers_per_block(self) -> int:
        """fs_nindir."""
        return self.block_size // self.pointer_size

    @property
    def inode_count(self) -> int:
        """Inodes in all groups, the two reserved ones included."""
        return self.group_inodes * self.group_count

    @cached_property
    def summary_fragments(self) -> int:
        """Fragments of the summary area."""
        return howmany(self.summary_size, self.fragment_size)

    @property
    def max_file_size(self) -> int:
        """fs_maxfilesize."""
        return max_file_size(self.block_size, self.pointer_size)

    def group_start(self, group: int) -> int:
        """First fragment of ``group`` (cgbase)."""
        return group * self.group_fragments

    def group_metadata(self, group: int) -> int:
        """The fragment from which ``sblkno`` and its like are counted in ``group`` (cgstart)."""
        return group * self.group_fragments + self.skew * (group & self.skew_mask)

    def group_length(self, group: int) -> int:
        """Fragments of ``group``; the last may be short."""
        return min(self.group_fragments, self.size - self.group_start(group))

    def inode_offset(self, inode: int) -> int:
        """Byte offset of ``inode``, which must be in range."""
        group, index = divmod(inode, self.group_inodes)
        return (self.group_metadata(group) + self.iblkno) * self.fragment_size + index * self.inode_size


def max_file_size(block_size: int, pointer_size: int = 8) -> int:
    """The largest file twelve direct pointers and three levels of indirection reach, less one byte."""
    reach = block_size * UFS_NDADDR - 1
    for level in range(1, UFS_NIADDR + 1):
        reach += block_size * (block_size // pointer_size) ** level
    return reach


def group_header_size(
    group_inodes: int, group_fragments: int, frag: int, cluster_summary: int, cylinders: int = 0
) -> int:
    """Bytes a cylinder group needs for its head and maps (fs.h, CGSIZE; there are no cylinders in UFS2)."""
    size = Cg.SIZE + howmany(group_inodes, 8) + howmany(group_fragments, 8) + 4 + PER_CYLINDER * cylinders
    if cluster_summary > 0:
        size += 4 * cluster_summary + howmany(group_fragments // frag, 8)
    return size


def metadata_start(block_size: int, fragment_size: int, superblock: int = SBLOCK_UFS2) -> tuple[int, int, int]:
    """sblkno, cblkno and iblkno, which follow from the two sizes and the byte at which the superblock stands."""
    frag = block_size // fragment_size
    sblkno = roundup(howmany(superblock + SBLOCKSIZE, fragment_size), frag)
    cblkno = sblkno + roundup(howmany(SBLOCKSIZE, fragment_size), frag)
    return sblkno, cblkno, cblkno + frag


def plan(size: int, options: Options) -> Geometry:
    """The geometry newfs gives a volume of ``size`` bytes.

    Raises:
        NoSpaceError: the volume is too small for one cylinder group.
        OptionError: it is too large for the block size.
    """
    newfs = _Newfs(size, options)
    try:
        return newfs.geometry()
    except _TooSmallError:
        raise NoSpaceError(
            "the volume is too small for a file system", needed=newfs.next_size() * newfs.fsize, available=size
        ) from None


class _TooSmallError(Exception):
    """There is no room for a group, or the last group lacks room for its own metadata however they are divided."""


class _Newfs:
    """The search of mkfs.c for the number of fragments in a group."""

    def __init__(self, size: int, options: Options) -> None:
        self.options = options
        self.bsize, self.fsize = options.block_size, options.fragment
        self.frag = self.bsize // self.fsize
        self.inopb = self.bsize // Ufs2Dinode.SIZE
        self.inopf = self.inopb // self.frag
        # The size in whole 512-byte sectors, then in fragments (mkfs.c: dbtofsb(fssize)).
        self.size = size // DEV_BSIZE * DEV_BSIZE // self.fsize
        self.limit = options.group_blocks or _MAXBLKSPERCG
        self.max_extent = options.extent
        self.maxcontig = max(options.max_contiguous or max(1, MAXPHYS // self.bsize), self.max_extent // self.bsize)
        self.contigsumsize = min(self.maxcontig, FS_MAXCONTIG) if self.maxcontig > 1 else 0
        self.sblkno, self.cblkno, self.iblkno = metadata_start(self.bsize, self.fsize)

    def geometry(self) -> Geometry:
        if self.size < self.least_fragments(self.inopb):
            raise _TooSmallError
        per_inode, fpg = self.smallest_group()
        fpg, ipg = self.pack(per_inode, fpg)
        if self.limit <= fpg < self.size and fpg <= self.iblkno + ipg // self.inopf + 1:
            # No larger volume would help, so this is not one that is too small.
            raise OptionError(
                "metadata alone fill such groups", field="group_blocks", expected=f"more than {fpg}", actual=self.limit
            )
        fpg, ipg = self.enlarge_last(per_inode, fpg, ipg)
        ncg = howmany(self.size, fpg)
        dblkno = self.iblkno + ipg // self.inopf
        # The loader wants the summary and the fragment after it in one group (ffs_subr.c, validate_sblock).
        after_summary = dblkno + howmany(ncg * Csum.SIZE, self.fsize)
        if self.size < max(8 * self.frag, after_summary + 1):
            raise _TooSmallError
        if after_summary >= fpg:
            raise self.too_large() if after_summary > dblkno + 1 else _TooSmallError
        options = self.options
        return Geometry(
            block_size=self.bsize,
            fragment_size=self.fsize,
            size=self.size,
            group_count=ncg,
            group_fragments=fpg,
            group_inodes=ipg,
            sblkno=self.sblkno,
            cblkno=self.cblkno,
            iblkno=self.iblkno,
            dblkno=dblkno,
            summary_address=dblkno,
            summary_size=roundup(ncg * Csum.SIZE, self.fsize),
            cgsize=roundup(self.header_size(ipg, fpg), self.fsize),
            cluster_summary=self.contigsumsize,
            max_contiguous=self.maxcontig,
            metadata_space=_metadata_space(options.metadata_space, fpg, options.minfree, self.frag),
        )

    def too_large(self) -> OptionError:
        size = f"more than {self.bsize}"
        return OptionError("the volume is too large for it", field="block_size", expected=size, actual=self.bsize)

    def header_size(self, ipg: int, fpg: int) -> int:
        return group_header_size(ipg, fpg, self.frag, self.contigsumsize)

    def inodes(self, fpg: int, per_inode: int) -> int:
        return roundup(howmany(fpg, per_inode), self.inopb)

    def least_fragments(self, ipg: int) -> int:
        """The fewest fragments a group with ``ipg`` inodes can have."""
        return roundup(self.iblkno + ipg // self.inopf, self.frag)

    def smallest_group(self) -> tuple[int, int]:
        """Fragments per inode and the smallest group that meets them; the density gives way until the maps fit."""
        least_per_inode = 1 + self.size // ((1 << 32) - self.inopb)
        density = self.options.density or max(_NFPI, least_per_inode) * self.fsize
        density = max(density, least_per_inode * self.fsize)
        while True:
            per_inode = max(density // self.fsize, 1)
            if per_inode < least_per_inode:
                raise self.too_large()
            minfpg = min(per_inode * self.inopb, self.size)
            fpg = max(self.least_fragments(self.inopb), minfpg)
            fpg = max(self.least_fragments(self.inodes(fpg, per_inode)), minfpg)
            if self.header_size(self.inodes(fpg, per_inode), fpg) < self.bsize - _CGSIZE_FUDGE:
                return per_inode, fpg
            # mkfs.c goes down a fragment at a time. Above this limit nothing changes for the better: a map has at most
            # eight bits for each byte of a block, and no group is larger than the volume.
            limit = min(self.size, 8 * self.bsize) // self.inopb + 1
            density = min(density - self.fsize, limit * self.fsize)

    def pack(self, per_inode: int, fpg: int) -> tuple[int, int]:
        """Grow the group until its maps fill a block or fewer than four groups would remain; fpg and ipg."""
        # mkfs.c adds a block at a time; the two bounds are monotonic, so the first that stops it can be searched for.
        room = self.bsize - _CGSIZE_FUDGE
        if fpg >= self.limit:
            return fpg, self.inodes(fpg, per_inode)
        steps = howmany(self.limit - fpg, self.frag)
        low, high = 0, steps
        while low < high:
            middle = (low + high) // 2
            candidate = fpg + middle * self.frag
            full = self.header_size(self.inodes(candidate, per_inode), candidate) >= room
            if full or self.size // candidate < MINCYLGRPS:
                high = middle
            else:
                low = middle + 1
        found = fpg + low * self.frag
        if low == steps:
            # The limit ends the loop of mkfs.c after the last step and before the inodes are counted anew.
            ipg = self.inodes(found - self.frag, per_inode)
            keep = self.header_size(ipg, found) <= self.bsize
        else:
            ipg = self.inodes(found, per_inode)
            header = self.header_size(ipg, found)
            keep = header == room or (self.size // found < MINCYLGRPS and header <= self.bsize)
        if keep:
            return found, ipg
        return found - self.frag, self.inodes(found - self.frag, per_inode)

    def enlarge_last(self, per_inode: int, fpg: int, ipg: int) -> tuple[int, int]:
        """Shrink the groups until the last one has room for its own metadata; fpg and ipg."""
        while True:
            least = self.least_fragments(ipg)
            # Without the second condition mkfs.c goes on to groups that hold nothing, and to a division by zero.
            if self.size < least or fpg < least:
                raise _TooSmallError
            if self.size % fpg >= least or self.size % fpg == 0:
                return fpg, ipg
            fpg -= self.frag
            ipg = self.inodes(fpg, per_inode)

    def next_size(self) -> int:
        """The next larger volume, in fragments, that can be divided; at the latest one of whole groups can."""
        larger = max(self.size, self.least_fragments(self.inopb) - 1)
        while True:
            larger += 1
            with contextlib.suppress(_TooSmallError):
                return _Newfs(larger * self.fsize, self.options).geometry().size


def _metadata_space(wanted: int | None, fpg: int, minfree: int, frag: int) -> int:
    """fs_metaspace: what was asked for, or half of what minfree keeps, in whole blocks."""
    if wanted == 0:
        return 0
    if wanted is None or wanted >= fpg // 2:
        wanted = fpg * minfree // 200
    return wanted // frag * frag


def geometry_of(fs: Fs) -> Geometry:
    """The geometry a superblock describes; the superblock must have passed its checks."""
    dialect = dialect_of(fs)
    old = dialect is UFS1
    return Geometry(
        block_size=fs.fs_bsize,
        fragment_size=fs.fs_fsize,
        size=fs.fs_size,
        group_count=fs.fs_ncg,
        group_fragments=fs.fs_fpg,
        group_inodes=fs.fs_ipg,
        sblkno=fs.fs_sblkno,
        cblkno=fs.fs_cblkno,
        iblkno=fs.fs_iblkno,
        dblkno=fs.fs_dblkno,
        summary_address=fs.fs_csaddr,
        summary_size=fs.fs_cssize,
        cgsize=fs.fs_cgsize,
        cluster_summary=fs.fs_contigsumsize,
        max_contiguous=fs.fs_maxcontig,
        metadata_space=fs.fs_metaspace,
        inode_size=dialect.inode_size,
        pointer_size=dialect.pointer_size,
        skew=fs.fs_old_cgoffset if old else 0,
        skew_mask=~fs.fs_old_cgmask if old else 0,
        cylinders=fs.fs_old_cpg if old else 0,
    )
