"""From what a caller has to the bytes of a file system, and to the superblock in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from cloudboot_base import Storage, Window, open_storage
from cloudboot_ufs2.errors import CheckHashError, ImageTruncatedError, ReadOnlyError, SuperblockError
from cloudboot_ufs2.layout import superblock_rules
from cloudboot_ufs2.layout.constants import CK_SUPERBLOCK, FS_NEEDSFSCK, FS_UFS2_MAGIC, FS_UNCLEAN
from cloudboot_ufs2.layout.records import Fs
from cloudboot_ufs2.layout.superblock import find_superblock, has_hash, superblock_hash

from .backup import find_backup, read_backup
from .blocks import read

if TYPE_CHECKING:
    import contextlib
    import os

    from typing_extensions import Buffer

    from cloudboot_records import ByteOrder


def storage_of(
    stack: contextlib.ExitStack,
    source: str | os.PathLike[str] | BinaryIO | Buffer | Storage,
    *,
    offset: int = 0,
    size: int | None = None,
    writable: bool = False,
) -> Storage:
    """The bytes of a file system in ``source``; ``stack`` closes what was opened for them.

    Raises:
        ImageTruncatedError: the source ends before ``offset`` and ``size`` do.
    """
    storage = stack.enter_context(open_storage(source, writable=writable)).storage
    if not offset and size is None:
        return storage
    length = storage.size - offset if size is None else size
    if offset < 0 or length < 0 or offset + length > storage.size:
        raise ImageTruncatedError(
            "the image ends before the file system", expected=offset + max(0, length), actual=storage.size
        )
    return Window(storage, offset, length)


def read_superblock(
    storage: Storage, *, verify: bool, at: int | None = None, fallback: bool = False
) -> tuple[Fs, ByteOrder, int]:
    """The superblock, its byte order and where it is, if it makes sense; ``verify`` compares its check-hash, too.

    ``at`` names a backup that is to be used, ``fallback`` lets one be looked for.

    Raises:
        SuperblockError: there is no superblock, or it breaks a rule that readers rely on.
        CheckHashError: its check-hash is wrong.
    """
    if at is not None:
        return read_backup(storage, at)
    try:
        return _first_superblock(storage, verify=verify)
    except (SuperblockError, CheckHashError) as error:
        found = find_backup(storage) if fallback else None
        if found is None:
            if find_backup(storage) is not None:
                error.hint = "a backup is sound: repair puts it in its place, fallback=True (commands do) reads it"
            raise
        return found


def _first_superblock(storage: Storage, *, verify: bool) -> tuple[Fs, ByteOrder, int]:
    fs, byteorder, at = find_superblock(storage)
    for violation in superblock_rules.structural(fs):
        raise SuperblockError(
            violation.rule,
            structure="Fs",
            field=violation.field,
            offset=at + Fs.LAYOUT.offsets[violation.field],
            expected=violation.expected,
            actual=violation.actual,
        )
    if verify and has_hash(fs, CK_SUPERBLOCK):
        expected = superblock_hash(read(storage, at, fs.fs_sbsize))
        if expected != fs.fs_ckhash:
            raise CheckHashError(
                "the superblock is damaged",
                structure="Fs",
                field="fs_ckhash",
                offset=at + Fs.LAYOUT.offsets["fs_ckhash"],
                expected=expected,
                actual=fs.fs_ckhash,
            )
    return fs, byteorder, at


def require_writable(fs: Fs) -> None:
    """Refuse to change a file system that is not sound, or of a kind that is only read.

    Raises:
        ReadOnlyError: it is not UFS2, breaks a rule, is not clean, or has snapshots.
    """
    if fs.fs_magic != FS_UFS2_MAGIC:
        raise ReadOnlyError("only UFS2 is written", structure="Fs", field="fs_magic", actual=fs.fs_magic)
    for violation in superblock_rules.remaining(fs):
        raise ReadOnlyError(
            f"the superblock breaks a rule ({violation.rule})",
            structure="Fs",
            field=violation.field,
            expected=violation.expected,
            actual=violation.actual,
        )
    if fs.fs_clean != 1 or fs.fs_flags & (FS_UNCLEAN | FS_NEEDSFSCK):
        raise ReadOnlyError(
            "the file system is not clean", structure="Fs", field="fs_clean", expected=1, actual=fs.fs_clean,
            hint="repair does what fsck_ffs -p does; check says what is wrong",
        )  # fmt: skip
    if any(fs.fs_snapinum):
        raise ReadOnlyError(
            "the file system has snapshots, which writing would change", structure="Fs", field="fs_snapinum"
        )
