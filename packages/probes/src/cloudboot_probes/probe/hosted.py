"""The UEFI in this process as a firmware of probes: real loaders run in it, nothing else is installed."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from cloudboot_qemu.picture import png_of_ppm
from cloudboot_uefi_host.gates import HostedBoot

from . import kernel
from .uefi import LoaderFirmware, LoaderSession, plan_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .context import Probe


class HostedSession(LoaderSession):
    """The boot of one probe. Times are virtual: seconds of the machine's own clock since power-on."""

    def __init__(self, probe: Probe) -> None:
        self.hosted = HostedBoot(plan_of(probe))
        super().__init__(probe, self.hosted)

    def facts(self) -> Mapping[str, object]:
        """The machine and its firmware."""
        firmware = self.hosted.firmware
        machine, state = firmware.machine, firmware.variables.get("SecureBoot")
        return {
            "machine": f"{machine.processor.name}, {machine.architecture.name}, in this process",
            "memory": machine.memory.size,
            "processors": 1,
            "firmware": "cloudboot UEFI 2.10",
            "secure_boot": "on" if state is not None and state.data == b"\1" else "off",
            "tpm": "TCG2" if firmware.with_protocol("EFI_TCG2_PROTOCOL") else "none",
        }

    def screenshot(self) -> bytes | None:
        """The screen as PNG; ``None`` where there is none, and while nothing has been drawn."""
        if self.hosted.graphics is None:
            return None
        pixels = self.hosted.graphics.pixels()
        if zlib.crc32(pixels) == zlib.crc32(bytes(len(pixels))):
            return None
        return png_of_ppm(self.hosted.graphics.screenshot())


#: The gates of a kernel that comes without a disk; the others do not apply to it.
_KERNEL: Mapping[str, Callable[[Probe], Mapping[str, object]]] = {
    "load-image": kernel.load_image,
    "start-image": kernel.start_image,
}
#: What passing proves where that is another thing with a kernel that comes without a disk.
_CLAIMS = {
    "load-image": "LoadImage takes the loader by its device path, a kernel of its own from memory: a PE32+ image for "
    "this processor, relocated.\n\nLeaves open: Signatures, unless the firmware has keys of Secure Boot.",
    "start-image": "StartImage hands over to the loader, and the loader's own calls print text before it comes back; a "
    "kernel of its own loads its initial RAM disk and calls ExitBootServices.\n\nLeaves open: What the text says.",
}


class HostedFirmware(LoaderFirmware):
    """The firmware of cloudboot_uefi_host. It starts kernels as well that are artifacts without a disk."""

    name = "hosted"
    title = "a UEFI in this process"
    ends = "the firmware in this process runs loaders: it ends where the operating system takes the machine over"

    def begin(self, probe: Probe) -> LoaderSession:
        """Make the machine."""
        return HostedSession(probe)

    def claim(self, name: str) -> str:
        """What passing a gate proves."""
        return _CLAIMS.get(name) or super().claim(name)

    def run(self, name: str, probe: Probe) -> Mapping[str, object]:
        """Run a gate."""
        return super().run(name, probe) if probe.kernel_layers is None else _KERNEL[name](probe)

    def not_applicable(self, name: str, probe: Probe) -> str | None:
        """Why a gate does not apply to what is probed; ``None`` if it does."""
        if probe.kernel_layers is None:
            return super().not_applicable(name, probe)
        if name == "loader-banner":
            return kernel.NO_LOADER
        return None if name in _KERNEL else kernel.NOT_A_DISK


FIRMWARE = HostedFirmware()
