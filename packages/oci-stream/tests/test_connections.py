"""How many connections a transfer takes, and what becomes of those that are kept."""

from __future__ import annotations

import gc
import os
import socket
from typing import Any

import pytest

from cloudboot_oci_stream import Access, copy_image, fetch_image, push_image
from cloudboot_oci_stream.errors import UnauthorizedError
from cloudboot_oci_stream.http import transport
from cloudboot_oci_stream.http.connect import dial
from cloudboot_oci_stream.testing import FaultyRegistry, docker_registry

DISK = bytes(range(256)) * 3000


def test_a_pull_with_a_token_takes_one_connection() -> None:
    with FaultyRegistry(users={}, tokens=True, anonymous=True) as registry:
        push_image(DISK, f"{registry.host}/team/disk:v1")
        registry.faults.keeps = True
        registry.accepted = 0
        del registry.seen[:]
        with fetch_image(f"{registry.host}/team/disk:v1") as image:
            assert image.view[: image.descriptor.size] == DISK
        asked = [seen.path.partition("?")[0].rpartition("/")[2][:7] for seen in registry.seen]
        assert (asked, registry.accepted) == (["v1", "token", "v1", "sha256:"], 1)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Where connections were made to."""
    made: list[object] = []

    def counted(*where: Any) -> socket.socket:
        made.append(where)
        return dial(*where)

    monkeypatch.setattr(transport, "dial", counted)
    return made


@pytest.mark.parametrize("chunk", [None, 1 << 16])
def test_a_push_to_docker_registry_takes_one_connection(made: list[object], chunk: int | None) -> None:
    with docker_registry() as server:
        push_image(DISK, f"{server.host}/team/disk:v1", chunk=chunk)
        assert len(made) == 1
        with fetch_image(f"{server.host}/team/disk:v1") as image:
            assert image.view[: image.descriptor.size] == DISK


def test_a_refused_body_that_nobody_read_is_not_taken_for_a_request() -> None:
    """The registry refuses each request once for its token, and leaves the connection as it is."""
    with FaultyRegistry(users={}, tokens=True, anonymous=True, token_uses=1) as registry:
        registry.faults.keeps = True
        push_image(DISK, f"{registry.host}/team/disk:v1")
        assert {seen.method for seen in registry.seen} <= {"HEAD", "GET", "POST", "PUT"}
        assert DISK in registry.blobs.values()


@pytest.mark.parametrize("chunk", [None, 1 << 16])
def test_an_upload_to_a_server_that_closes_what_it_keeps(registry: FaultyRegistry, chunk: int | None) -> None:
    """It does so once the body is on its way; from then on each body gets a connection of its own."""
    registry.faults.keeps = True
    registry.faults.upload_cuts = [0]
    push_image(DISK, f"{registry.host}/team/disk:v1", chunk=chunk)
    assert DISK in registry.blobs.values()


def test_the_body_of_an_answer_to_an_upload_is_read_past(registry: FaultyRegistry) -> None:
    """Some registries say something in a body, chunked or not, where docker's says nothing."""
    registry.faults.keeps = registry.faults.says = True
    push_image(DISK, f"{registry.host}/team/disk:v1")
    assert registry.accepted == 1


def test_docker_registry_over_one_connection(made: list[object]) -> None:
    with docker_registry() as server:
        push_image(DISK, f"{server.host}/a/disk:v1")
        copy_image(f"{server.host}/a/disk:v1", f"{server.host}/b/disk:v1")
        del made[:]
        with fetch_image(f"{server.host}/b/disk:v1") as image:
            assert image.view[: image.descriptor.size] == DISK
        assert len(made) == 1
        del image
        gc.collect()  # an unclosed socket would be a warning, which is an error


@pytest.mark.parametrize("extra", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
def test_a_kept_connection_that_is_of_no_use(registry: FaultyRegistry, extra: bytes) -> None:
    """A server that closes it after all, or says more over it than it was asked, costs another connection."""
    push_image(DISK, f"{registry.host}/team/disk:v1")
    media_type, data = registry.manifests["team/disk", "v1"]
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {len(data)}\r\n\r\n"
    registry.accepted = 0
    registry.faults.replies = [("GET", "/manifests/", head.encode() + data + extra)]
    with fetch_image(f"{registry.host}/team/disk:v1") as image:
        assert image.view[: image.descriptor.size] == DISK
    assert registry.accepted == 2


def test_a_body_that_was_not_read_to_its_end_is_no_answer_to_the_next(registry: FaultyRegistry) -> None:
    push_image(DISK, f"{registry.host}/team/disk:v1")
    registry.faults.keeps = True
    registry.faults.answers = [(503, {"Retry-After": "0"})] * 2
    registry.faults.message = "x" * os.sysconf("SC_PAGE_SIZE") * 4
    with fetch_image(f"{registry.host}/team/disk:v1") as image:
        assert image.view[: image.descriptor.size] == DISK


def test_the_words_of_a_refusal_are_kept(registry: FaultyRegistry) -> None:
    """The body of a 401 is read before the token service is asked, and still said."""
    registry.faults.keeps = True
    registry.users = {"joe": "s3cret"}
    with pytest.raises(UnauthorizedError, match="authentication required"):
        fetch_image(f"{registry.host}/team/disk:v1", access=Access(username="joe", password="wrong"))
    assert registry.accepted == 1
