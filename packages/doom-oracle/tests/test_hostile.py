"""Files and processes that lie: an error that names file, field and tic, and nothing that was stored is lost."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_base import BudgetError, FileKindError
from cloudboot_doom_oracle import (
    CDoomEngine,
    EngineError,
    Manifest,
    ManifestError,
    Oracle,
    ScriptError,
    SoundEvent,
    Wad,
    WadError,
    WavError,
    read_oracle,
    read_script,
)
from cloudboot_doom_oracle.audio import compare_envelopes, read_wav, wav_bytes
from cloudboot_doom_oracle.audio.mixer import mix
from cloudboot_doom_oracle.engine.protocol import FRAME, HELLO, KEYS, MESSAGE, SOUND
from cloudboot_doom_oracle.gates.host import read_host_time
from cloudboot_doom_oracle.gates.tolerant import load_picture
from cloudboot_doom_oracle.oracle.files import read_ppm

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLES = bytes(range(200))


def command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "cloudboot_doom_oracle", *words]
    return subprocess.run(line, capture_output=True, text=True, check=False)


# WADs


def wad_of(lumps: dict[str, bytes], *, count: int | None = None, at: int | None = None) -> bytes:
    body, directory = b"", b""
    for name, content in lumps.items():
        directory += struct.pack("<II8s", 12 + len(body), len(content), name.encode())
        body += content
    count = len(lumps) if count is None else count
    return struct.pack("<4sII", b"IWAD", count, 12 + len(body) if at is None else at) + body + directory


NEEDED = {"PLAYPAL": bytes(768), "COLORMAP": bytes(256), "TITLEPIC": b"x"}


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (wad_of(NEEDED, count=1 << 31), "infotableofs"),
        (wad_of(NEEDED, at=1 << 31), "infotableofs"),
        (wad_of({**NEEDED, "PLAYPAL": bytes(767)}), "PLAYPAL"),
        (wad_of({**NEEDED, "PLAYPAL": bytes(1000)}), "PLAYPAL"),
        (wad_of(NEEDED)[:40], "infotableofs"),
    ],
)
def test_directories_and_palettes_that_cannot_be(tmp_path: Path, content: bytes, field: str) -> None:
    (tmp_path / "w.wad").write_bytes(content)
    with pytest.raises(WadError) as caught:
        Wad(tmp_path / "w.wad")
    assert (caught.value.field, caught.value.path) == (field, str(tmp_path / "w.wad"))


def test_lumps_that_overlap_are_read_as_they_stand(tmp_path: Path) -> None:
    whole = wad_of(NEEDED)
    entry = whole.index(struct.pack("<8s", b"TITLEPIC")) - 8
    (tmp_path / "w.wad").write_bytes(whole[:entry] + struct.pack("<II", 12, 700) + whole[entry + 8 :])
    wad = Wad(tmp_path / "w.wad")
    assert wad.lump("TITLEPIC") == wad.lump("PLAYPAL")[:700]


@pytest.mark.parametrize("read", [Wad, read_script, read_wav, load_picture, read_oracle, read_host_time])
def test_what_has_no_end_or_never_begins_is_not_read(read: Callable[[Path], object], tmp_path: Path) -> None:
    names: dict[object, str] = {read_oracle: "manifest.json", read_host_time: "timing.json"}
    path = tmp_path / names.get(read, "input")
    os.mkfifo(path)
    with pytest.raises(FileKindError, match="pipe"):
        read(tmp_path if read in names else path)
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(FileKindError, match="device"):
        read(tmp_path if read in names else path)


def test_an_error_in_a_script_names_its_file(tmp_path: Path) -> None:
    path = tmp_path / "script.txt"
    for content, problem in ((b"1:keydown:hyper", "no key 'hyper'"), (b"1:keydown:\xff", "not UTF-8 text")):
        path.write_bytes(content)
        with pytest.raises(ScriptError, match=problem) as caught:
            read_script(path)
        assert caught.value.path == str(path)
    path.write_bytes(b"1:keydown:enter\r\n2:keyup:enter\r\n")
    assert read_script(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(BudgetError, match="too large"):
        read_script(path)


def test_a_sound_of_one_frame_a_second_makes_no_hours(tmp_path: Path) -> None:
    lump = struct.pack("<HHI", 3, 1, 60_000) + bytes(range(256)) * 235
    (tmp_path / "w.wad").write_bytes(wad_of({**NEEDED, "DSLONG": lump}))
    event = SoundEvent(0, "play", "DSLONG", 0, 127, 127)
    assert not any(mix(Wad(tmp_path / "w.wad"), [event], 5))


@pytest.mark.parametrize(
    ("lump", "heard"),
    [
        (struct.pack("<HHI", 3, 11025, 100) + b"\xff" * 100, True),
        (struct.pack("<HHI", 3, 22050, 100) + b"\xff" * 100, True),
        (struct.pack("<HHI", 3, 0, 100) + b"\xff" * 100, True),  # no rate: that of the game
        (struct.pack("<HHI", 3, 11025, 49) + b"\xff" * 200, True),  # bytes behind the end
        (struct.pack("<HHI", 3, 11025, 48) + b"\xff" * 200, False),  # nothing but padding
        (struct.pack("<HHI", 3, 11025, 201) + b"\xff" * 200, False),  # shorter than it says
        (struct.pack("<HHI", 3, 11025, 0xFFFF_FFFF) + b"\xff" * 200, False),
        (struct.pack("<HHI", 0, 11025, 100) + b"\xff" * 100, False),  # the PC speaker's format
        (b"RIFF" + struct.pack("<I", 100) + b"WAVEfmt " + b"\xff" * 100, False),
        (b"OggS" + b"\xff" * 100, False),
        (b"\x03\x00\x11\x2b", False),  # shorter than a header
        (b"", False),
    ],
)
def test_sound_lumps_with_odd_headers(tmp_path: Path, lump: bytes, heard: bool) -> None:
    """What the game's sound code refuses is silence: PWADs of newer engines have other formats under these names."""
    (tmp_path / "w.wad").write_bytes(wad_of({**NEEDED, "DSODD": lump}))
    event = SoundEvent(0, "play", "DSODD", 0, 127, 127)
    assert any(mix(Wad(tmp_path / "w.wad"), [event], 3)) == heard


