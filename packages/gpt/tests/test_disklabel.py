"""BSD disklabels as util-linux and sleuthkit read them, inside slices and alone, and damaged ones."""

from __future__ import annotations

import json
import re
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_base.testing import judge, run
from cloudboot_gpt import (
    BSDPartition,
    DisklabelError,
    DisklabelTable,
    GPTError,
    RecordRangeError,
    partition_types,
    read_disklabel,
    read_mbr,
    read_partitions,
)
from cloudboot_gpt.__main__ import main
from cloudboot_gpt.testing import disklabel

if TYPE_CHECKING:
    from pathlib import Path

SECTOR = 512
SLICE = 4096  #: where the slice of the disks below starts, in sectors
LENGTH = 80_000
FFS, SWAP, MSDOS = 7, 1, 8


def sliced(path: Path, label: bytes, *, kind: str = "a5", at: int = SECTOR, start: int = SLICE) -> Path:
    """A disk with an ESP and a slice that has ``label`` at byte ``at``."""
    with path.open("wb") as file:
        file.truncate(64 << 20)
    script = f"label: dos\n1: start=64,size=2000,type=ef\n2: start={start},size={LENGTH},type={kind},bootable\n"
    run(judge("sfdisk", "fdisk"), "-q", path, stdin=script.encode())
    with path.open("r+b") as file:
        file.seek(start * SECTOR + at)
        file.write(label)
    return path


def partx_rows(image: Path) -> list[tuple[int, int, int]]:
    """Number, first sector and sectors of every partition, as libblkid sees them."""
    text = run(judge("partx", "util-linux"), "--show", "--noheadings", "--output", "NR,START,SECTORS", image)
    return [(int(number), int(start), int(count)) for number, start, count in map(str.split, text.splitlines())]


