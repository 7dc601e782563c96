"""GRUB runs on three processors and reads what cloudboot wrote: a judge of this firmware from another project."""

from pathlib import Path

import pytest

import cloudboot_ufs2
from cloudboot_base import MemoryStorage
from cloudboot_uefi_host import BlockDevice, Ending, Firmware, Typed, boot_path, publish_block_io, start, vendor_path
from cloudboot_uefi_host.testing import boot_disk, grub_loader
from cloudboot_ufs2 import File

ARCHITECTURES = ("amd64", "arm64", "riscv64")
SCRIPT = "set pager=0\nls\ncat (hd0,gpt1)/hello.txt\ncat (hd0,gpt2)/boot/loader.conf\necho END-OF-SCRIPT\n"
LOADER_CONF = b'autoboot_delay="3"\n'


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A disk for each processor: GRUB and a file in the ESP, a file in UFS2."""
    volume = bytearray(8 << 20)
    cloudboot_ufs2.build(MemoryStorage(volume), {"boot/loader.conf": File(LOADER_CONF)})
    folder = tmp_path_factory.mktemp("grub")
    return {
        name: boot_disk(name, grub_loader(name, folder, SCRIPT), {"/hello.txt": b"hello from FAT\n"}, bytes(volume))
        for name in ARCHITECTURES
    }


def boot(firmware: Firmware, disk: bytes) -> BlockDevice:
    """Publish the disk and connect its drivers."""
    device = publish_block_io(firmware, MemoryStorage(disk), vendor_path())
    firmware.drivers.connect(device.handle)
    return device


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_grub_lists_disks_and_reads_files(architecture: str, disks: dict[str, bytes]) -> None:
    with Firmware(architecture) as firmware:
        device = boot(firmware, disks[architecture])
        image = firmware.images.load_from(boot_path(firmware, device), parent=firmware.handle)
        firmware.console.type([Typed("grub> $", "ls (hd0,gpt2)/boot\n")])
        firmware.console.until(r"loader\.conf *\r?\n")
        assert start(firmware, image).ending is Ending.TEXT_SEEN
        text = firmware.console.text
        for line in ("(hd0) (hd0,gpt2) (hd0,gpt1)", "hello from FAT", 'autoboot_delay="3"', "END-OF-SCRIPT"):
            assert line in text
        # What was printed was printed by GRUB's own calls, and the bytes of UFS2 came through our Block IO.
        name = firmware.architecture.removable_name
        assert {piece.image for piece in firmware.console.printed} <= {name, ""}
        assert any(read.image == name and read.lba >= 34816 for read in device.reads)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_two_runs_leave_the_same_trace(architecture: str, disks: dict[str, bytes]) -> None:
    traces = []
    for _ in range(2):
        trace: list[str] = []
        with Firmware(architecture, listener=lambda record, into=trace: into.append(str(record))) as firmware:  # type: ignore[misc]  # mypy does not infer the default's type
            device = boot(firmware, disks[architecture])
            image = firmware.images.load_from(boot_path(firmware, device), parent=firmware.handle)
            firmware.console.until("grub> $")
            start(firmware, image)
        traces.append(trace)
    assert len(traces[0]) > 400
    assert traces[0] == traces[1]


def test_the_trace_tells_who_called_what(disks: dict[str, bytes], tmp_path: Path) -> None:
    with Firmware("amd64") as firmware:
        device = boot(firmware, disks["amd64"])
        image = firmware.images.load_from(boot_path(firmware, device), parent=firmware.handle)
        firmware.console.until("grub> $")
        start(firmware, image)
        assert firmware.trace.counts["EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL.OutputString"] > 100
        assert firmware.trace.counts["EFI_BOOT_SERVICES.OpenProtocol"] > 3
        last = [str(record) for record in firmware.trace.last()]
        assert any("BOOTX64.EFI: EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL.OutputString(This=" in line for line in last)
