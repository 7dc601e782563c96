"""The command: add-checkpoint, diff, the audio log, and exit codes for what goes wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cloudboot_doom_oracle import Oracle, Wad, read_oracle
from cloudboot_doom_oracle.testing import SCRIPT


def command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "cloudboot_doom_oracle", *words]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.fixture
def script_file(tmp_path: Path) -> Path:
    path = tmp_path / "script.txt"
    path.write_text(SCRIPT)
    return path


def test_a_checkpoint_is_added_and_nothing_else_changes(
    oracle: Oracle, wad: Wad, script_file: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "oracle"
    shutil.copytree(oracle.folder, copy)
    done = command("add-checkpoint", copy, "100", "--wad", wad.path, "--script", script_file)
    assert done.returncode == 0, done.stderr
    changed = read_oracle(copy)
    assert [point.tic for point in changed.manifest.checkpoints] == [1, 35, 70, 100, 140, 160]
    assert (copy / "frames.json").read_bytes() == (oracle.folder / "frames.json").read_bytes()
    same = command("diff", oracle.folder, copy)
    assert (same.returncode, same.stdout) == (0, f"{len(oracle.frames)} frames are equal; the audio logs are equal\n")
    refused = command("add-checkpoint", copy, "120", "--wad", wad.path)
    assert refused.returncode == 33
    assert "another script" in refused.stderr


def test_diff_names_the_first_tic(oracle: Oracle, tmp_path: Path) -> None:
    copy = tmp_path / "oracle"
    shutil.copytree(oracle.folder, copy)
    frames = json.loads((copy / "frames.json").read_text())
    frames[80][2] ^= 1
    (copy / "frames.json").write_text(json.dumps(frames))
    done = command("diff", oracle.folder, copy, "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)["divergence"]
    assert (found["number"], found["tic"]) == (81, frames[80][0])
    assert found["diagnosis"]["kind"] == "prng-drift"


def test_the_audio_log_is_compared(oracle: Oracle, wad: Wad, script_file: Path, tmp_path: Path) -> None:
    words: list[str | Path] = ["harvest", "--wad", wad.path, "--script", script_file, "--checkpoints", "160"]
    same = command(*words, "--verify-audio-log", oracle.folder / "audio_log.json")
    assert same.returncode == 0, same.stderr
    (tmp_path / "other.json").write_bytes(oracle.audio_log.replace(b"DSPISTOL", b"DSOTHER", 1))
    other = command(*words, "--verify-audio-log", tmp_path / "other.json")
    assert other.returncode == 1
    assert "-" in other.stderr
    assert "DSOTHER" in other.stderr


def test_exit_codes(tmp_path: Path, wad: Wad) -> None:
    (tmp_path / "not.wad").write_bytes(b"nothing")
    assert command("harvest", "--wad", tmp_path / "not.wad").returncode == 3
    assert command("harvest", "--wad", tmp_path / "absent.wad").returncode == 5
    assert command("harvest", "--checkpoints", "1,x").returncode == 2
    (tmp_path / "script").write_text("5:keydown:hyper\n")
    assert command("harvest", "--wad", wad.path, "--script", tmp_path / "script").returncode == 2
    assert command("verify", tmp_path / "absent").returncode == 5
    (tmp_path / "oracle").mkdir()
    (tmp_path / "oracle" / "manifest.json").write_text("{}")
    assert command("verify", tmp_path / "oracle").returncode == 3
