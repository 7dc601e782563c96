"""The stages of a machine under real firmware, watched through its serial line and the reads of its disk."""

from __future__ import annotations

import math
import re
import time
from typing import TYPE_CHECKING

from cloudboot_base import GateFailedError
from cloudboot_base.command import counted
from cloudboot_qemu import Drive, Machine

from .account import Account, compare

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cloudboot_probes.blockmap import Coverage
    from cloudboot_qemu import Expected

    from .context import Probe

_STARTING = re.compile(rb'BdsDxe: starting (?P<option>Boot\w+) "(?P<title>[^"\n]*)" from (?P<path>\S+)\n')
_NO_BOOT = re.compile(rb"BdsDxe: (?:failed to (?:load|start)|No bootable option) [^\n]*\n")
_LOADER_ERROR = re.compile(rb"(?<![^\n])error: [^\n]+\n")


def publish(probe: Probe) -> Mapping[str, object]:
    """A machine has the verified buffer itself, read-only, as its disk: no copy, no file."""
    machine = Machine(
        [Drive(probe.image.fd)],
        architecture=probe.options.architecture,
        accelerator=probe.options.accelerator,
        memory=probe.options.memory,
    )
    probe.machine = machine
    version = machine.qmp("query-version")["qemu"]
    nodes = {node["node-name"]: node for node in machine.qmp("query-named-block-nodes", {"flat": True})}
    drive = machine.description.drives[0]
    node = nodes[f"node-{drive.name}"]
    evidence = {
        "qemu": f"{version['major']}.{version['minor']}.{version['micro']}",
        "accelerator": machine.description.accelerator,
        "firmware": str(machine.description.firmware.executable),
        "disk": f"memfd, {node['image']['virtual-size']} bytes, {drive.interface}",
        "read_only": node["ro"],
    }
    if not node["ro"] or node["image"]["virtual-size"] != probe.image.size:
        raise GateFailedError("the machine's disk is not the buffer", evidence=evidence)
    return evidence


def firmware_start(probe: Probe) -> Mapping[str, object]:
    """The firmware found the disk's GPT and ESP by itself and starts a boot option on that disk."""
    seen = _expect(probe, _STARTING, failed=_NO_BOOT)
    found = _STARTING.search(seen.match[0])
    coverage = _coverage(probe, until=seen.time)
    evidence = {
        "boot_option": _text(found, "option"),
        "device_path": _text(found, "path"),
        "at": _mark(probe, "firmware", seen),
        "read": _summary(coverage, ("primary GPT header", "primary GPT entries", "boot sector")),
    }
    if "primary GPT header" not in {owner for _, owner in coverage}:
        raise GateFailedError("the firmware never read the GPT header", evidence=evidence)
    return evidence


def loader(probe: Probe) -> Mapping[str, object]:
    """The firmware's own FAT driver read the whole EFI loader from our ESP, and the loader found our root."""
    pattern = re.compile(probe.system.loader_pattern.encode())
    seen = _expect(probe, pattern, failed=_LOADER_ERROR)
    path = probe.system.loader(probe.options.architecture)
    number = probe.disk.esp_partition.number
    coverage = _coverage(probe, until=seen.time)
    evidence = {
        "serial": [line for line in seen.match[0].decode("utf-8", "replace").splitlines() if line],
        "at": _mark(probe, "loader", seen),
        "read": _summary(coverage, (path,)),
    }
    _demand_complete(coverage, number, (path,), "the firmware", evidence)
    return evidence


def kernel_banner(probe: Probe) -> Mapping[str, object]:
    """The loader's own UFS2 driver read configuration, kernel and initial RAM disk from our root, to the last byte."""
    pattern = re.compile(probe.system.banner_pattern.encode())
    seen = _expect(probe, pattern, failed=_LOADER_ERROR)
    files = [probe.disk.owner(path) for path in probe.system.loader_files]
    at = _mark(probe, "kernel", seen)
    coverage = _coverage(probe, until=seen.time)
    evidence = {
        "banner": _text(seen.match, "evidence"),
        "at": at,
        "since_command": round(_since_command(probe, at), 1),
        "read": _summary(coverage, files),
    }
    _demand_complete(coverage, _root_number(probe), files, "the loader", evidence)
    return evidence


