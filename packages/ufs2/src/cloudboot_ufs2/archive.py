"""From a tar archive to a tree of nodes.

Plain archives are read where they lie; others are unpacked to a nameless temporary file first, since a file system is
laid out before it is filled.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tarfile
import tempfile
from typing import IO, TYPE_CHECKING, BinaryIO

from cloudboot_disk_image import ContainerError
from cloudboot_disk_image.compression import MAGIC_SIZE, decoder_for, decompressed

from .content import SliceContent
from .errors import SourceError
from .members import TreeBuilder
from .node import Node
from .paxattr import attributes_of
from .source import symlink_node

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 20
_KINDS = {
    tarfile.CHRTYPE: "a character device",
    tarfile.BLKTYPE: "a block device",
    tarfile.FIFOTYPE: "a named pipe",
    tarfile.CONTTYPE: "a contiguous file",
}
_DAMAGE = (tarfile.TarError, ContainerError, ValueError, OverflowError)


@contextlib.contextmanager
def open_archive(source: str | os.PathLike[str] | BinaryIO) -> Iterator[Node]:
    """The tree of a tar archive, whose files stay readable inside; ``source`` may be compressed, and may be a pipe.

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
            root = _read(_plain(file, stack), label)
        except _DAMAGE as error:
            raise SourceError(f"not a tar archive, or a damaged one: {error}", member=label) from error
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


def _read(file: IO[bytes], label: str) -> Node:
    tree = TreeBuilder()
    with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as archive:
        size = os.fstat(file.fileno()).st_size
        while (member := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined] # the list of all members is only ever in the way
            _add(tree, member, file.fileno(), size)
        # tarfile takes anything it cannot parse for the end of the archive.
        if any(os.pread(file.fileno(), tarfile.BLOCKSIZE, archive.offset)) or archive.offset >= size:
            raise SourceError("a damaged archive, or one that was cut short", member=label)
    if not tree.root.children:
        raise SourceError("the archive is empty", member=label)
    return tree.finish()


def _add(tree: TreeBuilder, member: tarfile.TarInfo, fd: int, archive_size: int) -> None:
    path = member.name.encode("utf-8", "surrogateescape")
    mode = stat.S_IMODE(member.mode & 0o7777)
    mtime_ns = _mtime_ns(member)
    if member.type in _KINDS:
        raise SourceError(f"{_KINDS[member.type]} cannot be stored", member=member.name)
    if member.isdir():
        node = Node(stat.S_IFDIR | mode, member.uid, member.gid, mtime_ns, children={})
    elif member.islnk():
        tree.link(path, member.linkname.encode("utf-8", "surrogateescape"))
        return
    elif member.issym():
        target = member.linkname.encode("utf-8", "surrogateescape")
        node = symlink_node(target, member.name, uid=member.uid, gid=member.gid, mtime_ns=mtime_ns, mode=mode)
    elif member.isreg():
        if path.endswith(b"/"):
            raise SourceError("a file whose name ends in a slash", member=member.name)
        parts = _parts(member, archive_size)
        content = SliceContent(fd, parts, member.name)
        node = Node(stat.S_IFREG | mode, member.uid, member.gid, mtime_ns, member.size, content)
        node.sparse = sum(length for _, length, _ in parts) < member.size
    else:
        raise SourceError(f"a member of unknown type {member.type!r}", member=member.name)
    node.attributes = attributes_of(member.pax_headers, member.name)
    tree.add(path, node)


def _parts(member: tarfile.TarInfo, archive_size: int) -> list[tuple[int, int, int]]:
    """Where the bytes of a member lie in the archive: in one piece, or as its map of a sparse file says."""
    sparse: list[tuple[int, int]] = getattr(member, "sparse", None) or [(0, member.size)]
    parts, position, end = [], member.offset_data, 0
    for start, length in sparse:
        if length == 0:
            continue  # an unused slot of a GNU header
        if length < 0 or start < end or start + length > member.size or position + length > archive_size:
            raise SourceError("its data leaves the archive", member=member.name)
        parts.append((start, length, position))
        position, end = position + length, start + length
    return parts


def _mtime_ns(member: tarfile.TarInfo) -> int:
    """The time in nanoseconds; a pax header holds it in decimal, which a float would round."""
    text = member.pax_headers.get("mtime")
    if text is None:
        return int(member.mtime) * 1_000_000_000
    whole, _, fraction = text.partition(".")
    nanoseconds = int(fraction[:9].ljust(9, "0")) if fraction else 0
    sign = -1 if whole.startswith("-") else 1
    return int(whole) * 1_000_000_000 + sign * nanoseconds
