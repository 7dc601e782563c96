"""FAT over Disk IO, with cloudboot_fat: EDK2's driver decides which volumes are taken and which bytes can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_base import Error
from cloudboot_fat import FatReader
from cloudboot_fat.geometry import parse
from cloudboot_fat.records import BPB, BPB32, DirectoryEntry
from cloudboot_uefi_abi.device_path import DevicePath
from cloudboot_uefi_abi.status import Status, is_error
from cloudboot_uefi_host.errors import ServiceError
from cloudboot_uefi_host.protocols.file_system import FILE_SYSTEM, FileSystemPublisher, publish_file_system
from cloudboot_uefi_host.volumes import FatVolume, UnreadableVolume

from .binding import BLOCK_IO, DISK_IO, Driver
from .disk_io import DiskIoStorage

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from cloudboot_uefi_host.core.core import Core
    from cloudboot_uefi_host.volumes import Volume

_BOOT_SECTOR: Final = 512
_SECTOR_SIZES: Final = (512, 1024, 2048, 4096)
_MEDIA: Final = frozenset({0x00, 0x01, 0xF0, *range(0xF8, 0x100)})
_MIRRORING_OFF: Final = 0x80
_FAT12_ENDS, _FAT16_ENDS = 4085, 65525
"""Clusters with which a volume is FAT16, and FAT32."""
_SMALL_PAGE, _LARGE_PAGE = 1 << 13, 1 << 16
"""Bytes of a page in the driver's cache of data, on FAT12 and on the other types."""


