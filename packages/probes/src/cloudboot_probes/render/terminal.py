"""Gates on a terminal, each as it finishes: the verdict first, then what was seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cloudboot_base.command import printable
from cloudboot_base.gates import Gate, Verdict

from .text import Style, paragraph

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_probes.probe.record import Record

_WORDS = {Verdict.PASS: "PASS", Verdict.FAIL: "FAIL", Verdict.NOT_REACHED: "----", Verdict.NOT_APPLICABLE: "n/a "}
_STYLES = {
    Verdict.PASS: Style.GOOD,
    Verdict.FAIL: Style.BAD,
    Verdict.NOT_REACHED: Style.DIM,
    Verdict.NOT_APPLICABLE: Style.DIM,
}
_SAID = {"error", "message", "hint", "verdict", "screen", "try_next", "traceback"}
_NAME, _LABEL = 18, 16
_SECONDS = 9


def gate_lines(gate: Gate, width: int | None, *, color: bool) -> Iterator[str]:
    """One gate: a line with verdict, name, seconds and claim, and lines for each piece of evidence.

    Lines that are longer than ``width`` go on below, behind a hanging indent; ``None`` leaves them as they are.
    """
    took = gate.verdict in {Verdict.PASS, Verdict.FAIL}
    seconds = f"{gate.seconds:7.2f} s" if took else " " * _SECONDS
    head = [(_WORDS[gate.verdict], _STYLES[gate.verdict]), (f" {gate.name:<{_NAME}}", Style.PLAIN)]
    head += [(seconds, Style.ACCENT), ("  ", Style.PLAIN)]
    yield from paragraph(head, gate.claim, width, color=color)
    if gate.reason is not None:
        yield from _line("reason", gate.reason, width, Style.DIM, color=color)
    for name, value in flat(gate.evidence):
        yield from _line(name, value, width, Style.DIM, color=color)
    if gate.error is not None:
        yield from _error_lines(gate.error, width, color=color)


def _error_lines(error: Mapping[str, object], width: int | None, *, color: bool) -> Iterator[str]:
    yield from _line("error", str(error["message"]), width, Style.BAD, color=color)
    if "verdict" in error:
        yield from _line("verdict", str(error["verdict"]), width, Style.BAD, color=color)
    for name, value in flat({name: error[name] for name in error if name not in _SAID}):
        yield from _line(f"  {name}", value, width, Style.BAD, color=color)
    for name, label in (("traceback", "traceback"), ("screen", "last screenful")):
        lines = error.get(name)
        for text in lines if isinstance(lines, list) else ():
            for part in str(text).splitlines():
                yield from _line(label, part, width, Style.DIM, color=color)
                label = ""  # noqa: PLW2901 - the label stands at the first line only
    tries = error.get("try_next")
    if isinstance(tries, list) and tries:
        for number, text in enumerate(tries):
            yield from _line("try next" if not number else "", str(text), width, Style.HINT, color=color)
    elif error.get("hint"):
        yield from _line("hint", str(error["hint"]), width, Style.HINT, color=color)


def _line(name: str, value: str, width: int | None, style: Style, *, color: bool) -> Iterator[str]:
    # Names of files and the serial line are whatever the image makes them.
    head = [("     ", Style.PLAIN), (f"{printable(name):<{_LABEL - 1}} ", style)]
    yield from paragraph(head, printable(value), width, color=color)


def summary_line(record: Record, *, color: bool) -> str:
    """The last line: how many gates passed, in how long, and how the run ended."""
    style = Style.GOOD if record.outcome == "passed" else Style.BAD
    return style.wrap(record.summary) if color else record.summary


def flat(evidence: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Evidence as lines of name and text; nested tables are joined with dots, lists give a line for each element."""
    for name, value in evidence.items():
        label = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from flat(value, f"{label}.")
        elif isinstance(value, list | tuple):
            if value and all(isinstance(item, str) and len(item) <= 16 for item in value):
                yield label, ", ".join(value)
                continue
            for item in value:
                if isinstance(item, Mapping):
                    yield label, "  ".join(str(part) for part in item.values())
                else:
                    yield label, str(item)
        elif value is not None:
            yield label, str(value)
