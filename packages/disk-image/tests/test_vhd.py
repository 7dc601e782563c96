"""VHD images made by qemu-img, damaged, and refused."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from cloudboot_base import FormatError, MemoryStorage
from cloudboot_base.testing import judge, run
from cloudboot_disk_image import (
    ContainerError,
    ContainerTruncatedError,
    DynamicVHD,
    UnsupportedContainerError,
    open_disk,
    open_vhd,
)

MEBIBYTE = 1 << 20


def make(folder: Path, kind: str, size: int = 5 * MEBIBYTE) -> tuple[bytes, bytes]:
    """A raw disk with holes, and qemu-img's VHD of it."""
    raw, vhd = folder / "disk.raw", folder / "disk.vhd"
    chance = random.Random(3)
    data = bytearray(size)
    for start in range(0, size, 3 * MEBIBYTE):
        data[start : start + 100_000] = chance.randbytes(min(100_000, size - start))
    raw.write_bytes(data)
    options = f"subformat={kind},force_size=on"
    run(judge("qemu-img", "qemu-utils"), "convert", "-O", "vpc", "-o", options, raw, vhd)
    return bytes(data), vhd.read_bytes()


@pytest.mark.parametrize("kind", ["fixed", "dynamic"])
def test_what_qemu_img_wrote(kind: str, tmp_path: Path) -> None:
    raw, vhd = make(tmp_path, kind)
    with open_disk(tmp_path / "disk.vhd") as disk:
        assert (disk.format, disk.storage.size) == ("vhd", len(raw))
        assert disk.storage.read_at(0, len(raw)) == raw
        chance = random.Random(4)
        for _ in range(50):
            start = chance.randrange(len(raw))
            size = chance.randrange(min(3 * MEBIBYTE, len(raw) - start))
            assert disk.storage.read_at(start, size) == raw[start : start + size]
    assert isinstance(open_vhd(MemoryStorage(vhd)), DynamicVHD) is (kind == "dynamic")


def test_the_copy_of_the_footer_serves_where_the_end_is_damaged(tmp_path: Path) -> None:
    raw, vhd = make(tmp_path, "dynamic")
    cut = open_vhd(MemoryStorage(vhd[:-512] + bytes(512)))
    assert cut is not None
    assert cut.read_at(0, len(raw)) == raw


def test_a_footer_without_its_last_byte(tmp_path: Path) -> None:
    """Programs before Virtual PC 2004 wrote 511 bytes; QEMU reads such a disk."""
    raw, vhd = make(tmp_path, "fixed")
    short, again = tmp_path / "short.vhd", tmp_path / "again.raw"
    short.write_bytes(vhd[:-1])
    run(judge("qemu-img", "qemu-utils"), "convert", "-f", "vpc", "-O", "raw", short, again)
    assert again.read_bytes() == raw
    with open_disk(short) as disk:
        assert (disk.format, disk.storage.size) == ("vhd", len(raw))


def test_a_raw_disk_is_no_vhd() -> None:
    assert open_vhd(MemoryStorage(bytes(4096))) is None
    assert open_vhd(MemoryStorage(b"")) is None
    # The cookie alone is data.
    assert open_vhd(MemoryStorage(bytes(512) + b"conectix" + bytes(504))) is None


def test_a_fixed_disk_with_a_damaged_footer_is_refused(tmp_path: Path) -> None:
    """It has no copy of the footer ("Hard Disk Footer Format"), and its size in a raw disk would be wrong."""
    _, vhd = make(tmp_path, "fixed")
    for at in (48, 56, 64, 84):  # current size, geometry, checksum, a reserved byte
        damaged = bytearray(vhd)
        damaged[len(vhd) - 512 + at] ^= 1
        for data in (bytes(damaged), bytes(damaged[:-1])):
            with pytest.raises(ContainerError, match="footer of the VHD is damaged"):
                open_vhd(MemoryStorage(data))


def changed(vhd: bytes, at: int, fields: dict[int, bytes], checksum: int) -> bytes:
    """``vhd`` with fields of the structure at ``at`` replaced, and its checksum (at ``checksum``) made anew."""
    data = bytearray(vhd)
    for offset, value in fields.items():
        data[at + offset : at + offset + len(value)] = value
    end = at + (1024 if checksum == 36 else 512)
    data[at + checksum : at + checksum + 4] = bytes(4)
    data[at + checksum : at + checksum + 4] = struct.pack(">I", ~sum(data[at:end]) & 0xFFFFFFFF)
    return bytes(data)


def test_a_differencing_disk_is_refused_by_name(tmp_path: Path) -> None:
    _, vhd = make(tmp_path, "dynamic")
    with pytest.raises(UnsupportedContainerError, match="differencing") as caught:
        open_vhd(MemoryStorage(changed(vhd, len(vhd) - 512, {60: struct.pack(">I", 4)}, 64)))
    assert caught.value.hint is not None


@pytest.mark.parametrize(
    ("field", "offset", "value"),
    [
        ("Cookie", 0, b"cxsparsf"),
        ("BlockSize", 32, struct.pack(">I", 3 << 20)),
        ("BlockSize", 32, struct.pack(">I", 0)),
        ("MaxTableEntries", 28, struct.pack(">I", 1)),
        ("TableOffset", 16, struct.pack(">Q", 1 << 62)),
    ],
)
def test_damaged_dynamic_headers(field: str, offset: int, value: bytes, tmp_path: Path) -> None:
    _, vhd = make(tmp_path, "dynamic")
    with pytest.raises(ContainerError) as caught:
        open_vhd(MemoryStorage(changed(vhd, 512, {offset: value}, 36)))
    assert caught.value.field == field


def test_a_fixed_disk_that_was_cut_is_truncated(tmp_path: Path) -> None:
    _, vhd = make(tmp_path, "fixed", 1 << 20)
    with pytest.raises(ContainerTruncatedError):
        open_vhd(MemoryStorage(vhd[512:]))


def test_a_dynamic_disk_that_was_cut_is_truncated(tmp_path: Path) -> None:
    raw, vhd = make(tmp_path, "dynamic")
    disk = open_vhd(MemoryStorage(vhd[: len(vhd) // 2]))
    assert disk is not None
    with pytest.raises(ContainerTruncatedError) as caught:
        disk.read_at(0, len(raw))
    assert caught.value.where["block"] in range(3)


def test_random_damage_is_a_typed_error(tmp_path: Path) -> None:
    _, clean = make(tmp_path, "dynamic")
    chance = random.Random(5)
    seen = 0
    for _ in range(200):
        data = bytearray(clean)
        for _ in range(chance.randrange(1, 4)):
            data[chance.choice((chance.randrange(1536), chance.randrange(1536, 2048)))] = chance.randrange(256)
        try:
            disk = open_vhd(MemoryStorage(data))
            if disk is not None:
                for start in range(0, min(disk.size, 8 * MEBIBYTE), MEBIBYTE):
                    disk.read_at(start, min(MEBIBYTE, disk.size - start))
        except FormatError:
            seen += 1
    assert seen > 50
