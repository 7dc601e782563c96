"""What the drivers share: bringing a device up, and a pool of chains of one shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cloudboot_virtio.errors import TransportError
from cloudboot_virtio.layout.constants import RING_FEATURES, DeviceId
from cloudboot_virtio.ring import Chain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cloudboot_virtio.memory import DmaMemory, Region
    from cloudboot_virtio.ring import Completion, InFlight, Virtqueue
    from cloudboot_virtio.transport import Transport

TIMEOUT = 5.0
"""Seconds that a driver waits for one answer, unless told otherwise."""


class ChainPool:
    """Chains of the same sizes, cut from one region. A steady state takes and returns them and allocates nothing."""

    def __init__(self, memory: DmaMemory, count: int, readable: Sequence[int], writable: Sequence[int]) -> None:
        """Make ``count`` chains with regions of these sizes in bytes; each region is aligned to 16 bytes."""
        sizes = [*readable, *writable]
        stride = sum(-(-size // 16) * 16 for size in sizes)
        self._memory = memory
        self.region: Region = memory.allocate(max(1, count) * stride)
        self._idle: list[Chain] = []
        for index in range(count):
            at, parts = index * stride, []
            for size in sizes:
                parts.append(self.region.part(at, size))
                at += -(-size // 16) * 16
            self._idle.append(Chain(parts[: len(readable)], parts[len(readable) :]))
        self.count = count
        self.sizes = (*readable, *writable)

    @property
    def idle(self) -> int:
        """Chains that can be taken."""
        return len(self._idle)

    def take(self) -> Chain | None:
        """A chain, or ``None`` if all are in use."""
        return self._idle.pop() if self._idle else None

    def give(self, chain: Chain) -> None:
        """Return a chain that the driver owns."""
        self._idle.append(chain)

    def release(self) -> None:
        """Give the memory back; every chain must be the driver's."""
        self._memory.free(self.region)


class Driver:
    """A driver of one device. Constructing it resets the device and brings it up.

    After :class:`~.errors.NeedsResetError`, :class:`~.errors.DeviceBrokenError` or a timeout that nobody wants to wait
    out, :meth:`restart` is the way back: the device is reset, what was in flight is given up, and the device is brought
    up again with empty queues.
    """

    DEVICE: ClassVar[DeviceId]
    FEATURES: ClassVar[int] = 0
    """Device feature bits that the driver can make use of."""

    def __init__(
        self,
        transport: Transport,
        *,
        features: int = RING_FEATURES,
        queue_size: int | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        """Bring the device up with the ring ``features`` it offers, and queues of at most ``queue_size`` descriptors.

        Raises:
            TransportError: it is another device.
            NegotiationError: there is no agreement on features.
        """
        if transport.device_id != self.DEVICE:
            raise TransportError(f"virtio device {transport.device_id} is not a {self.DEVICE.name.lower()} device")
        self.transport = transport
        self.timeout = timeout
        self._ring_features = features
        self._queue_size = queue_size
        self._pools: list[ChainPool] = []
        self._bring_up()

    @property
    def features(self) -> int:
        """The negotiated feature bits."""
        return self.transport.features

    def _bring_up(self) -> None:
        self.transport.start(self._ring_features | self.FEATURES)
        self._set_up()
        self.transport.driver_ok()
        self._started()

    def _set_up(self) -> None:
        """Make queues and pools; the device does not work yet."""
        raise NotImplementedError

    def _started(self) -> None:
        """What comes after DRIVER_OK."""

    def _queue(self, index: int, limit: int | None = None) -> Virtqueue:
        sizes = [size for size in (self._queue_size, limit) if size is not None]
        return self.transport.queue(index, min(sizes) if sizes else None)

    def _pool(self, count: int, readable: Sequence[int], writable: Sequence[int]) -> ChainPool:
        pool = ChainPool(self.transport.memory, count, readable, writable)
        self._pools.append(pool)
        return pool

    def restart(self) -> None:
        """Reset the device and bring it up again. What was in flight is lost; the device confirmed the reset."""
        self.shut_down()
        self._bring_up()

    def shut_down(self) -> None:
        """Reset the device and give all memory back."""
        self.transport.reset()
        for pool in self._pools:
            pool.release()
        self._pools.clear()


class Requests:
    """One queue on which every chain is answered: submit, collect, and wait for a certain one.

    ``on_answer(completion)`` is called for each answer, in the device's order.
    """

    def __init__(self, queue: Virtqueue, on_answer: Callable[[Completion], None]) -> None:
        self.queue = queue
        self._on_answer = on_answer

    def submit(self, chain: Chain, timeout: float) -> InFlight:
        """Submit; while the ring is full, wait for answers to make room."""
        ticket = self.queue.try_submit(chain)
        while ticket is None:
            self.queue.kick()
            self._on_answer(self.queue.wait(timeout))
            ticket = self.queue.try_submit(chain)
        return ticket

    def collect(self) -> int:
        """Take the answers that are there; how many."""
        count = 0
        while (completion := self.queue.poll()) is not None:
            self._on_answer(completion)
            count += 1
        return count

    def wait_one(self, timeout: float) -> None:
        """Take at least one answer.

        Raises:
            CompletionTimeoutError: none came.
        """
        self._on_answer(self.queue.wait(timeout))
        self.collect()

    def wait_for(self, ticket: InFlight, timeout: float) -> None:
        """Take answers until that of ``ticket`` is among them.

        Raises:
            CompletionTimeoutError: it did not come.
        """
        while not ticket.done:
            self._on_answer(self.queue.wait(timeout))

    def drain(self, timeout: float) -> None:
        """Take answers until nothing is in flight."""
        while self.queue.in_flight:
            self._on_answer(self.queue.wait(timeout))
