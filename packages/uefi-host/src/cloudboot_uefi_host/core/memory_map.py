"""The memory map: which pages are free and what the others hold (UEFI 2.10 section 7.2).

A map is a list of regions without gaps between what was added, sorted by address, neighbours of one kind merged. Every
change gives it a new key: GetMemoryMap reports the key, ExitBootServices demands the current one.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cloudboot_uefi_abi.constants import PAGE_SIZE, MemoryAttribute, MemoryType

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DESCRIPTOR_SIZE", "PAGE", "MemoryMap", "MemoryType", "Region", "is_allocatable"]

PAGE: Final = PAGE_SIZE
RAM_ATTRIBUTES: Final = int(MemoryAttribute.UC | MemoryAttribute.WC | MemoryAttribute.WT | MemoryAttribute.WB)
"""What RAM can do."""
EFI_MEMORY_RUNTIME: Final = int(MemoryAttribute.RUNTIME)
DESCRIPTOR_SIZE: Final = 48
"""Bytes from one descriptor to the next. It is more than the descriptor's 40, so that a caller that does not use the
reported size fails (the specification allows any larger size; EDK2 does the same)."""


_RUNTIME: Final = {MemoryType.RUNTIME_SERVICES_CODE, MemoryType.RUNTIME_SERVICES_DATA}
#: Types from here on are the OEM's and the operating system's; those between are not defined.
_OEM_TYPES: Final = 0x70000000


@dataclass(slots=True)
class Region:
    """``pages`` pages of 4 KiB from ``start``, of one type; the attributes are EFI_MEMORY_DESCRIPTOR's."""

    start: int
    pages: int
    type: int
    attributes: int = RAM_ATTRIBUTES

    @property
    def end(self) -> int:
        """The first address after the region."""
        return self.start + self.pages * PAGE


def is_allocatable(memory_type: int) -> bool:
    """Whether AllocatePages and AllocatePool take this type (section 7.2.1)."""
    if memory_type >= _OEM_TYPES:
        return True
    return memory_type <= MemoryType.UNACCEPTED and memory_type not in {
        MemoryType.CONVENTIONAL,
        MemoryType.PERSISTENT,
        MemoryType.UNACCEPTED,
    }


class MemoryMap:
    """The regions of a machine.

    ``runtime_alignment`` is the granularity of runtime memory in bytes: 64 KiB on arm64 (section 2.3.6), else 4 KiB.
    Free memory below ``low_limit`` is given out only where it is asked for by address or limit.
    """

    def __init__(self, *, runtime_alignment: int = PAGE, low_limit: int = 0) -> None:
        self._regions: list[Region] = []
        self._runtime_alignment = runtime_alignment
        self._low_limit = low_limit
        self.key = 1

    def __iter__(self) -> Iterator[Region]:
        return iter(self._regions)

    def __len__(self) -> int:
        return len(self._regions)

    def add(self, start: int, size: int, memory_type: int, attributes: int = RAM_ATTRIBUTES) -> None:
        """Add memory that the map does not hold yet."""
        index = bisect.bisect(self._regions, start, key=lambda region: region.start)
        self._regions.insert(index, Region(start, size // PAGE, memory_type, attributes))
        self._merge()

    def region_at(self, address: int) -> Region | None:
        """The region that holds ``address``."""
        index = bisect.bisect(self._regions, address, key=lambda region: region.start) - 1
        if index < 0 or address >= self._regions[index].end:
            return None
        return self._regions[index]

    def alignment(self, memory_type: int) -> int:
        """The granularity of memory of a type, in bytes."""
        return self._runtime_alignment if memory_type in _RUNTIME else PAGE

    def allocate(self, memory_type: int, pages: int, limit: int = 1 << 64) -> int | None:
        """Take the highest free pages that end at or below ``limit``; ``None`` if no region is large enough."""
        step = self.alignment(memory_type)
        pages = -(-pages * PAGE // step) * (step // PAGE)
        for region in reversed(self._regions):
            if region.type != MemoryType.CONVENTIONAL or region.pages < pages:
                continue
            start = (min(region.end, limit) - pages * PAGE) & ~(step - 1)
            if start < region.start or (limit == 1 << 64 and start < self._low_limit):
                continue
            self._set(start, pages, memory_type)
            return start
        return None

    def allocate_at(self, memory_type: int, pages: int, address: int) -> bool:
        """Take the free pages from ``address`` on; false if one of them is not free."""
        region = self.region_at(address)
        if region is None or region.type != MemoryType.CONVENTIONAL or address + pages * PAGE > region.end:
            return False
        self._set(address, pages, memory_type)
        return True

    def free(self, address: int, pages: int) -> bool:
        """Give pages back; false if one of them is not allocated, and then nothing changes."""
        at, end = address, address + pages * PAGE
        while at < end:
            region = self.region_at(at)
            if region is None or region.type == MemoryType.CONVENTIONAL:
                return False
            at = region.end
        self._set(address, pages, MemoryType.CONVENTIONAL)
        return True

    def _set(self, start: int, pages: int, memory_type: int) -> None:
        end, kept = start + pages * PAGE, []
        for region in self._regions:
            if region.end <= start or region.start >= end:
                kept.append(region)
                continue
            attributes = region.attributes & ~EFI_MEMORY_RUNTIME
            if memory_type in _RUNTIME:
                attributes |= EFI_MEMORY_RUNTIME
            inside = max(region.start, start), min(region.end, end)
            kept += [
                Region(low, (high - low) // PAGE, kind, flags)
                for low, high, kind, flags in (
                    (region.start, inside[0], region.type, region.attributes),
                    (*inside, memory_type, attributes),
                    (inside[1], region.end, region.type, region.attributes),
                )
                if low < high
            ]
        self._regions = kept
        self._merge()

    def _merge(self) -> None:
        merged: list[Region] = []
        for region in self._regions:
            last = merged[-1] if merged else None
            if (
                last is not None
                and last.end == region.start
                and (last.type, last.attributes) == (region.type, region.attributes)
            ):
                last.pages += region.pages
            else:
                merged.append(region)
        self._regions = merged
        self.key += 1
