"""What the passes of a check share: the volume, the findings, and what is known so far."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from cloudboot_base import Finding

from .blocks import BlockMap
from .constants import UFS_ROOTINO
from .dialect import dialect_of
from .directory import Record
from .geometry import geometry_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from cloudboot_base import Storage
    from cloudboot_records import ByteOrder

    from .directory import Problem
    from .group import Bools
    from .records import Cg, Fs

    Ints = npt.NDArray[np.int64]

_PER_KIND = 50


class Findings:
    """A list of findings that stays short: of one kind only the first fifty are kept, the rest counted."""

    def __init__(self) -> None:
        self._found: list[Finding] = []
        self._counts: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._found)

    def add(self, finding: Finding) -> None:
        """Keep or count a finding."""
        count = self._counts[finding.kind] = self._counts.get(finding.kind, 0) + 1
        if count <= _PER_KIND:
            self._found.append(finding)

    def more(self, kind: str, count: int) -> None:
        """Count ``count`` findings of ``kind`` that were not even made."""
        self._counts[kind] = self._counts.get(kind, 0) + count

    def name(self, paths: Callable[[set[int]], dict[int, str]]) -> None:
        """Add paths to the findings about inodes; ``paths`` gives them for a set of numbers."""
        inodes = {found.where["inode"] for found in self._found if "inode" in found.where}
        known = paths({number for number in inodes if isinstance(number, int)})
        for index, found in enumerate(self._found):
            path = known.get(int(found.where.get("inode", -1)))
            if path is not None:
                self._found[index] = dataclasses.replace(found, where={**found.where, "path": path})

    def result(self) -> list[Finding]:
        """The findings, and one more for each kind that had too many."""
        rest = [
            Finding(kind, f"and {count - _PER_KIND} more of this kind")
            for kind, count in self._counts.items()
            if count > _PER_KIND
        ]
        return self._found + rest


@dataclasses.dataclass(slots=True)
class GroupFacts:
    """A group as it stands on disk; ``None`` maps where its block cannot be read as one."""

    head: Cg
    offset: int  #: of its block, bytes
    block: bytes
    used_inodes: Bools
    free: Bools
    initialised: int


class Survey:
    """The state of a check."""

    def __init__(self, storage: Storage, fs: Fs, byteorder: ByteOrder, findings: Findings) -> None:
        self.storage, self.fs, self.byteorder, self.findings = storage, fs, byteorder, findings
        self.geometry = geometry_of(fs)
        self.dialect = dialect_of(fs)
        self.blocks = BlockMap(storage, self.geometry, byteorder)
        self.groups: list[GroupFacts | None] = []
        #: which fragments hold metadata or belong to an inode
        self.claimed: Bools = np.zeros(self.geometry.size, dtype=np.bool_)
        #: per inode, its mode if it is in use (0 if not) and its link count
        self.modes: npt.NDArray[np.uint16] = np.zeros(0, dtype=np.uint16)
        self.links: npt.NDArray[np.uint16] = np.zeros(0, dtype=np.uint16)
        #: the records of each directory
        self.contents: dict[int, list[Record | Problem]] = {}
        #: of each directory that was reached through a name: its parent and that name
        self.names: dict[int, tuple[int, bytes]] = {}

    def path(self, inode: int) -> str:
        """A path of ``inode`` as far as it is known."""
        parts: list[bytes] = []
        while inode != UFS_ROOTINO and inode in self.names and len(parts) < 4096:
            inode, name = self.names[inode]
            parts.append(name)
        start = "" if inode == UFS_ROOTINO else f"<inode {inode}>"
        return start + "/" + b"/".join(reversed(parts)).decode("utf-8", "backslashreplace")

    def paths(self, inodes: set[int]) -> dict[int, str]:
        """A path of each of these inodes that has a name."""
        found = {number: self.path(number) for number in inodes if number in self.names or number == UFS_ROOTINO}
        missing = inodes - found.keys()
        for directory, records in self.contents.items() if missing else ():
            for record in records:
                if isinstance(record, Record) and record.inode in missing:
                    name = record.name.decode("utf-8", "backslashreplace")
                    found.setdefault(record.inode, f"{self.path(directory).rstrip('/')}/{name}")
        return found

    def add_inode(self, kind: str, inode: int, message: str, field: str, **values: object) -> None:
        """A finding about an inode."""
        where: dict[str, int | str] = {"group": inode // self.geometry.group_inodes, "inode": inode}
        offset = self.geometry.inode_offset(inode)
        self.findings.add(
            Finding(
                kind,
                message,
                structure="Ufs2Dinode",
                field=field,
                offset=offset,
                expected=values.get("expected"),
                actual=values.get("actual"),
                where=where,
            )
        )
