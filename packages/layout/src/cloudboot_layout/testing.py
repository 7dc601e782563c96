"""What the tests of every format package need: judges, and damaged copies of good images.

A *judge* is a program nobody here wrote. Where one is missing a test is skipped and says which package to
install; where ``CI`` is set the same absence fails, because there a skip would hide a missing proof.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def judge(program: str, package: str) -> str:
    """The path of ``program``, which the Debian package ``package`` brings; skips (or fails in CI) without it."""
    import pytest

    path = shutil.which(program, path=_SEARCH_PATH)
    if path is None:
        message = f"{program} is not installed (Debian package {package})"
        refuse = pytest.fail if os.environ.get("CI") else pytest.skip
        refuse(message)
    return path


def run(
    *command: str | os.PathLike[str], stdin: bytes | None = None, timeout: float = 300, codes: Sequence[int] = (0,)
) -> str:
    """Run a judge and give what it printed, stdout and stderr together; another exit code than ``codes`` fails."""
    done = subprocess.run(
        command,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8", "PATH": _SEARCH_PATH},
    )
    output = done.stdout.decode("utf-8", "replace")
    if done.returncode not in codes:
        words = " ".join(os.fspath(word) for word in command)
        raise AssertionError(f"{words} exited with {done.returncode}:\n{output}")
    return output


def truncations(data: bytes, step: int) -> Iterator[bytes]:
    """``data`` cut short at every multiple of ``step``."""
    for size in range(0, len(data), step):
        yield data[:size]


def flipped(data: bytes, offset: int, mask: int = 0xFF) -> bytes:
    """``data`` with the bits of ``mask`` inverted in the byte at ``offset``."""
    changed = bytearray(data)
    changed[offset] ^= mask
    return bytes(changed)
