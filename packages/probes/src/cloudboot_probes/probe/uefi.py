"""What firmwares have in common that run loaders under the gates of :mod:`cloudboot_uefi_host.gates`.

A probe on one of them ends where the loader ends: it returns, waits for keys, or takes the machine over.
"""

from __future__ import annotations

import functools
import inspect
from collections import deque
from typing import TYPE_CHECKING, ClassVar

import cloudboot_gpt as gpt
import cloudboot_ntfs as ntfs
import cloudboot_ufs2 as ufs2
from cloudboot_base import FormatError, GateFailedError, MemoryStorage
from cloudboot_probes.blockmap import Read
from cloudboot_probes.probe import kernel, windows
from cloudboot_probes.probe.boot import Boot, ConsoleLine
from cloudboot_probes.probe.staging import stage
from cloudboot_probes.windows.volume_kinds import identify
from cloudboot_uefi_host import Budget, Typed
from cloudboot_uefi_host.gates import RUNS, BootPlan, FirmwareBoot, no_root

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cloudboot_base import Storage
    from cloudboot_base.gates import Stage
    from cloudboot_probes.probe.context import Probe
    from cloudboot_probes.systems import System
    from cloudboot_vfs import FileSystem


def _open_ntfs(storage: Storage) -> FileSystem:
    """The NTFS volume of a partition; one that is none is named."""
    try:
        return ntfs.NTFS(storage)
    except FormatError:
        what = identify(storage)
        if what is None or what.name == "NTFS":
            raise
        raise GateFailedError(f"the partition holds {what.text}", hint=what.hint) from None


#: What reads a root, by what :class:`~cloudboot_probes.systems.System` calls its file system.
_OPENERS: Mapping[str, Callable[[Storage], FileSystem]] = {"ufs2": ufs2.UFS2, "ffs": ufs2.UFS2, "ntfs": _open_ntfs}
#: The last service calls that are kept of a run.
_TRACED = 200_000
_HEADLINES = {
    "publish-block-io": "{disk}, {processor}",
    "connect-controller": "{status}, children {children}",
    "sfs-child": "{device_path}",
    "load-image": "{loader} at {base}",
    "ufs-root": "{label}, {device_path}",
    "start-image": "{first_line}",
    "loader-banner": "{banner}",
}


def plan_of(probe: Probe) -> BootPlan:
    """What a probe boots."""
    system, options = probe.system, probe.options
    aliases = gpt.partition_types.ALIASES
    return BootPlan(
        architecture=options.architecture,
        disk=MemoryStorage(probe.image.view),
        loaders=system.loader_paths(options.architecture),
        banner=system.loader_pattern,
        failures=[pattern for pattern in (system.loader_failed_pattern, system.panic_pattern) if pattern],
        root_types=frozenset(aliases[name] for name in system.partition_types if name in aliases),
        open_root=_OPENERS.get(system.root_file_system),
        keys=[Typed(expect, keys) for expect, keys in system.keys],
        memory=options.memory,
        graphics=not (system.text_console or system.text_loader),
        budget=Budget(seconds=probe.time_limit),
        cd=probe.disk.is_cd,
        variables=options.variables,
    )


def _took_over_silently(running: FirmwareBoot) -> bool:
    outcome = running.outcome
    return outcome is not None and outcome.ending == "boot-services-exited" and not running.text().strip()


class LoaderSession:
    """The boot of one probe. Times are those of the firmware's clock."""

    def __init__(self, probe: Probe, boot: FirmwareBoot) -> None:
        self.probe, self.running = probe, boot
        self.trace: deque[str] = deque(maxlen=_TRACED)
        if probe.options.trace:
            boot.firmware.trace.listener = lambda record: self.trace.append(str(record))

    def facts(self) -> Mapping[str, object]:
        """The machine and its firmware."""
        raise NotImplementedError

    def screenshot(self) -> bytes | None:
        """The screen as PNG; ``None`` where there is none, and while nothing has been drawn."""
        return None

    def logs(self) -> Mapping[str, bytes]:
        """The calls of services that Python answered, oldest first, where they are traced."""
        return {"calls.txt": "".join(f"{line}\n" for line in self.trace).encode()} if self.trace else {}

    def close(self) -> None:
        """Give the machine's memory back."""
        self.running.close()

    def boot(self) -> Boot:
        """What the boot left behind so far."""
        running, device = self.running, self.running.device
        printed = running.firmware.console.printed
        if printed:
            self.probe.marks.setdefault("loader", printed[0].time)
        reads, block = ([], 0) if device is None else (device.reads, device.block_size)
        lines = [
            ConsoleLine(piece.time, line)
            for piece in printed
            for line in piece.text.replace("\r", "").split("\n")
            if line.strip()
        ]
        return Boot(
            block_map=self.probe.block_map,
            reads=[Read(read.time, read.lba * block, read.lba * block + read.size) for read in reads],
            marks=dict(self.probe.marks),
            screenshot=self.screenshot(),
            console=running.text(),
            lines=lines,
            files=self.logs(),
        )


class LoaderFirmware:
    """A firmware that ends where the operating system takes the machine over; ``ends`` says so in words."""

    name: ClassVar[str]
    title: ClassVar[str]
    ends: ClassVar[str]

    def begin(self, probe: Probe) -> LoaderSession:
        """Start the firmware."""
        raise NotImplementedError

    def claim(self, name: str) -> str:
        """What passing a gate proves, and what it leaves open."""
        return inspect.getdoc(RUNS[name]) or ""

    def run(self, name: str, probe: Probe) -> Mapping[str, object]:
        """Run a gate."""
        kernel.refuse(probe)
        if name == "publish-block-io":
            probe.session = self.begin(probe)
        return RUNS[name](_running(probe))

    def not_applicable(self, name: str, probe: Probe) -> str | None:
        """Why a gate does not apply to what is probed; ``None`` if it does."""
        if probe.kernel_layers is not None:
            return None  # the first gate refuses it
        if name == "loader-banner" and probe.system.silent and _took_over_silently(_running(probe)):
            return "this loader prints nothing where it succeeds, and it took the machine over"
        return no_root(_running(probe)) if name == "ufs-root" else None

    def stages(self, system: System) -> list[Stage[Probe]]:
        """A stage for each gate of every firmware; those the system adds are beyond this one."""
        boot = [
            stage(
                name,
                self._function(name),
                headline=_HEADLINES[name],
                not_applicable=functools.partial(self.not_applicable, name),
            )
            for name in RUNS
        ]
        return boot + [_WINDOWS.get(name) or self._beyond(name) for name in system.gates]

    def _function(self, name: str) -> Callable[[Probe], Mapping[str, object]]:
        """The stage function of a gate over a probe; its docstring is the gate's claim."""

        def run(probe: Probe) -> Mapping[str, object]:
            return self.run(name, probe)

        run.__doc__ = self.claim(name)
        return run

    def _beyond(self, name: str) -> Stage[Probe]:
        def run(_: Probe) -> Mapping[str, object]:
            """The operating system's own kernel runs."""
            raise GateFailedError(self.ends)

        return stage(name, run, not_applicable=lambda _: self.ends)


#: A run under such a firmware is over when its gate is.
_WINDOWS = windows.stages(settle=lambda _: None)


def _running(probe: Probe) -> FirmwareBoot:
    session = probe.session
    if not isinstance(session, LoaderSession):
        raise GateFailedError("the image is not booted by this firmware")
    return session.running
