"""What sets UFS1 apart from UFS2, all in one place: narrower inodes and pointers, and fields that moved.

Everything read is brought into the form of UFS2 at once, as FreeBSD's kernel does (``ffs_oldfscompat_read``): readers
and checkers then know one kind of superblock, group and inode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cloudboot_base.lightdata import replace
from cloudboot_ufs2.errors import UnsupportedError

from .constants import (
    FS_44INODEFMT,
    FS_FLAGS_UPDATED,
    FS_UFS1_MAGIC,
    SBLOCK_UFS1,
    SBLOCK_UFS2,
    UFS_NDADDR,
    UFS_NIADDR,
)
from .records import CsumTotal, Fs, Ufs1Dinode, Ufs2Dinode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudboot_records import ByteOrder

    from .records import Cg


class Dialect(Protocol):
    """The widths of one kind of UFS, and how its structures are read as those of UFS2."""

    name: str
    inode_size: int
    pointer_size: int
    shortlink: int  #: where the target of a short symbolic link stands in an inode, bytes
    superblock: int  #: where the superblock should stand, bytes

    def read_inode(self, data: bytes, at: int, byteorder: ByteOrder, *, base: int) -> Ufs2Dinode:
        """The inode at byte ``at``; ``base`` is where ``data`` begins in the image, for errors."""

    def facts(self, byteorder: ByteOrder) -> Callable[[bytes, int], tuple[int, ...]]:
        """What takes the fields that :class:`Stat` is made of from an inode at a byte of a table; see :data:`FACTS`."""

    def check_facts(self, data: bytes, byteorder: ByteOrder) -> Iterator[tuple[int, ...]]:
        """What a check looks at in every inode of a table: the values of :data:`CHECK_FACTS`."""

    def read_group(self, head: Cg, fs: Fs) -> Cg:
        """The head of a group with the fields UFS2 has."""


def inline_limit(dialect: Dialect) -> int:
    """The length from which on a symbolic link no longer fits its inode."""
    return (UFS_NDADDR + UFS_NIADDR) * dialect.pointer_size


#: Fields of :class:`Ufs2Dinode` in the order in which ``Dialect.facts`` gives them; of ``di_db`` the first pointer.
FACTS = (
    "di_mode", "di_nlink", "di_uid", "di_gid", "di_size", "di_blocks",
    "di_atime", "di_mtime", "di_ctime", "di_birthtime", "di_mtimensec", "di_atimensec", "di_ctimensec", "di_birthnsec",
    "di_gen", "di_flags", "di_db", "di_ckhash",
)  # fmt: skip

#: The same for ``Dialect.check_facts``; ``di_db`` is the first pointer.
CHECK_FACTS = (
    "di_mode", "di_nlink", "di_size", "di_blocks", "di_mtimensec", "di_atimensec", "di_ctimensec", "di_birthnsec",
    "di_flags", "di_extsize", "di_db", "di_ckhash",
)  # fmt: skip


class _Ufs2:
    name = "UFS2"
    inode_size = Ufs2Dinode.SIZE
    pointer_size = 8
    shortlink = Ufs2Dinode.LAYOUT.offsets["di_db"]
    superblock = SBLOCK_UFS2

    def read_inode(self, data: bytes, at: int, byteorder: ByteOrder, *, base: int) -> Ufs2Dinode:
        return Ufs2Dinode.unpack_from(data, at, byteorder, base=base)

    def facts(self, byteorder: ByteOrder) -> Callable[[bytes, int], tuple[int, ...]]:
        found: Callable[[bytes, int], tuple[int, ...]] = Ufs2Dinode.LAYOUT.pick(FACTS, byteorder).unpack_from
        return found

    def check_facts(self, data: bytes, byteorder: ByteOrder) -> Iterator[tuple[int, ...]]:
        return Ufs2Dinode.LAYOUT.pick(CHECK_FACTS, byteorder).iter_unpack(data)

    def read_group(self, head: Cg, fs: Fs) -> Cg:  # noqa: ARG002 -- UFS1 needs it
        return head


class _Ufs1:
    name = "UFS1"
    inode_size = Ufs1Dinode.SIZE
    pointer_size = 4
    shortlink = Ufs1Dinode.LAYOUT.offsets["di_db"]
    superblock = SBLOCK_UFS1

    def read_inode(self, data: bytes, at: int, byteorder: ByteOrder, *, base: int) -> Ufs2Dinode:
        old = Ufs1Dinode.unpack_from(data, at, byteorder, base=base)
        return Ufs2Dinode(**{name: getattr(old, name) for name in _SHARED})

    def facts(self, byteorder: ByteOrder) -> Callable[[bytes, int], tuple[int, ...]]:
        def facts(data: bytes, at: int) -> tuple[int, ...]:
            inode = self.read_inode(data, at, byteorder, base=0)
            values = (getattr(inode, name) for name in FACTS)
            return tuple(value[0] if isinstance(value, tuple) else value for value in values)

        return facts

    def check_facts(self, data: bytes, byteorder: ByteOrder) -> Iterator[tuple[int, ...]]:
        form = Ufs1Dinode.LAYOUT.pick([name for name in CHECK_FACTS if name in _SHARED], byteorder)
        for mode, links, size, accessed, modified, changed, first, flags, blocks in form.iter_unpack(data):
            yield mode, links, size, blocks, modified, accessed, changed, 0, flags, 0, first, 0

    def read_group(self, head: Cg, fs: Fs) -> Cg:
        # UFS1 has 16 bits for the count, and initialises every inode when it is made.
        niblk = fs.fs_ipg if head.cg_old_niblk == _signed16(fs.fs_ipg) else head.cg_old_niblk & 0xFFFF
        return replace(head, cg_niblk=head.cg_niblk or niblk, cg_initediblk=fs.fs_ipg)


_SHARED = tuple(field.name for field in Ufs1Dinode.LAYOUT.fields if field.name != "di_freelink")
UFS1: Dialect = _Ufs1()
UFS2: Dialect = _Ufs2()


def _signed16(value: int) -> int:
    return (value + 0x8000) % 0x10000 - 0x8000


def dialect_of(fs: Fs) -> Dialect:
    """The dialect a superblock announces by its magic."""
    return UFS1 if fs.fs_magic == FS_UFS1_MAGIC else UFS2


def modernised(fs: Fs, at: int) -> Fs:
    """The superblock found at byte ``at``, with the fields that UFS1 kept elsewhere before UFS2 existed.

    Raises:
        UnsupportedError: inodes and directories in the form of 4.2BSD.
    """
    if fs.fs_magic != FS_UFS1_MAGIC:
        return fs
    if fs.fs_old_inodefmt < FS_44INODEFMT:
        raise UnsupportedError(
            "UFS1 from before 4.4BSD", structure="Fs", field="fs_old_inodefmt",
            offset=at + Fs.LAYOUT.offsets["fs_old_inodefmt"], expected=FS_44INODEFMT, actual=fs.fs_old_inodefmt,
        )  # fmt: skip
    if not fs.fs_old_flags & FS_FLAGS_UPDATED:
        fs = replace(fs, fs_flags=fs.fs_old_flags, fs_sblockloc=at)
    if fs.fs_maxbsize == fs.fs_bsize:
        return fs
    old = fs.fs_old_cstotal
    return replace(
        fs,
        fs_maxbsize=fs.fs_bsize,
        fs_time=fs.fs_old_time,
        fs_size=fs.fs_old_size,
        fs_dsize=fs.fs_old_dsize,
        fs_csaddr=fs.fs_old_csaddr,
        fs_cstotal=CsumTotal(
            cs_ndir=old.cs_ndir, cs_nbfree=old.cs_nbfree, cs_nifree=old.cs_nifree, cs_nffree=old.cs_nffree
        ),
    )
