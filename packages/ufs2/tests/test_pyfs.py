"""The PyFilesystem2 adapter passes PyFilesystem2's own suite, and what it leaves behind is sound."""

from __future__ import annotations

import gzip
import math
import threading
import time
import unittest
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cloudboot_base.testing import judge, run
from cloudboot_ufs2 import UFS2, NoSpaceError, Options, WritableUFS2, check
from cloudboot_ufs2 import format as format_volume
from cloudboot_ufs2.testing import pattern, sample_image
from cloudboot_vfs.errors import ContentSizeError

with warnings.catch_warnings():
    # fs declares its namespaces through pkg_resources, which setuptools deprecates, and no newer fs does otherwise.
    warnings.filterwarnings("ignore", "pkg_resources is deprecated as an API", UserWarning)
    warnings.filterwarnings("ignore", "Deprecated call to `pkg_resources.declare_namespace", DeprecationWarning)
    import fs
    import fs.copy
    import fs.opener
    from fs import errors
    from fs.base import FS
    from fs.enums import ResourceType
    from fs.opener.errors import OpenerError
    from fs.permissions import Permissions
    from fs.test import FSTestCases

    from cloudboot_ufs2.pyfs import UFS2FS

MEBIBYTE = 1 << 20


class Suite(FSTestCases):
    """PyFilesystem2's 79 cases; after each the image is sound, and the Sleuth Kit lists what we do."""

    options = Options(snap_directory=False)
    # fs.test looks this up before the name that Python 3.12 left.
    assertRaisesRegexp = unittest.TestCase.assertRaisesRegex  # noqa: N815 -- the name it had

    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.image = tmp_path / "image"

    def make_fs(self) -> UFS2FS:
        format_volume(self.image, self.options, size=32 * MEBIBYTE)
        return UFS2FS(self.image, writable=True)

    def destroy_fs(self, fs: UFS2FS) -> None:
        fs.close()
        assert check(self.image) == []
        with UFS2.open(self.image) as volume:
            ours = {entry.path[1:] for _, below, others in volume.walk() for entry in below + others}
        assert listed(self.image) == ours


class TestDefaultLayout(Suite, unittest.TestCase):
    """Blocks of 32 KiB, little-endian."""


class TestSmallBlocks(Suite, unittest.TestCase):
    """Blocks of 4 KiB, so that files have indirect blocks, big-endian."""

    options = Options(block_size=4096, fragment_size=512, byteorder="big", snap_directory=False)


def listed(image: Path) -> set[str]:
    """The paths that the Sleuth Kit finds."""
    lines = run(judge("fls", "sleuthkit"), "-u", "-r", "-p", image).splitlines()
    return {line.split("\t")[1] for line in lines} - {"$OrphanFiles"}


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Path]:
    """A new file system in a file; it is sound when the test is done."""
    path = tmp_path / "image"
    format_volume(path, Options(label="root", snap_directory=False), size=16 * MEBIBYTE)
    yield path
    assert check(path) == []


@pytest.fixture
def ufs(image: Path) -> Iterator[UFS2FS]:
    with UFS2FS(image, writable=True) as opened:
        yield opened


@pytest.fixture
def edited(ufs: UFS2FS) -> WritableUFS2:
    assert isinstance(ufs.volume, WritableUFS2)
    return ufs.volume


