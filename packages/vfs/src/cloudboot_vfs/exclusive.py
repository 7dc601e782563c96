"""One writer at a time: between processes by flock(2), within one by doing operations one after another."""

from __future__ import annotations

import contextlib
import fcntl
import sys
import threading
from typing import TYPE_CHECKING

from cloudboot_base import Error
from cloudboot_base.storage import descriptor_of

from .errors import NestedOperationError, ReadOnlyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudboot_base import Storage


def claim(storage: Storage, stack: contextlib.ExitStack, error_type: type[ReadOnlyError] = ReadOnlyError) -> None:
    """Keep other writers away from ``storage`` until ``stack`` is closed, where it is a file.

    Args:
        storage: what is to be written to.
        stack: gives the lock back when it is closed.
        error_type: what is raised; a file-system package's own kind of :class:`.ReadOnlyError`.

    Raises:
        ReadOnlyError: another process is writing to it.
        OSError: the host's file system has no locks.
    """
    found = descriptor_of(storage)
    if found is None:
        return
    try:
        fcntl.flock(found[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise error_type(
            "another process is writing to the image",
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


class Operations:
    """The operations of one file system, one after another: what :class:`.WritableFileSystem` says of them.

    ``lock`` is held during each; ``busy`` says whether one is under way in this thread; read it while holding the lock.
    ``changes`` counts them.
    """

    def __init__(self, nested: type[Error] = NestedOperationError) -> None:
        """``nested`` is what is raised for an operation within another one, a file-system package's own kind."""
        self._nested = nested
        self.lock = threading.RLock()
        self.changes = 0
        self.busy = False
        self.closed = False
        self._deferred: list[Callable[[], object]] = []

    def when_idle(self, action: Callable[[], object]) -> None:
        """Call ``action`` now, or after the operation that is under way: destructors run in the middle of anything."""
        with self.lock:
            if self.busy:
                self._deferred.append(action)
            else:
                action()

    @contextlib.contextmanager
    def operation(self) -> Iterator[None]:
        """One operation, for as long as the block lasts.

        Raises:
            NestedOperationError: another one is under way in this thread.
            ValueError: the file system is closed.
        """
        with self.lock:
            if self.busy:
                raise self._nested("an operation cannot begin within another one")
            if self.closed:
                raise ValueError("the file system is closed")
            self.busy = True
            try:
                yield
            finally:
                self.changes += 1
                self.busy = False
                run_deferred(self._deferred)
