"""$MFT in more pieces than one record describes: grown here, and by ntfs-3g."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import cloudboot_ntfs as ntfs
from cloudboot_base import MemoryStorage
from cloudboot_base.testing import judge, run
from cloudboot_ntfs import errors
from cloudboot_ntfs.editor.draft import load
from cloudboot_ntfs.layout.constants import Number, Type
from cloudboot_ntfs.testing import mounted, ntfs3g_volume, ntfsfix

if TYPE_CHECKING:
    from typing_extensions import Buffer

MIB = 1 << 20


def crowded(cluster: int, files: int) -> bytearray:
    """A volume whose free clusters all stand alone: it was full of files, and every other is empty now."""
    tree = {f"/old/{number}": number.to_bytes(4, "little") * (cluster // 4) for number in range(files)}
    options = ntfs.Options(cluster_size=cluster, log_size=256 * 1024)
    data = bytearray(ntfs.required_size(tree, options))
    ntfs.build(MemoryStorage(data), tree, options)
    with ntfs.WritableNTFS(MemoryStorage(data)) as volume, volume.transaction():
        for number in range(0, files, 2):
            volume.truncate(f"/old/{number}", 0)
    return data


def parts_of(volume: ntfs.NTFS) -> int:
    """The records that $MFT has beside its first."""
    return len(load(volume.mft, Number.MFT).extensions)


def fill(volume: ntfs.WritableNTFS, count: int, first: int = 0) -> None:
    with volume.transaction():
        if not volume.exists("/new"):
            volume.mkdir("/new")
        for number in range(first, first + count):
            volume.write_file(f"/new/{number}", b"%d" % number)


@pytest.fixture(scope="module")
def grown() -> bytearray:
    data = crowded(1024, 5000)
    with ntfs.WritableNTFS(MemoryStorage(data)) as volume:
        fill(volume, 1000)
        assert len(volume.mft.data.runs) > 1000
        assert parts_of(volume) > 9
    return data


def test_mft_grows_where_no_two_free_clusters_stand_together(grown: bytearray) -> None:
    assert ntfs.check(grown) == []
    with ntfs.NTFS(bytes(grown)) as volume:
        for number in range(1000):
            assert volume.read_file(f"/new/{number}") == b"%d" % number
        for number in range(1, 5000, 2):
            assert volume.read_file(f"/old/{number}") == number.to_bytes(4, "little") * 256
        # Each part is found by means of those before it.
        record = volume.mft.record(Number.MFT)
        (listed,) = [each for each in record.attributes if each.type == Type.ATTRIBUTE_LIST]
        for kind, lowest, where, _, _ in volume.mft.list_entries(listed, Number.MFT):
            if kind == Type.DATA and lowest:
                assert ((where & 0xFFFFFFFF) + 1) * volume.geometry.record_size <= lowest * 1024


def test_judges_read_it(grown: bytearray, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(grown)
    assert "processed successfully" in ntfsfix(image)
    names = {f"new/{number}" for number in range(1000)} | {f"old/{number}" for number in range(5000)}
    listed = run(judge("fls", "sleuthkit"), "-u", "-F", "-r", "-p", image).splitlines()
    found = {line.partition("\t")[2] for line in listed}
    assert names <= found
    with mounted(image) as inside:
        assert names <= {f"{path.relative_to(inside)}" for path in inside.rglob("*")}
        for number in range(0, 1000, 7):
            assert (inside / f"new/{number}").read_bytes() == b"%d" % number
        # The other program goes on with it; it finds no room for a large directory in single clusters.
        for number in range(20):
            (inside / f"theirs {number}").write_bytes(b"%d" % number)
    assert ntfs.check(image) == []
    with ntfs.NTFS(image) as volume:
        assert [volume.read_file(f"/theirs {number}") for number in range(20)] == [b"%d" % each for each in range(20)]


def test_libfsntfs_reads_it(grown: bytearray) -> None:
    libfsntfs = pytest.importorskip("pyfsntfs")
    volume = libfsntfs.volume()
    volume.open_file_object(io.BytesIO(bytes(grown)))
    # It takes an index block for one piece: so files are found by their records, which are in all parts of $MFT.
    with ntfs.NTFS(bytes(grown)) as own:
        for number in range(0, 1000, 20):
            assert volume.get_file_entry(own.find(f"/new/{number}")).read(10) == b"%d" % number
    volume.close()


def test_dissect_reads_it(grown: bytearray) -> None:
    dissect = pytest.importorskip("dissect.ntfs")
    volume = dissect.NTFS(io.BytesIO(bytes(grown)))
    for number in range(0, 1000, 20):
        assert volume.mft.get(f"new/{number}").open().read() == b"%d" % number


def test_mft_that_another_program_fragmented_grows_here(tmp_path: Path) -> None:
    image = ntfs3g_volume(tmp_path / "image", 12 * MIB, "-c", "1024")
    with mounted(image) as inside:
        count = 0
        try:
            while True:
                (inside / f"old {count}").write_bytes(bytes(1024))
                count += 1
        except OSError:
            (inside / f"old {count}").unlink(missing_ok=True)
        for number in range(0, count, 2):
            (inside / f"old {number}").write_bytes(b"")
        more = count // 8
        for number in range(more):
            (inside / f"theirs {number}").touch()
    assert ntfs.check(image) == []
    with ntfs.WritableNTFS(image) as volume:
        before = len(volume.mft.data.runs), parts_of(volume)
        assert before[1] > 0, before
        records = volume.mft.count
        with pytest.raises(errors.NoSpaceError):
            fill(volume, 10_000)
        assert volume.mft.count > records
        assert len(volume.mft.data.runs) > before[0]
        made = len(volume.listdir("/new"))
    assert ntfs.check(image) == []
    with mounted(image) as inside:
        assert [(inside / f"new/{number}").read_bytes() for number in range(made)] == [b"%d" % n for n in range(made)]
        assert all((inside / f"theirs {number}").exists() for number in range(more))


def test_growth_stays_when_the_operation_that_needs_it_fails() -> None:
    data = crowded(1024, 1400)
    with ntfs.WritableNTFS(MemoryStorage(data)) as volume:
        number = 0
        while not (parts_of(volume) > 1 and _is_full(volume)):
            fill(volume, 1, number)
            number += 1
        before = volume.mft.count
        with pytest.raises(RuntimeError, match="stop"), volume._operation():
            volume.write_file("/fails", b"x")
            assert volume.mft.count > before
            raise RuntimeError("stop")
        assert not volume.exists("/fails")
        assert ntfs.check(data) == []
        fill(volume, 10, number)
    assert ntfs.check(data) == []
    with ntfs.NTFS(bytes(data)) as volume:
        assert [volume.read_file(f"/new/{each}") for each in range(number + 10)] == [
            b"%d" % each for each in range(number + 10)
        ]


def _is_full(volume: ntfs.WritableNTFS) -> bool:
    """Whether the next file needs more records."""
    records = volume.mft.stream(volume.mft.file(Number.MFT), Type.BITMAP)
    bits = int.from_bytes(records.read_at(0, records.size), "little")
    return all(bits >> number & 1 for number in range(64, volume.mft.count - 1))


class Recorded(MemoryStorage):
    """Keeps what was written."""

    def __init__(self, buffer: bytearray) -> None:
        super().__init__(buffer)
        self.writes: list[tuple[int, bytes]] = []

    def write_at(self, offset: int, data: Buffer) -> None:
        self.writes.append((offset, bytes(data)))
        super().write_at(offset, data)


def test_volume_is_whole_after_every_write_of_a_growth() -> None:
    """A cut anywhere in it leaves a volume with all its files, dirty at worst."""
    data = crowded(1024, 1400)
    number = 0
    with ntfs.WritableNTFS(MemoryStorage(data)) as volume:
        while not (parts_of(volume) > 1 and _is_full(volume)):
            fill(volume, 1, number)
            number += 1
        for each in range(1, 401, 2):  # a directory that is rebuilt needs room
            volume.truncate(f"/old/{each}", 0)
    before = bytes(data)

    storage = Recorded(data)
    with ntfs.WritableNTFS(storage) as volume:
        fill(volume, 1, number)
    assert ntfs.check(data) == []
    count = len(storage.writes)
    for stop in sorted({*range(0, count, 60), *range(count - 16, count + 1)}):
        cut = bytearray(before)
        for offset, piece in storage.writes[:stop]:
            cut[offset : offset + len(piece)] = piece
        ntfs.repair(MemoryStorage(cut))
        assert ntfs.check(cut) == []
        with ntfs.NTFS(bytes(cut)) as found:
            assert found.mft.count > 1400
            for each in range(0, number, 50):
                assert found.read_file(f"/new/{each}") == b"%d" % each


def test_last_clusters_are_of_use() -> None:
    """A growth of $MFT or of a directory takes what there is, if there is no room for the usual."""
    data = crowded(4096, 200)
    with ntfs.WritableNTFS(MemoryStorage(data)) as volume:
        number = 0
        with pytest.raises(errors.NoSpaceError):
            while True:
                volume.write_file(f"/n{number}", b"x")
                number += 1
        assert not list(volume._table.space.bitmap.free_ranges(0))
    assert ntfs.check(data) == []
