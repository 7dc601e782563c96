"""Writing in place, case by case: every boundary, every refusal, every counter."""

from __future__ import annotations

import dataclasses
import io
import itertools
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloudboot_layout import RangeError
from cloudboot_layout.testing import judge, run
from cloudboot_ufs2 import (
    UFS2,
    AttributeNotFoundError,
    BlockError,
    Directory,
    DirectoryNotEmptyError,
    File,
    FileTooLargeError,
    GroupError,
    HardLink,
    InodeError,
    NameTooLongError,
    NoSpaceError,
    OptionError,
    Options,
    PathError,
    ReadOnlyError,
    StaleFileError,
    Symlink,
    SymlinkLoopError,
    TooManyLinksError,
    WritableUFS2,
    build,
    check,
)
from cloudboot_ufs2.members import Member
from cloudboot_ufs2.testing import Editor, image_of, pattern, sample_image

MEBIBYTE = 1 << 20
BLOCK_SIZES = (4096, 8192, 16384, 32768, 65536)
SMALL = Options(block_size=4096)


def make(tree: dict[str, Member] | None = None, options: Options = SMALL, size: int = 8 * MEBIBYTE) -> bytearray:
    return bytearray(image_of(tree or {}, options, size=size))


def assert_clean(image: bytearray | Path) -> None:
    assert [str(finding) for finding in check(image)] == []


def used(volume: UFS2) -> tuple[int, ...]:
    """The totals; equal before and after when nothing has leaked."""
    total = volume.superblock.fs_cstotal
    return total.cs_ndir, total.cs_nbfree, total.cs_nifree, total.cs_nffree


# Every tier of blocks


def tier_sizes(bsize: int) -> list[int]:
    pointers = bsize // 8
    edges = [bsize, 11 * bsize, 12 * bsize, (12 + pointers) * bsize]
    return [edge + step for edge in edges for step in (-1, 0, 1)]


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("block_size", BLOCK_SIZES)
def test_files_at_every_tier_boundary_are_written_read_and_given_back(block_size: int, order: str) -> None:
    options = Options(block_size=block_size, byteorder="big" if order == "big" else "little")
    image = make({"dir/a": b"a"}, options, size=max(16 * MEBIBYTE, 1024 * block_size))
    with UFS2.open(image, mode="r+") as volume:
        before = used(volume)
        for size in tier_sizes(block_size):
            if size > 12 * MEBIBYTE:
                # Reached through a hole, so that the image stays small.
                volume.write_file("/dir/f", b"")
                with volume.open_file("/dir/f", "r+b") as file:
                    file.seek(size - 5000)
                    file.write(pattern(5000))
                with volume.open_file("/dir/f") as file:
                    assert file.read_at(0, 70_000) == bytes(70_000)
                    assert file.read_at(size - 70_000, 80_000) == bytes(65_000) + pattern(5000)
            else:
                volume.write_file("/dir/f", pattern(size))
                assert volume.read_file("/dir/f") == pattern(size)
            assert_clean(image)
            volume.unlink("/dir/f")
            assert_clean(image)
            assert used(volume) == before


@pytest.mark.parametrize("block_size", BLOCK_SIZES)
def test_all_three_indirect_tiers_are_taken_and_given_back(block_size: int) -> None:
    image = make({}, Options(block_size=block_size), size=max(8 * MEBIBYTE, 512 * block_size))
    volume = WritableUFS2.open(image)
    before = used(volume)
    pointers = block_size // 8
    volume.write_file("/f", b"")
    starts = [0, 11, 12, 12 + pointers - 1, 12 + pointers, 12 + pointers + pointers**2 - 1, 12 + pointers + pointers**2]
    starts.append(12 + pointers + pointers**2 + pointers**3 - 1)
    with volume.open_file("/f", "r+b") as file:
        for block in starts[:-1]:
            file.write_at(block * block_size + 7, b"block %d" % block)
            assert_clean(image)
        # The very last block a file can have; its last byte is beyond fs_maxfilesize.
        file.write_at(starts[-1] * block_size + 7, b"block %d" % starts[-1])
        assert_clean(image)
        inode = volume.read_inode(volume.find("/f"))
        assert all(inode.di_ib)
        for block in starts:
            text = b"block %d" % block
            assert file.read_at(block * block_size + 7, len(text)) == text
        for block in reversed(starts):
            file.truncate(block * block_size + 9)
            assert_clean(image)
            assert file.read_at(block * block_size + 7, 100) == b"bl"
        file.truncate(0)
    assert_clean(image)
    volume.unlink("/f")
    assert used(volume) == before
    assert_clean(image)


