"""The build's account of its sources: every entry of a folder, an archive or a mapping, with its hash.

It is made with the standard library alone, from the sources themselves, so it can disagree with what the file-system
writers made of them.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import stat
import tarfile
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from cloudboot_ufs2 import Directory, File, HardLink, Symlink

from .errors import RecipeError
from .manifest import ManifestEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_DAMAGE = (tarfile.TarError, EOFError, ValueError, OverflowError, zlib.error, lzma.LZMAError)
#: A hole is hashed like any other bytes, so a sparse file may cost far more time than it takes room.
MAX_FILE_SIZE = 64 << 30

_KINDS = {
    tarfile.DIRTYPE: stat.S_IFDIR,
    tarfile.SYMTYPE: stat.S_IFLNK,
    tarfile.FIFOTYPE: stat.S_IFIFO,
    tarfile.CHRTYPE: stat.S_IFCHR,
    tarfile.BLKTYPE: stat.S_IFBLK,
}

RootMember = File | Directory | Symlink | HardLink | Path


def account_of_file(data: bytes | Path) -> tuple[int, str]:
    """Size and SHA-256 of bytes, or of a file of the host.

    Raises:
        RecipeError: the file is larger than ``MAX_FILE_SIZE``.
    """
    if isinstance(data, bytes):
        return len(data), hashlib.sha256(data).hexdigest()
    _check_size(str(data), data.stat().st_size)
    with data.open("rb") as file:
        return data.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()


def account_of_mapping(root: Mapping[str, RootMember]) -> Iterator[ManifestEntry]:
    """The entries of a mapping of single members and folders, with every folder on their way."""
    entries: dict[str, ManifestEntry] = {}
    linked = []
    folders = _Folders()
    for name, member in root.items():
        path = _member_path(name)
        if isinstance(member, HardLink):
            linked.append((path, _member_path(os.fsdecode(member.path))))
            continue
        if isinstance(member, Path):
            entry = _host_entry(path, member, member.stat(), Counter())
        else:
            entry = _given_entry(path, member)
        entries[path] = entry
        folders.lead_to(entry)
        if isinstance(member, Path) and member.is_dir():
            prefix = path.rstrip("/")
            entries |= {
                prefix + below.path: replace(below, path=prefix + below.path) for below in _tree_entries(member)
            }
    for path, target in linked:
        folders.lead_to_link(path, entries.get(target))
    yield from folders.unnamed(_with_links(entries, linked))


class _Folders:
    """The folders that no member names, which the writer makes for the first member that needs them.

    They have mode 755, belong to the superuser, and take that member's time; the root is as new as the newest of all.
    """

    def __init__(self) -> None:
        self._times: dict[str, int] = {}
        self._newest = 0

    def lead_to(self, entry: ManifestEntry) -> None:
        """Note a member."""
        self._newest = max(self._newest, entry.mtime)
        self.lead_to_link(entry.path, entry)

    def lead_to_link(self, path: str, target: ManifestEntry | None) -> None:
        """Note another name of ``target``."""
        if target is not None:
            for end in (index for index, letter in enumerate(path) if letter == "/" and index):
                self._times.setdefault(path[:end], target.mtime)

    def unnamed(self, entries: Iterable[ManifestEntry]) -> Iterator[ManifestEntry]:
        """``entries``, and a folder wherever one is missing."""
        missing = {"/": self._newest} | self._times
        for entry in entries:
            missing.pop(entry.path, None)
            yield entry
        for path, mtime in missing.items():
            yield ManifestEntry(path, stat.S_IFDIR | 0o755, 0, 0, mtime)


def _with_links(entries: dict[str, ManifestEntry], linked: Iterable[tuple[str, str]]) -> Iterable[ManifestEntry]:
    """``entries`` with the further names of files: ``(name, the name it is another of)``."""
    groups: dict[str, list[str]] = {}
    first: dict[str, str] = {}
    for name, given in linked:
        # A link may name another link, where that one came before it.
        target = first[name] = first.get(given, given)
        if target in entries:
            groups.setdefault(target, [target]).append(name)
    for target, names in groups.items():
        entries |= {name: replace(entries[target], path=name, links=len(names)) for name in names}
    return entries.values()


def _given_entry(path: str, member: File | Directory | Symlink) -> ManifestEntry:
    kind = (
        stat.S_IFDIR if isinstance(member, Directory) else stat.S_IFLNK if isinstance(member, Symlink) else stat.S_IFREG
    )
    entry = ManifestEntry(path, kind | member.mode, member.uid, member.gid, member.mtime_ns // 10**9)
    if isinstance(member, Symlink):
        return replace(entry, target=os.fsdecode(member.target))
    if isinstance(member, Directory):
        return entry
    size, sha256 = account_of_file(member.data if isinstance(member.data, bytes) else Path(member.data))
    return replace(entry, size=size, links=1, sha256=sha256)


def _tree_entries(top: Path) -> Iterator[ManifestEntry]:
    found: list[tuple[str, Path, os.stat_result]] = []
    for folder, folders, files in os.walk(top):
        for name in (*folders, *files):
            host = Path(folder) / name
            found.append((f"/{host.relative_to(top)}", host, host.lstat()))
    names = Counter((status.st_dev, status.st_ino) for _, _, status in found if not stat.S_ISDIR(status.st_mode))
    for path, host, status in found:
        yield _host_entry(path, host, status, names)


def _host_entry(path: str, host: Path, status: os.stat_result, names: Counter[tuple[int, int]]) -> ManifestEntry:
    """``names`` counts how often an inode is in the tree: a file's other names may lie outside it."""
    size = links = sha256 = target = None
    if stat.S_ISREG(status.st_mode):
        size, sha256 = account_of_file(host)
        links = names[status.st_dev, status.st_ino] or 1
    elif stat.S_ISLNK(status.st_mode):
        target = os.readlink(host)
    return ManifestEntry(
        path, status.st_mode, status.st_uid, status.st_gid, int(status.st_mtime_ns // 10**9),
        size=size, links=links, sha256=sha256, target=target,
    )  # fmt: skip


def account_of_archive(path: Path) -> Iterator[ManifestEntry]:
    """What an archive holds, with every folder on the way; what is wrong with it is the writer's to say."""
    entries: dict[str, ManifestEntry] = {}
    linked: dict[str, str] = {}
    folders = _Folders()
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = _member_path(member.name)
                if member.islnk():
                    target = _member_path(member.linkname)
                    target = linked[name] = linked.get(target, target)
                    folders.lead_to_link(name, entries.get(target))
                else:
                    content = archive.extractfile(member) if member.isreg() else None
                    entries[name] = _member_entry(name, member, content)
                    folders.lead_to(entries[name])
    except _DAMAGE as error:
        raise RecipeError(f"{path} is neither a folder nor a tar archive: {error}") from None
    yield from folders.unnamed(_with_links(entries, linked.items()))


def _member_path(name: str) -> str:
    return "/" + "/".join(part for part in name.split("/") if part not in {"", "."})


def _seconds(member: tarfile.TarInfo) -> int:
    """The second the time lies in. A pax header has it in decimal, which the member's float may round to the next."""
    whole, _, fraction = member.pax_headers.get("mtime", str(int(member.mtime))).partition(".")
    return int(whole) - (whole.startswith("-") and fraction.strip("0") != "")


def _check_size(path: str, size: int) -> None:
    if size > MAX_FILE_SIZE:
        raise RecipeError(f"{path} has {size} bytes, more than the {MAX_FILE_SIZE} a manifest accounts for")


def _member_entry(path: str, member: tarfile.TarInfo, content: IO[bytes] | None) -> ManifestEntry:
    kind = _KINDS.get(member.type, stat.S_IFREG)
    sha256 = None
    if content is not None:
        _check_size(member.name, member.size)
        digest = hashlib.sha256()
        while piece := content.read(1 << 20):
            digest.update(piece)
        sha256 = digest.hexdigest()
    return ManifestEntry(
        path, kind | member.mode & 0o7777, member.uid, member.gid, _seconds(member),
        size=member.size if content is not None else None, links=1 if content is not None else None,
        sha256=sha256, target=member.linkname if member.issym() else None,
    )  # fmt: skip
