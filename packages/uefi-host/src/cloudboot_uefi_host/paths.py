"""Device paths of what this firmware publishes and boots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from cloudboot_uefi_abi.device_path import DevicePath, FilePath, VendorMedia, is_strict_prefix
from cloudboot_uefi_abi.status import Status

from .core.device_paths import END, body
from .core.images import FILE_SYSTEM
from .errors import ServiceError

if TYPE_CHECKING:
    from .core.host import Host
    from .protocols.block_io import BlockDevice

DISK_GUID: Final = UUID("c10ddb00-7e1a-4001-91b0-070cb1ec80b1")
"""Names a disk that Python publishes, in a Vendor Media node (UEFI 2.10 section 10.3.5.3)."""


def vendor_path(guid: UUID = DISK_GUID) -> bytes:
    """The device path of a published disk: one Vendor Media node."""
    return DevicePath.of(VendorMedia(guid)).pack()


def file_systems_below(core: Host, path: bytes) -> list[int]:
    """The handles with a Simple File System whose device path is below ``path``, in the order they were made."""
    found = []
    for handle in core.handles.with_protocol(FILE_SYSTEM):
        own = core.path_of(handle)
        if own is not None and is_strict_prefix(path, own):
            found.append(handle)
    return found


def file_path(core: Host, handle: int, name: str) -> bytes:
    """The device path of a file on a handle.

    Raises:
        ServiceError: the handle has no device path.
    """
    own = core.path_of(handle)
    if own is None:
        raise ServiceError("the handle has no device path", Status.NOT_FOUND)
    return body(own) + FilePath(name).pack() + END


def boot_path(core: Host, device: BlockDevice, name: str | None = None) -> bytes:
    r"""The device path of the loader on the first file system of a disk; by default ``\EFI\BOOT``'s for the processor.

    Raises:
        ServiceError: the disk has no file system.
    """
    found = file_systems_below(core, device.path)
    if not found:
        raise ServiceError("no file system is on the disk", Status.NOT_FOUND)
    return file_path(core, found[0], name or rf"\EFI\BOOT\{core.architecture.removable_name}")
