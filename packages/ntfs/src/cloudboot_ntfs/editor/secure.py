"""New security descriptors in $Secure: in $SDS and its copy, and in the two indexes that find them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_ntfs.builder.placement import Placed
from cloudboot_ntfs.errors import NoSpaceError, UnsupportedError
from cloudboot_ntfs.layout.constants import SECTOR, Number, Type
from cloudboot_ntfs.layout.records import SdsEntry
from cloudboot_ntfs.layout.runlist import joined
from cloudboot_ntfs.layout.secure import (
    BLOCK,
    FIRST_ID,
    LAST_ID,
    MAX_ENTRY,
    descriptor_hash,
    entry_at,
    entry_by_hash,
    entry_by_id,
    entry_size,
    place_after,
)
from cloudboot_ntfs.reader.secure import descriptor_of

from .draft import load, parsed, runs_of
from .stage import Layer

if TYPE_CHECKING:
    from cloudboot_ntfs.layout.runlist import Run
    from cloudboot_ntfs.reader.stream import Stream
    from cloudboot_ntfs.reader.volume import NTFS

    from .draft import Draft
    from .table import Table

SDS: Final = "$SDS"
#: Clusters by which $SDS grows at least, where there is room: it stays in few pieces.
_GROWTH: Final = 16


class Descriptors:
    """The descriptors of a volume that is changed. Those that no file has any more stay, as Windows leaves them.

    An entry of $SDS is staged in sectors, its copy after it, before the indexes and everything that refers to it.
    """

    def __init__(self, volume: NTFS, table: Table) -> None:
        self._volume, self._table = volume, table
        self._following: tuple[int, int] | None = None  #: where the last entry ends, and the next id

    def forget(self) -> None:
        """An operation was rolled back: what it added is not there."""
        self._following = None

    def id_of(self, descriptor: bytes) -> int:
        """The id of a descriptor, which is added if it is not there.

        Raises:
            DescriptorError: it is larger than what $Secure holds.
            NoSpaceError: $SDS or an index cannot grow, or there is no id left.
            RecordError: an index and $SDS do not agree.
            UnsupportedError: $SDS is stored in another way than Windows does.
        """
        hashed, size = descriptor_hash(descriptor), entry_size(descriptor)
        stream = self._stream()
        for item in self._table.index(Number.SECURE, "$SDH").beginning((hashed,)):
            head = SdsEntry.unpack_from(item.data.ljust(SdsEntry.SIZE, b"\0"))
            if head.size == size and descriptor_of(stream, head) == descriptor:
                return head.security_id
        end, security_id = self._following or self._end(stream)
        if security_id > LAST_ID:
            raise NoSpaceError("no free id of a security descriptor")
        head = SdsEntry(hashed, security_id, place_after(end, size), size)
        self._write(head.offset, head.pack() + descriptor)
        self._table.index(Number.SECURE, "$SII").put_packed(entry_by_id(head))
        self._table.index(Number.SECURE, "$SDH").put_packed(entry_by_hash(head))
        self._following = head.offset + size, security_id + 1
        return security_id

    def _stream(self) -> Stream:
        mft = self._volume.mft
        return mft.stream(mft.file(Number.SECURE), Type.DATA, SDS)

    def _end(self, stream: Stream) -> tuple[int, int]:
        """Where the last entry ends, and the id that follows those there are.

        Whole entries that stand behind those of the index are passed over: a file may have their ids.
        """
        end, following = 0, FIRST_ID
        for item in self._table.index(Number.SECURE, "$SII").items():
            head = SdsEntry.unpack_from(item.data.ljust(SdsEntry.SIZE, b"\0"))
            end, following = max(end, head.offset + head.size), max(following, head.security_id + 1)
        while True:
            place = place_after(end, SdsEntry.SIZE)
            passed = entry_at(stream.read_at(place, min(MAX_ENTRY, max(0, stream.size - place))), 0, place)
            if passed is None:
                return end, following
            end, following = place + passed.size, max(following, passed.security_id + 1)

    def _write(self, place: int, entry: bytes) -> None:
        """Stage an entry and its copy; the stream grows if it has to."""
        draft = load(self._volume.mft, Number.SECURE)
        runs = self._grown(draft, place + BLOCK + len(entry))
        for start in (place, place + BLOCK):
            first, last = start // SECTOR * SECTOR, -(-(start + len(entry)) // SECTOR) * SECTOR
            data = bytearray(self._table.read_runs(runs, first, last - first))
            data[start - first : start - first + len(entry)] = entry
            self._table.stage_runs(Layer.SECURE, runs, first, bytes(data), piece=SECTOR)

    def _grown(self, draft: Draft, size: int) -> list[Run]:
        """The runs of $SDS, which has ``size`` bytes or more."""
        parts = sorted(draft.all(Type.DATA, SDS), key=lambda part: part.lowest_vcn)
        first = parsed(parts[0])
        runs = runs_of(parts, self._volume.geometry.clusters)
        if first.resident or first.flags or any(run.lcn is None for run in runs):
            raise UnsupportedError(
                "$SDS is resident, compressed or sparse, and is not changed", structure="$Secure:$SDS", field="flags",
                expected=0, actual=first.flags,
            )  # fmt: skip
        cluster = self._volume.geometry.cluster_size
        have = sum(run.length for run in runs)
        covered, start = have * cluster, min(first.initialized_size, first.data_size)
        size = max(size, first.data_size)
        if start < size:
            # What clusters hold behind the end is not defined, and is read as zeros from now on.
            zeroed = min(covered, -(-size // SECTOR) * SECTOR)
            self._table.write_runs(runs, start, bytes(max(0, zeroed - start)))
        need = -(-size // cluster) - have
        if need > 0:
            last = runs[-1] if runs else None
            near = None if last is None or last.lcn is None else last.lcn + last.length
            try:
                added = self._table.space.allocate(max(need, _GROWTH), vcn=have, near=near)
            except NoSpaceError:
                added = self._table.space.allocate(need, vcn=have, near=near)
            self._table.zero(added)
            have += sum(run.length for run in added)
            runs = joined(runs + added)
        if start < size:
            placed = Placed(size, have, cluster, runs, [])
            draft.replace(Type.DATA, SDS, placed.attributes(Type.DATA, SDS))
            self._table.store(draft)
        return runs
