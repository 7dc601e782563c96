"""Reading a UFS2 file system."""

from __future__ import annotations

import contextlib
import stat
from collections import OrderedDict
from typing import TYPE_CHECKING, BinaryIO, Self

from cloudboot_ufs2 import errors
from cloudboot_ufs2.errors import (
    DirectoryError,
    ImageTruncatedError,
    InodeError,
    SymlinkLoopError,
    UnsupportedError,
)
from cloudboot_ufs2.layout.constants import CK_INODE, SBLOCKSIZE, SF_SNAPSHOT, UFS_ROOTINO
from cloudboot_ufs2.layout.directory import PIECE as DIRECTORY_PIECE
from cloudboot_ufs2.layout.directory import names_in
from cloudboot_ufs2.layout.geometry import geometry_of, howmany
from cloudboot_ufs2.layout.names import decoded, decoded_all, encoded, split
from cloudboot_ufs2.layout.superblock import has_hash
from cloudboot_ufs2.layout.ufs1 import UFS2 as UFS2_DIALECT
from cloudboot_ufs2.layout.ufs1 import dialect_of, inline_limit
from cloudboot_vfs import DirEntry, Extent, Region, Stat

from .blocks import BlockMap, read
from .extattr import parse_attributes, read_area
from .file import UFS2File
from .inodes import InodeTable
from .opening import read_superblock, storage_of

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from typing_extensions import Buffer

    from cloudboot_base import Storage
    from cloudboot_ufs2.layout.records import Ufs2Dinode

    from .blocks import Run
    from .extattr import Attribute

_MAX_LINKS = 40
_CACHED_DIRECTORIES = 64
_MAX_TARGET = 65536
_MAX_PATH = 65536


