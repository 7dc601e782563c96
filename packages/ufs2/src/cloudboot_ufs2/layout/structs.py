"""The records of UFS2, as FreeBSD's ``ufs/ffs/fs.h``, ``ufs/ufs/dinode.h`` and ``ufs/ufs/dir.h`` define them.

Declarations only, in the headers' own field names. ``records.py`` is generated from this module.
"""

from __future__ import annotations

from construct import Array, Bytes, Int8ul, Int16sl, Int16ul, Int32sl, Int32ul, Int64sl, Int64ul, Struct

from .constants import FSMAXSNAP, MAXFRAG, MAXMNTLEN, MAXVOLLEN, UFS_NDADDR, UFS_NIADDR, UFS_NXADDR

#: UFS is written in the byte order of the machine that made it.
BYTE_ORDER = "either"

Csum = (
    Struct(
        "cs_ndir" / Int32sl * "number of directories",
        "cs_nbfree" / Int32sl * "number of free blocks",
        "cs_nifree" / Int32sl * "number of free inodes",
        "cs_nffree" / Int32sl * "number of free fragments in partly used blocks",
    )
    * "Counters of one cylinder group (fs.h, struct csum)."
)

CsumTotal = (
    Struct(
        "cs_ndir" / Int64sl,
        "cs_nbfree" / Int64sl,
        "cs_nifree" / Int64sl,
        "cs_nffree" / Int64sl,
        "cs_numclusters" / Int64sl,
        "cs_spare" / Array(3, Int64sl),
    )
    * "Counters of the whole file system (fs.h, struct csum_total)."
)

FsRecovery = (
    Struct(
        "fsr_magic" / Int32sl,
        "fsr_fsbtodb" / Int32sl,
        "fsr_sblkno" / Int32sl,
        "fsr_fpg" / Int32sl,
        "fsr_ncg" / Int32ul,
    )
    * "What fsck needs to find the backup superblocks; the last 20 bytes before byte 65536 (fs.h, struct fsrecovery)."
)

