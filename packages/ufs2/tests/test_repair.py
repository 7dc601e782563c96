"""What a cut leaves behind is repaired as fsck_ffs preens it: clean afterwards, nothing lost, anything else refused."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudboot_base.testing import judge, run
from cloudboot_ufs2 import UFS2, Options, Symlink, WritableUFS2, build, check
from cloudboot_ufs2.builder.members import Member
from cloudboot_ufs2.checker.repair_inode import INODE_KINDS
from cloudboot_ufs2.checker.repair_maps import MAP_KINDS
from cloudboot_ufs2.editor.preen import repair
from cloudboot_ufs2.errors import RepairRefusedError, SuperblockError
from cloudboot_ufs2.layout.constants import DEV_BSIZE, FS_NEEDSFSCK, SBLOCK_UFS2
from cloudboot_ufs2.layout.records import Fs
from cloudboot_ufs2.testing import Editor, Journal, editable_image, image_of, mutations, pattern, sample_image
from cloudboot_ufs2.testing.crashing import BIG, OPERATIONS


@pytest.mark.parametrize(("fragment", "soft_updates"), [(512, False), (4096, True)])
def test_a_cut_after_any_write_is_repaired(fragment: int, soft_updates: bool) -> None:
    options = Options(block_size=4096, fragment_size=fragment, soft_updates=soft_updates)
    tree: dict[str, Member] = {
        "kept": pattern(70_000, 1), "tail": b"t" * 600, "next": b"n" * 600, "large": pattern(BIG, 2),
        "dir/a": b"", "other/b": b"b", "empty/x": b"", "link": Symlink("kept"),
    }  # fmt: skip
    image = bytearray(image_of(tree, options, size=24 << 20))
    journal = Journal(image)
    volume = WritableUFS2.open(journal)
    volume.unlink("/empty/x")
    for number, (name, operation) in enumerate(OPERATIONS):
        before = bytearray(image)
        journal.writes.clear()
        operation(volume)
        for count, (offset, data) in enumerate(journal.writes[:-1]):
            before[offset : offset + len(data)] = data
            if (count + number) % 5:
                continue
            cut = bytearray(before)
            found = check(cut)
            done = repair(cut)
            assert check(cut) == [], name
            assert bool(done.actions) == bool(found) == bool(done.findings), name
            with UFS2.open(cut) as read:
                assert read.read_file("/kept") == pattern(70_000, 1)
                lost = read.listdir("/lost+found") if read.exists("/lost+found") else []
                assert len(lost) <= 2
            assert repair(cut).actions == ()


def test_a_repair_is_made_whole_or_not_at_all() -> None:
    image = editable_image({"d/f": pattern(9000), "big": pattern(900_000)})
    journal = Journal(image)
    with WritableUFS2.open(journal) as volume:
        start = bytearray(image)
        volume.unlink("/big")
    for offset, data in journal.writes[: len(journal.writes) // 2]:
        start[offset : offset + len(data)] = data
    state = bytes(start)
    dry = repair(bytes(state), dry_run=True)
    assert dry.actions
    again = Journal(bytearray(state))
    done = repair(again)
    assert (done.actions, done.findings) == (dry.actions, dry.findings)
    cut = bytearray(state)
    for offset, data in again.writes[:-1]:
        cut[offset : offset + len(data)] = data
        with UFS2.open(cut) as volume:
            assert volume.superblock.fs_clean == 0
        other = bytearray(cut)
        repair(other)
        assert check(other) == []


def test_files_without_a_name_are_kept(tmp_path: Path) -> None:
    tree: dict[str, Member] = {
        "d/sub/deep": pattern(5000, 1),
        "d/sub2/x": b"x",
        "f": pattern(30_000, 2),
        "e": b"",
        "k": b"k",
    }
    editor = Editor(image_of(tree, Options(block_size=4096, fragment_size=512)))
    names = {name: editor.find(f"/{name}") for name in ("d", "f", "e")}
    with WritableUFS2.open(editor.data) as writable, writable.operation() as operation:
        live = operation.edit(2)
        for name in names:
            operation.put_chunk(live, live.remove(name.encode()), 6)  # type: ignore[arg-type] # Stage.REMOVE
    image = tmp_path / "image"
    image.write_bytes(editor.data)
    assert {found.kind for found in check(image)} == {"inode-unreferenced", "directory-orphan", "inode-links"}
    done = repair(image)
    assert check(image) == []
    with UFS2.open(image) as volume:
        assert sorted(volume.listdir("/lost+found")) == sorted(f"#{names[name]:08}" for name in ("d", "f"))
        assert volume.read_file(f"/lost+found/#{names['f']:08}") == pattern(30_000, 2)
        assert volume.read_file(f"/lost+found/#{names['d']:08}/sub/deep") == pattern(5000, 1)
        assert volume.stat("/lost+found")[0] == 0o41777
    assert any("cleared" in action for action in done.actions)
    assert f"#{names['f']:08}" in run(judge("fls", "sleuthkit"), "-f", "ufs", "-rp", image)


@pytest.mark.parametrize("mutation", {each.kind: each for each in mutations()}.values(), ids=lambda each: each.kind)
def test_every_mutation_is_repaired_or_refused(mutation: object) -> None:
    editor = Editor(sample_image(Options(block_size=4096, fragment_size=512)))
    mutation.apply(editor)  # type: ignore[attr-defined]  # a Mutation
    state = bytearray(editor.data)
    kinds = {found.kind for found in check(state)}
    refused = None
    try:
        repair(state)
    except RepairRefusedError as error:
        refused = error
    if refused is not None:
        assert state == editor.data
        assert refused.findings
        assert str(refused)
        assert not kinds <= MAP_KINDS | INODE_KINDS or kinds & {
            "inode-links",
            "directory-orphan",
            "directory-linked-twice",
        }
        return
    assert check(state) == []
    with UFS2.open(state) as volume:
        assert volume.exists("/boot/kernel/kernel")


def damaged(how: str) -> tuple[bytearray, list[int]]:
    image = bytearray(sample_image(Options(block_size=4096, fragment_size=512, label="home", timestamp=5)))
    with WritableUFS2.open(image) as volume:
        volume.write_file("/new", pattern(5000))
        geometry = volume.geometry
    backups = [(geometry.group_start(group) + geometry.sblkno) * 512 for group in range(geometry.group_count)]
    if how == "zeroed":
        image[SBLOCK_UFS2 : SBLOCK_UFS2 + 8192] = bytes(8192)
    elif how == "torn":
        old = sample_image(Options(block_size=4096, fragment_size=512, label="home", timestamp=5))
        image[SBLOCK_UFS2 + 1024 : SBLOCK_UFS2 + 1536] = old[SBLOCK_UFS2 + 1024 : SBLOCK_UFS2 + 1536]
        image[SBLOCK_UFS2 + 900] ^= 1
    elif how == "sector lost":
        image[SBLOCK_UFS2 : SBLOCK_UFS2 + 512] = b"\xee" * 512
    elif how == "no record either":
        image[SBLOCK_UFS2 - 512 : SBLOCK_UFS2 + 8192] = bytes(8704)
    elif how == "first backup too":
        image[SBLOCK_UFS2 : SBLOCK_UFS2 + 8192] = bytes(8192)
        image[backups[0] : backups[0] + 8192] = bytes(8192)
    else:
        struct.pack_into("<i", image, SBLOCK_UFS2 + Fs.LAYOUT.offsets["fs_fpg"], 1)
    return image, backups


HOW = ["zeroed", "torn", "sector lost", "no record either", "first backup too", "a wrong field"]


@pytest.mark.parametrize("how", HOW)
def test_a_backup_stands_in_for_the_superblock(how: str) -> None:
    image, backups = damaged(how)
    findings = check(image)
    assert findings
    assert all("superblock" in found.kind for found in findings), [str(found) for found in findings]
    if how != "torn":
        with UFS2.open(image, fallback=True) as volume:
            assert volume.superblock_offset in backups
            assert volume.read_file("/new") == pattern(5000)
        with pytest.raises((SuperblockError, ValueError, OSError)):
            WritableUFS2.open(image)
    repair(image)
    assert check(image) == []
    with UFS2.open(image) as volume:
        assert volume.read_file("/new") == pattern(5000)
        assert volume.label == "home"
    with WritableUFS2.open(image) as volume:
        volume.write_file("/more", b"1")
    assert check(image) == []


def test_a_backup_can_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from cloudboot_ufs2.__main__ import main

    image, backups = damaged("zeroed")
    path = tmp_path / "image"
    path.write_bytes(image)
    sector = str(backups[-1] // DEV_BSIZE)
    assert main(["ls", str(path), "/", "--superblock", sector]) == 0
    assert "new" in capsys.readouterr().out
    assert main(["ls", str(path)]) == 0
    assert "backup" in capsys.readouterr().err
    assert main(["ls", str(path), "--superblock", "7"]) == 3
    assert main(["check", str(path)]) == 1
    assert main(["check", str(path), "--superblock", sector]) == 0
    before = path.read_bytes()
    capsys.readouterr()
    assert main(["repair", str(path), "--superblock", sector, "--dry-run"]) == 1
    assert f"sector {sector}" in capsys.readouterr().out
    assert path.read_bytes() == before
    assert main(["repair", str(path), "--superblock", sector]) == 0
    assert main(["check", str(path)]) == 0
    assert main(["repair", str(path)]) == 0
    assert "no problems" in capsys.readouterr().out


def test_an_unclean_mark_is_a_finding() -> None:
    editor = Editor(sample_image())
    editor.change_superblock(fs_clean=0, fs_flags=editor.superblock.fs_flags | FS_NEEDSFSCK)
    assert [found.kind for found in check(editor.data)] == ["unclean"]
    data = bytearray(editor.data)
    assert repair(data).actions == ("the file system is marked clean",)
    assert check(data) == []


def test_refusals_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from cloudboot_ufs2.__main__ import main

    editor = Editor(sample_image(Options(block_size=4096, fragment_size=512)))
    one, other = editor.find("/short"), editor.find("/tail")
    editor.change_inode(one, di_db=editor.inode(other).di_db)
    (tmp_path / "image").write_bytes(editor.data)
    assert main(["repair", str(tmp_path / "image")]) == 1
    said = capsys.readouterr()
    assert "block-claimed-twice" in said.out
    assert "nothing has been changed" in said.err
    assert (tmp_path / "image").read_bytes() == editor.data


def test_an_image_by_its_path(tmp_path: Path) -> None:
    build(tmp_path / "image", {"a": b"a"})
    assert repair(tmp_path / "image").actions == ()
    make: Callable[[], object] = lambda: repair(tmp_path / "none")  # noqa: E731 -- a default
    with pytest.raises(FileNotFoundError):
        make()
