"""Files in very many pieces, and files with very many names: what a change of one costs, and that it is right."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cloudboot_ntfs as ntfs
from cloudboot_base import MemoryStorage
from cloudboot_ntfs.builder.placement import Placed
from cloudboot_ntfs.builder.record import Packed
from cloudboot_ntfs.editor.draft import Draft, load, runs_of
from cloudboot_ntfs.layout import runlist
from cloudboot_ntfs.layout.constants import Type
from cloudboot_ntfs.layout.runlist import Run, encode, pair_size

if TYPE_CHECKING:
    from collections.abc import Sequence

MIB = 1 << 20


def interleaved(count: int) -> bytearray:
    """Two files whose clusters of 512 bytes stand between one another."""
    data = bytearray(4 * MIB)
    ntfs.format(MemoryStorage(data), ntfs.Options(cluster_size=512, log_size=256 * 1024))
    with ntfs.WritableNTFS(MemoryStorage(data)) as volume, volume.transaction():
        volume.write_file("/a", b"")
        volume.write_file("/b", b"")
        with volume.open_file("/a", "r+b") as first, volume.open_file("/b", "r+b") as second:
            for number in range(count):
                first.write(number.to_bytes(2, "little") * 256)
                second.write(number.to_bytes(2, "big") * 256)
    return data


@pytest.fixture(scope="module")
def fragmented() -> bytes:
    return bytes(interleaved(600))


def runs_in(volume: ntfs.NTFS, path: str) -> tuple[list[Run], list[Packed]]:
    draft = load(volume.mft, volume.find(path))
    parts = sorted(draft.all(Type.DATA, ""), key=lambda part: part.lowest_vcn)
    return runs_of(parts, volume.geometry.clusters), parts


def test_files_that_grow_by_turns_are_whole(fragmented: bytes) -> None:
    assert ntfs.check(fragmented) == []
    with ntfs.NTFS(fragmented) as volume:
        runs, parts = runs_in(volume, "/a")
        assert len(runs) > 500
        assert 4 < len(parts) < 12
        assert volume.read_file("/a") == b"".join(number.to_bytes(2, "little") * 256 for number in range(600))
        assert volume.read_file("/b") == b"".join(number.to_bytes(2, "big") * 256 for number in range(600))


def test_an_append_decodes_and_encodes_the_last_part_only(fragmented: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(fragmented)
    decoded: list[int] = []
    encoded: list[int] = []

    def decode(pairs: bytes, vcn: int, clusters: int, *, offset: int | None = None) -> list[Run]:
        found = original(pairs, vcn, clusters, offset=offset)
        decoded.append(len(found))
        return found

    def encode_counted(runs: Sequence[Run]) -> bytes:
        encoded.append(len(runs))
        return encode(runs)

    original = runlist.decode
    with ntfs.WritableNTFS(MemoryStorage(data)) as volume:
        before, parts = runs_in(volume, "/a")
        with volume.transaction(), volume.open_file("/a", "ab") as first, volume.open_file("/b", "ab") as second:
            first.write(b"x" * 512)
            second.write(b"y" * 512)
            monkeypatch.setattr(runlist, "decode", decode)
            monkeypatch.setattr("cloudboot_ntfs.builder.placement.encode", encode_counted)
            for _ in range(10):
                first.write(b"x" * 512)
                second.write(b"y" * 512)
        monkeypatch.undo()
        after, now = runs_in(volume, "/a")
        # All but the last part stay as they are, byte for byte, and in the records that they are in.
        assert [part.data for part in now[1 : len(parts) - 1]] == [part.data for part in parts[1:-1]]
    last = parts[-1].lowest_vcn
    in_last = sum(run.vcn >= last for run in after)
    assert len(after) > len(before)
    assert 0 < max(decoded) <= in_last
    assert 0 < max(encoded) <= in_last
    assert len(encoded) <= 2 * 2 * 10
    assert ntfs.check(data) == []


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 32))
def test_changes_of_a_fragmented_file_leave_what_a_model_says(fragmented: bytes, seed: int) -> None:
    data, chance = bytearray(fragmented), random.Random(seed)
    with ntfs.WritableNTFS(MemoryStorage(data)) as volume:
        model = bytearray(volume.read_file("/a"))
        with volume.transaction():
            for _ in range(12):
                kind, place = chance.randrange(5), chance.randrange(len(model) + 1)
                piece = chance.randbytes(chance.choice([1, 512, 700, 5000]))
                if kind == 0:
                    volume.append("/a", piece)
                    model += piece
                elif kind == 1:
                    volume.truncate("/a", place)
                    del model[place:]
                elif kind == 2:
                    size = len(model) + chance.choice([100, 3000, 40_000])
                    volume.truncate("/a", size)
                    model = model.ljust(size, b"\0")
                elif kind == 3:
                    place += chance.choice([0, 512, 30_000])
                    volume.write_at("/a", place, piece)
                    model = model.ljust(place, b"\0")
                    model[place : place + len(piece)] = piece
                else:
                    volume.append("/b", piece)
        runs, parts = runs_in(volume, "/a")
        if len(parts) > 1:
            # Whatever was kept, the parts are those that the runs have when all of them are made anew.
            clusters = runs[-1].vcn + runs[-1].length
            anew = Placed(len(model), clusters, 512, runs, []).attributes(Type.DATA)
            assert [(part.lowest_vcn, part.data[16:]) for part in parts] == [
                (part.lowest_vcn, part.data[16:]) for part in anew
            ]
        assert volume.read_file("/a") == bytes(model)
    assert ntfs.check(data) == []


@given(st.lists(st.tuples(st.integers(1, 1 << 40), st.none() | st.integers(0, 1 << 50)), min_size=1, max_size=300))
def test_parts_hold_as_many_pairs_as_they_can(found: list[tuple[int, int | None]]) -> None:
    runs, vcn = [], 0
    for length, lcn in found:
        runs.append(Run(vcn, length, lcn))
        vcn += length
    parts = Placed(512, vcn, 512, runs, []).attributes(Type.DATA)
    assert runs_of(parts, 1 << 60) == runs
    assert all(len(part.data) <= 64 + 8 + 400 for part in parts)
    sizes = [len(encode(runs_of([part], 1 << 60))) for part in parts]
    for size, following in zip(sizes, parts[1:], strict=False):
        # The first pair of a part says where its clusters are: with the part before, it would have had 9 bytes at most.
        assert size + 18 > 400 or size + pair_size(runs_of([following], 1 << 60)[0], 0) > 400
    assert sum(pair_size(run, 0) for run in runs[:1]) + 1 == len(encode(runs[:1]))


def test_names_of_a_file_with_very_many() -> None:
    data = bytearray(16 * MIB)
    ntfs.format(MemoryStorage(data))
    with ntfs.WritableNTFS(MemoryStorage(data)) as volume, volume.transaction():
        volume.mkdir("/d")
        volume.write_file("/l", b"x")
        for number in range(240):
            volume.link("/l", f"/d/link {number}" if number % 2 else f"/link {number}")
        for number in range(0, 240, 3):
            volume.unlink(f"/d/link {number}" if number % 2 else f"/link {number}")
        volume.append("/l", b"y" * 5000)
    assert ntfs.check(data) == []
    with ntfs.NTFS(bytes(data)) as found:
        assert found.stat("/l").st_nlink == 161
        assert found.stat("/d/link 1").st_size == 5001
        assert not found.exists("/link 0")


def test_parts_with_a_head_of_another_kind_are_made_anew(fragmented: bytes) -> None:
    """A program may leave out the size of what a sparse attribute takes: there is no place to put it."""
    runs = [Run(number, 1, None if number % 2 else 1000 + 7 * number) for number in range(400)]
    placed = Placed(400 * 512, 400, 512, runs, [])
    parts = placed.attributes(Type.DATA)
    first = bytearray(parts[0].data[:64] + parts[0].data[72:])
    for offset, size in ((4, 4), (10, 2), (32, 2)):  # lengths, and where the name and the pairs are
        first[offset : offset + size] = (int.from_bytes(first[offset : offset + size], "little") - 8).to_bytes(
            size, "little"
        )
    with ntfs.WritableNTFS(MemoryStorage(bytearray(fragmented))) as volume:
        for own, kept in ((parts, parts[:-1]), ([parts[0]._replace(data=bytes(first)), *parts[1:]], [])):
            draft = Draft(64, 1, 1, list(own))
            assert runs_of(draft.all(Type.DATA, ""), 1 << 40) == runs
            assert volume._contents._unchanged(draft, "", placed) == kept
            volume._contents._replace(draft, "", placed.size, runs)
            assert draft.all(Type.DATA, "") == parts
        plain = Placed(400 * 512, 400, 512, [run._replace(lcn=5000 - 9 * run.vcn) for run in runs], [])
        assert volume._contents._unchanged(Draft(64, 1, 1, parts), "", plain) == []
