"""Loaders of other projects run: the UEFI Shell, systemd-boot, memtest86+; and EDK2's drivers of installed firmware."""

import contextlib
import re
import sys
from pathlib import Path
from uuid import UUID

import pytest

from cloudboot_base import FormatError, MemoryStorage
from cloudboot_base.testing import FOREIGN, judge, judge_file, run
from cloudboot_uefi_abi.status import Status
from cloudboot_uefi_host import (
    BlockDevice,
    Budget,
    Ending,
    Firmware,
    Outcome,
    Typed,
    boot_path,
    file_systems_below,
    publish_block_io,
    start,
    vendor_path,
)
from cloudboot_uefi_host.compiling import COMPILERS, compile_program
from cloudboot_uefi_host.core.device_paths import END
from cloudboot_uefi_host.edk2 import DISK_DRIVERS, FIRMWARE_IMAGES, SHELL_DRIVERS, load_drivers
from cloudboot_uefi_host.firmware_volume import Module, read_modules
from cloudboot_uefi_host.protocols.device_path_text import publish_device_path_text
from cloudboot_uefi_host.protocols.graphics import HEIGHT, WIDTH, publish_graphics
from cloudboot_uefi_host.protocols.load_file2 import publish_load_file2
from cloudboot_uefi_host.protocols.random import publish_random_numbers
from cloudboot_uefi_host.testing import boot_disk, grub_loader

ARCHITECTURES = ("amd64", "arm64", "riscv64")
#: The vendor GUID of systemd-boot's variables.
SYSTEMD = UUID("4a67b082-0a4c-41cf-b6c7-440b29bb8c4f")
SHELLS = {"amd64": "x64", "arm64": "aa64", "riscv64": "riscv64"}


def boot(firmware: Firmware, disk: bytes) -> tuple[BlockDevice, Outcome]:
    """Publish a disk, and start its loader."""
    device = publish_block_io(firmware, MemoryStorage(disk), vendor_path())
    firmware.drivers.connect(device.handle)
    image = firmware.images.load_from(boot_path(firmware, device), parent=firmware.handle)
    return device, start(firmware, image)


@pytest.fixture(scope="module")
def modules() -> dict[str, dict[str, Module]]:
    """The modules of each installed firmware."""
    return {name: read_modules(judge_file(*FIRMWARE_IMAGES[name]).read_bytes()) for name in ARCHITECTURES}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_shell_sees_the_disk_and_its_files(architecture: str, modules: dict[str, dict[str, Module]]) -> None:
    name = SHELLS[architecture]
    shell = judge_file(FOREIGN / f"usr/share/efi-shell-{name}/shell{name}.efi", f"efi-shell-{name}").read_bytes()
    prompt = r"(Shell|FS0:[^>]*)> $"
    commands = ("map -r", "fs0:", "type hello.txt", "dh -d -v", "drivers", "reset -s")
    with Firmware(architecture, budget=Budget(seconds=100)) as firmware:
        load_drivers(firmware, modules[architecture], SHELL_DRIVERS)
        firmware.console.type([Typed("seconds", "<ESC>"), *(Typed(prompt, f"{line}\n") for line in commands)])
        _, outcome = boot(firmware, boot_disk(architecture, shell, {"/hello.txt": b"hello from FAT\r\n"}))
        text = firmware.console.text
    assert (outcome.ending, outcome.status) == (Ending.RESET, Status.SUCCESS)
    # EDK2's own text of our device path, of the node that our partition driver wrote.
    assert "VenMedia(C10DDB00-7E1A-4001-91B0-070CB1EC80B1)/HD(1,GPT," in text
    assert "hello from FAT" in text
    assert "cloudboot partition driver" in text
    assert "EFI System Partition : Yes" in text
    assert "Fixed MId:1 bsize 200, lblock 7FFF (16,777,216), partition ro !cached" in text.replace("\r\n", "")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_edk2s_drivers_read_what_ours_read(architecture: str, modules: dict[str, dict[str, Module]]) -> None:
    disk = boot_disk(architecture, bytes(range(256)) * 600, {"/a/b/long name here.txt": b"found\n"})
    seen = []
    for drivers in (False, True):
        with Firmware(architecture, memory=128 << 20, drivers=drivers) as firmware:
            if not drivers:
                load_drivers(firmware, modules[architecture], DISK_DRIVERS)
            device = publish_block_io(firmware, MemoryStorage(disk), vendor_path())
            assert firmware.drivers.connect(device.handle) == Status.SUCCESS
            (handle,) = file_systems_below(firmware, device.path)
            name = firmware.architecture.removable_name
            seen.append(
                (
                    firmware.path_of(handle),
                    firmware.read_file(handle, r"\A\B\LONG NAME HERE.TXT"),
                    firmware.read_file(handle, rf"\EFI\BOOT\{name}"),
                )
            )
            assert firmware.drivers.disconnect(device.handle) == Status.SUCCESS
            assert file_systems_below(firmware, device.path) == []
    assert seen[0] == seen[1]
    assert seen[0][1:] == (b"found\n", bytes(range(256)) * 600)


