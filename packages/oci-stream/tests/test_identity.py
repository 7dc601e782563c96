"""Signing with an identity through sigstore's own clients, against services on loopback; and trust roots from TUF."""

from __future__ import annotations

import datetime as dt
import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]  # exported without saying so, as is:
from tuf.api.metadata import (  # type: ignore[attr-defined]  # likewise
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from cloudboot_base.testing import judge
from cloudboot_oci_stream import (
    Identity,
    IdentitySigner,
    Policy,
    Rule,
    Trust,
    fetch_image,
    open_store,
    push_image,
    sign_image,
    verify_signature,
)
from cloudboot_oci_stream.deadline import Deadline
from cloudboot_oci_stream.errors import SigningError, TrustRootError, UntrustedError
from cloudboot_oci_stream.signatures.bundle import BUNDLE_TYPE
from cloudboot_oci_stream.signatures.payloads import build_statement
from cloudboot_oci_stream.stores.referrers import push_referrer
from cloudboot_oci_stream.testing import FaultyRegistry
from cloudboot_oci_stream.testing.sigstore import LocalSigstore
from cloudboot_oci_stream.testing.sigstore_services import sigstore_services

DISK = b"\x55\xaa" * 300
ISSUER = "https://issuer.invalid"


@pytest.fixture(scope="module")
def local() -> LocalSigstore:
    judge("openssl", "openssl")
    return LocalSigstore()


@pytest.fixture
def root(local: LocalSigstore, tmp_path: Path) -> Trust:
    path = tmp_path / "root.json"
    path.write_text(json.dumps(local.trusted_root()))
    return Trust(file=path)


def policy(trust: Trust, subject: str = "*@example.org") -> Policy:
    return Policy([Rule(identities=[Identity(issuer=ISSUER, subject=subject, trust=trust)])])


@pytest.mark.parametrize("rekor", [1, 2])
def test_sign_and_verify(
    registry: FaultyRegistry, local: LocalSigstore, root: Trust, tmp_path: Path, rekor: int
) -> None:
    reference = f"{registry.host}/disk:v1"
    config = tmp_path / "config.json"
    with sigstore_services(local) as url:
        config.write_text(json.dumps(local.trust_config(url, rekor=rekor)))
        signer = IdentitySigner(Trust(file=config), local.identity_token("joe@example.org"))
        pushed = push_image(DISK, reference, sign=signer)
    # The services are gone: verifying needs none of them.
    for trust in (root, Trust(file=config)):
        (found,) = verify_signature(reference, policy(trust)).signatures
        assert (found.signer, found.issuer) == ("joe@example.org", ISSUER)
    with fetch_image(reference, policy=policy(root)) as image:
        assert image.digest == pushed.digest
    with pytest.raises(UntrustedError, match="another identity"):
        verify_signature(reference, policy(root, "ann@example.org"))


def test_either_of_two_sigstores(registry: FaultyRegistry, local: LocalSigstore, root: Trust, tmp_path: Path) -> None:
    """A rule may name identities of several trust roots, and keys besides."""
    other = LocalSigstore()
    path = tmp_path / "other.json"
    path.write_text(json.dumps(other.trusted_root()))
    reference = f"{registry.host}/disk:v1"
    pushed = push_image(DISK, reference)
    store = open_store(reference)
    statement = build_statement(pushed.digest, f"{registry.host}/disk")
    for sigstore, who in ((local, "joe@example.org"), (other, "ann@example.org")):
        bundle = json.dumps(sigstore.sign_statement(statement, who)).encode()
        push_referrer(store, pushed, [(BUNDLE_TYPE, bundle)], artifact_type=BUNDLE_TYPE, deadline=Deadline())
    here = Identity(issuer=ISSUER, subject="joe@*", trust=root)
    there = Identity(issuer=ISSUER, subject="ann@*", trust=Trust(file=path))
    found = verify_signature(reference, Policy([Rule(identities=[here, there], threshold=2)]))
    assert {one.signer for one in found.signatures} == {"joe@example.org", "ann@example.org"}
    # A subject is only worth what the root that proves it is.
    swapped = Identity(issuer=ISSUER, subject="joe@*", trust=Trust(file=path))
    with pytest.raises(UntrustedError):
        verify_signature(reference, Policy([Rule(identities=[swapped])]))


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("forged", "no signature could be made"),
        ("expired", "malformed or missing claims"),
        ("garbage", "malformed or missing claims"),
    ],
)
def test_tokens_that_will_not_do(
    registry: FaultyRegistry, local: LocalSigstore, tmp_path: Path, token: str, words: str
) -> None:
    reference = f"{registry.host}/disk:v1"
    push_image(DISK, reference)
    text = {
        "forged": LocalSigstore().identity_token("joe@example.org"),
        "expired": local.identity_token("joe@example.org", seconds=-100),
        "garbage": "a.b.c",
    }[token]
    with sigstore_services(local) as url:
        (tmp_path / "config.json").write_text(json.dumps(local.trust_config(url)))
        signer = IdentitySigner(Trust(file=tmp_path / "config.json"), text)
        with pytest.raises(SigningError, match=words) as caught:
            sign_image(reference, signer)
    assert caught.value.exit_code == 14
    assert text not in repr(signer)
    assert not [name for _, name in registry.manifests if name.startswith("sha256-")]


