"""Enumerations and flag bits of UEFI 2.10, PE/COFF and the TCG profile, under Python names.

An :class:`~cloudboot_records.OpenEnum` takes values the specification does not name.
"""

from __future__ import annotations

import enum
from typing import Final

from cloudboot_records import OpenEnum

PAGE_SIZE: Final = 4096
"""Bytes of a page, on every processor (UEFI 2.10 section 7.2)."""

SPECIFICATION_REVISION: Final = 2 << 16 | 100
"""``EFI_SPECIFICATION_VERSION`` of UEFI 2.10, the Revision of its tables (section 4.3)."""


class MemoryType(OpenEnum):
    """EFI_MEMORY_TYPE (UEFI 2.10 section 7.2.1); 0x70000000 and up belong to OEMs, 0x80000000 and up to loaders."""

    RESERVED = 0
    LOADER_CODE = 1
    LOADER_DATA = 2
    BOOT_SERVICES_CODE = 3
    BOOT_SERVICES_DATA = 4
    RUNTIME_SERVICES_CODE = 5
    RUNTIME_SERVICES_DATA = 6
    CONVENTIONAL = 7
    UNUSABLE = 8
    ACPI_RECLAIM = 9
    ACPI_NVS = 10
    MEMORY_MAPPED_IO = 11
    MEMORY_MAPPED_IO_PORT_SPACE = 12
    PAL_CODE = 13
    PERSISTENT = 14
    UNACCEPTED = 15


class MemoryAttribute(enum.IntFlag):
    """The Attribute bits of a memory descriptor (UEFI 2.10 section 7.2.3)."""

    UC = 0x1
    WC = 0x2
    WT = 0x4
    WB = 0x8
    UCE = 0x10
    WP = 0x1000
    RP = 0x2000
    XP = 0x4000
    NV = 0x8000
    MORE_RELIABLE = 0x10000
    RO = 0x20000
    SP = 0x40000
    CPU_CRYPTO = 0x80000
    ISA_VALID = 0x4000000000000000
    RUNTIME = 0x8000000000000000


class AllocateType(OpenEnum):
    """EFI_ALLOCATE_TYPE (UEFI 2.10 section 7.2.1)."""

    ANY_PAGES = 0
    MAX_ADDRESS = 1
    ADDRESS = 2


class Tpl(OpenEnum):
    """Task priority levels (UEFI 2.10 section 7.1.8)."""

    APPLICATION = 4
    CALLBACK = 8
    NOTIFY = 16
    HIGH_LEVEL = 31


class EventFlag(enum.IntFlag):
    """The Type bits of CreateEvent (UEFI 2.10 section 7.1.1)."""

    NOTIFY_WAIT = 0x100
    NOTIFY_SIGNAL = 0x200
    RUNTIME = 0x40000000
    TIMER = 0x80000000


EVT_SIGNAL_EXIT_BOOT_SERVICES: Final = 0x00000201
EVT_SIGNAL_VIRTUAL_ADDRESS_CHANGE: Final = 0x60000202


class TimerDelay(OpenEnum):
    """EFI_TIMER_DELAY (UEFI 2.10 section 7.1.7)."""

    CANCEL = 0
    PERIODIC = 1
    RELATIVE = 2


class LocateSearchType(OpenEnum):
    """EFI_LOCATE_SEARCH_TYPE (UEFI 2.10 section 7.3.15)."""

    ALL_HANDLES = 0
    BY_REGISTER_NOTIFY = 1
    BY_PROTOCOL = 2


class OpenProtocolAttribute(enum.IntFlag):
    """The Attributes of OpenProtocol (UEFI 2.10 section 7.3.9)."""

    BY_HANDLE_PROTOCOL = 0x1
    GET_PROTOCOL = 0x2
    TEST_PROTOCOL = 0x4
    BY_CHILD_CONTROLLER = 0x8
    BY_DRIVER = 0x10
    EXCLUSIVE = 0x20


class ResetType(OpenEnum):
    """EFI_RESET_TYPE (UEFI 2.10 section 8.5.1)."""

    COLD = 0
    WARM = 1
    SHUTDOWN = 2
    PLATFORM_SPECIFIC = 3


