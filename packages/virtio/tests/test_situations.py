"""Situations from public bug reports of drivers and devices, each against a real QEMU device or a fake one.

Options of QEMU's devices that guest drivers were reported to stumble over, and answers that no QEMU gives on request.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from cloudboot_base.testing import judge
from cloudboot_qemu.qtest import QtestMachine
from cloudboot_virtio import (
    RING_FEATURES,
    BlockDriver,
    Chain,
    CommandError,
    CompletionTimeoutError,
    ConsoleDriver,
    DeviceBrokenError,
    DeviceId,
    DmaMemoryError,
    Feature,
    GpuDriver,
    InputDriver,
    NeedsResetError,
    NetDriver,
    PciHost,
    RngDriver,
    SoundDriver,
    TransportError,
    Virtqueue,
)
from cloudboot_virtio.device import DeviceChain, PackedDeviceRing, SplitDeviceRing
from cloudboot_virtio.layout.records import virtio_console_control
from cloudboot_virtio.memory import DmaMemory
from cloudboot_virtio.ring import make_ring, ring_size
from cloudboot_virtio.testing import BlockModel, FakeDevice, GpuModel, RngModel, SinkModel, ppm_pixels

SPLIT = RING_FEATURES & ~Feature.RING_PACKED
BOTH = pytest.mark.parametrize("ring", [RING_FEATURES, SPLIT], ids=["packed", "split"])
PACKED = "packed=on"
DISK = 1 << 20

Work = Callable[[Any, Any, int], None]


@contextlib.contextmanager
def machine(device: str, extra: Sequence[str] = (), files: Sequence[int] = ()) -> Iterator[tuple[Any, PciHost]]:
    judge("qemu-system-x86_64", "qemu-system-x86")
    with QtestMachine([f"{device},addr=4,{PACKED}"], extra=list(extra), descriptors=list(files)) as qemu:
        yield qemu, PciHost(qemu)


@contextlib.contextmanager
def memory_file(content: bytes = b"", size: int = DISK) -> Iterator[int]:
    fd = os.memfd_create("disk")
    try:
        os.ftruncate(fd, size)
        os.pwrite(fd, content, 0)
        yield fd
    finally:
        os.close(fd)


# Options of the transport: none of them changes what a driver that polls sees.


@pytest.mark.live
@BOTH
@pytest.mark.parametrize(
    "option",
    [
        "vectors=0",  # no MSI-X table
        "modern-pio-notify=on",  # a NOTIFY capability in an I/O BAR comes first
        "page-per-vq=on",  # a multiplier of 4096
        "disable-legacy=on",  # a device id above 0x1040
        "disable-legacy=on,iommu_platform=on",  # refuses drivers without ACCESS_PLATFORM
        "queue_reset=off",
        "event_idx=off,indirect_desc=off",
        "in_order=on",
        "aer=on,ats=on",  # extended capabilities
    ],
)
def test_transports(option: str, ring: int) -> None:
    with machine(f"virtio-rng-pci,{option}") as (_, host):
        rng = RngDriver(host.open(4), features=ring)
        assert len(set(rng.read(5000))) > 200
        assert bool(rng.features & Feature.ACCESS_PLATFORM) == ("iommu" in option)


@pytest.mark.live
def test_a_device_without_a_modern_interface() -> None:
    with machine("virtio-rng-pci,disable-modern=on") as (_, host), pytest.raises(TransportError, match="not modern"):
        host.open(4)


@pytest.mark.live
@pytest.mark.parametrize("architecture", ["amd64", "arm64", "riscv64"])
def test_a_bar_that_is_larger_than_the_window(architecture: str) -> None:
    """The memory for blob resources, 64 bits wide and prefetchable, finds no room; the display works without it."""
    device = "virtio-gpu-pci,id=gpu0,addr=4,packed=on,hostmem=1G"
    with QtestMachine([device, "virtio-rng-pci,addr=5"], architecture=architecture) as qemu:
        host = PciHost(qemu)
        gpu = GpuDriver(host.open(4))
        screen = gpu.create(16, 16)
        screen.pixels[:] = b"\x01\x02\x03\0" * 256
        gpu.set_scanout(screen)
        gpu.show(screen)
        assert ppm_pixels(qemu.screendump("gpu0")) == (16, 16, b"\x03\x02\x01" * 256)
        assert len(RngDriver(host.open(5)).read(10)) == 10


# The block device


def blk(option: str, drive: str = "discard=unmap", readonly: str = "off") -> Any:
    @contextlib.contextmanager
    def open_disk(ring: int) -> Iterator[tuple[BlockDriver, int, Any]]:
        with memory_file(bytes(range(256)) * (DISK // 256)) as fd:
            words = f"if=none,id=d0,format=raw,file=/proc/self/fd/{fd},readonly={readonly},{drive}"
            with machine(f"virtio-blk-pci,id=b0,drive=d0,{option}", ["-drive", words], [fd]) as (qemu, host):
                yield BlockDriver(host.open(4), features=ring, timeout=5), fd, qemu

    return open_disk


@pytest.mark.live
@BOTH
def test_blocks_of_4096_bytes(ring: int) -> None:
    with blk("logical_block_size=4096,physical_block_size=4096")(ring) as (disk, fd, _):
        assert disk.info.block_size == 4096
        disk.write(8, b"\x55" * 4096)
        assert os.pread(fd, 4096, 4096) == b"\x55" * 4096
        with pytest.raises(CommandError, match="IOERR"):
            disk.read(0, 512)
        with pytest.raises(CommandError, match="IOERR"):
            disk.write(1, bytes(4096))
        with pytest.raises(CommandError, match="IOERR"):
            disk.discard(1, 1)
        assert disk.read(8, 4096) == b"\x55" * 4096


@pytest.mark.live
@BOTH
def test_a_serial_number_of_twenty_bytes_has_no_nul(ring: int) -> None:
    with blk("serial=12345678901234567890")(ring) as (disk, _, _):
        assert disk.serial() == "12345678901234567890"


@pytest.mark.live
@BOTH
def test_a_read_only_disk_takes_no_write(ring: int) -> None:
    with blk("serial=ro", readonly="on")(ring) as (disk, fd, _):
        assert disk.info.read_only
        with pytest.raises(CommandError, match="read-only"):
            disk.write(0, bytes(512))
        disk.flush()
        assert disk.read(0, 512) == os.pread(fd, 512, 0) == bytes(range(256)) * 2


@pytest.mark.live
@BOTH
@pytest.mark.parametrize(
    ("option", "flush", "discard"),
    [("write-cache=off,config-wce=off", False, True), ("discard=off", True, False), ("num-queues=4", True, True)],
)
def test_features_that_are_not_there_are_not_used(option: str, flush: bool, discard: bool, ring: int) -> None:
    with blk(option)(ring) as (disk, _, _):
        assert (disk.info.can_flush, disk.info.can_discard) == (flush, discard)
        disk.write(0, bytes(4096))
        disk.flush()
        if discard:
            disk.discard(0, 8)
        else:
            with pytest.raises(CommandError, match="DISCARD was not negotiated"):
                disk.discard(0, 8)


@pytest.mark.live
@BOTH
@pytest.mark.parametrize("size", [3, 4, 7, 1000, 1024])
def test_queue_sizes_that_are_no_power_of_two(size: int, ring: int) -> None:
    """QEMU refuses some of them as its own; a driver may ask for less than what is offered."""
    with (
        memory_file() as fd,
        machine(
            "virtio-blk-pci,drive=d0,queue-size=1024",
            ["-drive", f"if=none,id=d0,format=raw,file=/proc/self/fd/{fd}"],
            [fd],
        ) as (_, host),
    ):
        disk = BlockDriver(host.open(4), features=ring & ~Feature.INDIRECT_DESC, queue_size=size)
        given = disk.requests.queue.size
        assert given == (size if ring == RING_FEATURES else 1 << size.bit_length() - 1)
        if given >= 3:
            for sector in range(2 * size % 1999):
                assert disk.read(sector, 512) == bytes(512)


@pytest.mark.live
@BOTH
def test_a_disk_that_grows(ring: int) -> None:
    with blk("serial=x")(ring) as (disk, _, qemu):
        with pytest.raises(CommandError, match="IOERR"):
            disk.read(DISK // 512, 512)
        qemu.qmp("block_resize", {"device": "d0", "size": 2 * DISK})
        assert disk.read(DISK // 512, 512) == bytes(512)
        assert (disk.info.capacity, disk.refresh().capacity, disk.info.capacity) == (DISK, 2 * DISK, 2 * DISK)


@pytest.mark.live
@BOTH
def test_resets_with_requests_in_flight(ring: int) -> None:
    """Twenty requests a second: the reset comes while some wait, and none of their answers shows up afterwards."""
    with blk("serial=slow", drive="throttling.iops-total=20")(ring) as (disk, _, _):
        for _ in range(3):
            tickets = [disk.start_read(8 * number, 4096) for number in range(10)]
            disk.requests.queue.kick()
            disk.restart()
            assert disk.requests.queue.in_flight == 0
            assert not [ticket for ticket in tickets if not ticket.done]
        assert disk.read(0, 512) == bytes(range(256)) * 2


@dataclasses.dataclass
class Discarding(BlockModel):
    """A disk that discards at most ``limit`` sectors at once; 0 is what some devices say although they can."""

    limit: int = 8
    features: int = 1 << 13 | 1 << 9
    seen: list[tuple[int, int]] = dataclasses.field(default_factory=list)

    @property
    def config(self) -> bytes:
        return super().config[:36] + struct.pack("<I", self.limit) + bytes(20)

    def _execute(self, request: bytes, room: int) -> tuple[int, bytes]:
        if struct.unpack_from("<I", request)[0] != 11:
            return super()._execute(request, room)
        sector, count, _ = struct.unpack_from("<QII", request, 16)
        self.seen.append((sector, count))
        return (1 if self.limit and count > self.limit else 0), b""


@pytest.mark.parametrize(
    ("limit", "asked", "requests"),
    [
        (8, (3, 20), [(3, 8), (11, 8), (19, 4)]),
        (0, (3, 20), [(3, 20)]),
        (1 << 31, (0, 8), [(0, 8)]),
        (8, (5, 0), []),
    ],
)
def test_discards_are_cut_to_the_devices_limit(
    limit: int, asked: tuple[int, int], requests: list[tuple[int, int]]
) -> None:
    model = Discarding(bytearray(1 << 16), limit=limit)
    disk = BlockDriver(FakeDevice(model))
    disk.discard(*asked)
    assert model.seen == requests
    with pytest.raises(ValueError, match="sectors from sector"):
        disk.discard(-1, 4)


# The display


@pytest.mark.live
@BOTH
@pytest.mark.parametrize("mode", [(1366, 769), (1, 1), (1280, 800)])
def test_modes_and_their_edid(mode: tuple[int, int], ring: int) -> None:
    with machine(f"virtio-gpu-pci,id=gpu0,xres={mode[0]},yres={mode[1]}") as (_, host):
        gpu = GpuDriver(host.open(4), features=ring)
        edid = gpu.edid()
        assert [(found.width, found.height) for found in gpu.modes()] == [mode]
        assert edid[:8] == b"\0\xff\xff\xff\xff\xff\xff\0"
        assert sum(edid[:128]) % 256 == 0
        with pytest.raises(CommandError, match="GET_EDID"):
            gpu.edid(3)


@pytest.mark.live
@BOTH
def test_several_scanouts_show_their_own_pictures(ring: int) -> None:
    with machine("virtio-gpu-pci,id=gpu0,max_outputs=3") as (qemu, host):
        gpu = GpuDriver(host.open(4), features=ring)
        assert [mode.enabled for mode in gpu.modes()] == [True, False, False]
        for scanout in range(3):
            screen = gpu.create(64, 16 + scanout)
            screen.pixels[:] = bytes([scanout, 0, 7, 0]) * (64 * (16 + scanout))
            gpu.set_scanout(screen, scanout)
            gpu.show(screen)
        for scanout in range(3):
            expected = bytes([7, 0, scanout]) * (64 * (16 + scanout))
            assert ppm_pixels(qemu.screendump("gpu0", scanout)) == (64, 16 + scanout, expected)


@pytest.mark.live
@BOTH
def test_commands_that_the_display_refuses_leave_it_usable(ring: int) -> None:
    """Resource 0, rectangles outside, scanouts that are none, resources that are gone, no EDID, too much memory."""
    with machine("virtio-gpu-pci,id=gpu0,edid=off,max_hostmem=16M") as (qemu, host):
        gpu = GpuDriver(host.open(4), features=ring)
        screen = gpu.create(32, 32)
        gone = gpu.create(16, 16)
        gpu.destroy(gone)
        outside = dataclasses.replace(screen, width=33)
        nothing = dataclasses.replace(screen, resource=0)
        for refused in (
            lambda: gpu.show(outside),
            lambda: gpu.show(nothing),
            lambda: gpu.show(gone),
            lambda: gpu.destroy(gone),
            lambda: gpu.set_scanout(screen, 1),
            lambda: gpu.set_scanout(screen, 0xFFFF_FFFF),
            lambda: gpu.set_scanout(outside),
            lambda: gpu.create(4096, 4096),
            gpu.edid,
        ):
            with pytest.raises(CommandError):
                refused()
        for width, height in ((0, 0), (0, 5), (5, -1)):
            with pytest.raises(ValueError, match="at least one pixel"):
                gpu.create(width, height)
        screen.pixels[:] = b"\x09\x08\x07\0" * 1024
        gpu.set_scanout(screen)
        gpu.show(screen)
        assert ppm_pixels(qemu.screendump("gpu0")) == (32, 32, b"\x07\x08\x09" * 1024)
        assert gpu.control.queue.in_flight == 0


@pytest.mark.live
@BOTH
def test_without_memory_for_a_picture_the_device_keeps_no_resource(ring: int) -> None:
    """The device has room for one such resource and the guest has none: a second try is refused for the same reason."""
    with machine("virtio-gpu-pci,id=gpu0,max_hostmem=100M") as (_, host):
        gpu = GpuDriver(host.open(4), features=ring)
        for _ in range(3):
            with pytest.raises(DmaMemoryError):
                gpu.create(4096, 5000)


# Sound


@pytest.mark.live
@BOTH
def test_two_streams_play_at_once_and_give_their_memory_back(ring: int) -> None:
    with machine("virtio-sound-pci,audiodev=s0,streams=4,jacks=2,chmaps=1", ["-audiodev", "none,id=s0"]) as (_, host):
        sound = SoundDriver(host.open(4), features=ring)
        assert [info.output for info in sound.info()] == [True, True, False, False]
        assert (sound.streams, sound.jacks, sound.channel_maps) == (4, 2, 1)
        pages = host.memory.pages_in_use
        for _ in range(3):
            first, second = (sound.open_output(stream, rate=48000, period=960, periods=4) for stream in (0, 1))
            for _ in range(5):
                first.write(bytes(960))
                second.write(bytes(1920))
            first.close()  # QEMU mixes streams: one that has nothing to play holds up the others until it is stopped
            second.close()
            assert (first.played, second.played) == (4800, 9600)
            assert host.memory.pages_in_use == pages
            with pytest.raises(ValueError, match="is closed"):
                first.write(bytes(4))
        with pytest.raises(ValueError, match="stream 2 records"):
            sound.open_output(2)


@pytest.mark.live
@BOTH
def test_partial_periods_are_played_and_partial_frames_refused(ring: int) -> None:
    with machine("virtio-sound-pci,audiodev=s0,streams=1", ["-audiodev", "none,id=s0"]) as (_, host):
        sound = SoundDriver(host.open(4), features=ring)
        output = sound.open_output(rate=48000, period=960)
        output.write(bytes(960 + 4))
        with pytest.raises(ValueError, match="whole frames of 4 bytes"):
            output.write(bytes(7))
        output.close()
        assert output.played == 964
        cases: list[tuple[dict[str, Any], str]] = [
            ({"period": 3}, "whole frames"),
            ({"period": 0}, "whole frames"),
            ({"periods": 0}, "0 periods"),
            ({"channels": 0}, "0 channels"),
            ({"channels": 256}, "256 channels"),
            ({"stream": 9}, "no stream 9"),
            ({"stream": -1}, "no stream -1"),
        ]
        for wrong, problem in cases:
            with pytest.raises(ValueError, match=problem):
                sound.open_output(**wrong)
        with pytest.raises(CommandError, match="does not offer 44100 frames a second, 9 channels"):
            sound.open_output(channels=9, period=18 * 10)


@pytest.mark.live
@BOTH
def test_a_stream_that_stands_still_is_aborted_and_the_next_one_plays(ring: int) -> None:
    """While a machine is stopped its audio timer is, too: buffers stay the device's until the stream is released."""
    with machine("virtio-sound-pci,audiodev=s0,streams=1", ["-audiodev", "none,id=s0"]) as (qemu, host):
        sound = SoundDriver(host.open(4), features=ring, timeout=0.3)
        pages = host.memory.pages_in_use
        output = sound.open_output(rate=8000, period=800, periods=8)
        qemu.qmp("stop")
        with pytest.raises(CompletionTimeoutError):
            output.write(bytes(800 * 64))
        assert output.pending == 8
        qemu.qmp("cont")
        output.abort()
        assert output.pending == 0
        assert host.memory.pages_in_use == pages
        sound.timeout = 5
        again = sound.open_output(rate=48000, period=960)
        again.write(bytes(9600))
        again.close()
        assert again.played == 9600


