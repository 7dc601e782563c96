"""PE32+ images as UEFI loads them: reading, relocating, hashing, certificates, SBAT, and writing small ones."""

from __future__ import annotations

from .authenticode import authenticode_digest, authenticode_ranges, checksum
from .certificates import Certificate, certificates, with_certificates, without_certificates
from .check import check
from .elf import image_from_elf
from .image import DataDirectory, Directory, PEImage, Section
from .relocations import Relocation, RelocationType
from .sbat import SbatEntry, pack_sbat, parse_sbat, sbat
from .writer import NewSection, write_image

__all__ = [
    "Certificate",
    "DataDirectory",
    "Directory",
    "NewSection",
    "PEImage",
    "Relocation",
    "RelocationType",
    "SbatEntry",
    "Section",
    "authenticode_digest",
    "authenticode_ranges",
    "certificates",
    "check",
    "checksum",
    "image_from_elf",
    "pack_sbat",
    "parse_sbat",
    "sbat",
    "with_certificates",
    "without_certificates",
    "write_image",
]
