"""PCI configuration space, through I/O ports or memory-mapped (PCI Local Bus 3.0, 3.2.2.3; PCI Express 5.0, 7.2.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cloudboot_virtio.bus import Bus

ADDRESS_PORT, DATA_PORT = 0xCF8, 0xCFC


class ConfigSpace(Protocol):
    """Registers of PCI functions; ``function`` is bus << 8 | device << 3 | function."""

    def read(self, function: int, offset: int, size: int) -> int:
        """Read 1, 2 or 4 bytes; all ones where there is no function."""

    def write(self, function: int, offset: int, size: int, value: int) -> None:
        """Write 1, 2 or 4 bytes."""


class PortConfigSpace:
    """Configuration mechanism #1. The address port is written only when the double word changes."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._selected: int | None = None

    def _select(self, function: int, offset: int) -> int:
        address = 1 << 31 | function << 8 | offset & 0xFC
        if address != self._selected:
            self._bus.port_out(ADDRESS_PORT, 4, address)
            self._selected = address
        return DATA_PORT + (offset & 3)

    def read(self, function: int, offset: int, size: int) -> int:
        """Read 1, 2 or 4 bytes; all ones where there is no function."""
        return self._bus.port_in(self._select(function, offset), size)

    def write(self, function: int, offset: int, size: int, value: int) -> None:
        """Write 1, 2 or 4 bytes."""
        self._bus.port_out(self._select(function, offset), size, value)


class EcamConfigSpace:
    """Memory-mapped configuration space at ``base``, 4 KiB for each function."""

    def __init__(self, bus: Bus, base: int) -> None:
        self._bus = bus
        self._base = base

    def read(self, function: int, offset: int, size: int) -> int:
        """Read 1, 2 or 4 bytes; all ones where there is no function."""
        return self._bus.read(self._base + (function << 12) + offset, size)

    def write(self, function: int, offset: int, size: int, value: int) -> None:
        """Write 1, 2 or 4 bytes."""
        self._bus.write(self._base + (function << 12) + offset, size, value)
