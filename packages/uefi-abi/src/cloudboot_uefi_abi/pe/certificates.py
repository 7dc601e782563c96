"""The certificate table of a PE image (PE/COFF section 5.7, UEFI 2.10 section 32.2.4)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import dataclass
from cloudboot_records import Cursor
from cloudboot_uefi_abi.constants import CertificateType
from cloudboot_uefi_abi.errors import PEError
from cloudboot_uefi_abi.layout.records import WIN_CERTIFICATE

from .image import Directory, PEImage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Buffer

__all__ = ["Certificate", "certificates", "with_certificates", "without_certificates"]

_REVISION_2: Final = 0x0200
ALIGNMENT: Final = 8  # bytes, of the table and of its entries


@dataclass(frozen=True, slots=True)
class Certificate:
    """One entry of the table: ``data`` is what follows its header, a PKCS #7 SignedData for Authenticode."""

    type: CertificateType
    data: bytes
    revision: int = _REVISION_2

    def pack(self) -> bytes:
        """The entry, padded with zeros to a multiple of eight bytes."""
        size = WIN_CERTIFICATE.SIZE + len(self.data)
        return (WIN_CERTIFICATE(size, self.revision, self.type).pack() + self.data).ljust(_padded(size), b"\0")


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def certificates(image: PEImage) -> tuple[Certificate, ...]:
    """The entries of the certificate table, in order; none where the image has no table.

    Raises:
        PEError: an entry is shorter than its header or leaves the table, or there are bytes behind the last entry.
    """
    found, problem = read_certificates(image)
    if problem is not None:
        raise problem
    return found


def read_certificates(image: PEImage) -> tuple[tuple[Certificate, ...], PEError | None]:
    """The entries of the certificate table up to the first malformed one, and what is wrong with that.

    A table that does not start at a multiple of eight bytes is read as it is, as EDK2 does.
    """
    directory = image.directory(Directory.CERTIFICATE)
    if directory is None:
        return (), None
    start = directory.address
    found: list[Certificate] = []
    cursor = Cursor(image.data[start : start + directory.size], base=start, structure="WIN_CERTIFICATE")
    while cursor.remaining >= WIN_CERTIFICATE.SIZE:
        offset = cursor.offset
        header = cursor.record(WIN_CERTIFICATE)
        size = header.dwLength - WIN_CERTIFICATE.SIZE
        if not 0 <= size <= cursor.remaining:
            most = cursor.remaining + WIN_CERTIFICATE.SIZE
            problem = PEError(
                "a certificate is shorter than its header, or leaves the table",
                structure="WIN_CERTIFICATE", field="dwLength", offset=offset,
                expected=f"{WIN_CERTIFICATE.SIZE} to {most}", actual=header.dwLength,
            )  # fmt: skip
            return tuple(found), problem
        found.append(Certificate(CertificateType(header.wCertificateType), cursor.take(size), header.wRevision))
        cursor.skip(min(-cursor.position % ALIGNMENT, cursor.remaining))
    if cursor.remaining:
        problem = PEError(
            "fewer bytes than a certificate's header are behind the last certificate",
            structure="WIN_CERTIFICATE", offset=cursor.offset, expected=0, actual=cursor.remaining,
        )  # fmt: skip
        return tuple(found), problem
    return tuple(found), None


def without_certificates(data: Buffer) -> bytes:
    """The file without its certificate table, and the directory entry cleared.

    Raises:
        PEError: not a PE image, or its table is not the end of the file.
    """
    image = PEImage.parse(data)
    directory = image.directory(Directory.CERTIFICATE)
    if directory is None:
        return bytes(image.data)
    if directory.address + directory.size != len(image.data):
        raise PEError(
            "the certificate table is not the end of the file",
            structure="IMAGE_DATA_DIRECTORY", field="CERTIFICATE", offset=image.directory_offset(Directory.CERTIFICATE),
            expected=len(image.data), actual=directory.address + directory.size,
        )  # fmt: skip
    rest = bytearray(image.data[: directory.address])
    struct.pack_into("<II", rest, image.directory_offset(Directory.CERTIFICATE), 0, 0)
    return bytes(rest)


def with_certificates(data: Buffer, entries: Sequence[Certificate]) -> bytes:
    """The file with ``entries`` as its certificate table, in place of any that it had.

    The file is padded with zeros to a multiple of eight bytes; that padding is part of what a signature covers.

    Raises:
        PEError: not a PE image, one without room for the directory entry, or its table is not the end of the file.
    """
    bare = bytearray(without_certificates(data))
    image = PEImage.parse(bytes(bare))
    if len(image.directories) <= Directory.CERTIFICATE:
        raise PEError(
            "the optional header has no room for a certificate table",
            structure="IMAGE_OPTIONAL_HEADER64", field="NumberOfRvaAndSizes", offset=image.optional_offset + 108,
            expected=Directory.CERTIFICATE + 1, actual=len(image.directories),
        )  # fmt: skip
    bare += bytes(-len(bare) % ALIGNMENT)
    table = b"".join(entry.pack() for entry in entries)
    struct.pack_into("<II", bare, image.directory_offset(Directory.CERTIFICATE), len(bare) if table else 0, len(table))
    return bytes(bare) + table
