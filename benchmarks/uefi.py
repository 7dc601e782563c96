"""How fast the UEFI in this process is: ``python benchmarks/uefi.py [--rounds N] [--qemu]``.

GRUB, made by grub-mkimage, lists disks, reads a file and shows its prompt on each processor; the UEFI Shell maps its
disks; ``cloudboot demo`` runs as a command. Then single steps: a trap, a service call with four arguments, and the
registers of a call through Unicorn's binding against the direct way. ``--qemu`` boots the same GRUB disk under OVMF in
a QEMU machine in the same run, once on its own and once with its boot services called from Python. Medians of the
rounds, in one run on one machine: read them as ratios.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from _targets import Targets

from cloudboot_base import MemoryStorage
from cloudboot_uefi_abi.tables import EFI_BOOT_SERVICES
from cloudboot_uefi_host import Budget, Firmware, Typed, boot_path, publish_block_io, start, vendor_path
from cloudboot_uefi_host.core.device_paths import END
from cloudboot_uefi_host.edk2 import SHELL_DRIVERS, installed_modules, load_drivers
from cloudboot_uefi_host.live import LiveFirmware
from cloudboot_uefi_host.testing import FOREIGN, boot_disk, grub_loader

if TYPE_CHECKING:
    from collections.abc import Callable

ARCHITECTURES = ("amd64", "arm64", "riscv64")
SHELLS = {"amd64": "x64", "arm64": "aa64", "riscv64": "riscv64"}
SCRIPT = "set pager=0\nls\ncat (hd0,gpt1)/hello.txt\n"
CALLS = 20_000


def grub(architecture: str, disk: bytes) -> int:
    with Firmware(architecture) as firmware:
        device = publish_block_io(firmware, MemoryStorage(disk), vendor_path())
        firmware.drivers.connect(device.handle)
        image = firmware.images.load_from(boot_path(firmware, device), parent=firmware.handle)
        firmware.console.until("grub> $")
        start(firmware, image)
        return firmware.trace.number


def shell(architecture: str, disk: bytes) -> int:
    with Firmware(architecture, budget=Budget(seconds=120)) as firmware:
        load_drivers(firmware, installed_modules(architecture), SHELL_DRIVERS)
        device = publish_block_io(firmware, MemoryStorage(disk), vendor_path())
        firmware.drivers.connect(device.handle)
        image = firmware.images.load_from(boot_path(firmware, device), parent=firmware.handle)
        firmware.console.type([Typed("seconds", "<ESC>"), Typed("Shell> $", "map -r\n"), Typed("Shell> $", "reset\n")])
        start(firmware, image)
        return firmware.trace.number


def ovmf(disk: bytes, folder: Path) -> None:
    image, variables, serial = folder / "disk", folder / "variables", folder / "serial"
    image.write_bytes(disk)
    serial.unlink(missing_ok=True)
    shutil.copyfile("/usr/share/OVMF/OVMF_VARS_4M.fd", variables)
    machine = subprocess.Popen(
        [
            "qemu-system-x86_64", "-machine", "q35", "-m", "512", "-accel", "tcg", "-nodefaults", "-display", "none",
            "-drive", "if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd",
            "-drive", f"if=pflash,format=raw,unit=1,file={variables}",
            "-drive", f"if=none,id=disk,format=raw,readonly=on,file={image}",
            "-device", "virtio-blk-pci,drive=disk,bootindex=1", "-serial", f"file:{serial}",
        ]
    )  # fmt: skip
    try:
        while not serial.exists() or b"grub> " not in serial.read_bytes():
            time.sleep(0.02)
    finally:
        machine.kill()
        machine.wait()


def driven(disk: bytes) -> int:
    with LiveFirmware() as firmware:
        device = publish_block_io(firmware, MemoryStorage(disk), vendor_path())
        firmware.drivers.connect(device.handle)
        image = firmware.images.load_from(boot_path(firmware, device), parent=firmware.handle)
        firmware.console.until("grub> $")
        start(firmware, image)
        return firmware.trace.number


def timed(run: Callable[[], object], rounds: int) -> tuple[float, object]:
    seconds, answer = [], None
    for _ in range(rounds):
        before = time.perf_counter()
        answer = run()
        seconds.append(time.perf_counter() - before)
    return statistics.median(seconds), answer


def single_steps(targets: Targets) -> None:
    """The cost of one trap, one call, one read of registers: a loop in machine code calls a service CALLS times."""
    from cloudboot_uefi_host.compiling import compile_program

    source = """
    #include <efi.h>
    uint64_t EFI_ENTRY efi_main(void *image, EFI_SYSTEM_TABLE *table) {
      (void)image;
      EFI_BOOT_SERVICES *bs = table->BootServices;
      for (uint64_t i = 0; i < COUNT; i++) bs->CALL;
      return 0;
    }
    """
    empty, four = "SetTimer(0, 9, 0)", "AllocatePages(9, 9, 9, 0)"
    with tempfile.TemporaryDirectory() as name:
        for what, call in (("three arguments", empty), ("four arguments", four)):
            path = Path(name) / "loop.c"
            path.write_text(source.replace("COUNT", str(CALLS)).replace("CALL", call))
            for architecture in ARCHITECTURES:
                with Firmware(architecture, memory=64 << 20) as firmware:
                    image = firmware.images.load(compile_program(architecture, path), END, parent=firmware.handle)
                    seconds, _ = timed(lambda: start(firmware, image), 1)  # noqa: B023 -- runs at once
                each = seconds / CALLS * 1e6
                verdict = f"  target 25 us, {targets.at_most(each, 25)}" if call == four else ""
                print(f"  a service call, {what}, {architecture:8} {each:8.1f} us{verdict}")
    with Firmware("amd64", memory=64 << 20) as firmware:
        processor = firmware.machine.processor
        names = ("rcx", "rdx", "r8", "r9", "rsp")
        direct, _ = timed(lambda: [processor.read_many(names) for _ in range(CALLS)], 1)
        numbers = [processor._id(each) for each in names]  # type: ignore[attr-defined]  # noqa: SLF001 -- of unicorn
        engine = processor._uc  # type: ignore[attr-defined]  # noqa: SLF001 -- of unicorn
        binding, _ = timed(lambda: [engine.reg_read_batch(numbers) for _ in range(CALLS)], 1)
        print(f"  five registers directly {direct / CALLS * 1e6:.2f} us, by the binding {binding / CALLS * 1e6:.2f} us")
        trap = firmware.machine.trap_base
        bare, _ = timed(lambda: [processor.run(trap) for _ in range(CALLS)], 1)
        stall = firmware.memory.u64(firmware.boot_services + EFI_BOOT_SERVICES.offset("Stall"))
        served, _ = timed(lambda: [firmware.machine.call(stall, 0) for _ in range(CALLS)], 1)
        each, call = bare / CALLS * 1e6, served / CALLS * 1e6
        print(f"  a trap {each:.2f} us, target 3 us, {targets.at_most(each, 3)}")
        print(f"  a service called from Python {call:.2f} us")


def main() -> int:
    targets = Targets()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--qemu", action="store_true", help="Boot the same disk under OVMF, too.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print("GRUB: list, cat, prompt")
        for architecture in ARCHITECTURES:
            disk = boot_disk(architecture, grub_loader(architecture, folder, SCRIPT), {"/hello.txt": b"hello\n"})
            seconds, calls = timed(lambda: grub(architecture, disk), options.rounds)  # noqa: B023 -- runs at once
            verdict = targets.at_most(seconds, 0.3)
            print(f"  {architecture:8} {seconds:7.3f} s  {calls} service calls  target 0.3 s, {verdict}")
            if architecture == "amd64" and options.qemu:
                real, _ = timed(lambda: ovmf(disk, folder), max(1, options.rounds // 3))  # noqa: B023 -- runs at once
                print(f"  {'OVMF':8} {real:7.3f} s  {real / seconds:.1f} times as long")
                real, _ = timed(lambda: driven(disk), max(1, options.rounds // 3))  # noqa: B023 -- runs at once
                print(f"  {'driven':8} {real:7.3f} s  {real / seconds:.1f} times as long, OVMF called from Python")
        print("UEFI Shell: drivers, map -r, reset")
        for architecture in ARCHITECTURES:
            suffix = SHELLS[architecture]
            program = (FOREIGN / f"usr/share/efi-shell-{suffix}/shell{suffix}.efi").read_bytes()
            disk = boot_disk(architecture, program)
            seconds, calls = timed(lambda: shell(architecture, disk), max(1, options.rounds // 3))  # noqa: B023 -- runs at once
            verdict = targets.at_most(seconds, 4)
            print(f"  {architecture:8} {seconds:7.3f} s  {calls} service calls  target 4 s, {verdict}")
        command = [str(Path(sys.executable).with_name("cloudboot")), "demo"]
        seconds, _ = timed(lambda: subprocess.run(command, check=True, capture_output=True), options.rounds)
        print(f"cloudboot demo, as a command  {seconds:.3f} s  target 3 s, {targets.at_most(seconds, 3)}")
        print("single steps")
        single_steps(targets)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"peak memory of this process {peak:.0f} MiB (a machine has 512 MiB of RAM, mapped as it is used)")
    return targets.exit_code


if __name__ == "__main__":
    sys.exit(main())
