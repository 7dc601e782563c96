"""Credentials as others leave them: files, names, forms, helpers, tokens; and what login and logout leave."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import logging
import os
import stat
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_base.testing import judge
from cloudboot_oci_stream import Access, fetch_image, login, logout, push_image
from cloudboot_oci_stream.errors import CredentialError, OciError, TransferTimeoutError, UnauthorizedError
from cloudboot_oci_stream.http.challenge import read_challenges
from cloudboot_oci_stream.http.credentials import ConfigFile, config_names, credential_of, ranked
from cloudboot_oci_stream.spec.reference import RegistryReference
from cloudboot_oci_stream.testing import FaultyRegistry, Server, docker_registry

DISK = bytes(range(256)) * 64
AUTH = base64.b64encode(b"joe:secret").decode()
KEYS = ["HOST", "http://HOST", "https://HOST", "https://HOST/", "HOST/", "https://HOST/v1/", "https://HOST/v2/"]
KEYS += ["https://HOST/v2", "http://HOST/v2/", "HOST/v2/", "HOST/team", "HOST/team/disk"]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CONFIG_HOME", "DOCKER_AUTH_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def basic() -> Iterator[FaultyRegistry]:
    with FaultyRegistry(users={"joe": "secret"}) as running:
        push_image(DISK, f"{running.host}/team/disk:v1", access=Access(username="joe", password="secret"))
        yield running


def works(registry: FaultyRegistry, access: Access | None = None) -> bool:
    try:
        with fetch_image(f"{registry.host}/team/disk:v1", access=access) as image:
            return image.view[: image.descriptor.size] == DISK
    except (UnauthorizedError, CredentialError):
        return False


def configured(path: Path, value: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


@pytest.mark.parametrize("key", KEYS)
def test_names_in_a_configuration(basic: FaultyRegistry, key: str, tmp_path: Path) -> None:
    file = configured(tmp_path / "auth.json", {"auths": {key.replace("HOST", basic.host): {"auth": AUTH}}})
    assert works(basic, Access(auth_file=file))


@pytest.mark.parametrize("key", ["http://HOST", "https://HOST/", "https://HOST/v1/", "http://HOST/v2/"])
def test_skopeo_takes_the_same_names(basic: FaultyRegistry, key: str, tmp_path: Path) -> None:
    file = configured(tmp_path / "auth.json", {"auths": {key.replace("HOST", basic.host): {"auth": AUTH}}})
    skopeo = judge("skopeo", "skopeo")
    target = f"docker://{basic.host}/team/disk:v1"
    command = [skopeo, "inspect", "--raw", "--tls-verify=false", "--authfile", str(file), target]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert works(basic, Access(auth_file=file))


@pytest.mark.parametrize("key", ["HOSTX", "xHOST", "HOST/other", "HOST/team/disk/below", "127.0.0.1", "", "https://"])
def test_names_of_other_registries(basic: FaultyRegistry, key: str, tmp_path: Path) -> None:
    file = configured(tmp_path / "auth.json", {"auths": {key.replace("HOST", basic.host): {"auth": AUTH}}})
    assert not works(basic, Access(auth_file=file))


@pytest.mark.parametrize(
    ("entry", "good"),
    [
        ({"username": "joe", "password": "secret"}, True),
        ({"auth": "", "username": "joe", "password": "secret"}, True),
        ({"auth": AUTH, "email": "a@b"}, True),
        ({"auth": AUTH + "\n"}, True),
        ({"auth": base64.b64encode(b"joe:secret\0\0").decode()}, True),
        ({"auth": base64.b64encode(b"joe:secre").decode().rstrip("=")}, False),
        ({"auth": "?"}, False),
        ({"auth": 5}, False),
        ({"identitytoken": "a\r\nX-Evil: b"}, False),
        ({}, False),
    ],
)
def test_forms_of_an_entry(basic: FaultyRegistry, entry: dict[str, object], good: bool, tmp_path: Path) -> None:
    file = configured(tmp_path / "auth.json", {"auths": {basic.host: entry}})
    assert works(basic, Access(auth_file=file)) is good


@pytest.mark.parametrize(
    ("place", "variables"),
    [
        ("home/.config/containers/auth.json", {}),
        ("home/.docker/config.json", {}),
        ("cfg/containers/auth.json", {"XDG_CONFIG_HOME": "cfg"}),
        ("run/containers/auth.json", {"XDG_RUNTIME_DIR": "run"}),
        ("dc/config.json", {"DOCKER_CONFIG": "dc"}),
        ("auth.json", {"REGISTRY_AUTH_FILE": "auth.json"}),
    ],
)
def test_places(
    basic: FaultyRegistry, place: str, variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name, value in variables.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    configured(tmp_path / place, {"auths": {basic.host: {"auth": AUTH}}})
    assert works(basic)


def test_the_old_form_of_dockers_file(basic: FaultyRegistry) -> None:
    configured(Path(os.environ["HOME"]) / ".dockercfg", {f"https://{basic.host}/v1/": {"auth": AUTH, "email": "a@b"}})
    assert works(basic)


def test_a_configuration_in_the_environment(basic: FaultyRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", json.dumps({"auths": {basic.host: {"auth": AUTH}}}))
    assert works(basic)
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", "{" + AUTH)
    with pytest.raises(CredentialError) as caught:
        fetch_image(f"{basic.host}/team/disk:v1")
    assert AUTH not in str(caught.value)
    assert "DOCKER_AUTH_CONFIG" in (caught.value.hint or "")


def test_a_file_that_is_named_must_be_there(basic: FaultyRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_AUTH_FILE", "/nonexistent/auth.json")
    with pytest.raises(CredentialError, match="no such credentials file"):
        fetch_image(f"{basic.host}/team/disk:v1")


def test_the_most_specific_entry(basic: FaultyRegistry, tmp_path: Path) -> None:
    bad = {"auth": base64.b64encode(b"ann:x").decode()}
    entries = {basic.host: bad, f"{basic.host}/team": bad, f"{basic.host}/team/disk": {"auth": AUTH}}
    assert works(basic, Access(auth_file=configured(tmp_path / "a.json", {"auths": entries})))
    # The same host under two names: the plain one.
    entries = {f"https://{basic.host}/v1/": bad, basic.host: {"auth": AUTH}}
    assert works(basic, Access(auth_file=configured(tmp_path / "b.json", {"auths": entries})))


# Helpers


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def write(script: str, name: str = "test") -> Path:
        path = folder / f"docker-credential-{name}"
        path.write_text(f'#!/bin/sh\nread server\necho "$1 $server" >> {folder}/asked\n{script}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return folder / "asked"

    return write


GIVES = """echo '{"ServerURL":"x","Username":"joe","Secret":"secret"}'"""


def test_the_most_specific_helper(basic: FaultyRegistry, helper: Callable[..., Path], tmp_path: Path) -> None:
    helper(GIVES, "good")
    helper('echo \'{"ServerURL":"x","Username":"ann","Secret":"wrong"}\'', "bad")
    helpers = {basic.host: "bad", f"{basic.host}/team": "good"}
    file = configured(tmp_path / "a.json", {"credHelpers": helpers, "credsStore": "bad"})
    assert works(basic, Access(auth_file=file))


@pytest.mark.parametrize("auths", [{}, {"HOST": {}}, {"https://HOST/v1/": {}}])
def test_a_store_for_all(
    basic: FaultyRegistry, helper: Callable[..., Path], tmp_path: Path, auths: dict[str, object]
) -> None:
    helper(GIVES)
    entries = {key.replace("HOST", basic.host): entry for key, entry in auths.items()}
    assert works(basic, Access(auth_file=configured(tmp_path / "a.json", {"auths": entries, "credsStore": "test"})))


@pytest.mark.parametrize(
    ("script", "notices"),
    [
        ("echo 'credentials not found in native keychain'; exit 1", 0),
        ("echo 'joe:hidden' >&2; echo 'joe:hidden'; exit 1", 1),
        ("echo 'not JSON hidden'", 1),
        ("echo '[1]'", 1),
        (None, 1),
    ],
)
def test_a_helper_that_gives_nothing(
    basic: FaultyRegistry,
    helper: Callable[..., Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    script: str | None,
    notices: int,
) -> None:
    """It is said at most once, in our own words, and what else there is still counts."""
    caplog.set_level(logging.DEBUG)
    name = "absent" if script is None else "test"
    if script is not None:
        helper(script)
    empty: dict[str, object] = {basic.host: {}, f"https://{basic.host}/v1/": {}, f"{basic.host}/team": {}}
    file = configured(tmp_path / "a.json", {"auths": empty, "credsStore": name})
    with pytest.raises(OciError) as caught:
        fetch_image(f"{basic.host}/team/disk:v1", access=Access(auth_file=file))
    told = caplog.text + "".join(capfd.readouterr()) + str(caught.value) + str(caught.value.hint)
    assert len(caplog.records) == notices
    assert "hidden" not in told
    assert (f"docker-credential-{name}" in (caught.value.hint or "")) == bool(notices), "the hint says what to mend"
    configured(file, {"auths": {basic.host: {"auth": AUTH}}, "credHelpers": {basic.host: name}})
    assert works(basic, Access(auth_file=file))


def test_a_helper_is_under_the_deadline(basic: FaultyRegistry, helper: Callable[..., Path], tmp_path: Path) -> None:
    """The helper's own child holds the pipe and must not be waited for either; it is gone afterwards."""
    helper(f"sleep 1000 & echo $! > {tmp_path}/child; sleep 1000")
    file = configured(tmp_path / "a.json", {"credHelpers": {basic.host: "test"}})
    with pytest.raises(TransferTimeoutError):
        fetch_image(f"{basic.host}/team/disk:v1", access=Access(auth_file=file), deadline=1)
    status = Path("/proc", (tmp_path / "child").read_text().strip(), "status")
    for _ in range(600):
        if not status.exists() or "State:\tZ" in status.read_text():
            break
        time.sleep(0.05)
    else:
        pytest.fail("the child goes on")


