"""Mixing sound lumps in integers: the same events give the same samples on every machine.

A tic is 11,025 / 35 = 315 frames of stereo S16. A lump has unsigned 8-bit samples behind a header of format, rate and
count. The gains of the two sides follow from volume (0 to 127) and separation (0 left, 127 in the middle, 254 right).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cloudboot_doom_oracle.engine.protocol import SoundEvent
    from cloudboot_doom_oracle.wad import Wad

RATE: Final = 11025
SAMPLES_PER_TIC: Final = RATE // 35
_HEADER: Final = struct.Struct("<HHI")
_MIDDLE: Final = 128
_DIGITAL: Final = 3
_PADDING: Final = 48  # samples
_WIDEST: Final = 254
_LOUDEST: Final = 127
_SLOWEST: Final = 1000  # frames a second


class _Voice:
    __slots__ = ("at", "samples", "separation", "volume")

    def __init__(self, samples: NDArray[np.int32], volume: int, separation: int) -> None:
        self.samples = samples
        self.at = 0
        self.volume = volume
        self.separation = separation


class Mixer:
    """Channels that play lumps. Feed the events of a tic, then take its samples."""

    def __init__(self, wad: Wad) -> None:
        self._wad = wad
        self._lumps: dict[str, NDArray[np.int32]] = {}
        self._voices: dict[int, _Voice] = {}

    def _samples(self, name: str) -> NDArray[np.int32]:
        if name not in self._lumps:
            lump = self._wad.lump(name) if name in self._wad else b""
            samples = np.zeros(0, np.int32)
            if len(lump) >= _HEADER.size:
                kind, rate, count = _HEADER.unpack_from(lump)
                # The game's sound code plays no lump of another format (a WAVE file, the PC speaker's), none that is
                # shorter than it says, and none that is hardly longer than its padding.
                plays = kind == _DIGITAL and _PADDING < count <= len(lump) - _HEADER.size
                raw = np.frombuffer(lump[_HEADER.size : _HEADER.size + count] if plays else b"", np.uint8)
                samples = raw.astype(np.int32) - _MIDDLE
                if rate and rate < _SLOWEST:  # no sound of the game: a rate of 1 would make hours of a second
                    samples = samples[:0]
                elif rate not in {0, RATE}:  # the nearest earlier sample, as the engine's own mixer takes it
                    places = np.arange(len(samples) * RATE // rate, dtype=np.int64) * rate // RATE
                    samples = samples[places]
            self._lumps[name] = samples
        return self._lumps[name]

    def feed(self, event: SoundEvent) -> None:
        """Start, stop or change a channel; other events change nothing."""
        if event.op == "play":
            self._voices[event.channel] = _Voice(self._samples(event.name), event.volume, event.separation)
        elif event.op == "stop":
            self._voices.pop(event.channel, None)
        elif event.op == "update" and event.channel in self._voices:
            voice = self._voices[event.channel]
            voice.volume, voice.separation = event.volume, event.separation

    def tic(self) -> bytes:
        """The 315 frames of the next tic, stereo S16 little-endian; sums that do not fit are clipped."""
        mixed = np.zeros((SAMPLES_PER_TIC, 2), np.int32)
        for channel, voice in list(self._voices.items()):
            part = voice.samples[voice.at : voice.at + SAMPLES_PER_TIC]
            voice.at += SAMPLES_PER_TIC
            mixed[: len(part), 0] += part * ((_WIDEST - voice.separation) * voice.volume // _LOUDEST)
            mixed[: len(part), 1] += part * (voice.separation * voice.volume // _LOUDEST)
            if voice.at >= len(voice.samples):
                del self._voices[channel]
        return np.clip(mixed, -32768, 32767).astype("<i2").tobytes()


def mix(wad: Wad, events: Sequence[SoundEvent], tics: int) -> bytes:
    """The samples of tics 0 to ``tics - 1``."""
    mixer = Mixer(wad)
    samples = []
    position = 0
    for tic in range(tics):
        while position < len(events) and events[position].tic <= tic:
            mixer.feed(events[position])
            position += 1
        samples.append(mixer.tic())
    return b"".join(samples)
