"""The device side of a packed virtqueue (2.8)."""

from __future__ import annotations

import struct
from typing import Final

from cloudboot_virtio.errors import DriverBrokenError
from cloudboot_virtio.layout.constants import (
    DESC_AVAIL,
    DESC_INDIRECT,
    DESC_NEXT,
    DESC_USED,
    EVENT_DISABLE,
    EVENT_ENABLE,
)
from cloudboot_virtio.ring.base import DESC_BYTES, RingAddresses, full_barrier

from .chain import DeviceChain, GuestMemory, chain_of

_DESC = struct.Struct("<QIHH")
_FLAGS: Final = 7
_MOST_INDIRECT: Final = 1024


class PackedDeviceRing:
    """Takes chains from the ring and writes used descriptors over them."""

    def __init__(self, memory: GuestMemory, size: int, addresses: RingAddresses, *, event_idx: bool) -> None:
        """Serve the ring of ``size`` descriptors at ``addresses``.

        Raises:
            ValueError: the ring is not in the memory.
        """
        self.size = size
        self._memory = memory
        self._event_idx = event_idx
        self._ring = memory.at(addresses.descriptors, DESC_BYTES * size)
        self._half = self._ring.cast("H")
        self._driver_event = memory.at(addresses.driver, 4).cast("H")
        self._device_event = memory.at(addresses.device, 4).cast("H")
        self._next_available, self._available_wrap = 0, 1
        self._next_used, self._used_wrap = 0, 1
        self._unsignalled = 0
        self.busy: set[int] = set()
        """Buffer ids that were taken and not returned."""
        self._device_event[1] = EVENT_ENABLE

    def pop(self) -> DeviceChain | None:
        """The next available chain, or ``None``.

        Raises:
            DriverBrokenError: a descriptor is impossible.
        """
        at, wrap = self._next_available, self._available_wrap
        entries: list[tuple[int, int, int]] = []
        while True:
            flags = self._half[8 * at + _FLAGS]
            if bool(flags & DESC_AVAIL) != bool(wrap) or bool(flags & DESC_USED) == bool(wrap):
                if not entries:
                    return None
                raise DriverBrokenError(
                    "a chain ends in an unavailable descriptor", structure="pvirtq_desc", field="flags"
                )
            if len(entries) == self.size:
                raise DriverBrokenError("a chain is longer than the ring", structure="pvirtq_desc", field="flags")
            address, length, identity, _ = _DESC.unpack_from(self._ring, DESC_BYTES * at)
            entries.append((address, length, flags & ~(DESC_NEXT | DESC_AVAIL | DESC_USED)))
            at += 1
            if at == self.size:
                at, wrap = 0, wrap ^ 1
            if not flags & DESC_NEXT:
                break
        if identity in self.busy:
            raise DriverBrokenError(
                "the buffer id is in use already", structure="pvirtq_desc", field="id", actual=identity
            )
        count = len(entries)
        if count == 1 and entries[0][2] & DESC_INDIRECT:
            entries = self._indirect(*entries[0][:2])
        chain = chain_of(self._memory, identity, entries, count, "pvirtq_desc")
        self._next_available, self._available_wrap = at, wrap
        self.busy.add(identity)
        return chain

    def _indirect(self, address: int, length: int) -> list[tuple[int, int, int]]:
        if length % DESC_BYTES or not 1 <= length // DESC_BYTES <= _MOST_INDIRECT:
            raise DriverBrokenError(
                "an indirect table has an impossible size", structure="pvirtq_desc", field="len", actual=length
            )
        try:
            table = bytes(self._memory.at(address, length))
        except ValueError as error:
            raise DriverBrokenError(str(error), structure="pvirtq_desc", field="addr", actual=address) from None
        return [(entry[0], entry[1], entry[3]) for entry in _DESC.iter_unpack(table)]

    def push(self, chain: DeviceChain, written: int) -> None:
        """Return a chain in which the first ``written`` writable bytes are new."""
        self.busy.discard(chain.identity)
        self.push_raw(chain.identity, written, chain.descriptors)

    def push_raw(self, identity: int, length: int, descriptors: int = 1) -> None:
        """Write a used descriptor as it is; a fake device lies with it."""
        at = self._next_used
        flags = DESC_AVAIL | DESC_USED if self._used_wrap else 0
        _DESC.pack_into(
            self._ring, DESC_BYTES * at, 0, length & 0xFFFF_FFFF, identity & 0xFFFF, self._half[8 * at + _FLAGS]
        )
        full_barrier()
        self._half[8 * at + _FLAGS] = flags
        self._next_used += descriptors
        if self._next_used >= self.size:
            self._next_used -= self.size
            self._used_wrap ^= 1
        self._unsignalled += descriptors

    def skip(self, count: int) -> None:
        """A packed ring has no index that could be ahead of its entries."""

    def wants_interrupt(self) -> bool:
        """Whether the driver wants to be told about what was returned since the last time this was asked (2.8.10)."""
        full_barrier()
        count, self._unsignalled = self._unsignalled, 0
        place, flags = self._driver_event[0], self._driver_event[1]
        if not count or flags == EVENT_DISABLE:
            return False
        if flags == EVENT_ENABLE or not self._event_idx:
            return True
        event = place & 0x7FFF
        if place >> 15 != self._used_wrap:
            event -= self.size
        return ((self._next_used - event - 1) & 0xFFFF) < count

    def suppress_notifications(self, *, suppress: bool) -> None:
        """Tell the driver that it need not ring the doorbell."""
        self._device_event[1] = EVENT_DISABLE if suppress else EVENT_ENABLE
