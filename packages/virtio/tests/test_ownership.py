"""A chain belongs to the device until its used entry or a reset: at run time, and for the type checker."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from cloudboot_virtio import (
    RING_FEATURES,
    BlockDriver,
    Chain,
    CommandError,
    CompletionTimeoutError,
    Feature,
    NeedsResetError,
    OwnershipError,
    RngDriver,
)
from cloudboot_virtio.testing import Behaviour, BlockModel, FakeDevice, RngModel

BOTH = pytest.mark.parametrize("features", [RING_FEATURES, RING_FEATURES & ~Feature.RING_PACKED])


@BOTH
def test_a_timeout_reclaims_nothing(features: int) -> None:
    device = FakeDevice(RngModel(), auto=False)
    device.start(features)
    queue = device.queue(0, 4)
    device.driver_ok()
    chain = Chain([], [device.memory.allocate(8)])
    ticket = queue.submit(chain)
    queue.kick()
    for _ in range(3):
        with pytest.raises(CompletionTimeoutError, match="stay the device's") as caught:
            queue.wait(0.01)
        assert caught.value.in_flight == queue.in_flight == 1
    assert chain.belongs_to_device
    with pytest.raises(OwnershipError):
        chain.writable()
    with pytest.raises(OwnershipError):
        chain.fit([], [4])
    device.step()  # late, and still right
    completion = queue.wait(1)
    assert completion.ticket is ticket
    assert any(chain.writable())


@BOTH
def test_a_queue_reset_gives_chains_back_only_when_the_device_confirms_it(features: int) -> None:
    device = FakeDevice(RngModel(), auto=False)
    device.start(features)
    queue = device.queue(0, 4)
    device.driver_ok()
    chains = [Chain([], [device.memory.allocate(8)]) for _ in range(3)]
    tickets = [queue.submit(chain) for chain in chains]
    queue.kick()
    with pytest.raises(OwnershipError, match="has not let go"):
        queue.take_back(device, queue.ring)
    assert all(chain.belongs_to_device for chain in chains)
    assert device.reset_queue(0) == chains
    assert all(ticket.done for ticket in tickets)
    assert not any(chain.belongs_to_device for chain in chains)
    assert queue.in_flight == 0
    queue.submit(chains[0])
    queue.kick()
    device.step()
    assert queue.wait(1).chain is chains[0]


def test_a_device_that_dies_at_request_5_and_a_driver_that_goes_on() -> None:
    model = BlockModel(bytearray(range(256)) * 512, die_at=5)
    device = FakeDevice(model)
    disk = BlockDriver(device, timeout=0.5)
    content = bytes(model.data)
    for sector in range(5):
        assert disk.read(sector, 512) == content[512 * sector :][:512]
    with pytest.raises(NeedsResetError):
        disk.read(5, 512)
    assert disk.requests.queue.in_flight == 1
    disk.restart()
    assert disk.requests.queue.in_flight == 0
    assert disk.read(5, 8192) == content[512 * 5 :][:8192]
    disk.shut_down()
    assert device.memory.pages_in_use == 0


def test_failing_and_delayed_requests_are_told_apart() -> None:
    model = BlockModel(bytearray(64 << 10), fail_at=frozenset({1}), delay_at={3: 50, 4: 5})
    disk = BlockDriver(FakeDevice(model, auto=False), timeout=0.02)
    fake = disk.transport
    assert isinstance(fake, FakeDevice)
    tickets = [disk.start_read(sector, 512) for sector in range(5)]
    disk.requests.queue.kick()
    for _ in range(10):
        fake.step()
    for index in (0, 2, 4):
        assert disk.finish(tickets[index]) == bytes(512)
    with pytest.raises(CommandError, match="IOERR"):
        disk.finish(tickets[1])
    with pytest.raises(CompletionTimeoutError):
        disk.finish(tickets[3])
    for _ in range(50):
        fake.step()
    assert disk.finish(tickets[3]) == bytes(512)


@pytest.mark.parametrize("features", [RING_FEATURES, 0, Feature.RING_PACKED, Feature.EVENT_IDX, Feature.INDIRECT_DESC])
def test_a_late_device_that_answers_out_of_order_loses_nothing(features: int) -> None:
    model = BlockModel(bytearray(i * 7 & 0xFF for i in range(256 << 10)))
    disk = BlockDriver(FakeDevice(model, Behaviour(late=0.5, reorder=0.7, seed=3)), features=features)
    for _ in range(3):
        assert disk.read(0, 256 << 10) == bytes(model.data)
    disk.write(8, b"\x5a" * 100 * 512)
    assert disk.read(0, 256 << 10) == bytes(model.data)
    disk.flush()
    assert disk.serial() == "fake"


def test_a_steady_state_allocates_nothing() -> None:
    device = FakeDevice(RngModel())
    rng = RngDriver(device)
    rng.read(10_000)
    before = device.memory.allocations, device.memory.pages_in_use
    for _ in range(200):
        rng.read(5_000)
    assert (device.memory.allocations, device.memory.pages_in_use) == before


MISUSES = [
    ("ticket.readable()", '"InFlight" has no attribute "readable"'),
    ("ticket.writable()", '"InFlight" has no attribute "writable"'),
    ("queue.submit(ticket)", 'Argument 1 to "submit" of "Virtqueue" has incompatible type "InFlight"'),
    ("queue.reclaim(ticket)", '"Virtqueue" has no attribute "reclaim"'),
    ("queue.take_back(None, queue.ring)", 'Argument 1 to "take_back" of "Virtqueue" has incompatible type "None"'),
    ("pool.give(ticket)", 'Argument 1 to "give" of "ChainPool" has incompatible type "InFlight"'),
]


def test_the_type_checker_refuses_misuse(tmp_path: Path) -> None:
    program = """
        from cloudboot_virtio import Chain, InFlight, Virtqueue
        from cloudboot_virtio.drivers.base import ChainPool

        def misuse(queue: Virtqueue, pool: ChainPool, ticket: InFlight) -> None:
    """
    body = "".join(f"    {statement}\n" for statement, _ in MISUSES)
    (tmp_path / "misuse.py").write_text(textwrap.dedent(program).rstrip() + "\n" + body)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--cache-dir=/dev/null", "misuse.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    for _, complaint in MISUSES:
        assert complaint in done.stdout
    assert f"Found {len(MISUSES)} errors" in done.stdout
