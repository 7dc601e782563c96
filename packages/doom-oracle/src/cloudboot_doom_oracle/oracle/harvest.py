"""Running the engine and keeping what it drew and asked its sound module for."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from typing import TYPE_CHECKING, Final

from cloudboot_base import UsageError
from cloudboot_doom_oracle.audio.mixer import mix
from cloudboot_doom_oracle.engine.process import run_engine
from cloudboot_doom_oracle.errors import OracleError

from .files import FrameRecord, ppm_name
from .manifest import MOST_TIC, Checkpoint, Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from cloudboot_doom_oracle.engine.protocol import Engine, Frame, SoundEvent
    from cloudboot_doom_oracle.script import Script
    from cloudboot_doom_oracle.wad import Wad

DEFAULT_CHECKPOINTS: Final = (1, 35, 70, 140, 350, 1050)
_OPS: Final = {"cache": "CacheSound", "play": "PlaySound"}


@dataclasses.dataclass(frozen=True)
class Harvest:
    """What one run gave. ``pinned`` says that its address space was not randomised.

    ``outvoted`` counts the frames on which only two of three runs agree, where no run was pinned.
    """

    manifest: Manifest
    pictures: dict[int, NDArray[np.uint8]]
    frames: tuple[FrameRecord, ...]
    events: tuple[SoundEvent, ...]
    samples: bytes
    pinned: bool
    outvoted: int = 0

    @property
    def audio_log(self) -> bytes:
        """``audio_log.json``: sounds cached and played, in order."""
        return _log([_entry(event) for event in self.events if event.op in _OPS])

    @property
    def music_log(self) -> bytes:
        """``music_log.json``: the songs that the engine asked for, and those that it stopped, in order."""
        rows: list[dict[str, object]] = []
        for event in self.events:
            if event.op == "song":
                looping = bool(event.volume)
                rows.append({"tic": event.tic, "op": "ChangeMusic", "name": event.name, "looping": looping})
            elif event.op == "song-stop":
                rows.append({"tic": event.tic, "op": "StopMusic", "name": event.name})
        return _log(rows)

    @property
    def mixer_log(self) -> bytes:
        """``mixer_log.json``: what the mixer needs beside the audio log, stops and changes of volume and separation."""
        rows = [
            {"tic": e.tic, "op": e.op, "channel": e.channel, "vol": e.volume, "sep": e.separation}
            for e in self.events
            if e.op in {"stop", "update"}
        ]
        return _log(rows)


def _entry(event: SoundEvent) -> dict[str, object]:
    return {
        "tic": event.tic,
        "op": _OPS[event.op],
        "name": event.name,
        "channel": event.channel,
        "vol": event.volume,
        "sep": event.separation,
        "lump_sha256": event.digest,
    }


def _log(rows: Sequence[dict[str, object]]) -> bytes:
    """One entry a line, so that a diff of two logs is one of entries."""
    return ("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n").encode()


def run_once(
    wad: Wad,
    script: Script,
    checkpoints: Sequence[int] = DEFAULT_CHECKPOINTS,
    *,
    seed: int = 0,
    pin: bool = True,
    start: Callable[..., Engine] = run_engine,
    progress: Callable[[int], None] | None = None,
) -> Harvest:
    """One run of the engine up to the last checkpoint.

    Raises:
        UsageError: the checkpoints do not increase, or the list is empty.
        EngineError: the engine died, or hangs.
    """
    if not checkpoints or list(checkpoints) != sorted(set(checkpoints)) or not checkpoints[0] >= 0:
        raise UsageError(f"checkpoints are tics that rise, not {list(checkpoints)}")
    if checkpoints[-1] > MOST_TIC:
        raise UsageError(f"there are no checkpoints after tic {MOST_TIC}")
    frames: list[FrameRecord] = []
    found: list[Checkpoint] = []
    pictures: dict[int, NDArray[np.uint8]] = {}
    due = list(checkpoints)
    with start(wad, script, seed=seed, pin=pin) as engine:
        for frame in engine.frames():
            digest = frame.sha256()
            frames.append(FrameRecord(frame.tic, digest, frame.prndindex, frame.mrndindex))
            while due and frame.tic >= due[0]:
                tic = due.pop(0)
                found.append(_checkpoint(tic, frame, digest))
                pictures[tic] = frame.rgb()
            if progress is not None:
                progress(frame.tic)
            if not due:
                break
        events, pinned, version = tuple(engine.sounds()), engine.pinned, engine.version
    last = checkpoints[-1]
    events = tuple(event for event in events if event.tic <= last)
    manifest = Manifest(
        seed=seed,
        wad=wad.path.name,
        wad_bytes=len(wad.data),
        wad_hash=wad.sha256,
        script_hash=script.sha256,
        gore_version=version,
        checkpoints=tuple(found),
        deterministic=True,
    )
    return Harvest(manifest, pictures, tuple(frames), events, mix(wad, events, last), pinned)


def _checkpoint(tic: int, frame: Frame, digest: str) -> Checkpoint:
    return Checkpoint(tic, digest, ppm_name(tic), frame.prndindex, frame.mrndindex, frame.number, width=320, height=200)


def harvest(
    wad: Wad,
    script: Script,
    checkpoints: Sequence[int] = DEFAULT_CHECKPOINTS,
    *,
    seed: int = 0,
    pin: bool = True,
    progress: Callable[[int], None] | None = None,
) -> Harvest:
    """A harvest that can be repeated byte for byte.

    The engine reads a column out of bounds: with a randomised address space a pixel of about one frame in two thousand
    differs between runs. So the run has a pinned address space. Where the kernel refuses that, or with ``pin=False``,
    three runs are made, each frame is the one that two of them agree on, and ``outvoted`` counts the others.

    Raises:
        EngineError: the engine died, or hangs.
        OracleError: three runs that are not pinned draw three different frames at one tic.
    """
    first = run_once(wad, script, checkpoints, seed=seed, pin=pin, progress=progress)
    if first.pinned:
        return first
    runs = [first, *(run_once(wad, script, checkpoints, seed=seed, pin=False, progress=progress) for _ in range(2))]
    return _majority(runs)


def _majority(runs: Sequence[Harvest]) -> Harvest:
    """The first run, with the frames that two of three runs agree on in place of its own."""
    rows: list[FrameRecord] = []
    outvoted = 0
    for candidates in zip(*(run.frames for run in runs), strict=True):
        digest, votes = Counter(row.frame_hash for row in candidates).most_common(1)[0]
        if votes < 2:
            raise OracleError(
                f"three runs draw three frames at tic {candidates[0].tic}",
                hint="allow personality(ADDR_NO_RANDOMIZE), so that the address space is the same in each run",
            )
        outvoted += votes < len(runs)
        rows.append(next(row for row in candidates if row.frame_hash == digest))
    checkpoints = []
    pictures = {}
    for index, checkpoint in enumerate(runs[0].manifest.checkpoints):
        wanted = rows[checkpoint.frame_count - 1].frame_hash
        run = next(run for run in runs if run.manifest.checkpoints[index].frame_hash == wanted)
        checkpoints.append(run.manifest.checkpoints[index])
        pictures[checkpoint.tic] = run.pictures[checkpoint.tic]
    manifest = dataclasses.replace(runs[0].manifest, checkpoints=tuple(checkpoints))
    return dataclasses.replace(runs[0], manifest=manifest, pictures=pictures, frames=tuple(rows), outvoted=outvoted)
