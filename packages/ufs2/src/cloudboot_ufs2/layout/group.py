"""Cylinder groups: what follows from the map of free fragments, and the block that says so."""

from __future__ import annotations

import re
import struct
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

from cloudboot_base.lightdata import dataclass

from .bits import gather, spread
from .constants import MAXFRAG
from .geometry import howmany
from .hashes import check_hash
from .mapoffsets import map_offsets
from .records import Cg

if TYPE_CHECKING:
    from cloudboot_records import ByteOrder

    from .geometry import Geometry

_CKHASH = Cg.LAYOUT.offsets["cg_ckhash"]


@dataclass(frozen=True, slots=True)
class SpaceCounts:
    """What a group's counters and summaries must be, given its free fragments."""

    free_blocks: int
    free_fragments: int  #: in partly used blocks only
    frsum: tuple[int, ...]
    cluster_sum: list[int]  #: runs of free blocks by length from 1 on
    clusters: int  #: a bit per whole block, whether it is free
    whole: int  #: blocks that the end of the file system does not cut short


def block_patterns(free: int, length: int, frag: int) -> bytes:
    """One octet per block: bit ``i`` says that its fragment ``i`` is free. ``free`` has a bit per fragment.

    A block that the end of the file system cuts short is one more, whose missing fragments are not free.
    """
    return spread(free.to_bytes(howmany(length, 8), "little"), frag)[: howmany(length, frag)]


def count_patterns(patterns: bytes | bytearray, frag: int, whole: int, cluster_summary: int) -> SpaceCounts:
    """Count :func:`block_patterns` the way fsck does; ``whole`` blocks are not cut short, others are partly used."""
    full = (1 << frag) - 1
    frsum = [0] * MAXFRAG
    for pattern, count in Counter(patterns.translate(None, bytes((0, full)))).items():
        for run in _runs_in(pattern):
            frsum[run] += count
    free = patterns[:whole].translate(_equal_to(full))
    return SpaceCounts(
        free_blocks=patterns.count(full),
        free_fragments=sum(run * count for run, count in enumerate(frsum)),
        frsum=tuple(frsum),
        cluster_sum=_cluster_sum(free, cluster_summary),
        clusters=gather(free),
        whole=whole,
    )


@cache
def _runs_in(pattern: int) -> list[int]:
    """The lengths of the runs of free fragments in a block."""
    return [len(run) for run in f"{pattern:b}".split("0") if run]


@cache
def _equal_to(value: int) -> bytes:
    return bytes(octet == value for octet in range(256))


def _cluster_sum(free: bytes | bytearray, length: int) -> list[int]:
    """Runs of free blocks by length; the last element counts the longer ones too."""
    if length <= 0:
        return []
    found = [0] * length
    for run in re.findall(rb"\x01+", free):
        found[min(len(run), length) - 1] += 1
    return found


def pack_maps(
    geometry: Geometry,
    head: Cg,
    patterns: bytes | bytearray,
    used_inodes: bytes | bytearray,
    *,
    hashed: bool,
    byteorder: ByteOrder,
) -> bytes:
    """The ``fs_cgsize`` bytes of a group; what follows from the maps is set in ``head``.

    ``patterns`` are :func:`block_patterns`, ``used_inodes`` has an octet for each inode, 0 or 1. Only the head's
    counters and summaries of space and inodes are set.
    """
    frag = geometry.fragments_per_block
    counts = count_patterns(patterns, frag, head.cg_ndblk // frag, geometry.cluster_summary)
    head.cg_cs.cs_nbfree = counts.free_blocks
    head.cg_cs.cs_nifree = geometry.group_inodes - used_inodes.count(1)
    head.cg_cs.cs_nffree = counts.free_fragments
    head.cg_frsum = counts.frsum
    head.cg_ckhash = 0
    offsets = map_offsets(geometry)
    block = bytearray(geometry.cgsize)
    block[: Cg.SIZE] = head.pack(byteorder)
    _put_bits(block, offsets.iusedoff, gather(used_inodes))
    _put_bits(block, offsets.freeoff, gather(patterns, frag))
    if geometry.cluster_summary > 0:
        form = f"{'<' if byteorder == 'little' else '>'}{geometry.cluster_summary}i"
        struct.pack_into(form, block, offsets.clustersumoff + 4, *counts.cluster_sum)
        _put_bits(block, offsets.clusteroff, counts.clusters)
    if hashed:
        head.cg_ckhash = check_hash(block)
        block[_CKHASH : _CKHASH + 4] = head.cg_ckhash.to_bytes(4, byteorder)
    return bytes(block)


def _put_bits(block: bytearray, offset: int, bits: int) -> None:
    size = howmany(bits.bit_length(), 8)
    block[offset : offset + size] = bits.to_bytes(size, "little")
