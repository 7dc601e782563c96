"""Volumes and hives that others made read as they did, and what is built stays the same to the last byte."""

from __future__ import annotations

import importlib.util
import json
import lzma
from pathlib import Path
from types import ModuleType

import pytest

import cloudboot_ntfs as ntfs
from cloudboot_base import MemoryStorage
from cloudboot_ntfs.registry import Hive
from cloudboot_ntfs.registry import check as check_hive
from cloudboot_ntfs.testing import pattern

GOLDEN = Path(__file__).parent / "golden"


def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("golden_make", GOLDEN / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKE = maker()


@pytest.mark.parametrize("cluster", [512, 4096])
def test_a_volume_of_ntfs_3g(cluster: int) -> None:
    image = bytearray(lzma.decompress((GOLDEN / f"ntfs-3g-{cluster}.xz").read_bytes()))
    expected = json.loads((GOLDEN / f"ntfs-3g-{cluster}.json").read_text())
    assert len(expected) > 170
    assert ntfs.check(bytes(image)) == []
    found = {}
    with ntfs.NTFS(bytes(image)) as volume:
        for _, _, others in volume.walk():
            for entry in others:
                for stream in volume.streams(entry.path):
                    name = entry.path[1:] + (f":{stream.name}" if stream.name else "")
                    found[name] = MAKE.digest(volume.read_file(entry.path, stream=stream.name))
        assert volume.label == "golden"
        compressed = volume.stat("/compressed/text")
        assert compressed.st_blocks * 512 < compressed.st_size / 2
    assert found == expected
    with ntfs.WritableNTFS(MemoryStorage(image), timestamp_ns=1_700_000_000_000_000_000) as volume:
        volume.write_at("/compressed/text", 50_000, b"changed")
        volume.write_at("/holes", 1_000_000, pattern(5000))
        volume.unlink("/link 3")
        volume.rename("/many/file 1", "/many/file 2")
        text = bytearray(b"the same words again and again, " * 3000)
        text[50_000:50_007] = b"changed"
        assert volume.read_file("/compressed/text") == bytes(text)
    assert ntfs.check(bytes(image)) == []


def test_a_hive_of_hivex() -> None:
    hive = Hive(lzma.decompress((GOLDEN / "hivex.hive.xz").read_bytes()))
    assert check_hive(lzma.decompress((GOLDEN / "hivex.hive.xz").read_bytes())) == []
    vendor = hive.load().key("Software\\Vendor")
    assert [key.name for key in vendor.keys] == [f"Key{number:03}" for number in range(80)]
    assert {value.name: value.decoded for value in vendor.key("Key007").values} == {
        "Text": "text", "Number": 7, "Bytes": b"\1\2\3",
    }  # fmt: skip


@pytest.mark.parametrize("shape", MAKE.SHAPES)
def test_what_is_built_stays_the_same(shape: tuple[int, int, int]) -> None:
    expected = json.loads((GOLDEN / "ours.json").read_text())
    assert MAKE.digest(MAKE.built(shape)) == expected["-".join(map(str, shape))]
