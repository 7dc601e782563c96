"""What a medium consists of: volumes, each with files that can be looked up, some with a tree that can be a root."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cloudboot_base import FormatError
from cloudboot_base.storage import read_file

from .errors import MediumError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cloudboot_fat import FatReader
    from cloudboot_vfs import FileSystem


class Files(Protocol):
    """Files that are looked up by path, whatever case their names are in: FAT and plain ISO 9660 have only one."""

    def locate(self, path: str) -> str | None:
        """The path of the file as the volume spells it; ``None`` where no regular file is there."""

    def read(self, path: str, limit: int) -> bytes:
        """The bytes of a file that :meth:`locate` found; one larger than ``limit`` is an error."""


@dataclass(frozen=True)
class Volume:
    """One volume of a medium. ``export`` gives its tree as a folder or a tar archive made in the folder it is given."""

    title: str
    files: Files
    export: Callable[[Path], Path] | None = None


def parts_of(path: str) -> list[str]:
    """The names of a path."""
    return [part for part in path.split("/") if part not in {"", "."}]


def too_large(path: str, size: int, limit: int) -> MediumError:
    """The refusal of a file that is larger than any loader."""
    return MediumError(f"{path} has {size} bytes, more than the {limit} a loader may have")


class VfsFiles:
    """The files of a file system that one of this project's packages reads."""

    def __init__(self, volume: FileSystem) -> None:
        self._volume = volume

    def locate(self, path: str) -> str | None:
        """The path as the volume spells it."""
        found = ""
        for part in parts_of(path):
            names = self._volume.listdir(found or "/") if self._is_folder(found or "/") else []
            name = part if part in names else next((each for each in names if each.casefold() == part.casefold()), None)
            if name is None:
                return None
            found = f"{found}/{name}"
        return found if found and not self._is_folder(found) else None

    def _is_folder(self, path: str) -> bool:
        return self._volume.exists(path) and self._volume.stat(path).st_mode & 0o170000 == 0o040000

    def read(self, path: str, limit: int) -> bytes:
        """The bytes of a file."""
        size = self._volume.stat(path).st_size
        if size > limit:
            raise too_large(path, size, limit)
        return self._volume.read_file(path, limit=limit)


class FatFiles:
    """The files of a FAT volume, which tells no upper from lower case."""

    def __init__(self, volume: FatReader) -> None:
        self._volume = volume

    def locate(self, path: str) -> str | None:
        """The path itself, where a file is there."""
        return path if self._volume.exists(path) and not self._volume.stat(path).is_dir else None

    def read(self, path: str, limit: int) -> bytes:
        """The bytes of a file."""
        size = self._volume.stat(path).size
        if size > limit:
            raise too_large(path, size, limit)
        return self._volume.read_file(path)


class FolderFiles:
    """The files of a folder of the host. Symbolic links are followed as long as they stay within the folder."""

    def __init__(self, top: Path) -> None:
        self._top = top

    def locate(self, path: str) -> str | None:
        """The path as the host spells it."""
        place = self._top
        for part in parts_of(path):
            if part == ".." or not place.is_dir():
                return None
            names = [each.name for each in place.iterdir()]
            name = part if part in names else next((each for each in names if each.casefold() == part.casefold()), None)
            if name is None:
                return None
            place = place / name
        if not place.is_file() or not place.resolve().is_relative_to(self._top.resolve()):
            return None
        return f"/{place.relative_to(self._top)}"

    def read(self, path: str, limit: int) -> bytes:
        """The bytes of a file."""
        return read_file(self._top / path.lstrip("/"), limit)


class TarFiles:
    """The regular files of a tar archive; its members are listed once.

    Raises:
        MediumError: the archive is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names: dict[str, str] = {}
        for member in self._members():
            if member.isreg():
                name = "/" + "/".join(parts_of(member.name))
                self._names[name.casefold()] = name

    def _members(self) -> Iterator[tarfile.TarInfo]:
        try:
            with tarfile.open(self._path) as archive:
                yield from archive
        except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
            raise MediumError(f"{self._path} is a damaged tar archive: {error}") from None

    def locate(self, path: str) -> str | None:
        """The path as the archive spells it."""
        return self._names.get("/" + "/".join(parts_of(path)).casefold())

    def read(self, path: str, limit: int) -> bytes:
        """The bytes of the last member of that name, which is the one that unpacking leaves."""
        data: bytes | None = None
        try:
            with tarfile.open(self._path) as archive:
                for member in archive:
                    if "/" + "/".join(parts_of(member.name)) != path or not member.isreg():
                        continue
                    if member.size > limit:
                        raise too_large(path, member.size, limit)
                    content = archive.extractfile(member)
                    data = content.read() if content is not None else None
        except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
            raise MediumError(f"{self._path} is a damaged tar archive: {error}") from None
        if data is None:
            raise FormatError(f"{path} is not in the archive", structure="tar", field="name", actual=path)
        return data


def is_archive(path: Path) -> bool:
    """Whether a file is a tar archive with at least one member, compressed or not.

    ``tarfile`` takes any file that begins with a block of zeros for an empty archive; an ISO image does.
    """
    try:
        with tarfile.open(path) as archive:
            return archive.next() is not None
    except (tarfile.TarError, EOFError, ValueError, OverflowError, OSError):
        return False
