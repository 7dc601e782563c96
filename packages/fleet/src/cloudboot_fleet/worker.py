"""What runs in a Dask worker: a plugin that keeps the fork server, and the function that is a cell."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distributed import WorkerPlugin, get_worker

from cloudboot_base import Error
from cloudboot_base.command import exit_code
from cloudboot_base.errors import error_facts
from cloudboot_base.exit_codes import NO_SPACE, SYSTEM

from . import hosts
from .errors import ForkServerError, HostError
from .forkserver import Ending, ForkServer
from .forkserver.child import FILES, LOG, RESULT
from .results import open_results
from .tasks.result import KEPT, Outcome, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from distributed import Worker

NAME = "cloudboot-fleet"
#: The resource of which every worker has as many as it runs cells at a time.
SLOT = "CELL"
#: Where a worker says which cell it begins, so that a cell that only waited on a lost worker is not held against it.
TOPIC = "cloudboot-fleet-begun"
_START = 30.0  # seconds that a fork server may take to start
_LOG_KEPT = 1 << 20  # the last bytes of a cell's log that are kept
_KILLED = {"cancelled": Status.CANCELLED, "timeout": Status.TIMEOUT, "processes": Status.LIMIT, "memory": Status.LIMIT}


#: The plugin of each worker in this process.
_PLUGINS: dict[str, CellPlugin] = {}


class CellPlugin(WorkerPlugin):
    """Keeps a fork server beside a worker, and ends the process of a cell that was cancelled.

    Without this, cancelling a task that runs ends nothing: Dask forgets it, and its thread runs on.
    """

    name = NAME

    def __init__(self, scratch: str | None = None, kinds: Sequence[str] = ()) -> None:
        self._scratch, self._kinds = scratch, tuple(kinds)
        self.server: ForkServer | None = None

    def setup(self, worker: Worker) -> None:
        """Start the fork server; Dask calls this in the worker's main thread."""
        self._loop, self._lock = worker.loop, threading.Lock()
        self._start()
        _PLUGINS[str(worker.id)] = self

    def _start(self) -> None:
        self.server = ForkServer(Path(self._scratch) if self._scratch else None)
        self.server.prepare(self._kinds)

    def ready(self) -> ForkServer:
        """The fork server; a new one where the last has ended.

        Raises:
            ForkServerError: none could be started.
        """
        with self._lock:
            if self.server is None or self.server.ended:
                # In the main thread: a server ends with the thread that started it.
                started = threading.Event()

                def start() -> None:
                    self._start()
                    started.set()

                self._loop.add_callback(start)
                if not started.wait(_START):
                    raise ForkServerError(f"no fork server has started in {_START:.0f} s")
            if self.server is None:
                raise ForkServerError("the worker has no fork server")
            return self.server

    def teardown(self, worker: Worker) -> None:
        """End every cell."""
        _PLUGINS.pop(str(worker.id), None)
        if self.server is not None:
            self.server.close()

    def transition(self, key: object, start: str, finish: str, **_: Any) -> None:
        """Kill the cell of a task that leaves ``executing`` without an end of its own."""
        if (
            start in {"executing", "long-running"}
            and finish in {"cancelled", "released", "resumed"}
            and self.server is not None
        ):
            self.server.kill(str(key))


def run_cell(cell: dict[str, Any], place: str, attempt: int) -> dict[str, Any]:
    """Run a cell in a process of its own, store its result, and give the short form of it.

    Whatever goes wrong is in the result; only a lost worker raises, in the client.
    """
    worker = get_worker()
    plugin = _PLUGINS[str(worker.id)]
    worker.log_event(TOPIC, str(worker.get_current_task()))
    started = time.time()
    facts = {
        "key": cell["key"],
        "index": cell["index"],
        "name": cell["name"],
        "kind": cell["kind"],
        "attempt": attempt,
        "worker": str(worker.address),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started_at": round(started, 3),
    }
    try:
        if other := hosts.difference(cell["versions"], hosts.facts(cell["versions"])):
            raise HostError(f"this worker is not what the cell was pinned to: {other}")
        server = plugin.ready()
        with server.scratch(cell["key"]) as scratch:
            ending = server.run(str(worker.get_current_task()), cell, scratch)
            result = {
                **facts, "inputs": cell["inputs"], "digests": cell["digests"], "versions": cell["versions"],
                "seconds": round(ending.seconds, 3), "peak": ending.peak, **outcome_of(ending, scratch).as_dict(),
            }  # fmt: skip
            files = scratch / FILES
            files.mkdir(exist_ok=True)
            _keep_log(scratch / LOG, files)
            if result["status"] in KEPT:
                open_results(place).store(cell["key"], result, files)
    except (Error, OSError) as error:
        # The cell may have passed; what could not be kept has to be run again.
        cause = str(error) if isinstance(error, HostError) else f"the result could not be kept: {error}"
        told = {**error_facts(error), "message": cause}
        code = exit_code(error) if exit_code(error) in {NO_SPACE, *range(6, 13)} else SYSTEM
        result = {**facts, "seconds": round(time.time() - started, 3), **Outcome.of_error(told, code).as_dict()}
        result["status"] = str(Status.BROKEN)
    return {name: result[name] for name in SHORT if name in result}


#: The members of a result that the client gets; the rest is stored.
SHORT = (
    "key", "index", "name", "kind", "attempt", "worker", "host", "started_at", "seconds", "peak", "status", "reached",
    "cause", "code",
)  # fmt: skip


def outcome_of(ending: Ending, scratch: Path) -> Outcome:
    """What a cell's process left, or what its end stands for."""
    if ending.reason is not None:
        status = _KILLED[ending.reason]
        return Outcome(status, cause=f"killed: {ending.reason}", code=1)
    try:
        found = json.loads((scratch / RESULT).read_bytes())
        return Outcome(
            Status(found["status"]), found["gates"], found["reached"], found["cause"], found["code"], found["facts"]
        )
    except (OSError, ValueError, KeyError):
        told = f"signal {-ending.code}" if ending.code < 0 else f"exit code {ending.code}"
        facts = {"error": "CellEnded", "message": f"the process of the cell ended without a result: {told}"}
        return Outcome.of_error(facts, SYSTEM)


def _keep_log(log: Path, files: Path) -> None:
    """Keep the end of what the task printed."""
    try:
        size = log.stat().st_size
    except FileNotFoundError:
        return
    if not size:
        return
    with log.open("rb") as file:
        file.seek(max(0, size - _LOG_KEPT))
        (files / LOG).write_bytes(file.read())
