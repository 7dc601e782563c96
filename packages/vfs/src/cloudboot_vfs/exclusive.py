"""One writer at a time: between processes by flock(2), within one by doing operations one after another."""

from __future__ import annotations

import fcntl
from typing import TYPE_CHECKING

from cloudboot_base.storage import descriptor_of

from .errors import ReadOnlyError

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable

    from cloudboot_base import Storage


def claim(storage: Storage, stack: contextlib.ExitStack, error_type: type[ReadOnlyError] = ReadOnlyError) -> None:
    """Keep other writers away from ``storage`` until ``stack`` is closed, where it is a file.

    Args:
        storage: what is to be written to.
        stack: gives the lock back when it is closed.
        error_type: what is raised; a file-system package's own kind of :class:`.ReadOnlyError`.

    Raises:
        ReadOnlyError: somebody else is writing to it.
        OSError: the host's file system has no locks.
    """
    found = descriptor_of(storage)
    if found is None:
        return
    try:
        fcntl.flock(found[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise error_type(
            "somebody else is writing to the image",
            hint="close the other writer; threads of one program share the file system that is open",
        ) from error
    stack.callback(fcntl.flock, found[0], fcntl.LOCK_UN)


class Late:
    """Something a destructor wanted done while an operation was under way; dropping this does it.

    So what goes wrong is reported the way it is for any destructor, and nobody else's call fails for it.
    """

    def __init__(self, action: Callable[[], object]) -> None:
        self._action = action

    def __del__(self) -> None:
        self._action()
