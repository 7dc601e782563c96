"""Free clusters and records, and where bytes stand in runs: against the plainest way to find them."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_base import MemoryStorage
from cloudboot_ntfs.editor.space import Bitmap
from cloudboot_ntfs.layout import runlist
from cloudboot_ntfs.layout.runlist import Run
from cloudboot_ntfs.reader.stream import Stream

COUNT = 60_003


def bitmap(bits: bytes, count: int, first: int = 0) -> Bitmap:
    storage = MemoryStorage(bytearray(bits).ljust(1 << 16, b"\0"))
    stream = Stream(storage, len(bits), runs=[Run(0, 16, 0)], cluster=4096, initialized=len(bits))
    return Bitmap(storage, stream, count, first=first)


def clear(bits: bytes | bytearray, start: int, count: int) -> list[tuple[int, int]]:
    """Every range of clear bits, looked at one by one."""
    found = []
    numbers = range(start, count)
    for is_clear, group in itertools.groupby(numbers, key=lambda number: not bits[number // 8] >> number % 8 & 1):
        own = list(group)
        if is_clear:
            found.append((own[0], len(own)))
    return found


@given(st.lists(st.tuples(st.sampled_from([0, 1, 7, 0x10, 0x80, 0xC3, 0xFF]), st.integers(1, 9))), st.data())
def test_free_ranges(pieces: list[tuple[int, int]], data: st.DataObject) -> None:
    bits = b"".join(bytes([value]) * length for value, length in pieces) + b"\x7f"
    count = len(bits) * 8 - data.draw(st.integers(0, 7))
    subject = bitmap(bits, count)
    for _ in range(4):
        start = data.draw(st.integers(0, count))
        expected = clear(bits, start, count)
        assert list(subject.free_ranges(start)) == expected
        enough = data.draw(st.integers(1, 80))
        some = list(subject.free_ranges(start, enough))
        before = expected[: next((at for at, own in enumerate(expected) if own[1] >= enough), len(expected))]
        assert some[: len(before)] == before
        if len(before) < len(expected):
            (first, length), (whole_first, whole) = some[len(before)], expected[len(before)]
            assert (len(some), first) == (len(before) + 1, whole_first)
            assert enough <= length <= whole
        else:
            assert some == expected


@pytest.mark.parametrize("first", [0, 64])
def test_free_ranges_while_bits_come_and_go(first: int) -> None:
    chance = random.Random(first)
    subject = bitmap(bytes(-(-COUNT // 8)), COUNT, first=first)
    for _ in range(400):
        begin = chance.randrange(first, COUNT - 3000)
        if chance.random() < 0.6:
            for place, length in itertools.islice(subject.free_ranges(0), 1):
                subject.set(place, min(length, chance.randrange(1, 3000)))
        else:
            subject.clear_later(begin, chance.randrange(1, 2000))
        if chance.random() < 0.2:
            subject.roll_back()
        subject.accept()
        subject.write_taken()
        subject.write_given()
        start = chance.choice([0, first, chance.randrange(COUNT)])
        assert list(subject.free_ranges(start)) == clear(subject.bits, max(start, first), COUNT)


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 50) | st.none()), min_size=1, max_size=12),
    st.integers(0, 200),
    st.integers(0, 200),
)
def test_pieces(parts: list[tuple[int, int | None]], offset: int, size: int) -> None:
    starts = itertools.accumulate((length for length, _ in parts), initial=0)
    runs = [Run(vcn, length, lcn) for vcn, (length, lcn) in zip(starts, parts, strict=False)]
    cluster = 4
    places = {
        (run.vcn + index) * cluster + byte: (run.lcn + index) * cluster + byte
        for run in runs
        if run.lcn is not None
        for index in range(run.length)
        for byte in range(cluster)
    }
    found = {
        offset + number: place + number - first
        for place, first, last in runlist.pieces(runs, cluster, offset, size)
        for number in range(first, last)
    }
    assert found == {byte: place for byte, place in places.items() if offset <= byte < offset + size}
