"""Any file system of this project as one of PyFilesystem2: :class:`VolumeFS`, and the opener behind its URLs.

Needs the extra ``cloudboot-vfs[fs]``; nothing else in this package imports this module. A file-system package derives
its own class and opener from the two here.

A symbolic link is followed where it is named, and is listed as a link in its directory, so that walking and
removing trees stay within them. Walks therefore see a link to a directory as a file.
"""

from __future__ import annotations

import contextlib
import math
import os
import stat
import time
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, Self, cast

from cloudboot_base import FormatError
from cloudboot_base.command import parse_size
from cloudboot_base.lightdata import NamedTuple

from .errors import PathError, ReadOnlyError
from .extras import importing

with importing("PyFilesystem2", "fs"):
    from fs import errors
    from fs.base import FS
    from fs.enums import ResourceType
    from fs.error_tools import convert_os_errors
    from fs.info import Info
    from fs.mode import Mode
    from fs.opener import Opener
    from fs.opener.errors import OpenerError
    from fs.path import basename, join, recursepath
    from fs.permissions import Permissions

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from fs.opener.parse import ParseResult
    from fs.subfs import SubFS

    from .entry import DirEntry, Stat
    from .protocol import FileSystem, WritableFileSystem
    from .shared import SharedVolume

_SECOND = 1_000_000_000
_TYPES = {
    stat.S_IFDIR: ResourceType.directory,
    stat.S_IFREG: ResourceType.file,
    stat.S_IFCHR: ResourceType.character,
    stat.S_IFBLK: ResourceType.block_special_file,
    stat.S_IFIFO: ResourceType.fifo,
    stat.S_IFSOCK: ResourceType.socket,
    stat.S_IFLNK: ResourceType.symlink,
}