@dataclasses.dataclass
class ShortStatus:
    """A sound card whose PCM status has ``size`` bytes, and whose stream 0 offers ``formats`` and ``rates``."""

    size: int = 8
    formats: int = 1 << 5
    rates: int = 1 << 6
    device_id: int = DeviceId.SOUND
    features: int = 0
    queues: int = 4
    config: bytes = struct.pack("<3I", 0, 1, 0)

    def serve(self, queue: int, chain: DeviceChain) -> int | None:
        if queue == 2:
            return chain.write(struct.pack("<II", 0x8000, 0)[: self.size])
        (command,) = struct.unpack_from("<I", chain.read())
        info = struct.pack("<IIQQBBB5x", 0, 0, self.formats, self.rates, 0, 1, 2) if command == 0x100 else b""
        return chain.write(struct.pack("<I", 0x8000) + info)


def test_sound_that_a_stream_does_not_offer_and_short_answers() -> None:
    sound = SoundDriver(FakeDevice(ShortStatus(size=3)))
    for wrong in ({"rate": 48000}, {"format": "u8"}, {"channels": 3, "period": 600}):
        with pytest.raises(CommandError, match="not offer"):
            sound.open_output(**wrong)
    output = sound.open_output()
    with pytest.raises(DeviceBrokenError, match="status of a PCM buffer is short"):
        output.write(bytes(4096))
        output.drain()


