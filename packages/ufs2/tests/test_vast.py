"""An empty volume of terabytes is made, read and checked in the memory that its groups take, not its fragments."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_LIMIT = 300 << 20
_CHECK = """
import re, sys
from cloudboot_ufs2 import UFS2, check
with UFS2.open(sys.argv[1]) as volume:
    print(volume.geometry.group_count)
assert check(sys.argv[1]) == [], check(sys.argv[1])[:3]
# Not ru_maxrss, which remembers what this process was before it was another program.
print(int(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1]) * 1024)
"""


@pytest.mark.slow
def test_an_empty_volume_of_terabytes_is_checked_in_little_memory(tmp_path: Path) -> None:
    from cloudboot_ufs2 import Options
    from cloudboot_ufs2 import format as format_volume

    image = tmp_path / "vast.ufs"
    format_volume(image, Options(density=1 << 22), size=2 << 40)
    command = [sys.executable, "-c", _CHECK, str(image)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    groups, memory = map(int, done.stdout.split())
    assert groups > 2000
    assert memory < _LIMIT
