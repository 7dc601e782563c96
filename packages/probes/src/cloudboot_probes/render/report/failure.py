"""The section "Why it failed": what was said, expected and seen, the bytes that were needed, and what to try next."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cloudboot_base.gates import Verdict

from . import markup
from .console import console_class
from .gates import started

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudboot_base.gates import Gate
    from cloudboot_probes.probe.record import Record

#: A sentence of advice that begins with a command shows it as one.
_COMMAND = re.compile(r"(cloudboot .+?|--[a-z][a-z-]*(?: \S+)?): (.*)", re.DOTALL)


def failed_gate(record: Record) -> Gate | None:
    """The gate that failed, if one did."""
    return next((gate for gate in record.gates if gate.verdict is Verdict.FAIL), None)


def section(record: Record, screenshot: str) -> str:
    """The section, or nothing where no gate failed; ``screenshot`` is the picture's data URL."""
    gate = failed_gate(record)
    if gate is None:
        return ""
    error = gate.error or {}
    at = started(record, gate) + gate.seconds
    rows = [(name, f"<div>{markup.text(error[name])}</div>") for name in ("expected",) if name in error]
    if "actual" in error:
        rows.append(("seen", f"<div>{markup.text(error['actual'])}</div>"))
    elif "expected" not in error:
        rows.append(("seen", f"<div>{markup.text(error.get('message', ''))}</div>"))
    rows += [
        (name, f"<div>{markup.text(error[name])}</div>") for name in ("structure", "field", "offset") if name in error
    ]
    if "verdict" in error:
        rows.append(("kind", f"<div>{markup.text(str(error['verdict']).replace('-', ' '))}</div>"))
    passed = sum(each.verdict is Verdict.PASS for each in record.gates)
    applied = sum(each.verdict is not Verdict.NOT_APPLICABLE for each in record.gates)
    rows.append(("proved before", f"<div>{passed} of {applied} gates</div>"))
    left = f"<h3>What was expected, what was seen</h3>{markup.table(rows)}{_needed(error)}"
    right = f"<h3>Try next</h3>{_advice(error)}"
    return (
        f'<section id="why" class="why" aria-labelledby="h-why"><h2 id="h-why">{markup.icon("fail")}'
        f"{markup.text(gate.name)} failed {at:.1f}&nbsp;s after the command began</h2>"
        f'<p class="said_">{markup.text(error.get("message", "no message"))}</p>'
        f'<div class="cols"><div>{left}</div><div>{right}</div></div>'
        f"{_screens(error.get('screen'), screenshot)}</section>"
    )


def _needed(error: Mapping[str, object]) -> str:
    """The files this gate needs, with how much of each was read."""
    needed = error.get("needed")
    if not isinstance(needed, dict) or not needed:
        return ""
    lines = []
    for owner, value in needed.items():
        read, _, whole = str(value).removesuffix(" bytes").partition(" of ")
        done, total = (int(part) if part.isdigit() else 0 for part in (read, whole))
        kind, word = ("pass", "all") if done == total else ("fail", "none" if not done else "in part")
        filled = markup.meter(done / total if total else 1.0)
        lines.append(
            f'<tr><th scope="row">{markup.path(owner)}</th>'
            f'<td class="num">{markup.number(done)} of {markup.number(total)}</td><td class="wide_">{filled}</td>'
            f'<td><span class="s {kind}">{markup.icon(kind)}{word}</span></td></tr>'
        )
    return f'<table class="tb"><caption>Bytes this gate needs</caption><tbody>{"".join(lines)}</tbody></table>'


def _advice(error: Mapping[str, object]) -> str:
    found = error.get("try_next")
    advice: Sequence[object] = found if isinstance(found, list) else []
    if not advice and error.get("hint"):
        advice = [error["hint"]]
    if not advice:
        advice = ["Run the probe again with --console FILE, and read the console from its end upwards."]
    return f'<ol class="next">{"".join(f"<li>{_step(str(each))}</li>" for each in advice)}</ol>'


def _step(advice: str) -> str:
    found = _COMMAND.fullmatch(advice)
    if found is None:
        return markup.text(advice[:1].upper() + advice[1:])
    sentence = found[2][:1].upper() + found[2][1:]
    return f'{markup.text(sentence)}<pre tabindex="0">{markup.text(found[1])}</pre>'


def _screens(screen: object, screenshot: str) -> str:
    lines = screen if isinstance(screen, list) else []
    parts = []
    if lines:
        body = "".join(f"<i{console_class(str(line))}>{markup.text(line)}</i>" for line in lines)
        parts.append(
            '<div><h3>Last screenful of the console</h3><pre class="ln" tabindex="0" role="region"'
            f' aria-label="Last screenful">{body}</pre></div>'
        )
    if screenshot:
        parts.append(
            '<div><h3>The screen at that moment</h3><a href="#screen" class="shot" style="display:block">'
            f'<img style="min-width:0" alt="The screen at the end" src="{screenshot}"></a>'
            '<p class="small dim">Larger under “Screen at the end”.</p></div>'
        )
    return f'<div class="cols" style="margin-top:1rem">{"".join(parts)}</div>' if parts else ""
