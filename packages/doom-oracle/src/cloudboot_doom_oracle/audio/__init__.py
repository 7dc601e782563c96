"""Sound: an exact mixer of the engine's events, WAV files, and envelopes for captures that are not exact."""

from .envelope import EnvelopeComparison, WavStatistics, compare_envelopes, envelope, statistics
from .mixer import RATE, SAMPLES_PER_TIC, Mixer, mix
from .wav import Wav, read_wav, wav_bytes

__all__ = [
    "RATE",
    "SAMPLES_PER_TIC",
    "EnvelopeComparison",
    "Mixer",
    "Wav",
    "WavStatistics",
    "compare_envelopes",
    "envelope",
    "mix",
    "read_wav",
    "statistics",
    "wav_bytes",
]
