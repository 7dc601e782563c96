"""A kernel that an artifact has as a layer of its own, started in the UEFI of this process without any disk.

LoadImage takes it from memory, the initial RAM disk is given through Load File 2 under Linux's vendor media path, the
command line as LoadOptions. The run ends where the kernel's EFI stub calls ExitBootServices: it has taken the machine
over then.
"""

from __future__ import annotations

import fcntl
import hashlib
from typing import TYPE_CHECKING, Final

from cloudboot_base import GateFailedError, MemoryStorage
from cloudboot_probes.loader import pe_problems
from cloudboot_probes.probe.boot import Boot, ConsoleLine
from cloudboot_uefi_abi.device_path import DevicePath, MemoryMapped
from cloudboot_uefi_abi.status import is_error, status_name
from cloudboot_uefi_host import Budget, Ending, Firmware, HostError, Outcome, start
from cloudboot_uefi_host.core.memory_map import PAGE, MemoryType
from cloudboot_uefi_host.protocols.device_path_text import publish_device_path_text
from cloudboot_uefi_host.protocols.graphics import publish_graphics
from cloudboot_uefi_host.protocols.load_file2 import INITRD, LoadFile2, publish_load_file2
from cloudboot_uefi_host.protocols.random import publish_random_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudboot_oci_stream import Descriptor
    from cloudboot_probes.probe.context import Probe
    from cloudboot_uefi_host import Image

NOT_A_DISK: Final = "the artifact is a kernel: there is no disk"
NO_LOADER: Final = "the artifact is a kernel: there is no loader before it"
_SEALS: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_SHOWN: Final = 12
_LINES: Final = 25


def refuse(probe: Probe) -> None:
    """Let no firmware that starts disks have a kernel: a probe in which no gate applied would pass.

    Raises:
        GateFailedError: the artifact is a kernel.
    """
    if probe.kernel_layers is not None:
        raise GateFailedError("the artifact is a kernel: there is no disk to boot", hint="--firmware hosted starts it")


def describe_layers(probe: Probe) -> Mapping[str, object]:
    """The layers that resolve found, for its evidence."""
    layers = probe.kernel_layers
    if layers is None:
        raise GateFailedError("the artifact is no kernel")
    present = {"kernel": layers.kernel, "initrd": layers.initrd, "cmdline": layers.cmdline}
    return {
        "layer": layers.kernel.digest,
        "media_type": layers.kernel.media_type,
        "size": sum(layer.size for layer in present.values() if layer is not None),
        "layers": [
            f"{name} {layer.media_type} {layer.size} bytes" for name, layer in present.items() if layer is not None
        ],
    }


def verify(probe: Probe) -> Mapping[str, object]:
    """What :mod:`.stages` verifies of a disk image, for each layer of a kernel."""
    kernel = probe.kernel
    evidence: dict[str, object] = {}
    parts: list[tuple[str, Descriptor | None, memoryview | None]] = [
        ("kernel", kernel.layers.kernel, kernel.kernel),
        ("initrd", kernel.layers.initrd, kernel.initrd),
    ]
    for name, layer, view in parts:
        if layer is None or view is None:
            continue
        algorithm, _, expected = layer.digest.partition(":")
        actual = hashlib.new(algorithm, view).hexdigest()
        evidence["digest" if name == "kernel" else name] = f"{algorithm}:{actual}"
        if actual != expected:
            raise GateFailedError(f"the {name} changed after it was verified", evidence=evidence)
    if any(fcntl.fcntl(fd, fcntl.F_GET_SEALS) & _SEALS != _SEALS for fd in kernel.fds):
        raise GateFailedError("a buffer is not sealed", evidence=evidence)
    return evidence


def header(probe: Probe) -> Mapping[str, object]:
    """What is checked of a kernel before it is started."""
    kernel, architecture = probe.kernel, probe.options.architecture
    if probe.system.name != "linux":
        raise GateFailedError(f"a kernel's artifact holds a Linux kernel, not {probe.system.title}")
    evidence: dict[str, object] = {
        "loader": {"size": len(kernel.kernel), "sha256": hashlib.sha256(kernel.kernel).hexdigest()},
        "architecture": kernel.architecture,
        "cmdline": kernel.cmdline,
        "initrd": None if kernel.initrd is None else len(kernel.initrd),
    }
    if kernel.architecture not in {None, architecture}:
        raise GateFailedError(
            f"the artifact is for {kernel.architecture}, the machine is {architecture}",
            evidence=evidence, hint=f"--architecture {kernel.architecture}",
        )  # fmt: skip
    problems = pe_problems(bytes(kernel.kernel), architecture)
    if problems:
        raise GateFailedError(f"the kernel {problems[0]}", evidence=evidence)
    return evidence


