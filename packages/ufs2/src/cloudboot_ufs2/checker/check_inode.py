"""The pass over inodes: their fields, their blocks, their check-hashes, and the map that says which are in use."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import numpy as np

from cloudboot_ufs2.errors import AttributeAreaError, BlockError, ImageTruncatedError
from cloudboot_ufs2.layout.constants import (
    BLK_SNAP,
    CK_INODE,
    SF_SNAPSHOT,
    UFS_NDADDR,
    UFS_NIADDR,
    UFS_NXADDR,
    UFS_ROOTINO,
)
from cloudboot_ufs2.layout.geometry import howmany, roundup
from cloudboot_ufs2.layout.hashes import check_hashes
from cloudboot_ufs2.layout.records import Ufs2Dinode
from cloudboot_ufs2.layout.superblock import has_hash
from cloudboot_ufs2.layout.ufs1 import UFS2, inline_limit
from cloudboot_ufs2.reader.extattr import NAMESPACES, parse_attributes, read_area

from .block_owners import Claims, claim_block, take

if TYPE_CHECKING:
    import numpy.typing as npt

    from cloudboot_ufs2.layout.group import Bools

    from .fragmentmap import Ints
    from .survey import Survey

    Rows = npt.NDArray[np.void]

_BATCH = 4096
_CKHASH = Ufs2Dinode.LAYOUT.offsets["di_ckhash"]
_KINDS = (stat.S_IFIFO, stat.S_IFCHR, stat.S_IFDIR, stat.S_IFBLK, stat.S_IFREG, stat.S_IFLNK, stat.S_IFSOCK)
_SECOND = 1_000_000_000


def check_inodes(survey: Survey) -> None:
    """Read every initialised inode once."""
    geometry = survey.geometry
    size = geometry.inode_size
    for group, facts in enumerate(survey.groups):
        first = group * geometry.group_inodes
        initialised = geometry.group_inodes if facts is None else facts.initialised
        offset = geometry.inode_offset(first)
        readable = max(0, min(initialised, (survey.storage.size - offset) // size))
        survey.modes.reserve(group, readable)
        survey.links.reserve(group, readable)
        for start in range(0, readable, _BATCH):
            count = min(_BATCH, readable - start)
            data = survey.storage.read_at(offset + start * size, count * size)
            rows = survey.dialect.read_inodes(data, survey.byteorder)
            octets = np.frombuffer(data, dtype=np.uint8).reshape(count, size)
            _Batch(survey, rows, octets, first + start).check()
        _check_map(survey, group)


class _Batch:
    """Consecutive inodes of one group."""

    def __init__(self, survey: Survey, rows: Rows, octets: npt.NDArray[np.uint8], first: int) -> None:
        self.survey, self.rows, self.octets, self.first = survey, rows, octets, first
        self.geometry = survey.geometry
        self.mode = rows["di_mode"].astype(np.int64)
        self.numbers = np.arange(first, first + len(rows), dtype=np.int64)

    def check(self) -> None:
        rows, survey = self.rows, self.survey
        kind = self.mode & 0o170000
        reserved = self.numbers < UFS_ROOTINO
        pointers = rows["di_db"].any(axis=1) | rows["di_ib"].any(axis=1)
        unclear = (kind == 0) & ((self.mode != 0) | pointers | (rows["di_size"] != 0)) & ~reserved
        self.report(unclear, "inode-not-clear", "not in use, but not empty", field="di_mode", actual=self.mode)
        used = (kind != 0) & ~reserved
        known = used & np.isin(kind, _KINDS)
        self.report(used & ~known, "inode-mode", "an unknown type of file", field="di_mode", actual=self.mode)
        group, start = divmod(self.first, self.geometry.group_inodes)
        end = start + len(rows)
        survey.modes.reserve(group, end)[start:end] = np.where(known, self.mode, 0)
        survey.links.reserve(group, end)[start:end] = np.where(known, rows["di_nlink"], 0)
        self.check_hashes(used)
        for field in ("di_mtimensec", "di_atimensec", "di_ctimensec", "di_birthnsec"):
            wrong = known & ((rows[field] < 0) | (rows[field] >= _SECOND))
            self.report(wrong, "inode-time", "not nanoseconds", field=field, actual=rows[field])
        limit = self.geometry.max_file_size
        too_large = known & (rows["di_size"] > np.uint64(limit))
        self.report(
            too_large,
            "inode-size",
            "larger than any file",
            field="di_size",
            actual=rows["di_size"],
            expected=f"at most {limit}",
        )
        self.check_blocks(known & ~too_large, kind)

    def report(
        self, wrong: Bools, kind: str, message: str, *, field: str, actual: Ints, expected: object = None
    ) -> None:
        for index in np.flatnonzero(wrong).tolist():
            self.survey.add_inode(
                kind, self.first + index, message, field, expected=expected, actual=int(actual[index])
            )

    def check_hashes(self, used: Bools) -> None:
        if self.survey.dialect is not UFS2 or not has_hash(self.survey.fs, CK_INODE) or not used.any():
            return
        chosen = np.flatnonzero(used)
        blank = self.octets[chosen]
        blank[:, _CKHASH : _CKHASH + 4] = 0
        expected = check_hashes(blank)
        stored = self.rows["di_ckhash"][chosen]
        for index in np.flatnonzero(expected != stored).tolist():
            self.survey.add_inode(
                "inode-hash",
                int(self.numbers[chosen[index]]),
                "the check-hash is not that of the bytes",
                "di_ckhash",
                expected=int(expected[index]),
                actual=int(stored[index]),
            )

    def check_blocks(self, chosen: Bools, kind: Ints) -> None:
        """Pointers against the size, and di_blocks against the pointers."""
        rows, geometry = self.rows, self.geometry
        bsize, fsize, frag = geometry.block_size, geometry.fragment_size, geometry.fragments_per_block
        size = np.where(chosen, rows["di_size"], 0).astype(np.int64)
        special = ~np.isin(kind, (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK))
        inline = (kind == stat.S_IFLNK) & (size < inline_limit(self.survey.dialect))
        self.check_without_blocks(chosen, special, inline)
        plain = chosen & ~special & ~inline
        self.check_long_targets(plain & (kind == stat.S_IFLNK))
        snapshots = plain & ((rows["di_flags"] & SF_SNAPSHOT) != 0)
        plain &= ~snapshots
        blocks = np.where(plain, -(-size // bsize), 0)
        db = rows["di_db"].astype(np.int64)
        column = np.arange(UFS_NDADDR)
        within = column < blocks[:, None]
        self.report_beyond(plain, db, ~within, field="di_db")
        counts = np.full(db.shape, frag, dtype=np.int64)
        last = np.flatnonzero(plain & (blocks > 0) & (blocks <= UFS_NDADDR))
        counts[last, blocks[last] - 1] = -(-(size[last] - (blocks[last] - 1) * bsize) // fsize)
        held = np.where(within & (db != 0), counts, 0).sum(axis=1)
        row, block = np.nonzero(within & (db != 0))
        parts = [Claims(db[row, block], counts[row, block], self.numbers[row], block)]
        reach = _reach(geometry.pointers_per_block)
        ib = rows["di_ib"].astype(np.int64)
        self.report_beyond(plain, ib, np.array(reach[:UFS_NIADDR]) >= blocks[:, None], field="di_ib")
        held += self.attribute_claims(chosen, parts)
        take(self.survey, Claims.join(parts))
        for index in np.flatnonzero(snapshots).tolist():
            self.claim_snapshot(index)
        hole = np.zeros(len(rows), dtype=np.bool_)
        hole[last] = db[last, blocks[last] - 1] == 0
        for index in np.flatnonzero(blocks > UFS_NDADDR).tolist():
            descent = _Descent(self.survey, self.first + index, int(blocks[index]))
            for level in range(UFS_NIADDR):
                if reach[level] < blocks[index]:
                    descent.follow(int(ib[index, level]), level, reach[level])
            held[index] += descent.held
            hole[index] = descent.last != blocks[index] - 1
        self.report(hole, "inode-trailing-hole", "the last block is a hole", field="di_size", actual=rows["di_size"])
        expected = held * (fsize // 512)
        for index in np.flatnonzero((chosen & ~snapshots) & (rows["di_blocks"] != expected.astype(np.uint64))).tolist():
            self.survey.add_inode(
                "inode-blocks",
                self.first + index,
                "not the space it holds",
                "di_blocks",
                expected=int(expected[index]),
                actual=int(rows["di_blocks"][index]),
            )

    def claim_snapshot(self, index: int) -> None:
        """Claim what a snapshot has copied; its other pointers are holes or marks, and its size is the volume's."""
        inode = self.rows[index]
        addresses = inode["di_db"].astype(np.int64)
        blocks = np.flatnonzero(addresses > BLK_SNAP)
        descent = _Descent(self.survey, self.first + index, 1 << 62, marks=BLK_SNAP)
        if len(blocks):
            descent.claim_data(addresses[blocks], blocks)
        for level in range(UFS_NIADDR):
            descent.follow(int(inode["di_ib"][level]), level, _reach(self.geometry.pointers_per_block)[level])

    def report_beyond(self, plain: Bools, pointers: Ints, beyond: Bools, field: str) -> None:
        wrong = plain[:, None] & beyond & (pointers != 0)
        first = wrong.argmax(axis=1)
        self.report(
            wrong.any(axis=1),
            "inode-blocks-beyond-size",
            "a pointer beyond the end of the file",
            field=field,
            actual=pointers[np.arange(len(first)), first],
            expected=0,
        )

    def check_without_blocks(self, chosen: Bools, special: Bools, inline: Bools) -> None:
        """Devices, pipes and sockets have no size; after the target of an inline link there is nothing."""
        size = self.rows["di_size"]
        wrong = chosen & special & (size != 0)
        self.report(wrong, "inode-size", "a special file with a size", field="di_size", actual=size, expected=0)
        start, end = self.survey.dialect.shortlink, inline_limit(self.survey.dialect)
        for index in np.flatnonzero(chosen & inline).tolist():
            target = self.octets[index, start : start + int(size[index])].tobytes()
            if not target or b"\0" in target:
                self.report_target(index, target)
            # fsck looks at whole pointers, so what shares one with the end of the target is let pass.
            rest = self.octets[index, start + roundup(int(size[index]), 8) : start + end]
            if rest.any():
                self.survey.add_inode(
                    "inode-link-padding", self.first + index, "something follows the target", "di_db", expected=0
                )

    def report_target(self, index: int, target: bytes) -> None:
        message = "a target that a NUL cuts" if target else "a symbolic link without a target"
        self.survey.add_inode("inode-link-target", self.first + index, message, "di_db", actual=target)

    def check_long_targets(self, chosen: Bools) -> None:
        """The targets of symbolic links that are in blocks, as far as the first of them."""
        geometry, survey = self.geometry, self.survey
        for index in np.flatnonzero(chosen).tolist():
            address, size = int(self.rows["di_db"][index][0]), int(self.rows["di_size"][index])
            if 0 < address < geometry.size - geometry.fragments_per_block:
                target = survey.storage.read_at(address * geometry.fragment_size, min(size, geometry.block_size))
                if b"\0" in target:
                    self.report_target(index, target)

    def attribute_claims(self, chosen: Bools, parts: list[Claims]) -> Ints:
        """Claim the blocks of extended attributes; the fragments they hold, per inode."""
        rows, geometry = self.rows, self.geometry
        bsize, fsize = geometry.block_size, geometry.fragment_size
        extb = rows["di_extb"].astype(np.int64)
        extsize = rows["di_extsize"].astype(np.int64)
        held = np.zeros(len(rows), dtype=np.int64)
        for index in np.flatnonzero(chosen & ((extsize != 0) | extb.any(axis=1))).tolist():
            number, size = self.first + index, int(extsize[index])
            blocks = howmany(size, bsize)
            pointers = extb[index].tolist()
            if blocks > UFS_NXADDR or any(pointers[blocks:]) or not all(pointers[:blocks]):
                self.survey.add_inode("inode-extsize", number, "not what its pointers hold", "di_extsize", actual=size)
            for block, address in enumerate(pointers[:blocks]):
                if address:
                    count = howmany(min(bsize, size - block * bsize), fsize)
                    held[index] += count
                    values = (address, count, number, -2 - block)
                    parts.append(Claims(*(np.array([value], dtype=np.int64) for value in values)))
            self.check_attributes(index)
        return held

    def check_attributes(self, index: int) -> None:
        """Whether the records of an inode's attributes hold together; where they are is checked elsewhere."""
        survey, number = self.survey, self.first + index
        inode = Ufs2Dinode.unpack_from(self.octets[index].tobytes(), 0, survey.byteorder)
        try:
            area = read_area(survey.storage, self.geometry, inode, number)
            for attribute in parse_attributes(area, survey.byteorder, inode=number):
                if attribute.namespace not in NAMESPACES:
                    survey.add_inode(
                        "inode-attributes", number, "an unknown namespace", "di_extb", actual=attribute.namespace
                    )
        except AttributeAreaError as error:
            if error.structure == "Extattr":
                survey.add_inode(
                    "inode-attributes", number, error.message, "di_extb", expected=error.expected, actual=error.actual
                )
        except (BlockError, ImageTruncatedError):
            return  # the claims report the pointer


