"""Changing volumes in place."""

import io
import os
from pathlib import Path
from typing import Any

import pytest

from cloudboot_base import FileKindError, MemoryStorage
from cloudboot_base.exit_codes import NO_SPACE
from cloudboot_fat import (
    DirectoryNotEmptyError,
    FatFileSystem,
    FatReader,
    FatType,
    FormatOptions,
    InvalidNameError,
    NoSpaceError,
    OptionError,
    build,
    check,
    errors,
    times,
)
from cloudboot_fat.testing import contents, fsck

MIB = 1 << 20
TYPES: dict[FatType, int] = {12: MIB, 16: 8 * MIB, 32: 34 * MIB}
Made = tuple[bytearray, FatFileSystem]


@pytest.fixture(params=TYPES, ids=lambda bits: f"FAT{bits}")
def volume(request: pytest.FixtureRequest) -> Made:
    data = bytearray(TYPES[request.param])
    options = FormatOptions(fat_type=request.param, cluster_size=512 if request.param != 16 else 1024)
    return data, build(MemoryStorage(data), {"/dir/file": b"old" * 1000, "/keep": b"keep"}, options)


def judge_it(data: Any, tmp_path: Path) -> None:
    assert check(MemoryStorage(data)) == []
    (tmp_path / "volume.img").write_bytes(data)
    fsck(tmp_path / "volume.img")


def test_files_are_replaced_removed_and_renamed(volume: Made, tmp_path: Path) -> None:
    data, fs = volume
    fs.write_file("/dir/FILE", b"new", timestamp=times.EPOCH.replace(2001))
    assert fs.read_file("/dir/file") == b"new"
    assert fs.stat("/dir/file").modified == times.EPOCH.replace(2001)
    assert fs.stat("/dir/file").created == times.EPOCH
    fs.write_file("/dir/another long name", MemoryStorage(b"from a storage"))
    fs.rename("/dir/another long name", "/Moved")
    fs.rename("/moved", "/MOVED")
    fs.rename("/dir", "/renamed directory")
    fs.mkdir("/renamed directory/inner")
    fs.rename("/renamed directory/inner", "/inner")
    fs.makedirs("/inner/a/b")
    fs.remove("/keep")
    fs.rmdir("/inner/a/b")
    expected = {
        "/renamed directory": None,
        "/renamed directory/file": b"new",
        "/MOVED": b"from a storage",
        "/inner": None,
        "/inner/a": None,
    }
    assert contents(fs) == contents(FatReader(MemoryStorage(data))) == expected
    judge_it(data, tmp_path)


def test_a_host_file_is_written(volume: Made, tmp_path: Path) -> None:
    data, fs = volume
    (tmp_path / "host").write_bytes(os.urandom(30_000))
    entry = fs.write_file("/copy", tmp_path / "host")
    assert (entry.name, entry.size) == ("copy", 30_000)
    assert FatReader(MemoryStorage(data)).read_file("/copy") == (tmp_path / "host").read_bytes()


def test_a_directory_grows_and_its_slots_are_used_again(volume: Made, tmp_path: Path) -> None:
    data, fs = volume
    for number in range(200):
        fs.write_file(f"/dir/a file with a long name {number}", b"x")
    size = sum(extent.length for extent in fs.extents("/dir"))
    assert size >= 200 * 3 * 32
    for number in range(200):
        fs.remove(f"/dir/a file with a long name {number}")
    for number in range(200):
        fs.write_file(f"/dir/b file with a long name {number}", b"x")
    assert sum(extent.length for extent in fs.extents("/dir")) == size
    judge_it(data, tmp_path)


