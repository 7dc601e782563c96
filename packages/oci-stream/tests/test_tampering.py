"""Every part of a signature, changed: each time the refusal says which part does not hold.

All of it is offline, under a Sigstore of our own. Nothing is refused by accident: each unchanged original is accepted
first.
"""

from __future__ import annotations

import base64
import copy
import dataclasses
import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID

from cloudboot_base.testing import judge
from cloudboot_oci_stream import Descriptor, Identity, KeySigner, Policy, Rule, Trust, open_store, push_image
from cloudboot_oci_stream import verify_signature as verify
from cloudboot_oci_stream.deadline import Deadline
from cloudboot_oci_stream.errors import BadSignatureError, UntrustedError
from cloudboot_oci_stream.errors import CertificateLogError as CertificateLog
from cloudboot_oci_stream.errors import ForgedSignatureError as Forged
from cloudboot_oci_stream.errors import SignatureFormatError as Format
from cloudboot_oci_stream.errors import SigningCertificateError as Certificate
from cloudboot_oci_stream.errors import SigningTimeError as Time
from cloudboot_oci_stream.errors import TransparencyLogError as Log
from cloudboot_oci_stream.errors import UnsupportedSignatureError as Unsupported
from cloudboot_oci_stream.errors import WrongSignerError as Signer
from cloudboot_oci_stream.errors import WrongSubjectError as Subject
from cloudboot_oci_stream.signatures.bundle import BUNDLE_TYPE
from cloudboot_oci_stream.signatures.payloads import (
    IN_TOTO_TYPE,
    SIMPLE_SIGNING_TYPE,
    build_simple_signing,
    build_statement,
    pre_authentication_encoding,
)
from cloudboot_oci_stream.spec.descriptor import digest_of
from cloudboot_oci_stream.stores.referrers import push_referrer
from cloudboot_oci_stream.testing.sigstore import LocalSigstore, new_key, private_pem

DISK = b"\x55\xaa" * 256
WHO, ISSUER = "https://example.org/release@refs/tags/v1", "https://issuer.invalid"
Json = dict[str, Any]


class Lab:
    """An image in a folder, and whoever may sign it."""

    def __init__(self, folder: Path) -> None:
        self.reference = f"oci:{folder}/images:v1"
        self.subject = push_image(DISK, self.reference)
        self.store = open_store(self.reference)
        self.manifest = self.store.read_manifest(None, Deadline()).data
        self.statement = build_statement(self.subject.digest, "registry.example/disk")
        self.sigstore, self.other = LocalSigstore(), LocalSigstore()
        (folder / "root.json").write_text(json.dumps(self.sigstore.trusted_root()))
        trust = Trust(file=folder / "root.json")
        self.by_identity = Policy([Rule(identities=[Identity(issuer=ISSUER, subject=WHO, trust=trust)])])
        self.key = KeySigner.from_pem(private_pem(new_key()), "ours")
        self.stranger = KeySigner.from_pem(private_pem(new_key()), "a stranger's")
        self.by_key = Policy([Rule(keys=[self.key.public])])
        self.folder = folder
        self._originals: dict[str, Json] = {}

    def original(self, kind: str) -> Json:
        """A bundle that is right: ``statement1`` and ``manifest2`` say what is signed and the version of Rekor."""
        if kind not in self._originals:
            what, rekor = kind[:-1], int(kind[-1])
            signing = self.sigstore.sign_statement if what == "statement" else self.sigstore.sign_manifest
            signed = self.statement if what == "statement" else self.manifest
            self._originals[kind] = signing(signed, WHO, ISSUER, rekor=rekor)
        return copy.deepcopy(self._originals[kind])

    def image(self) -> str:
        """The same image in a folder of its own, without signatures."""
        reference = f"oci:{self.folder}/{len(list(self.folder.iterdir()))}:v1"
        assert push_image(DISK, reference) == self.subject
        return reference

    def judged(self, policy: Policy, data: bytes, media_type: str = BUNDLE_TYPE, **annotations: str) -> list[type]:
        """Whose signature counts, or why ``data`` as the only signature does not."""
        reference = self.image()
        store = open_store(reference)
        entry = push_referrer(store, self.subject, [(media_type, data)], artifact_type=BUNDLE_TYPE, deadline=Deadline())
        if annotations:
            self.annotate(reference, entry, annotations)
        try:
            verify(reference, policy)
        except UntrustedError as refused:
            error = refused
        else:
            return []
        assert str(error).isprintable()
        assert error.exit_code == 13
        assert json.loads(json.dumps(error.as_dict()))["refusals"]
        return [type(refusal) for refusal in error.refusals]

    def annotate(self, reference: str, entry: Descriptor, annotations: dict[str, str]) -> None:
        """Push the artifact once more, its layer annotated, and forget the first."""
        store = open_store(reference)
        value = json.loads(store.read_manifest(entry, Deadline()).data)
        names = {"signature": "dev.cosignproject.cosign/signature", "certificate": "dev.sigstore.cosign/certificate"}
        value["layers"][0]["annotations"] = {names[name]: text for name, text in annotations.items()}
        index = Path(reference.removeprefix("oci:").removesuffix(":v1")) / "index.json"
        listed = json.loads(index.read_text())
        listed["manifests"] = [known for known in listed["manifests"] if known["digest"] != entry.digest]
        index.write_text(json.dumps(listed))
        data = json.dumps(value).encode()
        changed = dataclasses.replace(entry, digest=digest_of(data), size=len(data))
        store.write_referrer(data, changed, self.subject, Deadline())


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    judge("openssl", "openssl")
    return Lab(tmp_path_factory.mktemp("lab"))


