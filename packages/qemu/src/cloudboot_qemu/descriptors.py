"""Files and channels of a machine that have no name: memfds, socket pairs and pipes."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import contextlib


def memory_file(name: str, content: bytes, stack: contextlib.ExitStack) -> int:
    """A memfd with ``content``; ``stack`` closes it."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC)
    stack.callback(os.close, fd)
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
    return fd


def socket_pair(ours: contextlib.ExitStack, lent: contextlib.ExitStack) -> tuple[socket.socket, int]:
    """A pair of sockets: ours, and the descriptor of the other one, which QEMU inherits."""
    mine, theirs = socket.socketpair()
    ours.callback(mine.close)
    lent.callback(theirs.close)
    return mine, theirs.fileno()


def pipe(ours: contextlib.ExitStack, lent: contextlib.ExitStack) -> tuple[int, int]:
    """A pipe: the end we read from, and the one QEMU writes to."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    ours.callback(os.close, reading)
    lent.callback(os.close, writing)
    return reading, writing
