"""The library examples of the repository's README run as they stand, and print what the README says they print."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudboot_base.testing import run_examples


def test_examples(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    assert request.config.inipath is not None
    readme = (request.config.inipath.parent / "README.md").read_text(encoding="utf-8")
    libraries = readme[
        readme.index("## As libraries") : readme.index("```console", readme.index("## As libraries"))
    ]  # in one folder: the second uses what the first has made
    assert run_examples(libraries, tmp_path) == 2
