"""A medium opened: the volumes of an ISO image, a disk image, a folder or a tar archive."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import cloudboot_gpt as gpt
import cloudboot_ufs2 as ufs2
from cloudboot_base import FormatError, Window
from cloudboot_disk_image import open_disk
from cloudboot_fat import FatReader
from cloudboot_uefi_host.drivers.el_torito import EFI_PLATFORM, SECTOR, BootEntry, is_iso9660, read_catalogue

from .errors import MediumError
from .iso import IsoTree
from .volume import FatFiles, FolderFiles, TarFiles, VfsFiles, Volume, is_archive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from cloudboot_base import Storage

#: MBR types of a slice; without a disklabel, its file system begins where it does.
_BSD_SLICES: Final = frozenset({0xA5, 0xA6, 0xA9})
_MBR_ESP: Final = 0xEF
_FAT_TYPES: Final = frozenset({0x01, 0x04, 0x06, 0x0B, 0x0C, 0x0E, _MBR_ESP})
_BIOS_TYPES: Final = frozenset({gpt.partition_types.FREEBSD_BOOT, gpt.partition_types.BIOS_BOOT})
#: Bytes of a disk that is decompressed.
MAX_MEDIUM: Final = 64 << 30
_ARCHIVE: Final = "root.tar"


@dataclass
class Medium:
    """What was found on a medium.

    ``format`` is what it is: ``tree``, ``tar``, ``iso9660``, or the container of a disk image (``raw``, ``qcow2``,
    ``xz`` ...). ``volumes`` are in the order they are looked through. ``problems`` say which parts could not be read,
    and why; ``bios`` names what starts it on a BIOS, if there is such a thing.
    """

    name: str
    format: str
    volumes: list[Volume] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    partitions: list[str] = field(default_factory=list)
    bios: str | None = None

    def described(self) -> str:
        """What there is, for messages."""
        return ", ".join(volume.title for volume in self.volumes) or "nothing that can be read"


@contextlib.contextmanager
def open_medium(path: Path, say: Callable[[str], None] = lambda _: None) -> Iterator[Medium]:
    """Open a folder, a tar archive, an ISO image, or a disk image in any container that cloudboot_disk_image reads.

    Raises:
        MediumError: the file is of another kind.
        FormatError: it is an ISO image, and its volume or its boot catalogue breaks the format.
        MissingDependencyError: it is an ISO image, and pycdlib is not installed.
        OSError: it cannot be read.
    """
    name = os.fspath(path)
    if path.is_dir():
        yield Medium(name, "tree", [Volume("the folder", FolderFiles(path), lambda _: path)])
        return
    path.stat()
    if is_archive(path):
        yield Medium(name, "tar", [Volume("the archive", TarFiles(path), lambda _: path)])
        return
    with contextlib.ExitStack() as stack:
        disk = stack.enter_context(open_disk(path, limit=MAX_MEDIUM))
        medium = Medium(name, disk.format)
        if is_iso9660(disk.storage):
            entries = read_catalogue(disk.storage)  # pycdlib does not say what is wrong with it
            tree = IsoTree(disk.storage)
            stack.callback(tree.close)
            _add_iso(medium, disk.storage, tree, entries)
        _add_partitions(medium, disk.storage, say)
        if not medium.volumes and not medium.partitions:
            reasons = "; ".join(medium.problems)
            raise MediumError(
                f"{name} is no folder, tar archive, ISO 9660 image or disk image" + (f": {reasons}" if reasons else "")
            )
        yield medium


def _add_iso(medium: Medium, storage: Storage, tree: IsoTree, entries: Iterable[BootEntry]) -> None:
    if medium.format == "raw":
        medium.format = "iso9660"
    medium.volumes.append(
        Volume(f"the ISO 9660 volume ({tree.names} names)", tree, lambda folder: tree.write_tar(folder / _ARCHIVE))
    )
    for entry in entries:
        title = f"El Torito image {entry.number}"
        if entry.platform != EFI_PLATFORM:
            medium.bios = medium.bios or f"{title}, for a BIOS"
            continue
        at = entry.sector * SECTOR
        # The file system knows its size: the catalogue's has 16 bits, and counts what is read at first, not all.
        _add_fat(medium, Window(storage, at, storage.size - at), f"{title} (EFI)")


def _add_partitions(medium: Medium, storage: Storage, say: Callable[[str], None]) -> None:
    try:
        table = gpt.read_partitions(storage)
    except FormatError as error:
        if not medium.volumes and not _add_bare(medium, storage, say):
            medium.problems.append(f"the partition table: {error}")
        return
    labelled = {part.slice for part in table.partitions if isinstance(part, gpt.BSDPartition)}
    for part in table.partitions:
        kind = part.type_name or str(part.type)
        title = f"partition {part.number} ({kind})"
        medium.partitions.append(title)
        if part.type in _BIOS_TYPES or (isinstance(part.type, int) and part.bootable and part.type != _MBR_ESP):
            medium.bios = medium.bios or title
        if part.offset + part.size > storage.size:
            medium.problems.append(f"{title}: it reaches beyond the end of the medium")
            continue
        window = Window(storage, part.offset, part.size)
        if part.type == gpt.partition_types.ESP or part.type in _FAT_TYPES:
            _add_fat(medium, window, title)
        elif part.type in gpt.partition_types.UFS_TYPES or (part.type in _BSD_SLICES and part.number not in labelled):
            _add_ufs(medium, window, title, say)


def _add_bare(medium: Medium, storage: Storage, say: Callable[[str], None]) -> bool:
    """A file system without a partition table around it."""
    before = len(medium.problems)
    found = _add_ufs(medium, storage, "the UFS volume", say) or _add_fat(medium, storage, "the FAT volume")
    if found:
        del medium.problems[before:]
    return found


def _add_fat(medium: Medium, storage: Storage, title: str) -> bool:
    try:
        medium.volumes.append(Volume(title, FatFiles(FatReader(storage))))
    except FormatError as error:
        medium.problems.append(f"{title}: {error}")
        return False
    return True


def _add_ufs(medium: Medium, storage: Storage, title: str, say: Callable[[str], None]) -> bool:
    try:
        volume = ufs2.UFS2(storage)
    except FormatError as error:
        medium.problems.append(f"{title}: {error}")
        return False

    def export(folder: Path) -> Path:
        made = ufs2.extract(volume, folder / _ARCHIVE)
        if made.skipped:
            first = made.skipped[0]
            say(f"left out of the root: {len(made.skipped)} entries, the first {first.path} ({first.reason})")
        return folder / _ARCHIVE

    medium.volumes.insert(0, Volume(title, VfsFiles(volume), export))
    return True
