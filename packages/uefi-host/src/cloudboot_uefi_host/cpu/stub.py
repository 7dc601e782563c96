"""A processor behind the remote protocol of gdb, as QEMU's stub speaks it.

Traps do not take a breakpoint each: the code of a trap puts its own address into a scratch register and jumps to one
place, where the only breakpoint is.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cloudboot_uefi_host.errors import BackEndError

from .architecture import TRAP_SIZE
from .processor import Stop, StopReason

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Sequence

    from cloudboot_uefi_host.memory import GuestMemory

    from .architecture import Architecture

_REPLY_SECONDS: Final = 30.0
_SLICE_SECONDS: Final = 0.5
_MASK64: Final = (1 << 64) - 1
_INTERRUPT: Final = b"\x03"
_SIGINT, _SIGTRAP = "02", "05"
_SPURIOUS: Final = 16
"""Attempts to go on from a stop without a cause: QEMU may report one stop twice, the second time when it runs again."""
#: Registers that are constant, or none of a program's.
_FIXED: Final = frozenset({"r0", "orig_a0", "badv"})


class Connection:
    """The remote protocol of gdb over a connected socket.

    Replies are not acknowledged: QEMU takes the next packet for an acknowledgement.
    """

    def __init__(self, stream: socket.socket) -> None:
        self._socket, self._buffer = stream, b""
        self._send("QStartNoAckMode")
        while self._answer() not in {"OK", ""}:  # older stubs report unasked that the machine stopped
            pass

    def _send(self, *texts: str) -> None:
        packets = [(data, sum(data) & 0xFF) for data in map(str.encode, texts)]
        try:
            self._socket.sendall(b"".join(b"$%s#%02x" % packet for packet in packets))
        except OSError as error:
            raise BackEndError(f"QEMU's gdbstub does not answer: {error}") from error

    def command(self, text: str) -> str:
        """Send a packet and give the reply.

        Raises:
            BackEndError: QEMU has ended, or does not answer.
        """
        return self.commands([text])[0]

    def commands(self, texts: Sequence[str]) -> list[str]:
        """Send packets at once and give the replies."""
        self._send(*texts)
        return [self._answer() for _ in texts]

    def resume(self, text: str, seconds: float | None = None) -> str:
        """Let the machine run until it stops, at the latest after ``seconds``; the stop's reply."""
        self._send(text)
        try:
            return self._reply(seconds)
        except TimeoutError:
            self.stop()
            return self._answer()

    def _answer(self) -> str:
        """The reply of a stopped machine."""
        try:
            return self._reply(_REPLY_SECONDS)
        except TimeoutError:
            raise BackEndError(f"QEMU's gdbstub did not answer within {_REPLY_SECONDS:g} s") from None

    def _reply(self, seconds: float | None) -> str:
        self._socket.settimeout(seconds)
        while True:
            start = self._buffer.find(b"$")
            end = self._buffer.find(b"#", start) if start >= 0 else -1
            if end >= 0 and len(self._buffer) >= end + 3:
                body, self._buffer = self._buffer[start + 1 : end], self._buffer[end + 3 :]
                return body.decode("ascii", "replace")
            try:
                more = self._socket.recv(65536)
            except TimeoutError:
                raise
            except OSError as error:
                raise BackEndError(f"QEMU's gdbstub does not answer: {error}") from error
            if not more:
                raise BackEndError("QEMU has ended")
            self._buffer += more

    def registers(self) -> dict[str, tuple[int, int]]:
        """The number and the bits of every register in the target's description, by its name."""
        found: dict[str, tuple[int, int]] = {}
        number = 0
        for annex in re.findall(r'<xi:include href="([^"]+)"', self._features("target.xml")):
            for element in re.findall(r"<reg\s[^>]*>", self._features(annex)):
                facts = dict(re.findall(r'(\w+)="([^"]*)"', element))
                number = int(facts.get("regnum", number))
                found[facts["name"]] = number, int(facts["bitsize"])
                number += 1
        return found

    def _features(self, annex: str) -> str:
        """A file of the target's description."""
        text = ""
        while True:
            answer = self.command(f"qXfer:features:read:{annex}:{len(text):x},ffb")
            if answer[:1] not in {"m", "l"}:
                raise BackEndError(f"QEMU's gdbstub has no description {annex}: {answer!r}")
            text += answer[1:]
            if answer[0] == "l":
                return text

    def stop(self) -> None:
        """Ask a running machine to stop."""
        self._socket.sendall(_INTERRUPT)

    def close(self) -> None:
        """End the connection."""
        self._socket.close()


@dataclass(frozen=True, slots=True)
class StubLayout:
    """What the stub and the traps of an architecture look like.

    ``registers`` are the general ones in the order of the stub's ``g`` packet, 64 bits each. ``scratch`` is the
    register that a trap leaves its address in, ``trap`` gives a trap's code from the distance to the common place.
    """

    registers: tuple[str, ...]
    scratch: str
    trap: Callable[[int], bytes]


