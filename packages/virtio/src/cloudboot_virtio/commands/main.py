"""``cloudboot-virtio``: replay a recording of a queue without a machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cloudboot_base import in_file
from cloudboot_base.command import CHECK_FAILED, OK, counted, print_json
from cloudboot_base.program import Program
from cloudboot_base.storage import open_file
from cloudboot_virtio.errors import DeviceBrokenError
from cloudboot_virtio.layout.constants import DeviceId, Feature
from cloudboot_virtio.recording import replay

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def replay_command(options: argparse.Namespace) -> int:
    """Replay a recording and say what happened."""
    with in_file(options.recording), open(open_file(options.recording), "rb") as file:
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code."""
    program = Program(
        "cloudboot-virtio",
        "cloudboot-virtio",
        "Replay a recording of a virtio queue without a machine.",
        exit_codes={DeviceBrokenError.exit_code: "The replay did what was recorded: a device that broke the rules."},
    )
    play = program.command("replay", replay_command, "Play a recording against the rings.")
    play.add_argument("recording", metavar="FILE", help="What the recorder wrote.")
    return program.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
