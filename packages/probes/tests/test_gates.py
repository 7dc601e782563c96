"""Stages run until one fails; what they raise becomes the gate, and other exceptions pass through."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest

from cloudboot_base import FormatError, GateFailedError
from cloudboot_base.gates import Gate, Stage, Verdict, run_stages, unfinished
from cloudboot_oci_stream.errors import DigestMismatchError
from cloudboot_probes.probe import Boot, Header, Outcome, Probe, Record
from cloudboot_probes.probe.staging import stage
from cloudboot_probes.render.json import document
from cloudboot_probes.render.junit import junit
from cloudboot_probes.render.report import report
from cloudboot_probes.render.terminal import flat, gate_lines, summary_line
from cloudboot_probes.render.text import columns
from cloudboot_qemu import QemuError


def passing(seen: list[str]) -> Mapping[str, object]:
    """It works."""
    seen.append("ran")
    return {"digest": b"\xab", "lbas": [1, 2]}


def raising(error: BaseException) -> Callable[[list[str]], Mapping[str, object]]:
    def run(_: list[str]) -> Mapping[str, object]:
        raise error

    return run


def test_after_a_failure_nothing_runs() -> None:
    seen: list[str] = []
    stages = [
        Stage("one", "it works", passing),
        Stage("two", "it is there", raising(GateFailedError("gone", evidence={"saw": 3}, hint="look"))),
        Stage("three", "never", passing),
    ]
    gates = list(run_stages(stages, seen))
    assert seen == ["ran"]
    assert [gate.verdict for gate in gates] == [Verdict.PASS, Verdict.FAIL, Verdict.NOT_REACHED]
    assert gates[1].evidence == {"saw": 3}
    assert gates[1].error == {"error": "GateFailedError", "message": "gone", "hint": "look"}
    assert gates[0].as_dict()["evidence"] == {"digest": "ab", "lbas": [1, 2]}


@pytest.mark.parametrize(
    ("error", "facts"),
    [
        (FormatError("bad", structure="Fs", offset=7), {"error": "FormatError", "structure": "Fs", "offset": 7}),
        (DigestMismatchError("other bytes", digest="sha256:00"), {"error": "DigestMismatchError"}),
        (QemuError("no machine", hint="install it"), {"error": "QemuError", "hint": "install it"}),
        (FileNotFoundError(2, "No such file", "x.img"), {"path": "x.img", "message": "No such file"}),
    ],
)
def test_every_packages_errors_become_gates(error: Exception, facts: dict[str, object]) -> None:
    (gate,) = run_stages([Stage("one", "", raising(error))], [])
    assert gate.verdict is Verdict.FAIL
    assert gate.error is not None
    assert facts.items() <= dict(gate.error).items()
    json.dumps(gate.as_dict())


@pytest.mark.parametrize("error", [ZeroDivisionError(), KeyboardInterrupt(), AssertionError()])
def test_a_defect_of_the_program_is_not_a_verdict(error: BaseException) -> None:
    with pytest.raises(type(error)):
        list(run_stages([Stage("one", "", raising(error))], []))


@pytest.mark.parametrize("replacement", [AttributeError("gone"), OSError(5, "Input/output error")])
@pytest.mark.parametrize("make", [lambda run: Stage("one", "", run), lambda run: cast("Stage[Any]", stage("one", run))])
def test_what_a_finally_raises_in_place_of_an_interrupt_ends_the_run(
    replacement: Exception, make: Callable[..., Stage[Any]]
) -> None:
    def run(_: object) -> Mapping[str, object]:
        try:
            raise KeyboardInterrupt
        finally:
            raise replacement

    with pytest.raises(KeyboardInterrupt):
        list(run_stages([make(run)], []))


def test_a_run_that_ends_early_has_all_of_its_gates() -> None:
    stages = [Stage("one", "it works", passing), Stage("two", "so does this", passing), Stage("three", "", passing)]
    first = next(run_stages(stages, []))
    gates = unfinished(stages, [first], "interrupted")
    assert [gate.name for gate in gates] == ["one", "two", "three"]
    assert [gate.verdict for gate in gates] == [Verdict.PASS, Verdict.NOT_REACHED, Verdict.NOT_REACHED]
    assert gates[2].as_dict()["reason"] == "interrupted"


NOBODY = cast("Probe", None)


def test_a_stage_of_a_probe_has_its_claim_and_turns_defects_into_its_gate() -> None:
    def run(_: object) -> Mapping[str, object]:
        """It holds.

        Leaves open: What it
        does not look at.
        """
        raise KeyError("x")

    (gate,) = run_stages([stage("one", run, headline="{bytes} bytes")], NOBODY)
    assert (gate.claim, gate.leaves_open) == ("It holds.", "What it does not look at.")
    assert gate.verdict is Verdict.FAIL
    assert gate.error is not None
    assert gate.error["error"] == "DefectError"
    assert "KeyError: 'x'" in str(gate.error["message"])
    assert any("raise KeyError" in line for line in gate.error["traceback"])  # type: ignore[attr-defined]  # a list
    assert gate.headline is None

    def well(_: object) -> Mapping[str, object]:
        """It holds."""
        return {"bytes": 7}

    (gate,) = run_stages([stage("one", well, headline="{bytes} bytes")], NOBODY)
    assert (gate.headline, gate.started is not None) == ("7 bytes", True)


GATES = [
    Gate("resolve", "a <claim>", Verdict.PASS, {"digest": "sha256:ab", "partitions": ["1 esp", "2 ufs"]}, 0.5),
    Gate("fetch", "bytes", Verdict.FAIL, {"serial": "a\x00\x1b[0m]]>&<"}, 1.0, {"error": "X", "message": "no <b>"}),
    Gate("ufs-root", "none", Verdict.NOT_APPLICABLE, reason="no driver"),
    Gate("verify", "never", Verdict.NOT_REACHED, reason="the gate fetch failed"),
]
HEADER = Header("2026-01-01T00:00:00+00:00", "0.1", "cloudboot", "h", "linux", "a & b", "amd64", "qemu", "oci:x")


def record(gates: list[Gate] = GATES, outcome: Outcome = Outcome.FAILED, boot: Boot | None = None) -> Record:
    return Record(HEADER, gates, outcome, boot or Boot())


def test_terminal_shows_verdict_evidence_error_and_reason() -> None:
    text = "\n".join(line for gate in GATES for line in gate_lines(gate, None, color=False))
    text += "\n" + summary_line(record(), color=False)
    for line in (
        "PASS resolve",
        "digest          sha256:ab",
        "FAIL fetch",
        "no <b>",
        "n/a  ufs-root",
        "---- verify",
        "reason          the gate fetch failed",
        "1 of 3 gates passed in 1.5 s, 1 not applicable",
    ):
        assert line in text
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_long_lines_go_on_behind_a_hanging_indent(width: int) -> None:
    value = "word " * 60 + "x" * 300 + " 漢字" * 40
    gate = Gate("resolve", "claim " * 40, Verdict.PASS, {"evidence": value})
    lines = list(gate_lines(gate, width, color=False))
    assert all(columns(line) <= width for line in lines)
    begin = next(index for index, line in enumerate(lines) if "evidence" in line)
    assert all(line.startswith(" " * 21) and line[21] != " " for line in lines[begin + 1 :])
    joined = "".join(line.strip() for line in lines[begin:]).replace(" ", "")
    assert joined == "evidence" + value.replace(" ", "")


def test_junit_is_xml_with_one_case_a_gate() -> None:
    root = ET.fromstring(junit(record()))
    suite = root.find("testsuite")
    assert suite is not None
    assert suite.attrib["tests"] == "4"
    assert (suite.attrib["failures"], suite.attrib["skipped"], suite.attrib["errors"]) == ("1", "2", "0")
    failure = suite.find("testcase[@name='fetch']/failure")
    assert failure is not None
    assert failure.attrib["message"] == "no <b>"
    skipped = suite.find("testcase[@name='ufs-root']/skipped")
    assert skipped is not None
    assert skipped.attrib["message"] == "no driver"


@pytest.mark.parametrize("outcome", [Outcome.INTERRUPTED, Outcome.UNFINISHED])
def test_a_run_without_an_end_is_green_nowhere(outcome: Outcome) -> None:
    early = record([GATES[0], Gate("fetch", "", Verdict.NOT_REACHED, reason="why")], outcome)
    suite = ET.fromstring(junit(early)).find("testsuite")
    assert suite is not None
    assert (suite.attrib["errors"], suite.attrib["skipped"]) == ("1", "1")
    assert suite.find("testcase[@name='finished']/error") is not None
    assert early.summary.endswith(("; interrupted", "; not finished"))
    page = report(early)
    assert 'class="verdict fail"' in page
    assert 'class="verdict pass"' not in page
    assert json.loads(document(early))["outcome"] == str(outcome)


def test_flat_evidence() -> None:
    evidence = {"a": {"b": 1, "c": [{"x": 1, "y": 2}]}, "seals": ["seal", "grow"], "none": None, "empty": []}
    assert list(flat(evidence)) == [
        ("a.b", "1"),
        ("a.c", "1  2"),
        ("seals", "seal, grow"),
    ]