# Network, console, entropy, input


@pytest.mark.live
@BOTH
@pytest.mark.parametrize(
    "option",
    ["mrg_rxbuf=off", "mq=on,vectors=10", "ctrl_vq=off", "host_mtu=9000", "rx_queue_size=1024", "rss=on,hash=on",
     "guest_tso4=off,csum=off", "vectors=0"],
)  # fmt: skip
def test_the_header_has_twelve_bytes_whatever_the_card_offers(option: str, ring: int) -> None:
    with machine(f"virtio-net-pci,netdev=n0,{option}", ["-netdev", "user,id=n0,restrict=on"]) as (_, host):
        net = NetDriver(host.open(4), features=ring)
        assert net.mac is not None
        asking = net.mac + bytes([10, 0, 2, 15])
        request = bytes.fromhex("0001080006040001") + asking + bytes(6) + bytes([10, 0, 2, 2])
        net.send(b"\xff" * 6 + net.mac + b"\x08\x06" + request)
        answer = net.receive_one(5)
        assert answer[:6] == net.mac
        assert answer[12:22] == bytes.fromhex("08060001080006040002")


@dataclasses.dataclass
class Frames:
    """A card that sends ``frames``, one for each buffer."""

    frames: list[bytes]
    device_id: int = DeviceId.NET
    features: int = 0
    queues: int = 2
    config: bytes = b""

    def serve(self, queue: int, chain: DeviceChain) -> int | None:
        return chain.write(self.frames.pop(0)) if queue == 0 and self.frames else None


