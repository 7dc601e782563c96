"""A program with commands: where options may stand, what wrong usage says, and what the shells make of it."""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path

import pytest

from cloudboot_base import FormatError, UsageError
from cloudboot_base.command import BAD_INPUT, CHECK_FAILED, INTERRUPTED, NO_SPACE, OK, SYSTEM, USAGE, print_findings
from cloudboot_base.errors import Finding
from cloudboot_base.parser import CommandParser
from cloudboot_base.program import Program
from cloudboot_base.testing import help_defects, judge, run

Capture = pytest.CaptureFixture[str]
SEEN: list[argparse.Namespace] = []


def _list(options: argparse.Namespace) -> int:
    SEEN.append(options)
    return OK


def _fail(options: argparse.Namespace) -> int:
    raise FormatError("the magic is wrong", structure="fs", offset=7, hint="look", path=options.image)


def made() -> Program:
    program = Program(
        "cloudboot-sample", "cloudboot-base", "Show what a program does.",
        exit_codes={20: "It is 20."}, examples={"list a.img --offset 7": "List what begins at byte 7."},
    )  # fmt: skip
    listing = program.command("list", _list, "List a directory.")
    listing.add_argument("image", metavar="IMAGE", help="The image.")
    listing.add_argument("path", nargs="?", default="/", metavar="PATH", help="The directory.")
    listing.add_argument("--offset", type=int, default=0, help="Where it starts, 100 %% in bytes.")
    listing.add_argument("--kind", choices=("plain", "packed"), help="What it is; it isn't a must.")
    failing = program.command("fail", _fail, "Fail.")
    failing.add_argument("image", metavar="IMAGE", help="The image.")
    return program


def test_an_interrupt_while_the_words_are_read_is_one_line(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """argparse's intermixed parsing cleans up in a ``finally`` that raises when it was interrupted early."""
    program = made()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(program.commands["list"], "format_usage", interrupt)
    assert program.run(["list", "a.img"]) == INTERRUPTED
    assert capsys.readouterr().err == "cloudboot-sample: interrupted\n"


@pytest.mark.parametrize(
    "words",
    [
        ["list", "a.img", "/dir", "--offset", "7", "--json"],
        ["list", "--offset", "7", "--json", "a.img", "/dir"],
        ["list", "a.img", "--offset", "7", "/dir", "--json"],
        ["--json", "list", "a.img", "--offset=7", "/dir"],
        ["list", "--offset", "7", "--json", "--", "a.img", "/dir"],
        ["list", "a.img", "--json", "--offset", "7", "--", "/dir"],
    ],
)
def test_options_stand_anywhere(words: list[str]) -> None:
    SEEN.clear()
    assert made().run(words) == OK
    (options,) = SEEN
    assert (options.image, options.path, options.offset, options.json) == ("a.img", "/dir", 7, True)


def test_what_follows_two_dashes_is_no_option() -> None:
    SEEN.clear()
    assert made().run(["list", "--", "-x.img", "--offset"]) == OK
    assert (SEEN[0].image, SEEN[0].path, SEEN[0].offset) == ("-x.img", "--offset", 0)


def declared(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("image", type=Path)
    parser.add_argument("kind", choices=["raw", "qcow2"])
    parser.add_argument("numbers", type=int, nargs="*")
    return parser


@pytest.mark.parametrize(
    "words",
    [
        ["--", "-x.img", "raw"],
        ["a.img", "--", "raw", "-1", "2"],
        ["--", "a.img", "qcow2", "3"],
        ["--", "--", "raw"],
        ["a.img", "raw", "--"],
        ["--", "a.img", "other"],
        ["--", "a.img", "raw", "x"],
        ["--", "a.img"],
    ],
)
def test_what_follows_two_dashes_has_its_type(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """As argparse has it by itself."""
    theirs = declared(argparse.ArgumentParser("sample"))
    ours = CommandParser("sample", "show", "Show.", lambda _: OK)
    declared(ours)
    try:
        wanted = vars(theirs.parse_args(words))
    except SystemExit:
        with pytest.raises(UsageError) as caught:
            ours.read(words)
        assert str(caught.value) in capsys.readouterr().err
        return
    found = vars(ours.read(words))
    assert {name: found[name] for name in wanted} == wanted


def test_a_word_too_many_behind_two_dashes_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert made().run(["list", "--", "a", "b", "-c"]) == USAGE
    assert "unknown argument -c" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ([], "the commands are list, fail"),
        (["lsit"], "did you mean list?"),
        (["zzz"], "the commands are list, fail"),
        (["list"], "cloudboot-sample list --help describes the command"),
        (["list", "a", "b", "c"], "cloudboot-sample list --help lists the options"),
        (["list", "a", "--ofset", "3"], "did you mean --offset?"),
        (["list", "a", "--off", "3"], "did you mean --offset?"),
        (["list", "a", "--offset", "x"], "cloudboot-sample list --help describes the command"),
        (["list", "a", "--kind", "x"], "cloudboot-sample list --help describes the command"),
        (["--frob"], "cloudboot-sample --help lists the commands and options"),
        (["--completion", "tcsh"], "the shells are bash, fish, zsh"),
    ],
)
def test_wrong_usage_says_what_would_be_right(words: list[str], hint: str, capsys: Capture) -> None:
    assert made().run(words) == USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("cloudboot-sample: error: ")
    assert err.splitlines()[-1] == f"cloudboot-sample: hint: {hint}"
    assert made().run([*words, "--json"] if words else ["--json"]) == USAGE
    document = json.loads(capsys.readouterr().out)
    assert (document["error"], document["exit_code"]) == ("UsageError", USAGE)


def test_an_error_is_a_document_with_json(capsys: Capture) -> None:
    assert made().run(["fail", "x.img", "--json"]) == BAD_INPUT
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "error": "FormatError", "message": "the magic is wrong", "path": "x.img", "structure": "fs", "offset": 7,
        "hint": "look", "exit_code": BAD_INPUT,
    }  # fmt: skip
    assert err.splitlines() == [
        "cloudboot-sample: error: x.img: fs at byte 7: the magic is wrong",
        "cloudboot-sample: hint: look",
    ]
    assert made().run(["fail", "x.img"]) == BAD_INPUT
    assert capsys.readouterr().out == ""


