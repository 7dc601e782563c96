"""A variable's data as one line of text, where the specification says what they are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from cloudboot_base import Error
from cloudboot_uefi_abi.device_path import DevicePath
from cloudboot_uefi_abi.guids import GUIDS, guid_name
from cloudboot_uefi_abi.load_option import KeyOption, LoadOption

from .boot import boot_order
from .signatures import parse_signature_lists

if TYPE_CHECKING:
    from collections.abc import Callable

    from .variable import Variable

__all__ = ["describe"]

_DUMPED: Final = 32


def _numbers(data: bytes) -> str:
    return ",".join(f"{number:04X}" for number in boot_order(data))


def _load_option(data: bytes) -> str:
    option = LoadOption.parse(data)
    mark = "*" if option.active else " "
    paths = " ".join(str(path) for path in option.paths)
    text = option.optional_text
    rest = f" {text!r}" if text else f" data {option.optional_data.hex()}" if option.optional_data else ""
    return f"{mark} {option.description!r} {paths}{rest}"


def _key_option(data: bytes) -> str:
    key = KeyOption.parse(data)
    keys = " ".join(f"{scan:#x}/{character:#x}" for scan, character in key.keys)
    return f"Boot{key.option:04X} on {keys}"


def _signature_lists(data: bytes) -> str:
    lists = parse_signature_lists(data)
    texts = (f"{len(each.signatures)} of {guid_name(each.type) or each.type}" for each in lists)
    return ", ".join(texts) or "empty"


def _path(data: bytes) -> str:
    return str(DevicePath.parse(data))


def _unsigned(data: bytes) -> str:
    return str(int.from_bytes(data, "little"))


def _ascii(data: bytes) -> str:
    return repr(data.rstrip(b"\0").decode("ascii"))


_GLOBAL: Final[tuple[tuple[str, Callable[[bytes], str]], ...]] = (
    (r"(Boot|Driver|SysPrep|PlatformRecovery)[0-9A-F]{4}", _load_option),
    (r"Key[0-9A-F]{4}", _key_option),
    (r"(Boot|Driver|SysPrep)Order|BootNext|BootCurrent", _numbers),
    (r"(Con|Err)(In|Out)(Dev)?", _path),
    (r"Timeout|SecureBoot|SetupMode|AuditMode|DeployedMode|VendorKeys|OsIndications(Supported)?", _unsigned),
    (r"PlatformLang(Codes)?|Lang(Codes)?", _ascii),
    (r"PK|KEK|(PK|KEK|db|dbx|dbt|dbr)Default", _signature_lists),
)
_SHIM: Final[tuple[tuple[str, Callable[[bytes], str]], ...]] = (
    (r"MokListX?(RT)?", _signature_lists),
    (r"SbatLevel(RT)?", _ascii),
    (r"(MokListTrusted|MokSBState|MokDBState)(RT)?", _unsigned),
)
_SECURITY: Final = re.compile(r"db|dbx|dbt|dbr")


def describe(variable: Variable) -> str:
    """The data as text: options, orders, device paths, signature lists, numbers; otherwise the first bytes.

    Data that are not what the variable should hold are shown as bytes, with the reason.
    """
    data = variable.data
    dump = f"{len(data)} bytes {data[:_DUMPED].hex()}{'...' if len(data) > _DUMPED else ''}"
    read: Callable[[bytes], str] | None = None
    kinds = _GLOBAL if variable.is_global else _SHIM if variable.vendor == GUIDS["SHIM_LOCK"] else ()
    if kinds:
        read = next((function for pattern, function in kinds if re.fullmatch(pattern, variable.name)), None)
    elif variable.vendor == GUIDS["EFI_IMAGE_SECURITY_DATABASE"] and _SECURITY.fullmatch(variable.name):
        read = _signature_lists
    if read is None:
        return dump
    try:
        return read(data)
    except (Error, UnicodeDecodeError) as error:
        return f"{dump} ({error})"
