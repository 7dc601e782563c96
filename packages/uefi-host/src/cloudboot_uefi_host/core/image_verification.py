"""Secure Boot: which images may run (UEFI 2.10 section 32.5), decided in the order in which EDK2 decides."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from cloudboot_base import FormatError
from cloudboot_uefi_abi.constants import CertificateType, ImageExecutionAction
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.layout.records import EFI_TIME
from cloudboot_uefi_abi.pe import PEImage, authenticode_digest, certificates
from cloudboot_uefi_abi.pkcs7 import SignedData, TimestampInfo
from cloudboot_uefi_abi.pkcs7.signed_data import SPC_INDIRECT_DATA, TIMESTAMP_INFO
from cloudboot_uefi_abi.variables import Signature, SignatureList, parse_signature_lists
from cloudboot_uefi_abi.variables.authentication import PKCS7

from .authenticated import IMAGE_SECURITY, X509, moment
from .signatures import key_kind, signed_part, signers, verifies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudboot_uefi_abi.pe.certificates import Certificate

    from .variable import Key, Variable

DB, DBX, DBT = ((IMAGE_SECURITY, name) for name in ("db", "dbx", "dbt"))
_DIGESTS: Final = {GUIDS[f"EFI_CERT_{name.upper()}"]: name for name in ("sha1", "sha224", "sha256", "sha384", "sha512")}
_LISTS: Final = {name: guid for guid, name in _DIGESTS.items()}
_REVOKED: Final = {
    GUIDS["EFI_CERT_X509_SHA256"]: "sha256",
    GUIDS["EFI_CERT_X509_SHA384"]: "sha384",
    GUIDS["EFI_CERT_X509_SHA512"]: "sha512",
}
"""Digests of what is signed of certificates, each with the time of its revocation."""
_TIME_SIZE: Final = EFI_TIME.SIZE
_NOBODY: Final = UUID(int=0)
_ALWAYS: Final = (0,) * 6


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an image may not run, and what the table of refused images says of it.

    ``signatures`` is empty where EDK2 records none: unless dbx decided about a signed image.
    """

    reason: str
    action: ImageExecutionAction = ImageExecutionAction.AUTH_UNTESTED
    signatures: tuple[SignatureList, ...] = ()


class _Database:
    """The certificates and digests in db, dbx or dbt."""

    def __init__(self, found: Variable | None) -> None:
        self.present = found is not None
        self.certificates: list[bytes] = []
        self.digests: set[tuple[str, bytes]] = set()
        self._revoked: list[tuple[str, bytes, tuple[int, ...]]] = []
        for each in parse_signature_lists(b"" if found is None else found.data):
            for signature in each.signatures:
                if each.type == X509:
                    self.certificates.append(signature.data)
                elif each.type in _DIGESTS:
                    self.digests.add((_DIGESTS[each.type], signature.data))
                elif each.type in _REVOKED:
                    time = EFI_TIME.unpack_from(signature.data[-_TIME_SIZE:])
                    self._revoked.append((_REVOKED[each.type], signature.data[:-_TIME_SIZE], moment(time)))

    def revocation(self, certificate: bytes) -> tuple[int, ...] | None:
        """From when on a certificate is revoked by its digest; ``None`` if it is not."""
        if not self._revoked:
            return None
        content = signed_part(certificate)
        for name, digest, time in self._revoked:
            if hashlib.new(name, content).digest() == digest:
                return time
        return None


class _Verification:
    """The databases, and an image's signatures against them; as EDK2, the first certificate that is found decides."""

    def __init__(self, get: Callable[[Key], Variable | None]) -> None:
        self.allowed, self.forbidden, self._stamps = (_Database(get(key)) for key in (DB, DBX, DBT))

    def in_time(self, message: SignedData, revoked: tuple[int, ...]) -> bool:
        """Whether a time stamp of an authority in dbt proves that the message was signed before its signer's end."""
        if revoked == _ALWAYS or len(message.signers) != 1:
            return False
        signer = message.signers[0]
        try:
            token = SignedData.parse(signer.timestamp)
            stamp = TimestampInfo.parse(token.content)
        except FormatError:
            return False
        if (token.content_type, stamp.version) != (TIMESTAMP_INFO, 1) or stamp.algorithm not in _LISTS:
            return False
        if hashlib.new(stamp.algorithm, signer.signature).digest() != stamp.digest:
            return False
        if tuple(stamp.time.timetuple()[:6]) > revoked:
            return False
        return any(verifies(token, token.content, each) for each in self._stamps.certificates)

    def forbids(self, message: SignedData, *, matches: bool) -> bool:
        """Whether dbx has a certificate that verifies the message, or names one of its signers."""
        if not self.forbidden.present:
            return False
        if matches and any(verifies(message, message.content, each) for each in self.forbidden.certificates):
            return True
        found = signers(message)
        for each in found:
            revoked = self.forbidden.revocation(each)
            if revoked is not None:
                return not self.in_time(message, revoked)
        return not found

    def allows(self, message: SignedData) -> bool:
        """Whether db has a certificate that verifies the message and was not revoked when it was signed."""
        for each in self.allowed.certificates:
            if verifies(message, message.content, each):
                revoked = self.forbidden.revocation(each)
                return revoked is None or self.in_time(message, revoked)
        return False


def refusal(data: bytes, get: Callable[[Key], Variable | None]) -> Refusal | None:
    """Why the image may not run; ``None`` if it may, by the databases that ``get`` gives.

    Raises:
        MissingDependencyError: a signature is to be verified, and cryptography is not installed.
    """
    try:
        databases, image = _Verification(get), PEImage.parse(data)
        entries = certificates(image)
        digest = ("sha256", authenticode_digest(image))
    except FormatError as error:
        return Refusal(str(error))
    allowed, forbidden = databases.allowed.digests, databases.forbidden.digests
    if not entries:
        if digest in forbidden:
            return Refusal("dbx has the digest of the image, which is not signed")
        return None if digest in allowed else Refusal("the image is not signed, and db does not have its digest")
    verified = False
    messages = list(_messages(entries))
    for message in messages:
        digest = (message.algorithm, authenticode_digest(image, message.algorithm))
        matches = message.image_digest == digest[1]
        if databases.forbids(message, matches=matches):
            return _refused("a certificate in dbx signed the image", ImageExecutionAction.AUTH_SIG_FAILED, digest)
        verified = verified or (matches and databases.allows(message))
        if digest in forbidden:
            return _refused("dbx has the digest of the image", ImageExecutionAction.AUTH_SIG_FOUND, digest)
        verified = verified or digest in allowed
    return None if verified else Refusal(_unverified(messages))


def _refused(reason: str, action: ImageExecutionAction, digest: tuple[str, bytes]) -> Refusal:
    return Refusal(reason, action, (SignatureList(_LISTS[digest[0]], (Signature(_NOBODY, digest[1]),)),))


def _unverified(messages: list[SignedData]) -> str:
    reason = "no certificate in db verifies a signature of the image, and db does not have its digest"
    kinds = {kind for message in messages for each in signers(message) if (kind := key_kind(each)) is not None}
    if kinds:
        reason += f"; a signer's key is of {' and '.join(sorted(kinds))}, and OVMF verifies RSA alone"
    return reason


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
