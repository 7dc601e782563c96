"""Signing and verifying with keys: formats, places, rules, and what is fetched when."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from cloudboot_base.testing import judge, loaded_modules
from cloudboot_oci_stream import (
    KeySigner,
    Policy,
    PublicKey,
    RetryPolicy,
    Rule,
    copy_image,
    fetch_image,
    open_store,
    push_image,
    sign_image,
    verify_signature,
)
from cloudboot_oci_stream.deadline import Deadline
from cloudboot_oci_stream.errors import (
    ForgedSignatureError,
    KeyFileError,
    NotFoundError,
    ProtocolError,
    SignatureFormatError,
    UnsignedError,
    UntrustedError,
    WrongSubjectError,
)
from cloudboot_oci_stream.signatures import find, verify
from cloudboot_oci_stream.signatures.bundle import BUNDLE_TYPE
from cloudboot_oci_stream.signatures.payloads import build_statement
from cloudboot_oci_stream.signatures.sign import Format
from cloudboot_oci_stream.spec.descriptor import digest_of
from cloudboot_oci_stream.spec.manifest import INDEX_TYPE, MANIFEST_TYPE, canonical
from cloudboot_oci_stream.stores.folder import REF_NAME
from cloudboot_oci_stream.stores.referrers import list_referrers, push_referrer, referrers_tag
from cloudboot_oci_stream.testing import FaultyRegistry, docker_registry

DISK = b"\x55\xaa" * 300
EACH: list[Format] = ["bundle", "cosign"]


def pem(key: PrivateKeyTypes, password: bytes | None = None) -> bytes:
    sealing = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealing)


def public_pem(key: PrivateKeyTypes) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


KEYS: dict[str, PrivateKeyTypes] = {
    "p256": ec.generate_private_key(ec.SECP256R1()),
    "p384": ec.generate_private_key(ec.SECP384R1()),
    "p521": ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "rsa": rsa.generate_private_key(65537, 2048),
}
SIGNERS = {name: KeySigner.from_pem(pem(key), name) for name, key in KEYS.items()}
OURS, OTHER = SIGNERS["p256"], SIGNERS["ed25519"]
POLICY = Policy([Rule(keys=[OURS.public])])


@pytest.fixture(params=["folder", "docker-registry", "lists", "pages"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where images can be: with and without the referrers API."""
    if request.param == "folder":
        yield f"oci:{tmp_path}/images"
    elif request.param == "docker-registry":
        judge("docker-registry", "docker-registry")
        with docker_registry() as server:
            yield f"{server.host}/disk"
    else:
        with FaultyRegistry() as registry:
            registry.faults.referrers = "list" if request.param == "lists" else "pages"
            yield f"{registry.host}/disk"


@pytest.mark.parametrize("form", EACH)
@pytest.mark.parametrize("name", KEYS)
def test_every_kind_of_key(tmp_path: Path, name: str, form: Format) -> None:
    signer = SIGNERS[name]
    reference = f"oci:{tmp_path}/images:v1"
    pushed = push_image(DISK, reference)
    signed = sign_image(reference, signer, formats=[form])
    assert signed.digest == pushed.digest
    found = verify_signature(reference, Policy([Rule(keys=[signer.public])]))
    assert found.digest == pushed.digest
    assert str(found.reference) == f"{reference}@{pushed.digest}"
    assert [one.signer for one in found.signatures] == [signer.public.fingerprint]
    assert found.signatures[0].manifest == signed.artifacts[0].digest
    for other in SIGNERS.values():
        if other is not signer:
            with pytest.raises(UntrustedError):
                verify_signature(reference, Policy([Rule(keys=[other.public])]))
    # The same key makes the same signature: nothing is added by signing again.
    before = sorted(path.name for path in tmp_path.rglob("sha256/*"))
    assert sign_image(reference, signer, formats=[form]).artifacts[0].digest == signed.artifacts[0].digest
    assert sorted(path.name for path in tmp_path.rglob("sha256/*")) == before