class VolumeFS(FS):
    """A file system, for any number of threads. What an operation has changed is in the image when it returns."""

    #: the word before ``://`` in URLs
    scheme = "volume"
    #: whether two names that differ in case only are one
    case_insensitive = False
    #: the characters that no name has
    invalid_path_chars = "\0"

    def __init__(self, open_shared: Callable[[], SharedVolume], source: object = None) -> None:
        """Take over what ``open_shared`` opens; ``source`` is shown by :func:`repr`.

        Raises:
            fs.errors.CreateFailed: it cannot be opened; ``exc`` says why.
        """
        super().__init__()
        self._resources = contextlib.ExitStack()  # first of all, because FS.__del__ closes what could not be opened
        try:
            self._shared = open_shared()
        except (FormatError, OSError) as error:
            raise errors.CreateFailed(exc=error) from error
        self._resources.callback(self._shared.close)
        self._source = source
        self._meta: dict[str, str | int | bool | None] = {
            "case_insensitive": self.case_insensitive,
            "invalid_path_chars": self.invalid_path_chars,
            "network": False,
            "read_only": not self._shared.writable,
            "supports_rename": False,  # which means by os.rename, of paths of the operating system
            "thread_safe": True,
            "unicode_paths": True,
            "virtual": False,
        }

    def __enter__(self) -> Self:
        return self

    def __repr__(self) -> str:
        shown = os.fspath(self._source) if isinstance(self._source, str | os.PathLike) else self._source
        return f"{type(self).__name__}({shown!r}, writable={self._shared.writable})"

    def __str__(self) -> str:
        return f"<{self.scheme}fs {self._shared.volume.label or 'without a label'!r}>"

    @property
    def volume(self) -> FileSystem:
        """The file system itself, for what PyFilesystem2 has no word for; to be changed, if it is writable."""
        return self._shared.volume

    def close(self) -> None:
        """Close the open files and the file system."""
        super().close()
        self._resources.close()

    def validatepath(self, path: str) -> str:
        """The path, normalised and absolute; only text that can be encoded names a file."""
        valid = super().validatepath(path)
        try:
            valid.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            raise errors.InvalidCharsInPath(path, exc=error) from error
        return valid

    @contextlib.contextmanager
    def _volume(self, path: str, *, directory: bool = False) -> Iterator[FileSystem]:
        """The volume, for this thread alone; its errors are PyFilesystem2's, about ``path``."""
        with self._lock, _translated(self.scheme, path, directory=directory), self._shared.lock:
            if self._shared.closed:  # since the path was validated
                raise errors.FilesystemClosed
            yield self._shared.volume

    @contextlib.contextmanager
    def _editor(self, path: str, *, directory: bool = False) -> Iterator[WritableFileSystem]:
        """:meth:`_volume`, to be changed."""
        with self._volume(path, directory=directory):
            yield self._shared.editor

    # What is there

    def getinfo(self, path: str, namespaces: Collection[str] | None = None) -> Info:
        """What the inode says; ``access``, ``details``, ``link``, ``lstat`` and ``stat`` are known namespaces."""
        wanted = namespaces or ()
        name = self.validatepath(path)
        with self._volume(path) as volume:
            status = volume.stat(name)
            link = volume.stat(name, follow_symlinks=False) if "lstat" in wanted or "link" in wanted else status
            return _info(basename(name), status, link, lambda: volume.readlink(name), wanted)

    def islink(self, path: str) -> bool:
        """Whether it is a symbolic link, wherever that leads."""
        name = self.validatepath(path)
        with self._volume(path) as volume:
            return stat.S_ISLNK(volume.stat(name, follow_symlinks=False).st_mode)

    def listdir(self, path: str) -> list[str]:
        """The names in a directory, in its own order."""
        name = self.validatepath(path)
        with self._volume(path, directory=True) as volume:
            self._shared.directory(name)
            return volume.listdir(name)

    def scandir(
        self, path: str, namespaces: Collection[str] | None = None, page: tuple[int, int] | None = None
    ) -> Iterator[Info]:
        """The entries of a directory; a symbolic link is listed as a link."""
        wanted = namespaces or ()
        name = self.validatepath(path)
        with self._volume(path, directory=True) as volume:
            self._shared.directory(name)
            entries = islice(volume.iterdir(name), *(page or (None,)))
            return iter([_entry(volume, entry, wanted) for entry in entries])

    # Directories

    def makedir(self, path: str, permissions: Permissions | None = None, recreate: bool = False) -> SubFS[FS]:
        """Make a directory, with permissions 0755 unless others are given."""
        name = self.validatepath(path)
        with self._lock:
            if name == "/" and not recreate:
                raise errors.DirectoryExists(path)
            if name != "/":
                with self._editor(path, directory=True) as editor:
                    if not recreate or not self._is_taken(name):
                        editor.mkdir(name, 0o755 if permissions is None else permissions.mode)
            return self.opendir(name)

    def removedir(self, path: str) -> None:
        """Remove an empty directory."""
        name = self.validatepath(path)
        if name == "/":
            raise errors.RemoveRootError(path)
        with self._editor(path, directory=True) as editor:
            editor.rmdir(name)

    def movedir(
        self,
        src_path: str,
        dst_path: str,
        create: bool = False,
        preserve_time: bool = False,  # noqa: ARG002 -- renaming keeps times
    ) -> None:
        """Move what a directory holds into another one, and remove it.

        Everything keeps its inode, and with it owner, mode and links; so it keeps its times whatever ``preserve_time``
        says. What is in the way is replaced by the rules of rename(2).
        """
        source, target = self.validatepath(src_path), self.validatepath(dst_path)
        with self._lock, self._shared.lock:
            with self._volume(dst_path):
                there = self._shared.volume.exists(target)
            if not there and not create:
                raise errors.ResourceNotFound(dst_path)
            with self._volume(src_path, directory=True) as volume:
                moved = volume.find(source)
                if not stat.S_ISDIR(volume.stat_inode(moved).st_mode):
                    raise errors.DirectoryExpected(src_path)
            if not there:
                with self._editor(dst_path, directory=True) as editor:
                    editor.rename(source, target)
                return
            with self._editor(dst_path, directory=True) as editor:
                if any(editor.find(above) == moved for above in recursepath(target)):
                    raise errors.ResourceInvalid(dst_path, msg="path '{path}' is inside the directory to be moved")
                _merge(editor, source, target)

    # Files

    def openbin(self, path: str, mode: str = "r", buffering: int = -1, **_: Any) -> BinaryIO:
        """Open a file. It may be used by several threads, and is closed with the file system."""
        parsed = Mode(mode)
        parsed.validate_bin()
        name = self.validatepath(path)
        if name == "/":
            raise errors.FileExpected(path)
        with self._volume(path):
            return cast("BinaryIO", self._shared.open(name, parsed.to_platform_bin(), buffering))

    def readbytes(self, path: str) -> bytes:
        """The bytes of a file; one that claims more than the file system has is refused."""
        name = self.validatepath(path)
        with self._volume(path) as volume:
            return volume.read_file(name)

    def remove(self, path: str) -> None:
        """Remove a file, or a symbolic link and not what it leads to."""
        name = self.validatepath(path)
        if name == "/":
            raise errors.FileExpected(path)
        with self._editor(path) as editor:
            editor.unlink(name)

    def move(
        self,
        src_path: str,
        dst_path: str,
        overwrite: bool = False,
        preserve_time: bool = False,  # noqa: ARG002 -- renaming keeps times
    ) -> None:
        """Rename a file or a symbolic link. It keeps its times, whatever ``preserve_time`` says."""
        source, target = self.validatepath(src_path), self.validatepath(dst_path)
        with self._lock, self._shared.lock:
            if not overwrite and self._is_taken(target):
                raise errors.DestinationExists(dst_path)
            with self._volume(src_path) as volume:
                if stat.S_ISDIR(volume.stat(source, follow_symlinks=False).st_mode):
                    raise errors.FileExpected(src_path)
            with self._editor(dst_path) as editor:
                editor.rename(source, target)

    def copy(self, src_path: str, dst_path: str, overwrite: bool = False, preserve_time: bool = False) -> None:
        """Copy the bytes of a file; a copy onto itself changes nothing."""
        source, target = self.validatepath(src_path), self.validatepath(dst_path)
        with self._lock:
            with self._volume(src_path) as volume:
                if overwrite and volume.exists(target) and volume.find(source) == volume.find(target):
                    return
            super().copy(src_path, dst_path, overwrite=overwrite, preserve_time=preserve_time)

    def _is_taken(self, name: str) -> bool:
        try:
            with self._volume(name) as volume:
                volume.find(name, follow_symlinks=False)
        except errors.ResourceNotFound:
            return False
        return True

    # Inodes

    def setinfo(self, path: str, info: Mapping[str, Mapping[str, object]]) -> None:
        """Set what ``_write`` in :meth:`getinfo` names: times, permissions, owner and group."""
        name = self.validatepath(path)
        details, access = info.get("details", {}), info.get("access", {})
        times = {key: _nanoseconds(cast("float", details[key])) for key in _TIMES if details.get(key) is not None}
        owner, group = (cast("int | None", access.get(key)) for key in ("uid", "gid"))
        permissions = cast("list[str] | None", access.get("permissions"))
        with self._volume(path) as volume:
            volume.find(name)
            if times:
                self._shared.editor.utime(
                    name,
                    atime_ns=times.get("accessed"),
                    mtime_ns=times.get("modified"),
                    birthtime_ns=times.get("created"),
                )
            if permissions is not None:
                self._shared.editor.chmod(name, Permissions(names=permissions).mode)
            if owner is not None or group is not None:
                self._shared.editor.chown(name, owner, group)


