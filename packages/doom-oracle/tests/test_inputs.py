"""WADs, scripts, manifests and sound files that cannot be used: each is an error that says what and where."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_doom_oracle import KEYS, Manifest, ManifestError, ScriptError, Wad, WadError, WavError, parse_script
from cloudboot_doom_oracle.audio import read_wav, wav_bytes


def wad_file(folder: Path, content: bytes) -> Path:
    path = folder / "test.wad"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "shorter than a WAD's header"),
        (b"PWAD" + bytes(8), "a PWAD extends a game"),
        (b"nothing at all", "not a WAD"),
        (b"IWAD" + struct.pack("<II", 1000, 12), "the directory reaches past the end"),
        (b"IWAD" + struct.pack("<II", 0xFFFFFFFF, 0xFFFFFFFF), "the directory reaches past the end"),
        (b"IWAD" + struct.pack("<II", 1, 12) + struct.pack("<II8s", 0, 999, b"X"), "a lump reaches past the end"),
        (b"IWAD" + struct.pack("<II", 0, 12), "no PLAYPAL"),
    ],
)
def test_what_is_no_iwad(tmp_path: Path, content: bytes, problem: str) -> None:
    with pytest.raises(WadError, match=problem) as caught:
        Wad(wad_file(tmp_path, content))
    assert caught.value.field
    assert caught.value.path == str(tmp_path / "test.wad")


def test_a_truncated_wad(tmp_path: Path, wad: Wad) -> None:
    with pytest.raises(WadError, match="past the end"):
        Wad(wad_file(tmp_path, wad.data[: len(wad.data) // 2]))


def test_the_last_lump_of_a_name_counts(wad: Wad) -> None:
    assert len(wad.lump("PLAYPAL")) % 768 == 0
    with pytest.raises(WadError, match="no lump NOSUCH"):
        wad.lump("NOSUCH")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("20:keydown:enter\n10:keyup:enter", "tic 10 follows tic 20"),
        ("1:keydown:hyper", "there is no key 'hyper'"),
        ("1:press:enter", "not <tic>:keydown:KEY"),
        ("-1:keydown:enter", "not <tic>:keydown:KEY"),
        ("1:keydown:enter\n2:keydown:ret", "down already"),
        ("1:keyup:enter", "not down"),
    ],
)
def test_scripts_that_cannot_be_used(text: str, problem: str) -> None:
    with pytest.raises(ScriptError, match=problem) as caught:
        parse_script(text)
    assert caught.value.where["line"] == len(text.splitlines())


@given(st.text(max_size=200))
def test_any_text_is_a_script_or_an_error(text: str) -> None:
    try:
        events = parse_script(text).events
    except ScriptError:
        return
    assert [event.tic for event in events] == sorted(event.tic for event in events)


def test_the_key_table_has_no_key_twice() -> None:
    for column in range(4):
        values = [key[column] for key in KEYS]
        assert len(values) == len(set(values)), column
    table = {key.qcode: (key.evdev, key.hid, key.doom) for key in KEYS}
    # Linux's input-event-codes.h, the HID usage tables (page 7), and doomkeys.h.
    assert table["ret"] == (28, 0x28, 13)
    assert table["esc"] == (1, 0x29, 27)
    assert table["down"] == (108, 0x51, 0xAF)
    assert table["a"] == (30, 0x04, ord("a"))
    assert table["0"] == (11, 0x27, ord("0"))
    assert table["f11"] == (87, 0x44, 0x80 + 0x57)


GOOD = {
    "seed": 0,
    "wad": "x.wad",
    "wad_bytes": 1,
    "wad_hash": "0" * 64,
    "script_hash": "1" * 64,
    "gore_version": "e 1",
    "checkpoints": [
        {
            "tic": 35,
            "frame_hash": "2" * 64,
            "frame_ppm": "frame_tic000035.ppm",
            "prndindex": 0,
            "mrndindex": 0,
            "frame_count": 68,
            "width": 320,
            "height": 200,
        }
    ],
    "deterministic": True,
}


def test_the_manifest_has_the_published_keys() -> None:
    manifest = Manifest.from_json(json.dumps(GOOD).encode(), "m")
    assert json.loads(manifest.to_json()) == GOOD
    assert list(json.loads(manifest.to_json())) == list(GOOD)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": "0"},
        {"seed": True},
        {"wad_hash": "xyz"},
        {"checkpoints": []},
        {"checkpoints": [1]},
        {"checkpoints": GOOD["checkpoints"] * 2},  # type: ignore[operator]  # a list
        {"checkpoints": [{**GOOD["checkpoints"][0], "frame_ppm": "../../etc/passwd"}]},  # type: ignore[index]  # a list
        {"deterministic": None},
    ],
)
def test_damaged_manifests(change: dict[str, object]) -> None:
    with pytest.raises(ManifestError) as caught:
        Manifest.from_json(json.dumps({**GOOD, **change}).encode(), "m")
    assert caught.value.path == "m"


@given(st.binary(max_size=100))
def test_any_bytes_are_no_manifest(data: bytes) -> None:
    with pytest.raises(ManifestError):
        Manifest.from_json(data, "m")


def test_a_wav_file_comes_back_and_a_short_one_does_not(tmp_path: Path) -> None:
    samples = bytes(range(200))
    data = wav_bytes(samples, 11025)
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    assert read_wav(path).samples.tobytes() == samples
    assert read_wav(path).rate == 11025
    path.write_bytes(data[:-10])
    with pytest.raises(WavError, match="cut short"):
        read_wav(path)
    for size in range(0, 44, 4):
        path.write_bytes(data[:size])
        with pytest.raises(WavError):
            read_wav(path)
    path.write_bytes(data.replace(b"data" + len(samples).to_bytes(4, "little"), b"data" + bytes(4)))
    assert read_wav(path).samples.tobytes() == samples  # what a killed QEMU leaves
