"""Harvesting an oracle of the game, and verifying one, as cells."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudboot_base import Gate, MissingDependencyError, Stage, UsageError, run_stages
from cloudboot_doom_oracle import Harvest, Script, Wad, find_wads, harvest, parse_script, read_oracle, write_oracle

from .result import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

_CHECKPOINTS = "1,35,70,140,350,1050"


def _wad(inputs: Mapping[str, Any]) -> Wad:
    if "wad" in inputs:
        return Wad(inputs["wad"])
    found = find_wads()
    if not found:
        raise MissingDependencyError("no WAD is installed", hint="pip install vizdoom")
    return Wad(found[0])


def _script(inputs: Mapping[str, Any]) -> Script:
    return parse_script(Path(inputs["script"]).read_text(encoding="utf-8") if "script" in inputs else "")


def _tics(inputs: Mapping[str, Any]) -> list[int]:
    parts = str(inputs.get("checkpoints", _CHECKPOINTS)).split(",")
    if not all(part.strip().isascii() and part.strip().isdigit() and len(part) < 9 for part in parts):
        raise UsageError(f"checkpoints are tics like {_CHECKPOINTS}")
    return sorted({int(part) for part in parts})


def harvest_oracle(cell: dict[str, Any], folder: Path) -> Outcome:
    """Run the engine, and keep the oracle."""
    inputs = cell["inputs"]
    made: list[Harvest] = []

    def harvested(_: None) -> Mapping[str, object]:
        made.append(harvest(_wad(inputs), _script(inputs), _tics(inputs), seed=inputs.get("seed", 0)))
        write_oracle(made[0], folder / "oracle")
        manifest = made[0].manifest
        points = {f"tic {point.tic}": point.frame_hash for point in manifest.checkpoints}
        return {"wad": manifest.wad, "engine": manifest.gore_version, "frames": len(made[0].frames), **points}

    stage = Stage("harvest", "The engine runs to the last checkpoint, and its oracle is written.", harvested)
    gates = list(run_stages([stage], None))
    return Outcome.of_gates(gates, frames=_frames(made))


def _frames(made: list[Harvest]) -> str | None:
    """The digest of every frame's digest: two machines that agree have the same."""
    if not made:
        return None
    told = "\n".join(str(frame) for frame in made[0].frames)
    return f"sha256:{hashlib.sha256(told.encode()).hexdigest()}"


def verify_oracle(cell: dict[str, Any], folder: Path) -> Outcome:
    """Run the game's gates over an oracle; with ``guest`` also those that need a machine."""
    from cloudboot_doom_oracle.gates import EXACT_STAGES, GUEST_STAGES, Context, run_gates
    from cloudboot_doom_oracle.gates.exact import ENGINE_STAGE
    from cloudboot_doom_oracle.report import render_report

    inputs = cell["inputs"]
    oracle = read_oracle(inputs["oracle"])
    context = Context(
        oracle, _wad(inputs), _script(inputs), architecture=inputs.get("architecture", "amd64"),
        ring=inputs.get("ring", "split"),
    )  # fmt: skip
    gates: list[Gate] = list(run_gates(ENGINE_STAGE, EXACT_STAGES, context))
    if inputs.get("guest", False):
        from cloudboot_doom_oracle.gates.guest import DEVICES_STAGE

        gates += run_gates(DEVICES_STAGE, GUEST_STAGES, context)
    (folder / "report.html").write_text(render_report(context, gates), encoding="utf-8")
    return Outcome.of_gates(gates)
