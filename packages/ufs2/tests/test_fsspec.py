"""The fsspec adapter passes fsspec's own suites, and what it leaves behind is sound."""

from __future__ import annotations

import datetime
import io
import os
import pickle
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest
from fsspec.tests import abstract

from cloudboot_base import MemoryStorage
from cloudboot_base.testing import judge, run
from cloudboot_ufs2 import UFS2, Options, WritableUFS2, check
from cloudboot_ufs2 import format as format_volume
from cloudboot_ufs2.fsspecfs import UFS2FileSystem
from cloudboot_ufs2.testing import pattern
from cloudboot_vfs.errors import ContentSizeError, ReadOnlyError, VfsError

MEBIBYTE = 1 << 20
LAYOUTS = [
    Options(snap_directory=False),
    Options(block_size=4096, fragment_size=512, byteorder="big", snap_directory=False),
]


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Path]:
    """A new file system in a file; it is sound when the test is done."""
    path = tmp_path / "image"
    format_volume(path, Options(label="spec", snap_directory=False), size=16 * MEBIBYTE)
    yield path
    assert check(path) == []


@pytest.fixture
def fs(image: Path) -> UFS2FileSystem:
    found = fsspec.filesystem("ufs2", fo=str(image), mode="r+")
    assert isinstance(found, UFS2FileSystem)
    return found


def edited(fs: UFS2FileSystem) -> WritableUFS2:
    assert isinstance(fs.volume, WritableUFS2)
    return fs.volume


class Fixtures(abstract.AbstractFixtures):  # type: ignore[misc] # fsspec has no type information
    @pytest.fixture(params=LAYOUTS, ids=["32768-little", "4096-big"])
    def fs(self, request: pytest.FixtureRequest) -> Iterator[UFS2FileSystem]:
        image = MemoryStorage(bytearray(8 * MEBIBYTE))
        format_volume(image, request.param)
        yield UFS2FileSystem(image, mode="r+", auto_mkdir=True)
        assert check(image) == []

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


def test_the_sleuth_kit_lists_what_was_put(image: Path, fs: UFS2FileSystem, tree: Path) -> None:
    for link in tree.rglob("*"):
        if link.is_symlink() and not link.exists():
            link.unlink()  # which fsspec would follow
    fs.put(f"{tree}/", "/", recursive=True)
    fs.rm("/many", recursive=True)
    fs.mv("/boot", "/etc/boot")
    listed = {line.split("\t")[1] for line in run(judge("fls", "sleuthkit"), "-u", "-r", "-p", image).splitlines()}
    kept = [path for path in tree.rglob("*") if path.relative_to(tree).parts[0] != "many"]
    names = [str(path.relative_to(tree)) for path in kept]
    assert listed - {"$OrphanFiles"} == {f"etc/{name}" if name.split("/")[0] == "boot" else name for name in names}
    pytsk3 = pytest.importorskip("pytsk3")
    volume = pytsk3.FS_Info(pytsk3.Img_Info(str(image)))
    kernel = volume.open("/etc/boot/kernel/kernel")
    assert kernel.read_random(0, kernel.info.meta.size) == (tree / "boot/kernel/kernel").read_bytes()


