"""What inodes point to: blocks against the size, attributes, the targets of symbolic links, and the space they hold."""

from __future__ import annotations

import struct
from array import array
from typing import TYPE_CHECKING

from cloudboot_base.lightdata import NamedTuple
from cloudboot_ufs2.errors import AttributeAreaError, BlockError, ImageTruncatedError
from cloudboot_ufs2.layout.constants import (
    BLK_SNAP,
    DT_DIR,
    DT_LNK,
    DT_REG,
    UFS_NDADDR,
    UFS_NIADDR,
    UFS_NXADDR,
)
from cloudboot_ufs2.layout.geometry import howmany, roundup
from cloudboot_ufs2.layout.records import Ufs2Dinode
from cloudboot_ufs2.layout.ufs1 import UFS2, inline_limit
from cloudboot_ufs2.reader.extattr import NAMESPACES, parse_attributes, read_area

from .block_owners import take
from .descent import Descent, reach_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .block_owners import Claim
    from .survey import Survey

_EXTB = Ufs2Dinode.LAYOUT.offsets["di_extb"]


class Contents(NamedTuple):
    """What an inode says of its contents."""

    number: int
    at: int  #: where the inode begins in the table
    kind: int
    size: int
    sectors: int
    attribute_size: int
    is_snapshot: bool


