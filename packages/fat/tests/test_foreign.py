"""Volumes as other systems leave them: attribute handles, labels, double-byte names, case; judged by their tools."""

import struct
from pathlib import Path
from typing import Any

import pytest

from cloudboot_base import MemoryStorage
from cloudboot_base.testing import judge, run
from cloudboot_fat import (
    FatFileSystem,
    FatReader,
    FormatOptions,
    OptionError,
    PathTooLongError,
    build,
    check,
    errors,
    names,
    upcase,
)
from cloudboot_fat.testing import fsck, fsck_report, mtools

MIB = 1 << 20


def made(tree: Any, size: int = 4 * MIB, **options: Any) -> bytearray:
    data = bytearray(size)
    build(MemoryStorage(data), tree, FormatOptions(fresh=True, **options))
    return data


def saved(path: Path, data: bytes | bytearray) -> Path:
    path.write_bytes(data)
    return path


def slot_of(data: bytes | bytearray, short: bytes) -> int:
    """Where the entry with a short name stands."""
    at = data.find(short, 512)
    while at % 32:
        at = data.find(short, at + 1)
    assert at > 0
    return at


def kinds(data: bytes | bytearray, **options: Any) -> list[str]:
    return [finding.kind for finding in check(MemoryStorage(data), **options)]


# The high word of the first cluster


@pytest.mark.parametrize("fat_type", [12, 16])
def test_an_attribute_handle_is_no_cluster(tmp_path: Path, fat_type: Any) -> None:
    tree = {"/A.TXT": b"hello", "/D/B.TXT": b"deep", "/D/E/C.TXT": b"deeper"}
    data = made(tree, 4 * MIB if fat_type == 12 else 16 * MIB, fat_type=fat_type)
    for short, handle in ((b"A       TXT", 7), (b"D          ", 5), (b"B       TXT", 0xFFFF), (b"..         ", 9)):
        struct.pack_into("<H", data, slot_of(data, short) + 20, handle)
    image = saved(tmp_path / "v.img", data)
    fsck(image)
    assert [mtools("mtype", image, f"::{path}") for path in tree] == ["hello", "deep", "deeper"]
    assert kinds(data) == []
    fs = FatFileSystem(MemoryStorage(data))
    assert {path: fs.read_file(path) for path in tree} == tree
    # What is changed keeps the handle, and the volume stays whole.
    fs.write_file("/A.TXT", b"hello again" * 1000)
    fs.rename("/D/B.TXT", "/D/E/B2.TXT")
    fs.rename("/D/E", "/E")
    fs.write_file("/D/NEW", b"new")
    assert struct.unpack_from("<H", data, slot_of(data, b"A       TXT") + 20) == (7,)
    assert struct.unpack_from("<H", data, slot_of(data, b"B2      TXT") + 20) == (0xFFFF,)
    assert kinds(data) == []
    image = saved(tmp_path / "w.img", data)
    fsck(image)
    assert mtools("mtype", image, "::/A.TXT") == "hello again" * 1000
    fs.remove("/A.TXT")
    assert kinds(data) == []


def test_on_fat32_the_high_word_counts() -> None:
    data = made({"/A.TXT": b"hello"}, 64 * MIB, fat_type=32)
    struct.pack_into("<H", data, slot_of(data, b"A       TXT") + 20, 1)
    assert "chain" in kinds(data)


# Labels


@pytest.mark.parametrize(
    ("boot", "root", "found"),
    [
        (b"ONE        ", b"ONE        ", []),
        (b"NO NAME    ", None, []),
        (b"ONE        ", None, ["label-differs"]),
        (b"NO NAME    ", b"ONE        ", ["label-differs"]),
        (b"TWO        ", b"ONE        ", ["label-differs"]),
        (b"one        ", b"ONE        ", ["label-differs"]),
    ],
)
@pytest.mark.parametrize("fat_type", [12, 32])
def test_labels(tmp_path: Path, fat_type: Any, boot: bytes, root: bytes | None, found: list[str]) -> None:
    data = made({"/A": b"x"}, 4 * MIB if fat_type == 12 else 34 * MIB, fat_type=fat_type, label="ONE")
    entry = slot_of(data, b"ONE        \x08")
    for sector in (0, 6 * 512) if fat_type == 32 else (0,):
        at = sector + (71 if fat_type == 32 else 43)
        data[at : at + 11] = boot
    if root is None:
        data[entry] = 0xE5
    image = saved(tmp_path / "v.img", data)
    label = FatReader(MemoryStorage(data)).label
    assert label == run(judge("fatlabel", "dosfstools"), image).strip()
    assert mtools("mlabel", image, "-s", "::").strip() == (
        f"Volume label is {label}" if label else "Volume has no label"
    )
    assert kinds(data) == found
    assert bool(fsck_report(image)[1]) == bool(found)


