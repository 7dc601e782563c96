"""What servers, proxies and folders have beside the specifications: read where it is clear, else refused at once."""

from __future__ import annotations

import gzip
import json
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudboot_base.testing import judge
from cloudboot_oci_stream import Access, RetryPolicy, fetch_image, push_image
from cloudboot_oci_stream.deadline import Deadline
from cloudboot_oci_stream.errors import (
    ContentEncodingError,
    DescriptorError,
    InvalidReferenceError,
    NoRoomError,
    NotAnImageError,
    NotHttpError,
    OciError,
    ProtocolError,
    RateLimitedError,
    RedirectSchemeError,
    StatusError,
    TokenServiceError,
    TransferTimeoutError,
    TransportError,
)
from cloudboot_oci_stream.http.access import Origin, with_query
from cloudboot_oci_stream.spec.descriptor import Descriptor, Platform, digest_of
from cloudboot_oci_stream.spec.manifest import INDEX_TYPE, MANIFEST_TYPE, choose
from cloudboot_oci_stream.spec.reference import parse_reference
from cloudboot_oci_stream.testing import FaultyRegistry, server_certificate

DISK = bytes(range(256)) * 1200
QUICK = RetryPolicy(attempts=3, pause=0.01)


def http(status: int, body: bytes = b"", **fields: str) -> bytes:
    """An answer as it goes over the wire; the connection is closed after it."""
    head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close"]
    head += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def pulled(registry: FaultyRegistry, **options: Any) -> bytes:
    terms: dict[str, Any] = {"retry": QUICK, "deadline": 20} | options
    with fetch_image(f"{registry.host}/team/disk:v1", **terms) as image:
        return bytes(image.view[: image.descriptor.size])


def pushed(registry: FaultyRegistry, **options: Any) -> str:
    terms: dict[str, Any] = {"retry": QUICK, "deadline": 20} | options
    return push_image(DISK, f"{registry.host}/team/disk:v1", **terms).digest


# What is no answer, or says plainly that asking again is of no use: one request, one plain error.


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", NotHttpError, "the answer is not HTTP"),
        (b"ICY 200 OK\r\n\r\n", NotHttpError, "the answer is not HTTP"),
        (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", NotHttpError, "the answer is not HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x46", NotHttpError, "the server answers with TLS"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n", NotHttpError, "too many header fields"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000 + b"\r\n\r\n", NotHttpError, "a line that is too long"),
        (http(400, b"Client sent an HTTP request to an HTTPS server."), NotHttpError, "wants TLS on that port"),
        (http(400, b"<html>The plain HTTP request was sent to HTTPS port"), NotHttpError, "wants TLS on that port"),
        (http(203, b"{}"), StatusError, r"another answer for this request \(expected 200, found 203\)"),
        (http(204), StatusError, r"another answer for this request \(expected 200, found 204\)"),
        (http(304), StatusError, r"another answer for this request \(expected 200, found 304\)"),
        (http(429, Retry_After="3600"), RateLimitedError, "too many requests"),
        (http(451), StatusError, "withheld for legal reasons"),
        (http(307, Location="http://127.0.0.1:0/x"), ProtocolError, "host or port is malformed"),
        (http(307, Location="http://127.0.0.1:65536/x"), ProtocolError, "host or port is malformed"),
        (http(307, Location="http://b\xc3\xbccher.example/x"), ProtocolError, "host or port is malformed"),
        (http(307, Location="file:///etc/passwd"), RedirectSchemeError, "other than HTTP"),
        (http(200, b"<!doctype html>", Content_Type="text/html"), NotAnImageError, "neither manifest nor index"),
        (http(200, b"no gzip", Content_Encoding="gzip"), ContentEncodingError, "not in the encoding"),
    ],
)
def test_answers_that_are_refused_at_once(
    registry: FaultyRegistry, reply: bytes, kind: type[OciError], words: str
) -> None:
    pushed(registry)
    del registry.seen[:]
    registry.faults.replies = [("GET", "/manifests/", reply)]
    with pytest.raises(kind, match=words):
        pulled(registry)
    assert len(registry.seen) == 1


