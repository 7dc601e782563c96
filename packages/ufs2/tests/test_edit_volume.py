"""Writing in place: attributes, and file systems that are a part of a disk, damaged, or not to be written to."""

from __future__ import annotations

import dataclasses
import io
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloudboot_base import RangeError
from cloudboot_base.testing import judge, run
from cloudboot_ufs2 import (
    UFS2,
    AttributeNotFoundError,
    BlockError,
    Directory,
    File,
    GroupError,
    InodeError,
    NoSpaceError,
    Options,
    PathError,
    ReadOnlyError,
    Symlink,
    WritableUFS2,
    build,
    check,
)
from cloudboot_ufs2.testing import Editor, assert_clean, editable_image, image_of, pattern, sample_image, totals

MEBIBYTE = 1 << 20
BLOCK_SIZES = (4096, 8192, 16384, 32768, 65536)


# Attributes


def test_attributes_are_set_and_times_kept_to_the_nanosecond() -> None:
    image = editable_image({"dir/file": File(b"x", 0o640, mtime_ns=5), "link": Symlink("dir/file")})
    volume = WritableUFS2.open(image, clock=lambda: 1_700_000_000_123_456_789)
    volume.chmod("/link", 0o4755)
    volume.chown("/link", 2**32 - 1, 7)
    volume.chown("/dir/file", gid=8)
    volume.utime("/link", atime_ns=-1, mtime_ns=2**62 + 1, birthtime_ns=3)
    found = volume.stat("/dir/file")
    assert (found.st_mode, found.st_uid, found.st_gid) == (stat.S_IFREG | 0o4755, 2**32 - 1, 8)
    assert (found.st_atime_ns, found.st_mtime_ns, found.st_birthtime_ns) == (-1, 2**62 + 1, 3)
    assert found.st_ctime_ns == 1_700_000_000_123_456_789
    volume.chmod("/link", 0o700, follow_symlinks=False)
    assert stat.S_IMODE(volume.stat("/link", follow_symlinks=False).st_mode) == 0o700
    assert volume.superblock.fs_time == 1_700_000_000
    assert_clean(image)
    before = bytes(image)
    refusals: list[Callable[[], None]] = [
        lambda: volume.chown("/dir/file", 2**32),
        lambda: volume.chown("/dir/file", -1),
        lambda: volume.utime("/dir/file", mtime_ns=2**63 * 10**9),
    ]
    for refused in refusals:
        with pytest.raises(RangeError):
            refused()
    assert bytes(image) == before
    volume.chmod("/dir", 0o711)
    assert_clean(image)


def test_nothing_is_born_after_it_was_modified() -> None:
    volume = WritableUFS2.open(editable_image({"a": File(b"", mtime_ns=1000)}))
    volume.utime("/a", mtime_ns=2000)
    assert volume.stat("/a").st_birthtime_ns == 1000
    volume.utime("/a", mtime_ns=10)
    assert volume.stat("/a").st_birthtime_ns == 10


def test_the_same_operations_give_the_same_bytes() -> None:
    def image() -> bytes:
        data = editable_image({"a": b"a"})
        with WritableUFS2.open(data) as volume:
            volume.mkdir("/b")
            volume.write_file("/b/c", pattern(70_000))
            volume.unlink("/a")
            volume.write_file("/a", b"new")
        return bytes(data)

    assert image() == image()


def test_generations_rise_when_an_inode_is_used_again() -> None:
    volume = WritableUFS2.open(editable_image())
    seen = set()
    for _ in range(5):
        volume.write_file("/a", b"")
        found = volume.stat("/a")
        seen.add((found.st_ino, found.st_gen))
        volume.unlink("/a")
    assert len({number for number, _ in seen}) == 1
    assert len(seen) == 5


