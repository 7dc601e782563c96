"""Checking an image as a cell: its partition table, then every file system, whole disk or partitions."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cloudboot_fat as fat
import cloudboot_gpt as gpt
import cloudboot_ntfs as ntfs
import cloudboot_ufs2 as ufs2
from cloudboot_base import FormatError, GateFailedError, MemoryStorage, Stage, Window, run_stages
from cloudboot_base.command import counted
from cloudboot_disk_image import installed_readers, open_disk, read_partitions
from cloudboot_oci_stream import fetch_image

from .result import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from cloudboot_base import Finding, Storage

_NAMED = 20  # findings that stand in the evidence
#: UFS2's superblock: its usual place, the offset of fs_magic in it, and the magic number, little-endian.
_UFS_PLACE, _UFS_MAGIC = 65536 + 1372, (0x19540119).to_bytes(4, "little")


@dataclass
class _Check:
    """An image while it is checked. ``parts`` are what may hold a file system, by name."""

    disk: Storage
    parts: dict[str, Storage] = field(default_factory=dict)
    whole: bool = False


def _table(check: _Check) -> Mapping[str, object]:
    if file_system(check.disk) is not None:
        check.parts, check.whole = {"disk": check.disk}, True
        return {"table": "none: a file system begins at byte 0"}
    table = read_partitions(check.disk, installed_readers())
    check.parts = {f"partition {each.number}": Window(check.disk, each.offset, each.size) for each in table.partitions}
    with contextlib.suppress(gpt.GPTError):
        _refuse(gpt.check(check.disk) if _is_gpt(check.disk) else [], "GPT")
    return {"table": "GPT" if _is_gpt(check.disk) else "MBR", "partitions": len(check.parts)}


def _is_gpt(disk: Storage) -> bool:
    return any(disk.size >= size * 2 and disk.read_at(size, 8) == b"EFI PART" for size in (512, 4096))


def file_system(storage: Storage) -> str | None:
    """``"fat"``, ``"ntfs"``, ``"ufs2"``, or ``None``, by the signatures that each has."""
    if storage.size < 512:
        return None
    sector = storage.read_at(0, 512)
    if sector[3:11] == b"NTFS    ":
        return "ntfs"
    if sector[510:] == b"\x55\xaa" and (sector[54:57] == b"FAT" or sector[82:87] == b"FAT32"):
        return "fat"
    if storage.size >= _UFS_PLACE + 4 and storage.read_at(_UFS_PLACE, 4) == _UFS_MAGIC:
        return "ufs2"
    return None


_CHECKERS: dict[str, Callable[[Storage], Sequence[Finding]]] = {
    "fat": fat.check,
    "ntfs": ntfs.check,
    "ufs2": ufs2.check,
}


def _systems(check: _Check) -> Mapping[str, object]:
    """Check every file system; all of them, also after one that has defects."""
    seen: dict[str, object] = {}
    problems: list[str] = []
    for name, part in check.parts.items():
        kind = file_system(part)
        if kind is None:
            seen[name] = "no file system that is known"
            continue
        try:
            found = [str(each) for each in _CHECKERS[kind](part)]
        except FormatError as error:
            found = [str(error)]
        seen[name] = f"{kind}, {counted(len(found), 'defect')}"
        problems += [f"{name}: {each}" for each in found]
    if problems:
        raise GateFailedError(
            f"{counted(len(problems), 'defect')}, the first: {problems[0]}",
            evidence={**seen, "findings": problems[:_NAMED]},
        )
    if not any("defect" in str(value) for value in seen.values()):
        raise GateFailedError("no file system that is known", evidence=seen)
    return seen


def _refuse(findings: Sequence[Finding], where: str) -> None:
    if findings:
        told = [f"{where}: {each}" for each in findings[:_NAMED]]
        raise GateFailedError(f"{counted(len(findings), 'defect')}, the first: {told[0]}", evidence={"findings": told})


STAGES = (
    Stage("table", "The disk has a partition table without defects, or is one file system.", _table),
    Stage("file-systems", "The checker of each file system finds nothing.", _systems),
)


@contextlib.contextmanager
def _opened(image: str) -> Iterator[Storage]:
    if os.path.isfile(image):
        with open_disk(image) as disk:
            yield disk.storage
    else:
        with fetch_image(image) as fetched:
            yield MemoryStorage(fetched.view)


def run(cell: dict[str, Any], _folder: Path) -> Outcome:
    """Check an image."""
    with _opened(cell["inputs"]["image"]) as storage:
        return Outcome.of_gates(list(run_stages(STAGES, _Check(storage))))
