"""Each kind of failure is named, with a cause; votes; and what an engine tells while it runs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cloudboot_base import Gate, Stage, UsageError, Verdict
from cloudboot_doom_oracle import (
    CDoomEngine,
    Harvest,
    Oracle,
    OracleError,
    Script,
    SoundEvent,
    Wad,
    parse_script,
    read_oracle,
)
from cloudboot_doom_oracle.audio import Wav, mix, wav_bytes
from cloudboot_doom_oracle.commands.main import main
from cloudboot_doom_oracle.engine import RandomState
from cloudboot_doom_oracle.gates import DIAGNOSES, GUEST_STAGES, Context, run_gates
from cloudboot_doom_oracle.gates.context import GuestRun
from cloudboot_doom_oracle.gates.diagnosis import of_distance
from cloudboot_doom_oracle.gates.evidence import evidence_lines
from cloudboot_doom_oracle.gates.tolerant import guest_oracle_files, palette_colours, palette_signature, top_delta
from cloudboot_doom_oracle.oracle import run_once
from cloudboot_doom_oracle.oracle.files import ppm_bytes
from cloudboot_doom_oracle.oracle.harvest import _majority

SCREEN, KEYS = GUEST_STAGES[0], GUEST_STAGES[1]


def kind_of(gate: Gate) -> str:
    told = gate.evidence["diagnosis"]
    assert isinstance(told, dict)
    assert told == dataclasses.asdict(DIAGNOSES[told["kind"]])
    return str(told["kind"])


@pytest.fixture
def judged(oracle: Oracle, wad: Wad, script: Script) -> Callable[[Stage[Context], GuestRun], Gate]:
    """The outcome of a guest's gate for a run as it would have come through the devices."""

    def judge(stage: Stage[Context], run: GuestRun) -> Gate:
        return next(iter(run_gates(stage, (), Context(oracle, wad, script, guest=run))))

    return judge


@pytest.fixture
def good(oracle: Oracle) -> GuestRun:
    shown = {point.tic: point.frame_hash for point in oracle.manifest.checkpoints}
    sampled = [(number, oracle.frames[number - 1].frame_hash, True) for number in (1, 50, 100)]
    return GuestRun(frames=list(oracle.frames), checkpoints=shown, shown=sampled, keys_sent=[(20, 28, True)] * 2)


def test_a_border_that_is_not_black_fails(good: GuestRun, judged: Callable[..., Gate]) -> None:
    assert judged(SCREEN, good).verdict is Verdict.PASS
    good.shown[1] = (*good.shown[1][:2], False)
    gate = judged(SCREEN, good)
    assert (gate.verdict, kind_of(gate)) == (Verdict.FAIL, "display")
    assert gate.error is not None
    assert "the border of frame 50" in str(gate.error["message"])


def test_a_sampled_frame_that_is_another_fails(good: GuestRun, judged: Callable[..., Gate]) -> None:
    good.shown[2] = (100, "0" * 64, True)
    gate = judged(SCREEN, good)
    assert (gate.verdict, kind_of(gate)) == (Verdict.FAIL, "display")


def test_keys_that_are_lost_or_late(good: GuestRun, judged: Callable[..., Gate]) -> None:
    good.keys_received = good.keys_sent[:1]
    assert kind_of(judged(KEYS, good)) == "keys-lost"
    good.keys_received = good.keys_sent
    good.frames[30] = dataclasses.replace(good.frames[30], prndindex=good.frames[30].prndindex ^ 1)
    gate = judged(KEYS, good)
    assert kind_of(gate) == "prng-drift"
    assert any("prng-drift: a random number" in line for line in evidence_lines(gate.evidence))


def test_distances_just_over_the_threshold_are_told_from_those_far_over_it() -> None:
    assert of_distance(50_000, 50_000) is None
    kinds = [found.kind for chi2 in (50_001, 100_000, 100_001) if (found := of_distance(chi2, 50_000))]
    assert kinds == ["display-timing", "display-timing", "display-broken"]


