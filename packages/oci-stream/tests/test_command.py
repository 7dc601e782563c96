from __future__ import annotations

import json
import os
import pty
import random
import subprocess
import sys
from pathlib import Path

import pytest

from cloudboot_oci_stream.commands import main, program
from cloudboot_oci_stream.testing import FaultyRegistry

DISK = random.Random(13).randbytes(1_000_003)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(DISK)
    return path


def test_push_inspect_pull(disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = f"oci:{tmp_path}/images:v1"
    assert main(["push", str(disk), reference, "--annotation", "a=b=c", "--json"]) == 0
    pushed = json.loads(capsys.readouterr().out)
    assert main(["inspect", reference, "--json"]) == 0
    inspected = json.loads(capsys.readouterr().out)
    assert inspected["manifest"] == pushed["digest"]
    assert inspected["annotations"] == {"a": "b=c"}
    assert inspected["layer"]["size"] == len(DISK)
    output = tmp_path / "pulled.img"
    assert main(["pull", reference, "-o", str(output), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["manifest"] == pushed["digest"]
    assert output.read_bytes() == DISK
    assert main(["pull", reference]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(f"{pushed['digest']}: {len(DISK)} bytes verified in ")
    assert captured.err == ""


def test_copy(registry: FaultyRegistry, disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here, there = f"oci:{tmp_path}/images:v1", f"{registry.host}/disk:v1"
    assert main(["push", str(disk), here]) == 0
    digest = capsys.readouterr().out.strip()
    assert main(["copy", here, there, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["digest"], facts["sent"], facts["present"]) == (digest, len(DISK) + 2, 0)
    assert main(["copy", here, there, "--chunk", "100000"]) == 0
    assert capsys.readouterr().out == f"{digest}: 0 bytes sent, 0 mounted, {len(DISK) + 2} there already\n"
    assert main(["copy", f"oci:{tmp_path}/images:v2", there]) == 6
    assert main(["pull", there, "--ranges", "3", "-o", str(tmp_path / "pulled.img")]) == 0
    assert (tmp_path / "pulled.img").read_bytes() == DISK


def test_push_from_stdin(disk: Path, tmp_path: Path) -> None:
    reference = f"oci:{tmp_path}/images:v1"
    command = [sys.executable, "-m", "cloudboot_oci_stream", "push", "-", reference]
    with subprocess.Popen(["cat", str(disk)], stdout=subprocess.PIPE) as cat:
        subprocess.run(command, stdin=cat.stdout, stdout=subprocess.DEVNULL, check=True)
    assert main(["pull", reference, "-o", str(tmp_path / "pulled.img")]) == 0
    assert (tmp_path / "pulled.img").read_bytes() == DISK


def test_a_file_is_replaced_only_by_force(disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = f"oci:{tmp_path}/images:v1"
    assert main(["push", str(disk), reference]) == 0
    output = tmp_path / "pulled.img"
    output.write_text("mine")
    assert main(["pull", reference, "-o", str(output)]) == 5
    assert "--force" in capsys.readouterr().err
    assert output.read_text() == "mine"
    assert main(["pull", reference, "-o", str(output), "--force"]) == 0
    assert output.read_bytes() == DISK


def test_annotations_are_shown_as_text(disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = f"oci:{tmp_path}/images:v1"
    assert main(["push", str(disk), reference, "--annotation", "a=\x1b]0;title\x07\nsize      5"]) == 0
    capsys.readouterr()
    assert main(["inspect", reference]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "a = \\x1b]0;title\\x07\\nsize      5"


def test_exit_codes(registry: FaultyRegistry, disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = f"{registry.host}/disk:v1"
    assert main(["push", str(disk), reference]) == 0
    output = str(tmp_path / "pulled.img")
    assert main(["pull", "disk", "-o", output]) == 2
    assert main(["pull", f"{registry.host}/disk:v2", "-o", output]) == 6
    assert main(["pull", "127.0.0.1:1/disk:v1", "-o", output, "--timeout", "0.2"]) == 11
    assert main(["pull", "127.0.0.1:1/disk:v1", "-o", output]) == 10
    assert main(["push", str(tmp_path / "none"), reference]) == 5
    capsys.readouterr()
    for name, value, code in [
        ("flip", 5, 3),
        ("redirect", "loop", 8),
        ("answers", [(403, {})], 7),
        ("answers", [(418, {})], 8),
        ("answers", [(429, {"Retry-After": "0"})] * 9, 9),
    ]:
        before = getattr(registry.faults, name)
        setattr(registry.faults, name, value)
        assert main(["pull", reference, "-o", output, "--json"]) == code, name
        setattr(registry.faults, name, before)
        captured = capsys.readouterr()
        assert json.loads(captured.out)["reference"] == reference
        assert captured.err.startswith("cloudboot-oci-stream: error: ")
        assert captured.err.count("\n") <= 2
    assert not os.path.exists(output)


def test_credentials_come_from_stdin(disk: Path) -> None:
    with FaultyRegistry(users={"joe": "secret"}) as registry:
        command = [sys.executable, "-m", "cloudboot_oci_stream", "push", str(disk), f"{registry.host}/disk:v1"]
        done = subprocess.run([*command, "--username", "joe", "--password-stdin"], input=b"secret\n", check=False)
        assert done.returncode == 0
        assert subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 7


def test_progress_is_for_terminals(disk: Path, tmp_path: Path) -> None:
    reader, terminal = pty.openpty()
    command = [sys.executable, "-m", "cloudboot_oci_stream", "push", str(disk), f"oci:{tmp_path}/images:v1"]
    done = subprocess.run(command, stderr=terminal, stdout=subprocess.PIPE, check=True)
    os.close(terminal)
    shown = os.read(reader, 10_000)
    os.close(reader)
    assert b"push: 976.6 KiB of 976.6 KiB (100 %)" in shown
    assert b"B/s" in shown
    assert done.stdout.startswith(b"sha256:")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["push"],
        ["push", "a", "b", "--annotation", "x"],
        ["push", "a", "b", "--chunk", "0"],
        ["pull", "--what"],
        ["pull", "oci:a:b", "--timeout", "nan"],
        ["pull", "oci:a:b", "--timeout", "-1"],
        ["pull", "oci:a:b", "--ranges", "0"],
        ["pull", "oci:a:b", "--ranges", "some"],
        ["copy", "oci:a:b"],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("cloudboot-oci-stream: error: ")
    facts = json.loads(captured.out)
    assert (facts["error"], facts["exit_code"]) == ("UsageError", 2)


@pytest.mark.parametrize(
    "name", ["--help", "--version", "--man-page", *[f"{name} --help" for name in program().commands]]
)
def test_what_describes_the_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(name.split()) == 0
    captured = capsys.readouterr()
    assert "oci-stream" in captured.out
    assert not captured.err
    if name == "--help":
        for code in (0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 130):
            assert f"\n  {code:3}  " in captured.out


def test_options_stand_anywhere(disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "push", "--chunk", "100000", str(disk), "--title", "x", f"oci:{tmp_path}/images:v1"]) == 0
    assert json.loads(capsys.readouterr().out)["size"]
    assert main(["psuh", str(disk)]) == 2
    assert "did you mean push?" in capsys.readouterr().err
