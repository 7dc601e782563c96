"""Manifests and indexes: read with bounds, chosen from, and made so that the same input gives the same bytes.

OCI Image Format Specification 1.1, "Image Manifest" (with "Guidelines for Artifact Usage") and "Image Index".
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import TYPE_CHECKING

from cloudboot_oci_stream.errors import ManifestSyntaxError, ManifestTooLargeError, NotAnImageError, SizeMismatchError
from cloudboot_oci_stream.spec.descriptor import (
    Descriptor,
    Platform,
    check_media_type,
    digest_of,
    own_annotations,
    read_annotations,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LAYER_TYPE = "application/vnd.cloud-boot.diskimage.raw.v1"
"""A raw disk image, as the single layer of its manifest."""

ARTIFACT_TYPE = "application/vnd.cloud-boot.diskimage.v1"

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST_TYPE = "application/vnd.docker.distribution.manifest.list.v2+json"
MANIFEST_TYPES = (MANIFEST_TYPE, DOCKER_MANIFEST_TYPE)
INDEX_TYPES = (INDEX_TYPE, DOCKER_LIST_TYPE)

TITLE = "org.opencontainers.image.title"
CREATED = "org.opencontainers.image.created"

LARGEST_MANIFEST = 4 << 20
"""Registries must accept manifests of 4 MiB (OCI Distribution Specification 1.1, "Pushing Manifests")."""

EMPTY_JSON = b"{}"
EMPTY_CONFIG = Descriptor(
    media_type="application/vnd.oci.empty.v1+json", digest=digest_of(EMPTY_JSON), size=len(EMPTY_JSON)
)

_CONTAINER_LAYERS = ("application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs.")
_VAGUE_TYPES = frozenset({"", "application/json", "text/json", "text/plain", "application/octet-stream"})
_DEEPEST = 32
_MOST_VALUES = 1 << 17
# An unterminated string is one token to the end, too: given up, it would be scanned again from every quote in it.
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)


_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """A manifest or an index as it was stored: the exact bytes, what they are called, and what they hash to."""

    data: bytes
    media_type: str
    digest: str


@dataclasses.dataclass(frozen=True, slots=True)
class Manifest:
    """An image manifest."""

    config: Descriptor
    layers: Sequence[Descriptor]
    artifact_type: str | None
    annotations: Mapping[str, str]


def parse_json(data: bytes) -> dict[str, object]:
    """The JSON object in ``data``.

    Nesting, the number of values and the size are bounded before a parser sees them, and a name that occurs twice is
    refused, because two readers would take different ones.

    Raises:
        ManifestTooLargeError: more than 4 MiB.
        ManifestSyntaxError: not a JSON object, or one out of bounds.
    """
    if len(data) > LARGEST_MANIFEST:
        raise ManifestTooLargeError(
            "the manifest is too large", expected=f"at most {LARGEST_MANIFEST}", actual=len(data)
        )
    try:
        text = data.decode()
        _check_structure(text)
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except ValueError as error:
        # Includes integers of more digits than the interpreter converts.
        raise ManifestSyntaxError("the manifest is not JSON", actual=str(error)) from None
    if not isinstance(value, dict):
        raise ManifestSyntaxError("the manifest is no object", actual=type(value).__name__)
    return value


def settle(document: Document) -> Document:
    """``document`` under the name that its own, hashed bytes have for it.

    Docker's and OCI's types are two names of one thing, and caches are known to mix them up. Some servers know no type
    but JSON's, or none: then the content decides, as in other clients. Any other contradiction stays, for parsing to
    refuse.

    Raises:
        ManifestTooLargeError, ManifestSyntaxError: as :func:`parse_json`.
    """
    for names in (MANIFEST_TYPES, INDEX_TYPES):
        if document.media_type in names:
            named = parse_json(document.data).get("mediaType")
            if isinstance(named, str) and named in names:
                return dataclasses.replace(document, media_type=named)
    if document.media_type.lower() in _VAGUE_TYPES:
        return dataclasses.replace(document, media_type=type_of(document.data) or document.media_type)
    return document


def type_of(data: bytes) -> str | None:
    """The media type that a manifest's content states or shows; ``None`` for what is neither manifest nor index.

    Raises:
        ManifestTooLargeError, ManifestSyntaxError: as :func:`parse_json`.
    """
    value = parse_json(data)
    named = value.get("mediaType")
    if named is not None:
        return named if isinstance(named, str) else None
    members = {"layers": MANIFEST_TYPE, "manifests": INDEX_TYPE}
    shown = [kind for member, kind in members.items() if member in value]
    return shown[0] if len(shown) == 1 else None


def check_size(data: bytes, entry: Descriptor) -> None:
    """Compare a manifest with the size that an index states for it.

    Raises:
        SizeMismatchError: they differ.
    """
    if len(data) != entry.size and len(data) <= LARGEST_MANIFEST:
        raise SizeMismatchError(
            "the manifest has another size than the index says",
            digest=entry.digest,
            expected=entry.size,
            actual=len(data),
        )


def parse_manifest(document: Document) -> Manifest:
    """The manifest in ``document``.

    Raises:
        ManifestSyntaxError: not a manifest's JSON.
        NotAnImageError: an index, or ambiguous between the two.
        DescriptorError: a descriptor in it is malformed.
    """
    value = _typed(document, MANIFEST_TYPES, "layers")
    layers = value.get("layers")
    if not isinstance(layers, list):
        raise ManifestSyntaxError("the manifest has no layers", expected="an array", actual=type(layers).__name__)
    artifact_type = value.get("artifactType")
    return Manifest(
        config=Descriptor.from_json(value.get("config")),
        layers=[Descriptor.from_json(layer) for layer in layers],
        artifact_type=check_media_type(artifact_type) if artifact_type else None,
        annotations=read_annotations(value.get("annotations")),
    )


def parse_index(document: Document) -> list[Descriptor]:
    """The entries of the index in ``document``; the same errors as :func:`parse_manifest`."""
    return [Descriptor.from_json(entry) for entry in raw_entries(document)]


def raw_entries(document: Document) -> list[object]:
    """The entries of the index in ``document`` as they are, each of which may be malformed.

    Raises:
        ManifestSyntaxError, NotAnImageError: as :func:`parse_manifest`.
    """
    manifests = _typed(document, INDEX_TYPES, "manifests").get("manifests")
    if not isinstance(manifests, list):
        raise ManifestSyntaxError("the index has no manifests", expected="an array", actual=type(manifests).__name__)
    return manifests


def check_image(document: Document) -> None:
    """Demand that ``document`` is an image manifest or an index, whatever is in the image.

    Raises:
        ContentError, DescriptorError: it is neither, or malformed.
    """
    if document.media_type in INDEX_TYPES:
        parse_index(document)
    else:
        parse_manifest(document)


def choose(entries: Sequence[Descriptor], platform: Platform | None) -> Descriptor:
    """The entry of an index for ``platform``; without one, the only entry that is no attestation or signature.

    Raises:
        NotAnImageError: none or several.
    """
    candidates = [entry for entry in entries if entry.media_type in MANIFEST_TYPES + INDEX_TYPES]
    if platform is not None:
        below = [entry for entry in candidates if entry.media_type in INDEX_TYPES and entry.platform is None]
        candidates = [entry for entry in candidates if entry.platform and entry.platform.matches(platform)] or below
    elif len(candidates) > 1:
        candidates = [entry for entry in candidates if not _is_attestation(entry)] or candidates
        candidates = [entry for entry in candidates if entry.artifact_type == ARTIFACT_TYPE] or candidates
    if len({entry.digest for entry in candidates}) == 1:
        return candidates[0]
    offered = ", ".join(str(entry.platform) for entry in entries if entry.platform)
    if platform is not None:
        offered = offered or "none with a platform"
        raise NotAnImageError("no entry of the index is for the platform", expected=str(platform), actual=offered)
    if not candidates:
        raise NotAnImageError("the index has no image", expected="a manifest", actual=f"{len(entries)} entries")
    raise NotAnImageError(
        "the index leaves a choice",
        expected="one manifest",
        actual=offered or f"{len(candidates)} manifests",
        hint="name a platform, or the digest of one manifest",
    )


def _is_attestation(entry: Descriptor) -> bool:
    """Whether BuildKit put the entry beside an image to say something of it."""
    platform = entry.platform
    is_unknown = platform is not None and (platform.os, platform.architecture) == ("unknown", "unknown")
    return is_unknown or "vnd.docker.reference.type" in entry.annotations


def image_layer(manifest: Manifest) -> Descriptor:
    """The one layer of a disk image's manifest.

    Raises:
        NotAnImageError: several layers or none, another media type, or nothing in it.
    """
    is_container = any(layer.media_type.startswith(_CONTAINER_LAYERS) for layer in manifest.layers)
    hint = "this is an image of a container, not of a disk" if is_container else None
    if len(manifest.layers) != 1:
        raise NotAnImageError("a disk image has one layer", expected=1, actual=len(manifest.layers), hint=hint)
    layer = manifest.layers[0]
    if layer.media_type != LAYER_TYPE:
        hint = hint or "if it is a raw disk, push it with 'push', or with another client as FILE:" + LAYER_TYPE
        raise NotAnImageError("the layer is no disk image", expected=LAYER_TYPE, actual=layer.media_type, hint=hint)
    if layer.size == 0:
        raise NotAnImageError("the disk image is empty", digest=layer.digest)
    return layer


def build_manifest(
    *layers: Descriptor,
    annotations: Mapping[str, str],
    artifact_type: str = ARTIFACT_TYPE,
    config: Descriptor = EMPTY_CONFIG,
) -> bytes:
    """A manifest: of a disk image one layer and the empty config; sorted annotations, no clock.

    Raises:
        DescriptorError: an annotation or the artifact type is malformed.
    """
    import oras.oci

    manifest = oras.oci.NewManifest()
    manifest.update(
        artifactType=check_media_type(artifact_type),
        config=config.as_json(),
        layers=[layer.as_json() for layer in layers],
        annotations=dict(sorted(own_annotations(annotations).items())),
    )
    if not manifest["annotations"]:
        del manifest["annotations"]
    return canonical(manifest)


def canonical(value: object) -> bytes:
    """JSON in the one form this package writes: no spaces, members in the order given, UTF-8."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    # JSON can hold half of a surrogate pair, as an escape; UTF-8 cannot.
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def _typed(document: Document, types: tuple[str, ...], member: str) -> dict[str, object]:
    """The JSON of ``document``, once its bytes, its media type and its members all tell the same story."""
    if document.media_type not in types:
        is_page = document.media_type == "text/html"
        raise NotAnImageError(
            "neither manifest nor index",
            expected=types[0],
            actual=document.media_type,
            hint="the answer is a web page: the host is not a registry, or a proxy or a login page is in front of it"
            if is_page
            else None,
        )
    value = parse_json(document.data)
    if value.get("mediaType", document.media_type) != document.media_type:
        raise NotAnImageError(
            "the content calls itself something else", expected=document.media_type, actual=value["mediaType"]
        )
    other = {"layers": "manifests", "manifests": "layers"}[member]
    if other in value:
        raise NotAnImageError("both a manifest and an index", expected=f"no {other}")
    version = value.get("schemaVersion")
    if version != 2 or isinstance(version, bool):
        raise ManifestSyntaxError("an unknown schemaVersion", expected=2, actual=version)
    return value


def _check_structure(text: str) -> None:
    count = text.count(",") + text.count("[") + text.count("{")
    if count > _MOST_VALUES:
        raise ManifestSyntaxError("the manifest has too many values", expected=f"at most {_MOST_VALUES}", actual=count)
    depth = 0
    for token in _STRUCTURE.finditer(text):
        mark = token[0]
        depth += (mark in "[{") - (mark in "]}")
        if depth > _DEEPEST:
            raise ManifestSyntaxError("the manifest nests too deeply", expected=f"at most {_DEEPEST}", actual=depth)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name occurs twice in one object")
    return value


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
