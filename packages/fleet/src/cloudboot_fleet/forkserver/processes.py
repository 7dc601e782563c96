"""What Linux offers to keep track of processes: death signals, adoption of orphans, the table in ``/proc``."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: <linux/prctl.h>
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
_LIBC = ctypes.CDLL(None, use_errno=True)
_PAGE = os.sysconf("SC_PAGE_SIZE")


def _prctl(option: int, value: int) -> None:
    if _LIBC.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl({option}): {os.strerror(code)}")


def die_with_parent(number: int, parent: int) -> None:
    """Have the kernel send ``number`` to this process when the thread that started it ends.

    ``parent`` is the process identifier of who started it: where that is gone already, no signal would ever come, and
    the process ends at once.
    """
    _prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(128 + number)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


@dataclass(frozen=True, slots=True)
class Process:
    """A row of the process table. ``resident`` is in bytes."""

    pid: int
    parent: int
    session: int
    resident: int


def table() -> dict[int, Process]:
    """Every process that there is, zombies left out; see proc(5)."""
    rows = (_row(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return {row.pid: row for row in rows if row is not None}


def _row(pid: int) -> Process | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The program's name, in parentheses, may hold anything.
    fields = text[text.rindex(b")") + 2 :].split()
    if fields[0] in {b"Z", b"X"}:
        return None
    return Process(pid, int(fields[1]), int(fields[3]), int(fields[21]) * _PAGE)


def below(root: int) -> dict[int, Process]:
    """The rows of ``root`` and what it started, for a fraction of the time that the whole table takes.

    A process that starts or ends meanwhile may be left out. Where the kernel does not list children (proc(5)) it is the
    whole table.
    """
    found: dict[int, Process] = {}
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        row = _row(pid)
        if row is None or pid in found:
            continue
        found[pid] = row
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children", "rb") as file:
                    waiting += [int(each) for each in file.read().split()]
        except (FileNotFoundError, ProcessLookupError):
            if children() is None:
                return table()
    return found


def children() -> set[int] | None:
    """The children of this process, which has one thread; ``None`` where the kernel does not list them (proc(5))."""
    pid = os.getpid()
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb") as file:
            return {int(each) for each in file.read().split()}
    except FileNotFoundError:
        return None


def descriptors() -> set[int]:
    """The open files of this process."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the listing itself, which is closed
            os.fstat(int(name))
            found.add(int(name))
    return found


def threads() -> int:
    """The threads of this process, also those that are not Python's."""
    return len(os.listdir("/proc/self/task"))


def resident() -> int:
    """The resident memory of this process, in bytes."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * _PAGE


def begin_peak() -> None:
    """Have :func:`peak` count from now on (``/proc/self/clear_refs``, proc(5))."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "wb") as file:
        file.write(b"5")


def peak() -> int:
    """The largest resident memory of this process, in bytes; see :func:`begin_peak`."""
    with open("/proc/self/status", "rb") as file:
        found = next((line for line in file if line.startswith(b"VmHWM:")), b"VmHWM: 0 kB")
    return int(found.split()[1]) << 10


def flush_libraries() -> None:
    """Write out what libraries in C have printed and still hold."""
    _LIBC.fflush(None)


def descendants(root: int, processes: Mapping[int, Process]) -> list[Process]:
    """``root``, what it started, and what belongs to its session."""
    children: dict[int, list[Process]] = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process)
    found = {process.pid: process for process in processes.values() if root in (process.session, process.pid)}
    waiting = list(found)
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child.pid not in found:
                found[child.pid] = child
                waiting.append(child.pid)
    return list(found.values())


def kill_tree(root: int) -> None:
    """Kill ``root`` and all of its descendants, until a look at the table finds none.

    What they start meanwhile is found by the next look.
    """
    for _ in range(100):
        alive = descendants(root, table())
        if not alive:
            return
        for process in alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, signal.SIGKILL)