def test_everywhere(place: str) -> None:
    """Two signers, both formats, before and after the push, by tag and by digest."""
    reference = f"{place}:v1"
    pushed = push_image(DISK, reference, sign=OURS, signature_formats=EACH)
    sign_image(f"{place}@{pushed.digest}", OTHER, formats=EACH)
    both = Rule(keys=[OURS.public, OTHER.public], threshold=2)
    for policy in (POLICY, Policy([Rule(keys=[OTHER.public])]), Policy([both])):
        for text in (reference, f"{place}@{pushed.digest}"):
            verify_signature(text, policy)
    signers = {one.signer for one in verify_signature(reference, Policy([both])).signatures}
    assert signers == {OURS.public.fingerprint, OTHER.public.fingerprint}
    store = open_store(reference)
    assert len(list_referrers(store, pushed.digest, Deadline())) == 2
    with fetch_image(reference, policy=POLICY) as image:
        assert image.digest == pushed.digest
        assert image.verification is not None
        assert image.verification.signatures[0].signer == OURS.public.fingerprint
    # What was signed is one image, not the tag.
    push_image(DISK + b"x", reference)
    with pytest.raises(UnsignedError):
        verify_signature(reference, POLICY)
    verify_signature(f"{place}@{pushed.digest}", POLICY)


def test_one_signer_twice_is_one(tmp_path: Path) -> None:
    reference = f"oci:{tmp_path}/images:v1"
    push_image(DISK, reference, sign=OURS, signature_formats=EACH)
    with pytest.raises(UntrustedError, match="1 of 2 signers"):
        verify_signature(reference, Policy([Rule(keys=[OURS.public, OTHER.public], threshold=2)]))


@pytest.mark.parametrize("form", EACH)
def test_a_signature_of_another_repository(registry: FaultyRegistry, form: Format) -> None:
    """The same image, moved with its signature to a place its signer did not mean."""
    release, attic = f"{registry.host}/release:v1", f"{registry.host}/attic:v1"
    push_image(DISK, attic, sign=OURS, signature_formats=[form])
    push_image(DISK, release)
    for (repository, name), stored in list(registry.manifests.items()):
        if repository == "attic":
            registry.manifests["release", name] = stored
    with pytest.raises(UntrustedError) as caught:
        verify_signature(release, POLICY)
    assert [type(refusal) for refusal in caught.value.refusals] == [WrongSubjectError]
    assert "another repository" in str(caught.value)
    verify_signature(attic, POLICY)
    mirrors = dataclasses.replace(POLICY.rules[0], signed_as=[f"{registry.host}/attic"])
    verify_signature(release, Policy([mirrors]))


def test_a_signature_that_names_no_repository(registry: FaultyRegistry) -> None:
    reference = f"{registry.host}/disk:v1"
    push_image(DISK, reference)
    sign_image(reference, OURS, name="")
    verify_signature(reference, POLICY)
    strict = Rule(keys=[OURS.public], signed_as=["**"])
    with pytest.raises(UntrustedError, match="another repository"):
        verify_signature(reference, Policy([strict]))


def test_nothing_of_an_unsigned_image_is_fetched(registry: FaultyRegistry) -> None:
    reference = f"{registry.host}/disk:v1"
    pushed = push_image(DISK, reference)
    blob = digest_of(DISK)
    for signer, error in ((None, UnsignedError), (OTHER, UntrustedError)):
        if signer:
            sign_image(reference, signer)
        registry.seen.clear()
        with pytest.raises(error) as caught:
            fetch_image(reference, policy=POLICY)
        assert caught.value.digest == pushed.digest
        assert caught.value.reference == reference
        assert not registry.requests("GET", blob)
    # And the tag is asked for once: the manifest that was verified is the one that is used.
    sign_image(reference, OURS)
    registry.seen.clear()
    fetch_image(reference, policy=POLICY).close()
    assert len(registry.requests("GET", "/manifests/v1")) == 1
    assert len(registry.requests("GET", f"/blobs/{blob}")) == 1


