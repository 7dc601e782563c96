"""An image described for people: from a file, or from a registry without touching the disk."""

from __future__ import annotations

import contextlib
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloudboot_base import FormatError, MemoryStorage
from cloudboot_disk_image import open_disk
from cloudboot_oci_stream import Access, fetch_image

from .disk import Disk
from .errors import CloudbootError
from .inputs import names_file
from .systems import load, names
from .windows.components import examine
from .windows.examination import Examination, has_windows, windows_architecture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cloudboot_base.gates import Gate
    from cloudboot_oci_stream import RetryPolicy
    from cloudboot_oci_stream.deadline import Deadline
    from cloudboot_vfs import FileSystem as VfsFileSystem

    from .manifest import Manifest


FileSystem = tuple[str, dict[str, object], list[dict[str, object]]]


@dataclass(frozen=True)
class Description:
    """What is in an image. ``file_systems`` are ``(name, facts, files)``."""

    table: dict[str, object]
    file_systems: list[FileSystem]
    sources: tuple[Mapping[str, str], ...] = ()
    findings: list[str] = field(default_factory=list)
    checked: bool = True
    warnings: tuple[str, ...] = ()
    components: tuple[Gate, ...] = ()
    """What Windows' boot needs of the disk, where it is meant to start Windows."""

    def as_dict(self) -> dict[str, object]:
        """The description, ready for JSON."""
        return {
            "table": self.table,
            "file_systems": [{"name": name, **facts, "files": files} for name, facts, files in self.file_systems],
            "sources": list(self.sources),
            "findings": self.findings if self.checked else None,
            "warnings": list(self.warnings),
            **({"windows": [gate.as_dict() for gate in self.components]} if self.components else {}),
        }


@contextlib.contextmanager
def opened(
    image: str,
    access: Access | None = None,
    deadline: Deadline | None = None,
    retry: RetryPolicy | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Disk]:
    """The disk that ``image`` names: a file (raw, compressed, qcow2 or VHD) if there is one, else a reference.

    Raises:
        GPTError: not a disk with a whole table.
        DiskImageError: a damaged container, or one that is not read.
        OciError: the reference cannot be fetched.
    """
    if names_file(image):
        with open_disk(image) as disk:
            yield Disk.open(disk.storage)
    else:
        with fetch_image(image, access=access, deadline=deadline, retry=retry, progress=progress) as fetched:
            yield Disk.open(MemoryStorage(fetched.view))


def describe(disk: Disk, *, check: bool = True) -> Description:
    """List partitions, file systems and files; with ``check``, recompute every invariant."""
    findings = [f"{where}: {finding}" for where, finding in disk.findings()] if check else []
    systems: list[FileSystem] = []
    parts: tuple[tuple[str, Callable[[Disk], FileSystem | None]], ...] = (
        ("ESP", _esp), ("root", _root), ("NTFS", _ntfs)
    )  # fmt: skip
    for name, look in parts:
        try:
            found = look(disk)
        except FormatError as error:
            # What keeps a file system from being read is among the findings, if they were asked for.
            if not check:
                raise
            findings = findings or [f"{name}: {error}"]
        else:
            systems += [found] if found is not None else []
    has_esp = any(name == "ESP" for name, _, _ in systems)
    manifest = disk.manifest if has_esp else None
    return Description(
        table=disk.table.as_dict(),
        file_systems=systems,
        sources=manifest.sources if manifest is not None else (),
        findings=findings,
        checked=check,
        warnings=_loader_warnings(disk, manifest) if check and has_esp else (),
        components=_components(disk, manifest) if check and has_esp else (),
    )


def _components(disk: Disk, manifest: Manifest | None) -> tuple[Gate, ...]:
    if not has_windows(disk):
        return ()
    architecture = manifest.architecture if manifest is not None else windows_architecture(disk)
    return tuple(examine(Examination(disk, architecture)))


def _loader_warnings(disk: Disk, manifest: Manifest | None) -> tuple[str, ...]:
    """Why firmware may start nothing from this disk."""
    system = load(manifest.system if manifest is not None and manifest.system in names() else "linux")
    architecture = manifest.architecture if manifest is not None else "amd64"
    if architecture not in system.loaders:
        return ()
    try:
        return disk.find_loader(system.loader_paths(architecture), architecture).warnings
    except CloudbootError as error:
        return (error.message,)


def _esp(disk: Disk) -> FileSystem:
    volume = disk.esp
    kind = f"FAT{volume.geometry.fat_type}"
    return "ESP", {"type": kind, "label": volume.label, "free_clusters": volume.free_clusters()}, list(_esp_files(disk))


def _root(disk: Disk) -> FileSystem | None:
    return None if disk.root is None else ("root", root_facts(disk), list(_root_files(disk)))


def _ntfs(disk: Disk) -> FileSystem | None:
    volume = disk.ntfs
    if volume is None:
        return None
    facts = {
        "type": "NTFS",
        "label": volume.label,
        "cluster_size": volume.geometry.cluster_size,
        "record_size": volume.geometry.record_size,
    }
    return "NTFS", facts, list(_files(volume))


def _esp_files(disk: Disk) -> Iterator[dict[str, object]]:
    for folder, folders, files in disk.esp.walk():
        for entry in (*folders, *files):
            path = f"{folder.rstrip('/')}/{entry.name}"
            yield {"path": path, "mode": "drwxr-xr-x" if entry.is_dir else "-rw-r--r--", "size": entry.size}


def root_facts(disk: Disk) -> dict[str, object]:
    """What the superblock says, in short."""
    volume = disk.root
    if volume is None:
        return {}
    geometry = volume.geometry
    return {
        "type": "UFS2",
        "label": volume.label,
        "block_size": geometry.block_size,
        "fragment_size": geometry.fragment_size,
        "groups": geometry.group_count,
    }


def _root_files(disk: Disk) -> Iterator[dict[str, object]]:
    return iter(()) if disk.root is None else _files(disk.root)


def _files(volume: VfsFileSystem) -> Iterator[dict[str, object]]:
    for _, folders, files in volume.walk():
        for entry in (*folders, *files):
            status = volume.stat(entry.path, follow_symlinks=False)
            facts = {"path": entry.path, "mode": stat.filemode(status.st_mode), "size": status.st_size}
            if stat.S_ISLNK(status.st_mode):
                facts["target"] = volume.readlink(entry.path)
            yield facts
