"""The records declared in ``cloudboot_ufs2.layout.structs``. Generated: change the declaration, then run
``python -m cloudboot_records cloudboot_ufs2.layout.structs``.
"""

# ruff: noqa: E501 -- one field's doc may be longer than a line
from __future__ import annotations

from typing import Any, ClassVar, Self

from cloudboot_base.lightdata import dataclass, field
from cloudboot_records.model import Field, RecordLayout
from cloudboot_records.record import EitherOrderRecord, exactly


@dataclass(slots=True, eq=False, repr=False)
class Csum(EitherOrderRecord):
    """Counters of one cylinder group (fs.h, struct csum). (16 bytes)"""

    #: number of directories
    cs_ndir: int = 0
    #: number of free blocks
    cs_nbfree: int = 0
    #: number of free inodes
    cs_nifree: int = 0
    #: number of free fragments in partly used blocks
    cs_nffree: int = 0

    def __init__(
        self,
        cs_ndir: int = 0,
        cs_nbfree: int = 0,
        cs_nifree: int = 0,
        cs_nffree: int = 0,
    ) -> None:
        self.cs_ndir = cs_ndir
        self.cs_nbfree = cs_nbfree
        self.cs_nifree = cs_nifree
        self.cs_nffree = cs_nffree

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "Csum",
        (
            Field("cs_ndir", "l"),
            Field("cs_nbfree", "l"),
            Field("cs_nifree", "l"),
            Field("cs_nffree", "l"),
        ),
    )
    SIZE: ClassVar[int] = 16

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.cs_ndir,
            self.cs_nbfree,
            self.cs_nifree,
            self.cs_nffree,
        )


@dataclass(slots=True, eq=False, repr=False)
class CsumTotal(EitherOrderRecord):
    """Counters of the whole file system (fs.h, struct csum_total). (64 bytes)"""

    cs_ndir: int = 0
    cs_nbfree: int = 0
    cs_nifree: int = 0
    cs_nffree: int = 0
    cs_numclusters: int = 0
    cs_spare: tuple[int, ...] = (0,) * 3

    def __init__(
        self,
        cs_ndir: int = 0,
        cs_nbfree: int = 0,
        cs_nifree: int = 0,
        cs_nffree: int = 0,
        cs_numclusters: int = 0,
        cs_spare: tuple[int, ...] = (0,) * 3,
    ) -> None:
        self.cs_ndir = cs_ndir
        self.cs_nbfree = cs_nbfree
        self.cs_nifree = cs_nifree
        self.cs_nffree = cs_nffree
        self.cs_numclusters = cs_numclusters
        self.cs_spare = cs_spare

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "CsumTotal",
        (
            Field("cs_ndir", "q"),
            Field("cs_nbfree", "q"),
            Field("cs_nifree", "q"),
            Field("cs_nffree", "q"),
            Field("cs_numclusters", "q"),
            Field("cs_spare", "q", 3),
        ),
    )
    SIZE: ClassVar[int] = 64

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(
            values[0],
            values[1],
            values[2],
            values[3],
            values[4],
            values[5:8],
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            self.cs_ndir,
            self.cs_nbfree,
            self.cs_nifree,
            self.cs_nffree,
            self.cs_numclusters,
            *exactly("CsumTotal", "cs_spare", 3, self.cs_spare),
        )


@dataclass(slots=True, eq=False, repr=False)
class FsRecovery(EitherOrderRecord):
    """What fsck needs to find the backup superblocks; the last 20 bytes before byte 65536 (fs.h, struct fsrecovery). (20 bytes)"""

    fsr_magic: int = 0
    fsr_fsbtodb: int = 0
    fsr_sblkno: int = 0
    fsr_fpg: int = 0
    fsr_ncg: int = 0

    def __init__(
        self,
        fsr_magic: int = 0,
        fsr_fsbtodb: int = 0,
        fsr_sblkno: int = 0,
        fsr_fpg: int = 0,
        fsr_ncg: int = 0,
    ) -> None:
        self.fsr_magic = fsr_magic
        self.fsr_fsbtodb = fsr_fsbtodb
        self.fsr_sblkno = fsr_sblkno
        self.fsr_fpg = fsr_fpg
        self.fsr_ncg = fsr_ncg

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "FsRecovery",
        (
            Field("fsr_magic", "l"),
            Field("fsr_fsbtodb", "l"),
            Field("fsr_sblkno", "l"),
            Field("fsr_fpg", "l"),
            Field("fsr_ncg", "L"),
        ),
    )
    SIZE: ClassVar[int] = 20

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.fsr_magic,
            self.fsr_fsbtodb,
            self.fsr_sblkno,
            self.fsr_fpg,
            self.fsr_ncg,
        )


