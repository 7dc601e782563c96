"""Clusters and records: who has them, and what the bitmaps say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_ntfs.errors import NtfsError
from cloudboot_ntfs.layout.constants import Number, Type

if TYPE_CHECKING:
    from .context import Context

#: Findings of one kind about single clusters or records; the rest is counted in one more.
_SHOWN = 20
#: Bytes of $Bitmap after the bits of the volume that are looked at.
_MOST_BEYOND = 1 << 16


def check_space(context: Context) -> None:
    """Compare the clusters that attributes have with one another and with $Bitmap, and records with $MFT's bitmap."""
    used = _overlaps(context)
    _check_clusters(context, used)
    _check_records(context)


def _overlaps(context: Context) -> list[tuple[int, int]]:
    """The ranges of clusters in use, put together; clusters that two attributes have are reported."""
    merged: list[tuple[int, int]] = []
    reported = 0
    owner = -1
    for start, end, number in sorted(context.claims):
        if merged and start < merged[-1][1]:
            reported += 1
            if reported <= _SHOWN:
                context.report(
                    "cluster-shared", "two attributes have the same clusters", structure="runs",
                    offset=start * context.volume.geometry.cluster_size, expected=f"none of record {owner}",
                    actual=f"{min(end, merged[-1][1]) - start} clusters", record=number,
                )  # fmt: skip
            if end > merged[-1][1]:
                merged[-1] = merged[-1][0], end
                owner = number
        elif merged and start == merged[-1][1]:
            merged[-1], owner = (merged[-1][0], end), number
        else:
            merged.append((start, end))
            owner = number
    if reported > _SHOWN:
        context.report("cluster-shared", f"{reported - _SHOWN} more places where clusters are shared", structure="runs")
    return merged


def bits_of(ranges: list[tuple[int, int]], count: int) -> int:
    """An integer with the bits of the ranges set."""
    packed = bytearray(-(-count // 8) + 1)
    for start, end in ranges:
        first, last = start // 8, end // 8
        if first == last:
            packed[first] |= (1 << end % 8) - (1 << start % 8)
            continue
        packed[first] |= 0xFF << start % 8 & 0xFF
        packed[first + 1 : last] = b"\xff" * (last - first - 1)
        packed[last] |= (1 << end % 8) - 1
    return int.from_bytes(packed, "little")


def _check_clusters(context: Context, used: list[tuple[int, int]]) -> None:
    clusters = context.volume.geometry.clusters
    stream = context.mft.stream(context.mft.file(Number.BITMAP), Type.DATA)
    needed = -(-clusters // 8)
    if stream.size < needed:
        context.report(
            "cluster-bitmap",
            "$Bitmap is too short for the volume",
            structure="$Bitmap",
            expected=needed,
            actual=stream.size,
        )
        return
    data = stream.read_at(0, needed + _MOST_BEYOND)
    marked = int.from_bytes(data, "little") & (1 << clusters) - 1
    _compare(
        context,
        "cluster-bitmap",
        bits_of(used, clusters),
        marked,
        ("cluster", "in use", "marked free", "marked used", "free"),
    )
    _check_beyond(context, data, clusters)


def _check_beyond(context: Context, data: bytes, clusters: int) -> None:
    """Bits after the last cluster are set, as mkntfs and Windows have it: ntfs-3g stores files where one is clear."""
    beyond = len(data) * 8 - clusters
    clear = beyond - (int.from_bytes(data, "little") >> clusters).bit_count()
    if clear:
        context.report(
            "cluster-bitmap-end", "what is after the last cluster is marked free", structure="$Bitmap",
            expected=f"{beyond} bits set", actual=f"{clear} of them clear",
        )  # fmt: skip


def _check_records(context: Context) -> None:
    count = context.mft.count
    try:
        stream = context.mft.stream(context.mft.file(Number.MFT), Type.BITMAP)
    except NtfsError as error:
        context.caught(error)
        return
    needed = -(-count // 8)
    data = stream.read_at(0, needed)
    if len(data) < needed:
        context.report(
            "record-bitmap",
            "the bitmap of $MFT is too short",
            structure="$MFT:$BITMAP",
            expected=needed,
            actual=len(data),
        )
        return
    marked = int.from_bytes(data, "little") & (1 << count) - 1
    known = bits_of([(number, number + 1) for number in context.used], count)
    # What cannot be read is reported by itself.
    unknown = bits_of([(number, number + 1) for number in context.unreadable], count)
    _compare(
        context,
        "record-bitmap",
        known,
        marked & ~unknown,
        ("record", "in use", "marked free", "marked used", "not in use"),
    )


def _compare(context: Context, kind: str, used: int, marked: int, words: tuple[str, str, str, str, str]) -> None:
    what, is_used, as_free, as_used, is_free = words
    for bits, message in (
        (used & ~marked, f"a {what} {is_used} is {as_free}"),
        (marked & ~used, f"a {what} {as_used} is {is_free}"),
    ):
        ranges = _ranges(bits)
        for start, end in ranges[:_SHOWN]:
            context.report(
                f"{kind}-{'free' if bits == used & ~marked else 'leak'}", message, structure=kind.replace("-", " "),
                actual=f"{what} {start}" if end == start + 1 else f"{what}s {start} to {end - 1}",
            )  # fmt: skip
        if len(ranges) > _SHOWN:
            context.report(kind, f"{len(ranges) - _SHOWN} more ranges: {message}", structure=kind.replace("-", " "))


def _ranges(bits: int) -> list[tuple[int, int]]:
    """The ranges of set bits; as many as are shown, and a few more."""
    found: list[tuple[int, int]] = []
    position = 0
    while bits and len(found) < 10 * _SHOWN:
        skip = (bits & -bits).bit_length() - 1
        bits >>= skip
        position += skip
        length = (~bits & (bits + 1)).bit_length() - 1
        found.append((position, position + length))
        bits >>= length
        position += length
    return found
