"""``cloudboot fleet status`` and ``cancel``: a campaign looked at, and ended, from another process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base.command import CHECK_FAILED, OK, printable
from cloudboot_fleet.campaign import CampaignFolder, Choice
from cloudboot_fleet.errors import CampaignError
from cloudboot_fleet.tasks.result import Status

if TYPE_CHECKING:
    import argparse

    from cloudboot_probes.cli.console import Console


def status(options: argparse.Namespace, console: Console) -> int:
    """Show how far a campaign is."""
    folder = CampaignFolder.existing(options.folder)
    state = folder.state()
    if state is None:
        raise CampaignError("the campaign has not begun", path=str(folder.path))
    if state["state"] == "running" and not folder.running:
        state["state"] = "killed"
    counts = state["counts"]
    failing = state["done"] - counts.get(Status.PASSED, 0)
    if console.json:
        console.result(state)
    else:
        told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
        console.print(f"{state['state']}: {state['done']} of {state['total']} cells" + (f": {told}" if told else ""))
        console.print(f"scheduler {state['scheduler']}, {state['slots']} at a time, {state['rate']:.2f} cells/s")
        if state.get("dashboard"):
            console.print(f"dashboard {state['dashboard']}")
        if state["state"] == "running":
            for cell in state["running"]:
                console.print(printable(f"  {cell['seconds']:8.1f} s  {cell['name']}, attempt {cell['attempt']}"))
    cut = state["state"] != "running" and state["done"] < state["total"]
    return CHECK_FAILED if failing or cut else OK


def cancel(options: argparse.Namespace, console: Console) -> int:
    """Have the process that runs a campaign end it."""
    folder = CampaignFolder.existing(options.folder)
    if not folder.running:
        raise CampaignError("no process runs the campaign", path=str(folder.path))
    choice = Choice.FINISH if options.finish else Choice.STOP
    folder.ask_cancel(str(choice))
    if console.json:
        console.result({"folder": str(folder.path), "asked": str(choice)})
    else:
        told = "running cells come to their end" if options.finish else "running cells are ended"
        console.print(printable(f"{folder.path}: {told}, and no others start"))
    return OK