@dataclass(slots=True, eq=False, repr=False)
class Fs(EitherOrderRecord):
    """A superblock (fs.h, struct fs). (1376 bytes)"""

    fs_firstfield: int = 0
    fs_unused_1: int = 0
    #: backup superblock, in fragments from the start of a group
    fs_sblkno: int = 0
    #: cylinder group block, in fragments from the start of a group
    fs_cblkno: int = 0
    #: inode table, in fragments from the start of a group
    fs_iblkno: int = 0
    #: first data, in fragments from the start of a group
    fs_dblkno: int = 0
    fs_old_cgoffset: int = 0
    fs_old_cgmask: int = 0
    fs_old_time: int = 0
    fs_old_size: int = 0
    fs_old_dsize: int = 0
    #: number of cylinder groups
    fs_ncg: int = 0
    #: block size, bytes
    fs_bsize: int = 0
    #: fragment size, bytes
    fs_fsize: int = 0
    #: fragments in a block
    fs_frag: int = 0
    #: percentage of space kept for root
    fs_minfree: int = 0
    fs_old_rotdelay: int = 0
    fs_old_rps: int = 0
    fs_bmask: int = 0
    fs_fmask: int = 0
    fs_bshift: int = 0
    fs_fshift: int = 0
    #: blocks the kernel transfers at once
    fs_maxcontig: int = 0
    #: blocks one file may take from one group
    fs_maxbpg: int = 0
    fs_fragshift: int = 0
    #: log2 of 512-byte sectors in a fragment
    fs_fsbtodb: int = 0
    #: bytes of a superblock on disk; its check-hash covers them
    fs_sbsize: int = 0
    fs_spare1: tuple[int, ...] = (0,) * 2
    #: pointers in an indirect block
    fs_nindir: int = 0
    #: inodes in a block
    fs_inopb: int = 0
    fs_old_nspf: int = 0
    #: 0: time, 1: space
    fs_optim: int = 0
    fs_old_npsect: int = 0
    fs_old_interleave: int = 0
    fs_old_trackskew: int = 0
    #: unique identity; the UFS id of a device name
    fs_id: tuple[int, ...] = (0,) * 2
    fs_old_csaddr: int = 0
    #: bytes of the summary area
    fs_cssize: int = 0
    #: bytes of a cylinder group block; its check-hash covers them
    fs_cgsize: int = 0
    fs_spare2: int = 0
    fs_old_nsect: int = 0
    fs_old_spc: int = 0
    fs_old_ncyl: int = 0
    fs_old_cpg: int = 0
    #: inodes in a group
    fs_ipg: int = 0
    #: fragments in a group
    fs_fpg: int = 0
    #: Counters of one cylinder group (fs.h, struct csum).
    fs_old_cstotal: Csum = field(default_factory=lambda: Csum())
    fs_fmod: int = 0
    #: 1: unmounted cleanly
    fs_clean: int = 0
    fs_ronly: int = 0
    #: 0x80: see fs_flags
    fs_old_flags: int = 0
    #: where it was last mounted
    fs_fsmnt: bytes = bytes(468)
    #: volume label
    fs_volname: bytes = bytes(32)
    fs_swuid: int = 0
    fs_pad: int = 0
    fs_cgrotor: int = 0
    #: pointers of a running kernel; zero on disk
    fs_ocsp: bytes = bytes(128)
    fs_old_cpc: int = 0
    #: largest extent, bytes
    fs_maxbsize: int = 0
    fs_unrefs: int = 0
    #: size of the partition, in fragments
    fs_providersize: int = 0
    #: fragments at the start of a group's data kept for metadata
    fs_metaspace: int = 0
    fs_sparecon64: tuple[int, ...] = (0,) * 13
    #: byte offset of this copy
    fs_sblockactualloc: int = 0
    #: byte offset of the standard superblock
    fs_sblockloc: int = 0
    #: Counters of the whole file system (fs.h, struct csum_total).
    fs_cstotal: CsumTotal = field(default_factory=lambda: CsumTotal())
    #: last written, seconds
    fs_time: int = 0
    #: size of the file system, in fragments
    fs_size: int = 0
    #: fragments for data
    fs_dsize: int = 0
    #: summary area, in fragments
    fs_csaddr: int = 0
    fs_pendingblocks: int = 0
    fs_pendinginodes: int = 0
    #: inodes of snapshots
    fs_snapinum: tuple[int, ...] = (0,) * 20
    fs_avgfilesize: int = 0
    fs_avgfpdir: int = 0
    fs_save_cgsize: int = 0
    #: last mounted or checked, seconds
    fs_mtime: int = 0
    fs_sujfree: int = 0
    fs_sparecon32: tuple[int, ...] = (0,) * 21
    #: check-hash of this superblock
    fs_ckhash: int = 0
    #: which metadata carries check-hashes
    fs_metackhash: int = 0
    fs_flags: int = 0
    #: length of the cluster summary
    fs_contigsumsize: int = 0
    #: a symbolic link shorter than this stands in its inode
    fs_maxsymlinklen: int = 0
    fs_old_inodefmt: int = 0
    fs_maxfilesize: int = 0
    fs_qbmask: int = 0
    fs_qfmask: int = 0
    fs_state: int = 0
    fs_old_postblformat: int = 0
    fs_old_nrpos: int = 0
    fs_spare5: tuple[int, ...] = (0,) * 2
    fs_magic: int = 0

    def __init__(
        self,
        fs_firstfield: int = 0,
        fs_unused_1: int = 0,
        fs_sblkno: int = 0,
        fs_cblkno: int = 0,
        fs_iblkno: int = 0,
        fs_dblkno: int = 0,
        fs_old_cgoffset: int = 0,
        fs_old_cgmask: int = 0,
        fs_old_time: int = 0,
        fs_old_size: int = 0,
        fs_old_dsize: int = 0,
        fs_ncg: int = 0,
        fs_bsize: int = 0,
        fs_fsize: int = 0,
        fs_frag: int = 0,
        fs_minfree: int = 0,
        fs_old_rotdelay: int = 0,
        fs_old_rps: int = 0,
        fs_bmask: int = 0,
        fs_fmask: int = 0,
        fs_bshift: int = 0,
        fs_fshift: int = 0,
        fs_maxcontig: int = 0,
        fs_maxbpg: int = 0,
        fs_fragshift: int = 0,
        fs_fsbtodb: int = 0,
        fs_sbsize: int = 0,
        fs_spare1: tuple[int, ...] = (0,) * 2,
        fs_nindir: int = 0,
        fs_inopb: int = 0,
        fs_old_nspf: int = 0,
        fs_optim: int = 0,
        fs_old_npsect: int = 0,
        fs_old_interleave: int = 0,
        fs_old_trackskew: int = 0,
        fs_id: tuple[int, ...] = (0,) * 2,
        fs_old_csaddr: int = 0,
        fs_cssize: int = 0,
        fs_cgsize: int = 0,
        fs_spare2: int = 0,
        fs_old_nsect: int = 0,
        fs_old_spc: int = 0,
        fs_old_ncyl: int = 0,
        fs_old_cpg: int = 0,
        fs_ipg: int = 0,
        fs_fpg: int = 0,
        fs_old_cstotal: Csum | None = None,
        fs_fmod: int = 0,
        fs_clean: int = 0,
        fs_ronly: int = 0,
        fs_old_flags: int = 0,
        fs_fsmnt: bytes = bytes(468),
        fs_volname: bytes = bytes(32),
        fs_swuid: int = 0,
        fs_pad: int = 0,
        fs_cgrotor: int = 0,
        fs_ocsp: bytes = bytes(128),
        fs_old_cpc: int = 0,
        fs_maxbsize: int = 0,
        fs_unrefs: int = 0,
        fs_providersize: int = 0,
        fs_metaspace: int = 0,
        fs_sparecon64: tuple[int, ...] = (0,) * 13,
        fs_sblockactualloc: int = 0,
        fs_sblockloc: int = 0,
        fs_cstotal: CsumTotal | None = None,
        fs_time: int = 0,
        fs_size: int = 0,
        fs_dsize: int = 0,
        fs_csaddr: int = 0,
        fs_pendingblocks: int = 0,
        fs_pendinginodes: int = 0,
        fs_snapinum: tuple[int, ...] = (0,) * 20,
        fs_avgfilesize: int = 0,
        fs_avgfpdir: int = 0,
        fs_save_cgsize: int = 0,
        fs_mtime: int = 0,
        fs_sujfree: int = 0,
        fs_sparecon32: tuple[int, ...] = (0,) * 21,
        fs_ckhash: int = 0,
        fs_metackhash: int = 0,
        fs_flags: int = 0,
        fs_contigsumsize: int = 0,
        fs_maxsymlinklen: int = 0,
        fs_old_inodefmt: int = 0,
        fs_maxfilesize: int = 0,
        fs_qbmask: int = 0,
        fs_qfmask: int = 0,
        fs_state: int = 0,
        fs_old_postblformat: int = 0,
        fs_old_nrpos: int = 0,
        fs_spare5: tuple[int, ...] = (0,) * 2,
        fs_magic: int = 0,
    ) -> None:
        self.fs_firstfield = fs_firstfield
        self.fs_unused_1 = fs_unused_1
        self.fs_sblkno = fs_sblkno
        self.fs_cblkno = fs_cblkno
        self.fs_iblkno = fs_iblkno
        self.fs_dblkno = fs_dblkno
        self.fs_old_cgoffset = fs_old_cgoffset
        self.fs_old_cgmask = fs_old_cgmask
        self.fs_old_time = fs_old_time
        self.fs_old_size = fs_old_size
        self.fs_old_dsize = fs_old_dsize
        self.fs_ncg = fs_ncg
        self.fs_bsize = fs_bsize
        self.fs_fsize = fs_fsize
        self.fs_frag = fs_frag
        self.fs_minfree = fs_minfree
        self.fs_old_rotdelay = fs_old_rotdelay
        self.fs_old_rps = fs_old_rps
        self.fs_bmask = fs_bmask
        self.fs_fmask = fs_fmask
        self.fs_bshift = fs_bshift
        self.fs_fshift = fs_fshift
        self.fs_maxcontig = fs_maxcontig
        self.fs_maxbpg = fs_maxbpg
        self.fs_fragshift = fs_fragshift
        self.fs_fsbtodb = fs_fsbtodb
        self.fs_sbsize = fs_sbsize
        self.fs_spare1 = fs_spare1
        self.fs_nindir = fs_nindir
        self.fs_inopb = fs_inopb
        self.fs_old_nspf = fs_old_nspf
        self.fs_optim = fs_optim
        self.fs_old_npsect = fs_old_npsect
        self.fs_old_interleave = fs_old_interleave
        self.fs_old_trackskew = fs_old_trackskew
        self.fs_id = fs_id
        self.fs_old_csaddr = fs_old_csaddr
        self.fs_cssize = fs_cssize
        self.fs_cgsize = fs_cgsize
        self.fs_spare2 = fs_spare2
        self.fs_old_nsect = fs_old_nsect
        self.fs_old_spc = fs_old_spc
        self.fs_old_ncyl = fs_old_ncyl
        self.fs_old_cpg = fs_old_cpg
        self.fs_ipg = fs_ipg
        self.fs_fpg = fs_fpg
        self.fs_old_cstotal = Csum() if fs_old_cstotal is None else fs_old_cstotal
        self.fs_fmod = fs_fmod
        self.fs_clean = fs_clean
        self.fs_ronly = fs_ronly
        self.fs_old_flags = fs_old_flags
        self.fs_fsmnt = fs_fsmnt
        self.fs_volname = fs_volname
        self.fs_swuid = fs_swuid
        self.fs_pad = fs_pad
        self.fs_cgrotor = fs_cgrotor
        self.fs_ocsp = fs_ocsp
        self.fs_old_cpc = fs_old_cpc
        self.fs_maxbsize = fs_maxbsize
        self.fs_unrefs = fs_unrefs
        self.fs_providersize = fs_providersize
        self.fs_metaspace = fs_metaspace
        self.fs_sparecon64 = fs_sparecon64
        self.fs_sblockactualloc = fs_sblockactualloc
        self.fs_sblockloc = fs_sblockloc
        self.fs_cstotal = CsumTotal() if fs_cstotal is None else fs_cstotal
        self.fs_time = fs_time
        self.fs_size = fs_size
        self.fs_dsize = fs_dsize
        self.fs_csaddr = fs_csaddr
        self.fs_pendingblocks = fs_pendingblocks
        self.fs_pendinginodes = fs_pendinginodes
        self.fs_snapinum = fs_snapinum
        self.fs_avgfilesize = fs_avgfilesize
        self.fs_avgfpdir = fs_avgfpdir
        self.fs_save_cgsize = fs_save_cgsize
        self.fs_mtime = fs_mtime
        self.fs_sujfree = fs_sujfree
        self.fs_sparecon32 = fs_sparecon32
        self.fs_ckhash = fs_ckhash
        self.fs_metackhash = fs_metackhash
        self.fs_flags = fs_flags
        self.fs_contigsumsize = fs_contigsumsize
        self.fs_maxsymlinklen = fs_maxsymlinklen
        self.fs_old_inodefmt = fs_old_inodefmt
        self.fs_maxfilesize = fs_maxfilesize
        self.fs_qbmask = fs_qbmask
        self.fs_qfmask = fs_qfmask
        self.fs_state = fs_state
        self.fs_old_postblformat = fs_old_postblformat
        self.fs_old_nrpos = fs_old_nrpos
        self.fs_spare5 = fs_spare5
        self.fs_magic = fs_magic

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "Fs",
        (
            Field("fs_firstfield", "l"),
            Field("fs_unused_1", "l"),
            Field("fs_sblkno", "l"),
            Field("fs_cblkno", "l"),
            Field("fs_iblkno", "l"),
            Field("fs_dblkno", "l"),
            Field("fs_old_cgoffset", "l"),
            Field("fs_old_cgmask", "l"),
            Field("fs_old_time", "l"),
            Field("fs_old_size", "l"),
            Field("fs_old_dsize", "l"),
            Field("fs_ncg", "L"),
            Field("fs_bsize", "l"),
            Field("fs_fsize", "l"),
            Field("fs_frag", "l"),
            Field("fs_minfree", "l"),
            Field("fs_old_rotdelay", "l"),
            Field("fs_old_rps", "l"),
            Field("fs_bmask", "l"),
            Field("fs_fmask", "l"),
            Field("fs_bshift", "l"),
            Field("fs_fshift", "l"),
            Field("fs_maxcontig", "l"),
            Field("fs_maxbpg", "l"),
            Field("fs_fragshift", "l"),
            Field("fs_fsbtodb", "l"),
            Field("fs_sbsize", "l"),
            Field("fs_spare1", "l", 2),
            Field("fs_nindir", "l"),
            Field("fs_inopb", "L"),
            Field("fs_old_nspf", "l"),
            Field("fs_optim", "l"),
            Field("fs_old_npsect", "l"),
            Field("fs_old_interleave", "l"),
            Field("fs_old_trackskew", "l"),
            Field("fs_id", "l", 2),
            Field("fs_old_csaddr", "l"),
            Field("fs_cssize", "l"),
            Field("fs_cgsize", "l"),
            Field("fs_spare2", "l"),
            Field("fs_old_nsect", "l"),
            Field("fs_old_spc", "l"),
            Field("fs_old_ncyl", "l"),
            Field("fs_old_cpg", "l"),
            Field("fs_ipg", "L"),
            Field("fs_fpg", "l"),
            Field("fs_old_cstotal", "", None, Csum.LAYOUT),
            Field("fs_fmod", "B"),
            Field("fs_clean", "B"),
            Field("fs_ronly", "B"),
            Field("fs_old_flags", "B"),
            Field("fs_fsmnt", "s", 468),
            Field("fs_volname", "s", 32),
            Field("fs_swuid", "Q"),
            Field("fs_pad", "l"),
            Field("fs_cgrotor", "l"),
            Field("fs_ocsp", "s", 128),
            Field("fs_old_cpc", "l"),
            Field("fs_maxbsize", "l"),
            Field("fs_unrefs", "q"),
            Field("fs_providersize", "q"),
            Field("fs_metaspace", "q"),
            Field("fs_sparecon64", "q", 13),
            Field("fs_sblockactualloc", "q"),
            Field("fs_sblockloc", "q"),
            Field("fs_cstotal", "", None, CsumTotal.LAYOUT),
            Field("fs_time", "q"),
            Field("fs_size", "q"),
            Field("fs_dsize", "q"),
            Field("fs_csaddr", "q"),
            Field("fs_pendingblocks", "q"),
            Field("fs_pendinginodes", "L"),
            Field("fs_snapinum", "L", 20),
            Field("fs_avgfilesize", "L"),
            Field("fs_avgfpdir", "L"),
            Field("fs_save_cgsize", "l"),
            Field("fs_mtime", "q"),
            Field("fs_sujfree", "l"),
            Field("fs_sparecon32", "l", 21),
            Field("fs_ckhash", "L"),
            Field("fs_metackhash", "L"),
            Field("fs_flags", "L"),
            Field("fs_contigsumsize", "l"),
            Field("fs_maxsymlinklen", "l"),
            Field("fs_old_inodefmt", "l"),
            Field("fs_maxfilesize", "Q"),
            Field("fs_qbmask", "q"),
            Field("fs_qfmask", "q"),
            Field("fs_state", "l"),
            Field("fs_old_postblformat", "l"),
            Field("fs_old_nrpos", "l"),
            Field("fs_spare5", "l", 2),
            Field("fs_magic", "L"),
        ),
    )
    SIZE: ClassVar[int] = 1376

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(
            values[0],
            values[1],
            values[2],
            values[3],
            values[4],
            values[5],
            values[6],
            values[7],
            values[8],
            values[9],
            values[10],
            values[11],
            values[12],
            values[13],
            values[14],
            values[15],
            values[16],
            values[17],
            values[18],
            values[19],
            values[20],
            values[21],
            values[22],
            values[23],
            values[24],
            values[25],
            values[26],
            values[27:29],
            values[29],
            values[30],
            values[31],
            values[32],
            values[33],
            values[34],
            values[35],
            values[36:38],
            values[38],
            values[39],
            values[40],
            values[41],
            values[42],
            values[43],
            values[44],
            values[45],
            values[46],
            values[47],
            Csum._from_values(values[48:52]),
            values[52],
            values[53],
            values[54],
            values[55],
            values[56],
            values[57],
            values[58],
            values[59],
            values[60],
            values[61],
            values[62],
            values[63],
            values[64],
            values[65],
            values[66],
            values[67:80],
            values[80],
            values[81],
            CsumTotal._from_values(values[82:90]),
            values[90],
            values[91],
            values[92],
            values[93],
            values[94],
            values[95],
            values[96:116],
            values[116],
            values[117],
            values[118],
            values[119],
            values[120],
            values[121:142],
            values[142],
            values[143],
            values[144],
            values[145],
            values[146],
            values[147],
            values[148],
            values[149],
            values[150],
            values[151],
            values[152],
            values[153],
            values[154:156],
            values[156],
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            self.fs_firstfield,
            self.fs_unused_1,
            self.fs_sblkno,
            self.fs_cblkno,
            self.fs_iblkno,
            self.fs_dblkno,
            self.fs_old_cgoffset,
            self.fs_old_cgmask,
            self.fs_old_time,
            self.fs_old_size,
            self.fs_old_dsize,
            self.fs_ncg,
            self.fs_bsize,
            self.fs_fsize,
            self.fs_frag,
            self.fs_minfree,
            self.fs_old_rotdelay,
            self.fs_old_rps,
            self.fs_bmask,
            self.fs_fmask,
            self.fs_bshift,
            self.fs_fshift,
            self.fs_maxcontig,
            self.fs_maxbpg,
            self.fs_fragshift,
            self.fs_fsbtodb,
            self.fs_sbsize,
            *exactly("Fs", "fs_spare1", 2, self.fs_spare1),
            self.fs_nindir,
            self.fs_inopb,
            self.fs_old_nspf,
            self.fs_optim,
            self.fs_old_npsect,
            self.fs_old_interleave,
            self.fs_old_trackskew,
            *exactly("Fs", "fs_id", 2, self.fs_id),
            self.fs_old_csaddr,
            self.fs_cssize,
            self.fs_cgsize,
            self.fs_spare2,
            self.fs_old_nsect,
            self.fs_old_spc,
            self.fs_old_ncyl,
            self.fs_old_cpg,
            self.fs_ipg,
            self.fs_fpg,
            *self.fs_old_cstotal._values(),
            self.fs_fmod,
            self.fs_clean,
            self.fs_ronly,
            self.fs_old_flags,
            exactly("Fs", "fs_fsmnt", 468, self.fs_fsmnt),
            exactly("Fs", "fs_volname", 32, self.fs_volname),
            self.fs_swuid,
            self.fs_pad,
            self.fs_cgrotor,
            exactly("Fs", "fs_ocsp", 128, self.fs_ocsp),
            self.fs_old_cpc,
            self.fs_maxbsize,
            self.fs_unrefs,
            self.fs_providersize,
            self.fs_metaspace,
            *exactly("Fs", "fs_sparecon64", 13, self.fs_sparecon64),
            self.fs_sblockactualloc,
            self.fs_sblockloc,
            *self.fs_cstotal._values(),
            self.fs_time,
            self.fs_size,
            self.fs_dsize,
            self.fs_csaddr,
            self.fs_pendingblocks,
            self.fs_pendinginodes,
            *exactly("Fs", "fs_snapinum", 20, self.fs_snapinum),
            self.fs_avgfilesize,
            self.fs_avgfpdir,
            self.fs_save_cgsize,
            self.fs_mtime,
            self.fs_sujfree,
            *exactly("Fs", "fs_sparecon32", 21, self.fs_sparecon32),
            self.fs_ckhash,
            self.fs_metackhash,
            self.fs_flags,
            self.fs_contigsumsize,
            self.fs_maxsymlinklen,
            self.fs_old_inodefmt,
            self.fs_maxfilesize,
            self.fs_qbmask,
            self.fs_qfmask,
            self.fs_state,
            self.fs_old_postblformat,
            self.fs_old_nrpos,
            *exactly("Fs", "fs_spare5", 2, self.fs_spare5),
            self.fs_magic,
        )


