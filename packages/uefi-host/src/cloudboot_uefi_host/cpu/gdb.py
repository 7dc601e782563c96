"""The processor over QEMU's gdbstub: a machine of QEMU without firmware whose memory is shared with this process.

QEMU is a child process, found on the path. A service call takes about a millisecond; it is the only back end for
loong64. Instructions cannot be counted: a limit of them is a slice of wall time here, so a program that waits for a
timer without a service call is stopped at another place in each run.
"""

from __future__ import annotations

import mmap
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cloudboot_uefi_host.errors import BackEndError, BackEndMissingError
from cloudboot_uefi_host.memory import GuestMemory

from . import arm64
from .stub import Connection, StubLayout, StubProcessor

if TYPE_CHECKING:
    from .architecture import Architecture
    from .processor import CounterSource, Stop

_CONNECT_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class _Machine:
    """How QEMU runs an architecture.

    ``enable`` is code that switches floating point on, run once with ``enable_values`` in registers. ``ram`` is where
    QEMU has RAM.
    """

    program: str
    package: str
    arguments: tuple[str, ...]
    layout: StubLayout
    enable: bytes
    enable_values: tuple[tuple[str, int], ...]
    ram: int


def _numbered(prefix: str, count: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{number}" for number in range(count))


def _arm64_trap(distance: int) -> bytes:
    # adr x16, .; b distance - 4
    return struct.pack("<II", 0x10000010, 0x14000000 | ((distance - 4) >> 2) & 0x03FFFFFF)


def _riscv64_trap(distance: int) -> bytes:
    # auipc t1, 0; jal x0, distance - 4
    offset = distance - 4
    jump = (
        (offset >> 20 & 1) << 31 | (offset >> 1 & 0x3FF) << 21 | (offset >> 11 & 1) << 20 | (offset >> 12 & 0xFF) << 12
    )
    return struct.pack("<II", 0x00000317, jump | 0x6F)


def _loong64_trap(distance: int) -> bytes:
    # pcaddi t0, 0; b distance - 4
    offset = (distance - 4) >> 2
    return struct.pack("<II", 0x1800000C, 0x50000000 | (offset & 0xFFFF) << 10 | offset >> 16 & 0x3FF)


_MACHINES: Final = {
    "arm64": _Machine(
        "qemu-system-aarch64", "qemu-system-arm", ("-machine", "virt,memory-backend=ram", "-cpu", "cortex-a72"),
        StubLayout((*_numbered("x", 31), "sp", "pc"), "x16", _arm64_trap),
        b"", (), 0x4000_0000,  # its instructions depend on where the translation table is
    ),
    "riscv64": _Machine(
        "qemu-system-riscv64", "qemu-system-riscv",
        ("-machine", "virt,memory-backend=ram", "-cpu", "rv64", "-bios", "none"),
        StubLayout((*_numbered("x", 32), "pc"), "x6", _riscv64_trap),
        bytes.fromhex("73900230"),  # csrw mstatus, x5
        (("x5", 3 << 11 | 1 << 13),), 0x8000_0000,
    ),
    "loong64": _Machine(
        "qemu-system-loongarch64", "qemu-system-misc", ("-machine", "virt,memory-backend=ram", "-cpu", "la464"),
        StubLayout((*_numbered("r", 32), "orig_a0", "pc", "badv"), "r12", _loong64_trap),
        struct.pack("<I", 0x04000020 | 2 << 10 | 12),  # csrwr t0, euen
        (("r12", 7),), 0,  # FPE, SXE and ASXE: compilers use the vector registers without being asked
    ),
}  # fmt: skip


def available(architecture: str) -> bool:
    """Whether QEMU for an architecture is installed."""
    machine = _MACHINES.get(architecture)
    return machine is not None and shutil.which(machine.program) is not None


def _connect(path: str, process: subprocess.Popen[bytes]) -> Connection:
    """The connection with a machine that is starting."""
    end = time.monotonic() + _CONNECT_SECONDS
    while True:
        stream = socket.socket(socket.AF_UNIX)
        try:
            stream.connect(path)
            return Connection(stream)
        except OSError as error:
            stream.close()
            if process.poll() is not None or time.monotonic() > end:
                raise BackEndError("QEMU did not start its gdbstub") from error
            time.sleep(0.02)


class GdbProcessor(StubProcessor):
    """A processor of QEMU with its RAM.

    Counters are QEMU's own: a run repeats here only as far as the program does not read them.

    Raises:
        BackEndMissingError: QEMU for the architecture is not installed.
        BackEndError: QEMU did not start.
    """

    def __init__(self, architecture: Architecture, memory_size: int, _counter: CounterSource) -> None:
        self._machine = _MACHINES[architecture.name]
        program = shutil.which(self._machine.program)
        if program is None:
            raise BackEndMissingError(
                f"{self._machine.program} is not installed", hint=f"apt-get install {self._machine.package}"
            )
        self._folder = tempfile.mkdtemp(prefix="cloudboot-gdb-")
        size = max(memory_size, 256 << 20)
        ram = os.memfd_create("cloudboot-uefi-ram", os.MFD_CLOEXEC)
        os.ftruncate(ram, size)
        self._buffer = mmap.mmap(ram, size)
        try:
            self._process = self._start(program, ram, size)
        finally:
            os.close(ram)
        base = architecture.ram_base - self._machine.ram
        memory = GuestMemory(memoryview(self._buffer)[base : base + memory_size], architecture.ram_base)
        try:
            connection = _connect(f"{self._folder}/gdb", self._process)
        except BackEndError:
            self._end()
            raise
        super().__init__("gdb", architecture, memory, self._machine.layout, connection)
        try:
            self._enable()
        except BackEndError:
            self.close()
            raise

    def _start(self, program: str, memory: int, size: int) -> subprocess.Popen[bytes]:
        backend = f"memory-backend-file,id=ram,size={size},mem-path=/proc/self/fd/{memory},share=on"
        return subprocess.Popen(
            [
                program, *self._machine.arguments, "-m", f"{size >> 20}M", "-object", backend, "-accel", "tcg",
                "-nodefaults", "-display", "none",
                "-serial", f"file:{self._folder}/serial", "-S", "-gdb", f"unix:{self._folder}/gdb,server=on,wait=off",
            ],
            pass_fds=(memory,), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def _enable(self) -> None:
        """Run the enabling instructions once, in the middle of memory; on arm64 the MMU is among what they enable."""
        code, values = self._machine.enable, dict(self._machine.enable_values)
        if self.architecture.name == "arm64":
            table = self.memory.end - arm64.TABLE_SIZE
            self.memory.write(table, arm64.translation_table(self.memory.base))
            code, values = arm64.enabling(table)
        at = self.memory.base + self.memory.size // 2
        before = self.memory.read(at, len(code))
        self.memory.write(at, code)
        for register, value in values.items():
            self.write(register, value)
        self.write(self.architecture.pc, at)
        for _ in range(len(code) // 4):
            self.step()
        self.memory.write(at, before)

    @property
    def serial(self) -> bytes:
        """What programs wrote to the serial port."""
        return Path(self._folder, "serial").read_bytes()

    def run(self, pc: int, instructions: int = 0) -> Stop:
        """Execute from ``pc`` until the breakpoint or an exception; ``instructions`` cannot be counted here."""
        del instructions
        return super().run(pc)

    def close(self) -> None:
        """End QEMU."""
        super().close()
        self._end()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
