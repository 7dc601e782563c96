"""Who is told what: credentials, tokens, redirects and plain HTTP."""

from __future__ import annotations

import base64
import json
import logging
import os
import random
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudboot_oci_stream import Access, OciError, RetryPolicy, fetch_image, push_image
from cloudboot_oci_stream.errors import (
    CredentialError,
    InsecureError,
    TransferTimeoutError,
    UnauthorizedError,
)
from cloudboot_oci_stream.http.access import Origin
from cloudboot_oci_stream.http.challenge import read_challenges
from cloudboot_oci_stream.http.transport import Transport
from cloudboot_oci_stream.testing import FaultyRegistry

DISK = random.Random(5).randbytes(700_000)
USERS = {"joe": "s3cret:with:colons"}
JOE = Access(username="joe", password="s3cret:with:colons", stall=2)


@pytest.fixture(params=["basic", "bearer"])
def guarded(request: pytest.FixtureRequest) -> Iterator[FaultyRegistry]:
    with FaultyRegistry(users=USERS, tokens=request.param == "bearer") as running:
        yield running


@pytest.fixture
def bearer() -> Iterator[FaultyRegistry]:
    with FaultyRegistry(users=USERS, tokens=True) as running:
        yield running


def pulled(registry: FaultyRegistry, **options: Any) -> bytes:
    with fetch_image(f"{registry.host}/team/disk:v1", **options) as image:
        return bytes(image.view[: image.descriptor.size])


def config(host: str, user: str = "joe", password: str = "s3cret:with:colons") -> str:
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    return json.dumps({"auths": {host: {"auth": encoded}}})


def test_given_credentials(guarded: FaultyRegistry) -> None:
    push_image(DISK, f"{guarded.host}/team/disk:v1", access=JOE)
    assert pulled(guarded, access=JOE) == DISK


@pytest.mark.parametrize("access", [Access(), Access(username="joe", password="wrong")], ids=["none", "wrong"])
def test_wrong_credentials(guarded: FaultyRegistry, access: Access) -> None:
    with pytest.raises(OciError) as caught:
        pulled(guarded, access=access)
    assert isinstance(caught.value, UnauthorizedError | CredentialError)
    assert caught.value.exit_code == 7
    assert len(guarded.seen) <= 4


@pytest.mark.parametrize("where", ["docker", "DOCKER_CONFIG", "podman", "REGISTRY_AUTH_FILE", "auth_file"])
def test_configured_credentials(
    guarded: FaultyRegistry, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_image(DISK, f"{guarded.host}/team/disk:v1", access=JOE)
    path, name = {
        "docker": (Path(os.environ["HOME"]) / ".docker/config.json", None),
        "DOCKER_CONFIG": (tmp_path / "config.json", "DOCKER_CONFIG"),
        "podman": (tmp_path / "containers/auth.json", "XDG_RUNTIME_DIR"),
        "REGISTRY_AUTH_FILE": (tmp_path / "auth.json", "REGISTRY_AUTH_FILE"),
        "auth_file": (tmp_path / "mine.json", None),
    }[where]
    path.parent.mkdir(exist_ok=True)
    path.write_text(config(guarded.host))
    if name is not None:
        monkeypatch.setenv(name, str(path if where == "REGISTRY_AUTH_FILE" else tmp_path))
    assert pulled(guarded, access=Access(auth_file=path) if where == "auth_file" else None) == DISK


def test_credentials_per_repository(guarded: FaultyRegistry, tmp_path: Path) -> None:
    """podman files credentials under a repository's name, too; the longest match is the one."""
    push_image(DISK, f"{guarded.host}/team/disk:v1", access=JOE)
    file = tmp_path / "auth.json"
    good, bad = json.loads(config(f"{guarded.host}/team")), json.loads(config(guarded.host, "ann", "x"))
    file.write_text(json.dumps({"auths": good["auths"] | bad["auths"]}))
    assert pulled(guarded, access=Access(auth_file=file)) == DISK


def test_a_credential_helper(guarded: FaultyRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    push_image(DISK, f"{guarded.host}/team/disk:v1", access=JOE)
    helper = tmp_path / "docker-credential-test"
    answer = json.dumps({"ServerURL": guarded.host, "Username": "joe", "Secret": USERS["joe"]})
    helper.write_text(f"#!/bin/sh\ncat >/dev/null\necho '{answer}'\n")
    helper.chmod(helper.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"credHelpers": {guarded.host: "test"}}))
    assert pulled(guarded, access=Access(auth_file=file)) == DISK


