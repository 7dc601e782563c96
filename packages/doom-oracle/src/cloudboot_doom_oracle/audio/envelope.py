"""Envelopes: the loudness of each second, for captures whose timing is not exact."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

import numpy as np

from cloudboot_base import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .wav import Wav

SILENCE_FLOOR: Final = 1.0
"""The least root mean square, in sample units: below it everything is silence."""
FULL_SCALE: Final = 32768.0
_FLOOR_DB: Final = float(20 * np.log10(SILENCE_FLOOR / FULL_SCALE))


@dataclasses.dataclass(frozen=True, slots=True)
class EnvelopeComparison:
    """Two envelopes, window by window, in dBFS. ``ratio`` is the share of windows within the tolerance.

    ``missing`` counts windows of the reference for which the capture is too short.
    """

    reference: tuple[float, ...]
    capture: tuple[float, ...]
    window_seconds: float
    tolerance_db: float
    ratio: float
    max_diff_db: float
    mean_diff_db: float
    missing: int = 0

    @property
    def silent(self) -> bool:
        """Whether every window of the reference is at the floor: equality with it proves nothing."""
        return max(self.reference) <= _FLOOR_DB

    def short(self, min_ratio: float) -> bool:
        """Whether the capture covers less than this share of the reference; one window, the last, may be missing."""
        return len(self.capture) + 1 < min_ratio * (len(self.capture) + self.missing)

    def passes(self, min_ratio: float) -> bool:
        """Whether enough windows are within the tolerance, of a reference with sound, and the capture has enough."""
        return self.ratio >= min_ratio and not self.short(min_ratio) and not self.silent


@dataclasses.dataclass(frozen=True, slots=True)
class WavStatistics:
    """What the samples are like; ``nonzero`` is a share, ``peak`` and ``rms`` are in sample units."""

    samples: int
    nonzero: float
    peak: int
    rms: float


def envelope(wav: Wav, window_seconds: float) -> NDArray[np.float64]:
    """The root mean square of each whole window over all channels, in dBFS, silence at the floor.

    Raises:
        UsageError: the window is shorter than a sample.
    """
    window = round(wav.rate * window_seconds)
    if window < 1:
        raise UsageError(f"a window of {window_seconds:g} s has no sample")
    count = len(wav.samples) // window
    if count == 0:
        return np.zeros(0)
    cut = wav.samples[: count * window].astype(np.float64).reshape(count, -1)
    rms = np.sqrt((cut**2).mean(axis=1))
    return np.asarray(20 * np.log10(np.maximum(rms, SILENCE_FLOOR) / FULL_SCALE))


def compare_envelopes(
    reference: Wav, capture: Wav, *, window_seconds: float = 1.0, tolerance_db: float = 6.0
) -> EnvelopeComparison:
    """Compare window by window over the length of the shorter one.

    Raises:
        UsageError: one of them has no whole window.
    """
    ours, theirs = envelope(reference, window_seconds), envelope(capture, window_seconds)
    count = min(len(ours), len(theirs))
    if count == 0:
        raise UsageError("a recording is shorter than one window")
    difference = np.abs(ours[:count] - theirs[:count])
    return EnvelopeComparison(
        tuple(ours[:count].tolist()),
        tuple(theirs[:count].tolist()),
        window_seconds,
        tolerance_db,
        float((difference <= tolerance_db).mean()),
        float(difference.max()),
        float(difference.mean()),
        len(ours) - count,
    )


def statistics(wav: Wav) -> WavStatistics:
    """Count, share of samples that are not zero, peak and loudness."""
    flat = wav.samples.astype(np.int64).ravel()
    if not len(flat):
        return WavStatistics(0, 0.0, 0, 0.0)
    rms = float(np.sqrt((flat.astype(np.float64) ** 2).mean()))
    return WavStatistics(len(flat), float((flat != 0).mean()), int(np.abs(flat).max()), rms)
