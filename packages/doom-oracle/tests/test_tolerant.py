"""Gates for captures that are not exact: what must pass passes, what must not does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cloudboot_base import UsageError
from cloudboot_doom_oracle import ManifestError, Oracle, Wad, read_oracle
from cloudboot_doom_oracle.audio import Wav, compare_envelopes, read_wav, statistics, wav_bytes
from cloudboot_doom_oracle.gates.tolerant import (
    canvas_of,
    chi_square,
    compare_inputs,
    compare_screens,
    guest_oracle_files,
    histogram,
    palette_colours,
    palette_signature,
)
from cloudboot_doom_oracle.oracle.files import ppm_bytes, read_ppm

CHANCE = np.random.default_rng(7)


def screen(canvas: np.ndarray) -> np.ndarray:
    whole = np.zeros((800, 1280, 3), np.uint8)
    whole[300:500, 480:800] = canvas
    return whole


def test_the_canvas_of_a_screendump() -> None:
    canvas = CHANCE.integers(0, 256, (200, 320, 3), dtype=np.uint8)
    assert (canvas_of(screen(canvas)) == canvas).all()
    with pytest.raises(UsageError, match="640x480"):
        canvas_of(np.zeros((480, 640, 3), np.uint8))


def test_guest_oracle_and_captures(oracle: Oracle, tmp_path: Path) -> None:
    captures = {point.tic: screen(oracle.picture(point)) for point in oracle.manifest.checkpoints}
    (tmp_path / "guest").mkdir()
    (tmp_path / "captures").mkdir()
    for name, content in guest_oracle_files(oracle, captures).items():
        (tmp_path / "guest" / name).write_bytes(content)
    guest = read_oracle(tmp_path / "guest")
    assert guest.manifest.tolerance_chi2 == 50_000.0
    for point in guest.manifest.checkpoints:
        picture = oracle.picture(point).copy()
        picture[:2] = 0  # two rows are late
        (tmp_path / "captures" / point.frame_ppm).write_bytes(ppm_bytes(screen(picture)))
    results = compare_screens(guest, tmp_path / "captures")
    assert all(result.passed and result.chi2 > 0 for result in results)
    for point in guest.manifest.checkpoints:
        (tmp_path / "captures" / point.frame_ppm).write_bytes(ppm_bytes(screen(np.zeros((200, 320, 3), np.uint8))))
    assert not any(result.passed for result in compare_screens(guest, tmp_path / "captures"))
    with pytest.raises(ManifestError, match="not harvested from a guest"):
        compare_screens(oracle, tmp_path / "captures")


def test_the_palette_is_a_signature(oracle: Oracle, wad: Wad) -> None:
    picture = oracle.picture(oracle.manifest.checkpoints[-1])
    assert palette_signature(picture, palette_colours(wad)) == 1.0
    noise = CHANCE.integers(0, 256, picture.shape, dtype=np.uint8)
    assert palette_signature(noise, palette_colours(wad)) < 0.01
    assert chi_square(histogram(picture), histogram(picture)) == 0


def test_input_verdicts(oracle: Oracle, tmp_path: Path) -> None:
    points = oracle.manifest.checkpoints
    title, played = oracle.picture(points[0]), oracle.picture(points[-1])
    for name in ("baseline", "keypress", "same"):
        (tmp_path / name).mkdir()
    for second in (15, 16, 30, 45, 60):
        (tmp_path / "baseline" / f"t{second}.ppm").write_bytes(ppm_bytes(screen(title)))
        (tmp_path / "same" / f"t{second}.ppm").write_bytes(ppm_bytes(screen(title)))
        late = title if second == 15 else played
        (tmp_path / "keypress" / f"t{second}.ppm").write_bytes(ppm_bytes(screen(late)))
    assert compare_inputs(tmp_path / "baseline", tmp_path / "keypress").verdict == "PASS-STRICT"
    assert compare_inputs(tmp_path / "baseline", tmp_path / "same").verdict == "FAIL"


def tone(level: float, seconds: int = 5) -> Wav:
    wave = np.sin(np.arange(44100 * seconds) * 0.05) * 32767 * level
    return Wav(44100, np.stack([wave, wave], axis=1).astype(np.int16))


def test_envelopes() -> None:
    compared = compare_envelopes(tone(0.5), tone(0.3))
    assert compared.ratio == 1.0
    assert compared.max_diff_db == pytest.approx(20 * np.log10(0.5 / 0.3), abs=0.01)
    assert compare_envelopes(tone(0.5), tone(0.2)).ratio == 0.0
    silence = Wav(44100, np.zeros((44100 * 5, 2), np.int16))
    assert compare_envelopes(tone(0.5), silence).max_diff_db > 80
    assert compare_envelopes(silence, silence).ratio == 1.0
    with pytest.raises(UsageError, match="shorter than one window"):
        compare_envelopes(silence, Wav(44100, np.zeros((10, 2), np.int16)))


def test_the_audio_command_on_the_oracles_own_reference(oracle: Oracle, tmp_path: Path) -> None:
    reference = oracle.folder / "reference.wav"
    exact = read_wav(oracle.folder / "reference-11025.wav")
    assert statistics(read_wav(reference)).rms == pytest.approx(statistics(exact).rms)
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "cloudboot_doom_oracle",
        "audio",
        "verify",
        "--reference",
        reference,
    ]
    done = subprocess.run([*command, "--capture", reference], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "PASS")
    (tmp_path / "loud.wav").write_bytes(wav_bytes(b"\xff\x7f" * 2 * 44100 * 10, 44100))
    done = subprocess.run([*command, "--capture", tmp_path / "loud.wav"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "FAIL")


def test_a_picture_that_is_cut_short() -> None:
    data = ppm_bytes(np.zeros((2, 3, 3), np.uint8))
    assert read_ppm(data, "p").shape == (2, 3, 3)
    with pytest.raises(ManifestError, match="not whole"):
        read_ppm(data[:-1], "p")
    with pytest.raises(ManifestError, match="not a binary PPM"):
        read_ppm(b"P5 1 1 255 x", "p")
