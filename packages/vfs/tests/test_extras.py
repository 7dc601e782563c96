"""Without its extra an adapter cannot be imported, and the error names the extra."""

from __future__ import annotations

import subprocess
import sys

import pytest

WITHOUT = "import sys; sys.modules[{package!r}] = None; import cloudboot_vfs.{module}"


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [("pyfs", "fs", "fs"), ("pyfs", "fs.base", "fs"), ("fsspecfs", "fsspec.core", "fsspec")],
)
def test_the_extra_is_named(module: str, package: str, extra: str) -> None:
    script = WITHOUT.format(module=module, package=package)
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert f"pip install 'cloudboot-vfs[{extra}]'" in ran.stderr.splitlines()[-1]
