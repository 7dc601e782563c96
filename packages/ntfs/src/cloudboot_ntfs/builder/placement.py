"""Where the content of files goes: into the record, or into clusters that follow one another."""

from __future__ import annotations

import bisect
import operator
from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import dataclass
from cloudboot_ntfs.layout.attribute import highest_vcn, pack_non_resident, pack_resident, resized
from cloudboot_ntfs.layout.constants import AttributeFlag
from cloudboot_ntfs.layout.runlist import Run, encode, pair_size

from .record import Packed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .content import Content

#: log2 of the clusters that one unit of a sparse attribute has; nothing is compressed, but readers expect it.
_SPARSE_UNIT = 4
#: Bytes of mapping pairs in one part of an attribute. More parts go to extension records of their own; one of this size
#: still leaves room for the head and the name.
_PAIRS_IN_PART = 400
_VCN: Final = operator.itemgetter(0)
_LCN: Final = operator.itemgetter(2)


#: Bytes of content from which it starts at a multiple of 64 KiB. The kernel copies there in a quarter less time
#: (512 MiB on ext4: 0.17 s and 0.23 s).
ALIGNED_SIZE: Final = 1 << 20
_ALIGNMENT: Final = 64 * 1024


def alignment(cluster_size: int) -> int:
    """Clusters that large content starts at a multiple of."""
    return max(1, _ALIGNMENT // cluster_size)


class Allocator:
    """Clusters from the start of the volume on, each given once; ``gaps`` are those that were passed over."""

    def __init__(self, first: int = 0) -> None:
        self.next = first
        self.gaps: list[tuple[int, int]] = []

    def take(self, clusters: int) -> int:
        """The first of as many clusters."""
        lcn, self.next = self.next, self.next + clusters
        return lcn

    def align(self, clusters: int) -> None:
        """Go on at a multiple of as many clusters."""
        place = -(-self.next // clusters) * clusters
        if place > self.next:
            self.gaps.append((self.next, place))
        self.next = place

    def take_all(self, other: Allocator) -> int:
        """The first of the clusters that another allocator gave from 0 on; its gaps are passed over here, too."""
        lcn = self.take(other.next)
        self.gaps += [(start + lcn, end + lcn) for start, end in other.gaps]
        return lcn


@dataclass(slots=True)
class Placed:
    """Content in clusters. ``pieces`` are ``(LCN, offset in the content, bytes)`` to be copied."""

    size: int
    clusters: int
    cluster_size: int
    runs: list[Run]
    pieces: list[tuple[int, int, int]]

    @property
    def is_sparse(self) -> bool:
        """Whether there are holes."""
        return None in map(_LCN, self.runs)

    @property
    def stored(self) -> int:
        """Bytes of the clusters that are not holes."""
        return sum(run.length for run in self.runs if run.lcn is not None) * self.cluster_size

    def attributes(self, kind: int, name: str = "", *, kept: Sequence[Packed] = ()) -> list[Packed]:
        """The attribute, in parts where it has many runs.

        ``kept`` are the first of them, which are known to have these runs and flags: only their sizes may differ.
        """
        flags, unit, stored = 0, 0, None
        if self.is_sparse:
            flags, unit, stored = AttributeFlag.SPARSE, _SPARSE_UNIT, self.stored
        parts = list(kept)
        runs = self.runs
        if parts:
            allocated = self.clusters * self.cluster_size
            parts[0] = parts[0]._replace(data=resized(parts[0].data, allocated, self.size, stored))
            runs = runs[bisect.bisect_right(runs, highest_vcn(parts[-1].data), key=_VCN) :]
            if not runs:
                return parts
        for own, pairs in _parts(runs):
            data = pack_non_resident(
                kind,
                pairs,
                clusters=sum(run.length for run in own),
                allocated=self.clusters * self.cluster_size,
                size=self.size,
                name=name,
                flags=flags,
                lowest_vcn=own[0].vcn,
                stored=stored,
                compression_unit=unit,
            )
            parts.append(Packed(kind, name, data, own[0].vcn))
        return parts


def _parts(runs: list[Run]) -> Iterator[tuple[list[Run], bytes]]:
    """The runs in groups whose mapping pairs are not too long, with the pairs."""
    if 2 * len(runs) <= _PAIRS_IN_PART:  # a pair has two bytes at least
        pairs = encode(runs)
        if len(pairs) <= _PAIRS_IN_PART:
            yield runs, pairs
            return
    start, size, previous = 0, 1, 0
    for index, run in enumerate(runs):
        pair = pair_size(run, previous)
        if size + pair > _PAIRS_IN_PART:
            yield runs[start:index], encode(runs[start:index])
            # The first pair of a part says where its clusters are, not how far from the last.
            start, size, pair = index, 1, pair_size(run, 0)
        size += pair
        previous = previous if run.lcn is None else run.lcn
    yield runs[start:], encode(runs[start:])


def place(content: Content, allocator: Allocator, cluster_size: int) -> Placed:
    """Clusters for content; holes of a whole cluster or more stay holes."""
    size = content.size
    clusters = -(-size // cluster_size)
    ranges = content.data_ranges()
    if ranges is None:
        if size >= ALIGNED_SIZE:
            allocator.align(alignment(cluster_size))
        lcn = allocator.take(clusters)
        return Placed(size, clusters, cluster_size, [Run(0, clusters, lcn)], [(lcn, 0, size)])
    runs: list[Run] = []
    pieces: list[tuple[int, int, int]] = []
    at = 0
    for start, end in _whole_clusters(ranges, cluster_size):
        if start > at:
            runs.append(Run(at, start - at, None))
        lcn = allocator.take(end - start)
        runs.append(Run(start, end - start, lcn))
        pieces.append((lcn, start * cluster_size, min(end * cluster_size, size) - start * cluster_size))
        at = end
    if at < clusters:
        runs.append(Run(at, clusters - at, None))
    return Placed(size, clusters, cluster_size, runs, pieces)


def _whole_clusters(ranges: list[tuple[int, int]], cluster_size: int) -> list[tuple[int, int]]:
    """Ranges of bytes as ranges of clusters, those that touch put together."""
    merged: list[tuple[int, int]] = []
    for start, length in ranges:
        first, end = start // cluster_size, -(-(start + length) // cluster_size)
        if merged and first <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((first, end))
    return merged


def resident(kind: int, value: bytes, name: str = "", *, indexed: bool = False) -> Packed:
    """A resident attribute."""
    return Packed(kind, name, pack_resident(kind, value, name=name, indexed=indexed))


def resident_size(value_size: int, name: str = "") -> int:
    """Bytes that a resident attribute takes in its record."""
    return (24 + 2 * len(name) + 7 & ~7) + (value_size + 7 & ~7)


def contiguous(kind: int, lcn: int, size: int, cluster_size: int, name: str = "") -> list[Packed]:
    """An attribute in clusters that follow one another."""
    clusters = -(-size // cluster_size)
    return Placed(size, clusters, cluster_size, [Run(0, clusters, lcn)], []).attributes(kind, name)
