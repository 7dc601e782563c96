"""A file system that several threads use at once; what the adapters for PyFilesystem2 and fsspec share."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import stat
import threading
import weakref
from typing import TYPE_CHECKING, Self, TypeVar

from .errors import ContentSizeError, ReadOnlyError, TreeError
from .protocol import WritableFileSystem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from typing_extensions import Buffer

    from .protocol import FileSystem, OpenFile, WritableOpenFile

    AnyFile: TypeAlias = (
        "SharedFile | io.BufferedReader[SharedFile] | io.BufferedWriter[SharedFile] | io.BufferedRandom"
    )

#: Bytes of a file that are collected before they are written: each write is an operation of the file system.
BUFFER_SIZE = 1 << 17
_MOST_PER_WRITE = 1 << 20

FileT = TypeVar("FileT", bound=io.IOBase)


class SharedVolume(contextlib.AbstractContextManager["SharedVolume"]):
    """A volume, the lock under which all of its methods are called, and the files that are open in it.

    The lock is never held while a file's own is awaited, so that a thread may use a file within the lock of another.
    """

    def __init__(self, volume: FileSystem, resources: contextlib.ExitStack | None = None) -> None:
        """Take ``volume`` over; ``resources`` is closed after it."""
        self.volume = volume
        self._editor = volume if isinstance(volume, WritableFileSystem) else None
        self.lock = threading.RLock() if self._editor is None else self._editor.lock
        self.closed = False
        self._files: weakref.WeakSet[io.IOBase] = weakref.WeakSet()
        self._root = volume.find("/")
        #: of each directory that was listed since the last change, its parent and its name there
        self._places: dict[int, tuple[int, str]] = {self._root: (self._root, "")}
        self._seen = 0
        # Nobody may look at this one any more while the volume itself is at work.
        later = _now if self._editor is None else self._editor.when_idle
        everything = contextlib.ExitStack()
        everything.callback(later, (resources or contextlib.ExitStack()).close)
        everything.callback(volume.close)
        self._close = weakref.finalize(self, everything.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def writable(self) -> bool:
        """Whether the file system can be changed."""
        return self._editor is not None

    @property
    def editor(self) -> WritableFileSystem:
        """The volume, to be changed.

        Raises:
            ReadOnlyError: it was opened to be read.
        """
        if self._editor is None:
            raise ReadOnlyError("the file system is open for reading only")
        return self._editor

    def close(self) -> None:
        """Write what open files still hold, close them, and then the volume."""
        with self.lock:
            self.closed = True
            files = list(self._files)
        for file in files:
            file.close()
        with self.lock:
            self._close()

    def directory(self, path: str) -> int:
        """The inode of the directory ``path``, which is about to be listed.

        A walk by names ends because a directory has one name. Here that is made sure of: what a damaged directory
        shows twice, or inside itself, is listed under the first of its names only.

        Raises:
            TreeError: the directory has two parents.
        """
        with self.lock:
            volume = self.volume
            if self._editor is not None and self._editor.changes != self._seen:
                self._places, self._seen = {self._root: (self._root, "")}, self._editor.changes
            number = volume.find(path)
            parent, _, name = path.rstrip("/").rpartition("/")
            if name and volume.find(path, follow_symlinks=False) == number:
                place = volume.find(parent), name
                if self._places.setdefault(number, place) != place:
                    raise TreeError(f"{path}: directory {number} is in two directories")
            return number

    def open_raw(self, path: str, mode: str) -> SharedFile:
        """A file without a buffer; ``mode`` is one of :meth:`.WritableFileSystem.open_file`.

        Raises:
            ReadOnlyError: the mode writes, and the file system is open for reading only.
            OSError: as :meth:`.WritableFileSystem.open_file` has it.
            ValueError: the file system is closed.
        """
        with self.lock:
            if self.closed:
                raise ValueError("the file system is closed")
            if set(mode) <= {"r", "b"}:
                return SharedFile(self, self.volume.open_file(path), path, "rb")
            hidden = self._stand_in(path) if mode[0] == "w" else None
            if hidden is None:
                live = self.editor.open_file(path, mode)
                return SharedFile(self, live, path, mode, live)
            live = self.editor.open_file(hidden, mode.replace("w", "x"), replacing=True)
            return SharedFile(self, live, path, mode, live, hidden=hidden)

    def _stand_in(self, path: str) -> str | None:
        """A free name beside the file at ``path``, for its new content; ``None`` if there is nothing to lose."""
        volume = self.editor
        try:
            status = volume.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(status.st_mode) or not status.st_size:
            return None
        parent = volume.destination(path).rpartition("/")[0]
        names = (f"{parent}/.replacing-{number}" for number in itertools.count())
        return next(name for name in names if not _is_taken(volume, name))

    def settle(self, hidden: str, path: str, *, failed: bool) -> None:
        """Let a new content that is complete take the place of the old, or drop it if writing it failed."""
        with self.lock:
            volume = self.editor
            if failed:
                volume.when_idle(lambda: volume.unlink(hidden))
            else:
                volume.when_idle(lambda: self._take_place(hidden, path))

    def _take_place(self, hidden: str, path: str) -> None:
        """Let ``hidden`` take its place; where that is refused, it goes, and the old content stays."""
        volume = self.editor
        try:
            volume.take_place(hidden, path)
        except BaseException:
            with contextlib.suppress(OSError):
                volume.unlink(hidden)
            raise

    def open(self, path: str, mode: str = "rb", buffering: int = -1) -> AnyFile:
        """A file as :func:`io.open` gives it; ``buffering`` 0 is none, and below that a size that suits."""
        raw = self.open_raw(path, mode)
        if buffering == 0:
            return self.watch(raw)
        size = buffering if buffering > 1 else BUFFER_SIZE
        if "+" in mode:
            return self.watch(io.BufferedRandom(raw, size))
        return self.watch(io.BufferedWriter(raw, size) if raw.writable() else io.BufferedReader(raw, size))

    def watch(self, file: FileT) -> FileT:
        """Have ``file`` closed before the volume is."""
        with self.lock:
            self._files.add(file)
        return file


def _now(action: Callable[[], object]) -> None:
    action()


def _is_taken(volume: FileSystem, path: str) -> bool:
    try:
        volume.find(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


class SharedFile(io.RawIOBase):
    """A file of a :class:`SharedVolume`. What is written reaches the image at once, one megabyte at most per call.

    What replaces a file is written beside it, and takes its place when it is closed; after a write that failed, the old
    file stays.
    """

    def __init__(
        self,
        shared: SharedVolume,
        file: OpenFile,
        name: str,
        mode: str,
        live: WritableOpenFile | None = None,
        *,
        hidden: str | None = None,
    ) -> None:
        """Wrap ``file``; ``live`` is the same one if it can be written to, ``hidden`` its name until it is closed."""
        self._shared, self._file, self._live = shared, file, live
        self.name, self.mode = name, mode
        self._hidden = hidden
        self.failed = False  #: whether what was written is not to be kept

    def __del__(self) -> None:
        """Nothing: :class:`io.IOBase` would close, and a buffer that is collected with this could not be emptied."""

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with self._shared.lock:
            if self.closed:
                raise ValueError("I/O operation on closed file")
            yield

    @property
    def size(self) -> int:
        """Size in bytes, without what a buffer still holds."""
        with self._locked():
            return self._file.size

    def close(self) -> None:
        """Close the file, and let it take the place of the one it replaces."""
        hidden, self._hidden = self._hidden, None
        super().close()
        if hidden is not None:
            self._shared.settle(hidden, self.name, failed=self.failed)

    def readable(self) -> bool:
        """Whether the mode allows reading."""
        return self._file.readable()

    def writable(self) -> bool:
        """Whether the mode allows writing."""
        return self._live is not None and self._live.writable()

    def seekable(self) -> bool:
        """Always true."""
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to ``offset``; the same rules as :meth:`io.IOBase.seek`."""
        if whence not in (os.SEEK_SET, os.SEEK_CUR, os.SEEK_END):
            raise ValueError(f"invalid whence {whence}")
        with self._locked():
            return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The position, in bytes."""
        with self._locked():
            return self._file.tell()

    def readinto(self, buffer: Buffer, /) -> int:
        """Read as much as fits and is there; 0 at the end."""
        if not self.readable():
            raise io.UnsupportedOperation("the file is not open for reading")
        with self._locked():
            return self._file.readinto(buffer)

    def readall(self) -> bytes:
        """Everything from the position on.

        Raises:
            ContentSizeError: that is more than the file system has, which a file with holes can claim.
        """
        with self._locked():
            if self._file.size - self._file.tell() > self._shared.volume.size:
                raise ContentSizeError(
                    f"{self.name}: too large to be read at once",
                    expected=f"at most {self._shared.volume.size}",
                    actual=self._file.size,
                )
            data = self._file.read_at(self._file.tell(), self._file.size)
            self._file.seek(len(data), os.SEEK_CUR)
            return data

    def write(self, data: Buffer, /) -> int:
        """Write a part of ``data`` at the position, or at the end if the file was opened to append."""
        with self._locked(), self._noting_failure():
            return self._writer().write(memoryview(data).cast("B")[:_MOST_PER_WRITE])

    def truncate(self, size: int | None = None, /) -> int:
        """Let the file have ``size`` bytes, by default as many as the position says; the position stays."""
        with self._locked(), self._noting_failure():
            return self._writer().truncate(size)

    @contextlib.contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.failed = True
            raise

    def _writer(self) -> WritableOpenFile:
        if self._live is None:
            raise io.UnsupportedOperation("the file is not open for writing")
        return self._live
