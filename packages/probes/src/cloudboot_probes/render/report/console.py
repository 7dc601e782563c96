"""The sections of the screen and of the serial console, in parts by who wrote them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from . import markup
from .reads import PHASES, phase_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cloudboot_probes.probe.boot import Boot, ConsoleLine
    from cloudboot_probes.probe.record import Record

_HEAD, _TAIL = 6_000, 22_000  # characters that are kept of a longer console, from its start and before its end
_LINE = 12  # characters of markup that a line costs
_LONGEST = 400  # characters of a line
_ERROR = re.compile(
    r"\berror: |Kernel panic|Exception Type|BdsDxe: (?:failed|No bootable)|: not found|Not Found", re.IGNORECASE
)


def screen(data_url: str, boot: Boot) -> str:
    """The screenshot, or nothing; its alternative text is the console's last lines."""
    if not data_url:
        return ""
    last = " / ".join(line.text.strip() for line in boot.lines[-6:] if line.text.strip())[:300]
    words = f"The screen at the end; the console’s last lines: {last}" if last else "The screen at the end"
    return (
        '<section id="screen" aria-labelledby="h-screen"><div class="head"><h2 id="h-screen">Screen at the end</h2>'
        '</div><figure><div class="shot" tabindex="0" role="region" aria-label="Screenshot">'
        f'<img alt="{markup.text(words)}" src="{data_url}"></div></figure></section>'
    )


def section(record: Record) -> str:
    """The console, numbered through; lines that are evidence of a gate are marked, and so are errors."""
    lines = list(record.boot.lines)
    if not lines:
        return ""
    evidence = _quoted(record)
    head = _fitting(lines, _HEAD)
    tail = min(len(lines) - head, _fitting(lines[::-1], _TAIL))
    left_out = len(lines) - head - tail
    shown = [*lines[:head], *lines[len(lines) - tail :]]
    parts = []
    first = 0
    phases = [phase_of(line.time, record.boot.marks) for line in shown]
    for number, phase in enumerate([*phases[1:], None], start=1):
        if phase == phases[number - 1]:
            continue
        parts.append(_part(shown[first:number], first, phases[number - 1], evidence, (head, left_out)))
        first = number
    notes = [f"{len(lines)} lines, by who was running when they came. Marked lines are evidence of a gate."]
    if left_out:
        notes.append(f"{left_out} lines in the middle are left out; --console FILE keeps all of them.")
    if record.boot.dropped:
        notes.append(f"The first {record.boot.dropped:,} bytes are no longer known.")
    return (
        '<section id="console" aria-labelledby="h-con"><div class="head"><h2 id="h-con">Serial console</h2>'
        f'<span class="dim small">{" ".join(notes)}</span>{markup.TOOLS.format("Open all")}</div>'
        f"{''.join(parts)}</section>"
    )


def _fitting(lines: Sequence[ConsoleLine], room: int) -> int:
    """How many of the first lines fit into ``room`` characters."""
    for number, line in enumerate(lines):
        room -= min(len(line.text), _LONGEST) + _LINE
        if room < 0:
            return number
    return len(lines)


def _part(lines: Sequence[ConsoleLine], first: int, phase: int, evidence: set[str], gap: tuple[int, int]) -> str:
    name = PHASES[phase]
    marked = [_class(line.text, evidence) for line in lines]
    quoted = next(
        (line.text for kind in ("er", "ev") for line, mark in zip(lines, marked, strict=True) if mark == kind),
        next((line.text for line in lines if line.text.strip()), ""),
    )
    body = []
    shown_time = ""
    for number, (line, mark) in enumerate(zip(lines, marked, strict=True), start=first):
        if gap[1] and number == gap[0]:
            body.append(f'<i class="dim">… {gap[1]} lines are left out …</i>')
        kind = f' class="{mark}"' if mark else ""
        # A time at every line would be a fifth of the page.
        moment = f' title="{line.time:.1f} s"' if f"{line.time:.1f}" != shown_time else ""
        shown_time = f"{line.time:.1f}"
        body.append(f"<i{kind}{moment}>{markup.text(line.text[:_LONGEST])}</i>")
    keep = " data-keep" if "er" in marked else ""
    count = f"{len(lines)} line{'s' if len(lines) != 1 else ''}"
    return (
        f'<details class="con" open{keep}><summary>{markup.CHEVRON}'
        f'<span class="by {name}"><b>{name.capitalize()}</b></span><span class="num dim">{count}</span>'
        f'<code class="dim">{markup.text(quoted[:160])}</code></summary>'
        f'<pre class="ln" style="--from:{first}" tabindex="0" role="region" aria-label="Console, {name}">'
        f"{''.join(body)}</pre></details>"
    )


def _class(line: str, evidence: set[str]) -> str:
    if _ERROR.search(line):
        return "er"
    return "ev" if line.strip() and line.strip() in evidence else ""


def console_class(line: str) -> str:
    """The attribute that marks a line of the console that is an error."""
    return ' class="er"' if _ERROR.search(line) else ""


def _quoted(record: Record) -> set[str]:
    """Texts of evidence that are lines of the console."""
    found: set[str] = set()
    for gate in record.gates:
        found |= set(_texts(gate.evidence.values()))
    lines = {line.text.strip() for line in record.boot.lines}
    whole = found & lines
    return whole | {line for line in lines if any(len(text) > 12 and text in line for text in found)}


def _texts(values: Iterable[object]) -> Iterable[str]:
    for value in values:
        if isinstance(value, str):
            yield from (line.strip() for line in value.splitlines())
        elif isinstance(value, dict):
            yield from _texts(value.values())
        elif isinstance(value, list | tuple):
            yield from _texts(value)
