"""What Windows, ntfs3 and ntfs-3g need of a volume, in the bytes of volumes that were formatted, built and changed.

The decoder is this file's own, of the documents' offsets: none of the package's code is between a fact and its bytes.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

import cloudboot_ntfs as ntfs
from cloudboot_base import MemoryStorage
from cloudboot_base.testing import judge, run
from cloudboot_ntfs.testing import mounted, ntfs3g_volume, ntfsfix, pattern, sample_tree

if TYPE_CHECKING:
    from typing_extensions import Buffer

NAMES = (
    "$MFT",
    "$MFTMirr",
    "$LogFile",
    "$Volume",
    "$AttrDef",
    ".",
    "$Bitmap",
    "$Boot",
    "$BadClus",
    "$Secure",
    "$UpCase",
    "$Extend",
)
IN_USE, DIRECTORY = 1, 2


class Attribute(NamedTuple):
    """An attribute: its type, name, and either the bytes of its value or its runs with the three sizes."""

    kind: int
    name: str
    value: bytes
    runs: list[tuple[int | None, int]]
    sizes: tuple[int, int, int]
    is_resident: bool


class Volume:
    """A volume's bytes, taken apart."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.sector, per_cluster = struct.unpack_from("<HB", data, 11)
        self.cluster = self.sector * (per_cluster if per_cluster <= 0x80 else 1 << 256 - per_cluster)
        self.total, self.mft, self.mirror = struct.unpack_from("<QQQ", data, 40)
        size = struct.unpack_from("<b", data, 64)[0]
        self.record_size = 1 << -size if size < 0 else size * self.cluster
        (first,) = [each for each in self._attributes(self.raw(self.mft * self.cluster)) if each.kind == 0x80]
        self.table = self.content(first)

    def raw(self, offset: int, size: int = 0) -> bytes:
        """A record or block with its fixups undone."""
        size = size or self.record_size
        block = bytearray(self.data[offset : offset + size])
        place, count = struct.unpack_from("<HH", block, 4)
        for index in range(1, count):
            assert block[512 * index - 2 : 512 * index] == block[place : place + 2]
            block[512 * index - 2 : 512 * index] = block[place + 2 * index : place + 2 * index + 2]
        return bytes(block)

    def content(self, each: Attribute) -> bytes:
        """The bytes of an attribute's value, up to what is initialised."""
        if each.is_resident:
            return each.value
        parts = [
            bytes(length * self.cluster)
            if lcn is None
            else self.data[lcn * self.cluster : (lcn + length) * self.cluster]
            for lcn, length in each.runs
        ]
        return b"".join(parts)[: each.sizes[1]]

    def _attributes(self, record: bytes) -> Iterator[Attribute]:
        at = struct.unpack_from("<H", record, 20)[0]
        while (kind := struct.unpack_from("<I", record, at)[0]) != 0xFFFFFFFF:
            length, outside, letters, name_at = struct.unpack_from("<IBBH", record, at + 4)
            name = record[at + name_at : at + name_at + 2 * letters].decode("utf-16-le")
            if outside:
                pairs, sizes = struct.unpack_from("<H", record, at + 32)[0], struct.unpack_from("<QQQ", record, at + 40)
                yield Attribute(kind, name, b"", list(_runs(record[at + pairs : at + length])), sizes, False)
            else:
                size, start = struct.unpack_from("<IH", record, at + 16)
                value = record[at + start : at + start + size]
                yield Attribute(kind, name, value, [], (size, size, size), True)
            at += length

    def parsed(self, record: bytes, kind: int) -> Iterator[Attribute]:
        """The attributes of a type in the bytes of a record."""
        return (each for each in self._attributes(record) if each.kind == kind)

    @property
    def count(self) -> int:
        """Records of the MFT."""
        return int(len(self.table) // self.record_size)

    def record(self, number: int) -> bytes:
        """A record with its fixups undone."""
        part = Volume.__new__(Volume)
        part.data, part.record_size = self.table, self.record_size
        return part.raw(number * self.record_size)

    def attributes(self, number: int) -> list[Attribute]:
        """The attributes in a record."""
        return list(self._attributes(self.record(number)))

    def attribute(self, number: int, kind: int, name: str = "") -> Attribute:
        """One of them."""
        return next(each for each in self.attributes(number) if (each.kind, each.name) == (kind, name))

    def files(self) -> Iterator[int]:
        """The records in use that are no extensions of others."""
        for number in range(self.count):
            record = self.table[number * self.record_size :]
            if record[:4] == b"FILE" and record[22] & IN_USE and not struct.unpack_from("<Q", record, 32)[0]:
                yield number

    def entries(self, number: int, name: str = "$I30") -> list[bytes]:
        """The entries of an index, in the order of the tree."""
        root = self.attribute(number, 0x90, name).value
        size = struct.unpack_from("<I", root, 8)[0]
        below = [each for each in self.attributes(number) if (each.kind, each.name) == (0xA0, name)]
        blocks = self.content(below[0]) if below else b""
        unit = self.cluster if self.cluster <= size else 512
        inner = Volume.__new__(Volume)
        inner.data = blocks
        found: list[bytes] = []

        def walk(node: bytes) -> None:
            at = struct.unpack_from("<I", node)[0]
            while True:
                length, flags = struct.unpack_from("<H2xH", node, at + 8)
                if flags & 1:
                    vcn = struct.unpack_from("<Q", node, at + length - 8)[0]
                    walk(inner.raw(vcn * unit, size)[24:])
                if flags & 2:
                    return
                found.append(node[at : at + length])
                at += length

        walk(root[16:])
        return found


def _runs(pairs: bytes) -> Iterator[tuple[int | None, int]]:
    at, lcn = 0, 0
    while pairs[at]:
        low, high = pairs[at] & 15, pairs[at] >> 4
        length = int.from_bytes(pairs[at + 1 : at + 1 + low], "little")
        lcn += int.from_bytes(pairs[at + 1 + low : at + 1 + low + high], "little", signed=True)
        yield (lcn if high else None), length
        at += 1 + low + high


def change(image: Path) -> None:
    """Every kind of change: files come and go, the MFT and a directory grow."""
    with ntfs.WritableNTFS(image) as volume:
        volume.mkdir("/new")
        for number in range(400):
            volume.write_file(f"/new/a name that is not short {number}", pattern(number * 7, number))
        for number in range(0, 400, 3):
            volume.unlink(f"/new/a name that is not short {number}")
        volume.rename("/new/a name that is not short 1", "/new/\u00e9t\u00e9")
        volume.symlink("new", "/way")
        volume.link("/new/a name that is not short 2", "/second")
        volume.write_file("/new/stream", b"2", stream="s")
        volume.truncate("/new/a name that is not short 398", 100_000)
        volume.set_sddl("/new/a name that is not short 4", ntfs.Options().security)
        volume.set_sddl("/new/a name that is not short 5", "O:SYG:SYD:(A;;FR;;;WD)")


def formatted(path: Path, options: ntfs.Options) -> None:
    """An empty volume."""
    ntfs.format(path, options, size=64 << 20)


def built(path: Path, options: ntfs.Options) -> None:
    """A volume with one of everything."""
    ntfs.build(path, sample_tree(path.parent), options, size=64 << 20)


def changed(path: Path, options: ntfs.Options) -> None:
    """A volume with one of everything, changed in place."""
    built(path, options)
    change(path)


def foreign(path: Path, options: ntfs.Options) -> None:
    """A volume that mkntfs and ntfs-3g made, changed in place."""
    ntfs3g_volume(path, 64 << 20, "-c", str(options.cluster_size or 4096), "-s", str(options.sector_size))
    with mounted(path) as folder:
        for number in range(100):
            (folder / f"old {number}").write_bytes(pattern(number * 30, number))
    change(path)


SHAPES = {
    "512": ntfs.Options(cluster_size=512), "4096": ntfs.Options(cluster_size=4096, serial=7),
    "65536": ntfs.Options(cluster_size=65536), "large-records": ntfs.Options(record_size=4096),
    "4Kn": ntfs.Options(sector_size=4096, record_size=4096, cluster_size=4096),
}  # fmt: skip
MAKERS: dict[str, Callable[[Path, ntfs.Options], None]] = {
    "formatted": formatted, "built": built, "changed": changed, "foreign": foreign,
}  # fmt: skip
CASES = [
    (maker, shape) for maker in MAKERS for shape in SHAPES if maker != "foreign" or shape in {"512", "4096", "65536"}
]


class Made(NamedTuple):
    """A volume: who made it, its file and its bytes."""

    maker: str
    path: Path
    volume: Volume


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    maker, shape = request.param
    path = tmp_path_factory.mktemp("facts") / "image"
    MAKERS[maker](path, SHAPES[shape])
    return Made(maker, path, Volume(path.read_bytes()))


def test_the_boot_sector_and_its_copy(made: Made) -> None:
    data, volume = made.volume.data, made.volume
    assert data[:3] in (b"\xeb\x52\x90", b"\xeb\x52\x90")
    assert data[3:11] == b"NTFS    "
    assert data[510:512] == b"\x55\xaa"
    assert volume.total == len(data) // volume.sector - 1
    assert data[-volume.sector :][:512] == data[:512]
    fields = {512: (0xF6, 8), 4096: (0xF6, 1), 65536: (0xF6, 0xF4)}
    record, index = data[0x40], data[0x44]
    if volume.record_size == 1024 and volume.cluster > 512:
        assert (record, index) == fields[volume.cluster]
    boot = volume.attribute(7, 0x80)
    assert (boot.runs[0][0], boot.sizes[1]) == (0, 8192)
    assert "processed successfully" in ntfsfix(made.path)


def test_the_records_of_the_volume(made: Made) -> None:
    volume = made.volume
    for number, name in enumerate(NAMES):
        record = volume.record(number)
        assert struct.unpack_from("<H", record, 16)[0] == max(1, number)
        assert struct.unpack_from("<I", record, 44)[0] == number
        assert record[22] & IN_USE
        stated = next(each.value for each in volume.attributes(number) if each.kind == 0x30)
        assert stated[66:].decode("utf-16-le") == name
        assert struct.unpack_from("<Q", stated)[0] == 5 << 48 | 5
    for number in range(12, 16):
        assert volume.record(number)[22] & IN_USE, "kept for Windows"
    marked = volume.content(volume.attribute(0, 0xB0))
    for number in range(16, 24):
        assert not volume.table[number * volume.record_size + 22] & IN_USE
        assert not marked[number // 8] >> number % 8 & 1
    below = [(entry[16 + 66 :].decode("utf-16-le").rstrip("\0"), entry[0]) for entry in volume.entries(11)]
    assert below == [("$ObjId", 25), ("$Quota", 24), ("$Reparse", 26)]


def test_the_mirror_is_the_first_records(made: Made) -> None:
    volume = made.volume
    size = max(4 * volume.record_size, volume.cluster)
    start = volume.mirror * volume.cluster
    assert volume.data[start : start + size] == volume.table[:size]
    assert volume.attribute(1, 0x80).sizes[1] == size


def test_the_tables(made: Made) -> None:
    volume = made.volume
    upcase = volume.content(volume.attribute(10, 0x80))
    assert (len(upcase), hashlib.sha256(upcase).hexdigest()[:12]) == (131072, "41c26bc7a12b")
    assert len(volume.attribute(10, 0x80, "$Info").value) == 32
    definitions = volume.content(volume.attribute(4, 0x80))
    assert (len(definitions), hashlib.sha256(definitions).hexdigest()[:12]) == (2560, "d7de5b1b2f79")
    log = volume.content(volume.attribute(2, 0x80))
    assert set(log) == {0xFF}
    assert len(log) >= 2 << 20
    information = volume.attribute(3, 0x70).value
    assert (information[8], information[9], information[10:12]) == (3, 1, b"\0\0")


def test_the_bitmap_and_the_bad_clusters(made: Made) -> None:
    volume = made.volume
    clusters = volume.total * volume.sector // volume.cluster
    bits = volume.content(volume.attribute(6, 0x80))
    assert len(bits) % 8 == 0
    assert int.from_bytes(bits, "little") >> clusters == (1 << 8 * len(bits) - clusters) - 1
    bad = volume.attribute(8, 0x80, "$Bad")
    assert bad.runs == [(None, clusters)]
    assert bad.sizes == (clusters * volume.cluster, clusters * volume.cluster, 0)
    used = bytearray(clusters)
    for number in range(volume.count):
        record = volume.table[number * volume.record_size :]
        if record[:4] == b"FILE" and record[22] & IN_USE:
            for each in volume.attributes(number):
                for lcn, length in each.runs:
                    if lcn is not None:
                        assert not any(used[lcn : lcn + length]), "two have a cluster"
                        used[lcn : lcn + length] = b"\1" * length
    assert [int(bits[number // 8] >> number % 8 & 1) for number in range(clusters)] == list(used)


def _hash(descriptor: bytes) -> int:
    value = 0
    for (dword,) in struct.iter_unpack("<I", descriptor[: len(descriptor) // 4 * 4]):
        value = (dword + (value << 3 | value >> 29)) & 0xFFFFFFFF
    return value


def test_security(made: Made) -> None:
    volume = made.volume
    stream = volume.content(volume.attribute(9, 0x80, "$SDS"))
    found: dict[int, tuple[int, int, int]] = {}
    for block in range(0, len(stream), 0x80000):
        at = block
        while at + 20 <= min(len(stream), block + 0x40000):
            hashed, number, offset, size = struct.unpack_from("<IIQI", stream, at)
            if not size:
                break
            assert at % 16 == 0
            assert (offset, hashed) == (at, _hash(stream[at + 20 : at + size]))
            assert stream[at + 0x40000 : at + 0x40000 + size] == stream[at : at + size]
            found[number] = hashed, offset, size
            at += -(-size // 16) * 16
    assert min(found) == 0x100
    for name, collation in (("$SDH", 0x12), ("$SII", 0x10)):
        assert struct.unpack_from("<I", volume.attribute(9, 0x90, name).value, 4)[0] == collation
    ids = [struct.unpack_from("<I", entry, 16)[0] for entry in volume.entries(9, "$SII")]
    assert ids == sorted(found)
    hashes = [struct.unpack_from("<II", entry, 16) for entry in volume.entries(9, "$SDH")]
    assert hashes == sorted((value[0], number) for number, value in found.items())
    if made.maker == "foreign":
        return  # mkntfs and ntfs-3g write 48 bytes, and a descriptor for each file
    for number in volume.files():
        information = volume.attribute(number, 0x10).value
        assert len(information) == 72
        assert not any(each.kind == 0x50 for each in volume.attributes(number))
        assert struct.unpack_from("<I", information, 52)[0] in found


def test_orders_of_the_other_indexes(made: Made) -> None:
    volume = made.volume
    for number, name, collation in ((24, "$O", 0x11), (24, "$Q", 0x10), (25, "$O", 0x13), (26, "$R", 0x13)):
        assert struct.unpack_from("<I", volume.attribute(number, 0x90, name).value, 4)[0] == collation
    keys = [struct.unpack_from("<III", entry, 16) for entry in volume.entries(26, "$R")]
    assert keys == sorted(keys)


def test_directories(made: Made) -> None:
    in_the_order_of_its_table(made.volume)


def in_the_order_of_its_table(volume: Volume) -> None:
    """Order by the volume's own table, and what directories repeat of files."""
    table = struct.unpack("<65536H", volume.content(volume.attribute(10, 0x80)))
    for number in volume.files():
        if not volume.record(number)[22] & DIRECTORY:
            continue
        root = volume.attribute(number, 0x90, "$I30").value
        assert struct.unpack_from("<II", root) == (0x30, 1)
        names = []
        for entry in volume.entries(number):
            reference, stated = struct.unpack_from("<Q", entry)[0], entry[16:]
            letters = struct.unpack_from(f"<{stated[64]}H", stated, 66)
            names.append(([table[letter] for letter in letters], letters))
            target = volume.record(reference & 0xFFFFFFFFFFFF)
            assert struct.unpack_from("<H", target, 16)[0] == reference >> 48
            assert target[22] & IN_USE
            assert struct.unpack_from("<Q", stated)[0] & 0xFFFFFFFFFFFF == number
            links = [each for each in volume.attributes(reference & 0xFFFFFFFFFFFF) if each.kind == 0x30]
            data = [
                each for each in volume.attributes(reference & 0xFFFFFFFFFFFF) if (each.kind, each.name) == (0x80, "")
            ]
            if len(links) == 1 and data and reference & 0xFFFFFFFFFFFF > 26 and not target[22] & DIRECTORY:
                assert struct.unpack_from("<Q", stated, 48)[0] == data[0].sizes[1]
        assert names == sorted(names)


def test_what_fits_stands_in_the_record(tmp_path: Path) -> None:
    """About 700 bytes in a record of 1024, whether a file was there from the start or came later."""
    tree = {f"/b{size:04}": pattern(size) for size in range(500, 900, 4)}
    ntfs.build(tmp_path / "image", tree, size=16 << 20)
    with ntfs.WritableNTFS(tmp_path / "image") as editor:
        for path, data in tree.items():
            editor.write_file(f"/c{path[2:]}", data)
    volume = Volume((tmp_path / "image").read_bytes())
    for first in "bc":
        within = {}
        for entry in volume.entries(5):
            name = entry[82 : 82 + 2 * entry[80]].decode("utf-16-le")
            if name[0] == first:
                number = struct.unpack_from("<Q", entry)[0] & 0xFFFFFFFFFFFF
                within[int(name[1:])] = volume.attribute(number, 0x80).is_resident
        assert len(within) == len(tree)
        assert all(within[size] for size in within if size <= 680)
        assert not any(within[size] for size in within if size > 740)


@pytest.mark.parametrize("maker", ["built", "mkntfs"])
def test_names_are_ordered_by_the_table_of_the_volume(maker: str, tmp_path: Path) -> None:
    """Its own table, in which three letters have another upper case. ntfs-3g looks names up by it."""
    path = tmp_path / "image"
    if maker == "built":
        ntfs.format(path, size=16 << 20)
    else:
        ntfs3g_volume(path, 16 << 20)
    volume = Volume(path.read_bytes())
    (lcn, _), *rest = volume.attribute(10, 0x80).runs
    assert lcn is not None
    assert not rest
    data = bytearray(volume.data)
    for letter, upper in ((0xE9, 0xE9), (0x450, 0x41), (0x103, 0x7A)):
        struct.pack_into("<H", data, lcn * volume.cluster + 2 * letter, upper)
    path.write_bytes(data)
    letters = ("\u00e9", "\u00c9", "\u0450", "\u0400", "\u0103", "\u0102", "a", "Z", "z", "~", "\u00ff", "q")
    with ntfs.WritableNTFS(path) as editor:
        for number in range(300):
            editor.write_file(f"/{letters[number % 12]}{number:03} and more letters", b"%d" % number)
        assert editor.read_file("/a002 AND more letters") == b"2"  # U+0450 is an A on this volume
        assert not editor.exists("/\u00c9000 and more letters")
    in_the_order_of_its_table(Volume(path.read_bytes()))
    assert {finding.kind for finding in ntfs.check(path)} <= {"upcase"}
    with mounted(path, "ro") as folder:
        for number in range(300):
            assert (folder / f"{letters[number % 12]}{number:03} and more letters").read_bytes() == b"%d" % number
        assert not (folder / "\u00c9000 and more letters").exists()


class Watched(MemoryStorage):
    """A storage that keeps what it held after each write."""

    def __init__(self, data: bytearray) -> None:
        super().__init__(data)
        self.states: list[bytes] = []
        self.data = data

    def write_at(self, offset: int, data: Buffer) -> None:
        """Write, and keep all."""
        super().write_at(offset, data)
        self.states.append(bytes(self.data))


def test_the_mirror_follows_the_dirty_flag() -> None:
    """$Volume is the fourth record of the mirror: while a change is written, both copies of it say so."""
    data = bytearray(4 << 20)
    ntfs.build(MemoryStorage(data), {"/a": b"1"})
    watched = Watched(data)
    with ntfs.WritableNTFS(watched) as editor:
        editor.write_file("/new", pattern(5000))
    seen = []
    for state in watched.states:
        volume = Volume(state)
        copy = volume.raw(volume.mirror * volume.cluster + 3 * volume.record_size)
        seen.append((volume.attribute(3, 0x70).value[10], next(volume.parsed(copy, 0x70)).value[10]))
        assert (
            volume.data[volume.mirror * volume.cluster :][: 3 * volume.record_size]
            == volume.table[: 3 * volume.record_size]
        )
    assert (1, 1) in seen
    assert seen[-1] == (0, 0)
    assert seen.index((1, 1)) <= 2, "only content in free clusters is written before"
    assert (1, 1) not in seen[seen.index((0, 0), 1) :]


def test_judges_agree(made: Made) -> None:
    assert ntfs.check(made.path) == []
    told = run(judge("ntfsinfo", "ntfs-3g"), "-m", made.path)
    assert "Volume Version: 3.1" in told
    for number in (5, 9, 11):
        told = run(judge("ntfsinfo", "ntfs-3g"), "-i", str(number), made.path)
        assert f"MFT Record Number:\t {number}" in told or f"{number}" in told
