from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_oci_stream import (
    Identity,
    KeySigner,
    Policy,
    PublicKey,
    Rule,
    Trust,
    parse_reference,
    push_image,
    verify_signature,
)
from cloudboot_oci_stream.errors import KeyFileError, PolicyError, RefusedByPolicyError, UnsignedError
from cloudboot_oci_stream.signatures.patterns import image_name, matches
from cloudboot_oci_stream.signatures.policy import LARGEST_POLICY
from cloudboot_oci_stream.testing.sigstore import new_key, private_pem

OURS = KeySigner.from_pem(private_pem(new_key()))
KEY = OURS.public
OTHER = KeySigner.from_pem(private_pem(new_key())).public
HEAD = 'version = 1\ndefault = "refuse"\n'


def key_file(folder: Path, key: PublicKey = KEY, name: str = "release.pub") -> str:
    from cryptography.hazmat.primitives import serialization

    loaded = serialization.load_der_public_key(key.spki)
    data = loaded.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / name).write_bytes(data)
    return data.decode()


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("registry.example/os", "registry.example/os", True),
        ("registry.example/os", "registry.example/os2", False),
        ("registry.example/*", "registry.example/os", True),
        ("registry.example/*", "registry.example/team/os", False),
        ("registry.example/**", "registry.example/team/os", True),
        ("registry.example/**", "registry.example", False),
        ("registry.example/team/*/disk", "registry.example/team/a/disk", True),
        ("registry.example/team/*/disk", "registry.example/team/a/b/disk", False),
        ("*.example/os", "registry.example/os", True),
        ("*.example/os", "evil.net/x.example/os", False),
        ("registry.example", "registry-example", False),
        ("**@refs/tags/v*", "https://host/a/b.yml@refs/tags/v1.2", True),
        ("**@refs/tags/v*", "https://host/a/b.yml@refs/tags/v1/x", False),
        ("*", "", True),
        ("", "", True),
        ("", "x", False),
        ("a**b", "ab", True),
        ("***", "a/b", True),
        ("[ab]", "a", False),
    ],
)
def test_patterns(pattern: str, text: str, fits: bool) -> None:
    assert matches(pattern, text) is fits


def test_patterns_take_no_time() -> None:
    assert not matches("a*" * 40 + "b", "a" * 2000)
    assert not matches("**a" * 40 + "b", "a" * 2000)


@given(st.text(alphabet="a/*", max_size=6), st.text(alphabet="a/", max_size=8))
def test_patterns_mean_what_a_plain_recursion_says(pattern: str, text: str) -> None:
    def plain(pattern: str, text: str) -> bool:
        if not pattern:
            return not text
        if pattern[0] != "*":
            return text[:1] == pattern[0] and plain(pattern[1:], text[1:])
        rest = pattern.lstrip("*")
        deep = len(pattern) - len(rest) > 1
        return any(plain(rest, text[end:]) for end in range(len(text) + 1) if deep or "/" not in text[:end])

    assert matches(pattern, text) == plain(pattern, text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Registry.EXAMPLE/os:v1", "registry.example/os"),
        ("registry.example:443/os", "registry.example/os"),
        ("registry.example:5000/os@sha256:" + "0" * 64, "registry.example:5000/os"),
        ("[::1]:5000/os", "localhost:5000/os"),
        ("index.docker.io/library/os", "docker.io/library/os"),
        ("registry-1.docker.io/library/os:v1", "docker.io/library/os"),
        ("oci:/nowhere/images:v1", "oci:/nowhere/images"),
    ],
)
def test_one_name_for_one_place(text: str, name: str) -> None:
    assert image_name(parse_reference(text)) == name


