"""The engine against numbers that others published, and what it does when things go wrong."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from cloudboot_base.testing import judge
from cloudboot_doom_oracle import CDoomEngine, EngineError, Script, Wad, parse_script
from cloudboot_doom_oracle.engine.process import run_engine
from cloudboot_doom_oracle.engine.timedemo import chocolate_timed_demo, demos_of, timed_demo
from cloudboot_doom_oracle.oracle import run_once

WAD_SHA256 = "7323bcc168c5a45ff10749b339960e98314740a734c30d4b9f3337001f9e703d"
TITLE_SHA256 = "e7b37f614653647cd54fb27bd49b5d8f2e59b6f6c369fdb5ca87a3e9326349d8"


def test_the_title_pictures_are_those_another_engine_published(wad: Wad) -> None:
    """A Go port of the game published this digest for tics 1 to 140 of this WAD."""
    assert wad.sha256 == WAD_SHA256
    made = run_once(wad, Script(), (1, 35, 70, 140))
    assert {point.frame_hash for point in made.manifest.checkpoints} == {TITLE_SHA256}
    assert {(point.prndindex, point.mrndindex) for point in made.manifest.checkpoints} == {(0, 0)}
    assert made.frames[0].tic == 2  # this engine draws its first frame then


def test_frames_are_the_palettes_own_colours(wad: Wad) -> None:
    palettes = wad.lump("PLAYPAL")
    with run_engine(wad, Script()) as engine:
        frame = next(iter(engine.frames()))
    assert frame.palette == palettes[:768]
    assert frame.rgb().shape == (200, 320, 3)


def test_the_seed_is_where_the_random_tables_start(wad: Wad) -> None:
    plain, seeded = (run_once(wad, Script(), (175,), seed=seed) for seed in (0, 7))
    first = [(run.frames[0].prndindex, run.frames[0].mrndindex) for run in (plain, seeded)]
    assert first == [(0, 0), (7, 7)]
    assert plain.frames[-1].frame_hash != seeded.frames[-1].frame_hash


def test_keys_change_frames_from_their_tic_on(wad: Wad) -> None:
    plain, keyed = (run_once(wad, parse_script(text), (40,)) for text in ("", "20:keydown:esc\n22:keyup:esc"))
    first = next(a.tic for a, b in zip(plain.frames, keyed.frames, strict=True) if a.frame_hash != b.frame_hash)
    assert 20 <= first <= 22


def test_music_events_are_a_log_of_their_own(wad: Wad) -> None:
    made = run_once(wad, Script(), (175,))
    assert made.music_log.count(b"ChangeMusic") == 2
    assert b'"D_INTRO"' in made.music_log
    assert b"ChangeMusic" not in made.audio_log


def test_an_engine_that_dies_says_at_which_tic(wad: Wad) -> None:
    with CDoomEngine(wad) as engine, pytest.raises(EngineError) as caught:
        for frame in engine.frames():
            if frame.tic == 20:
                os.kill(engine.pid, signal.SIGKILL)
    assert caught.value.status == -signal.SIGKILL
    assert caught.value.tic >= 20


def test_an_engine_that_hangs(wad: Wad) -> None:
    with CDoomEngine(wad) as engine:
        frames = engine.frames()
        next(frames)
        os.kill(engine.pid, signal.SIGSTOP)
        engine._timeout = 0.3
        with pytest.raises(EngineError, match="hangs"):
            for _ in frames:
                pass


def test_an_engine_that_refuses_its_wad_says_why(tmp_path: Path, wad: Wad) -> None:
    # An IWAD by its header and needed lumps, without the rest: the engine's own error is quoted.
    names = ("PLAYPAL", "COLORMAP", "TITLEPIC")
    body, directory = b"", b""
    for name in names:
        directory += (12 + len(body)).to_bytes(4, "little") + len(wad.lump(name)).to_bytes(4, "little")
        directory += name.encode().ljust(8, b"\0")
        body += wad.lump(name)
    head = b"IWAD" + len(names).to_bytes(4, "little") + (12 + len(body)).to_bytes(4, "little")
    (tmp_path / "small.wad").write_bytes(head + body + directory)
    with (
        pytest.raises(EngineError, match="Unknown or invalid IWAD"),
        CDoomEngine(Wad(tmp_path / "small.wad")) as engine,
    ):
        next(iter(engine.frames()))


def test_another_engine_counts_the_same_tics_of_a_demo(wad: Wad) -> None:
    """The judge is Debian's chocolate-doom: a demo ends where the player left, so one tic astray is another number."""
    judge("chocolate-doom", "chocolate-doom")
    assert demos_of(wad) == ["demo1", "demo2", "demo3", "demo4"]
    ours, theirs = timed_demo(wad, "demo4"), chocolate_timed_demo(wad, "demo4")
    assert ours.gametics == theirs.gametics > 1000
    assert (ours.engine, theirs.engine) == ("cydoomgeneric 0.1.0", "chocolate-doom")


def test_a_demo_that_is_none_has_no_count(wad: Wad) -> None:
    judge("chocolate-doom", "chocolate-doom")
    for play in (timed_demo, chocolate_timed_demo):
        with pytest.raises(EngineError):
            play(wad, "demo9")
    with pytest.raises(EngineError, match=r"takes longer than 0\.05 s"):
        chocolate_timed_demo(wad, "demo1", seconds=0.05)
