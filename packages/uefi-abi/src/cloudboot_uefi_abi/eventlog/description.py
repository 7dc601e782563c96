"""An event's data as one line of text (TCG PFP 1.05 sections 10.2 to 10.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from cloudboot_base import Error
from cloudboot_records import Cursor
from cloudboot_uefi_abi.constants import EventType
from cloudboot_uefi_abi.device_path import DevicePath
from cloudboot_uefi_abi.errors import EventLogError
from cloudboot_uefi_abi.guids import GUIDS, guid_name
from cloudboot_uefi_abi.layout.records import UEFI_IMAGE_LOAD_EVENT, UEFI_VARIABLE_DATA
from cloudboot_uefi_abi.variables import Variable, describe

from .log import AGILE_SIGNATURE
from .replay import is_locality

if TYPE_CHECKING:
    from collections.abc import Callable

    from .log import Event

__all__ = ["describe_event", "event_variable", "image_load_path", "read_event"]

_IMAGES: Final = {
    EventType.EFI_BOOT_SERVICES_APPLICATION,
    EventType.EFI_BOOT_SERVICES_DRIVER,
    EventType.EFI_RUNTIME_SERVICES_DRIVER,
}
_VARIABLES: Final = {
    EventType.EFI_VARIABLE_DRIVER_CONFIG,
    EventType.EFI_VARIABLE_BOOT,
    EventType.EFI_VARIABLE_BOOT2,
}
#: Firmware states a name in place of the layout of these.
_BLOBS: Final = {
    EventType.EFI_PLATFORM_FIRMWARE_BLOB, EventType.EFI_PLATFORM_FIRMWARE_BLOB2, EventType.EFI_HANDOFF_TABLES,
    EventType.EFI_HANDOFF_TABLES2, EventType.EVENT_TAG,
}  # fmt: skip
_GPT_HEADER, _GPT_ENTRY, _POINTER = 92, 128, 24  # bytes
_FOREIGN: Final = "\u0250"
_DUMPED: Final = 32


def event_variable(event: Event) -> Variable:
    """The variable that a UEFI_VARIABLE_DATA event measured.

    Raises:
        EventLogError: the sizes contradict the event's.
        TruncatedError: the event is shorter than the head.
    """
    cursor = Cursor(event.data, base=event.offset, structure="UEFI_VARIABLE_DATA")
    head = cursor.record(UEFI_VARIABLE_DATA)
    if 2 * head.UnicodeNameLength + head.VariableDataLength > cursor.remaining:
        raise EventLogError(
            "name and data leave the event",
            structure="UEFI_VARIABLE_DATA", field="UnicodeNameLength", offset=event.offset,
            expected=f"at most {cursor.remaining} bytes", actual=2 * head.UnicodeNameLength + head.VariableDataLength,
        )  # fmt: skip
    name = cursor.take(2 * head.UnicodeNameLength).decode("utf-16-le", "surrogatepass")
    return Variable(name.rstrip("\0"), head.VariableName, cursor.take(head.VariableDataLength))


def image_load_path(event: Event) -> DevicePath | None:
    """The device path of the image that an event measured, or ``None`` where it was loaded from memory only.

    Raises:
        EventLogError: the length contradicts the event's.
        DevicePathError: the path is malformed.
        TruncatedError: the event is shorter than the head.
    """
    cursor = Cursor(event.data, base=event.offset, structure="UEFI_IMAGE_LOAD_EVENT")
    head = cursor.record(UEFI_IMAGE_LOAD_EVENT)
    if head.LengthOfDevicePath > cursor.remaining:
        raise EventLogError(
            "the device path leaves the event",
            structure="UEFI_IMAGE_LOAD_EVENT", field="LengthOfDevicePath", offset=event.offset + 24,
            expected=f"at most {cursor.remaining}", actual=head.LengthOfDevicePath,
        )  # fmt: skip
    data = cursor.take(head.LengthOfDevicePath)
    return DevicePath.parse_prefix(data, cursor.base)[0] if data else None


def describe_event(event: Event) -> str:
    """What the event's data say; data that are not of the type's layout are shown as bytes, with the reason."""
    data = event.data
    dump = f"{len(data)} bytes {data[:_DUMPED].hex()}{'...' if len(data) > _DUMPED else ''}"
    try:
        return read_event(event) or _plain(data) or dump
    except Error as error:
        text = _plain(data)
        return text if text and event.type in _BLOBS else f"{dump} ({error})"


def read_event(event: Event) -> str | None:
    """What the event's data say, where their layout follows from its type, otherwise ``None``.

    Raises:
        EventLogError: a size contradicts the event's.
        DevicePathError: the path is malformed.
        TruncatedError: the event is shorter than its layout.
    """
    read = _READERS.get(event.type)
    return read(event) if read is not None else None


def _variable(event: Event) -> str:
    variable = event_variable(event)
    return f"{guid_name(variable.vendor) or variable.vendor} {variable.name}: {describe(variable)}"


def _authority(event: Event) -> str:
    """The variable that vouched for an image: of a signature database it is one signature, not a list of them."""
    variable = event_variable(event)
    vendor = guid_name(variable.vendor) or variable.vendor
    if variable.vendor != GUIDS["EFI_IMAGE_SECURITY_DATABASE"]:
        return f"{vendor} {variable.name}: {describe(variable)}"
    cursor = Cursor(variable.data, base=event.offset, structure="EFI_SIGNATURE_DATA")
    owner = UUID(bytes_le=cursor.take(16))
    return f"{vendor} {variable.name}: {cursor.remaining} bytes of {owner}"


def _image(event: Event) -> str:
    path = image_load_path(event)
    return str(path) if path else "an image in memory"


def _blob(event: Event) -> str:
    return _range(Cursor(event.data, base=event.offset, structure="UEFI_PLATFORM_FIRMWARE_BLOB"))


def _range(cursor: Cursor) -> str:
    base, size = cursor.u64(), cursor.u64()
    return f"{size:#x} bytes at {base:#x}"


def _described_blob(event: Event) -> str:
    cursor = Cursor(event.data, base=event.offset, structure="UEFI_PLATFORM_FIRMWARE_BLOB2")
    return f"{_description(cursor)}: {_range(cursor)}"


def _description(cursor: Cursor) -> str:
    return repr(cursor.take(cursor.u8()).rstrip(b"\0").decode("ascii", "backslashreplace"))


def _tables(event: Event) -> str:
    return _pointers(Cursor(event.data, base=event.offset, structure="UEFI_HANDOFF_TABLE_POINTERS"))


def _described_tables(event: Event) -> str:
    cursor = Cursor(event.data, base=event.offset, structure="UEFI_HANDOFF_TABLE_POINTERS2")
    return f"{_description(cursor)}: {_pointers(cursor)}"


def _pointers(cursor: Cursor) -> str:
    offset, count = cursor.offset, cursor.u64()
    if count > cursor.remaining // _POINTER:
        raise EventLogError(
            "the tables leave the event",
            structure=cursor.structure, field="NumberOfTables", offset=offset,
            expected=f"at most {cursor.remaining // _POINTER}", actual=count,
        )  # fmt: skip
    rows = [(UUID(bytes_le=cursor.take(16)), cursor.u64()) for _ in range(count)]
    return ", ".join(f"{guid_name(guid) or guid} at {address:#x}" for guid, address in rows) or "no table"


def _partitions(event: Event) -> str:
    """UEFI_GPT_DATA: a GPT's header and the entries in use."""
    cursor = Cursor(event.data, base=event.offset, structure="UEFI_GPT_DATA")
    header = cursor.take(_GPT_HEADER)
    offset, count, size = cursor.offset, cursor.u64(), int.from_bytes(header[84:88], "little")
    if size < _GPT_ENTRY or count > cursor.remaining // size:
        raise EventLogError(
            "the partitions leave the event",
            structure="UEFI_GPT_DATA", field="NumberOfPartitions", offset=offset,
            expected=f"at most {cursor.remaining // max(size, _GPT_ENTRY)}", actual=count,
        )  # fmt: skip
    texts = []
    for _ in range(count):
        entry = cursor.take(size)
        first, last = (int.from_bytes(entry[start : start + 8], "little") for start in (32, 40))
        texts.append(f"{UUID(bytes_le=entry[16:32])} in blocks {first} to {last}")
    return f"disk {UUID(bytes_le=header[56:72])}: {', '.join(texts) or 'no partition'}"


