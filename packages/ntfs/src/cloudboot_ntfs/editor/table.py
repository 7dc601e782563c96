"""The records of a volume that is changed: given out, stored, given back; and the mark that a change is under way."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from cloudboot_base.storage import descriptor_of
from cloudboot_ntfs.builder.placing import Placed, resident
from cloudboot_ntfs.builder.record import fits, pack, spread
from cloudboot_ntfs.errors import NoSpaceError
from cloudboot_ntfs.layout.constants import VOLUME_DIRTY, Number, RecordFlag, Type, reference
from cloudboot_ntfs.layout.records import VolumeInformation
from cloudboot_ntfs.layout.runlist import Run

from .draft import load, runs_of, value
from .indexes import IndexDraft
from .space import Bitmap, Space, write_stream

if TYPE_CHECKING:
    from cloudboot_base import WritableStorage
    from cloudboot_ntfs.builder.record import Packed
    from cloudboot_ntfs.reader.volume import NTFS

    from .draft import Draft

#: Records that are kept for what Windows puts into $Extend.
_FIRST_GIVEN = 64
#: Records by which $MFT grows.
_GROWTH = 64


class Table:
    """Everything that an operation writes goes through here."""

    def __init__(self, volume: NTFS, storage: WritableStorage) -> None:
        self._volume, self._storage = volume, storage
        self.space = Space(storage, volume.mft, self.touch)
        self._records = self._record_bitmap()
        self._indexes: dict[tuple[int, str], IndexDraft] = {}
        self._reparse: int | None = None
        self._is_marked = False
        self._hint = _FIRST_GIVEN

    def _record_bitmap(self) -> Bitmap:
        mft = self._volume.mft
        return Bitmap(self._storage, mft.stream(mft.file(Number.MFT), Type.BITMAP), mft.count)

    # Operations

    def touch(self) -> None:
        """Mark the volume dirty before the first write of an operation."""
        if not self._is_marked:
            self._is_marked = True
            self._mark(VOLUME_DIRTY)

    def finish(self) -> None:
        """End an operation: write the directories that changed, give back what is free, take the mark away."""
        if not self._is_marked:
            self._indexes.clear()
            return
        while changed := [index for index in self._indexes.values() if index.changed]:
            for index in changed:
                self._write_index(index)
        self._indexes.clear()
        self.space.bitmap.flush()
        self._records.flush()
        self._mark(0)
        self._is_marked = False

    def _mark(self, dirty: int) -> None:
        draft = load(self._volume.mft, Number.VOLUME)
        information = VolumeInformation.unpack_from(value(draft.all(Type.VOLUME_INFORMATION)[0]))
        information.flags = information.flags & ~VOLUME_DIRTY | dirty
        draft.replace(Type.VOLUME_INFORMATION, "", [resident(Type.VOLUME_INFORMATION, information.pack())])
        self.store(draft)

    def sync(self) -> None:
        """Bring everything to the device, where there is one."""
        place = descriptor_of(self._storage)
        if place is not None:
            os.fsync(place[0])

    # Indexes

    def index(self, number: int, name: str = "$I30") -> IndexDraft:
        """The entries of an index, for as long as the operation lasts."""
        found = self._indexes.get((number, name))
        if found is None:
            found = self._indexes[number, name] = IndexDraft(self._volume, number, name)
        return found

    def loaded_index(self, number: int) -> IndexDraft | None:
        """The entries of a directory, if the operation under way has them in memory."""
        return self._indexes.get((number, "$I30"))

    def flush_index(self, number: int) -> None:
        """Write a directory now, because it is to be read."""
        found = self._indexes.get((number, "$I30"))
        if found is not None and found.changed:
            self._write_index(found)

    def _write_index(self, index: IndexDraft) -> None:
        self.touch()
        draft = load(self._volume.mft, index.number)
        index.write(draft, self.space, self._volume.geometry.record_size)
        self.store(draft)

    def reparse_index(self, *, add: bytes | None = None, remove: bytes | None = None) -> None:
        """Keep $Reparse:$R, where the volume has it."""
        if self._reparse is None:
            found = self._volume.lookup(Number.EXTEND, "$Reparse")
            self._reparse = 0 if found is None else found.number
        if not self._reparse:
            return
        index = self.index(self._reparse, "$R")
        if add is not None:
            index.add(add, 0)
        if remove is not None:
            index.remove(remove)

    # Records

    def new_record(self) -> tuple[int, int]:
        """A record that nothing uses, and its sequence number.

        Raises:
            NoSpaceError: $MFT cannot grow.
        """
        self.touch()
        for attempt in range(2):
            for start in (self._hint, _FIRST_GIVEN):
                for number, _ in self._records.free_ranges(start):
                    self._records.set(number, 1)
                    self._hint = number + 1
                    raw = self._volume.mft.raw(number)
                    sequence = struct.unpack_from("<H", raw, 16)[0] if raw[:4] == b"FILE" else 1
                    return number, sequence or 1
            if not attempt:
                self._grow()
        raise NoSpaceError("no free record")

    def store(self, draft: Draft) -> None:
        """Write the records of a file; those that are no longer needed are given back."""
        if draft.number != Number.VOLUME:
            self.touch()
        self.space.release(draft.list_runs)
        draft.list_runs = []
        fold = self._volume.fold
        attributes = sorted(draft.attributes, key=lambda each: (each.type, fold(each.name), each.lowest_vcn))
        size = self._volume.geometry.record_size
        links = len(draft.all(Type.FILE_NAME))
        old = list(draft.extensions)
        if fits(attributes, size):
            self._write(draft.number, attributes, draft.sequence, links, draft.flags, 0)
            draft.extensions = []
        else:
            reused = iter(old)
            found = spread(
                draft.number, draft.sequence, attributes, record_size=size,
                new_record=lambda: next(reused, None) or self.new_record(), store=self._store_list,
            )  # fmt: skip
            base = reference(draft.number, draft.sequence)
            for number, own in found.records[1:]:
                self._write(number, own, found.sequences[number], 0, int(RecordFlag.IN_USE), base)
            self._write(draft.number, found.records[0][1], draft.sequence, links, draft.flags, 0)
            draft.extensions = [(number, found.sequences[number]) for number, _ in found.records[1:]]
        kept = {number for number, _ in draft.extensions}
        for number, sequence in old:
            if number not in kept:
                self._free(number, sequence)
        draft.is_new = False

    def discard(self, draft: Draft) -> None:
        """Give back a file: its clusters and its records."""
        self.touch()
        clusters = self._volume.geometry.clusters
        for kind, name in {(each.type, each.name) for each in draft.attributes}:
            self.space.release(runs_of(draft.all(kind, name), clusters))
        self.space.release(draft.list_runs)
        self._indexes.pop((draft.number, "$I30"), None)
        self._free(draft.number, draft.sequence)
        for number, sequence in draft.extensions:
            self._free(number, sequence)

    def _free(self, number: int, sequence: int) -> None:
        """A record that is not in use has the sequence number of its next life; 0 is passed over."""
        following = sequence + 1 & 0xFFFF or 1
        self._write(number, [], following, 0, 0, 0)
        self._records.clear_later(number, 1)
        self._hint = min(self._hint, max(number, _FIRST_GIVEN))

    def _write(  # noqa: PLR0917 -- the head of a record
        self, number: int, attributes: list[Packed], sequence: int, links: int, flags: int, base: int
    ) -> None:
        geometry, mft = self._volume.geometry, self._volume.mft
        raw = mft.raw(number)
        update = 1
        if raw[:4] == b"FILE":
            place = struct.unpack_from("<H", raw, 4)[0]
            update = struct.unpack_from("<H", raw, min(place, len(raw) - 2))[0] + 1 & 0xFFFF or 1
        data = pack(
            number, attributes, record_size=geometry.record_size, sequence=sequence, links=links, flags=flags,
            base=base, update=update,
        )  # fmt: skip
        write_stream(self._storage, mft.data, number * geometry.record_size, data)
        if number < geometry.mirror_records:
            mirror = mft.stream(mft.file(Number.MFT_MIRR), Type.DATA)
            if (number + 1) * geometry.record_size <= mirror.size:
                write_stream(self._storage, mirror, number * geometry.record_size, data)

    def _store_list(self, listed: bytes) -> bytes:
        runs = self.space.store(listed)
        placed = Placed(len(listed), sum(run.length for run in runs), self.space.cluster_size, runs, [])
        return placed.attributes(Type.ATTRIBUTE_LIST)[0].data

    def _grow(self) -> None:
        """Let $MFT have more records: clusters for them and for its bitmap, written before anything refers to them."""
        volume = self._volume
        geometry, mft = volume.geometry, volume.mft
        cluster, size = geometry.cluster_size, geometry.record_size
        draft = load(mft, Number.MFT)
        data = runs_of(draft.all(Type.DATA, ""), geometry.clusters)
        clusters = -(-max(_GROWTH, mft.count // 8) * size // cluster)
        have = sum(run.length for run in data)
        added = self.space.allocate(clusters, vcn=have, near=(data[-1].lcn or 0) + data[-1].length)
        count = (have + clusters) * cluster // size
        empty = b"".join(pack(number, [], record_size=size, flags=0) for number in range(mft.count, count))
        start = (
            mft.count * size - have * cluster
        )  # where the first new record stands; before it there may be spare room
        self.write_runs([*data, *added], have * cluster + start, empty)
        draft.replace(
            Type.DATA, "", Placed(count * size, have + clusters, cluster, _merge(data, added), []).attributes(Type.DATA)
        )
        bits = -(-count // 64) * 8
        bitmap = runs_of(draft.all(Type.BITMAP, ""), geometry.clusters)
        room = sum(run.length for run in bitmap)
        if bits > room * cluster:
            more = self.space.allocate(
                -(-bits // cluster) - room, vcn=room, near=(bitmap[-1].lcn or 0) + bitmap[-1].length
            )
            self.zero(more)
            bitmap = _merge(bitmap, more)
            room = sum(run.length for run in bitmap)
        self.write_runs(bitmap, len(self._records.bits), bytes(bits - len(self._records.bits)))
        draft.replace(Type.BITMAP, "", Placed(bits, room, cluster, bitmap, []).attributes(Type.BITMAP))
        if not fits(sorted(draft.attributes, key=lambda each: each.type), size):
            raise NoSpaceError("$MFT is in too many pieces to grow")
        self.store(draft)
        self._records.flush()
        mft.reload()
        self._records = self._record_bitmap()

    # Clusters

    def write_runs(self, runs: list[Run], offset: int, data: bytes | memoryview) -> None:
        """Write into clusters at an offset of what they hold."""
        view, cluster = memoryview(data), self.space.cluster_size
        for run in runs:
            start = run.vcn * cluster
            first, last = max(start, offset), min(start + run.length * cluster, offset + len(view))
            if first < last and run.lcn is not None:
                self._storage.write_at(run.lcn * cluster + first - start, view[first - offset : last - offset])

    def zero(self, runs: list[Run]) -> None:
        """Fill clusters with zeros."""
        zeros = bytes(1 << 20)
        for run in runs:
            begin, size = (run.lcn or 0) * self.space.cluster_size, run.length * self.space.cluster_size
            for start in range(0, size, len(zeros)):
                self._storage.write_at(begin + start, memoryview(zeros)[: min(len(zeros), size - start)])


def _merge(runs: list[Run], added: list[Run]) -> list[Run]:
    merged = list(runs)
    for run in added:
        last = merged[-1]
        if last.lcn is not None and run.lcn == last.lcn + last.length:
            merged[-1] = Run(last.vcn, last.length + run.length, last.lcn)
        else:
            merged.append(run)
    return merged
