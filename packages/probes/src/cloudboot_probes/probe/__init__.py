"""Boot an image and prove each step: the stages of a probe over one context.

registry -> verified bytes in one sealed buffer -> table and file systems checked -> the same buffer is a machine's disk
-> firmware, loader, kernel and the kernel's own file-system driver, each watched from outside.
"""

from .boot import Boot, Session
from .context import Probe, ProbeOptions
from .firmware import BOOT_GATES, FIRMWARE, IMAGE_GATES, Firmware, default_firmware, firmwares_named
from .record import Header, Outcome, Record, Recorder
from .stages import stages

__all__ = [
    "BOOT_GATES",
    "FIRMWARE",
    "IMAGE_GATES",
    "Boot",
    "Firmware",
    "Header",
    "Outcome",
    "Probe",
    "ProbeOptions",
    "Record",
    "Recorder",
    "Session",
    "default_firmware",
    "firmwares_named",
    "stages",
]
