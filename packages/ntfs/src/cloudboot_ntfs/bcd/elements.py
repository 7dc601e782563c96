"""Names of objects and elements, as bcdedit uses them (geoffchappell.com, "BCD Elements" and "BCD Objects")."""

from __future__ import annotations

import enum
from typing import Final
from uuid import UUID


class Format(enum.IntEnum):
    """How the value of an element is stored: bits 24 to 27 of its number."""

    DEVICE = 1
    STRING = 2
    OBJECT = 3
    OBJECT_LIST = 4
    INTEGER = 5
    BOOLEAN = 6
    INTEGER_LIST = 7


class ObjectType(enum.IntEnum):
    """Types of objects that have a name. A store keeps any other number."""

    FIRMWARE_BOOT_MANAGER = 0x10100001
    BOOT_MANAGER = 0x10100002
    OS_LOADER = 0x10200003
    RESUME = 0x10200004
    MEMORY_TESTER = 0x10200005
    NTLDR = 0x10300006
    SETUPLDR = 0x10300007
    BOOT_SECTOR = 0x10400008
    STARTUP = 0x10400009
    BOOT_APPLICATION = 0x1020000A
    INHERITABLE = 0x20100000
    INHERITABLE_OS_LOADER = 0x20200003
    INHERITABLE_RESUME = 0x20200004
    DEVICE_OPTIONS = 0x30000000


OBJECTS: Final = {
    name: UUID(text)
    for name, text in {
        "bootmgr": "9dea862c-5cdd-4e70-acc1-f32b344d4795",
        "fwbootmgr": "a5a30fa2-3d06-4e9f-b5f4-a01df9d1fcba",
        "memdiag": "b2721d73-1db4-4c62-bf78-c548a880142d",
        "ntldr": "466f5a88-0af2-4f76-9038-095b170dc21c",
        "ramdiskoptions": "ae5534e0-a924-466c-b836-758539a3ee3a",
        "badmemory": "5189b25c-5558-4bf2-bca4-289b11bd29e2",
        "bootloadersettings": "6efb52bf-1766-41db-a6b3-0ee5eff72bd7",
        "current": "fa926493-6f1c-4193-a414-58f0b2456d1e",
        "dbgsettings": "4636856e-540f-4170-a130-a84776f4c654",
        "default": "1cae1eb7-a0df-4d4d-9851-4860e34ef535",
        "emssettings": "0ce4991b-e6b3-4b16-b23c-5e0d9250e5d9",
        "globalsettings": "7ea2e1ac-2e61-4728-aaa3-896d9d0a9f0e",
        "hypervisorsettings": "7ff607e0-4395-11db-b0de-0800200c9a66",
        "kerneldbgsettings": "313e8eed-7098-4586-a9bf-309c61f8d449",
        "resumeloadersettings": "1afa9c49-16ab-4a5c-901b-212802da9460",
    }.items()
}
OBJECT_NAMES: Final = {guid: name for name, guid in OBJECTS.items()}

_LIBRARY: Final = {
    0x11000001: "device", 0x12000002: "path", 0x12000004: "description", 0x12000005: "locale", 0x14000006: "inherit",
    0x15000007: "truncatememory", 0x14000008: "recoverysequence", 0x16000009: "recoveryenabled",
    0x1700000A: "badmemorylist", 0x1600000B: "badmemoryaccess", 0x1500000C: "firstmegabytepolicy",
    0x1500000D: "relocatephysical", 0x1500000E: "avoidlowmemory", 0x1600000F: "traditionalkseg",
    0x16000010: "bootdebug", 0x15000011: "debugtype", 0x15000012: "debugaddress", 0x15000013: "debugport",
    0x15000014: "baudrate", 0x15000015: "channel", 0x12000016: "targetname", 0x16000017: "noumex",
    0x15000018: "debugstart", 0x12000019: "busparams", 0x1500001A: "hostip", 0x1500001B: "port", 0x1600001C: "dhcp",
    0x1200001D: "key", 0x1600001E: "vm", 0x16000020: "bootems", 0x15000022: "emsport", 0x15000023: "emsbaudrate",
    0x12000030: "loadoptions", 0x16000040: "advancedoptions", 0x16000041: "optionsedit",
    0x15000042: "keyringaddress", 0x11000043: "bootstatdevice", 0x12000044: "bootstatfilepath",
    0x16000045: "preservebootstat", 0x16000046: "graphicsmodedisabled", 0x15000047: "configaccesspolicy",
    0x16000048: "nointegritychecks", 0x16000049: "testsigning", 0x1200004A: "fontpath",
    0x1500004B: "integrityservices", 0x1500004C: "volumebandid", 0x16000050: "extendedinput",
    0x15000051: "initialconsoleinput", 0x15000052: "graphicsresolution", 0x16000053: "restartonfailure",
    0x16000054: "highestmode", 0x16000060: "isolatedcontext", 0x15000065: "displaymessage",
    0x15000066: "displaymessageoverride", 0x16000067: "nobootuxlogo", 0x16000068: "nobootuxtext",
    0x16000069: "nobootuxprogress", 0x1600006A: "nobootuxfade", 0x1600006C: "bootuxdisabled",
    0x17000077: "allowedinmemorysettings", 0x15000079: "bootuxtransitiontime", 0x1600007A: "mobilegraphics",
    0x1600007B: "forcefipscrypto", 0x1500007D: "booterrorux", 0x1600007E: "flightsigning",
    0x1500007F: "measuredbootlogformat", 0x15000080: "displayrotation", 0x15000081: "logcontrol",
    0x16000082: "nofirmwaresync", 0x11000084: "windowssyspart", 0x16000087: "numlock",
}  # fmt: skip

