"""A device that stands still for a while: the naive driver never recovers, ours loses nothing."""

from __future__ import annotations

import os
import random
import signal
import struct
import threading
import time
from collections import Counter

import pytest

from cloudboot_base.testing import judge
from cloudboot_qemu.qtest import QtestMachine
from cloudboot_virtio import RING_FEATURES, CompletionTimeoutError, Feature, GpuDriver, PciHost, RngDriver
from cloudboot_virtio.testing import NaiveGpu, ppm_pixels

pytestmark = pytest.mark.live

WIDTH, HEIGHT = 640, 400
STALL = 0.02  # seconds
FLUSHES = 4000
STALLS = {500, 1500, 2500}


def stop(pid: int) -> None:
    """Let QEMU stand still. The signal takes effect later than it is sent: wait until every thread has stopped."""
    os.kill(pid, signal.SIGSTOP)
    while True:
        states = []
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/stat", encoding="ascii", errors="replace") as file:
                states.append(file.read().rpartition(")")[2].split()[0])
        if set(states) <= {"T", "t"}:
            return
        time.sleep(0.0005)


def machine() -> QtestMachine:
    judge("qemu-system-x86_64", "qemu-system-x86")
    return QtestMachine(["virtio-gpu-pci,id=gpu0,addr=4,packed=on", "virtio-rng-pci,addr=5"])


def test_a_timeout_taken_for_a_completion_fails_for_ever() -> None:
    """The failure that the rule prevents: thousands of wrong completions out of three stalls of 20 ms."""
    with machine() as qemu:
        host = PciHost(qemu)
        naive = NaiveGpu(host.open(4))
        backing = host.memory.allocate(4 * WIDTH * HEIGHT)
        set_up = [
            (0x101, struct.pack("<4I", 1, 2, WIDTH, HEIGHT)),
            (0x106, struct.pack("<2IQ2I", 1, 1, backing.address, backing.size, 0)),
            (0x103, struct.pack("<6I", 0, 0, WIDTH, HEIGHT, 0, 1)),
        ]
        naive._budget = 5.0
        assert [naive.send(*command) for command in set_up] == ["ok"] * 3
        naive._budget = 0.002
        seen: Counter[str] = Counter()
        wrong = 0  # commands that took another's completion for their own
        for number in range(FLUSHES):
            wrong += naive.surplus > 0
            if number in STALLS:
                stop(qemu.pid)
            # A transfer of the whole screen: the device needs longer for it than the driver to look at the used ring.
            seen[naive.send(0x105, struct.pack("<4IQ2I", 0, 0, WIDTH, HEIGHT, 0, 1, 0))] += 1
            if number in STALLS:
                time.sleep(STALL)
                os.kill(qemu.pid, signal.SIGCONT)
            qemu.read(0, 4)  # as long as the device is idle between two frames, it has seen everything
        assert seen["timeout"] >= 1
        # Whether such a command reads zeros or, by luck, its own answer, depends on who is faster.
        assert seen["error"] > 0, seen
        assert wrong > FLUSHES // 2, wrong


@pytest.mark.parametrize("features", [RING_FEATURES, RING_FEATURES & ~Feature.RING_PACKED])
def test_a_timeout_that_reclaims_nothing_loses_nothing(features: int) -> None:
    """The same stalls and the same budget of 2 ms; a timeout is waited out, and the picture is exact."""
    with machine() as qemu:
        gpu = GpuDriver(PciHost(qemu).open(4), features=features)
        screen = gpu.create(WIDTH, HEIGHT)
        gpu.set_scanout(screen)
        pages = gpu.transport.memory.allocations
        timeouts = 0
        gpu.timeout = 0.002
        for number in range(FLUSHES):
            if number in STALLS:
                stop(qemu.pid)
            screen.pixels[number : number + 1] = bytes([number & 0xFF])
            gpu.start_flush(screen, 0, 0, WIDTH, 1, fenced=True)
            gpu.kick()
            if number in STALLS:
                with pytest.raises(CompletionTimeoutError):
                    gpu.finish()
                timeouts += 1
                time.sleep(STALL)
                os.kill(qemu.pid, signal.SIGCONT)
            while gpu.control.queue.in_flight:
                try:
                    gpu.finish()
                except CompletionTimeoutError:
                    timeouts += 1
        assert timeouts >= len(STALLS)
        assert gpu.transport.memory.allocations == pages
        assert gpu.commands == 2 * FLUSHES + 3
        picture = ppm_pixels(qemu.screendump("gpu0"))[2]
        assert picture[: 3 * WIDTH] == b"".join(bytes(reversed(screen.pixels[4 * x : 4 * x + 3])) for x in range(WIDTH))


