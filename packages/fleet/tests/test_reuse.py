"""Several cells in one process: which process runs the next cell, and that this one sees nothing of those before."""

from __future__ import annotations

import gc
import json
import locale
import logging
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from cloudboot_fleet.forkserver import Ending, ForkServer, processes
from cloudboot_fleet.forkserver.child import FILES, LOG, RESULT
from cloudboot_fleet.forkserver.surroundings import Surroundings
from cloudboot_fleet.matrix import Limits
from cloudboot_fleet.testing import eventually, processes_with

DEMO = {"system": "demo", "recipe": "demo", "firmware": "hosted"}
#: A harness that passes, and leaves a process in a session of its own.
LEAVES = """
import os, subprocess, sys
import atheris
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(1000)", "MARK-{mark}"])
    os._exit(0)
os.wait()
def one_input(data):
    pass
atheris.Setup(sys.argv, one_input)
atheris.Fuzz()
"""


@dataclass
class Ran:
    """A cell that has run: its process, how it ended, and what it kept."""

    pid: int
    folder: Path
    ending: Ending
    result: dict[str, Any]
    files: dict[str, bytes]
    log: bytes


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ForkServer]:
    with ForkServer(tmp_path / "scratch") as running:
        yield running


def run(server: ForkServer, kind: str, inputs: dict[str, Any] | None = None, **limits: Any) -> Ran:
    work = {"key": "0" * 64, "kind": kind, "inputs": inputs or {}, "limits": asdict(Limits(**limits))}
    started: list[int] = []
    with server.scratch("cell") as folder:
        ending = server.run("cell", work, folder, started.append)
        result = json.loads((folder / RESULT).read_bytes())
        kept = [each for each in (folder / FILES).rglob("*") if each.is_file()]
        files = {str(each.relative_to(folder / FILES)): each.read_bytes() for each in kept}
        return Ran(started[-1], folder, ending, result, files, (folder / LOG).read_bytes())


def test_a_process_runs_cells_as_long_as_they_pass(server: ForkServer, tmp_path: Path) -> None:
    pids = [run(server, "nothing").pid for _ in range(5)]
    assert len(set(pids)) == 1
    failed = run(server, "check", {"image": str(tmp_path / "missing.img")})
    assert failed.pid == pids[0]
    assert failed.result["status"] == "error"
    assert b"missing.img" in failed.log
    later = run(server, "nothing")
    assert later.pid != failed.pid
    assert later.log == b""


def test_a_process_has_the_limits_of_its_cells(server: ForkServer) -> None:
    first = run(server, "nothing", files=100).pid
    assert run(server, "nothing", files=100, timeout=5.0, processes=9).pid == first
    other = run(server, "nothing", files=200).pid
    assert other != first
    assert not Path(f"/proc/{first}").exists()
    # What one cell leaves in memory would count against the next.
    limited = [run(server, "nothing", files=200, memory=8 << 30).pid for _ in range(2)]
    assert len({other, *limited}) == 3


def test_time_is_that_of_the_cell(server: ForkServer) -> None:
    first = run(server, "nothing", timeout=0.5)
    time.sleep(1.2)  # the server has looked at its processes meanwhile
    later = run(server, "nothing", timeout=0.5)
    assert (later.pid, later.ending.reason) == (first.pid, None)


def test_memory_is_that_of_the_cell(server: ForkServer) -> None:
    run(server, "probe", DEMO)
    large = run(server, "probe", DEMO)
    small = run(server, "nothing")
    assert small.pid == large.pid
    assert small.ending.peak < large.ending.peak


def test_a_process_that_is_killed_while_it_waits_is_replaced(server: ForkServer) -> None:
    for _ in range(20):  # the cell may reach the process before the signal does
        first = run(server, "nothing").pid
        os.kill(first, signal.SIGKILL)
        later = run(server, "nothing")
        assert later.pid != first
        assert (later.ending.code, later.ending.reason) == (0, None)


def test_a_process_whose_cell_left_another_is_replaced(server: ForkServer, script: Callable[[str, str], Path]) -> None:
    mark = f"leaves-{os.getpid()}"
    first = run(server, "nothing").pid
    left = run(
        server, "fuzz", {"harness": str(script("leaves.py", LEAVES.format(mark=mark))), "seconds": 60, "runs": 9}
    )
    assert left.result["status"] == "passed", left.result
    assert left.pid == first
    assert not processes_with(f"MARK-{mark}")
    assert run(server, "nothing").pid != first


@pytest.mark.long
def test_a_process_that_waits_for_long_is_ended(server: ForkServer) -> None:
    first = run(server, "nothing").pid
    eventually(lambda: not Path(f"/proc/{first}").exists())
    assert run(server, "nothing").ending.code == 0


#: Of a record and of gates: when, and how long.
TIMES = {"seconds", "started", "started_at", "mib_per_second"}
#: Made of the record of a probe, with its times.
OF_RECORD = {"record.json", "report.html", "junit.xml"}
IN_TEXT = re.compile(r"[0-9.]+ (s|MiB/s)\b")