def test_errors_of_the_system_are_documents_too(capsys: Capture) -> None:
    def missing(_: argparse.Namespace) -> int:
        raise FileNotFoundError(2, "No such file or directory", "x.img")

    program = made()
    program.command("miss", missing, "Miss.")
    assert program.run(["miss", "--json"]) == SYSTEM
    document = json.loads(capsys.readouterr().out)
    assert (document["path"], document["exit_code"]) == ("x.img", SYSTEM)


def test_help_and_version(capsys: Capture) -> None:
    assert made().run(["--help"]) == OK
    text = capsys.readouterr().out
    assert "  list  List a directory." in text
    assert "   20  It is 20." in text
    assert "    3  The input is damaged, or is not of this format." in text
    assert made().run(["list", "--help"]) == OK
    text = capsys.readouterr().out
    assert text.startswith("usage: cloudboot-sample list ")
    assert "100 % in bytes." in text
    assert made().run(["--version"]) == OK
    assert capsys.readouterr().out.split()[0] == "cloudboot-sample"


def test_findings(capsys: Capture) -> None:
    assert print_findings("a.img", [], as_json=False) == OK
    assert capsys.readouterr().out == "a.img: no problems found\n"
    assert print_findings("a.img", [Finding("odd", "it is odd")], as_json=False) == CHECK_FAILED
    assert capsys.readouterr().out == "odd: it is odd\na.img: 1 problem found\n"
    assert print_findings("a.img", [Finding("odd", "it is odd")], as_json=True) == CHECK_FAILED
    assert json.loads(capsys.readouterr().out) == [{"kind": "odd", "message": "it is odd"}]


def test_exit_codes_of_errors_are_those_of_the_table() -> None:
    assert UsageError.exit_code == USAGE
    assert set(made().exit_codes) == {OK, CHECK_FAILED, USAGE, BAD_INPUT, NO_SPACE, SYSTEM, 20, 130}