class _Geometry:
    """What EDK2's driver computes from a boot sector, and why it refuses the volume: ``refusal``.

    It looks at neither the signature nor the jump of the boot sector, and not at the size of the medium.
    """

    def __init__(self, sector: bytes) -> None:
        bpb, bpb32 = BPB.unpack_from(sector), BPB32.unpack_from(sector, BPB.SIZE)
        self.wide = bpb.BPB_FATSz16 == 0
        sectors = bpb.BPB_TotSec16 or bpb.BPB_TotSec32
        fat_sectors = bpb32.BPB_FATSz32 if self.wide else bpb.BPB_FATSz16
        size = bpb.BPB_BytsPerSec
        root_sectors = 0 if self.wide or not size else -(-bpb.BPB_RootEntCnt * DirectoryEntry.SIZE // size)
        root = bpb.BPB_RsvdSecCnt + bpb.BPB_NumFATs * fat_sectors
        self.size, self.fat, self.root = sectors * size, bpb.BPB_RsvdSecCnt * size, root * size
        self.clusters = (sectors - root - root_sectors) // (bpb.BPB_SecPerClus or 1)
        self.refusal = self._refusal(bpb, bpb32, sectors, fat_sectors)

    def _refusal(self, bpb: BPB, bpb32: BPB32, sectors: int, fat_sectors: int) -> str | None:
        per_cluster = bpb.BPB_SecPerClus
        if not (bpb.BPB_RsvdSecCnt and bpb.BPB_NumFATs and sectors):
            return "BPB_RsvdSecCnt, BPB_NumFATs or BPB_TotSec is 0"
        if bpb.BPB_BytsPerSec not in _SECTOR_SIZES:
            return f"BPB_BytsPerSec is {bpb.BPB_BytsPerSec}"
        if not per_cluster or per_cluster & (per_cluster - 1):
            return f"BPB_SecPerClus is {per_cluster}"
        if bpb.BPB_Media not in _MEDIA:
            return f"BPB_Media is {bpb.BPB_Media:#x}"
        if not self.wide:
            if not bpb.BPB_RootEntCnt:
                return "BPB_RootEntCnt is 0"
            return None if 0 <= self.clusters < _FAT16_ENDS else f"{self.clusters} clusters are not FAT12 or FAT16"
        if not fat_sectors or bpb32.BPB_FSVer:
            return "BPB_FATSz32 is 0, or BPB_FSVer is not"
        if bpb32.BPB_ExtFlags & _MIRRORING_OFF:
            return "BPB_ExtFlags turns mirroring of the FAT off"
        # A negative count is a large one there: the subtraction is not signed.
        if 0 <= self.clusters < _FAT16_ENDS:
            return f"{self.clusters} clusters are too few for FAT32"
        return None

    @property
    def page(self) -> int:
        """Bytes that are read from the data area at once."""
        return _SMALL_PAGE if not self.wide and self.clusters < _FAT12_ENDS else _LARGE_PAGE

    @property
    def dirty_mark(self) -> int:
        """Up to where the FAT has to be readable when the volume is mounted: entry 1 on FAT16 and FAT32."""
        entry = 4 if self.wide else 2
        return 0 if self.page == _SMALL_PAGE else self.fat + 2 * entry


class _VolumeStorage:
    """A medium as a storage of the size that the boot sector states, which may be more than the medium has.

    Where the medium ends early, what shares a page of EDK2's cache with missing bytes cannot be read either.

    Raises (reads):
        ServiceError: the read passes the end of the medium (EFI_INVALID_PARAMETER) or of the volume
            (EFI_VOLUME_CORRUPTED), or Disk IO refused it.
    """

    def __init__(self, medium: DiskIoStorage, geometry: _Geometry, sector: bytes) -> None:
        self._medium, self._geometry, self._sector = medium, geometry, sector
        self.size = geometry.size

    def read_at(self, offset: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``offset``; the boot sector is not read a second time."""
        if offset == 0 and size == len(self._sector):
            return self._sector
        self._check(offset, size)
        return self._medium.read_at(offset, size)

    def readinto_at(self, offset: int, buffer: Buffer) -> None:
        """Fill ``buffer`` from ``offset``."""
        self._check(offset, memoryview(buffer).nbytes)
        self._medium.readinto_at(offset, buffer)

    def _check(self, offset: int, size: int) -> None:
        end, root, page = offset + size, self._geometry.root, self._geometry.page
        if end > self.size:
            raise ServiceError(f"the read up to byte {end} passes the volume of {self.size}", Status.VOLUME_CORRUPTED)
        if end > root:
            end = min(self.size, root + -(-(end - root) // page) * page)
        if end > self._medium.size:
            raise ServiceError(
                f"the read at byte {offset} needs bytes up to {end}; the medium has {self._medium.size}",
                Status.INVALID_PARAMETER,
            )


class Fat(Driver):
    """Publishes a Simple File System on every handle whose medium holds a volume that EDK2's driver takes."""

    name = "cloudboot FAT driver"
    protocol = DISK_IO

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._published: dict[int, FileSystemPublisher] = {}

    def _volume(self, handle: int) -> Volume | None:
        try:
            medium = DiskIoStorage(self.core, handle)
            sector = medium.read_at(0, _BOOT_SECTOR)
            geometry = _Geometry(sector)
            if geometry.refusal is not None or geometry.dirty_mark > min(medium.size, geometry.size):
                self._tell(handle, sector, geometry)
                return None
        except Error:
            return None
        try:
            return FatVolume(FatReader(_VolumeStorage(medium, geometry, sector)))
        except Error as error:
            return UnreadableVolume(error)

    def _tell(self, handle: int, sector: bytes, geometry: _Geometry) -> None:
        """Say that a volume is refused that other readers take."""
        try:
            parse(sector)
        except Error:
            return
        path = self.core.path_of(handle)
        place = "a medium without a path" if path is None else str(DevicePath.parse(path))
        reason = geometry.refusal or "the medium ends before the second entry of the FAT"
        problem = f"{place}: EDK2's FAT driver refuses the volume: {reason}"
        if problem not in self.core.problems:
            self.core.problems.append(problem)

    def supports(self, handle: int) -> bool:
        """A medium with a FAT boot sector and no file system yet."""
        handles = self.core.handles
        if handles.pointer(handle, BLOCK_IO) is None or handles.pointer(handle, FILE_SYSTEM) is not None:
            return False
        return self._volume(handle) is not None

    def start(self, handle: int) -> int:
        """Publish the file system."""
        volume = self._volume(handle)
        if volume is None:
            return Status.UNSUPPORTED
        self._published[handle] = publish_file_system(self.core, handle, volume)
        return Status.SUCCESS

    def stop(self, handle: int) -> int:
        """Take the file system away."""
        status = self.core.protocols.remove(handle, FILE_SYSTEM, self._published[handle].interface)
        if not is_error(status):
            del self._published[handle]
        return status
