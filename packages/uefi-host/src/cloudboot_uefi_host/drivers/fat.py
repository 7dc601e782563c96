"""FAT over Disk IO, with cloudboot_fat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base import Error
from cloudboot_fat import FatReader
from cloudboot_uefi_abi.status import Status, is_error
from cloudboot_uefi_host.protocols.file_system import FILE_SYSTEM, FileSystemPublisher, publish_file_system
from cloudboot_uefi_host.volumes import FatVolume

from .binding import BLOCK_IO, DISK_IO, Driver
from .disk_io import DiskIoStorage

if TYPE_CHECKING:
    from cloudboot_uefi_host.core.core import Core


class Fat(Driver):
    """Publishes a Simple File System on every handle whose medium holds a FAT volume."""

    name = "cloudboot FAT driver"
    protocol = DISK_IO

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._published: dict[int, FileSystemPublisher] = {}

    def _reader(self, handle: int) -> FatReader | None:
        try:
            return FatReader(DiskIoStorage(self.core, handle))
        except Error:
            return None

    def supports(self, handle: int) -> bool:
        """A medium with a FAT boot sector and no file system yet."""
        handles = self.core.handles
        if handles.pointer(handle, BLOCK_IO) is None or handles.pointer(handle, FILE_SYSTEM) is not None:
            return False
        return self._reader(handle) is not None

    def start(self, handle: int) -> int:
        """Publish the file system."""
        reader = self._reader(handle)
        if reader is None:
            return Status.UNSUPPORTED
        self._published[handle] = publish_file_system(self.core, handle, FatVolume(reader))
        return Status.SUCCESS

    def stop(self, handle: int) -> int:
        """Take the file system away."""
        status = self.core.protocols.remove(handle, FILE_SYSTEM, self._published[handle].interface)
        if not is_error(status):
            del self._published[handle]
        return status