def test_files_have_an_order(guarded: FaultyRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    push_image(DISK, f"{guarded.host}/team/disk:v1", access=JOE)
    docker = Path(os.environ["HOME"]) / ".docker/config.json"
    docker.parent.mkdir()
    docker.write_text(config(guarded.host, "ann", "wrong"))
    podman = tmp_path / "containers/auth.json"
    podman.parent.mkdir()
    podman.write_text(config(guarded.host))
    with pytest.raises(OciError):
        pulled(guarded)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert pulled(guarded) == DISK


def test_an_identity_token_is_not_sent_as_a_password(guarded: FaultyRegistry, tmp_path: Path) -> None:
    push_image(DISK, f"{guarded.host}/team/disk:v1", access=JOE)
    file = tmp_path / "config.json"
    file.write_text(config(guarded.host, "<token>", "refresh"))
    del guarded.seen[:]
    with pytest.raises(CredentialError):
        pulled(guarded, access=Access(auth_file=file))
    assert not [seen for seen in guarded.seen if seen.authorization]


def test_a_configuration_cannot_add_headers(guarded: FaultyRegistry, tmp_path: Path) -> None:
    push_image(DISK, f"{guarded.host}/team/disk:v1", access=JOE)
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"auths": {guarded.host: {"auth": "c2VjcmV0\r\nX-Evil: yes"}}}))
    with pytest.raises(CredentialError) as caught:
        pulled(guarded, access=Access(auth_file=file))
    assert "c2VjcmV0" not in str(caught.value)


