"""The console device (5.3), with several ports."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, Final

from cloudboot_virtio.errors import CompletionTimeoutError, TransportError
from cloudboot_virtio.layout.constants import RING_FEATURES, DeviceId
from cloudboot_virtio.layout.records import virtio_console_control

from .base import TIMEOUT, ChainPool, Driver, Requests

if TYPE_CHECKING:
    from cloudboot_virtio.ring import Completion, Virtqueue
    from cloudboot_virtio.transport import Transport

_F_MULTIPORT: Final = 1 << 1
_DEVICE_READY, _PORT_ADD, _PORT_REMOVE, _PORT_READY, _CONSOLE_PORT, _RESIZE, _PORT_OPEN, _PORT_NAME = range(8)
_BUFFER: Final = 4096
_BUFFERS: Final = 4
_CONTROL_BYTES: Final = 256
_NAP: Final = 0.0005


class ConsolePort:
    """One port: a stream of bytes in both directions.

    ``present`` says whether the device has the port, ``name`` is the host's, ``host_open`` whether somebody is
    connected to it.
    """

    def __init__(
        self, number: int, receive: Virtqueue, transmit: Virtqueue, pools: tuple[ChainPool, ChainPool], timeout: float
    ) -> None:
        self.number = number
        self.present = False
        self.name = ""
        self.is_console = False
        self.host_open = False
        self._receive = receive
        self._transmit = Requests(transmit, self._sent)
        self._in, self._out = pools
        self._timeout = timeout
        self._arrived = bytearray()

    def fill(self) -> None:
        """Give the device every idle receive buffer."""
        while (chain := self._in.take()) is not None:
            self._receive.submit(chain)
        self._receive.kick()

    def removed(self) -> None:
        """The device no longer has the port; what it said of it is void, and its queues stay for a port to come."""
        self.present = self.is_console = self.host_open = False
        self.name = ""

    def _sent(self, completion: Completion) -> None:
        self._out.give(completion.chain)

    def write(self, data: bytes) -> None:
        """Send bytes to the host; returns when the device has taken all of them.

        Raises:
            CompletionTimeoutError: the host does not take them.
            TransportError: the device does not have the port, or has removed it; it would drop the bytes.
        """
        if not self.present:
            raise TransportError(f"the device has no port {self.number}")
        for at in range(0, len(data), _BUFFER):
            while (chain := self._out.take()) is None:
                self._transmit.wait_one(self._timeout)
            part = data[at : at + _BUFFER]
            chain.readable()[: len(part)] = part
            chain.fit([len(part)], [])
            self._transmit.submit(chain, self._timeout)
            self._transmit.queue.kick()
        self._transmit.drain(self._timeout)

    def read(self) -> bytes:
        """The bytes that have arrived."""
        returned = False
        while (completion := self._receive.poll()) is not None:
            self._arrived += completion.chain.writable()[: completion.written]
            self._in.give(completion.chain)
            returned = True
        if returned:  # also buffers without a byte
            self.fill()
        data, self._arrived = bytes(self._arrived), bytearray()
        return data

    def read_some(self, size: int, timeout: float) -> bytes:
        """At least ``size`` bytes, or what arrived within ``timeout`` seconds.

        Raises:
            NeedsResetError: the device asks for a reset.
        """
        deadline = time.monotonic() + timeout
        data = self.read()
        while len(data) < size and time.monotonic() < deadline:
            self._receive.check()
            time.sleep(_NAP)
            data += self.read()
        return data


class ConsoleDriver(Driver):
    """``ports`` holds the ports that have queues. Port 0 is there at once; with MULTIPORT the device announces all."""

    DEVICE = DeviceId.CONSOLE
    FEATURES = _F_MULTIPORT

    def __init__(
        self,
        transport: Transport,
        *,
        features: int = RING_FEATURES,
        queue_size: int | None = None,
        timeout: float = TIMEOUT,
        ports: int = 4,
    ) -> None:
        """As :class:`.Driver`, with queues for at most ``ports`` ports."""
        self._most_ports = ports
        super().__init__(transport, features=features, queue_size=queue_size, timeout=timeout)

    def _set_up(self) -> None:
        count = 1
        self.multiport = bool(self.features & _F_MULTIPORT)
        if self.multiport:
            (most,) = struct.unpack("<I", self.transport.read_config(4, 4))
            count = max(1, min(most, self._most_ports))
        self.ports = [self._port(number) for number in range(count)]
        self.ports[0].present = not self.multiport
        if self.multiport:
            self._control_in = self._queue(2)
            self._control_out = Requests(self._queue(3), self._control_sent)
            size = virtio_console_control.SIZE
            self._control_in_pool = self._pool(min(16, self._control_in.size), [], [_CONTROL_BYTES])
            self._control_out_pool = self._pool(min(16, self._control_out.queue.size), [size], [])

    def _port(self, number: int) -> ConsolePort:
        first = 0 if number == 0 else 2 * number + 2  # 5.3.2
        receive, transmit = self._queue(first), self._queue(first + 1)
        pools = (
            self._pool(min(_BUFFERS, receive.size), [], [_BUFFER]),
            self._pool(min(_BUFFERS, transmit.size), [_BUFFER], []),
        )
        return ConsolePort(number, receive, transmit, pools, self.timeout)

    def _started(self) -> None:
        for port in self.ports:
            port.fill()
        if self.multiport:
            self._fill_control()
            self._send(0xFFFF_FFFF, _DEVICE_READY, 1)

    def _fill_control(self) -> None:
        while (chain := self._control_in_pool.take()) is not None:
            self._control_in.submit(chain)
        self._control_in.kick()

    def _control_sent(self, completion: Completion) -> None:
        self._control_out_pool.give(completion.chain)

    def _send(self, port: int, event: int, value: int) -> None:
        while (chain := self._control_out_pool.take()) is None:
            self._control_out.wait_one(self.timeout)
        chain.readable()[:] = virtio_console_control(id=port, event=event, value=value).pack()
        self._control_out.submit(chain, self.timeout)
        self._control_out.queue.kick()

    def process(self) -> int:
        """Answer the device's messages that have arrived (5.3.6.2); how many there were.

        A port that is announced without queues of ours is answered as not ready.
        """
        count = 0
        while self.multiport and (completion := self._control_in.poll()) is not None:
            message = bytes(completion.chain.writable()[: completion.written])
            self._control_in_pool.give(completion.chain)
            if len(message) >= virtio_console_control.SIZE:
                self._handle(message)
            count += 1
        if count:
            self._fill_control()
        return count

    def wait_open(self, number: int, timeout: float = TIMEOUT) -> ConsolePort:
        """The port, once the host has opened it; its name is known then.

        Raises:
            CompletionTimeoutError: it is not opened within ``timeout`` seconds.
            ValueError: there are no queues for that port.
        """
        if not 0 <= number < len(self.ports):
            raise ValueError(f"no port {number}; there are queues for {len(self.ports)}")
        port = self.ports[number]
        deadline = time.monotonic() + timeout
        while self.multiport and not port.host_open:
            if not self.process():
                self._control_in.check()
                time.sleep(_NAP)
            if time.monotonic() > deadline:
                in_flight = self._control_in.in_flight
                raise CompletionTimeoutError(f"port {number} was not opened", seconds=timeout, in_flight=in_flight)
        return port

    def _handle(self, message: bytes) -> None:
        record = virtio_console_control.unpack_from(message)
        if record.id >= len(self.ports):
            if record.event == _PORT_ADD:
                self._send(record.id, _PORT_READY, 0)
            return
        port = self.ports[record.id]
        if record.event == _PORT_ADD:
            port.present = True
            self._send(port.number, _PORT_READY, 1)
            self._send(port.number, _PORT_OPEN, 1)
        elif record.event == _PORT_REMOVE:
            port.removed()
        elif record.event == _CONSOLE_PORT:
            port.is_console = True
        elif record.event == _PORT_OPEN:
            port.host_open = bool(record.value)
        elif record.event == _PORT_NAME:
            port.name = message[virtio_console_control.SIZE :].rstrip(b"\0").decode("utf-8", "replace")
