"""The report: one page without scripts or outside files, for people who were not there."""

from __future__ import annotations

import base64
from dataclasses import asdict
from html import escape
from typing import TYPE_CHECKING

from cloudboot_base.gates import Gate, Verdict

from .picture import legend, phase_of, read_picture
from .terminal import flat

if TYPE_CHECKING:
    from cloudboot_probes.probe.firmware import Boot
    from cloudboot_probes.probe.record import Record

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--pass:#2e8b45;--fail:#c9352b}
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin-top:2.2rem}
.verdict{font-weight:600}.pass{color:var(--pass)}.fail{color:var(--fail)}.not-reached,.not-applicable{opacity:.55}
details{border:1px solid var(--line);border-radius:6px;margin:.4rem 0;padding:.5rem .8rem}
summary b{font-weight:700}summary{display:grid;grid-template-columns:4rem 9rem 5rem 1fr;gap:.6rem;cursor:pointer}
summary b{font-variant:small-caps}summary .s{text-align:right;font-variant-numeric:tabular-nums}
table{border-collapse:collapse;margin:.6rem 0 .2rem;width:100%}td,th{padding:.15rem .8rem .15rem 0;text-align:left;
vertical-align:top;border-top:1px solid var(--soft)}td{font:13px/1.5 ui-monospace,monospace;overflow-wrap:anywhere}
th.n,td.n{text-align:right;white-space:nowrap}td:first-child{white-space:nowrap;opacity:.75}
img,svg.reads{max-width:100%;border:1px solid var(--line);border-radius:6px}
svg.reads text{font:11px ui-monospace,monospace;fill:currentColor}svg.reads .axis{text-anchor:middle;opacity:.75}
svg.reads .who{opacity:.5}svg.reads .row0{fill:#8881}svg.reads .row1{fill:none}svg.reads .tick{stroke:#8883}
svg.reads .mark{stroke:currentColor;stroke-dasharray:4 3;opacity:.6}
.key{margin-right:1.2rem}.key i{display:inline-block;width:.8rem;height:.8rem;margin-right:.4rem;border-radius:2px}
pre{font:12px/1.45 ui-monospace,monospace;background:var(--soft);padding:.8rem;border-radius:6px;overflow-x:auto;
max-height:30rem}
"""
_MOST_ROWS = 60


def html(record: Record) -> str:
    """The whole page."""
    gates, boot = record.gates, record.boot
    title = f"{record.header.title}: {record.header.reference}"
    verdict = "pass" if record.outcome == "passed" else "fail"
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="verdict {verdict}">{escape(record.summary)}</p>',
        _header(record),
        *(_gate(gate) for gate in gates),
    ]
    if boot.block_map is not None and boot.reads:
        body += _reads(boot)
    if boot.screenshot is not None:
        picture = base64.b64encode(boot.screenshot).decode()
        body.append(f'<h2>The screen at the end</h2><img alt="Screenshot" src="data:image/png;base64,{picture}">')
    if boot.console:
        lost = f"<p>The first {boot.dropped:,} bytes are left out.</p>" if boot.dropped else ""
        body.append(f"<h2>The serial console</h2>{lost}<pre>{escape(boot.console)}</pre>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


def _header(record: Record) -> str:
    facts = {name: value for name, value in asdict(record.header).items() if value}
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in flat(facts))
    return f"<table>{rows}</table>"


def _gate(gate: Gate) -> str:
    rows = [(name, value) for name, value in flat(gate.evidence)]
    if gate.error is not None:
        rows += list(flat(gate.error))
    rows += [("reason", gate.reason)] if gate.reason is not None else []
    rows += [("leaves open", gate.leaves_open)] if gate.leaves_open is not None else []
    table = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in rows)
    took = gate.verdict in {Verdict.PASS, Verdict.FAIL}
    seconds = f"{gate.seconds:.2f} s" if took else ""
    opened = " open" if gate.verdict is Verdict.FAIL else ""
    return (
        f'<details{opened}><summary><b class="{gate.verdict}">{gate.verdict}</b>'
        f'<span>{escape(gate.name)}</span><span class="s">{seconds}</span><span>{escape(gate.claim)}</span></summary>'
        f"<table>{table}</table></details>"
    )


def _reads(boot: Boot) -> list[str]:
    if boot.block_map is None:
        return []
    coverage = boot.block_map.coverage(boot.reads)
    rows = sorted(coverage, key=lambda key: (key[0], not coverage[key].file, coverage[key].first))[:_MOST_ROWS]
    picture = read_picture(boot.block_map, boot.reads, boot.marks, rows)
    lines = []
    for key in rows:
        part = coverage[key]
        cells = [
            ("", str(key[0] or "")),
            ("", part.owner),
            ("n", f"{part.read:,}"),
            ("n", f"{part.size:,}"),
            ("n", f"{part.read / part.size:.0%}"),
            ("n", f"{part.first:.2f} s"),
            ("", phase_of(part.first, boot.marks)),
        ]
        lines.append(f"<tr>{''.join(f'<td class={side!r}>{escape(text)}</td>' for side, text in cells)}</tr>")
    left_out = len(coverage) - len(rows)
    note = f"<p>{left_out} more are left out.</p>" if left_out > 0 else ""
    heads = "".join(
        f'<th class="{side}">{text}</th>'
        for text, side in (
            ("part.", ""), ("owner", ""), ("read", "n"), ("of bytes", "n"), ("", "n"), ("first", "n"), ("first by", ""),
        )
    )  # fmt: skip
    return [
        "<h2>Who read what, and when</h2>",
        "<p>Every read the machine made of the disk, credited to the file or structure its bytes belong to. ",
        f"Time is from power-on. {legend()}</p>",
        picture,
        f"<table><tr>{heads}</tr>",
        *lines,
        f"</table>{note}",
    ]
