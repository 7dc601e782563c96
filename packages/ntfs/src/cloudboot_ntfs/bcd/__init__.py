"""Windows boot configurations (BCD): create, read, change, re-point. Nothing here needs a file system.

:func:`create` makes a store from a template; :meth:`Store.open` reads one; :func:`show` prints it like bcdedit.
"""

from .devices import BootDevice, Device, FileDevice, GptDevice, LocateDevice, MbrDevice, RamDiskDevice, UnknownDevice
from .elements import OBJECTS, ObjectType
from .store import BcdObject, Store
from .templates import TEMPLATES, BcdOptions, create
from .text import show

__all__ = [
    "OBJECTS",
    "TEMPLATES",
    "BcdObject",
    "BcdOptions",
    "BootDevice",
    "Device",
    "FileDevice",
    "GptDevice",
    "LocateDevice",
    "MbrDevice",
    "ObjectType",
    "RamDiskDevice",
    "Store",
    "UnknownDevice",
    "create",
    "show",
]
