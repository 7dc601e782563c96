"""UFS2 as a file system of fsspec: ``fsspec.open("ufs2://boot/loader.conf::disk.img")``.

Needs the extra ``cloudboot-ufs2[fsspec]``; nothing else in this package imports this module.

A symbolic link is followed where it is named, and stands for itself in what lists a directory (its type is ``other``),
as fsspec's own ``LocalFileSystem`` has it; so walking and removing trees stay within them.
"""

from __future__ import annotations

import datetime
import io
import itertools
import os
import stat
import threading
import time
import weakref
from glob import has_magic
from typing import TYPE_CHECKING, Any, Literal

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem, trailing_sep
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractFileSystem
from fsspec.utils import stringify_path

from cloudboot_base import TruncatedError

from . import errors
from .errors import InodeError, OptionError, ReadOnlyError
from .mounted import BUFFER_SIZE, Mounted, SharedFile, mount

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from typing import BinaryIO

    from typing_extensions import Buffer

    from .edit import WritableUFS2
    from .entry import Stat
    from .mounted import Source
    from .reader import UFS2

    Info = dict[str, Any]

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_SECOND = 1_000_000_000
_REMOTE_BLOCK = 1 << 20

#: The local images that are open for writing, each with what is set when it no longer is. fsspec makes an instance per
#: thread; all of them must share the volume.
_writable: dict[Hashable, tuple[weakref.ref[Mounted], threading.Event]] = {}
_writable_lock = threading.Lock()


