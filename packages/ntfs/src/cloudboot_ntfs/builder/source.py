"""The tree that a volume is built from: a folder of the host, a tar archive, or a mapping of paths to members."""

from __future__ import annotations

import operator
import os
import stat
from typing import TYPE_CHECKING, BinaryIO

from cloudboot_base import Storage
from cloudboot_base.lightdata import dataclass, field
from cloudboot_ntfs.errors import PathError, SourceError
from cloudboot_ntfs.layout import names
from cloudboot_ntfs.layout.constants import MAX_NAME, SYSTEM_NAMES, FileAttribute, Namespace
from cloudboot_ntfs.layout.filename import namespace_of
from cloudboot_ntfs.layout.times import UNIX_EPOCH, from_unix_ns
from cloudboot_ntfs.reader.reparse import MAX_SIZE as MAX_REPARSE
from cloudboot_ntfs.upcase import units, upcase

from .content import Content, FileContent, HoleContent, MemoryContent, StorageContent

if TYPE_CHECKING:
    from collections.abc import Mapping

    #: A folder or a tar archive of the host, an open archive, or what stands at which path.
    Tree = str | os.PathLike[str] | BinaryIO | Mapping[str, "Member"]

#: Folders below one another.
MAX_DEPTH = 1024
#: The names in the root that are not the tree's to give, in upper case.
_SYSTEM_NAMES = frozenset(upcase(name) for name in SYSTEM_NAMES.values())
#: As a number: operators of enum.Flag are slow, and this is asked of every file several times.
_DIRECTORY = int(FileAttribute.DIRECTORY)
_READONLY = int(FileAttribute.READONLY)
_NAME = operator.attrgetter("name")
_SHOWN = 80  # characters of a target in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    mtime_ns: int = 0
    #: when it was made, read last, and its record changed last; by default ``mtime_ns``
    created_ns: int | None = None
    accessed_ns: int | None = None
    changed_ns: int | None = None
    #: file attributes of Windows (MS-FSCC 2.6), such as 2 for hidden; what follows from the kind is added
    attributes: int = 0
    #: SDDL; by default that of the options
    security: str | None = None
    #: data streams by name: bytes, files of the host, or storages
    streams: Mapping[str, bytes | os.PathLike[str] | Storage] = field(default_factory=dict, hash=False)
    #: the 8.3 name beside its own, such as ``PROGRA~1``
    short_name: str = ""


@dataclass(frozen=True, slots=True)
class File(_Facts):
    """A file: its bytes, the host's file that holds them, or a storage."""

    data: bytes | os.PathLike[str] | Storage


@dataclass(frozen=True, slots=True)
class Directory(_Facts):
    """A directory; what it holds stands in the mapping under longer paths."""


@dataclass(frozen=True, slots=True)
class Symlink(_Facts):
    """A symbolic link; the target has ``/`` between its names, and an absolute one starts at the root of the volume."""

    target: str
    is_directory: bool = False


@dataclass(frozen=True, slots=True)
class Reparse(_Facts):
    """A file or directory with any reparse point: a junction, or a file that is compressed by WOF.

    The content of a file is a hole of ``size`` bytes, which is what Windows leaves of one that it compressed.
    """

    data: bytes
    size: int = 0
    is_directory: bool = False


@dataclass(frozen=True, slots=True)
class HardLink:
    """Another name of a file that stands in the mapping under ``path``."""

    path: str
    #: the 8.3 name beside it; only one name of a file has one
    short_name: str = ""


Member = bytes | os.PathLike[str] | Storage | File | Directory | Symlink | Reparse | HardLink


@dataclass(slots=True, eq=False)
class Node:
    """A file or directory to be written. Times are FILETIMEs."""

    children: dict[str, Node] | None = None
    content: Content | None = None
    modified: int = UNIX_EPOCH
    created: int | None = None  #: as ``modified`` where it is ``None``, and so the two that follow
    accessed: int | None = None
    changed: int | None = None
    attributes: int = 0
    security: str | None = None
    streams: dict[str, Content] = field(default_factory=dict)
    link: str | None = None
    reparse: bytes = b""
    link_count: int = 1
    short_names: dict[str, str] | None = None  #: of a directory: 8.3 names by the names that they stand beside

    @property
    def times(self) -> tuple[int, int, int, int]:
        """When it was made, modified, changed and read."""
        modified, created, changed, accessed = self.modified, self.created, self.changed, self.accessed
        return (
            modified if created is None else created,
            modified,
            modified if changed is None else changed,
            modified if accessed is None else accessed,
        )

    @property
    def is_directory(self) -> bool:
        """Whether its record is that of a directory; a link to one is, too."""
        return self.children is not None or bool(self.attributes & _DIRECTORY)


