"""The calibration says what the tolerant gates do: the commands judge the changed files in the same way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cloudboot_doom_oracle import Oracle
from cloudboot_doom_oracle.audio import read_wav, wav_bytes
from cloudboot_doom_oracle.gates.calibration import Calibration, calibrate
from cloudboot_doom_oracle.gates.tolerant import guest_oracle_files
from cloudboot_doom_oracle.oracle.files import ppm_bytes


def command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "cloudboot_doom_oracle", *words]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def measured(oracle: Oracle) -> Calibration:
    return calibrate(oracle)


def test_screens_are_judged_as_the_gate_judges_captures(oracle: Oracle, measured: Calibration, tmp_path: Path) -> None:
    points = oracle.manifest.checkpoints
    guest, captures = tmp_path / "guest", tmp_path / "captures"
    for folder in (guest, captures):
        folder.mkdir()
    pictures = {point.tic: oracle.picture(point) for point in points}
    for name, content in guest_oracle_files(oracle, pictures).items():
        (guest / name).write_bytes(content)
    for change in ("mirrored", "black", "every value below 128 one higher"):
        for point in points:
            picture = pictures[point.tic]
            made = {"mirrored": picture[:, ::-1], "black": picture * 0}.get(change, picture + (picture < 128))
            (captures / point.frame_ppm).write_bytes(ppm_bytes(np.ascontiguousarray(made, np.uint8)))
        done = command("screen", "verify", guest, captures, "--json")
        gate = {case["tic"]: (case["chi2"], case["passed"]) for case in json.loads(done.stdout)}
        assert gate == {case.tic: (case.chi2, case.accepted) for case in measured.screens if case.change == change}
    accepted = {(case.tic, case.change) for case in measured.screens if case.accepted}
    assert (1, "mirrored") in accepted
    assert (160, "the picture of tic 1") not in accepted
    assert (1, "black") not in accepted


def test_sounds_are_judged_as_the_gate_judges_captures(oracle: Oracle, measured: Calibration, tmp_path: Path) -> None:
    reference = oracle.folder / "reference-11025.wav"
    sound = read_wav(reference)
    told = {case.change: case for case in measured.sounds}
    for change, samples in (
        ("channels exchanged", sound.samples[:, ::-1]),
        ("backwards", sound.samples[::-1]),
        ("7 dB quieter", np.rint(sound.samples * 10 ** (-7 / 20)).astype(np.int16)),
        ("silence", np.zeros_like(sound.samples)),
    ):
        (tmp_path / "capture.wav").write_bytes(wav_bytes(samples.astype("<i2").tobytes(), sound.rate))
        words: list[str | Path] = ["--reference", reference, "--capture", tmp_path / "capture.wav", "--json"]
        gate = json.loads(command("audio", "verify", *words).stdout)
        case = told[change]
        assert (gate["passed"], gate["ratio"], gate["max_diff_db"]) == (case.accepted, case.ratio, case.max_diff_db)
    assert told["channels exchanged"].accepted
    assert not told["7 dB quieter"].accepted


def test_the_command_takes_the_gates_options(oracle: Oracle) -> None:
    done = command("calibrate", oracle.folder, "--tolerance-chi2", "1", "--tolerance-db", "8", "--json")
    told = json.loads(done.stdout)
    assert told["tolerance_chi2"] == 1.0
    assert {case["change"] for case in told["screens"] if case["accepted"]} >= {"the same picture", "mirrored"}
    assert "the first 2 rows black" not in {case["change"] for case in told["screens"] if case["accepted"]}
    assert {"7 dB quieter", "9 dB quieter"} <= {case["change"] for case in told["sounds"]}
    text = command("calibrate", oracle.folder)
    assert text.returncode == 0
    assert text.stdout.count("accepted  ") + text.stdout.count("refused   ") == len(told["screens"]) + len(
        told["sounds"]
    )
    assert command("calibrate", oracle.folder, "--tolerance-chi2", "nan").returncode == 2


def test_a_recording_shorter_than_a_window_is_said(oracle: Oracle) -> None:
    assert calibrate(oracle, window_seconds=60.0).sounds == ()
