"""Errors, findings and the manners of commands."""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys

import pytest

from cloudboot_base.command import (
    BAD_INPUT,
    CHECK_FAILED,
    INTERRUPTED,
    NO_SPACE,
    OK,
    SYSTEM,
    Progress,
    add_common_arguments,
    counted,
    parse_size,
    print_json,
    printable,
    report,
    run,
)
from cloudboot_base.errors import Finding, FormatError, UsageError


@pytest.mark.parametrize(
    ("text", "size"),
    [("4096", 4096), ("64K", 65536), ("16MiB", 16 << 20), ("2gb", 2 << 30), ("1T", 1 << 40), (" 7 ", 7)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "M", "-1", "1.5G", "0x10", "1KK", "six", "\u0661", "9" * 20, "8388608T", "9223372036854775808"]
)
def test_what_is_not_a_size(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


ERROR = FormatError(
    "the magic is wrong",
    structure="fs",
    field="fs_magic",
    offset=66908,
    expected=0x19540119,
    actual=b"\0" * 99,
    hint="look",
)


def test_an_error_says_all_it_knows() -> None:
    assert str(ERROR) == (
        "fs.fs_magic at byte 66908: the magic is wrong (expected 0x19540119, found " + "00" * 24 + "...)"
    )
    assert str(FormatError("no more", offset=0)) == "at byte 0: no more"
    assert json.loads(json.dumps(ERROR.as_dict()))["actual"] == "00" * 99


def test_a_finding_says_where() -> None:
    finding = Finding("wrong-link-count", "the count is wrong", expected=2, actual=3, where={"inode": 7, "path": "/a"})
    assert str(finding) == "wrong-link-count: inode 7 path /a: the count is wrong (expected 2, found 3)"
    assert finding.as_dict()["where"] == {"inode": 7, "path": "/a"}


class FullError(FormatError):
    exit_code = NO_SPACE


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (ERROR, BAD_INPUT, "prog: hint: look"),
        (FullError("full"), NO_SPACE, "prog: error: full"),
        (
            FileNotFoundError(2, "No such file or directory", "x.img"),
            SYSTEM,
            "prog: error: x.img: No such file or directory",
        ),
        (KeyboardInterrupt(), INTERRUPTED, "prog: interrupted"),
    ],
)
def test_errors_become_a_line_and_a_code(
    error: BaseException, code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    add_common_arguments(parser)

    def fail(_: argparse.Namespace) -> int:
        raise error

    assert run("prog", fail, parser.parse_args([])) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert text in captured.err
    assert "Traceback" not in captured.err
    if not isinstance(error, KeyboardInterrupt):
        run("prog", fail, parser.parse_args(["-v"]))
        assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("replacement", [AttributeError("gone"), OSError(5, "Input/output error"), UsageError("no")])
def test_what_a_finally_raises_in_place_of_an_interrupt_is_the_interrupt(
    replacement: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: argparse.Namespace) -> int:
        try:
            raise KeyboardInterrupt
        finally:
            raise replacement

    parser = argparse.ArgumentParser()
    add_common_arguments(parser)
    assert run("prog", fail, parser.parse_args([])) == INTERRUPTED
    assert capsys.readouterr().err == "prog: interrupted\n"


@pytest.mark.parametrize("buffered", ["", "1"])
def test_a_reader_that_goes_away_is_no_error(buffered: str) -> None:
    code = (
        "import argparse, sys\nfrom cloudboot_base.command import CHECK_FAILED, run\n"
        "options = argparse.Namespace(verbose=False)\n"
        "sys.exit(run('prog', lambda _: print('a finding') or CHECK_FAILED, options))"
    )
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as stdout:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=stdout, stderr=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": buffered}, check=False,
        )  # fmt: skip
    assert done.stderr == b""
    # Without a buffer the command itself is cut off, and its verdict with it.
    assert done.returncode == (OK if buffered else CHECK_FAILED)


def test_a_closed_stdout_fails_as_in_coreutils() -> None:
    code = (
        "import argparse, sys\nfrom cloudboot_base.command import run\n"
        "options = argparse.Namespace(verbose=False)\n"
        "sys.exit(run('prog', lambda _: print('a result') or 0, options))"
    )
    script = '"$0" "$@" >&-'
    judge = subprocess.run(
        ["sh", "-c", script, "ls", "/"], capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    done = subprocess.run(["sh", "-c", script, sys.executable, "-c", code], capture_output=True, text=True, check=False)
    reason = judge.stderr.rpartition(": ")[2]
    assert (bool(judge.returncode), done.returncode, done.stderr) == (True, 5, f"prog: error: {reason}")


def test_an_image_never_gets_the_number_of_a_closed_stdout() -> None:
    code = (
        "import argparse, os, sys\nfrom cloudboot_base.command import run\n"
        "options = argparse.Namespace(verbose=False)\n"
        "sys.exit(run('prog', lambda _: int(os.open('/dev/null', os.O_RDONLY) < 3), options))"
    )
    done = subprocess.run(["sh", "-c", '"$0" "$@" <&- >&- 2>&-', sys.executable, "-c", code], check=False)
    assert done.returncode == 0


def test_json_holds_bytes_and_tuples(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"digest": b"\x01\xff", "lbas": (1, 2), "none": None})
    assert json.loads(capsys.readouterr().out) == {"digest": "01ff", "lbas": [1, 2], "none": None}


def test_what_an_image_says_cannot_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "a\x1b]0;title\x07b\x9b31m\r\n\udcffü"
    shown = "a\\x1b]0;title\\x07b\\x9b31m\\r\\n\\udcffü"
    assert printable(hostile) == shown
    report("prog", FormatError(hostile))
    assert capsys.readouterr().err == f"prog: error: {shown}\n"


def test_progress_is_for_terminals() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    quiet, shown = io.StringIO(), Terminal()
    for stream in (quiet, shown):
        progress = Progress("copying", 2048, stream=stream)
        progress(1024)
        progress(2048)
        progress.close()
    assert quiet.getvalue() == ""
    assert "copying: 1.0 KiB of 2.0 KiB (50 %)" in shown.getvalue()
    assert "(100 %)" in shown.getvalue()
    assert shown.getvalue().endswith("\r\x1b[K")


def test_one_and_many() -> None:
    assert [counted(count, "file") for count in (0, 1, 2)] == ["0 files", "1 file", "2 files"]
    assert counted(2, "directory", "directories") == "2 directories"
