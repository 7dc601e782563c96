"""Harvests are the same in every process, and the exact gates tell every difference."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import pytest

from cloudboot_base import Gate, Verdict
from cloudboot_doom_oracle import Oracle, OtherWadError, Script, Wad, harvest, read_oracle, write_oracle
from cloudboot_doom_oracle.gates import EXACT_STAGES, Context, first_divergence, run_gates
from cloudboot_doom_oracle.gates.exact import ENGINE_STAGE
from cloudboot_doom_oracle.oracle.write import files_of
from cloudboot_doom_oracle.report import render_report

CHECKPOINTS = (1, 35, 70, 140, 160)


def verify(oracle: Oracle, wad: Wad, script: Script) -> tuple[Context, dict[str, Gate]]:
    context = Context(oracle, wad, script)
    return context, {gate.name: gate for gate in run_gates(ENGINE_STAGE, EXACT_STAGES, context)}


def test_three_processes_give_the_same_bytes(wad: Wad, script: Script, oracle: Oracle) -> None:
    expected = {path.name: path.read_bytes() for path in oracle.folder.iterdir()}
    for _ in range(2):
        assert files_of(harvest(wad, script, CHECKPOINTS)) == expected


def test_with_randomised_addresses_three_runs_vote(wad: Wad, script: Script, oracle: Oracle) -> None:
    voted = harvest(wad, script, (1, 35, 70), pin=False)
    assert not voted.pinned
    assert voted.outvoted <= 3
    assert voted.manifest.checkpoints == oracle.manifest.checkpoints[:3]


def test_all_exact_gates_pass(wad: Wad, script: Script, oracle: Oracle) -> None:
    context, gates = verify(oracle, wad, script)
    failed = {name: gate.as_dict() for name, gate in gates.items() if gate.verdict is Verdict.FAIL}
    assert failed == {}
    assert gates["O-5"].verdict is Verdict.NOT_APPLICABLE
    assert gates["O-5"].reason == "the oracle has no checkpoint at tic 1050"
    assert gates["O-8"].evidence["plays"] == sum(event.op == "play" for event in context.run.events)
    page = render_report(context, list(gates.values()))
    assert page.count("data:image/png;base64,") == 3 * len(CHECKPOINTS)
    assert "What this does not prove" in page
    assert page.count("<polyline") == 1  # nothing was played
    assert "<td>the picture of tic 160</td><td>refused" in page


def test_a_song_is_stopped_before_the_next_begins(oracle: Oracle) -> None:
    songs = json.loads((oracle.folder / "music_log.json").read_text())
    assert [(song["op"], song["name"]) for song in songs] == [
        ("ChangeMusic", "D_INTRO"),
        ("StopMusic", "D_INTRO"),
        ("ChangeMusic", "D_E1M1"),
    ]
    assert songs[0]["tic"] == 0
    assert songs[1]["tic"] == songs[2]["tic"] == 50  # the last key of the menu starts the first map


@pytest.fixture
def damaged(oracle: Oracle, tmp_path: Path) -> Path:
    shutil.copytree(oracle.folder, tmp_path / "copy")
    return tmp_path / "copy"


def test_another_frame_is_found_with_its_tic(wad: Wad, script: Script, damaged: Path) -> None:
    frames = json.loads((damaged / "frames.json").read_text())
    at = next(index for index, row in enumerate(frames) if row[0] == 100)
    frames[at][1] = "0" * 64
    (damaged / "frames.json").write_text(json.dumps(frames))
    context, gates = verify(read_oracle(damaged), wad, script)
    assert gates["A"].verdict is Verdict.PASS
    assert gates["A-every-frame"].verdict is Verdict.FAIL
    (difference,) = context.differences
    assert difference.tic == 100
    assert hashlib.sha256(difference.after.tobytes()).hexdigest() == context.run.frames[at].frame_hash
    assert hashlib.sha256(difference.before.tobytes()).hexdigest() == context.run.frames[at - 1].frame_hash
    page = render_report(context, list(gates.values()))
    assert "First differences" in page
    assert b"acTL" in base64.b64decode(page.split("data:image/png;base64,")[1].split('"')[0])
    told = gates["A-every-frame"].evidence["first_divergence"]
    assert isinstance(told, dict)
    assert told["tic"] == 100
    assert told["diagnosis"]["kind"] == "picture"
    assert gates["O-7"].verdict is Verdict.FAIL
    assert gates["O-8"].verdict is Verdict.PASS


def test_another_random_index_is_prng_drift(wad: Wad, script: Script, damaged: Path) -> None:
    manifest = json.loads((damaged / "manifest.json").read_text())
    manifest["checkpoints"][4]["prndindex"] ^= 1
    (damaged / "manifest.json").write_text(json.dumps(manifest))
    _, gates = verify(read_oracle(damaged), wad, script)
    assert gates["A"].verdict is Verdict.FAIL
    assert gates["O-3"].verdict is Verdict.PASS


def test_another_sound_is_shown_as_a_diff(wad: Wad, script: Script, damaged: Path) -> None:
    text = (damaged / "audio_log.json").read_text()
    (damaged / "audio_log.json").write_text(text.replace("DSPISTOL", "DSSHOTGN", 1))
    _, gates = verify(read_oracle(damaged), wad, script)
    assert gates["O-8"].verdict is Verdict.FAIL
    diff = gates["O-8"].evidence["diff"]
    assert isinstance(diff, list)
    assert any(line.startswith("-") and "DSSHOTGN" in line for line in diff)


def test_an_oracle_of_something_else_reaches_no_gate(wad: Wad, oracle: Oracle, damaged: Path) -> None:
    with pytest.raises(OtherWadError, match="another script"):
        oracle.check_made_from(wad, Script())
    manifest = json.loads((damaged / "manifest.json").read_text())
    manifest["wad_hash"] = "0" * 64
    (damaged / "manifest.json").write_text(json.dumps(manifest))
    _, gates = verify(read_oracle(damaged), wad, Script())
    assert gates["engine"].verdict is Verdict.FAIL
    assert {gate.verdict for name, gate in gates.items() if name != "engine"} == {Verdict.NOT_REACHED}


def test_divergences_are_diagnosed(oracle: Oracle) -> None:
    frames = oracle.frames[:50]
    assert first_divergence(frames, frames) is None
    for change, kind in (
        ({"tic": 999}, "tic-clock"),
        ({"prndindex": 255}, "prng-drift"),
        ({"frame_hash": "0" * 64}, "picture"),
    ):
        other = [*frames[:30], dataclasses.replace(frames[30], **change), *frames[31:]]
        found = first_divergence(frames, other)
        assert found is not None
        assert found.number == 31
        assert found.diagnosis.kind == kind
    short = first_divergence(frames, frames[:20])
    assert short is not None
    assert short.diagnosis.kind == "length"


def test_a_folder_that_is_no_oracle_is_never_replaced(wad: Wad, tmp_path: Path) -> None:
    made = harvest(wad, Script(), (5,))
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to-mother").write_text("dear mother")
    for force in (False, True):
        with pytest.raises(FileExistsError):
            write_oracle(made, tmp_path / "letters", force=force)
    write_oracle(made, tmp_path / "oracle")
    with pytest.raises(FileExistsError):
        write_oracle(made, tmp_path / "oracle")
    write_oracle(made, tmp_path / "oracle", force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["letters", "oracle"]
