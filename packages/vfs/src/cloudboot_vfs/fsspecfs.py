"""Any file system of this project as one of fsspec: ``fsspec.open("ufs2://boot/loader.conf::disk.img")``.

Needs the extra ``cloudboot-vfs[fsspec]``; nothing else in this package imports this module. A file-system
package derives its own class from :class:`VolumeFileSystem`.

A symbolic link is followed where it is named, and is listed as a link in its directory (its type is ``other``),
as fsspec's own ``LocalFileSystem`` has it; so walking and removing trees stay within them.
"""

from __future__ import annotations

import datetime
import errno
import io
import itertools
import os
import stat
import threading
import time
from glob import has_magic
from typing import TYPE_CHECKING, Any, Literal

from cloudboot_base import TruncatedError, UsageError

from .errors import ContentSizeError, ReadOnlyError, VfsError
from .extras import importing
from .shared import BUFFER_SIZE, SharedFile, SharedVolume

with importing("fsspec", "fsspec"):
    from fsspec.core import url_to_fs
    from fsspec.implementations.local import LocalFileSystem, trailing_sep
    from fsspec.implementations.memory import MemoryFileSystem
    from fsspec.spec import AbstractFileSystem
    from fsspec.utils import stringify_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from typing_extensions import Buffer

    from cloudboot_base import Storage

    from .entry import Stat
    from .protocol import FileSystem, WritableFileSystem

    Source = str | os.PathLike[str] | BinaryIO | Buffer | Storage
    Info = dict[str, Any]

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_SECOND = 1_000_000_000
_REMOTE_BLOCK = 1 << 20


