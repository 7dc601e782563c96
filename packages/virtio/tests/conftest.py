"""One machine per architecture with all devices, for all tests of the run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloudboot_base.testing import judge
from cloudboot_qemu.qtest import QtestMachine
from cloudboot_virtio import PciHost

PROGRAMS = {
    "amd64": ("qemu-system-x86_64", "qemu-system-x86"),
    "arm64": ("qemu-system-aarch64", "qemu-system-arm"),
    "riscv64": ("qemu-system-riscv64", "qemu-system-riscv"),
    "loong64": ("qemu-system-loongarch64", "qemu-system-misc"),
}
DISK_SIZE = 8 << 20


class Bench:
    """A machine, its PCI bus, and the files its devices use. Every device offers packed rings."""

    def __init__(self, machine: QtestMachine, host: PciHost, disk: int, console: int, port: int) -> None:
        self.machine, self.host = machine, host
        self.disk, self.console, self.port = disk, console, port


def start(architecture: str, resources: contextlib.ExitStack) -> Bench:
    judge(*PROGRAMS[architecture])
    files = []
    for name in ("disk", "console", "port"):
        fd = os.memfd_create(name)
        resources.callback(os.close, fd)
        files.append(fd)
    os.ftruncate(files[0], DISK_SIZE)
    machine = QtestMachine(
        [
            "virtio-rng-pci,addr=3,packed=on,rng=r0",
            "virtio-gpu-pci,id=gpu0,addr=4,xres=1280,yres=800,packed=on",
            "virtio-blk-pci,addr=5,drive=d0,packed=on,serial=cloudboot-1",
            "virtio-keyboard-pci,id=kb0,addr=6,packed=on",
            "virtio-serial-pci,addr=7,id=vs0,max_ports=4,packed=on",
            "virtconsole,chardev=c0,bus=vs0.0",
            "virtserialport,chardev=c1,bus=vs0.0,name=org.example.port",
            "virtio-net-pci,addr=8,netdev=n0,mac=52:54:00:00:00:08,packed=on",
            "virtio-net-pci,addr=9,netdev=n1,mac=52:54:00:00:00:09,packed=on",
            "virtio-sound-pci,addr=0xa,streams=1,audiodev=s0,packed=on",
            "virtio-tablet-pci,addr=0xb,packed=on",
        ],
        architecture=architecture,
        descriptors=files,
        extra=[
            *("-object", "rng-random,id=r0,filename=/dev/urandom"),
            *("-drive", f"if=none,id=d0,format=raw,file=/proc/self/fd/{files[0]},discard=unmap"),
            *("-chardev", f"file,id=c0,path=/proc/self/fd/{files[1]}"),
            *("-chardev", f"file,id=c1,path=/proc/self/fd/{files[2]}"),
            *("-netdev", "hubport,id=n0,hubid=0", "-netdev", "hubport,id=n1,hubid=0"),
            *("-audiodev", "none,id=s0"),
        ],
    )
    resources.enter_context(machine)
    return Bench(machine, PciHost(machine), *files)


@pytest.fixture(scope="session")
def bench() -> Iterator[Callable[[str], Bench]]:
    """Gives the machine of an architecture; it is started once."""
    with contextlib.ExitStack() as resources:
        running: dict[str, Bench] = {}

        def get(architecture: str) -> Bench:
            if architecture not in running:
                running[architecture] = start(architecture, resources)
            return running[architecture]

        yield get


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A folder for what QEMU writes."""
    return tmp_path
