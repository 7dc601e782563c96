"""A campaign as somebody sees it on a terminal, and what becomes of cells when the command that runs them is killed."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pyte
import pytest

from cloudboot_base.testing import judge
from cloudboot_fleet.render.terminal import duration
from cloudboot_fleet.testing import LIMIT, Running, command_line, descendants_of, eventually, journal, processes_with

GATE = "import os, time\nwhile not os.path.exists({go!r}): time.sleep(0.05)\n"


class Terminal:
    """A command on a terminal of its own; ``lines`` are what its screen shows."""

    def __init__(self, command: list[str], folder: Path, columns: int, rows: int) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = {
            name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS", "LINES"}
        }
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, cwd=folder, env={**environment, "TERM": "xterm-256color"}
        )
        os.close(slave)
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)

    def until(self, wanted: Callable[[list[str]], object]) -> list[str]:
        """Read until the screen is as wanted, or the command has ended."""
        while not wanted(self.lines):
            if not select.select([self._master], [], [], 1.0)[0]:
                continue
            try:
                data = os.read(self._master, 1 << 16)
            except OSError:  # EIO: the other side is closed
                break
            self._stream.feed(data)
        return self.lines

    @property
    def lines(self) -> list[str]:
        found = [line.rstrip() for line in self._screen.display]
        while found and not found[-1]:
            found.pop()
        return found

    def close(self) -> int:
        os.close(self._master)
        return self.process.wait(LIMIT)


def test_a_table_stands_below_the_lines_and_is_gone_at_the_end(
    tmp_path: Path, script: Callable[[str, str], Path]
) -> None:
    script("wait.py", GATE.format(go=str(tmp_path / "go")))
    (tmp_path / "m.toml").write_text(
        '[[cells]]\nkind = "nothing"\npriority = 1\n[cells.axes]\nrepeat = [1, 2, 3]\n'
        '[[cells]]\nkind = "fuzz"\n[cells.axes]\nharness = "wait.py"\nseconds = 1\nseed = [1, 2, 3]\n'
    )
    command = [sys.executable, "-m", "cloudboot_fleet", "run", "m.toml", "--workers", "2"]
    terminal = Terminal(command, tmp_path, 70, 24)
    shown = terminal.until(lambda lines: any("2 running" in line for line in lines) and "fuzz(seed=2)" in lines[-1])
    table = next(number for number, line in enumerate(shown) if "2 running" in line)
    assert shown[table].startswith("3 of 6 cells (50 %)   0 failing   2 running")
    assert [line.split()[-1] for line in shown[table + 1 :]] == ["fuzz(seed=1)", "fuzz(seed=2)"]
    assert [line.split()[0] for line in shown[:table] if "nothing(" in line] == ["PASSED"] * 3
    (tmp_path / "go").touch()
    ended = terminal.until(lambda lines: False)
    assert terminal.close() == 1
    assert not any("running" in line for line in ended)
    assert sum(line.startswith("PASSED") for line in ended) == 3
    assert sum(line.startswith("FAILED") for line in ended) == 3
    assert any(line.startswith("3 of 6 cells passed") for line in ended)
    assert any("dashboard: none, because bokeh is not installed" in line for line in ended)


def test_durations_have_two_units() -> None:
    assert [duration(seconds) for seconds in (0, 59.4, 60, 3599, 7800, 90000, 86400)] == [
        "0 s", "59 s", "1 min", "59 min 59 s", "2 h 10 min", "1 d 1 h", "1 d",
    ]  # fmt: skip


@pytest.mark.parametrize("choice", ["finish", pytest.param("stop", marks=pytest.mark.long)])
def test_cells_of_a_killed_client_finish_or_stop_as_chosen(
    choice: str, tmp_path: Path, script: Callable[[str, str], Path]
) -> None:
    mark = f"{choice}-{os.getpid()}.py"
    script(mark, GATE.format(go=str(tmp_path / "go")))
    (tmp_path / "m.toml").write_text(f'[[cells]]\nkind = "fuzz"\n[cells.axes]\nharness = "{mark}"\nseconds = 1\n')
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with Running("scheduler", address, folder=tmp_path), Running("worker", address, folder=tmp_path):
        words: list[str | Path] = ["run", "m.toml", "--scheduler", address]
        with Running(*words, "--on-exit", choice, folder=tmp_path) as client:
            eventually(lambda: processes_with(str(tmp_path / mark)))
            client.process.kill()
            client.process.wait()
        if choice == "stop":
            eventually(lambda: not processes_with(str(tmp_path / mark)))
            (tmp_path / "go").touch()
        else:
            (tmp_path / "go").touch()
            eventually(lambda: list((tmp_path / "m.fleet" / "cells").glob("*/*/result.json")))
        with Running(*words, "--resume", "m.fleet", folder=tmp_path) as again:
            assert again.wait() == 1  # the harness is none
        assert journal(tmp_path / "m.fleet")["fuzz()"]["reused"] is (choice == "finish")


def test_a_cancelled_campaign_leaves_no_machine(tmp_path: Path) -> None:
    judge("qemu-system-x86_64", "qemu-system-x86")
    (tmp_path / "m.toml").write_text(
        '[[cells]]\nkind = "probe"\n[cells.axes]\nsystem = "demo"\nrecipe = "demo"\n'
        'firmware = "qemu"\nrepeat = [1, 2]\n'
    )

    def machines(pids: list[int]) -> list[int]:
        return [pid for pid in pids if " -name " in (line := command_line(pid)) and "qemu-system" in line[:40]]

    with Running("run", "m.toml", "--workers", "1", "--junit", "j.xml", folder=tmp_path) as client:
        found = eventually(lambda: machines([each.pid for each in descendants_of(client.pid)]))
        with Running("cancel", "m.fleet", "--json", folder=tmp_path) as cancel:
            assert cancel.wait() == 0
            assert json.loads(cancel.printed)["asked"] == "stop"
        eventually(lambda: not machines(found))
        assert client.wait() == 1, client.printed
    assert 'failures="0" errors="2" skipped="0"' in (tmp_path / "j.xml").read_text()
    assert "Not finished" in (tmp_path / "m.fleet" / "report.html").read_text()
    with Running("status", "m.fleet", folder=tmp_path) as status:
        assert status.wait() == 1


@pytest.mark.long
def test_an_interrupted_start_is_an_interruption(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text('[[cells]]\nkind = "nothing"\n[cells.axes]\nrepeat = {from = 1, to = 100000}\n')
    with Running("run", "m.toml", "--workers", "1", folder=tmp_path) as client:
        eventually((tmp_path / "m.fleet" / "lock").exists)
        client.process.send_signal(signal.SIGINT)
        assert client.wait() == 130, client.printed