def facts(ran: Ran) -> object:
    """What a cell found and kept, apart from times and from the name of its folder."""
    files: dict[str, object] = {name: data for name, data in ran.files.items() if name not in OF_RECORD}
    if "record.json" in ran.files:
        files["record.json"] = json.loads(ran.files["record.json"])
    return without(ran, {"result": ran.result, "names": sorted(ran.files), "files": files})


def without(ran: Ran, value: object) -> object:
    if isinstance(value, dict):
        return {name: without(ran, each) for name, each in value.items() if name not in TIMES}
    if isinstance(value, list):
        return [without(ran, each) for each in value]
    return IN_TEXT.sub("TIME", value.replace(str(ran.folder), "FOLDER")) if isinstance(value, str) else value


ARCHITECTURES = ("amd64", "arm64", "riscv64")


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("probe", [{**DEMO, "architecture": name} for name in ARCHITECTURES]),
        ("build", [{"recipe": "demo", "architecture": name} for name in ARCHITECTURES]),
        ("harvest", [{"checkpoints": "1,5"}, {"checkpoints": "35"}, {"checkpoints": "5", "seed": 3}]),
    ],
    ids=["probe", "build", "harvest"],
)
def test_results_are_those_of_a_new_process(kind: str, inputs: list[dict[str, Any]], server: ForkServer) -> None:
    """Each input after all of the others, and after itself, against one process for each cell."""
    if kind == "harvest":
        pytest.importorskip("cydoomgeneric", reason="cydoomgeneric is not installed")
        pytest.importorskip("vizdoom", reason="vizdoom, which has a WAD, is not installed")
    new = [run(server, kind, each, memory=16 << 30) for each in inputs]
    again = [run(server, kind, each) for each in (*inputs, *reversed(inputs))]
    assert len({each.pid for each in again[-4:]}) == 1
    assert len({each.pid for each in new}) == 3
    expected = [facts(each) for each in new]
    assert [facts(each) for each in again] == [*expected, *reversed(expected)]
    assert {each.result["status"] for each in (*new, *again)} == {"passed"}


def handle() -> None:
    signal.signal(signal.SIGUSR1, lambda *_: None)


def start_thread() -> None:
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()


def start_process() -> None:
    kept.append(subprocess.Popen(["sleep", "1000"]))


def leave_zombie() -> None:
    kept.append(subprocess.Popen(["true"]))
    time.sleep(0.2)


def open_file() -> None:
    kept.append(socket.socket())


def grow() -> None:
    kept.append(bytearray(b"x") * (200 << 20))


def in_a_circle() -> None:
    circle: list[Any] = [socket.socket()]
    circle.append(circle)


kept: list[Any] = []
CHANGES: dict[str, Callable[[], object]] = {
    "environment": lambda: os.environ.update(ADDED="1"),
    "removed from the environment": lambda: os.environ.pop("PATH"),
    "umask": lambda: os.umask(0o007),
    "signal handler": handle,
    "signal mask": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1}),
    "timer": lambda: signal.setitimer(signal.ITIMER_REAL, 1000),
    "limit": lambda: resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, 1 << 20)),
    "priority": lambda: os.nice(1),
    "locale": lambda: locale.setlocale(locale.LC_ALL, "C.UTF-8"),
    "path": lambda: sys.path.insert(0, "/elsewhere"),
    "arguments": lambda: sys.argv.append("more"),
    "output": lambda: setattr(sys, "stdout", sys.stderr),
    "recursion": lambda: sys.setrecursionlimit(5000),
    "garbage collection": gc.disable,
    "exception hook": lambda: setattr(sys, "excepthook", print),
    "warnings": lambda: warnings.simplefilter("ignore", FutureWarning),
    "logging": lambda: logging.root.addHandler(logging.NullHandler()),
    "file": open_file,
    "thread": start_thread,
    "process": start_process,
    "process that ended": leave_zombie,
    "memory": grow,
}
NO_CHANGES: dict[str, Callable[[], object]] = {
    "nothing": lambda: None,
    "own temporary folder": lambda: os.environ.update(TMPDIR="/tmp/other"),
    "file that was closed": lambda: socket.socket().close(),
    "file in a circle": in_a_circle,
    "process that was waited for": lambda: subprocess.run(["true"], check=True),
    "thread that was waited for": lambda: _ended(threading.Thread(target=time.sleep, args=(0.01,))),
    "memory that was freed": lambda: bytearray(b"x") * (200 << 20) and None,
    "umask that was put back": lambda: os.umask(os.umask(0o007)),
}


def _ended(thread: threading.Thread) -> None:
    thread.start()
    thread.join()


def seen_after(change: Callable[[], object]) -> bool:
    """Whether a process is as it was before ``change``; in a process of its own."""
    pid = os.fork()
    if pid == 0:
        code = 2
        try:
            before = Surroundings(processes.descriptors())
            if before.unchanged():
                change()
                code = int(not before.unchanged())
        finally:
            for each in kept:
                if isinstance(each, subprocess.Popen):
                    each.kill()
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in {0, 1}
    return code == 0


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_cell_leaves_behind_is_seen(change: str) -> None:
    assert not seen_after(CHANGES[change])


@pytest.mark.parametrize("change", NO_CHANGES)
def test_what_a_cell_takes_back_is_not_held_against_it(change: str) -> None:
    assert seen_after(NO_CHANGES[change])
