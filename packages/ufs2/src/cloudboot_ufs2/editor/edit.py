"""A file system that is written to in place.

Every operation is one :class:`~.operation.Transaction`: when a method returns, all of it is in the storage; when it
raises, none of it is.
"""

from __future__ import annotations

import contextlib
import stat
import struct
import weakref
from typing import TYPE_CHECKING, BinaryIO, Self

from cloudboot_base import WritableStorage
from cloudboot_ufs2 import errors
from cloudboot_ufs2.builder.content import parts_of, runs_without_zeros
from cloudboot_ufs2.errors import (
    NameTooLongError,
    OptionError,
    PathError,
    ReadOnlyError,
    StaleFileError,
    SymlinkLoopError,
)
from cloudboot_ufs2.layout.constants import (
    DT_DIR,
    DT_REG,
    FS_SUJ,
    MAXSYMLINKLEN,
    SUJ_FILE,
    UFS_MAXNAMLEN,
    UFS_ROOTINO,
)
from cloudboot_ufs2.layout.names import encoded
from cloudboot_ufs2.layout.options import link_max
from cloudboot_ufs2.reader.extattr import attribute_of
from cloudboot_ufs2.reader.opening import require_writable, storage_of
from cloudboot_ufs2.reader.reader import UFS2
from cloudboot_vfs.exclusive import claim

from .attrwrite import replace_attributes, with_attribute, without_attribute
from .blockwrite import FileSpace
from .dirwrite import empty_directory
from .free_space import Space
from .livefile import LiveFile
from .locked import LockedUFS2
from .operation import Directories, Operation
from .replace import Place, give, inherit, write_content, write_symlink
from .transaction import Stage, Store, get_time, set_time

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator

    from typing_extensions import Buffer

    from cloudboot_base import Storage
    from cloudboot_ufs2.builder.content import Readable
    from cloudboot_ufs2.layout.records import Ufs2Dinode

_SECOND = 1_000_000_000
_CACHED_DIRECTORIES = 64
_MAX_LINKS = 40
_COPY = 1 << 20
_MAX_TARGET = 1023  # MAXPATHLEN without its NUL (sys/syslimits.h)