_BOOT_MANAGER: Final = {
    0x24000001: "displayorder", 0x24000002: "bootsequence", 0x23000003: "default", 0x25000004: "timeout",
    0x26000005: "resume", 0x23000006: "resumeobject", 0x24000007: "startupsequence", 0x24000010: "toolsdisplayorder",
    0x26000020: "displaybootmenu", 0x26000021: "noerrordisplay", 0x21000022: "bcddevice", 0x22000023: "bcdfilepath",
    0x26000024: "hormenabled", 0x26000025: "hiberboot", 0x22000026: "passwordoverride",
    0x22000027: "pinpassphraseoverride", 0x26000028: "processcustomactionsfirst", 0x27000030: "customactions",
    0x26000031: "persistbootsequence", 0x26000032: "skipstartupsequence",
}  # fmt: skip

_OS_LOADER: Final = {
    0x21000001: "osdevice", 0x22000002: "systemroot", 0x23000003: "resumeobject", 0x26000004: "stampdisks",
    0x26000010: "detecthal", 0x22000011: "kernel", 0x22000012: "hal", 0x22000013: "dbgtransport", 0x25000020: "nx",
    0x25000021: "pae", 0x26000022: "winpe", 0x26000024: "nocrashautoreboot", 0x26000025: "lastknowngood",
    0x26000026: "oslnointegritychecks", 0x26000027: "osltestsigning", 0x26000030: "nolowmem",
    0x25000031: "removememory", 0x25000032: "increaseuserva", 0x25000033: "perfmem", 0x26000040: "vga",
    0x26000041: "quietboot", 0x26000042: "novesa", 0x26000043: "novga", 0x25000050: "clustermodeaddressing",
    0x26000051: "usephysicaldestination", 0x25000052: "restrictapiccluster", 0x22000053: "evstore",
    0x26000054: "uselegacyapicmode", 0x26000060: "onecpu", 0x25000061: "numproc", 0x26000062: "maxproc",
    0x25000063: "configflags", 0x26000064: "maxgroup", 0x26000065: "groupaware", 0x25000066: "groupsize",
    0x26000070: "usefirmwarepcisettings", 0x25000071: "msi", 0x25000072: "pciexpress", 0x25000080: "safeboot",
    0x26000081: "safebootalternateshell", 0x26000090: "bootlog", 0x26000091: "sos", 0x260000A0: "debug",
    0x260000A1: "halbreakpoint", 0x260000A2: "useplatformclock", 0x260000A3: "forcelegacyplatform",
    0x260000A4: "useplatformtick", 0x260000A5: "disabledynamictick", 0x250000A6: "tscsyncpolicy", 0x260000B0: "ems",
    0x250000C0: "forcefailure", 0x250000C1: "driverloadfailurepolicy", 0x250000C2: "bootmenupolicy",
    0x260000C3: "onetimeadvancedoptions", 0x260000C4: "onetimeoptionsedit", 0x250000E0: "bootstatuspolicy",
    0x260000E1: "disableelamdrivers", 0x250000F0: "hypervisorlaunchtype", 0x220000F1: "hypervisorpath",
    0x260000F2: "hypervisordebug", 0x250000F3: "hypervisordebugtype", 0x250000F4: "hypervisordebugport",
    0x250000F5: "hypervisorbaudrate", 0x250000F6: "hypervisorchannel", 0x250000F7: "bootux",
    0x220000F9: "hypervisorbusparams", 0x250000FA: "hypervisornumproc", 0x250000FB: "hypervisorrootprocpernode",
    0x260000FC: "hypervisoruselargevtlb", 0x250000FD: "hypervisorhostip", 0x250000FE: "hypervisorhostport",
    0x25000100: "tpmbootentropy", 0x22000110: "hypervisorusekey", 0x25000120: "xsavepolicy",
    0x25000130: "claimedtpmcounter",
}  # fmt: skip

_RESUME: Final = {
    0x21000001: "filedevice", 0x22000002: "filepath", 0x26000003: "customsettings", 0x26000004: "pae",
    0x21000005: "associatedosdevice", 0x26000006: "debugoptionenabled", 0x25000007: "bootux",
    0x25000008: "bootmenupolicy", 0x26000024: "hormenabled",
}  # fmt: skip

