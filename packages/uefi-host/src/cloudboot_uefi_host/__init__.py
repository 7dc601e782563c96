"""A UEFI firmware in this process: real PE32+ boot loaders run in it, and every service call leaves evidence.

:class:`Firmware` is the machine; :func:`publish_block_io` gives it a disk; :func:`start` runs an image.
"""

from .core.access import Access
from .core.host import BootHost, Host
from .core.images import Image
from .core.keys import Key, Typed
from .cpu.create import available
from .errors import (
    BackEndError,
    BackEndMissingError,
    BudgetUsedError,
    GuestError,
    GuestFaultError,
    GuestImageError,
    GuestPointerError,
    HostError,
    Report,
    ServiceError,
)
from .firmware import Firmware
from .machine import Budget
from .paths import boot_path, file_path, file_systems_below, vendor_path
from .protocols.block_io import BlockDevice, Read, publish_block_io, unpublish_block_io
from .protocols.file_system import publish_file_system
from .run import Ending, Outcome, start
from .trace import CallRecord, Trace
from .volumes import FatVolume, VfsVolume, Volume, VolumeEntry

__all__ = [
    "Access",
    "BackEndError",
    "BackEndMissingError",
    "BlockDevice",
    "BootHost",
    "Budget",
    "BudgetUsedError",
    "CallRecord",
    "Ending",
    "FatVolume",
    "Firmware",
    "GuestError",
    "GuestFaultError",
    "GuestImageError",
    "GuestPointerError",
    "Host",
    "HostError",
    "Image",
    "Key",
    "Outcome",
    "Read",
    "Report",
    "ServiceError",
    "Trace",
    "Typed",
    "VfsVolume",
    "Volume",
    "VolumeEntry",
    "available",
    "boot_path",
    "file_path",
    "file_systems_below",
    "publish_block_io",
    "publish_file_system",
    "start",
    "unpublish_block_io",
    "vendor_path",
]
