"""From a file system to a tar archive: the same file system and the same selection give the same bytes."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import stat
import tarfile
from typing import IO, TYPE_CHECKING

from cloudboot_layout import new_file

from . import errors
from .constants import FS_SUJ, SF_SNAPSHOT
from .presets import LOADER_CONF, Preset, loader_conf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from typing_extensions import Buffer

    from .entry import Stat
    from .reader import UFS2

_JOURNAL = "/.sujournal"
_EVERYTHING = Preset(("*",))
_LEFT_OUT = {
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was not put into the archive."""

    path: str
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Extraction:
    """What was put into an archive."""

    paths: tuple[str, ...]  #: without a leading slash, in the order of the archive
    size: int  #: bytes of the files, hard links once
    synthesised: tuple[str, ...]  #: those of ``paths`` that were not in the file system
    skipped: tuple[Skipped, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class _Chosen:
    path: str
    inode: int
    status: Stat


def extract(
    volume: UFS2,
    target: str | os.PathLike[str] | IO[bytes],
    selection: Preset | Sequence[str] = _EVERYTHING,
    *,
    configuration: bytes | None = None,
    force: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Extraction:
    """Write a pax archive of what ``selection`` names, sorted by path, folders before what is in them.

    Modes, numeric owners, times in nanoseconds, symbolic and hard links are kept; holes become zeros. Left out, and
    listed in the result, are devices, pipes, sockets, snapshots and the journal of soft updates.

    Args:
        volume: the file system.
        target: the archive to make, or a binary file to write to.
        selection: patterns of paths without a leading slash, or a preset; by default everything.
        configuration: the /boot/loader.conf to put in, instead of what is there or would be made.
        force: whether an existing archive is replaced.
        progress: told how many bytes of files have been written.

    Raises:
        FileNotFoundError: something that a preset requires is not there.
        InodeError: a file with holes that is larger than the file system.
        Ufs2Error: the file system is damaged.
        FileExistsError: the archive exists, without ``force``.
    """
    preset = selection if isinstance(selection, Preset) else Preset(tuple(selection))
    skipped: list[Skipped] = []
    chosen = {item.path: item for item in _choose(volume, preset, skipped)}
    for path in preset.required:
        if path not in chosen or not stat.S_ISREG(chosen[path].status.st_mode):
            raise errors.FileNotFoundError(f"/{path}: no such file, and it is required")
    made: dict[str, bytes] = {}
    if configuration is not None:
        made[LOADER_CONF] = configuration
    elif preset.loader_conf and LOADER_CONF not in chosen:
        made[LOADER_CONF] = loader_conf(chosen)
    with _output(target, force=force) as file:
        archive = _Archive(volume, file, progress)
        for path in sorted({*chosen, *made}, key=lambda name: name.split("/")):
            if path in made:
                archive.add_made(path, made[path])
            else:
                archive.add(chosen[path])
        archive.close()
    return Extraction(tuple(archive.paths), archive.size, tuple(sorted(made)), tuple(skipped))


def _choose(volume: UFS2, preset: Preset, skipped: list[Skipped]) -> Iterator[_Chosen]:
    """What the preset wants, and the folders above it."""
    above: set[str] = set()
    for root in preset.roots():
        if not volume.exists(f"/{root}"):
            continue
        for _, directories, others in volume.walk(f"/{root}"):
            for entry in [*directories, *others]:
                path = entry.path.lstrip("/")
                if not preset.wants(path):
                    continue
                status = volume.stat_inode(entry.inode)
                reason = left_out(volume, entry.path, status)
                if reason is not None:
                    skipped.append(Skipped(entry.path, reason))
                    continue
                yield _Chosen(path, entry.inode, status)
                parts = path.split("/")[:-1]
                above.update("/".join(parts[:count]) for count in range(1, len(parts) + 1))
    for path in above:
        inode = volume.find(f"/{path}")
        yield _Chosen(path, inode, volume.stat_inode(inode))


def left_out(volume: UFS2, path: str, status: Stat) -> str | None:
    """Why something does not leave the file system; ``None`` where it does."""
    if status.st_flags & SF_SNAPSHOT:
        return "a snapshot"
    if path == _JOURNAL and volume.superblock.fs_flags & FS_SUJ:
        return "the journal of soft updates"
    kind = stat.S_IFMT(status.st_mode)
    if kind in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
        return None
    return _LEFT_OUT.get(kind, "of an unknown type")


@contextlib.contextmanager
def _output(target: str | os.PathLike[str] | IO[bytes], *, force: bool) -> Iterator[IO[bytes]]:
    if not isinstance(target, str | os.PathLike):
        yield target
        return
    with new_file(target, force=force) as fd, open(fd, "wb", closefd=False) as file:
        yield file


class _Sink(io.RawIOBase):
    """A file that may be a pipe; :mod:`tarfile` asks where it is."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._position = file, 0

    def tell(self) -> int:
        """How much has been written."""
        return self._position

    def write(self, data: Buffer, /) -> int:
        """Write all of ``data``."""
        count = memoryview(data).nbytes
        self._file.write(data)
        self._position += count
        return count


class _Archive:
    """A pax archive being written."""

    def __init__(self, volume: UFS2, file: IO[bytes], progress: Callable[[int], None] | None) -> None:
        self._volume, self._progress = volume, progress
        self._tar = tarfile.TarFile(
            mode="w", fileobj=_Sink(file), format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape"
        )
        self._first_names: dict[int, str] = {}
        self.paths: list[str] = []
        self.size = 0

    def close(self) -> None:
        """Write the end of the archive."""
        self._tar.close()

    def add(self, item: _Chosen) -> None:
        """Add something of the file system."""
        status = item.status
        info = self._member(item.path, status.st_mode, status.st_mtime_ns)
        info.uid, info.gid = status.st_uid, status.st_gid
        if stat.S_ISDIR(status.st_mode):
            info.type = tarfile.DIRTYPE
        elif stat.S_ISLNK(status.st_mode):
            info.type = tarfile.SYMTYPE
            info.linkname = self._volume.link_target(item.inode).decode("utf-8", "surrogateescape")
        elif item.inode in self._first_names:
            info.type, info.linkname = tarfile.LNKTYPE, self._first_names[item.inode]
        else:
            self._first_names[item.inode] = item.path
            info.size = status.st_size
            self._add_file(info, item)
            return
        self._tar.addfile(info)

    def _add_file(self, info: tarfile.TarInfo, item: _Chosen) -> None:
        if info.size > self._volume.size:
            raise errors.InodeError(
                f"/{item.path}: larger than the file system it is in", structure="Ufs2Dinode", field="di_size",
                expected=f"at most {self._volume.size}", actual=info.size,
            )  # fmt: skip
        with self._volume.open_inode(item.inode) as file, _Counted(file, self._report) as counted:
            self._tar.addfile(info, counted)

    def add_made(self, path: str, data: bytes) -> None:
        """Add a file that the file system does not have; its time is 0."""
        info = self._member(path, stat.S_IFREG | 0o644, 0)
        info.size = len(data)
        self._tar.addfile(info, io.BytesIO(data))
        self._report(len(data))

    def _member(self, path: str, mode: int, mtime_ns: int) -> tarfile.TarInfo:
        info = tarfile.TarInfo(path)
        info.mode = stat.S_IMODE(mode)
        seconds, nanoseconds = divmod(mtime_ns, 1_000_000_000)
        info.mtime = seconds
        if nanoseconds:
            info.pax_headers = {"mtime": _decimal(mtime_ns)}
        self.paths.append(path)
        self._tar.members = []  # type: ignore[attr-defined] # the list of all members is only ever in the way
        return info

    def _report(self, count: int) -> None:
        self.size += count
        if self._progress is not None:
            self._progress(self.size)


def _decimal(nanoseconds: int) -> str:
    """Nanoseconds as the seconds of a pax header."""
    sign = "-" if nanoseconds < 0 else ""
    seconds, fraction = divmod(abs(nanoseconds), 1_000_000_000)
    return f"{sign}{seconds}.{fraction:09}".rstrip("0")


class _Counted(io.BufferedReader):
    """A file that tells how much of it has been read, in reads large enough for the volume."""

    def __init__(self, raw: io.RawIOBase, report: Callable[[int], None]) -> None:
        super().__init__(raw, 1 << 20)
        self._report = report

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to ``size`` bytes."""
        data = super().read(size)
        self._report(len(data))
        return data