class VolumeFileSystem(AbstractFileSystem):  # type: ignore[misc] # fsspec has no type information
    """A file system, for any number of threads. What an operation has changed is in the image when it returns.

    An instance holds its image open. One that was opened for writing holds it alone: threads share the instance.
    """

    protocol = "volume"
    root_marker = "/"
    cachable = False  # an instance holds its image open, and only as long as it is used

    def __init__(
        self,
        fo: Source | FileSystem = "",
        *,
        open_shared: Callable[[Source | FileSystem], SharedVolume],
        mode: Literal["r", "r+"] = "r",
        clock: Callable[[], int] | None = None,
        auto_mkdir: bool = False,
        target_protocol: str | None = None,
        target_options: dict[str, Any] | None = None,
        **storage_options: Any,
    ) -> None:
        """Open a file system.

        Args:
            fo: the image: a path, a URL that fsspec can open, anything ``open_shared`` takes.
            open_shared: opens what ``fo`` leads to, in ``mode``.
            mode: ``r+`` to change it; then it must be a local file, or in memory.
            clock: the time in nanoseconds, for :meth:`touch`.
            auto_mkdir: whether what writes a file makes the directories above it.
            target_protocol: what fsspec opens the image with.
            target_options: the options of that.
            storage_options: those of every fsspec file system.

        Raises:
            ReadOnlyError: the image cannot be changed where or as it is.
            UsageError: an unknown mode.
            OSError: the image cannot be opened.
        """
        super().__init__(**storage_options)
        if mode not in ("r", "r+"):
            raise UsageError(f"no such mode: {mode!r}", hint="mode is 'r' or 'r+'")
        self.mode = mode
        self.auto_mkdir = auto_mkdir
        self._clock = clock or time.time_ns
        if not isinstance(fo, str | os.PathLike):
            self._shared = open_shared(fo)
            return
        target, path = url_to_fs(os.fspath(fo), protocol=target_protocol, **(target_options or {}))
        if isinstance(target, LocalFileSystem):
            self._shared = open_shared(path)
            return
        self._shared = open_shared(_remote(target, path, writable=mode == "r+"))

    @property
    def volume(self) -> FileSystem:
        """The file system itself, for what fsspec has no word for; to be changed, with mode ``r+``."""
        return self._shared.volume

    @property
    def _editor(self) -> WritableFileSystem:
        """The volume, to be changed."""
        self._require_writable()
        return self._shared.editor

    def _require_writable(self) -> None:
        if self.mode == "r":
            raise ReadOnlyError("the file system is open for reading only", hint="mode='r+' opens it for writing")

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        return "/" + super()._strip_protocol(path).strip("/")

    # What is there

    def info(self, path: str, **_: Any) -> Info:
        """What the inode says that ``path`` leads to, and whether the path itself is a symbolic link."""
        path = self._strip_protocol(path)
        with self._shared.lock:
            status = self.volume.stat(path, follow_symlinks=False)
            if not stat.S_ISLNK(status.st_mode):
                return _info(path, status)
            return _info(path, self.volume.stat(path)) | {"islink": True, "destination": self.volume.readlink(path)}

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """The entries of a directory in its own order, or the one file that ``path`` leads to."""
        path = self._strip_protocol(path)
        with self._shared.lock:
            if not stat.S_ISDIR(self.volume.stat(path).st_mode):
                return [self.info(path)] if detail else [path]
            self._shared.directory(path)
            entries = self.volume.iterdir(path)
            return [
                _info(entry.path, self.volume.stat_inode(entry.inode)) if detail else entry.path for entry in entries
            ]

    def lexists(self, path: str, **_: Any) -> bool:
        """Whether there is such a path, if only as a symbolic link that leads nowhere."""
        with self._shared.lock:
            try:
                self.volume.find(self._strip_protocol(path), follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                return False
            return True

    def islink(self, path: str) -> bool:
        """Whether it is a symbolic link, wherever that leads."""
        return self._is(path, stat.S_ISLNK)

    def _is(self, path: str, kind: Callable[[int], bool]) -> bool:
        """Whether there is such a path, and it is of a ``kind`` without following it."""
        with self._shared.lock:
            try:
                return kind(self.volume.stat(self._strip_protocol(path), follow_symlinks=False).st_mode)
            except (FileNotFoundError, NotADirectoryError):
                return False

    def created(self, path: str) -> datetime.datetime:
        """When the file was born."""
        return self._time(path, "st_birthtime_ns")

    def modified(self, path: str) -> datetime.datetime:
        """When the content was last changed."""
        return self._time(path, "st_mtime_ns")

    def _time(self, path: str, field: str) -> datetime.datetime:
        with self._shared.lock:
            value = self.volume.stat(self._strip_protocol(path))._asdict()[field]
        try:
            return _EPOCH + datetime.timedelta(microseconds=value // 1000)
        except OverflowError as error:
            raise VfsError(f"{path}: no calendar has that time", field=field, actual=value) from error

    # Contents

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: object = None,  # noqa: ARG002 -- every file system is given it
        **_: Any,
    ) -> _File:
        with self._shared.lock:
            if mode != "rb":
                self._require_writable()
            if self.auto_mkdir and mode[0] != "r":
                self.makedirs(self._parent(path), exist_ok=True)
            hidden = None if autocommit or mode[0] == "r" else self._hidden_name(path, mode)
            raw = self._shared.open_raw(hidden or path, mode)
            kind = _Updater if "+" in mode else _Writer if raw.writable() else _Reader
            return self._shared.watch(kind(self, path, raw, block_size or BUFFER_SIZE, hidden))

    def _hidden_name(self, path: str, mode: str) -> str:
        """Where a file that belongs to a transaction stays until that is complete."""
        if mode[0] == "a":
            raise io.UnsupportedOperation("a transaction writes whole files and appends to none")
        if self._is(path, stat.S_ISDIR):
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)
        if mode[0] == "x" and self.lexists(path):
            raise FileExistsError(errno.EEXIST, "the file exists", path)
        parent = self._parent(path).rstrip("/")
        names = (f"{parent}/.transaction-{number}" for number in itertools.count())
        return next(name for name in names if not self.lexists(name))

    def commit_file(self, hidden: str, path: str, *, exclusive: bool) -> None:
        """Give a file of a transaction its name; with ``exclusive`` a file of that name is an error."""
        with self._shared.lock:
            if exclusive and self.lexists(path):
                self.rm_file(hidden)
                raise FileExistsError(errno.EEXIST, "the file exists", path)
            self._editor.rename(hidden, path)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """The bytes of a file, or a slice of them.

        Raises:
            ContentSizeError: they are more than the file system has, which a file with holes can claim.
        """
        with self._shared.lock, self.volume.open_file(self._strip_protocol(path)) as file:
            first, last, _step = slice(start, end).indices(file.size)
            if last - first > self.volume.size:
                raise ContentSizeError(f"{path}: too large", expected=f"at most {self.volume.size}", actual=file.size)
            return file.read_at(first, max(0, last - first))

    def pipe_file(self, path: str, value: Buffer, mode: str = "overwrite", **kwargs: Any) -> None:
        """Write a file; with mode ``create`` there must be none."""
        with self.open(path, "xb" if mode == "create" else "wb", **kwargs) as file:
            file.write(value)

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        """Copy the bytes of a file, leaving holes where blocks are zero; or make a directory where one is copied."""
        source, target = self._strip_protocol(path1), self._strip_protocol(path2)
        with self._shared.lock:
            if self.auto_mkdir:
                self.makedirs(self._parent(target), exist_ok=True)
            if self.isdir(source):
                self.makedirs(target, exist_ok=True)
                return
            if self.lexists(target) and self.exists(target) and self.volume.find(target) == self.volume.find(source):
                return
            with self._shared.open(source) as file:
                self._editor.write_file(target, file, sparse=True)

    def touch(self, path: str, truncate: bool = True, **_: Any) -> None:
        """Make an empty file, or give one that is there the time it is now."""
        path = self._strip_protocol(path)
        with self._shared.lock:
            self.open(path, "wb" if truncate else "ab").close()
            now = self._clock()
            self._editor.utime(path, atime_ns=now, mtime_ns=now)

    # Names

    def mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:
        """Make a directory, which must not be there yet."""
        path = self._strip_protocol(path)
        with self._shared.lock:
            if self.lexists(path):
                raise FileExistsError(errno.EEXIST, "the file exists", path)
            if create_parents:
                self.makedirs(path)
            else:
                self._editor.mkdir(path)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Make a directory and those above it that are missing."""
        path = self._strip_protocol(path)
        with self._shared.lock:
            if self.lexists(path) and not (exist_ok and self.isdir(path)):
                raise FileExistsError(errno.EEXIST, "the file exists", path)
            self._editor.makedirs(path, exist_ok=True)

    def rmdir(self, path: str) -> None:
        """Remove an empty directory."""
        self._editor.rmdir(self._strip_protocol(path))

    def rm_file(self, path: str) -> None:
        """Remove a file, or a symbolic link and not what it leads to."""
        self._editor.unlink(self._strip_protocol(path))

    def rm(self, path: str | list[str], recursive: bool = False, maxdepth: int | None = None) -> None:
        """Remove files; with ``recursive`` directories, too, and what they hold. The root stays."""
        with self._shared.lock:
            tops = self.expand_path(path, maxdepth=maxdepth)
            paths = set(tops)
            for top in tops:
                if recursive and self._is(top, stat.S_ISDIR):
                    paths.update(self.find(top, maxdepth=maxdepth, withdirs=True))
            paths.discard(self.root_marker)
            for one in sorted(paths, reverse=True):  # what is in a directory before the directory
                if recursive and self._is(one, stat.S_ISDIR):
                    self._editor.rmdir(one)
                else:
                    self._editor.unlink(one)

    def mv(
        self,
        path1: str | list[str],
        path2: str | list[str],
        recursive: bool = False,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Rename a file or a directory, into ``path2`` if that is a directory; several as fsspec does it."""
        if not (isinstance(path1, str) and isinstance(path2, str)) or has_magic(path1):
            super().mv(path1, path2, recursive=recursive, maxdepth=maxdepth, **kwargs)
            return
        source, target = self._strip_protocol(path1), self._strip_protocol(path2)
        with self._shared.lock:
            if self.isdir(target) or trailing_sep(path2):
                target = f"{target.rstrip('/')}/{source.rpartition('/')[2]}"
            if self.auto_mkdir:
                self.makedirs(self._parent(target), exist_ok=True)
            self._editor.rename(source, target)

    def link(self, src: str, dst: str, **_: Any) -> None:
        """Give a file another name."""
        self._editor.link(self._strip_protocol(src), self._strip_protocol(dst))

    def symlink(self, src: str, dst: str, **_: Any) -> None:
        """Make a symbolic link ``dst`` that leads to ``src``, which may be relative to it."""
        self._editor.symlink(stringify_path(src).removeprefix(f"{self.protocol}://"), self._strip_protocol(dst))

    def chmod(self, path: str, mode: int) -> None:
        """Set the permissions."""
        self._editor.chmod(self._strip_protocol(path), mode)


