"""One virtual machine, from power-on to the end of a ``with`` block."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any, Literal, Self

from . import kvm
from .errors import ExpectTimeoutError, MachineEndedError, MachineFailedError, QmpError
from .firmware import architecture_named, find_firmware
from .keyboard import chord_keys, text_chords
from .launch import Accelerator, Description, prepare, screen_path
from .memory import GuestMemory
from .picture import png_of_ppm
from .processor import Sample, physical_of, sample_of
from .supervisor import Supervisor
from .trace import READ_EVENTS, WRITE_EVENTS, BlockAccess, BlockTrace, StatusChange
from .transcript import ConsoleClosedError, Expected, Transcript

if TYPE_CHECKING:
    import re
    import socket
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    from .drives import Drive
    from .firmware import Firmware

DEFAULT_MEMORY = 1 << 30
"""Bytes. FreeBSD's loader cannot allocate its staging area in half of that."""

DEFAULT_RTC = "2024-01-01T00:00:00"
"""The guest's clock at power-on, UTC; from there it runs with the guest."""

_KEY_HOLD = 0.05  # seconds; firmware looks at keyboards every 10 to 20 ms
_COMMAND_TIMEOUT = 30.0
_KVM_HINT = "KVM may not work on this host; the accelerator tcg always does"


class Machine:
    """A running machine with UEFI firmware, a serial console, a screen and drives.

    It runs as soon as it is constructed; leave the ``with`` block, or call :meth:`close`, and all of it is gone. All
    of it is gone as well when this process dies, however it dies: nothing of a machine has a name in a file system.

    Times are in seconds since the processor started. The methods may be called from any thread, :meth:`expect` from one
    at a time.
    """

    def __init__(
        self,
        drives: Sequence[Drive] = (),
        *,
        architecture: str = "amd64",
        accelerator: Literal["tcg", "kvm", "auto"] = "tcg",
        memory: int = DEFAULT_MEMORY,
        processors: int = 1,
        cpu: str | None = None,
        firmware: Firmware | None = None,
        variables: bytes | None = None,
        network: bool = False,
        reboot: bool = False,
        rtc: str = DEFAULT_RTC,
        name: str = "cloudboot",
        shared_memory: bool = False,
        display: bool = True,
        debugger: bool = False,
        extra: Sequence[str] = (),
    ) -> None:
        """Start a machine.

        ``accelerator`` ``"auto"`` is KVM where it runs guest code on this host and QEMU can start with it, else
        software emulation, and :attr:`notices` says why. ``memory`` is in bytes, a multiple of a mebibyte; with
        ``shared_memory`` :attr:`memory` can look at it. ``variables`` replaces the content of the firmware's variable
        store. ``network`` adds QEMU's user-mode network. A reset by the guest ends the machine unless ``reboot``.
        Without ``display`` the machine has no graphics device, and no screen; with ``debugger`` its processor can be
        stopped and driven through :attr:`debugger`.
        ``rtc`` is the guest's clock at power-on (ISO 8601, UTC), ``cpu`` QEMU's name of a processor; ``extra``
        arguments follow ours.

        Raises:
            ProgramMissingError: QEMU or setpriv is not installed.
            FirmwareMissingError: no firmware was given and none was found.
            ImageError: a drive's source cannot be opened.
            MachineFailedError: QEMU refused to start.
            ValueError: an argument makes no sense.
        """
        self._supervisor: Supervisor | None = None
        self._descriptors = contextlib.ExitStack()
        self.notices: list[str] = []
        """What this host could not do as it was asked to, in whole sentences."""
        chosen: Accelerator
        if accelerator == "auto":
            problem = kvm.problem()
            chosen = "tcg" if problem else "kvm"
            if problem:
                self.notices.append(f"KVM is not used, software emulation is: {problem}.")
        else:
            chosen = accelerator
        self.description = Description(
            architecture=architecture,
            accelerator=chosen,
            memory=memory,
            processors=processors,
            cpu=cpu,
            firmware=find_firmware(architecture) if firmware is None else firmware,
            variables=variables,
            network=network,
            reboot=reboot,
            rtc=rtc,
            name=name,
            shared_memory=shared_memory,
            display=display,
            debugger=debugger,
            extra=tuple(extra),
            drives=tuple(drives),
        )
        self.transcript = Transcript()
        self._trace = BlockTrace(self.description.files)
        self._drawing = threading.Lock()
        try:
            self._launch()
        except MachineFailedError as error:
            if self.description.accelerator != "kvm":
                raise
            if accelerator != "auto":
                error.hint = _KVM_HINT
                raise
            # A nested host may offer KVM and then refuse what a guest needs.
            self.notices.append(f"KVM is not used, software emulation is: {error.message}.")
            self.description = dataclasses.replace(self.description, accelerator="tcg")
            self.transcript, self._trace = Transcript(), BlockTrace(self.description.files)
            self._launch()

    def _launch(self) -> None:
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as lent:
            launch = prepare(self.description, ours, lent)
            self._private = launch.private
            self._supervisor = Supervisor(
                launch.command,
                inherited=launch.inherited,
                output=launch.output,
                channels=launch.channels,
                # Nothing of ours: a thread that held us would keep a forgotten machine alive forever.
                on_console=self.transcript.feed,
                on_trace=self._trace.feed,
                on_end=self.transcript.close,
            )
            self._descriptors = ours.pop_all()
        try:
            self._power_on()
        except BaseException:
            self.close()
            raise

    def _power_on(self) -> None:
        # The processor waits until here (-S), so QEMU's own look at the drives is not in the trace. Writes are traced
        # where there may be any: a variable store on flash makes hundreds of them.
        writable = any(not drive.readonly for drive in self.description.drives)
        for event in (*READ_EVENTS, *(WRITE_EVENTS if writable else ())):
            self.qmp("trace-event-set-state", {"name": event, "enable": True})
        self.transcript.epoch, self._trace.epoch = time.monotonic(), time.time()
        self.qmp("cont")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # Set before anything that can fail, and None once closed.
        if self._supervisor is not None:
            try:
                warnings.warn(f"unclosed machine {self.description.name}", ResourceWarning, source=self, stacklevel=2)
            finally:  # a filter can make the warning an exception
                self.close()

    def close(self) -> None:
        """Kill the machine, if it still runs, and give everything back. Safe to call more than once."""
        if self._supervisor is not None:
            self._supervisor.close()
            self._supervisor = None
        self._descriptors.close()

    def _running(self, purpose: str) -> Supervisor:
        if self._supervisor is None:
            raise MachineFailedError(f"{purpose}: the machine is closed", status=None, stderr="")
        return self._supervisor

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        return self._running("pid").pid

    @property
    def elapsed(self) -> float:
        """Seconds since the processor started."""
        return time.monotonic() - self.transcript.epoch

    def cpu_seconds(self) -> float:
        """The processor time that QEMU has used; it does not grow while the guest waits."""
        try:
            with open(f"/proc/{self.pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:  # it has ended
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime, stime: proc(5)

    def expect(
        self,
        pattern: bytes | re.Pattern[bytes],
        timeout: float = 60.0,
        *,
        awaited: str | None = None,
        watch: Callable[[], None] | None = None,
    ) -> Expected:
        """Wait until ``pattern`` appears on the console, behind the previous match; ``timeout`` is in seconds.

        The text is plain: escape sequences are removed and lines end in a newline. ``awaited`` says in words what the
        pattern stands for, for errors; ``watch`` is called about once a second and may raise to end the wait.

        Raises:
            ExpectTimeoutError: it did not appear in time.
            MachineEndedError: the guest shut down or reset without it.
            MachineFailedError: QEMU died, or the machine broke down.
        """
        try:
            return self.transcript.expect(pattern, timeout, awaited=awaited, watch=watch)
        except ConsoleClosedError:
            text = pattern if isinstance(pattern, bytes) else pattern.pattern
            raise self._why_ended(awaited or repr(text.decode("utf-8", "backslashreplace"))) from None

    def lines(
        self, timeout: float = 60.0, *, awaited: str = "another line", watch: Callable[[], None] | None = None
    ) -> Iterator[bytes]:
        """The complete lines of the console behind the previous match, each as it comes, without its newline.

        ``timeout`` is in seconds, for all of them. However long the text is, a reader that keeps up sees all of it;
        ``transcript.lost`` counts the bytes of one that does not.

        Raises:
            ExpectTimeoutError: the time is over; ``awaited`` says what did not come.
            MachineEndedError: the guest shut down or reset.
            MachineFailedError: QEMU died, or the machine broke down.
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                taken = self.transcript.take_lines(deadline - time.monotonic(), awaited=awaited, watch=watch)
            except ConsoleClosedError:
                raise self._why_ended(awaited) from None
            yield from taken

    def _why_ended(self, awaited: str) -> MachineEndedError | MachineFailedError:
        end = None if self._supervisor is None else self._supervisor.end
        if end is None:
            return MachineFailedError(f"the machine was closed before {awaited} appeared", status=None, stderr="")
        if end.reason is not None:
            return MachineEndedError(end.reason, awaited=awaited, tail=self.transcript.tail())
        hint = _KVM_HINT if self.description.accelerator == "kvm" else None
        state = "stands still" if end.exit_code is None else f"died with exit code {end.exit_code}"
        return MachineFailedError(
            f"QEMU {state} before {awaited} appeared", status=end.exit_code, stderr=end.stderr, hint=hint
        )

    def wait(self, timeout: float = 60.0) -> str:
        """Wait for the guest to end the machine and give QEMU's word for how: ``guest-shutdown``, ``guest-reset``.

        Raises:
            ExpectTimeoutError: the machine still runs after ``timeout`` seconds.
            MachineFailedError: QEMU died, or the machine broke down.
        """
        supervisor = self._running("wait")
        if not supervisor.wait(timeout):
            raise ExpectTimeoutError("the machine's end", seconds=timeout, tail=self.transcript.tail())
        if supervisor.end is None or supervisor.end.reason is None:
            raise self._why_ended("its end")
        return supervisor.end.reason

    def send(self, data: bytes) -> None:
        """Type ``data`` on the serial console; Enter is a carriage return.

        Raises:
            MachineFailedError: the guest does not take it, or QEMU is gone.
        """
        supervisor = self._running("send")
        try:
            supervisor.call(supervisor.send_console(data, seconds=_COMMAND_TIMEOUT))
        except OSError as error:  # TimeoutError is one
            raise MachineFailedError(f"the console takes no input: {error}", status=None, stderr="") from error

    def qmp(
        self, command: str, arguments: Mapping[str, object] | None = None, *, timeout: float = _COMMAND_TIMEOUT
    ) -> Any:
        """Run a QMP command and give its ``return`` value.

        Raises:
            QmpError: QEMU refused it, did not answer in ``timeout`` seconds, or is gone.
        """
        return self._running(command).execute(command, arguments or {}, timeout)

    def events(self) -> list[dict[str, Any]]:
        """The QMP events so far, oldest first (the last thousand)."""
        return self._running("events").events()

    def block_trace(self) -> list[BlockAccess]:
        """What the guest read from and wrote to the drives so far, oldest first; see :class:`.BlockTrace`."""
        if self._supervisor is not None:
            self._supervisor.settle()
        return self._trace.accesses()

    @property
    def block_count(self) -> int:
        """How many accesses there were so far."""
        if self._supervisor is not None:
            self._supervisor.settle()
        return self._trace.count

    @property
    def block_trace_dropped(self) -> int:
        """How many accesses :meth:`block_trace` had no room for."""
        return self._trace.dropped

    def driver_statuses(self) -> list[StatusChange]:
        """What drivers wrote to the status registers of virtio disks so far; :func:`.negotiations` reads it."""
        if self._supervisor is not None:
            self._supervisor.settle()
        return self._trace.status_changes()

    @property
    def memory(self) -> GuestMemory:
        """The RAM of a machine with ``shared_memory``.

        Raises:
            MachineFailedError: the machine is closed.
            ValueError: the memory is not shared.
        """
        self._running("memory")
        if self._private.memory is None:
            raise ValueError("the machine was started without shared_memory")
        row = architecture_named(self.description.architecture)
        return GuestMemory(self._private.memory, self.description.memory, row)

    @property
    def debugger(self) -> socket.socket:
        """The connection with QEMU's stub of the remote protocol of gdb.

        Raises:
            MachineFailedError: the machine is closed.
            ValueError: it was started without ``debugger``.
        """
        self._running("debugger")
        if self._private.debugger is None:
            raise ValueError("the machine was started without debugger")
        return self._private.debugger

    def sample(self) -> Sample | None:
        """What the first processor does at this moment; ``None`` on other architectures than amd64.

        Raises:
            QmpError: QEMU did not say.
        """
        registers = self._monitor("info registers")
        moment = self.elapsed
        found = sample_of(registers, None, moment)
        if found is None:
            return None
        physical = physical_of(self._monitor(f"gva2gpa {found.instruction:#x}"))
        return dataclasses.replace(found, physical=physical)

    def _monitor(self, line: str) -> str:
        return str(self.qmp("human-monitor-command", {"command-line": line}))

    def variables(self) -> bytes:
        """The firmware's variable store as it is now; empty where the firmware has none."""
        self._running("variables")
        fd = self._private.variables
        return b"" if fd is None else os.pread(fd, os.fstat(fd).st_size, 0)

    def screendump(self, format: Literal["png", "ppm"] = "png") -> bytes:  # noqa: A002 - QMP's own word
        """A picture of the screen.

        Raises:
            QmpError: QEMU took none.
        """
        if format == "png":
            with contextlib.suppress(QmpError):  # a QEMU built without libpng
                return self._picture("png")
            return png_of_ppm(self._picture("ppm"))
        return self._picture("ppm")

    def _picture(self, format: str) -> bytes:  # noqa: A002 - QMP's own word
        self._running("screendump")
        with self._drawing:
            # QEMU truncates files it opens by name, but a descriptor of a set comes as it is.
            os.ftruncate(self._private.screen_out, 0)
            os.lseek(self._private.screen_out, 0, os.SEEK_SET)
            self.qmp("screendump", {"filename": screen_path(), "format": format})
            return os.pread(self._private.screen, os.fstat(self._private.screen).st_size, 0)

    def send_keys(self, *chords: str) -> None:
        """Press keys on the keyboard: ``send_keys("ctrl-alt-delete")``, ``send_keys("down", "ret")``.

        Names are QEMU's (QKeyCode), joined with ``-`` where they are pressed together.

        Raises:
            QmpError: there is no key of that name.
        """
        hold = round(_KEY_HOLD * 1000)
        for chord in chords:
            keys = [{"type": "qcode", "data": key} for key in chord_keys(chord)]
            self.qmp("send-key", {"keys": keys, "hold-time": hold})
            time.sleep(2 * _KEY_HOLD)

    def type_text(self, text: str) -> None:
        """Type ASCII ``text`` on the keyboard (of US layout); a newline is Enter.

        Raises:
            ValueError: a character no key of that keyboard makes.
        """
        self.send_keys(*text_chords(text))


__all__ = ["DEFAULT_MEMORY", "DEFAULT_RTC", "Accelerator", "Machine"]
