"""Signatures of variables and images: a PKCS #7 SignedData against a trusted certificate (UEFI 2.10 chapter 32).

As in EDK2, validity dates do not count, and the trusted certificate ends a chain wherever it stands in it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from cloudboot_base import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography.x509 import Certificate

    from cloudboot_uefi_abi.pkcs7 import SignedData, Signer

_LONGEST: Final = 16  # certificates in a chain
_KNOWN: Final = frozenset({"sha1", "sha256", "sha384", "sha512"})


def _parse(data: bytes) -> Certificate | None:
    """A certificate, all of whose parts but its key can be read; ``None`` for what is none."""
    try:  # 0.05 s, for those who write authenticated variables alone
        from cryptography.x509 import load_der_x509_certificate
    except ImportError as error:  # an extra
        raise MissingDependencyError(
            "signatures of variables and images need cryptography", hint="pip install 'cloudboot-uefi-host[secureboot]'"
        ) from error
    try:
        certificate = load_der_x509_certificate(data)
        _ = certificate.subject, certificate.issuer, certificate.extensions, certificate.signature_hash_algorithm
    except Exception:  # noqa: BLE001 - the library raises errors of several kinds for what is no certificate
        return None
    return certificate


def _load(data: bytes) -> Certificate | None:
    """A certificate with an RSA key: OVMF is built without elliptic curves."""
    certificate = _parse(data)
    return None if certificate is None or _other_key(certificate) is not None else certificate


def _other_key(certificate: Certificate) -> str | None:
    """What kind of key a certificate has if it is not RSA."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    try:
        key = certificate.public_key()
    except Exception:  # noqa: BLE001 - as above
        return "an unknown kind"
    if isinstance(key, RSAPublicKey):
        return None
    return f"the curve {key.curve.name}" if isinstance(key, EllipticCurvePublicKey) else type(key).__name__


def key_kind(data: bytes) -> str | None:
    """What kind of key a certificate has that this firmware cannot use; ``None`` for RSA and for no certificate.

    Raises:
        MissingDependencyError: cryptography is not installed.
    """
    certificate = _parse(data)
    return None if certificate is None else _other_key(certificate)


def is_certificate(data: bytes) -> bool:
    """Whether the bytes are an X.509 certificate with an RSA key."""
    return _load(data) is not None


def verifies(signed: SignedData, content: bytes, trusted: bytes) -> bool:
    """Whether every signer signed ``content``, and its certificate is the trusted one or issued below it.

    Raises:
        MissingDependencyError: cryptography is not installed.
    """
    anchor = _load(trusted)
    if anchor is None or not signed.signers:
        return False
    known = [anchor, *_certificates(signed)]
    for signer in signed.signers:
        certificate = _certificate_of(signer, known)
        if certificate is None or not _signed(signer, content, signed.content_type, certificate):
            return False
        if anchor not in _chain(certificate, known):
            return False
    return True


def signed_part(data: bytes) -> bytes:
    """What is signed of a certificate; empty for what is none.

    Raises:
        MissingDependencyError: cryptography is not installed.
    """
    certificate = _parse(data)
    return b"" if certificate is None else certificate.tbs_certificate_bytes


def signers(signed: SignedData) -> list[bytes]:
    """The certificates of all signers, as DER and whatever their keys; empty where the message lacks one of them.

    Raises:
        MissingDependencyError: cryptography is not installed.
    """
    known = [each for each in map(_parse, signed.certificates) if each is not None]
    found = [_certificate_of(signer, known) for signer in signed.signers]
    return [_der(each) for each in found if each is not None] if None not in found else []


def signer_of(signed: SignedData) -> bytes:
    """The certificate of the first signer, as DER; empty where the message has none.

    Raises:
        MissingDependencyError: cryptography is not installed.
    """
    found = _certificate_of(signed.signers[0], _certificates(signed)) if signed.signers else None
    return b"" if found is None else _der(found)


def _certificates(signed: SignedData) -> list[Certificate]:
    return [each for each in map(_load, signed.certificates) if each is not None]


def _der(certificate: Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)


def _certificate_of(signer: Signer, known: Iterable[Certificate]) -> Certificate | None:
    """The certificate that the signer names by issuer and serial number: PKCS #7 has no other name, CMS has."""
    return next(
        (each for each in known if each.issuer.public_bytes() == signer.issuer and each.serial_number == signer.serial),
        None,
    )


def _signed(signer: Signer, content: bytes, content_type: str, certificate: Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    key = certificate.public_key()
    if signer.digest not in _KNOWN or not isinstance(key, RSAPublicKey):
        return False
    if signer.attributes:
        digest = hashlib.new(signer.digest, content).digest()
        if signer.message_digest != digest or signer.content_type != content_type:
            return False
    algorithm = getattr(hashes, signer.digest.upper())()
    try:
        key.verify(signer.signature, signer.attributes or content, PKCS1v15(), algorithm)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):  # ValueError: the key is too short for the digest
        return False
    return True


def _chain(certificate: Certificate, known: list[Certificate]) -> list[Certificate]:
    """The certificate, its issuer, and so on as far as ``known`` goes; issuers have to be authorities."""
    chain = [certificate]
    while len(chain) < _LONGEST:
        last = chain[-1]
        issuer = next((each for each in known if each not in chain and _issued(last, each)), None)
        if issuer is None:
            break
        chain.append(issuer)
    return chain


def _issued(certificate: Certificate, issuer: Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.x509 import BasicConstraints, ExtensionNotFound

    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
        return issuer.extensions.get_extension_for_class(BasicConstraints).value.ca
    except (InvalidSignature, UnsupportedAlgorithm, ExtensionNotFound, ValueError, TypeError):
        return False
