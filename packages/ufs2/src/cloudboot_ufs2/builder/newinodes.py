"""The inode table of a new file system, and the indirect blocks its inodes point to."""

from __future__ import annotations

import struct
import sys
from array import array
from typing import TYPE_CHECKING

from cloudboot_ufs2.layout.constants import UFS_NDADDR, UFS_NIADDR, UFS_NXADDR
from cloudboot_ufs2.layout.hashes import hashes_of
from cloudboot_ufs2.layout.inode import CKHASH, SIZE, generations
from cloudboot_ufs2.layout.records import Ufs2Dinode
from cloudboot_ufs2.reader.extattr import area_size

from .content import MemoryContent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cloudboot_records import ByteOrder
    from cloudboot_ufs2.layout.geometry import Geometry

    from .node import Extent, Node

_OFFSETS = Ufs2Dinode.LAYOUT.offsets
_GEN, _POINTERS = _OFFSETS["di_gen"], _OFFSETS["di_db"]
#: What a new inode has other than 0, but for pointers, which are packed by themselves where there is more than one.
_SET = (
    "di_mode", "di_nlink", "di_uid", "di_gid", "di_size", "di_blocks",
    "di_atime", "di_mtime", "di_ctime", "di_birthtime", "di_mtimensec", "di_atimensec", "di_ctimensec", "di_birthnsec",
    "di_gen", "di_flags", "di_db", "di_dirdepth",
)  # fmt: skip


def inode_table(
    nodes: Sequence[Node], first: int, count: int, geometry: Geometry, *, seed: int, hashed: bool, byteorder: ByteOrder
) -> bytearray:
    """The bytes of ``count`` inodes from number ``first`` on; ``nodes`` have consecutive numbers among them."""
    table = bytearray(count * SIZE)
    numbers = generations(first, count, seed)
    order = "<" if byteorder == "little" else ">"
    put = struct.Struct(order + "I").pack_into
    start = nodes[0].inode - first if nodes else 0
    for index in (*range(start), *range(start + len(nodes), count)):
        put(table, index * SIZE + _GEN, numbers[index])
    pack, put_pointers = Ufs2Dinode.LAYOUT.pick(_SET, byteorder).pack_into, struct.Struct(order + "15q").pack_into
    frag, sectors = geometry.fragments_per_block, geometry.fragment_size // 512
    for index, node in enumerate(nodes, start):
        at, extents = index * SIZE, node.extents
        seconds, nanoseconds = divmod(node.mtime_ns, 1_000_000_000)
        held = len(node.indirects) * frag
        for extent in extents:
            held += extent.fragments
        pack(
            table, at, node.mode, node.links, node.uid, node.gid, node.size, held * sectors,
            seconds, seconds, seconds, seconds, nanoseconds, nanoseconds, nanoseconds, nanoseconds,
            numbers[index], node.flags, extents[0].address if extents else node.device, node.depth,
        )  # fmt: skip
        if held > frag or (extents and extents[0].block):
            put_pointers(table, at + _POINTERS, *_block_pointers(node, frag))
        elif not extents and isinstance(node.content, MemoryContent):
            # Only a symbolic link has content without extents: its target takes the place of the pointers.
            table[at + _POINTERS : at + _POINTERS + node.size] = node.content.data
        if node.attributes:
            _put_attributes(table, at, node, geometry, held=held * sectors, order=order)
    if hashed and nodes:
        used = bytes(memoryview(table)[start * SIZE : (start + len(nodes)) * SIZE])
        for index, value in enumerate(hashes_of(used, SIZE), start):
            put(table, index * SIZE + CKHASH, value)
    return table


def _put_attributes(table: bytearray, at: int, node: Node, geometry: Geometry, *, held: int, order: str) -> None:
    """Let a packed inode, which holds ``held`` sectors of contents, lead to its extended attributes."""
    extents = node.attribute_extents
    held += sum(extent.fragments for extent in extents) * (geometry.fragment_size // 512)
    addresses = [extent.address for extent in extents] + [0] * (UFS_NXADDR - len(extents))
    struct.pack_into(order + "Q", table, at + _OFFSETS["di_blocks"], held)
    struct.pack_into(order + "I", table, at + _OFFSETS["di_extsize"], area_size(node.attributes))
    struct.pack_into(order + "2q", table, at + _OFFSETS["di_extb"], *addresses)


def _block_pointers(node: Node, frag: int) -> list[int]:
    """di_db and di_ib."""
    pointers = [0] * (UFS_NDADDR + UFS_NIADDR)
    for block, address, fragments in node.extents:
        for index in range(min(UFS_NDADDR - block, -(-fragments // frag))):
            pointers[block + index] = address + index * frag
    for level, index, address in node.indirects:
        if index == 0:
            pointers[UFS_NDADDR + level - 1] = address
    return pointers


def indirect_pointers(node: Node, geometry: Geometry, byteorder: ByteOrder) -> Iterator[tuple[int, array[int]]]:
    """``(address, pointers)`` of each indirect block of a node, one at a time; a hole is 0."""
    count, frag = geometry.pointers_per_block, geometry.fragments_per_block
    children: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for level, index, address in node.indirects:
        # Blocks other than the first of their level hang below the next level; see allocate.indirect_blocks.
        if level < UFS_NIADDR and index:
            parent, slot = divmod(index - 1, count)
            children.setdefault((level + 1, parent), []).append((slot, address))
    position = 0
    for level, index, address in node.indirects:
        pointers = array("q", bytes(8 * count))
        if level == 1:
            position = _fill(pointers, UFS_NDADDR + index * count, node.extents, position, frag=frag)
        for slot, child in children.get((level, index), ()):
            pointers[slot] = child
        if byteorder != sys.byteorder:
            pointers.byteswap()
        yield address, pointers


def _fill(pointers: array[int], first: int, extents: Sequence[Extent], position: int, *, frag: int) -> int:
    """Point at the blocks from ``first`` on; the extents before ``position`` end before. Where the next call begins."""
    last = first + len(pointers)
    while position < len(extents):
        extent = extents[position]
        extent_end = extent.block + -(-extent.fragments // frag)
        start, end = max(first, extent.block), min(last, extent_end)
        if start < end:
            address = extent.address + (start - extent.block) * frag
            pointers[start - first : end - first] = array("q", range(address, address + (end - start) * frag, frag))
        if extent_end > last:
            break
        position += 1
    return position