# Manifests and what stands beside them

POINT: dict[str, Any] = {
    "tic": 35,
    "frame_hash": "2" * 64,
    "frame_ppm": "frame_tic000035.ppm",
    "prndindex": 0,
    "mrndindex": 0,
    "frame_count": 68,
    "width": 320,
    "height": 200,
}
GOOD: dict[str, Any] = {
    "seed": 0,
    "wad": "x.wad",
    "wad_bytes": 1,
    "wad_hash": "0" * 64,
    "script_hash": "1" * 64,
    "gore_version": "e 1",
    "checkpoints": [POINT],
    "deterministic": True,
}


@pytest.mark.parametrize(
    ("change", "field", "where"),
    [
        ({"frame_hash": "AB" * 32}, "frame_hash", {"checkpoint": 2}),
        ({"frame_hash": None}, "frame_hash", {"checkpoint": 2}),
        ({"tic": 36.0}, "tic", {"checkpoint": 2}),
        ({"tic": 1 << 40}, "tic", {"tic": 1 << 40}),
        ({"tic": 3}, "checkpoints", {}),
        ({"frame_ppm": "a\0b"}, "frame_ppm", {"tic": 36}),
        ({"frame_ppm": "a/b"}, "frame_ppm", {"tic": 36}),
        ({"frame_ppm": ".."}, "frame_ppm", {"tic": 36}),
        ({"frame_ppm": ""}, "frame_ppm", {"tic": 36}),
        ({"width": 1 << 30}, "width", {"tic": 36}),
    ],
)
def test_a_checkpoint_that_cannot_be(change: dict[str, Any], field: str, where: dict[str, int]) -> None:
    points = [POINT, {**POINT, "tic": 36, **change}]
    with pytest.raises(ManifestError) as caught:
        Manifest.from_json(json.dumps({**GOOD, "checkpoints": points}).encode(), "m")
    assert (caught.value.field, caught.value.where, caught.value.path) == (field, where, "m")


