"""qcow2 images made by qemu-img, damaged, refused, and cut short."""

from __future__ import annotations

import random
import struct
import subprocess
from collections.abc import Callable
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
from cloudboot_disk_image.compression import zstandard

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
    "subclusters": ("-o", "extended_l2=on,cluster_size=16k"),
    "compressed, with subclusters": ("-c", "-o", "extended_l2=on"),
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


@pytest.mark.parametrize("options", ["compat=0.10", "compat=1.1", "extended_l2=on", "extended_l2=on,cluster_size=16k"])
def test_what_was_zeroed_discarded_and_written_in_part(options: str, disk: Path, tmp_path: Path) -> None:
    target, raw = tmp_path / "disk.qcow2", tmp_path / "disk.raw"
    make = judge("qemu-img", "qemu-utils")
    run(make, "create", "-q", "-f", "qcow2", "-o", options, target, "4M")
    steps = [
        "write -P 0xaa 0 1M", "write -z 64k 64k", "write -z 131k 3k", "discard 512k 64k", "write -P 0xbb 2M 512",
        "write -P 0xcc 2100k 3k", "write -c -P 0xdd 3M 64k", "write -P 0xee 3073k 1k", "write -z 3080k 4k",
    ]  # fmt: skip
    if "0.10" in options:
        steps = [step for step in steps if "-z" not in step]
    run(judge("qemu-io", "qemu-utils"), *(word for step in steps for word in ("-c", step)), target)
    run(make, "convert", "-O", "raw", target, raw)
    assert read_whole(target) == raw.read_bytes()


def read_whole(path: Path) -> bytes:
    with open_disk(path) as opened:
        return opened.storage.read_at(0, opened.storage.size)


def edited(data: bytes, *edits: tuple[int, bytes]) -> bytes:
    changed = bytearray(data)
    for at, value in edits:
        changed += bytes(max(0, at + len(value) - len(changed)))
        changed[at : at + len(value)] = value
    return bytes(changed)


FLAG = 1 << 63  # the refcount of what an entry names is 1
#: An edit of the first entry of the L2 table, by the offset of the cluster it names.
ENTRIES: dict[str, Callable[[int], int]] = {
    "zeros, and a cluster": lambda host: host | FLAG | 1,
    "zeros": lambda _: 1,
    "reserved bits": lambda host: host | FLAG | 1 << 57 | 0x3E,
    "without the flag": lambda host: host,
    "not on a cluster": lambda host: host + 512 | FLAG,
    "behind the end of the file, packed": lambda _: 1 << 62 | 1 << 40,
    "no stream": lambda host: 1 << 62 | host,
}


@pytest.mark.parametrize("name", ENTRIES)
def test_entries_that_are_odd_or_damaged(name: str, disk: Path, tmp_path: Path) -> None:
    """Where QEMU reads an image its bytes are ours; where it refuses, so do we."""
    target, raw = tmp_path / "disk.qcow2", tmp_path / "disk.raw"
    make = judge("qemu-img", "qemu-utils")
    run(make, "convert", "-O", "qcow2", disk, target)
    data = target.read_bytes()
    (table,) = struct.unpack_from(">Q", data, 40)
    second = struct.unpack_from(">Q", data, table)[0] & ~FLAG
    host = struct.unpack_from(">Q", data, second)[0] & ~FLAG
    target.write_bytes(edited(data, (second, struct.pack(">Q", ENTRIES[name](host)))))
    done = subprocess.run([make, "convert", "-O", "raw", target, raw], capture_output=True, check=False)
    if done.returncode == 0:
        assert read_whole(target) == raw.read_bytes()
    else:
        with pytest.raises(ContainerError):
            read_whole(target)


def frame(data: bytes) -> bytes:
    packed: bytes = zstandard().compress(data)
    return packed


@pytest.mark.parametrize(
    ("stream", "accepted"),
    [
        (lambda: frame(b"Q" * 65536), True),
        (lambda: frame(b"A" * 30000) + frame(b"B" * 35536), True),
        (lambda: struct.pack("<II", 0x184D2A50, 4) + b"skip" + frame(b"Q" * 65536), True),
        (lambda: frame(b"Q" * 65536) + b"left over", True),
        (lambda: frame(b"Q" * 1000), False),
        (lambda: frame(b"Q" * 70000), False),
    ],
    ids=["one frame", "two frames", "a skippable frame", "more behind", "too short", "too long"],
)
def test_a_cluster_of_zstandard_frames(stream: Callable[[], bytes], accepted: bool, disk: Path, tmp_path: Path) -> None:
    target, raw = tmp_path / "disk.qcow2", tmp_path / "disk.raw"
    make = judge("qemu-img", "qemu-utils")
    run(make, "convert", "-O", "qcow2", *QCOW2["zstd"], disk, target)
    data, packed = target.read_bytes(), stream()
    (table,) = struct.unpack_from(">Q", data, 40)
    second = struct.unpack_from(">Q", data, table)[0] & ~FLAG
    end = -(-len(data) // 512) * 512
    entry = 1 << 62 | (len(packed) - 1) // 512 << 54 | end
    target.write_bytes(
        edited(data, (end, packed.ljust(-(-len(packed) // 512) * 512, b"\0")), (second, struct.pack(">Q", entry)))
    )
    done = subprocess.run([make, "convert", "-O", "raw", target, raw], capture_output=True, check=False)
    assert (done.returncode == 0) is accepted
    if accepted:
        assert read_whole(target) == raw.read_bytes()
    else:
        with pytest.raises(ContainerError, match="damaged compressed cluster"):
            read_whole(target)


def test_qcow2_images_that_are_refused(tmp_path: Path) -> None:
    make = judge("qemu-img", "qemu-utils")
    (tmp_path / "base").write_bytes(bytes(MEBIBYTE))
    target = tmp_path / "overlay"
    run(make, "create", "-q", "-f", "qcow2", "-b", tmp_path / "base", "-F", "raw", target, "1M")
    with pytest.raises(UnsupportedContainerError) as caught:
        Qcow2(MemoryStorage(target.read_bytes()))
    assert caught.value.field == "backing_file_offset"
    external = tmp_path / "external"
    run(make, "create", "-q", "-f", "qcow2", "-o", f"data_file={tmp_path / 'data'}", external, "1M")
    with pytest.raises(UnsupportedContainerError, match="another file"):
        Qcow2(MemoryStorage(external.read_bytes()))


@pytest.mark.parametrize("options", [("-f", "qcow"), ("-f", "qed")], ids=["qcow version 1", "QED"])
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
        ("header_length", 100, struct.pack(">I", 72)),
        ("header_length", 100, struct.pack(">I", 1 << 20)),
        ("compression_type", 104, b"\x01"),
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


def test_subclusters_are_at_least_a_sector(tmp_path: Path) -> None:
    target = tmp_path / "disk.qcow2"
    run(judge("qemu-img", "qemu-utils"), "create", "-q", "-f", "qcow2", "-o", "extended_l2=on", target, "1M")
    with pytest.raises(ContainerError) as caught:
        Qcow2(MemoryStorage(edited(target.read_bytes(), (20, struct.pack(">I", 13)))))
    assert caught.value.field == "cluster_bits"


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
