"""Partitions: a Block IO child for each entry of a GPT, an MBR or a boot catalogue (UEFI 2.10 chapter 5, 13.3.2)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cloudboot_gpt
from cloudboot_base import Error, Window
from cloudboot_gpt.records import MasterBootRecord
from cloudboot_uefi_abi.device_path import CdRom, HardDrive
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.protocols.storage import EFI_PARTITION_INFO_PROTOCOL
from cloudboot_uefi_abi.status import Status, is_error
from cloudboot_uefi_host.core.device_paths import END, body
from cloudboot_uefi_host.core.handles import OpenAttribute
from cloudboot_uefi_host.protocols.block_io import BlockDevice, publish_block_io

from .binding import BLOCK_IO, DEVICE_PATH, DISK_IO, Driver
from .disk_io import DiskIoStorage, Media
from .el_torito import SECTOR, read_catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_uefi_host.core.core import Core

PARTITION_INFO: Final = GUIDS["EFI_PARTITION_INFO_PROTOCOL"].bytes_le
_MBR_SIGNATURE: Final = 0xAA55
_INFO_OTHER, _INFO_MBR, _INFO_GPT = range(3)


@dataclass(frozen=True, slots=True)
class _Found:
    """A partition: its device path node, its place in blocks, and its EFI_PARTITION_INFO_PROTOCOL.

    ``type`` is the GUID of a GPT partition's type.
    """

    node: bytes
    first: int
    blocks: int
    info: bytes
    type: bytes | None = None


class Partition(Driver):
    """Publishes Block IO for each partition of a medium that is no partition itself."""

    name = "cloudboot partition driver"
    protocol = DISK_IO

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._children: dict[int, BlockDevice] = {}

    def supports(self, handle: int) -> bool:
        """A medium that is present and no partition."""
        handles = self.core.handles
        block_io = handles.pointer(handle, BLOCK_IO)
        if block_io is None or handles.pointer(handle, DEVICE_PATH) is None:
            return False
        media = Media(self.core, block_io).record()
        return bool(media.MediaPresent) and not media.LogicalPartition

    def start(self, handle: int) -> int:
        """Publish the partitions; EFI_NOT_FOUND if there is no table."""
        core = self.core
        parent = core.protocols.device_path(handle)
        if parent is None:
            return Status.UNSUPPORTED
        storage = DiskIoStorage(core, handle)
        found = list(self._partitions(storage))
        if not found:
            return Status.NOT_FOUND
        block = storage.block_size
        for each in found:
            window = Window(storage, each.first * block, each.blocks * block)
            child = publish_block_io(
                core, window, body(parent) + each.node + END, block_size=block, logical_partition=True
            )
            core.handles.install(child.handle, PARTITION_INFO, core.allocator.place(each.info))
            if each.type is not None:  # as EDK2 does: the type is a protocol without functions
                core.handles.install(child.handle, each.type, 0)
            core.protocols.open(handle, DISK_IO, self.handle, child.handle, OpenAttribute.BY_CHILD_CONTROLLER)
            self._children[child.handle] = child
        return Status.SUCCESS

    def _partitions(self, storage: DiskIoStorage) -> Iterator[_Found]:
        """The partitions of the first table that is valid: GPT, then MBR, then a CD's boot catalogue."""
        try:
            # As EDK2 does: any MBR with a protective entry, and the backup table where the primary is damaged.
            table = cloudboot_gpt.read(storage, sector_size=storage.block_size, backup="allow", mbr="hybrid")
        except Error as error:
            self.core.problems.append(f"no GPT: {error}")
            found = list(self._mbr(storage))
            yield from found or self._el_torito(storage)
            return
        for partition in table.partitions:
            node = HardDrive.gpt(partition.number, partition.first_lba, partition.blocks, partition.guid).pack()
            entry = struct.pack(
                "<16s16sQQQ72s", partition.type.bytes_le, partition.guid.bytes_le, partition.first_lba,
                partition.last_lba, partition.attributes, partition.name.encode("utf-16-le", "surrogatepass"),
            )  # fmt: skip
            system = partition.type == GUIDS["EFI_PART_TYPE_EFI_SYSTEM_PART"]
            info = self._info(_INFO_GPT, entry, system=system)
            yield _Found(node, partition.first_lba, partition.blocks, info, partition.type.bytes_le)

    def _el_torito(self, storage: DiskIoStorage) -> Iterator[_Found]:
        """The boot images of a CD, as CDROM nodes; block numbers are the medium's own."""
        try:
            entries = read_catalogue(storage)
        except Error as error:
            self.core.problems.append(f"no boot catalogue: {error}")
            return
        block = storage.block_size
        for entry in entries:
            start = entry.sector * SECTOR
            size = entry.size or storage.size - start
            node = CdRom(entry.number, start // block, size // block).pack()
            yield _Found(node, start // block, size // block, self._info(_INFO_OTHER, b"", system=True))

    def _mbr(self, storage: DiskIoStorage) -> Iterator[_Found]:
        try:
            record = MasterBootRecord.unpack_from(storage.read_at(0, MasterBootRecord.SIZE))
        except Error:
            return
        if record.Signature != _MBR_SIGNATURE:
            return
        last = storage.size // storage.block_size
        used = [
            (number, each) for number, each in enumerate(record.PartitionRecord, 1) if each.OSType and each.SizeInLBA
        ]
        # A boot sector of FAT ends with the same signature; what is there then is no partition record.
        if any(each.BootIndicator not in {0, 0x80} or each.StartingLBA + each.SizeInLBA > last for _, each in used):
            return
        for number, each in used:
            node = HardDrive.mbr(number, each.StartingLBA, each.SizeInLBA, record.UniqueMBRDiskSignature).pack()
            info = self._info(_INFO_MBR, each.pack(), system=each.OSType == 0xEF)
            yield _Found(node, each.StartingLBA, each.SizeInLBA, info)

    @staticmethod
    def _info(kind: int, entry: bytes, *, system: bool) -> bytes:
        return EFI_PARTITION_INFO_PROTOCOL.pack({"Type": kind, "System": int(system), "Info": entry.ljust(128, b"\0")})

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
