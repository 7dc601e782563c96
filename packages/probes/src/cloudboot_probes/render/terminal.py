"""Gates on a terminal, each as it finishes: the verdict first, then what was seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.text import Text

from cloudboot_base.command import printable
from cloudboot_base.gates import Gate, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

_STYLES = {Verdict.PASS: "bold green", Verdict.FAIL: "bold red", Verdict.NOT_REACHED: "dim"}
_SAID = {"error", "message", "hint"}
_WORDS = {Verdict.PASS: "PASS", Verdict.FAIL: "FAIL", Verdict.NOT_REACHED: "----"}


def print_gate(console: Console, gate: Gate) -> None:
    """One gate: a line with verdict, name, seconds and claim, and a line for each piece of evidence."""
    style = _STYLES[gate.verdict]
    seconds = f"{gate.seconds:7.2f} s" if gate.verdict is not Verdict.NOT_REACHED else " " * 9
    console.print(
        Text.assemble(
            (_WORDS[gate.verdict], style), f" {gate.name:<15}", (seconds, "cyan"), "  ", (gate.claim, "italic")
        ),
        soft_wrap=True,
    )
    for name, value in flat(gate.evidence):
        _print_line(console, name, value, "dim")
    if gate.error is not None:
        _print_line(console, "error", str(gate.error["message"]), "red")
        for name, value in flat({name: gate.error[name] for name in gate.error if name not in _SAID}):
            _print_line(console, f"  {name}", value, "red")
        if gate.error.get("hint"):
            _print_line(console, "hint", str(gate.error["hint"]), "yellow")


def _print_line(console: Console, name: str, value: str, style: str) -> None:
    # Names of files and the serial line are whatever the image makes them.
    console.print(Text.assemble("     ", (f"{printable(name):<15} ", style), printable(value)), soft_wrap=True)


def print_verdict(console: Console, gates: Sequence[Gate]) -> None:
    """The last line: how many gates passed, in how long."""
    passed = sum(gate.verdict is Verdict.PASS for gate in gates)
    style = "bold green" if passed == len(gates) else "bold red"
    seconds = sum(gate.seconds for gate in gates)
    console.print(Text(f"{passed} of {len(gates)} gates passed in {seconds:.1f} s", style))


def flat(evidence: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Evidence as lines of name and text; nested tables are joined with dots, lists give a line for each element."""
    for name, value in evidence.items():
        label = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from flat(value, f"{label}.")
        elif isinstance(value, list | tuple):
            if all(isinstance(item, str) and len(item) <= 16 for item in value):
                yield label, ", ".join(value)
                continue
            for item in value:
                if isinstance(item, Mapping):
                    yield label, "  ".join(str(part) for part in item.values())
                else:
                    yield label, str(item)
        elif value is not None:
            yield label, str(value)
