"""The section "who read what, and when": a row for each owner of bytes, with a bar for each read."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import markup
from .timeline import axis, place, ticks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cloudboot_probes.blockmap import BlockMap, Coverage, Extent, Read
    from cloudboot_probes.probe.boot import Boot

    from .timeline import Span

PHASES = ("firmware", "loader", "kernel")
_BINS = 240  # of the overview
_TALL = 8  # owners with more bars than this get a higher row
_LEAST_WIDTH, _LEAST_HEIGHT = 3.0, 9  # of a bar, in thousandths of the width and hundredths of the height
_MOST_BARS = 400  # of one owner; more are merged by time
_SHARED_FOLDER = 3  # files below one folder that get a line with its name


@dataclass(frozen=True, slots=True)
class Bar:
    """One read of an owner's bytes: when, which hundredths of them, and in which phase (an index of ``PHASES``)."""

    time: float
    top: int
    height: int
    phase: int


@dataclass(slots=True)
class Row:
    """An owner and its reads."""

    owner: str
    file: bool
    size: int
    read: int
    first: float
    bars: list[Bar] = field(default_factory=list)


def phase_of(moment: float, marks: Mapping[str, float]) -> int:
    """Who was running: the firmware (0), the loader it started (1), or the kernel (2)."""
    if moment >= marks.get("kernel", math.inf):
        return 2
    return 1 if moment >= marks.get("loader", math.inf) else 0


def section(boot: Boot) -> str:
    """The section, or nothing where no read is known."""
    if boot.block_map is None or not boot.reads:
        return ""
    coverage = boot.block_map.coverage(boot.reads)
    end = max([read.time for read in boot.reads] + list(boot.marks.values())) + 0.001
    spans = axis([read.time for read in boot.reads], end)
    rows = _rows(boot.block_map, boot.reads, boot.marks, coverage, end)
    groups = _groups(rows)
    quiet = sum(span.end - span.start for span in spans if span.quiet)
    lead = "Every read the machine made of its disk, credited to the file or structure the bytes belong to. "
    lead += "Seconds count from power-on. "
    if quiet:
        lead += (
            f"Reads fill {end - quiet:.1f} s of this {end:.1f} s boot, so the quiet {quiet:.1f} s are cut short: "
            "the grey columns, with their length."
        )
    dropped = (
        f'<p class="lead">The first {boot.reads_dropped:,} reads are no longer known: the trace is bounded.</p>'
        if boot.reads_dropped
        else ""
    )
    return (
        '<section id="reads" aria-labelledby="h-reads"><div class="head"><h2 id="h-reads">Who read what, and when</h2>'
        f'{markup.TOOLS.format("Open all groups")}</div><p class="lead">{lead}</p>{dropped}'
        f"{_views(spans, boot.marks, end)}{_overview(boot.reads, boot.marks, spans, end)}"
        f"{_grid(spans, boot.marks)}{_table(groups, spans, boot.marks, end)}{_legend(spans)}</section>"
    )


