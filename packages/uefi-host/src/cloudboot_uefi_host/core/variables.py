"""UEFI variables, kept in memory (UEFI 2.10 section 8.2)."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cloudboot_uefi_abi.device_path import DevicePath
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.load_option import LoadOption
from cloudboot_uefi_abi.status import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_uefi_host.memory import GuestMemory
    from cloudboot_uefi_host.trace import Trace

NON_VOLATILE, BOOTSERVICE_ACCESS, RUNTIME_ACCESS, APPEND_WRITE = 0x1, 0x2, 0x4, 0x40
_AUTHENTICATED: Final = 0x10 | 0x20 | 0x80
_KNOWN: Final = NON_VOLATILE | BOOTSERVICE_ACCESS | RUNTIME_ACCESS | APPEND_WRITE
_VOLATILE: Final = BOOTSERVICE_ACCESS | RUNTIME_ACCESS
_KEPT: Final = NON_VOLATILE | BOOTSERVICE_ACCESS | RUNTIME_ACCESS
_OPTION: Final = 1
"""The number of the boot option."""
_STORE_SIZE: Final = 256 << 10
_MAX_SIZE: Final = 64 << 10
GLOBAL: Final = GUIDS["EFI_GLOBAL_VARIABLE"].bytes_le
_KEPT_NAMES: Final = re.compile(
    r"(PlatformRecovery|OsRecovery|SysPrep|Driver|Boot|Key)[0-9A-F]{4}|(Boot|Driver|SysPrep|OsRecovery)Order|BootNext"
    r"|Timeout|PlatformLang|Lang|ConIn|ConOut|ErrOut|OsIndications|HwErrRecSupport"
)
"""The variables of the specification that programs may write; they are non-volatile (section 3.3)."""
_FIXED_NAMES: Final = frozenset(
    {
        "LangCodes", "PlatformLangCodes", "ConInDev", "ConOutDev", "ErrOutDev", "BootOptionSupport",
        "SetupMode", "SecureBoot", "SignatureSupport", "OsIndicationsSupported", "VendorKeys", "AuditMode",
        "DeployedMode",
    }
)  # fmt: skip
"""Those that only the firmware writes."""
_SIZES: Final = {"Timeout": 2, "BootNext": 2, "BootCurrent": 2, "OsIndications": 8, "HwErrRecSupport": 2}


def _is_no_combination(attributes: int) -> bool:
    """Whether no variable has these attributes: kept, but for nobody; or only for the time after boot services."""
    is_late_only = bool(attributes & RUNTIME_ACCESS) and not attributes & BOOTSERVICE_ACCESS
    return is_late_only or attributes == NON_VOLATILE


def _check_global(key: tuple[bytes, str], attributes: int, size: int) -> int | None:
    """Why a variable with the specification's GUID cannot be set; ``None`` for others, and where nothing is wrong.

    The GUID is not for anybody else's variables (section 3.3); the answers are EDK2's.
    """
    vendor, name = key
    if vendor != GLOBAL:
        return None
    if name in _FIXED_NAMES:
        return Status.WRITE_PROTECTED
    if not size or not attributes:
        return None  # it is deleted
    wanted = _VOLATILE if name == "BootCurrent" else _KEPT if _KEPT_NAMES.fullmatch(name) else None
    return None if attributes == wanted and size == _SIZES.get(name, size) else Status.INVALID_PARAMETER


@dataclass(slots=True)
class Variable:
    """The attributes and the data of one variable."""

    attributes: int
    data: bytes


class Variables:
    """The variables of one machine by vendor GUID (16 bytes) and name, in the order of their creation.

    Authenticated variables are refused (EFI_UNSUPPORTED): this firmware has no keys to check signatures with.
    """

    def __init__(self, memory: GuestMemory, trace: Trace) -> None:
        self._memory, self._trace = memory, trace
        self._variables: dict[tuple[bytes, str], Variable] = {}
        self.at_runtime = False
        self.set_boot_defaults()

    def set_boot_defaults(self) -> None:
        """What a firmware without Secure Boot reports (section 3.3 has the attributes)."""
        for name, data, attributes in (
            ("SecureBoot", b"\0", _VOLATILE),
            ("SetupMode", b"\1", _VOLATILE),
            ("PlatformLang", b"en\0", _KEPT),
            ("PlatformLangCodes", b"en\0", _VOLATILE),
            ("VendorKeys", b"\1", _VOLATILE),
            ("OsIndicationsSupported", bytes(8), _VOLATILE),
            ("BootOptionSupport", bytes(4), _VOLATILE),
            ("Timeout", bytes(2), _KEPT),
        ):
            self.put(name, data, attributes=attributes)

    def set_console(self, path: bytes) -> None:
        """Name the device path of the console, which is the only one for each purpose."""
        for name in ("ConIn", "ConOut", "ErrOut"):
            self.put(name, path, attributes=_KEPT)
            self.put(f"{name}Dev", path, attributes=_VOLATILE)

    def set_boot_option(self, path: bytes, description: str = "cloudboot") -> None:
        """Name the device path of the loader that is booted, as the only boot option; ``path`` has its end node."""
        option = LoadOption(description, (DevicePath.parse(path),)).pack()
        self.put(f"Boot{_OPTION:04X}", option, attributes=_KEPT)
        self.put("BootOrder", struct.pack("<H", _OPTION), attributes=_KEPT)
        self.put("BootCurrent", struct.pack("<H", _OPTION), attributes=_VOLATILE)

    def put(self, name: str, data: bytes, *, vendor: bytes = GLOBAL, attributes: int = 7) -> None:
        """Set a variable from Python."""
        self._variables[vendor, name] = Variable(attributes, data)

    def get(self, name: str, vendor: bytes = GLOBAL) -> Variable | None:
        """A variable."""
        return self._variables.get((vendor, name))

    def items(self) -> Iterator[tuple[bytes, str, Variable]]:
        """Vendor GUID, name and variable, in the order of creation."""
        for (vendor, name), variable in self._variables.items():
            yield vendor, name, variable

    def _visible(self, variable: Variable) -> bool:
        return not self.at_runtime or bool(variable.attributes & RUNTIME_ACCESS)

    # Services

    def get_variable(self, name: int, vendor: int, attributes: int, size: int, data: int) -> int:
        """GetVariable."""
        memory = self._memory
        if not name or not vendor or not size:
            return Status.INVALID_PARAMETER
        key = memory.read(vendor, 16), memory.text(name)
        found = self._variables.get(key)
        if found is None or not self._visible(found):
            self._trace.missing[f"variable {key[1]}"] += 1
            return Status.NOT_FOUND
        room = memory.u64(size)
        memory.put64(size, len(found.data))
        if attributes:
            memory.put32(attributes, found.attributes)
        if room < len(found.data):
            return Status.BUFFER_TOO_SMALL
        if not data:
            return Status.INVALID_PARAMETER
        memory.write(data, found.data)
        return Status.SUCCESS

    def get_next_variable_name(self, size: int, name: int, vendor: int) -> int:
        """GetNextVariableName."""
        memory = self._memory
        if not size or not name or not vendor:
            return Status.INVALID_PARAMETER
        current = memory.text(name)
        keys = [key for key, variable in self._variables.items() if self._visible(variable)]
        position = 0
        if current:
            key = memory.read(vendor, 16), current
            if key not in keys:
                return Status.INVALID_PARAMETER
            position = keys.index(key) + 1
        if position >= len(keys):
            return Status.NOT_FOUND
        encoded = keys[position][1].encode("utf-16-le", "surrogatepass") + b"\0\0"
        room = memory.u64(size)
        memory.put64(size, len(encoded))
        if room < len(encoded):
            return Status.BUFFER_TOO_SMALL
        memory.write(name, encoded)
        memory.write(vendor, keys[position][0])
        return Status.SUCCESS

    def set_variable(self, name: int, vendor: int, attributes: int, size: int, data: int) -> int:
        """SetVariable."""
        memory = self._memory
        if not name or not vendor:
            return Status.INVALID_PARAMETER
        key = memory.read(vendor, 16), memory.text(name)
        if not key[1] or attributes & ~(_KNOWN | _AUTHENTICATED):
            return Status.INVALID_PARAMETER
        if size and not data:
            return Status.INVALID_PARAMETER
        if attributes & _AUTHENTICATED:
            return Status.UNSUPPORTED
        if _is_no_combination(attributes):
            return Status.INVALID_PARAMETER
        if (wrong := _check_global(key, attributes & ~APPEND_WRITE, size)) is not None:
            return wrong
        found = self._variables.get(key)
        if self.at_runtime and not attributes & RUNTIME_ACCESS:
            return Status.INVALID_PARAMETER
        if self.at_runtime and not attributes & NON_VOLATILE:  # as EDK2 answers where the variable is new
            return Status.INVALID_PARAMETER if found is None else Status.WRITE_PROTECTED
        appends = bool(attributes & APPEND_WRITE)
        attributes &= ~APPEND_WRITE
        if (size == 0 and not appends) or not attributes & (BOOTSERVICE_ACCESS | RUNTIME_ACCESS):
            return Status.NOT_FOUND if self._variables.pop(key, None) is None else Status.SUCCESS
        if found is not None and found.attributes != attributes:
            return Status.INVALID_PARAMETER
        if size > _MAX_SIZE or self._used() + size > _STORE_SIZE:
            return Status.OUT_OF_RESOURCES
        content = memory.read(data, size)
        if appends and found is not None:
            content = found.data + content
        if content or found is not None:
            self._variables[key] = Variable(attributes, content)
        return Status.SUCCESS

    def query_variable_info(self, attributes: int, maximum: int, remaining: int, largest: int) -> int:
        """QueryVariableInfo."""
        if not maximum or not remaining or not largest or not attributes or _is_no_combination(attributes):
            return Status.INVALID_PARAMETER
        self._memory.put64(maximum, _STORE_SIZE)
        self._memory.put64(remaining, max(0, _STORE_SIZE - self._used()))
        self._memory.put64(largest, _MAX_SIZE)
        return Status.SUCCESS

    def _used(self) -> int:
        return sum(len(variable.data) + 2 * len(key[1]) + 60 for key, variable in self._variables.items())
