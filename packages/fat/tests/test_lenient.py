"""Volumes that break a rule and that other readers read all the same: what is read, and what check says of them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from cloudboot_base import MemoryStorage, TruncatedError, new_image
from cloudboot_base.testing import judge, run
from cloudboot_fat import BootSectorError, FatFileSystem, FatReader, FormatOptions, build, check, errors
from cloudboot_fat.__main__ import main
from cloudboot_fat.testing import fsck, fsck_report, mtools, set_fat_entries
from cloudboot_fat.volume import WritableFatVolume

MIB = 1 << 20
TREE: dict[str, bytes | None] = {"/P.TXT": b"hello", "/D/E/Q.TXT": b"deep"}


def made(tree: Any = TREE, size: int = 16 * MIB, **options: Any) -> bytearray:
    data = bytearray(size)
    build(MemoryStorage(data), tree, FormatOptions(fresh=True, **options))
    return data


def saved(path: Path, data: bytes | bytearray) -> Path:
    path.write_bytes(data)
    return path


def kinds(data: bytes | bytearray) -> list[str]:
    return [finding.kind for finding in check(MemoryStorage(data))]


def without_signature(data: bytearray) -> None:
    data[510:512] = bytes(2)


def of_more_clusters(data: bytearray) -> None:
    """The volume has grown by a quarter, its FAT has not."""
    data += bytes(len(data) // 4)
    struct.pack_into("<H", data, 19, 0)
    struct.pack_into("<I", data, 32, len(data) // 512)
    if FatReader(MemoryStorage(data)).geometry.fat_type == 32:
        data[6 * 512 : 7 * 512] = data[:512]


@pytest.mark.parametrize("fat_type", [12, 16, 32])
@pytest.mark.parametrize(
    ("damage", "kind", "is_judged_by_fsck"),
    [(without_signature, "boot-signature", True), (of_more_clusters, "fat-length", False)],
)
def test_what_other_readers_read_is_read_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fat_type: Any, damage: Any, kind: str, is_judged_by_fsck: bool
) -> None:
    monkeypatch.setenv("MTOOLS_SKIP_CHECK", "1")  # mtools asks to be told that such a volume is meant
    data = made(size={12: 4, 16: 16, 32: 64}[fat_type] * MIB, fat_type=fat_type)
    backup = bytes(data[6 * 512 : 7 * 512])
    damage(data)
    image = saved(tmp_path / "v.img", data)
    assert mtools("mtype", image, "::/P.TXT") == "hello"
    fs = FatFileSystem(MemoryStorage(data))
    assert fs.read_file("/P.TXT") == b"hello"
    assert kind in kinds(data)
    # What is written lies where the others look for it, and nowhere else.
    size = fs.free_clusters() * fs.geometry.cluster_size - 4096
    fs.write_file("/D/FULL.BIN", b"f" * size)
    saved(image, data)
    assert mtools("mtype", image, "::/D/FULL.BIN") == "f" * size
    assert mtools("mtype", image, "::/D/E/Q.TXT") == "deep"
    if is_judged_by_fsck:
        data[510:512] = b"\x55\xaa"
        assert data[6 * 512 : 7 * 512] == backup or fat_type != 32
        fsck(saved(image, data))


def test_an_image_cut_short_is_read_as_far_as_it_goes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = made({"/P.TXT": b"hello", "/Z.BIN": b"z" * 12 * MIB})[: 8 * MIB]
    image = saved(tmp_path / "v.img", data)
    assert "Failed to read sector" in run(judge("fsck.fat", "dosfstools"), "-n", image, codes=(1,))
    assert mtools("mtype", image, "::/P.TXT") == "hello"
    with pytest.raises(TruncatedError):
        FatReader(MemoryStorage(data))
    with pytest.raises(TruncatedError):
        FatReader(MemoryStorage(data[:4096]), truncated=True)
    assert kinds(data) == ["truncated"]
    assert main(["cat", str(image), "/P.TXT"]) == 0
    told = capsys.readouterr()
    assert told.out == "hello"
    assert f"ends {8 * MIB} bytes before its volume does" in told.err
    assert main(["get", str(image), "/Z.BIN", str(tmp_path / "z")]) == 3
    assert not (tmp_path / "z").exists()
    assert main(["put", str(image), str(image), "/X"]) == 3
    assert image.read_bytes() == data


def test_a_directory_behind_the_end_is_a_finding() -> None:
    data = made({"/A.BIN": b"a" * 4 * MIB})
    fs = FatFileSystem(MemoryStorage(data))
    fs.mkdir("/D")
    assert kinds(data[: fs.extents("/D")[0].offset]) == ["truncated", "truncated"]


@pytest.mark.parametrize(("attributes", "is_label"), [(0x08, True), (0x28, True), (0x18, False)])
def test_a_label_is_no_directory(tmp_path: Path, attributes: int, is_label: bool) -> None:
    data = made(label="NAME")
    at = data.index(b"NAME       ", 512)
    data[at + 11] = attributes
    facts = run(judge("blkid", "util-linux"), "-p", "-o", "export", saved(tmp_path / "v.img", data)).splitlines()
    assert ("LABEL=NAME" in facts) is is_label
    assert FatReader(MemoryStorage(data)).label == ("NAME" if is_label else "")
    assert kinds(data) == ([] if is_label else ["label", "label-differs"])
    _, complaints = fsck_report(tmp_path / "v.img")
    assert bool(complaints) is not is_label


def test_a_lost_boot_sector_comes_back_as_the_hint_says(tmp_path: Path) -> None:
    for sector_size, size in ((512, 64 * MIB), (4096, 512 * MIB)):
        image = tmp_path / f"{sector_size}.img"
        with new_image(image, size) as storage:
            build(storage, TREE, FormatOptions(fresh=True, fat_type=32, sector_size=sector_size))
            whole = storage.read_at(0, 512)
            storage.write_at(0, bytes(512))
            with pytest.raises(BootSectorError) as caught:
                FatReader(storage)
        hint = caught.value.hint or ""
        words = hint[hint.index("dd ") : hint.index(",", hint.index("dd "))].split()
        run("dd", f"if={image}", f"of={image}", "status=none", *words[1:])
        with image.open("rb") as file:
            assert file.read(512) == whole
        fsck(image)


@pytest.mark.parametrize(
    ("name", "said"), [(b"EXFAT   ", "exFAT"), (b"NTFS    ", "NTFS"), (b"-FVE-FS-", "BitLocker"), (b"MSDOS5.0", None)]
)
def test_another_file_system_is_named(name: bytes, said: str | None) -> None:
    data = bytearray(b"\xeb\x76\x90" + name).ljust(510, b"\0") + b"\x55\xaa" + bytes(MIB)
    with pytest.raises(BootSectorError) as caught:
        FatReader(MemoryStorage(data))
    assert (said in (caught.value.hint or "")) if said else caught.value.hint is None


def test_a_root_directory_whose_chain_breaks_is_a_finding() -> None:
    data = made({f"/{number:03}.TXT": b"x" for number in range(100)}, size=64 * MIB, fat_type=32)
    set_fat_entries(data, {2: 0})
    assert "chain" in kinds(data)


# Paths


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/.", ["D", "P.TXT"]),
        ("/..", ["D", "P.TXT"]),
        ("/D/../../D/./", ["E"]),
        ("D/E/..", ["E"]),
        ("/D/E/../..", ["D", "P.TXT"]),
    ],
)
def test_dots_in_paths_lead_where_they_do_elsewhere(tmp_path: Path, path: str, names: list[str]) -> None:
    data = made()
    fs = FatReader(MemoryStorage(data))
    assert fs.listdir(path) == names
    image = saved(tmp_path / "v.img", data)
    shown = mtools("mdir", image, "-b", f"::/{path}").splitlines()
    assert [line.rstrip("/").rpartition("/")[2] for line in shown] == names
    (top, _, _), *_ = fs.walk(path)
    assert fs.listdir(top) == names
    assert ".." not in top


def test_dots_lead_through_directories_only() -> None:
    fs = FatReader(MemoryStorage(made()))
    for path, error in (("/none/..", FileNotFoundError), ("/P.TXT/..", NotADirectoryError)):
        with pytest.raises(error):
            fs.stat(path)
    assert fs.read_file("/D/E/../../P.TXT") == b"hello"


@pytest.mark.parametrize("last", ["/D/.", "/D/..", "/..", "D/E/./.."])
def test_what_changes_needs_a_name(tmp_path: Path, last: str) -> None:
    data = made()
    before = bytes(data)
    fs = FatFileSystem(MemoryStorage(data))
    for change in (
        lambda: fs.write_file(last, b""), lambda: fs.mkdir(last), lambda: fs.rmdir(last), lambda: fs.remove(last),
        lambda: fs.rename(last, "/X"), lambda: fs.rename("/P.TXT", last),
    ):  # fmt: skip
        with pytest.raises(errors.InvalidNameError):
            change()
    with WritableFatVolume(MemoryStorage(data)) as volume, pytest.raises(errors.InvalidNameError):
        volume.rmdir(last)
    image = saved(tmp_path / "v.img", data)
    assert main(["rm", "-r", str(image), last]) == 3
    assert image.read_bytes() == data == before


def test_directories_are_made_and_moved_through_dots(tmp_path: Path) -> None:
    data = made()
    fs = FatFileSystem(MemoryStorage(data))
    fs.makedirs("/D/../NEW/./DEEP")
    fs.rename("/D/E", "/D/E/../../NEW/E")
    fs.write_file("/NEW/DEEP/../A.TXT", b"a")
    with pytest.raises(errors.InvalidNameError):
        fs.makedirs("/none/../x")
    assert fs.listdir("/NEW") == ["DEEP", "E", "A.TXT"]
    with pytest.raises(errors.OptionError):
        fs.rename("/NEW", "/D/../NEW/E/X")
    image = saved(tmp_path / "v.img", data)
    fsck(image)
    assert mtools("mtype", image, "::/NEW/E/Q.TXT") == "deep"
