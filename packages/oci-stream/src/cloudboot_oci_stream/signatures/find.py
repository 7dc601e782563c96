"""Where an image's signatures are: artifacts that refer to it, and cosign's tag ``sha256-<digest>.sig``.

Whoever may push to a repository may push signatures, so nothing found here is believed, and none of it can keep a good
signature from being found but by sheer number.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from cloudboot_oci_stream.download.destinations import Memory
from cloudboot_oci_stream.download.parallel import Terms
from cloudboot_oci_stream.download.receive import receive
from cloudboot_oci_stream.errors import (
    BadSignatureError,
    NotFoundError,
    SignatureFormatError,
)
from cloudboot_oci_stream.retry import RetryPolicy, retrying
from cloudboot_oci_stream.signatures.bundle import BUNDLE_TYPE, LARGEST_BUNDLE
from cloudboot_oci_stream.signatures.payloads import LARGEST_PAYLOAD, SIMPLE_SIGNING_TYPE, decode_base64
from cloudboot_oci_stream.spec.manifest import parse_manifest
from cloudboot_oci_stream.stores.referrers import UNREADABLE, cosign_tags, list_referrers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_oci_stream.deadline import Deadline
    from cloudboot_oci_stream.spec.descriptor import Descriptor
    from cloudboot_oci_stream.spec.manifest import Document
    from cloudboot_oci_stream.stores.store import Store

MOST_SIGNATURES = 1 << 14
"""How many signatures are read."""
MOST_BYTES = 256 << 20
"""How many bytes of them are read."""

SIGNATURE_ANNOTATION = "dev.cosignproject.cosign/signature"
CERTIFICATE_ANNOTATION = "dev.sigstore.cosign/certificate"

_ANY_BUNDLE = "application/vnd.dev.sigstore.bundle"


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    """What may be a signature: the verified bytes of a blob, and the signature beside it where it is not inside.

    ``digest`` is the blob's, ``manifest`` that of the artifact it is in; ``certified`` tells that there is a
    certificate beside a detached signature.
    """

    data: bytes
    digest: str
    manifest: str
    detached: bytes | None = None
    certified: bool = False


def signature_tag(digest: str) -> str | None:
    """Cosign's tag for the signatures of a manifest; ``None`` for digests of which no tag can be made."""
    return next(iter(cosign_tags(digest)), None)


def find_signatures(
    store: Store, digest: str, deadline: Deadline, retry: RetryPolicy | None = None
) -> Iterator[Candidate | BadSignatureError]:
    """What may be a signature of the manifest ``digest``, or why something that ought to be a signature is not one.

    Raises:
        OciError: the registry or folder could not be asked.
    """
    size = 0
    for count, found in enumerate(_found(store, digest, deadline, retry), 1):
        yield found
        size += len(found.data) if isinstance(found, Candidate) else 0
        if count >= MOST_SIGNATURES or size >= MOST_BYTES:
            most = f"at most {MOST_SIGNATURES}, of {MOST_BYTES} bytes in all"
            yield SignatureFormatError("more signatures than are read", expected=most)
            return


def _found(
    store: Store, digest: str, deadline: Deadline, retry: RetryPolicy | None
) -> Iterator[Candidate | BadSignatureError]:
    entries = list_referrers(store, digest, deadline, retry)
    for entry in sorted(entries, key=lambda entry: entry.artifact_type != BUNDLE_TYPE):
        yield from _in_artifact(store, entry, deadline, retry)
    if (tag := signature_tag(digest)) is not None:
        yield from _in_artifact(store.sibling(tag), None, deadline, retry)


def _in_artifact(
    store: Store, entry: Descriptor | None, deadline: Deadline, retry: RetryPolicy | None
) -> Iterator[Candidate | BadSignatureError]:
    """The signatures in one artifact; one that holds other things has none."""
    try:
        document = retrying(lambda: store.read_manifest(entry, deadline), deadline, retry)
        layers = parse_manifest(document).layers
    except UNREADABLE as error:
        if entry is not None or not isinstance(error, NotFoundError):
            what = f"an artifact that cannot be read: {error.message}"
            yield SignatureFormatError(what, digest=entry.digest if entry else None)
        return
    for layer in layers:
        if layer.media_type == SIMPLE_SIGNING_TYPE or layer.media_type.startswith(_ANY_BUNDLE):
            try:
                yield _candidate(store, document, layer, deadline, retry)
            except SignatureFormatError as error:
                error.digest = layer.digest
                yield error


def _candidate(
    store: Store, document: Document, layer: Descriptor, deadline: Deadline, retry: RetryPolicy | None
) -> Candidate:
    simple = layer.media_type == SIMPLE_SIGNING_TYPE
    limit = LARGEST_PAYLOAD if simple else LARGEST_BUNDLE
    if layer.size > limit:
        raise SignatureFormatError("too large", expected=f"at most {limit}", actual=layer.size)
    detached = decode_base64(layer.annotations.get(SIGNATURE_ANNOTATION), "the signature") if simple else None
    data = bytearray(layer.size)
    try:
        with memoryview(data) as view:
            receive(store, layer, Memory(view), Terms(deadline=deadline, retry=retry or RetryPolicy(), ranges=1))
    except UNREADABLE as error:
        raise SignatureFormatError(f"a blob that cannot be read: {error.message}") from error
    certified = CERTIFICATE_ANNOTATION in layer.annotations
    return Candidate(bytes(data), layer.digest, document.digest, detached, certified)
