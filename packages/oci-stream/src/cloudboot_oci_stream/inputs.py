"""Small files and pipes that a caller names: read whole, with a bound, and never waited for without a limit."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import stat
from typing import TYPE_CHECKING

from cloudboot_base.storage import inherited
from cloudboot_oci_stream.errors import TransferTimeoutError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_oci_stream.deadline import Deadline

STALL = 30.0
"""Seconds without a byte after which a pipe is given up, where the caller has no opinion."""

_LONGEST_LINE = 1 << 16


def read_input(
    path: str | os.PathLike[str], limit: int, deadline: Deadline | None = None, stall: float = STALL
) -> bytes:
    """All of a file or pipe that has at most ``limit`` bytes, else its first ``limit + 1``.

    Raises:
        TransferTimeoutError: nothing came out of a pipe for ``stall`` seconds, or the deadline passed.
        OSError: it cannot be opened or read, or is a directory.
    """
    fd = open_input(path)
    try:
        data = bytearray()
        while len(data) <= limit:
            wait_readable(fd, deadline, stall, os.fspath(path))
            piece = os.read(fd, min(1 << 16, limit + 1 - len(data)))
            if not piece:
                break
            data += piece
        return bytes(data)
    finally:
        os.close(fd)


@contextlib.contextmanager
def file_of(data: bytes) -> Iterator[str]:
    """A name under which a library that reads files finds ``data``, for as long as the block lasts."""
    fd = os.memfd_create("cloudboot-input", os.MFD_CLOEXEC)
    with open(fd, "wb", buffering=0) as file:
        file.write(data)
        yield f"/proc/self/fd/{fd}"


def read_line(fd: int, deadline: Deadline | None) -> str:
    """The first line of a pipe or terminal, without its end; as much as there is where it ends before.

    Raises:
        TransferTimeoutError: the deadline passed.
    """
    line = bytearray()
    while b"\n" not in line and len(line) < _LONGEST_LINE:
        wait_readable(fd, deadline, None, "stdin")
        piece = os.read(fd, 1)  # what follows the line is not ours
        if not piece:
            break
        line += piece
    return line.decode("utf-8", "surrogateescape").rstrip("\r\n")


def open_input(path: str | os.PathLike[str]) -> int:
    """Open a file for reading, without waiting for a process to open the other end of a pipe.

    Raises:
        IsADirectoryError: it is a directory.
        OSError: it cannot be opened.
    """
    name = os.fspath(path)
    number = inherited(name)
    if number is not None and not stat.S_ISREG(os.fstat(number).st_mode):
        return os.dup(number)
    fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        os.close(fd)
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    return fd


def wait_readable(fd: int, deadline: Deadline | None, stall: float | None, name: str) -> None:
    """Wait until ``fd`` has something to read, or is at its end.

    Raises:
        TransferTimeoutError: neither within ``stall`` seconds (``None`` is no limit), or the deadline passed.
    """
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    left = stall
    while True:
        tick = 3600.0 if left is None else max(left, 0.0)
        tick = deadline.cap(tick) if deadline is not None else tick
        if poll.poll(max(1, int(tick * 1000))):
            return
        if deadline is not None:
            deadline.cap(1)
        if left is not None:
            left -= tick
            if left <= 0:
                raise TransferTimeoutError(f"nothing came out of {name} in {stall:g} s", final=True)


def read_pieces(fd: int, size: int, deadline: Deadline | None) -> Iterator[bytes]:
    """What comes out of a pipe, in pieces of up to ``size`` bytes, until its end or the deadline."""
    while True:
        wait_readable(fd, deadline, None, "the pipe")
        try:
            piece = os.read(fd, size)
        except BlockingIOError:
            continue
        if not piece:
            return
        yield piece
