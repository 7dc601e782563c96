"""Messaging nodes of storage devices (UEFI 2.10 section 10.3.4)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, ClassVar, Final, Self
from uuid import UUID

from cloudboot_base.lightdata import dataclass

from .arguments import guid_from, guid_text, is_plain
from .node import LayoutError, Node, keyword, node

if TYPE_CHECKING:
    from .arguments import Arguments

__all__ = [
    "Ata", "Emmc", "FibreChannel", "FibreChannelEx", "I2o", "Ieee1394", "Iscsi", "LogicalUnit", "Nvdimm", "Nvme",
    "NvmeOverFabrics", "SasEx", "Sata", "Scsi", "Sd", "Ufs",
]  # fmt: skip


@node(3, 1)
@dataclass(frozen=True, slots=True)
class Ata(Node):
    """An ATAPI device: primary (0) or secondary (1) controller, master (0) or slave (1), logical unit."""

    controller: int
    drive: int
    lun: int

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BBH")

    def _plain(self) -> str:
        """``Ata(Secondary,Master,0x0)``."""
        controller = "Secondary" if self.controller == 1 else "Primary"
        return f"Ata({controller},{'Slave' if self.drive == 1 else 'Master'},0x{self.lun:X})"

    def _displayed(self) -> str:
        """The logical unit only."""
        return f"Ata(0x{self.lun:X})"

    def is_lossless(self) -> bool:
        """Controller and drive are 0 or 1."""
        return self.controller <= 1 and self.drive <= 1


@keyword("Ata")
def _ata(arguments: Arguments) -> Node:
    controller = arguments.choice({"Primary": 0, "Secondary": 1}, 8)
    return Ata(controller, arguments.choice({"Master": 0, "Slave": 1}, 8), arguments.integer(16))


@node(3, 2)
@dataclass(frozen=True, slots=True)
class Scsi(Node):
    """A SCSI device: target, logical unit."""

    target: int
    lun: int

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<HH")

    def _plain(self) -> str:
        """``Scsi(0x3,0x1)``."""
        return f"Scsi(0x{self.target:X},0x{self.lun:X})"


@keyword("Scsi")
def _scsi(arguments: Arguments) -> Node:
    return Scsi(arguments.integer(16), arguments.integer(16))


@node(3, 3)
@dataclass(frozen=True, slots=True)
class FibreChannel(Node):
    """A Fibre Channel device: world wide name, logical unit."""

    reserved: int
    wwn: int
    lun: int

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<IQQ")

    def _plain(self) -> str:
        """``Fibre(0x1234,0x5)``."""
        return f"Fibre(0x{self.wwn:X},0x{self.lun:X})"

    def is_lossless(self) -> bool:
        """The reserved field is zero."""
        return not self.reserved


@keyword("Fibre")
def _fibre(arguments: Arguments) -> Node:
    return FibreChannel(0, arguments.integer(64), arguments.integer(64))


@node(3, 21)
@dataclass(frozen=True, slots=True)
class FibreChannelEx(Node):
    """A Fibre Channel device, name and unit as arrays of eight bytes in SAM order."""

    reserved: int
    wwn: bytes
    lun: bytes

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<I8s8s")

    def _plain(self) -> str:
        """``FibreEx(0x0001020304050607,0x08090A0B0C0D0E0F)``."""
        return f"FibreEx(0x{self.wwn.hex().upper()},0x{self.lun.hex().upper()})"

    def is_lossless(self) -> bool:
        """The reserved field is zero."""
        return not self.reserved


@keyword("FibreEx")
def _fibre_ex(arguments: Arguments) -> Node:
    return FibreChannelEx(0, arguments.hexdump(8), arguments.hexdump(8))


@node(3, 4)
@dataclass(frozen=True, slots=True)
class Ieee1394(Node):
    """An IEEE 1394 device by its 64-bit identifier."""

    reserved: int
    identifier: int

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<IQ")

    def _plain(self) -> str:
        """``I1394(123456789ABCDEF0)``."""
        return f"I1394({self.identifier:016X})"

    def is_lossless(self) -> bool:
        """The reserved field is zero."""
        return not self.reserved


@keyword("I1394")
def _ieee1394(arguments: Arguments) -> Node:
    return Ieee1394(0, int.from_bytes(arguments.hexdump(8), "big"))


@node(3, 6)
@dataclass(frozen=True, slots=True)
class I2o(Node):
    """An I2O device by its target identifier."""

    tid: int

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<I")

    def _plain(self) -> str:
        """``I2O(0x9)``."""
        return f"I2O(0x{self.tid:X})"


@keyword("I2O")
def _i2o(arguments: Arguments) -> Node:
    return I2o(arguments.integer(32))


@node(3, 17)
@dataclass(frozen=True, slots=True)
class LogicalUnit(Node):
    """A logical unit of the device before it."""

    lun: int

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<B")

    def _plain(self) -> str:
        """``Unit(0x5)``."""
        return f"Unit(0x{self.lun:X})"


@keyword("Unit")
def _unit(arguments: Arguments) -> Node:
    return LogicalUnit(arguments.integer(8))


@node(3, 18)
@dataclass(frozen=True, slots=True)
class Sata(Node):
    """A SATA device: port, port of a multiplier (0xFFFF: none), logical unit."""

    port: int
    multiplier_port: int
    lun: int

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<HHH")

    def _plain(self) -> str:
        """``Sata(0x1,0xFFFF,0x0)``."""
        return f"Sata(0x{self.port:X},0x{self.multiplier_port:X},0x{self.lun:X})"


@keyword("Sata")
def _sata(arguments: Arguments) -> Node:
    return Sata(arguments.integer(16), arguments.integer(16, 0xFFFF), arguments.integer(16, 0))


_DIGESTS: Final = {"None": 0, "CRC32C": 1}
_CHAP: Final = {"CHAP_BI": 0x0000, "None": 0x0800, "CHAP_UNI": 0x1000}


@node(3, 19)
@dataclass(frozen=True, slots=True)
class Iscsi(Node):
    """An iSCSI target: protocol (0: TCP), login options, logical unit (eight bytes), portal group tag, name."""

    protocol: int
    options: int
    lun: bytes
    portal_group: int
    target: str

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<HH8sH")

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """The numbers, then the name and its null."""
        if len(body) < 15 or body[-1] or b"\0" in body[14:-1]:
            raise LayoutError
        protocol, options, lun, group = cls.LAYOUT.unpack(body[:14])
        return cls(protocol, options, lun, group, body[14:-1].decode("latin-1"))

    def body(self) -> bytes:
        """The numbers and the name."""
        head = self._packed(self.LAYOUT, self.protocol, self.options, self.lun, self.portal_group)
        return head + self.target.encode("latin-1") + b"\0"

    def _plain(self) -> str:
        """``iSCSI(iqn.2020-01.x:y,0x1,0x0000000000000001,None,None,CHAP_BI,TCP)``."""
        header = "CRC32C" if self.options & 0x0002 else "None"
        data = "CRC32C" if self.options & 0x0008 else "None"
        chap = "None" if self.options & 0x0800 else "CHAP_UNI" if self.options & 0x1000 else "CHAP_BI"
        protocol = "reserved" if self.protocol else "TCP"
        name, lun = self.target, self.lun.hex().upper()
        return f"iSCSI({name},0x{self.portal_group:X},0x{lun},{header},{data},{chap},{protocol})"

    def is_lossless(self) -> bool:
        """The options and the protocol are those that have keywords, and the name fits into an argument."""
        options = not self.options & ~0x180A and self.options & 0x1800 != 0x1800
        name = bool(self.target) and is_plain(self.target) and self.target == self.target.strip(" ")
        return options and not self.protocol and name


@keyword("iSCSI")
def _iscsi(arguments: Arguments) -> Node:
    target, group, lun = arguments.word(), arguments.integer(16), arguments.hexdump(8)
    options = arguments.choice(_DIGESTS, 1, 0) << 1 | arguments.choice(_DIGESTS, 1, 0) << 3
    options |= arguments.choice(_CHAP, 16, _CHAP["None"])
    return Iscsi(arguments.choice({"TCP": 0}, 16, 0), options, lun, group, target)


def topology_text(topology: int) -> str:
    """The four arguments of a SAS topology: kind, location, connection, drive bay."""
    devices = topology & 0x0F
    if not topology & 0x8F:
        return "NoTopology,0,0,0"
    if devices <= 2 and not topology & 0x80:
        kind, place = "SATA" if topology & 0x10 else "SAS", "External" if topology & 0x20 else "Internal"
        bay = "0" if devices == 1 else f"0x{(topology >> 8) + 1:X}"
        return f"{kind},{place},{'Expanded' if topology & 0x40 else 'Direct'},{bay}"
    return f"0x{topology:X},0,0,0"


def topology_is_lossless(topology: int) -> bool:
    """Whether the arguments hold every bit of the topology."""
    devices = topology & 0x0F
    if not topology & 0x8F:
        return not topology
    return devices != 1 or topology & 0x80 != 0 or topology >> 8 == 0


def read_topology(arguments: Arguments) -> int:
    """The topology that the next four arguments state; they are optional."""
    kind = arguments.word("NoTopology")
    if kind not in {"SAS", "SATA", "NoTopology"}:
        number = _integer(arguments, kind)
        for _ in range(3):
            arguments.word("0")
        return number
    place = arguments.choice({"Internal": 0, "External": 1}, 1, 0)
    connection = arguments.choice({"Direct": 0, "Expanded": 1}, 2, 0)
    bay = arguments.integer(9, 0)
    if kind == "NoTopology":
        return 0
    if bay > 256:
        raise arguments.error("a drive bay is at most 256", actual=bay)
    devices = 2 | (bay - 1) << 8 if bay else 1
    return devices | (0x10 if kind == "SATA" else 0) | place << 5 | connection << 6


def _integer(arguments: Arguments, text: str) -> int:
    """``text``, taken as a word already, as an unsigned 16-bit number.

    Raises:
        DevicePathError: it is not one.
    """
    try:
        number = int(text, 16 if text[:2] in {"0x", "0X"} else 10)
    except ValueError:
        raise arguments.error("not an integer", actual=text) from None
    if not 0 <= number <= 0xFFFF:
        raise arguments.error("the integer is too large", expected="at most 16 bits", actual=number)
    return number


@node(3, 22)
@dataclass(frozen=True, slots=True)
class SasEx(Node):
    """A SAS device: address and logical unit (eight bytes each), topology bits, relative target port."""

    address: bytes
    lun: bytes
    topology: int
    port: int

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<8s8sHH")

    def _plain(self) -> str:
        """``SasEx(0x0001020304050607,0x08090A0B0C0D0E0F,0x3,SAS,Internal,Direct,0x2)``."""
        address, lun = self.address.hex().upper(), self.lun.hex().upper()
        return f"SasEx(0x{address},0x{lun},0x{self.port:X},{topology_text(self.topology)})"

    def is_lossless(self) -> bool:
        """The topology's arguments hold all of its bits."""
        return topology_is_lossless(self.topology)


