"""The help of every program of this project: whole sentences, defaults, and examples that are command lines."""

from __future__ import annotations

import importlib
import subprocess
from typing import TYPE_CHECKING

import pytest

from cloudboot_base import shells
from cloudboot_base.parser import SHELLS
from cloudboot_base.testing import help_defects, judge
from cloudboot_probes.cli import completion

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cloudboot_base.program import Program

PROGRAMS = {
    "cloudboot": "cloudboot_probes.cli.commands:whole_program",
    "cloudboot-bcd": "cloudboot_ntfs.bcd.__main__:program",
    "cloudboot-doom-oracle": "cloudboot_doom_oracle.commands.main:program",
    "cloudboot-fat": "cloudboot_fat.commands:program",
    "cloudboot-gpt": "cloudboot_gpt.commands:program",
    "cloudboot-ntfs": "cloudboot_ntfs.commands.main:program",
    "cloudboot-oci-stream": "cloudboot_oci_stream.commands:program",
    "cloudboot-qemu": "cloudboot_qemu.commands:program",
    "cloudboot-uefi-abi": "cloudboot_uefi_abi.commands:program",
    "cloudboot-ufs2": "cloudboot_ufs2.commands:program",
    "cloudboot-virtio": "cloudboot_virtio.commands.main:program",
}


def program(name: str) -> Program:
    module, _, function = PROGRAMS[name].partition(":")
    made: Callable[[], Program] = getattr(importlib.import_module(module), function)
    return made()


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_help_of_a_program_is_complete(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for file in ("disk.img", "policy.toml", "release.pem", "vmlinuz", "initrd.img"):  # what examples read
        (tmp_path / file).write_bytes(b"")
    made = program(name)
    assert made.name == name
    assert made.examples
    assert help_defects(made) == []


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_manual_page_has_no_error(name: str) -> None:
    mandoc = judge("mandoc", "mandoc")
    page = shells.man_page(program(name))
    done = subprocess.run([mandoc, "-T", "lint", "-W", "error"], input=page.encode(), capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"")


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("shell", SHELLS)
def test_the_completion_is_a_script_of_the_shell(name: str, shell: str) -> None:
    made = completion.script(shell) if name == "cloudboot" else shells.completion(program(name), shell)
    subprocess.run([judge(shell, shell), "-n"], input=made.encode(), check=True)
