"""The section of the gates: verdict, claim and main evidence of each, with everything that was seen inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base.gates import Gate, Verdict

from . import markup

if TYPE_CHECKING:
    from cloudboot_probes.probe.record import Record

#: What an error carries that the section "Why it failed" shows.
SHOWN_APART = {"screen", "try_next", "hint", "needed"}


def chips(record: Record) -> str:
    """A link to each gate, with its verdict."""
    items = "".join(
        f'<li class="{markup.CLASSES[gate.verdict]}"><a href="#gate-{markup.text(gate.name)}">'
        f"{markup.sign(gate.verdict)}"
        f'<span class="vh">{markup.WORDS[gate.verdict]}: </span>{markup.text(gate.name)}</a></li>'
        for gate in record.gates
    )
    return f'<ol class="chips" aria-label="Gates">{items}</ol>'


def section(record: Record) -> str:
    """Every gate, in order."""
    total = max([started(record, gate) + gate.seconds for gate in record.gates], default=0.0) or 1.0
    power_on = _power_on(record)
    clock = "Times count from the start of the command"
    clock += f"; power-on is at +{power_on:.2f} s." if power_on is not None else "."
    caps = (
        '<div class="caps" aria-hidden="true"><span></span><span>Verdict</span><span>Gate</span>'
        '<span>What it shows, and the main evidence</span><span class="num">Starts</span><span class="num">Takes</span>'
        f'<span class="scale"><span>0</span><span>{total:.1f} s</span></span></div>'
    )
    return (
        '<section id="gates" aria-labelledby="h-gates"><div class="head"><h2 id="h-gates">Gates</h2>'
        f'<span class="dim small">{clock}</span>{markup.TOOLS.format("Open all evidence")}</div>{caps}'
        f"{''.join(_gate(record, gate, total) for gate in record.gates)}</section>"
    )


def started(record: Record, gate: Gate) -> float:
    """When a gate began, in seconds after the command did; the sum of those before it where it did not say."""
    if gate.started is not None:
        return gate.started
    seconds = 0.0
    for each in record.gates:
        if each is gate:
            break
        seconds += each.seconds
    return seconds


def _power_on(record: Record) -> float | None:
    """When the machine was switched on, in seconds after the command began, as far as a gate says both times."""
    for gate in record.gates:
        at, since = gate.evidence.get("at"), gate.evidence.get("since_command")
        if isinstance(at, float) and isinstance(since, float):
            return max(0.0, since - at)
    return None


def _gate(record: Record, gate: Gate, total: float) -> str:
    name, claim = markup.text(gate.name), f'<span class="claim">{markup.text(gate.claim)}</span>'
    if gate.verdict in (Verdict.NOT_REACHED, Verdict.NOT_APPLICABLE):
        said = f'<span class="said">{markup.text(gate.reason or "not run")}</span>'
        return (
            f'<div class="gate skip_" id="gate-{name}"><div class="sum"><span></span>{markup.state(gate.verdict)}'
            f'<span class="name">{name}</span><span class="what">{claim}{said}</span><span class="t0"></span>'
            '<span class="t1"></span><span></span></div></div>'
        )
    rows = markup.facts(gate.evidence)
    start = started(record, gate)
    failed = gate.verdict is Verdict.FAIL
    if failed and gate.error is not None:
        rows += markup.facts({name: value for name, value in gate.error.items() if name not in SHOWN_APART})
        rows.append(("more", '<a href="#why">Why it failed, and what to try next</a>'))
    body = f'<div class="body">{markup.table(rows)}{_open_question(gate)}</div>'
    box = f"left:min({100 * start / total:.2f}%,100% - 3px);width:{100 * gate.seconds / total:.2f}%"
    return (
        f'<details class="gate {markup.CLASSES[gate.verdict]}" id="gate-{name}" open{" data-keep" if failed else ""}>'
        f"<summary>{markup.CHEVRON}{markup.state(gate.verdict)}"
        f'<span class="name">{name}</span><span class="what">{claim}<span class="said">{_said(gate)}</span></span>'
        f'<span class="num t0">+{start:.2f} s</span><span class="num t1">{markup.seconds(gate.seconds)}</span>'
        f'<span class="run" aria-hidden="true"><i style="{box}"></i></span></summary>{body}</details>'
    )


def _said(gate: Gate) -> str:
    """The one line that a closed gate shows, and how many facts are inside."""
    if gate.verdict is Verdict.FAIL and gate.error is not None:
        return markup.text(gate.error.get("message", ""))
    count = len(markup.facts(gate.evidence))
    inside = f"{count} fact{'s' if count != 1 else ''}"
    return f"{markup.text(gate.headline)} · {inside}" if gate.headline else inside


def _open_question(gate: Gate) -> str:
    if gate.leaves_open is None:
        return ""
    return f'<p class="open-q"><span>Leaves open</span><span>{markup.text(gate.leaves_open)}</span></p>'
