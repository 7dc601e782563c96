"""``cloudboot probe``: boot an image and print the gates."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import shlex
import sys
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudboot_base import UsageError, followed, new_file, run_stages
from cloudboot_base.command import CHECK_FAILED, INTERRUPTED, OK, discard_output
from cloudboot_disk_image import open_disk
from cloudboot_oci_stream import Policy, push_image
from cloudboot_probes import systems
from cloudboot_probes.inputs import names_file
from cloudboot_probes.probe import (
    Outcome,
    Probe,
    ProbeOptions,
    Recorder,
    default_firmware,
    firmwares_named,
    stages,
)
from cloudboot_probes.render.json import document
from cloudboot_probes.render.junit import junit
from cloudboot_probes.render.keep import keep
from cloudboot_probes.render.report import comparison, report
from cloudboot_probes.render.terminal import gate_lines, summary_line

from .registry import reach
from .variables import stored_variables

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from cloudboot_base.gates import Gate, Stage
    from cloudboot_probes.probe import Record

    from .console import Console


@dataclass
class _Run:
    """One firmware's part of the command."""

    firmware: str
    planned: Sequence[Stage[Probe]]
    probe: Probe
    recorder: Recorder


def main(options: argparse.Namespace, console: Console) -> int:
    """Probe, and write what was asked for, however the probe ends."""
    system = systems.load(options.system)
    firmwares = firmwares_named(options.firmware or default_firmware(system))
    if options.variables is not None and list(firmwares) != ["hosted"]:
        raise UsageError("--variables is for the hosted firmware alone", hint="give --firmware hosted as well")
    outputs = _outputs(options)
    access, deadline, retry = reach(options)
    interrupted = False
    with _placed(options.reference) as (file, reference), console.progress("fetching") as progress:
        chosen = ProbeOptions(
            architecture=options.architecture,
            accelerator=options.accelerator,
            memory=options.memory,
            timeout=options.timeout,
            access=access,
            deadline=deadline,
            retry=retry,
            policy=Policy.load(options.policy) if options.policy is not None else None,
            progress=progress,
            trace=options.keep is not None,
            variables=() if options.variables is None else stored_variables(options.variables, console),
        )
        runs = [_run(name, Probe(system, reference, chosen, file=file)) for name in firmwares]
        records = [run.recorder.record() for run in runs]
        # What cannot be written fails before the boot, and a probe that is killed leaves no older report behind.
        _write(outputs, records)
        for place, run in enumerate(runs):
            if len(runs) > 1 and not console.json:
                console.print(f"{run.firmware}:")
            with run.probe:
                interrupted = interrupted or _gates(run, console)
                records[place] = run.recorder.record(interrupted=interrupted)
            for gate in records[place].gates[len(run.recorder.gates) :]:
                _show(gate, console)
            if not console.json:
                console.print(summary_line(records[place], color=console.color))
    if interrupted:
        console.say("cloudboot: interrupted")
    _write(outputs, records)
    kept: list[Path] = []
    for record in records if options.keep is not None else ():
        kept += keep(record, options.keep / record.header.firmware)
    for path in (*outputs, *kept):
        console.say(f"cloudboot: wrote {path}")
    if interrupted:
        return INTERRUPTED
    return OK if all(record.outcome is Outcome.PASSED for record in records) else CHECK_FAILED


@contextlib.contextmanager
def _placed(reference: str) -> Iterator[tuple[str | None, str]]:
    """The path of an image, if it is a file, and a reference to it: a file is put into a folder for as long as that.

    A disk in a container (qcow2, VHD, compressed) is stored raw.

    Raises:
        ContainerError: the container is damaged.
        OSError: the file cannot be read, or there is no room for it.
    """
    if not names_file(reference):
        yield None, reference
        return
    with tempfile.TemporaryDirectory(prefix="cloudboot-probe-") as name, open_disk(reference) as disk:
        place = f"oci:{name}/image:probed"
        push_image(disk.storage, place, title=os.path.basename(reference))
        yield reference, place


def _run(firmware: str, probe: Probe) -> _Run:
    planned = stages(firmware, probe.system)
    recorder = Recorder(
        probe,
        planned,
        firmware=firmware,
        version=importlib.metadata.version("cloudboot-probes"),
        command=shlex.join(["cloudboot", *sys.argv[1:]]),
    )
    return _Run(firmware, planned, probe, recorder)


def _gates(run: _Run, console: Console) -> bool:
    """Run the stages of one firmware; whether that was interrupted."""
    noticed = 0
    try:
        running = run_stages(run.planned, run.probe)
        for stage in run.planned:
            with console.waiting(stage.name):
                gate = next(running)
            run.recorder.gates.append(gate)
            _show(gate, console)
            for notice in run.probe.notices[noticed:]:
                console.say(f"cloudboot: notice: {notice}")
            noticed = len(run.probe.notices)
    except KeyboardInterrupt:
        return True
    except BrokenPipeError:  # the reader of stdout is gone
        discard_output()
        return True
    return False


def _show(gate: Gate, console: Console) -> None:
    if console.json:
        console.line(gate.as_dict())
    else:
        console.lines(gate_lines(gate, console.width, color=console.color))


def _outputs(options: argparse.Namespace) -> dict[Path, Callable[..., bytes]]:
    """The files to write, with what writes each.

    Raises:
        UsageError: two of them are the same file.
    """
    renderers: Mapping[str, Callable[..., bytes]] = {
        "report": _page,
        "junit": junit,
        "record": document,
        "console": _console_text,
    }
    outputs: dict[Path, Callable[..., bytes]] = {}
    places: dict[str, str] = {}
    for name, render in renderers.items():
        path: Path | None = getattr(options, name)
        if path is None:
            continue
        place = os.path.realpath(path)
        if place in places:
            raise UsageError(f"--{places[place]} and --{name} name the same file: {path}")
        places[place] = name
        outputs[path] = render
    return outputs


def _page(*records: Record) -> bytes:
    page = report(records[0]) if len(records) == 1 else comparison(records)
    return page.encode("utf-8", "surrogateescape")


def _console_text(*records: Record) -> bytes:
    parts = []
    for record in records:
        heading = f"[{record.header.firmware}]\n" if len(records) > 1 else ""
        lost = f"[the first {record.boot.dropped} bytes are left out]\n" if record.boot.dropped else ""
        parts.append(heading + lost + record.boot.console)
    return "\n".join(parts).encode("utf-8", "surrogateescape")


def _write(outputs: Mapping[Path, Callable[..., bytes]], records: Sequence[Record]) -> None:
    """Write every output of the probe; a new run replaces the one before.

    Raises:
        OSError: a file cannot be written.
    """
    for path, render in outputs.items():
        with new_file(followed(path), force=True) as fd, open(fd, "wb", closefd=False) as file:
            file.write(render(*records))
