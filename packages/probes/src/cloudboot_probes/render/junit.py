"""Gates as JUnit XML, the format CI servers read: a test case for each gate.

A gate that was not reached or does not apply is a skipped test case. CI servers take a suite of passed and skipped
cases for a success, so a run that did not come to its end has one case more, ``finished``, with an error.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from cloudboot_base.gates import Gate, Verdict
from cloudboot_probes.probe.record import Outcome

if TYPE_CHECKING:
    from cloudboot_probes.probe.record import Record

# XML 1.0 has no way to write these characters, not even escaped; a serial line may carry any of them.
_UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SKIPPED = {Verdict.NOT_REACHED, Verdict.NOT_APPLICABLE}


def junit(*records: Record) -> bytes:
    """The document of a run, or of several under different firmwares: a suite for each."""
    root = ET.Element("testsuites")
    for record in records:
        firmware = f".{record.header.firmware}" if len(records) > 1 else ""
        _suite(root, record, f"cloudboot.probe.{record.header.system}{firmware}")
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _suite(root: ET.Element, record: Record, suite: str) -> None:
    gates = record.gates
    finished = record.outcome in {Outcome.PASSED, Outcome.FAILED}
    seconds = f"{sum(gate.seconds for gate in gates):.3f}"
    element = ET.SubElement(
        root,
        "testsuite",
        {
            "name": suite,
            "timestamp": record.header.started_at,
            "tests": str(len(gates) + (not finished)),
            "failures": str(sum(gate.verdict is Verdict.FAIL for gate in gates)),
            "errors": str(int(not finished)),
            "skipped": str(sum(gate.verdict in _SKIPPED for gate in gates)),
            "time": seconds,
        },
    )
    properties = ET.SubElement(element, "properties")
    for name in ("version", "reference", "manifest", "image", "firmware", "architecture", "command", "host"):
        value = getattr(record.header, name)
        if value is not None:
            ET.SubElement(properties, "property", {"name": name, "value": _writable(str(value))})
    for gate in gates:
        _case(element, suite, gate)
    if not finished:
        case = ET.SubElement(element, "testcase", {"classname": suite, "name": "finished", "time": "0.000"})
        error = ET.SubElement(case, "error", {"type": str(record.outcome), "message": record.summary})
        error.text = "The probe did not come to its end, so nothing is proved."


def _case(element: ET.Element, suite: str, gate: Gate) -> None:
    case = ET.SubElement(element, "testcase", {"classname": suite, "name": gate.name, "time": f"{gate.seconds:.3f}"})
    if gate.verdict is Verdict.FAIL:
        facts = gate.error or {}
        kind = str(facts.get("verdict", facts.get("error", "failed")))
        failure = ET.SubElement(
            case, "failure", {"type": kind, "message": _writable(str(facts.get("message", "failed")))}
        )
        failure.text = _writable(gate.claim)
    elif gate.verdict in _SKIPPED:
        ET.SubElement(case, "skipped", {"type": str(gate.verdict), "message": _writable(gate.reason or "")})
    if gate.evidence:
        output = ET.SubElement(case, "system-out")
        output.text = _writable(json.dumps(gate.as_dict()["evidence"], indent=1, ensure_ascii=False))


def _writable(text: str) -> str:
    return _UNWRITABLE.sub("\ufffd", text)
