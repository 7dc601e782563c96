"""Free clusters and free records: the two bitmaps, kept in memory and written where they change."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cloudboot_ntfs.errors import NoSpaceError, UnsupportedError
from cloudboot_ntfs.layout.constants import Number, Type
from cloudboot_ntfs.layout.runlist import Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cloudboot_base import WritableStorage
    from cloudboot_ntfs.reader.mft import Mft
    from cloudboot_ntfs.reader.stream import Stream

_NOT_FULL = re.compile(rb"[^\xff]", re.DOTALL)
_ZEROS = re.compile(rb"\0+")
#: Bytes of a bitmap that are looked at in one step while a range of clear bits goes on.
_STEP = 1 << 12
#: The ranges of clear bits in each byte: ``(first bit, bits)``.
_CLEAR = [
    [(found.start(), len(found.group())) for found in re.finditer("0+", f"{value:08b}"[::-1])] for value in range(256)
]


def write_stream(storage: WritableStorage, stream: Stream, offset: int, data: bytes | memoryview) -> None:
    """Write into the clusters of a stream, which are all there."""
    view = memoryview(data)
    for place, first, last in stream.pieces(offset, len(view)):
        storage.write_at(place, view[first:last])


class Bitmap:
    """A bitmap in clusters, kept in memory.

    What an operation sets is written before what refers to it, and what it clears is cleared after that: nothing takes
    what the bits stand for before. What was set since bits were last written is free when the operation that gives it
    back is complete: nothing on the disk refers to it.

    Bits before ``first`` are not given out.
    """

    def __init__(self, storage: WritableStorage, stream: Stream, count: int, *, first: int = 0) -> None:
        if stream.is_resident:
            raise UnsupportedError("a bitmap that stands in its record", structure="BITMAP")
        self._storage, self.stream, self.count = storage, stream, count
        self.bits = bytearray(stream.read_at(0, stream.size))
        self._taken: list[tuple[int, int]] = []
        self._given: list[tuple[int, int]] = []
        self._accepted_taken: list[tuple[int, int]] = []
        self._accepted_given: list[tuple[int, int]] = []
        self._fresh: set[tuple[int, int]] = set()  #: ranges that complete operations set and that were not written yet
        self.hint = 0
        self._lowest = first  #: no bit from the first to this one is clear: a search need not begin before it

    @property
    def has_changed(self) -> bool:
        """Whether anything waits to be written."""
        return bool(self._accepted_taken or self._accepted_given)

    def extend(self, stream: Stream, count: int) -> None:
        """The bitmap has grown."""
        self.bits += bytes(stream.size - len(self.bits))
        self.stream, self.count = stream, count

    def is_set(self, number: int) -> bool:
        """Whether a bit is set, or beyond the last."""
        return number >= self.count or bool(self.bits[number // 8] >> number % 8 & 1)

    def set(self, start: int, length: int, *, accepted: bool = False) -> None:
        """Set bits; ``accepted`` whatever becomes of the operation."""
        self._fill(start, length, 0xFF)
        (self._accepted_taken if accepted else self._taken).append((start, length))

    def take_back(self, start: int, length: int) -> None:
        """Undo :meth:`set` of these bits with ``accepted``: what they were for has failed."""
        self._accepted_taken.remove((start, length))
        self._fill(start, length, 0)
        self.hint = min(self.hint, start)

    def clear_later(self, start: int, length: int, *, accepted: bool = False) -> None:
        """Clear bits when the operation is over; ``accepted`` whatever becomes of it."""
        (self._accepted_given if accepted else self._given).append((start, length))

    def _fill(self, start: int, length: int, value: int) -> None:
        end = start + length
        if not value:
            self._lowest = min(self._lowest, start)
        first, last = -(-start // 8), end // 8
        if first < last:
            self.bits[first:last] = bytes([value]) * (last - first)
        for number in (*range(start, min(end, first * 8)), *range(max(start, first * 8, last * 8), end)):
            if value:
                self.bits[number // 8] |= 1 << number % 8
            else:
                self.bits[number // 8] &= ~(1 << number % 8) & 0xFF

    def accept(self) -> list[tuple[int, int]]:
        """The operation is complete; the ranges that are free from now on."""
        self._accepted_taken += self._taken
        self._fresh.update(self._taken)
        freed = []
        for own in dict.fromkeys(self._given):
            if own in self._fresh:
                self._fresh.remove(own)
                self._fill(*own, 0)
                self.hint = min(self.hint, own[0])
                freed.append(own)
            else:
                self._accepted_given.append(own)
        self._taken.clear()
        self._given.clear()
        return freed

    def roll_back(self) -> None:
        """Undo what the operation under way did."""
        for start, length in self._taken:
            self._fill(start, length, 0)
            self.hint = min(self.hint, start)
        self._taken.clear()
        self._given.clear()

    def write_taken(self) -> None:
        """Write the bits that were set."""
        self._write(self._accepted_taken)
        self._fresh.clear()

    def write_given(self) -> None:
        """Clear bits, and write them."""
        for start, length in self._accepted_given:
            self._fill(start, length, 0)
            self.hint = min(self.hint, start)
        self._write(self._accepted_given)

    def _write(self, ranges: list[tuple[int, int]]) -> None:
        touched: list[list[int]] = []
        for first, last in sorted((start // 8, -(-(start + length) // 8)) for start, length in ranges):
            if touched and first <= touched[-1][1]:
                touched[-1][1] = max(touched[-1][1], last)
            else:
                touched.append([first, last])
        for first, last in touched:
            write_stream(self._storage, self.stream, first, bytes(self.bits[first:last]))
        ranges.clear()

    def free_ranges(self, start: int, enough: int | None = None) -> Iterator[tuple[int, int]]:
        """Ranges of clear bits from ``start`` on, as ``(first, length)``.

        The search ends with a range of at least ``enough`` bits, which may go on after them.
        """
        is_first = start <= self._lowest
        for begin, length in self._clear(max(start, self._lowest), enough):
            if begin >= self.count:
                break
            if is_first:
                self._lowest, is_first = begin, False
            yield begin, min(length, self.count - begin)
            if enough is not None and length >= enough:
                return
        if is_first:
            self._lowest = self.count

    def _clear(self, start: int, enough: int | None) -> Iterator[tuple[int, int]]:
        bits, position, begin, length = self.bits, start // 8, start, 0
        before = (1 << start % 8) - 1  # bits of the first byte that are passed over
        while position < len(bits) and (enough is None or length < enough):
            if not length:
                following = _NOT_FULL.search(bits, position)
                if following is None:
                    return
                if following.start() > position:
                    position, before = following.start(), 0
            value = bits[position] | before
            before = 0
            if not value:
                zeros = _ZEROS.match(bits, position, position + _STEP)
                end = position + 1 if zeros is None else zeros.end()
                begin, length = (begin if length else position * 8), length + (end - position) * 8
                position = end
                continue
            for first, count in _CLEAR[value]:
                if length and begin + length == position * 8 + first:
                    length += count
                    continue
                if length:
                    yield begin, length
                begin, length = position * 8 + first, count
            position += 1
            if length and value & 0x80:
                yield begin, length
                length = 0
        if length:
            yield begin, length


class Space:
    """The clusters of a volume."""

    def __init__(self, storage: WritableStorage, mft: Mft) -> None:
        geometry = mft.geometry
        self.cluster_size = geometry.cluster_size
        self._storage = storage
        self.bitmap = Bitmap(storage, mft.stream(mft.file(Number.BITMAP), Type.DATA), geometry.clusters)

    def allocate(self, clusters: int, *, vcn: int = 0, near: int | None = None, accepted: bool = False) -> list[Run]:
        """Runs of as many clusters, in one piece if there is one.

        Args:
            clusters: how many.
            vcn: of the first in its attribute.
            near: a cluster that they had better follow.
            accepted: keep them whatever becomes of the operation.

        Raises:
            NoSpaceError: there are not enough.
        """
        pieces = self._one_piece(clusters, near) or self._many_pieces(clusters)
        runs = []
        for lcn, length in pieces:
            self.bitmap.set(lcn, length, accepted=accepted)
            runs.append(Run(vcn, length, lcn))
            vcn += length
        if pieces:
            self.bitmap.hint = pieces[-1][0] + pieces[-1][1]
        return runs

    def require(self, clusters: int) -> None:
        """Make sure that as many clusters are free.

        Raises:
            NoSpaceError: there are not enough.
        """
        self._many_pieces(clusters)

    def _one_piece(self, clusters: int, near: int | None) -> list[tuple[int, int]]:
        if not clusters:
            return []
        for start in (near, self.bitmap.hint, 0):
            if start is None or (start == near and self.bitmap.is_set(near)):
                continue
            for lcn, length in self.bitmap.free_ranges(start, clusters):
                if start == near and lcn != near:
                    break
                if length >= clusters:
                    return [(lcn, clusters)]
        return []

    def _many_pieces(self, clusters: int) -> list[tuple[int, int]]:
        pieces, missing = [], clusters
        for lcn, length in self.bitmap.free_ranges(0, clusters):
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

    def release(self, runs: Iterable[Run], *, accepted: bool = False) -> None:
        """Give clusters back when the operation is over; ``accepted`` whatever becomes of it."""
        for run in runs:
            if run.lcn is not None:
                self.bitmap.clear_later(run.lcn, run.length, accepted=accepted)

    def store(self, data: bytes, *, vcn: int = 0) -> list[Run]:
        """New clusters with ``data``; the rest of the last one is zeros."""
        size = self.cluster_size
        runs = self.allocate(-(-len(data) // size), vcn=vcn)
        padded = data + bytes(-len(data) % size)
        for run in runs:
            start = (run.vcn - vcn) * size
            self._storage.write_at((run.lcn or 0) * size, memoryview(padded)[start : start + run.length * size])
        return runs
