"""``calibrate`` and ``demos``: what the gates and the engine are worth, by something other than themselves."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from cloudboot_base.command import CHECK_FAILED, OK, print_json
from cloudboot_doom_oracle.engine.timedemo import chocolate_timed_demo, demos_of, timed_demo
from cloudboot_doom_oracle.gates.calibration import MIN_RATIO, TOLERANCE_DB, WINDOW_SECONDS, calibrate
from cloudboot_doom_oracle.oracle import read_oracle

from .options import chi2_argument, open_wad, positive_argument, ratio_argument

if TYPE_CHECKING:
    import argparse

    from cloudboot_base.program import Program


def add_audio_options(parser: argparse.ArgumentParser) -> None:
    """The options of the audio gate."""
    parser.add_argument(
        "--tolerance-db", type=positive_argument, default=TOLERANCE_DB, metavar="DB",
        help=f"Largest difference of the loudness in a window (default: {TOLERANCE_DB}).",
    )  # fmt: skip
    parser.add_argument(
        "--min-ratio", type=ratio_argument, default=MIN_RATIO, metavar="RATIO",
        help=f"Share of the windows that has to be within the tolerance (default: {MIN_RATIO}).",
    )  # fmt: skip
    parser.add_argument(
        "--window-seconds", type=positive_argument, default=WINDOW_SECONDS, metavar="SECONDS",
        help=f"Length of a window (default: {WINDOW_SECONDS}).",
    )  # fmt: skip


def calibrate_command(options: argparse.Namespace) -> int:
    """Print what the tolerant gates accept and refuse of known changes."""
    measured = calibrate(
        read_oracle(options.oracle),
        tolerance_chi2=options.tolerance_chi2,
        tolerance_db=options.tolerance_db,
        min_ratio=options.min_ratio,
        window_seconds=options.window_seconds,
    )
    if options.json:
        print_json(dataclasses.asdict(measured))
        return OK
    print(f"screen, accepted up to chi2 {measured.tolerance_chi2:g}:")
    for screen in measured.screens:
        told = f"chi2 {screen.chi2:10.1f}  tic {screen.tic:6}  {screen.change}"
        print(f"{_verdict(accepted=screen.accepted)}  {told}")
    limits = f"{measured.tolerance_db:g} dB in {measured.min_ratio:.0%} of the windows"
    print(f"sound, accepted within {limits} of {measured.window_seconds:g} s:")
    for sound in measured.sounds:
        told = f"ratio {sound.ratio:.3f}  max_diff {sound.max_diff_db:5.1f} dB  {sound.change}"
        print(f"{_verdict(accepted=sound.accepted)}  {told}")
    if not measured.sounds:
        print("there is no recording, or it is shorter than a window")
    return OK


def _verdict(*, accepted: bool) -> str:
    return "accepted" if accepted else "refused "


def demos_command(options: argparse.Namespace) -> int:
    """Count the tics of the WAD's demos in this package's engine and in chocolate-doom."""
    wad = open_wad(options.wad)
    rows = []
    for demo in demos_of(wad):
        theirs, ours = chocolate_timed_demo(wad, demo), timed_demo(wad, demo)
        equal = ours.gametics == theirs.gametics
        rows.append({"demo": demo, ours.engine: ours.gametics, theirs.engine: theirs.gametics, "equal": equal})
        if not options.json:
            told = ", ".join(f"{one.engine} {one.gametics} tics" for one in (ours, theirs))
            print(f"{demo}  {told}: {'equal' if equal else 'NOT EQUAL'}")
    if options.json:
        print_json(rows)
    elif not rows:
        print("the WAD has no demo")
    return OK if all(row["equal"] for row in rows) else CHECK_FAILED


def add_judging(program: Program) -> None:
    """Add both commands."""
    measuring = program.command(
        "calibrate", calibrate_command, "Show which changes of an oracle the tolerant gates would accept."
    )
    measuring.add_argument("oracle", metavar="ORACLE", help="The folder of an oracle.")
    measuring.add_argument(
        "--tolerance-chi2",
        type=chi2_argument,
        metavar="N",
        help="Threshold of the histogram gate (default: that of the manifest, or 50000).",
    )
    add_audio_options(measuring)
    playing = program.command("demos", demos_command, "Play the WAD's demos in two engines and compare their tics.")
    playing.add_argument("--wad", metavar="FILE", help="An IWAD (default: that of an installed package).")
