from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from cloudboot_oci_stream.commands import main
from cloudboot_oci_stream.testing import FaultyRegistry
from cloudboot_oci_stream.testing.sigstore import LocalSigstore, new_key, private_pem
from cloudboot_oci_stream.testing.sigstore_services import sigstore_services


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with an image, two key pairs and a policy for one of them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "disk.img").write_bytes(b"\x55\xaa" * 300)
    for name in ("ours", "other"):
        key = new_key()
        (tmp_path / f"{name}.pem").write_bytes(private_pem(key))
        public = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        (tmp_path / f"{name}.pub").write_bytes(key.public_key().public_bytes(*public))
    sealing = serialization.BestAvailableEncryption(b"secret")
    sealed = new_key().private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealing)
    (tmp_path / "sealed.pem").write_bytes(sealed)
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "policy.toml").write_text(
        'version = 1\ndefault = "refuse"\n[[rule]]\nimages = ["**", "oci:images"]\nkeys = ["ours.pub"]\n'
    )
    return tmp_path


@pytest.mark.parametrize("where", ["folder", "registry"])
def test_sign_and_verify(
    folder: Path, registry: FaultyRegistry, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    reference = "oci:images:v1" if where == "folder" else f"{registry.host}/disk:v1"
    pull = ["pull", reference, "-o", "copy.img", "--force", "--policy", "policy.toml"]
    assert main(["push", "disk.img", reference]) == 0
    digest = capsys.readouterr().out.strip()
    assert main(["verify", reference, "--policy", "policy.toml"]) == 13
    assert "no signature of the image was found" in capsys.readouterr().err
    assert main(pull) == 13
    assert main(["sign", reference, "--key", "other.pem", "--json"]) == 0
    capsys.readouterr()
    assert main(["verify", reference, "--policy", "policy.toml", "--json"]) == 13
    captured = capsys.readouterr()
    (refusal,) = json.loads(captured.out)["refusals"]
    assert refusal["error"] == "WrongSignerError"
    assert "cloudboot-oci-stream: refused: " in captured.err
    assert main(pull) == 13
    assert not (folder / "copy.img").exists()
    assert main(["sign", reference, "--key", "ours.pem", "--format", "both"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    for rule in (["--policy", "policy.toml"], ["--key", "ours.pub"], ["--key", "none.pub", "--key", "other.pub"][2:]):
        assert main(["verify", reference, *rule]) == 0
        assert digest in capsys.readouterr().out
    assert main(pull) == 0
    assert (folder / "copy.img").read_bytes() == (folder / "disk.img").read_bytes()
    capsys.readouterr()
    assert main([*pull, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["verification"]["rule"] == "rule 1"
    assert facts["verification"]["signatures"][0]["signer"].startswith("sha256:")


def test_push_signed(folder: Path, registry: FaultyRegistry, capsys: pytest.CaptureFixture[str]) -> None:
    reference = f"{registry.host}/disk:v1"
    assert main(["push", "disk.img", reference, "--sign", "ours.pem", "--format", "cosign"]) == 0
    assert main(["verify", reference, "--key", "ours.pub"]) == 0
    assert f"{registry.host}/disk:v1@sha256:" in capsys.readouterr().out
    sealed = ["--sign", "sealed.pem"]
    assert main(["push", "disk.img", reference, *sealed]) == 2
    said = capsys.readouterr().err
    assert "needs its password" in said
    assert "--key-password-file" in said
    assert main(["push", "disk.img", reference, *sealed, "--key-password-file", "password"]) == 0


@pytest.mark.parametrize(
    "name",
    ["awskms:///alias/x", "gcpkms://projects/p", "azurekms://v/k", "hashivault://k", "k8s://ns/s", "pkcs11:token=t",
     "env://KEY", "https://example.org/cosign.pub"],
)  # fmt: skip
def test_keys_that_are_not_in_files_are_named(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """What cosign takes besides files (its documentation: "Key Management", "Signing with ...")."""
    (folder / "kms.toml").write_text(f'version = 1\ndefault = "refuse"\n[[rule]]\nimages = ["**"]\nkeys = ["{name}"]\n')
    assert main(["push", "disk.img", "oci:images:v1"]) == 0
    for words in (["verify", "--key", name], ["sign", "--key", name], ["verify", "--policy", "kms.toml"]):
        assert main([words[0], "oci:images:v1", *words[1:]]) == 2
        said = capsys.readouterr().err
        assert f"keys are read from files only (found {name})" in said
        assert "hint: put the key into a PEM file" in said
    Path(folder, name).parent.mkdir(parents=True, exist_ok=True)
    Path(folder, name).write_bytes((folder / "ours.pub").read_bytes())
    assert main(["verify", "oci:images:v1", "--key", name]) == 13, "a file of that name is a file"


def test_a_policy_of_another_program_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "policy.json").write_text('{"default": [{"type": "reject"}]}')
    assert main(["verify", "oci:images:v1", "--policy", "policy.json"]) == 2
    assert "hint: it is JSON, perhaps a policy.json" in capsys.readouterr().err


def test_a_copy_from_another_repository(
    folder: Path, registry: FaultyRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", "disk.img", f"{registry.host}/a:v1", "--sign", "ours.pem"]) == 0
    assert main(["copy", f"{registry.host}/a:v1", f"{registry.host}/b:v1", "--referrers"]) == 0
    assert main(["verify", f"{registry.host}/b:v1", "--key", "ours.pub"]) == 13
    assert "name that repository in signed_as" in capsys.readouterr().err
    (folder / "copies.toml").write_text(
        f'version = 1\ndefault = "refuse"\n[[rule]]\nimages = ["{registry.host}/b"]\nkeys = ["ours.pub"]\n'
        f'signed_as = ["{registry.host}/a"]\n'
    )
    assert main(["verify", f"{registry.host}/b:v1", "--policy", "copies.toml"]) == 0


def test_identities(folder: Path, registry: FaultyRegistry, capsys: pytest.CaptureFixture[str]) -> None:
    reference = f"{registry.host}/disk:v1"
    local = LocalSigstore()
    (folder / "root.json").write_text(json.dumps(local.trusted_root()))
    (folder / "token").write_text(local.identity_token("joe@example.org") + "\n")
    who = ["--identity", "joe@example.org", "--issuer", "https://issuer.invalid", "--trust-root", "root.json"]
    with sigstore_services(local) as url:
        (folder / "config.json").write_text(json.dumps(local.trust_config(url, rekor=1)))
        services = ["--trust-config", "config.json"]
        assert main(["push", "disk.img", reference, "--sign-identity-token", "token", *services]) == 0
        (folder / "token").write_bytes(b"\xff")
        assert main(["sign", reference, "--identity-token", "token", *services]) == 2
    assert main(["verify", reference, *who]) == 0
    assert "joe@example.org by https://issuer.invalid" in capsys.readouterr().out
    (folder / "token").write_text(local.identity_token("joe@example.org"))
    assert main(["sign", reference, "--identity-token", "token", *services]) == 14
    assert main(["verify", reference, *who[:3], "https://other.invalid", *who[4:]]) == 13
    assert main(["verify", reference, *who[:2], *who[4:]]) == 2
    assert main(["verify", reference, *who[:4], "--trust-root", "disk.img"]) == 14


def test_nobody_has_to_sign(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["push", "disk.img", "oci:images:v1"]) == 0
    (folder / "open.toml").write_text('version = 1\ndefault = "accept"\n')
    capsys.readouterr()
    assert main(["verify", "oci:images:v1", "--policy", "open.toml"]) == 0
    assert "no signature is needed" in capsys.readouterr().out
    (folder / "open.toml").write_text('version = 1\ndefault = "refuse"\n')
    assert main(["verify", "oci:images:v1", "--policy", "open.toml"]) == 13
    assert main(["verify", "oci:images:v1"]) == 2
    assert main(["verify", "oci:images:v1", "--policy", "open.toml", "--key", "ours.pub"]) == 2
    assert main(["verify", "oci:images:v1", "--policy", "none.toml"]) == 5
    assert main(["verify", "oci:images:v1", "--policy", "disk.img"]) == 2
    assert main(["verify", "oci:images:v2", "--key", "ours.pub"]) == 6
    for usage in (["sign", "oci:images:v1"], ["sign", "oci:images:v1", "--key", "a", "--ambient-identity"]):
        assert main(usage) == 2
