"""Arguments and files of another kind than is wanted: found at once, named, and never waited for past the deadline."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from cloudboot_oci_stream import Access, Policy, fetch_image, login, push_image
from cloudboot_oci_stream.commands import main
from cloudboot_oci_stream.errors import (
    CredentialError,
    DescriptorError,
    InvalidReferenceError,
    NoRoomError,
    OciError,
    PolicyError,
    TransferTimeoutError,
)
from cloudboot_oci_stream.spec.descriptor import check_time
from cloudboot_oci_stream.testing import FaultyRegistry

DISK = bytes(range(256)) * 40


@pytest.mark.parametrize("name", ["auth_file", "ca_file", "client_certificate", "client_key"])
def test_a_pipe_that_nothing_comes_out_of(registry: FaultyRegistry, tmp_path: Path, name: str) -> None:
    """Whatever is read from it: the deadline is the limit, and the error says that it passed."""
    registry.users = {"joe": "s3cret"}
    os.mkfifo(tmp_path / "pipe")
    held = os.open(tmp_path / "pipe", os.O_RDWR)  # somebody has it open, and writes nothing
    given = {name: tmp_path / "pipe"} | ({"client_certificate": "/dev/null"} if name == "client_key" else {})
    with pytest.raises(TransferTimeoutError, match=r"not finished within 0\.3 s"):
        fetch_image(f"{registry.host}/team/disk:v1", access=Access(**given), deadline=0.3)  # type: ignore[arg-type]  # wrong
    os.close(held)


def test_a_docker_config_that_is_no_folder(
    registry: FaultyRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.users = {"joe": "s3cret"}
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config.json"))
    with pytest.raises(CredentialError, match="DOCKER_CONFIG does not name a folder"):
        fetch_image(f"{registry.host}/team/disk:v1")


@pytest.mark.parametrize("password", ["pässword".encode("latin-1"), "pä§s☃".encode(), b"a:b:c"])
def test_passwords_of_any_bytes(registry: FaultyRegistry, tmp_path: Path, password: bytes) -> None:
    """What a file has as base64 goes to the registry as the same bytes."""
    auth = base64.b64encode(b"joe:" + password).decode()
    registry.users = {}
    path = tmp_path / "auth.json"
    path.write_text(json.dumps({"auths": {registry.host: {"auth": auth}}}))
    with pytest.raises(OciError):
        registry.is_user = lambda encoded: False  # type: ignore[method-assign]  # for this test
        fetch_image(f"{registry.host}/team/disk:v1", access=Access(auth_file=path))
    assert [seen.authorization for seen in registry.seen] == [None, f"Basic {auth}"]


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("https://host.example/v2/", "write host.example"),
        ("host.example/team", "write host.example"),
        ("https://joe:s3cret@host.example", "--username"),
        ("joe:s3cret@host.example", "--username"),
    ],
)
def test_hosts_to_log_in_to(host: str, words: str) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        login(host, "joe", "s3cret")
    assert words in (caught.value.hint or "")
    assert "s3cret" not in str(caught.value)


def test_a_user_name_with_a_colon() -> None:
    with pytest.raises(CredentialError, match="no colon"):
        login("host.example", "joe:s", "s3cret")


def test_a_policy_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    for data, words in ((b"hello", "not TOML"), (b"version = 2", "version"), (b"#" * (1 << 19), "too large")):
        path.write_bytes(data)
        with pytest.raises(PolicyError, match=words) as caught:
            Policy.load(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["2026-01-31T12:00:00Z", "2026-01-31t12:00:00.25z", "2026-01-31T12:00:00+05:30"])
def test_times(text: str) -> None:
    assert check_time(text) == text


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-02-30T12:00:00Z", "2026-01-31", "2026-01-31T12:00:00", "1767225600"]
)
def test_times_that_are_none(tmp_path: Path, text: str) -> None:
    with pytest.raises(DescriptorError, match="RFC 3339"):
        push_image(DISK, f"oci:{tmp_path / 'images'}:v1", created=text)
    assert not (tmp_path / "images").exists()


@pytest.mark.parametrize("size", [1 << 62, (1 << 63) - 1])
def test_an_image_of_more_bytes_than_any_machine_has(registry: FaultyRegistry, size: int) -> None:
    push_image(DISK, f"{registry.host}/team/disk:v1")
    media_type, data = registry.manifests["team/disk", "v1"]
    registry.add_manifest("team/disk", "v1", media_type, data.replace(b'"size":10240', f'"size":{size}'.encode()))
    for most in (None, size):
        with pytest.raises(NoRoomError) as caught:
            fetch_image(f"{registry.host}/team/disk:v1", max_size=most)
        assert caught.value.exit_code == 4
    assert not registry.requests("GET", "/blobs/")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["push", "DISK", "oci:FOLDER:v2", "--created", "yesterday"], 2, "RFC 3339"),
        (["push", "DISK", "oci:FOLDER:v2", "--annotation", "a=b", "--annotation", "a=c"], 2, "given twice"),
        (["pull", "oci:FOLDER:v1", "--platform", "linux"], 2, "not a platform"),
        (["pull", "oci:FOLDER:v1", "-o", "-"], 2, "not written to stdout"),
        (["login", "https://host.example"], 2, "no user name"),
        (["inspect", "joe:s3cret@host.example/a"], 2, "no user name or password"),
    ],
)
def test_arguments(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str) -> None:
    (tmp_path / "disk.img").write_bytes(DISK)
    folder = tmp_path / "images"
    push_image(DISK, f"oci:{folder}:v1")
    line = [word.replace("DISK", str(tmp_path / "disk.img")).replace("FOLDER", str(folder)) for word in words]
    assert main(line) == code
    told = capsys.readouterr()
    assert said in told.err
    assert "s3cret" not in told.err + told.out


def test_a_copy_says_what_it_left(registry: FaultyRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A referrer that the registry lists and does not give is a notice, and in the JSON; the copy is made."""
    image = push_image(DISK, f"{registry.host}/team/disk:v1")
    subject = {"mediaType": image.media_type, "digest": image.digest, "size": image.size}
    config = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": registry.add_blob(b"{}"), "size": 2}
    about = {"schemaVersion": 2, "mediaType": image.media_type, "config": config, "layers": [], "subject": subject}
    digest = registry.add_manifest("team/disk", "sbom", image.media_type, json.dumps(about).encode())
    registry.faults.referrers = "list"
    registry.faults.manifest_answers = {digest: 403}
    source, target = f"{registry.host}/team/disk:v1", f"oci:{tmp_path / 'images'}:v1"
    assert main(["copy", source, target, "--referrers", "--json"]) == 0
    told = capsys.readouterr()
    assert [entry["digest"] for entry in json.loads(told.out)["left"]] == [digest]
    assert f"cloudboot-oci-stream: warning: left behind: {digest}: as ordered" in told.err
    registry.faults.manifest_answers = {}
    assert main(["copy", source, target, "--referrers"]) == 0
    told = capsys.readouterr()
    assert told.out.endswith("10244 there already, 1 referrer\n")
    assert "left behind" not in told.err


def test_a_missing_helper_is_said_once(
    registry: FaultyRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.users = {"joe": "s3cret"}
    (tmp_path / "config.json").write_text(json.dumps({"auths": {registry.host: {}}, "credsStore": "none-such"}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert main(["inspect", f"{registry.host}/team/disk:v1", "--json"]) == 7
    told = capsys.readouterr()
    notice = "cloudboot-oci-stream: notice: the credential helper docker-credential-none-such is not installed"
    assert told.err.splitlines().count(notice) == 1
    assert json.loads(told.out)["error"] == "UnauthorizedError"
