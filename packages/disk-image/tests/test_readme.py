"""The README's examples run as they stand, and print what it says they print."""

from __future__ import annotations

from pathlib import Path

from cloudboot_base.testing import run_examples


def test_examples(tmp_path: Path) -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert run_examples(text, tmp_path) == 2
