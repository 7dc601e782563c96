"""The README's examples are run, and what they print is what it says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cloudboot_oci_stream.testing.sigstore import new_key, private_pem

README = (Path(__file__).parent.parent / "README.md").read_text()


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    disk = bytearray(8 << 20)
    disk[510:512] = b"\x55\xaa"
    (tmp_path / "disk.img").write_bytes(disk)
    return tmp_path


def shape(text: str) -> str:
    """``text`` without what differs from run to run: process, descriptor, seconds, and what hangs on a fresh key."""
    text = re.sub(r"/proc/\d+/fd/\d+|\d+\.\d\d s\b", "...", text)
    return re.sub(r"(?m)^(signed    |(?<=--format cosign\n))sha256:[0-9a-f]{64}$", r"\1...", text)


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout


def test_the_library_examples(disk: Path) -> None:
    (disk / "release.pem").write_bytes(private_pem(new_key()))
    run(["openssl", "pkey", "-in", "release.pem", "-pubout", "-out", "release.pub"], disk)
    policy = re.search(r"```toml\n(.*?)```", README, re.DOTALL)
    assert policy is not None
    (disk / "policy.toml").write_text(policy[1])
    examples = re.findall(r"```python\n(.*?)```\n\n((?:    [^\n]*\n)+)", README, re.DOTALL)
    assert len(examples) == README.count("```python") == 2
    for source, printed in examples:
        shown = run([sys.executable, "-W", "error", "-c", source], disk)
        assert shape(shown) == shape("".join(line[4:] for line in printed.splitlines(keepends=True)))


def test_the_command_example(disk: Path) -> None:
    found = re.search(r"```console\n(.*?)```", README, re.DOTALL)
    assert found is not None
    shown = ""
    for line in found[1].splitlines():
        if line.startswith("$ "):
            program, *arguments = shlex.split(line)[1:]
            shown += f"{line}\n{run([sys.executable if program == 'python' else program, *arguments], disk)}"
    assert shape(shown) == shape(found[1])
