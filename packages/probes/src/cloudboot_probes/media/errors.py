"""What a medium is refused for.

CloudbootError
+-- MediumError             the medium cannot be used for this recipe (exit code 3)
    +-- NoLoaderError       no file of the medium is an EFI loader for the architecture
    +-- IsoError            the ISO 9660 volume breaks its format (also a FormatError)
+-- DownloadError           the medium cannot be downloaded (exit code 5)
    +-- ChecksumError       what arrived has another SHA-256 than was asked for (exit code 3)
"""

from __future__ import annotations

from cloudboot_base import FormatError
from cloudboot_base.exit_codes import BAD_INPUT, SYSTEM
from cloudboot_probes.errors import CloudbootError


class MediumError(CloudbootError):
    """The medium cannot be used for this recipe."""

    exit_code = BAD_INPUT


class NoLoaderError(MediumError):
    """No file of the medium is an EFI loader for the architecture."""


class IsoError(MediumError, FormatError):
    """The ISO 9660 volume breaks its format."""


class DownloadError(CloudbootError):
    """The medium cannot be downloaded."""

    exit_code = SYSTEM


class ChecksumError(DownloadError):
    """What arrived has another SHA-256 than was asked for."""

    exit_code = BAD_INPUT
