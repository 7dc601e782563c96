"""A cell: one task with one value of every axis. Pinned, it is named by the digest of everything it depends on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Part of every digest: another number makes every stored result another cell's.
SCHEMA = 1

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Limits:
    """What the processes of a cell may take. ``None`` is no limit.

    ``timeout`` is in seconds from the start of the cell. ``memory`` is the address space of each process and
    ``file_size`` the largest file, both in bytes. ``processes`` counts the processes of the cell, ``files`` the open
    files of each.
    """

    timeout: float = 900.0
    memory: int | None = None
    processes: int | None = 256
    files: int | None = 4096
    file_size: int | None = 16 << 30


@dataclass(frozen=True, slots=True)
class Cell:
    """One task of a campaign, as the matrix states it.

    ``index`` counts the cells of the campaign from 0, ``block`` the tables of its file. ``values`` has every parameter
    that the matrix gives, ``axes`` the names of those that vary. ``resources`` are what the worker needs, by name.
    ``retries`` is how often the cell is run again after a worker was lost or the system failed.
    """

    index: int
    block: int
    kind: str
    values: Mapping[str, Value]
    axes: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    resources: Mapping[str, float] = field(default_factory=dict)
    priority: int = 0
    retries: int = 3

    @property
    def name(self) -> str:
        """The kind and the values of the axes, for people."""
        told = ", ".join(f"{name}={self.values[name]}" for name in self.axes if name in self.values)
        return f"{self.kind}({told})"


@dataclass(frozen=True, slots=True)
class Pinned:
    """A cell with its inputs pinned.

    ``inputs`` are the values with each reference and file replaced by what it was resolved to, and ``digests`` has the
    digest of each of those. ``versions`` is what else the result depends on: packages, programs and firmware of the
    machine that runs it (:mod:`cloudboot_fleet.hosts`).
    """

    cell: Cell
    inputs: Mapping[str, Value]
    digests: Mapping[str, str]
    versions: Mapping[str, str]

    @property
    def key(self) -> str:
        """SHA-256 of what the cell's result depends on, in hexadecimal: two cells with one key are one.

        A path is not part of it where the digest of the file is.
        """
        named = {name: value for name, value in self.inputs.items() if name not in self.digests}
        document = {
            "schema": SCHEMA,
            "kind": self.cell.kind,
            "inputs": named,
            "digests": dict(self.digests),
            "versions": dict(self.versions),
        }
        return hashlib.sha256(canonical(document)).hexdigest()

    def as_dict(self) -> dict[str, object]:
        """What a worker is sent, ready for JSON."""
        return {
            "key": self.key,
            "index": self.cell.index,
            "name": self.cell.name,
            "kind": self.cell.kind,
            "inputs": dict(self.inputs),
            "digests": dict(self.digests),
            "versions": dict(self.versions),
            "limits": dataclasses.asdict(self.cell.limits),
        }


def canonical(value: object) -> bytes:
    """JSON in one form: sorted members, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