BROKEN = ["", "[]", "{", '{"auths": 5}', '{"auths": {"HOST": 5}}', '{"credHelpers": []}']


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_configuration(guarded: FaultyRegistry, text: str, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(text.replace("HOST", guarded.host))
    with pytest.raises(OciError) as caught:
        pulled(guarded, access=Access(auth_file=file))
    assert isinstance(caught.value, CredentialError | UnauthorizedError)


def test_a_missing_configuration(guarded: FaultyRegistry, tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match="no such credentials file"):
        pulled(guarded, access=Access(auth_file=tmp_path / "none.json"))


def test_a_token_that_expires_in_the_middle(bearer: FaultyRegistry) -> None:
    push_image(DISK, f"{bearer.host}/team/disk:v1", access=JOE)
    bearer.token_uses = 2
    bearer.good_tokens.clear()
    bearer.faults.cuts = [100_000, 300_000, 500_000]
    del bearer.seen[:]
    assert pulled(bearer, access=JOE) == DISK
    tokens = [seen.authorization for seen in bearer.requests("GET", "/blobs/")]
    assert len(set(tokens)) == 3, "manifest, blob and resumptions need a new token after every second request"


def test_a_token_is_used_again(bearer: FaultyRegistry) -> None:
    push_image(DISK, f"{bearer.host}/team/disk:v1", access=JOE)
    assert len(bearer.requests("GET", "/token")) == 1
    assert len(bearer.requests("POST")) == 2


def test_a_redirect_to_another_port_carries_no_credentials(guarded: FaultyRegistry) -> None:
    """The same host on another port is another party: oras and ctr hand it the token."""
    push_image(DISK, f"{guarded.host}/team/disk:v1", access=JOE)
    guarded.faults.redirect = "storage"
    guarded.faults.cuts = [300_000]
    del guarded.seen[:]
    assert pulled(guarded, access=JOE) == DISK
    strangers = [seen for seen in guarded.seen if seen.storage]
    assert len(strangers) == 2
    assert all(seen.authorization is None for seen in strangers)
    assert all(not any("joe" in value for value in seen.headers.values()) for seen in strangers)


def test_credentials_do_not_come_back_after_a_detour(guarded: FaultyRegistry) -> None:
    push_image(DISK, f"{guarded.host}/team/disk:v1", access=JOE)
    guarded.faults.redirect = f"http://{guarded.storage_host}/bounce"
    with pytest.raises(OciError):
        pulled(guarded, access=JOE)
    assert all(seen.authorization is None for seen in guarded.seen if seen.storage)


def test_another_name_for_this_machine_is_another_party(guarded: FaultyRegistry) -> None:
    push_image(DISK, f"{guarded.host}/team/disk:v1", access=JOE)
    port = guarded.host.partition(":")[2]
    digest = next(digest for digest, data in guarded.blobs.items() if data == DISK)
    guarded.faults.redirect = f"http://localhost:{port}/v2/team/disk/blobs/{digest}"
    del guarded.seen[:]
    with pytest.raises(UnauthorizedError):
        pulled(guarded, access=JOE)
    moved = [seen for seen in guarded.seen if seen.headers["host"].startswith("localhost")]
    assert [seen.authorization for seen in moved] == [None]


def test_no_secret_in_errors_or_logs(
    guarded: FaultyRegistry, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    push_image(DISK, f"{guarded.host}/team/disk:v1", access=JOE)
    told = repr(JOE)
    # Not found; and nobody there, whose address is then in the message.
    for target in (f"{guarded.storage_host}/blob?X-Signature=hidden", "ann:hidden@127.0.0.1:1/blob?X-Signature=hidden"):
        guarded.faults.redirect = f"http://{target}"
        with pytest.raises(OciError) as caught:
            pulled(guarded, access=JOE, retry=RetryPolicy(attempts=0))
        told += str(caught.value) + json.dumps(caught.value.as_dict())
    assert "127.0.0.1:1/blob" in told
    told += caplog.text + "".join(capfd.readouterr())
    secrets = [USERS["joe"], base64.b64encode(b"joe:s3cret:with:colons").decode(), "hidden", *guarded.good_tokens]
    assert not [secret for secret in secrets if secret in told]


@pytest.mark.parametrize(
    "answer",
    [
        (200, {}, b""),
        (200, {}, b"[]"),
        (200, {}, b"{}"),
        (200, {}, b'{"token": 5}'),
        (200, {}, b'{"token": "a\\r\\nX-Evil: b"}'),
        (200, {}, b'{"token": "' + b"a" * (2 << 20) + b'"}'),
        (200, {}, b"[" * 100_000),
        (302, {"Location": "http://127.0.0.1:1/steal"}, b""),
        (403, {}, b"{}"),
        (500, {}, b""),
    ],
    ids=range(10),
)
def test_token_services_that_give_none(bearer: FaultyRegistry, answer: tuple[int, dict[str, str], bytes]) -> None:
    bearer.faults.token = answer
    for access in (JOE, Access()):
        with pytest.raises(CredentialError):
            pulled(bearer, access=access, retry=RetryPolicy(attempts=0))


@pytest.mark.parametrize(
    ("challenge", "error"),
    [
        ("Bearer", UnauthorizedError),
        ('Bearer realm="/token"', CredentialError),
        ('Bearer realm="file:///etc/passwd"', CredentialError),
        ('Bearer realm="https://127.0.0.1:1/token"', CredentialError),
        ('Bearer realm="http://registry.example/token"', CredentialError),
        ('Bearer realm="http://[::zz]/token"', OciError),
        ('Bearer service="x"', CredentialError),
        ("Negotiate abc", UnauthorizedError),
        pytest.param(f'Bearer realm="http://127.0.0.1:1/",{"a" * 60_000}', CredentialError, id="long"),
    ],
)
def test_challenges_that_lead_nowhere(bearer: FaultyRegistry, challenge: str, error: type[OciError]) -> None:
    bearer.faults.challenge = challenge
    with pytest.raises(error):
        pulled(bearer, access=JOE, retry=RetryPolicy(attempts=0))


def test_a_token_service_that_does_not_answer(bearer: FaultyRegistry) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        bearer.faults.challenge = f'Bearer realm="http://127.0.0.1:{silent.getsockname()[1]}/token"'
        with pytest.raises(TransferTimeoutError):
            pulled(bearer, access=Access(stall=0.3), retry=RetryPolicy(attempts=0))


def test_an_anonymous_token() -> None:
    with FaultyRegistry(users={}, tokens=True, anonymous=True) as registry:
        push_image(DISK, f"{registry.host}/team/disk:v1")
        assert pulled(registry) == DISK
        assert all(seen.authorization is None for seen in registry.requests("GET", "/token"))


def test_plain_http_to_another_machine_needs_leave() -> None:
    transport = Transport(Access())
    transport.check_allowed(Origin("https", "registry.example", 443))
    transport.check_allowed(Origin("http", "localhost", 5000))
    with pytest.raises(InsecureError):
        transport.check_allowed(Origin("http", "registry.example", 80))
    Transport(Access(insecure=True)).check_allowed(Origin("http", "registry.example", 80))


def test_a_realm_without_tls_gets_no_password(bearer: FaultyRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    push_image(DISK, f"{bearer.host}/team/disk:v1", access=JOE)
    bearer.good_tokens.clear()
    monkeypatch.setattr(FaultyRegistry, "host", property(lambda _: "token.example:80"))
    port = bearer._servers[0].server_address[1]
    with pytest.raises(CredentialError, match="another server"):
        fetch_image(f"127.0.0.1:{port}/team/disk:v1", access=JOE)


@pytest.mark.parametrize(
    ("headers", "schemes"),
    [
        (['Basic realm="a"'], {"basic"}),
        (['Bearer realm="https://a/token",service="s"'], {"bearer"}),
        (['Basic realm="a", Bearer realm="https://a/token",scope="repository:x:pull,push"'], {"basic", "bearer"}),
        (['bearer realm="https://a"', "Basic realm=x"], {"basic", "bearer"}),
        (["Basic"], {"basic"}),
        (["Negotiate", "Digest realm=x"], set()),
        ([], set()),
    ],
)
def test_challenges(headers: list[str], schemes: set[str]) -> None:
    assert read_challenges(headers).keys() & {"basic", "bearer"} == schemes