@dataclass(slots=True, eq=False, repr=False)
class Cg(EitherOrderRecord):
    """The head of a cylinder group block (fs.h, struct cg). (168 bytes)"""

    cg_firstfield: int = 0
    cg_magic: int = 0
    cg_old_time: int = 0
    #: number of this group
    cg_cgx: int = 0
    cg_old_ncyl: int = 0
    cg_old_niblk: int = 0
    #: fragments in this group
    cg_ndblk: int = 0
    #: Counters of one cylinder group (fs.h, struct csum).
    cg_cs: Csum = field(default_factory=lambda: Csum())
    cg_rotor: int = 0
    cg_frotor: int = 0
    cg_irotor: int = 0
    #: free runs of 1..7 fragments in partly used blocks
    cg_frsum: tuple[int, ...] = (0,) * 8
    cg_old_btotoff: int = 0
    cg_old_boff: int = 0
    #: inode bitmap: 1 is used
    cg_iusedoff: int = 0
    #: fragment bitmap: 1 is free
    cg_freeoff: int = 0
    cg_nextfreeoff: int = 0
    #: free clusters by length
    cg_clustersumoff: int = 0
    #: block bitmap: 1 is free
    cg_clusteroff: int = 0
    #: whole blocks in this group
    cg_nclusterblks: int = 0
    #: inodes in this group
    cg_niblk: int = 0
    #: inodes initialised on disk
    cg_initediblk: int = 0
    cg_unrefs: int = 0
    cg_sparecon32: tuple[int, ...] = (0,) * 1
    #: check-hash of this group
    cg_ckhash: int = 0
    cg_time: int = 0
    cg_sparecon64: tuple[int, ...] = (0,) * 3

    def __init__(
        self,
        cg_firstfield: int = 0,
        cg_magic: int = 0,
        cg_old_time: int = 0,
        cg_cgx: int = 0,
        cg_old_ncyl: int = 0,
        cg_old_niblk: int = 0,
        cg_ndblk: int = 0,
        cg_cs: Csum | None = None,
        cg_rotor: int = 0,
        cg_frotor: int = 0,
        cg_irotor: int = 0,
        cg_frsum: tuple[int, ...] = (0,) * 8,
        cg_old_btotoff: int = 0,
        cg_old_boff: int = 0,
        cg_iusedoff: int = 0,
        cg_freeoff: int = 0,
        cg_nextfreeoff: int = 0,
        cg_clustersumoff: int = 0,
        cg_clusteroff: int = 0,
        cg_nclusterblks: int = 0,
        cg_niblk: int = 0,
        cg_initediblk: int = 0,
        cg_unrefs: int = 0,
        cg_sparecon32: tuple[int, ...] = (0,) * 1,
        cg_ckhash: int = 0,
        cg_time: int = 0,
        cg_sparecon64: tuple[int, ...] = (0,) * 3,
    ) -> None:
        self.cg_firstfield = cg_firstfield
        self.cg_magic = cg_magic
        self.cg_old_time = cg_old_time
        self.cg_cgx = cg_cgx
        self.cg_old_ncyl = cg_old_ncyl
        self.cg_old_niblk = cg_old_niblk
        self.cg_ndblk = cg_ndblk
        self.cg_cs = Csum() if cg_cs is None else cg_cs
        self.cg_rotor = cg_rotor
        self.cg_frotor = cg_frotor
        self.cg_irotor = cg_irotor
        self.cg_frsum = cg_frsum
        self.cg_old_btotoff = cg_old_btotoff
        self.cg_old_boff = cg_old_boff
        self.cg_iusedoff = cg_iusedoff
        self.cg_freeoff = cg_freeoff
        self.cg_nextfreeoff = cg_nextfreeoff
        self.cg_clustersumoff = cg_clustersumoff
        self.cg_clusteroff = cg_clusteroff
        self.cg_nclusterblks = cg_nclusterblks
        self.cg_niblk = cg_niblk
        self.cg_initediblk = cg_initediblk
        self.cg_unrefs = cg_unrefs
        self.cg_sparecon32 = cg_sparecon32
        self.cg_ckhash = cg_ckhash
        self.cg_time = cg_time
        self.cg_sparecon64 = cg_sparecon64

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "Cg",
        (
            Field("cg_firstfield", "l"),
            Field("cg_magic", "l"),
            Field("cg_old_time", "l"),
            Field("cg_cgx", "L"),
            Field("cg_old_ncyl", "h"),
            Field("cg_old_niblk", "h"),
            Field("cg_ndblk", "L"),
            Field("cg_cs", "", None, Csum.LAYOUT),
            Field("cg_rotor", "L"),
            Field("cg_frotor", "L"),
            Field("cg_irotor", "L"),
            Field("cg_frsum", "L", 8),
            Field("cg_old_btotoff", "l"),
            Field("cg_old_boff", "l"),
            Field("cg_iusedoff", "L"),
            Field("cg_freeoff", "L"),
            Field("cg_nextfreeoff", "L"),
            Field("cg_clustersumoff", "L"),
            Field("cg_clusteroff", "L"),
            Field("cg_nclusterblks", "L"),
            Field("cg_niblk", "L"),
            Field("cg_initediblk", "L"),
            Field("cg_unrefs", "L"),
            Field("cg_sparecon32", "l", 1),
            Field("cg_ckhash", "L"),
            Field("cg_time", "q"),
            Field("cg_sparecon64", "q", 3),
        ),
    )
    SIZE: ClassVar[int] = 168

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(
            values[0],
            values[1],
            values[2],
            values[3],
            values[4],
            values[5],
            values[6],
            Csum._from_values(values[7:11]),
            values[11],
            values[12],
            values[13],
            values[14:22],
            values[22],
            values[23],
            values[24],
            values[25],
            values[26],
            values[27],
            values[28],
            values[29],
            values[30],
            values[31],
            values[32],
            values[33:34],
            values[34],
            values[35],
            values[36:39],
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            self.cg_firstfield,
            self.cg_magic,
            self.cg_old_time,
            self.cg_cgx,
            self.cg_old_ncyl,
            self.cg_old_niblk,
            self.cg_ndblk,
            *self.cg_cs._values(),
            self.cg_rotor,
            self.cg_frotor,
            self.cg_irotor,
            *exactly("Cg", "cg_frsum", 8, self.cg_frsum),
            self.cg_old_btotoff,
            self.cg_old_boff,
            self.cg_iusedoff,
            self.cg_freeoff,
            self.cg_nextfreeoff,
            self.cg_clustersumoff,
            self.cg_clusteroff,
            self.cg_nclusterblks,
            self.cg_niblk,
            self.cg_initediblk,
            self.cg_unrefs,
            *exactly("Cg", "cg_sparecon32", 1, self.cg_sparecon32),
            self.cg_ckhash,
            self.cg_time,
            *exactly("Cg", "cg_sparecon64", 3, self.cg_sparecon64),
        )


