"""Free clusters and free records: the two bitmaps, kept in memory and written where they change."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cloudboot_ntfs.errors import NoSpaceError, UnsupportedError
from cloudboot_ntfs.layout.constants import Number, Type
from cloudboot_ntfs.layout.runlist import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cloudboot_base import WritableStorage
    from cloudboot_ntfs.reader.mft import Mft
    from cloudboot_ntfs.reader.stream import Stream

_NOT_FULL = re.compile(rb"[^\xff]+", re.DOTALL)


def write_stream(storage: WritableStorage, stream: Stream, offset: int, data: bytes | memoryview) -> None:
    """Write into the clusters of a stream, which are all there."""
    view = memoryview(data)
    for start, place, length in stream.places():
        first, last = max(start, offset), min(start + length, offset + len(view))
        if first < last:
            storage.write_at(place + first - start, view[first - offset : last - offset])


class Bitmap:
    """A bitmap in clusters. Bits are set on the disk at once, and cleared by :meth:`flush`."""

    def __init__(self, storage: WritableStorage, stream: Stream, count: int) -> None:
        if stream.is_resident:
            raise UnsupportedError("a bitmap that stands in its record", structure="BITMAP")
        self._storage, self.stream, self.count = storage, stream, count
        self.bits = bytearray(stream.read_at(0, stream.size))
        self._cleared: list[tuple[int, int]] = []
        self.hint = 0

    def is_set(self, number: int) -> bool:
        """Whether a bit is set."""
        return bool(self.bits[number // 8] >> number % 8 & 1)

    def set(self, start: int, length: int) -> None:
        """Set bits, on the disk too."""
        for number in range(start, min(start + length, -(-start // 8) * 8)):
            self.bits[number // 8] |= 1 << number % 8
        first, last = -(-start // 8), (start + length) // 8
        if first < last:
            self.bits[first:last] = b"\xff" * (last - first)
        for number in range(max(start, last * 8), start + length):
            self.bits[number // 8] |= 1 << number % 8
        self._write(start, length)

    def clear_later(self, start: int, length: int) -> None:
        """Clear bits when the operation is over, so that nothing takes what they stand for before."""
        self._cleared.append((start, length))

    def flush(self) -> None:
        """Clear what is to be cleared."""
        for start, length in self._cleared:
            for number in range(start, start + length):
                self.bits[number // 8] &= ~(1 << number % 8) & 0xFF
            self._write(start, length)
            self.hint = min(self.hint, start)
        self._cleared.clear()

    def _write(self, start: int, length: int) -> None:
        first, last = start // 8, -(-(start + length) // 8)
        write_stream(self._storage, self.stream, first, bytes(self.bits[first:last]))

    def free_ranges(self, start: int) -> Iterator[tuple[int, int]]:
        """Ranges of clear bits from ``start`` on, as ``(first, length)``; a range may be told in pieces."""
        for found in _NOT_FULL.finditer(self.bits, start // 8):
            begin = length = 0
            for byte in range(found.start(), found.end()):
                value = self.bits[byte]
                if not value:
                    if not length:
                        begin = byte * 8
                    length += 8
                    continue
                for bit in range(8):
                    if value >> bit & 1:
                        if length:
                            yield from self._within(begin, length, start)
                        length = 0
                    else:
                        if not length:
                            begin = byte * 8 + bit
                        length += 1
            if length:
                yield from self._within(begin, length, start)

    def _within(self, begin: int, length: int, start: int) -> Iterator[tuple[int, int]]:
        first, last = max(begin, start), min(begin + length, self.count)
        if first < last:
            yield first, last - first


class Space:
    """The clusters of a volume; ``before`` is called before any is taken."""

    def __init__(self, storage: WritableStorage, mft: Mft, before: Callable[[], None]) -> None:
        self._before = before
        geometry = mft.geometry
        self.cluster_size = geometry.cluster_size
        self._storage = storage
        self.bitmap = Bitmap(storage, mft.stream(mft.file(Number.BITMAP), Type.DATA), geometry.clusters)

    def allocate(self, clusters: int, *, vcn: int = 0, near: int | None = None) -> list[Run]:
        """Runs of as many clusters, in one piece if there is one.

        Args:
            clusters: how many.
            vcn: of the first in its attribute.
            near: a cluster that they had better follow.

        Raises:
            NoSpaceError: there are not enough.
        """
        pieces = self._one_piece(clusters, near) or self._many_pieces(clusters)
        self._before()
        runs = []
        for lcn, length in pieces:
            self.bitmap.set(lcn, length)
            runs.append(Run(vcn, length, lcn))
            vcn += length
        if pieces:
            self.bitmap.hint = pieces[-1][0] + pieces[-1][1]
        return runs

    def _one_piece(self, clusters: int, near: int | None) -> list[tuple[int, int]]:
        if not clusters:
            return []
        for start in (near, self.bitmap.hint, 0):
            if start is None:
                continue
            for lcn, length in self.bitmap.free_ranges(start):
                if start == near and lcn != near:
                    break
                if length >= clusters:
                    return [(lcn, clusters)]
        return []

    def _many_pieces(self, clusters: int) -> list[tuple[int, int]]:
        pieces, missing = [], clusters
        for lcn, length in self.bitmap.free_ranges(0):
            if not missing:
                break
            taken = min(length, missing)
            pieces.append((lcn, taken))
            missing -= taken
        if missing:
            size = self.cluster_size
            raise NoSpaceError(
                "not enough free clusters", needed=clusters * size, available=(clusters - missing) * size
            )
        return pieces

    def release(self, runs: Iterable[Run]) -> None:
        """Give clusters back when the operation is over."""
        for run in runs:
            if run.lcn is not None:
                self.bitmap.clear_later(run.lcn, run.length)

    def store(self, data: bytes, *, vcn: int = 0) -> list[Run]:
        """New clusters with ``data``; the rest of the last one is zeros."""
        size = self.cluster_size
        runs = self.allocate(-(-len(data) // size), vcn=vcn)
        padded = data + bytes(-len(data) % size)
        for run in runs:
            start = (run.vcn - vcn) * size
            self._storage.write_at((run.lcn or 0) * size, memoryview(padded)[start : start + run.length * size])
        return runs
