"""What a signature says: that an image of some digest, maybe under some name, is meant.

Two forms: the simple signing payload of cosign's ``.sig`` tags (``containers/image``, "atomic signature embedded
JSON"), and in-toto statements in DSSE envelopes. Both are parsed without leniency: a claim that two readers could take
for different ones is refused.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
from typing import TYPE_CHECKING

from cloudboot_oci_stream.errors import (
    ContentError,
    DescriptorError,
    SignatureFormatError,
    UnsupportedSignatureError,
    WrongSubjectError,
)
from cloudboot_oci_stream.spec.descriptor import algorithm_of, check_digest
from cloudboot_oci_stream.spec.manifest import canonical, parse_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SIMPLE_SIGNING_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"
SIMPLE_SIGNING = "cosign container image signature"
IN_TOTO_TYPE = "application/vnd.in-toto+json"
SIGN_PREDICATE = "https://sigstore.dev/cosign/sign/v1"
"""The predicate of a statement that says no more than that an image is signed."""

LARGEST_PAYLOAD = 1 << 20

_STATEMENT = "https://in-toto.io/Statement/v1"
_STATEMENTS = (_STATEMENT, "https://in-toto.io/Statement/v0.1")
_MOST_SUBJECTS = 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """An image as a signature names it; ``digests`` maps algorithms to hexadecimal digits."""

    name: str | None
    digests: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """What a payload claims of its subjects. ``predicate_type`` is ``None`` for a simple signing payload."""

    subjects: tuple[Subject, ...]
    predicate_type: str | None = None

    def check(self, digest: str, is_name: Callable[[str | None], bool], *, accepted: frozenset[str]) -> None:
        """Demand that the claim is of an accepted kind, and about ``digest`` under a name that ``is_name`` accepts.

        Raises:
            WrongSubjectError: another image, or another name.
            UnsupportedSignatureError: a statement of another kind, a list of vulnerabilities say.
        """
        if self.predicate_type is not None and self.predicate_type not in accepted:
            raise UnsupportedSignatureError(
                "a statement of another kind", expected=", ".join(sorted(accepted)), actual=self.predicate_type
            )
        algorithm, _, encoded = digest.partition(":")
        same = [subject for subject in self.subjects if subject.digests.get(algorithm) == encoded]
        if not same:
            stated = self.subjects[0].digests.get(algorithm) if self.subjects else None
            raise WrongSubjectError(
                "signed for another image", expected=digest, actual=stated and f"{algorithm}:{stated}"
            )
        if not any(is_name(subject.name) for subject in same):
            raise WrongSubjectError(
                "signed for another repository",
                actual=same[0].name or "no repository",
                hint="if the image was copied from there, name that repository in signed_as of the policy's rule",
            )


def parse_simple_signing(data: bytes) -> Claim:
    """The claim of a simple signing payload.

    Raises:
        SignatureFormatError: not exactly one, with nothing else in it.
    """
    value = parse_object(data, LARGEST_PAYLOAD)
    _only(value, {"critical"}, {"optional"})
    critical = member(value, "critical")
    _only(critical, {"type", "image", "identity"})
    image, identity = member(critical, "image"), member(critical, "identity")
    _only(image, {"docker-manifest-digest"})
    _only(identity, {"docker-reference"})
    if value.get("optional") is not None:
        member(value, "optional")
    if critical["type"] != SIMPLE_SIGNING:
        raise SignatureFormatError("another type of payload", expected=SIMPLE_SIGNING, actual=critical["type"])
    name = _text(identity, "docker-reference")
    try:
        digest = check_digest(image["docker-manifest-digest"])
    except DescriptorError as error:
        raise SignatureFormatError("no digest of a manifest", actual=error.actual) from None
    return Claim((Subject(name or None, {algorithm_of(digest): digest.partition(":")[2]}),))


def parse_statement(data: bytes) -> Claim:
    """The claim of an in-toto statement (in-toto Attestation Framework, "Statement").

    Raises:
        SignatureFormatError: not one, or of too many subjects.
    """
    value = parse_object(data, LARGEST_PAYLOAD)
    if value.get("_type") not in _STATEMENTS:
        raise SignatureFormatError("no in-toto statement", expected=_STATEMENT, actual=value.get("_type"))
    subjects = value.get("subject")
    if not isinstance(subjects, list) or not 0 < len(subjects) <= _MOST_SUBJECTS:
        raise SignatureFormatError("no subjects, or too many", expected=f"1 to {_MOST_SUBJECTS}")
    return Claim(tuple(map(_subject, subjects)), _text(value, "predicateType"))


def build_simple_signing(digest: str, name: str | None) -> bytes:
    """The simple signing payload of an image, in the bytes cosign would write."""
    critical = {
        "identity": {"docker-reference": name or ""},
        "image": {"docker-manifest-digest": digest},
        "type": SIMPLE_SIGNING,
    }
    return canonical({"critical": critical, "optional": None})


def build_statement(digest: str, name: str | None) -> bytes:
    """The in-toto statement that an image is signed."""
    algorithm, _, encoded = digest.partition(":")
    subject = {"name": name or "", "digest": {algorithm: encoded}}
    return canonical({"_type": _STATEMENT, "subject": [subject], "predicateType": SIGN_PREDICATE, "predicate": {}})


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """The bytes that a DSSE signature is over (DSSE 1.0, "Protocol")."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def parse_object(data: bytes, limit: int) -> dict[str, object]:
    """The JSON object in ``data``, under the bounds of :func:`~cloudboot_oci_stream.spec.manifest.parse_json`.

    Raises:
        SignatureFormatError: not one, or out of bounds.
    """
    if len(data) > limit:
        raise SignatureFormatError("too large", expected=f"at most {limit}", actual=len(data))
    try:
        return parse_json(data)
    except ContentError as error:
        raise SignatureFormatError("not the JSON of a signature", actual=error.actual) from None


def decode_base64(value: object, what: str) -> bytes:
    """The bytes of a base64 text, with no character in it that does not belong.

    Raises:
        SignatureFormatError: the text is not base64, or is empty.
    """
    try:
        data = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        raise SignatureFormatError(f"{what} is no base64", actual=value)
    return data


def _subject(value: object) -> Subject:
    if not isinstance(value, dict) or not isinstance(digests := value.get("digest"), dict):
        raise SignatureFormatError("a subject without digests")
    name = value.get("name")
    if not isinstance(name, str | None) or not all(isinstance(text, str) for text in digests.values()):
        raise SignatureFormatError("a subject whose name or digest is no text")
    return Subject(name or None, digests)


def _only(value: Mapping[str, object], needed: set[str], allowed: set[str] | None = None) -> None:
    if not needed <= value.keys() <= needed | (allowed or set()):
        raise SignatureFormatError(
            "other members than it must have", expected=", ".join(sorted(needed)), actual=", ".join(sorted(value))
        )


def member(value: Mapping[str, object], name: str) -> dict[str, object]:
    """The object that ``value`` has under ``name``.

    Raises:
        SignatureFormatError: the member is missing or is not an object.
    """
    found = value.get(name)
    if not isinstance(found, dict):
        raise SignatureFormatError(f"{name} is no object", actual=type(found).__name__)
    return found


def _text(value: Mapping[str, object], name: str) -> str:
    found = value.get(name)
    if not isinstance(found, str):
        raise SignatureFormatError(f"{name} is no text", actual=type(found).__name__)
    return found
