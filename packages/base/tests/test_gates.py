"""Stages become gates: in order, up to the first failure, each with its evidence."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import pytest

from cloudboot_base import FormatError, Gate, GateFailedError, Stage, Verdict, run_stages
from cloudboot_base.gates import unfinished

Facts = Mapping[str, object]


def stage(name: str, run: Callable[[list[str]], Facts], **more: object) -> Stage[list[str]]:
    return Stage(name, f"{name} holds", run, leaves_open="the rest", **more)  # type: ignore[arg-type] # a test's own words


def raising(error: BaseException) -> Callable[[list[str]], Facts]:
    def run(_: list[str]) -> Facts:
        raise error

    return run


def noted(context: list[str]) -> Facts:
    context.append("ran")
    return {"digest": b"\x01\x02", "count": 3}


@pytest.mark.parametrize(
    ("error", "evidence", "facts"),
    [
        (
            FormatError("broken", structure="Header", offset=512, expected=1, actual=2),
            {},
            {
                "error": "FormatError", "message": "broken", "structure": "Header", "offset": 512, "expected": 1,
                "actual": 2,
            },
        ),
        (
            GateFailedError("seen too little", evidence={"lines": 2}, hint="look at the console"),
            {"lines": 2},
            {"error": "GateFailedError", "message": "seen too little", "hint": "look at the console"},
        ),
        (
            FileNotFoundError(2, "No such file or directory", "disk.img"),
            {},
            {"error": "FileNotFoundError", "message": "No such file or directory", "path": "disk.img"},
        ),
    ],
)  # fmt: skip
def test_the_first_failure_ends_the_run(error: Exception, evidence: Facts, facts: Facts) -> None:
    context: list[str] = []
    stages = [
        stage("first", noted, headline=lambda seen: f"{seen['count']} seen"),
        stage("other", noted, not_applicable=lambda _: "the disk has none"),
        stage("second", raising(error)),
        stage("third", noted),
    ]
    gates = list(run_stages(stages, context))
    assert [str(gate.verdict) for gate in gates] == ["pass", "not-applicable", "fail", "not-reached"]
    assert context == ["ran"]
    first, other, second, third = (json.loads(json.dumps(gate.as_dict())) for gate in gates)
    assert (first["evidence"], first["headline"]) == ({"digest": "0102", "count": 3}, "3 seen")
    assert (other["reason"], third["reason"]) == ("the disk has none", "the gate second failed")
    assert (second["evidence"], second["error"]) == (evidence, facts)
    assert {each["leaves_open"] for each in (first, other, second, third)} == {"the rest"}
    assert "started" not in third


@pytest.mark.parametrize(("error", "expected"), [(ZeroDivisionError(), ZeroDivisionError), (KeyboardInterrupt(), None)])
def test_a_defect_and_an_interrupt_pass_through(error: BaseException, expected: type[BaseException] | None) -> None:
    stages = [stage("first", noted), stage("second", raising(error)), stage("third", noted)]
    seen: list[Gate] = []
    with pytest.raises(expected or KeyboardInterrupt):
        for gate in run_stages(stages, []):
            seen.append(gate)  # noqa: PERF402 -- what came before the error counts
    gates = unfinished(stages, seen, "interrupted")
    assert [gate.verdict for gate in gates] == [Verdict.PASS, Verdict.NOT_REACHED, Verdict.NOT_REACHED]
    assert gates[2].reason == "interrupted"
