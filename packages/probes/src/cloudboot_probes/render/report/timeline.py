"""Where a moment is on a time axis that leaves quiet stretches out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_QUIET_SHARE, _QUIET_SECONDS = 0.05, 0.3  # a gap this long (of the run, or in seconds, whichever is more) is quiet
_MOST_WINDOWS = 4
_PADDING_SHARE, _PADDING_SECONDS = 0.04, 0.01
_PLAIN_SHARE = 0.6  # with more of the run busy than this, the axis is a plain one
_QUIET_WIDTH, _LEAST_WIDTH = 0.07, 0.15
_MOST_TICKS = 8


class Span(NamedTuple):
    """A stretch of time and the share of the axis's width it gets."""

    start: float
    end: float
    width: float
    quiet: bool


def windows(times: Iterable[float], end: float) -> list[tuple[float, float]]:
    """The busy stretches of a run that lasted ``end`` seconds, at most four, in order and apart from one another."""
    moments = sorted(times)
    if not moments:
        return []
    gap = max(_QUIET_SECONDS, _QUIET_SHARE * end)
    found = [[moments[0], moments[0]]]
    for moment in moments[1:]:
        if moment - found[-1][1] > gap:
            found.append([moment, moment])
        found[-1][1] = moment
    while len(found) > _MOST_WINDOWS:
        nearest = min(range(len(found) - 1), key=lambda index: found[index + 1][0] - found[index][1])
        found[nearest : nearest + 2] = [[found[nearest][0], found[nearest + 1][1]]]
    padded: list[tuple[float, float]] = []
    for first, last in found:
        room = max(_PADDING_SECONDS, _PADDING_SHARE * (last - first))
        start = max(first - room, padded[-1][1] if padded else 0.0)
        padded.append((start, min(end, last + room)))
    if end - padded[-1][1] < gap:
        padded[-1] = (padded[-1][0], end)
    return padded


def axis(times: Iterable[float], end: float) -> list[Span]:
    """The spans of an axis from 0 to ``end``; one plain span where most of the run is busy."""
    busy = windows(times, end)
    total = sum(last - first for first, last in busy)
    if not busy or total > _PLAIN_SHARE * end:
        return [Span(0.0, end, 1.0, quiet=False)]
    spans: list[tuple[float, float, bool]] = []
    reached = 0.0
    for first, last in busy:
        if first > reached:
            spans.append((reached, first, True))
        spans.append((first, last, False))
        reached = last
    if reached < end:
        spans.append((reached, end, True))
    room = 1.0 - _QUIET_WIDTH * sum(quiet for _, _, quiet in spans)
    shares = _shares([last - first for first, last, quiet in spans if not quiet], room)
    left = iter(shares)
    return [Span(first, last, _QUIET_WIDTH if quiet else next(left), quiet) for first, last, quiet in spans]


def _shares(durations: Sequence[float], room: float) -> list[float]:
    """``room`` shared in proportion to the durations, each at least fifteen hundredths where there is room for that."""
    least = min(_LEAST_WIDTH, room / len(durations))
    fixed: set[int] = set()
    while True:
        free = room - least * len(fixed)
        total = sum(each for index, each in enumerate(durations) if index not in fixed)
        shares = [
            least if index in fixed else free * each / total if total else free / max(1, len(durations) - len(fixed))
            for index, each in enumerate(durations)
        ]
        short = {index for index, share in enumerate(shares) if share < least - 1e-9}
        if not short:
            return shares
        fixed |= short


def place(spans: Sequence[Span], moment: float) -> float:
    """Where ``moment`` is, from 0 to 1; order is kept, within quiet stretches too."""
    reached = 0.0
    for span in spans:
        if moment <= span.end:
            length = span.end - span.start
            return reached + span.width * (max(0.0, moment - span.start) / length if length else 0.0)
        reached += span.width
    return 1.0


def step(duration: float, width: float) -> float:
    """A round number of seconds (1, 2 or 5 times a power of ten) for at most eight ticks over the full width."""
    rough = duration / max(1.0, _MOST_TICKS * width)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(each * power for each in (1, 2, 5, 10) if each * power >= rough - 1e-12)


def ticks(spans: Sequence[Span]) -> list[tuple[float, str]]:
    """``(place, label)`` of every tick; quiet stretches have none."""
    found = []
    for span in spans:
        if span.quiet or span.end <= span.start:
            continue
        each = step(span.end - span.start, span.width)
        digits = max(0, -math.floor(math.log10(each) + 1e-9))
        first = math.ceil(span.start / each - 1e-9)
        last = math.floor(span.end / each + 1e-9)
        found += [(place(spans, count * each), f"{count * each:.{digits}f}") for count in range(first, last + 1)]
    return found