def test_systemd_boot_counts_down_and_chain_loads_grub(tmp_path: Path) -> None:
    loader = judge_file(FOREIGN / "usr/lib/systemd/boot/efi/systemd-bootx64.efi", "systemd-boot-efi").read_bytes()
    grub = grub_loader("amd64", tmp_path, "echo chained-GRUB\n")
    files = {
        "/loader/loader.conf": b"timeout 5\n",
        "/loader/entries/one.conf": b"title The first entry\nefi /grub.efi\n",
        "/grub.efi": grub,
    }
    with Firmware("amd64", budget=Budget(seconds=60)) as firmware:
        publish_device_path_text(firmware)
        firmware.console.until("chained-GRUB")
        _, outcome = boot(firmware, boot_disk("amd64", loader, files))
        text, waited = firmware.console.text, firmware.clock.seconds()
        identifier = firmware.variables.get("LoaderImageIdentifier", SYSTEMD.bytes_le)
        by = [piece.image for piece in firmware.console.printed if "chained-GRUB" in piece.text]
    assert outcome.ending is Ending.TEXT_SEEN
    assert "The first entry" in text
    assert "Boot in 5 s." in text
    assert 5 <= waited < 7
    assert by == ["grub.efi"]
    # systemd-boot stores the text of its own path, as our EFI_DEVICE_PATH_TO_TEXT_PROTOCOL gives it.
    assert identifier is not None
    assert identifier.data.decode("utf-16-le").rstrip("\0") == r"\EFI\BOOT\BOOTX64.EFI"


def test_memtest_takes_the_machine_over_and_gets_its_screen() -> None:
    loader = judge_file(FOREIGN / "boot/memtest86+x64.efi", "memtest86+").read_bytes()
    with Firmware("amd64") as firmware:
        graphics = publish_graphics(firmware)
        _, outcome = boot(firmware, boot_disk("amd64", loader))
        assert outcome.ending is Ending.BOOT_SERVICES_EXITED
        assert firmware.trace.counts["EFI_GRAPHICS_OUTPUT_PROTOCOL.SetMode"] == 1
        picture = graphics.screenshot()
    assert picture.startswith(b"P6\n%d %d\n255\n" % (WIDTH, HEIGHT))
    assert len(picture) == len(b"P6\n800 600\n255\n") + WIDTH * HEIGHT * 3


@pytest.mark.parametrize("offset", [0x100, 0x8000])
def test_a_damaged_firmware_image_gives_fewer_modules_or_an_error(offset: int) -> None:
    image = judge_file(*FIRMWARE_IMAGES["amd64"]).read_bytes()
    whole = read_modules(image)
    place = image.index(b"_FVH") + offset
    found: dict[str, Module] = {}
    with contextlib.suppress(FormatError):
        found = read_modules(image[:place] + bytes(4096) + image[place + 4096 :])
    assert set(found) <= set(whole)
    assert found != whole


