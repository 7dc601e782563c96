"""Hardware device path nodes (UEFI 2.10 section 10.3.2)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, ClassVar, Self

from cloudboot_base.lightdata import dataclass

from .arguments import guid_from, guid_text
from .node import LayoutError, Node, keyword, node

if TYPE_CHECKING:
    from uuid import UUID

    from .arguments import Arguments

__all__ = ["Bmc", "Controller", "MemoryMapped", "PcCard", "Pci", "VendorHardware", "VendorNode"]


@node(1, 1)
@dataclass(frozen=True, slots=True)
class Pci(Node):
    """A PCI device: its function and device number on the bus."""

    function: int
    device: int

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BB")

    def _plain(self) -> str:
        """``Pci(0x1F,0x2)``: device, function."""
        return f"Pci(0x{self.device:X},0x{self.function:X})"


@keyword("Pci")
def _pci(arguments: Arguments) -> Node:
    device = arguments.integer(8)
    return Pci(arguments.integer(8, 0), device)


@node(1, 2)
@dataclass(frozen=True, slots=True)
class PcCard(Node):
    """A PC Card function."""

    function: int

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<B")

    def _plain(self) -> str:
        """``PcCard(0x3)``."""
        return f"PcCard(0x{self.function:X})"


@keyword("PcCard")
def _pccard(arguments: Arguments) -> Node:
    return PcCard(arguments.integer(8))


@node(1, 3)
@dataclass(frozen=True, slots=True)
class MemoryMapped(Node):
    """A range of memory: its EFI_MEMORY_TYPE, and its first and last address."""

    memory_type: int
    start: int
    end: int

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<IQQ")

    def _plain(self) -> str:
        """``MemoryMapped(0xB,0x1000,0x1FFF)``."""
        return f"MemoryMapped(0x{self.memory_type:X},0x{self.start:X},0x{self.end:X})"


@keyword("MemoryMapped")
def _memory_mapped(arguments: Arguments) -> Node:
    return MemoryMapped(arguments.integer(32), arguments.integer(64), arguments.integer(64))


@dataclass(frozen=True, slots=True)
class VendorNode(Node):
    """A vendor's node: its GUID, and data that the vendor defines."""

    guid: UUID
    data: bytes = b""

    NAME: ClassVar[str]

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """Sixteen bytes of GUID, then data."""
        if len(body) < 16:
            raise LayoutError
        return cls(guid_from(body[:16]), body[16:])

    def body(self) -> bytes:
        """The GUID and the data."""
        return self.guid.bytes_le + self.data

    def _plain(self) -> str:
        """``VenHw(C10DDB00-...,AABB)``; without data the comma is left out."""
        data = f",{self.data.hex().upper()}" if self.data else ""
        return f"{self.NAME}({guid_text(self.guid)}{data})"


@node(1, 4)
@dataclass(frozen=True, slots=True)
class VendorHardware(VendorNode):
    """Vendor-defined hardware."""

    NAME: ClassVar[str] = "VenHw"


@keyword("VenHw")
def _vendor_hardware(arguments: Arguments) -> Node:
    return VendorHardware(arguments.guid(), arguments.hexdump(default=""))


@node(1, 5)
@dataclass(frozen=True, slots=True)
class Controller(Node):
    """A controller number."""

    number: int

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<I")

    def _plain(self) -> str:
        """``Ctrl(0x7)``."""
        return f"Ctrl(0x{self.number:X})"


@keyword("Ctrl")
def _controller(arguments: Arguments) -> Node:
    return Controller(arguments.integer(32))


@node(1, 6)
@dataclass(frozen=True, slots=True)
class Bmc(Node):
    """A baseboard management controller: its interface type (1 KCS, 2 SMIC, 3 BT) and base address."""

    interface_type: int
    base_address: int

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BQ")

    def _plain(self) -> str:
        """``BMC(0x1,0xCA2)``."""
        return f"BMC(0x{self.interface_type:X},0x{self.base_address:X})"


@keyword("BMC")
def _bmc(arguments: Arguments) -> Node:
    return Bmc(arguments.integer(8), arguments.integer(64))
