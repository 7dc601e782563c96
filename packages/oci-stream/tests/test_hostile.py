"""Answers and names that are made to confuse: framing, interim answers, half characters, repeated secrets."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cloudboot_oci_stream import Access, RetryPolicy, fetch_image, open_store, push_image, resolve
from cloudboot_oci_stream.errors import ContentEncodingError, DescriptorError, OciError, ProtocolError
from cloudboot_oci_stream.spec.manifest import canonical
from cloudboot_oci_stream.testing import FaultyRegistry

DISK = bytes(range(256)) * 1000
ONCE = RetryPolicy(attempts=0)
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"


def pulled(registry: FaultyRegistry) -> bytes:
    with fetch_image(f"{registry.host}/team/disk:v1", retry=ONCE, deadline=20) as image:
        return bytes(image.view[: image.descriptor.size])


@pytest.mark.parametrize(
    "size",
    [b"-10000", b"+10000", b"1_0000", b"0x10000", b" 10000", b"00000000000010000", b"10000 x", b"\xb2", b"g"],
)
def test_sizes_of_chunks(registry: FaultyRegistry, size: bytes) -> None:
    push_image(DISK, f"{registry.host}/team/disk:v1")
    registry.faults.framing = "chunked"
    assert pulled(registry) == DISK
    registry.faults.chunk_size = size
    with pytest.raises(ProtocolError, match="chunk"):
        pulled(registry)


@pytest.mark.parametrize("size", [b"10000;name=value", b"10000 ; x", b"0000000000010000"])
def test_sizes_of_chunks_that_are_right(registry: FaultyRegistry, size: bytes) -> None:
    disk = b"x" * 0x10000
    push_image(disk, f"{registry.host}/team/disk:v1")
    registry.faults.framing, registry.faults.chunk_size = "chunked", size
    assert pulled(registry) == disk


@pytest.mark.parametrize("length", ["-5", "+256000", "256_000", "0x3e800", "256000, 256000", "2560000000000000000000"])
def test_lengths(registry: FaultyRegistry, length: str) -> None:
    push_image(DISK, f"{registry.host}/team/disk:v1")
    registry.faults.announce = length  # type: ignore[assignment]  # sent as it is
    with pytest.raises(OciError):
        pulled(registry)


@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 199 Whatever\r\nX: y\r\n\r\n",
    ],
)
def test_interim_answers(registry: FaultyRegistry, interim: bytes) -> None:
    registry.faults.interim = interim
    push_image(DISK, f"{registry.host}/team/disk:v1")
    assert pulled(registry) == DISK


def test_interim_answers_without_end(registry: FaultyRegistry) -> None:
    push_image(DISK, f"{registry.host}/team/disk:v1")
    registry.faults.interim = b"HTTP/1.1 103 Early Hints\r\n\r\n" * 60_000
    with pytest.raises(ProtocolError, match="does not end"):
        pulled(registry)


@pytest.mark.parametrize("status", ["101", "42", "1000", "abc"])
def test_statuses(registry: FaultyRegistry, status: str) -> None:
    push_image(DISK, f"{registry.host}/team/disk:v1")
    registry.faults.interim = f"HTTP/1.1 {status} What\r\n\r\n".encode()
    with pytest.raises(OciError):
        pulled(registry)


# Half of a surrogate pair, which JSON can hold and UTF-8 cannot.

HALF = "\\ud800"


def test_a_folder_with_an_unspeakable_name(tmp_path: Path) -> None:
    """Another tool's entry does not make the folder unusable, and is kept as it is."""
    folder = tmp_path / "images"
    push_image(DISK, f"oci:{folder}:v1")
    index = folder / "index.json"
    text = index.read_text().replace('"v1"', f'"{HALF}"')
    index.write_text(text)
    push_image(DISK[1:], f"oci:{folder}:v2")
    assert HALF in index.read_text()
    fetch_image(f"oci:{folder}:v2").close()
    with pytest.raises(OciError) as caught:
        fetch_image(f"oci:{folder}:v3")
    done = command("inspect", "--json", f"oci:{folder}:v3")
    assert done.returncode == 6
    assert "\\ud800" in done.stderr
    assert json.loads(done.stdout)["error"] == "NotFoundError"
    assert caught.value.hint is not None


