"""The display changes its size while it is driven: QEMU's VNC server passes a viewer's wish on to the device."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudboot_base.testing import judge
from cloudboot_qemu.architectures import ARCHITECTURES
from cloudboot_qemu.qtest import QtestMachine
from cloudboot_virtio import Feature, GpuDriver, PciHost
from cloudboot_virtio.testing import ppm_pixels

pytestmark = pytest.mark.live

EXTENDED_DESKTOP_SIZE = -308


class Viewer:
    """As much of a VNC viewer as asks for a size (RFC 6143; SetDesktopSize is of the community's registry)."""

    def __init__(self, path: Path) -> None:
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(60)
        self.connection.connect(os.fspath(path))
        assert self.receive(12) == b"RFB 003.008\n"
        self.connection.sendall(b"RFB 003.008\n")
        (kinds,) = self.receive(1)
        assert 1 in self.receive(kinds)  # no authentication: the socket is a file of this user's
        self.connection.sendall(b"\x01")
        assert self.receive(4) == bytes(4)
        self.connection.sendall(b"\x01")  # shared
        self.size = struct.unpack(">HH", self.receive(4))
        self.receive(16)  # pixel format
        (length,) = struct.unpack(">I", self.receive(4))
        self.receive(length)
        self.connection.sendall(struct.pack(">BxHii", 2, 2, 0, EXTENDED_DESKTOP_SIZE))

    def close(self) -> None:
        self.connection.close()

    def receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self.connection.recv(size - len(data))
            assert part, "QEMU closed the connection"
            data += part
        return data

    def wish(self, width: int, height: int) -> None:
        self.connection.sendall(struct.pack(">BxHHBxIHHHHI", 251, width, height, 1, 0, 0, 0, width, height, 0))


@contextlib.contextmanager
def machine_with_display(architecture: str, folder: Path) -> Iterator[tuple[QtestMachine, Path]]:
    judge(ARCHITECTURES[architecture].program, ARCHITECTURES[architecture].program_package)
    path = folder / "vnc"
    with QtestMachine(
        ["virtio-gpu-pci,id=gpu0,addr=4,xres=1280,yres=800,packed=on"],
        architecture=architecture,
        extra=["-vnc", f"unix:{path},display=gpu0"],
    ) as machine:
        yield machine, path


@pytest.mark.parametrize("features", [0, Feature.RING_PACKED], ids=["split", "packed"])
@pytest.mark.parametrize("architecture", ["amd64", "arm64", "riscv64"])
def test_a_display_that_changes_its_size(architecture: str, features: int, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        machine, path = stack.enter_context(machine_with_display(architecture, tmp_path))
        gpu = GpuDriver(PciHost(machine).open(4), features=features)
        old = gpu.create(1280, 800)
        gpu.set_scanout(old)
        gpu.show(old)
        assert not gpu.resized()
        viewer = stack.enter_context(contextlib.closing(Viewer(path)))
        assert viewer.size == (1280, 800)
        for width, height in ((1024, 768), (640, 480), (1920, 1080)):
            viewer.wish(width, height)
            while not gpu.resized():
                time.sleep(0.01)
            assert not gpu.resized()  # the event was acknowledged
            (mode,) = gpu.modes()
            assert (mode.width, mode.height, mode.enabled) == (width, height, True)
            assert gpu.edid()[54 + 2] | (gpu.edid()[54 + 4] & 0xF0) << 4 == width  # the preferred timing
            new = gpu.create(mode.width, mode.height)
            new.pixels[:] = os.urandom(len(new.pixels))
            gpu.set_scanout(new)
            gpu.show(new)
            gpu.destroy(old)
            shown = bytearray(3 * width * height)
            shown[0::3], shown[1::3], shown[2::3] = new.pixels[2::4], new.pixels[1::4], new.pixels[0::4]
            assert ppm_pixels(machine.screendump("gpu0")) == (width, height, bytes(shown))
            old = new
        gpu.shut_down()
