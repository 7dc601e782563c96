"""What tests of FAT volumes need: programs of other projects as judges, and ways to damage a good volume."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from cloudboot_base.testing import judge, run

from . import geometry as geometries
from . import table

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from pathlib import Path

    from .reader import FatReader

#: What fsck.fat -v prints around the description of a volume it has nothing to say about, but for its last line.
_FSCK_SILENCE = {
    "Checking we can access the last sector of the filesystem",
    "Checking for unused clusters.",
    "Checking free cluster summary.",
}


def fsck(image: str | os.PathLike[str]) -> str:
    """The report of ``fsck.fat`` on a volume; any complaint at all fails the test."""
    report, complaints = fsck_report(image)
    if complaints:
        raise AssertionError(report)
    return report


def fsck_report(image: str | os.PathLike[str]) -> tuple[str, list[str]]:
    """The whole report of ``fsck.fat`` on a volume, and the lines of it that complain."""
    report = run(judge("fsck.fat", "dosfstools"), "-n", "-v", image, codes=(0, 1))
    before, _, rest = report.partition("Boot sector contents:\n")
    after = rest.partition("sectors total\n")[2]
    lines = [*before.splitlines(), *after.splitlines()[:-1]]
    return report, [line for line in lines if line not in _FSCK_SILENCE and not line.startswith("fsck.fat ")]


def mkfs(image: Path, size: int, *options: str) -> None:
    """An empty volume made by ``mkfs.fat``; an existing file is replaced."""
    with image.open("wb") as file:
        file.truncate(size)
    run(judge("mkfs.fat", "dosfstools"), *options, image)


def mtools(tool: str, image: str | os.PathLike[str], *arguments: str | os.PathLike[str], at: int = 0) -> str:
    """Run one of the mtools on a volume, ``at`` bytes into ``image``."""
    target = f"{image}@@{at}" if at else image
    return run(judge(tool, "mtools"), "-i", target, *arguments)


def mcopy_out(image: Path, folder: Path) -> dict[str, bytes]:
    """Every file of a volume as ``mcopy`` extracts it, by path."""
    folder.mkdir()
    mtools("mcopy", image, "-s", "-n", "-Q", "::/", folder)
    return {
        f"/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def contents(fs: FatReader) -> dict[str, bytes | None]:
    """Every file of a volume, and every directory as ``None``, by path."""
    found: dict[str, bytes | None] = {}
    for path, folders, files in fs.walk():
        above = path.rstrip("/")
        found |= {f"{above}/{entry.name}": None for entry in folders}
        found |= {f"{above}/{entry.name}": fs.read_file(f"{above}/{entry.name}") for entry in files}
    return found


def set_fat_entries(image: bytearray, entries: Mapping[int, int], *, copies: bool = True) -> None:
    """Overwrite FAT entries of a volume, in every copy or only in the first."""
    geometry = geometries.parse(bytes(image[:512]))
    for copy in range(geometry.fats if copies else 1):
        start = geometry.fat_offset(copy)
        fat = table.decode(image[start : start + geometry.fat_size], geometry.fat_type)
        for cluster, value in entries.items():
            fat[cluster] = value
        raw = table.encode(fat, geometry.fat_type)
        image[start : start + len(raw)] = raw


def poke(image: bytearray, offset: int, code: str, value: int | bytes) -> None:
    """Overwrite one little-endian field; ``code`` is of :mod:`struct`."""
    struct.pack_into("<" + code, image, offset, value)
