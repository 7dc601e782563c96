"""SMBIOS 3 structures of the machine (DSP0134 version 3.6): loaders hand them on as environment variables."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_host.core.memory_map import MemoryType

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from cloudboot_uefi_host.core.core import Core

_ENTRY: Final = struct.Struct("<5sBBBBBBBIQ")
_BIOS, _SYSTEM, _ENCLOSURE, _PROCESSOR, _MEMORY_ARRAY, _MEMORY, _MAPPED, _BOOT, _END = 0, 1, 3, 4, 16, 17, 19, 32, 127
#: BIOS characteristics: the profile is supported by UEFI, the machine is virtual (extension byte 2).
_UEFI_VIRTUAL: Final = 0x18
_FAMILIES: Final = {"amd64": 0x01, "arm64": 0x101, "riscv64": 0x201, "loong64": 0x259}
"""Processor families: other, ARMv8, RV64, LoongArch; two bytes, of which the first version had one."""
_FAMILY_2: Final = 0xFE
_MIB: Final = 1 << 20


def structure(kind: int, handle: int, fields: bytes, strings: Sequence[str] = ()) -> bytes:
    """A structure: its header, its fields, its strings and their end."""
    texts = b"".join(text.encode() + b"\0" for text in strings) or b"\0"
    return struct.pack("<BBH", kind, 4 + len(fields), handle) + fields + texts + b"\0"


def structures(architecture: str, memory: int, vendor: str, identifier: UUID) -> bytes:
    """The structures of a machine with one processor and ``memory`` bytes in one piece."""
    family = _FAMILIES[architecture]
    mapped = memory // 1024
    return b"".join(
        (
            structure(
                _BIOS, 0, struct.pack("<BBHBBQBBBBBBH", 1, 2, 0, 3, 0, 1 << 3, 0, _UEFI_VIRTUAL, 1, 0, 0xFF, 0xFF, 0),
                (vendor, "1.0", "01/01/2026"),
            ),
            structure(
                _SYSTEM, 0x100, struct.pack("<BBBB16sBBB", 1, 2, 3, 0, identifier.bytes_le, 6, 0, 0),
                (vendor, f"UEFI in process, {architecture}", "1.0"),
            ),
            structure(_ENCLOSURE, 0x300, struct.pack("<BBBBBBBBBIBBBBB", 1, 1, 0, 0, 0, 3, 3, 3, 2, 0, 0, 0, 0, 0, 0),
                      (vendor,)),
            structure(
                _PROCESSOR, 0x400,
                struct.pack(
                    "<BBBBQBBHHHBBHHHBBBBBBHHHHH", 1, 3, family if family < 0x100 else _FAMILY_2, 1, 0, 0, 0, 0, 1000,
                    1000, 0x41, 1, 0xFFFF, 0xFFFF, 0xFFFF, 0, 0, 0, 1, 1, 1, 0x4, family, 1, 1, 1,
                ),
                (vendor,),
            ),
            structure(_MEMORY_ARRAY, 0x1000, struct.pack("<BBBIHHQ", 1, 3, 6, memory // 1024, 0xFFFE, 1, 0)),
            structure(
                _MEMORY, 0x1100,
                struct.pack(
                    "<HHHHHBBBBBHHBBBBBIHHHH", 0x1000, 0xFFFE, 0xFFFF, 0xFFFF, min(memory // _MIB, 0x7FFE), 9, 0, 1, 0,
                    7, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                ),
                ("DIMM 0",),
            ),
            structure(_MAPPED, 0x1300, struct.pack("<IIHBQQ", 0, mapped - 1, 0x1000, 1, 0, 0)),
            structure(_BOOT, 0x2000, bytes(7)),
            structure(_END, 0xFEFF, b""),
        )
    )  # fmt: skip


def entry_point(address: int, size: int) -> bytes:
    """The 64-bit entry point for ``size`` bytes of structures at ``address``."""
    fields = (b"_SM3_", 0, _ENTRY.size, 3, 6, 0, 1, 0, size, address)
    plain = _ENTRY.pack(*fields)
    return plain[:5] + bytes([-sum(plain) & 0xFF]) + plain[6:]


def publish_smbios(core: Core, vendor: str, identifier: UUID) -> int:
    """The structures in runtime memory, their entry point in the configuration table; its address.

    Raises:
        HostError: memory is used up.
    """
    content = structures(core.architecture.name, core.memory.size, vendor, identifier)
    place = core.allocator.place
    address = place(content, MemoryType.RUNTIME_SERVICES_DATA)
    entry = place(entry_point(address, len(content)), MemoryType.RUNTIME_SERVICES_DATA)
    core.install_table(GUIDS["SMBIOS3_TABLE"].bytes_le, entry)
    return entry
