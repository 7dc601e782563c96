"""Copying a file or a tree out of a volume to the host."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

from cloudboot_base import followed, new_file
from cloudboot_base.lightdata import dataclass
from cloudboot_ntfs.errors import SourceError

if TYPE_CHECKING:
    from cloudboot_ntfs.reader.volume import NTFS

_PIECE = 1 << 20


@dataclass(slots=True)
class Copied:
    """What was copied. ``streams`` counts data streams beside the content, which the host has no place for."""

    files: int = 0
    directories: int = 0
    links: int = 0
    size: int = 0
    streams: int = 0


def copy_out(volume: NTFS, path: str, target: str | os.PathLike[str], *, force: bool = False) -> Copied:
    """Copy ``path`` with everything below it to ``target``, a name that is not there yet or, for a folder, may be.

    Links are copied as links. Times are kept. A file that is copied appears under its name when it is whole.

    Raises:
        FileExistsError: a file is there already, and ``force`` is false.
        SourceError: a name that the host cannot have, or one that would lead out of ``target``.
        OSError: the host refuses.
    """
    done = Copied()
    number = volume.find(path)
    if not stat.S_ISDIR(volume.stat_inode(number).st_mode):
        _copy_file(volume, number, followed(target), done, force=force)
        return done
    pending = [(number, os.fspath(target))]
    seen = {number}
    while pending:
        directory, folder = pending.pop()
        os.makedirs(folder, exist_ok=True)
        done.directories += 1
        for name, child in volume.children(directory).items():
            # A link on the host must not lead what is written below it somewhere else.
            place = _place(folder, name)
            if child.kind == stat.S_IFLNK:
                _copy_link(volume, child.number, place, done, force=force)
            elif child.kind == stat.S_IFDIR:
                if child.number in seen or os.path.islink(place):
                    raise SourceError("a directory that cannot be copied to its place", member=place)
                seen.add(child.number)
                pending.append((child.number, place))
            else:
                _copy_file(volume, child.number, place, done, force=force)
        times = volume.stat_inode(directory)
        os.utime(folder, ns=(times.st_atime_ns, times.st_mtime_ns))
    return done


def _place(folder: str, name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise SourceError("a name that is not Unicode", member=folder, actual=ascii(name)) from None
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise SourceError("a name that the host cannot have", member=folder, actual=name)
    return os.path.join(folder, name)


def _copy_file(volume: NTFS, number: int, place: str, done: Copied, *, force: bool) -> None:
    file = volume.open_inode(number)
    status = volume.stat_inode(number)
    with new_file(place, force=force) as fd:
        os.ftruncate(fd, file.size)
        for start in range(0, file.size, _PIECE):
            data = file.read_at(start, _PIECE)
            if data.count(0) != len(data):  # zeros stay holes
                os.pwrite(fd, data, start)
        os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))
    done.files += 1
    done.size += file.size
    done.streams += len(volume.stream_names(number)) - 1


def _copy_link(volume: NTFS, number: int, place: str, done: Copied, *, force: bool) -> None:
    if force and os.path.islink(place):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(place)
    os.symlink(volume.link_target(number), place)
    done.links += 1
