"""The build's own account of an image, kept in its ESP: what was put where, from which sources.

Everything it states of the root file system is taken from the sources, never read back from the image, so that whoever
reads the image can be held against it.
"""

from __future__ import annotations

import json
import stat
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from .errors import CloudbootError

if TYPE_CHECKING:
    from collections.abc import Mapping

PATH = "/EFI/cloudboot/manifest.json"
SCHEMA = 1
MAX_SIZE = 64 << 20


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
        return {name: value for name, value in asdict(self).items() if value is not None}


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
            CloudbootError: not a manifest, or one of another schema.
        """
        try:
            document: Any = json.loads(data)
            if document["schema"] != SCHEMA:
                raise CloudbootError(
                    f"the manifest has schema {document['schema']}, this version reads {SCHEMA}",
                    hint="build the image again, or use the version that built it",
                )
            return cls(
                system=str(document["system"]),
                architecture=str(document["architecture"]),
                root_label=str(document["root_label"]),
                root_partition=str(document["root_partition"]),
                root={str(entry["path"]): ManifestEntry(**entry) for entry in document["root"]},
                esp={str(path): (int(file["size"]), str(file["sha256"])) for path, file in document["esp"].items()},
                sources=tuple(dict(source) for source in document["sources"]),
                recipe=dict(document["recipe"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CloudbootError(f"{PATH} is not a manifest: {type(error).__name__}: {error}") from None
