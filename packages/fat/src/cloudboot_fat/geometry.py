"""Where everything is in a volume: pure arithmetic on the numbers of the boot sector.

fatgen103, "FAT Data Structure" and "FAT Type Determination".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cloudboot_base.lightdata import dataclass

from .errors import BootSectorError
from .records import BPB, BPB32, DirectoryEntry, ExtendedBootRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_records import Record

FatType = Literal[12, 16, 32]

#: Most data clusters of each type: the next type starts with one more.
MAX_CLUSTERS: dict[FatType, int] = {12: 4084, 16: 65524, 32: 0x0FFFFFF5}
MIN_CLUSTERS: dict[FatType, int] = {12: 1, 16: 4085, 32: 65525}
#: FAT entries from here on end a chain; the one before marks a bad cluster.
END_OF_CHAIN: dict[FatType, int] = {12: 0xFF8, 16: 0xFFF8, 32: 0x0FFFFFF8}
ENTRY_MASK: dict[FatType, int] = {12: 0xFFF, 16: 0xFFFF, 32: 0x0FFFFFFF}

ENTRY_SIZE = DirectoryEntry.SIZE
#: "A FAT directory can have at most 65,536 entries": Windows and Linux refuse more.
MAX_DIRECTORY_SIZE = 65536 * ENTRY_SIZE
MAX_FILE_SIZE = 0xFFFFFFFF
EXTENDED_BOOT_SIGNATURE = 0x29
BOOT_SIGNATURE = b"\x55\xaa"
FSI_LEAD_SIGNATURE, FSI_STRUCT_SIGNATURE, FSI_TRAIL_SIGNATURE = 0x41615252, 0x61417272, 0xAA550000
FSI_UNKNOWN = 0xFFFFFFFF
BPB32_OFFSET = BPB.SIZE
MEDIA = frozenset({0xF0, *range(0xF8, 0x100)})
#: What other file systems call themselves where FAT has ``BS_OEMName``.
_FOREIGN = {b"EXFAT   ": "exFAT", b"NTFS    ": "NTFS", b"-FVE-FS-": "BitLocker", b"ReFS\0\0\0\0": "ReFS"}


@dataclass(frozen=True, slots=True)
class Geometry:
    """The layout of a volume. Sizes and offsets are in bytes from its start unless the name says sectors."""

    fat_type: FatType
    sector_size: int
    sectors_per_cluster: int
    reserved_sectors: int
    fats: int
    fat_sectors: int
    root_entries: int
    total_sectors: int
    media: int = 0xF8
    sectors_per_track: int = 63
    heads: int = 255
    hidden_sectors: int = 0
    root_cluster: int = 0
    fsinfo_sector: int = 0
    backup_sector: int = 0
    active_fat: int | None = None

    @property
    def cluster_size(self) -> int:
        """Bytes per cluster."""
        return self.sector_size * self.sectors_per_cluster

    @property
    def size(self) -> int:
        """Bytes of the volume."""
        return self.total_sectors * self.sector_size

    @property
    def fat_size(self) -> int:
        """Bytes of one FAT."""
        return self.fat_sectors * self.sector_size

    def fat_offset(self, copy: int = 0) -> int:
        """Where a copy of the FAT starts."""
        return (self.reserved_sectors + copy * self.fat_sectors) * self.sector_size

    @property
    def main_fat(self) -> int:
        """The copy that counts: the active one if mirroring is off, else the first."""
        return self.active_fat or 0

    @property
    def live_fats(self) -> range:
        """The copies that are kept up to date."""
        return range(self.fats) if self.active_fat is None else range(self.active_fat, self.active_fat + 1)

    @property
    def root_offset(self) -> int:
        """Where the fixed root directory of FAT12 and FAT16 starts."""
        return self.fat_offset(self.fats)

    @property
    def root_size(self) -> int:
        """Bytes of the fixed root directory, whole sectors; 0 on FAT32."""
        return -(-self.root_entries * ENTRY_SIZE // self.sector_size) * self.sector_size

    @property
    def data_offset(self) -> int:
        """Where cluster 2 starts."""
        return self.root_offset + self.root_size

    @property
    def counted_clusters(self) -> int:
        """Data clusters that the sectors hold: "CountofClusters" of the specification."""
        return (self.size - self.data_offset) // self.cluster_size

    @property
    def clusters(self) -> int:
        """Data clusters that can be used: no more than the FAT has entries for, as Linux and GRUB have it."""
        return min(self.counted_clusters, self.fat_size * 8 // self.fat_type - 2)

    @property
    def end_cluster(self) -> int:
        """One more than the highest cluster number; the first is 2."""
        return self.clusters + 2

    def cluster_offset(self, cluster: int) -> int:
        """Where a cluster starts."""
        return self.data_offset + (cluster - 2) * self.cluster_size

    @property
    def end_of_chain(self) -> int:
        """The lowest FAT entry that ends a chain."""
        return END_OF_CHAIN[self.fat_type]

    @property
    def entry_mask(self) -> int:
        """The bits of a FAT entry that hold a cluster number."""
        return ENTRY_MASK[self.fat_type]

    @property
    def extended_offset(self) -> int:
        """Where the extended boot record is in the boot sector."""
        return BPB32_OFFSET + (BPB32.SIZE if self.fat_type == 32 else 0)


def is_jump(jump: bytes) -> bool:
    """Whether ``BS_jmpBoot`` is one of the two jumps of the specification."""
    return jump[0] == 0xE9 or (jump[0] == 0xEB and jump[2] == 0x90)


def parse(sector: bytes) -> Geometry:
    """The geometry a boot sector describes.

    A boot sector without its signature is read if it starts with a jump and has a media byte: Linux, mtools and
    firmware do not look at the signature. A FAT with fewer entries than the volume has clusters limits what is used.

    A volume whose ``BPB_FATSz16`` is 0 has the FAT32 boot sector and is FAT32 even below 65,525 clusters: mkfs.fat
    makes such volumes on request, and Linux reads them (edk2 and mtools do not). Otherwise the count of clusters
    decides.

    Raises:
        BootSectorError: the first field that cannot be right.
        TruncatedError: fewer than 512 bytes.
    """
    bpb = BPB.unpack_from(sector)
    bpb32 = BPB32.unpack_from(sector, BPB32_OFFSET) if bpb.BPB_FATSz16 == 0 else None
    for error in _problems(sector, bpb, bpb32):
        if bpb.BS_OEMName in _FOREIGN:
            error.hint = f"the boot sector is that of {_FOREIGN[bpb.BS_OEMName]}"
        raise error
    is_fat32 = bpb32 is not None
    geometry = _geometry(bpb, bpb32, 32 if is_fat32 else 16)
    if geometry.data_offset >= geometry.size:
        raise _wrong(bpb, "BPB_RsvdSecCnt", "the metadata leave no room for data", actual=geometry.data_offset)
    if not is_fat32 and geometry.counted_clusters <= MAX_CLUSTERS[12]:
        geometry = _geometry(bpb, None, 12)
    _check_counts(bpb, bpb32, geometry)
    return geometry


def _geometry(bpb: BPB, bpb32: BPB32 | None, fat_type: FatType) -> Geometry:
    active = None
    if bpb32 is not None and bpb32.BPB_ExtFlags & 0x80:
        active = bpb32.BPB_ExtFlags & 0x0F
    return Geometry(
        fat_type=fat_type,
        sector_size=bpb.BPB_BytsPerSec,
        sectors_per_cluster=bpb.BPB_SecPerClus,
        reserved_sectors=bpb.BPB_RsvdSecCnt,
        fats=bpb.BPB_NumFATs,
        fat_sectors=bpb.BPB_FATSz16 if bpb32 is None else bpb32.BPB_FATSz32,
        root_entries=bpb.BPB_RootEntCnt,
        total_sectors=bpb.BPB_TotSec16 or bpb.BPB_TotSec32,
        media=bpb.BPB_Media,
        sectors_per_track=bpb.BPB_SecPerTrk,
        heads=bpb.BPB_NumHeads,
        hidden_sectors=bpb.BPB_HiddSec,
        root_cluster=0 if bpb32 is None else bpb32.BPB_RootClus,
        fsinfo_sector=0 if bpb32 is None else bpb32.BPB_FSInfo,
        backup_sector=0 if bpb32 is None else bpb32.BPB_BkBootSec,
        active_fat=active,
    )


def _problems(sector: bytes, bpb: BPB, bpb32: BPB32 | None) -> Iterator[BootSectorError]:
    """The rules of single fields, in an order that tells a foreign sector from a damaged one."""
    size = bpb.BPB_BytsPerSec
    if sector[510:512] != BOOT_SIGNATURE and not (is_jump(bpb.BS_jmpBoot) and bpb.BPB_Media in MEDIA):
        yield BootSectorError(
            "no boot signature", structure="BPB", offset=510, expected=BOOT_SIGNATURE, actual=sector[510:512]
        )
    if size not in {512, 1024, 2048, 4096}:
        yield _wrong(bpb, "BPB_BytsPerSec", "not a sector size", expected="512, 1024, 2048 or 4096")
    per_cluster = bpb.BPB_SecPerClus
    if per_cluster == 0 or per_cluster & (per_cluster - 1):
        yield _wrong(bpb, "BPB_SecPerClus", "not a cluster size", expected="a power of two")
    if bpb.BPB_RsvdSecCnt == 0:
        yield _wrong(bpb, "BPB_RsvdSecCnt", "no room for the boot sector", expected="at least 1")
    if bpb.BPB_NumFATs == 0:
        yield _wrong(bpb, "BPB_NumFATs", "no FAT", expected="at least 1")
    if bpb.BPB_TotSec16 == 0 and bpb.BPB_TotSec32 == 0:
        yield _wrong(bpb, "BPB_TotSec32", "no sectors")
    if bpb32 is not None:
        if bpb.BPB_RootEntCnt != 0:
            yield _wrong(bpb, "BPB_RootEntCnt", "FAT32 has no fixed root directory", expected=0)
        if bpb32.BPB_FATSz32 == 0:
            yield _wrong(bpb32, "BPB_FATSz32", "no FAT")
        if bpb32.BPB_FSVer != 0:
            yield _wrong(bpb32, "BPB_FSVer", "a version this package does not know", expected=0)
        if bpb32.BPB_ExtFlags & 0x80 and bpb32.BPB_ExtFlags & 0x0F >= bpb.BPB_NumFATs:
            yield _wrong(bpb32, "BPB_ExtFlags", "the active FAT is not there", expected=f"below {bpb.BPB_NumFATs}")
    elif bpb.BPB_RootEntCnt == 0:
        yield _wrong(bpb, "BPB_RootEntCnt", "no root directory", expected="at least 1")


def _check_counts(bpb: BPB, bpb32: BPB32 | None, geometry: Geometry) -> None:
    fat_type, clusters = geometry.fat_type, geometry.clusters
    if clusters <= 0:
        raise _wrong(bpb, "BPB_TotSec32", "no data cluster", actual=geometry.total_sectors)
    if clusters > MAX_CLUSTERS[fat_type]:
        raise BootSectorError(
            f"too many clusters for FAT{fat_type}", structure="BPB", expected=MAX_CLUSTERS[fat_type], actual=clusters
        )
    if bpb32 is not None and not 2 <= geometry.root_cluster < geometry.end_cluster:
        raise _wrong(bpb32, "BPB_RootClus", "not a cluster", expected=f"2 to {geometry.end_cluster - 1}")


def _wrong(
    record: Record, field: str, message: str, *, expected: object = None, actual: object = None
) -> BootSectorError:
    base = 0 if isinstance(record, BPB) else BPB32_OFFSET
    return BootSectorError(
        message,
        structure=type(record).__name__,
        field=field,
        offset=base + record.LAYOUT.offsets[field],
        expected=expected,
        actual=getattr(record, field) if actual is None else actual,
    )


def extended_record(sector: bytes, geometry: Geometry) -> ExtendedBootRecord:
    """Serial number and label as the boot sector has them."""
    return ExtendedBootRecord.unpack_from(sector, geometry.extended_offset)
