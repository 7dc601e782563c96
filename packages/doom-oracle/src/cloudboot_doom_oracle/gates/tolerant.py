"""Gates for captures of guests that run free: their timing is not the oracle's, so equality is out of reach.

The screen is compared by histograms of the canvas, sound by the loudness of each second (:mod:`..audio.envelope`), and
input by what a key changes between two runs.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from cloudboot_base import UsageError
from cloudboot_base.storage import read_file
from cloudboot_doom_oracle.errors import ManifestError
from cloudboot_doom_oracle.oracle.files import LARGEST_FILE, MANIFEST, ppm_bytes, read_ppm

from .diagnosis import DIAGNOSES, Diagnosis, of_distance
from .rig import CANVAS_HEIGHT, CANVAS_WIDTH, CANVAS_X, CANVAS_Y, SCREEN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cloudboot_doom_oracle.oracle import Oracle
    from cloudboot_doom_oracle.oracle.manifest import Manifest
    from cloudboot_doom_oracle.wad import Wad

TOLERANCE_CHI2: Final = 50_000.0
INPUT_SECONDS: Final = (15, 16, 30, 45, 60)
"""When screendumps are taken; keys are pressed at the first."""
INPUT_KEYS: Final = ("ret", "esc", "down", "ret")
CALIBRATION_MARGIN: Final = 2.0
"""The calibrated threshold is so many times the largest distance that was measured: a choice, not a measurement."""
_COLOURS: Final = 32
_TOP: Final = 5
_STRICT_RATIO: Final = 10.0
_STRICT_DELTA: Final = 0.5
#: Two runs without a difference in what they do were measured at a distance of 52; a menu changes thousands.
_DRIFT: Final = 1000.0


def canvas_of(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The 320x200 canvas of a screendump: rows 300 to 499, columns 480 to 799 of 1280x800. A canvas is itself.

    Raises:
        UsageError: the picture has another size.
    """
    height, width = picture.shape[:2]
    if (width, height) == (CANVAS_WIDTH, CANVAS_HEIGHT):
        return picture
    if (width, height) != SCREEN:
        raise UsageError(f"a screendump of {width}x{height}; 1280x800 or the canvas of 320x200 is needed")
    return picture[CANVAS_Y : CANVAS_Y + CANVAS_HEIGHT, CANVAS_X : CANVAS_X + CANVAS_WIDTH]


def histogram(canvas: NDArray[np.uint8]) -> Counter[int]:
    """How many pixels have each colour, as 0xRRGGBB."""
    flat = canvas.reshape(-1, 3).astype(np.int64)
    values, counts = np.unique(flat[:, 0] << 16 | flat[:, 1] << 8 | flat[:, 2], return_counts=True)
    return Counter(dict(zip(values.tolist(), counts.tolist(), strict=True)))


def chi_square(ours: Counter[int], theirs: Counter[int], colours: int | None = None) -> float:
    """The chi-square distance of two histograms, over all colours or the union of their most frequent ones."""
    keys = (
        set(ours) | set(theirs)
        if colours is None
        else {colour for side in (ours, theirs) for colour, _ in side.most_common(colours)}
    )
    return float(sum((ours[key] - theirs[key]) ** 2 / (ours[key] + theirs[key]) for key in keys))


def top_delta(ours: Counter[int], theirs: Counter[int]) -> float:
    """1 minus the Jaccard index of the five most frequent colours: 0 the same five, 1 no common one."""
    left, right = ({colour for colour, _ in side.most_common(_TOP)} for side in (ours, theirs))
    return 1 - len(left & right) / len(left | right) if left | right else 0.0


def _chromatic(canvas: NDArray[np.uint8]) -> Counter[int]:
    """The histogram without black, which is what a display shows before anything is drawn."""
    counts = histogram(canvas)
    del counts[0]
    return counts


def palette_colours(wad: Wad) -> frozenset[int]:
    """The colours that a game with this WAD can show, as 0xRRGGBB.

    Engines show a palette as it is, through the first gamma table of DOOM's C source (below 128 one higher), or through
    that table with the lowest two bits cleared, as chocolate-doom does. Each of the three counts.
    """
    plain = np.frombuffer(wad.lump("PLAYPAL"), np.uint8).reshape(-1, 3).astype(np.int64)
    gamma = np.where(plain < 128, plain + 1, plain)
    palettes = np.concatenate([plain, gamma, gamma & ~3])
    return frozenset((palettes[:, 0] << 16 | palettes[:, 1] << 8 | palettes[:, 2]).tolist())


