"""What the variables of the specification may hold (UEFI 2.10 section 3.3), as EDK2 checks it when they are written."""

from __future__ import annotations

import re
from typing import Final

from cloudboot_base import FormatError
from cloudboot_uefi_abi.device_path import DevicePath
from cloudboot_uefi_abi.load_option import LoadOption

_LOAD_OPTION: Final = re.compile(r"(SysPrep|Driver|Boot)[0-9A-F]{4}")
_KEY: Final = re.compile(r"Key[0-9A-F]{4}")
_ORDERS: Final = frozenset({"BootOrder", "DriverOrder", "SysPrepOrder"})
_PATHS: Final = frozenset({"ConIn", "ConOut", "ErrOut"})
_TEXTS: Final = frozenset({"Lang", "PlatformLang"})
_SIZES: Final = {"Timeout": 2, "BootNext": 2, "BootCurrent": 2, "OsIndications": 8, "HwErrRecSupport": 2}
_KEY_SIZES: Final = frozenset({10, 14, 18, 22})
"""Bytes of EFI_KEY_OPTION with no keys to three."""


def is_valid(name: str, data: bytes) -> bool:
    """Whether a variable with the specification's GUID may hold ``data``, which are not empty."""
    if name in _SIZES:
        return len(data) == _SIZES[name]
    if name in _ORDERS:
        return len(data) % 2 == 0
    if name in _TEXTS:
        return b"\0" in data
    if _KEY.fullmatch(name):
        return len(data) in _KEY_SIZES
    try:
        if name in _PATHS:
            DevicePath.parse_prefix(data)
        elif _LOAD_OPTION.fullmatch(name):
            return bool(LoadOption.parse(data).paths)
    except FormatError:
        return False
    return True
