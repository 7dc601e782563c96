"""The page allocator against a model: no two regions overlap, and all pages come back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_virtio import DmaMemory, DmaMemoryError, Region

PAGES = 32
BASE = 0x4000_0000


def memory(start: int = 0) -> DmaMemory:
    return DmaMemory(memoryview(bytearray(PAGES * 4096)), BASE, start=start)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 5 * 4096)), max_size=60))
def test_regions_never_overlap_and_come_back(steps: list[tuple[bool, int]]) -> None:
    dma = memory()
    held: list[Region] = []
    for allocate, size in steps:
        if allocate:
            try:
                region = dma.allocate(size)
            except DmaMemoryError:
                continue
            assert region.address % 4096 == 0
            assert not any(region.view)
            region.view[:] = b"\xa5" * size
            held.append(region)
        elif held:
            dma.free(held.pop(size % len(held)))
        pages = [
            page
            for region in held
            for page in range(region.address // 4096, -(-(region.address + region.size) // 4096))
        ]
        assert len(pages) == len(set(pages)) == dma.pages_in_use
    for region in held:
        dma.free(region)
    assert dma.pages_in_use == 0
    assert dma.allocate(PAGES * 4096).size == PAGES * 4096  # in one piece again


def test_a_region_is_the_same_bytes_at_its_address() -> None:
    dma = memory(start=4096)
    region = dma.allocate(100)
    region.part(10, 5).view[:] = b"hello"
    assert region.address == BASE + 4096
    assert bytes(dma.at(region.address + 10, 5)) == b"hello"


def test_misuse() -> None:
    dma = memory()
    region = dma.allocate(1)
    dma.free(region)
    with pytest.raises(ValueError, match="no region at"):
        dma.free(region)
    with pytest.raises(ValueError, match="outside"):
        region.part(0, 2)
    with pytest.raises(ValueError, match="outside of the memory"):
        dma.at(BASE - 1, 1)
    with pytest.raises(ValueError, match="outside of the memory"):
        dma.at(BASE, PAGES * 4096 + 1)
    with pytest.raises(MemoryError):
        dma.allocate(PAGES * 4096 + 1)
    with pytest.raises(ValueError, match="writable"):
        DmaMemory(memoryview(bytes(4096)))
