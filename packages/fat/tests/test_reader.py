"""Volumes made by mkfs.fat and filled by mtools, read by us."""

import datetime as dt
import io
import os
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cloudboot_base import FileStorage, MemoryStorage, TruncatedError
from cloudboot_fat import FatFileSystem, FatReader, FormatOptions, build, check, errors
from cloudboot_fat.testing import contents, fsck, fsck_report, mcopy_out, mkfs, mtools

MIB = 1 << 20

MADE = [
    (360 << 10, ()),
    (1440 << 10, ("-n", "FLOPPY")),
    (5 * MIB, ("-s", "1")),
    (20 * MIB, ()),
    (64 * MIB, ("-F", "32", "-s", "1", "-n", "A LABEL")),
    (64 * MIB, ("-S", "4096")),
    (40 * MIB, ("-F", "16", "-f", "1", "-R", "7", "-r", "1024")),
    (600 * MIB, ()),
    (36 * MIB, ("-a", "-F", "32")),
]


def fill(image: Path, folder: Path, rng: random.Random) -> Any:
    """Copy, delete and copy again with mtools, so that files end up scattered."""
    folder.mkdir()
    expected = {}
    names = [
        "ünïcode €.txt",
        "日本語",
        "UPPER.TXT",
        "lower.txt",
        "Mixed.Case",
        "low.EXT",
        "a long name.and.dots",
    ]
    mtools("mmd", image, "::/dir", "::/dir/A longer directory name")
    for number in range(24):
        source = folder / f"source{number}"
        data = rng.randbytes(rng.choice([0, 1, 700, 5000, 9000]))
        source.write_bytes(data)
        where = rng.choice(["", "/dir", "/dir/A longer directory name"])
        path = f"{where}/{number}{names[number % len(names)]}"
        mtools("mcopy", image, source, f"::{path}")
        expected[path] = data
        if number % 3 == 2:
            victim = rng.choice(sorted(expected))
            del expected[victim]
            mtools("mdel", image, f"::{victim}")
    return expected


@pytest.mark.parametrize(("size", "options"), MADE, ids=str)
def test_what_mkfs_and_mtools_made_is_read_back(tmp_path: Path, size: int, options: tuple[str, ...]) -> None:
    image = tmp_path / "volume.img"
    mkfs(image, size, *options)
    expected = fill(image, tmp_path / "sources", random.Random(size + len(options)))
    report = fsck(image)
    fd = os.open(image, os.O_RDONLY)
    try:
        storage = FileStorage(fd)
        fs = FatReader(storage)
        found = contents(fs)
        assert {path: data for path, data in found.items() if data is not None} == expected
        assert f"{fs.geometry.clusters} data clusters" in report
        assert f"{fs.geometry.clusters - fs.free_clusters()}/{fs.geometry.clusters} clusters" in report
        assert {finding.kind for finding in check(storage)} <= {"fat-type-cluster-count"}
        if "-n" in options:
            assert fs.label == options[options.index("-n") + 1]
        for path, data in expected.items():
            assert b"".join(storage.read_at(*extent) for extent in fs.extents(path)) == data
    finally:
        os.close(fd)


@pytest.mark.parametrize("options", [("-s", "1"), ("-F", "32", "-s", "1"), ("-F", "16", "-s", "1")], ids="".join)
def test_a_volume_of_mtools_is_changed_by_us_and_read_by_mtools(tmp_path: Path, options: tuple[str, ...]) -> None:
    image = tmp_path / "volume.img"
    mkfs(image, {(): 4, ("-F", "16"): 16, ("-F", "32"): 40}[options[:-2]] * MIB, *options)
    expected = fill(image, tmp_path / "sources", random.Random(9))
    fd = os.open(image, os.O_RDWR)
    try:
        fs = FatFileSystem(FileStorage(fd))
        rng = random.Random(5)
        for path in sorted(expected)[::2]:
            fs.remove(path)
            del expected[path]
        fs.makedirs("/dir/new/deeper")
        for number in range(60):
            path = f"/dir/new/deeper/a new file with a long name {number}"
            expected[path] = rng.randbytes(rng.randrange(3000))
            fs.write_file(path, expected[path])
        fs.rename("/dir/A longer directory name", "/moved")
        expected = {path.replace("/dir/A longer directory name", "/moved"): data for path, data in expected.items()}
    finally:
        os.close(fd)
    fsck(image)
    assert mcopy_out(image, tmp_path / "out") == expected


def test_fat32_with_too_few_clusters_is_read_and_changed(tmp_path: Path) -> None:
    """mkfs.fat makes such volumes on request; the cluster count would make them FAT16."""
    image = tmp_path / "volume.img"
    mkfs(image, 20 * MIB, "-F", "32")
    data = bytearray(image.read_bytes())
    fs = FatFileSystem(MemoryStorage(data))
    assert fs.geometry.fat_type == 32
    fs.makedirs("/EFI/BOOT")
    fs.write_file("/EFI/BOOT/BOOTX64.EFI", b"MZ" * 50_000)
    assert [finding.kind for finding in check(MemoryStorage(data))] == ["fat-type-cluster-count"]
    image.write_bytes(data)
    report, complaints = fsck_report(image)
    assert "3 files" in report
    assert [line for line in complaints if not line.startswith("  ")] == [
        "Warning: Filesystem is FAT32 according to fat_length and fat32_length fields,"
    ]


