"""Writing a pax archive of what is in a file system."""

from __future__ import annotations

import io
import stat
import tarfile
from typing import IO, TYPE_CHECKING

from cloudboot_ufs2.layout.fileflags import flags_text
from cloudboot_vfs.paxattr import headers_of
from cloudboot_vfs.sparsetar import content_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

    from cloudboot_ufs2.reader.reader import UFS2

    from .presets import Chosen


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


class PaxArchive:
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

    def add(self, item: Chosen) -> None:
        """Add something of the file system."""
        status = item.status
        info = self._member(item.path, status.st_mode, status.st_mtime_ns)
        info.uid, info.gid = status.st_uid, status.st_gid
        if flags := flags_text(status.st_flags):
            info.pax_headers = {**info.pax_headers, "SCHILY.fflags": flags}
        if attributes := self._volume.inode_attributes(item.inode):
            info.pax_headers = {**info.pax_headers, **headers_of({each.full_name: each.value for each in attributes})}
        if stat.S_ISDIR(status.st_mode):
            info.type = tarfile.DIRTYPE
        elif stat.S_ISLNK(status.st_mode):
            info.type = tarfile.SYMTYPE
            info.linkname = self._volume.link_target(item.inode).decode("utf-8", "surrogateescape")
        elif item.inode in self._first_names:
            info.type, info.linkname = tarfile.LNKTYPE, self._first_names[item.inode]
        else:
            self._first_names[item.inode] = item.path
            self._add_file(info, item)
            return
        self._tar.addfile(info)

    def _add_file(self, info: tarfile.TarInfo, item: Chosen) -> None:
        with self._volume.open_inode(item.inode) as file, _Counted(content_of(info, file), self._report) as counted:
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
