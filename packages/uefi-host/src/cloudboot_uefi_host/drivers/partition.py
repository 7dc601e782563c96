"""Partitions: a Block IO child for each entry of a GPT, an MBR or a boot catalogue (UEFI 2.10 chapter 5, 13.3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_base import RangeError
from cloudboot_uefi_abi.device_path import CdRom, DevicePath, HardDrive
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.status import Status, is_error
from cloudboot_uefi_host.core.device_paths import END, body
from cloudboot_uefi_host.core.handles import OpenAttribute
from cloudboot_uefi_host.protocols.block_io import BlockDevice, publish_block_io

from .binding import BLOCK_IO, DEVICE_PATH, DISK_IO, Driver
from .disk_io import DiskIoStorage, Media
from .partition_tables import boot_image_partitions, logical_partitions, partitions

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from cloudboot_uefi_abi.device_path import Node
    from cloudboot_uefi_host.core.core import Core

    from .partition_tables import FoundPartition

PARTITION_INFO: Final = GUIDS["EFI_PARTITION_INFO_PROTOCOL"].bytes_le


class _Part:
    """Bytes of a medium. A part may pass the end of the medium: what is there cannot be read."""

    def __init__(self, storage: DiskIoStorage, offset: int, size: int) -> None:
        self._storage, self._offset, self._size = storage, offset, size

    @property
    def size(self) -> int:
        return self._size

    def read_at(self, offset: int, size: int) -> bytes:
        data = bytearray(size)
        self.readinto_at(offset, data)
        return bytes(data)

    def readinto_at(self, offset: int, buffer: Buffer) -> None:
        size = memoryview(buffer).nbytes
        if offset < 0 or offset + size > self._size:
            raise RangeError("the read passes the end", offset=offset, expected=self._size, actual=offset + size)
        self._storage.readinto_at(self._offset + offset, buffer)


class Partition(Driver):
    """Publishes Block IO for each partition of a medium, of a CD's boot image, and of an extended partition."""

    name = "cloudboot partition driver"
    protocol = DISK_IO

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._children: dict[int, BlockDevice] = {}

    def supports(self, handle: int) -> bool:
        """A medium that is present and no partition, or a partition that may hold others."""
        handles = self.core.handles
        block_io = handles.pointer(handle, BLOCK_IO)
        if block_io is None or handles.pointer(handle, DEVICE_PATH) is None:
            return False
        media = Media(self.core, block_io).record()
        return bool(media.MediaPresent) and (not media.LogicalPartition or bool(self._inside(handle)))

    def _inside(self, handle: int) -> list[FoundPartition]:
        """The partitions inside a partition: one level of them, so that there is no end to no chain."""
        last = self._last_nodes(handle)
        if isinstance(last[-1], CdRom):
            return boot_image_partitions(DiskIoStorage(self.core, handle))
        if isinstance(last[-1], HardDrive) and not isinstance(last[0], (CdRom, HardDrive)):
            return list(logical_partitions(DiskIoStorage(self.core, handle), last[-1], self.core.problems))
        return []

    def _last_nodes(self, handle: int) -> tuple[Node | None, Node | None]:
        path = self.core.protocols.device_path(handle)
        nodes = (None, None, *(DevicePath.parse(path).nodes if path is not None else ()))
        return nodes[-2], nodes[-1]

    def start(self, handle: int) -> int:
        """Publish the partitions; EFI_NOT_FOUND if there is no table."""
        core = self.core
        parent = core.protocols.device_path(handle)
        block_io = core.handles.pointer(handle, BLOCK_IO)
        if parent is None or block_io is None:
            return Status.UNSUPPORTED
        storage, media = DiskIoStorage(core, handle), Media(core, block_io).record()
        found = self._inside(handle) if media.LogicalPartition else partitions(storage, core.problems)
        if not found:
            return Status.NOT_FOUND
        for each in found:
            child = publish_block_io(
                core,
                _Part(storage, each.offset, each.size),
                body(parent) + each.node + END,
                block_size=each.block_size,
                logical_partition=True,
                removable=bool(media.RemovableMedia),
            )
            core.handles.install(child.handle, PARTITION_INFO, core.allocator.place(each.info))
            if each.type is not None:  # as EDK2 does: the type is a protocol without functions
                core.handles.install(child.handle, each.type, 0)
            core.protocols.open(handle, DISK_IO, self.handle, child.handle, OpenAttribute.BY_CHILD_CONTROLLER)
            self._children[child.handle] = child
        return Status.SUCCESS

    def stop(self, handle: int) -> int:
        """Nothing is left once the children are gone."""
        del handle
        return Status.SUCCESS

    def stop_child(self, handle: int, child: int) -> int:
        """Stop the child's drivers, then uninstall it."""
        core = self.core
        device = self._children.get(child)
        if device is None:
            return Status.INVALID_PARAMETER
        if is_error(core.drivers.disconnect(child)):
            return Status.DEVICE_ERROR
        core.protocols.close(handle, DISK_IO, self.handle, child)
        for protocol, interface in list(core.handles.protocols(child).items()):
            status = core.protocols.remove(child, protocol, interface.pointer)
            if is_error(status):
                return status
        del self._children[child]
        return Status.SUCCESS
