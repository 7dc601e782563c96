"""Memory that driver and device share, and a page allocator over it."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import dataclass

from .errors import DmaMemoryError

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE: Final = 4096


@dataclass(frozen=True, slots=True)
class Region:
    """Bytes that the device can reach: ``address`` is guest-physical, ``view`` the same bytes in this process."""

    address: int
    view: memoryview

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.view)

    def part(self, offset: int, size: int) -> Region:
        """``size`` bytes of the region from ``offset``.

        Raises:
            ValueError: the part reaches outside of the region.
        """
        if offset < 0 or size < 0 or offset + size > len(self.view):
            raise ValueError(f"bytes {offset} to {offset + size} are outside of a region of {len(self.view)}")
        return Region(self.address + offset, self.view[offset : offset + size])


class DmaMemory:
    """A first-fit allocator of whole pages in guest memory.

    ``allocations`` counts all allocations so far and ``pages_in_use`` those that were not given back. A driver in its
    steady state changes neither.
    """

    def __init__(self, view: memoryview, base: int = 0, *, start: int = 0) -> None:
        """Use the bytes of ``view`` from offset ``start``; the first byte of ``view`` has guest address ``base``.

        Raises:
            ValueError: the memory is read-only, or ``base`` or ``start`` is not a multiple of 4096.
        """
        if view.readonly or view.ndim != 1 or view.itemsize != 1:
            raise ValueError("DMA memory is a writable view of bytes")
        if base % PAGE or start % PAGE or not 0 <= start <= len(view):
            raise ValueError(f"DMA memory begins at a multiple of {PAGE}")
        self._view = view
        self.base = base
        self._free: list[tuple[int, int]] = [(start // PAGE, len(view) // PAGE)]  # (first, end) pages, sorted
        self._given: dict[int, int] = {}
        self.allocations = 0
        self.pages_in_use = 0

    @property
    def size(self) -> int:
        """Bytes, those before ``start`` included."""
        return len(self._view)

    def allocate(self, size: int) -> Region:
        """A zeroed region of ``size`` bytes that begins at a page.

        Raises:
            DmaMemoryError: no free run is long enough.
            ValueError: ``size`` is not positive.
        """
        if size < 1:
            raise ValueError(f"a region has at least one byte, not {size}")
        pages = -(-size // PAGE)
        for index, (first, end) in enumerate(self._free):
            if end - first >= pages:
                if end - first == pages:
                    del self._free[index]
                else:
                    self._free[index] = (first + pages, end)
                self._given[first] = pages
                self.allocations += 1
                self.pages_in_use += pages
                view = self._view[first * PAGE : first * PAGE + size]
                view[:] = bytes(size)
                return Region(self.base + first * PAGE, view)
        raise DmaMemoryError(f"no run of {pages} free pages in {self.size >> 20} MiB of DMA memory")

    def free(self, region: Region) -> None:
        """Give a region back.

        Raises:
            ValueError: :meth:`allocate` did not give this region, or it was freed before.
        """
        first = (region.address - self.base) // PAGE
        pages = self._given.pop(first, None)
        if pages is None or region.address % PAGE:
            raise ValueError(f"no region at {region.address:#x} is allocated")
        self.pages_in_use -= pages
        place = bisect.bisect(self._free, (first, first))
        self._free.insert(place, (first, first + pages))
        self._merge(place)

    def _merge(self, place: int) -> None:
        first, end = self._free[place]
        if place + 1 < len(self._free) and self._free[place + 1][0] == end:
            end = self._free.pop(place + 1)[1]
        if place and self._free[place - 1][1] == first:
            first = self._free.pop(place - 1)[0]
            place -= 1
        self._free[place] = (first, end)

    def at(self, address: int, size: int) -> memoryview:
        """The ``size`` bytes at guest address ``address``, as a device sees them.

        Raises:
            ValueError: they are outside of the memory.
        """
        offset = address - self.base
        if offset < 0 or size < 0 or offset + size > len(self._view):
            raise ValueError(f"guest address {address:#x} with {size} bytes is outside of the memory")
        return self._view[offset : offset + size]


def total(regions: Sequence[Region]) -> int:
    """The bytes of several regions together."""
    return sum(region.size for region in regions)
