from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudboot_oci_stream import LayoutReference, RegistryReference, parse_reference
from cloudboot_oci_stream.errors import InvalidReferenceError

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("localhost/disk", RegistryReference("localhost", "disk")),
        ("localhost:5000/disk:v1", RegistryReference("localhost:5000", "disk", "v1")),
        (
            f"registry.example/a/b-c/d__e:v1.0_x@{DIGEST}",
            RegistryReference("registry.example", "a/b-c/d__e", "v1.0_x", DIGEST),
        ),
        (f"[::1]:5000/disk@{DIGEST}", RegistryReference("[::1]:5000", "disk", None, DIGEST)),
        ("oci:images", LayoutReference("images")),
        ("oci:/var/lib/images:v1", LayoutReference("/var/lib/images", "v1")),
        (f"oci:a:b/images@home:v1@{DIGEST}", LayoutReference("a:b/images@home", "v1", DIGEST)),
        ("oci:a:b/images", LayoutReference("a:b/images")),
    ],
)
def test_parses(text: str, parsed: object) -> None:
    assert parse_reference(text) == parsed
    assert str(parse_reference(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "disk",
        "library/disk:v1",
        "localhost:5000",
        "localhost:5000/",
        "localhost:0/disk",
        "localhost:65536/disk",
        "localhost:5000/Disk",
        "localhost:5000/disk:",
        "localhost:5000/disk:-v1",
        "localhost:5000/disk:" + "v" * 129,
        "localhost:5000/../disk",
        "localhost:5000/disk\n:v1",
        "localhost:5000/disk?x=1",
        "localhost:5000/disk@",
        "localhost:5000/disk@sha256:12",
        "localhost:5000/disk@sha256:" + "G" * 64,
        "localhost:5000/disk@md5:" + "0" * 32,
        "localhost:5000/" + "a/" * 200 + "a",
        "user:secret@localhost:5000/disk",
        "https://localhost:5000/disk",
        "[::g]:5000/disk",
        "-a.example/disk",
        "oci:",
        "oci::v1",
        "oci:a\0b",
        "a" * 5000,
    ],
)
def test_refuses(text: str) -> None:
    with pytest.raises(InvalidReferenceError):
        parse_reference(text)


@pytest.mark.parametrize("text", ["./store:v1", "../store", "/srv/images:v1", "~/images", "."])
def test_a_path_is_told_how_a_folder_is_written(text: str) -> None:
    with pytest.raises(InvalidReferenceError, match="a path is no reference") as caught:
        parse_reference(text)
    assert caught.value.hint == f"a folder of images is oci:{text}"
    assert isinstance(parse_reference(f"oci:{text}"), LayoutReference)


@settings(deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_a_reference_or_a_typed_error(text: str) -> None:
    try:
        parsed = parse_reference(text)
    except InvalidReferenceError:
        return
    assert str(parsed) == text


components = st.from_regex(r"[a-z0-9]{1,5}((\.|_|__|-{1,2})[a-z0-9]{1,5}){0,2}", fullmatch=True)


@settings(deadline=None)
@given(
    st.sampled_from(["localhost", "localhost:5000", "registry.example", "10.0.0.1:443", "[fe80::1]:80"]),
    st.lists(components, min_size=1, max_size=4).map("/".join),
    st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True),
    st.none() | st.just(DIGEST),
)
def test_round_trip(host: str, repository: str, tag: str | None, digest: str | None) -> None:
    reference = RegistryReference(host, repository, tag, digest)
    assert parse_reference(str(reference)) == reference
    assert reference.target == (digest or tag or "latest")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost:5000", True),
        ("127.0.0.1", True),
        ("127.8.9.1:80", True),
        ("[::1]:5000", True),
        ("localhost.example.org", False),
        ("128.0.0.1", False),
        ("registry.example", False),
    ],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert RegistryReference(host, "disk").is_loopback is loopback


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("oci-archive:disk.tar", "tar -xf"),
        ("oci-archive:/tmp/disk.tar:v1", "tar -xf"),
        ("dir:/tmp/disk", "skopeo copy"),
        ("docker-archive:disk.tar:a/b:v1", "skopeo copy"),
        ("docker-daemon:disk:v1", "skopeo copy"),
        ("containers-storage:localhost/disk:v1", "skopeo copy"),
    ],
)
def test_forms_of_skopeo_that_are_not_read_are_named(text: str, hint: str) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        parse_reference(text)
    assert caught.value.actual == text[: text.index(":") + 1]
    assert hint in (caught.value.hint or "")
