"""Fuzzing as a cell: a harness of atheris, or Hypothesis's state machines, for so many seconds."""

from __future__ import annotations

import re
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudboot_base import GateFailedError, Stage, run_stages
from cloudboot_base.command import counted
from cloudboot_fleet.fuzzing.causes import Crash, cause_of_traceback
from cloudboot_fleet.fuzzing.running import fuzz_command, minimise_command
from cloudboot_fleet.fuzzing.running import run as started

from .result import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS = 60.0
#: Crashes of one cell, and crashes of one cause, after which no more are looked for.
_MOST, _MOST_ALIKE = 50, 5
_MARGIN = 120.0  # seconds that a harness may take to start and to end
_EXECUTED = re.compile(r"stat::number_of_executed_units: +(\d+)")
_COVERED = re.compile(r"cov: (\d+)")
_PYTHON = re.compile(r"=== Uncaught Python exception: ===\n(.*?)\n\n?==\d+==", re.DOTALL)
_TEST = '''"""An input that {harness} did not survive; found by fuzzing.

{cause}
"""

import runpy
from pathlib import Path

HARNESS = {path!r}


def test_{name}() -> None:
    one_input = runpy.run_path(HARNESS, run_name="harness")["one_input"]
    one_input(Path(__file__).with_name("input").read_bytes())
'''


@dataclass
class _Fuzz:
    """A fuzz run: what was asked, and what it found."""

    inputs: Mapping[str, Any]
    folder: Path
    crashes: list[Crash] = field(default_factory=list)
    executed: int = 0
    covered: int = 0

    @property
    def harness(self) -> Path:
        return Path(self.inputs["harness"])

    @property
    def seconds(self) -> float:
        return float(self.inputs.get("seconds", _SECONDS))


def _ran(fuzz: _Fuzz) -> Mapping[str, object]:
    """Run the harness until the time or the runs are over, again after each crash."""
    work = Path.cwd()
    corpus, found = work / "corpus", work / "found"
    corpus.mkdir()
    given = [fuzz.inputs["corpus"]] if "corpus" in fuzz.inputs else []
    end = time.monotonic() + fuzz.seconds
    turn = 0
    while (left := end - time.monotonic()) > 0 or not turn:
        shutil.rmtree(found, ignore_errors=True)
        found.mkdir()
        options = [f"-max_total_time={max(1, round(left))}", f"-artifact_prefix={found}/", "-print_final_stats=1"]
        if "seed" in fuzz.inputs:
            options.append(f"-seed={(fuzz.inputs['seed'] + turn) % (1 << 32) or 1}")
        if "runs" in fuzz.inputs:
            options.append(f"-runs={max(1, fuzz.inputs['runs'] - fuzz.executed)}")
        command = fuzz_command(fuzz.harness, work, *options, str(corpus), *given)
        code, text = started(command, seconds=max(1.0, left) + _MARGIN, folder=work)
        turn += 1
        fuzz.executed += int(_last(_EXECUTED, text))
        fuzz.covered = max(fuzz.covered, int(_last(_COVERED, text)))
        new = sorted(found.iterdir())
        if not new and code:
            raise GateFailedError(f"the harness ended with exit code {code}", evidence={"output": text[-4000:]})
        fuzz.crashes += [_crash(path, text) for path in new]
        if not new or len(fuzz.crashes) >= _MOST or _is_stuck(fuzz) or _ran_enough(fuzz):
            break
    if not fuzz.executed and not fuzz.crashes:
        raise GateFailedError("the harness ran no input", hint="it hands a function to atheris when it is run")
    _keep_corpus(fuzz, corpus, given)
    return {"inputs_run": fuzz.executed, "covered": fuzz.covered, "turns": turn, "crashes": len(fuzz.crashes)}


def _is_stuck(fuzz: _Fuzz) -> bool:
    """Whether one cause comes up again and again, so that nothing behind it is found."""
    return sum(crash.cause == fuzz.crashes[-1].cause for crash in fuzz.crashes) >= _MOST_ALIKE


def _ran_enough(fuzz: _Fuzz) -> bool:
    return "runs" in fuzz.inputs and fuzz.executed >= fuzz.inputs["runs"]


