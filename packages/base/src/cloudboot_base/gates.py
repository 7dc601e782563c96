"""Gates: each stage of a proof either shows its evidence or stops the run.

The packages below the command return gates; only the command renders them.
"""

from __future__ import annotations

import enum
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from .errors import Error, error_facts, plain
from .exit_codes import CHECK_FAILED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Context = TypeVar("Context")


class GateFailedError(Error):
    """A gate saw something else than it must; ``evidence`` is what it saw until then."""

    exit_code = CHECK_FAILED

    def __init__(self, message: str, *, evidence: Mapping[str, object] | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.evidence = dict(evidence or {})


class Verdict(enum.StrEnum):
    """The outcome of a gate."""

    PASS = "pass"
    FAIL = "fail"
    NOT_REACHED = "not-reached"
    NOT_APPLICABLE = "not-applicable"


@dataclass(frozen=True, slots=True)
class Gate:
    """The outcome of a stage.

    ``claim`` is what passing proves, ``evidence`` what was seen, in the order it was seen, ``seconds`` wall time.
    ``reason`` says why a gate is not applicable.
    """

    name: str
    claim: str
    verdict: Verdict
    evidence: Mapping[str, object] = field(default_factory=dict)
    seconds: float = 0.0
    error: Mapping[str, object] | None = None
    reason: str | None = None

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
        if self.reason is not None:
            facts["reason"] = self.reason
        return facts


@dataclass(frozen=True, slots=True)
class Stage(Generic[Context]):
    """What a gate runs: ``run(context)`` returns the evidence or raises. ``claim`` is what passing proves.

    ``not_applicable(context)`` returns the reason why the stage does not apply to this run, or ``None``.
    """

    name: str
    claim: str
    run: Callable[[Context], Mapping[str, object]]
    not_applicable: Callable[[Context], str | None] | None = None


def run_stages(stages: Sequence[Stage[Context]], context: Context) -> Iterator[Gate]:
    """Run the stages in order, each as its gate is asked for; after the first failure none runs.

    An :class:`~cloudboot_base.Error` or an :class:`OSError` that a stage raises becomes a failed gate. Any other
    exception is a defect of the program and passes through.
    """
    failed = False
    for stage in stages:
        if failed:
            yield Gate(stage.name, stage.claim, Verdict.NOT_REACHED)
            continue
        reason = stage.not_applicable(context) if stage.not_applicable is not None else None
        if reason is not None:
            yield Gate(stage.name, stage.claim, Verdict.NOT_APPLICABLE, reason=reason)
            continue
        start = time.monotonic()
        try:
            evidence = stage.run(context)
        except (Error, OSError) as error:
            failed = True
            seen = error.evidence if isinstance(error, GateFailedError) else {}
            seconds = time.monotonic() - start
            yield Gate(stage.name, stage.claim, Verdict.FAIL, seen, seconds, error_facts(error))
        else:
            yield Gate(stage.name, stage.claim, Verdict.PASS, evidence, time.monotonic() - start)