def test_frames_before_a_broken_one_are_not_lost() -> None:
    first, second = bytes(12) + b"a" * 60, bytes(12) + b"b" * 60
    model = Frames([first, first, b"short", second])
    fake = FakeDevice(model)
    net = NetDriver(fake)
    fake.step()
    with pytest.raises(DeviceBrokenError, match="shorter than its header"):
        net.receive()
    assert net.receive() == [first[12:], first[12:], second[12:]]
    assert net.receive_queue.in_flight == 64
    model.frames += [b"", second]
    fake.step()
    with pytest.raises(DeviceBrokenError):
        net.receive()
    assert net.receive_one(1) == second[12:]


@pytest.mark.live
@BOTH
def test_ports_that_come_and_go(ring: int) -> None:
    """A port is removed while its buffers are with the device; another takes its number, with a name of 70 bytes."""
    with memory_file(b"from the host") as typed:
        extra = [
            "-chardev",
            f"file,id=c1,path={os.devnull}",
            "-chardev",
            f"file,id=c2,path=/dev/null,input-path=/proc/self/fd/{typed}",
        ]
        device = "virtserialport,bus=vs0.0,chardev=c1,name=org.one,nr=1,id=p1"
        with machine("virtio-serial-pci,id=vs0,max_ports=16", ["-device", device, *extra], [typed]) as (qemu, host):
            console = ConsoleDriver(host.open(4), features=ring)
            port = console.wait_open(1)
            port.write(b"x" * 9000)
            qemu.qmp("device_del", {"id": "p1"})
            wait_for(console, lambda: not port.present)
            assert (port.name, port.host_open) == ("", False)
            with pytest.raises(TransportError, match="no port 1"):
                port.write(b"lost")
            with pytest.raises(CompletionTimeoutError):
                console.wait_open(1, 0.05)
            new = {"driver": "virtserialport", "bus": "vs0.0", "chardev": "c2", "name": "n" * 70, "nr": 1}
            qemu.qmp("device_add", new)
            wait_for(console, lambda: port.name)
            assert (port.present, port.name) == (True, "n" * 70)
            assert port.read_some(13, 5)[:13] == b"from the host"
            qemu.qmp("device_add", {"driver": "virtserialport", "bus": "vs0.0", "nr": 9})  # without queues of ours
            for _ in range(50):
                console.process()
                time.sleep(0.001)
            assert port.present


