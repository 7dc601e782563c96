"""The driver side of a packed virtqueue (2.8)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from cloudboot_virtio.errors import DeviceBrokenError
from cloudboot_virtio.layout.constants import (
    DESC_AVAIL,
    DESC_INDIRECT,
    DESC_NEXT,
    DESC_USED,
    EVENT_DESC,
    EVENT_DISABLE,
    MAX_PACKED_SIZE,
)

from .base import DESC_BYTES, INDIRECT_ENTRIES, RingAddresses, RingObserver, full_barrier

if TYPE_CHECKING:
    from cloudboot_virtio.memory import DmaMemory, Region

    from .chain import InFlight, Segment

_put_body = struct.Struct("<QIH").pack_into  # everything but the flags
_get_body = struct.Struct("<QIH").unpack_from
_put_entry = struct.Struct("<QIHH").pack_into
_FLAGS: Final = 7  # 16-bit index of the flags within a descriptor
_BOTH: Final = DESC_AVAIL | DESC_USED


class PackedRing:
    """One ring of descriptors that both sides write, and two event suppression structures.

    How many descriptors a buffer id took is kept outside of shared memory. Of a used descriptor only id, length and
    flags are read.
    """

    def __init__(self, memory: DmaMemory, size: int, *, event_idx: bool, indirect: bool) -> None:
        """Allocate a ring of ``size`` descriptors, any number up to 32768 (2.8.10.1).

        Raises:
            ValueError: ``size`` is out of range.
            DmaMemoryError: there is no room.
        """
        if not 1 <= size <= MAX_PACKED_SIZE:
            raise ValueError(f"a packed ring has 1 to {MAX_PACKED_SIZE} descriptors, not {size}")
        self.size = size
        events = DESC_BYTES * size
        region = memory.allocate(events + 8)
        self._memory, self._region = memory, region
        self.addresses = RingAddresses(region.address, region.address + events, region.address + events + 4)
        self._view = region.view
        self._half = region.view.cast("H")
        self._driver_event_flags = events // 2 + 1
        self._device_event = events // 2 + 2
        self._tables = memory.allocate(INDIRECT_ENTRIES * DESC_BYTES * size) if indirect else None
        self.free = size
        self._ids = list(range(size - 1, -1, -1))
        self._chains: dict[int, tuple[int, int, InFlight, int]] = {}  # id -> first descriptor, count, ticket, capacity
        self._next_avail, self._avail_wrap = 0, 1
        self._next_used, self._used_wrap = 0, 1
        self._held: tuple[int, int] | None = None  # the first head of a batch: where its flags go, and the flags
        self._batch = 0  # descriptors since the last publication
        self._unpublished: set[int] = set()
        self.clamped = 0
        self.newest: int | None = None
        self.observer: RingObserver | None = None
        self._half[self._driver_event_flags] = EVENT_DISABLE  # completions are polled
        self._event_idx = event_idx

    @property
    def in_flight(self) -> int:
        """Chains in the ring, unpublished ones included."""
        return len(self._chains)

    def put(self, segments: tuple[Segment, ...], ticket: InFlight, capacity: int) -> int | None:
        """Write a chain, invisible to the device until :meth:`publish`. ``None``: there is no room now.

        The device stops at the first descriptor that is not available. So the flags of the first head of a batch are
        written last, and all that is behind it becomes visible with it (2.8.21).
        """
        tables = self._tables
        indirect = tables is not None and 1 < len(segments) <= INDIRECT_ENTRIES
        needed = 1 if indirect else len(segments)
        if self.free < needed:
            return None
        identity = self._ids.pop()
        written = (_indirect(tables, identity, segments),) if tables is not None and indirect else segments
        first = self._next_avail
        for position, (address, length, direction) in enumerate(written):
            at = self._next_avail
            _put_body(self._view, DESC_BYTES * at, address, length, identity)
            flags = direction | (DESC_AVAIL if self._avail_wrap else DESC_USED)
            if position + 1 < needed:
                flags |= DESC_NEXT
            if position or self._held is not None:
                self._half[8 * at + _FLAGS] = flags
            else:
                self._held = (8 * at + _FLAGS, flags)
            self._next_avail += 1
            if self._next_avail == self.size:
                self._next_avail = 0
                self._avail_wrap ^= 1
        self.free -= needed
        self._batch += needed
        self._chains[identity] = (first, needed, ticket, capacity)
        self._unpublished.add(identity)
        self.newest = identity
        if self.observer is not None:
            self.observer.posted(identity, segments)
        return identity

    def publish(self) -> bool:
        """Make visible what was put; whether the device wants to be notified (2.8.21.3.1)."""
        if self._held is None:
            return False
        at, flags = self._held
        full_barrier()
        self._half[at] = flags
        self._held = None
        batch, self._batch = self._batch, 0
        self._unpublished.clear()
        full_barrier()
        wanted = self._half[self._device_event + 1]
        if wanted == EVENT_DESC and self._event_idx:
            event = self._half[self._device_event]
            place = event & 0x7FFF
            if event >> 15 != self._avail_wrap:
                place -= self.size
            return ((self._next_avail - place - 1) & 0xFFFF) < batch
        return wanted != EVENT_DISABLE

    def take(self) -> tuple[InFlight, int] | None:
        """The next chain that the device returned, with the bytes written into it; ``None``: there is none.

        Raises:
            DeviceBrokenError: a used descriptor is impossible.
        """
        at = self._next_used
        flags = self._half[8 * at + _FLAGS]
        if flags & _BOTH != (_BOTH if self._used_wrap else 0):
            return None
        _, length, identity = _get_body(self._view, DESC_BYTES * at)
        if self.observer is not None:
            self.observer.used(identity, length, 1)
        chain = self._chains.get(identity)
        if chain is None or identity in self._unpublished:
            raise DeviceBrokenError(
                "the used descriptor names no chain in flight",
                structure="pvirtq_desc",
                field="id",
                offset=DESC_BYTES * at,
                actual=identity,
            )
        del self._chains[identity]
        _, count, ticket, capacity = chain
        self._next_used += count
        if self._next_used >= self.size:
            self._next_used -= self.size
            self._used_wrap ^= 1
        self.free += count
        self._ids.append(identity)
        if length > capacity:
            self.clamped += 1
            length = capacity
        return ticket, length

    def tickets(self) -> list[InFlight]:
        """All chains in the ring, in the order in which they were put."""
        return [ticket for _, _, ticket, _ in self._chains.values()]

    def descriptors_in_flight(self) -> list[list[int]]:
        """Stand-ins for descriptors: ids are the scarce thing here, places in the ring are taken in order."""
        return [[identity] for identity in self._chains]

    def release(self) -> None:
        """Give the ring's own memory back; the device must no longer use it."""
        self._memory.free(self._region)
        if self._tables is not None:
            self._memory.free(self._tables)


def _indirect(tables: Region, slot: int, segments: tuple[Segment, ...]) -> Segment:
    """Write the indirect table that belongs to buffer id ``slot`` (2.8.19); the segment that refers to it."""
    base = slot * INDIRECT_ENTRIES * DESC_BYTES
    for position, (address, length, flags) in enumerate(segments):
        _put_entry(tables.view, base + DESC_BYTES * position, address, length, 0, flags)
    return tables.address + base, DESC_BYTES * len(segments), DESC_INDIRECT