def test_a_full_volume_changes_nothing_and_recovers(volume: Made, tmp_path: Path) -> None:
    data, fs = volume
    before = bytes(data)
    free = fs.free_clusters() * fs.geometry.cluster_size
    for path, size in (("/big", free + 1), ("/dir/file", free + 8192)):
        with pytest.raises(NoSpaceError) as caught:
            fs.write_file(path, bytes(size))
        assert caught.value.exit_code == NO_SPACE
        assert isinstance(caught.value, OSError)
    assert bytes(data) == before
    fs.write_file("/fill", bytes(free))
    assert fs.free_clusters() == 0
    with pytest.raises(NoSpaceError):
        fs.mkdir("/new")
    # There is no room for another copy, but for one in its place.
    full = bytes(data)
    with pytest.raises(NoSpaceError) as caught:
        fs.write_file("/fill", b"\1" * free)
    assert "--in-place" in (caught.value.hint or "")
    assert caught.value.actual == 0
    assert data == full
    fs.write_file("/fill", b"\1" * free, in_place=True)
    assert fs.read_file("/fill") == b"\1" * free
    judge_it(data, tmp_path)
    fs.remove("/fill")
    fs.mkdir("/new")
    judge_it(data, tmp_path)


def test_the_fixed_root_directory_fills_up() -> None:
    data = bytearray(MIB)
    fs = build(MemoryStorage(data), {}, FormatOptions(root_entries=16))
    for number in range(16):
        fs.write_file(f"F{number}", b"")
    with pytest.raises(NoSpaceError, match="the directory is full"):
        fs.write_file("ONEMORE", b"x")
    assert len(fs.listdir()) == 16
    assert check(MemoryStorage(data)) == []


@pytest.mark.parametrize(
    ("call", "arguments", "error"),
    [
        ("write_file", ("/dir", b""), errors.IsADirectoryError),
        ("write_file", ("/no/file", b""), errors.FileNotFoundError),
        ("write_file", ("/keep/file", b""), errors.NotADirectoryError),
        ("write_file", ("/a:b", b""), InvalidNameError),
        ("write_file", ("/", b""), errors.FileExistsError),
        ("write_file", ("/x", "/no/such/host/file"), FileNotFoundError),
        ("write_file", ("/x", "/dev/null"), FileKindError),
        ("write_file", ("/x", "/dev/zero"), FileKindError),
        ("write_file", ("/x", "/"), FileKindError),
        ("mkdir", ("/dir",), errors.FileExistsError),
        ("mkdir", ("/a:b",), InvalidNameError),
        ("mkdir", ("/no/dir",), errors.FileNotFoundError),
        ("makedirs", ("/keep/dir",), errors.FileExistsError),
        ("remove", ("/dir",), errors.IsADirectoryError),
        ("remove", ("/no",), errors.FileNotFoundError),
        ("remove", ("/",), OptionError),
        ("rmdir", ("/dir",), DirectoryNotEmptyError),
        ("rmdir", ("/keep",), errors.NotADirectoryError),
        ("rmdir", ("/",), OptionError),
        ("rename", ("/keep", "/dir"), errors.FileExistsError),
        ("rename", ("/keep", "/dir/file"), errors.FileExistsError),
        ("rename", ("/dir", "/dir/inside"), OptionError),
        ("rename", ("/keep", "/a:b"), InvalidNameError),
        ("rename", ("/no", "/x"), errors.FileNotFoundError),
        ("rename", ("/", "/x"), OptionError),
    ],
)
def test_a_refused_operation_changes_nothing(
    volume: Made, call: str, arguments: tuple[Any, ...], error: type[Exception]
) -> None:
    data, fs = volume
    before, tree = bytes(data), contents(fs)
    with pytest.raises(error):
        getattr(fs, call)(*arguments)
    assert bytes(data) == before
    assert contents(fs) == tree


def test_not_overwriting_is_possible(volume: Made) -> None:
    _data, fs = volume
    with pytest.raises(errors.FileExistsError):
        fs.write_file("/KEEP", b"", overwrite=False)
    assert fs.read_file("/keep") == b"keep"


def test_a_read_only_storage_is_only_read(volume: Made) -> None:
    data, _fs = volume
    fs = FatFileSystem(MemoryStorage(bytes(data)))
    assert fs.read_file("/keep") == b"keep"
    with pytest.raises(io.UnsupportedOperation):
        fs.remove("/keep")


