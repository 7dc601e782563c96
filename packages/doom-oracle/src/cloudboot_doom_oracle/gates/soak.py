"""A long run through the display: every frame flushed to its fence, samples looked at, and nothing that grows."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from typing import TYPE_CHECKING, Final

from cloudboot_base import GateFailedError
from cloudboot_doom_oracle.engine.process import CDoomEngine, keys_of

from .rig import ScreenRig

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_doom_oracle.script import Script
    from cloudboot_doom_oracle.wad import Wad

_WARM: Final = 100  # frames until memory is measured
_GROWTH: Final = 16 << 20  # bytes that QEMU's resident memory may differ by


@dataclasses.dataclass(frozen=True, slots=True)
class Soak:
    """What a soak did. ``growth`` is in bytes of QEMU's resident memory, ``allocations`` in DMA regions."""

    tics: int
    frames: int
    flushes: int
    screendumps: int
    growth: int
    allocations: int
    seconds: float


def soak(
    wad: Wad,
    script: Script,
    tics: int,
    *,
    sample_every: int = 200,
    architecture: str = "amd64",
    ring: str = "split",
    progress: Callable[[int], None] | None = None,
) -> Soak:
    """Run ``tics`` tics through virtio-gpu, whose virtqueues have the layout ``ring``.

    A flush that fails ends the run with its error, so a run that ends by itself had none.

    Raises:
        GateFailedError: the display shows something else than the engine drew, or memory grows.
        GuestError: a flush failed.
        EngineError: the engine died, or hangs.
    """
    begin = time.monotonic()
    looked = frames = 0
    with ScreenRig(architecture, ring) as rig, CDoomEngine(wad, keys_of(script)) as engine:
        allocations, resident = rig.allocations, 0
        for frame in engine.frames():
            frames = frame.number
            rgb = frame.rgb()
            rig.show(rgb)
            if frames == _WARM:
                resident = resident_bytes(rig.machine.pid)
            if frames % sample_every == 0:
                canvas, black = rig.look()
                looked += 1
                if not black or hashlib.sha256(canvas.tobytes()).digest() != hashlib.sha256(rgb.tobytes()).digest():
                    raise GateFailedError(f"the display shows something else at tic {frame.tic}, frame {frames}")
            if progress is not None:
                progress(frame.tic)
            if frame.tic >= tics:
                break
        growth = resident_bytes(rig.machine.pid) - resident
        more = rig.allocations - allocations
        done = Soak(tics, frames, rig.flushes, looked, growth, more, time.monotonic() - begin)
    if more or (frames > _WARM and growth > _GROWTH):
        raise GateFailedError("memory grows", evidence=dataclasses.asdict(done))
    return done


def resident_bytes(pid: int) -> int:
    """The resident memory of a process."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096
