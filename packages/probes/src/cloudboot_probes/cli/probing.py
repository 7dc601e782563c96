"""``cloudboot probe``: boot an image and print the gates."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import shlex
import sys
import tempfile
from typing import TYPE_CHECKING

from cloudboot_base import UsageError, new_file, run_stages
from cloudboot_base.command import CHECK_FAILED, INTERRUPTED, OK
from cloudboot_disk_image import open_disk
from cloudboot_oci_stream import Policy, push_image
from cloudboot_probes import systems
from cloudboot_probes.probe import Outcome, Probe, ProbeOptions, Recorder, default_firmware, stages
from cloudboot_probes.render.json import document
from cloudboot_probes.render.junit import junit
from cloudboot_probes.render.report import report
from cloudboot_probes.render.terminal import gate_lines, summary_line

from .registry import reach

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from cloudboot_base.gates import Gate
    from cloudboot_probes.probe import Record

    from .console import Console


def main(options: argparse.Namespace, console: Console) -> int:
    """Probe, and write what was asked for, however the probe ends."""
    system = systems.load(options.system)
    firmware = options.firmware or default_firmware(system)
    planned = stages(firmware, system)
    outputs = _outputs(options)
    access, deadline, retry = reach(options)
    with contextlib.ExitStack() as stack:
        chosen = ProbeOptions(
            architecture=options.architecture,
            accelerator=options.accelerator,
            memory=options.memory,
            timeout=options.timeout,
            access=access,
            deadline=deadline,
            retry=retry,
            policy=Policy.load(options.policy) if options.policy is not None else None,
            progress=stack.enter_context(console.progress("fetching")),
        )
        file, reference = stack.enter_context(_placed(options.reference))
        probe = stack.enter_context(Probe(system, reference, chosen, file=file))
        recorder = Recorder(
            probe,
            planned,
            firmware=firmware,
            version=importlib.metadata.version("cloudboot-probes"),
            command=shlex.join(["cloudboot", *sys.argv[1:]]),
        )
        # What cannot be written fails before the boot, and a probe that is killed leaves no older report behind.
        _write(outputs, recorder.record())
        interrupted = False
        noticed = 0
        try:
            running = run_stages(planned, probe)
            for stage in planned:
                with console.waiting(stage.name):
                    gate = next(running)
                recorder.gates.append(gate)
                _show(gate, console)
                for notice in probe.notices[noticed:]:
                    console.say(f"cloudboot: notice: {notice}")
                noticed = len(probe.notices)
        except KeyboardInterrupt:
            interrupted = True
        record = recorder.record(interrupted=interrupted)
        for gate in record.gates[len(recorder.gates) :]:
            _show(gate, console)
        if not console.json:
            console.print(summary_line(record, color=console.color))
        if interrupted:
            console.say("cloudboot: interrupted")
        _write(outputs, record)
        for path in outputs:
            console.say(f"cloudboot: wrote {path}")
    if interrupted:
        return INTERRUPTED
    return OK if record.outcome is Outcome.PASSED else CHECK_FAILED


@contextlib.contextmanager
def _placed(reference: str) -> Iterator[tuple[str | None, str]]:
    """The path of an image, if it is a file, and a reference to it: a file is put into a folder for as long as that.

    What looks like a path is one, so that a file that is missing is not looked for in a registry. A disk in a container
    (qcow2, VHD, compressed) is stored raw.

    Raises:
        ContainerError: the container is damaged.
        OSError: the file cannot be read, or there is no room for it.
    """
    if not (os.path.isfile(reference) or reference.startswith(("/", "./", "../"))):
        yield None, reference
        return
    with tempfile.TemporaryDirectory(prefix="cloudboot-probe-") as name, open_disk(reference) as disk:
        place = f"oci:{name}/image:probed"
        push_image(disk.storage, place, title=os.path.basename(reference))
        yield reference, place


def _show(gate: Gate, console: Console) -> None:
    if console.json:
        console.line(gate.as_dict())
    else:
        console.lines(gate_lines(gate, console.width, color=console.color))


def _outputs(options: argparse.Namespace) -> dict[Path, Callable[[Record], bytes]]:
    """The files to write, with what writes each.

    Raises:
        UsageError: two of them are the same file.
    """
    renderers: Mapping[str, Callable[[Record], bytes]] = {
        "report": lambda record: report(record).encode("utf-8", "surrogateescape"),
        "junit": junit,
        "record": document,
        "console": _console_text,
    }
    outputs: dict[Path, Callable[[Record], bytes]] = {}
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


def _console_text(record: Record) -> bytes:
    lost = f"[the first {record.boot.dropped} bytes are left out]\n" if record.boot.dropped else ""
    return (lost + record.boot.console).encode("utf-8", "surrogateescape")


def _write(outputs: Mapping[Path, Callable[[Record], bytes]], record: Record) -> None:
    """Write every output of the probe; a new run replaces the one before.

    Raises:
        OSError: a file cannot be written.
    """
    for path, render in outputs.items():
        with new_file(path, force=True) as fd, open(fd, "wb", closefd=False) as file:
            file.write(render(record))
