"""Fuzz the device's side of both rings with a hostile driver: ``python fuzz_device.py -max_total_time=60``.

The first byte chooses the ring, the rest becomes its memory. Only DriverBrokenError may come out, in bounded time.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["cloudboot_virtio"]):
    from cloudboot_virtio import DmaMemory, DriverBrokenError
    from cloudboot_virtio.device import PackedDeviceRing, SplitDeviceRing
    from cloudboot_virtio.ring.base import RingAddresses

_SIZE = 8
_TABLE, _DRIVER, _DEVICE, _INDIRECT = 0, 128, 192, 256


def one_input(raw: bytes) -> None:
    """Serve what the input makes of a ring of 8 descriptors in 1 KiB of memory."""
    if not raw:
        return
    memory = bytearray(1024)
    content = raw[1 : 1 + 512]
    memory[: len(content)] = content
    dma = DmaMemory(memoryview(memory))
    kind = PackedDeviceRing if raw[0] & 1 else SplitDeviceRing
    device = kind(dma, _SIZE, RingAddresses(_TABLE, _DRIVER, _DEVICE), event_idx=bool(raw[0] & 2))
    try:
        for _ in range(4 * _SIZE):
            chain = device.pop()
            if chain is None:
                break
            written = chain.write(chain.read()[:64])
            assert written <= chain.capacity
            device.push(chain, written)
            device.wants_interrupt()
    except DriverBrokenError:
        return


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
