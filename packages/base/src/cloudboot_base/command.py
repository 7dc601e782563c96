"""The conventions that every command of this project follows.

The result goes to stdout, progress and diagnostics go to stderr. With ``--json`` stdout carries one JSON document, for
an error too. :data:`EXIT_CODES` says what the exit codes mean. :class:`cloudboot_base.program.Program` builds command
lines.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import math
import os
import sys
import time
from typing import TYPE_CHECKING, BinaryIO, TextIO, cast

from .errors import Error, HostNameError, UsageError, error_facts, interrupted, plain
from .exit_codes import BAD_INPUT, CHECK_FAILED, INTERRUPTED, NO_SPACE, OK, SYSTEM, USAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .errors import Finding

__all__ = [
    "BAD_INPUT",
    "CHECK_FAILED",
    "EXIT_CODES",
    "INTERRUPTED",
    "NO_SPACE",
    "OK",
    "SYSTEM",
    "USAGE",
    "Progress",
    "add_common_arguments",
    "amount",
    "clipped",
    "count_argument",
    "counted",
    "discard_output",
    "error_text",
    "exit_code",
    "failed",
    "guarded",
    "ignoring_broken_pipe",
    "notice",
    "of_the_host",
    "parse_size",
    "prepare_streams",
    "print_findings",
    "print_json",
    "printable",
    "report",
    "run",
    "seconds_argument",
    "settle_output",
    "size_argument",
    "terminal_size",
    "whole_argument",
]


_FIRST, _LAST = -(1 << 63), (1 << 63) - 1
_LONGEST = 10 * 365 * 86400.0  # seconds

#: What the exit codes mean that every command shares.
EXIT_CODES = {
    OK: "The command did what was asked.",
    CHECK_FAILED: "A check found something.",
    USAGE: "The command line is wrong, or asks for what is not possible.",
    BAD_INPUT: "The input is damaged, or is not of this format.",
    NO_SPACE: "There is not enough room.",
    SYSTEM: "The operating system refused, or a program or package is missing.",
    INTERRUPTED: "The command was interrupted.",
}


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """``--json`` and ``-v``, the same everywhere."""
    parser.add_argument("--json", action="store_true", help="Print the result, or the error, as JSON.")
    parser.add_argument("-v", "--verbose", action="store_true", help="Print the traceback of an error.")


def print_findings(name: str, findings: Sequence[Finding], *, as_json: bool) -> int:
    """What a check of the file ``name`` found, on stdout; gives the exit code, also if its reader goes away."""
    with ignoring_broken_pipe():
        if as_json:
            print_json([finding.as_dict() for finding in findings])
        else:
            for finding in findings:
                print(printable(str(finding)))
            print(f"{printable(name)}: {counted(len(findings), 'problem') if findings else 'no problems'} found")
    return CHECK_FAILED if findings else OK


def notice(program: str, text: str) -> None:
    """One line on stderr about something the user should know, and that is no error."""
    print(f"{program}: warning: {printable(text)}", file=sys.stderr)


def print_json(value: object) -> None:
    """One JSON document on stdout; what its encoding cannot hold (a lone surrogate, say) is written as an escape."""
    import json

    text = json.dumps(plain(value), indent=2, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(plain(value), indent=2)
    print(text)


def parse_size(text: str) -> int:
    """``"64M"``, ``"1GiB"`` or ``"4096"`` in bytes; the suffixes K, M, G and T are powers of 1024.

    Raises:
        ValueError: not a size.
    """
    digits = text.strip().upper().removesuffix("B").removesuffix("I")
    factor = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}.get(digits[-1:], 1)
    if factor != 1:
        digits = digits[:-1]
    if not digits.isascii() or not digits.isdigit():
        raise ValueError(f"{text!r} is not a size; write 4096, 64K, 16M or 2G")
    if len(digits) > 19 or int(digits) * factor > _LAST:
        raise ValueError(f"{text!r} is not a size that any file or disk can have")
    return int(digits) * factor


def source_date_epoch() -> int | None:
    """The time that ``SOURCE_DATE_EPOCH`` gives an output, in seconds since 1970; ``None`` if it is not set.

    Raises:
        UsageError: it is not a whole number of seconds.
    """
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise UsageError(f"SOURCE_DATE_EPOCH is {text!r}, not seconds since 1970")
    return int(text)


def counted(count: int, one: str, many: str | None = None) -> str:
    """``"1 file"``, ``"2 files"``; ``many`` is for words that do not only take an s."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def size_argument(text: str) -> int:
    """:func:`parse_size` for :mod:`argparse`."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def new_image_argument(text: str) -> str:
    """The path of an image to make or to write into, which is no folder, for :mod:`argparse`."""
    if os.path.isdir(text):
        raise argparse.ArgumentTypeError(f"{printable(text)} is a folder, and IMAGE a file; IMAGE comes before SOURCE")
    return text


def seconds_argument(text: str) -> float:
    """A time limit above 0, in seconds, for :mod:`argparse`."""
    try:
        value = float(text) if text.isascii() else math.nan
    except ValueError:
        value = math.nan
    if not 0 < value <= _LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value


def whole_argument(text: str) -> int:
    """A whole number of 64 bits with a sign, in ASCII digits, for :mod:`argparse`."""
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 19 or not _FIRST <= int(text) <= _LAST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def count_argument(text: str) -> int:
    """A whole number from 0 on, for :mod:`argparse`."""
    value = whole_argument(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is less than 0")
    return value


def exit_code(error: BaseException) -> int:
    """The exit code an error stands for; that of a full file system is the one for too little room."""
    if isinstance(error, Error):
        return error.exit_code
    return NO_SPACE if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT} else SYSTEM


def run(program: str, main: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    """Call ``main`` and turn its errors into one line on stderr and an exit code."""
    return guarded(
        program, lambda: main(options), as_json=getattr(options, "json", False), verbose=bool(options.verbose)
    )


def guarded(program: str, main: Callable[[], int], *, as_json: bool = False, verbose: bool = False) -> int:
    """:func:`run` for what has no options: the reading of a command line, a help text."""
    code = OK
    prepare_streams()
    try:
        code = main()
        sys.stdout.flush()  # a reader that went away is noticed here, not in the interpreter's last flush
    except Exception as error:
        if interrupted(error):
            return report_interrupt(program)
        if isinstance(error, BrokenPipeError):
            discard_output()
            return code
        known = of_the_host(error)
        if not isinstance(known, Error | OSError):
            raise
        if verbose:
            import traceback

            traceback.print_exc()
        return failed(program, known, as_json=as_json)
    except KeyboardInterrupt:
        return report_interrupt(program)
    return code


def of_the_host(error: Exception) -> Exception:
    """``error``, or what it means if a path of the host cannot be written in the encoding of the locale."""
    encoding = sys.getfilesystemencoding()
    if isinstance(error, UnicodeEncodeError) and encoding != "utf-8" and _same_codec(error.encoding, encoding):
        return HostNameError(
            f"{printable(error.object)}: the encoding of the locale, {encoding}, cannot hold the name",
            hint="choose a locale that can: LC_ALL=C.UTF-8",
        )
    return error


def _same_codec(one: str, other: str) -> bool:
    import codecs

    return codecs.lookup(one).name == codecs.lookup(other).name


def prepare_streams() -> None:
    """Let stdin, stdout and stderr be what a command expects, however the process was started.

    A process that was started with one of them closed gets a descriptor for it: otherwise the next file that is opened
    gets the number. Reading from and writing to it fails (EBADF). What the encoding of the locale cannot hold is
    written as an escape.
    """
    for number, name, mode in ((0, "stdin", os.O_WRONLY), (1, "stdout", os.O_RDONLY), (2, "stderr", os.O_RDWR)):
        stream = getattr(sys, name)
        if stream is None:
            while (descriptor := os.open(os.devnull, mode)) < number:
                pass
            # No buffer: what could not be written would be tried again when the interpreter ends.
            raw = cast("BinaryIO", io.FileIO(descriptor, "w" if number else "r"))
            setattr(sys, name, io.TextIOWrapper(raw, "utf-8", "backslashreplace", write_through=bool(number)))
        elif number and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def ignoring_broken_pipe() -> Iterator[None]:
    """If the reader of stdout goes away, leave out the rest of what this context prints; the command goes on."""
    try:
        yield
    except BrokenPipeError:
        discard_output()


def discard_output() -> None:
    """Let what stdout could not take go nowhere; the interpreter's last flush would fail on it again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def settle_output() -> None:
    """Write what stdout still holds; where that fails, the error that is being reported is enough."""
    try:
        sys.stdout.flush()
    except OSError:
        discard_output()


