"""Every command of the how-to pages runs and prints what the page says; ``python tests/test_howto.py`` renews them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from cloudboot_oci_stream.testing import docker_registry

PAGES = (
    "bsd", "edit-an-esp", "grow-a-disk", "log-in", "own-image", "read-a-foreign-image", "verify-with-cosign", "windows",
)  # fmt: skip
#: The registry of the pages; the test puts one of its own in its place.
HOST = "localhost:5000"
USERS = {"log-in": {"joe": "secret"}}
_BLOCK = re.compile(r"^```console\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)$", re.MULTILINE)


#: What follows from the version of a loader, or from the time of a file: GUIDs, digests, sizes.
_VARIES = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|\b[0-9a-f]{64}\b|\b\d{5,}\b|\d{4}-\d\d-\d\d[ T]\d\d:\d\d\S*"
)


def shape(text: str) -> str:
    """``text`` without what differs from one machine to another."""
    return _VARIES.sub("x", text)


def printed(command: str, folder: Path, host: str) -> str:
    """What a command prints in ``folder``, with this environment's programs first on the path."""
    command = command.replace(HOST, host)
    runtime = folder / ".runtime"
    runtime.mkdir(exist_ok=True)
    path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"])
    environment = {"PATH": path, "HOME": str(folder), "COLUMNS": "120", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
    environment |= {"SOURCE_DATE_EPOCH": "1700000000", "XDG_RUNTIME_DIR": str(runtime)}
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False,
    )  # fmt: skip
    output = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, f"{command}: {output}"
    return output.replace(host, HOST).replace(str(runtime), "/run/user/1000").replace(str(folder), "/home/joe")


def renewed(name: str, document: str, folder: Path) -> str:
    """The page ``document`` with what its commands print now."""
    if HOST not in document:
        return _renewed(document, folder, HOST)
    with docker_registry(users=USERS.get(name)) as server:
        return _renewed(document, folder, server.host)


def _renewed(document: str, folder: Path, host: str) -> str:

    def block(found: re.Match[str]) -> str:
        lines = [f"$ {each[1]}\n{printed(each[1], folder, host)}" for each in _COMMAND.finditer(found[1])]
        return f"```console\n{''.join(lines)}```\n"

    return _BLOCK.sub(block, document)


def pages(root: Path) -> dict[str, Path]:
    """Every page of the folder that has commands."""
    found = sorted((root / "docs" / "how-to").glob("*.md"))
    return {path.stem: path for path in found if _BLOCK.search(path.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_what_its_commands_print(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    assert request.config.inipath is not None
    document = pages(request.config.inipath.parent)[name].read_text(encoding="utf-8")
    assert shape(renewed(name, document, tmp_path)) == shape(document)


def test_every_page_with_commands_is_run(request: pytest.FixtureRequest) -> None:
    assert request.config.inipath is not None
    assert tuple(pages(request.config.inipath.parent)) == PAGES


if __name__ == "__main__":
    for page, place in pages(Path(__file__).parents[3]).items():
        scratch = Path(tempfile.mkdtemp())
        text = place.read_text(encoding="utf-8")
        current = renewed(page, text, scratch)
        if shape(current) != shape(text):
            place.write_text(current, encoding="utf-8")
        shutil.rmtree(scratch)
