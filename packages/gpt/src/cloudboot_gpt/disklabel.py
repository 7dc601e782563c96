"""BSD disklabels: the partitions inside an MBR slice of FreeBSD, NetBSD or OpenBSD, or of a disk without an MBR.

No standard describes them; the systems' ``sys/disklabel.h`` do. They are read as libblkid reads them (one label, behind
the first sector of the slice or where some machines keep it; entries that are not inside the slice belong to other
slices and are left out), with OpenBSD's upper 16 bits, and with FreeBSD's rule for offsets: those of its slices count
from partition ``c``, which is the slice itself. Only little-endian labels are read, as every machine with UEFI has.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from cloudboot_base import Window, open_storage
from cloudboot_base.lightdata import dataclass

from . import partition_types
from .errors import DisklabelError, GPTError, RecordRangeError
from .records import BSDDisklabel, BSDPartitionEntry
from .table import SECTOR_SIZES, require_inside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from cloudboot_base import Storage

    from .reader import Source

MAGIC: Final = 0x82564557
MAX_ENTRIES: Final = 64
"""The most entries a label has: OpenBSD's MAXPARTITIONSUNIT; FreeBSD has 20, NetBSD 22."""

FREEBSD, OPENBSD, NETBSD = 0xA5, 0xA6, 0xA9
SLICES: Final = frozenset({FREEBSD, OPENBSD, NETBSD})
"""Types of MBR partitions in which a label is looked for."""

OTHER_TYPE: Final = 0xB500
"""Added to a ``p_fstype`` that no GPT type means the same as; no MBR type is as large."""

_RAW = 2  #: the index of ``c``, the whole slice or disk
_PLACES = (512, 64, 128)  #: where a label may begin, in bytes, besides the second sector
_HEAD = BSDDisklabel.SIZE
_FAT = _NTFS = partition_types.MICROSOFT_BASIC_DATA
_EXT2 = partition_types.LINUX
#: What each system calls ``p_fstype``, as the GPT type of the same meaning.
_TYPES: Final[dict[int, dict[int, UUID]]] = {
    FREEBSD: {
        1: partition_types.FREEBSD_SWAP, 7: partition_types.FREEBSD_UFS, 8: _FAT, 14: partition_types.FREEBSD_VINUM,
        17: _EXT2, 18: _NTFS, 27: partition_types.FREEBSD_ZFS,
    },
    NETBSD: {
        1: partition_types.NETBSD_SWAP, 7: partition_types.NETBSD_FFS, 8: _FAT, 9: partition_types.NETBSD_LFS,
        17: _EXT2, 18: _NTFS, 19: partition_types.NETBSD_RAID, 20: partition_types.NETBSD_CCD,
    },
    OPENBSD: {7: partition_types.OPENBSD, 8: _FAT, 17: _EXT2, 20: _NTFS},
}  # fmt: skip
_NAMES: Final = {1: "swap", 9: "lfs", 12: "iso9660", 13: "boot"}


@dataclass(frozen=True, slots=True)
class BSDPartition:
    """One partition of a disklabel.

    ``number`` follows those of the MBR. ``name`` is the slice's number and the letter (``"s2a"``), or the letter alone
    where the label is that of the disk. ``type`` is the GPT type of the same meaning where there is one, or
    :data:`OTHER_TYPE` plus ``fstype``.
    """

    number: int
    name: str
    type: UUID | int
    fstype: int
    slice: int | None
    offset: int
    size: int
    sector_size: int

    @property
    def first_lba(self) -> int:
        """The first block."""
        return self.offset // self.sector_size

    @property
    def blocks(self) -> int:
        """Its length, in blocks."""
        return self.size // self.sector_size

    @property
    def last_lba(self) -> int:
        """The last block, inclusive."""
        return (self.offset + self.size) // self.sector_size - 1

    @property
    def type_name(self) -> str | None:
        """A name of the type, or ``None`` for an unknown one."""
        return _NAMES.get(self.fstype) if isinstance(self.type, int) else partition_types.name_of(self.type)

    @property
    def guid(self) -> None:
        """Always ``None``: a disklabel has no GUIDs."""

    @property
    def bootable(self) -> bool:
        """Always ``False``: the slice is what is marked."""
        return False

    @property
    def is_extended(self) -> bool:
        """Always ``False``."""
        return False

    def window(self, storage: Storage) -> Window:
        """The partition's bytes as a storage, writable if the disk's is.

        Raises:
            TruncatedDiskError: ``storage`` ends before the partition does.
        """
        require_inside(storage, self.number, self.offset, self.size)
        return Window(storage, self.offset, self.size)

    def as_dict(self) -> dict[str, object]:
        """The partition, ready for JSON."""
        return {
            "number": self.number,
            "name": self.name,
            "type": str(self.type) if not isinstance(self.type, int) else f"{self.type:#06x}",
            "type_name": self.type_name,
            "fstype": self.fstype,
            "slice": self.slice,
            "first_lba": self.first_lba,
            "last_lba": self.last_lba,
            "offset": self.offset,
            "size": self.size,
        }


