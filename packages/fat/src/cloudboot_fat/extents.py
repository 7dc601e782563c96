"""The bytes of a file, scattered over a volume, as one storage."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

from cloudboot_base import TruncatedError
from cloudboot_base.lightdata import NamedTuple

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from cloudboot_base import Storage


class Extent(NamedTuple):
    """Consecutive bytes of a volume."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        """One past the last byte."""
        return self.offset + self.length


class ExtentStorage:
    """Extents of a storage, one after another, as a storage of their own (read only)."""

    def __init__(self, storage: Storage, extents: list[Extent]) -> None:
        self._storage, self._extents = storage, extents
        self._ends = list(accumulate(extent.length for extent in extents))

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self._ends[-1] if self._ends else 0

    @property
    def extents(self) -> list[Extent]:
        """The extents, in order."""
        return self._extents

    def read_at(self, offset: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``offset``."""
        self._check(offset, size)
        place = bisect_right(self._ends, offset)
        if size and offset + size <= self._ends[place]:
            extent = self._extents[place]
            return self._storage.read_at(extent.end - self._ends[place] + offset, size)
        data = bytearray(size)
        self.readinto_at(offset, data)
        return bytes(data)

    def readinto_at(self, offset: int, buffer: Buffer) -> None:
        """Fill ``buffer`` from ``offset``."""
        view = memoryview(buffer).cast("B")
        self._check(offset, len(view))
        place = bisect_right(self._ends, offset)
        while view:
            end = self._ends[place]
            part = view[: end - offset]
            self._storage.readinto_at(self._extents[place].end - end + offset, part)
            view, offset, place = view[len(part) :], offset + len(part), place + 1

    def _check(self, offset: int, count: int) -> None:
        if offset < 0 or count < 0 or offset + count > self.size:
            raise TruncatedError(
                "the read passes the end of the file",
                offset=offset,
                expected=count,
                actual=max(0, min(count, self.size - offset)),
            )
