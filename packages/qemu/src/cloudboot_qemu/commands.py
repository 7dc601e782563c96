"""``cloudboot-qemu``: list firmware, run an image with its console on stdout."""

from __future__ import annotations

import argparse
import os
import re
import sys
from typing import TYPE_CHECKING, BinaryIO

from cloudboot_base import UsageError
from cloudboot_base.command import CHECK_FAILED, OK, notice, parse_size, print_json, seconds_argument
from cloudboot_base.containers import HEAD, container_problem
from cloudboot_base.program import Program

from .architectures import ARCHITECTURES
from .errors import ExpectTimeoutError, ImageError, MachineEndedError
from .firmware import list_firmware
from .launch import MAX_MEMORY

if TYPE_CHECKING:
    from .machine import Machine

PROGRAM = "cloudboot-qemu"
_MACHINE = 12
_INTERFACES = ("virtio", "nvme", "ahci", "usb")
_GLANCE = 0.1  # seconds between two looks at the console
_FOREVER = 10 * 365 * 86400.0


def program() -> Program:
    """The command lines of this package."""
    made = Program(
        PROGRAM, "cloudboot-qemu", "Run QEMU machines with UEFI firmware.",
        exit_codes={
            CHECK_FAILED: "The text did not appear, or there is no firmware.",
            _MACHINE: "The machine could not be started, or failed.",
        },
        examples={
            "firmware --architecture arm64": "List the firmware for arm64 guests.",
            "run disk.img --expect 'login:' --timeout 60": "Start a disk and exit with 0 when the text appears.",
        },
    )  # fmt: skip
    firmware = made.command(
        "firmware", _firmware, "List the installed firmware; a star marks firmware that a machine can use."
    )
    firmware.add_argument(
        "--architecture", choices=tuple(ARCHITECTURES), help="List only firmware of this architecture."
    )
    run = made.command("run", _run, "Run a disk image and copy its console to stdout.")
    run.add_argument("image", metavar="IMAGE", help="Raw disk image or block device.")
    run.add_argument(
        "--architecture", choices=tuple(ARCHITECTURES), default="amd64", help="Architecture (default: amd64)."
    )
    run.add_argument(
        "--accelerator", choices=("tcg", "kvm", "auto"), default="tcg",
        help="Emulate the processor (tcg), use KVM (kvm), or use KVM where it runs guest code (auto; default: tcg).",
    )  # fmt: skip
    run.add_argument(
        "--memory",
        type=_memory,
        default=1 << 30,
        metavar="MIB|SIZE",
        help="Memory in MiB, or with a unit, such as 2G (default: 1024).",
    )
    run.add_argument(
        "--timeout",
        type=seconds_argument,
        default=_FOREVER,
        metavar="SECONDS",
        help="Time limit from power-on (default: none).",
    )
    run.add_argument(
        "--expect", type=_pattern, metavar="REGEX", help="Exit with 0 when a match appears on the console."
    )
    run.add_argument(
        "--interface", choices=_INTERFACES, default="virtio", help="The disk's interface (default: virtio)."
    )
    run.add_argument("--writable", action="store_true", help="Allow the guest to change the image.")
    return made


def _firmware(options: argparse.Namespace) -> int:
    found = list_firmware(options.architecture)
    if options.json:
        print_json([firmware.as_dict() for firmware in found])
        return OK if found else CHECK_FAILED
    for firmware in found:
        store = firmware.variables or "-"
        mark = "*" if firmware.plain else " "
        print(f"{firmware.architecture:8} {mark} {firmware.executable}  {store}  ({firmware.source})")
    if not found:
        packages = sorted({row.firmware_package for row in ARCHITECTURES.values()})
        notice(PROGRAM, f"no UEFI firmware was found; on Debian: apt install {' '.join(packages)}")
        return CHECK_FAILED
    return OK


def _run(options: argparse.Namespace) -> int:
    from .drives import Drive, open_source
    from .machine import Machine  # 80 ms with its QMP client, which --help and firmware do without

    console = sys.stderr.buffer if options.json else sys.stdout.buffer
    if options.interface == "ahci" and not options.writable:
        raise UsageError("an AHCI disk cannot be read-only", hint="add --writable, or choose another --interface")
    drive = Drive(options.image, interface=options.interface, readonly=not options.writable)
    fd = open_source(drive)
    try:
        problem = container_problem(os.pread(fd, HEAD, 0))
    finally:
        os.close(fd)
    if problem is not None:
        compressed = problem.startswith("is compressed")
        hint = "decompress it first" if compressed else f"qemu-img convert -O raw {options.image} NEW makes a raw one"
        raise ImageError(f"{options.image} {problem}", hint=hint)
    with Machine(
        [drive], architecture=options.architecture, accelerator=options.accelerator, memory=options.memory
    ) as machine:
        for text in machine.notices:
            notice(PROGRAM, text)
        outcome = _follow(machine, options.expect, options.timeout, console)
        if options.json:
            print_json({**outcome, "block_trace": [access.as_dict() for access in machine.block_trace()]})
    return OK if outcome["ok"] else CHECK_FAILED


def _follow(
    machine: Machine, pattern: re.Pattern[bytes] | None, timeout: float, console: BinaryIO
) -> dict[str, object]:
    position = 0
    outcome: dict[str, object] | None = None
    while outcome is None:
        try:
            # Without a pattern: one that never matches, so that only time and the machine's end are left.
            found = machine.expect(pattern or rb"(?!)", min(_GLANCE, max(timeout - machine.elapsed, 0)))
            outcome = {"ok": True, "matched": found.match[0].decode("utf-8", "replace"), "seconds": found.time}
        except ExpectTimeoutError:
            if machine.elapsed >= timeout:
                outcome = {"ok": False, "problem": f"timeout after {timeout:g} s", "seconds": machine.elapsed}
        except MachineEndedError as error:
            outcome = {"ok": pattern is None, "ended": error.reason, "seconds": machine.elapsed}
        position, data = machine.transcript.raw_since(position)
        console.write(data)
        console.flush()
    told = ", ".join(f"{name} {value}" for name, value in outcome.items() if name != "ok")
    print(f"\n{PROGRAM}: {told}", file=sys.stderr)
    return outcome


def _pattern(text: str) -> re.Pattern[bytes]:
    try:
        return re.compile(text.encode())
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a regular expression: {error}") from None


def _memory(text: str) -> int:
    """Mebibytes as a plain number, or a size with a suffix."""
    try:
        count = int(text) << 20 if text.isascii() and text.isdigit() and len(text) < 12 else parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not 1 << 20 <= count <= MAX_MEMORY or count % (1 << 20):
        raise argparse.ArgumentTypeError(f"{text!r} is not a machine's memory: 1 MiB to 1 TiB in whole mebibytes")
    return count
