"""Where things go in a file system that is in use: the rules of FreeBSD's ffs_alloc.c, worked out by hand."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from cloudboot_ufs2 import NoSpaceError, Options, WritableUFS2, check
from cloudboot_ufs2.editor.policy import directory_group, overflow, roomy_group
from cloudboot_ufs2.layout.records import Csum, CsumTotal, Fs
from cloudboot_ufs2.testing import editable_image, pattern

OPTIONS = Options(block_size=4096, fragment_size=4096, density=4096, minfree=0, timestamp=1, snap_directory=False)


def group_of(volume: WritableUFS2, path: str) -> int:
    return volume.find(path) // volume.geometry.group_inodes


def block_groups(volume: WritableUFS2, path: str) -> list[int]:
    """The group of each block of a file."""
    blocks = -(-volume.stat(path).st_size // volume.geometry.block_size)
    return [volume.block_for_lbn(path, block) // volume.geometry.group_fragments for block in range(blocks)]


@pytest.mark.parametrize(
    ("group", "count", "expected"),
    [
        (0, 1, [0]),
        (2, 3, [2, 0, 2, 1]),  # 2; one further, then two further than that; then 2 + 2 = 1 (modulo 3)
        (0, 10, [0, 1, 3, 7, 5, 2, 3, 4, 5, 6, 7, 8, 9]),
    ],
)
def test_the_order_of_overflow(group: int, count: int, expected: list[int]) -> None:
    assert list(overflow(group, count)) == expected
    assert set(expected) == set(range(count))


def summary(*groups: tuple[int, int, int]) -> tuple[list[Csum], CsumTotal]:
    """Groups with these numbers of directories, free blocks and free inodes, and their totals."""
    counts = [Csum(cs_ndir=each[0], cs_nbfree=each[1], cs_nifree=each[2]) for each in groups]
    sums = [sum(column) for column in zip(*groups, strict=True)]
    return counts, CsumTotal(cs_ndir=sums[0], cs_nbfree=sums[1], cs_nifree=sums[2])


FS = Fs(fs_ipg=1600, fs_fpg=8000, fs_fsize=4096, fs_bsize=32768, fs_avgfilesize=16384, fs_avgfpdir=64)


def test_directories_of_the_root_go_where_there_are_fewest() -> None:
    counts, total = summary((1, 500, 1000), (3, 500, 1000), (0, 100, 1000), (2, 500, 1000))
    # Group 2 has fewest, but fewer free blocks than the average.
    assert directory_group(FS, counts, total, [0] * 4, 0, of_root=True) == 0


def test_other_directories_stay_near_their_parent() -> None:
    counts, total = summary(*[(5, 500, 1000)] * 4)
    assert directory_group(FS, counts, total, [0] * 4, 2, of_root=False) == 2
    # A directory is taken to hold 64 files of 16384 bytes, or what those there are hold: 3 MiB here. So 500 free
    # blocks of 32 KiB are room for 4 more in a row.
    held = (4096 * 8000 - 500 * 32768) // 5
    assert 500 * 32768 // max(held, 64 * 16384) == 5
    assert directory_group(FS, counts, total, [0, 0, 4, 0], 2, of_root=False) == 2
    assert directory_group(FS, counts, total, [0, 0, 5, 0], 2, of_root=False) == 3
    # Less than three quarters of the average is too few.
    counts, total = summary((5, 500, 1000), (5, 500, 1000), (5, 100, 1000), (5, 500, 700))
    assert directory_group(FS, counts, total, [0] * 4, 2, of_root=False) == 3
    # Where nothing suits, free inodes do.
    assert directory_group(FS, counts, total, [255] * 4, 3, of_root=False) == 0


def test_a_group_with_the_average() -> None:
    counts, total = summary((0, 10, 0), (0, 30, 0), (0, 20, 0))
    assert [roomy_group(start, counts, total) for start in (0, 1, 2, 3)] == [1, 1, 2, 1]


def test_what_a_group_has_no_room_for_goes_to_its_neighbours() -> None:
    image = editable_image({}, OPTIONS, size=16 << 20)
    with WritableUFS2.open(image) as volume:
        count = volume.geometry.group_count
        assert count >= 4
        volume.mkdir("/d")
        home = group_of(volume, "/d")
        number, used = 0, []
        with pytest.raises(NoSpaceError):
            while True:
                volume.write_file(f"/d/{number}", pattern(10 * 4096))
                used.append(block_groups(volume, f"/d/{number}")[0])
                number += 1
        # First their own group, then the others in the order of overflow, until all are full.
        assert list(dict.fromkeys(used)) == list(dict.fromkeys(overflow(home, count)))
        # The files' inodes stayed in the group of their directory.
        assert {group_of(volume, f"/d/{each}") for each in range(number)} == {home}
    assert check(image) == []


def test_a_long_file_goes_on_in_other_groups() -> None:
    options = Options(
        block_size=4096, fragment_size=4096, minfree=0, timestamp=1, max_blocks_per_group=64, density=65536
    )
    image = editable_image({}, options, size=40 << 20)
    with WritableUFS2.open(image) as volume:
        assert volume.superblock.fs_maxbpg == 64
        data = pattern((12 + 512 + 5 * 64) * 4096)
        volume.write_file("/long", data)
        groups = block_groups(volume, "/long")
        home, count = group_of(volume, "/long"), volume.geometry.group_count
        assert set(groups[: 12 + 512]) == {home}
        sections = [groups[start : start + 64] for start in range(12 + 512, len(groups), 64)]
        assert [len(set(section)) for section in sections] == [1] * 5
        # The sweep begins where the block's number says, but for the file's own group, which is fuller than the others
        # now; then it goes on behind the group of the block before.
        begin = home + (12 + 512) // 64
        assert sections[0][0] == next(group % count for group in range(begin, begin + count) if group % count != home)
        assert all(after[0] != before[0] for before, after in itertools.pairwise(sections))
        assert volume.read_file("/long") == data
    assert check(image) == []


def test_directories_of_the_root_are_spread() -> None:
    image = editable_image({}, OPTIONS, size=16 << 20)
    with WritableUFS2.open(image) as volume:
        count = volume.geometry.group_count
        for number in range(2 * count - 1):
            volume.mkdir(f"/{number}")
        spread = Counter(group_of(volume, f"/{number}") for number in range(2 * count - 1))
        # Group 0, which boots and holds the summary, has less than the average free.
        assert sorted(spread.values()) == [2, 2, 3]
        assert 0 not in spread
        # A directory below another stays with it, once that has files.
        for number in range(5):
            volume.write_file(f"/0/file{number}", b"")
        volume.mkdir("/0/below")
        assert group_of(volume, "/0/below") == group_of(volume, "/0")
    assert check(image) == []
