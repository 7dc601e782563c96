"""``python -m cloudboot_qemu``: list firmware, run an image with its console on stdout.

Exit codes: 0 the text appeared (or, where none was asked for, the guest ended the machine), 1 it did not, 2 wrong
usage, 3 the image cannot be used, 5 a program or the firmware is missing, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import traceback
from typing import TYPE_CHECKING, BinaryIO

from .architectures import ARCHITECTURES
from .drives import INTERFACES, Drive
from .errors import (
    ExpectTimeoutError,
    FirmwareMissingError,
    MachineEndedError,
    ProgramMissingError,
    QemuError,
)
from .firmware import list_firmware
from .machine import Machine

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "python -m cloudboot_qemu"
OK, FAILED, BAD_INPUT, SYSTEM, INTERRUPTED = 0, 1, 3, 5, 130
_GLANCE = 0.1  # seconds between two looks at the console
_FOREVER = 10 * 365 * 86400.0


def firmware_command(options: argparse.Namespace) -> int:
    """List what was found."""
    found = list_firmware(options.arch)
    if options.json:
        print(json.dumps([firmware.as_dict() for firmware in found], indent=2))
        return OK if found else FAILED
    for firmware in found:
        store = firmware.variables or "-"
        mark = "*" if firmware.plain else " "
        print(f"{firmware.architecture:8} {mark} {firmware.executable}  {store}  ({firmware.source})")
    if not found:
        packages = sorted({row.firmware_package for row in ARCHITECTURES.values()})
        print(f"{PROGRAM}: no UEFI firmware found; on Debian: apt install {' '.join(packages)}", file=sys.stderr)
        return FAILED
    return OK


def run_command(options: argparse.Namespace) -> int:
    """Run an image and show its console."""
    console = sys.stderr.buffer if options.json else sys.stdout.buffer
    drive = Drive(options.image, interface=options.interface, readonly=not options.writable)
    with Machine([drive], architecture=options.arch, accelerator=options.accel, memory=options.memory << 20) as machine:
        outcome = _follow(machine, options.expect, options.timeout, console)
        if options.json:
            print(json.dumps({**outcome, "block_trace": [a.as_dict() for a in machine.block_trace()]}, indent=2))
    return OK if outcome["ok"] else FAILED


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
        raise argparse.ArgumentTypeError(f"not a regular expression: {error}") from None


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return int(text)


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print the result as JSON")
    common.add_argument("-v", "--verbose", action="store_true", help="show the traceback of an error")
    parser = argparse.ArgumentParser(prog=PROGRAM, description="QEMU machines with UEFI firmware")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    firmware = commands.add_parser("firmware", parents=[common], help="list the firmware found; * fits a plain machine")
    firmware.add_argument("--arch", choices=ARCHITECTURES)
    firmware.set_defaults(main=firmware_command)
    run = commands.add_parser("run", parents=[common], help="run a disk image, its console on stdout")
    run.add_argument("image", help="a raw disk image")
    run.add_argument("--arch", choices=ARCHITECTURES, default="amd64")
    run.add_argument("--accel", choices=("tcg", "kvm", "auto"), default="tcg")
    run.add_argument("--memory", type=_positive, default=1024, metavar="MIB", help="(default: 1024)")
    run.add_argument("--timeout", type=float, default=_FOREVER, metavar="SECONDS", help="(default: none)")
    run.add_argument("--expect", type=_pattern, metavar="REGEX", help="succeed when this appears on the console")
    run.add_argument("--interface", choices=INTERFACES, default="virtio", help="how the guest sees the disk")
    run.add_argument("--writable", action="store_true", help="let the guest change the image")
    run.set_defaults(main=run_command)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    code = OK
    try:
        code = options.main(options)
        sys.stdout.flush()  # a reader that went away is noticed here, not in the interpreter's last flush
    except BrokenPipeError:
        # The reader of our output went away; stdout at nothing keeps the interpreter's last flush silent.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except ValueError as error:
        if not isinstance(error, QemuError):
            parser.error(str(error))
        return _failed(options, error, BAD_INPUT)
    except QemuError as error:
        missing = isinstance(error, ProgramMissingError | FirmwareMissingError)
        return _failed(options, error, SYSTEM if missing else FAILED)
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted", file=sys.stderr)
        return INTERRUPTED
    return code


def _failed(options: argparse.Namespace, error: QemuError, code: int) -> int:
    if options.verbose:
        traceback.print_exc()
    print(f"{PROGRAM}: error: {error}", file=sys.stderr)
    if error.hint:
        print(f"{PROGRAM}: hint: {error.hint}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