@pytest.mark.parametrize("features", [RING_FEATURES, RING_FEATURES & ~Feature.RING_PACKED, 0])
def test_random_stops_with_many_commands_in_flight(features: int) -> None:
    with machine() as qemu:
        gpu = GpuDriver(PciHost(qemu).open(4), features=features, queue_size=16)
        screen = gpu.create(WIDTH, HEIGHT)
        gpu.set_scanout(screen)
        over = threading.Event()
        stops = 0

        def stopper() -> None:
            nonlocal stops
            chance = random.Random(5)
            while not over.is_set():
                os.kill(qemu.pid, signal.SIGSTOP)
                time.sleep(0.02 * chance.random())
                os.kill(qemu.pid, signal.SIGCONT)
                stops += 1
                over.wait(0.05 * chance.random())

        thread = threading.Thread(target=stopper)
        thread.start()
        try:
            number = 0
            while number < 300 or stops < 10:
                number += 1
                screen.pixels[:16] = bytes([number & 0xFF]) * 16
                for _ in range(7):
                    gpu.start_flush(screen, 0, 0, 4, 1, fenced=True)
                gpu.finish()
        finally:
            over.set()
            thread.join()
        assert gpu.commands == 2 * 7 * number + 3
        assert ppm_pixels(qemu.screendump("gpu0"))[2][:12] == bytes([number & 0xFF]) * 12


def test_a_device_reset_after_a_stall_is_a_new_start() -> None:
    with machine() as qemu:
        host = PciHost(qemu)
        gpu, rng = GpuDriver(host.open(4)), RngDriver(host.open(5))
        screen = gpu.create(WIDTH, HEIGHT)
        gpu.set_scanout(screen)
        gpu.timeout = rng.timeout = 0.01
        stop(qemu.pid)
        gpu.start_flush(screen, 0, 0, WIDTH, HEIGHT)
        with pytest.raises(CompletionTimeoutError):
            gpu.finish()
        with pytest.raises(CompletionTimeoutError):
            rng.read(100)
        os.kill(qemu.pid, signal.SIGCONT)
        gpu.timeout = rng.timeout = 5.0
        assert len(rng.read(100)) == 100  # the late answer is the right one
        gpu.restart()
        assert gpu.control.queue.in_flight == 0
        screen = gpu.create(64, 32)
        screen.pixels[:] = b"\x01\x02\x03\x00" * (64 * 32)
        gpu.set_scanout(screen)
        gpu.show(screen)
        assert ppm_pixels(qemu.screendump("gpu0")) == (64, 32, b"\x03\x02\x01" * (64 * 32))


def test_a_machine_that_is_killed_in_the_middle() -> None:
    from cloudboot_qemu import MachineFailedError

    with machine() as qemu:
        gpu = GpuDriver(PciHost(qemu).open(4))
        screen = gpu.create(64, 32)
        gpu.set_scanout(screen)
        os.kill(qemu.pid, signal.SIGKILL)
        gpu.timeout = 1.0
        with pytest.raises((MachineFailedError, CompletionTimeoutError)):
            for _ in range(1000):
                gpu.show(screen)
