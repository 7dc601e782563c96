"""The input device (5.8): keyboards, mice, tablets."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import NamedTuple
from cloudboot_virtio.layout.constants import DeviceId
from cloudboot_virtio.layout.records import virtio_input_event

from .base import Driver, Requests
from .keys import KEY_NAMES

if TYPE_CHECKING:
    from cloudboot_virtio.ring import Completion

EV_SYN, EV_KEY, EV_REL, EV_ABS, EV_LED = 0, 1, 2, 3, 0x11
_EVENT = struct.Struct("<HHi")  # the value is signed for relative axes
_CFG_NAME, _CFG_SERIAL, _CFG_DEVIDS, _CFG_BITS, _CFG_ABS = 1, 2, 3, 0x11, 0x12
_PAYLOAD: Final = 8
_NAP: Final = 0.0005


class InputEvent(NamedTuple):
    """An evdev event, as in Linux's ``input-event-codes.h``."""

    type: int
    code: int
    value: int

    @property
    def key(self) -> str | None:
        """The name of a key, ``"enter"``; ``None`` for other events and unknown keys."""
        return KEY_NAMES.get(self.code) if self.type == EV_KEY else None


class InputDriver(Driver):
    """Events in the order in which they happened.

    A device drops events without a word while its event queue is empty. So the queue is filled as large as it is, and
    refilled with each look.
    """

    DEVICE = DeviceId.INPUT

    def _set_up(self) -> None:
        self.event_queue = self._queue(0)
        self.status = Requests(self._queue(1), self._status_taken)
        self._buffers = self._pool(self.event_queue.size, [], [virtio_input_event.SIZE])
        self._status_buffers = self._pool(min(8, self.status.queue.size), [virtio_input_event.SIZE], [])
        self._arrived: list[InputEvent] = []

    def _started(self) -> None:
        while (chain := self._buffers.take()) is not None:
            self.event_queue.submit(chain)
        self.event_queue.kick()

    def _select(self, select: int, subselect: int = 0) -> bytes:
        self.transport.write_config(0, bytes([select, subselect]))
        size = self.transport.read_config(2, 1)[0]
        return self.transport.read_config(_PAYLOAD, min(size, 128)) if size else b""

    @property
    def name(self) -> str:
        """The device's name."""
        return self._select(_CFG_NAME).split(b"\0", 1)[0].decode("utf-8", "replace")

    @property
    def serial(self) -> str:
        """The device's serial number, empty where it has none."""
        return self._select(_CFG_SERIAL).split(b"\0", 1)[0].decode("utf-8", "replace")

    def codes(self, event_type: int) -> list[int]:
        """The codes of ``event_type`` that the device can send."""
        bits = self._select(_CFG_BITS, event_type)
        return [8 * index + bit for index, byte in enumerate(bits) for bit in range(8) if byte >> bit & 1]

    def absolute_range(self, axis: int) -> tuple[int, int]:
        """The least and the greatest value of an absolute axis; (0, 0) for an axis the device does not have."""
        data = self._select(_CFG_ABS, axis)
        return struct.unpack_from("<ii", data) if len(data) >= 8 else (0, 0)

    def events(self) -> list[InputEvent]:
        """The events that have arrived."""
        count = 0
        while (completion := self.event_queue.poll()) is not None:
            if completion.written == _EVENT.size:
                self._arrived.append(InputEvent(*_EVENT.unpack_from(completion.chain.writable())))
            self.event_queue.submit(completion.chain)
            count += 1
        if count:
            self.event_queue.kick()
        arrived, self._arrived = self._arrived, []
        return arrived

    def wait_report(self, timeout: float) -> list[InputEvent]:
        """The events up to and with the next SYN_REPORT; empty if none is complete within ``timeout`` seconds.

        Raises:
            NeedsResetError: the device asks for a reset.
        """
        deadline = time.monotonic() + timeout
        seen: list[InputEvent] = []
        while True:
            seen += self.events()
            for index, event in enumerate(seen):
                if event.type == EV_SYN:
                    self._arrived = seen[index + 1 :]
                    return seen[: index + 1]
            if time.monotonic() > deadline:
                self._arrived = seen
                return []
            self.event_queue.check()
            time.sleep(_NAP)

    def set_led(self, code: int, *, on: bool) -> None:
        """Switch a LED of a keyboard.

        Raises:
            CompletionTimeoutError: the device does not take it.
        """
        chain = self._status_buffers.take()
        while chain is None:
            self.status.wait_one(self.timeout)
            chain = self._status_buffers.take()
        _EVENT.pack_into(chain.readable(), 0, EV_LED, code, int(on))
        ticket = self.status.submit(chain, self.timeout)
        self.status.queue.kick()
        self.status.wait_for(ticket, self.timeout)

    def _status_taken(self, completion: Completion) -> None:
        self._status_buffers.give(completion.chain)
