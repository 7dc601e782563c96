"""What can be wrong with a disk image's container, or with the choice of a partition in it.

DiskImageError (a cloudboot_base.FormatError)
+-- ContainerError              a damaged container: a compressed stream, a qcow2 or VHD image
|   +-- ContainerTruncatedError the file ends before what its container promises (also a TruncatedError)
+-- UnsupportedContainerError   well-formed, but of a kind that is not read; the hint says what to do
+-- PartitionError              there is no such partition, or none that could be chosen
"""

from __future__ import annotations

from cloudboot_base import FormatError, TruncatedError


class DiskImageError(FormatError):
    """The base of the tree."""


class ContainerError(DiskImageError):
    """A damaged container: a compressed stream, a qcow2 or VHD image."""


class ContainerTruncatedError(ContainerError, TruncatedError):
    """The file ends before what its container promises."""


class UnsupportedContainerError(DiskImageError):
    """A container of a kind that is not read."""


class PartitionError(DiskImageError):
    """There is no such partition, no partition table, or more than one partition that fits."""
