"""The modern virtio-pci transport: status, features, queues, doorbells, configuration (virtio 1.2, 3.1 and 4.1)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from cloudboot_virtio.errors import NeedsResetError, NegotiationError, TransportError
from cloudboot_virtio.layout.constants import Feature, Status
from cloudboot_virtio.layout.records import virtio_pci_common_cfg
from cloudboot_virtio.ring import Chain, PackedRing, SplitRing, Virtqueue, make_ring, ring_size

from .capabilities import CfgType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cloudboot_virtio.bus import Bus
    from cloudboot_virtio.memory import DmaMemory

    from .capabilities import Structure

_OFFSETS: Final = virtio_pci_common_cfg.LAYOUT.offsets
_RESET_SECONDS: Final = 5.0
_GENERATION_TRIES: Final = 100
#: While a queue waits, the status is read this often (seconds): NEEDS_RESET ends the wait.
_HEALTH_SECONDS: Final = 0.25
#: A stopped machine does not answer; the wait has a timeout of its own.
_HEALTH_WAIT: Final = 0.02


class PciTransport:
    """One device, as a driver sees it; see :class:`.Transport`. Interrupts stay off: completions are polled."""

    def __init__(self, bus: Bus, memory: DmaMemory, device_id: int, structures: Mapping[CfgType, Structure]) -> None:
        self.bus = bus
        self.memory = memory
        self.device_id = device_id
        self.offered = 0
        self.features = 0
        self.queues: dict[int, Virtqueue] = {}
        self._rings: dict[int, SplitRing | PackedRing] = {}
        self._common = structures[CfgType.COMMON].address
        self._notify = structures[CfgType.NOTIFY]
        self._device = structures.get(CfgType.DEVICE)
        self._health_due = 0.0

    def _read(self, field: str, size: int) -> int:
        return self.bus.read(self._common + _OFFSETS[field], size)

    def _write(self, field: str, size: int, value: int) -> None:
        self.bus.write(self._common + _OFFSETS[field], size, value)

    @property
    def status(self) -> int:
        """The device status field."""
        return self._read("device_status", 1)

    def start(self, wanted: int) -> int:
        """Reset the device and negotiate (3.1.1); see :meth:`.Transport.start`.

        Raises:
            NegotiationError: the device does not offer VERSION_1, or refuses the features.
        """
        self.reset()
        status = Status.ACKNOWLEDGE | Status.DRIVER
        self._write("device_status", 1, Status.ACKNOWLEDGE)
        self._write("device_status", 1, status)
        self.offered = 0
        for half in (0, 1):
            self._write("device_feature_select", 4, half)
            self.offered |= self._read("device_feature", 4) << 32 * half
        if not self.offered & Feature.VERSION_1:
            self._fail()
            raise NegotiationError("the device does not offer VERSION_1: it is older than virtio 1.0")
        # A device that offers ACCESS_PLATFORM may refuse drivers without it (6.1). Addresses stay guest-physical: no
        # IOMMU translates before somebody sets one up.
        self.features = self.offered & (wanted | Feature.VERSION_1 | Feature.ACCESS_PLATFORM)
        for half in (0, 1):
            self._write("driver_feature_select", 4, half)
            self._write("driver_feature", 4, self.features >> 32 * half & 0xFFFF_FFFF)
        self._write("device_status", 1, status | Status.FEATURES_OK)
        if not self.status & Status.FEATURES_OK:
            self._fail()
            raise NegotiationError(f"the device does not accept the features {self.features:#x}")
        return self.features

    def _fail(self) -> None:
        self._write("device_status", 1, Status.FAILED)

    def driver_ok(self) -> None:
        """Tell the device that it may work."""
        done = Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK | Status.DRIVER_OK
        self._write("device_status", 1, done)

    def queue(self, index: int, size: int | None = None) -> Virtqueue:
        """Set up queue ``index`` (4.1.5.1.3); see :meth:`.Transport.queue`.

        Raises:
            TransportError: the device has no such queue.
        """
        self._write("queue_select", 2, index)
        largest = self._read("queue_size", 2)
        if largest == 0:
            raise TransportError(f"the device has no queue {index}")
        ring = make_ring(self.memory, ring_size(min(size or largest, largest), self.features), self.features)
        queue = Virtqueue(index, ring, self._enable(index, ring, largest), self._healthy)
        self.queues[index] = queue
        self._rings[index] = ring
        return queue

    def _enable(self, index: int, ring: SplitRing | PackedRing, largest: int | None = None) -> Callable[[], None]:
        """Tell the device where the selected queue is; its doorbell.

        The queue's interrupt vector is not written: MSI-X is never enabled, so the device has none to use.
        """
        if ring.size != largest:  # after a reset the register holds the largest size (4.1.4.3)
            self._write("queue_size", 2, ring.size)
        addresses = ring.addresses
        for field, address in (
            ("queue_desc", addresses.descriptors),
            ("queue_driver", addresses.driver),
            ("queue_device", addresses.device),
        ):
            at = self._common + _OFFSETS[field]  # 64-bit registers are written in halves (4.1.3.1)
            self.bus.write(at, 4, address & 0xFFFF_FFFF)
            self.bus.write(at + 4, 4, address >> 32)
        doorbell = self._read("queue_notify_off", 2) * self._notify.multiplier
        if doorbell + 2 > self._notify.length:
            raise TransportError(f"the doorbell of queue {index} is outside of the notification structure")
        self._write("queue_enable", 2, 1)
        post, address = self.bus.post, self._notify.address + doorbell
        return lambda: post(address, 2, index)

    def _healthy(self) -> None:
        now = time.monotonic()
        if now < self._health_due:
            return
        overdue = self._health_due and now < self._health_due + _HEALTH_SECONDS
        self._health_due = now + _HEALTH_SECONDS
        if not overdue:  # the first look of a new wait
            return
        status = self.bus.try_read(self._common + _OFFSETS["device_status"], 1, _HEALTH_WAIT)
        if status is not None and status & Status.NEEDS_RESET:
            raise NeedsResetError("the device asks for a reset", hint="reset the device and start it again")

    def let_go(self, index: int) -> bool:
        """Whether the device reports that it does not use queue ``index``: itself reset, or the queue."""
        if self.status == 0:
            return True
        self._write("queue_select", 2, index)
        return self._read("queue_enable", 2) == 0 and self._read("queue_reset", 2) == 0

    def reset(self) -> list[Chain]:
        """Reset the device (2.4); all chains of all queues come back, and the queues are gone.

        Raises:
            TransportError: the device does not finish the reset.
        """
        self._write("device_status", 1, 0)
        self._await(lambda: self.status == 0, "the device does not finish its reset")
        chains: list[Chain] = []
        for index, queue in self.queues.items():
            chains += queue.take_back(self, queue.ring)
            self._rings[index].release()
        self.queues.clear()
        self._rings.clear()
        return chains

    def reset_queue(self, index: int, size: int | None = None) -> list[Chain]:
        """Reset one queue and start it again (2.6.1, 4.1.4.3); see :meth:`.Transport.reset_queue`.

        Raises:
            NegotiationError: RING_RESET was not negotiated.
        """
        if not self.features & Feature.RING_RESET:
            raise NegotiationError("RING_RESET was not negotiated; only a device reset frees a queue")
        queue = self.queues[index]
        self._write("queue_select", 2, index)
        self._write("queue_reset", 2, 1)
        self._await(lambda: self._read("queue_reset", 2) == 0, f"the device does not finish the reset of queue {index}")
        ring = make_ring(self.memory, ring_size(size or queue.ring.size, self.features), self.features)
        chains = queue.take_back(self, ring)
        self._rings[index].release()
        self._rings[index] = ring
        self._write("queue_select", 2, index)
        self._enable(index, ring)
        return chains

    def _await(self, condition: Callable[[], bool], problem: str) -> None:
        deadline = time.monotonic() + _RESET_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise TransportError(f"{problem} within {_RESET_SECONDS:g} s")

    def _device_structure(self, offset: int, size: int) -> int:
        if self._device is None or offset + size > self._device.length:
            raise TransportError(f"the device has no configuration of {offset + size} bytes")
        return self._device.address + offset

    def read_config(self, offset: int, size: int) -> bytes:
        """Device configuration, read again until its generation did not change meanwhile (2.5.2).

        Raises:
            TransportError: there is no such configuration, or it never stays the same.
        """
        address = self._device_structure(offset, size)
        for _ in range(_GENERATION_TRIES):
            before = self._read("config_generation", 1)
            data = self.bus.read_bytes(address, size)
            if self._read("config_generation", 1) == before:
                return data
        raise TransportError("the device configuration changes faster than it can be read")

    def write_config(self, offset: int, data: bytes) -> None:
        """Write device configuration, byte by byte.

        Raises:
            TransportError: there is no such configuration.
        """
        address = self._device_structure(offset, len(data))
        for position, value in enumerate(data):
            self.bus.write(address + position, 1, value)
