"""A probe that does not come to its end, however that happens, leaves no report that looks like a success."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudboot_probes.cli import main

NAMES = [
    "resolve", "fetch", "verify", "header", "publish-block-io", "connect-controller", "sfs-child", "load-image",
    "ufs-root", "start-image", "loader-banner", "kernel-banner", "root-mounted",
]  # fmt: skip
OUTPUTS = ("report.html", "junit.xml", "record.json", "console.txt")


@contextlib.contextmanager
def silent_registry() -> Iterator[str]:
    """Something that takes connections and never answers; gives its address, and how to wait for a caller."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        called = threading.Event()
        held: list[socket.socket] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    held.append(connection)
                    connection.recv(1)
                    called.set()

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        for connection in held:
            connection.close()


# A shell that runs the tests in the background leaves SIGINT ignored to all of them.
LISTENING = ("env", "--default-signal=INT,TERM,HUP", sys.executable)


def start(reference: str, folder: Path, *flags: str) -> subprocess.Popen[str]:
    outputs = ["--report", "report.html", "--junit", "junit.xml", "--record", "record.json", "--console", "console.txt"]
    return subprocess.Popen(
        [*LISTENING, "-m", "cloudboot_probes", "probe", "linux", reference, *outputs, *flags],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
    )  # fmt: skip


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_an_interrupted_probe_tells_what_was_not_reached(
    tmp_path: Path, number: signal.Signals, flags: tuple[str, ...]
) -> None:
    with silent_registry() as host, start(f"{host}/a/b:v1", tmp_path, *flags) as process:
        wait_for(tmp_path / "console.txt", process)
        time.sleep(0.3)  # into the first gate
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert err.splitlines()[0] == "cloudboot: interrupted"
    if flags:
        gates = [json.loads(line) for line in out.splitlines()]
        assert [gate["gate"] for gate in gates] == NAMES
        assert {gate["verdict"] for gate in gates} == {"not-reached"}
        assert {gate["reason"] for gate in gates} == {"the probe was interrupted"}
    else:
        assert out.count("\n---- ") + out.startswith("---- ") == len(NAMES)
        assert out.splitlines()[-1].endswith("; interrupted")
        assert out.splitlines()[-1].startswith("0 of 13 gates passed")
    judge_outputs(tmp_path, "interrupted")


def judge_outputs(folder: Path, outcome: str) -> None:
    suite = ET.parse(folder / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    assert (suite.attrib["errors"], suite.attrib["skipped"]) == ("1", str(len(NAMES)))
    assert [case.attrib["name"] for case in suite.findall("testcase")] == [*NAMES, "finished"]
    record = json.loads((folder / "record.json").read_text())
    assert record["outcome"] == outcome
    assert [gate["gate"] for gate in record["gates"]] == NAMES
    page = (folder / "report.html").read_text()
    assert page.count("</svg>not reached</span>") == len(NAMES)
    assert {name for name in NAMES if f'id="gate-{name}"' in page} == set(NAMES)
    assert 'class="verdict pass"' not in page


def test_a_killed_probe_leaves_no_older_report_behind(tmp_path: Path) -> None:
    for name in OUTPUTS:
        (tmp_path / name).write_text("all gates passed, a week ago")
    with silent_registry() as host, start(f"{host}/a/b:v1", tmp_path) as process:
        while "a week ago" in (tmp_path / "console.txt").read_text():
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.kill()
        process.communicate()
    judge_outputs(tmp_path, "unfinished")
    assert (tmp_path / "console.txt").read_text() == ""
    assert sorted(os.listdir(tmp_path)) == sorted(OUTPUTS)


@pytest.mark.parametrize("delay", [0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6])
def test_an_interrupt_during_start_up_is_one_line(tmp_path: Path, delay: float) -> None:
    """Whatever is being imported: the earliest moments are Python's own, and no program's to catch."""
    code = (
        "import sys, os, signal, threading, time\n"
        "from cloudboot_probes.cli import main\n"
        f"threading.Timer({delay}, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "main(sys.argv[1:])\n"
    )
    with silent_registry() as host:
        done = subprocess.run(
            [*LISTENING, "-c", code, "probe", "linux", f"{host}/a/b:v1"],
            capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60,
        )  # fmt: skip
    assert done.returncode == 130
    assert done.stderr == "cloudboot: interrupted\n"


def test_an_interrupt_that_a_library_replaces_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """argparse's intermixed parsing cleans up in a ``finally`` that raises when it was interrupted early."""

    def interrupt(_: argparse.ArgumentParser) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(argparse.ArgumentParser, "format_usage", interrupt)
    with pytest.raises(SystemExit) as left:
        main(["probe", "linux", "127.0.0.1:1/a/b:v1"])
    assert left.value.code == 130
    assert capsys.readouterr().err == "cloudboot: interrupted\n"


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_reader_that_goes_away_interrupts_the_probe_with_its_report(flags: tuple[str, ...], tmp_path: Path) -> None:
    program = (sys.executable, "-m", "cloudboot_probes")
    subprocess.run([*program, "image", "build", "demo", "--output", "demo.img"], cwd=tmp_path, check=True)
    reading, writing = os.pipe()
    os.close(reading)
    command = ["probe", "freebsd", "demo.img", "--firmware", "hosted", "--record", "record.json", *flags]
    with open(writing, "wb") as stdout:
        done = subprocess.run([*program, *command], cwd=tmp_path, stdout=stdout, check=False)
    assert done.returncode == 130
    assert json.loads((tmp_path / "record.json").read_text())["outcome"] == "interrupted"
