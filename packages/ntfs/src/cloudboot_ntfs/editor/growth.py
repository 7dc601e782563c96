"""More records for $MFT.

$MFT is where every record is looked up, its own extension records among them. So each part of its run list stands in a
record that the parts before it map, and the first part in record 0.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from cloudboot_ntfs.builder.placement import Placed
from cloudboot_ntfs.builder.record import Packed, capacity, fits, held, pack, spread
from cloudboot_ntfs.errors import NoSpaceError
from cloudboot_ntfs.layout.constants import FIRST_FREE_RECORD, Number, RecordFlag, Type, reference
from cloudboot_ntfs.layout.runlist import joined

from .draft import load, runs_of
from .stage import Layer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cloudboot_ntfs.builder.record import Spread
    from cloudboot_ntfs.layout.runlist import Run
    from cloudboot_ntfs.reader.volume import NTFS

    from .draft import Draft
    from .space import Bitmap
    from .table import Table

#: Records by which $MFT grows, where there is room for as many, and at least.
_GROWTH: Final = 64
_LEAST: Final = 4
#: Records that other drivers keep for $MFT, too.
_KEPT: Final = range(16, 24)
_FIRST_GIVEN: Final = 64


def grow(volume: NTFS, table: Table, records: Bitmap) -> None:
    """Let $MFT have an eighth more records, or as many as there is room for.

    Raises:
        NoSpaceError: there is none.
    """
    Growth(volume, table, records).grow()


class Growth:
    """One growth of $MFT. It stays, whatever becomes of the operation that needs it.

    Clusters for records, for the bitmap of $MFT and for its attribute list are written before anything refers to them.
    """

    def __init__(self, volume: NTFS, table: Table, records: Bitmap) -> None:
        self._volume, self._table, self._records = volume, table, records
        self._mft, self._space = volume.mft, table.space
        self._cluster, self._size = volume.geometry.cluster_size, volume.geometry.record_size
        self._taken: list[Run] = []
        self._given: dict[int, int] = {}  #: records taken for parts of $MFT, with their sequence numbers

    def grow(self) -> None:
        """Grow; see :func:`grow`."""
        draft = load(self._mft, Number.MFT)
        steps = sorted({max(_GROWTH, self._mft.count // 8), _GROWTH, _LEAST}, reverse=True)
        for number, records in enumerate(steps, 1):
            try:
                self._grow(draft, records)
            except NoSpaceError:
                for run in self._taken:
                    self._space.bitmap.take_back(run.lcn or 0, run.length)
                self._taken.clear()
                self._given.clear()
                if number == len(steps):
                    raise
            else:
                return

    def _grow(self, draft: Draft, records: int) -> None:
        clusters = self._volume.geometry.clusters
        data = runs_of(draft.all(Type.DATA, ""), clusters)
        have = sum(run.length for run in data)
        need = -(-(self._mft.count + records) * self._size // self._cluster) - have
        count = (have + need) * self._cluster // self._size
        self._space.require(need)
        added = self._allocate(need, data)
        self._write_empty([*data, *added], count)
        bitmap = self._bitmap(draft, count)
        own = self._data(draft, data, added, count)
        base = [each for each in draft.attributes if each.type not in (Type.DATA, Type.BITMAP)] + own[:1]
        base.sort(key=lambda each: each.type)
        if len(own) == 1 and not draft.extensions and fits([*base, *bitmap], self._size):
            found = None
            base += bitmap
        else:
            found = self._spread(draft, base, bitmap, own[1:], count)
            base = found.records[0][1]
            if sum(len(each.data) for each in base) > capacity(self._size):
                raise NoSpaceError("record 0 has no room for an attribute list")
        self._store(draft, [*data, *added], base, found)
        self._mft.reload()
        self._records.extend(self._mft.stream(self._mft.file(Number.MFT), Type.BITMAP), self._mft.count)
        for number in self._given:
            self._records.set(number, 1, accepted=True)
        self._give_back(draft, found)

    # Clusters

    def _allocate(self, clusters: int, after: Sequence[Run]) -> list[Run]:
        near = (after[-1].lcn or 0) + after[-1].length if after else None
        vcn = after[-1].vcn + after[-1].length if after else 0
        runs = self._space.allocate(clusters, vcn=vcn, near=near, accepted=True)
        self._taken += runs
        return runs

    def _write_empty(self, runs: list[Run], count: int) -> None:
        """Records that nothing uses. Before the first new one there may be spare room."""
        first = self._mft.count
        empty = b"".join(pack(number, [], record_size=self._size, flags=0) for number in range(first, count))
        self._table.write_runs(runs, first * self._size, empty)

    def _bitmap(self, draft: Draft, count: int) -> list[Packed]:
        """The bitmap of $MFT, as large as it has to be."""
        runs = runs_of(draft.all(Type.BITMAP, ""), self._volume.geometry.clusters)
        room = sum(run.length for run in runs)
        old, bits = len(self._records.bits), -(-count // 64) * 8
        more = max(0, -(-bits // self._cluster) - room)
        if more:
            added = self._allocate(more, runs)
            self._table.zero(added)
            runs = joined(runs + added)
        self._table.write_runs(runs, old, bytes(bits - old))
        return Placed(bits, room + more, self._cluster, runs, []).attributes(Type.BITMAP)

    def _data(self, draft: Draft, data: list[Run], added: list[Run], count: int) -> list[Packed]:
        """The parts of $DATA. Those that extension records hold stay as they are."""
        size, clusters = count * self._size, sum(run.length for run in (*data, *added))
        old = sorted(draft.all(Type.DATA, ""), key=lambda each: each.lowest_vcn)
        if len(old) == 1:
            return Placed(size, clusters, self._cluster, joined(data + added), []).attributes(Type.DATA)
        first = runs_of(old[:1], self._volume.geometry.clusters)
        parts = Placed(size, clusters, self._cluster, first, []).attributes(Type.DATA) + old[1:]
        return parts + Placed(size, clusters, self._cluster, added, []).attributes(Type.DATA)

    # Records

    def _spread(
        self, draft: Draft, base: list[Packed], bitmap: list[Packed], parts: list[Packed], count: int
    ) -> Spread:
        """The attributes of $MFT in several records."""
        new = iter(range(self._mft.count, count))

        def new_records(groups: Sequence[Sequence[Packed]]) -> list[tuple[int, int]]:
            return [draft.held.get(held(own)) or self._record_for(own[0], new) for own in groups]

        # A list in clusters takes 100 bytes at most.
        beside = sum(len(each.data) for each in (*base, *bitmap)) + 100
        stay = [*base, *bitmap] if len(bitmap) == 1 and beside <= capacity(self._size) else base
        move = ([] if stay is not base else bitmap) + parts
        return spread(
            draft.number, draft.sequence, [*stay, *move], record_size=self._size, new_records=new_records,
            store=self._store_list, stay=len(stay),
        )  # fmt: skip

    def _record_for(self, part: Packed, new: Iterator[int]) -> tuple[int, int]:
        """A free record that is found before the part that it holds is known."""
        known = part.lowest_vcn * self._cluster // self._size if part.type == Type.DATA else self._mft.count
        for number in self._free(new):
            if number < known and number not in self._given:
                raw = self._mft.raw(number) if number < self._mft.count else b""
                sequence = struct.unpack_from("<H", raw, 16)[0] if raw[:4] == b"FILE" else 1
                self._given[number] = sequence or 1
                return number, sequence or 1
        raise NoSpaceError("no free record that $MFT is found by")

    def _free(self, new: Iterator[int]) -> Iterator[int]:
        yield from (number for number in _KEPT if not self._records.is_set(number))
        for first, length in self._records.free_ranges(_FIRST_GIVEN):
            yield from range(first, first + length)
        yield from new
        yield from (number for number in range(FIRST_FREE_RECORD, _FIRST_GIVEN) if not self._records.is_set(number))

    def _store_list(self, listed: bytes) -> bytes:
        clusters = -(-len(listed) // self._cluster)
        runs = self._allocate(clusters, [])
        self._table.write_runs(runs, 0, listed.ljust(clusters * self._cluster, b"\0"))
        placed = Placed(len(listed), clusters, self._cluster, runs, [])
        return placed.attributes(Type.ATTRIBUTE_LIST)[0].data

    def _store(self, draft: Draft, runs: list[Run], base: list[Packed], found: Spread | None) -> None:
        """Stage the records: the base record last, which makes the others those of $MFT."""
        whole = reference(draft.number, draft.sequence)
        for number, own in found.records[1:] if found is not None else []:
            if number not in self._given:
                continue
            update = self._table.next_update(number) if number < self._mft.count else 2
            data = pack(
                number, own, record_size=self._size, sequence=self._given[number], flags=RecordFlag.IN_USE, base=whole,
                update=update,
            )  # fmt: skip
            self._mft.forget(number)
            self._table.stage_runs(Layer.RECORD, runs, number * self._size, data, accepted=True)
        links = len(draft.all(Type.FILE_NAME))
        self._table.write_record(draft.number, base, draft.sequence, links, draft.flags, 0, accepted=True)

    def _give_back(self, draft: Draft, found: Spread | None) -> None:
        """What the attribute list was in, and extension records that are no longer needed."""
        self._space.release(draft.list_runs, accepted=True)
        kept = {number for number, _ in found.records} if found is not None else set()
        for number, sequence in draft.extensions:
            if number not in kept:
                self._table.free_record(number, sequence, accepted=True)