class TreeBuilder:
    """A tree that grows by paths; whatever would leave it or clash in it is refused by name."""

    def __init__(self, *, case_sensitive: bool = False, windows_names: bool = False) -> None:
        self.root = Node(children={})
        self._windows_names = windows_names
        self.foreign: list[str] = []  #: paths with names that Windows' own interface cannot open
        self._case_sensitive = case_sensitive
        self._folded: dict[int, dict[str, str]] = {}
        self.implied: set[int] = {id(self.root)}

    def add(self, path: str, node: Node, *, short_name: str = "") -> None:
        """Put ``node`` at ``path``; directories on the way that were not named are made.

        Raises:
            SourceError: a path that leaves the tree, goes through a file, or is taken.
        """
        parts = split(path)
        if not parts:
            self.merge(self.root, node, path)
            return
        parent = self.directory(parts[:-1], node, path)
        present = (parent.children or {}).get(parts[-1])
        if present is None:
            self._put(parent, parts[-1], node, path)
        else:
            self.merge(present, node, path)
        if short_name:
            self._put_short(parent, parts[-1], short_name, path)

    def link(self, path: str, target: str, *, short_name: str = "") -> None:
        """Put another name of the file at ``target`` at ``path``.

        Raises:
            SourceError: as :meth:`add`; or ``target`` is not there, or a directory.
        """
        node: Node | None = self.root
        for part in split(target):
            node = self.child(node, part) if node is not None and node.children is not None else None
        if node is None or node.is_directory:
            raise SourceError("a hard link to what is not a file before it", member=path, actual=target)
        parts = split(path)
        if not parts:
            raise SourceError("the root cannot be a hard link", member=path)
        parent = self.directory(parts[:-1], node, path)
        self._put(parent, parts[-1], node, path)
        node.link_count += 1
        if short_name:
            self._put_short(parent, parts[-1], short_name, path)

    def put(self, parent: Node, name: str, node: Node, path: str) -> None:
        """Put ``node`` into a directory of this tree; errors as :meth:`add`."""
        self._put(parent, name, node, path)

    def forget(self, node: Node) -> None:
        """Drop what is noted about a directory that leaves the tree: its identity may be another node's later."""
        self.implied.discard(id(node))
        self._folded.pop(id(node), None)

    def child(self, parent: Node, name: str) -> Node | None:
        """What has the name in a directory, by the rules of the volume."""
        children = parent.children or {}
        found = children.get(name)
        if found is not None or self._case_sensitive:
            return found
        own = self._folded.get(id(parent), {}).get(upcase(name))
        return None if own is None else children[own]

    def _put(self, parent: Node, name: str, node: Node, path: str) -> None:
        is_ordinary = names.is_ordinary(name)
        if not is_ordinary:
            check_name(name, path)
        if parent.children is None:
            raise SourceError("its path goes through a file or a link", member=path)
        upper = upcase(name)
        if parent is self.root and upper in _SYSTEM_NAMES:
            raise SourceError("the name of a file that the volume itself consists of", member=path, actual=name)
        folded = self._folded.setdefault(id(parent), {})
        other = name if name in parent.children else None if self._case_sensitive else folded.get(upper)
        if other is not None:
            raise SourceError("two names that Windows cannot tell apart", member=path, expected=other, actual=name)
        if not is_ordinary and not names.is_windows_name(name):
            if self._windows_names:
                raise SourceError("a name that Windows cannot open", member=path, actual=name)
            self.foreign.append(path)
        parent.children[name] = node
        folded[upper] = name

    def _put_short(self, parent: Node, name: str, short: str, path: str) -> None:
        """Note the 8.3 name of a child; a name that is the same but for its case needs none."""
        if namespace_of(short) != Namespace.WIN32_AND_DOS:
            raise SourceError("not an 8.3 name", member=path, actual=short)
        if upcase(short) == upcase(name):
            return
        folded = self._folded.setdefault(id(parent), {})
        other = folded.get(upcase(short))
        if other is not None:
            raise SourceError("an 8.3 name that is another file's", member=path, expected=other, actual=short)
        folded[upcase(short)] = name
        if parent.short_names is None:
            parent.short_names = {}
        parent.short_names[name] = short

    def directory(self, parts: list[str], like: Node, path: str) -> Node:
        """The directory at ``parts``; what is missing is made with the time of ``like``.

        Raises:
            SourceError: the path goes through a file or a link.
        """
        node = self.root
        for part in parts:
            if node.children is None:
                raise SourceError("its path goes through a file or a link", member=path)
            child = self.child(node, part)
            if child is None:
                child = Node(children={}, modified=like.modified)
                self.implied.add(id(child))
                self._put(node, part, child, path)
            node = child
        if node.children is None:
            raise SourceError("its path goes through a file or a link", member=path)
        return node

    def merge(self, present: Node, node: Node, path: str) -> None:
        """Give a directory that stands in the tree the facts and files of ``node``.

        Raises:
            SourceError: one of them is a file, or the directory was named before what it holds.
        """
        if present.children is None or node.children is None or (id(present) not in self.implied and present.children):
            raise SourceError("the name is there already", member=path)
        present.modified, present.attributes, present.security = node.modified, node.attributes, node.security
        present.created, present.accessed, present.changed = node.created, node.accessed, node.changed
        present.streams = node.streams
        self.implied.discard(id(present))
        for name, child in node.children.items():
            self._put(present, name, child, f"{path}/{name}")


