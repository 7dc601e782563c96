from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudboot_oci_stream import ARTIFACT_TYPE, LAYER_TYPE, Descriptor, Document, OciError, Platform
from cloudboot_oci_stream.errors import (
    DescriptorError,
    ManifestSyntaxError,
    ManifestTooLargeError,
    NotAnImageError,
)
from cloudboot_oci_stream.spec.descriptor import check_digest, digest_of
from cloudboot_oci_stream.spec.manifest import (
    INDEX_TYPE,
    LARGEST_MANIFEST,
    MANIFEST_TYPE,
    build_manifest,
    choose,
    image_layer,
    parse_index,
    parse_json,
    parse_manifest,
)

DIGEST = digest_of(b"disk")
LAYER = Descriptor(media_type=LAYER_TYPE, digest=DIGEST, size=4)


def document(value: object, media_type: str = MANIFEST_TYPE) -> Document:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Document(data, media_type, digest_of(data))


def manifest(**changes: object) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(build_manifest(LAYER, annotations={}))
    return value | changes


def test_the_bytes_of_a_manifest_are_known() -> None:
    """What is written depends on nothing but the arguments; the digest of the empty config is the specification's."""
    data = build_manifest(LAYER, annotations={"b": "2", "a": "é"})
    assert data.decode() == (
        '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",'
        '"config":{"mediaType":"application/vnd.oci.empty.v1+json",'
        '"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},'
        f'"layers":[{{"mediaType":"{LAYER_TYPE}","digest":"{DIGEST}","size":4}}],'
        f'"annotations":{{"a":"1","b":"2"}},"artifactType":"{ARTIFACT_TYPE}"}}'
    ).replace('"a":"1"', '"a":"é"')
    parsed = parse_manifest(document(data))
    assert image_layer(parsed) == LAYER
    assert parsed.artifact_type == ARTIFACT_TYPE
    assert parsed.annotations == {"a": "é", "b": "2"}


@pytest.mark.parametrize("digest", ["", "sha256", "sha256:", "sha256:" + "0" * 63, "SHA256:" + "0" * 64, 7, None, []])
def test_digests_that_are_none(digest: object) -> None:
    with pytest.raises(DescriptorError):
        check_digest(digest)


@pytest.mark.parametrize("size", [-1, 1 << 63, True, 1.0, "4", None])
def test_sizes_that_are_none(size: object) -> None:
    with pytest.raises(DescriptorError, match="not a size"):
        Descriptor.from_json({"mediaType": LAYER_TYPE, "digest": DIGEST, "size": size})


@pytest.mark.parametrize(
    "change",
    [
        {"mediaType": "disk"},
        {"mediaType": "a/b\r\nX: y"},
        {"digest": "sha1:" + "0" * 40},
        {"annotations": {"a": 1}},
        {"annotations": []},
        {"platform": "linux"},
        {"platform": {"os": 5}},
        {"artifactType": 5},
    ],
)
def test_descriptors_that_are_none(change: dict[str, object]) -> None:
    with pytest.raises(DescriptorError):
        Descriptor.from_json(LAYER.as_json() | change)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
members = st.dictionaries(
    st.sampled_from(["mediaType", "digest", "size", "annotations", "platform", "artifactType"]), json_values
)


