"""Short cuts: what is parsed, copied or imported the fast way is what the careful way would have given."""

from __future__ import annotations

import os
import random
import signal
import struct
import subprocess
import sys
import threading
from array import array
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_base import FileStorage, MemoryStorage
from cloudboot_base.testing import loaded_modules
from cloudboot_records import ByteOrder
from cloudboot_ufs2 import (
    UFS2,
    CheckHashError,
    DirectoryError,
    File,
    ImageTruncatedError,
    InodeError,
    Options,
    SourceChangedError,
    WritableUFS2,
    build,
    check,
    plan,
)
from cloudboot_ufs2.builder import workers, writer
from cloudboot_ufs2.builder.members import Member
from cloudboot_ufs2.commands import program
from cloudboot_ufs2.layout import hashes
from cloudboot_ufs2.layout.bits import gather, ones, spread
from cloudboot_ufs2.layout.directory import names_in, records
from cloudboot_ufs2.layout.hashes import check_hash, hashes_of
from cloudboot_ufs2.reader.blocks import find_runs, find_runs_one_by_one
from cloudboot_ufs2.testing import Editor, image_of, pattern, sample_image

MEBIBYTE = 1 << 20


# Imports


READING = "builder.volume checker.passes editor.rounds"


@pytest.mark.parametrize(
    ("words", "rooms"),
    [("ls IMAGE", READING), ("cat IMAGE /f", READING), ("info IMAGE", READING), ("build NEW TREE", "checker.passes")],
)
def test_commands_that_read_and_build_start_without_what_they_do_not_need(
    words: str, rooms: str, tmp_path: Path
) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "image").write_bytes(image_of({"f": b"x"}))
    places = {"IMAGE": tmp_path / "image", "NEW": tmp_path / "new", "TREE": tmp_path / "tree"}
    loaded = loaded_modules(
        "import sys; from cloudboot_ufs2.__main__ import main; assert main(sys.argv[1:]) == 0",
        *(str(places.get(word, word)) for word in words.split()),
    )
    heavy = {"dataclasses", "inspect", "numpy", "tarfile", "tempfile", "shutil", "pathlib", "urllib.parse"}
    assert "cloudboot_ufs2.commands.common" in loaded
    assert not loaded & (heavy | {f"cloudboot_ufs2.{room}" for room in rooms.split()})


def test_every_public_name_is_there_whatever_was_imported_before() -> None:
    program = (
        "import cloudboot_ufs2.checker.check, cloudboot_ufs2.exporter.extract, cloudboot_ufs2 as package\n"
        "import types\n"
        "for name in package.__all__:\n"
        "    assert not isinstance(getattr(package, name), types.ModuleType), name\n"
        "assert '__getattr__' not in vars(package)\n"
        "try:\n"
        "    package.nothing\n"
        "except AttributeError as error:\n"
        "    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "module 'cloudboot_ufs2' has no attribute 'nothing'\n"


def test_every_command_is_declared_under_its_name_and_described() -> None:
    for name, parser in program().commands.items():
        assert parser.main.__name__ == f"_{name}"
        assert parser.purpose.endswith(".")
        for action in parser._actions:
            assert action.help, f"{name} {action.dest}"
            assert action.help[0].isupper() or action.help[0].isdigit(), action.help
            assert action.help.endswith("."), action.help


# Directories and inodes


@st.composite
def pieces_of_directories(draw: st.DrawFn) -> bytes:
    """Chunks of a directory: records that hold together, with a byte or two changed now and then."""
    data = bytearray()
    for _ in range(draw(st.integers(1, 3))):
        chunk = bytearray()
        while len(chunk) < 512:
            name = draw(st.binary(min_size=1, max_size=30).map(lambda found: found.replace(b"/", b"_").strip(b"\0")))
            size = max(12, 8 + (len(name) + 4 & ~3))
            if draw(st.integers(0, 5)) == 0 or len(chunk) + size > 500:
                size = 512 - len(chunk)
            if len(name) + 9 > size:
                name = name[: size - 9]
            chunk += struct.pack(
                "<IHBB", draw(st.integers(0, 9)), size, draw(st.sampled_from([4, 8, 10, 14])), len(name)
            )
            chunk += name.ljust(size - 8, b"\0")
        data += chunk
    for _ in range(draw(st.integers(0, 2))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.sampled_from([len(data), len(data) - 1]))])


