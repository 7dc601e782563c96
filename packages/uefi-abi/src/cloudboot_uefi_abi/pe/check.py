"""What is wrong with a PE image that a loader takes: invariants of PE/COFF that some firmware or signing insists on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_base import Error, Finding

from .authenticode import authenticode_digest, checksum
from .certificates import ALIGNMENT, read_certificates
from .image import RELOCS_STRIPPED, Directory
from .sbat import sbat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .image import PEImage, Section

__all__ = ["check"]

_SECTION: Final = "IMAGE_SECTION_HEADER"
_OPTIONAL: Final = "IMAGE_OPTIONAL_HEADER64"
_MOVED: Final = 1 << 20  # how far an image is moved to see whether it can be


def check(image: PEImage) -> list[Finding]:
    """Every broken invariant of an image.

    A section is to start at a multiple of SectionAlignment, which a firmware with memory protection needs, behind the
    section before it; in the file it starts at a multiple of FileAlignment where the data before it end, since a gap is
    in no signature. CheckSum is zero or the file's. The certificate table is aligned, whole, and the end of the file.
    Relocations can be applied, and SBAT read.
    """
    findings = [*_sections(image), *_file(image), *_certificates(image)]
    stated, actual = image.optional.CheckSum, checksum(image)
    if stated not in {0, actual}:
        findings.append(
            Finding(
                "pe-checksum", "the checksum is not the file's", _OPTIONAL, "CheckSum", image.optional_offset + 64,
                actual, stated,
            )
        )  # fmt: skip
    stripped = image.file.Characteristics & RELOCS_STRIPPED
    for read in (
        lambda: authenticode_digest(image),
        lambda: image.load(image.optional.ImageBase + (0 if stripped else _MOVED)),
        lambda: sbat(image),
    ):
        try:
            read()
        except Error as error:
            findings.append(Finding.from_error(error))
    return findings


def _where(number: int, section: Section) -> dict[str, int | str]:
    return {"section": number, "name": section.name}


def _sections(image: PEImage) -> Iterator[Finding]:
    """The places of the sections in memory."""
    alignment = image.alignment
    end = image.optional.SizeOfHeaders
    for number, section in enumerate(image.sections):
        header, place = section.header, section.header_offset + 12
        if header.VirtualAddress % alignment:
            yield Finding(
                "section-alignment", "the section is not aligned", _SECTION, "VirtualAddress", place,
                f"a multiple of {alignment:#x}", header.VirtualAddress, _where(number, section),
            )  # fmt: skip
        if header.VirtualAddress < end:
            yield Finding(
                "section-overlap", "the section begins before the one before it ends", _SECTION, "VirtualAddress",
                place, f"at least {end:#x}", header.VirtualAddress, _where(number, section),
            )  # fmt: skip
        end = max(end, header.VirtualAddress + section.extent)


def _file(image: PEImage) -> Iterator[Finding]:
    """The places of the sections' data in the file."""
    alignment = image.optional.FileAlignment
    stored = [(number, section) for number, section in enumerate(image.sections) if section.header.SizeOfRawData]
    stored.sort(key=lambda each: each[1].header.PointerToRawData)
    for number, section in stored:
        start = section.header.PointerToRawData
        if alignment and start % alignment:
            yield Finding(
                "section-file-alignment", "the section's data are not aligned", _SECTION, "PointerToRawData",
                section.header_offset + 20, f"a multiple of {alignment:#x}", start, _where(number, section),
            )  # fmt: skip
    ends = [image.optional.SizeOfHeaders]
    ends += [section.header.PointerToRawData + section.header.SizeOfRawData for _, section in stored]
    for (number, section), end in zip(stored, ends, strict=False):
        start = section.header.PointerToRawData
        if start != end:
            text = "bytes that no signature covers are before the section's data"
            yield Finding(
                "section-gap", text if start > end else "the section's data overlap what is before them", _SECTION,
                "PointerToRawData", section.header_offset + 20, end, start, _where(number, section),
            )  # fmt: skip


def _certificates(image: PEImage) -> Iterator[Finding]:
    table = image.directory(Directory.CERTIFICATE)
    if table is None:
        return
    place = image.directory_offset(Directory.CERTIFICATE)
    if table.address % ALIGNMENT:
        yield Finding(
            "certificate-alignment", "the certificate table is not aligned", "IMAGE_DATA_DIRECTORY", "CERTIFICATE",
            place, f"a multiple of {ALIGNMENT}", table.address,
        )  # fmt: skip
    if table.address + table.size != len(image.data):
        yield Finding(
            "certificate-end", "bytes follow the certificate table", "IMAGE_DATA_DIRECTORY", "CERTIFICATE", place,
            len(image.data), table.address + table.size,
        )  # fmt: skip
    _, problem = read_certificates(image)
    if problem is not None:
        yield Finding.from_error(problem)