def test_what_is_no_firmware_has_no_modules() -> None:
    assert read_modules(bytes(4096)) == {}
    assert read_modules(b"_FVH" * 100) == {}


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_linux_loads_its_initrd_and_takes_the_machine_over(architecture: str) -> None:
    name = f"cloud-{architecture}"
    kernel = judge_file(FOREIGN / f"boot/vmlinuz-{name}", f"linux-image-{name}").read_bytes()
    initrd = bytes(range(256)) * 4096
    with Firmware(architecture, memory=1 << 30, budget=Budget(seconds=300)) as firmware:
        publish_random_numbers(firmware)
        loaded = publish_load_file2(firmware, MemoryStorage(initrd))
        options = "console=ttyS0 quiet\0".encode("utf-16-le")
        image = firmware.images.load(kernel, END, parent=firmware.handle, options=options)
        outcome = start(firmware, image)
        assert outcome.ending is Ending.BOOT_SERVICES_EXITED
        assert loaded.reads == 1
        counts = firmware.trace.counts
        assert counts["EFI_BOOT_SERVICES.ExitBootServices"] == 1
        assert counts["EFI_RNG_PROTOCOL.GetRNG"] >= 1
        # The initrd stands in guest memory where the kernel was told, byte for byte.
        assert bytes(firmware.memory.view).find(initrd) >= 0


UKIFY = FOREIGN / "usr/bin/ukify"
PRETTY = "cloudboot 1"


def unified(folder: Path, initrd: bytes) -> bytes:
    """A unified kernel image that systemd's ukify builds around a program of ours."""
    judge_file(UKIFY, "systemd-ukify")
    stub = judge_file(FOREIGN / "usr/lib/systemd/boot/efi/linuxx64.efi.stub", "systemd-boot-efi")
    kernel = bytearray(compile_program("amd64", Path(__file__).parent / "programs" / "kernel.c"))
    optional = int.from_bytes(kernel[60:64], "little") + 24
    kernel[optional + 44 : optional + 46] = b"\1\0"  # MajorImageVersion: it takes its initrd as Linux 5.8 and later do
    for name, content in (("linux", bytes(kernel)), ("initrd", initrd)):
        (folder / name).write_bytes(content)
    (folder / "osrel").write_text(f'ID=cloudboot\nVERSION_ID=1\nPRETTY_NAME="{PRETTY}"\n')
    run(
        "env", f"PYTHONPATH={FOREIGN / 'usr/lib/python3/dist-packages'}", sys.executable, UKIFY, "build",
        f"--linux={folder / 'linux'}", f"--initrd={folder / 'initrd'}", "--cmdline=root=/dev/vda2 quiet",
        f"--os-release=@{folder / 'osrel'}", "--uname=6.1-test", f"--stub={stub}", f"--output={folder / 'uki.efi'}",
    )  # fmt: skip
    return (folder / "uki.efi").read_bytes()


@pytest.mark.parametrize("through", ["", "systemd-boot"])
def test_a_unified_kernel_image_gives_its_kernel_command_line_and_initrd(through: str, tmp_path: Path) -> None:
    """systemd-boot finds the image by itself; its stub publishes the initrd, which our firmware's services find."""
    judge(*COMPILERS["amd64"][::2][:2])
    initrd = bytes(range(256)) * 77
    image = unified(tmp_path, initrd)
    files, loader = {}, image
    if through:
        loader = judge_file(FOREIGN / "usr/lib/systemd/boot/efi/systemd-bootx64.efi", "systemd-boot-efi").read_bytes()
        files = {"/EFI/Linux/one.efi": image, "/loader/loader.conf": b"timeout 2\n"}
    with Firmware("amd64", budget=Budget(seconds=60)) as firmware:
        publish_device_path_text(firmware)
        firmware.console.until("end\r?\n")
        _, outcome = boot(firmware, boot_disk("amd64", loader, files))
        text = firmware.console.text.replace("\r", "")
        stub = firmware.variables.get("StubInfo", SYSTEMD.bytes_le)
    assert outcome.ending is Ending.TEXT_SEEN
    assert (PRETTY in text) == bool(through)
    assert "root=/dev/vda2 quiet\n" in text
    answers = re.search(r"([0-9a-f]{16})\n([0-9a-f]{16})\n([0-9a-f]{16})\n", text)
    assert answers is not None
    status, size, total = (int(value, 16) for value in answers.groups())
    assert status == Status.BUFFER_TOO_SMALL
    assert size > len(initrd)  # the stub appends what it knows of the image
    assert total == sum(initrd)
    assert stub is not None
    assert stub.data.decode("utf-16-le").startswith("systemd-stub 2")