def test_the_command_says_which(oracle: Oracle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    points = oracle.manifest.checkpoints
    (tmp_path / "captures").mkdir()
    (tmp_path / "guest").mkdir()
    pictures = {point.tic: oracle.picture(point) for point in points}
    for name, content in guest_oracle_files(oracle, pictures).items():
        (tmp_path / "guest" / name).write_bytes(content)
    for point in points:
        (tmp_path / "captures" / point.frame_ppm).write_bytes(ppm_bytes(np.full((200, 320, 3), 7, np.uint8)))
    words = ["screen", "verify", str(tmp_path / "guest"), str(tmp_path / "captures")]
    assert main(words) == 1
    assert capsys.readouterr().out.count("display-broken: ") == len(points)
    assert main([*words, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert {case["diagnosis"]["kind"] for case in told} == {"display-broken"}


def test_the_palette_counts_as_engines_show_it(oracle: Oracle, wad: Wad) -> None:
    picture = oracle.picture(oracle.manifest.checkpoints[-1])
    gamma = picture + (picture < 128)
    for shown in (picture, gamma, gamma & 0xFC):
        assert palette_signature(shown.astype(np.uint8), palette_colours(wad)) == 1.0
    assert palette_signature((picture ^ 0x10).astype(np.uint8), palette_colours(wad)) < 0.5


def test_two_black_screens_are_alike() -> None:
    from collections import Counter

    assert top_delta(Counter(), Counter()) == 0.0


# Votes


@pytest.fixture(scope="module")
def short(wad: Wad) -> Harvest:
    return run_once(wad, Script(), (5, 10))


def changed(run: Harvest, number: int, mark: str) -> Harvest:
    """The run with another frame ``number``, in its picture if that is a checkpoint's."""
    rows = [*run.frames]
    rows[number - 1] = dataclasses.replace(rows[number - 1], frame_hash=mark * 64)
    points = tuple(
        dataclasses.replace(point, frame_hash=mark * 64) if point.frame_count == number else point
        for point in run.manifest.checkpoints
    )
    pictures = {
        point.tic: np.zeros_like(run.pictures[point.tic]) if point.frame_count == number else run.pictures[point.tic]
        for point in points
    }
    manifest = dataclasses.replace(run.manifest, checkpoints=points)
    return dataclasses.replace(run, frames=tuple(rows), manifest=manifest, pictures=pictures)


def test_each_frame_is_what_two_of_three_runs_drew(short: Harvest) -> None:
    at = short.manifest.checkpoints[0].frame_count
    voted = _majority([changed(short, at, "a"), changed(short, at + 2, "b"), short])
    assert voted.outvoted == 2
    assert voted.frames == short.frames
    assert voted.manifest == short.manifest
    assert all((voted.pictures[tic] == short.pictures[tic]).all() for tic in short.pictures)


def test_three_runs_that_draw_three_frames_are_an_error(short: Harvest) -> None:
    with pytest.raises(OracleError, match="three frames at tic") as caught:
        _majority([changed(short, 3, "a"), changed(short, 3, "b"), short])
    assert "personality" in str(caught.value.hint)


def test_a_frame_of_the_checkpoints_own_tic_counts(short: Harvest) -> None:
    """The first frame with gametic >= T, and no later one: of a tic with several frames the first."""
    for point in short.manifest.checkpoints:
        number = next(number for number, row in enumerate(short.frames, 1) if row.tic >= point.tic)
        assert point.frame_count == number
        assert point.frame_hash == short.frames[number - 1].frame_hash


@pytest.mark.parametrize("checkpoints", [(), (5, 5), (9, 3), (-1, 4), (1 << 30,)])
def test_checkpoints_that_are_none(wad: Wad, checkpoints: tuple[int, ...]) -> None:
    with pytest.raises(UsageError):
        run_once(wad, Script(), checkpoints)


# Engines


def test_keys_for_tics_to_come_are_the_scripts(wad: Wad) -> None:
    scripted = run_once(wad, parse_script("12:keydown:esc\n14:keyup:esc"), (25,))
    with CDoomEngine(wad, seed=3) as engine:
        assert (engine.current_tic, engine.random_state, engine.seed) == (0, RandomState(3, 3), 3)
    digests = []
    with CDoomEngine(wad) as engine:
        engine.key(14, down=False, code=27)
        engine.key(12, down=True, code=27)
        for frame in engine.frames():
            digests.append(frame.sha256())
            assert engine.current_tic == frame.tic
            assert engine.random_state == RandomState(frame.prndindex, frame.mrndindex)
            if frame.tic >= 25:
                break
        with pytest.raises(ValueError, match="has passed"):
            engine.key(20, down=True, code=27)
        with pytest.raises(ValueError, match="no key"):
            engine.key(99, down=True, code=256)
    assert digests == [row.frame_hash for row in scripted.frames]


def test_a_verdict_of_a_damaged_oracle_is_a_page(oracle: Oracle, wad: Wad, script: Script, tmp_path: Path) -> None:
    import shutil

    from cloudboot_doom_oracle.report import render_report

    shutil.copytree(oracle.folder, tmp_path / "o")
    (tmp_path / "o" / "reference-11025.wav").write_bytes(b"RIFF")
    context = Context(read_oracle(tmp_path / "o"), wad, script)
    error = {"error": "X", "message": "it failed"}
    gate = Gate("A", "a claim", Verdict.FAIL, {"diff": ["-a", "+b"]}, 0.1, error)
    page = render_report(context, [gate])
    assert "0 of 1 gates passed, 1 failed" in page
    assert "diff:\n  -a\n  +b" in page
    assert page.count("reference-11025.wav: RIFF") == 2


def test_the_table_of_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "--json"]) == 0
    table = {key["qcode"]: (key["evdev"], key["hid"], key["doom"]) for key in json.loads(capsys.readouterr().out)}
    assert table["ret"] == (28, 0x28, 13)
    assert table["ctrl"] == (29, 0xE0, 0xA3)
    assert main(["keys"]) == 0
    assert "down         108  0x51       0xaf\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "tic"),
    [
        (lambda body: bytes(4) + body, 0),  # a frame late
        (lambda body: body[4:] + bytes(4), 0),  # a frame lost
        (lambda body: body[: 1260 * 100 + 2], 100),  # an early stop
        (lambda body: body[: 1260 * 50] + bytes([body[1260 * 50] ^ 1]) + body[1260 * 50 + 1 :], 50),
        (lambda body: body + b"\x01\x00", None),  # sound behind the end
    ],
)
def test_every_sample_counts(
    oracle: Oracle,
    wad: Wad,
    script: Script,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[bytes], bytes],
    tic: int,
) -> None:
    """Gate C-2 of what a sound card would have recorded; the real one passes in the tests with a machine."""
    noise = np.random.default_rng(3).integers(1, 9999, (315 * 160, 2), dtype=np.int16)
    exact = Wav(11025, noise)
    monkeypatch.setattr(type(oracle), "exact_sound", property(lambda _: exact))

    def judge(recorded: bytes) -> Gate:
        file = wav_bytes(recorded, 11025)
        monkeypatch.setattr("cloudboot_doom_oracle.gates.guest.play_through_sound", lambda *_: file)
        return next(iter(run_gates(GUEST_STAGES[2], (), Context(oracle, wad, script))))

    assert judge(noise.tobytes()).verdict is Verdict.PASS
    gate = judge(change(noise.tobytes()))
    assert gate.verdict is Verdict.FAIL
    assert kind_of(gate) == "sound-samples"
    assert gate.evidence.get("first_difference_at_tic") == tic


def test_a_sound_begins_with_its_tic(wad: Wad) -> None:
    samples = np.frombuffer(mix(wad, [SoundEvent(3, "play", "DSPISTOL", 0, 127, 127)], 10), "<i2").reshape(10, -1)
    assert [bool(tic.any()) for tic in samples[:5]] == [False, False, False, True, True]
