"""GUIDs and sizes as text."""

from __future__ import annotations

from uuid import NAMESPACE_DNS, UUID

import pytest

from cloudboot_base import UsageError
from cloudboot_base.command import parse_size
from cloudboot_base.guid import NIL, parse_guid, uuid8
from cloudboot_base.testing import judge, run

ESP = UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")


def test_every_form_that_is_written() -> None:
    text = str(ESP)
    for form in (text, text.upper(), f"{{{text}}}", f"  {text}\n"):
        assert parse_guid(form) == ESP
    assert parse_guid(str(NIL)) == NIL


@pytest.mark.parametrize(
    "text",
    ["", "c12a7328", str(ESP)[1:], str(ESP) + "0", "{" + str(ESP), str(ESP) + "}", ESP.hex, "\u0661" + str(ESP)[1:]],
)
def test_what_is_not_a_guid(text: str) -> None:
    with pytest.raises(UsageError, match="is not a GUID"):
        parse_guid(text)


def test_the_test_vector_of_version_8() -> None:
    # RFC 9562, appendix B.2.
    assert uuid8(NAMESPACE_DNS, b"www.example.com") == UUID("5c146b14-3c52-8afd-938a-375d0df1fbf6")


@pytest.mark.parametrize("text", ["0", "4096", "64K", "1M", "3G", "2T", "16Ki", "5Mi"])
def test_sizes_are_those_of_numfmt(text: str) -> None:
    form = "iec-i" if text.endswith("i") else "iec"
    assert parse_size(text) == int(run(judge("numfmt", "coreutils"), f"--from={form}", text))
    assert parse_size(text.lower()) == parse_size(text)


@pytest.mark.parametrize("text", ["", "K", "-1", "1.5M", "1X", "\u0663M", "0x10"])
def test_what_is_not_a_size(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)
