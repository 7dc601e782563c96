"""Sigstore bundles, version 0.3 (protobuf-specs, ``sigstore_bundle.proto``): their shape, and those made with a key.

What a bundle with a certificate holds inside is for :mod:`.keyless`; here it is only told apart and bounded.
"""

from __future__ import annotations

import base64
import dataclasses
from typing import TYPE_CHECKING

from cloudboot_oci_stream.errors import BadSignatureError, SignatureFormatError, UnsupportedSignatureError
from cloudboot_oci_stream.signatures.payloads import (
    IN_TOTO_TYPE,
    decode_base64,
    member,
    parse_object,
    pre_authentication_encoding,
)
from cloudboot_oci_stream.spec.manifest import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
BUNDLE_TYPES = (BUNDLE_TYPE, "application/vnd.dev.sigstore.bundle+json;version=0.3")
LARGEST_BUNDLE = 1 << 20

_MATERIALS = {"certificate", "publicKey", "x509CertificateChain"}


@dataclasses.dataclass(frozen=True, slots=True)
class Envelope:
    """A DSSE envelope with its one signature."""

    payload: bytes
    payload_type: str
    signature: bytes

    @property
    def signed(self) -> bytes:
        """The bytes that are signed."""
        return pre_authentication_encoding(self.payload_type, self.payload)


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """A signature over the manifest itself. ``sha256`` is the digest stated beside it, if one is."""

    signature: bytes
    sha256: bytes | None


@dataclasses.dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle: the bytes it came as, what it signs, and whether a certificate or a bare key stands for the signer.

    ``hint`` is what the bundle says of the key; it may say anything.
    """

    data: bytes
    content: Envelope | Message
    has_certificate: bool
    hint: str | None = None


def parse_bundle(data: bytes) -> Bundle:
    """The bundle in ``data``.

    Raises:
        SignatureFormatError: not a bundle's JSON, unknown members, several contents or signers, more than 1 MiB.
        UnsupportedSignatureError: another version of bundle, or one with a chain of certificates.
    """
    value = parse_object(data, LARGEST_BUNDLE)
    media_type = value.get("mediaType")
    if media_type not in BUNDLE_TYPES:
        raise UnsupportedSignatureError("another version of bundle", expected=BUNDLE_TYPE, actual=media_type)
    # Protobuf's JSON has a second spelling for each name; whoever wrote both would be read in two ways.
    unknown = value.keys() - {"mediaType", "verificationMaterial", "messageSignature", "dsseEnvelope"}
    if unknown:
        raise SignatureFormatError("unknown members in the bundle", actual=", ".join(sorted(unknown)))
    material = member(value, "verificationMaterial")
    signers = material.keys() & _MATERIALS
    if len(signers) != 1:
        raise SignatureFormatError("not one signer in the bundle", expected=1, actual=len(signers))
    unknown = material.keys() - _MATERIALS - {"tlogEntries", "timestampVerificationData"}
    if unknown:
        raise SignatureFormatError("unknown members in the bundle", actual=", ".join(sorted(unknown)))
    if signers == {"x509CertificateChain"}:
        raise UnsupportedSignatureError("a chain of certificates", expected="one certificate, or a key")
    contents = value.keys() & {"messageSignature", "dsseEnvelope"}
    if len(contents) != 1:
        raise SignatureFormatError("not one content in the bundle", expected=1, actual=len(contents))
    content = _envelope(value) if contents == {"dsseEnvelope"} else _message(value)
    if signers == {"certificate"}:
        return Bundle(data, content, has_certificate=True)
    hint = member(material, "publicKey").get("hint")
    return Bundle(data, content, has_certificate=False, hint=hint if isinstance(hint, str) else None)


def hint_of(data: bytes) -> str | None:
    """What a bundle says of the key that signed it; ``None`` where it is not a bundle, or names no key."""
    try:
        return parse_bundle(data).hint
    except BadSignatureError:
        return None


def build_key_bundle(statement: bytes, signature: bytes, hint: str) -> bytes:
    """A bundle with ``statement`` and the signature of a key over its envelope, without a log entry."""
    envelope = {
        "payload": _base64(statement),
        "payloadType": IN_TOTO_TYPE,
        "signatures": [{"sig": _base64(signature)}],
    }
    material = {"publicKey": {"hint": hint}}
    return canonical({"mediaType": BUNDLE_TYPE, "verificationMaterial": material, "dsseEnvelope": envelope})


def _envelope(value: Mapping[str, object]) -> Envelope:
    envelope = member(value, "dsseEnvelope")
    signatures = envelope.get("signatures")
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise SignatureFormatError("not one signature in the envelope", expected=1)
    kind = envelope.get("payloadType")
    if kind != IN_TOTO_TYPE:
        raise UnsupportedSignatureError("another type of payload", expected=IN_TOTO_TYPE, actual=kind)
    if not isinstance(signatures[0], dict):
        raise SignatureFormatError("the signature is no object", actual=type(signatures[0]).__name__)
    signature = signatures[0].get("sig")
    return Envelope(
        decode_base64(envelope.get("payload"), "the payload"), IN_TOTO_TYPE, decode_base64(signature, "the signature")
    )


def _message(value: Mapping[str, object]) -> Message:
    message = member(value, "messageSignature")
    signature = decode_base64(message.get("signature"), "the signature")
    if message.get("messageDigest") is None:
        return Message(signature, None)
    digest = member(message, "messageDigest")
    if digest.get("algorithm") != "SHA2_256":
        raise UnsupportedSignatureError("another digest", expected="SHA2_256", actual=digest.get("algorithm"))
    return Message(signature, decode_base64(digest.get("digest"), "the digest"))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
