"""The first tic at which two runs differ, and what is known about it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from .diagnosis import DIAGNOSES, Diagnosis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudboot_doom_oracle.engine.protocol import SoundEvent
    from cloudboot_doom_oracle.oracle import FrameRecord

_AROUND = 5  # tics
_MOST_EVENTS = 40


@dataclasses.dataclass(frozen=True, slots=True)
class Divergence:
    """Frame ``number`` (from 1) is the first that differs; ``expected`` and ``actual`` are ``None`` behind a run's end.

    ``diagnosis`` names the kind of failure and its likely cause.
    """

    number: int
    expected: FrameRecord | None
    actual: FrameRecord | None
    diagnosis: Diagnosis

    @property
    def tic(self) -> int:
        """The tic of the frame."""
        row = self.expected or self.actual
        return 0 if row is None else row.tic

    def as_dict(self) -> dict[str, object]:
        """The divergence, ready for JSON."""
        return {"tic": self.tic, **dataclasses.asdict(self)}


def first_divergence(expected: Sequence[FrameRecord], actual: Sequence[FrameRecord]) -> Divergence | None:
    """The first frame in which two runs differ, or ``None``."""
    for index in range(max(len(expected), len(actual))):
        ours = expected[index] if index < len(expected) else None
        theirs = actual[index] if index < len(actual) else None
        if ours != theirs:
            return Divergence(index + 1, ours, theirs, _diagnose(ours, theirs))
    return None


def _diagnose(expected: FrameRecord | None, actual: FrameRecord | None) -> Diagnosis:
    if expected is None or actual is None:
        return DIAGNOSES["length"]
    if expected.tic != actual.tic:
        return DIAGNOSES["tic-clock"]
    if (expected.prndindex, expected.mrndindex) != (actual.prndindex, actual.mrndindex):
        return DIAGNOSES["prng-drift"]
    return DIAGNOSES["picture"]


def events_around(events: Sequence[SoundEvent], tic: int) -> list[dict[str, object]]:
    """The sound events of some tics before and after ``tic``."""
    near = [dataclasses.asdict(event) for event in events if abs(event.tic - tic) <= _AROUND and event.op != "cache"]
    return near[:_MOST_EVENTS]
