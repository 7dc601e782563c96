"""Numbers of virtio 1.2: device ids, feature bits, status bits, ring flags."""

from __future__ import annotations

import enum
from typing import Final

PCI_VENDOR: Final = 0x1AF4
#: PCI device ids of modern devices are this plus the virtio device id (4.1.2).
PCI_MODERN_BASE: Final = 0x1040
#: PCI device ids of transitional devices (4.1.2.1); their virtio id is the PCI subsystem id.
PCI_TRANSITIONAL: Final = range(0x1000, 0x1040)


class DeviceId(enum.IntEnum):
    """Virtio device ids (section 5) of the devices this package drives."""

    NET = 1
    BLOCK = 2
    CONSOLE = 3
    RNG = 4
    GPU = 16
    INPUT = 18
    SOUND = 25


class Status(enum.IntFlag):
    """Bits of the device status field (2.1)."""

    ACKNOWLEDGE = 1
    DRIVER = 2
    DRIVER_OK = 4
    FEATURES_OK = 8
    NEEDS_RESET = 64
    FAILED = 128


class Feature(enum.IntFlag):
    """Reserved feature bits (section 6)."""

    INDIRECT_DESC = 1 << 28
    EVENT_IDX = 1 << 29
    VERSION_1 = 1 << 32
    ACCESS_PLATFORM = 1 << 33
    RING_PACKED = 1 << 34
    IN_ORDER = 1 << 35
    NOTIFICATION_DATA = 1 << 38
    RING_RESET = 1 << 40


#: What every driver here asks for unless it is told otherwise; a device grants what it offers of it.
RING_FEATURES: Final = (
    Feature.VERSION_1 | Feature.INDIRECT_DESC | Feature.EVENT_IDX | Feature.RING_PACKED | Feature.RING_RESET
)

#: Flags of a descriptor, split (2.7.5) and packed (2.8.13).
DESC_NEXT: Final = 1
DESC_WRITE: Final = 2
DESC_INDIRECT: Final = 4
DESC_AVAIL: Final = 1 << 7
DESC_USED: Final = 1 << 15

#: Available ring flag of the driver (2.7.6) and used ring flag of the device (2.7.8).
AVAIL_NO_INTERRUPT: Final = 1
USED_NO_NOTIFY: Final = 1

#: Event suppression of packed rings (2.8.10).
EVENT_ENABLE: Final = 0
EVENT_DISABLE: Final = 1
EVENT_DESC: Final = 2

MAX_SPLIT_SIZE: Final = 1 << 15
MAX_PACKED_SIZE: Final = 1 << 15