@pytest.mark.parametrize("name", ["../x", "a b", "", "-x"])
def test_names_of_helpers(basic: FaultyRegistry, tmp_path: Path, name: str) -> None:
    file = configured(tmp_path / "a.json", {"credHelpers": {basic.host: name}})
    assert not works(basic, Access(auth_file=file))


# Tokens


class _TokenService(http.server.BaseHTTPRequestHandler):
    """Takes refresh tokens as the OAuth2 form of the specification has them, and keeps what it was sent."""

    forms: list[dict[str, list[str]]]

    def log_message(self, *_: object) -> None:
        """Not on the terminal."""

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = urllib.parse.parse_qs(data)
        self.forms.append(form)
        good = form.get("refresh_token") == ["REFRESH"]
        body = json.dumps({"access_token": self.token} if good else {"error": "invalid_grant"}).encode()
        self.send_response(200 if good else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    token = ""


@contextlib.contextmanager
def token_service(token: str) -> Iterator[tuple[str, list[dict[str, list[str]]]]]:
    forms: list[dict[str, list[str]]] = []
    handler: Any = type("Handler", (_TokenService,), {"token": token, "forms": forms})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}", forms
        server.shutdown()


@pytest.mark.parametrize("refresh", ["REFRESH", "WRONG"])
def test_identity_tokens(refresh: str, tmp_path: Path) -> None:
    """As Azure's registries give them: an empty user beside a refresh token, which is exchanged by OAuth2."""
    with FaultyRegistry(users={"joe": "secret"}, tokens=True) as registry:
        push_image(DISK, f"{registry.host}/team/disk:v1", access=Access(username="joe", password="secret"))
        empty = base64.b64encode(b"00000000-0000-0000-0000-000000000000:").decode()
        value = {"auths": {registry.host: {"auth": empty, "identitytoken": refresh}}}
        with token_service(registry.new_token()) as (host, forms):
            registry.faults.challenge = (
                f'Bearer realm="http://{host}/oauth2/token",service="s",scope="repository:x:pull"'
            )
            access = Access(auth_file=configured(tmp_path / "a.json", value), token_hosts=[host])
            assert works(registry, access) is (refresh == "REFRESH")
        assert forms[0] == {
            "grant_type": ["refresh_token"],
            "service": ["s"],
            "client_id": ["cloudboot-oci-stream"],
            "scope": ["repository:x:pull"],
            "refresh_token": [refresh],
        }


