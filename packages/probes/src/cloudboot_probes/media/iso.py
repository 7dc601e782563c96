"""The tree of an ISO 9660 volume (ECMA-119), with Rock Ridge or Joliet names where it has them, read by pycdlib.

pycdlib is LGPL-2.1 and an optional dependency, the extra ``[iso]``.
"""

from __future__ import annotations

import calendar
import contextlib
import io
import os
import stat
import struct
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, ClassVar, Final

from cloudboot_base import MissingDependencyError, StorageFile, Window

from .errors import IsoError
from .volume import parts_of, too_large

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cloudboot_base import Storage

SECTOR: Final = 2048
_FIRST_DESCRIPTOR: Final = 16 * SECTOR
_ALL_SECTORS: Final = (1 << 32) * SECTOR
_STANDARD: Final = b"CD001"
_UDF_BEGINS: Final = b"BEA01"
_HIDDEN: Final = (b"EL TORITO SPECIFICATION", _UDF_BEGINS)
_MOST_DESCRIPTORS: Final = 64
_MAX_ENTRIES: Final = 4_000_000
_MAX_DEPTH: Final = 255
#: What pycdlib raises over bytes that are no ISO 9660 volume, beside its own exceptions.
_DAMAGE: Final = (
    struct.error, IndexError, KeyError, ValueError, TypeError, AttributeError, OverflowError, RecursionError,
    AssertionError, EOFError, MemoryError,
)  # fmt: skip
_KINDS: Final = {
    stat.S_IFDIR: tarfile.DIRTYPE, stat.S_IFREG: tarfile.REGTYPE, stat.S_IFLNK: tarfile.SYMTYPE,
}  # fmt: skip


class _MediumFile(io.BytesIO):
    """A medium as pycdlib reads it.

    It does not see El Torito's boot record: the files do not need the boot catalogue, so one that pycdlib does not
    accept is no reason to refuse a volume.

    ``hide_udf`` is for reading the ISO 9660 volume alone. Then the medium states more bytes than sectors can be
    numbered, and has those it has: pycdlib shortens files that reach beyond the end of a medium, silently, and what is
    recorded is to be compared with what is there. It needs the end for UDF only.
    """

    def __init__(self, storage: Storage, *, hide_udf: bool) -> None:
        super().__init__()
        self._storage, self._position = storage, 0
        self._size = _ALL_SECTORS if hide_udf else storage.size
        self._hidden = tuple(_identifiers(storage, _HIDDEN if hide_udf else _HIDDEN[:1]))

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to ``offset``."""
        base = (0, self._position, self._size)[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """The position, in bytes."""
        return self._position

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to ``size`` bytes, fewer at the end of the medium."""
        there = self._storage.size - self._position
        if there <= 0:
            return b""
        data = self._storage.read_at(self._position, there if size is None or size < 0 else min(size, there))
        for at, length in self._hidden:
            start, stop = (max(0, min(len(data), each - self._position)) for each in (at, at + length))
            data = data[:start] + bytes(stop - start) + data[stop:]
        self._position += len(data)
        return data


