"""The fsspec adapter passes fsspec's own suites, and what it leaves behind is sound."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest
from fsspec.tests import abstract

import cloudboot_ntfs as ntfs
from cloudboot_base import MemoryStorage
from cloudboot_ntfs.fsspecfs import NTFSFileSystem
from cloudboot_ntfs.testing import mounted, pattern
from cloudboot_vfs.errors import ContentSizeError, ReadOnlyError

MEBIBYTE = 1 << 20


class Fixtures(abstract.AbstractFixtures):  # type: ignore[misc] # fsspec has no type information
    @pytest.fixture(params=[512])
    def fs(self, request: pytest.FixtureRequest) -> Iterator[NTFSFileSystem]:
        image = MemoryStorage(bytearray(8 * MEBIBYTE))
        ntfs.format(image, ntfs.Options(cluster_size=request.param, fresh=True))
        yield NTFSFileSystem(image, mode="r+", auto_mkdir=True)
        assert ntfs.check(image) == []

    @pytest.fixture
    def fs_path(self) -> str:
        return "/base"


class TestCopy(abstract.AbstractCopyTests, Fixtures):  # type: ignore[misc] # fsspec has no type information
    """fsspec's suite for copying within a file system."""


class TestGet(abstract.AbstractGetTests, Fixtures):  # type: ignore[misc] # fsspec has no type information
    """fsspec's suite for copying out of a file system."""


class TestPut(abstract.AbstractPutTests, Fixtures):  # type: ignore[misc] # fsspec has no type information
    """fsspec's suite for copying into a file system."""


class TestOpen(abstract.AbstractOpenTests, Fixtures):  # type: ignore[misc] # fsspec has no type information
    """fsspec's suite for opening files."""


class TestPipe(abstract.AbstractPipeTests, Fixtures):  # type: ignore[misc] # fsspec has no type information
    """fsspec's suite for whole contents."""


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Path]:
    """A new volume in a file; it is sound when the test is done."""
    path = tmp_path / "image"
    ntfs.format(path, ntfs.Options(label="spec"), size=16 * MEBIBYTE)
    yield path
    assert ntfs.check(path) == []


@pytest.fixture
def fs(image: Path) -> NTFSFileSystem:
    found = fsspec.filesystem("ntfs", fo=str(image), mode="r+")
    assert isinstance(found, NTFSFileSystem)
    return found


def test_a_tree_of_the_host(image: Path, fs: NTFSFileSystem, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for number in range(120):
        place = tree / f"folder {number % 7}" / f"a file with a longer name {number}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(pattern(number * 100, number))
    fs.put(f"{tree}/", "/", recursive=True)
    fs.rm("/folder 3", recursive=True)
    fs.mv("/folder 4", "/folder 5/moved")
    fs.cp("/folder 1/", "/copied/", recursive=True)
    with mounted(image, "ro") as folder:
        found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        names = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()}
        kept = {name for name in names if not name.startswith("folder 3/")}
        moved = {name.replace("folder 4/", "folder 5/moved/") for name in kept}
        assert found == moved | {name.replace("folder 1/", "copied/") for name in kept if name.startswith("folder 1/")}
        assert (folder / "copied/a file with a longer name 113").read_bytes() == pattern(11_300, 113)


def test_chained_urls_and_memory(image: Path) -> None:
    with fsspec.open(f"ntfs://boot/new::file://{image}", "wt", ntfs={"mode": "r+", "auto_mkdir": True}) as file:
        file.write("text")
    with fsspec.open(f"ntfs://BOOT/NEW::{image}", "rt") as file:
        assert file.read() == "text"
    memory = fsspec.filesystem("memory")
    memory.pipe("/disk.img", image.read_bytes())
    fsspec.filesystem("ntfs", fo="memory://disk.img", mode="r+").pipe("/name", b"value")
    assert fsspec.filesystem("ntfs", fo="memory://disk.img").cat("/name") == b"value"
    assert ntfs.check(memory.cat("/disk.img")) == []
    memory.rm("/disk.img")


