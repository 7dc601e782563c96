"""virtio-pci against functions that are damaged or hostile, in a configuration space made of bytes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_virtio import (
    Chain,
    DmaMemory,
    Feature,
    GpuDriver,
    NeedsResetError,
    NegotiationError,
    PciTransport,
    TransportError,
)
from cloudboot_virtio.layout.records import virtio_pci_cap, virtio_pci_common_cfg
from cloudboot_virtio.pci.bars import Bar, Window, place_bars
from cloudboot_virtio.pci.capabilities import CfgType, Structure, find_structures
from cloudboot_virtio.testing import FakeDevice, GpuModel

BARS = {4: Bar(0xE000_0000, 0x4000)}
OFFSETS = virtio_pci_common_cfg.LAYOUT.offsets


class Space:
    """Configuration space of one function; ``sizes`` maps a BAR register to what it reads after all ones."""

    def __init__(self, content: bytes = b"", sizes: dict[int, int] | None = None) -> None:
        self.content = bytearray(content.ljust(256, b"\0"))
        self.sizes = sizes or {}

    def read(self, function: int, offset: int, size: int) -> int:
        return int.from_bytes(self.content[offset : offset + size], "little")

    def write(self, function: int, offset: int, size: int, value: int) -> None:
        if offset in self.sizes and value == 0xFFFF_FFFF:
            value = self.sizes[offset]
        self.content[offset : offset + size] = value.to_bytes(size, "little")


def capabilities(*entries: tuple[int, int, int, int], loop: bool = False) -> Space:
    """Capabilities of (type, bar, offset, length), from 0x40 on, 32 bytes apart."""
    space = Space()
    space.content[0x34] = 0x40
    for index, (kind, bar, offset, length) in enumerate(entries):
        at = 0x40 + 32 * index
        last = index + 1 == len(entries)
        following = 0x40 if last and loop else 0 if last else at + 32
        record = virtio_pci_cap(
            cap_vndr=9, cap_next=following, cap_len=20, cfg_type=kind, bar=bar, offset=offset, length=length
        )
        space.content[at : at + 16] = record.pack()
        space.content[at + 16 : at + 20] = struct.pack("<I", 4)
    return space


def test_structures_are_found_and_unknown_ones_passed_over() -> None:
    space = capabilities((99, 4, 0, 8), (1, 4, 0, 0x40), (1, 4, 0x800, 0x40), (2, 4, 0x3000, 0x1000), (4, 1, 0, 8))
    assert find_structures(space, 0, BARS) == {
        CfgType.COMMON: Structure(0xE000_0000, 0x40),
        CfgType.NOTIFY: Structure(0xE000_3000, 0x1000, 4),
    }


@pytest.mark.parametrize(
    ("space", "problem"),
    [
        (capabilities((1, 4, 0, 64), (2, 4, 0, 8), loop=True), "repeats or lies outside"),
        (capabilities((1, 4, 0x3FFF, 2), (2, 4, 0, 8)), "of a BAR of 0x4000"),
        (capabilities((1, 4, 0, 55), (2, 4, 0, 8)), "the COMMON structure has 55 bytes, at least 56 are needed"),
        (capabilities((1, 4, 0, 56), (2, 4, 0, 1)), "the NOTIFY structure has 1 bytes, at least 2 are needed"),
        (capabilities((1, 4, 0, 56), (2, 2, 0, 8)), "no NOTIFY structure within the BARs .* BAR 2 of 0x40000000 bytes"),
        (capabilities((1, 4, 0xFFFF_FFFF, 0xFFFF_FFFF), (2, 4, 0, 8)), "of a BAR of 0x4000"),
        (capabilities((1, 4, 0, 64)), "no NOTIFY structure"),
        (capabilities((1, 5, 0, 8), (2, 5, 0, 8)), "no COMMON and NOTIFY structure"),
        (Space(), "no COMMON and NOTIFY structure"),
    ],
)
def test_functions_that_cannot_be_used(space: Space, problem: str) -> None:
    with pytest.raises(TransportError, match=problem):
        find_structures(space, 0, {**BARS, 2: Bar(None, 1 << 30)})


def test_capabilities_that_are_cut_short_are_passed_over_and_longer_ones_are_not() -> None:
    """A NOTIFY capability of 16 bytes has no multiplier; one of 24 bytes has padding (4.1.4)."""
    space = capabilities((1, 4, 0, 56), (2, 4, 0x1000, 8), (2, 4, 0x2000, 8), (4, 4, 0x3000, 0))
    space.content[0x62], space.content[0x82] = 16, 24
    found = find_structures(space, 0, BARS)
    assert found[CfgType.NOTIFY] == Structure(0xE000_2000, 8, 4)
    assert found[CfgType.DEVICE].length == 0


def test_a_function_without_virtio_structures_is_not_modern() -> None:
    with pytest.raises(TransportError, match="not modern virtio-pci"):
        find_structures(Space(), 0, BARS)


def test_a_bar_without_room_decodes_nothing_and_the_others_are_placed() -> None:
    """The 64-bit memory of a gpu's blob resources is larger than the window below 4 GiB; nothing here uses it."""
    space = Space(sizes={0x10: 0xFFFF_F000, 0x18: 0xC000_000C, 0x1C: 0xFFFF_FFFF, 0x20: 0xFFFF_C004, 0x24: 0xFFFF_FFFF})
    bars = place_bars(space, 0, Window(range(0xE000_0000, 0xF000_0000)))
    assert bars == {0: Bar(0xE000_0000, 0x1000), 2: Bar(None, 0x4000_0000), 4: Bar(0xE000_4000, 0x4000)}
    assert (space.read(0, 0x18, 4) & ~0xF, space.read(0, 0x1C, 4)) == (0xC000_0000, 0xFFFF_FFFF)