def flip(text: str) -> str:
    """Base64 of the same with its last bit changed."""
    data = base64.b64decode(text)
    return base64.b64encode(data[:-1] + bytes([data[-1] ^ 1])).decode()


def at(bundle: Json, path: str) -> tuple[Any, Any]:
    """The container and key that a path like ``a.b.0`` leads to."""
    place: Any = bundle
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in way:
        place = place[step]
    return place, last


def put(path: str, change: Callable[[Any], Any]) -> Callable[[Json], None]:
    def apply(bundle: Json) -> None:
        place, last = at(bundle, path)
        place[last] = change(place[last])

    return apply


def drop(path: str) -> Callable[[Json], None]:
    def apply(bundle: Json) -> None:
        place, last = at(bundle, path)
        del place[last]

    return apply


def add(path: str, value: Any) -> Callable[[Json], None]:
    def apply(bundle: Json) -> None:
        place, last = at(bundle, path)
        place[last] = value

    return apply


MATERIAL = "verificationMaterial"
CERTIFICATE = f"{MATERIAL}.certificate"
ENTRY = f"{MATERIAL}.tlogEntries.0"
PROOF = f"{ENTRY}.inclusionProof"
CHECKPOINT = f"{PROOF}.checkpoint"
STAMPS = f"{MATERIAL}.timestampVerificationData.rfc3161Timestamps"
ALL = ("statement1", "statement2", "manifest1", "manifest2")
STATEMENTS, MANIFESTS, V1, V2 = ALL[:2], ALL[2:], ALL[::2], ALL[1::2]