def _identifiers(storage: Storage, wanted: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Where descriptors of the volume recognition sequence have one of the identifiers: offset and length in bytes."""
    for at in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + _MOST_DESCRIPTORS * SECTOR, SECTOR):
        descriptor = storage.read_at(at, 64) if at + SECTOR <= storage.size else b""
        if descriptor[1:6] not in {_STANDARD, _UDF_BEGINS}:
            break
        for each in wanted:
            offset = 1 if each == _UDF_BEGINS else 7
            if descriptor[0] == 0 and descriptor[offset:].startswith(each):
                yield at + offset, len(each)
        if descriptor[1:6] == _UDF_BEGINS:
            break


def has_udf(storage: Storage) -> bool:
    """Whether an extended area begins in the volume recognition sequence (ECMA-167, 2/9.2), as UDF needs it."""
    return any(_identifiers(storage, (_UDF_BEGINS,)))


@dataclass(frozen=True, slots=True)
class IsoEntry:
    """A directory record.

    ``path`` begins with ``/``; ``stored`` is how pycdlib is asked for it; ``mtime`` is in seconds since 1970.
    ``links`` counts the names of the file, ``extent`` is the sector of its first byte; ``whole`` says that the others
    follow it: a file of 4 GiB and more is in several extents.
    """

    path: str
    stored: str
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int
    extent: int
    links: int
    whole: bool = True
    target: str | None = None


class PycdlibVolume:
    """A volume of a medium that pycdlib reads. ``structure`` is its kind, for messages.

    Raises:
        MissingDependencyError: pycdlib is not installed.
        IsoError: the volume breaks its format.
    """

    structure: ClassVar[str]

    def __init__(self, storage: Storage, *, hide_udf: bool) -> None:
        try:
            import pycdlib  # an optional dependency; 60 ms
            from pycdlib.pycdlibexception import PyCdlibException
        except ModuleNotFoundError:
            raise MissingDependencyError(
                "pycdlib is not installed, which reads ISO 9660 images", hint="pip install 'cloudboot-probes[iso]'"
            ) from None
        self._failures: tuple[type[Exception], ...] = (PyCdlibException, *_DAMAGE)
        self._iso = pycdlib.PyCdlib()
        with self._reading("the volume"):
            self._iso.open_fp(_MediumFile(storage, hide_udf=hide_udf))

    @contextlib.contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        try:
            yield
        except self._failures as error:
            raise IsoError(
                f"{what} cannot be read: {error}", structure=self.structure, actual=type(error).__name__
            ) from None

    def close(self) -> None:
        """Forget the volume; its storage stays open."""
        with contextlib.suppress(*self._failures):
            self._iso.close()


class IsoTree(PycdlibVolume):
    """The files of an ISO 9660 volume.

    Rock Ridge has POSIX names, modes, owners, times and symbolic links. Joliet has only names and times. Plain names
    are in upper case with a version: they are shown in lower case without it, as Linux and FreeBSD mount them.

    Raises:
        MissingDependencyError: pycdlib is not installed.
        IsoError: the volume breaks its format.
    """

    structure = "ISO 9660 volume"

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage, hide_udf=True)
        self._storage = storage
        with self._reading("the volume"):
            self._key = (
                "rr_path" if self._iso.has_rock_ridge() else "joliet_path" if self._iso.has_joliet() else "iso_path"
            )
        self._entries = {entry.path: entry for entry in self._walk()}
        self._spelled = {path.casefold(): path for path in reversed(self._entries)}

    @property
    def names(self) -> str:
        """Which names the tree has: ``"Rock Ridge"``, ``"Joliet"`` or ``"plain"``."""
        return {"rr_path": "Rock Ridge", "joliet_path": "Joliet"}.get(self._key, "plain")

    def entries(self) -> list[IsoEntry]:
        """Everything below the root, sorted so that a folder comes before what is in it."""
        return [self._entries[path] for path in sorted(self._entries)]

    def locate(self, path: str) -> str | None:
        """The path of a regular file as the volume spells it."""
        found = self._spelled.get(("/" + "/".join(parts_of(path))).casefold())
        return found if found is not None and stat.S_ISREG(self._entries[found].mode) else None

    def read(self, path: str, limit: int) -> bytes:
        """The bytes of a regular file."""
        entry = self._entries[path]
        if entry.size > limit:
            raise too_large(path, entry.size, limit)
        with self._open(entry) as file:
            data = file.read(entry.size)
        if len(data) != entry.size:
            raise IsoError(
                f"{path} is cut short", structure="Directory Record", field="Data Length",
                expected=entry.size, actual=len(data),
            )  # fmt: skip
        return data

    def open(self, path: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        """A regular file, to read from its start on."""
        return self._open(self._entries[path])

    def size(self, path: str) -> int:
        """Bytes of a regular file."""
        return self._entries[path].size

    @contextlib.contextmanager
    def _open(self, entry: IsoEntry) -> Iterator[IO[bytes]]:
        if entry.whole:
            with io.BufferedReader(StorageFile(Window(self._storage, entry.extent * SECTOR, entry.size))) as file:
                yield file
            return
        with self._reading(entry.path), self._iso.open_file_from_iso(**{self._key: entry.stored}) as parts:
            yield parts

    def write_tar(self, path: Path) -> Path:
        """Write the tree as a pax archive: the same volume gives the same bytes.

        Names that share their bytes become hard links. What is no file, folder or symbolic link is left out.

        Raises:
            IsoError: the volume breaks its format.
            OSError: there is no room.
        """
        first: dict[tuple[int, int], str] = {}
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
            for entry in self.entries():
                kind = _KINDS.get(stat.S_IFMT(entry.mode))
                if kind is None:
                    continue
                info = tarfile.TarInfo(entry.path.lstrip("/"))
                info.type, info.mode, info.mtime = kind, stat.S_IMODE(entry.mode), entry.mtime
                info.uid, info.gid = entry.uid, entry.gid
                info.linkname = entry.target or ""
                place = (entry.extent, entry.size)
                if kind == tarfile.REGTYPE and entry.links > 1 and entry.size and place in first:
                    info.type, info.linkname = tarfile.LNKTYPE, first[place]
                if info.type != tarfile.REGTYPE:
                    archive.addfile(info)
                    continue
                first.setdefault(place, info.name)
                info.size = entry.size
                with self._open(entry) as file:
                    archive.addfile(info, file)
        return path

    def _walk(self) -> Iterator[IsoEntry]:
        folders = [("", "/")]
        count = 0
        while folders:
            shown, stored = folders.pop()
            if shown.count("/") > _MAX_DEPTH:
                raise IsoError("the directories are nested too deeply", structure="Directory Record", actual=shown[:80])
            with self._reading(stored):
                records = [each for each in self._iso.list_children(**{self._key: stored}) if not _is_dot(each)]
            for record in records:
                count += 1
                if count > _MAX_ENTRIES:
                    raise IsoError("the volume has too many entries", expected=f"at most {_MAX_ENTRIES}")
                with self._reading(f"an entry of {stored}"):
                    entry = self._entry(record, shown, stored)
                if stat.S_ISDIR(entry.mode):
                    folders.append((entry.path, entry.stored))
                yield entry

    def _entry(self, record: Any, shown: str, stored: str) -> IsoEntry:
        ridge = record.rock_ridge if self._key == "rr_path" else None
        raw = ridge.name() if ridge is not None else record.file_identifier()
        name = raw.decode("utf-16-be" if self._key == "joliet_path" else "utf-8")
        visible = _plain(name) if self._key == "iso_path" else name.rpartition(";1")[0] or name
        if ridge is not None:
            visible = name
        if not visible or "/" in visible or "\0" in visible or visible in {".", ".."}:
            raise IsoError(
                "a name cannot be one of a file", structure="Directory Record", field="File Identifier",
                actual=ascii(visible),
            )  # fmt: skip
        whole = record.data_continuation is None and not record.xattr_len
        size, extent = int(record.get_data_length()), int(record.extent_location())
        folder = bool(record.is_dir())
        mode = (stat.S_IFDIR | 0o755) if folder else (stat.S_IFREG | 0o644)
        uid = gid = 0
        links, target = 1, None
        if ridge is not None:
            facts = _first(ridge, "px_record")
            if facts is not None:
                mode, uid, gid = facts.posix_file_mode, facts.posix_user_id, facts.posix_group_id
                links = facts.posix_file_links
            if ridge.is_symlink():
                mode, target = stat.S_IFLNK | 0o777, os.fsdecode(ridge.symlink_path())
            elif folder != stat.S_ISDIR(mode):
                mode = stat.S_IMODE(mode) | (stat.S_IFDIR if folder else stat.S_IFREG)
        if (stat.S_ISREG(mode) or folder) and size and extent * SECTOR + size > self._storage.size:
            raise IsoError(
                f"{shown}/{visible} reaches beyond the end of the medium", structure="Directory Record",
                field="Extent Location", expected=f"at most {self._storage.size}", actual=extent * SECTOR + size,
            )  # fmt: skip
        return IsoEntry(
            f"{shown}/{visible}", f"{stored.rstrip('/')}/{name}", mode, uid, gid, _modified(record, ridge),
            0 if target is not None or folder else size, extent, links,
            whole, target,
        )  # fmt: skip


def _is_dot(record: Any) -> bool:
    return bool(record.is_dot() or record.is_dotdot())


def _plain(name: str) -> str:
    """``"LOADER.EFI;1"`` as it is mounted: in lower case, without the version or an empty extension."""
    return name.partition(";")[0].rstrip(".").lower()


def _first(ridge: Any, name: str) -> Any:
    """A record of a System Use Sharing Protocol area: in the directory record, or in its continuation."""
    for entries in (ridge.dr_entries, ridge.ce_entries):
        found = getattr(entries, name, None)
        if found is not None:
            return found
    return None


def _modified(record: Any, ridge: Any) -> int:
    """The time of the last change, in seconds since 1970; 0 where none is recorded."""
    date = record.date
    times = _first(ridge, "tf_record") if ridge is not None else None
    if times is not None and times.modification_time is not None:
        date = times.modification_time
    if date is None:
        return 0
    if hasattr(date, "years_since_1900"):
        year, day = 1900 + date.years_since_1900, date.day_of_month
    else:
        year, day = date.year, date.dayofmonth
    if not (1 <= date.month <= 12 and 1 <= day <= 31 and year >= 1):
        return 0
    seconds = calendar.timegm((year, date.month, day, date.hour, date.minute, date.second))
    return max(0, int(seconds) - 15 * 60 * int(date.gmtoffset))
