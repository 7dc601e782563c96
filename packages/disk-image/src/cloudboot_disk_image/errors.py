"""What can be wrong with a disk image's container, or with the choice of a partition in it.

DiskImageError (a cloudboot_base.FormatError)
+-- ContainerError              a damaged container: a compressed stream, a qcow2 or VHD image
|   +-- ContainerTruncatedError the file ends before what its container promises (also a TruncatedError)
+-- UnsupportedContainerError   well-formed, but of a kind that is not read; the hint says what to do
+-- PartitionError              no partition table, or no partition of a fitting type
    +-- PartitionChoiceError    no partition is named so, or several are (exit code 2)
    +-- NoPartitionReaderError  no installed package reads partition tables (exit code 2)
"""

from __future__ import annotations

from cloudboot_base import FormatError, TruncatedError
from cloudboot_base.exit_codes import USAGE


class DiskImageError(FormatError):
    """The base of the tree."""


class ContainerError(DiskImageError):
    """A damaged container: a compressed stream, a qcow2 or VHD image."""


class ContainerTruncatedError(ContainerError, TruncatedError):
    """The file ends before what its container promises."""


class UnsupportedContainerError(DiskImageError):
    """A container of a kind that is not read."""


class PartitionError(DiskImageError):
    """There is no partition table that can be read, or no partition of a fitting type."""


class PartitionChoiceError(PartitionError):
    """No partition has the name, number, GUID or type asked for, or several have it."""

    exit_code = USAGE


class NoPartitionReaderError(PartitionError):
    """No installed package reads partition tables; the hint names one."""

    exit_code = USAGE
