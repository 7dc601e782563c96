"""Both rings against the device's side of the ring, under Hypothesis: nothing is lost, nothing is used twice."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cloudboot_virtio import RING_FEATURES, Chain, DmaMemory, Feature, InFlight, OwnershipError, Virtqueue
from cloudboot_virtio.device import DeviceChain, PackedDeviceRing, SplitDeviceRing
from cloudboot_virtio.ring import make_ring

FEATURES = [
    packed | event | indirect
    for packed in (0, Feature.RING_PACKED)
    for event in (0, Feature.EVENT_IDX)
    for indirect in (0, Feature.INDIRECT_DESC)
]


class LateAndOutOfOrder(RuleBasedStateMachine):
    """A driver that submits, kicks and polls, and a device that answers any held chain at any time.

    Each request carries its number; the answer is made of what the device read. So an answer that reaches another
    request, or memory that was used twice, is a wrong number.
    """

    @initialize(features=st.sampled_from(FEATURES), log_size=st.integers(0, 5), odd=st.booleans())
    def start(self, features: int, log_size: int, odd: bool) -> None:
        size = 1 << log_size
        if features & Feature.RING_PACKED and odd:
            size = max(1, size - 1)
        self.dma = DmaMemory(memoryview(bytearray(4 << 20)), 0x1_0000_0000)
        ring = make_ring(self.dma, size, features)
        kind = PackedDeviceRing if features & Feature.RING_PACKED else SplitDeviceRing
        self.device = kind(self.dma, size, ring.addresses, event_idx=bool(features & Feature.EVENT_IDX))
        self.doorbells = 0
        self.queue = Virtqueue(0, ring, self.ring_doorbell)
        self.longest = max(1, min(4, 8 if features & Feature.INDIRECT_DESC else size))
        self.memory = self.dma.allocate(64 * 1024)
        self.slots = list(range(64))
        self.number = 0
        self.expected: dict[InFlight, tuple[int, int, int]] = {}  # slot, number, bytes that will be written
        self.held: list[tuple[DeviceChain, int]] = []
        self.sizes: dict[int, int] = {}
        self.unseen = 0
        self.seen_all = True

    def ring_doorbell(self) -> None:
        self.doorbells += 1
        self.look()

    def look(self) -> None:
        while (chain := self.device.pop()) is not None:
            self.held.append((chain, int.from_bytes(chain.read()[:8], "little")))

    @rule(parts=st.integers(1, 4))
    def submit(self, parts: int) -> None:
        if not self.slots:
            return
        slot = self.slots.pop()
        region = self.memory.part(1024 * slot, 1024)
        parts = min(parts, self.longest - 1) if self.longest > 1 else 0
        number = self.number
        if parts == 0:  # a ring of one descriptor: the request is in what the device may write
            chain = Chain([], [region.part(0, 8)], slot)
            written = 8
        else:
            readable = [region.part(0, 8), *(region.part(16 + 8 * i, 8) for i in range(parts - 1))]
            chain = Chain(readable, [region.part(512, 64)], slot)
            chain.readable()[:] = number.to_bytes(8, "little")
            written = 64
        ticket = self.queue.try_submit(chain)
        if ticket is None:
            assert self.queue.in_flight
            self.slots.append(slot)
            return
        assert chain.belongs_to_device
        with pytest.raises(OwnershipError):
            chain.writable()
        with pytest.raises(OwnershipError):
            self.queue.try_submit(chain)
        self.expected[ticket] = (slot, number if parts else 0, written)
        self.number += 1

    @rule()
    def kick(self) -> None:
        before = self.doorbells
        if not self.queue.kick():
            assert self.doorbells == before

    @rule()
    def device_looks(self) -> None:
        self.look()

    @rule(data=st.data(), count=st.integers(1, 6))
    def device_answers(self, data: st.DataObject, count: int) -> None:
        for _ in range(min(count, len(self.held))):
            chain, number = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
            written = chain.write(number.to_bytes(8, "little") * (chain.capacity // 8))
            self.device.push(chain, written)

    @rule(count=st.integers(1, 8))
    def poll(self, count: int) -> None:
        for _ in range(count):
            completion = self.queue.poll()
            if completion is None:
                return
            slot, number, written = self.expected.pop(completion.ticket)
            assert completion.ticket.done
            assert completion.chain.token == slot
            assert completion.written == written
            if written == 64:
                assert bytes(completion.chain.writable()) == number.to_bytes(8, "little") * 8
            self.slots.append(slot)

    @invariant()
    def everything_is_somewhere(self) -> None:
        ring = self.queue.ring
        taken = ring.descriptors_in_flight()
        flat = [descriptor for chain in taken for descriptor in chain]
        assert len(flat) == len(set(flat))
        assert ring.in_flight == len(self.expected) == len(taken)
        assert 0 <= ring.free <= ring.size
        if not ring.in_flight:
            assert ring.free == ring.size
        assert len(self.slots) + len(self.expected) == 64

    def teardown(self) -> None:
        if not hasattr(self, "queue"):
            return
        self.queue.kick()
        for _ in range(2 * 64):
            self.look()
            self.device_answers_all()
            self.poll(64)
        assert not self.expected
        assert self.queue.ring.free == self.queue.size

    def device_answers_all(self) -> None:
        while self.held:
            chain, number = self.held.pop()
            self.device.push(chain, chain.write(number.to_bytes(8, "little") * (chain.capacity // 8)))


TestLateAndOutOfOrder = LateAndOutOfOrder.TestCase
TestLateAndOutOfOrder.settings = settings(max_examples=80, stateful_step_count=60, deadline=None)


@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("size", [1, 2, 4, 64])
def test_indices_wrap(features: int, size: int) -> None:
    dma = DmaMemory(memoryview(bytearray(1 << 20)))
    ring = make_ring(dma, size, features)
    kind = PackedDeviceRing if features & Feature.RING_PACKED else SplitDeviceRing
    device = kind(dma, size, ring.addresses, event_idx=bool(features & Feature.EVENT_IDX))
    queue = Virtqueue(0, ring, lambda: None)
    chain = Chain([], [dma.allocate(8)])
    for _ in range(70_000 if size == 4 else 300):  # 16-bit indices wrap at 65,536
        ticket = queue.submit(chain)
        queue.kick()
        taken = device.pop()
        assert taken is not None
        device.push(taken, 8)
        completion = queue.poll()
        assert completion is not None
        assert completion.ticket is ticket
    assert queue.submitted == queue.completed


@pytest.mark.parametrize("features", [Feature.EVENT_IDX, Feature.EVENT_IDX | Feature.RING_PACKED])
def test_with_an_event_index_a_batch_needs_one_doorbell(features: int) -> None:
    dma = DmaMemory(memoryview(bytearray(1 << 20)))
    ring = make_ring(dma, 16, features)
    kind = PackedDeviceRing if features & Feature.RING_PACKED else SplitDeviceRing
    device = kind(dma, 16, ring.addresses, event_idx=True)
    rung: list[int] = []
    queue = Virtqueue(0, ring, lambda: rung.append(1))
    for _ in range(10):
        queue.submit(Chain([], [dma.allocate(8)]))
    assert queue.kick()
    assert not queue.kick()  # nothing new
    assert len(rung) == 1
    assert device.pop() is not None


def test_a_device_can_ask_for_no_doorbells() -> None:
    for features in (0, Feature.RING_PACKED):
        dma = DmaMemory(memoryview(bytearray(1 << 20)))
        ring = make_ring(dma, 16, features)
        kind = PackedDeviceRing if features else SplitDeviceRing
        device = kind(dma, 16, ring.addresses, event_idx=False)
        device.suppress_notifications(suppress=True)
        queue = Virtqueue(0, ring, lambda: None)
        queue.submit(Chain([], [dma.allocate(8)]))
        assert not queue.kick()
        assert device.pop() is not None
        device.suppress_notifications(suppress=False)
        queue.submit(Chain([], [dma.allocate(8)]))
        assert queue.kick()


@pytest.mark.parametrize(("size", "features"), [(3, 0), (0, 0), (1 << 16, 0), (0, Feature.RING_PACKED)])
def test_impossible_sizes(size: int, features: int) -> None:
    with pytest.raises(ValueError, match="descriptors"):
        make_ring(DmaMemory(memoryview(bytearray(1 << 20))), size, features)


def test_a_chain_that_never_fits() -> None:
    dma = DmaMemory(memoryview(bytearray(1 << 20)))
    queue = Virtqueue(0, make_ring(dma, 2, RING_FEATURES & ~Feature.INDIRECT_DESC), lambda: None)
    with pytest.raises(ValueError, match="never fits"):
        queue.submit(Chain([dma.allocate(8), dma.allocate(8)], [dma.allocate(8)]))


def publish(queue: Virtqueue, device: SplitDeviceRing | PackedDeviceRing, chains: list[Chain], count: int) -> bool:
    """Publish ``count`` chains, and give them back; whether the doorbell was rung."""
    for chain in chains[:count]:
        queue.submit(chain)
    rung = queue.kick()
    for _ in range(count):
        taken = device.pop()
        assert taken is not None
        device.push(taken, 8)
        assert queue.poll() is not None
    return rung


@pytest.mark.parametrize("first", [0, 5, 65_529, 65_534, 65_535])
def test_a_split_device_is_notified_of_the_entry_it_asked_for(first: int) -> None:
    """An available event names an entry; the doorbell rings if it is among those that were published (2.7.10)."""
    dma = DmaMemory(memoryview(bytearray(1 << 20)))
    ring = make_ring(dma, 8, Feature.EVENT_IDX)
    device = SplitDeviceRing(dma, 8, ring.addresses, event_idx=False)  # the test asks in its place
    queue = Virtqueue(0, ring, lambda: None)
    chains = [Chain([], [dma.allocate(8)]) for _ in range(8)]
    event = dma.at(ring.addresses.device + 4 + 8 * 8, 2)
    for _ in range(first):
        publish(queue, device, chains, 1)
    index = first
    for count in (1, 3, 8, 2, 5):
        for ahead in range(-3, 12):
            event[:] = ((index + ahead) & 0xFFFF).to_bytes(2, "little")
            published = {(index + at) & 0xFFFF for at in range(count)}
            assert publish(queue, device, chains, count) == ((index + ahead) & 0xFFFF in published), (
                index,
                count,
                ahead,
            )
            index = (index + count) & 0xFFFF


@pytest.mark.parametrize("size", [1, 5, 8])
def test_a_packed_device_is_notified_of_the_descriptor_it_asked_for(size: int) -> None:
    """The same for a packed ring: an event is a descriptor and a wrap counter (2.8.14)."""
    dma = DmaMemory(memoryview(bytearray(1 << 20)))
    ring = make_ring(dma, size, Feature.EVENT_IDX | Feature.RING_PACKED)
    device = PackedDeviceRing(dma, size, ring.addresses, event_idx=False)
    queue = Virtqueue(0, ring, lambda: None)
    chains = [Chain([], [dma.allocate(8)]) for _ in range(size)]
    event = dma.at(ring.addresses.device, 4)
    total = 0  # descriptors so far: the place is the remainder, the wrap counter the parity of the rounds
    for count in [*range(1, size + 1)] * 4:
        for ahead in range(size):
            place, wrap = (total + ahead) % size, 1 - (total + ahead) // size % 2
            event[:] = (place | wrap << 15).to_bytes(2, "little") + b"\x02\x00"
            assert publish(queue, device, chains, count) == (ahead < count), (total, count, ahead)
            total += count
