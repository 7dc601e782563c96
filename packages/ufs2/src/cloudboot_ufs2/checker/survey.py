"""What the passes of a check share: the volume, the findings, and what is known so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base import Finding
from cloudboot_base.lightdata import dataclass, replace
from cloudboot_ufs2.layout.bits import get_bits
from cloudboot_ufs2.layout.constants import SBLOCKSEARCH, UFS_LINK_MAX_SIGNED, UFS_ROOTINO
from cloudboot_ufs2.layout.directory import Record
from cloudboot_ufs2.layout.geometry import geometry_of
from cloudboot_ufs2.layout.mapoffsets import map_offsets
from cloudboot_ufs2.layout.ufs1 import dialect_of
from cloudboot_ufs2.reader.blocks import BlockMap

from .fragmentmap import FragmentMap, InodeNumbers

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_base import Storage
    from cloudboot_records import ByteOrder
    from cloudboot_ufs2.layout.directory import Problem
    from cloudboot_ufs2.layout.records import Cg, Fs, Ufs2Dinode


_PER_KIND = 50


class Findings:
    """A list of findings that stays short: of one kind only the first fifty are kept, the rest counted."""

    def __init__(self, most: int = _PER_KIND) -> None:
        self._most = most
        self._found: list[Finding] = []
        self._counts: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._found)

    def add(self, finding: Finding) -> None:
        """Keep or count a finding."""
        count = self._counts[finding.kind] = self._counts.get(finding.kind, 0) + 1
        if count <= self._most:
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
                self._found[index] = replace(found, where={**found.where, "path": path})

    def result(self) -> list[Finding]:
        """The findings, and one more for each kind that had too many."""
        rest = [
            Finding(kind, f"and {count - self._most} more of this kind")
            for kind, count in self._counts.items()
            if count > self._most
        ]
        return self._found + rest


@dataclass(slots=True)
class GroupFacts:
    """A group as it is on disk. Its block is read again when its maps are compared: all of them take gigabytes."""

    head: Cg
    offset: int  #: of its block, bytes
    initialised: int


class Survey:
    """The state of a check."""

    def __init__(self, storage: Storage, found: tuple[Fs, ByteOrder, int], findings: Findings) -> None:
        fs, byteorder, self.superblock_offset = found
        #: whether a backup replaces the superblock; its totals are those of the day it was written
        self.at_backup = self.superblock_offset not in SBLOCKSEARCH
        self.storage, self.fs, self.byteorder, self.findings = storage, fs, byteorder, findings
        self.geometry = geometry_of(fs)
        self.link_max = UFS_LINK_MAX_SIGNED
        self.dialect = dialect_of(fs)
        self.blocks = BlockMap(storage, self.geometry, byteorder)
        self.groups: list[GroupFacts | None] = []
        #: which fragments hold metadata or belong to an inode
        self.claimed = FragmentMap(self.geometry)
        #: per inode, its type if it is in use (mode >> 12, 0 if not), its link count, and the names that lead to it
        self.kinds = InodeNumbers(self.geometry, "B")
        self.links = InodeNumbers(self.geometry, "i")
        self.references = InodeNumbers(self.geometry, "i")
        #: the records of each directory
        self.contents: dict[int, list[Record | Problem]] = {}
        #: of each directory that was reached through a name: its parent and that name
        self.names: dict[int, tuple[int, bytes]] = {}

    def maps(self, facts: GroupFacts) -> tuple[bytes, int, int]:
        """The block of a group, and as bitmaps which of its inodes it calls used and which of its fragments free."""
        geometry, offsets = self.geometry, map_offsets(self.geometry)
        block = self.storage.read_at(facts.offset, geometry.cgsize)
        index = (facts.offset // geometry.fragment_size - geometry.cblkno) // geometry.group_fragments
        # The maps can only be in one place, so they are read there whatever the head says.
        used = get_bits(block, offsets.iusedoff, geometry.group_inodes)
        return block, used, get_bits(block, offsets.freeoff, geometry.group_length(index))

    def read_inode(self, number: int) -> Ufs2Dinode:
        """An inode as it is on disk."""
        offset = self.geometry.inode_offset(number)
        data = self.storage.read_at(offset, self.geometry.inode_size)
        return self.dialect.read_inode(data, 0, self.byteorder, base=offset)

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
