"""The PCI bus of a machine: which functions there are, and the way to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import dataclass
from cloudboot_virtio.errors import TransportError
from cloudboot_virtio.layout.constants import PCI_MODERN_BASE, PCI_TRANSITIONAL, PCI_VENDOR
from cloudboot_virtio.memory import DmaMemory

from .bars import Window, place_bars
from .capabilities import find_structures
from .config import ConfigSpace, EcamConfigSpace, PortConfigSpace
from .transport import PciTransport

if TYPE_CHECKING:
    from cloudboot_virtio.bus import Bus

_DEVICES: Final = 32
_SUBSYSTEM_ID: Final = 0x2E
#: The legacy hole, option ROMs and whatever firmware keeps in the first mebibyte stay untouched.
_FIRST_FREE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class PciFunction:
    """A PCI function; ``number`` is bus << 8 | device << 3 | function. ``virtio_id`` is ``None`` for other devices."""

    number: int
    vendor: int
    device: int
    virtio_id: int | None

    @property
    def slot(self) -> int:
        """The device number on its bus."""
        return self.number >> 3 & 31


class PciHost:
    """Finds functions on bus 0 and opens transports to them. One of it per machine."""

    def __init__(self, bus: Bus, memory: DmaMemory | None = None) -> None:
        """Use the machine behind ``bus``; ``memory`` is its RAM above the first mebibyte unless it is given."""
        self.bus = bus
        self.config: ConfigSpace = PortConfigSpace(bus) if bus.ecam is None else EcamConfigSpace(bus, bus.ecam)
        self.memory = DmaMemory(bus.memory, bus.memory_base, start=_FIRST_FREE) if memory is None else memory
        self._window = Window(bus.pci_window)
        self._opened: dict[int, PciTransport] = {}

    def function(self, number: int) -> PciFunction | None:
        """The function of that number, or ``None``."""
        identity = self.config.read(number, 0, 4)
        vendor, device = identity & 0xFFFF, identity >> 16
        if vendor == 0xFFFF:
            return None
        virtio_id = None
        if vendor == PCI_VENDOR and PCI_MODERN_BASE <= device < PCI_MODERN_BASE + 64:
            virtio_id = device - PCI_MODERN_BASE
        elif vendor == PCI_VENDOR and device in PCI_TRANSITIONAL:
            virtio_id = self.config.read(number, _SUBSYSTEM_ID, 2)
        return PciFunction(number, vendor, device, virtio_id)

    def scan(self) -> list[PciFunction]:
        """The functions 0 of the devices on bus 0, in order."""
        found = (self.function(device << 3) for device in range(_DEVICES))
        return [function for function in found if function is not None]

    def open(self, slot: int) -> PciTransport:
        """The transport to the virtio device in a slot of bus 0; its BARs are placed the first time.

        Raises:
            TransportError: there is no virtio device, or it is not modern.
        """
        number = slot << 3
        if number not in self._opened:
            function = self.function(number)
            if function is None or function.virtio_id is None:
                raise TransportError(f"there is no virtio device in slot {slot}")
            structures = find_structures(self.config, number, place_bars(self.config, number, self._window))
            self._opened[number] = PciTransport(self.bus, self.memory, function.virtio_id, structures)
        return self._opened[number]