CHANGED: list[tuple[str, tuple[str, ...], Callable[[Json], None], type[BadSignatureError]]] = [
    # The bundle
    ("an older version", ALL, add("mediaType", BUNDLE_TYPE.replace(".v0.3+json", "+json;version=0.1")), Unsupported),
    ("a newer version", ALL, add("mediaType", BUNDLE_TYPE.replace("0.3", "0.4")), Unsupported),
    ("no version", ALL, drop("mediaType"), Unsupported),
    ("an unknown member", ALL, add("extra", 1), Format),
    ("a name in its other spelling", ALL, add("verification_material", {}), Format),
    ("an unknown member inside", ALL, add(f"{MATERIAL}.tlog_entries", []), Format),
    ("no material", ALL, drop(MATERIAL), Format),
    ("no signer", ALL, drop(CERTIFICATE), Format),
    ("two signers", ALL, add(f"{MATERIAL}.publicKey", {"hint": "x"}), Format),
    ("a list for an object", ALL, add(MATERIAL, []), Format),
    # The content
    ("no content", STATEMENTS, drop("dsseEnvelope"), Format),
    ("two contents", STATEMENTS, add("messageSignature", {"signature": "AAAA"}), Format),
    ("a changed statement", STATEMENTS, put("dsseEnvelope.payload", flip), Forged),
    ("another type of payload", STATEMENTS, add("dsseEnvelope.payloadType", "text/plain"), Unsupported),
    # Rekor v2 comes with a stamp on the signature, which is looked at first.
    ("a changed signature", ("statement1",), put("dsseEnvelope.signatures.0.sig", flip), Forged),
    ("a changed signature", ("statement2",), put("dsseEnvelope.signatures.0.sig", flip), Time),
    ("no signature", STATEMENTS, add("dsseEnvelope.signatures", []), Format),
    ("two signatures", STATEMENTS, put("dsseEnvelope.signatures", lambda one: one * 2), Format),
    ("a signature that is no base64", STATEMENTS, put("dsseEnvelope.signatures.0.sig", "*".__add__), Format),
    ("a payload that is no base64", STATEMENTS, put("dsseEnvelope.payload", "\n".__add__), Format),
    ("an empty payload", STATEMENTS, add("dsseEnvelope.payload", ""), Format),
    ("a changed signature", ("manifest1",), put("messageSignature.signature", flip), Forged),
    ("a changed signature", ("manifest2",), put("messageSignature.signature", flip), Time),
    ("another digest", MANIFESTS, put("messageSignature.messageDigest.digest", flip), Subject),
    ("another kind of digest", MANIFESTS, add("messageSignature.messageDigest.algorithm", "SHA2_512"), Unsupported),
    # The certificate
    ("a changed certificate", ALL, put(f"{CERTIFICATE}.rawBytes", flip), Certificate),
    ("no certificate's bytes", ALL, add(f"{CERTIFICATE}.rawBytes", "AAAA"), Format),
    # The transparency log
    ("no entry", ALL, add(f"{MATERIAL}.tlogEntries", []), Log),
    ("two entries", ALL, put(f"{MATERIAL}.tlogEntries", lambda one: one * 2), Log),
    ("no inclusion proof", ALL, drop(PROOF), Format),
    ("no checkpoint", ALL, drop(f"{PROOF}.checkpoint"), Log),
    ("a changed audit path", ALL, put(f"{PROOF}.hashes.0", flip), Log),
    ("a longer audit path", ALL, put(f"{PROOF}.hashes", lambda hashes: [*hashes, hashes[0]]), Log),
    ("a shorter audit path", ALL, put(f"{PROOF}.hashes", lambda hashes: hashes[:-1]), Log),
    ("another root", ALL, put(f"{PROOF}.rootHash", flip), Log),
    ("another place in the tree", ALL, put(f"{PROOF}.logIndex", lambda index: str(int(index) - 1)), Log),
    ("a place outside the tree", ALL, add(f"{PROOF}.logIndex", str(2**63)), Format),
    ("a smaller tree", ALL, add(f"{PROOF}.treeSize", "1"), Format),
    ("a larger tree", ALL, add(f"{PROOF}.treeSize", str(2**40)), Log),
    ("another log's checkpoint", ALL, put(f"{CHECKPOINT}.envelope", lambda text: text.replace("log.", "lag.", 1)), Log),
    ("an unsigned checkpoint", ALL, put(f"{CHECKPOINT}.envelope", lambda text: text.partition("\n\n")[0]), Log),
    ("no checkpoint's text", ALL, add(f"{CHECKPOINT}.envelope", "\n\n\N{EM DASH} a *\n"), Log),
    ("a changed entry", ALL, put(f"{ENTRY}.canonicalizedBody", flip), Log),
    ("another log", ALL, add(f"{ENTRY}.logId.keyId", base64.b64encode(bytes(32)).decode()), Log),
    ("a newer kind of entry", ALL, add(f"{ENTRY}.kindVersion.version", "0.0.3"), Log),
    ("another kind of entry", V2, add(f"{ENTRY}.kindVersion.kind", "intoto"), Log),
    ("a later time", V1, put(f"{ENTRY}.integratedTime", lambda time: str(int(time) + 1)), Log),
    ("a time too late", V1, put(f"{ENTRY}.integratedTime", lambda time: str(int(time) + 3600)), Certificate),
    ("no time that there is", V1, add(f"{ENTRY}.integratedTime", str(2**63)), Certificate),
    ("no promise", V1, drop(f"{ENTRY}.inclusionPromise"), Time),
    ("a changed promise", V1, put(f"{ENTRY}.inclusionPromise.signedEntryTimestamp", flip), Log),
    # The time stamp
    ("no time stamp", V2, add(STAMPS, []), Time),
    ("a changed time stamp", V2, put(f"{STAMPS}.0.signedTimestamp", flip), Time),
    ("the same time stamp twice", V2, put(STAMPS, lambda one: one * 2), Time),
    ("too many time stamps", V2, put(STAMPS, lambda one: one * 40), Time),
    ("no time stamp's bytes", V2, add(f"{STAMPS}.0.signedTimestamp", "AAAA"), Time),
]  # fmt: skip


