"""What a cut leaves behind is repaired: clean afterwards, no file lost, anything else refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import cloudboot_ntfs as ntfs
from cloudboot_base import MemoryStorage
from cloudboot_base.testing import Journal
from cloudboot_ntfs.layout.constants import REFERENCE_MASK, Type
from cloudboot_ntfs.testing import damages, mounted, ntfsfix, pattern
from cloudboot_ntfs.testing.damage import Patient, sample

MOMENT = 1_700_000_000_000_000_000
KEPT = {f"/keep/a file with a longer name {number}": pattern(number * 90, number) for number in range(60)}
TREE = {
    **KEPT,
    "/old": pattern(9000),
    "/target": pattern(20_000, 7),
    "/dir/inner/file": b"inner",
    "/empty/x": b"",
    "/tail": b"tail" * 100,
}

Operation = Callable[[ntfs.WritableNTFS], object]


def _many_links(volume: ntfs.WritableNTFS) -> None:
    for number in range(14):
        volume.link("/tail", f"/keep/a further name of the file {number}")


def _many_files(volume: ntfs.WritableNTFS) -> None:
    for number in range(90):
        volume.write_file(f"/dir/{number} is a name that takes some room in its directory", b"%d" % number)


def _tree_away(volume: ntfs.WritableNTFS) -> None:
    with volume.transaction():
        for name in volume.listdir("/dir/inner"):
            volume.unlink(f"/dir/inner/{name}")
        volume.rmdir("/dir/inner")


OPERATIONS: list[tuple[str, Operation]] = [
    ("create", lambda volume: volume.write_file("/new", b"small")),
    ("create in clusters", lambda volume: volume.write_file("/keep/new", pattern(30_000, 8))),
    ("overwrite", lambda volume: volume.write_file("/old", pattern(12_000, 9))),
    ("append", lambda volume: volume.append("/old", pattern(9000, 10))),
    ("truncate", lambda volume: volume.truncate("/old", 100)),
    ("mkdir", lambda volume: volume.mkdir("/dir/new")),
    ("rename", lambda volume: volume.rename("/dir/inner", "/dir/new/moved")),
    ("rename back", lambda volume: volume.rename("/dir/new/moved", "/dir/inner")),
    ("replace", lambda volume: volume.rename("/old", "/target")),
    ("links", _many_links),
    ("unlink a name", lambda volume: volume.unlink("/keep/a further name of the file 3")),
    ("symlink", lambda volume: volume.symlink("keep", "/link")),
    ("unlink a link", lambda volume: volume.unlink("/link")),
    ("stream", lambda volume: volume.write_file("/tail", pattern(7000, 11), stream="stream")),
    ("security", lambda volume: volume.set_sddl("/tail", "O:SYG:SYD:(A;;FA;;;SY)")),
    ("hole", lambda volume: volume.write_at("/target", 1 << 20, b"far")),
    ("many files", _many_files),
    ("a tree away", _tree_away),
    ("rmdir", lambda volume: volume.rmdir("/dir/new")),
]


def apply(image: bytearray, writes: list[tuple[int, bytes]]) -> None:
    for offset, data in writes:
        image[offset : offset + len(data)] = data


@pytest.mark.parametrize("cluster_size", [512, 4096])
def test_a_cut_after_any_write_is_repaired(cluster_size: int, tmp_path: Path) -> None:
    image = bytearray(6 << 20)
    ntfs.build(MemoryStorage(image), TREE, ntfs.Options(cluster_size=cluster_size, fresh=True))
    journal = Journal(image)
    volume = ntfs.WritableNTFS(journal, timestamp_ns=MOMENT)
    cuts = 0
    for name, operation in OPERATIONS:
        before = bytearray(image)
        journal.writes.clear()
        files = contents(before)
        operation(volume)
        after = contents(image)
        # Every other cut; of what takes many operations, and in the other geometry, fewer.
        step = {4096: 2, 512: 9}[cluster_size] * (1 if len(journal.writes) < 60 else 11)
        for count, write in enumerate(journal.writes):
            apply(before, [write])
            if count % step:
                continue
            cut = bytearray(before)
            cuts += 1
            found = ntfs.check(bytes(cut))
            assert not found or "volume-dirty" in {each.kind for each in found}, (name, count)
            done = ntfs.repair(cut)
            assert ntfs.check(bytes(cut)) == [], (name, count)
            assert bool(done.actions) == bool(found) == bool(done.findings)
            nothing_is_lost(contents(cut), files, after)
        assert before == image
        assert ntfs.check(bytes(image)) == [], name
    assert cuts > 100 or cluster_size == 512
    (tmp_path / "image").write_bytes(image)
    assert "processed successfully" in ntfsfix(tmp_path / "image")


def contents(image: bytes | bytearray) -> dict[str, bytes]:
    """Every file by its path; a link by its target."""
    found = {}
    with ntfs.NTFS(bytes(image)) as volume:
        for _, _, others in volume.walk():
            for entry in others:
                found[entry.path] = (
                    volume.readlink(entry.path).encode() if entry.is_symlink() else volume.read_file(entry.path)
                )
    return found


def nothing_is_lost(found: dict[str, bytes], before: dict[str, bytes], after: dict[str, bytes]) -> None:
    """What an operation leaves alone is as it was; what it changes has the old content or the new, under some name."""
    for path, data in before.items():
        if after.get(path) == data:
            assert found[path] == data
    for data in {data for data in before.values() if data in after.values() and len(data) > 100}:
        assert data in found.values()


def test_judges_agree_with_a_repair(tmp_path: Path) -> None:
    image = bytearray(6 << 20)
    ntfs.build(MemoryStorage(image), TREE, ntfs.Options(fresh=True))
    before = bytearray(image)
    journal = Journal(image)
    volume = ntfs.WritableNTFS(journal, timestamp_ns=MOMENT)
    with volume.transaction():
        _many_files(volume)
        volume.rename("/old", "/target")
        _tree_away(volume)
    for share in (3, 5, 8):
        cut = bytearray(before)
        apply(cut, journal.writes[: len(journal.writes) * share // 10])
        ntfs.repair(cut)
        path = tmp_path / f"{share}"
        path.write_bytes(cut)
        ours = contents(cut)
        assert "processed successfully" in ntfsfix(path)
        with mounted(path) as folder:
            theirs = {f"/{each.relative_to(folder)}": each.read_bytes() for each in folder.rglob("*") if each.is_file()}
            assert theirs == ours
            (folder / "dir/new by ntfs-3g").write_bytes(b"theirs")
        assert ntfs.check(path) == []


def test_a_repair_is_made_whole_or_not_at_all() -> None:
    image = bytearray(6 << 20)
    ntfs.build(MemoryStorage(image), TREE, ntfs.Options(fresh=True))
    state = bytearray(image)
    journal = Journal(image)
    with ntfs.WritableNTFS(journal, timestamp_ns=MOMENT) as volume:
        _many_links(volume)
        journal.writes.clear()
        state[:] = image
        volume.rename("/keep/a further name of the file 5", "/target")
    apply(state, journal.writes[: len(journal.writes) // 2])
    dry = ntfs.repair(bytes(state), dry_run=True)
    assert dry.actions
    again = Journal(bytearray(state))
    done = ntfs.repair(again)
    assert (done.actions, done.findings, done.size) == (dry.actions, dry.findings, dry.size)
    assert ntfs.repair(again).actions == ()
    cut = bytearray(state)
    for write in again.writes[:-1]:
        apply(cut, [write])
        with ntfs.NTFS(bytes(cut)) as volume:
            assert volume.is_dirty
        other = bytearray(cut)
        ntfs.repair(other)
        assert ntfs.check(bytes(other)) == []


#: Kinds of damage that a repair mends wherever they are. Of others it mends those in indexes, and refuses the rest.
MENDED = {
    "cluster-bitmap-end", "cluster-bitmap-free", "cluster-bitmap-leak", "index-bitmap", "index-block-twice",
    "index-block-unreachable", "index-dangling", "index-duplicate", "index-name", "index-node", "index-order",
    "index-sequence", "link-count", "mft-mirror", "orphan", "record-bitmap-free", "record-bitmap-leak", "reparse-index",
    "sdh-entry", "sds-hash", "sds-mirror", "sii-entry", "volume-dirty",
}  # fmt: skip


@pytest.mark.parametrize(("kind", "damage"), [*damages()], ids=[kind for kind, _ in damages()])
def test_every_damage_is_mended_or_refused(kind: str, damage: Callable[[Patient], None], damaged: bytes) -> None:
    patient = Patient(damaged)
    damage(patient)
    image = bytearray(patient.data)
    files = contents(damaged)
    done: ntfs.Repaired | None
    try:
        done = ntfs.repair(image)
    except ntfs.NtfsError:
        done = None
    if done is None:
        assert kind not in MENDED
        assert image == patient.data
        return
    assert done.actions
    assert ntfs.check(bytes(image)) == []
    lost = set(files.values()) - set(contents(image).values())
    # These free the record of a file, and change a link.
    assert not lost or kind in ("index-dangling", "reparse-index")


STREAMS = {f"stream {number}": pattern(500 + number, number) for number in range(12)}


def cut_out(patient: Patient, number: int, gone: set[int]) -> None:
    """Take what an attribute list says of some extension records out of it; with all of them the list itself goes."""
    each = patient.attribute(number, Type.ATTRIBUTE_LIST)
    place = patient.value_offset(number, Type.ATTRIBUTE_LIST)
    kept, at = [], 0
    while at < len(each.value):
        length = int.from_bytes(each.value[at + 4 : at + 6], "little")
        entry = each.value[at : at + length]
        if int.from_bytes(entry[16:22], "little") not in gone:
            kept.append(entry)
        at += length
    left = b"".join(kept)
    assert len(left) < len(each.value)

    def shorten(block: bytearray) -> None:
        block[place : place + len(left)] = left
        block[each.offset + 16 : each.offset + 20] = len(left).to_bytes(4, "little")

    def remove(block: bytearray) -> None:
        used = int.from_bytes(block[24:28], "little")
        block[each.offset : used - each.length] = block[each.offset + each.length : used]
        block[24:28] = (used - each.length).to_bytes(4, "little")

    patient.record(number, shorten if len(kept) > 1 else remove)


@pytest.mark.parametrize("count", [1, 2])
def test_a_list_that_does_not_name_records_of_its_file(count: int, tmp_path: Path) -> None:
    """The streams in those records are not lost: the list is made anew from the records that state their file."""
    image = tmp_path / "image"
    names = STREAMS
    ntfs.build(image, {"/file": ntfs.File(b"main" * 300, streams=names), "/other": b"1"})
    patient = Patient(image.read_bytes())
    with ntfs.NTFS(image) as volume:
        number = volume.find("/file")
        listed = volume.mft.list_entries(patient.attribute(number, Type.ATTRIBUTE_LIST), number)
    holders = sorted({reference & REFERENCE_MASK for _, _, reference, _, name in listed} - {number})
    assert len(holders) == 2
    cut_out(patient, number, set(holders[-count:]))
    data = bytearray(patient.data)
    kinds = {finding.kind for finding in ntfs.check(bytes(data))}
    assert kinds == {"attribute-list"}
    assert any("list of record" in action for action in ntfs.repair(data).actions)
    assert ntfs.check(bytes(data)) == []
    image.write_bytes(data)
    assert "processed successfully" in ntfsfix(image)
    with mounted(image, "ro") as folder:
        assert (folder / "file").read_bytes() == b"main" * 300
        for name, content in names.items():
            assert Path(f"{folder}/file:{name}").read_bytes() == content


@pytest.mark.parametrize("shape", [(512, 4096), (512, 1024), (65536, 4096)])
def test_a_record_of_the_volume_over_several_pages(shape: tuple[int, int]) -> None:
    """The record with the mark of a dirty volume is written whole, wherever it stands."""
    image = bytearray(8 << 20)
    ntfs.build(MemoryStorage(image), {"/a": b"x"}, ntfs.Options(cluster_size=shape[0], record_size=shape[1]))
    patient = Patient(bytes(image))
    next(action for kind, action in damages() if kind == "cluster-bitmap-free")(patient)
    data = bytearray(patient.data)
    assert ntfs.repair(data).actions
    assert ntfs.check(bytes(data)) == []


@pytest.fixture(scope="module")
def damaged() -> bytes:
    volume = bytearray(8 << 20)
    ntfs.build(MemoryStorage(volume), sample())  # type: ignore[arg-type]  # by value
    return bytes(volume)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from cloudboot_ntfs.commands import main

    image = tmp_path / "image"
    ntfs.build(image, TREE)
    patient = Patient(image.read_bytes())
    next(action for kind, action in damages() if kind == "volume-dirty")(patient)
    image.write_bytes(patient.data)
    assert main(["repair", str(image), "--dry-run"]) == 1
    assert "marked clean" in capsys.readouterr().out
    assert image.read_bytes() == patient.data
    assert main(["repair", str(image), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["kind"] for each in told["findings"]] == ["volume-dirty"]
    assert main(["check", str(image)]) == 0
    capsys.readouterr()
    assert main(["repair", str(image)]) == 0
    assert "clean" in capsys.readouterr().out
