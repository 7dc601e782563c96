"""The entropy device (5.4)."""

from __future__ import annotations

from cloudboot_virtio.errors import DeviceBrokenError
from cloudboot_virtio.layout.constants import DeviceId

from .base import Driver

_BUFFER = 4096


class RngDriver(Driver):
    """Random bytes from the host."""

    DEVICE = DeviceId.RNG

    def _set_up(self) -> None:
        self.requests = self._queue(0)
        self._buffers = self._pool(1, [], [_BUFFER])

    def read(self, size: int) -> bytes:
        """``size`` random bytes.

        Raises:
            CompletionTimeoutError: the device gives none in time.
            DeviceBrokenError: the device returned a buffer without a byte (5.4.6.2).
            ValueError: ``size`` is negative.
        """
        if size < 0:
            raise ValueError(f"{size} bytes")
        found = bytearray()
        while len(found) < size:
            chain = self._buffers.take()
            if chain is not None:
                chain.fit([], [min(size - len(found), _BUFFER)])
                self.requests.submit(chain)
                self.requests.kick()
            # Without an idle buffer an earlier read timed out: its buffer is still with the device, and comes back.
            completion = self.requests.wait(self.timeout)
            found += completion.chain.writable()[: completion.written]
            self._buffers.give(completion.chain)
            if not completion.written:
                raise DeviceBrokenError("the device returned a buffer without a random byte", structure="requestq")
        return bytes(found[:size])