def test_a_partition_of_a_disk(image: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.seek(MEBIBYTE)
        file.write(image.read_bytes())
        file.truncate(MEBIBYTE + 17 * MEBIBYTE)
    where = {"fo": str(disk), "offset": MEBIBYTE, "size": 16 * MEBIBYTE}
    fsspec.filesystem("ntfs", mode="r+", **where).pipe("/name", b"value")
    assert fsspec.filesystem("ntfs", **where).cat("/name") == b"value"
    assert ntfs.check(disk, offset=MEBIBYTE, size=16 * MEBIBYTE) == []


def test_one_writer_and_many_readers(image: Path, fs: NTFSFileSystem) -> None:
    fs.pipe("/file", b"first")
    with pytest.raises(ReadOnlyError, match="another process is writing"):
        fsspec.filesystem("ntfs", fo=str(image), mode="r+")
    reader = fsspec.filesystem("ntfs", fo=str(image))
    assert pickle.loads(pickle.dumps(reader)).cat("/file") == b"first"
    assert fs.fsid == reader.fsid
    changes: list[Callable[[], object]] = [
        lambda: reader.pipe("/file", b""),
        lambda: reader.rm("/file"),
        lambda: reader.mkdir("/more"),
    ]
    for change in changes:
        with pytest.raises(ReadOnlyError):
            change()


def test_a_transaction(image: Path, fs: NTFSFileSystem) -> None:
    fs.pipe("/a", b"old")
    with fs.transaction:
        with fs.open("/a", "wb") as file:
            file.write(b"new")
        fs.pipe("/b", b"more")
        assert fs.cat("/a") == b"old"
        assert not fs.exists("/b")
    assert fs.cat(["/a", "/b"]) == {"/a": b"new", "/b": b"more"}
    with pytest.raises(KeyError), fs.transaction:
        fs.pipe("/c", b"never")
        raise KeyError
    assert sorted(fs.ls("/", detail=False)) == ["/a", "/b"]


def test_symbolic_links(image: Path, fs: NTFSFileSystem) -> None:
    fs.makedirs("/real/below")
    fs.pipe("/real/file", b"content")
    fs.symlink("real", "/way")
    fs.symlink(".", "/real/self")
    fs.symlink("nowhere", "/dead")
    assert fs.cat("/way/file") == b"content"
    assert fs.isdir("/way")
    assert fs.info("/way")["destination"] == "real"
    assert {entry["name"]: entry["type"] for entry in fs.ls("/")} == {
        "/real": "directory", "/way": "other", "/dead": "other",
    }  # fmt: skip
    assert fs.find("/") == ["/dead", "/real/file", "/real/self", "/way"]
    assert fs.lexists("/dead")
    assert not fs.exists("/dead")
    with mounted(image, "ro") as folder:
        assert os.readlink(folder / "way") == "real"
        assert (folder / "way/self/file").read_bytes() == b"content"
    fs.rm(["/way", "/dead"], recursive=True)
    assert fs.cat("/real/file") == b"content"
    fs.rm("/real", recursive=True)
    assert fs.ls("/") == []


def test_holes(image: Path, fs: NTFSFileSystem) -> None:
    volume = fs.volume
    assert isinstance(volume, ntfs.WritableNTFS)
    fs.pipe("/file", pattern(10_000))
    volume.truncate("/file", 1 << 40)
    with pytest.raises(ContentSizeError, match="too large"):
        fs.cat("/file")
    assert ntfs.check(image) == []
    volume.write_at("/file", 1 << 30, pattern(5000, 2))
    volume.write_at("/file", (1 << 20) + 17, pattern(200_000, 3))
    volume.truncate("/file", 3 << 20)
    volume.write_at("/file", 3 << 20, b"end")
    assert volume.stat("/file").st_blocks * 512 < 300_000
    expected = bytearray((3 << 20) + 3)
    expected[:10_000] = pattern(10_000)
    expected[(1 << 20) + 17 : (1 << 20) + 17 + 200_000] = pattern(200_000, 3)
    expected[3 << 20 :] = b"end"
    assert volume.write_file("/sparse", bytes(expected), sparse=True) == len(expected)
    assert volume.stat("/sparse").st_blocks * 512 < 400_000
    with mounted(image, "ro") as folder:
        assert (folder / "file").read_bytes() == (folder / "sparse").read_bytes() == bytes(expected)


def test_the_image_is_closed_with_the_last_instance(image: Path) -> None:
    def descriptors() -> list[str]:
        return [name for fd in os.listdir("/proc/self/fd") if (name := _target(fd)) == str(image)]

    first = fsspec.filesystem("ntfs", fo=str(image), mode="r+")
    file = first.open("/file", "wb")
    assert len(descriptors()) == 1
    del first
    file.write(b"late")
    file.close()
    del file
    assert descriptors() == []
    with ntfs.NTFS(image) as volume:
        assert volume.read_file("/file") == b"late"


def _target(fd: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:
        return ""
