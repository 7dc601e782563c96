"""A FAT volume as cloudboot_vfs has file systems: what adapters, exports and firmware drivers use.

:class:`FatVolume` fulfils :class:`cloudboot_vfs.FileSystem`, :class:`WritableFatVolume` fulfils
:class:`cloudboot_vfs.WritableFileSystem`. They offer under those names what :class:`~cloudboot_fat.FatReader` and
:class:`~cloudboot_fat.FatFileSystem` know.

- The number of a node is the byte of the volume at which its directory entry stands, that of the root directory 1. So
  moving a file gives it another number; files that are open follow it.
- A node without the attribute *read only* may be written by everybody who can: mode 0644, or 0755 for directories.
- FAT has neither owners nor links. Times are taken for UTC.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import stat
import weakref
from typing import TYPE_CHECKING, Self

from cloudboot_base.storage import descriptor_of
from cloudboot_vfs import DirEntry, Extent, Region, Stat
from cloudboot_vfs.errors import ContentSizeError, PathError, StaleFileError
from cloudboot_vfs.exclusive import Operations, claim

from . import entries, errors, times
from .extents import ExtentStorage
from .filesystem import FatFileSystem
from .openfile import FatFile, LiveFile, Node
from .paths import absolute, join, split_new
from .reader import FatReader
from .records import DirectoryEntry

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator
    from threading import RLock

    from typing_extensions import Buffer

    from cloudboot_base import Storage, WritableStorage
    from cloudboot_vfs.protocol import Readable

    from .filesystem import Slot


ROOT_NUMBER = 1
_PIECE = 1 << 20
_MODES = frozenset({"r", "r+", "w", "w+", "x", "x+", "a", "a+"})


class FatVolume(contextlib.AbstractContextManager["FatVolume"]):
    """A FAT12, FAT16 or FAT32 volume to read."""

    def __init__(self, storage: Storage, *, codepage: str = "cp437", truncated: bool = False) -> None:
        """Read the volume in ``storage``; arguments and errors are those of :class:`~cloudboot_fat.FatReader`."""
        self._reader = FatReader(storage, codepage=codepage, truncated=truncated)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def reader(self) -> FatReader:
        """The volume in FAT's own terms."""
        return self._reader

    @property
    def label(self) -> str:
        """The label in the root directory; empty where it has none."""
        return self._reader.label

    @property
    def size(self) -> int:
        """Size of the volume in bytes."""
        return self._reader.geometry.size

    def close(self) -> None:
        """Nothing: the storage belongs to the caller."""

    # What is there

    def find(self, path: str, *, follow_symlinks: bool = True) -> int:  # noqa: ARG002 -- FAT has no symbolic links
        """The number of the file or directory at ``path``.

        Raises:
            FileNotFoundError, NotADirectoryError: there is no such path.
        """
        return _number(self._reader.stat(path))

    def exists(self, path: str) -> bool:
        """Whether there is something at ``path``."""
        return self._reader.exists(path)

    def stat(self, path: str, *, follow_symlinks: bool = True) -> Stat:  # noqa: ARG002 -- as above
        """The facts of the file or directory at ``path``; errors as :meth:`find`."""
        entry = self._reader.stat(path)
        return self._status(_number(entry), entry.record)

    def stat_inode(self, number: int) -> Stat:
        """The facts of the node with this number."""
        if number == ROOT_NUMBER:
            return self._status(number, DirectoryEntry(DIR_Attr=entries.ATTR_DIRECTORY))
        raw = self._reader.storage.read_at(number, DirectoryEntry.SIZE)
        return self._status(number, DirectoryEntry.unpack_from(raw))

    def _status(self, number: int, record: DirectoryEntry) -> Stat:
        is_dir = bool(record.DIR_Attr & entries.ATTR_DIRECTORY)
        mode = stat.S_IFDIR | 0o755 if is_dir else stat.S_IFREG | 0o644
        if record.DIR_Attr & entries.ATTR_READ_ONLY:
            mode &= ~0o222
        cluster_size = self._reader.geometry.cluster_size
        modified = times.nanoseconds(times.decode(record.DIR_WrtDate, record.DIR_WrtTime)) or 0
        created = times.decode(record.DIR_CrtDate, record.DIR_CrtTime, record.DIR_CrtTimeTenth)
        return Stat(
            st_mode=mode,
            st_ino=number,
            st_nlink=1,
            st_uid=0,
            st_gid=0,
            st_size=record.DIR_FileSize,
            st_blocks=-(-record.DIR_FileSize // cluster_size) * cluster_size // 512,
            st_atime_ns=times.nanoseconds(times.decode(record.DIR_LstAccDate)) or 0,
            st_mtime_ns=modified,
            st_ctime_ns=modified,
            st_birthtime_ns=times.nanoseconds(created) or 0,
            st_flags=record.DIR_Attr,
            st_gen=0,
            st_rdev=0,
        )

    def listdir(self, path: str = "/") -> list[str]:
        """The names in a directory, in the order they are stored."""
        return self._reader.listdir(path)

    def iterdir(self, path: str = "/") -> Iterator[DirEntry]:
        """The entries of a directory, in the order they are stored."""
        here = absolute(path)
        return iter([_named(here, entry) for entry in self._reader.iterdir(path)])

    def walk(self, top: str = "/") -> Iterator[tuple[str, list[DirEntry], list[DirEntry]]]:
        """Every directory at and below ``top``, top down; errors as :meth:`.FatReader.walk`."""
        for here, folders, files in self._reader.walk(top):
            yield here, [_named(here, each) for each in folders], [_named(here, each) for each in files]

    def readlink(self, path: str) -> str:
        """Refused: FAT has no symbolic links.

        Raises:
            PathError: always, if there is something at ``path``.
        """
        self.find(path)
        raise PathError("not a symbolic link", field=path)

    # Contents

    def open_file(self, path: str) -> FatFile:
        """A file as a seekable raw stream.

        Raises:
            IsADirectoryError, FileNotFoundError, NotADirectoryError: there is no file.
            ChainError: its clusters cannot be told.
        """
        return FatFile(self._reader.file_storage(path))

    def read_file(self, path: str, *, limit: int | None = None) -> bytes:
        """The bytes of a file.

        Raises:
            ContentSizeError: it has more than ``limit`` bytes (by default, as many as the volume).
        """
        content = self._reader.file_storage(path)
        limit = self.size if limit is None else limit
        if content.size > limit:
            raise ContentSizeError(f"{path}: too large", expected=f"at most {limit}", actual=content.size)
        return content.read_at(0, content.size)

    def extents(self, path: str, *, follow_symlinks: bool = True) -> list[Extent]:  # noqa: ARG002 -- as above
        """Where the bytes of a file or directory are in the volume, in order."""
        return [Extent(extent.offset, extent.length) for extent in self._reader.extents(path)]

    def regions(self) -> Iterator[Region]:
        """Boot sectors, FSInfo, FATs and the root directory."""
        for region in self._reader.regions():
            kind, _, number = region.name.partition(" ") if region.name.startswith("FAT ") else (region.name, "", "1")
            yield Region(kind, region.offset, region.length, int(number) - 1)


def _number(entry: entries.DirEntry) -> int:
    return ROOT_NUMBER if entry.offset is None else entry.offset


def _named(above: str, entry: entries.DirEntry) -> DirEntry:
    kind = stat.S_IFDIR if entry.is_dir else stat.S_IFREG
    return DirEntry(entry.name, join(above, entry.name), _number(entry), kind)


class WritableFatVolume(FatVolume):
    """A FAT12, FAT16 or FAT32 volume to read and change. Each method is one operation, done or not done."""

    def __init__(
        self, storage: WritableStorage, *, codepage: str = "cp437", clock: Callable[[], int] | None = None
    ) -> None:
        """Open the volume in ``storage`` to change it. A file is claimed with flock(2) until the volume is closed.

        Args:
            storage: the volume.
            codepage: the code page of short names.
            clock: the time in nanoseconds since 1970, for what is changed; by default always 1980-01-01, so that the
                same operations give the same bytes.

        Raises:
            ReadOnlyError: another process is writing to it.
            FatError: as :class:`~cloudboot_fat.FatReader` has it.
        """
        self._files = FatFileSystem(storage, codepage=codepage)
        self._reader = self._files
        self._clock = clock
        self._operations = Operations()
        self._nodes: weakref.WeakValueDictionary[Slot, Node] = weakref.WeakValueDictionary()
        self._resources = contextlib.ExitStack()
        claim(storage, self._resources)

    @property
    def lock(self) -> RLock:
        """Held during every operation."""
        return self._operations.lock

    @property
    def changes(self) -> int:
        """Grows with every operation."""
        return self._operations.changes

    @property
    def busy(self) -> bool:
        """Whether an operation is under way in this thread; ask while holding the lock."""
        return self._operations.busy

    def when_idle(self, action: Callable[[], object]) -> None:
        """Call ``action`` at once, or at the end of the operation under way."""
        self._operations.when_idle(action)

    def close(self) -> None:
        """Give the claim back, after the operation that may be under way."""
        self._operations.when_idle(self._close)

    def _close(self) -> None:
        self._operations.closed = True
        self._resources.close()

    def _now(self) -> dt.datetime:
        return times.EPOCH if self._clock is None else times.moment(self._clock())

    # Files

    def open_file(self, path: str, mode: str = "rb", *, replacing: bool = False) -> LiveFile:  # noqa: ARG002 -- no reserve
        """A file as a seekable raw stream, in one of the binary modes of :func:`io.open`.

        A write is one operation. As with POSIX, ``wb`` cuts a file at once; :meth:`write_file` replaces one whole.
        FAT keeps no reserve, so ``replacing`` changes nothing.

        Raises:
            io.UnsupportedOperation: no such mode.
            IsADirectoryError, FileNotFoundError, NotADirectoryError: there is no file.
            FileExistsError: with ``x``, the path is taken.
            NoSpaceError, InvalidNameError: it cannot be made.
        """
        letters = mode.replace("b", "")
        if letters not in _MODES:
            raise io.UnsupportedOperation(f"no such mode: {mode!r}")
        with self.lock:
            there = self._reader.exists(path)
            if letters[0] == "x" or (letters[0] in "wa" and not there):
                with self._operations.operation():
                    self._files.write_file(path, b"", overwrite=False, timestamp=self._now())
            if self._reader.stat(path).is_dir:
                raise errors.IsADirectoryError("is a directory", field=path)
            if letters[0] == "w" and there:
                self.truncate(path, 0)
            slot = self._files.slot_of(path)
            node = self._nodes.setdefault(slot, Node(slot))
            return LiveFile(
                self, node,
                readable=letters[0] == "r" or "+" in letters, writable=letters != "r", append=letters[0] == "a",
            )  # fmt: skip

    def content_of(self, node: Node) -> ExtentStorage:
        """The bytes of an open file as they are now.

        Raises:
            StaleFileError: it was removed.
        """
        return ExtentStorage(self._reader.storage, self._reader.file_extents(self._files.entry_at(_alive(node))))

    def write_node(self, node: Node, offset: int | None, data: Buffer) -> int:
        """Write into an open file, at its end for ``None``; gives the position behind what was written."""
        with self._operations.operation():
            slot = _alive(node)
            start = self._files.entry_at(slot).size if offset is None else offset
            count = memoryview(data).nbytes
            if count:
                self._files.write_into(slot, start, data, timestamp=self._now())
            return start + count

    def truncate_node(self, node: Node, size: int) -> None:
        """Let an open file have ``size`` bytes."""
        with self._operations.operation():
            self._files.resize(_alive(node), size, timestamp=self._now())

    def truncate(self, path: str, size: int) -> None:
        """Let a file have ``size`` bytes; new ones are zero."""
        with self._operations.operation():
            if self._reader.stat(path).is_dir:
                raise errors.IsADirectoryError("is a directory", field=path)
            self._files.resize(self._files.slot_of(path), size, timestamp=self._now())

    def write_file(
        self,
        path: str,
        data: Buffer | Readable | os.PathLike[str],
        *,
        sparse: bool = False,  # noqa: ARG002 -- FAT has no holes
    ) -> int:
        """Give the file at ``path``, made if need be, new content; gives its size in bytes.

        The old content stays until the new one is complete.

        Raises:
            NoSpaceError: the volume has no room for both.
            IsADirectoryError: the path is a directory's.
            PathError: the name cannot be used.
        """
        if isinstance(data, os.PathLike) or not hasattr(data, "read"):
            with self._operations.operation():
                return self._files.write_file(path, data, timestamp=self._now()).size
        with self.lock:
            if self._reader.exists(path) and self._reader.stat(path).is_dir:
                raise errors.IsADirectoryError("is a directory", field=path)
            above = absolute(path).rpartition("/")[0]
            hidden = next(name for name in self._free_names(above))
            try:
                with self.open_file(hidden, "xb") as file:
                    while piece := data.read(_PIECE):
                        file.write(piece)
                    size = file.size
                self.take_place(hidden, path)
            except BaseException:
                self.unlink(hidden)
                raise
            return size

    def _free_names(self, above: str) -> Iterator[str]:
        names = (join(above, f".writing-{number}") for number in itertools.count())
        return (name for name in names if not self._reader.exists(name))

    def destination(self, path: str) -> str:
        """``path`` itself, absolute: FAT has no symbolic links."""
        return absolute(path)

    def take_place(self, source: str, path: str) -> None:
        """Let the file ``source`` take the name ``path``, and the attributes and time of birth of the file there."""
        with self._operations.operation():
            old = self._reader.stat(path).record if self._reader.exists(path) else None
            self._move(source, path)
            if old is not None:
                self._files.change_entry(
                    self._files.slot_of(path), DIR_Attr=old.DIR_Attr, DIR_CrtDate=old.DIR_CrtDate,
                    DIR_CrtTime=old.DIR_CrtTime, DIR_CrtTimeTenth=old.DIR_CrtTimeTenth,
                )  # fmt: skip

    # Names

    def mkdir(self, path: str, mode: int = 0o755) -> None:
        """Make a directory; without 0200 in ``mode`` it is marked read only."""
        with self._operations.operation():
            self._files.mkdir(path, timestamp=self._now())
            if not mode & 0o200:
                self._set_read_only(path, read_only=True)

    def makedirs(self, path: str, mode: int = 0o755, *, exist_ok: bool = False) -> None:  # noqa: ARG002 -- no modes
        """Make a directory and those above it that are missing."""
        with self._operations.operation():
            if not exist_ok and self._reader.exists(path):
                raise errors.FileExistsError("the path is taken", field=path)
            self._files.makedirs(path, timestamp=self._now())

    def rmdir(self, path: str) -> None:
        """Remove an empty directory."""
        with self._operations.operation():
            _require_name(path)
            self._files.rmdir(path)

    def unlink(self, path: str) -> None:
        """Remove a file."""
        with self._operations.operation():
            _require_name(path)
            slot = self._files.slot_of(path)
            self._files.remove(path)
            self._forget(slot)

    def rename(self, source: str, target: str) -> None:
        """Move a file or directory; a file takes the place of a file, a directory that of an empty one."""
        with self._operations.operation():
            self._move(source, target)

    def _move(self, source: str, target: str) -> None:
        _require_name(source)
        _require_name(target)
        before = self._files.slot_of(source)
        taken = self._files.slot_of(target) if self._reader.exists(target) else None
        try:
            self._files.rename(source, target, overwrite=True)
        except errors.OptionError as error:
            raise PathError(error.message, field=target) from error
        if taken is not None and taken != before:
            self._forget(taken)
        node = self._nodes.pop(before, None)
        if node is not None:
            node.slot = self._files.slot_of(target)
            self._nodes[node.slot] = node

    def _forget(self, slot: Slot) -> None:
        """Mark the open file of a slot as removed."""
        node = self._nodes.pop(slot, None)
        if node is not None:
            node.slot = None

    def link(self, target: str, path: str) -> None:
        """Refused.

        Raises:
            io.UnsupportedOperation: FAT gives a file one name.
        """
        raise io.UnsupportedOperation(f"{path}: FAT has no hard links, and {target} has one name")

    def symlink(self, target: str, path: str) -> None:
        """Refused.

        Raises:
            io.UnsupportedOperation: FAT has no symbolic links.
        """
        raise io.UnsupportedOperation(f"{path}: FAT has no symbolic links, to {target} or elsewhere")

    # Attributes and times

    def chmod(self, path: str, mode: int) -> None:
        """Mark a file or directory read only where ``mode`` has no 0200; other bits are not stored."""
        with self._operations.operation():
            self._set_read_only(path, read_only=not mode & 0o200)

    def _set_read_only(self, path: str, *, read_only: bool) -> None:
        entry = self._reader.stat(path)
        if entry.offset is None:  # the root directory, which has no entry
            return
        flags = entry.record.DIR_Attr & ~entries.ATTR_READ_ONLY | (entries.ATTR_READ_ONLY if read_only else 0)
        self._files.change_entry(self._files.slot_of(path), DIR_Attr=flags)

    def chown(self, path: str, uid: int | None = None, gid: int | None = None) -> None:  # noqa: ARG002 -- no owners
        """Nothing but a look whether ``path`` exists: FAT stores no owners."""
        with self.lock:
            self.find(path)

    def utime(
        self,
        path: str,
        *,
        atime_ns: int | None = None,
        mtime_ns: int | None = None,
        birthtime_ns: int | None = None,
    ) -> None:
        """Set times: of access to a day, of change to two seconds, of birth to ten milliseconds.

        Raises:
            RangeError: FAT stores no such year.
        """
        with self._operations.operation():
            fields: dict[str, int] = {}
            if atime_ns is not None:
                fields["DIR_LstAccDate"] = times.encode(times.moment(atime_ns)).date
            if mtime_ns is not None:
                stamp = times.encode(times.moment(mtime_ns))
                fields |= {"DIR_WrtDate": stamp.date, "DIR_WrtTime": stamp.time}
            if birthtime_ns is not None:
                stamp = times.encode(times.moment(birthtime_ns))
                fields |= {
                    "DIR_CrtDate": stamp.date, "DIR_CrtTime": stamp.time, "DIR_CrtTimeTenth": stamp.tenth,
                }  # fmt: skip
            if self._reader.stat(path).offset is not None:  # the root directory has no entry
                self._files.change_entry(self._files.slot_of(path), **fields)

    def sync(self) -> None:
        """Bring everything to the device, where the volume is in a file."""
        with self.lock:
            found = descriptor_of(self._reader.storage)
            if found is not None:
                os.fsync(found[0])


def _alive(node: Node) -> Slot:
    if node.slot is None:
        raise StaleFileError("the open file was removed")
    return node.slot


def _require_name(path: str) -> None:
    if not split_new(path):
        raise PathError("the root directory stays where it is", field=path)
