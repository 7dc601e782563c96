"""Where a blob lands. Whatever the place, what is hashed is what is there, not what went past on the way."""

from __future__ import annotations

import contextlib
import errno
import mmap
from typing import TYPE_CHECKING, Protocol

from cloudboot_base.storage import write_all
from cloudboot_oci_stream.errors import NoRoomError

if TYPE_CHECKING:
    from cloudboot_oci_stream.stores.store import Part

STEP = 1 << 20
"""Bytes asked of the socket at once."""

_HELPER_STEP = 1 << 16
_POPULATE_READ = 22
"""MADV_POPULATE_READ (Linux 5.14), which Python has no name for."""


class Place(Protocol):
    """Memory that is being filled."""

    @property
    def view(self) -> memoryview:
        """All of it."""

    def landing(self, *, is_first: bool) -> Landing:
        """A way in, for one thread."""


class Landing(Protocol):
    """One thread's way into a place."""

    def land(self, part: Part, start: int, stop: int) -> int:
        """Put bytes of ``part`` at ``start``, at most up to ``stop`` and at most :data:`STEP`; how many there were."""


class Memory:
    """A buffer, which bytes are received into directly."""

    def __init__(self, view: memoryview) -> None:
        self.view = view

    def landing(self, *, is_first: bool) -> Memory:
        """The same for all."""
        del is_first
        return self

    def land(self, part: Part, start: int, stop: int) -> int:
        """One read of the socket."""
        with self.view[start : min(stop, start + STEP)] as target:
            return part.readinto(target)


class MappedFile:
    """A file, seen through a mapping.

    Writing with pwrite(2) what was received into a scratch buffer takes less than receiving into the mapping, which
    costs a page fault for every 4 KiB. ``view`` is of the part of ``mapping`` to fill.
    """

    def __init__(self, fd: int, mapping: mmap.mmap, view: memoryview) -> None:
        self.fd, self.mapping, self.view = fd, mapping, view

    def landing(self, *, is_first: bool) -> _Writer:
        """A scratch buffer of its own; a small one for helpers, of which there may be many."""
        return _Writer(self, STEP if is_first else _HELPER_STEP)


class _Writer:
    def __init__(self, place: MappedFile, step: int) -> None:
        self._place = place
        self._scratch = memoryview(bytearray(step))

    def land(self, part: Part, start: int, stop: int) -> int:
        count = part.readinto(self._scratch[: stop - start])
        try:
            write_all(self._place.fd, self._scratch[:count], start)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM}:
                raise NoRoomError("no room for what was received", offset=start) from error
            raise
        if count:
            first = start & -mmap.PAGESIZE
            # Maps what was just written in one call instead of one fault for every few pages; older kernels fault.
            with contextlib.suppress(OSError):
                self._place.mapping.madvise(_POPULATE_READ, first, start + count - first)
        return count
