"""Messaging nodes of USB, serial lines, and vendors (UEFI 2.10 section 10.3.4)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, ClassVar, Final, Self

from cloudboot_base.lightdata import dataclass
from cloudboot_uefi_abi.guids import GUIDS

from .arguments import is_plain
from .hardware import VendorNode
from .messaging_storage import read_topology, topology_is_lossless, topology_text
from .node import LayoutError, Node, keyword, node

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from .arguments import Arguments

__all__ = ["Uart", "Usb", "UsbClass", "UsbWwid", "VendorMessage"]


@node(3, 5)
@dataclass(frozen=True, slots=True)
class Usb(Node):
    """A USB device: port of its parent, interface."""

    port: int
    interface: int

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BB")

    def _plain(self) -> str:
        """``USB(0x4,0x0)``."""
        return f"USB(0x{self.port:X},0x{self.interface:X})"


@keyword("USB")
def _usb(arguments: Arguments) -> Node:
    return Usb(arguments.integer(8), arguments.integer(8, 0))


_CLASSES: Final = {
    1: "UsbAudio", 2: "UsbCDCControl", 3: "UsbHID", 6: "UsbImage", 7: "UsbPrinter", 8: "UsbMassStorage", 9: "UsbHub",
    10: "UsbCDCData", 11: "UsbSmartCard", 14: "UsbVideo", 220: "UsbDiagnostic", 224: "UsbWireless",
}  # fmt: skip
_APPLICATIONS: Final = {1: "UsbDeviceFirmwareUpdate", 2: "UsbIrdaBridge", 3: "UsbTestAndMeasurement"}
_APPLICATION_CLASS: Final = 254


@node(3, 15)
@dataclass(frozen=True, slots=True)
class UsbClass(Node):
    """Any USB device of a vendor, product and class; 0xFFFF and 0xFF match everything."""

    vendor: int
    product: int
    device_class: int
    subclass: int
    protocol: int

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<HHBBB")

    def _plain(self) -> str:
        """``UsbMassStorage(0xFFFF,0xFFFF,0x1,0x2)``; a class without a name as ``UsbClass(...)``."""
        ids, protocol = f"0x{self.vendor:X},0x{self.product:X}", f"0x{self.protocol:X}"
        name = _CLASSES.get(self.device_class)
        if name is not None:
            return f"{name}({ids},0x{self.subclass:X},{protocol})"
        if self.device_class == _APPLICATION_CLASS and self.subclass in _APPLICATIONS:
            return f"{_APPLICATIONS[self.subclass]}({ids},{protocol})"
        return f"UsbClass({ids},0x{self.device_class:X},0x{self.subclass:X},{protocol})"


@keyword("UsbClass")
def _usb_class(arguments: Arguments) -> Node:
    vendor, product = arguments.integer(16, 0xFFFF), arguments.integer(16, 0xFFFF)
    return UsbClass(vendor, product, arguments.integer(8, 0xFF), arguments.integer(8, 0xFF), arguments.integer(8, 0xFF))


def _of_class(device_class: int) -> Callable[[Arguments], Node]:
    def read(arguments: Arguments) -> Node:
        vendor, product = arguments.integer(16, 0xFFFF), arguments.integer(16, 0xFFFF)
        return UsbClass(vendor, product, device_class, arguments.integer(8, 0xFF), arguments.integer(8, 0xFF))

    return read


def _of_application(subclass: int) -> Callable[[Arguments], Node]:
    def read(arguments: Arguments) -> Node:
        vendor, product = arguments.integer(16, 0xFFFF), arguments.integer(16, 0xFFFF)
        return UsbClass(vendor, product, _APPLICATION_CLASS, subclass, arguments.integer(8, 0xFF))

    return read


for _number, _name in _CLASSES.items():
    keyword(_name)(_of_class(_number))
for _number, _name in _APPLICATIONS.items():
    keyword(_name)(_of_application(_number))


@node(3, 16)
@dataclass(frozen=True, slots=True)
class UsbWwid(Node):
    """A USB device by vendor, product and the last 64 characters of its serial number."""

    interface: int
    vendor: int
    product: int
    serial: str

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<HHH")

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """The numbers, then UTF-16 text without a null."""
        if len(body) < 6 or len(body) % 2:
            raise LayoutError
        interface, vendor, product = cls.LAYOUT.unpack(body[:6])
        return cls(interface, vendor, product, body[6:].decode("utf-16-le", "surrogatepass"))

    def body(self) -> bytes:
        """The numbers and the text."""
        head = self._packed(self.LAYOUT, self.interface, self.vendor, self.product)
        return head + self.serial.encode("utf-16-le", "surrogatepass")

    def _plain(self) -> str:
        """``UsbWwid(0x1234,0x5678,0x1,"WW")``."""
        serial = self.serial.partition("\0")[0]
        return f'UsbWwid(0x{self.vendor:X},0x{self.product:X},0x{self.interface:X},"{serial}")'

    def is_lossless(self) -> bool:
        """The serial number can be between quotation marks."""
        return is_plain(self.serial) and '"' not in self.serial


@keyword("UsbWwid")
def _usb_wwid(arguments: Arguments) -> Node:
    vendor, product, interface = arguments.integer(16), arguments.integer(16), arguments.integer(16)
    text = arguments.word('""')
    quoted = len(text) >= 2 and text[0] == text[-1] == '"'
    return UsbWwid(interface, vendor, product, text[1:-1] if quoted else text)


_PARITY: Final = {"D": 0, "N": 1, "E": 2, "O": 3, "M": 4, "S": 5}
_STOP: Final = {"D": 0, "1": 1, "1.5": 2, "2": 3}
_PARITY_NAMES: Final = {number: name for name, number in _PARITY.items()}
_STOP_NAMES: Final = {number: name for name, number in _STOP.items()}


@node(3, 14)
@dataclass(frozen=True, slots=True)
class Uart(Node):
    """A serial line: speed in baud, data bits, parity, stop bits; 0 stands for the device's default."""

    reserved: int
    baud: int
    data_bits: int
    parity: int
    stop_bits: int

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<IQBBB")

    def _plain(self) -> str:
        """``Uart(115200,8,N,1)``."""
        baud, bits = self.baud or "DEFAULT", self.data_bits or "DEFAULT"
        return f"Uart({baud},{bits},{_PARITY_NAMES.get(self.parity, 'x')},{_STOP_NAMES.get(self.stop_bits, 'x')})"

    def is_lossless(self) -> bool:
        """Parity and stop bits have keywords, and the reserved field is zero."""
        return not self.reserved and self.parity in _PARITY_NAMES and self.stop_bits in _STOP_NAMES


