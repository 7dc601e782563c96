"""Every kind of failure is reached: by a changed capture, a changed oracle, or an engine that does not run."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloudboot_base import Gate, Verdict
from cloudboot_doom_oracle import EngineError, Oracle, Script, Wad, harvest, parse_script, read_oracle, write_oracle
from cloudboot_doom_oracle.audio import wav_bytes
from cloudboot_doom_oracle.commands.host import HOST_BUSY
from cloudboot_doom_oracle.commands.main import main
from cloudboot_doom_oracle.gates import DIAGNOSES, EXACT_STAGES, GUEST_STAGES, Context, run_gates
from cloudboot_doom_oracle.gates.context import GuestRun
from cloudboot_doom_oracle.gates.exact import ENGINE_STAGE
from cloudboot_doom_oracle.gates.host import TIMING, HostClock, HostTime
from cloudboot_doom_oracle.gates.tolerant import INPUT_SECONDS, compare_inputs
from cloudboot_doom_oracle.oracle.files import ppm_bytes

Pictures = dict[int, np.ndarray]


def kind(gate: Gate) -> str:
    told = gate.evidence["diagnosis"]
    assert isinstance(told, dict)
    return str(told["kind"])


# Gates of the engine


@pytest.fixture
def copied(oracle: Oracle, tmp_path: Path) -> Path:
    shutil.copytree(oracle.folder, tmp_path / "oracle")
    return tmp_path / "oracle"


def exact(folder: Path, wad: Wad, script: Script) -> dict[str, Gate]:
    return {
        gate.name: gate for gate in run_gates(ENGINE_STAGE, EXACT_STAGES, Context(read_oracle(folder), wad, script))
    }


def test_a_changed_audio_log_and_a_changed_file(copied: Path, wad: Wad, script: Script) -> None:
    log = copied / "audio_log.json"
    text = log.read_text()
    changed = re.sub(r'"vol":( ?)(\d+)', lambda found: f'"vol":{found[1]}{int(found[2]) - 1}', text, count=1)
    assert changed != text
    log.write_text(changed)
    (copied / "mixer_log.json").write_bytes(b"[]\n")
    gates = exact(copied, wad, script)
    failed = {name: kind(gate) for name, gate in gates.items() if gate.verdict is Verdict.FAIL}
    assert failed == {"O-7": "oracle-files", "O-8": "audio-log"}
    diff = gates["O-8"].evidence["diff"]
    assert isinstance(diff, list)
    assert [line[0] for line in diff if "vol" in line and line[0] in "+-"]


def test_a_checkpoint_whose_frames_are_equal_was_changed_by_hand(copied: Path, wad: Wad, script: Script) -> None:
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["checkpoints"][1]["prndindex"] ^= 1
    (copied / "manifest.json").write_text(json.dumps(manifest))
    failed = {name: kind(gate) for name, gate in exact(copied, wad, script).items() if gate.verdict is Verdict.FAIL}
    assert failed["A"] == "oracle-files"


def test_an_engine_that_does_not_start(copied: Path, wad: Wad, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an engine that dies before its first tic leads to; the real one does with a WAD that lacks lumps."""

    def dies(*_: Any, **__: Any) -> None:
        raise EngineError("the engine ended", tic=0, status=255, output="W_GetNumForName: STBAR not found!")

    monkeypatch.setattr("cloudboot_doom_oracle.gates.exact.harvest", dies)
    gate = exact(copied, wad, script)["engine"]
    assert gate.verdict is not Verdict.PASS
    assert gate.error is not None
    assert str(gate.error["hint"]).startswith("engine-start: ")


def test_keys_that_change_no_frame(wad: Wad, tmp_path: Path) -> None:
    """A key that goes down at the last tic arrives, and no frame is left that it could change."""
    script = parse_script("20:keydown:esc\n")
    write_oracle(harvest(wad, script, (1, 20)), tmp_path / "late")
    oracle = read_oracle(tmp_path / "late")
    sent = [(20, 1, True)]
    run = GuestRun(frames=list(oracle.frames), keys_sent=sent, keys_received=list(sent))
    gate = next(iter(run_gates(GUEST_STAGES[1], (), Context(oracle, wad, script, guest=run))))
    assert (gate.verdict, kind(gate)) == (Verdict.FAIL, "keys-without-effect")


