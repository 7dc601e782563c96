"""A volume under the protocols of cloudboot_vfs."""

from __future__ import annotations

import contextlib
import io
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloudboot_base import MemoryStorage, RangeError, open_storage
from cloudboot_fat import FatReader, FormatOptions, build, check, errors
from cloudboot_fat.shared import open_shared
from cloudboot_fat.testing import contents, fsck, mcopy_out, mtools
from cloudboot_fat.volume import ROOT_NUMBER, FatVolume, WritableFatVolume
from cloudboot_vfs import FileSystem, WritableFileSystem
from cloudboot_vfs.errors import NestedOperationError, PathError, ReadOnlyError, StaleFileError

MIB = 1 << 20
TREE = {"/EFI/BOOT/BOOTX64.EFI": b"MZ" * 3000, "/a long name.txt": b"text", "/empty/": None}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    data = bytearray(8 * MIB)
    build(MemoryStorage(data), TREE, FormatOptions(label="ESP", cluster_size=1024))
    (tmp_path / "image").write_bytes(data)
    return tmp_path / "image"


@contextlib.contextmanager
def volume_of(image: Path) -> Iterator[WritableFatVolume]:
    with open_shared(image, writable=True) as shared:
        assert isinstance(shared.editor, WritableFatVolume)
        yield shared.editor


def test_reading(image: Path) -> None:
    with open_storage(image) as opened, FatVolume(opened.storage) as volume:
        assert isinstance(volume, FileSystem)
        assert (volume.label, volume.size) == ("ESP", 8 * MIB)
        assert volume.find("/") == ROOT_NUMBER
        assert sorted(volume.listdir()) == ["EFI", "a long name.txt", "empty"]
        assert [path for path, _, _ in volume.walk()] == ["/", "/EFI", "/EFI/BOOT", "/empty"]
        (loader,) = volume.iterdir("EFI//BOOT/")
        assert (loader.path, loader.is_file()) == ("/EFI/BOOT/BOOTX64.EFI", True)
        assert volume.stat_inode(loader.inode) == volume.stat("/efi/boot/bootx64.efi")
        assert stat.S_ISDIR(volume.stat("/").st_mode)
        assert volume.stat(loader.path).st_blocks == 12
        (extent,) = volume.extents(loader.path)
        assert opened.storage.read_at(*extent) == b"MZ" * 3000
        with volume.open_file(loader.path) as file:
            assert file.read_at(5990, 100) == b"MZ" * 5
            assert file.read_at(6000, 1) == b""
            assert file.seek(-2, 2) == 5998
            assert file.read() == b"MZ"
        kinds = [(region.kind, region.number) for region in volume.regions()]
        assert kinds == [("boot sector", 0), ("FAT", 0), ("FAT", 1), ("root directory", 0)]
        with pytest.raises(errors.FileNotFoundError):
            volume.readlink("/nothing")
        with pytest.raises(PathError):
            volume.readlink("/EFI")
        with pytest.raises(ReadOnlyError):
            open_shared(volume).editor  # noqa: B018 -- the property raises


def test_mtools_sees_what_was_changed(image: Path, tmp_path: Path) -> None:
    moment = 1_600_000_000 * 10**9
    with volume_of(image) as volume:
        assert isinstance(volume, WritableFileSystem)
        assert volume.write_file("/EFI/BOOT/BOOTX64.EFI", io.BytesIO(b"new" * 1000)) == 3000
        assert volume.write_file("/from the host", Path(__file__)) == Path(__file__).stat().st_size
        volume.mkdir("/read only", 0o555)
        volume.chmod("/a long name.txt", 0o444)
        volume.utime("/a long name.txt", mtime_ns=moment, atime_ns=moment, birthtime_ns=moment + 10_000_000)
        volume.makedirs("/x/y", exist_ok=True)
        volume.rename("/x", "/empty")
        volume.truncate("/from the host", 10)
        status = volume.stat("/a long name.txt")
        assert (status.st_mode & 0o777, status.st_mtime_ns, status.st_birthtime_ns) == (0o444, moment, moment + 10**7)
        volume.sync()
    fsck(image)
    assert mcopy_out(image, tmp_path / "out") == {
        "/EFI/BOOT/BOOTX64.EFI": b"new" * 1000,
        "/a long name.txt": b"text",
        "/from the host": Path(__file__).read_bytes()[:10],
    }
    listing = mtools("mdir", image, "::/")
    assert "2020-09-13" in listing
    assert "R" in mtools("mattrib", image, "::/a long name.txt").split("::")[0].split()
    assert mtools("mdir", image, "-b", "::/empty").split() == ["::/empty/y/"]


