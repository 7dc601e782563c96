"""The data streams of files: given, grown, cut and written into."""

from __future__ import annotations

import bisect
import itertools
import operator
import os
from typing import TYPE_CHECKING, Final

from cloudboot_ntfs.builder.placement import Placed, resident
from cloudboot_ntfs.builder.record import capacity
from cloudboot_ntfs.errors import EncryptedError, FileTooLargeError, UnsupportedError
from cloudboot_ntfs.layout.constants import AttributeFlag, FileAttribute, Type
from cloudboot_ntfs.layout.records import AttributeHeader, NonResidentHeader
from cloudboot_ntfs.layout.runlist import Run, joined
from cloudboot_ntfs.reader.stream import merge

from .draft import parsed, runs_of

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from cloudboot_ntfs.builder.record import Packed
    from cloudboot_ntfs.layout.attribute import Attribute
    from cloudboot_ntfs.reader.volume import NTFS
    from cloudboot_vfs.protocol import Readable

    from .draft import Draft
    from .table import Table

_PIECE: Final = 1 << 20
_VCN: Final = operator.itemgetter(0)
_LOWEST: Final = operator.attrgetter("lowest_vcn")
#: Where the head of a non-resident attribute says where its pairs are, and where the head ends.
_RUNS_OFFSET: Final = AttributeHeader.SIZE + NonResidentHeader.LAYOUT.offsets["runs_offset"]
_PAIRS: Final = AttributeHeader.SIZE + NonResidentHeader.SIZE
#: Runs that are kept decoded at most.
_MOST_DECODED: Final = 1 << 16
#: Clusters that a hole has at least, and whose multiples it starts and ends at: as many as a compression unit.
_HOLE: Final = 16
#: Bytes of a compressed stream at most that is stored plainly because it is changed.
_MAX_REWRITE: Final = 1 << 30
#: Bytes of a file at most: 16 TiB without 64 KiB, as Windows has it.
_MAX_SIZE: Final = (1 << 44) - (1 << 16)
#: Bytes that everything beside an attribute that is not content needs in a record.
_BESIDE: Final = 300
#: Bytes of such an attribute at most.
_MAX_VALUE: Final = 1 << 16


