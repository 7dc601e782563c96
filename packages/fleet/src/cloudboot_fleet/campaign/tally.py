"""Counts of a campaign, its rate, and its failures grouped by cause; the size does not grow with the cells."""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cloudboot_fleet.tasks.result import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Causes that are kept apart; what comes on top is counted as one.
MOST_CAUSES = 200
_EXAMPLES = 20
_NUMBER = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{16,}\b|\d+(?:\.\d+)?")
_PATH = re.compile(r"(?:/[\w.+@-]+){2,}")


@dataclass
class Cause:
    """Failures that say the same, numbers and paths aside. ``first`` is the earliest of them."""

    text: str
    count: int = 0
    first: Mapping[str, Any] = field(default_factory=dict)
    examples: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def shown(self) -> str:
        """What the first of them said; of several that differ in numbers or paths, what they have in common."""
        told = {str(each.get("cause") or each["status"]) for each in self.examples}
        return told.pop()[:300] if len(told) == 1 else self.text


def cause_of(text: str) -> str:
    """The text of a failure without what differs between alike ones: paths, digests, numbers."""
    return _NUMBER.sub("N", _PATH.sub("PATH", text))[:300]


@dataclass
class Tally:
    """What is known of a campaign at a moment. ``total`` counts all of its cells."""

    total: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    reused: int = 0
    retried: int = 0
    seconds: float = 0.0
    started: float = field(default_factory=time.monotonic)
    causes: dict[str, Cause] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """Cells that came to an end."""
        return sum(self.counts.values())

    @property
    def failing(self) -> int:
        """Cells that did not pass."""
        return self.done - self.counts[Status.PASSED]

    @property
    def passed(self) -> bool:
        """Whether every cell of the campaign passed."""
        return self.done == self.total and not self.failing

    def add(self, result: Mapping[str, Any], *, reused: bool = False) -> None:
        """Count a cell's result."""
        self.counts[str(result["status"])] += 1
        self.reused += reused
        self.seconds += float(result.get("seconds") or 0.0)
        if result["status"] != Status.PASSED:
            self._add_cause(result)

    def _add_cause(self, result: Mapping[str, Any]) -> None:
        text = cause_of(str(result.get("cause") or result["status"]))
        if text not in self.causes and len(self.causes) >= MOST_CAUSES:
            text = "other causes"
        cause = self.causes.setdefault(text, Cause(text, first=result))
        cause.count += 1
        if len(cause.examples) < _EXAMPLES:
            cause.examples.append(result)

    def grouped(self) -> list[Cause]:
        """The causes, the most frequent first."""
        return sorted(self.causes.values(), key=lambda cause: (-cause.count, cause.text))

    @property
    def rate(self) -> float:
        """Cells a second, those that were there before left out."""
        return (self.done - self.reused) / max(1e-9, time.monotonic() - self.started)

    @property
    def left(self) -> float | None:
        """Seconds until the end, at the rate until now."""
        return (self.total - self.done) / self.rate if self.rate > 0 and self.total else None

    def as_dict(self) -> dict[str, Any]:
        """The counts, ready for JSON."""
        return {
            "total": self.total,
            "done": self.done,
            "counts": dict(self.counts),
            "reused": self.reused,
            "retried": self.retried,
            "cell_seconds": round(self.seconds, 3),
            "rate": round(self.rate, 3),
        }

    def summary(self, seconds: float) -> str:
        """One line: how many passed, in how long, and what became of the others."""
        text = f"{self.counts[Status.PASSED]} of {self.total} cells passed in {seconds:.1f} s"
        others = {**self.counts}
        others.pop(Status.PASSED, None)
        text += "".join(f", {count} {status}" for status, count in sorted(others.items()))
        missing = self.total - self.done
        text += f", {missing} not run" if missing else ""
        return text + (f"; {self.reused} were there before" if self.reused else "")
