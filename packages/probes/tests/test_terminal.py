"""What a person sees in a real terminal, as a terminal emulator draws it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pyte
import pytest

from cloudboot_probes.cli.console import Console

ROWS = 300


def run_in_terminal(command: list[str], columns: int, folder: Path) -> list[str]:
    """The lines of the screen when the command has ended."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS", "LINES"}}
    process = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, cwd=folder, env={**environment, "TERM": "xterm-256color"}
    )
    os.close(slave)
    screen = pyte.Screen(columns, ROWS)
    stream = pyte.ByteStream(screen)
    try:
        while True:
            select.select([master], [], [])
            try:
                data = os.read(master, 1 << 16)
            except OSError:  # EIO: the other side is closed
                break
            if not data:
                break
            stream.feed(data)
    finally:
        os.close(master)
        process.wait(60)
    return [line.rstrip() for line in screen.display]


def judge_lines(lines: list[str]) -> list[str]:
    """Every line is a gate's, continues one, is evidence, or the command's own."""
    while lines and not lines[-1]:
        lines.pop()
    known = re.compile(
        r"(?:PASS|FAIL|----|n/a ) [a-z-]+\s|     \S| {21,}\S|cloudboot: |\d+ of \d+ gates passed|\$ |#|\d  "
    )
    strange = [line for line in lines if not known.match(line)]
    assert strange == []
    return [line.split()[1] for line in lines if re.match(r"(?:PASS|FAIL|----|n/a ) ", line)]


@pytest.mark.parametrize("columns", [80, 120])
def test_gates_and_progress_never_share_a_line(tmp_path: Path, columns: int) -> None:
    command = [sys.executable, "-m", "cloudboot_probes"]
    (tmp_path / "root").mkdir()
    with (tmp_path / "root" / "large").open("wb") as file:
        file.write(os.urandom(24 << 20))  # long enough in transfer for a progress line
    subprocess.run(
        [*command, "image", "build", "custom", "--root", "root", "-o", "disk.img"], cwd=tmp_path, check=True,
        capture_output=True,
    )  # fmt: skip
    pushed = run_in_terminal([*command, "push", "disk.img", "oci:store:v1"], columns, tmp_path)
    assert "%" not in "".join(pushed)
    assert pushed[0].startswith("oci:store:v1@sha256:")
    names = judge_lines(run_in_terminal([*command, "probe", "linux", "oci:store:v1"], columns, tmp_path))
    assert names[:4] == ["resolve", "fetch", "verify", "header"]
    assert len(names) == 13


def test_a_status_line_goes_before_anything_else_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """stdout and stderr on one terminal, with a status line that is redrawn in between."""
    written: list[str] = []

    class Terminal:
        encoding = "utf-8"

        def write(self, text: str) -> int:
            written.append(text)
            return len(text)

        def flush(self) -> None: ...

        def isatty(self) -> bool:
            return True

        def fileno(self) -> int:
            raise OSError

    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    console = Console()
    with console.progress("fetching") as progress:
        progress(1 << 20, 8 << 20)
        console.print("PASS one")
        console.say("a notice")
        progress(8 << 20, 8 << 20)
    screen = pyte.Screen(80, 10)
    pyte.Stream(screen).feed("".join(written).replace("\n", "\r\n"))
    assert [line.rstrip() for line in screen.display][:3] == ["PASS one", "a notice", ""]


LINES = {
    "progress": """
import time
from cloudboot_base.command import Progress
progress = Progress("コピー中 " + "a long label " * 9, 50)
for done in range(0, 60, 10):
    progress(done)
    time.sleep(0.11)
progress.close()
""",
    "status": """
from cloudboot_probes.cli.console import Console
console = Console()
for count in range(9):
    console.status(f"{count} 漢字かな交じり文の状態 e\u0301" * 9)
console.status("")
""",
}


@pytest.mark.parametrize("columns", [20, 21, 40])
@pytest.mark.parametrize("kind", LINES)
@pytest.mark.parametrize("output", ["terminal", "pipe"])
def test_a_line_that_is_drawn_again_never_wraps(tmp_path: Path, columns: int, kind: str, output: str) -> None:
    """What wraps is not removed when the line is drawn again. Ideographs take two columns."""
    command = [sys.executable, "-c", LINES[kind]]
    if output == "pipe":  # only stderr is the terminal then
        command = ["sh", "-c", '"$0" -c "$1" | cat', sys.executable, LINES[kind]]
    assert set(run_in_terminal(command, columns, tmp_path)) == {""}
