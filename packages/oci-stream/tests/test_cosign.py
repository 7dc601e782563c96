"""Against cosign: what it signs is verified here, what is signed here it verifies, and what it
refuses is refused."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from nacl.secret import SecretBox

from cloudboot_base.testing import judge
from cloudboot_oci_stream import (
    KeySigner,
    Policy,
    PublicKey,
    Rule,
    open_store,
    push_image,
    sign_image,
    verify_signature,
)
from cloudboot_oci_stream.deadline import Deadline
from cloudboot_oci_stream.errors import KeyFileError, UntrustedError
from cloudboot_oci_stream.signatures.bundle import BUNDLE_TYPE
from cloudboot_oci_stream.signatures.payloads import SIGN_PREDICATE, build_statement
from cloudboot_oci_stream.stores.referrers import push_referrer
from cloudboot_oci_stream.testing import Server, docker_registry
from cloudboot_oci_stream.testing.sigstore import LocalSigstore

DISK = b"\x55\xaa" * 300
PASSWORD = b"correct horse"
KEYS: dict[str, PrivateKeyTypes] = {
    "p256": ec.generate_private_key(ec.SECP256R1()),
    "p384": ec.generate_private_key(ec.SECP384R1()),
    "p521": ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "rsa": rsa.generate_private_key(65537, 2048),
}


def cosign(*arguments: str | Path, code: int = 0, home: Path) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "COSIGN_PASSWORD": PASSWORD.decode()}
    done = subprocess.run(
        [judge("cosign", "cosign"), *map(str, arguments)],
        capture_output=True, text=True, check=False, env=environment, timeout=60,
    )  # fmt: skip
    assert done.returncode == code or (code and done.returncode), done.stdout + done.stderr
    return done.stdout + done.stderr


def sealed(key: PrivateKeyTypes) -> bytes:
    """A key in the form of cosign's own; its import takes only what its own generator makes, and Ed25519."""
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    salt, nonce = os.urandom(32), os.urandom(24)
    secret = hashlib.scrypt(PASSWORD, salt=salt, n=1 << 16, r=8, p=1, dklen=32, maxmem=1 << 28)
    value = {
        "kdf": {
            "name": "scrypt",
            "params": {"N": 1 << 16, "r": 8, "p": 1},
            "salt": base64.b64encode(salt).decode(),
        },
        "cipher": {"name": "nacl/secretbox", "nonce": base64.b64encode(nonce).decode()},
        "ciphertext": base64.b64encode(SecretBox(secret).encrypt(der, nonce).ciphertext).decode(),
    }
    text = base64.encodebytes(json.dumps(value).encode())
    name = b"ENCRYPTED SIGSTORE PRIVATE KEY-----\n"
    return b"-----BEGIN " + name + text + b"-----END " + name


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    judge("docker-registry", "docker-registry")
    with docker_registry() as running:
        yield running


@pytest.fixture(params=KEYS)
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with a key pair: cosign's private key, and the public one."""
    key = KEYS[request.param]
    (tmp_path / "key").write_bytes(sealed(key))
    (tmp_path / "key.pub").write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return tmp_path


def signers(reference: str, *keys: PublicKey) -> list[str]:
    return [one.signer for one in verify_signature(reference, Policy([Rule(keys=keys)])).signatures]


def test_what_cosign_signs(server: Server, keys: Path) -> None:
    reference = f"{server.host}/signed-by-cosign/{os.urandom(4).hex()}:v1"
    pushed = push_image(DISK, reference)
    pinned = f"{reference.removesuffix(':v1')}@{pushed.digest}"
    public = PublicKey.load(keys / "key.pub")
    cosign("sign", "--key", keys / "key", "--tlog-upload=false", "--yes", pinned, home=keys)
    assert signers(reference, public) == [public.fingerprint]
    other = push_image(DISK + b"x", reference)
    pinned = f"{reference.removesuffix(':v1')}@{other.digest}"
    (keys / "predicate").write_text("{}")
    cosign(
        "attest", "--key", keys / "key", "--tlog-upload=false", "--yes", "--new-bundle-format",
        "--predicate", keys / "predicate", "--type", SIGN_PREDICATE, pinned, home=keys,
    )  # fmt: skip
    (found,) = verify_signature(reference, Policy([Rule(keys=[public])])).signatures
    assert (found.signer, found.predicate_type) == (public.fingerprint, SIGN_PREDICATE)
    # A bundle over the manifest's own bytes, which somebody else attaches.
    third = push_image(DISK + b"y", reference)
    store = open_store(reference)
    (keys / "manifest").write_bytes(store.read_manifest(None, Deadline()).data)
    cosign(
        "sign-blob", "--key", keys / "key", "--tlog-upload=false", "--yes", "--new-bundle-format",
        "--bundle", keys / "bundle", keys / "manifest", home=keys,
    )  # fmt: skip
    layers = [(BUNDLE_TYPE, (keys / "bundle").read_bytes())]
    push_referrer(store, third, layers, artifact_type=BUNDLE_TYPE, deadline=Deadline())
    assert signers(reference, public) == [public.fingerprint]


