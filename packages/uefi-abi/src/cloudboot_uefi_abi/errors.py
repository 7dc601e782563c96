"""What this package raises.

    cloudboot_base.FormatError
    +-- UefiFormatError         bytes break a structure of the UEFI specification
        +-- DevicePathError     a device path, in bytes or in text
        +-- LoadOptionError     an EFI_LOAD_OPTION
        +-- VariableError       a variable, a variable store or a signature list
        +-- PEError             a PE32+ image or its certificates
        +-- EventLogError       a TCG event log
        +-- SignedDataError     a PKCS #7 SignedData

A structure that ends too early raises :class:`cloudboot_base.TruncatedError` where a fixed record is read, and the
class of the tree above where the length is part of the format.
"""

from __future__ import annotations

from cloudboot_base import FormatError

__all__ = [
    "DevicePathError",
    "EventLogError",
    "LoadOptionError",
    "PEError",
    "SignedDataError",
    "UefiFormatError",
    "VariableError",
]


class UefiFormatError(FormatError):
    """Bytes or text break a structure of the UEFI specification."""


class DevicePathError(UefiFormatError, ValueError):
    """A device path is malformed; ``offset`` is in bytes, or in characters where the input is text."""


class LoadOptionError(UefiFormatError, ValueError):
    """An EFI_LOAD_OPTION is malformed."""


class VariableError(UefiFormatError, ValueError):
    """A variable, a variable store, an authentication header or a signature list is malformed."""


class PEError(UefiFormatError, ValueError):
    """A PE32+ image or its certificate table is malformed."""

    kind = "pe-image"


class EventLogError(UefiFormatError, ValueError):
    """A TCG event log is malformed."""


class SignedDataError(UefiFormatError, ValueError):
    """A PKCS #7 SignedData is malformed."""