def wait_for(console: ConsoleDriver, condition: Callable[[], object]) -> None:
    while not condition():  # a hang is caught by the limit that every test has
        console.process()
        time.sleep(0.001)


@dataclasses.dataclass
class Ports:
    """A console with several ports: ``messages`` for the control queue, ``texts`` for port 0."""

    messages: list[bytes]
    texts: list[bytes]
    device_id: int = DeviceId.CONSOLE
    features: int = 2
    queues: int = 6
    config: bytes = struct.pack("<HHII", 80, 25, 2, 0)

    def serve(self, queue: int, chain: DeviceChain) -> int | None:
        source = {0: self.texts, 2: self.messages}.get(queue)
        if source is None:
            return 0 if queue in {1, 3, 5} else None
        return chain.write(source.pop(0)) if source else None


def control(event: int, value: int = 1, port: int = 0) -> bytes:
    return virtio_console_control(id=port, event=event, value=value).pack()


def test_buffers_without_a_byte_do_not_starve_a_port() -> None:
    """A host that closes a port returns its buffers empty; there were four, and they have to go back."""
    model = Ports([control(1), control(6)], [b""] * 9 + [b"alive"])
    port = ConsoleDriver(FakeDevice(model)).wait_open(0, 1)
    assert port.read_some(5, 5) == b"alive"