# Captures of guests that run free


def tone(level: float, seconds: float = 5) -> bytes:
    wave = np.sin(np.arange(int(44100 * seconds)) * 0.05) * 32767 * level
    return wav_bytes(np.stack([wave, wave], axis=1).astype("<i2").tobytes(), 44100)


@pytest.mark.parametrize(
    ("reference", "capture", "expected"),
    [
        (tone(0.5), tone(0.5), None),
        (tone(0.5), tone(0.26), None),  # 5.7 dB
        (tone(0.5), tone(0.24), "sound-envelope"),  # 6.4 dB
        (tone(0.5), tone(0), "sound-envelope"),
        (tone(0.5), tone(0.5, 2), "sound-short"),
        (tone(0), tone(0), "sound-silent"),
    ],
)
def test_sounds(
    reference: bytes, capture: bytes, expected: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "reference.wav").write_bytes(reference)
    (tmp_path / "capture.wav").write_bytes(capture)
    words = ["audio", "verify", "--reference", str(tmp_path / "reference.wav")]
    words += ["--capture", str(tmp_path / "capture.wav"), "--json"]
    assert main(words) == (0 if expected is None else 1)
    told = json.loads(capsys.readouterr().out)
    assert (told["diagnosis"] and told["diagnosis"]["kind"], told["host"]) == (expected, None)


@pytest.fixture
def runs(oracle: Oracle, tmp_path: Path) -> Callable[[Pictures, Pictures], tuple[Path, Path]]:
    """Writes the screendumps of two runs: a picture for each second, the title where none is given."""
    title = oracle.picture(oracle.manifest.checkpoints[0])

    def write(baseline: Pictures, keypress: Pictures) -> tuple[Path, Path]:
        folders = tmp_path / "baseline", tmp_path / "keypress"
        for folder, pictures in zip(folders, (baseline, keypress), strict=True):
            folder.mkdir()
            for second in INPUT_SECONDS:
                (folder / f"t{second}.ppm").write_bytes(ppm_bytes(pictures.get(second, title)))
        return folders

    return write


BLACK = np.zeros((200, 320, 3), np.uint8)


