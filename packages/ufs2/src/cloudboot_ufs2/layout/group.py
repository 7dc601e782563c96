"""Cylinder groups: what follows from the map of free fragments, and the block that says so."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from .constants import MAXFRAG
from .geometry import howmany
from .hashes import check_hash
from .mapoffsets import map_offsets
from .records import Cg

if TYPE_CHECKING:
    import numpy.typing as npt

    from cloudboot_records import ByteOrder

    from .geometry import Geometry

    Bools = npt.NDArray[np.bool_]
    Ints = npt.NDArray[np.int64]
    Octets = npt.NDArray[np.uint8]

_CKHASH = Cg.LAYOUT.offsets["cg_ckhash"]


@dataclasses.dataclass(frozen=True, slots=True)
class SpaceCounts:
    """What a group's counters and summaries must be, given its free fragments."""

    free_blocks: int
    free_fragments: int  #: in partly used blocks only
    frsum: tuple[int, ...]
    cluster_sum: Ints  #: index 0 is unused
    clusters: Bools  #: per whole block, whether it is free


def block_patterns(free: Bools, frag: int) -> Octets:
    """One octet per block: bit ``i`` says that its fragment ``i`` is free.

    A block that the end of the file system cuts short is one more, whose missing fragments are not free.
    """
    padded = np.zeros(howmany(len(free), frag) * frag, dtype=np.bool_)
    padded[: len(free)] = free
    return np.packbits(padded.reshape(-1, frag), axis=1, bitorder="little")[:, 0]


def count_space(free: Bools, frag: int, cluster_summary: int) -> SpaceCounts:
    """Count ``free`` (one element per fragment of a group) the way fsck does.

    A block that the end of the file system cuts short counts as partly used.
    """
    return count_patterns(block_patterns(free, frag), frag, len(free) // frag, cluster_summary)


def count_patterns(patterns: Octets, frag: int, whole: int, cluster_summary: int) -> SpaceCounts:
    """:func:`count_space` of :func:`block_patterns`; ``whole`` blocks are not cut short."""
    histogram = np.bincount(patterns, minlength=1 << frag)
    full = (1 << frag) - 1
    histogram_partial = histogram.copy()
    histogram_partial[full] = 0
    frsum = histogram_partial @ _run_table(frag)
    clusters = patterns[:whole] == full
    return SpaceCounts(
        free_blocks=int(histogram[full]),
        free_fragments=int(frsum @ np.arange(MAXFRAG)),
        frsum=tuple(int(count) for count in frsum),
        cluster_sum=_cluster_sum(clusters, cluster_summary),
        clusters=clusters,
    )


@cache
def _run_table(frag: int) -> Ints:
    """For every pattern of free fragments in a block, how many runs of each length it holds."""
    table = np.zeros((1 << frag, MAXFRAG), dtype=np.int64)
    for pattern in range((1 << frag) - 1):
        for run in f"{pattern:b}".split("0"):
            if run:
                table[pattern, len(run)] += 1
    return table


def _cluster_sum(clusters: Bools, length: int) -> Ints:
    """Runs of free blocks by length; the last element counts the longer ones too."""
    if length <= 0:
        return np.zeros(0, dtype=np.int64)
    edges = np.flatnonzero(np.diff(clusters.astype(np.int8), prepend=0, append=0))
    runs = np.minimum(edges[1::2] - edges[::2], length)
    return np.bincount(runs, minlength=length + 1)


def pack_maps(
    geometry: Geometry,
    head: Cg,
    patterns: Octets,
    used_inodes: Bools | Octets,
    *,
    hashed: bool,
    byteorder: ByteOrder,
) -> bytes:
    """The ``fs_cgsize`` bytes of a group; what follows from the maps is set in ``head``.

    ``patterns`` are :func:`block_patterns`. Only the head's counters and summaries of space and inodes are set.
    """
    frag = geometry.fragments_per_block
    counts = count_patterns(patterns, frag, head.cg_ndblk // frag, geometry.cluster_summary)
    head.cg_cs.cs_nbfree = counts.free_blocks
    head.cg_cs.cs_nifree = int(geometry.group_inodes - np.count_nonzero(used_inodes))
    head.cg_cs.cs_nffree = counts.free_fragments
    head.cg_frsum = counts.frsum
    head.cg_ckhash = 0
    offsets = map_offsets(geometry)
    block = np.zeros(geometry.cgsize, dtype=np.uint8)
    block[: Cg.SIZE] = np.frombuffer(head.pack(byteorder), dtype=np.uint8)
    _put_bits(block, offsets.iusedoff, used_inodes)
    fragments = _fragment_map(patterns, frag)
    block[offsets.freeoff : offsets.freeoff + len(fragments)] |= fragments
    if geometry.cluster_summary > 0:
        sums = counts.cluster_sum[1:].astype(np.dtype(np.int32).newbyteorder("<" if byteorder == "little" else ">"))
        start = offsets.clustersumoff + 4
        block[start : start + sums.nbytes] = sums.view(np.uint8)
        _put_bits(block, offsets.clusteroff, counts.clusters)
    if hashed:
        head.cg_ckhash = check_hash(block)
        block[_CKHASH : _CKHASH + 4] = np.frombuffer(head.cg_ckhash.to_bytes(4, byteorder), dtype=np.uint8)
    return block.tobytes()


def _fragment_map(patterns: Octets, frag: int) -> Octets:
    """The bitmap of fragments that :func:`block_patterns` were made from."""
    if frag == MAXFRAG:
        return patterns
    bits = np.unpackbits(patterns.reshape(-1, 1), axis=1, count=frag, bitorder="little")
    return np.packbits(bits.reshape(-1), bitorder="little")


def _put_bits(block: Octets, offset: int, bits: Bools | Octets) -> None:
    packed = np.packbits(bits, bitorder="little")
    block[offset : offset + len(packed)] |= packed


def get_bits(block: Octets, offset: int, count: int) -> Bools:
    """``count`` bits of a map, lowest bit first."""
    return np.unpackbits(block[offset : offset + howmany(count, 8)], count=count, bitorder="little").astype(np.bool_)
