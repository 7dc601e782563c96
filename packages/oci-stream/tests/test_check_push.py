"""Whether a place takes pushes is found out without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudboot_base.testing import judge
from cloudboot_oci_stream import Access, open_store, push_image
from cloudboot_oci_stream.deadline import Deadline
from cloudboot_oci_stream.errors import CredentialError, ImageLayoutError, StatusError, UnauthorizedError
from cloudboot_oci_stream.testing import FaultyRegistry, docker_registry


def test_a_registry_that_takes_pushes_is_left_without_an_upload() -> None:
    judge("docker-registry", "docker-registry")
    with docker_registry() as registry:
        open_store(f"{registry.host}/some/images:tag").check_push(Deadline())
        # distribution 2.8 leaves the state of the hash of an upload that was cancelled.
        left = [path for path in registry.folder.rglob("*") if path.is_file() and "hashstates" not in path.parts]
    assert left == []


def test_a_read_only_registry_says_so_and_hands_out_what_it_has(tmp_path: Path) -> None:
    judge("docker-registry", "docker-registry")
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(4096))
    with docker_registry() as registry:
        push_image(str(image), f"{registry.host}/images:one")
        with docker_registry(store=registry.folder, read_only=True) as closed:
            store = open_store(f"{closed.host}/images:one")
            assert store.read_manifest(None, Deadline()).data
            with pytest.raises(StatusError) as caught:
                store.check_push(Deadline())
    assert (caught.value.status, caught.value.exit_code) == (405, 8)


def test_a_user_who_may_not_log_in_may_not_push() -> None:
    judge("htpasswd", "apache2-utils")
    with docker_registry(users={"reader": "right"}) as registry:
        for password, refused in (("wrong", True), ("right", False)):
            store = open_store(f"{registry.host}/images:one", Access(username="reader", password=password))
            if refused:
                with pytest.raises((UnauthorizedError, CredentialError)) as caught:
                    store.check_push(Deadline())
                assert caught.value.exit_code == 7
            else:
                store.check_push(Deadline())


def test_a_user_who_may_only_read_is_refused() -> None:
    body = b'{"errors":[{"code":"DENIED","message":"read access"}]}'
    answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with FaultyRegistry() as registry:
        registry.faults.replies = [("POST", "/blobs/uploads/", answer)]
        with pytest.raises(UnauthorizedError, match="DENIED"):
            open_store(f"{registry.host}/images:one").check_push(Deadline())


def test_a_registry_that_does_not_cancel_uploads_takes_pushes() -> None:
    answer = b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n"
    with FaultyRegistry() as registry:
        registry.faults.replies = [("DELETE", "/", answer)]
        open_store(f"{registry.host}/images:one").check_push(Deadline())
        assert [seen.method for seen in registry.seen][-1] == "DELETE"


def test_a_folder_becomes_a_layout_without_an_image(tmp_path: Path) -> None:
    open_store(f"oci:{tmp_path}/new:one").check_push(Deadline())
    assert {path.name for path in (tmp_path / "new").rglob("*") if path.is_file()} <= {"oci-layout", "index.json"}
    assert not list((tmp_path / "new" / "blobs" / "sha256").iterdir())
    (tmp_path / "file").touch()
    with pytest.raises((ImageLayoutError, NotADirectoryError, FileExistsError)):
        open_store(f"oci:{tmp_path}/file:one").check_push(Deadline())