def test_threads(image: Path, ufs: UFS2FS) -> None:
    ufs.writebytes("shared", pattern(500_000))
    log = ufs.openbin("log", "a", buffering=0)

    def work(number: int) -> None:
        mine = ufs.makedir(f"{number}")
        for step in range(12):
            mine.writebytes(f"{step}", pattern(5000 * step, seed=number))
            log.write(b"%d-%d\n" % (number, step))
            assert ufs.readbytes("shared") == pattern(500_000)
            if step % 3 == 2:
                mine.move(f"{step}", f"moved-{step}")
                mine.remove(f"{step - 1}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    ufs.close()
    assert log.closed
    with UFS2.open(image) as volume:
        assert sorted(volume.read_file("/log").split()) == sorted(
            b"%d-%d" % (a, b) for a in range(8) for b in range(12)
        )
        for number in range(8):
            assert len(volume.listdir(f"/{number}")) == 8
            assert volume.read_file(f"/{number}/moved-11") == pattern(55_000, seed=number)


def test_threads_read_a_file_system_that_nobody_writes() -> None:
    with UFS2FS(sample_image()) as ufs, ufs.openbin("/boot/kernel/kernel") as kernel:
        expected = {path: ufs.readbytes(path) for path in ufs.walk.files(filter=["[!i]*"], exclude=["block-120"])}

        def work(number: int) -> None:
            for path in sorted(expected, key=lambda path: hash((path, number))):
                assert ufs.readbytes(path) == expected[path]
            with ufs.lock():
                kernel.seek(1000 * number)
                assert kernel.read(100_000) == expected["/boot/kernel/kernel"][1000 * number :][:100_000]

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))


def test_a_copy_by_workers_keeps_contents_and_times(image: Path, ufs: UFS2FS, tree: Path) -> None:
    for found in tree.rglob("*"):
        if found.is_symlink():
            found.unlink()
    with fs.open_fs(str(tree)) as host:
        fs.copy.copy_fs(host, ufs, workers=4, preserve_time=True)
        for path in host.walk.files():
            assert ufs.hash(path, "sha256") == host.hash(path, "sha256")
            assert ufs.getmodified(path) == host.getmodified(path)
    assert {str(path.relative_to(tree)) for path in tree.rglob("*")} == listed(image)


def test_files_are_written_and_closed_with_the_file_system(image: Path, ufs: UFS2FS) -> None:
    written, read = ufs.openbin("written", "w"), ufs.openbin("written", "rb", buffering=0)
    written.write(b"in the buffer")
    ufs.close()
    for file in (written, read):
        assert file.closed
        with pytest.raises(ValueError, match="closed"):
            file.seek(0)
    with UFS2FS(image) as again:
        assert again.readtext("written") == "in the buffer"


