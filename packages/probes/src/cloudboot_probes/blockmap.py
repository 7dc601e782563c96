"""Whose bytes are these? A disk as disjoint extents, and the reads of a machine credited to them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SECTOR = 512


@dataclass(frozen=True, slots=True, order=True)
class Extent:
    """Bytes ``start`` to ``end`` (exclusive) of the disk.

    ``partition`` is its number (0: outside every partition); ``owner`` is a file's path in that partition's file
    system, or what the metadata is ("FAT 1", "inodes of group 3"). ``file`` tells the two apart.
    """

    start: int
    end: int
    partition: int
    owner: str
    file: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """One read by the machine: when (seconds since it started) and which bytes of the disk."""

    time: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of an owner's bytes was read, and when the first and last of those reads were."""

    partition: int
    owner: str
    file: bool
    size: int
    read: int
    first: float
    last: float

    @property
    def complete(self) -> bool:
        """Whether every byte was read."""
        return self.read == self.size


class BlockMap:
    """Extents of one disk, ordered. Two extents that overlap are a defect of the map's maker."""

    def __init__(self, extents: Iterable[Extent]) -> None:
        self.extents: Sequence[Extent] = sorted(extent for extent in extents if extent.end > extent.start)
        for before, after in zip(self.extents, self.extents[1:], strict=False):
            if after.start < before.end:
                raise ValueError(f"{before} and {after} overlap")
        self._starts = [extent.start for extent in self.extents]

    def overlapping(self, start: int, end: int) -> Sequence[Extent]:
        """The extents that share a byte with ``start`` to ``end``, in order."""
        first = bisect_right(self._starts, start) - 1
        if first < 0 or self.extents[first].end <= start:
            first += 1
        last = first
        while last < len(self.extents) and self.extents[last].start < end:
            last += 1
        return self.extents[first:last]

    def coverage(self, reads: Iterable[Read]) -> dict[tuple[int, str], Coverage]:
        """What ``reads`` covered, for each owner they touched, in the order of the first touch.

        Reads are in order of time. Bytes read twice count once.
        """
        sizes: dict[tuple[int, str], int] = {}
        for extent in self.extents:
            key = (extent.partition, extent.owner)
            sizes[key] = sizes.get(key, 0) + extent.end - extent.start
        seen: dict[tuple[int, str], tuple[Extent, list[tuple[int, int]], float, float]] = {}
        for read in reads:
            for extent in self.overlapping(read.start, read.end):
                piece = (max(read.start, extent.start), min(read.end, extent.end))
                key = (extent.partition, extent.owner)
                _, pieces, first, _ = seen.get(key, (extent, [], read.time, read.time))
                pieces.append(piece)
                seen[key] = (extent, pieces, first, read.time)
        return {
            key: Coverage(key[0], key[1], extent.file, sizes[key], union_size(pieces), first, last)
            for key, (extent, pieces, first, last) in seen.items()
        }


def union_size(pieces: Iterable[tuple[int, int]]) -> int:
    """Bytes in the union of half-open intervals."""
    total, reached = 0, 0
    for start, end in sorted(pieces):
        if end > reached:
            total += end - max(start, reached)
            reached = end
    return total
