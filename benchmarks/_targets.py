"""What a benchmark says of a target, and the exit code that follows: 0 if all were met, 1 if one was missed."""

from __future__ import annotations


class Targets:
    """The targets of one run. Each call judges one, and gives the word for the table."""

    def __init__(self) -> None:
        self.missed = 0

    def met(self, reached: bool) -> str:
        """``"met"`` or ``"missed"``."""
        self.missed += not reached
        return "met" if reached else "missed"

    def at_most(self, value: float, target: float | None) -> str:
        """Whether ``value`` is small enough; nothing is said where there is no target."""
        return "" if target is None else self.met(value <= target)

    def at_least(self, value: float, target: float | None) -> str:
        """Whether ``value`` is large enough; nothing is said where there is no target."""
        return "" if target is None else self.met(value >= target)

    @property
    def exit_code(self) -> int:
        """1 if a target was missed."""
        return 1 if self.missed else 0
