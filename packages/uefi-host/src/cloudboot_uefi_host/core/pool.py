"""AllocatePool: pieces of pages, by memory type."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from .memory_map import PAGE

if TYPE_CHECKING:
    from .memory_map import MemoryMap

_ALIGN = 16
_PIECES = 16 * PAGE


class Pool:
    """Pool memory of one machine. Sizes below a page share pages with others of their type and power of two."""

    def __init__(self, memory_map: MemoryMap) -> None:
        self._map = memory_map
        self._free: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        self._used: dict[int, tuple[int, int]] = {}

    def allocate(self, memory_type: int, size: int) -> int | None:
        """The address of ``size`` bytes, aligned to 16 (section 7.2.4 asks for 8); ``None`` if memory is used up."""
        size = max(_ALIGN, size)
        if size >= PAGE:
            pages = -(-size // PAGE)
            address = self._map.allocate(memory_type, pages)
            if address is not None:
                self._used[address] = (pages * PAGE, memory_type)
            return address
        size = 1 << (size - 1).bit_length()
        free = self._free[size, memory_type]
        if not free:
            start = self._map.allocate(memory_type, _PIECES // PAGE)
            if start is None:
                return None
            free.extend(range(start + _PIECES - size, start - 1, -size))
        address = free.pop()
        self._used[address] = (size, memory_type)
        return address

    def free(self, address: int) -> bool:
        """Give memory back; false if ``address`` was not allocated here."""
        found = self._used.pop(address, None)
        if found is None:
            return False
        size, memory_type = found
        if size >= PAGE:
            return self._map.free(address, size // PAGE)
        self._free[size, memory_type].append(address)
        return True
