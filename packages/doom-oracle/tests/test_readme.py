"""The README's examples run, and print what it says."""

from __future__ import annotations

from pathlib import Path

from cloudboot_base.testing import run_examples


def test_examples(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert run_examples(readme, tmp_path) == 2
