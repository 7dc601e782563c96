from __future__ import annotations

from pathlib import Path

import pytest

from cloudboot_base.testing import run
from cloudboot_ufs2.testing import sample_tree, write_tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The sample tree as a folder of the host."""
    root = tmp_path / "tree"
    write_tree(sample_tree(), root)
    return root


@pytest.fixture
def archive(tree: Path, tmp_path: Path) -> Path:
    """The sample tree as a plain pax archive, with times in nanoseconds, which Python's tarfile would round."""
    path = tmp_path / "tree.tar"
    run("tar", "--format=pax", "-cf", path, "-C", tree, ".")
    return path