@given(st.binary(min_size=256, max_size=256))
def test_any_configuration_space_ends_in_structures_or_an_error(content: bytes) -> None:
    try:
        found = find_structures(Space(content), 0, BARS)
    except TransportError:
        return
    for structure in found.values():
        assert 0xE000_0000 <= structure.address <= structure.address + structure.length <= 0xE000_4000


def test_bars_are_aligned_to_their_size() -> None:
    space = Space(sizes={0x10: 0xFFFF_F000, 0x14: 0xFFFF_FFC1, 0x20: 0xFFFF_C00C, 0x24: 0xFFFF_FFFF})
    bars = place_bars(space, 0, Window(range(0xE000_0000, 0xF000_0000)))
    assert bars == {0: Bar(0xE000_0000, 0x1000), 4: Bar(0xE000_4000, 0x4000)}
    assert space.read(0, 0x20, 4) & ~0xF == 0xE000_4000
    assert space.read(0, 0x24, 4) == 0
    assert space.read(0, 4, 2) == 0b110


@pytest.mark.parametrize(
    ("sizes", "problem"),
    [
        ({0x24: 0xFFFF_F004}, "64 bits wide and the last"),
        ({0x10: 0xFFFF_0F00}, "reports a size"),
    ],
)
def test_bars_that_cannot_be_placed(sizes: dict[int, int], problem: str) -> None:
    with pytest.raises(TransportError, match=problem):
        place_bars(Space(sizes=sizes), 0, Window(range(0xE000_0000, 0xE800_0000)))


class Registers:
    """A bus whose registers answer from a table; ``generation`` counts up with each read where it is unsteady."""

    def __init__(self, values: dict[str, int], *, unsteady: bool = False) -> None:
        self.values = {OFFSETS[name]: value for name, value in values.items()}
        self.unsteady = unsteady
        self.memory = memoryview(bytearray(1 << 20))
        self.memory_base = 0
        self.ecam = None
        self.pci_window = range(0)
        self.round_trips = 0

    def read(self, address: int, size: int) -> int:
        if self.unsteady and address == OFFSETS["config_generation"]:
            self.round_trips += 1
            return self.round_trips & 0xFF
        return self.values.get(address, 0)

    def try_read(self, address: int, size: int, seconds: float) -> int | None:
        return self.read(address, size)

    def write(self, address: int, size: int, value: int) -> None:
        if address == OFFSETS["device_status"] and value == 0:
            self.values[address] = 0

    post = write

    def read_bytes(self, address: int, size: int) -> bytes:
        return bytes(size)

    def port_in(self, port: int, size: int) -> int:
        return 0

    def port_out(self, port: int, size: int, value: int) -> None:
        pass


def transport(bus: Registers, length: int = 64) -> PciTransport:
    structures = {
        CfgType.COMMON: Structure(0, 64),
        CfgType.NOTIFY: Structure(0x1000, length, 4),
        CfgType.DEVICE: Structure(0x2000, 16),
    }
    return PciTransport(bus, DmaMemory(bus.memory), 4, structures)


def test_negotiation_fails_in_words() -> None:
    with pytest.raises(NegotiationError, match="does not offer VERSION_1"):
        transport(Registers({})).start(0)
    with pytest.raises(NegotiationError, match="does not accept"):
        transport(Registers({"device_feature": 1})).start(Feature.VERSION_1)


def test_configuration_that_never_stands_still_and_what_is_outside() -> None:
    device = transport(Registers({}, unsteady=True))
    with pytest.raises(TransportError, match="changes faster"):
        device.read_config(0, 4)
    with pytest.raises(TransportError, match="no configuration of 17 bytes"):
        device.read_config(13, 4)
    with pytest.raises(TransportError, match="no configuration"):
        device.write_config(16, b"x")


def test_queues_that_are_not_there() -> None:
    with pytest.raises(TransportError, match="no queue 3"):
        transport(Registers({})).queue(3)
    with pytest.raises(TransportError, match="outside of the notification structure"):
        transport(Registers({"queue_size": 4, "queue_notify_off": 100})).queue(0)


class ResizedGpu(GpuModel):
    """A display that changed its size."""

    events = 1

    @property
    def config(self) -> bytes:
        return struct.pack("<4I", self.events, 0, 1, 0)

    @config.setter
    def config(self, _: bytes) -> None:
        pass


def test_a_resized_display_is_noticed() -> None:
    model = ResizedGpu(width=800, height=600)
    gpu = GpuDriver(FakeDevice(model))
    assert gpu.resized()
    assert [(mode.width, mode.height) for mode in gpu.modes()] == [(800, 600)]
    model.events = 0
    assert not gpu.resized()


def test_a_device_that_asks_for_a_reset_ends_a_wait() -> None:
    device = transport(Registers({"queue_size": 4, "device_status": 0x40}))
    queue = device.queue(0)
    queue.submit(Chain([], [device.memory.allocate(8)]))
    queue.kick()
    with pytest.raises(NeedsResetError):
        queue.wait(30)


@pytest.mark.parametrize("still", ["queue_enable", "queue_reset"])
def test_a_queue_that_the_device_still_uses_is_not_let_go(still: str) -> None:
    bus = Registers({"queue_size": 4, "device_status": 15, still: 1})
    assert not transport(bus).let_go(0)
    bus.values[OFFSETS[still]] = 0
    assert transport(bus).let_go(0)
