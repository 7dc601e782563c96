"""Hives that break one rule of the specification each: an error for a reader, a finding for the check, and no crash."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from cloudboot_base import Error
from cloudboot_ntfs.registry import Hive, HiveOptions, Key, Value, build, check
from cloudboot_ntfs.registry.cells import checksum
from cloudboot_ntfs.registry.records import BaseBlock

NODE, VALUE = 76, 20


class Patient:
    """A hive with two keys below the root, and where their records are."""

    def __init__(self) -> None:
        values = [Value.binary("short", b"ab"), Value.binary("long", bytes(100)), Value.binary("big", bytes(40000))]
        first = Key("First", values, class_name="class".encode("utf-16-le"))
        root = Key("R", keys=[first, Key("Second", keys=[Key("Below")])])
        self.data = bytearray(build(root, HiveOptions(minor_version=5)))
        hive = Hive(bytes(self.data))
        self.root, self.first, self.second = (hive.key(path).cell for path in ("", "First", "Second"))

    def at(self, cell: int, offset: int = 0) -> int:
        """The place of a byte of a cell's content."""
        return 4096 + cell + 4 + offset

    def u32(self, cell: int, offset: int) -> int:
        """A number in a cell."""
        found: int = struct.unpack_from("<I", self.data, self.at(cell, offset))[0]
        return found

    def put(self, cell: int, offset: int, data: bytes | int) -> None:
        """Write into a cell."""
        raw = data if isinstance(data, bytes) else struct.pack("<I", data)
        self.data[self.at(cell, offset) : self.at(cell, offset) + len(raw)] = raw

    def value(self, index: int) -> int:
        """The cell of a value of the first key."""
        return self.u32(self.u32(self.first, 40), 4 * index)

    def head(self, **fields: int) -> None:
        """Change the base block, its checksum too."""
        head = BaseBlock.unpack_from(self.data)
        for name, number in fields.items():
            setattr(head, name, number)
        head.checksum = checksum(head.pack())
        head.pack_into(self.data)


def to_list(patient: Patient, kind: bytes, *cells: int) -> None:
    """Make the root's list of subkeys another one."""
    width = 8 if kind == b"lf" else 4
    body = b"".join(struct.pack("<I", cell).ljust(width, b"\0") for cell in cells)
    patient.put(patient.u32(patient.root, 28), 0, kind + struct.pack("<H", len(cells)) + body)


