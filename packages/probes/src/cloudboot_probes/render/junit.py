"""Gates as JUnit XML, the format CI servers read: a test case for each gate."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from cloudboot_base.gates import Gate, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

# XML 1.0 has no way to write these characters, not even escaped; a serial line may carry any of them.
_UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(gates: Sequence[Gate], suite: str) -> bytes:
    """The document; ``suite`` names the probe."""
    failures = sum(gate.verdict is Verdict.FAIL for gate in gates)
    skipped = sum(gate.verdict is Verdict.NOT_REACHED for gate in gates)
    seconds = f"{sum(gate.seconds for gate in gates):.3f}"
    counts = {"tests": str(len(gates)), "failures": str(failures), "skipped": str(skipped), "time": seconds}
    root = ET.Element("testsuites")
    element = ET.SubElement(root, "testsuite", {"name": suite, "errors": "0", **counts})
    for gate in gates:
        case = ET.SubElement(
            element, "testcase", {"classname": suite, "name": gate.name, "time": f"{gate.seconds:.3f}"}
        )
        if gate.verdict is Verdict.FAIL:
            message = str((gate.error or {}).get("message", "failed"))
            failure = ET.SubElement(case, "failure", {"message": _writable(message)})
            failure.text = _writable(gate.claim)
        elif gate.verdict is Verdict.NOT_REACHED:
            ET.SubElement(case, "skipped", {"message": "an earlier gate failed"})
        if gate.evidence:
            output = ET.SubElement(case, "system-out")
            output.text = _writable(json.dumps(gate.as_dict()["evidence"], indent=1, ensure_ascii=False))
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _writable(text: str) -> str:
    return _UNWRITABLE.sub("\ufffd", text)
