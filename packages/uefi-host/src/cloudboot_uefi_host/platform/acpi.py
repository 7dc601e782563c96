"""ACPI tables of the machine (ACPI 6.5 section 5.2): what operating systems and their loaders walk from the RSDP on.

The processor is the only one. On amd64 the fixed hardware is that of QEMU's q35, as :mod:`..cpu.ports` has it; the
others are hardware-reduced.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_host.core.memory_map import PAGE, MemoryType
from cloudboot_uefi_host.cpu.ports import ACPI_CONTROL, ACPI_EVENT, ACPI_TIMER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudboot_uefi_host.core.core import Core

_OEM, _OEM_TABLE, _CREATOR = b"CLDBT ", b"CLOUDBT ", b"CLDB"
_HEADER: Final = struct.Struct("<4sIBB6s8sI4sI")
_RSDP: Final = struct.Struct("<8sB6sBIIQB3x")
_RSDP_1_SIZE: Final = 20
_FADT_SIZE, _FADT_MINOR = 276, 5
_FACS_SIZE: Final = 64
_SYSTEM_IO: Final = 1
_SCI: Final = 9
#: FADT flags: WBINVD, PROC_C1, SLP_BUTTON, TMR_VAL_EXT, RESET_REG_SUP; HW_REDUCED_ACPI.
_PC_FLAGS, _REDUCED_FLAGS = 0x1 | 0x4 | 0x20 | 0x100 | 0x400, 1 << 20
_LEGACY_DEVICES_8042: Final = 0x3
#: Name (\_S5, Package (4) {0, 0, 0, 0}): how the machine is switched off.
_POWER_OFF: Final = bytes.fromhex("085f53355f 1206 04 00000000".replace(" ", ""))
#: Scope (_SB) { Device (PCI0) { Name (_HID, "PNP0A08") Name (_CID, "PNP0A03") Name (_UID, 0) } }, on a PC.
_PCI_ROOT: Final = bytes.fromhex(
    "10 26 5f53425f 5b82 1f 50434930 085f484944 0c41d00a08 085f434944 0c41d00a03 085f554944 00".replace(" ", "")
)


def _sum_to_zero(data: bytes) -> int:
    return -sum(data) & 0xFF


def table(signature: bytes, revision: int, content: bytes) -> bytes:
    """A table: its header with length and checksum, and its content."""
    head = (signature, _HEADER.size + len(content), revision)
    plain = _HEADER.pack(*head, 0, _OEM, _OEM_TABLE, 1, _CREATOR, 1) + content
    return _HEADER.pack(*head, _sum_to_zero(plain), _OEM, _OEM_TABLE, 1, _CREATOR, 1) + content


def rsdp(xsdt: int, rsdt: int = 0) -> bytes:
    """The root pointer, of revision 2; both parts sum to zero."""
    plain = _RSDP.pack(b"RSD PTR ", 0, _OEM, 2, rsdt, _RSDP.size, xsdt, 0)
    first = _sum_to_zero(plain[:_RSDP_1_SIZE])
    plain = _RSDP.pack(b"RSD PTR ", first, _OEM, 2, rsdt, _RSDP.size, xsdt, 0)
    return _RSDP.pack(b"RSD PTR ", first, _OEM, 2, rsdt, _RSDP.size, xsdt, _sum_to_zero(plain))


def facs() -> bytes:
    """The firmware control structure, which has no checksum."""
    return struct.pack("<4sI", b"FACS", _FACS_SIZE).ljust(32, b"\0") + b"\2".ljust(_FACS_SIZE - 32, b"\0")


def _io(port: int, size: int) -> bytes:
    """A generic address structure of an I/O port of ``size`` bytes; accessed as a whole."""
    return struct.pack("<BBBBQ", _SYSTEM_IO, size * 8, 0, size.bit_length(), port)


def fadt(architecture: str, dsdt: int, control: int) -> bytes:
    """The fixed description: where the DSDT and the firmware control structure are, and the fixed hardware."""
    fields: dict[int, bytes] = {131: bytes([_FADT_MINOR]), 140: struct.pack("<Q", dsdt), 40: struct.pack("<I", dsdt)}
    if architecture == "amd64":
        fields |= {
            36: struct.pack("<I", control),
            46: struct.pack("<H", _SCI),
            56: struct.pack("<I", ACPI_EVENT),
            64: struct.pack("<I", ACPI_CONTROL),
            76: struct.pack("<I", ACPI_TIMER),
            88: bytes((4, 2, 0, 4)),  # the lengths of PM1_EVT, PM1_CNT, PM2_CNT, PM_TMR
            96: struct.pack("<HH", 0xFFFF, 0xFFFF),  # no C2, no C3
            108: b"\x32",  # the century of the real-time clock
            109: struct.pack("<H", _LEGACY_DEVICES_8042),
            112: struct.pack("<I", _PC_FLAGS),
            116: _io(0xCF9, 1) + b"\x06",
            148: _io(ACPI_EVENT, 4),
            172: _io(ACPI_CONTROL, 2),
            208: _io(ACPI_TIMER, 4),
        }
    else:
        fields |= {112: struct.pack("<I", _REDUCED_FLAGS), 40: bytes(4)}
    content = bytearray(_FADT_SIZE)
    for at, value in fields.items():
        content[at : at + len(value)] = value
    return table(b"FACP", 6, bytes(content[_HEADER.size :]))


def madt(architecture: str) -> bytes:
    """The interrupt controllers: those of QEMU's machine for the architecture, with one processor."""
    if architecture == "amd64":
        entries = (
            bytes((0, 8, 0, 0)) + struct.pack("<I", 1),  # local APIC 0, enabled
            struct.pack("<BBBBII", 1, 12, 0, 0, 0xFEC00000, 0),  # I/O APIC
            struct.pack("<BBBBIH", 2, 10, 0, 0, 2, 0),  # IRQ 0 is interrupt 2
            struct.pack("<BBBBIH", 2, 10, 0, _SCI, _SCI, 0xD),  # the SCI is active high, by level
            struct.pack("<BBBHB", 4, 6, 0xFF, 0, 1),  # NMI at LINT1
        )
        return table(b"APIC", 5, struct.pack("<II", 0xFEE00000, 1) + b"".join(entries))
    if architecture == "arm64":
        interface = struct.pack("<BBHIIIIIQQQQIQQBBH", 11, 80, 0, 0, 0, 1, 0, 23, 0, 0x08010000, 0, 0, 0, 0, 0, 0, 0, 0)
        distributor = struct.pack("<BBHIQIB3x", 12, 24, 0, 0, 0x08000000, 0, 2)
        return table(b"APIC", 5, bytes(8) + interface + distributor)
    # RINTC, of revision 1: the hart with the identifier 0
    hart = struct.pack("<BBBBIQIIQI", 24, 36, 1, 0, 1, 0, 0, 0, 0, 0)
    return table(b"APIC", 6, bytes(8) + hart)


