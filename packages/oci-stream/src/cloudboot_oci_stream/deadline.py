"""Limits on how long a transfer may take: a deadline for all of it, and a rate below which a peer is given up."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import weakref
from typing import TYPE_CHECKING

from cloudboot_oci_stream.errors import SlowPeerError, TransferTimeoutError

if TYPE_CHECKING:
    from cloudboot_oci_stream.errors import OciError


class Deadline:
    """A moment after which an operation must not go on; ``None`` seconds is never.

    Another thread can end the operation sooner (:meth:`cancel`): it fails where it waits.

    Raises:
        ValueError: ``seconds`` is negative or no number.
    """

    def __init__(self, seconds: float | None = None, *, end: float | None = None) -> None:
        if seconds is not None and not seconds >= 0:
            raise ValueError(f"a deadline in {seconds} seconds")
        self._seconds = seconds
        self._end = end if seconds is None or end is not None else time.monotonic() + seconds
        self._cancelled = False
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    @classmethod
    def of(cls, limit: float | Deadline | None) -> Deadline:
        """``limit`` if it is a deadline already, else so many seconds from now."""
        return limit if isinstance(limit, Deadline) else cls(limit)

    def branch(self) -> Deadline:
        """The same moment for a part of the operation that can be cancelled by itself."""
        return Deadline(self._seconds, end=self._end)

    def attach(self, sock: socket.socket) -> None:
        """Let :meth:`cancel` wake whoever waits for ``sock``."""
        with self._lock:
            self._sockets.add(sock)
        self.cap(1)

    def detach(self, sock: socket.socket) -> None:
        """Leave ``sock`` to others."""
        with self._lock:
            self._sockets.discard(sock)

    def cancel(self) -> None:
        """End the operation now."""
        with self._lock:
            self._cancelled = True
            sockets = list(self._sockets)
        for sock in sockets:
            # Not the method of a TLS socket, which would take its state from under the thread that reads.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def cap(self, seconds: float) -> float:
        """``seconds``, or what is left if that is less.

        Raises:
            TransferTimeoutError: nothing is left.
        """
        if self._cancelled:
            raise TransferTimeoutError("given up", final=True)
        if self._end is None:
            return seconds
        left = self._end - time.monotonic()
        if left <= 0:
            raise TransferTimeoutError(f"not finished within {self._seconds:g} s", final=True)
        return min(seconds, left)

    def sleep(self, seconds: float, problem: OciError | None = None) -> None:
        """Wait, but not past the deadline: that raises at once, since nothing could follow the wait.

        ``problem`` is what is waited for to pass; it is part of the error then.
        """
        if self._end is not None and time.monotonic() + seconds >= self._end:
            text = f"not finished within {self._seconds:g} s"
            if problem is None:
                raise TransferTimeoutError(text, final=True)
            raise TransferTimeoutError(
                f"{text}; the last attempt failed: {problem.reason}", final=True, hint=problem.hint
            ) from problem
        time.sleep(seconds)


class RateWatch:
    """Gives up a peer that sends fewer than ``minimum`` bytes a second over ``window`` seconds.

    The first window starts with the first byte, since a registry may take its time before that; how long is the
    socket's timeout.
    """

    def __init__(self, minimum: float, window: float) -> None:
        self._minimum, self._window = minimum, window
        self._start: float | None = None
        self._count = 0

    def add(self, count: int) -> None:
        """``count`` more bytes came.

        Raises:
            SlowPeerError: too few in the window that ends now.
        """
        now = time.monotonic()
        if self._start is None:
            self._start = now
        self._count += count
        if now - self._start < self._window:
            return
        rate = self._count / (now - self._start)
        if rate < self._minimum:
            raise SlowPeerError(f"the peer sends {rate:.0f} bytes a second, fewer than {self._minimum:.0f}")
        self._start, self._count = now, 0
