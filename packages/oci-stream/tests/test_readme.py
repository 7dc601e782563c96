"""The README's examples are run, and what they print is what it says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from cloudboot_base.testing import run_examples
from cloudboot_oci_stream.testing.sigstore import new_key, private_pem

LIBRARY, COMMAND = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8").split("## Command\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    disk = bytearray(8 << 20)
    disk[510:512] = b"\x55\xaa"
    (tmp_path / "disk.img").write_bytes(disk)
    return tmp_path


def shape(text: str) -> str:
    """``text`` without what differs from run to run: process, descriptor, seconds, and what hangs on a fresh key."""
    text = re.sub(r"/proc/\d+/fd/\d+|\d+\.\d\d s\b", "...", text)
    return re.sub(r"(?m)^(signed    |(?<=--format cosign\n))sha256:[0-9a-f]{64}$", r"\1...", text)


def test_the_library_examples(folder: Path) -> None:
    (folder / "release.pem").write_bytes(private_pem(new_key()))
    subprocess.run(["openssl", "pkey", "-in", "release.pem", "-pubout", "-out", "release.pub"], cwd=folder, check=True)
    policy = re.search(r"```toml\n(.*?)```", LIBRARY, re.DOTALL)
    assert policy is not None
    (folder / "policy.toml").write_text(policy[1])
    assert run_examples(LIBRARY, folder, shape=shape) == 2


def test_the_command_example(folder: Path) -> None:
    assert run_examples(COMMAND, folder, shape=shape) == 1
