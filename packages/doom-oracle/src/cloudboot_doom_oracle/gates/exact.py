"""Gates A and C-1: the engine alone, again, byte for byte (O-1 to O-5, O-7, O-8)."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from cloudboot_base import Stage
from cloudboot_doom_oracle.engine.process import CDoomEngine, keys_of
from cloudboot_doom_oracle.errors import EngineError, OtherWadError
from cloudboot_doom_oracle.oracle import harvest
from cloudboot_doom_oracle.oracle.write import files_of

from .context import Difference
from .diagnosis import DIAGNOSES, failure
from .diverge import events_around, first_divergence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .context import Context
    from .diverge import Divergence

_DIFF_LINES = 40


def check_source(context: Context) -> None:
    """Raise unless the oracle was made from the WAD and the script at hand.

    Raises:
        OtherWadError: it was not; the hint is the diagnosis.
    """
    try:
        context.oracle.check_made_from(context.wad, context.script)
    except OtherWadError as error:
        error.hint = error.hint or str(DIAGNOSES["other-source"])
        raise


def run_engine_again(context: Context) -> Mapping[str, object]:
    """Make a fresh harvest from what the oracle was made from."""
    check_source(context)
    manifest = context.oracle.manifest
    tics = [checkpoint.tic for checkpoint in manifest.checkpoints]
    try:
        context.fresh = harvest(context.wad, context.script, tics, seed=manifest.seed, pin=context.pin)
    except EngineError as error:
        if not error.tic:
            error.hint = error.hint or str(DIAGNOSES["engine-start"])
        raise
    evidence: dict[str, object] = {
        "engine": context.fresh.manifest.gore_version,
        "oracle_engine": manifest.gore_version,
        "frames": len(context.fresh.frames),
        "address_space": "pinned" if context.fresh.pinned else "randomised; each frame is what two of three runs drew",
    }
    if not context.fresh.pinned:
        evidence["frames_outvoted"] = context.fresh.outvoted
    return evidence


def first_frame(context: Context) -> Mapping[str, object]:
    """O-1: the engine drew its first frame."""
    first = context.run.frames[0]
    expected = context.oracle.manifest.checkpoints[0]
    if not context.oracle.frames or first != context.oracle.frames[0]:
        raise failure("picture", "the first frame is another", {"tic": first.tic, "frame_hash": first.frame_hash})
    return {"tic": first.tic, "frame_hash": first.frame_hash, "first_checkpoint": expected.tic}


def checkpoints_equal(context: Context, tics: tuple[int, ...] | None) -> Mapping[str, object]:
    """The checkpoints at ``tics`` (all where it is ``None``) are equal in picture and random indices."""
    fresh = {checkpoint.tic: checkpoint for checkpoint in context.run.manifest.checkpoints}
    evidence: dict[str, object] = {}
    wrong = []
    for expected in context.oracle.manifest.checkpoints:
        if tics is not None and expected.tic not in tics:
            continue
        actual = fresh[expected.tic]
        context.pictures[expected.tic] = (context.oracle.picture(expected), context.run.pictures[expected.tic])
        evidence[f"tic_{expected.tic}"] = (
            f"{actual.frame_hash[:16]} prndindex {actual.prndindex} mrndindex {actual.mrndindex}"
        )
        if actual != expected:
            wrong.append(expected.tic)
    if wrong:
        divergence = first_divergence(context.oracle.frames, context.run.frames)
        if divergence is not None:
            evidence["first_divergence"] = divergence.as_dict()
            evidence["events_around"] = events_around(context.run.events, divergence.tic)
        kind = "oracle-files" if divergence is None else divergence.diagnosis.kind
        raise failure(kind, f"checkpoints that differ: {', '.join(map(str, wrong))}", evidence)
    return evidence


def every_frame(context: Context) -> Mapping[str, object]:
    """Gate A over the whole run: not checkpoints only."""
    divergence = first_divergence(context.oracle.frames, context.run.frames)
    if divergence is not None:
        around = events_around(context.run.events, divergence.tic)
        evidence = {"first_divergence": divergence.as_dict(), "events_around": around}
        _show(context, divergence, around)
        message = f"frame {divergence.number} at tic {divergence.tic} differs"
        raise failure(divergence.diagnosis.kind, message, evidence)
    return {"frames": len(context.run.frames), "last_tic": context.run.frames[-1].tic}


def _show(context: Context, divergence: Divergence, around: Sequence[dict[str, object]]) -> None:
    """Run the engine up to the divergence and keep its last equal and its first different frame for the report."""
    before = None
    with CDoomEngine(
        context.wad, keys_of(context.script), seed=context.oracle.manifest.seed, pin=context.pin
    ) as engine:
        for frame in engine.frames():
            if frame.number == divergence.number:
                after = frame.rgb()
                meaning = "the last frame that is equal, and the first that differs, in the new run"
                shown = after if before is None else before
                context.differences.append(Difference(frame.tic, meaning, shown, after, around))
                return
            if frame.number > len(context.run.frames):
                return
            before = frame.rgb()


def harvest_again(context: Context) -> Mapping[str, object]:
    """O-7: the oracle's files, written again, are the same bytes."""
    differing = []
    fresh = files_of(context.run)
    for name, content in fresh.items():
        path = context.oracle.folder / name
        if not path.is_file() or path.read_bytes() != content:
            differing.append(name)
    if differing:
        raise failure("oracle-files", f"files that differ: {', '.join(differing)}", {"files": len(fresh)})
    return {"files": len(fresh), "bytes": sum(map(len, fresh.values()))}