@dataclass(slots=True, eq=False, repr=False)
class Ufs2Dinode(EitherOrderRecord):
    """An inode (dinode.h, struct ufs2_dinode). (256 bytes)"""

    di_mode: int = 0
    di_nlink: int = 0
    di_uid: int = 0
    di_gid: int = 0
    di_blksize: int = 0
    di_size: int = 0
    #: 512-byte units held, indirect blocks and attributes included
    di_blocks: int = 0
    di_atime: int = 0
    di_mtime: int = 0
    di_ctime: int = 0
    di_birthtime: int = 0
    di_mtimensec: int = 0
    di_atimensec: int = 0
    di_ctimensec: int = 0
    di_birthnsec: int = 0
    di_gen: int = 0
    di_kernflags: int = 0
    di_flags: int = 0
    #: bytes of extended attributes
    di_extsize: int = 0
    di_extb: tuple[int, ...] = (0,) * 2
    di_db: tuple[int, ...] = (0,) * 12
    di_ib: tuple[int, ...] = (0,) * 3
    di_modrev: int = 0
    #: of a directory: levels below the root
    di_dirdepth: int = 0
    #: check-hash of this inode
    di_ckhash: int = 0
    di_spare: tuple[int, ...] = (0,) * 2

    def __init__(
        self,
        di_mode: int = 0,
        di_nlink: int = 0,
        di_uid: int = 0,
        di_gid: int = 0,
        di_blksize: int = 0,
        di_size: int = 0,
        di_blocks: int = 0,
        di_atime: int = 0,
        di_mtime: int = 0,
        di_ctime: int = 0,
        di_birthtime: int = 0,
        di_mtimensec: int = 0,
        di_atimensec: int = 0,
        di_ctimensec: int = 0,
        di_birthnsec: int = 0,
        di_gen: int = 0,
        di_kernflags: int = 0,
        di_flags: int = 0,
        di_extsize: int = 0,
        di_extb: tuple[int, ...] = (0,) * 2,
        di_db: tuple[int, ...] = (0,) * 12,
        di_ib: tuple[int, ...] = (0,) * 3,
        di_modrev: int = 0,
        di_dirdepth: int = 0,
        di_ckhash: int = 0,
        di_spare: tuple[int, ...] = (0,) * 2,
    ) -> None:
        self.di_mode = di_mode
        self.di_nlink = di_nlink
        self.di_uid = di_uid
        self.di_gid = di_gid
        self.di_blksize = di_blksize
        self.di_size = di_size
        self.di_blocks = di_blocks
        self.di_atime = di_atime
        self.di_mtime = di_mtime
        self.di_ctime = di_ctime
        self.di_birthtime = di_birthtime
        self.di_mtimensec = di_mtimensec
        self.di_atimensec = di_atimensec
        self.di_ctimensec = di_ctimensec
        self.di_birthnsec = di_birthnsec
        self.di_gen = di_gen
        self.di_kernflags = di_kernflags
        self.di_flags = di_flags
        self.di_extsize = di_extsize
        self.di_extb = di_extb
        self.di_db = di_db
        self.di_ib = di_ib
        self.di_modrev = di_modrev
        self.di_dirdepth = di_dirdepth
        self.di_ckhash = di_ckhash
        self.di_spare = di_spare

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "Ufs2Dinode",
        (
            Field("di_mode", "H"),
            Field("di_nlink", "H"),
            Field("di_uid", "L"),
            Field("di_gid", "L"),
            Field("di_blksize", "L"),
            Field("di_size", "Q"),
            Field("di_blocks", "Q"),
            Field("di_atime", "q"),
            Field("di_mtime", "q"),
            Field("di_ctime", "q"),
            Field("di_birthtime", "q"),
            Field("di_mtimensec", "l"),
            Field("di_atimensec", "l"),
            Field("di_ctimensec", "l"),
            Field("di_birthnsec", "l"),
            Field("di_gen", "L"),
            Field("di_kernflags", "L"),
            Field("di_flags", "L"),
            Field("di_extsize", "L"),
            Field("di_extb", "q", 2),
            Field("di_db", "q", 12),
            Field("di_ib", "q", 3),
            Field("di_modrev", "Q"),
            Field("di_dirdepth", "L"),
            Field("di_ckhash", "L"),
            Field("di_spare", "L", 2),
        ),
    )
    SIZE: ClassVar[int] = 256

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(
            values[0],
            values[1],
            values[2],
            values[3],
            values[4],
            values[5],
            values[6],
            values[7],
            values[8],
            values[9],
            values[10],
            values[11],
            values[12],
            values[13],
            values[14],
            values[15],
            values[16],
            values[17],
            values[18],
            values[19:21],
            values[21:33],
            values[33:36],
            values[36],
            values[37],
            values[38],
            values[39:41],
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            self.di_mode,
            self.di_nlink,
            self.di_uid,
            self.di_gid,
            self.di_blksize,
            self.di_size,
            self.di_blocks,
            self.di_atime,
            self.di_mtime,
            self.di_ctime,
            self.di_birthtime,
            self.di_mtimensec,
            self.di_atimensec,
            self.di_ctimensec,
            self.di_birthnsec,
            self.di_gen,
            self.di_kernflags,
            self.di_flags,
            self.di_extsize,
            *exactly("Ufs2Dinode", "di_extb", 2, self.di_extb),
            *exactly("Ufs2Dinode", "di_db", 12, self.di_db),
            *exactly("Ufs2Dinode", "di_ib", 3, self.di_ib),
            self.di_modrev,
            self.di_dirdepth,
            self.di_ckhash,
            *exactly("Ufs2Dinode", "di_spare", 2, self.di_spare),
        )


