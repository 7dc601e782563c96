"""What a machine has to offer so that its virtio devices can be driven from here."""

from __future__ import annotations

from typing import Protocol


class Bus(Protocol):
    """Guest memory in this process, and accesses to the machine's physical address space and I/O ports.

    ``memory`` is guest RAM, shared with the devices; its first byte has guest-physical address ``memory_base``.
    ``ecam`` is the address of the PCI configuration space, ``None`` where it is reached through ports 0xcf8 and 0xcfc.
    ``pci_window`` is the range of addresses that PCI memory BARs may be placed in. ``round_trips`` counts accesses.

    Sizes are 1, 2, 4 or 8 bytes; values are little-endian integers. Every method raises an :class:`OSError` or an error
    of the bus's own package if the machine is gone.
    """

    @property
    def memory(self) -> memoryview:
        """Guest RAM."""

    @property
    def memory_base(self) -> int:
        """Guest-physical address of the first byte of :attr:`memory`."""

    @property
    def ecam(self) -> int | None:
        """Address of the PCI configuration space, or ``None``."""

    @property
    def pci_window(self) -> range:
        """Addresses for PCI memory BARs."""

    @property
    def round_trips(self) -> int:
        """Accesses so far."""

    def read(self, address: int, size: int) -> int:
        """Read memory-mapped registers."""

    def write(self, address: int, size: int, value: int) -> None:
        """Write memory-mapped registers."""

    def try_read(self, address: int, size: int, seconds: float) -> int | None:
        """:meth:`read`, or ``None`` if the machine does not answer within ``seconds``: it may be stopped."""

    def post(self, address: int, size: int, value: int) -> None:
        """:meth:`write` that may return before the device has seen it; accesses stay in order."""

    def read_bytes(self, address: int, size: int) -> bytes:
        """Read ``size`` bytes of registers in one access."""

    def port_in(self, port: int, size: int) -> int:
        """Read an I/O port (1, 2 or 4 bytes)."""

    def port_out(self, port: int, size: int, value: int) -> None:
        """Write an I/O port (1, 2 or 4 bytes)."""
