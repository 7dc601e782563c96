"""The constants of UFS2, named as in FreeBSD's ``ufs/ffs/fs.h``, ``ufs/ufs/dinode.h`` and ``ufs/ufs/dir.h``."""

from __future__ import annotations

# fs.h: where a superblock may stand, and the order in which it is looked for.
SBLOCK_FLOPPY, SBLOCK_UFS1, SBLOCK_UFS2, SBLOCK_PIGGY = 0, 8192, 65536, 262144
SBLOCKSEARCH = (SBLOCK_UFS2, SBLOCK_UFS1, SBLOCK_FLOPPY, SBLOCK_PIGGY)
SBLOCKSIZE = 8192

FS_UFS1_MAGIC, FS_UFS2_MAGIC, FS_BAD_MAGIC = 0x011954, 0x19540119, 0x19960408
FS_UFS2EA_MAGIC = 0x19012038  # NetBSD's: UFS2 in which di_extb is known to mean something
FS_44INODEFMT = 2  # fs_old_inodefmt of UFS1: 32-bit owners, and d_type in directories
CG_MAGIC = 0x090255
MINBSIZE, MAXBSIZE, MAXFRAG = 4096, 65536, 8
DEV_BSIZE = 512
MAXMNTLEN, MAXVOLLEN = 468, 32
FS_MAXCONTIG = 16
FSMAXSNAP = 20
MINCYLGRPS = 4
SUJ_FILE = b".sujournal"  # the journal of soft updates, in the root directory
SUJ_MIN, SUJ_MAX = 4 << 20, 32 << 20  # bytes of it, by default

# fs.h: fs_flags and fs_metackhash.
FS_UNCLEAN, FS_DOSOFTDEP, FS_NEEDSFSCK, FS_SUJ = 0x01, 0x02, 0x04, 0x08
FS_ACLS, FS_MULTILABEL, FS_GJOURNAL, FS_FLAGS_UPDATED = 0x10, 0x20, 0x40, 0x80
FS_NFS4ACLS, FS_METACKHASH, FS_TRIM = 0x100, 0x200, 0x400
CK_SUPERBLOCK, CK_CYLGRP, CK_INODE = 0x1, 0x2, 0x4
FS_OPTTIME, FS_OPTSPACE = 0, 1

# dinode.h
UFS_NXADDR, UFS_NDADDR, UFS_NIADDR = 2, 12, 3
UFS_ROOTINO = 2
UFS_LINK_MAX, UFS_LINK_MAX_SIGNED, UFS_LINK_MAX_SINCE = 65500, 32767, 15  # the version from which on it is 65500
MAXSYMLINKLEN = (UFS_NDADDR + UFS_NIADDR) * 8
UF_NODUMP, SF_IMMUTABLE, SF_NOUNLINK, SF_SNAPSHOT = 0x00000001, 0x00020000, 0x00100000, 0x00200000  # stat.h
BLK_NOCOPY, BLK_SNAP = 1, 2  # fs.h: what a pointer of a snapshot can be besides an address

# dir.h
DIRBLKSIZ = 512
UFS_MAXNAMLEN = 255
DIRECT_HEADER = 8
DT_UNKNOWN, DT_FIFO, DT_CHR, DT_DIR, DT_BLK, DT_REG, DT_LNK, DT_SOCK, DT_WHT = 0, 1, 2, 4, 6, 8, 10, 12, 14
