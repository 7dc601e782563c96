"""``cloudboot fleet plan``: every cell, pinned, and what it needs."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from cloudboot_base.command import OK, counted, printable
from cloudboot_fleet.campaign import CampaignFolder
from cloudboot_fleet.matrix import Pins, load

if TYPE_CHECKING:
    import argparse

    from cloudboot_fleet.matrix import Pinned
    from cloudboot_probes.cli.console import Console


def main(options: argparse.Namespace, console: Console) -> int:
    """Print the plan; with ``--json`` a line for each cell."""
    matrix = load(options.matrix)
    pins = Pins(matrix.folder)
    if options.resume is not None:
        pins.restore(CampaignFolder.existing(options.resume).pins)
    count, seconds = 0, 0.0
    for cell in matrix.cells():
        pinned = pins.pin(cell)
        count += 1
        seconds += cell.limits.timeout
        if console.json:
            needs = {"resources": dict(cell.resources), "priority": cell.priority, "retries": cell.retries}
            console.line({**pinned.as_dict(), **needs})
        else:
            _print(pinned, console)
    if not console.json:
        console.print(f"{counted(count, 'cell')} of {matrix.name}, {seconds:.0f} s at most if run one after another")
    return OK


def _print(pinned: Pinned, console: Console) -> None:
    cell = pinned.cell
    console.print(f"{pinned.key[:12]}  {printable(cell.name)}")
    for name, digest in pinned.digests.items():
        console.print(printable(f"    {name:12} {pinned.inputs[name]}  {digest}"))
    limits = {name: value for name, value in dataclasses.asdict(cell.limits).items() if value is not None}
    needs = {**{name: f"{amount:g}" for name, amount in cell.resources.items()}, "timeout": f"{limits['timeout']:g} s"}
    if cell.limits.memory is not None:
        needs["memory"] = f"{cell.limits.memory >> 20} MiB"
    console.print(printable("    needs        " + ", ".join(f"{name} {value}" for name, value in needs.items())))
