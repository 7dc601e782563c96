"""Superblocks: made from a geometry, packed with their check-hash, found in an image."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from cloudboot_ufs2.errors import SuperblockError

from .constants import (
    CK_CYLGRP,
    CK_INODE,
    CK_SUPERBLOCK,
    DEV_BSIZE,
    FS_BAD_MAGIC,
    FS_FLAGS_UPDATED,
    FS_METACKHASH,
    FS_UFS1_MAGIC,
    FS_UFS2_MAGIC,
    FS_UFS2EA_MAGIC,
    MAXSYMLINKLEN,
    SBLOCK_UFS1,
    SBLOCK_UFS2,
    SBLOCKSEARCH,
    SBLOCKSIZE,
    UFS_ROOTINO,
)  # fmt: skip
from .geometry import Geometry, howmany, roundup
from .hashes import check_hash
from .records import CsumTotal, Fs, FsRecovery
from .ufs1 import modernised

if TYPE_CHECKING:
    from cloudboot_base import Storage
    from cloudboot_records import ByteOrder

    from .options import Options

_ACTUAL = Fs.LAYOUT.offsets["fs_sblockactualloc"]
_CKHASH = Fs.LAYOUT.offsets["fs_ckhash"]
_MAGIC = Fs.LAYOUT.offsets["fs_magic"]
_MAGICS = (FS_UFS2_MAGIC, FS_UFS1_MAGIC, FS_UFS2EA_MAGIC)
FSRECOVERY_OFFSET = SBLOCK_UFS2 - FsRecovery.SIZE


def make_superblock(geometry: Geometry, options: Options, provider_size: int) -> Fs:
    """The superblock newfs would write (mkfs.c), before anything is allocated but the metadata.

    ``provider_size`` is the size of the partition in bytes. ``fs_cstotal`` is for the caller to fill.
    """
    bsize, fsize, frag = geometry.block_size, geometry.fragment_size, geometry.fragments_per_block
    metadata = geometry.sblkno + geometry.group_count * (geometry.dblkno - geometry.sblkno)
    return Fs(
        fs_sblkno=geometry.sblkno,
        fs_cblkno=geometry.cblkno,
        fs_iblkno=geometry.iblkno,
        fs_dblkno=geometry.dblkno,
        fs_ncg=geometry.group_count,
        fs_bsize=bsize,
        fs_fsize=fsize,
        fs_frag=frag,
        fs_minfree=options.minfree,
        fs_bmask=-bsize,
        fs_fmask=-fsize,
        fs_bshift=bsize.bit_length() - 1,
        fs_fshift=fsize.bit_length() - 1,
        fs_maxcontig=geometry.max_contiguous,
        fs_maxbpg=options.max_blocks_per_group or geometry.pointers_per_block,
        fs_fragshift=frag.bit_length() - 1,
        fs_fsbtodb=(fsize // DEV_BSIZE).bit_length() - 1,
        fs_sbsize=max(min(roundup(Fs.SIZE, fsize), SBLOCKSIZE), options.sector_size),
        fs_nindir=geometry.pointers_per_block,
        fs_inopb=geometry.inodes_per_block,
        fs_optim=options.optimization,
        fs_id=options.fs_id or derived_id(geometry, options),
        fs_cssize=geometry.summary_size,
        fs_cgsize=geometry.cgsize,
        fs_ipg=geometry.group_inodes,
        fs_fpg=geometry.group_fragments,
        fs_clean=1,
        fs_old_flags=FS_FLAGS_UPDATED,
        fs_volname=options.label.encode("ascii").ljust(32, b"\0"),
        fs_maxbsize=options.extent,
        fs_providersize=provider_size // fsize,
        fs_metaspace=geometry.metadata_space,
        fs_sblockactualloc=SBLOCK_UFS2,
        fs_sblockloc=SBLOCK_UFS2,
        fs_cstotal=CsumTotal(cs_nifree=geometry.inode_count - UFS_ROOTINO),
        fs_time=options.time,
        fs_size=geometry.size,
        fs_dsize=geometry.size - metadata - howmany(geometry.summary_size, fsize),
        fs_csaddr=geometry.summary_address,
        fs_avgfilesize=options.average_file_size,
        fs_avgfpdir=options.average_files_per_directory,
        fs_metackhash=CK_SUPERBLOCK | CK_CYLGRP | CK_INODE if options.check_hash else 0,
        fs_flags=options.flags,
        fs_contigsumsize=geometry.cluster_summary,
        fs_maxsymlinklen=MAXSYMLINKLEN,
        fs_maxfilesize=geometry.max_file_size,
        fs_qbmask=bsize - 1,
        fs_qfmask=fsize - 1,
        fs_magic=FS_UFS2_MAGIC,
    )


def derived_id(geometry: Geometry, options: Options, content: int = 0) -> tuple[int, int]:
    """``fs_id`` where none is given: the time, and a digest of what sets this volume apart (newfs takes chance)."""
    numbers = tuple(getattr(geometry, name) for name in Geometry.__match_args__)
    facts = f"{options.label} {numbers} {content}".encode()
    seconds, digest = struct.unpack("<ii", struct.pack("<II", options.time & 0xFFFFFFFF, check_hash(facts)))
    return seconds, digest


def pack_superblock(fs: Fs, byteorder: ByteOrder, at: int = SBLOCK_UFS2) -> bytes:
    """``fs_sbsize`` bytes of the copy that is at byte ``at``, with the check-hash where it is maintained."""
    data = bytearray(fs.pack(byteorder).ljust(fs.fs_sbsize, b"\0"))
    data[_ACTUAL : _ACTUAL + 8] = at.to_bytes(8, byteorder)
    data[_CKHASH : _CKHASH + 4] = bytes(4)
    if has_hash(fs, CK_SUPERBLOCK):
        data[_CKHASH : _CKHASH + 4] = check_hash(data).to_bytes(4, byteorder)
    return bytes(data)


def pack_recovery(fs: Fs, byteorder: ByteOrder) -> bytes:
    """The recovery record (fs.h, struct fsrecovery)."""
    return FsRecovery(
        fsr_magic=fs.fs_magic,
        fsr_fsbtodb=fs.fs_fsbtodb,
        fsr_sblkno=fs.fs_sblkno,
        fsr_fpg=fs.fs_fpg,
        fsr_ncg=fs.fs_ncg,
    ).pack(byteorder)


def has_hash(fs: Fs, kind: int) -> bool:
    """Whether check-hashes of ``kind`` (``CK_...``) are maintained."""
    return bool(fs.fs_flags & FS_METACKHASH and fs.fs_metackhash & kind)


def superblock_hash(data: bytes) -> int:
    """The check-hash the ``fs_sbsize`` bytes of a superblock should carry."""
    return check_hash(data[:_CKHASH] + bytes(4) + data[_CKHASH + 4 :])


def find_superblock(storage: Storage) -> tuple[Fs, ByteOrder, int]:
    """The superblock, its byte order and where it is, in FreeBSD's order of search; one of UFS1 modernised.

    Raises:
        SuperblockError: there is no superblock; the message says if there is one that newfs left unfinished.
        UnsupportedError: one of UFS1 from before 4.4BSD.
    """
    reason = "no UFS superblock"
    for at in SBLOCKSEARCH:
        if at + SBLOCKSIZE > storage.size:
            continue
        data = storage.read_at(at, Fs.SIZE)
        magic = data[_MAGIC : _MAGIC + 4]
        for byteorder in ("little", "big"):
            found = int.from_bytes(magic, byteorder)
            if found == FS_BAD_MAGIC:
                reason = "newfs did not finish this file system"
            if found not in _MAGICS:
                continue
            fs = Fs.unpack_from(data, 0, byteorder, base=at)
            # A backup of the first group can stand where another kind of file system has its superblock.
            if fs.fs_sblockloc == at or (found == FS_UFS1_MAGIC and not fs.fs_sblockloc and at <= SBLOCK_UFS1):
                return modernised(fs, at), byteorder, at
    raise SuperblockError(reason, structure="Fs", field="fs_magic", offset=SBLOCK_UFS2, expected=FS_UFS2_MAGIC)
