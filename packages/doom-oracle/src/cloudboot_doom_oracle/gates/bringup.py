"""The devices come up one by one, before anything is played on them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Self

from cloudboot_base import GateFailedError, Stage

from .rig import RINGS, guarded, need_guest, ring_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

_SLOTS = {"gpu": (4, 16), "keyboard": (5, 18), "sound": (6, 25)}


class Bench:
    """A machine with the three devices."""

    def __init__(self, architecture: str, ring: str = "split") -> None:
        """Nothing runs before :meth:`host` is asked for. ``ring`` is the layout of the virtqueues."""
        self._architecture = architecture
        self._ring = ring
        self._resources = contextlib.ExitStack()
        self._host: Any = None

    @property
    def host(self) -> Any:
        """The machine's PCI bus; the machine is started the first time."""
        if self._host is None:
            need_guest()
            from cloudboot_qemu.qtest import QtestMachine
            from cloudboot_virtio import PciHost

            devices = [
                "virtio-gpu-pci,addr=4,xres=1280,yres=800",
                "virtio-keyboard-pci,addr=5",
                "virtio-sound-pci,addr=6,streams=1,audiodev=s0",
            ]
            devices = [device + RINGS[self._ring] for device in devices]
            machine = QtestMachine(devices, architecture=self._architecture, extra=["-audiodev", "none,id=s0"])
            self._host = PciHost(self._resources.enter_context(machine))
        return self._host

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._resources.close()


def find(bench: Bench) -> Mapping[str, object]:
    """The three devices answer on the PCI bus."""
    with guarded("the machine"):
        found = {function.slot: function.virtio_id for function in bench.host.scan()}
    missing = [name for name, (slot, device) in _SLOTS.items() if found.get(slot) != device]
    if missing:
        raise GateFailedError(f"not found: {', '.join(missing)}", evidence={"found": str(found)})
    return {name: f"slot {slot}" for name, (slot, _) in _SLOTS.items()}


def gpu(bench: Bench) -> Mapping[str, object]:
    """The display is up and says its size."""
    from cloudboot_virtio import GpuDriver

    with guarded("the gpu"):
        driver = GpuDriver(bench.host.open(4))
        mode = driver.modes()[0]
    return {"scanout": f"{mode.width}x{mode.height}", "enabled": mode.enabled, "ring": ring_of(driver)}


def sound(bench: Bench) -> Mapping[str, object]:
    """The sound card runs a stream at the game's rate."""
    from cloudboot_virtio import SoundDriver

    with guarded("the sound device"):
        output = SoundDriver(bench.host.open(6)).open_output(rate=11025, period=1260, periods=4)
        output.write(bytes(4 * 1260))
        output.close()
    return {"rate": 11025, "played": output.played}


def keyboard(bench: Bench) -> Mapping[str, object]:
    """The keyboard is up and has keys."""
    from cloudboot_virtio import InputDriver

    with guarded("the keyboard"):
        driver = InputDriver(bench.host.open(5))
        return {"name": driver.name, "keys": len(driver.codes(1))}


FIND_STAGE: Stage[Bench] = Stage("devices-found", "gpu, keyboard and sound card answer on the PCI bus.", find)
BRINGUP_STAGES: tuple[Stage[Bench], ...] = (
    Stage("gpu-up", "virtio-gpu is up and tells the size of its scanout.", gpu),
    Stage("sound-running", "virtio-sound plays a stream at 11,025 Hz and returns its buffers.", sound),
    Stage("input-up", "virtio-keyboard is up and lists its keys.", keyboard),
)
