"""Lines for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudboot_base.command import printable
from cloudboot_fleet.tasks.result import Status
from cloudboot_probes.render.text import Style

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudboot_fleet.campaign import Campaign


def cell_line(result: Mapping[str, Any], *, color: bool) -> str:
    """A line for a cell that came to its end; one more with the cause of a failure."""
    status = str(result["status"])
    word = f"{status.upper():9}"
    if color:
        word = (Style.GOOD if status == Status.PASSED else Style.BAD).wrap(word)
    took = "before" if result.get("reused") else f"{result.get('seconds') or 0.0:.2f} s"
    attempts = f", attempt {result['attempt']}" if len(result.get("history") or ()) else ""
    text = f"{word} {took:>9}  {printable(result['name'])}"
    text += f"  {printable(result['reached'])}" if result.get("reached") else ""
    if result.get("cause"):
        text += f"\n{'':21}{printable(str(result['cause']))[:400]}{attempts}"
    return text


def status_line(campaign: Campaign) -> str:
    """One line: cells done, failing, running, rate, time left."""
    tally = campaign.tally
    text = f"{tally.done} of {tally.total} cells, {tally.failing} failing, {len(campaign.flying)} running"
    text += f", {tally.rate:.1f}/s"
    return text + (f", {tally.left:.0f} s left" if tally.left is not None else "")