@keyword("SasEx")
def _sas_ex(arguments: Arguments) -> Node:
    address, lun, port = arguments.hexdump(8), arguments.hexdump(8, "00" * 8), arguments.integer(16, 0)
    return SasEx(address, lun, read_topology(arguments), port)


@node(3, 23)
@dataclass(frozen=True, slots=True)
class Nvme(Node):
    """An NVMe namespace: its identifier, and the EUI-64 as stored (the text shows the last byte first)."""

    namespace: int
    eui64: bytes

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<I8s")

    def _plain(self) -> str:
        """``NVMe(0x1,EF-CD-AB-89-67-45-23-01)``."""
        return f"NVMe(0x{self.namespace:X},{self.eui64[::-1].hex('-').upper()})"


@keyword("NVMe")
def _nvme(arguments: Arguments) -> Node:
    namespace, text = arguments.integer(32), arguments.word("00-00-00-00-00-00-00-00")
    parts = text.split("-")
    if len(parts) != 8 or not all(len(part) == 2 for part in parts):
        raise arguments.error("not an EUI-64", expected="eight bytes with dashes between", actual=text)
    try:
        return Nvme(namespace, bytes(int(part, 16) for part in reversed(parts)))
    except ValueError:
        raise arguments.error("not an EUI-64", actual=text) from None


