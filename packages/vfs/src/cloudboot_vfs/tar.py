"""A tree of a file system as a tar archive."""

from __future__ import annotations

import io
import stat
import tarfile
from typing import TYPE_CHECKING

from .errors import SourceError
from .paxattr import headers_of
from .sparsetar import content_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

    from .entry import DirEntry
    from .protocol import FileSystem


def write_tar(
    volume: FileSystem,
    target: BinaryIO,
    top: str = "/",
    *,
    attributes: Callable[[DirEntry], Mapping[str, bytes]] | None = None,
) -> int:
    """Write the tree below ``top`` as a pax archive, each directory sorted by name; gives the number of members.

    Modes, times, large holes, symbolic and hard links are kept, owners are root. ``attributes`` gives the extended
    attributes of an entry by their full names. The same volume gives the same bytes.

    Raises:
        SourceError: a name or a target that is not Unicode.
        FormatError: the file system is damaged.
        OSError: the host refuses.
    """
    known: dict[int, str] = {}
    count, prefix = 0, None
    with tarfile.open(
        fileobj=target, mode="w|", format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape"
    ) as archive:
        for folder, below, others in volume.walk(top):
            prefix = folder.rstrip("/") + "/" if prefix is None else prefix
            for entry in sorted([*below, *others], key=lambda each: each.name):
                member = _member(volume, entry, entry.path[len(prefix) :], known)
                if attributes is not None and member.type != tarfile.LNKTYPE:
                    member.pax_headers = {**member.pax_headers, **headers_of(attributes(entry))}
                _add(archive, volume, entry, member)
                count += 1
    return count


def _member(volume: FileSystem, entry: DirEntry, name: str, known: dict[int, str]) -> tarfile.TarInfo:
    status = volume.stat_inode(entry.inode)
    member = tarfile.TarInfo(name)
    member.mode = stat.S_IMODE(status.st_mode)
    member.mtime, rest = divmod(status.st_mtime_ns, 1_000_000_000)
    if rest:
        member.pax_headers = {"mtime": f"{member.mtime}.{rest:09d}".rstrip("0")}
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFDIR:
        member.type = tarfile.DIRTYPE
    elif kind == stat.S_IFLNK:
        member.type, member.linkname = tarfile.SYMTYPE, volume.readlink(entry.path)
    elif kind != stat.S_IFREG:
        raise SourceError("not a file, directory or link", member=name)
    elif entry.inode in known:
        member.type, member.linkname = tarfile.LNKTYPE, known[entry.inode]
    else:
        known[entry.inode] = name
    for text, what in ((name, "name"), (member.linkname, "target")):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise SourceError(f"a {what} that is not Unicode", member=ascii(name)) from None
    return member


def _add(archive: tarfile.TarFile, volume: FileSystem, entry: DirEntry, member: tarfile.TarInfo) -> None:
    if member.type != tarfile.REGTYPE:
        archive.addfile(member)
        return
    with volume.open_file(entry.path) as file:
        archive.addfile(member, io.BufferedReader(content_of(member, file), 1 << 20))