def palette_signature(canvas: NDArray[np.uint8], colours: frozenset[int]) -> float:
    """The share of pixels whose colour is one of :func:`palette_colours`: 1.0 for what the game can draw.

    Black is a colour of every palette, so a black canvas has 1.0, too.
    """
    counts = histogram(canvas)
    return sum(count for colour, count in counts.items() if colour in colours) / counts.total()


@dataclasses.dataclass(frozen=True, slots=True)
class CanvasStatistics:
    """What is on a canvas of 64,000 pixels.

    ``nonblack`` counts pixels that are not black, ``colours`` the distinct colours without black. ``top`` is the most
    frequent of those as red, green, blue, or ``None`` on a black canvas, and ``top_count`` how many pixels have it.
    ``signature`` is the :func:`palette_signature`, or ``None`` where no WAD is at hand.
    """

    nonblack: int
    colours: int
    top: tuple[int, int, int] | None
    top_count: int
    signature: float | None


def canvas_statistics(canvas: NDArray[np.uint8], colours: frozenset[int] | None = None) -> CanvasStatistics:
    """Count what is on a canvas; ``colours`` are :func:`palette_colours`."""
    counts = _chromatic(canvas)
    # Of colours that are equally frequent, the smallest: the same picture has the same statistics.
    colour, count = min(counts.items(), key=lambda item: (-item[1], item[0]), default=(None, 0))
    top = None if colour is None else (colour >> 16, colour >> 8 & 0xFF, colour & 0xFF)
    signature = None if colours is None else palette_signature(canvas, colours)
    return CanvasStatistics(counts.total(), len(counts), top, count, signature)


