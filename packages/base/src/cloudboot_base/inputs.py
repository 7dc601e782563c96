"""Files that somebody names: opened so that nothing but a file can be one."""

from __future__ import annotations

import errno
import os
import stat


def read_file(path: str | os.PathLike[str], limit: int) -> bytes:
    """The bytes of a regular file.

    A pipe, a device or a folder under that name is refused at once: reading it could wait or go on for ever.

    Raises:
        OSError: it cannot be opened, is no regular file, or is larger than ``limit`` bytes.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(fd, "rb") as file:
        check_regular(path, os.fstat(fd).st_mode)
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit} bytes", os.fspath(path))
    return data


def check_file(path: str | os.PathLike[str]) -> None:
    """Refuse what :func:`read_file` refuses, for files that are read by others.

    Raises:
        OSError: nothing is there, or it is no regular file.
    """
    check_regular(path, os.stat(path).st_mode)


def open_seekable(path: str | os.PathLike[str], flags: int) -> int:
    """A descriptor of a regular file or a block device, opened without ever waiting for another process.

    Raises:
        OSError: it cannot be opened, or is something else: a pipe or a character device has no bytes at offsets.
    """
    fd = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK)
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode) or stat.S_ISBLK(mode):
        return fd
    os.close(fd)
    error = IsADirectoryError if stat.S_ISDIR(mode) else OSError
    raise error(errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL, f"{kind_of(mode)}, not a file", os.fspath(path))


def check_regular(path: str | os.PathLike[str], mode: int) -> None:
    """Refuse every kind of file but a regular one.

    Raises:
        OSError: ``mode`` is another kind's.
    """
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "a folder, not a file", os.fspath(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"{kind_of(mode)}, not a file", os.fspath(path))


def kind_of(mode: int) -> str:
    """What a file is, in words."""
    kinds = {
        stat.S_IFREG: "a file",
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFCHR: "a character device",
        stat.S_IFBLK: "a block device",
        stat.S_IFSOCK: "a socket",
    }
    return kinds.get(stat.S_IFMT(mode), "something unknown")
