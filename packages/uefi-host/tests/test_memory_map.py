"""AllocatePages, FreePages and GetMemoryMap by the rules of UEFI 2.10 section 7.2."""

from hypothesis import given
from hypothesis import strategies as st

from cloudboot_uefi_abi.status import Status
from cloudboot_uefi_host import Firmware
from cloudboot_uefi_host.core.allocator import ALLOCATE_ADDRESS, ALLOCATE_ANY_PAGES, ALLOCATE_MAX_ADDRESS, Allocator
from cloudboot_uefi_host.core.memory_map import DESCRIPTOR_SIZE, PAGE, MemoryMap, MemoryType
from cloudboot_uefi_host.memory import GuestMemory

SIZE = 1 << 20
SLOT = 0x100


def allocator() -> Allocator:
    """A machine's memory: 1 MiB from 0, the first 64 KiB taken."""
    found = MemoryMap()
    found.add(0, 0x10000, MemoryType.BOOT_SERVICES_DATA)
    found.add(0x10000, SIZE - 0x10000, MemoryType.CONVENTIONAL)
    return Allocator(GuestMemory(memoryview(bytearray(SIZE)), 0), found)


def pages(under: Allocator, kind: int, memory_type: int, count: int, address: int = 0) -> tuple[int, int]:
    """AllocatePages: the status, and what it stored."""
    under.memory.put64(SLOT, address)
    return under.allocate_pages(kind, memory_type, count, SLOT), under.memory.u64(SLOT)


def test_pages_come_from_the_top() -> None:
    assert pages(allocator(), ALLOCATE_ANY_PAGES, MemoryType.LOADER_DATA, 3) == (Status.SUCCESS, SIZE - 3 * PAGE)


def test_the_limit_of_allocate_max_address_is_inclusive() -> None:
    status, address = pages(allocator(), ALLOCATE_MAX_ADDRESS, MemoryType.LOADER_DATA, 1, 0x20FFF)
    assert (status, address) == (Status.SUCCESS, 0x20000)
    status, address = pages(allocator(), ALLOCATE_MAX_ADDRESS, MemoryType.LOADER_DATA, 1, 0x20FFE)
    assert (status, address) == (Status.SUCCESS, 0x1F000)
    assert pages(allocator(), ALLOCATE_MAX_ADDRESS, MemoryType.LOADER_DATA, 2, 0x10FFF)[0] == Status.OUT_OF_RESOURCES


def test_an_address_is_given_once() -> None:
    under = allocator()
    assert pages(under, ALLOCATE_ADDRESS, MemoryType.LOADER_CODE, 2, 0x40000) == (Status.SUCCESS, 0x40000)
    assert pages(under, ALLOCATE_ADDRESS, MemoryType.LOADER_CODE, 1, 0x41000)[0] == Status.NOT_FOUND
    assert under.free_pages(0x40000, 2) == Status.SUCCESS
    assert under.free_pages(0x40000, 2) == Status.NOT_FOUND
    assert under.free_pages(0x40001, 1) == Status.INVALID_PARAMETER


def test_more_than_there_is() -> None:
    for count in (SIZE // PAGE, 1 << 40, (1 << 64) - 1):
        status = pages(allocator(), ALLOCATE_ANY_PAGES, MemoryType.LOADER_DATA, count)[0]
        assert status in {Status.OUT_OF_RESOURCES, Status.NOT_FOUND}


def test_types_that_cannot_be_allocated() -> None:
    under = allocator()
    for kind in (MemoryType.CONVENTIONAL, MemoryType.PERSISTENT, 16, 0x6FFFFFFF):
        assert pages(under, ALLOCATE_ANY_PAGES, kind, 1)[0] == Status.INVALID_PARAMETER
    assert pages(under, ALLOCATE_ANY_PAGES, 0x80000001, 1)[0] == Status.SUCCESS
    assert pages(under, 3, MemoryType.LOADER_DATA, 1)[0] == Status.INVALID_PARAMETER


def test_the_map_says_how_large_it_is_and_changes_its_key() -> None:
    under = allocator()
    size, key, stride, version, buffer = 0x200, 0x208, 0x210, 0x218, 0x1000
    under.memory.put64(size, 0)
    assert under.get_memory_map(size, 0, key, stride, version) == Status.BUFFER_TOO_SMALL
    assert (under.memory.u64(size), under.memory.u64(stride)) == (2 * DESCRIPTOR_SIZE, DESCRIPTOR_SIZE)
    assert under.get_memory_map(size, buffer, key, stride, version) == Status.SUCCESS
    first = under.memory.u64(key)
    assert under.memory.u32(buffer + DESCRIPTOR_SIZE) == MemoryType.CONVENTIONAL
    assert under.memory.u64(buffer + DESCRIPTOR_SIZE + 24) == (SIZE - 0x10000) // PAGE
    pages(under, ALLOCATE_ANY_PAGES, MemoryType.LOADER_DATA, 1)
    under.memory.put64(size, 0x1000)
    assert under.get_memory_map(size, buffer, key, stride, version) == Status.SUCCESS
    assert under.memory.u64(key) != first


def test_runtime_memory_of_arm64_comes_in_64_kib() -> None:
    found = MemoryMap(runtime_alignment=65536)
    found.add(0, SIZE, MemoryType.CONVENTIONAL)
    address = found.allocate(MemoryType.RUNTIME_SERVICES_DATA, 1)
    assert address == SIZE - 65536
    region = found.region_at(address)
    assert region is not None
    assert (region.pages, region.attributes >> 63) == (16, 1)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 40), st.integers(0, 300)), max_size=40))
def test_the_map_never_overlaps_and_loses_nothing(steps: list[tuple[bool, int, int]]) -> None:
    found = MemoryMap()
    found.add(0, SIZE, MemoryType.CONVENTIONAL)
    held: list[tuple[int, int]] = []
    for take, count, pick in steps:
        if take:
            address = found.allocate(MemoryType.LOADER_DATA, count)
            if address is not None:
                held.append((address, count))
        elif held:
            address, held_pages = held.pop(pick % len(held))
            assert found.free(address, held_pages)
        regions = list(found)
        assert [region.start for region in regions[1:]] == [region.end for region in regions[:-1]]
        assert (regions[0].start, regions[-1].end) == (0, SIZE)
        taken = sum(region.pages for region in regions if region.type == MemoryType.LOADER_DATA)
        assert taken == sum(count for _, count in held)


def test_the_devices_of_a_pc_are_not_in_its_memory() -> None:
    """What is below 4 GiB and above 3 belongs to them, however much memory is asked for."""
    with Firmware("amd64", memory=8 << 30) as firmware:
        assert firmware.memory.end == 3 << 30
        assert max(region.start + region.pages * 4096 for region in firmware.map) == 3 << 30