def test_annotations_with_half_a_character(registry: FaultyRegistry) -> None:
    push_image(DISK, f"{registry.host}/team/disk:v1", annotations={"a": "mark"})
    media_type, data = registry.manifests["team/disk", "v1"]
    registry.add_manifest("team/disk", "v1", media_type, data.replace(b'"mark"', f'"{HALF}"'.encode()))
    _, manifest, _ = resolve(open_store(f"{registry.host}/team/disk:v1"))
    assert manifest.annotations["a"] == "\ud800"
    for words in (["inspect"], ["inspect", "--json"], ["pull", "--json"]):
        done = command(*words, f"{registry.host}/team/disk:v1")
        assert done.returncode == 0, done.stderr
        assert "\\ud800" in done.stdout or words == ["pull"]
    with pytest.raises(DescriptorError, match="UTF-8"):
        push_image(DISK, f"{registry.host}/team/disk:v2", annotations={"a": "\ud800"})
    assert canonical({"a": "\ud800é"}) == '{"a":"\\ud800é"}'.encode()


def test_bytes_of_a_command_line_that_are_not_utf_8(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    disk = os.fsencode(tmp_path) + b"/\xff.img"
    with open(disk, "wb") as file:
        file.write(DISK)
    done = command("push", disk, f"oci:{folder}:v1", "--annotation", b"a=\xff")
    assert (done.returncode, folder.exists()) == (3, True)
    assert "Traceback" not in done.stderr
    done = command("push", disk, f"oci:{folder}:v1")
    assert done.returncode == 0, done.stderr
    push_image(DISK, f"oci:{folder}:v2")
    done = command("push", disk, os.fsencode(tmp_path) + b"/\xfe", "--json")
    assert "Traceback" not in done.stderr
    done = command("push", disk, b"oci:" + os.fsencode(tmp_path) + b"/\xfe:v1", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["reference"].endswith("\udcfe:v1")


def command(*words: str | bytes) -> subprocess.CompletedProcess[str]:
    line: list[Any] = [sys.executable, "-m", "cloudboot_oci_stream", *words]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip"])
def test_a_manifest_in_an_encoding(registry: FaultyRegistry, encoding: str) -> None:
    """The bytes are no gzip, whatever the header says."""
    push_image(DISK, f"{registry.host}/team/disk:v1")
    registry.faults.manifest_encoding = encoding
    with pytest.raises(ContentEncodingError):
        pulled(registry)


def test_a_registry_that_repeats_what_it_was_told(registry: FaultyRegistry) -> None:
    """Password, token and their encodings do not come back in an error, wherever a peer puts them."""
    registry.users = {"joe": "s3cret-word"}
    encoded = base64.b64encode(b"joe:s3cret-word").decode()
    access = Access(username="joe", password="s3cret-word")
    push_image(DISK, f"{registry.host}/team/disk:v1", access=access)
    told = []
    for extra in (
        {"X": "y"},
        {"Location": f"http://joe:s3cret-word@127.0.0.1:1/{encoded}?s3cret-word#s3cret-word"},
        {"Location": "gopher://s3cret-word/"},
        {"Location": f"http://[{encoded}"},
    ):
        for status in (400, 401, 403, 404, 500, 307):
            registry.faults.answers = [(status, extra)]
            registry.faults.message = f"you sent s3cret-word as {encoded}"
            with pytest.raises(OciError) as caught:
                fetch_image(f"{registry.host}/team/disk:v1", access=access, retry=ONCE)
            told.append(f"{caught.value} {caught.value.hint} {json.dumps(caught.value.as_dict())}")
    assert len(told) == 24
    assert not [text for text in told if "s3cret-word" in text or encoded in text]
