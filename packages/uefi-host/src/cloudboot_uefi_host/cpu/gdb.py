"""The processor over QEMU's gdbstub: a machine of QEMU without firmware whose memory is shared with this process.

QEMU is a child process, found on the path. A service call takes about a millisecond; it is the only back end for
loong64. Traps do not take a breakpoint each: the code of a trap puts its own address into a scratch register and jumps
to one place, where the only breakpoint is. Instructions cannot be counted: a limit of them is a slice of wall time
here, so a program that waits for a timer without a service call is stopped at another place in each run.
"""

from __future__ import annotations

import mmap
import os
import re
import select
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

from .architecture import TRAP_SIZE
from .processor import Stop, StopReason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .architecture import Architecture
    from .processor import CounterSource

_CONNECT_SECONDS: Final = 20.0
_REPLY_SECONDS: Final = 30.0
_SLICE_SECONDS: Final = 0.02
_MASK64: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class _Machine:
    """How QEMU runs an architecture.

    ``registers`` are the general ones in the order of the stub's ``g`` packet, 64 bits each. ``scratch`` is the
    register that a trap leaves its address in, ``trap`` gives a trap's code from the distance to the common place,
    ``enable`` is code that switches floating point on, run once with ``enable_values`` in registers. ``ram`` is where
    QEMU has RAM.
    """

    program: str
    package: str
    arguments: tuple[str, ...]
    registers: tuple[str, ...]
    scratch: str
    trap: Callable[[int], bytes]
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
        (*_numbered("x", 31), "sp", "pc"), "x16", _arm64_trap,
        bytes.fromhex("401018d5"),  # msr cpacr_el1, x0
        (("x0", 3 << 20),), 0x4000_0000,
    ),
    "riscv64": _Machine(
        "qemu-system-riscv64", "qemu-system-riscv",
        ("-machine", "virt,memory-backend=ram", "-cpu", "rv64", "-bios", "none"),
        (*_numbered("x", 32), "pc"), "x6", _riscv64_trap,
        bytes.fromhex("73900230"),  # csrw mstatus, x5
        (("x5", 3 << 11 | 1 << 13),), 0x8000_0000,
    ),
    "loong64": _Machine(
        "qemu-system-loongarch64", "qemu-system-misc", ("-machine", "virt,memory-backend=ram", "-cpu", "la464"),
        (*_numbered("r", 32), "orig_a0", "pc", "badv"), "r12", _loong64_trap,
        struct.pack("<I", 0x04000020 | 2 << 10 | 12),  # csrwr t0, euen
        (("r12", 7),), 0,  # FPE, SXE and ASXE: compilers use the vector registers without being asked
    ),
}  # fmt: skip


def available(architecture: str) -> bool:
    """Whether QEMU for an architecture is installed."""
    machine = _MACHINES.get(architecture)
    return machine is not None and shutil.which(machine.program) is not None


