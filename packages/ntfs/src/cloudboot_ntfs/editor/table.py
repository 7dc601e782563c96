"""The records of a volume that is changed: given out, stored, given back; and the mark that a change is under way."""

from __future__ import annotations

import collections
import os
import struct
from typing import TYPE_CHECKING

from cloudboot_base.storage import descriptor_of
from cloudboot_ntfs.builder.placement import Placed, resident
from cloudboot_ntfs.builder.record import fits, held, pack, spread
from cloudboot_ntfs.errors import NoSpaceError, ReadOnlyError
from cloudboot_ntfs.layout import fixup
from cloudboot_ntfs.layout.constants import REFERENCE_MASK, VOLUME_DIRTY, Number, RecordFlag, Type, reference
from cloudboot_ntfs.layout.records import VolumeInformation
from cloudboot_ntfs.layout.runlist import pieces

from .draft import load, runs_of, value
from .space import Bitmap, Space
from .stage import Layer
from .tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cloudboot_ntfs.builder.record import Packed
    from cloudboot_ntfs.layout.runlist import Run
    from cloudboot_ntfs.reader.stream import Stream
    from cloudboot_ntfs.reader.volume import NTFS

    from .draft import Draft
    from .stage import Stage

#: Records that are kept for what Windows puts into $Extend.
_FIRST_GIVEN = 64
#: Indexes that are kept between operations, and nodes of all of them together.
_KEPT_TREES = 64
_KEPT_NODES = 8192
#: Pieces of metadata that wait at most while several operations are put into one.
_MOST_WAITING = 4096


