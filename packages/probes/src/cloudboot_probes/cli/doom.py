"""``cloudboot doom``: the game's frames, sounds and keys through virtio devices."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cloudboot_base import MissingDependencyError, UsageError, Verdict, followed, new_file, refuse_existing
from cloudboot_base.command import CHECK_FAILED, OK
from cloudboot_probes.render.terminal import gate_lines

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from cloudboot_base import Gate

    from .console import Console


def probe(options: argparse.Namespace, console: Console) -> int:
    """Bring the devices up, then run all gates over an oracle: the one given, or one harvested now."""
    try:
        import cloudboot_doom_oracle as doom
        from cloudboot_doom_oracle.commands.options import open_script, open_wad
        from cloudboot_doom_oracle.gates import Context
        from cloudboot_doom_oracle.oracle import DEFAULT_CHECKPOINTS
        from cloudboot_doom_oracle.report import render_report
    except ImportError:
        raise MissingDependencyError(
            "cloudboot-doom-oracle is not installed", hint="pip install 'cloudboot-probes[doom]'"
        ) from None
    if options.oracle is not None and (options.seed is not None or options.checkpoints is not None):
        raise UsageError("--seed and --checkpoints are for a new oracle, and --oracle names one")
    wad, script = open_wad(options.wad), open_script(options.script)
    gates: list[Gate] = []
    with tempfile.TemporaryDirectory(prefix="cloudboot-doom-") as folder:
        oracle = options.oracle
        if oracle is None:
            console.say("cloudboot: harvesting an oracle: the engine runs to its last checkpoint")
            oracle = Path(folder) / "oracle"
            points = options.checkpoints or DEFAULT_CHECKPOINTS
            made = doom.harvest(wad, script, points, seed=options.seed or 0, pin=not options.no_pin)
            doom.write_oracle(made, oracle)
        context = Context(
            doom.read_oracle(oracle),
            wad,
            script,
            pin=not options.no_pin,
            architecture=options.architecture,
            ring=options.ring,
            sample_every=options.sample_every,
        )
        for gate in _gates(context):
            gates.append(gate)
            try:
                _show(gate, console)
            except BrokenPipeError:  # the reader of stdout is gone
                raise KeyboardInterrupt from None
        if options.report is not None:
            with new_file(followed(options.report), force=True) as fd:
                os.write(fd, render_report(context, gates).encode())
            console.say(f"cloudboot: wrote {options.report}")
    passed = all(gate.verdict in {Verdict.PASS, Verdict.NOT_APPLICABLE} for gate in gates)
    return OK if passed else CHECK_FAILED


def guest(options: argparse.Namespace, console: Console) -> int:
    """Play in a guest that runs free: ``t15.ppm``, ``frame_ticNNNNNN.ppm``, ``sound.wav`` and ``timing.json``."""
    try:
        import cloudboot_doom_oracle as doom
    except ImportError:
        raise MissingDependencyError(
            "cloudboot-doom-oracle is not installed", hint="pip install 'cloudboot-probes[doom]'"
        ) from None
    from cloudboot_doom_oracle.commands.options import open_wad
    from cloudboot_doom_oracle.gates.host import TIMING
    from cloudboot_doom_oracle.gates.tolerant import INPUT_KEYS
    from cloudboot_probes import doom_guest
    from cloudboot_qemu import Machine, QmpError

    target: Path = options.output
    refuse_existing(target)
    wad = open_wad(options.wad)
    captures = [(float(second), f"t{second}.ppm") for second in options.seconds]
    if options.oracle is not None:
        points = doom.read_oracle(options.oracle).manifest.checkpoints
        captures += [(point.tic / 35, point.frame_ppm) for point in points]
    parts = doom_guest.gather(wad, console.say)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
        made = Path(scratch) / "captures"
        made.mkdir()
        (Path(scratch) / "kernel").write_bytes(parts.kernel)
        (Path(scratch) / "initrd").write_bytes(parts.initrd)
        extra = doom_guest.qemu_arguments(Path(scratch) / "kernel", Path(scratch) / "initrd", made / "sound.wav")
        with Machine(display=False, extra=extra, accelerator=options.accelerator, processors=2) as machine:
            for notice in machine.notices:
                console.say(f"cloudboot: {notice}")
            play = doom_guest.Play(machine)
            console.say(f"cloudboot: the game shows its first picture after {machine.elapsed:.0f} s")
            for seconds, name in sorted(captures):
                (made / name).write_bytes(play.at(seconds))
                if options.keys and name == f"t{options.seconds[0]}.ppm":
                    machine.send_keys(*INPUT_KEYS)
            measured = play.host.read()
            (made / TIMING).write_text(measured.to_json(), encoding="ascii")
            console.say(f"cloudboot: the machine waited for a processor {measured.share:.0%} of the time it asked for")
            with contextlib.suppress(QmpError):  # QEMU may be gone before it answers
                machine.qmp("quit")
            machine.wait(10.0)
        made.rename(target)
    names = sorted(file.name for file in target.iterdir())
    if console.json:
        packages = [package.as_dict() for package in parts.sources]
        console.result({"folder": os.fspath(target), "files": names, "packages": packages})
    else:
        console.print(f"{target}: {len(captures)} screendumps, sound.wav and {TIMING}")
    return OK


def _gates(context: object) -> Iterator[Gate]:
    from cloudboot_doom_oracle.gates import EXACT_STAGES, GUEST_STAGES, Context, run_gates
    from cloudboot_doom_oracle.gates.bringup import BRINGUP_STAGES, FIND_STAGE, Bench
    from cloudboot_doom_oracle.gates.exact import ENGINE_STAGE
    from cloudboot_doom_oracle.gates.guest import DEVICES_STAGE

    assert isinstance(context, Context)  # noqa: S101 -- for the type checker: the import stays in here
    with Bench(context.architecture, context.ring) as bench:
        yield from run_gates(FIND_STAGE, BRINGUP_STAGES, bench)
    yield from run_gates(ENGINE_STAGE, EXACT_STAGES, context)
    yield from run_gates(DEVICES_STAGE, GUEST_STAGES, context)


def _show(gate: Gate, console: Console) -> None:
    if console.json:
        console.line(gate.as_dict())
    else:
        console.lines(gate_lines(gate, console.width, color=console.color))