def test_a_boot_sector_without_a_label_field_has_none() -> None:
    data = made({"/A": b"x"}, label="ONE")
    data[38] = 0x28
    data[43:54] = b"\x33\xc9\x8e\xd1\xbc\xfc\x7b\x16\x07\xbd\x78"
    reader = FatReader(MemoryStorage(data))
    assert (reader.label, reader.boot_label) == ("ONE", "")
    assert kinds(data) == []


# Code pages of two bytes


@pytest.mark.parametrize(
    ("codepage", "stored"),
    [
        ("cp932", ["表", "ポ", "あい", "疎", "ソ能予"]),
        ("cp936", ["中文", "乗", "丂w"[:1]]),
        ("cp949", ["한글", "갂"]),
        ("cp950", ["功", "許功蓋"]),
    ],
)
def test_double_byte_names(tmp_path: Path, codepage: str, stored: list[str]) -> None:
    data = made({f"/Z{number}.TXT": name.encode() for number, name in enumerate(stored)})
    for number, name in enumerate(stored):
        at = slot_of(data, b"Z%d      TXT" % number)
        data[at : at + 8] = name.encode(codepage).ljust(8)
    assert kinds(data, codepage=codepage) == []
    reader = FatReader(MemoryStorage(data), codepage=codepage)
    assert reader.listdir("/") == [f"{name}.TXT" for name in stored]
    for name in stored:
        assert reader.read_file(f"/{name}.txt").decode() == name
    if codepage == "cp932":
        image, settings = saved(tmp_path / "v.img", data), tmp_path / "mtoolsrc"
        settings.write_text("default_codepage=932\n")
        listed = run("env", f"MTOOLSRC={settings}", judge("mdir", "mtools"), "-b", "-i", image, "::")
        assert listed.splitlines() == [f"::/{name}.TXT" for name in stored]


def test_a_byte_alone_is_judged_alone() -> None:
    assert names.short_name_problem(b"\x95\x5c      TXT", "cp932") is None
    assert names.short_name_problem(b"\x95\x5c      TXT", "cp437") is not None
    assert names.short_name_problem(b"A\x5c      TXT", "cp932") is not None
    assert names.short_name_problem(b"ABCDEFG\x95a  ", "cp932") is not None  # a character never reaches the extension
    assert names.short_name_problem(b"\x05\x40      TXT", "cp932") is None  # 0x05 stands for 0xE5, which leads
    assert names.lead_bytes("cp437") == names.lead_bytes("latin-1") == frozenset()
    assert {0x81, 0x9F, 0xE0, 0xFC} <= names.lead_bytes("cp932")
    assert 0xB1 not in names.lead_bytes("cp932")


@pytest.mark.parametrize("codepage", ["klingon", "rot13", "hex", "utf-16", "cp037", "idna", "punycode", ""])
def test_no_such_code_page(codepage: str) -> None:
    with pytest.raises(OptionError):
        FatReader(MemoryStorage(made({})), codepage=codepage)


# Case


def test_case_is_that_of_windows(tmp_path: Path) -> None:
    """mkntfs writes the table of Windows 7 and later."""
    image = tmp_path / "n.img"
    image.write_bytes(bytes(8 * MIB))
    run(judge("mkntfs", "ntfs-3g"), "-F", "-Q", "-q", image)
    data = image.read_bytes()
    start = struct.pack("<4H", 0, 1, 2, 3)
    tables = [
        at for at in range(0, len(data), 512) if data[at : at + 8] == start and data[at + 0x82 : at + 0x84] == b"A\0"
    ]
    theirs = next(at for at in tables if struct.unpack_from("<H", data, at + 2 * 0x62) == (0x42,))
    wanted = struct.unpack_from("<65536H", data, theirs)
    for code in range(65536):
        if not 0xD800 <= code < 0xE000:
            assert ord(names.fold("é" + chr(code))[1]) == wanted[code], hex(code)
    assert len(upcase.table()) == sum(1 for code in range(0x80, 65536) if wanted[code] != code)


@pytest.mark.parametrize(
    ("one", "two", "apart"),
    [
        ("\u0131.txt", "i.txt", True), ("\u017f.txt", "s.txt", True), ("\u00b5.txt", "\u03bc.txt", True),
        ("\u00df.txt", "\u1e9e.txt", True), ("\u01c6.txt", "\u01c5.txt", True), ("\u03c2", "\u03c3", True),
        ("\u03ac.txt", "\u0386.txt", False), ("\u00ff", "\u0178", False), ("K.txt", "k.txt", False),
        ("\u1fb3", "\u1fbc", False), ("\U00010428", "\U00010400", True),
    ],
)  # fmt: skip
def test_names_that_windows_keeps_apart(tmp_path: Path, one: str, two: str, apart: bool) -> None:
    tree = {f"/{one}": b"1", f"/{two}": b"2"}
    if not apart:
        with pytest.raises(errors.FileExistsError):
            made(tree)
        return
    data = made(tree)
    fs = FatReader(MemoryStorage(data))
    assert {f"/{name}": fs.read_file(f"/{name}") for name in fs.listdir("/")} == tree
    assert kinds(data) == []
    fsck(saved(tmp_path / "v.img", data))


