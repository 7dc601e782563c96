"""QEMU machines with UEFI firmware: QMP, serial console with expect, screenshots, in-memory disks, block traces."""

from .architectures import ARCHITECTURES, Architecture
from .drives import Drive
from .errors import (
    ExpectTimeoutError,
    FirmwareMissingError,
    ImageError,
    MachineEndedError,
    MachineFailedError,
    ProgramMissingError,
    QemuError,
    QmpError,
)
from .firmware import Firmware, find_firmware, list_firmware
from .launch import MAX_MEMORY, usable_accelerator
from .machine import Machine
from .memory import GuestMemory
from .processor import Sample
from .trace import BlockAccess, Negotiation, StatusChange, negotiations
from .transcript import Expected, Line, Transcript

__all__ = [
    "ARCHITECTURES",
    "MAX_MEMORY",
    "Architecture",
    "BlockAccess",
    "Drive",
    "ExpectTimeoutError",
    "Expected",
    "Firmware",
    "FirmwareMissingError",
    "GuestMemory",
    "ImageError",
    "Line",
    "Machine",
    "MachineEndedError",
    "MachineFailedError",
    "Negotiation",
    "ProgramMissingError",
    "QemuError",
    "QmpError",
    "Sample",
    "StatusChange",
    "Transcript",
    "find_firmware",
    "list_firmware",
    "negotiations",
    "usable_accelerator",
]
