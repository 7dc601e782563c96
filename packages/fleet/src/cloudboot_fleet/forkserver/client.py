"""The worker's end of a fork server."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from cloudboot_fleet.errors import ForkServerError

from .server import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class Ending:
    """How the process of a cell ended.

    ``code`` is its exit code, negative for a signal. ``reason`` says why it was killed (``cancelled``, ``timeout``,
    ``processes``, ``memory``), ``None`` where it was not. ``seconds`` is wall time, ``peak`` resident memory in bytes.
    """

    code: int
    reason: str | None
    seconds: float
    peak: int


class ForkServer:
    """Starts cells and ends them. Start it from the main thread: the server ends with the thread that started it.

    ``scratch`` is the folder below which cells have theirs.
    """

    def __init__(self, scratch: Path | None = None) -> None:
        parent = scratch or Path(tempfile.gettempdir())
        parent.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        self._answers: dict[str, queue.SimpleQueue[dict[str, Any] | None]] = {}
        self._lock = threading.Lock()
        self._ended = False
        self._link, theirs = socket.socketpair()
        # One thread for each numerical library: threads of the fork server would not be there in its children.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "cloudboot_fleet.forkserver",
                    str(theirs.fileno()),
                    str(self.folder),
                    str(os.getpid()),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env=environment,
            )
        self._reader = threading.Thread(target=self._read, name="fork server", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def ended(self) -> bool:
        """Whether the server is gone."""
        return self._ended

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    def close(self) -> None:
        """End every cell, and the server."""
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)
        self._link.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def scratch(self, key: str) -> Any:
        """A folder for a cell, removed at the end."""
        folder = Path(tempfile.mkdtemp(prefix=f"{key[:12]}-", dir=self.folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def prepare(self, kinds: Sequence[str]) -> None:
        """Have the server import the tasks of these kinds now, rather than before the first cell of each."""
        with contextlib.suppress(ForkServerError):  # the first cell will meet the same
            self._send({"do": "import", "kinds": list(kinds)})

    def run(self, key: str, cell: dict[str, Any], folder: Path, started: Callable[[int], None] | None = None) -> Ending:
        """Run a cell and wait for its end; ``started`` is called with its process.

        Raises:
            ForkServerError: the server ended before the cell did.
        """
        answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        with self._lock:
            if self._ended:
                raise ForkServerError("the fork server has ended")
            self._answers[key] = answers
        try:
            self._send({"do": "run", "key": key, "cell": cell, "folder": str(folder)})
            while (answer := answers.get()) is not None:
                if "started" in answer:
                    if started is not None:
                        started(answer["started"])
                    continue
                return Ending(answer["code"], answer["reason"], answer["seconds"], answer["peak"])
        finally:
            with self._lock:
                self._answers.pop(key, None)
        raise ForkServerError("the fork server ended while a cell was running")

    def kill(self, key: str, reason: str = "cancelled") -> None:
        """Kill a cell with everything it started; nothing happens if it does not run."""
        with contextlib.suppress(ForkServerError):
            self._send({"do": "kill", "key": key, "reason": reason})

    def _send(self, request: dict[str, object]) -> None:
        data = json.dumps(request).encode() + b"\n"
        try:
            with self._lock:
                self._link.sendall(data)
        except OSError as error:
            raise ForkServerError(f"the fork server cannot be reached: {error.strerror}") from None

    def _read(self) -> None:
        text = b""
        with contextlib.suppress(OSError):
            while data := self._link.recv(1 << 16):
                *lines, text = (text + data).split(b"\n")
                for line in lines:
                    answer = json.loads(line)
                    with self._lock:
                        waiting = self._answers.get(answer["key"])
                    if waiting is not None:
                        waiting.put(answer)
        with self._lock:
            self._ended = True
            for waiting in self._answers.values():
                waiting.put(None)
