"""Every file of an NTFS volume with all that the volume keeps of it, to build another volume of."""

from __future__ import annotations

import hashlib
import stat
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypedDict

import cloudboot_gpt as gpt
import cloudboot_ntfs as ntfs
from cloudboot_base import FormatError, Window
from cloudboot_ntfs import FileAttribute
from cloudboot_ntfs.errors import DescriptorError
from cloudboot_ntfs.layout.constants import TAG_WOF, Namespace
from cloudboot_ntfs.layout.records import ReparseHead
from cloudboot_probes.errors import RecipeError
from cloudboot_probes.manifest import ManifestEntry
from cloudboot_uefi_host.volumes import OpenFileStorage
from cloudboot_vfs import DirEntry

from .files import WindowsFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cloudboot_base import Storage
    from cloudboot_ntfs.builder.source import Member
    from cloudboot_ntfs.reader.entry import Reparse
    from cloudboot_vfs import Stat

_PIECE: Final = 1 << 20
#: Bytes of a data stream that are kept in memory at most.
_SMALL: Final = 4096
#: What a new volume takes over of a file's attributes; the others follow from how its content is stored.
_KEPT: Final = int(
    FileAttribute.READONLY | FileAttribute.HIDDEN | FileAttribute.SYSTEM | FileAttribute.ARCHIVE
    | FileAttribute.NOT_INDEXED
)  # fmt: skip
#: What an image of a volume leaves out: the exclusions that DISM and wimlib have by default.
_LEFT_OUT: Final = frozenset(
    {"$ntfs.log", "hiberfil.sys", "pagefile.sys", "swapfile.sys", "system volume information", "recycler",
     "$recycle.bin"}
)  # fmt: skip


def find_volume(storage: Storage, path: Path) -> ntfs.NTFS:
    """The first NTFS volume of a disk that has Windows in it. The disk may be a volume without a table.

    Raises:
        RecipeError: there is no such system.
    """
    for place in _places(storage):
        try:
            volume = ntfs.NTFS(place)
        except FormatError:
            continue
        if volume.exists("/Windows/System32"):
            return volume
    raise RecipeError(
        f"{path} has no NTFS volume with a folder Windows/System32",
        hint="give a folder, a WIM, an installation medium, or a disk image (raw, qcow2, VHD) of an installed Windows",
    )


def _places(storage: Storage) -> Iterator[Storage]:
    yield storage
    try:
        partitions = gpt.read_partitions(storage).partitions
    except FormatError:
        return
    for partition in partitions:
        yield Window(storage, partition.offset, partition.size)


def of_volume(volume: ntfs.NTFS) -> WindowsFiles:
    """The files of a volume, without what DISM leaves out of an image.

    Raises:
        RecipeError: a file whose content is encrypted or elsewhere.
        NtfsError: the volume is damaged.
    """
    facts = volume.stat("/")
    members: dict[str, Member] = {
        "/": ntfs.Directory(**_common(volume, DirEntry("", "/", facts.st_ino, stat.S_IFDIR), facts))
    }
    moment = facts.st_mtime_ns // 10**9
    entries = {"/": ManifestEntry("/", stat.S_IFDIR | 0o755, 0, 0, moment)}
    first: dict[int, str] = {}
    for _, folders, files in volume.walk():
        for entry in (*folders, *files):
            if entry.path[1:].partition("/")[0].casefold() in _LEFT_OUT:
                continue
            original = first.setdefault(entry.inode, entry.path)
            if original != entry.path:
                members[entry.path] = ntfs.HardLink(original, short_name=_short_name(volume, entry))
                entries[entry.path] = replace(entries[original], path=entry.path)
            else:
                members[entry.path], entries[entry.path] = _member(volume, entry)
    names = Counter(member.path for member in members.values() if isinstance(member, ntfs.HardLink))
    for path, account in entries.items():
        member = members[path]
        links = 1 + names[member.path if isinstance(member, ntfs.HardLink) else path]
        if account.size is not None:
            entries[path] = replace(account, links=links)
    return WindowsFiles(members, entries, volume.read_file)