def test_hints_of_refusals(registry: FaultyRegistry) -> None:
    pushed(registry)
    for part, reply, words in (
        ("GET", http(200, b"<html>", Content_Type="Text/HTML; charset=utf-8"), "login page"),
        ("GET", http(429, Retry_After="3600"), "3600 s"),
        ("GET", b"\x15\x03\x03\x00\x02\x02\x46", "--insecure"),
        ("PUT", http(413, b"<html>"), "--chunk"),
    ):
        registry.faults.replies = [(part, "/", reply)]
        with pytest.raises(OciError) as caught:
            push_image(DISK[9:], f"{registry.host}/team/x:v1", retry=QUICK) if part == "PUT" else pulled(registry)
        assert words in (caught.value.hint or "")


def test_a_deadline_says_what_the_last_attempt_failed_for(registry: FaultyRegistry) -> None:
    pushed(registry)
    registry.faults.manifest_answers = {"v1": 503}
    with pytest.raises(TransferTimeoutError, match=r"not finished within 0\.5 s; the last attempt failed: as ordered"):
        pulled(registry, deadline=0.5, retry=RetryPolicy(pause=0.2))


def test_a_url_with_tls_on_the_registrys_own_plain_port(registry: FaultyRegistry) -> None:
    pushed(registry)
    there = f"https://{registry.host}/v2/team/disk/blobs/uploads/1"
    registry.faults.replies = [
        ("POST", "/uploads/", http(202, Location=there)),
        ("GET", "/blobs/", http(307, Location=there)),
    ]
    for work in (lambda: push_image(DISK[9:], f"{registry.host}/team/disk:v2"), lambda: pulled(registry)):
        with pytest.raises(RedirectSchemeError, match="TLS on the port where it answers in plain HTTP"):
            work()


def test_tls_with_a_plain_server(registry: FaultyRegistry) -> None:
    """A server that answers in plain HTTP is found out at once; one that waits, when the limit for silence passes."""
    with pytest.raises((NotHttpError, TransferTimeoutError)) as caught:
        pulled(registry, access=Access(insecure=False, stall=0.3))
    assert "TLS" in str(caught.value)
    assert "--insecure" in (caught.value.hint or "")


def test_a_plain_client_with_a_tls_server(tmp_path: Path) -> None:
    judge("openssl", "openssl")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*server_certificate(tmp_path))
    with FaultyRegistry(tls=context) as registry, pytest.raises((NotHttpError, TransportError)) as caught:
        pulled(registry, access=Access(insecure=True))
    assert "--insecure" in (caught.value.hint or "")


# Manifests.


def test_dialects_of_a_manifests_head(registry: FaultyRegistry) -> None:
    pushed(registry)
    _, data = registry.manifests["team/disk", "v1"]
    right = digest_of(data)
    for fields in (
        {"Content_Type": MANIFEST_TYPE.upper()},
        {"Content_Type": f"{MANIFEST_TYPE}, {MANIFEST_TYPE}"},
        {"Content_Type": f"{MANIFEST_TYPE};charset=utf-8", "Docker_Content_Digest": right},
        {"Docker_Content_Digest": right.upper()},
        {"Docker_Content_Digest": f"{right}, {right}"},
        {"Docker_Content_Digest": "md5:abc"},
        {},
    ):
        registry.faults.replies = [("GET", "/manifests/", http(200, data, **fields))]
        assert pulled(registry) == DISK
    registry.faults.replies = [("GET", "/manifests/", http(200, gzip.compress(data), Content_Encoding="gzip"))]
    assert pulled(registry) == DISK


M, X = MANIFEST_TYPE, INDEX_TYPE


def entry(number: int, kind: str = M, **members: object) -> Descriptor:
    value = {"mediaType": kind, "digest": digest_of(bytes([number])), "size": 1, **members}
    return Descriptor.from_json(value)


def on(system: object, architecture: object, **more: object) -> dict[str, Any]:
    return {"platform": {"os": system, "architecture": architecture, **more}}


