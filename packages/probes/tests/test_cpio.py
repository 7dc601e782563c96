"""Archives of initial RAM file systems, judged by GNU cpio."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

from cloudboot_base.testing import judge
from cloudboot_probes.cpio import initramfs

FILES = {
    "init": (0o755, b"#!/bin/sh\n"),
    "bin/busybox": (0o755, bytes(range(256)) * 3),
    "modules/deep/er/ufs.ko": (0o644, b""),
    "modules/order": (0o644, b"ufs\n"),
}


def test_cpio_unpacks_what_went_in(tmp_path: Path) -> None:
    cpio = judge("cpio", "cpio")
    done = subprocess.run(
        [cpio, "--extract", "--quiet", "--make-directories", "--no-absolute-filenames"],
        input=initramfs(FILES), cwd=tmp_path, capture_output=True, check=True,
    )  # fmt: skip
    assert done.stderr == b""
    found = {
        str(path.relative_to(tmp_path)): (stat.S_IMODE(path.stat().st_mode), path.read_bytes())
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert found == FILES
    listed = subprocess.run([cpio, "-tv", "--numeric-uid-gid"], input=initramfs(FILES), capture_output=True, check=True)
    lines = listed.stdout.decode().splitlines()
    assert [line.split()[-1] for line in lines] == [
        "bin", "bin/busybox", "init", "modules", "modules/deep", "modules/deep/er", "modules/deep/er/ufs.ko",
        "modules/order",
    ]  # fmt: skip
    assert all(line.split()[2:4] == ["0", "0"] and "1970" in line for line in lines)


def test_the_same_files_make_the_same_bytes() -> None:
    assert initramfs(FILES) == initramfs(dict(reversed(FILES.items())))
    assert len(initramfs({})) % 512 == 0