def test_the_first_rule_that_fits_decides(tmp_path: Path) -> None:
    key_file(tmp_path)
    other = key_file(tmp_path, OTHER, "other.pub")
    policy = Policy.parse(
        f'''
        version = 1
        default = "refuse"

        [trust.public]
        tuf = "production"

        [trust.lab]
        file = "root.json"

        [[rule]]
        name = "scratch"
        images = ["registry.example/scratch/**"]
        action = "accept"

        [[rule]]
        images = ["registry.example/**", "oci:store/*"]
        keys = ["release.pub", """{other}"""]
        threshold = 2
        signed_as = ["build.example/**"]
        predicates = ["https://slsa.dev/provenance/v1"]

        [[rule]]
        images = ["**"]
        action = "refuse"

        [[rule]]
        images = ["registry.example/os"]
        identities = [{{ issuer = "https://issuer.invalid", subject = "*@example.org", trust = "lab" }}]
        '''.encode(),
        tmp_path,
    )
    scratch, release, nothing, never = policy.rules
    assert policy.rule_for(parse_reference("registry.example/scratch/x")) is scratch
    assert policy.rule_for(parse_reference("registry.example/os")) is release
    assert policy.rule_for(parse_reference(f"oci:{tmp_path}/store/a:v1")) is release
    assert (scratch.name, release.name, nothing.action) == ("scratch", "rule 2", "refuse")
    assert [key.spki for key in release.keys] == [KEY.spki, OTHER.spki]
    assert (release.threshold, release.signed_as) == (2, ["build.example/**"])
    assert never.identities[0].trust == Trust(file=str(tmp_path / "root.json"))
    assert never.identities[0].matches("https://issuer.invalid", "joe@example.org")
    assert not never.identities[0].matches("https://issuer.invalid/", "joe@example.org")
    for reference in ("other.example/os", f"oci:{tmp_path}/store/a/b:v1"):
        with pytest.raises(RefusedByPolicyError) as caught:
            policy.rule_for(parse_reference(reference))
        assert caught.value.exit_code == 13


def test_folders_are_followed_to_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "alias").symlink_to("real")
    key_file(tmp_path)
    policies = [
        Policy.parse(f'{HEAD}[[rule]]\nimages = ["oci:{images}"]\nkeys = ["release.pub"]'.encode(), tmp_path)
        for images in ("alias/x", "real/x", "alias/*", "real/**", f"{tmp_path}/real/*", "alias/x*")
    ]
    monkeypatch.chdir(tmp_path / "real")
    for reference in ("oci:x:v1", "oci:../alias/x", f"oci:{tmp_path}/alias/x:v1", "oci:../alias/../real/x"):
        for policy in policies:
            assert policy.rule_for(parse_reference(reference)).keys, (reference, policy)
    with pytest.raises(RefusedByPolicyError):
        policies[2].rule_for(parse_reference("oci:../x"))


def test_images_without_a_rule(tmp_path: Path) -> None:
    reference = f"oci:{tmp_path}/images:v1"
    pushed = push_image(b"x" * 512, reference)
    assert verify_signature(reference, Policy([], "accept")).signatures == ()
    with pytest.raises(RefusedByPolicyError, match="no rule"):
        verify_signature(reference, Policy([]))
    found = verify_signature(reference, Policy([Rule(action="accept", name="all")]))
    assert (found.rule, found.digest, found.signatures) == ("all", pushed.digest, ())
    with pytest.raises(UnsignedError, match="no signature"):
        verify_signature(reference, Policy([Rule(keys=[KEY])], "accept"))
    key_file(tmp_path)
    (tmp_path / "policy.toml").write_text(f'{HEAD}[[rule]]\nimages = ["oci:**"]\nkeys = ["release.pub"]\n')
    with pytest.raises(UnsignedError):
        verify_signature(reference, Policy.load(tmp_path / "policy.toml"))


