"""EFI_BLOCK_IO_PROTOCOL over a storage, read-only (UEFI 2.10 section 13.9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from cloudboot_base import Error
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.layout.records import EFI_BLOCK_IO_MEDIA
from cloudboot_uefi_abi.protocols.storage import EFI_BLOCK_IO_PROTOCOL
from cloudboot_uefi_abi.status import Status
from cloudboot_uefi_host.errors import GuestPointerError

if TYPE_CHECKING:
    from cloudboot_base import Storage
    from cloudboot_uefi_host.core.host import Host

BLOCK_IO: Final = GUIDS["EFI_BLOCK_IO_PROTOCOL"].bytes_le
DEVICE_PATH: Final = GUIDS["EFI_DEVICE_PATH_PROTOCOL"].bytes_le
_REVISION3: Final = 0x0002001F
_MEDIA_ID: Final = 1


class Read(NamedTuple):
    """One ReadBlocks that succeeded: the image on whose behalf, the first block, and the size in bytes.

    ``time`` is virtual, in seconds since power on.
    """

    image: str
    lba: int
    size: int
    time: float


@dataclass(slots=True, eq=False)
class BlockDevice:
    """A published block device: its handle, its interface, its storage, and what was read in blocks of which size."""

    handle: int
    interface: int
    media: int
    storage: Storage
    path: bytes
    reads: list[Read]
    block_size: int = 512


class _BlockIo:
    """The functions of one device."""

    def __init__(self, core: Host, storage: Storage, block_size: int) -> None:
        self._core, self._storage, self._block_size = core, storage, block_size
        self._blocks = storage.size // block_size
        self.reads: list[Read] = []

    def reset(self, _this: int, _extended: int) -> int:
        return Status.SUCCESS

    def read_blocks(self, _this: int, media: int, lba: int, size: int, buffer: int) -> int:
        if media != _MEDIA_ID:
            return Status.MEDIA_CHANGED
        if size == 0:
            return Status.SUCCESS
        if not buffer:
            return Status.INVALID_PARAMETER
        if size % self._block_size:
            return Status.BAD_BUFFER_SIZE
        if lba >= self._blocks or size // self._block_size > self._blocks - lba:
            return Status.INVALID_PARAMETER
        window = self._core.memory.window(buffer, size)
        try:
            self._storage.readinto_at(lba * self._block_size, window)
        except GuestPointerError:
            raise
        except (Error, OSError) as error:
            self._core.problems.append(f"ReadBlocks {lba}: {error}")
            return Status.DEVICE_ERROR
        self.reads.append(Read(self._core.machine.caller, lba, size, self._core.clock.seconds()))
        return Status.SUCCESS

    def write_blocks(self, _this: int, media: int, _lba: int, _size: int, _buffer: int) -> int:
        return Status.WRITE_PROTECTED if media == _MEDIA_ID else Status.MEDIA_CHANGED

    def flush_blocks(self, _this: int) -> int:
        return Status.SUCCESS


def publish_block_io(
    core: Host,
    storage: Storage,
    path: bytes,
    *,
    block_size: int = 512,
    logical_partition: bool = False,
    removable: bool = False,
) -> BlockDevice:
    """A new handle with Block IO over ``storage`` and the device path ``path``.

    ``removable`` says that the medium can be taken out of its drive, as a CD can. Bytes after
    the last whole block are not part of the device.

    Raises:
        HostError: memory is used up.
    """
    functions = _BlockIo(core, storage, block_size)
    media = core.allocator.place(
        EFI_BLOCK_IO_MEDIA(
            MediaId=_MEDIA_ID,
            RemovableMedia=int(removable),
            MediaPresent=1,
            LogicalPartition=int(logical_partition),
            ReadOnly=1,
            BlockSize=block_size,
            LastBlock=max(0, storage.size // block_size - 1),
            LogicalBlocksPerPhysicalBlock=int(not logical_partition),  # 0 for a partition
        ).pack()
    )
    interface = core.publisher.publish(
        EFI_BLOCK_IO_PROTOCOL,
        {
            "Reset": functions.reset,
            "ReadBlocks": functions.read_blocks,
            "WriteBlocks": functions.write_blocks,
            "FlushBlocks": functions.flush_blocks,
        },
        {"Revision": _REVISION3, "Media": media},
    )
    handle = core.handles.publish({DEVICE_PATH: core.allocator.place(path), BLOCK_IO: interface})
    return BlockDevice(handle, interface, media, storage, path, functions.reads, block_size)


def unpublish_block_io(core: Host, device: BlockDevice) -> int:
    """Take a device away: its drivers are stopped, its children go, its protocols are uninstalled.

    Gives the status: EFI_ACCESS_DENIED if a program still uses it.
    """
    core.drivers.disconnect(device.handle)
    path = core.handles.pointer(device.handle, DEVICE_PATH)
    status = core.protocols.remove(device.handle, BLOCK_IO, device.interface)
    if status == Status.SUCCESS and path is not None:
        status = core.protocols.remove(device.handle, DEVICE_PATH, path)
    return status
