"""How a volume is laid out."""

from __future__ import annotations

import hashlib

from cloudboot_base.lightdata import dataclass
from cloudboot_ntfs.errors import NoSpaceError, OptionError
from cloudboot_ntfs.layout.boot import Geometry
from cloudboot_ntfs.upcase import units

MIB = 1 << 20
#: The smallest volume: the files that it consists of, and some room.
MIN_SIZE = 2 * MIB
_MAX_LABEL = 32

#: Everybody may do everything, as on a volume that mkntfs made.
EVERYONE = "O:BAG:BAD:(A;OICI;FA;;;WD)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a volume is laid out. Sizes are in bytes.

    ``cluster_size`` is by default that of Windows for the size of the volume: 4 KiB up to 16 TiB. ``serial`` follows
    from the label, the size and the tree, if it is not given. ``security`` is the SDDL of everything that has none of
    its own. ``fresh`` says that the target reads as zeros, so that holes can stay holes.
    """

    label: str = ""
    cluster_size: int | None = None
    record_size: int | None = None
    sector_size: int = 512
    serial: int | None = None
    hidden_sectors: int = 0
    #: of the files that the volume consists of, in nanoseconds since 1970
    timestamp_ns: int = 0
    security: str = EVERYONE
    #: bytes of $LogFile; by default 2 MiB, or less on a small volume
    log_size: int | None = None
    #: keep names that differ only in case, as POSIX names
    case_sensitive: bool = False
    #: refuse names that Windows' own interface cannot open
    windows_names: bool = False
    fresh: bool = False


def _power(value: int, least: int, most: int, name: str) -> None:
    if not least <= value <= most or value & (value - 1):
        raise OptionError(f"the {name} is a power of two", field=name, expected=f"{least} to {most}", actual=value)


def default_cluster(size: int) -> int:
    """The cluster that Windows takes for a volume of ``size`` bytes."""
    cluster = 4096
    while size > cluster << 32 and cluster < 1 << 21:
        cluster *= 2
    return cluster


def check(options: Options) -> None:
    """Refuse options that no volume can have.

    Raises:
        OptionError: a size out of range, or a label that is too long.
    """
    _power(options.sector_size, 512, 4096, "sector_size")
    if options.cluster_size is not None:
        _power(options.cluster_size, options.sector_size, 65536, "cluster_size")
    if options.record_size is not None and options.record_size not in (1024, 4096):
        raise OptionError("an MFT record has 1024 or 4096 bytes", field="record_size", actual=options.record_size)
    if len(units(options.label)) > _MAX_LABEL:
        raise OptionError(
            "the label is too long", field="label", expected=f"{_MAX_LABEL} UTF-16 units", actual=options.label
        )
    if options.serial is not None and not 0 <= options.serial < 1 << 64:
        raise OptionError("the serial number has 64 bits", field="serial", actual=options.serial)


def plan(options: Options, size: int, digest: bytes = b"") -> Geometry:
    """The geometry of a volume in ``size`` bytes; where $MFT goes is not known yet.

    Raises:
        OptionError: options that cannot be met.
        NoSpaceError: too small for any volume.
    """
    check(options)
    if size < MIN_SIZE:
        raise NoSpaceError("too small for a volume", needed=MIN_SIZE, available=size)
    sector = options.sector_size
    cluster = options.cluster_size or max(default_cluster(size), sector)
    record = options.record_size or max(1024, sector)
    if record < sector:
        raise OptionError("an MFT record is smaller than a sector", field="record_size", expected=sector, actual=record)
    serial = options.serial
    if serial is None:
        text = f"{options.label}\0{size}\0{cluster}\0{record}\0".encode("utf-8", "surrogatepass")
        serial = int.from_bytes(hashlib.sha256(text + digest).digest()[:8], "little")
    total = size // sector - 1  # the last sector is the backup of the first
    return Geometry(sector, cluster, total, record, 4096, 0, 0, serial, options.hidden_sectors)


def log_size(options: Options, geometry: Geometry) -> int:
    """Bytes of $LogFile, a multiple of the cluster."""
    size = geometry.backup_offset
    wanted = options.log_size
    if wanted is None:
        wanted = 2 * MIB if size >= 32 * MIB else 512 * 1024 if size >= 8 * MIB else 256 * 1024
    return -(-max(wanted, 256 * 1024) // geometry.cluster_size) * geometry.cluster_size
