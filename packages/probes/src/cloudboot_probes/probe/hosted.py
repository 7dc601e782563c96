"""The UEFI in this process as a firmware of probes: real loaders run in it, nothing else is installed."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from cloudboot_qemu.picture import png_of_ppm
from cloudboot_uefi_host.gates import HostedBoot

from .uefi import LoaderFirmware, LoaderSession, plan_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .context import Probe


class HostedSession(LoaderSession):
    """The boot of one probe. Times are virtual: seconds of the machine's own clock since power-on."""

    def __init__(self, probe: Probe) -> None:
        self.hosted = HostedBoot(plan_of(probe))
        super().__init__(probe, self.hosted)

    def facts(self) -> Mapping[str, object]:
        """The machine and its firmware."""
        machine = self.hosted.firmware.machine
        return {
            "machine": f"{machine.processor.name}, {machine.architecture.name}, in this process",
            "memory": machine.memory.size,
            "processors": 1,
            "firmware": "cloudboot UEFI 2.10",
        }

    def screenshot(self) -> bytes | None:
        """The screen as PNG; ``None`` where there is none, and while nothing has been drawn."""
        if self.hosted.graphics is None:
            return None
        pixels = self.hosted.graphics.pixels()
        if zlib.crc32(pixels) == zlib.crc32(bytes(len(pixels))):
            return None
        return png_of_ppm(self.hosted.graphics.screenshot())


FIRMWARE = LoaderFirmware(
    "hosted",
    "a UEFI in this process",
    "the firmware in this process runs loaders: it ends where the operating system takes the machine over",
    HostedSession,
)
