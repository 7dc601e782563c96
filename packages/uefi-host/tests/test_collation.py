"""Patterns of EFI_UNICODE_COLLATION_PROTOCOL2, with fnmatch as the judge; test_conformance.py asks OVMF as well."""

from __future__ import annotations

import fnmatch
import re

from hypothesis import given
from hypothesis import strategies as st

from cloudboot_uefi_host.protocols.collation import matches


def units(text: str) -> list[int]:
    return [ord(character) for character in text]


@given(st.text("abAB.1", max_size=12), st.text("abAB.1*?", max_size=8))
def test_stars_and_question_marks_mean_what_they_mean_to_fnmatch(string: str, pattern: str) -> None:
    expected = re.fullmatch(fnmatch.translate(pattern.upper()), string.upper()) is not None
    assert matches(units(string), units(pattern)) == expected


def test_a_pattern_of_many_stars_is_tried_once_for_each_character() -> None:
    # A search that goes back to every star would need some 10**20 steps.
    assert not matches(units("a" * 200), units("*a" * 30 + "*b"))
    assert matches(units("a" * 200), units("*a" * 30 + "*"))