@given(pieces_of_directories())
def test_names_are_those_of_the_careful_records(data: bytes) -> None:
    def careful() -> dict[bytes, tuple[int, int]]:
        return {
            record.name: (record.inode, record.kind)
            for record in records(data, inode=7, base=512)
            if record.name not in (b".", b"..")
        }

    try:
        expected: dict[bytes, tuple[int, int]] | str = careful()
    except DirectoryError as error:
        expected = str(error)
    try:
        found: dict[bytes, tuple[int, int]] | str = names_in(data, inode=7, base=512)
    except DirectoryError as error:
        found = str(error)
    assert found == expected
    if isinstance(found, dict) and isinstance(expected, dict):
        assert list(found) == list(expected)


@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_a_stat_says_what_the_inode_says(byteorder: ByteOrder) -> None:
    with UFS2.open(sample_image(Options(byteorder=byteorder, timestamp=1))) as volume:
        for _, directories, others in volume.walk():
            for entry in [*directories, *others]:
                inode, found = volume.read_inode(entry.inode), volume.stat_inode(entry.inode)
                assert found.st_ino == entry.inode
                assert (found.st_mode, found.st_nlink, found.st_size, found.st_blocks, found.st_gen) == (
                    inode.di_mode, inode.di_nlink, inode.di_size, inode.di_blocks, inode.di_gen,
                )  # fmt: skip
                assert found.st_mtime_ns == inode.di_mtime * 10**9 + inode.di_mtimensec
                assert found.st_birthtime_ns == inode.di_birthtime * 10**9 + inode.di_birthnsec
                assert (found.st_uid, found.st_gid, found.st_flags) == (inode.di_uid, inode.di_gid, inode.di_flags)


def test_a_stat_refuses_what_reading_refuses() -> None:
    editor = Editor(sample_image())
    number = editor.find("/tail")
    at = editor.geometry.inode_offset(number)
    editor.data[at + 20] ^= 1
    with UFS2.open(bytes(editor.data)) as volume:
        volume.stat("/")
        with pytest.raises(CheckHashError):
            volume.stat_inode(number)
        for unused in (0, 1, -1, volume.geometry.inode_count, volume.geometry.inode_count - 1):
            with pytest.raises(InodeError):
                volume.stat_inode(unused)
    with UFS2.open(bytes(editor.data), verify=False) as volume:
        volume.stat_inode(number)


def test_a_walk_ends_where_paths_grow_without_limit() -> None:
    deep = "/".join(["n" * 255] * 300)
    image = image_of({deep: b""})
    assert check(image) == []
    with UFS2.open(image) as volume, pytest.raises(DirectoryError, match="too deep"):
        list(volume.walk())


def test_a_listing_shows_times_beyond_the_calendar(tmp_path: Path) -> None:
    editor = Editor(image_of({"f": b"x"}))
    editor.change_inode(editor.find("/f"), di_mtime=2**62)
    (tmp_path / "image").write_bytes(editor.data)
    done = subprocess.run(
        [sys.executable, "-m", "cloudboot_ufs2", "ls", tmp_path / "image"], capture_output=True, text=True, check=True
    )
    assert " s f\n" in done.stdout


# Contents


@pytest.fixture(scope="module")
def scattered() -> tuple[bytes, bytes]:
    """An image with a file in many runs, with holes, and the bytes of that file."""
    chance = random.Random(4)
    blocks = [pattern(4096, seed) if chance.random() < 0.7 else bytes(4096) for seed in range(900)]
    editor = bytearray(image_of({"other": b"x"}, Options(block_size=4096)))
    with WritableUFS2.open(editor) as volume, volume.open_file("/f", "xb") as file:
        # Backwards in groups of three, so that neighbours in the file are seldom neighbours in the volume.
        for first in range(897, -1, -3):
            for block in range(first, first + 3):
                if any(blocks[block]):
                    file.write_at(block * 4096, blocks[block])
        file.truncate(900 * 4096 - 700)
    return bytes(editor), b"".join(blocks)[:-700]


