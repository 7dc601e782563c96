"""Machines whose devices are driven from this process: QEMU's qtest protocol, and guest RAM shared through a memfd.

The processor executes a halt loop. This process owns the memory, the PCI bus and the doorbells. A :class:`QtestMachine`
offers what :class:`cloudboot_virtio.bus.Bus` asks for.
"""

from __future__ import annotations

import contextlib
import dataclasses
import mmap
import os
import shutil
from typing import TYPE_CHECKING, Any, Final, Self

from .architectures import ARCHITECTURES
from .descriptors import memory_file, pipe, socket_pair
from .drives import fdset_path
from .errors import MachineFailedError, ProgramMissingError, QmpError
from .supervisor import Channels, Supervisor, guarded

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence
    from types import TracebackType

MEBIBYTE: Final = 1 << 20
_SCREEN_SET: Final = 1
_REPLY_SECONDS: Final = 60.0
_QMP_SECONDS: Final = 60.0
#: Posted writes whose replies were not read yet. Both socket buffers full of them would be a deadlock, so from the
#: first number on replies are read where there are some, and from the second on they are waited for: a machine that was
#: stopped answers nothing, and posting a few more to it must not wait until it goes on.
_MANY_POSTED: Final = 64
_MOST_POSTED: Final = 160
_POST_SECONDS: Final = 0.001
_LETTERS: Final = {1: "b", 2: "w", 4: "l", 8: "q"}


@dataclasses.dataclass(frozen=True, slots=True)
class QtestBoard:
    """Where a machine without firmware has its parts; addresses are guest-physical.

    ``idle`` is the whole content of the firmware image: a loop that halts the processor. ``memory`` is the least RAM in
    bytes that the machine starts with, ``low_memory`` how much of it lies from ``memory_base`` on in one piece.
    """

    machine: str
    memory_base: int
    ecam: int | None
    pci_window: range
    idle: bytes
    memory: int = 64 * MEBIBYTE
    low_memory: int = 256 * MEBIBYTE


_X86_RESET_VECTOR: Final = bytes.fromhex("faf4ebfd").ljust(16, b"\xf4")  # cli; hlt; jmp to the hlt

BOARDS: Final = {
    # Without firmware nobody enables q35's ECAM: ports 0xcf8 and 0xcfc it is.
    "amd64": QtestBoard("q35", 0, None, range(0xE000_0000, 0xFEC0_0000), bytes(65536 - 16) + _X86_RESET_VECTOR),
    "arm64": QtestBoard(
        "virt,highmem=off",
        0x4000_0000,
        0x3F00_0000,
        range(0x1000_0000, 0x3EFF_0000),
        bytes.fromhex("7f2003d5ffffff17") * 512,  # wfi; b to the wfi
    ),
    "riscv64": QtestBoard(
        "virt",
        0x8000_0000,
        0x3000_0000,
        range(0x4000_0000, 0x8000_0000),
        bytes.fromhex("730050106ff0dfff") * 512,  # wfi; j to the wfi
    ),
    "loong64": QtestBoard(
        "virt",
        0,
        0x2000_0000,
        range(0x4000_0000, 0x8000_0000),
        bytes.fromhex("00804806ffffff53") * 512,  # idle 0; b to the idle
        memory=1024 * MEBIBYTE,  # the board refuses less
    ),
}
"""The boards, by Debian's name of the architecture."""


class QtestChannel:
    """The line protocol of QEMU's qtest: one command, one reply. Not for several threads at once."""

    def __init__(self, connection: socket.socket, supervisor: Supervisor) -> None:
        self._socket = connection
        self._socket.settimeout(_REPLY_SECONDS)
        self._supervisor = supervisor
        self._buffer = b""
        self._posted = 0  # replies still to come that nobody waits for
        self.round_trips = 0

    def command(self, line: bytes, seconds: float = _REPLY_SECONDS) -> bytes | None:
        """Run a command: its reply without ``OK``, or ``None`` if it takes longer than ``seconds``.

        A reply that comes later is dropped, so the next command is safe.

        Raises:
            MachineFailedError: QEMU is gone, or refused the command.
        """
        self.round_trips += 1
        self._send(line)
        self._posted += 1
        last = b""
        while self._posted:
            reply = self._reply(seconds)
            if reply is None:
                return None
            self._posted -= 1
            self._check(reply)
            last = reply
        return last[3:]

    def post(self, line: bytes) -> None:
        """Send a command and do not wait for its reply. Commands are executed in order.

        Raises:
            MachineFailedError: QEMU is gone, or refused an earlier command.
        """
        self.round_trips += 1
        self._send(line)
        self._posted += 1
        if self._posted > _MANY_POSTED:
            must = self._posted > _MOST_POSTED
            while self._posted:
                reply = self._reply(_REPLY_SECONDS if must else _POST_SECONDS)
                if reply is None and must:
                    raise MachineFailedError(
                        f"QEMU does not answer within {_REPLY_SECONDS:g} s", status=None, stderr=""
                    )
                if reply is None:
                    return
                self._posted -= 1
                self._check(reply)

    def _send(self, line: bytes) -> None:
        try:
            self._socket.sendall(line)
        except OSError as error:
            raise self._gone() from error

    def _reply(self, seconds: float) -> bytes | None:
        while True:
            line, newline, rest = self._buffer.partition(b"\n")
            if newline:
                self._buffer = rest
                return line
            if seconds != _REPLY_SECONDS:
                self._socket.settimeout(seconds)
            try:
                data = self._socket.recv(1 << 16)
            except TimeoutError:
                return None
            except OSError as error:
                raise self._gone() from error
            finally:
                if seconds != _REPLY_SECONDS:
                    self._socket.settimeout(_REPLY_SECONDS)
            if not data:
                raise self._gone()
            self._buffer += data

    def _check(self, reply: bytes) -> None:
        if not reply.startswith(b"OK"):
            raise MachineFailedError(f"qtest: {reply.decode('ascii', 'replace')}", status=None, stderr="")

    def _gone(self) -> MachineFailedError:
        self._supervisor.wait(2.0)
        end = self._supervisor.end
        return MachineFailedError(
            "QEMU is gone", status=None if end is None else end.exit_code, stderr=self._supervisor.stderr()
        )