@dataclasses.dataclass(frozen=True, slots=True)
class ScreenComparison:
    """One checkpoint of a guest oracle and a capture."""

    tic: int
    chi2: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the distance is within the tolerance."""
        return self.chi2 <= self.tolerance

    @property
    def diagnosis(self) -> Diagnosis | None:
        """What the distance says, where it is over the tolerance."""
        return of_distance(self.chi2, self.tolerance)


def load_picture(path: Path) -> NDArray[np.uint8]:
    """The canvas in a PPM file.

    Raises:
        ManifestError: it is no PPM, or is cut short.
        UsageError: it has another size.
        OSError: it cannot be read.
    """
    return canvas_of(read_ppm(read_file(path, LARGEST_FILE), os.fspath(path)))


def compare_screens(guest_oracle: Oracle, captures: Path) -> list[ScreenComparison]:
    """Compare the checkpoints of a guest oracle with pictures of the same names in ``captures``.

    Raises:
        ManifestError: the oracle has no tolerance, so it was not made from a guest, or a picture is damaged.
    """
    tolerance = guest_oracle.manifest.tolerance_chi2
    if tolerance is None:
        raise ManifestError(
            "the oracle was not harvested from a guest", structure="manifest", field="tolerance_chi2",
            path=os.fspath(guest_oracle.folder), hint="guest-harvest makes one of screendumps",
        )  # fmt: skip
    results = []
    for checkpoint in guest_oracle.manifest.checkpoints:
        expected = histogram(guest_oracle.picture(checkpoint))
        actual = histogram(load_picture(captures / checkpoint.frame_ppm))
        results.append(ScreenComparison(checkpoint.tic, chi_square(expected, actual), tolerance))
    return results


def distances_between(captures: Sequence[Mapping[int, NDArray[np.uint8]]]) -> dict[int, float]:
    """By tic, the largest chi-square distance between the pictures of any two runs.

    Args:
        captures: for each run a picture of each tic, the same tics in all.
    """
    found = {}
    for tic in captures[0]:
        counts = [histogram(canvas_of(run[tic])) for run in captures]
        found[tic] = max((chi_square(*pair) for pair in itertools.combinations(counts, 2)), default=0.0)
    return found


def calibrated_tolerance(distances: Mapping[int, float]) -> float:
    """The threshold that follows from :func:`distances_between` runs that do the same.

    Runs whose histograms are all equal give 0, which accepts equal histograms alone.
    """
    return CALIBRATION_MARGIN * max(distances.values())


def guest_oracle_files(
    oracle: Oracle, captures: Mapping[int, NDArray[np.uint8]], tolerance: float = TOLERANCE_CHI2
) -> dict[str, bytes]:
    """The files of a guest oracle: the canvas of each checkpoint as it was captured, and a manifest with the tolerance.

    Raises:
        UsageError: a checkpoint has no capture.
    """
    import hashlib

    checkpoints = []
    files = {}
    for checkpoint in oracle.manifest.checkpoints:
        if checkpoint.tic not in captures:
            raise UsageError(f"there is no capture of tic {checkpoint.tic}")
        canvas = np.ascontiguousarray(canvas_of(captures[checkpoint.tic]))
        digest = hashlib.sha256(canvas.tobytes()).hexdigest()
        files[checkpoint.frame_ppm] = ppm_bytes(canvas)
        checkpoints.append(dataclasses.replace(checkpoint, frame_hash=digest))
    manifest: Manifest = dataclasses.replace(
        oracle.manifest, checkpoints=tuple(checkpoints), deterministic=False, tolerance_chi2=tolerance
    )
    return {MANIFEST: manifest.to_json().encode(), **files}


@dataclasses.dataclass(frozen=True, slots=True)
class InputComparison:
    """Two runs, one with keys. ``chi2`` and ``delta`` are by second; ``verdict`` is PASS-STRICT, PASS or FAIL.

    ``diagnosis`` says what a FAIL looks like. ``statistics`` has by second those of the run without keys, and those of
    the run with keys.
    """

    chi2: dict[int, float]
    delta: dict[int, float]
    ratio: float
    verdict: str
    diagnosis: Diagnosis | None = None
    statistics: dict[int, tuple[CanvasStatistics, CanvasStatistics]] = dataclasses.field(default_factory=dict)


def compare_inputs(
    baseline: Path,
    keypress: Path,
    seconds: Sequence[int] = INPUT_SECONDS,
    colours: frozenset[int] | None = None,
) -> InputComparison:
    """Compare screendumps ``t15.ppm``, ... of two runs; keys were pressed right after the first.

    Black does not count. The first pair shows how much two runs differ by themselves. PASS-STRICT: the largest later
    distance is at least ten times that, and at least half of the five most frequent colours changed. PASS: it is larger
    by a factor of two. ``colours`` are :func:`palette_colours`, for the statistics; no verdict depends on them.

    Raises:
        UsageError: fewer than two moments, or a picture of another size.
        ManifestError: a picture is damaged.
    """
    if len(seconds) < 2:
        raise UsageError("at least two moments are needed: before the keys, and after")
    chi2, delta, statistics = {}, {}, {}
    seen = [False, False]  # whether a run showed anything but black
    for second in seconds:
        without, with_keys = (load_picture(folder / f"t{second}.ppm") for folder in (baseline, keypress))
        statistics[second] = (canvas_statistics(without, colours), canvas_statistics(with_keys, colours))
        ours, theirs = _chromatic(without), _chromatic(with_keys)
        chi2[second] = chi_square(ours, theirs, _COLOURS)
        delta[second] = top_delta(ours, theirs)
        seen = [was or bool(+counts) for was, counts in zip(seen, (ours, theirs), strict=True)]
    before, *after = seconds
    ratio = max(chi2[second] for second in after) / max(chi2[before], 1.0)
    largest = max(delta[second] for second in after)
    if ratio >= _STRICT_RATIO and largest >= _STRICT_DELTA:
        verdict = "PASS-STRICT"
    else:
        verdict = "PASS" if ratio >= 2 else "FAIL"
    if not all(seen):  # a black picture differs from every other, which is not what a key did
        verdict = "FAIL"
    diagnosis = None if verdict != "FAIL" else _of_runs(chi2[before], max(map(chi2.__getitem__, after)), seen)
    return InputComparison(chi2, delta, ratio, verdict, diagnosis, statistics)


def _of_runs(before: float, after: float, seen: Sequence[bool]) -> Diagnosis:
    """What a failed comparison of two runs looks like."""
    if not all(seen):
        return DIAGNOSES["no-picture"]
    return DIAGNOSES["runs-drift" if max(before, after) >= _DRIFT else "no-reaction"]
