"""Which server gets to see credentials and the client certificate, and which one a registry may send the client to."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudboot_base.testing import judge
from cloudboot_oci_stream import Access, copy_image, fetch_image, push_image
from cloudboot_oci_stream.errors import CertificateError, CredentialError, RedirectError
from cloudboot_oci_stream.http.access import TOKEN_HOSTS, Origin, is_token_host
from cloudboot_oci_stream.testing import FaultyRegistry, server_certificate

DISK = bytes(range(256)) * 2000
JOE = Access(username="joe", password="s3cret", stall=5)


@pytest.fixture
def bearer() -> Iterator[FaultyRegistry]:
    with FaultyRegistry(users={"joe": "s3cret"}, tokens=True) as running:
        yield running


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    judge("openssl", "openssl")
    return server_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls_registry(certificate: tuple[Path, Path]) -> Iterator[FaultyRegistry]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.load_verify_locations(certificate[0])
    context.verify_mode = ssl.CERT_OPTIONAL
    with FaultyRegistry(tls=context) as running:
        yield running


def test_a_password_does_not_go_to_another_servers_token_service(bearer: FaultyRegistry) -> None:
    bearer.faults.challenge = f'Bearer realm="http://{bearer.storage_host}/token",service="x"'
    with pytest.raises(CredentialError) as caught:
        push_image(DISK, f"{bearer.host}/team/disk:v1", access=JOE)
    assert not bearer.requests("GET", "/token")
    assert caught.value.hint is not None
    assert f"--token-host {bearer.storage_host}" in caught.value.hint


def test_a_named_token_service_gets_the_password(bearer: FaultyRegistry) -> None:
    bearer.faults.challenge = f'Bearer realm="http://{bearer.storage_host}/token",service="x"'
    named = Access(username="joe", password="s3cret", token_hosts=[bearer.storage_host])
    push_image(DISK, f"{bearer.host}/team/disk:v1", access=named)
    asked = bearer.requests("GET", "/token")
    assert [(seen.storage, (seen.authorization or "")[:5]) for seen in asked] == [(True, "Basic")]


def test_an_anonymous_token_may_come_from_anywhere() -> None:
    with FaultyRegistry(users={}, tokens=True, anonymous=True) as registry:
        registry.faults.challenge = f'Bearer realm="http://{registry.storage_host}/token",service="x"'
        push_image(DISK, f"{registry.host}/team/disk:v1")
        assert {seen.authorization for seen in registry.requests("GET", "/token")} == {None}


@pytest.mark.parametrize(
    ("realm", "registry", "name", "allowed", "expected"),
    [
        ("https://r.example/token", "https://r.example", "r.example", [], True),
        ("https://r.example:444/token", "https://r.example", "r.example", [], False),
        ("https://auth.r.example/token", "https://r.example", "r.example", [], False),
        ("https://auth.docker.io/token", "https://registry-1.docker.io", "docker.io", [], True),
        ("https://auth.docker.io/token", "https://registry-1.docker.io", "index.docker.io", [], True),
        ("https://auth.docker.io:8443/token", "https://registry-1.docker.io", "docker.io", [], False),
        ("https://auth.docker.io/token", "https://r.example", "r.example", [], False),
        ("https://gitlab.com/jwt/auth", "https://registry.gitlab.com", "registry.gitlab.com", [], True),
        ("https://auth.r.example/token", "https://r.example", "r.example", ["AUTH.r.example"], True),
        ("https://auth.r.example:8443/", "https://r.example", "r.example", ["auth.r.example"], False),
        ("https://auth.r.example:8443/", "https://r.example", "r.example", ["auth.r.example:8443"], True),
        ("http://auth.r.example/token", "https://r.example", "r.example", ["auth.r.example"], False),
        ("http://auth.r.example/token", "http://r.example:5000", "r.example:5000", ["auth.r.example"], True),
        ("https://r.example/token", "http://r.example", "r.example", [], False),
    ],
)
def test_whose_token_services_are_trusted(
    realm: str, registry: str, name: str, allowed: list[str], expected: bool
) -> None:
    assert is_token_host(Origin.of(realm), Origin.of(registry), name, allowed) is expected


def test_public_registries_are_named_in_their_canonical_form() -> None:
    from cloudboot_oci_stream.spec.reference import canonical_host

    assert [canonical_host(name) for name in TOKEN_HOSTS] == list(TOKEN_HOSTS)


def test_the_client_certificate_is_not_shown_to_where_a_redirect_leads(
    tls_registry: FaultyRegistry, certificate: tuple[Path, Path]
) -> None:
    access = Access(ca_file=certificate[0], client_certificate=certificate[0], client_key=certificate[1])
    push_image(DISK, f"{tls_registry.host}/team/disk:v1", access=access)
    assert all(seen.has_certificate for seen in tls_registry.seen)
    del tls_registry.seen[:]
    tls_registry.faults.redirect = "storage"
    fetch_image(f"{tls_registry.host}/team/disk:v1", access=access).close()
    assert {(seen.storage, seen.has_certificate) for seen in tls_registry.seen} == {(False, True), (True, False)}


def test_the_client_certificate_is_not_shown_to_another_token_service(
    tls_registry: FaultyRegistry, certificate: tuple[Path, Path]
) -> None:
    tls_registry.users, tls_registry.tokens, tls_registry.anonymous = {}, True, True
    tls_registry.faults.challenge = f'Bearer realm="https://{tls_registry.storage_host}/token"'
    access = Access(ca_file=certificate[0], client_certificate=certificate[0], client_key=certificate[1])
    push_image(DISK, f"{tls_registry.host}/team/disk:v1", access=access)
    assert {seen.has_certificate for seen in tls_registry.requests("GET", "/token")} == {False}


def test_a_certificate_authority_adds_to_those_of_the_system(
    tls_registry: FaultyRegistry,
    certificate: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The registry is proved by the system's authorities while ``ca_file`` names another one."""
    other = tmp_path / "other"
    other.mkdir()
    another, _ = server_certificate(other)
    with pytest.raises(CertificateError):
        push_image(DISK, f"{tls_registry.host}/d:v1", access=Access(ca_file=another))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))  # where OpenSSL looks for the system's
    push_image(DISK, f"{tls_registry.host}/d:v1", access=Access(ca_file=another))
    monkeypatch.setenv("SSL_CERT_FILE", str(another))
    push_image(DISK, f"{tls_registry.host}/d:v1", access=Access(ca_file=certificate[0]))


