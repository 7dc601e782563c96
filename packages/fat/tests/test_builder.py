"""What the builder makes, seen by fsck.fat and mtools."""

import hashlib
import itertools
import os
import random
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cloudboot_base import MemoryStorage, TruncatedError, Window, new_image
from cloudboot_fat import (
    BootSectorError,
    DirectoryError,
    FatReader,
    FileTooLargeError,
    FormatOptions,
    InvalidNameError,
    NoSpaceError,
    OptionError,
    build,
    check,
    times,
)
from cloudboot_fat import format as format_volume
from cloudboot_fat.testing import contents, fsck, mcopy_out, mtools

MIB = 1 << 20


def a_tree(seed: int = 0, files: int = 60) -> Any:
    rng = random.Random(seed)
    names = [
        "EFI",
        "BOOT",
        "BOOTX64.EFI",
        "grub.cfg",
        "a rather long name.tar.gz",
        "ünïcode €",
        "日本語.txt",
        "x" * 200,
    ]
    tree = {"/empty directory": None, "/EMPTY.FIL": b""}
    for number in range(files):
        folder = "".join(f"/dir {part} {rng.choice(names)}" for part in rng.sample(range(3), rng.randrange(3)))
        size = rng.choice([0, 1, 511, 512, 513, 4096, 20_000, 70_000])
        tree[f"{folder}/{number} {rng.choice(names)}"] = rng.randbytes(size)
    return tree


def files_of(tree: dict[str, Any]) -> Any:
    return {path: bytes(data) for path, data in tree.items() if data is not None}


CASES = [
    (2 * MIB, {}),
    (2880 << 10, {"label": "FLOPPY"}),
    (8 * MIB, {"fat_type": 12, "cluster_size": 4096}),
    (8 * MIB, {"sector_size": 4096}),
    (16 * MIB, {"label": "esp", "hidden_sectors": 64}),
    (33 * MIB, {"fat_type": 16, "cluster_size": 1024}),
    (40 * MIB, {"fat_type": 32, "fats": 1}),
    (40 * MIB + 1536, {"fat_type": 32, "reserved_sectors": 100}),
    (100 * MIB, {"sector_size": 2048}),
    (300 * MIB, {"fat_type": 32, "label": "SYSTEM"}),
    (300 * MIB, {"fat_type": 32, "sector_size": 4096}),
    (600 * MIB, {}),
    (3 << 30, {"cluster_size": 32768}),
]


@pytest.mark.parametrize(("size", "options"), CASES, ids=lambda value: str(value).replace(" ", ""))
def test_fsck_and_mtools_see_what_was_built(tmp_path: Path, size: int, options: dict[str, Any]) -> None:
    tree = a_tree(size)
    image = tmp_path / "volume.img"
    with new_image(image, size) as storage:
        fs = build(storage, tree, FormatOptions(fresh=True, **options))
        assert check(storage) == []
        assert files_of(tree).items() <= contents(fs).items()
        free = fs.free_clusters()
    report = fsck(image)
    assert f"{fs.geometry.clusters} data clusters" in report
    assert mcopy_out(image, tmp_path / "out") == files_of(tree)
    info = mtools("minfo", image, "::")
    assert f"sectors per track: {fs.geometry.sectors_per_track}" in info
    assert f"heads: {fs.geometry.heads}" in info
    assert f"hidden sectors: {options.get('hidden_sectors', 0)}" in info
    if fs.geometry.fat_type == 32:
        assert f"free clusters={free}" in info
    if "label" in options:
        assert options["label"].upper() in mtools("mlabel", image, "-s", "::")


def test_mdir_lists_every_path(tmp_path: Path) -> None:
    tree = a_tree(7)
    image = tmp_path / "volume.img"
    with new_image(image, 16 * MIB) as storage:
        paths = set(contents(build(storage, tree, FormatOptions(fresh=True))))
    listed = {line.removeprefix("::").rstrip("/") for line in mtools("mdir", image, "-/", "-b", "::").splitlines()}
    assert listed == paths