@node(3, 25)
@dataclass(frozen=True, slots=True)
class Ufs(Node):
    """A UFS unit: target, logical unit."""

    target: int
    lun: int

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BB")

    def _plain(self) -> str:
        """``UFS(0x1,0x2)``."""
        return f"UFS(0x{self.target:X},0x{self.lun:X})"


@keyword("UFS")
def _ufs(arguments: Arguments) -> Node:
    return Ufs(arguments.integer(8), arguments.integer(8))


@node(3, 26)
@dataclass(frozen=True, slots=True)
class Sd(Node):
    """An SD card by its slot."""

    slot: int

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<B")

    def _plain(self) -> str:
        """``SD(0x1)``."""
        return f"SD(0x{self.slot:X})"


@keyword("SD")
def _sd(arguments: Arguments) -> Node:
    return Sd(arguments.integer(8, 0))


@node(3, 29)
@dataclass(frozen=True, slots=True)
class Emmc(Node):
    """An eMMC device by its slot."""

    slot: int

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<B")

    def _plain(self) -> str:
        """``eMMC(0x2)``."""
        return f"eMMC(0x{self.slot:X})"


@keyword("eMMC")
def _emmc(arguments: Arguments) -> Node:
    return Emmc(arguments.integer(8, 0))


@node(3, 32)
@dataclass(frozen=True, slots=True)
class Nvdimm(Node):
    """A namespace of a non-volatile memory module by its UUID, whose 16 bytes are stored as a GUID."""

    uuid: UUID

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """Sixteen bytes."""
        if len(body) != 16:
            raise LayoutError
        return cls(guid_from(body))

    def body(self) -> bytes:
        """The UUID."""
        return self.uuid.bytes_le

    def _plain(self) -> str:
        """``NVDIMM(C10DDB00-...)``."""
        return f"NVDIMM({guid_text(self.uuid)})"


