from __future__ import annotations

import os
from pathlib import Path

import pytest

from cloudboot_layout.testing import run
from cloudboot_ufs2 import Directory, File, HardLink, Symlink
from cloudboot_ufs2.testing import sample_tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The sample tree as a folder of the host."""
    root = tmp_path / "tree"
    root.mkdir()
    times: list[tuple[Path, int]] = []
    for name, member in sample_tree().items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        match member:
            case bytes():
                path.write_bytes(member)
            case File():
                assert isinstance(member.data, bytes)
                path.write_bytes(member.data)
                path.chmod(member.mode)
                times.append((path, member.mtime_ns))
            case Directory():
                path.mkdir(exist_ok=True)
                path.chmod(member.mode)
            case Symlink():
                path.symlink_to(os.fsdecode(member.target))
            case HardLink():
                path.hardlink_to(root / os.fsdecode(member.path))
    for path, mtime_ns in times:
        os.utime(path, ns=(mtime_ns, mtime_ns))
    return root


@pytest.fixture
def archive(tree: Path, tmp_path: Path) -> Path:
    """The sample tree as a plain pax archive, with times in nanoseconds, which Python's tarfile would round."""
    path = tmp_path / "tree.tar"
    run("tar", "--format=pax", "-cf", path, "-C", tree, ".")
    return path
