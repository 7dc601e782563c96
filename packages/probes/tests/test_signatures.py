"""Signing, verifying, and probing what is signed: what the command prints, refuses, and exits with."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from cloudboot_oci_stream import Policy
from cloudboot_oci_stream.errors import BadSignatureError
from cloudboot_oci_stream.testing.sigstore import new_key, private_pem
from cloudboot_probes.cli import main


@dataclasses.dataclass
class Done:
    stdout: str
    stderr: str


def cloudboot(*arguments: str, code: int = 0, cwd: Path) -> Done:
    """Run the command in this process: it is its words and codes that are looked at here."""
    with (
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
        pytest.raises(SystemExit) as caught,
    ):
        main(arguments)
    assert caught.value.code == code, err.getvalue() + out.getvalue()
    assert "Traceback" not in err.getvalue()
    return Done(out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two key pairs, a policy for one of them, and an image that nobody signed, under three tags."""
    folder = tmp_path_factory.mktemp("signed")
    for name in ("ours", "other"):
        key = new_key()
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        (folder / f"{name}.pem").write_bytes(private_pem(key))
        (folder / f"{name}.pub").write_bytes(public)
    (folder / "policy.toml").write_text(
        'version = 1\ndefault = "refuse"\n[[rule]]\nname = "ours"\nimages = ["oci:store"]\nkeys = ["ours.pub"]\n'
    )
    (folder / "root" / "boot").mkdir(parents=True)
    (folder / "root" / "boot" / "kernel").write_bytes(b"kernel" * 1000)
    (folder / "loader.efi").write_bytes(b"MZ" + bytes(1000))
    cloudboot("image", "build", "custom", "-o", "disk.img", "--loader", "loader.efi", "--root", "root", cwd=folder)
    return folder


def gates(folder: Path, reference: str, *options: str) -> list[dict[str, Any]]:
    lines = cloudboot("probe", "linux", reference, "--json", *options, code=1, cwd=folder).stdout.splitlines()
    return [json.loads(line) for line in lines]


def test_sign_verify_pull_probe(folder: Path) -> None:
    pushed = json.loads(cloudboot("push", "disk.img", "oci:store:v1", "--json", cwd=folder).stdout)
    pull = ("pull", "oci:store:v1", "-o", "back.img", "--policy", "policy.toml")
    refused = cloudboot("verify", "oci:store:v1", "--policy", "policy.toml", code=13, cwd=folder)
    assert "no signature of the image was found" in refused.stderr
    cloudboot(*pull, code=13, cwd=folder)
    assert not (folder / "back.img").exists()
    first, *rest = gates(folder, "oci:store:v1", "--policy", "policy.toml")
    assert (first["gate"], first["verdict"], first["error"]["error"]) == ("resolve", "fail", "UnsignedError")
    assert {gate["verdict"] for gate in rest} == {"not-reached"}

    assert cloudboot("sign", "oci:store:v1", "--key", "other.pem", cwd=folder).stdout.strip().endswith(pushed["digest"])
    refused = cloudboot("verify", "oci:store:v1", "--policy", "policy.toml", "--json", code=13, cwd=folder)
    (refusal,) = json.loads(refused.stdout)["refusals"]
    assert refusal["error"] == "WrongSignerError"
    lines = [line for line in refused.stderr.splitlines() if line.startswith("cloudboot: refused: ")]
    assert len(lines) == 1
    assert refusal["message"] in lines[0]
    signed = cloudboot("sign", "oci:store:v1", "--key", "ours.pem", "--format", "cosign", "--json", cwd=folder)
    assert json.loads(signed.stdout)["digest"] == pushed["digest"]

    found = cloudboot("verify", "oci:store:v1", "--policy", "policy.toml", cwd=folder).stdout.splitlines()
    assert found[0] == f"oci:store:v1@{pushed['digest']}"
    assert found[1:] == ["rule    ours", found[2]]
    fingerprint = found[2].removeprefix("signed  ")
    cloudboot("verify", "oci:store:v1", "--key", "other.pub", cwd=folder)
    pulled = json.loads(cloudboot(*pull, "--json", cwd=folder).stdout)
    assert pulled["verification"]["signatures"][0]["signer"] == fingerprint
    assert (folder / "back.img").read_bytes() == (folder / "disk.img").read_bytes()
    resolve = gates(folder, "oci:store:v1", "--policy", "policy.toml", "--timeout", "1")[0]
    assert resolve["verdict"] == "pass"
    assert resolve["evidence"]["signed_by"] == [fingerprint]
    assert resolve["evidence"]["rule"] == "ours"
    assert "rule" not in gates(folder, "oci:store:v1", "--timeout", "1")[0]["evidence"]


def test_push_signed(folder: Path) -> None:
    cloudboot("push", "disk.img", "oci:other:v1", "--sign", "ours.pem", "--format", "bundle", cwd=folder)
    cloudboot("verify", "oci:other:v1", "--key", "ours.pub", cwd=folder)
    refused = cloudboot("verify", "oci:other:v1", "--policy", "policy.toml", code=13, cwd=folder)
    assert "no rule of the policy" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("verify", "oci:store:v1"), 2, "--policy"),
        (("verify", "oci:store:v1", "--policy", "policy.toml", "--key", "ours.pub"), 2, "--policy"),
        (("verify", "oci:store:v1", "--policy", "none.toml"), 5, "none.toml"),
        (("verify", "oci:store:v1", "--policy", "ours.pub"), 2, "not TOML"),
        (("verify", "oci:store:v1", "--key", "ours.pem"), 2, "private key"),
        (("verify", "oci:store:v1", "--identity", "joe@example.org"), 2, "issuer"),
        (("sign", "oci:store:v1"), 2, "--key"),
        (("sign", "oci:store:v1", "--key", "ours.pub"), 2, "no private key"),
        (("sign", "oci:store:v1", "--identity-token", "ours.pub", "--trust-config", "disk.img"), 14, "trust"),
        (("push", "disk.img", "oci:store:v2", "--sign", "none.pem"), 5, "none.pem"),
        (("pull", "oci:store:v1", "--policy", "none.toml", "-o", "x.img"), 5, "none.toml"),
        (("probe", "linux", "oci:store:v1", "--policy", "none.toml"), 5, "none.toml"),
    ],
)
def test_mistakes_give_one_line_and_their_code(folder: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    done = cloudboot(*arguments, code=code, cwd=folder)
    assert words in done.stderr
    assert done.stdout == ""
    assert not (folder / "x.img").exists()


def test_the_policy_of_the_documentation_is_one(folder: Path, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    assert request.config.inipath is not None
    page = (request.config.inipath.parent / "docs" / "signatures.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "policy.toml").write_text(block, encoding="utf-8")
    for name, key in (("alice", "ours"), ("bob", "other")):
        (tmp_path / f"{name}.pub").write_bytes((folder / f"{key}.pub").read_bytes())
    scratch, releases, third = Policy.load(tmp_path / "policy.toml").rules
    assert (scratch.action, releases.threshold, third.name) == ("accept", 2, "rule 3")
    reasons = set(re.findall(r"^\| `(\w+Error)` \|", page, re.MULTILINE))
    assert reasons == {kind.__name__ for kind in BadSignatureError.__subclasses__()}