def test_no_file_is_larger_than_its_pointers_reach() -> None:
    image = make()
    volume = WritableUFS2.open(image)
    volume.write_file("/f", b"x")
    limit = volume.geometry.max_file_size
    volume.truncate("/f", limit)
    assert_clean(image)
    with volume.open_file("/f", "ab") as file, pytest.raises(FileTooLargeError) as caught:
        file.write(b"y")
    assert caught.value.actual == limit + 1
    with pytest.raises(FileTooLargeError):
        volume.truncate("/f", 1 << 63)
    with pytest.raises(OptionError):
        volume.truncate("/f", -1)
    assert volume.stat("/f").st_size == limit
    assert_clean(image)


# Fragments and holes


@pytest.mark.parametrize("fragment", [512, 1024, 2048, 4096])
def test_a_tail_grows_in_place_and_moves_when_it_must(fragment: int) -> None:
    image = make({"a": b"a", "b": b"b"}, Options(block_size=4096, fragment_size=fragment))
    volume = WritableUFS2.open(image)
    content = {"/a": b"a", "/b": b"b"}
    for step in range(1, 40):
        for path in content:
            more = pattern(313 * step % 700 + 1, step)
            with volume.open_file(path, "ab") as file:
                file.write(more)
            content[path] += more
        assert_clean(image)
        for path, expected in content.items():
            assert volume.read_file(path) == expected
            size = -(-len(expected) // 4096) * 4096
            if len(expected) <= 12 * 4096:
                size = len(expected) // 4096 * 4096 + -(-(len(expected) % 4096) // fragment) * fragment
                assert volume.stat(path).st_blocks * 512 == size


def test_a_tail_is_not_moved_when_what_follows_is_free() -> None:
    volume = WritableUFS2.open(make({"a": b"a" * 4096}))
    volume.truncate("/a", 512)
    before = volume.extents("/a")[0][0]
    with volume.open_file("/a", "ab") as file:
        for _ in range(7):
            file.write(b"b" * 512)
    assert volume.extents("/a") == [(before, 4096)]


def test_what_was_cut_off_reads_as_zeros_when_the_file_grows_again() -> None:
    image = make({"a": b"secret" * 2000})
    volume = WritableUFS2.open(image)
    for size in (7000, 4097, 4096, 1000, 3):
        volume.truncate("/a", size)
        volume.truncate("/a", 12000)
        assert volume.read_file("/a") == (b"secret" * 2000)[:size] + bytes(12000 - size)
        assert_clean(image)


def test_growing_leaves_a_hole_and_shrinking_into_it_keeps_one() -> None:
    image = make()
    volume = WritableUFS2.open(image)
    volume.write_file("/f", b"start")
    volume.truncate("/f", 3 * MEBIBYTE)
    assert_clean(image)
    # Two blocks, one of them the last, which is never a hole, and two levels of pointers to it.
    assert volume.stat("/f").st_blocks == 4 * 8
    assert volume.block_for_lbn("/f", 5) == 0
    volume.truncate("/f", 2 * MEBIBYTE + 5)
    assert_clean(image)
    assert volume.read_file("/f") == b"start" + bytes(2 * MEBIBYTE)
    volume.truncate("/f", 4096 * 8 + 5)
    assert_clean(image)
    assert volume.stat("/f").st_blocks == 8 + 1
    with volume.open_file("/f", "r+b") as file:
        file.seek(4096 * 3)
        file.write(b"x" * 4096)
    assert volume.stat("/f").st_blocks == 8 + 1 + 8
    assert_clean(image)


def test_sparse_content_leaves_holes() -> None:
    image = make()
    volume = WritableUFS2.open(image)
    data = bytearray(40 * 4096 + 100)
    data[4096 * 3 : 4096 * 4] = pattern(4096)
    data[4096 * 17 + 5] = 1
    assert volume.write_file("/bytes", data, sparse=True) == len(data)
    assert volume.write_file("/file", io.BytesIO(data), sparse=True) == len(data)
    assert volume.write_file("/full", data) == len(data)
    for path in ("/bytes", "/file", "/full"):
        assert volume.read_file(path) == data
    # Blocks 3 and 17, the last one, and one indirect block.
    assert volume.stat("/bytes").st_blocks == volume.stat("/file").st_blocks == 4 * 8
    assert volume.stat("/full").st_blocks == 42 * 8
    assert_clean(image)


def test_holes_of_a_host_file_are_kept(tmp_path: Path) -> None:
    host = tmp_path / "host"
    with host.open("wb") as file:
        file.seek(MEBIBYTE)
        file.write(pattern(5000))
        file.truncate(3 * MEBIBYTE)
    image = make()
    volume = WritableUFS2.open(image)
    assert volume.write_file("/f", host) == 3 * MEBIBYTE
    assert volume.read_file("/f") == host.read_bytes()
    assert volume.stat("/f").st_blocks <= host.stat().st_blocks + 5 * 8
    (tmp_path / "image").write_bytes(image)
    run(judge("grub-fstest", "grub-common"), tmp_path / "image", "cmp", "(loop0)/f", host)
    assert_clean(image)


def test_a_large_file_is_one_run_where_there_is_room() -> None:
    image = make({}, Options(), size=64 * MEBIBYTE)
    volume = WritableUFS2.open(image)
    volume.write_file("/f", pattern(10 * MEBIBYTE))
    assert len(volume.extents("/f")) <= 2
    assert_clean(image)


# Directories


def test_a_directory_grows_into_indirect_blocks_and_shrinks_again(tmp_path: Path) -> None:
    image = make({}, Options(block_size=4096, density=2048), size=32 * MEBIBYTE)
    volume = WritableUFS2.open(image)
    volume.mkdir("/d")
    before = used(volume)
    names = [f"{number:04}" + "n" * 251 for number in range(1200)]
    for name in names:
        volume.open_file(f"/d/{name}", "xb").close()
    assert volume.read_inode(volume.find("/d")).di_ib[0]
    assert volume.stat("/d").st_size == 1200 * 512
    assert_clean(image)
    (tmp_path / "image").write_bytes(image)
    grub = judge("grub-fstest", "grub-common")
    assert sorted(run(grub, tmp_path / "image", "ls", "(loop0)/d").split()) == names
    for name in names[::2] + names[1::2]:
        volume.unlink(f"/d/{name}")
    assert volume.stat("/d").st_size == 512
    assert volume.read_inode(volume.find("/d")).di_ib == (0, 0, 0)
    assert used(volume) == before
    assert_clean(image)


def test_freed_room_in_a_directory_is_used_again() -> None:
    image = make()
    volume = WritableUFS2.open(image)
    for number in range(40):
        volume.open_file(f"/{number:02}", "xb").close()
    size = volume.stat("/").st_size
    for number in range(0, 39, 2):
        volume.unlink(f"/{number:02}")
    # Two short records make room for one long one, once the chunk is packed.
    for number in range(3):
        volume.open_file(f"/{'long' * 8}{number}", "xb").close()
    assert volume.stat("/").st_size == size
    assert_clean(image)
    assert set(volume.listdir("/")) == set(UFS2.open(image).listdir("/"))


def test_names_have_up_to_255_bytes() -> None:
    image = make()
    volume = WritableUFS2.open(image)
    longest = "\u00e9" * 127 + "x"
    volume.write_file(f"/{longest}", b"1")
    volume.mkdir("/" + "d" * 255)
    volume.rename(f"/{longest}", f"/{'d' * 255}/{longest}")
    assert volume.read_file(f"/{'d' * 255}/{longest}") == b"1"
    assert_clean(image)
    for path in ("/" + "x" * 256, "/" + "\u00e9" * 128):
        for operation in (
            lambda path: volume.write_file(path, b""),
            volume.mkdir,
            lambda path: volume.symlink("a", path),
            lambda path: volume.rename(f"/{'d' * 255}", path),
        ):
            with pytest.raises(NameTooLongError) as caught:
                operation(path)
            assert caught.value.actual == 256
    assert_clean(image)


def test_names_that_are_not_utf8_keep_their_bytes() -> None:
    image = make()
    volume = WritableUFS2.open(image)
    name = os.fsdecode(b"\xff\xfe")
    volume.write_file(f"/{name}", b"1")
    assert volume.listdir("/") == [name]
    assert b"\xff\xfe" in volume.entries(2)


@pytest.mark.parametrize("path", ["", "/", "/.", "/..", "/a/..", "/a/.", "nul\0"])
def test_paths_without_a_last_name_are_refused(path: str) -> None:
    volume = WritableUFS2.open(make({"a/b": b""}))
    for operation in (volume.mkdir, volume.rmdir, volume.unlink, lambda path: volume.rename("/a/b", path)):
        with pytest.raises(PathError):
            operation(path)


def test_parents_must_be_directories_that_exist() -> None:
    image = make({"file": b"", "link": Symlink("/dir"), "dir": Directory(), "loop": Symlink("loop")})
    volume = WritableUFS2.open(image)
    before = bytes(image)
    for path, error in (("/no/x", FileNotFoundError), ("/file/x", NotADirectoryError), ("/loop/x", SymlinkLoopError)):
        for operation in (
            volume.mkdir,
            lambda path: volume.symlink("a", path),
            lambda path: volume.link("/file", path),
            lambda path: volume.rename("/file", path),
            lambda path: volume.open_file(path, "wb"),
        ):
            with pytest.raises(error):
                operation(path)
    assert bytes(image) == before
    volume.mkdir("/link/x")
    assert volume.listdir("/dir") == ["x"]
    volume.makedirs("/dir/x/y/z")
    volume.makedirs("/dir/x/y/z", exist_ok=True)
    with pytest.raises(FileExistsError):
        volume.makedirs("/dir/x/y/z")
    assert_clean(image)


def test_depth_follows_a_directory_that_moves() -> None:
    image = make({"a/b/c/d": b"", "x/y/z/e": b""})
    volume = WritableUFS2.open(image)

    def depth(path: str) -> int:
        return volume.read_inode(volume.find(path)).di_dirdepth

    assert depth("/a/b/c") == 3
    volume.rename("/a/b", "/x/y/z/b")
    assert (depth("/x/y/z"), depth("/x/y/z/b"), depth("/x/y/z/b/c")) == (3, 4, 5)
    volume.mkdir("/x/y/z/b/c/new")
    assert depth("/x/y/z/b/c/new") == 6
    assert_clean(image)


# rename(2), row by row


@pytest.fixture
def renaming() -> tuple[bytearray, WritableUFS2]:
    image = make({
        "file": b"file", "other": b"other", "same": HardLink("file"), "link": Symlink("file"), "empty": Directory(),
        "empty2": Directory(), "full/x": b"x", "deep/er/still": b"", "to/dir": Directory(),
    })  # fmt: skip
    return image, WritableUFS2.open(image)


@pytest.mark.parametrize(
    ("source", "target", "error"),
    [
        ("/none", "/x", FileNotFoundError),
        ("/file", "/none/x", FileNotFoundError),
        ("/file", "/other/x", NotADirectoryError),
        ("/file", "/empty", IsADirectoryError),
        ("/link", "/empty", IsADirectoryError),
        ("/empty", "/file", NotADirectoryError),
        ("/empty", "/link", NotADirectoryError),
        ("/empty", "/full", DirectoryNotEmptyError),
        ("/deep", "/deep/x", PathError),
        ("/deep", "/deep/er", PathError),
        ("/deep", "/deep/er/x", PathError),
        ("/", "/x", PathError),
        ("/file", "/", PathError),
        ("/deep/.", "/x", PathError),
        ("/deep/er/..", "/x", PathError),
    ],
)
def test_rename_refuses_what_posix_refuses(
    renaming: tuple[bytearray, WritableUFS2], source: str, target: str, error: type[Exception]
) -> None:
    image, volume = renaming
    before = bytes(image)
    with pytest.raises(error):
        volume.rename(source, target)
    assert bytes(image) == before


@pytest.mark.parametrize(
    ("source", "target"),
    [("/file", "/file"), ("/file", "/same"), ("/same", "/file"), ("/deep", "/deep"), ("/deep", "//deep/")],
)
def test_renaming_to_another_name_of_the_same_file_does_nothing(
    renaming: tuple[bytearray, WritableUFS2], source: str, target: str
) -> None:
    image, volume = renaming
    names = set(volume.listdir("/"))
    volume.rename(source, target)
    assert set(volume.listdir("/")) == names
    assert_clean(image)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("/file", "/x"), ("/file", "/to/x"), ("/file", "/other"), ("/other", "/link"), ("/link", "/other"),
        ("/empty", "/empty2"), ("/full", "/empty"), ("/full", "/to/dir"), ("/to/dir", "/empty"), ("/deep/er", "/er"),
        ("/deep/er", "/to/er"), ("/deep/er/still", "/full/x"), ("/full", "/y"), ("/file", "/same2"),
    ],
)  # fmt: skip
def test_rename_moves_and_replaces(renaming: tuple[bytearray, WritableUFS2], source: str, target: str) -> None:
    image, volume = renaming
    number = volume.find(source, follow_symlinks=False)
    content = volume.listdir(source) if stat.S_ISDIR(volume.stat(source, follow_symlinks=False).st_mode) else None
    volume.rename(source, target)
    assert volume.find(target, follow_symlinks=False) == number
    assert not volume.exists(source)
    if content is not None:
        assert volume.listdir(target) == content
    assert_clean(image)
    with UFS2.open(image) as again:
        assert again.find(target, follow_symlinks=False) == number


