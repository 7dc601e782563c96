"""The PyFilesystem2 adapter passes PyFilesystem2's own suite, and what it leaves behind is sound."""

from __future__ import annotations

import time
import unittest
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import cloudboot_ntfs as ntfs
from cloudboot_base.testing import judge, run
from cloudboot_ntfs.testing import mounted, ntfs3g_volume, pattern

with warnings.catch_warnings():
    # fs declares its namespaces through pkg_resources, which setuptools deprecates, and no newer fs does otherwise.
    warnings.filterwarnings("ignore", "pkg_resources is deprecated as an API", UserWarning)
    warnings.filterwarnings("ignore", "Deprecated call to `pkg_resources.declare_namespace", DeprecationWarning)
    import fs
    from fs import errors
    from fs.permissions import Permissions
    from fs.test import FSTestCases

    from cloudboot_ntfs.pyfs import NTFSFS

MEBIBYTE = 1 << 20


class Suite(FSTestCases):
    """PyFilesystem2's 79 cases; after each the image is sound, and the Sleuth Kit lists what we do."""

    options = ntfs.Options()
    case_sensitive = True
    # fs.test looks this up before the name that Python 3.12 left.
    assertRaisesRegexp = unittest.TestCase.assertRaisesRegex  # noqa: N815 -- the name it had

    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.image = tmp_path / "image"

    def make_fs(self) -> NTFSFS:
        ntfs.format(self.image, self.options, size=24 * MEBIBYTE)
        return NTFSFS(self.image, writable=True, case_sensitive=self.case_sensitive)

    def destroy_fs(self, fs: NTFSFS) -> None:
        fs.close()
        assert ntfs.check(self.image) == []
        with ntfs.NTFS(self.image) as volume:
            ours = {entry.path[1:] for _, below, others in volume.walk() for entry in below + others}
        assert listed(self.image) == ours


class TestCaseSensitive(Suite, unittest.TestCase):
    """Names that differ in case are two, in clusters of 4 KiB."""


class TestLikeWindows(Suite, unittest.TestCase):
    """Names that differ in case are one, in clusters of 512 bytes."""

    options = ntfs.Options(cluster_size=512)
    case_sensitive = False

    def test_case_sensitive(self) -> None:
        # The suite would skip its own test here.
        self.fs.makedir("foo")
        assert self.fs.isdir("FOO")
        with pytest.raises(errors.DirectoryExists):
            self.fs.makedir("Foo")
        self.fs.touch("FOO/bar")
        assert self.fs.listdir("/") == ["foo"]
        self.fs.move("foo/bar", "foo/BAR", overwrite=True)
        assert self.fs.listdir("foo") == ["BAR"]


def listed(image: Path) -> set[str]:
    """The paths that the Sleuth Kit finds, without the volume's own files and without streams."""
    lines = run(judge("fls", "sleuthkit"), "-u", "-r", "-p", image).splitlines()
    entries = [line.split("\t") for line in lines]
    return {name for place, name in entries if not name.startswith("$") and "-128-" in f"{place}-128-"}


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Path]:
    """A new volume in a file; it is sound when the test is done."""
    path = tmp_path / "image"
    ntfs.format(path, ntfs.Options(label="C"), size=16 * MEBIBYTE)
    yield path
    assert ntfs.check(path) == []


@pytest.fixture
def volume(image: Path) -> Iterator[NTFSFS]:
    with NTFSFS(image, writable=True) as opened:
        yield opened


