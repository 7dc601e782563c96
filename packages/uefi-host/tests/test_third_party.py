"""EFI programs of Debian that nobody built for this firmware: iPXE, shim, GRUB as signed, MokManager, rEFInd.

What is expected are the programs' own texts and what their scripts compute. They use the firmware differently from the
loaders of the other tests: iPXE waits with HLT for a timer, installs drivers and binds them, and reads its script
through Simple File System; shim verifies, loads and starts its second stage by itself; rEFInd starts another loader
with StartImage.
"""

import re

import pytest

from cloudboot_base import MemoryStorage
from cloudboot_base.testing import FOREIGN, judge_file
from cloudboot_uefi_host import (
    Budget,
    Ending,
    Firmware,
    Outcome,
    Typed,
    boot_path,
    publish_block_io,
    start,
    vendor_path,
)
from cloudboot_uefi_host.protocols.device_path_text import publish_device_path_text
from cloudboot_uefi_host.protocols.graphics import publish_graphics
from cloudboot_uefi_host.protocols.measured_boot import publish_measured_boot
from cloudboot_uefi_host.protocols.random import publish_random_numbers
from cloudboot_uefi_host.testing import boot_disk

#: iPXE's names of the processors, in the setting ``buildarch``.
IPXE_NAMES = {"amd64": "x86_64", "arm64": "arm64", "riscv64": "riscv64"}
SCRIPT = b"""#!ipxe
echo built for ${platform} ${buildarch}
set x:int32 5
inc x
echo counted ${x}
iseq ${x} 6 && echo equal || echo different
exit 0
"""


def program(path: str, package: str) -> bytes:
    """A file of a package that is unpacked, not installed."""
    return judge_file(FOREIGN / path, package).read_bytes()


def run(
    loader: bytes, files: dict[str, bytes] | None = None, *keys: Typed, architecture: str = "amd64"
) -> tuple[Outcome, str]:
    """Start a program from a FAT volume; how it ended, and what it printed."""
    budget = Budget(seconds=120, idle_polls=300, idle_seconds=60)
    with Firmware(architecture, budget=budget, memory=512 << 20) as firmware:
        publish_graphics(firmware)
        publish_random_numbers(firmware)
        publish_device_path_text(firmware)
        publish_measured_boot(firmware)
        device = publish_block_io(firmware, MemoryStorage(boot_disk(architecture, loader, files)), vendor_path())
        firmware.drivers.connect(device.handle)
        image = firmware.images.load_from(boot_path(firmware, device), parent=firmware.handle)
        firmware.console.type(list(keys))
        outcome = start(firmware, image)
        return outcome, re.sub(r"[\r\n]+", "\n", firmware.console.text)


@pytest.mark.parametrize("architecture", IPXE_NAMES)
def test_ipxe_runs_a_script_from_the_disk(architecture: str) -> None:
    loader = program(f"usr/lib/ipxe/ipxe-{architecture}.efi", "ipxe")
    _, text = run(loader, {"/autoexec.ipxe": SCRIPT}, architecture=architecture)
    assert "file:/autoexec.ipxe... ok" in text
    assert f"built for efi {IPXE_NAMES[architecture]}" in text
    assert "counted 6" in text
    assert "equal" in text
    assert "different" not in text


def test_shim_starts_the_signed_grub() -> None:
    shim = program("usr/lib/shim/shimx64.efi.signed", "shim-signed")
    grub = program("usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", "grub-efi-amd64-signed")
    files = {"/EFI/BOOT/grubx64.efi": grub, "/hello.txt": b"hello from FAT\n"}
    outcome, text = run(shim, files, Typed("grub> $", "cat (hd0,gpt1)/hello.txt\n"))
    assert outcome.ending == Ending.AWAITING_INPUT
    assert "GNU GRUB" in text
    assert "hello from FAT" in text


def test_mokmanager_waits_for_a_key() -> None:
    _, text = run(program("usr/lib/shim/mmx64.efi.signed", "shim-helpers-amd64-signed"))
    assert "Press any key to perform MOK management" in text


def test_refind_starts_another_loader() -> None:
    refind = program("usr/share/refind/refind/refind_x64.efi", "refind")
    grub = program("usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", "grub-efi-amd64-signed")
    configuration = b"timeout 3\ntextonly true\nscanfor manual\nmenuentry Another {\n loader /EFI/x/grub.efi\n}\n"
    outcome, text = run(refind, {"/EFI/BOOT/refind.conf": configuration, "/EFI/x/grub.efi": grub})
    assert outcome.ending == Ending.AWAITING_INPUT
    assert "Starting grub.efi" in text
    assert "GNU GRUB" in text