def check_name(name: str, path: str) -> None:
    """Refuse a name that no directory can hold.

    Raises:
        SourceError: empty, ``.``, ``..``, too long, or with a slash or a zero.
    """
    try:
        names.require_name(name, path)
    except PathError as error:
        raise SourceError(str(error), member=path) from error


def split(path: str) -> list[str]:
    """The names of a path; ``.`` and empty ones count for nothing.

    Raises:
        SourceError: ``..``, or more names than folders may be below one another.
    """
    parts = names_of(path)
    if ".." in parts:
        raise SourceError("the path leaves the root", member=path)
    if len(parts) > MAX_DEPTH:
        raise SourceError("folders too deep below one another", member=path, expected=MAX_DEPTH)
    return parts


def names_of(path: str) -> list[str]:
    """The names of a path or a target, ``..`` among them; ``.`` and empty ones count for nothing."""
    return [part for part in path.split("/") if part not in ("", ".")]


def is_stream_name(name: str) -> bool:
    """Whether a data stream beside the content of a file can have the name."""
    return bool(name) and len(units(name)) <= MAX_NAME and not set(name) & set("/\\:\0")


def checked_target(target: str, path: str) -> str:
    """The target of the symbolic link at ``path``.

    Raises:
        SourceError: it is empty, too long, or holds a zero.
    """
    if not target or "\0" in target:
        raise SourceError("a target that no symbolic link can have", member=path, actual=ascii(target[:_SHOWN]))
    if 4 * len(target) > MAX_REPARSE:  # stored twice, in UTF-16
        raise SourceError(
            "the target of the link is too long", member=path, expected=f"at most {MAX_REPARSE // 4} characters",
            actual=len(target),
        )  # fmt: skip
    return target


def load_mapping(builder: TreeBuilder, tree: Mapping[str, Member]) -> None:
    """Put the members of a mapping of paths into ``builder``.

    Raises:
        SourceError: a member that cannot be stored.
        OSError: the host refuses.
    """
    links: list[tuple[str, HardLink]] = []
    for path, member in tree.items():
        if isinstance(member, HardLink):
            links.append((path, member))
        elif isinstance(member, os.PathLike) and os.path.isdir(member):
            folder = Node(children={})
            builder.add(path, folder)
            load_folder(builder, folder if split(path) else builder.root, os.fspath(member))
        else:
            short = member.short_name if isinstance(member, _Facts) else ""
            builder.add(path, _member_node(member, path), short_name=short)
    for path, link in links:
        builder.link(path, link.path, short_name=link.short_name)