def test_reads_at_any_place_of_a_scattered_file(scattered: tuple[bytes, bytes], tmp_path: Path) -> None:
    image, expected = scattered
    (tmp_path / "image").write_bytes(image)
    chance = random.Random(5)
    places = [(chance.randrange(len(expected) + 99), chance.choice([1, 100, 4096, 70_000])) for _ in range(2000)]
    for source in (image, tmp_path / "image"):
        with UFS2.open(source) as volume, volume.open_file("/f") as file:
            assert len(volume.extents("/f")) > 100
            for offset, size in places:
                assert file.read_at(offset, size) == expected[offset : offset + size]
            with pytest.raises(ValueError, match="negative"):
                file.read_at(-1, 10)
            with ThreadPoolExecutor(4) as pool:
                found = pool.map(lambda place: file.read_at(*place), places)
                assert all(data == expected[at : at + size] for data, (at, size) in zip(found, places, strict=True))


def test_a_file_goes_to_pipes_and_files_whole(scattered: tuple[bytes, bytes], tmp_path: Path) -> None:
    image, expected = scattered
    (tmp_path / "image").write_bytes(image)
    for source in (image, tmp_path / "image"):
        with UFS2.open(source) as volume, volume.open_file("/f") as file:
            for flags in (os.O_WRONLY, os.O_WRONLY | os.O_APPEND):  # sendfile refuses the latter
                (tmp_path / "out").write_bytes(b"")
                fd = os.open(tmp_path / "out", flags)
                assert file.copy_to(fd) == len(expected)
                os.close(fd)
                assert (tmp_path / "out").read_bytes() == expected
    done = subprocess.run(
        [sys.executable, "-m", "cloudboot_ufs2", "cat", tmp_path / "image", "/f"], capture_output=True, check=True
    )
    assert done.stdout == expected


def test_an_image_that_shrinks_while_it_is_sent_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(image_of({"f": pattern(MEBIBYTE)}))
    with UFS2.open(path) as volume, volume.open_file("/f") as file, (tmp_path / "out").open("wb") as out:
        os.truncate(path, volume.extents("/f")[0][0] + 5000)
        with pytest.raises(EOFError):
            file.copy_to(out.fileno())
        with pytest.raises(EOFError):
            file.read_at(100_000, 10)
    with UFS2.open(image_of({"f": b"x" * 9000})) as volume, volume.open_file("/f") as file:
        file._storage = MemoryStorage(bytes(100))
        with pytest.raises(ImageTruncatedError), (tmp_path / "out").open("wb") as out:
            file.copy_to(out.fileno())


@given(
    st.sampled_from("qi"),
    st.sampled_from([1, 2, 4, 8]),
    st.lists(
        st.tuples(st.integers(-9, 90) | st.sampled_from([0, 8]), st.integers(1, 5), st.integers(-1, 9)), max_size=9
    ),
)
def test_runs_of_pointers_at_once_are_those_found_one_by_one(
    code: str, frag: int, pieces: list[tuple[int, int, int]]
) -> None:
    pointers = array(code, [first + step * at for first, count, step in pieces for at in range(count)])
    assert find_runs(pointers, frag) == find_runs_one_by_one(pointers, frag)


@given(st.binary(max_size=40), st.sampled_from([1, 2, 4, 8]))
def test_bitmaps(data: bytes, width: int) -> None:
    bits = int.from_bytes(data, "little")
    octets = spread(data, width)
    assert list(octets) == [bits >> at & (1 << width) - 1 for at in range(0, 8 * len(data), width)]
    assert gather(octets, width) == bits
    assert list(ones(bits)) == [at for at in range(8 * len(data)) if bits >> at & 1]


# Building


def test_hashes_in_bulk_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pattern(40 * 256)
    expected = [check_hash(table[at : at + 256]) for at in range(0, len(table), 256)]
    assert list(hashes_of(table, 256)) == expected
    monkeypatch.setattr(hashes, "_crc32c", None)
    assert list(hashes_of(table, 256)) == expected