def test_names_without_a_nul_and_messages_of_no_use() -> None:
    messages = [
        b"short", b"", control(1), control(7) + b"no-nul", control(6), control(99), control(1, port=77),
        control(2, port=77), control(6, port=0xFFFF_FFFF),
    ]  # fmt: skip
    console = ConsoleDriver(FakeDevice(Ports(messages, [])))
    port = console.wait_open(0, 1)
    while console.process():
        pass
    assert (port.name, port.host_open, [found.present for found in console.ports]) == ("no-nul", True, [True, False])


@dataclasses.dataclass
class Sparse(RngModel):
    """An entropy source that gives ``give`` bytes for each buffer."""

    give: int = 1

    def serve(self, queue: int, chain: DeviceChain) -> int | None:
        return chain.write(self._random.randbytes(min(self.give, chain.capacity)))


def test_entropy_byte_by_byte_and_none_at_all() -> None:
    assert len(RngDriver(FakeDevice(Sparse(give=1))).read(300)) == 300
    with pytest.raises(DeviceBrokenError, match="without a random byte"):
        RngDriver(FakeDevice(Sparse(give=0))).read(1)
    assert RngDriver(FakeDevice(Sparse())).read(0) == b""


@pytest.mark.live
@BOTH
def test_entropy_that_is_rationed(ring: int) -> None:
    extra = ["-object", "rng-random,id=r0,filename=/dev/urandom"]
    with machine("virtio-rng-pci,max-bytes=64,period=20,rng=r0", extra) as (_, host):
        rng = RngDriver(host.open(4), features=ring)
        assert len(rng.read(500)) == 500


