"""The README's examples are run, and what they print is what it says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text()


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    disk = bytearray(8 << 20)
    disk[510:512] = b"\x55\xaa"
    (tmp_path / "disk.img").write_bytes(disk)
    return tmp_path


def shape(text: str) -> str:
    """``text`` without what differs from run to run: process, descriptor, seconds."""
    return re.sub(r"/proc/\d+/fd/\d+|\d+\.\d\d s\b", "...", text)


def test_the_library_example(disk: Path) -> None:
    found = re.search(r"```python\n(.*?)```\n\n    (.*?)\n", README, re.DOTALL)
    assert found is not None
    done = subprocess.run([sys.executable, "-c", found[1]], cwd=disk, capture_output=True, text=True, check=True)
    assert shape(done.stdout) == shape(found[2] + "\n")


def test_the_command_example(disk: Path) -> None:
    found = re.search(r"```console\n(.*?)```", README, re.DOTALL)
    assert found is not None
    shown = ""
    for line in found[1].splitlines():
        if not line.startswith("$ python "):
            continue
        command = [sys.executable, *shlex.split(line)[2:]]
        done = subprocess.run(
            command, cwd=disk, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        shown += f"{line}\n{done.stdout}"
    assert shape(shown) == shape(found[1])
