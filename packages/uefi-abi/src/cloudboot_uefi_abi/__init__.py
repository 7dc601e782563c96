"""The binary interface of UEFI 2.10 as data and codecs, without I/O.

What is exported here is the data; each codec is a module or package of its own, imported by the program that uses it:

- :mod:`.status`, :mod:`.guids`, :mod:`.constants`: status codes, names, enumerations;
- :mod:`.tables`, :mod:`.protocols`: members, offsets and prototypes; :mod:`.declarations` is what they are made of;
- :mod:`.conventions`: the calling conventions of the four 64-bit processors;
- :mod:`.layout.records`: the fixed records that tables and protocols point to;
- :mod:`.information`: times, memory maps, file information;
- :mod:`.device_path`: device paths between bytes and text;
- :mod:`.load_option`, :mod:`.variables`: load options, variable stores, signature lists, what the boot manager reads;
- :mod:`.pe`: PE32+ images;
- :mod:`.eventlog`: TCG event logs and their replay to PCRs.
"""

from .conventions import CONVENTIONS, CallingConvention
from .declarations import Argument, Direction, Kind, Member, Prototype, Structure, Type
from .guids import GUIDS, guid_name, named_guid
from .protocols import PROTOCOLS, PROTOCOLS_BY_GUID
from .status import Status, is_error, status_name, status_text
from .tables import EFI_BOOT_SERVICES, EFI_CONFIGURATION_TABLE, EFI_RUNTIME_SERVICES, EFI_SYSTEM_TABLE

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
    "Direction",
    "Kind",
    "Member",
    "Prototype",
    "Status",
    "Structure",
    "Type",
    "guid_name",
    "is_error",
    "named_guid",
    "status_name",
    "status_text",
]
