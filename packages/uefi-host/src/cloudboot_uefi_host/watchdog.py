"""A thread that stops a program which computes for long without a service call.

The stop changes nothing that the program sees, unless a timer is due: then its notification runs there.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .cpu.processor import Processor

_TICK = 0.1
"""Seconds between two looks; a program without service calls for two of them is stopped for a moment."""


class Watchdog:
    """Watches one machine. ``progress`` gives the number of service calls so far."""

    def __init__(self, processor: Processor, progress: Callable[[], int]) -> None:
        self._processor, self._progress = processor, progress
        self._watching = threading.Event()
        self._ended = threading.Event()
        self._deadline = float("inf")
        self._thread: threading.Thread | None = None

    @contextmanager
    def watch(self, deadline: float) -> Iterator[None]:
        """Watch until the block ends; from ``deadline`` (of :func:`time.monotonic`) on, stop at every tick."""
        self._deadline = deadline
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop, name="cloudboot-uefi-watchdog", daemon=True)
            self._thread.start()
        self._watching.set()
        try:
            yield
        finally:
            self._watching.clear()

    def _loop(self) -> None:
        seen = -1
        while True:
            self._watching.wait()
            if self._ended.wait(_TICK):
                return
            now = self._progress()
            if self._watching.is_set() and (now == seen or time.monotonic() > self._deadline):
                self._processor.interrupt()
            seen = now

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        self._watching.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
