"""The binary interface of UEFI 2.10 as data and codecs, without I/O.

- :mod:`.status`, :mod:`.guids`, :mod:`.constants`: status codes, names, enumerations;
- :mod:`.tables`, :mod:`.protocols`: members, offsets and prototypes; :mod:`.declarations` is what they are made of;
- :mod:`.layout.records`: the fixed records those point to; :mod:`.information`: times, memory maps, file information;
- :mod:`.conventions`: the calling conventions of the four 64-bit processors;
- :mod:`.device_path`: device paths between bytes and text;
- :mod:`.load_option`, :mod:`.variables`: load options, variable stores, signature lists, what the boot manager reads;
- :mod:`.pe`: PE32+ images;
- :mod:`.eventlog`: TCG event logs and their replay to PCRs.
"""

from .conventions import CONVENTIONS, CallingConvention
from .declarations import Argument, Direction, Kind, Member, Prototype, Structure, Type
from .device_path import DevicePath
from .eventlog import EventLog, EventLogBuilder, replay
from .guids import GUIDS, guid_name, named_guid
from .load_option import LoadOption
from .pe import PEImage
from .protocols import PROTOCOLS, PROTOCOLS_BY_GUID
from .status import Status, is_error, status_name, status_text
from .tables import EFI_BOOT_SERVICES, EFI_CONFIGURATION_TABLE, EFI_RUNTIME_SERVICES, EFI_SYSTEM_TABLE
from .variables import Variable, VariableStore

__all__ = [
    "CONVENTIONS",
    "EFI_BOOT_SERVICES",
    "EFI_CONFIGURATION_TABLE",
    "EFI_RUNTIME_SERVICES",
    "EFI_SYSTEM_TABLE",
    "GUIDS",
    "PROTOCOLS",
    "PROTOCOLS_BY_GUID",
    "Argument",
    "CallingConvention",
    "DevicePath",
    "Direction",
    "EventLog",
    "EventLogBuilder",
    "Kind",
    "LoadOption",
    "Member",
    "PEImage",
    "Prototype",
    "Status",
    "Structure",
    "Type",
    "Variable",
    "VariableStore",
    "guid_name",
    "is_error",
    "named_guid",
    "replay",
    "status_name",
    "status_text",
]