@pytest.mark.live
@BOTH
@pytest.mark.parametrize(
    ("kind", "name", "codes"),
    [
        ("mouse", "QEMU Virtio Mouse", (8, 3, 0)),
        ("tablet", "QEMU Virtio Tablet", (8, 1, 2)),
        ("multitouch", "QEMU Virtio MultiTouch", (8, 0, 4)),
    ],
)
def test_input_devices_tell_what_they_are(kind: str, name: str, codes: tuple[int, ...], ring: int) -> None:
    with machine(f"virtio-{kind}-pci,serial=abc") as (_, host):
        device = InputDriver(host.open(4), features=ring)
        assert (device.name, device.serial) == (name, "abc")
        assert tuple(len(device.codes(kind)) for kind in (1, 2, 3)) == codes
        assert device.codes(200) == []
        assert device.absolute_range(63) == (0, 0)


# A device that gives up while somebody waits for what may arrive


@dataclasses.dataclass
class Silent:
    """A device of any kind that takes buffers and answers none."""

    device_id: int
    config: bytes = bytes(136)
    features: int = 0
    queues: int = 6

    def serve(self, queue: int, chain: DeviceChain) -> int | None:
        return None


@pytest.mark.parametrize(
    ("model", "wait"),
    [
        (Silent(DeviceId.INPUT), lambda fake: InputDriver(fake).wait_report),
        (Silent(DeviceId.CONSOLE), lambda fake: lambda seconds: ConsoleDriver(fake).ports[0].read_some(1, seconds)),
        (
            Silent(DeviceId.CONSOLE, struct.pack("<HHII", 80, 25, 2, 0), features=2),
            lambda fake: lambda seconds: ConsoleDriver(fake).wait_open(1, seconds),
        ),
        (Silent(DeviceId.NET), lambda fake: NetDriver(fake).receive_one),
        (Silent(DeviceId.RNG), lambda fake: lambda _: RngDriver(fake).read(1)),
    ],
)
def test_a_device_that_needs_a_reset_ends_every_wait(model: Silent, wait: Callable[[Any], Any]) -> None:
    class Failing(FakeDevice):
        def driver_ok(self) -> None:
            super().driver_ok()
            self.status_bits |= 64

    with pytest.raises(NeedsResetError):
        wait(Failing(model))(30.0)


# Rings


@pytest.mark.parametrize(
    ("limit", "features", "size"),
    [
        (1, 0, 1),
        (3, 0, 2),
        (1000, 0, 512),
        (1024, 0, 1024),
        (32768, 0, 32768),
        (65535, 0, 32768),
        (1, Feature.RING_PACKED, 1),
        (1000, Feature.RING_PACKED, 1000),
        (65535, Feature.RING_PACKED, 32768),
    ],
)
def test_sizes_of_rings(limit: int, features: int, size: int) -> None:
    assert ring_size(limit, features) == size
    device = FakeDevice(SinkModel(), queue_size=limit, memory=DmaMemory(memoryview(bytearray(32 << 20))))
    device.start(features)
    queue = device.queue(0)
    device.driver_ok()
    assert queue.size == size
    region = device.memory.allocate(16)
    for _ in range(3):
        queue.submit(Chain([], [region.part(0, 16)]))
        queue.kick()
        assert queue.wait(1).written == 16


