"""The network device (5.1): Ethernet frames, no offloads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_virtio.errors import DeviceBrokenError
from cloudboot_virtio.layout.constants import DeviceId
from cloudboot_virtio.layout.records import virtio_net_hdr

from .base import Driver, Requests

if TYPE_CHECKING:
    from cloudboot_virtio.ring import Completion

_F_MAC: Final = 1 << 5
_LARGEST: Final = 1514
_HEADER: Final = virtio_net_hdr.SIZE
_BUFFERS: Final = 64


class NetDriver(Driver):
    """Sends and receives Ethernet frames without their checksum. The receive queue is kept filled."""

    DEVICE = DeviceId.NET
    FEATURES = _F_MAC

    def _set_up(self) -> None:
        self.receive_queue = self._queue(0)
        self.transmit = Requests(self._queue(1), self._sent)
        self._receive_buffers = self._pool(min(_BUFFERS, self.receive_queue.size), [], [_HEADER + _LARGEST])
        self._send_buffers = self._pool(min(_BUFFERS, self.transmit.queue.size), [_HEADER + _LARGEST], [])
        self._arrived: list[bytes] = []
        self.mac = self.transport.read_config(0, 6) if self.features & _F_MAC else None
        """The device's address, if it has one."""

    def _started(self) -> None:
        while (chain := self._receive_buffers.take()) is not None:
            self.receive_queue.submit(chain)
        self.receive_queue.kick()

    def _sent(self, completion: Completion) -> None:
        self._send_buffers.give(completion.chain)

    def send(self, frame: bytes) -> None:
        """Send a frame; returns before it is on the wire.

        Raises:
            ValueError: the frame is shorter than its header or longer than 1514 bytes.
        """
        if not 14 <= len(frame) <= _LARGEST:
            raise ValueError(f"an Ethernet frame has 14 to {_LARGEST} bytes, not {len(frame)}")
        self.transmit.collect()
        while (chain := self._send_buffers.take()) is None:
            self.transmit.wait_one(self.timeout)
        view = chain.readable()
        view[:_HEADER] = bytes(_HEADER)
        view[_HEADER : _HEADER + len(frame)] = frame
        chain.fit([_HEADER + len(frame)], [])
        self.transmit.submit(chain, self.timeout)
        self.transmit.queue.kick()

    def flush(self) -> None:
        """Wait until the device has taken every frame."""
        self.transmit.drain(self.timeout)

    def _frame(self, completion: Completion) -> bytes:
        frame = bytes(completion.chain.writable()[_HEADER : completion.written])
        self.receive_queue.submit(completion.chain)
        if completion.written < _HEADER:
            raise DeviceBrokenError(
                "a received frame is shorter than its header",
                structure="virtio_net_hdr",
                expected=_HEADER,
                actual=completion.written,
            )
        return frame

    def receive(self) -> list[bytes]:
        """The frames that have arrived, oldest first.

        Raises:
            DeviceBrokenError: a frame is shorter than its header; the frames before it come with the next call.
        """
        try:
            while (completion := self.receive_queue.poll()) is not None:
                self._arrived.append(self._frame(completion))
        finally:
            self.receive_queue.kick()
        frames, self._arrived = self._arrived, []
        return frames

    def receive_one(self, timeout: float) -> bytes:
        """The next frame.

        Raises:
            CompletionTimeoutError: none arrived within ``timeout`` seconds.
            DeviceBrokenError: the frame is shorter than its header.
        """
        if self._arrived:
            return self._arrived.pop(0)
        frame = self._frame(self.receive_queue.wait(timeout))
        self.receive_queue.kick()
        return frame
