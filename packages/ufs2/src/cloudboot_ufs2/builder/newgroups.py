"""The cylinder groups of a new file system, from the runs of free blocks that the allocator left."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from cloudboot_ufs2.layout.constants import CG_MAGIC
from cloudboot_ufs2.layout.hashes import check_hash
from cloudboot_ufs2.layout.mapoffsets import map_offsets
from cloudboot_ufs2.layout.records import Cg, Csum

if TYPE_CHECKING:
    from cloudboot_records import ByteOrder
    from cloudboot_ufs2.layout.geometry import Geometry

    from .allocate import GroupSpace

_CKHASH = Cg.LAYOUT.offsets["cg_ckhash"]


def pack_new_group(
    geometry: Geometry,
    index: int,
    space: GroupSpace,
    *,
    initialised_inodes: int,
    timestamp: int,
    hashed: bool,
    byteorder: ByteOrder,
) -> tuple[bytes, Csum]:
    """The ``fs_cgsize`` bytes of group ``index`` and its counters."""
    frag, length = geometry.fragments_per_block, geometry.group_length(index)
    blocks, cut = divmod(length, frag)
    runs = _merged(space)
    free = [len(found) for found in space.open]  # blocks by number of free fragments
    free[cut] += cut > 0  # the fragments of a block that the volume's end cuts short count as such
    used = space.reserved_inodes + len(space.nodes)
    counters = Csum(
        cs_ndir=space.directories,
        cs_nbfree=sum(end - first for first, end in runs),
        cs_nifree=geometry.group_inodes - used,
        cs_nffree=sum(count * each for each, count in enumerate(free)),
    )
    offsets = map_offsets(geometry)
    clusters = geometry.cluster_summary
    head = Cg(
        cg_magic=CG_MAGIC,
        cg_cgx=index,
        cg_ndblk=length,
        cg_cs=counters,
        cg_frsum=(0, *free[1:frag], *(0,) * (8 - frag)),
        cg_iusedoff=offsets.iusedoff,
        cg_freeoff=offsets.freeoff,
        cg_nextfreeoff=offsets.nextfreeoff,
        cg_clustersumoff=offsets.clustersumoff,
        cg_clusteroff=offsets.clusteroff,
        cg_nclusterblks=blocks if clusters > 0 else 0,
        cg_niblk=geometry.group_inodes,
        cg_initediblk=initialised_inodes,
        cg_time=timestamp,
    )
    block = bytearray(geometry.cgsize)
    block[: Cg.SIZE] = head.pack(byteorder)
    _set_bits(block, offsets.iusedoff, 0, used)
    for first, end in runs:
        _set_bits(block, offsets.freeoff, first * frag, end * frag)
    for each, found in enumerate(space.open):
        for at in found:
            _set_bits(block, offsets.freeoff, (at + 1) * frag - each, (at + 1) * frag)
    _set_bits(block, offsets.freeoff, blocks * frag, length)
    if clusters > 0:
        sums = [0] * clusters
        for first, end in runs:
            _set_bits(block, offsets.clusteroff, first, end)
            sums[min(end - first, clusters) - 1] += 1  # the last counts longer runs, too
        struct.pack_into(f"{'<' if byteorder == 'little' else '>'}{clusters}i", block, offsets.clustersumoff + 4, *sums)
    if hashed:
        block[_CKHASH : _CKHASH + 4] = check_hash(block).to_bytes(4, byteorder)
    return bytes(block), counters


def _merged(space: GroupSpace) -> list[tuple[int, int]]:
    """The runs of free blocks in order; those that touch are one."""
    runs: list[tuple[int, int]] = []
    for first, end in sorted(zip(space.next, space.end, strict=True)):
        if first < end and runs and runs[-1][1] == first:
            runs[-1] = runs[-1][0], end
        elif first < end:
            runs.append((first, end))
    return runs


def _set_bits(octets: bytearray, at: int, first: int, end: int) -> None:
    """Set bits ``[first, end)`` of the map at byte ``at``, lowest bit first."""
    low, high = at + first // 8, at + end // 8
    if low == high:
        octets[low] |= (1 << end % 8) - (1 << first % 8)
    else:
        octets[low] |= 0xFF << first % 8 & 0xFF
        octets[low + 1 : high] = b"\xff" * (high - low - 1)
        if end % 8:
            octets[high] |= (1 << end % 8) - 1
