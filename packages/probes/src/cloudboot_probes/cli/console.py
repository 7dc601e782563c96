"""The output of every command: results on stdout, progress and diagnostics on stderr, one line for an error."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, TextIO

from cloudboot_base import Error
from cloudboot_base.command import (
    CHECK_FAILED,
    INTERRUPTED,
    OK,
    SYSTEM,
    USAGE,
    clipped,
    discard_output,
    error_text,
    exit_code,
    of_the_host,
    printable,
    settle_output,
    terminal_size,
)
from cloudboot_base.errors import error_facts, interrupted, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MACHINE = 12
EXIT_CODES = {
    OK: "The command did what was asked; every gate passed.",
    CHECK_FAILED: "A gate or a check failed.",
    USAGE: "The command line is wrong, or the recipe cannot be built.",
    3: "The input is damaged, or is not of its format.",
    4: "There is not enough room.",
    SYSTEM: "The operating system refused, or a program or package is missing.",
    6: "There is no such image.",
    7: "Credentials are missing or were refused.",
    8: "The registry answered wrongly.",
    9: "The registry asks for fewer requests.",
    10: "There is no connection.",
    11: "The registry is too slow.",
    MACHINE: "A machine could not be started.",
    13: "The signatures do not satisfy the policy.",
    14: "A service of Sigstore, or its trust root, failed.",
    20: "The hosted firmware, or what ran in it, failed (20 to 23).",
    25: "A virtio device or its queue failed (25 to 29).",
    30: "The game, its engine or an oracle failed (30 to 34).",
    INTERRUPTED: "The command was interrupted.",
}
_TICK = 1.0  # seconds between two looks at a status line


class Console:
    """stdout for results, stderr for the rest, and a status line, or several, below everything else.

    They are on the terminal that stderr is, and go before anything is printed to either: two writers
    never share a line.
    """

    def __init__(self, *, json: bool = False, verbose: bool = False) -> None:
        self.json = json
        self.verbose = verbose
        self._live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._lock: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
        self._status = ""
        self._rows = 0
        self.color = _colored(sys.stdout)

    @property
    def width(self) -> int | None:
        """Columns of the terminal that stdout is; ``None`` where stdout is not a terminal and lines are not wrapped."""
        return terminal_size(sys.stdout)[0] if sys.stdout.isatty() else None

    def print(self, text: str = "", *, end: str = "\n") -> None:
        """A part of the result."""
        with self._lock:
            self._clear()
            sys.stdout.write(text + end)
            sys.stdout.flush()
            self._draw()

    def lines(self, texts: Iterable[str]) -> None:
        """Lines of the result, together."""
        self.print("\n".join(texts))

    def say(self, text: str) -> None:
        """A line about what is going on."""
        with self._lock:
            self._clear()
            sys.stderr.write(printable(text) + "\n")
            sys.stderr.flush()
            self._draw()

    def warn(self, text: str) -> None:
        """Something that may not be as it should."""
        self.say(f"cloudboot: warning: {text}")

    def result(self, value: object) -> None:
        """A result as one JSON document."""
        self.print(_dumped(value, indent=2))

    def line(self, value: object) -> None:
        """A result as one line of JSON, at once."""
        self.print(_dumped(value, indent=None))

    @contextlib.contextmanager
    def progress(self, label: str) -> Iterator[Callable[[int, int], None]]:
        """A status line with amount, share, rate and time left; silent where stderr is not a terminal."""
        start = time.monotonic()
        shown = 0.0

        def update(done: int, total: int) -> None:
            nonlocal shown
            now = time.monotonic()
            if now - shown >= 0.1 or done == total:
                shown = now
                self._set(_progress_text(label, done, total, now - start))

        try:
            yield update if self._live else _silent
        finally:
            self._set("")

    @contextlib.contextmanager
    def waiting(self, label: str) -> Iterator[None]:
        """A status line that counts the seconds; silent where stderr is not a terminal."""
        if not self._live:
            yield
            return
        import threading  # 6 ms, and few commands wait

        self._lock = threading.RLock()
        start = time.monotonic()
        over = threading.Event()

        def tick() -> None:
            while not over.wait(_TICK):
                with self._lock:
                    if not self._status or self._status.startswith(label):  # a transfer's own line stays
                        self._set(f"{label} ... {time.monotonic() - start:.0f} s")

        self._set(f"{label} ...")
        thread = threading.Thread(target=tick, name="status", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self._set("")

    def status(self, text: str) -> None:
        """Show ``text``, one line or several, below everything else, or remove it; silent without a terminal."""
        if self._live:
            self._set(text)

    def _set(self, text: str) -> None:
        with self._lock:
            self._clear()
            self._status = text
            self._draw()

    def _clear(self) -> None:
        if self._rows:
            up = f"\x1b[{self._rows - 1}A" if self._rows > 1 else ""
            sys.stderr.write(f"\r{up}\x1b[J")
            sys.stderr.flush()
            self._rows = 0

    def _draw(self) -> None:
        if self._status and self._live:
            columns, lines = terminal_size(sys.stderr)
            # A column short of the edge, where some terminals begin a new line; never the whole height, of which the
            # first line would leave the screen.
            rows = self._status.split("\n")[: max(1, lines - 1)]
            shown = [clipped(row, max(1, columns - 1)) for row in rows]
            sys.stderr.write("\n".join(shown))
            sys.stderr.flush()
            self._rows = len(shown)


def _colored(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _silent(done: int, total: int) -> None:
    """Progress where stderr is no terminal."""


def _progress_text(label: str, done: int, total: int, seconds: float) -> str:
    rate = done / seconds if seconds > 0 else 0.0
    text = f"{label}: {_amount(done)}"
    if total:
        text += f" of {_amount(total)} ({100 * done // total} %)"
    text += f", {_amount(rate)}/s"
    return text + (f", {(total - done) / rate:.0f} s left" if total and rate and done < total else "")


def _amount(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.1f} {unit}" if unit != "B" else f"{count:.0f} B"
        count /= 1024
    return f"{count:.1f} TiB"


def _dumped(value: object, *, indent: int | None) -> str:
    import json  # 10 ms, for --json only

    text = json.dumps(plain(value), indent=indent, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # a lone surrogate in a name, or a terminal of another encoding
        text = json.dumps(plain(value), indent=indent)
    return text


@contextlib.contextmanager
def notices(console: Console) -> Iterator[None]:
    """Print what the packages log as warnings in the block, a line each, apart from the status line."""
    import logging  # 6 ms, and --help needs none

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            console.say(f"cloudboot: notice: {record.getMessage()}")

    logger, handler = logging.getLogger("cloudboot_oci_stream"), Lines(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def run_reported(console: Console, main: Callable[[], int]) -> int:
    """Call ``main`` and give its exit code; what the packages raise becomes a line on stderr and a code.

    With ``--json`` the error's facts also go to stdout, as one line.
    """
    code = OK
    try:
        code = main()
        sys.stdout.flush()  # a full disk is noticed here, not in the interpreter's last flush
        return code
    except BrokenPipeError:
        discard_output()  # the reader of our output went away
        return code
    except Exception as error:
        if interrupted(error):
            console.say("cloudboot: interrupted")
            return INTERRUPTED
        known = of_the_host(error)
        if not isinstance(known, Error | OSError):
            raise
        if console.verbose:
            import traceback  # 8 ms, for --verbose only

            traceback.print_exc()
        report_error(console, known)
        return exit_code(known)
    except KeyboardInterrupt:
        console.say("cloudboot: interrupted")
        return INTERRUPTED


def report_error(console: Console, error: Error | OSError) -> None:
    """Say what went wrong, and what can be done."""
    if console.json:
        with contextlib.suppress(OSError):  # a document that stdout cannot take; stderr has the same error
            console.line({**error_facts(error), "exit_code": exit_code(error)})
    settle_output()
    for refusal in getattr(error, "refusals", ()):
        console.say(f"cloudboot: refused: {refusal}")
    console.say(f"cloudboot: error: {error_text(error)}")
    if hint := getattr(error, "hint", None):
        console.say(f"cloudboot: hint: {hint}")
