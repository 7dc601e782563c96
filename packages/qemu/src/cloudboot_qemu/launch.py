"""From a machine's description to a command line and the descriptors that go with it."""

from __future__ import annotations

import dataclasses
import datetime
import os
import shutil
from typing import TYPE_CHECKING, Literal

from . import kvm
from .descriptors import memory_file, pipe, socket_pair
from .drives import Drive, drive_arguments, fdset_path, open_source
from .errors import FirmwareMissingError, ProgramMissingError
from .firmware import architecture_named
from .supervisor import Channels, guarded
from .trace import CD_EVENTS, OPEN_EVENTS

if TYPE_CHECKING:
    import contextlib
    import socket

    from .firmware import Firmware

Accelerator = Literal["tcg", "kvm"]

MAX_MEMORY = 1 << 40
"""Bytes; QEMU's own limits are those of the processor's physical addresses, and its message names none."""

_VARIABLES_SET, _SCREEN_SET, _FIRST_DRIVE_SET = 1, 2, 10


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a machine is made of; the meaning of each is :class:`.Machine`'s."""

    architecture: str
    accelerator: Accelerator
    memory: int
    processors: int
    cpu: str | None
    firmware: Firmware
    variables: bytes | None
    network: bool
    reboot: bool
    rtc: str
    name: str
    shared_memory: bool
    display: bool
    debugger: bool
    extra: tuple[str, ...]
    drives: tuple[Drive, ...]

    def __post_init__(self) -> None:
        if self.memory < 1 << 20 or self.memory % (1 << 20):
            raise ValueError(f"a machine's memory is a multiple of 1 MiB, not {self.memory} bytes")
        if self.memory > MAX_MEMORY:
            raise ValueError(f"a machine has at most {MAX_MEMORY >> 30} GiB of memory, not {self.memory} bytes")
        if self.processors < 1:
            raise ValueError(f"a machine has at least one processor, not {self.processors}")
        if len({drive.name for drive in self.drives}) != len(self.drives):
            raise ValueError("two drives have the same name")
        datetime.datetime.fromisoformat(self.rtc)
        if "," in self.name:
            raise ValueError(f"a machine's name has no comma: {self.name!r}")
        if any("\0" in word for word in (self.name, self.cpu or "", *self.extra)):
            raise ValueError("an argument of QEMU holds a NUL")
        if self.variables is not None and self.firmware.variables is None:
            raise ValueError(f"{self.firmware.executable} has no variable store of its own")

    @property
    def files(self) -> dict[str, str]:
        """The names QEMU opens the drives by, with the drives' names."""
        return {fdset_path(_FIRST_DRIVE_SET + index): drive.name for index, drive in enumerate(self.drives)}


@dataclasses.dataclass(frozen=True, slots=True)
class Private:
    """Descriptors that stay ours while the machine lives.

    ``screen_out`` is the very open file QEMU writes pictures to: its position is set through it. ``variables`` is the
    variable store, ``None`` where the firmware has none; ``memory`` the RAM where it is shared; ``debugger`` the
    connection with gdb's stub where there is one.
    """

    screen: int
    screen_out: int
    variables: int | None
    memory: int | None
    debugger: socket.socket | None


@dataclasses.dataclass(frozen=True, slots=True)
class Launch:
    """A command line, the descriptors QEMU inherits, and our ends of its channels."""

    command: list[str]
    inherited: list[int]
    output: int
    channels: Channels
    private: Private


