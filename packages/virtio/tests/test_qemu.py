"""Every driver with split and packed rings, with and without EVENT_IDX and INDIRECT_DESC, on each architecture."""

from __future__ import annotations

import os
from typing import Any

import pytest

from cloudboot_qemu.qtest import QtestMachine
from cloudboot_virtio import (
    BlockDriver,
    CommandError,
    ConsoleDriver,
    DeviceId,
    Driver,
    Feature,
    GpuDriver,
    InputDriver,
    InputEvent,
    NegotiationError,
    NetDriver,
    PciHost,
    RngDriver,
    SoundDriver,
    Status,
    TransportError,
)
from cloudboot_virtio.testing import ppm_pixels

pytestmark = pytest.mark.live

ARCHITECTURES = ["amd64", "arm64", "riscv64", "loong64"]
RINGS = {
    f"{kind}{'-event' if event else ''}{'-indirect' if indirect else ''}": packed | event | indirect
    for kind, packed in (("split", 0), ("packed", Feature.RING_PACKED))
    for event in (0, Feature.EVENT_IDX)
    for indirect in (0, Feature.INDIRECT_DESC)
}
RING_BITS = Feature.RING_PACKED | Feature.EVENT_IDX | Feature.INDIRECT_DESC
MOST_ROUND_TRIPS = 200


def check_rng(bench: Any, features: int) -> list[Driver]:
    rng = RngDriver(bench.host.open(3), features=features)
    data = rng.read(5000)
    assert len(data) == 5000
    assert len(set(data)) > 200  # 256 values, 5,000 draws
    return [rng]


def check_gpu(bench: Any, features: int) -> list[Driver]:
    gpu = GpuDriver(bench.host.open(4), features=features)
    assert [(mode.width, mode.height, mode.enabled) for mode in gpu.modes()] == [(1280, 800, True)]
    assert gpu.edid()[:8] == bytes.fromhex("00ffffffffffff00")
    screen = gpu.create(320, 200)
    screen.pixels[:] = os.urandom(len(screen.pixels))
    gpu.set_scanout(screen)
    gpu.show(screen)
    before = bytes(screen.pixels)
    assert ppm_pixels(bench.machine.screendump("gpu0")) == (320, 200, rgb(before))
    screen.pixels[:] = os.urandom(len(screen.pixels))
    gpu.flush(screen, 7, 11, 100, 50)  # a part: the rest stays as it was
    after = bytearray(before)
    for y in range(11, 61):
        part = slice(4 * (320 * y + 7), 4 * (320 * y + 107))
        after[part] = screen.pixels[part]
    assert ppm_pixels(bench.machine.screendump("gpu0")) == (320, 200, rgb(bytes(after)))
    with pytest.raises(ValueError, match="not within"):
        gpu.flush(screen, 300, 0, 21, 1)
    with pytest.raises(CommandError, match="invalid"):
        gpu.set_scanout(screen, 9)
    gpu.set_scanout(None)
    gpu.destroy(screen)
    return [gpu]


