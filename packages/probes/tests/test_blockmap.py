"""Reads are credited to exactly the bytes they took, each once."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_probes.blockmap import BlockMap, Extent, Read, union_size

SIZE = 200


@st.composite
def maps(draw: st.DrawFn) -> list[Extent]:
    cuts = sorted(draw(st.sets(st.integers(0, SIZE), min_size=2, max_size=20)))
    owners = st.sampled_from(["a", "b", "c"])
    return [
        Extent(start, end, draw(st.integers(0, 2)), draw(owners))
        for start, end in itertools.pairwise(cuts)
        if draw(st.booleans())
    ]


reads = st.lists(
    st.tuples(st.integers(0, SIZE), st.integers(1, 60)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=12
)


@given(maps(), reads)
def test_coverage_is_what_counting_bytes_gives(extents: list[Extent], ranges: list[tuple[int, int]]) -> None:
    taken = [Read(float(number), start, end) for number, (start, end) in enumerate(ranges)]
    coverage = BlockMap(extents).coverage(taken)
    seen = {byte for start, end in ranges for byte in range(start, end)}
    for key in {(extent.partition, extent.owner) for extent in extents}:
        own = {
            byte
            for extent in extents
            if (extent.partition, extent.owner) == key
            for byte in range(extent.start, extent.end)
        }
        touching = [number for number, (start, end) in enumerate(ranges) if own & set(range(start, end))]
        if not touching:
            assert key not in coverage
            continue
        part = coverage[key]
        assert (part.size, part.read) == (len(own), len(own & seen))
        assert (part.first, part.last) == (touching[0], touching[-1])
        assert part.complete == (own <= seen)


@given(maps(), st.integers(0, SIZE), st.integers(1, 60))
def test_overlapping_finds_every_extent_and_no_other(extents: list[Extent], start: int, size: int) -> None:
    found = BlockMap(extents).overlapping(start, start + size)
    assert list(found) == sorted(extent for extent in extents if extent.start < start + size and extent.end > start)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)).map(lambda pair: (min(pair), max(pair)))))
def test_union(pieces: list[tuple[int, int]]) -> None:
    assert union_size(pieces) == len({byte for start, end in pieces for byte in range(start, end)})


def test_extents_that_overlap_are_a_defect_of_the_map() -> None:
    with pytest.raises(ValueError, match="overlap"):
        BlockMap([Extent(0, 10, 1, "a"), Extent(9, 12, 1, "b")])
