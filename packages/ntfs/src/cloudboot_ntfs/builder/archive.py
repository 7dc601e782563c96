"""From a tar archive to a tree of nodes: what extracting it member by member leaves."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, BinaryIO

from cloudboot_base import FileStorage
from cloudboot_ntfs.errors import SourceError
from cloudboot_ntfs.layout.constants import FileAttribute
from cloudboot_ntfs.layout.times import from_unix_ns
from cloudboot_ntfs.upcase import upcase
from cloudboot_vfs import errors as vfs
from cloudboot_vfs.archive import MemberStorage, open_tar
from cloudboot_vfs.notices import Notices, shown
from cloudboot_vfs.paxattr import attributes_of
from cloudboot_vfs.tarheader import DIRECTORY, LINK, REGULAR, SYMLINK, TarMember, pax_time

from .content import MemoryContent, StorageContent
from .source import MAX_DEPTH, Node, TreeBuilder, checked_target, is_stream_name, names_of, split

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from cloudboot_base import Storage

_MOST_LINKS = 40
_LARGEST = 1 << 62  # bytes of a file: sizes and cluster numbers are signed 64-bit values


@contextlib.contextmanager
def opened_archive(
    source: str | os.PathLike[str] | BinaryIO,
    notices: Notices,
    *,
    case_sensitive: bool = False,
    windows_names: bool = False,
) -> Iterator[TreeBuilder]:
    """The tree of a tar archive, whose files can be read inside; ``source`` may be compressed, and may be a pipe.

    As when GNU tar or bsdtar extract it, the last member of a name wins. ``notices`` is told what is left out.

    Raises:
        SourceError: a member that cannot be stored, named; or a damaged archive.
        FileKindError: the path names a pipe or a device.
        OSError: the archive cannot be read.
    """
    tree = ArchiveTree(notices, case_sensitive=case_sensitive, windows_names=windows_names)
    with contextlib.ExitStack() as stack:
        try:
            reader, fd = stack.enter_context(open_tar(source, notices))
            storage, empty = FileStorage(fd), True
            for member in reader:
                _add(tree, member, storage, notices)
                empty = False
            tree.finish()
        except vfs.SourceError as error:
            if isinstance(error, SourceError):
                raise
            raise SourceError(
                error.reason, member=error.member, expected=error.expected, actual=error.actual, hint=error.hint
            ) from error
        if empty:
            notices.add("the archive is empty", reader.label)
        yield tree


class MemberContent(StorageContent):
    """A file of a tar archive; the holes of a sparse one stay holes."""

    def __init__(self, archive: Storage, member: TarMember) -> None:
        whole = [(0, member.size)] if member.size else []
        self._ranges = [(start, length) for start, length, _ in member.parts]
        self._has_holes = self._ranges != whole
        if self._has_holes:
            super().__init__(MemberStorage(archive, member))
        else:
            super().__init__(archive, member.parts[0][2] if member.parts else 0, member.size)

    def data_ranges(self) -> list[tuple[int, int]] | None:
        """The parts of a sparse file."""
        return self._ranges if self._has_holes else None


class ArchiveTree(TreeBuilder):
    """A tree that grows as when an archive is extracted.

    The last member of a name wins, paths lead through symbolic links that stay within the tree, and a slash at the
    start of a path counts for nothing. Two names that differ only in case are refused, as in every tree.
    """

    def __init__(self, notices: Notices, *, case_sensitive: bool = False, windows_names: bool = False) -> None:
        super().__init__(case_sensitive=case_sensitive, windows_names=windows_names)
        self._notices = notices
        self._links: list[tuple[str, str, Node | None]] = []

    def extract(self, path: str, node: Node) -> None:
        """Put ``node`` at ``path``, in the place of what is there.

        Raises:
            SourceError: a path that leaves the tree or goes through a file, or a name that is taken by a directory that
                is not empty or by a name that differs only in case.
        """
        parts = self._split(path)
        if not parts:
            if node.children is None:
                raise SourceError("a file cannot take the place of the root", member=path)
            self._update(self.root, node, path)
            return
        parent = self.directory(parts[:-1], node, path)
        present = (parent.children or {}).get(parts[-1])
        if present is not None and present.children is not None and node.children is not None:
            self._update(present, node, path)
        else:
            self._replace(parent, parts[-1], node, path)

    def extract_link(self, path: str, target: str, data: Node | None) -> None:
        """Put another name of the file at ``target`` at ``path``.

        A target may follow in the archive; for one that never does, ``data`` is used, the file that came with the link.

        Raises:
            SourceError: as :meth:`extract`; or ``target`` is a directory.
        """
        if not self._link(path, target):
            self._links.append((path, target, data))

    def finish(self) -> None:
        """Make the hard links whose targets came late, and mark the symbolic links that lead to directories.

        Raises:
            SourceError: a hard link to what is not in the archive.
        """
        self._make_late_links()
        pending = [[self.root]]
        while pending:
            trail = pending.pop()
            for child in (trail[-1].children or {}).values():
                if child.children is not None:
                    pending.append([*trail, child])
                elif child.link is not None and child.link_count == 1:  # a directory has one name
                    found = self._follow(trail, child.link)
                    if found and found[-1].children is not None:
                        child.attributes |= FileAttribute.DIRECTORY

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
                raise SourceError("a hard link to what is not in the archive", member=path, actual=target)
            waiting = left
        raise SourceError("too many hard links that lead to one another come before their file", member=waiting[0][0])

    def _late_file(self, path: str, target: str, data: Node | None) -> bool:
        """Whether a hard link could be made, or be the file that came with it."""
        if self._link(path, target):
            return True
        if data is not None:
            self.extract(path, data)
        return data is not None

    def directory(self, parts: list[str], like: Node, path: str) -> Node:
        """The directory at ``parts``, links followed; what is missing is made.

        Raises:
            SourceError: the path goes through a file or a link that leads nowhere.
        """
        found = self._find([self.root], parts, like, path)
        if not found or found[-1].children is None:
            raise SourceError("its path goes through a file or a link", member=path)
        return found[-1]

    def _split(self, path: str) -> list[str]:
        if path.startswith("/"):
            self._notices.add("a slash at the start of a path is left out", path)
        return split(path)

    def _link(self, path: str, target: str) -> bool:
        """Whether the file at ``target`` was there, and now has the name ``path`` too."""
        names = self._split(target)
        above = self._find([self.root], names[:-1])
        node = self.child(above[-1], names[-1]) if above and names else self.root if not names else None
        if node is None:
            return False
        if node.children is not None:
            raise SourceError("a hard link to a directory", member=path, actual=target)
        parts = self._split(path)
        if not parts:
            raise SourceError("the root cannot be a hard link", member=path)
        parent = self.directory(parts[:-1], node, path)
        if (parent.children or {}).get(parts[-1]) is not node:
            node.link_count += 1
            self._replace(parent, parts[-1], node, path)
        return True

    def _follow(self, trail: list[Node], target: str) -> list[Node]:
        return self._find([self.root] if target.startswith("/") else trail, names_of(target))

    def _find(self, trail: list[Node], names: list[str], like: Node | None = None, path: str = "") -> list[Node]:
        """The nodes from the root to the one that ``names`` lead to from ``trail``, links followed; empty for none.

        Directories of ``names`` that are missing are made with the time of ``like``, if it is given.
        """
        pending, links = [(name, like) for name in reversed(names)], 0
        while pending:
            name, made = pending.pop()
            if name == "..":
                trail = trail[:-1] or trail
                continue
            child = self.child(trail[-1], name)
            if child is None:
                if made is None or trail[-1].children is None:
                    return []
                child = Node(children={}, modified=made.modified)
                self.implied.add(id(child))
                self.put(trail[-1], name, child, path)
            if child.link is None:
                trail = [*trail, child]
                continue
            links += 1
            if links > _MOST_LINKS or len(trail) > MAX_DEPTH:
                return []
            trail = [self.root] if child.link.startswith("/") else trail
            pending += [(each, None) for each in reversed(names_of(child.link))]
        return trail

    def _update(self, present: Node, node: Node, path: str) -> None:
        """A directory may be named again and again; the last time counts."""
        self.implied.add(id(present))
        self.merge(present, node, path)

    def _replace(self, parent: Node, name: str, node: Node, path: str) -> None:
        """Put ``node`` into ``parent``, in the place of a file or of an empty directory."""
        present = (parent.children or {}).get(name)
        if present is None or parent.children is None:
            self.put(parent, name, node, path)
            return
        if present.children:
            raise SourceError("a directory that holds something has this name", member=path)
        present.link_count -= 1
        self.forget(present)
        parent.children[name] = node


def _add(tree: ArchiveTree, member: TarMember, storage: FileStorage, notices: Notices) -> None:
    path = _text(member.name, member)
    if member.size > _LARGEST:
        raise SourceError("larger than a file can be", member=path, expected=f"at most {_LARGEST}", actual=member.size)
    node = Node(modified=from_unix_ns(member.mtime_ns))
    if member.kind == DIRECTORY:
        node.children = {}
    elif member.kind == SYMLINK:
        node.link = checked_target(_text(member.target, member), path)
    elif member.kind == REGULAR or (member.kind == LINK and member.parts):
        node.content = MemberContent(storage, member)
        if not member.mode & 0o222:
            node.attributes |= FileAttribute.READONLY
    elif member.kind != LINK:
        raise SourceError("not a file, directory or link", member=path, actual=f"type {shown(member.kind)}")
    _add_records(node, member, notices)
    if member.kind == LINK:
        tree.extract_link(path, _text(member.target, member), node if member.parts else None)
    else:
        tree.extract(path, node)


def _add_records(node: Node, member: TarMember, notices: Notices) -> None:
    """Times and streams that pax records state, and notices of what is not kept."""
    name, records = shown(member.name), member.records
    if records.get(b"atime"):
        node.accessed = from_unix_ns(pax_time(records, b"atime", name))
    if records.get(b"ctime"):
        node.changed = from_unix_ns(pax_time(records, b"ctime", name))
    if records.get(b"LIBARCHIVE.creationtime"):
        node.created = from_unix_ns(pax_time(records, b"LIBARCHIVE.creationtime", name))
    for key, value in attributes_of(records, name).items():
        stream = key.removeprefix("user.")
        if stream != key and is_stream_name(stream):  # as ntfs-3g maps them
            if upcase(stream) in map(upcase, node.streams):
                notices.add(f"the extended attribute {ascii(key)[1:-1]} is left out: it differs in case only", name)
                continue
            node.streams[stream] = MemoryContent(value)
        else:
            notices.add(f"the extended attribute {ascii(key)[1:-1]} is left out: no data stream can be named so", name)
    if records.get(b"SCHILY.fflags"):
        notices.add("file flags are left out", name)
    if any(key.startswith(b"SCHILY.acl.") and value for key, value in records.items()):
        notices.add("access control lists are left out", name)


def _text(name: bytes, member: TarMember) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise SourceError("the name is not UTF-8", member=shown(member.name), actual=shown(name)) from None
