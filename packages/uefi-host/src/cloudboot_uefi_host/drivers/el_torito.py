"""The boot catalogue of a CD (El Torito 1.0): where an ISO 9660 volume keeps its boot images."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cloudboot_base import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_base import Storage

SECTOR: Final = 2048
"""Bytes of a sector of ISO 9660; load addresses count these."""
VIRTUAL_SECTOR: Final = 512
"""Bytes of what sector counts count."""
EFI_PLATFORM: Final = 0xEF
_FIRST_DESCRIPTOR: Final = 16
_MAX_DESCRIPTORS: Final = 64
_STANDARD: Final = b"CD001"
_BOOT_RECORD, _TERMINATOR = 0, 255
_SYSTEM: Final = b"EL TORITO SPECIFICATION".ljust(32, b"\0")
_CATALOGUE_AT: Final = 0x47
_VOLUME_SPACE_AT: Final = 80
_ENTRY: Final = 32
_VALIDATION, _HEADER, _LAST_HEADER, _EXTENSION, _BOOTABLE = 0x01, 0x90, 0x91, 0x44, 0x88
_KEY: Final = b"\x55\xaa"
_MAX_ENTRIES: Final = SECTOR // _ENTRY


class CatalogueError(FormatError):
    """A boot catalogue breaks its format."""


@dataclass(frozen=True, slots=True)
class BootEntry:
    """A bootable image: its number in the catalogue from 0, its platform, first sector (2048 bytes) and size in bytes.

    A size of 0 is not stated: the image goes up to the end of the medium. ``sectors`` is the count of virtual sectors
    as it stands in the catalogue, ``media`` the kind of drive that a BIOS emulates, 0 for none.
    """

    number: int
    platform: int
    sector: int
    size: int
    sectors: int = 0
    media: int = 0


def find_catalogue(storage: Storage) -> int | None:
    """The sector of the boot catalogue; ``None`` where the medium has no ISO 9660 volume, or one without a catalogue.

    Raises:
        CatalogueError: the volume descriptors have no end.
    """
    for number in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + _MAX_DESCRIPTORS):
        if (number + 1) * SECTOR > storage.size:
            return None
        descriptor = storage.read_at(number * SECTOR, SECTOR)
        if descriptor[1:6] != _STANDARD:
            return None
        if descriptor[0] == _TERMINATOR:
            return None
        if descriptor[0] == _BOOT_RECORD and descriptor[7:39] == _SYSTEM:
            return int(struct.unpack_from("<I", descriptor, _CATALOGUE_AT)[0])
    raise CatalogueError(
        "the volume descriptors have no end", structure="Volume Descriptor", expected=f"at most {_MAX_DESCRIPTORS}"
    )


def is_iso9660(storage: Storage) -> bool:
    """Whether a medium begins with a volume descriptor of ISO 9660."""
    start = _FIRST_DESCRIPTOR * SECTOR
    return storage.size >= start + SECTOR and storage.read_at(start + 1, len(_STANDARD)) == _STANDARD


def volume_sectors(storage: Storage) -> int:
    """The size of the first volume in its sectors, 0 where the medium has none (ECMA-119 section 8.4.8)."""
    if not is_iso9660(storage):
        return 0
    return int(struct.unpack("<I", storage.read_at(_FIRST_DESCRIPTOR * SECTOR + _VOLUME_SPACE_AT, 4))[0])


def read_catalogue(storage: Storage) -> list[BootEntry]:
    """The bootable entries of a medium, in order; empty where it has no catalogue.

    Raises:
        CatalogueError: the catalogue lies: no validation entry, a wrong checksum, or an image outside the medium.
    """
    sector = find_catalogue(storage)
    if sector is None:
        return []
    place = sector * SECTOR
    if place + SECTOR > storage.size:
        raise CatalogueError(
            "the boot catalogue is outside the medium",
            structure="Boot Record Volume Descriptor", field="Absolute pointer", offset=place,
            expected=f"below {storage.size // SECTOR}", actual=sector,
        )  # fmt: skip
    data = storage.read_at(place, SECTOR)
    _check_validation(data, place)
    return list(_entries(data, place, storage.size))


def _check_validation(data: bytes, place: int) -> None:
    if data[0] != _VALIDATION or data[30:32] != _KEY:
        raise CatalogueError(
            "the catalogue does not start with a validation entry",
            structure="Validation Entry", field="Header ID", offset=place, expected=_VALIDATION, actual=data[0],
        )  # fmt: skip
    total = sum(struct.unpack("<16H", data[:_ENTRY])) & 0xFFFF
    if total:
        raise CatalogueError(
            "the validation entry's words do not add up to zero",
            structure="Validation Entry", field="Checksum", offset=place + 28, expected=0, actual=total,
        )  # fmt: skip


def _entries(data: bytes, place: int, size: int) -> Iterator[BootEntry]:
    platform, number, left, last = data[1], 0, 1, False
    for at in range(_ENTRY, _MAX_ENTRIES * _ENTRY, _ENTRY):
        kind = data[at]
        if left == 0:
            if last or kind not in {_HEADER, _LAST_HEADER}:
                return
            last, platform = kind == _LAST_HEADER, data[at + 1]
            left = int.from_bytes(data[at + 2 : at + 4], "little")
            continue
        if kind == _EXTENSION:
            continue
        left -= 1
        if kind == _BOOTABLE:
            count, sector = struct.unpack_from("<HI", data, at + 6)
            # No sector, one, or as many as 16 bits hold is what writers put where the size does not fit.
            length = count * VIRTUAL_SECTOR
            if count < 2 or sector * SECTOR + length > size:
                length = 0
            if sector * SECTOR + VIRTUAL_SECTOR > size:
                raise CatalogueError(
                    "a boot image is outside the medium",
                    structure="Section Entry", field="Load RBA", offset=place + at + 8,
                    expected=f"below {size // SECTOR}", actual=sector,
                )  # fmt: skip
            yield BootEntry(number, platform, sector, length, count, data[at + 1] & 0xF)
        number += 1
