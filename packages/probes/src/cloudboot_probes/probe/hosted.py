"""The UEFI in this process as a firmware of probes: real loaders run in it, nothing else is installed.

The gates are those of :mod:`cloudboot_uefi_host.gates`. A probe on this firmware ends where the loader ends: it
returns, waits for keys, or takes the machine over.
"""

from __future__ import annotations

import functools
import inspect
import zlib
from typing import TYPE_CHECKING

import cloudboot_gpt as gpt
import cloudboot_ntfs as ntfs
import cloudboot_ufs2 as ufs2
from cloudboot_base import GateFailedError, MemoryStorage
from cloudboot_probes.blockmap import Read
from cloudboot_probes.probe import kernel, windows
from cloudboot_probes.probe.firmware import Boot, ConsoleLine
from cloudboot_probes.probe.staging import stage
from cloudboot_qemu.picture import png_of_ppm
from cloudboot_uefi_host import Budget
from cloudboot_uefi_host.gates import RUNS, BootPlan, HostedBoot, no_root

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cloudboot_base import Storage
    from cloudboot_base.gates import Stage
    from cloudboot_probes.probe.context import Probe
    from cloudboot_probes.systems import System
    from cloudboot_vfs import FileSystem

#: What reads a root, by what :class:`~cloudboot_probes.systems.System` calls its file system.
_OPENERS: Mapping[str, Callable[[Storage], FileSystem]] = {"ufs2": ufs2.UFS2, "ffs": ufs2.UFS2, "ntfs": ntfs.NTFS}
_HEADLINES = {
    "publish-block-io": "{disk}, {processor}",
    "connect-controller": "{status}, children {children}",
    "sfs-child": "{device_path}",
    "load-image": "{loader} at {base}",
    "ufs-root": "{label}, {device_path}",
    "start-image": "{first_line}",
    "loader-banner": "{banner}",
}
_ENDS = "the firmware in this process runs loaders: it ends where the operating system takes the machine over"


class HostedSession:
    """The boot of one probe. Times are virtual: seconds of the machine's own clock since power-on."""

    def __init__(self, probe: Probe) -> None:
        system, options = probe.system, probe.options
        aliases = gpt.partition_types.ALIASES
        self.probe = probe
        self.hosted = HostedBoot(
            BootPlan(
                architecture=options.architecture,
                disk=MemoryStorage(probe.image.view),
                loaders=system.loader_paths(options.architecture),
                banner=system.loader_pattern,
                failures=[pattern for pattern in (system.loader_failed_pattern, system.panic_pattern) if pattern],
                root_types=frozenset(aliases[name] for name in system.partition_types if name in aliases),
                open_root=_OPENERS.get(system.root_file_system),
                memory=options.memory,
                graphics=not system.text_console,
                budget=Budget(seconds=probe.time_limit),
            )
        )

    def facts(self) -> Mapping[str, object]:
        """The machine and its firmware."""
        machine = self.hosted.firmware.machine
        return {
            "machine": f"{machine.processor.name}, {machine.architecture.name}, in this process",
            "memory": machine.memory.size,
            "processors": 1,
            "firmware": "cloudboot UEFI 2.10",
        }

    def close(self) -> None:
        """Give the machine's memory back."""
        self.hosted.close()

    def boot(self) -> Boot:
        """What the boot left behind so far."""
        hosted, device = self.hosted, self.hosted.device
        printed = hosted.firmware.console.printed
        if printed:
            self.probe.marks.setdefault("loader", printed[0].time)
        reads = [] if device is None else device.reads
        lines = [
            ConsoleLine(piece.time, line)
            for piece in printed
            for line in piece.text.replace("\r", "").split("\n")
            if line.strip()
        ]
        return Boot(
            block_map=self.probe.block_map,
            reads=[Read(read.time, read.lba * 512, read.lba * 512 + read.size) for read in reads],
            marks=dict(self.probe.marks),
            screenshot=self._screenshot(),
            console=hosted.text(),
            lines=lines,
        )

    def _screenshot(self) -> bytes | None:
        """The screen as PNG; ``None`` where there is none, and while nothing has been drawn."""
        if self.hosted.graphics is None:
            return None
        pixels = self.hosted.graphics.pixels()
        if zlib.crc32(pixels) == zlib.crc32(bytes(len(pixels))):
            return None
        return png_of_ppm(self.hosted.graphics.screenshot())


def _hosted(probe: Probe) -> HostedBoot:
    session = probe.session
    if not isinstance(session, HostedSession):
        raise GateFailedError("the image is not booted in this process")
    return session.hosted


def _run(name: str) -> Callable[[Probe], Mapping[str, object]]:
    """The stage function of a gate over a probe; its docstring is the gate's."""
    gate = RUNS[name]

    def run(probe: Probe) -> Mapping[str, object]:
        if probe.kernel_layers is not None:
            return _KERNEL[name](probe)
        if name == "publish-block-io":
            probe.session = HostedSession(probe)
        return gate(_hosted(probe))

    run.__doc__ = _CLAIMS.get(name) or inspect.getdoc(gate)
    return run


#: The gates of a kernel that comes without a disk; the others do not apply to it.
_KERNEL: Mapping[str, Callable[[Probe], Mapping[str, object]]] = {
    "load-image": kernel.load_image,
    "start-image": kernel.start_image,
}
#: What passing proves where that is another thing with a kernel that comes without a disk.
_CLAIMS = {
    "load-image": "LoadImage takes the loader by its device path, a kernel of its own from memory: a PE32+ image for "
    "this processor, relocated.\n\nLeaves open: Signatures; this firmware has no Secure Boot.",
    "start-image": "StartImage hands over to the loader, and the loader's own calls print text before it comes back; a "
    "kernel of its own loads its initial RAM disk and calls ExitBootServices.\n\nLeaves open: What the text says.",
}


def _not_applicable(name: str, probe: Probe) -> str | None:
    """Why a gate does not apply to what is probed; ``None`` if it does."""
    if probe.kernel_layers is not None:
        if name == "loader-banner":
            return kernel.NO_LOADER
        return None if name in _KERNEL else kernel.NOT_A_DISK
    return no_root(_hosted(probe)) if name == "ufs-root" else None


def _system_gate(_: Probe) -> Mapping[str, object]:
    """The operating system's own kernel runs."""
    raise GateFailedError(_ENDS)


#: A run in this process is over when its gate is.
_WINDOWS = windows.stages(settle=lambda _: None)


class HostedFirmware:
    """The firmware of cloudboot_uefi_host."""

    name = "hosted"
    title = "a UEFI in this process"

    def stages(self, system: System) -> list[Stage[Probe]]:
        """A stage for each gate of every firmware; those the system adds are beyond this one."""
        boot = [
            stage(
                name,
                _run(name),
                headline=_HEADLINES[name],
                not_applicable=functools.partial(_not_applicable, name),
            )
            for name in RUNS
        ]
        return boot + [
            _WINDOWS.get(name) or stage(name, _system_gate, not_applicable=lambda _: _ENDS) for name in system.gates
        ]


FIRMWARE = HostedFirmware()
