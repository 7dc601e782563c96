"""EFI_STATUS: values, names and text (UEFI 2.10 appendix D)."""

from __future__ import annotations

import enum
from typing import Final

ERROR_BIT: Final = 1 << 63
"""The top bit of a status of a 64-bit processor: set in an error, clear in a warning and in success."""


class Status(enum.IntEnum):
    """The status codes of UEFI 2.10 appendix D, as a 64-bit processor returns them."""

    SUCCESS = 0
    WARN_UNKNOWN_GLYPH = 1
    WARN_DELETE_FAILURE = 2
    WARN_WRITE_FAILURE = 3
    WARN_BUFFER_TOO_SMALL = 4
    WARN_STALE_DATA = 5
    WARN_FILE_SYSTEM = 6
    WARN_RESET_REQUIRED = 7
    LOAD_ERROR = ERROR_BIT | 1
    INVALID_PARAMETER = ERROR_BIT | 2
    UNSUPPORTED = ERROR_BIT | 3
    BAD_BUFFER_SIZE = ERROR_BIT | 4
    BUFFER_TOO_SMALL = ERROR_BIT | 5
    NOT_READY = ERROR_BIT | 6
    DEVICE_ERROR = ERROR_BIT | 7
    WRITE_PROTECTED = ERROR_BIT | 8
    OUT_OF_RESOURCES = ERROR_BIT | 9
    VOLUME_CORRUPTED = ERROR_BIT | 10
    VOLUME_FULL = ERROR_BIT | 11
    NO_MEDIA = ERROR_BIT | 12
    MEDIA_CHANGED = ERROR_BIT | 13
    NOT_FOUND = ERROR_BIT | 14
    ACCESS_DENIED = ERROR_BIT | 15
    NO_RESPONSE = ERROR_BIT | 16
    NO_MAPPING = ERROR_BIT | 17
    TIMEOUT = ERROR_BIT | 18
    NOT_STARTED = ERROR_BIT | 19
    ALREADY_STARTED = ERROR_BIT | 20
    ABORTED = ERROR_BIT | 21
    ICMP_ERROR = ERROR_BIT | 22
    TFTP_ERROR = ERROR_BIT | 23
    PROTOCOL_ERROR = ERROR_BIT | 24
    INCOMPATIBLE_VERSION = ERROR_BIT | 25
    SECURITY_VIOLATION = ERROR_BIT | 26
    CRC_ERROR = ERROR_BIT | 27
    END_OF_MEDIA = ERROR_BIT | 28
    END_OF_FILE = ERROR_BIT | 31
    INVALID_LANGUAGE = ERROR_BIT | 32
    COMPROMISED_DATA = ERROR_BIT | 33
    IP_ADDRESS_CONFLICT = ERROR_BIT | 34
    HTTP_ERROR = ERROR_BIT | 35

    @property
    def efi_name(self) -> str:
        """The specification's name, ``"EFI_NOT_FOUND"``."""
        return f"EFI_{self.name}"


_TEXT: Final[dict[Status, str]] = {
    Status.SUCCESS: "success",
    Status.WARN_UNKNOWN_GLYPH: "the text contains characters the device cannot render; they were skipped",
    Status.WARN_DELETE_FAILURE: "the handle was closed, and the file was not deleted",
    Status.WARN_WRITE_FAILURE: "the handle was closed, and the file's data was not flushed",
    Status.WARN_BUFFER_TOO_SMALL: "the buffer was too small, and the data was truncated",
    Status.WARN_STALE_DATA: "the data was not updated within the timeframe the local policy sets",
    Status.WARN_FILE_SYSTEM: "the buffer contains a file system",
    Status.WARN_RESET_REQUIRED: "the operation takes effect after a reset",
    Status.LOAD_ERROR: "the image failed to load",
    Status.INVALID_PARAMETER: "a parameter was incorrect",
    Status.UNSUPPORTED: "the operation is not supported",
    Status.BAD_BUFFER_SIZE: "the buffer's size is not right for the request",
    Status.BUFFER_TOO_SMALL: "the buffer is too small; the required size is returned in its parameter",
    Status.NOT_READY: "no data is pending",
    Status.DEVICE_ERROR: "the device reported an error",
    Status.WRITE_PROTECTED: "the device cannot be written to",
    Status.OUT_OF_RESOURCES: "a resource has run out",
    Status.VOLUME_CORRUPTED: "the file system is inconsistent",
    Status.VOLUME_FULL: "the file system has no more space",
    Status.NO_MEDIA: "the device contains no medium",
    Status.MEDIA_CHANGED: "the medium has changed since the last access",
    Status.NOT_FOUND: "the item was not found",
    Status.ACCESS_DENIED: "access was denied",
    Status.NO_RESPONSE: "the server was not found or did not respond",
    Status.NO_MAPPING: "no mapping to a device exists",
    Status.TIMEOUT: "the timeout expired",
    Status.NOT_STARTED: "the protocol has not been started",
    Status.ALREADY_STARTED: "the protocol has already been started",
    Status.ABORTED: "the operation was aborted",
    Status.ICMP_ERROR: "an ICMP error occurred",
    Status.TFTP_ERROR: "a TFTP error occurred",
    Status.PROTOCOL_ERROR: "a network protocol error occurred",
    Status.INCOMPATIBLE_VERSION: "the versions are not compatible",
    Status.SECURITY_VIOLATION: "a security policy was violated",
    Status.CRC_ERROR: "a CRC does not match",
    Status.END_OF_MEDIA: "the beginning or end of the medium was reached",
    Status.END_OF_FILE: "the end of the file was reached",
    Status.INVALID_LANGUAGE: "the language is invalid",
    Status.COMPROMISED_DATA: "the security status of the data is unknown or compromised",
    Status.IP_ADDRESS_CONFLICT: "an address conflict was detected",
    Status.HTTP_ERROR: "an HTTP error occurred",
}


def is_error(status: int) -> bool:
    """Whether a status of a 64-bit processor is an error: its top bit is set (UEFI 2.10 appendix D)."""
    return bool(status & ERROR_BIT)


def status_name(status: int) -> str:
    """``"EFI_NOT_FOUND"``, or the value in hexadecimal where the specification has no name for it."""
    try:
        return Status(status).efi_name
    except ValueError:
        return f"{status:#x}"


def status_text(status: int) -> str:
    """``"EFI_NOT_FOUND: the item was not found"``; an unknown value says so, and which range it is from.

    Errors and warnings with bit 62 set are reserved for original equipment manufacturers, the others for the
    specification (appendix D, table D.1).
    """
    try:
        known = Status(status)
    except ValueError:
        owner = "an OEM's" if status >> 62 & 1 else "an unassigned"
        return f"{status:#x}: {owner} {'error' if is_error(status) else 'warning'} code"
    return f"{known.efi_name}: {_TEXT[known]}"
