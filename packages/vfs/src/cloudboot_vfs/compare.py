"""What differs between two file systems, or between one and a folder of the host."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Protocol, cast

from cloudboot_base.lightdata import asdict, dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from .entry import Stat
    from .protocol import FileSystem

_CHUNK = 1 << 20
FIELDS = ("type", "mode", "owner", "mtime", "size", "content", "target", "links", "xattrs")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which two trees differ; ``None`` on the side where the path is missing."""

    path: str
    field: str  #: ``"path"`` if only one side has it, or one of :data:`FIELDS`
    left: object
    right: object


class Readable(Protocol):
    """An open file, as far as it is compared."""

    def readinto(self, buffer: bytearray, /) -> int | None:
        """Read as much as fits and is there; 0 at the end."""

    def close(self) -> None:
        """Close the file."""


class Tree(Protocol):
    """A tree whose paths can be listed, described and read."""

    def paths(self) -> Iterator[tuple[str, os.stat_result | Stat]]:
        """Every path with its facts."""

    def target(self, path: str) -> str:
        """The target of a symbolic link."""

    def open(self, path: str) -> Readable:
        """A file to read it."""

    def attributes(self, path: str) -> dict[str, bytes] | None:
        """Extended attributes by name; ``None`` where there are none to compare."""


class VolumeTree:
    """The tree of a file system."""

    def __init__(self, volume: FileSystem) -> None:
        self._volume = volume

    def paths(self) -> Iterator[tuple[str, Stat]]:
        """Every path with its facts."""
        for _, directories, others in self._volume.walk():
            for entry in [*directories, *others]:
                yield entry.path, self._volume.stat_inode(entry.inode)

    def target(self, path: str) -> str:
        """The target of a symbolic link."""
        return self._volume.readlink(path)

    def open(self, path: str) -> Readable:
        """A file to read it."""
        return cast("Readable", self._volume.open_file(path))

    def attributes(self, path: str) -> dict[str, bytes] | None:  # noqa: ARG002 -- protocol
        """None: the protocol of file systems knows nothing of them."""
        return None


class FolderTree:
    """The tree of a folder of the host; with ``follow`` what its links lead to is in their place."""

    def __init__(self, folder: str | os.PathLike[str], *, follow: bool = False) -> None:
        self._folder, self._follow = os.fspath(folder), follow

    def paths(self) -> Iterator[tuple[str, os.stat_result]]:
        """Every path with its facts."""
        pending = [""]
        while pending:
            path = pending.pop()
            with os.scandir(self._host(path)) as entries:
                for entry in entries:
                    below = f"{path}/{entry.name}"
                    yield below, entry.stat(follow_symlinks=self._follow)
                    if entry.is_dir(follow_symlinks=self._follow):
                        pending.append(below)

    def _host(self, path: str) -> str:
        return os.path.join(self._folder, path.lstrip("/"))

    def target(self, path: str) -> str:
        """The target of a symbolic link."""
        return os.readlink(self._host(path))

    def open(self, path: str) -> Readable:
        """A file to read it."""
        return open(self._host(path), "rb", buffering=0)

    def attributes(self, path: str) -> dict[str, bytes] | None:  # noqa: ARG002 -- protocol
        """Nothing to compare: neither ``build`` nor ``get`` carries attributes between a folder and a volume."""
        return None