@dataclass(slots=True, eq=False, repr=False)
class Ufs1Dinode(EitherOrderRecord):
    """An inode of UFS1 (dinode.h, struct ufs1_dinode). (128 bytes)"""

    di_mode: int = 0
    di_nlink: int = 0
    #: of soft updates; 16-bit owners in file systems before 4.4BSD
    di_freelink: int = 0
    di_size: int = 0
    di_atime: int = 0
    di_atimensec: int = 0
    di_mtime: int = 0
    di_mtimensec: int = 0
    di_ctime: int = 0
    di_ctimensec: int = 0
    di_db: tuple[int, ...] = (0,) * 12
    di_ib: tuple[int, ...] = (0,) * 3
    di_flags: int = 0
    #: 512-byte units held, indirect blocks included
    di_blocks: int = 0
    di_gen: int = 0
    di_uid: int = 0
    di_gid: int = 0
    di_modrev: int = 0

    def __init__(
        self,
        di_mode: int = 0,
        di_nlink: int = 0,
        di_freelink: int = 0,
        di_size: int = 0,
        di_atime: int = 0,
        di_atimensec: int = 0,
        di_mtime: int = 0,
        di_mtimensec: int = 0,
        di_ctime: int = 0,
        di_ctimensec: int = 0,
        di_db: tuple[int, ...] = (0,) * 12,
        di_ib: tuple[int, ...] = (0,) * 3,
        di_flags: int = 0,
        di_blocks: int = 0,
        di_gen: int = 0,
        di_uid: int = 0,
        di_gid: int = 0,
        di_modrev: int = 0,
    ) -> None:
        self.di_mode = di_mode
        self.di_nlink = di_nlink
        self.di_freelink = di_freelink
        self.di_size = di_size
        self.di_atime = di_atime
        self.di_atimensec = di_atimensec
        self.di_mtime = di_mtime
        self.di_mtimensec = di_mtimensec
        self.di_ctime = di_ctime
        self.di_ctimensec = di_ctimensec
        self.di_db = di_db
        self.di_ib = di_ib
        self.di_flags = di_flags
        self.di_blocks = di_blocks
        self.di_gen = di_gen
        self.di_uid = di_uid
        self.di_gid = di_gid
        self.di_modrev = di_modrev

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "Ufs1Dinode",
        (
            Field("di_mode", "H"),
            Field("di_nlink", "H"),
            Field("di_freelink", "L"),
            Field("di_size", "Q"),
            Field("di_atime", "l"),
            Field("di_atimensec", "l"),
            Field("di_mtime", "l"),
            Field("di_mtimensec", "l"),
            Field("di_ctime", "l"),
            Field("di_ctimensec", "l"),
            Field("di_db", "l", 12),
            Field("di_ib", "l", 3),
            Field("di_flags", "L"),
            Field("di_blocks", "L"),
            Field("di_gen", "L"),
            Field("di_uid", "L"),
            Field("di_gid", "L"),
            Field("di_modrev", "Q"),
        ),
    )
    SIZE: ClassVar[int] = 128

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(
            values[0],
            values[1],
            values[2],
            values[3],
            values[4],
            values[5],
            values[6],
            values[7],
            values[8],
            values[9],
            values[10:22],
            values[22:25],
            values[25],
            values[26],
            values[27],
            values[28],
            values[29],
            values[30],
        )

    def _values(self) -> tuple[Any, ...]:
        return (
            self.di_mode,
            self.di_nlink,
            self.di_freelink,
            self.di_size,
            self.di_atime,
            self.di_atimensec,
            self.di_mtime,
            self.di_mtimensec,
            self.di_ctime,
            self.di_ctimensec,
            *exactly("Ufs1Dinode", "di_db", 12, self.di_db),
            *exactly("Ufs1Dinode", "di_ib", 3, self.di_ib),
            self.di_flags,
            self.di_blocks,
            self.di_gen,
            self.di_uid,
            self.di_gid,
            self.di_modrev,
        )