@pytest.mark.parametrize(
    ("baseline", "keypress", "verdict", "expected"),
    [
        ({}, {16: "play", 30: "play", 45: "play", 60: "play"}, "PASS-STRICT", None),
        ({}, {}, "FAIL", "no-reaction"),
        ({}, {45: "few"}, "FAIL", "no-reaction"),
        ({15: "play"}, {60: "play"}, "FAIL", "runs-drift"),
        (dict.fromkeys(INPUT_SECONDS, "black"), {}, "FAIL", "no-picture"),
        ({}, dict.fromkeys(INPUT_SECONDS, "black"), "FAIL", "no-picture"),
        (dict.fromkeys(INPUT_SECONDS, "black"), dict.fromkeys(INPUT_SECONDS, "black"), "FAIL", "no-picture"),
    ],
)
def test_inputs(
    baseline: dict[int, str],
    keypress: dict[int, str],
    verdict: str,
    expected: str | None,
    oracle: Oracle,
    runs: Callable[[Pictures, Pictures], tuple[Path, Path]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    few = oracle.picture(oracle.manifest.checkpoints[0]).copy()
    few[0, :3] = (1, 2, 3)
    pictures = {"play": oracle.picture(oracle.manifest.checkpoints[-1]), "few": few, "black": BLACK}
    folders = runs(*({at: pictures[name] for at, name in run.items()} for run in (baseline, keypress)))
    compared = compare_inputs(*folders)
    assert (compared.verdict, compared.diagnosis and compared.diagnosis.kind) == (verdict, expected)
    words = ["input", "verify", "--baseline", str(folders[0]), "--keypress", str(folders[1])]
    assert main(words) == (1 if verdict == "FAIL" else 0)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"VERDICT={verdict}"
    assert expected is None or lines[-2] == str(DIAGNOSES[expected])


# A host that is too busy


def test_no_verdict_on_captures_of_a_busy_host(
    oracle: Oracle, runs: Callable[[Pictures, Pictures], tuple[Path, Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a failure nor a pass: on such a host two runs without keys drift apart as if there had been some."""
    played = oracle.picture(oracle.manifest.checkpoints[-1])
    folders = runs({}, dict.fromkeys(INPUT_SECONDS[1:], played))
    words = ["input", "verify", "--baseline", str(folders[0]), "--keypress", str(folders[1])]
    (folders[0] / TIMING).write_text(HostTime(60.0, 90.0, 10.0, 0.1).to_json())
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "host waited=10.0% of 100 s asked for, latest=0.10 s\nVERDICT=PASS-STRICT\n" in told
    assert main([*words, "--max-waited", "0.05"]) == HOST_BUSY
    assert capsys.readouterr().out.endswith("VERDICT=BUSY\n")
    (folders[1] / TIMING).write_text(HostTime(60.0, 60.0, 40.0).to_json())  # the busier one of the two counts
    assert main([*words, "--json"]) == HOST_BUSY
    facts = json.loads(capsys.readouterr().out)
    assert (facts["verdict"], facts["diagnosis"]["kind"], facts["host"]["share"]) == ("BUSY", "host-busy", 0.4)


def test_a_busy_host_excuses_failures_of_screen_and_sound_and_takes_back_no_pass(
    oracle: Oracle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    captures, other = tmp_path / "captures", tmp_path / "other"
    for folder in (captures, other):
        folder.mkdir()
    for point in oracle.manifest.checkpoints:
        (captures / point.frame_ppm).write_bytes(ppm_bytes(oracle.picture(point)))
        (other / point.frame_ppm).write_bytes(ppm_bytes(BLACK))
    busy = HostTime(30.0, 10.0, 30.0, 2.5).to_json()
    (captures / TIMING).write_text(busy)
    words = ["guest-harvest", str(tmp_path / "guest"), "--oracle", str(oracle.folder), "--captures", str(captures)]
    assert main(words) == 0
    assert (tmp_path / "guest" / TIMING).read_text() == busy
    assert main(["screen", "verify", str(tmp_path / "guest"), str(captures)]) == 0
    assert main(["screen", "verify", str(tmp_path / "guest"), str(other)]) == HOST_BUSY
    assert capsys.readouterr().out.endswith("host waited=75.0% of 40 s asked for, latest=2.50 s\nBUSY\n")
    assert main(["screen", "verify", str(tmp_path / "guest"), str(other), "--max-waited", "0.8"]) == 1
    (captures / "sound.wav").write_bytes(tone(0.5))
    (other / "sound.wav").write_bytes(tone(0.1))
    words = ["audio", "verify", "--reference", str(captures / "sound.wav"), "--capture"]
    assert main([*words, str(captures / "sound.wav")]) == 0
    capsys.readouterr()
    assert main([*words, str(other / "sound.wav"), "--json"]) == HOST_BUSY
    told = json.loads(capsys.readouterr().out)
    assert (told["busy"], told["passed"], told["diagnosis"]["kind"]) == (True, False, "host-busy")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"seconds":1,"ran":-1,"waited":0,"latest":0}', b'{"seconds":NaN}', b"\xff"]
)
def test_what_is_not_a_measurement(
    content: bytes, runs: Callable[[Pictures, Pictures], tuple[Path, Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    folders = runs({}, {})
    (folders[0] / TIMING).write_bytes(content)
    assert main(["input", "verify", "--baseline", str(folders[0]), "--keypress", str(folders[1])]) == 3
    assert "not a measurement of the host" in capsys.readouterr().err


def test_the_kernels_own_figures() -> None:
    """A thread that computes for a while: what the clock tells is what the kernel charges the process."""
    spin = (
        "import os, sys, time\nprint(flush=True)\nend = time.process_time() + 0.3\n"
        "while time.process_time() < end: pass\n"
        "t = os.times()\nprint(t.user + t.system, flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", spin], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        clock = HostClock(process.pid)
        charged = float(process.stdout.readline())
        clock.captured(0.25)
        clock.captured(0.125)
        measured = clock.read()
        process.communicate()
    assert 0.2 < measured.ran <= charged + 0.05  # os.times counts in hundredths
    assert measured.latest == 0.25
    assert 0 <= measured.share < 1
    ended = HostClock(process.pid).read()
    assert dataclasses.replace(ended, seconds=0.0) == HostTime(0.0, 0.0, 0.0)
    assert ended.share == 0.0
