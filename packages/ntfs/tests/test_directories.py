"""Directories that grow and shrink, and short names: judged by ntfs-3g, the Sleuth Kit, dissect and GRUB."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import cloudboot_ntfs as ntfs
from cloudboot_base import MemoryStorage
from cloudboot_base.testing import Journal, judge, run
from cloudboot_ntfs import errors
from cloudboot_ntfs.layout.constants import Type
from cloudboot_ntfs.layout.times import from_unix_ns
from cloudboot_ntfs.testing import mounted, ntfs3g_volume, ntfsfix, pattern

TraceFunction = Callable[[FrameType, str, Any], Any]
MOMENT = 1_700_000_000_000_000_000


def name(number: int) -> str:
    """Names of many lengths, whose order is not that of their numbers."""
    return f"{number * 7919 % 10_007:05} \u0416{'x' * (number % 60)}"


def blocks(volume: ntfs.NTFS, path: str) -> tuple[int, int]:
    """Blocks of a directory's index, and how many of them are in use."""
    record = volume.mft.file(volume.find(path))
    if not any(each.type == Type.INDEX_ALLOCATION for each in record.attributes):
        return 0, 0
    bits = volume.mft.stream(record, Type.BITMAP, "$I30")
    size = volume.mft.stream(record, Type.INDEX_ALLOCATION, "$I30").size
    return size // volume.geometry.index_size, int.from_bytes(bits.read_at(0, bits.size), "little").bit_count()


@pytest.mark.parametrize("cluster_size", [512, 4096, 65536])
def test_names_come_and_go(cluster_size: int, tmp_path: Path) -> None:
    image = tmp_path / "image"
    ntfs.format(image, ntfs.Options(cluster_size=cluster_size), size=32 << 20)
    chance = random.Random(cluster_size)
    there: set[int] = set()
    with ntfs.WritableNTFS(image, timestamp_ns=MOMENT) as volume:
        volume.mkdir("/d")
        for _ in range(3):
            with volume.transaction():
                for number in chance.sample(range(3000), 1200):
                    if number not in there:
                        volume.write_file(f"/d/{name(number)}", b"%d" % number)
                        there.add(number)
                    elif chance.random() < 0.7:
                        volume.unlink(f"/d/{name(number)}")
                        there.remove(number)
            assert ntfs.check(image) == []
        for number in chance.sample(sorted(there), 60):
            volume.unlink(f"/d/{name(number)}")
            there.remove(number)
        assert ntfs.check(image) == []
        assert set(volume.listdir("/d")) == {name(number) for number in there}
        assert blocks(volume, "/d")[1] > 30
    listed = run(judge("fls", "sleuthkit"), "-u", "-r", "-p", image).splitlines()
    assert {line.split("\td/")[1] for line in listed if "\td/" in line} == {name(number) for number in there}
    with mounted(image) as folder:
        assert set(os.listdir(folder / "d")) == {name(number) for number in there}
        for number in there:  # by the order of the index, not by listing it
            assert (folder / "d" / name(number)).stat().st_size == len(str(number))
        for number in sorted(there)[::3]:
            (folder / "d" / name(number)).unlink()
            there.remove(number)
    assert ntfs.check(image) == []
    with ntfs.WritableNTFS(image, timestamp_ns=MOMENT) as volume:
        left = sorted(there)[:2]
        with volume.transaction():
            for number in sorted(there)[2:]:
                volume.unlink(f"/d/{name(number)}")
        assert volume.listdir("/d") == sorted(name(number) for number in left)
        assert blocks(volume, "/d") == (0, 0)  # two names fit the record again, and every node is given back
    assert ntfs.check(image) == []
    assert "processed successfully" in ntfsfix(image)


