"""Whole images: push, resolve, fetch, seal; in the in-process registry and in folders."""

from __future__ import annotations

import concurrent.futures
import fcntl
import io
import json
import mmap
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudboot_base.testing import run
from cloudboot_oci_stream import (
    ARTIFACT_TYPE,
    LAYER_TYPE,
    Access,
    Descriptor,
    OciError,
    RetryPolicy,
    copy_image,
    fetch_image,
    push_image,
)
from cloudboot_oci_stream.errors import (
    BodyOverflowError,
    DigestMismatchError,
    ImageLayoutError,
    ManifestTooLargeError,
    NoRoomError,
    NotAnImageError,
    NotFoundError,
    ShortBodyError,
    SizeMismatchError,
    TransferTimeoutError,
)
from cloudboot_oci_stream.image import SECTOR
from cloudboot_oci_stream.spec.descriptor import digest_of
from cloudboot_oci_stream.spec.manifest import DOCKER_MANIFEST_TYPE, EMPTY_CONFIG, INDEX_TYPE, MANIFEST_TYPE
from cloudboot_oci_stream.testing import FaultyRegistry

DISK = random.Random(7).randbytes(1_500_001)


@pytest.fixture(params=["registry", "folder"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return f"oci:{tmp_path}/images"
    registry = request.getfixturevalue("registry")
    assert isinstance(registry, FaultyRegistry)
    return f"{registry.host}/team/disk"


class Device:
    """A block device of another package: anything with a size and readinto_at."""

    size = len(DISK)

    def readinto_at(self, offset: int, buffer: Any) -> None:
        view = memoryview(buffer)
        view[:] = DISK[offset : offset + len(view)]


def test_there_and_back(place: str) -> None:
    manifest = push_image(
        DISK, f"{place}:v1", annotations={"org.example.os": "FreeBSD"}, created="2026-01-02T03:04:05Z"
    )
    with fetch_image(f"{place}:v1") as image:
        assert image.digest == manifest.digest
        assert image.descriptor == Descriptor(media_type=LAYER_TYPE, digest=digest_of(DISK), size=len(DISK))
        assert image.manifest.artifact_type == ARTIFACT_TYPE
        assert image.manifest.config == EMPTY_CONFIG
        assert image.manifest.annotations == {
            "org.example.os": "FreeBSD",
            "org.opencontainers.image.created": "2026-01-02T03:04:05Z",
        }
        assert image.size == -(-len(DISK) // SECTOR) * SECTOR == len(image.view)
        assert image.view[: len(DISK)] == DISK
        assert image.view[len(DISK) :] == bytes(image.size - len(DISK))
        assert Path(image.path).read_bytes() == image.view
    assert image.fd == -1
    image.close()


def test_by_digest_and_by_tag_and_digest(place: str) -> None:
    manifest = push_image(DISK, f"{place}:v1")
    other = push_image(b"another", f"{place}:v2")
    for reference in (f"{place}@{manifest.digest}", f"{place}:v1@{manifest.digest}", f"{place}:v2@{manifest.digest}"):
        with fetch_image(reference) as image:
            assert image.digest == manifest.digest
    assert other.digest != manifest.digest
    missing = "sha256:" + "1" * 64
    with pytest.raises(NotFoundError):
        fetch_image(f"{place}@{missing}")
    with pytest.raises(NotFoundError):
        fetch_image(f"{place}:v3")
    with pytest.raises(DigestMismatchError):
        push_image(DISK, f"{place}:v4@{missing}")


def test_the_memory_is_sealed(place: str) -> None:
    push_image(DISK, f"{place}:v1")
    with fetch_image(f"{place}:v1") as image:
        assert image.view.readonly
        wanted = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
        assert fcntl.fcntl(image.fd, fcntl.F_GET_SEALS) == wanted
        assert os.readlink(f"/proc/self/fd/{image.fd}").startswith("/memfd:cloudboot-")
        # Whoever opens it anew, even for writing, can do nothing to it either.
        fd = os.open(image.path, os.O_RDWR)
        with pytest.raises(PermissionError):
            os.pwrite(fd, b"x", 0)
        with pytest.raises(PermissionError):
            os.ftruncate(fd, 0)
        with pytest.raises(PermissionError):
            mmap.mmap(fd, image.size)
        os.close(fd)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(image.fd, b"x")


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_in_the_middle_does_not_keep_the_memory_from_being_sealed(place: str) -> None:
    push_image(DISK, f"{place}:v1")
    children: list[int] = []

    def fork(done: int, total: int) -> None:
        if done == total:
            children.append(os.fork())
            if not children[-1]:
                signal.pause()

    try:
        with fetch_image(f"{place}:v1", progress=fork) as image:
            assert image.view[: len(DISK)] == DISK
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def test_a_view_outlives_its_image(place: str) -> None:
    push_image(DISK, f"{place}:v1")
    with fetch_image(f"{place}:v1") as image:
        part = image.view[:100]
    assert part == DISK[:100]


@pytest.mark.parametrize(
    "kind", ["path", "fd", "memfd", "file", "unbuffered", "temporary", "BytesIO", "mmap", "device"]
)
def test_every_kind_of_source(place: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(DISK)
    memfd = os.memfd_create("disk")
    os.write(memfd, DISK)
    with path.open("rb") as file, path.open("rb", buffering=0) as raw, tempfile.NamedTemporaryFile() as temporary:
        temporary.write(DISK)
        temporary.flush()
        os.lseek(memfd, 5, os.SEEK_SET)
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        sources: dict[str, Any] = {
            "path": path,
            "fd": file.fileno(),
            "memfd": memfd,
            "file": file,
            "unbuffered": raw,
            "temporary": temporary,
            "BytesIO": io.BytesIO(DISK),
            "mmap": mapping,
            "device": Device(),
        }
        push_image(sources[kind], f"{place}:v1", title="disk.img")
        assert os.lseek(memfd, 0, os.SEEK_CUR) == 5
    os.close(memfd)
    with fetch_image(f"{place}:v1") as image:
        assert image.view[: len(DISK)] == DISK
        assert image.descriptor.annotations == {"org.opencontainers.image.title": "disk.img"}


def test_sources_that_are_none(place: str, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(writer)
    zero = os.open("/dev/zero", os.O_RDONLY)
    for source, error in [
        (reader, NotAnImageError),
        (iter([]), NotAnImageError),
        (iter([b"", "text"]), TypeError),
        (zero, OciError),
        (tmp_path, OciError),
        (b"", NotAnImageError),
        (tmp_path / "none", FileNotFoundError),
        (object(), TypeError),
    ]:
        with pytest.raises(error):
            push_image(source, f"{place}:v1")  # type: ignore[arg-type]  # the union, one at a time
    os.close(reader)
    os.close(zero)
    with pytest.raises(OciError):
        fetch_image(f"{place}:v1")


@pytest.mark.parametrize("chunk", [None, 300_000])
def test_a_stream_is_pushed_as_it_comes(place: str, chunk: int | None) -> None:
    seen: list[tuple[int, int]] = []
    pieces = (DISK[start : start + 70_001] for start in range(0, len(DISK), 70_001))
    manifest = push_image(
        pieces, f"{place}:v1", chunk=chunk, progress=lambda done, total: seen.append((done, total)), title="disk.img"
    )
    assert manifest == push_image(DISK, f"{place}:v2", title="disk.img")
    assert seen[-1] == (len(DISK), len(DISK))
    with fetch_image(f"{place}:v1") as image:
        assert image.view[: len(DISK)] == DISK


def test_a_pipe_is_pushed(place: str) -> None:
    with subprocess.Popen(["sh", "-c", "printf disk; printf image"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        push_image(process.stdout, f"{place}:v1")
    with fetch_image(f"{place}:v1") as image:
        assert bytes(image.view[:9]) == b"diskimage"


def test_a_stream_resumes_inside_its_chunk_only(registry: FaultyRegistry) -> None:
    def pieces() -> Iterator[bytes]:
        yield from (DISK[start : start + 50_000] for start in range(0, len(DISK), 50_000))

    registry.faults.upload_cuts = [120_000, 300_001, 650_000]
    push_image(pieces(), f"{registry.host}/d:v1", chunk=200_000)
    with fetch_image(f"{registry.host}/d:v1") as image:
        assert image.view[: len(DISK)] == DISK

    def forgetful() -> Iterator[bytes]:
        for number, piece in enumerate(pieces()):
            if number == 9:
                registry.uploads.clear()
            yield piece

    with pytest.raises(OciError):
        push_image(forgetful(), f"{registry.host}/d:v2", chunk=200_000)


def test_the_same_input_gives_the_same_bytes(place: str, tmp_path: Path) -> None:
    first = push_image(DISK, f"{place}:v1", annotations={"a": "1", "b": "2"})
    again = push_image(io.BytesIO(DISK), f"oci:{tmp_path}/other:x", annotations={"b": "2", "a": "1"})
    assert first == again


def test_a_tag_moves(place: str) -> None:
    push_image(DISK, f"{place}:v1")
    push_image(b"another", f"{place}:v1")
    with fetch_image(f"{place}:v1") as image:
        assert bytes(image.view[:7]) == b"another"


def test_an_image_too_large(place: str) -> None:
    push_image(DISK, f"{place}:v1")
    with pytest.raises(NoRoomError) as caught:
        fetch_image(f"{place}:v1", max_size=len(DISK) - 1)
    assert caught.value.actual == len(DISK)
    fetch_image(f"{place}:v1", max_size=len(DISK)).close()


# In a registry


def put(registry: FaultyRegistry, value: object, media_type: str = MANIFEST_TYPE, tag: str = "v1") -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return registry.add_manifest("team/disk", tag, media_type, data)


def manifest_of(size: int, digest: str) -> dict[str, Any]:
    layer = {"mediaType": LAYER_TYPE, "digest": digest, "size": size}
    return {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": EMPTY_CONFIG.as_json(), "layers": [layer]}


def test_a_failed_fetch_leaves_no_memory_behind(registry: FaultyRegistry) -> None:
    push_image(DISK, f"{registry.host}/team/disk:v1")
    registry.faults.flip = 100
    with pytest.raises(DigestMismatchError) as caught:
        fetch_image(f"{registry.host}/team/disk:v1")
    assert caught.value.digest == digest_of(DISK)
    assert "memfd:cloudboot" not in run("ls", "-l", f"/proc/{os.getpid()}/fd")
    del caught
    assert "memfd:cloudboot" not in Path("/proc/self/maps").read_text()


def test_an_absurd_size_is_refused_without_memory(registry: FaultyRegistry) -> None:
    digest = registry.add_blob(DISK)
    for size in (1 << 62, (1 << 63) - 1):
        put(registry, manifest_of(size, digest))
        for most in (None, size):
            with pytest.raises(NoRoomError if size + 511 > 1 << 63 or most is None else OciError):
                fetch_image(f"{registry.host}/team/disk:v1", max_size=most)
    put(registry, manifest_of(1 << 33, digest))
    with pytest.raises(SizeMismatchError):
        fetch_image(f"{registry.host}/team/disk:v1")


def test_a_wrong_digest_header(registry: FaultyRegistry) -> None:
    manifest = push_image(DISK, f"{registry.host}/team/disk:v1")
    registry.faults.manifest_digest = "sha256:" + "0" * 64
    with pytest.raises(DigestMismatchError):
        fetch_image(f"{registry.host}/team/disk:v1")
    # Asked for by digest, the bytes prove themselves whatever the header says.
    fetch_image(f"{registry.host}/team/disk@{manifest.digest}").close()
    with pytest.raises(DigestMismatchError):
        push_image(b"new", f"{registry.host}/team/disk:v2")
    # A digest of another kind than can be compared is no contradiction.
    registry.faults.manifest_digest = "sha512:" + "0" * 128
    fetch_image(f"{registry.host}/team/disk:v1").close()


def test_other_bytes_than_the_digest_asked_for(registry: FaultyRegistry) -> None:
    digest = push_image(DISK, f"{registry.host}/team/disk:v1").digest
    evil = push_image(b"evil", f"{registry.host}/team/disk:v2").digest
    registry.manifests["team/disk", digest] = registry.manifests["team/disk", evil]
    with pytest.raises(DigestMismatchError):
        fetch_image(f"{registry.host}/team/disk@{digest}")


def test_a_header_with_the_other_name_of_the_same_type(registry: FaultyRegistry, tmp_path: Path) -> None:
    """What the hashed bytes say counts; a cache's header may call an OCI manifest Docker's."""
    push_image(DISK, f"{registry.host}/d:v1")
    data = registry.manifests["d", "v1"][1]
    registry.add_manifest("d", "v1", DOCKER_MANIFEST_TYPE, data)
    with fetch_image(f"{registry.host}/d:v1") as image:
        assert image.view[: len(DISK)] == DISK
    assert copy_image(f"{registry.host}/d:v1", f"oci:{tmp_path}/d:v1").descriptor.media_type == MANIFEST_TYPE
    registry.add_manifest("d", "v1", INDEX_TYPE, data)
    with pytest.raises(NotAnImageError):
        fetch_image(f"{registry.host}/d:v1")


def test_a_manifest_too_large(registry: FaultyRegistry) -> None:
    put(registry, b" " * (5 << 20))
    with pytest.raises(ManifestTooLargeError):
        fetch_image(f"{registry.host}/team/disk:v1")


def test_an_index(registry: FaultyRegistry) -> None:
    push_image(DISK, f"{registry.host}/team/disk:amd64")
    push_image(b"arm", f"{registry.host}/team/disk:arm64")
    entries = []
    for machine in ("amd64", "arm64"):
        data = registry.manifests["team/disk", machine][1]
        entry = {"mediaType": MANIFEST_TYPE, "digest": digest_of(data), "size": len(data)}
        entries.append(entry | {"platform": {"os": "freebsd", "architecture": machine}})
    put(registry, {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries}, INDEX_TYPE)
    with fetch_image(f"{registry.host}/team/disk:v1", platform="freebsd/arm64") as image:
        assert bytes(image.view[:3]) == b"arm"
    with pytest.raises(NotAnImageError, match="freebsd/amd64, freebsd/arm64"):
        fetch_image(f"{registry.host}/team/disk:v1")
    with pytest.raises(NotAnImageError):
        fetch_image(f"{registry.host}/team/disk:v1", platform="linux/amd64")


def test_indexes_all_the_way_down(registry: FaultyRegistry) -> None:
    push_image(DISK, f"{registry.host}/team/disk:v0")
    media_type, data = registry.manifests["team/disk", "v0"]
    for level in range(1, 5):
        entry = {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}
        put(registry, {"schemaVersion": 2, "manifests": [entry]}, INDEX_TYPE, f"v{level}")
        media_type, data = registry.manifests["team/disk", f"v{level}"]
    fetch_image(f"{registry.host}/team/disk:v2").close()
    with pytest.raises(NotAnImageError, match="indexes within indexes"):
        fetch_image(f"{registry.host}/team/disk:v4")


@pytest.mark.parametrize("locations", ["absolute", "relative"])
def test_a_chunked_upload_that_breaks(registry: FaultyRegistry, locations: Any) -> None:
    registry.faults.locations = locations
    registry.faults.upload_cuts = [0, 300_000, 1_200_000]
    push_image(DISK, f"{registry.host}/team/disk:v1", chunk=400_000)
    assert len(registry.requests("PATCH")) >= 4
    assert registry.faults.upload_cuts == []
    with fetch_image(f"{registry.host}/team/disk:v1") as image:
        assert image.view[: len(DISK)] == DISK


def test_a_long_upload_may_break_often(registry: FaultyRegistry) -> None:
    """What counts is how often in a row: every chunk that arrives is progress."""
    registry.faults.upload_cuts = list(range(150_000, len(DISK), 100_000))
    push_image(DISK, f"{registry.host}/team/disk:v1", chunk=50_000)
    assert registry.faults.upload_cuts == []
    with pytest.raises(ValueError, match="chunk of 0"):
        push_image(DISK, f"{registry.host}/team/disk:v2", chunk=0)


def test_a_blob_is_not_sent_twice(registry: FaultyRegistry) -> None:
    push_image(DISK, f"{registry.host}/team/disk:v1")
    del registry.seen[:]
    seen: list[tuple[int, int]] = []
    push_image(DISK, f"{registry.host}/team/disk:v2", progress=lambda done, total: seen.append((done, total)))
    assert [request.method for request in registry.seen] == ["HEAD", "HEAD", "PUT"]
    assert seen == [(len(DISK), len(DISK))]


def test_an_upload_that_changes_under_way_is_refused(registry: FaultyRegistry, tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(DISK)

    def change(done: int, total: int) -> None:
        del done, total
        path.write_bytes(DISK[:-1] + b"x")

    with pytest.raises(OciError, match="digest"):
        push_image(path, f"{registry.host}/team/disk:v1", progress=change)
    os.truncate(path, 2 << 20)

    def shorten(done: int, total: int) -> None:
        del done, total
        os.truncate(path, 10)

    with pytest.raises(ShortBodyError):
        push_image(path, f"{registry.host}/team/disk:v1", progress=shorten)
    assert not registry.manifests


# In a folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    push_image(DISK, f"oci:{tmp_path}/images:v1")
    return tmp_path / "images"


def blob_of(folder: Path, digest: str) -> Path:
    return folder / "blobs" / digest.replace(":", "/")


def test_the_files_of_a_folder(folder: Path) -> None:
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert [name for name in names if not name.startswith("blobs")] == ["index.json", "oci-layout"]
    assert len(names) == 5, "disk, manifest and config; nothing temporary"
    for name in names:
        if name.startswith("blobs/sha256/"):
            assert digest_of((folder / name).read_bytes()) == "sha256:" + name.removeprefix("blobs/sha256/")
    assert json.loads((folder / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}


def make_pipe(blob: Path) -> None:
    blob.unlink()
    os.mkfifo(blob)


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda blob: blob.write_bytes(b"x" + DISK[1:]), DigestMismatchError),
        (lambda blob: blob.write_bytes(DISK[:-1]), SizeMismatchError),
        (lambda blob: blob.write_bytes(DISK + b"x"), BodyOverflowError),
        (lambda blob: blob.unlink(), NotFoundError),
        (lambda blob: (blob.unlink(), blob.mkdir()), OciError),
        (make_pipe, ImageLayoutError),
        (lambda blob: (blob.unlink(), blob.symlink_to("/dev/zero")), ImageLayoutError),
        (lambda blob: (blob.unlink(), blob.symlink_to(blob)), OSError),
    ],
    ids=["changed", "shorter", "longer", "missing", "folder", "pipe", "device", "loop"],
)
def test_a_damaged_blob(folder: Path, damage: Any, error: type[Exception]) -> None:
    damage(blob_of(folder, digest_of(DISK)))
    with pytest.raises(error):
        fetch_image(f"oci:{folder}:v1")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("oci-layout", b'{"imageLayoutVersion":"2.0.0"}'),
        ("oci-layout", b"{}"),
        ("oci-layout", b"no"),
        ("oci-layout", None),
        ("index.json", b"[]"),
        ("index.json", b'{"schemaVersion":2}'),
        ("index.json", b'{"schemaVersion":2,"manifests":[5]}'),
        ("index.json", b"{" * 1000),
        ("index.json", b" " * (5 << 20)),
        ("index.json", None),
    ],
)
def test_a_damaged_folder(folder: Path, name: str, data: bytes | None) -> None:
    if data is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(data)
    with pytest.raises(OciError):
        fetch_image(f"oci:{folder}:v1")


def test_a_manifest_that_was_changed(folder: Path) -> None:
    index = json.loads((folder / "index.json").read_bytes())
    path = blob_of(folder, index["manifests"][0]["digest"])
    path.write_bytes(path.read_bytes().replace(b"1500001", b"1500002"))
    with pytest.raises(DigestMismatchError):
        fetch_image(f"oci:{folder}:v1")


def test_folders_that_are_something_else(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ImageLayoutError, match="other things"):
        push_image(DISK, f"oci:{tmp_path}:v1")
    with pytest.raises(ImageLayoutError):
        fetch_image(f"oci:{tmp_path}:v1")
    with pytest.raises(ImageLayoutError):
        fetch_image(f"oci:{tmp_path}/none:v1")
    assert os.listdir(tmp_path) == ["notes.txt"]


def test_what_others_wrote_into_the_index_stays(folder: Path) -> None:
    index = json.loads((folder / "index.json").read_bytes())
    index["annotations"] = {"org.example": "kept"}
    index["manifests"][0]["x-other"] = [1]
    (folder / "index.json").write_text(json.dumps(index))
    push_image(b"another", f"oci:{folder}:v2")
    changed = json.loads((folder / "index.json").read_bytes())
    assert changed["annotations"] == {"org.example": "kept"}
    assert changed["manifests"][0] == index["manifests"][0]
    assert [entry["annotations"] for entry in changed["manifests"]] == [
        {"org.opencontainers.image.ref.name": tag} for tag in ("v1", "v2")
    ]


def test_a_folder_without_a_tag(tmp_path: Path) -> None:
    first = push_image(DISK, f"oci:{tmp_path}/images")
    assert push_image(DISK, f"oci:{tmp_path}/images") == first
    with fetch_image(f"oci:{tmp_path}/images") as image:
        assert image.digest == first.digest
    push_image(b"another", f"oci:{tmp_path}/images:v2")
    with pytest.raises(NotAnImageError):
        fetch_image(f"oci:{tmp_path}/images")


def test_holes_stay_holes(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    with path.open("wb") as file:
        file.truncate(64 << 20)
        file.seek(40 << 20)
        file.write(b"data")
    push_image(path, f"oci:{tmp_path}/images:v1")
    blobs = (tmp_path / "images/blobs/sha256").iterdir()
    (stored,) = (blob for blob in blobs if blob.stat().st_size == 64 << 20)
    assert stored.stat().st_blocks * 512 <= 2 << 20


def test_an_interrupted_push_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        push_image(DISK, f"oci:{tmp_path}/images:v1", progress=interrupt)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()] == ["images/oci-layout"]
    push_image(DISK, f"oci:{tmp_path}/images:v1")


WORKER = """
import sys
from cloudboot_oci_stream import push_image
folder, worker = sys.argv[1:]
for count in range(10):
    push_image(f"{worker} {count}".encode(), f"oci:{folder}:w{worker}-{count}")
"""


def test_a_writer_waits_no_longer_than_its_deadline(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    push_image(DISK, f"oci:{folder}:v1")
    fd = os.open(folder, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        with pytest.raises(TransferTimeoutError):
            push_image(DISK, f"oci:{folder}:v2", deadline=0.2)
    finally:
        os.close(fd)
    push_image(DISK, f"oci:{folder}:v2", deadline=10)


def test_writers_take_turns(tmp_path: Path) -> None:
    folder = str(tmp_path / "images")
    workers = [subprocess.Popen([sys.executable, "-c", WORKER, folder, str(worker)]) for worker in range(3)]
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    for worker in range(3):
        for count in range(10):
            with fetch_image(f"oci:{folder}:w{worker}-{count}") as image:
                assert image.view[: image.descriptor.size] == b"%d %d" % (worker, count)


def test_a_folder_that_another_writer_is_just_making(folder: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    fd = os.open(made, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    (made / "index.json").write_bytes((folder / "index.json").read_bytes())
    with concurrent.futures.ThreadPoolExecutor() as pool:
        push = pool.submit(push_image, b"another", f"oci:{made}:v2")
        # Neither refused nor done: the other writer has not finished.
        assert concurrent.futures.wait([push], timeout=0.3).not_done
        (made / "oci-layout").write_bytes((folder / "oci-layout").read_bytes())
        os.close(fd)
        push.result(timeout=30)
    assert len(json.loads((made / "index.json").read_bytes())["manifests"]) == 2


def test_options_reach_the_transfer(registry: FaultyRegistry) -> None:
    push_image(DISK, f"{registry.host}/team/disk:v1")
    registry.faults.cuts = [100_000]
    with pytest.raises(ShortBodyError):
        fetch_image(f"{registry.host}/team/disk:v1", retry=RetryPolicy(attempts=0), access=Access(stall=5))
