"""Kinds of failure, each with its likely cause: what to look at first when a gate fails."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from cloudboot_base import GateFailedError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: A distance up to so many times the threshold is told from one that is far above it.
JUST_OVER: Final = 2.0


@dataclasses.dataclass(frozen=True, slots=True)
class Diagnosis:
    """A kind of failure; ``cause`` is the likely one, or several."""

    kind: str
    cause: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.cause}"


DIAGNOSES: Final = MappingProxyType(
    {
        kind: Diagnosis(kind, cause)
        for kind, cause in {
            "engine-start": "the engine's main loop never starts: the WAD is not whole, or the engine is another build",
            "other-source": "the oracle was made from another WAD, script or seed, which the manifest states",
            "length": "one run ended earlier; another number of frames was drawn before",
            "tic-clock": "a frame was drawn at another tic; the clock is not in lock-step",
            "prng-drift": (
                "a random number more or less was taken; an input event at another tic, another engine, or another WAD"
            ),
            "picture": (
                "the random indices are equal and the picture is not; the renderer, the WAD's graphics, or a key's tic"
            ),
            "oracle-files": "a file of the oracle was changed, or another version of this package wrote it",
            "audio-log": (
                "a consumer of random numbers changed, the sound module's calls changed, or a sound lump of the WAD did"
            ),
            "display": "the engine's frames are the oracle's and the display's are not: the gpu's path is broken",
            "display-timing": (
                "the distance is just over the threshold: the guest's timing drifted; harvest the guest oracle again"
            ),
            "display-broken": "the distance is far over the threshold: the display shows something else, or nothing",
            "keys-lost": "keys did not arrive, or others did: the keyboard's queue was empty, or its table is wrong",
            "keys-without-effect": "keys arrived and changed nothing: they came at a tic at which the game takes none",
            "no-picture": "a run shows nothing but black: the game never started, or the display is not its",
            "no-reaction": (
                "the two runs look alike after the keys: the keyboard, its driver, or the game's key table is broken"
            ),
            "runs-drift": (
                "the runs differ before the keys about as much as after them: their timing drifted; nothing is proven"
            ),
            "host-busy": (
                "the machine waited for a processor of the host; its clock went on meanwhile, so there is no verdict"
            ),
            "sound-samples": "the samples are not those of the mix: another format, lost buffers, or an early stop",
            "sound-envelope": (
                "the loudness is another: the mixer or the sound device's settings changed, or another sound was played"
            ),
            "sound-silent": "the reference holds no sound, so nothing is proven; the machine that made it was too slow",
            "sound-short": "the capture covers too little of the reference: the machine ended early",
        }.items()
    }
)
"""Every kind, by name."""


def failure(kind: str, message: str, evidence: Mapping[str, object] | None = None) -> GateFailedError:
    """The error of a gate, with the diagnosis among its evidence."""
    told = dataclasses.asdict(DIAGNOSES[kind])
    return GateFailedError(message, evidence={**(evidence or {}), "diagnosis": told})


def of_distance(chi2: float, tolerance: float) -> Diagnosis | None:
    """What a chi-square distance says about a display; ``None`` within the tolerance."""
    if chi2 <= tolerance:
        return None
    return DIAGNOSES["display-timing" if chi2 <= JUST_OVER * tolerance else "display-broken"]
