"""What the virtio drivers do in a second, against QEMU's qtest round trips as the limit.

``python benchmarks/virtio.py`` prints one table: each row is a median of rounds, its share of the round trips that the
same machine answers in a second, and what the row must reach. Below it stand the round trips of bringing up a device,
and how long the tests of all drivers on all rings and architectures take. ``--soak`` adds 60,000 flushes with QEMU
stopped at random.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from _targets import Targets

from cloudboot_qemu.qtest import QtestMachine
from cloudboot_virtio import (
    BlockDriver,
    ConsoleDriver,
    GpuDriver,
    InputDriver,
    NetDriver,
    PciHost,
    RngDriver,
    SoundDriver,
)
from cloudboot_virtio.testing import ppm_pixels

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 0.5
WIDTH, HEIGHT = 1280, 800


def rate(step: Callable[[], int]) -> float:
    """How many units ``step`` does in a second; it returns how many it did."""
    done, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < SECONDS:
        done += step()
    return done / (time.perf_counter() - begin)


def subjects(machine: QtestMachine, gpu: GpuDriver, disk: BlockDriver) -> dict[str, tuple[Callable[[], int], str]]:
    """What is timed, with its target: a share of the round trips, or a number."""
    screen = gpu.create(WIDTH, HEIGHT)
    gpu.set_scanout(screen)
    chance = random.Random(1)

    def round_trips() -> int:
        for _ in range(100):
            machine.read(0x10_0000, 4)
        return 100

    def flush() -> int:
        gpu.flush(screen, 480, 300, 320, 200)
        return 1

    def seven() -> int:
        for _ in range(7):
            gpu.start_flush(screen, 480, 300, 320, 200, fenced=True)
        gpu.finish()
        return 7

    def full() -> int:
        gpu.show(screen)
        return 1

    def blocks() -> int:
        tickets = [disk.start_read(8 * chance.randrange(2000), 4096) for _ in range(16)]
        for ticket in tickets:
            disk.finish(ticket)
        return 16

    return {
        "qtest round trips": (round_trips, ""),
        "transfer + flush 320x200": (flush, "0.25"),
        "the same, seven in flight": (seven, "0.4"),
        "transfer + flush 1280x800": (full, "800/s"),
        "blk read 4 KiB, 16 in flight": (blocks, "10000/s"),
    }


def wanted(target: str, limit: float) -> float | None:
    """How many a second a target stands for: it is that number, or a share of the limit."""
    if not target:
        return None
    return float(target[:-2]) if target.endswith("/s") else float(target) * limit


def bring_up() -> tuple[str, int]:
    """The device that takes the most round trips from its slot to work, and how many."""
    devices = {
        "virtio-gpu-pci,addr=4": GpuDriver,
        "virtio-rng-pci,addr=5": RngDriver,
        "virtio-keyboard-pci,addr=6": InputDriver,
        "virtio-serial-pci,addr=7,max_ports=4": ConsoleDriver,
        "virtio-net-pci,addr=8,netdev=n0": NetDriver,
        "virtio-sound-pci,addr=9,audiodev=s0": SoundDriver,
    }
    extra = ["-audiodev", "none,id=s0", "-netdev", "hubport,id=n0,hubid=0"]
    taken = {}
    with QtestMachine(list(devices), extra=extra) as machine:
        host = PciHost(machine)
        for slot, (device, kind) in enumerate(devices.items(), 4):
            before = machine.round_trips
            kind(host.open(slot))
            taken[device.partition(",")[0]] = machine.round_trips - before
    return max(taken.items(), key=lambda item: item[1])


def matrix() -> tuple[float, str, bool]:
    """Seconds that the tests of the driver matrix take, machines included, pytest's last line, and whether all pass."""
    words = ["-q", "-p", "no:cacheprovider", "packages/virtio/tests/test_qemu.py", "-k", "test_matrix"]
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "pytest", *words], capture_output=True, text=True, check=False)
    return time.perf_counter() - begin, done.stdout.strip().rpartition("\n")[2], done.returncode == 0


def soak(flushes: int) -> tuple[str, bool]:
    """Flushes under random stops of QEMU: what came of them, and whether that is what must."""
    with QtestMachine(["virtio-gpu-pci,id=gpu0,addr=4"]) as machine:
        gpu = GpuDriver(PciHost(machine).open(4))
        screen = gpu.create(320, 200)
        gpu.set_scanout(screen)
        before = gpu.transport.memory.allocations
        over = threading.Event()
        stops = 0

        def stopper() -> None:
            nonlocal stops
            chance = random.Random(2)
            while not over.wait(0.1 * chance.random()):
                os.kill(machine.pid, signal.SIGSTOP)
                time.sleep(0.02)
                os.kill(machine.pid, signal.SIGCONT)
                stops += 1

        thread = threading.Thread(target=stopper)
        thread.start()
        begin = time.perf_counter()
        try:
            for number in range(flushes):
                screen.pixels[:4] = number.to_bytes(4, "little")
                gpu.start_flush(screen, 0, 0, 320, 200, fenced=True)
                if number % 7 == 6:
                    gpu.finish()
            gpu.finish()
        finally:
            over.set()
            thread.join()
        seconds = time.perf_counter() - begin
        shown = ppm_pixels(machine.screendump("gpu0"))[2][:3]
        exact = shown == bytes(reversed((flushes - 1).to_bytes(4, "little")[:3]))
        allocated = gpu.transport.memory.allocations - before
    told = f"{flushes} flushes in {seconds:.1f} s, {stops} stops, 0 errors, {allocated} allocations"
    return f"{told}, picture exact: {exact}", exact and not allocated


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="virtio drivers against qtest round trips")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--soak", type=int, nargs="?", const=60_000, default=0, metavar="FLUSHES")
    parser.add_argument("--no-matrix", action="store_true", help="Leave the tests of the driver matrix out.")
    options = parser.parse_args()
    disk_file = os.memfd_create("disk")
    os.ftruncate(disk_file, 8 << 20)
    drive = f"if=none,id=d0,format=raw,file=/proc/self/fd/{disk_file}"
    devices = ["virtio-gpu-pci,id=gpu0,addr=4,xres=1280,yres=800,packed=on", "virtio-blk-pci,addr=5,drive=d0,packed=on"]
    with QtestMachine(devices, extra=["-drive", drive], descriptors=[disk_file]) as machine:
        host = PciHost(machine)
        timed = subjects(machine, GpuDriver(host.open(4)), BlockDriver(host.open(5)))
        rates: dict[str, list[float]] = {name: [] for name in timed}
        for _ in range(options.rounds):
            for name, (step, _) in timed.items():
                rates[name].append(rate(step))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    limit = medians["qtest round trips"]
    targets = Targets()
    print(f"{'':30} {'a second':>10} {'of limit':>9}  target")
    for name, (_, target) in timed.items():
        told = f"{target:8} {targets.at_least(medians[name], wanted(target, limit))}".rstrip()
        print(f"{name:30} {medians[name]:10.0f} {medians[name] / limit:9.2f}  {told}")
    device, trips = bring_up()
    print(f"bring-up: {trips} round trips at most ({device}); target 200, {targets.at_most(trips, 200)}")
    if not options.no_matrix:
        seconds, line, passed = matrix()
        verdict = targets.met(passed and seconds <= 30)
        print(f"driver matrix, four architectures: {seconds:.1f} s ({line}); target 30 s, {verdict}")
    if options.soak:
        told, right = soak(options.soak)
        print(f"{told}; target 0 errors, 0 allocations, exact, {targets.met(right)}")
    return targets.exit_code


if __name__ == "__main__":
    sys.exit(main())
