"""Patterns of policies: one form for every spelling, and no pattern that silently matches nothing."""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_oci_stream import Policy, Rule, fetch_image, parse_reference, push_image, verify_signature
from cloudboot_oci_stream.errors import (
    ImageLayoutError,
    NotAnImageError,
    OciError,
    PolicyError,
    RefusedByPolicyError,
    SizeMismatchError,
)
from cloudboot_oci_stream.signatures.patterns import ImagePattern, can_match
from cloudboot_oci_stream.spec.reference import RegistryReference, canonical_host
from cloudboot_oci_stream.testing import FaultyRegistry

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
LOCAL = ["localhost", "127.0.0.1", "127.1", "127.0.0.2", "2130706433", "0x7f000001", "0177.0.0.1", "[::1]", "0.0.0.0"]
LOCAL += ["[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "LocalHost", "a.localhost", "[::]"]


def refuses(pattern: str, reference: str) -> bool:
    policy = Policy([Rule(images=[pattern], action="refuse")], default="accept")
    try:
        policy.rule_for(parse_reference(reference))
    except RefusedByPolicyError:
        return True
    return False


@pytest.mark.parametrize(
    ("pattern", "reference"),
    [
        ("index.docker.io/me/**", "docker.io/me/x"),
        ("docker.io/me/**", "registry-1.docker.io/me/x"),
        ("registry-1.docker.io:443/**", "index.docker.io/me/x"),
        ("*.docker.io/me/*", "docker.io/me/x"),
        ("docker.io/alpine", "docker.io/library/alpine"),
        ("docker.io/library/alpine", "docker.io/alpine:3"),
        ("docker.io/*", "docker.io/alpine"),
        ("docker.io/al**", "docker.io/alpine"),
        ("docker.io/al**", "docker.io/alan/x"),
        ("GHCR.io/me/**", "ghcr.io/me/x"),
        ("ghcr.io/me/**", "GHCR.IO/me/x"),
        ("ghcr.io:443/me/**", "ghcr.io/me/x"),
        ("ghcr.io/me/**", "ghcr.io:443/me/x"),
        ("ghcr.io:*/me/x", "ghcr.io/me/x"),
        ("ghcr.io/me/", "ghcr.io/me/x/y"),
        ("ghcr.io/", "ghcr.io/x"),
        ("*.io/**", "ghcr.io/me/x"),
        ("**/x", "ghcr.io/me/x"),
        ("**", "ghcr.io/me/x"),
        ("[2001:DB8:0:0::1]:5000/**", "[2001:db8::1]:5000/a"),
        ("192.0.2.1:5000/**", "192.0.513:5000/a"),
        ("127.*:5000/**", "localhost:5000/a"),
        ("*:5000/a", "[::1]:5000/a"),
        *[(f"{one}:5000/**", f"{other}:5000/a") for one in LOCAL for other in (LOCAL[0], LOCAL[2], LOCAL[-1])],
        *[(f"{LOCAL[0]}:5000/**", f"{other}:5000/a") for other in LOCAL],
        ("localhost/a", "127.0.0.1:80/a"),
    ],
)
def test_spellings_of_one_name(pattern: str, reference: str) -> None:
    assert refuses(pattern, reference)


@pytest.mark.parametrize(
    ("pattern", "reference"),
    [
        ("ghcr.io/me", "ghcr.io/me/x"),
        ("ghcr.io:80/me/x", "ghcr.io/me/x"),
        ("ghcr.io/*", "ghcr.io/me/x"),
        ("docker.io/*/*", "ghcr.io/me/x"),
        ("127.0.0.1:5000/a", "127.0.0.1:5001/a"),
        ("*.io/x", "a.example/b.io/x"),
        ("oci:**", "ghcr.io/me/x"),
    ],
)
def test_other_names(pattern: str, reference: str) -> None:
    assert not refuses(pattern, reference)


@pytest.mark.parametrize(
    "pattern",
    [
        "ghcr.io/Me/**", "ghcr.io/me/x:v1", "ghcr.io/me/*:v*", "ghcr.io/me/x@sha256:*", "me/x", "alpine", "ghcr.io",
        "ghcr.io:443", "*", "ghcr.io//x", "ghcr.io/x//", "ghcr.io/-x", "ghcr.io/x-", "ghcr.io/a..b", "ghcr.io/a___b",
        "ghcr.io/a/.b", "ghcr.io/a b", "ghcr.io/**..", "https://ghcr.io/**", "ghcr.io:0/**", "ghcr.io:x/**", "[::1/**",
        "[x]:5000/**", "g_h.cr/x", "*_x.example/a", "", "/x", "oci:", "oci://ghcr.io/x", "ghcr.io/" + "a" * 256,
        "ghcr.io/é", "ghcr.io/?",
    ],
)  # fmt: skip
@pytest.mark.parametrize("default", ["accept", "refuse"])
def test_patterns_that_match_nothing(pattern: str, default: str) -> None:
    for action in ("refuse", "accept"):
        text = f'version = 1\ndefault = "{default}"\n[[rule]]\nimages = [{json.dumps(pattern)}]\naction = "{action}"\n'
        with pytest.raises(PolicyError):
            Policy.parse(text.encode())


@given(st.text("ab/._-*", max_size=12))
def test_whether_a_pattern_can_match(rest: str) -> None:
    """Against all names that there are up to a length, in an alphabet that has every kind of character."""
    pattern = f"h/{rest}"
    if can_match(pattern):
        return
    expression = re.escape(rest).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
    words = ["a", "b", "a.b", "a_b", "a__b", "a-b", "a---b", "ab", "a/b", "a/b/a", "b/a-b/a.b", "aa", "bb", "a-/b"]
    for word in words:
        if re.fullmatch(expression, word):
            with pytest.raises(OciError):
                RegistryReference("h.example", word)


@given(st.lists(st.sampled_from(["a", "b0", "a.b", "a_b", "a__b", "a--b"]), min_size=1, max_size=4))
def test_every_name_matches_itself(parts: list[str]) -> None:
    repository = "/".join(parts)
    RegistryReference("h.example", repository)
    assert can_match(f"h.example/{repository}")
    assert can_match(f"h.example/{repository[:-1]}*")


@given(st.text(max_size=40) | st.text("ab.:/*[]0x@-_A", max_size=20))
def test_any_text_is_a_pattern_or_a_typed_error(text: str) -> None:
    with contextlib.suppress(PolicyError):
        for form in ImagePattern.compile(text.replace("\0", "")).real:
            assert form.startswith("oci:") or can_match(form) or "**" in form


def test_hosts_have_one_form() -> None:
    assert {canonical_host(f"{name}:5000") for name in LOCAL} == {"localhost:5000"}
    assert canonical_host("INDEX.docker.io") == canonical_host("registry-1.docker.io:443") == "docker.io"
    assert canonical_host("192.0.513") == "192.0.2.1"


# Folders


def test_folders_are_found_by_any_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    for pattern in ("oci:real", "oci:./link", f"oci:{tmp_path}/real/", "oci:link/", f"oci:{tmp_path}/*", "oci:r*"):
        for folder in ("real", "link", "./real/../link/", str(tmp_path / "real")):
            assert refuses(pattern, f"oci:{folder}:v1"), (pattern, folder)
    assert refuses("oci:real/", "oci:real/below:v1")
    assert not refuses("oci:real", "oci:real/below:v1")
    with pytest.raises(PolicyError, match="tag"):
        Rule(images=["oci:real:v1"], action="refuse")


def test_a_link_that_moves_after_the_policy_was_read(tmp_path: Path) -> None:
    for name in ("good", "bad"):
        push_image(name.encode() * 512, f"oci:{tmp_path / name}:v1")
    link = tmp_path / "current"
    link.symlink_to("good")
    demanding = Policy([Rule(images=[f"oci:{link}"], action="refuse")], default="accept")
    accepting = Policy([Rule(images=[f"oci:{link}"], action="accept")])
    fetch_image(f"oci:{link}:v1", policy=accepting).close()
    link.unlink()
    link.symlink_to("bad")
    for policy in (demanding, accepting):
        with pytest.raises(RefusedByPolicyError):
            fetch_image(f"oci:{link}:v1", policy=policy)


def test_a_folder_is_the_same_from_the_verdict_to_the_last_byte(tmp_path: Path) -> None:
    """A link that changes all the time between an accepted folder and another one never brings the other's image."""
    for name in ("good", "bad"):
        push_image(name.encode() * 512, f"oci:{tmp_path / name}:v1")
    link = tmp_path / "current"
    link.symlink_to("good")
    policy = Policy([Rule(images=[f"oci:{tmp_path / 'good'}"], action="accept")])
    ended = threading.Event()

    def swap() -> None:
        targets = ["bad", "good"]
        while not ended.is_set():
            targets.reverse()
            (tmp_path / "next").symlink_to(targets[0])
            os.replace(tmp_path / "next", link)

    swapper = threading.Thread(target=swap)
    swapper.start()
    seen = {"good": 0, "refused": 0}
    try:
        for _ in range(400):
            try:
                with fetch_image(f"oci:{link}:v1", policy=policy) as image:
                    assert bytes(image.view[:4]) == b"good"
                seen["good"] += 1
            except RefusedByPolicyError:
                seen["refused"] += 1
    finally:
        ended.set()
        swapper.join()
    assert seen["good"]
    assert seen["refused"]


def test_an_error_names_the_folder_and_not_a_descriptor(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    push_image(b"x" * 512, f"oci:{folder}:v1")
    (folder / "index.json").unlink()
    (folder / "index.json").mkdir()
    with pytest.raises(ImageLayoutError) as caught:
        fetch_image(f"oci:{folder}:v1")
    assert "/proc" not in str(caught.value)
    (folder / "index.json").rmdir()
    (folder / "index.json").symlink_to("index.json")
    with pytest.raises(OSError, match=r"images/index\.json"):
        fetch_image(f"oci:{folder}:v1")


# What is verified


@pytest.mark.parametrize(
    ("media_type", "data"),
    [
        ("application/vnd.example.thing", b"{}"),
        ("text/html", b"<html>"),
        (MANIFEST_TYPE, b"[]"),
        (MANIFEST_TYPE, b'{"schemaVersion": 2, "layers": [], "manifests": []}'),
        (INDEX_TYPE, b'{"schemaVersion": 2, "layers": []}'),
        ("application/json", b'{"schemaVersion": 2}'),
    ],
)
def test_only_images_are_verified(registry: FaultyRegistry, media_type: str, data: bytes) -> None:
    registry.add_manifest("team/disk", "v1", media_type, data)
    with pytest.raises(OciError):
        verify_signature(f"{registry.host}/team/disk:v1", Policy([Rule(action="accept")]))


def test_a_manifest_of_another_size_than_the_index_says(registry: FaultyRegistry, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    manifest = push_image(b"x" * 512, f"{registry.host}/team/disk:v1")
    assert push_image(b"x" * 512, f"oci:{folder}:v1") == manifest
    entry = {"mediaType": MANIFEST_TYPE, "digest": manifest.digest, "size": manifest.size}
    for size, expected in ((manifest.size, None), (manifest.size + 1, SizeMismatchError), (1, SizeMismatchError)):
        index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [{**entry, "size": size}]}
        registry.add_manifest("team/disk", "all", INDEX_TYPE, json.dumps(index).encode())
        (folder / "index.json").write_text(json.dumps(index))
        for source in (f"{registry.host}/team/disk:all", f"oci:{folder}"):
            if expected is None:
                fetch_image(source).close()
            else:
                with pytest.raises(expected):
                    fetch_image(source)


def test_an_index_entry_with_a_wrong_kind(registry: FaultyRegistry) -> None:
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": []}
    data = json.dumps(index).encode()
    digest = registry.add_manifest("team/disk", "inner", INDEX_TYPE, data)
    outer = {**index, "manifests": [{"mediaType": MANIFEST_TYPE, "digest": digest, "size": len(data)}]}
    registry.add_manifest("team/disk", "v1", INDEX_TYPE, json.dumps(outer).encode())
    with pytest.raises(NotAnImageError):
        fetch_image(f"{registry.host}/team/disk:v1")