def our_rows(image: Path) -> list[tuple[int, int, int]]:
    return [(each.number, each.first_lba, each.size // SECTOR) for each in read_partitions(image).partitions]


LABELS = {
    # FreeBSD 10 and later, and mkimg: relative to the slice, which is "c"
    "freebsd": ("a5", {"a": (FFS, 16, 50_000), "b": (SWAP, 50_016, 10_000), "c": (0, 0, LENGTH)}),
    # as far as FreeBSD 9: from the start of the disk
    "freebsd-9": ("a5", {"a": (FFS, SLICE + 16, 50_000), "c": (0, SLICE, LENGTH), "d": (FFS, SLICE + 60_000, 5000)}),
    # OpenBSD: from the start of the disk, "c" is the disk, and the ESP has an entry as well
    "openbsd": ("a6", {"a": (FFS, SLICE, 40_000), "c": (0, 0, 131_072), "i": (MSDOS, 64, 2000)}),
    "netbsd": ("a9", {"a": (FFS, SLICE, 40_000), "b": (SWAP, SLICE + 40_000, 40_000), "d": (0, 0, 131_072)}),
    "empty": ("a5", {}),
}


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("at", [512, 64, 128])
def test_partitions_of_a_slice_are_those_that_libblkid_lists(name: str, at: int, tmp_path: Path) -> None:
    kind, entries = LABELS[name]
    image = sliced(tmp_path / "disk.img", disklabel(entries, count=16), kind=kind, at=at)
    if at != 128:  # libblkid looks at the other two
        assert our_rows(image) == partx_rows(image)
    table = read_mbr(image)
    assert table.faults == ()
    assert len(table.partitions) == 2 + {"freebsd": 2, "freebsd-9": 2, "openbsd": 1, "netbsd": 2, "empty": 0}[name]


def test_partitions_that_fdisk_made(tmp_path: Path) -> None:
    image = sliced(tmp_path / "disk.img", b"")
    keys = ["b", "2", "y", "d", "d"]
    for letter, first, last, kind in (("a", 4112, 9999, "7"), ("b", 10_000, 19_999, "1"), ("e", 30_000, 79_999, "9")):
        keys += ["n", letter, str(first), str(last), "t", letter, kind]
    run(judge("fdisk", "fdisk"), image, stdin="\n".join([*keys, "w", ""]).encode())
    assert our_rows(image) == partx_rows(image)
    labelled = [each for each in read_mbr(image).partitions if isinstance(each, BSDPartition)]
    assert [(each.number, each.name, each.type_name) for each in labelled] == [
        (5, "s2a", "freebsd-ufs"), (6, "s2b", "freebsd-swap"), (7, "s2e", "lfs"),
    ]  # fmt: skip


def test_sleuthkit_reads_the_entries_in_the_same_places(tmp_path: Path) -> None:
    image = sliced(tmp_path / "disk.img", disklabel(LABELS["netbsd"][1], count=16), kind="a9")
    text = run(judge("mmls", "sleuthkit"), "-t", "bsd", "-o", str(SLICE), image)
    rows = re.findall(r"^\d+:\s+\d+\s+(\d+)\s+\d+\s+(\d+)\s+(?:4\.2BSD|Swap)", text, re.MULTILINE)
    found = [each for each in read_mbr(image).partitions if isinstance(each, BSDPartition)]
    assert [(each.first_lba, each.size // SECTOR) for each in found] == [(int(a), int(b)) for a, b in rows]


def test_openbsds_upper_bits_count_in_its_own_labels_only(tmp_path: Path) -> None:
    entries = {"a": (FFS, SLICE, 40_000), "d": (FFS, (1 << 32) + SLICE, 1000)}
    wide = read_mbr(sliced(tmp_path / "wide.img", disklabel(entries, version=1), kind="a6"))
    assert [each.name for each in wide.partitions[2:]] == ["s2a"]
    # In a label of NetBSD the same bytes are a fragment size.
    other = read_mbr(sliced(tmp_path / "other.img", disklabel(entries, version=1), kind="a9"))
    assert [each.name for each in other.partitions[2:]] == ["s2a", "s2d"]


def test_the_label_of_a_dedicated_disk_covers_it(tmp_path: Path) -> None:
    """What FreeBSD calls dangerously dedicated: a slice from sector 0 on with a size that means nothing."""
    label = disklabel({"a": (FFS, 16, 100_000), "c": (0, 0, 131_072)})
    image = tmp_path / "disk.img"
    disk = bytearray(64 << 20)
    disk[446:462] = struct.pack("<B3sB3sII", 0x80, bytes(3), 0xA5, bytes(3), 0, 50_000)
    disk[510:512] = b"\x55\xaa"
    disk[SECTOR : SECTOR + len(label)] = label
    image.write_bytes(disk)
    assert [(each.name, each.first_lba) for each in read_partitions(image).partitions] == [("", 0), ("s1a", 16)]


@pytest.mark.parametrize("at", [512, 64])
def test_a_label_without_an_mbr(at: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = tmp_path / "disk.img"
    label = disklabel({"a": (FFS, 16, 60_000), "b": (SWAP, 60_016, 4000), "c": (0, 0, 131_072)})
    image.write_bytes(bytes(at) + label + bytes((64 << 20) - at - len(label)))
    table = read_partitions(image)
    assert isinstance(table, DisklabelTable)
    assert table == read_disklabel(image)
    assert our_rows(image) == partx_rows(image)
    assert [each.type for each in table.partitions] == [partition_types.FREEBSD_UFS, partition_types.FREEBSD_SWAP]
    found = table.partition(1)
    assert found is not None
    assert table.partition(9) is None
    assert main(["show", str(image)]) == 0
    assert "BSD disklabel with 2 partitions" in capsys.readouterr().out
    assert main(["show", str(image), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["scheme"], [each["name"] for each in shown["partitions"]]) == ("bsd", ["a", "b"])


def test_a_partition_is_extracted_by_the_name_in_the_label(tmp_path: Path) -> None:
    image = sliced(tmp_path / "disk.img", disklabel({"a": (FFS, 16, 8), "c": (0, 0, LENGTH)}))
    with image.open("r+b") as file:
        file.seek((SLICE + 16) * SECTOR)
        file.write(b"root")
    assert main(["extract", str(image), "s2a", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out").read_bytes() == b"root".ljust(8 * SECTOR, b"\0")


@pytest.mark.parametrize(
    ("offset", "value", "field"),
    [(136, b"\x01\x02", "d_checksum"), (138, b"\xff\xff", "d_npartitions"), (138, b"\0\0", "d_npartitions"),
     (40, b"\x01\0\0\0", "d_secsize")],
)  # fmt: skip
def test_a_damaged_label_is_a_fault_and_the_slices_stay(
    offset: int, value: bytes, field: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    label = bytearray(disklabel({"a": (FFS, 16, 8)}))
    label[offset : offset + len(value)] = value
    image = sliced(tmp_path / "disk.img", bytes(label))
    table = read_mbr(image)
    (fault,) = table.faults
    assert isinstance(fault, DisklabelError)
    assert (fault.field, fault.offset, fault.partition) == (field, (SLICE + 1) * SECTOR + {"d_checksum": 136,
            "d_npartitions": 138, "d_secsize": 40}[field], 2)  # fmt: skip
    assert len(table.partitions) == 2
    assert main(["show", str(image)]) == 0
    assert "partition 2: a damaged BSD disklabel" in capsys.readouterr().err
    alone = bytes(512) + bytes(label) + bytes(1 << 20)
    with pytest.raises(DisklabelError, match="damaged"):
        read_partitions(alone)


def test_entries_that_leave_the_slice_are_faults(tmp_path: Path) -> None:
    entries = {"a": (FFS, 16, LENGTH), "b": (SWAP, 1 << 20, 4), "c": (0, 0, LENGTH)}
    table = read_mbr(sliced(tmp_path / "disk.img", disklabel(entries)))
    (fault,) = table.faults  # b begins in another slice, or behind the disk: not of this one
    assert isinstance(fault, RecordRangeError)
    assert fault.message == "partition a of the disklabel leaves its slice"
    assert len(table.partitions) == 2


def test_a_disk_without_a_label_says_so() -> None:
    with pytest.raises(DisklabelError, match="no BSD disklabel"):
        read_disklabel(bytes(1 << 16))
    with pytest.raises(GPTError, match="no MBR"):
        read_partitions(bytes(1 << 20))


@given(st.binary(max_size=1300), st.sampled_from([0xA5, 0xA6, 0xA9]), st.booleans())
def test_any_bytes_end_in_partitions_inside_the_slice(data: bytes, kind: int, magic: bool) -> None:
    disk = bytearray(1 << 20)
    disk[446:462] = struct.pack("<B3sB3sII", 0, bytes(3), kind, bytes(3), 8, 100)
    disk[510:512] = b"\x55\xaa"
    label = bytearray(data)
    if magic and len(label) >= 148:
        struct.pack_into("<I", label, 0, 0x82564557)
        struct.pack_into("<IHH", label, 132, 0x82564557, 0, label[138] % 70)
        struct.pack_into("<I", label, 40, 512)
        total = 0
        for (word,) in struct.iter_unpack(
            "<H", bytes(label[: 148 + 16 * label[138]]).ljust(148 + 16 * label[138], b"\0")
        ):
            total ^= word
        struct.pack_into("<H", label, 136, total)
    disk[9 * SECTOR : 9 * SECTOR + len(label)] = label
    for each in read_mbr(bytes(disk)).partitions[1:]:
        assert 8 * SECTOR <= each.offset < each.offset + each.size <= 108 * SECTOR