@pytest.mark.parametrize(
    "features", [0, Feature.EVENT_IDX, Feature.RING_PACKED, Feature.RING_PACKED | Feature.EVENT_IDX]
)
@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_chains_that_fill_the_whole_ring_through_every_wrap(features: int, size: int) -> None:
    """A chain of as many descriptors as the ring has, more often than a 16-bit index counts to.

    The wrap counter has to flip although the place in the ring is the same afterwards, and the event index has to be
    compared across 65536.
    """
    dma = DmaMemory(memoryview(bytearray(1 << 20)))
    ring = make_ring(dma, size, features)
    kind = PackedDeviceRing if features & Feature.RING_PACKED else SplitDeviceRing
    device = kind(dma, size, ring.addresses, event_idx=bool(features & Feature.EVENT_IDX))
    rung = []
    queue = Virtqueue(0, ring, lambda: rung.append(1))
    region = dma.allocate(16 * size)
    chain = Chain([], [region.part(16 * number, 16) for number in range(size)])
    rounds = 66_000 if size == 1 else 300
    for number in range(rounds):
        queue.submit(chain)
        assert queue.kick(), number  # the device waits for the next chain: it has to be told of each
        taken = device.pop()
        assert taken is not None
        assert taken.descriptors == size
        device.push(taken, 16)
        completion = queue.poll()
        assert completion is not None
        assert (completion.written, ring.free) == (16, size)
        assert device.pop() is None
        assert queue.poll() is None
    assert len(rung) == rounds


@pytest.mark.parametrize("jump", [9, 64, 1 << 15, (1 << 16) - 1])
def test_a_used_index_that_jumps(jump: int) -> None:
    device = FakeDevice(SinkModel(), queue_size=8, auto=False)
    device.start(0)
    queue = device.queue(0)
    device.driver_ok()
    queue.submit(Chain([], [device.memory.allocate(8)]))
    queue.kick()
    device.served[0].ring.skip(jump)
    with pytest.raises(DeviceBrokenError, match="ahead of what is in flight") as caught:
        queue.poll()
    assert (caught.value.structure, caught.value.field, caught.value.actual) == ("virtq_used", "idx", jump)


def test_an_indirect_table_inside_a_chain_is_the_drivers_fault() -> None:
    """(2.7.5.3.1): a descriptor with INDIRECT has no NEXT, and a table refers to no other."""
    dma = DmaMemory(memoryview(bytearray(1 << 20)))
    ring = make_ring(dma, 8, Feature.INDIRECT_DESC)
    queue = Virtqueue(0, ring, lambda: None)
    device = SplitDeviceRing(dma, 8, ring.addresses, event_idx=False)
    region = dma.allocate(64)
    queue.submit(Chain([region.part(0, 8)], [region.part(8, 8)]))
    queue.kick()
    table = int.from_bytes(dma.at(ring.addresses.descriptors, 8), "little")
    dma.at(table + 16 + 12, 2)[:] = (4).to_bytes(2, "little")  # the second entry claims to be a table
    with pytest.raises(Exception, match="refers to another"):
        device.pop()


def test_gpu_answers_after_a_restart_belong_to_new_commands() -> None:
    """An answer that is late is lost with the reset; the next command sees its own."""
    fake = FakeDevice(GpuModel(), auto=False)
    gpu = GpuDriver.__new__(GpuDriver)
    with pytest.raises(CompletionTimeoutError):
        GpuDriver.__init__(gpu, fake, timeout=0.01)
        gpu.modes()
    assert gpu.control.queue.in_flight == 1
    fake._auto = True
    gpu.restart()
    assert [(mode.width, mode.height) for mode in gpu.modes()] == [(64, 32)]
