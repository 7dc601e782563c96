"""From a tar archive to a tree of nodes.

Plain archives are read where they lie; others are unpacked to a nameless temporary file first, since a file system is
laid out before it is filled.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from typing import IO, TYPE_CHECKING, BinaryIO

from cloudboot_disk_image import ContainerError, UnsupportedContainerError
from cloudboot_disk_image.compression import MAGIC_SIZE, decoder_for, decompressed
from cloudboot_ufs2.errors import SourceError
from cloudboot_ufs2.layout.fileflags import parse_flags

from .content import SliceContent
from .mapping import TreeBuilder
from .node import Node, device_number
from .notices import Notices
from .paxattr import attributes_of
from .source import shown, symlink_node
from .tarheader import BLOCK_DEVICE, CHARACTER, DIRECTORY, FIFO, LINK, SYMLINK, TarMember, TarReader

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 20
_SPECIAL = {CHARACTER: stat.S_IFCHR, BLOCK_DEVICE: stat.S_IFBLK, FIFO: stat.S_IFIFO}


@contextlib.contextmanager
def open_archive(source: str | os.PathLike[str] | BinaryIO, notices: Notices | None = None) -> Iterator[Node]:
    """The tree of a tar archive, whose files stay readable inside; ``source`` may be compressed, and may be a pipe.

    As when GNU tar or bsdtar extract it, the last member of a name wins. ``notices`` is told what is left out.

    Raises:
        SourceError: a member that cannot be stored, named; or a damaged archive.
        OSError: the archive cannot be read.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(source, str | os.PathLike):
            label = os.fspath(source)
            file: BinaryIO = stack.enter_context(open(source, "rb"))
        else:
            label, file = str(getattr(source, "name", "archive")), source
        try:
            root = _read(_plain(file, stack), label, Notices() if notices is None else notices)
        except ContainerError as error:
            raise SourceError(f"not a tar archive, or a damaged one: {error}", member=label) from error
        except UnsupportedContainerError as error:
            raise SourceError(error.message, member=label, hint=error.hint) from error
        yield root


def _plain(file: BinaryIO, stack: contextlib.ExitStack) -> IO[bytes]:
    """``file`` if it is a plain archive on disk, otherwise its content in a temporary file."""
    stream: IO[bytes] = file
    if not file.seekable() or file.tell() or not _has_descriptor(file):
        stream = _spooled(iter(lambda: file.read(_CHUNK), b""), stack)
    head = stream.read(MAGIC_SIZE)
    stream.seek(0)
    make = decoder_for(head)
    return stream if make is None else _spooled(decompressed(stream, make), stack)


def _has_descriptor(file: BinaryIO) -> bool:
    try:
        file.fileno()
    except OSError:  # io.UnsupportedOperation: an archive in memory
        return False
    return True


def _spooled(pieces: Iterator[bytes], stack: contextlib.ExitStack) -> IO[bytes]:
    spool = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 -- the stack closes it
    for piece in pieces:
        spool.write(piece)
    spool.flush()
    spool.seek(0)
    return spool


def _read(file: IO[bytes], label: str, notices: Notices) -> Node:
    tree = TreeBuilder(notices=notices)
    empty = True
    for member in TarReader(file.fileno(), label, notices):
        _add(tree, member, file.fileno(), notices)
        empty = False
    if empty:
        notices.add("the archive is empty", label)
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
