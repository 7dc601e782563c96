"""Cells as processes: limits, and that nothing stays behind when any process is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from cloudboot_fleet.errors import ForkServerError
from cloudboot_fleet.forkserver import Ending, ForkServer, processes
from cloudboot_fleet.forkserver.child import LOG, MODULES, RESULT
from cloudboot_fleet.matrix import Limits
from cloudboot_fleet.testing import eventually, processes_with
from cloudboot_fleet.worker import outcome_of

#: Starts a process of its own session whose parent ends, and one that ignores SIGTERM, and hangs.
HANG = """
import os, signal, subprocess, sys, time
MARK = "MARK-{mark}"
code = "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)"
subprocess.Popen([sys.executable, "-c", code, MARK])
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv(sys.executable, [sys.executable, "-c", code, MARK + "-orphan"])
    os._exit(0)
os.wait()
time.sleep(1000)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ForkServer]:
    with ForkServer(tmp_path / "scratch") as running:
        yield running


def cell(kind: str, inputs: dict[str, Any] | None = None, **limits: Any) -> dict[str, Any]:
    """A cell as a worker gets it."""
    return {"key": "0" * 64, "kind": kind, "inputs": inputs or {}, "limits": asdict(Limits(**limits))}


def harness(script: Callable[[str, str], Path], text: str, **limits: Any) -> dict[str, Any]:
    return cell("fuzz", {"harness": str(script("harness.py", textwrap.dedent(text))), "seconds": 60}, **limits)


def run(server: ForkServer, work: dict[str, Any]) -> tuple[Ending, dict[str, Any]]:
    with server.scratch("cell") as folder:
        ending = server.run("cell", work, folder)
        return ending, outcome_of(ending, folder).as_dict()


def test_a_cell_is_a_process_with_a_session_and_a_folder(server: ForkServer, tmp_path: Path) -> None:
    started: list[int] = []
    with server.scratch("cell") as folder:
        ending = server.run("cell", cell("nothing"), folder, started.append)
        assert (folder / RESULT).is_file()
        assert (folder / LOG).read_bytes() == b""
    assert (ending.code, ending.reason) == (0, None)
    assert len(started) == 1
    assert not folder.exists()


def test_what_a_cell_imports_is_there_for_the_next(server: ForkServer) -> None:
    imported = []
    for _ in range(2):
        with server.scratch("cell") as folder:
            # With a limit of memory each cell has a new process.
            work = cell("probe", {"system": "demo", "recipe": "demo", "firmware": "hosted"}, memory=8 << 30)
            server.run("cell", work, folder)
            imported.append(json.loads((folder / MODULES).read_text()))
    assert "oras.oci" in imported[0]
    assert imported[1] == []


def test_a_killed_cell_takes_everything_with_it(server: ForkServer, script: Callable[[str, str], Path]) -> None:
    mark = f"kill-{os.getpid()}"
    work = harness(script, HANG.format(mark=mark))
    ends: list[Ending] = []
    with server.scratch("cell") as folder:
        thread = threading.Thread(target=lambda: ends.append(server.run("cell", work, folder)))
        thread.start()
        eventually(lambda: len(processes_with(f"MARK-{mark}")) == 2)
        server.kill("cell")
        thread.join(60)
    assert [end.reason for end in ends] == ["cancelled"]
    eventually(lambda: not processes_with(mark) and not processes_with(str(folder)))


@pytest.mark.parametrize("victim", ["worker", pytest.param("server", marks=pytest.mark.long), "both"])
def test_nothing_outlives_a_killed_worker(victim: str, tmp_path: Path, script: Callable[[str, str], Path]) -> None:
    mark = f"{victim}-{os.getpid()}"
    work = harness(script, HANG.format(mark=mark))
    code = f"""
        import sys
        from pathlib import Path
        from cloudboot_fleet.forkserver import ForkServer
        server = ForkServer(Path({str(tmp_path)!r}) / "scratch")
        print(server.pid, flush=True)
        with server.scratch("cell") as folder:
            server.run("cell", {work!r}, folder)
    """
    worker = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert worker.stdout is not None
    pid = int(worker.stdout.readline())
    with worker.stdout:
        eventually(lambda: len(processes_with(f"MARK-{mark}")) == 2)
        if victim != "worker":
            os.kill(pid, signal.SIGKILL)
        if victim != "server":
            worker.kill()
        worker.wait(60)
    if victim == "worker":
        eventually(lambda: not processes_with(mark))
        eventually(lambda: not list((tmp_path / "scratch").iterdir()))
    else:
        # The cell itself is killed by the kernel; orphans of a killed server have no parent here.
        eventually(lambda: not processes_with(str(tmp_path / "scratch")))
        for process in processes_with(mark):
            os.kill(process.pid, signal.SIGKILL)
        with ForkServer(tmp_path / "scratch") as later:
            eventually(lambda: [path.name for path in (tmp_path / "scratch").iterdir()] == [later.folder.name])