class QtestMachine:
    """A machine without firmware or guest; leave the ``with`` block, or call :meth:`close`, and it is gone.

    The kernel kills QEMU when this process dies. Nothing of the machine has a name in a file system.
    """

    def __init__(
        self,
        devices: Sequence[str] = (),
        *,
        architecture: str = "amd64",
        memory: int | None = None,
        extra: Sequence[str] = (),
        descriptors: Sequence[int] = (),
    ) -> None:
        """Start a machine.

        Args:
            devices: values of ``-device``; give them an ``addr=`` to know their slots.
            architecture: a key of :data:`BOARDS`.
            memory: bytes of RAM, a multiple of a mebibyte.
            extra: further arguments of QEMU.
            descriptors: files that QEMU inherits under the same numbers.

        Raises:
            ValueError: there is no such board, or it does not work with so little memory.
            ProgramMissingError: QEMU or setpriv is not installed.
            MachineFailedError: QEMU refused to start.
        """
        if architecture not in BOARDS:
            raise ValueError(f"no board for {architecture!r}; there are {', '.join(BOARDS)}")
        self.architecture = architecture
        self.board = BOARDS[architecture]
        size = self.board.memory if memory is None else memory
        if size < self.board.memory or size % MEBIBYTE:
            raise ValueError(f"this board has {self.board.memory} bytes of RAM or more, in mebibytes, not {size}")
        self._resources = contextlib.ExitStack()
        with contextlib.ExitStack() as ours:
            ram = memory_file("guest-ram", b"", ours)
            os.ftruncate(ram, size)
            self._map = mmap.mmap(ram, min(size, self.board.low_memory))
            self._screen = memory_file("screen", b"", ours)
            self._screen_out = os.open(f"/proc/self/fd/{self._screen}", os.O_WRONLY | os.O_CLOEXEC)
            ours.callback(os.close, self._screen_out)
            words = [word for device in devices for word in ("-device", device)]
            self._supervisor, qtest = self._start(ours, size, ram, [*words, *extra], descriptors)
            self._channel = QtestChannel(qtest, self._supervisor)
            self._resources = ours.pop_all()
        self.memory = memoryview(self._map)

    def _start(
        self,
        ours: contextlib.ExitStack,
        size: int,
        ram: int,
        words: Sequence[str],
        descriptors: Sequence[int],
    ) -> tuple[Supervisor, socket.socket]:
        row = ARCHITECTURES[self.architecture]
        program = shutil.which(row.program)
        if program is None:
            raise ProgramMissingError(row.program, package=row.program_package)
        with contextlib.ExitStack() as lent:
            idle = memory_file("idle", self.board.idle, lent)
            (monitor, its_monitor), (console, _), (qtest, its_qtest) = (socket_pair(ours, lent) for _ in range(3))
            (trace, _), (stderr, its_stderr) = (pipe(ours, lent) for _ in range(2))
            backend = f"memory-backend-file,id=ram0,size={size},mem-path=/proc/self/fd/{ram},share=on"
            command = [
                program,
                *("-nodefaults", "-no-user-config", "-display", "none", "-vga", "none", "-net", "none"),
                *("-machine", f"{self.board.machine},memory-backend=ram0", "-accel", "tcg", "-m", f"{size >> 20}M"),
                *("-object", backend, "-bios", f"/proc/self/fd/{idle}"),
                *("-chardev", f"socket,id=monitor0,fd={its_monitor}", "-mon", "chardev=monitor0,mode=control"),
                *(
                    "-chardev",
                    f"socket,id=qtest0,fd={its_qtest}",
                    "-qtest",
                    "chardev:qtest0",
                    "-qtest-log",
                    "/dev/null",
                ),
                *("-add-fd", f"fd={self._screen_out},set={_SCREEN_SET}"),
                *words,
            ]
            supervisor = Supervisor(
                guarded(command),
                inherited=[its_monitor, its_qtest, ram, idle, self._screen_out, *descriptors],
                output=its_stderr,
                channels=Channels(monitor, console, trace, stderr),
                on_console=lambda *_: None,
                on_trace=lambda *_: None,
                on_end=lambda: None,
            )
        ours.callback(supervisor.close)
        return supervisor, qtest

    @property
    def pid(self) -> int:
        """The process id of QEMU."""
        return self._supervisor.pid

    @property
    def stderr(self) -> str:
        """The end of what QEMU printed."""
        return self._supervisor.stderr()

    @property
    def memory_base(self) -> int:
        """Guest-physical address of the first byte of ``memory``."""
        return self.board.memory_base

    @property
    def ecam(self) -> int | None:
        """Address of the PCI configuration space; ``None``: it is reached through I/O ports."""
        return self.board.ecam

    @property
    def pci_window(self) -> range:
        """Addresses for PCI memory BARs."""
        return self.board.pci_window

    @property
    def round_trips(self) -> int:
        """Qtest commands so far."""
        return self._channel.round_trips

    def read(self, address: int, size: int) -> int:
        """Read 1, 2, 4 or 8 bytes of registers."""
        return _number(self._channel.command(b"read%s 0x%x\n" % (_LETTERS[size].encode(), address)))

    def try_read(self, address: int, size: int, seconds: float) -> int | None:
        """:meth:`read`, or ``None`` if QEMU does not answer within ``seconds``."""
        reply = self._channel.command(b"read%s 0x%x\n" % (_LETTERS[size].encode(), address), seconds)
        return None if reply is None else _number(reply)

    def write(self, address: int, size: int, value: int) -> None:
        """Write 1, 2, 4 or 8 bytes of registers."""
        _answered(self._channel.command(b"write%s 0x%x 0x%x\n" % (_LETTERS[size].encode(), address, value)))

    def post(self, address: int, size: int, value: int) -> None:
        """:meth:`write` that returns before the device has seen it; accesses stay in order."""
        self._channel.post(b"write%s 0x%x 0x%x\n" % (_LETTERS[size].encode(), address, value))

    def read_bytes(self, address: int, size: int) -> bytes:
        """Read ``size`` bytes of registers in one command."""
        return bytes.fromhex(_answered(self._channel.command(b"read 0x%x 0x%x\n" % (address, size)))[2:].decode())

    def port_in(self, port: int, size: int) -> int:
        """Read an I/O port."""
        return _number(self._channel.command(b"in%s 0x%x\n" % (_LETTERS[size].encode(), port)))

    def port_out(self, port: int, size: int, value: int) -> None:
        """Write an I/O port."""
        _answered(self._channel.command(b"out%s 0x%x 0x%x\n" % (_LETTERS[size].encode(), port, value)))

    def qmp(self, command: str, arguments: Mapping[str, object] | None = None) -> Any:
        """Run a QMP command and give its ``return`` value.

        Raises:
            QmpError: QEMU refused it, did not answer in time, or is gone.
        """
        return self._supervisor.execute(command, arguments or {}, _QMP_SECONDS)

    def screendump(self, device: str | None = None, head: int = 0) -> bytes:
        """A picture of the screen as binary PPM; ``device`` is the id of the graphics device.

        Raises:
            QmpError: QEMU took none.
        """
        # QEMU truncates files it opens by name, but a descriptor of a set comes as it is.
        os.ftruncate(self._screen, 0)
        os.lseek(self._screen_out, 0, os.SEEK_SET)
        where = {} if device is None else {"device": device, "head": head}
        self.qmp("screendump", {"filename": fdset_path(_SCREEN_SET), "format": "ppm", **where})
        return os.pread(self._screen, os.fstat(self._screen).st_size, 0)

    def quit(self, timeout: float = 10.0) -> None:
        """Have QEMU end by itself, so that it completes the files it writes.

        Raises:
            MachineFailedError: it does not end within ``timeout`` seconds.
        """
        with contextlib.suppress(QmpError):  # it may be gone before it answers
            self.qmp("quit")
        if not self._supervisor.wait(timeout):
            raise MachineFailedError(f"QEMU does not end within {timeout:g} s", status=None, stderr=self.stderr)

    def close(self) -> None:
        """Kill QEMU and give everything back. Safe to call more than once."""
        self._resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _answered(reply: bytes | None) -> bytes:
    if reply is None:
        raise MachineFailedError(f"QEMU does not answer within {_REPLY_SECONDS:g} s", status=None, stderr="")
    return reply


def _number(reply: bytes | None) -> int:
    return int(_answered(reply), 16)
