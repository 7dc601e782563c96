"""The generated records are those of the declarations."""

from __future__ import annotations

from cloudboot_disk_image import structs
from cloudboot_records.__main__ import main


def test_the_records_are_current() -> None:
    assert main([structs.__name__, "--check"]) == 0
