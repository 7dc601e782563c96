"""The examples of the README run, and print what it says."""

from __future__ import annotations

from pathlib import Path

from cloudboot_base.testing import run_examples


def test_examples(tmp_path: Path) -> None:
    assert run_examples((Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8"), tmp_path) == 5
