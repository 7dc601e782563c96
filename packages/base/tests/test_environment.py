"""Options from environment variables: which words they become, which win, and what a wrong one says."""

from __future__ import annotations

import argparse

import pytest

from cloudboot_base import UsageError
from cloudboot_base.command import count_argument, seconds_argument, size_argument
from cloudboot_base.parser import CommandParser


def parser() -> CommandParser:
    made = CommandParser("cloudboot-sample", "list", "List a directory.", lambda _: 0)
    made.add_argument("image", metavar="IMAGE", help="The image.")
    made.add_argument("-o", "--offset", type=size_argument, default=0, help="Where it starts.")
    made.add_argument("--file-kind", choices=("plain", "packed"), help="What it is.")
    made.add_argument("--label", action="append", default=[], help="What it is called.")
    made.add_argument("-x", help="An option without a long name has no variable.")
    return made


def read(environment: dict[str, str], *words: str) -> argparse.Namespace:
    made = parser()
    return made.read([*made.from_environment("SAMPLE_", environment, words), *words])


def test_each_kind_of_option() -> None:
    found = read(
        {
            "SAMPLE_OFFSET": "4K",
            "SAMPLE_FILE_KIND": "packed",
            "SAMPLE_LABEL": "a 'b c'",
            "SAMPLE_JSON": "yes",
            "SAMPLE_VERBOSE": "0",
            "SAMPLE_X": "never looked at",
            "OTHER_OFFSET": "7",
        },
        "a.img",
    )
    assert (found.offset, found.file_kind, found.label) == (4096, "packed", ["a", "b c"])
    assert (found.json, found.verbose, found.x, found.image) == (True, False, None, "a.img")


def test_an_empty_variable_sets_nothing() -> None:
    assert read({"SAMPLE_OFFSET": "", "SAMPLE_JSON": ""}, "a.img").offset == 0


@pytest.mark.parametrize("words", [("--offset", "7"), ("--offset=7",), ("-o", "7")])
def test_the_command_line_wins(words: tuple[str, ...]) -> None:
    assert read({"SAMPLE_OFFSET": "not even a size"}, *words, "a.img").offset == 7


def test_a_value_that_looks_like_an_option_stays_a_value() -> None:
    assert read({"SAMPLE_LABEL": "--json"}, "a.img").label == ["--json"]


def test_what_follows_two_dashes_is_no_option() -> None:
    found = read({"SAMPLE_OFFSET": "3"}, "--", "--offset")
    assert (found.offset, found.image) == (3, "--offset")


def test_help_is_printed_whatever_the_variables_say() -> None:
    assert parser().from_environment("SAMPLE_", {"SAMPLE_OFFSET": "nonsense"}, ["--help"]) == []
    assert parser().from_environment("SAMPLE_", {"SAMPLE_OFFSET": "nonsense"}, ["-h"]) == []


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("SAMPLE_OFFSET", "x", "SAMPLE_OFFSET=x: 'x' is not a size; write 4096, 64K, 16M or 2G"),
        ("SAMPLE_FILE_KIND", "odd", "SAMPLE_FILE_KIND=odd: not one of plain, packed"),
        ("SAMPLE_JSON", "maybe", "SAMPLE_JSON=maybe: not a switch"),
        ("SAMPLE_LABEL", "'open", "SAMPLE_LABEL='open: No closing quotation"),
    ],
)
def test_a_wrong_value_names_its_variable(variable: str, value: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parser().from_environment("SAMPLE_", {variable: value}, ["a.img"])
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (seconds_argument, "0.5", 0.5),
        (seconds_argument, "1e3", 1000.0),
        (count_argument, "0", 0),
        (count_argument, "9223372036854775807", (1 << 63) - 1),
    ],
)
def test_numbers(kind: type, text: str, value: float) -> None:
    assert kind(text) == value


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1e99", "٣", "", "1s"])
def test_what_is_no_time_limit(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a number of seconds above 0"):
        seconds_argument(text)


@pytest.mark.parametrize("text", ["-1", "9223372036854775808", "1.0", "٣", "", "-", "0x10", "1_000"])
def test_what_is_no_count(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        count_argument(text)


def test_a_folder_is_no_image(tmp_path_factory: pytest.TempPathFactory) -> None:
    from cloudboot_base.command import new_image_argument

    folder = tmp_path_factory.mktemp("folder")
    assert new_image_argument(f"{folder}/a.img") == f"{folder}/a.img"
    with pytest.raises(argparse.ArgumentTypeError, match="is a folder, and IMAGE a file; IMAGE comes before SOURCE"):
        new_image_argument(str(folder))


@pytest.mark.parametrize(("text", "value"), [("", None), ("0", 0), ("1700000000", 1_700_000_000)])
def test_source_date_epoch(text: str, value: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    from cloudboot_base.command import source_date_epoch

    monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    assert source_date_epoch() == value


@pytest.mark.parametrize("text", ["yesterday", "-1", "1.5", "12345678901234567890", "٣"])
def test_a_wrong_source_date_epoch(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from cloudboot_base.command import source_date_epoch

    monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    with pytest.raises(UsageError, match="not seconds since 1970"):
        source_date_epoch()