class _Connection:
    """The remote protocol of gdb, without acknowledgements."""

    def __init__(self, path: str, process: subprocess.Popen[bytes]) -> None:
        self._process, self._buffer = process, b""
        end = time.monotonic() + _CONNECT_SECONDS
        while True:
            self._socket = socket.socket(socket.AF_UNIX)
            try:
                self._socket.connect(path)
                break
            except OSError as error:
                self._socket.close()
                if process.poll() is not None or time.monotonic() > end:
                    raise BackEndError("QEMU did not start its gdbstub") from error
                time.sleep(0.02)
        self._socket.settimeout(_REPLY_SECONDS)
        self._acknowledge = True
        self.command("QStartNoAckMode")
        self._acknowledge = False

    def command(self, text: str) -> str:
        """Send a packet and give the reply."""
        try:
            self._send(text)
            return self._reply()
        except OSError as error:
            raise BackEndError(f"QEMU's gdbstub does not answer: {error}") from error

    def resume(self, seconds: float | None) -> tuple[str, bool]:
        """Run until something stops the machine, or for ``seconds``: the reply, and whether the time was over."""
        try:
            self._send("c")
            ready, _, _ = select.select([self._socket], [], [], seconds)
            if not ready:
                self.stop()  # one that comes after another stop is ignored
            return self._reply(), not ready
        except OSError as error:
            raise BackEndError(f"QEMU's gdbstub does not answer: {error}") from error

    def _send(self, text: str) -> None:
        data = text.encode()
        self._socket.sendall(b"$%s#%02x" % (data, sum(data) & 0xFF))

    def _reply(self) -> str:
        while True:
            start = self._buffer.find(b"$")
            end = self._buffer.find(b"#", start) if start >= 0 else -1
            if end >= 0 and len(self._buffer) >= end + 3:
                body, self._buffer = self._buffer[start + 1 : end], self._buffer[end + 3 :]
                if self._acknowledge:
                    self._socket.sendall(b"+")
                return body.decode("ascii", "replace")
            more = self._socket.recv(65536)
            if not more:
                raise BackEndError(f"QEMU ended with code {self._process.poll()}")
            self._buffer += more

    def stop(self) -> None:
        """Ask a running machine to stop."""
        self._socket.sendall(b"\x03")

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def features(self, annex: str) -> str:
        """A file of the target's description."""
        parts: list[str] = []
        while True:
            answer = self.command(f"qXfer:features:read:{annex}:{sum(map(len, parts)):x},ffb")
            if answer[:1] not in {"m", "l"}:
                raise BackEndError(f"QEMU's gdbstub has no description {annex}: {answer!r}")
            parts.append(answer[1:])
            if answer[0] == "l":
                return "".join(parts)


def _described(connection: _Connection) -> dict[str, tuple[int, int]]:
    """The number and the bits of every register in the target's description, by its name."""
    found: dict[str, tuple[int, int]] = {}
    number = 0
    for annex in re.findall(r'<xi:include href="([^"]+)"', connection.features("target.xml")):
        for element in re.findall(r"<reg\s[^>]*>", connection.features(annex)):
            facts = dict(re.findall(r'(\w+)="([^"]*)"', element))
            number = int(facts.get("regnum", number))
            found[facts["name"]] = number, int(facts["bitsize"])
            number += 1
    return found


