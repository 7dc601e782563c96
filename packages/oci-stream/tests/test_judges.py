"""Against programs of other projects: docker-registry and drayage as servers; skopeo, oras and oras-py as clients."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import oras.client
import oras.layout
import oras.provider
import pytest

from cloudboot_base.testing import judge, run
from cloudboot_oci_stream import LAYER_TYPE, Access, OciError, RetryPolicy, copy_image, fetch_image, push_image
from cloudboot_oci_stream.errors import (
    CertificateError,
    CredentialError,
    ImageLayoutError,
    NotAnImageError,
    NotFoundError,
    TransportError,
    UnauthorizedError,
)
from cloudboot_oci_stream.spec.descriptor import digest_of
from cloudboot_oci_stream.testing import Server, docker_registry, pull_through_cache

DISK = random.Random(11).randbytes(5_000_001)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    judge("docker-registry", "docker-registry")
    with docker_registry() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    push_image(DISK, f"oci:{tmp_path}/images:v1", title="disk.img", annotations={"org.example.os": "FreeBSD"})
    return tmp_path / "images"


def assert_image(reference: str, access: Access | None = None) -> None:
    with fetch_image(reference, access=access) as image:
        assert image.view[: image.descriptor.size] == DISK


@pytest.mark.parametrize("chunk", [None, 1 << 20], ids=["whole", "chunks"])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_docker_registry(server: Server, chunk: int | None, algorithm: str) -> None:
    reference = f"{server.host}/a/{algorithm}:{'chunks' if chunk else 'whole'}"
    manifest = push_image(DISK, reference, chunk=chunk, algorithm=algorithm)
    assert_image(reference)
    assert_image(f"{reference}@{manifest.digest}")
    digest = digest_of(DISK, algorithm)
    with fetch_image(reference) as image:
        assert image.descriptor.digest == digest
    # What the server keeps is the blob itself: its own files judge the upload.
    kept = [path.read_bytes() for path in server.folder.rglob("data") if path.stat().st_size == len(DISK)]
    assert kept
    assert all(data == DISK for data in kept)


def test_docker_registry_refusals(server: Server) -> None:
    with pytest.raises(NotFoundError) as caught:
        fetch_image(f"{server.host}/none:v1")
    assert caught.value.code == "MANIFEST_UNKNOWN"
    push_image(DISK, f"{server.host}/b:v1")
    with pytest.raises(NotFoundError):
        fetch_image(f"{server.host}/b@sha256:" + "1" * 64)


def test_docker_registry_resumes_an_upload(server: Server) -> None:
    """A chunk that breaks off half-way is followed by one that starts where the server says it is."""
    broken: list[int] = []

    def break_once(done: int, total: int) -> None:
        del total
        if done > 3_500_000 and not broken:
            broken.append(done)
            raise TransportError("as ordered")

    push_image(DISK, f"{server.host}/c:v1", chunk=2 << 20, progress=break_once)
    assert broken
    assert_image(f"{server.host}/c:v1")


@pytest.mark.parametrize("ranges", [1, 4])
def test_another_server(server: Server, ranges: int) -> None:
    """One that was written in another language, by other people, for another purpose."""
    reference = f"cache/ranges{ranges}:v1"
    digest = push_image(DISK, f"{server.host}/{reference}").digest
    with pull_through_cache(server.host) as cache:
        for _ in range(2):  # once passed on, once kept
            with fetch_image(f"{cache.host}/{reference}", ranges=ranges) as image:
                assert image.digest == digest
                assert image.view[: image.descriptor.size] == DISK
        assert_image(f"{cache.host}/{reference}@{digest}")
        with pytest.raises(NotFoundError):
            fetch_image(f"{cache.host}/cache/none:v1")
        with pytest.raises(OciError):
            push_image(DISK, f"{cache.host}/cache/new:v1")


def test_the_oras_command(server: Server, tmp_path: Path) -> None:
    oras_command = judge("oras", "oras")
    manifest = push_image(DISK, f"{server.host}/cli/a:v1", title="disk.img")
    run(oras_command, "pull", "--plain-http", "--output", str(tmp_path), f"{server.host}/cli/a:v1")
    assert (tmp_path / "disk.img").read_bytes() == DISK
    shown = run(oras_command, "manifest", "fetch", "--plain-http", "--descriptor", f"{server.host}/cli/a:v1")
    assert json.loads(shown)["digest"] == manifest.digest
    # And back: a copy made by it, into a folder it makes, is ours again.
    run(oras_command, "cp", "--from-plain-http", "--to-oci-layout", f"{server.host}/cli/a:v1", f"{tmp_path}/layout:v1")
    assert_image(f"oci:{tmp_path}/layout:v1")
    copy_image(f"oci:{tmp_path}/layout:v1", f"{server.host}/cli/b:v1")
    assert_image(f"{server.host}/cli/b:v1@{manifest.digest}")


def test_htpasswd(folder: Path) -> None:
    judge("docker-registry", "docker-registry")
    judge("htpasswd", "apache2-utils")
    with docker_registry(users={"joe": "secret"}) as server:
        joe = Access(username="joe", password="secret")
        push_image(DISK, f"{server.host}/d:v1", access=joe)
        assert_image(f"{server.host}/d:v1", joe)
        for access in (None, Access(username="joe", password="wrong"), Access(username="ann", password="secret")):
            with pytest.raises(UnauthorizedError) as caught:
                fetch_image(f"{server.host}/d:v1", access=access)
            assert caught.value.status == 401
        # oras's own login writes the configuration that is read here.
        client = oras.client.OrasClient(hostname=server.host, insecure=True)
        file = folder.parent / "config.json"
        client.login(username="joe", password="secret", hostname=server.host, config_path=str(file))
        assert_image(f"{server.host}/d:v1", Access(auth_file=file))


def test_tls(tmp_path: Path) -> None:
    judge("docker-registry", "docker-registry")
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    run(
        *(
            judge("openssl", "openssl"),
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ),
        *("-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=registry"),
        *("-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:TRUE"),
    )
    with docker_registry(certificate=(certificate, key), users={"joe": "secret"}) as server:
        trusted = Access(ca_file=certificate, username="joe", password="secret")
        push_image(DISK, f"{server.host}/e:v1", access=trusted)
        assert_image(f"{server.host}/e:v1", trusted)
        with fetch_image(f"{server.host}/e:v1", access=trusted, ranges=4) as image:
            assert image.view[: image.descriptor.size] == DISK
        copy_image(f"{server.host}/e:v1", f"{server.host}/f:v1", access=trusted)
        assert_image(f"{server.host}/f:v1", trusted)
        with pytest.raises(CertificateError, match="does not verify"):
            fetch_image(f"{server.host}/e:v1", access=Access(insecure=False))
        port = server.host.partition(":")[2]
        with pytest.raises(CertificateError, match="does not verify"):
            fetch_image(f"localhost:{port}/e:v1", access=trusted)
        with pytest.raises(OciError):
            fetch_image(f"{server.host}/e:v1")
    with docker_registry(certificate=(certificate, key), client_authority=certificate) as server:
        known = Access(ca_file=certificate, client_certificate=certificate, client_key=key)
        push_image(DISK, f"{server.host}/e:v1", access=known)
        assert_image(f"{server.host}/e:v1", known)
        with pytest.raises(TransportError):
            fetch_image(f"{server.host}/e:v1", access=Access(ca_file=certificate), retry=RetryPolicy(attempts=0))
        for broken in (Access(ca_file=key), Access(ca_file=tmp_path / "none"), Access(client_certificate=certificate)):
            with pytest.raises(CredentialError):
                fetch_image(f"{server.host}/e:v1", access=broken)


def test_skopeo_reads_what_we_push(server: Server, folder: Path, tmp_path: Path) -> None:
    skopeo = judge("skopeo", "skopeo")
    manifest = push_image(DISK, f"{server.host}/f:v1", title="disk.img", annotations={"org.example.os": "FreeBSD"})
    for source in (f"docker://{server.host}/f:v1", f"oci:{folder}:v1"):
        raw = run(skopeo, "inspect", "--raw", "--tls-verify=false", source)
        assert digest_of(raw.encode()) == manifest.digest
        value = json.loads(raw)
        assert value["artifactType"] == "application/vnd.cloud-boot.diskimage.v1"
        assert [layer["mediaType"] for layer in value["layers"]] == [LAYER_TYPE]
        assert value["annotations"] == {"org.example.os": "FreeBSD"}
        # A copy as files, by somebody else's idea of what belongs to the image.
        copy = tmp_path / f"copy-{len(source)}"
        run(skopeo, "copy", "--src-tls-verify=false", source, f"dir:{copy}")
        assert (copy / digest_of(DISK).partition(":")[2]).read_bytes() == DISK


def test_we_read_what_skopeo_copies(server: Server, folder: Path, tmp_path: Path) -> None:
    skopeo = judge("skopeo", "skopeo")
    run(skopeo, "copy", "--dest-tls-verify=false", f"oci:{folder}:v1", f"docker://{server.host}/g:v1")
    assert_image(f"{server.host}/g:v1")
    run(skopeo, "copy", "--src-tls-verify=false", f"docker://{server.host}/g:v1", f"oci:{tmp_path}/other:v1")
    assert_image(f"oci:{tmp_path}/other:v1")
    # Into a folder that we began, and back into one that skopeo began.
    run(skopeo, "copy", f"oci:{tmp_path}/other:v1", f"oci:{folder}:v2")
    assert_image(f"oci:{folder}:v2")
    push_image(DISK, f"oci:{tmp_path}/other:v2")
    assert_image(f"oci:{tmp_path}/other:v1")
    assert_image(f"oci:{tmp_path}/other:v2")


@pytest.mark.parametrize("name", ["disk:v1", "registry.example/team/disk:v1", "team/disk", "disk+x@y.z", "disk--x"])
def test_names_in_a_folder_that_are_no_tags(folder: Path, tmp_path: Path, name: str) -> None:
    """skopeo splits oci:FOLDER:NAME at the first colon, and the specification lets a name have several."""
    skopeo = judge("skopeo", "skopeo")
    run(skopeo, "copy", f"oci:{folder}:v1", f"oci:{tmp_path}/images:{name}")
    run(skopeo, "copy", f"oci:{folder}:v1", f"oci:{tmp_path}/images:another:v1")
    assert_image(f"oci:{tmp_path}/images:{name}")
    push_image(DISK, f"oci:{tmp_path}/images:{name}", annotations={"a": "b"})
    raw = run(skopeo, "inspect", "--raw", f"oci:{tmp_path}/images:{name}")
    assert json.loads(raw)["annotations"] == {"a": "b"}
    with pytest.raises(NotFoundError) as caught:
        fetch_image(f"oci:{tmp_path}/images:none")
    assert name in (caught.value.hint or "")
    with pytest.raises(NotAnImageError) as choice:
        fetch_image(f"oci:{tmp_path}/images")
    assert name in (choice.value.hint or "")
    # A folder that exists keeps its colons.
    push_image(DISK, f"oci:{tmp_path}/with:colon/images:v1")
    assert_image(f"oci:{tmp_path}/with:colon/images:v1")


def test_images_without_names_are_told_apart_by_their_digests(tmp_path: Path) -> None:
    skopeo = judge("skopeo", "skopeo")
    digests = []
    for number in range(2):
        digests.append(push_image(DISK, f"oci:{tmp_path}/one:v{number}", annotations={"n": str(number)}).digest)
        run(skopeo, "copy", f"oci:{tmp_path}/one:v{number}", f"oci:{tmp_path}/two")
    with pytest.raises(NotAnImageError) as caught:
        fetch_image(f"oci:{tmp_path}/two")
    for digest in digests:
        assert digest in (caught.value.hint or "")
        assert_image(f"oci:{tmp_path}/two@{digest}")


def test_skopeo_lists_our_tags(server: Server) -> None:
    skopeo = judge("skopeo", "skopeo")
    for tag in ("v1", "v2"):
        push_image(DISK, f"{server.host}/h:{tag}")
    listed = json.loads(run(skopeo, "list-tags", "--tls-verify=false", f"docker://{server.host}/h"))
    assert listed["Tags"] == ["v1", "v2"]


def test_oras_reads_what_we_push(server: Server, folder: Path, tmp_path: Path) -> None:
    push_image(DISK, f"{server.host}/i:v1", title="disk.img")
    client = oras.client.OrasClient(hostname=server.host, insecure=True)
    (path,) = client.pull(f"{server.host}/i:v1", outdir=str(tmp_path / "pulled"))
    assert os.path.basename(path) == "disk.img"
    assert Path(path).read_bytes() == DISK
    layout = oras.layout.NewLayout(str(folder))
    assert layout.blob_exists(digest_of(DISK))
    provider = oras.provider.Registry(hostname=server.host, insecure=True)
    layout.push_to_registry(provider, f"{server.host}/j:v1", tag="v1")
    assert_image(f"{server.host}/j:v1")


def test_we_read_what_oras_pushes(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(DISK)
    client = oras.client.OrasClient(hostname=server.host, insecure=True)
    target = f"{server.host}/k:v1"
    client.push(target=target, files=[f"{path}:{LAYER_TYPE}"], disable_path_validation=True, quiet=True)
    assert_image(target)
    other = f"{server.host}/k:v2"
    client.push(target=other, files=[str(path)], disable_path_validation=True, quiet=True)
    with pytest.raises(NotAnImageError) as caught:
        fetch_image(other)
    kinds = {
        "application/vnd.oci.image.layer.v1.tar": "of a container",
        "application/octet-stream": f"FILE:{LAYER_TYPE}",
    }
    assert kinds[str(caught.value.actual)] in (caught.value.hint or "")
    # The hint is true of the oras command.
    run(
        judge("oras", "oras"), "push", "--plain-http", "--disable-path-validation", f"{server.host}/k:v3",
        f"{path}:{LAYER_TYPE}",
    )  # fmt: skip
    assert_image(f"{server.host}/k:v3")


CRASHING = """
import os, signal, sys
from cloudboot_oci_stream.testing import docker_registry
with docker_registry() as server:
    print(server.pid, server.folder.parent, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_server_does_not_outlive_a_crash() -> None:
    judge("docker-registry", "docker-registry")
    done = subprocess.run([sys.executable, "-c", CRASHING], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    pid, folder = done.stdout.split()
    process = Path("/proc", pid, "stat")
    for _ in range(200):
        running = process.exists() and process.read_text().split()[2] != "Z"
        if not running and not os.path.exists(folder):
            return
        time.sleep(0.05)
    pytest.fail("docker-registry is still running, or its folder is still there")


def test_an_annotation_that_is_null_is_read_as_skopeo_and_oras_read_it(folder: Path) -> None:
    index = json.loads((folder / "index.json").read_text())
    blobs = folder / "blobs" / "sha256"
    (entry,) = index["manifests"]
    manifest = json.loads((blobs / entry["digest"].removeprefix("sha256:")).read_text())
    manifest["annotations"]["org.example.empty"] = None
    data = json.dumps(manifest).encode()
    entry |= {"digest": digest_of(data), "size": len(data)}
    (blobs / entry["digest"].removeprefix("sha256:")).write_bytes(data)
    (folder / "index.json").write_text(json.dumps(index))
    skopeo, oras = judge("skopeo", "skopeo"), judge("oras", "oras")
    run(skopeo, "copy", "--insecure-policy", f"oci:{folder}:v1", f"oci:{folder.parent}/skopeo:v1")
    run(oras, "cp", "--from-oci-layout", "--to-oci-layout", f"{folder}:v1", f"{folder.parent}/oras:v1")
    for name in (folder.name, "skopeo", "oras"):
        with fetch_image(f"oci:{folder.parent}/{name}:v1") as image:
            assert image.manifest.annotations["org.example.empty"] == ""


def test_an_archive_of_a_folder_is_named_as_one(folder: Path) -> None:
    archive = folder.parent / "images.tar"
    run(judge("tar", "tar"), "-C", folder, "-cf", archive, ".")
    with pytest.raises(ImageLayoutError, match="not a folder") as caught:
        fetch_image(f"oci:{archive}:v1")
    assert "tar -xf" in (caught.value.hint or "")
