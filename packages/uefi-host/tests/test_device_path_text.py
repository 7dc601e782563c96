"""Device path text for programs: EDK2's own DevicePathDxe is the judge of the text, and of the way back."""

import pytest

from cloudboot_base.testing import judge_file
from cloudboot_uefi_abi.device_path import DevicePath
from cloudboot_uefi_abi.protocols.device_paths import (
    EFI_DEVICE_PATH_FROM_TEXT_PROTOCOL as FROM_TEXT,
)
from cloudboot_uefi_abi.protocols.device_paths import (
    EFI_DEVICE_PATH_TO_TEXT_PROTOCOL as TO_TEXT,
)
from cloudboot_uefi_host import Firmware
from cloudboot_uefi_host.core.device_paths import read_path
from cloudboot_uefi_host.edk2 import FIRMWARE_IMAGES, load_drivers
from cloudboot_uefi_host.firmware_volume import read_modules
from cloudboot_uefi_host.protocols.device_path_text import publish_device_path_text

PATHS = (
    "PciRoot(0x0)/Pci(0x1F,0x2)/Sata(0x0,0xFFFF,0x0)/HD(1,GPT,A279004E-B1EB-84C5-A8E3-653D475DE490,0x40,0x8000)",
    "VenMedia(C10DDB00-7E1A-4001-91B0-070CB1EC80B1)/\\EFI\\BOOT\\BOOTX64.EFI",
    "PciRoot(0x0)/Pci(0x3,0x0)/MAC(525400123456,0x1)",
)


def ask(firmware: Firmware, name: str, structure: object, function: str, *arguments: int) -> int:
    """Call a function of the last-published protocol of a name; a pointer."""
    handle = firmware.with_protocol(name)[-1]
    interface = firmware.handles.pointer(handle, structure.guid.bytes_le)  # type: ignore[attr-defined]  # a Structure
    assert interface is not None
    return firmware.machine.call(firmware.memory.u64(interface + structure.offset(function)), *arguments)  # type: ignore[attr-defined]  # a Structure


def answers(firmware: Firmware) -> list[object]:
    """Every path to text, and back; then nodes, and what is no path."""
    to_text, from_text = "EFI_DEVICE_PATH_TO_TEXT_PROTOCOL", "EFI_DEVICE_PATH_FROM_TEXT_PROTOCOL"
    seen: list[object] = []
    for text in PATHS:
        path = DevicePath.from_text(text)
        place = firmware.allocator.place(path.pack())
        made = ask(firmware, to_text, TO_TEXT, "ConvertDevicePathToText", place, 0, 0)
        seen.append(firmware.memory.text(made))
        back = ask(firmware, from_text, FROM_TEXT, "ConvertTextToDevicePath", made)
        assert read_path(firmware.memory, back) == path.pack()
        made = ask(firmware, to_text, TO_TEXT, "ConvertDeviceNodeToText", place, 0, 0)
        seen.append(firmware.memory.text(made))
        node = ask(firmware, from_text, FROM_TEXT, "ConvertTextToDeviceNode", made)
        seen.append(firmware.memory.read(node, firmware.memory.u16(node + 2)))
    seen.append(ask(firmware, to_text, TO_TEXT, "ConvertDevicePathToText", 0, 0, 0))
    seen.append(ask(firmware, from_text, FROM_TEXT, "ConvertTextToDevicePath", 0))
    return seen


@pytest.mark.parametrize("architecture", ["amd64", "riscv64"])
def test_ours_says_what_edk2s_says(architecture: str) -> None:
    modules = read_modules(judge_file(*FIRMWARE_IMAGES[architecture]).read_bytes())
    with Firmware(architecture, memory=64 << 20) as firmware:
        load_drivers(firmware, modules, ["DevicePathDxe"])
        theirs = answers(firmware)
    with Firmware(architecture, memory=64 << 20) as firmware:
        publish_device_path_text(firmware)
        ours = answers(firmware)
    assert ours == theirs
    assert ours[0] == PATHS[0]
