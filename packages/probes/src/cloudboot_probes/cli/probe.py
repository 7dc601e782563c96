"""``cloudboot probe``: boot an image and print the gates."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cloudboot_base import new_file
from cloudboot_base.command import CHECK_FAILED, INTERRUPTED
from cloudboot_base.gates import Gate, Verdict, run_stages
from cloudboot_oci_stream import Policy
from cloudboot_probes import systems
from cloudboot_probes.probe import Probe, ProbeOptions, stages
from cloudboot_probes.render.html import Boot, html
from cloudboot_probes.render.junit import junit
from cloudboot_probes.render.terminal import print_gate, print_verdict

from . import options
from .manners import Manners, reported

if TYPE_CHECKING:
    from collections.abc import Callable


def probe(
    system: Annotated[str, typer.Argument(metavar="SYSTEM", help=f"One of: {', '.join(systems.names())}.")],
    reference: options.Reference,
    firmware: Annotated[
        Literal["qemu"], typer.Option(help="What boots the image: real UEFI firmware in a QEMU machine.")
    ] = "qemu",
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write one self-contained HTML page with gates and pictures.")
    ] = None,
    junit_file: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write the gates as JUnit XML.")
    ] = None,
    console: Annotated[Path | None, typer.Option(metavar="FILE", help="Write what the serial line said.")] = None,
    accelerator: Annotated[
        Literal["tcg", "kvm", "auto"], typer.Option(help="tcg emulates; auto takes KVM where it works.")
    ] = "tcg",
    memory: Annotated[str, typer.Option(metavar="SIZE", help="The machine's memory.")] = "1G",
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="From power-on to the last gate.")] = 300.0,
    policy: options.PolicyFile = None,
    insecure: options.Insecure = False,
    ca_file: options.CaFile = None,
    auth_file: options.AuthFile = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object for each gate, as it finishes.")] = False,
    verbose: options.Verbose = False,
) -> None:
    """Boot an image from a registry or folder; exit 0 only if every gate passes."""
    manners = Manners(json, verbose)
    with reported(manners), contextlib.ExitStack() as stack:
        found = systems.load(system)
        chosen = ProbeOptions(
            accelerator=accelerator,
            memory=options.size(memory),
            timeout=timeout,
            access=options.access(insecure, ca_file, auth_file),
            policy=Policy.load(policy) if policy is not None else None,
            progress=stack.enter_context(manners.progress("fetching")),
        )
        running = stack.enter_context(Probe(found, reference, chosen))
        gates: list[Gate] = []
        interrupted = False
        try:
            for gate in run_stages(stages(firmware), running):
                gates.append(gate)
                if json:
                    manners.line(gate.as_dict())
                else:
                    print_gate(manners.out, gate)
        except KeyboardInterrupt:
            interrupted = True
            manners.say("cloudboot: interrupted")
        if not json:
            print_verdict(manners.out, gates)
        title = f"{found.title}: {reference}"
        if report is not None:
            _write(report, lambda: html(gates, title, _boot(running)).encode(), manners)
        if junit_file is not None:
            _write(junit_file, lambda: junit(gates, f"cloudboot.probe.{system}"), manners)
        if console is not None and running.booted:
            _write(console, lambda: running.machine.transcript.text, manners)
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    if not gates or any(gate.verdict is not Verdict.PASS for gate in gates):
        raise typer.Exit(CHECK_FAILED)


def _boot(running: Probe) -> Boot:
    """What the machine left behind, as far as there was one."""
    if not running.booted:
        return Boot()
    if running.screenshot is None:
        running.take_screenshot()
    console = running.machine.transcript.text.decode("utf-8", "replace")
    return Boot(running.block_map, running.reads(), dict(running.marks), running.screenshot, console)


def _write(path: Path, make: Callable[[], bytes], manners: Manners) -> None:
    """Write an output of the probe; a new run replaces the one before."""
    with new_file(path, force=True) as fd:
        data = memoryview(make())
        with open(fd, "wb", closefd=False) as file:
            file.write(data)
    manners.say(f"cloudboot: wrote {path}")
