"""EFI programs of Debian that nobody built for this firmware: iPXE, shim, GRUB as signed, MokManager, rEFInd.

What is expected are the programs' own texts and what their scripts compute. They use the firmware differently from the
loaders of the other tests: iPXE waits with HLT for a timer, installs drivers and binds them, and reads its script
through Simple File System; shim verifies, loads and starts its second stage by itself; rEFInd starts another loader
with StartImage.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from cloudboot_base import MemoryStorage
from cloudboot_base.testing import FOREIGN, judge_file
from cloudboot_uefi_abi.status import Status
from cloudboot_uefi_abi.variables import SignatureList, VariableStore, parse_signature_lists
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
from cloudboot_uefi_host.errors import ServiceError
from cloudboot_uefi_host.programs import standin
from cloudboot_uefi_host.protocols.device_path_text import publish_device_path_text
from cloudboot_uefi_host.protocols.graphics import publish_graphics
from cloudboot_uefi_host.protocols.measured_boot import publish_measured_boot
from cloudboot_uefi_host.protocols.random import publish_random_numbers
from cloudboot_uefi_host.testing import boot_disk

#: iPXE's names of the processors, in the setting ``buildarch``.
IPXE_NAMES = {"amd64": "x86_64", "arm64": "arm64", "riscv64": "riscv64"}
Keys = Mapping[str, tuple[SignatureList, ...]]
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
    loader: bytes,
    files: dict[str, bytes] | None = None,
    *keys: Typed,
    architecture: str = "amd64",
    enrolled: Keys | None = None,
) -> tuple[Outcome, str]:
    """Start a program from a FAT volume, with keys of Secure Boot; how it ended, and what it printed."""
    budget = Budget(seconds=120, idle_polls=300, idle_seconds=60)
    with Firmware(architecture, budget=budget, memory=512 << 20) as firmware:
        for name, lists in (enrolled or {}).items():
            firmware.variables.enroll(name, lists)
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


@pytest.fixture(scope="module")
def microsofts_keys() -> Keys:
    """PK, KEK, db and dbx as Debian's OVMF has them for machines that are to start what Microsoft signed."""
    flash = judge_file(Path("/usr/share/OVMF/OVMF_VARS_4M.ms.fd"), "ovmf").read_bytes()
    found = {variable.name: variable.data for variable in VariableStore.parse(flash).variables}
    return {name: parse_signature_lists(found[name]) for name in ("KEK", "db", "dbx", "PK")}


def changed(data: bytes) -> bytes:
    """The program with another byte in its code."""
    return data[:0x3000] + bytes([data[0x3000] ^ 1]) + data[0x3001:]


def test_secure_boot_starts_what_microsoft_and_debian_signed(
    microsofts_keys: dict[str, tuple[SignatureList, ...]],
) -> None:
    """db has Microsoft's certificate, which signed shim; shim has Debian's, which signed GRUB."""
    shim = program("usr/lib/shim/shimx64.efi.signed", "shim-signed")
    grub = program("usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", "grub-efi-amd64-signed")
    files = {"/EFI/BOOT/grubx64.efi": grub, "/hello.txt": b"hello from FAT\n"}
    keys = Typed("grub> $", "cat (hd0,gpt1)/hello.txt\n")
    outcome, text = run(shim, files, keys, enrolled=microsofts_keys)
    assert outcome.ending == Ending.AWAITING_INPUT
    assert "hello from FAT" in text
    for loader in (grub, changed(shim), standin("amd64")):
        with pytest.raises(ServiceError, match="Secure Boot") as caught:
            run(loader, files, enrolled=microsofts_keys)
        assert caught.value.status == Status.ACCESS_DENIED
    # What is behind shim is shim's to verify, with Secure Boot's state from our variables.
    _, text = run(shim, {**files, "/EFI/BOOT/grubx64.efi": changed(grub)}, enrolled=microsofts_keys)
    assert "GNU GRUB" not in text
    assert "Verification failed: (0x1A) Security Violation" in re.sub(r"[\s│]+", " ", text)
    _, text = run(shim, {**files, "/EFI/BOOT/grubx64.efi": standin("amd64")})
    assert "cloudboot stand-in" in text, "without keys shim starts anything"


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
