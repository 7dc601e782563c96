"""Logging in: what other clients' logins leave is used, what ours leaves is found by them."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudboot_base.testing import judge
from cloudboot_oci_stream import Access, login, push_image
from cloudboot_oci_stream.testing import FaultyRegistry, Server, docker_registry

DISK = bytes(range(256)) * 64


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    judge("docker-registry", "docker-registry")
    judge("htpasswd", "apache2-utils")
    with docker_registry(users={"joe": "secret"}) as running:
        yield running


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DOCKER_CONFIG", "DOCKER_AUTH_CONFIG", "REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    (home / "run").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    # Where skopeo's login puts its file, which is in /run without this.
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / "run"))
    (tmp_path / "disk.img").write_bytes(DISK)
    return home


def ran(*words: str | Path, stdin: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(list(map(str, words)), input=stdin, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def cloudboot(*words: str | Path, stdin: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
    return ran(sys.executable, "-m", "cloudboot_probes", *words, stdin=stdin, code=code)


def test_others_use_what_our_login_keeps(guarded: Server, home: Path, tmp_path: Path) -> None:
    host, image = guarded.host, f"{guarded.host}/team/ours:v1"
    refused = cloudboot("login", host, "--username", "joe", "--password-stdin", stdin="wrong\n", code=7)
    assert "unauthorized" in refused.stderr.lower() or "authentication required" in refused.stderr
    assert not list(home.rglob("*.json"))
    done = cloudboot("login", host, "--username", "joe", "--password-stdin", "--json", stdin="secret\n")
    assert json.loads(done.stdout)["kept_in"] == str(home / ".docker/config.json")
    cloudboot("push", tmp_path / "disk.img", image)
    raw = ran(judge("skopeo", "skopeo"), "inspect", "--raw", "--tls-verify=false", f"docker://{image}").stdout
    assert json.loads(raw) == json.loads(ran(judge("oras", "oras"), "manifest", "fetch", "--plain-http", image).stdout)
    # Their own commands for it take the entry for one of theirs.
    assert ran(judge("skopeo", "skopeo"), "login", "--get-login", host).stdout == "joe\n"
    ran(judge("oras", "oras"), "logout", host)
    assert f"log in with 'cloudboot login {host}'" in cloudboot("inspect", image, code=7).stderr


@pytest.mark.parametrize("client", ["oras", "skopeo"])
def test_ours_uses_and_forgets_what_other_logins_keep(guarded: Server, client: str, tmp_path: Path) -> None:
    host, image = guarded.host, f"{guarded.host}/team/{client}:v1"
    plain = "--plain-http" if client == "oras" else "--tls-verify=false"
    ran(judge(client, client), "login", plain, "--username", "joe", "--password-stdin", host, stdin="secret")
    cloudboot("push", tmp_path / "disk.img", image)
    cloudboot("pull", image, "-o", tmp_path / "back.img")
    assert (tmp_path / "back.img").read_bytes() == DISK
    cloudboot("logout", host)
    asks = {
        "oras": ["manifest", "fetch", plain, image],
        "skopeo": ["inspect", "--raw", plain, f"docker://{image}"],
    }
    refused = ran(judge(client, client), *asks[client], code=1)
    assert "credential not found" in refused.stderr or "unauthorized" in refused.stderr
    assert "nothing is kept" in cloudboot("logout", host, code=7).stderr


def test_the_password_is_asked_for_on_a_terminal_and_not_shown(guarded: Server, home: Path) -> None:
    for answers, code in (([b"joe\n", b"secret\n"], 0), ([b"\x04"], 2), ([b"joe\n", b"\x04"], 2)):
        child, terminal = pty.fork()
        if child == 0:
            os.execv(sys.executable, [sys.executable, "-m", "cloudboot_probes", "login", guarded.host])
        shown = b""
        for question, answer in zip((b"user name: ", b"password: "), answers, strict=False):
            while question not in shown:
                shown += os.read(terminal, 4096)
            os.write(terminal, answer)
        while True:
            try:
                shown += os.read(terminal, 4096)
            except OSError:  # EIO: the command has ended
                break
        os.close(terminal)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code, shown
        assert b"secret" not in shown
        assert b"Traceback" not in shown
        assert (b"logged in" in shown) is (code == 0)
    assert (home / ".docker/config.json").exists()


def test_wrong_uses_of_login_say_what_is_missing() -> None:
    assert "--username" in cloudboot("login", "localhost:1", "--username", "joe", code=2).stderr
    assert (
        "host"
        in cloudboot("login", "localhost:1/team", "--username", "joe", "--password-stdin", stdin="x", code=2).stderr
    )


# The options that every command has which talks to a registry

COMMANDS = {
    "login": "login HOST --username joe --password-stdin",
    "push": "push disk.img HOST/team/disk:v2",
    "pull": "pull HOST/team/disk:v1 -o back.img",
    "copy": "copy HOST/team/disk:v1 oci:store:v1",
    "inspect": "inspect HOST/team/disk:v1",
    "verify": "verify HOST/team/disk:v1 --key key.pub",
    "sign": "sign HOST/team/disk:v1 --key key.pem",
    "image inspect": "image inspect HOST/team/disk:v1",
    "image boot-entries": "image boot-entries HOST/team/disk:v1 --variables vars.json",
    "probe": "probe demo HOST/team/disk:v1",
}


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyRegistry]:
    """A registry whose token service is on another port, and the files that the commands name."""
    monkeypatch.chdir(tmp_path)
    openssl = judge("openssl", "openssl")
    ran(openssl, "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", "key.pem")
    ran(openssl, "ec", "-in", "key.pem", "-pubout", "-out", "key.pub")
    Path("vars.json").write_text('{"version": 2, "variables": []}')
    with FaultyRegistry(users={"joe": "secret"}, tokens=True) as registry:
        access = Access(username="joe", password="secret")
        push_image(DISK, f"{registry.host}/team/disk:v1", access=access)
        login(registry.host, "joe", "secret")
        registry.faults.challenge = f'Bearer realm="http://{registry.storage_host}/token",service="x"'
        registry.seen.clear()
        yield registry


def words_of(command: str, registry: FaultyRegistry) -> list[str]:
    return COMMANDS[command].replace("HOST", registry.host).split()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_token_service_elsewhere_gets_the_password_only_where_it_is_named(
    command: str, elsewhere: FaultyRegistry
) -> None:
    words = words_of(command, elsewhere)
    refused = cloudboot(*words, stdin="secret\n", code=1 if command == "probe" else 7)
    assert f"--token-host {elsewhere.storage_host}" in refused.stdout + refused.stderr
    assert not elsewhere.requests("GET", "/token")
    subprocess.run(
        [sys.executable, "-m", "cloudboot_probes", *words, "--token-host", elsewhere.storage_host],
        input=b"secret\n", capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    asked = elsewhere.requests("GET", "/token")
    assert {(seen.storage, (seen.authorization or "")[:5]) for seen in asked} == {(True, "Basic")}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_registry_that_takes_too_long_is_given_up(command: str, elsewhere: FaultyRegistry) -> None:
    elsewhere.faults.delay = 2.0
    option = "--fetch-timeout" if command == "probe" else "--timeout"
    done = cloudboot(
        *words_of(command, elsewhere), option, "0.3", stdin="secret\n", code=1 if command == "probe" else 11
    )
    assert "not finished within 0.3 s" in done.stdout + done.stderr


def test_retries_and_stall_are_the_given_ones(tmp_path: Path, elsewhere: FaultyRegistry) -> None:
    elsewhere.faults.challenge = None
    words = words_of("pull", elsewhere)
    elsewhere.faults.cuts = [1000]
    assert "127.0.0.1" in cloudboot(*words, "--retries", "0", code=3).stderr
    elsewhere.faults.cuts = [1000]
    cloudboot(*words, "--retries", "1")
    assert (tmp_path / "back.img").read_bytes() == DISK
    elsewhere.faults.stalls = [1000]
    # The default of 30 s would not end within the time that this test gives the command.
    stalled = subprocess.run(
        [sys.executable, "-m", "cloudboot_probes", *words, "--force", "--retries", "0", "--stall", "0.25"],
        capture_output=True, text=True, check=False, timeout=25,
    )  # fmt: skip
    assert (stalled.returncode, "no byte moved in time" in stalled.stderr) == (11, True)
