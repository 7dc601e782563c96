"""Copying a host file into every kind of storage."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cloudboot_base import FileStorage, MemoryStorage, RangeError, TruncatedError, Window, new_image
from cloudboot_base.copying import copy_from_file

if TYPE_CHECKING:
    from typing_extensions import Buffer

MIB = 1 << 20


@pytest.fixture
def source(tmp_path: Path) -> Iterator[tuple[int, bytes]]:
    """A file with a hole in its middle."""
    path = tmp_path / "source"
    with path.open("wb") as file:
        file.write(os.urandom(300_000))
        file.seek(8 * MIB)
        file.write(os.urandom(200_000))
        file.truncate(10 * MIB)
    fd = os.open(path, os.O_RDONLY)
    yield fd, path.read_bytes()
    os.close(fd)


class Plain:
    """A storage that is neither a file nor memory."""

    def __init__(self, size: int) -> None:
        self.data = bytearray(size)
        self.inner = MemoryStorage(self.data)
        self.size = size

    def read_at(self, offset: int, size: int) -> bytes:
        return self.inner.read_at(offset, size)

    def readinto_at(self, offset: int, buffer: Buffer) -> None:
        self.inner.readinto_at(offset, buffer)

    def write_at(self, offset: int, data: Buffer) -> None:
        self.inner.write_at(offset, data)


@pytest.mark.parametrize("skip_holes", [False, True])
@pytest.mark.parametrize(
    ("start", "size"), [(0, 10 * MIB), (100_001, 9 * MIB), (8 * MIB, 70_000), (MIB, 5 * MIB), (5, 0)]
)
def test_every_storage_gets_the_same_bytes(
    tmp_path: Path, source: tuple[int, bytes], skip_holes: bool, start: int, size: int
) -> None:
    fd, data = source
    memory, plain = bytearray(12 * MIB), Plain(12 * MIB)
    with new_image(tmp_path / "target", 13 * MIB) as image:
        for storage in (Window(image, MIB, 12 * MIB), MemoryStorage(memory), plain):
            copy_from_file(fd, storage, 777, size, source_offset=start, skip_holes=skip_holes)
            assert storage.read_at(777, size) == data[start : start + size]
        whole = image.read_at(MIB, 12 * MIB)
    assert whole == memory == plain.data
    assert not any(memory[:777])
    assert not any(memory[777 + size :])


def test_holes_stay_holes(tmp_path: Path, source: tuple[int, bytes]) -> None:
    with new_image(tmp_path / "target", 16 * MIB) as image:
        copy_from_file(source[0], image, 0, 10 * MIB, skip_holes=True)
        assert os.fstat(image.fileno()).st_blocks * 512 < MIB


@pytest.mark.parametrize("skip_holes", [False, True])
def test_a_source_that_ends_early_is_noticed(tmp_path: Path, source: tuple[int, bytes], skip_holes: bool) -> None:
    with new_image(tmp_path / "target", 16 * MIB) as image:
        for storage in (image, MemoryStorage(bytearray(16 * MIB)), Plain(16 * MIB)):
            with pytest.raises(TruncatedError, match="ends early"):
                copy_from_file(source[0], storage, 0, 10 * MIB + 1, skip_holes=skip_holes)


def test_a_target_that_is_too_small_is_not_touched(tmp_path: Path, source: tuple[int, bytes]) -> None:
    path = tmp_path / "target"
    path.write_bytes(bytes(1000))
    fd = os.open(path, os.O_RDWR)
    try:
        for storage in (Window(FileStorage(fd), 0, 900), MemoryStorage(bytearray(900))):
            with pytest.raises(RangeError):
                copy_from_file(source[0], storage, 0, 901)
    finally:
        os.close(fd)
    assert path.read_bytes() == bytes(1000)


def test_a_source_the_kernel_cannot_copy_is_read(tmp_path: Path) -> None:
    """Files of /proc have no size and no copy_file_range."""
    fd = os.open("/proc/self/cmdline", os.O_RDONLY)
    try:
        with new_image(tmp_path / "target", 4096) as image:
            copy_from_file(fd, image, 10, 5)
            assert image.read_at(10, 5) == Path("/proc/self/cmdline").read_bytes()[:5]
    finally:
        os.close(fd)
