"""The tree a volume is built from: a folder of the host, a tar archive, or a mapping of paths to contents."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping
from typing import TYPE_CHECKING, BinaryIO

from cloudboot_base.lightdata import dataclass, field

from . import errors, names
from .content import as_storage
from .geometry import MAX_FILE_SIZE
from .paths import require_length, split

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_base import Storage

    from .content import Content

    #: What is at which path. ``None`` makes a directory, a host folder its whole tree.
    Paths = Mapping[str, Content | None]
    #: A folder or a tar archive of the host, an open archive, or what is at which path.
    Tree = str | os.PathLike[str] | BinaryIO | Paths


@dataclass(slots=True)
class FileNode:
    """A file to be written. ``source`` is a host path or a storage."""

    name: str
    size: int
    source: str | Storage
    cluster: int = 0


@dataclass(slots=True)
class DirectoryNode:
    """A directory to be written; ``children`` are keyed by :func:`names.fold`."""

    name: str
    children: dict[str, FileNode | DirectoryNode] = field(default_factory=dict)
    cluster: int = 0

    def add(self, node: FileNode | DirectoryNode, path: str) -> None:
        """Add a child.

        Raises:
            InvalidNameError: VFAT cannot store the name.
            FileExistsError: a name that differs at most in case is there.
        """
        names.validate(node.name)
        key = names.fold(node.name)
        other = self.children.get(key)
        if other is not None:
            raise errors.FileExistsError(
                "two names VFAT cannot tell apart", field=path, expected=other.name, actual=node.name
            )
        self.children[key] = node

    def ordered(self) -> list[FileNode | DirectoryNode]:
        """The children in the order they are stored."""
        return [self.children[key] for key in sorted(self.children)]


@contextlib.contextmanager
def opened(tree: Tree) -> Iterator[str | os.PathLike[str] | Paths]:
    """A tree as :func:`load` takes it, with the archive that it is in open inside.

    FAT has no links: a hard link of an archive is a file of its own, a symbolic link what it leads to in the archive.

    Raises:
        SourceError: a member that cannot be stored, named; or a damaged archive.
        FileKindError: neither a folder nor an ordinary file.
        OSError: the host refuses.
    """
    if isinstance(tree, Mapping) or (isinstance(tree, str | os.PathLike) and os.path.isdir(tree)):
        yield tree
        return
    from cloudboot_vfs.archive import open_tar, without_links  # decoders take a while to be imported

    with open_tar(tree) as (reader, fd):
        yield without_links(reader, fd)


def load(tree: str | os.PathLike[str] | Paths) -> DirectoryNode:
    """The root directory of a tree.

    Links of the host are followed: FAT has none. Nothing is read but names and sizes.

    Raises:
        OSError: the host refuses.
        FatError: a name, a path, a size or a kind of file that FAT cannot hold.
    """
    root = DirectoryNode("")
    if not isinstance(tree, Mapping):
        _load_folder(root, os.fspath(tree), "")
        return root
    for path in sorted(tree):
        content = tree[path]
        parts = split(path)
        if not parts:
            if isinstance(content, str | os.PathLike):
                _load_folder(root, os.fspath(content), "")
            continue
        require_length(path)
        parent = _parent(root, parts[:-1], path)
        known = parent.children.get(names.fold(parts[-1]))
        if content is None and isinstance(known, DirectoryNode):
            continue
        parent.add(_node(parts[-1], content, path), path)
    return root


def _parent(root: DirectoryNode, parts: list[str], path: str) -> DirectoryNode:
    node = root
    for name in parts:
        child = node.children.get(names.fold(name))
        if child is None:
            child = DirectoryNode(name)
            node.add(child, path)
        if not isinstance(child, DirectoryNode):
            raise errors.NotADirectoryError("a file is where a directory is needed", field=path, actual=name)
        node = child
    return node


def _node(name: str, content: Content | None, path: str) -> FileNode | DirectoryNode:
    if content is None:
        return DirectoryNode(name)
    if isinstance(content, str | os.PathLike):
        host = os.fspath(content)
        node = _host_node(name, host, path)
        if isinstance(node, DirectoryNode):
            _load_folder(node, host, path)
        return node
    source = as_storage(content)
    return _file(name, source.size, source, path)


def _file(name: str, size: int, source: str | Storage, path: str) -> FileNode:
    if size > MAX_FILE_SIZE:
        raise errors.FileTooLargeError(
            "a FAT file has less than 4 GiB", field=path, expected=MAX_FILE_SIZE, actual=size
        )
    return FileNode(name, size, source)


def _host_node(name: str, host: str, path: str) -> FileNode | DirectoryNode:
    """The node of a host path; the children of a folder are its caller's to add."""
    found = os.stat(host)
    if stat.S_ISREG(found.st_mode):
        return _file(name, found.st_size, host, path)
    if not stat.S_ISDIR(found.st_mode):
        raise errors.OptionError(
            "FAT holds only files and directories", field=path, actual=stat.filemode(found.st_mode)
        )
    return DirectoryNode(name)


def _load_folder(root: DirectoryNode, host: str, path: str) -> None:
    pending: list[tuple[DirectoryNode, str, str, frozenset[tuple[int, int]]]] = [(root, host, path, frozenset())]
    while pending:
        node, folder, inside, above = pending.pop()
        found = os.stat(folder)
        identity = found.st_dev, found.st_ino
        if identity in above:
            raise errors.OptionError("a link leads back to a folder above it", field=inside or "/", actual=folder)
        with os.scandir(folder) as entries:
            for entry in entries:
                inner = f"{inside}/{entry.name}"
                require_length(inner)
                child = _host_node(entry.name, entry.path, inner)
                node.add(child, inner)
                if isinstance(child, DirectoryNode):
                    pending.append((child, entry.path, inner, above | {identity}))
