"""A tree of a volume as a tar archive."""

from __future__ import annotations

import stat
import tarfile
from typing import TYPE_CHECKING

from cloudboot_ntfs.errors import SourceError

if TYPE_CHECKING:
    import io
    from typing import BinaryIO

    from cloudboot_ntfs.reader.volume import NTFS


def write_tar(volume: NTFS, target: BinaryIO, path: str = "/") -> int:
    """Write the tree at ``path`` as a pax archive, in the order of the directories; how many members there are.

    Hard links are links to the first name; owners are root. The same volume gives the same bytes.

    Raises:
        SourceError: a name that is not Unicode.
        OSError: the host refuses.
    """
    known: dict[int, str] = {}
    count = 0
    root = path.rstrip("/")
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for folder, below, others in volume.walk(path):
            for entry in [*below, *others]:
                inside = f"{folder.rstrip('/')}/{entry.name}"[len(root) + 1 :]
                archive.addfile(*_member(volume, inside, entry.inode, entry.kind, known))
                count += 1
    return count


def _member(
    volume: NTFS, name: str, number: int, kind: int, known: dict[int, str]
) -> tuple[tarfile.TarInfo, io.RawIOBase | None]:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise SourceError("a name that is not Unicode", member=ascii(name)) from None
    status = volume.stat_inode(number)
    member = tarfile.TarInfo(name)
    member.mode = stat.S_IMODE(status.st_mode)
    seconds, rest = divmod(status.st_mtime_ns, 1_000_000_000)
    member.mtime = seconds
    if rest:
        member.pax_headers = {"mtime": f"{seconds}.{rest:09d}"}
    if kind == stat.S_IFDIR:
        member.type = tarfile.DIRTYPE
    elif kind == stat.S_IFLNK:
        member.type, member.linkname = tarfile.SYMTYPE, volume.link_target(number)
    elif number in known:
        member.type, member.linkname = tarfile.LNKTYPE, known[number]
    else:
        file = volume.open_inode(number)
        member.size = file.size
        if status.st_nlink > 1:
            known[number] = name
        return member, file
    return member, None
