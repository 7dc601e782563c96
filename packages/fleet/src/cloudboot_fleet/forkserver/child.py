"""The process of one cell: limits, a session and a scratch folder of its own, then the task, then a result file."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from cloudboot_base import Error
from cloudboot_base.command import exit_code
from cloudboot_base.errors import error_facts
from cloudboot_base.exit_codes import NO_SPACE, OK, SYSTEM
from cloudboot_fleet.matrix.kinds import KINDS
from cloudboot_fleet.tasks.result import Outcome

from . import processes

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_fleet.matrix.cells import Limits

#: In a cell's scratch folder: what is kept, what the task said, how it ended, and the modules that it imported.
FILES, LOG, RESULT, MODULES = "files", "log.txt", "result.json", "modules.json"
_NO_ROOM = {"ENOSPC", "EDQUOT", "EFBIG"}


def begin(cell: dict[str, Any], folder: str, limits: Limits) -> NoReturn:
    """Run a cell in this process, just forked, and end it."""
    code = SYSTEM
    try:
        os.setsid()
        processes.die_with_parent(signal.SIGKILL, os.getppid())
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        _enter(Path(folder))
        _limit(limits)
        code = _run(cell, Path(folder))
    except BaseException:  # noqa: BLE001  # nothing of the fork server may run on in this process
        with contextlib.suppress(BaseException):
            traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _enter(folder: Path) -> None:
    """Leave every descriptor of the fork server; output goes to the log, temporary files to the scratch folder."""
    os.closerange(3, 1 << 16)
    null = os.open(os.devnull, os.O_RDONLY)
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.closerange(3, 16)
    (folder / FILES).mkdir()
    temporary = folder / "tmp"
    temporary.mkdir()
    os.environ["TMPDIR"] = str(temporary)
    os.chdir(temporary)


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


def _run(cell: dict[str, Any], folder: Path) -> int:
    """Run the task; what it raises becomes part of the result. The exit code is 0 when a result was written."""
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
    return OK


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