@pytest.mark.parametrize("kind", ALL)
def test_the_originals_are_right(lab: Lab, kind: str) -> None:
    assert lab.judged(lab.by_identity, json.dumps(lab.original(kind)).encode()) == []


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        pytest.param(kind, change, reason, id=f"{kind}: {name}")
        for name, kinds, change, reason in CHANGED
        for kind in kinds
    ],
)
def test_changed_bundles(lab: Lab, kind: str, change: Callable[[Json], None], reason: type[BadSignatureError]) -> None:
    bundle = lab.original(kind)
    change(bundle)
    assert lab.judged(lab.by_identity, json.dumps(bundle).encode()) == [reason]


def foreign_part(lab: Lab, *parts: str) -> LocalSigstore:
    """Our Sigstore with some of its keys taken from another one, and its log as it is."""
    mixed = copy.copy(lab.sigstore)
    for part in parts:
        setattr(mixed, part, getattr(lab.other, part))
    return mixed


@pytest.mark.parametrize(
    ("part", "rekor", "reason"),
    [
        ("ca", 1, Certificate),
        ("ct_key", 1, CertificateLog),
        ("log_key", 1, Log),
        ("log_key", 2, Log),
        ("tsa", 2, Time),
    ],
)
def test_one_key_of_another_sigstore(lab: Lab, part: str, rekor: int, reason: type[BadSignatureError]) -> None:
    bundle = foreign_part(lab, part).sign_statement(lab.statement, WHO, ISSUER, rekor=rekor)
    assert lab.judged(lab.by_identity, json.dumps(bundle).encode()) == [reason]


@pytest.mark.parametrize("rekor", [1, 2])
def test_all_of_another_sigstore(lab: Lab, rekor: int) -> None:
    bundle = lab.other.sign_statement(lab.statement, WHO, ISSUER, rekor=rekor)
    (reason,) = lab.judged(lab.by_identity, json.dumps(bundle).encode())
    assert reason is (Certificate if rekor == 1 else Time)


