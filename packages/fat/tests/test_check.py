"""Every kind of damage is found, and fsck.fat agrees that it is damage."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudboot_base import MemoryStorage
from cloudboot_fat import BootSectorError, FatReader, FatType, FormatOptions, build, check
from cloudboot_fat.records import BPB, BPB32, FSInfo
from cloudboot_fat.testing import fsck_report, poke, set_fat_entries

MIB = 1 << 20
TREE = {
    "/DIR/SUB/DEEP.TXT": b"deep" * 1000,
    "/DIR/a long name.txt": b"long" * 1000,
    "/FILE": b"file" * 1000,
    "/OTHER": b"other" * 1000,
}


class Volume:
    """A good volume and where to damage it."""

    def __init__(self, fat_type: FatType = 32) -> None:
        self.data = bytearray({12: MIB, 16: 8 * MIB, 32: 34 * MIB}[fat_type])
        options = FormatOptions(fat_type=fat_type, label="LABEL", cluster_size=1024 if fat_type == 16 else 512)
        self.fs = build(MemoryStorage(self.data), TREE, options)
        self.geometry = self.fs.geometry

    def cluster(self, path: str) -> int:
        return self.fs.stat(path).cluster

    def slot(self, path: str, at: int = 0) -> int:
        offset = self.fs.stat(path).offset
        assert offset is not None
        return offset + at

    def kinds(self) -> list[str]:
        return [finding.kind for finding in check(MemoryStorage(self.data))]


@pytest.fixture
def volume() -> Any:
    return Volume()


def bpb(field: str) -> Any:
    return BPB.LAYOUT.offsets[field]


def bpb32(field: str) -> Any:
    return 36 + BPB32.LAYOUT.offsets[field]


def info(field: str) -> Any:
    return 512 + FSInfo.LAYOUT.offsets[field]


def both(volume: Volume, offset: int, code: str, value: int) -> None:
    """Change the boot sector and its backup alike."""
    poke(volume.data, offset, code, value)
    poke(volume.data, 6 * 512 + offset, code, value)


CLUSTER_LO, SIZE, ATTRIBUTES, DATE = 26, 28, 11, 24
DAMAGE: dict[str, tuple[Callable[[Volume], None], str]] = {
    "jump": (lambda v: both(v, 0, "B", 0), "boot-sector-field"),
    "media": (lambda v: both(v, bpb("BPB_Media"), "B", 0xF0), "fat-media"),
    "bad media": (lambda v: both(v, bpb("BPB_Media"), "B", 0x12), "boot-sector-field"),
    "track": (lambda v: both(v, bpb("BPB_SecPerTrk"), "H", 0), "boot-sector-field"),
    "heads": (lambda v: both(v, bpb("BPB_NumHeads"), "H", 0), "boot-sector-field"),
    "backup": (lambda v: poke(v.data, 6 * 512 + 3, "B", 0), "backup-boot-sector"),
    "no backup": (lambda v: poke(v.data, bpb32("BPB_BkBootSec"), "H", 0), "backup-boot-sector"),
    "backup outside": (lambda v: poke(v.data, bpb32("BPB_BkBootSec"), "H", 4000), "backup-boot-sector"),
    "fsinfo signature": (lambda v: poke(v.data, info("FSI_StrucSig"), "I", 0), "fsinfo"),
    "fsinfo outside": (lambda v: both(v, bpb32("BPB_FSInfo"), "H", 4000), "fsinfo"),
    "free count": (lambda v: poke(v.data, info("FSI_Free_Count"), "I", 7), "fsinfo"),
    "next free": (lambda v: poke(v.data, info("FSI_Nxt_Free"), "I", 0x0FFFFFFF), "fsinfo"),
    "dirty": (lambda v: set_fat_entries(v.data, {1: 0x07FFFFFF}), "dirty"),
    "errors": (lambda v: set_fat_entries(v.data, {1: 0x0BFFFFFF}), "disk-errors"),
    "end mark": (lambda v: set_fat_entries(v.data, {1: 5}), "fat-end-mark"),
    "copies": (lambda v: set_fat_entries(v.data, {v.cluster("/FILE"): 0}, copies=False), "fat-copies"),
    "loop": (lambda v: set_fat_entries(v.data, {v.cluster("/FILE") + 3: v.cluster("/FILE")}), "chain"),
    "loop of one": (lambda v: set_fat_entries(v.data, {v.cluster("/FILE"): v.cluster("/FILE")}), "chain"),
    "leaves": (lambda v: set_fat_entries(v.data, {v.cluster("/FILE"): 0x0FFFFFF0}), "chain"),
    "to reserved": (lambda v: set_fat_entries(v.data, {v.cluster("/FILE"): 1}), "chain"),
    "to free": (lambda v: set_fat_entries(v.data, {v.cluster("/FILE"): 0}), "chain"),
    "bad cluster": (lambda v: set_fat_entries(v.data, {v.cluster("/FILE"): 0x0FFFFFF7}), "chain"),
    "cross": (lambda v: set_fat_entries(v.data, {v.cluster("/FILE"): v.cluster("/OTHER") + 1}), "cross-linked"),
    "same start": (lambda v: poke(v.data, v.slot("/FILE", CLUSTER_LO), "H", v.cluster("/OTHER")), "cross-linked"),
    "lost": (lambda v: set_fat_entries(v.data, {5000: 5001, 5001: 0x0FFFFFFF}), "lost-clusters"),
    "too long": (lambda v: poke(v.data, v.slot("/FILE", SIZE), "I", 100), "file-size"),
    "too short": (lambda v: poke(v.data, v.slot("/FILE", SIZE), "I", 0xFFFFFFFF), "file-size"),
    "no cluster": (lambda v: poke(v.data, v.slot("/FILE", CLUSTER_LO), "H", 0), "file-size"),
    "directory size": (lambda v: poke(v.data, v.slot("/DIR", SIZE), "I", 5), "directory-file-size"),
    "directory loop": (lambda v: poke(v.data, v.slot("/DIR/SUB", CLUSTER_LO), "H", v.cluster("/DIR")), "cross-linked"),
    "directory nowhere": (lambda v: poke(v.data, v.slot("/DIR", CLUSTER_LO), "H", 0), "first-cluster"),
    "attributes": (lambda v: poke(v.data, v.slot("/FILE", ATTRIBUTES), "B", 0xE0), "attributes"),
    "date": (lambda v: poke(v.data, v.slot("/FILE", DATE), "H", 0xFFFF), "date"),
    "short name": (lambda v: poke(v.data, v.slot("/FILE", 1), "B", 0x2A), "short-name"),
    "lower case": (lambda v: poke(v.data, v.slot("/FILE", 1), "B", 0x61), "short-name"),
    "duplicate": (lambda v: poke(v.data, v.slot("/FILE"), "11s", b"OTHER      "), "duplicate-name"),
    "dot": (lambda v: poke(v.data, dots(v) + CLUSTER_LO, "H", 99), "dot-entries"),
    "dot dot": (lambda v: poke(v.data, dots(v) + 32 + CLUSTER_LO, "H", 99), "dot-entries"),
    "no dot": (lambda v: poke(v.data, dots(v), "B", 0xE5), "dot-entries"),
    "dot is a file": (lambda v: poke(v.data, dots(v) + ATTRIBUTES, "B", 0x20), "dot-entries"),
    "two labels": (lambda v: poke(v.data, v.slot("/FILE", ATTRIBUTES), "B", 0x08), "label"),
    "label below": (lambda v: poke(v.data, v.slot("/DIR/SUB", ATTRIBUTES), "B", 0x08), "label"),
    "long checksum": (lambda v: poke(v.data, v.slot(LONG, 1), "B", 0x5A), "long-name-checksum"),
    "long order": (lambda v: poke(v.data, v.slot(LONG, -32), "B", 0x05), "long-name-order"),
    "long order of last": (lambda v: poke(v.data, v.slot(LONG, -64), "B", 0x7F), "long-name-order"),
    "long type": (lambda v: poke(v.data, v.slot(LONG, -32 + 12), "B", 1), "long-name-fields"),
    "long separator": (lambda v: poke(v.data, v.slot(LONG, -32 + 1), "H", 0x2F), "long-name-invalid"),
    "long surrogate": (lambda v: poke(v.data, v.slot(LONG, -32 + 1), "H", 0xD800), "long-name-invalid"),
    "long orphan": (lambda v: poke(v.data, v.slot(LONG), "B", 0xE5), "long-name-orphan"),
}
LONG = "/DIR/a long name.txt"
#: What dosfstools 4.2 lets pass.
FSCK_IS_SILENT = {
    "attributes", "bad media", "date", "errors", "heads", "jump", "long separator", "long surrogate", "lower case",
    "media", "next free", "track", "two labels",
}  # fmt: skip


def dots(volume: Volume) -> Any:
    return volume.geometry.cluster_offset(volume.cluster("/DIR/SUB"))


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found(volume: Volume, tmp_path: Path, name: str) -> None:
    harm, kind = DAMAGE[name]
    assert volume.kinds() == []
    harm(volume)
    findings = check(MemoryStorage(volume.data))
    assert kind in [finding.kind for finding in findings]
    assert all(str(finding) and finding.as_dict() for finding in findings)
    image = tmp_path / "volume.img"
    image.write_bytes(volume.data)
    _report, complaints = fsck_report(image)
    assert bool(complaints) == (name not in FSCK_IS_SILENT)


@pytest.mark.parametrize("fat_type", [12, 16])
def test_chains_of_the_older_types(fat_type: Any) -> None:
    volume = Volume(fat_type)
    assert volume.kinds() == []
    set_fat_entries(volume.data, {volume.cluster("/FILE"): volume.cluster("/OTHER")})
    assert set(volume.kinds()) == {"cross-linked", "file-size", "lost-clusters"}


@pytest.mark.parametrize(("fat_type", "offset"), [(12, 0x25), (16, 0x25), (32, 0x41)])
def test_a_volume_that_linux_left_dirty(fat_type: FatType, offset: int, tmp_path: Path) -> None:
    volume = Volume(fat_type)
    for start in [0, 6 * 512][: 2 if fat_type == 32 else 1]:
        volume.data[start + offset] = 1
    assert volume.kinds() == ["dirty"]
    (tmp_path / "volume.img").write_bytes(volume.data)
    assert "Dirty bit is set" in fsck_report(tmp_path / "volume.img")[0]


def test_a_dirty_fat16_volume() -> None:
    volume = Volume(16)
    set_fat_entries(volume.data, {1: 0x7FFF})
    assert volume.kinds() == ["dirty"]


@pytest.mark.parametrize(
    ("field", "code", "value"),
    [
        ("BPB_BytsPerSec", "H", 0),
        ("BPB_BytsPerSec", "H", 500),
        ("BPB_SecPerClus", "B", 0),
        ("BPB_SecPerClus", "B", 3),
        ("BPB_RsvdSecCnt", "H", 0),
        ("BPB_NumFATs", "B", 0),
        ("BPB_NumFATs", "B", 255),
        ("BPB_RootEntCnt", "H", 512),
        ("BPB_FATSz16", "H", 1),
        ("BPB_TotSec32", "I", 0),
        ("BPB_TotSec32", "I", 3),
    ],
)
def test_what_has_no_usable_boot_sector_is_no_volume(volume: Volume, field: str, code: str, value: int) -> None:
    poke(volume.data, bpb(field), code, value)
    for reading in (check, FatReader):
        with pytest.raises((BootSectorError, EOFError)):
            reading(MemoryStorage(volume.data))


@pytest.mark.parametrize(
    ("field", "code", "value", "kind"),
    [
        (bpb("BPB_BytsPerSec"), "H", 4096, "truncated"),
        (bpb("BPB_TotSec32"), "I", 0xFFFFFFFF, "truncated"),
        (bpb("BPB_TotSec32"), "I", 0xFFFFFFFF, "fat-length"),
        (bpb32("BPB_FATSz32"), "I", 1, "fat-length"),
    ],
)
def test_sizes_that_contradict_one_another_are_findings(
    volume: Volume, field: int, code: str, value: int, kind: str
) -> None:
    poke(volume.data, field, code, value)
    assert kind in volume.kinds()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("BPB_FATSz32", 0),
        ("BPB_FATSz32", 0xFFFFFFFF),
        ("BPB_RootClus", 0),
        ("BPB_RootClus", 1 << 31),
    ],
)
def test_an_unusable_fat32_boot_sector(volume: Volume, field: str, value: int) -> None:
    poke(volume.data, bpb32(field), "I", value)
    for _ in range(2):
        with pytest.raises((BootSectorError, EOFError)):
            volume.kinds()
        poke(volume.data, bpb32("BPB_ExtFlags"), "H", 0x8F)


def test_findings_are_limited() -> None:
    data = bytearray(34 * MIB)
    fs = build(MemoryStorage(data), {f"DIR/{n}": b"x" for n in range(2000)}, FormatOptions(fat_type=32))
    start = fs.extents("/DIR")[0].offset
    for slot in range(2, 2002):
        data[start + 32 * slot + 11] |= 0xC0
    assert len(check(MemoryStorage(data))) == 1000
    assert len(check(MemoryStorage(data), limit=10)) == 10
