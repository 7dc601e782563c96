"""Starting harnesses: processes that end with the one that started them."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from cloudboot_fleet.forkserver.processes import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_MODULE = "cloudboot_fleet.fuzzing.harness"


def run(
    command: Sequence[str], *, seconds: float, folder: Path, environment: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run a command in ``folder``; its exit code (-9 after ``seconds``) and the last mebibyte of what it printed."""
    parent = os.getpid()
    log = folder / "output.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            preexec_fn=lambda: die_with_parent(signal.SIGKILL, parent),  # noqa: PLW1509  # this process has one thread
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
    with log.open("rb") as printed:
        printed.seek(max(0, log.stat().st_size - (1 << 20)))
        return code, printed.read().decode("utf-8", "replace")


def fuzz_command(harness: Path, folder: Path, *arguments: str) -> list[str]:
    """The command that runs a harness under libFuzzer, which starts itself again by a script in ``folder``."""
    script = folder / "run-harness"
    words = [sys.executable, "-m", _MODULE, "fuzz", str(script), str(harness)]
    if not script.exists():
        script.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        script.chmod(0o755)
    return [*words, *arguments]


def minimise_command(harness: Path, source: Path, target: Path) -> list[str]:
    """The command that makes an input smaller."""
    return [sys.executable, "-m", _MODULE, "minimise", str(harness), str(source), str(target)]
