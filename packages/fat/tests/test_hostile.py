"""Bad input ends in typed errors or findings, soon, and with little memory."""

import os
import random
import resource
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudboot_base import FileStorage, FormatError, MemoryStorage, TruncatedError
from cloudboot_base.testing import truncations
from cloudboot_fat import ChainError, DirectoryError, FatFileSystem, FatReader, FormatOptions, build, check
from cloudboot_fat.testing import poke, set_fat_entries

MIB = 1 << 20
TREE = {"/DIR/SUB/DEEP": b"deep" * 500, "/DIR/a long name.txt": b"long" * 500, "/FILE": b"file" * 500}
SMALL = {12: 96 << 10, 16: 2200 << 10}


class Counting(MemoryStorage):
    """A storage that counts what is asked of it."""

    reads = 0

    def read_at(self, offset: int, size: int) -> bytes:
        self.reads += 1
        return super().read_at(offset, size)

    def readinto_at(self, offset: int, buffer: Any) -> None:
        self.reads += 1
        super().readinto_at(offset, buffer)


def volume(fat_type: Any) -> Any:
    data = bytearray(SMALL.get(fat_type, 34 * MIB))
    build(MemoryStorage(data), TREE, FormatOptions(fat_type=fat_type, cluster_size=512))
    return data


def read_everything(data: Any) -> None:
    """All a reader does; only typed errors may come out, and the checker of what is a volume never raises."""
    storage = MemoryStorage(data)
    try:
        fs = FatReader(storage)
    except TruncatedError:
        with suppress(TruncatedError):  # the checker goes on where only the end of the data area is missing
            assert "truncated" in {finding.kind for finding in check(storage)}
        return
    except FormatError as error:
        with pytest.raises(type(error)):
            check(storage)
        return
    check(storage)
    try:
        _ = fs.label, fs.serial, fs.fsinfo()
        for path, _folders, files in fs.walk():
            fs.extents(path)
            for entry in files:
                entry.as_dict()
                for offset, length in fs.file_extents(entry):
                    assert offset >= 0
                    assert length > 0
                    assert offset + length <= storage.size
    except FormatError as error:
        _ = str(error), error.as_dict()


def offset_of(fs: FatReader, path: str) -> int:
    offset = fs.stat(path).offset
    assert offset is not None
    return offset


def test_truncated_images() -> None:
    for data in truncations(bytes(volume(12)), 509):
        read_everything(data)
        if len(data) < SMALL[12] - 511:
            with pytest.raises(FormatError):
                FatReader(MemoryStorage(data))


@settings(max_examples=400, deadline=None)
@given(fat_type=st.sampled_from([12, 16]), seed=st.integers(0, 1 << 30), flips=st.integers(1, 40))
def test_flipped_bytes_of_the_metadata(fat_type: Any, seed: int, flips: int) -> None:
    data = _PRISTINE[fat_type].copy()
    rng = random.Random(seed)
    fs = FatReader(MemoryStorage(data))
    hot = [(0, 64), (fs.geometry.fat_offset(), 64), (fs.geometry.root_offset, 256), (fs.geometry.data_offset, 2048)]
    for _ in range(flips):
        start, length = rng.choice(hot)
        data[start + rng.randrange(length)] = rng.choice([0, 1, 0x0F, 0x7F, 0x80, 0xE5, 0xFF, rng.randrange(256)])
    read_everything(data)


_PRISTINE = {fat_type: volume(fat_type) for fat_type in SMALL}


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 1 << 30), count=st.integers(1, 20))
def test_changing_a_damaged_volume_raises_typed_errors(seed: int, count: int) -> None:
    data = _PRISTINE[12].copy()
    rng = random.Random(seed)
    set_fat_entries(data, {rng.randrange(2, 40): rng.randrange(4096) for _ in range(count)})
    fs = FatFileSystem(MemoryStorage(data))
    for call, arguments in (
        ("write_file", ("/FILE", b"x" * 3000)),
        ("mkdir", ("/DIR/new",)),
        ("rename", ("/DIR/SUB/DEEP", "/deep")),
        ("remove", ("/DIR/a long name.txt",)),
        ("rmdir", ("/DIR/SUB",)),
        ("write_file", ("/DIR/SUB/new", b"y" * 1000)),
    ):
        try:
            getattr(fs, call)(*arguments)
        except FormatError as error:
            _ = str(error)


def test_a_directory_that_contains_itself() -> None:
    data = volume(16)
    fs = FatReader(MemoryStorage(data))
    poke(data, offset_of(fs, "/DIR/SUB") + 26, "H", fs.stat("/DIR").cluster)
    with pytest.raises(DirectoryError, match="reached twice"):
        list(FatReader(MemoryStorage(data)).walk())
    assert "cross-linked" in {finding.kind for finding in check(MemoryStorage(data))}


