"""What newfs(8) can be told, with its defaults."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from cloudboot_base.lightdata import dataclass
from cloudboot_ufs2.errors import OptionError

from .constants import (
    DEV_BSIZE,
    FS_DOSOFTDEP,
    FS_GJOURNAL,
    FS_MAXCONTIG,
    FS_METACKHASH,
    FS_MULTILABEL,
    FS_OPTSPACE,
    FS_OPTTIME,
    FS_SUJ,
    FS_TRIM,
    MAXBSIZE,
    MAXFRAG,
    MAXVOLLEN,
    MINBSIZE,
    SUJ_MIN,
    UFS_LINK_MAX,
    UFS_LINK_MAX_SIGNED,
    UFS_LINK_MAX_SINCE,
)  # fmt: skip

if TYPE_CHECKING:
    from cloudboot_records import ByteOrder

DEFAULT_MINFREE = 8
DEFAULT_FRAGMENT = 4096
LARGEST_SECTOR = 8192  # a superblock fills a sector, and has no more than this
_LABEL = re.compile(r"[A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a file system is laid out. The letters are newfs(8)'s options.

    ``fragment_size`` defaults to 4096 bytes where a block can have such fragments, else to the nearest to it, and
    ``density`` (bytes per inode) to two fragments. ``timestamp`` (seconds) is the volume's; it and ``fs_id`` are the
    only things newfs takes from the clock and from chance, so here they are given, or derived from the other options.

    Raises:
        OptionError: a value newfs would refuse.
    """

    block_size: int = 32768  #: -b
    fragment_size: int | None = None  #: -f
    density: int | None = None  #: -i, bytes per inode
    label: str = ""  #: -L
    minfree: int = DEFAULT_MINFREE  #: -m, per cent
    optimize: Literal["time", "space"] | None = None  #: -o; below 8 % minfree newfs switches to space
    max_contiguous: int | None = None  #: -a, blocks
    max_extent: int | None = None  #: -d, bytes
    max_blocks_per_group: int | None = None  #: -e, blocks of one file in one group
    group_blocks: int | None = None  #: -c, the upper limit of fragments in a group
    average_file_size: int = 16384  #: -g
    average_files_per_directory: int = 64  #: -h
    metadata_space: int | None = None  #: -k, fragments of each group kept for metadata
    soft_updates: bool = False  #: -U
    soft_updates_journal: bool = False  #: -j, which implies -U
    journal_size: int | None = None  #: bytes; tunefs -S
    gjournal: bool = False  #: -J
    multilabel: bool = False  #: -l
    trim: bool = False  #: -t
    snap_directory: bool = True  #: not -n; only newfs makes one, never build
    check_hash: bool = True
    sector_size: int = DEV_BSIZE  #: -S, bytes
    timestamp: int | None = None
    fs_id: tuple[int, int] | None = None
    byteorder: ByteOrder = "little"
    freebsd: int = 14  #: the oldest FreeBSD that is to read it, which limits links

    def __post_init__(self) -> None:
        _power_of_two("block_size", self.block_size, MINBSIZE, MAXBSIZE)
        _power_of_two("sector_size", self.sector_size, DEV_BSIZE, LARGEST_SECTOR)
        least = max(self.sector_size, self.block_size // MAXFRAG)
        _power_of_two("fragment_size", self.fragment, least, self.block_size)
        _in_range("minfree", self.minfree, 0, 99)
        if self.density is not None:
            _in_range("density", self.density, 1, 2**31 - 1)
        if self.max_contiguous is not None:
            _in_range("max_contiguous", self.max_contiguous, 1, 256)
        if self.max_extent is not None:
            _in_range("max_extent", self.max_extent, 1, 2**31 - 1)
        _in_range("freebsd", self.freebsd, 5, 99)
        if self.max_blocks_per_group is not None:
            _in_range("max_blocks_per_group", self.max_blocks_per_group, 1, 2**31 - 1)
        if self.group_blocks is not None:
            _in_range("group_blocks", self.group_blocks, 1, 2**31 - 1)
        if self.metadata_space is not None:
            _in_range("metadata_space", self.metadata_space, 0, 2**31 - 1)
        if self.journal_size is not None:
            _in_range("journal_size", self.journal_size, SUJ_MIN, 2**63 - 1)
        _in_range("average_file_size", self.average_file_size, 1, 2**31 - 1)
        _in_range("average_files_per_directory", self.average_files_per_directory, 1, 2**31 - 1)
        _in_range("timestamp", self.time, -(2**63), 2**63 - 1)
        if self.optimize not in (None, "time", "space"):
            raise OptionError("unknown optimisation", field="optimize", expected="time or space", actual=self.optimize)
        if self.byteorder not in ("little", "big"):
            raise OptionError("unknown byte order", field="byteorder", actual=self.byteorder)
        if not _LABEL.fullmatch(self.label) or len(self.label) >= MAXVOLLEN:
            raise OptionError(
                "a label has at most 31 letters, digits, dashes and underscores", field="label", actual=self.label
            )

    @property
    def fragment(self) -> int:
        """The fragment size in bytes."""
        if self.fragment_size is not None:
            return self.fragment_size
        return min(max(DEFAULT_FRAGMENT, self.sector_size, self.block_size // MAXFRAG), self.block_size)

    @property
    def extent(self) -> int:
        """``fs_maxbsize``: the largest extent; what cannot be is changed to what can, as mkfs.c does."""
        wanted = self.block_size if self.max_extent is None else self.max_extent
        if wanted < self.block_size or wanted & (wanted - 1):
            return self.block_size
        return min(wanted, FS_MAXCONTIG * self.block_size)

    @property
    def notices(self) -> list[str]:
        """What was asked for and is done otherwise."""
        if self.max_extent in (None, self.extent):
            return []
        return [f"extent size {'reduced' if self.extent < (self.max_extent or 0) else 'set'} to {self.extent}"]

    @property
    def link_max(self) -> int:
        """The most links of a file or directory: ``di_nlink`` is signed before FreeBSD 15."""
        return link_max(self.freebsd)

    @property
    def time(self) -> int:
        """The volume's time, in seconds."""
        return 0 if self.timestamp is None else self.timestamp

    @property
    def optimization(self) -> int:
        """``fs_optim``; newfs.c gives up time for space when little is kept free, unless told."""
        if self.minfree < DEFAULT_MINFREE or self.optimize == "space":
            return FS_OPTSPACE
        return FS_OPTTIME

    @property
    def flags(self) -> int:
        """``fs_flags``."""
        chosen = (
            (self.soft_updates or self.soft_updates_journal, FS_DOSOFTDEP),
            (self.soft_updates_journal, FS_SUJ),
            (self.gjournal, FS_GJOURNAL),
            (self.multilabel, FS_MULTILABEL),
            (self.trim, FS_TRIM),
            (self.check_hash, FS_METACKHASH),
        )
        return sum(flag for wanted, flag in chosen if wanted)


def link_max(freebsd: int) -> int:
    """``UFS_LINK_MAX`` of a version of FreeBSD (ufs/ufs/dinode.h)."""
    return UFS_LINK_MAX if freebsd >= UFS_LINK_MAX_SINCE else UFS_LINK_MAX_SIGNED


def _power_of_two(field: str, value: int, low: int, high: int) -> None:
    if value & (value - 1) or not low <= value <= high:
        raise OptionError("not possible", field=field, expected=f"a power of two from {low} to {high}", actual=value)


def _in_range(field: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise OptionError("out of range", field=field, expected=f"{low} to {high}", actual=value)