Fs = (
    Struct(
        "fs_firstfield" / Int32sl,
        "fs_unused_1" / Int32sl,
        "fs_sblkno" / Int32sl * "backup superblock, in fragments from the start of a group",
        "fs_cblkno" / Int32sl * "cylinder group block, in fragments from the start of a group",
        "fs_iblkno" / Int32sl * "inode table, in fragments from the start of a group",
        "fs_dblkno" / Int32sl * "first data, in fragments from the start of a group",
        "fs_old_cgoffset" / Int32sl,
        "fs_old_cgmask" / Int32sl,
        "fs_old_time" / Int32sl,
        "fs_old_size" / Int32sl,
        "fs_old_dsize" / Int32sl,
        "fs_ncg" / Int32ul * "number of cylinder groups",
        "fs_bsize" / Int32sl * "block size, bytes",
        "fs_fsize" / Int32sl * "fragment size, bytes",
        "fs_frag" / Int32sl * "fragments in a block",
        "fs_minfree" / Int32sl * "percentage of space kept for root",
        "fs_old_rotdelay" / Int32sl,
        "fs_old_rps" / Int32sl,
        "fs_bmask" / Int32sl,
        "fs_fmask" / Int32sl,
        "fs_bshift" / Int32sl,
        "fs_fshift" / Int32sl,
        "fs_maxcontig" / Int32sl * "blocks the kernel transfers at once",
        "fs_maxbpg" / Int32sl * "blocks one file may take from one group",
        "fs_fragshift" / Int32sl,
        "fs_fsbtodb" / Int32sl * "log2 of 512-byte sectors in a fragment",
        "fs_sbsize" / Int32sl * "bytes of a superblock on disk; its check-hash covers them",
        "fs_spare1" / Array(2, Int32sl),
        "fs_nindir" / Int32sl * "pointers in an indirect block",
        "fs_inopb" / Int32ul * "inodes in a block",
        "fs_old_nspf" / Int32sl,
        "fs_optim" / Int32sl * "0: time, 1: space",
        "fs_old_npsect" / Int32sl,
        "fs_old_interleave" / Int32sl,
        "fs_old_trackskew" / Int32sl,
        "fs_id" / Array(2, Int32sl) * "unique identity; the UFS id of a device name",
        "fs_old_csaddr" / Int32sl,
        "fs_cssize" / Int32sl * "bytes of the summary area",
        "fs_cgsize" / Int32sl * "bytes of a cylinder group block; its check-hash covers them",
        "fs_spare2" / Int32sl,
        "fs_old_nsect" / Int32sl,
        "fs_old_spc" / Int32sl,
        "fs_old_ncyl" / Int32sl,
        "fs_old_cpg" / Int32sl,
        "fs_ipg" / Int32ul * "inodes in a group",
        "fs_fpg" / Int32sl * "fragments in a group",
        "fs_old_cstotal" / Csum,
        "fs_fmod" / Int8ul,
        "fs_clean" / Int8ul * "1: unmounted cleanly",
        "fs_ronly" / Int8ul,
        "fs_old_flags" / Int8ul * "0x80: see fs_flags",
        "fs_fsmnt" / Bytes(MAXMNTLEN) * "where it was last mounted",
        "fs_volname" / Bytes(MAXVOLLEN) * "volume label",
        "fs_swuid" / Int64ul,
        "fs_pad" / Int32sl,
        "fs_cgrotor" / Int32sl,
        "fs_ocsp" / Bytes(128) * "pointers of a running kernel; zero on disk",
        "fs_old_cpc" / Int32sl,
        "fs_maxbsize" / Int32sl * "largest extent, bytes",
        "fs_unrefs" / Int64sl,
        "fs_providersize" / Int64sl * "size of the partition, in fragments",
        "fs_metaspace" / Int64sl * "fragments at the start of a group's data kept for metadata",
        "fs_sparecon64" / Array(13, Int64sl),
        "fs_sblockactualloc" / Int64sl * "byte offset of this copy",
        "fs_sblockloc" / Int64sl * "byte offset of the standard superblock",
        "fs_cstotal" / CsumTotal,
        "fs_time" / Int64sl * "last written, seconds",
        "fs_size" / Int64sl * "size of the file system, in fragments",
        "fs_dsize" / Int64sl * "fragments for data",
        "fs_csaddr" / Int64sl * "summary area, in fragments",
        "fs_pendingblocks" / Int64sl,
        "fs_pendinginodes" / Int32ul,
        "fs_snapinum" / Array(FSMAXSNAP, Int32ul) * "inodes of snapshots",
        "fs_avgfilesize" / Int32ul,
        "fs_avgfpdir" / Int32ul,
        "fs_save_cgsize" / Int32sl,
        "fs_mtime" / Int64sl * "last mounted or checked, seconds",
        "fs_sujfree" / Int32sl,
        "fs_sparecon32" / Array(21, Int32sl),
        "fs_ckhash" / Int32ul * "check-hash of this superblock",
        "fs_metackhash" / Int32ul * "which metadata carries check-hashes",
        "fs_flags" / Int32ul,
        "fs_contigsumsize" / Int32sl * "length of the cluster summary",
        "fs_maxsymlinklen" / Int32sl * "a symbolic link shorter than this stands in its inode",
        "fs_old_inodefmt" / Int32sl,
        "fs_maxfilesize" / Int64ul,
        "fs_qbmask" / Int64sl,
        "fs_qfmask" / Int64sl,
        "fs_state" / Int32sl,
        "fs_old_postblformat" / Int32sl,
        "fs_old_nrpos" / Int32sl,
        "fs_spare5" / Array(2, Int32sl),
        "fs_magic" / Int32ul,
    )
    * "A superblock (fs.h, struct fs)."
)

