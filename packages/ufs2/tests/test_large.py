"""Size: triple indirect blocks, a directory of 100,000 names, a volume of many groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudboot_base.testing import judge, run
from cloudboot_ufs2 import UFS2, Options, Symlink, build, check
from cloudboot_ufs2.builder.members import Member
from cloudboot_ufs2.testing import pattern


def test_triple_indirect_blocks(tmp_path: Path) -> None:
    grub = judge("grub-fstest", "grub-common")
    folder = tmp_path / "folder"
    folder.mkdir()
    # At 4 KiB blocks the triple indirect block begins at 1 GiB + 2 MiB + 48 KiB; the rest is a hole.
    first = 4096 * (12 + 512 + 512 * 512)
    pieces = {0: 40_000, 4096 * 12: 9_000, 4096 * 523: 70_000, first - 5_000: 600_000, first + (512 * 4096): 12_345}
    with (folder / "file").open("wb") as file:
        for offset, length in pieces.items():
            file.seek(offset)
            file.write(pattern(length, offset))
    build(tmp_path / "image", folder, Options(block_size=4096, fragment_size=512))
    assert (tmp_path / "image").stat().st_size < 16 << 20
    assert check(tmp_path / "image") == []
    with UFS2.open(tmp_path / "image") as volume, volume.open_file("/file") as file:
        assert volume.read_inode(file.inode).di_ib[2]
        for offset, length in pieces.items():
            assert file.read_at(offset, length) == pattern(length, offset)
        assert file.read_at(500 << 20, 4096) == bytes(4096)
    output = run(grub, "-s", str(first // 512 * 512 - 4096), "-n", "200000", tmp_path / "image", "hex", "(loop0)/file")
    start = pattern(600_000, first - 5_000)[5_000 - 4096 :][:16]
    assert start.hex(" ", 1) in output.replace("  ", " ")


@pytest.mark.slow
def test_a_directory_of_a_hundred_thousand_names(tmp_path: Path) -> None:
    fls = judge("fls", "sleuthkit")
    tree: dict[str, Member] = {f"d/name-{number:06}": Symlink("x") for number in range(100_000)}
    build(tmp_path / "image", tree, Options(block_size=4096, fragment_size=512))
    assert check(tmp_path / "image") == []
    with UFS2.open(tmp_path / "image") as volume:
        assert volume.listdir("/d") == [f"name-{number:06}" for number in range(100_000)]
        assert volume.read_inode(volume.find("/d")).di_ib[0]
    assert run(fls, "-r", tmp_path / "image").count("name-") == 100_000


def test_many_groups(tmp_path: Path) -> None:
    tree: dict[str, Member] = {f"{top}/{name}": b"x" * 3000 for top in range(40) for name in range(20)}
    built = build(tmp_path / "image", tree, Options(block_size=4096, fragment_size=512), size=2 << 30)
    assert built.geometry.group_count > 100
    assert check(tmp_path / "image") == []
    with UFS2.open(tmp_path / "image") as volume:
        groups = {volume.find(f"/{top}") // volume.geometry.group_inodes for top in range(40)}
        assert len(groups) == 40, "directories of the root are spread"
        for top in range(40):
            inode = volume.find(f"/{top}/7")
            assert inode // volume.geometry.group_inodes == volume.find(f"/{top}") // volume.geometry.group_inodes
    assert (tmp_path / "image").stat().st_blocks * 512 < 64 << 20, "the file is sparse"


def test_a_large_file_is_contiguous(tmp_path: Path) -> None:
    build(tmp_path / "image", {"kernel": pattern(29 << 20)}, size=128 << 20)
    with UFS2.open(tmp_path / "image") as volume:
        assert len(volume.extents("/kernel")) <= 2