@pytest.mark.parametrize("tolerance", [math.nan, math.inf, -1, "50000", True])
def test_a_tolerance_that_is_none(tolerance: object) -> None:
    with pytest.raises(ManifestError) as caught:
        Manifest.from_json(json.dumps({**GOOD, "tolerance_chi2": tolerance}).encode(), "m")
    assert caught.value.field == "tolerance_chi2"


@pytest.mark.parametrize("key", list(GOOD))
def test_a_key_that_is_missing_is_named(key: str) -> None:
    with pytest.raises(ManifestError) as caught:
        Manifest.from_json(json.dumps({name: value for name, value in GOOD.items() if name != key}).encode(), "m")
    assert caught.value.field == key


def test_keys_that_are_unknown_are_passed_over() -> None:
    facts = {**GOOD, "comment": [1, {"a": None}], "checkpoints": [{**POINT, "note": "x"}]}
    assert json.loads(Manifest.from_json(json.dumps(facts).encode(), "m").to_json()) == GOOD


@pytest.mark.parametrize(
    "rows", ["[]", "{}", "[[1]]", '[[Infinity, "a", 0, 0]]', '[[1, "a", 0, 0], [2, "a", 0, 0.5]]', "[[", "[" * 9999]
)
def test_a_list_of_frames_that_is_none(oracle: Oracle, tmp_path: Path, rows: str) -> None:
    shutil.copytree(oracle.folder, tmp_path / "o")
    (tmp_path / "o" / "frames.json").write_text(rows)
    with pytest.raises(ManifestError) as caught:
        _ = read_oracle(tmp_path / "o").frames
    assert caught.value.path == str(tmp_path / "o" / "frames.json")
    if rows.endswith("0.5]]"):
        assert caught.value.where == {"frame": 2}


def test_a_picture_that_is_another_is_named_with_its_tic(oracle: Oracle, tmp_path: Path) -> None:
    shutil.copytree(oracle.folder, tmp_path / "o")
    point = oracle.manifest.checkpoints[2]
    path = tmp_path / "o" / point.frame_ppm
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ManifestError) as caught:
        read_oracle(tmp_path / "o").picture(point)
    assert (caught.value.where, caught.value.path) == ({"tic": 70}, str(path))
    done = command("verify", tmp_path / "o", "--no-guest", "--json")
    told = json.loads(done.stdout)  # the gates' verdicts are told although the calibration has no picture to change
    assert (done.returncode, told["calibration"]) == (1, None)
    assert told["gates"][0]["error"]["hint"].startswith("other-source")


@pytest.mark.parametrize(
    "head", [b"P6 " + b"9" * 5000 + b" 1 255\n", b"P6\n320 200\n65535\n", b"P6\n-1 1\n255\n", b"P6"]
)
def test_pictures_that_cannot_be(head: bytes) -> None:
    with pytest.raises(ManifestError):
        read_ppm(head, "p")
    assert read_ppm(b"P6     255 1\n255\n" + bytes(765), "p").shape == (1, 255, 3)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_picture_or_an_error(data: bytes) -> None:
    try:
        picture = read_ppm(b"P6 2 1 255 " + data, "p")
    except ManifestError:
        assert len(data) != 6
        return
    assert picture.tobytes() == data


# Sounds


def chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def riff(*chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + sum(map(len, chunks))) + b"WAVE" + b"".join(chunks)


def fmt(coding: int, *, bits: int = 16, extension: bytes = b"") -> bytes:
    return chunk(b"fmt ", struct.pack("<HHIIHH", coding, 2, 11025, 44100, 4, bits) + extension)


GUID = bytes.fromhex("000000001000800000aa00389b71")


def extension(coding: int) -> bytes:
    return struct.pack("<HHI", 22, 16, 3) + struct.pack("<H", coding) + GUID


