"""Files, buffers, windows and file objects give the same bytes, and none reaches past its end."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import mmap
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_base import (
    FileKindError,
    FileStorage,
    MemoryStorage,
    RangeError,
    StorageFile,
    TruncatedError,
    Window,
    open_storage,
)
from cloudboot_base.command import USAGE, exit_code
from cloudboot_base.storage import Storage, WritableStorage, chunks, descriptor_of, view_of

DATA = bytes(range(256)) * 8


@pytest.fixture(params=["file", "memory", "mmap", "window", "nested window"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[WritableStorage]:
    framed = MemoryStorage(bytearray(b"<<<" + DATA + b">>>"))
    path = tmp_path / "data"
    path.write_bytes(DATA)
    fd = os.open(path, os.O_RDWR)
    made: dict[str, Callable[[], WritableStorage]] = {
        "file": lambda: FileStorage(fd),
        "memory": lambda: MemoryStorage(bytearray(DATA)),
        "mmap": lambda: MemoryStorage(mmap.mmap(fd, 0)),
        "window": lambda: Window(framed, 3, len(DATA)),
        "nested window": lambda: Window(Window(framed, 1, len(DATA) + 4), 2, len(DATA)),
    }
    yield made[request.param]()
    os.close(fd)


def test_reads_are_exact(storage: WritableStorage) -> None:
    assert storage.size == len(DATA)
    assert storage.read_at(0, storage.size) == DATA
    assert storage.read_at(100, 0) == b""
    buffer = bytearray(7)
    storage.readinto_at(250, buffer)
    assert buffer == DATA[250:257]
    assert b"".join(chunks(storage, 5, 100, 7)) == DATA[5:105]


@pytest.mark.parametrize(("offset", "size"), [(-1, 1), (0, len(DATA) + 1), (len(DATA), 1), (2**63, 1), (0, 2**63)])
def test_reads_past_the_end_are_refused(storage: WritableStorage, offset: int, size: int) -> None:
    with pytest.raises(TruncatedError):
        storage.read_at(offset, size)
    if size < 10**6:
        with pytest.raises(TruncatedError):
            storage.readinto_at(offset, bytearray(size))


def test_writes_stay_inside(storage: WritableStorage) -> None:
    storage.write_at(10, b"abc")
    assert storage.read_at(8, 7) == DATA[8:10] + b"abc" + DATA[13:15]
    for offset in (-1, len(DATA) - 2, 2**40):
        with pytest.raises(RangeError):
            storage.write_at(offset, b"abc")
    if isinstance(storage, Window):
        assert storage.storage.read_at(0, 3) == b"<<<"
        assert storage.storage.read_at(storage.storage.size - 3, 3) == b">>>"


def test_a_file_object_over_a_storage(storage: WritableStorage) -> None:
    file = StorageFile(storage, writable=True)
    assert file.seek(-2, os.SEEK_END) == len(DATA) - 2
    assert file.read() == DATA[-2:]
    assert file.read() == b""
    file.seek(5)
    assert file.write(b"xyz") == 3
    assert file.tell() == 8
    assert io.BufferedReader(StorageFile(storage)).read(9) == DATA[:5] + b"xyz" + DATA[8:9]
    with pytest.raises(ValueError, match="negative seek"):
        file.seek(-1)
    with pytest.raises(ValueError, match="whence"):
        file.seek(0, 9)
    with pytest.raises(io.UnsupportedOperation):
        StorageFile(storage).write(b"x")


def test_only_memory_has_a_view(storage: WritableStorage) -> None:
    view = view_of(storage)
    if descriptor_of(storage) is not None:
        assert view is None
    else:
        assert view is not None
        assert view == DATA
        storage.write_at(0, b"\xff")
        assert view[0] == 0xFF


def test_a_window_must_fit() -> None:
    base = MemoryStorage(DATA)
    for offset, size in [(0, len(DATA) + 1), (-1, 2), (len(DATA), 1)]:
        with pytest.raises(TruncatedError):
            Window(base, offset, size)


def test_descriptors_carry_the_offset(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(DATA)
    with open_storage(path) as opened:
        found = descriptor_of(Window(Window(opened.storage, 100, 50), 7, 9))
        assert found is not None
        assert os.pread(found[0], 9, found[1]) == DATA[107:116]


@pytest.mark.parametrize(
    "make",
    [bytes, bytearray, memoryview, io.BytesIO, MemoryStorage, lambda data: Window(MemoryStorage(data), 0, len(data))],
)
def test_open_storage_takes_what_people_have(make: Callable[[bytes], object]) -> None:
    with open_storage(make(DATA)) as opened:  # type: ignore[arg-type]  # the union of Source, one at a time
        assert opened.storage.read_at(3, 4) == DATA[3:7]


def test_open_storage_by_path_and_file(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(DATA)
    with open_storage(path, writable=True) as opened:
        assert isinstance(opened.storage, WritableStorage)
        opened.storage.write_at(0, b"new")
    with path.open("rb") as file, open_storage(file) as opened:
        assert opened.storage.read_at(0, 4) == b"new\x03"
    with pytest.raises(FileNotFoundError):
        open_storage(tmp_path / "none")


def test_a_file_object_is_taken_as_it_stands(tmp_path: Path) -> None:
    with (tmp_path / "data").open("w+b") as file:
        file.write(b"not yet flushed")
        file.seek(4)
        with open_storage(file) as opened:
            assert opened.storage.read_at(0, 15) == b"not yet flushed"
        assert file.read() == b"yet flushed"


def test_what_cannot_be_a_storage_leaves_no_descriptor() -> None:
    reading, writing = os.pipe()
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileKindError, match="a pipe"):
        open_storage(f"/proc/self/fd/{reading}")
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize(
    ("kind", "words"), [("fifo", "a pipe"), ("folder", "a directory"), ("zero", "a character dev")]
)
@pytest.mark.parametrize("writable", [False, True])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, kind: str, words: str, writable: bool) -> None:
    path = {"fifo": tmp_path / "fifo", "folder": tmp_path, "zero": Path("/dev/zero")}[kind]
    if kind == "fifo":
        os.mkfifo(path)
    with pytest.raises(FileKindError, match=words) as caught:
        open_storage(path, writable=writable)
    assert caught.value.path == os.fspath(path)
    assert isinstance(caught.value, OSError)
    assert exit_code(caught.value) == USAGE
    if kind == "zero" and not writable:
        with open(path, "rb") as file, pytest.raises(FileKindError, match=words):
            open_storage(file)


def test_read_only_sources_cannot_be_opened_for_writing(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(DATA)
    with path.open("rb") as file:
        sources = [file, DATA, MemoryStorage(DATA), Window(FileStorage(file.fileno()), 0, 10)]
        for source in sources:
            with pytest.raises(io.UnsupportedOperation):
                open_storage(source, writable=True)  # type: ignore[arg-type]  # the union of Source, one at a time
            open_storage(source)  # type: ignore[arg-type]  # the union of Source, one at a time


def test_read_only_storage_cannot_be_opened_for_writing() -> None:
    class ReadOnly:
        size = 4

        def read_at(self, offset: int, size: int) -> bytes:
            return b"data"[offset : offset + size]

        def readinto_at(self, offset: int, buffer: bytearray) -> None:
            buffer[:] = self.read_at(offset, len(buffer))

    assert isinstance(ReadOnly(), Storage)
    with pytest.raises(io.UnsupportedOperation):
        open_storage(ReadOnly(), writable=True)  # type: ignore[arg-type]  # narrower buffer on purpose
    with pytest.raises(io.UnsupportedOperation):
        MemoryStorage(DATA).write_at(0, b"x")


def test_a_file_that_shrinks_is_truncated_not_silent(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(DATA)
    with open_storage(path) as opened:
        os.truncate(path, 100)
        with pytest.raises(TruncatedError):
            opened.storage.read_at(90, 20)


@given(st.binary(max_size=200), st.integers(0, 220), st.integers(0, 220))
def test_every_read_is_a_slice_or_an_error(data: bytes, offset: int, size: int) -> None:
    storage = MemoryStorage(data)
    if offset + size <= len(data):
        assert storage.read_at(offset, size) == data[offset : offset + size]
    else:
        with pytest.raises(TruncatedError):
            storage.read_at(offset, size)


@pytest.mark.parametrize("module", [gzip, bz2, lzma])
def test_a_compressed_file_is_not_taken_for_its_content(tmp_path: Path, module: ModuleType) -> None:
    path = tmp_path / "data"
    path.write_bytes(module.compress(DATA))
    with module.open(path) as file, pytest.raises(io.UnsupportedOperation, match="unpack it first"):
        open_storage(file)


@pytest.mark.parametrize("window", [False, True])
def test_chunks_of_a_sparse_file_are_its_bytes_without_reading_holes(tmp_path: Path, window: bool) -> None:
    size = 64 << 20
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(size)
        for at in (0, 5 << 20, (33 << 20) + 7, size - 9):
            file.seek(at)
            file.write(b"some data")
    whole = path.read_bytes()
    read = 0

    class Counting(FileStorage):
        def read_at(self, offset: int, size: int) -> bytes:
            nonlocal read
            read += size
            return super().read_at(offset, size)

    with path.open("rb") as reading:
        reading.seek(77)
        storage: Storage = Counting(reading.fileno())
        start = (5 << 20) - 3 if window else 0
        if window:
            storage = Window(storage, start, size - start)
        assert b"".join(chunks(storage)) == whole[start:]
        assert b"".join(chunks(storage, 10, 40 << 20, 12345)) == whole[start + 10 : start + 10 + (40 << 20)]
        assert reading.tell() == 77
    assert read < 8 << 20


def test_chunks_of_a_file_that_became_shorter_fail(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(bytes(8 << 20))
    with open_storage(path) as opened:
        os.truncate(path, 1 << 20)
        with pytest.raises(TruncatedError):
            list(chunks(opened.storage))
