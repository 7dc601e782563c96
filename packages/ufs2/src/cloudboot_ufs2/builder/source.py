"""From a folder of the host to a tree of nodes, and what every kind of source has in common."""

from __future__ import annotations

import fnmatch
import os
import stat
from typing import TYPE_CHECKING

from cloudboot_ufs2.errors import SourceError
from cloudboot_ufs2.layout.constants import UFS_MAXNAMLEN
from cloudboot_ufs2.layout.directory import directory_size
from cloudboot_vfs.notices import shown

from .content import FileContent, MemoryContent
from .node import Node, device_number, directories

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cloudboot_vfs.notices import Notices

_DEVICES = (stat.S_IFCHR, stat.S_IFBLK)
_MAXPATHLEN = 1024
_MORE_LINKS = "--freebsd 15 (Options.freebsd) allows 65500, which FreeBSD 14 and older cannot read"
_TYPE = 0o170000  # S_IFMT


def check_name(name: bytes, member: str) -> None:
    """Refuse a name no directory can hold.

    Raises:
        SourceError: it is empty, ``.`` or ``..``, longer than 255 bytes, or contains a slash or a NUL.
    """
    if len(name) > UFS_MAXNAMLEN:
        raise SourceError(
            "the name is too long", member=member, expected=f"at most {UFS_MAXNAMLEN} bytes", actual=len(name)
        )
    if b"\0" in name:
        raise SourceError("the name holds a NUL", member=member)
    if name in (b"", b".", b"..") or b"/" in name:
        raise SourceError("the name cannot be stored", member=member)


def symlink_node(target: bytes, member: str, *, uid: int, gid: int, mtime_ns: int, mode: int = 0o777) -> Node:
    """A symbolic link.

    Raises:
        SourceError: a target that is empty, holds a NUL, or is longer than FreeBSD follows (MAXPATHLEN).
    """
    if b"\0" in target:
        raise SourceError("the target holds a NUL", member=member, actual=shown(target))
    if not target or len(target) >= _MAXPATHLEN:
        raise SourceError(
            "the target cannot be stored", member=member, expected=f"1 to {_MAXPATHLEN - 1} bytes", actual=len(target)
        )
    return Node(stat.S_IFLNK | mode, uid, gid, mtime_ns, len(target), MemoryContent(target))


def read_tree(path: str | os.PathLike[str]) -> Node:
    """The folder ``path`` with everything below it. Files with several names there keep one inode.

    Raises:
        SourceError: something that cannot be stored, named.
        OSError: something cannot be read.
    """
    # In bytes, as the file system will store them.
    top = os.fsencode(path)
    root = _host_node(top, os.stat(top))
    linked: dict[tuple[int, int], Node] = {}
    pending = [(top, root)]
    while pending:
        folder, directory = pending.pop()
        children = directory.children
        if children is None:
            raise SourceError("not a directory", member=shown(folder))
        with os.scandir(folder) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                node = _host_node(entry.path, status)
                children[entry.name] = node
                if node.children is not None:
                    pending.append((entry.path, node))
                elif status.st_nlink > 1:
                    first = linked.setdefault((status.st_dev, status.st_ino), node)
                    first.links += first is not node
                    children[entry.name] = first
    return finish(root)


def _host_node(path: bytes, status: os.stat_result) -> Node:
    mode, uid, gid, mtime_ns = status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns
    kind = mode & _TYPE
    if kind == stat.S_IFREG:
        size = status.st_size
        node = Node(mode, uid, gid, mtime_ns, size, FileContent(path))
        if status.st_blocks * 512 < size:
            node.sparse = True
        return node
    if kind == stat.S_IFDIR:
        return Node(mode, uid, gid, mtime_ns, children={})
    if kind == stat.S_IFLNK:
        return symlink_node(os.readlink(path), shown(path), uid=uid, gid=gid, mtime_ns=mtime_ns)
    device = device_number(os.major(status.st_rdev), os.minor(status.st_rdev)) if kind in _DEVICES else 0
    return Node(mode, uid, gid, mtime_ns, device=device)


def finish(root: Node) -> Node:
    """Sort every directory and count what only the whole tree tells: sizes of directories, their links."""
    for directory in directories(root):
        children = directory.children
        if children is None:
            continue
        ordered = sorted(children)
        directory.children = {name: children[name] for name in ordered}
        directory.size = directory_size(map(len, ordered))
        directory.links = 2 + sum(child.children is not None for child in children.values())
    return root


def check_links(root: Node, most: int) -> None:
    """Refuse a file or directory with more links than ``most``, which the version of FreeBSD says.

    Raises:
        SourceError: one has, named.
    """
    for directory in directories(root):
        if directory.links > most:
            raise SourceError(
                "a directory has too many subdirectories", member=path_of(root, directory), expected=most - 2,
                hint=_MORE_LINKS,
            )  # fmt: skip
        for name, child in (directory.children or {}).items():
            if child.links > most and child.children is None:
                raise SourceError("too many links", member=shown(name), expected=most, hint=_MORE_LINKS)


def prune(root: Node, exclude: Sequence[str], notices: Notices, *, skip_special: bool) -> Node:
    """Take out what a pattern of ``exclude`` names, and with ``skip_special`` devices, pipes and sockets.

    A pattern with a slash is compared with the whole path, one without with each name; ``*`` stands for slashes, too.
    With a directory goes what it holds.
    """
    used: set[str] = set()
    pending = [("", root)]
    while pending:
        prefix, directory = pending.pop()
        for name, child in list((directory.children or {}).items()):
            path = f"{prefix}/{os.fsdecode(name)}"
            found = next((each for each in exclude if _names(each, path)), None)
            special = skip_special and stat.S_IFMT(child.mode) not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)
            if found is None and not special:
                if child.children is not None:
                    pending.append((path, child))
                continue
            if found is None:
                notices.add("devices, pipes and sockets are left out", shown(os.fsencode(path)))
            else:
                used.add(found)
            for below in _occurrences(child):
                below.links -= 1
            del (directory.children or {})[name]
    for pattern in exclude:
        if pattern not in used:
            notices.add("a pattern of --exclude that names nothing", pattern)
    return finish(root)


def _names(pattern: str, path: str) -> bool:
    if "/" in pattern.strip("/"):
        return fnmatch.fnmatchcase(path.lstrip("/"), pattern.strip("/"))
    if pattern.startswith("/"):
        return fnmatch.fnmatchcase(path, pattern.rstrip("/")) and path.count("/") == 1
    return fnmatch.fnmatchcase(path.rpartition("/")[2], pattern.rstrip("/"))


def _occurrences(node: Node) -> Iterator[Node]:
    """``node`` and all below it; a file comes once for each of its names there."""
    pending = [node]
    while pending:
        found = pending.pop()
        yield found
        pending.extend((found.children or {}).values())


def paths(root: Node) -> Iterator[tuple[bytes, Node]]:
    """Every path below ``root`` with its node, hard links under each name; ``b"/"`` is the root itself."""
    yield b"/", root
    pending = [(b"", root)]
    while pending:
        prefix, directory = pending.pop()
        for name, child in (directory.children or {}).items():
            path = prefix + b"/" + name
            yield path, child
            if child.children is not None:
                pending.append((path, child))


def path_of(root: Node, wanted: Node) -> str:
    """A path of ``wanted``, for a message; the search is slow and only made when something is wrong."""
    return next((shown(path) for path, node in paths(root) if node is wanted), "?")
