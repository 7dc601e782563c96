"""The generated records are the declared ones."""

from __future__ import annotations

from pathlib import Path

from cloudboot_records.generate import generate
from cloudboot_uefi_abi.layout import records, structs


def test_the_checked_in_records_are_the_generated_ones() -> None:
    assert Path(records.__file__).read_text(encoding="utf-8") == generate(structs)
