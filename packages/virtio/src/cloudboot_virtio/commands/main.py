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


def program() -> Program:
    """The command lines of this package."""
    made = Program(
        "cloudboot-virtio",
        "cloudboot-virtio",
        "Replay a recording of a virtio queue without a machine.",
        exit_codes={
            CHECK_FAILED: "The replay differs from the recording.",
            DeviceBrokenError.exit_code: "The replay is equal to the recording; the device violated the specification.",
        },
        examples={"replay queue.jsonl --json": "Replay a recording and print the result as JSON."},
    )
    replay = made.command("replay", replay_command, "Run the rings against a recorded device and compare.")
    replay.add_argument("recording", metavar="FILE", help="A recording, which cloudboot virtio record writes.")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code."""
    return program().run(arguments)


if __name__ == "__main__":
    sys.exit(main())