@dataclass(frozen=True, slots=True)
class DisklabelTable:
    """The partitions of a disk that has a disklabel and no MBR (or one that lists nothing)."""

    sector_size: int
    disk_blocks: int
    partitions: tuple[BSDPartition, ...]
    faults: tuple[GPTError, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Size of the disk, in bytes."""
        return self.disk_blocks * self.sector_size

    def partition(self, number: int) -> BSDPartition | None:
        """Partition ``number``, or ``None`` if there is none."""
        return next((partition for partition in self.partitions if partition.number == number), None)

    def as_dict(self) -> dict[str, object]:
        """The table, ready for JSON."""
        return {
            "scheme": "bsd",
            "sector_size": self.sector_size,
            "disk_blocks": self.disk_blocks,
            "size": self.size,
            "partitions": [partition.as_dict() for partition in self.partitions],
        }


@dataclass(frozen=True, slots=True)
class Slice:
    """Where a label is looked for: an MBR partition, in bytes, or the whole disk (``number`` ``None``)."""

    number: int | None
    type: int
    offset: int
    size: int
    sector_size: int


def read_disklabel(source: Source, *, sector_size: int = 512) -> DisklabelTable:
    """The partitions of the disklabel that stands at the start of a disk.

    Its types are taken for FreeBSD's: nothing in a label says which system wrote it.

    Raises:
        DisklabelError: there is none, or it is damaged.
        OSError: the path cannot be opened.
    """
    with open_storage(source) as opened:
        storage = opened.storage
        whole = Slice(None, FREEBSD, 0, storage.size, sector_size)
        label = _read_label(storage, whole)
        if label is None:
            raise DisklabelError(
                "no BSD disklabel", structure="BSDDisklabel", field="d_magic", offset=sector_size,
                expected=f"{MAGIC:#010x}",
            )  # fmt: skip
        faults: list[GPTError] = []
        found = tuple(_partitions(label, whole, 1, faults, storage.size))
    return DisklabelTable(sector_size, storage.size // sector_size, found, tuple(faults))


def is_labelled(storage: Storage, sector_size: int) -> bool:
    """Whether a disk starts with a disklabel, whole or damaged."""
    try:
        return _read_label(storage, Slice(None, FREEBSD, 0, storage.size, sector_size)) is not None
    except DisklabelError:
        return True


def nested(storage: Storage, place: Slice, number: int, faults: list[GPTError]) -> Iterator[BSDPartition]:
    """The partitions of a slice that has a label, numbered from ``number``; what is wrong goes to ``faults``."""
    try:
        label = _read_label(storage, place)
    except DisklabelError as error:
        faults.append(error)
        return
    if label is not None:
        yield from _partitions(label, place, number, faults, storage.size)


def _read_label(storage: Storage, place: Slice) -> bytes | None:
    """The label of a slice, as far as its last entry; ``None`` where there is none."""
    for inside in dict.fromkeys((place.sector_size, *_PLACES)):
        at = place.offset + inside
        if inside + _HEAD > place.size or at + _HEAD > storage.size:
            continue
        head = BSDDisklabel.unpack_from(storage.read_at(at, _HEAD))
        if head.d_magic != MAGIC or head.d_magic2 != MAGIC:
            continue
        length = _HEAD + head.d_npartitions * BSDPartitionEntry.SIZE
        if not 0 < head.d_npartitions <= MAX_ENTRIES or at + length > storage.size:
            raise _damaged("d_npartitions", at, place, f"1 to {MAX_ENTRIES}", head.d_npartitions)
        if head.d_secsize not in SECTOR_SIZES:
            raise _damaged("d_secsize", at, place, SECTOR_SIZES, head.d_secsize)
        label = bytes(storage.read_at(at, length))
        total = 0
        for (word,) in struct.iter_unpack("<H", label):
            total ^= word
        if total:
            expected = total ^ head.d_checksum
            raise _damaged("d_checksum", at, place, f"{expected:#06x}", f"{head.d_checksum:#06x}")
        return label
    return None


def _damaged(field: str, at: int, place: Slice, expected: object, actual: object) -> DisklabelError:
    at += BSDDisklabel.LAYOUT.offsets[field]
    return DisklabelError(
        "a damaged BSD disklabel", structure="BSDDisklabel", field=field, offset=at, partition=place.number,
        expected=expected, actual=actual,
    )  # fmt: skip


def _partitions(
    label: bytes, place: Slice, number: int, faults: list[GPTError], disk_size: int
) -> Iterator[BSDPartition]:
    head = BSDDisklabel.unpack_from(label)
    entries = [
        BSDPartitionEntry.unpack_from(label, _HEAD + index * BSDPartitionEntry.SIZE)
        for index in range(head.d_npartitions)
    ]
    wide = place.type == OPENBSD and head.d_version >= 1
    base = 0
    if place.type == FREEBSD and len(entries) > _RAW:
        base = place.offset // head.d_secsize - entries[_RAW].p_offset
    # The slice of a dedicated disk covers it by definition, whatever size its record gives.
    end = place.offset + place.size if place.offset else disk_size
    for index, entry in enumerate(entries):
        first = entry.p_offset | (entry.p_offseth << 32 if wide else 0)
        count = entry.p_size | (entry.p_sizeh << 32 if wide else 0)
        offset, size = (first + base) * head.d_secsize, count * head.d_secsize
        letter = _letter(index)
        if not entry.p_fstype or not size:
            continue
        if not place.offset <= offset < end:
            continue  # an entry for another slice, as OpenBSD and NetBSD make them
        if offset + size > end:
            faults.append(
                RecordRangeError(
                    f"partition {letter} of the disklabel leaves its {'slice' if place.offset else 'disk'}",
                    structure="BSDPartitionEntry", field="p_size", partition=place.number or index + 1,
                    expected=f"1 to {(end - offset) // head.d_secsize}", actual=count,
                )
            )  # fmt: skip
            continue
        name = letter if place.number is None else f"s{place.number}{letter}"
        kind = _type(place.type, entry.p_fstype)
        yield BSDPartition(number, name, kind, entry.p_fstype, place.number, offset, size, place.sector_size)
        number += 1


def _letter(index: int) -> str:
    """``a`` to ``z``, then ``A`` to ``Z`` and numbers, as OpenBSD goes on."""
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return letters[index] if index < len(letters) else str(index + 1)


def _type(system: int, fstype: int) -> UUID | int:
    return _TYPES[system].get(fstype, OTHER_TYPE + fstype)
