"""EFI_LOAD_FILE2_PROTOCOL: a file from memory, such as Linux's initial RAM disk (UEFI 2.10 section 13.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from cloudboot_uefi_abi.device_path import DevicePath, VendorMedia
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.protocols.files import EFI_LOAD_FILE2_PROTOCOL
from cloudboot_uefi_abi.status import Status

if TYPE_CHECKING:
    from cloudboot_base import Storage
    from cloudboot_uefi_host.core.core import Core

_LOAD_FILE2: Final = GUIDS["EFI_LOAD_FILE2_PROTOCOL"].bytes_le
_DEVICE_PATH: Final = GUIDS["EFI_DEVICE_PATH_PROTOCOL"].bytes_le
INITRD: Final = UUID("5568e427-68fc-4f3d-ac74-ca555231cc68")
"""LINUX_EFI_INITRD_MEDIA_GUID: a loader finds the initial RAM disk under a Vendor Media node with it."""


class LoadFile2:
    """One file. ``reads`` counts how often it was loaded whole."""

    def __init__(self, core: Core, content: Storage, guid: UUID) -> None:
        self._memory, self._content = core.memory, content
        self.reads = 0
        self.handle = core.handles.create()
        path = core.allocator.place(DevicePath.of(VendorMedia(guid)).pack())
        core.handles.install(self.handle, _DEVICE_PATH, path)
        interface = core.publisher.publish(EFI_LOAD_FILE2_PROTOCOL, {"LoadFile": self._load_file})
        core.handles.install(self.handle, _LOAD_FILE2, interface)

    def _load_file(self, this: int, path: int, policy: int, size: int, buffer: int) -> int:
        if not this or not path or not size:
            return Status.INVALID_PARAMETER
        if policy:
            return Status.UNSUPPORTED
        room = self._memory.u64(size)
        self._memory.put64(size, self._content.size)
        if not buffer or room < self._content.size:
            return Status.BUFFER_TOO_SMALL
        self._content.readinto_at(0, self._memory.window(buffer, self._content.size))
        self.reads += 1
        return Status.SUCCESS


def publish_load_file2(core: Core, content: Storage, guid: UUID = INITRD) -> LoadFile2:
    """A handle with Load File 2 over ``content``; by default the place where Linux looks for its initial RAM disk."""
    return LoadFile2(core, content, guid)
