"""What a file system has to offer so that it can be published as a Simple File System."""

from __future__ import annotations

import datetime as dt
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cloudboot_base import Error, TruncatedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Buffer

    from cloudboot_base import Storage
    from cloudboot_fat import FatReader
    from cloudboot_fat.entries import DirEntry
    from cloudboot_vfs import FileSystem, OpenFile, Stat

#: EFI_FILE_READ_ONLY, EFI_FILE_DIRECTORY, EFI_FILE_ARCHIVE.
READ_ONLY, DIRECTORY, ARCHIVE = 0x01, 0x10, 0x20


@dataclass(frozen=True, slots=True)
class VolumeEntry:
    """A file or directory. ``size`` is in bytes, ``attributes`` are those of EFI_FILE_INFO."""

    name: str
    size: int
    attributes: int
    created: dt.datetime | None = None
    accessed: dt.datetime | None = None
    modified: dt.datetime | None = None

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return bool(self.attributes & DIRECTORY)


class Volume(Protocol):
    """A file system. Paths have ``/`` between names and start with one.

    Raises (every method with a path):
        FileNotFoundError, NotADirectoryError: there is no such entry.
        cloudboot_base.Error: the file system is damaged.
    """

    @property
    def label(self) -> str:
        """The volume label."""

    @property
    def size(self) -> int:
        """Size of the volume in bytes."""

    @property
    def free(self) -> int:
        """Free bytes."""

    @property
    def block_size(self) -> int:
        """Bytes of an allocation unit."""

    def entry(self, path: str) -> VolumeEntry:
        """The file or directory at ``path``."""

    def entries(self, path: str) -> Sequence[VolumeEntry]:
        """What a directory holds, without ``.`` and ``..``."""

    def content(self, path: str) -> Storage:
        """The bytes of a file."""


class FatVolume:
    """A FAT volume as cloudboot_fat reads it."""

    def __init__(self, reader: FatReader) -> None:
        self._reader = reader

    @property
    def label(self) -> str:
        """The volume label."""
        return self._reader.label

    @property
    def size(self) -> int:
        """Bytes of the data area's clusters."""
        return self._reader.geometry.clusters * self._reader.geometry.cluster_size

    @property
    def free(self) -> int:
        """Bytes of the free clusters."""
        return self._reader.free_clusters() * self._reader.geometry.cluster_size

    @property
    def block_size(self) -> int:
        """Bytes of a cluster."""
        return self._reader.geometry.cluster_size

    def _size(self, entry: DirEntry) -> int:
        """The bytes of a file; of a directory below the root those of its clusters, as EDK2's driver counts them."""
        if not entry.is_dir or entry.offset is None:
            return entry.size
        try:
            return sum(extent.length for extent in self._reader.directory_extents(entry.cluster))
        except Error:  # who opens it is told
            return 0

    def _entry(self, entry: DirEntry) -> VolumeEntry:
        day = entry.accessed
        accessed = None if day is None else dt.datetime(day.year, day.month, day.day)  # noqa: DTZ001 -- FAT has local time
        return VolumeEntry(
            entry.name, self._size(entry), int(entry.attributes) & 0x3F, entry.created, accessed, entry.modified
        )

    def entry(self, path: str) -> VolumeEntry:
        """The file or directory at ``path``."""
        return self._entry(self._reader.stat(path))

    def entries(self, path: str) -> Sequence[VolumeEntry]:
        """What a directory holds."""
        return [self._entry(entry) for entry in self._reader.iterdir(path) if entry.name not in {".", ".."}]

    def content(self, path: str) -> Storage:
        """The bytes of a file."""
        return self._reader.file_storage(path)


class UnreadableVolume:
    """A volume that a firmware's driver publishes although nothing in it can be read: every question is an error."""

    def __init__(self, error: Error) -> None:
        self._error = error

    @property
    def label(self) -> str:
        """Raises the error."""
        raise self._error

    @property
    def size(self) -> int:
        """Raises the error."""
        raise self._error

    @property
    def free(self) -> int:
        """Raises the error."""
        raise self._error

    @property
    def block_size(self) -> int:
        """Raises the error."""
        raise self._error

    def entry(self, _path: str) -> VolumeEntry:
        """Raises the error."""
        raise self._error

    def entries(self, _path: str) -> Sequence[VolumeEntry]:
        """Raises the error."""
        raise self._error

    def content(self, _path: str) -> Storage:
        """Raises the error."""
        raise self._error


class OpenFileStorage:
    """An open file of a file system as a storage."""

    def __init__(self, file: OpenFile) -> None:
        self._file = file

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self._file.size

    def read_at(self, offset: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``offset``.

        Raises:
            TruncatedError: the file ends before.
        """
        data = self._file.read_at(offset, size)
        if len(data) != size:
            raise TruncatedError("the read passes the end", offset=offset, expected=size, actual=len(data))
        return data

    def readinto_at(self, offset: int, buffer: Buffer) -> None:
        """Fill ``buffer`` from ``offset``."""
        view = memoryview(buffer).cast("B")
        view[:] = self.read_at(offset, len(view))


class VfsVolume:
    """Any file system of cloudboot_vfs. Symbolic links are followed; devices and sockets are not shown."""

    block_size = 4096
    free = 0

    def __init__(self, file_system: FileSystem) -> None:
        self._file_system = file_system

    @property
    def label(self) -> str:
        """The volume label."""
        return self._file_system.label

    @property
    def size(self) -> int:
        """Size of the volume in bytes."""
        return self._file_system.size

    @staticmethod
    def _entry(name: str, facts: Stat) -> VolumeEntry:
        directory = stat.S_ISDIR(facts.st_mode)
        created, accessed, modified = (
            dt.datetime.fromtimestamp(moment // 1_000_000_000, dt.UTC) if moment > 0 else None
            for moment in (facts.st_birthtime_ns, facts.st_atime_ns, facts.st_mtime_ns)
        )
        size = 0 if directory else facts.st_size
        return VolumeEntry(name, size, DIRECTORY if directory else 0, created, accessed, modified)

    def entry(self, path: str) -> VolumeEntry:
        """The file or directory at ``path``.

        Raises:
            FileNotFoundError: there is no file or directory of that name.
        """
        facts = self._file_system.stat(path)
        if not (stat.S_ISDIR(facts.st_mode) or stat.S_ISREG(facts.st_mode)):
            raise FileNotFoundError(path)
        return self._entry(path.rpartition("/")[2] or "/", facts)

    def entries(self, path: str) -> Sequence[VolumeEntry]:
        """What a directory holds; a link whose target is missing is not shown."""
        found = []
        for entry in self._file_system.iterdir(path):
            if entry.name in {".", ".."}:
                continue
            try:
                found.append(self.entry(f"{path.rstrip('/')}/{entry.name}"))
            except (FileNotFoundError, NotADirectoryError):
                continue
        return found

    def content(self, path: str) -> Storage:
        """The bytes of a file."""
        return OpenFileStorage(self._file_system.open_file(path))