def _tagged(event: Event) -> str:
    """PCClientTaggedEvent: a number, a size, data."""
    cursor = Cursor(event.data, base=event.offset, structure="TCG_PCClientTaggedEvent")
    number, offset, size = cursor.u32(), cursor.offset, cursor.u32()
    if size > cursor.remaining:
        raise EventLogError(
            "the data leave the event",
            structure="TCG_PCClientTaggedEvent", field="taggedEventDataSize", offset=offset,
            expected=f"at most {cursor.remaining}", actual=size,
        )  # fmt: skip
    data = cursor.take(size)
    return f"tag {number:#x} {_plain(data) or f'{size} bytes {data[:_DUMPED].hex()}'}"


def _no_action(event: Event) -> str | None:
    if event.data.startswith(AGILE_SIGNATURE):
        return "Spec ID Event03"
    return f"startup locality {event.data[-1]}" if is_locality(event) else None


def _version(event: Event) -> str | None:
    """A text, by the profile in UTF-16, or a GUID."""
    data = event.data
    if not data.strip(b"\0"):
        return "''"
    return _plain(data) or (str(UUID(bytes_le=data)).upper() if len(data) == 16 else None)


def _plain(data: bytes) -> str | None:
    """``data`` as a text, in UTF-8 or UTF-16, as :func:`repr` shows it; ``None`` where they are not one."""
    for encoding in ("utf-8", "utf-16-le"):
        try:
            text = data.decode(encoding).rstrip("\0")
        except UnicodeDecodeError:
            continue
        # Nearly any bytes are characters of UTF-16; those of the first pages are meant.
        plain = "".join(text.split())
        if plain.isprintable() and plain and (encoding == "utf-8" or max(plain) < _FOREIGN):
            return repr(text)
    return None


_READERS: Final[dict[EventType, Callable[[Event], str | None]]] = {
    **dict.fromkeys(_VARIABLES, _variable),
    **dict.fromkeys(_IMAGES, _image),
    EventType.EFI_VARIABLE_AUTHORITY: _authority,
    EventType.EFI_PLATFORM_FIRMWARE_BLOB: _blob,
    EventType.EFI_PLATFORM_FIRMWARE_BLOB2: _described_blob,
    EventType.EFI_HANDOFF_TABLES: _tables,
    EventType.EFI_HANDOFF_TABLES2: _described_tables,
    EventType.EFI_GPT_EVENT: _partitions,
    EventType.EFI_GPT_EVENT2: _partitions,
    EventType.EVENT_TAG: _tagged,
    EventType.NO_ACTION: _no_action,
    EventType.S_CRTM_VERSION: _version,
}
