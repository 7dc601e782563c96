"""Files that the command line names, read whole and in bounded memory."""

from __future__ import annotations

import errno
import os

from cloudboot_base.storage import open_file


def read_file(path: str | os.PathLike[str], limit: int) -> bytes:
    """The bytes of an ordinary file.

    Raises:
        FileKindError: it is a folder, a pipe or a device.
        OSError: it cannot be opened, or is larger than ``limit`` bytes.
    """
    with open(open_file(path), "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit} bytes", os.fspath(path))
    return data


def check_file(path: str | os.PathLike[str]) -> None:
    """Refuse what :func:`read_file` refuses, for files that are read by others.

    Raises:
        FileKindError: it is a folder, a pipe or a device.
        OSError: it cannot be opened.
    """
    os.close(open_file(path))
