"""What a running kernel says of a mounted file system, and how it differs from the build's manifest.

The account comes over the serial line in base64, compressed with gzip, whose checksum covers it all. Decoded it has
four parts: the names of all entries, each ended by a NUL, and one more NUL; a line for each of them in the same order,
with type and mode in hexadecimal, owner, group, size, links and modification time; a line for each regular file as
``sha256sum`` prints it; a line for each symbolic link with its size and ``'NAME' -> 'TARGET'``. An empty line ends each
of the last three. Names and targets may hold newlines: which bytes are a name is known from the first part.
"""

from __future__ import annotations

import base64
import binascii
import re
import stat
import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloudboot_probes.errors import AccountError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cloudboot_probes.manifest import Manifest, ManifestEntry

BEGIN, END = b"cloudboot: account 1", b"cloudboot: account end"
_STAT = re.compile(rb"([0-9a-f]{1,8}) (\d{1,10}) (\d{1,10}) (\d{1,19}) (\d{1,10}) (-?\d{1,19})")
_HASH = re.compile(rb"([0-9a-f]{64})  ")
_SIZE = re.compile(rb"(\d{1,5}) '")
_SLACK = 1 << 20
_PER_ENTRY = 256  # more than the numbers, the hash and the separators of an entry take


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
    def parse(cls, text: bytes, limit: int = 1 << 30) -> Account:
        """The account in a console's text; everything else there is passed over.

        Raises:
            AccountError: the init printed no report, or it is damaged.
        """
        lines = iter(text.split(b"\n"))
        for line in lines:
            if line == BEGIN:
                reader = AccountReader(limit)
                for inner in lines:
                    if inner == END:
                        return reader.close()
                    reader.feed(inner)
        raise AccountError("the console has no account that was finished")


def size_limit(manifest: Manifest) -> int:
    """Bytes that an account of what ``manifest`` lists has at most, decoded, with some room for other entries."""
    names = sum(len(path) + len(entry.target or "") for path, entry in manifest.root.items())
    return 4 * (2 * names + _PER_ENTRY * len(manifest.root)) + _SLACK


class AccountReader:
    """Decodes an account line by line, as it comes; ``limit`` bounds its decoded bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._inflate = zlib.decompressobj(wbits=31)
        self._data = bytearray()
        self.strange = 0
        """Lines that are no part of an account: something else on the same console."""

    def feed(self, line: bytes) -> None:
        """Take a line.

        Raises:
            AccountError: the account is longer than what was built can give, or its compression is damaged.
        """
        try:
            piece = base64.b64decode(line, validate=True)
        except (binascii.Error, ValueError):
            self.strange += 1
            return
        try:
            self._data += self._inflate.decompress(piece, max(1, self._limit + 1 - len(self._data)))
        except zlib.error as error:
            raise AccountError(f"the kernel's account is damaged: {error}", hint=self._strange_hint()) from None
        if len(self._data) > self._limit or self._inflate.unconsumed_tail:
            raise AccountError(
                f"the kernel's account is longer than {self._limit} bytes: there is far more in the root than was built"
            )

    def close(self) -> Account:
        """The account, once its last line was fed.

        Raises:
            AccountError: it is not complete.
        """
        if not self._inflate.eof:
            raise AccountError("the kernel's account has no end", hint=self._strange_hint())
        return _parsed(bytes(self._data))

    def _strange_hint(self) -> str | None:
        return f"{self.strange} lines between its own are something else" if self.strange else None


def _parsed(data: bytes) -> Account:
    names, position = [], 0
    while (end := data.find(b"\0", position)) > position:
        names.append(data[position:end])
        position = end + 1
    if end < 0:
        raise AccountError("the names in the kernel's account have no end")
    paths = [_path(name) for name in names]
    account = Account()
    lines, position = _lines(data, end + 1)
    if len(lines) != len(names):
        raise AccountError(f"the kernel states the attributes of {len(lines)} of {len(names)} entries")
    for path, line in zip(paths, lines, strict=True):
        found = _STAT.fullmatch(line)
        if found is None:
            raise AccountError(f"the kernel's account has no attributes for {path!r}: {line[:80]!r}")
        account.entries[path] = SeenEntry(int(found[1], 16), *map(int, found.groups()[1:]))
    files, links = (
        [name for name, path in zip(names, paths, strict=True) if stat.S_IFMT(account.entries[path].mode) == kind]
        for kind in (stat.S_IFREG, stat.S_IFLNK)
    )
    for name, digest, after in _records(data, position, files, _take_hash):
        account.hashes[_path(name)], position = digest.decode("ascii"), after
    position = _ended(data, position, "hashes")
    for name, target, after in _records(data, position, links, _take_target):
        account.targets[_path(name)], position = target.decode("utf-8", "surrogateescape"), after
    _ended(data, position, "targets")
    return account


def _path(name: bytes) -> str:
    """``b"./boot/kernel"`` as ``"/boot/kernel"``, ``b"."`` as ``"/"``."""
    return name[1:].decode("utf-8", "surrogateescape") or "/"


def _lines(data: bytes, position: int) -> tuple[list[bytes], int]:
    """The lines up to an empty one, and the position behind that."""
    if data[position : position + 1] == b"\n":
        return [], position + 1
    end = data.find(b"\n\n", position)
    if end < 0:
        raise AccountError("the attributes in the kernel's account have no end")
    return data[position:end].split(b"\n"), end + 2


def _records(
    data: bytes, position: int, names: Iterable[bytes], take: Callable[[bytes, int, bytes], tuple[bytes, int] | None]
) -> Iterator[tuple[bytes, bytes, int]]:
    """``(name, value, position behind it)`` for each name in turn; one the kernel could not read has no record."""
    for name in names:
        found = take(data, position, name)
        if found is not None:
            value, position = found
            yield name, value, position


def _take_hash(data: bytes, position: int, name: bytes) -> tuple[bytes, int] | None:
    found = _HASH.match(data, position)
    if found is None or not data.startswith(name + b"\n", found.end()):
        return None
    return found[1], found.end() + len(name) + 1


def _take_target(data: bytes, position: int, name: bytes) -> tuple[bytes, int] | None:
    found = _SIZE.match(data, position)
    middle = name + b"' -> '"
    if found is None or not data.startswith(middle, found.end()):
        return None
    start = found.end() + len(middle)
    end = start + int(found[1])
    return (data[start:end], end + 2) if data[end : end + 2] == b"'\n" else None


def _ended(data: bytes, position: int, what: str) -> int:
    if data[position : position + 1] != b"\n":
        raise AccountError(f"the {what} in the kernel's account do not fit its names: {data[position:][:80]!r}")
    return position + 1


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