@pytest.mark.parametrize(
    ("method", "arguments", "error"),
    [
        ("rename", ("/EFI", "/EFI/BOOT/new"), PathError),
        ("rename", ("/EFI", "/a long name.txt"), errors.NotADirectoryError),
        ("rename", ("/a long name.txt", "/EFI"), errors.IsADirectoryError),
        ("rename", ("/empty", "/EFI"), errors.DirectoryNotEmptyError),
        ("rename", ("/", "/EFI"), PathError),
        ("rmdir", ("/",), PathError),
        ("unlink", ("/",), PathError),
        ("unlink", ("/EFI",), errors.IsADirectoryError),
        ("truncate", ("/EFI", 0), errors.IsADirectoryError),
        ("truncate", ("/a long name.txt", 1 << 32), errors.FileTooLargeError),
        ("truncate", ("/a long name.txt", 9 * MIB), errors.NoSpaceError),
        ("makedirs", ("/EFI/BOOT",), errors.FileExistsError),
        ("write_file", ("/EFI", io.BytesIO(b"")), errors.IsADirectoryError),
        ("write_file", ("/large", io.BytesIO(bytes(9 * MIB))), errors.NoSpaceError),
        ("open_file", ("/a long name.txt", "xb"), errors.FileExistsError),
        ("open_file", ("/a long name.txt", "rt"), io.UnsupportedOperation),
        ("open_file", ("/EFI", "wb"), errors.IsADirectoryError),
        ("link", ("/a long name.txt", "/b"), io.UnsupportedOperation),
        ("symlink", ("/a long name.txt", "/b"), io.UnsupportedOperation),
        ("chown", ("/nothing", 0), errors.FileNotFoundError),
        ("mkdir", ("/a:b",), errors.InvalidNameError),
    ],
)  # fmt: skip
def test_what_is_refused_changes_nothing(
    image: Path, method: str, arguments: tuple[object, ...], error: type[Exception]
) -> None:
    with open_storage(image) as opened:
        before = contents(FatReader(opened.storage))
    with volume_of(image) as volume, pytest.raises(error):
        getattr(volume, method)(*arguments)
    fsck(image)
    with open_storage(image) as opened:
        assert contents(FatReader(opened.storage)) == before
        assert check(opened.storage) == []


def test_times_that_fat_has_not(image: Path) -> None:
    with volume_of(image) as volume:
        for moment in (10**9 * 2**33, 10**30):
            with pytest.raises(RangeError):
                volume.utime("/EFI", mtime_ns=moment)
        volume.utime("/", mtime_ns=0)
        volume.chmod("/", 0)


def test_one_writer_at_a_time(image: Path) -> None:
    with volume_of(image) as volume:
        with pytest.raises(ReadOnlyError, match="another process"):
            open_shared(image, writable=True)
        file = volume.open_file("/a long name.txt", "r+b")
        volume.unlink("/A LONG NAME.TXT")
        with pytest.raises(StaleFileError):
            file.read_at(0, 1)
        with pytest.raises(StaleFileError):
            file.write(b"x")
    with pytest.raises(ValueError, match="closed"):
        volume.mkdir("/late")
    with volume_of(image) as again:
        assert again.listdir("/EFI") == ["BOOT"]


def _nothing() -> None:
    pass


class Interrupting(MemoryStorage):
    """A storage in whose first write something else happens."""

    def __init__(self, data: bytearray) -> None:
        super().__init__(data)
        self.action: Callable[[], None] = _nothing

    def write_at(self, offset: int, data: object) -> None:
        action, self.action = self.action, _nothing
        action()
        super().write_at(offset, data)  # type: ignore[arg-type] # a buffer, as the protocol has it


def test_what_comes_in_the_middle_of_an_operation_waits_or_is_refused() -> None:
    data = bytearray(8 * MIB)
    build(MemoryStorage(data), TREE)
    storage = Interrupting(data)
    volume = WritableFatVolume(storage)
    file = volume.open_file("/a long name.txt", "ab")

    def action() -> None:
        file.write(b" appended")  # as the garbage collector empties a buffer
        with pytest.raises(NestedOperationError):
            volume.unlink("/a long name.txt")

    storage.action = action
    volume.write_file("/new", b"x")
    assert volume.read_file("/a long name.txt") == b"text appended"
    assert check(storage) == []
