"""What a running kernel says of a mounted file system, and how it differs from the build's manifest."""

from __future__ import annotations

import re
import stat
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from cloudboot_probes.manifest import Manifest, ManifestEntry

_STAT = re.compile(r"cloudboot: stat ([0-9a-f]+) (\d+) (\d+) (\d+) (\d+) (-?\d+) \.(/.*)?")
_FILE = re.compile(r"cloudboot: file ([0-9a-f]{64})  \.(/.*)")
_LINK = re.compile(r"cloudboot: link (.*) <- \.(/.*)")


@dataclass(frozen=True, slots=True)
class SeenEntry:
    """One entry as ``stat`` showed it."""

    mode: int
    uid: int
    gid: int
    size: int
    links: int
    mtime: int


@dataclass
class Account:
    """Everything a kernel reported: entries by path, SHA-256 of files, targets of links."""

    entries: dict[str, SeenEntry] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Read the lines that ``init`` prints; everything else on the console is passed over."""
        account = cls()
        for line in text.decode("utf-8", "surrogateescape").split("\n"):
            if (found := _STAT.fullmatch(line)) is not None:
                mode, *numbers = found.groups()[:6]
                uid, gid, size, links, mtime = map(int, numbers)
                account.entries[found[7] or "/"] = SeenEntry(int(mode, 16), uid, gid, size, links, mtime)
            elif (found := _FILE.fullmatch(line)) is not None:
                account.hashes[found[2]] = found[1]
            elif (found := _LINK.fullmatch(line)) is not None:
                account.targets[found[2]] = found[1]
        return account


def compare(account: Account, manifest: Manifest) -> list[str]:
    """How the kernel's account differs from the manifest, one line a difference; empty where they agree."""
    differences = [f"{path}: not in the manifest" for path in account.entries if path not in manifest.root]
    folders = Counter(
        _folder_of(path) for path, entry in manifest.root.items() if stat.S_ISDIR(entry.mode) and path != "/"
    )
    for path, entry in manifest.root.items():
        seen = account.entries.get(path)
        if seen is None:
            differences.append(f"{path}: the kernel does not see it")
            continue
        links = 2 + folders[path] if stat.S_ISDIR(entry.mode) else entry.links
        differences += [
            f"{path}: {name} is {actual}, built as {expected}"
            for name, expected, actual in _facts(entry, seen, account, links)
            if expected is not None and expected != actual
        ]
    return differences


def _folder_of(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def _facts(
    entry: ManifestEntry, seen: SeenEntry, account: Account, links: int | None
) -> list[tuple[str, object, object]]:
    return [
        ("mode", f"{entry.mode:o}", f"{seen.mode:o}"),
        ("owner", f"{entry.uid}:{entry.gid}", f"{seen.uid}:{seen.gid}"),
        ("modification time", entry.mtime, seen.mtime),
        ("size", entry.size, seen.size),
        ("number of links", links, seen.links),
        ("SHA-256", entry.sha256, account.hashes.get(entry.path)),
        ("target", entry.target, account.targets.get(entry.path)),
    ]
