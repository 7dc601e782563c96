"""The thread a machine lives in.

One thread per machine starts QEMU and then serves its monitor, console, trace and stderr until the machine is closed.
It starts QEMU itself because the kernel's parent-death signal fires when the *thread* that forked the child ends, not
the process: a machine started by a short-lived worker must outlive that worker.

Nothing of a machine has a name: monitor and console are socket pairs, trace and stderr pipes, the variable store and
disks memfds. So when the caller dies, even by SIGKILL, the kernel kills QEMU and nothing is left to clean up.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Any, TypeVar

from qemu.qmp import ExecuteError, QMPClient, QMPError, Runstate

from .errors import MachineFailedError, ProgramMissingError, QmpError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

T = TypeVar("T")

START_TIMEOUT = 30.0
"""Seconds QEMU has to greet on its monitor."""

_STDERR_LIMIT = 16 << 10
_NO_MEMORY = "Cannot allocate memory"
_EVENT_LIMIT = 1000
_BROKEN_STATES = frozenset({"internal-error", "io-error", "guest-panicked"})
_TIMESTAMP = re.compile(r"^\d{4}-\d\d-\d\dT[0-9:.]+Z ", re.MULTILINE)

# The shell compares its parent with the caller after the signal is armed: a caller that died before that moment would
# never have triggered it.
_GUARD = '[ "$PPID" = "$0" ] && exec "$@"'


@dataclasses.dataclass(slots=True)
class Channels:
    """Our ends of a machine's channels."""

    monitor: socket.socket
    console: socket.socket
    trace: int
    stderr: int


@dataclasses.dataclass(frozen=True, slots=True)
class End:
    """How a machine ended: QEMU's word for the guest's part in it, or ``None`` when QEMU failed."""

    reason: str | None
    exit_code: int | None
    stderr: str


