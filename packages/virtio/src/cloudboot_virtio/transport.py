"""What a driver needs of the way to its device; :class:`.PciTransport` and the fake device's transport are two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .memory import DmaMemory
    from .ring import Chain, Virtqueue


class Transport(Protocol):
    """One device: status machine, features, queues and device configuration (section 2).

    ``features`` are the negotiated ones, ``offered`` the device's. Queues and buffers are
    allocated in ``memory``.
    """

    @property
    def device_id(self) -> int:
        """The virtio device id."""

    @property
    def memory(self) -> DmaMemory:
        """Where queues and buffers are allocated."""

    @property
    def offered(self) -> int:
        """The features that the device offers."""

    @property
    def features(self) -> int:
        """The negotiated features."""

    @property
    def queues(self) -> dict[int, Virtqueue]:
        """The queues that were set up since the last reset."""

    @property
    def status(self) -> int:
        """The device status field."""

    def start(self, wanted: int) -> int:
        """Reset the device and negotiate: the features it offers of ``wanted``. VERSION_1 is mandatory.

        Raises:
            NegotiationError: the device is older than virtio 1.0, or does not accept the features.
        """

    def queue(self, index: int, size: int | None = None) -> Virtqueue:
        """Set up queue ``index`` with at most ``size`` descriptors.

        Raises:
            TransportError: the device has no such queue.
        """

    def driver_ok(self) -> None:
        """Tell the device that it may work."""

    def reset(self) -> list[Chain]:
        """Reset the device; all chains of all queues come back, and the queues are gone."""

    def reset_queue(self, index: int, size: int | None = None) -> list[Chain]:
        """Reset one queue and start it again; its chains come back.

        Raises:
            NegotiationError: RING_RESET was not negotiated.
        """

    def read_config(self, offset: int, size: int) -> bytes:
        """Device configuration, consistent over all its bytes (2.5.2)."""

    def write_config(self, offset: int, data: bytes) -> None:
        """Write device configuration, byte by byte."""
