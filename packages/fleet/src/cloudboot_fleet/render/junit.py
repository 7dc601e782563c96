"""Cells as JUnit XML: a suite for each kind of task, a test case for each cell; written cell by cell."""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

from cloudboot_fleet.tasks.result import Status

if TYPE_CHECKING:
    from pathlib import Path

    from .summary import Summary

# XML 1.0 has no way to write these characters, not even escaped.
_UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(file: IO[str], summary: Summary, _base: Path) -> None:
    """Write the document."""
    matrix, tally, folder, seconds = summary.matrix, summary.tally, summary.folder, summary.seconds
    failed = tally.counts[Status.FAILED]
    missing = tally.total - tally.done
    # A cell that was cancelled is an error: what was cut short must not look like what passed.
    errors = tally.failing - failed + bool(missing)
    file.write('<?xml version="1.0" encoding="utf-8"?>\n<testsuites>\n')
    file.write(
        f'  <testsuite name={_quoted("cloudboot.fleet." + matrix.name)} tests="{tally.done + bool(missing)}"'
        f' failures="{failed}" errors="{errors}" skipped="0" time="{seconds:.3f}">\n'
    )
    for result in folder.results():
        _case(file, matrix.name, result)
    if missing:
        file.write(f'    <testcase classname={_quoted(matrix.name)} name="finished" time="0.000">\n')
        file.write(f'      <error type="not-run" message="{missing} cells did not run"/>\n    </testcase>\n')
    file.write("  </testsuite>\n</testsuites>\n")


def _case(file: IO[str], suite: str, result: dict[str, Any]) -> None:
    status = result["status"]
    name = _quoted(f"cloudboot.fleet.{suite}.{result['kind']}")
    file.write(f'    <testcase classname={name} name={_quoted(result["name"])} time="{result["seconds"] or 0:.3f}"')
    told = [
        f"{each['attempt']}: {each['status']} {each.get('worker')}: {each.get('cause')}" for each in result["history"]
    ]
    if status == Status.PASSED:
        attempts = escape(_UNWRITABLE.sub("\ufffd", "\n".join(told)))
        file.write(f"><system-out>{attempts}</system-out></testcase>\n" if told else "/>\n")
        return
    word = "failure" if status == Status.FAILED else "error"
    cause = str(result.get("cause") or status)
    file.write(f">\n      <{word} type={_quoted(status)} message={_quoted(cause[:1000])}>")
    file.write(escape(_UNWRITABLE.sub("\ufffd", "\n".join([f"key {result['key']}", result["reached"] or "", *told]))))
    file.write(f"</{word}>\n    </testcase>\n")


def _quoted(text: str) -> str:
    return quoteattr(_UNWRITABLE.sub("\ufffd", text))
