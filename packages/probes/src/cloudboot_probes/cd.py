"""A CD as a disk: an ISO 9660 image whose boot catalogue has an entry for UEFI (UEFI 2.10 section 13.3.2.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudboot_base import Window
from cloudboot_uefi_host.drivers.el_torito import EFI_PLATFORM, SECTOR, find_catalogue, is_iso9660, read_catalogue

from .errors import NotBootableError

if TYPE_CHECKING:
    from cloudboot_base import Storage

_PLATFORMS = {0: "a BIOS", 1: "PowerPC", 2: "Mac", EFI_PLATFORM: "UEFI"}


@dataclass(frozen=True, slots=True)
class BootImage:
    """A boot image of a catalogue, with what :class:`cloudboot_gpt.MBRPartition` has; ``type`` is the platform.

    ``number`` counts the catalogue's entries from 0.
    """

    number: int
    type: int
    offset: int
    size: int
    sector_size: int = SECTOR

    @property
    def first_lba(self) -> int:
        """The first sector."""
        return self.offset // self.sector_size

    @property
    def last_lba(self) -> int:
        """The last sector, inclusive."""
        return (self.offset + self.size - 1) // self.sector_size

    @property
    def blocks(self) -> int:
        """Size in sectors."""
        return self.last_lba - self.first_lba + 1

    @property
    def type_name(self) -> str:
        """For which machines it is."""
        return f"boot image for {_PLATFORMS.get(self.type, f'platform {self.type:#x}')}"

    @property
    def name(self) -> str:
        """Always empty: a catalogue has no names."""
        return ""

    @property
    def guid(self) -> None:
        """Always ``None``: a catalogue has no GUIDs."""
        return

    def window(self, storage: Storage) -> Window:
        """The image's bytes."""
        return Window(storage, self.offset, self.size)

    def as_dict(self) -> dict[str, object]:
        """The image, ready for JSON."""
        return {
            "number": self.number,
            "type": self.type,
            "type_name": self.type_name,
            "first_lba": self.first_lba,
            "last_lba": self.last_lba,
            "size": self.size,
        }


@dataclass(frozen=True)
class BootCatalogue:
    """The boot images of a CD. ``sector`` is the catalogue's own."""

    sector: int
    size: int
    partitions: tuple[BootImage, ...]
    sector_size: int = SECTOR

    def as_dict(self) -> dict[str, object]:
        """The catalogue, ready for JSON."""
        return {
            "scheme": "el-torito",
            "sector_size": self.sector_size,
            "size": self.size,
            "catalogue": self.sector,
            "partitions": [each.as_dict() for each in self.partitions],
        }


def read(storage: Storage) -> BootCatalogue | None:
    """The boot catalogue of a CD; ``None`` where the storage is no volume of ISO 9660.

    Raises:
        CatalogueError: the catalogue breaks its format.
        NotBootableError: there is no catalogue, or none of its entries is for UEFI.
    """
    if not is_iso9660(storage):
        return None
    sector = find_catalogue(storage)
    if sector is None:
        raise NotBootableError(
            "the image is an ISO 9660 volume without a boot catalogue", hint="a CD of data starts no machine"
        )
    entries = read_catalogue(storage)
    images = []
    for entry in entries:
        offset = entry.sector * SECTOR
        images.append(BootImage(entry.number, entry.platform, offset, entry.size or storage.size - offset))
    if not any(image.type == EFI_PLATFORM for image in images):
        found = ", ".join(f"entry {image.number} is a {image.type_name}" for image in images) or "it has no entry"
        raise NotBootableError(
            f"the CD's boot catalogue has no boot image for UEFI: {found}",
            hint="firmware needs an entry of platform 0xef with a FAT volume; a medium for a BIOS starts on no UEFI",
        )
    return BootCatalogue(sector, storage.size, tuple(images))