@pytest.mark.parametrize("chunk", [None, 100_000])
def test_uploads_go_elsewhere_without_credentials(chunk: int | None) -> None:
    with FaultyRegistry(users={"joe": "s3cret"}) as registry:
        registry.faults.locations = "elsewhere"
        push_image(DISK, f"{registry.host}/team/disk:v1", access=JOE, chunk=chunk)
        moved = [seen for seen in registry.seen if seen.storage]
        assert {seen.method for seen in moved} == ({"PUT"} if chunk is None else {"PATCH", "PUT"})
        assert all(seen.authorization is None for seen in moved)
        assert DISK in registry.blobs.values()


def test_nothing_is_read_or_deleted_at_an_uploads_location_elsewhere() -> None:
    with FaultyRegistry() as registry:
        push_image(DISK, f"{registry.host}/team/disk:v1")
        registry.faults.locations = "elsewhere"
        registry.faults.mounts = False
        registry.faults.upload_cuts = [150_000]
        image = DISK + b"x"
        with pytest.raises(RedirectError, match="another server"):
            push_image(image, f"{registry.host}/team/disk:v2", chunk=100_000)
        # A mount that is answered with an upload is given up; the Location is not asked to delete it.
        registry.faults.upload_cuts = []
        copy_image(f"{registry.host}/team/disk:v1", f"{registry.host}/other/disk:v1")
        assert {seen.method for seen in registry.seen if seen.storage} <= {"PUT", "PATCH"}


@pytest.mark.parametrize("what", ["uploads", "manifests"])
def test_other_requests_are_not_redirected_to_another_server(registry: FaultyRegistry, what: str) -> None:
    registry.faults.moved = what
    with pytest.raises(RedirectError, match="another server"):
        push_image(DISK, f"{registry.host}/team/disk:v1")
    assert not [seen for seen in registry.seen if seen.storage]


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "0.0.0.0", "2130706433", "169.254.169.254", "localhost"])
def test_a_registry_elsewhere_does_not_send_the_client_to_this_machine(host: str) -> None:
    from cloudboot_oci_stream import RegistryReference
    from cloudboot_oci_stream.http.session import Session

    session = Session(RegistryReference("registry.example", "team/disk"), Access())
    with pytest.raises(RedirectError, match="own machine"):
        session._check_target(f"https://{host}/blob", reads=True, uploads=True)
    session._check_target("https://storage.example/blob", reads=True, uploads=False)