@pytest.mark.parametrize(
    "data",
    [
        riff(fmt(1), chunk(b"data", SAMPLES)),
        riff(chunk(b"JUNK", b"odd"), fmt(1), chunk(b"LIST", bytes(33)), chunk(b"data", SAMPLES), chunk(b"id3 ", b"x")),
        riff(fmt(0xFFFE, extension=extension(1)), chunk(b"data", SAMPLES)),
        riff(fmt(1), b"data" + b"\xff" * 4 + SAMPLES),
        riff(fmt(1), b"data" + bytes(4) + SAMPLES + b"\x01\x02\x03"),  # half a frame behind a killed writer
    ],
)
def test_sound_files_that_are_read(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(data)
    found = read_wav(tmp_path / "a.wav")
    assert (found.rate, found.samples.tobytes()) == (11025, SAMPLES)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (riff(fmt(3, bits=32), chunk(b"data", SAMPLES)), "not 16-bit PCM"),
        (riff(fmt(0xFFFE, bits=32, extension=extension(3)), chunk(b"data", SAMPLES)), "not 16-bit PCM"),
        (riff(fmt(0xFFFE, extension=extension(1)[:-1] + b"\0"), chunk(b"data", SAMPLES)), "not 16-bit PCM"),
        (riff(fmt(1, bits=8), chunk(b"data", SAMPLES)), "not 16-bit PCM"),
        (riff(chunk(b"data", SAMPLES), fmt(1)), "before the format"),
        (riff(fmt(1), b"JUNK" + struct.pack("<I", 1 << 31)), "past the end"),
        (riff(fmt(1), b"data" + struct.pack("<I", 1 << 31) + SAMPLES), "cut short"),
        (riff(fmt(1)), "no samples"),
        (b"RIFX" + bytes(40), "not a WAV file"),
    ],
)
def test_sound_files_that_are_not(tmp_path: Path, data: bytes, problem: str) -> None:
    (tmp_path / "a.wav").write_bytes(data)
    with pytest.raises(WavError, match=problem) as caught:
        read_wav(tmp_path / "a.wav")
    assert caught.value.path == str(tmp_path / "a.wav")


def test_a_recording_that_ends_early_does_not_pass(tmp_path: Path) -> None:
    """The windows that are there are equal; a machine that died after a third of the run is told from one that ran."""
    noise = np.random.default_rng(4).integers(-9999, 9999, (11025 * 30, 2), dtype=np.int16)
    for name, seconds in (("whole", 30), ("late", 29), ("third", 10)):
        (tmp_path / f"{name}.wav").write_bytes(wav_bytes(noise[: 11025 * seconds].tobytes(), 11025))
    whole, late, third = (read_wav(tmp_path / f"{name}.wav") for name in ("whole", "late", "third"))
    assert compare_envelopes(whole, late).passes(0.95)
    assert compare_envelopes(late, whole).passes(0.95)
    compared = compare_envelopes(whole, third)
    assert (compared.ratio, compared.missing, compared.passes(0.95)) == (1.0, 20, False)
    words: list[str | Path] = ["--reference", tmp_path / "whole.wav", "--capture", tmp_path / "third.wav", "--json"]
    done = command("audio", "verify", *words)
    told = json.loads(done.stdout)
    assert (done.returncode, told["diagnosis"]["kind"]) == (1, "sound-short")


def test_a_silent_reference_proves_nothing(tmp_path: Path) -> None:
    """A guest on a slow machine recorded silence, and silence is equal to the silence before another's first sound."""
    (tmp_path / "silence.wav").write_bytes(wav_bytes(bytes(4 * 11025 * 5), 11025))
    words: list[str | Path] = ["--reference", tmp_path / "silence.wav", "--capture", tmp_path / "silence.wav", "--json"]
    done = command("audio", "verify", *words)
    told = json.loads(done.stdout)
    assert (done.returncode, told["ratio"], told["diagnosis"]["kind"]) == (1, 1.0, "sound-silent")