def report_interrupt(program: str) -> int:
    """The one line that says so on stderr; gives the exit code."""
    settle_output()
    print(f"{program}: interrupted", file=sys.stderr)
    return INTERRUPTED


def failed(program: str, error: Error | OSError, *, as_json: bool = False) -> int:
    """Report an error on stderr, with ``as_json`` also as a JSON document on stdout; gives the exit code."""
    code = exit_code(error)
    if as_json:
        with contextlib.suppress(OSError):  # a document that stdout cannot take; stderr has the same error
            print_json({**error_facts(error), "exit_code": code})
    settle_output()
    report(program, error)
    return code


def printable(text: str) -> str:
    """``text`` from an image or a peer, unable to steer a terminal: what is not printable is written as an escape."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def report(program: str, error: Exception, stream: TextIO | None = None) -> None:
    """The one line (and the hint, where there is one) that a user reads."""
    lines = [f"{program}: error: {printable(error_text(error))}"]
    hint = getattr(error, "hint", None)
    if hint:
        lines.append(f"{program}: hint: {hint}")
    with contextlib.suppress(OSError):  # nowhere is left to report to
        print("\n".join(lines), file=sys.stderr if stream is None else stream)


def error_text(error: Exception) -> str:
    """What an error says; one of the system without its number."""
    if not isinstance(error, OSError) or isinstance(error, Error) or not error.strerror:
        return str(error)
    if error.filename is None:
        return error.strerror
    name = error.filename
    return f"{os.fsdecode(name) if isinstance(name, bytes | str | os.PathLike) else name}: {error.strerror}"


class Progress:
    """A line on a terminal that says how far a long operation is; silent where stderr is not a terminal."""

    def __init__(self, label: str, total: int | None = None, *, unit: str = "B", stream: TextIO | None = None) -> None:
        self._label, self._total, self._unit = label, total, unit
        self._stream = sys.stderr if stream is None else stream
        self._shown = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._start = time.monotonic()
        self._next = self._start

    def __call__(self, done: int) -> None:
        """Show that ``done`` units are finished; at most ten times a second."""
        if not self._shown:
            return
        now = time.monotonic()
        if now < self._next and done != self._total:
            return
        self._next = now + 0.1
        shown = _count(done, self._unit)
        rate = done / (now - self._start) if now > self._start else 0.0
        if self._total:
            shown += f" of {_count(self._total, self._unit)} ({100 * done // self._total} %)"
        line = f"{printable(self._label)}: {shown}, {_count(int(rate), self._unit)}/s"
        # A column short of the edge, where some terminals begin a new line.
        self._stream.write(f"\r\x1b[K{clipped(line, terminal_size(self._stream)[0] - 1)}")
        self._stream.flush()

    def close(self) -> None:
        """Remove the line."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def terminal_size(stream: TextIO) -> tuple[int, int]:
    """Columns and lines of the terminal that ``stream`` is; the variables COLUMNS and LINES go before."""
    try:
        found = tuple(os.get_terminal_size(stream.fileno()))
    except (OSError, ValueError):  # not a terminal, or closed
        found = (0, 0)
    named = (os.environ.get(name, "") for name in ("COLUMNS", "LINES"))
    columns, lines = (
        int(text) if text.isascii() and text.isdigit() and 0 < len(text) < 6 and int(text) else size
        for text, size in zip(named, found, strict=True)
    )
    return columns or 80, lines or 24


def clipped(text: str, columns: int) -> str:
    """As much of one line as fits into ``columns`` of a terminal: ideographs take two, marks over letters none."""
    import unicodedata  # only lines on a terminal need it

    taken = 0
    for place, character in enumerate(text):
        if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
            continue
        taken += 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
        if taken > columns:
            return text[:place]
    return text


def _count(count: int, unit: str) -> str:
    return amount(count) if unit == "B" else f"{count} {unit}"


def amount(size: int) -> str:
    """``"512 bytes"``, ``"16.0 MiB"``: a number of bytes as a user reads it."""
    value, prefixes = float(size), ["", "Ki", "Mi", "Gi", "Ti"]
    while value >= 1024 and len(prefixes) > 1:
        value, prefixes = value / 1024, prefixes[1:]
    return f"{value:.1f} {prefixes[0]}B" if prefixes[0] else counted(size, "byte")
