"""What the engine needs of a place where cells run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudboot_fleet.matrix import Pinned


@dataclass(frozen=True, slots=True)
class Finished:
    """A cell that came back with a result, in its short form."""

    key: str
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Lost:
    """A cell that came back without one: its worker died, or with ``counts`` false the scheduler went away."""

    key: str
    worker: str | None
    reason: str
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Handed:
    """A cell to be started, rather not on the workers of ``avoid``; ``attempt`` counts from 1."""

    pinned: Pinned
    attempt: int
    avoid: tuple[str, ...] = ()


class Executor(Protocol):
    """Where cells run."""

    @property
    def slots(self) -> int:
        """How many cells run at a time; 0 while there is no worker."""

    @property
    def place(self) -> str:
        """The scheduler's address, for people."""

    @property
    def dashboard(self) -> str | None:
        """Where the scheduler's own page is."""

    def submit(self, handed: Sequence[Handed]) -> None:
        """Start cells."""

    def wait(self, seconds: float) -> list[Finished | Lost]:
        """What came back, waiting so long for the first."""

    def cancel(self, keys: Sequence[str]) -> None:
        """End cells; nothing comes back of them."""
