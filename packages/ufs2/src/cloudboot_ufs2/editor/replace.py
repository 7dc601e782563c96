"""Files written whole: the new content stands complete in free space before a name or an inode leads to it.

A file with one name keeps its inode, which turns from the old blocks to the new ones with one write. One with several
names is replaced under the one that was asked for, by a file of its own; its other names keep the old content.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from cloudboot_base.lightdata import dataclass, replace
from cloudboot_ufs2.builder.content import parts_of, runs_without_zeros
from cloudboot_ufs2.errors import IsADirectoryError as IsADirectory
from cloudboot_ufs2.errors import PathError
from cloudboot_ufs2.layout.constants import DT_LNK, DT_REG, UFS_NDADDR, UFS_NIADDR
from cloudboot_ufs2.layout.geometry import howmany
from cloudboot_ufs2.reader.extattr import parse_attributes, read_area

from .attrwrite import replace_attributes
from .blockwrite import FileSpace
from .capacity import measurable, need_of_data, require_room
from .transaction import Stage

if TYPE_CHECKING:
    import os

    from typing_extensions import Buffer

    from cloudboot_ufs2.builder.content import Readable
    from cloudboot_ufs2.layout.geometry import Geometry
    from cloudboot_ufs2.layout.records import Ufs2Dinode

    from .operation import Operation

_CHUNK = 1 << 20
_IN_PLACE = "--in-place (in_place=True) gives the old content up first"


@dataclass(frozen=True, slots=True)
class Place:
    """A name in a directory, and the inode it leads to; 0 if the name is free."""

    parent: int
    name: bytes
    number: int
    path: str


def write_content(
    operation: Operation,
    place: Place,
    data: Buffer | Readable | os.PathLike[str],
    *,
    sparse: bool,
    mode: int | None = None,
    owner: tuple[int, int] | None = None,
) -> int:
    """Make the file at ``place``, or give it other content, and the permissions and the owner; the number of bytes.

    Raises:
        IsADirectoryError: the path is a directory.
        PathError: a device, a pipe or a socket does.
        NoSpaceError: there is no room for the new content beside the old.
        OSError: the host's file cannot be read.
    """
    old = operation.inode(place.number) if place.number else None
    if old is not None and not stat.S_ISREG(old.di_mode):
        if stat.S_ISDIR(old.di_mode):
            raise IsADirectory(f"{place.path}: is a directory")
        raise PathError(f"{place.path}: not a regular file")
    if old is not None:
        operation.space.use_reserve()
    _require_room(operation, data, sparse=sparse, hint=_IN_PLACE if old is not None else None)
    if old is None:
        number = operation.new_file(place.parent, stat.S_IFREG | 0o644, uid=0, gid=0)
        size = _fill(operation, number, data, sparse=sparse)
        give(operation.inode(number), mode, owner)
        operation.stage_inode(number, Stage.GAIN)
        operation.add(place.parent, place.name, number, DT_REG)
        return size
    if old.di_nlink > 1:
        number = _successor(operation, place, old)
        size = _fill(operation, number, data, sparse=sparse)
        give(operation.inode(number), mode, owner)
        operation.stage_inode(number, Stage.GAIN)
        operation.replace_entry(place.parent, place.name, number, DT_REG)
        operation.lose(place.number)
        return size
    before = replace(old)
    old.di_db, old.di_ib, old.di_size = (0,) * UFS_NDADDR, (0,) * UFS_NIADDR, 0
    old.di_blocks = _attribute_blocks(operation.geometry, old)
    size = _fill(operation, place.number, data, sparse=sparse)
    give(old, mode, owner)
    operation.touch(old, content=True)
    if before.di_size:
        FileSpace(operation, place.number, before).shrink(0)
    return size


def give(inode: Ufs2Dinode, mode: int | None, owner: tuple[int, int] | None) -> None:
    """Set the permissions and the owner, where they are given."""
    if mode is not None:
        inode.di_mode = stat.S_IFMT(inode.di_mode) | mode & 0o7777
    if owner is not None:
        inode.di_uid, inode.di_gid = owner


def write_symlink(operation: Operation, place: Place, number: int) -> None:
    """Let the name at ``place`` lead to the symbolic link ``number``, which is complete.

    Raises:
        IsADirectoryError: the path is a directory.
    """
    operation.stage_inode(number, Stage.GAIN)
    if not place.number:
        operation.add(place.parent, place.name, number, DT_LNK)
        return
    if stat.S_ISDIR(operation.inode(place.number).di_mode):
        raise IsADirectory(f"{place.path}: is a directory")
    operation.replace_entry(place.parent, place.name, number, DT_LNK)
    operation.lose(place.number)


def _require_room(
    operation: Operation, data: Buffer | Readable | os.PathLike[str], *, sparse: bool, hint: str | None
) -> None:
    """Refuse what does not fit before the first byte is written, where its size is known."""
    if not measurable(data):
        return
    space, geometry = operation.space, operation.geometry
    need = need_of_data(geometry, data, sparse=sparse, exact=False)  # type: ignore[arg-type] # it is measurable
    fits = need.fragments(geometry.fragments_per_block) <= space.available and need.blocks <= space.total.cs_nbfree
    if not fits:
        exact = need_of_data(geometry, data, sparse=sparse)  # type: ignore[arg-type] # it is measurable
        require_room(space, geometry, exact, hint=hint)


def _fill(operation: Operation, number: int, data: Buffer | Readable | os.PathLike[str], *, sparse: bool) -> int:
    """The content of an inode that is empty; the number of bytes."""
    bsize = operation.geometry.block_size
    space = FileSpace(operation, number)
    size = 0
    for start, part in parts_of(data, max(bsize, _CHUNK)):
        for first, end in runs_without_zeros(part, bsize) if sparse else [(0, len(part))]:
            if first < end:
                space.reserve(start + first, start + end)
                done = first
                for offset, length in space.pieces(start + first, start + end):
                    operation.write(offset, part[done : done + length])
                    done += length
        size = start + len(part)
    if space.size < size:
        space.extend(size)
    return size


def _successor(operation: Operation, place: Place, old: Ufs2Dinode) -> int:
    """A new inode with what the old one has besides its content and its other names."""
    number = operation.new_file(place.parent, old.di_mode, uid=old.di_uid, gid=old.di_gid)
    inherit(operation, place.number, number)
    return number


def inherit(operation: Operation, number: int, successor: int) -> None:
    """Give the inode ``successor`` the permissions, owner, flags and extended attributes of another."""
    old, new = operation.inode(number), operation.inode(successor)
    new.di_mode, new.di_uid, new.di_gid, new.di_flags = old.di_mode, old.di_uid, old.di_gid, old.di_flags
    if old.di_extsize:
        store = operation.store
        area = read_area(store.storage, store.geometry, old, number)
        kept = list(parse_attributes(area, store.byteorder, inode=number))
        replace_attributes(operation, successor, lambda _: kept)


def _attribute_blocks(geometry: Geometry, inode: Ufs2Dinode) -> int:
    """di_blocks of an inode that holds nothing but its attributes."""
    bsize, fsize = geometry.block_size, geometry.fragment_size
    held = sum(
        howmany(min(bsize, inode.di_extsize - block * bsize), fsize)
        for block, address in enumerate(inode.di_extb)
        if address
    )
    return held * (fsize // 512)