class GdbProcessor:
    """A processor of QEMU with its RAM.

    Counters are QEMU's own: a run repeats here only as far as the program does not read them.

    Raises:
        BackEndMissingError: QEMU for the architecture is not installed.
        BackEndError: QEMU did not start.
    """

    name = "gdb"

    def __init__(self, architecture: Architecture, memory_size: int, _counter: CounterSource) -> None:
        self.architecture = architecture
        self._machine = _MACHINES[architecture.name]
        program = shutil.which(self._machine.program)
        if program is None:
            raise BackEndMissingError(
                f"{self._machine.program} is not installed", hint=f"apt-get install {self._machine.package}"
            )
        self._known: dict[str, int] | None = None
        self._changed: dict[str, int] = {}
        self._others: dict[str, tuple[int, int]] | None = None
        self._common = 0
        self._traps = range(0)
        self._interrupted = False
        self._folder = tempfile.mkdtemp(prefix="cloudboot-gdb-")
        size = max(memory_size, 256 << 20)
        memory = os.memfd_create("cloudboot-uefi-ram", os.MFD_CLOEXEC)
        os.ftruncate(memory, size)
        self._buffer = mmap.mmap(memory, size)
        try:
            self._process = self._start(program, memory, size)
        finally:
            os.close(memory)
        base = architecture.ram_base - self._machine.ram
        view = memoryview(self._buffer)[base : base + memory_size]
        self.memory = GuestMemory(view, architecture.ram_base)
        try:
            self._connection = _Connection(f"{self._folder}/gdb", self._process)
            self._enable_floating_point()
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

    def _enable_floating_point(self) -> None:
        """Run the enabling instruction once, at the start of memory."""
        at = self.memory.base + self.memory.size // 2
        before = self.memory.read(at, 16)
        self.memory.write(at, self._machine.enable)
        for register, value in self._machine.enable_values:
            self.write(register, value)
        self.write(self.architecture.pc, at)
        self._flush()
        self._connection.command("s")
        self._known = None
        self.memory.write(at, before)

    # Registers

    def _registers(self) -> dict[str, int]:
        if self._known is None:
            data = bytes.fromhex(self._connection.command("g"))
            names = self._machine.registers
            self._known = dict(zip(names, struct.unpack_from(f"<{len(names)}Q", data), strict=True)) | self._changed
        return self._known

    def read(self, register: str) -> int:
        """The value of a register."""
        known = self._registers().get(register)
        if known is not None:
            return known
        number, _ = self._other(register)
        return int.from_bytes(bytes.fromhex(self._connection.command(f"p{number:x}")), "little")

    def _other(self, register: str) -> tuple[int, int]:
        """The number and the bits of a register that is none of the general ones."""
        if self._others is None:
            self._others = _described(self._connection)
        if register not in self._others:
            raise BackEndError(f"QEMU's gdbstub knows no register {register}")
        return self._others[register]

    def write(self, register: str, value: int) -> None:
        """Set a register."""
        if register not in self._machine.registers:
            number, bits = self._other(register)
            data = (value & (1 << bits) - 1).to_bytes(bits // 8, "little")
            if self._connection.command(f"P{number:x}={data.hex()}") != "OK":
                raise BackEndError(f"QEMU refused to set {register}")
            return
        value &= _MASK64
        self._changed[register] = value
        if self._known is not None:
            self._known[register] = value

    def read_many(self, registers: Sequence[str]) -> list[int]:
        """The values of several registers."""
        found = self._registers()
        return [found[register] for register in registers]

    def _flush(self) -> None:
        for register, value in self._changed.items():
            number = self._machine.registers.index(register)
            answer = self._connection.command(f"P{number:x}={struct.pack('<Q', value).hex()}")
            if answer != "OK":
                raise BackEndError(f"QEMU refused to set {register}: {answer}")
        self._changed.clear()

    def save(self) -> object:
        """The general registers."""
        return dict(self._registers())

    def restore(self, state: object) -> None:
        """Set the general registers that differ."""
        if isinstance(state, dict):
            for register, value in state.items():
                if self._registers().get(register) != value and register not in {"r0", "x0z", "orig_a0", "badv"}:
                    self.write(register, value)

    # Memory and code

    def place_traps(self, address: int, size: int) -> None:
        """Fill the table; its last trap is the common place with the breakpoint."""
        self._common = address + size - TRAP_SIZE
        self._traps = range(address, self._common)
        code = b"".join(
            self._machine.trap(self._common - at).ljust(TRAP_SIZE, b"\0") for at in self._traps[::TRAP_SIZE]
        )
        self.memory.write(address, code + self.architecture.trap_code.ljust(TRAP_SIZE, b"\0"))
        if self._connection.command(f"Z1,{self._common:x},4") != "OK":
            raise BackEndError("QEMU sets no breakpoint")

    def guard(self, address: int, size: int) -> None:
        """Memory is not protected here: QEMU runs without page tables."""

    def load_code(self, address: int, size: int, spans: Sequence[tuple[int, int]]) -> None:
        """QEMU sees writes of this process only when it translates anew: nothing has run at this address yet."""

    # Execution

    def run(self, pc: int, instructions: int = 0) -> Stop:
        """Execute from ``pc`` until the breakpoint or an exception; ``instructions`` are a slice of time."""
        self._interrupted = False
        self.write(self.architecture.pc, pc)
        self._flush()
        self._known = None
        answer, over = self._connection.resume(_SLICE_SECONDS if instructions else None)
        at = self.read(self.architecture.pc)
        if at == self._common:
            return Stop(StopReason.TRAP, self.read(self._machine.scratch))
        if self._interrupted:
            return Stop(StopReason.INTERRUPTED, at)
        if over:
            return Stop(StopReason.INSTRUCTIONS, at)
        return Stop(StopReason.FAULT, at, f"the processor stopped with signal {answer[1:3] or '?'}")

    @property
    def serial(self) -> bytes:
        """What programs wrote to the serial port."""
        return Path(self._folder, "serial").read_bytes()

    def interrupt(self) -> None:
        """Stop the machine from another thread."""
        self._interrupted = True
        self._connection.stop()

    def close(self) -> None:
        """End QEMU."""
        connection = getattr(self, "_connection", None)
        if connection is not None:
            connection.close()
        self._process.kill()
        self._process.wait()
        socket_path = Path(self._folder)
        shutil.rmtree(socket_path, ignore_errors=True)
