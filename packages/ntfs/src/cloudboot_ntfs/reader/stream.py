"""The content of an attribute: resident, in clusters, with holes, or compressed."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

from cloudboot_ntfs.errors import (
    AttributeFormatError,
    EncryptedError,
    RunListError,
    UnsupportedError,
    VolumeTruncatedError,
)
from cloudboot_ntfs.layout import lznt1, runlist
from cloudboot_ntfs.layout.constants import AttributeFlag

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cloudboot_base import Storage
    from cloudboot_ntfs.layout.attribute import Attribute
    from cloudboot_ntfs.layout.boot import Geometry

#: More bytes than any single read should ask for; a file with holes can be larger than memory.
_MAX_READ = 1 << 31
#: Bytes of a compression unit at most; Windows has 16 clusters of at most 4 KiB.
_MAX_UNIT = 1 << 24
#: As numbers: operators of enum.Flag are slow, and these are asked of every read.
_COMPRESSED = int(AttributeFlag.COMPRESSED)
_ENCRYPTED = int(AttributeFlag.ENCRYPTED)


class Stream:
    """Bytes of a known size at offsets. ``runs`` follow one another from VCN 0 on."""

    __slots__ = (
        "_cluster",
        "_flags",
        "_initialized",
        "_runs",
        "_starts",
        "_storage",
        "_unit",
        "_value",
        "allocated",
        "size",
    )

    def __init__(
        self,
        storage: Storage | None,
        size: int,
        *,
        value: bytes | None = None,
        runs: Sequence[runlist.Run] = (),
        cluster: int = 1,
        initialized: int = 0,
        allocated: int = 0,
        flags: int = 0,
        unit: int = 0,
    ) -> None:
        self.size = size
        #: bytes that the content takes on the disk; holes take none
        self.allocated = sum(run.length for run in runs if run.lcn is not None) * cluster if runs else allocated
        self._storage, self._value, self._runs, self._cluster = storage, value, list(runs), cluster
        self._initialized, self._flags, self._unit = initialized, flags, unit
        self._starts = [run.vcn for run in self._runs]

    @property
    def runs(self) -> list[runlist.Run]:
        """The runs; none of a resident attribute."""
        return self._runs

    def extend(self, runs: Sequence[runlist.Run]) -> None:
        """Let more runs follow, while the parts of $MFT are found one by means of the others."""
        self._runs += runs
        self._starts += [run.vcn for run in runs]

    @property
    def initialized(self) -> int:
        """Bytes that were written; what follows reads as zeros."""
        return self._initialized

    @property
    def is_resident(self) -> bool:
        """Whether the bytes stand in the record."""
        return self._value is not None

    @property
    def is_compressed(self) -> bool:
        """Whether the bytes on the disk are not those of the file."""
        return bool(self._unit and self._flags & _COMPRESSED)

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``, fewer at the end.

        Raises:
            EncryptedError: it is encrypted.
            CompressionError: compressed data that is damaged.
            VolumeTruncatedError: the volume ends before its clusters do.
        """
        size = max(0, min(size, self.size - offset))
        if not size or offset < 0:
            return b""
        if self._value is not None:
            return self._value[offset : offset + size]
        if size > _MAX_READ:
            raise UnsupportedError("more than 2 GiB in one read", structure="stream", actual=size)
        if self._flags & _ENCRYPTED:
            raise EncryptedError(
                "the stream is encrypted", structure="AttributeHeader", field="flags", actual=self._flags,
                hint="copy the file on Windows as a user who has its key",
            )  # fmt: skip
        if self.is_compressed:
            return self._read_compressed(offset, size)
        known = max(0, min(size, self._initialized - offset))
        out = bytearray(size)
        self._fill(memoryview(out)[:known], offset)
        return bytes(out)

    def readinto_at(self, offset: int, view: memoryview) -> int:
        """Fill ``view`` from ``offset``, as far as the content goes; how many bytes. Errors as :meth:`read_at`."""
        if self._value is not None or self._flags & (_COMPRESSED | _ENCRYPTED) or not 0 <= offset < self.size:
            data = self.read_at(offset, len(view))
            view[: len(data)] = data
            return len(data)
        size = min(len(view), self.size - offset)
        known = max(0, min(size, self._initialized - offset))
        self._fill(view[:known], offset)
        view[known:size] = bytes(size - known)
        return size

    def _fill(self, view: memoryview, offset: int) -> None:
        """Read what is stored; holes, and what no run covers, are zeros."""
        cluster, done = self._cluster, 0
        index = bisect.bisect_right(self._starts, offset // cluster) - 1
        while done < len(view) and 0 <= index < len(self._runs):
            run = self._runs[index]
            inside = offset + done - run.vcn * cluster
            count = min(len(view) - done, run.length * cluster - inside)
            if count <= 0:
                break
            if run.lcn is None:
                view[done : done + count] = bytes(count)
            else:
                place = run.lcn * cluster + inside
                storage = self._storage
                if storage is None or place + count > storage.size:
                    raise VolumeTruncatedError(
                        "a run passes the end of the volume", structure="runs", offset=place, expected=count
                    )
                storage.readinto_at(place, view[done : done + count])
            done += count
            index += 1
        view[done:] = bytes(len(view) - done)

    def _read_compressed(self, offset: int, size: int) -> bytes:
        unit = self._cluster << self._unit
        starts = range(offset - offset % unit, offset + size, unit)
        whole = b"".join(self._unit_at(start, min(unit, self.size - start)) for start in starts)
        skip = offset % unit
        data = whole[skip : skip + size]
        known = max(0, min(size, self._initialized - offset))
        return data[:known].ljust(size, b"\0")

    def _unit_at(self, start: int, size: int) -> bytes:
        """One compression unit: zeros if nothing is stored, as it is if all clusters are, else compressed."""
        clusters = 1 << self._unit
        first = start // self._cluster
        stored = sum(count for _, _, count in self._pieces(first, clusters))
        if not stored:
            return bytes(size)
        data = bytearray(stored * self._cluster)
        done = 0
        for _, lcn, count in self._pieces(first, clusters):
            length = count * self._cluster
            storage = self._storage
            if storage is None or lcn * self._cluster + length > storage.size:
                raise VolumeTruncatedError(
                    "a run passes the end of the volume", structure="runs", offset=lcn * self._cluster
                )
            storage.readinto_at(lcn * self._cluster, memoryview(data)[done : done + length])
            done += length
        if stored == clusters:
            return bytes(data[:size])
        return lznt1.decompress(bytes(data), size)

    def _pieces(self, first: int, count: int) -> Iterator[tuple[int, int, int]]:
        """``(vcn, lcn, clusters)`` of what is stored of ``count`` clusters."""
        index = max(0, bisect.bisect_right(self._starts, first) - 1)
        while index < len(self._runs) and self._runs[index].vcn < first + count:
            run = self._runs[index]
            start, end = max(run.vcn, first), min(run.vcn + run.length, first + count)
            if run.lcn is not None and start < end:
                yield start, run.lcn + start - run.vcn, end - start
            index += 1

    def places(self) -> Iterator[tuple[int, int, int]]:
        """Where the clusters stand: ``(offset in the stream, offset in the volume, bytes)``, without holes."""
        for run in self._runs:
            if run.lcn is not None:
                yield run.vcn * self._cluster, run.lcn * self._cluster, run.length * self._cluster

    def data_parts(self) -> list[tuple[int, int]]:
        """``(offset, length)`` of what is stored, in order and apart; everything else is zeros."""
        if self.is_resident:
            return [(0, self.size)] if self.size else []
        unit = self._cluster << self._unit if self.is_compressed else self._cluster
        known = min(self.size, self._initialized)
        found: list[tuple[int, int]] = []
        for offset, _, length in self.places():
            start, end = offset // unit * unit, min(-(-(offset + length) // unit) * unit, known)
            if found and start <= sum(found[-1]):
                start = found.pop()[0]
            if start < end:
                found.append((start, end - start))
        return found

    def pieces(self, offset: int, size: int) -> Iterator[tuple[int, int, int]]:
        """Where ``size`` bytes from ``offset`` stand, as :func:`.runlist.pieces` tells it."""
        return runlist.pieces(self._runs, self._cluster, offset, size)


def resident(value: bytes) -> Stream:
    """The stream of a resident attribute."""
    return Stream(None, len(value), value=value, initialized=len(value), allocated=-(-len(value) // 8) * 8)


def merge(storage: Storage, geometry: Geometry, parts: Sequence[Attribute], *, complete: bool = True) -> Stream:
    """The stream of the parts of an attribute; ``complete`` demands that they cover its allocated size.

    Raises:
        RunListError: parts that do not follow one another, or runs that break their format.
        AttributeFormatError: sizes that contradict one another.
    """
    if parts[0].resident:
        return resident(parts[0].value)
    runs: list[runlist.Run] = []
    ordered = sorted(parts, key=lambda part: part.lowest_vcn)
    following = 0
    for part in ordered:
        if part.resident or part.lowest_vcn != following:
            raise RunListError(
                "the parts of an attribute do not follow one another", structure="NonResidentHeader",
                field="lowest_vcn", expected=following, actual=part.lowest_vcn,
            )  # fmt: skip
        runs += runlist.decode(part.pairs, following, geometry.clusters)
        following = runs[-1].vcn + runs[-1].length if runs else 0
        if part.highest_vcn + 1 != following:
            raise RunListError(
                "the runs end elsewhere than the attribute says", structure="NonResidentHeader", field="highest_vcn",
                expected=part.highest_vcn, actual=following - 1,
            )  # fmt: skip
    first = ordered[0]
    if first.data_size > first.allocated_size or first.initialized_size > first.data_size:
        raise AttributeFormatError(
            "the sizes of an attribute contradict one another", structure="NonResidentHeader", field="data_size",
            expected=f"at most {first.allocated_size}", actual=first.data_size,
        )  # fmt: skip
    if complete and following * geometry.cluster_size != first.allocated_size:
        raise RunListError(
            "the runs do not cover the allocated size", structure="NonResidentHeader", field="allocated_size",
            expected=following * geometry.cluster_size, actual=first.allocated_size,
        )  # fmt: skip
    is_packed = first.flags & _COMPRESSED
    if first.compression_unit > 16 or (is_packed and geometry.cluster_size << first.compression_unit > _MAX_UNIT):
        raise AttributeFormatError(
            "the compression unit cannot be", structure="NonResidentHeader", field="compression_unit",
            actual=first.compression_unit,
        )  # fmt: skip
    return Stream(
        storage,
        first.data_size,
        runs=runs,
        cluster=geometry.cluster_size,
        initialized=first.initialized_size,
        flags=first.flags,
        unit=first.compression_unit,
    )