class StubProcessor:
    """One processor of a stopped machine.

    Instructions cannot be counted: a run with a number of them is one of about half a second.
    """

    def __init__(
        self, name: str, architecture: Architecture, memory: GuestMemory, layout: StubLayout, connection: Connection
    ) -> None:
        self.name, self.architecture, self.memory = name, architecture, memory
        self._layout, self._connection = layout, connection
        self._known: dict[str, int] | None = None
        self._changed: dict[str, int] = {}
        self._others: dict[str, tuple[int, int]] | None = None
        self._common = 0
        self._watched: set[int] = set()
        self._interrupted = False

    # Registers

    def _registers(self) -> dict[str, int]:
        if self._known is None:
            data = bytes.fromhex(self._connection.command("g"))
            names = self._layout.registers
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
            self._others = self._connection.registers()
        if register not in self._others:
            raise BackEndError(f"QEMU's gdbstub knows no register {register}")
        return self._others[register]

    def write(self, register: str, value: int) -> None:
        """Set a register."""
        if register not in self._layout.registers:
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
        registers = list(self._changed)
        numbers = map(self._layout.registers.index, registers)
        packets = [
            f"P{n:x}={struct.pack('<Q', self._changed[r]).hex()}" for n, r in zip(numbers, registers, strict=True)
        ]
        self._changed.clear()
        for register, answer in zip(registers, self._connection.commands(packets), strict=True):
            if answer != "OK":
                raise BackEndError(f"QEMU refused to set {register}: {answer}")

    def save(self) -> object:
        """The general registers."""
        return dict(self._registers())

    def restore(self, state: object) -> None:
        """Set the general registers that differ."""
        if isinstance(state, dict):
            for register, value in state.items():
                if self._registers().get(register) != value and register not in _FIXED:
                    self.write(register, value)

    # Memory and code

    def place_traps(self, address: int, size: int) -> None:
        """Fill the table; its last trap is the common place with the breakpoint."""
        self._common = address + size - TRAP_SIZE
        traps = range(address, self._common, TRAP_SIZE)
        code = b"".join(self._layout.trap(self._common - at).ljust(TRAP_SIZE, b"\0") for at in traps)
        self.memory.write(address, code + self.architecture.trap_code.ljust(TRAP_SIZE, b"\0"))
        self._break("Z1", [self._common])

    def watch(self, addresses: Iterable[int]) -> None:
        """Stop in front of these instructions, too, with the reason :attr:`~.StopReason.WATCHED`."""
        wanted = set(addresses) - self._watched
        self._break("Z1", sorted(wanted))
        self._watched |= wanted

    def unwatch(self, addresses: Iterable[int]) -> None:
        """No longer stop there."""
        found = set(addresses) & self._watched
        self._break("z1", sorted(found))
        self._watched -= found

    def _break(self, packet: str, addresses: Sequence[int]) -> None:
        answers = self._connection.commands([f"{packet},{at:x},1" for at in addresses])
        if any(answer != "OK" for answer in answers):
            raise BackEndError("QEMU sets no breakpoint")

    def guard(self, address: int, size: int) -> None:
        """Memory is not protected here."""

    def load_code(self, address: int, size: int) -> None:
        """QEMU sees writes of this process only when it translates anew: nothing has run at this address yet."""

    # Execution

    def step(self) -> None:
        """Execute the instruction at the program counter, which is no jump to itself."""
        pc = self.read(self.architecture.pc)
        for _ in range(_SPURIOUS):
            self._flush()
            self._connection.resume("s")
            self._known = None
            if self.read(self.architecture.pc) != pc:
                return

    def run(self, pc: int, instructions: int = 0) -> Stop:
        """Execute from ``pc`` until a breakpoint, an exception, or the end of the slice."""
        self._interrupted = False
        self.write(self.architecture.pc, pc)
        if pc in self._watched:
            self.step()  # a breakpoint at the program counter would stop the processor at once
        at, answer = pc, ""
        for _ in range(_SPURIOUS):
            self._flush()
            self._known = None
            answer = self._connection.resume("c", _SLICE_SECONDS if instructions else None)
            at = self.read(self.architecture.pc)
            if at == self._common:
                return Stop(StopReason.TRAP, self.read(self._layout.scratch))
            if self._interrupted:
                return Stop(StopReason.INTERRUPTED, at)
            if at in self._watched:
                return Stop(StopReason.WATCHED, at)
            if instructions and answer[1:3] == _SIGINT:
                return Stop(StopReason.INSTRUCTIONS, at)
            if answer[1:3] != _SIGTRAP:
                break
        return Stop(StopReason.FAULT, at, f"the processor stopped with signal {answer[1:3] or '?'}")

    def interrupt(self) -> None:
        """Stop the machine from another thread."""
        self._interrupted = True
        self._connection.stop()

    def close(self) -> None:
        """End the connection."""
        self._connection.close()