def test_case_flags_of_mtools_are_honoured(tmp_path: Path) -> None:
    image = tmp_path / "volume.img"
    mkfs(image, MIB)
    (tmp_path / "x").write_bytes(b"")
    for name in ("lower.txt", "UPPER.TXT", "low.EXT", "UP.ext"):
        mtools("mcopy", image, tmp_path / "x", f"::/{name}")
    fs = FatReader(MemoryStorage(image.read_bytes()))
    assert fs.listdir() == ["lower.txt", "UPPER.TXT", "low.EXT", "UP.ext"]
    assert all(entry.slots == 1 for entry in fs.iterdir())


def test_times_are_those_mdir_shows(tmp_path: Path) -> None:
    image = tmp_path / "volume.img"
    mkfs(image, MIB)
    (tmp_path / "x").write_bytes(b"")
    moment = dt.datetime(2024, 2, 29, 13, 14, 16, tzinfo=dt.UTC)
    os.utime(tmp_path / "x", (moment.timestamp(), moment.timestamp()))
    environment = {**os.environ, "TZ": "UTC"}
    subprocess.run(["mcopy", "-m", "-i", image, tmp_path / "x", "::/x"], env=environment, check=True)
    fs = FatReader(MemoryStorage(image.read_bytes()))
    assert fs.stat("X").modified == moment.replace(tzinfo=None)


@pytest.fixture(scope="module")
def small() -> Any:
    tree = {"/dir/A file": bytes(range(256)) * 20, "/dir/empty": b"", "/ümläut.text": b"x"}
    return build(MemoryStorage(bytearray(MIB)), tree, FormatOptions(label="test", serial=0xCAFE))


def test_lookup_ignores_case_and_knows_short_names(small: FatFileSystem) -> None:
    assert small.stat("DIR/a FILE").size == 5120
    assert small.stat("/dir/AFILE~1").name == "A file"
    assert small.stat("/ÜMLÄUT.TEXT").name == "ümläut.text"
    assert small.stat("/").is_dir
    assert small.exists("/dir//empty/")
    assert not small.exists("/dir/empty/x")
    assert (small.label, small.serial) == ("TEST", 0xCAFE)


def test_open_is_a_seekable_file(small: FatFileSystem) -> None:
    with small.open("/dir/a file") as file:
        assert isinstance(file, io.BufferedReader)
        file.seek(-10, os.SEEK_END)
        assert file.read() == bytes(range(246, 256))
        assert file.seek(300) == 300
        assert file.read(4) == bytes([44, 45, 46, 47])
    content = small.file_storage("/dir/a file")
    with pytest.raises(TruncatedError):
        content.read_at(5119, 2)
    assert content.read_at(5120, 0) == b""
    with small.open("/dir/empty") as file:
        assert file.read() == b""


@pytest.mark.parametrize(
    ("call", "argument", "error", "builtin"),
    [
        ("stat", "/no", errors.FileNotFoundError, FileNotFoundError),
        ("read_file", "/dir/no", errors.FileNotFoundError, FileNotFoundError),
        ("listdir", "/dir/empty", errors.NotADirectoryError, NotADirectoryError),
        ("read_file", "/dir/empty/x", errors.NotADirectoryError, NotADirectoryError),
        ("read_file", "/dir", errors.IsADirectoryError, IsADirectoryError),
        ("open", "/", errors.IsADirectoryError, IsADirectoryError),
    ],
)
def test_errors_are_doubles_of_the_builtins(
    small: FatFileSystem, call: str, argument: str, error: type[OSError], builtin: type[OSError]
) -> None:
    with pytest.raises(builtin) as caught:
        getattr(small, call)(argument)
    assert type(caught.value) is error
    assert argument in str(caught.value)
    assert caught.value.errno


def test_a_walk_goes_top_down_and_starts_anywhere(small: FatFileSystem) -> None:
    assert [path for path, _folders, _files in small.walk()] == ["/", "/dir"]
    [(path, folders, files)] = small.walk("dir/")
    assert (path, folders, [entry.name for entry in files]) == ("/dir", [], ["A file", "empty"])


def test_a_fragmented_file_is_read_across_its_extents() -> None:
    storage = MemoryStorage(bytearray(MIB))
    fs = build(storage, {}, FormatOptions(cluster_size=512))
    for number in range(400):
        fs.write_file(f"PAD{number}", bytes([number & 255]) * 512)
    for number in range(0, 400, 2):
        fs.remove(f"PAD{number}")
    data = random.Random(2).randbytes(fs.free_clusters() * 512 - 100)
    fs.write_file("big", data)
    again = FatReader(storage)
    assert len(again.extents("big")) > 100
    assert again.read_file("big") == data
    content = again.file_storage("big")
    for offset, size in ((0, 1), (511, 2), (512, 512), (100, 60_000), (len(data) - 1, 1)):
        assert content.read_at(offset, size) == data[offset : offset + size]
    assert check(storage) == []
