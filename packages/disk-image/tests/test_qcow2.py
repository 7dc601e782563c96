"""qcow2 images made by qemu-img, damaged, refused, and cut short."""

from __future__ import annotations

import gzip
import random
import struct
from pathlib import Path

import pytest

from cloudboot_base import FormatError, MemoryStorage
from cloudboot_base.testing import judge, run
from cloudboot_disk_image import (
    ContainerError,
    ContainerTruncatedError,
    Qcow2,
    UnsupportedContainerError,
    open_disk,
)

MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six MiB of data, text and holes."""
    path = tmp_path_factory.mktemp("disk") / "disk.raw"
    chance = random.Random(7)
    with path.open("wb") as file:
        file.truncate(6 * MEBIBYTE + 512)
        for start in range(0, 6 * MEBIBYTE, 300_000):
            file.seek(start)
            file.write(chance.randbytes(70_000) + b"text " * 8_000)
    return path


QCOW2 = {
    "v3": (),
    "v2": ("-o", "compat=0.10"),
    "zlib": ("-c",),
    "zstd": ("-c", "-o", "compression_type=zstd"),
    "small clusters": ("-o", "cluster_size=512"),
    "large clusters": ("-c", "-o", "cluster_size=2M"),
}


@pytest.mark.parametrize("kind", QCOW2)
def test_qcow2(disk: Path, kind: str, tmp_path: Path) -> None:
    target = tmp_path / "disk.qcow2"
    run(judge("qemu-img", "qemu-utils"), "convert", "-O", "qcow2", *QCOW2[kind], disk, target)
    raw = disk.read_bytes()
    with open_disk(target) as opened:
        assert (opened.format, opened.storage.size) == ("qcow2", len(raw))
    qcow2 = Qcow2(MemoryStorage(target.read_bytes()))
    assert qcow2.size == len(raw)
    assert qcow2.read_at(0, len(raw)) == raw
    chance = random.Random(4)
    for _ in range(50):
        start = chance.randrange(len(raw))
        size = chance.randrange(min(200_000, len(raw) - start))
        assert qcow2.read_at(start, size) == raw[start : start + size]


def test_qcow2_with_zeroed_clusters(disk: Path, tmp_path: Path) -> None:
    target = tmp_path / "disk.qcow2"
    run(judge("qemu-img", "qemu-utils"), "convert", "-O", "qcow2", disk, target)
    run(judge("qemu-io", "qemu-utils"), "-c", "write -P 0xaa 0 256k", "-c", "write -z 64k 64k", target)
    start = Qcow2(MemoryStorage(target.read_bytes())).read_at(0, 256 * 1024)
    assert start == b"\xaa" * 65536 + bytes(65536) + b"\xaa" * 131072


def test_qcow2_images_that_are_refused(tmp_path: Path) -> None:
    make = judge("qemu-img", "qemu-utils")
    (tmp_path / "base").write_bytes(bytes(MEBIBYTE))
    kinds = {
        "backing_file_offset": ("-b", tmp_path / "base", "-F", "raw"),
        "incompatible_features": ("-o", "extended_l2=on"),
    }  # fmt: skip
    for field, options in kinds.items():
        target = tmp_path / field
        run(make, "create", "-q", "-f", "qcow2", *options, target, "1M")
        with pytest.raises(UnsupportedContainerError) as caught:
            Qcow2(MemoryStorage(target.read_bytes()))
        assert caught.value.field == field
    external = tmp_path / "external"
    run(make, "create", "-q", "-f", "qcow2", "-o", f"data_file={tmp_path / 'data'}", external, "1M")
    with pytest.raises(UnsupportedContainerError, match="another file"):
        Qcow2(MemoryStorage(external.read_bytes()))
    with (
        pytest.raises(UnsupportedContainerError, match="compressed qcow2"),
        open_disk(gzip.compress(external.read_bytes())),
    ):
        pass


@pytest.mark.parametrize(
    "options", [("-f", "qcow2", "-o", "extended_l2=on"), ("-f", "qcow")], ids=["subclusters", "version 1"]
)
def test_the_hint_of_a_refused_image_is_true(options: tuple[str, ...], tmp_path: Path) -> None:
    """The command of the hint, with the image's name, makes a disk that is read."""
    image, target = tmp_path / "image", tmp_path / "disk.img"
    run(judge("qemu-img", "qemu-utils"), "create", "-q", *options, image, "1M")
    run(judge("qemu-io", "qemu-utils"), *options[:2], "-c", "write -P 0x5a 64k 4k", image)
    with pytest.raises(UnsupportedContainerError) as caught, open_disk(image):
        pass
    assert caught.value.hint is not None
    run(*(str({"IMAGE": image, "disk.img": target}.get(word, word)) for word in caught.value.hint.split()))
    with open_disk(target) as disk:
        assert disk.storage.read_at(0, 128 * 1024) == bytes(65536) + b"Z" * 4096 + bytes(61440)


