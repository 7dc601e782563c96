"""What tests of campaigns need: matrices of fast cells, processes looked up by what they are, waiting with a limit."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from cloudboot_fleet.forkserver.processes import Process, table

if TYPE_CHECKING:
    from collections.abc import Callable

Found = TypeVar("Found")

#: Seconds after which something that should happen soon is taken for something that never happens.
LIMIT = 60.0


def eventually(look: Callable[[], Found], limit: float = LIMIT) -> Found:
    """What ``look`` gives once that is true.

    Raises:
        AssertionError: it was not, for ``limit`` seconds.
    """
    end = time.monotonic() + limit
    while not (found := look()):
        if time.monotonic() > end:
            raise AssertionError(f"still {found!r} after {limit:.0f} s")
        time.sleep(0.02)
    return found


def command_line(pid: int) -> str:
    """What a process was started with; nothing if it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def processes_with(text: str) -> list[Process]:
    """The processes whose command line has ``text`` in it."""
    return [process for process in table().values() if text in command_line(process.pid)]
