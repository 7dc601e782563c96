"""The files of a Windows, wherever they come from: what a volume is built of, and an account of it."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

from cloudboot_probes.errors import RecipeError
from cloudboot_probes.inventory import account_of_mapping
from cloudboot_probes.manifest import ManifestEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from cloudboot_ntfs.builder.source import Member


class WindowsFiles:
    """The files of a Windows.

    ``members`` are for :func:`cloudboot_ntfs.build`; ``entries`` has every path that is in them, with its account.
    ``read`` gives the bytes of a file by one of those paths. Paths are found in any case.
    """

    def __init__(
        self, members: Mapping[str, Member], entries: Mapping[str, ManifestEntry], read: Callable[[str], bytes]
    ) -> None:
        self.members, self.entries = members, entries
        self._read = read
        self._folded = {path.casefold(): path for path in entries}

    def find(self, path: str) -> str | None:
        """The path in the case that it has here, or ``None``."""
        return self._folded.get(path.casefold())

    def read(self, path: str) -> bytes | None:
        """The bytes of a file; ``None`` where there is none."""
        found = self.find(path)
        return None if found is None or self.entries[found].size is None else self._read(found)

    def below(self, folder: str) -> Iterator[tuple[str, str]]:
        """``(path below the folder, whole path)`` of every file below ``folder``, in the order of their names."""
        prefix = folder.casefold().rstrip("/") + "/"
        for path, entry in sorted(self.entries.items()):
            if path.casefold().startswith(prefix) and entry.size is not None:
                yield path[len(prefix) :], path


def of_mapping(members: Mapping[str, bytes]) -> WindowsFiles:
    """Files that are made here, as the bytes of each."""
    entries: dict[str, ManifestEntry] = {}
    for path, data in members.items():
        names = path.split("/")[1:-1]
        for depth in range(len(names) + 1):
            folder = "/" + "/".join(names[:depth])
            entries[folder] = ManifestEntry(folder, stat.S_IFDIR | 0o755, 0, 0, 0)
        digest = hashlib.sha256(data).hexdigest()
        entries[path] = ManifestEntry(path, stat.S_IFREG | 0o644, 0, 0, 0, len(data), 1, digest)
    return WindowsFiles(dict(members), entries, members.__getitem__)


def of_host(members: Mapping[str, Path]) -> WindowsFiles:
    """Folders and files of the host, by their paths in the volume."""

    def read(path: str) -> bytes:
        inside = max((each for each in members if path == each or path.startswith(each.rstrip("/") + "/")), key=len)
        below = path[len(inside) :].strip("/")
        return (members[inside] / below if below else members[inside]).read_bytes()

    return WindowsFiles(members, {entry.path: _stored(entry) for entry in account_of_mapping(members)}, read)


def _stored(entry: ManifestEntry) -> ManifestEntry:
    """The entry as NTFS gives it back: no owner, and of the mode only whether a file may be written."""
    kind = stat.S_IFMT(entry.mode)
    mode = 0o755 if kind == stat.S_IFDIR else 0o777 if kind == stat.S_IFLNK else 0o644 if entry.mode & 0o222 else 0o444
    return replace(entry, mode=kind | mode, uid=0, gid=0)


def with_files(files: WindowsFiles, extra: Mapping[str, Path]) -> WindowsFiles:
    """``files`` and more of the host, none of which is there already.

    Raises:
        RecipeError: one does.
    """
    for path in extra:
        found = files.find(path)
        if found is not None:
            raise RecipeError(f"{found} is in the source already", hint="change the source, or leave out --root-file")
    if not extra:
        return files
    added = of_host(extra)
    entries = {**added.entries, **files.entries}

    def read(path: str) -> bytes:
        data = files.read(path)
        return data if data is not None else added.read(path) or b""

    return WindowsFiles({**files.members, **added.members}, entries, read)