class WritableUFS2(LockedUFS2):
    """A file system, writable. Paths are absolute; parents must exist.

    One lock serves all threads, open files included. Permissions, and flags such as ``schg``, are not enforced.
    """

    def __init__(
        self,
        storage: WritableStorage,
        *,
        verify: bool = True,
        clock: Callable[[], int] | None = None,
        use_reserve: bool = False,
        durable: bool = False,
        freebsd: int = 14,
    ) -> None:
        """Open the file system in ``storage``; see :meth:`open`."""
        super().__init__(storage, verify=verify)
        require_writable(self.superblock)
        # Nothing below leads back to this object. It is to go when its last user does: collecting a circle of which a
        # memoryview is part can crash CPython before 3.12.7 (gh-77894).
        fs, this = self.superblock, weakref.proxy(self)
        self._clock = clock or (lambda: fs.fs_time * _SECOND)
        space = Space(storage, self.superblock, self.geometry, self.byteorder, use_reserve=use_reserve)
        self._store = Store(
            storage=storage,
            fs=self.superblock,
            fs_offset=self.superblock_offset,
            geometry=self.geometry,
            byteorder=self.byteorder,
            space=space,
            read_inode=lambda number: UFS2.read_inode(this, number),
            durable=durable,
            link_max=link_max(freebsd),
        )
        self._names = Directories(
            lambda number: UFS2._directory_bytes(this, number),  # noqa: SLF001 -- its own method, by a weak reference
            self.byteorder,
        )
        if self.superblock.fs_flags & FS_SUJ:
            with contextlib.suppress(errors.FileNotFoundError):
                self._store.journal = UFS2.find(self, "/" + SUJ_FILE.decode(), follow_symlinks=False)

    @property
    def changes(self) -> int:
        """Operations so far."""
        return self._operations.changes

    @property
    def busy(self) -> bool:
        """Whether an operation is under way in this thread; ask while holding the lock."""
        return self._operations.busy

    @classmethod
    def open(  # type: ignore[override] # it has one mode only
        cls,
        source: str | os.PathLike[str] | BinaryIO | Buffer | Storage,
        *,
        offset: int = 0,
        size: int | None = None,
        verify: bool = True,
        clock: Callable[[], int] | None = None,
        use_reserve: bool = False,
        durable: bool = False,
        freebsd: int = 14,
    ) -> Self:
        """Open a file system to change it.

        Args:
            source: a path, a writable binary file, buffer or storage. A file is claimed with flock(2) until the file
                system is closed.
            offset: where the file system starts in it, in bytes.
            size: how long it is; by default, all that follows.
            verify: whether check-hashes are compared where the file system has them.
            clock: the time in nanoseconds, for what is changed (``time.time_ns``); by default it is always that of
                the last change before, so that the same operations give the same bytes.
            use_reserve: use the space that minfree keeps, as the superuser may.
            durable: have the device keep the order of writes, too, so that even a loss of power leaves what
                :mod:`.transaction` promises; every operation then waits for the device several times.
            freebsd: the oldest FreeBSD that is to read it; from 15 on a file may have 65500 links instead of 32767.

        Raises:
            ReadOnlyError: the file system is not clean, breaks a rule, or has snapshots; or somebody else writes to it.
            GroupError: the counters of the file system contradict each other.
            SuperblockError: no superblock, or one that makes no sense.
            CheckHashError: the superblock's check-hash is wrong.
            ImageTruncatedError: the image is smaller than the file system.
            OSError: the path cannot be opened.
        """
        with contextlib.ExitStack() as stack:
            storage = storage_of(stack, source, offset=offset, size=size, writable=True)
            if not isinstance(storage, WritableStorage):
                raise ReadOnlyError("the storage cannot be written to")
            claim(storage, stack, ReadOnlyError)
            volume = cls(storage, verify=verify, clock=clock, use_reserve=use_reserve, durable=durable, freebsd=freebsd)
            volume._stack.push(stack.pop_all().__exit__)
            return volume

    def close(self) -> None:
        """Let go of the file if :meth:`open` opened one, after the operation that may be under way."""
        self._operations.when_idle(self._close)

    def _close(self) -> None:
        self._operations.closed = True
        super().close()

    def when_idle(self, action: Callable[[], object]) -> None:
        """Do something now, or after the operation that is under way: destructors run in the middle of anything."""
        self._operations.when_idle(action)

    def entries(self, number: int) -> dict[bytes, tuple[int, int]]:
        """The names in directory ``number`` with their inodes and types, without ``.`` and ``..``."""
        with self.lock:
            return dict(self._names.get(number).entries)

    def _lookup(self, directory: int, name: bytes, path: str) -> int:
        found = self._names.get(directory).entries.get(name)
        if found is None:
            raise errors.FileNotFoundError(f"{path}: no such file or directory")
        return found[0]

    @property
    def space(self) -> Space:
        """The free space, to be looked at."""
        return self._store.space

    def directory_size(self, path: str, lengths: Iterable[int]) -> int:
        """Bytes of the directory ``path`` once names of these lengths have been added to it."""
        with self.lock:
            return self._names.get(self.find(path)).size_with(lengths)

    # The frame of an operation

    @contextlib.contextmanager
    def operation(self) -> Iterator[Operation]:
        """One operation: committed at the end of the block, forgotten if it raises.

        Raises:
            NestedOperationError: another one is under way in this thread.
            ValueError: the file system is closed.
        """
        with self._operations.operation():
            if self._store.broken:
                raise ReadOnlyError("an earlier change could not be written completely")
            operation = Operation(self._store, self._clock(), self._names)
            try:
                yield operation
                operation.commit()
            except BaseException:
                operation.roll_back()
                raise
            finally:
                self._forget(operation)

    def _forget(self, operation: Operation) -> None:
        """Read again what an operation may have changed when it is needed next."""
        self._names.trim()
        for number in operation.changed_inodes:
            self._inodes.forget(number)
        for address in operation.changed_blocks:
            self._blocks.forget(address)

    def _place(self, path: str) -> tuple[int, bytes]:
        """The directory of ``path``, which need not exist, and its last name."""
        names = [name for name in path.split("/") if name]
        if not names or names[-1] in (".", ".."):
            raise PathError(f"{path or repr(path)}: names nothing that can be made, moved or removed")
        name = encoded(names[-1])
        if len(name) > UFS_MAXNAMLEN:
            raise NameTooLongError(f"{path}: the name is too long", expected=UFS_MAXNAMLEN, actual=len(name))
        if b"\0" in name:
            raise PathError(f"{path!r}: a NUL in a name")
        parent = self.find("/".join(names[:-1]))
        if not stat.S_ISDIR(self._used_inode(parent).di_mode):
            raise errors.NotADirectoryError(f"{path}: its parent is not a directory")
        return parent, name

    def place_new(self, path: str) -> tuple[int, bytes]:
        """The parent's inode number and the name of a new entry.

        Raises:
            FileExistsError: ``path`` exists.
        """
        parent, name = self._place(path)
        if name in self._names.get(parent).entries:
            raise errors.FileExistsError(f"{path}: the file exists")
        return parent, name

    def _place_existing(self, path: str) -> tuple[int, bytes, int]:
        """:meth:`_place` of a name that must be there, and its inode."""
        parent, name = self._place(path)
        return parent, name, self._lookup(parent, name, path)

    # Directories

    def mkdir(self, path: str, mode: int = 0o755, *, uid: int = 0, gid: int = 0) -> None:
        """Make a directory.

        Raises:
            FileExistsError: the name is taken.
            TooManyLinksError: the parent has as many subdirectories as it can.
            NoSpaceError: no inode, or no space.
        """
        with self.operation() as operation:
            parent, name = self.place_new(path)
            above = operation.inode(parent)
            operation.gain(parent, path)
            depth = above.di_dirdepth + 1
            group = operation.space.directory_group(parent)
            number = operation.new_inode(group, stat.S_IFDIR | mode & 0o7777, is_directory=True)
            inode = operation.inode(number)
            inode.di_uid, inode.di_gid, inode.di_nlink, inode.di_dirdepth = uid, gid, 2, depth
            operation.write_new(number, empty_directory(number, parent, self.byteorder))
            operation.stage_inode(number, Stage.GAIN)
            operation.add(parent, name, number, DT_DIR)

    def makedirs(self, path: str, mode: int = 0o755, *, exist_ok: bool = False, uid: int = 0, gid: int = 0) -> None:
        """Make a directory and those above it that are missing; each is an operation of its own.

        Raises:
            FileExistsError: the name is taken, by something other than a directory if ``exist_ok``.
            NotADirectoryError: a name above it is.
        """
        names = [name for name in path.split("/") if name]
        for count in range(1, len(names) + 1):
            part = "/" + "/".join(names[:count])
            if not self.exists(part):
                self.mkdir(part, mode, uid=uid, gid=gid)
            elif count == len(names) and not (exist_ok and stat.S_ISDIR(self.stat(part).st_mode)):
                raise errors.FileExistsError(f"{path}: the file exists")

    def rmdir(self, path: str) -> None:
        """Remove an empty directory.

        Raises:
            DirectoryNotEmptyError: it is not.
            NotADirectoryError: the path is not a directory.
        """
        with self.operation() as operation:
            parent, name, number = self._place_existing(path)
            operation.require_empty(number, path)
            operation.remove(parent, name)
            operation.inode(parent).di_nlink -= 1
            operation.drop(number)

    # Names

    def link(self, target: str, path: str) -> None:
        """Give the file ``target`` (a symbolic link is not followed) another name.

        Raises:
            IsADirectoryError: the path is a directory.
            TooManyLinksError: it has as many names as it can.
            FileExistsError: the name is taken.
        """
        with self.operation() as operation:
            number = self.find(target, follow_symlinks=False)
            inode = operation.inode(number)
            if stat.S_ISDIR(inode.di_mode):
                raise errors.IsADirectoryError(f"{target}: a directory has one name only")
            parent, name = self.place_new(path)
            operation.gain(number, target)
            operation.add(parent, name, number, inode.di_mode >> 12)

    def symlink(
        self, target: str, path: str, mode: int = 0o777, *, uid: int = 0, gid: int = 0, replace: bool = False
    ) -> None:
        """Make a symbolic link at ``path``; below 120 bytes its target is in the inode.

        ``replace`` lets it take the place of what has the name, unless that is a directory.

        Raises:
            FileExistsError: the name is taken.
            IsADirectoryError: it is a directory's, and ``replace`` was given.
            NameTooLongError: a target of more than 1023 bytes.
        """
        data = encoded(target)
        if not data or b"\0" in data:
            raise PathError(f"{target!r}: no target")
        if len(data) > _MAX_TARGET:
            raise NameTooLongError("the target is too long", expected=f"at most {_MAX_TARGET}", actual=len(data))
        with self.operation() as operation:
            parent, name = self._place(path) if replace else self.place_new(path)
            taken = self._names.get(parent).entries.get(name, (0, 0))[0]
            if taken:
                operation.space.use_reserve()
            number = operation.new_file(parent, stat.S_IFLNK | mode & 0o7777, uid=uid, gid=gid)
            inode = operation.inode(number)
            if len(data) < MAXSYMLINKLEN:
                order = "<15q" if self.byteorder == "little" else ">15q"
                words = struct.unpack(order, data.ljust(MAXSYMLINKLEN, b"\0"))
                inode.di_db, inode.di_ib, inode.di_size = words[:12], words[12:], len(data)
            else:
                operation.write_new(number, data)
            write_symlink(operation, Place(parent, name, taken, path), number)

    def unlink(self, path: str) -> None:
        """Remove a name, and the file with its last one; what has it open finds it stale then.

        Raises:
            IsADirectoryError: the path is a directory.
        """
        with self.operation() as operation:
            parent, name, number = self._place_existing(path)
            if stat.S_ISDIR(operation.inode(number).di_mode):
                raise errors.IsADirectoryError(f"{path}: is a directory")
            operation.remove(parent, name)
            operation.lose(number)

    def rename(self, source: str, target: str) -> None:
        """Move ``source`` to ``target``, in place of what is there; by the rules of POSIX.

        Two names of the same file stay as they are. Symbolic links are not followed.

        Raises:
            FileNotFoundError: there is no source.
            NotADirectoryError: a directory would replace something else.
            IsADirectoryError: something else would replace a directory.
            DirectoryNotEmptyError: the directory that would be replaced is not empty.
            PathError: a directory would move into itself.
        """
        with self.operation() as operation:
            old_parent, old_name, number = self._place_existing(source)
            new_parent, new_name = self._place(target)
            inode = operation.inode(number)
            replaced = self._names.get(new_parent).entries.get(new_name, (0, 0))[0]
            if replaced == number:
                return
            is_directory = stat.S_ISDIR(inode.di_mode)
            if is_directory and operation.is_inside(new_parent, number):
                raise PathError(f"{target}: is inside {source}")
            if replaced:
                operation.require_replaceable(replaced, target, is_directory=is_directory)
            elif new_parent == old_parent and operation.rename_in_place(old_parent, old_name, new_name):
                operation.touch(inode, content=False)
                return
            operation.gain(number, source)
            if is_directory and new_parent != old_parent and not replaced:
                operation.gain(new_parent, target)
            operation.move(number, (old_parent, old_name), (new_parent, new_name), replaced)

    def destination(self, path: str) -> str:
        """The path of what writing to ``path`` makes or changes: a symbolic link leads to another."""
        with self.lock:
            return self._destination(path).path

    def take_place(self, source: str, path: str) -> None:
        """Let the file ``source`` take the name ``path``, and what the file there has besides content and other names.

        Raises:
            FileNotFoundError: there is no source.
        """
        with self.operation() as operation:
            old_parent, old_name, number = self._place_existing(source)
            place = self._destination(path)
            if place.number:
                inherit(operation, place.number, number)
            operation.gain(number, source)
            operation.move(number, (old_parent, old_name), (place.parent, place.name), place.number)

    # Inodes

    def chmod(self, path: str, mode: int, *, follow_symlinks: bool = True) -> None:
        """Set the permissions."""
        with self._changed(path, follow_symlinks=follow_symlinks) as inode:
            inode.di_mode = stat.S_IFMT(inode.di_mode) | mode & 0o7777

    def chown(self, path: str, uid: int | None = None, gid: int | None = None, *, follow_symlinks: bool = True) -> None:
        """Set the owner, the group, or both.

        Raises:
            RangeError: a number of more than 32 bits.
        """
        with self._changed(path, follow_symlinks=follow_symlinks) as inode:
            inode.di_uid = inode.di_uid if uid is None else uid
            inode.di_gid = inode.di_gid if gid is None else gid

    def utime(
        self,
        path: str,
        *,
        atime_ns: int | None = None,
        mtime_ns: int | None = None,
        birthtime_ns: int | None = None,
        follow_symlinks: bool = True,
    ) -> None:
        """Set times, in nanoseconds; as utimes(2) has it, no file is born after it was modified.

        Raises:
            RangeError: seconds of more than 64 bits.
        """
        with self._changed(path, follow_symlinks=follow_symlinks) as inode:
            for name, value in (("atime", atime_ns), ("mtime", mtime_ns), ("birthtime", birthtime_ns)):
                if value is not None:
                    set_time(inode, name, value)
            if birthtime_ns is None and mtime_ns is not None and mtime_ns < get_time(inode, "birthtime"):
                set_time(inode, "birthtime", mtime_ns)

    def setxattr(self, path: str, name: str, value: bytes, *, follow_symlinks: bool = True) -> None:
        """Set an extended attribute, like :func:`os.setxattr`; ``name`` begins with its namespace, user or system.

        Raises:
            PathError: another namespace, or a name that cannot be.
            NoSpaceError: all attributes of a file together do not fit two blocks, or the file system is full.
        """
        new = attribute_of(name, value)
        with self.operation() as operation:
            number = self.find(path, follow_symlinks=follow_symlinks)
            replace_attributes(operation, number, lambda found: with_attribute(found, new))

    def removexattr(self, path: str, name: str, *, follow_symlinks: bool = True) -> None:
        """Remove an extended attribute, like :func:`os.removexattr`.

        Raises:
            AttributeNotFoundError: there is no attribute of that name.
        """
        old = attribute_of(name, b"")
        with self.operation() as operation:
            number = self.find(path, follow_symlinks=follow_symlinks)
            replace_attributes(operation, number, lambda found: without_attribute(found, old))

    @contextlib.contextmanager
    def _changed(self, path: str, *, follow_symlinks: bool) -> Iterator[Ufs2Dinode]:
        with self.operation() as operation:
            inode = operation.inode(self.find(path, follow_symlinks=follow_symlinks))
            yield inode
            operation.touch(inode, content=False)

    # Contents

    def open_file(self, path: str, mode: str = "rb", *, replacing: bool = False) -> LiveFile:
        """The file ``path`` as a seekable raw stream.

        ``mode`` is one of ``rb``, ``r+b``, ``wb``, ``w+b``, ``xb``, ``x+b``, ``ab`` and ``a+b``. A write is one
        operation: all of it is there, or none. As with POSIX, ``wb`` cuts a file at once; :meth:`write_file` replaces
        one whole. ``replacing`` lets writes use the space that minfree keeps, for what will replace something.

        Raises:
            IsADirectoryError: the path is a directory.
            FileExistsError: with ``x``, the name is taken.
        """
        letters = mode.replace("b", "")
        if letters not in ("r", "r+", "w", "w+", "x", "x+", "a", "a+"):
            raise OptionError("no such mode", field="mode", actual=mode)
        with self.lock:
            number = self._find_or_make(path, letters[0])
            inode = self._used_inode(number)
            if stat.S_ISDIR(inode.di_mode):
                raise errors.IsADirectoryError(f"{path}: is a directory")
            if not stat.S_ISREG(inode.di_mode) and letters != "r":
                raise PathError(f"{path}: not a regular file")
            if letters[0] == "w" and inode.di_size:
                self.truncate_inode(number, 0)
            return LiveFile(
                self, self._store.storage, self._blocks, number,
                readable=letters[0] == "r" or "+" in letters,
                writable=letters != "r",
                append=letters[0] == "a",
                replacing=replacing,
            )  # fmt: skip

    def open_inode(self, number: int) -> LiveFile:
        """The content of an inode of any kind but an inline symbolic link, to be read."""
        with self.lock:
            self._used_inode(number)
            return LiveFile(self, self._store.storage, self._blocks, number)

    def _find_or_make(self, path: str, letter: str) -> int:
        if letter == "r":
            return self.find(path)
        if not path.strip("/"):
            return UFS_ROOTINO
        if letter == "x":
            self.place_new(path)
        place = self._destination(path)
        if not place.number:
            with self.operation() as operation:
                number = operation.new_file(place.parent, stat.S_IFREG | 0o644, uid=0, gid=0)
                operation.stage_inode(number, Stage.GAIN)
                operation.add(place.parent, place.name, number, DT_REG)
            return number
        return place.number

    def _destination(self, path: str) -> Place:
        """The name under which ``path`` is written: where symbolic links lead to, be it free or taken."""
        for _ in range(_MAX_LINKS):
            parent, name = self._place(path)
            number = self._names.get(parent).entries.get(name, (0, 0))[0]
            if not number or not stat.S_ISLNK(self._used_inode(number).di_mode):
                return Place(parent, name, number, path)
            target = self.link_target(number).decode("utf-8", "surrogateescape")
            path = target if target.startswith("/") else f"{path.rstrip('/').rpartition('/')[0]}/{target}"
        raise SymlinkLoopError(f"{path}: too many symbolic links")

    def write_file(
        self,
        path: str,
        data: Buffer | Readable | os.PathLike[str],
        *,
        sparse: bool = False,
        in_place: bool = False,
        mode: int | None = None,
        owner: tuple[int, int] | None = None,
    ) -> int:
        """Make a file, or replace the content of one, in one operation; the number of bytes.

        The new content is written whole before anything leads to it, so a failure leaves the old. It may use the space
        that minfree keeps if it replaces something. A file with several names is replaced under this one only.

        Args:
            path: a path in the file system; symbolic links are followed.
            data: bytes, a binary file that is read to its end, or the path of a file of the host, whose holes are kept.
            sparse: leave holes where whole blocks are zero.
            in_place: cut the file and write into it, which takes no space beside the old content, changes what all
                names of the file show, and leaves a file that is too short if anything fails.
            mode: the permissions; by default those it has, and 0644 for a new file.
            owner: the user and the group; by default those it has, and 0:0 for a new file.

        Raises:
            NoSpaceError: there is no room; ``missing`` says how many bytes, where the size of ``data`` is known.
            IsADirectoryError: the path is a directory.
            OSError: the host's file cannot be read.
        """
        if in_place:
            size = self._write_in_place(path, data, sparse=sparse)
            if mode is not None or owner is not None:
                with self._changed(path, follow_symlinks=True) as inode:
                    give(inode, mode, owner)
            return size
        with self.operation() as operation:
            place = self._destination(path)
            return write_content(operation, place, data, sparse=sparse, mode=mode, owner=owner)

    def _write_in_place(self, path: str, data: Buffer | Readable | os.PathLike[str], *, sparse: bool) -> int:
        bsize = self.geometry.block_size
        with self.lock, self.open_file(path, "wb") as file:
            size = 0
            for start, part in parts_of(data, max(bsize, _COPY)):
                for first, end in runs_without_zeros(part, bsize) if sparse else [(0, len(part))]:
                    file.write_at(start + first, part[first:end])
                size = start + len(part)
            if file.size < size:
                file.truncate(size)
            return size

    def truncate(self, path: str, size: int) -> None:
        """Set the size of a file: bytes beyond it are freed, missing bytes are a hole.

        Raises:
            IsADirectoryError: ``path`` is a directory.
            PathError: ``path`` is not a regular file.
            OptionError: ``size`` is negative.
        """
        with self.lock:
            number = self.find(path)
            mode = self._used_inode(number).di_mode
            if stat.S_ISDIR(mode):
                raise errors.IsADirectoryError(f"{path}: is a directory")
            if not stat.S_ISREG(mode):
                raise PathError(f"{path}: not a regular file")
            self.truncate_inode(number, size)

    def truncate_inode(self, number: int, size: int) -> None:
        """:meth:`truncate` of the regular file ``number``.

        Raises:
            OptionError: ``size`` is negative.
        """
        if size < 0:
            raise OptionError("a file has no negative size", field="size", actual=size)
        with self.operation() as operation:
            inode = operation.inode(number)
            space = FileSpace(operation, number)
            if size > inode.di_size:
                space.extend(size)
            elif size < inode.di_size:
                space.shrink(size)
            operation.touch(inode, content=True)

    def write_inode(
        self, number: int, offset: int | None, data: Buffer, generation: int | None = None, *, replacing: bool = False
    ) -> int:
        """Write into the regular file ``number``, at its end if ``offset`` is ``None``; where the bytes end then.

        Raises:
            StaleFileError: the inode is not of this ``generation`` any more.
            NoSpaceError: the file system is full; nothing has changed.
            FileTooLargeError: no file reaches that far.
        """
        view = memoryview(data).cast("B")
        with self.operation() as operation:
            if generation is not None:
                self.current_inode(number, generation)
            if replacing:
                operation.space.use_reserve()
            inode = operation.inode(number)
            start = inode.di_size if offset is None else offset
            if not view:
                return start  # POSIX: not even the times change
            space = FileSpace(operation, number)
            space.reserve(start, start + len(view))
            done = 0
            # All of them are known to be good before the first is written.
            for place, length in list(space.pieces(start, start + len(view))):
                operation.write(place, view[done : done + length])
                done += length
            operation.touch(inode, content=True)
            return start + len(view)

    def current_inode(self, number: int, generation: int) -> Ufs2Dinode:
        """The inode of an open file.

        Raises:
            StaleFileError: the inode was reused or freed.
        """
        inode = self.read_inode(number)
        if inode.di_gen != generation or not inode.di_mode:
            raise StaleFileError("the file has been removed", field="inode", actual=number)
        return inode

    def sync(self) -> None:
        """Have the device keep everything, where the storage is a file."""
        with self.lock:
            self._store.sync()