# Behind the end mark


def test_live_entries_behind_the_end_mark_are_found() -> None:
    data = made({"/A.TXT": b"a", "/B.TXT": b"b", "/C a long name.TXT": b"c"})
    fs = FatReader(MemoryStorage(data))
    index = fs.stat("/B.TXT").index
    root = fs.geometry.root_offset
    data[root + 32 * index] = 0
    found = [finding for finding in check(MemoryStorage(data)) if finding.kind == "entry-after-end"]
    assert [finding.offset for finding in found] == [root + 32 * (index + 1)]
    assert FatReader(MemoryStorage(data)).listdir("/") == ["A.TXT"]
    # Deleted entries and what never was an entry do not count.
    clean = made({"/A.TXT": b"a"})
    for slot, raw in ((20, b"\xe5BCDEFGHTXT "), (21, b"\xf6" * 32), (22, b"abc lower  ")):
        at = FatReader(MemoryStorage(clean)).geometry.root_offset + 32 * slot
        clean[at : at + len(raw)] = raw
    assert kinds(clean) == []


# Long paths


def test_paths_that_no_reader_follows_are_refused(tmp_path: Path) -> None:
    long = "/" + "/".join(["a directory with a long name"] * 150)
    with pytest.raises(PathTooLongError) as caught:
        made({long: b"x"})
    assert (caught.value.expected, caught.value.actual) == ("at most 4096 characters", len(long))
    top = tmp_path / "tree"
    top.mkdir()
    folder = top
    for _ in range(2):
        (folder / ("d" * 200)).mkdir()
        folder /= "d" * 200
    data = made({"/" + "/".join(["d" * 200] * 18): None}, 8 * MIB)
    fs = FatFileSystem(MemoryStorage(data))
    assert [path for path, *_ in fs.walk()][-1].count("/") == 18
    before = bytes(data)
    deep = "/".join(["d" * 200] * 18)
    for call, arguments in (
        ("makedirs", (f"{deep}/{'d' * 200}/{'d' * 200}/{'e' * 200}/f",)),
        ("write_file", (f"{deep}/{'d' * 200}/{'d' * 250}/{'d' * 250}", b"")),
        ("rename", (deep, f"/{deep}/{'d' * 200}/{'d' * 200}/{'e' * 200}")),
    ):
        with pytest.raises(PathTooLongError):
            getattr(fs, call)(*arguments)
    assert data == before


def test_a_deep_path_is_made_in_one_go() -> None:
    data = made({}, 8 * MIB, cluster_size=512)
    fs = FatFileSystem(MemoryStorage(data))
    fs.makedirs("/" + "/".join(["d"] * 1500))
    fs.makedirs("/d/d/D/d")
    assert sum(1 for _ in fs.walk()) == 1501
    assert kinds(data) == []
    before = bytes(data)
    with pytest.raises(errors.InvalidNameError):
        fs.makedirs("/new/and/a:b")
    assert data == before


# A file that takes the place of another


def test_a_rename_that_replaces_keeps_one_of_the_two_whatever_happens() -> None:
    class Stopping(MemoryStorage):
        left = 1 << 30

        def write_at(self, offset: int, data: Any) -> None:
            if self.left == 0:
                raise OSError(5, "no more writes")
            self.left -= 1
            super().write_at(offset, data)

    good = made({"/old name.txt": b"old" * 3000, "/D/new": b"new" * 5000})
    for writes in range(20):
        data = bytearray(good)
        storage = Stopping(data)
        storage.left = writes
        try:
            FatFileSystem(storage).rename("/D/new", "/OLD NAME.TXT", overwrite=True)
        except OSError:
            assert FatReader(MemoryStorage(data)).read_file("/old name.txt") in {b"old" * 3000, b"new" * 5000}
            assert set(kinds(data)) <= {"lost-clusters", "cross-linked", "fat-copies", "file-size"}
            continue
        fs = FatReader(MemoryStorage(data))
        assert (fs.listdir("/"), fs.listdir("/D")) == (["D", "old name.txt"], [])
        assert fs.read_file("/old name.txt") == b"new" * 5000
        assert kinds(data) == []
        return
    raise AssertionError("it never succeeded")
