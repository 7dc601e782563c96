"""``guest-harvest``: a guest oracle from a folder of screendumps."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cloudboot_base import UsageError
from cloudboot_base.command import OK, print_json
from cloudboot_doom_oracle.gates.host import TIMING, read_host_time
from cloudboot_doom_oracle.gates.tolerant import TOLERANCE_CHI2, guest_oracle_files, load_picture
from cloudboot_doom_oracle.oracle import read_oracle
from cloudboot_doom_oracle.oracle.files import MANIFEST
from cloudboot_doom_oracle.oracle.write import write_files

from .options import chi2_argument

if TYPE_CHECKING:
    import argparse

    from cloudboot_base.program import Program


def _check_target(target: Path, captures: Path) -> None:
    """Raise unless ``target`` can be replaced without the loss of a host oracle or of the captures.

    Raises:
        UsageError: the folder holds the captures, or an oracle that was not harvested from a guest.
        ManifestError: the manifest in the folder is damaged.
    """
    if captures.resolve().is_relative_to(target.resolve()):
        raise UsageError("the captures are in the folder that is to be written", path=os.fspath(target))
    if (target / MANIFEST).exists() and read_oracle(target).manifest.tolerance_chi2 is None:
        raise UsageError("the folder holds an oracle that was not harvested from a guest", path=os.fspath(target))


def guest_harvest_command(options: argparse.Namespace) -> int:
    """Write a guest oracle: the canvas of each screendump, and a manifest with ``tolerance_chi2``."""
    target, captures = Path(options.folder), Path(options.captures)
    _check_target(target, captures)
    oracle = read_oracle(options.oracle)
    pictures = {point.tic: load_picture(captures / point.frame_ppm) for point in oracle.manifest.checkpoints}
    files = guest_oracle_files(oracle, pictures, options.tolerance_chi2)
    measured = read_host_time(captures)
    if measured is not None:
        files[TIMING] = measured.to_json().encode()
    write_files(files, target, force=options.force)
    manifest = read_oracle(target).manifest
    if options.json:
        print_json(dataclasses.asdict(manifest))
        return OK
    print(f"{target}: {len(manifest.checkpoints)} captures, tolerance_chi2 {manifest.tolerance_chi2}")
    for point in manifest.checkpoints:
        print(f"tic {point.tic:6}  {point.frame_hash[:16]}")
    return OK


def add_guest_harvest(program: Program) -> None:
    """Add the command."""
    made = program.command("guest-harvest", guest_harvest_command, "Write a guest oracle from a folder of screendumps.")
    made.add_argument("folder", metavar="FOLDER", help="The folder to write the guest oracle to.")
    made.add_argument("--oracle", required=True, metavar="ORACLE", help="The oracle with the captured checkpoints.")
    made.add_argument(
        "--captures", required=True, metavar="FOLDER", help="Screendumps (PPM) with the names of the oracle's frames."
    )
    made.add_argument(
        "--tolerance-chi2", type=chi2_argument, default=TOLERANCE_CHI2, metavar="N",
        help=f"Threshold of the histogram gate, stored in the manifest (default: {TOLERANCE_CHI2:.0f}).",
    )  # fmt: skip
    made.add_argument("--force", action="store_true", help="Replace an existing guest oracle.")