def test_thousands_of_files_in_the_same_fragments() -> None:
    """Each of 4,000 files is the same chain of every second cluster: 8 million extents, if anybody listed them."""
    data = bytearray(4 * MIB)
    tree = {f"/DIR/F{number}": b"x" * 512 for number in range(4000)}
    fs = build(MemoryStorage(data), tree, FormatOptions(fat_type=16, cluster_size=512))
    first = fs.stat("/DIR/F0").cluster
    set_fat_entries(data, {first + 2 * n: first + 2 * n + 2 for n in range(1999)} | {first + 3998: 0xFFFF})
    for extent in fs.extents("/DIR"):
        for slot in range(extent.offset + 64, extent.end, 32):
            if data[slot]:
                poke(data, slot + 26, "H", first)
                poke(data, slot + 28, "I", 2000 * 512)
    reader = FatReader(MemoryStorage(data))
    told = 0
    with pytest.raises(ChainError, match="share clusters"):
        for _region in reader._tree_regions():
            told += 1
    assert told <= reader.geometry.clusters


def test_a_hundred_thousand_entries_end_at_the_limit() -> None:
    """A directory whose chain is the whole volume, every slot of it in use."""
    data = bytearray(34 * MIB)
    fs = build(MemoryStorage(data), {"DIR/F": b""}, FormatOptions(fat_type=32, cluster_size=512))
    start = fs.stat("DIR").cluster
    count = 100_000 // 16
    set_fat_entries(data, {start: 100} | {100 + n: 101 + n for n in range(count)} | {100 + count: 0x0FFFFFFF})
    slots = b"".join(b"%08d   " % n + bytes(21) for n in range(16 * count))
    offset = fs.geometry.cluster_offset(100)
    data[offset : offset + len(slots)] = slots
    with pytest.raises(DirectoryError, match="too large"):
        FatReader(MemoryStorage(data)).listdir("DIR")
    assert "directory-size" in {finding.kind for finding in check(MemoryStorage(data))}


def test_directories_nested_without_end_are_not_followed() -> None:
    """Every cluster a directory with one long name in it: paths would grow to a hundred megabytes."""
    data = bytearray(8 * MIB)
    fs = build(MemoryStorage(data), {"D": None}, FormatOptions(cluster_size=512, fat_type=16))
    fat, count = {}, 12_000
    for cluster in range(2, 2 + count):
        fat[cluster] = 0xFFFF
        entry = struct.pack("<11sB14xHI", b"NEXTNAMETXT", 0x10, cluster + 1, 0)
        offset = fs.geometry.cluster_offset(cluster)
        data[offset : offset + 32] = entry
    set_fat_entries(data, fat)
    storage = Counting(data)
    with pytest.raises(DirectoryError, match="too long"):
        list(FatReader(storage).walk())
    assert "path-length" in {finding.kind for finding in check(storage, limit=10_000)}
    assert storage.reads < 3 * 4096  # a path of 4,096 characters goes no deeper


@pytest.mark.parametrize("pattern", ["one", "zigzag", "random"])
def test_a_huge_sparse_volume_with_a_wild_fat(tmp_path: Path, pattern: str) -> None:
    """60 GiB of nothing: opening, reading and refusing take no time and no memory to speak of."""
    image = tmp_path / "huge.img"
    size = 60 << 30
    with open(image, "wb") as file:
        file.truncate(size)
    fd = os.open(image, os.O_RDWR)
    try:
        storage = FileStorage(fd)
        fs = build(storage, {"F": b"x"}, FormatOptions(fat_type=32, cluster_size=4096, fresh=True))
        first = fs.stat("F").cluster
        entry = bytearray(storage.read_at(offset_of(fs, "F"), 32))
        entry[28:32] = b"\xff\xff\xff\xff"
        storage.write_at(offset_of(fs, "F"), entry)
        chain = {
            "one": {first: first},
            "zigzag": {first + n: first + (n ^ 1) + (2 if n & 1 else 0) for n in range(100_000)},
            "random": {first + n: random.Random(n).randrange(1 << 24) for n in range(1000)},
        }[pattern]
        for cluster, value in chain.items():
            storage.write_at(fs.geometry.fat_offset() + 4 * cluster, struct.pack("<I", value))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        reader = FatReader(storage)
        with pytest.raises(FormatError):
            reader.read_file("F")
        assert {"chain", "fat-copies"} <= {finding.kind for finding in check(storage)}
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10
    finally:
        os.close(fd)


def test_long_name_garbage() -> None:
    """A directory full of slots that claim to be parts of long names."""
    data = volume(12)
    fs = FatReader(MemoryStorage(data))
    rng = random.Random(4)
    for slot in range(64):
        raw = bytearray(rng.randbytes(32))
        raw[0] = rng.choice([1, 2, 3, 0x41, 0x42, 0x54, 0x7F, 0xC1, 0x80])
        raw[11] = rng.choice([0x0F, 0x0F, 0x0F, 0x3F, 0x20])
        offset = fs.geometry.root_offset + 32 * slot
        data[offset : offset + 32] = raw
    read_everything(data)
    for name in FatReader(MemoryStorage(data)).listdir():
        assert "/" not in name
        assert name not in {"", ".", ".."}


@given(st.binary(max_size=2048))
def test_anything_at_all(data: Any) -> None:
    read_everything(data)
    read_everything(data[:510].ljust(510, b"\0") + b"\x55\xaa" + data)
