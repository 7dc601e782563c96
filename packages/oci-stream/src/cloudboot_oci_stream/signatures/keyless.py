"""Bundles with a certificate: sigstore verifies them, this module says whom they are from and why they fail.

What sigstore leaves to its caller is done here and in :mod:`.verify`: the shape of the bundle, which identity is
wanted, what kind of payload it is and which image that is about.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import (
    DuplicateExtension,
    ExtensionNotFound,
    InvalidVersion,
    ObjectIdentifier,
    OtherName,
    RFC822Name,
    SubjectAlternativeName,
    UniformResourceIdentifier,
    UnrecognizedExtension,
    UnsupportedGeneralNameType,
)
from sigstore.errors import CertValidationError
from sigstore.errors import Error as SigstoreFailure
from sigstore.models import Bundle as SigstoreBundle
from sigstore.models import ClientTrustConfig, TrustedRoot
from sigstore.verify import Verifier

from cloudboot_oci_stream.errors import (
    BadSignatureError,
    CertificateLogError,
    ForgedSignatureError,
    SignatureFormatError,
    SigningCertificateError,
    SigningTimeError,
    TransparencyLogError,
    TrustRootError,
    UnsupportedSignatureError,
    WrongSignerError,
    WrongSubjectError,
)
from cloudboot_oci_stream.inputs import file_of, read_input
from cloudboot_oci_stream.signatures.bundle import Bundle, Message

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from cryptography.x509 import Certificate

    from cloudboot_oci_stream.signatures.policy import Trust

LARGEST_TRUST = 4 << 20
LONGEST_NAME = 2048

# https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md
_ISSUER = ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_ISSUER_V2 = ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_OTHER_NAME = ObjectIdentifier("1.3.6.1.4.1.57264.1.7")
_UTF8_STRING = 0x0C
_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})

# What sigstore, and the parsers below it, let through where the bytes are a stranger's.
_FAILURES = (
    SigstoreFailure, ExtensionNotFound, DuplicateExtension, UnsupportedGeneralNameType, UnsupportedAlgorithm,
    InvalidVersion, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, AssertionError, OSError,
    struct.error, RecursionError,
)  # fmt: skip

# sigstore has one exception for all of it; its words tell what failed. The verdict never hangs on them.
_REASONS: tuple[tuple[str, type[BadSignatureError]], ...] = (
    ("failed to verify SCT", CertificateLogError),
    ("invalid log entry", TransparencyLogError),
    ("transparency log entry is inconsistent", TransparencyLogError),
    ("log entry", TransparencyLogError),
    ("Unsupported hashedrekord", TransparencyLogError),
    ("Unsupported DSSE log entry", TransparencyLogError),
    ("Expected entry type", TransparencyLogError),
    ("not enough sources of verified time", SigningTimeError),
    ("no Timestamp Authorities", SigningTimeError),
    ("Integrated time", SigningTimeError),
    ("too many signed timestamp", SigningTimeError),
    ("duplicate timestamp", SigningTimeError),
    ("Invalid Timestamp", SigningTimeError),
    ("inclusion promise or signed timestamp", SigningTimeError),
    ("inclusion proof", TransparencyLogError),
    ("invalid signing cert", SigningCertificateError),
    ("Key usage", SigningCertificateError),
    ("Extended usage", SigningCertificateError),
    ("message digest mismatch", WrongSubjectError),
    ("Signature is invalid", ForgedSignatureError),
    ("DSSE: invalid signature", ForgedSignatureError),
)


class KeylessVerifier:
    """Verifies bundles against one root of trust.

    Raises:
        TrustRootError: the root of trust cannot be had.
    """

    def __init__(self, trust: Trust) -> None:
        try:
            self._verifier = Verifier(trusted_root=load_trust(trust))
        except _FAILURES as error:
            raise TrustRootError(f"the trust root cannot be used: {first_line(error)}") from error

    def verify(
        self, bundle: Bundle, manifest: bytes, is_wanted: Callable[[str, str], bool]
    ) -> tuple[str, str, bytes | None]:
        """Issuer and subject of who signed, and the statement if it is one that is signed (not ``manifest``).

        ``is_wanted`` is asked about issuer and subject once the certificate itself is verified.

        Raises:
            BadSignatureError: which part of the proof does not hold.
        """
        wanted = _Wanted(is_wanted)
        try:
            parsed = SigstoreBundle.from_json(bundle.data)
            key = parsed.signing_certificate.public_key()
        except _FAILURES as error:
            raise _refusal(error, SignatureFormatError) from error
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _CURVES:
            raise UnsupportedSignatureError("a certificate for another kind of key", expected="ECDSA on a NIST curve")
        try:
            if isinstance(bundle.content, Message):
                self._verifier.verify_artifact(manifest, parsed, wanted)
                payload = None
            else:
                kind, payload = self._verifier.verify_dsse(parsed, wanted)
                if kind != bundle.content.payload_type or payload != bundle.content.payload:
                    raise SignatureFormatError("a bundle that reads in two ways")
        except BadSignatureError:
            raise
        except _FAILURES as error:
            raise _refusal(error, TransparencyLogError if wanted.seen else SigningCertificateError) from error
        return wanted.issuer, wanted.subject, payload


class _Wanted:
    """sigstore's view of a policy: it is asked after chain and SCT were verified, before the log entry is."""

    def __init__(self, is_wanted: Callable[[str, str], bool]) -> None:
        self._is_wanted = is_wanted
        self.issuer = self.subject = ""
        self.seen = False

    def verify(self, cert: Certificate) -> None:
        self.seen = True
        self.issuer, self.subject = identity_of(cert)
        if not self._is_wanted(self.issuer, self.subject):
            raise WrongSignerError("signed by another identity", actual=f"{self.subject} by {self.issuer}")


