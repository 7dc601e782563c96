"""Writing in place: the blocks of files, at every boundary, and open files."""

from __future__ import annotations

import io
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import cloudboot_ufs2 as ufs2
from cloudboot_base.testing import judge, run
from cloudboot_ufs2 import (
    Directory,
    FileTooLargeError,
    NoSpaceError,
    OptionError,
    Options,
    StaleFileError,
    Symlink,
    WritableUFS2,
)
from cloudboot_ufs2.testing import assert_clean, editable_image, pattern, totals

MEBIBYTE = 1 << 20
BLOCK_SIZES = (4096, 8192, 16384, 32768, 65536)


# Every tier of blocks


def tier_sizes(bsize: int) -> list[int]:
    pointers = bsize // 8
    edges = [bsize, 11 * bsize, 12 * bsize, (12 + pointers) * bsize]
    return [edge + step for edge in edges for step in (-1, 0, 1)]


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("block_size", BLOCK_SIZES)
def test_files_at_every_tier_boundary_are_written_read_and_given_back(block_size: int, order: str) -> None:
    options = Options(
        block_size=block_size, fragment_size=block_size // 8, byteorder="big" if order == "big" else "little"
    )
    image = editable_image({"dir/a": b"a"}, options, size=max(16 * MEBIBYTE, 1024 * block_size))
    with WritableUFS2.open(image) as volume:
        before = totals(volume)
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
            assert totals(volume) == before