def _rows(
    block_map: BlockMap,
    reads: Sequence[Read],
    marks: Mapping[str, float],
    coverage: Mapping[tuple[int, str], Coverage],
    end: float,
) -> dict[tuple[int, str], Row]:
    """A row for each owner that was read from, with its bars."""
    pieces: dict[tuple[int, str], list[tuple[Extent, int]]] = defaultdict(list)
    reached: dict[tuple[int, str], int] = defaultdict(int)
    for extent in block_map.extents:
        key = extent.partition, extent.owner
        if key in coverage:
            pieces[key].append((extent, reached[key]))
            reached[key] += extent.end - extent.start
    before = {extent: base for parts in pieces.values() for extent, base in parts}
    rows = {key: Row(part.owner, part.file, part.size, part.read, part.first) for key, part in coverage.items()}
    for read in reads:
        phase = phase_of(read.time, marks)
        for extent in block_map.overlapping(read.start, read.end):
            row = rows[extent.partition, extent.owner]
            low = before[extent] + max(read.start, extent.start) - extent.start
            high = before[extent] + min(read.end, extent.end) - extent.start
            top = min(100 - _LEAST_HEIGHT, 100 * low // row.size)
            height = max(_LEAST_HEIGHT, -(-100 * (high - low) // row.size))
            row.bars.append(Bar(read.time, top, min(height, 100 - top), phase))
    for row in rows.values():
        row.bars = _merged(row.bars, end)
    return rows


def _merged(bars: list[Bar], end: float) -> list[Bar]:
    """``bars`` without those that share a thousandth of the run and a place; more where there are very many."""
    resolution = end / 1000
    while True:
        kept: dict[tuple[int, int, int], Bar] = {}
        for bar in bars:
            key = int(bar.time / resolution), bar.top, bar.phase
            known = kept.get(key)
            if known is None or known.height < bar.height:
                kept[key] = bar if known is None else Bar(known.time, bar.top, bar.height, bar.phase)
        if len(kept) <= _MOST_BARS:
            return list(kept.values())
        bars, resolution = (
            [Bar(b.time, b.top // 10 * 10, max(10, b.height), b.phase) for b in kept.values()],
            (resolution * 2),
        )


def _groups(rows: Mapping[tuple[int, str], Row]) -> list[tuple[str, list[Row], bool]]:
    """``(title, rows, whether the group starts open)``, in the order of the disk."""
    found: dict[tuple[int, int], list[Row]] = defaultdict(list)
    for (partition, owner), row in rows.items():
        kind = 0 if partition == 0 or row.file else 2 if owner.endswith(("(directory)", "/")) else 1
        found[partition, kind].append(row)
    words = {0: "files", 1: "structures", 2: "directories"}
    groups = []
    for (partition, kind), members in sorted(found.items()):
        title = "Partition table" if partition == 0 else f"Partition {partition}, {words[kind]}"
        ordered = sorted(members, key=lambda row: row.owner) if kind == 0 and partition else members
        groups.append((title, ordered, partition == 0 or kind == 0))
    return groups


def _table(
    groups: Sequence[tuple[str, list[Row], bool]], spans: Sequence[Span], marks: Mapping[str, float], end: float
) -> str:
    time = {
        "wide": round(end / 5000, 5),
        "end": round(end, 4),
        "marks": {name: round(marks[name], 4) for name in ("loader", "kernel") if name in marks},
        "start": [[round(s.start, 4), round(s.end, 4), round(s.width, 5), int(s.quiet)] for s in spans],
    }
    head = (
        '<colgroup><col class="own"><col class="sz"><col class="rd"><col class="ft"><col class="by_"><col></colgroup>'
        '<thead><tr><th scope="col">Whose bytes</th><th scope="col" class="num">Bytes</th>'
        '<th scope="col" class="num">Read</th><th scope="col" class="num">First</th><th scope="col">First by</th>'
        f'<th scope="col" class="wf">{_axis(spans, marks, end)}</th></tr></thead>'
    )
    bodies = "".join(_group(title, rows, spans, marks, opened) for title, rows, opened in groups)
    return f"<table class=\"reads\" data-time='{json.dumps(time)}'>{head}{bodies}</table>"


def _group(title: str, rows: list[Row], spans: Sequence[Span], marks: Mapping[str, float], opened: bool) -> str:
    bars = sorted((bar for row in rows for bar in row.bars), key=lambda bar: bar.time)
    thin = {int(1000 * place(spans, bar.time)): Bar(bar.time, 6, 88, bar.phase) for bar in reversed(bars)}
    whole = Row(title, False, sum(r.size for r in rows), sum(r.read for r in rows), min(r.first for r in rows))
    whole.bars = sorted(thin.values(), key=lambda bar: bar.time)
    button = (
        f'<button aria-expanded="true">{markup.CHEVRON}<span>{markup.text(title)} '
        f'<span class="dim" style="font-weight:400">· {len(rows)}</span></span></button>'
    )
    lines = [f'<tr class="grp"><th scope="rowgroup">{button}</th>{_cells(whole, spans, marks, 0)}</tr>']
    folder = None
    shared = _shared_folders(rows)
    for row in rows:
        own = row.owner.rpartition("/")[0] if row.file else ""
        if own in shared and own != folder:
            lines.append(f'<tr><th scope="rowgroup" colspan="6" class="own dim">{markup.path(own)}/</th></tr>')
        folder = own
        name = row.owner[len(own) + 1 :] if own in shared else row.owner
        place_class = "in" if own in shared else "own"
        tall = ' class="tall"' if len(row.bars) > _TALL else ""
        head = f'<th scope="row" class="{place_class}">{markup.path(name)}</th>'
        lines.append(f"<tr{tall}>{head}{_cells(row, spans, marks, len(row.bars))}</tr>")
    return f"<tbody{'' if opened else ' data-fold'}>{''.join(lines)}</tbody>"


def _shared_folders(rows: Iterable[Row]) -> set[str]:
    counts: dict[str, int] = defaultdict(int)
    for row in rows:
        if row.file:
            counts[row.owner.rpartition("/")[0]] += 1
    return {folder for folder, count in counts.items() if count >= _SHARED_FOLDER and folder}


def _cells(row: Row, spans: Sequence[Span], marks: Mapping[str, float], count: int) -> str:
    share = "all" if row.read == row.size else f"{math.floor(1000 * row.read / row.size) / 10:.1f} %"
    phase = PHASES[phase_of(row.first, marks)]
    data = " ".join(f"{bar.time:.4f},{bar.top},{bar.height},{PHASES[bar.phase][0]}" for bar in row.bars)
    drawn = "".join(
        f'<path class="{name}" d="{_bars(spans, [bar for bar in row.bars if bar.phase == number])}"/>'
        for number, name in enumerate(PHASES)
        if any(bar.phase == number for bar in row.bars)
    )
    reads = f"<title>{count} reads</title>" if count else ""
    return (
        f'<td class="num">{markup.number(row.size)}</td><td class="num rd">{share}</td>'
        f'<td class="num ft">{row.first:.2f} s</td><td><span class="by {phase}">{phase}</span></td>'
        f'<td class="wf"><svg class="row" viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true"'
        f' data-b="{data}">{reads}<use href="#grid"/>{drawn}</svg></td>'
    )


def _bars(spans: Sequence[Span], bars: Iterable[Bar]) -> str:
    return "".join(
        f"M{1000 * place(spans, bar.time):.1f} {bar.top}h{_LEAST_WIDTH:g}v{bar.height}h-{_LEAST_WIDTH:g}z"
        for bar in bars
    )


def _axis(spans: Sequence[Span], marks: Mapping[str, float], end: float) -> str:
    starts = [0.0, marks.get("loader", end), marks.get("kernel", end), end]
    parts = []
    for number, name in enumerate(PHASES):
        left, right = (100 * place(spans, starts[each]) for each in (number, number + 1))
        if right - left > 0.4:
            box = f"left:{left:.2f}%;width:{right - left:.2f}%"
            parts.append(f'<span class="ph {name}" style="{box}" title="{name}">{name}</span>')
    reached = 0.0
    for span in spans:
        if span.quiet:
            box = f"left:{100 * reached:.2f}%;width:{100 * span.width:.2f}%"
            parts.append(f'<span class="qt" style="{box}">{span.end - span.start:.1f} s quiet</span>')
        reached += span.width
    parts += [
        f'<span class="tk" style="left:{100 * at:.2f}%">{label}</span>'
        for at, label in ticks(spans)
        if 0.015 < at < 0.985
    ]
    return f'<div class="axis" aria-label="Seconds from power-on">{"".join(parts)}</div>'


def _grid(spans: Sequence[Span], marks: Mapping[str, float]) -> str:
    """What every row's picture has in common, drawn once and used by each."""
    quiet, reached = "", 0.0
    for span in spans:
        if span.quiet:
            quiet += f"M{1000 * reached:.1f} 0h{1000 * span.width:.1f}v100h-{1000 * span.width:.1f}z"
        reached += span.width
    lines = "".join(f"M{1000 * at:.1f} 0V100" for at, _ in ticks(spans))
    moments = "".join(f"M{1000 * place(spans, marks[n]):.1f} 0V100" for n in ("loader", "kernel") if n in marks)
    return (
        '<svg width="0" height="0" style="position:absolute" aria-hidden="true"><symbol id="grid"'
        f' viewBox="0 0 1000 100" preserveAspectRatio="none"><path class="q" d="{quiet}"/><path class="g" d="{lines}"/>'
        f'<path class="m" d="{moments}"/></symbol></svg>'
    )


def _views(spans: Sequence[Span], marks: Mapping[str, float], end: float) -> str:
    busy = [span for span in spans if not span.quiet]
    buttons = ['<button data-view="busy" aria-pressed="true">Busy times</button>']
    for span in busy if len(spans) > 1 else ():
        names = dict.fromkeys(
            PHASES[phase_of(moment, marks)]
            for moment in (span.start, *(m for m in marks.values() if span.start < m < span.end))
        )
        label = f"{' + '.join(names)} {span.start:.2f}–{span.end:.2f} s"
        buttons.append(f'<button data-view="{span.start:.4f}-{span.end:.4f}" aria-pressed="false">{label}</button>')
    buttons.append(f'<button data-view="0-{end:.4f}" aria-pressed="false">Whole run</button>')
    return (
        f'<div class="head tools" hidden role="group" aria-label="Time shown">{"".join(buttons)}'
        '<span class="small dim now" aria-live="polite">quiet time cut out</span></div>'
    )


def _overview(reads: Sequence[Read], marks: Mapping[str, float], spans: Sequence[Span], end: float) -> str:
    """The whole run at true scale; heights follow the root of how many reads there were."""
    counts: dict[tuple[int, int], int] = defaultdict(int)
    for read in reads:
        counts[min(_BINS - 1, int(read.time / end * _BINS)), phase_of(read.time, marks)] += 1
    most = math.sqrt(max(counts.values()))
    width = 1000 / _BINS
    boxes = []
    for (column, phase), count in sorted(counts.items()):
        height = max(8.0, 88 * math.sqrt(count) / most)
        boxes.append(
            f'<rect class="{PHASES[phase]}" x="{column * width:.1f}" y="{100 - height:.0f}" width="{width:.1f}"'
            f' height="{height:.0f}"/>'
        )
    frames = "".join(
        f'<rect class="win" x="{1000 * s.start / end:.1f}" width="{1000 * (s.end - s.start) / end:.1f}" y="0"'
        ' height="100"/>'
        for s in spans
        if not s.quiet
    )
    lines = "".join(f"M{1000 * marks[n] / end:.1f} 0V100" for n in ("loader", "kernel") if n in marks)
    labels = "".join(
        f'<span class="t" style="left:{100 * moment / end:.2f}%">{moment:g}{" s" if not moment else ""}</span>'
        for moment in _whole_ticks(end)
    )
    last = f"{end:.1f}" if end >= 1 else f"{end:.2g}"
    return (
        '<div class="over" tabindex="0" role="group" aria-label="The whole run. Drag to zoom; with the keyboard: arrow'
        ' keys move, plus and minus zoom, 0 goes back."><svg class="plot" viewBox="0 0 1000 100"'
        f' preserveAspectRatio="none" aria-hidden="true"><g class="wins">{frames}</g><path class="m" d="{lines}"/>'
        f'{"".join(boxes)}</svg>{labels}<span class="t last" style="left:100%">{last} s</span></div>'
    )


def _whole_ticks(end: float) -> list[float]:
    rough = end / 6
    power = 10.0 ** math.floor(math.log10(rough))
    each = next(step * power for step in (1, 2, 5, 10) if step * power >= rough)
    return [round(count * each, 6) for count in range(int(end / each) + 1) if count * each < 0.94 * end]


def _legend(spans: Sequence[Span]) -> str:
    quiet = '<span><i class="sw"></i>quiet time, cut short</span>' if any(span.quiet for span in spans) else ""
    names = "".join(f'<span class="by {name}">{name}</span>' for name in PHASES)
    return (
        f'<p class="legend">{names}{quiet}<span>A bar is one read: its place from top to bottom is the part of the'
        " owner’s bytes that was read.</span></p>"
    )