class _Common(TypedDict):
    mtime_ns: int
    created_ns: int
    accessed_ns: int
    attributes: int
    security: str | None
    streams: dict[str, bytes | Storage]
    short_name: str


def _member(volume: ntfs.NTFS, entry: DirEntry) -> tuple[Member, ManifestEntry]:
    facts = volume.stat_inode(entry.inode)
    reparse = volume.reparse_point_of(volume.mft.file(entry.inode))
    account = ManifestEntry(entry.path, facts.st_mode, 0, 0, facts.st_mtime_ns // 10**9)
    common = _common(volume, entry, facts)
    if facts.st_flags & FileAttribute.ENCRYPTED:
        raise RecipeError(f"{entry.path} is encrypted by EFS", hint="decrypt it, or leave it out of the source")
    is_directory = volume.mft.file(entry.inode).is_directory
    if is_directory or stat.S_ISLNK(facts.st_mode):
        target = volume.link_target(entry.inode) if stat.S_ISLNK(facts.st_mode) else None
        account = replace(account, target=target)
        if reparse is None:
            return ntfs.Directory(**common), account
        return ntfs.Reparse(_packed(reparse), is_directory=is_directory, **common), account
    storage = OpenFileStorage(volume.open_inode(entry.inode, path=entry.path))
    account = replace(account, size=storage.size, links=1, sha256=_digest(storage))
    if reparse is None:
        return ntfs.File(storage, **common), account
    if reparse.tag != TAG_WOF:
        raise RecipeError(
            f"{entry.path} has a reparse point of kind {reparse.tag:#010x}, whose content is elsewhere",
            hint="leave the file out of the source",
        )
    return ntfs.Reparse(_packed(reparse), storage.size, **common), account


def _common(volume: ntfs.NTFS, entry: DirEntry, facts: Stat) -> _Common:
    names = [name for name in volume.stream_names(entry.inode) if name]
    try:
        security = volume.sddl(entry.path, follow_symlinks=False) or None
    except DescriptorError as error:
        raise RecipeError(f"{entry.path}: {error}", hint="leave the file out of the source") from None
    return {
        "mtime_ns": facts.st_mtime_ns,
        "created_ns": facts.st_birthtime_ns,
        "accessed_ns": facts.st_atime_ns,
        "attributes": facts.st_flags & _KEPT,
        "security": security,
        "streams": {name: _stream(volume, entry, name) for name in names},
        "short_name": _short_name(volume, entry),
    }


def _stream(volume: ntfs.NTFS, entry: DirEntry, name: str) -> bytes | Storage:
    """A data stream: what is small as its bytes; a file that Windows compressed keeps all of its content in one."""
    storage = OpenFileStorage(volume.open_inode(entry.inode, stream=name))
    return storage.read_at(0, storage.size) if storage.size <= _SMALL else storage


def _short_name(volume: ntfs.NTFS, entry: DirEntry) -> str:
    """The 8.3 name beside the name of an entry, or nothing."""
    names = volume.names_of(entry.inode)
    own = [each for each in names if each.namespace == Namespace.WIN32 and each.name == entry.name]
    short = [each for each in names if each.namespace == Namespace.DOS]
    if not own or not short or own[0].parent_record != short[0].parent_record:
        return ""
    # Another link of the file may have the same name in another directory; the pair is in one.
    above = volume.find(entry.path.rpartition("/")[0] or "/", follow_symlinks=False)
    return short[0].name if above == short[0].parent_record else ""


def _packed(reparse: Reparse) -> bytes:
    return ReparseHead(reparse.tag, len(reparse.data), 0).pack() + reparse.data


def _digest(storage: Storage) -> str:
    digest = hashlib.sha256()
    for offset in range(0, storage.size, _PIECE):
        digest.update(storage.read_at(offset, min(_PIECE, storage.size - offset)))
    return digest.hexdigest()
