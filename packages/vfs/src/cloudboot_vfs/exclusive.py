"""One writer at a time: between processes by flock(2), within one by doing operations one after another."""

from __future__ import annotations

import fcntl
import sys
from typing import TYPE_CHECKING

from cloudboot_base import Error
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


def run_deferred(actions: list[Callable[[], object]]) -> None:
    """Take the actions off the list, the first one first, and call each; it may put others on the list.

    They are what destructors wanted done while an operation was under way. The caller of that operation did not ask
    for them, so an error of one is reported to :func:`sys.excepthook` and not raised.
    """
    while actions:
        action = actions.pop(0)
        try:
            action()
        except (Error, OSError, ValueError) as error:
            sys.excepthook(type(error), error, error.__traceback__)