def test_cosign_verifies_what_is_signed_here(server: Server, keys: Path) -> None:
    repository = f"{server.host}/signed-here/{os.urandom(4).hex()}"
    signer = KeySigner.load(keys / "key", PASSWORD)
    assert signer.public.spki == PublicKey.load(keys / "key.pub").spki
    pushed = push_image(DISK, f"{repository}:v1", sign=signer, signature_formats=["bundle", "cosign"])
    pinned = f"{repository}@{pushed.digest}"
    root = keys / "root.json"
    root.write_text(json.dumps(LocalSigstore().trusted_root()))  # cosign wants one, and looks at nothing in it
    old = ("verify", "--key", keys / "key.pub", "--insecure-ignore-tlog", pinned)
    new = (
        "verify-attestation", "--key", keys / "key.pub", "--insecure-ignore-tlog", "--new-bundle-format",
        "--trusted-root", root, "--type", SIGN_PREDICATE, pinned,
    )  # fmt: skip
    said = cosign(*old, home=keys)
    assert f'"docker-manifest-digest":"{pushed.digest}"' in said
    cosign(*new, home=keys)
    # With another key cosign refuses both, and so do we.
    other = ed25519.Ed25519PrivateKey.generate().public_key()
    pem = other.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (keys / "key.pub").write_bytes(pem)
    assert "no matching" in cosign(*old, code=1, home=keys)
    cosign(*new, code=1, home=keys)
    with pytest.raises(UntrustedError):
        signers(pinned, PublicKey.load(keys / "key.pub"))


def test_signatures_of_both_under_one_tag(server: Server, tmp_path: Path) -> None:
    """cosign adds to the tag we began, and we to the one it added to; each verifies both."""
    repository = f"{server.host}/both/{os.urandom(4).hex()}"
    for name in ("p256", "ed25519"):
        (tmp_path / name).write_bytes(sealed(KEYS[name]))
        public = KEYS[name].public_key()
        pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / f"{name}.pub").write_bytes(pem)
    ours, theirs = KeySigner.load(tmp_path / "p256", PASSWORD), PublicKey.load(tmp_path / "ed25519.pub")
    third = KeySigner.from_pem(
        KEYS["p384"].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    pushed = push_image(DISK, f"{repository}:v1", sign=ours, signature_formats=["cosign"])
    pinned = f"{repository}@{pushed.digest}"
    cosign("sign", "--key", tmp_path / "ed25519", "--tlog-upload=false", "--yes", pinned, home=tmp_path)
    sign_image(pinned, third, formats=["cosign"])
    everybody = Rule(keys=[ours.public, theirs, third.public], threshold=3)
    assert len(verify_signature(pinned, Policy([everybody])).signatures) == 3
    for name in ("p256", "ed25519"):
        cosign("verify", "--key", tmp_path / f"{name}.pub", "--insecure-ignore-tlog", pinned, home=tmp_path)


def test_keys_that_cosign_makes(tmp_path: Path) -> None:
    cosign("generate-key-pair", "--output-key-prefix", tmp_path / "made", home=tmp_path)
    signer = KeySigner.load(tmp_path / "made.key", PASSWORD)
    assert signer.public.spki == PublicKey.load(tmp_path / "made.pub").spki
    data = (tmp_path / "made.key").read_bytes()
    head, _, rest = data.partition(b"-----\n")
    for wrong, password in (
        (data, b"wrong"),
        (data, None),
        (head + b"-----\n" + rest[4:], PASSWORD),
        (head + b"-----\nAAAA\n" + b"-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n", PASSWORD),
    ):
        with pytest.raises(KeyFileError):
            KeySigner.from_pem(wrong, "k", password)


def test_cosign_believes_our_sigstore(tmp_path: Path) -> None:
    """The bundles that the tests of this package are made of, before another verifier; it knows Rekor v1 only."""
    manifest = b'{"schemaVersion":2}'
    (tmp_path / "manifest").write_bytes(manifest)
    local, other = LocalSigstore(), LocalSigstore()
    who = ("--certificate-identity", "joe@example.org", "--certificate-oidc-issuer", "https://issuer.invalid")
    statement = build_statement("sha256:" + hashlib.sha256(manifest).hexdigest(), "registry.example/disk")
    for command, bundle in (
        (("verify-blob",), local.sign_manifest(manifest, "joe@example.org")),
        (("verify-blob-attestation", "--type", SIGN_PREDICATE), local.sign_statement(statement, "joe@example.org")),
    ):
        (tmp_path / "bundle").write_text(json.dumps(bundle))
        for root, code in ((local, 0), (other, 1)):
            (tmp_path / "root.json").write_text(json.dumps(root.trusted_root()))
            cosign(
                *command, "--new-bundle-format", "--bundle", tmp_path / "bundle", "--trusted-root",
                tmp_path / "root.json", *who, tmp_path / "manifest", code=code, home=tmp_path,
            )  # fmt: skip