def test_closing_while_threads_write(image: Path, ufs: UFS2FS) -> None:
    started = threading.Barrier(5)

    def work(number: int) -> int:
        started.wait()
        for step in range(100_000):
            try:
                ufs.appendbytes(f"{number}", b"%08d" % step)
            except (errors.FilesystemClosed, ValueError):
                return step
        raise AssertionError("it was never closed")

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(work, number) for number in range(4)]
        started.wait()
        time.sleep(0.2)
        ufs.close()
        done = [future.result() for future in futures]
    with UFS2.open(image) as volume:
        for number, steps in enumerate(done):
            content = volume.read_file(f"/{number}")
            assert content == b"".join(b"%08d" % step for step in range(len(content) // 8))
            assert len(content) // 8 in (steps, steps + 1)


def test_a_file_without_a_buffer(ufs: UFS2FS) -> None:
    with ufs.openbin("file", "w+", buffering=0) as file:
        assert file.write(bytes(3 * MEBIBYTE)) == MEBIBYTE
        assert file.truncate(5) == 5
        assert (file.seek(0), file.read(), file.tell()) == (0, bytes(5), 5)
        with pytest.raises(ValueError, match="whence"):
            file.seek(0, 9)
    with ufs.openbin("file", buffering=0) as file, pytest.raises(OSError, match="not open for writing"):
        file.write(b"")
    with ufs.openbin("file", "a", buffering=0) as file, pytest.raises(OSError, match="not open for reading"):
        file.read()


def test_symbolic_links(ufs: UFS2FS, edited: WritableUFS2) -> None:
    ufs.makedirs("real/below")
    ufs.writetext("real/file", "content")
    edited.symlink("real", "/way")
    edited.symlink(".", "/real/self")
    edited.symlink("nowhere", "/dead")
    assert ufs.readtext("way/file") == "content"
    assert ufs.isdir("way")
    assert ufs.islink("way")
    assert ufs.islink("dead")
    assert not ufs.exists("dead")
    info = ufs.getinfo("way", ["details", "link", "lstat"])
    assert (info.is_dir, info.target, info.raw["lstat"]["st_size"]) == (True, "real", 4)
    entries = {info.name: info for info in ufs.scandir("/", ["details", "link"])}
    assert {name: info.type for name, info in entries.items()} == {
        "real": ResourceType.directory,
        "way": ResourceType.symlink,
        "dead": ResourceType.symlink,
    }
    assert entries["dead"].target == "nowhere"
    assert set(ufs.walk.files()) == {"/dead", "/way", "/real/file", "/real/self"}
    with pytest.raises(errors.DestinationExists):
        ufs.move("real/file", "dead")
    ufs.move("dead", "gone")
    assert edited.readlink("/gone") == "nowhere"
    ufs.removetree("/")
    assert ufs.listdir("/") == []
    edited.symlink("a", "/b")
    edited.symlink("b", "/a")
    with pytest.raises(errors.OperationFailed, match="too many symbolic links"):
        ufs.readbytes("a")


def test_moving_a_directory_keeps_what_only_inodes_know(ufs: UFS2FS, edited: WritableUFS2) -> None:
    ufs.makedirs("from/both/mine")
    ufs.makedirs("to/both/yours")
    ufs.writetext("from/both/file", "new")
    ufs.writetext("to/both/file", "old")
    edited.link("/from/both/file", "/from/linked")
    edited.symlink("both", "/from/link")
    edited.chown("/from/linked", 10, 20)
    number = edited.find("/from/linked")
    ufs.movedir("from", "to")
    assert not ufs.exists("from")
    assert {edited.find("/to/linked"), edited.find("/to/both/file")} == {number}
    assert sorted(ufs.listdir("to/both")) == ["file", "mine", "yours"]
    assert edited.readlink("/to/link") == "both"
    ufs.movedir("to", "other", create=True)
    assert edited.stat("/other/linked").st_uid == 10
    for target in ("other", "other/both", "other/link/mine"):
        with pytest.raises(errors.ResourceInvalid, match="inside"):
            ufs.movedir("other", target)
    with pytest.raises(errors.ResourceInvalid):
        ufs.movedir("other", "other/new", create=True)


def test_a_copy_onto_itself(ufs: UFS2FS, edited: WritableUFS2) -> None:
    ufs.writetext("file", "content")
    edited.link("/file", "/link")
    ufs.copy("file", "link", overwrite=True)
    assert ufs.readtext("file") == "content"


def test_setting_what_an_inode_says(ufs: UFS2FS) -> None:
    ufs.touch("file")
    details = {"accessed": 1.5, "modified": -0.25, "created": -1}
    access = {"permissions": Permissions(mode=0o4711).dump(), "uid": 1, "gid": 2}
    ufs.setinfo("file", {"details": details, "access": access})
    info = ufs.getinfo("file", ["details", "access", "stat"])
    assert {key: info.raw["details"][key] for key in details} == details
    assert {key: info.raw["access"][key] for key in access} == access
    assert info.raw["stat"]["st_mtime_ns"] == -250_000_000
    assert info.raw["stat"]["st_mode"] == 0o104711
    for namespace, keys in (("details", details), ("access", access)):
        assert all(info.is_writeable(namespace, key) for key in keys)
    ufs.makedir("private", Permissions(mode=0o700))
    assert ufs.getinfo("private", ["access"]).permissions == Permissions(mode=0o700)
    for never in (math.inf, math.nan):
        with pytest.raises(ValueError, match="no time"):
            ufs.setinfo("file", {"details": {"modified": never}})
    with pytest.raises(errors.OperationFailed):
        ufs.setinfo("file", {"details": {"modified": 1e30}})


CHANGES: list[tuple[type[errors.FSError], Callable[[UFS2FS], Any]]] = [
    (errors.FileExpected, lambda ufs: ufs.remove("/")),
    (errors.ResourceInvalid, lambda ufs: ufs.move("file", "/", overwrite=True)),
    (errors.FileExpected, lambda ufs: ufs.move("file", "directory", overwrite=True)),
    (errors.DirectoryExists, lambda ufs: ufs.makedir("file")),
    (errors.DirectoryExpected, lambda ufs: ufs.makedir("file", recreate=True)),
    (errors.DirectoryExpected, lambda ufs: ufs.makedir("file/below")),
    (errors.PathError, lambda ufs: ufs.touch("n" * 256)),
    (errors.PathError, lambda ufs: ufs.makedir("n" * 256)),
    (errors.InvalidCharsInPath, lambda ufs: ufs.touch("\ud800")),
]


@pytest.mark.parametrize(("error", "change"), CHANGES)
def test_what_cannot_be_done(ufs: UFS2FS, error: type[errors.FSError], change: Callable[[UFS2FS], Any]) -> None:
    ufs.touch("file")
    ufs.makedir("directory")
    with pytest.raises(error):
        change(ufs)


def test_a_full_file_system(ufs: UFS2FS, edited: WritableUFS2) -> None:
    with pytest.raises(NoSpaceError), ufs.openbin("large", "w", buffering=0) as file:
        while True:
            file.write(bytes(MEBIBYTE))
    with pytest.raises(errors.InsufficientStorage):
        for number in range(1000):
            ufs.makedir(f"directory {number}")
    ufs.removetree("/")


def test_a_file_larger_than_its_file_system(ufs: UFS2FS, edited: WritableUFS2) -> None:
    edited.write_file("/hole", b"")
    edited.truncate("/hole", 1 << 40)
    with pytest.raises(errors.OperationFailed, match="too large"):
        ufs.readbytes("hole")
    with ufs.openbin("hole") as file, pytest.raises(ContentSizeError, match="too large"):
        file.read()


READ_ONLY: list[Callable[[FS], object]] = [
    lambda ufs: ufs.writetext("file", ""),
    lambda ufs: ufs.openbin("file", "r+"),
    lambda ufs: ufs.remove("file"),
    lambda ufs: ufs.makedir("new"),
    lambda ufs: ufs.removedir("directory"),
    lambda ufs: ufs.move("file", "moved"),
    lambda ufs: ufs.movedir("directory", "moved", create=True),
    lambda ufs: ufs.settimes("file"),
]


def test_opened_by_url_to_be_read(image: Path, ufs: UFS2FS) -> None:
    ufs.writetext("file", "content")
    ufs.makedir("directory")
    ufs.close()
    before = image.read_bytes()
    with fs.open_fs(f"ufs2://{image}") as opened, fs.open_fs("ufs2://image", cwd=str(image.parent)) as relative:
        assert opened.readtext("file") == relative.readtext("file") == "content"
        assert opened.getmeta()["read_only"]
        assert "root" in str(opened)
        assert str(image) in repr(opened)
        opened.setinfo("file", {})
        for change in READ_ONLY:
            with pytest.raises(errors.ResourceReadOnly):
                change(opened)
    assert image.read_bytes() == before


def test_opened_by_url_to_be_written(image: Path) -> None:
    with fs.open_fs(f"ufs2://{image}", writeable=True) as opened:
        opened.touch("still")
        assert opened.getinfo("still", ["details"]).raw["details"]["created"] == 0
        with pytest.raises(errors.CreateFailed, match="another process"):
            fs.open_fs(f"ufs2://{image}", writeable=True)
    before = time.time()
    with fs.open_fs(f"ufs2://{image}?clock=now", writeable=True) as opened:
        opened.touch("now")
        created = opened.getinfo("now", ["details"]).created
        assert created is not None
        assert before - 1 <= created.timestamp() <= time.time()


def test_a_new_file_system_by_url(tmp_path: Path) -> None:
    image = tmp_path / "new @.img"
    url = f"ufs2://{tmp_path}/new %40.img"
    with pytest.raises(errors.CreateFailed, match="size=64M"):
        fs.open_fs(url, create=True)
    with pytest.raises(errors.CreateFailed, match="too small"):
        fs.open_fs(f"{url}?size=1K", create=True)
    assert not image.exists()
    for _ in range(2):
        with fs.open_fs(f"{url}?size=8M", create=True) as opened:
            opened.writetext("file", "content")
    assert image.stat().st_size == 8 * MEBIBYTE
    assert check(image) == []
    assert listed(image) == {"file"}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ufs2://{}?ofset=1", "no parameter ofset; there are offset"),
        ("ufs2://{}?offset=x", "offset cannot be 'x'"),
        ("ufs2://{}?clock=then", "clock cannot be 'then'"),
        ("ufs2://user@{}", "%40"),
    ],
)
def test_urls_that_mean_nothing(image: Path, url: str, message: str) -> None:
    with pytest.raises(OpenerError, match=message):
        fs.open_fs(url.format(image))


