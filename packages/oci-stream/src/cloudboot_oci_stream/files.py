"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPORARY = ".partial-"
_NO_UNNAMED_FILES = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT}
"""What a file system or a kernel without ``O_TMPFILE`` says."""


class NewFile:
    """A file being written; it takes ``name`` when the block it belongs to ends well."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.name: str | None = None


@contextlib.contextmanager
def new_file(folder: str, *, durable: bool = False, replace: bool = True) -> Iterator[NewFile]:
    """Give a file in ``folder`` that is gone again unless the block ends without an exception and sets its name.

    Where the file system can do that (``O_TMPFILE``), it has no name at all before, so that even a killed process
    leaves nothing behind. ``durable`` syncs the bytes to the device before the name appears. What has the name is
    replaced, in one step.

    Raises:
        FileExistsError: something has the name, and ``replace`` is false.
    """
    temporary: str | None = None
    try:
        fd = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno not in _NO_UNNAMED_FILES:
            raise
        temporary = _temporary(folder)
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    new = NewFile(fd)
    try:
        yield new
        if durable:
            os.fsync(fd)
        if new.name is not None:
            if temporary is None and _linked(fd, new.name):
                return
            if not replace:
                # Claims the name, where a link would do the same but not on every file system.
                os.close(os.open(new.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            if temporary is None:
                temporary = _temporary(folder)
                _link(fd, temporary)
            os.replace(temporary, new.name)
            temporary = None
    finally:
        os.close(fd)
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


def _temporary(folder: str) -> str:
    return os.path.join(folder, TEMPORARY + secrets.token_hex(8))


def _linked(fd: int, path: str) -> bool:
    """Give an unnamed file its name; false if something has it."""
    try:
        _link(fd, path)
    except FileExistsError:
        return False
    return True


def _link(fd: int, path: str) -> None:
    # A directory descriptor makes CPython call linkat(), the one call that follows /proc/self/fd to the file.
    folder = os.open(os.path.dirname(path) or ".", os.O_PATH | os.O_CLOEXEC)
    try:
        name = os.path.basename(path)
        os.link(f"/proc/self/fd/{fd}", name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


def check_target(path: str, *, force: bool) -> None:
    """Refuse, before anything is fetched, what could not be written to ``path`` afterwards.

    Raises:
        FileExistsError: it exists and ``force`` is false, or is a device, a folder or a pipe, which a file must not
            replace even so.
    """
    if os.path.lexists(path) and not force:
        raise FileExistsError(errno.EEXIST, "the file exists; --force replaces it", path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise FileExistsError(errno.EEXIST, "not a file that could be replaced", path)


def write_all(fd: int, data: memoryview, offset: int) -> None:
    """Write all of ``data`` at ``offset``."""
    while data:
        count = os.pwrite(fd, data, offset)
        data, offset = data[count:], offset + count
