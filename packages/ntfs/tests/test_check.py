"""A check finds nothing in volumes that are clean, whatever program made them, and names each rule that is broken."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cloudboot_ntfs as ntfs
from cloudboot_base import MemoryStorage
from cloudboot_ntfs.testing import damages, mounted, ntfs3g_volume, pattern, sample_tree
from cloudboot_ntfs.testing.damage import Patient, sample


@pytest.fixture(scope="module")
def healthy() -> bytes:
    volume = bytearray(8 << 20)
    ntfs.build(MemoryStorage(volume), sample())  # type: ignore[arg-type]  # by value
    return bytes(volume)


@pytest.mark.parametrize("shape", [(512, 1024, 512), (4096, 1024, 512), (65536, 4096, 512), (4096, 4096, 4096)])
def test_what_is_built_is_clean(shape: tuple[int, int, int], tmp_path: Path) -> None:
    cluster, record, sector = shape
    options = ntfs.Options(cluster_size=cluster, record_size=record, sector_size=sector)
    ntfs.build(tmp_path / "image", sample_tree(tmp_path), options)
    assert ntfs.check(tmp_path / "image") == []


@pytest.mark.parametrize("cluster", ["512", "4096", "65536"])
def test_what_ntfs_3g_wrote_is_clean(cluster: str, tmp_path: Path) -> None:
    image = ntfs3g_volume(tmp_path / "image", 64 << 20, "-c", cluster)
    assert ntfs.check(image) == []
    with mounted(image) as folder:
        (folder / "sub").mkdir()
        for number in range(500):
            (folder / "sub" / f"file {number}").write_bytes(pattern(number * 20, number))
        for number in range(0, 500, 3):
            (folder / "sub" / f"file {number}").unlink()
        for number in range(30):
            os.link(folder / "sub/file 1", folder / f"link {number}")
        with (folder / "holes").open("wb") as file:
            file.seek(5_000_000)
            file.write(b"end")
        (folder / "sub/file 2:stream").write_bytes(pattern(3000))
    assert ntfs.check(image) == []


def test_what_we_built_and_ntfs_3g_changed_is_clean(tmp_path: Path) -> None:
    ntfs.build(tmp_path / "image", sample_tree(), size=48 << 20)
    with mounted(tmp_path / "image") as folder:
        for number in range(600):
            (folder / "many" / f"another {number}").write_bytes(pattern(number))
        (folder / "a.txt").write_bytes(pattern(100_000))
        os.rename(folder / "names/original", folder / "deep/moved")
        (folder / "secret.txt").unlink()
    assert ntfs.check(tmp_path / "image") == []


DAMAGES = list(damages())


@pytest.mark.parametrize(
    ("kind", "action"), DAMAGES, ids=[f"{number}-{kind}" for number, (kind, _) in enumerate(DAMAGES)]
)
def test_each_damage_is_named(kind: str, action: Callable[[Patient], None], healthy: bytes) -> None:
    assert ntfs.check(healthy) == []
    patient = Patient(healthy)
    action(patient)
    assert bytes(patient.data) != healthy
    assert kind in {finding.kind for finding in ntfs.check(bytes(patient.data))}


def test_every_finding_says_where() -> None:
    volume = bytearray(4 << 20)
    ntfs.format(MemoryStorage(volume))
    volume[5000:3_000_000:7919] = b"\xff" * len(range(5000, 3_000_000, 7919))
    findings = ntfs.check(bytes(volume))
    assert findings
    for finding in findings:
        assert finding.structure
        assert str(finding)


def test_what_is_not_a_volume() -> None:
    assert [finding.kind for finding in ntfs.check(bytes(1 << 20))] == ["boot-sector"]
    assert [finding.kind for finding in ntfs.check(b"")] == ["volume-truncated"]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 64))
def test_any_damage_ends_in_findings(healthy: bytes, seed: int) -> None:
    chance = random.Random(seed)
    patient = Patient(healthy)
    records = [0, 1, 3, 5, 6, 9, 11, 26, *range(64, 150)]
    for _ in range(chance.randint(1, 6)):
        place = patient.record_offset(chance.choice(records)) + chance.randrange(400)
        patient.data[place] = chance.choice([0, 1, 0xFF, chance.randrange(256)])
    for finding in ntfs.check(bytes(patient.data)):  # it ends: a test that hangs is ended, and fails
        assert finding.kind
        assert str(finding)