@pytest.mark.parametrize("rekor", [1, 2])
@pytest.mark.parametrize("what", ["statement", "manifest"])
def test_certificates_that_are_not_for_this(lab: Lab, what: str, rekor: int) -> None:
    sign = lab.sigstore.sign_statement if what == "statement" else lab.sigstore.sign_manifest
    signed = lab.statement if what == "statement" else lab.manifest
    hour = dt.timedelta(hours=1)
    for reason, who, options in (
        (Signer, (WHO + "2", ISSUER), {}),
        (Signer, (WHO, ISSUER + ".example"), {}),
        (Signer, ("joe@example.org", ISSUER), {}),
        (Certificate, (WHO, ISSUER), {"at": lab.sigstore.now - hour}),
        (Certificate, (WHO, ISSUER), {"at": lab.sigstore.now + hour}),
        (Certificate, (WHO, ISSUER), {"usage": ExtendedKeyUsageOID.SERVER_AUTH}),
        (CertificateLog, (WHO, ISSUER), {"logged": False}),
    ):
        bundle = sign(signed, *who, rekor=rekor, **options)
        assert lab.judged(lab.by_identity, json.dumps(bundle).encode()) == [reason], (who, options)


def test_parts_of_other_bundles(lab: Lab) -> None:
    """Each part is genuine, and they do not belong together."""
    for kind in ALL:
        what, rekor = kind[:-1], int(kind[-1])
        sign = lab.sigstore.sign_statement if what == "statement" else lab.sigstore.sign_manifest
        other = sign(lab.statement if what == "statement" else lab.manifest, WHO, ISSUER, rekor=rekor)
        swapped = lab.original(kind)
        swapped[MATERIAL]["tlogEntries"] = other[MATERIAL]["tlogEntries"]
        assert lab.judged(lab.by_identity, json.dumps(swapped).encode()) == [Log], kind
        swapped = lab.original(kind)
        swapped[MATERIAL]["certificate"] = other[MATERIAL]["certificate"]
        assert lab.judged(lab.by_identity, json.dumps(swapped).encode()) == [Forged], kind
        if rekor == 2:
            swapped = lab.original(kind)
            swapped[MATERIAL]["timestampVerificationData"] = other[MATERIAL]["timestampVerificationData"]
            assert lab.judged(lab.by_identity, json.dumps(swapped).encode()) == [Time], kind


STATED: list[tuple[str, Callable[[Json], None], type[BadSignatureError]]] = [
    ("another image", put("subject.0.digest.sha256", lambda _: "0" * 64), Subject),
    ("another algorithm", put("subject.0.digest", lambda digest: {"sha512": digest["sha256"]}), Subject),
    ("another case", put("subject.0.digest.sha256", str.upper), Subject),
    ("another predicate", put("predicateType", lambda _: "https://slsa.dev/provenance/v1"), Unsupported),
    ("no predicate", drop("predicateType"), Format),
    ("no subject", put("subject", lambda _: []), Format),
    ("a subject without digests", drop("subject.0.digest"), Format),
    ("a digest that is no text", put("subject.0.digest.sha256", lambda _: 5), Format),
    ("a name that is no text", put("subject.0.name", lambda _: 5), Format),
    ("another version", put("_type", lambda _: "https://in-toto.io/Statement/v2"), Format),
    ("too many subjects", put("subject", lambda one: one * 1025), Format),
]


