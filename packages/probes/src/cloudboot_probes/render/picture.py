"""The picture of a boot: every read of the disk, when it was and whose bytes it took, as one SVG."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cloudboot_probes.blockmap import BlockMap, Read

WIDTH, LEFT, RIGHT = 960, 230, 20
ROW, TOP, BOTTOM = 22, 34, 30
PHASES = ("firmware", "loader", "kernel")
_COLOURS = {"firmware": "#3b6fb6", "loader": "#d9822b", "kernel": "#3d9a50"}
_TICKS = 10


def phase_of(moment: float, marks: Mapping[str, float]) -> str:
    """Who was running at ``moment`` (seconds since power-on): the firmware, the loader it started, or the kernel."""
    if moment >= marks.get("kernel", math.inf):
        return "kernel"
    return "loader" if moment >= marks.get("loader", math.inf) else "firmware"


def read_picture(
    block_map: BlockMap, reads: Sequence[Read], marks: Mapping[str, float], rows: Iterable[tuple[int, str]]
) -> str:
    """A row for each ``(partition, owner)`` of ``rows``, time from left to right, a bar for each read.

    ``marks`` are the moments things were seen ("loader", "kernel"), in seconds since power-on. A bar's place in its row
    says which part of the owner's bytes was read: the top is the first byte, the bottom the last.
    """
    keys = list(rows)
    index = {key: number for number, key in enumerate(keys)}
    end = max([1.0, *(read.time for read in reads), *marks.values()]) * 1.02
    height = TOP + ROW * len(keys) + BOTTOM
    scale = (WIDTH - LEFT - RIGHT) / end
    size = f'viewBox="0 0 {WIDTH} {height}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" class="reads" aria-label="Reads over time">']
    for (partition, owner), number in index.items():
        y = TOP + ROW * number
        label = owner if len(owner) <= 30 else "…" + owner[-29:]
        parts.append(f'<rect class="row{number % 2}" x="0" y="{y}" width="{WIDTH}" height="{ROW}"/>')
        parts.append(f'<text class="who" x="8" y="{y + 15}">{partition or ""}</text>')
        parts.append(f'<text x="26" y="{y + 15}">{escape(label)}<title>{escape(owner)}</title></text>')
    step = _step(end)
    for tick in range(int(end / step) + 1):
        x = LEFT + tick * step * scale
        parts.append(f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{height - BOTTOM}"/>')
        parts.append(f'<text class="axis" x="{x:.1f}" y="{height - 12}">{tick * step:g} s</text>')
    parts += _bars(block_map, reads, marks, index, scale)
    for name in ("loader", "kernel", "finished"):
        if name in marks:
            x = LEFT + marks[name] * scale
            parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{height - BOTTOM}"/>')
            parts.append(f'<text class="axis" x="{x:.1f}" y="{TOP - 14}">{name}</text>')
    parts.append("</svg>")
    return "".join(parts)


def _bars(
    block_map: BlockMap,
    reads: Sequence[Read],
    marks: Mapping[str, float],
    index: Mapping[tuple[int, str], int],
    scale: float,
) -> Iterable[str]:
    """One bar for each column of the picture, row and phase, so that the page stays small however many reads."""
    places: dict[tuple[int, str], list[tuple[int, int, int]]] = {}
    for extent in block_map.extents:
        key = (extent.partition, extent.owner)
        if key in index:
            before = places.setdefault(key, [])
            done = before[-1][2] + before[-1][1] - before[-1][0] if before else 0
            before.append((extent.start, extent.end, done))
    columns: dict[tuple[int, int, str], tuple[float, float]] = {}
    for read in reads:
        for extent in block_map.overlapping(read.start, read.end):
            key = (extent.partition, extent.owner)
            if key not in index:
                continue
            size = places[key][-1][2] + places[key][-1][1] - places[key][-1][0]
            base = next(done - start for start, _, done in places[key] if start == extent.start)
            low = (max(read.start, extent.start) + base) / size
            high = (min(read.end, extent.end) + base) / size
            column = (int(LEFT + read.time * scale), index[key], phase_of(read.time, marks))
            known = columns.get(column, (1.0, 0.0))
            columns[column] = (min(low, known[0]), max(high, known[1]))
    for (x, row, phase), (low, high) in sorted(columns.items()):
        y = TOP + ROW * row + 2 + low * (ROW - 4)
        height = max(1.5, (high - low) * (ROW - 4))
        yield f'<rect x="{x}" y="{y:.1f}" width="2" height="{height:.1f}" fill="{_COLOURS[phase]}"/>'


def legend() -> str:
    """What the colours mean."""
    return "".join(f'<span class="key"><i style="background:{_COLOURS[phase]}"></i>{phase}</span>' for phase in PHASES)


def _step(end: float) -> float:
    """A round number of seconds that gives about ten ticks."""
    rough = end / _TICKS
    power: float = 10 ** math.floor(math.log10(rough))
    return next(step for step in (power, 2 * power, 5 * power, 10 * power) if step >= rough)
