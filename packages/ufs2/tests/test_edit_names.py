"""Writing in place: directories, renames, links."""

from __future__ import annotations

import itertools
import os
import stat
from pathlib import Path

import pytest

from cloudboot_base.testing import judge, run
from cloudboot_ufs2 import (
    UFS2,
    Directory,
    DirectoryNotEmptyError,
    HardLink,
    NameTooLongError,
    Options,
    PathError,
    SourceError,
    Symlink,
    SymlinkLoopError,
    TooManyLinksError,
    WritableUFS2,
    check,
)
from cloudboot_ufs2.builder.members import Member
from cloudboot_ufs2.testing import assert_clean, editable_image, image_of, pattern, totals

MEBIBYTE = 1 << 20


# Directories


def test_a_directory_grows_into_indirect_blocks_and_shrinks_again(tmp_path: Path) -> None:
    image = editable_image({}, Options(block_size=4096, fragment_size=512, density=2048), size=32 * MEBIBYTE)
    volume = WritableUFS2.open(image)
    volume.mkdir("/d")
    before = totals(volume)
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
    assert totals(volume) == before
    assert_clean(image)


def test_freed_room_in_a_directory_is_used_again() -> None:
    image = editable_image()
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
    image = editable_image()
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
    image = editable_image()
    volume = WritableUFS2.open(image)
    name = os.fsdecode(b"\xff\xfe")
    volume.write_file(f"/{name}", b"1")
    assert volume.listdir("/") == [name]
    assert b"\xff\xfe" in volume.entries(2)


@pytest.mark.parametrize("path", ["", "/", "/.", "/..", "/a/..", "/a/.", "nul\0"])
def test_paths_without_a_last_name_are_refused(path: str) -> None:
    volume = WritableUFS2.open(editable_image({"a/b": b""}))
    for operation in (volume.mkdir, volume.rmdir, volume.unlink, lambda path: volume.rename("/a/b", path)):
        with pytest.raises(PathError):
            operation(path)


def test_parents_must_be_directories_that_exist() -> None:
    image = editable_image({"file": b"", "link": Symlink("/dir"), "dir": Directory(), "loop": Symlink("loop")})
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
    image = editable_image({"a/b/c/d": b"", "x/y/z/e": b""})
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
    image = editable_image({
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
    image = editable_image({"a": pattern(100_000)})
    volume = WritableUFS2.open(image)
    free = totals(volume)[1]
    volume.link("/a", "/b")
    volume.unlink("/a")
    assert volume.read_file("/b") == pattern(100_000)
    assert (volume.stat("/b").st_nlink, totals(volume)[1]) == (1, free)
    volume.unlink("/b")
    assert totals(volume)[1] > free
    assert_clean(image)


def test_links_to_links_and_not_to_directories() -> None:
    image = editable_image({"link": Symlink("dir"), "dir": Directory()})
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
        image = editable_image(
            {}, Options(block_size=4096, fragment_size=512, byteorder="big" if order == "big" else "little")
        )
        volume = WritableUFS2.open(image)
        before = totals(volume)
        target = "".join(itertools.islice(itertools.cycle("0123456789abc"), length))
        volume.symlink(target, "/link", 0o700, uid=5, gid=6)
        assert volume.readlink("/link") == UFS2.open(image).readlink("/link") == target
        found = volume.stat("/link", follow_symlinks=False)
        assert (found.st_blocks, found.st_uid, found.st_gid) == (0 if length < 120 else -(-length // 512), 5, 6)
        assert_clean(image)
        volume.unlink("/link")
        assert totals(volume) == before
        assert_clean(image)


def test_a_target_has_1_to_1023_bytes() -> None:
    volume = WritableUFS2.open(editable_image())
    with pytest.raises(NameTooLongError):
        volume.symlink("x" * 1024, "/link")
    for target in ("", "a\0b"):
        with pytest.raises(PathError):
            volume.symlink(target, "/link")


@pytest.mark.parametrize(("freebsd", "most"), [(14, 32767), pytest.param(15, 65500, marks=pytest.mark.slow)])
def test_an_inode_has_as_many_names_as_freebsd_counts(freebsd: int, most: int) -> None:
    tree: dict[str, Member] = {"a": b"a", **{f"d/{number:05}": HardLink("a") for number in range(most - 2)}}
    image = editable_image(tree, Options(block_size=32768, freebsd=freebsd), size=32 * MEBIBYTE)
    with pytest.raises(SourceError, match="links"):
        image_of({**tree, "b": HardLink("a"), "c": HardLink("a")}, Options(freebsd=freebsd))
    volume = WritableUFS2.open(image, freebsd=freebsd)
    assert volume.stat("/a").st_nlink == most - 1
    volume.link("/a", "/last")
    with pytest.raises(TooManyLinksError):
        volume.link("/a", "/more")
    # With one write a name changes where it stands; to another directory it needs a second one for a moment.
    with pytest.raises(TooManyLinksError):
        volume.rename("/a", "/d/more")
    volume.rename("/a", "/b")
    assert volume.stat("/last").st_nlink == most
    assert [found.kind for found in check(image)] == ([] if freebsd == 14 else ["inode-too-many-links"])
    assert check(image, freebsd=freebsd) == []
    volume.unlink("/last")
    volume.rename("/b", "/d/more")
    assert check(image, freebsd=freebsd) == []


@pytest.mark.slow
def test_a_directory_has_as_many_subdirectories_as_freebsd_counts() -> None:
    tree: dict[str, Member] = {f"d/{number:05}": Directory() for number in range(32764)}
    options = Options(block_size=4096, fragment_size=512, density=2048)
    image = editable_image(tree, options, size=192 * MEBIBYTE)
    volume = WritableUFS2.open(image)
    assert volume.stat("/d").st_nlink == 32766
    volume.mkdir("/e")
    volume.mkdir("/d/last")
    with pytest.raises(TooManyLinksError):
        volume.mkdir("/d/more")
    with pytest.raises(TooManyLinksError):
        volume.rename("/e", "/d/more")
    # In the place of another it brings no link.
    volume.rename("/e", "/d/last")
    assert_clean(image)
