"""The examples of the README run, and print what it says."""

from __future__ import annotations

from pathlib import Path

from cloudboot_base.testing import run_examples

README = Path(__file__).parents[1] / "README.md"


def test_examples(tmp_path: Path) -> None:
    library, command = README.read_text(encoding="utf-8").split("## Command\n")
    assert run_examples(library, tmp_path, warnings="ignore") == 2  # PyFilesystem2 imports pkg_resources
    assert run_examples(command, tmp_path) == 2
