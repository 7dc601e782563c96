"""What refers to a manifest: signatures above all (OCI Distribution Specification 1.1, "Listing Referrers").

A registry with the referrers API lists them itself. For the others, and for clients that know nothing else, the list is
an index under the tag ``<algorithm>-<digest>`` that whoever pushes keeps up ("Referrers Tag Schema"). Filters are left
to the caller: servers need not know them, and descriptors in the tag's index are known to lie about the artifact type.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from cloudboot_oci_stream.errors import (
    ContentError,
    DescriptorError,
    ImageLayoutError,
    NotFoundError,
    ProtocolError,
    RedirectError,
    RegistryError,
    TransportError,
    about,
)
from cloudboot_oci_stream.retry import RetryPolicy, retrying
from cloudboot_oci_stream.spec.descriptor import Descriptor, check_media_type, digest_of, own_annotations
from cloudboot_oci_stream.spec.manifest import (
    EMPTY_CONFIG,
    EMPTY_JSON,
    INDEX_TYPE,
    MANIFEST_TYPE,
    canonical,
    parse_index,
    parse_json,
)
from cloudboot_oci_stream.stores.pagination import MOST_REFERRERS
from cloudboot_oci_stream.stores.source import open_source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudboot_oci_stream.deadline import Deadline
    from cloudboot_oci_stream.stores.store import Store

_ATTEMPTS = 5

UNREADABLE = (ContentError, DescriptorError, ImageLayoutError, RegistryError, RedirectError)
"""What one artifact may be like without keeping another from being found; a registry that is gone is another thing."""


def referrers_tag(digest: str) -> str:
    """The tag under which what refers to ``digest`` is listed; long digests are cut, as the specification has it."""
    algorithm, _, encoded = digest.partition(":")
    return f"{algorithm[:32]}-{encoded[:64]}"


def cosign_tags(digest: str) -> list[str]:
    """The tags beside a manifest under which cosign keeps signatures, attestations and bills of materials."""
    if not digest.startswith("sha256:"):
        return []
    return [f"{referrers_tag(digest)}.{kind}" for kind in ("sig", "att", "sbom")]


def list_referrers(store: Store, digest: str, deadline: Deadline, retry: RetryPolicy | None = None) -> list[Descriptor]:
    """Descriptors of all manifests that refer to the manifest ``digest`` in the store's repository or folder.

    Both places are looked at: a registry that learned the API late need not know what was pushed before.

    Raises:
        ProtocolError: a list without end, or of more than 1,024 entries.
        OciError: the registry could not be asked.
    """
    with about(reference=store.reference, digest=digest):
        listed = retrying(lambda: store.read_referrers(digest, deadline), deadline, retry) or []
        tagged: list[Descriptor] = []
        with contextlib.suppress(ContentError, DescriptorError):  # what else has the tag lists nothing
            tagged = retrying(lambda: _read_tag(store, digest, deadline), deadline, retry)[1]
        found = {entry.digest: entry for entry in [*listed, *tagged]}
        if len(found) > MOST_REFERRERS:
            raise ProtocolError("too many referrers", expected=f"at most {MOST_REFERRERS}", actual=len(found))
        return list(found.values())


def push_referrer(
    store: Store,
    subject: Descriptor,
    layers: Sequence[tuple[str, bytes]],
    *,
    artifact_type: str,
    annotations: Mapping[str, str] | None = None,
    deadline: Deadline,
) -> Descriptor:
    """Push an artifact whose layers are the given media types and bytes, as one that refers to ``subject``.

    Where the registry does not list it under ``subject`` by itself, the tag's index is changed, too. There is no clock
    in the manifest: pushing the same again changes nothing.

    Raises:
        DescriptorError: a media type or annotation is malformed.
        ProtocolError: something that is no index has the tag.
        TransportError: another client kept changing the tag's index at the same time.
        OciError: the registry or folder does not take it.
    """
    noted = dict(sorted(own_annotations(annotations).items()))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": check_media_type(artifact_type),
        "config": push_bytes(store, EMPTY_JSON, EMPTY_CONFIG.media_type, deadline).as_json(),
        "layers": [push_bytes(store, data, media_type, deadline).as_json() for media_type, data in layers],
        "subject": Descriptor(media_type=subject.media_type, digest=subject.digest, size=subject.size).as_json(),
    }
    data = canonical(manifest | ({"annotations": noted} if noted else {}))
    entry = Descriptor(
        media_type=MANIFEST_TYPE,
        digest=digest_of(data),
        size=len(data),
        artifact_type=artifact_type,
        annotations=noted,
    )
    place_referrer(store, data, entry, subject, deadline)
    return entry


def place_referrer(store: Store, data: bytes, entry: Descriptor, subject: Descriptor, deadline: Deadline) -> None:
    """Store a manifest, described by ``entry``, so that it is listed under ``subject``; its blobs are there already.

    Raises:
        ProtocolError, TransportError, OciError: as :func:`push_referrer`.
    """
    if not store.write_referrer(data, entry, subject, deadline):
        _add_to_tag(store, subject.digest, entry, deadline)


def push_bytes(store: Store, data: bytes, media_type: str, deadline: Deadline) -> Descriptor:
    """Push a small blob; its descriptor."""
    with open_source(data) as source:
        digest, size = store.write_blob(source, algorithm="sha256", progress=None, chunk=None, deadline=deadline)
    return Descriptor(media_type=media_type, digest=digest, size=size)


def _read_tag(store: Store, digest: str, deadline: Deadline) -> tuple[dict[str, object], list[Descriptor]]:
    """The index under the tag as it is, and its entries; a new one where nothing has the tag."""
    try:
        document = store.sibling(referrers_tag(digest)).read_manifest(None, deadline)
    except NotFoundError:
        return {"schemaVersion": 2, "mediaType": INDEX_TYPE}, []
    return parse_json(document.data), parse_index(document)


def _add_to_tag(store: Store, digest: str, entry: Descriptor, deadline: Deadline) -> None:
    """Put ``entry`` into the tag's index. Registries have no locks: look whether another client overwrote it."""
    place = store.sibling(referrers_tag(digest))
    for _ in range(_ATTEMPTS):
        try:
            index, entries = _read_tag(store, digest, deadline)
        except (ContentError, DescriptorError) as error:
            raise ProtocolError("something that is no list of referrers has the tag", actual=error.message) from error
        if any(known.digest == entry.digest for known in entries):
            return
        listed = index.get("manifests")
        kept = listed if isinstance(listed, list) else []
        data = canonical({**index, "manifests": [*kept, entry.as_json()]})
        place.write_manifest(data, media_type=INDEX_TYPE, artifact_type=None, deadline=deadline)
    raise TransportError("the list of referrers does not keep what is added to it", expected=entry.digest)
