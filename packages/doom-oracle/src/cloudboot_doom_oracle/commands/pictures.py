"""``canvas`` and ``input``: what is on screendumps, and what keys change on them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cloudboot_base.command import CHECK_FAILED, OK, print_json, printable
from cloudboot_doom_oracle.gates import DIAGNOSES
from cloudboot_doom_oracle.gates.host import waited_most
from cloudboot_doom_oracle.gates.tolerant import (
    INPUT_SECONDS,
    canvas_statistics,
    compare_inputs,
    load_picture,
    palette_colours,
)
from cloudboot_doom_oracle.wad import Wad, find_wads

from .host import HOST_BUSY, add_host_option, host_facts, print_host, too_busy
from .options import tics

if TYPE_CHECKING:
    import argparse

    from cloudboot_base.program import Program
    from cloudboot_doom_oracle.gates.tolerant import CanvasStatistics

_HEAD: Final = "nonblack  colours  most frequent          palette"
_WAD_HELP: Final = "The IWAD whose palettes are looked for (default: that of an installed package, if there is one)."


def _colours(path: str | None) -> frozenset[int] | None:
    """The colours of ``--wad``, or of the first WAD that is installed, or ``None``."""
    found = [path] if path is not None else find_wads()
    return palette_colours(Wad(found[0])) if found else None


def _row(found: CanvasStatistics) -> str:
    top = "-" if found.top is None else f"{found.top_count:5} {'({:3}, {:3}, {:3})'.format(*found.top)}"
    signature = "-" if found.signature is None else f"{found.signature:.1%}"
    return f"{found.nonblack:8}  {found.colours:7}  {top:21}  {signature:>7}"


def canvas_command(options: argparse.Namespace) -> int:
    """Print the statistics of screendumps."""
    colours = _colours(options.wad)
    rows = [(name, canvas_statistics(load_picture(Path(name)), colours)) for name in options.pictures]
    if options.json:
        print_json([{"picture": name, **dataclasses.asdict(found)} for name, found in rows])
        return OK
    print(_HEAD)
    for name, found in rows:
        print(f"{_row(found)}  {printable(name)}")
    return OK


def input_command(options: argparse.Namespace) -> int:
    """Compare the screendumps of a run without keys and of one with keys."""
    baseline, keypress = Path(options.baseline), Path(options.keypress)
    compared = compare_inputs(baseline, keypress, options.seconds, _colours(options.wad))
    host = waited_most([baseline, keypress])
    busy = too_busy(host, options)
    if busy:  # also of a pass: on a busy host, runs without keys drift apart as if there had been some
        compared = dataclasses.replace(compared, verdict="BUSY", diagnosis=DIAGNOSES["host-busy"])
    if options.json:
        print_json({**dataclasses.asdict(compared), "host": host_facts(host)})
    else:
        print(_HEAD)
        for second, chi2 in compared.chi2.items():
            for side, found in zip(("baseline", "keypress"), compared.statistics[second], strict=True):
                print(f"{_row(found)}  t{second} {side}")
            print(f"t{second:<4} chi2 {chi2:10.1f}  top-5 changed {compared.delta[second]:.2f}")
        print(f"ratio {compared.ratio:.2f}")
        if compared.diagnosis is not None:
            print(compared.diagnosis)
        print_host(host)
        print(f"VERDICT={compared.verdict}")
    return HOST_BUSY if busy else CHECK_FAILED if compared.verdict == "FAIL" else OK


def add_pictures(program: Program) -> None:
    """Add both commands."""
    canvas = program.command("canvas", canvas_command, "Count the colours on the canvas of screendumps.")
    canvas.add_argument("pictures", nargs="+", metavar="FILE", help="A screendump (PPM) of 1280x800 or 320x200.")
    canvas.add_argument("--wad", metavar="FILE", help=_WAD_HELP)
    keys = program.command("input", input_command, "Compare screendumps without and with keys.")
    keys.add_argument("verb", choices=["verify"], help="The only action.")
    keys.add_argument("--baseline", required=True, metavar="FOLDER", help="Screendumps of a run without keys.")
    keys.add_argument("--keypress", required=True, metavar="FOLDER", help="Screendumps of a run with keys.")
    keys.add_argument(
        "--seconds", type=tics, default=list(INPUT_SECONDS), metavar="SECONDS",
        help="Seconds at which screendumps were taken, with commas between them "
        f"(default: {','.join(map(str, INPUT_SECONDS))}).",
    )  # fmt: skip
    keys.add_argument("--wad", metavar="FILE", help=_WAD_HELP)
    add_host_option(keys)