def test_services_that_are_not_there(
    registry: FaultyRegistry, local: LocalSigstore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI"):
        monkeypatch.delenv(name, raising=False)
    reference = f"{registry.host}/disk:v1"
    push_image(DISK, reference)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(local.trust_config("http://127.0.0.1:1")))
    trust = Trust(file=config)
    with pytest.raises(SigningError, match="no signature could be made"):
        sign_image(reference, IdentitySigner(trust, local.identity_token("joe@example.org")))
    with pytest.raises(SigningError, match="cosign's tag"):
        sign_image(reference, IdentitySigner(trust, "x"), formats=["cosign"])
    config.write_text("{}")
    with pytest.raises(TrustRootError):
        sign_image(reference, IdentitySigner(trust, "x"))


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"\xff", b"{" * 5000, b'{"mediaType":"x","tlogs":[]}', b" " * ((4 << 20) + 1)]
)
def test_trust_roots_that_cannot_be_used(
    registry: FaultyRegistry, local: LocalSigstore, tmp_path: Path, data: bytes
) -> None:
    reference = f"{registry.host}/disk:v1"
    pushed = push_image(DISK, reference)
    statement = build_statement(pushed.digest, None)
    bundle = json.dumps(local.sign_statement(statement, "joe@example.org")).encode()
    layers = [(BUNDLE_TYPE, bundle)]
    push_referrer(open_store(reference), pushed, layers, artifact_type=BUNDLE_TYPE, deadline=Deadline())
    path = tmp_path / "root.json"
    path.write_bytes(data)
    with pytest.raises(TrustRootError) as caught:
        verify_signature(reference, policy(Trust(file=path)))
    assert caught.value.exit_code == 14
    with pytest.raises(TrustRootError):
        verify_signature(reference, policy(Trust(file=tmp_path / "none")))


@pytest.mark.parametrize("part", ["certificateAuthorities", "ctlogs", "tlogs", "timestampAuthorities"])
def test_trust_roots_that_lack_a_part(
    registry: FaultyRegistry, local: LocalSigstore, tmp_path: Path, part: str
) -> None:
    reference = f"{registry.host}/disk:v1"
    pushed = push_image(DISK, reference)
    bundle = json.dumps(local.sign_statement(build_statement(pushed.digest, None), "joe@example.org", rekor=2))
    layers = [(BUNDLE_TYPE, bundle.encode())]
    push_referrer(open_store(reference), pushed, layers, artifact_type=BUNDLE_TYPE, deadline=Deadline())
    value = local.trusted_root() | {part: []}
    (tmp_path / "root.json").write_text(json.dumps(value))
    with pytest.raises((TrustRootError, UntrustedError)):
        verify_signature(reference, policy(Trust(file=tmp_path / "root.json")))


# TUF


class Repository:
    """A TUF repository in a folder, one key for every role."""

    def __init__(self, folder: Path, targets: dict[str, bytes]) -> None:
        self.folder = folder
        self.signer = CryptoSigner.generate_ecdsa()
        expires = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(days=1)
        root = Root(expires=expires, consistent_snapshot=False)
        for role in ("root", "timestamp", "snapshot", "targets"):
            root.add_key(self.signer.public_key, role)
        listed = Targets(expires=expires)
        (folder / "targets").mkdir()
        for name, data in targets.items():
            (folder / "targets" / name).write_bytes(data)
            listed.targets[name] = TargetFile.from_data(name, data)
        snapshot = Snapshot(expires=expires, meta={"targets.json": MetaFile()})
        for name, signed in (
            ("1.root", root), ("targets", listed), ("snapshot", snapshot), ("timestamp", Timestamp(expires=expires)),
        ):  # fmt: skip
            metadata: Metadata[Any] = Metadata(signed)
            metadata.sign(self.signer)
            metadata.to_file(str(folder / f"{name}.json"))


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A folder, and the URL it is served at."""
    folder = tmp_path / "web"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", folder
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_trust_root_from_tuf(
    registry: FaultyRegistry, local: LocalSigstore, web: tuple[str, Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    url, folder = web
    reference = f"{registry.host}/disk:v1"
    with sigstore_services(local) as services:
        config = local.trust_config(services)
        targets = {
            "trusted_root.json": json.dumps(config["trustedRoot"]).encode(),
            "signing_config.v0.2.json": json.dumps(config["signingConfig"]).encode(),
        }
        Repository(folder, targets)
        trust = Trust(tuf=url, root=folder / "1.root.json")
        push_image(DISK, reference, sign=IdentitySigner(trust, local.identity_token("joe@example.org")))
    verify_signature(reference, policy(trust))
    # A target that the repository's keys do not vouch for.
    (folder / "targets" / "trusted_root.json").write_text(json.dumps(LocalSigstore().trusted_root()))
    verify_signature(reference, policy(Trust(tuf=url, root=trust.root, offline=True)))
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / f"{name}-2"))
    with pytest.raises(TrustRootError):
        verify_signature(reference, policy(trust))
    with pytest.raises(TrustRootError):
        verify_signature(reference, policy(Trust(tuf=f"{url}/nothing", root=trust.root)))