def test_chained_urls(image: Path, tmp_path: Path) -> None:
    first = fsspec.filesystem("ufs2", fo=str(image), mode="r+")
    first.mkdir("/boot")
    first.pipe("/boot/loader.conf", b"x=1\n")
    del first
    with fsspec.open(f"ufs2://boot/loader.conf::{image}") as file:
        assert file.read() == b"x=1\n"
    with fsspec.open(f"ufs2://boot/new::file://{image}", "wt", ufs2={"mode": "r+"}) as file:
        file.write("text")
    with zipfile.ZipFile(tmp_path / "images.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(image, "disk.img")
    url = f"zip://disk.img::{tmp_path}/images.zip"
    with fsspec.open(f"ufs2://boot/new::{url}", "rt") as file:
        assert file.read() == "text"
    with pytest.raises(ReadOnlyError, match="local file or in memory"):
        fsspec.filesystem("ufs2", fo=url, mode="r+")


def test_an_image_in_memory(image: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/disk.img", image.read_bytes())
    fsspec.filesystem("ufs2", fo="memory://disk.img", mode="r+").pipe("/name", b"value")
    assert fsspec.filesystem("ufs2", fo="memory://disk.img").cat("/name") == b"value"
    assert check(memory.cat("/disk.img")) == []
    memory.rm("/disk.img")


def test_a_partition_of_a_disk(image: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.seek(MEBIBYTE)
        file.write(image.read_bytes())
        file.truncate(MEBIBYTE + 17 * MEBIBYTE)
    where = {"fo": str(disk), "offset": MEBIBYTE, "size": 16 * MEBIBYTE}
    fsspec.filesystem("ufs2", mode="r+", **where).pipe("/name", b"value")
    assert fsspec.filesystem("ufs2", **where).cat("/name") == b"value"
    assert check(disk, offset=MEBIBYTE, size=16 * MEBIBYTE) == []


def test_threads_share_an_instance(image: Path, fs: UFS2FileSystem) -> None:
    def work(number: int) -> None:
        fs.makedirs(f"/{number}", exist_ok=True)
        for step in range(12):
            fs.pipe(f"/{number}/{step}", pattern(5000 * step, seed=number))
            with fs.open("/log", "ab") as log:
                log.write(b"%d-%d\n" % (number, step))
            if step % 3 == 2:
                fs.mv(f"/{number}/{step}", f"/{number}/moved-{step}")
                fs.rm(f"/{number}/{step - 1}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    with UFS2.open(image) as volume:
        assert sorted(volume.read_file("/log").split()) == sorted(
            b"%d-%d" % (a, b) for a in range(8) for b in range(12)
        )
        for number in range(8):
            assert len(volume.listdir(f"/{number}")) == 8
            assert volume.read_file(f"/{number}/moved-11") == pattern(55000, seed=number)


def test_a_second_writer_is_refused(image: Path, fs: UFS2FileSystem) -> None:
    fs.pipe("/file", b"first")
    with pytest.raises(ReadOnlyError, match="another process is writing") as caught:
        fsspec.filesystem("ufs2", fo=str(image), mode="r+")
    assert caught.value.hint is not None
    assert "share" in caught.value.hint


def test_an_instance_to_read_changes_nothing(image: Path, fs: UFS2FileSystem) -> None:
    fs.pipe("/later", b"seen")
    reader = fsspec.filesystem("ufs2", fo=str(image))
    assert reader.cat("/later") == b"seen"
    changes: list[Callable[[], object]] = [
        lambda: reader.pipe("/later", b""),
        lambda: reader.rm("/later"),
        lambda: reader.open("/later", "r+b"),
        lambda: reader.mkdir("/more"),
        lambda: reader.chmod("/later", 0),
    ]
    for change in changes:
        with pytest.raises(ReadOnlyError):
            change()
    assert pickle.loads(pickle.dumps(reader)).cat("/later") == b"seen"
    assert fs.fsid == reader.fsid


def test_a_transaction(image: Path, fs: UFS2FileSystem) -> None:
    fs.pipe("/a", b"old")
    with fs.transaction:
        with fs.open("/a", "wb") as file:
            file.write(b"new")
        fs.pipe("/b", b"more")
        assert fs.cat("/a") == b"old"
        assert not fs.exists("/b")
        with pytest.raises(FileExistsError):
            fs.open("/a", "xb")
        with pytest.raises(IsADirectoryError):
            fs.open("/", "wb")
        with pytest.raises(io.UnsupportedOperation):
            fs.open("/a", "ab")
    assert fs.cat(["/a", "/b"]) == {"/a": b"new", "/b": b"more"}
    with pytest.raises(KeyError), fs.transaction:
        fs.pipe("/c", b"never")
        raise KeyError
    with pytest.raises(FileExistsError):
        fs.transaction.start()
        file = fs.open("/d", "xb")
        file.close()
        edited(fs).write_file("/d", b"meanwhile")
        fs.end_transaction()
    assert fs.cat("/d") == b"meanwhile"
    assert sorted(fs.ls("/", detail=False)) == ["/a", "/b", "/d"]


def test_symbolic_links(fs: UFS2FileSystem) -> None:
    fs.makedirs("/real/below")
    fs.pipe("/real/file", b"content")
    fs.symlink("real", "/way")
    fs.symlink("ufs2:///real/file", "/real/loop")
    fs.symlink(".", "/real/self")
    fs.symlink("nowhere", "/dead")
    assert fs.cat("/way/file") == b"content"
    assert fs.isdir("/way")
    assert fs.islink("/way")
    assert not fs.islink("/none")
    assert fs.info("/way")["destination"] == "real"
    assert fs.info("/real/loop")["type"] == "file"
    assert {entry["name"]: entry["type"] for entry in fs.ls("/")} == {
        "/real": "directory", "/way": "other", "/dead": "other",
    }  # fmt: skip
    assert fs.ls("/way", detail=False) == ["/way/below", "/way/file", "/way/loop", "/way/self"]
    assert fs.find("/") == ["/dead", "/real/file", "/real/loop", "/real/self", "/way"]
    assert fs.lexists("/dead")
    assert not fs.exists("/dead")
    assert not fs.lexists("/real/file/below")
    fs.rm(["/way", "/dead"], recursive=True)
    assert fs.cat("/real/file") == b"content"
    fs.rm("/real", recursive=True)
    assert fs.ls("/") == []


def test_names(fs: UFS2FileSystem) -> None:
    fs.pipe("/a", b"a")
    fs.chmod("/a", 0o4711)
    fs.link("/a", "/b")
    assert fs.info("/b")["nlink"] == 2
    fs.mkdir("/d")
    fs.mv("/a", "/d")
    fs.mv("/b", "/d/")
    assert oct(fs.info("/d/a")["mode"]) == oct(0o104711)
    fs.mv("/d/?", "/")
    assert sorted(fs.ls("/", detail=False)) == ["/a", "/b", "/d"]
    with pytest.raises(FileExistsError):
        fs.mkdir("/d")
    with pytest.raises(FileExistsError):
        fs.makedirs("/a", exist_ok=True)
    with pytest.raises(NotADirectoryError):
        fs.mkdir("/a/b", create_parents=False)
    with pytest.raises(FileNotFoundError):
        fs.rm("/none")
    with pytest.raises(IsADirectoryError):
        fs.rm("/d")
    with pytest.raises(FileNotFoundError):
        fs.mkdir("/x/y", create_parents=False)
    fs.mkdir("/d/e")
    fs.rm(["/d", "/d/e"], recursive=True)
    fs.mkdir("/d")
    fs.rmdir("/d")
    fs.rm("/", recursive=True)
    assert fs.find("/", withdirs=True) == ["/"]


def test_contents(fs: UFS2FileSystem) -> None:
    data = pattern(300_000)
    with fs.open("/file", "w+b") as file:
        assert file.write(data) == len(data)
        file.seek(1000)
        assert file.read(16) == data[1000:1016]
        file.flush()
        assert file.size == len(data) == file.info()["size"]
    assert fs.cat_file("/file", 100, -100) == data[100:-100]
    assert fs.cat_file("/file", -7) == data[-7:]
    assert fs.cat_file("/file", 400_000, 500_000) == b""
    assert fs.read_block("/file", 5, 10) == data[5:15]
    assert fs.head("/file", 10) + fs.tail("/file", 10) == data[:10] + data[-10:]
    fs.cp("/file", "/file")
    fs.cp("/file", "/copy")
    assert fs.cat("/copy") == data
    assert fs.du("/") == 600_000
    with fs.open("/text", "wt", encoding="utf-8", compression="gzip") as text:
        text.write("\N{SNOWMAN}")
    assert fs.read_text("/text", encoding="utf-8", compression="gzip") == "\N{SNOWMAN}"
    edited(fs).truncate("/copy", 1 << 40)
    with pytest.raises(ContentSizeError, match="too large"):
        fs.cat("/copy")
    with fs.open("/copy") as file, pytest.raises(ContentSizeError, match="too large"):
        file.read()


def test_cached_by_fsspec(image: Path, fs: UFS2FileSystem, tmp_path: Path) -> None:
    fs.pipe("/file", pattern(3 * MEBIBYTE))
    for protocol in ("simplecache", "filecache"):
        cached = fsspec.filesystem(protocol, fs=fs, cache_storage=str(tmp_path / protocol))
        with cached.open("/file") as file:
            file.seek(2 * MEBIBYTE)
            assert file.read(100) == pattern(3 * MEBIBYTE)[2 * MEBIBYTE :][:100]


def test_times(image: Path) -> None:
    moments = iter(range(1_700_000_000_000_000_000, 1_700_000_001_000_000_000, 1000))
    fs = fsspec.filesystem("ufs2", fo=str(image), mode="r+", clock=lambda: next(moments))
    fs.touch("/file")
    born = fs.created("/file")
    assert born >= datetime.datetime(2023, 11, 14, 22, 13, 20, tzinfo=datetime.UTC)
    fs.pipe("/file", b"content")
    fs.touch("/file", truncate=False)
    assert fs.cat("/file") == b"content"
    assert fs.created("/file") == born < fs.modified("/file")
    edited(fs).utime("/file", mtime_ns=1 << 70)
    with pytest.raises(VfsError, match="calendar"):
        fs.modified("/file")


def test_the_image_is_closed_with_the_last_instance(image: Path) -> None:
    def descriptors() -> list[str]:
        return [name for fd in os.listdir("/proc/self/fd") if (name := _target(fd)) == str(image)]

    first = fsspec.filesystem("ufs2", fo=str(image), mode="r+")
    file = first.open("/file", "wb")
    assert len(descriptors()) == 1
    del first
    file.write(b"late")
    file.close()
    del file
    assert descriptors() == []
    with WritableUFS2.open(image) as volume:
        assert volume.read_file("/file") == b"late"


def _target(fd: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:
        return ""
