"""The record of a run: what was probed, where and with what, every gate, and what the boot left behind.

Reports are made of records alone. A record exists from the first moment, with every gate ``not-reached``: a run that is
killed leaves reports that say so.
"""

from __future__ import annotations

import datetime as dt
import enum
import os
import platform
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from cloudboot_base.gates import Gate, Verdict, unfinished

from .boot import Boot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudboot_base.gates import Stage

    from .context import Probe

SCHEMA = 1


class Outcome(enum.StrEnum):
    """How a run ended; ``UNFINISHED`` is what is in a report until it has."""

    PASSED = "passed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    UNFINISHED = "unfinished"


_REASONS = {
    Outcome.INTERRUPTED: "the probe was interrupted",
    Outcome.UNFINISHED: "the probe has not finished; if it runs no more, it was killed",
}


@dataclass(frozen=True, slots=True)
class Header:
    """What was probed, where, and with what.

    ``started_at`` is UTC in ISO 8601; ``image`` and ``manifest`` are digests, ``size`` is in bytes; ``machine`` is what
    the firmware's session says of itself. What was not learnt is ``None`` or empty.
    """

    started_at: str
    version: str
    command: str
    host: str
    system: str
    title: str
    architecture: str
    firmware: str
    reference: str
    manifest: str | None = None
    image: str | None = None
    size: int | None = None
    machine: Mapping[str, object] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """One run, for reports and for later comparison."""

    header: Header
    gates: Sequence[Gate]
    outcome: Outcome
    boot: Boot = field(default_factory=Boot)

    @property
    def summary(self) -> str:
        """One line: how many of the gates that apply passed, in how long, and how the run ended."""
        applied = [gate for gate in self.gates if gate.verdict is not Verdict.NOT_APPLICABLE]
        passed = sum(gate.verdict is Verdict.PASS for gate in applied)
        skipped = len(self.gates) - len(applied)
        seconds = sum(gate.seconds for gate in self.gates)
        text = f"{passed} of {len(applied)} gates passed in {seconds:.1f} s"
        text += f", {skipped} not applicable" if skipped else ""
        return text + {Outcome.INTERRUPTED: "; interrupted", Outcome.UNFINISHED: "; not finished"}.get(self.outcome, "")

    def as_dict(self) -> dict[str, object]:
        """The record, ready for JSON; without pictures and single reads."""
        return {
            "schema": SCHEMA,
            "outcome": str(self.outcome),
            "summary": self.summary,
            "run": asdict(self.header),
            "gates": [gate.as_dict() for gate in self.gates],
            "marks": {name: round(moment, 3) for name, moment in self.boot.marks.items()},
            "console": [{"time": round(line.time, 3), "text": line.text} for line in self.boot.lines],
            "console_bytes_dropped": self.boot.dropped,
        }


def host_description() -> str:
    """The host of a run for the header: system, kernel, number of processors, Python."""
    host = os.uname()
    system = f"{host.sysname} {host.release} {host.machine}"
    return f"{system}, {os.cpu_count() or 1} processors, Python {platform.python_version()}"


class Recorder:
    """Gathers the gates of one run; a record can be had at any moment."""

    def __init__(
        self, probe: Probe, stages: Sequence[Stage[Probe]], *, firmware: str, version: str, command: str
    ) -> None:
        self._probe = probe
        self._stages = stages
        self.gates: list[Gate] = []
        self._base = Header(
            started_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            version=version,
            command=command,
            host=host_description(),
            system=probe.system.name,
            title=probe.system.title,
            architecture=probe.options.architecture,
            firmware=firmware,
            reference=probe.shown,
        )

    def record(self, *, interrupted: bool = False) -> Record:
        """The run so far; stages without a gate are ``not-reached``."""
        outcome = Outcome.UNFINISHED
        if interrupted:
            outcome = Outcome.INTERRUPTED
        elif len(self.gates) == len(self._stages):
            good = {Verdict.PASS, Verdict.NOT_APPLICABLE}
            outcome = Outcome.PASSED if all(gate.verdict in good for gate in self.gates) else Outcome.FAILED
        reason = _REASONS.get(outcome, "")
        gates = unfinished(self._stages, self.gates, reason)
        return Record(self._header(), gates, outcome, self._probe.boot())

    def _header(self) -> Header:
        seen: dict[str, object] = {}
        for gate in self.gates:
            if gate.name == "resolve":
                seen = {"manifest": gate.evidence.get("manifest"), "image": gate.evidence.get("layer")}
                seen["size"] = gate.evidence.get("size")
        machine = dict(self._probe.session.facts()) if self._probe.booted else {}
        facts = {**asdict(self._base), **seen, "machine": machine, "notices": tuple(self._probe.notices)}
        return Header(**facts)
