"""Signing images: with a key of one's own, or with an identity through Sigstore's services.

A signature is an artifact that refers to the image (a bundle, :mod:`.bundle`), and for readers that know nothing else
also a layer under cosign's tag. Neither changes the image, and signing again with the same key changes nothing.
"""

from __future__ import annotations

import base64
import dataclasses
from typing import TYPE_CHECKING, Literal

from cloudboot_oci_stream.deadline import Deadline
from cloudboot_oci_stream.errors import ManifestTooLargeError, NotFoundError, SigningError, TransportError, about
from cloudboot_oci_stream.retry import retrying
from cloudboot_oci_stream.signatures.bundle import BUNDLE_TYPE
from cloudboot_oci_stream.signatures.extra import require_extra
from cloudboot_oci_stream.signatures.find import SIGNATURE_ANNOTATION, signature_tag
from cloudboot_oci_stream.signatures.patterns import signing_name
from cloudboot_oci_stream.signatures.payloads import (
    SIGN_PREDICATE,
    SIMPLE_SIGNING_TYPE,
    build_simple_signing,
    build_statement,
)
from cloudboot_oci_stream.spec.descriptor import Descriptor
from cloudboot_oci_stream.spec.manifest import LARGEST_MANIFEST, MANIFEST_TYPE, canonical, parse_json, parse_manifest
from cloudboot_oci_stream.spec.reference import RegistryReference
from cloudboot_oci_stream.stores.factory import open_store
from cloudboot_oci_stream.stores.referrers import push_bytes, push_referrer

if TYPE_CHECKING:
    from collections.abc import Collection

    from cloudboot_oci_stream.http.access import Access
    from cloudboot_oci_stream.retry import RetryPolicy
    from cloudboot_oci_stream.signatures.signers import Signer
    from cloudboot_oci_stream.spec.manifest import Document
    from cloudboot_oci_stream.spec.reference import Reference
    from cloudboot_oci_stream.stores.store import Store

Format = Literal["bundle", "cosign"]
DEFAULT_FORMATS: tuple[Format, ...] = ("bundle",)

_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_ATTEMPTS = 5


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What was signed, by the digest the reference had, and the artifacts that hold the signatures."""

    reference: Reference
    digest: str
    artifacts: tuple[Descriptor, ...]

    def as_dict(self) -> dict[str, object]:
        """The facts, ready for JSON."""
        return {
            "reference": str(self.reference),
            "digest": self.digest,
            "artifacts": [artifact.as_json() for artifact in self.artifacts],
        }


def sign_image(
    reference: Reference | str,
    signer: Signer,
    *,
    formats: Collection[Format] = DEFAULT_FORMATS,
    name: str | None = None,
    access: Access | None = None,
    deadline: float | Deadline | None = None,
    retry: RetryPolicy | None = None,
) -> Signed:
    """Sign the manifest or index that ``reference`` names; the signature goes where the image is.

    ``formats`` are ``bundle``, an artifact that refers to the image, and ``cosign``, a layer under the tag
    ``sha256-<digest>.sig``, which needs a key. ``name`` is the repository that the signature names: by default the
    image's own, and none for a folder.

    Raises:
        SigningError: no signature could be made.
        OciError: the image could not be read, or the signature not be stored.
    """
    store = open_store(reference, access, retry)
    limit = Deadline.of(deadline)
    with about(reference=store.reference):
        document = retrying(lambda: store.read_manifest(None, limit), limit, retry)
        if len(document.data) > LARGEST_MANIFEST:
            raise ManifestTooLargeError("the manifest is too large", expected=f"at most {LARGEST_MANIFEST}")
        subject = Descriptor(media_type=document.media_type, digest=document.digest, size=len(document.data))
        artifacts = sign_stored(store, subject, signer, formats=formats, name=name, deadline=limit)
        pinned = dataclasses.replace(store.reference, digest=document.digest)
        return Signed(reference=pinned, digest=document.digest, artifacts=tuple(artifacts))


def sign_stored(
    store: Store,
    subject: Descriptor,
    signer: Signer,
    *,
    formats: Collection[Format] = DEFAULT_FORMATS,
    name: str | None = None,
    deadline: Deadline,
) -> list[Descriptor]:
    """Sign ``subject``, which need not be there yet, in the store's repository; the artifacts with the signatures."""
    require_extra()
    if name is None and isinstance(store.reference, RegistryReference):
        name = signing_name(store.reference)
    artifacts = []
    with about(digest=subject.digest):
        if "cosign" in formats:
            payload = build_simple_signing(subject.digest, name)
            artifacts.append(_push_cosign(store, subject, payload, signer.detached(payload), deadline))
        if "bundle" in formats:
            artifacts.append(
                push_referrer(
                    store,
                    subject,
                    [(BUNDLE_TYPE, signer.bundle(build_statement(subject.digest, name)))],
                    artifact_type=BUNDLE_TYPE,
                    annotations={
                        "dev.sigstore.bundle.content": "dsse-envelope",
                        "dev.sigstore.bundle.predicateType": SIGN_PREDICATE,
                    },
                    deadline=deadline,
                )
            )
    return artifacts


def _push_cosign(store: Store, subject: Descriptor, payload: bytes, signature: bytes, deadline: Deadline) -> Descriptor:
    """Add a layer to cosign's tag. Registries have no locks: look whether another client overwrote it."""
    tag = signature_tag(subject.digest)
    if tag is None:
        raise SigningError("cosign's tag is for SHA-256 digests only", actual=subject.digest)
    place = store.sibling(tag)
    blob = push_bytes(store, payload, SIMPLE_SIGNING_TYPE, deadline)
    encoded = base64.b64encode(signature).decode()
    layer = dataclasses.replace(blob, annotations={SIGNATURE_ANNOTATION: encoded})
    for _ in range(_ATTEMPTS):
        found = _read_cosign(place, deadline)
        value, layers = _parsed(found) if found else ({"schemaVersion": 2, "mediaType": MANIFEST_TYPE}, [])
        if found and layer.as_json() in layers:
            return Descriptor(media_type=MANIFEST_TYPE, digest=found.digest, size=len(found.data))
        layers.append(layer.as_json())
        config = push_bytes(store, _config([str(entry.get("digest")) for entry in layers]), _CONFIG_TYPE, deadline)
        data = canonical({**value, "config": config.as_json(), "layers": layers})
        place.write_manifest(data, media_type=MANIFEST_TYPE, artifact_type=None, deadline=deadline)
    raise TransportError("the tag does not keep what is added to it", actual=tag)


def _read_cosign(place: Store, deadline: Deadline) -> Document | None:
    """The manifest under cosign's tag as it is."""
    try:
        return place.read_manifest(None, deadline)
    except NotFoundError:
        return None


def _parsed(document: Document) -> tuple[dict[str, object], list[dict[str, object]]]:
    """A manifest's members and its layers, those included that this package has no use for.

    Raises:
        ContentError, DescriptorError: it is no manifest.
    """
    parse_manifest(document)
    value = parse_json(document.data)
    layers = value["layers"]
    return value, layers if isinstance(layers, list) else []


def _config(digests: list[str]) -> bytes:
    """The image configuration that cosign's artifacts carry (OCI Image Format Specification, "Image Configuration")."""
    never = "0001-01-01T00:00:00Z"
    return canonical(
        {
            "architecture": "",
            "created": never,
            "history": [{"created": never} for _ in digests],
            "os": "",
            "rootfs": {"type": "layers", "diff_ids": digests},
            "config": {},
        }
    )
