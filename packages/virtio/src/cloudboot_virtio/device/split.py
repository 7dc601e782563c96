"""The device side of a split virtqueue (2.7). Everything the driver writes is checked before it is used."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from cloudboot_virtio.errors import DriverBrokenError
from cloudboot_virtio.layout.constants import AVAIL_NO_INTERRUPT, DESC_INDIRECT, DESC_NEXT, USED_NO_NOTIFY
from cloudboot_virtio.ring.base import DESC_BYTES, RingAddresses, full_barrier

from .chain import DeviceChain, GuestMemory, chain_of

if TYPE_CHECKING:
    from collections.abc import Callable

_DESC = struct.Struct("<QIHH")
_USED = struct.Struct("<II")
_WRAP: Final = 0xFFFF
_MOST_INDIRECT: Final = 1024


class SplitDeviceRing:
    """Takes chains from the available ring and returns them through the used ring."""

    def __init__(self, memory: GuestMemory, size: int, addresses: RingAddresses, *, event_idx: bool) -> None:
        """Serve the ring of ``size`` descriptors at ``addresses``.

        Raises:
            ValueError: the ring is not in the memory.
        """
        self.size = size
        self._memory = memory
        self._event_idx = event_idx
        self._table = memory.at(addresses.descriptors, DESC_BYTES * size)
        self._available = memory.at(addresses.driver, 6 + 2 * size).cast("H")
        self._used = memory.at(addresses.device, 6 + 8 * size)
        self._used_half = self._used.cast("H")
        self._next_available = 0
        self._next_used = 0
        self._signalled = 0
        self.busy: set[int] = set()
        """Heads that were taken and not returned."""

    def pop(self) -> DeviceChain | None:
        """The next available chain, or ``None``.

        Raises:
            DriverBrokenError: the available index, a head or a descriptor is impossible.
        """
        index = self._available[1]
        if index == self._next_available:
            return None
        if (index - self._next_available) & _WRAP > self.size:
            raise DriverBrokenError(
                "the available index is ahead of the ring", structure="virtq_avail", field="idx", actual=index
            )
        head = self._available[2 + self._next_available % self.size]
        if head >= self.size or head in self.busy:
            problem = "the head is no descriptor" if head >= self.size else "the head is in use already"
            raise DriverBrokenError(problem, structure="virtq_avail", field="ring", actual=head)
        entries, count = self._walk(head)
        chain = chain_of(self._memory, head, entries, count, "virtq_desc")
        self.busy.add(head)
        self._next_available = (self._next_available + 1) & _WRAP
        if self._event_idx:
            self._used_half[2 + 4 * self.size] = self._next_available  # avail_event: a notification for the next one
            full_barrier()
        return chain

    def _walk(self, head: int) -> tuple[list[tuple[int, int, int]], int]:
        address, length, flags, _ = _DESC.unpack_from(self._table, DESC_BYTES * head)
        if flags & DESC_INDIRECT:
            count = length // DESC_BYTES
            if length % DESC_BYTES or not 1 <= count <= _MOST_INDIRECT:
                raise DriverBrokenError(
                    "an indirect table has an impossible size", structure="virtq_desc", field="len", actual=length
                )
            try:
                table = bytes(self._memory.at(address, length))  # a copy: the driver could change it while we look
            except ValueError as error:
                raise DriverBrokenError(str(error), structure="virtq_desc", field="addr", actual=address) from None
            return self._follow(lambda at: _DESC.unpack_from(table, DESC_BYTES * at), 0, count)[0], 1
        return self._follow(lambda at: _DESC.unpack_from(self._table, DESC_BYTES * at), head, self.size)

    def _follow(
        self, entry: Callable[[int], tuple[int, int, int, int]], at: int, limit: int
    ) -> tuple[list[tuple[int, int, int]], int]:
        entries: list[tuple[int, int, int]] = []
        while True:
            if at >= limit or len(entries) == limit:
                problem = "a chain has a loop" if len(entries) == limit else "a descriptor refers to none"
                raise DriverBrokenError(problem, structure="virtq_desc", field="next", actual=at)
            address, length, flags, following = entry(at)
            entries.append((address, length, flags & ~DESC_NEXT))
            if not flags & DESC_NEXT:
                return entries, len(entries)
            at = following

    def push(self, chain: DeviceChain, written: int) -> None:
        """Return a chain in which the first ``written`` writable bytes are new."""
        self.busy.discard(chain.identity)
        self.push_raw(chain.identity, written)

    def push_raw(self, identity: int, length: int, descriptors: int = 1) -> None:  # noqa: ARG002 -- of packed rings
        """Write a used entry as it is; a fake device lies with it."""
        _USED.pack_into(self._used, 4 + 8 * (self._next_used % self.size), identity & 0xFFFF_FFFF, length & 0xFFFF_FFFF)
        self._next_used = (self._next_used + 1) & _WRAP
        self._used_half[1] = self._next_used

    def skip(self, count: int) -> None:
        """Move the used index ahead without entries; a fake device lies with it."""
        self._next_used = (self._next_used + count) & _WRAP
        self._used_half[1] = self._next_used

    def wants_interrupt(self) -> bool:
        """Whether the driver wants to be told about what was returned since the last time this was asked (2.7.7)."""
        full_barrier()
        before, self._signalled = self._signalled, self._next_used
        if self._event_idx:
            event = self._available[2 + self.size]
            return ((self._next_used - event - 1) & _WRAP) < ((self._next_used - before) & _WRAP)
        return self._next_used != before and not self._available[0] & AVAIL_NO_INTERRUPT

    def suppress_notifications(self, *, suppress: bool) -> None:
        """Tell a driver without EVENT_IDX that it need not ring the doorbell."""
        self._used_half[0] = USED_NO_NOTIFY if suppress else 0