@settings(deadline=None)
@given(members)
def test_any_object_is_a_descriptor_or_a_typed_error(change: dict[str, object]) -> None:
    try:
        parsed = Descriptor.from_json(LAYER.as_json() | change)
    except DescriptorError:
        return
    assert Descriptor.from_json(json.loads(json.dumps(parsed.as_json()))) == parsed


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["layers", "config", "mediaType", "schemaVersion", "manifests"]), json_values))
def test_any_json_is_a_manifest_or_a_typed_error(change: dict[str, object]) -> None:
    for media_type in (MANIFEST_TYPE, INDEX_TYPE):
        try:
            value = document(manifest(**change), media_type)
        except ValueError:
            return
        try:
            parsed = parse_manifest(value) if media_type == MANIFEST_TYPE else parse_index(value)
        except OciError:
            continue
        assert parsed is not None


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_json_or_a_typed_error(data: bytes) -> None:
    try:
        parse_json(data)
    except ManifestSyntaxError:
        return


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"[" * 100_000, ManifestSyntaxError),
        (b'{"a":' * 2_000 + b"1" + b"}" * 2_000, ManifestSyntaxError),
        (b'{"a":[' + b"[]," * 1_300_000 + b"[]]}", ManifestSyntaxError),
        (b'{"a":' + b"9" * 1_000_000 + b"}", ManifestSyntaxError),
        (b'{"a":"' + b"\\" * 1_000_001, ManifestSyntaxError),
        (b'{"a":' + b'"' * 1_000_001, ManifestSyntaxError),
        (b'{"a":"' + b'\\"' * 2_000_000, ManifestSyntaxError),
        (b'{"a":"' + b'\\"' * 2_000_000 + b"\\", ManifestSyntaxError),
        (b'{"size":1,"size":2}', ManifestSyntaxError),
        (b'{"size":NaN}', ManifestSyntaxError),
        (b"\xff\xfe{}", ManifestSyntaxError),
        (b"[]", ManifestSyntaxError),
        (b"", ManifestSyntaxError),
        (b" " * (LARGEST_MANIFEST + 1), ManifestTooLargeError),
    ],
    ids=range(14),
)
def test_json_bombs(data: bytes, error: type[OciError]) -> None:
    with pytest.raises(error):
        parse_json(data)


@pytest.mark.parametrize(
    ("change", "media_type", "error"),
    [
        ({"layers": []}, MANIFEST_TYPE, NotAnImageError),
        ({"layers": [LAYER.as_json()] * 2}, MANIFEST_TYPE, NotAnImageError),
        (
            {"layers": [LAYER.as_json() | {"mediaType": "application/vnd.oci.image.layer.v1.tar"}]},
            MANIFEST_TYPE,
            NotAnImageError,
        ),
        ({"layers": [LAYER.as_json() | {"size": 0}]}, MANIFEST_TYPE, NotAnImageError),
        ({"layers": [LAYER.as_json() | {"size": -1}]}, MANIFEST_TYPE, DescriptorError),
        ({"layers": {}}, MANIFEST_TYPE, ManifestSyntaxError),
        ({"config": None}, MANIFEST_TYPE, DescriptorError),
        ({"manifests": []}, MANIFEST_TYPE, NotAnImageError),
        ({"mediaType": INDEX_TYPE}, MANIFEST_TYPE, NotAnImageError),
        ({"schemaVersion": 1}, MANIFEST_TYPE, ManifestSyntaxError),
        ({"schemaVersion": True}, MANIFEST_TYPE, ManifestSyntaxError),
        ({}, "application/json", NotAnImageError),
        ({}, INDEX_TYPE, NotAnImageError),
    ],
)
def test_manifests_that_are_no_image(change: dict[str, object], media_type: str, error: type[OciError]) -> None:
    with pytest.raises(error):
        image_layer(parse_manifest(document(manifest(**change), media_type)))


def entry(**members: Any) -> Descriptor:
    members = {"media_type": MANIFEST_TYPE, "digest": DIGEST, "size": 4, **members}
    return Descriptor(**members)


AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64", "v8")


def test_an_index_is_chosen_from() -> None:
    amd64, arm64 = entry(platform=AMD64), entry(platform=ARM64)
    other = entry(media_type="application/vnd.example.thing+json")
    assert choose([amd64, arm64, other], AMD64) is amd64
    assert choose([amd64, arm64, other], Platform.parse("linux/arm64")) is arm64
    assert choose([other, arm64], None) is arm64
    image = entry(artifact_type=ARTIFACT_TYPE)
    assert choose([amd64, image, arm64], None) is image


@pytest.mark.parametrize("platform", [None, Platform("linux", "arm64", "v7"), Platform("freebsd", "amd64")])
def test_an_index_without_a_match(platform: Platform | None) -> None:
    with pytest.raises(NotAnImageError, match="linux/arm64/v8"):
        choose([entry(platform=AMD64), entry(platform=ARM64, digest=digest_of(b"other"))], platform)
    with pytest.raises(NotAnImageError):
        choose([], platform)
