"""How every command speaks: results on stdout, the story on stderr, an error in one line with an exit code."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from cloudboot_base import Error
from cloudboot_base.command import CHECK_FAILED, INTERRUPTED, OK, SYSTEM, USAGE, exit_code, printable
from cloudboot_base.errors import error_facts, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MACHINE = 12
EXIT_CODES = {
    OK: "done; every gate passed",
    CHECK_FAILED: "a gate or a check failed",
    USAGE: "wrong usage, or a recipe that cannot be built",
    3: "damaged or hostile input",
    4: "not enough room",
    SYSTEM: "the operating system refused, or a program or package is missing",
    6: "no such image",
    7: "credentials missing or refused",
    8: "the registry answered wrongly",
    9: "the registry asks for fewer requests",
    10: "no connection",
    11: "too slow",
    MACHINE: "a machine could not be started",
    13: "signatures do not satisfy the policy",
    14: "a service of Sigstore, or its trust root, failed",
    INTERRUPTED: "interrupted",
}


@dataclass
class Manners:
    """What the global options ask for."""

    json: bool = False
    verbose: bool = False

    def __post_init__(self) -> None:
        self.out = Console(highlight=False, emoji=False)
        self.err = Console(stderr=True, highlight=False, emoji=False)

    def say(self, text: str) -> None:
        """A line of the story."""
        self.err.print(printable(text), markup=False, soft_wrap=True)

    def result(self, value: object) -> None:
        """A result as one JSON document."""
        print(json.dumps(plain(value), indent=2, ensure_ascii=False))

    def line(self, value: object) -> None:
        """A result as one line of JSON, at once."""
        print(json.dumps(plain(value), ensure_ascii=False), flush=True)

    @contextlib.contextmanager
    def progress(self, label: str) -> Iterator[Callable[[int, int], None]]:
        """A bar with rate and time left on a terminal; silent elsewhere."""
        if not self.err.is_terminal:
            yield _silent
            return
        columns = TextColumn(label), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
        with Progress(*columns, console=self.err, transient=True) as bar:
            task = bar.add_task(label, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


def _silent(done: int, total: int) -> None:
    """Progress that nobody watches."""


@contextlib.contextmanager
def reported(manners: Manners) -> Iterator[None]:
    """Turn what the packages raise into a line on stderr (a document on stdout with ``--json``) and an exit code."""
    try:
        yield
    except BrokenPipeError:
        # The reader of our output went away; point stdout at nothing so that the interpreter's flush is silent.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(OK) from None
    except (Error, OSError) as error:
        if manners.verbose:
            traceback.print_exc()
        if manners.json:
            manners.line(error_facts(error))
        text = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
        manners.say(f"cloudboot: error: {text}")
        if hint := getattr(error, "hint", None):
            manners.say(f"cloudboot: hint: {hint}")
        raise SystemExit(exit_code(error)) from None
    except KeyboardInterrupt:
        manners.say("cloudboot: interrupted")
        raise SystemExit(INTERRUPTED) from None
