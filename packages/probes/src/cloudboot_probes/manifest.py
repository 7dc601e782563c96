"""The build's own account of an image, kept in its ESP: what was put where, from which sources.

Everything it states of the root file system is taken from the sources, never read back from the image, so that whoever
reads the image can be held against it. The image may be anybody's: :meth:`Manifest.from_bytes` takes nothing on trust.
"""

from __future__ import annotations

import json
import re
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from .errors import ManifestError

if TYPE_CHECKING:
    from collections.abc import Mapping

PATH = "/EFI/cloudboot/manifest.json"
SCHEMA = 1
MAX_SIZE = 64 << 20

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_INODE = (1 << 32) - 1
_MAX_SIZE, _MAX_TIME = (1 << 63) - 1, 1 << 63


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One entry of the root file system. ``mode`` is the whole ``st_mode``; ``links`` counts names of a file."""

    path: str
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int | None = None
    links: int | None = None
    sha256: str | None = None
    target: str | None = None

    def as_dict(self) -> dict[str, object]:
        """Without what does not apply to this kind of entry."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name)) is not None}


@dataclass(frozen=True)
class Manifest:
    """A whole manifest; ``root`` is keyed by path, ``esp`` maps each file there to its size and SHA-256."""

    system: str
    architecture: str
    root_label: str
    root_partition: str
    root: Mapping[str, ManifestEntry] = field(default_factory=dict)
    esp: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    sources: tuple[Mapping[str, str], ...] = ()
    recipe: Mapping[str, object] = field(default_factory=dict)

    @property
    def files(self) -> int:
        """How many names of files and symbolic links there are in the root."""
        return sum(not stat.S_ISDIR(entry.mode) for entry in self.root.values())

    def as_bytes(self) -> bytes:
        """Deterministic JSON in ASCII (names need not be UTF-8), one entry a line so that a difference shows as one."""
        head = {
            "schema": SCHEMA,
            "system": self.system,
            "architecture": self.architecture,
            "root_label": self.root_label,
            "root_partition": self.root_partition,
            "recipe": self.recipe,
            "sources": list(self.sources),
            "esp": {path: {"size": size, "sha256": digest} for path, (size, digest) in sorted(self.esp.items())},
        }
        text = json.dumps(head, indent=1)
        lines = ",\n  ".join(json.dumps(entry.as_dict()) for _, entry in sorted(self.root.items()))
        return f'{text[:-2]},\n "root": [\n  {lines}\n ]\n}}\n'.encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Read a manifest.

        Raises:
            ManifestError: not a manifest, or one of another schema; the error names the place.
        """
        try:
            document: object = json.loads(data, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            raise ManifestError(f"{PATH} is not a manifest: {type(error).__name__}: {error}") from None
        top = _Table(document, "")
        schema = top.number("schema", 0, _MAX_SIZE)
        if schema != SCHEMA:
            raise ManifestError(
                f"the manifest has schema {schema}, this version reads {SCHEMA}",
                hint="build the image again, or use the version that built it",
            )
        root: dict[str, ManifestEntry] = {}
        for number, item in enumerate(top.array("root")):
            entry = _entry(_Table(item, f"root[{number}]"))
            if entry.path in root:
                raise _wrong(f"root[{number}].path", "a path of its own", entry.path)
            root[entry.path] = entry
        return cls(
            system=top.text("system"),
            architecture=top.text("architecture"),
            root_label=top.text("root_label"),
            root_partition=top.text("root_partition"),
            root=root,
            esp=dict(_esp_file(path, file) for path, file in top.table("esp").items()),
            sources=tuple(
                _source(_Table(item, f"sources[{number}]")) for number, item in enumerate(top.array("sources"))
            ),
            recipe=top.table("recipe"),
        )


class _Table:
    """A JSON object from an untrusted source, whose members are taken by name and type."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise _wrong(where or "the document", "a table", value)
        self._members: dict[str, object] = value
        self._where = where

    def place(self, name: str) -> str:
        """Where the member is in the document."""
        return f"{self._where}.{name}" if self._where else name

    def _get(self, name: str) -> object:
        if name not in self._members:
            raise ManifestError(f"the manifest lacks {self.place(name)}", structure="manifest", field=self.place(name))
        return self._members[name]

    def names(self) -> list[str]:
        """The members there are."""
        return list(self._members)

    def has(self, name: str) -> bool:
        """Whether the member is there."""
        return name in self._members

    def refuse_others(self, known: frozenset[str]) -> None:
        """No member may have another name."""
        for name in self._members.keys() - known:
            raise _wrong(self.place(name), "no such member", self._members[name])

    def number(self, name: str, least: int, most: int) -> int:
        """A whole number."""
        value = self._get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise _wrong(self.place(name), f"a whole number from {least} to {most}", value)
        return value

    def text(self, name: str) -> str:
        """Text that some bytes stand for: UTF-8, or what Python makes of other bytes."""
        return _text(self._get(name), self.place(name))

    def digest(self, name: str) -> str:
        """A SHA-256."""
        value = self.text(name)
        if not _SHA256.fullmatch(value):
            raise _wrong(self.place(name), "64 hexadecimal digits", value)
        return value

    def array(self, name: str) -> list[object]:
        """A list."""
        value = self._get(name)
        if not isinstance(value, list):
            raise _wrong(self.place(name), "a list", value)
        return value

    def table(self, name: str) -> dict[str, object]:
        """A table."""
        value = self._get(name)
        if not isinstance(value, dict):
            raise _wrong(self.place(name), "a table", value)
        return value


_ENTRY_MEMBERS = frozenset(ManifestEntry.__slots__)
_KINDS = frozenset({stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK})


def _entry(table: _Table) -> ManifestEntry:
    table.refuse_others(_ENTRY_MEMBERS)
    path, mode = table.text("path"), table.number("mode", 0, 0o177777)
    if not path.startswith("/") or "\0" in path:
        raise _wrong(table.place("path"), "an absolute path", path)
    if stat.S_IFMT(mode) not in _KINDS:
        raise _wrong(table.place("mode"), "a mode with a file type", mode)
    return ManifestEntry(
        path=path,
        mode=mode,
        uid=table.number("uid", 0, _MAX_INODE),
        gid=table.number("gid", 0, _MAX_INODE),
        mtime=table.number("mtime", -_MAX_TIME, _MAX_TIME - 1),
        size=table.number("size", 0, _MAX_SIZE) if table.has("size") else None,
        links=table.number("links", 1, _MAX_INODE) if table.has("links") else None,
        sha256=table.digest("sha256") if table.has("sha256") else None,
        target=table.text("target") if table.has("target") else None,
    )


def _esp_file(path: str, file: object) -> tuple[str, tuple[int, str]]:
    table = _Table(file, f"esp[{path!r}]")
    return _text(path, "esp"), (table.number("size", 0, _MAX_SIZE), table.digest("sha256"))


def _source(table: _Table) -> Mapping[str, str]:
    return {"package": table.text("package")} | {name: table.text(name) for name in table.names()}


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise _wrong(where, "text", value)
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise _wrong(where, "text without lone surrogates", ascii(value)) from None
    return value


def _wrong(where: str, expected: str, actual: object) -> ManifestError:
    return ManifestError(
        f"{PATH} is not a manifest: {where} is not {expected}",
        structure="manifest",
        field=where,
        expected=expected,
        actual=ascii(actual),
    )


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")
