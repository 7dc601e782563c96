"""A real OVMF in a machine of QEMU, its boot services called from here: the gates are the hosted firmware's.

The machine's screen shows the firmware's text console; its disk is the fetched buffer, served block by block. Without a
display for loaders that would draw their text there is no screen.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from cloudboot_qemu import QemuError
from cloudboot_uefi_host.live import LiveBoot

from .uefi import LoaderFirmware, LoaderSession, plan_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .context import Probe


class OvmfSession(LoaderSession):
    """The boot of one probe. Times are in seconds since power-on."""

    def __init__(self, probe: Probe) -> None:
        self.live = LiveBoot(plan_of(probe))
        super().__init__(probe, self.live)

    def facts(self) -> Mapping[str, object]:
        """The machine and its firmware."""
        firmware = self.live.live
        described = firmware.agent.qemu.description
        return {
            "machine": f"QEMU {firmware.agent.version}, {described.architecture}",
            "accelerator": described.accelerator,
            "memory": described.memory,
            "processors": described.processors,
            "firmware": str(described.firmware.executable),
            "firmware_description": f"{firmware.vendor}; its boot services are called from this process",
            "secure_boot": "off" if described.firmware.plain else "on",
            "tpm": "none",
        }

    def screenshot(self) -> bytes | None:
        """The screen as PNG; ``None`` where there is none."""
        with contextlib.suppress(QemuError):
            return self.live.live.screenshot()
        return None

    def logs(self) -> Mapping[str, bytes]:
        """The serial line too, where logs are kept: the firmware's own lines and those of programs."""
        kept = {"serial.log": self.live.live.serial().encode()} if self.probe.options.trace else {}
        return {**super().logs(), **kept}


class OvmfFirmware(LoaderFirmware):
    """OVMF, driven by cloudboot_uefi_host.live."""

    name = "ovmf"
    title = "OVMF in a QEMU machine, its boot services called from this process"
    ends = "the firmware is held by this process: it ends where the operating system takes the machine over"

    def begin(self, probe: Probe) -> LoaderSession:
        """Start the machine."""
        return OvmfSession(probe)


FIRMWARE = OvmfFirmware()