# Extended attributes


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("fragment", [512, 4096])
def test_extended_attributes_are_set_replaced_and_removed(fragment: int, order: str) -> None:
    options = Options(block_size=4096, fragment_size=fragment, byteorder="big" if order == "big" else "little")
    image = editable_image({"a": pattern(70_000), "dir": Directory(), "link": Symlink("a")}, options)
    volume = WritableUFS2.open(image)
    before = totals(volume)
    wanted: dict[str, bytes] = {}
    for name, size in (("user.a", 0), ("system.a", 1), ("user.b", 503), ("user.a", 4000), ("user.c", 3000)):
        wanted[name] = pattern(size, 3)
        volume.setxattr("/a", name, wanted[name])
        assert_clean(image)
        with UFS2.open(image) as again:
            assert {found: again.getxattr("/a", found) for found in again.listxattr("/a")} == wanted
    volume.setxattr("/link", "user.link", b"1", follow_symlinks=False)
    volume.setxattr("/dir", "user.dir", b"2")
    assert_clean(image)
    state = bytes(image)
    with pytest.raises(NoSpaceError, match="two blocks"):
        volume.setxattr("/a", "user.more", bytes(4000))
    with pytest.raises(AttributeNotFoundError):
        volume.removexattr("/a", "user.none")
    for name in ("other.a", "user.", "user", "user." + "x" * 256, "user.a\0"):
        with pytest.raises(PathError):
            volume.setxattr("/a", name, b"")
    assert bytes(image) == state
    assert volume.read_file("/a") == pattern(70_000)
    for name in list(wanted):
        volume.removexattr("/a", name)
        assert_clean(image)
    volume.removexattr("/link", "user.link", follow_symlinks=False)
    volume.setxattr("/dir", "user.dir", pattern(8000))
    volume.rmdir("/dir")
    assert_clean(image)
    # Only the directory and its one fragment are gone.
    frag, after = volume.superblock.fs_frag, totals(volume)
    assert (after[0], after[2]) == (before[0] - 1, before[2] + 1)
    assert after[1] * frag + after[3] == before[1] * frag + before[3] + 1


# Where the file system is, and whether it may be written