def test_a_change_writes_a_few_nodes_whatever_the_directory_holds() -> None:
    written = []
    for count in (500, 4000):
        journal = Journal(bytearray(32 << 20))
        ntfs.build(journal, {f"/d/a name of some length {number:05}": b"" for number in range(count)})
        volume = ntfs.WritableNTFS(journal, timestamp_ns=MOMENT)
        journal.writes.clear()
        for number in range(0, count, count // 20):
            volume.write_file(f"/d/a name of some length {number:05} too", b"x")
        written.append(len(journal.writes))
    assert written[1] < 1.2 * written[0] < 300


def test_a_change_takes_as_many_steps_whatever_the_volume_holds() -> None:
    """Lines that run stand for time: names, records and clusters, in use or free, are not gone through one by one."""
    steps = []
    for count, size in ((500, 16 << 20), (10_000, 512 << 20)):
        storage = MemoryStorage(bytearray(size))
        tree = {f"/d/a name of some length {number:05}": b"content" for number in range(count)}
        ntfs.build(storage, tree | {f"/{number}": b"a cluster" * 100 for number in range(count)})
        with ntfs.WritableNTFS(storage, timestamp_ns=MOMENT) as volume:
            volume.write_file("/d/first", b"")  # what is read once
            with lines() as counted:
                for number in range(0, count, count // 25):
                    volume.write_file(f"/d/a name of some length {number:05} too", b"x" * 5000)
                    volume.unlink(f"/d/a name of some length {number:05}")
        steps.append(counted[0])
    assert steps[1] < 1.5 * steps[0]


@contextlib.contextmanager
def lines() -> Iterator[list[int]]:
    """How many lines of Python run inside."""
    counted = [0]

    def trace(_: FrameType, event: str, __: object) -> TraceFunction:
        counted[0] += event == "line"
        return trace

    others = sys.gettrace()
    sys.settrace(trace)
    try:
        yield counted
    finally:
        sys.settrace(others)


def test_many_names_of_one_file() -> None:
    """Every name repeats what the file says, with a clock that stands and one that goes; the last one does, too."""
    for step in (0, 1_000_000_000):
        moments = itertools.count(MOMENT, step)
        storage = MemoryStorage(bytearray(16 << 20))
        ntfs.format(storage)
        with ntfs.WritableNTFS(storage, clock=moments.__next__) as volume:
            volume.mkdir("/d")
            volume.write_file("/file", b"some content")
            for number in range(100):
                volume.link("/file", f"/{'d/' if number % 2 else ''}name {number}")
            volume.append("/d/name 77", b" and more")
            volume.unlink("/name 4")
            volume.utime("/name 6", mtime_ns=MOMENT)
            own = volume.stat("/file")
            assert own.st_nlink == 100
        assert ntfs.check(storage) == []
        with ntfs.NTFS(storage) as read:
            told = {
                (child.name.changed, child.name.modified, child.name.data_size)
                for folder in (read.find("/"), read.find("/d"))
                for child in read.children(folder).values()
                if child.number == own.st_ino
            }
        assert told == {(from_unix_ns(own.st_ctime_ns), from_unix_ns(MOMENT), 21)}


def test_readers_find_names_in_a_tree_of_three_levels(tmp_path: Path) -> None:
    image = tmp_path / "image"
    ntfs.format(image, size=24 << 20)
    long = [f"{'n' * 200} {number}" for number in range(900)]  # nine to a node
    with ntfs.WritableNTFS(image, timestamp_ns=MOMENT) as volume, volume.transaction():
        for each in random.Random(1).sample(long, len(long)):
            volume.mkdir(f"/{each}")
            volume.write_file(f"/{each}/file", each.encode())
    assert ntfs.check(image) == []
    grub = judge("grub-fstest", "grub-common")
    host = tmp_path / "host"
    for each in long[::150]:
        host.write_bytes(each.encode())
        run(grub, image, "cmp", f"(loop0)/{each}/file", host, timeout=60)
    dissect = pytest.importorskip("dissect.ntfs")
    with image.open("rb") as file:
        theirs = dissect.NTFS(file)
        assert {entry.attribute.file_name for entry in theirs.mft.root.iterdir(dereference=False)} >= set(long)
        assert theirs.mft.get(f"{long[77]}/file").open().read() == long[77].encode()


@pytest.mark.parametrize("count", [2000, pytest.param(100_000, marks=pytest.mark.long)])
def test_names_created_one_by_one_in_one_directory(count: int, tmp_path: Path) -> None:
    """Each a complete operation, in no order; every judge finds all of them."""
    image = tmp_path / "image"
    ntfs.format(image, size=max(16 << 20, count * 2048))
    names = [f"a file of many {number * 7919 % count:06}" for number in range(count)]
    with ntfs.WritableNTFS(image, timestamp_ns=MOMENT) as volume:
        volume.mkdir("/d")
        for each in names:
            volume.write_file(f"/d/{each}", each.encode())
    assert ntfs.check(image) == []
    with mounted(image, "ro") as folder:
        assert set(os.listdir(folder / "d")) == set(names)
        for each in names[:: count // 50]:
            assert (folder / "d" / each).read_bytes() == each.encode()
    listed = run(judge("fls", "sleuthkit"), "-u", "-r", "-p", image).splitlines()
    assert {line.split("\t")[1] for line in listed if "\td/" in line} == {f"d/{each}" for each in names}


def test_short_names(tmp_path: Path) -> None:
    image = ntfs3g_volume(tmp_path / "image", 16 << 20)
    with ntfs.WritableNTFS(image, timestamp_ns=MOMENT, short_names=True) as volume:
        for number in range(12):
            volume.write_file(f"/A long name {number}.text", b"%d" % number)
        volume.write_file("/SHORT.TXT", b"short")
        volume.mkdir("/Program Files")
        volume.write_file("/progra~1/inner file.c++", b"inner")
        volume.link("/SHORT.TXT", "/a hard link to it")
        assert volume.read_file("/ALONGN~1.TEX") == b"0"
        assert volume.listdir("/Program Files") == ["inner file.c++"]
        assert ntfs.check(image) == []
    with mounted(image) as folder:
        shorts = {}
        for each in folder.iterdir():
            if each.name not in ("SHORT.TXT", "a hard link to it"):  # ntfs-3g tells no short name of such files
                shorts[each.name] = os.getxattr(each, "system.ntfs_dos_name").decode()
        assert shorts["Program Files"] == "PROGRA~1"
        assert [shorts[f"A long name {number}.text"] for number in range(4)] == [
            f"ALONGN~{number}.TEX" for number in range(1, 5)
        ]
        assert len(set(shorts.values())) == len(shorts) == 13
        (folder / "A long name 3.text").unlink()  # which takes both names away
        (folder / "A long name 4.text").rename(folder / "renamed by ntfs-3g")
    assert ntfs.check(image) == []
    with ntfs.WritableNTFS(image, timestamp_ns=MOMENT, short_names=True) as volume:
        volume.unlink("/alongn~1.tex")
        volume.rename("/A long name 1.text", "/another long name")
        volume.rename("/progra~1", "/Programs of all kinds")
        assert volume.exists("/PROGRA~1")
        assert not volume.exists("/Program Files")
        assert not volume.exists("/A long name 0.text")
        assert volume.read_file("/PROGRA~1/INNERF~1.C__") == b"inner"
        volume.rename("/SHORT.TXT", "/Short.txt")
    assert ntfs.check(image) == []
    with mounted(image) as folder:
        assert os.getxattr(folder / "another long name", "system.ntfs_dos_name") == b"ANOTHE~1"
        assert (folder / "Programs of all kinds/inner file.c++").read_bytes() == b"inner"


def test_what_fails_changes_nothing() -> None:
    data = bytearray(4 << 20)
    ntfs.build(MemoryStorage(data), {"/a": pattern(100_000), "/d/x": b"x"}, ntfs.Options(fresh=True))
    with ntfs.WritableNTFS(MemoryStorage(data), timestamp_ns=MOMENT) as volume:
        before = bytes(data)
        actions: list[Callable[[], object]] = [
            lambda: volume.write_file("/new", bytes(4 << 20)),
            lambda: volume.write_file("/a", bytes(4 << 20)),
            lambda: volume.append("/a", bytes(4 << 20)),
            lambda: volume.write_at("/a", 50, bytes(4 << 20)),
            lambda: volume.write_file("/d/x", bytes(4 << 20), stream="s"),
        ]
        for action in actions:
            with pytest.raises(errors.NoSpaceError):
                action()
            assert ntfs.check(bytes(data)) == []
            assert volume.read_file("/a") == pattern(100_000)
        with pytest.raises(errors.NoSpaceError), volume.transaction():
            volume.write_file("/kept", b"kept")
            volume.write_file("/lost", bytes(4 << 20))
        assert volume.listdir("/") == ["a", "d", "kept"]
        volume.unlink("/kept")
        assert ntfs.check(bytes(data)) == []
        full = 0
        with pytest.raises(errors.NoSpaceError):
            while True:
                volume.write_file(f"/d/a file of many {full}", b"y" * 2000)
                full += 1
        assert full > 300
        assert ntfs.check(bytes(data)) == []
        for number in range(full):
            volume.unlink(f"/d/a file of many {number}")
        assert volume.listdir("/d") == ["x"]
    assert ntfs.check(bytes(data)) == []
    assert len(before) == len(data)
