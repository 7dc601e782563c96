"""The fork server: one process per worker, without threads, that forks the processes of cells and watches them.

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

from . import processes
from .child import LOG, MODULES, begin

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

#: Seconds between two looks at the processes of running cells, and that a process without a cell is kept.
_LOOK, _IDLE = 0.5, 30.0
LOCK, PREFIX = "lock", "cloudboot-fleet-"


@dataclass
class Child:
    """A process of cells. ``fixed`` are the limits that it cannot raise again, ``first`` is true until a cell ended."""

    pid: int
    link: socket.socket
    fixed: tuple[int | None, ...]
    text: bytes = b""
    first: bool = True


@dataclass
class Running:
    """A cell under way. ``reason`` is why it was killed: ``cancelled``, ``timeout``, ``processes`` or ``memory``."""

    key: str
    child: Child
    work: dict[str, Any]
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
        self._idle: Child | None = None
        """A process whose last cell left no trace, for the next cell."""
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
            links = {cell.child.link: cell for cell in self._cells.values() if cell.child.link.fileno() >= 0}
            limit = _LOOK if self._cells else _IDLE if self._idle is not None else None
            watched: list[socket.socket | int] = [self._link, wake, *links]
            ready, _, _ = select.select(watched, [], [], limit)
            if wake in ready:
                os.read(wake, 4096)
            for link, cell in links.items():
                if link in ready:
                    self._hear(cell)
            if self._link in ready:
                self._receive()
            elif not ready and not self._cells:
                self._dismiss()
            self._reap()
            self._look()
        for cell in self._cells.values():
            processes.kill_tree(cell.child.pid)
        self._dismiss()
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
        cell, folder = request["cell"], request["folder"]
        limits = Limits(**cell["limits"])
        child = self._again(cell, folder, limits) or self._fork(cell, folder, limits)
        key = request["key"]
        self._cells[key] = Running(key, child, cell, Path(folder), time.monotonic(), limits)
        self._send({"key": key, "started": child.pid})

    def _again(self, cell: dict[str, Any], folder: str, limits: Limits) -> Child | None:
        """Hand a cell to the process that waits for one, if it has the limits that the cell is to have."""
        child = self._idle
        if child is not None and child.fixed == _fixed(limits):
            with contextlib.suppress(OSError):  # it was killed
                child.link.sendall(json.dumps({"cell": cell, "folder": folder}).encode() + b"\n")
                self._idle = None
                return child
        self._dismiss()
        return None

    def _fork(self, cell: dict[str, Any], folder: str, limits: Limits) -> Child:
        _import((_module_of(cell["kind"]), *self._imported))
        self._imported = []
        gc.freeze()
        parent = os.getpid()
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            begin(cell, folder, limits, theirs.fileno(), parent)
        theirs.close()
        return Child(pid, ours, _fixed(limits))

    def _dismiss(self) -> None:
        """End the process that waits for a cell."""
        if self._idle is not None:
            processes.kill_tree(self._idle.pid)
            self._idle.link.close()
            self._idle = None

    def _kill(self, cell: Running, reason: str) -> None:
        cell.reason = cell.reason or reason
        processes.kill_tree(cell.child.pid)

    def _hear(self, cell: Running) -> None:
        """What a process says of its cell: what it took, and whether it is there for another one."""
        child = cell.child
        try:
            data = child.link.recv(1 << 12, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            child.link.close()  # its end follows
            return
        child.text += data
        if not child.text.endswith(b"\n"):
            return
        told, child.text = json.loads(child.text), b""
        cell.peak = max(cell.peak, told["peak"])
        if not told["stays"] or cell.reason is not None:
            return
        if self._idle is not None or processes.children() != {each.child.pid for each in self._cells.values()}:
            child.link.close()  # the process ends, and what its cell left is killed then
            return
        child.first, self._idle = False, child
        self._finish(cell, 0)

    def _reap(self) -> None:
        """Take leave of every child that ended: of cells, and of orphans that they left."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if self._idle is not None and self._idle.pid == pid:
                self._dismiss()
            cell = next((each for each in self._cells.values() if each.child.pid == pid), None)
            if cell is None:
                continue
            if cell.child.link.fileno() >= 0:
                self._hear(cell)
                cell.child.link.close()
            if cell.key not in self._cells:  # it came to its end, and then its process was killed
                self._dismiss()
                continue
            if not cell.child.first and cell.reason is None and not (cell.folder / LOG).exists():
                # It was killed while it waited, and has not begun what it was handed.
                cell.child = self._fork(cell.work, str(cell.folder), cell.limits)
                self._send({"key": cell.key, "started": cell.child.pid})
                continue
            if cell.child.first:
                cell.peak = max(cell.peak, usage.ru_maxrss << 10)
            self._end_orphans(pid)
            self._finish(cell, os.waitstatus_to_exitcode(status))

    def _finish(self, cell: Running, code: int) -> None:
        """Tell the worker how a cell ended."""
        del self._cells[cell.key]
        with contextlib.suppress(OSError, ValueError):  # there is none of a cell that failed
            self._imported += json.loads((cell.folder / MODULES).read_text())
        seconds = time.monotonic() - cell.started
        self._send({"key": cell.key, "code": code, "reason": cell.reason, "seconds": seconds, "peak": cell.peak})

    def _end_orphans(self, ended: int) -> None:
        """Kill what the process ``ended`` left, which was handed to this one, and belongs to no other that runs."""
        known = {each.child.pid for each in self._cells.values()} - {ended}
        if self._idle is not None:
            known.add(self._idle.pid)
        if processes.children() == known:
            return  # most cells leave nothing, and the whole table takes milliseconds to read
        processes.kill_tree(ended)  # what belongs to its session
        for process in processes.table().values():
            if process.parent == os.getpid() and process.pid not in known and process.session not in known:
                processes.kill_tree(process.pid)

    def _look(self) -> None:
        """Hold every cell against its limits."""
        now = time.monotonic()
        if not self._cells or now - self._looked < _LOOK:
            return
        self._looked = now
        table = processes.below(os.getpid())  # orphans of cells are children of this process
        for cell in list(self._cells.values()):
            found = processes.descendants(cell.child.pid, table)
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


def _fixed(limits: Limits) -> tuple[int | None, ...]:
    """The limits that a process gives itself, and cannot raise again."""
    return (limits.files, limits.file_size, limits.memory)


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
    own = folder / f"{LOCK}.partial"
    with own.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        own.rename(folder / LOCK)  # one that is not locked would mark the folder as stale
        _remove_stale(folder.parent)
        Server(socket.socket(fileno=fd), folder).run()


if __name__ == "__main__":
    main(sys.argv[1:])
