"""EDK2's own drivers, taken out of an installed firmware image, in this firmware.

They can replace Python's Disk IO, partition and FAT drivers, and bring what the UEFI Shell needs: device path
text, the HII database, string collation.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import UUID

from cloudboot_base import MissingDependencyError
from cloudboot_uefi_abi.declarations import structure
from cloudboot_uefi_abi.device_path import DevicePath, FilePath
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.layout.records import EFI_TABLE_HEADER
from cloudboot_uefi_abi.status import is_error

from .errors import ServiceError
from .firmware_volume import read_modules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .core.images import Image
    from .firmware import Firmware
    from .firmware_volume import Module

#: The firmware images of Debian's packages, by architecture: path and package.
FIRMWARE_IMAGES: Final = {
    "amd64": (Path("/usr/share/OVMF/OVMF_CODE_4M.fd"), "ovmf"),
    "arm64": (Path("/usr/share/AAVMF/AAVMF_CODE.fd"), "qemu-efi-aarch64"),
    "riscv64": (Path("/usr/share/qemu-efi-riscv64/RISCV_VIRT_CODE.fd"), "qemu-efi-riscv64"),
    "loong64": (Path("/usr/share/qemu-efi-loongarch64/QEMU_EFI.fd"), "qemu-efi-loongarch64"),
}
DISK_DRIVERS: Final = ("DevicePathDxe", "EnglishDxe", "DiskIoDxe", "PartitionDxe", "Fat")
"""Disk IO, partitions and FAT; the partition driver needs device path utilities, the FAT driver a collation."""
SHELL_DRIVERS: Final = ("DevicePathDxe", "EnglishDxe", "HiiDatabase")
"""What the UEFI Shell asks for beside the core's services."""


_SERIAL_PORT: Final = 0x1000_0000
_BAUD_RATE: Final = 115200
_PCD: Final = structure(
    "PCD_PROTOCOL",
    "PI 1.8 volume 3 section 8.1",
    "VOID SetSku(IN UINTN SkuId);"
    + "".join(
        f"{kind} Get{name}(IN UINTN TokenNumber);"
        for name, kind in (
            ("8", "UINT8"), ("16", "UINT16"), ("32", "UINT32"), ("64", "UINT64"), ("Ptr", "VOID *"),
            ("Bool", "BOOLEAN"), ("Size", "UINTN"),
        )
    )
    + "".join(
        f"{kind} Get{name}Ex(IN EFI_GUID *Guid, IN UINTN TokenNumber);"
        for name, kind in (
            ("8", "UINT8"), ("16", "UINT16"), ("32", "UINT32"), ("64", "UINT64"), ("Ptr", "VOID *"),
            ("Bool", "BOOLEAN"), ("Size", "UINTN"),
        )
    ),
    guid=GUIDS["PCD_PROTOCOL"],
)  # fmt: skip
"""The getters of the platform configuration database; what follows them in the specification, nobody here calls."""


_DXE_SERVICES: Final = structure(
    "DXE_SERVICES",
    "PI 1.8 volume 2 section 7.1",
    "EFI_TABLE_HEADER Hdr;"
    + "".join(
        f"EFI_STATUS {name}(VOID);"
        for name in (
            "AddMemorySpace", "AllocateMemorySpace", "FreeMemorySpace", "RemoveMemorySpace",
            "GetMemorySpaceDescriptor", "SetMemorySpaceAttributes", "GetMemorySpaceMap", "AddIoSpace",
            "AllocateIoSpace", "FreeIoSpace", "RemoveIoSpace", "GetIoSpaceDescriptor", "GetIoSpaceMap", "Dispatch",
            "Schedule", "Trust", "ProcessFirmwareVolume", "SetMemorySpaceCapabilities",
        )
    ),
    signature=b"DXE_SERV",
)  # fmt: skip
"""The table that debug builds of EDK2's modules demand. Every service answers EFI_UNSUPPORTED, so that no arguments are
declared."""
_DXE_GUID: Final = UUID("05ad34ba-6f02-4214-952e-4da0398e2bb9")
_HOB_GUID: Final = UUID("7739f24c-93d7-11d4-9a3a-0090273fc14d")
_HOB_HANDOFF, _HOB_HANDOFF_SIZE, _HOB_END, _HOB_END_SIZE = 1, 56, 0xFFFF, 8


def publish_dxe_tables(firmware: Firmware) -> None:
    """The configuration tables that modules of EDK2 look for: DXE services, and an empty list of hand-off blocks."""
    header = EFI_TABLE_HEADER(Signature=_DXE_SERVICES.signature or b"", HeaderSize=_DXE_SERVICES.size).pack()
    table = firmware.publisher.publish(_DXE_SERVICES, {}, {"Hdr": header})
    firmware.install_configuration_table(_DXE_GUID.bytes_le, table)
    blocks = struct.pack("<HHI48x", _HOB_HANDOFF, _HOB_HANDOFF_SIZE, 0) + struct.pack(
        "<HHI", _HOB_END, _HOB_END_SIZE, 0
    )
    firmware.install_configuration_table(_HOB_GUID.bytes_le, firmware.allocator.place(blocks))


def publish_platform_configuration(firmware: Firmware) -> None:
    """A platform configuration database with the values that modules built for QEMU's machines ask for.

    Tokens are numbers of a firmware's build, so an answer cannot depend on them: 64-bit values are the address of the
    serial port, 32-bit ones its speed, everything else is zero.
    """
    zeros = firmware.allocator.place(bytes(64))
    services: dict[str, Callable[..., int]] = {
        "Get32": lambda _token: _BAUD_RATE,
        "Get64": lambda _token: _SERIAL_PORT,
        "GetPtr": lambda _token: zeros,
        "GetPtrEx": lambda _guid, _token: zeros,
    }
    handle = firmware.handles.create()
    firmware.handles.install(handle, GUIDS["PCD_PROTOCOL"].bytes_le, firmware.publisher.publish(_PCD, services))


def installed_modules(architecture: str) -> dict[str, Module]:
    """The modules of the installed firmware for an architecture.

    Raises:
        MissingDependencyError: it is not installed.
        FormatError: it is damaged.
    """
    path, package = FIRMWARE_IMAGES[architecture]
    if not path.exists():
        raise MissingDependencyError(f"{path} does not exist", hint=f"apt-get install {package}")
    return read_modules(path.read_bytes())


def load_drivers(firmware: Firmware, modules: Mapping[str, Module], names: Sequence[str]) -> list[Image]:
    """Load and start drivers, in order; a platform configuration database is published where there is none.

    Raises:
        KeyError: a module is not in the image.
        ServiceError: a driver's entry point returned an error.
        GuestError: a driver failed.
    """
    if not firmware.with_protocol("PCD_PROTOCOL"):
        publish_platform_configuration(firmware)
        publish_dxe_tables(firmware)
    images = []
    for name in names:
        image = firmware.images.load(
            modules[name].image, DevicePath.of(FilePath(f"{name}.efi")).pack(), parent=firmware.handle, own=True
        )
        with firmware.machine.limits():
            status, _ = firmware.images.start(image)
        if is_error(status):
            raise ServiceError(f"{name} did not start", status)
        images.append(image)
    return images
