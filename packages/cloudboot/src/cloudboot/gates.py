"""A probe is a list of gates: each stage either shows its evidence or stops the run."""

from __future__ import annotations

import enum
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from cloudboot_layout.errors import FormatError, plain
from cloudboot_oci_stream import OciError
from cloudboot_qemu import QemuError

from .errors import CloudbootError, GateFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Context = TypeVar("Context")


class Verdict(enum.StrEnum):
    """What became of a gate."""

    PASS = "pass"
    FAIL = "fail"
    NOT_REACHED = "not-reached"


@dataclass(frozen=True, slots=True)
class Gate:
    """The outcome of a stage: ``evidence`` is what was seen, in the order it was seen; ``seconds`` is wall time."""

    name: str
    claim: str
    verdict: Verdict
    evidence: Mapping[str, object] = field(default_factory=dict)
    seconds: float = 0.0
    error: Mapping[str, object] | None = None

    def as_dict(self) -> dict[str, object]:
        """The gate, ready for JSON."""
        facts: dict[str, object] = {
            "gate": self.name,
            "claim": self.claim,
            "verdict": str(self.verdict),
            "seconds": round(self.seconds, 3),
            "evidence": plain(self.evidence),
        }
        if self.error is not None:
            facts["error"] = plain(self.error)
        return facts


@dataclass(frozen=True, slots=True)
class Stage(Generic[Context]):
    """What a gate runs: ``run(context)`` returns the evidence or raises. ``claim`` is what passing proves."""

    name: str
    claim: str
    run: Callable[[Context], Mapping[str, object]]


def run_stages(stages: Sequence[Stage[Context]], context: Context) -> Iterator[Gate]:
    """Run the stages in order, each as its gate is asked for; after the first failure none runs.

    What a stage raises becomes a failed gate when it is an error this project or the operating system types; anything
    else is a defect of the program and passes through.
    """
    failed = False
    for stage in stages:
        if failed:
            yield Gate(stage.name, stage.claim, Verdict.NOT_REACHED)
            continue
        start = time.monotonic()
        try:
            evidence = stage.run(context)
        except (CloudbootError, FormatError, OciError, QemuError, OSError) as error:
            failed = True
            seen = error.evidence if isinstance(error, GateFailedError) else {}
            seconds = time.monotonic() - start
            yield Gate(stage.name, stage.claim, Verdict.FAIL, seen, seconds, error_facts(error))
        else:
            yield Gate(stage.name, stage.claim, Verdict.PASS, evidence, time.monotonic() - start)


def error_facts(error: CloudbootError | FormatError | OciError | QemuError | OSError) -> dict[str, object]:
    """An error as a gate or ``--json`` shows it."""
    if isinstance(error, CloudbootError | FormatError | OciError):
        return error.as_dict()
    if isinstance(error, QemuError):
        facts = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    else:
        facts = {"error": type(error).__name__, "message": error.strerror or str(error), "file": error.filename}
    return {name: value for name, value in facts.items() if value is not None}