@dataclass(slots=True, eq=False, repr=False)
class Extattr(EitherOrderRecord):
    """The head of an extended attribute; its name follows at once, its content on the next multiple of 8 (extattr.h). (7 bytes)"""

    #: of the whole attribute, a multiple of 8
    ea_length: int = 0
    #: 1: user, 2: system
    ea_namespace: int = 0
    #: zeros after the content
    ea_contentpadlen: int = 0
    ea_namelength: int = 0

    def __init__(
        self,
        ea_length: int = 0,
        ea_namespace: int = 0,
        ea_contentpadlen: int = 0,
        ea_namelength: int = 0,
    ) -> None:
        self.ea_length = ea_length
        self.ea_namespace = ea_namespace
        self.ea_contentpadlen = ea_contentpadlen
        self.ea_namelength = ea_namelength

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "Extattr",
        (
            Field("ea_length", "L"),
            Field("ea_namespace", "B"),
            Field("ea_contentpadlen", "B"),
            Field("ea_namelength", "B"),
        ),
    )
    SIZE: ClassVar[int] = 7

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.ea_length,
            self.ea_namespace,
            self.ea_contentpadlen,
            self.ea_namelength,
        )


@dataclass(slots=True, eq=False, repr=False)
class Direct(EitherOrderRecord):
    """The head of a directory record; the name and its NUL follow (dir.h, struct direct). (8 bytes)"""

    #: 0: unused
    d_ino: int = 0
    d_reclen: int = 0
    d_type: int = 0
    d_namlen: int = 0

    def __init__(
        self,
        d_ino: int = 0,
        d_reclen: int = 0,
        d_type: int = 0,
        d_namlen: int = 0,
    ) -> None:
        self.d_ino = d_ino
        self.d_reclen = d_reclen
        self.d_type = d_type
        self.d_namlen = d_namlen

    LAYOUT: ClassVar[RecordLayout] = RecordLayout(
        "Direct",
        (
            Field("d_ino", "L"),
            Field("d_reclen", "H"),
            Field("d_type", "B"),
            Field("d_namlen", "B"),
        ),
    )
    SIZE: ClassVar[int] = 8

    @classmethod
    def _from_values(cls, values: tuple[Any, ...]) -> Self:
        return cls(*values)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.d_ino,
            self.d_reclen,
            self.d_type,
            self.d_namlen,
        )
