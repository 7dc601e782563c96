"""The process of cells: limits and a session, then for each cell a scratch folder, the task, and a result file.

A process runs another cell only if the one before passed and left it as it was (:mod:`.surroundings`). Pages that were
copied and code that was loaded into the processor's caches serve again; a process for each cell takes half as long
again for a hosted probe.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from cloudboot_base import Error
from cloudboot_base.command import exit_code
from cloudboot_base.errors import error_facts
from cloudboot_base.exit_codes import NO_SPACE, OK, SYSTEM
from cloudboot_fleet.matrix.kinds import KINDS
from cloudboot_fleet.tasks.result import Outcome, Status

from . import processes
from .surroundings import Surroundings

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_fleet.matrix.cells import Limits

#: In a cell's scratch folder: what is kept, what the task said, how it ended, and the modules that it imported.
FILES, LOG, RESULT, MODULES = "files", "log.txt", "result.json", "modules.json"
#: The descriptor over which the server sends cells, and is told how they ended.
LINK = 3
#: Cells after which a process is replaced in any case.
_MOST = 100
_NO_ROOM = {"ENOSPC", "EDQUOT", "EFBIG"}


def begin(cell: dict[str, Any], folder: str, limits: Limits, link: int, parent: int) -> NoReturn:
    """Run a cell in this process, just forked by ``parent``, and those that come over ``link``, and end it."""
    code = SYSTEM
    try:
        os.setsid()
        processes.die_with_parent(signal.SIGKILL, parent)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(link, LINK, inheritable=False)
        os.closerange(LINK + 1, 1 << 16)  # the files of the fork server
        _limit(limits)
        # The address space that one cell leaves behind would count against the limit of the next.
        _serve(cell, folder, most=1 if limits.memory is not None else _MOST)
        code = OK
    except BaseException:  # noqa: BLE001  # nothing of the fork server may run on in this process
        with contextlib.suppress(BaseException):
            traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            _flush()
        os._exit(code)


def _serve(cell: dict[str, Any], folder: str, *, most: int) -> None:
    """Run cells until one leaves a trace, ``most`` have run, or no other comes."""
    surroundings = Surroundings({0, 1, 2, LINK})
    children = _children_peak()
    while True:
        _enter(Path(folder))
        processes.begin_peak()
        passed = _run(cell, Path(folder))
        _leave()
        most -= 1
        peak, before, children = processes.peak(), children, _children_peak()
        peak = max(peak, children[0] if children != before else 0)
        stays = passed and most > 0 and surroundings.unchanged()
        try:
            os.write(LINK, json.dumps({"stays": stays, "peak": peak}).encode() + b"\n")
        except OSError:  # the task closed it, or the server is gone
            return
        if not stays or (request := _next()) is None:
            return
        cell, folder = request["cell"], request["folder"]


def _children_peak() -> tuple[int, float]:
    """The largest resident memory of what this process started, in bytes, and a number that rises with each of them.

    The kernel does not count from one cell to the next: it is that of the earlier cells where those took more.
    """
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_maxrss << 10, usage.ru_minflt


def _next() -> dict[str, Any] | None:
    """The next cell, and its folder; ``None`` once the server wants no more of this process."""
    text = b""
    while not text.endswith(b"\n"):
        data = os.read(LINK, 1 << 16)
        if not data:
            return None
        text += data
    request: dict[str, Any] = json.loads(text)
    return request


def _enter(folder: Path) -> None:
    """Output goes to the log, temporary files to the scratch folder."""
    _redirect(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 1, 2)
    (folder / FILES).mkdir()
    temporary = folder / "tmp"
    temporary.mkdir()
    os.environ["TMPDIR"] = str(temporary)
    tempfile.tempdir = None  # what an earlier cell or the fork server looked up
    os.chdir(temporary)


def _leave() -> None:
    """Hold nothing of the scratch folder, which is removed."""
    _flush()
    _redirect(os.devnull, os.O_RDWR, 0, 1, 2)
    os.chdir("/")


def _redirect(path: str | Path, flags: int, *descriptors: int) -> None:
    opened = os.open(path, flags, 0o644)
    for each in descriptors:
        os.dup2(opened, each)
    os.close(opened)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    processes.flush_libraries()


def _limit(limits: Limits) -> None:
    for kind, value in (
        (resource.RLIMIT_NOFILE, limits.files),
        (resource.RLIMIT_FSIZE, limits.file_size),
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_CORE, 0),
    ):
        if value is not None:
            _, hard = resource.getrlimit(kind)
            most = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (most, most))
    # A file that becomes too large is then an error of the write, not the end of the process.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def _run(cell: dict[str, Any], folder: Path) -> bool:
    """Run the task and write its result, which has what it raised; whether the cell passed."""
    module, _, name = KINDS[cell["kind"]].runs.partition(":")
    present = set(sys.modules)
    try:
        task: Callable[[dict[str, Any], Path], Outcome] = getattr(importlib.import_module(module), name)
        outcome = task(cell, folder / FILES)
        with contextlib.suppress(OSError):
            (folder / MODULES).write_text(json.dumps([each for each in list(sys.modules) if each not in present]))
    except (Error, OSError, MemoryError, ImportError) as error:
        traceback.print_exc()
        outcome = Outcome.of_error(_facts(error), _code(error))
    except Exception as error:  # noqa: BLE001  # a defect of the task: the campaign goes on, and the log has it
        traceback.print_exc()
        outcome = Outcome.of_error({"error": type(error).__name__, "message": str(error)}, SYSTEM, defect=True)
    partial = folder / f"{RESULT}.partial"
    partial.write_text(json.dumps(outcome.as_dict()))
    partial.rename(folder / RESULT)
    return outcome.status is Status.PASSED


def _facts(error: BaseException) -> dict[str, object]:
    if isinstance(error, OSError) and not isinstance(error, Error) and error.filename is not None:
        return {**error_facts(error), "message": f"{os.fsdecode(error.filename)}: {error.strerror}"}
    if isinstance(error, Error | OSError):
        return error_facts(error)
    return {"error": type(error).__name__, "message": str(error) or "out of memory"}


def _code(error: BaseException) -> int:
    import errno

    if isinstance(error, OSError) and not isinstance(error, Error):
        return NO_SPACE if errno.errorcode.get(error.errno or 0) in _NO_ROOM else SYSTEM
    return exit_code(error)