def test_without_the_library_an_image_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    image = sample_image()
    monkeypatch.setattr(hashes, "_crc32c", None)
    assert sample_image() == image


@pytest.fixture
def crowd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a few hundred files, which are to be enough for a second process."""
    monkeypatch.setattr(writer, "_MUCH", 1_000_000)
    folder = tmp_path / "crowd"
    for number in range(300):
        path = folder / f"d{number % 7}" / f"f{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pattern(number * 37, number))
    for path in (folder, *folder.iterdir()):
        os.utime(path, (0, 0))
    return folder


def test_two_processes_write_the_same_bytes(crowd: Path, tmp_path: Path) -> None:
    build(tmp_path / "one", crowd)
    seen: list[int] = []
    build(tmp_path / "two", crowd, processes=2, progress=seen.append)
    assert seen == [sum(path.stat().st_size for path in crowd.rglob("f*")) + 512 + 7 * 1024]
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert check(tmp_path / "two") == []


def test_what_a_second_process_meets_is_raised_in_the_first(
    crowd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = writer.Writer._share

    def shared(self: writer.Writer, nodes: list[object]) -> int:
        mine = share(self, nodes)  # type: ignore[arg-type] # only handed on
        assert 0 < mine < len(nodes)
        (crowd / "d6" / "f293").write_bytes(b"less")
        return mine

    monkeypatch.setattr(writer.Writer, "_share", shared)
    with pytest.raises(SourceChangedError, match="f293"):
        build(tmp_path / "image", crowd, processes=2)
    assert not (tmp_path / "image").exists()


def test_a_second_process_that_dies_is_made_up_for(tmp_path: Path) -> None:
    parent, log = os.getpid(), tmp_path / "log"

    def work() -> None:
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        log.write_bytes(b"done")

    with workers.forked(work):
        pass
    assert log.read_bytes() == b"done"
    log.unlink()
    with pytest.raises(ZeroDivisionError), workers.forked(signal.pause):
        raise ZeroDivisionError


def test_threads_and_storages_in_memory_have_no_second_process(crowd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> int:
        raise AssertionError

    monkeypatch.setattr(os, "fork", refused)
    build(MemoryStorage(bytearray(32 * MEBIBYTE)), crowd, processes=2)
    with FileStorageOf(32 * MEBIBYTE) as storage:
        waiting = threading.Event()
        thread = threading.Thread(target=waiting.wait)
        thread.start()
        try:
            build(storage, crowd, processes=2)
        finally:
            waiting.set()
            thread.join()


class FileStorageOf:
    """A storage of so many bytes in a nameless file."""

    def __init__(self, size: int) -> None:
        self._fd = os.memfd_create("image")
        os.truncate(self._fd, size)

    def __enter__(self) -> FileStorage:
        return FileStorage(self._fd)

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def test_a_file_that_shrinks_while_it_is_copied(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(pattern(300_000))

    class Shrinking(MemoryStorage):
        def write_at(self, offset: int, data: object) -> None:
            os.truncate(path, 1000)
            super().write_at(offset, data)  # type: ignore[arg-type] # any buffer

    with pytest.raises(SourceChangedError):
        build(Shrinking(bytearray(8 * MEBIBYTE)), {"f": File(path)})


def test_a_density_beyond_any_group_is_found_at_once() -> None:
    for size in (8 * MEBIBYTE, 1 << 40):
        assert plan(size, Options(density=2**31 - 1)) == plan(size, Options(density=2**30))


def test_the_tree_may_hold_every_kind_of_size() -> None:
    sizes = [0, 1, 511, 512, 4095, 4096, 4097, 28_672, 28_673, 32_767, 32_768, 32_769, 65_535, 65_536, 65_537, 98_305]
    tree: dict[str, Member] = {f"f{size}": pattern(size, size) for size in sizes}
    for options in (Options(), Options(block_size=4096), Options(block_size=65536, fragment_size=65536)):
        image = image_of(tree, options)
        assert check(image) == []
        with UFS2.open(image) as volume:
            for size in sizes:
                assert volume.read_file(f"/f{size}") == pattern(size, size)