def test_threads(image: Path, volume: NTFSFS) -> None:
    volume.writebytes("shared", pattern(500_000))
    log = volume.openbin("log", "a", buffering=0)

    def work(number: int) -> None:
        mine = volume.makedir(f"{number}")
        for step in range(12):
            mine.writebytes(f"{step}", pattern(5000 * step, seed=number))
            log.write(b"%d-%d\n" % (number, step))
            assert volume.readbytes("shared") == pattern(500_000)
            if step % 3 == 2:
                mine.move(f"{step}", f"moved-{step}")
                mine.remove(f"{step - 1}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    volume.close()
    assert log.closed
    with mounted(image, "ro") as folder:
        assert sorted((folder / "log").read_bytes().split()) == sorted(
            b"%d-%d" % (a, b) for a in range(8) for b in range(12)
        )
        for number in range(8):
            assert len(list((folder / f"{number}").iterdir())) == 8
            assert (folder / f"{number}/moved-11").read_bytes() == pattern(55000, seed=number)


def test_urls(image: Path, tmp_path: Path) -> None:
    with fs.open_fs(f"ntfs://{image}", writeable=True) as opened:
        opened.writetext("file.txt", "text")
    with fs.open_fs(f"ntfs://{image}") as opened:
        assert opened.readtext("FILE.TXT") == "text"
        with pytest.raises(errors.ResourceReadOnly):
            opened.remove("file.txt")
    before = time.time()
    with fs.open_fs(f"ntfs://{tmp_path}/new?size=8M&clock=now", create=True) as opened:
        opened.touch("made")
        created = opened.getinfo("made", ["details"]).created
        assert created is not None
        assert before - 1 <= created.timestamp() <= time.time() + 1
    assert ntfs.check(tmp_path / "new") == []
    with pytest.raises(errors.CreateFailed):
        fs.open_fs(f"ntfs://{tmp_path}/none")


def test_a_replaced_file_keeps_its_streams_and_its_other_names(image: Path, volume: NTFSFS) -> None:
    edited = volume.volume
    assert isinstance(edited, ntfs.WritableNTFS)
    volume.writebytes("file", b"old" * 1000)
    edited.write_file("/file", b"[ZoneTransfer]", stream="Zone.Identifier")
    edited.link("/file", "/other")
    with volume.openbin("file", "w") as file:
        file.write(pattern(100_000))
        assert volume.readbytes("other") == b"old" * 1000
    with pytest.raises(ValueError, match="stop"), volume.openbin("file", "w", buffering=0) as file:
        file.write(b"never")
        file.failed = True  # type: ignore[attr-defined]  # a SharedFile
        raise ValueError("stop")
    volume.close()
    with mounted(image, "ro") as folder:
        assert (folder / "file").read_bytes() == (folder / "other").read_bytes() == pattern(100_000)
        assert (folder / "file:Zone.Identifier").read_bytes() == b"[ZoneTransfer]"


def test_permissions_and_names_of_windows(image: Path, tmp_path: Path) -> None:
    with NTFSFS(image, writable=True, windows_names=True) as volume:
        volume.writetext("plain", "x")
        volume.setinfo("plain", {"access": {"permissions": Permissions(mode=0o444).dump(), "uid": 5}})
        assert volume.getinfo("plain", ["access"]).permissions == Permissions(mode=0o444)
        for name in ("a:b", "what?", "nul", "COM1.txt", "dot.", "space ", "back\\slash", "tab\t"):
            with pytest.raises(errors.ResourceInvalid):
                volume.writetext(name, "x")
        with pytest.raises(errors.ResourceInvalid):
            volume.move("plain", "aux")
        assert volume.listdir("/") == ["plain"]


def test_a_volume_of_mkntfs(tmp_path: Path) -> None:
    image = ntfs3g_volume(tmp_path / "other", 32 * MEBIBYTE)
    with mounted(image) as folder:
        (folder / "theirs").write_bytes(pattern(40_000))
    with NTFSFS(image, writable=True) as volume:
        assert volume.readbytes("theirs") == pattern(40_000)
        volume.copy("theirs", "ours")
        volume.makedirs("a/b/c").writebytes("d", b"d")
    with mounted(image) as folder:
        assert (folder / "ours").read_bytes() == pattern(40_000)
        (folder / "a/b/c/d").unlink()
    assert ntfs.check(image) == []