def test_a_tag_that_moves_meanwhile(registry: FaultyRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tag is moved to another image right after it was resolved."""
    reference = f"{registry.host}/disk:v1"
    push_image(b"evil" * 128, f"{registry.host}/disk:evil")
    pushed = push_image(DISK, reference, sign=OURS)
    evil = registry.manifests["disk", "evil"]
    serve = registry.is_authorised

    def move(header: str | None) -> bool:
        if any("/manifests/v1" in seen.path for seen in registry.seen[:-1]):
            registry.manifests["disk", "v1"] = evil
        return serve(header)

    monkeypatch.setattr(registry, "is_authorised", move)
    registry.seen.clear()
    with fetch_image(reference, policy=POLICY) as image:
        assert image.digest == pushed.digest
        assert image.view[: len(DISK)] == DISK
    assert registry.manifests["disk", "v1"] == evil


def test_a_tag_never_names_an_image_without_its_signature(registry: FaultyRegistry) -> None:
    push_image(DISK, f"{registry.host}/disk:v1", sign=OURS, signature_formats=EACH)
    written = [seen.path.rpartition("/")[2] for seen in registry.requests("PUT", "/manifests/")]
    assert written[-1] == "v1"
    assert len(written) == 4  # cosign's tag, the artifact, the list that it is in, the image


def test_an_index_stands_for_its_entries(registry: FaultyRegistry) -> None:
    entry = push_image(DISK, f"{registry.host}/disk:amd64")
    index = canonical({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [entry.as_json()]})
    registry.add_manifest("disk", "all", INDEX_TYPE, index)
    reference = f"{registry.host}/disk:all"
    sign_image(reference, OURS)
    found = verify_signature(reference, POLICY)
    assert found.digest == digest_of(index)
    with fetch_image(reference, policy=POLICY) as image:
        assert image.digest == entry.digest
    with pytest.raises(UnsignedError):
        verify_signature(f"{registry.host}/disk:amd64", POLICY)


@pytest.mark.parametrize("api", ["none", "see-other", "html"])
def test_registries_without_the_api(registry: FaultyRegistry, api: str) -> None:
    registry.faults.referrers = api  # type: ignore[assignment]  # one of its words
    reference = f"{registry.host}/disk:v1"
    pushed = push_image(DISK, reference, sign=OURS)
    assert ("disk", referrers_tag(pushed.digest)) in registry.manifests
    verify_signature(reference, POLICY)
    # A registry that learns the API later, and knows nothing of what was pushed before.
    registry.faults.referrers = "list"
    listed = [key for key in registry.manifests if key[1].startswith("sha256:")]
    assert listed
    verify_signature(reference, POLICY)


@pytest.mark.parametrize("api", ["endless", "elsewhere"])
def test_lists_without_end(registry: FaultyRegistry, api: str) -> None:
    reference = f"{registry.host}/disk:v1"
    push_image(DISK, reference, sign=OURS)
    registry.faults.referrers = api  # type: ignore[assignment]  # one of its words
    with pytest.raises(ProtocolError, match=r"does not end|another server"):
        verify_signature(reference, POLICY)
    assert len(registry.requests("GET", "/referrers/")) <= 256


def test_a_crowd_of_other_artifacts(tmp_path: Path) -> None:
    """Whoever may push can push as many as they like; the right one is still found, if it says what it is."""
    reference = f"oci:{tmp_path}/images:v1"
    pushed = push_image(DISK, reference)
    store = open_store(reference)
    for number in range(70):
        layer = ("text/plain", str(number).encode())
        push_referrer(store, pushed, [layer], artifact_type="text/plain", deadline=Deadline())
    with pytest.raises(UnsignedError):
        verify_signature(reference, POLICY)
    sign_image(reference, OURS)
    verify_signature(reference, POLICY)


@pytest.mark.parametrize("signer", ["p256"])
def test_a_good_signature_behind_a_flood_of_bad_ones(tmp_path: Path, signer: str) -> None:
    """Bundles with other keys' hints, with none, with this key's hint and a wrong signature, and with no JSON."""
    reference = f"oci:{tmp_path}/images:v1"
    pushed = push_image(DISK, reference)
    store = open_store(reference)
    statement = build_statement(pushed.digest, None)
    good = json.loads(SIGNERS[signer].bundle(statement))
    for number in range(100):
        forged = json.loads(OTHER.bundle(statement))
        forged["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(b"%d" % number * 20).decode()
        if number % 3 == 1:
            del forged["verificationMaterial"]["publicKey"]["hint"]
        elif number % 3 == 2:
            forged["verificationMaterial"] = good["verificationMaterial"]
        data = json.dumps(forged).encode() if number % 10 else b"%d" % number
        push_referrer(store, pushed, [(BUNDLE_TYPE, data)], artifact_type=BUNDLE_TYPE, deadline=Deadline())
    policy = Policy([Rule(keys=[SIGNERS[signer].public])])
    with pytest.raises(UntrustedError):
        verify_signature(reference, policy)
    sign_image(reference, SIGNERS[signer])
    assert len(verify_signature(reference, policy).signatures) == 1


def test_known_hints_are_looked_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_MOST_OTHERS", 3)
    reference = f"oci:{tmp_path}/images:v1"
    pushed = push_image(DISK, reference)
    store = open_store(reference)
    for number in range(5):
        other = build_statement(pushed.digest, f"x.example/{number}")
        layer = (BUNDLE_TYPE, OTHER.bundle(other))
        push_referrer(store, pushed, [layer], artifact_type=BUNDLE_TYPE, deadline=Deadline())
    with pytest.raises(UntrustedError) as caught:
        verify_signature(reference, POLICY)
    assert "more signatures than are verified" in caught.value.refusals[-1].message
    sign_image(reference, OURS)
    verify_signature(reference, POLICY)


def test_a_crowd_of_signatures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One artifact with more signatures than are read."""
    monkeypatch.setattr(find, "MOST_SIGNATURES", 100)
    reference = f"oci:{tmp_path}/images:v1"
    pushed = push_image(DISK, reference, sign=OURS, signature_formats=["cosign"])
    store = open_store(reference)
    layers = [(BUNDLE_TYPE, str(number).encode()) for number in range(101)]
    push_referrer(store, pushed, layers, artifact_type=BUNDLE_TYPE, deadline=Deadline())
    with pytest.raises(UntrustedError) as caught:
        verify_signature(reference, POLICY)
    assert len(caught.value.refusals) == 101
    assert any("more signatures than are read" in one.message for one in caught.value.refusals)


def test_a_signature_among_thousands_of_entries(tmp_path: Path) -> None:
    """A folder of 4,200 other manifests; the signature's is the last."""
    reference = f"oci:{tmp_path}/images:v1"
    push_image(DISK, reference)
    sign_image(reference, OURS)
    index = tmp_path / "images/index.json"
    value = json.loads(index.read_text())
    name = value["manifests"][0]["digest"].partition(":")[2]
    data = (tmp_path / "images/blobs/sha256" / name).read_bytes()
    crowd = []
    for number in range(4200):
        other = data[:-1] + b',"annotations":{"n":"%d"}}' % number
        digest = hashlib.sha256(other).hexdigest()
        (tmp_path / "images/blobs/sha256" / digest).write_bytes(other)
        crowd.append({"mediaType": MANIFEST_TYPE, "digest": f"sha256:{digest}", "size": len(other)})
    value["manifests"] = [value["manifests"][0], *crowd, *value["manifests"][1:]]
    index.write_text(json.dumps(value))
    assert len(verify_signature(reference, POLICY).signatures) == 1


@pytest.mark.parametrize("status", [403, 404, 500, 307])
def test_a_signature_beside_an_artifact_that_cannot_be_read(registry: FaultyRegistry, status: int) -> None:
    reference = f"{registry.host}/disk:v1"
    registry.faults.referrers = "list"
    pushed = push_image(DISK, reference, sign=OURS)
    layer = (BUNDLE_TYPE, b"x")
    locked = push_referrer(open_store(reference), pushed, [layer], artifact_type=BUNDLE_TYPE, deadline=Deadline())
    registry.faults.manifest_answers[locked.digest] = status
    once = RetryPolicy(attempts=0)
    verify_signature(reference, POLICY, retry=once)
    with pytest.raises(UntrustedError):
        verify_signature(reference, Policy([Rule(keys=[OTHER.public])]), retry=once)
    # A copy takes what it can, and says what it left.
    copied = copy_image(reference, f"{registry.host}/copy:v1", referrers=True, retry=once)
    assert [digest for digest, _ in copied.left] == [locked.digest]
    assert copied.referrers == 1
    verify_signature(f"{registry.host}/copy:v1", Policy([Rule(keys=[OURS.public], signed_as=["**"])]), retry=once)


def test_a_folder_with_a_colon_in_its_name(tmp_path: Path) -> None:
    reference = f"oci:{tmp_path}/a:b:v1"
    push_image(DISK, reference, sign=OURS, signature_formats=EACH)
    assert len(verify_signature(reference, POLICY).signatures) == 1


def test_damaged_artifacts_do_not_hide_a_good_one(registry: FaultyRegistry) -> None:
    reference = f"{registry.host}/disk:v1"
    pushed = push_image(DISK, reference, sign=OURS)
    tag = referrers_tag(pushed.digest)
    _, data = registry.manifests["disk", tag]
    index = json.loads(data)
    gone = {"mediaType": MANIFEST_TYPE, "digest": "sha256:" + "1" * 64, "size": 5, "artifactType": BUNDLE_TYPE}
    broken = registry.add_manifest("disk", "x", MANIFEST_TYPE, b"{")
    damaged = {**gone, "digest": broken, "size": 1}
    huge = json.loads(registry.manifests["disk", index["manifests"][0]["digest"]][1])
    huge["layers"][0]["size"] = 1 << 40
    large = registry.add_manifest("disk", "y", MANIFEST_TYPE, json.dumps(huge).encode())
    size = len(registry.manifests["disk", large][1])
    index["manifests"][:0] = [gone, damaged, {**gone, "digest": large, "size": size}]
    registry.add_manifest("disk", tag, INDEX_TYPE, json.dumps(index).encode())
    verify_signature(reference, POLICY)
    with pytest.raises(UntrustedError) as caught:
        verify_signature(reference, Policy([Rule(keys=[OTHER.public])]))
    kinds = [type(refusal) for refusal in caught.value.refusals]
    assert kinds[:3] == [SignatureFormatError] * 3
    assert "too large" in caught.value.refusals[2].message


def test_the_list_is_added_to_not_replaced(registry: FaultyRegistry) -> None:
    reference = f"{registry.host}/disk:v1"
    pushed = push_image(DISK, reference)
    tag = referrers_tag(pushed.digest)
    other = push_image(DISK + b"other", f"{registry.host}/disk:other")
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [other.as_json()], "annotations": {"a": "b"}}
    registry.add_manifest("disk", tag, INDEX_TYPE, json.dumps(index).encode())
    sign_image(reference, OURS)
    changed = json.loads(registry.manifests["disk", tag][1])
    assert changed["annotations"] == {"a": "b"}
    first, second = changed["manifests"]
    assert first == other.as_json()
    assert second["artifactType"] == BUNDLE_TYPE
    # Something else that has the tag is left alone.
    registry.add_manifest("disk", tag, MANIFEST_TYPE, registry.manifests["disk", "other"][1])
    before = registry.manifests["disk", tag]
    with pytest.raises(ProtocolError, match="has the tag"):
        sign_image(reference, OTHER)
    assert registry.manifests["disk", tag] == before


