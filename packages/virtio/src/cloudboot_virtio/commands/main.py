"""``cloudboot-virtio``: replay a recording of a queue without a machine.

Exit codes: 0 the replay did what was recorded, 1 it did something else, 2 wrong usage, 3 the file is not a recording,
27 it did what was recorded, and that was a device that broke the rules.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from cloudboot_base.command import CHECK_FAILED, OK, add_common_arguments, counted, print_json, run
from cloudboot_virtio.errors import DeviceBrokenError
from cloudboot_virtio.layout.constants import DeviceId, Feature
from cloudboot_virtio.recording import replay

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "cloudboot-virtio"


def replay_command(options: argparse.Namespace) -> int:
    """Replay a recording and say what happened."""
    with open(options.recording, "rb") as file:
        result = replay(file)
    if options.json:
        print_json(result.as_dict())
    else:
        names = {int(device): device.name.lower() for device in DeviceId}
        ring = "packed" if result.features & Feature.RING_PACKED else "split"
        print(f"device       {names.get(result.device, result.device)}, {ring} rings, features {result.features:#x}")
        print(f"submitted    {counted(result.submitted, 'chain')}, {result.completed} returned")
        print(f"timeouts     {result.timeouts}")
        print(f"resets       {result.resets}")
        for problem in result.broken:
            print(f"broken       {problem}")
        for finding in result.findings:
            print(f"difference   {finding}")
    if result.findings:
        return CHECK_FAILED
    return DeviceBrokenError.exit_code if result.broken else OK


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description="virtio queues, recorded and replayed")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    play = commands.add_parser("replay", help="play a recording against the rings, without a machine")
    play.add_argument("recording", help="a file that the recorder wrote")
    add_common_arguments(play)
    play.set_defaults(main=replay_command)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code."""
    options = build_parser().parse_args(arguments)
    return run(PROGRAM, options.main, options)


if __name__ == "__main__":
    sys.exit(main())
