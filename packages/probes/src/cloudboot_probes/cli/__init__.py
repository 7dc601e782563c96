"""The ``cloudboot`` command.

This module is all that is imported before a signal can be dealt with, so it imports next to nothing; a sub-command's
packages are imported when it runs.
"""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None, *, program: str = "cloudboot", within: str = "") -> None:
    """The entry point of the ``cloudboot`` script; always ends in ``SystemExit``.

    A script of its own for the commands of a group gives its name as ``program``, and the group's as ``within``.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup's and a caller's own choice stay
            signal.signal(number, _interrupt)
    try:
        from .dispatch import run

        code = run(sys.argv[1:] if arguments is None else list(arguments), program, within)
    except BaseException as error:
        # During start-up, or behind what the command itself reported; what a library's ``finally`` raises in passing
        # has the interrupt as its context.
        seen: BaseException | None = error
        while seen is not None and not isinstance(seen, KeyboardInterrupt):
            seen = seen.__context__
        if seen is None:
            raise
        if sys.stderr is not None:  # None: the process was started with it closed
            sys.stderr.write("cloudboot: interrupted\n")
        code = INTERRUPTED
    sys.exit(code)


def _interrupt(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


__all__ = ["main"]