class VariableAttribute(enum.IntFlag):
    """The attributes of a variable (UEFI 2.10 section 8.2.1)."""

    NON_VOLATILE = 0x1
    BOOTSERVICE_ACCESS = 0x2
    RUNTIME_ACCESS = 0x4
    HARDWARE_ERROR_RECORD = 0x8
    AUTHENTICATED_WRITE_ACCESS = 0x10
    TIME_BASED_AUTHENTICATED_WRITE_ACCESS = 0x20
    APPEND_WRITE = 0x40
    ENHANCED_AUTHENTICATED_ACCESS = 0x80


class FileMode(enum.IntFlag):
    """The OpenMode of EFI_FILE_PROTOCOL.Open (UEFI 2.10 section 13.5)."""

    READ = 0x1
    WRITE = 0x2
    CREATE = 0x8000000000000000


class FileAttribute(enum.IntFlag):
    """The attributes of a file (UEFI 2.10 section 13.5)."""

    READ_ONLY = 0x1
    HIDDEN = 0x2
    SYSTEM = 0x4
    RESERVED = 0x8
    DIRECTORY = 0x10
    ARCHIVE = 0x20


class ScanCode(OpenEnum):
    """Scan codes of EFI_INPUT_KEY (UEFI 2.10 appendix B)."""

    NULL = 0x00
    UP = 0x01
    DOWN = 0x02
    RIGHT = 0x03
    LEFT = 0x04
    HOME = 0x05
    END = 0x06
    INSERT = 0x07
    DELETE = 0x08
    PAGE_UP = 0x09
    PAGE_DOWN = 0x0A
    F1 = 0x0B
    F2 = 0x0C
    F3 = 0x0D
    F4 = 0x0E
    F5 = 0x0F
    F6 = 0x10
    F7 = 0x11
    F8 = 0x12
    F9 = 0x13
    F10 = 0x14
    F11 = 0x15
    F12 = 0x16
    ESC = 0x17


class PixelFormat(OpenEnum):
    """EFI_GRAPHICS_PIXEL_FORMAT (UEFI 2.10 section 12.9)."""

    RED_GREEN_BLUE_RESERVED = 0
    BLUE_GREEN_RED_RESERVED = 1
    BIT_MASK = 2
    BLT_ONLY = 3


class BltOperation(OpenEnum):
    """EFI_GRAPHICS_OUTPUT_BLT_OPERATION (UEFI 2.10 section 12.9)."""

    VIDEO_FILL = 0
    VIDEO_TO_BLT_BUFFER = 1
    BUFFER_TO_VIDEO = 2
    VIDEO_TO_VIDEO = 3


class Machine(OpenEnum):
    """The Machine of a PE image (PE/COFF section 2.3.1, UEFI 2.10 section 2.1.1)."""

    I386 = 0x014C
    ARMTHUMB_MIXED = 0x01C2
    EBC = 0x0EBC
    RISCV32 = 0x5032
    RISCV64 = 0x5064
    RISCV128 = 0x5128
    LOONGARCH32 = 0x6232
    LOONGARCH64 = 0x6264
    AMD64 = 0x8664
    ARM64 = 0xAA64
    IA64 = 0x0200
    CHPE_X86 = 0x3A64
    ARM64EC = 0xA641
    ARM64X = 0xA64E

    @property
    def title(self) -> str:
        """What people call the processor, with the number."""
        return f"{_MACHINES.get(int(self), 'an unknown processor')} ({int(self):#06x})"


_MACHINES: Final[dict[int, str]] = {
    Machine.I386: "i386 (IA32)",
    Machine.ARMTHUMB_MIXED: "32-bit ARM",
    Machine.EBC: "EFI byte code",
    Machine.RISCV32: "riscv32",
    Machine.RISCV64: "riscv64",
    Machine.RISCV128: "riscv128",
    Machine.LOONGARCH32: "loong32",
    Machine.LOONGARCH64: "loong64",
    Machine.AMD64: "amd64",
    Machine.ARM64: "arm64",
    Machine.IA64: "Itanium",
    Machine.CHPE_X86: "x86 with code for arm64 (CHPE)",
    Machine.ARM64EC: "arm64 with the conventions of amd64 (ARM64EC)",
    Machine.ARM64X: "arm64 with code for amd64 (ARM64X)",
}