class VolumeOpener(Opener):
    """``ufs2://disk.img``, with ``?partition=2`` or ``?offset=17M&size=1G`` where it is in a disk.

    It is opened to be written to where PyFilesystem2 asks for that: ``open_fs(url, writeable=True)``. With
    ``create=True`` a file that is not there is made, ``size`` bytes long. ``clock=now`` gives what is changed the
    time of the change.
    """

    def open_volume(self, image: str, where: Where, *, writable: bool) -> VolumeFS:
        """Open the file system in the file ``image``; every file-system package has its own."""
        raise NotImplementedError

    def create_volume(self, image: str, size: int) -> None:
        """Make an empty file system of ``size`` bytes; every file-system package has its own."""
        raise NotImplementedError

    def open_fs(self, fs_url: str, parse_result: ParseResult, writeable: bool, create: bool, cwd: str) -> VolumeFS:
        """Open the file system that a URL names.

        Raises:
            OpenerError: the URL has a parameter that means nothing, or one without a meaning here.
            fs.errors.CreateFailed: the file system cannot be opened, or not be made.
        """
        if parse_result.username is not None:
            raise OpenerError(f"{fs_url}: there are no users; an @ in a file's name is written %40")
        where = _parameters(fs_url, parse_result.params)
        image = os.path.join(cwd, os.path.expanduser(parse_result.resource))
        if create and not os.path.exists(image):
            self._create(image, where)
        return self.open_volume(image, where, writable=writeable or create)

    def _create(self, image: str, where: Where) -> None:
        if where.size is None or where.offset is not None or where.partition is not None:
            raise errors.CreateFailed(f"{image} does not exist; ?size=64M makes one of that size".replace("{", "{{"))
        try:
            self.create_volume(image, where.size)
        except (FormatError, OSError) as error:
            raise errors.CreateFailed(exc=error) from error


