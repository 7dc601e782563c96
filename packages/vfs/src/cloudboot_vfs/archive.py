"""Tar archives as sources: opened in whatever form they come, their files readable where they lie.

Plain archives are read in place; others are unpacked to a nameless temporary file first, since a file system is laid
out before it is filled.
"""

from __future__ import annotations

import bisect
import contextlib
import io
import itertools
import os
import stat
import tempfile
from typing import IO, TYPE_CHECKING, BinaryIO

from cloudboot_base import FileKindError, FileStorage, TruncatedError
from cloudboot_base.errors import naming_writes
from cloudboot_base.lightdata import dataclass
from cloudboot_base.storage import inherited, open_file
from cloudboot_disk_image import ContainerError, UnsupportedContainerError
from cloudboot_disk_image.compression import MAGIC_SIZE, decoder_for, decompressed

from .errors import SourceError
from .notices import Notices, shown
from .tarheader import DIRECTORY, LINK, REGULAR, SYMLINK, TarMember, TarReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from typing_extensions import Buffer

    from cloudboot_base import Storage

    _Folder: TypeAlias = "dict[str, _Node]"
    _Node: TypeAlias = "_Folder | _Link | MemberStorage"

_CHUNK = 1 << 20
_MOST_LINKS = 40
_MOST_NODES = 1 << 20


@contextlib.contextmanager
def open_tar(
    source: str | os.PathLike[str] | BinaryIO, notices: Notices | None = None, *, label: str | None = None
) -> Iterator[tuple[TarReader, int]]:
    """The members of a tar archive, and the descriptor of the file that holds their data, open inside.

    ``source`` may be compressed. A file object may be a pipe, and so may a descriptor that the process was started with
    and that ``source`` names (``/dev/fd/63``). ``notices`` is told what is left out; errors name ``label``.

    Raises:
        SourceError: not an archive, or a damaged one.
        FileKindError: the path names a pipe or a device.
        OSError: the archive cannot be read.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(source, str | os.PathLike):
            label = label or os.fspath(source)
            file: BinaryIO = stack.enter_context(os.fdopen(_opened(source), "rb"))
        else:
            label, file = label or str(getattr(source, "name", "archive")), source
        try:
            plain = _plain(file, stack)
        except ContainerError as error:
            raise SourceError(f"not a tar archive, or a damaged one: {error}", member=label) from error
        except UnsupportedContainerError as error:
            raise SourceError(error.message, member=label, hint=error.hint) from error
        yield TarReader(plain.fileno(), label, Notices() if notices is None else notices), plain.fileno()


def _opened(path: str | os.PathLike[str]) -> int:
    number = inherited(path)
    if number is not None and stat.S_ISFIFO(os.fstat(number).st_mode):
        return os.dup(number)
    try:
        return open_file(path)
    except FileKindError as error:
        error.hint = "a tar archive or a folder is needed; - reads an archive from stdin"
        raise


def _plain(file: BinaryIO, stack: contextlib.ExitStack) -> IO[bytes]:
    """``file`` if it is a plain archive on disk, otherwise its content in a temporary file."""
    stream: IO[bytes] = file
    if not _is_ordinary(file) or file.tell():
        stream = _spooled(iter(lambda: file.read(_CHUNK), b""), stack)
    head = stream.read(MAGIC_SIZE)
    stream.seek(0)
    make = decoder_for(head)
    return stream if make is None else _spooled(decompressed(stream, make), stack)


def _is_ordinary(file: BinaryIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except io.UnsupportedOperation:  # an archive in memory
        return False


def _spooled(pieces: Iterator[bytes], stack: contextlib.ExitStack) -> IO[bytes]:
    spool = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 -- the stack closes it
    with naming_writes(tempfile.gettempdir()):
        for piece in pieces:
            spool.write(piece)
        spool.flush()
    spool.seek(0)
    return spool


class MemberStorage:
    """The bytes of a file of an archive as a storage; the holes of a sparse one are zeros."""

    def __init__(self, archive: Storage, member: TarMember) -> None:
        self._archive, self._parts = archive, member.parts
        self.size = member.size

    def read_at(self, offset: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``offset``."""
        data = bytearray(size)
        self.readinto_at(offset, data)
        return bytes(data)

    def readinto_at(self, offset: int, buffer: Buffer) -> None:
        """Fill ``buffer`` from ``offset``."""
        view = memoryview(buffer).cast("B")
        end = offset + len(view)
        if offset < 0 or end > self.size:
            raise TruncatedError("the read passes the end of the file", offset=offset, expected=len(view))
        at = offset
        first = max(0, bisect.bisect_right(self._parts, offset, key=lambda part: part[0]) - 1)
        for start, length, place in itertools.islice(self._parts, first, None):
            if start >= end:
                break
            low, high = max(at, start), min(end, start + length)
            if low < high:
                view[at - offset : low - offset] = bytes(low - at)
                self._archive.readinto_at(place + low - start, view[low - offset : high - offset])
                at = high
        view[at - offset :] = bytes(end - at)


