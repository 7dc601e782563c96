"""From options and a size to a geometry: which FAT type, which cluster size, how long the FATs are.

fatgen103, "FAT Type Determination" and "FAT Volume Initialization".
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from cloudboot_base.lightdata import NamedTuple, dataclass, replace

from . import times
from .entries import label_field
from .errors import NoSpaceError, OptionError
from .geometry import ENTRY_SIZE, MAX_CLUSTERS, MIN_CLUSTERS, FatType, Geometry

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

#: "Stay away from these cut-off values by 16 clusters or so": some drivers are off by a few.
SAFETY_MARGIN = 16
MAX_CLUSTER_SIZE = 32 * KIB
MAX_SECTORS = 0xFFFFFFFF
FAT32_RESERVED_SECTORS = 32
FSINFO_SECTOR, BACKUP_SECTOR = 1, 6
DEFAULT_ROOT_ENTRIES = 512

#: ``DskTableFAT16`` and ``DskTableFAT32``: up to this many bytes, clusters of this many.
_CLUSTERS_FAT16 = (
    (32680 * 512, KIB), (128 * MIB, 2 * KIB), (256 * MIB, 4 * KIB), (512 * MIB, 8 * KIB), (GIB, 16 * KIB),
)  # fmt: skip
_CLUSTERS_FAT32 = ((260 * MIB, 512), (8 * GIB, 4 * KIB), (16 * GIB, 8 * KIB), (32 * GIB, 16 * KIB))
_SMALLEST_FAT16 = 8401 * 512
_SMALLEST_FAT32 = 512 * MIB

#: The translation BIOSes use for disks: up to this many bytes, sectors per track and heads.
_CHS = (
    (2 * MIB, 16, 2), (16 * MIB, 32, 2), (32 * MIB, 32, 4), (128 * MIB, 32, 8),
    (504 * MIB, 63, 16), (1008 * MIB, 63, 32), (2016 * MIB, 63, 64), (4032 * MIB, 63, 128),
)  # fmt: skip


class Floppy(NamedTuple):
    """What drivers expect of a diskette of a standard size."""

    cluster_size: int
    root_entries: int
    media: int
    sectors_per_track: int
    heads: int


FLOPPIES = {
    320 * KIB: Floppy(1024, 112, 0xFF, 8, 2),
    360 * KIB: Floppy(1024, 112, 0xFD, 9, 2),
    720 * KIB: Floppy(1024, 112, 0xF9, 9, 2),
    1200 * KIB: Floppy(512, 224, 0xF9, 15, 2),
    1440 * KIB: Floppy(512, 224, 0xF0, 18, 2),
    2880 * KIB: Floppy(1024, 240, 0xF0, 36, 2),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatOptions:
    """How to format a volume. The same options and the same tree give the same bytes.

    Attributes:
        fat_type: 12, 16 or 32; ``None`` lets the size and the tree decide.
        sector_size: 512, 1024, 2048 or 4096.
        cluster_size: bytes, a power of two up to 32 KiB; ``None`` takes the specification's tables.
        label: up to 11 ASCII characters; stored in upper case.
        serial: 32-bit volume serial number; ``None`` derives it from everything else.
        timestamp: of every entry; without a zone it is stored as it is, else as UTC.
        hidden_sectors: sectors (of ``sector_size``) before the volume on its disk: the partition's first LBA.
        fats: copies of the FAT, 1 or 2.
        root_entries: of the fixed root directory of FAT12 and FAT16, filling whole sectors; ``None`` takes 512, or more
            for a larger tree.
        reserved_sectors: at least so many; more follow where the data area needs them to start on a whole cluster.
        fresh: the storage reads as zeros (a new sparse file); zeros are then never written.
        oem_name: ``BS_OEMName``.

    Raises:
        OptionError, InvalidNameError, RangeError: an option, the label or the timestamp is not possible.
    """

    fat_type: FatType | None = None
    sector_size: int = 512
    cluster_size: int | None = None
    label: str = ""
    serial: int | None = None
    timestamp: dt.datetime = times.EPOCH
    hidden_sectors: int = 0
    fats: int = 2
    root_entries: int | None = None
    reserved_sectors: int = 1
    fresh: bool = False
    oem_name: bytes = b"MSWIN4.1"

    def __post_init__(self) -> None:
        if self.fat_type not in {None, 12, 16, 32}:
            raise _bad("fat_type", "12, 16 or 32", self.fat_type)
        if self.sector_size not in {512, 1024, 2048, 4096}:
            raise _bad("sector_size", "512, 1024, 2048 or 4096", self.sector_size)
        if self.cluster_size is not None and self.cluster_size not in self.cluster_sizes:
            raise _bad(
                "cluster_size", f"a power of two from {self.sector_size} to {MAX_CLUSTER_SIZE}", self.cluster_size
            )
        if self.serial is not None and not 0 <= self.serial <= 0xFFFFFFFF:
            raise _bad("serial", "32 bits", self.serial)
        if not 0 <= self.hidden_sectors <= 0xFFFFFFFF:
            raise _bad("hidden_sectors", "32 bits", self.hidden_sectors)
        if self.fats not in {1, 2}:
            raise _bad("fats", "1 or 2", self.fats)
        per_sector = self.sector_size // ENTRY_SIZE  # Linux mounts no volume whose root directory ends inside a sector
        if self.root_entries is not None and self.root_entries not in range(per_sector, 0x10000, per_sector):
            raise _bad("root_entries", f"a multiple of {per_sector} below 65536", self.root_entries)
        if not 1 <= self.reserved_sectors <= 0x8000:
            raise _bad("reserved_sectors", "1 to 32768", self.reserved_sectors)
        if len(self.oem_name) > 8:
            raise _bad("oem_name", "at most 8 bytes", self.oem_name)
        label_field(self.label)
        times.encode(self.timestamp)

    @property
    def cluster_sizes(self) -> list[int]:
        """The cluster sizes this sector size allows, ascending."""
        return [size for shift in range(9, 16) if (size := 1 << shift) >= self.sector_size]


def _bad(field: str, expected: str, actual: object) -> OptionError:
    return OptionError("not possible", structure="FormatOptions", field=field, expected=expected, actual=actual)


class Needs(NamedTuple):
    """What a tree asks of a volume."""

    clusters: Callable[[FatType, int], int]  # (FAT type, cluster size) -> clusters
    root_entries: int

    def of(self, fat_type: FatType, cluster_size: int) -> int:
        """Clusters of files and directories at a FAT type and cluster size."""
        return self.clusters(fat_type, cluster_size)


#: An empty volume: FAT32 keeps its root directory in a cluster.
EMPTY = Needs(lambda fat_type, _size: 1 if fat_type == 32 else 0, 1)


def choose(size: int, options: FormatOptions, needs: Needs = EMPTY) -> Geometry:
    """The geometry of a volume of ``size`` bytes that has room for ``needs``.

    The specification's own choice comes first; where it is too small for the tree, other cluster sizes and then other
    FAT types are tried, so far as the options leave them open.

    Raises:
        NoSpaceError: nothing fits; ``expected`` is the smallest size that would.
        OptionError: no geometry meets the options at this size.
    """
    sectors = size // options.sector_size
    if sectors > MAX_SECTORS:
        raise OptionError("the volume has more sectors than 32 bits count", expected=MAX_SECTORS, actual=sectors)
    possible = False
    for geometry in _candidates(sectors, options, needs.root_entries):
        possible = True
        if geometry.clusters >= needs.of(geometry.fat_type, geometry.cluster_size):
            return geometry
    smallest = smallest_size(options, needs)
    if possible or size < smallest:
        raise NoSpaceError("the volume is too small", expected=f"at least {smallest} bytes", actual=size)
    raise OptionError(
        _impossible(options),
        structure="FormatOptions",
        expected=_range(options),
        actual=f"{size} bytes",
        hint="leave fat_type or cluster_size open, or take another size",
    )


def smallest_size(options: FormatOptions, needs: Needs = EMPTY) -> int:
    """Bytes of the smallest volume :func:`choose` accepts for ``needs``.

    Raises:
        NoSpaceError: none is large enough.
    """
    sizes = []
    for fat_type in _types(options):
        for cluster_size in _cluster_sizes(options):
            wanted = max(needs.of(fat_type, cluster_size), MIN_CLUSTERS[fat_type] + _low_margin(fat_type))
            if wanted <= MAX_CLUSTERS[fat_type] - SAFETY_MARGIN:
                sectors = _sectors_for(wanted, fat_type, cluster_size, options, needs.root_entries)
                if sectors is not None:
                    sizes.append(sectors * options.sector_size)
    if not sizes:
        raise NoSpaceError(
            "no volume of this FAT type and cluster size holds so much",
            structure="FormatOptions",
            actual=_name(options),
        )
    return min(sizes)


def _sectors_for(
    wanted: int, fat_type: FatType, cluster_size: int, options: FormatOptions, root_entries: int
) -> int | None:
    """The fewest sectors that hold ``wanted`` clusters, or ``None``."""

    def enough(sectors: int) -> bool:
        geometry = _lay_out(sectors, fat_type, cluster_size, options, root_entries)
        return geometry is not None and geometry.clusters >= wanted

    per_cluster = cluster_size // options.sector_size
    low = wanted * per_cluster
    if low > MAX_SECTORS:
        return None
    # Two FATs of 4 bytes a cluster, the reserved sectors and a root directory never take as much again.
    high = min(MAX_SECTORS, 2 * low + 2 * (options.reserved_sectors + per_cluster) + 0x2000)
    found = bisect_left(range(low, high), True, key=enough) + low
    return found if enough(found) else None


def _types(options: FormatOptions) -> list[FatType]:
    return [12, 16, 32] if options.fat_type is None else [options.fat_type]


def _cluster_sizes(options: FormatOptions) -> list[int]:
    return options.cluster_sizes if options.cluster_size is None else [options.cluster_size]


def _low_margin(fat_type: FatType) -> int:
    return 0 if fat_type == 12 else SAFETY_MARGIN


def _candidates(sectors: int, options: FormatOptions, root_entries: int) -> Iterator[Geometry]:
    """Every geometry the options allow at this size, the specification's own choice first."""
    size = sectors * options.sector_size
    floppy = FLOPPIES.get(size)
    if floppy is not None and options.sector_size == 512 and options.fat_type in {None, 12}:
        yield from _valid(_floppy(sectors, floppy, options, root_entries))
    preferred: FatType = 12 if size < _SMALLEST_FAT16 else 16 if size < _SMALLEST_FAT32 else 32
    for fat_type in sorted(_types(options), key=lambda fat_type: (fat_type != preferred, fat_type)):
        best = _preferred_cluster(size, fat_type, options)
        for cluster_size in sorted(
            _cluster_sizes(options), key=lambda each: (max(each, best) // min(each, best), each)
        ):
            yield from _valid(_lay_out(sectors, fat_type, cluster_size, options, root_entries))


def _valid(geometry: Geometry | None) -> Iterator[Geometry]:
    if geometry is None:
        return
    fat_type, clusters = geometry.fat_type, geometry.clusters
    low, high = MIN_CLUSTERS[fat_type] + _low_margin(fat_type), MAX_CLUSTERS[fat_type] - SAFETY_MARGIN
    if low <= clusters <= high:
        yield geometry


def _preferred_cluster(size: int, fat_type: FatType, options: FormatOptions) -> int:
    if fat_type == 12:
        return next(
            (each for each in options.cluster_sizes if size // each <= MAX_CLUSTERS[12] - SAFETY_MARGIN),
            MAX_CLUSTER_SIZE,
        )
    table = _CLUSTERS_FAT16 if fat_type == 16 else _CLUSTERS_FAT32
    return max(options.sector_size, next((cluster for limit, cluster in table if size <= limit), MAX_CLUSTER_SIZE))


def _root_entries(options: FormatOptions, default: int, needed: int) -> int | None:
    """Entries of the fixed root directory, a whole number of sectors; ``None`` if they are too many or too few."""
    per_sector = options.sector_size // ENTRY_SIZE
    if options.root_entries is not None:
        return options.root_entries if options.root_entries >= needed else None
    entries = -(-max(default, needed) // per_sector) * per_sector
    return entries if entries <= 0xFFFF else None


def _floppy(sectors: int, floppy: Floppy, options: FormatOptions, needed: int) -> Geometry | None:
    root_entries = _root_entries(options, floppy.root_entries, needed)
    if root_entries is None or options.cluster_size not in {None, floppy.cluster_size} or options.reserved_sectors != 1:
        return None
    geometry = Geometry(
        fat_type=12,
        sector_size=512,
        sectors_per_cluster=floppy.cluster_size // 512,
        reserved_sectors=1,
        fats=options.fats,
        fat_sectors=0,
        root_entries=root_entries,
        total_sectors=sectors,
        media=floppy.media,
        sectors_per_track=floppy.sectors_per_track,
        heads=floppy.heads,
        hidden_sectors=options.hidden_sectors,
    )
    return _with_fat(geometry, align=False)


def _lay_out(
    sectors: int, fat_type: FatType, cluster_size: int, options: FormatOptions, needed_root: int
) -> Geometry | None:
    """The geometry with the shortest FAT that counts all clusters, or ``None`` if nothing remains for data."""
    root_entries = 0 if fat_type == 32 else _root_entries(options, DEFAULT_ROOT_ENTRIES, needed_root)
    if root_entries is None:
        return None
    size = sectors * options.sector_size
    track, heads = next(((track, heads) for limit, track, heads in _CHS if size <= limit), (63, 255))
    is_fat32 = fat_type == 32
    geometry = Geometry(
        fat_type=fat_type,
        sector_size=options.sector_size,
        sectors_per_cluster=cluster_size // options.sector_size,
        reserved_sectors=max(options.reserved_sectors, FAT32_RESERVED_SECTORS if is_fat32 else 1),
        fats=options.fats,
        fat_sectors=0,
        root_entries=root_entries,
        total_sectors=sectors,
        sectors_per_track=track,
        heads=heads,
        hidden_sectors=options.hidden_sectors,
        root_cluster=2 if is_fat32 else 0,
        fsinfo_sector=FSINFO_SECTOR if is_fat32 else 0,
        backup_sector=BACKUP_SECTOR if is_fat32 else 0,
    )
    return _with_fat(geometry, align=True)


def _with_fat(geometry: Geometry, *, align: bool) -> Geometry | None:
    """``geometry`` with its FAT, and with reserved sectors so that cluster 2 starts on a multiple of its size."""
    sector, cluster = geometry.sector_size, geometry.sectors_per_cluster
    root = geometry.root_size // sector
    reserved, fats, total, bits = geometry.reserved_sectors, geometry.fats, geometry.total_sectors, geometry.fat_type

    def reserved_with(fat: int) -> int:
        return reserved + (-(reserved + fats * fat + root) % cluster if align else 0)

    def counts_all(fat: int) -> bool:
        clusters = (total - reserved_with(fat) - fats * fat - root) // cluster
        return fat * sector * 8 // bits >= clusters + 2

    most = -(-(total // cluster + 2) * bits // (8 * sector))
    fat = bisect_left(range(1, most + 1), True, key=counts_all) + 1
    reserved = reserved_with(fat)
    if total - reserved - fats * fat - root < cluster or reserved > 0xFFFF:
        return None
    return replace(geometry, reserved_sectors=reserved, fat_sectors=fat)


def _name(options: FormatOptions) -> str:
    kind = "FAT" if options.fat_type is None else f"FAT{options.fat_type}"
    return kind if options.cluster_size is None else f"{kind} with clusters of {options.cluster_size} bytes"


def _impossible(options: FormatOptions) -> str:
    return f"{_name(options)} is not possible at this size"


def _range(options: FormatOptions) -> str:
    """The sizes the options allow, roughly, for a person."""
    fat_type = options.fat_type or 32
    cluster = options.cluster_size or MAX_CLUSTER_SIZE
    most = min((MAX_CLUSTERS[fat_type] - SAFETY_MARGIN) * cluster, MAX_SECTORS * options.sector_size)
    return f"{smallest_size(options)} to about {most} bytes"