_MEMORY_TESTER: Final = {0x25000001: "passcount", 0x25000002: "testmix", 0x25000003: "failurecount"}
_NTLDR: Final = {0x22000001: "bpbstring"}
_DEVICE: Final = {
    0x35000001: "ramdiskimageoffset", 0x35000002: "ramdisktftpclientport", 0x31000003: "ramdisksdidevice",
    0x32000004: "ramdisksdipath", 0x35000005: "ramdiskimagelength", 0x36000006: "ramdiskexportascd",
    0x35000007: "ramdisktftpblocksize", 0x35000008: "ramdisktftpwindowsize", 0x36000009: "ramdiskmulticastenabled",
    0x3600000A: "ramdiskmctftpfallback", 0x3600000B: "ramdisktftpvarwindow",
}  # fmt: skip
_HIDDEN: Final = {
    0x45000001: "devicetype", 0x42000002: "applicationrelativepath", 0x42000003: "ramdiskdevicerelativepath",
    0x46000004: "omitosloaderelements", 0x46000010: "recoveryos",
}  # fmt: skip
_SHARED: Final = _LIBRARY | _DEVICE | _HIDDEN

#: The names of the elements of an application (the low 20 bits of an object's type).
_APPLICATIONS: Final = {
    1: _BOOT_MANAGER, 2: _BOOT_MANAGER, 3: _OS_LOADER, 4: _RESUME, 5: _MEMORY_TESTER, 6: _NTLDR
}  # fmt: skip

#: Integers that bcdedit shows by name.
CHOICES: Final = {
    "nx": ("OptIn", "OptOut", "AlwaysOff", "AlwaysOn"),
    "pae": ("Default", "ForceEnable", "ForceDisable"),
    "bootmenupolicy": ("Legacy", "Standard"),
    "hypervisorlaunchtype": ("Off", "Auto"),
    "bootstatuspolicy": ("DisplayAllFailures", "IgnoreAllFailures", "IgnoreShutdownFailures", "IgnoreBootFailures"),
    "debugtype": ("Serial", "1394", "USB", "Net", "Local"),
    "hypervisordebugtype": ("Serial", "1394", "None", "Net"),
    "safeboot": ("Minimal", "Network", "DsRepair"),
    "bootux": ("Disabled", "Basic", "Standard"),
}


def element_name(element: int, object_type: int) -> str:
    """The name of an element of an object of that type; ``custom:21000001`` where there is none."""
    names = _APPLICATIONS.get(object_type & 0xFFFFF, {})
    return names.get(element) or _SHARED.get(element) or f"custom:{element:08x}"


def element_number(name: str, object_type: int) -> int | None:
    """The number of an element by its name, by ``custom:21000001``, or by its eight digits; else ``None``."""
    text = name.casefold().removeprefix("custom:").removeprefix("0x")
    if len(text) == 8 and all(digit in "0123456789abcdef" for digit in text):
        return int(text, 16)
    for names in (_APPLICATIONS.get(object_type & 0xFFFFF, {}), _SHARED):
        for number, known in names.items():
            if known == text:
                return number
    return None


def format_of(element: int) -> int:
    """How the value of an element is stored; one of :class:`Format`, if it is known."""
    return element >> 24 & 0xF


def format_name(kind: int) -> str:
    """``"object list"`` for a format that has a name; the bytes of any other are written as ``hex:...``."""
    try:
        return Format(kind).name.lower().replace("_", " ")
    except ValueError:
        return "hex:..."


_TITLES: Final = {
    ObjectType.FIRMWARE_BOOT_MANAGER: "Firmware Boot Manager", ObjectType.BOOT_MANAGER: "Windows Boot Manager",
    ObjectType.OS_LOADER: "Windows Boot Loader", ObjectType.RESUME: "Resume from Hibernate",
    ObjectType.MEMORY_TESTER: "Windows Memory Tester", ObjectType.NTLDR: "Windows Legacy OS Loader",
    ObjectType.BOOT_SECTOR: "Real-mode Boot Sector", ObjectType.DEVICE_OPTIONS: "Device options",
}  # fmt: skip
_SETTINGS: Final = {
    "badmemory": "RAM Defects", "dbgsettings": "Debugger Settings", "emssettings": "EMS Settings",
    "globalsettings": "Global Settings", "bootloadersettings": "Boot Loader Settings",
    "hypervisorsettings": "Hypervisor Settings", "resumeloadersettings": "Resume Loader Settings",
    "kerneldbgsettings": "Kernel Debugger Settings", "ramdiskoptions": "Setup Ramdisk Options",
}  # fmt: skip


def title(guid: UUID, object_type: int | None) -> str:
    """The heading that bcdedit puts over an object; one of our own where the object has no type."""
    if object_type is None:
        return "Object without a type"
    known = _SETTINGS.get(OBJECT_NAMES.get(guid, ""))
    if known is not None:
        return known
    return _TITLES.get(object_type, f"Object {object_type:#010x}")  # type: ignore[call-overload, no-any-return]  # an IntEnum member equals its number
