"""Fuzz the driver's side of both rings with a hostile device: ``python fuzz_ring.py -max_total_time=60``.

The first byte chooses features and size. After it each operation is a byte: submit, kick, poll, let the device answer,
or overwrite bytes where the device may write. Only DeviceBrokenError may come out, and the invariants hold after each
step: no descriptor in two chains, and none lost.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["cloudboot_virtio"]):
    from cloudboot_virtio import Chain, DeviceBrokenError, DmaMemory, DriverBrokenError, Feature, Virtqueue
    from cloudboot_virtio.device import PackedDeviceRing, SplitDeviceRing
    from cloudboot_virtio.ring import make_ring

_MEMORY = bytearray(1 << 20)


def one_input(raw: bytes) -> None:
    """Run the operations of one input."""
    provider = atheris.FuzzedDataProvider(raw)
    mode = provider.ConsumeIntInRange(0, 255)
    features = (
        (Feature.RING_PACKED if mode & 1 else 0)
        | (Feature.EVENT_IDX if mode & 2 else 0)
        | (Feature.INDIRECT_DESC if mode & 4 else 0)
    )
    size = 1 << (mode >> 3 & 3)
    dma = DmaMemory(memoryview(_MEMORY))
    ring = make_ring(dma, size, features)
    kind = PackedDeviceRing if mode & 1 else SplitDeviceRing
    device = kind(dma, size, ring.addresses, event_idx=bool(mode & 2))
    queue = Virtqueue(0, ring, lambda: None)
    start = ring.addresses.descriptors if mode & 1 else ring.addresses.device
    area = dma.at(start, 16 * size + 8 if mode & 1 else 6 + 8 * size)
    buffer = dma.allocate(4096)
    held = []
    tickets = set()
    try:
        while provider.remaining_bytes():
            operation = provider.ConsumeIntInRange(0, 5)
            if operation == 0:
                parts = provider.ConsumeIntInRange(0, min(3, size - 1))
                chain = Chain([buffer.part(16 * i, 8) for i in range(parts)], [buffer.part(256, 32)])
                ticket = queue.try_submit(chain)
                if ticket is not None:
                    tickets.add(ticket)
            elif operation == 1:
                queue.kick()
            elif operation == 2:
                completion = queue.poll()
                if completion is not None:
                    assert completion.ticket in tickets
                    assert completion.written <= completion.chain.capacity
                    tickets.remove(completion.ticket)
            elif operation == 3:
                try:
                    while (taken := device.pop()) is not None:
                        held.append(taken)
                except DriverBrokenError:
                    continue  # the device scribbled over its own ring
            elif operation == 4 and held:
                device.push(held.pop(provider.ConsumeIntInRange(0, len(held) - 1)), provider.ConsumeInt(4))
            elif operation == 5:
                at = provider.ConsumeIntInRange(0, len(area) - 1)
                patch = provider.ConsumeBytes(provider.ConsumeIntInRange(1, 4))[: len(area) - at]
                area[at : at + len(patch)] = patch
            chains = ring.descriptors_in_flight()
            flat = [descriptor for chain in chains for descriptor in chain]
            assert len(flat) == len(set(flat))
            assert len(chains) == ring.in_flight == len(tickets)
            if not mode & 1:
                assert len(flat) + ring.free == size
    except DeviceBrokenError:
        return


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
