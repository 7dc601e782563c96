"""What the tolerant gates accept and refuse, measured on an oracle's own pictures and sound.

A threshold says little by itself. Here known changes are made to each checkpoint's picture and to the reference
recording, and the gate's own comparison is run on them. What it accepts although it changed is what a passing
tolerant gate leaves open for this oracle.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

import numpy as np

from cloudboot_base import UsageError
from cloudboot_doom_oracle.audio.envelope import compare_envelopes
from cloudboot_doom_oracle.audio.wav import Wav

from .tolerant import TOLERANCE_CHI2, chi_square, histogram

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cloudboot_doom_oracle.oracle import Oracle

TOLERANCE_DB: Final = 6.0
MIN_RATIO: Final = 0.95
WINDOW_SECONDS: Final = 1.0
_LATE_ROWS: Final = 2


@dataclasses.dataclass(frozen=True, slots=True)
class ScreenCase:
    """A changed picture of a checkpoint: the chi-square distance from the picture itself, and the gate's verdict."""

    tic: int
    change: str
    chi2: float
    accepted: bool


@dataclasses.dataclass(frozen=True, slots=True)
class SoundCase:
    """A changed recording: the share of windows within the tolerance, the largest difference, the gate's verdict."""

    change: str
    ratio: float
    max_diff_db: float
    accepted: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Calibration:
    """The measurements. ``sounds`` is empty where there is no recording, or it is shorter than a window."""

    tolerance_chi2: float
    tolerance_db: float
    min_ratio: float
    window_seconds: float
    screens: tuple[ScreenCase, ...]
    sounds: tuple[SoundCase, ...]


def _gamma(canvas: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The first gamma table of DOOM's C source: values below 128 become one more."""
    return np.where(canvas < 128, canvas + 1, canvas).astype(np.uint8)


def _pictures(canvas: NDArray[np.uint8]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    late = canvas.copy()
    late[:_LATE_ROWS] = 0
    yield "the same picture", canvas
    yield "mirrored", canvas[:, ::-1]
    yield f"the first {_LATE_ROWS} rows black", late
    yield "every value below 128 one higher", _gamma(canvas)
    yield "red and blue exchanged", canvas[:, :, ::-1]
    yield "black", np.zeros_like(canvas)


def _recordings(sound: Wav, window_seconds: float, tolerance_db: float) -> Iterator[tuple[str, Wav]]:
    def changed(samples: NDArray[np.int16]) -> Wav:
        return Wav(sound.rate, samples)

    def quieter(decibels: float) -> Wav:
        return changed(np.rint(sound.samples * 10 ** (-decibels / 20)).astype(np.int16))

    window = round(sound.rate * window_seconds)
    yield "the same recording", sound
    yield "channels exchanged", changed(sound.samples[:, ::-1])
    for decibels in (tolerance_db - 1, tolerance_db + 1):
        yield f"{decibels:g} dB quieter", quieter(decibels)
    for share, name in ((4, "a quarter of a window"), (1, "a window")):
        late = np.zeros_like(sound.samples)
        late[window // share :] = sound.samples[: len(sound.samples) - window // share]
        yield f"{name} late", changed(late)
    yield "backwards", changed(sound.samples[::-1])
    yield "silence", changed(np.zeros_like(sound.samples))


def calibrate(
    oracle: Oracle,
    *,
    tolerance_chi2: float | None = None,
    tolerance_db: float = TOLERANCE_DB,
    min_ratio: float = MIN_RATIO,
    window_seconds: float = WINDOW_SECONDS,
) -> Calibration:
    """Measure what the tolerant gates make of known changes.

    Args:
        oracle: whose pictures and recording are changed.
        tolerance_chi2: the threshold; that of the oracle's manifest, or the default, if it is not given.
        tolerance_db: as the audio gate's option.
        min_ratio: as the audio gate's option.
        window_seconds: as the audio gate's option.

    Raises:
        ManifestError: a picture of the oracle is damaged.
        WavError: its recording is damaged.
        OSError: a file is missing.
    """
    limit = tolerance_chi2
    if limit is None:
        limit = oracle.manifest.tolerance_chi2 if oracle.manifest.tolerance_chi2 is not None else TOLERANCE_CHI2
    pictures = {point.tic: oracle.picture(point) for point in oracle.manifest.checkpoints}
    screens = []
    for tic, canvas in pictures.items():
        own = histogram(canvas)
        cases = [*_pictures(canvas)]
        cases += [(f"the picture of tic {other}", pictures[other]) for other in pictures if other != tic]
        for change, picture in cases:
            distance = chi_square(own, histogram(picture))
            screens.append(ScreenCase(tic, change, distance, distance <= limit))
    sounds = []
    try:
        sound = oracle.exact_sound
        for change, recording in _recordings(sound, window_seconds, tolerance_db):
            compared = compare_envelopes(sound, recording, window_seconds=window_seconds, tolerance_db=tolerance_db)
            sounds.append(SoundCase(change, compared.ratio, compared.max_diff_db, compared.passes(min_ratio)))
    except UsageError:  # shorter than a window: the audio gate refuses it too
        sounds = []
    except FileNotFoundError:
        if oracle.manifest.deterministic:
            raise
        sounds = []  # an oracle of a guest's screendumps has no recording
    return Calibration(limit, tolerance_db, min_ratio, window_seconds, tuple(screens), tuple(sounds))
