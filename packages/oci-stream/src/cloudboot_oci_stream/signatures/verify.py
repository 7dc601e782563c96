"""Signatures before use: an image is resolved once, judged by a policy, and named by its digest from then on."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from typing import TYPE_CHECKING

from cloudboot_oci_stream.deadline import Deadline
from cloudboot_oci_stream.errors import (
    BadSignatureError,
    ForgedSignatureError,
    ManifestTooLargeError,
    SignatureFormatError,
    UnsignedError,
    UnsupportedSignatureError,
    UntrustedError,
    WrongSignerError,
    WrongSubjectError,
    about,
)
from cloudboot_oci_stream.retry import retrying
from cloudboot_oci_stream.signatures.bundle import Bundle, Message, hint_of, parse_bundle
from cloudboot_oci_stream.signatures.extra import require_extra
from cloudboot_oci_stream.signatures.find import Candidate, find_signatures
from cloudboot_oci_stream.signatures.payloads import Claim, parse_simple_signing, parse_statement
from cloudboot_oci_stream.spec.manifest import LARGEST_MANIFEST, check_image
from cloudboot_oci_stream.stores.factory import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cloudboot_oci_stream.http.access import Access
    from cloudboot_oci_stream.retry import RetryPolicy
    from cloudboot_oci_stream.signatures.keyless import KeylessVerifier
    from cloudboot_oci_stream.signatures.keys import PublicKey
    from cloudboot_oci_stream.signatures.policy import Identity, Policy, Rule, Trust
    from cloudboot_oci_stream.spec.manifest import Document
    from cloudboot_oci_stream.spec.reference import Reference
    from cloudboot_oci_stream.stores.store import Store


_MOST_WAITING = 64 << 20
"""Bytes of signatures that wait until those with a known key's hint were looked at."""
_MOST_OTHERS = 1024
"""How many of them are verified."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A signature that counts.

    ``signer`` is a key's fingerprint or a certificate's subject, ``issuer`` who vouched for that subject (``None``
    for a key). ``digest`` is the blob that holds the signature, ``manifest`` the artifact that holds the blob;
    ``predicate_type`` is of the statement that was signed, where it was one.
    """

    signer: str
    issuer: str | None
    digest: str
    manifest: str
    predicate_type: str | None

    def as_dict(self) -> dict[str, object]:
        """The facts of the signature, ready for JSON."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a policy says of an image: ``reference`` names it by the ``digest`` that was verified.

    ``rule`` is the rule that decided. ``signatures`` are those that were needed to satisfy it, one for each signer;
    the tuple is empty only if the policy accepts the image without signatures.
    """

    reference: Reference
    digest: str
    rule: str
    signatures: tuple[Signature, ...]

    def as_dict(self) -> dict[str, object]:
        """The facts of the verification, ready for JSON."""
        return {
            "reference": str(self.reference),
            "digest": self.digest,
            "rule": self.rule,
            "signatures": [signature.as_dict() for signature in self.signatures],
        }


def verify_signature(
    reference: Reference | str,
    policy: Policy,
    *,
    access: Access | None = None,
    deadline: float | Deadline | None = None,
    retry: RetryPolicy | None = None,
) -> Verification:
    """Resolve ``reference`` once, and demand of the manifest or index it names what ``policy`` wants.

    Nothing of the image itself is fetched. What comes back names the digest that was verified, so that a tag that
    moves afterwards changes nothing. An index stands for all its entries: their digests are in it.

    Raises:
        RefusedByPolicyError: the policy refuses the image whatever its signatures.
        NotAnImageError: it is neither an image manifest nor an index.
        UnsignedError, UntrustedError: it wants signatures that are not there, or not good.
        TrustRootError: the trust root could not be had.
        OciError: the registry did not answer as it should; see :mod:`~cloudboot_oci_stream.errors`.
    """
    store = open_store(reference, access)
    return verify_stored(store, policy, Deadline.of(deadline), retry)[1]


def verify_stored(
    store: Store, policy: Policy, deadline: Deadline, retry: RetryPolicy | None = None
) -> tuple[Document, Verification]:
    """The manifest or index that the store's reference names, and what ``policy`` says of it; the same errors."""
    require_extra()
    with about(reference=store.reference):
        rule = policy.rule_for(store.reference, store.real_folder)
        document = retrying(lambda: store.read_manifest(None, deadline), deadline, retry)
        if len(document.data) > LARGEST_MANIFEST:
            raise ManifestTooLargeError("the manifest is too large", expected=f"at most {LARGEST_MANIFEST}")
        check_image(document)
        with about(digest=document.digest):
            signatures = _Judge(store, document, rule, deadline, retry).signatures() if rule.action == "verify" else ()
        pinned = dataclasses.replace(store.reference, digest=document.digest)
        return document, Verification(
            reference=pinned, digest=document.digest, rule=rule.name, signatures=tuple(signatures)
        )


