"""Run an image, and say how the run ended."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudboot_uefi_abi.status import status_name

from .core.control import AwaitingInput, BootServicesExited, ExpectedTextSeen, MachineReset, RunEnded

if TYPE_CHECKING:
    from .core.host import BootHost
    from .core.images import Image


class Ending(enum.StrEnum):
    """How a run ended."""

    RETURNED = "returned"
    RESET = "reset"
    BOOT_SERVICES_EXITED = "boot-services-exited"
    AWAITING_INPUT = "awaiting-input"
    TEXT_SEEN = "text-seen"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a run. ``status`` is what the image returned or gave to ResetSystem, ``data`` its exit data."""

    ending: Ending
    status: int | None = None
    data: str = ""

    def __str__(self) -> str:
        return f"{self.ending}" + ("" if self.status is None else f" {status_name(self.status)}")


def start(firmware: BootHost, image: Image) -> Outcome:
    """Start an image and wait for the end of the run.

    Raises:
        GuestError: the program failed.
        BudgetUsedError: the machine's budget is used up.
    """
    try:
        with firmware.machine.limits():
            status, data = firmware.images.start(image)
    except RunEnded as ended:
        return _outcome(ended)
    return Outcome(Ending.RETURNED, status, data)


def _outcome(ended: RunEnded) -> Outcome:
    if isinstance(ended, MachineReset):
        return Outcome(Ending.RESET, ended.status, ended.data.decode("utf-16-le", "replace").rstrip("\0"))
    if isinstance(ended, BootServicesExited):
        return Outcome(Ending.BOOT_SERVICES_EXITED)
    if isinstance(ended, AwaitingInput):
        return Outcome(Ending.AWAITING_INPUT)
    if isinstance(ended, ExpectedTextSeen):
        return Outcome(Ending.TEXT_SEEN)
    raise ended
