"""``guest-harvest`` and the threshold that ``screen verify`` takes from its manifest."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from cloudboot_doom_oracle import Oracle, read_oracle
from cloudboot_doom_oracle.gates.host import HostTime
from cloudboot_doom_oracle.oracle.files import ppm_bytes


def command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "cloudboot_doom_oracle", *words]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def capture(oracle: Oracle, folder: Path, late_rows: int) -> Path:
    """Screendumps of 1280x800 whose first ``late_rows`` rows of the canvas are still black."""
    folder.mkdir()
    for point in oracle.manifest.checkpoints:
        whole = np.zeros((800, 1280, 3), np.uint8)
        whole[300 + late_rows : 500, 480:800] = oracle.picture(point)[late_rows:]
        (folder / point.frame_ppm).write_bytes(ppm_bytes(whole))
    return folder


@pytest.fixture
def captures(oracle: Oracle, tmp_path: Path) -> Path:
    return capture(oracle, tmp_path / "captures", 0)


def test_the_threshold_of_the_manifest_decides(oracle: Oracle, captures: Path, tmp_path: Path) -> None:
    guest = tmp_path / "guest"
    words: list[str | Path] = ["guest-harvest", guest, "--oracle", oracle.folder, "--captures", captures]
    done = command(*words, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((guest / "manifest.json").read_text())
    facts = json.loads((guest / "manifest.json").read_text())
    assert (facts["tolerance_chi2"], facts["deterministic"]) == (50_000.0, False)
    expected = [(point.tic, point.frame_hash) for point in oracle.manifest.checkpoints]
    assert [(point["tic"], point["frame_hash"]) for point in facts["checkpoints"]] == expected
    late = capture(oracle, tmp_path / "late", 2)
    assert command("screen", "verify", guest, late).returncode == 0
    assert command(*words).returncode == 5  # the folder is there
    assert command(*words, "--force", "--tolerance-chi2", "0.5").returncode == 0
    assert command("screen", "verify", guest, captures).returncode == 0
    assert command("screen", "verify", guest, late).returncode == 1


def test_repeated_captures_measure_the_threshold(oracle: Oracle, captures: Path, tmp_path: Path) -> None:
    second, third = capture(oracle, tmp_path / "second", 2), capture(oracle, tmp_path / "third", 4)
    guest = tmp_path / "guest"
    words: list[str | Path] = ["guest-harvest", guest, "--oracle", oracle.folder, "--json"]
    words += [word for folder in (captures, second, third) for word in ("--captures", folder)]
    done = command(*words)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    # The distance by its formula: the sum of (a - b)^2 / (a + b) over the colours, here of the first and the third run.
    largest = 0.0
    for point in oracle.manifest.checkpoints:
        whole = oracle.picture(point)
        less = whole.copy()
        less[:4] = 0
        ours, theirs = (Counter(map(tuple, each.reshape(-1, 3).tolist())) for each in (whole, less))
        chi2 = sum((ours[key] - theirs[key]) ** 2 / (ours[key] + theirs[key]) for key in ours | theirs)
        assert told["distances"][str(point.tic)] == pytest.approx(chi2)
        largest = max(largest, chi2)
    assert told["tolerance_chi2"] == pytest.approx(2 * largest)
    assert [point["frame_hash"] for point in told["checkpoints"]] == [p.frame_hash for p in oracle.manifest.checkpoints]
    assert command("screen", "verify", guest, third).returncode == 0
    far = capture(oracle, tmp_path / "far", 100)
    assert command("screen", "verify", guest, far).returncode == 1
    measured = json.loads(command("calibrate", guest, "--json").stdout)
    assert measured["tolerance_chi2"] == told["tolerance_chi2"]
    assert measured["sounds"] == []
    assert command(*words, "--force", "--tolerance-chi2", "1").returncode == 2


def test_a_busy_host_calibrates_nothing(oracle: Oracle, captures: Path, tmp_path: Path) -> None:
    second = capture(oracle, tmp_path / "second", 2)
    (second / "timing.json").write_text(HostTime(60.0, 60.0, 40.0).to_json())
    words: list[str | Path] = ["guest-harvest", tmp_path / "guest", "--oracle", oracle.folder]
    words += ["--captures", captures, "--captures", second]
    done = command(*words)
    assert (done.returncode, done.stdout) == (34, "")
    assert "host-busy" in done.stderr
    assert not (tmp_path / "guest").exists()
    assert command(*words, "--max-waited", "0.5").returncode == 0
    assert (tmp_path / "guest" / "timing.json").read_bytes() == (second / "timing.json").read_bytes()


def test_nothing_is_lost(oracle: Oracle, captures: Path, tmp_path: Path) -> None:
    host = tmp_path / "host"
    shutil.copytree(oracle.folder, host)
    words: list[str | Path] = ["--oracle", host, "--captures", captures, "--force"]
    assert command("guest-harvest", host, *words).returncode == 2
    assert read_oracle(host).audio_log == oracle.audio_log
    assert command("guest-harvest", captures, *words).returncode == 2
    assert command("guest-harvest", tmp_path / "new", *words, "--tolerance-chi2", "nan").returncode == 2
    last = captures / oracle.manifest.checkpoints[-1].frame_ppm
    last.write_bytes(last.read_bytes()[:-1])
    assert command("guest-harvest", tmp_path / "new", *words).returncode == 3
    last.unlink()
    assert command("guest-harvest", tmp_path / "new", *words).returncode == 5
    assert not (tmp_path / "new").exists()
