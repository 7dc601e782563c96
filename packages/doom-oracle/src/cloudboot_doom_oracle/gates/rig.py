"""A machine without a guest whose screen, sound card and keyboard the engine uses."""

from __future__ import annotations

import contextlib
import os
import struct
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from cloudboot_base import MissingDependencyError
from cloudboot_doom_oracle.audio.mixer import RATE
from cloudboot_doom_oracle.errors import GuestError
from cloudboot_doom_oracle.keys import BY_EVDEV
from cloudboot_doom_oracle.oracle.files import read_ppm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from numpy.typing import NDArray

    from cloudboot_doom_oracle.script import KeyEvent
    from cloudboot_virtio import Driver

SCREEN: Final = (1280, 800)
CANVAS_X, CANVAS_Y, CANVAS_WIDTH, CANVAS_HEIGHT = 480, 300, 320, 200
_KEY_SECONDS: Final = 10.0
_PERIOD: Final = 1260  # bytes: one tic of stereo S16
_TAIL: Final = 16 * 1024 * 4  # bytes of silence, so that what was sent is played before the stream stops
_EV_KEY: Final = 1
RINGS: Final = {"split": "", "packed": ",packed=on"}
"""What a device of QEMU is told for each layout of its virtqueues."""

try:  # the extra [guest]
    from cloudboot_qemu import QemuError
    from cloudboot_qemu.qtest import QtestMachine
    from cloudboot_virtio import Feature, GpuDriver, InputDriver, PciHost, SoundDriver, VirtioError
except ImportError:  # pragma: no cover -- the wheel session installs all extras
    HAVE_GUEST = False
else:
    HAVE_GUEST = True


def ring_of(driver: Driver) -> str:
    """The layout of virtqueues that a driver negotiated."""
    return "packed" if driver.features & Feature.RING_PACKED else "split"


def need_guest() -> None:
    """Raise unless the extra is installed.

    Raises:
        MissingDependencyError: cloudboot-virtio or cloudboot-qemu is missing.
    """
    if not HAVE_GUEST:
        raise MissingDependencyError(
            "cloudboot-virtio and cloudboot-qemu are not installed", hint="pip install 'cloudboot-doom-oracle[guest]'"
        )


