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
from .launch import usable_accelerator
from .machine import Machine
from .trace import BlockAccess
from .transcript import Expected, Line, Transcript

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "BlockAccess",
    "Drive",
    "ExpectTimeoutError",
    "Expected",
    "Firmware",
    "FirmwareMissingError",
    "ImageError",
    "Line",
    "Machine",
    "MachineEndedError",
    "MachineFailedError",
    "ProgramMissingError",
    "QemuError",
    "QmpError",
    "Transcript",
    "find_firmware",
    "list_firmware",
    "usable_accelerator",
]
