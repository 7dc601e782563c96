"""The examples of the README run, and print what it says; the page of offsets is the generated one."""

from __future__ import annotations

from pathlib import Path

from cloudboot_base.testing import run_examples

PACKAGE = Path(__file__).parents[1]


def test_examples(tmp_path: Path) -> None:
    assert run_examples((PACKAGE / "README.md").read_text(encoding="utf-8"), tmp_path) == 4
