"""The whole page: the verdict and what was tested, why it failed, then gates, reads, screen and console."""

from __future__ import annotations

import base64
import datetime as dt
import importlib.resources
from typing import TYPE_CHECKING

from cloudboot_base.gates import Verdict

from . import console, failure, gates, markup, reads
from .screenshot import with_palette

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_probes.probe.record import Record

MOST_PICTURE = 400_000  # bytes of a screenshot that is embedded


def report(record: Record) -> str:
    """The report as one HTML page that needs no network and no other file."""
    boot = record.boot
    picture = ""
    if boot.screenshot is not None and len(boot.screenshot) <= MOST_PICTURE:
        picture = f"data:image/png;base64,{base64.b64encode(with_palette(boot.screenshot)).decode()}"
    sections = [
        ("why", "Why it failed", failure.section(record, picture)),
        ("gates", "Gates", gates.section(record)),
        ("reads", "Reads", reads.section(boot)),
        ("screen", "Screen", console.screen(picture, boot)),
        ("console", "Console", console.section(record)),
    ]
    links = "".join(f'<a href="#{name}">{title}</a>' for name, title, text in sections if text)
    verdict = verdict_of(record)
    passed, applied = _counts(record)
    title = f"{verdict[1]}: {passed} of {applied} gates, {record.header.reference}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{markup.text(title)}</title><style>\n{asset('style.css')}</style></head><body>{markup.SYMBOLS}"
        f'<a class="jump" href="#gates">Skip to the gates</a><div class="page">\n{_top(record, verdict)}\n'
        f'<nav class="bar" aria-label="Sections"><span class="s {verdict[0]}">{markup.icon(verdict[0])}'
        f"{passed}/{applied}</span>{links}</nav>\n<main>{''.join(text for _, _, text in sections if text)}</main>\n"
        f"<footer>Written by cloudboot {markup.text(record.header.version)}. "
        "The file needs nothing else: no network, no other file.</footer></div>"
        f"<script>\n{asset('script.js')}</script></body></html>\n"
    )


def asset(name: str) -> str:
    """A file of this package, as text."""
    return importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _counts(record: Record) -> tuple[int, int]:
    applied = [gate for gate in record.gates if gate.verdict is not Verdict.NOT_APPLICABLE]
    return sum(gate.verdict is Verdict.PASS for gate in applied), len(applied)


def verdict_of(record: Record) -> tuple[str, str, str]:
    """``(class, word, sentence)``."""
    passed, applied = _counts(record)
    skipped = len(record.gates) - applied
    took = max([gates.started(record, gate) + gate.seconds for gate in record.gates], default=0.0)
    also = f"; {skipped} not applicable" if skipped else ""
    if record.outcome == "passed":
        return "pass", "Passed", f"{passed} of {applied} gates in {took:.1f} s{also}"
    failed = failure.failed_gate(record)
    if record.outcome == "failed" and failed is not None:
        place = record.gates.index(failed) + 1
        reached = sum(gate.verdict is Verdict.NOT_REACHED for gate in record.gates)
        text = f"at gate {place} of {len(record.gates)}, {failed.name}, after {took:.1f} s; {passed} passed"
        return "fail", "Failed", text + (f", {reached} not reached" if reached else "") + also
    word = "Interrupted" if record.outcome == "interrupted" else "Not finished"
    return "fail", word, f"after {took:.1f} s; {passed} of {applied} gates passed, the others did not run{also}"


def _top(record: Record, verdict: tuple[str, str, str]) -> str:
    header = record.header
    moment = dt.datetime.fromisoformat(header.started_at)
    kind, word, sentence = verdict
    rows = "".join(
        f"<div{' class=wide' if wide else ''}><dt>{label}</dt><dd>{value}</dd></div>"
        for label, value, wide in _facts(record)
    )
    return (
        '<header class="top"><p class="eyebrow"><span>cloudboot probe</span>'
        f'<time datetime="{header.started_at}">{moment:%-d %b %Y, %H:%M} UTC</time>'
        f"<span>version {markup.text(header.version)}</span></p>"
        f'<h1>{markup.text(header.title)} <span class="dim">on {markup.text(header.architecture)}</span></h1>'
        f'<p class="ref"><code>{markup.text(header.reference)}</code></p>'
        f'<div class="verdict {kind}"><b>{markup.icon(kind)}{word}</b><span>{markup.text(sentence)}</span>'
        f"{gates.chips(record)}</div>"
        f'<dl class="facts">{rows}</dl></header>'
    )


def _facts(record: Record) -> Iterator[tuple[str, str, bool]]:
    header = record.header
    if header.image is not None:
        size = f' <span class="dim nw">{markup.size(header.size)} bytes</span>' if header.size is not None else ""
        yield "Image", f"<code>{markup.text(header.image)}</code>{size}", True
    if header.manifest is not None:
        yield "Manifest", f"<code>{markup.text(header.manifest)}</code>", True
    yield "Command", f"<code>{markup.text(header.command)}</code>", True
    known = {name: value for name, value in header.machine.items() if name in _MACHINE and value is not None}
    machine = [
        f"{markup.larger(value)} memory" if name == "memory" and isinstance(value, int) else markup.text(value)
        for name, value in known.items()
    ]
    if machine:
        yield "Machine", ", ".join(machine), False
    described = header.machine.get("firmware_description") or header.machine.get("firmware")
    yield "Firmware", markup.text(f"{header.firmware}: {described}" if described else header.firmware), False
    yield "Host", markup.text(header.host), False
    yield "Outcome", markup.text(_EXITS.get(str(record.outcome), str(record.outcome))), False
    for notice in header.notices:
        yield "Notice", markup.text(notice), True


_MACHINE = {"machine", "accelerator", "memory"}
_EXITS = {
    "passed": "exit code 0: every gate that applies passed",
    "failed": "exit code 1: a gate failed",
    "interrupted": "exit code 130: interrupted",
    "unfinished": "none: the probe has not finished, or was killed",
}
