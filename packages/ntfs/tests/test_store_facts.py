"""What Windows' boot manager needs of a hive and a boot configuration, in the bytes and as other programs read them."""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from cloudboot_base.testing import judge, run
from cloudboot_ntfs.bcd import TEMPLATES, BcdOptions, GptDevice, MbrDevice, ObjectType, Store, create, devices
from cloudboot_ntfs.errors import HiveError
from cloudboot_ntfs.registry import Hive, HiveOptions, Key, build, check
from cloudboot_ntfs.testing.hives import sample_key

GPT = GptDevice(UUID("11223344-5566-7788-99aa-bbccddeeff00"), UUID("a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf"))
OTHER = UUID("99223344-5566-7788-99aa-bbccddeeff00")
ROOT_FLAGS = 0x2C
"""The name is in Latin-1, the key cannot be deleted, and it is the root of a hive."""


def hives() -> dict[str, bytes]:
    """Hives of every kind that is made here."""
    found = {name: create(name, BcdOptions(windows=GPT)).pack() for name in TEMPLATES}
    found |= {f"minor-{minor}": build(sample_key(), HiveOptions(minor_version=minor)) for minor in (3, 4, 5, 6)}
    store = create("windows", BcdOptions(windows=MbrDevice(0x12345678, 1 << 20)))
    store.delete("{badmemory}")
    store.repoint(windows=GPT)
    return found | {"changed": Store.open(store.pack()).pack()}


HIVES = hives()


def folded(dwords: bytes) -> int:
    """XOR of 127 dwords, as it is."""
    total = 0
    for (dword,) in struct.iter_unpack("<I", dwords[:508]):
        total ^= dword
    return total


@pytest.mark.parametrize("name", HIVES)
def test_the_base_block(name: str) -> None:
    data = HIVES[name]
    signature, first, second = struct.unpack_from("<4sII", data)
    major, minor, kind, form, root, size = struct.unpack_from("<6I", data, 20)
    assert (signature, major, kind, form) == (b"regf", 1, 0, 1)
    assert minor >= 3
    assert first == second
    assert (size % 4096, size + 4096) == (0, len(data))
    assert struct.unpack_from("<I", data, 508)[0] == folded(data)
    assert data[4096 + root + 4 : 4096 + root + 6] == b"nk"


@pytest.mark.parametrize(("wanted", "stored"), [(0, 1), (0xFFFFFFFF, 0xFFFFFFFE)])
def test_checksums_that_there_are_not(wanted: int, stored: int) -> None:
    """The time of the last write makes the sum what is wanted. hivex 1.3 does not know this rule, so it is no judge."""
    data = build(Key("R"), HiveOptions(modified=folded(build(Key("R"))) ^ wanted))
    assert folded(data) == wanted
    assert struct.unpack_from("<I", data, 508)[0] == stored
    assert Hive(data).root.name == "R"
    with pytest.raises(HiveError, match="checksum"):
        Hive(data[:508] + wanted.to_bytes(4, "little") + data[512:])


@pytest.mark.parametrize("name", HIVES)
def test_cells_keys_and_security(name: str) -> None:
    data = HIVES[name]
    nodes: dict[int, bytes] = {}
    security: dict[int, bytes] = {}
    at = 4096
    while at < len(data):
        mark, place, size = struct.unpack_from("<4sII", data, at)
        assert (mark, place, size % 4096) == (b"hbin", at - 4096, 0)
        position = at + 32
        while position < at + size:
            length = struct.unpack_from("<i", data, position)[0]
            assert length % 8 == 0
            content = data[position + 4 : position + abs(length)]
            if length < 0 and content[:2] == b"nk":
                nodes[position - 4096] = content
            if length < 0 and content[:2] == b"sk":
                security[position - 4096] = content
            position += abs(length)
        assert position == at + size
        at += size
    root = struct.unpack_from("<I", data, 36)[0]
    assert struct.unpack_from("<H", nodes[root], 2)[0] == ROOT_FLAGS
    counts = dict.fromkeys(security, 0)
    for each in nodes.values():
        counts[struct.unpack_from("<I", each, 44)[0]] += 1
    assert {cell: struct.unpack_from("<I", each, 12)[0] for cell, each in security.items()} == counts
    assert len(security) == len({each[20:] for each in security.values()})
    if name in TEMPLATES or name == "changed":
        assert len(security) == 1, "one that all keys share"
    for each in nodes.values():
        if struct.unpack_from("<I", each, 20)[0]:
            in_order(data, nodes, struct.unpack_from("<I", each, 28)[0])


def in_order(data: bytes, nodes: dict[int, bytes], cell: int) -> None:
    """The names of a list are in the order of their upper case."""
    kind, count = struct.unpack_from("<2sH", data, 4096 + cell + 4)
    assert kind in {b"lf", b"lh", b"ri"}
    if kind == b"ri":
        for (leaf,) in struct.iter_unpack("<I", data[4096 + cell + 8 : 4096 + cell + 8 + 4 * count]):
            in_order(data, nodes, leaf)
        return
    names = []
    for number, _ in struct.iter_unpack("<II", data[4096 + cell + 8 : 4096 + cell + 8 + 8 * count]):
        node = nodes[number]
        length = struct.unpack_from("<H", node, 72)[0]
        narrow = struct.unpack_from("<H", node, 2)[0] & 0x20
        names.append(node[76 : 76 + length].decode("latin-1" if narrow else "utf-16-le").upper())
    assert all(first < second for first, second in pairwise(names))