@keyword("Uart")
def _uart(arguments: Arguments) -> Node:
    baud, bits = arguments.choice({"DEFAULT": 0}, 64, 115200), arguments.choice({"DEFAULT": 0}, 8, 8)
    return Uart(0, baud, bits, arguments.choice(_PARITY, 8, 0), arguments.choice(_STOP, 8, 0))


_TERMINALS: Final = {
    "VenPcAnsi": GUIDS["EFI_PC_ANSI"],
    "VenVt100": GUIDS["EFI_VT_100"],
    "VenVt100Plus": GUIDS["EFI_VT_100_PLUS"],
    "VenUtf8": GUIDS["EFI_VT_UTF8"],
    "DebugPort": GUIDS["EFI_DEBUGPORT_PROTOCOL"],
}
_TERMINAL_NAMES: Final = {guid: name for name, guid in _TERMINALS.items()}
_FLOW_CONTROL: Final = {"None": 0, "Hardware": 1, "XonXoff": 2}
_FLOW_NAMES: Final = {number: name for name, number in _FLOW_CONTROL.items()}
_UART_GUID: Final = GUIDS["EFI_UART_DEVICE_PATH"]
_SAS_GUID: Final = GUIDS["EFI_SAS_DEVICE_PATH"]
_SAS: Final = struct.Struct("<IQQHH")


@node(3, 10)
@dataclass(frozen=True, slots=True)
class VendorMessage(VendorNode):
    """Vendor-defined messaging: terminal types, flow control, SAS, and whatever else a vendor defines."""

    NAME: ClassVar[str] = "VenMsg"

    def _shortcut(self) -> str | None:
        """``VenPcAnsi()``, ``UartFlowCtrl(Hardware)``, ``SAS(...)`` and the like, where they hold all of the data."""
        name = _TERMINAL_NAMES.get(self.guid)
        if name is not None:
            return None if self.data else f"{name}()"
        if self.guid == _UART_GUID and len(self.data) == 4:
            flow = _FLOW_NAMES.get(int.from_bytes(self.data, "little"))
            return flow and f"UartFlowCtrl({flow})"
        if self.guid == _SAS_GUID and len(self.data) == _SAS.size:
            reserved, address, lun, topology, port = _SAS.unpack(self.data)
            if topology_is_lossless(topology):
                return f"SAS(0x{address:X},0x{lun:X},0x{port:X},{topology_text(topology)},0x{reserved:X})"
        return None


@keyword("VenMsg")
def _vendor_message(arguments: Arguments) -> Node:
    return VendorMessage(arguments.guid(), arguments.hexdump(default=""))


def _terminal(guid: UUID) -> Callable[[Arguments], Node]:
    return lambda _: VendorMessage(guid)


for _terminal_name, _guid in _TERMINALS.items():
    keyword(_terminal_name)(_terminal(_guid))


@keyword("UartFlowCtrl")
def _flow_control(arguments: Arguments) -> Node:
    return VendorMessage(_UART_GUID, arguments.choice(_FLOW_CONTROL, 32).to_bytes(4, "little"))


@keyword("SAS")
def _sas(arguments: Arguments) -> Node:
    address, lun, port = arguments.integer(64), arguments.integer(64, 0), arguments.integer(16, 0)
    topology = read_topology(arguments)
    return VendorMessage(_SAS_GUID, _SAS.pack(arguments.integer(32, 0), address, lun, topology, port))