class ScreenRig:
    """virtio-gpu and virtio-keyboard. ``flushes`` counts frames that were shown."""

    def __init__(self, architecture: str = "amd64", ring: str = "split") -> None:
        """Start the machine and bring the devices up, with virtqueues of the layout ``ring``.

        Raises:
            MissingDependencyError: the extra [guest] is not installed.
            GuestError: the machine or a device does not start.
        """
        need_guest()
        self._resources = contextlib.ExitStack()
        width, height = SCREEN
        with guarded("the machine"), contextlib.ExitStack() as stack:
            devices = [f"virtio-gpu-pci,id=gpu0,addr=4,xres={width},yres={height}", "virtio-keyboard-pci,addr=5"]
            devices = [device + RINGS[ring] for device in devices]
            self.machine = stack.enter_context(QtestMachine(devices, architecture=architecture))
            host = PciHost(self.machine)
            self.gpu = GpuDriver(host.open(4))
            self.keyboard = InputDriver(host.open(5))
            self.mode = self.gpu.modes()[0]
            self._screen = self.gpu.create(width, height)
            self.gpu.set_scanout(self._screen)
            self.gpu.show(self._screen)
            pixels = np.frombuffer(self._screen.pixels, np.uint8).reshape(height, width, 4)
            self._canvas = pixels[CANVAS_Y : CANVAS_Y + CANVAS_HEIGHT, CANVAS_X : CANVAS_X + CANVAS_WIDTH]
            self._memory = host.memory
            self._resources = stack.pop_all()
        #: The layout that was negotiated.
        self.ring = ring_of(self.gpu)
        self.flushes = 0
        self.keys_sent: list[tuple[int, int, bool]] = []
        self.keys_received: list[tuple[int, int, bool]] = []

    @property
    def allocations(self) -> int:
        """DMA allocations so far: constant in a steady state."""
        return self._memory.allocations

    def show(self, rgb: NDArray[np.uint8]) -> None:
        """Draw a frame on the canvas and wait for the fence of its flush.

        Raises:
            GuestError: the device refused, or did not answer.
        """
        self._canvas[:, :, :3] = rgb[:, :, ::-1]
        with guarded("the gpu"):
            self.gpu.flush(self._screen, CANVAS_X, CANVAS_Y, CANVAS_WIDTH, CANVAS_HEIGHT)
        self.flushes += 1

    def look(self) -> tuple[NDArray[np.uint8], bool]:
        """What the display shows on the canvas, and whether all around it is black.

        Raises:
            GuestError: QEMU took no picture.
        """
        with guarded("the screendump"):
            picture = read_ppm(self.machine.screendump("gpu0"), "screendump").copy()
        part = (slice(CANVAS_Y, CANVAS_Y + CANVAS_HEIGHT), slice(CANVAS_X, CANVAS_X + CANVAS_WIDTH))
        canvas = picture[part].copy()
        picture[part] = 0
        return canvas, not picture.any()

    def press(self, event: KeyEvent) -> tuple[bool, int]:
        """Send a key with QMP, and take it from virtio-keyboard: down or up, and DOOM's code.

        Raises:
            GuestError: it does not arrive, or another one does.
        """
        key = {"type": "key", "data": {"down": event.down, "key": {"type": "qcode", "data": event.key.qcode}}}
        with guarded("the keyboard"):
            self.machine.qmp("input-send-event", {"events": [key]})
            report = self.keyboard.wait_report(_KEY_SECONDS)
        self.keys_sent.append((event.tic, event.key.evdev, event.down))
        arrived = [entry for entry in report if entry.type == _EV_KEY]
        if len(arrived) != 1 or arrived[0].code not in BY_EVDEV:
            raise GuestError(f"{event.key.qcode} at tic {event.tic} arrived as {[tuple(entry) for entry in report]}")
        received = arrived[0]
        self.keys_received.append((event.tic, received.code, bool(received.value)))
        return bool(received.value), BY_EVDEV[received.code].doom

    def close(self) -> None:
        """End the machine."""
        self._resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def play_through_sound(samples: bytes, architecture: str = "amd64", ring: str = "split") -> bytes:
    """Play stereo S16 samples at 11,025 Hz through virtio-sound; the file that QEMU's wav back end wrote.

    Virtual time runs as fast as the host can (icount), so that this takes a fraction of the sound's duration.

    Raises:
        MissingDependencyError: the extra [guest] is not installed.
        GuestError: the machine or the device failed.
    """
    need_guest()
    capture = os.memfd_create("capture")
    try:
        with guarded("the sound device"):
            extra = [
                *(
                    "-audiodev",
                    f"wav,id=s0,path=/proc/self/fd/{capture},out.frequency={RATE},out.channels=2,out.format=s16",
                ),
                *("-icount", "shift=7,sleep=off"),
            ]
            devices = ["virtio-sound-pci,streams=1,audiodev=s0,addr=4" + RINGS[ring]]
            with QtestMachine(devices, architecture=architecture, extra=extra, descriptors=[capture]) as machine:
                sound = SoundDriver(PciHost(machine).open(4), timeout=30.0)
                output = sound.open_output(rate=RATE, channels=2, format="s16", period=_PERIOD)
                output.write(samples)
                output.write(bytes(_TAIL))
                output.close()
                machine.quit()
        size = os.fstat(capture).st_size
        return b"".join(_chunks(capture, size))
    finally:
        os.close(capture)


def _chunks(fd: int, size: int) -> list[bytes]:
    return [os.pread(fd, 1 << 20, at) for at in range(0, size, 1 << 20)]


def wav_body(data: bytes) -> bytes:
    """The samples of what QEMU's wav back end wrote.

    Raises:
        GuestError: there is no WAV file.
    """
    if len(data) < 44 or data[:4] != b"RIFF":
        raise GuestError("QEMU wrote no WAV file")
    channels, rate = struct.unpack_from("<HI", data, 22)
    if (channels, rate) != (2, RATE):
        raise GuestError(f"QEMU wrote {channels} channels at {rate} Hz")
    return data[44:]


@contextlib.contextmanager
def guarded(part: str) -> Iterator[None]:
    """Errors of machine and drivers become :class:`.GuestError`, with their cause."""
    try:
        yield
    except (VirtioError, QemuError) as error:
        raise GuestError(f"{part}: {error}", hint=error.hint) from error