def test_timestamp_and_serial_are_seen_by_mtools(tmp_path: Path) -> None:
    image = tmp_path / "volume.img"
    moment = times.EPOCH.replace(2025, 2, 28, 23, 59, 58)
    with new_image(image, MIB) as storage:
        build(storage, {"A.TXT": b"x"}, FormatOptions(fresh=True, timestamp=moment, serial=0x12345678))
    listing = mtools("mdir", image, "::")
    assert re.search(r"A\s+TXT\s+1 2025-02-28\s+23:59", listing)
    assert "1234-5678" in listing


def test_a_host_folder_becomes_a_volume(tmp_path: Path) -> None:
    source = tmp_path / "esp"
    (source / "EFI" / "BOOT").mkdir(parents=True)
    (source / "EFI" / "BOOT" / "BOOTX64.EFI").write_bytes(random.Random(1).randbytes(300_000))
    (source / "link").symlink_to("EFI")
    image = tmp_path / "volume.img"
    with new_image(image, 4 * MIB) as storage:
        build(storage, source, FormatOptions(fresh=True))
    fsck(image)
    (tmp_path / "out").mkdir()
    mtools("mcopy", image, "-s", "-n", "::/EFI", "::/link", tmp_path / "out")
    subprocess.run(["diff", "-r", source, tmp_path / "out"], check=True)


def test_a_mapping_may_mix_paths_bytes_storages_and_folders(tmp_path: Path) -> None:
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "folder" / "inner" / "file").write_bytes(b"from the host")
    data = bytearray(MIB)
    fs = build(
        MemoryStorage(data),
        {
            "/EFI": tmp_path / "folder",
            "/EFI/inner/more": b"bytes",
            "slice.bin": Window(MemoryStorage(b"0123456789"), 2, 5),
            "/new/empty/": None,
            "/as text": str(tmp_path / "folder" / "inner" / "file"),
        },
    )
    assert contents(fs) == {
        "/EFI": None,
        "/EFI/inner": None,
        "/EFI/inner/file": b"from the host",
        "/EFI/inner/more": b"bytes",
        "/slice.bin": b"23456",
        "/new": None,
        "/new/empty": None,
        "/as text": b"from the host",
    }
    assert check(MemoryStorage(data)) == []


@pytest.mark.parametrize("options", [{"fat_type": 12}, {"fat_type": 16}, {"fat_type": 32}], ids=str)
def test_the_same_input_gives_the_same_bytes_whatever_was_there(options: dict[str, Any]) -> None:
    tree, size = a_tree(3), 36 * MIB
    settings = {**options, "cluster_size": {12: 16384, 16: 1024, 32: 512}[options["fat_type"]]}
    fresh = bytearray(size)
    build(MemoryStorage(fresh), tree, FormatOptions(fresh=True, **settings))
    shuffled = dict(sorted(tree.items(), key=lambda item: hashlib.sha1(item[0].encode()).digest()))
    old = bytearray(b"\xa5" * size)
    fs = build(MemoryStorage(old), shuffled, FormatOptions(**settings))
    assert check(MemoryStorage(old)) == []
    used = fs.geometry.cluster_offset(fs.geometry.end_cluster - fs.free_clusters())
    assert old[:used] == fresh[:used]
    assert set(old[used:]) == {0xA5}


def test_serial_numbers_differ_between_trees_and_settings() -> None:
    def serial(tree: dict[str, Any], **options: Any) -> Any:
        return build(MemoryStorage(bytearray(MIB)), tree, FormatOptions(**options)).serial

    found = [
        serial({}),
        serial({"a": b""}),
        serial({"a": b"x"}),
        serial({"a/b": b""}),
        serial({}, label="x"),
        serial({}, timestamp=times.EPOCH.replace(2000)),
    ]
    assert len(set(found)) == len(found)


def test_files_are_contiguous_and_in_order() -> None:
    tree = {f"d{number % 3}/f{number}": b"x" * 3000 for number in range(30)}
    fs = build(MemoryStorage(bytearray(MIB)), tree)
    extents = [fs.extents(path) for path in sorted(tree)]
    assert all(len(each) == 1 and each[0].length == 3000 for each in extents)
    offsets = [each[0].offset for each in extents]
    assert offsets == list(range(offsets[0], offsets[0] + 30 * 3072, 3072))


