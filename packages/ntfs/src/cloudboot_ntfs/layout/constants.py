"""Numbers of NTFS that have names."""

from __future__ import annotations

import enum
from typing import Final

SECTOR: Final = 512
"""Bytes that one element of an update sequence array protects, whatever the sector size (linux-ntfs, "Fixup")."""

END_OF_ATTRIBUTES: Final = 0xFFFFFFFF
MAX_NAME: Final = 255
MAX_CLUSTER: Final = 1 << 21
REFERENCE_MASK: Final = (1 << 48) - 1


class Type(enum.IntEnum):
    """Types of attributes."""

    STANDARD_INFORMATION = 0x10
    ATTRIBUTE_LIST = 0x20
    FILE_NAME = 0x30
    OBJECT_ID = 0x40
    SECURITY_DESCRIPTOR = 0x50
    VOLUME_NAME = 0x60
    VOLUME_INFORMATION = 0x70
    DATA = 0x80
    INDEX_ROOT = 0x90
    INDEX_ALLOCATION = 0xA0
    BITMAP = 0xB0
    REPARSE_POINT = 0xC0
    EA_INFORMATION = 0xD0
    EA = 0xE0
    LOGGED_UTILITY_STREAM = 0x100


class Number(enum.IntEnum):
    """Records of the files that a volume consists of."""

    MFT = 0
    MFT_MIRR = 1
    LOG_FILE = 2
    VOLUME = 3
    ATTR_DEF = 4
    ROOT = 5
    BITMAP = 6
    BOOT = 7
    BAD_CLUS = 8
    SECURE = 9
    UP_CASE = 10
    EXTEND = 11
    QUOTA = 24
    OBJ_ID = 25
    REPARSE = 26


#: Records below are those of the volume itself, or kept for it.
FIRST_USER_RECORD: Final = 24
FIRST_FREE_RECORD: Final = 27


class RecordFlag(enum.IntFlag, boundary=enum.KEEP):
    """Flags of an MFT record."""

    IN_USE = 0x1
    DIRECTORY = 0x2
    EXTEND = 0x4
    VIEW_INDEX = 0x8


class AttributeFlag(enum.IntFlag, boundary=enum.KEEP):
    """Flags of an attribute."""

    COMPRESSED = 0x0001
    ENCRYPTED = 0x4000
    SPARSE = 0x8000


class FileAttribute(enum.IntFlag, boundary=enum.KEEP):
    """File attributes of Windows (MS-FSCC 2.6), and two that only $FILE_NAME has."""

    READONLY = 0x1
    HIDDEN = 0x2
    SYSTEM = 0x4
    ARCHIVE = 0x20
    NORMAL = 0x80
    SPARSE = 0x200
    REPARSE_POINT = 0x400
    COMPRESSED = 0x800
    OFFLINE = 0x1000
    NOT_INDEXED = 0x2000
    ENCRYPTED = 0x4000
    RECALL_ON_OPEN = 0x40000
    RECALL_ON_DATA_ACCESS = 0x400000
    DIRECTORY = 0x10000000
    VIEW_INDEX = 0x20000000


class Namespace(enum.IntEnum):
    """Kinds of names."""

    POSIX = 0
    WIN32 = 1
    DOS = 2
    WIN32_AND_DOS = 3


class Collation(enum.IntEnum):
    """Orders of index keys."""

    BINARY = 0x00
    FILE_NAME = 0x01
    ULONG = 0x10
    SID = 0x11
    SECURITY_HASH = 0x12
    ULONGS = 0x13


INDEX_HAS_CHILDREN: Final = 1
ENTRY_HAS_CHILD: Final = 1
ENTRY_IS_LAST: Final = 2

VOLUME_DIRTY: Final = 0x0001

TAG_SYMLINK: Final = 0xA000000C
TAG_MOUNT_POINT: Final = 0xA0000003
TAG_LX_SYMLINK: Final = 0xA000001D
TAG_WOF: Final = 0x80000017
TAG_SIS: Final = 0x80000007
TAG_DEDUP: Final = 0x80000013

#: Every file of the volume, and $Extend's, by record: name, and whether it stands in $Extend.
SYSTEM_NAMES: Final = {
    Number.MFT: "$MFT", Number.MFT_MIRR: "$MFTMirr", Number.LOG_FILE: "$LogFile", Number.VOLUME: "$Volume",
    Number.ATTR_DEF: "$AttrDef", Number.ROOT: ".", Number.BITMAP: "$Bitmap", Number.BOOT: "$Boot",
    Number.BAD_CLUS: "$BadClus", Number.SECURE: "$Secure", Number.UP_CASE: "$UpCase", Number.EXTEND: "$Extend",
}  # fmt: skip
EXTEND_NAMES: Final = {Number.QUOTA: "$Quota", Number.OBJ_ID: "$ObjId", Number.REPARSE: "$Reparse"}


def reference(number: int, sequence: int) -> int:
    """The reference of a record: its number, and the sequence number that tells its lives apart."""
    return sequence << 48 | number
