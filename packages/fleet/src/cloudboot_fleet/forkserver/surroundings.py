"""What one cell could leave behind in its process for the next one.

A process that is as it was before its cell runs another one; a process that is not ends, and a new one takes its place.
Nothing is put back: what a task changed on purpose has no other trace that could be compared.
"""

from __future__ import annotations

import gc
import locale
import logging
import os
import resource
import signal
import sys
import time
import warnings

from . import processes

#: Bytes of resident memory that a process may keep of its cells.
_GROWN = 128 << 20
#: Seconds for a thread that was joined to leave the kernel's list as well.
_THREAD = 0.1
#: Set anew for each cell.
_OWN = {"TMPDIR"}


class Surroundings:
    """The process as it was before its first cell, apart from modules that were imported and what they keep.

    ``descriptors`` are the files that stay open from one cell to the next.
    """

    def __init__(self, descriptors: set[int]) -> None:
        self._descriptors = descriptors
        self._state = _state()
        self._resident: int | None = None

    def unchanged(self) -> bool:
        """Whether the next cell finds what the first one found."""
        gc.collect()  # of the cell alone: what was there before the fork is frozen
        resident = processes.resident()
        self._resident = self._resident or resident
        return (
            _state() == self._state
            and processes.descriptors() == self._descriptors
            and processes.children() == set()
            and resident <= self._resident + _GROWN
            and _one_thread()
        )


def _state() -> tuple[object, ...]:
    """What can be compared: of the operating system's state of a process, and of the interpreter's."""
    umask = os.umask(0o077)
    os.umask(umask)
    return (
        umask,
        {name: value for name, value in os.environ.items() if name not in _OWN},
        [signal.getsignal(number) for number in sorted(signal.valid_signals())],
        signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        [signal.getitimer(each)[0] for each in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)],
        [resource.getrlimit(each) for each in _LIMITS],
        os.getpriority(os.PRIO_PROCESS, 0),
        locale.setlocale(locale.LC_ALL),
        (sys.stdin, sys.stdout, sys.stderr, list(sys.path), list(sys.argv), list(sys.meta_path), list(sys.path_hooks)),
        (sys.getrecursionlimit(), gc.isenabled(), gc.get_threshold(), sys.gettrace(), sys.getprofile()),
        (sys.excepthook, sys.unraisablehook, sys.breakpointhook, sys.displayhook),
        list(warnings.filters),
        (logging.root.level, logging.root.manager.disable, list(logging.root.handlers)),
    )


_LIMITS = sorted({value for name, value in vars(resource).items() if name.startswith("RLIMIT_")})


def _one_thread() -> bool:
    end = time.monotonic() + _THREAD
    while (threads := processes.threads()) != 1 and time.monotonic() < end:
        time.sleep(0.001)
    return threads == 1
