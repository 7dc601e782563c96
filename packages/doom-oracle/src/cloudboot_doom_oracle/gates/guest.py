"""Gates B and C-2: what virtual devices show and play is the oracle's, byte for byte (O-6, O-9, keys)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from cloudboot_base import Stage
from cloudboot_doom_oracle.audio.mixer import RATE
from cloudboot_doom_oracle.audio.wav import Wav
from cloudboot_doom_oracle.engine.process import CDoomEngine
from cloudboot_doom_oracle.oracle import FrameRecord

from .context import Difference, GuestRun
from .diagnosis import failure
from .diverge import events_around, first_divergence
from .exact import check_source
from .rig import ScreenRig, play_through_sound, wav_body

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .context import Context


_MOST_DIFFERENCES = 5


def run_through_devices(context: Context) -> GuestRun:
    """Run the engine with its keys from virtio-keyboard and its frames on virtio-gpu.

    Every frame is flushed and its fence awaited. Screendumps are taken at each checkpoint, and of every
    ``sample_every``-th frame.
    """
    waiting = list(context.script.events)
    run = GuestRun()
    manifest = context.oracle.manifest
    with ScreenRig(context.architecture, context.ring) as rig:

        def keys(tic: int) -> Sequence[tuple[bool, int]]:
            due = []
            while waiting and waiting[0].tic <= tic:
                due.append(rig.press(waiting.pop(0)))
            return due

        run.ring = rig.ring
        run.scanout = f"{rig.mode.width}x{rig.mode.height}"
        due = [checkpoint.tic for checkpoint in manifest.checkpoints]
        with CDoomEngine(context.wad, keys, seed=manifest.seed, pin=context.pin) as engine:
            for frame in engine.frames():
                rgb = frame.rgb()
                run.frames.append(FrameRecord(frame.tic, frame.sha256(), frame.prndindex, frame.mrndindex))
                rig.show(rgb)
                sampled = context.sample_every and frame.number % context.sample_every == 0
                if sampled or (due and frame.tic >= due[0]):
                    canvas, black = rig.look()
                    digest = hashlib.sha256(canvas.tobytes()).hexdigest()
                    run.shown.append((frame.number, digest, black))
                    if digest != run.frames[-1].frame_hash and len(context.differences) < _MOST_DIFFERENCES:
                        around = events_around(engine.sounds(), frame.tic)
                        meaning = "what the engine drew, and what the display shows"
                        context.differences.append(Difference(frame.tic, meaning, rgb, canvas, around))
                    while due and frame.tic >= due[0]:
                        tic = due.pop(0)
                        run.checkpoints[tic] = digest
                        context.pictures[tic] = (rgb, canvas)
                if not due:
                    break
        run.keys_sent, run.keys_received, run.flushes = rig.keys_sent, rig.keys_received, rig.flushes
    return run


def run_devices(context: Context) -> Mapping[str, object]:
    """The devices came up and the whole run went through them."""
    check_source(context)
    context.guest = run_through_devices(context)
    run = context.guest
    return {
        "scanout": run.scanout,
        "ring": run.ring,
        "flushes": run.flushes,
        "flush_errors": 0,
        "screendumps": len(run.shown),
    }


def _guest(context: Context) -> GuestRun:
    if context.guest is None:
        raise RuntimeError("the device stage has not run")
    return context.guest


def screen_equal(context: Context) -> Mapping[str, object]:
    """O-6, gate B: at each checkpoint the display shows the oracle's frame, and black around it."""
    run = _guest(context)
    evidence: dict[str, object] = {}
    wrong = []
    for checkpoint in context.oracle.manifest.checkpoints:
        shown = run.checkpoints[checkpoint.tic]
        evidence[f"tic_{checkpoint.tic}"] = shown[:16]
        if shown != checkpoint.frame_hash:
            wrong.append(f"tic {checkpoint.tic}")
    for number, digest, black in run.shown:
        if digest != run.frames[number - 1].frame_hash:
            wrong.append(f"frame {number}")
        if not black:
            wrong.append(f"the border of frame {number}")
    evidence["screendumps"] = len(run.shown)
    if wrong:
        divergence = first_divergence(context.oracle.frames, run.frames)
        evidence["first_divergence"] = None if divergence is None else divergence.as_dict()
        kind = "display" if divergence is None else divergence.diagnosis.kind
        raise failure(kind, f"the display shows something else: {', '.join(wrong[:10])}", evidence)
    return evidence