def test_images_that_cannot_be_opened(image: Path, tmp_path: Path) -> None:
    (tmp_path / "garbage").write_bytes(bytes(MEBIBYTE))
    (tmp_path / "image.gz").write_bytes(gzip.compress(image.read_bytes(), 1))
    with fs.open_fs(f"ufs2://{tmp_path}/image.gz") as opened:
        assert opened.isempty("/")
    for name, writable in (("garbage", False), ("garbage", True), ("none", False), ("image.gz", True)):
        with pytest.raises(errors.CreateFailed) as caught:
            UFS2FS(tmp_path / name, writable=writable)
        assert caught.value.exc is not None


@pytest.fixture
def disk(image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A disk whose second partition is a file system, and cloudboot-gpt registered as what reads partition tables."""
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.seek(8 * MEBIBYTE)
        file.write(image.read_bytes())
        file.truncate(32 * MEBIBYTE)
    run(
        judge("sgdisk", "gdisk"), "-n", "1:2048:+1M", "-t", "1:EF00", "-n", "2:8M:+16M",
        "-t", "2:516E7CB6-6ECF-11D6-8FF8-00022D09712B", path,
    )  # fmt: skip
    folder = tmp_path / "site/reader-1.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: reader\nVersion: 1\n")
    (folder / "entry_points.txt").write_text("[cloudboot.partitions]\nreader = cloudboot_gpt:read\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return path


@pytest.mark.parametrize("where", ["?partition=2", "?offset=8M&size=16M", "?offset=8M", ""])
def test_a_partition_by_url(disk: Path, where: str) -> None:
    with fs.open_fs(f"ufs2://{disk}{where}", writeable=True) as opened:
        opened.writetext("file", "content")
    assert check(disk, offset=8 * MEBIBYTE, size=16 * MEBIBYTE) == []
    names = run(judge("fls", "sleuthkit"), "-o", str(8 * MEBIBYTE // 512), "-u", "-p", disk)
    assert "\tfile\n" in names
    with pytest.raises(errors.CreateFailed, match="no partition number 3"):
        fs.open_fs(f"ufs2://{disk}?partition=3")


def test_damage_is_an_error_of_pyfilesystem() -> None:
    image = bytearray(sample_image())
    with UFS2.open(image) as volume:
        position = volume.geometry.inode_offset(volume.find("/boot"))
    image[position + 8] ^= 1
    with UFS2FS(image) as ufs:
        for reading in (ufs.listdir, ufs.getinfo, lambda path: list(ufs.scandir(path)), ufs.openbin):
            with pytest.raises(errors.OperationFailed, match="damaged"):
                reading("boot")