Cg = (
    Struct(
        "cg_firstfield" / Int32sl,
        "cg_magic" / Int32sl,
        "cg_old_time" / Int32sl,
        "cg_cgx" / Int32ul * "number of this group",
        "cg_old_ncyl" / Int16sl,
        "cg_old_niblk" / Int16sl,
        "cg_ndblk" / Int32ul * "fragments in this group",
        "cg_cs" / Csum,
        "cg_rotor" / Int32ul,
        "cg_frotor" / Int32ul,
        "cg_irotor" / Int32ul,
        "cg_frsum" / Array(MAXFRAG, Int32ul) * "free runs of 1..7 fragments in partly used blocks",
        "cg_old_btotoff" / Int32sl,
        "cg_old_boff" / Int32sl,
        "cg_iusedoff" / Int32ul * "inode bitmap: 1 is used",
        "cg_freeoff" / Int32ul * "fragment bitmap: 1 is free",
        "cg_nextfreeoff" / Int32ul,
        "cg_clustersumoff" / Int32ul * "free clusters by length",
        "cg_clusteroff" / Int32ul * "block bitmap: 1 is free",
        "cg_nclusterblks" / Int32ul * "whole blocks in this group",
        "cg_niblk" / Int32ul * "inodes in this group",
        "cg_initediblk" / Int32ul * "inodes initialised on disk",
        "cg_unrefs" / Int32ul,
        "cg_sparecon32" / Array(1, Int32sl),
        "cg_ckhash" / Int32ul * "check-hash of this group",
        "cg_time" / Int64sl,
        "cg_sparecon64" / Array(3, Int64sl),
    )
    * "The head of a cylinder group block (fs.h, struct cg)."
)

Ufs2Dinode = (
    Struct(
        "di_mode" / Int16ul,
        "di_nlink" / Int16ul,
        "di_uid" / Int32ul,
        "di_gid" / Int32ul,
        "di_blksize" / Int32ul,
        "di_size" / Int64ul,
        "di_blocks" / Int64ul * "512-byte units held, indirect blocks and attributes included",
        "di_atime" / Int64sl,
        "di_mtime" / Int64sl,
        "di_ctime" / Int64sl,
        "di_birthtime" / Int64sl,
        "di_mtimensec" / Int32sl,
        "di_atimensec" / Int32sl,
        "di_ctimensec" / Int32sl,
        "di_birthnsec" / Int32sl,
        "di_gen" / Int32ul,
        "di_kernflags" / Int32ul,
        "di_flags" / Int32ul,
        "di_extsize" / Int32ul * "bytes of extended attributes",
        "di_extb" / Array(UFS_NXADDR, Int64sl),
        "di_db" / Array(UFS_NDADDR, Int64sl),
        "di_ib" / Array(UFS_NIADDR, Int64sl),
        "di_modrev" / Int64ul,
        "di_dirdepth" / Int32ul * "of a directory: levels below the root",
        "di_ckhash" / Int32ul * "check-hash of this inode",
        "di_spare" / Array(2, Int32ul),
    )
    * "An inode (dinode.h, struct ufs2_dinode)."
)

Ufs1Dinode = (
    Struct(
        "di_mode" / Int16ul,
        "di_nlink" / Int16ul,
        "di_freelink" / Int32ul * "of soft updates; 16-bit owners in file systems before 4.4BSD",
        "di_size" / Int64ul,
        "di_atime" / Int32sl,
        "di_atimensec" / Int32sl,
        "di_mtime" / Int32sl,
        "di_mtimensec" / Int32sl,
        "di_ctime" / Int32sl,
        "di_ctimensec" / Int32sl,
        "di_db" / Array(UFS_NDADDR, Int32sl),
        "di_ib" / Array(UFS_NIADDR, Int32sl),
        "di_flags" / Int32ul,
        "di_blocks" / Int32ul * "512-byte units held, indirect blocks included",
        "di_gen" / Int32ul,
        "di_uid" / Int32ul,
        "di_gid" / Int32ul,
        "di_modrev" / Int64ul,
    )
    * "An inode of UFS1 (dinode.h, struct ufs1_dinode)."
)

Extattr = (
    Struct(
        "ea_length" / Int32ul * "of the whole attribute, a multiple of 8",
        "ea_namespace" / Int8ul * "1: user, 2: system",
        "ea_contentpadlen" / Int8ul * "zeros after the content",
        "ea_namelength" / Int8ul,
    )
    * "The head of an extended attribute; its name follows at once, its content on the next multiple of 8 (extattr.h)."
)

Direct = (
    Struct(
        "d_ino" / Int32ul * "0: unused",
        "d_reclen" / Int16ul,
        "d_type" / Int8ul,
        "d_namlen" / Int8ul,
    )
    * "The head of a directory record; the name and its NUL follow (dir.h, struct direct)."
)
