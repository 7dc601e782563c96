"""SignedData (RFC 2315 section 9, RFC 5652 section 5): what was signed, the certificates, and who signed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import dataclass, field
from cloudboot_uefi_abi.errors import SignedDataError

from .der import (
    CONTEXT_0,
    CONTEXT_1,
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    SET,
    SUBJECT_KEY_IDENTIFIER,
    Element,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Buffer

SIGNED_DATA: Final = "1.2.840.113549.1.7.2"
DATA: Final = "1.2.840.113549.1.7.1"
SPC_INDIRECT_DATA: Final = "1.3.6.1.4.1.311.2.1.4"
"""What Authenticode signs: SpcIndirectDataContent, which has the image's digest."""
TIMESTAMP_INFO: Final = "1.2.840.113549.1.9.16.1.4"
"""What a time stamping authority signs: TSTInfo (RFC 3161 section 2.4.2)."""
_TIMESTAMP: Final = "1.3.6.1.4.1.311.3.3.1"
_CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
DIGESTS: Final[Mapping[str, str]] = {
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
"""Names of :mod:`hashlib` by object identifier."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A SignerInfo.

    ``issuer`` (a DER Name) and ``serial`` name its certificate, or ``key_identifier`` does. ``attributes`` are the
    signed ones as they are signed, a DER SET; empty where the content itself is signed. ``digest`` is a name of
    :mod:`hashlib`, or the object identifier of one that is not known.
    """

    issuer: bytes
    serial: int
    key_identifier: bytes
    digest: str
    attributes: bytes
    algorithm: str
    signature: bytes
    content_type: str = ""
    message_digest: bytes = b""
    timestamp: bytes = b""
    """The token of RFC 3161 that countersigns an Authenticode signature, a ContentInfo; it is not signed itself."""


@dataclass(frozen=True, slots=True)
class SignedData:
    """A SignedData; ``certificates`` are DER certificates, ``content`` is empty where it is kept elsewhere.

    ``content_info`` says whether the message was inside a ContentInfo, which UEFI 2.10 section 8.2.2 does not have.
    """

    digests: tuple[str, ...]
    content_type: str
    content: bytes
    certificates: tuple[bytes, ...]
    signers: tuple[Signer, ...]
    content_info: bool = False
    algorithm: str = field(default="", compare=False)
    """The digest that an Authenticode signature states for the image, a name of :mod:`hashlib`; empty elsewhere."""
    image_digest: bytes = field(default=b"", compare=False)

    @classmethod
    def parse(cls, data: Buffer) -> SignedData:
        """Read a SignedData, or a ContentInfo with one; bytes behind it are not looked at.

        Raises:
            SignedDataError: it is not one.
        """
        outer = Element.read(bytes(memoryview(data))).expect(SEQUENCE, "SignedData")
        parts = list(outer)
        if parts and parts[0].tag != INTEGER:
            if len(parts) != 2 or parts[0].identifier() != SIGNED_DATA:
                raise SignedDataError(
                    "the content is no SignedData", structure="ContentInfo", field="contentType", offset=outer.offset,
                    expected=SIGNED_DATA,
                )  # fmt: skip
            inner = _only(parts[1].expect(CONTEXT_0, "ContentInfo"), "ContentInfo").expect(SEQUENCE, "SignedData")
            return cls._parse(inner, content_info=True)
        return cls._parse(outer, content_info=False)

    @classmethod
    def _parse(cls, outer: Element, *, content_info: bool) -> SignedData:
        parts = list(outer)
        if len(parts) < 4:
            raise SignedDataError(
                "too few elements", structure="SignedData", offset=outer.offset, expected=4, actual=len(parts)
            )
        digests = tuple(_algorithm(each) for each in parts[1].expect(SET, "DigestAlgorithmIdentifiers"))
        content = list(parts[2].expect(SEQUENCE, "ContentInfo"))
        if not content:
            raise SignedDataError("no content type", structure="ContentInfo", offset=parts[2].offset)
        kind = content[0].identifier()
        inner = _only(content[1].expect(CONTEXT_0, "ContentInfo"), "ContentInfo") if len(content) > 1 else None
        certificates: tuple[bytes, ...] = ()
        for part in parts[3:-1]:
            if part.tag == CONTEXT_0:
                certificates = tuple(each.raw for each in part if each.tag == SEQUENCE)
            elif part.tag != CONTEXT_1:  # revocation lists are not looked at
                part.expect(CONTEXT_0, "SignedData")
        signers = tuple(_signer(each) for each in parts[-1].expect(SET, "SignerInfos"))
        algorithm, digest = _image_digest(inner) if kind == SPC_INDIRECT_DATA and inner is not None else ("", b"")
        body = b"" if inner is None else inner.content
        return cls(digests, kind, body, certificates, signers, content_info, algorithm, digest)


def _only(element: Element, structure: str) -> Element:
    inner = list(element)
    if len(inner) != 1:
        raise SignedDataError(
            "not one element", structure=structure, offset=element.offset, expected=1, actual=len(inner)
        )
    return inner[0]


def _algorithm(element: Element) -> str:
    parts = list(element.expect(SEQUENCE, "AlgorithmIdentifier"))
    if not parts:
        raise SignedDataError("no algorithm", structure="AlgorithmIdentifier", offset=element.offset)
    identifier = parts[0].identifier()
    return DIGESTS.get(identifier, identifier)


def _signer(element: Element) -> Signer:
    parts = list(element.expect(SEQUENCE, "SignerInfo"))
    attributes = next((part for part in parts[3:4] if part.tag == CONTEXT_0), None)
    rest = parts[3 + (attributes is not None) :]
    if len(parts) < 5 or len(rest) < 2:
        raise SignedDataError(
            "too few elements", structure="SignerInfo", offset=element.offset, expected=5, actual=len(parts)
        )
    issuer, serial, key_identifier = b"", 0, b""
    if parts[1].tag == SUBJECT_KEY_IDENTIFIER:
        key_identifier = parts[1].content
    else:
        names = list(parts[1].expect(SEQUENCE, "IssuerAndSerialNumber"))
        if len(names) != 2:
            raise SignedDataError(
                "not an issuer and a serial number", structure="IssuerAndSerialNumber", offset=parts[1].offset,
                expected=2, actual=len(names),
            )  # fmt: skip
        issuer = names[0].expect(SEQUENCE, "Name").raw
        serial = int.from_bytes(names[1].expect(INTEGER, "CertificateSerialNumber").content, "big", signed=True)
    found = _attributes(attributes) if attributes is not None else {}
    unsigned = _attributes(rest[2]) if len(rest) > 2 and rest[2].tag == CONTEXT_1 else {}
    timestamp = unsigned.get(_TIMESTAMP)
    content_type, message_digest = found.get(_CONTENT_TYPE), found.get(_MESSAGE_DIGEST)
    return Signer(
        issuer,
        serial,
        key_identifier,
        _algorithm(parts[2]),
        b"" if attributes is None else bytes([SET]) + attributes.raw[1:],
        _algorithm(rest[0]),
        rest[1].expect(OCTET_STRING, "SignerInfo").content,
        content_type.identifier() if content_type is not None else "",
        message_digest.expect(OCTET_STRING, "messageDigest").content if message_digest is not None else b"",
        b"" if timestamp is None else timestamp.raw,
    )


def _attributes(element: Element) -> dict[str, Element]:
    """The first value of each attribute, by object identifier."""
    found = {}
    for each in element:
        parts = list(each.expect(SEQUENCE, "Attribute"))
        values = list(parts[1].expect(SET, "Attribute")) if len(parts) == 2 else []
        if values:
            found[parts[0].identifier()] = values[0]
    return found


def _image_digest(content: Element) -> tuple[str, bytes]:
    """The DigestInfo of an SpcIndirectDataContent."""
    parts = list(content.expect(SEQUENCE, "SpcIndirectDataContent"))
    info = list(parts[1].expect(SEQUENCE, "DigestInfo")) if len(parts) == 2 else []
    if len(info) != 2:
        raise SignedDataError("no digest of an image", structure="SpcIndirectDataContent", offset=content.offset)
    return _algorithm(info[0]), info[1].expect(OCTET_STRING, "DigestInfo").content