class UFS2(contextlib.AbstractContextManager["UFS2"]):
    """A file system, read-only. Paths are absolute; names that are not UTF-8 hold surrogate escapes."""

    def __init__(
        self,
        storage: Storage,
        *,
        verify: bool = True,
        superblock: int | None = None,
        fallback: bool = False,
        truncated: bool = False,
    ) -> None:
        """Open the file system in ``storage``; see :meth:`open`."""
        self._stack = contextlib.ExitStack()
        self._storage = storage
        self._verify = verify
        self.superblock, self.byteorder, self.superblock_offset = read_superblock(
            storage, verify=verify, at=superblock, fallback=fallback
        )
        self.geometry = geometry_of(self.superblock)
        self.dialect = dialect_of(self.superblock)
        if not truncated and self.size > storage.size:
            raise ImageTruncatedError(
                "the image is smaller than the file system",
                structure="Fs",
                field="fs_size",
                expected=self.size,
                actual=storage.size,
            )
        self._blocks = BlockMap(storage, self.geometry, self.byteorder)
        hashed = verify and self.dialect is UFS2_DIALECT and has_hash(self.superblock, CK_INODE)
        self._inodes = InodeTable(storage, self.geometry, self.dialect, self.byteorder, hashed=hashed)
        self._directories: OrderedDict[int, dict[bytes, tuple[int, int]]] = OrderedDict()

    @classmethod
    def open(
        cls,
        source: str | os.PathLike[str] | BinaryIO | Buffer | Storage,
        *,
        offset: int = 0,
        size: int | None = None,
        verify: bool = True,
        superblock: int | None = None,
        fallback: bool = False,
        truncated: bool = False,
    ) -> Self:
        """Open a file system to read it.

        Args:
            source: a path, a binary file, a buffer or a storage.
            offset: where the file system starts in it, in bytes.
            size: how long it is; by default, all that follows.
            verify: whether check-hashes are compared where the file system has them.
            superblock: the byte of the file system at which a backup of the superblock stands that is to be used.
            fallback: whether a backup is looked for where the superblock is damaged; ``superblock_offset`` says which.
            truncated: whether an image that ends before its file system does is read as far as it goes.

        Raises:
            SuperblockError: no superblock, or one that makes no sense.
            CheckHashError: the superblock's check-hash is wrong.
            ImageTruncatedError: the image is smaller than the file system, and not ``truncated``.
            OSError: the path cannot be opened.
        """
        with contextlib.ExitStack() as stack:
            storage = storage_of(stack, source, offset=offset, size=size)
            volume = cls(storage, verify=verify, superblock=superblock, fallback=fallback, truncated=truncated)
            volume._stack.push(stack.pop_all().__exit__)
            return volume

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file if :meth:`open` opened one."""
        self._stack.close()

    @property
    def label(self) -> str:
        """The volume label."""
        return self.superblock.fs_volname.split(b"\0", 1)[0].decode("ascii", "backslashreplace")

    @property
    def size(self) -> int:
        """Bytes of the file system."""
        return self.geometry.size * self.geometry.fragment_size

    # Inodes

    def read_inode(self, number: int) -> Ufs2Dinode:
        """The inode ``number``, in use or not.

        Raises:
            InodeError: there is no such inode.
            CheckHashError: it is in use and its check-hash is wrong.
        """
        return self._inodes.read(number)

    def _used_inode(self, number: int) -> Ufs2Dinode:
        return self._inodes.used(number)

    def open_inode(self, number: int) -> UFS2File:
        """The content of an inode of any kind but an inline symbolic link.

        Raises:
            UnsupportedError: a snapshot, whose pointers partly mean blocks of the live file system.
        """
        inode = self._used_inode(number)
        if inode.di_flags & SF_SNAPSHOT:
            raise UnsupportedError(
                f"inode {number} is a snapshot", structure="Ufs2Dinode", field="di_flags", actual=inode.di_flags
            )
        return UFS2File(self._storage, self.geometry, self._blocks, inode, number)

    # Directories and paths

    def entries(self, number: int) -> dict[bytes, tuple[int, int]]:
        """The names in directory ``number`` with their inodes and types, without ``.`` and ``..``.

        Raises:
            NotADirectoryError: the path is not a directory.
            DirectoryError: its records do not hold together.
        """
        found = self._directories.get(number)
        if found is not None:
            self._directories.move_to_end(number)
            return found
        file = self._directory_file(number)
        # In pieces: the size is what the inode says, and the first hole is a bad record.
        found = {}
        for start in range(0, file.size, DIRECTORY_PIECE):
            found.update(names_in(file.read_at(start, DIRECTORY_PIECE), self.byteorder, inode=number, base=start))
        self._directories[number] = found
        if len(self._directories) > _CACHED_DIRECTORIES:
            self._directories.popitem(last=False)
        return found

    def _directory_bytes(self, number: int) -> bytes:
        """The content of directory ``number``, whole."""
        file = self._directory_file(number)
        return file.read_at(0, file.size)

    def _directory_file(self, number: int) -> UFS2File:
        """Directory ``number`` as a file of a size that can be."""
        inode = self._used_inode(number)
        if not stat.S_ISDIR(inode.di_mode):
            raise errors.NotADirectoryError(
                f"inode {number} is not a directory", structure="Ufs2Dinode", field="di_mode"
            )
        if inode.di_size > self.size:
            raise DirectoryError(
                f"directory inode {number} is larger than the file system",
                structure="Ufs2Dinode",
                field="di_size",
                expected=f"at most {self.size}",
                actual=inode.di_size,
            )
        return UFS2File(self._storage, self.geometry, self._blocks, inode, number)

    def find(self, path: str, *, follow_symlinks: bool = True) -> int:
        """The inode number of ``path``.

        Raises:
            FileNotFoundError: no such name.
            NotADirectoryError: the path goes through something else.
            SymlinkLoopError: more than 40 symbolic links.
        """
        trail = [UFS_ROOTINO]
        pending = split(encoded(path))[::-1]
        links = 0
        while pending:
            name = pending.pop()
            if name == b"..":
                trail = trail[:-1] or [UFS_ROOTINO]
                continue
            number = self._lookup(trail[-1], name, path)
            mode = self._used_inode(number).di_mode
            if stat.S_ISLNK(mode) and (pending or follow_symlinks):
                links += 1
                if links > _MAX_LINKS:
                    raise SymlinkLoopError(f"{path}: too many symbolic links")
                target = self.link_target(number)
                if target.startswith(b"/"):
                    trail = [UFS_ROOTINO]
                pending.extend(split(target)[::-1])
            elif pending and not stat.S_ISDIR(mode):
                raise errors.NotADirectoryError(f"{path}: {decoded(name)} is not a directory")
            else:
                trail.append(number)
        return trail[-1]

    def _lookup(self, directory: int, name: bytes, path: str) -> int:
        found = self.entries(directory).get(name)
        if found is None:
            raise errors.FileNotFoundError(f"{path}: no such file or directory")
        return found[0]

    def exists(self, path: str) -> bool:
        """Whether ``path`` leads to something: not through a link that leads nowhere, or back to itself."""
        try:
            self.find(path)
        except (errors.FileNotFoundError, errors.NotADirectoryError, errors.SymlinkLoopError):
            return False
        return True

    def stat(self, path: str, *, follow_symlinks: bool = True) -> Stat:
        """What the inode of ``path`` says."""
        return self.stat_inode(self.find(path, follow_symlinks=follow_symlinks))

    def stat_inode(self, number: int) -> Stat:
        """What inode ``number`` says."""
        return self._inodes.stat(number)

    def listdir(self, path: str = "/") -> list[str]:
        """The names in a directory, in its own order."""
        return [decoded(name) for name in self.entries(self.find(path))]

    def iterdir(self, path: str = "/") -> Iterator[DirEntry]:
        """The entries of a directory, like :func:`os.scandir`."""
        return self._scan(self.find(path), path.rstrip("/"))

    def _scan(self, number: int, path: str) -> Iterator[DirEntry]:
        found = self.entries(number)
        prefix = f"{path}/"
        for text, (inode, kind) in zip(decoded_all(found), found.values(), strict=True):
            yield DirEntry(text, prefix + text, inode, (kind << 12) or stat.S_IFMT(self._used_inode(inode).di_mode))

    def walk(self, top: str = "/") -> Iterator[tuple[str, list[DirEntry], list[DirEntry]]]:
        """Every directory below ``top`` as ``(path, its directories, its other entries)``, parents first.

        Raises:
            DirectoryError: a directory has two names, so that the walk would not end; or a path has more
                than 65,536 characters.
        """
        seen: set[int] = set()
        pending = [(top.rstrip("/"), self.find(top))]
        while pending:
            path, number = pending.pop()
            if len(path) > _MAX_PATH:  # without a limit, deep trees take time and memory with the square of their depth
                raise DirectoryError("directories too deep to be walked", structure="Direct", actual=f"inode {number}")
            if number in seen:
                raise DirectoryError(f"{path}: directory inode {number} is in two directories", structure="Direct")
            seen.add(number)
            below: list[DirEntry] = []
            others: list[DirEntry] = []
            for entry in self._scan(number, path):
                (below if entry.is_dir() else others).append(entry)
            yield path or "/", below, others
            pending.extend((entry.path, entry.inode) for entry in reversed(below))

    def readlink(self, path: str) -> str:
        """Where a symbolic link points.

        Raises:
            InodeError: it is no symbolic link.
        """
        return decoded(self.link_target(self.find(path, follow_symlinks=False)))

    def link_target(self, number: int) -> bytes:
        """The target of the symbolic link ``number``.

        Raises:
            InodeError: the inode is not a symbolic link, or its target is too long.
        """
        inode = self._used_inode(number)
        if not stat.S_ISLNK(inode.di_mode):
            raise InodeError(f"inode {number} is not a symbolic link", structure="Ufs2Dinode", field="di_mode")
        if self._has_no_blocks(inode):
            position = self.geometry.inode_offset(number) + self.dialect.shortlink
            return _target(read(self._storage, position, inode.di_size), number)
        if inode.di_size > _MAX_TARGET:
            raise InodeError(
                f"inode {number} is a symbolic link that is too long",
                structure="Ufs2Dinode",
                field="di_size",
                expected=f"at most {_MAX_TARGET}",
                actual=inode.di_size,
            )
        file = UFS2File(self._storage, self.geometry, self._blocks, inode, number)
        return _target(file.read_at(0, inode.di_size), number)

    # Extended attributes

    def attributes(self, path: str, *, follow_symlinks: bool = True) -> list[Attribute]:
        """The extended attributes of ``path`` in every namespace, in the order of the disk.

        Raises:
            AttributeAreaError: the records do not hold together.
        """
        return self.inode_attributes(self.find(path, follow_symlinks=follow_symlinks))

    def inode_attributes(self, number: int) -> list[Attribute]:
        """The extended attributes of inode ``number``, in the order of the disk.

        Raises:
            AttributeAreaError: the records do not hold together.
        """
        area = read_area(self._storage, self.geometry, self._used_inode(number), number)
        return list(parse_attributes(area, self.byteorder, inode=number))

    def listxattr(self, path: str, *, follow_symlinks: bool = True) -> list[str]:
        """The names of the extended attributes of ``path``, like :func:`os.listxattr`: ``"user.comment"``."""
        return [attribute.full_name for attribute in self.attributes(path, follow_symlinks=follow_symlinks)]

    def getxattr(self, path: str, name: str, *, follow_symlinks: bool = True) -> bytes:
        """The value of an extended attribute, like :func:`os.getxattr`; ``name`` begins with its namespace.

        Raises:
            AttributeNotFoundError: there is no attribute of that name.
        """
        for attribute in self.attributes(path, follow_symlinks=follow_symlinks):
            if attribute.full_name == name:
                return attribute.value
        raise errors.AttributeNotFoundError(f"{path}: no extended attribute {name}")

    # Contents

    def open_file(self, path: str) -> UFS2File:
        """The file ``path`` as a seekable raw stream.

        Raises:
            IsADirectoryError: the path is a directory.
        """
        file = self.open_inode(self.find(path))
        if stat.S_ISDIR(self._used_inode(file.inode).di_mode):
            raise errors.IsADirectoryError(f"{path}: is a directory")
        return file

    def read_file(self, path: str, *, limit: int | None = None) -> bytes:
        """The bytes of a file.

        Raises:
            InodeError: it has more than ``limit`` bytes (by default, as many as the file system), which a file with
                holes can; read it through :meth:`open_file`.
        """
        file = self.open_file(path)
        limit = self.size if limit is None else limit
        if file.size > limit:
            raise InodeError(f"{path}: too large", field="di_size", expected=f"at most {limit}", actual=file.size)
        return file.read_at(0, file.size)

    def block_for_lbn(self, path: str, lbn: int) -> int:
        """The fragment address of logical block ``lbn`` of a file; 0 in a hole and past the end."""
        number = self.find(path)
        inode = self._used_inode(number)
        if lbn < 0 or lbn >= howmany(inode.di_size, self.geometry.block_size):
            return 0
        return self._blocks.run(inode, lbn, number).address

    def extents(self, path: str, *, follow_symlinks: bool = True) -> list[Extent]:
        """Where the bytes of a file lie in the volume, in the file's order, without holes.

        The lengths add up to the file's size, if it has no holes. Empty for an inline symbolic link.
        """
        number = self.find(path, follow_symlinks=follow_symlinks)
        inode = self._used_inode(number)
        bsize, fsize = self.geometry.block_size, self.geometry.fragment_size
        found: list[Extent] = []
        for run in self._runs(inode, number):
            if not run.address:
                continue
            start, length = run.address * fsize, min(run.blocks * bsize, inode.di_size - run.block * bsize)
            if found and sum(found[-1]) == start:
                found[-1] = Extent(found[-1].offset, found[-1].length + length)
            else:
                found.append(Extent(start, length))
        return found

    def data_ranges(self, number: int) -> Iterator[tuple[int, int]]:
        """The parts of inode ``number`` that are not holes: ``(offset in the file, length)``, in order."""
        inode = self._used_inode(number)
        bsize = self.geometry.block_size
        for run in self._runs(inode, number):
            if run.address:
                start = run.block * bsize
                yield start, min(run.blocks * bsize, inode.di_size - start)

    def pointer_blocks(self, path: str, *, follow_symlinks: bool = True) -> list[tuple[int, int]]:
        """Where the indirect blocks of a file lie: ``(offset in the volume, length)``."""
        number = self.find(path, follow_symlinks=follow_symlinks)
        inode = self._used_inode(number)
        if self._has_no_blocks(inode):
            return []
        bsize, fsize = self.geometry.block_size, self.geometry.fragment_size
        return [(address * fsize, bsize) for address in self._blocks.indirect_addresses(inode, number)]

    def _runs(self, inode: Ufs2Dinode, number: int) -> Iterator[Run]:
        return iter(()) if self._has_no_blocks(inode) else self._blocks.runs(inode, number)

    def _has_no_blocks(self, inode: Ufs2Dinode) -> bool:
        """Whether the pointers are something else: the target of a link, the number of a device, a snapshot's marks."""
        kind = stat.S_IFMT(inode.di_mode)
        if inode.di_flags & SF_SNAPSHOT:
            return True
        if kind == stat.S_IFLNK:
            return inode.di_size < min(inline_limit(self.dialect), self.superblock.fs_maxsymlinklen)
        return kind not in (stat.S_IFREG, stat.S_IFDIR)

    def regions(self) -> Iterator[Region]:
        """The pieces of the volume that hold no files, group by group."""
        geometry = self.geometry
        fsize = geometry.fragment_size
        yield Region("boot", 0, self.superblock_offset)
        yield Region("superblock", self.superblock_offset, SBLOCKSIZE)
        for group in range(geometry.group_count):
            start = geometry.group_metadata(group)
            for kind, first, end in (
                ("backup-superblock", geometry.sblkno, geometry.cblkno),
                ("group", geometry.cblkno, geometry.iblkno),
                ("inodes", geometry.iblkno, geometry.dblkno),
            ):
                yield Region(kind, (start + first) * fsize, (end - first) * fsize, group)
        yield Region("summary", geometry.summary_address * fsize, geometry.summary_size)


def _target(target: bytes, number: int) -> bytes:
    """The target of symbolic link ``number``.

    Raises:
        InodeError: no path is like that.
    """
    if b"\0" in target or not target:
        raise InodeError(
            f"inode {number} is a symbolic link whose target is {'empty' if not target else 'cut by a NUL'}",
            structure="Ufs2Dinode", field="di_db", actual=target,
        )  # fmt: skip
    return target