class _Judge:
    """One image before one rule."""

    def __init__(
        self, store: Store, document: Document, rule: Rule, deadline: Deadline, retry: RetryPolicy | None
    ) -> None:
        self._store, self._document, self._rule = store, document, rule
        self._deadline, self._retry = deadline, retry
        self._verifiers: dict[Trust, KeylessVerifier] = {}

    def signatures(self) -> list[Signature]:
        """As many signatures of different signers as the rule wants."""
        counted: dict[tuple[str | None, str], Signature] = {}
        refusals: list[BadSignatureError] = []
        for found in self._in_order(refusals):
            self._deadline.cap(1)
            try:
                with about(digest=found.digest):
                    signature = self._verified(found)
            except BadSignatureError as refusal:
                refusals.append(refusal)
                continue
            counted[signature.issuer, signature.signer] = signature
            if len(counted) == self._rule.threshold:
                return list(counted.values())
        raise self._refusal(len(counted), refusals)

    def _in_order(self, refusals: list[BadSignatureError]) -> Iterator[Candidate]:
        """All candidates: those whose hint names a key of the rule as they are found, then the others.

        Nobody has to believe a hint; but a flood of other people's signatures does not keep the right one waiting.
        What cannot be a signature goes to ``refusals``.
        """
        hints = {key.hint for key in self._rule.keys}
        others: list[Candidate] = []
        size = 0
        for found in find_signatures(self._store, self._document.digest, self._deadline, self._retry):
            if isinstance(found, BadSignatureError):
                refusals.append(found)
            elif found.detached is not None or hint_of(found.data) in hints:
                yield found
            else:
                others.append(found)
                size += len(found.data)
            if size > _MOST_WAITING:
                yield from others
                others, size = [], 0
        for number, found in enumerate(others):
            if number >= _MOST_OTHERS:
                refusals.append(
                    SignatureFormatError("more signatures than are verified", expected=f"at most {_MOST_OTHERS}")
                )
                return
            yield found

    def _refusal(self, counted: int, refusals: list[BadSignatureError]) -> UnsignedError | UntrustedError:
        if not counted and not refusals:
            return UnsignedError("no signature of the image was found", hint=f"{self._rule.name} wants one")
        looked = f"{len(refusals)} looked at, the first: {refusals[0].message}" if refusals else "no others there"
        if self._rule.threshold == 1:
            text = f"no signature counts ({looked})"
        else:
            text = f"{counted} of {self._rule.threshold} signers that {self._rule.name} wants ({looked})"
        hint = next((refusal.hint for refusal in refusals if refusal.hint), None)
        error = UntrustedError(text, refusals=refusals, hint=hint)
        error.__cause__ = refusals[0] if refusals else None
        return error

    def _verified(self, found: Candidate) -> Signature:
        """The signature, if it counts."""
        if found.detached is not None:
            if found.certified and not self._rule.keys:
                raise UnsupportedSignatureError("a certificate beside a signature", expected="a bundle with both")
            key = self._key_of(found.detached, found.data, None)
            return self._counted(found, parse_simple_signing(found.data), key.fingerprint, None)
        bundle = parse_bundle(found.data)
        if isinstance(bundle.content, Message):
            digest = hashlib.sha256(self._document.data).digest()
            if bundle.content.sha256 not in {None, digest}:
                raise WrongSubjectError("signed for another image", expected=digest.hex())
        if bundle.has_certificate:
            issuer, subject, payload = self._identity_of(bundle)
            return self._counted(found, None if payload is None else parse_statement(payload), subject, issuer)
        content = bundle.content
        if isinstance(content, Message):
            key = self._key_of(content.signature, self._document.data, bundle.hint)
            return self._counted(found, None, key.fingerprint, None)
        key = self._key_of(content.signature, content.signed, bundle.hint)
        return self._counted(found, parse_statement(content.payload), key.fingerprint, None)

    def _counted(self, found: Candidate, claim: Claim | None, signer: str, issuer: str | None) -> Signature:
        """The signature of ``signer``, if what it claims is about this image; without a claim it is over the image."""
        rule, reference = self._rule, self._store.reference
        if claim is not None:
            claim.check(
                self._document.digest,
                lambda name: rule.accepts_name(reference, name),
                accepted=frozenset(rule.predicates),
            )
        elif not rule.accepts_name(reference, None):
            raise WrongSubjectError("it names no repository", expected=", ".join(rule.signed_as))
        return Signature(
            signer=signer,
            issuer=issuer,
            digest=found.digest,
            manifest=found.manifest,
            predicate_type=claim.predicate_type if claim else None,
        )

    def _key_of(self, signature: bytes, message: bytes, hint: str | None) -> PublicKey:
        """The key of the rule that made the signature. A hint only tells which error it is when none did."""
        keys = self._rule.keys
        if not keys:
            raise WrongSignerError("signed with a key, and the rule names identities only")
        for key in keys:
            if key.verifies(signature, message):
                return key
        if hint is not None and hint not in {key.hint for key in keys}:
            raise WrongSignerError("signed with a key that the rule does not name", actual=hint)
        raise ForgedSignatureError("the signature fits no key that the rule names")

    def _identity_of(self, bundle: Bundle) -> tuple[str, str, bytes | None]:
        """Whom the bundle's certificate is for, verified against the trust roots of the rule's identities in turn."""
        identities = self._rule.identities
        if not identities:
            raise WrongSignerError("signed with a certificate, and the rule names keys only")
        refusals: list[BadSignatureError] = []
        for trust in dict.fromkeys(identity.trust for identity in identities):
            try:
                is_wanted = functools.partial(_is_wanted, [one for one in identities if one.trust == trust])
                return self._verifier(trust).verify(bundle, self._document.data, is_wanted)
            except BadSignatureError as refusal:
                refusals.append(refusal)
        raise refusals[0]

    def _verifier(self, trust: Trust) -> KeylessVerifier:
        if trust not in self._verifiers:
            # sigstore takes longer to import than most images take to fetch.
            from cloudboot_oci_stream.signatures.keyless import KeylessVerifier

            self._verifiers[trust] = KeylessVerifier(trust)
        return self._verifiers[trust]


def _is_wanted(identities: Sequence[Identity], issuer: str, subject: str) -> bool:
    return any(identity.matches(issuer, subject) for identity in identities)
