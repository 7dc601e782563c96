"""Rendering gates, pictures and envelopes into one file that needs nothing else."""

from __future__ import annotations

import base64
import html
import json
from collections import Counter
from typing import TYPE_CHECKING, Final

from cloudboot_base import FormatError, Verdict
from cloudboot_doom_oracle.audio.envelope import envelope
from cloudboot_doom_oracle.gates.calibration import calibrate
from cloudboot_doom_oracle.gates.evidence import evidence_lines

from .png import animated_png, difference, png

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudboot_base import Gate
    from cloudboot_doom_oracle.audio.wav import Wav
    from cloudboot_doom_oracle.gates import Context
    from cloudboot_doom_oracle.gates.calibration import Calibration, ScreenCase

_STYLE: Final = """
body{font:15px/1.45 system-ui,sans-serif;max-width:72em;margin:2em auto;padding:0 1em;color:#222;background:#fff}
table{border-collapse:collapse;width:100%;margin:1em 0}td,th{border-bottom:1px solid #ddd;padding:.3em .6em;
text-align:left;vertical-align:top}pre{margin:0;white-space:pre-wrap;font-size:12px}.pass{color:#17692b}
.fail{color:#b00020;font-weight:bold}img{image-rendering:pixelated;width:320px;max-width:100%;height:auto;aspect-ratio:8/5;background:#000}
pre{overflow-wrap:anywhere}
@media(prefers-color-scheme:dark){body{background:#161616;color:#ddd}td,th{border-color:#444}.pass{color:#6cc982}
.fail{color:#ff7b8a}}svg{background:#8881}polyline{fill:none;stroke:#b3261e;stroke-width:1.5;
vector-effect:non-scaling-stroke}.time{white-space:nowrap}th,td{overflow-wrap:anywhere}
.played{stroke:#1a5fb4;stroke-dasharray:4 3}@media(prefers-color-scheme:dark){polyline{stroke:#ff8a80}
.played{stroke:#8ab4f8}}
@media(max-width:40em){.gates tr{display:grid;grid-template-columns:7em 1fr auto;border-bottom:1px solid #8884}
.gates td,.gates th{border:0}.gates td:nth-child(3){grid-column:1/-1;grid-row:2}.gates tr:first-child{display:none}
body{margin:1em auto;padding:0 .6em}td,th{padding:.3em .2em}}
"""
_LIMITS: Final = (
    (
        "Gate A proves that this engine, WAD, script and seed give the same frames and random indices again. "
        "It does not prove that another engine would: engines agree on the title picture and part in the first demo."
    ),
    (
        "Gate B proves that frames reach a display unchanged through virtio-gpu, driven in lock-step. "
        "It proves nothing about a guest operating system's driver, or about firmware's access to PCI devices."
    ),
    (
        "Gate C-1 proves which sounds the engine asks for. Gate C-2 proves that their samples reach a sound "
        "card's back end. Neither proves how they sound, and music is logged and not played."
    ),
    (
        "The tolerant gates compare histograms of colours and the loudness of seconds: they cannot see where on the "
        "screen something is, which way a sound goes, or anything shorter than a window. The calibration shows it."
    ),
    "The random indices alone are a weak gate: keys that are one tic late change frames and leave them equal.",
    "The input gates prove that keys arrive and change frames. They say nothing about latency.",
)


def _image(picture: bytes, title: str) -> str:
    data = base64.b64encode(picture).decode()
    return f'<img alt="{html.escape(title)}" title="{html.escape(title)}" src="data:image/png;base64,{data}">'