DAMAGES: dict[str, tuple[Callable[[Patient], object], str]] = {
    "version 2.5": (lambda p: p.head(major_version=2), "the version is not supported"),
    "version 1.2": (lambda p: p.head(minor_version=2), "the version is not supported"),
    "a log in place of a hive": (lambda p: p.head(file_type=6), "not the primary file"),
    "no bins": (lambda p: p.head(hive_bins_size=0), "the hive bins do not fit"),
    "more bins than the file": (lambda p: p.head(hive_bins_size=0x7FFFF000), "the hive bins do not fit"),
    "a bin elsewhere": (lambda p: p.data.__setitem__(slice(4100, 4104), b"\0\x10\0\0"), "not a hive bin"),
    "a bin without a size": (lambda p: p.data.__setitem__(slice(4104, 4108), bytes(4)), "the size of the hive bin"),
    "a bin that crosses the end": (lambda p: p.data.__setitem__(slice(4104, 4108), b"\0\0\0\1"), "the size of the"),
    "a root that is no cell": (lambda p: p.head(root_cell=0x7FFFFFF0), "not a cell"),
    "a root in the middle of eight bytes": (lambda p: p.head(root_cell=p.root + 4), "not a cell"),
    "a root that is a value": (lambda p: p.head(root_cell=p.value(1)), "not a key|too small for a key"),
    "a free root": (
        lambda p: p.put(p.root, -4, struct.pack("<i", 96)), "a cell that is free",
    ),
    "a name that is too long": (lambda p: p.put(p.first, 72, b"\xff\xff"), "the name passes the end"),
    "another parent": (lambda p: p.put(p.first, 16, p.second), "another parent"),
    "more subkeys than the list": (lambda p: p.put(p.root, 20, 3), "another number of elements"),
    "no list of subkeys": (lambda p: p.put(p.root, 28, 0xFFFFFFFF), "not a cell"),
    "a list of another kind": (lambda p: to_list(p, b"zz", p.first, p.second), "not a list of subkeys"),
    "a list that is longer than its cell": (
        lambda p: p.put(p.u32(p.root, 28), 2, b"\xff\xff"), "the cell is too small for what it holds",
    ),
    "an index root in an index root": (
        lambda p: to_list(p, b"ri", p.u32(p.root, 28), p.u32(p.root, 28)), "an index root below an index root",
    ),
    "a key in two places": (lambda p: to_list(p, b"li", p.first, p.first), "a key stands in two places"),
    "a class name that is too long": (lambda p: p.put(p.first, 74, b"\xff\x7f"), "the cell is too small"),
    "a security cell that is none": (lambda p: p.put(p.first, 44, p.value(1)), "not a security cell|too small"),
    "a value that is a key": (lambda p: p.put(p.u32(p.first, 40), 0, p.second), "not a value"),
    "more values than the list": (lambda p: p.put(p.first, 36, 0x10000), "the cell is too small"),
    "five bytes in the field of the offset": (lambda p: p.put(p.value(0), 4, 0x80000005), "at most four bytes"),
    "data that passes its cell": (lambda p: p.put(p.value(1), 4, 16000), "the cell is too small"),
    "a segment too many": (lambda p: p.put(p.u32(p.value(2), 8), 2, b"\4\0"), "another number of segments"),
    "big data that is none": (lambda p: p.put(p.u32(p.value(2), 8), 0, b"xx"), "another number of segments"),
    "data of 2 GiB": (lambda p: p.put(p.value(1), 4, 0x7FFFFFFF), "another number of segments|too small"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_each_damage_is_an_error_and_a_finding(name: str) -> None:
    damage, message = DAMAGES[name]
    patient = Patient()
    damage(patient)
    with pytest.raises(Error, match=message):
        Hive(bytes(patient.data)).load()
    assert check(bytes(patient.data))


FINDINGS: dict[str, tuple[Callable[[Patient], object], str]] = {
    "keys out of order": (lambda p: to_list(p, b"li", p.second, p.first), "hive-key-order"),
    "no security": (lambda p: p.put(p.first, 44, 0xFFFFFFFF), "hive-no-security"),
    "a security descriptor that is none": (lambda p: p.put(p.u32(p.root, 44), 20, b"\xff" * 8), "descriptor"),
    "a reference too many": (lambda p: p.put(p.u32(p.root, 44), 12, 9), "hive-security-count"),
    "a ring that leads to a key": (lambda p: p.put(p.u32(p.root, 44), 4, p.first), "hive-security-ring"),
    "a ring that leads nowhere": (lambda p: p.put(p.u32(p.root, 44), 4, 0xFFFFFFFF), "hive"),
    "two values of one name": (lambda p: p.put(p.u32(p.first, 40), 0, p.value(1)), "hive-value-twice"),
    "a class name within another cell": (lambda p: p.put(p.first, 48, p.first + 8), "hive-cell"),
    "a cell of four bytes": (lambda p: p.put(p.value(1), -4, struct.pack("<i", -4)), "hive"),
    "a key in two places": (lambda p: to_list(p, b"li", p.first, p.first), "hive-key-twice"),
}


@pytest.mark.parametrize("name", FINDINGS)
def test_what_only_the_check_says(name: str) -> None:
    damage, kind = FINDINGS[name]
    patient = Patient()
    assert check(bytes(patient.data)) == []
    damage(patient)
    assert kind in [finding.kind for finding in check(bytes(patient.data))]


@pytest.mark.parametrize("kind", [b"li", b"lf"])
def test_lists_of_old_windows_are_read(kind: bytes) -> None:
    patient = Patient()
    to_list(patient, kind, patient.first, patient.second)
    hive = Hive(bytes(patient.data))
    assert [key.name for key in hive.root.keys()] == ["First", "Second"]  # noqa: SIM118 -- a registry key
    assert hive.key("second\\BELOW").name == "Below"


def test_data_in_one_cell_where_segments_would_do() -> None:
    """Large data of a hive that was written as version 1.3 and is a later one now."""
    data = bytes(range(256)) * 100
    hive = bytearray(build(Key("R", [Value.binary("large", data)]), HiveOptions(minor_version=3)))
    head = BaseBlock.unpack_from(hive)
    head.minor_version = 5
    head.checksum = checksum(head.pack())
    head.pack_into(hive)
    assert Hive(hive).root.value("large").data == data


@pytest.mark.parametrize(("size", "is_big"), [(16344, False), (16345, True), (2 * 16344, True)])
@pytest.mark.parametrize("minor", [3, 4, 5, 6])
def test_big_data_begins_where_windows_begins_it(size: int, is_big: bool, minor: int) -> None:
    data = bytes(index & 0xFF for index in range(size))
    hive = build(Key("R", [Value.binary("data", data)]), HiveOptions(minor_version=minor))
    assert (hive.find(b"db" + struct.pack("<H", -(-size // 16344))) > 0) is (is_big and minor > 3)
    assert Hive(hive).root.value("data").data == data