def test_a_folders_signatures_are_entries_of_its_index(tmp_path: Path) -> None:
    reference = f"oci:{tmp_path}/images:v1"
    pushed = push_image(DISK, reference, sign=OURS, signature_formats=EACH)
    entries = json.loads((tmp_path / "images" / "index.json").read_text())["manifests"]
    names = [entry.get("annotations", {}).get(REF_NAME) for entry in entries]
    assert names == [f"sha256-{pushed.digest.partition(':')[2]}.sig", None, "v1"]
    with pytest.raises(NotFoundError):
        verify_signature(f"oci:{tmp_path}/images:v2", POLICY)
    # Without a tag it is still the one disk image that is meant.
    fetch_image(f"oci:{tmp_path}/images", policy=POLICY).close()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (public_pem(rsa.generate_private_key(65537, 1024)), "too short"),
        (public_pem(ec.generate_private_key(ec.SECP256K1())), "another curve"),
        (public_pem(ec.generate_private_key(ec.SECP224R1())), "another curve"),
        (public_pem(dsa.generate_private_key(2048)), "another kind"),
        (pem(KEYS["p256"]), "private key"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no public key"),
        (b"", "no public key"),
        (b"x" * 100_000, "too large"),
    ],
    ids=["rsa-1024", "secp256k1", "secp224r1", "dsa", "private", "damaged", "empty", "huge"],
)
def test_public_keys_that_are_not_used(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "key.pub"
    path.write_bytes(data)
    with pytest.raises(KeyFileError, match=words) as caught:
        PublicKey.load(path)
    assert caught.value.exit_code == 2


def test_private_keys_and_passwords(tmp_path: Path) -> None:
    key = KEYS["p256"]
    path = tmp_path / "sealed.pem"
    path.write_bytes(pem(key, b"secret"))
    assert KeySigner.load(path, b"secret").public.spki == OURS.public.spki
    for data, password, words in (
        (pem(key, b"secret"), None, "needs its password"),
        (pem(key, b"secret"), b"wrong", "wrong password"),
        (pem(key), b"secret", "has none"),
        (public_pem(key), None, "no private key"),
        (b"", None, "no private key"),
        (pem(rsa.generate_private_key(65537, 1024)), None, "too short"),
        (pem(ec.generate_private_key(ec.SECP256K1())), None, "another curve"),
    ):
        with pytest.raises(KeyFileError, match=words):
            KeySigner.from_pem(data, "k", password)
    assert "secret" not in repr(KeySigner.load(path, b"secret"))


def test_a_signature_is_of_one_algorithm() -> None:
    """A key's kind decides: what another kind made with the same bytes never passes."""
    message = b"message"
    for signer in SIGNERS.values():
        signature = signer.detached(message)
        for other in SIGNERS.values():
            assert other.public.verifies(signature, message) is (other is signer)
        for wrong in (b"", signature[:-1], signature + b"\0", bytes(len(signature))):
            assert not signer.public.verifies(wrong, message)
    assert not OURS.public.verifies(OURS.detached(message), b"other")
    with pytest.raises(UntrustedError) as caught:
        raise UntrustedError("x", refusals=[ForgedSignatureError("y")])
    assert caught.value.as_dict()["refusals"] == [{"error": "ForgedSignatureError", "message": "y"}]


def test_a_fetch_does_not_pay_for_signatures(tmp_path: Path) -> None:
    push_image(DISK, f"oci:{tmp_path}/images:v1")
    program = "import sys; from cloudboot_oci_stream import fetch_image; fetch_image(sys.argv[1]).close()"
    loaded = loaded_modules(program, f"oci:{tmp_path}/images:v1")
    assert not {"cryptography", "sigstore", "pydantic"} & loaded
