"""The stages of a machine under real firmware, up to the loader's first words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cloudboot_gpt as gpt
from cloudboot_base import GateFailedError
from cloudboot_probes import cd
from cloudboot_probes.errors import BootError, LoaderCrashedError, NoBootOptionError
from cloudboot_probes.probe import kernel
from cloudboot_probes.probe.staging import stage

from . import linux, windows
from .session import SILENT, QemuSession, demand_complete, session_of, summary, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudboot_base.gates import Stage
    from cloudboot_probes.probe.context import Probe
    from cloudboot_probes.systems import System

# What EDK2's boot manager prints (MdeModulePkg/Universal/BdsDxe, UefiBootManagerLib).
# Looked at, not taken: whether it loads is a later gate's.
_DECIDED = r"(?=BdsDxe: (?:(?:loading|failed to load) (?P<decided>Boot\w+)|No bootable option) [^\n]*\n)"
_STARTING = r'BdsDxe: starting (?P<option>Boot\w+) "[^"\n]*" from (?P<path>\S+)\n'
# Looked at, not taken: it is the loader's, and the next gate's.
_FIRST_LINE = (
    r"(?<![^\n])(?=(?P<first>[^\n]*\S[^\n]*)\n)"
    r"(?!BdsDxe: |UEFI Interactive Shell|!!!! |(?:Synchronous|SError|IRQ) Exception)"
)
#: What the firmware's partition driver has to read of a table: the first to its end, and something of the second.
_TABLES = (
    (gpt.Table, ("primary GPT header", "primary GPT entries")),
    (gpt.MBRTable, ("MBR", "MBR")),
    (cd.BootCatalogue, ("boot catalogue", "boot catalogue")),
)


def publish_block_io(probe: Probe) -> Mapping[str, object]:
    """A machine has the verified buffer itself, read-only, as its disk: no copy, no file.

    Leaves open: That QEMU shows the guest what is in the memfd. root-mounted compares that file by file.
    """
    kernel.refuse(probe)
    session = QemuSession(probe)
    probe.session = session
    machine = session.machine
    nodes = {node["node-name"]: node for node in machine.qmp("query-named-block-nodes", {"flat": True})}
    drive = machine.description.drives[0]
    node = nodes[f"node-{drive.name}"]
    evidence: dict[str, object] = {
        "qemu": session.version,
        "accelerator": machine.description.accelerator,
        "firmware": str(machine.description.firmware.executable),
        "disk": f"memfd, {node['image']['virtual-size']} bytes, {drive.interface}",
        "read_only": node["ro"],
    }
    if machine.notices:
        evidence["notices"] = list(machine.notices)
    if not node["ro"] or node["image"]["virtual-size"] != probe.image.size:
        raise GateFailedError("the machine's disk is not the buffer", evidence=evidence)
    return evidence


def connect_controller(probe: Probe) -> Mapping[str, object]:
    """The firmware found the disk by itself, and its own partition driver read its table.

    Leaves open: Other firmware, and Secure Boot, which is off.
    """
    session = session_of(probe)
    seen = session.expect(_DECIDED, "the firmware's choice of what to start")
    coverage = session.coverage(until=seen.time)
    header, entries = next(names for kind, names in _TABLES if isinstance(probe.disk.table, kind))
    evidence = {
        "boot_option": text_of(seen.match, "decided"),
        "at": session.mark("firmware", seen.time),
        "read": summary(coverage, (header, entries)),
    }
    demand_complete(coverage, 0, (header,), "the firmware", evidence)
    if (0, entries) not in coverage:
        raise GateFailedError(f"the firmware read nothing of {entries}", evidence=evidence)
    return evidence


def sfs_child(probe: Probe) -> Mapping[str, object]:
    """The firmware's own FAT driver looked at our ESP as a file system.

    Leaves open: Long names and deep folders, which this boot does not need.
    """
    session = session_of(probe)
    partition = probe.disk.esp_partition
    coverage = session.coverage(until=probe.marks["firmware"])
    evidence = {
        "partition": f"{partition.number} {partition.guid or partition.type_name}",
        "read": summary({key: part for key, part in coverage.items() if key[0] == partition.number}, ("boot sector",)),
    }
    demand_complete(coverage, partition.number, ("boot sector",), "the firmware", evidence)
    return evidence


def load_image(probe: Probe) -> Mapping[str, object]:
    """The firmware's own FAT driver read the whole EFI loader from our ESP, and the firmware took it for a program.

    Leaves open: Loaders other than the one at the path for removable media.
    """
    session = session_of(probe)
    path = probe.disk.esp_owner(probe.system.loader(probe.options.architecture))
    seen = session.expect(_STARTING, "the firmware's start of the loader")
    probe.marks["starting"] = seen.time
    coverage = session.coverage(until=seen.time)
    evidence = {
        "loader": path,
        "boot_option": text_of(seen.match, "option"),
        "device_path": text_of(seen.match, "path"),
        "read": summary(coverage, (path,)),
    }
    demand_complete(coverage, probe.disk.esp_partition.number, (path,), "the firmware", evidence)
    return evidence


def ufs_root(probe: Probe) -> Mapping[str, object]:
    """The firmware shows the loader our root as a file system."""
    raise GateFailedError("this firmware has no driver for the root", evidence={"system": probe.system.name})


def _no_root_driver(_: Probe) -> str:
    return "this firmware has no driver for the root's file system; the loader brings its own"


def start_image(probe: Probe) -> Mapping[str, object]:
    """The firmware handed over to the loader, which did not come back before it printed something.

    Leaves open: What the loader does. From here on a loader can print what it likes; see the kernel's gates.
    """
    session = session_of(probe)
    try:
        seen = session.expect(_FIRST_LINE, "the loader's first line")
    except BootError as error:
        if not probe.system.silent or isinstance(error, NoBootOptionError | LoaderCrashedError):
            raise
        probe.marks[SILENT] = session.machine.elapsed
        return {"started_at": round(probe.marks["starting"], 2), "first_line": None, "ended": error.message}
    return {
        "started_at": round(probe.marks["starting"], 2),
        "first_line": text_of(seen.match, "first"),
        "at": round(seen.time, 2),
    }


def _was_silent(probe: Probe) -> str | None:
    return "this loader prints nothing where it succeeds, and it did not come back" if SILENT in probe.marks else None


def loader_banner(probe: Probe) -> Mapping[str, object]:
    """The loader says what it is and where it goes on.

    Leaves open: Whether it speaks the truth: this is text, and a hostile loader prints what it likes.
    """
    session = session_of(probe)
    system = probe.system
    seen = session.expect(
        system.loader_pattern, "the loader's banner", failed=(system.panic_pattern, system.failed_pattern)
    )
    return {
        "serial": [line for line in seen.match["expected_"].decode("utf-8", "replace").splitlines() if line],
        "banner": text_of(seen.match),
        "at": session.mark("loader", seen.time),
    }


_SYSTEM_STAGES = {**linux.STAGES, **windows.STAGES}


class QemuFirmware:
    """OVMF and its relatives, as their packages bring them, in a QEMU machine."""

    name = "qemu"
    title = "real UEFI firmware in a QEMU machine"

    def stages(self, system: System) -> list[Stage[Probe]]:
        """A stage for each gate of every firmware, and for those the system adds."""
        boot = [
            stage("publish-block-io", publish_block_io, headline="QEMU {qemu}, {accelerator}: {disk}"),
            stage("connect-controller", connect_controller, headline="{boot_option} at {at} s"),
            stage("sfs-child", sfs_child, headline="partition {partition}"),
            stage("load-image", load_image, headline="{loader} by {boot_option}"),
            stage("ufs-root", ufs_root, not_applicable=_no_root_driver),
            stage("start-image", start_image, headline="{first_line}"),
            stage("loader-banner", loader_banner, headline="{banner}", not_applicable=_was_silent),
        ]
        return boot + [_SYSTEM_STAGES[name] for name in system.gates]


FIRMWARE = QemuFirmware()
