"""What every file system of this project can do: the protocols that adapters, exports and firmware drivers use.

Paths are absolute and separated by ``/``; names that are not UTF-8 hold surrogate escapes. A missing path raises
:class:`FileNotFoundError`, a file where a directory must be :class:`NotADirectoryError`, and so on: every package's own
errors derive from these builtins and from :class:`cloudboot_base.FormatError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence
    from threading import RLock
    from types import TracebackType

    from typing_extensions import Buffer

    from .entry import DirEntry, Extent, Region, Stat


class Readable(Protocol):
    """A binary file, as far as it is read from front to back."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes; none at the end."""


@runtime_checkable
class OpenFile(Protocol):
    """An open file: a seekable raw stream (:class:`io.RawIOBase`) that can also be read at offsets."""

    @property
    def size(self) -> int:
        """Size in bytes."""

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``, fewer at the end; the position stays."""

    def readable(self) -> bool:
        """Whether the mode allows reading."""

    def writable(self) -> bool:
        """Whether the mode allows writing."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to ``offset``."""

    def tell(self) -> int:
        """The position, in bytes."""

    def readinto(self, buffer: Buffer, /) -> int:
        """Read as much as fits and is there; 0 at the end."""

    def __enter__(self) -> Self:
        """The file itself; leaving the block closes it."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    def close(self) -> None:
        """Close the file."""


@runtime_checkable
class WritableOpenFile(OpenFile, Protocol):
    """An open file that can be written to, in the modes that allow it."""

    def write(self, data: Buffer, /) -> int:
        """Write all of ``data`` at the position, or at the end if the file was opened to append."""

    def truncate(self, size: int | None = None, /) -> int:
        """Let the file have ``size`` bytes, by default as many as the position says."""


@runtime_checkable
class FileSystem(Protocol):
    """A file system that can be read."""

    @property
    def label(self) -> str:
        """The volume's label; empty where it has none."""

    @property
    def size(self) -> int:
        """Size of the volume in bytes."""

    def __enter__(self) -> Self:
        """The file system itself; leaving the block closes it."""

    def __exit__(self, *_: object) -> None: ...

    def close(self) -> None:
        """Close what was opened for the file system."""

    def find(self, path: str, *, follow_symlinks: bool = True) -> int:
        """The number of the node at ``path``, which tells nodes apart."""

    def exists(self, path: str) -> bool:
        """Whether ``path`` leads to something: not through a link that leads nowhere, or back to itself."""

    def stat(self, path: str, *, follow_symlinks: bool = True) -> Stat:
        """The facts of the node at ``path``."""

    def stat_inode(self, number: int) -> Stat:
        """The facts of the node with this number."""

    def listdir(self, path: str = "/") -> list[str]:
        """The names in a directory, in its own order."""

    def iterdir(self, path: str = "/") -> Iterator[DirEntry]:
        """The entries of a directory, in its own order."""

    def walk(self, top: str = "/") -> Iterator[tuple[str, list[DirEntry], list[DirEntry]]]:
        """Every directory below ``top``: its path, its directories, and its other entries."""

    def readlink(self, path: str) -> str:
        """The target of a symbolic link."""

    def open_file(self, path: str) -> OpenFile:
        """Open a regular file to read it."""

    def read_file(self, path: str, *, limit: int | None = None) -> bytes:
        """The bytes of a regular file; one larger than ``limit``, or than the volume, is refused."""

    def extents(self, path: str, *, follow_symlinks: bool = True) -> Sequence[Extent]:
        """Where the bytes of a file are in the volume, without its holes; empty for what is elsewhere."""

    def regions(self) -> Iterator[Region]:
        """The pieces of the volume that belong to no file."""


@runtime_checkable
class WritableFileSystem(FileSystem, Protocol):
    """A file system that can be changed in place. Each method is one operation, done completely or not at all."""

    @property
    def lock(self) -> RLock:
        """Held during every operation; holding it makes several operations one step for other threads."""

    @property
    def changes(self) -> int:
        """Grows with every operation that changed something."""

    def when_idle(self, action: Callable[[], object]) -> None:
        """Call ``action`` at once, or at the end of the operation under way."""

    def open_file(self, path: str, mode: str = "rb", *, replacing: bool = False) -> WritableOpenFile:
        """Open a file in one of the binary modes of :func:`io.open`.

        ``replacing`` says that it will take the place of another file, for which the format's reserve may be used.
        """

    def destination(self, path: str) -> str:
        """The path of what writing to ``path`` makes or changes: a symbolic link leads to another."""

    def take_place(self, source: str, path: str) -> None:
        """Let the file ``source`` take the name ``path``, and permissions and owner of the file there."""

    def write_file(self, path: str, data: Buffer | Readable | os.PathLike[str], *, sparse: bool = False) -> int:
        """Give the file at ``path``, made if need be, new content; its size in bytes.

        ``sparse`` leaves holes where whole blocks are zero, if the format has holes.
        """

    def mkdir(self, path: str, mode: int = 0o755) -> None:
        """Make a directory."""

    def makedirs(self, path: str, mode: int = 0o755, *, exist_ok: bool = False) -> None:
        """Make a directory and those above it that are missing."""

    def rmdir(self, path: str) -> None:
        """Remove an empty directory."""

    def unlink(self, path: str) -> None:
        """Remove a name of a file, or a symbolic link."""

    def rename(self, source: str, target: str) -> None:
        """Move a node to another name, replacing what is there by the rules of POSIX."""

    def link(self, target: str, path: str) -> None:
        """Give the file at ``target`` another name; :class:`io.UnsupportedOperation` where the format has no links."""

    def symlink(self, target: str, path: str) -> None:
        """Make a symbolic link; :class:`io.UnsupportedOperation` where the format has none."""

    def chmod(self, path: str, mode: int) -> None:
        """Set the permissions, as far as the format has them."""

    def chown(self, path: str, uid: int | None = None, gid: int | None = None) -> None:
        """Set the owner and the group, as far as the format has them."""

    def utime(
        self,
        path: str,
        *,
        atime_ns: int | None = None,
        mtime_ns: int | None = None,
        birthtime_ns: int | None = None,
    ) -> None:
        """Set times, in nanoseconds since 1970, as precisely as the format has them."""

    def truncate(self, path: str, size: int) -> None:
        """Let a file have ``size`` bytes."""

    def sync(self) -> None:
        """Bring everything to the device."""
