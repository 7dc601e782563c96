"""Answers that are short, refused or another's: what each driver makes of them."""

from __future__ import annotations

import dataclasses
import struct

import pytest

from cloudboot_virtio import (
    RING_FEATURES,
    Chain,
    CommandError,
    ConsoleDriver,
    DeviceBrokenError,
    DeviceId,
    Feature,
    GpuDriver,
    InputDriver,
    InputEvent,
    NetDriver,
    SoundDriver,
)
from cloudboot_virtio.device import DeviceChain
from cloudboot_virtio.layout.records import virtio_gpu_ctrl_hdr
from cloudboot_virtio.testing import Behaviour, FakeDevice, GpuModel, RngModel

BOTH = pytest.mark.parametrize("features", [RING_FEATURES, RING_FEATURES & ~Feature.RING_PACKED])


@BOTH
@pytest.mark.parametrize("claimed", [65, 1 << 31, 0xFFFF_FFFF])
def test_a_length_beyond_the_chain_is_cut_to_it(features: int, claimed: int) -> None:
    """QEMU's status queue of virtio-input claims 8 bytes of chains that have no writable part."""
    device = FakeDevice(RngModel(), auto=False)
    device.start(features)
    queue = device.queue(0, 4)
    device.driver_ok()
    queue.submit(Chain([], [device.memory.allocate(64)]))
    queue.kick()
    ring = device.served[0].ring
    taken = ring.pop()
    assert taken is not None
    taken.write(b"\x07" * 64)
    ring.push(taken, claimed)
    completion = queue.wait(1)
    assert (completion.written, queue.ring.clamped) == (64, 1)
    assert bytes(completion.chain.writable()[: completion.written]) == b"\x07" * 64


@dataclasses.dataclass
class Answering(GpuModel):
    """A gpu whose flushes are answered with ``code`` and a fence that is ``off`` by so much, in ``size`` bytes."""

    code: int = 0x1100
    off: int = 0
    flags: int = 1
    size: int = 24

    def serve(self, queue: int, chain: DeviceChain) -> int | None:
        header = virtio_gpu_ctrl_hdr.unpack_from(chain.read())
        if header.type != 0x104:
            return super().serve(queue, chain)
        answer = virtio_gpu_ctrl_hdr(type=self.code, flags=self.flags, fence_id=header.fence_id + self.off)
        return chain.write(answer.pack()[: self.size])


@pytest.mark.parametrize(
    ("model", "error", "problem"),
    [
        (Answering(off=1), DeviceBrokenError, "has another fence"),
        (Answering(off=-1), DeviceBrokenError, "has another fence"),
        (Answering(flags=0), DeviceBrokenError, "has another fence"),
        (Answering(size=8), DeviceBrokenError, "is short"),
        (Answering(code=0x1203), CommandError, "invalid resource id"),
        (Answering(code=0), CommandError, "RESOURCE_FLUSH"),
    ],
)
def test_a_flush_is_done_only_with_its_own_fence(model: Answering, error: type[Exception], problem: str) -> None:
    gpu = GpuDriver(FakeDevice(model))
    screen = gpu.create(8, 8)
    with pytest.raises(error, match=problem):
        gpu.show(screen)
    model.code, model.off, model.flags, model.size = 0x1100, 0, 1, 24
    gpu.show(screen)  # the failure is told once, and the driver goes on


@dataclasses.dataclass
class SoundModel:
    """A sound card with one output; buffer ``fail_at`` is answered with an I/O error, and ``hold`` buffers are kept."""

    fail_at: int = -1
    hold: int = 0
    device_id: int = DeviceId.SOUND
    features: int = 0
    queues: int = 4
    config: bytes = struct.pack("<3I", 0, 1, 0)
    buffers: int = 0
    heard: bytes = b""
    commands: list[int] = dataclasses.field(default_factory=list)

    def serve(self, queue: int, chain: DeviceChain) -> int | None:
        if queue == 0:
            self.commands.append(struct.unpack_from("<I", chain.read())[0])
            return chain.write(struct.pack("<I", 0x8000))
        if self.hold:
            self.hold -= 1
            return None
        number, self.buffers = self.buffers, self.buffers + 1
        self.heard += chain.read()[4:]
        return chain.write(struct.pack("<II", 0x8003 if number == self.fail_at else 0x8000, 0))