class Failing(MemoryStorage):
    """A storage that fails at the n-th write."""

    writes_left = 1 << 30

    def write_at(self, offset: int, data: Any) -> None:
        if self.writes_left == 0:
            raise OSError(5, "no more writes")
        self.writes_left -= 1
        super().write_at(offset, data)


@pytest.mark.parametrize("fat_type", TYPES)
def test_an_interrupted_change_loses_nothing_that_was_there(fat_type: FatType) -> None:
    """Stop after every single write: the old tree stays readable, and at worst clusters are lost or counts stale."""
    image = bytearray(TYPES[fat_type])
    tree = {"/dir/file": b"old" * 1000, "/keep": b"keep"}
    build(MemoryStorage(image), tree, FormatOptions(fat_type=fat_type))
    writes = 0
    while True:
        data = bytearray(image)
        storage = Failing(data)
        fs = FatFileSystem(storage)
        storage.writes_left = writes
        try:
            fs.write_file("/dir/a new file", b"new" * 2000)
        except OSError:
            pass
        else:
            break
        writes += 1
        after = FatFileSystem(MemoryStorage(data))
        assert after.read_file("/keep") == b"keep"
        assert after.read_file("/dir/file") == b"old" * 1000
        assert {finding.kind for finding in check(MemoryStorage(data))} <= {
            "lost-clusters",
            "fsinfo",
            "fat-copies",
            "long-name-orphan",
        }
        # The object itself has forgotten the attempt, and goes on from what is there.
        assert fs.listdir("/dir") == after.listdir("/dir")
    assert writes >= 4


