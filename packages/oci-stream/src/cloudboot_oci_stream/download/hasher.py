"""A thread that hashes memory while more of it is filled."""

from __future__ import annotations

import contextlib
import hashlib
import queue
import threading
import time
from typing import Self

_STEP = 1 << 20
"""Bytes hashed between two looks at whether to go on."""


class Hasher:
    """Hashes a buffer as far as it has been filled; both sides leave the interpreter lock while they work."""

    def __init__(self, algorithm: str, view: memoryview) -> None:
        self._hash = hashlib.new(algorithm)
        self._view = view
        self._told = 0
        self._frontiers: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._stopped = False
        self._rate = 0.0
        self._thread = threading.Thread(target=self._run, name="cloudboot-oci-hash", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._frontiers.put(None)
        join(self._thread)

    @property
    def rate(self) -> float:
        """Bytes a second while it has work; 0 before the first measurement."""
        return self._rate

    def advance(self, frontier: int) -> None:
        """Say that every byte below ``frontier`` is final."""
        # Waking the other thread for every packet would cost more than the bytes in it.
        if frontier - self._told >= _STEP or frontier == len(self._view):
            self._told = frontier
            self._frontiers.put(frontier)

    def hexdigest(self) -> str:
        """The hash of the whole buffer, once the thread is there."""
        self._frontiers.put(None)
        self._thread.join()
        return self._hash.hexdigest()

    def _run(self) -> None:
        done, busy = 0, 0.0
        while (frontier := self._frontiers.get()) is not None:
            while done < frontier and not self._stopped:
                end = min(frontier, done + _STEP)
                start = time.perf_counter()
                self._hash.update(self._view[done:end])
                busy += time.perf_counter() - start
                done = end
                self._rate = done / max(busy, 1e-9)


def join(thread: threading.Thread) -> None:
    """Wait for a thread on the way out of another exception: a second interrupt must not let it outlive its memory."""
    while thread.is_alive():
        with contextlib.suppress(KeyboardInterrupt):
            thread.join()
