"""An event's data as one line of text (TCG PFP 1.05 sections 10.2 to 10.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_base import Error
from cloudboot_records import Cursor
from cloudboot_uefi_abi.constants import EventType
from cloudboot_uefi_abi.device_path import DevicePath
from cloudboot_uefi_abi.errors import EventLogError
from cloudboot_uefi_abi.guids import guid_name
from cloudboot_uefi_abi.layout.records import UEFI_IMAGE_LOAD_EVENT, UEFI_VARIABLE_DATA
from cloudboot_uefi_abi.variables import Variable, describe

from .log import AGILE_SIGNATURE

if TYPE_CHECKING:
    from .log import Event

__all__ = ["describe_event", "event_variable", "image_load_path"]

_IMAGES: Final = {
    EventType.EFI_BOOT_SERVICES_APPLICATION,
    EventType.EFI_BOOT_SERVICES_DRIVER,
    EventType.EFI_RUNTIME_SERVICES_DRIVER,
}
_VARIABLES: Final = {
    EventType.EFI_VARIABLE_DRIVER_CONFIG,
    EventType.EFI_VARIABLE_BOOT,
    EventType.EFI_VARIABLE_BOOT2,
    EventType.EFI_VARIABLE_AUTHORITY,
}
_BLOBS: Final = {EventType.EFI_PLATFORM_FIRMWARE_BLOB, EventType.EFI_HANDOFF_TABLES}
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
        return _text(event) or dump
    except Error as error:
        return f"{dump} ({error})"


def _text(event: Event) -> str | None:
    data = event.data
    if event.type in _VARIABLES:
        variable = event_variable(event)
        return f"{guid_name(variable.vendor) or variable.vendor} {variable.name}: {describe(variable)}"
    if event.type in _IMAGES:
        path = image_load_path(event)
        return str(path) if path else "an image in memory"
    if event.type in _BLOBS and len(data) == 16:
        return f"{int.from_bytes(data[8:], 'little'):#x} bytes at {int.from_bytes(data[:8], 'little'):#x}"
    if event.type is EventType.NO_ACTION and data.startswith(AGILE_SIGNATURE):
        return "Spec ID Event03"
    if event.type is EventType.S_CRTM_VERSION:
        return repr(data.decode("utf-16-le", "replace").rstrip("\0"))
    text = data.rstrip(b"\0")
    return repr(text.decode("ascii")) if text and text.isascii() and text.decode("ascii").isprintable() else None
