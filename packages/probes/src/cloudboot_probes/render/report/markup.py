"""Pieces of HTML that every section of the report uses. What comes from an image or a peer is escaped here."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from cloudboot_base.command import printable
from cloudboot_base.gates import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CLASSES = {Verdict.PASS: "pass", Verdict.FAIL: "fail", Verdict.NOT_REACHED: "skip_", Verdict.NOT_APPLICABLE: "skip_"}
WORDS = {
    Verdict.PASS: "pass",
    Verdict.FAIL: "fail",
    Verdict.NOT_REACHED: "not reached",
    Verdict.NOT_APPLICABLE: "not applicable",
}
SYMBOLS = (
    '<svg width="0" height="0" style="position:absolute" aria-hidden="true">'
    '<symbol id="pass" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7.25" fill="currentColor"/>'
    '<path d="M4.4 8.3 7 10.8l4.7-5.3" fill="none" stroke="var(--bg)" stroke-width="2"/></symbol>'
    '<symbol id="fail" viewBox="0 0 16 16"><path d="M5 .8h6L15.2 5v6L11 15.2H5L.8 11V5z" fill="currentColor"/>'
    '<path d="m5 5 6 6m0-6-6 6" stroke="var(--bg)" stroke-width="2"/></symbol>'
    '<symbol id="skip" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6.75" fill="none" stroke="currentColor"'
    ' stroke-width="1.5" stroke-dasharray="2.6 2"/><path d="M5 8h6" stroke="currentColor" stroke-width="1.75"/>'
    "</symbol>"
    '<symbol id="chev" viewBox="0 0 12 12"><path d="m4 2 4 4-4 4" fill="none" stroke="currentColor"'
    ' stroke-width="1.75"/></symbol></svg>'
)
CHEVRON = '<span class="chev" aria-hidden="true"><svg><use href="#chev"/></svg></span>'
TOOLS = '<div class="tools" hidden><button data-all="open">{}</button><button data-all="close">Close all</button></div>'


def text(value: object) -> str:
    """``value`` for a reader: control characters as escapes, then as HTML."""
    return escape(printable(str(value)))


def path(value: str) -> str:
    """A path that may break after its slashes."""
    return text(value).replace("/", "/<wbr>")


def icon(name: str) -> str:
    """A small sign beside a word; readers of the page's text skip it."""
    return f'<svg class="i" aria-hidden="true"><use href="#{name}"/></svg>'


def sign(verdict: Verdict) -> str:
    """The sign of a verdict; it is told by shape, not only by colour."""
    return icon(CLASSES[verdict].rstrip("_"))


def state(verdict: Verdict) -> str:
    """Sign and word of a verdict."""
    kind = CLASSES[verdict].rstrip("_")
    return f'<span class="s {kind}">{sign(verdict)}{WORDS[verdict]}</span>'


def number(value: int) -> str:
    """An integer with separators."""
    return f"{value:,}"


def size(value: int) -> str:
    """Bytes with separators, and in a larger unit where that helps."""
    shown = larger(value)
    return f'{number(value)} <span class="dim">({shown})</span>' if shown else number(value)


def larger(value: int) -> str:
    """``"29.0 MiB"``, ``"584 KiB"``, or nothing below 10 KiB."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value >= 10 * factor or (unit != "KiB" and value >= factor):
            amount = value / factor
            return f"{amount:.0f} {unit}" if unit == "KiB" or amount >= 1000 else f"{amount:.1f} {unit}"
    return ""


def seconds(value: float) -> str:
    """``"0.05 s"``; what is shorter than a hundredth of a second is ``"<0.01 s"``."""
    if value >= 100:
        return f"{value:.0f} s"
    return f"{value:.2f} s" if value >= 0.01 else "&lt;0.01 s"


def meter(part: float) -> str:
    """A small bar that is filled to ``part`` of its width."""
    return f'<span class="meter" aria-hidden="true"><i style="width:{max(0.0, min(1.0, part)):.0%}"></i></span>'


_READ = re.compile(r"(\d+) of (\d+) bytes")


def coverage(owner: str, value: str) -> str | None:
    """``"512 of 512 bytes"`` of ``owner`` as name, meter and words; ``None`` where ``value`` is another text."""
    found = _READ.fullmatch(value)
    if found is None:
        return None
    read, whole = int(found[1]), int(found[2])
    words = f"all {number(whole)} bytes" if read == whole else f"{number(read)} of {number(whole)} bytes"
    filled = meter(read / whole if whole else 1.0)
    return f'<div class="cov"><span>{path(owner)}</span>{filled}<span>{words}</span></div>'


def table(rows: Iterable[tuple[str, str]]) -> str:
    """A table of labels and values that are HTML already; a label that repeats is said once."""
    parts = []
    before = None
    for label, value in rows:
        shown = text(label)
        head = f'<span class="vh">{shown}</span>' if label == before else f'<span class="pre_">{shown}</span>'
        parts.append(f'<tr><th scope="row">{head}</th><td>{value}</td></tr>')
        before = label
    return f'<table class="kv"><tbody>{"".join(parts)}</tbody></table>'


def facts(evidence: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    """Evidence as rows of a table: nested tables are joined, lists have a line for each element."""
    rows: list[tuple[str, str]] = []
    for name, value in evidence.items():
        label = f"{prefix}{name.replace('_', ' ')}"
        if isinstance(value, dict):
            covered = [coverage(owner, str(part)) for owner, part in value.items()]
            if value and all(part is not None for part in covered):
                rows += [("bytes read", part) for part in covered if part is not None]
            else:
                rows += facts(value, f"{label} › ")
        elif isinstance(value, list | tuple):
            lines = ["  ".join(map(str, item.values())) if isinstance(item, dict) else str(item) for item in value]
            if all(len(line) <= 16 for line in lines):
                lines = [", ".join(lines)]
            rows.append((label, "".join(f"<div>{text(line)}</div>" for line in lines)))
        elif value is not None:
            rows.append((label, f"<div>{fact(name, value)}</div>"))
    return rows


def fact(name: str, value: object) -> str:
    """One value; sizes get separators and a unit."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return size(value) if name in _SIZES or name.endswith(("size", "bytes")) else number(value)
    if name in _MOMENTS and isinstance(value, float):
        return f'{value:.2f} s <span class="dim">{_MOMENTS[name]}</span>'
    return path(value) if isinstance(value, str) and value.startswith("/") else text(value)


_SIZES = {"size", "bytes", "buffer", "memory", "padding"}
_MOMENTS = {"at": "after power-on", "since_command": "after the command began"}
