"""Stages run until one fails; what they raise becomes the gate, and what is nobody's error passes through."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from io import StringIO

import pytest
from cloudboot_probes.render.html import Boot, html
from rich.console import Console

from cloudboot_base import FormatError, GateFailedError
from cloudboot_base.gates import Gate, Stage, Verdict, run_stages
from cloudboot_oci_stream.errors import DigestMismatchError
from cloudboot_probes.render.junit import junit
from cloudboot_probes.render.terminal import flat, print_gate, print_verdict
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
        (FileNotFoundError(2, "No such file", "x.img"), {"file": "x.img", "message": "No such file"}),
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


GATES = [
    Gate("resolve", "a <claim>", Verdict.PASS, {"digest": "sha256:ab", "partitions": ["1 esp", "2 ufs"]}, 0.5),
    Gate("fetch", "bytes", Verdict.FAIL, {"serial": "a\x00\x1b[0m]]>&<"}, 1.0, {"error": "X", "message": "no <b>"}),
    Gate("verify", "never", Verdict.NOT_REACHED),
]


def test_terminal_shows_verdict_evidence_error_and_hint() -> None:
    out = StringIO()
    console = Console(file=out, width=200, highlight=False)
    for gate in GATES:
        print_gate(console, gate)
    print_verdict(console, GATES)
    text = out.getvalue()
    for line in (
        "PASS resolve",
        "digest          sha256:ab",
        "FAIL fetch",
        "no <b>",
        "---- verify",
        "1 of 3 gates passed",
    ):
        assert line in text


def test_junit_is_xml_with_one_case_a_gate() -> None:
    root = ET.fromstring(junit(GATES, "probe"))
    suite = root.find("testsuite")
    assert suite is not None
    assert suite.attrib["tests"] == "3"
    assert (suite.attrib["failures"], suite.attrib["skipped"]) == ("1", "1")
    failure = suite.find("testcase[@name='fetch']/failure")
    assert failure is not None
    assert failure.attrib["message"] == "no <b>"


def test_html_is_one_page_that_escapes_what_it_shows() -> None:
    page = html(GATES, "a & b", Boot(screenshot=b"\x89PNG", console="<script>"))
    assert "<title>a &amp; b</title>" in page
    assert "a &lt;claim&gt;" in page
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert 'src="data:image/png;base64,iVBORw==' in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")


def test_flat_evidence() -> None:
    assert list(flat({"a": {"b": 1, "c": [{"x": 1, "y": 2}]}, "seals": ["seal", "grow"], "none": None})) == [
        ("a.b", "1"),
        ("a.c", "1  2"),
        ("seals", "seal, grow"),
    ]