@keyword("NVDIMM")
def _nvdimm(arguments: Arguments) -> Node:
    return Nvdimm(arguments.guid())


_UUID_TYPE: Final = 3


@node(3, 34)
@dataclass(frozen=True, slots=True)
class NvmeOverFabrics(Node):
    """A namespace over fabrics: type of identifier (1 EUI-64, 2 NGUID, 3 UUID), identifier, subsystem's name."""

    identifier_type: int
    identifier: bytes
    subsystem: str

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<B16s")

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """The identifier, then the name in UTF-8 and its null."""
        if len(body) < 18 or body[-1] or b"\0" in body[17:-1]:
            raise LayoutError
        try:
            name = body[17:-1].decode()
        except UnicodeDecodeError:
            raise LayoutError from None
        kind, identifier = cls.LAYOUT.unpack(body[:17])
        return cls(kind, identifier, name)

    def body(self) -> bytes:
        """The identifier and the name."""
        return self._packed(self.LAYOUT, self.identifier_type, self.identifier) + self.subsystem.encode() + b"\0"

    def _plain(self) -> str:
        """``NVMEoF(nqn.2014-08.org:x,urn:uuid:...)``; an EUI-64 or NGUID in hexadecimal."""
        kind = self.identifier_type
        if kind == _UUID_TYPE:
            identifier = f"urn:uuid:{UUID(bytes=self.identifier)}"
        else:
            identifier = self.identifier[: 8 if kind == 1 else 16].hex().upper()
        return f"NVMEoF({self.subsystem},{identifier})"

    def is_lossless(self) -> bool:
        """The type is one of the three, and the name fits into an argument."""
        name = self.subsystem
        eui = self.identifier_type != 1 or not any(self.identifier[8:])
        return (
            1 <= self.identifier_type <= _UUID_TYPE
            and eui
            and bool(name)
            and is_plain(name)
            and name == name.strip(" ")
        )


@keyword("NVMEoF")
def _nvme_of(arguments: Arguments) -> Node:
    name, text = arguments.word(), arguments.word()
    if text.startswith("urn:uuid:"):
        try:
            return NvmeOverFabrics(_UUID_TYPE, UUID(text.removeprefix("urn:uuid:")).bytes, name)
        except ValueError:
            raise arguments.error("not a UUID", actual=text) from None
    if len(text) == 16:
        return NvmeOverFabrics(1, hexadecimal(arguments, text, 8) + bytes(8), name)
    return NvmeOverFabrics(2, hexadecimal(arguments, text, 16), name)


def hexadecimal(arguments: Arguments, text: str, size: int) -> bytes:
    """``text``, taken as a word already, as ``size`` bytes.

    Raises:
        DevicePathError: not hexadecimal digits, or another number of them.
    """
    try:
        data = bytes.fromhex(text)
    except ValueError:
        raise arguments.error("not a hex dump", actual=text) from None
    if len(data) != size:
        raise arguments.error("a hex dump of another size", expected=size, actual=len(data))
    return data
