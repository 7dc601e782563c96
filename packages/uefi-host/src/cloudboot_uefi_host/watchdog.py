"""A thread that stops a program once its wall time is used up.

It never stops a program that is to go on: Unicorn loses state when another thread stops it (Linux's decompressor then
fails), so what has been stopped from here is over.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .cpu.processor import Processor

_AGAIN = 0.05
"""Seconds between two attempts: a stop between two runs of the processor has no effect."""


class Watchdog:
    """Watches one machine."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor
        self._changed = threading.Condition()
        self._deadline: float | None = None
        self._ended = False
        self._thread: threading.Thread | None = None

    @contextmanager
    def watch(self, deadline: float) -> Iterator[None]:
        """Stop the processor from ``deadline`` (of :func:`time.monotonic`) on, until the block ends."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop, name="cloudboot-uefi-watchdog", daemon=True)
            self._thread.start()
        self._set(deadline)
        try:
            yield
        finally:
            self._set(None)

    def _set(self, deadline: float | None) -> None:
        with self._changed:
            self._deadline = deadline
            self._changed.notify()

    def _loop(self) -> None:
        with self._changed:
            while not self._ended:
                if self._deadline is None:
                    self._changed.wait()
                    continue
                left = self._deadline - time.monotonic()
                if left > 0:
                    self._changed.wait(left if left < threading.TIMEOUT_MAX else None)
                    continue
                self._processor.interrupt()
                self._changed.wait(_AGAIN)

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
