"""The examples of the README run, and print what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture
def readme() -> str:
    return README.read_text(encoding="utf-8")


def test_the_library_example(readme: str, tmp_path: Path) -> None:
    found = re.search(r"```python\n(.*?)```\n\n((?:    [^\n]*\n)+)", readme, re.DOTALL)
    assert found is not None
    done = subprocess.run([sys.executable, "-c", found[1]], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == re.sub("^    ", "", found[2], flags=re.MULTILINE)


def test_the_command_example(readme: str, tmp_path: Path) -> None:
    found = re.search(r"```console\n(.*?)```", readme, re.DOTALL)
    assert found is not None
    (tmp_path / "esp.fat").write_bytes(b"x" + bytes((16 << 20) - 1))
    printed = ""
    for line in re.findall(r"^\$ (.*)$", found[1], re.MULTILINE):
        words = line.replace("python ", f'"{sys.executable}" ', 1) if line.startswith("python ") else line
        done = subprocess.run(words, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode in {0, 1}, done.stderr
        printed += f"$ {line}\n{done.stdout}"
    assert printed == found[1]
