"""Commands whose stdin, stdout or stderr is closed, full, gone, or of an encoding that holds little."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os, sys
from cloudboot_base.program import Program

def show(options):
    print("caf\\u00e9 \\u65e5\\u672c")
    return 0

def read(options):
    sys.stdin.read()
    return 0

def write(options):
    os.mkdir("caf\\u00e9-\\u65e5\\u672c")
    return 0

def check(options):
    from cloudboot_base import Finding
    from cloudboot_base.command import print_findings

    return print_findings("image", [Finding("kind", "wrong")] * 5000, as_json=options.json)

program = Program("sample", "cloudboot-base", "Show what a program does.")
for name, main in (("show", show), ("read", read), ("write", write), ("check", check)):
    program.command(name, main, "Do it.")
sys.exit(program.run())
"""
WORDS = [["show"], ["show", "--json"], ["nothing", "--json"], ["show", "--help"], ["--help"], ["--version"]]


def sh(script: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The program, or a judge, as a shell script starts it."""
    command = ["sh", "-c", script, *(words or (sys.executable, "-c", PROGRAM))]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C", **variables}
    )


def started(script: str, words: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    return sh(script, sys.executable, "-c", PROGRAM, *words, **variables)


@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize("script", ['"$0" "$@" >/dev/full', '"$0" "$@" >&-'])
@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_a_stdout_that_takes_nothing_is_an_error_as_in_coreutils(words: list[str], script: str, buffered: str) -> None:
    judged = sh(script, "ls", "/")
    reason = judged.stderr.rpartition(": ")[2]
    done = started(script, words, PYTHONUNBUFFERED=buffered)
    if words[0] == "nothing":  # wrong usage: that is the error, which stderr has in any case
        assert done.returncode == 2
        assert done.stderr.startswith("sample: error: unknown command nothing\n")
    else:
        assert (bool(judged.returncode), done.stderr) == (True, f"sample: error: {reason}")
        assert done.returncode in (4, 5)


@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize("words", [*(each for each in WORDS if each[0] != "nothing"), ["check"]], ids=" ".join)
def test_a_reader_that_has_gone_is_no_error(words: list[str], buffered: str) -> None:
    """And what a check found is its exit code all the same."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as stdout:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *words],
            stdout=stdout, stderr=subprocess.PIPE, check=False, env={**os.environ, "PYTHONUNBUFFERED": buffered},
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (words[0] == "check", b"")


def test_a_closed_stdin_cannot_be_read_as_in_coreutils() -> None:
    judged = sh('"$0" "$@" <&-', "cat")
    done = started('"$0" "$@" <&-', ["read"])
    assert done.stderr == f"sample: error: {judged.stderr.rpartition(': ')[2]}"
    assert (bool(judged.returncode), done.returncode) == (True, 5)


def test_no_stream_at_all() -> None:
    done = started('"$0" "$@" <&- >&- 2>&-', ["show"])
    assert done.returncode == 5
    done = started('"$0" "$@" >/dev/full 2>/dev/full', ["show"])
    assert done.returncode == 4


LEGACY = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("variables", [LEGACY, {"PYTHONIOENCODING": "latin-1"}])
def test_what_the_encoding_of_stdout_lacks_is_an_escape(variables: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "show"],
        capture_output=True, check=False, env={**os.environ, "LC_ALL": "C", **variables},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout in (b"caf\\xe9 \\u65e5\\u672c\n", b"caf\xe9 \\u65e5\\u672c\n")


def test_a_name_that_the_locale_cannot_hold_is_one_line(tmp_path: os.PathLike[str]) -> None:
    done = started(f'cd {tmp_path} && "$0" "$@"', ["write"], **LEGACY)
    assert done.returncode == 5
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == "sample: hint: choose a locale that can: LC_ALL=C.UTF-8"
    assert started(f'cd {tmp_path} && "$0" "$@"', ["write"], LC_ALL="C.UTF-8").returncode == 0