ATTESTATION = entry(9, **on("unknown", "unknown"), annotations={"vnd.docker.reference.type": "attestation-manifest"})


@pytest.mark.parametrize(
    ("entries", "platform", "chosen"),
    [
        ([entry(1, **on("linux", "amd64")), ATTESTATION], None, 1),
        ([entry(1), entry(1)], None, 1),
        ([entry(1), entry(2)], None, "leaves a choice"),
        ([], None, "no image"),
        ([entry(1, "application/vnd.cncf.helm.config.v1+json")], None, "no image"),
        ([entry(1, **on("", ""))], None, 1),
        ([entry(1, platform={})], None, 1),
        ([entry(1, **on(None, None))], None, 1),
        ([entry(1, **on("linux", "amd64"))], "linux/x86_64", 1),
        ([entry(1, **on("linux", "arm64", variant="v8"))], "linux/aarch64", 1),
        ([entry(1, **on("linux", "arm64"))], "linux/arm64/v8", 1),
        (
            [entry(1, **on("linux", "arm", variant="v7")), entry(2, **on("linux", "arm", variant="v6"))],
            "linux/armhf",
            1,
        ),
        ([entry(1, **on("Linux", "AMD64"))], "linux/amd64", 1),
        ([entry(1, **on("linux", "amd64"))], "linux/riscv64", "for the platform"),
        ([entry(1)], "linux/amd64", "for the platform"),
        ([entry(1, X)], "linux/amd64", 1),
        ([entry(1, X), entry(2, **on("linux", "amd64"))], "linux/amd64", 2),
        ([entry(1, X), entry(2, X)], "linux/amd64", "for the platform"),
    ],
)
def test_choice_from_an_index(entries: list[Descriptor], platform: str | None, chosen: int | str) -> None:
    wanted = Platform.parse(platform) if platform else None
    if isinstance(chosen, str):
        with pytest.raises(NotAnImageError, match=chosen):
            choose(entries, wanted)
    else:
        assert choose(entries, wanted).digest == digest_of(bytes([chosen]))


def test_indexes_within_indexes(registry: FaultyRegistry) -> None:
    pushed(registry)
    kind, data = registry.manifests["team/disk", "v1"]
    for depth in range(1, 5):
        inner = {"mediaType": kind, "digest": digest_of(data), "size": len(data)}
        kind, data = X, json.dumps({"schemaVersion": 2, "mediaType": X, "manifests": [inner]}).encode()
        registry.add_manifest("team/disk", "v1", kind, data)
        if depth < 4:
            assert pulled(registry) == DISK
    with pytest.raises(NotAnImageError, match="indexes within indexes"):
        pulled(registry)


# Token services.


@pytest.mark.parametrize(
    ("realm", "parameters", "asked"),
    [
        ("/token", "", "/token?scope=repository%3Ateam%2Fdisk%3Apull"),
        ("/token?", ',service="s"', "/token?service=s&scope=repository%3Ateam%2Fdisk%3Apull"),
        ("/token#part", ',service="s"', "/token?service=s&scope=repository%3Ateam%2Fdisk%3Apull"),
        ("/token?a=b", ',scope="x y"', "/token?a=b&scope=x&scope=y"),
        ("/token", ',service="a\\"b\\\\c",scope="x"', "/token?service=a%22b%5Cc&scope=x"),
    ],
)
def test_what_a_token_service_is_asked(realm: str, parameters: str, asked: str) -> None:
    with FaultyRegistry(users={}, tokens=True, anonymous=True) as registry:
        registry.faults.challenge = f'Negotiate, Bearer realm="http://{registry.host}{realm}"{parameters}'
        with pytest.raises(OciError):
            pulled(registry)
        assert [seen.path for seen in registry.requests("GET", "/token")] == [asked]