def _member_node(member: bytes | os.PathLike[str] | Storage | File | Directory | Symlink | Reparse, path: str) -> Node:
    if not isinstance(member, File | Directory | Symlink | Reparse):
        member = File(member)
    if member.attributes & FileAttribute.ENCRYPTED:
        raise SourceError(
            "the attribute for encryption, without what EFS needs for it", member=path, actual=hex(member.attributes),
            hint="leave 0x4000 out; Windows encrypts a file when its attribute is set there",
        )  # fmt: skip
    node = Node(
        modified=from_unix_ns(member.mtime_ns),
        attributes=member.attributes,
        security=member.security,
        streams={name: _content(data) for name, data in member.streams.items()},
        created=_filetime(member.created_ns),
        accessed=_filetime(member.accessed_ns),
        changed=_filetime(member.changed_ns),
    )
    if isinstance(member, Directory):
        node.children = {}
    elif isinstance(member, Symlink):
        node.link = checked_target(member.target, path)
        if member.is_directory:
            node.attributes |= FileAttribute.DIRECTORY
    elif isinstance(member, Reparse):
        node.reparse = member.data
        if member.is_directory:
            node.attributes |= FileAttribute.DIRECTORY
        else:
            node.content = HoleContent(member.size)
    else:
        node.content = _content(member.data)
        if isinstance(member.data, os.PathLike) and not member.mtime_ns:
            node.modified = from_unix_ns(os.stat(member.data).st_mtime_ns)
    folded: dict[str, str] = {}
    for name in node.streams:
        if not is_stream_name(name):
            raise SourceError("not the name of a stream", member=path, actual=name)
        other = folded.setdefault(upcase(name), name)
        if other != name:
            raise SourceError("two streams that Windows cannot tell apart", member=path, expected=other, actual=name)
    return node


def _filetime(time_ns: int | None) -> int | None:
    return None if time_ns is None else from_unix_ns(time_ns)


def _content(data: bytes | os.PathLike[str] | Storage) -> Content:
    """What the bytes of a file or stream are read from.

    Raises:
        SourceError: not an ordinary file.
        OSError: the host refuses.
    """
    if isinstance(data, bytes):
        return MemoryContent(data)
    if isinstance(data, os.PathLike):
        host = os.fspath(data)
        return _host_content(host, os.stat(host))
    return StorageContent(data)


def _host_content(path: str, status: os.stat_result) -> FileContent:
    if not stat.S_ISREG(status.st_mode):
        raise SourceError("not an ordinary file", member=path, actual=stat.filemode(status.st_mode)[0])
    return FileContent(path, status.st_size, status.st_mtime_ns, has_holes=status.st_blocks * 512 < status.st_size)


def load_folder(builder: TreeBuilder, root: Node, host: str) -> None:
    """Put what a folder of the host holds into ``root``, in the order of the names. Links stay links.

    Raises:
        SourceError: devices, sockets, pipes; names that are not UTF-8.
        OSError: the host refuses.
    """
    root.modified = from_unix_ns(os.stat(host).st_mtime_ns)
    seen: dict[tuple[int, int], Node] = {}
    pending = [(root, host, "", 0)]
    while pending:
        parent, folder, inside, depth = pending.pop()
        if depth > MAX_DEPTH:
            raise SourceError("folders too deep below one another", member=folder, expected=MAX_DEPTH)
        with os.scandir(folder) as scanned:
            entries = sorted(scanned, key=_NAME)
        for entry in entries:
            name = entry.name
            path = f"{inside}/{name}"
            status = entry.stat(follow_symlinks=False)
            if status.st_nlink == 1:
                node = _host_node(entry.path, status)
            elif (linked := seen.get((status.st_dev, status.st_ino))) is not None:
                node = linked
                node.link_count += 1
            else:
                node = _host_node(entry.path, status)
                if node.children is None:
                    seen[status.st_dev, status.st_ino] = node
            if not name.isascii():
                _require_utf8(name, path)
            builder.put(parent, name, node, path)
            if node.children is not None:
                pending.append((node, entry.path, path, depth + 1))


def _require_utf8(name: str, path: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise SourceError("the name is not UTF-8", member=os.fsencode(path).decode("utf-8", "replace")) from None


def _host_node(path: str, status: os.stat_result) -> Node:
    mode = status.st_mode
    node = Node(modified=from_unix_ns(status.st_mtime_ns))
    if stat.S_ISDIR(mode):
        node.children = {}
    elif stat.S_ISLNK(mode):
        node.link = os.readlink(path)
        if status.st_nlink == 1 and os.path.isdir(path):  # a directory has one name
            node.attributes |= FileAttribute.DIRECTORY
    else:
        node.content = _host_content(path, status)
        if not mode & 0o222:
            node.attributes = _READONLY
    return node