RULE = HEAD + '[[rule]]\nimages = ["**"]\n'
LAB = HEAD + "[trust.a]\nfile = 'a'\n"
NAMED = "[[rule]]\nimages = ['**']\nidentities = [{ issuer = 'x', subject = 'y' }]"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "version"),
        ("version = 2", "version"),
        ("version = true", "version"),
        ("version = 1", "without a rule"),
        ('version = 1\ndefault = "maybe"', "no such default"),
        ("version = 1\ndefault = ['accept']", "not a text"),
        (HEAD + "x = 1", "unknown names"),
        (HEAD + "rule = 1", "array of tables"),
        (HEAD + "rule = [1]", "no table"),
        (HEAD + "trust = 1", "no table"),
        (HEAD + "[[rule]]\naction = 'accept'", "no images"),
        (RULE, "neither keys nor identities"),
        (RULE + "action = 'allow'", "no such action"),
        (RULE + "action = 'accept'\nmore = 1", "unknown names"),
        (RULE + "action = 'accept'\nthreshold = '1'", "no number"),
        (RULE + "action = 'accept'\nthreshold = true", "no number"),
        (RULE + "action = 'accept'\nkeys = ['release.pub']", "looks at none"),
        (RULE + "keys = ['release.pub']\nthreshold = 2", "cannot be met"),
        (RULE + "keys = ['release.pub']\nthreshold = 0", "cannot be met"),
        (RULE + "keys = ['release.pub', 'release.pub']", "same key twice"),
        (RULE + "keys = 'release.pub'", "array of texts"),
        (RULE + "keys = [1]", "array of texts"),
        (RULE + "keys = ['policy.toml']", "no public key"),
        (RULE + "name = 5", "not a text"),
        (RULE + "identities = 5", "no array"),
        (RULE + "identities = [{ issuer = 'x', subject = 'y' }]", "which trust root"),
        (LAB + "[trust.b]\ntuf = 'staging'\n" + NAMED, "which trust root"),
        (RULE + "identities = [{ issuer = 'x', subject = 'y', trust = 'z' }]", "no such trust root"),
        (LAB + NAMED.replace(", subject = 'y'", ""), "both an issuer"),
        (LAB + NAMED.replace("'y'", "'y', z = 1"), "unknown names"),
        (HEAD + "[trust.a]", "either a file or"),
        (LAB + "tuf = 'staging'", "either a file or"),
        (HEAD + "[trust.a]\ntuf = 'sigstore'", "not a TUF repository"),
        (LAB + "root = 'b'", "of your own"),
        (LAB + "offline = 1", "neither true nor false"),
        (LAB + "more = 1", "unknown names"),
        (HEAD + "[[rule]]\nimages = ['https://x']\naction = 'accept'", "not a pattern"),
        (HEAD + "[[rule]]\nimages = ['/x']\naction = 'accept'", "not a pattern"),
        (HEAD + "[[rule]]\nimages = ['']\naction = 'accept'", "not a pattern"),
        ("version = ", "not TOML"),
        ("a = " + "[" * 5000, "too deeply|not TOML"),
        ("#" * (LARGEST_POLICY + 1), "too large"),
    ],
)  # fmt: skip
def test_policies_that_cannot_be_kept(tmp_path: Path, text: str, words: str) -> None:
    key_file(tmp_path)
    (tmp_path / "policy.toml").write_text(text)
    with pytest.raises(PolicyError, match=words) as caught:
        Policy.load(tmp_path / "policy.toml")
    assert caught.value.exit_code == 2
    assert isinstance(caught.value, ValueError)


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(PolicyError, match="not TOML"):
        Policy.parse(b"\xff")


def test_a_key_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Policy.parse((RULE + "keys = ['none.pub']").encode(), tmp_path)
    (tmp_path / "big.pub").write_bytes(b"x" * 70_000)
    with pytest.raises(KeyFileError, match="too large"):
        Policy.parse((RULE + "keys = ['big.pub']").encode(), tmp_path)


def test_identities_of_a_program() -> None:
    trust = Trust(tuf="https://tuf.example/", root=os.devnull)
    with pytest.raises(PolicyError):
        Identity(issuer="", subject="x", trust=trust)
    rule = Rule(identities=[Identity(issuer="i", subject="*", trust=trust)], threshold=3)
    assert rule.covers(parse_reference("oci:x:v1"))
    assert rule.covers(parse_reference("registry.example/x"))
    assert Rule(keys=[KEY, OTHER]).threshold == 1