def test_registry_tokens(tmp_path: Path) -> None:
    with FaultyRegistry(users={"joe": "secret"}, tokens=True) as registry:
        push_image(DISK, f"{registry.host}/team/disk:v1", access=Access(username="joe", password="secret"))
        value = {"auths": {registry.host: {"registrytoken": registry.new_token()}}}
        del registry.seen[:]
        assert works(registry, Access(auth_file=configured(tmp_path / "a.json", value)))
        assert not registry.requests("GET", "/token")


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ('Bearer realm="a", service="b c",scope="x:y,z"', {"realm": "a", "service": "b c", "scope": "x:y,z"}),
        ('BEARER Realm="a",SERVICE=""', {"realm": "a", "service": ""}),
        ('Basic realm="x, y=\\"z\\"", Bearer realm="a"', {"realm": "a"}),
        ("Negotiate abc==, Bearer realm=http://a/b,service=s", {"realm": "http://a/b", "service": "s"}),
        ("Negotiate, Bearer realm=a", {"realm": "a"}),
        ("Bearer", {}),
        ('Bearer realm="a"; service="b"', {"realm": "a"}),
        ('Bearer realm="', {}),
        ("", None),
        (",,,=,", None),
    ],
)
def test_challenges(field: str, expected: dict[str, str] | None) -> None:
    found = read_challenges([field]).get("bearer")
    assert found == expected or (found is not None and expected is not None and found.items() >= expected.items())