@pytest.mark.parametrize("signer", ["key", "identity"])
@pytest.mark.parametrize(
    ("change", "reason"), [pytest.param(change, reason, id=name) for name, change, reason in STATED]
)
def test_well_signed_statements_that_say_something_else(
    lab: Lab, signer: str, change: Callable[[Json], None], reason: type[BadSignatureError]
) -> None:
    statement = json.loads(lab.statement)
    change(statement)
    data = json.dumps(statement).encode()
    if signer == "key":
        assert lab.judged(lab.by_key, lab.key.bundle(data)) == [reason]
    else:
        bundle = lab.sigstore.sign_statement(data, WHO, ISSUER)
        assert lab.judged(lab.by_identity, json.dumps(bundle).encode()) == [reason]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'"' + b"x" * 100,
        b"[" * 5000,
        b'{"a":1,"a":2}',
        b'{"mediaType":"' + BUNDLE_TYPE.encode() + b'","mediaType":"x"}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":NaN}',
        b"\xff\xfe{}",
        b"{" + b" " * (1 << 20) + b"}",
    ],
    ids=range(11),
)
def test_what_is_no_bundle_at_all(lab: Lab, data: bytes) -> None:
    if data:  # a blob of no bytes cannot be pushed by its own name twice
        assert lab.judged(lab.by_identity, data) == [Format]
        assert lab.judged(lab.by_key, data) == [Format]


