"""UEFI variables, kept in memory (UEFI 2.10 section 8.2)."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Final

from cloudboot_uefi_abi.device_path import DevicePath
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.load_option import LoadOption
from cloudboot_uefi_abi.status import Status
from cloudboot_uefi_abi.variables import pack_signature_lists

from .authenticated import (
    IMAGE_SECURITY,
    KEK,
    KEY_ATTRIBUTES,
    KEYS,
    PK,
    Authentication,
    modes,
    moment,
    parse_write,
    without_duplicates,
)
from .image_verification import refusal
from .variable import (
    APPEND_WRITE,
    AUTHENTICATED,
    BOOTSERVICE_ACCESS,
    COUNT_AUTHENTICATED,
    ENHANCED,
    GLOBAL,
    NON_VOLATILE,
    RUNTIME_ACCESS,
    Variable,
)
from .variable_contents import is_valid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cloudboot_uefi_abi.layout.records import EFI_TIME
    from cloudboot_uefi_abi.variables import SignatureList
    from cloudboot_uefi_abi.variables import Variable as StoredVariable
    from cloudboot_uefi_host.memory import GuestMemory
    from cloudboot_uefi_host.trace import Trace

    from .image_verification import Refusal
    from .variable import Key

_KNOWN: Final = NON_VOLATILE | BOOTSERVICE_ACCESS | RUNTIME_ACCESS | APPEND_WRITE | AUTHENTICATED
_OTHERS_AUTHENTICATED: Final = COUNT_AUTHENTICATED | ENHANCED
_VOLATILE: Final = BOOTSERVICE_ACCESS | RUNTIME_ACCESS
_KEPT: Final = NON_VOLATILE | BOOTSERVICE_ACCESS | RUNTIME_ACCESS
_SIGNATURES: Final = b"".join(GUIDS[f"EFI_CERT_{name}"].bytes_le for name in ("SHA1", "SHA256", "RSA2048", "X509"))
"""The kinds of signatures that EDK2 says it knows."""
_OPTION: Final = 1
"""The number of the boot option."""
_STORE_SIZE: Final = 256 << 10
_MAX_SIZE: Final = 64 << 10
_KEPT_NAMES: Final = re.compile(
    r"(SysPrep|Driver|Boot|Key)[0-9A-F]{4}|(Boot|Driver|SysPrep)Order|BootNext"
    r"|Timeout|PlatformLang|Lang|ConIn|ConOut|ErrOut|OsIndications|HwErrRecSupport"
)
"""The variables of the specification that programs may write; they are non-volatile (section 3.3)."""
_FIXED_NAMES: Final = frozenset(
    {
        "LangCodes", "PlatformLangCodes", "ConInDev", "ConOutDev", "ErrOutDev", "BootOptionSupport",
        "SetupMode", "SecureBoot", "SignatureSupport", "OsIndicationsSupported", "VendorKeys",
        "PKDefault", "KEKDefault", "dbDefault", "dbxDefault", "dbtDefault",
    }
)  # fmt: skip
"""Those that only the firmware writes."""


def _is_no_combination(attributes: int) -> bool:
    """Whether the attributes exclude each other: non-volatile without any access, or runtime without boot access."""
    is_late_only = bool(attributes & RUNTIME_ACCESS) and not attributes & BOOTSERVICE_ACCESS
    return is_late_only or attributes == NON_VOLATILE


def _check_global(key: Key, attributes: int, data: bytes) -> int | None:
    """Why a variable with the specification's GUID cannot be set; ``None`` for others, and where nothing is wrong.

    The GUID is not for anybody else's variables (section 3.3); the answers are EDK2's.
    """
    vendor, name = key
    if key in KEYS:
        return None if not data or not attributes or attributes == KEY_ATTRIBUTES else Status.INVALID_PARAMETER
    if vendor == IMAGE_SECURITY:
        return Status.INVALID_PARAMETER if data and attributes and name != "dbr" else None
    if vendor != GLOBAL:
        return None
    if name in _FIXED_NAMES:
        return Status.WRITE_PROTECTED
    if not data or not attributes:
        return None  # it is deleted
    wanted = _VOLATILE if name == "BootCurrent" else _KEPT if _KEPT_NAMES.fullmatch(name) else None
    return None if attributes == wanted and is_valid(name, data) else Status.INVALID_PARAMETER


class Variables:
    """The variables of one machine by vendor GUID (16 bytes) and name, in the order of their creation.

    Variables that are authenticated by a count or by an enhanced descriptor are refused (EFI_UNSUPPORTED), as EDK2
    refuses them.
    """

    def __init__(self, memory: GuestMemory, trace: Trace) -> None:
        self._memory, self._trace = memory, trace
        self._variables: dict[Key, Variable] = {}
        self._authentication = Authentication(self._variables.get, self._update)
        self.at_runtime = False
        self.set_boot_defaults()

    def set_boot_defaults(self) -> None:
        """What a firmware without keys of Secure Boot reports (section 3.3 has the attributes)."""
        self._set_modes()
        for name, data, attributes in (
            ("SignatureSupport", _SIGNATURES, _VOLATILE),
            ("VendorKeys", b"\1", _VOLATILE),
            ("PlatformLang", b"en\0", _KEPT),
            ("PlatformLangCodes", b"en\0", _VOLATILE),
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

    def _set_modes(self) -> None:
        for name, value in modes(self._variables.get).items():
            self.put(name, value, attributes=_VOLATILE)

    def enroll(self, name: str, lists: Iterable[SignatureList]) -> None:
        """Set PK, KEK, db, dbx or dbt from Python, as a machine's owner does in its setup; PK turns Secure Boot on."""
        vendor = GLOBAL if (GLOBAL, name) in {PK, KEK} else IMAGE_SECURITY
        self.put(name, pack_signature_lists(lists), vendor=vendor, attributes=KEY_ATTRIBUTES)
        self._set_modes()

    def load(self, stored: Iterable[StoredVariable]) -> None:
        """Take over what another machine has stored, its keys of Secure Boot included.

        Variables that a firmware sets at each start are left out. A program cannot change a private authenticated
        variable that was taken over: the stored variables do not name the signer who may.
        """
        for each in stored:
            key = each.vendor.bytes_le, each.name
            if each.attributes & NON_VOLATILE and not (key[0] == GLOBAL and each.name in _FIXED_NAMES):
                timestamp = each.timestamp if each.attributes & AUTHENTICATED else None
                self._variables[key] = Variable(int(each.attributes), each.data, timestamp)
        self._set_modes()

    def refusal(self, image: bytes) -> Refusal | None:
        """Why an image may not run; ``None`` if it may, or Secure Boot is off."""
        state = self.get("SecureBoot")
        return refusal(image, self._variables.get) if state is not None and state.data == b"\1" else None

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
        if not key[1] or attributes & ~(_KNOWN | _OTHERS_AUTHENTICATED):
            return Status.INVALID_PARAMETER
        if size and not data:
            return Status.INVALID_PARAMETER
        if attributes & _OTHERS_AUTHENTICATED:
            return Status.UNSUPPORTED
        if _is_no_combination(attributes):
            return Status.INVALID_PARAMETER
        if size > 2 * _MAX_SIZE:  # before anything is read: signature and data have the same room
            return Status.OUT_OF_RESOURCES
        content = payload = memory.read(data, size) if data and size else b""
        if attributes & AUTHENTICATED:
            write = parse_write(content)
            if isinstance(write, int):
                return write
            payload = write.data
        if (wrong := self._refused(key, attributes, payload)) is not None:
            return wrong
        if self._is_other(key, attributes):
            return Status.INVALID_PARAMETER
        if len(payload) > _MAX_SIZE or self._used() + len(payload) > _STORE_SIZE:
            return Status.OUT_OF_RESOURCES
        if attributes & AUTHENTICATED:
            return self._authentication.write(key, attributes, content)
        found = self._variables.get(key)
        if found is not None and found.attributes & AUTHENTICATED:
            return Status.WRITE_PROTECTED
        return self._update(key, attributes, content)

    def _is_other(self, key: Key, attributes: int) -> bool:
        """Whether a write names other attributes than the variable has; one without access deletes it."""
        found, access = self._variables.get(key), attributes & (BOOTSERVICE_ACCESS | RUNTIME_ACCESS)
        return found is not None and bool(access) and found.attributes != attributes & ~APPEND_WRITE

    def _refused(self, key: Key, attributes: int, data: bytes) -> int | None:
        """Why a write is refused before its signature counts; ``None`` where nothing is wrong."""
        if (wrong := _check_global(key, attributes & ~APPEND_WRITE, data)) is not None:
            return wrong
        if self.at_runtime and not attributes & RUNTIME_ACCESS:
            return Status.INVALID_PARAMETER
        if self.at_runtime and not attributes & NON_VOLATILE:  # as EDK2 answers where the variable is new
            return Status.INVALID_PARAMETER if self._variables.get(key) is None else Status.WRITE_PROTECTED
        return None

    def _update(
        self, key: Key, attributes: int, content: bytes, timestamp: EFI_TIME | None = None, signer: bytes = b""
    ) -> int:
        """Write, append or delete a variable that may be written. Gives a status."""
        found = self._variables.get(key)
        appends = bool(attributes & APPEND_WRITE)
        attributes &= ~APPEND_WRITE
        if (not content and not appends) or not attributes & (BOOTSERVICE_ACCESS | RUNTIME_ACCESS):
            status = Status.NOT_FOUND if self._variables.pop(key, None) is None else Status.SUCCESS
        else:
            if appends and found is not None:
                content = found.data + (without_duplicates(found.data, content) if key in KEYS else content)
                if timestamp is not None and found.timestamp is not None:
                    timestamp = max(timestamp, found.timestamp, key=moment)
            if content or found is not None:
                self._variables[key] = Variable(attributes, content, timestamp, signer)
            status = Status.SUCCESS
        if key == PK:
            self._set_modes()
        return status

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
