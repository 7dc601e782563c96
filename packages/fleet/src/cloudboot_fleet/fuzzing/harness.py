"""Run by cells in processes of their own: a harness under libFuzzer's command line, or one input made smaller.

``python -m cloudboot_fleet.fuzzing.harness fuzz PROGRAM HARNESS ARGUMENT...`` runs the harness; libFuzzer starts
itself again by ``PROGRAM``, for merging. ``... minimise HARNESS INPUT OUTPUT`` writes the smallest input found that
fails for the same cause.
"""

from __future__ import annotations

import os
import runpy
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .causes import cause_of_traceback

if TYPE_CHECKING:
    from collections.abc import Callable

#: Runs of the harness for one input that is made smaller, and seconds after which no more are begun.
_MOST_RUNS, _SECONDS = 20_000, 20.0


def failure(one_input: Callable[[bytes], Any], data: bytes) -> str | None:
    """The traceback of an input, from the harness's own frame on; ``None`` if nothing is raised."""
    try:
        one_input(data)
    except BaseException as error:  # noqa: BLE001  # whatever comes out is the finding
        behind = error.__traceback__.tb_next if error.__traceback__ is not None else None
        return "".join(traceback.format_exception(type(error), error, behind))
    return None


def minimised(one_input: Callable[[bytes], Any], data: bytes, seconds: float = _SECONDS) -> bytes:
    """The smallest input found that fails for the cause of ``data``: parts left out, then bytes set to zero."""
    first = failure(one_input, data)
    if first is None:
        return data
    cause, end, runs = cause_of_traceback(first), time.monotonic() + seconds, 0

    def same(candidate: bytes) -> bool:
        nonlocal runs
        runs += 1
        told = failure(one_input, candidate)
        return told is not None and cause_of_traceback(told) == cause

    def allowed() -> bool:
        return runs < _MOST_RUNS and time.monotonic() < end

    step = max(1, len(data) // 2)
    while step and allowed():
        at = 0
        while at < len(data) and allowed():
            shorter = data[:at] + data[at + step :]
            if same(shorter):
                data = shorter
            else:
                at += step
        step //= 2
    for at in range(len(data)):
        if data[at] and allowed():
            plainer = data[:at] + b"\0" + data[at + 1 :]
            data = plainer if same(plainer) else data
    return data


def main(arguments: list[str]) -> None:
    """Run a harness, or make an input smaller."""
    what, *rest = arguments
    if what == "fuzz":
        program, harness, *options = rest
        sys.argv = [program, *options]
        sys.path.insert(0, os.path.dirname(os.path.abspath(harness)))
        # Not by runpy, which puts the file's own path into sys.argv[0]: libFuzzer starts itself again by that.
        code = compile(Path(harness).read_bytes(), harness, "exec")
        exec(code, {"__name__": "__main__", "__file__": harness, "__builtins__": __builtins__})  # noqa: S102 -- the harness
        return
    harness, source, target = rest
    sys.path.insert(0, os.path.dirname(os.path.abspath(harness)))
    one_input = runpy.run_path(harness, run_name="harness")["one_input"]
    found = minimised(one_input, Path(source).read_bytes())
    Path(target).write_bytes(found)
    print(failure(one_input, found) or "")


if __name__ == "__main__":
    main(sys.argv[1:])