def _reach(pointers: int) -> list[int]:
    """The first logical block below each of di_ib, and the one after the last."""
    reach = [UFS_NDADDR]
    for level in range(1, UFS_NIADDR + 1):
        reach.append(reach[-1] + pointers**level)
    return reach


class _Descent:
    """Through the indirect blocks of one file. A block is read once at most, since it is claimed first.

    Pointers up to ``marks`` are no addresses.
    """

    def __init__(self, survey: Survey, inode: int, blocks: int, *, marks: int = 0) -> None:
        self.marks = marks
        self.survey, self.inode, self.blocks = survey, inode, blocks
        self.frag = survey.geometry.fragments_per_block
        self.held = 0
        self.last = -1  #: the last logical block that is allocated

    def follow(self, root: int, level: int, first: int) -> None:
        """Claim everything below ``root``, which is ``level`` levels above the leaves and begins at ``first``."""
        survey, nindir = self.survey, self.survey.geometry.pointers_per_block
        pending = [(root, level, first)]
        while pending:
            address, level, first = pending.pop()
            if 0 <= address <= self.marks:
                continue
            self.held += self.frag
            if not claim_block(survey, address, self.inode):
                continue
            data = survey.storage.read_at(address * survey.geometry.fragment_size, survey.geometry.block_size)
            pointers = np.frombuffer(data, dtype=survey.blocks.dtype).astype(np.int64)
            slots = np.flatnonzero((pointers < 0) | (pointers > self.marks))
            span = nindir**level
            # Whole subtrees beyond the end as well as single blocks.
            beyond = slots[first + slots * span >= self.blocks] if span < 1 << 40 else slots[:0]
            if len(beyond):
                survey.add_inode(
                    "inode-partial-truncation", self.inode, "indirect blocks reach beyond the end of the file", "di_ib",
                    expected=0, actual=int(pointers[beyond[0]]),
                )  # fmt: skip
                slots = slots[: len(slots) - len(beyond)]
            if level:
                pending.extend(
                    (int(pointers[slot]), level - 1, first + slot * span) for slot in reversed(slots.tolist())
                )
            elif len(slots):
                self.claim_data(pointers[slots], first + slots)

    def claim_data(self, addresses: Ints, blocks: Ints) -> None:
        count = len(addresses)
        self.held += count * self.frag
        self.last = max(self.last, int(blocks[-1]))
        take(
            self.survey,
            Claims(
                addresses,
                np.full(count, self.frag, dtype=np.int64),
                np.full(count, self.inode, dtype=np.int64),
                blocks,
            ),
        )


def _check_map(survey: Survey, group: int) -> None:
    """Which inodes are in use, against the map of the group."""
    facts = survey.groups[group]
    if facts is None:
        return
    geometry = survey.geometry
    first = group * geometry.group_inodes
    used = survey.modes.group(group, geometry.group_inodes) != 0
    if group == 0:
        used[:UFS_ROOTINO] = True
    _, marked, _ = survey.maps(facts)
    beyond = marked.copy()
    beyond[: facts.initialised] = False
    for kind, wrong, message in (
        ("inode-beyond-initialised", beyond, "marked in use beyond the initialised inodes"),
        ("inode-marked-free", used & ~marked, "in use but marked free"),
        ("inode-marked-used", ~used & marked & ~beyond, "not in use but marked so"),
    ):
        for index in np.flatnonzero(wrong).tolist():
            survey.add_inode(kind, first + index, message, "cg_inosused")
