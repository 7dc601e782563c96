"""A finished disk held against the account of what went into it, before the disk has its name.

Every file system is checked, and every file of both is read back and compared with the manifest, whose hashes come
from the sources. Readers of other projects read them again where they are installed: GRUB's the ESP and the files
that a loader needs, The Sleuth Kit's every file of the root. Where such a program is installed and disagrees, there is
no image.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cloudboot_base import FormatError, new_image
from cloudboot_base.copying import copy_from_file
from cloudboot_base.storage import descriptor_of

from .disk import AnyPartition, Disk
from .errors import ReadBackError
from .manifest import PATH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_base import Storage
    from cloudboot_vfs import FileSystem, OpenFile

    from .manifest import Manifest, ManifestEntry

_PIECE: Final = 1 << 20
#: Of the root, GRUB reads the files in these folders: it opens the disk anew for each, which takes 5 ms.
_GRUB_FOLDERS: Final = ("/boot/",)
_GRUB_FILES: Final = 64
_TIMEOUT: Final = 3600.0


def read_back(storage: Storage, manifest: Manifest) -> list[str]:
    """Check a disk and compare every file of it with the manifest; the names of the other readers that agreed.

    Raises:
        ReadBackError: a check found something, a file differs, or an installed reader disagrees.
    """
    try:
        disk = Disk.open(storage)
        for where, finding in disk.findings():
            raise ReadBackError(f"the {where} breaks its format: {finding}")
        for problem in _esp_differences(disk, manifest):
            raise ReadBackError(f"read back, {problem}")
        for problem in _root_differences(disk, manifest):
            raise ReadBackError(f"read back, {problem}")
    except FormatError as error:
        raise ReadBackError(f"the disk cannot be read back: {error}") from error
    return _read_by_others(storage, disk, manifest)


def _esp_differences(disk: Disk, manifest: Manifest) -> Iterator[str]:
    wanted = dict(manifest.esp)
    for folder, _, files in disk.esp.walk():
        for entry in files:
            path = f"{folder.rstrip('/')}/{entry.name}"
            expected = wanted.pop(path, None)
            if path == PATH:
                if disk.esp.read_file(path) != manifest.as_bytes():
                    yield f"{path} of the ESP is not the manifest"
            elif expected is None:
                yield f"the ESP has {path}, which is not among the files of the build"
            elif _digest(disk.esp.file_storage(path)) != expected:
                yield f"{path} of the ESP has other bytes"
    for path in wanted:
        yield f"the ESP lacks {path}"


def _root_differences(disk: Disk, manifest: Manifest) -> Iterator[str]:
    root: FileSystem | None = disk.root if disk.root is not None else disk.ntfs
    if root is None:
        if manifest.root:
            yield "the disk has no root"
        return
    wanted = dict(manifest.root)
    if "/" in wanted:
        yield from _differences(root, "/", wanted.pop("/"))
    for _, folders, files in root.walk():
        for entry in (*folders, *files):
            expected = wanted.pop(entry.path, None)
            if expected is None:
                yield f"the root has {entry.path}, which is not among the files of the build"
            else:
                yield from _differences(root, entry.path, expected)
    for path in wanted:
        yield f"the root lacks {path}"


def _differences(volume: FileSystem, path: str, expected: ManifestEntry) -> Iterator[str]:
    status = volume.stat(path, follow_symlinks=False)
    facts: list[tuple[str, int | None, int]] = [
        ("mode", expected.mode, status.st_mode),
        ("owner", expected.uid, status.st_uid),
        ("group", expected.gid, status.st_gid),
        ("time", expected.mtime, status.st_mtime_ns // 10**9),
    ]
    if stat.S_ISREG(expected.mode):
        with volume.open_file(path) as file:
            size, digest = _digest(file)
        facts += [("size", expected.size, size), ("number of names", expected.links, status.st_nlink)]
        if expected.sha256 != digest:
            yield f"{path} of the root has other bytes"
    for what, wanted, actual in facts:
        if wanted is not None and wanted != actual:
            yield f"{path} of the root has another {what}: {actual}, not {wanted}"
    if expected.target is not None and volume.readlink(path) != expected.target:
        yield f"{path} of the root leads elsewhere"


def _digest(file: OpenFile | Storage) -> tuple[int, str]:
    digest = hashlib.sha256()
    for offset in range(0, file.size, _PIECE):
        digest.update(file.read_at(offset, min(_PIECE, file.size - offset)))
    return file.size, digest.hexdigest()


def _read_by_others(storage: Storage, disk: Disk, manifest: Manifest) -> list[str]:
    behind = descriptor_of(storage)
    if behind is None or behind[1]:
        return []
    fd, agreed = behind[0], []
    if shutil.which("grub-fstest") is not None or shutil.which("tsk_recover") is not None:
        _require_room(os.fstat(fd).st_blocks * 512)
    if disk.table.sector_size == 512 and shutil.which("grub-fstest") is not None:
        with _named_copy(fd, storage.size) as path:
            _read_by_grub(path, disk, manifest)
        agreed.append("grub-fstest")
    if disk.root_partition is not None and shutil.which("tsk_recover") is not None:
        _read_by_sleuthkit(f"/proc/{os.getpid()}/fd/{fd}", disk.root_partition, disk.table.sector_size, manifest)
        agreed.append("tsk_recover")
    return agreed


def _require_room(needed: int) -> None:
    """The readers of others need the disk once more, for a while: a copy with a name, or copies of its files."""
    folder = tempfile.gettempdir()
    there = shutil.disk_usage(folder).free
    if there < needed:
        raise ReadBackError(
            f"reading the disk back takes {needed} bytes in {folder}, which has {there}",
            hint="set TMPDIR to a folder with more room",
        )


@contextlib.contextmanager
def _named_copy(fd: int, size: int) -> Iterator[Path]:
    """A sparse copy of an open file: GRUB resolves links, and the output has no name yet.

    The output cannot have a second name for a while: once that is removed, the kernel gives the file no other.
    """
    with tempfile.TemporaryDirectory(prefix="cloudboot-grub-") as name:
        path = Path(name) / "disk.img"
        with new_image(path, size) as copy:
            copy_from_file(fd, copy, 0, size, skip_holes=True)
        yield path


def _read_by_grub(place: Path, disk: Disk, manifest: Manifest) -> None:
    """GRUB's FAT and UFS2 readers give the bytes that the manifest states. It takes all sectors for 512 bytes long."""
    files = [(disk.esp_partition.number, path, digest) for path, (_, digest) in manifest.esp.items()]
    root = disk.root_partition
    chosen = [
        entry for entry in manifest.root.values() if entry.sha256 is not None and entry.path.startswith(_GRUB_FOLDERS)
    ]
    files += [(root.number, entry.path, entry.sha256 or "") for entry in chosen[:_GRUB_FILES] if root is not None]
    for number, path, expected in files:
        with subprocess.Popen(
            ["grub-fstest", place, "cat", f"(loop0,gpt{number}){path}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            digest = hashlib.sha256()
            while process.stdout is not None and (piece := process.stdout.read(_PIECE)):
                digest.update(piece)
        if process.returncode or digest.hexdigest() != expected:
            raise ReadBackError(f"GRUB reads other bytes of {path} in partition {number}, or none")


def _read_by_sleuthkit(place: str, partition: AnyPartition, sector_size: int, manifest: Manifest) -> None:
    """The Sleuth Kit's UFS reader gives the bytes that the manifest states, of every file."""
    with tempfile.TemporaryDirectory(prefix="cloudboot-sleuthkit-") as name:
        done = subprocess.run(
            ["tsk_recover", "-a", "-f", "ufs", "-b", str(sector_size), "-o", str(partition.first_lba), place, name],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_TIMEOUT,
        )  # fmt: skip
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise ReadBackError(f"The Sleuth Kit cannot read the root: {reason}")
        for entry in manifest.root.values():
            if not entry.size or entry.sha256 is None or not _plain(entry.path):
                continue  # tsk_recover writes no empty files
            copy = Path(name) / entry.path.lstrip("/")
            if not copy.is_file():
                raise ReadBackError(f"The Sleuth Kit does not find {entry.path} in the root")
            with copy.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != entry.sha256:
                    raise ReadBackError(f"The Sleuth Kit reads other bytes of {entry.path} in the root")


def _plain(path: str) -> bool:
    """Whether tsk_recover writes the file under its own name: it replaces what a terminal does not show."""
    return path.isascii() and path.isprintable() and not set(path) & set('\\:*?"<>|')