class KernelSession:
    """The boot of one probe of a kernel. Times are virtual: seconds of the machine's own clock since power-on."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        self.firmware = Firmware(
            probe.options.architecture, memory=probe.options.memory, budget=Budget(seconds=probe.time_limit)
        )
        self.firmware.variables.load(probe.options.variables)
        publish_graphics(self.firmware)
        publish_random_numbers(self.firmware)
        publish_device_path_text(self.firmware)
        initrd = probe.kernel.initrd
        self.initrd: LoadFile2 | None = None
        if initrd is not None:
            self.initrd = publish_load_file2(self.firmware, MemoryStorage(initrd))
        self.image: Image | None = None

    def facts(self) -> Mapping[str, object]:
        """The machine and its firmware."""
        machine = self.firmware.machine
        return {
            "machine": f"{machine.processor.name}, {machine.architecture.name}, in this process",
            "memory": machine.memory.size,
            "processors": 1,
            "firmware": "cloudboot UEFI 2.10",
        }

    def text(self) -> str:
        """What the kernel printed, with line feeds only."""
        return self.firmware.console.text.replace("\r\n", "\n").replace("\r", "")

    def boot(self) -> Boot:
        """What the boot left behind so far."""
        printed = self.firmware.console.printed
        if printed:
            self.probe.marks.setdefault("kernel", printed[0].time)
        lines = [
            ConsoleLine(piece.time, line)
            for piece in printed
            for line in piece.text.replace("\r", "").split("\n")
            if line.strip()
        ]
        return Boot(marks=dict(self.probe.marks), console=self.text(), lines=lines)

    def close(self) -> None:
        """Give the machine's memory back."""
        self.firmware.close()


def _session(probe: Probe) -> KernelSession:
    if not isinstance(probe.session, KernelSession):
        raise GateFailedError("the stage load-image has not run")
    return probe.session


def load_image(probe: Probe) -> Mapping[str, object]:
    """LoadImage with the kernel in a buffer of the machine's memory, and its LoadOptions."""
    session = KernelSession(probe)
    probe.session = session
    firmware, content = session.firmware, probe.kernel.kernel
    pages = -(-len(content) // PAGE)
    # What the firmware allocates itself; the handle is written behind the image.
    source = firmware.allocator.pages(pages + 1)
    firmware.memory.write(source, bytes(content))
    path = DevicePath.of(MemoryMapped(int(MemoryType.LOADER_DATA), source, source + pages * PAGE - 1)).pack()
    place = firmware.allocator.place(path)
    status = firmware.images.load_image(
        0, firmware.handle, place, source, len(content), source + pages * PAGE
    )  # BootPolicy is FALSE
    handle = firmware.memory.u64(source + pages * PAGE)
    firmware.allocator.map.free(source, pages + 1)
    image = None if is_error(status) else firmware.images.get(handle)
    if image is None:
        raise GateFailedError(f"LoadImage refuses the kernel: {status_name(status)}")
    session.image = image
    evidence: dict[str, object] = {
        "loader": "the kernel",
        "status": status_name(status),
        "device_path": str(DevicePath.parse(path)),
        "base": f"{image.base:#x}",
        "size": image.size,
        "entry": f"{image.entry:#x}",
    }
    if probe.kernel.cmdline is not None:
        options = probe.kernel.cmdline.encode("utf-16-le", "surrogatepass") + b"\0\0"
        firmware.images.set_options(image, options)
        evidence["load_options"] = probe.kernel.cmdline
    if session.initrd is not None:
        evidence["initrd"] = f"Load File 2, VenMedia({str(INITRD).upper()})"
    return evidence


def start_image(probe: Probe) -> Mapping[str, object]:
    """StartImage; the kernel's stub loads its initial RAM disk and calls ExitBootServices."""
    session = _session(probe)
    firmware, image = session.firmware, session.image
    if image is None:
        raise GateFailedError("the stage load-image has not run")
    outcome: Outcome | None = None
    failure: HostError | None = None
    try:
        outcome = start(firmware, image)
    except HostError as error:
        failure = error
    lines = [line.strip() for line in session.text().splitlines() if line.strip()]
    evidence: dict[str, object] = {
        "first_line": lines[0] if lines else "",
        "ending": str(outcome if outcome is not None else failure),
        "calls": dict(firmware.trace.counts.most_common(_SHOWN)),
        "console": lines[-_LINES:],
        "seconds": round(firmware.clock.seconds(), 3),
    }
    if session.initrd is not None:
        evidence["initrd_loaded"] = session.initrd.reads
    if failure is not None:
        raise failure
    if outcome is None or outcome.ending is not Ending.BOOT_SERVICES_EXITED:
        raise GateFailedError("the kernel did not take the machine over", evidence=evidence)
    if session.initrd is not None and not session.initrd.reads:
        raise GateFailedError("the kernel did not load its initial RAM disk", evidence=evidence)
    return evidence
