"""The driver side of a split virtqueue (2.7)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from cloudboot_virtio.errors import DeviceBrokenError
from cloudboot_virtio.layout.constants import (
    AVAIL_NO_INTERRUPT,
    DESC_INDIRECT,
    DESC_NEXT,
    MAX_SPLIT_SIZE,
    USED_NO_NOTIFY,
)

from .base import DESC_BYTES, INDIRECT_ENTRIES, RingAddresses, RingObserver, full_barrier

if TYPE_CHECKING:
    from cloudboot_virtio.memory import DmaMemory, Region

    from .chain import InFlight, Segment

_put_desc = struct.Struct("<QIHH").pack_into
_get_used = struct.Struct("<II").unpack_from
_WRAP: Final = 0xFFFF


def split_sizes(size: int) -> tuple[int, int, int]:
    """Byte offsets of the available ring, of the used ring and of the end, for ``size`` descriptors (2.7)."""
    available = DESC_BYTES * size
    used = (available + 6 + 2 * size + 3) & ~3
    return available, used, used + 6 + 8 * size


class SplitRing:
    """Descriptor table, available ring and used ring in one region.

    Which descriptors are free, and how they are chained, is kept outside of shared memory: the table is written and
    never read.
    """

    def __init__(self, memory: DmaMemory, size: int, *, event_idx: bool, indirect: bool) -> None:
        """Allocate a ring of ``size`` descriptors.

        Raises:
            ValueError: ``size`` is not a power of two up to 32768 (2.7).
            DmaMemoryError: there is no room.
        """
        if size < 1 or size & (size - 1) or size > MAX_SPLIT_SIZE:
            raise ValueError(f"a split ring has a power of two of descriptors up to {MAX_SPLIT_SIZE}, not {size}")
        self.size = size
        available, used, total = split_sizes(size)
        region = memory.allocate(total)
        self._memory, self._region = memory, region
        self.addresses = RingAddresses(region.address, region.address + available, region.address + used)
        self._view = region.view
        self._half = region.view.cast("H")
        self._avail_flags = available // 2
        self._avail_index = available // 2 + 1
        self._avail_ring = available // 2 + 2
        self._used_flags = used // 2
        self._used_index = used // 2 + 1
        self._used_ring = used + 4
        self._avail_event = used // 2 + 2 + 4 * size
        self._event_idx = event_idx
        self._tables = memory.allocate(INDIRECT_ENTRIES * DESC_BYTES * size) if indirect else None
        self._free_list = list(range(size - 1, -1, -1))
        self._chains: dict[int, tuple[list[int], InFlight, int]] = {}
        self._unpublished: set[int] = set()
        self._next_avail = 0
        self._published = 0
        self._next_used = 0
        self.clamped = 0
        self.newest: int | None = None
        self.observer: RingObserver | None = None
        self._half[self._avail_flags] = 0 if event_idx else AVAIL_NO_INTERRUPT  # completions are polled

    @property
    def free(self) -> int:
        """Free descriptors."""
        return len(self._free_list)

    @property
    def in_flight(self) -> int:
        """Chains in the ring, unpublished ones included."""
        return len(self._chains)

    def put(self, segments: tuple[Segment, ...], ticket: InFlight, capacity: int) -> int | None:
        """Write a chain, invisible to the device until :meth:`publish`. ``None``: there is no room now."""
        free = self._free_list
        tables = self._tables
        if tables is not None and 1 < len(segments) <= INDIRECT_ENTRIES:
            if not free:
                return None
            written: tuple[Segment, ...] = (_indirect(tables, free[-1], segments),)
        elif len(free) < len(segments):
            return None
        else:
            written = segments
        slots = [free.pop() for _ in written]
        last = len(slots) - 1
        for position, (address, length, flags) in enumerate(written):
            if position < last:
                following = slots[position + 1]
                _put_desc(self._view, DESC_BYTES * slots[position], address, length, flags | DESC_NEXT, following)
            else:
                _put_desc(self._view, DESC_BYTES * slots[position], address, length, flags, 0)
        head = slots[0]
        self._chains[head] = (slots, ticket, capacity)
        self._unpublished.add(head)
        self._half[self._avail_ring + (self._next_avail & (self.size - 1))] = head
        self._next_avail = (self._next_avail + 1) & _WRAP
        self.newest = head
        if self.observer is not None:
            self.observer.posted(head, segments)
        return head

    def publish(self) -> bool:
        """Make visible what was put; whether the device wants to be notified (2.7.13.4.1)."""
        if not self._unpublished:
            return False
        before, now = self._published, self._next_avail
        self._half[self._avail_index] = now
        self._published = now
        self._unpublished.clear()
        full_barrier()
        if self._event_idx:
            event = self._half[self._avail_event]
            return ((now - event - 1) & _WRAP) < ((now - before) & _WRAP)
        return not self._half[self._used_flags] & USED_NO_NOTIFY

    def take(self) -> tuple[InFlight, int] | None:
        """The next chain that the device returned, with the bytes written into it; ``None``: there is none.

        Raises:
            DeviceBrokenError: the used index or a used entry is impossible.
        """
        index = self._half[self._used_index]
        if index == self._next_used:
            return None
        offset = self._used_ring + 8 * (self._next_used & (self.size - 1))
        head, length = _get_used(self._view, offset)
        pending = (index - self._next_used) & _WRAP
        if self.observer is not None:
            self.observer.used(head, length, pending)
        published = len(self._chains) - len(self._unpublished)
        if pending > published:
            raise DeviceBrokenError(
                "the used index is ahead of what is in flight",
                structure="virtq_used",
                field="idx",
                offset=2 * self._used_index,
                expected=f"at most {(self._next_used + published) & _WRAP}",
                actual=index,
            )
        chain = self._chains.get(head)
        if chain is None or head in self._unpublished:
            raise DeviceBrokenError(
                "the used entry names no chain in flight",
                structure="virtq_used_elem",
                field="id",
                offset=offset,
                actual=head,
            )
        del self._chains[head]
        self._next_used = (self._next_used + 1) & _WRAP
        slots, ticket, capacity = chain
        self._free_list.extend(reversed(slots))
        if length > capacity:  # QEMU's virtio-input says 8 for the status queue's read-only buffers
            self.clamped += 1
            length = capacity
        return ticket, length

    def tickets(self) -> list[InFlight]:
        """All chains in the ring, in the order in which they were put."""
        return [ticket for _, ticket, _ in self._chains.values()]

    def descriptors_in_flight(self) -> list[list[int]]:
        """The descriptors of each chain in the ring."""
        return [list(slots) for slots, _, _ in self._chains.values()]

    def release(self) -> None:
        """Give the ring's own memory back; the device must no longer use it."""
        self._memory.free(self._region)
        if self._tables is not None:
            self._memory.free(self._tables)


def _indirect(tables: Region, slot: int, segments: tuple[Segment, ...]) -> Segment:
    """Write the indirect table that belongs to descriptor ``slot`` (2.7.5.3); the segment that refers to it."""
    base = slot * INDIRECT_ENTRIES * DESC_BYTES
    last = len(segments) - 1
    for position, (address, length, flags) in enumerate(segments):
        link = (flags | DESC_NEXT, position + 1) if position < last else (flags, 0)
        _put_desc(tables.view, base + DESC_BYTES * position, address, length, *link)
    return tables.address + base, DESC_BYTES * len(segments), DESC_INDIRECT
