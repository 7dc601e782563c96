"""The part of a repair that changes inodes and directories, as passes 1 to 4 of fsck_ffs do when it preens."""

from __future__ import annotations

import stat
from array import array
from typing import TYPE_CHECKING

from cloudboot_ufs2.errors import RepairRefusedError
from cloudboot_ufs2.layout.constants import CK_INODE, DIRECT_HEADER, FS_DOSOFTDEP, UFS_NDADDR, UFS_NIADDR
from cloudboot_ufs2.layout.directory import Record
from cloudboot_ufs2.layout.geometry import howmany
from cloudboot_ufs2.layout.inode import pack_inode
from cloudboot_ufs2.layout.records import Ufs2Dinode
from cloudboot_ufs2.layout.superblock import has_hash

if TYPE_CHECKING:
    from cloudboot_base import Finding
    from cloudboot_base.overlay import Overlay

    from .survey import Survey

#: what is repaired here; orphans that are not cleared are reconnected later
INODE_KINDS = frozenset({
    "inode-blocks", "inode-hash", "inode-links", "inode-partial-truncation", "inode-unreferenced",
    "directory-orphan", "directory-linked-twice",
})  # fmt: skip


def repair_inodes(overlay: Overlay, survey: Survey, findings: list[Finding], actions: list[str]) -> bool:
    """Repair what can be, or the first of several things that hang together; whether anything was.

    Raises:
        RepairRefusedError: an inode has more names than links, or a directory has two places.
    """
    work = _Inodes(overlay, survey, actions)
    order = (
        ("inode-hash", work.rehash),
        ("inode-partial-truncation", work.cut),
        ("inode-blocks", work.count_blocks),
        ("directory-linked-twice", work.unlink_twin),
        ("inode-unreferenced", work.clear),
        ("directory-orphan", work.clear_directory),
        ("inode-links", work.count_links),
    )
    for kind, mend in order:
        chosen = [finding for finding in findings if finding.kind == kind]
        done = [mend(finding) for finding in chosen]
        if any(done):
            return True  # the rest follows from what is seen next
    return False


class _Inodes:
    def __init__(self, overlay: Overlay, survey: Survey, actions: list[str]) -> None:
        self._overlay, self._survey, self._actions = overlay, survey, actions
        self._hashed = has_hash(survey.fs, CK_INODE)

    def rehash(self, finding: Finding) -> bool:
        number = int(finding.where["inode"])
        self._write(number, self._survey.read_inode(number))
        self._actions.append(f"inode {number}: check-hash corrected")
        return True

    def count_blocks(self, finding: Finding) -> bool:
        number, blocks = int(finding.where["inode"]), _int(finding.expected)
        inode = self._survey.read_inode(number)
        self._actions.append(f"inode {number}: block count {inode.di_blocks} corrected to {blocks}")
        inode.di_blocks = blocks
        self._write(number, inode)
        return True

    def count_links(self, finding: Finding) -> bool:
        """Links without a name are taken away; names without a link, which could be given, are not preened."""
        number, names = int(finding.where["inode"]), _int(finding.expected)
        inode = self._survey.read_inode(number)
        if names > inode.di_nlink:
            raise RepairRefusedError([finding])
        self._actions.append(f"inode {number}: link count {inode.di_nlink} corrected to {names}")
        inode.di_nlink = names
        self._write(number, inode)
        return True

    def clear(self, finding: Finding) -> bool:
        """A file under no name: soft updates leave only those that were being made or removed."""
        number = int(finding.where["inode"])
        inode = self._survey.read_inode(number)
        if inode.di_nlink and inode.di_size and not self._survey.fs.fs_flags & FS_DOSOFTDEP:
            return False  # it is reconnected
        self._clear(number, inode)
        return True

    def clear_directory(self, finding: Finding) -> bool:
        """A directory under no name that holds nothing."""
        number = int(finding.where["inode"])
        records = self._survey.contents.get(number, [])
        if any(not isinstance(record, Record) or record.name not in (b".", b"..") for record in records):
            return False
        self._clear(number, self._survey.read_inode(number))
        return True

    def _clear(self, number: int, inode: Ufs2Dinode) -> None:
        kind = "directory" if stat.S_ISDIR(inode.di_mode) else "file"
        self._write(number, Ufs2Dinode(di_gen=inode.di_gen))
        self._actions.append(f"inode {number}: a {kind} of {inode.di_size} bytes without a name is cleared")

    def cut(self, finding: Finding) -> bool:
        """Take away the pointers of indirect blocks that reach beyond the end of a file."""
        number = int(finding.where["inode"])
        survey, inode = self._survey, self._survey.read_inode(number)
        geometry = survey.geometry
        blocks, nindir = howmany(inode.di_size, geometry.block_size), geometry.pointers_per_block
        first = UFS_NDADDR
        for level in range(UFS_NIADDR):
            if inode.di_ib[level] and first < blocks:
                self._cut_below(inode.di_ib[level], level, first, blocks)
            first += nindir ** (level + 1)
        self._actions.append(f"inode {number}: pointers beyond its end are taken away")
        return True

    def _cut_below(self, address: int, level: int, first: int, blocks: int) -> None:
        geometry = self._survey.geometry
        offset, nindir = address * geometry.fragment_size, geometry.pointers_per_block
        pointers = array("q", self._overlay.read_at(offset, geometry.block_size))
        swapped = self._survey.byteorder == "big"
        if swapped:
            pointers.byteswap()
        span = nindir**level
        keep = min(nindir, howmany(blocks - first, span))
        changed = any(pointers[keep:])
        if level and keep and pointers[keep - 1]:
            self._cut_below(pointers[keep - 1], level - 1, first + (keep - 1) * span, blocks)
        if changed:
            pointers[keep:] = array("q", bytes(8 * (nindir - keep)))
            if swapped:
                pointers.byteswap()
            self._overlay.write_at(offset, pointers.tobytes())

    def unlink_twin(self, finding: Finding) -> bool:
        """A directory under two names, after a move that was cut off: the one that its ``..`` agrees with stays."""
        survey, number = self._survey, int(finding.where["inode"])
        own = survey.contents.get(number, [])
        parents = [record.inode for record in own[:2] if isinstance(record, Record) and record.name == b".."]
        names = [
            (parent, record)
            for parent, records in survey.contents.items()
            for record in records
            if isinstance(record, Record) and record.inode == number and record.name not in (b".", b"..")
        ]
        kept = next(((parent, record) for parent, record in names if parents == [parent]), None)
        if kept is None:
            raise RepairRefusedError([finding])
        for parent, record in names:
            if (parent, record) != kept:
                self._remove(parent, record)
                name = record.name.decode("utf-8", "backslashreplace")
                self._actions.append(f"inode {number}: a directory under two names loses {name!r} in inode {parent}")
        return True

    def _remove(self, directory: int, record: Record) -> None:
        """Let a record of a directory lead nowhere (pass2.c: its d_ino becomes 0)."""
        survey = self._survey
        inode = survey.read_inode(directory)
        block, within = divmod(record.offset, survey.geometry.block_size)
        address = survey.blocks.run(inode, block, directory).address
        place = address * survey.geometry.fragment_size + within
        head = self._overlay.read_at(place, DIRECT_HEADER)
        self._overlay.write_at(place, bytes(4) + head[4:])

    def _write(self, number: int, inode: Ufs2Dinode) -> None:
        data = pack_inode(inode, self._survey.byteorder, hashed=self._hashed)
        self._overlay.write_at(self._survey.geometry.inode_offset(number), data)


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0
