"""How much space contents take, and whether a file system has it; asked before anything changes."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from cloudboot_base.lightdata import NamedTuple
from cloudboot_ufs2.builder.allocate import indirect_blocks
from cloudboot_ufs2.builder.content import data_ranges, runs_without_zeros
from cloudboot_ufs2.builder.node import Extent
from cloudboot_ufs2.errors import NoSpaceError
from cloudboot_ufs2.layout.constants import MAXSYMLINKLEN, UFS_NDADDR
from cloudboot_ufs2.layout.geometry import howmany

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from typing_extensions import Buffer

    from cloudboot_ufs2.builder.content import Readable
    from cloudboot_ufs2.layout.geometry import Geometry
    from cloudboot_vfs import Stat

    from .free_space import Space

_CHUNK = 1 << 20


class Need(NamedTuple):
    """What a file takes: whole blocks, indirect ones included, and the fragments of its tail."""

    blocks: int = 0
    tail: int = 0

    def fragments(self, frag: int) -> int:
        """All of it in fragments, ``frag`` to a block."""
        return self.blocks * frag + self.tail


def need_of(geometry: Geometry, size: int, ranges: Iterable[tuple[int, int]] | None = None) -> Need:
    """What a file of ``size`` bytes takes whose data are in ``ranges``, in order; by default in all of it."""
    if not size:
        return Need()
    bsize, frag = geometry.block_size, geometry.fragments_per_block
    last = (size - 1) // bsize
    runs: list[tuple[int, int]] = []
    for start, stop in [(0, size)] if ranges is None else [*ranges, (size - 1, size)]:
        first, end = start // bsize, howmany(stop, bsize)
        if runs and first <= runs[-1][1]:
            runs[-1] = runs[-1][0], max(end, runs[-1][1])
        else:
            runs.append((first, end))
    blocks = sum(end - first for first, end in runs)
    if last < UFS_NDADDR:
        tail = howmany(size - last * bsize, geometry.fragment_size) % frag
        return Need(blocks - bool(tail), tail)
    extents = [Extent(first, 0, (end - first) * frag) for first, end in runs]
    return Need(blocks + len(indirect_blocks(extents, frag, geometry.pointers_per_block)))


def need_of_data(geometry: Geometry, data: Buffer | os.PathLike[str], *, sparse: bool, exact: bool = True) -> Need:
    """What ``data``, bytes or a file of the host, takes; with ``sparse`` blocks of zeros take nothing.

    Blocks of zeros are looked for only if the answer has to be ``exact``; without that it may be too large.

    Raises:
        OSError: the host's file cannot be read.
    """
    if not isinstance(data, os.PathLike):
        view = memoryview(data).cast("B")
        runs = runs_without_zeros(view, geometry.block_size) if sparse and exact else None
        return need_of(geometry, len(view), runs)
    with open(data, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        ranges = data_ranges(file.fileno(), size)
        if sparse and exact:
            ranges = list(_without_zeros(file.fileno(), ranges, geometry.block_size))
        return need_of(geometry, size, ranges)


def _without_zeros(fd: int, ranges: Sequence[tuple[int, int]], bsize: int) -> Iterable[tuple[int, int]]:
    buffer = memoryview(bytearray(max(_CHUNK, bsize)))
    for first, end in ranges:
        for start in range(first // bsize * bsize, end, len(buffer)):
            count = os.preadv(fd, [buffer[: end - start]], start)
            for one, after in runs_without_zeros(buffer[:count], bsize):
                yield start + one, start + after


def need_of_symlink(geometry: Geometry, length: int) -> Need:
    """What a symbolic link takes whose target has ``length`` bytes."""
    return Need() if length < MAXSYMLINKLEN else need_of(geometry, length)


class Room:
    """The free space of a file system, counted down as changes are planned, in the order in which they will be made."""

    def __init__(self, space: Space, geometry: Geometry) -> None:
        self._frag, self._fsize = geometry.fragments_per_block, geometry.fragment_size
        self._blocks, self._inodes = space.total.cs_nbfree, space.total.cs_nifree
        self._runs = space.free_runs()
        self._reserve = space.reserve
        self._short = 0

    @property
    def free(self) -> int:
        """Free fragments, those that minfree keeps included."""
        return self._blocks * self._frag + sum(length * count for length, count in enumerate(self._runs))

    def take(self, need: Need, *, replacing: bool = False, inode: bool = False) -> None:
        """Plan to take space, and an inode; what replaces a file may use what minfree keeps.

        Nothing is raised before :meth:`require_all`, so that the shortage of everything together is known.
        """
        allowed = self.free - (0 if replacing else self._reserve)
        missing = max(0, need.fragments(self._frag) - allowed, (need.blocks - self._blocks) * self._frag)
        self._short = max(self._short, missing)
        self._inodes -= inode
        self._blocks -= need.blocks
        if need.tail:
            self._take_tail(need.tail)

    def _take_tail(self, wanted: int) -> None:
        """The tightest run that fits, else the start of a whole block, as :class:`.free_space.Space` takes them."""
        for length in range(wanted, self._frag):
            if self._runs[length] > 0:
                self._runs[length] -= 1
                self._runs[length - wanted] += length > wanted
                return
        self._blocks -= 1
        self._runs[self._frag - wanted] += 1
        self._short = max(self._short, -self._blocks * self._frag)

    def give(self, status: Stat) -> None:
        """Plan that a file goes: its space is free for what follows."""
        if stat.S_ISLNK(status.st_mode) and status.st_size < MAXSYMLINKLEN:
            return
        blocks, tail = divmod(status.st_blocks * 512 // self._fsize, self._frag)
        self._blocks += blocks
        if tail:
            self._runs[tail] += 1

    def require_all(self, *, hint: str | None = None) -> None:
        """Refuse what was planned if there is no room for it.

        Raises:
            NoSpaceError: with ``missing``, the shortage in bytes.
        """
        if self._inodes < 0:
            raise NoSpaceError(f"{-self._inodes} free inodes are missing", hint=hint)
        if self._short > 0:
            kept = self._reserve > 0
            raise _shortage(self._short * self._fsize, need=None, available=None, kept=kept, hint=hint)


def require_room(space: Space, geometry: Geometry, need: Need, *, hint: str | None = None) -> None:
    """Refuse content for which there is no room.

    Raises:
        NoSpaceError: with ``missing``, the shortage in bytes.
    """
    frag = geometry.fragments_per_block
    total = need.fragments(frag)
    missing = max(total - space.available, (need.blocks - space.total.cs_nbfree) * frag)
    if missing > 0:
        fsize = geometry.fragment_size
        raise _shortage(
            missing * fsize,
            need=total * fsize,
            available=max(0, space.available) * fsize,
            kept=space.reserve > 0,
            hint=hint,
        )


def _shortage(missing: int, *, need: int | None, available: int | None, kept: bool, hint: str | None) -> NoSpaceError:
    """The error that names how many bytes are missing; ``kept`` says that minfree keeps some that are free."""
    text = f"{missing} bytes are missing, and nothing has been changed"
    return NoSpaceError(
        text + (" (minfree keeps the rest)" if kept else ""),
        needed=need, available=available, missing=missing, hint=hint,
    )  # fmt: skip


def measurable(data: Buffer | Readable | os.PathLike[str]) -> bool:
    """Whether the size of ``data`` is known before it is read."""
    return isinstance(data, os.PathLike) or not callable(getattr(data, "read", None))