def _pictures(context: Context) -> str:
    rows = []
    for tic, (ours, theirs) in sorted(context.pictures.items()):
        changed = difference(ours, theirs)
        count = int((changed[:, :, 0] > 0).sum())
        cells = [_image(png(ours), f"oracle, tic {tic}"), _image(png(theirs), f"capture, tic {tic}")]
        cells.append(_image(png(changed), f"difference, tic {tic}"))
        if count:
            cells[2] = _image(animated_png([ours, theirs, changed]), f"oracle, capture, difference, tic {tic}")
        checkpoint = next(c for c in context.oracle.manifest.checkpoints if c.tic == tic)
        indices = f"prndindex {checkpoint.prndindex}<br>mrndindex {checkpoint.mrndindex}"
        facts = f"tic {tic}<br>{indices}<br>{count} pixels differ"
        rows.append("<tr><td>" + facts + "</td>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "<tr><th>checkpoint</th><th>oracle</th><th>capture</th><th>difference</th></tr>"
    return f"<h2>Checkpoints</h2><table>{head}{''.join(rows)}</table>"


def _differences(context: Context) -> str:
    """Frames that are not what they must be: an animation of before, after and difference, and the events around."""
    parts = []
    for found in context.differences:
        frames = [found.before, found.after, difference(found.before, found.after)]
        image = _image(animated_png(frames), f"tic {found.tic}: {found.meaning}")
        events = html.escape("\n".join(json.dumps(event) for event in found.events) or "none")
        parts.append(f"<tr><td>tic {found.tic}<br>{html.escape(found.meaning)}, and where they differ</td>")
        parts.append(f"<td>{image}</td><td><pre>{events}</pre></td></tr>")
    head = "<tr><th>tic</th><th>before, after, difference</th><th>sound events around it</th></tr>"
    return f"<h2>First differences</h2><table>{head}{''.join(parts)}</table>" if parts else ""


def _points(sound: Wav) -> str:
    """A polyline of the loudness in dBFS, from -90 to 0, a point for each second."""
    return " ".join(f"{10 * index},{min(90.0, -level):.1f}" for index, level in enumerate(envelope(sound, 1.0)))


def _envelopes(context: Context) -> str:
    """The oracle's loudness, and over it, dashed, that of what was played."""
    expected, played = context.oracle.exact_sound, context.played
    lines = [f'<polyline class="oracle" points="{_points(expected)}"/>']
    told = "Loudness of each second of the oracle's recording, 0 to -90 dBFS."
    if played is not None:
        lines.append(f'<polyline class="played" points="{_points(played)}"/>')
        told += " Dashed: what the sound card's back end recorded."
    width = max(10, 10 * int(expected.seconds))
    return (
        f'<h2>Sound</h2><p>{told}</p><svg viewBox="0 0 {width} 90" width="100%" height="120" '
        f'preserveAspectRatio="none" role="img" aria-label="{told}">{"".join(lines)}</svg>'
    )


def _calibration(measured: Calibration) -> str:
    """What the tolerant gates would accept of this oracle: a picture's row for each change, a column for each tic."""
    changes = list(dict.fromkeys(case.change for case in measured.screens))
    tics = sorted({case.tic for case in measured.screens})
    found = {(case.change, case.tic): case for case in measured.screens}
    rows = []
    for change in changes:
        cells = [_accepted(found.get((change, tic))) for tic in tics]
        rows.append(f"<tr><td>{html.escape(change)}</td>{''.join(cells)}</tr>")
    head = "<tr><th>change</th>" + "".join(f"<th>tic {tic}</th>" for tic in tics) + "</tr>"
    sounds = (
        "".join(
            f"<tr><td>{html.escape(case.change)}</td><td>{_word(accepted=case.accepted)}</td>"
            f"<td>{case.ratio:.3f}</td><td>{case.max_diff_db:.1f} dB</td></tr>"
            for case in measured.sounds
        )
        or "<tr><td colspan=4>The recording is shorter than a window.</td></tr>"
    )
    return (
        "<h2>Calibration of the tolerant gates</h2>"
        "<p>Known changes of this oracle's own data, judged as captures of a free-running guest are. What is accepted "
        "although it changed is what those gates leave open; the exact gates above refuse all of it.</p>"
        f"<h3>Screen: chi-square distance, accepted up to {measured.tolerance_chi2:g}</h3>"
        f"<table>{head}{''.join(rows)}</table>"
        f"<h3>Sound: within {measured.tolerance_db:g} dB in {measured.min_ratio:.0%} of the windows of "
        f"{measured.window_seconds:g} s</h3>"
        "<table><tr><th>change</th><th>verdict</th><th>windows within</th><th>largest difference</th></tr>"
        f"{sounds}</table>"
    )


def _measured(context: Context) -> str:
    """The calibration; of an oracle with a damaged file, what is wrong with it."""
    try:
        return _calibration(calibrate(context.oracle))
    except (FormatError, OSError) as error:
        return f"<h2>Calibration of the tolerant gates</h2><p>{html.escape(str(error))}</p>"


def _accepted(case: ScreenCase | None) -> str:
    return "<td></td>" if case is None else f"<td>{_word(accepted=case.accepted)} {case.chi2:.0f}</td>"


def _word(*, accepted: bool) -> str:
    return "accepted" if accepted else "refused"


def _gate(gate: Gate) -> str:
    told = dict(gate.evidence)
    if gate.error:
        told = {"error": gate.error.get("message"), **told}
    if gate.reason:
        told["reason"] = gate.reason
    style = {Verdict.PASS: "pass", Verdict.FAIL: "fail"}.get(gate.verdict, "")
    return (
        f'<tr><td class="{style}">{gate.verdict}</td><td>{html.escape(gate.name)}</td>'
        f"<td>{html.escape(gate.claim)}<pre>{html.escape(chr(10).join(evidence_lines(told)))}</pre></td>"
        f'<td class="time">{gate.seconds:.2f} s</td></tr>'
    )


def _heading(gates: Sequence[Gate]) -> str:
    """``"12 of 14 gates passed, 2 not applicable"``."""
    counts = Counter(gate.verdict for gate in gates)
    words = {Verdict.FAIL: "failed"}
    rest = [
        f"{count} {words.get(verdict, str(verdict).replace('-', ' '))}"
        for verdict, count in counts.items()
        if verdict != Verdict.PASS
    ]
    return ", ".join([f"{counts[Verdict.PASS]} of {len(gates)} gates passed", *rest])


def render_report(context: Context, gates: Sequence[Gate]) -> str:
    """The report as HTML."""
    manifest = context.oracle.manifest
    try:
        sound = _envelopes(context)
    except (FormatError, OSError) as error:
        sound = f"<h2>Sound</h2><p>{html.escape(str(error))}</p>"
    made = {
        "engine": manifest.gore_version,
        "WAD": f"{manifest.wad}, {manifest.wad_bytes} bytes, sha256 {manifest.wad_hash}",
        "script": f"sha256 {manifest.script_hash}",
        "seed": manifest.seed,
    }
    facts = "".join(f"<tr><th>{name}</th><td>{html.escape(str(value))}</td></tr>" for name, value in made.items())
    head = "<tr><th></th><th>gate</th><th>claim and evidence</th><th></th></tr>"
    limits = "".join(f"<li>{html.escape(text)}</li>" for text in _LIMITS)
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>DOOM oracle</title><style>{_STYLE}</style><h1>DOOM oracle: {_heading(gates)}</h1>"
        f"<table>{facts}</table><table class=gates>{head}{''.join(map(_gate, gates))}"
        f"<tr><td></td><td></td><td>all gates</td><td>{sum(gate.seconds for gate in gates):.2f} s</td></tr></table>"
        f"{_differences(context)}{_pictures(context)}{sound}"
        f"{_measured(context)}"
        f"<h2>What this does not prove</h2><ul>{limits}</ul>\n"
    )
