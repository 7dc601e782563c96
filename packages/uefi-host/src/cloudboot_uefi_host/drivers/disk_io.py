"""Disk IO: bytes at offsets over Block IO's blocks (UEFI 2.10 section 13.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base import TruncatedError
from cloudboot_uefi_abi.layout.records import EFI_BLOCK_IO_MEDIA
from cloudboot_uefi_abi.protocols.storage import EFI_BLOCK_IO_PROTOCOL, EFI_DISK_IO_PROTOCOL
from cloudboot_uefi_abi.status import Status, is_error
from cloudboot_uefi_host.core.allocator import SCRATCH_SIZE
from cloudboot_uefi_host.errors import ServiceError

from .binding import BLOCK_IO, DISK_IO, Driver

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from cloudboot_uefi_host.core.core import Core
    from cloudboot_uefi_host.core.host import Host


class Media:
    """EFI_BLOCK_IO_MEDIA of a handle, read from guest memory each time: a driver may change it."""

    def __init__(self, core: Host, block_io: int) -> None:
        self._core, self._block_io = core, block_io

    def record(self) -> EFI_BLOCK_IO_MEDIA:
        """The record."""
        memory = self._core.memory
        at = memory.u64(self._block_io + EFI_BLOCK_IO_PROTOCOL.offset("Media"))
        return EFI_BLOCK_IO_MEDIA.unpack_from(memory.read(at, EFI_BLOCK_IO_MEDIA.SIZE))


class DiskIo(Driver):
    """Publishes EFI_DISK_IO_PROTOCOL on every handle with Block IO."""

    name = "cloudboot Disk IO driver"
    protocol = BLOCK_IO

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._block_io: dict[int, int] = {}
        self._interfaces: dict[int, int] = {}

    def supports(self, handle: int) -> bool:
        """Every handle with Block IO."""
        return self.core.handles.pointer(handle, DISK_IO) is None

    def start(self, handle: int) -> int:
        """Publish Disk IO."""
        core = self.core
        block_io = core.handles.pointer(handle, BLOCK_IO)
        if block_io is None:
            return Status.UNSUPPORTED
        interface = core.publisher.publish(
            EFI_DISK_IO_PROTOCOL,
            {"ReadDisk": self._read_disk, "WriteDisk": lambda *_: Status.WRITE_PROTECTED},
        )
        self._block_io[interface] = block_io
        self._interfaces[handle] = interface
        core.handles.install(handle, DISK_IO, interface)
        return Status.SUCCESS

    def stop(self, handle: int) -> int:
        """Take Disk IO away."""
        status = self.core.protocols.remove(handle, DISK_IO, self._interfaces[handle])
        if not is_error(status):
            interface = self._interfaces.pop(handle)
            del self._block_io[interface]
            self.core.allocator.pool.free(interface)
        return status

    def _read_disk(self, this: int, media_id: int, offset: int, size: int, buffer: int) -> int:
        block_io = self._block_io.get(this)
        if block_io is None:
            return Status.INVALID_PARAMETER
        media = Media(self.core, block_io).record()
        if media_id != media.MediaId:
            return Status.MEDIA_CHANGED
        block = media.BlockSize
        if not 0 < block <= SCRATCH_SIZE or offset + size > (media.LastBlock + 1) * block:
            return Status.INVALID_PARAMETER
        memory = self.core.memory
        read = memory.u64(block_io + EFI_BLOCK_IO_PROTOCOL.offset("ReadBlocks"))
        call = self.core.machine.call
        while size:
            lba, skip = divmod(offset, block)
            if skip == 0 and size >= block:
                count = size - size % block
                status = call(read, block_io, media.MediaId, lba, count, buffer)
            else:
                count = min(size, block - skip)
                with self.core.allocator.scratch() as bounce:
                    status = call(read, block_io, media.MediaId, lba, block, bounce)
                    if not is_error(status):
                        memory.write(buffer, memory.read(bounce + skip, count))
            if is_error(status):
                return status
            offset, size, buffer = offset + count, size - count, buffer + count
        return Status.SUCCESS


class DiskIoStorage:
    """A handle's Disk IO as a storage for Python's codecs.

    Raises (reads):
        TruncatedError: the read passes the end of the medium.
        ServiceError: Disk IO refused the read.
    """

    def __init__(self, core: Host, handle: int) -> None:
        self._core = core
        self._disk_io = core.handles.pointer(handle, DISK_IO) or 0
        self._media = Media(core, core.handles.pointer(handle, BLOCK_IO) or 0)
        record = self._media.record()
        self.block_size = record.BlockSize
        self._media_id = record.MediaId
        self._size = (record.LastBlock + 1) * record.BlockSize

    @property
    def size(self) -> int:
        """Size of the medium in bytes."""
        return self._size

    def read_at(self, offset: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``offset``."""
        data = bytearray(size)
        self.readinto_at(offset, data)
        return bytes(data)

    def readinto_at(self, offset: int, buffer: Buffer) -> None:
        """Fill ``buffer`` from ``offset``."""
        view = memoryview(buffer).cast("B")
        if offset < 0 or offset + len(view) > self._size:
            raise TruncatedError("the read passes the end", offset=offset, expected=len(view))
        memory, call = self._core.memory, self._core.machine.call
        function = memory.u64(self._disk_io + EFI_DISK_IO_PROTOCOL.offset("ReadDisk"))
        done = 0
        with self._core.allocator.scratch() as scratch:
            while done < len(view):
                count = min(SCRATCH_SIZE, len(view) - done)
                status = call(function, self._disk_io, self._media_id, offset + done, count, scratch)
                if is_error(status):
                    raise ServiceError(f"ReadDisk at byte {offset + done}", status)
                view[done : done + count] = memory.window(scratch, count)
                done += count
