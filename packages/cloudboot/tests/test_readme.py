"""The library examples of the repository's README run as they stand, and print what the README says they print."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

_BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)


def test_examples(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    assert request.config.inipath is not None
    readme = (request.config.inipath.parent / "README.md").read_text(encoding="utf-8")
    examples = _BLOCK.findall(readme)
    assert len(examples) == readme.count("```python") >= 2
    for source, printed in examples:  # in one folder: the second uses what the first has made
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", source],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (0, printed)
