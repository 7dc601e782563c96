"""Disks in files of every kind, and partitions by every name."""

from __future__ import annotations

import bz2
import dataclasses
import functools
import gzip
import lzma
import os
import random
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID

import pytest

from cloudboot_base import FormatError, MemoryStorage, Storage, Window
from cloudboot_base.exit_codes import BAD_INPUT, USAGE
from cloudboot_base.testing import judge, run
from cloudboot_disk_image import (
    ContainerError,
    ContainerTruncatedError,
    NoPartitionReaderError,
    PartitionError,
    Place,
    UnsupportedContainerError,
    choose,
    locate,
    open_disk,
    open_partition,
)
from cloudboot_disk_image.compression import zstandard

MEBIBYTE = 1 << 20
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "lzma": functools.partial(lzma.compress, format=lzma.FORMAT_ALONE),
    "zstd": zstandard().compress,
    "bzip2": bz2.compress,
}
DATA = bytes(MEBIBYTE) + random.Random(1).randbytes(MEBIBYTE + 5) + bytes(2 * MEBIBYTE)


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_a_compressed_disk_is_the_disk(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(COMPRESSORS[kind](DATA))
    read: list[int] = []
    with open_disk(path, progress=read.append) as disk:
        assert (disk.format, disk.storage.size) == (kind, len(DATA))
        assert disk.storage.read_at(0, len(DATA)) == DATA
        # Zeros take no room.
        assert os.fstat(disk.storage.fileno()).st_blocks * 512 < MEBIBYTE + 65536  # type: ignore[attr-defined]  # a FileStorage
    assert read == sorted(read)
    assert read[-1] == path.stat().st_size
    assert [each.name for each in tmp_path.iterdir()] == ["disk"]


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_a_damaged_stream_is_a_typed_error(kind: str) -> None:
    packed = COMPRESSORS[kind](DATA)
    damaged_copies = [packed[:10], packed[: len(packed) // 2]]
    if kind != "zstd":  # its frames have a checksum only where the writer asked for one
        damaged_copies.append(packed[:90_000] + bytes(60) + packed[90_060:])
    for damaged in damaged_copies:
        with pytest.raises(ContainerError), open_disk(damaged):
            pass


def test_a_small_file_that_decompresses_into_a_large_one_is_bounded() -> None:
    with pytest.raises(ContainerError, match="larger than allowed"), open_disk(gzip.compress(DATA), limit=MEBIBYTE):
        pass
    with open_disk(gzip.compress(DATA), limit=len(DATA)) as disk:
        assert disk.storage.size == len(DATA)


@pytest.mark.parametrize("kind", ["vhdx", "vmdk", "vdi", "qed", "parallels"])
def test_what_is_not_read_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "disk"
    run(judge("qemu-img", "qemu-utils"), "create", "-q", "-f", kind, path, "4M")
    with pytest.raises(UnsupportedContainerError) as caught, open_disk(path):
        pass
    assert kind.removesuffix("els").lower() in str(caught.value).lower()
    assert caught.value.hint is not None


def test_encrypted_and_foreign_disks_are_refused_by_name() -> None:
    others = (
        (b"\x3a\xff\x26\xed" + bytes(600), "Android"), (b"EVF\x09\r\n\xff\0" + bytes(600), "EnCase"),
        (bytes(1024) + b"koly" + bytes(508), "DMG"),
    )  # fmt: skip
    for data, name in ((b"LUKS\xba\xbe\0\x02" + bytes(600), "LUKS"), *others):
        with pytest.raises(UnsupportedContainerError, match=name) as caught, open_disk(data):
            pass
        assert caught.value.hint is not None


@pytest.mark.parametrize("form", ["qcow2", "vpc"])
@pytest.mark.parametrize("kind", COMPRESSORS)
def test_an_image_in_a_compressed_file(form: str, kind: str, tmp_path: Path) -> None:
    """FreeBSD's images come as qcow2.xz and vhd.xz."""
    (tmp_path / "raw").write_bytes(DATA)
    run(judge("qemu-img", "qemu-utils"), "convert", "-O", form, tmp_path / "raw", tmp_path / "image")
    run(judge("qemu-img", "qemu-utils"), "convert", "-O", "raw", tmp_path / "image", tmp_path / "again")
    (tmp_path / "packed").write_bytes(COMPRESSORS[kind]((tmp_path / "image").read_bytes()))
    with open_disk(tmp_path / "packed") as disk:
        assert disk.format == f"{form.replace('vpc', 'vhd')} in {kind}"
        assert disk.storage.read_at(0, disk.storage.size) == (tmp_path / "again").read_bytes()
    with pytest.raises(ContainerError, match="larger than allowed"), open_disk(tmp_path / "packed", limit=MEBIBYTE):
        pass


SKIPPABLE = b"\x5a\x2a\x4d\x18\x05\0\0\0skips"


@pytest.mark.parametrize(
    ("kind", "packed"),
    [
        ("gzip", lambda pack: pack(b"") + pack(DATA[:70_000]) + pack(DATA[70_000:]) + bytes(4096)),
        ("bzip2", lambda pack: pack(DATA[:70_000]) + pack(DATA[70_000:]) + b"rest"),
        ("xz", lambda pack: pack(DATA[:70_000]) + bytes(8) + pack(DATA[70_000:]) + bytes(512)),
        ("xz", lambda pack: pack(DATA) + bytes(3)),
        ("xz", lambda pack: pack(DATA[:70_000]) + bytes(6) + pack(DATA[70_000:])),
        ("zstd", lambda pack: SKIPPABLE + pack(DATA[:70_000]) + SKIPPABLE + pack(DATA[70_000:]) + SKIPPABLE),
        ("zstd", lambda pack: pack(DATA) + bytes(512)),
        ("zstd", lambda pack: pack(DATA) + b"garbage"),
    ],
)
def test_several_streams_and_what_follows_them(
    kind: str, packed: Callable[[Callable[[bytes], bytes]], bytes], tmp_path: Path
) -> None:
    """As the compressor's own program decides."""
    path = tmp_path / "disk"
    path.write_bytes(packed(COMPRESSORS[kind]))
    names = {"xz": "xz-utils"}
    done = subprocess.run([judge(kind, names.get(kind, kind)), "-dc", path], capture_output=True, check=False)
    if done.returncode == 1:
        with pytest.raises(ContainerError), open_disk(path):
            pass
    else:  # 2 is a warning of gzip's
        with open_disk(path) as disk:
            assert disk.storage.read_at(0, disk.storage.size) == DATA


MORE = (
    (b"Rar!\x1a\x07\x01\0", "RAR"),
    (b"\x02\x21\x4c\x18", "lz4 -l"),
    (b"LZIP\x01", "lzip"),
    (b"\x1f\x9d\x90", "compress"),
)


def test_archives_are_refused_by_name() -> None:
    for head, name in ((b"PK\x03\x04", "zip"), (b"7z\xbc\xaf\x27\x1c", "7z"), (b"\x04\x22\x4d\x18", "lz4"), *MORE):
        with pytest.raises(UnsupportedContainerError, match=name), open_disk(head + bytes(512)):
            pass
    with (
        pytest.raises(UnsupportedContainerError, match="compressed twice"),
        open_disk(gzip.compress(gzip.compress(DATA))),
    ):
        pass


@pytest.mark.parametrize("preset", range(10))
def test_the_form_of_the_lzma_utilities_is_read_whatever_the_dictionary(preset: int, tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(DATA)
    run(judge("xz", "xz-utils"), f"-{preset}", "--format=lzma", tmp_path / "disk")
    with open_disk(tmp_path / "disk.lzma") as disk:
        assert (disk.format, disk.storage.read_at(0, disk.storage.size)) == ("lzma", DATA)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, lzma.compress])
def test_a_tar_archive_with_a_disk_in_it_is_named(compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    """Images for Google's cloud are disk.raw in a .tar.gz."""
    (tmp_path / "disk.raw").write_bytes(DATA)
    for form in ("gnu", "ustar", "pax", "oldgnu"):
        run(judge("tar", "tar"), "-C", tmp_path, f"--format={form}", "-cf", tmp_path / "disk.tar", "disk.raw")
        with (
            pytest.raises(UnsupportedContainerError, match="tar archive") as caught,
            open_disk(compress((tmp_path / "disk.tar").read_bytes())),
        ):
            pass
        assert "tar -xf" in (caught.value.hint or "")


def test_the_hint_to_install_a_reader_is_given_only_where_there_is_none() -> None:
    def reads_nothing(_: Storage) -> Listing:
        raise FormatError("no table")

    for readers, words in (([], "pip install"), ([reads_nothing], "--offset")):
        with pytest.raises(PartitionError) as caught:
            locate(MemoryStorage(bytes(512)), readers=readers, whole=lambda _: False, types=(), what="UFS")
        assert (caught.value.hint or "").startswith("pip install") is (words == "pip install")
        assert words in (caught.value.hint or "")
        assert caught.value.exit_code == BAD_INPUT


def test_a_partition_that_is_named_cannot_be_found_without_a_reader() -> None:
    with pytest.raises(NoPartitionReaderError) as caught, open_partition(bytes(512), "1", readers=[]):
        pass
    assert caught.value.exit_code == USAGE
    assert (caught.value.hint or "").startswith("pip install cloudboot-gpt")


@dataclasses.dataclass(frozen=True)
class Entry:
    number: int
    offset: int
    size: int
    type: UUID | int
    type_name: str | None = None
    name: str = ""
    guid: UUID | None = None


@dataclasses.dataclass(frozen=True)
class Listing:
    partitions: Sequence[Entry]


ESP = UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
UFS = UUID("516e7cb6-6ecf-11d6-8ff8-00022d09712b")
OWN = UUID("01234567-89ab-cdef-0123-456789abcdef")
ENTRIES = [
    Entry(1, 4096, 8192, ESP, "esp", "EFI system", OWN),
    Entry(2, 16384, 8192, UFS, "freebsd-ufs", "root"),
    Entry(3, 32768, 8192, UFS, "freebsd-ufs", "7"),
    Entry(5, 65536, 512, 0xA5),
]


def listed(_: Storage) -> Listing:
    return Listing(ENTRIES)


@pytest.mark.parametrize(
    ("wanted", "number"),
    [
        ("1", 1), ("5", 5), ("EFI system", 1), ("root", 2), ("esp", 1), ("ESP", 1), (str(OWN).upper(), 1),
        (str(ESP), 1), ("0xa5", 5),
    ],
)  # fmt: skip
def test_a_partition_has_many_names(wanted: str, number: int) -> None:
    assert choose(ENTRIES, wanted).number == number


@pytest.mark.parametrize(
    ("wanted", "message"),
    [("7", "no partition"), ("freebsd-ufs", "2 partitions"), ("", "no partition"), ("ROOT", "no p")],
)
def test_a_name_that_fits_none_or_several_lists_them(wanted: str, message: str) -> None:
    with pytest.raises(PartitionError, match=message) as caught:
        choose(ENTRIES, wanted)
    assert caught.value.hint is not None
    assert "2 freebsd-ufs 'root'" in caught.value.hint


def test_part_of_a_disk() -> None:
    disk = random.Random(2).randbytes(MEBIBYTE)
    with open_partition(gzip.compress(disk), "root", readers=[listed]) as storage:
        assert storage.read_at(0, storage.size) == disk[16384 : 16384 + 8192]
    with open_partition(disk, offset=512, size=1024) as storage:
        assert storage.read_at(0, storage.size) == disk[512:1536]
    with open_partition(disk) as storage:
        assert storage.size == MEBIBYTE
    with open_partition(disk, find=lambda _: Place(1, 2)) as storage:
        assert storage.read_at(0, 2) == disk[1:3]
    with pytest.raises(ContainerTruncatedError), open_partition(disk[:8192], "root", readers=[listed]):
        pass


def test_the_first_of_a_fitting_type_is_found() -> None:
    def find(disk: Storage, *, partition: str | None = None, types: frozenset[str], whole: bool = False) -> Place:
        return locate(disk, partition=partition, readers=[listed], whole=lambda _: whole, types=types, what="UFS")

    disk = MemoryStorage(bytes(MEBIBYTE))
    assert find(disk, types=frozenset({str(UFS)})) == Place(16384, 8192)
    assert find(disk, types=frozenset({"0xa5"})) == Place(65536, 512)
    assert find(disk, types=frozenset(), whole=True) == Place(0, None)
    assert find(disk, partition="3", types=frozenset(), whole=True) == Place(32768, 8192)
    with pytest.raises(PartitionError, match="of a type that holds UFS"):
        find(disk, types=frozenset())


def test_a_reader_that_fails_gives_way_to_the_next_and_its_reason_is_kept() -> None:
    def broken(_: Storage) -> Listing:
        raise FormatError("a broken header", structure="GPTHeader", hint="repair it")

    with open_partition(bytes(MEBIBYTE), "1", readers=[broken, listed]) as storage:
        assert isinstance(storage, Window)
    with (
        pytest.raises(PartitionError, match="GPTHeader: a broken header") as caught,
        open_partition(bytes(MEBIBYTE), "1", readers=[broken]),
    ):
        pass
    assert caught.value.hint == "repair it"