def test_a_partition_of_a_file_is_changed_in_place(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(b"\xaa" * MEBIBYTE + editable_image({"a": b"a"}) + b"\xbb" * 512)
    with WritableUFS2.open(path, offset=MEBIBYTE, size=8 * MEBIBYTE, durable=True) as volume:
        volume.write_file("/b", pattern(60_000))
        volume.sync()
    data = path.read_bytes()
    assert data[:MEBIBYTE] == b"\xaa" * MEBIBYTE
    assert data[9 * MEBIBYTE :] == b"\xbb" * 512
    assert check(path, offset=MEBIBYTE, size=8 * MEBIBYTE) == []
    with UFS2.open(path, offset=MEBIBYTE) as again:
        assert again.read_file("/b") == pattern(60_000)


def test_a_volume_in_bytes_cannot_be_written() -> None:
    with pytest.raises(io.UnsupportedOperation), WritableUFS2.open(bytes(editable_image())) as volume:
        volume.mkdir("/a")


def unclean(editor: Editor) -> None:
    editor.change_superblock(fs_clean=0)


def needs_fsck(editor: Editor) -> None:
    editor.change_superblock(fs_flags=editor.superblock.fs_flags | 4)


def snapshot(editor: Editor) -> None:
    editor.change_superblock(fs_snapinum=(7, *(0,) * 19))


def wrong_mask(editor: Editor) -> None:
    editor.change_superblock(fs_bmask=0)


@pytest.mark.parametrize("damage", [unclean, needs_fsck, snapshot, wrong_mask])
def test_what_must_not_be_written_is_refused(damage: Callable[[Editor], None]) -> None:
    editor = Editor(bytes(editable_image()))
    damage(editor)
    before = bytes(editor.data)
    with pytest.raises(ReadOnlyError) as caught:
        WritableUFS2.open(editor.data)
    assert caught.value.errno == 30
    assert bytes(editor.data) == before


def group_damage() -> Iterator[tuple[str, Callable[[Editor], None]]]:
    yield "counters", lambda editor: editor.change_summary(1, cs_nbfree=7)
    yield "rotor map", lambda editor: editor.flip_group_bit(0, 168 + editor.geometry.group_inodes // 8, 4000)
    yield "frsum", lambda editor: editor.change_group(0, cg_frsum=(9,) * 8)
    yield "magic", lambda editor: editor.change_group(0, cg_magic=0)


@pytest.mark.parametrize("damage", [pytest.param(damage, id=name) for name, damage in group_damage()])
def test_groups_that_contradict_themselves_are_not_written(damage: Callable[[Editor], None]) -> None:
    editor = Editor(bytes(editable_image({"a": b"a"})))
    damage(editor)
    before = bytes(editor.data)
    with pytest.raises(GroupError), WritableUFS2.open(editor.data) as volume:
        volume.write_file("/b", b"")
    assert bytes(editor.data) == before


def test_blocks_marked_free_are_not_given_back_twice() -> None:
    editor = Editor(bytes(editable_image({"a": pattern(30_000), "b": pattern(30_000)})))
    a, b = editor.inode(editor.find("/a")), editor.find("/b")
    editor.change_inode(b, di_db=a.di_db)
    volume = WritableUFS2.open(editor.data)
    volume.unlink("/a")
    before = bytes(editor.data)
    with pytest.raises(BlockError, match="marked free"):
        volume.unlink("/b")
    assert bytes(editor.data) == before


@pytest.mark.parametrize("place", ["superblock", "group", "inodes", "summary", "beyond", "free"])
def test_nothing_but_data_is_written_to_whatever_a_pointer_says(place: str) -> None:
    editor = Editor(bytes(editable_image({"a": pattern(30_000)})))
    geometry = editor.geometry
    address = {
        "superblock": 65536 // 512,
        "group": geometry.group_start(1) + geometry.cblkno,
        "inodes": geometry.group_start(1) + geometry.iblkno,
        "summary": geometry.summary_address,
        "beyond": geometry.size,
        "free": geometry.size - 8,
    }[place]
    editor.change_pointer(editor.find("/a"), 3, address)
    before = bytes(editor.data)
    volume = WritableUFS2.open(editor.data)
    with volume.open_file("/a", "r+b") as file:
        for offset in (3 * 4096, 2 * 4096 + 1):
            with pytest.raises(BlockError):
                file.write_at(offset, pattern(6000))
    with pytest.raises(BlockError):
        volume.unlink("/a")
    assert bytes(editor.data) == before
    with volume.open_file("/a", "r+b") as file:
        file.write_at(0, b"elsewhere")


def test_an_inode_marked_free_is_neither_taken_nor_given_back() -> None:
    editor = Editor(bytes(editable_image({"b": b"b"})))
    group, index = divmod(editor.find("/b"), editor.geometry.group_inodes)
    editor.flip_group_bit(group, 168, index)
    free = dataclasses.replace(editor.group_head(group).cg_cs)
    free.cs_nifree += 1
    editor.change_group(group, cg_cs=free)
    editor.change_summary(group, cs_nifree=free.cs_nifree)
    total = dataclasses.replace(editor.superblock.fs_cstotal)
    total.cs_nifree += 1
    editor.change_superblock(fs_cstotal=total)
    before = bytes(editor.data)
    volume = WritableUFS2.open(editor.data)
    with pytest.raises(InodeError, match="marked free"):
        volume.unlink("/b")
    with pytest.raises(InodeError, match="marked free"):
        volume.write_file("/c", b"")
    assert bytes(editor.data) == before


@pytest.mark.parametrize("block_size", BLOCK_SIZES)
def test_everything_in_a_built_image_can_be_removed(block_size: int) -> None:
    image = bytearray(sample_image(Options(block_size=block_size, fragment_size=block_size // 8)))
    volume = WritableUFS2.open(image)
    for path, directories, others in reversed(list(volume.walk())):
        for entry in others:
            volume.unlink(entry.path)
        for entry in directories:
            volume.rmdir(entry.path)
        assert volume.listdir(path) == []
    assert_clean(image)
    empty = UFS2.open(image_of({}, Options(block_size=block_size, fragment_size=block_size // 8), size=len(image)))
    assert totals(volume)[0] == 1
    assert volume.superblock.fs_cstotal.cs_nbfree == empty.superblock.fs_cstotal.cs_nbfree


def test_an_image_that_another_program_made_can_be_changed(tmp_path: Path) -> None:
    """What build writes through a file descriptor and what is written in place agree on the host, too."""
    path = tmp_path / "image"
    build(path, {"a": b"a"}, Options(), size=32 * MEBIBYTE)
    with WritableUFS2.open(path) as volume:
        volume.write_file("/f", pattern(3 * MEBIBYTE))
    (tmp_path / "host").write_bytes(pattern(3 * MEBIBYTE))
    run(judge("grub-fstest", "grub-common"), path, "cmp", "(loop0)/f", tmp_path / "host")
    assert_clean(path)
