"""The two directions of a socket under a deadline, limits of silence, and a limit of rate."""

from __future__ import annotations

import fcntl
import io
import select
import ssl
import struct
import termios
import time
from typing import TYPE_CHECKING

from cloudboot_oci_stream.deadline import Deadline, RateWatch
from cloudboot_oci_stream.errors import ProtocolError

if TYPE_CHECKING:
    import socket

    from typing_extensions import Buffer

    from cloudboot_oci_stream.http.access import Access

_HEAD = 1 << 20
"""Bytes an answer may have besides its body: http.client reads interim answers and trailers as long as they come."""
_TICK = 1.0
"""Seconds between two looks at whether what was handed to the kernel is still being taken by the peer."""
_TLS_RECORD = 1 << 14
"""Bytes given to TLS at once. OpenSSL takes all or nothing of them, so that more would hide slow progress."""


class _TimeoutReader(io.RawIOBase):
    """The receiving side."""

    def __init__(self, owner: TimeoutSocket) -> None:
        self._owner = owner

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        return self._owner.receive(buffer)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._owner.release()


class _Reader(io.BufferedReader):
    """Gives what is there instead of waiting for all that was asked for.

    A buffered reader that fails half-way through a large read does not tell how much of it had come.
    """

    def readinto(self, buffer: Buffer, /) -> int:
        return self.readinto1(buffer)


class TimeoutSocket:
    """What ``http.client`` needs of a socket."""

    def __init__(self, sock: socket.socket, access: Access, deadline: Deadline) -> None:
        self._sock, self._deadline = sock, deadline
        self._stall = self._timeout = access.stall
        self._watch = RateWatch(access.minimum_rate, access.stall)
        self._budget = _HEAD
        self._is_sending = False
        self._answer: float | None = None
        """Seconds the answer may take once everything was sent; ``None`` before that, and after it has begun."""
        self._quiet_since = 0.0
        self._unsent = 0
        self._readers = 0
        self._is_closed = False
        sock.settimeout(self._timeout)

    def _arm(self) -> None:
        """Let the next operation wait for as long as the limits allow."""
        watched = self._is_sending or self._answer is not None
        timeout = self._deadline.cap(min(_TICK, self._stall) if watched else self._stall)
        # Setting a timeout is a system call; most transfers never come near their deadline.
        if timeout != self._timeout:
            self._sock.settimeout(timeout)
            self._timeout = timeout

    def receive(self, buffer: Buffer) -> int:
        """Receive what has come, at least one byte; 0 at the end of the stream."""
        count = None
        while count is None:
            self._arm()
            try:
                count = self._sock.recv_into(buffer)
            except TimeoutError:
                self._check_quiet()
        self._answer = None
        if count:
            self._watch.add(count)
            self._budget -= count
            if self._budget < 0:
                raise ProtocolError("the answer does not end")
        return count

    def allow(self, size: int) -> None:
        """Let a body of ``size`` bytes in, with what chunks of one byte each would add to it."""
        self._budget = _HEAD + 6 * size

    def limit(self, seconds: float) -> None:
        """Wait no longer than ``seconds`` for anything from now on."""
        self._stall = min(self._stall, seconds)

    def expect_answer(self, seconds: float) -> None:
        """Wait up to ``seconds`` for the first byte of the answer, counted from when the peer has taken everything."""
        self._answer = seconds
        self._unsent, self._quiet_since = self._unsent_bytes(), time.monotonic()

    def makefile(self, mode: str) -> io.BufferedReader:
        """A buffered reader; ``http.client`` asks for no other."""
        del mode
        self._readers += 1
        return _Reader(_TimeoutReader(self))

    def sendall(self, data: Buffer) -> None:
        """Send all of ``data``, for as long as the peer goes on taking it, however slowly.

        Raises:
            BrokenPipeError: the peer has answered and takes nothing more.
        """
        whole = memoryview(data).cast("B")
        most = _TLS_RECORD if isinstance(self._sock, ssl.SSLSocket) else len(whole)
        self._is_sending, self._unsent, self._quiet_since = True, 1 << 62, time.monotonic()
        done = 0
        while done < len(whole):
            self._arm()
            try:
                done += self._sock.send(whole[done : done + most])
            except TimeoutError:
                self._check_quiet()
                if select.select([self._sock], [], [], 0)[0]:
                    raise BrokenPipeError from None
            else:
                self._unsent, self._quiet_since = 1 << 62, time.monotonic()
        self._is_sending = False

    def close(self) -> None:
        """Close the socket, or leave that to the reader which ``http.client`` has made of it."""
        self._is_closed = True
        if not self._readers:
            self._sock.close()

    def detach(self) -> socket.socket:
        """Give the socket back, open: closing this, or a reader of it, leaves it alone from now on."""
        self._readers = 1 << 30
        self._deadline.detach(self._sock)
        return self._sock

    def release(self) -> None:
        """A reader is closed."""
        self._readers -= 1
        if self._is_closed and not self._readers:
            self._sock.close()

    def _check_quiet(self) -> None:
        """Go on waiting if the peer took something since the last look, or may take its time.

        Raises:
            TimeoutError: nothing moved for too long.
        """
        now = time.monotonic()
        self._deadline.cap(1)
        if not self._is_sending and self._answer is None:
            raise TimeoutError
        unsent = self._unsent_bytes()
        if unsent < self._unsent:
            self._unsent, self._quiet_since = unsent, now
        is_waiting = self._answer is not None and not unsent
        if now - self._quiet_since >= (self._answer if is_waiting and self._answer is not None else self._stall):
            raise TimeoutError

    def _unsent_bytes(self) -> int:
        """Bytes that the kernel holds and the peer has not acknowledged (``SIOCOUTQ``, tcp(7))."""
        try:
            answer = fcntl.ioctl(self._sock.fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
        except (OSError, ValueError):
            return 0
        return int(struct.unpack("i", answer)[0])
