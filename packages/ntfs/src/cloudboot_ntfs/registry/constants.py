"""Numbers of the registry that have names."""

from __future__ import annotations

import enum
from typing import Final

BASE_BLOCK_SIZE: Final = 4096
BIN_ALIGNMENT: Final = 4096
LOG_SECTOR: Final = 512
CELL_ALIGNMENT: Final = 8
NO_CELL: Final = 0xFFFFFFFF
#: Bytes of one segment of big data; data that is larger is stored in segments from version 1.4 on.
SEGMENT_SIZE: Final = 16344
#: Keys below one another that Windows makes at most.
MAX_DEPTH: Final = 512
#: UTF-16 code units in the name of a key, and of a value.
MAX_KEY_NAME: Final = 255
MAX_VALUE_NAME: Final = 16383
RESIDENT: Final = 0x80000000

FILE_TYPE_PRIMARY: Final = 0
FILE_TYPE_OLD_LOG: Final = (1, 2)
FILE_TYPE_NEW_LOG: Final = 6


class KeyFlag(enum.IntFlag, boundary=enum.KEEP):
    """Flags of a key node."""

    VOLATILE = 0x01
    HIVE_EXIT = 0x02
    HIVE_ENTRY = 0x04
    NO_DELETE = 0x08
    SYMBOLIC_LINK = 0x10
    COMPRESSED_NAME = 0x20
    PREDEFINED_HANDLE = 0x40


class ValueType(enum.IntEnum):
    """Types of values that have a name. A value keeps any other number."""

    REG_NONE = 0
    REG_SZ = 1
    REG_EXPAND_SZ = 2
    REG_BINARY = 3
    REG_DWORD = 4
    REG_DWORD_BIG_ENDIAN = 5
    REG_LINK = 6
    REG_MULTI_SZ = 7
    REG_RESOURCE_LIST = 8
    REG_FULL_RESOURCE_DESCRIPTOR = 9
    REG_RESOURCE_REQUIREMENTS_LIST = 10
    REG_QWORD = 11


def type_name(number: int) -> str:
    """``"REG_SZ"``, or the number in hexadecimal for a type without a name."""
    try:
        return ValueType(number).name
    except ValueError:
        return f"{number:#x}"