class Subsystem(OpenEnum):
    """The Subsystem of a PE image (PE/COFF section 2.4.2)."""

    UNKNOWN = 0
    NATIVE = 1
    WINDOWS_GUI = 2
    WINDOWS_CUI = 3
    EFI_APPLICATION = 10
    EFI_BOOT_SERVICE_DRIVER = 11
    EFI_RUNTIME_DRIVER = 12
    EFI_ROM = 13
    WINDOWS_BOOT_APPLICATION = 16


class SectionFlag(enum.IntFlag):
    """Characteristics of a PE section that a UEFI loader reads (PE/COFF section 3.1)."""

    CODE = 0x20
    INITIALIZED_DATA = 0x40
    UNINITIALIZED_DATA = 0x80
    DISCARDABLE = 0x02000000
    EXECUTE = 0x20000000
    READ = 0x40000000
    WRITE = 0x80000000


class CertificateType(OpenEnum):
    """wCertificateType (UEFI 2.10 section 32.2.4)."""

    PKCS_SIGNED_DATA = 0x0002
    EFI_PKCS115 = 0x0EF0
    EFI_GUID = 0x0EF1


class ImageExecutionAction(OpenEnum):
    """The low bits of EFI_IMAGE_EXECUTION_ACTION: what a firmware found of an image (UEFI 2.10 section 32.4.2)."""

    AUTH_UNTESTED = 0
    AUTH_SIG_FAILED = 1
    AUTH_SIG_PASSED = 2
    AUTH_SIG_NOT_FOUND = 3
    AUTH_SIG_FOUND = 4
    POLICY_FAILED = 5


class HashAlgorithm(OpenEnum):
    """TPM_ALG_ID of the digests in event logs (TCG Algorithm Registry)."""

    SHA1 = 0x0004
    SHA256 = 0x000B
    SHA384 = 0x000C
    SHA512 = 0x000D
    SM3_256 = 0x0012
    SHA3_256 = 0x0027
    SHA3_384 = 0x0028
    SHA3_512 = 0x0029


class EventType(OpenEnum):
    """Event types of a TCG event log (TCG PFP 1.05 section 10.4.1)."""

    PREBOOT_CERT = 0x00
    POST_CODE = 0x01
    UNUSED = 0x02
    NO_ACTION = 0x03
    SEPARATOR = 0x04
    ACTION = 0x05
    EVENT_TAG = 0x06
    S_CRTM_CONTENTS = 0x07
    S_CRTM_VERSION = 0x08
    CPU_MICROCODE = 0x09
    PLATFORM_CONFIG_FLAGS = 0x0A
    TABLE_OF_DEVICES = 0x0B
    COMPACT_HASH = 0x0C
    IPL = 0x0D
    IPL_PARTITION_DATA = 0x0E
    NONHOST_CODE = 0x0F
    NONHOST_CONFIG = 0x10
    NONHOST_INFO = 0x11
    OMIT_BOOT_DEVICE_EVENTS = 0x12
    EFI_VARIABLE_DRIVER_CONFIG = 0x80000001
    EFI_VARIABLE_BOOT = 0x80000002
    EFI_BOOT_SERVICES_APPLICATION = 0x80000003
    EFI_BOOT_SERVICES_DRIVER = 0x80000004
    EFI_RUNTIME_SERVICES_DRIVER = 0x80000005
    EFI_GPT_EVENT = 0x80000006
    EFI_ACTION = 0x80000007
    EFI_PLATFORM_FIRMWARE_BLOB = 0x80000008
    EFI_HANDOFF_TABLES = 0x80000009
    EFI_PLATFORM_FIRMWARE_BLOB2 = 0x8000000A
    EFI_HANDOFF_TABLES2 = 0x8000000B
    EFI_VARIABLE_BOOT2 = 0x8000000C
    EFI_GPT_EVENT2 = 0x8000000D
    EFI_HCRTM_EVENT = 0x80000010
    EFI_VARIABLE_AUTHORITY = 0x800000E0
    EFI_SPDM_FIRMWARE_BLOB = 0x800000E1
    EFI_SPDM_FIRMWARE_CONFIG = 0x800000E2

    @property
    def tcg_name(self) -> str:
        """The profile's name, ``"EV_SEPARATOR"``, or the value in hexadecimal."""
        return f"EV_{self.name}" if self.known else f"{int(self):#010x}"
