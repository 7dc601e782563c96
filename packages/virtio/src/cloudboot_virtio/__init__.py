"""virtio in Python: drivers, split and packed rings, virtio-pci, and the device side of a ring.

- :mod:`.ring`: virtqueues whose chains belong to the device until it returns them or is reset;
- :mod:`.pci`: modern virtio-pci over a :class:`.Bus`;
- :mod:`.drivers`: gpu, sound, input, block, net, rng, console;
- :mod:`.device`: the device side of a ring;
- :mod:`.recording`: what crossed a queue, in a file, and its replay;
- :mod:`.testing`: a device in this process that is late, out of order, short or hostile.
"""

from .bus import Bus
from .drivers import (
    BlockDriver,
    BlockInfo,
    ConsoleDriver,
    ConsolePort,
    Framebuffer,
    GpuDriver,
    InputDriver,
    InputEvent,
    Mode,
    NetDriver,
    PcmInfo,
    PcmOutput,
    RngDriver,
    SoundDriver,
)
from .drivers.base import Driver
from .errors import (
    CommandError,
    CompletionTimeoutError,
    DeviceBrokenError,
    DmaMemoryError,
    DriverBrokenError,
    NeedsResetError,
    NegotiationError,
    OwnershipError,
    RecordingError,
    RingFullError,
    TransportError,
    VirtioError,
)
from .layout.constants import RING_FEATURES, DeviceId, Feature, Status
from .memory import DmaMemory, Region
from .pci import PciFunction, PciHost, PciTransport
from .ring import Chain, Completion, InFlight, Virtqueue
from .transport import Transport

__all__ = [
    "RING_FEATURES",
    "BlockDriver",
    "BlockInfo",
    "Bus",
    "Chain",
    "CommandError",
    "Completion",
    "CompletionTimeoutError",
    "ConsoleDriver",
    "ConsolePort",
    "DeviceBrokenError",
    "DeviceId",
    "DmaMemory",
    "DmaMemoryError",
    "Driver",
    "DriverBrokenError",
    "Feature",
    "Framebuffer",
    "GpuDriver",
    "InFlight",
    "InputDriver",
    "InputEvent",
    "Mode",
    "NeedsResetError",
    "NegotiationError",
    "NetDriver",
    "OwnershipError",
    "PciFunction",
    "PciHost",
    "PciTransport",
    "PcmInfo",
    "PcmOutput",
    "RecordingError",
    "Region",
    "RingFullError",
    "RngDriver",
    "SoundDriver",
    "Status",
    "Transport",
    "TransportError",
    "VirtioError",
    "Virtqueue",
]