class Table:
    """Everything that an operation writes goes through here.

    Content goes into free clusters at once. When an operation is complete, what else it changed is written in an order
    in which nothing refers to what is not there: the bits of what was taken, security descriptors, records, index
    blocks, the bits of what was given back. The volume is marked dirty meanwhile.

    ``grow`` gives $MFT more records; it is called with the volume, this table, and the bitmap of $MFT.
    """

    def __init__(self, volume: NTFS, stage: Stage, grow: Callable[[NTFS, Table, Bitmap], None]) -> None:
        self._volume, self._stage, self._grow = volume, stage, grow
        self.space = Space(stage, volume.mft)
        mft = volume.mft
        self._records = Bitmap(stage, mft.stream(mft.file(Number.MFT), Type.BITMAP), mft.count, first=_FIRST_GIVEN)
        self._trees: collections.OrderedDict[tuple[int, str], Tree] = collections.OrderedDict()
        self._reparse: int | None = None
        self._hint = _FIRST_GIVEN
        self._fresh: set[int] = set()  #: records taken since the last that was written
        self._is_marked = False
        self._marks: tuple[bytes, bytes] | None = None  #: $Volume, clean and dirty, until it is changed otherwise
        self._mark_places: list[tuple[int, int, int]] = []  #: as :func:`.runlist.pieces`, in $MFT, then in $MFTMirr
        self._was_dirty = volume.is_dirty
        self._is_broken = False

    # Operations

    def require_whole(self) -> None:
        """Refuse to change more after a change that could not be written.

        Raises:
            ReadOnlyError: there was one.
        """
        if self._is_broken:
            raise ReadOnlyError("an earlier change could not be written completely")

    def accept(self) -> bool:
        """Keep what the operation under way did; whether it did anything.

        Raises:
            NoSpaceError: an index cannot grow.
        """
        # A record that overflows takes others, which may let $MFT grow; that changes no index.
        for tree in list(self._trees.values()):
            if tree.has_changed:
                tree.write()
        self._stage.accept()
        size = self.space.cluster_size
        for lcn, length in self.space.bitmap.accept():
            self._stage.drop(lcn * size, length * size)
        self._records.accept()
        kept = sum([tree.kept for tree in self._trees.values()])
        while len(self._trees) > 1 and (len(self._trees) > _KEPT_TREES or kept > _KEPT_NODES):
            kept -= self._trees.popitem(last=False)[1].kept
        return self.has_changed

    def roll_back(self) -> None:
        """Forget what the operation under way did."""
        self._trees.clear()
        self._marks = None
        self._volume.mft.forget()
        self._stage.roll_back()
        self.space.bitmap.roll_back()
        self._records.roll_back()
        self._hint = _FIRST_GIVEN
        self._reparse = None

    @property
    def has_changed(self) -> bool:
        """Whether anything of complete operations waits to be written."""
        return bool(len(self._stage) or self.space.bitmap.has_changed or self._records.has_changed)

    @property
    def is_full(self) -> bool:
        """Whether so much waits that it had better be written."""
        return len(self._stage) > _MOST_WAITING

    def commit(self, *, is_last: bool = True) -> None:
        """Write what complete operations changed; the volume stays marked dirty where more is to come.

        Raises:
            OSError: the storage refuses; nothing more is changed then.
        """
        try:
            if self.has_changed:
                self._mark(dirty=True)
                self.space.bitmap.write_taken()
                self._records.write_taken()
                self._stage.write()
                self.space.bitmap.write_given()
                self._records.write_given()
                self._fresh.clear()
                self._hint = _FIRST_GIVEN
            if is_last:
                self._mark(dirty=False)
        except BaseException:
            self._is_broken = True
            raise

    def mark_dirty(self) -> None:
        """Mark the volume dirty, whatever is changed afterwards."""
        self._was_dirty, self._marks = True, None
        self._mark(dirty=True)

    def mark_clean(self) -> None:
        """Take the mark away, even if another program made it."""
        self._was_dirty, self._is_marked, self._marks = False, True, None
        self._mark(dirty=False)

    @property
    def storage(self) -> Stage:
        """What everything is written to."""
        return self._stage

    def _mark(self, *, dirty: bool) -> None:
        if self._is_marked == dirty:
            return
        # Every operation marks the volume twice.
        if self._marks is None:
            self._marks = self._marked(dirty=self._was_dirty), self._marked(dirty=True)
            size = self._volume.geometry.record_size
            places = [(self._volume.mft.data, Number.VOLUME * size), *self._mirror(Number.VOLUME)]
            self._mark_places = [piece for stream, offset in places for piece in stream.pieces(offset, size)]
        data = bytearray(self._marks[dirty])
        raw = self._volume.mft.raw(Number.VOLUME)
        fixup.protect(data, _next_update(raw))
        # A cut between the two leaves a volume that says it is dirty.
        for place, first, last in self._mark_places if dirty else self._mark_places[::-1]:
            self._stage.write_at(place, memoryview(data)[first:last])
        self._volume.mft.forget(Number.VOLUME)
        self._is_marked = dirty

    def _marked(self, *, dirty: bool) -> bytes:
        """The record of $Volume, marked or not, not protected."""
        draft = load(self._volume.mft, Number.VOLUME)
        information = VolumeInformation.unpack_from(value(draft.all(Type.VOLUME_INFORMATION)[0]))
        information.flags = information.flags & ~VOLUME_DIRTY | (VOLUME_DIRTY if dirty else 0)
        draft.replace(Type.VOLUME_INFORMATION, "", [resident(Type.VOLUME_INFORMATION, information.pack())])
        attributes = sorted(draft.attributes, key=lambda each: (each.type, each.name, each.lowest_vcn))
        data = self._packed(Number.VOLUME, attributes, draft.sequence, len(draft.all(Type.FILE_NAME)), draft.flags, 0)
        record = bytearray(data)
        fixup.restore(record, "RecordHeader")
        return bytes(record)

    def sync(self) -> None:
        """Bring everything to the device, where there is one."""
        place = descriptor_of(self._stage.below)
        if place is not None:
            os.fsync(place[0])

    # Indexes

    def index(self, number: int, name: str = "$I30") -> Tree:
        """The index of a file."""
        found = self._trees.get((number, name))
        if found is None:
            found = self._trees[number, name] = Tree(self._volume, self, number, name)
        else:
            self._trees.move_to_end((number, name))
        return found

    def reparse_index(self, *, add: bytes | None = None, remove: bytes | None = None) -> None:
        """Keep $Reparse:$R, where the volume has it."""
        if self._reparse is None:
            found = self._volume.lookup(Number.EXTEND, "$Reparse")
            self._reparse = 0 if found is None else found.number
        if not self._reparse:
            return
        index = self.index(self._reparse, "$R")
        if add is not None:
            index.put(add, 0)
        if remove is not None:
            index.remove(remove)

    def forget_object_id(self, object_id: bytes) -> None:
        """Take an object id out of $ObjId:$O, where the volume has it."""
        found = self._volume.lookup(Number.EXTEND, "$ObjId")
        if found is not None:
            self.index(found.number, "$O").remove(object_id)

    # Records

    def new_record(self) -> tuple[int, int]:
        """A record that nothing uses, and its sequence number.

        Raises:
            NoSpaceError: $MFT cannot grow.
        """
        for attempt in range(2):
            for start in (self._hint, _FIRST_GIVEN):
                for number, _ in self._records.free_ranges(start, 1):
                    if self._is_kept(number):
                        continue
                    self._records.set(number, 1)
                    self._fresh.add(number)
                    self._hint = number + 1
                    raw = self._volume.mft.raw(number)
                    sequence = struct.unpack_from("<H", raw, 16)[0] if raw[:4] == b"FILE" else 1
                    return number, sequence or 1
            if not attempt:
                self._grow(self._volume, self, self._records)
        raise NoSpaceError("no free record")

    def _is_kept(self, number: int) -> bool:
        """Whether the record is the last one, which $MFT needs for what it grows by next where it is in many pieces."""
        mft = self._volume.mft
        return number == mft.count - 1 and any(each.type == Type.ATTRIBUTE_LIST for each in mft.record(0).attributes)

    def _order(self, each: Packed) -> tuple[int, str, int]:
        """The place of an attribute in a record; most have no name."""
        return each.type, each.name and self._volume.fold(each.name), each.lowest_vcn

    def store(self, draft: Draft) -> None:
        """Write the records of a file; those that are no longer needed are given back."""
        self.space.release(draft.list_runs)
        draft.list_runs = []
        attributes = sorted(draft.attributes, key=self._order)
        size = self._volume.geometry.record_size
        links = len(draft.all(Type.FILE_NAME))
        old = list(draft.extensions)
        if fits(attributes, size):
            self.write_record(draft.number, attributes, draft.sequence, links, draft.flags, 0)
            draft.extensions, draft.held = [], {}
        else:
            # What is on the disk stays as it is until the base record no longer names it. Records that hold what they
            # are to hold are kept: a change of one stream of many writes one record, and a full volume needs no more.
            known, draft.held = draft.held, {}
            kept_records: set[int] = set()

            def new_records(groups: Sequence[Sequence[Packed]]) -> list[tuple[int, int]]:
                same = [known.pop(held(own), None) for own in groups]
                kept_records.update(place[0] for place in same if place is not None)
                free = [each for each in old if each[0] in self._fresh and each[0] not in kept_records]
                return [place or (free.pop() if free else self.new_record()) for place in same]

            found = spread(
                draft.number, draft.sequence, attributes, record_size=size, new_records=new_records,
                store=self._store_list, known=tuple(known),
            )  # fmt: skip
            base = reference(draft.number, draft.sequence)
            for number, own in found.records[1:]:
                if number not in kept_records:
                    self.write_record(number, own, found.sequences[number], 0, int(RecordFlag.IN_USE), base)
                draft.held[held(own)] = number, found.sequences[number]
            self.write_record(draft.number, found.records[0][1], draft.sequence, links, draft.flags, 0)
            draft.extensions = [(number, found.sequences[number]) for number, _ in found.records[1:]]
        kept = {number for number, _ in draft.extensions}
        for number, sequence in old:
            if number not in kept:
                self.free_record(number, sequence)
        draft.is_new = False

    def discard(self, draft: Draft) -> None:
        """Give back a file: its clusters and its records."""
        clusters = self._volume.geometry.clusters
        for kind, name in {(each.type, each.name) for each in draft.attributes}:
            self.space.release(runs_of(draft.all(kind, name), clusters))
        self.space.release(draft.list_runs)
        self._trees.pop((draft.number, "$I30"), None)
        self.free_record(draft.number, draft.sequence)
        for number, sequence in draft.extensions:
            self.free_record(number, sequence)

    def free_record(self, number: int, sequence: int, *, accepted: bool = False) -> None:
        """Give back a record. What is not in use has the sequence number of its next life; 0 is passed over."""
        following = sequence + 1 & 0xFFFF or 1
        self.write_record(number, [], following, 0, 0, 0, accepted=accepted)
        self._records.clear_later(number, 1, accepted=accepted)
        self._hint = min(self._hint, max(number, _FIRST_GIVEN))

    def write_record(  # noqa: PLR0917 -- the head of a record
        self,
        number: int,
        attributes: list[Packed],
        sequence: int,
        links: int,
        flags: int,
        base: int,
        *,
        accepted: bool = False,
    ) -> None:
        """Stage a record, and its copy in $MFTMirr; ``accepted`` whatever becomes of the operation."""
        data = self._packed(number, attributes, sequence, links, flags, base)
        self._volume.mft.forget(number)
        if number == Number.VOLUME:
            self._marks = None
        for stream, offset in [(self._volume.mft.data, number * len(data)), *self._mirror(number)]:
            self.stage_runs(self._layer(number, base), stream.runs, offset, data, accepted=accepted)

    @staticmethod
    def _layer(number: int, base: int) -> Layer:
        """When the record is written: those of $Secure before what refers to its descriptors."""
        return Layer.SECURE if (base & REFERENCE_MASK or number) == Number.SECURE else Layer.RECORD

    def _packed(  # noqa: PLR0917 -- the head of a record
        self, number: int, attributes: list[Packed], sequence: int, links: int, flags: int, base: int
    ) -> bytes:
        raw = self._volume.mft.raw(number)
        return pack(
            number, attributes, record_size=len(raw), sequence=sequence, links=links, flags=flags, base=base,
            update=_next_update(raw),
        )  # fmt: skip

    def next_update(self, number: int) -> int:
        """The update sequence number that a record is written with next."""
        return _next_update(self._volume.mft.raw(number))

    def _mirror(self, number: int) -> list[tuple[Stream, int]]:
        """Where a record has its copy in $MFTMirr."""
        geometry, mft = self._volume.geometry, self._volume.mft
        if number < geometry.mirror_records:
            mirror = mft.stream(mft.file(Number.MFT_MIRR), Type.DATA)
            if (number + 1) * geometry.record_size <= mirror.size:
                return [(mirror, number * geometry.record_size)]
        return []

    def _store_list(self, listed: bytes) -> bytes:
        runs = self.space.store(listed)
        placed = Placed(len(listed), sum(run.length for run in runs), self.space.cluster_size, runs, [])
        return placed.attributes(Type.ATTRIBUTE_LIST)[0].data

    # Clusters

    def read_runs(self, runs: list[Run], offset: int, size: int) -> bytes:
        """Bytes from an offset of what clusters hold, which have no holes; fewer where they end."""
        found = [
            self._stage.read_at(place, last - first)
            for place, first, last in pieces(runs, self.space.cluster_size, offset, size)
        ]
        return b"".join(found)

    def stage_runs(
        self,
        layer: Layer,
        runs: list[Run],
        offset: int,
        data: bytes,
        *,
        piece: int | None = None,
        accepted: bool = False,
    ) -> None:
        """Stage whole sectors at an offset of what clusters hold."""
        for place, first, last in pieces(runs, self.space.cluster_size, offset, len(data)):
            for start in range(first, last, piece or last - first):
                end = min(last, start + piece) if piece else last
                self._stage.put(layer, place + start - first, data[start:end], accepted=accepted)

    def write_runs(self, runs: list[Run], offset: int, data: bytes | memoryview) -> None:
        """Write into clusters at an offset of what they hold, at once."""
        view = memoryview(data)
        for place, first, last in pieces(runs, self.space.cluster_size, offset, len(view)):
            self._stage.write_at(place, view[first:last])

    def zero(self, runs: list[Run]) -> None:
        """Fill clusters with zeros, at once."""
        zeros = bytes(1 << 20)
        for run in runs:
            begin, size = (run.lcn or 0) * self.space.cluster_size, run.length * self.space.cluster_size
            for start in range(0, size, len(zeros)):
                self._stage.write_at(begin + start, memoryview(zeros)[: min(len(zeros), size - start)])


def _next_update(raw: bytes) -> int:
    """The update sequence number that follows that of a record; 0 is passed over."""
    if raw[:4] != b"FILE":
        return 1
    place = struct.unpack_from("<H", raw, 4)[0]
    return int(struct.unpack_from("<H", raw, min(place, len(raw) - 2))[0]) + 1 & 0xFFFF or 1
