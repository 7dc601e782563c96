"""Disks in other files: compressed, qcow2, partitioned; made by programs of other projects."""

from __future__ import annotations

import bz2
import functools
import gzip
import lzma
import random
from collections.abc import Callable
from pathlib import Path

import pytest

import cloudboot_gpt
from cloudboot_base import FormatError
from cloudboot_base.testing import judge, run
from cloudboot_disk_image import ContainerError, ContainerTruncatedError, PartitionError
from cloudboot_disk_image.compression import zstandard
from cloudboot_ufs2 import (
    UFS2,
    ImageTruncatedError,
    Options,
    check,
    open_image,
    open_volume,
)
from cloudboot_ufs2.layout.mapoffsets import map_offsets
from cloudboot_ufs2.reader.spool import SpooledVolume
from cloudboot_ufs2.testing import Editor, sample_image

MEBIBYTE = 1 << 20
UFS_START = 34816 * 512
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "xz": lzma.compress,
    "zst": zstandard().compress,
    "bz2": bz2.compress,
}
READERS = [cloudboot_gpt.read]


@functools.cache
def image(byteorder: str = "little") -> bytes:
    return sample_image(
        Options(block_size=16384, fragment_size=2048, byteorder="little" if byteorder == "little" else "big")
    )


def contents(volume: UFS2) -> dict[str, bytes]:
    """Every file of a file system."""
    return {
        entry.path: volume.read_file(entry.path)
        for _, _, others in volume.walk()
        for entry in others
        if entry.is_file()
    }