def audio_log_equal(context: Context) -> Mapping[str, object]:
    """O-8, gate C-1: the same sounds were asked for, at the same tics."""
    expected, actual = context.oracle.audio_log, context.run.audio_log
    plays = sum(event.op == "play" for event in context.run.events)
    evidence: dict[str, object] = {"entries": actual.count(b'"tic"'), "plays": plays}
    if expected != actual:
        lines = difflib.unified_diff(
            expected.decode("utf-8", "replace").splitlines(),
            actual.decode().splitlines(),
            "oracle/audio_log.json",
            "fresh/audio_log.json",
            lineterm="",
        )
        evidence["diff"] = list(lines)[:_DIFF_LINES]
        raise failure("audio-log", "the audio log is another", evidence)
    return evidence


def _missing(*tics: int) -> Callable[[Context], str | None]:
    """The reason not to run a gate: the oracle lacks a checkpoint at one of ``tics``."""

    def reason(context: Context) -> str | None:
        there = {checkpoint.tic for checkpoint in context.oracle.manifest.checkpoints}
        absent = [tic for tic in tics if tic not in there]
        return f"the oracle has no checkpoint at tic {absent[0]}" if absent else None

    return reason


def _at(name: str, claim: str, *tics: int) -> Stage[Context]:
    return Stage(name, claim, lambda context: checkpoints_equal(context, tics), _missing(*tics))


ENGINE_STAGE: Stage[Context] = Stage(
    "engine", "The engine runs again from the WAD, the script and the seed of the oracle.", run_engine_again
)
EXACT_STAGES: tuple[Stage[Context], ...] = (
    Stage("O-1", "Gate A: the engine starts and draws the oracle's first frame.", first_frame),
    _at("O-2", "Gate A: at tic 35 the frame is the oracle's, byte for byte.", 35),
    _at("O-3", "Gate A: at tics 70 and 140 the frames are the oracle's.", 70, 140),
    _at("O-4", "Gate A: at tic 350 picture and random indices are the oracle's.", 350),
    _at("O-5", "Gate A: at tic 1050, deep in a demo, the state is still the oracle's.", 1050),
    Stage("A", "Gate A: all checkpoints are the oracle's.", lambda context: checkpoints_equal(context, None)),
    Stage("A-every-frame", "Gate A: every frame of the run is the oracle's.", every_frame),
    Stage("O-7", "Harvesting again gives the oracle's files, byte for byte.", harvest_again),
    Stage("O-8", "Gate C-1: the engine asks for the same sounds at the same tics.", audio_log_equal),
)
"""What :data:`ENGINE_STAGE`'s run is compared with."""
