"""``cloudboot virtio``: virtio devices of a machine without a guest, driven from this process."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

from cloudboot_base import MissingDependencyError, followed, refuse_existing
from cloudboot_base.command import OK

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from .console import Console

_DISK = 8 << 20
_ROUND = 0.5  # seconds of each measurement
_TYPED = b"text from the host\n"  # what the console's other end sends
_WAIT = 5.0
_SLOTS = {"rng": 3, "gpu": 4, "blk": 5, "input": 6, "console": 7, "net": 8, "sound": 9}


@contextlib.contextmanager
def _machine(options: argparse.Namespace) -> Iterator[tuple[Any, Any, int]]:
    """A machine with one device of each kind, its PCI bus, and the ring features that were asked for."""
    try:
        from cloudboot_virtio import RING_FEATURES, Feature, PciHost
    except ImportError:
        raise MissingDependencyError(
            "cloudboot-virtio is not installed", hint="pip install 'cloudboot-probes[virtio]'"
        ) from None
    from cloudboot_qemu.qtest import QtestMachine

    disk, typed = os.memfd_create("disk"), os.memfd_create("typed")
    try:
        os.ftruncate(disk, _DISK)
        os.pwrite(typed, _TYPED, 0)
        devices = [
            "virtio-rng-pci,addr=3,packed=on",
            "virtio-gpu-pci,id=gpu0,addr=4,xres=1280,yres=800,packed=on",
            "virtio-blk-pci,addr=5,drive=d0,serial=cloudboot,packed=on",
            "virtio-keyboard-pci,addr=6,packed=on",
            "virtio-serial-pci,addr=7,id=vs0,max_ports=1,packed=on",
            "virtconsole,chardev=c0,bus=vs0.0",
            "virtio-net-pci,addr=8,netdev=n0,packed=on",
            "virtio-sound-pci,addr=9,streams=1,audiodev=s0,packed=on",
        ]
        extra = [
            *("-drive", f"if=none,id=d0,format=raw,file=/proc/self/fd/{disk}"),
            *("-netdev", "user,id=n0,restrict=on", "-audiodev", "none,id=s0"),
            *("-chardev", f"file,id=c0,path={os.devnull},input-path=/proc/self/fd/{typed}"),
        ]
        with QtestMachine(
            devices, architecture=options.architecture, extra=extra, descriptors=[disk, typed]
        ) as machine:
            features = RING_FEATURES if options.ring == "packed" else RING_FEATURES & ~Feature.RING_PACKED
            yield machine, PciHost(machine), int(features)
    finally:
        os.close(disk)
        os.close(typed)


def devices(options: argparse.Namespace, console: Console) -> int:
    """Bring every device up, and tell what it says of itself."""
    rows = []
    with _machine(options) as (machine, host, features):
        from cloudboot_virtio import drivers

        kinds: dict[str, tuple[Any, Callable[[Any], str]]] = {
            "rng": (drivers.RngDriver, lambda driver: f"{len(driver.read(64))} random bytes"),
            "gpu": (drivers.GpuDriver, lambda driver: f"{driver.modes()[0].width}x{driver.modes()[0].height}"),
            "blk": (drivers.BlockDriver, lambda driver: f"{driver.info.capacity} bytes, serial {driver.serial()}"),
            "input": (drivers.InputDriver, lambda driver: driver.name),
            "console": (drivers.ConsoleDriver, lambda driver: f"{len(driver.ports)} port"),
            "net": (drivers.NetDriver, lambda driver: driver.mac.hex(":")),
            "sound": (drivers.SoundDriver, lambda driver: f"{driver.streams} stream"),
        }
        for name, (kind, tell) in kinds.items():
            before = machine.round_trips
            driver = kind(host.open(_SLOTS[name]), features=features)
            trips = machine.round_trips - before
            queues = {index: queue.size for index, queue in driver.transport.queues.items()}
            told = {"device": name, "slot": _SLOTS[name], "features": int(driver.features), "queues": queues}
            rows.append({**told, "round_trips": trips, "says": tell(driver)})
            driver.shut_down()
    if console.json:
        console.result(rows)
    else:
        line = "{device:8} slot {slot}  features {features:#013x}  {round_trips:3} round trips  {says}"
        console.lines(line.format(**row) for row in rows)
    return OK


def record(options: argparse.Namespace, console: Console) -> int:
    """Record a device at work, from the moment at which it may work."""
    refuse_existing(followed(options.output), force=options.force)
    with _machine(options) as (machine, host, features):
        from cloudboot_virtio import drivers
        from cloudboot_virtio.recording import record as recording

        kind, work = {
            "rng": (drivers.RngDriver, _read_random),
            "gpu": (drivers.GpuDriver, _draw),
            "blk": (drivers.BlockDriver, _use_disk),
            "input": (drivers.InputDriver, _type),
            "console": (drivers.ConsoleDriver, _talk),
            "net": (drivers.NetDriver, _ask_for_address),
            "sound": (drivers.SoundDriver, _play),
        }[options.device]
        with recording(options.output, host.open(_SLOTS[options.device]), force=options.force) as recorder:
            work(kind(recorder.transport, features=features), machine)
    if console.json:
        console.result({"recording": os.fspath(options.output), "events": recorder.events})
    else:
        console.print(f"{options.output}: {recorder.events} events")
    return OK


def _read_random(rng: Any, _: Any) -> None:
    rng.read(10_000)


def _draw(gpu: Any, _: Any) -> None:
    screen = gpu.create(64, 32)
    gpu.set_scanout(screen)
    for _number in range(10):
        gpu.show(screen)


def _use_disk(disk: Any, _: Any) -> None:
    disk.write(0, bytes(range(256)) * 64)
    disk.read(0, 16384)
    disk.flush()


def _type(keyboard: Any, machine: Any) -> None:
    """A key goes down and up, and a light goes on."""
    for down in (True, False):
        key = {"type": "key", "data": {"down": down, "key": {"type": "qcode", "data": "ret"}}}
        machine.qmp("input-send-event", {"events": [key]})
        keyboard.wait_report(_WAIT)
    keyboard.set_led(0, on=True)


def _talk(console: Any, _: Any) -> None:
    port = console.wait_open(0)
    port.write(b"text from the guest\n")
    port.read_some(len(_TYPED), _WAIT)


def _ask_for_address(net: Any, _: Any) -> None:
    """An ARP request for the host's end of QEMU's user network, and the answer."""
    asking = net.mac + bytes([10, 0, 2, 15])
    request = bytes.fromhex("0001080006040001") + asking + bytes(6) + bytes([10, 0, 2, 2])
    net.send(b"\xff" * 6 + net.mac + b"\x08\x06" + request)
    net.flush()
    net.receive_one(_WAIT)


def _play(sound: Any, _: Any) -> None:
    output = sound.open_output(rate=11025, period=1260, periods=4)
    output.write(bytes(range(256)) * 30)
    output.close()


def bench(options: argparse.Namespace, console: Console) -> int:
    """Flushes and reads in a second, beside the machine's round trips."""
    with _machine(options) as (machine, host, features):
        from cloudboot_virtio import BlockDriver, GpuDriver

        gpu = GpuDriver(host.open(4), features=features)
        screen = gpu.create(1280, 800)
        gpu.set_scanout(screen)
        disk = BlockDriver(host.open(5), features=features)
        address = machine.memory_base + (1 << 20)
        timed: dict[str, Callable[[], object]] = {
            "qtest round trip": lambda: machine.read(address, 4),
            "gpu transfer and flush 320x200": lambda: gpu.flush(screen, 480, 300, 320, 200),
            "gpu transfer and flush 1280x800": lambda: gpu.show(screen),
            "blk read 4 KiB": lambda: disk.read(0, 4096),
        }
        rates = {name: _rate(call) for name, call in timed.items()}
    if console.json:
        console.result(rates)
    else:
        console.lines(f"{name:32} {rate:8.0f} a second" for name, rate in rates.items())
    return OK


def _rate(call: Callable[[], object]) -> float:
    count, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < _ROUND:
        call()
        count += 1
    return count / (time.perf_counter() - begin)
