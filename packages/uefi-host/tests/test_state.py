"""What a program finds in the processor, and that it finds the same in every run and every process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cloudboot_base import MemoryStorage
from cloudboot_base.testing import judge
from cloudboot_uefi_abi.status import Status
from cloudboot_uefi_host import (
    Budget,
    Firmware,
    boot_path,
    file_systems_below,
    publish_block_io,
    start,
    unpublish_block_io,
    vendor_path,
)
from cloudboot_uefi_host.compiling import COMPILERS, compile_program
from cloudboot_uefi_host.core.device_paths import END
from cloudboot_uefi_host.cpu.processor import StopReason
from cloudboot_uefi_host.programs import standin
from cloudboot_uefi_host.testing import answers, boot_disk

ARCHITECTURES = ("amd64", "arm64", "riscv64")
SOURCE = Path(__file__).parent / "programs" / "state.c"
#: Counter ticks of a stall of one second.
SECOND = {"amd64": 1_000_000_000, "arm64": 62_500_000, "riscv64": 10_000_000}


def state(architecture: str) -> dict[str, int]:
    """What the program prints."""
    for program in COMPILERS[architecture][:2]:
        judge(program, COMPILERS[architecture][2])
    with Firmware(architecture, memory=64 << 20, budget=Budget(seconds=60)) as firmware:
        image = firmware.images.load(compile_program(architecture, SOURCE), END, parent=firmware.handle)
        assert start(firmware, image).status == Status.SUCCESS
        return dict(answers(firmware.console.text))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_counters_are_virtual_and_repeat(architecture: str) -> None:
    first, second = state(architecture), state(architecture)
    assert first == second
    assert "end" in first
    assert 0 < first["counter"] < first["second"]
    assert first["second"] + SECOND[architecture] <= first["copied"] < first["second"] + 1.01 * SECOND[architecture]
    assert SECOND[architecture] <= first["stalled"] < 1.01 * SECOND[architecture]


def test_amd64_has_what_the_specification_promises() -> None:
    seen = state("amd64")
    assert seen["cr0"] & 0x80000001 == 0x80000001, "protected mode with paging (section 2.3.4)"
    assert seen["cr4"] & 0x620 == 0x620, "PAE, OSFXSR, OSXMMEXCPT"
    assert seen["maps-2m"] & ~0xFFF == 0x200000, "an identity mapping"
    assert (seen["cs"], seen["ds"], seen["gdt-limit"]) == (0x38, 0x30, 63)
    assert seen["gdt-code"] & 0x00FF9B0000000000 == 0x00AF9A0000000000 & 0x00FF9B0000000000, "a 64-bit code segment"
    assert (seen["x87"], seen["mxcsr"], seen["direction"]) == (0x37F, 0x1F80, 0)
    assert (seen["rdrand"], seen["rdseed"], seen["sse2"]) == (0, 0, 1)


def test_arm64_has_what_the_specification_promises() -> None:
    seen = state("arm64")
    assert seen["el"] == 1
    assert seen["sctlr"] & 0x1005 == 0x1005, "MMU and caches on (section 2.3.6.1)"
    assert not seen["sctlr"] & 2, "no alignment checks"
    for name in ("code", "data"):
        assert seen[f"maps-{name}"] & 1 == 0, "it is mapped"
        assert seen[f"maps-{name}"] & 0xFFFFFFFFF000 == seen[name] & ~0xFFF, "an identity mapping"
        assert seen[f"maps-{name}"] >> 56 == 0xFF, "normal memory, written back"
    assert seen["maps-nothing"] & 1 == 1
    assert seen["unaligned"] == 0x0011223344556677


TRACED = """
import hashlib, sys
from cloudboot_base import MemoryStorage
from cloudboot_uefi_host import Firmware, boot_path, publish_block_io, start, vendor_path
from cloudboot_uefi_host.programs import standin
from cloudboot_uefi_host.testing import answers, boot_disk
for name in ("amd64", "arm64", "riscv64"):
    digest = hashlib.sha256()
    with Firmware(name, listener=lambda record: digest.update(str(record).encode())) as firmware:
        disk = boot_disk(name, standin(name))
        device = publish_block_io(firmware, MemoryStorage(disk), vendor_path())
        firmware.drivers.connect(device.handle)
        start(firmware, firmware.images.load_from(boot_path(firmware, device), parent=firmware.handle))
    print(name, firmware.trace.number, digest.hexdigest())
