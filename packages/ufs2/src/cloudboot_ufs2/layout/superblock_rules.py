"""What a superblock must say: the rules FreeBSD's kernel, loader and fsck apply (ffs_subr.c, validate_sblock).

Each rule compares fields with what other fields demand of them. Those up to :data:`STRUCTURAL` make the arithmetic of
a reader safe; the reader refuses a superblock that breaks one of them, the checker reports them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base.lightdata import NamedTuple

from .constants import (
    DEV_BSIZE,
    FS_MAXCONTIG,
    MAXBSIZE,
    MAXFRAG,
    MINBSIZE,
    SBLOCKSIZE,
)
from .geometry import group_header_size, howmany, max_file_size, metadata_start, roundup
from .records import Csum, Fs
from .ufs1 import UFS1, dialect_of, inline_limit

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_CONTIGUOUS = 256  # ffs_subr.c: 1 MiB transfers of 4 KiB blocks


class Violation(NamedTuple):
    """A rule that a superblock breaks."""

    field: str
    rule: str
    expected: object
    actual: object


def structural(fs: Fs) -> Iterator[Violation]:
    """The rules without which sizes and positions mean nothing; later ones rely on the earlier."""
    sizes = list(_sizes(fs))
    yield from sizes
    if not sizes:
        yield from _groups(fs)


def _sizes(fs: Fs) -> Iterator[Violation]:
    bsize, fsize, frag = fs.fs_bsize, fs.fs_fsize, fs.fs_frag
    if not MINBSIZE <= bsize <= MAXBSIZE or bsize & (bsize - 1):
        yield Violation("fs_bsize", "a power of two in range", f"{MINBSIZE} to {MAXBSIZE}", bsize)
        return
    if not DEV_BSIZE <= fsize <= bsize or fsize & (fsize - 1):
        yield Violation("fs_fsize", "a power of two in range", f"{DEV_BSIZE} to {bsize}", fsize)
        return
    if not 1 <= frag <= MAXFRAG or fsize * frag != bsize:
        yield Violation("fs_frag", "fragments in a block", bsize // fsize, frag)
        return
    dialect = dialect_of(fs)
    yield from _equal(fs, "fs_nindir", bsize // dialect.pointer_size)
    yield from _equal(fs, "fs_inopb", bsize // dialect.inode_size)


def _groups(fs: Fs) -> Iterator[Violation]:
    inopb, ipg, fpg, ncg = fs.fs_inopb, fs.fs_ipg, fs.fs_fpg, fs.fs_ncg
    if fpg < 3 * fs.fs_frag:
        yield Violation("fs_fpg", "three blocks at least", f"at least {3 * fs.fs_frag}", fpg)
        return
    if ncg < 1:
        yield Violation("fs_ncg", "one group at least", "at least 1", ncg)
        return
    if ipg < inopb or ipg % inopb:
        yield Violation("fs_ipg", "whole blocks of inodes", f"a multiple of {inopb}", ipg)
        return
    if ipg * ncg > (1 << 32) - inopb:
        yield Violation("fs_ipg", "inode numbers have 32 bits", f"at most {((1 << 32) - inopb) // ncg}", ipg)
    yield from _metadata(fs)
    if fs.fs_dblkno > fpg:
        yield Violation("fs_dblkno", "metadata inside the group", f"at most {fpg}", fs.fs_dblkno)
    if not (ncg - 1) * fpg < fs.fs_size <= ncg * fpg or fs.fs_size < 8 * fs.fs_frag:
        yield Violation("fs_size", "the last group holds its end", f"{(ncg - 1) * fpg + 1} to {ncg * fpg}", fs.fs_size)
    cylinders = fs.fs_old_cpg if dialect_of(fs) is UFS1 else 0
    if not 0 <= cylinders <= fpg:
        yield Violation("fs_old_cpg", "cylinders in a group", f"0 to {fpg}", cylinders)
        return
    header = group_header_size(ipg, fpg, fs.fs_frag, max(0, fs.fs_contigsumsize), cylinders)
    if fs.fs_contigsumsize < 0 or fs.fs_contigsumsize > FS_MAXCONTIG:
        yield Violation("fs_contigsumsize", "clusters counted", f"0 to {FS_MAXCONTIG}", fs.fs_contigsumsize)
    elif header > fs.fs_bsize:
        yield Violation("fs_cgsize", "the maps of a group fit a block", f"at most {fs.fs_bsize}", header)
    if not max(fs.fs_fsize, header) <= fs.fs_cgsize <= fs.fs_bsize or fs.fs_cgsize % fs.fs_fsize:
        yield Violation("fs_cgsize", "the maps of a group", f"{roundup(header, fs.fs_fsize)}", fs.fs_cgsize)
    if not Fs.SIZE <= fs.fs_sbsize <= SBLOCKSIZE or fs.fs_sbsize % DEV_BSIZE:
        yield Violation("fs_sbsize", "whole sectors", f"{Fs.SIZE} to {SBLOCKSIZE}", fs.fs_sbsize)
    yield from _summary(fs)


def _metadata(fs: Fs) -> Iterator[Violation]:
    """Where the parts of a group's metadata stand."""
    iblkno = fs.fs_iblkno
    if dialect_of(fs) is UFS1:
        # How they were rounded changed over the years; that they follow one another did not.
        places = (fs.fs_sblkno, fs.fs_cblkno, iblkno)
        if not 0 < places[0] < places[1] < places[2]:
            yield Violation("fs_iblkno", "superblock, group, inodes, in this order", "rising numbers", places)
        offset, mask = fs.fs_old_cgoffset, ~fs.fs_old_cgmask
        if offset < 0 or (offset and not 0 <= offset * mask <= fs.fs_fpg - fs.fs_dblkno):
            yield Violation("fs_old_cgoffset", "metadata inside the group", 0, offset)
    else:
        sblkno, cblkno, iblkno = metadata_start(fs.fs_bsize, fs.fs_fsize, fs.fs_sblockloc)
        yield from _equal(fs, "fs_sblkno", sblkno)
        yield from _equal(fs, "fs_cblkno", cblkno)
        yield from _equal(fs, "fs_iblkno", iblkno)
    yield from _equal(fs, "fs_dblkno", iblkno + fs.fs_ipg * dialect_of(fs).inode_size // fs.fs_fsize)


def _summary(fs: Fs) -> Iterator[Violation]:
    yield from _equal(fs, "fs_cssize", roundup(fs.fs_ncg * Csum.SIZE, fs.fs_fsize))
    group = fs.fs_csaddr // fs.fs_fpg
    # The fragment after the summary still belongs to its group.
    first, end = group * fs.fs_fpg + fs.fs_dblkno, min(fs.fs_size, (group + 1) * fs.fs_fpg - 1)
    length = howmany(max(0, fs.fs_cssize), fs.fs_fsize)
    if not first <= fs.fs_csaddr <= end - length or fs.fs_csaddr < 0:
        yield Violation("fs_csaddr", "in the data of one group", f"{first} to {end - length}", fs.fs_csaddr)


def remaining(fs: Fs) -> Iterator[Violation]:
    """The other rules; the structural ones must hold."""
    bsize, fsize = fs.fs_bsize, fs.fs_fsize
    dialect = dialect_of(fs)
    if fs.fs_sblockloc != dialect.superblock:
        yield Violation("fs_sblockloc", "FreeBSD looks nowhere else", dialect.superblock, fs.fs_sblockloc)
    expected = {
        "fs_maxsymlinklen": inline_limit(dialect),
        "fs_bmask": -bsize,
        "fs_fmask": -fsize,
        "fs_qbmask": bsize - 1,
        "fs_qfmask": fsize - 1,
        "fs_bshift": bsize.bit_length() - 1,
        "fs_fshift": fsize.bit_length() - 1,
        "fs_fragshift": fs.fs_frag.bit_length() - 1,
        "fs_fsbtodb": (fsize // DEV_BSIZE).bit_length() - 1,
        "fs_maxfilesize": max_file_size(bsize, dialect.pointer_size),
    }
    for field, value in expected.items():
        yield from _equal(fs, field, value)
    if fs.fs_sblockactualloc not in (0, fs.fs_sblockloc):
        yield Violation("fs_sblockactualloc", "where it stands", fs.fs_sblockloc, fs.fs_sblockactualloc)
    if fs.fs_maxbsize and (fs.fs_maxbsize & (fs.fs_maxbsize - 1) or not bsize <= fs.fs_maxbsize <= 16 * bsize):
        yield Violation("fs_maxbsize", "a power of two in range", f"{bsize} to {16 * bsize}", fs.fs_maxbsize)
    offset, mask = fs.fs_old_cgoffset, ~fs.fs_old_cgmask
    if offset < 0 or (offset > 0 and mask < 0) or offset * mask > fs.fs_fpg:
        yield Violation("fs_old_cgoffset", "groups are not shifted", 0, offset)
    yield from _tuning(fs)
    inodes = fs.fs_ipg * fs.fs_ncg
    total = fs.fs_cstotal
    if not 0 <= total.cs_nifree <= inodes:
        yield Violation("fs_cstotal.cs_nifree", "free inodes", f"0 to {inodes}", total.cs_nifree)
    if not 0 <= total.cs_ndir <= inodes - total.cs_nifree:
        yield Violation("fs_cstotal.cs_ndir", "directories", f"0 to {inodes - total.cs_nifree}", total.cs_ndir)


def _tuning(fs: Fs) -> Iterator[Violation]:
    if not 0 <= fs.fs_metaspace <= fs.fs_fpg // 2:
        yield Violation("fs_metaspace", "at most half a group", f"0 to {fs.fs_fpg // 2}", fs.fs_metaspace)
    if not 0 <= fs.fs_minfree <= 99:
        yield Violation("fs_minfree", "a percentage", "0 to 99", fs.fs_minfree)
    if not 0 <= fs.fs_maxcontig <= _MAX_CONTIGUOUS:
        yield Violation("fs_maxcontig", "blocks in a transfer", f"0 to {_MAX_CONTIGUOUS}", fs.fs_maxcontig)
    elif fs.fs_maxcontig != 1 and fs.fs_contigsumsize != min(fs.fs_maxcontig, FS_MAXCONTIG):
        yield Violation(
            "fs_contigsumsize", "as fs_maxcontig says", min(fs.fs_maxcontig, FS_MAXCONTIG), fs.fs_contigsumsize
        )


def _equal(fs: Fs, field: str, expected: int) -> Iterator[Violation]:
    actual = getattr(fs, field)
    if actual != expected:
        yield Violation(field, "it follows from other fields", expected, actual)