def test_basic_where_the_bearer_challenge_has_no_realm() -> None:
    with FaultyRegistry(users={"joe": "s3cret"}) as registry:
        registry.faults.challenge = 'Bearer service="x", Basic realm="y"'
        pushed(registry, access=Access(username="joe", password="s3cret"))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"errors":[{"code":"UNAUTHORIZED","message":"no such robot"}]}', "refuses: no such robot"),
        (b'{"details":"incorrect username or password"}', "refuses: incorrect username or password"),
        (b'{"error":"invalid_grant","error_description":"expired"}', "refuses: expired"),
        (b'{"error":"invalid_grant"}', "refuses: invalid_grant"),
        (b'{"message":"\\u001b[31mred"}', r"refuses: \\x1b\[31mred"),
        (b"[1]", r"refuses \("),
        (b"<html>", r"refuses \("),
        (b"[" * 9000, r"refuses \("),
    ],
)
def test_the_words_of_a_token_service(body: bytes, words: str) -> None:
    with FaultyRegistry(users={}, tokens=True) as registry:
        registry.faults.token = (403, {}, body)
        with pytest.raises(TokenServiceError, match=words):
            pulled(registry)


def test_a_token_that_is_compressed_or_created() -> None:
    with FaultyRegistry(users={}, tokens=True) as registry:
        for status, encoding in ((200, "gzip"), (201, "identity")):
            token = json.dumps({"access_token": registry.new_token(), "expires_in": 0}).encode()
            data = gzip.compress(token) if encoding == "gzip" else token
            registry.faults.token = (status, {"Content-Encoding": encoding}, data)
            pushed(registry)


# Uploads.


@pytest.mark.parametrize(
    "said", ["0-{last}", "bytes=0-{last}", "bytes 0-{last}", " 0 - {last} ", "0-{size}", "1-{last}", "x"]
)
def test_ranges_after_a_chunk(registry: FaultyRegistry, said: str) -> None:
    """The chunk was taken; what the registry says of it is not worth giving the upload up for."""
    begin = f"http://{registry.host}/v2/team/disk/blobs/uploads/"
    registry.uploads["mine"] = bytearray(DISK)
    value = said.format(last=len(DISK) - 1, size=len(DISK))
    registry.faults.replies = [
        ("POST", "/uploads/", http(202, Location=begin + "mine")),
        ("PATCH", "/uploads/mine", http(202, Location=begin + "mine?state=a+b==/&", Range=value)),
    ]
    pushed(registry, chunk=len(DISK))
    assert pulled(registry) == DISK


def test_a_chunk_of_which_less_was_kept(registry: FaultyRegistry) -> None:
    begin = f"http://{registry.host}/v2/team/disk/blobs/uploads/"
    registry.faults.replies = [
        ("POST", "/uploads/", http(202, Location=begin + "mine")),
        ("PATCH", "/uploads/mine", http(202, Location=begin + "mine", Range="0-99")),
    ]
    with pytest.raises(ProtocolError, match="kept another part"):
        pushed(registry, chunk=len(DISK))


def test_chunks_too_large_for_a_stream(registry: FaultyRegistry) -> None:
    begin = f"http://{registry.host}/v2/team/disk/blobs/uploads/mine"
    registry.faults.replies = [("POST", "/uploads/", http(202, Location=begin, OCI_Chunk_Min_Length="9999999999"))]
    with pytest.raises(ProtocolError, match="too large to be held") as caught:
        push_image(iter([DISK]), f"{registry.host}/team/disk:v1")
    assert "from a file" in (caught.value.hint or "")


