"""The boot sector, and the sizes that follow from it."""

from __future__ import annotations

from cloudboot_base.lightdata import dataclass
from cloudboot_ntfs.errors import BootSectorError, VolumeTruncatedError

from .constants import MAX_CLUSTER, SECTOR
from .records import BootSector


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes of a volume, in bytes where no other unit is named."""

    sector_size: int
    cluster_size: int
    total_sectors: int
    record_size: int
    index_size: int
    mft_lcn: int
    mftmirr_lcn: int
    serial: int
    hidden_sectors: int = 0

    @property
    def clusters(self) -> int:
        """Clusters of the volume; the last sectors may belong to none."""
        return self.total_sectors * self.sector_size // self.cluster_size

    @property
    def index_vcn_size(self) -> int:
        """The unit of VCNs in indexes: the cluster, or 512 bytes where a cluster is larger than an index block."""
        return self.cluster_size if self.cluster_size <= self.index_size else SECTOR

    @property
    def mirror_records(self) -> int:
        """Records that $MFTMirr repeats: four, or those of a cluster."""
        return max(4, self.cluster_size // self.record_size)

    @property
    def backup_offset(self) -> int:
        """Where the backup boot sector stands: after the last sector of the volume."""
        return self.total_sectors * self.sector_size


def _power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


def size_of(value: int, cluster_size: int) -> int:
    """Bytes of an MFT record or index block from the boot sector's field."""
    return 1 << -value if value < 0 else value * cluster_size


def field_of(size: int, cluster_size: int) -> int:
    """The boot sector's field for MFT records or index blocks of ``size`` bytes."""
    return size // cluster_size if size >= cluster_size else -(size.bit_length() - 1)


def parse(data: bytes, volume_size: int, *, truncated: bool = False) -> Geometry:
    """The geometry that a boot sector states; with ``truncated`` the volume may be larger than ``volume_size``.

    Raises:
        VolumeTruncatedError: fewer than 512 bytes, or more sectors than the volume has.
        BootSectorError: not the boot sector of NTFS, or a value that cannot be.
    """
    if len(data) < BootSector.SIZE:
        raise VolumeTruncatedError(
            "the volume is too short", structure="BootSector", offset=0, expected=BootSector.SIZE, actual=len(data)
        )
    boot = BootSector.unpack_from(data)
    if boot.oem_id != b"NTFS    ":
        raise BootSectorError(
            "not an NTFS volume",
            structure="BootSector",
            field="oem_id",
            offset=3,
            expected=b"NTFS    ",
            actual=boot.oem_id,
        )
    sector = boot.bytes_per_sector
    _demand(_power_of_two(sector) and 256 <= sector <= 4096, "bytes_per_sector", 11, "256 to 4096", sector)
    per_cluster = boot.sectors_per_cluster
    if per_cluster > 0x80:
        _demand(per_cluster >= 0xF0, "sectors_per_cluster", 13, "a power of two", per_cluster)
        per_cluster = 1 << (256 - per_cluster)
    cluster = sector * per_cluster
    _demand(
        _power_of_two(per_cluster) and cluster <= MAX_CLUSTER, "sectors_per_cluster", 13, "a power of two", per_cluster
    )
    sizes = []
    for name, place, value in (
        ("clusters_per_record", 64, boot.clusters_per_record),
        ("clusters_per_index", 68, boot.clusters_per_index),
    ):
        _demand(value >= -31 and value != 0, name, place, "a size", value)
        size = size_of(value, cluster)
        _demand(_power_of_two(size) and 512 <= size <= 1 << 16, name, place, "a power of two from 512 to 65536", size)
        sizes.append(size)
    total = boot.total_sectors
    if not total or (total * sector > volume_size and not truncated):
        raise VolumeTruncatedError(
            "the volume has fewer sectors than its boot sector says", structure="BootSector", field="total_sectors",
            offset=40, expected=f"at most {volume_size // sector}", actual=total,
        )  # fmt: skip
    found = Geometry(
        sector, cluster, total, sizes[0], sizes[1], boot.mft_lcn, boot.mftmirr_lcn, boot.serial, boot.hidden_sectors
    )
    for name, place, lcn in (("mft_lcn", 48, boot.mft_lcn), ("mftmirr_lcn", 56, boot.mftmirr_lcn)):
        _demand(lcn < found.clusters, name, place, f"below {found.clusters}", lcn)
    return found


def _demand(holds: bool, field: str, offset: int, expected: str, actual: object) -> None:
    if not holds:
        raise BootSectorError(
            "the value cannot be", structure="BootSector", field=field, offset=offset, expected=expected, actual=actual
        )


#: A processor that boots from the volume stops: sti; hlt; jmp back. There is no loader for BIOS.
_BOOT_CODE = b"\xfb\xf4\xeb\xfd"


def pack(geometry: Geometry) -> bytes:
    """The boot sector of a geometry."""
    per_cluster = geometry.cluster_size // geometry.sector_size
    sector = BootSector(
        jump=b"\xeb\x52\x90",
        oem_id=b"NTFS    ",
        bytes_per_sector=geometry.sector_size,
        sectors_per_cluster=per_cluster if per_cluster <= 0x80 else 256 - (per_cluster.bit_length() - 1),
        media=0xF8,
        sectors_per_track=63,
        heads=255,
        hidden_sectors=geometry.hidden_sectors & 0xFFFFFFFF,
        signature=0x00800080,
        total_sectors=geometry.total_sectors,
        mft_lcn=geometry.mft_lcn,
        mftmirr_lcn=geometry.mftmirr_lcn,
        clusters_per_record=field_of(geometry.record_size, geometry.cluster_size),
        clusters_per_index=field_of(geometry.index_size, geometry.cluster_size),
        serial=geometry.serial,
        boot_code=_BOOT_CODE.ljust(426, b"\0"),
        end_signature=0xAA55,
    )
    return sector.pack()
