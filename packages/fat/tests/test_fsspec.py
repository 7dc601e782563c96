"""The fsspec adapter passes fsspec's own suites, and what it leaves behind is sound."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from fsspec.tests import abstract

from cloudboot_base import MemoryStorage
from cloudboot_fat import FatType, FormatOptions, check, format  # noqa: A004 -- the usual word for it
from cloudboot_fat.fsspecfs import FatVolumeFileSystem
from cloudboot_fat.testing import fsck, mcopy_out, mkfs

MIB = 1 << 20
TYPES: dict[FatType, int] = {12: 4 * MIB, 32: 40 * MIB}


class Fixtures(abstract.AbstractFixtures):  # type: ignore[misc] # fsspec has no type information
    @pytest.fixture(params=TYPES, ids=lambda bits: f"FAT{bits}")
    def fs(self, request: pytest.FixtureRequest) -> Iterator[FatVolumeFileSystem]:
        image = MemoryStorage(bytearray(TYPES[request.param]))
        format(image, FormatOptions(fat_type=request.param))
        yield FatVolumeFileSystem(image, mode="r+", auto_mkdir=True)
        assert check(image) == []

    @pytest.fixture
    def fs_path(self) -> str:
        return "/base"


class TestCopy(abstract.AbstractCopyTests, Fixtures):  # type: ignore[misc] # fsspec has no type information
    """fsspec's suite for copying within a file system."""


class TestGet(abstract.AbstractGetTests, Fixtures):  # type: ignore[misc] # fsspec has no type information
    """fsspec's suite for copying out of a file system."""


class TestPut(abstract.AbstractPutTests, Fixtures):  # type: ignore[misc] # fsspec has no type information
    """fsspec's suite for copying into a file system."""


class TestOpen(abstract.AbstractOpenTests, Fixtures):  # type: ignore[misc] # fsspec has no type information
    """fsspec's suite for opening files."""


class TestPipe(abstract.AbstractPipeTests, Fixtures):  # type: ignore[misc] # fsspec has no type information
    """fsspec's suite for whole contents."""


def test_a_volume_of_mkfs_fat_through_urls(tmp_path: Path) -> None:
    image = tmp_path / "image"
    mkfs(image, 8 * MIB)
    volume = fsspec.filesystem("fat", fo=str(image), mode="r+")
    volume.makedirs("/EFI/BOOT")
    volume.pipe("/EFI/BOOT/a.efi", b"x" * 70_000)
    volume.mv("/EFI/BOOT/a.efi", "/EFI/b.efi")
    with volume.transaction, volume.open("/later", "wb") as file:
        file.write(b"whole")
    assert volume.fsid.startswith("fat-")
    del volume
    fsck(image)
    assert mcopy_out(image, tmp_path / "out") == {"/EFI/b.efi": b"x" * 70_000, "/later": b"whole"}
    with fsspec.open(f"fat://efi/B.EFI::{image}") as file:
        assert file.read(3) == b"xxx"
    with pytest.raises(OSError, match="reading only"):
        fsspec.filesystem("fat", fo=str(image)).rm_file("/later")
