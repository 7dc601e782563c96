"""What differs between two file systems, or between one and a folder of the host."""

from __future__ import annotations

import dataclasses
import os
import stat
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from cloudboot_ufs2.reader.reader import UFS2
    from cloudboot_vfs import Stat

_CHUNK = 1 << 20
FIELDS = ("type", "mode", "owner", "mtime", "size", "content", "target", "links", "xattrs")


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which two trees differ; ``None`` on the side where the path is missing."""

    path: str
    field: str  #: ``"path"`` if only one side has it, or one of :data:`FIELDS`
    left: object
    right: object


class _Readable(Protocol):
    def readinto(self, buffer: bytearray, /) -> int | None: ...

    def close(self) -> None: ...


class _Tree(Protocol):
    """A tree whose paths can be listed, described and read."""

    def paths(self) -> Iterator[tuple[str, os.stat_result | Stat]]: ...

    def target(self, path: str) -> bytes: ...

    def open(self, path: str) -> _Readable: ...

    def attributes(self, path: str) -> dict[str, bytes] | None: ...


class _VolumeTree:
    def __init__(self, volume: UFS2) -> None:
        self._volume = volume

    def paths(self) -> Iterator[tuple[str, Stat]]:
        for _, directories, others in self._volume.walk():
            for entry in [*directories, *others]:
                yield entry.path, self._volume.stat_inode(entry.inode)

    def target(self, path: str) -> bytes:
        return self._volume.link_target(self._volume.find(path, follow_symlinks=False))

    def open(self, path: str) -> _Readable:
        return self._volume.open_file(path)

    def attributes(self, path: str) -> dict[str, bytes] | None:
        found = self._volume.attributes(path, follow_symlinks=False)
        return {attribute.full_name: attribute.value for attribute in found}


class _FolderTree:
    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = os.fspath(folder)

    def paths(self) -> Iterator[tuple[str, os.stat_result]]:
        pending = [""]
        while pending:
            path = pending.pop()
            with os.scandir(self._host(path)) as entries:
                for entry in entries:
                    below = f"{path}/{entry.name}"
                    yield below, entry.stat(follow_symlinks=False)
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(below)

    def _host(self, path: str) -> str:
        return os.path.join(self._folder, path.lstrip("/"))

    def target(self, path: str) -> bytes:
        return os.fsencode(os.readlink(self._host(path)))

    def open(self, path: str) -> _Readable:
        return open(self._host(path), "rb", buffering=0)

    def attributes(self, path: str) -> dict[str, bytes] | None:  # noqa: ARG002 -- protocol
        """Nothing to compare: neither ``build`` nor ``get`` carries attributes between a folder and a volume."""
        return None


def compare(left: UFS2, right: UFS2 | str | os.PathLike[str], *, ignore: Collection[str] = ()) -> Iterator[Difference]:
    """The differences between two trees, sorted by path; ``ignore`` names :data:`FIELDS` that do not count.

    Directories are not compared in size, nor in the number of links, which on other file systems mean other things.

    Raises:
        Ufs2Error: a file system is damaged.
        OSError: the folder cannot be read.
    """
    ours: _Tree = _VolumeTree(left)
    theirs: _Tree = _FolderTree(right) if isinstance(right, str | os.PathLike) else _VolumeTree(right)
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
            yield Difference(path, "target", _text(ours.target(path)), _text(theirs.target(path)))
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
    if not stat.S_ISDIR(one.st_mode):
        yield "size", one.st_size, other.st_size
        yield "links", one.st_nlink, other.st_nlink


def _kind(status: os.stat_result | Stat | None) -> str | None:
    return None if status is None else stat.filemode(status.st_mode)[0]


def _text(target: bytes) -> str:
    return target.decode("utf-8", "surrogateescape")


def _first_difference(one: _Readable, other: _Readable) -> int | None:
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


def _fill(file: _Readable, buffer: bytearray) -> int:
    """Read until ``buffer`` is full or the file ends."""
    done = 0
    view = memoryview(buffer)
    while done < len(buffer):
        count = file.readinto(view[done:])  # type: ignore[arg-type] # a view will do
        if not count:
            break
        done += count
    return done