def test_bytes_of_an_mbr_device() -> None:
    """The partition's first byte is where a GPT's has its GUID, the disk's signature where it has the disk's GUID."""
    packed = devices.pack(MbrDevice(0x12345678, 1 << 20))
    assert packed == (
        bytes(16) + bytes.fromhex("06000000 00000000 48000000 00000000")
        + (1 << 20).to_bytes(8, "little") + bytes(8)
        + bytes.fromhex("00000000 01000000 78563412") + bytes(28)
    )  # fmt: skip
    assert len(packed) == 88


#: Number of an element, a value, the type of the registry's value, and what python-registry reads.
ELEMENTS: tuple[tuple[int, Any, str, Any], ...] = (
    (0x11000001, GPT, "RegBin", devices.pack(GPT)), (0x21000001, GPT, "RegBin", devices.pack(GPT)),
    (0x12000004, "text \u0416", "RegSZ", "text \u0416"), (0x22000002, "\\Windows", "RegSZ", "\\Windows"),
    (0x23000003, OTHER, "RegSZ", f"{{{OTHER}}}"), (0x23000006, OTHER, "RegSZ", f"{{{OTHER}}}"),
    (0x14000006, [OTHER, GPT.disk], "RegMultiSZ", [f"{{{OTHER}}}", f"{{{GPT.disk}}}"]),
    (0x24000001, [OTHER], "RegMultiSZ", [f"{{{OTHER}}}"]),
    (0x15000011, 4, "RegBin", (4).to_bytes(8, "little")),
    (0x25000004, 1 << 40, "RegBin", (1 << 40).to_bytes(8, "little")),
    (0x16000009, True, "RegBin", b"\x01"), (0x26000022, False, "RegBin", b"\x00"),
)  # fmt: skip


def test_elements_as_another_program_reads_them(tmp_path: Path) -> None:
    registry = pytest.importorskip("Registry.Registry")
    store = create("windows", BcdOptions(windows=GPT))
    loader = store.make(UUID(int=7), ObjectType.OS_LOADER)
    for number, value, _, _ in ELEMENTS:
        loader.set(number, value)
    (tmp_path / "BCD").write_bytes(store.pack())
    hive = registry.Registry(str(tmp_path / "BCD"))
    for number, _, kind, expected in ELEMENTS:
        key = hive.open(f"Objects\\{{{UUID(int=7)}}}\\Elements\\{number:08x}")
        assert key.name() == f"{number:08x}"
        (value,) = key.values()
        assert (value.name(), value.value_type_str()) == ("Element", kind)
        read = value.value()
        assert ([each for each in read if each] if isinstance(read, list) else read) == expected
    described = hive.open(f"Objects\\{{{UUID(int=7)}}}\\Description").value("Type")
    assert (described.value_type_str(), described.value()) == ("RegDWord", 0x10200003)


def test_the_smallest_store(tmp_path: Path) -> None:
    """8,192 bytes: the elements that the boot manager needs, and no more; hivex reads it."""
    store = Store()
    for name in ("KeyName", "System", "TreatAsSystem"):
        store.root.key("Description").discard(name)
    loader = store.make(UUID(int=7), ObjectType.OS_LOADER)
    for element, value in ((0x11000001, GPT), (0x12000004, "W"), (0x21000001, GPT), (0x22000002, "\\Windows")):
        loader.set(element, value)
    store.make("bootmgr", ObjectType.BOOT_MANAGER).set(0x24000001, [loader.guid])
    assert len(store.pack()) == 8192
    (tmp_path / "BCD").write_bytes(store.pack())
    listed = run(judge("hivexsh", "libhivex-bin"), tmp_path / "BCD", stdin=b"ls\ncd \\Objects\nls\n").split()
    assert listed == [
        "Description", "Objects", f"{{{UUID(int=7)}}}", "{9dea862c-5cdd-4e70-acc1-f32b344d4795}",
    ]  # fmt: skip


def test_half_a_letter(tmp_path: Path) -> None:
    """A name of seven bytes that says it is in UTF-16: hivex refuses the hive, and the check says why."""
    data = bytearray(HIVES["windows"])
    place = data.index(b"vk\x07\0")
    data[place + 16] = 0
    assert [finding.kind for finding in check(bytes(data))] == ["hive-name"]
    (tmp_path / "hive").write_bytes(data)
    run(judge("hivexml", "libhivex-bin"), tmp_path / "hive", codes=(1,))
    data[place + 16] = 1
    node = data.index(b"Objects", 4096) - 76
    assert data[node : node + 2] == b"nk"
    data[node + 2] &= ~0x20
    assert "hive-name" in {finding.kind for finding in check(bytes(data))}


def test_a_cell_that_swallows_the_next_ones(tmp_path: Path) -> None:
    """Its size was changed: what other cells refer to is in the middle of it now."""
    data = bytearray(HIVES["windows"])
    first = 4096 + 32
    second = first - struct.unpack_from("<i", data, first)[0]
    third = second - struct.unpack_from("<i", data, second)[0]
    struct.pack_into("<i", data, first, first - third)
    assert {finding.kind for finding in check(bytes(data))} == {"hive-cell"}
    (tmp_path / "hive").write_bytes(data)
    run(judge("hivexml", "libhivex-bin"), tmp_path / "hive", codes=(1,))