CHANGES: dict[str, tuple[Any, set[str]]] = {
    "replace": (lambda fs: fs.write_file("/dir/a long name", b"new" * 1000), {"/dir/a long name"}),
    "rename": (lambda fs: fs.rename("/dir/a long name", "/dir/B LONG NAME"), {"/dir/a long name", "/dir/B LONG NAME"}),
    "shorten": (lambda fs: fs.rename("/dir/a long name", "/dir/B"), {"/dir/a long name", "/dir/B"}),
    "respell": (lambda fs: fs.rename("/dir/a long name", "/dir/A Long Name"), {"/dir/a long name"}),
    "move": (lambda fs: fs.rename("/dir/a long name", "/a long name"), {"/dir/a long name", "/a long name"}),
    "move up": (lambda fs: fs.rename("/dir", "/top/dir"), {"/dir/a long name", "/top/dir/a long name"}),
    "take the place": (lambda fs: fs.rename("/dir", "/top", overwrite=True), {"/dir/a long name", "/top/a long name"}),
    "remove another": (lambda fs: fs.remove("/dir/another"), {"/dir/a long name"}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("fat_type", TYPES)
def test_an_interrupted_change_leaves_the_old_or_the_new(fat_type: FatType, change: tuple[Any, set[str]]) -> None:
    image = bytearray(TYPES[fat_type])
    tree = {"/dir/a long name": b"old" * 1000, "/dir/another": b"another" * 1000, "/top": None}
    build(MemoryStorage(image), tree, FormatOptions(fat_type=fat_type))
    writes, done, data = 0, False, image
    while not done:
        data = bytearray(image)
        storage = Failing(data)
        fs = FatFileSystem(storage)
        storage.writes_left = writes
        try:
            change[0](fs)
        except OSError:
            writes += 1
        else:
            done = True
        after = FatFileSystem(MemoryStorage(data))
        found = [after.read_file(path) for path in change[1] if after.exists(path)]
        assert found
        assert set(found) <= {b"old" * 1000, b"new" * 1000}
        # At worst one thing has two names for a moment; no entry leads to free clusters.
        assert "chain" not in {finding.kind for finding in check(MemoryStorage(data))}
    assert check(MemoryStorage(data)) == []
    assert writes >= 1


OLD = b"old" * 1000
PARTS: dict[str, tuple[Any, bytes]] = {
    "append": (lambda fs, slot: fs.write_into(slot, 3000, b"new" * 1000), OLD + b"new" * 1000),
    "leave a gap": (lambda fs, slot: fs.write_into(slot, 5000, b"new"), OLD + bytes(2000) + b"new"),
    "shorten": (lambda fs, slot: fs.resize(slot, 700), OLD[:700]),
    "empty": (lambda fs, slot: fs.resize(slot, 0), b""),
    "lengthen": (lambda fs, slot: fs.resize(slot, 9000), OLD + bytes(6000)),
    "mark": (lambda fs, slot: fs.change_entry(slot, DIR_Attr=0x21), OLD),
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
@pytest.mark.parametrize("fat_type", TYPES)
def test_a_part_is_changed_or_not(fat_type: FatType, part: tuple[Any, bytes], tmp_path: Path) -> None:
    """Stop after every single write: the file has its old or its new bytes, and at worst too many clusters."""
    image = bytearray(TYPES[fat_type])
    fs = build(MemoryStorage(image), {"/file": OLD, "/next": b"next" * 500}, FormatOptions(fat_type=fat_type))
    free = fs.geometry.cluster_offset(fs.geometry.end_cluster - fs.free_clusters())
    image[free:] = b"G" * (len(image) - free)  # what was stored in free clusters comes back nowhere
    writes, done, data = 0, False, image
    while not done:
        data = bytearray(image)
        storage = Failing(data)
        fs = FatFileSystem(storage)
        storage.writes_left = writes
        try:
            part[0](fs, fs.slot_of("/file"))
        except OSError:
            writes += 1
        else:
            done = True
        after = FatFileSystem(MemoryStorage(data))
        assert after.read_file("/file") in {OLD, part[1]}
        assert after.read_file("/next") == b"next" * 500
        assert {finding.kind for finding in check(MemoryStorage(data))} <= {
            "lost-clusters", "file-size", "fsinfo", "fat-copies",
        }  # fmt: skip
    assert FatFileSystem(MemoryStorage(data)).read_file("/file") == part[1]
    assert writes >= 1
    judge_it(data, tmp_path)


def test_parts_are_refused_by_name(volume: Made) -> None:
    _data, fs = volume
    slot = fs.slot_of("/keep")
    with pytest.raises(errors.FileTooLargeError):
        fs.write_into(slot, 2**32 - 2, b"xx")
    with pytest.raises(errors.IsADirectoryError):
        fs.resize(fs.slot_of("/dir"), 0)
    with pytest.raises(OptionError):
        fs.slot_of("/")
    fs.remove("/keep")
    with pytest.raises(errors.FileNotFoundError):
        fs.entry_at(slot)


@pytest.mark.parametrize("fat_type", TYPES)
def test_an_interrupted_growth_brings_no_garbage_in(fat_type: FatType) -> None:
    """A directory without a free slot gets a cluster that is full of old bytes."""
    image = bytearray(TYPES[fat_type])
    cluster = 1024 if fat_type == 16 else 512
    tree = {f"/dir/F{number}": b"" for number in range(cluster // 32 - 2)}
    fs = build(MemoryStorage(image), tree, FormatOptions(fat_type=fat_type, cluster_size=cluster))
    free = fs.geometry.cluster_offset(fs.geometry.end_cluster - fs.free_clusters())
    image[free:] = b"G" * (len(image) - free)
    names = fs.listdir("/dir")
    writes = 0
    while True:
        data = bytearray(image)
        storage = Failing(data)
        fs = FatFileSystem(storage)
        storage.writes_left = writes
        try:
            fs.mkdir("/dir/NEW")
        except OSError:
            pass
        else:
            break
        writes += 1
        assert FatReader(MemoryStorage(data)).listdir("/dir") in (names, [*names, "NEW"])
    assert check(MemoryStorage(data)) == []
    assert writes >= 4


def test_what_stands_after_the_end_mark_does_not_come_back() -> None:
    data = bytearray(MIB)
    fs = build(MemoryStorage(data), {"A": b"", "B": b""})
    root = fs.geometry.root_offset
    data[root + 32] = 0  # B is gone, and what follows is garbage now
    data[root + 64 : root + 96] = b"GARBAGE TXT" + bytes(21)
    fs = FatFileSystem(MemoryStorage(data))
    assert fs.listdir() == ["A"]
    fs.write_file("C", b"x")
    assert FatReader(MemoryStorage(data)).listdir() == ["A", "C"]
    assert check(MemoryStorage(data)) == []


def test_only_the_active_fat_is_written_where_mirroring_is_off() -> None:
    data = bytearray(34 * MIB)
    fs = build(MemoryStorage(data), {"A": b"x"}, FormatOptions(fat_type=32, cluster_size=512))
    data[40:42] = (0x81).to_bytes(2, "little")  # BPB_ExtFlags: the second FAT alone counts
    data[6 * 512 + 40 : 6 * 512 + 42] = data[40:42]
    geometry = fs.geometry
    first = bytes(data[geometry.fat_offset(0) : geometry.fat_offset(1)])
    fs = FatFileSystem(MemoryStorage(data))
    fs.write_file("B", b"y" * 5000)
    assert data[geometry.fat_offset(0) : geometry.fat_offset(1)] == first
    assert FatReader(MemoryStorage(data)).read_file("B") == b"y" * 5000
    assert check(MemoryStorage(data)) == []


def test_reserved_bits_of_fat32_entries_are_kept() -> None:
    data = bytearray(34 * MIB)
    fs = build(MemoryStorage(data), {}, FormatOptions(fat_type=32, cluster_size=512))
    for copy in range(2):
        for cluster in range(3, 20):
            data[fs.geometry.fat_offset(copy) + 4 * cluster + 3] = 0xA0
    fs = FatFileSystem(MemoryStorage(data))
    fs.write_file("A", b"x" * 4000)
    assert data[fs.geometry.fat_offset() + 4 * 3 + 3] == 0xA0
    fs.remove("A")
    assert data[fs.geometry.fat_offset(1) + 4 * 3 + 3] == 0xA0
    assert check(MemoryStorage(data)) == []


class Unreadable:
    """A storage that turns out to be damaged in its middle."""

    size = 500_000

    def read_at(self, offset: int, size: int) -> bytes:
        raise OSError(5, "unreadable")

    def readinto_at(self, offset: int, buffer: object) -> None:
        raise OSError(5, "unreadable")


def test_after_a_failure_nothing_of_it_is_left(volume: Made) -> None:
    data, fs = volume
    before = bytes(data)
    with pytest.raises(OSError, match="unreadable"):
        fs.write_file("/dir/new", Unreadable())
    assert bytes(data) == before
    fs.write_file("/dir/other", b"x" * 2000)
    assert fs.listdir("/dir") == ["file", "other"]
    assert check(MemoryStorage(data)) == []


def test_slack_is_zeroed(volume: Made) -> None:
    data, fs = volume
    free = fs.geometry.cluster_offset(fs.geometry.end_cluster - fs.free_clusters())
    data[free:] = b"\xa5" * (len(data) - free)
    fs.write_file("/new", b"x" * 100)
    fs.mkdir("/folder")
    offset = fs.extents("/new")[0].offset
    assert data[offset : offset + fs.geometry.cluster_size] == b"x" * 100 + bytes(fs.geometry.cluster_size - 100)
    assert fs.listdir("/folder") == []
    assert check(MemoryStorage(data)) == []


def test_more_directories_than_are_kept_in_memory() -> None:
    data = bytearray(16 * MIB)
    tree = {f"{number}/file": b"%d" % number for number in range(200)}
    build(MemoryStorage(data), tree, FormatOptions(cluster_size=32768))
    fs = FatFileSystem(MemoryStorage(data))
    for number in range(200):
        fs.rename(f"{number}/file", f"{199 - number}/moved")
        if number % 20 == 0:
            list(fs.walk())
    assert {path: found for path, found in contents(FatReader(MemoryStorage(data))).items() if found} == {
        f"/{199 - number}/moved": b"%d" % number for number in range(200)
    }
    assert check(MemoryStorage(data)) == []
