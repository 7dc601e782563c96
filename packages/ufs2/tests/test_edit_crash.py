"""A cut after any single write: between operations nothing is wrong, within one only what fsck repairs without loss."""

from __future__ import annotations

from typing import Any

import pytest

from cloudboot_base import MemoryStorage
from cloudboot_ufs2 import UFS2, Options, ReadOnlyError, Symlink, WritableUFS2, check
from cloudboot_ufs2.builder.members import Member
from cloudboot_ufs2.layout.constants import FS_NEEDSFSCK, FS_UFS2_MAGIC, SBLOCK_UFS2
from cloudboot_ufs2.testing import (
    AFTER_A_CUT,
    AFTER_A_CUT_IN_A_MOVE,
    Journal,
    assert_clean,
    editable_image,
    image_of,
    pattern,
)
from cloudboot_ufs2.testing.crashing import BIG, OPERATIONS


@pytest.mark.parametrize("fragment", [512, 4096])
def test_a_cut_after_any_write_loses_nothing(fragment: int) -> None:
    options = Options(block_size=4096, fragment_size=fragment)
    tree: dict[str, Member] = {
        "kept": pattern(70_000, 1), "tail": b"t" * 600, "next": b"n" * 600, "large": pattern(BIG, 2),
        "dir/a": b"", "other/b": b"b", "empty/x": b"", "link": Symlink("kept"),
    }  # fmt: skip
    image = bytearray(image_of(tree, options, size=24 << 20))
    journal = Journal(image)
    volume = WritableUFS2.open(journal)
    volume.unlink("/empty/x")
    for name, operation in OPERATIONS:
        before = bytearray(image)
        journal.writes.clear()
        operation(volume)
        assert check(image) == [], name
        allowed = AFTER_A_CUT_IN_A_MOVE if "a directory" in name else AFTER_A_CUT
        for offset, data in journal.writes[:-1]:
            before[offset : offset + len(data)] = data
            findings = check(before)
            assert {found.kind for found in findings} <= allowed, (name, [str(found) for found in findings])
            with UFS2.open(before) as cut:
                assert cut.read_file("/kept") == pattern(70_000, 1)
                assert cut.superblock.fs_magic == FS_UFS2_MAGIC
                if findings:
                    assert cut.superblock.fs_flags & FS_NEEDSFSCK
                    assert cut.superblock.fs_clean == 0, (name, [str(found) for found in findings])


def test_a_rename_within_a_chunk_is_one_write() -> None:
    image = editable_image({"a": b"a", "b": b"b"})
    journal = Journal(image)
    volume = WritableUFS2.open(journal)
    volume.rename("/a", "/" + "c" * 200)
    # The superblock twice, the directory and the two inodes; the clock stands still, so these are as they were.
    assert len(journal.writes) == 3
    assert_clean(image)


def test_a_file_system_cut_within_an_operation_is_not_written_to() -> None:
    image = bytearray(image_of({"a": b"a"}, Options(block_size=4096, fragment_size=512), size=8 << 20))
    journal = Journal(image)
    volume = WritableUFS2.open(journal)
    before = bytearray(image)
    volume.write_file("/b", b"b")
    # The content stands in free space first; then the superblock is marked.
    for offset, data in journal.writes[: 1 + [offset for offset, _ in journal.writes].index(SBLOCK_UFS2)]:
        before[offset : offset + len(data)] = data
    with pytest.raises(ReadOnlyError, match="not clean"):
        WritableUFS2.open(before)


class Failing(MemoryStorage):
    """Memory that breaks after so many writes."""

    left = 10**9

    def write_at(self, offset: int, data: Any) -> None:
        if not self.left:
            raise OSError(5, "broken")
        self.left -= 1
        super().write_at(offset, data)


def test_after_a_commit_that_failed_nothing_is_written_any_more() -> None:
    image = bytearray(image_of({"a": b"a"}, Options(block_size=4096, fragment_size=512), size=8 << 20))
    storage = Failing(image)
    volume = WritableUFS2.open(storage)
    storage.left = 4
    with pytest.raises(OSError, match="broken"):
        volume.mkdir("/b")
    storage.left = 100
    with pytest.raises(ReadOnlyError):
        volume.mkdir("/c")


def test_contents_are_written_before_anything_points_to_them() -> None:
    image = bytearray(image_of({"a": pattern(50_000)}, Options(block_size=4096, fragment_size=512), size=8 << 20))
    storage = Failing(image)
    volume = WritableUFS2.open(storage)
    before = bytes(image)
    storage.left = 0
    with pytest.raises(OSError, match="broken"), volume.open_file("/a", "r+b") as file:
        file.write(b"new")
    assert bytes(image) == before
    storage.left = 100
    with volume.open_file("/a", "r+b") as file:
        file.write(b"new")
    assert volume.read_file("/a") == b"new" + pattern(50_000)[3:]
