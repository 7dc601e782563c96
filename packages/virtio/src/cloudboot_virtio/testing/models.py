"""What a fake device does with a request: small, correct models of some devices."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING, Protocol

from cloudboot_base.lightdata import dataclass, field
from cloudboot_virtio.layout.constants import DeviceId
from cloudboot_virtio.layout.records import virtio_blk_req, virtio_gpu_ctrl_hdr, virtio_gpu_display_one

if TYPE_CHECKING:
    from cloudboot_virtio.device import DeviceChain

SECTOR = 512


class DeviceDiedError(Exception):
    """The model stops working; the fake device sets NEEDS_RESET."""


class Model(Protocol):
    """A device's function. ``features`` are its device feature bits, ``config`` its configuration."""

    device_id: int
    features: int
    queues: int

    @property
    def config(self) -> bytes:
        """The device configuration structure."""

    def serve(self, queue: int, chain: DeviceChain) -> int | None:
        """Execute a request; the bytes written, or ``None``: no answer yet, ask again with the next step.

        Raises:
            DeviceDiedError: the device stops working.
        """


@dataclass
class RngModel:
    """Pseudo-random bytes."""

    seed: int = 0
    device_id: int = DeviceId.RNG
    features: int = 0
    queues: int = 1
    config: bytes = b""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 -- a test's randomness is reproducible

    def serve(self, queue: int, chain: DeviceChain) -> int | None:  # noqa: ARG002 -- there is one queue
        """Fill the chain."""
        return chain.write(self._random.randbytes(chain.capacity))


@dataclass
class SinkModel:
    """Takes everything and writes zeros: for tests of rings. ``served`` holds what was read, in order."""

    device_id: int = DeviceId.CONSOLE
    features: int = 0
    queues: int = 4
    config: bytes = b""
    served: list[bytes] = field(default_factory=list)

    def serve(self, queue: int, chain: DeviceChain) -> int | None:  # noqa: ARG002 -- all queues alike
        """Note what was read."""
        self.served.append(chain.read())
        return chain.write(bytes(chain.capacity))


@dataclass
class BlockModel:
    """A block device over ``data``. Requests are counted from 0.

    Those in ``fail_at`` are answered with an I/O error, ``delay_at`` maps a request to the number of steps before its
    answer, and request ``die_at`` makes the device stop working, as a driver bug did in virtio-win issue 907.
    """

    data: bytearray
    fail_at: frozenset[int] = frozenset()
    delay_at: dict[int, int] = field(default_factory=dict)
    die_at: int | None = None
    device_id: int = DeviceId.BLOCK
    features: int = 1 << 9
    queues: int = 1
    requests: int = 0

    def __post_init__(self) -> None:
        self._numbers: dict[DeviceChain, int] = {}
        self._waiting: dict[DeviceChain, int] = {}

    @property
    def config(self) -> bytes:
        """Capacity in sectors; the rest is zero."""
        return struct.pack("<Q", len(self.data) // SECTOR) + bytes(52)

    def serve(self, queue: int, chain: DeviceChain) -> int | None:  # noqa: ARG002 -- there is one queue
        """Read, write, flush or give the serial number."""
        if chain not in self._numbers:
            self._numbers[chain] = self.requests
            self._waiting[chain] = self.delay_at.get(self.requests, 0)
            self.requests += 1
        number = self._numbers[chain]
        if number == self.die_at:
            raise DeviceDiedError
        if self._waiting[chain]:
            self._waiting[chain] -= 1
            return None
        del self._numbers[chain], self._waiting[chain]
        room = chain.capacity - 1
        status, data = (1, b"") if number in self.fail_at else self._execute(chain.read(), room)
        chain.write(data)
        chain.write(bytes([status]), room)
        return room + 1

    def _execute(self, request: bytes, room: int) -> tuple[int, bytes]:
        header = virtio_blk_req.unpack_from(request)
        at, payload = header.sector * SECTOR, request[virtio_blk_req.SIZE :]
        if header.type == 0 and at + room <= len(self.data):
            return 0, bytes(self.data[at : at + room])
        if header.type == 1 and at + len(payload) <= len(self.data):
            self.data[at : at + len(payload)] = payload
            return 0, b""
        if header.type == 4:
            return 0, b""
        if header.type == 8:
            return 0, b"fake".ljust(room, b"\0")
        return (1 if header.type in {0, 1} else 2), b""


@dataclass
class GpuModel:
    """Answers every 2D command with success and the fence that came with it. ``flushes`` counts RESOURCE_FLUSH."""

    width: int = 64
    height: int = 32
    device_id: int = DeviceId.GPU
    features: int = 0
    queues: int = 2
    flushes: int = 0
    config: bytes = struct.pack("<4I", 0, 0, 1, 0)

    def serve(self, queue: int, chain: DeviceChain) -> int | None:  # noqa: ARG002 -- the cursor queue is alike
        """Answer with OK_NODATA, or with the display's modes."""
        header = virtio_gpu_ctrl_hdr.unpack_from(chain.read())
        answer = virtio_gpu_ctrl_hdr(type=0x1100, flags=header.flags, fence_id=header.fence_id)
        body = b""
        if header.type == 0x100:
            answer.type = 0x1101
            mode = virtio_gpu_display_one(enabled=1)
            mode.r.width, mode.r.height = self.width, self.height
            body = mode.pack().ljust(16 * virtio_gpu_display_one.SIZE, b"\0")
        self.flushes += header.type == 0x104
        return chain.write(answer.pack() + body)