def test_a_stream_is_drained_before_it_stops() -> None:
    """Buffers that come late are waited for: what was written is what was heard, and STOP comes behind it."""
    model = SoundModel(hold=25)
    sound = SoundDriver(FakeDevice(model, Behaviour(late=0.5, seed=2)))
    output = sound.open_output(period=16, periods=4)
    samples = bytes(range(160))
    output.write(samples)
    output.close()
    assert (sorted(model.heard), output.played) == (sorted(samples), 160)
    assert model.commands == [0x100, 0x101, 0x102, 0x104, 0x105, 0x103]


def test_a_buffer_that_was_not_played_is_an_error() -> None:
    sound = SoundDriver(FakeDevice(SoundModel(fail_at=3)))
    output = sound.open_output(period=16, periods=4)
    with pytest.raises(CommandError, match="I/O error"):
        output.write(bytes(160))
        output.drain()
    output.drain()  # told once
    assert output.played == 144


def test_formats_and_rates_that_are_none() -> None:
    sound = SoundDriver(FakeDevice(SoundModel()))
    for wrong in ({"rate": 12345}, {"format": "s24"}):
        with pytest.raises(ValueError, match="no rate"):
            sound.open_output(**wrong)


@dataclasses.dataclass
class InputModel:
    """A keyboard that sends ``events``, one for each buffer, and then waits."""

    events: list[bytes]
    device_id: int = DeviceId.INPUT
    features: int = 0
    queues: int = 2
    config: bytes = bytes(136)

    def serve(self, queue: int, chain: DeviceChain) -> int | None:
        if queue == 1:
            return 0
        return chain.write(self.events.pop(0)) if self.events else None


def test_buffers_come_back_to_the_keyboards_queue_and_short_events_are_none() -> None:
    """More events than the queue has buffers, and one that is cut: all whole ones arrive, in order."""
    events = [struct.pack("<HHi", 1, code, 1) for code in range(1, 101)]
    model = InputModel([*events[:50], b"\1\0\1", *events[50:], struct.pack("<HHi", 0, 0, 0)])
    keyboard = InputDriver(FakeDevice(model, queue_size=8))
    report = keyboard.wait_report(5)
    assert report == [*(InputEvent(1, code, 1) for code in range(1, 101)), InputEvent(0, 0, 0)]
    assert keyboard.event_queue.in_flight == 8
    keyboard.set_led(0, on=True)
    assert keyboard.wait_report(0.01) == []
    assert keyboard.serial == ""


@dataclasses.dataclass
class NetModel:
    """A card that sends ``frames`` with their headers, and takes everything."""

    frames: list[bytes]
    device_id: int = DeviceId.NET
    features: int = 0
    queues: int = 2
    config: bytes = b""
    sent: list[bytes] = dataclasses.field(default_factory=list)

    def serve(self, queue: int, chain: DeviceChain) -> int | None:
        if queue == 1:
            self.sent.append(chain.read()[12:])
            return 0
        return chain.write(self.frames.pop(0)) if self.frames else None


def test_frames_shorter_than_their_header_are_the_devices_fault() -> None:
    frame = bytes(range(60))
    model = NetModel([bytes(12) + frame, bytes(12) + frame[::-1]])
    net = NetDriver(FakeDevice(model))
    for number in range(200):  # more than there are buffers
        net.send(number.to_bytes(2, "big") * 7)
    net.flush()
    assert [int.from_bytes(sent[:2], "big") for sent in model.sent] == [*range(200)]
    assert net.mac is None
    assert net.receive() == [frame, frame[::-1]]
    model.frames.append(bytes(11))
    with pytest.raises(DeviceBrokenError, match="shorter than its header"):
        net.receive_one(1)


@dataclasses.dataclass
class ConsoleModel:
    """A console that sends ``texts`` on port 0, and keeps what it is told."""

    texts: list[bytes]
    device_id: int = DeviceId.CONSOLE
    features: int = 0
    queues: int = 2
    config: bytes = b""
    told: bytes = b""

    def serve(self, queue: int, chain: DeviceChain) -> int | None:
        if queue == 1:
            self.told += chain.read()
            return 0
        return chain.write(self.texts.pop(0)) if self.texts else None


def test_a_console_of_one_port_needs_no_control_queue() -> None:
    model = ConsoleModel([b"login: ", b"x" * 4096, b"end"])
    console = ConsoleDriver(FakeDevice(model))
    port = console.wait_open(0)
    assert (len(console.ports), port.present, console.process()) == (1, True, 0)
    text = bytes(range(256)) * 100  # more than all buffers hold
    port.write(text)
    assert model.told == text
    assert port.read_some(7 + 4096 + 3, 5) == b"login: " + b"x" * 4096 + b"end"
    assert port.read_some(1, 0.01) == b""
    with pytest.raises(ValueError, match="no port 1"):
        console.wait_open(1)
