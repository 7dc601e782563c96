"""Files and folders of the host into a file system that is changed in place.

Everything is looked at and planned before the first change: what is in the way, what cannot be stored, and the space.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from cloudboot_base.lightdata import dataclass
from cloudboot_ufs2 import errors
from cloudboot_ufs2.layout.directory import directory_size
from cloudboot_ufs2.layout.names import encoded
from cloudboot_vfs.notices import shown

from .capacity import Need, Room, need_of, need_of_data, need_of_symlink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_vfs import Stat

    from .edit import WritableUFS2


@dataclass(slots=True)
class CopiedIn:
    """What was copied."""

    files: int = 0  #: regular files and symbolic links
    size: int = 0  #: bytes of regular files


@dataclass(frozen=True, slots=True)
class _Item:
    """Something of the host, where it is to be, and what is there now."""

    host: str
    path: str
    mode: int
    there: Stat | None

    def __fspath__(self) -> str:
        return self.host


def copy_in(
    volume: WritableUFS2,
    source: str | os.PathLike[str],
    path: str,
    *,
    force: bool = False,
    in_place: bool = False,
    owner: tuple[int, int] | None = None,
) -> CopiedIn:
    """Copy a file, a symbolic link, or a folder with all it holds, to ``path``.

    A file goes into ``path`` if that is a directory; a folder is merged with a directory that is there. Permissions and
    holes are kept. Each file is complete before it takes the place of what has its name; see
    :meth:`.WritableUFS2.write_file`.

    Args:
        volume: the file system.
        source: what to copy.
        path: what it is to be called.
        force: whether files and symbolic links that are in the way are replaced.
        in_place: whether files are cut and written into, which needs no space beside the old content, and loses that
            if anything fails.
        owner: the user and the group of what is made or replaced; by default 0:0, and the owner of what is replaced.

    Raises:
        FileExistsError: a name is taken and ``force`` was not given, or a directory is where a file is needed.
        NotADirectoryError: a file is where a directory is needed.
        SourceError: a device, a pipe or a socket.
        NoSpaceError: not all of it fits; nothing has been changed, and ``missing`` is the shortage in bytes.
        OSError: the host refuses.
    """
    with volume.lock:
        items = list(_items(volume, os.fspath(source), "/" + "/".join(name for name in path.split("/") if name)))
        _require_possible(items, force=force)
        if not in_place:
            _require_room(volume, items)
        done = CopiedIn()
        for item in items:
            if stat.S_ISDIR(item.mode):
                if item.there is None:
                    uid, gid = owner or (0, 0)
                    volume.mkdir(item.path, uid=uid, gid=gid)
                continue
            done.files += 1
            if stat.S_ISLNK(item.mode):
                uid, gid = owner or ((item.there.st_uid, item.there.st_gid) if item.there else (0, 0))
                volume.symlink(os.readlink(item.host), item.path, uid=uid, gid=gid, replace=force)
                continue
            done.size += volume.write_file(
                item.path, item, sparse=True, in_place=in_place, mode=item.mode & 0o7777, owner=owner
            )
        return done


def _items(volume: WritableUFS2, source: str, path: str) -> Iterator[_Item]:
    """What is to be copied, directories before what they hold."""
    mode = os.stat(source, follow_symlinks=False).st_mode
    if os.path.isdir(source):
        yield from _tree(volume, source, path)
        return
    there = _status(volume, path, follow=True)
    if there is not None and stat.S_ISDIR(there.st_mode):
        path = f"{path.rstrip('/')}/{os.path.basename(source)}"
    yield _Item(source, path, mode, _in_the_way(volume, path, mode))


def _tree(volume: WritableUFS2, source: str, path: str) -> Iterator[_Item]:
    made: set[str] = set()
    for folder, folders, names in os.walk(source, onerror=_refuse):
        below = os.path.relpath(folder, source)
        target = path if below == "." else f"{path.rstrip('/')}/{below}"
        if below == ".":
            for above in _missing_above(volume, target):
                made.add(above)
                yield _Item(folder, above, stat.S_IFDIR, None)
        there = None if os.path.dirname(target.rstrip("/")) in made else _status(volume, target, follow=True)
        if there is None:
            made.add(target.rstrip("/"))
        yield _Item(folder, target, stat.S_IFDIR, there)
        for name in sorted([each for each in folders if os.path.islink(os.path.join(folder, each))] + names):
            host, where = os.path.join(folder, name), f"{target.rstrip('/')}/{name}"
            mode = os.stat(host, follow_symlinks=False).st_mode
            yield _Item(host, where, mode, None if there is None else _in_the_way(volume, where, mode))
        folders.sort()


def _refuse(error: OSError) -> None:
    raise error


def _missing_above(volume: WritableUFS2, path: str) -> Iterator[str]:
    """The directories above ``path`` that are not there."""
    names = [name for name in path.split("/") if name]
    for count in range(1, len(names)):
        above = "/" + "/".join(names[:count])
        if not volume.exists(above):
            yield above


def _in_the_way(volume: WritableUFS2, path: str, mode: int) -> Stat | None:
    """What a file of the type in ``mode`` would replace: writing a regular file follows symbolic links."""
    found = _status(volume, path, follow=True) if stat.S_ISREG(mode) else None
    return _status(volume, path) if found is None else found


def _status(volume: WritableUFS2, path: str, *, follow: bool = False) -> Stat | None:
    """What has the name ``path``, be it a link that leads nowhere; ``None`` if the name is free."""
    try:
        return volume.stat(path, follow_symlinks=follow)
    except errors.FileNotFoundError:
        return None


def _require_possible(items: list[_Item], *, force: bool) -> None:
    """Refuse what is in the way, and what cannot be stored, before anything changes."""
    for item in items:
        if not (stat.S_ISREG(item.mode) or stat.S_ISDIR(item.mode) or stat.S_ISLNK(item.mode)):
            # Opening a pipe would wait for whoever writes to it.
            member = shown(os.fsencode(item.host))
            raise errors.SourceError("not a regular file, a folder or a symbolic link", member=member)
        if item.there is None:
            continue
        directory = stat.S_ISDIR(item.there.st_mode)
        if stat.S_ISDIR(item.mode):
            if not directory:
                raise errors.NotADirectoryError(f"{item.path}: a file is where a directory is needed")
        elif directory:
            raise errors.FileExistsError(f"{item.path}: a directory is where a file is needed")
        elif not force:
            raise errors.FileExistsError(f"{item.path}: the name is taken", hint="--force replaces it")


def _require_room(volume: WritableUFS2, items: list[_Item]) -> None:
    """Refuse everything if a part of it does not fit, counting what each replaced file gives back after its turn."""
    geometry, room = volume.geometry, Room(volume.space, volume.geometry)
    names: dict[str, list[int]] = {}
    for item in items:
        if item.there is None:
            parent, _, name = item.path.rstrip("/").rpartition("/")
            names.setdefault(parent or "/", []).append(len(encoded(name)))
    for parent, lengths in names.items():
        there = _status(volume, parent, follow=True)
        if there is None:
            continue
        before, after = need_of(geometry, there.st_size), need_of(geometry, volume.directory_size(parent, lengths))
        room.take(Need(after.blocks - before.blocks, max(0, after.tail - before.tail)))
    for item in items:
        there = item.there
        if stat.S_ISDIR(item.mode):
            if there is None:
                size = directory_size(names.get(item.path.rstrip("/") or "/", ()))
                room.take(need_of(geometry, size), inode=True)
        elif stat.S_ISLNK(item.mode):
            need = need_of_symlink(geometry, len(os.fsencode(os.readlink(item.host))))
            room.take(need, inode=True, replacing=there is not None)
            if there is not None and there.st_nlink == 1:
                room.give(there)
        else:
            kept = there is None or there.st_nlink > 1 or stat.S_ISLNK(there.st_mode)
            need = need_of_data(geometry, item, sparse=True)
            room.take(need, inode=kept, replacing=there is not None)
            if there is not None and not kept:
                room.give(there)
    room.require_all(hint="--in-place gives each old content up first" if any(item.there for item in items) else None)
