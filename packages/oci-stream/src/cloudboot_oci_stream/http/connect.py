"""Connections whose every step, the look-up of the name included, is under a deadline."""

from __future__ import annotations

import contextlib
import errno
import queue
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudboot_oci_stream.deadline import Deadline

Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]
"""What :func:`socket.getaddrinfo` gives."""

_LOOK_UP = 0.2
"""Seconds between two looks at the deadline while a name is looked up."""


def dial(host: str, port: int, deadline: Deadline, stall: float) -> socket.socket:
    """A TCP connection to the first address of ``host`` that takes one, ``stall`` seconds for each.

    Raises:
        OSError: the name is unknown, or no address takes a connection.
        TransferTimeoutError: the deadline passed, be it while the name was looked up.
    """
    problem: OSError | None = None
    for family, kind, protocol, _, address in _addresses(host, port, deadline, stall):
        sock = socket.socket(family, kind, protocol)
        try:
            deadline.attach(sock)
            sock.settimeout(deadline.cap(stall))
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            problem = error
            deadline.cap(stall)
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise problem or OSError(errno.EADDRNOTAVAIL, f"{host} has no address")


def _addresses(host: str, port: int, deadline: Deadline, stall: float) -> Sequence[Address]:
    """What ``host`` resolves to. The system's resolver knows no deadline, so it is asked in a thread of its own."""
    with contextlib.suppress(socket.gaierror):
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    answers: queue.SimpleQueue[Sequence[Address] | OSError | UnicodeError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=look_up, name="cloudboot-oci-resolve", daemon=True).start()
    end = time.monotonic() + stall
    while True:
        try:
            answer = answers.get(timeout=deadline.cap(_LOOK_UP))
        except queue.Empty:
            if time.monotonic() > end:
                raise TimeoutError from None
        else:
            if isinstance(answer, UnicodeError):
                raise OSError(errno.EADDRNOTAVAIL, "the host's name is malformed") from answer
            if isinstance(answer, Exception):
                raise answer
            return answer
