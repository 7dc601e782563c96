"""What a superblock says about its files: whether they are clean, what is pending, the journal, the snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base import Finding
from cloudboot_ufs2.layout.constants import (
    DT_REG,
    FS_NEEDSFSCK,
    FS_OPTSPACE,
    FS_OPTTIME,
    FS_SUJ,
    FS_UNCLEAN,
    SF_SNAPSHOT,
    SUJ_FILE,
    SUJ_MIN,
    UFS_ROOTINO,
)
from cloudboot_ufs2.layout.directory import Record
from cloudboot_ufs2.layout.records import Fs
from cloudboot_ufs2.layout.ufs1 import UFS2

if TYPE_CHECKING:
    from .survey import Survey


def check_state(survey: Survey) -> None:
    """The marks of a file system that was not unmounted, and fields that follow from others."""
    fs = survey.fs
    if survey.at_backup:
        return  # a backup has the state of the day it was written
    if fs.fs_clean not in _CLEAN or fs.fs_flags & (FS_UNCLEAN | FS_NEEDSFSCK):
        field = "fs_clean" if fs.fs_clean not in _CLEAN else "fs_flags"
        _add(survey, "unclean", "not unmounted, or a change was cut off", field, None, getattr(fs, field))
    if survey.dialect is not UFS2:
        return
    for field in ("fs_pendingblocks", "fs_pendinginodes"):
        if getattr(fs, field):
            _add(survey, "superblock-pending", "space that was to be given back", field, 0, getattr(fs, field))
    if fs.fs_optim not in (FS_OPTTIME, FS_OPTSPACE):
        _add(survey, "superblock-optim", "an unknown optimisation", "fs_optim", "0 or 1", fs.fs_optim)
    expected = data_size(fs)
    # makefs counts the summary area as data, newfs does not.
    if fs.fs_dsize not in (expected, expected + survey.geometry.summary_fragments):
        _add(survey, "superblock-dsize", "not the fragments of data", "fs_dsize", expected, fs.fs_dsize)


_CLEAN = (1, 2)  # fs.h, and NetBSD's FS_WASCLEAN


def data_size(fs: Fs) -> int:
    """``fs_dsize`` as newfs has it (mkfs.c): all but metadata and the summary area."""
    metadata = fs.fs_sblkno + fs.fs_ncg * (fs.fs_dblkno - fs.fs_sblkno)
    return fs.fs_size - metadata - -(-fs.fs_cssize // fs.fs_fsize)


def check_special_files(survey: Survey) -> None:
    """The journal of soft updates and the snapshots that the superblock speaks of; the directories must be known."""
    if survey.dialect is not UFS2:
        return
    fs = survey.fs
    if fs.fs_flags & FS_SUJ:
        _check_journal(survey)
    for number in filter(None, fs.fs_snapinum):
        is_file = 0 < number < survey.kinds.count and survey.kinds[number] == DT_REG
        if not is_file or not survey.read_inode(number).di_flags & SF_SNAPSHOT:
            _add(survey, "snapshot-list", "an inode that is no snapshot", "fs_snapinum", None, number)


def _check_journal(survey: Survey) -> None:
    """FreeBSD does not mount a file system whose journal is not where it looks for it (ffs_softdep.c)."""
    found = [
        record.inode
        for record in survey.contents.get(UFS_ROOTINO, ())
        if isinstance(record, Record) and record.name == SUJ_FILE
    ]
    if not found or survey.kinds[found[0]] != DT_REG:
        _add(survey, "journal-missing", "a journal is to be there, and is not", "fs_flags", SUJ_FILE.decode(), None)
        return
    size = survey.read_inode(found[0]).di_size
    if size < SUJ_MIN:
        expected = f"at least {SUJ_MIN}"
        survey.add_inode(
            "journal-size", found[0], "a journal that is too small", "di_size", expected=expected, actual=size
        )


def _add(survey: Survey, kind: str, message: str, field: str, expected: object, actual: object) -> None:  # noqa: PLR0917 -- a row
    survey.findings.add(
        Finding(
            kind, message, structure="Fs", field=field,
            offset=survey.superblock_offset + Fs.LAYOUT.offsets[field], expected=expected, actual=actual,
        )
    )  # fmt: skip