# Links


def test_a_file_goes_with_its_last_name() -> None:
    image = make({"a": pattern(100_000)})
    volume = WritableUFS2.open(image)
    free = used(volume)[1]
    volume.link("/a", "/b")
    volume.unlink("/a")
    assert volume.read_file("/b") == pattern(100_000)
    assert (volume.stat("/b").st_nlink, used(volume)[1]) == (1, free)
    volume.unlink("/b")
    assert used(volume)[1] > free
    assert_clean(image)


def test_links_to_links_and_not_to_directories() -> None:
    image = make({"link": Symlink("dir"), "dir": Directory()})
    volume = WritableUFS2.open(image)
    volume.link("/link", "/link2")
    assert volume.readlink("/link2") == "dir"
    with pytest.raises(IsADirectoryError):
        volume.link("/dir", "/dir2")
    with pytest.raises(FileExistsError):
        volume.link("/link", "/dir")
    assert_clean(image)


@pytest.mark.parametrize("length", [1, 118, 119, 120, 121, 1023])
def test_a_symbolic_link_stands_in_its_inode_below_120_bytes(length: int) -> None:
    for order in ("little", "big"):
        image = make({}, Options(block_size=4096, byteorder="big" if order == "big" else "little"))
        volume = WritableUFS2.open(image)
        before = used(volume)
        target = "".join(itertools.islice(itertools.cycle("0123456789abc"), length))
        volume.symlink(target, "/link", 0o700, uid=5, gid=6)
        assert volume.readlink("/link") == UFS2.open(image).readlink("/link") == target
        found = volume.stat("/link", follow_symlinks=False)
        assert (found.st_blocks, found.st_uid, found.st_gid) == (0 if length < 120 else -(-length // 512), 5, 6)
        assert_clean(image)
        volume.unlink("/link")
        assert used(volume) == before
        assert_clean(image)


def test_a_target_has_1_to_1023_bytes() -> None:
    volume = WritableUFS2.open(make())
    with pytest.raises(NameTooLongError):
        volume.symlink("x" * 1024, "/link")
    for target in ("", "a\0b"):
        with pytest.raises(PathError):
            volume.symlink(target, "/link")


def test_an_inode_has_at_most_65500_names() -> None:
    tree: dict[str, Member] = {"a": b"a", **{f"d/{number:05}": HardLink("a") for number in range(65498)}}
    image = make(tree, Options(block_size=32768), size=32 * MEBIBYTE)
    volume = WritableUFS2.open(image)
    assert volume.stat("/a").st_nlink == 65499
    volume.link("/a", "/last")
    with pytest.raises(TooManyLinksError):
        volume.link("/a", "/more")
    with pytest.raises(TooManyLinksError):
        volume.rename("/a", "/more")
    assert volume.stat("/last").st_nlink == 65500
    volume.unlink("/last")
    volume.rename("/a", "/more")
    assert_clean(image)


@pytest.mark.slow
def test_a_directory_has_at_most_65498_subdirectories() -> None:
    tree: dict[str, Member] = {f"d/{number:05}": Directory() for number in range(65497)}
    options = Options(block_size=4096, density=2048)
    image = make(tree, options, size=384 * MEBIBYTE)
    volume = WritableUFS2.open(image)
    assert volume.stat("/d").st_nlink == 65499
    volume.mkdir("/e")
    volume.mkdir("/d/last")
    with pytest.raises(TooManyLinksError):
        volume.mkdir("/d/more")
    with pytest.raises(TooManyLinksError):
        volume.rename("/e", "/d/more")
    # In the place of another it brings no link.
    volume.rename("/e", "/d/last")
    assert_clean(image)


# Attributes


def test_attributes_are_set_and_times_kept_to_the_nanosecond() -> None:
    image = make({"dir/file": File(b"x", 0o640, mtime_ns=5), "link": Symlink("dir/file")})
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
    volume = WritableUFS2.open(make({"a": File(b"", mtime_ns=1000)}))
    volume.utime("/a", mtime_ns=2000)
    assert volume.stat("/a").st_birthtime_ns == 1000
    volume.utime("/a", mtime_ns=10)
    assert volume.stat("/a").st_birthtime_ns == 10


def test_the_same_operations_give_the_same_bytes() -> None:
    def image() -> bytes:
        data = make({"a": b"a"})
        with UFS2.open(data, mode="r+") as volume:
            volume.mkdir("/b")
            volume.write_file("/b/c", pattern(70_000))
            volume.unlink("/a")
            volume.write_file("/a", b"new")
        return bytes(data)

    assert image() == image()


def test_generations_rise_when_an_inode_is_used_again() -> None:
    volume = WritableUFS2.open(make())
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
    image = make({"a": pattern(70_000), "dir": Directory(), "link": Symlink("a")}, options)
    volume = WritableUFS2.open(image)
    before = used(volume)
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
    frag, after = volume.superblock.fs_frag, used(volume)
    assert (after[0], after[2]) == (before[0] - 1, before[2] + 1)
    assert after[1] * frag + after[3] == before[1] * frag + before[3] + 1


# Full


def test_a_full_file_system_says_so_and_stays_clean() -> None:
    image = make({}, Options(block_size=4096, minfree=0), size=4 * MEBIBYTE)
    volume = WritableUFS2.open(image)
    before = used(volume)
    volume.mkdir("/d")
    with pytest.raises(NoSpaceError):
        for number in range(100_000):
            volume.write_file(f"/d/{number}", pattern(100_000))
    assert_clean(image)
    with pytest.raises(NoSpaceError):
        for number in range(100_000):
            volume.write_file(f"/d/small{number}", b"x")
    assert used(volume)[1] == used(volume)[3] == 0
    assert_clean(image)
    state = bytes(image)
    operations: list[Callable[[], None]] = [
        lambda: volume.mkdir("/e"),
        lambda: volume.symlink("x" * 120, "/e"),
        lambda: volume.truncate("/d/0", 10 * MEBIBYTE),
    ]
    for operation in operations:
        with pytest.raises(NoSpaceError) as caught:
            operation()
        assert caught.value.errno == 28
    assert bytes(image) == state
    for name in volume.listdir("/d"):
        volume.unlink(f"/d/{name}")
    volume.rmdir("/d")
    assert used(volume) == before
    assert_clean(image)


def test_a_write_that_does_not_fit_changes_nothing() -> None:
    image = make({"a": pattern(50_000)}, Options(block_size=4096, minfree=0), size=4 * MEBIBYTE)
    volume = WritableUFS2.open(image)
    with volume.open_file("/a", "r+b") as file, pytest.raises(NoSpaceError):
        file.write(bytes(8 * MEBIBYTE))
    assert volume.read_file("/a") == pattern(50_000)
    assert_clean(image)


def test_minfree_is_kept_but_for_the_superuser() -> None:
    image = make({}, Options(block_size=4096, minfree=20), size=8 * MEBIBYTE)
    volume = WritableUFS2.open(image)
    with pytest.raises(NoSpaceError, match="minfree"):
        for number in range(100_000):
            volume.write_file(f"/{number}", pattern(8192))
    total, fs = volume.superblock.fs_cstotal, volume.superblock
    free = total.cs_nbfree * fs.fs_frag + total.cs_nffree
    assert 0 <= free - fs.fs_dsize * 20 // 100 < 2 * fs.fs_frag
    with WritableUFS2.open(image, use_reserve=True) as other, pytest.raises(NoSpaceError) as caught:
        for number in range(100_000):
            other.write_file(f"/more{number}", pattern(4096))
    assert "minfree" not in str(caught.value)
    assert other.superblock.fs_cstotal.cs_nbfree == 0
    assert_clean(image)


def test_all_inodes_in_use() -> None:
    image = make({}, Options(block_size=4096, density=65536), size=8 * MEBIBYTE)
    volume = WritableUFS2.open(image)
    count = used(volume)[2]
    for number in range(count):
        volume.open_file(f"/{number}", "xb").close()
    # Inodes were initialised block by block, in every group.
    assert_clean(image)
    for operation in (
        lambda: volume.mkdir("/more"),
        lambda: volume.symlink("a", "/more"),
        lambda: volume.open_file("/more", "wb"),
    ):
        with pytest.raises(NoSpaceError, match="inode"):
            operation()
    volume.link("/0", "/more")
    volume.unlink("/1")
    volume.mkdir("/dir")
    assert_clean(image)
    assert used(volume)[2] == 0


def test_a_full_group_overflows_into_the_next() -> None:
    image = make({}, Options(block_size=4096), size=32 * MEBIBYTE)
    volume = WritableUFS2.open(image)
    geometry = volume.geometry
    size = geometry.group_fragments * geometry.fragment_size * 3 // 2
    volume.write_file("/f", pattern(size))
    groups = {offset // geometry.fragment_size // geometry.group_fragments for offset, _ in volume.extents("/f")}
    assert len(groups) >= 2
    assert volume.read_file("/f") == pattern(size)
    assert_clean(image)


def test_directories_are_spread_over_groups() -> None:
    volume = WritableUFS2.open(make({}, Options(block_size=4096), size=32 * MEBIBYTE))
    for number in range(8):
        volume.mkdir(f"/{number}")
        volume.write_file(f"/{number}/file", b"x")
    groups = [volume.find(f"/{number}") // volume.geometry.group_inodes for number in range(8)]
    assert len(set(groups)) >= 3
    near = [volume.find(f"/{number}/file") // volume.geometry.group_inodes for number in range(8)]
    assert near == groups


# Open files


def test_modes_are_those_of_open() -> None:
    image = make({"a": b"content", "dir": Directory(), "link": Symlink("dir/new")})
    volume = WritableUFS2.open(image)
    with volume.open_file("/a") as file:
        assert (file.readable(), file.writable(), file.seekable()) == (True, False, True)
        with pytest.raises(io.UnsupportedOperation):
            file.write(b"x")
        with pytest.raises(io.UnsupportedOperation):
            file.truncate(0)
    with volume.open_file("/a", "r+b") as file:
        assert (file.read(3), file.write(b"!!"), file.tell(), file.read()) == (b"con", 2, 5, b"nt")
        assert file.truncate() == 7
        assert file.truncate(4) == 4
        assert (file.tell(), file.seek(0, os.SEEK_END), file.size) == (7, 4, 4)
    with volume.open_file("/a", "ab") as file:
        with pytest.raises(io.UnsupportedOperation):
            file.read()
        file.seek(0)
        file.write(b"end")
        assert file.tell() == 7
    assert volume.read_file("/a") == b"con!end"
    with pytest.raises(FileExistsError):
        volume.open_file("/a", "xb")
    with volume.open_file("/a", "w+b") as file:
        assert file.read() == b""
        file.write(b"new")
        file.seek(0)
        assert file.read() == b"new"
    with pytest.raises(ValueError, match="closed"):
        file.write(b"")
    # Through a link that leads nowhere yet; but "x" does not follow it.
    with pytest.raises(FileExistsError):
        volume.open_file("/link", "xb")
    volume.write_file("/link", b"made")
    assert volume.read_file("/dir/new") == b"made"
    for mode in ("rb+x", "z", "", "wr"):
        with pytest.raises(OptionError):
            volume.open_file("/a", mode)
    for path in ("/dir", "/"):
        with pytest.raises(IsADirectoryError):
            volume.open_file(path, "wb")
    with pytest.raises(FileNotFoundError):
        volume.open_file("/none", "r+b")
    with pytest.raises(OptionError):
        UFS2.open(image, mode="w")  # type: ignore[call-overload] # the point
    assert_clean(image)


def test_an_open_file_sees_changes_and_its_own_end() -> None:
    volume = WritableUFS2.open(make({"a": b"old"}))
    reader = volume.open_file("/a")
    assert reader.read() == b"old"
    volume.write_file("/a", b"newer")
    assert (reader.seek(0), reader.read(), reader.size) == (0, b"newer", 5)
    volume.rename("/a", "/b")
    assert reader.read_at(0, 9) == b"newer"
    writer = volume.open_file("/b", "r+b")
    volume.unlink("/b")
    volume.write_file("/c", b"in its inode")
    for use in (lambda: reader.read_at(0, 9), lambda: writer.write(b"x"), lambda: writer.truncate(0)):
        with pytest.raises(StaleFileError):
            use()
    assert volume.read_file("/c") == b"in its inode"


def test_buffered_and_text_layers_work() -> None:
    image = make()
    volume = WritableUFS2.open(image)
    with io.TextIOWrapper(io.BufferedWriter(volume.open_file("/t", "xb")), encoding="utf-8") as text:
        for number in range(1000):
            text.write(f"line {number}\n")
    with io.TextIOWrapper(io.BufferedReader(volume.open_file("/t")), encoding="utf-8") as text:
        assert [line.strip() for line in text] == [f"line {number}" for number in range(1000)]
    assert_clean(image)


def test_threads_share_a_volume() -> None:
    image = make({}, Options(block_size=4096), size=32 * MEBIBYTE)
    volume = WritableUFS2.open(image)
    volume.write_file("/log", b"")
    log = volume.open_file("/log", "ab")
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            volume.mkdir(f"/{number}")
            for step in range(25):
                path = f"/{number}/{step}"
                volume.write_file(path, pattern(3000 * step, number))
                log.write(b"%03d" % number)
                assert volume.read_file(path) == pattern(3000 * step, number)
                list(volume.walk(f"/{number}"))
                if step % 3:
                    volume.rename(path, f"/{number}/renamed{step}")
                else:
                    volume.unlink(path)
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    content = volume.read_file("/log")
    assert sorted(content[at : at + 3] for at in range(0, len(content), 3)) == [
        b"%03d" % number for number in range(6) for _ in range(25)
    ]
    assert_clean(image)


# Where the file system is, and whether it may be written


def test_a_partition_of_a_file_is_changed_in_place(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(b"\xaa" * MEBIBYTE + make({"a": b"a"}) + b"\xbb" * 512)
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
    with pytest.raises(io.UnsupportedOperation), UFS2.open(bytes(make()), mode="r+") as volume:
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
    editor = Editor(bytes(make()))
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
    editor = Editor(bytes(make({"a": b"a"})))
    damage(editor)
    before = bytes(editor.data)
    with pytest.raises(GroupError), WritableUFS2.open(editor.data) as volume:
        volume.write_file("/b", b"")
    assert bytes(editor.data) == before


def test_blocks_marked_free_are_not_given_back_twice() -> None:
    editor = Editor(bytes(make({"a": pattern(30_000), "b": pattern(30_000)})))
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
    editor = Editor(bytes(make({"a": pattern(30_000)})))
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
    editor = Editor(bytes(make({"b": b"b"})))
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
    image = bytearray(sample_image(Options(block_size=block_size)))
    volume = WritableUFS2.open(image)
    for path, directories, others in reversed(list(volume.walk())):
        for entry in others:
            volume.unlink(entry.path)
        for entry in directories:
            volume.rmdir(entry.path)
        assert volume.listdir(path) == []
    assert_clean(image)
    empty = UFS2.open(image_of({}, Options(block_size=block_size), size=len(image)))
    assert used(volume)[0] == 1
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
