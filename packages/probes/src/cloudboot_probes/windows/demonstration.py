"""A Windows tree without a file of Microsoft's: programs that do nothing, and hives that name boot-start drivers."""

from __future__ import annotations

import struct
from typing import Final

from cloudboot_ntfs.registry import HiveOptions, Key, Value, build
from cloudboot_ntfs.registry.constants import ValueType
from cloudboot_uefi_abi.constants import Subsystem
from cloudboot_uefi_abi.pe import PEImage, checksum
from cloudboot_uefi_host.compiling import pe_image

from . import paths
from .files import WindowsFiles, of_mapping

#: Drivers that a Windows starts with: service, file, and load order group.
DRIVERS: Final = (
    ("ACPI", "acpi.sys", "Core"),
    ("disk", "disk.sys", "SCSI Class"),
    ("partmgr", "partmgr.sys", "Boot Bus Extender"),
    ("stornvme", "stornvme.sys", "SCSI Miniport"),
    ("volmgr", "volmgr.sys", "Boot Bus Extender"),
    ("volsnap", "volsnap.sys", ""),
)
_CODE: Final = {"amd64": b"\x31\xc0\xc3", "arm64": b"\x00\x00\x80\xd2\xc0\x03\x5f\xd6"}
"""Return 0."""
_CHECKSUM: Final = 64
"""Where CheckSum is in the optional header (PE/COFF section 2.4.2)."""


def files(architecture: str) -> WindowsFiles:
    """The tree; its programs are for ``architecture``."""
    code = _CODE.get(architecture, b"")
    native = _program(architecture, code, Subsystem.NATIVE)
    made = {
        paths.WINLOAD: _program(architecture, code * 4096, Subsystem.WINDOWS_BOOT_APPLICATION),
        paths.KERNEL: native,
        **{f"/Windows/System32/drivers/{name}": native for _, name, _ in DRIVERS},
        paths.SYSTEM_HIVE: build(system_hive(), HiveOptions(file_name="\\System32\\Config\\SYSTEM")),
        paths.SOFTWARE_HIVE: build(software_hive(), HiveOptions(file_name="\\System32\\Config\\SOFTWARE")),
    }
    return of_mapping(dict(sorted(made.items())))


def _program(architecture: str, code: bytes, subsystem: Subsystem) -> bytes:
    """A program that states its checksum, as those of Windows do."""
    data = bytearray(pe_image(architecture, code, subsystem=subsystem))
    image = PEImage.parse(data)
    struct.pack_into("<I", data, image.optional_offset + _CHECKSUM, checksum(image))
    return bytes(data)


def system_hive() -> Key:
    """A SYSTEM hive: which control set is current, and its boot-start drivers."""
    root = Key("ROOT")
    select = root.make("Select")
    for name in ("Current", "Default", "LastKnownGood"):
        select.set(Value.number(name, 1))
    select.set(Value.number("Failed", 0))
    for service, file, group in DRIVERS:
        key = root.make(f"ControlSet001\\Services\\{service}")
        key.set(Value.number("Type", 1))
        key.set(Value.number("Start", 0))
        key.set(Value.number("ErrorControl", 3))
        key.set(Value.text("ImagePath", f"System32\\drivers\\{file}", ValueType.REG_EXPAND_SZ))
        if group:
            key.set(Value.text("Group", group))
    return root


def software_hive() -> Key:
    """A SOFTWARE hive: which Windows this would be."""
    root = Key("ROOT")
    version = root.make("Microsoft\\Windows NT\\CurrentVersion")
    version.set(Value.text("ProductName", "cloudboot demonstration"))
    version.set(Value.text("EditionID", "Demonstration"))
    version.set(Value.text("CurrentBuildNumber", "19044"))
    version.set(Value.text("SystemRoot", "C:\\Windows"))
    return root