def completed(script: Path, words: list[str]) -> list[str]:
    """What bash offers for the last of ``words``."""
    quoted = " ".join(f"'{word}'" for word in words)
    text = run(
        "bash", "--norc", "-c",
        f"source '{script}'; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _cloudboot_sample; "
        'printf "%s\\n" "${COMPREPLY[@]}"',
    )  # fmt: skip
    return text.split()


def test_bash_completes(tmp_path: Path, capsys: Capture) -> None:
    assert made().run(["--completion", "bash"]) == OK
    script = tmp_path / "completion"
    script.write_text(capsys.readouterr().out)
    (tmp_path / "disk.img").touch()
    name = "cloudboot-sample"
    assert completed(script, [name, ""])[:2] == ["list", "fail"]
    assert completed(script, [name, "--v"]) == ["--version", "--verbose"]
    assert completed(script, [name, "l"]) == ["list"]
    assert completed(script, [name, "--json", "f"]) == ["fail"]
    assert completed(script, [name, "list", "--of"]) == ["--offset"]
    assert completed(script, [name, "list", "--kind", "p"]) == ["plain", "packed"]
    assert completed(script, [name, "--completion", "f"]) == ["fish"]
    assert completed(script, [name, "list", f"{tmp_path}/di"]) == [f"{tmp_path}/disk.img"]


def test_zsh_and_fish_accept_their_scripts(tmp_path: Path, capsys: Capture) -> None:
    zsh, fish = judge("zsh", "zsh"), judge("fish", "fish")
    for shell in ("zsh", "fish"):
        assert made().run(["--completion", shell]) == OK
        (tmp_path / shell).write_text(capsys.readouterr().out)
    said = run(
        zsh, "-f", "-c", f"autoload -U compinit; compinit -u -d {tmp_path}/dump; source {tmp_path}/zsh; echo done"
    )
    assert said == "done\n"
    said = run(fish, "--no-config", "-c", f"source {tmp_path}/fish; complete -C 'cloudboot-sample list --ki'")
    assert said.startswith("--kind\t")
    assert "plain" in run(
        fish, "--no-config", "-c", f"source {tmp_path}/fish; complete -C 'cloudboot-sample list --kind p'"
    )


def test_the_manual_page_is_one(tmp_path: Path, capsys: Capture) -> None:
    mandoc = judge("mandoc", "mandoc")
    assert made().run(["--man-page"]) == OK
    page = tmp_path / "cloudboot-sample.1"
    page.write_text(capsys.readouterr().out)
    assert run(mandoc, "-T", "lint", "-W", "error", page) == ""
    text = subprocess.run([mandoc, "-T", "utf8", page], capture_output=True, text=True, check=True).stdout
    plain = "".join(text[i] for i in range(len(text)) if "\b" not in text[i : i + 2])
    assert "list IMAGE [PATH]" in plain
    assert "it isn\N{RIGHT SINGLE QUOTATION MARK}t a must" in plain or "it isn't a must" in plain


def test_examples_are_in_the_help_and_in_the_manual_page(capsys: Capture) -> None:
    assert made().run(["--help"]) == OK
    text = capsys.readouterr().out
    assert "\nexamples:\n  cloudboot-sample list a.img --offset 7\n      List what begins at byte 7.\n" in text
    assert made().run(["--man-page"]) == OK
    assert ".SH EXAMPLES\n.TP\n\\fBcloudboot\\-sample list a.img \\-\\-offset 7\\fR\n" in capsys.readouterr().out


def test_incomplete_help_is_found() -> None:
    program = Program(
        "p",
        "cloudboot-base",
        "A program.",
        examples={"go there": "Fine.", "go --up there": "Wrong.", "come": "Unknown."},
    )
    go = program.command("go", _list, "Go.")
    go.add_argument("place", metavar="PLACE")
    go.add_argument("--speed", type=int, default=7, help="Metres in a second.")
    go.add_argument("--way", help="a way")
    assert help_defects(program) == [
        "p go PLACE: no help",
        "p go --speed: the help does not name the default 7",
        "p go --way: the help is not a sentence: a way",
        "p go --up there: unknown option --up",
        "p come: ''",
    ]