def test_bundles_of_keys(lab: Lab) -> None:
    good = json.loads(lab.key.bundle(lab.statement))
    assert lab.judged(lab.by_key, json.dumps(good).encode()) == []
    stranger = json.loads(lab.stranger.bundle(lab.statement))
    claimed = copy.deepcopy(stranger) | {MATERIAL: good[MATERIAL]}  # the hint is ours, the signature is not
    hinted = copy.deepcopy(good) | {MATERIAL: stranger[MATERIAL]}  # and the other way round: hints decide nothing
    for bundle, reasons in (
        (stranger, [Signer]),
        (claimed, [Forged]),
        (hinted, []),
        (copy.deepcopy(good) | {MATERIAL: {"publicKey": {}}}, []),
        (copy.deepcopy(good) | {MATERIAL: {"publicKey": {"hint": "\x1b[2J"}}}, []),
        (copy.deepcopy(good) | {MATERIAL: {"publicKey": 5}}, [Format]),
        (copy.deepcopy(good) | {MATERIAL: {"x509CertificateChain": {"certificates": []}}}, [Unsupported]),
    ):
        assert lab.judged(lab.by_key, json.dumps(bundle).encode()) == reasons
    for path in ("dsseEnvelope.payload", "dsseEnvelope.signatures.0.sig"):
        changed = copy.deepcopy(good)
        put(path, flip)(changed)
        assert lab.judged(lab.by_key, json.dumps(changed).encode()) == [Forged]
    # The right signature of the wrong kind: the payload without its DSSE encoding.
    raw = copy.deepcopy(good)
    raw["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(lab.key.detached(lab.statement)).decode()
    assert lab.judged(lab.by_key, json.dumps(raw).encode()) == [Forged]
    # Rules are for one kind of signer or the other.
    assert lab.judged(lab.by_identity, json.dumps(good).encode()) == [Signer]
    assert lab.judged(lab.by_key, json.dumps(lab.original("statement1")).encode()) == [Signer]


def test_a_key_that_signs_the_manifest(lab: Lab) -> None:
    def bundle(message: bytes, **stated: object) -> bytes:
        signature = base64.b64encode(lab.key.detached(message)).decode()
        material = {"publicKey": {"hint": lab.key.public.hint}}
        content = {"signature": signature, **stated}
        return json.dumps({"mediaType": BUNDLE_TYPE, MATERIAL: material, "messageSignature": content}).encode()

    assert lab.judged(lab.by_key, bundle(lab.manifest)) == []
    assert lab.judged(lab.by_key, bundle(lab.manifest + b" ")) == [Forged]
    digest = base64.b64encode(bytes(32)).decode()
    stated = {"algorithm": "SHA2_256", "digest": digest}
    assert lab.judged(lab.by_key, bundle(lab.manifest, messageDigest=stated)) == [Subject]


def test_a_certificate_for_another_kind_of_key(lab: Lab) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(lab.sigstore.ca.certificate.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(lab.sigstore.now)
        .not_valid_after(lab.sigstore.now + dt.timedelta(minutes=10))
        .sign(lab.sigstore.ca.key, hashes.SHA256())
    )
    bundle = lab.original("statement1")
    der = certificate.public_bytes(serialization.Encoding.DER)
    bundle[MATERIAL]["certificate"]["rawBytes"] = base64.b64encode(der).decode()
    encoded = pre_authentication_encoding(IN_TOTO_TYPE, lab.statement)
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(key.sign(encoded)).decode()
    assert lab.judged(lab.by_identity, json.dumps(bundle).encode()) == [Unsupported]


SIMPLE: list[tuple[str, Callable[[Json], None], type[BadSignatureError]]] = [
    ("another image", put("critical.image.docker-manifest-digest", lambda _: "sha256:" + "0" * 64), Subject),
    ("no digest", put("critical.image.docker-manifest-digest", lambda text: text[:-1]), Format),
    ("another type", put("critical.type", lambda _: "atomic container signature"), Format),
    ("no type", drop("critical.type"), Format),
    ("no identity", drop("critical.identity"), Format),
    ("a name that is no text", put("critical.identity.docker-reference", lambda _: None), Format),
    ("an unknown member", add("more", 1), Format),
    ("an unknown critical member", add("critical.more", 1), Format),
    ("an unknown member of the image", add("critical.image.more", 1), Format),
    ("an unknown member of the identity", add("critical.identity.more", 1), Format),
    ("optional facts that are no object", put("optional", lambda _: 5), Format),
    ("nothing critical", put("critical", lambda _: None), Format),
]


@pytest.mark.parametrize(
    ("change", "reason"), [pytest.param(change, reason, id=name) for name, change, reason in SIMPLE]
)
def test_well_signed_simple_payloads_that_say_something_else(
    lab: Lab, change: Callable[[Json], None], reason: type[BadSignatureError]
) -> None:
    value = json.loads(build_simple_signing(lab.subject.digest, "registry.example/disk"))
    change(value)
    data = json.dumps(value).encode()
    signature = base64.b64encode(lab.key.detached(data)).decode()
    assert lab.judged(lab.by_key, data, SIMPLE_SIGNING_TYPE, signature=signature) == [reason]


def test_simple_signatures(lab: Lab) -> None:
    data = build_simple_signing(lab.subject.digest, "registry.example/disk")
    good = base64.b64encode(lab.key.detached(data)).decode()
    stranger = base64.b64encode(lab.stranger.detached(data)).decode()
    twice = data.replace(b'"type":', b'"type":"","type":')
    for payload, signature, reasons in (
        (data, good, []),
        (data, flip(good), [Forged]),
        (data, stranger, [Forged]),
        (data + b" ", good, [Forged]),
        (data, "", [Format]),
        (data, "!" + good, [Format]),
        (twice, base64.b64encode(lab.key.detached(twice)).decode(), [Format]),
    ):
        assert lab.judged(lab.by_key, payload, SIMPLE_SIGNING_TYPE, signature=signature) == reasons
    assert lab.judged(lab.by_key, data, SIMPLE_SIGNING_TYPE) == [Format]  # no annotation at all
    assert lab.judged(lab.by_identity, data, SIMPLE_SIGNING_TYPE, signature=good) == [Signer]
    # With a certificate beside it, as cosign did before bundles: a key verifies it still, an identity is not looked at.
    assert lab.judged(lab.by_key, data, SIMPLE_SIGNING_TYPE, signature=good, certificate="x") == []
    certified = lab.judged(lab.by_identity, data, SIMPLE_SIGNING_TYPE, signature=good, certificate="x")
    assert certified == [Unsupported]
    # A signature of one form under the media type of the other.
    assert lab.judged(lab.by_key, data) == [Unsupported]
    bundle = lab.key.bundle(lab.statement)
    detached = base64.b64encode(lab.key.detached(bundle)).decode()
    assert lab.judged(lab.by_key, bundle, SIMPLE_SIGNING_TYPE, signature=detached) == [Format]