def _last(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.findall(text)
    return str(found[-1]) if found else "0"


def _crash(path: Path, text: str) -> Crash:
    told = _PYTHON.search(text)
    if told is None:  # a hang, or memory: libFuzzer's name of the file says which
        return Crash(path.read_bytes(), f"{path.name.partition('-')[0]} of the harness", text[-4000:])
    return Crash(path.read_bytes(), cause_of_traceback(told[1]), told[1])


def _keep_corpus(fuzz: _Fuzz, corpus: Path, given: list[str]) -> None:
    """Keep the smallest inputs that cover what the corpus of this run covers."""
    target = fuzz.folder / "corpus"
    merged = Path.cwd() / "merged"
    merged.mkdir()
    command = fuzz_command(fuzz.harness, Path.cwd(), "-merge=1", str(merged), str(corpus), *given)
    started(command, seconds=fuzz.seconds + _MARGIN, folder=Path.cwd())
    shutil.copytree(merged if any(merged.iterdir()) else corpus, target)


def _minimised(fuzz: _Fuzz) -> Mapping[str, object]:
    """Write one input for each cause, as small as was found, with a test that runs it."""
    first: dict[str, Crash] = {}
    for crash in sorted(fuzz.crashes, key=lambda each: len(each.data)):
        first.setdefault(crash.cause, crash)
    for cause, crash in first.items():
        target = fuzz.folder / "crashes" / crash.name
        target.mkdir(parents=True)
        (target / "input.found").write_bytes(crash.data)
        shutil.copy(target / "input.found", target / "input")
        if " in " in cause:
            command = minimise_command(fuzz.harness, target / "input.found", target / "input")
            started(command, seconds=_MARGIN, folder=Path.cwd())
        (target / "cause.txt").write_text(cause + "\n")
        (target / "traceback.txt").write_text(crash.traceback + "\n")
        name = crash.name.replace("-", "_")
        told = _TEST.format(harness=fuzz.harness.name, cause=cause, path=str(fuzz.harness), name=name)
        (target / f"test_{name}.py").write_text(told)
    if first:
        raise GateFailedError(
            f"{counted(len(first), 'cause')} of crashes, the first: {next(iter(first))}",
            evidence={cause: f"{crash.name}, {counted(len(crash.data), 'byte')}" for cause, crash in first.items()},
        )
    return {"crashes": 0}


def _machines_ran(fuzz: _Fuzz) -> Mapping[str, object]:
    """Run the state machines of a test file with other examples until the time is over."""
    examples = fuzz.folder / "examples"
    if "corpus" in fuzz.inputs:
        shutil.copytree(fuzz.inputs["corpus"], examples)
    examples.mkdir(exist_ok=True)
    end = time.monotonic() + fuzz.seconds
    turns = 0
    while (left := end - time.monotonic()) > 0 or not turns:
        command = [
            sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider",
            "-p", "cloudboot_fleet.fuzzing.examples", str(fuzz.harness),
        ]  # fmt: skip
        if isinstance(fuzz.inputs["stateful"], str):
            command += ["-k", fuzz.inputs["stateful"]]
        environment = {"CLOUDBOOT_FLEET_EXAMPLES": str(examples), "PYTHONDONTWRITEBYTECODE": "1"}
        code, text = started(command, seconds=max(1.0, left) + _MARGIN, folder=Path.cwd(), environment=environment)
        turns += 1
        if code == 1:
            (fuzz.folder / "failure.txt").write_text(text)
            cause = next((line[4:] for line in text.splitlines() if line.startswith("E   ")), "a test failed")
            raise GateFailedError(cause.strip(), evidence={"turns": turns, "output": text[-4000:]})
        if code == -9:
            break  # the time is over
        if code:
            raise GateFailedError(f"pytest ended with exit code {code}", evidence={"output": text[-4000:]})
    return {"turns": turns, "examples": sum(path.is_file() for path in examples.rglob("*"))}


HARNESS = (
    Stage("run", "The harness ran to its end.", _ran),
    Stage("no-crash", "No input made the harness fail.", _minimised),
)
MACHINES = (Stage("machines", "Every state machine survived every run.", _machines_ran),)


def run(cell: dict[str, Any], folder: Path) -> Outcome:
    """Fuzz."""
    fuzz = _Fuzz(cell["inputs"], folder)
    stages = MACHINES if "stateful" in fuzz.inputs else HARNESS
    gates = list(run_stages(stages, fuzz))
    return Outcome.of_gates(gates, executed=fuzz.executed, covered=fuzz.covered)
