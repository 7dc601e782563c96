"""A machine of QEMU whose firmware has started the agent: its RAM mapped here, its processor held by gdb's stub."""

from __future__ import annotations

import os
import struct
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import cloudboot_fat
from cloudboot_base import MemoryStorage, MissingDependencyError
from cloudboot_uefi_host.cpu.architecture import AMD64
from cloudboot_uefi_host.cpu.processor import StopReason
from cloudboot_uefi_host.cpu.stub import Connection, StubLayout, StubProcessor
from cloudboot_uefi_host.errors import BackEndError
from cloudboot_uefi_host.memory import GuestMemory
from cloudboot_uefi_host.programs import agent
from cloudboot_uefi_host.protocols.graphics import HEIGHT, WIDTH

try:
    import cloudboot_qemu as qemu
except ImportError as error:  # an extra
    raise MissingDependencyError(
        "driving a firmware in a machine needs cloudboot-qemu", hint="pip install 'cloudboot-uefi-host[qemu]'"
    ) from error

if TYPE_CHECKING:
    from collections.abc import Callable

PLACE: Final = 0x800_0000
"""Where the agent takes its memory: the mailbox's page, then :data:`ARENA_SIZE` bytes for what Python publishes."""
ARENA: Final = PLACE + 4096
ARENA_SIZE: Final = (4 << 20) - 4096
_MAILBOX: Final = struct.Struct("<8sQQQ")
_SIGNATURE: Final = b"CLDAGENT"
_POLL: Final = 0.02
_DISK_SIZE: Final = 1 << 20
#: A screen as large as that of the firmware in this process: OVMF takes the size from the adapter's EDID.
_SCREEN: Final = ("-global", f"VGA.xres={WIDTH}", "-global", f"VGA.yres={HEIGHT}")
_REGISTERS: Final = (
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip",
)  # fmt: skip


def _trap(distance: int) -> bytes:
    # lea r11, [rip - 7]; jmp distance - 12; ret
    return b"\x4c\x8d\x1d\xf9\xff\xff\xff\xe9" + struct.pack("<i", distance - 12) + b"\xc3"


_LAYOUT: Final = StubLayout(_REGISTERS, "r11", _trap)
#: A trap's own ``ret`` follows the jump; the flags are no 64-bit register of the stub's.
_ARCHITECTURE: Final = replace(AMD64, trap_size=12, registers=_REGISTERS)


@dataclass(frozen=True, slots=True)
class AgentMachine:
    """The machine, the processor in the agent's loop, and what the agent was given: its handle, the system table.

    ``version`` is QEMU's.
    """

    qemu: qemu.Machine
    version: str
    processor: StubProcessor
    image: int
    system_table: int
    close: Callable[[], None]


def start_agent(
    *, memory: int, seconds: float, firmware: qemu.Firmware | None = None, display: bool = False
) -> AgentMachine:
    """Start a machine of amd64 and wait for the agent; by default with the firmware that QEMU's descriptors prefer.

    Args:
        memory: bytes of RAM, more than 132 MiB.
        seconds: how long the firmware may take to start the agent.
        firmware: which firmware.
        display: whether the machine has a graphics adapter beside its serial line.

    Raises:
        ProgramMissingError: QEMU is not installed.
        FirmwareMissingError: no firmware is installed.
        BackEndError: the firmware did not start the agent.
    """
    with ExitStack() as stack:
        disk = _agent_disk()
        try:
            machine = stack.enter_context(
                qemu.Machine(
                    [qemu.Drive(disk, name="agent")],
                    memory=memory,
                    firmware=firmware,
                    shared_memory=True,
                    display=display,
                    debugger=True,
                    extra=_SCREEN if display else (),
                    name="cloudboot-agent",
                )
            )
        finally:
            os.close(disk)
        mapping = machine.memory.map()
        view = memoryview(mapping)
        stack.callback(mapping.close)
        stack.callback(view.release)
        _wait(machine, view, seconds)
        _, image, table, loop = _MAILBOX.unpack_from(view, PLACE)
        machine.qmp("stop")
        processor = StubProcessor("QEMU", _ARCHITECTURE, GuestMemory(view, 0), _LAYOUT, Connection(machine.debugger))
        _hold(processor, loop)
        version = machine.qmp("query-version")["qemu"]
        text = f"{version['major']}.{version['minor']}.{version['micro']}"
        return AgentMachine(machine, text, processor, image, table, stack.pop_all().close)


def _agent_disk() -> int:
    """A memfd with a FAT volume that holds the agent as the removable-media loader."""
    volume = bytearray(_DISK_SIZE)
    cloudboot_fat.build(MemoryStorage(volume), {f"/EFI/BOOT/{AMD64.removable_name}": agent()})
    disk = os.memfd_create("agent", os.MFD_CLOEXEC)
    with open(disk, "wb", closefd=False) as file:
        file.write(volume)
    return disk


def _wait(machine: qemu.Machine, view: memoryview, seconds: float) -> None:
    end = time.monotonic() + seconds
    while bytes(view[PLACE : PLACE + len(_SIGNATURE)]) != _SIGNATURE:
        if time.monotonic() > end:
            text = machine.transcript.tail()
            raise BackEndError(f"the firmware did not start the agent within {seconds:g} s", hint=text or None)
        try:
            if machine.wait(_POLL):
                raise BackEndError("the machine ended before the agent ran")
        except qemu.ExpectTimeoutError:
            continue
        except qemu.QemuError as error:
            raise BackEndError(f"the machine failed before the agent ran: {error.message}", hint=error.hint) from error


def _hold(processor: StubProcessor, loop: int) -> None:
    """Stop the processor in the agent's loop and not elsewhere: it may just be in an interrupt's handler."""
    processor.watch([loop])
    while True:
        stop = processor.run(processor.read("rip"))
        if stop.reason is StopReason.WATCHED and stop.pc == loop:
            processor.unwatch([loop])
            return
        if stop.reason is not StopReason.WATCHED:
            raise BackEndError(f"the agent did not stop: {stop.detail or stop.reason.value}")


__all__ = ["ARENA", "ARENA_SIZE", "AgentMachine", "start_agent"]
