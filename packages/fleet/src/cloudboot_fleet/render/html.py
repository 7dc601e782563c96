"""The matrix as one HTML page: verdict, failures by cause, a table for each block of cells, links to reports of cells.

The journal is read line by line. Up to :data:`MOST_CELLS` every cell has its place in a table; beyond that the page has
counts for each value of each axis, and the cells that did not pass.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import importlib.resources
import os
from collections import Counter
from typing import IO, TYPE_CHECKING, Any

from cloudboot_base.command import counted
from cloudboot_fleet.tasks.result import Status
from cloudboot_probes.render.report import markup

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from cloudboot_fleet.campaign import CampaignFolder, Tally
    from cloudboot_fleet.matrix import Matrix
    from cloudboot_fleet.matrix.blocks import Block

    from .summary import Summary

MOST_CELLS = 4000
_MOST_COLUMNS, _MOST_LISTED = 12, 1000
_NOT_RUN = {Status.CANCELLED, Status.NOT_RUN}
_STYLE = """
.cell{min-width:8.5rem}.cell .said{margin-top:0}.mx td{vertical-align:top}.mx tbody th{vertical-align:top}
#matrix h3{margin-top:1.75rem}.grp_ ul{padding-left:1.25rem;margin:.25rem 0}
.grp_{margin-top:1rem}.grp_ summary{cursor:pointer;padding:.35rem 0}.grp_ summary b{margin-right:.5rem}
"""


def write_report(file: IO[str], summary: Summary, base: Path) -> None:
    """Write the page; ``base`` is the folder it is written to, which links start from."""
    matrix, tally, folder, seconds = summary.matrix, summary.tally, summary.folder, summary.seconds
    links = _Links(folder.cells, base)
    kind = "pass" if tally.passed else "fail"
    whole = tally.done == tally.total and not any(tally.counts[status] for status in _NOT_RUN)
    word = "Passed" if tally.passed else "Failed" if whole else "Not finished"
    style = (
        importlib.resources.files("cloudboot_probes.render.report").joinpath("style.css").read_text(encoding="utf-8")
    )
    title = f"{word}: {tally.counts[Status.PASSED]} of {tally.total} cells, {matrix.name}"
    version = importlib.metadata.version("cloudboot-fleet")
    moment = dt.datetime.now(dt.UTC)
    file.write(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{markup.text(title)}</title>'
        f"<style>\n{style}{_STYLE}</style></head><body>{markup.SYMBOLS}"
        '<a class="jump" href="#matrix">Skip to the matrix</a><div class="page">\n'
        '<header class="top"><p class="eyebrow"><span>cloudboot fleet</span>'
        f'<time datetime="{moment.isoformat(timespec="seconds")}">{moment:%-d %b %Y, %H:%M} UTC</time>'
        f"<span>version {markup.text(version)}</span></p><h1>{markup.text(matrix.name)}</h1>"
        f'<div class="verdict {kind}"><b>{markup.icon(kind)}{word}</b>'
        f"<span>{markup.text(tally.summary(seconds))}</span></div></header>\n<main>"
    )
    _write_causes(file, tally, links)
    file.write('<section id="matrix" aria-labelledby="h-matrix"><div class="head"><h2 id="h-matrix">Matrix</h2></div>')
    if tally.total <= MOST_CELLS:
        _write_tables(file, matrix, list(folder.results()), links)
    else:
        _write_counts(file, folder, links)
    file.write("</section></main>\n<footer>The links lead to files beside this one.</footer></div></body></html>\n")


class _Links:
    """Where the report of a cell is, seen from the page."""

    def __init__(self, cells: Path, base: Path) -> None:
        self._cells, self._base = cells, base

    def of(self, result: Mapping[str, Any]) -> str | None:
        key = result["key"]
        folder = self._cells / key[:2] / key
        for name in ("report.html", "result.json"):
            if (folder / name).is_file():
                return os.path.relpath(folder / name, self._base)
        return None

    def wrapped(self, result: Mapping[str, Any], text: str) -> str:
        link = self.of(result)
        return f'<a href="{markup.text(link)}">{text}</a>' if link else text


def _sign(status: str) -> str:
    """Sign and word of a status."""
    kind = "pass" if status == Status.PASSED else "skip" if status in _NOT_RUN else "fail"
    return f'<span class="s {kind}">{markup.icon(kind)}{markup.text(status)}</span>'


def _write_causes(file: IO[str], tally: Tally, links: _Links) -> None:
    """What failed first, and what failed alike."""
    causes = tally.grouped()
    if not causes:
        return
    first = min(
        (cause.first for cause in causes if cause.first.get("started_at")),
        key=lambda each: each["started_at"],
        default=None,
    )
    file.write('<section id="why" class="why" aria-labelledby="h-why"><h2 id="h-why">Why cells failed</h2>')
    if first is not None:
        name = links.wrapped(first, markup.text(first["name"]))
        file.write(f'<p>First: {name}</p><p class="said_">{markup.text(first.get("cause") or first["status"])}</p>')
    for cause in causes:
        rows = "".join(
            f"<li>{links.wrapped(each, markup.text(each['name']))} {_sign(each['status'])}{_history(each)}</li>"
            for each in cause.examples
        )
        more = f"<li>and {cause.count - len(cause.examples)} more</li>" if cause.count > len(cause.examples) else ""
        file.write(
            f'<details class="grp_" open><summary><b>{counted(cause.count, "cell")}</b>'
            f"<code>{markup.text(cause.shown)}</code></summary><ul>{rows}{more}</ul></details>"
        )
    file.write("</section>")


def _history(result: Mapping[str, Any]) -> str:
    """The attempts before the last."""
    told = "; ".join(
        f"attempt {each['attempt']}: {each['status']}, {each.get('cause')}" for each in result.get("history") or ()
    )
    return f'<span class="said">{markup.text(told)}</span>' if told else ""


def _write_tables(file: IO[str], matrix: Matrix, results: Iterable[dict[str, Any]], links: _Links) -> None:
    by_block: dict[int, list[dict[str, Any]]] = {}
    for result in results:
        by_block.setdefault(result["block"], []).append(result)
    for block in matrix.blocks:
        found = sorted(by_block.get(block.number, ()), key=lambda each: each["index"])
        passed = sum(each["status"] == Status.PASSED for each in found)
        file.write(
            f"<h3>{markup.text(block.kind.name)}</h3>"
            f'<p class="lead">{markup.text(block.kind.purpose)} {passed} of {len(found)} passed.</p>'
        )
        _write_table(file, block, found, links)


def _column_axis(block: Block, results: list[dict[str, Any]]) -> str | None:
    """The axis that makes columns: the last one with few values."""
    for name in reversed(block.varying):
        if 1 < len({str(each["axes"].get(name)) for each in results}) <= _MOST_COLUMNS and len(block.varying) > 1:
            return name
    return None


def _write_table(file: IO[str], block: Block, results: list[dict[str, Any]], links: _Links) -> None:
    column = _column_axis(block, results)
    heads = list(dict.fromkeys(str(each["axes"].get(column)) for each in results)) if column else [""]
    names = [name for name in block.varying if name != column]
    rows: dict[tuple[str, ...], dict[str, list[dict[str, Any]]]] = {}
    for each in results:
        row = tuple(str(each["axes"].get(name, "")) for name in names)
        place = str(each["axes"].get(column)) if column else ""
        rows.setdefault(row, {}).setdefault(place, []).append(each)
    file.write('<div class="scroll" tabindex="0"><table class="tb mx"><thead><tr>')
    file.write("".join(f'<th scope="col">{markup.text(name)}</th>' for name in names or ["cell"]))
    file.write(
        "".join(f'<th scope="col">{markup.text(f"{column} {head}" if column else "result")}</th>' for head in heads)
    )
    file.write("</tr></thead><tbody>\n")
    for row, cells in rows.items():
        file.write("<tr>" + "".join(f'<th scope="row">{markup.text(value)}</th>' for value in row or [block.kind.name]))
        for head in heads:
            inside = "".join(_cell(each, links) for each in cells.get(head, ()))
            file.write(f'<td class="cell">{inside or "<span class=dim>excluded</span>"}</td>')
        file.write("</tr>\n")
    file.write("</tbody></table></div>\n")


def _cell(result: Mapping[str, Any], links: _Links) -> str:
    """Status, how far it came or why it did not run, and how long it took."""
    status = result["status"]
    said = result.get("reached") or (result.get("cause") if status != Status.PASSED else "") or ""
    took = "was there before" if result.get("reused") else f"{result.get('seconds') or 0.0:.2f} s"
    attempts = f", attempt {len(result['history']) + 1}" if result.get("history") and status == Status.PASSED else ""
    return (
        f"<div>{links.wrapped(result, _sign(status))}"
        f'<span class="said">{markup.text(str(said)[:160])}</span><span class="small dim">{took}{attempts}</span></div>'
    )


def _write_counts(file: IO[str], folder: CampaignFolder, links: _Links) -> None:
    """Counts for each value of each axis, then the cells that did not pass."""
    counts: dict[tuple[str, str, str], Counter[str]] = {}
    for result in folder.results():
        for name, value in result["axes"].items():
            place = (result["kind"], name, str(value))
            if place in counts or len(counts) < _MOST_LISTED:
                counts.setdefault(place, Counter())[result["status"]] += 1
    file.write('<p class="lead">Too many cells for a table: counts for each value of each axis.</p>')
    file.write(
        '<table class="tb"><thead><tr><th>kind</th><th>axis</th><th>value</th><th>cells</th></tr></thead><tbody>'
    )
    for (kind, name, value), found in sorted(counts.items()):
        told = ", ".join(f"{count} {status}" for status, count in sorted(found.items()))
        file.write(
            f"<tr><th>{kind}</th><td>{markup.text(name)}</td><td>{markup.text(value)}</td><td>{told}</td></tr>\n"
        )
    file.write("</tbody></table><h3>Cells that did not pass</h3><ul>")
    file.writelines(_bad(folder, links))
    file.write("</ul>")


def _bad(folder: CampaignFolder, links: _Links) -> Iterator[str]:
    listed = 0
    for result in folder.results():
        if result["status"] != Status.PASSED:
            listed += 1
            if listed > _MOST_LISTED:
                yield f"<li>more than {_MOST_LISTED}; the journal has all of them</li>"
                return
            yield f"<li>{links.wrapped(result, markup.text(result['name']))} {_sign(result['status'])}</li>\n"
