"""The outcome of a task: gates, as a probe has them, and how the cell ended."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cloudboot_base import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudboot_base import Gate

SCHEMA = 1


class Status(enum.StrEnum):
    """How a cell ended.

    ``PASSED`` and ``FAILED`` follow from the inputs and are kept, as is ``ERROR``: an input that cannot be used, or a
    defect of the task. The others are run again when the campaign is resumed: the cell was killed at a limit
    (``TIMEOUT``, ``LIMIT``), the system around it failed (``BROKEN``), every worker that ran it died (``LOST``), or it
    did not come to its end (``CANCELLED``, ``NOT_RUN``).
    """

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    TIMEOUT = "timeout"
    LIMIT = "limit"
    BROKEN = "broken"
    LOST = "lost"
    CANCELLED = "cancelled"
    NOT_RUN = "not-run"


#: What is stored under the digest of the inputs, and not run again.
KEPT = frozenset({Status.PASSED, Status.FAILED, Status.ERROR})
#: Exit codes that speak of the system around a cell: another attempt may go well.
TRANSIENT = frozenset({4, 5, 9, 10, 11, 12})
_GOOD = {Verdict.PASS, Verdict.NOT_APPLICABLE}


@dataclass(frozen=True)
class Outcome:
    """What a task hands back. ``gates`` are ready for JSON, ``reached`` is how far it came, ``cause`` why it failed.

    ``code`` is the exit code the task would have had as a command.
    """

    status: Status
    gates: Sequence[Mapping[str, Any]] = ()
    reached: str = ""
    cause: str | None = None
    code: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_gates(cls, gates: Sequence[Gate], **facts: Any) -> Outcome:
        """The outcome that the gates of a task stand for."""
        applied = [gate for gate in gates if gate.verdict is not Verdict.NOT_APPLICABLE]
        passed = sum(gate.verdict is Verdict.PASS for gate in applied)
        bad = next((gate for gate in gates if gate.verdict not in _GOOD), None)
        told = [gate.as_dict() for gate in gates]
        if bad is None:
            return cls(Status.PASSED, told, f"{passed}/{len(applied)}", facts=facts)
        error = bad.error or {}
        cause = f"{bad.name}: {error.get('error', bad.verdict)}: {error.get('message', bad.reason or bad.claim)}"
        return cls(Status.FAILED, told, f"{passed}/{len(applied)} {bad.name}", cause, 1, facts)

    @classmethod
    def of_error(cls, facts: Mapping[str, Any], code: int, *, defect: bool = False) -> Outcome:
        """The outcome of a task that raised."""
        status = Status.BROKEN if code in TRANSIENT and not defect else Status.ERROR
        cause = f"{facts.get('error', 'Error')}: {facts.get('message', '')}"
        return cls(status, cause=cause, code=code or 1, facts={"error": dict(facts)})

    def as_dict(self) -> dict[str, Any]:
        """The outcome, ready for JSON."""
        return {
            "schema": SCHEMA,
            "status": str(self.status),
            "reached": self.reached,
            "cause": self.cause,
            "code": self.code,
            "gates": list(self.gates),
            "facts": dict(self.facts),
        }
