"""The processor seam takes another back end: QEMU's gdbstub runs the same loaders to the same end."""

from pathlib import Path

import pytest

from cloudboot_base import MemoryStorage, UsageError
from cloudboot_base.testing import FOREIGN, judge, judge_file
from cloudboot_uefi_abi.status import Status
from cloudboot_uefi_host import (
    BackEndMissingError,
    Budget,
    Ending,
    Firmware,
    Typed,
    available,
    boot_path,
    publish_block_io,
    start,
    vendor_path,
)
from cloudboot_uefi_host.compiling import COMPILERS, compile_program
from cloudboot_uefi_host.core.device_paths import END
from cloudboot_uefi_host.cpu import gdb
from cloudboot_uefi_host.cpu.create import create
from cloudboot_uefi_host.edk2 import FIRMWARE_IMAGES, SHELL_DRIVERS, load_drivers
from cloudboot_uefi_host.firmware_volume import read_modules
from cloudboot_uefi_host.programs import standin
from cloudboot_uefi_host.testing import answers, boot_disk

PACKAGES = {
    "arm64": ("qemu-system-aarch64", "qemu-system-arm"),
    "riscv64": ("qemu-system-riscv64", "qemu-system-riscv"),
    "loong64": ("qemu-system-loongarch64", "qemu-system-misc"),
}


@pytest.mark.parametrize("architecture", ["arm64", "riscv64"])
def test_both_back_ends_leave_the_same_trace(architecture: str) -> None:
    judge(*PACKAGES[architecture])
    disk = boot_disk(architecture, standin(architecture))
    seen = []
    for back_end in ("unicorn", "gdb"):
        trace: list[str] = []
        with Firmware(
            architecture,
            memory=128 << 20,
            back_end=back_end,
            budget=Budget(seconds=60),
            listener=lambda record, into=trace: into.append(str(record)),  # type: ignore[misc]  # a default's type is not inferred
        ) as firmware:
            device = publish_block_io(firmware, MemoryStorage(disk), vendor_path())
            firmware.drivers.connect(device.handle)
            image = firmware.images.load_from(boot_path(firmware, device), parent=firmware.handle)
            outcome = start(firmware, image)
            assert firmware.machine.processor.name == back_end
            seen.append((trace, firmware.console.text, outcome.status))
    assert seen[0] == seen[1]
    assert seen[0][2] == Status.NOT_FOUND


@pytest.mark.live
def test_the_shell_on_loong64() -> None:
    judge(*PACKAGES["loong64"])
    shell = judge_file(
        FOREIGN / "usr/share/efi-shell-loongarch64/shellloongarch64.efi", "efi-shell-loongarch64"
    ).read_bytes()
    modules = read_modules(judge_file(*FIRMWARE_IMAGES["loong64"]).read_bytes())
    prompt = r"(Shell|FS0:[^>]*)> $"
    with Firmware("loong64", budget=Budget(seconds=300)) as firmware:
        load_drivers(firmware, modules, SHELL_DRIVERS)
        disk = boot_disk("loong64", shell, {"/hello.txt": b"hello from FAT\r\n"})
        device = publish_block_io(firmware, MemoryStorage(disk), vendor_path())
        firmware.drivers.connect(device.handle)
        image = firmware.images.load_from(boot_path(firmware, device), parent=firmware.handle)
        commands = ("map -r", "fs0:", "type hello.txt", "reset -s")
        firmware.console.type([Typed("seconds", "<ESC>"), *(Typed(prompt, f"{line}\n") for line in commands)])
        outcome = start(firmware, image)
        assert (outcome.ending, outcome.status) == (Ending.RESET, Status.SUCCESS)
        assert "VenMedia(C10DDB00-7E1A-4001-91B0-070CB1EC80B1)/HD(1,GPT," in firmware.console.text
        assert "hello from FAT" in firmware.console.text


class _Counter:
    def counter(self) -> int:
        return 0

    def wall_time(self) -> float:
        return 0.0


def test_a_missing_back_end_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.setattr(gdb, "available", lambda _architecture: False)
    assert not available("amd64")
    with pytest.raises(BackEndMissingError) as caught:
        create("amd64", 64 << 20, _Counter())
    assert caught.value.hint == "pip install 'cloudboot-uefi-host[unicorn]'"
    assert caught.value.exit_code == 5
    with pytest.raises(BackEndMissingError):
        create("loong64", 64 << 20, _Counter())
    with pytest.raises(UsageError):
        create("amd64", 64 << 20, _Counter(), "bochs")
    with pytest.raises(UsageError):
        create("sparc", 64 << 20, _Counter())


def test_both_back_ends_of_arm64_have_the_mmu_on() -> None:
    """The program asks the processor itself how addresses are translated."""
    judge(*PACKAGES["arm64"])
    judge(COMPILERS["arm64"][0], COMPILERS["arm64"][2])
    program = compile_program("arm64", Path(__file__).parent / "programs" / "state.c")
    names = ("el", "sctlr", "tcr", "maps-code", "code", "maps-data", "data", "maps-nothing", "unaligned")
    seen = []
    for back_end in ("unicorn", "gdb"):
        with Firmware("arm64", memory=128 << 20, back_end=back_end, budget=Budget(seconds=60)) as firmware:
            image = firmware.images.load(program, END, parent=firmware.handle)
            assert start(firmware, image).status == Status.SUCCESS
            found = dict(answers(firmware.console.text))
        seen.append([found[name] for name in names])
    assert seen[0] == seen[1]
