"""A real firmware in a machine of QEMU, its boot services called from Python and its callbacks served by Python.

:class:`LiveFirmware` fulfils the protocol that the firmware in this process fulfils, so the same publishers and the
same gates run on both. The firmware is not modified: an agent, which it starts as a removable disk's loader, gives the
debugger a place to call services from, and everything else is calls, callbacks and breakpoints.
"""

from .boot import LiveBoot
from .firmware import DEFAULT_MEMORY, LiveFirmware

__all__ = ["DEFAULT_MEMORY", "LiveBoot", "LiveFirmware"]
