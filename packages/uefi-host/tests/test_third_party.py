"""EFI programs of Debian, built for any UEFI firmware: iPXE, shim, GRUB as signed, MokManager, rEFInd and its
file-system drivers, Syslinux, Xen.

What is expected are the programs' own texts and what their scripts compute. They use the firmware differently from the
loaders of the other tests: iPXE waits with HLT for a timer, installs drivers and binds them, and reads its script
through Simple File System; shim verifies, loads and starts its second stage by itself; rEFInd starts its drivers, which
bind to our partitions, and another loader with StartImage; Syslinux loads its modules by itself and arms a timer; Xen
reads several files into memory and leaves the boot services.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from cloudboot_base import MemoryStorage
from cloudboot_base.testing import FOREIGN, judge, judge_file
from cloudboot_base.testing import run as run_program
from cloudboot_gpt import partition_types
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
from cloudboot_uefi_host.cpu.architecture import architecture_of
from cloudboot_uefi_host.errors import ServiceError
from cloudboot_uefi_host.programs import standin
from cloudboot_uefi_host.protocols.device_path_text import publish_device_path_text
from cloudboot_uefi_host.protocols.graphics import publish_graphics
from cloudboot_uefi_host.protocols.measured_boot import publish_measured_boot
from cloudboot_uefi_host.protocols.random import publish_random_numbers
from cloudboot_uefi_host.testing import ESP_OFFSET, disk, fat_volume

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
    root: bytes = b"",
) -> tuple[Outcome, str]:
    """Start a program from a FAT volume, with keys of Secure Boot; how it ended, and what it printed.

    ``root`` is a volume of Linux's in a second partition.
    """
    size = sum(map(len, (loader, *(files or {}).values())))
    path = f"/EFI/BOOT/{architecture_of(architecture).removable_name}"
    system = fat_volume({path: loader, **(files or {})}, (16 + (size >> 20) * 9 // 8) << 20)
    partitions = [(partition_types.ESP, ESP_OFFSET, system)]
    if root:
        partitions.append((partition_types.LINUX, ESP_OFFSET + len(system), root))
    budget = Budget(seconds=120, idle_polls=300, idle_seconds=60)
    with Firmware(architecture, budget=budget, memory=512 << 20) as firmware:
        for name, lists in (enrolled or {}).items():
            firmware.variables.enroll(name, lists)
        publish_graphics(firmware)
        publish_random_numbers(firmware)
        publish_device_path_text(firmware)
        publish_measured_boot(firmware)
        device = publish_block_io(firmware, MemoryStorage(disk(partitions)), vendor_path())
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


def test_refinds_driver_of_ext2_reads_the_loader_from_our_partition(tmp_path: Path) -> None:
    root, image = tmp_path / "root", tmp_path / "ext2.img"
    root.mkdir()
    (root / "loader.efi").write_bytes(standin("amd64").ljust(100_000, b"\0"))  # rEFInd refuses very small files
    run_program(judge("mkfs.ext2", "e2fsprogs"), "-q", "-b", "4096", "-L", "linux", "-d", root, image, "16M")
    files = {
        "/EFI/BOOT/drivers_x64/ext2_x64.efi": program("usr/share/refind/refind/drivers_x64/ext2_x64.efi", "refind"),
        "/EFI/BOOT/refind.conf": b"timeout 3\ntextonly true\nscanfor manual\n"
        b"menuentry Ours {\n volume linux\n loader /loader.efi\n}\n",
    }
    _, text = run(program("usr/share/refind/refind/refind_x64.efi", "refind"), files, root=image.read_bytes())
    assert "Starting loader.efi" in text
    assert "cloudboot stand-in" in text


def test_syslinux_loads_its_modules_and_lists_files() -> None:
    folder = FOREIGN / "usr/lib/syslinux/modules/efi64"
    modules = ("ldlinux.e64", "libcom32.c32", "libutil.c32", "ls.c32", "menu.c32")
    files = {f"/EFI/BOOT/{name}": program(str(folder / name), "syslinux-common") for name in modules}
    files["/EFI/BOOT/syslinux.cfg"] = (
        b"DEFAULT ls\nPROMPT 1\nTIMEOUT 0\nSAY hello from Syslinux\nLABEL ls\n COM32 ls.c32\n"
    )
    syslinux = program("usr/lib/SYSLINUX.EFI/efi64/syslinux.efi", "syslinux-efi")
    outcome, text = run(syslinux, files, Typed("boot: $", "ls\n"))
    assert "hello from Syslinux" in text
    assert {"BOOTX64.EFI", "syslinux.cfg", *modules} <= set(text.split())
    assert outcome.ending == Ending.AWAITING_INPUT


def test_xen_takes_its_kernel_and_leaves_the_boot_services() -> None:
    kernel = program("boot/vmlinuz-cloud-amd64", "linux-image-cloud-amd64")
    configuration = b"[global]\ndefault=only\n[only]\noptions=noreboot\nkernel=vmlinuz root=/dev/sda1\nramdisk=initrd\n"
    files = {"BOOTX64.cfg": configuration, "vmlinuz": kernel, "initrd": b"x" * 5000}
    xen = program("boot/xen-4.20-amd64.efi", "xen-hypervisor-4.20-amd64")
    outcome, text = run(xen, {f"/EFI/BOOT/{name}": content for name, content in files.items()})
    assert "Using configuration file 'BOOTX64.cfg'" in text
    sizes = {name: int(end, 16) - int(start, 16) for name, start, end in re.findall(r"(\w+): (0x\w+)-(0x\w+)", text)}
    assert sizes == {"vmlinuz": len(kernel), "initrd": 5000}
    assert outcome.ending == Ending.BOOT_SERVICES_EXITED
