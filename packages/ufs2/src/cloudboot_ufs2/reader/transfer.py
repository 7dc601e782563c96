"""Bytes of an image out to the host: by the kernel where it can, so that they never pass through Python."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from cloudboot_base.storage import descriptor_of
from cloudboot_ufs2.errors import ImageTruncatedError

if TYPE_CHECKING:
    from cloudboot_base import Storage

_CHUNK = 1 << 18
_ZEROS = bytes(1 << 16)
_CANNOT = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV}


def send(storage: Storage, offset: int, count: int, descriptor: int) -> None:
    """Write ``count`` bytes of ``storage`` to a pipe, socket or file of the host.

    Raises:
        ImageTruncatedError: the storage ends before.
        OSError: the host refuses.
    """
    if offset < 0 or offset + count > storage.size:
        raise ImageTruncatedError("the image ends early", offset=offset, expected=count)
    done = _send_in_kernel(storage, offset, count, descriptor)
    buffer = memoryview(bytearray(min(_CHUNK, count - done)))
    while done < count:
        piece = buffer[: count - done]
        storage.readinto_at(offset + done, piece)
        write_all(descriptor, piece)
        done += len(piece)


def _send_in_kernel(storage: Storage, offset: int, count: int, descriptor: int) -> int:
    """How many bytes the kernel sent: fewer than ``count`` where it cannot, or where the file behind has shrunk."""
    place = descriptor_of(storage)
    done = 0
    while place is not None and done < count:
        try:
            sent = os.sendfile(descriptor, place[0], place[1] + offset + done, count - done)
        except OSError as error:
            if error.errno in _CANNOT:  # a file that is open to append, a device without a page cache
                break
            raise
        if not sent:
            break
        done += sent
    return done


def send_zeros(count: int, descriptor: int) -> None:
    """Write ``count`` zeros."""
    while count > 0:
        part = min(count, len(_ZEROS))
        write_all(descriptor, memoryview(_ZEROS)[:part])
        count -= part


def write_all(descriptor: int, data: memoryview) -> None:
    """Write all of ``data`` at the descriptor's position."""
    while data:
        data = data[os.write(descriptor, data) :]
