"""Without the extra ``sign`` nothing is passed over: a policy or a signature is then an error that names it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from cloudboot_oci_stream import KeySigner, Policy, Rule, fetch_image, push_image, sign_image, verify_signature
from cloudboot_oci_stream.errors import MissingExtraError
from cloudboot_oci_stream.testing.sigstore import new_key, private_pem

POLICY = b'version = 1\ndefault = "accept"\n'
WITHOUT = "import sys; sys.modules['sigstore'] = None; from cloudboot_oci_stream.commands import main; sys.exit(main())"


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    push_image(b"x" * 512, f"oci:{tmp_path}/images:v1")
    monkeypatch.setitem(sys.modules, "sigstore", None)
    return f"oci:{tmp_path}/images:v1"


def test_policies(image: str) -> None:
    with pytest.raises(MissingExtraError, match="'sign'"):
        Policy.parse(POLICY)
    policy = Policy([Rule(action="accept")])
    for ask in (fetch_image, verify_signature):
        with pytest.raises(MissingExtraError) as caught:
            ask(image, policy=policy)
        assert "cloudboot-oci-stream[sign]" in (caught.value.hint or "")
    fetch_image(image).close()


def test_signatures(image: str) -> None:
    signer = KeySigner.from_pem(private_pem(new_key()))
    with pytest.raises(MissingExtraError):
        sign_image(image, signer)
    with pytest.raises(MissingExtraError):
        push_image(b"y" * 512, image, sign=signer)


def test_the_command(image: str, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_bytes(POLICY)
    key = new_key().public_key()
    public = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    (tmp_path / "key.pub").write_bytes(key.public_bytes(*public))
    policy = ["--policy", f"{tmp_path}/policy.toml"]
    for words in (
        ["pull", image, *policy],
        ["verify", image, *policy],
        ["verify", image, "--key", f"{tmp_path}/key.pub"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT, *words, "--json"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 5, done.stderr
        assert json.loads(done.stdout)["error"] == "MissingExtraError"
        assert "cloudboot-oci-stream[sign]" in done.stderr
    plain = subprocess.run([sys.executable, "-c", WITHOUT, "pull", image], capture_output=True, check=False)
    assert plain.returncode == os.EX_OK
