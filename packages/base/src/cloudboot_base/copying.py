"""Bytes of a host file into a storage, by the kernel where it can."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from .errors import TruncatedError
from .storage import COPY_CHUNK, _check_write, descriptor_of, view_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .storage import WritableStorage

#: Below this, asking where the holes are costs more than writing them.
_HOLE_WORTH_ASKING = 1 << 16
_KERNEL_CANNOT = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}


def copy_from_file(
    fd: int, storage: WritableStorage, offset: int, size: int, *, source_offset: int = 0, skip_holes: bool = False
) -> None:
    """Copy ``size`` bytes of the file ``fd``, from ``source_offset`` on, to ``offset`` of ``storage``.

    Uses ``copy_file_range`` between two files, which shares blocks where the host's file system can. ``skip_holes``
    leaves out what is a hole in the source; right only where the target reads as zeros already. It moves the
    position of ``fd``.

    Raises:
        TruncatedError: the file ends before ``size`` bytes.
        RangeError: the storage does.
    """
    _check_write(offset, size, storage.size)
    if skip_holes and size >= _HOLE_WORTH_ASKING:
        parts = _data(fd, source_offset, size)
    else:
        parts = iter([(source_offset, size)])
    for start, count in parts:
        _copy(fd, start, storage, offset + start - source_offset, count)


def _data(fd: int, start: int, size: int) -> Iterator[tuple[int, int]]:
    """The parts of a file that are not holes."""
    position, end = start, start + size
    if os.fstat(fd).st_size < end:  # a missing end must be noticed, not taken for a hole
        yield start, size
        return
    while position < end:
        try:
            data = os.lseek(fd, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole remains
                return
            yield position, end - position
            return
        hole = min(end, os.lseek(fd, data, os.SEEK_HOLE))
        if data < hole:
            yield data, hole - data
        position = max(hole, data)


def _copy(fd: int, start: int, storage: WritableStorage, offset: int, size: int) -> None:
    target = descriptor_of(storage)
    done = 0 if target is None else _copy_in_kernel(fd, start, target[0], target[1] + offset, size)
    memory = view_of(storage)
    if memory is not None and not memory.readonly:
        done += _read_into(fd, start, memory[offset : offset + size])
    elif done < size:
        buffer = memoryview(bytearray(min(COPY_CHUNK, size - done)))
        while count := _read_into(fd, start + done, buffer[: size - done]):
            storage.write_at(offset + done, buffer[:count])
            done += count
    if done < size:
        raise TruncatedError("the file ends early", offset=start + done, expected=size, actual=done)


def _read_into(fd: int, start: int, view: memoryview) -> int:
    """Fill ``view`` as far as the file goes."""
    done = 0
    while done < len(view) and (count := os.preadv(fd, [view[done:]], start + done)):
        done += count
    return done


def _copy_in_kernel(source: int, start: int, target: int, offset: int, size: int) -> int:
    """How many bytes the kernel copied; fewer than ``size`` where it cannot, or where the source ends."""
    done = 0
    while done < size:
        try:
            count = os.copy_file_range(source, target, size - done, start + done, offset + done)
        except OSError as error:
            if error.errno in _KERNEL_CANNOT:
                break
            raise
        if count == 0:
            break
        done += count
    return done