def compare(ours: Tree, theirs: Tree, *, ignore: Collection[str] = ()) -> Iterator[Difference]:
    """The differences between two trees, sorted by path; ``ignore`` names :data:`FIELDS` that do not count.

    Directories are not compared in size, nor in the number of links, which on other file systems mean other things.

    Raises:
        FormatError: a file system is damaged.
        OSError: a folder cannot be read.
    """
    first, second = dict(ours.paths()), dict(theirs.paths())
    for path in sorted(first.keys() | second.keys()):
        one, other = first.get(path), second.get(path)
        if one is None or other is None:
            yield Difference(path, "path", _kind(one), _kind(other))
            continue
        for field, mine, yours in _fields(one, other):
            if mine != yours and field not in ignore:
                yield Difference(path, field, mine, yours)
        if "xattrs" not in ignore:
            yield from _attributes(path, ours.attributes(path), theirs.attributes(path))
        kind = stat.S_IFMT(one.st_mode)
        if kind != stat.S_IFMT(other.st_mode):
            continue
        if kind == stat.S_IFLNK and "target" not in ignore and ours.target(path) != theirs.target(path):
            yield Difference(path, "target", ours.target(path), theirs.target(path))
        elif kind == stat.S_IFREG and one.st_size == other.st_size and "content" not in ignore:
            place = _first_difference(ours.open(path), theirs.open(path))
            if place is not None:
                yield Difference(path, "content", f"differs from byte {place} on", None)


def _attributes(path: str, mine: dict[str, bytes] | None, yours: dict[str, bytes] | None) -> Iterator[Difference]:
    if mine is None or yours is None:
        return
    for name in sorted(mine.keys() | yours.keys()):
        if mine.get(name) != yours.get(name):
            yield Difference(path, "xattrs", _shown(name, mine), _shown(name, yours))


def _shown(name: str, attributes: dict[str, bytes]) -> str | None:
    return f"{name}={attributes[name]!r:.60}" if name in attributes else None


def _fields(one: os.stat_result | Stat, other: os.stat_result | Stat) -> Iterator[tuple[str, object, object]]:
    yield "type", _kind(one), _kind(other)
    yield "mode", f"{stat.S_IMODE(one.st_mode):04o}", f"{stat.S_IMODE(other.st_mode):04o}"
    yield "owner", f"{one.st_uid}:{one.st_gid}", f"{other.st_uid}:{other.st_gid}"
    yield "mtime", one.st_mtime_ns, other.st_mtime_ns
    if not stat.S_ISDIR(one.st_mode) and not stat.S_ISDIR(other.st_mode):
        yield "size", one.st_size, other.st_size
        yield "links", one.st_nlink, other.st_nlink


def _kind(status: os.stat_result | Stat | None) -> str | None:
    return None if status is None else stat.filemode(status.st_mode)[0]


def _first_difference(one: Readable, other: Readable) -> int | None:
    """The first byte in which two files of one size differ."""
    mine, yours = bytearray(_CHUNK), bytearray(_CHUNK)
    position = 0
    try:
        while count := _fill(one, mine):
            if _fill(other, yours) != count or mine[:count] != yours[:count]:
                same = next((index for index in range(count) if mine[index] != yours[index]), count)
                return position + same
            position += count
        return None
    finally:
        one.close()
        other.close()


def _fill(file: Readable, buffer: bytearray) -> int:
    """Read until ``buffer`` is full or the file ends."""
    done = 0
    view = memoryview(buffer)
    while done < len(buffer):
        count = file.readinto(view[done:])  # type: ignore[arg-type] # a view will do
        if not count:
            break
        done += count
    return done


def print_differences(
    differences: Sequence[Difference], image: str, other: str, *, as_json: bool, shown: Callable[[str], str] = str
) -> int:
    """Print what a comparison of ``image`` with ``other`` found; gives the exit code, also if the reader goes away.

    ``shown`` makes the text of a path in JSON.
    """
    from cloudboot_base.command import (  # for programs only
        CHECK_FAILED,
        OK,
        ignoring_broken_pipe,
        print_json,
        printable,
    )

    with ignoring_broken_pipe():
        if as_json:
            print_json([{**asdict(each), "path": shown(each.path)} for each in differences])
        for each in [] if as_json else differences:
            if each.field == "path":
                text = f"only in {other if each.left is None else image}"
            else:
                text = f"{each.field}: {each.left}" + ("" if each.right is None else f", {each.right}")
            print(printable(f"{each.path}: {text}"))
    return CHECK_FAILED if differences else OK