class _File(io.BufferedIOBase):
    """What fsspec expects of a file beyond what :mod:`io` has; the classes below are the files."""

    def __init__(self, fs: VolumeFileSystem, path: str, raw: SharedFile, buffer_size: int, hidden: str | None) -> None:
        super().__init__(raw, buffer_size)  # type: ignore[call-arg] # the class it is mixed into takes them
        self.fs, self.path = fs, path
        self._raw, self._hidden = raw, hidden

    @property
    def size(self) -> int:
        """Size in bytes, without what the buffer still holds."""
        return self._raw.size

    def info(self) -> Info:
        """:meth:`VolumeFileSystem.info` of the file."""
        return self.fs.info(self.path)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._raw.failed |= kind is not None  # what is not complete replaces nothing
        self.close()

    def commit(self) -> None:
        """Let a file of a transaction take its name; called by fsspec."""
        self.close()
        if self._hidden is not None:
            hidden, self._hidden = self._hidden, None
            self.fs.commit_file(hidden, self.path, exclusive=self._raw.mode[0] == "x")

    def discard(self) -> None:
        """Remove a file of a transaction; called by fsspec."""
        self.close()
        if self._hidden is not None:
            hidden, self._hidden = self._hidden, None
            self.fs.rm_file(hidden)


class _Reader(_File, io.BufferedReader):
    pass


