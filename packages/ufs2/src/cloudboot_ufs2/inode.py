"""Inodes: nodes packed into the bytes of an inode table, generation numbers and check-hashes added in bulk."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from .constants import UFS_NDADDR, UFS_NIADDR, UFS_NXADDR
from .content import MemoryContent
from .extattr import area_size
from .hashes import check_hash, check_hashes
from .records import Ufs2Dinode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from cloudboot_layout import ByteOrder

    from .geometry import Geometry
    from .node import Extent, Node

SIZE = Ufs2Dinode.SIZE
_OFFSETS = Ufs2Dinode.LAYOUT.offsets
_CKHASH, _GEN, _SHORTLINK = _OFFSETS["di_ckhash"], _OFFSETS["di_gen"], _OFFSETS["di_db"]
_NO_POINTERS = (0,) * (UFS_NDADDR + UFS_NIADDR)


def inode_table(
    nodes: Sequence[Node], first: int, count: int, geometry: Geometry, *, seed: int, hashed: bool, byteorder: ByteOrder
) -> npt.NDArray[np.uint8]:
    """``count`` inodes, ``nodes`` standing from index ``nodes[0].inode - first`` on; an array of shape (count, 256)."""
    table = bytearray(count * SIZE)
    pack = Ufs2Dinode.LAYOUT.struct(byteorder).pack_into
    for node in nodes:
        _pack_node(table, (node.inode - first) * SIZE, node, geometry, pack)
        if node.attributes:
            _put_attributes(table, (node.inode - first) * SIZE, node, geometry, byteorder)
    rows = np.frombuffer(table, dtype=np.uint8).reshape(count, SIZE)
    order = "<" if byteorder == "little" else ">"
    _put_column(rows, _GEN, generations(first, count, seed), order)
    if hashed and nodes:
        start = nodes[0].inode - first
        used = rows[start : start + len(nodes)]
        _put_column(used, _CKHASH, check_hashes(used), order)
    return rows


def _put_column(rows: npt.NDArray[np.uint8], offset: int, values: npt.NDArray[np.uint32], order: str) -> None:
    rows[:, offset : offset + 4] = values.astype(order + "u4").view(np.uint8).reshape(-1, 4)


def generations(first: int, count: int, seed: int) -> npt.NDArray[np.uint32]:
    """A generation number for each inode, never 0: newfs takes chance, this takes the inode and the volume."""
    value = np.arange(first, first + count, dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(seed & 0xFFFFFFFF)
    value ^= value >> np.uint32(15)
    value *= np.uint32(0x85EBCA6B)
    value ^= value >> np.uint32(13)
    value[value == 0] = 1
    return value


def _pack_node(table: bytearray, at: int, node: Node, geometry: Geometry, pack: Callable[..., None]) -> None:
    seconds, nanoseconds = divmod(node.mtime_ns, 1_000_000_000)
    pack(
        table, at,
        node.mode, node.links, node.uid, node.gid, 0, node.size, sectors(node, geometry),
        seconds, seconds, seconds, seconds,
        nanoseconds, nanoseconds, nanoseconds, nanoseconds,
        0, 0, node.flags, 0, 0, 0,
        *(block_pointers(node, geometry) if node.extents else _NO_POINTERS),
        0, node.depth, 0, 0, 0,
    )  # fmt: skip
    if not node.extents and isinstance(node.content, MemoryContent):
        # Only a symbolic link has content without extents: its target takes the place of the pointers.
        table[at + _SHORTLINK : at + _SHORTLINK + node.size] = node.content.data


def _put_attributes(table: bytearray, at: int, node: Node, geometry: Geometry, byteorder: ByteOrder) -> None:
    """Let a packed inode lead to its extended attributes."""
    extents = node.attribute_extents
    held = sectors(node, geometry) + sum(extent.fragments for extent in extents) * (geometry.fragment_size // 512)
    addresses = [extent.address for extent in extents] + [0] * (UFS_NXADDR - len(extents))
    order = "<" if byteorder == "little" else ">"
    struct.pack_into(order + "Q", table, at + _OFFSETS["di_blocks"], held)
    struct.pack_into(order + "I", table, at + _OFFSETS["di_extsize"], area_size(node.attributes))
    struct.pack_into(order + "2q", table, at + _OFFSETS["di_extb"], *addresses)


def sectors(node: Node, geometry: Geometry) -> int:
    """di_blocks: what the node holds in 512-byte units, indirect blocks included, extended attributes not."""
    held = len(node.indirects) * geometry.fragments_per_block
    for extent in node.extents:
        held += extent.fragments
    return held * (geometry.fragment_size // 512)


def block_pointers(node: Node, geometry: Geometry) -> list[int]:
    """di_db and di_ib."""
    frag = geometry.fragments_per_block
    pointers = [0] * (UFS_NDADDR + UFS_NIADDR)
    for block, address, fragments in node.extents:
        for index in range(min(UFS_NDADDR - block, -(-fragments // frag))):
            pointers[block + index] = address + index * frag
    for level, index, address in node.indirects:
        if index == 0:
            pointers[UFS_NDADDR + level - 1] = address
    return pointers


def indirect_pointers(node: Node, geometry: Geometry) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
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
        pointers = np.zeros(count, dtype=np.int64)
        if level == 1:
            position = _fill(pointers, UFS_NDADDR + index * count, node.extents, position, frag=frag)
        for slot, child in children.get((level, index), ()):
            pointers[slot] = child
        yield address, pointers


def _fill(pointers: npt.NDArray[np.int64], first: int, extents: Sequence[Extent], position: int, *, frag: int) -> int:
    """Point at the blocks from ``first`` on; the extents before ``position`` end before. Where the next call begins."""
    last = first + len(pointers)
    while position < len(extents):
        extent = extents[position]
        extent_end = extent.block + -(-extent.fragments // frag)
        start, end = max(first, extent.block), min(last, extent_end)
        if start < end:
            address = extent.address + (start - extent.block) * frag
            pointers[start - first : end - first] = np.arange(address, address + (end - start) * frag, frag)
        if extent_end > last:
            break
        position += 1
    return position


def inode_hash(data: bytes) -> int:
    """The check-hash the 256 bytes of an inode should carry."""
    return check_hash(data[:_CKHASH] + bytes(4) + data[_CKHASH + 4 :])


def pack_inode(inode: Ufs2Dinode, byteorder: ByteOrder, *, hashed: bool) -> bytes:
    """The 256 bytes of an inode, with its check-hash if it is in use and ``hashed``.

    Raises:
        RangeError: a value does not fit its field.
    """
    inode.di_ckhash = 0
    data = inode.pack(byteorder)
    if not hashed or not inode.di_mode:
        return data
    inode.di_ckhash = check_hash(data)
    return data[:_CKHASH] + inode.di_ckhash.to_bytes(4, byteorder) + data[_CKHASH + 4 :]
