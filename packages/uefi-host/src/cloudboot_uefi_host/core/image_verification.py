"""Secure Boot: which images may run (UEFI 2.10 section 32.5), decided in the order in which EDK2 decides."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from cloudboot_base import FormatError
from cloudboot_uefi_abi.constants import CertificateType
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.pe import authenticode_digest, certificates
from cloudboot_uefi_abi.pkcs7 import SignedData
from cloudboot_uefi_abi.pkcs7.signed_data import SPC_INDIRECT_DATA
from cloudboot_uefi_abi.variables import parse_signature_lists
from cloudboot_uefi_abi.variables.authentication import PKCS7

from .authenticated import IMAGE_SECURITY, X509
from .signatures import signed_part, verifies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudboot_uefi_abi.pe import PEImage
    from cloudboot_uefi_abi.pe.certificates import Certificate

    from .variable import Key, Variable

DB, DBX = (IMAGE_SECURITY, "db"), (IMAGE_SECURITY, "dbx")
_DIGESTS: Final = {GUIDS[f"EFI_CERT_{name.upper()}"]: name for name in ("sha1", "sha224", "sha256", "sha384", "sha512")}
_REVOKED: Final = {
    GUIDS["EFI_CERT_X509_SHA256"]: "sha256",
    GUIDS["EFI_CERT_X509_SHA384"]: "sha384",
    GUIDS["EFI_CERT_X509_SHA512"]: "sha512",
}
"""Digests of what is signed of certificates, each with the time of its revocation."""


class _Database:
    """The certificates and digests in db or dbx."""

    def __init__(self, data: bytes) -> None:
        self.certificates: list[bytes] = []
        self.digests: set[tuple[str, bytes]] = set()
        self.revoked: set[tuple[str, bytes]] = set()
        for each in parse_signature_lists(data):
            for signature in each.signatures:
                if each.type == X509:
                    self.certificates.append(signature.data)
                elif each.type in _DIGESTS:
                    self.digests.add((_DIGESTS[each.type], signature.data))
                elif each.type in _REVOKED:
                    self.revoked.add((_REVOKED[each.type], signature.data[:-16]))

    def signed(self, message: SignedData) -> bool:
        """Whether a certificate of the database verifies the message."""
        return any(verifies(message, message.content, each) for each in self.certificates)

    def revokes(self, message: SignedData) -> bool:
        """Whether a certificate of the message is named by its digest."""
        return bool(self.revoked) and any(
            (name, hashlib.new(name, signed_part(each)).digest()) in self.revoked
            for each in message.certificates
            for name in _REVOKED.values()
        )


def refusal(image: PEImage, get: Callable[[Key], Variable | None]) -> str | None:
    """Why the image may not run; ``None`` if it may, by the databases that ``get`` gives.

    Raises:
        MissingDependencyError: a signature is to be verified, and cryptography is not installed.
    """
    databases = [get(key) for key in (DB, DBX)]
    try:
        allowed, forbidden = (_Database(b"" if found is None else found.data) for found in databases)
        entries = certificates(image)
        digest = ("sha256", authenticode_digest(image))
    except FormatError as error:
        return str(error)
    if not entries:
        if digest in forbidden.digests:
            return "dbx has the digest of the image, which is not signed"
        return None if digest in allowed.digests else "the image is not signed, and db does not have its digest"
    verified = False
    for message in _messages(entries):
        digest = (message.algorithm, authenticode_digest(image, message.algorithm))
        matches = message.image_digest == digest[1]
        if matches and (forbidden.signed(message) or forbidden.revokes(message)):
            return "a certificate in dbx signed the image"
        if digest in forbidden.digests:
            return "dbx has the digest of the image"
        verified = verified or (matches and allowed.signed(message)) or digest in allowed.digests
    return (
        None if verified else "no certificate in db verifies a signature of the image, and db does not have its digest"
    )


def _messages(entries: tuple[Certificate, ...]) -> Iterator[SignedData]:
    """The signatures that can be verified."""
    for entry in entries:
        data = entry.data
        if entry.type == CertificateType.EFI_GUID and data[:16] == PKCS7.bytes_le:
            data = data[16:]
        elif entry.type != CertificateType.PKCS_SIGNED_DATA:
            continue
        try:
            message = SignedData.parse(data)
        except FormatError:
            continue
        if message.content_type == SPC_INDIRECT_DATA and message.algorithm in _DIGESTS.values():
            yield message
