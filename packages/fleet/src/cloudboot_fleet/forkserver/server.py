"""The fork server: one process per worker, without threads, that forks a process for each cell and watches it.

It speaks JSON lines over a socket that the worker holds the other end of. The end of that socket is the end of the
worker: everything is killed then, the scratch folder goes, and the server ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudboot_fleet.matrix.cells import Limits
from cloudboot_fleet.matrix.kinds import KINDS

from . import child, processes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

#: Seconds between two looks at the processes of running cells.
_LOOK = 0.5
LOCK, PREFIX = "lock", "cloudboot-fleet-"


@dataclass
class Running:
    """A cell under way. ``reason`` is why it was killed: ``cancelled``, ``timeout``, ``processes`` or ``memory``."""

    key: str
    pid: int
    folder: Path
    started: float
    limits: Limits
    reason: str | None = None
    peak: int = 0


class Server:
    """The loop of the fork server."""

    def __init__(self, link: socket.socket, folder: Path) -> None:
        self._link, self._folder = link, folder
        self._cells: dict[str, Running] = {}
        self._imported: list[str] = []
        """What cells imported; this process imports it before the next fork, so that later cells find it."""
        self._text = b""
        self._looked = 0.0
        self._over = False

    def run(self) -> None:
        """Serve until the worker is gone."""
        wake, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._terminated)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while not self._over:
            ready, _, _ = select.select([self._link.fileno(), wake], [], [], _LOOK if self._cells else None)
            if wake in ready:
                os.read(wake, 4096)
            if self._link.fileno() in ready:
                self._receive()
            self._reap()
            self._look()
        for cell in self._cells.values():
            processes.kill_tree(cell.pid)
        self._reap()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _terminated(self, _number: int, _frame: FrameType | None) -> None:
        self._over = True

    def _receive(self) -> None:
        try:
            data = self._link.recv(1 << 16)
        except ConnectionError:
            data = b""
        if not data:
            self._over = True
            return
        *lines, self._text = (self._text + data).split(b"\n")
        for line in lines:
            request = json.loads(line)
            if request["do"] == "run":
                self._start(request)
            elif request["do"] == "import":
                _import(_module_of(kind) for kind in request["kinds"])
            elif request["do"] == "kill" and (cell := self._cells.get(request["key"])) is not None:
                self._kill(cell, request["reason"])

    def _start(self, request: dict[str, Any]) -> None:
        cell = request["cell"]
        _import((_module_of(cell["kind"]), *self._imported))
        self._imported = []
        gc.freeze()
        limits = Limits(**cell["limits"])
        pid = os.fork()
        if pid == 0:
            child.begin(cell, request["folder"], limits)
        key = request["key"]
        self._cells[key] = Running(key, pid, Path(request["folder"]), time.monotonic(), limits)
        self._send({"key": key, "started": pid})

    def _kill(self, cell: Running, reason: str) -> None:
        cell.reason = cell.reason or reason
        processes.kill_tree(cell.pid)

    def _reap(self) -> None:
        """Take leave of every child that ended: of cells, and of orphans that they left."""
        by_pid = {cell.pid: cell for cell in self._cells.values()}
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            cell = by_pid.get(pid)
            if cell is None:
                continue
            del self._cells[cell.key]
            self._end_orphans(pid)
            with contextlib.suppress(OSError, ValueError):  # there is none of a cell that failed
                self._imported += json.loads((cell.folder / child.MODULES).read_text())
            self._send(
                {
                    "key": cell.key,
                    "code": os.waitstatus_to_exitcode(status),
                    "reason": cell.reason,
                    "seconds": time.monotonic() - cell.started,
                    "peak": max(cell.peak, usage.ru_maxrss << 10),
                }
            )

    def _end_orphans(self, ended: int) -> None:
        """Kill what the cell ``ended`` left, which was handed to this process, and belongs to no cell that runs."""
        running = {cell.pid for cell in self._cells.values()}
        if processes.children() == running:
            return  # most cells leave nothing, and the whole table takes milliseconds to read
        processes.kill_tree(ended)  # what belongs to its session
        for process in processes.table().values():
            if process.parent == os.getpid() and process.pid not in running and process.session not in running:
                processes.kill_tree(process.pid)

    def _look(self) -> None:
        """Hold every cell against its limits."""
        now = time.monotonic()
        if not self._cells or now - self._looked < _LOOK:
            return
        self._looked = now
        table = processes.table()
        for cell in list(self._cells.values()):
            found = processes.descendants(cell.pid, table)
            resident = sum(process.resident for process in found)
            cell.peak = max(cell.peak, resident)
            limits = cell.limits
            if now - cell.started > limits.timeout:
                self._kill(cell, "timeout")
            elif limits.processes is not None and len(found) > limits.processes:
                self._kill(cell, "processes")
            elif limits.memory is not None and resident > limits.memory:
                self._kill(cell, "memory")

    def _send(self, answer: dict[str, object]) -> None:
        try:
            self._link.sendall(json.dumps(answer).encode() + b"\n")
        except (BrokenPipeError, ConnectionResetError):
            self._over = True


def _module_of(kind: str) -> str:
    """The module of a kind's task."""
    return KINDS[kind].runs.partition(":")[0]


def _import(modules: Iterable[str]) -> None:
    for name in modules:
        with contextlib.suppress(Exception):  # the child says so: it fails in the same way
            importlib.import_module(name)


def _remove_stale(parent: Path) -> None:
    """Remove the folders of fork servers that were killed: no process holds their lock."""
    for folder in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError), (folder / LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


def main(arguments: list[str]) -> None:
    """``python -m cloudboot_fleet.forkserver FD FOLDER PARENT``; the folder is removed at the end."""
    fd, folder, parent = int(arguments[0]), Path(arguments[1]), int(arguments[2])
    processes.die_with_parent(signal.SIGTERM, parent)
    processes.adopt_orphans()
    with (folder / LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove_stale(folder.parent)
        Server(socket.socket(fileno=fd), folder).run()


if __name__ == "__main__":
    main(sys.argv[1:])