def publish_acpi(core: Core) -> int:
    """The tables in ACPI reclaim memory, and the root pointer in the configuration table; its address.

    Raises:
        HostError: memory is used up.
    """
    name = core.architecture.name
    is_pc = name == "amd64"
    control = core.allocator.pages(1, MemoryType.ACPI_NVS) if is_pc else 0
    if control:
        core.memory.write(control, facs().ljust(PAGE, b"\0"))
    place = core.allocator.pages(1, MemoryType.ACPI_RECLAIM)
    core.memory.fill(place, PAGE)
    found: dict[bytes, int] = {}
    at = place + 64  # the root pointer stands in front

    def add(key: bytes, content: bytes) -> None:
        nonlocal at
        core.memory.write(at, content)
        found[key] = at
        at += -(-len(content) // 64) * 64

    add(b"DSDT", table(b"DSDT", 2, _POWER_OFF + (_PCI_ROOT if is_pc else b"")))
    add(b"FACP", fadt(name, found[b"DSDT"], control))
    add(b"APIC", madt(name))
    listed: Mapping[bytes, str] = {b"XSDT": "Q", b"RSDT": "I"} if is_pc else {b"XSDT": "Q"}
    for signature, width in listed.items():
        add(signature, table(signature, 1, struct.pack(f"<2{width}", found[b"FACP"], found[b"APIC"])))
    core.memory.write(place, rsdp(found[b"XSDT"], found.get(b"RSDT", 0)))
    core.install_table(GUIDS["EFI_ACPI_20_TABLE"].bytes_le, place)
    return place