class _Writer(_File, io.BufferedWriter):
    pass


class _Updater(_File, io.BufferedRandom):
    pass


class _RemoteFile:
    """A file of another file system, as storage that can be read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._lock = file, threading.Lock()
        self._size = file.seek(0, os.SEEK_END)

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self._size

    def read_at(self, offset: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``offset``."""
        if offset < 0 or size < 0 or offset + size > self._size:
            raise TruncatedError("the read passes the end", offset=offset, expected=size, actual=self._size - offset)
        with self._lock:
            self._file.seek(offset)
            data = bytearray()
            while len(data) < size:
                part = self._file.read(size - len(data))
                if not part:
                    raise TruncatedError("the file ends early", offset=offset, expected=size, actual=len(data))
                data += part
            return bytes(data)

    def readinto_at(self, offset: int, buffer: Buffer) -> None:
        """Fill ``buffer`` from ``offset``."""
        view = memoryview(buffer).cast("B")
        view[:] = self.read_at(offset, len(view))


def _remote(target: Any, path: str, *, writable: bool) -> Source:
    """The image ``path`` of another fsspec file system."""
    if isinstance(target, MemoryFileSystem):
        image: io.BytesIO = target.open(path, "r+b")
        return image
    if writable:
        raise ReadOnlyError(f"{path}: only an image in a local file or in memory can be changed")
    return _RemoteFile(target.open(path, "rb", block_size=_REMOTE_BLOCK))


def _info(path: str, status: Stat) -> Info:
    """``status`` in fsspec's words."""
    kind = stat.S_IFMT(status.st_mode)
    return {
        "name": path,
        "size": status.st_size,
        "type": {stat.S_IFDIR: "directory", stat.S_IFREG: "file"}.get(kind, "other"),
        "created": status.st_birthtime_ns / _SECOND,
        "islink": kind == stat.S_IFLNK,
        "mode": status.st_mode,
        "uid": status.st_uid,
        "gid": status.st_gid,
        "mtime": status.st_mtime_ns / _SECOND,
        "ino": status.st_ino,
        "nlink": status.st_nlink,
    }