@pytest.mark.parametrize(
    ("field", "offset", "value"),
    [
        ("version", 4, struct.pack(">I", 4)),
        ("crypt_method", 32, struct.pack(">I", 2)),
        ("cluster_bits", 20, struct.pack(">I", 8)),
        ("cluster_bits", 20, struct.pack(">I", 22)),
        ("size", 24, struct.pack(">Q", 1 << 63)),
        ("l1_size", 24, struct.pack(">Q", 1 << 60)),
        ("l1_size", 36, struct.pack(">I", 0)),
        ("l1_table_offset", 40, struct.pack(">Q", 12345)),
        ("compression_type", 104, b"\x07"),
        ("incompatible_features", 72, struct.pack(">Q", 1 << 40)),
    ],
)
def test_damaged_qcow2_headers(field: str, offset: int, value: bytes, tmp_path: Path) -> None:
    target = tmp_path / "disk.qcow2"
    run(judge("qemu-img", "qemu-utils"), "create", "-q", "-f", "qcow2", target, "64M")
    data = bytearray(target.read_bytes())
    data[offset : offset + len(value)] = value
    with pytest.raises((ContainerError, UnsupportedContainerError)) as caught:
        Qcow2(MemoryStorage(data))
    assert caught.value.field == field


@pytest.mark.parametrize("kind", ["v3", "zlib", "zstd"])
def test_random_damage_to_a_qcow2_is_a_typed_error(disk: Path, kind: str, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "disk.qcow2"
    source.write_bytes(disk.read_bytes()[: 4 * MEBIBYTE])
    run(
        judge("qemu-img", "qemu-utils"),
        "convert",
        "-O",
        "qcow2",
        "-o",
        "cluster_size=4096",
        *QCOW2[kind],
        source,
        target,
    )
    clean = target.read_bytes()
    chance = random.Random(5)
    seen = 0
    for _ in range(60):
        data = bytearray(clean)
        for _ in range(chance.randrange(1, 8)):
            data[chance.choice((chance.randrange(112), chance.randrange(len(data))))] = chance.randrange(256)
        try:
            image = Qcow2(MemoryStorage(data))
            for start in range(0, min(image.size, 4 * MEBIBYTE), MEBIBYTE):
                image.read_at(start, min(MEBIBYTE, image.size - start))
        except FormatError:
            seen += 1
    assert seen


def test_a_file_that_ends_inside_its_last_cluster_reads_as_zeros_there(tmp_path: Path) -> None:
    """As qemu-img does; a file that ends before one of its clusters is an error."""
    target, raw = tmp_path / "disk.qcow2", tmp_path / "disk.raw"
    make = judge("qemu-img", "qemu-utils")
    run(make, "create", "-q", "-f", "qcow2", target, "4M")
    run(judge("qemu-io", "qemu-utils"), "-c", "write -P 0xaa 0 64k", "-c", "write -P 0xbb 1M 64k", target)
    data = target.read_bytes()
    last = data.rindex(b"\xbb" * 512) // 65536 * 65536
    target.write_bytes(data[: last + 1000])
    run(make, "convert", "-O", "raw", target, raw)
    ours = Qcow2(MemoryStorage(target.read_bytes()))
    assert ours.read_at(0, ours.size) == raw.read_bytes()
    assert ours.read_at(MEBIBYTE, 65536) == b"\xbb" * 1000 + bytes(64536)
    cut = Qcow2(MemoryStorage(data[:last]))
    with pytest.raises(ContainerTruncatedError) as caught:
        cut.read_at(MEBIBYTE, 512)
    assert caught.value.offset == last
