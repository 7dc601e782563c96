"""``guest-harvest``: a guest oracle from a folder of screendumps."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cloudboot_base import UsageError
from cloudboot_base.command import OK, print_json
from cloudboot_doom_oracle.gates import DIAGNOSES
from cloudboot_doom_oracle.gates.host import TIMING, waited_most
from cloudboot_doom_oracle.gates.tolerant import (
    CALIBRATION_MARGIN,
    TOLERANCE_CHI2,
    calibrated_tolerance,
    distances_between,
    guest_oracle_files,
    load_picture,
)
from cloudboot_doom_oracle.oracle import read_oracle
from cloudboot_doom_oracle.oracle.files import MANIFEST
from cloudboot_doom_oracle.oracle.write import write_files

from .host import HOST_BUSY, add_host_option, too_busy
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
    target, folders = Path(options.folder), [Path(name) for name in options.captures]
    for captures in folders:
        _check_target(target, captures)
    if len(folders) > 1 and options.tolerance_chi2 is not None:
        raise UsageError("several --captures measure the threshold, and --tolerance-chi2 states it: give one of them")
    oracle = read_oracle(options.oracle)
    runs = [
        {point.tic: load_picture(captures / point.frame_ppm) for point in oracle.manifest.checkpoints}
        for captures in folders
    ]
    host = waited_most(folders)
    distances: dict[int, float] = {}
    tolerance = TOLERANCE_CHI2 if options.tolerance_chi2 is None else options.tolerance_chi2
    if len(runs) > 1:
        if too_busy(host, options):  # such runs drift apart, and a threshold from them would accept anything
            print(DIAGNOSES["host-busy"], file=sys.stderr)
            return HOST_BUSY
        distances = distances_between(runs)
        tolerance = calibrated_tolerance(distances)
    files = guest_oracle_files(oracle, runs[0], tolerance)
    if host is not None:
        files[TIMING] = host.to_json().encode()
    write_files(files, target, force=options.force)
    manifest = read_oracle(target).manifest
    if options.json:
        measured = {"distances": distances} if distances else {}
        print_json({**dataclasses.asdict(manifest), **measured})
        return OK
    print(f"{target}: {len(manifest.checkpoints)} captures, tolerance_chi2 {manifest.tolerance_chi2}")
    for point in manifest.checkpoints:
        told = f"  chi2 up to {distances[point.tic]:.1f} between {len(runs)} runs" if distances else ""
        print(f"tic {point.tic:6}  {point.frame_hash[:16]}{told}")
    return OK


def add_guest_harvest(program: Program) -> None:
    """Add the command."""
    made = program.command("guest-harvest", guest_harvest_command, "Write a guest oracle from a folder of screendumps.")
    made.add_argument("folder", metavar="FOLDER", help="The folder to write the guest oracle to.")
    made.add_argument("--oracle", required=True, metavar="ORACLE", help="The oracle with the captured checkpoints.")
    made.add_argument(
        "--captures", required=True, action="append", metavar="FOLDER",
        help="Screendumps (PPM) with the names of the oracle's frames. Repeated for further runs of the same guest, it "
        f"measures the threshold: {CALIBRATION_MARGIN:g} times the largest distance between two runs.",
    )  # fmt: skip
    made.add_argument(
        "--tolerance-chi2", type=chi2_argument, metavar="N",
        help=f"Threshold of the histogram gate, stored in the manifest (default: {TOLERANCE_CHI2:.0f}).",
    )  # fmt: skip
    add_host_option(made)
    made.add_argument("--force", action="store_true", help="Replace an existing guest oracle.")
