"""The PyFilesystem2 adapter passes PyFilesystem2's own suite, and fsck.fat finds what it leaves behind sound."""

from __future__ import annotations

import unittest
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloudboot_base import Window, new_image, open_storage
from cloudboot_fat import FatType, FormatOptions, check, format  # noqa: A004 -- the usual word for it
from cloudboot_fat.testing import contents, fsck, mcopy_out

with warnings.catch_warnings():
    # fs declares its namespaces through pkg_resources, which setuptools deprecates, and no newer fs does otherwise.
    warnings.filterwarnings("ignore", "pkg_resources is deprecated as an API", UserWarning)
    warnings.filterwarnings("ignore", "Deprecated call to `pkg_resources.declare_namespace", DeprecationWarning)
    import fs
    from fs import errors
    from fs.test import FSTestCases

    from cloudboot_fat.pyfs import FatFS
    from cloudboot_fat.volume import FatVolume

MIB = 1 << 20


def make(path: Path, fat_type: FatType, size: int) -> None:
    with new_image(path, size, force=True) as image:
        format(Window(image, 0, size), FormatOptions(fat_type=fat_type))


class Suite(FSTestCases):
    """PyFilesystem2's 79 cases; after each fsck.fat and our own check find the volume sound."""

    fat_type: FatType = 16
    size = 16 * MIB
    # fs.test looks this up before the name that Python 3.12 left.
    assertRaisesRegexp = unittest.TestCase.assertRaisesRegex  # noqa: N815 -- the name it had

    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.image = tmp_path / "image"

    def make_fs(self) -> FatFS:
        make(self.image, self.fat_type, self.size)
        return FatFS(self.image, writable=True)

    def destroy_fs(self, fs: FatFS) -> None:
        fs.close()
        fsck(self.image)
        with open_storage(self.image) as opened:
            assert check(opened.storage) == []

    def test_case_sensitive(self) -> None:
        """Names that differ in case only are one; PyFilesystem2's own case is for file systems where they are two."""
        self.fs.writetext("Name", "first")
        self.fs.writetext("nAME", "second")
        assert self.fs.listdir("/") == ["Name"]
        assert self.fs.readtext("NAME") == "second"

    def test_setinfo(self) -> None:
        """As PyFilesystem2 has it, but FAT stores the day of an access and every second second of a change."""
        self.fs.create("birthday.txt")
        moment = 1_500_000_001.5
        self.fs.setinfo("birthday.txt", {"details": {"accessed": moment, "modified": moment, "created": moment}})
        details = self.fs.getinfo("birthday.txt", namespaces=["details"]).raw["details"]
        assert details["accessed"] == moment // 86400 * 86400
        assert details["modified"] == 1_500_000_000
        assert details["created"] == moment
        with pytest.raises(errors.ResourceNotFound):
            self.fs.setinfo("nothing", {})


class TestFat16(Suite, unittest.TestCase):
    """FAT16, whose root directory has a fixed place."""


class TestFat32(Suite, unittest.TestCase):
    """FAT32, whose root directory grows."""

    fat_type = 32
    size = 40 * MIB


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image"
    make(path, 32, 40 * MIB)
    return path


def test_mtools_reads_what_threads_have_written(image: Path, tmp_path: Path) -> None:
    with FatFS(image, writable=True) as volume:
        log = volume.openbin("log", "a", buffering=0)

        def work(number: int) -> None:
            mine = volume.makedir(f"folder {number}")
            for step in range(12):
                mine.writebytes(f"{step}", bytes([number]) * 5000 * step)
                log.write(b"%d-%d\n" % (number, step))
                if step % 3 == 2:
                    mine.move(f"{step}", f"moved-{step}")
                    mine.remove(f"{step - 1}")

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
    fsck(image)
    found = mcopy_out(image, tmp_path / "out")
    lines = found.pop("/log").decode().split()
    assert sorted(lines) == sorted(f"{number}-{step}" for number in range(4) for step in range(12))
    expected = {}
    for number in range(4):
        for step in (0, 2, 3, 5, 6, 8, 9, 11):
            name = f"moved-{step}" if step % 3 == 2 else f"{step}"
            expected[f"/folder {number}/{name}"] = bytes([number]) * 5000 * step
    assert found == expected


def test_urls_open_and_make_volumes(tmp_path: Path) -> None:
    path = tmp_path / "made.img"
    with fs.open_fs(f"fat://{path}?size=4M", create=True) as volume:
        assert volume.getmeta()["case_insensitive"]
        volume.makedirs("EFI/BOOT")
        volume.writetext("EFI/BOOT/startup.nsh", "exit\n")
    with fs.open_fs(f"fat://{path}") as volume:
        assert volume.readtext("efi/boot/STARTUP.NSH") == "exit\n"
        with pytest.raises(errors.ResourceReadOnly):
            volume.writebytes("new", b"")
    fsck(path)


def test_an_open_file_follows_its_name_and_notices_its_end(image: Path) -> None:
    with FatFS(image, writable=True) as volume:
        volume.writebytes("a", b"first")
        volume.makedir("d")
        file = volume.openbin("a", "r+", buffering=0)
        volume.move("a", "d/long name of b")
        file.seek(0, 2)
        file.write(b" second")
        assert volume.readbytes("d/long name of b") == b"first second"
        volume.remove("d/long name of b")
        with pytest.raises(OSError, match="removed"):
            file.write(b"too late")
        file.close()
    fsck(image)


def test_sizes_and_gaps(image: Path) -> None:
    with FatFS(image, writable=True) as volume, volume.openbin("f", "w+", buffering=0) as file:
        model = bytearray()
        for offset, data in ((0, b"x" * 700), (5000, b"y"), (3, b"z" * 2000), (20_000, b"end")):
            file.seek(offset)
            file.write(data)
            model.extend(bytes(max(0, offset + len(data) - len(model))))
            model[offset : offset + len(data)] = data
            assert volume.readbytes("f") == model
        for size in (20_003, 4096, 4097, 511, 0, 600):
            file.truncate(size)
            del model[size:]
            model.extend(bytes(size - len(model)))
            assert volume.readbytes("f") == model
    fsck(image)
    with FatFS(image) as again:
        assert isinstance(again.volume, FatVolume)
        assert contents(again.volume.reader) == {"/f": bytes(600)}