def test_a_server_that_is_killed_is_an_error_for_its_cells(
    server: ForkServer, script: Callable[[str, str], Path]
) -> None:
    mark = f"gone-{os.getpid()}"
    work = harness(script, f"import time\nMARK = '{mark}'\ntime.sleep(1000)")
    failed: list[ForkServerError] = []

    def running() -> None:
        try:
            server.run("cell", work, folder)
        except ForkServerError as error:
            failed.append(error)

    with server.scratch("cell") as folder:
        thread = threading.Thread(target=running)
        thread.start()
        eventually(lambda: processes_with("harness.py"))
        os.kill(server.pid, signal.SIGKILL)
        thread.join(60)
    assert "ended while a cell was running" in str(failed[0])
    eventually(lambda: not processes_with(str(work["inputs"]["harness"])))
    with pytest.raises(ForkServerError):
        server.run("cell", cell("nothing"), folder)


@pytest.mark.parametrize(
    ("text", "limits", "status", "told"),
    [
        ("import time\ntime.sleep(1000)", {"timeout": 0.5}, "timeout", "killed: timeout"),
        ("import subprocess, time\nfor _ in range(20): subprocess.Popen(['sleep', '1000'])\ntime.sleep(1000)",
         {"processes": 10}, "limit", "killed: processes"),
        ("bytearray(3 << 30)", {"memory": 1 << 30}, "failed", "MemoryError"),
        ("open('big', 'wb').write(bytes(1 << 20))", {"file_size": 1 << 16}, "failed", "File too large"),
        ("files = [open('/dev/null') for _ in range(100)]", {"files": 64}, "failed", "Too many open files"),
    ],
)  # fmt: skip
def test_limits_hold_for_what_a_cell_starts(
    text: str, limits: dict[str, Any], status: str, told: str, server: ForkServer, script: Callable[[str, str], Path]
) -> None:
    _, outcome = run(server, harness(script, text, **limits))
    assert outcome["status"] == status
    assert told in outcome["cause"] + str(outcome["gates"])
    eventually(lambda: not processes_with("sleep 1000"))


def test_a_child_that_dies_is_a_broken_cell(server: ForkServer, script: Callable[[str, str], Path]) -> None:
    work = harness(script, "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nimport time; time.sleep(1000)")
    ending, outcome = run(server, work)
    assert ending.code == -signal.SIGKILL
    assert (outcome["status"], outcome["code"]) == ("broken", 5)
    assert "signal 9" in outcome["cause"]
    eventually(lambda: not processes_with("harness.py"))


def test_what_is_below_a_process_is_found_without_the_whole_table() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 1000 & sh -c 'sleep 1000 & wait' & wait"]) as shell:
        try:
            found = eventually(lambda: rows if len(rows := processes.below(shell.pid)) == 4 else None)
            assert found is not None
            assert {pid: row.parent for pid, row in found.items()} == {
                row.pid: row.parent for row in processes.descendants(shell.pid, processes.table())
            }
        finally:
            processes.kill_tree(shell.pid)
    assert processes.below(shell.pid) == {}


def test_cells_run_side_by_side(server: ForkServer, script: Callable[[str, str], Path]) -> None:
    """One that ends leaves what another started alone."""
    mark = f"side-{os.getpid()}"
    work = harness(script, HANG.format(mark=mark))
    with server.scratch("one") as one, server.scratch("two") as two:
        thread = threading.Thread(target=lambda: server.run("one", work, one))
        thread.start()
        eventually(lambda: len(processes_with(f"MARK-{mark}")) == 2)
        assert server.run("two", cell("nothing"), two).code == 0
        assert len([each for each in processes_with(f"MARK-{mark}") if "orphan" not in str(each)]) >= 1
        server.kill("one")
        thread.join(60)
    eventually(lambda: not processes_with(mark))
