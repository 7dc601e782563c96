"""Several runs of one image side by side: gates, facts, service calls, reads by file, consoles, screens."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from cloudboot_base.gates import Verdict

from . import markup
from .page import MOST_PICTURE, asset, verdict_of
from .screenshot import with_palette

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cloudboot_base.gates import Gate
    from cloudboot_probes.probe.record import Record

#: Facts that differ from run to run, or say the same as another section.
_APART = frozenset({"mib_per_second", "calls", "console", "files", "reads"})
_MOST_LINES = 200


def comparison(records: Sequence[Record]) -> str:
    """The runs as one HTML page that needs no network and no other file; there is at least one."""
    first = records[0].header
    sections = [
        ("gates", "Gates", _gates(records)),
        ("facts", "Facts that differ", _facts(records)),
        ("calls", "Service calls", _calls(records)),
        ("reads", "Reads by file", _reads(records)),
        ("screen", "Screens", _screens(records)),
        ("console", "Consoles", _consoles(records)),
    ]
    shown = [(name, title, text) for name, title, text in sections if text]
    links = "".join(f'<a href="#{name}">{title}</a>' for name, title, _ in shown)
    body = "".join(
        f'<section id="{name}" aria-labelledby="h-{name}"><div class="head"><h2 id="h-{name}">{title}</h2></div>'
        f"{text}</section>"
        for name, title, text in shown
    )
    title = f"{' and '.join(record.header.firmware for record in records)}: {first.reference}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{markup.text(title)}</title><style>\n{asset('style.css')}{asset('comparison.css')}</style></head><body>"
        f'{markup.SYMBOLS}<a class="jump" href="#gates">Skip to the gates</a><div class="page">{_top(records)}'
        f'<nav class="bar" aria-label="Sections">{links}</nav>\n<main>{body}</main>\n'
        f"<footer>Written by cloudboot {markup.text(first.version)}. "
        "The file needs nothing else: no network, no other file.</footer></div></body></html>\n"
    )


def _top(records: Sequence[Record]) -> str:
    first = records[0].header
    verdicts = []
    for record in records:
        kind, word, sentence = verdict_of(record)
        machine = record.header.machine.get("machine", "")
        verdicts.append(
            f'<div class="verdict {kind}"><b>{markup.icon(kind)}{markup.text(record.header.firmware)}: {word}</b>'
            f"<span>{markup.text(sentence)}; {markup.text(machine)}</span></div>"
        )
    return (
        f'<header class="top"><h1>{markup.text(first.title)} <span class="dim">on '
        f"{markup.text(first.architecture)}, {len(records)} firmwares</span></h1>"
        f'<p class="ref"><code>{markup.text(first.reference)}</code></p>{"".join(verdicts)}</header>\n'
    )


def _table(records: Sequence[Record], head: str, rows: Iterable[tuple[str, Sequence[str]]]) -> str:
    """A column for each run; the cells are HTML already."""
    lines = [
        f'<tr><th scope="row">{markup.text(name)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for name, cells in rows
    ]
    if not lines:
        return ""
    columns = "".join(f'<th scope="col">{markup.text(record.header.firmware)}</th>' for record in records)
    return (
        f'<table class="side"><thead><tr><th scope="col">{head}</th>{columns}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table>"
    )


def _by_name(record: Record) -> dict[str, Gate]:
    return {gate.name: gate for gate in record.gates}


def _names(records: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(gate.name for record in records for gate in record.gates))


def _gates(records: Sequence[Record]) -> str:
    gates = [_by_name(record) for record in records]
    return _table(
        records, "Gate", [(name, [_gate(found.get(name)) for found in gates]) for name in _names(records)]
    )  # fmt: skip


def _gate(gate: Gate | None) -> str:
    if gate is None:
        return ""
    if gate.verdict is Verdict.FAIL:
        said = str((gate.error or {}).get("message", ""))
    else:
        said = gate.reason or gate.headline or ""
    return f'{markup.state(gate.verdict)} {markup.seconds(gate.seconds)}<span class="said">{markup.text(said)}</span>'


def _facts(records: Sequence[Record]) -> str:
    """The facts of the same name that are not the same, and how many are."""
    gates, rows, equal = [_by_name(record) for record in records], list[tuple[str, list[str]]](), 0
    for name in _names(records):
        evidence = [dict(found[name].as_dict()["evidence"]) for found in gates if name in found]  # type: ignore[call-overload]  # a mapping
        for fact in dict.fromkeys(fact for each in evidence for fact in each if fact not in _APART):
            values = [json.dumps(each.get(fact), ensure_ascii=False, sort_keys=True) for each in evidence]
            if len(set(values)) == 1:
                equal += 1
            elif len(values) == len(records):
                rows.append((f"{name}: {fact}", [markup.text(value) for value in values]))
    if not rows and not equal:
        return ""
    return f'<p class="lead">{equal} facts are equal.</p>{_table(records, "Fact", rows)}'


def _counts(record: Record, name: str) -> Mapping[str, int]:
    gate = _by_name(record).get("start-image")
    counts = None if gate is None else gate.evidence.get(name)
    return counts if isinstance(counts, dict) else {}


def _calls(records: Sequence[Record]) -> str:
    counts = [_counts(record, "calls") for record in records]
    names = sorted({name for each in counts for name in each})
    return _table(records, "Service", [(name, [_number(each.get(name)) for each in counts]) for name in names])


def _number(value: int | None) -> str:
    return "" if value is None else markup.number(value)


def _reads(records: Sequence[Record]) -> str:
    covered = [
        {} if record.boot.block_map is None else record.boot.block_map.coverage(record.boot.reads) for record in records
    ]
    published = [_counts(record, "files") for record in records]
    rows = []
    for key in sorted({key for each in covered for key in each}):
        parts = [each.get(key) for each in covered]
        cells = ["" if part is None else f"{markup.number(part.read)} of {markup.number(part.size)}" for part in parts]
        rows.append((key[1], cells))
    rows += [
        (f"{name}, through a published file system", [_number(each.get(name)) for each in published])
        for name in sorted({name for each in published for name in each})
    ]
    return _table(records, "Owner of the bytes", rows)


def _columns(records: Sequence[Record], cells: Sequence[str], *, without: str) -> str:
    """A column for each record; ``without`` says what an empty cell means."""
    if not any(cells):
        return ""
    columns = "".join(
        f"<div><h3>{markup.text(record.header.firmware)}</h3>{cell or without}</div>"
        for record, cell in zip(records, cells, strict=True)
    )
    return f'<div class="columns">{columns}</div>'


def _screens(records: Sequence[Record]) -> str:
    cells = []
    for record in records:
        picture = record.boot.screenshot
        if picture is None or len(picture) > MOST_PICTURE:
            cells.append("")
            continue
        data = base64.b64encode(with_palette(picture)).decode()
        name = markup.text(record.header.firmware)
        cells.append(f'<img alt="The screen at the end under {name}" src="data:image/png;base64,{data}">')
    return _columns(records, cells, without="<p>Nothing was drawn, or there is no screen.</p>")


def _consoles(records: Sequence[Record]) -> str:
    cells = []
    for record in records:
        lines = record.boot.console.splitlines()[-_MOST_LINES:]
        cells.append(f"<pre>{'&#10;'.join(map(markup.text, lines))}</pre>" if lines else "")
    return _columns(records, cells, without="<p>Nothing was printed.</p>")