@functools.cache
def expected() -> dict[str, bytes]:
    with UFS2.open(image()) as volume:
        return contents(volume)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A GPT disk with an ESP full of noise before the file system, and noise after it."""
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.truncate(UFS_START + len(image()) + 2 * MEBIBYTE)
        file.seek(64 * 512)
        file.write(random.Random(1).randbytes(MEBIBYTE))
        file.seek(UFS_START)
        file.write(image())
        file.write(random.Random(2).randbytes(MEBIBYTE))
    last = (UFS_START + len(image())) // 512 - 1
    run(
        judge("sgdisk", "gdisk"), "-a", "1", "-n", "1:64:32831", "-t", "1:EF00", "-n", f"2:34816:{last}",
        "-t", "2:516E7CB6-6ECF-11D6-8FF8-00022D09712B", path,
    )  # fmt: skip
    return path


def test_the_partition_is_found(disk: Path) -> None:
    with open_image(disk, readers=READERS) as volume:
        assert contents(volume) == expected()
    with open_image(disk, readers=READERS, partition=2) as volume:
        assert volume.exists("/boot/kernel/kernel")
    with open_image(disk, offset=UFS_START) as volume:
        assert volume.exists("/boot/kernel/kernel")
    with open_image(image()) as volume:
        assert volume.exists("/boot/kernel/kernel")


def test_no_partition(disk: Path) -> None:
    with pytest.raises(PartitionError, match="nothing is installed") as caught, open_volume(disk):
        pass
    assert caught.value.hint is not None
    assert "--offset" in caught.value.hint
    with (
        pytest.raises(PartitionError, match="number 7"),
        open_volume(disk, readers=READERS, partition=7),
    ):
        pass
    with pytest.raises(PartitionError, match="no partition table"), open_volume(bytes(MEBIBYTE), readers=READERS):
        pass
    run(judge("sgdisk", "gdisk"), "-d", "2", disk)
    with pytest.raises(PartitionError, match="of a type"), open_volume(disk, readers=READERS):
        pass
    with pytest.raises(ContainerTruncatedError), open_volume(image(), offset=1 << 40):
        pass


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_compressed_disks(disk: Path, kind: str, tmp_path: Path) -> None:
    packed = tmp_path / f"disk.{kind}"
    packed.write_bytes(COMPRESSORS[kind](disk.read_bytes()))
    read: list[int] = []
    with open_volume(packed, readers=READERS, progress=read.append) as storage:
        assert isinstance(storage, SpooledVolume)
        assert storage.size == len(image())
        with UFS2(storage) as volume:
            assert contents(volume) == expected()
            held = sum(volume.stat_inode(volume.find(path)).st_blocks * 512 for path in expected())
        # The files, and metadata: inodes in use, groups, directories; nothing of the noise around the partition.
        assert storage.kept < held + MEBIBYTE
    assert sorted(read) == read
    assert read[-1] <= packed.stat().st_size
    # Nothing but the archive and the disk is left.
    assert {path.name for path in tmp_path.iterdir()} == {"disk.raw", packed.name}


def test_streams_one_after_the_other() -> None:
    data = image()
    for kind, compress in COMPRESSORS.items():
        parts = [compress(data[start : start + 3_000_001]) for start in range(0, len(data), 3_000_001)]
        padding = bytes(4) if kind == "xz" else b""
        with open_image(padding.join(parts) + padding) as volume:
            assert contents(volume) == expected()


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_damaged_streams(kind: str) -> None:
    packed = COMPRESSORS[kind](image()[: 5 * MEBIBYTE])
    for damaged in (
        packed[:10],
        packed[: len(packed) // 2],
        packed + b"garbage",
        packed[:200] + bytes(60) + packed[260:],
    ):
        with pytest.raises(FormatError) as caught, open_image(damaged) as volume:
            contents(volume)
        assert isinstance(caught.value, ContainerError | ImageTruncatedError | PartitionError)


def test_a_free_fragment_is_dropped_and_remembered() -> None:
    """A file whose blocks the map calls free is not silently read as zeros."""
    editor = Editor(image())
    geometry = editor.geometry
    number = editor.find("/boot/kernel/module.ko")
    address = editor.inode(number).di_db[0]
    group, index = divmod(address, geometry.group_fragments)
    editor.flip_group_bit(group, map_offsets(geometry).freeoff, index)
    packed = gzip.compress(bytes(editor.data), 1)
    with open_image(packed) as volume:
        assert volume.read_file("/short") == b"short\n"
        with pytest.raises(ContainerError) as caught:
            volume.read_file("/boot/kernel/module.ko")
        assert caught.value.offset == address * geometry.fragment_size
    with open_image(packed, keep_free=True) as volume:
        assert contents(volume) == expected()
    with open_volume(packed, keep_free=True) as storage:
        assert "block-marked-free" in {finding.kind for finding in check(storage)}
    # The maps of a file system that was not unmounted cleanly are not believed.
    editor.change_superblock(fs_clean=0)
    with open_image(gzip.compress(bytes(editor.data), 1)) as volume:
        assert contents(volume) == expected()


def test_deleted_files_are_not_kept() -> None:
    editor = Editor(image())
    start = (editor.geometry.size - 3 * MEBIBYTE // editor.geometry.fragment_size) * editor.geometry.fragment_size
    editor.data[start:] = random.Random(3).randbytes(len(editor.data) - start)
    packed = zstandard().compress(bytes(editor.data))
    with open_volume(packed) as lean, open_volume(packed, keep_free=True) as whole:
        assert isinstance(lean, SpooledVolume)
        assert isinstance(whole, SpooledVolume)
        assert lean.kept < whole.kept - 2 * MEBIBYTE
        with UFS2(lean) as volume:
            assert contents(volume) == expected()
    with pytest.raises(ContainerError, match="may be kept"), open_volume(packed, limit=MEBIBYTE):
        pass


@pytest.mark.parametrize("kind", ["qcow2", "vpc"])
def test_containers_as_they_are_and_compressed(disk: Path, kind: str, tmp_path: Path) -> None:
    target = tmp_path / f"disk.{kind}"
    run(judge("qemu-img", "qemu-utils"), "convert", "-O", kind, disk, target)
    with open_image(target, readers=READERS) as volume:
        assert contents(volume) == expected()
    target.write_bytes(lzma.compress(target.read_bytes(), preset=0))
    with open_image(target, readers=READERS) as volume:
        assert contents(volume) == expected()
