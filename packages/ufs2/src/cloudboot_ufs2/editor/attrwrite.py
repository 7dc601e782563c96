"""Extended attributes that change: the area is written anew beside the old one, and the inode turned to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_ufs2 import errors
from cloudboot_ufs2.builder.allocate import DATA
from cloudboot_ufs2.errors import AttributeAreaError, NoSpaceError
from cloudboot_ufs2.layout.constants import UFS_NXADDR
from cloudboot_ufs2.layout.geometry import howmany
from cloudboot_ufs2.reader.extattr import pack_attributes, parse_attributes, read_area

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_ufs2.reader.extattr import Attribute

    from .transaction import Transaction


def with_attribute(found: list[Attribute], new: Attribute) -> list[Attribute]:
    """``found`` with ``new`` in place of the one of its name, or after all."""
    changed = [new if (old.namespace, old.name) == (new.namespace, new.name) else old for old in found]
    return changed if new in changed else [*changed, new]


def without_attribute(found: list[Attribute], old: Attribute) -> list[Attribute]:
    """``found`` without the one of the name of ``old``.

    Raises:
        AttributeNotFoundError: there is no attribute of that name.
    """
    kept = [other for other in found if (other.namespace, other.name) != (old.namespace, old.name)]
    if len(kept) == len(found):
        raise errors.AttributeNotFoundError(f"no extended attribute {old.full_name}")
    return kept


def replace_attributes(
    transaction: Transaction, number: int, change: Callable[[list[Attribute]], list[Attribute]]
) -> None:
    """Let the attributes of an inode be what ``change`` makes of them.

    Raises:
        AttributeAreaError: those it has do not hold together.
        NoSpaceError: they do not fit two blocks, or the file system is full.
    """
    store, byteorder = transaction.store, transaction.byteorder
    inode = transaction.inode(number)
    found = list(parse_attributes(read_area(store.storage, store.geometry, inode, number), byteorder, inode=number))
    area = pack_attributes(change(found), byteorder)
    bsize = store.geometry.block_size
    if len(area) > UFS_NXADDR * bsize:
        raise NoSpaceError("the attributes of a file fit two blocks", available=UFS_NXADDR * bsize)
    addresses = [_write(transaction, number, area[start : start + bsize]) for start in range(0, len(area), bsize)]
    release_attributes(transaction, number)
    inode.di_extsize = len(area)
    inode.di_extb = (*addresses, *(0,) * (UFS_NXADDR - len(addresses)))
    transaction.touch(inode, content=False)


def _write(transaction: Transaction, number: int, data: bytes) -> int:
    """Put up to a block of attributes somewhere; where."""
    geometry, space = transaction.geometry, transaction.space
    count, group = howmany(len(data), geometry.fragment_size), number // geometry.group_inodes
    if count == geometry.fragments_per_block:
        address, _ = space.take_blocks(group, 0, 1, DATA)
    else:
        address = space.take_fragments(group, 0, count, DATA)
    size = count * geometry.fragment_size
    transaction.write(address * geometry.fragment_size, data.ljust(size, b"\0"))
    transaction.inode(number).di_blocks += size // 512
    return address


def release_attributes(transaction: Transaction, number: int) -> None:
    """Give back the blocks of an inode's attributes.

    Raises:
        AttributeAreaError: there are blocks beyond their size.
        BlockError: a block is marked free already.
    """
    inode, geometry = transaction.inode(number), transaction.geometry
    for block, address in enumerate(inode.di_extb):
        if address:
            held = howmany(
                min(geometry.block_size, inode.di_extsize - block * geometry.block_size), geometry.fragment_size
            )
            if held <= 0:
                raise AttributeAreaError(
                    f"inode {number}: more attributes than it says", structure="Ufs2Dinode", field="di_extb",
                    expected=0, actual=address,
                )  # fmt: skip
            transaction.space.give_fragments(address, held)
            inode.di_blocks -= held * (geometry.fragment_size // 512)
    inode.di_extsize, inode.di_extb = 0, (0,) * UFS_NXADDR
