"""A probe as a cell: the gates, and the report, JUnit document, record and console of the run as files."""

from __future__ import annotations

import contextlib
import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudboot_base import Verdict, run_stages
from cloudboot_base.command import parse_size
from cloudboot_base.exit_codes import NO_SPACE, SYSTEM
from cloudboot_oci_stream import Policy
from cloudboot_probes import systems
from cloudboot_probes.probe import Probe, ProbeOptions, Recorder, default_firmware, stages
from cloudboot_probes.render.json import document
from cloudboot_probes.render.junit import junit
from cloudboot_probes.render.report import report

from .build import built
from .result import Outcome, Status
from .transport import delivered

if TYPE_CHECKING:
    from cloudboot_probes.probe import Record

#: Errors of gates that speak of the registry or the machine, by the classes' names, with their exit codes.
_SYSTEM = {
    "TransportError": 10, "ProxyError": 10, "TransferTimeoutError": 11, "SlowPeerError": 11, "RateLimitedError": 9,
    "MissingDependencyError": SYSTEM, "ProgramMissingError": SYSTEM, "FirmwareMissingError": SYSTEM, "OSError": SYSTEM,
    "NoRoomError": NO_SPACE,
}  # fmt: skip


#: Looked up before the fork server forks: 12 ms of CPU that each cell would take.
_VERSION = importlib.metadata.version("cloudboot-probes")


def run(cell: dict[str, Any], folder: Path) -> Outcome:
    """Probe, and keep what the probe leaves."""
    inputs = cell["inputs"]
    system = systems.load(inputs["system"])
    image = inputs.get("image") or str(built(inputs, Path.cwd()))
    architecture = inputs.get("architecture", "amd64")
    firmware = inputs.get("firmware") or default_firmware(system)
    memory = inputs.get("memory", 256 << 20 if firmware == "hosted" else 1 << 30)
    planned = stages(firmware, system)
    with contextlib.ExitStack() as stack:
        reference, access = stack.enter_context(delivered(image, inputs.get("transport")))
        options = ProbeOptions(
            architecture=architecture,
            accelerator=inputs.get("accelerator", "tcg"),
            memory=parse_size(memory) if isinstance(memory, str) else memory,
            timeout=cell["limits"]["timeout"],
            policy=Policy.load(Path(inputs["policy"])) if "policy" in inputs else None,
            access=access,
        )
        probe = stack.enter_context(Probe(system, reference, options))
        recorder = Recorder(
            probe,
            planned,
            firmware=firmware,
            version=_VERSION,
            command=f"cloudboot probe {system.name} {reference} --architecture {architecture} --firmware {firmware}",
        )
        for gate in run_stages(planned, probe):
            recorder.gates.append(gate)
        record = recorder.record()
        _keep(record, folder)
    outcome = Outcome.of_gates(record.gates, summary=record.summary, firmware=firmware)
    bad = next((gate for gate in record.gates if gate.verdict is Verdict.FAIL), None)
    code = _SYSTEM.get(str((bad.error or {}).get("error"))) if bad is not None else None
    if code is None:
        return outcome
    return Outcome(Status.BROKEN, outcome.gates, outcome.reached, outcome.cause, code, outcome.facts)


def _keep(record: Record, folder: Path) -> None:
    (folder / "report.html").write_bytes(report(record).encode("utf-8", "surrogateescape"))
    (folder / "junit.xml").write_bytes(junit(record))
    (folder / "record.json").write_bytes(document(record))
    (folder / "console.txt").write_bytes(record.boot.console.encode("utf-8", "surrogateescape"))
    if record.boot.screenshot is not None:
        (folder / "screen.png").write_bytes(record.boot.screenshot)
