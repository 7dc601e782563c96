"""Fuzzing, harvests and verification as cells, run in fork-server processes as a worker does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from cloudboot_base.testing import judge
from cloudboot_fleet.forkserver import ForkServer
from cloudboot_fleet.fuzzing import cause_of_traceback, merge_campaign
from cloudboot_fleet.fuzzing.harness import failure, minimised
from cloudboot_fleet.matrix import Limits, Pins, parse
from cloudboot_fleet.testing import Running, processes_with
from cloudboot_fleet.worker import outcome_of

#: Two causes, each behind a prefix that coverage finds; the number in the message differs from input to input.
TOY = """
import sys

def inner(data):
    raise ValueError(len(data))

def one_input(data):
    if data[:1] == b"a":
        if data[1:2] == b"b" and len(data) > 3:
            inner(data)
        if data[1:2] == b"c":
            raise KeyError(bytes(data[2:]))

if __name__ == "__main__":
    import atheris
    atheris.Setup(sys.argv, atheris.instrument_func(one_input))
    atheris.Fuzz()
"""
MACHINE = """
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

class Counter(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.total = 0

    @rule(number=st.integers(0, 100))
    def add(self, number):
        self.total += number
        assert self.total < {most}

TestCounter = Counter.TestCase
"""
#: Fails when something is written after it was shut: two steps in one order, with a number that is not small.
RARE = """
class Rare(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.is_shut = False

    @rule()
    def shut(self):
        self.is_shut = True

    @rule(number=st.integers(0, 100000))
    def write(self, number):
        assert not (self.is_shut and number > 100), "written after it was shut"

TestRare = Rare.TestCase
"""


def run(tmp_path: Path, kind: str, **inputs: Any) -> tuple[dict[str, Any], Path]:
    """A cell's outcome, and the files that it leaves."""
    axes = "".join(f"{name} = {json.dumps(value)}\n" for name, value in inputs.items())
    pinned = Pins(tmp_path).pin(next(parse(f'[[cells]]\nkind = "{kind}"\n[cells.axes]\n{axes}').cells()))
    kept = tmp_path / "kept" / pinned.key[:2] / pinned.key
    with ForkServer(tmp_path / "scratch") as server, server.scratch("cell") as folder:
        ending = server.run("cell", {**pinned.as_dict(), "limits": asdict(Limits(timeout=300))}, folder)
        outcome = outcome_of(ending, folder).as_dict()
        kept.parent.mkdir(parents=True, exist_ok=True)
        (folder / "files").rename(kept)
    (kept / "result.json").write_text(json.dumps({"key": pinned.key, "kind": kind, "inputs": dict(pinned.inputs)}))
    return outcome, kept


@pytest.fixture
def crashes(tmp_path: Path, script: Callable[[str, str], Path]) -> tuple[dict[str, Any], Path]:
    script("fuzz_toy.py", TOY)
    return run(tmp_path, "fuzz", harness="fuzz_toy.py", seconds=6, seed=1)


def test_crashes_are_grouped_minimised_and_written_as_tests(
    crashes: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    outcome, kept = crashes
    assert (outcome["status"], outcome["reached"]) == ("failed", "1/2 no-crash"), outcome
    causes = {path.read_text().strip(): path.parent for path in kept.glob("crashes/*/cause.txt")}
    assert set(causes) == {
        "ValueError in fuzz_toy.py:inner < fuzz_toy.py:one_input",
        "KeyError in fuzz_toy.py:one_input",
    }
    inputs = {cause.split(" ")[0]: (folder / "input").read_bytes() for cause, folder in causes.items()}
    assert inputs == {"ValueError": b"ab\0\0", "KeyError": b"ac"}
    for folder in causes.values():
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, folder.glob("test_*.py"))],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert folder.name.split("-")[0] in done.stdout.lower()
    merged = merge_campaign([{"key": kept.name, "kind": "fuzz"}], tmp_path / "kept", tmp_path / "fuzz")
    assert [(each.corpus > 0, each.causes) for each in merged] == [(True, sorted(causes))]
    assert len(list(Path(merged[0].folder).glob("crashes/*/input"))) == 2


def test_corpora_are_merged_to_what_covers_as_much(tmp_path: Path, script: Callable[[str, str], Path]) -> None:
    script("fuzz_toy.py", TOY.replace("raise", "return"))
    results = []
    for number, inputs in enumerate([[b"z", b"yy", b"ab", b"abxxxx"], [b"xxx", b"acc", b"ac", b"ab........"]]):
        key = f"{number:064}"
        corpus = tmp_path / "kept" / key[:2] / key / "corpus"
        corpus.mkdir(parents=True)
        for place, data in enumerate(inputs):
            (corpus / str(place)).write_bytes(data)
        told = {"key": key, "kind": "fuzz", "inputs": {"harness": str(tmp_path / "fuzz_toy.py")}}
        (corpus.parent / "result.json").write_text(json.dumps(told))
        results.append(told)
    merged = merge_campaign(results, tmp_path / "kept", tmp_path / "fuzz")[0]
    kept = {path.read_bytes() for path in Path(merged.folder).glob("corpus/*")}
    assert merged.before == 8
    assert kept == {b"z", b"ab", b"ac", b"abxxxx"}  # of each that reach as far, the smallest
    again = merge_campaign(results, tmp_path / "kept", tmp_path / "fuzz")[0]
    assert again.corpus == merged.corpus


def test_state_machines_share_their_examples(
    tmp_path: Path, script: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDBOOT_FLEET_MAX_EXAMPLES", "20")
    script("test_machine.py", MACHINE.format(most=5000))
    outcome, kept = run(tmp_path, "fuzz", harness="test_machine.py", stateful=True, seconds=1)
    assert outcome["status"] == "passed", outcome
    script("test_machine.py", MACHINE.format(most=50))
    outcome, kept = run(tmp_path, "fuzz", harness="test_machine.py", stateful="Counter", seconds=1)
    assert outcome["status"] == "failed"
    assert "assert" in outcome["cause"]
    assert "state.add" in (kept / "failure.txt").read_text()
    merged = merge_campaign([{"key": kept.name, "kind": "fuzz"}], tmp_path / "kept", tmp_path / "fuzz")[0]
    assert merged.examples > 0


def test_a_bug_that_one_cell_found_is_the_first_thing_the_next_one_tries(
    tmp_path: Path, script: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sequence of two steps that a run of one example does not meet."""
    script("test_machine.py", MACHINE.format(most="1 << 40") + RARE)
    monkeypatch.setenv("CLOUDBOOT_FLEET_MAX_EXAMPLES", "2000")
    found, kept = run(tmp_path, "fuzz", harness="test_machine.py", stateful="Rare", seconds=1)
    assert found["status"] == "failed", found
    assert "state.shut()" in (kept / "failure.txt").read_text()
    examples = Path(merge_campaign([{"key": kept.name, "kind": "fuzz"}], tmp_path / "kept", tmp_path / "f")[0].folder)
    monkeypatch.setenv("CLOUDBOOT_FLEET_MAX_EXAMPLES", "1")
    fresh, _ = run(tmp_path, "fuzz", harness="test_machine.py", stateful="Rare", seconds=0.1, repeat=1)
    assert fresh["status"] == "passed", fresh
    again, _ = run(
        tmp_path, "fuzz", harness="test_machine.py", stateful="Rare", seconds=0.1, repeat=2,
        corpus=str(examples / "examples"),
    )  # fmt: skip
    assert again["status"] == "failed"
    assert "written after it was shut" in again["cause"]


@pytest.mark.long
def test_hours_of_fuzzing_from_the_command_to_a_test_that_fails(
    tmp_path: Path, script: Callable[[str, str], Path]
) -> None:
    script("fuzz_toy.py", TOY)
    (tmp_path / "m.toml").write_text('[[cells]]\nkind = "fuzz"\n[cells.axes]\nharness = "fuzz_*.py"\nseed = [1, 2]\n')
    with Running("run", "m.toml", "--workers", "2", "--hours", "0.005", folder=tmp_path) as client:
        assert client.wait() == 1
    assert "2 causes of crashes" in client.printed
    place = next((tmp_path / "m.fleet" / "fuzz").iterdir())
    assert {path.read_bytes() for path in place.glob("crashes/*/input")} == {b"ab\0\0", b"ac"}
    assert len(list(place.glob("corpus/*"))) <= 8
    tests = [str(path) for path in place.glob("crashes/*/test_*.py")]
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", *tests], capture_output=True, text=True, check=False)
    assert "2 failed" in done.stdout


def test_a_file_that_is_no_harness_fails(tmp_path: Path, script: Callable[[str, str], Path]) -> None:
    script("no.py", "print('nothing')")
    outcome, _ = run(tmp_path, "fuzz", harness="no.py", seconds=1)
    assert "the harness ran no input" in outcome["cause"]
    script("no.py", "raise SystemExit(3)")
    outcome, _ = run(tmp_path, "fuzz", harness="no.py", seconds=1)
    assert "the harness ended with exit code 3" in outcome["cause"]


def test_an_input_is_made_smaller_and_keeps_its_cause() -> None:
    def one_input(data: bytes) -> None:
        if data.count(b"x") >= 3 and b"y" in data:
            raise RuntimeError(f"{len(data)} bytes")
        if not data:
            raise LookupError("another cause")

    found = minimised(one_input, b"..x..xy......xxx" * 50)
    assert sorted(found) == sorted(b"xxxy")
    assert cause_of_traceback(failure(one_input, found) or "").startswith("RuntimeError in test_tasks.py:one_input")
    assert minimised(one_input, b"good") == b"good"


def test_an_oracle_is_harvested_the_same_twice_and_verified(tmp_path: Path) -> None:
    first, kept = run(tmp_path, "harvest", checkpoints="1,35", repeat=1)
    second, other = run(tmp_path, "harvest", checkpoints="1,35", repeat=2)
    assert first["status"] == second["status"] == "passed", first
    assert first["facts"]["frames"] == second["facts"]["frames"]
    names = sorted(path.name for path in (kept / "oracle").iterdir())
    assert "manifest.json" in names
    for name in names:
        assert (kept / "oracle" / name).read_bytes() == (other / "oracle" / name).read_bytes()
    verified, report = run(tmp_path, "verify", oracle=str(kept / "oracle"))
    gates = {gate["gate"]: gate["verdict"] for gate in verified["gates"]}
    assert (gates["A-every-frame"], gates["O-1"], gates["O-7"], gates["O-8"]) == ("pass",) * 4
    assert (report / "report.html").is_file()


@pytest.mark.parametrize("transport", ["folder", "http", "https"])
def test_an_image_reaches_its_probe_over_each_transport(transport: str, tmp_path: Path) -> None:
    outcome, kept = run(tmp_path, "probe", system="demo", recipe="demo", firmware="hosted", transport=transport)
    assert (outcome["status"], outcome["reached"]) == ("passed", "11/11"), outcome
    resolved = next(gate for gate in outcome["gates"] if gate["gate"] == "resolve")
    place = resolved["evidence"]["reference"]
    assert place.startswith("oci:" if transport == "folder" else "127.0.0.1:")
    assert not processes_with(f"docker-registry serve {tmp_path}")
    assert (kept / "report.html").is_file()


@pytest.mark.long
@pytest.mark.parametrize("ring", ["split", "packed"])
def test_an_oracle_is_verified_over_both_layouts_of_rings(ring: str, tmp_path: Path) -> None:
    judge("qemu-system-x86_64", "qemu-system-x86")
    _, kept = run(tmp_path, "harvest", checkpoints="1,35")
    verified, _ = run(tmp_path, "verify", oracle=str(kept / "oracle"), guest=True, ring=ring)
    devices = [gate for gate in verified["gates"] if "ring" in gate.get("evidence", {})]
    assert [gate["evidence"]["ring"] for gate in devices] == [ring]
    assert verified["status"] == "passed", verified


def test_hours_are_shared_among_fuzz_cells() -> None:
    text = '[[cells]]\nkind = "fuzz"\n[cells.axes]\nharness = ["a", "b"]\nseed = [1, 2]\n[[cells]]\nkind = "nothing"\n'
    cells = list(parse(text).with_hours(2).cells())
    assert [cell.values.get("seconds") for cell in cells] == [1800.0] * 4 + [None]
    assert all(cell.limits.timeout > 3600 for cell in cells[:4])
