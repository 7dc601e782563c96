"""The passes over a file system, in the order of fsck_ffs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base import Finding
from cloudboot_base.lightdata import astuple
from cloudboot_ufs2.errors import SuperblockError, UnsupportedError
from cloudboot_ufs2.layout import superblock_rules
from cloudboot_ufs2.layout.constants import CK_SUPERBLOCK, UFS_LINK_MAX_SIGNED
from cloudboot_ufs2.layout.records import Fs, FsRecovery
from cloudboot_ufs2.layout.superblock import (
    FSRECOVERY_OFFSET,
    find_superblock,
    has_hash,
    pack_recovery,
    superblock_hash,
)
from cloudboot_ufs2.reader.backup import find_backup, read_backup

from .check_directory import check_directories
from .check_group import read_groups
from .check_inode import check_inodes
from .check_space import check_space
from .check_superblock import check_special_files, check_state
from .survey import Survey

if TYPE_CHECKING:
    from cloudboot_base import Storage
    from cloudboot_records import ByteOrder

    from .survey import Findings

# What a backup keeps from the day the file system was made (the rest changes with use).
_LASTING = (
    "fs_magic", "fs_bsize", "fs_fsize", "fs_frag", "fs_ncg", "fs_ipg", "fs_fpg", "fs_size", "fs_sblkno", "fs_cblkno",
    "fs_iblkno", "fs_dblkno", "fs_csaddr", "fs_cssize", "fs_cgsize", "fs_sbsize", "fs_sblockloc",
)  # fmt: skip


def survey(
    storage: Storage, findings: Findings, *, superblock: int | None = None, link_max: int = UFS_LINK_MAX_SIGNED
) -> Survey | None:
    """Check a file system, and give what was seen; ``None`` if there is none that could be looked at."""
    found = read_backup(storage, superblock) if superblock is not None else _superblock(storage, findings)
    if found is None:
        return None
    survey = Survey(storage, found, findings)
    survey.link_max = link_max
    check_state(survey)
    _check_recovery(storage, survey.fs, survey.byteorder, findings)
    read_groups(survey)
    _check_backups(survey)
    check_inodes(survey)
    check_directories(survey)
    check_special_files(survey)
    check_space(survey)
    findings.name(survey.paths)
    return survey


def _superblock(storage: Storage, findings: Findings) -> tuple[Fs, ByteOrder, int] | None:
    """The superblock, or if it is damaged a backup; ``None`` if nothing can be looked at."""
    try:
        fs, byteorder, at = find_superblock(storage)
    except UnsupportedError as error:
        findings.add(Finding.from_error(error))
        return None
    except SuperblockError as error:
        findings.add(
            Finding(
                "superblock-magic", error.message, structure="Fs", field="fs_magic", offset=error.offset,
                expected=error.expected,
            )
        )  # fmt: skip
        return find_backup(storage)
    if _check_superblock(storage, fs, at, findings):
        return fs, byteorder, at
    found = find_backup(storage)
    return found if found is not None and found[0].fs_size * found[0].fs_fsize <= storage.size else None


def _check_superblock(storage: Storage, fs: Fs, at: int, findings: Findings) -> bool:
    """Whether the superblock makes enough sense to go on."""
    broken = list(superblock_rules.structural(fs))
    others = [] if broken else list(superblock_rules.remaining(fs))
    for violation in broken + others:
        name, _, member = violation.field.partition(".")
        findings.add(
            Finding(
                f"superblock-{(member or name).removeprefix('fs_').removeprefix('cs_').replace('_', '-')}",
                violation.rule,
                structure="Fs",
                field=violation.field,
                offset=at + Fs.LAYOUT.offsets[name],
                expected=violation.expected,
                actual=violation.actual,
            )
        )
    if broken:
        return False
    end = fs.fs_size * fs.fs_fsize
    if end > storage.size:
        findings.add(
            Finding(
                "image-truncated", "the image is smaller than the file system", structure="Fs", field="fs_size",
                expected=end, actual=storage.size,
            )
        )  # fmt: skip
        return False
    if has_hash(fs, CK_SUPERBLOCK):
        expected = superblock_hash(storage.read_at(at, fs.fs_sbsize))
        if expected != fs.fs_ckhash:
            findings.add(_hash_finding("superblock-hash", at, expected, fs.fs_ckhash))
    return True


def _hash_finding(kind: str, at: int, expected: int, actual: int) -> Finding:
    return Finding(
        kind,
        "the check-hash is not that of the bytes",
        structure="Fs",
        field="fs_ckhash",
        offset=at + Fs.LAYOUT.offsets["fs_ckhash"],
        expected=expected,
        actual=actual,
    )


def _check_recovery(storage: Storage, fs: Fs, byteorder: ByteOrder, findings: Findings) -> None:
    """The recovery record; file systems from before FreeBSD 12 have zeros there, or a boot loader's code."""
    stored = FsRecovery.unpack_from(storage.read_at(FSRECOVERY_OFFSET, FsRecovery.SIZE), 0, byteorder)
    expected = FsRecovery.unpack_from(pack_recovery(fs, byteorder), 0, byteorder)
    if stored.fsr_magic == fs.fs_magic and stored != expected:
        findings.add(
            Finding(
                "recovery-record",
                "the record that leads to the backup superblocks is wrong",
                structure="FsRecovery",
                offset=FSRECOVERY_OFFSET,
                expected=astuple(expected),
                actual=astuple(stored),
            )
        )


def _check_backups(survey: Survey) -> None:
    """The superblock every group keeps a copy of."""
    geometry, fs = survey.geometry, survey.fs
    for group in range(geometry.group_count):
        at = (geometry.group_metadata(group) + geometry.sblkno) * geometry.fragment_size
        if at + fs.fs_sbsize > survey.storage.size:
            survey.findings.add(
                Finding(
                    "backup-superblock", "the backup lies beyond the image", structure="Fs", offset=at,
                    where={"group": group},
                )
            )  # fmt: skip
            continue
        data = survey.storage.read_at(at, fs.fs_sbsize)
        backup = Fs.unpack_from(data, 0, survey.byteorder)
        for field in _LASTING:
            expected, actual = getattr(fs, field), getattr(backup, field)
            if expected != actual:
                survey.findings.add(
                    Finding(
                        "backup-superblock",
                        "the backup differs from the superblock",
                        structure="Fs",
                        field=field,
                        offset=at + Fs.LAYOUT.offsets[field],
                        expected=expected,
                        actual=actual,
                        where={"group": group},
                    )
                )
                break
        else:
            if has_hash(backup, CK_SUPERBLOCK):
                expected = superblock_hash(data)
                if expected != backup.fs_ckhash:
                    survey.findings.add(_hash_finding("backup-superblock-hash", at, expected, backup.fs_ckhash))