def identity_of(certificate: Certificate) -> tuple[str, str]:
    """Issuer and subject of a certificate of Fulcio's profile.

    Raises:
        SigningCertificateError: not one issuer and one subject.
    """
    try:
        names = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
        subjects = _subjects(names)
        issuers = {
            _issuer(extension.value.value, extension.oid)
            for extension in certificate.extensions
            if extension.oid in {_ISSUER, _ISSUER_V2} and isinstance(extension.value, UnrecognizedExtension)
        }
    except (ValueError, ExtensionNotFound, DuplicateExtension, UnsupportedGeneralNameType) as error:
        raise SigningCertificateError(f"the certificate names no identity: {first_line(error)}") from None
    if len(subjects) != 1 or len(names) != 1 or len(issuers) != 1:
        raise SigningCertificateError(
            "a certificate that does not name one subject and one issuer", actual=f"{len(names)} and {len(issuers)}"
        )
    issuer, subject = issuers.pop(), subjects[0]
    if max(len(issuer), len(subject)) > LONGEST_NAME:
        raise SigningCertificateError("too long a name", expected=f"at most {LONGEST_NAME}")
    return issuer, subject


def load_trust(trust: Trust) -> TrustedRoot:
    """The trusted root that ``trust`` names; from a TUF repository it is brought up to date first.

    Raises:
        TrustRootError: a file too large.
        sigstore.errors.Error, ValueError, OSError: it cannot be read, fetched, or parsed.
    """
    if trust.file is None:
        return load_config(trust).trusted_root
    data = _file(trust.file)
    if b"clienttrustconfig" in data:
        return ClientTrustConfig.from_json(data.decode()).trusted_root
    with file_of(data) as name:
        return TrustedRoot.from_file(name)


def load_config(trust: Trust) -> ClientTrustConfig:
    """The trust configuration that ``trust`` names, which says where to sign, too; the errors of :func:`load_trust`."""
    if trust.file is not None:
        return ClientTrustConfig.from_json(_file(trust.file).decode())
    if trust.tuf == "production":
        return ClientTrustConfig.production(offline=trust.offline)
    if trust.tuf == "staging":
        return ClientTrustConfig.staging(offline=trust.offline)
    root = None if trust.root is None else Path(trust.root)
    return ClientTrustConfig.from_tuf(str(trust.tuf), offline=trust.offline, bootstrap_root=root)


def _file(path: str | os.PathLike[str]) -> bytes:
    data = read_input(path, LARGEST_TRUST)
    if len(data) > LARGEST_TRUST:
        raise TrustRootError("too large for a trust root", expected=f"at most {LARGEST_TRUST}")
    return data


def first_line(error: BaseException) -> str:
    """What an error says, without pages of detail; of a list of violations (pydantic's) the first one's place."""
    first, *more = (str(error).strip() or type(error).__name__).splitlines()
    return (f"{first}: {more[0]}" if more and "validation error" in first else first)[:300]


def _refusal(error: Exception, otherwise: type[BadSignatureError]) -> BadSignatureError:
    text = first_line(error)
    if isinstance(error, CertValidationError):
        return SigningCertificateError(text)
    if isinstance(error, SigstoreFailure):
        for words, kind in _REASONS:
            if words in text:
                return kind(text)
    return otherwise(text)


def _subjects(names: SubjectAlternativeName) -> list[str]:
    subjects = [*names.get_values_for_type(RFC822Name), *names.get_values_for_type(UniformResourceIdentifier)]
    others = [name for name in names.get_values_for_type(OtherName) if name.type_id == _OTHER_NAME]
    return subjects + [_utf8_string(name.value) for name in others]


def _issuer(value: bytes, oid: ObjectIdentifier) -> str:
    return _utf8_string(value) if oid == _ISSUER_V2 else value.decode()


def _utf8_string(der: bytes) -> str:
    """The text of a DER UTF8String (X.690 section 8.23) of up to 64 KiB."""
    header = 2 + max(0, der[1] - 0x80) if len(der) > 1 else 0
    length = int.from_bytes(der[2:header], "big") if header > 2 else der[1] if header else -1
    if header > 4 or der[:1] != bytes([_UTF8_STRING]) or len(der) != header + length:
        raise ValueError("no UTF8String")
    return der[header:].decode()