def rgb(bgrx: bytes) -> bytes:
    pixels = bytearray(len(bgrx) // 4 * 3)
    pixels[0::3], pixels[1::3], pixels[2::3] = bgrx[2::4], bgrx[1::4], bgrx[0::4]
    return bytes(pixels)


def check_blk(bench: Any, features: int) -> list[Driver]:
    content = os.urandom(300 * 512)
    os.pwrite(bench.disk, content, 100 * 512)
    disk = BlockDriver(bench.host.open(5), features=features)
    assert (disk.info.capacity, disk.info.block_size, disk.info.read_only) == (8 << 20, 512, False)
    assert disk.serial() == "cloudboot-1"
    assert disk.read(100, len(content)) == content
    disk.write(1000, content)
    disk.flush()
    assert os.pread(bench.disk, len(content), 1000 * 512) == content  # what the host's file holds
    disk.discard(1000, 8)
    assert disk.read(1008, 512) == content[8 * 512 : 9 * 512]
    with pytest.raises(CommandError, match="IOERR"):
        disk.read((8 << 20) // 512, 512)
    with pytest.raises(ValueError, match="whole sectors"):
        disk.read(0, 100)
    return [disk]


def check_input(bench: Any, features: int) -> list[Driver]:
    keyboard = InputDriver(bench.host.open(6), features=features)
    assert keyboard.name == "QEMU Virtio Keyboard"
    assert {1, 28, 57, 103} <= set(keyboard.codes(1))
    for key, code, name in (("ret", 28, "enter"), ("esc", 1, "esc"), ("down", 108, "down")):
        for value in (1, 0):
            event = {"type": "key", "data": {"down": bool(value), "key": {"type": "qcode", "data": key}}}
            bench.machine.qmp("input-send-event", {"events": [event]})
            report = keyboard.wait_report(5)
            assert report == [InputEvent(1, code, value), InputEvent(0, 0, 0)]
            assert report[0].key == name
    keyboard.set_led(0, on=True)
    tablet = InputDriver(bench.host.open(11), features=features)
    assert tablet.absolute_range(0) == (0, 0x7FFF)
    events = [{"type": "abs", "data": {"axis": axis, "value": value}} for axis, value in (("x", 16384), ("y", 1))]
    bench.machine.qmp("input-send-event", {"events": events})
    assert tablet.wait_report(5) == [InputEvent(3, 0, 16384), InputEvent(3, 1, 1), InputEvent(0, 0, 0)]
    return [keyboard, tablet]


def check_console(bench: Any, features: int) -> list[Driver]:
    console = ConsoleDriver(bench.host.open(7), features=features)
    first, second = (console.wait_open(number) for number in (0, 1))
    assert (first.name, first.is_console, second.name, second.is_console) == ("", True, "org.example.port", False)
    assert [port.present for port in console.ports] == [True, True, False, False]
    for port, file in ((first, bench.console), (second, bench.port)):
        text = os.urandom(10_000)
        port.write(text)
        assert os.pread(file, 1 << 20, os.fstat(file).st_size - len(text)) == text
    return [console]


def check_net(bench: Any, features: int) -> list[Driver]:
    left, right = (NetDriver(bench.host.open(slot), features=features) for slot in (8, 9))
    assert (left.mac, right.mac) == (bytes.fromhex("525400000008"), bytes.fromhex("525400000009"))
    assert left.mac is not None
    assert right.mac is not None
    for sender, receiver, to, source in ((left, right, right.mac, left.mac), (right, left, left.mac, right.mac)):
        for size in (46, 1500):
            frame = to + source + b"\x88\xb5" + os.urandom(size)
            sender.send(frame)
            assert receiver.receive_one(5) == frame
        sender.flush()
    with pytest.raises(ValueError, match="1514"):
        left.send(bytes(1515))
    return [left, right]


def check_sound(bench: Any, features: int) -> list[Driver]:
    sound = SoundDriver(bench.host.open(10), features=features)
    (info,) = sound.info()
    assert info.output
    assert {11025, 44100} <= set(info.rates)
    assert "s16" in info.formats
    output = sound.open_output(rate=44100, period=1764, periods=4)
    output.write(bytes(4 * 1764))
    output.close()
    assert output.played == 4 * 1764
    return [sound]


CHECKS = {
    "rng": check_rng,
    "gpu": check_gpu,
    "blk": check_blk,
    "input": check_input,
    "console": check_console,
    "net": check_net,
    "sound": check_sound,
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("ring", RINGS)
@pytest.mark.parametrize("device", CHECKS)
def test_matrix(bench: Any, device: str, ring: str, architecture: str) -> None:
    machine = bench(architecture)
    pages = machine.host.memory.pages_in_use
    drivers = CHECKS[device](machine, RINGS[ring])
    for driver in drivers:
        assert driver.features & RING_BITS == RINGS[ring]
        assert not driver.transport.status & (Status.NEEDS_RESET | Status.FAILED)
        driver.shut_down()
    assert machine.host.memory.pages_in_use == pages
    assert machine.machine.stderr.replace("hub 0 is not connected to host network", "").count("\n") == 0


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_bring_up_takes_few_round_trips(architecture: str) -> None:
    """From a slot number to a working device, the BARs unplaced before."""
    devices: dict[str, type[Driver]] = {
        "virtio-gpu-pci,addr=4": GpuDriver,
        "virtio-sound-pci,addr=5,audiodev=s0": SoundDriver,
        "virtio-rng-pci,addr=6": RngDriver,
        "virtio-blk-pci,addr=7,drive=d0": BlockDriver,
        "virtio-net-pci,addr=8,netdev=n0": NetDriver,
        "virtio-keyboard-pci,addr=9": InputDriver,
        "virtio-serial-pci,addr=0xa,max_ports=4": ConsoleDriver,
    }
    extra = [
        *("-audiodev", "none,id=s0", "-netdev", "hubport,id=n0,hubid=0"),
        *("-drive", "if=none,id=d0,driver=null-co,size=1M"),
    ]
    with QtestMachine([*devices], architecture=architecture, extra=extra) as machine:
        host = PciHost(machine)
        trips = {}
        for slot, (device, kind) in enumerate(devices.items(), 4):
            before = machine.round_trips
            kind(host.open(slot))
            trips[device] = machine.round_trips - before
    assert max(trips.values()) <= MOST_ROUND_TRIPS, trips


def test_what_is_in_which_slot(bench: Any) -> None:
    host = bench("riscv64").host
    found = {function.slot: function.virtio_id for function in host.scan() if function.virtio_id is not None}
    assert found == {3: 4, 4: 16, 5: 2, 6: 18, 7: 3, 8: 1, 9: 1, 10: 25, 11: 18}
    with pytest.raises(TransportError, match="no virtio device in slot 0"):
        host.open(0)
    with pytest.raises(TransportError, match="not a rng device"):
        RngDriver(host.open(4))
    assert host.open(3).device_id == DeviceId.RNG


def test_queue_reset_keeps_the_resource_and_device_reset_is_a_new_start(bench: Any) -> None:
    machine = bench("amd64")
    gpu = GpuDriver(machine.host.open(4))
    assert gpu.features & Feature.RING_RESET
    screen = gpu.create(64, 32)
    screen.pixels[:] = b"\x10\x20\x30\x00" * (64 * 32)
    gpu.set_scanout(screen)
    gpu.show(screen)
    assert gpu.transport.reset_queue(0, 16) == []
    screen.pixels[:] = b"\x40\x50\x60\x00" * (64 * 32)
    gpu.show(screen)
    assert ppm_pixels(machine.machine.screendump("gpu0")) == (64, 32, b"\x60\x50\x40" * (64 * 32))
    gpu.restart()
    screen = gpu.create(32, 64)
    screen.pixels[:] = b"\x01\x02\x03\x00" * (64 * 32)
    gpu.set_scanout(screen)
    gpu.show(screen)
    assert ppm_pixels(machine.machine.screendump("gpu0")) == (32, 64, b"\x03\x02\x01" * (64 * 32))
    gpu.shut_down()
    rng = RngDriver(machine.host.open(3), features=0)
    with pytest.raises(NegotiationError, match="RING_RESET was not negotiated"):
        rng.transport.reset_queue(0)