class Where(NamedTuple):
    """The parameters of a URL: the place of the file system in the image, and whose time changes get."""

    offset: int | None = None
    size: int | None = None
    partition: str | None = None
    clock: Callable[[], int] | None = None


@contextlib.contextmanager
def _translated(scheme: str, path: str, *, directory: bool) -> Iterator[None]:
    """Turns what this package raises into what PyFilesystem2 does; ``directory`` says that ``path`` must be one."""
    with convert_os_errors(scheme, path, directory):
        try:
            yield
        except ReadOnlyError as error:
            raise errors.ResourceReadOnly(path, exc=error) from error
        except OSError:
            raise
        except PathError as error:
            raise errors.ResourceInvalid(path, exc=error) from error
        except FormatError as error:
            raise errors.OperationFailed(path, exc=error) from error


_TIMES = ("accessed", "modified", "created")
_PARAMETERS: dict[str, Callable[[str], object]] = {
    "offset": parse_size,
    "size": parse_size,
    "partition": str,
    "clock": {"now": time.time_ns}.__getitem__,
}


def _parameters(fs_url: str, given: Mapping[str, str]) -> Where:
    """The parameters of a URL."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name not in _PARAMETERS:
            raise OpenerError(f"{fs_url}: no parameter {name}; there are {', '.join(_PARAMETERS)}")
        try:
            found[name] = _PARAMETERS[name](value)
        except (ValueError, KeyError) as error:
            raise OpenerError(f"{fs_url}: {name} cannot be {value!r}") from error
    return Where(**found)


def _entry(volume: FileSystem, entry: DirEntry, wanted: Collection[str]) -> Info:
    """What a directory says about one of its entries, with what its inode says if that is wanted."""
    if entry.kind and not wanted:
        return Info({"basic": {"name": entry.name, "is_dir": entry.is_dir()}})
    status = volume.stat_inode(entry.inode)
    return _info(entry.name, status, status, lambda: volume.readlink(entry.path), wanted)


def _info(name: str, status: Stat, link: Stat, target: Callable[[], str], wanted: Collection[str]) -> Info:
    """``status`` in PyFilesystem2's words; ``link`` is what is there before any symbolic link is followed."""
    raw: dict[str, dict[str, object]] = {"basic": {"name": name, "is_dir": stat.S_ISDIR(status.st_mode)}}
    if "details" in wanted:
        raw["details"] = {
            "_write": list(_TIMES),
            "type": int(_TYPES.get(stat.S_IFMT(status.st_mode), ResourceType.unknown)),
            "size": status.st_size,
            "accessed": status.st_atime_ns / _SECOND,
            "modified": status.st_mtime_ns / _SECOND,
            "created": status.st_birthtime_ns / _SECOND,
            "metadata_changed": status.st_ctime_ns / _SECOND,
        }
    if "access" in wanted:
        raw["access"] = {
            "_write": ["permissions", "uid", "gid"],
            "permissions": Permissions(mode=status.st_mode).dump(),
            "uid": status.st_uid,
            "gid": status.st_gid,
        }
    if "link" in wanted:
        raw["link"] = {"target": target() if stat.S_ISLNK(link.st_mode) else None}
    if "stat" in wanted:
        raw["stat"] = status._asdict()
    if "lstat" in wanted:
        raw["lstat"] = link._asdict()
    return Info(raw)


def _merge(editor: WritableFileSystem, source: str, target: str) -> None:
    """Move the entries of ``source`` into ``target``; directories that both have are merged the same way."""
    emptied = []
    pending = [(source, target)]
    while pending:
        here, there = pending.pop()
        emptied.append(here)
        taken = {entry.name for entry in editor.iterdir(there) if entry.is_dir()}
        for entry in list(editor.iterdir(here)):
            if entry.is_dir() and entry.name in taken:
                pending.append((entry.path, join(there, entry.name)))
            else:
                editor.rename(entry.path, join(there, entry.name))
    for path in reversed(emptied):
        editor.rmdir(path)


def _nanoseconds(seconds: float) -> int:
    """A time as near as the number says.

    Raises:
        ValueError: it is not a number, or infinite.
    """
    if not math.isfinite(seconds):
        raise ValueError(f"{seconds} is no time")
    whole = math.floor(seconds)
    return whole * _SECOND + round((seconds - whole) * _SECOND)