class UFS2FileSystem(AbstractFileSystem):  # type: ignore[misc] # fsspec has no type information
    """A UFS2 file system, for any number of threads. What an operation has changed is in the image when it returns."""

    protocol = "ufs2"
    root_marker = "/"
    cachable = False  # an instance holds its image open, and only as long as it is used

    def __init__(
        self,
        fo: Source | UFS2 = "",
        *,
        mode: Literal["r", "r+"] = "r",
        offset: int | None = None,
        size: int | None = None,
        partition: str | int | None = None,
        verify: bool = True,
        clock: Callable[[], int] | None = None,
        auto_mkdir: bool = False,
        target_protocol: str | None = None,
        target_options: dict[str, Any] | None = None,
        **storage_options: Any,
    ) -> None:
        """Open a file system.

        Args:
            fo: the image: a path, a URL that fsspec can open, anything :func:`.mounted.mount` takes.
            mode: ``r+`` to change it; then it must be a local file, or in memory.
            offset: where the file system starts in the image, in bytes; by default it is looked for.
            size: how long it is; by default, all that follows.
            partition: the number of its partition, if a package that reads partition tables is installed.
            verify: whether check-hashes are compared.
            clock: the time in nanoseconds, for what is changed; see :meth:`.WritableUFS2.open`.
            auto_mkdir: whether what writes a file makes the directories above it.
            target_protocol: what fsspec opens the image with.
            target_options: the options of that.
            storage_options: those of every fsspec file system.

        Raises:
            ReadOnlyError: the image cannot be changed where or as it is.
            Ufs2Error: as :meth:`.UFS2.open` has it.
            OSError: the image cannot be opened.
        """
        super().__init__(**storage_options)
        if mode not in ("r", "r+"):
            raise OptionError("no such mode", field="mode", expected="r or r+", actual=mode)
        self.mode = mode
        self.auto_mkdir = auto_mkdir
        self._clock = clock or time.time_ns

        def open_image(source: Source | UFS2) -> Mounted:
            return mount(
                source,
                writable=mode == "r+",
                offset=offset,
                size=size,
                partition=partition,
                verify=verify,
                clock=clock,
            )

        if not isinstance(fo, str | os.PathLike):
            self._mounted = open_image(fo)
            return
        target, path = url_to_fs(os.fspath(fo), protocol=target_protocol, **(target_options or {}))
        if isinstance(target, LocalFileSystem):
            self._mounted = _shared(path, (offset, size, partition), open_image, writable=mode == "r+")
            return
        self._mounted = open_image(_remote(target, path, writable=mode == "r+"))

    @property
    def volume(self) -> UFS2:
        """The file system itself, for what fsspec has no word for; a :class:`.WritableUFS2` with mode ``r+``."""
        return self._mounted.volume

    @property
    def fsid(self) -> str:
        """The file system's own identification."""
        return "ufs2-{:08x}{:08x}".format(*(number & 0xFFFF_FFFF for number in self.volume.superblock.fs_id))

    @property
    def _editor(self) -> WritableUFS2:
        """The volume, to be changed."""
        self._require_writable()
        return self._mounted.editor

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
        with self._mounted.lock:
            status = self.volume.stat(path, follow_symlinks=False)
            if not stat.S_ISLNK(status.st_mode):
                return _info(path, status)
            return _info(path, self.volume.stat(path)) | {"islink": True, "destination": self.volume.readlink(path)}

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """The entries of a directory in its own order, or the one file that ``path`` leads to."""
        path = self._strip_protocol(path)
        with self._mounted.lock:
            if not stat.S_ISDIR(self.volume.stat(path).st_mode):
                return [self.info(path)] if detail else [path]
            self._mounted.directory(path)
            entries = self.volume.iterdir(path)
            return [
                _info(entry.path, self.volume.stat_inode(entry.inode)) if detail else entry.path for entry in entries
            ]

    def lexists(self, path: str, **_: Any) -> bool:
        """Whether there is such a path, if only as a symbolic link that leads nowhere."""
        with self._mounted.lock:
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
        with self._mounted.lock:
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
        with self._mounted.lock:
            value = self.volume.stat(self._strip_protocol(path))._asdict()[field]
        try:
            return _EPOCH + datetime.timedelta(microseconds=value // 1000)
        except OverflowError as error:
            raise InodeError(f"{path}: no calendar has that time", field=field, actual=value) from error

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
        with self._mounted.lock:
            if mode != "rb":
                self._require_writable()
            if self.auto_mkdir and mode[0] != "r":
                self.makedirs(self._parent(path), exist_ok=True)
            hidden = None if autocommit or mode[0] == "r" else self._hidden_name(path, mode)
            raw = self._mounted.open_raw(hidden or path, mode)
            kind = _Updater if "+" in mode else _Writer if raw.writable() else _Reader
            return self._mounted.watch(kind(self, path, raw, block_size or BUFFER_SIZE, hidden))

    def _hidden_name(self, path: str, mode: str) -> str:
        """Where a file that belongs to a transaction stays until that is complete."""
        if mode[0] == "a":
            raise io.UnsupportedOperation("a transaction writes whole files and appends to none")
        if self._is(path, stat.S_ISDIR):
            raise errors.IsADirectoryError(f"{path}: is a directory")
        if mode[0] == "x" and self.lexists(path):
            raise errors.FileExistsError(f"{path}: the file exists")
        parent = self._parent(path).rstrip("/")
        names = (f"{parent}/.transaction-{number}" for number in itertools.count())
        return next(name for name in names if not self.lexists(name))

    def commit_file(self, hidden: str, path: str, *, exclusive: bool) -> None:
        """Give a file of a transaction its name; ``exclusive`` lets it take nobody's place."""
        with self._mounted.lock:
            if exclusive and self.lexists(path):
                self.rm_file(hidden)
                raise errors.FileExistsError(f"{path}: the file exists")
            self._editor.rename(hidden, path)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """The bytes of a file, or a slice of them.

        Raises:
            InodeError: they are more than the file system has, which a file with holes can claim.
        """
        with self._mounted.lock, self.volume.open_file(self._strip_protocol(path)) as file:
            first, last, _step = slice(start, end).indices(file.size)
            if last - first > self.volume.size:
                raise InodeError(
                    f"{path}: too large", field="di_size", expected=f"at most {self.volume.size}", actual=file.size
                )
            return file.read_at(first, max(0, last - first))

    def pipe_file(self, path: str, value: Buffer, mode: str = "overwrite", **kwargs: Any) -> None:
        """Write a file; with mode ``create`` there must be none."""
        with self.open(path, "xb" if mode == "create" else "wb", **kwargs) as file:
            file.write(value)

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        """Copy the bytes of a file, leaving holes where blocks are zero; or make a directory where one is copied."""
        source, target = self._strip_protocol(path1), self._strip_protocol(path2)
        with self._mounted.lock:
            if self.auto_mkdir:
                self.makedirs(self._parent(target), exist_ok=True)
            if self.isdir(source):
                self.makedirs(target, exist_ok=True)
                return
            with self._editor.open_file(source) as file:
                if self.lexists(target) and self.exists(target) and self.volume.find(target) == file.inode:
                    return
                self._editor.write_file(target, file, sparse=True)

    def touch(self, path: str, truncate: bool = True, **_: Any) -> None:
        """Make an empty file, or give one that is there the time it is now."""
        path = self._strip_protocol(path)
        with self._mounted.lock:
            self.open(path, "wb" if truncate else "ab").close()
            now = self._clock()
            self._editor.utime(path, atime_ns=now, mtime_ns=now)

    # Names

    def mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:
        """Make a directory, which must not be there yet."""
        path = self._strip_protocol(path)
        with self._mounted.lock:
            if self.lexists(path):
                raise errors.FileExistsError(f"{path}: the file exists")
            if create_parents:
                self.makedirs(path)
            else:
                self._editor.mkdir(path)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Make a directory and those above it that are missing."""
        path = self._strip_protocol(path)
        with self._mounted.lock:
            if self.lexists(path) and not (exist_ok and self.isdir(path)):
                raise errors.FileExistsError(f"{path}: the file exists")
            self._editor.makedirs(path, exist_ok=True)

    def rmdir(self, path: str) -> None:
        """Remove an empty directory."""
        self._editor.rmdir(self._strip_protocol(path))

    def rm_file(self, path: str) -> None:
        """Remove a file, or a symbolic link and not what it leads to."""
        self._editor.unlink(self._strip_protocol(path))

    def rm(self, path: str | list[str], recursive: bool = False, maxdepth: int | None = None) -> None:
        """Remove files; with ``recursive`` directories, too, and what they hold. The root stays."""
        with self._mounted.lock:
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
        with self._mounted.lock:
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

    def __init__(self, fs: UFS2FileSystem, path: str, raw: SharedFile, buffer_size: int, hidden: str | None) -> None:
        super().__init__(raw, buffer_size)  # type: ignore[call-arg] # the class it is mixed into takes them
        self.fs, self.path = fs, path
        self._raw, self._hidden = raw, hidden

    @property
    def size(self) -> int:
        """Size in bytes, without what the buffer still holds."""
        return self._raw.size

    def info(self) -> Info:
        """:meth:`UFS2FileSystem.info` of the file."""
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


def _shared(path: str, where: Hashable, open_image: Callable[[Source], Mounted], *, writable: bool) -> Mounted:
    """The local image ``path``: the one that is open for writing in this process, or opened now."""
    with _writable_lock:
        for other in [other for other, (_, released) in _writable.items() if released.is_set()]:
            del _writable[other]
        status = os.stat(path)
        key = status.st_dev, status.st_ino, where
        if key in _writable:
            reference, released = _writable[key]
            found = reference()
            if found is not None:
                return found
            released.wait()  # another thread is just letting it go
        found = open_image(path)
        if writable:
            _writable[key] = weakref.ref(found), found.released
        return found


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