@pytest.mark.parametrize("block_size", BLOCK_SIZES)
def test_all_three_indirect_tiers_are_taken_and_given_back(block_size: int) -> None:
    image = editable_image(
        {}, Options(block_size=block_size, fragment_size=block_size // 8), size=max(8 * MEBIBYTE, 512 * block_size)
    )
    volume = WritableUFS2.open(image)
    before = totals(volume)
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
    assert totals(volume) == before
    assert_clean(image)


def test_no_file_is_larger_than_its_pointers_reach() -> None:
    image = editable_image()
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
    image = editable_image({"a": b"a", "b": b"b"}, Options(block_size=4096, fragment_size=fragment))
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
    volume = WritableUFS2.open(editable_image({"a": b"a" * 4096}))
    volume.truncate("/a", 512)
    before = volume.extents("/a")[0][0]
    with volume.open_file("/a", "ab") as file:
        for _ in range(7):
            file.write(b"b" * 512)
    assert volume.extents("/a") == [(before, 4096)]


def test_what_was_cut_off_reads_as_zeros_when_the_file_grows_again() -> None:
    image = editable_image({"a": b"secret" * 2000})
    volume = WritableUFS2.open(image)
    for size in (7000, 4097, 4096, 1000, 3):
        volume.truncate("/a", size)
        volume.truncate("/a", 12000)
        assert volume.read_file("/a") == (b"secret" * 2000)[:size] + bytes(12000 - size)
        assert_clean(image)


def test_growing_leaves_a_hole_and_shrinking_into_it_keeps_one() -> None:
    image = editable_image()
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
    image = editable_image()
    volume = WritableUFS2.open(image)
    data = bytearray(40 * 4096 + 100)
    data[4096 * 3 : 4096 * 4] = pattern(4096)
    data[4096 * 17 + 5] = 1
    assert volume.write_file("/bytes", data, sparse=True) == len(data)
    assert volume.write_file("/file", io.BytesIO(data), sparse=True) == len(data)
    with tempfile.NamedTemporaryFile() as temporary:
        temporary.write(data)
        temporary.seek(0)
        assert volume.write_file("/full", temporary) == len(data)
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
    image = editable_image()
    volume = WritableUFS2.open(image)
    assert volume.write_file("/f", host) == 3 * MEBIBYTE
    assert volume.read_file("/f") == host.read_bytes()
    assert volume.stat("/f").st_blocks <= host.stat().st_blocks + 5 * 8
    (tmp_path / "image").write_bytes(image)
    run(judge("grub-fstest", "grub-common"), tmp_path / "image", "cmp", "(loop0)/f", host)
    assert_clean(image)


def test_a_large_file_is_one_run_where_there_is_room() -> None:
    image = editable_image({}, Options(), size=64 * MEBIBYTE)
    volume = WritableUFS2.open(image)
    volume.write_file("/f", pattern(10 * MEBIBYTE))
    assert len(volume.extents("/f")) <= 2
    assert_clean(image)


# Full


def test_a_full_file_system_says_so_and_stays_clean() -> None:
    image = editable_image({}, Options(block_size=4096, fragment_size=512, minfree=0), size=4 * MEBIBYTE)
    volume = WritableUFS2.open(image)
    before = totals(volume)
    volume.mkdir("/d")
    with pytest.raises(NoSpaceError):
        for number in range(100_000):
            volume.write_file(f"/d/{number}", pattern(100_000))
    assert_clean(image)
    for size in (4096, 1):
        with pytest.raises(NoSpaceError):
            for number in range(100_000):
                volume.write_file(f"/d/{size}-{number}", b"x" * size)
    assert totals(volume)[1] == totals(volume)[3] == 0
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
    assert totals(volume) == before
    assert_clean(image)


def test_a_write_that_does_not_fit_changes_nothing() -> None:
    image = editable_image(
        {"a": pattern(50_000)}, Options(block_size=4096, fragment_size=512, minfree=0), size=4 * MEBIBYTE
    )
    volume = WritableUFS2.open(image)
    with volume.open_file("/a", "r+b") as file, pytest.raises(NoSpaceError):
        file.write(bytes(8 * MEBIBYTE))
    assert volume.read_file("/a") == pattern(50_000)
    assert_clean(image)


def test_minfree_is_kept_but_for_the_superuser() -> None:
    image = editable_image({}, Options(block_size=4096, fragment_size=512, minfree=20), size=8 * MEBIBYTE)
    volume = WritableUFS2.open(image)
    with pytest.raises(NoSpaceError, match="minfree"):
        for number in range(100_000):
            volume.write_file(f"/{number}", pattern(8192))
    total, fs = volume.superblock.fs_cstotal, volume.superblock
    free = total.cs_nbfree * fs.fs_frag + total.cs_nffree
    assert 0 <= free - fs.fs_dsize * 20 // 100 < 2 * fs.fs_frag + 1  # a file, and the directory that grows
    with WritableUFS2.open(image, use_reserve=True) as other, pytest.raises(NoSpaceError) as caught:
        for number in range(100_000):
            other.write_file(f"/more{number}", pattern(4096))
    assert "minfree" not in str(caught.value)
    assert other.superblock.fs_cstotal.cs_nbfree == 0
    assert_clean(image)


def test_all_inodes_in_use() -> None:
    image = editable_image({}, Options(block_size=4096, fragment_size=512, density=65536), size=8 * MEBIBYTE)
    volume = WritableUFS2.open(image)
    count = totals(volume)[2]
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
    assert totals(volume)[2] == 0


def test_a_full_group_overflows_into_the_next() -> None:
    image = editable_image({}, Options(block_size=4096, fragment_size=512), size=32 * MEBIBYTE)
    volume = WritableUFS2.open(image)
    geometry = volume.geometry
    size = geometry.group_fragments * geometry.fragment_size * 3 // 2
    volume.write_file("/f", pattern(size))
    groups = {offset // geometry.fragment_size // geometry.group_fragments for offset, _ in volume.extents("/f")}
    assert len(groups) >= 2
    assert volume.read_file("/f") == pattern(size)
    assert_clean(image)


def test_directories_are_spread_over_groups() -> None:
    volume = WritableUFS2.open(editable_image({}, Options(block_size=4096, fragment_size=512), size=32 * MEBIBYTE))
    for number in range(8):
        volume.mkdir(f"/{number}")
        volume.write_file(f"/{number}/file", b"x")
    groups = [volume.find(f"/{number}") // volume.geometry.group_inodes for number in range(8)]
    assert len(set(groups)) >= 3
    near = [volume.find(f"/{number}/file") // volume.geometry.group_inodes for number in range(8)]
    assert near == groups


# Open files


def test_modes_are_those_of_open() -> None:
    image = editable_image({"a": b"content", "dir": Directory(), "link": Symlink("dir/new")})
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
        ufs2.open(image, "w")  # type: ignore[call-overload] # the point
    assert_clean(image)


def test_a_file_system_is_opened_to_be_read_or_changed() -> None:
    image = editable_image({"a": b"old"})
    with ufs2.open(image, "r+") as volume:
        assert isinstance(volume, WritableUFS2)
        volume.write_file("/a", b"new")
    with ufs2.open(image) as found:
        assert not isinstance(found, WritableUFS2)
        assert found.read_file("/a") == b"new"
    with ufs2.open(bytes(3000) + image, offset=3000, size=len(image)) as found:
        assert found.read_file("/a") == b"new"
    assert_clean(image)


def test_an_open_file_sees_changes_and_its_own_end() -> None:
    volume = WritableUFS2.open(editable_image({"a": b"old"}))
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
    image = editable_image()
    volume = WritableUFS2.open(image)
    with io.TextIOWrapper(io.BufferedWriter(volume.open_file("/t", "xb")), encoding="utf-8") as text:
        for number in range(1000):
            text.write(f"line {number}\n")
    with io.TextIOWrapper(io.BufferedReader(volume.open_file("/t")), encoding="utf-8") as text:
        assert [line.strip() for line in text] == [f"line {number}" for number in range(1000)]
    assert_clean(image)


def test_threads_share_a_volume() -> None:
    image = editable_image({}, Options(block_size=4096, fragment_size=512), size=32 * MEBIBYTE)
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
