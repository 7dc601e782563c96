"""From a tar archive to a tree of nodes."""

from __future__ import annotations

import contextlib
import stat
from typing import TYPE_CHECKING, BinaryIO

from cloudboot_ufs2.errors import SourceError
from cloudboot_ufs2.layout.fileflags import parse_flags
from cloudboot_vfs import errors as vfs_errors
from cloudboot_vfs.archive import open_tar
from cloudboot_vfs.notices import Notices, shown
from cloudboot_vfs.tarheader import BLOCK_DEVICE, CHARACTER, DIRECTORY, FIFO, LINK, SYMLINK, TarMember, TarReader

from .content import SliceContent
from .mapping import TreeBuilder
from .node import Node, device_number
from .paxattr import attributes_of
from .source import symlink_node

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

_SPECIAL = {CHARACTER: stat.S_IFCHR, BLOCK_DEVICE: stat.S_IFBLK, FIFO: stat.S_IFIFO}


@contextlib.contextmanager
def open_archive(source: str | os.PathLike[str] | BinaryIO, notices: Notices | None = None) -> Iterator[Node]:
    """The tree of a tar archive, whose files stay readable inside; ``source`` may be compressed, and may be a pipe.

    As when GNU tar or bsdtar extract it, the last member of a name wins. ``notices`` is told what is left out.

    Raises:
        SourceError: a member that cannot be stored, named; or a damaged archive.
        OSError: the archive cannot be read.
    """
    notices = Notices() if notices is None else notices
    with contextlib.ExitStack() as stack:
        try:
            reader, fd = stack.enter_context(open_tar(source, notices))
            root = _read(reader, fd, notices)
        except vfs_errors.SourceError as error:
            raise SourceError(
                error.reason, member=error.member, expected=error.expected, actual=error.actual, hint=error.hint
            ) from error
        yield root


def _read(reader: TarReader, fd: int, notices: Notices) -> Node:
    tree = TreeBuilder(notices=notices)
    empty = True
    for member in reader:
        _add(tree, member, fd, notices)
        empty = False
    if empty:
        notices.add("the archive is empty", reader.label)
    return tree.finish()


def _add(tree: TreeBuilder, member: TarMember, fd: int, notices: Notices) -> None:
    name = shown(member.name)
    if member.kind == LINK:
        content = SliceContent(fd, member.parts, name) if member.parts else None
        tree.link(member.name, member.target, _file(member, content) if content is not None else None)
        return
    if member.kind == SYMLINK:
        node = symlink_node(
            member.target, name, uid=member.uid, gid=member.gid, mtime_ns=member.mtime_ns, mode=member.mode
        )
    elif member.kind == DIRECTORY:
        node = Node(stat.S_IFDIR | member.mode, member.uid, member.gid, member.mtime_ns, children={})
    elif member.kind in _SPECIAL:
        mode = _SPECIAL[member.kind] | member.mode
        node = Node(mode, member.uid, member.gid, member.mtime_ns, device=device_number(*member.device))
    else:
        node = _file(member, SliceContent(fd, member.parts, name))
    node.attributes = attributes_of(member.records, name, notices)
    _add_rest(node, member, notices)
    tree.add(member.name, node)


def _file(member: TarMember, content: SliceContent) -> Node:
    node = Node(stat.S_IFREG | member.mode, member.uid, member.gid, member.mtime_ns, member.size, content)
    node.sparse = sum(length for _, length, _ in member.parts) < member.size
    return node


def _add_rest(node: Node, member: TarMember, notices: Notices) -> None:
    """The flags of FreeBSD, and what is not kept."""
    name = shown(member.name)
    text = member.records.get(b"SCHILY.fflags")
    if text:
        node.flags, unknown = parse_flags(shown(text))
        if unknown:
            notices.add(f"file flags that FreeBSD does not have are left out ({','.join(unknown)})", name)
    if any(key.startswith(b"SCHILY.acl.") and value for key, value in member.records.items()):
        notices.add("access control lists are left out; as system.posix1e attributes they are kept", name)
