"""Devices that break the rules: every answer is a correct one, or an error that names the field."""

from __future__ import annotations

import pytest

from cloudboot_virtio import (
    RING_FEATURES,
    BlockDriver,
    Chain,
    CommandError,
    CompletionTimeoutError,
    DeviceBrokenError,
    DmaMemory,
    DriverBrokenError,
    Feature,
    NeedsResetError,
    Virtqueue,
)
from cloudboot_virtio.device import PackedDeviceRing, SplitDeviceRing
from cloudboot_virtio.ring import make_ring
from cloudboot_virtio.testing import Behaviour, BlockModel, FakeDevice

SPLIT = RING_FEATURES & ~Feature.RING_PACKED
BOTH = pytest.mark.parametrize("features", [RING_FEATURES, SPLIT, Feature.RING_PACKED, 0])


def disk(behaviour: Behaviour, features: int = RING_FEATURES) -> BlockDriver:
    return BlockDriver(FakeDevice(BlockModel(bytearray(b"\x11" * 65536)), behaviour), features=features, timeout=0.02)


def check_named(error: DeviceBrokenError, driver: BlockDriver) -> None:
    assert error.structure in {"virtq_used", "virtq_used_elem", "pvirtq_desc"}
    assert error.field
    assert error.where == {"queue": 0}
    with pytest.raises(DeviceBrokenError):  # and the queue stays closed
        driver.requests.queue.poll()


@BOTH
@pytest.mark.parametrize("fault", ["wrong_id", "duplicate", "jump", "scribble", "short", "long"])
def test_faults_are_named_and_a_restart_recovers(fault: str, features: int) -> None:
    recovered = named = 0
    driver = disk(Behaviour(seed=1), features)
    fake = driver.transport
    assert isinstance(fake, FakeDevice)
    setattr(fake.behaviour, fault, 0.2)
    for sector in range(100):
        try:
            assert driver.read(sector, 512) == b"\x11" * 512
        except (DeviceBrokenError, NeedsResetError, CommandError, CompletionTimeoutError) as error:
            if isinstance(error, DeviceBrokenError):
                check_named(error, driver)
            named += 1
            fake.behaviour.wrong_id = fake.behaviour.duplicate = fake.behaviour.jump = 0
            fake.behaviour.scribble = fake.behaviour.short = fake.behaviour.long = 0
            driver.restart()
            assert driver.read(sector, 512) == b"\x11" * 512
            setattr(fake.behaviour, fault, 0.2)
            recovered += 1
    assert recovered == named
    if fault == "long":
        assert named == 0  # clamped to the chain's room
    elif fault != "scribble":
        assert named > 0


@BOTH
def test_random_bytes_in_the_devices_part_never_end_in_anything_but_our_errors(features: int) -> None:
    completions = broken = 0
    for seed in range(150):
        driver = disk(Behaviour(scribble=0.9, reorder=0.3, late=0.3, seed=seed), features)
        driver.timeout = 0.001
        for sector in range(20):
            try:
                driver.read(sector, 512)
                completions += 1
            except (DeviceBrokenError, NeedsResetError):
                broken += 1
                break
            except (CommandError, CompletionTimeoutError):
                continue
    assert completions
    assert broken


def ring_pair(size: int = 8) -> tuple[DmaMemory, Virtqueue, SplitDeviceRing]:
    dma = DmaMemory(memoryview(bytearray(1 << 20)))
    ring = make_ring(dma, size, 0)
    return dma, Virtqueue(0, ring, lambda: None), SplitDeviceRing(dma, size, ring.addresses, event_idx=False)


def test_a_chain_that_is_not_published_cannot_come_back() -> None:
    for features, kind in ((0, SplitDeviceRing), (Feature.RING_PACKED, PackedDeviceRing)):
        dma = DmaMemory(memoryview(bytearray(1 << 20)))
        ring = make_ring(dma, 8, features)
        device = kind(dma, 8, ring.addresses, event_idx=False)
        queue = Virtqueue(0, ring, lambda: None)
        queue.submit(Chain([], [dma.allocate(8)]))
        queue.kick()
        queue.submit(Chain([], [dma.allocate(8)]))
        unpublished = ring.descriptors_in_flight()[1][0]
        assert device.pop() is not None
        device.push_raw(unpublished, 8)
        with pytest.raises(DeviceBrokenError, match="no chain in flight"):
            queue.poll()


def write_desc(dma: DmaMemory, address: int, flags: int, following: int, *, at: int = 0, length: int = 16) -> None:
    table = dma.at(0, 128)
    table[16 * at : 16 * at + 16] = (
        address.to_bytes(8, "little")
        + length.to_bytes(4, "little")
        + flags.to_bytes(2, "little")
        + following.to_bytes(2, "little")
    )


@pytest.mark.parametrize(
    ("descriptors", "problem"),
    [
        ([(0x1000, 1, 1), (0x1000, 1, 0)], "a chain has a loop"),
        ([(0x1000, 1, 9)], "a descriptor refers to none"),
        ([(1 << 40, 0, 0)], "outside of the memory"),
        ([(0x1000, 3, 1), (0x1000, 0, 0)], "a readable descriptor follows a writable one"),
        ([(1 << 40, 4, 0)], "outside of the memory"),
    ],
)
def test_the_devices_side_checks_what_the_driver_wrote(descriptors: list[tuple[int, int, int]], problem: str) -> None:
    dma, queue, device = ring_pair()
    queue.submit(Chain([], [dma.allocate(16)]))
    queue.kick()
    for at, (address, flags, following) in enumerate(descriptors):
        write_desc(dma, address, flags, following, at=at)
    with pytest.raises(DriverBrokenError, match=problem):
        device.pop()


def test_the_devices_side_checks_heads_and_indices() -> None:
    dma, queue, device = ring_pair()
    queue.submit(Chain([], [dma.allocate(16)]))
    queue.kick()
    available = dma.at(128, 6 + 16)
    available[4:6] = (200).to_bytes(2, "little")
    with pytest.raises(DriverBrokenError, match="the head is no descriptor"):
        device.pop()
    available[2:4] = (100).to_bytes(2, "little")
    with pytest.raises(DriverBrokenError, match="ahead of the ring"):
        device.pop()
