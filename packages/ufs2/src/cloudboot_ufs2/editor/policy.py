"""Which cylinder group: what ffs_alloc.c does in a file system that is in use.

Where the kernel takes chance, at which group the search for a directory of the root begins, this takes the number of
directories, so that the same operations give the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cloudboot_ufs2.layout.records import Csum, CsumTotal, Fs

_MOST = 255  # fs_contigdirs counts in an octet


def around(start: int, count: int) -> Iterator[int]:
    """All of ``count`` groups, from ``start`` on."""
    return ((start + step) % count for step in range(count))


def overflow(group: int, count: int) -> Iterator[int]:
    """Where to look for what ``group`` has no room for (ffs_hashalloc): at growing distances, then everywhere."""
    yield group
    step, at = 1, group
    while step < count:
        at = (at + step) % count
        yield at
        step *= 2
    yield from ((group + step) % count for step in range(2, count))


def roomy_group(start: int, counts: Sequence[Csum], total: CsumTotal) -> int:
    """The first group from ``start`` on with as many free blocks as the average: where a long file goes on."""
    count = len(counts)
    average = total.cs_nbfree // count
    return next((group for group in around(start % count, count) if counts[group].cs_nbfree >= average), start % count)


def directory_group(
    fs: Fs, counts: Sequence[Csum], total: CsumTotal, recent: Sequence[int], parent: int, *, of_root: bool
) -> int:
    """The group a new directory should be in (ffs_dirpref).

    Args:
        fs: the superblock.
        counts: what each group has.
        total: what all have.
        recent: of each group, the directories made there with no file made since (fs_contigdirs).
        parent: the group of the directory above.
        of_root: whether that is the root; then the new one goes where there are fewest.
    """
    count = len(counts)
    inodes, blocks, directories = (number // count for number in (total.cs_nifree, total.cs_nbfree, total.cs_ndir))
    if of_root:
        start = total.cs_ndir % count
        roomy = [
            group
            for group in around(start, count)
            if counts[group].cs_nifree >= inodes and counts[group].cs_nbfree >= blocks
        ]
        return min(roomy, key=lambda group: counts[group].cs_ndir, default=start)
    most_directories = min(directories + fs.fs_ipg // 16, fs.fs_ipg)
    least_inodes, least_blocks = max(1, inodes - inodes // 4), max(1, blocks - blocks // 4)
    most_recent = _most_recent(fs, blocks, directories)
    for group in around(parent, count):
        each = counts[group]
        if (
            each.cs_ndir < most_directories
            and each.cs_nifree >= least_inodes
            and each.cs_nbfree >= least_blocks
            and recent[group] < most_recent
        ):
            return group
    return next((group for group in around(parent, count) if counts[group].cs_nifree >= inodes), parent)


def _most_recent(fs: Fs, blocks: int, directories: int) -> int:
    """How many directories may be made in a group one after another; ``blocks`` and ``directories`` are averages."""
    size = fs.fs_avgfilesize * fs.fs_avgfpdir
    if directories:
        size = max(size, (fs.fs_fsize * fs.fs_fpg - blocks * fs.fs_bsize) // directories)
    most = min(blocks * fs.fs_bsize // size, _MOST) if size > 0 else 0
    if fs.fs_avgfpdir > 0:
        most = min(most, fs.fs_ipg // fs.fs_avgfpdir)
    return max(1, most)


def count_recent(recent: list[int], group: int, *, is_directory: bool) -> None:
    """Note that an inode was wanted in ``group`` (ffs_valloc)."""
    recent[group] = min(_MOST, recent[group] + 1) if is_directory else max(0, recent[group] - 1)