@dataclass(frozen=True, slots=True)
class _Link:
    target: list[str]
    is_absolute: bool
    member: str


class _Extracted:
    """What stands where once the members have been extracted one after another."""

    def __init__(self, archive: Storage) -> None:
        self._archive = archive
        self._root: _Folder = {}
        self._waiting: list[tuple[TarMember, _Folder, str]] = []

    def add(self, member: TarMember) -> None:
        name = shown(member.name)
        parts = _parts(member.name, name)
        if not parts:
            return
        parent = self._find([self._root], parts[:-1], name, make=True)[-1]
        if not isinstance(parent, dict):
            raise SourceError("its path goes through a file", member=name)
        there = parent.get(parts[-1])
        if member.kind == DIRECTORY:
            if not isinstance(there, dict):
                parent[parts[-1]] = {}
            return
        if isinstance(there, dict) and there:
            raise SourceError("a directory that is not empty has the name", member=name)
        if member.kind == SYMLINK:
            target = member.target.decode("utf-8", "surrogateescape")
            parent[parts[-1]] = _Link(_names(target), target.startswith("/"), name)
        elif member.kind == REGULAR or (member.kind == LINK and member.parts):
            parent[parts[-1]] = MemberStorage(self._archive, member)
        elif member.kind == LINK:
            if not self._link(member, parent, parts[-1]):
                self._waiting.append((member, parent, parts[-1]))
        else:
            raise SourceError("not a file, directory or link", member=name, actual=f"type {shown(member.kind)}")

    def _link(self, member: TarMember, parent: _Folder, last: str) -> bool:
        """Put the file that a hard link names into ``parent``; false if it is not there (yet)."""
        parts = _parts(member.target, shown(member.name))
        above = self._find([self._root], parts[:-1], shown(member.name))
        found = above[-1].get(parts[-1]) if parts and above and isinstance(above[-1], dict) else None
        if found is None or isinstance(found, dict):
            return False
        parent[last] = found
        return True

    def _find(self, trail: list[_Node], names: list[str], member: str, *, make: bool = False) -> list[_Node]:
        """The nodes from the root to the one that ``names`` lead to, links followed; empty if there is none."""
        pending, links = names[::-1], 0
        while pending:
            name, here = pending.pop(), trail[-1]
            if not isinstance(here, dict):
                return []
            if name == "..":
                trail = trail[:-1] or trail
                continue
            if make:
                here.setdefault(name, {})
            found = here.get(name)
            if found is None:
                return []
            if not isinstance(found, _Link):
                trail = [*trail, found]
                continue
            links += 1
            if links > _MOST_LINKS:
                raise SourceError("too many symbolic links", member=member)
            pending += found.target[::-1]
            trail = [self._root] if found.is_absolute else trail
        return trail

    def mapping(self) -> dict[str, Storage | None]:
        """Every path without its links: the content of a file, ``None`` for a directory."""
        for member, parent, last in self._waiting:
            if not self._link(member, parent, last):
                raise SourceError(
                    "a hard link to what is not a file of the archive",
                    member=shown(member.name), actual=shown(member.target),
                )  # fmt: skip
        found: dict[str, Storage | None] = {}
        pending: list[tuple[str, list[_Node], frozenset[int]]] = [("", [self._root], frozenset({id(self._root)}))]
        while pending:
            path, trail, above = pending.pop()
            folder = trail[-1]
            for name, child in folder.items() if isinstance(folder, dict) else ():
                inner = f"{path}/{name}"
                below = [*trail, child]
                if isinstance(child, _Link):
                    start: list[_Node] = [self._root] if child.is_absolute else trail
                    below = self._find(start, child.target, child.member)
                    if not below:
                        target = "/".join(child.target)
                        raise SourceError("a link to what is not in the archive", member=child.member, actual=target)
                node = below[-1]
                if not isinstance(node, dict):
                    found[inner] = None if isinstance(node, _Link) else node
                    continue
                if id(node) in above:
                    raise SourceError("a link leads back to a folder above it", member=inner)
                found[inner] = None
                if len(found) > _MOST_NODES:
                    raise SourceError("the links of the archive make too many files", member=inner)
                pending.append((inner, below, above | {id(node)}))
        return found


def without_links(reader: TarReader, fd: int) -> dict[str, Storage | None]:
    """What is at which path once the archive is extracted, for a file system that has no links.

    As with GNU tar and bsdtar the last member of a name wins. A hard link is a file of its own, a symbolic link is what
    it leads to within the archive. ``None`` stands for a directory; the contents are read from ``fd``.

    Raises:
        SourceError: a member that cannot be stored, named; or a damaged archive.
    """
    extracted = _Extracted(FileStorage(fd))
    for member in reader:
        extracted.add(member)
    return extracted.mapping()


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name not in ("", ".")]


def _parts(path: bytes, member: str) -> list[str]:
    try:
        parts = _names(path.decode())
    except UnicodeDecodeError:
        raise SourceError("the name is not UTF-8", member=member) from None
    if ".." in parts:
        raise SourceError("the path leaves the root", member=member)
    return parts