def guarded(command: Sequence[str]) -> list[str]:
    """``command``, killed by the kernel when the thread that starts it ends.

    Raises:
        ProgramMissingError: util-linux's setpriv is not there.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise ProgramMissingError("setpriv", package="util-linux")
    return [setpriv, "--pdeathsig", "KILL", "/bin/sh", "-c", _GUARD, str(os.getpid()), *command]


class Supervisor:
    """Runs one QEMU process and everything that listens to it. ``pid`` is the process's.

    ``on_console`` and ``on_trace`` are called in the thread with what arrived, ``on_console`` with the moment
    (:func:`time.monotonic`) as well; ``on_end`` behind all of that, perhaps more than once.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        inherited: Sequence[int],
        output: int,
        channels: Channels,
        on_console: Callable[[bytes, float], None],
        on_trace: Callable[[bytes], None],
        on_end: Callable[[], None],
    ) -> None:
        """Run ``command`` (see :func:`guarded`) and wait for its monitor.

        QEMU inherits ``inherited`` and prints to ``output``: the caller closes them after this returns, and
        ``channels`` after :meth:`close`.

        Raises:
            MachineFailedError: QEMU ended before its monitor answered.
        """
        self._command = command
        self._inherited, self._output = inherited, output
        self._channels = channels
        self._on_console, self._on_trace, self._on_end = on_console, on_trace, on_end
        self._client = QMPClient()
        self._events: list[dict[str, Any]] = []
        self._stderr = bytearray()
        self._shutdown_reason: str | None = None
        self._broken: str | None = None
        self._over = threading.Event()
        self.end: End | None = None
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._sending = asyncio.Lock()
        self._calls: set[Future[Any]] | None = (
            set()
        )  # what other threads wait for; None once nothing is served any more
        self._calls_lock = threading.Lock()
        self.pid = 0
        started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="qemu", daemon=True)
        self._thread.start()
        try:
            started.result()
        except BaseException:
            self.close()
            raise

    @property
    def running(self) -> bool:
        """Whether QEMU still runs (the guest may stand still)."""
        return not self._closing.is_set() and (self.end is None or self.end.exit_code is None)

    def _run(self, started: Future[None]) -> None:
        try:
            process = subprocess.Popen(
                self._command,
                pass_fds=self._inherited,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                start_new_session=True,  # a Ctrl-C is the caller's to handle
            )
            self.pid = process.pid
            try:
                self._loop.run_until_complete(self._serve(process, started))
            finally:
                process.kill()
                process.wait()
        except OSError as error:
            if not started.done():
                started.set_exception(MachineFailedError(f"QEMU cannot be run: {error}", status=None, stderr=""))
        finally:
            with self._calls_lock:
                calls, self._calls = self._calls or set(), None
            self._loop.close()
            for call in calls:  # those that came too late for the loop
                call.cancel()
            if not started.done():
                started.set_exception(RuntimeError("the machine's thread ended early"))
            self._finish()

    async def _serve(self, process: subprocess.Popen[bytes], started: Future[None]) -> None:
        channels = self._channels
        channels.console.setblocking(False)
        readers: list[tuple[int, Callable[[bytes], None]]] = [
            (channels.console.fileno(), self._console_arrived),
            (channels.trace, self._on_trace),
            (channels.stderr, self._stderr_arrived),
        ]
        for fd, sink in readers:
            os.set_blocking(fd, False)
            self._loop.add_reader(fd, self._drain, fd, sink)
        exited = asyncio.Event()
        pidfd = os.pidfd_open(process.pid)
        self._loop.add_reader(pidfd, exited.set)
        watcher = asyncio.create_task(self._watch())
        try:
            await self._connect(process, exited)
            started.set_result(None)
            await _first(self._closing.wait(), exited.wait())
            self._loop.remove_reader(pidfd)
            if not self._closing.is_set():
                await self._ended(process, readers)
                await self._closing.wait()
        except MachineFailedError as error:
            started.set_exception(error)
        finally:
            process.kill()
            for fd, _ in readers:
                self._loop.remove_reader(fd)
            self._loop.remove_reader(pidfd)
            os.close(pidfd)
            watcher.cancel()
            # EOFError: QEMU hung up first, which is no news here.
            with contextlib.suppress(QMPError, EOFError, OSError):
                await self._client.disconnect()
            # Nobody else ends what waits for a console that is not read.
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

    async def _connect(self, process: subprocess.Popen[bytes], exited: asyncio.Event) -> None:
        connecting = asyncio.create_task(self._client.connect(self._channels.monitor))
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await _first(asyncio.wait([connecting]), exited.wait(), self._closing.wait())
                if connecting.done() and connecting.exception() is None:
                    return
                await _first(exited.wait(), self._closing.wait())
            problem = "QEMU did not start"
        except TimeoutError:
            problem = f"QEMU did not greet on its monitor within {START_TIMEOUT:g} s"
        # A hang-up ends the client's negotiation in order; a cancelled one leaves it in no state to disconnect from.
        self._channels.monitor.shutdown(socket.SHUT_RDWR)
        await asyncio.wait([connecting])
        connecting.exception()  # looked at, so that asyncio does not report it as lost
        process.kill()
        code = process.wait()
        self._drain(self._channels.stderr, self._stderr_arrived)
        text = self._stderr_text()
        hint = "this host cannot give the machine so much memory: ask for less" if _NO_MEMORY in text else None
        raise MachineFailedError(problem, status=code, stderr=text, hint=hint)

    def _drain(self, fd: int, sink: Callable[[bytes], None]) -> None:
        while True:
            try:
                data = os.read(fd, 1 << 16)
            except BlockingIOError:
                return
            except ConnectionResetError:
                data = b""
            if not data:
                self._loop.remove_reader(fd)
                return
            sink(data)

    def _console_arrived(self, data: bytes) -> None:
        self._on_console(data, time.monotonic())

    def _stderr_arrived(self, data: bytes) -> None:
        self._stderr += data
        del self._stderr[:-_STDERR_LIMIT]

    def _stderr_text(self) -> str:
        return _TIMESTAMP.sub("", self._stderr.decode("utf-8", "replace")).strip()

    async def _watch(self) -> None:
        async for event in self._client.events:
            self._note(dict(event))
            if event["event"] == "STOP":
                await self._look_at_stop()

    def _note(self, event: dict[str, Any]) -> None:
        self._events.append(event)
        del self._events[:-_EVENT_LIMIT]
        if event["event"] == "SHUTDOWN":
            self._shutdown_reason = event.get("data", {}).get("reason", "unknown")

    async def _look_at_stop(self) -> None:
        # KVM cannot run an instruction, or a disk failed: the machine stands still, and QEMU sends no event.
        with contextlib.suppress(QMPError, EOFError):
            status: Any = await self._client.execute("query-status")
            if status["status"] in _BROKEN_STATES:
                self._broken = status["status"]
                self.end = End(None, None, f"{self._stderr_text()}\nthe machine is in state {self._broken}".strip())
                self._finish()

    def _finish(self) -> None:
        self._over.set()
        self._on_end()

    async def _ended(
        self, process: subprocess.Popen[bytes], readers: Sequence[tuple[int, Callable[[bytes], None]]]
    ) -> None:
        """QEMU is gone: take what it left in its channels, then tell."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                while self._client.runstate is Runstate.RUNNING:
                    await self._client.runstate_changed()
        for event in self._client.events.clear():
            self._note(dict(event))
        for fd, sink in readers:
            self._drain(fd, sink)
        code = process.wait()
        reason = (self._shutdown_reason or "host-quit") if code == 0 else None
        if self.end is None:
            self.end = End(reason, code, self._stderr_text())
        self._finish()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the thread and wait for it.

        Raises:
            ConnectionAbortedError: the machine is closed, or was meanwhile.
        """
        with self._calls_lock:
            if self._calls is None:
                coroutine.close()
                raise ConnectionAbortedError("the machine is closed")
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
            self._calls.add(future)
        try:
            return future.result()
        except CancelledError:
            coroutine.close()
            raise ConnectionAbortedError("the machine was closed") from None
        finally:
            with self._calls_lock:
                if self._calls is not None:
                    self._calls.discard(future)

    def execute(self, command: str, arguments: Mapping[str, object], timeout: float) -> object:
        """One QMP command.

        Raises:
            QmpError: it failed, took longer than ``timeout`` seconds, or QEMU is gone.
        """
        if not self.running:
            raise QmpError(command, "the machine has ended")
        try:
            return self.call(self._execute(command, arguments, seconds=timeout))
        except ConnectionAbortedError as error:
            raise QmpError(command, str(error)) from None

    async def _execute(self, command: str, arguments: Mapping[str, object], *, seconds: float) -> object:
        try:
            async with asyncio.timeout(seconds):
                return await self._client.execute(command, dict(arguments) or None)
        except ExecuteError as error:
            raise QmpError(command, str(error), error_class=error.error_class) from error
        except TimeoutError:
            raise QmpError(command, f"no answer within {seconds:g} s") from None
        except (QMPError, EOFError) as error:
            raise QmpError(command, f"the connection to the monitor is lost: {error}") from error

    async def send_console(self, data: bytes, *, seconds: float) -> None:
        """Write to the console; run it with :meth:`call`.

        Raises:
            TimeoutError: the guest did not take it within ``seconds``.
            OSError: QEMU is gone.
        """
        async with asyncio.timeout(seconds), self._sending:
            await self._loop.sock_sendall(self._channels.console, data)

    def settle(self) -> None:
        """Take in the trace QEMU has written so far."""
        with contextlib.suppress(ConnectionAbortedError):
            self.call(self._settle())

    async def _settle(self) -> None:
        self._drain(self._channels.trace, self._on_trace)

    def events(self) -> list[dict[str, Any]]:
        """The monitor's events so far, oldest first; the last thousand."""
        return list(self._events)

    def stderr(self) -> str:
        """The end of what QEMU printed."""
        return self._stderr_text()

    def wait(self, timeout: float | None) -> bool:
        """Whether the machine ended (or broke down, or was closed) within ``timeout`` seconds."""
        return self._over.wait(timeout)

    def close(self) -> None:
        """Kill QEMU, if it still runs, and give everything back. Safe to call more than once."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: the thread is done
            self._loop.call_soon_threadsafe(self._closing.set)
        if threading.current_thread() is not self._thread:  # the collector frees a forgotten machine in any thread
            self._thread.join()


async def _first(*awaited: Coroutine[Any, Any, object]) -> None:
    tasks = [asyncio.ensure_future(item) for item in awaited]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