@pytest.mark.parametrize(
    "words",
    [
        ("audio", "verify", "--window-seconds", "nan"),
        ("audio", "verify", "--window-seconds", "inf"),
        ("audio", "verify", "--window-seconds", "0"),
        ("audio", "verify", "--min-ratio", "1.5"),
        ("audio", "verify", "--tolerance-db", "-6"),
        ("soak", "--sample-every", "0"),
        ("soak", "--tics", "-5"),
    ],
)
def test_numbers_that_make_no_sense_are_wrong_usage(words: tuple[str, ...], tmp_path: Path) -> None:
    files = ["--reference", "a.wav", "--capture", "b.wav"] if words[0] == "audio" else []
    done = command(*words, *files)
    assert done.returncode == 2, done.stderr
    assert words[-1] in done.stderr


def test_a_script_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"1:keydown:\xff\n")
    done = command("harvest", "--script", tmp_path / "s", "--json")
    told = json.loads(done.stdout or done.stderr)
    assert done.returncode == 2
    assert str(tmp_path / "s") in json.dumps(told)


# Engines


@pytest.fixture
def impostor(wad: Wad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An engine whose process writes ``content`` on its pipe and then does what ``ending`` says."""

    def make(content: bytes, ending: str = "") -> CDoomEngine:
        program = tmp_path / "python"
        program.write_text(
            f"#!{sys.executable}\nimport os, sys, time\nos.write(int(sys.argv[4]), {content!r})\n{ending}\n"
        )
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", os.fspath(program))
        return CDoomEngine(wad, timeout=60.0)

    return make


HELLO_MESSAGE = MESSAGE.pack(HELLO, len(b'["x 1", true]')) + b'["x 1", true]'


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 5, b"garbage on the pipe, and more of it" * 9, MESSAGE.pack(HELLO, 2) + b"{}"]
)
def test_an_engine_that_does_not_start(impostor: Any, content: bytes) -> None:
    with pytest.raises(EngineError) as caught:
        impostor(content, "print('out of zone memory'); sys.exit(3)")
    assert caught.value.where == {"tic": 0}


@pytest.mark.parametrize(
    "message",
    [
        (FRAME, b"short"),
        (SOUND, b'[1, "play"]'),
        (SOUND, b"\xff"),
        (SOUND, b"[" * 5000),
        (KEYS, b"123"),
        (b"?", b""),
    ],
)
def test_an_engine_that_writes_garbage(impostor: Any, message: tuple[bytes, bytes]) -> None:
    kind, payload = message
    content = HELLO_MESSAGE + MESSAGE.pack(KEYS, 4) + struct.pack("<I", 17) + MESSAGE.pack(kind, len(payload)) + payload
    with impostor(content, "time.sleep(60)") as engine, pytest.raises(EngineError, match="message") as caught:
        next(engine.frames())
    assert (caught.value.tic, engine.current_tic, engine.version) == (17, 17, "x 1")


def test_an_engine_that_dies_with_last_words(impostor: Any) -> None:
    with (
        impostor(HELLO_MESSAGE, "print('Z_Malloc: failed', flush=True); os._exit(9)") as engine,
        pytest.raises(EngineError, match="Z_Malloc: failed") as caught,
    ):
        next(engine.frames())
    assert caught.value.status == 9


def test_a_failed_harvest_leaves_the_old_oracle(oracle: Oracle, wad: Wad, tmp_path: Path) -> None:
    shutil.copytree(oracle.folder, tmp_path / "o")
    before = {path.name: path.read_bytes() for path in (tmp_path / "o").iterdir()}
    (tmp_path / "small.wad").write_bytes(wad_of({name: wad.lump(name) for name in NEEDED}))
    words: list[str | Path] = ["harvest", "--wad", tmp_path / "small.wad", "--out", tmp_path / "o", "--force"]
    done = command(*words)
    assert (done.returncode, "Unknown or invalid IWAD" in done.stderr) == (31, True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "o").iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o", "small.wad"]
