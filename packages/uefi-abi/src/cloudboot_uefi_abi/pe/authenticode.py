"""The Authenticode digest of a PE image: what Secure Boot signs, and what a TPM measures.

The rules are those of "Windows Authenticode Portable Executable Signature Format", which UEFI 2.10 section 32.2.5
refers to: the file without CheckSum, the certificate directory's entry and the certificate table, sections in the order
in which they are in the file.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, Final

from cloudboot_uefi_abi.errors import PEError
from cloudboot_uefi_abi.layout.records import IMAGE_DATA_DIRECTORY

from .image import Directory, PEImage

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["authenticode_digest", "authenticode_ranges", "checksum"]

_CHECKSUM_OFFSET: Final = 64  # of CheckSum in the optional header


def authenticode_ranges(image: PEImage) -> Iterator[tuple[int, int]]:
    """The ranges of the file that the digest covers, as start and end in bytes, in the order they are hashed.

    Raises:
        PEError: the certificate table is larger than what follows the sections.
    """
    offset = image.optional_offset
    yield 0, offset + _CHECKSUM_OFFSET
    entry = image.directory_offset(Directory.CERTIFICATE)
    headers = image.optional.SizeOfHeaders
    if len(image.directories) > Directory.CERTIFICATE:
        yield offset + _CHECKSUM_OFFSET + 4, entry
        yield entry + IMAGE_DATA_DIRECTORY.SIZE, headers
    else:
        yield offset + _CHECKSUM_OFFSET + 4, headers
    hashed = headers
    for section in sorted(image.sections, key=lambda section: section.header.PointerToRawData):
        start, size = section.header.PointerToRawData, section.header.SizeOfRawData
        if not size:
            continue
        yield start, start + size
        hashed += size
    table = image.directory(Directory.CERTIFICATE)
    end = len(image.data) - (table.size if table else 0)
    if hashed > end:
        if table is not None and table.size:
            raise PEError(
                "the certificate table is larger than what follows the sections",
                structure="IMAGE_DATA_DIRECTORY", field="CERTIFICATE", offset=entry,
                expected=f"at most {max(0, len(image.data) - hashed)}", actual=table.size,
            )  # fmt: skip
        return
    if hashed < end:
        yield hashed, end


def authenticode_digest(image: PEImage, algorithm: str = "sha256") -> bytes:
    """The digest of the image by a :mod:`hashlib` algorithm; raises as :func:`authenticode_ranges`.

    Raises:
        ValueError: hashlib does not know the algorithm.
    """
    digest = hashlib.new(algorithm)
    for start, end in authenticode_ranges(image):
        digest.update(image.data[start:end])
    return digest.digest()


def checksum(image: PEImage) -> int:
    """What CheckSum has to be: the 16-bit one's complement sum of the file without that field, plus the file's size."""
    place = image.optional_offset + _CHECKSUM_OFFSET
    data = bytes(image.data[:place]) + bytes(4) + bytes(image.data[place + 4 :])
    data += bytes(-len(data) % 2)
    total: int = sum(word[0] for word in struct.iter_unpack("<H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return (total + len(image.data)) & 0xFFFFFFFF