"""


def test_traces_are_the_same_in_every_process() -> None:
    seen = set()
    for seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", TRACED], check=True, capture_output=True, env=environment)
        seen.add(done.stdout)
    assert len(seen) == 1
    (printed,) = seen
    assert printed.count(b"\n") == 3


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_disk_is_taken_away_with_its_partitions_and_file_systems(architecture: str) -> None:
    with Firmware(architecture, memory=64 << 20) as firmware:
        device = publish_block_io(
            firmware, MemoryStorage(boot_disk(architecture, standin(architecture))), vendor_path()
        )
        before = set(firmware.handles)
        for _ in range(3):
            assert firmware.drivers.connect(device.handle) == Status.SUCCESS
            assert len(file_systems_below(firmware, device.path)) == 1
            assert firmware.drivers.disconnect(device.handle) == Status.SUCCESS
            assert set(firmware.handles) == before
        firmware.drivers.connect(device.handle)
        image = firmware.images.load_from(boot_path(firmware, device), parent=firmware.handle)
        assert unpublish_block_io(firmware, device) == Status.SUCCESS
        assert device.handle not in firmware.handles
        assert file_systems_below(firmware, device.path) == []
        # The loader is in memory already; the device it names is gone.
        assert start(firmware, image).status == Status.LOAD_ERROR


def test_hlt_is_told_from_instructions_that_end_with_its_byte() -> None:
    """A run that ends after a number of instructions is no wait for an interrupt, wherever it ends."""
    # loop: mov r12, rsi; lea eax, [rax-12]; nop; dec ecx; jnz loop; hlt
    code = bytes.fromhex("4989f4 8d40f4 6690 ffc9 75f4 f4")
    with Firmware("amd64", memory=64 << 20) as firmware:
        processor, address = firmware.machine.processor, firmware.allocator.pages(1)
        firmware.memory.write(address, code)
        for count in range(1, 30):
            processor.write("rcx", 5)
            stop = processor.run(address, count)
            halted = count >= 26
            assert stop.reason is (StopReason.HALTED if halted else StopReason.INSTRUCTIONS), count
            assert (stop.pc == address + len(code)) == halted
        assert firmware.memory.read(address, len(code)) == code


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_loop_that_ran_before_is_counted_too(architecture: str) -> None:
    """A program arms a timer, and then waits in a loop that was translated when nothing counted instructions."""
    register, code = {
        "amd64": ("rcx", "48ffc9 75fb f4"),  # loop: dec rcx; jnz loop; hlt
        "arm64": ("x1", "210400f1 e1ffff54 7f2003d5"),  # loop: subs x1, x1, #1; b.ne loop; wfi
        "riscv64": ("t0", "9382f2ff e39e02fe 73005010"),  # loop: addi t0, t0, -1; bnez t0, loop; wfi
    }[architecture]
    with Firmware(architecture, memory=64 << 20) as firmware:
        processor, address = firmware.machine.processor, firmware.allocator.pages(1)
        firmware.memory.write(address, bytes.fromhex(code))
        seen = []
        for instructions in (0, 1000, 0, 1000):
            processor.write(register, 2000)
            seen.append((processor.run(address, instructions).reason, processor.read(register)))
    counted = (StopReason.INSTRUCTIONS, 1500)
    assert seen == [(StopReason.HALTED, 0), counted, (StopReason.HALTED, 0), counted]
