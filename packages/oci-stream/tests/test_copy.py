"""Copies between registries and folders."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from cloudboot_base.testing import judge, run
from cloudboot_oci_stream import (
    Access,
    Descriptor,
    KeySigner,
    OciError,
    Policy,
    RetryPolicy,
    Rule,
    copy_image,
    fetch_image,
    open_store,
    push_image,
    resolve,
    sign_image,
    verify_signature,
)
from cloudboot_oci_stream.deadline import Deadline
from cloudboot_oci_stream.errors import (
    DescriptorError,
    DigestMismatchError,
    NotAnImageError,
    NotFoundError,
    UnauthorizedError,
    UnsignedError,
)
from cloudboot_oci_stream.spec.descriptor import digest_of
from cloudboot_oci_stream.spec.manifest import INDEX_TYPE, MANIFEST_TYPE, canonical
from cloudboot_oci_stream.stores.referrers import cosign_tags, list_referrers, push_referrer, referrers_tag
from cloudboot_oci_stream.testing import FaultyRegistry, Server, docker_registry
from cloudboot_oci_stream.testing.sigstore import new_key, private_pem

DISK = random.Random(19).randbytes(2_000_003)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    judge("docker-registry", "docker-registry")
    with docker_registry() as running:
        yield running


WAYS = {
    "registry to folder": ("{host}/a:v1", "oci:{folder}/a:v2"),
    "folder to registry": ("oci:{folder}/b:v1", "{host}/b:v2"),
    "folder to folder": ("oci:{folder}/c:v1", "oci:{folder}/d:v2"),
    "within a registry": ("{host}/e:v1", "{host}/f:v2"),
}


def raw(reference: str) -> bytes:
    return resolve(open_store(reference)).document.data


def assert_copied(source: str, target: str) -> None:
    assert raw(source) == raw(target)
    with fetch_image(target) as image:
        assert image.view[: len(DISK)] == DISK


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("chunk", [None, 300_000])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_every_way(
    registry: FaultyRegistry, tmp_path: Path, way: tuple[str, str], chunk: int | None, algorithm: str
) -> None:
    source, target = (place.format(host=registry.host, folder=tmp_path) for place in way)
    manifest = push_image(DISK, source, title="disk.img", annotations={"a": "b"}, algorithm=algorithm)
    seen: list[tuple[int, int]] = []
    copied = copy_image(source, target, chunk=chunk, progress=lambda done, total: seen.append((done, total)))
    assert copied.descriptor.digest == manifest.digest
    assert copied.sent + copied.mounted + copied.present == len(DISK) + 2
    assert seen == sorted(seen)
    assert seen[-1] == (len(DISK) + 2, len(DISK) + 2)
    assert_copied(source, target)
    again = copy_image(source, target)
    assert (again.sent, again.mounted, again.present) == (0, 0, len(DISK) + 2)


def test_docker_registry_mounts(server: Server) -> None:
    push_image(DISK, f"{server.host}/a:v1")
    copied = copy_image(f"{server.host}/a:v1", f"{server.host}/b:v1")
    assert (copied.sent, copied.mounted) == (0, len(DISK) + 2)
    assert_copied(f"{server.host}/a:v1", f"{server.host}/b:v1")


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_mount_without_a_token_for_both_repositories_is_an_upload(status: int) -> None:
    """GitLab's token service refuses all of a request if the user may not have one of its scopes."""
    with FaultyRegistry() as registry:
        push_image(DISK, f"{registry.host}/a:v1")
        challenge = f'Bearer realm="http://{registry.host}/refusing",scope="repository:b:pull,push repository:a:pull"'
        unauthorised = f"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: {challenge}\r\nContent-Length: 0\r\n\r\n"
        refused = f"HTTP/1.1 {status} Refused\r\nContent-Length: 0\r\n\r\n"
        registry.faults.replies = [
            ("HEAD", "/v2/b/blobs/", b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
            ("POST", "mount=", unauthorised.encode()),
            ("GET", "/refusing", refused.encode()),
        ]
        copied = copy_image(f"{registry.host}/a:v1", f"{registry.host}/b:v1", retry=RetryPolicy(attempts=0))
        assert not registry.faults.replies
        assert copied.sent
        assert copied.mounted == 0
        assert_copied(f"{registry.host}/a:v1", f"{registry.host}/b:v1")


def test_from_server_to_server(server: Server) -> None:
    with docker_registry() as other:
        push_image(DISK, f"{server.host}/c:v1")
        assert copy_image(f"{server.host}/c:v1", f"{other.host}/x/y:v9").sent == len(DISK) + 2
        assert_copied(f"{server.host}/c:v1", f"{other.host}/x/y:v9")


def index_of(place: str) -> str:
    """An index for two platforms in a folder, as another program would write it."""
    entries = []
    for architecture in ("amd64", "arm64"):
        manifest = push_image(DISK + architecture.encode(), f"oci:{place}:{architecture}")
        entries.append(manifest.as_json() | {"platform": {"os": "freebsd", "architecture": architecture}})
    data = canonical({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries})
    Path(place, "blobs", "sha256", digest_of(data).partition(":")[2]).write_bytes(data)
    top = json.loads(Path(place, "index.json").read_bytes())
    top["manifests"].append(
        {
            "mediaType": INDEX_TYPE,
            "digest": digest_of(data),
            "size": len(data),
            "annotations": {"org.opencontainers.image.ref.name": "all"},
        }
    )
    Path(place, "index.json").write_bytes(canonical(top))
    return digest_of(data)


@pytest.mark.parametrize("target", ["registry", "server", "folder"])
def test_an_index_whole_or_one_platform(registry: FaultyRegistry, server: Server, tmp_path: Path, target: str) -> None:
    digest = index_of(f"{tmp_path}/all")
    to = {
        "registry": f"{registry.host}/i",
        "server": f"{server.host}/i",
        "folder": f"oci:{tmp_path}/other",
    }[target]
    assert copy_image(f"oci:{tmp_path}/all:all", f"{to}:all").descriptor.digest == digest
    for architecture in ("amd64", "arm64"):
        with fetch_image(f"{to}:all", platform=f"freebsd/{architecture}") as image:
            assert image.view[: len(DISK) + 5] == DISK + architecture.encode()
    one = copy_image(f"oci:{tmp_path}/all:all", f"{to}:arm", platform="freebsd/arm64")
    assert one.descriptor.media_type == MANIFEST_TYPE
    with fetch_image(f"{to}:arm") as image:
        assert image.view[: len(DISK) + 5] == DISK + b"arm64"
    with pytest.raises(NotAnImageError):
        copy_image(f"oci:{tmp_path}/all:all", f"{to}:none", platform="freebsd/riscv64")


def test_an_entry_of_an_unknown_type_is_copied_as_oras_copies_it(registry: FaultyRegistry, tmp_path: Path) -> None:
    """ "Implementations storing or copying image indexes MUST NOT error on" an unknown mediaType (image index)."""
    manifest = push_image(DISK, f"oci:{tmp_path}/one:v1")
    note = b'{"note": "about the image"}'
    Path(tmp_path, "one", "blobs", "sha256", digest_of(note).partition(":")[2]).write_bytes(note)
    entry = {"mediaType": "application/vnd.example.note+json", "digest": digest_of(note), "size": len(note)}
    index = canonical({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [manifest.as_json(), entry]})
    store = open_store(f"oci:{tmp_path}/one:all")
    store.write_manifest(index, media_type=INDEX_TYPE, artifact_type=None, deadline=Deadline())
    run(
        judge("oras", "oras"), "copy", "--from-oci-layout", f"{tmp_path}/one:all",
        "--to-oci-layout", f"{tmp_path}/theirs:all",
    )  # fmt: skip
    copy_image(f"oci:{tmp_path}/one:all", f"{registry.host}/all:v1")
    copy_image(f"{registry.host}/all:v1", f"oci:{tmp_path}/ours:all")
    blobs = [
        sorted(path.name for path in Path(tmp_path, each, "blobs/sha256").iterdir()) for each in ("theirs", "ours")
    ]
    assert blobs[0] == blobs[1]
    assert digest_of(note).partition(":")[2] in blobs[1]
    assert_copied(f"oci:{tmp_path}/one:v1", f"oci:{tmp_path}/ours:all")


def test_a_missing_entry_is_named(registry: FaultyRegistry, tmp_path: Path) -> None:
    index_of(f"{tmp_path}/all")
    gone = open_store(f"oci:{tmp_path}/all:arm64").read_manifest(None, Deadline()).digest
    Path(tmp_path, "all", "blobs", "sha256", gone.partition(":")[2]).unlink()
    for act in (
        lambda: copy_image(f"oci:{tmp_path}/all:all", f"{registry.host}/i:v1"),
        lambda: fetch_image(f"oci:{tmp_path}/all:all", platform="freebsd/arm64"),
    ):
        with pytest.raises(NotFoundError) as caught:
            act()
        assert caught.value.digest == gone


def test_skopeo_reads_the_copy_of_an_index(server: Server, tmp_path: Path) -> None:
    skopeo = judge("skopeo", "skopeo")
    digest = index_of(f"{tmp_path}/all")
    copy_image(f"oci:{tmp_path}/all:all", f"{server.host}/k:all")
    copy_image(f"{server.host}/k:all", f"oci:{tmp_path}/back:all")
    for source in (f"docker://{server.host}/k:all", f"oci:{tmp_path}/back:all"):
        assert digest_of(run(skopeo, "inspect", "--raw", "--tls-verify=false", source).encode()) == digest
    # Everything, read and written once more by somebody else.
    run(skopeo, "copy", "--all", "--src-tls-verify=false", f"docker://{server.host}/k:all", f"dir:{tmp_path}/dir")
    assert len(list((tmp_path / "dir").glob("*.manifest.json"))) == 2


@pytest.mark.parametrize(
    "faults",
    [
        {"cuts": [0, 70_000, 1_000_000, len(DISK) - 1]},
        {"cuts": [70_000, 1_000_000], "reset": True},
        {"cuts": [70_000], "ranges": "ignore"},
        {"cuts": [70_000, 1_000_000], "ranges": "blocks"},
        {"cuts": [70_000], "ranges": "whole"},
        {"upload_cuts": [0, 100_000, 1_999_999]},
        {"answers": [(503, {}), (429, {"Retry-After": "0"})]},
        {"redirect": "storage", "cuts": [500_000]},
    ],
    ids=str,
)
@pytest.mark.parametrize("chunk", [None, 300_000])
def test_what_is_overcome(faults: dict[str, Any], chunk: int | None) -> None:
    with FaultyRegistry() as one, FaultyRegistry() as other:
        push_image(DISK, f"{one.host}/a:v1")
        for name, value in faults.items():
            setattr(other.faults if name == "upload_cuts" else one.faults, name, value)
        copy_image(f"{one.host}/a:v1", f"{other.host}/b:v1", chunk=chunk, retry=RetryPolicy(pause=0.001))
        assert_copied(f"{one.host}/a:v1", f"{other.host}/b:v1")


@pytest.mark.parametrize("target", ["registry", "folder"])
@pytest.mark.parametrize("flip", [2, len(DISK) // 2, len(DISK) - 1])
def test_a_flipped_bit_does_not_arrive(registry: FaultyRegistry, tmp_path: Path, target: str, flip: int) -> None:
    with FaultyRegistry() as other:
        push_image(DISK, f"{registry.host}/a:v1")
        registry.faults.flip = flip
        to = f"{other.host}/b:v1" if target == "registry" else f"oci:{tmp_path}/b:v1"
        with pytest.raises(DigestMismatchError) as caught:
            copy_image(f"{registry.host}/a:v1", to)
        assert caught.value.digest == digest_of(DISK)
        with pytest.raises(OciError):
            fetch_image(to)
        assert digest_of(DISK) not in other.blobs
        assert not list(tmp_path.glob(f"b/blobs/sha256/{digest_of(DISK).partition(':')[2]}"))


def test_a_damaged_blob_in_a_folder_is_replaced(registry: FaultyRegistry, tmp_path: Path) -> None:
    push_image(DISK, f"{registry.host}/a:v1")
    copy_image(f"{registry.host}/a:v1", f"oci:{tmp_path}/b:v1")
    blob = tmp_path / "b" / "blobs" / "sha256" / digest_of(DISK).partition(":")[2]
    blob.write_bytes(DISK[:-1] + b"!")
    assert copy_image(f"{registry.host}/a:v1", f"oci:{tmp_path}/b:v1").sent == len(DISK)
    assert_copied(f"{registry.host}/a:v1", f"oci:{tmp_path}/b:v1")


def test_what_cannot_be_copied(registry: FaultyRegistry, tmp_path: Path) -> None:
    target = f"oci:{tmp_path}/t:v1"
    with pytest.raises(NotFoundError):
        copy_image(f"{registry.host}/none:v1", target)
    digest = push_image(DISK, f"{registry.host}/a:v1").digest
    other = push_image(DISK + b"!", f"{registry.host}/a:v2").digest
    with pytest.raises(DigestMismatchError):
        copy_image(f"{registry.host}/a:v1", f"oci:{tmp_path}/t@{other}")
    copy_image(f"{registry.host}/a:v1", f"oci:{tmp_path}/t@{digest}")
    foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar"
    data = registry.manifests["a", "v1"][1].replace(b"application/vnd.cloud-boot.diskimage.raw.v1", foreign.encode())
    registry.add_manifest("a", "foreign", MANIFEST_TYPE, data)
    with pytest.raises(DescriptorError):
        copy_image(f"{registry.host}/a:foreign", target)


def test_credentials_of_two_registries(registry: FaultyRegistry) -> None:
    push_image(DISK, f"{registry.host}/a:v1")
    joe = Access(username="joe", password="secret")
    for tokens in (False, True):
        with FaultyRegistry(users={"joe": "secret"}, tokens=tokens) as guarded:
            with pytest.raises((UnauthorizedError, OciError)):
                copy_image(f"{registry.host}/a:v1", f"{guarded.host}/b:v1")
            copy_image(f"{registry.host}/a:v1", f"{guarded.host}/b:v1", target_access=joe)
            assert digest_of(DISK) in guarded.blobs
    assert not [seen for seen in registry.seen if seen.authorization]


SIGNED_WAYS = {
    "lists to lists": ("{lists}/a:v1", "{lists}/b:v2"),
    "lists to server": ("{lists}/a:v1", "{server}/signed-a:v2"),
    "server to pages": ("{server}/signed-b:v1", "{pages}/b:v2"),
    "folder to server": ("oci:{folder}/a:v1", "{server}/signed-c:v2"),
    "pages to folder": ("{pages}/c:v1", "oci:{folder}/b:v2"),
}


@pytest.mark.parametrize("way", SIGNED_WAYS.values(), ids=SIGNED_WAYS.keys())
def test_signatures_come_along(server: Server, tmp_path: Path, way: tuple[str, str]) -> None:
    """Of both kinds, and those of an index's entries; and what refers to a referrer."""
    signer = KeySigner.from_pem(private_pem(new_key()))
    with FaultyRegistry() as lists, FaultyRegistry() as pages:
        lists.faults.referrers, pages.faults.referrers = "list", "pages"
        hosts = {"lists": lists.host, "pages": pages.host, "server": server.host, "folder": tmp_path}
        source, target = (place.format(**hosts) for place in way)
        # A signature names the repository it was made for, which neither place need be.
        policy = Policy([Rule(keys=[signer.public], signed_as=["registry.example/os"])])
        push_image(DISK, source)
        sign_image(source, signer, formats=("bundle", "cosign"), name="registry.example/os")
        store = open_store(source)
        (bundle,) = list_referrers(store, resolve(store).document.digest, Deadline())
        push_referrer(
            store, bundle, [("text/plain", b"about the signature")], artifact_type="text/x", deadline=Deadline()
        )
        copy_image(source, target)
        with pytest.raises(UnsignedError):
            verify_signature(target, policy)
        copied = copy_image(source, target, referrers=True)
        assert copied.referrers == 3
        assert len(verify_signature(target, policy).signatures) == 1
        there = open_store(target)
        (arrived,) = list_referrers(there, resolve(there).document.digest, Deadline())
        assert [entry.artifact_type for entry in list_referrers(there, arrived.digest, Deadline())] == ["text/x"]
        tag = cosign_tags(copied.descriptor.digest)[0]
        tagged = [place.sibling(tag).read_manifest(None, Deadline()).data for place in (store, there)]
        assert tagged[0] == tagged[1]
        assert copy_image(source, target, referrers=True).sent == 0


def test_cosign_verifies_a_copy(server: Server, tmp_path: Path) -> None:
    key = new_key()
    signer = KeySigner.from_pem(private_pem(key))
    (tmp_path / "key.pub").write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    push_image(DISK, f"oci:{tmp_path}/images:v1", sign=signer, signature_formats=("bundle", "cosign"))
    target = f"{server.host}/judged-by-cosign:v1"
    copied = copy_image(f"oci:{tmp_path}/images:v1", target, referrers=True)
    output = run(
        judge("cosign", "cosign"), "verify", "--key", tmp_path / "key.pub", "--insecure-ignore-tlog",
        target,
    )  # fmt: skip
    assert copied.descriptor.digest in output


def test_a_list_that_lies_brings_nothing(tmp_path: Path) -> None:
    """An entry under an image that refers to another, and lists that name each other."""
    with FaultyRegistry() as registry:
        push_image(DISK, f"{registry.host}/a:v1")
        push_image(b"other", f"{registry.host}/a:other")
        store = open_store(f"{registry.host}/a:v1")
        document, other = resolve(store).document, resolve(open_store(f"{registry.host}/a:other")).document
        entry = Descriptor(media_type=MANIFEST_TYPE, digest=other.digest, size=len(other.data))
        index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [entry.as_json()]}
        store.sibling(referrers_tag(document.digest)).write_manifest(
            canonical(index), media_type=INDEX_TYPE, artifact_type=None, deadline=Deadline()
        )
        copied = copy_image(f"{registry.host}/a:v1", f"oci:{tmp_path}/a:v1", referrers=True)
        assert (copied.referrers, copied.sent) == (0, len(DISK) + 2)