def keys_arrive(context: Context) -> Mapping[str, object]:
    """Keys sent with QMP come out of virtio-keyboard, at their tics, and change what they must."""
    run = _guest(context)
    evidence: dict[str, object] = {"sent": len(run.keys_sent), "received": len(run.keys_received)}
    if run.keys_sent != run.keys_received:
        pairs = zip(run.keys_sent, run.keys_received, strict=False)
        evidence["first_difference"] = next((list(pair) for pair in pairs if pair[0] != pair[1]), None)
        raise failure("keys-lost", "other keys arrived than were sent", evidence)
    divergence = first_divergence(context.oracle.frames, run.frames)
    if divergence is not None:
        evidence["first_divergence"] = divergence.as_dict()
        message = f"frame {divergence.number} at tic {divergence.tic} is not the oracle's"
        raise failure(divergence.diagnosis.kind, message, evidence)
    changed = _first_change(context, run)
    if changed is None:
        raise failure("keys-without-effect", "the keys change no frame", evidence)
    first_key = context.script.events[0].tic
    evidence["first_key_at_tic"] = first_key
    evidence["first_frame_changed_at_tic"] = changed
    if changed < first_key:
        raise failure("tic-clock", f"frames differ at tic {changed}, before the first key", evidence)
    return evidence


def _first_change(context: Context, run: GuestRun) -> int | None:
    """The tic of the first frame that differs from a run without keys."""
    with CDoomEngine(context.wad, seed=context.oracle.manifest.seed, pin=context.pin) as idle:
        for expected, frame in zip(run.frames, idle.frames(), strict=False):
            if frame.sha256() != expected.frame_hash:
                return expected.tic
    return None


def sound_equal(context: Context) -> Mapping[str, object]:
    """O-9, gate C-2: what QEMU's sound card plays is the oracle's, sample for sample."""
    expected = context.oracle.exact_sound.samples.astype("<i2").tobytes()
    body = wav_body(play_through_sound(expected, context.architecture, context.ring))
    context.played = Wav(RATE, np.frombuffer(body[: len(body) // 4 * 4], "<i2").reshape(-1, 2).astype(np.int16))
    evidence: dict[str, object] = {"bytes": len(expected), "played": len(body), "rate": RATE}
    if body[: len(expected)] != expected:
        pairs = zip(expected, body, strict=False)
        at = next(
            (index for index, (ours, theirs) in enumerate(pairs) if ours != theirs), min(len(expected), len(body))
        )
        evidence["first_difference_at_tic"] = at // 1260
        raise failure("sound-samples", f"byte {at} differs", evidence)
    if any(body[len(expected) :]):
        raise failure("sound-samples", "there is sound behind the end", evidence)
    return evidence


def _no_keys(context: Context) -> str | None:
    return None if context.script.events else "the oracle's script has no keys"


DEVICES_STAGE: Stage[Context] = Stage(
    "devices",
    "virtio-gpu and virtio-keyboard are up, and every frame of the run was flushed to its fence.",
    run_devices,
)
GUEST_STAGES: tuple[Stage[Context], ...] = (
    Stage("O-6", "Gate B: at each checkpoint the display shows the oracle's frame, byte for byte.", screen_equal),
    Stage("keys", "Keys sent with QMP come out of virtio-keyboard and change the frames.", keys_arrive, _no_keys),
    Stage("O-9", "Gate C-2: the sound card plays the oracle's samples, every one of them.", sound_equal),
)
"""What :data:`DEVICES_STAGE`'s run is compared with."""