# Login and logout


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    judge("docker-registry", "docker-registry")
    judge("htpasswd", "apache2-utils")
    with docker_registry(users={"joe": "secret"}) as running:
        yield running


def command(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cloudboot_oci_stream", *words],
        input=stdin, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_log_in_push_and_log_out(guarded: Server, tmp_path: Path) -> None:
    home = Path(os.environ["HOME"])
    done = command("login", guarded.host, "--username", "joe", "--password-stdin", stdin="wrong\n")
    assert done.returncode == 7
    assert not list(home.rglob("*.json"))
    done = command("login", guarded.host, "--username", "joe", "--password-stdin", "--json", stdin="secret\n")
    assert done.returncode == 0, done.stderr
    file = home / ".docker/config.json"
    assert json.loads(done.stdout)["kept_in"] == str(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    push_image(DISK, f"{guarded.host}/team/disk:v1")
    skopeo, target = judge("skopeo", "skopeo"), f"docker://{guarded.host}/team/disk:v1"
    inspect = [skopeo, "inspect", "--raw", "--tls-verify=false", "--authfile", str(file), target]
    assert subprocess.run(inspect, check=False, capture_output=True).returncode == 0, "skopeo finds it, too"
    assert command("logout", guarded.host).returncode == 0
    assert json.loads(file.read_text()) == {"auths": {}}
    done = command("logout", guarded.host)
    assert (done.returncode, done.stdout) == (7, "")
    with pytest.raises(UnauthorizedError) as caught:
        fetch_image(f"{guarded.host}/team/disk:v1")
    assert f"cloudboot-oci-stream login {guarded.host}" in (caught.value.hint or "")


def test_a_login_replaces_what_would_be_found_before_it(guarded: Server) -> None:
    """skopeo judges: it reads podman's file first, too."""
    home = Path(os.environ["HOME"])
    wrong = {"auth": base64.b64encode(b"joe:old").decode()}
    podman = configured(home / ".config/containers/auth.json", {"auths": {guarded.host: wrong, "other": wrong}})
    legacy = configured(home / ".dockercfg", {guarded.host: wrong})
    asks = [judge("skopeo", "skopeo"), "list-tags", "--tls-verify=false", f"docker://{guarded.host}/team/none"]
    refused = subprocess.run(asks, check=False, capture_output=True, text=True)
    assert "unauthorized" in refused.stderr
    assert login(guarded.host, "joe", "secret") == str(home / ".docker/config.json")
    assert json.loads(podman.read_text()) == {"auths": {"other": wrong}}
    assert json.loads(legacy.read_text()) == {guarded.host: wrong}
    known = subprocess.run(asks, check=False, capture_output=True, text=True)
    assert "404 (Not Found)" in known.stderr, "skopeo was let in"


def test_a_login_makes_the_file_that_the_environment_names(
    guarded: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "new" / "auth.json"
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(file))
    assert login(guarded.host, "joe", "secret") == str(file)
    ours = json.loads(file.read_text())
    file.unlink()
    words = ["login", "--tls-verify=false", "--username", "joe", "--password-stdin", guarded.host]
    subprocess.run([judge("skopeo", "skopeo"), *words], input=b"secret", check=True, capture_output=True)
    assert json.loads(file.read_text()) == ours


def test_a_login_fails_where_a_variable_would_hide_it(guarded: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", json.dumps({"auths": {guarded.host: {"auth": AUTH}}}))
    with pytest.raises(CredentialError, match="DOCKER_AUTH_CONFIG"):
        login(guarded.host, "joe", "secret")
    assert not list(Path(os.environ["HOME"]).rglob("*.json"))


def test_a_login_keeps_what_else_is_in_the_file(guarded: Server, tmp_path: Path) -> None:
    value = {"auths": {f"https://{guarded.host}/v1/": {"auth": "old"}, "other": {"auth": AUTH}}, "psFormat": "x"}
    real = configured(tmp_path / "real.json", value)
    link = tmp_path / "config.json"
    link.symlink_to(real)
    assert login(guarded.host, "joe", "secret", access=Access(auth_file=link)) == str(link)
    assert link.is_symlink()
    assert json.loads(real.read_text()) == {
        "auths": {guarded.host: {"auth": AUTH}, "other": {"auth": AUTH}},
        "psFormat": "x",
    }
    assert logout(guarded.host, access=Access(auth_file=link)) == [str(link)]
    assert json.loads(real.read_text())["auths"] == {"other": {"auth": AUTH}}


def test_a_login_uses_the_configured_helper(guarded: Server, helper: Callable[..., Path], tmp_path: Path) -> None:
    asked = helper(f'[ $1 = store ] && echo "$server" > {tmp_path}/kept; [ $1 = get ] && cat {tmp_path}/kept; exit 0')
    configured(Path(os.environ["HOME"]) / ".docker/config.json", {"credsStore": "test"})
    assert login(guarded.host, "joe", "secret") == "docker-credential-test"
    assert json.loads((tmp_path / "kept").read_text()) == {
        "ServerURL": guarded.host,
        "Username": "joe",
        "Secret": "secret",
    }
    push_image(DISK, f"{guarded.host}/team/other:v1")
    assert logout(guarded.host) == ["docker-credential-test"]
    assert asked.read_text().splitlines()[-1] == f"erase {guarded.host}"


# Whatever a stranger writes


@given(st.text(st.sampled_from('ab=",;\\ \tBearer\r\n'), max_size=200))
def test_any_field_is_challenges(field: str) -> None:
    for parameters in read_challenges([field]).values():
        assert all(isinstance(value, str) for value in parameters.values())


@given(st.binary(max_size=100) | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps))
def test_any_bytes_are_a_configuration_or_a_typed_error(data: bytes | str) -> None:
    raw = data if isinstance(data, bytes) else data.encode()
    for shaped in (raw, b'{"auths": {"h.example": %b}}' % raw, b'{"credHelpers": %b}' % raw):
        with contextlib.suppress(CredentialError):
            found = ConfigFile.parse(shaped, "x")
            for key in ranked(found.auths, config_names(RegistryReference("h.example", "a/b"))):
                credential_of(found.auths[key], "x")