def root_mounted(probe: Probe) -> Mapping[str, object]:
    """The kernel's own ufs driver mounted our root; every file, mode, owner and time is what the build put there."""
    failed = re.compile(probe.system.failed_pattern.encode())
    seen = _expect(probe, re.compile(probe.system.finished_pattern.encode()), failed=failed)
    at = _mark(probe, "finished", seen)
    mounted = re.search(probe.system.mounted_pattern.encode(), seen.text)
    account = Account.parse(seen.text)
    manifest = probe.disk.manifest
    if manifest is None:
        raise GateFailedError("the image has no manifest")
    differences = compare(account, manifest)
    coverage = _coverage(probe, since=probe.marks["kernel"])
    number = _root_number(probe)
    files = {extent.owner for extent in probe.block_map.extents if extent.partition == number and extent.file}
    evidence: dict[str, object] = {
        "mounted": _text(mounted, "evidence"),
        "files": len(account.hashes),
        "entries": len(account.entries),
        "differences": len(differences),
        "read_by_kernel": f"{sum(coverage[number, name].complete for name in files if (number, name) in coverage)} "
        f"of {len(files)} files to the last byte",
        "at": at,
        "since_command": round(_since_command(probe, at), 1),
    }
    probe.take_screenshot()
    if differences:
        evidence["different"] = differences[:20]
        raise GateFailedError(
            f"the kernel sees {counted(len(differences), 'difference')}, the first: {differences[0]}", evidence=evidence
        )
    _demand_complete(coverage, number, sorted(files), "the kernel", evidence)
    return evidence


def _expect(probe: Probe, pattern: re.Pattern[bytes], *, failed: re.Pattern[bytes]) -> Expected:
    """Wait for ``pattern``; what ``failed`` matches ends the wait at once."""
    either = re.compile(b"(?P<expected_>" + pattern.pattern + b")|(?P<failed_>" + failed.pattern + b")")
    seen = probe.machine.expect(either, probe.remaining())
    if seen.match["expected_"] is None:
        text = seen.match["failed_"].decode("utf-8", "replace").strip()
        raise GateFailedError(
            f"the machine says: {text}", evidence={"serial": probe.machine.transcript.tail(2000).splitlines()[-20:]}
        )
    return seen


def _mark(probe: Probe, name: str, seen: Expected) -> float:
    """Note when something was seen, in seconds since power-on."""
    probe.marks[name] = seen.time
    return round(seen.time, 2)


def _since_command(probe: Probe, at: float) -> float:
    """Seconds from the command to ``at``, which counts from power-on."""
    return at + (time.monotonic() - probe.machine.elapsed - probe.started)


def _coverage(probe: Probe, since: float = 0.0, until: float = math.inf) -> dict[tuple[int, str], Coverage]:
    """What was read between two moments. A console line is seen a little after it was sent, never before."""
    return probe.block_map.coverage(read for read in probe.reads() if since <= read.time <= until)


def _summary(coverage: Mapping[tuple[int, str], Coverage], owners: Iterable[str]) -> dict[str, str]:
    wanted = set(owners)
    return {owner: f"{part.read} of {part.size} bytes" for (_, owner), part in coverage.items() if owner in wanted}


def _demand_complete(
    coverage: Mapping[tuple[int, str], Coverage],
    partition: int,
    paths: Iterable[str],
    who: str,
    evidence: Mapping[str, object],
) -> None:
    for path in paths:
        part = coverage.get((partition, path))
        if part is None or not part.complete:
            seen = "nothing" if part is None else f"{part.read} of {part.size} bytes"
            raise GateFailedError(f"{who} read {seen} of {path} from partition {partition}", evidence=evidence)


def _root_number(probe: Probe) -> int:
    partition = probe.disk.root_partition
    if partition is None:
        raise GateFailedError("the disk has no UFS partition")
    return partition.number


def _text(found: re.Match[bytes] | None, group: str) -> str | None:
    return None if found is None or found[group] is None else found[group].decode("utf-8", "replace")


STAGES = {
    "publish": publish,
    "firmware-start": firmware_start,
    "loader": loader,
    "kernel-banner": kernel_banner,
    "root-mounted": root_mounted,
}
