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


class NewFile:
    """A file being written; it takes ``name`` when the block it belongs to ends well."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.name: str | None = None


@contextlib.contextmanager
def new_file(folder: str, *, durable: bool = False, replace: bool = True) -> Iterator[NewFile]:
    """Give a file in ``folder`` that is gone again unless the block ends without an exception and sets its name.

    ``durable`` syncs the bytes to the device before the name appears. What has the name already is replaced.

    Raises:
        FileExistsError: something has the name, and ``replace`` is false.
    """
    temporary = os.path.join(folder, TEMPORARY + secrets.token_hex(8))
    fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    new = NewFile(fd)
    renamed = False
    try:
        yield new
        if durable:
            os.fsync(fd)
        if new.name is not None:
            if not replace:
                # Claims the name, where a link would do the same but not on every file system.
                os.close(os.open(new.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            os.replace(temporary, new.name)
            renamed = True
    finally:
        os.close(fd)
        if not renamed:
            os.unlink(temporary)


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