class Contents:
    """Changes to $DATA of drafts. Clusters are taken from the volume at once, and given back with the operation."""

    def __init__(self, volume: NTFS, table: Table) -> None:
        self._volume, self._table = volume, table
        self._cluster = volume.geometry.cluster_size
        #: runs of parts that were decoded last: a file that grows piece by piece changes only its last part
        self._decoded_parts: dict[tuple[bytes, int], list[Run]] = {}
        self._decoded_runs = 0

    def size(self, draft: Draft, stream: str = "") -> int:
        """Bytes of a stream; 0 where there is none."""
        first = self._first(draft, stream)
        return 0 if first is None else first.data_size

    def put(
        self, draft: Draft, data: Buffer | Readable | os.PathLike[str], stream: str = "", *, sparse: bool = False
    ) -> int:
        """New content for a stream, its size in bytes; the old clusters are given back with the operation.

        Raises:
            EncryptedError: EFS encrypts the file.
            NoSpaceError: it does not fit.
        """
        self.require_plain(draft, stream)
        if isinstance(data, os.PathLike):
            with open(data, "rb") as file:
                return self.put(draft, file, stream, sparse=sparse)
        old = self._runs(draft, stream)
        if hasattr(data, "read"):
            parts, size = self._from_file(data, stream, draft, sparse=sparse)  # type: ignore[arg-type]  # it can be read
        else:
            view = memoryview(data).cast("B")
            parts, size = self._from_bytes(bytes(view), stream, draft, sparse=sparse)
        self._table.space.release(old)
        draft.replace(Type.DATA, stream, parts)
        return size

    def value(self, kind: int, data: bytes) -> list[Packed]:
        """An attribute without a name: in the record, or in clusters where a record has no room for it.

        Raises:
            NoSpaceError: it does not fit.
        """
        if len(data) <= capacity(self._volume.geometry.record_size) - _BESIDE:
            return [resident(kind, data)]
        return self._placed(len(data), self._table.space.store(data)).attributes(kind)

    def read(self, parts: list[Packed]) -> bytes:
        """The bytes of an attribute whose parts are given, the first 64 KiB at most.

        Raises:
            RunListError, AttributeFormatError: the parts do not hold together.
        """
        own = [parsed(each) for each in parts]
        if own[0].resident:
            return own[0].value
        return merge(self._volume.storage, self._volume.geometry, own).read_at(0, _MAX_VALUE)

    def resize(self, draft: Draft, size: int, stream: str = "") -> None:
        """Let a stream have ``size`` bytes: what is beyond goes, what is missing is zeros, in a hole where it is much.

        Raises:
            EncryptedError: EFS encrypts the file.
            FileTooLargeError: no file has that size.
            NoSpaceError: there are not enough clusters.
        """
        self.require_plain(draft, stream)
        self._require_size(size)
        first = self._first(draft, stream)
        old = 0 if first is None else first.data_size
        if size == old and first is not None:
            return
        if not size or first is None or first.resident:
            value = b"" if first is None or not size else first.value
            if size <= capacity(self._volume.geometry.record_size):
                self.put(draft, value[:size].ljust(size, b"\0"), stream)
                return
        runs, known = self._plain_runs(draft, stream)
        if size < old:
            runs, gone = cut(runs, -(-size // self._cluster))
            self._table.space.release(gone)
        else:
            runs = self._grown(runs, known, size, size, size)
        self._replace(draft, stream, size, runs)

    def write(self, draft: Draft, offset: int, view: memoryview, stream: str = "") -> int:
        """Write into a stream at ``offset``, which may be beyond its end; its size afterwards.

        Raises:
            EncryptedError: EFS encrypts the file.
            FileTooLargeError: no file reaches that far.
            NoSpaceError: there are not enough clusters.
        """
        self.require_plain(draft, stream)
        end = offset + len(view)
        self._require_size(end)
        first = self._first(draft, stream)
        old = 0 if first is None else first.data_size
        if (first is None or first.resident) and end <= capacity(self._volume.geometry.record_size):
            data = bytearray(b"" if first is None else first.value).ljust(offset, b"\0")
            data[offset:end] = view
            return self.put(draft, bytes(data), stream)
        runs, known = self._plain_runs(draft, stream)
        size = max(old, end)
        if size > known:
            runs = self._grown(runs, known, size, offset, end)
        runs = self._filled(runs, offset, end)
        self._table.write_runs(runs, offset, view)
        self._replace(draft, stream, size, runs)
        return size

    def require_plain(self, draft: Draft, stream: str = "") -> None:
        """Refuse to store plain content where Windows expects what $EFS has the key of: in all streams of such a file.

        Raises:
            EncryptedError: EFS encrypts the file.
        """
        first = self._first(draft, stream)
        is_file = not draft.is_directory
        if (is_file and draft.information().attributes & FileAttribute.ENCRYPTED) or (
            first is not None and first.flags & AttributeFlag.ENCRYPTED
        ):
            raise EncryptedError(
                "the file is encrypted, and nothing can be stored in it without its key", structure="DATA",
                field="flags", where={"record": draft.number},
                hint="remove the file and make a new one, or change it on Windows as a user who has its key",
            )  # fmt: skip

    # What these consist of

    def _require_size(self, size: int) -> None:
        if size < 0 or size > _MAX_SIZE:
            raise FileTooLargeError(
                "no file has that size", field="size", expected=f"0 to {_MAX_SIZE} bytes", actual=size
            )

    def _first(self, draft: Draft, stream: str) -> Attribute | None:
        parts = draft.all(Type.DATA, stream)
        return parsed(min(parts, key=lambda part: part.lowest_vcn)) if parts else None

    def _runs(self, draft: Draft, stream: str) -> list[Run]:
        parts = sorted(draft.all(Type.DATA, stream), key=_LOWEST)
        if len(parts) == 1:
            return runs_of(parts, self._volume.geometry.clusters)
        return [run for part in parts for run in self._runs_of_part(part)]

    def _runs_of_part(self, part: Packed) -> list[Run]:
        key = part.data[_RUNS_OFFSET : _RUNS_OFFSET + 2] + part.data[_PAIRS:], part.lowest_vcn
        found = self._decoded_parts.get(key)
        if found is None:
            found = runs_of([part], self._volume.geometry.clusters)
            self._decoded_runs += len(found)
            if self._decoded_runs > _MOST_DECODED:
                self._decoded_parts.clear()
                self._decoded_runs = len(found)
            self._decoded_parts[key] = found
        return found

    def _placed(self, size: int, runs: list[Run]) -> Placed:
        return Placed(size, runs[-1].vcn + runs[-1].length if runs else 0, self._cluster, runs, [])

    def _replace(self, draft: Draft, stream: str, size: int, runs: list[Run]) -> None:
        """Let a stream have other runs. Parts in which nothing changed stay, and with them the records they are in."""
        placed = self._placed(size, runs)
        parts = self._unchanged(draft, stream, placed) if runs else []
        draft.replace(Type.DATA, stream, placed.attributes(Type.DATA, stream, kept=parts))

    def _unchanged(self, draft: Draft, stream: str, placed: Placed) -> list[Packed]:
        """The first parts of a stream that ``placed`` has, too."""
        parts = sorted(draft.all(Type.DATA, stream), key=_LOWEST)
        if len(parts) < 2 or any(part.data[8] == 0 for part in parts):
            return []
        first = parsed(parts[0])
        # The head of a sparse attribute has one size more, which not every program gives it.
        if placed.is_sparse:
            if first.flags != AttributeFlag.SPARSE or first.stored_size is None:
                return []
        elif first.flags:
            return []
        kept: list[Packed] = []
        position = 0
        for part, following in itertools.pairwise(parts):
            own = self._runs_of_part(part)
            # The run after the last one decides whether there was room for it.
            after = self._runs_of_part(following)[:1]
            if placed.runs[position : position + len(own) + 1] != own + after:
                break
            kept.append(part)
            position += len(own)
        return kept

    def _from_bytes(self, data: bytes, stream: str, draft: Draft, *, sparse: bool = False) -> tuple[list[Packed], int]:
        others = sum(len(each.data) for each in draft.attributes if (each.type, each.name) != (Type.DATA, stream))
        small = resident(Type.DATA, data, stream) if len(data) < 1 << 16 else None
        room = capacity(self._volume.geometry.record_size) - others - draft.kept_for_names
        if small is not None and len(small.data) <= room:
            return [small], len(data)
        if not data:  # the record is full: the empty value goes to another one
            return [resident(Type.DATA, b"", stream)], 0
        runs = joined(self._stored(data, 0, sparse=sparse))
        return self._placed(len(data), runs).attributes(Type.DATA, stream), len(data)

    def _from_file(self, file: Readable, stream: str, draft: Draft, *, sparse: bool) -> tuple[list[Packed], int]:
        piece = _read(file)
        if len(piece) < _PIECE:
            return self._from_bytes(piece, stream, draft, sparse=sparse)
        runs: list[Run] = []
        size = 0
        while piece:
            runs += self._stored(piece, size // self._cluster, sparse=sparse)
            size += len(piece)
            piece = _read(file)
        self._require_size(size)
        return self._placed(size, joined(runs)).attributes(Type.DATA, stream), size

    def _stored(self, data: bytes, vcn: int, *, sparse: bool) -> list[Run]:
        """Runs with ``data``; with ``sparse`` what is zeros for the length of a hole is one."""
        if not sparse:
            return self._table.space.store(data, vcn=vcn)
        unit = _HOLE * self._cluster
        runs: list[Run] = []
        start = 0
        while start < len(data):
            end = start
            is_zero = not any(data[start : start + unit])
            while end < len(data) and any(data[end : end + unit]) != is_zero:
                end = min(len(data), end + unit)
            first, count = vcn + start // self._cluster, -(-(end - start) // self._cluster)
            if is_zero:
                runs.append(Run(first, count, None))
            else:
                runs += self._table.space.store(data[start:end], vcn=first)
            start = end
        return runs

    def _plain_runs(self, draft: Draft, stream: str) -> tuple[list[Run], int]:
        """The runs of a stream that can be written into, and up to where the stream is initialised.

        What is resident or compressed is stored in clusters first. Nothing beyond that place is defined.
        """
        first = self._first(draft, stream)
        if first is None:
            return [], 0
        if first.resident or first.flags & AttributeFlag.COMPRESSED:
            data = first.value if first.resident else self._decoded(draft, stream)
            self._table.space.release(self._runs(draft, stream))
            return (self._table.space.store(data) if data else []), len(data)
        runs, known = self._runs(draft, stream), first.initialized_size
        if known < first.data_size:
            covered = sum(run.length for run in runs) * self._cluster
            self._zero(runs, known, min(first.data_size, covered))
        return runs, first.data_size

    def _decoded(self, draft: Draft, stream: str) -> bytes:
        parts = [parsed(each) for each in draft.all(Type.DATA, stream)]
        content = merge(self._volume.storage, self._volume.geometry, parts)
        if content.size > _MAX_REWRITE:
            raise UnsupportedError(
                "a compressed stream is too large to be changed", structure="DATA", expected=_MAX_REWRITE,
                actual=content.size,
            )  # fmt: skip
        return content.read_at(0, content.size)

    def _grown(self, runs: list[Run], old: int, size: int, offset: int, end: int) -> list[Run]:
        """Runs that reach to ``size``; everything after ``old`` is zeros but what stands from ``offset`` to ``end``."""
        cluster = self._cluster
        have, need = runs[-1].vcn + runs[-1].length if runs else 0, -(-size // cluster)
        self._zero(runs, old, min(have * cluster, max(old, offset)))
        self._zero(runs, max(old, end), have * cluster)
        runs = list(runs)
        gap = max(0, offset // cluster - have)
        if gap >= _HOLE:
            runs.append(Run(have, gap, None))
            have += gap
        if need > have:
            added = self._table.space.allocate(need - have, vcn=have, near=_following(runs))
            self._zero(added, have * cluster, offset)
            self._zero(added, end, need * cluster)
            last = len(runs) - 1
            runs[last:] = joined(runs[last:] + added)
        return runs

    def _filled(self, runs: list[Run], offset: int, end: int) -> list[Run]:
        """Runs without holes where the bytes from ``offset`` to ``end`` stand."""
        cluster = self._cluster
        first, last = offset // cluster, -(-end // cluster)
        begin = max(0, bisect.bisect_right(runs, first, key=_VCN) - 1)
        end_of = bisect.bisect_left(runs, last, key=_VCN)
        if all(run.lcn is not None for run in runs[begin:end_of]):
            return runs
        found: list[Run] = []
        for run in runs:
            start, stop = max(run.vcn, first), min(run.vcn + run.length, last)
            if run.lcn is not None or start >= stop:
                found.append(run)
                continue
            if run.vcn < start:
                found.append(Run(run.vcn, start - run.vcn, None))
            added = self._table.space.allocate(stop - start, vcn=start, near=_following(found))
            self._zero(added, start * cluster, offset)
            self._zero(added, end, stop * cluster)
            found += added
            if stop < run.vcn + run.length:
                found.append(Run(stop, run.vcn + run.length - stop, None))
        return joined(found)

    def _zero(self, runs: list[Run], start: int, end: int) -> None:
        """Zeros from byte ``start`` to ``end`` of what the runs hold; holes stay holes."""
        if start >= end:
            return
        zeros = bytes(min(_PIECE, end - start))
        for index in range(max(0, bisect.bisect_right(runs, start // self._cluster, key=_VCN) - 1), len(runs)):
            run = runs[index]
            if run.vcn * self._cluster >= end:
                return
            if run.lcn is None:
                continue
            first = max(start, run.vcn * self._cluster)
            last = min(end, (run.vcn + run.length) * self._cluster)
            for place in range(first, last, len(zeros)):
                self._table.write_runs([run], place, memoryview(zeros)[: min(len(zeros), last - place)])


def _read(file: Readable) -> bytes:
    """The next piece, whole unless the file ends."""
    piece = file.read(_PIECE)
    while len(piece) < _PIECE and (more := file.read(_PIECE - len(piece))):
        piece += more
    return piece


def _following(runs: list[Run]) -> int | None:
    """The cluster after the last one that is stored."""
    for run in reversed(runs):
        if run.lcn is not None:
            return run.lcn + run.length
    return None


def cut(runs: list[Run], clusters: int) -> tuple[list[Run], list[Run]]:
    """The runs of the first clusters, and those of the rest."""
    kept: list[Run] = []
    gone: list[Run] = []
    for run in runs:
        inside = max(0, min(run.length, clusters - run.vcn))
        if inside:
            kept.append(Run(run.vcn, inside, run.lcn))
        if inside < run.length:
            gone.append(Run(run.vcn + inside, run.length - inside, None if run.lcn is None else run.lcn + inside))
    return kept, gone
