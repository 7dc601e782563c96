"""``cloudboot fleet plan``: every cell, pinned, and what it needs."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from cloudboot_base.command import OK, counted, printable
from cloudboot_fleet.campaign import CampaignFolder
from cloudboot_fleet.matrix import Pins, expanded, load
from cloudboot_fleet.render.terminal import duration

if TYPE_CHECKING:
    import argparse

    from cloudboot_fleet.matrix import Pinned
    from cloudboot_fleet.matrix.blocks import Block
    from cloudboot_probes.cli.console import Console

#: Cells of a block that are printed unless all are asked for.
MOST_PRINTED = 20


def main(options: argparse.Namespace, console: Console) -> int:
    """Print the plan; with ``--json`` a line for each cell."""
    matrix = load(options.matrix)
    pins = Pins(matrix.folder)
    if options.resume is not None:
        pins.restore(CampaignFolder.existing(options.resume).pins)
    matrix = expanded(matrix, pins.glob)
    with console.waiting("pinning"):
        gathered = pins.gather(matrix)
    blocks = {block.number: block for block in matrix.blocks}
    total, seconds, printed = 0, 0.0, 0
    last: int | None = None
    for cell in matrix.cells():
        total += 1
        seconds += cell.limits.timeout
        if console.json:
            needs = {"resources": dict(cell.resources), "priority": cell.priority, "retries": cell.retries}
            console.line({**pins.pin(cell).as_dict(), **needs})
            continue
        if cell.block != last:
            last, printed = cell.block, 0
            _print_block(blocks[cell.block], gathered[cell.block].cells, console)
        printed += 1
        if options.all or printed <= MOST_PRINTED:
            _print(pins.pin(cell), console)
        elif printed == MOST_PRINTED + 1:
            console.print(f"    and {gathered[cell.block].cells - MOST_PRINTED} more; --all prints every cell")
    if not console.json:
        last_line = f"{counted(total, 'cell')} of {matrix.name}, {duration(seconds)} at most if run one after another"
        console.print(last_line)
    return OK


def _print_block(block: Block, cells: int, console: Console) -> None:
    """What the cells of a block have in common."""
    limits = {name: value for name, value in dataclasses.asdict(block.limits).items() if value is not None}
    needs = [f"{name} {amount:g}" for name, amount in block.resources.items()]
    needs += [f"timeout {duration(limits['timeout'])}"]
    if "memory" in limits:
        needs.append(f"memory {limits['memory'] >> 20} MiB")
    if block.priority:
        needs.append(f"priority {block.priority}")
    fixed = {name: values[0] for name, values in block.axes.items() if len(values) == 1}
    console.print(f"[[cells]] {block.number + 1}: {counted(cells, f'{block.kind.name} cell')}")
    if fixed:
        console.print(printable("  each with  " + ", ".join(f"{name}={value}" for name, value in fixed.items())))
    axes = [f"{name} ({len(values)})" for name, values in block.axes.items() if len(values) > 1]
    if axes:
        console.print(printable("  axes       " + " x ".join(axes)))
    console.print(printable("  needs      " + ", ".join(needs)))


def _print(pinned: Pinned, console: Console) -> None:
    cell = pinned.cell
    console.print(printable(f"  {pinned.key[:12]}  {cell.name}"))
    for name, digest in pinned.digests.items():
        console.print(printable(f"      {name:10} {pinned.inputs[name]}  {digest}"))
