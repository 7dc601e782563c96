"""Gates: each stage of a proof either shows its evidence or stops the run.

The packages below the command return gates; only the command renders them.
"""

from __future__ import annotations

import enum
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from .errors import Error, error_facts, interrupted, plain
from .exit_codes import CHECK_FAILED
from .lightdata import dataclass, field

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

    ``claim`` is what passing proves, ``leaves_open`` what it does not. ``evidence`` is what was seen, in the order it
    was seen, ``headline`` its summary in one line. ``started`` is in seconds since the run began,
    ``seconds`` wall time. ``reason`` says why a gate is not applicable or was not reached.
    """

    name: str
    claim: str
    verdict: Verdict
    evidence: Mapping[str, object] = field(default_factory=dict)
    seconds: float = 0.0
    error: Mapping[str, object] | None = None
    reason: str | None = None
    started: float | None = None
    headline: str | None = None
    leaves_open: str | None = None

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
        if self.started is not None:
            facts["started"] = round(self.started, 3)
        told = {"reason": self.reason, "headline": self.headline, "leaves_open": self.leaves_open}
        return facts | {name: text for name, text in told.items() if text is not None}


@dataclass(frozen=True, slots=True)
class Stage(Generic[Context]):
    """What a gate runs: ``run(context)`` returns the evidence or raises. ``claim`` is what passing proves.

    ``not_applicable(context)`` returns the reason why the stage does not apply to this run, or ``None``.
    ``headline(evidence)`` is the gate's one line, ``leaves_open`` what passing does not prove.
    """

    name: str
    claim: str
    run: Callable[[Context], Mapping[str, object]]
    not_applicable: Callable[[Context], str | None] | None = None
    headline: Callable[[Mapping[str, object]], str | None] | None = None
    leaves_open: str | None = None

    def not_reached(self, reason: str) -> Gate:
        """The gate of this stage where it did not run, or did not come to its end."""
        return Gate(self.name, self.claim, Verdict.NOT_REACHED, reason=reason, leaves_open=self.leaves_open)


def run_stages(stages: Sequence[Stage[Context]], context: Context) -> Iterator[Gate]:
    """Run the stages in order, each as its gate is asked for; after the first failure none runs.

    An :class:`~cloudboot_base.Error` or an :class:`OSError` that a stage raises becomes a failed gate. Any other
    exception is a defect of the program and passes through, as an interrupt does (and what took the place of one):
    :func:`unfinished` gives the gates that are missing then.
    """
    begin = time.monotonic()
    failed: str | None = None
    for stage in stages:
        if failed is not None:
            yield stage.not_reached(f"the gate {failed} failed")
            continue
        reason = stage.not_applicable(context) if stage.not_applicable is not None else None
        if reason is not None:
            yield Gate(stage.name, stage.claim, Verdict.NOT_APPLICABLE, reason=reason, leaves_open=stage.leaves_open)
            continue
        start = time.monotonic()
        error: Mapping[str, object] | None = None
        try:
            evidence = stage.run(context)
        except Exception as problem:
            if interrupted(problem):
                raise KeyboardInterrupt from problem
            if not isinstance(problem, Error | OSError):
                raise
            failed = stage.name
            evidence = problem.evidence if isinstance(problem, GateFailedError) else {}
            error = error_facts(problem)
        yield Gate(
            stage.name,
            stage.claim,
            Verdict.PASS if error is None else Verdict.FAIL,
            evidence,
            time.monotonic() - start,
            error,
            started=start - begin,
            headline=stage.headline(evidence) if stage.headline is not None else None,
            leaves_open=stage.leaves_open,
        )


def unfinished(stages: Sequence[Stage[Context]], gates: Sequence[Gate], reason: str) -> list[Gate]:
    """The gates of a run that ended early: those of ``gates``, and ``not-reached`` for every stage that has none."""
    return [*gates, *(stage.not_reached(reason) for stage in stages[len(gates) :])]
