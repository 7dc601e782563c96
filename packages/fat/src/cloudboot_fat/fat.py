"""The FAT of an open volume: chains followed run by run, entries changed and written back.

Pages are read when they are needed, so that opening a large volume costs nothing, and the end of a run of consecutive
clusters is found by comparing bytes, so that a contiguous file costs next to nothing.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from typing import TYPE_CHECKING

from cloudboot_base.lightdata import NamedTuple

from . import table
from .errors import ChainError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_base import Storage, WritableStorage

    from .geometry import Geometry

#: Entries of a page. Three bytes hold two FAT12 entries, so an even number; FAT12 has one page.
PAGE = 1 << 14
_PAGES_KEPT = 64


class Run(NamedTuple):
    """Consecutive clusters of a chain."""

    cluster: int
    length: int


class _Page:
    """Some entries of the FAT.

    ``stored`` are the entries with their reserved bits, ``entries`` those without: the same object as a rule.
    """

    __slots__ = ("_first", "_mask", "_raw", "_successors", "entries", "stored")

    def __init__(self, stored: table.Entries, first: int, mask: int) -> None:
        self.stored, self._first, self._mask = stored, first, mask
        self.entries = table.without_reserved(stored, mask)
        self._raw: bytes | None = None
        self._successors = b""

    def run_end(self, index: int) -> int | None:
        """The index of the last entry of the run that ``index`` is in; ``None`` if it goes on in the next page."""
        if self._raw is None:
            self._raw = self.entries.tobytes()
            count = len(self.entries)
            if len(self._successors) != count * table.WIDTH:
                self._successors = array("I", range(self._first + 1, self._first + 1 + count)).tobytes()
        end = index + table.equal_length(self._raw, self._successors, index)
        return end if end < len(self.entries) else None

    def replace(self, index: int, values: table.Entries) -> None:
        """Store ``values`` from ``index`` on; reserved bits stay as they are."""
        end = index + len(values)
        if self.stored is self.entries:
            self.stored[index:end] = values
        else:
            keep = ~self._mask & 0xFFFFFFFF
            kept = (old & keep | new for old, new in zip(self.stored[index:end], values, strict=True))
            self.stored[index:end] = array("I", kept)
            self.entries[index:end] = values
        self._raw = None


class Fat:
    """The entries of one volume's FAT, read through the copy that counts and written to all that are live."""

    def __init__(self, storage: Storage, geometry: Geometry) -> None:
        self._storage, self._geometry = storage, geometry
        self._pages: OrderedDict[int, _Page] = OrderedDict()
        self._dirty: dict[int, tuple[int, int]] = {}

    def page_numbers(self) -> range:
        """The pages that hold an entry of a cluster."""
        return range(-(-self._geometry.end_cluster // PAGE))

    def page(self, number: int) -> table.Entries:
        """The entries of a page, reserved bits masked off, without those past the last cluster."""
        return self._page(number).entries

    def _page(self, number: int) -> _Page:
        page = self._pages.get(number)
        if page is not None:
            self._pages.move_to_end(number)
            return page
        geometry = self._geometry
        bits = geometry.fat_type
        count = min(PAGE, geometry.end_cluster - number * PAGE)
        raw = self._storage.read_at(
            geometry.fat_offset(geometry.main_fat) + number * PAGE * bits // 8, -(-count * bits // 8)
        )
        page = _Page(table.decode(raw, bits)[:count], number * PAGE, geometry.entry_mask)
        self._pages[number] = page
        if len(self._pages) > _PAGES_KEPT:
            oldest = next(each for each in self._pages if each not in self._dirty)
            if oldest != number:  # else all the others wait to be written
                del self._pages[oldest]
        return page

    def entry(self, cluster: int) -> int:
        """The entry of a cluster, reserved bits masked off."""
        return self._page(cluster // PAGE).entries[cluster % PAGE]

    def runs(self, start: int, limit: int) -> Iterator[Run]:
        """The chain from cluster ``start`` on, as runs; it is followed no further than ``limit`` clusters.

        Raises:
            ChainError: it leaves the volume, loops, or runs into a free or bad cluster.
        """
        geometry = self._geometry
        seen: set[int] = set()
        cluster, total, before = start, 0, 0
        while total < limit:
            self._require_data_cluster(cluster, before)
            if cluster in seen:
                raise ChainError("the cluster chain loops", structure="FAT", field=f"FAT[{before}]", actual=cluster)
            seen.add(cluster)
            last = self._run_end(cluster, cluster + limit - total)
            count = last - cluster + 1
            yield Run(cluster, count)
            total += count
            before, cluster = last, self.entry(last)
            if cluster >= geometry.end_of_chain:
                return

    def _run_end(self, cluster: int, stop: int) -> int:
        """The last cluster of a run, no further than just before ``stop``."""
        stop = min(stop, self._geometry.end_cluster)
        number, index = divmod(cluster, PAGE)
        while number * PAGE < stop:
            end = self._page(number).run_end(index)
            if end is not None:
                return min(number * PAGE + end, stop - 1)
            number, index = number + 1, 0
        return stop - 1

    def _require_data_cluster(self, cluster: int, before: int) -> None:
        if 2 <= cluster < self._geometry.end_cluster:
            return
        if cluster == 0:
            problem = "the chain runs into a free cluster"
        elif cluster == self._geometry.end_of_chain - 1:
            problem = "the chain runs into a bad cluster"
        else:
            problem = "the chain leaves the volume"
        raise ChainError(
            problem,
            structure="FAT",
            field=f"FAT[{before}]" if before else "first cluster",
            expected=f"2 to {self._geometry.end_cluster - 1}",
            actual=cluster,
        )

    def link(self, runs: list[Run], following: int | None = None) -> None:
        """Make ``runs`` one chain; ``following`` comes after it, else it ends."""
        for position, run in enumerate(runs):
            after = runs[position + 1].cluster if position + 1 < len(runs) else following
            values = array("I", range(run.cluster + 1, run.cluster + 1 + run.length))
            values[-1] = self._geometry.entry_mask if after is None else after
            self._set(run.cluster, values)

    def release(self, runs: list[Run]) -> None:
        """Mark the clusters of ``runs`` free."""
        for run in runs:
            self._set(run.cluster, array("I", bytes(run.length * table.WIDTH)))

    def _set(self, cluster: int, values: table.Entries) -> None:
        while len(values):
            number, index = divmod(cluster, PAGE)
            page = self._page(number)
            part = values[: PAGE - index]
            end = index + len(part)
            page.replace(index, part)  # "the high 4 bits are reserved": it preserves them
            low, high = self._dirty.get(number, (index, end))
            self._dirty[number] = min(low, index), max(high, end)
            cluster, values = cluster + len(part), values[len(part) :]

    def forget(self) -> None:
        """Drop what has changed since the last :meth:`flush`, and everything read."""
        self._dirty.clear()
        self._pages.clear()

    def flush(self, storage: WritableStorage) -> None:
        """Write what has changed to every live copy."""
        geometry = self._geometry
        for number, (low, high) in sorted(self._dirty.items()):
            page = self._pages[number]
            first, end = (0, len(page.stored)) if geometry.fat_type == 12 else (low, high)  # FAT12 entries share bytes
            raw = table.encode(page.stored[first:end], geometry.fat_type)
            for copy in geometry.live_fats:
                storage.write_at(geometry.fat_offset(copy) + (number * PAGE + first) * geometry.fat_type // 8, raw)
        self._dirty.clear()
