"""The files that a volume consists of: what their records hold."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import dataclass
from cloudboot_ntfs import upcase
from cloudboot_ntfs.layout import attrdef
from cloudboot_ntfs.layout.attribute import pack_non_resident
from cloudboot_ntfs.layout.constants import (
    EXTEND_NAMES,
    SYSTEM_NAMES,
    Collation,
    FileAttribute,
    Namespace,
    Number,
    RecordFlag,
    Type,
    reference,
)
from cloudboot_ntfs.layout.filename import Name, namespace_of
from cloudboot_ntfs.layout.index import pack_entry
from cloudboot_ntfs.layout.records import VolumeInformation
from cloudboot_ntfs.layout.runlist import Run, encode
from cloudboot_ntfs.security import sid_bytes

from .placement import Allocator, contiguous, resident
from .plan import make_index, standard_information
from .record import Packed, capacity
from .secure import SYSTEM_READ, SYSTEM_WRITE

if TYPE_CHECKING:
    from cloudboot_ntfs.layout.boot import Geometry

    from .options import Options
    from .plan import Blocks
    from .secure import Descriptors

BOOT_SIZE: Final = 8192
_HIDDEN: Final = FileAttribute.HIDDEN | FileAttribute.SYSTEM
#: The stream $Info of $UpCase: its size, and a checksum of the table, the same on every volume of Windows 7 and later.
_UPCASE_INFO: Final = bytes.fromhex("20000000000000000c691b6b777edcda").ljust(32, b"\0")
#: The quotas of Windows: none. Owner 1 is the default, 0x100 the administrators.
_QUOTA_VERSION, _QUOTA_FLAGS, _QUOTA_ADMINISTRATORS = 2, 1, 0x100


@dataclass(slots=True)
class SystemFile:
    """A file of the volume: its attributes beside $STANDARD_INFORMATION and $FILE_NAME, and the sizes of its data."""

    number: int
    sequence: int
    flags: int
    attributes: list[Packed]
    size: int = 0
    allocated: int = 0


def sequence_of(number: int) -> int:
    """The sequence number of a file of the volume: its record, but 1 for $MFT and for what is in $Extend."""
    return number if 0 < number < 24 else 1


def name_of(found: SystemFile, time: int) -> Name:
    """The $FILE_NAME of a file of the volume."""
    number = found.number
    extra = FileAttribute.DIRECTORY if found.flags & RecordFlag.DIRECTORY else 0
    if found.flags & RecordFlag.VIEW_INDEX:
        extra |= FileAttribute.VIEW_INDEX
    is_extended = number in EXTEND_NAMES
    if is_extended:
        extra |= FileAttribute.ARCHIVE
    name = EXTEND_NAMES[Number(number)] if is_extended else SYSTEM_NAMES[Number(number)]
    parent = Number.EXTEND if is_extended else Number.ROOT
    kind = namespace_of(name) if not is_extended else Namespace.WIN32_AND_DOS
    where = reference(parent, sequence_of(parent))
    return Name(where, time, time, time, time, found.allocated, found.size, int(_HIDDEN | extra), 0, kind, name)


def attributes_of(found: SystemFile, time: int, descriptors: Descriptors) -> list[Packed]:
    """All attributes of a file of the volume, in order."""
    writable = found.number in (Number.VOLUME, Number.LOG_FILE) or found.number not in SYSTEM_NAMES
    security = descriptors.id_of(SYSTEM_WRITE if writable else SYSTEM_READ)
    attributes = _HIDDEN | (FileAttribute.ARCHIVE if found.number in EXTEND_NAMES else 0)
    packed = [standard_information(time, int(attributes), security)]
    if found.number in SYSTEM_NAMES or found.number in EXTEND_NAMES:
        packed.append(resident(Type.FILE_NAME, name_of(found, time).pack(), indexed=True))
    return packed + found.attributes


def in_clusters(number: int, lcn: int, size: int, geometry: Geometry) -> SystemFile:
    """A file of the volume with its data in clusters that follow one another."""
    allocated = -(-size // geometry.cluster_size) * geometry.cluster_size
    packed = contiguous(Type.DATA, lcn, size, geometry.cluster_size)
    return SystemFile(number, sequence_of(number), RecordFlag.IN_USE, packed, size, allocated)


def volume_file(options: Options) -> SystemFile:
    """$Volume: label, and version 3.1, clean."""
    packed = []
    if options.label:
        packed.append(resident(Type.VOLUME_NAME, options.label.encode("utf-16-le", "surrogatepass")))
    packed.append(resident(Type.VOLUME_INFORMATION, VolumeInformation(0, 3, 1, 0).pack()))
    packed.append(resident(Type.DATA, b""))
    return SystemFile(Number.VOLUME, sequence_of(Number.VOLUME), RecordFlag.IN_USE, packed)


def bad_clusters(geometry: Geometry) -> SystemFile:
    """$BadClus: its stream $Bad is a hole as large as the volume."""
    size = geometry.clusters * geometry.cluster_size
    runs = encode([Run(0, geometry.clusters, None)])
    bad = pack_non_resident(
        Type.DATA, runs, clusters=geometry.clusters, allocated=size, size=size, initialized=0, name="$Bad"
    )
    packed = [resident(Type.DATA, b""), Packed(Type.DATA, "$Bad", bad)]
    return SystemFile(Number.BAD_CLUS, sequence_of(Number.BAD_CLUS), RecordFlag.IN_USE, packed)


def upcase_file(lcn: int, geometry: Geometry) -> SystemFile:
    """$UpCase, with its stream $Info."""
    found = in_clusters(Number.UP_CASE, lcn, upcase.SIZE, geometry)
    found.attributes.append(resident(Type.DATA, _UPCASE_INFO, "$Info"))
    return found


def secure_file(
    lcn: int, descriptors: Descriptors, geometry: Geometry, allocator: Allocator
) -> tuple[SystemFile, list[Blocks]]:
    """$Secure, and the blocks of its indexes with the clusters they start at."""
    packed = contiguous(Type.DATA, lcn, len(descriptors.stream()), geometry.cluster_size, "$SDS")
    room = capacity(geometry.record_size) // 2 - 240
    blocks: list[Blocks] = []
    indexes = []
    for name, entries, order in (
        ("$SDH", descriptors.by_hash(), Collation.SECURITY_HASH),
        ("$SII", descriptors.by_id(), Collation.ULONG),
    ):
        index, own = make_index(entries, name, geometry, room, allocator, order)
        indexes += index
        blocks += own
    packed += sorted(indexes, key=Packed.sort_key)
    flags = RecordFlag.IN_USE | RecordFlag.VIEW_INDEX
    return SystemFile(Number.SECURE, sequence_of(Number.SECURE), flags, packed), blocks


def extend_files(
    time: int, reparse_keys: list[bytes], geometry: Geometry, allocator: Allocator
) -> tuple[list[SystemFile], list[Blocks]]:
    """$Extend and what is in it; the blocks of $Reparse:$R with the cluster they start at."""
    flags = int(RecordFlag.IN_USE | RecordFlag.EXTEND | RecordFlag.VIEW_INDEX)
    small = capacity(geometry.record_size) - 300
    quota = _quota_indexes(time, geometry)
    object_ids, _ = make_index([], "$O", geometry, small, allocator, Collation.ULONGS)
    reparse, blocks = make_index(reparse_keys, "$R", geometry, small, allocator, Collation.ULONGS)
    below = [
        SystemFile(Number.QUOTA, 1, flags, quota),
        SystemFile(Number.OBJ_ID, 1, flags, object_ids),
        SystemFile(Number.REPARSE, 1, flags, reparse),
    ]
    names = sorted(
        ((name_of(each, time), reference(each.number, 1)) for each in below),
        key=lambda each: upcase.upcase(each[0].name),
    )
    entries = [pack_entry(name.pack(), reference=where) for name, where in names]
    index, _ = make_index(entries, "$I30", geometry, 1 << 10, allocator)
    directory = int(RecordFlag.IN_USE | RecordFlag.DIRECTORY)
    return [SystemFile(Number.EXTEND, sequence_of(Number.EXTEND), directory, index), *below], blocks


def _quota_indexes(time: int, geometry: Geometry) -> list[Packed]:
    """$O finds an owner's number by SID, $Q the quota by number: none is tracked."""
    administrators = sid_bytes("BA")
    unlimited = struct.pack("<IIQQqqQ", _QUOTA_VERSION, _QUOTA_FLAGS, 0, time, -1, -1, 0)
    owners = [pack_entry(administrators, data=struct.pack("<I", _QUOTA_ADMINISTRATORS))]
    quotas = [
        pack_entry(struct.pack("<I", 1), data=unlimited),
        pack_entry(struct.pack("<I", _QUOTA_ADMINISTRATORS), data=unlimited + administrators),
    ]
    packed = make_index(owners, "$O", geometry, 1 << 10, Allocator(), Collation.SID)[0]
    packed += make_index(quotas, "$Q", geometry, 1 << 10, Allocator(), Collation.ULONG)[0]
    return packed


def reserved(number: int) -> SystemFile:
    """A record that is kept for later versions of Windows."""
    return SystemFile(number, sequence_of(number), RecordFlag.IN_USE, [resident(Type.DATA, b"")])


def attribute_definitions() -> bytes:
    """The content of $AttrDef."""
    return attrdef.table()