@pytest.mark.parametrize("is_there", [True, False])
def test_a_blob_that_is_accepted_and_stored_later(
    registry: FaultyRegistry, is_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 9110 section 15.3.3: 202 says nothing of whether it will be done, so the registry is asked."""
    monkeypatch.setattr(Deadline, "sleep", lambda *_: None)
    registry.faults.replies = [("PUT", "/uploads/", http(202)), ("HEAD", "/blobs/", http(404))]
    if is_there:
        registry.add_blob(DISK)
        pushed(registry)
        assert pulled(registry) == DISK
    else:
        with pytest.raises(StatusError, match=r"not stored the blob yet \(expected 201, found 202\)"):
            pushed(registry)


# URLs.


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h/p", "http://h/p?a=b%2Fc"),
        ("http://h/p?", "http://h/p?a=b%2Fc"),
        ("http://h/p?x=+%2B&", "http://h/p?x=+%2B&a=b%2Fc"),
        ("http://h/p?x#f?y", "http://h/p?x&a=b%2Fc"),
    ],
)
def test_parameters_added_to_a_url(url: str, expected: str) -> None:
    assert with_query(url, [("a", "b/c")]) == expected


@pytest.mark.parametrize(
    "url", ["http://h:0/", "http://h:99999/", "http://h:x/", "http://%41/", "http:///", "http://h /"]
)
def test_urls_without_an_origin(url: str) -> None:
    with pytest.raises(ProtocolError):
        Origin.of(url)


@pytest.mark.parametrize(
    ("text", "words", "hint"),
    [
        ("joe:s3cret@host.example/a:v1", "no user name or password", "--password-stdin"),
        ("joe:s3/cret@host.example/a:v1", "no user name or password", "--password-stdin"),
        ("https://joe:s3cret@host.example/a", "no scheme", "HOST[:PORT]"),
        ("host.example/Team/Disk:v1", "not a repository name", "host.example/team/disk"),
        ("host..example/a", "not a host", None),
        (f"{'a' * 64}.example/a", "not a host", None),
    ],
)
def test_references_that_name_no_image(text: str, words: str, hint: str | None) -> None:
    with pytest.raises(InvalidReferenceError, match=re.escape(words)) as caught:
        parse_reference(text)
    assert (hint or "") in (caught.value.hint or "")
    assert "cret" not in f"{caught.value} {caught.value.hint}"


# Folders.


def changed(folder: Path, change: Callable[[list[dict[str, Any]]], object]) -> str:
    """A folder with one image whose index was changed; what to fetch it as."""
    push_image(DISK, f"oci:{folder}:v1")
    index = json.loads((folder / "index.json").read_text())
    change(index["manifests"])
    (folder / "index.json").write_text(json.dumps(index))
    return f"oci:{folder}"


NAME = "org.opencontainers.image.ref.name"
BROKEN = {"mediaType": M, "digest": "md5:x", "size": 1}


@pytest.mark.parametrize(
    ("change", "suffix"),
    [
        (lambda entries: entries[0].update(annotations={NAME: "ghcr.io/me/disk:v1"}), ":v1"),
        (lambda entries: entries.append(BROKEN), ":v1"),
        (lambda entries: entries.insert(0, 7), ":v1"),
        (lambda entries: entries[0].update(platform={}), ":v1"),
        (lambda entries: entries.append({**entries[0], "annotations": {NAME: "v2"}}), ""),
    ],
)
def test_indexes_of_folders(tmp_path: Path, change: Callable[[list[dict[str, Any]]], object], suffix: str) -> None:
    reference = changed(tmp_path / "images", change)
    fetch_image(reference + suffix).close()
    listed = len(json.loads((tmp_path / "images" / "index.json").read_text())["manifests"])
    push_image(DISK[1:], f"{reference}:v9")
    after = json.loads((tmp_path / "images" / "index.json").read_text())["manifests"]
    assert len(after) == listed + 1


def test_a_malformed_entry_that_is_asked_for(tmp_path: Path) -> None:
    reference = changed(tmp_path, lambda entries: entries[0].update(digest="md5:x"))
    for suffix in (":v1", ""):
        with pytest.raises(DescriptorError, match="md5"):
            fetch_image(reference + suffix)


@pytest.mark.parametrize("name", ["index.json", "oci-layout"])
def test_a_file_of_a_folder_that_is_not_json(tmp_path: Path, name: str) -> None:
    push_image(DISK, f"oci:{tmp_path}:v1")
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf{}")
    with pytest.raises(OciError, match=f"the file {name}: "):
        fetch_image(f"oci:{tmp_path}:v1")


def test_a_folder_on_a_full_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cloudboot_oci_stream.stores.folder.write_all", full)
    with pytest.raises(NoRoomError, match="the file system is full") as caught:
        push_image(DISK, f"oci:{tmp_path / 'images'}:v1")
    assert caught.value.exit_code == 4
