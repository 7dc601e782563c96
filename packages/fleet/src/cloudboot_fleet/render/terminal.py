"""Lines for a terminal."""

from __future__ import annotations

import time
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
        text += f"\n{'':21}{printable(str(result['cause']))[:400]}"
    return text + attempts


def duration(seconds: float) -> str:
    """``"45 s"``, ``"3 min 5 s"``, ``"2 h 10 min"``, ``"3 d 4 h"``: the two largest units."""
    whole = max(0, round(seconds))
    for size, name, below, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size} {name}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


#: Rows of running cells in the live table.
_MOST_ROWS = 8


def live_table(campaign: Campaign) -> str:
    """The table that is below everything else on a terminal: counts, rate and time left, then what runs."""
    tally = campaign.tally
    share = 100 * tally.done // tally.total if tally.total else 100
    head = [f"{tally.done} of {tally.total} cells ({share} %)", f"{tally.failing} failing"]
    # Short cells are handed out ahead; a worker runs one at a time.
    count = min(len(campaign.flying), campaign.executor.slots)
    head += [f"{count} running", f"{tally.rate:.1f}/s"]
    if tally.left is not None and tally.done < tally.total:
        head.append(f"{duration(tally.left)} left")
    rows = ["   ".join(head)]
    now = time.monotonic()
    running = sorted(campaign.flying.values(), key=lambda each: each.since)[:count]
    for each in running[:_MOST_ROWS]:
        attempt = f", attempt {each.attempt}" if each.attempt > 1 else ""
        rows.append(printable(f"  {duration(now - each.since):>10}  {each.pinned.cell.name}{attempt}"))
    if len(running) > _MOST_ROWS:
        rows.append(f"{'':12}  and {len(running) - _MOST_ROWS} more")
    return "\n".join(rows)
