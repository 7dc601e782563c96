"""Inodes by number: the blocks they are in are read once, and check-hashes compared before anything is believed."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from cloudboot_ufs2.errors import CheckHashError, InodeError
from cloudboot_ufs2.layout.constants import UFS_ROOTINO
from cloudboot_ufs2.layout.hashes import check_hash
from cloudboot_ufs2.layout.inode import CKHASH, inode_hash
from cloudboot_ufs2.layout.records import Ufs2Dinode
from cloudboot_vfs import Stat

from .blocks import read

if TYPE_CHECKING:
    from cloudboot_base import Storage
    from cloudboot_records import ByteOrder
    from cloudboot_ufs2.layout.geometry import Geometry
    from cloudboot_ufs2.layout.ufs1 import Dialect

_CACHED_TABLES = 64
_DEVICES = (0o020000, 0o060000)  # S_IFCHR, S_IFBLK


class InodeTable:
    """The inodes of a file system."""

    def __init__(
        self, storage: Storage, geometry: Geometry, dialect: Dialect, byteorder: ByteOrder, *, hashed: bool
    ) -> None:
        """``hashed`` says whether check-hashes are there and are to be compared."""
        self._storage, self._geometry, self._dialect, self._byteorder = storage, geometry, dialect, byteorder
        self._hashed = hashed
        self._each, self._per_block = geometry.inode_size, geometry.inodes_per_block
        self._largest = geometry.max_file_size
        self._facts = dialect.facts(byteorder)
        self._tables: OrderedDict[int, bytes] = OrderedDict()

    def read(self, number: int) -> Ufs2Dinode:
        """The inode ``number``, in use or not.

        Raises:
            InodeError: there is no such inode.
            CheckHashError: it is in use and its check-hash is wrong.
        """
        table = self._table(number)
        within = number % self._per_block * self._each
        position = self._geometry.inode_offset(number)
        inode = self._dialect.read_inode(table, within, self._byteorder, base=position - within)
        if self._hashed and inode.di_mode:
            expected = inode_hash(table[within : within + self._each])
            if expected != inode.di_ckhash:
                raise CheckHashError(
                    f"inode {number} is damaged",
                    structure="Ufs2Dinode",
                    field="di_ckhash",
                    offset=position,
                    expected=expected,
                    actual=inode.di_ckhash,
                )
        return inode

    def used(self, number: int) -> Ufs2Dinode:
        """The inode ``number``, which must be in use.

        Raises:
            InodeError: there is no such inode, it is free, or larger than any file.
            CheckHashError: its check-hash is wrong.
        """
        inode = self.read(number)
        if not inode.di_mode:
            raise InodeError(
                f"inode {number} is not in use", structure="Ufs2Dinode", offset=self._geometry.inode_offset(number)
            )
        if inode.di_size > self._largest:
            raise InodeError(
                f"inode {number} is larger than any file",
                structure="Ufs2Dinode",
                field="di_size",
                offset=self._geometry.inode_offset(number),
                expected=f"at most {self._largest}",
                actual=inode.di_size,
            )
        return inode

    def stat(self, number: int) -> Stat:
        """What the inode ``number`` says; the errors are those of :meth:`used`."""
        # Listing a tree comes to this, so it takes the fields it wants from the table instead of making a record.
        table = self._tables.get(number // self._per_block)
        if table is None or number < UFS_ROOTINO:
            table = self._table(number)
        at = number % self._per_block * self._each
        (
            mode, links, uid, gid, size, blocks, atime, mtime, ctime, birthtime,
            mtime_ns, atime_ns, ctime_ns, birth_ns, generation, flags, device, expected,
        ) = self._facts(table, at)  # fmt: skip
        if not mode or size > self._largest or (self._hashed and expected != _hash_at(table, at)):
            self.used(number)  # which says what is wrong
        return Stat._make((
            mode, number, links, uid, gid, size, blocks,
            atime * 1_000_000_000 + atime_ns,
            mtime * 1_000_000_000 + mtime_ns,
            ctime * 1_000_000_000 + ctime_ns,
            birthtime * 1_000_000_000 + birth_ns,
            flags, generation, device if mode & 0o170000 in _DEVICES else 0,
        ))  # fmt: skip

    def forget(self, number: int) -> None:
        """Inode ``number`` has changed."""
        self._tables.pop(number // self._per_block, None)

    def _table(self, number: int) -> bytes:
        """The block of inodes that ``number`` is in."""
        if not UFS_ROOTINO <= number < self._geometry.inode_count:
            raise InodeError(
                "no such inode", field="inode", expected=f"2 to {self._geometry.inode_count - 1}", actual=number
            )
        # A group's inodes are whole blocks, so the blocks of all groups can be counted through.
        slot = number // self._per_block
        found = self._tables.get(slot)
        if found is None:
            start = self._geometry.inode_offset(slot * self._per_block)
            found = self._tables[slot] = read(self._storage, start, self._geometry.block_size)
            if len(self._tables) > _CACHED_TABLES:
                self._tables.popitem(last=False)
        return found


def _hash_at(table: bytes, at: int) -> int:
    """The check-hash the inode at byte ``at`` of a table should carry."""
    return check_hash(table[at : at + CKHASH] + b"\0\0\0\0" + table[at + CKHASH + 4 : at + Ufs2Dinode.SIZE])