class PointerCheck:
    """The pointers of consecutive inodes of one group, in the table ``data``."""

    def __init__(self, survey: Survey, data: bytes, first: int) -> None:
        self.survey, self.data, self.first, self.geometry = survey, data, first, survey.geometry
        #: of direct pointers
        self.claims: list[Claim] = []
        self._attributes: list[Claim] = []
        self._snapshots: list[tuple[int, Sequence[int]]] = []
        #: files with indirect blocks, their pointers to those, and what they hold otherwise
        self._deep: list[tuple[Contents, Sequence[int], int]] = []
        self._reach = reach_of(self.geometry.pointers_per_block)
        order, code = "<" if survey.byteorder == "little" else ">", "q" if survey.dialect.pointer_size == 8 else "i"
        self._pointers = struct.Struct(f"{order}{UFS_NDADDR + UFS_NIADDR}{code}")
        self._attribute_pointers = struct.Struct(f"{order}{UFS_NXADDR}q")

    def check(self, inode: Contents) -> None:
        """Check an inode in use; what its claims turn out to be is known after :meth:`finish`."""
        held, pointers = 0, self._pointers.unpack_from(self.data, inode.at + self.survey.dialect.shortlink)
        blocks, is_snapshot = 0, False
        if inode.kind not in (DT_REG, DT_DIR, DT_LNK):
            if inode.size:
                self._add(inode, "inode-size", "a special file with a size", "di_size", expected=0, actual=inode.size)
        elif inode.kind == DT_LNK and inode.size < inline_limit(self.survey.dialect):
            self._check_inline_target(inode)
        else:
            if inode.kind == DT_LNK:
                self._check_long_target(inode, pointers[0])
            is_snapshot = inode.is_snapshot
            if is_snapshot:
                self._snapshots.append((inode.number, pointers))
            else:
                blocks = howmany(inode.size, self.geometry.block_size)
                held = self._check_direct(inode, pointers, blocks)
        held += self._check_attributes(inode)
        if blocks > UFS_NDADDR:
            self._deep.append((inode, pointers[UFS_NDADDR:], held))
        elif not is_snapshot:
            self.report_held(inode.number, held, inode.sectors)

    def _check_direct(self, inode: Contents, pointers: Sequence[int], blocks: int) -> int:
        """Claim what direct pointers lead to; the fragments held."""
        bsize, frag = self.geometry.block_size, self.geometry.fragments_per_block
        held = 0
        for block, address in enumerate(pointers[: min(blocks, UFS_NDADDR)]):
            if address:
                count = frag
                if block == blocks - 1:
                    count = howmany(inode.size - block * bsize, self.geometry.fragment_size)
                held += count
                self.claims.append((address, count, inode.number, block))
        beyond = next(filter(None, pointers[min(blocks, UFS_NDADDR) : UFS_NDADDR]), 0)
        if beyond:
            self._report_beyond(inode, "di_db", beyond)
        for level, address in enumerate(pointers[UFS_NDADDR:]):
            if address and self._reach[level] >= blocks:
                self._report_beyond(inode, "di_ib", address)
                break
        if 0 < blocks <= UFS_NDADDR and not pointers[blocks - 1]:
            self._report_hole(inode)
        return held

    def report_held(self, number: int, held: int, sectors: int) -> None:
        """Report ``sectors`` if they are not those of ``held`` fragments."""
        expected = held * (self.geometry.fragment_size // 512)
        if sectors != expected:
            self.survey.add_inode(
                "inode-blocks", number, "not the space it holds", "di_blocks", expected=expected, actual=sectors
            )

    def finish(self) -> None:
        """Make the claims, direct ones first, then those of indirect blocks."""
        take(self.survey, self.claims + self._attributes)
        for number, pointers in self._snapshots:
            self._claim_snapshot(number, pointers)
        for inode, roots, held in self._deep:
            blocks = howmany(inode.size, self.geometry.block_size)
            descent = Descent(self.survey, inode.number, blocks)
            for level, root in enumerate(roots):
                if self._reach[level] < blocks:
                    descent.follow(root, level, self._reach[level])
            if descent.last != blocks - 1:
                self._report_hole(inode)
            self.report_held(inode.number, held + descent.held, inode.sectors)

    def _claim_snapshot(self, number: int, pointers: Sequence[int]) -> None:
        """Claim what a snapshot has copied; its other pointers are holes or marks, and its size is the volume's."""
        descent = Descent(self.survey, number, 1 << 62, marks=BLK_SNAP)
        direct = [pointer if pointer > BLK_SNAP else 0 for pointer in pointers[:UFS_NDADDR]]
        descent.claim_data(array("q", direct), 0)
        for level, root in enumerate(pointers[UFS_NDADDR:]):
            descent.follow(root, level, self._reach[level])

    # Symbolic links

    def _check_inline_target(self, inode: Contents) -> None:
        """After the target of an inline link there is nothing."""
        start = inode.at + self.survey.dialect.shortlink
        target = self.data[start : start + inode.size]
        if not target or b"\0" in target:
            self._report_target(inode, target)
        # fsck looks at whole pointers, so what shares one with the end of the target is let pass.
        if any(self.data[start + roundup(inode.size, 8) : start + inline_limit(self.survey.dialect)]):
            self._add(inode, "inode-link-padding", "something follows the target", "di_db", expected=0)

    def _check_long_target(self, inode: Contents, address: int) -> None:
        """The target of a symbolic link that is in blocks, as far as the first of them."""
        geometry = self.geometry
        if 0 < address < geometry.size - geometry.fragments_per_block:
            offset, size = address * geometry.fragment_size, min(inode.size, geometry.block_size)
            target = self.survey.storage.read_at(offset, size)
            if b"\0" in target:
                self._report_target(inode, target)

    def _report_target(self, inode: Contents, target: bytes) -> None:
        message = "a target that a NUL cuts" if target else "a symbolic link without a target"
        self._add(inode, "inode-link-target", message, "di_db", actual=target)

    # Extended attributes

    def _check_attributes(self, inode: Contents) -> int:
        """Claim the blocks of extended attributes and look into them; the fragments they hold."""
        if self.survey.dialect is not UFS2:
            return 0
        bsize, size = self.geometry.block_size, inode.attribute_size
        pointers = self._attribute_pointers.unpack_from(self.data, inode.at + _EXTB)
        if not size and not any(pointers):
            return 0
        blocks = howmany(size, bsize)
        if blocks > UFS_NXADDR or any(pointers[blocks:]) or not all(pointers[:blocks]):
            self._add(inode, "inode-extsize", "not what its pointers hold", "di_extsize", actual=size)
        held = 0
        for block, address in enumerate(pointers[:blocks]):
            if address:
                count = howmany(min(bsize, size - block * bsize), self.geometry.fragment_size)
                held += count
                self._attributes.append((address, count, inode.number, -2 - block))
        try:
            whole = Ufs2Dinode.unpack_from(self.data, inode.at, self.survey.byteorder)
            area = read_area(self.survey.storage, self.geometry, whole, inode.number)
            for attribute in parse_attributes(area, self.survey.byteorder, inode=inode.number):
                if attribute.namespace not in NAMESPACES:
                    self._add(inode, "inode-attributes", "an unknown namespace", "di_extb", actual=attribute.namespace)
        except AttributeAreaError as error:
            if error.structure == "Extattr":
                self._add(
                    inode, "inode-attributes", error.message, "di_extb", expected=error.expected, actual=error.actual
                )
        except (BlockError, ImageTruncatedError):
            pass  # the claims report the pointer
        return held

    # Findings

    def _report_beyond(self, inode: Contents, field: str, pointer: int) -> None:
        message = "a pointer beyond the end of the file"
        self._add(inode, "inode-blocks-beyond-size", message, field, expected=0, actual=pointer)

    def _report_hole(self, inode: Contents) -> None:
        self._add(inode, "inode-trailing-hole", "the last block is a hole", "di_size", actual=inode.size)

    def _add(
        self, inode: Contents, kind: str, message: str, field: str, *, expected: object = None, actual: object = None
    ) -> None:
        self.survey.add_inode(kind, inode.number, message, field, expected=expected, actual=actual)
