"""A transport whose device is in this process and works only when it is told to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_virtio.device import DeviceChain, PackedDeviceRing, SplitDeviceRing
from cloudboot_virtio.errors import DriverBrokenError, NeedsResetError, NegotiationError, TransportError
from cloudboot_virtio.layout.constants import RING_FEATURES, Feature, Status
from cloudboot_virtio.memory import DmaMemory
from cloudboot_virtio.ring import Chain, PackedRing, SplitRing, Virtqueue, make_ring, ring_size

from .behaviour import Behaviour
from .models import DeviceDiedError

if TYPE_CHECKING:
    from .models import Model

_QUEUE_SIZE = 64


class _Served:
    """The device's side of one queue."""

    def __init__(self, ring: SplitRing | PackedRing, memory: DmaMemory, features: int) -> None:
        kind = PackedDeviceRing if features & Feature.RING_PACKED else SplitDeviceRing
        self.driver_ring = ring
        self.ring = kind(memory, ring.size, ring.addresses, event_idx=bool(features & Feature.EVENT_IDX))
        self.held: list[DeviceChain] = []


class FakeDevice:
    """A :class:`.Transport` and the device behind it.

    The device works in :meth:`step`, which is called with every doorbell and while a driver waits. ``auto=False``
    leaves that to the test.
    """

    def __init__(
        self,
        model: Model,
        behaviour: Behaviour | None = None,
        *,
        memory: DmaMemory | None = None,
        offered: int = RING_FEATURES,
        queue_size: int = _QUEUE_SIZE,
        auto: bool = True,
    ) -> None:
        """Offer the ring features ``offered``, and those of the model; queues have up to ``queue_size`` descriptors."""
        self.model = model
        self.behaviour = Behaviour() if behaviour is None else behaviour
        self.memory = DmaMemory(memoryview(bytearray(16 << 20)), 0x1000_0000) if memory is None else memory
        self.device_id = model.device_id
        self.offered = offered | model.features
        self.features = 0
        self.queues: dict[int, Virtqueue] = {}
        self.served: dict[int, _Served] = {}
        self.status_bits = 0
        self.resets = 0
        self.driver_fault: DriverBrokenError | None = None
        """What the driver did wrong, as the device saw it."""
        self._queue_size = queue_size
        self._auto = auto

    @property
    def status(self) -> int:
        """The device status field."""
        return self.status_bits

    def start(self, wanted: int) -> int:
        """See :meth:`.Transport.start`."""
        self.reset()
        if not self.offered & Feature.VERSION_1:
            raise NegotiationError("the device does not offer VERSION_1: it is older than virtio 1.0")
        self.features = self.offered & (wanted | Feature.VERSION_1)
        self.status_bits = Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK
        return self.features

    def queue(self, index: int, size: int | None = None) -> Virtqueue:
        """See :meth:`.Transport.queue`."""
        if index >= self.model.queues:
            raise TransportError(f"the device has no queue {index}")
        limit = min(size or self._queue_size, self._queue_size)
        ring = make_ring(self.memory, ring_size(limit, self.features), self.features)
        self.served[index] = _Served(ring, self.memory, self.features)
        self.queues[index] = Virtqueue(index, ring, self._notified, self._idle)
        return self.queues[index]

    def driver_ok(self) -> None:
        """See :meth:`.Transport.driver_ok`."""
        self.status_bits |= Status.DRIVER_OK

    def let_go(self, index: int) -> bool:
        """Whether the device does not use queue ``index``."""
        return self.status_bits == 0 or index not in self.served

    def reset(self) -> list[Chain]:
        """See :meth:`.Transport.reset`."""
        self.status_bits = 0
        self.resets += 1
        chains: list[Chain] = []
        for index, queue in self.queues.items():
            chains += queue.take_back(self, queue.ring)
            self.served[index].driver_ring.release()
        self.queues.clear()
        self.served.clear()
        return chains

    def reset_queue(self, index: int, size: int | None = None) -> list[Chain]:
        """See :meth:`.Transport.reset_queue`."""
        if not self.features & Feature.RING_RESET:
            raise NegotiationError("RING_RESET was not negotiated; only a device reset frees a queue")
        old = self.served.pop(index).driver_ring
        ring = make_ring(self.memory, ring_size(size or old.size, self.features), self.features)
        chains = self.queues[index].take_back(self, ring)
        old.release()
        self.served[index] = _Served(ring, self.memory, self.features)
        return chains

    def read_config(self, offset: int, size: int) -> bytes:
        """See :meth:`.Transport.read_config`."""
        return self.model.config[offset : offset + size]

    def write_config(self, offset: int, data: bytes) -> None:
        """Ignored: no model has writable configuration."""

    def _notified(self) -> None:
        if self._auto:
            self.step()

    def _idle(self) -> None:
        if self.status_bits & Status.NEEDS_RESET:
            raise NeedsResetError("the device asks for a reset", hint="reset the device and start it again")
        if self._auto:
            self.step()

    def step(self) -> None:
        """Take what is available; answer what is due, misbehaving as it must."""
        if self.status_bits & Status.NEEDS_RESET or self.behaviour.happens(self.behaviour.late):
            return
        for index, served in list(self.served.items()):
            try:
                self._serve(index, served)
            except DeviceDiedError:
                self.status_bits |= Status.NEEDS_RESET
                return
            except DriverBrokenError as error:  # what a real device does, too; a scribbling one confuses itself
                self.driver_fault = error
                self.status_bits |= Status.NEEDS_RESET
                return

    def _serve(self, index: int, served: _Served) -> None:
        while (chain := served.ring.pop()) is not None:
            served.held.append(chain)
        behaviour = self.behaviour
        for chain in list(served.held):
            if behaviour.happens(behaviour.late) or not served.held:
                continue
            if behaviour.happens(behaviour.reorder):
                chosen = behaviour.pick(served.held)
            elif chain in served.held:
                chosen = chain
            else:
                continue  # answered out of order already
            written = self.model.serve(index, chosen)
            if written is not None:
                served.held.remove(chosen)
                self._answer(served, chosen, written)
        if behaviour.happens(behaviour.scribble):
            self._scribble(served)

    def _answer(self, served: _Served, chain: DeviceChain, written: int) -> None:
        behaviour, ring = self.behaviour, served.ring
        if behaviour.happens(behaviour.short):
            written = behaviour.below(written + 1)
        if behaviour.happens(behaviour.long):
            written = behaviour.pick([chain.capacity + 1, 1 << 31, 0xFFFF_FFFF])
        if behaviour.happens(behaviour.wrong_id):
            ring.busy.discard(chain.identity)
            ring.push_raw(behaviour.below(1 << 16), written)
            return
        ring.push(chain, written)
        if behaviour.happens(behaviour.duplicate):
            ring.push_raw(chain.identity, written)
        if behaviour.happens(behaviour.jump):
            for _ in range(1 + behaviour.below(2 * ring.size)):
                ring.push_raw(chain.identity, written)

    def _scribble(self, served: _Served) -> None:
        """Change bytes where the device may write: the used ring, or all of a packed ring."""
        ring, below = served.driver_ring, self.behaviour.below
        packed = bool(self.features & Feature.RING_PACKED)
        start = ring.addresses.descriptors if packed else ring.addresses.device
        area = self.memory.at(start, 16 * ring.size if packed else 6 + 8 * ring.size)
        for _ in range(1 + below(6)):
            area[below(len(area))] = below(256)
