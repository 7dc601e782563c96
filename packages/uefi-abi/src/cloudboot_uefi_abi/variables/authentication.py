"""EFI_VARIABLE_AUTHENTICATION_2: what precedes the data of an authenticated write (UEFI 2.10 section 8.2.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from cloudboot_base.lightdata import dataclass
from cloudboot_records import Cursor
from cloudboot_uefi_abi.constants import CertificateType
from cloudboot_uefi_abi.errors import VariableError
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.layout.records import EFI_TIME, WIN_CERTIFICATE

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from .variable import Variable

__all__ = ["AuthenticatedUpdate", "Certificate"]

PKCS7: Final = GUIDS["EFI_CERT_TYPE_PKCS7"]
_REVISION_2: Final = 0x0200


@dataclass(frozen=True, slots=True)
class Certificate:
    """WIN_CERTIFICATE_UEFI_GUID (section 32.2.4): here a PKCS #7 SignedData."""

    data: bytes
    type: UUID = PKCS7

    @classmethod
    def read(cls, cursor: Cursor) -> Certificate:
        """Read a certificate and stop behind it.

        Raises:
            VariableError: the certificate is not one of UEFI's GUID types, or leaves the data.
            TruncatedError: the data end inside the head.
        """
        start = cursor.offset
        head = cursor.record(WIN_CERTIFICATE)
        kind = UUID(bytes_le=cursor.take(16))
        size = head.dwLength - WIN_CERTIFICATE.SIZE - 16
        if head.wCertificateType != CertificateType.EFI_GUID or not 0 <= size <= cursor.remaining:
            raise VariableError(
                "not a WIN_CERTIFICATE_UEFI_GUID, or one that leaves the data",
                structure="WIN_CERTIFICATE", field="dwLength", offset=start,
                expected=f"type {int(CertificateType.EFI_GUID):#x} and at most {cursor.remaining + 24} bytes",
                actual=f"type {int(head.wCertificateType):#x}, {head.dwLength} bytes",
            )  # fmt: skip
        return cls(cursor.take(size), kind)

    def pack(self) -> bytes:
        """The certificate's bytes."""
        size = WIN_CERTIFICATE.SIZE + 16 + len(self.data)
        return WIN_CERTIFICATE(size, _REVISION_2, CertificateType.EFI_GUID).pack() + self.type.bytes_le + self.data


@dataclass(frozen=True, slots=True)
class AuthenticatedUpdate:
    """A time-based authenticated write, as in ``.auth`` files: time, signature (a PKCS #7 SignedData), new data."""

    timestamp: EFI_TIME
    signature: bytes
    data: bytes
    certificate_type: UUID = PKCS7

    @classmethod
    def parse(cls, data: Buffer) -> AuthenticatedUpdate:
        """Read an authenticated write.

        Raises:
            VariableError: the certificate is not one of UEFI's GUID types, or leaves the data.
            TruncatedError: the data end inside the head.
        """
        cursor = Cursor(data, structure="EFI_VARIABLE_AUTHENTICATION_2")
        timestamp = cursor.record(EFI_TIME)
        certificate = Certificate.read(cursor)
        return cls(timestamp, certificate.data, cursor.rest(), certificate.type)

    def pack(self) -> bytes:
        """The write's bytes: what SetVariable takes."""
        return self.timestamp.pack() + Certificate(self.signature, self.certificate_type).pack() + self.data


def signed_contents(variable: Variable) -> bytes:
    """What the signature of a write of ``variable`` covers: name, vendor, attributes, time, data (section 8.2.2)."""
    name = variable.name.encode("utf-16-le", "surrogatepass")
    attributes = int(variable.attributes).to_bytes(4, "little")
    return name + variable.vendor.bytes_le + attributes + variable.timestamp.pack() + variable.data
