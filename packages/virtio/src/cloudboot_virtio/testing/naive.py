"""A driver with the most common mistake, for comparison: it takes a timeout for a completion.

When the answer does not come in time, it marks the descriptors as free, as many drivers do, and goes on. The device
still owns them. Its late used entry stays in the ring, so every later command sees the answer of the one before.
"""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

from cloudboot_virtio.layout.constants import DESC_NEXT, DESC_WRITE
from cloudboot_virtio.layout.records import virtio_gpu_ctrl_hdr

if TYPE_CHECKING:
    from cloudboot_virtio.transport import Transport

_DESC = struct.Struct("<QIHH")
_USED = struct.Struct("<II")
_ANSWER = 2048  # offset of the answer in the one page for commands
_QUEUE_SIZE = 16


class NaiveGpu:
    """Sends gpu commands through one cached page, with the lowest free descriptors, and reclaims them on a timeout."""

    def __init__(self, transport: Transport, *, budget: float = 0.002) -> None:
        """Bring the device up; ``budget`` is how many seconds a command may take."""
        transport.start(0)
        queue = transport.queue(0, _QUEUE_SIZE)
        transport.queue(1, _QUEUE_SIZE)
        transport.driver_ok()
        addresses = queue.ring.addresses
        memory = transport.memory
        self._notify = queue.ring_doorbell
        self._table = memory.at(addresses.descriptors, 16 * _QUEUE_SIZE)
        self._available = memory.at(addresses.driver, 6 + 2 * _QUEUE_SIZE).cast("H")
        self._used = memory.at(addresses.device, 6 + 8 * _QUEUE_SIZE)
        self._used_half = self._used.cast("H")
        self._page = memory.allocate(4096)
        self._in_use = [False] * _QUEUE_SIZE
        self._next_available = self._next_used = 0
        self._budget = budget

    @property
    def surplus(self) -> int:
        """Used entries that the driver has not taken although no command of its own is under way.

        With one of them, every command takes the completion of the one before it for its own.
        """
        return (self._used_half[1] - self._next_used) & 0xFFFF

    def send(self, command: int, body: bytes) -> str:
        """Execute a command: ``"ok"``, ``"error"`` or ``"timeout"``."""
        request = virtio_gpu_ctrl_hdr(type=command).pack() + body
        page, address = self._page.view, self._page.address
        page[: len(request)] = request
        page[_ANSWER:] = bytes(4096 - _ANSWER)
        first, second = [slot for slot, used in enumerate(self._in_use) if not used][:2]
        _DESC.pack_into(self._table, 16 * first, address, len(request), DESC_NEXT, second)
        _DESC.pack_into(self._table, 16 * second, address + _ANSWER, 4096 - _ANSWER, DESC_WRITE, 0)
        self._in_use[first] = self._in_use[second] = True
        self._available[2 + self._next_available % _QUEUE_SIZE] = first
        self._next_available = (self._next_available + 1) & 0xFFFF
        self._available[1] = self._next_available
        self._notify()
        deadline = time.monotonic() + self._budget
        outcome = "timeout"
        while time.monotonic() < deadline:
            if self._used_half[1] != self._next_used:
                self._next_used = (self._next_used + 1) & 0xFFFF
                (code,) = struct.unpack_from("<I", page, _ANSWER)
                outcome = "ok" if 0x1100 <= code < 0x1200 else "error"
                break
            time.sleep(0)
        self._in_use[first] = self._in_use[second] = False  # the mistake: on a timeout, too
        return outcome
