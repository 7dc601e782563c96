"""A second process that writes some of the contents, for programs with nothing but one thread."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def forked(work: Callable[[], None]) -> Iterator[None]:
    """Run ``work`` in a copy of this process beside the block; it may write to open files, and nothing else is kept.

    If it fails there, it is done again here, so that its error is the one it would have been without a second process.
    """
    child = os.fork()
    if not child:
        _finish(work)
    try:
        yield
    except BaseException:
        import signal

        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    _, status = os.waitpid(child, 0)
    if status:
        work()


def _finish(work: Callable[[], None]) -> None:
    """Do the child's work and leave without what the parent wants to do at its own end."""
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)  # an exception ends here: the parent meets it again
