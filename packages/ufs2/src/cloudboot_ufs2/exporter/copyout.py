"""Files and folders out of a file system into the host's."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from cloudboot_base import followed, new_file
from cloudboot_base.lightdata import dataclass, field
from cloudboot_ufs2 import errors
from cloudboot_ufs2.layout.directory import PIECE, records
from cloudboot_ufs2.layout.names import decoded

from .extract import Skipped, left_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_ufs2.reader.reader import UFS2
    from cloudboot_vfs import DirEntry, Stat

_CHUNK = 1 << 17  # with it a copy stays within the second cache
_PERMISSIONS = 0o777  # the copy belongs to whoever makes it, so it must not run as the owner of the original


@dataclass(slots=True)
class CopiedOut:
    """What was copied."""

    files: int = 0
    size: int = 0  #: bytes
    skipped: list[Skipped] = field(default_factory=list)


def copy_out(
    volume: UFS2,
    path: str,
    target: str | os.PathLike[str],
    *,
    force: bool = False,
    progress: Callable[[int], None] | None = None,
) -> CopiedOut:
    """Copy a file, or a directory with all below it, to ``target``, which appears only when it is whole.

    Permissions, times, holes, symbolic and hard links are kept; owners are not. Devices, pipes, sockets, snapshots and
    the journal are left out and listed.

    Args:
        volume: the file system.
        path: what to copy; a symbolic link is followed.
        target: the file or folder to make.
        force: whether an existing file is replaced; a folder never is.
        progress: told how many bytes have been written.

    Raises:
        FileExistsError: the target exists.
        UnsupportedError: ``path`` is neither a file, a directory nor a link.
        Ufs2Error: the file system is damaged.
        OSError: the host refuses.
    """
    number = volume.find(path)
    status = volume.stat_inode(number)
    reason = left_out(volume, path, status)
    if reason is not None:
        raise errors.UnsupportedError(f"{path}: {reason}")
    copier = _Copier(volume, progress)
    if not stat.S_ISDIR(status.st_mode):
        with new_file(followed(target), force=force) as fd:
            copier.copy_file(number, status, fd)
        return copier.done
    if os.path.lexists(target):
        raise FileExistsError(17, "the folder exists", os.fspath(target))
    import shutil  # with tempfile 6 ms, which only a whole folder needs
    import tempfile

    folder, name = os.path.split(os.path.abspath(target))
    temporary = tempfile.mkdtemp(dir=folder, prefix=f".{name}.", suffix=".partial")
    try:
        copier.copy_tree(path, temporary, status)
        os.rename(temporary, target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return copier.done


class _Copier:
    def __init__(self, volume: UFS2, progress: Callable[[int], None] | None) -> None:
        self._volume, self._progress = volume, progress
        self._first_names: dict[int, str] = {}
        self._buffer = memoryview(bytearray(_CHUNK))
        self.done = CopiedOut()

    def copy_tree(self, top: str, target: str, status: Stat) -> None:
        prefix = len(top.rstrip("/"))
        folders = [(target, status)]
        for path, directories, others in self._volume.walk(top):
            self._note_twins(path)
            for entry in directories:
                folders.append((target + entry.path[prefix:], self._volume.stat_inode(entry.inode)))
                os.mkdir(folders[-1][0])
            for entry in others:
                self._copy_entry(entry, target + entry.path[prefix:])
        # A folder may be read-only, and what is put into it changes its time.
        for host, folder_status in reversed(folders):
            os.chmod(host, folder_status.st_mode & _PERMISSIONS)
            _set_times(host, folder_status)

    def _note_twins(self, path: str) -> None:
        """List the names that a damaged directory holds twice: only one of each can be copied."""
        volume = self._volume
        number = volume.find(path)
        seen: dict[bytes, int] = {}
        with volume.open_inode(number) as file:
            for start in range(0, file.size, PIECE):
                for found in records(file.read_at(start, PIECE), volume.byteorder, inode=number, base=start):
                    if found.name in seen:
                        name = f"{path.rstrip('/')}/{decoded(found.name)}"
                        reason = f"the name is there twice; this is inode {seen[found.name]}"
                        self.done.skipped.append(Skipped(name, reason))
                    seen[found.name] = found.inode

    def _copy_entry(self, entry: DirEntry, host: str) -> None:
        status = self._volume.stat_inode(entry.inode)
        reason = left_out(self._volume, entry.path, status)
        if reason is None and stat.S_ISDIR(status.st_mode):
            reason = "a directory whose name says that it is none"
        if reason is not None:
            self.done.skipped.append(Skipped(entry.path, reason))
        elif entry.inode in self._first_names:
            os.link(self._first_names[entry.inode], host, follow_symlinks=False)
        elif stat.S_ISLNK(status.st_mode):
            self._first_names[entry.inode] = host
            os.symlink(self._volume.link_target(entry.inode), os.fsencode(host))
            _set_times(host, status)
        else:
            self._first_names[entry.inode] = host
            fd = os.open(host, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                self.copy_file(entry.inode, status, fd)
            finally:
                os.close(fd)

    def copy_file(self, number: int, status: Stat, fd: int) -> None:
        os.ftruncate(fd, status.st_size)
        with self._volume.open_inode(number) as file:
            for start, length in self._volume.data_ranges(number):
                position, end = start, start + length
                while position < end:
                    piece = self._buffer[: min(_CHUNK, end - position)]
                    count = file.readinto_at(position, piece)
                    written = os.pwrite(fd, piece[:count], position)
                    position += written
                    self.done.size += written
                    if self._progress is not None:
                        self._progress(self.done.size)
        os.fchmod(fd, status.st_mode & _PERMISSIONS)
        os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))
        self.done.files += 1


def _set_times(host: str, status: Stat) -> None:
    os.utime(host, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)
