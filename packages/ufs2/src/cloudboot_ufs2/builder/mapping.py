"""Trees put together member by member: from an archive, or from a mapping of paths in a program."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from cloudboot_ufs2.errors import SourceError
from cloudboot_vfs.notices import shown

from .content import FileContent, MemoryContent
from .members import Directory, Facts, File, HardLink, Special, Symlink
from .node import Node, device_number
from .paxattr import attributes_from
from .source import check_name, finish, read_tree, symlink_node

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudboot_vfs.notices import Notices

    from .members import Member, Stored

_MOST_LINKS = 40
_SPECIAL = {"char": stat.S_IFCHR, "block": stat.S_IFBLK, "fifo": stat.S_IFIFO, "socket": stat.S_IFSOCK}
_ID_LIMIT = 1 << 32
_TIME_LIMIT = 1 << 63


class TreeBuilder:
    """A tree that grows by paths; whatever would leave it, hide in it or clash with it is refused by name.

    With ``notices``, it grows as when an archive is extracted: the last member of a name wins, paths lead through
    symbolic links that stay within the tree, and a slash at the start of a path counts for nothing.
    """

    def __init__(self, *, notices: Notices | None = None) -> None:
        self.root = Node(stat.S_IFDIR | 0o755, 0, 0, 0, children={})
        self._notices = notices
        self._implied: set[int] = {id(self.root)}
        self._newest = 0
        self._links: list[tuple[bytes, bytes, Node | None]] = []

    def add(self, path: bytes, node: Node) -> None:
        """Put ``node`` at ``path``; directories on the way that were not named are made with mode 755.

        Raises:
            SourceError: a path that leaves the tree, goes through a file, or is taken.
        """
        member = shown(path)
        _check_attributes(node, member)
        self._newest = max(self._newest, node.mtime_ns)
        parts = self._split(path, member)
        if not parts:
            self._merge(self.root, node, member)
            return
        parent = self._directory(parts[:-1], node.mtime_ns, member)
        children = parent.children if parent.children is not None else {}
        present = children.get(parts[-1])
        if present is None:
            children[parts[-1]] = node
        elif self._notices is None or (present.children is not None and node.children is not None):
            self._merge(present, node, member)
        else:
            self._replace(children, parts[-1], node, member)

    def link(self, path: bytes, target: bytes, data: Node | None = None) -> None:
        """Put another name of the file at ``target`` at ``path``.

        A target may follow in an archive; for one that never does, ``data`` is used, the file that came with the link.

        Raises:
            SourceError: as :meth:`add`; or ``target`` is not there, or a directory.
        """
        if not self._link(path, target):
            if self._notices is None:
                raise SourceError(
                    "a hard link to what is not a file before it", member=shown(path), actual=shown(target)
                )
            self._links.append((path, target, data))

    def _link(self, path: bytes, target: bytes) -> bool:
        """Whether the file at ``target`` was there, and now has the name ``path`` too."""
        member = shown(path)
        names = self._split(target, member)
        above = self._find(names[:-1], member) if names else self.root
        node = (above.children or {}).get(names[-1]) if above is not None and names else above
        if node is None:
            return False
        if node.children is not None:
            raise SourceError("a hard link to a directory", member=member, actual=shown(target))
        parts = self._split(path, member)
        if not parts:
            raise SourceError("the root cannot be a hard link", member=member)
        parent = self._directory(parts[:-1], node.mtime_ns, member)
        children = parent.children if parent.children is not None else {}
        if children.get(parts[-1]) is node:
            return True
        node.links += 1
        if parts[-1] not in children:
            children[parts[-1]] = node
        elif self._notices is None:
            raise SourceError("the name is there already", member=member)
        else:
            self._replace(children, parts[-1], node, member)
        return True

    def finish(self) -> Node:
        """The tree, complete.

        Raises:
            SourceError: a hard link to what is nowhere.
        """
        self._make_late_links()
        if id(self.root) in self._implied:
            self.root.mtime_ns = self._newest
        return finish(self.root)

    def _make_late_links(self) -> None:
        waiting = self._links
        for _ in range(_MOST_LINKS):
            left = [each for each in waiting if not self._link(each[0], each[1])]
            if len(left) == len(waiting):
                left = [each for each in waiting if not self._late_file(*each)]
            if not left:
                return
            path, target, _ = left[0]
            if len(left) == len(waiting):
                raise SourceError("a hard link to what is not in the archive", member=shown(path), actual=shown(target))
            waiting = left
        raise SourceError(
            "too many hard links that lead to one another come before their file", member=shown(waiting[0][0])
        )

    def _late_file(self, path: bytes, target: bytes, data: Node | None) -> bool:
        """Whether a hard link could be made, or be the file that came with it."""
        if self._link(path, target):
            return True
        if data is not None:
            self.add(path, data)
        return data is not None

    def _split(self, path: bytes, member: str) -> list[bytes]:
        if self._notices is not None and path.startswith(b"/"):
            self._notices.add("a slash at the start of a path is left out", member)
            path = path.lstrip(b"/")
        return split(path, member)

    def _directory(self, parts: list[bytes], mtime_ns: int, member: str) -> Node:
        """The directory at ``parts``; what is missing is made."""
        node = self._find(parts, member, mtime_ns)
        if node is None or node.children is None:
            raise SourceError("its path goes through a file or a symbolic link", member=member)
        return node

    def _find(self, parts: list[bytes], member: str, mtime_ns: int | None = None) -> Node | None:
        """What is at ``parts``; directories that are missing are made with a time, if it is given."""
        trail = [self.root]
        pending = [(part, mtime_ns) for part in reversed(parts)]
        links = 0
        while pending:
            part, made = pending.pop()
            node = trail[-1]
            if part == b"..":
                trail = trail[:-1] or [self.root]
                continue
            if node.children is None:
                return None
            child = node.children.get(part)
            if child is None:
                if made is None:
                    return None
                child = Node(stat.S_IFDIR | 0o755, 0, 0, made, children={})
                self._implied.add(id(child))
                node.children[part] = child
            if stat.S_ISLNK(child.mode) and self._notices is not None and isinstance(child.content, MemoryContent):
                links += 1
                if links > _MOST_LINKS:
                    raise SourceError("its path goes through too many symbolic links", member=member)
                target = child.content.data
                if target.startswith(b"/"):
                    trail = [self.root]
                pending += [(each, None) for each in reversed(target.split(b"/")) if each not in (b"", b".")]
                continue
            trail.append(child)
        return trail[-1]

    def _replace(self, children: dict[bytes, Node], name: bytes, node: Node, member: str) -> None:
        """Let a member of an archive take the place of an earlier one, as extracting does it."""
        present = children[name]
        if present.children:
            raise SourceError("a directory that holds something has this name", member=member)
        present.links -= 1
        children[name] = node

    def _merge(self, present: Node, node: Node, member: str) -> None:
        """A directory may be named once after what it holds; in an archive again and again: the last time counts."""
        again = id(present) not in self._implied and present.children and self._notices is None
        if present.children is None or node.children is None or again:
            text = "a file cannot take the place of the root" if present is self.root else "the name is there already"
            raise SourceError(text, member=member)
        present.mode, present.uid, present.gid, present.mtime_ns = node.mode, node.uid, node.gid, node.mtime_ns
        present.attributes, present.flags = node.attributes, node.flags
        present.children.update(node.children)
        self._implied.discard(id(present))


def split(path: bytes, member: str) -> list[bytes]:
    """The names of a path; ``.`` and empty ones count for nothing. ``member`` is who asks, for the error.

    Raises:
        SourceError: an absolute path, ``..``, or a name no directory can hold.
    """
    if path.startswith(b"/"):
        raise SourceError("an absolute path", member=member)
    parts = [part for part in path.split(b"/") if part not in (b"", b".")]
    for part in parts:
        if part == b"..":
            raise SourceError("a path that holds '..'", member=member, actual=shown(path))
        check_name(part, member)
    return parts


def _check_attributes(node: Node, member: str) -> None:
    if not (0 <= node.uid < _ID_LIMIT and 0 <= node.gid < _ID_LIMIT):
        raise SourceError("the owner does not fit 32 bits", member=member, actual=f"{node.uid}:{node.gid}")
    if not -_TIME_LIMIT <= node.mtime_ns // 1_000_000_000 < _TIME_LIMIT:
        raise SourceError("the time does not fit 64 bits", member=member, actual=node.mtime_ns)


def read_mapping(mapping: Mapping[str, Member] | Mapping[bytes, Member]) -> Node:
    """The tree a mapping describes.

    A value is the bytes of a file, a path of the host (a file, or a folder with all it holds), or one of
    :class:`File`, :class:`Directory`, :class:`Symlink` and :class:`HardLink`.

    Raises:
        SourceError: a path or member that cannot be stored.
    """
    tree = TreeBuilder()
    links: list[tuple[bytes, bytes]] = []
    for key, member in mapping.items():
        path = os.fsencode(key)
        if isinstance(member, HardLink):
            links.append((path, os.fsencode(member.path)))
        else:
            tree.add(path, _member_node(member, shown(path)))
    for path, target in links:
        tree.link(path, target)
    return tree.finish()


def _member_node(member: Stored, name: str) -> Node:
    node = _plain_node(member, name)
    if isinstance(member, Facts) and member.xattrs:
        node.attributes = attributes_from(member.xattrs, name)
    return node


def _plain_node(member: Stored, name: str) -> Node:
    if isinstance(member, bytes):
        member = File(member)
    elif isinstance(member, os.PathLike):
        if os.path.isdir(member):
            return read_tree(member)
        status = os.stat(member)
        member = File(
            member, stat.S_IMODE(status.st_mode), uid=status.st_uid, gid=status.st_gid, mtime_ns=status.st_mtime_ns
        )
    if isinstance(member, Directory):
        mode = stat.S_IFDIR | stat.S_IMODE(member.mode)
        return Node(mode, member.uid, member.gid, member.mtime_ns, children={})
    if isinstance(member, Special):
        if member.kind not in _SPECIAL:
            raise SourceError("no such kind", member=name, expected=", ".join(_SPECIAL), actual=member.kind)
        device = device_number(member.major, member.minor)
        mode = _SPECIAL[member.kind] | stat.S_IMODE(member.mode)
        return Node(mode, member.uid, member.gid, member.mtime_ns, device=device)
    if isinstance(member, Symlink):
        return symlink_node(
            os.fsencode(member.target),
            name,
            uid=member.uid,
            gid=member.gid,
            mtime_ns=member.mtime_ns,
            mode=stat.S_IMODE(member.mode),
        )
    return _file_node(member)


def _file_node(member: File) -> Node:
    mode = stat.S_IFREG | stat.S_IMODE(member.mode)
    if isinstance(member.data, bytes):
        size = len(member.data)
        return Node(mode, member.uid, member.gid, member.mtime_ns, size, MemoryContent(member.data))
    path = os.fspath(member.data)
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise SourceError("not a regular file", member=path)
    sparse = status.st_blocks * 512 < status.st_size
    return Node(
        mode, member.uid, member.gid, member.mtime_ns, status.st_size, FileContent(os.fsencode(path)), sparse=sparse
    )
