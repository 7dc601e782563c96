"""Run lists: which clusters of the volume hold the clusters of an attribute (linux-ntfs, "Data Runs")."""

from __future__ import annotations

import bisect
import operator
from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import NamedTuple
from cloudboot_ntfs.errors import RunListError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Run(NamedTuple):
    """``length`` clusters from ``vcn`` of the attribute on; they stand at ``lcn``, or nowhere (a hole)."""

    vcn: int
    length: int
    lcn: int | None


_VCN: Final = operator.itemgetter(0)


def pieces(runs: Sequence[Run], cluster_size: int, offset: int, size: int) -> Iterator[tuple[int, int, int]]:
    """Where bytes of an attribute stand in the volume, without holes: ``(place, first byte, last)``.

    The bytes are counted from ``offset``. The runs are in order; those before the first byte are not looked at.
    """
    end = offset + size
    for index in range(max(0, bisect.bisect_right(runs, offset // cluster_size, key=_VCN) - 1), len(runs)):
        vcn, length, lcn = runs[index]
        start = vcn * cluster_size
        if start >= end:
            return
        first, last = max(start, offset), min(start + length * cluster_size, end)
        if first < last and lcn is not None:
            yield lcn * cluster_size + first - start, first - offset, last - offset


def decode(data: bytes, vcn: int, clusters: int, *, offset: int | None = None) -> list[Run]:
    """The runs of mapping pairs.

    Args:
        data: the bytes from the first pair on.
        vcn: the first cluster of the attribute that they map.
        clusters: of the volume.
        offset: where they start in the volume, for errors.

    Raises:
        RunListError: pairs that do not end, of impossible lengths, or that leave the volume.
    """
    runs: list[Run] = []
    position, lcn = 0, 0
    while position < len(data) and data[position]:
        length_size, offset_size = data[position] & 0xF, data[position] >> 4
        end = position + 1 + length_size + offset_size
        if not 1 <= length_size <= 8 or offset_size > 8 or end > len(data):
            raise RunListError(
                "a mapping pair that cannot be", structure="runs", offset=offset, actual=data[position : position + 4]
            )
        count = int.from_bytes(data[position + 1 : position + 1 + length_size], "little", signed=True)
        place: int | None = None
        if offset_size:
            lcn += int.from_bytes(data[position + 1 + length_size : end], "little", signed=True)
            place = lcn
        # A sparse run may be longer than the volume; what is stored may not.
        if count <= 0 or vcn + count >= 1 << 62 or (place is not None and not 0 <= place <= clusters - count):
            raise RunListError(
                "a run leaves the volume",
                structure="runs",
                offset=offset,
                expected=f"within {clusters} clusters",
                actual=f"{count} at {place}",
            )
        runs.append(Run(vcn, count, place))
        vcn += count
        position = end
    if position >= len(data):
        raise RunListError("the mapping pairs do not end", structure="runs", offset=offset)
    return runs


def encode(runs: Iterable[Run]) -> bytes:
    """The mapping pairs of runs that follow one another, with the zero that ends them."""
    parts, previous = [], 0
    for run in runs:
        length = _signed(run.length)
        place = b""
        if run.lcn is not None:
            place = _signed(run.lcn - previous)
            previous = run.lcn
        parts.append(bytes([len(place) << 4 | len(length)]) + length + place)
    return b"".join(parts) + b"\0"


def pair_size(run: Run, previous: int) -> int:
    """Bytes of the mapping pair of a run, after one at the cluster ``previous``."""
    size = 1 + run.length.bit_length() // 8 + 1
    if run.lcn is None:
        return size
    difference = run.lcn - previous
    return size + (difference if difference >= 0 else ~difference).bit_length() // 8 + 1


def _signed(value: int) -> bytes:
    """A signed integer in as few bytes as hold it."""
    size = (value if value >= 0 else ~value).bit_length() // 8 + 1
    return value.to_bytes(size, "little", signed=True)


def joined(runs: list[Run]) -> list[Run]:
    """Runs that follow one another on the disk, and holes that do, put together."""
    found: list[Run] = []
    for run in runs:
        last = found[-1] if found else None
        follows = last is not None and (run.lcn is None if last.lcn is None else run.lcn == last.lcn + last.length)
        if last is not None and follows:
            found[-1] = Run(last.vcn, last.length + run.length, last.lcn)
        else:
            found.append(run)
    return found
