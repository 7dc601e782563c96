"""One boot by a firmware in a machine, for the gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base import UsageError
from cloudboot_uefi_host.gates import BootPlan, FirmwareBoot

from .firmware import LiveFirmware

if TYPE_CHECKING:
    import cloudboot_qemu as qemu


class LiveBoot(FirmwareBoot):
    """One boot of a plan for amd64.

    Raises:
        UsageError: the plan is for another architecture.
        ProgramMissingError: QEMU is not installed.
        FirmwareMissingError: no firmware is installed.
        BackEndError: the firmware did not start the agent.
    """

    def __init__(self, plan: BootPlan, firmware: qemu.Firmware | None = None) -> None:
        if plan.architecture != "amd64":
            raise UsageError(f"a firmware for {plan.architecture} is not driven from outside", hint="amd64 is")
        self.live = LiveFirmware(memory=plan.memory, budget=plan.budget, firmware=firmware, display=plan.graphics)
        super().__init__(plan, self.live)