def test_a_fresh_sparse_image_stays_sparse(tmp_path: Path) -> None:
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(64 * MIB)
        file.seek(32 * MIB)
        file.write(b"middle")
    image = tmp_path / "volume.img"
    with new_image(image, 600 * MIB) as storage:
        build(storage, {"sparse": tmp_path / "sparse", "x": b"y"}, FormatOptions(fresh=True))
    assert os.stat(image).st_blocks * 512 < MIB
    fsck(image)
    mtools("mcopy", image, "::sparse", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "sparse").read_bytes()


def test_an_esp_inside_a_disk(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    with new_image(image, 20 * MIB) as disk:
        window = Window(disk, 64 * 512, 16 * MIB)
        build(window, {"/EFI/BOOT/BOOTX64.EFI": b"MZ"}, FormatOptions(hidden_sectors=64, fresh=True))
        assert disk.read_at(0, 64 * 512) == bytes(64 * 512)
    assert "BOOTX64  EFI         2" in mtools("mdir", image, "::/EFI/BOOT", at=64 * 512)


def test_a_directory_of_the_largest_size(tmp_path: Path) -> None:
    tree = {f"dir/{number:08}.x": b"" for number in range(21_844)}  # 3 entries each, with . and ..
    image = tmp_path / "volume.img"
    with new_image(image, 40 * MIB) as storage:
        fs = build(storage, tree, FormatOptions(fresh=True, fat_type=32))
        assert len(fs.listdir("dir")) == 21_844
    fsck(image)
    tree |= {f"dir/{number:08}.x": b"" for number in range(40_000)}
    with pytest.raises(DirectoryError, match="too many entries"):
        build(MemoryStorage(bytearray(8 * MIB)), tree)


class Huge:
    """A storage that only says that it is large."""

    size = 1 << 32

    def read_at(self, offset: int, size: int) -> Any:
        raise AssertionError("never read")

    def readinto_at(self, offset: int, buffer: object) -> Any:
        raise AssertionError("never read")


@pytest.mark.parametrize(
    ("tree", "error"),
    [
        ({"a:b": b""}, InvalidNameError),
        ({"dir/": None, "DIR": b""}, FileExistsError),
        ({"a": b"", "A": b""}, FileExistsError),
        ({"ä": b"", "Ä": b""}, FileExistsError),
        ({"a": b"", "a/b": b""}, NotADirectoryError),
        ({"a": Huge()}, FileTooLargeError),
        ({"a": b"x" * MIB}, NoSpaceError),
        ({"a": "/dev/null"}, OptionError),
        ({"a": "/no/such/file"}, FileNotFoundError),
    ],
)
def test_what_fat_cannot_hold_is_refused(tree: dict[str, Any], error: type[Exception]) -> None:
    data = bytearray(MIB)
    with pytest.raises(error):
        build(MemoryStorage(data), tree)
    assert not any(data)


def test_links_that_lead_back_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "back").symlink_to("..")
    with pytest.raises(OptionError, match="leads back"):
        build(MemoryStorage(bytearray(MIB)), tmp_path)


def test_a_host_file_that_shrinks_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"x" * 10_000)
    from cloudboot_fat import tree

    root = tree.load({"file": tmp_path / "file"})
    monkeypatch.setattr(tree, "load", lambda _content: root)
    os.truncate(tmp_path / "file", 5_000)
    data = bytearray(MIB)
    with pytest.raises(TruncatedError):
        build(MemoryStorage(data), {})
    with pytest.raises(BootSectorError, match="no boot signature"):
        FatReader(MemoryStorage(data))


@pytest.mark.parametrize("label", ["é", "a/b", "x" * 12, " x", "a.b"])
def test_bad_labels_are_refused(label: str) -> None:
    with pytest.raises(InvalidNameError):
        format_volume(MemoryStorage(bytearray(MIB)), FormatOptions(label=label))


def test_the_regions_cover_what_is_there() -> None:
    tree = a_tree(5)
    fs = build(MemoryStorage(bytearray(40 * MIB)), tree, FormatOptions(fat_type=32))
    regions = fs.regions(tree=True)
    ordered = sorted(regions, key=lambda region: region.offset)
    assert all(one.offset + one.length <= two.offset for one, two in itertools.pairwise(ordered))
    by_name = {region.name for region in regions}
    assert {"boot sector", "FSInfo", "backup boot sector", "FAT 1", "FAT 2", "root directory"} <= by_name
    assert {path for path, data in files_of(tree).items() if data} <= by_name