def prepare(description: Description, ours: contextlib.ExitStack, lent: contextlib.ExitStack) -> Launch:
    """Open everything a machine needs.

    ``ours`` closes our descriptors, ``lent`` those that only QEMU needs once it runs.

    Raises:
        ProgramMissingError: QEMU or setpriv is not installed.
        FirmwareMissingError: a file of the firmware cannot be read.
        ImageError: a drive's source cannot be opened.
    """
    row = architecture_named(description.architecture)
    program = shutil.which(row.program)
    if program is None:
        raise ProgramMissingError(row.program, package=row.program_package)
    variables = _variable_store(description, ours)
    memory = _memory(description, ours)
    screen = memory_file("screen", b"", ours)
    screen_out = _reopened(screen, os.O_WRONLY, ours)
    sources = []
    for drive in description.drives:
        source = open_source(drive)
        lent.callback(os.close, source)
        sources.append(source)
    monitor, monitor_theirs = socket_pair(ours, lent)
    console, console_theirs = socket_pair(ours, lent)
    debugger, debugger_theirs = socket_pair(ours, lent) if description.debugger else (None, None)
    trace, trace_theirs = pipe(ours, lent)
    stderr, stderr_theirs = pipe(ours, lent)
    events = OPEN_EVENTS + (CD_EVENTS if any(drive.interface == "cd" for drive in description.drives) else ())
    command = [
        program,
        *("-name", description.name, "-nodefaults", "-no-user-config", "-display", "none", "-msg", "timestamp=on"),
        *_board(description, variables, memory),
        *("-chardev", f"socket,id=monitor0,fd={monitor_theirs}", "-mon", "chardev=monitor0,mode=control"),
        *("-chardev", f"socket,id=console0,fd={console_theirs}", "-serial", "chardev:console0"),
        *_debugger(debugger_theirs),
        *("-add-fd", f"fd={screen_out},set={_SCREEN_SET}"),
        *drive_arguments(description.drives, sources, _FIRST_DRIVE_SET),
        *(word for event in events for word in ("-trace", f"enable={event}")),
        *("-D", f"/proc/self/fd/{trace_theirs}", "-S"),
        *description.extra,
    ]
    inherited = [monitor_theirs, console_theirs, trace_theirs, screen_out, *sources]
    inherited += [fd for fd in (variables, memory, debugger_theirs) if fd is not None]
    channels = Channels(monitor, console, trace, stderr)
    return Launch(
        guarded(command), inherited, stderr_theirs, channels, Private(screen, screen_out, variables, memory, debugger)
    )


def screen_path() -> str:
    """The file name that makes QEMU write a picture to :attr:`Private.screen_out`."""
    return fdset_path(_SCREEN_SET)


def _board(description: Description, variables: int | None, memory: int | None) -> list[str]:
    row = architecture_named(description.architecture)
    flash = f"driver=file,node-name=firmware,filename={_escaped(description.firmware.executable)},read-only=on"
    arguments = ["-blockdev", flash]
    machine = f"{row.machine},accel={description.accelerator},pflash0=firmware"
    if variables is not None:
        arguments += ["-add-fd", f"fd={variables},set={_VARIABLES_SET}"]
        arguments += ["-blockdev", f"driver=file,node-name=variables,filename={fdset_path(_VARIABLES_SET)},locking=off"]
        machine += ",pflash1=variables"
    if memory is not None:
        path = f"/proc/self/fd/{memory}"
        arguments += ["-object", f"memory-backend-file,id=ram0,size={description.memory},mem-path={path},share=on"]
        machine += ",memory-backend=ram0"
    cpu = description.cpu or ("host" if description.accelerator == "kvm" else row.cpu)
    return [
        *("-machine", machine, "-cpu", cpu, "-m", f"{description.memory >> 20}M", "-smp", str(description.processors)),
        *("-rtc", f"base={description.rtc},clock=vm"),
        *arguments,
        *(row.video if description.display else ()),
        *row.keyboard,
        *(("-nic", "user,model=virtio-net-pci") if description.network else ("-nic", "none")),
        *(() if description.reboot else ("-no-reboot",)),
    ]


def _debugger(fd: int | None) -> tuple[str, ...]:
    return () if fd is None else ("-chardev", f"socket,id=debugger0,fd={fd}", "-gdb", "chardev:debugger0")


def _escaped(path: os.PathLike[str]) -> str:
    return os.fspath(path).replace(",", ",,")  # how QEMU's option parser spells a comma


def _variable_store(description: Description, ours: contextlib.ExitStack) -> int | None:
    firmware = description.firmware
    try:
        with open(firmware.executable, "rb"):
            pass
        if firmware.variables is None:
            return None
        content = description.variables
        if content is None:
            content = firmware.variables.read_bytes()
    except OSError as error:
        package = architecture_named(description.architecture).firmware_package
        hint = f"{error.filename}: {error.strerror}"
        raise FirmwareMissingError(description.architecture, package=package, hint=hint) from error
    return memory_file("variables", content, ours)


def _memory(description: Description, ours: contextlib.ExitStack) -> int | None:
    if not description.shared_memory:
        return None
    fd = memory_file("memory", b"", ours)
    os.ftruncate(fd, description.memory)
    return fd


def _reopened(fd: int, mode: int, ours: contextlib.ExitStack) -> int:
    again = os.open(f"/proc/self/fd/{fd}", mode | os.O_CLOEXEC)
    ours.callback(os.close, again)
    return again


def usable_accelerator() -> Accelerator:
    """``"kvm"`` where it runs guest code for this process (:func:`.kvm.problem` tries), else ``"tcg"``."""
    return "tcg" if kvm.problem() else "kvm"
