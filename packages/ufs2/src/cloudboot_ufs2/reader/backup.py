"""The backup superblocks: every group has one, and the recovery record in front of the first superblock leads there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base.lightdata import replace
from cloudboot_ufs2.errors import SuperblockError
from cloudboot_ufs2.layout import superblock_rules
from cloudboot_ufs2.layout.constants import (
    CK_SUPERBLOCK,
    DEV_BSIZE,
    FS_UFS2_MAGIC,
    MAXBSIZE,
    MAXFRAG,
    MINBSIZE,
    SBLOCK_UFS2,
    SBLOCKSIZE,
)
from cloudboot_ufs2.layout.geometry import metadata_start
from cloudboot_ufs2.layout.records import Fs, FsRecovery
from cloudboot_ufs2.layout.superblock import FSRECOVERY_OFFSET, has_hash, superblock_hash

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_base import Storage
    from cloudboot_records import ByteOrder

_SEARCHED = 64 << 20  #: bytes from the start in which a superblock is looked for when nothing leads to one
_MOST_GROUPS = 64  #: of a recovery record, which may be damaged, too
_MAGIC = Fs.LAYOUT.offsets["fs_magic"]
_MAGICS = FS_UFS2_MAGIC.to_bytes(4, "little"), FS_UFS2_MAGIC.to_bytes(4, "big")


def find_backup(storage: Storage, *, search: bool = True) -> tuple[Fs, ByteOrder, int] | None:
    """A backup superblock that is sound, its byte order and where it is; ``None`` if none is found.

    Without ``search`` only those are looked at that the recovery record leads to, and the places of newfs.
    """
    tried: set[int] = set()
    for at in _places(storage, search=search):
        if at in tried or at == SBLOCK_UFS2:
            continue
        tried.add(at)
        found = _sound(storage, at)
        if found is not None:
            return found[0], found[1], at
    return None


def read_backup(storage: Storage, at: int) -> tuple[Fs, ByteOrder, int]:
    """The superblock at byte ``at``.

    Raises:
        SuperblockError: there is no superblock, or it is damaged.
    """
    found = _sound(storage, at)
    if found is None:
        raise SuperblockError("there is no valid superblock of UFS2", structure="Fs", offset=at)
    return found[0], found[1], at


def _places(storage: Storage, *, search: bool) -> Iterator[int]:
    """Where a backup may stand: as the recovery record says, as newfs puts the first, or anywhere."""
    if storage.size < SBLOCK_UFS2:
        return
    record = storage.read_at(FSRECOVERY_OFFSET, FsRecovery.SIZE)
    for byteorder in ("little", "big"):
        found = FsRecovery.unpack_from(record, 0, byteorder)
        if found.fsr_magic == FS_UFS2_MAGIC and 0 <= found.fsr_fsbtodb < 8 and found.fsr_fpg > 0 < found.fsr_sblkno:
            for group in range(min(found.fsr_ncg, _MOST_GROUPS)):
                yield (group * found.fsr_fpg + found.fsr_sblkno) * DEV_BSIZE << found.fsr_fsbtodb
    bsize = MINBSIZE
    while bsize <= MAXBSIZE:
        for frag in (1, 2, 4, MAXFRAG):
            fsize = bsize // frag
            yield metadata_start(bsize, fsize, SBLOCK_UFS2)[0] * fsize
        bsize *= 2
    end = min(storage.size, _SEARCHED) if search else 0
    step = 1 << 20
    for start in range(0, end, step):
        piece = storage.read_at(start, min(step + 3, end - start))
        for magic in _MAGICS:
            at = piece.find(magic)
            while at >= 0:
                if (start + at - _MAGIC) % DEV_BSIZE == 0 and start + at >= _MAGIC:
                    yield start + at - _MAGIC
                at = piece.find(magic, at + 1)


def _sound(storage: Storage, at: int) -> tuple[Fs, ByteOrder] | None:
    if at < 0 or at + SBLOCKSIZE > storage.size:
        return None
    data = storage.read_at(at, SBLOCKSIZE)
    for byteorder in ("little", "big"):
        if int.from_bytes(data[_MAGIC : _MAGIC + 4], byteorder) != FS_UFS2_MAGIC:
            continue
        fs = Fs.unpack_from(data, 0, byteorder, base=at)
        # Each copy says where it is itself; otherwise it is what the first one was.
        first = replace(fs, fs_sblockactualloc=fs.fs_sblockloc)
        if any(superblock_rules.structural(first)) or any(superblock_rules.remaining(first)):
            continue
        if has_hash(fs, CK_SUPERBLOCK) and superblock_hash(data[: fs.fs_sbsize]) != fs.fs_ckhash:
            continue
        if first.fs_sblockloc == SBLOCK_UFS2:
            return first, byteorder
    return None
