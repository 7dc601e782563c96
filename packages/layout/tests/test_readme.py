"""The README's examples run as they stand, and print what it says they print."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

_BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n((?:    [^\n]*\n)+))?", re.DOTALL | re.MULTILINE)


def _python(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_examples(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    assert request.config.inipath is not None
    text = (request.config.inipath.parent / "packages" / "layout" / "README.md").read_text(encoding="utf-8")
    (declaration, _), *examples = _BLOCK.findall(text)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "layout.py").write_text(declaration)
    assert _python(tmp_path, "-m", "cloudboot_layout", "demo.layout") == "records.py: written\n"
    assert _python(tmp_path, "-m", "cloudboot_layout", "demo.layout", "--check") == "records.py: up to date\n"
    assert len(examples) == 2
    for source, printed in examples:
        assert _python(tmp_path, "-c", source) == textwrap.dedent(printed)
