"""``cloudboot image boot-entries``: which boot entry starts from a disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base.command import CHECK_FAILED, OK, printable
from cloudboot_probes.boot_entries import examine
from cloudboot_probes.describe import opened

from .registry import reach
from .variables import stored_variables

if TYPE_CHECKING:
    import argparse

    from .console import Console


def main(options: argparse.Namespace, console: Console) -> int:
    """Print a verdict on every entry."""
    variables = stored_variables(options.variables, console)
    with (
        console.progress("fetching") as progress,
        opened(options.image, *reach(options), progress=progress) as disk,
    ):
        verdicts = examine(disk, variables, options.architecture)
    chosen = next((verdict for verdict in verdicts if verdict.boots), None)
    if console.json:
        console.result(
            {
                "boots": chosen.name if chosen else None,
                "entries": [verdict.as_dict() for verdict in verdicts],
            }
        )
        return OK if chosen else CHECK_FAILED
    for verdict in verdicts:
        order = "-" if verdict.order is None else str(verdict.order)
        title = f"{verdict.name} {verdict.description}".strip()
        console.print(printable(f"{order:>3} {title}: {'boots ' if verdict.boots else ''}{verdict.reason}"))
    console.print(printable(f"starts: {chosen.name}") if chosen else "no entry starts from this disk")
    return OK if chosen else CHECK_FAILED
