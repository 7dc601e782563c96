"""``cloudboot-doom-oracle``: harvest oracles, verify them, and compare captures.

Exit codes: 0 done and all gates passed, 1 a gate failed or a comparison differs, 2 wrong usage, 3 damaged input, 5 the
system refused, 30 to 34 what :mod:`..errors` says.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cloudboot_base import FormatError, Verdict, followed, new_file
from cloudboot_base.command import CHECK_FAILED, OK, Progress, print_json, whole_argument
from cloudboot_base.program import Program
from cloudboot_base.storage import read_file
from cloudboot_doom_oracle.audio import compare_envelopes, read_wav, statistics
from cloudboot_doom_oracle.errors import ManifestError, OracleError
from cloudboot_doom_oracle.gates import DIAGNOSES, EXACT_STAGES, GUEST_STAGES, Context, first_divergence, run_gates
from cloudboot_doom_oracle.gates.calibration import calibrate
from cloudboot_doom_oracle.gates.evidence import evidence_lines
from cloudboot_doom_oracle.gates.exact import ENGINE_STAGE
from cloudboot_doom_oracle.gates.guest import DEVICES_STAGE
from cloudboot_doom_oracle.gates.host import waited_most
from cloudboot_doom_oracle.gates.tolerant import compare_screens
from cloudboot_doom_oracle.oracle import DEFAULT_CHECKPOINTS, harvest, read_oracle, write_oracle
from cloudboot_doom_oracle.oracle.files import LARGEST_FILE

from .diff import add_diff
from .guest import add_guest_harvest
from .host import HOST_BUSY, add_host_option, host_facts, print_host, too_busy
from .judging import add_audio_options, add_judging
from .keys import add_keys
from .options import add_machine_options, add_run_options, count_argument, open_script, open_wad, tics
from .pictures import add_pictures

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from cloudboot_base import Gate
    from cloudboot_doom_oracle.oracle import Harvest

PROGRAM = "cloudboot-doom-oracle"


def harvest_command(options: argparse.Namespace) -> int:
    """Run the engine and write an oracle, or compare its audio log."""
    wad, script = open_wad(options.wad), open_script(options.script)
    expected = None if options.verify_audio_log is None else _audio_log(options.verify_audio_log)
    progress = Progress("tic", options.checkpoints[-1], unit="tics")
    try:
        made = harvest(wad, script, options.checkpoints, seed=options.seed, pin=not options.no_pin, progress=progress)
    finally:
        progress.close()
    if options.out:
        write_oracle(made, options.out, force=options.force)
    _tell_harvest(options, made)
    if expected is None:
        return OK
    if expected == made.audio_log:
        print("audio log: equal", file=sys.stderr)
        return OK
    ours, fresh = (text.decode("utf-8", "replace").splitlines() for text in (expected, made.audio_log))
    print("\n".join(difflib.unified_diff(ours, fresh, options.verify_audio_log, "fresh", lineterm="")), file=sys.stderr)
    return CHECK_FAILED


def _audio_log(path: str) -> bytes:
    """The bytes of an audio log.

    Raises:
        ManifestError: the file is not a JSON list.
        BudgetError: the file is too large.
        OSError: the file cannot be read, or is not an ordinary file.
    """
    data = read_file(path, LARGEST_FILE)
    try:
        rows = json.loads(data)
    except (ValueError, RecursionError):
        rows = None
    if not isinstance(rows, list):
        raise ManifestError("not an audio log: a JSON list is needed", structure="audio log", path=path)
    return data


def _tell_harvest(options: argparse.Namespace, made: Harvest) -> None:
    manifest = made.manifest
    if options.json:
        facts = dataclasses.asdict(manifest)
        print_json({**facts, "frames": len(made.frames), "pinned": made.pinned, "outvoted": made.outvoted})
        return
    print(f"{manifest.wad}: {manifest.gore_version}, {len(made.frames)} frames, seed {manifest.seed}")
    for point in manifest.checkpoints:
        print(
            f"tic {point.tic:6}  {point.frame_hash[:16]}  prndindex {point.prndindex:3}  mrndindex {point.mrndindex:3}"
        )
    if not made.pinned:
        print(f"addresses were randomised: three runs voted, {made.outvoted} frames had a dissenter")


def verify_command(options: argparse.Namespace) -> int:
    """Run the gates over an oracle."""
    oracle = read_oracle(options.oracle)
    context = Context(
        oracle,
        open_wad(options.wad),
        open_script(options.script),
        pin=not options.no_pin,
        architecture=options.architecture,
        ring=options.ring,
        sample_every=options.sample_every,
    )
    gates: list[Gate] = []
    parts = [(ENGINE_STAGE, EXACT_STAGES)]
    if not options.no_guest:
        parts.append((DEVICES_STAGE, GUEST_STAGES))
    for first, others in parts:
        for gate in run_gates(first, others, context):
            gates.append(gate)
            if not options.json:
                _tell_gate(gate, verbose=options.verbose)
    passed = all(gate.verdict in {Verdict.PASS, Verdict.NOT_APPLICABLE} for gate in gates)
    if options.json:
        try:
            measured = dataclasses.asdict(calibrate(oracle))
        except (FormatError, OSError):  # a damaged file of the oracle; a gate has said so
            measured = None
        print_json({"passed": passed, "gates": [gate.as_dict() for gate in gates], "calibration": measured})
    if options.report:
        from cloudboot_doom_oracle.report import render_report

        with new_file(followed(options.report), force=True) as fd:
            os.write(fd, render_report(context, gates).encode())
        print(f"{PROGRAM}: wrote {options.report}", file=sys.stderr)
    return OK if passed else CHECK_FAILED


def _tell_gate(gate: Gate, *, verbose: bool) -> None:
    print(f"{str(gate.verdict).upper():14} {gate.name:14} {gate.seconds:6.2f} s  {gate.claim}")
    if gate.reason:
        print(f"{'':15}{gate.reason}")
    if gate.error:
        print(f"{'':15}{gate.error.get('message')}")
    if verbose or gate.error:
        for line in evidence_lines(gate.evidence):
            print(f"{'':15}{line}")


def add_checkpoint_command(options: argparse.Namespace) -> int:
    """Harvest again with more checkpoints, and replace the oracle."""
    oracle = read_oracle(options.oracle)
    wad, script = open_wad(options.wad), open_script(options.script)
    oracle.check_made_from(wad, script)
    points = sorted({*(point.tic for point in oracle.manifest.checkpoints), *options.tics})
    made = harvest(wad, script, points, seed=oracle.manifest.seed, pin=not options.no_pin)
    shared = min(len(oracle.frames), len(made.frames))
    divergence = first_divergence(oracle.frames[:shared], made.frames[:shared])
    if divergence is not None:
        raise OracleError(f"the new run is another from tic {divergence.tic} on; the oracle is left as it is")
    write_oracle(made, options.oracle, force=True)
    _tell_harvest(options, made)
    return OK


def audio_command(options: argparse.Namespace) -> int:
    """Compare the loudness of a capture with that of a reference."""
    reference, capture = read_wav(options.reference), read_wav(options.capture)
    compared = compare_envelopes(
        reference, capture, window_seconds=options.window_seconds, tolerance_db=options.tolerance_db
    )
    passed = compared.passes(options.min_ratio)
    kind = "sound-short" if compared.short(options.min_ratio) else "sound-envelope"
    kind = "sound-silent" if compared.silent else kind
    diagnosis = None if passed else DIAGNOSES[kind]
    folders = [Path(options.reference).parent, Path(options.capture).parent]
    host = waited_most(folders)
    busy = not passed and too_busy(host, options)
    diagnosis = DIAGNOSES["host-busy"] if busy else diagnosis
    if options.json:
        both = {"reference": statistics(reference), "capture": statistics(capture)}
        facts = {name: dataclasses.asdict(value) for name, value in both.items()}
        told = diagnosis and dataclasses.asdict(diagnosis)
        facts_of_host = {"host": host_facts(host), "busy": busy}
        print_json(
            {"passed": passed, "diagnosis": told, **dataclasses.asdict(compared), "statistics": facts, **facts_of_host}
        )
    else:
        differences = f"max_diff={compared.max_diff_db:.1f} dB mean_diff={compared.mean_diff_db:.1f} dB"
        print(f"ratio={compared.ratio:.3f} {differences} windows={len(compared.capture)} missing={compared.missing}")
        for name, wav in (("reference", reference), ("capture", capture)):
            is_like = statistics(wav)
            print(
                f"{name:10} samples={is_like.samples} nonzero={is_like.nonzero:.1%} peak={is_like.peak}"
                f" rms={is_like.rms:.0f}"
            )
        if diagnosis is not None:
            print(diagnosis)
        print_host(host)
        print("PASS" if passed else "BUSY" if busy else "FAIL")
    return OK if passed else HOST_BUSY if busy else CHECK_FAILED


def screen_command(options: argparse.Namespace) -> int:
    """Compare captures of a free-running guest with a guest oracle."""
    folders = [Path(options.oracle), Path(options.captures)]
    results = compare_screens(read_oracle(options.oracle), Path(options.captures))
    host = waited_most(folders)
    passed = all(result.passed for result in results)
    busy = not passed and too_busy(host, options)
    if options.json:
        print_json(
            [
                {
                    **dataclasses.asdict(result),
                    "passed": result.passed,
                    "diagnosis": result.diagnosis and dataclasses.asdict(result.diagnosis),
                    "busy": busy,
                    "host": host_facts(host),
                }
                for result in results
            ]
        )
    else:
        for result in results:
            print(f"tic {result.tic:6}  chi2 {result.chi2:10.1f}  {'PASS' if result.passed else 'FAIL'}")
            if result.diagnosis is not None:
                print(f"{'':12}{result.diagnosis}")
        if busy:
            print(DIAGNOSES["host-busy"])
        print_host(host)
        if busy:
            print("BUSY")
    return OK if passed else HOST_BUSY if busy else CHECK_FAILED


def soak_command(options: argparse.Namespace) -> int:
    """Run many tics through the display."""
    from cloudboot_doom_oracle.gates.soak import soak

    progress = Progress("tic", options.tics, unit="tics")
    try:
        done = soak(
            open_wad(options.wad),
            open_script(options.script),
            options.tics,
            sample_every=options.sample_every,
            architecture=options.architecture,
            ring=options.ring,
            progress=progress,
        )
    finally:
        progress.close()
    if options.json:
        print_json(dataclasses.asdict(done))
    else:
        print(f"{done.frames} frames to tic {done.tics} in {done.seconds:.1f} s: {done.flushes} flushes, 0 errors")
        print(
            f"{done.screendumps} screendumps equal, {done.allocations} allocations, QEMU grew {done.growth >> 10} KiB"
        )
    return OK


def play_command(options: argparse.Namespace) -> int:
    """Play in the terminal."""
    from .play import play

    play(open_wad(options.wad))
    return OK


def program() -> Program:
    """The command lines of this package."""
    made = Program(
        PROGRAM,
        PROGRAM,
        "Deterministic DOOM runs as test oracles.",
        exit_codes={
            30: "An oracle, the engine or a device cannot be used.",
            31: "The engine did not start, ended early, or did not answer.",
            32: "A device or its machine failed.",
            33: "The oracle was made from another WAD or script.",
            HOST_BUSY: "The host was too busy for a verdict on captures of a free-running guest.",
        },
        examples={
            "harvest --checkpoints 1,35,70,140 --out oracle": "Write an oracle with four checkpoints.",
            "verify oracle --no-guest": "Run the engine again and compare every frame and sound.",
            "verify oracle --report report.html": "Also run the gates of the virtual devices.",
        },
    )
    _add_harvest(made)
    add_guest_harvest(made)
    _add_verify(made)
    add_judging(made)
    add_keys(made)
    _add_oracles(made)
    add_diff(made)
    _add_comparisons(made)
    add_pictures(made)
    _add_play(made)
    return made


def _add_harvest(made: Program) -> None:
    harvesting = made.command("harvest", harvest_command, "Run the engine and write an oracle.")
    harvesting.add_argument("--out", metavar="FOLDER", help="Write the oracle to this folder (default: write nothing).")
    harvesting.add_argument(
        "--seed", type=whole_argument, default=0, metavar="N", help="Start index of the random tables (default: 0)."
    )
    harvesting.add_argument(
        "--checkpoints", type=tics, default=list(DEFAULT_CHECKPOINTS), metavar="TICS",
        help=f"Tics with commas between them (default: {','.join(map(str, DEFAULT_CHECKPOINTS))}).",
    )  # fmt: skip
    harvesting.add_argument("--verify-audio-log", metavar="FILE", help="Compare the sounds of the run with this log.")
    harvesting.add_argument("--force", action="store_true", help="Replace an existing oracle.")
    add_run_options(harvesting)


def _add_verify(made: Program) -> None:
    verify = made.command("verify", verify_command, "Run the gates over an oracle.")
    verify.add_argument("oracle", metavar="ORACLE", help="The folder of an oracle.")
    verify.add_argument("--no-guest", action="store_true", help="Run only the gates A and C-1, which need no machine.")
    add_machine_options(verify)
    verify.add_argument(
        "--sample-every", type=count_argument, default=0, metavar="N",
        help="Also compare a screendump of every N-th frame (default: 0, which compares checkpoints only).",
    )  # fmt: skip
    verify.add_argument("--report", metavar="FILE", help="Write a self-contained HTML page to this file.")
    add_run_options(verify)


def _add_oracles(made: Program) -> None:
    add = made.command("add-checkpoint", add_checkpoint_command, "Harvest again with more checkpoints.")
    add.add_argument("oracle", metavar="ORACLE", help="The folder of an oracle; it is replaced.")
    add.add_argument("tics", type=tics, metavar="TICS", help="Tics with commas between them.")
    add_run_options(add)


def _add_comparisons(made: Program) -> None:
    audio = made.command("audio", audio_command, "Compare the loudness of two recordings.")
    audio.add_argument("verb", choices=["verify"], help="The only action.")
    audio.add_argument("--reference", required=True, metavar="WAV", help="The expected recording.")
    audio.add_argument("--capture", required=True, metavar="WAV", help="The recording to compare with it.")
    add_audio_options(audio)
    add_host_option(audio)
    screen = made.command("screen", screen_command, "Compare captures of a free-running guest by histograms.")
    screen.add_argument("verb", choices=["verify"], help="The only action.")
    screen.add_argument("oracle", metavar="ORACLE", help="A guest oracle, which guest-harvest writes.")
    screen.add_argument("captures", metavar="FOLDER", help="Screendumps with the names of the oracle's frames.")
    add_host_option(screen)


def _add_play(made: Program) -> None:
    long = made.command("soak", soak_command, "Send many tics to the display and wait for the fence of every frame.")
    long.add_argument(
        "--tics", type=count_argument, default=10_000, metavar="N", help="How many tics to run (default: 10000)."
    )
    long.add_argument(
        "--sample-every", type=count_argument, default=200, metavar="N",
        help="Compare a screendump of every N-th frame (default: 200).",
    )  # fmt: skip
    add_machine_options(long)
    add_run_options(long)
    playing = made.command(
        "play", play_command, "Play in the terminal: arrow keys move, f fires, space opens doors, Ctrl-C ends."
    )
    playing.add_argument("--wad", metavar="FILE", help="An IWAD (default: that of an installed package).")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code."""
    return program().run(arguments)


if __name__ == "__main__":
    sys.exit(main())
