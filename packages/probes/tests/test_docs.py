"""The help texts quoted in the documentation are the real ones; ``python tests/test_docs.py`` renews them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

_QUOTED = re.compile(r"```text\n\$ cloudboot((?: [\w-]+)*) --help\n.*?```", re.DOTALL)
_COMMANDS = [
    "", " copy", " demo", " doom", " doom guest", " doom probe", " fleet", " fleet cancel", " fleet plan",
    " fleet run", " fleet scheduler", " fleet status", " fleet worker", " image", " image boot-entries", " image build",
    " image inspect", " inspect", " login", " logout", " probe", " pull", " push", " sign", " verify",
    " virtio", " virtio bench", " virtio devices", " virtio record",
]  # fmt: skip


def help_text(command: str) -> str:
    """What the installed command prints, without the blanks that fill its lines."""
    environment = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    environment |= {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", "PYTHONUTF8": "1"}
    words = [str(Path(sys.executable).with_name("cloudboot")), *command.split(), "--help"]
    done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, encoding="utf-8", check=True, timeout=60)
    return "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines()).strip("\n")


def renewed(document: str) -> str:
    """``document`` with every quoted help text replaced by the real one."""
    return _QUOTED.sub(lambda quoted: f"```text\n$ cloudboot{quoted[1]} --help\n{help_text(quoted[1])}\n```", document)


def test_quoted_help_is_the_real_one(request: pytest.FixtureRequest) -> None:
    assert request.config.inipath is not None
    document = (request.config.inipath.parent / "docs" / "commands.md").read_text(encoding="utf-8")
    assert [quoted[1] for quoted in _QUOTED.finditer(document)] == _COMMANDS
    assert renewed(document) == document


def test_every_gate_is_explained_under_its_own_claim(request: pytest.FixtureRequest) -> None:
    from cloudboot_probes.probe import stages

    assert request.config.inipath is not None
    document = (request.config.inipath.parent / "docs" / "gates.md").read_text(encoding="utf-8")
    claims = re.findall(r"^### (\S+)\n\n> (.*)$", document, re.MULTILINE)
    assert claims == [(stage.name, stage.claim) for stage in stages("qemu")]


def test_the_packages_that_are_installed_without_make_are_all_there(request: pytest.FixtureRequest) -> None:
    """pip would look for one that is left out on the index, where it may be a stranger's."""
    root = request.config.inipath
    assert root is not None
    document = (root.parent / "docs" / "getting-started.md").read_text(encoding="utf-8")
    command = re.search(r"^\$ \(cd packages && pip install (.*)\)$", document, re.MULTILINE)
    assert command is not None
    needed, pending = set(), {"probes"}
    while pending:
        name = pending.pop()
        needed.add(name)
        project = tomllib.loads((root.parent / "packages" / name / "pyproject.toml").read_text(encoding="utf-8"))
        found = re.findall(r"\bcloudboot-([a-z0-9-]+)", " ".join(project["project"]["dependencies"]))
        pending |= set(found) - needed
    assert set(re.findall(r"\./([a-z0-9-]+)", command[1])) == needed


def test_every_command_is_quoted() -> None:
    from cloudboot_probes.cli.commands import names

    assert names() == _COMMANDS


if __name__ == "__main__":
    page = Path(__file__).parents[3] / "docs" / "commands.md"
    page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")
