"""Every mutation is caught as what it is, and a clean image yields nothing."""

from __future__ import annotations

import dataclasses
import functools
import random
import tracemalloc
from pathlib import Path

import pytest

from cloudboot_ufs2 import UFS2, Directory, DirectoryError, HardLink, Options, Ufs2Error, build, check
from cloudboot_ufs2.builder.members import Member
from cloudboot_ufs2.layout.inode import inode_hash
from cloudboot_ufs2.testing import Editor, Mutation, image_of, mutations, sample_image

LAYOUTS = {
    "4096": Options(block_size=4096, fragment_size=512),
    "4096 frag 1": Options(block_size=4096, fragment_size=4096),
    "16384 big": Options(block_size=16384, fragment_size=2048, byteorder="big"),
    "32768": Options(),
    "65536 unhashed": Options(block_size=65536, check_hash=False),
}


@functools.cache
def image(name: str) -> bytes:
    return sample_image(LAYOUTS[name])


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_clean_image_yields_nothing(name: str) -> None:
    assert check(image(name)) == []


@pytest.mark.parametrize("name", ["4096", "16384 big", "32768"])
@pytest.mark.parametrize("mutation", mutations(), ids=lambda mutation: mutation.name)
def test_every_mutation_is_caught(mutation: Mutation, name: str) -> None:
    editor = Editor(image(name))
    mutation.apply(editor)
    findings = check(bytes(editor.data))
    assert mutation.kind in {finding.kind for finding in findings}
    for finding in findings:
        assert finding.as_dict()
        assert str(finding)


def test_there_are_more_than_forty_kinds() -> None:
    assert len({mutation.kind for mutation in mutations() if not mutation.kind.startswith("superblock-")}) > 40


def test_most_mutations_cause_nothing_else() -> None:
    alone = 0
    for mutation in mutations():
        editor = Editor(image("4096"))
        mutation.apply(editor)
        alone += {finding.kind for finding in check(bytes(editor.data))} == {mutation.kind}
    assert alone > len(mutations()) * 2 // 3


def test_findings_name_the_place() -> None:
    editor = Editor(image("32768"))
    number = editor.find("/boot/kernel/module.ko")
    editor.change_inode(number, di_nlink=7)
    (finding,) = check(bytes(editor.data))
    assert finding.kind == "inode-links"
    assert finding.where["path"] == "/boot/kernel/module.ko"
    assert finding.where["inode"] == number
    assert (finding.expected, finding.actual) == (1, 7)
    assert finding.offset == editor.geometry.inode_offset(number)


def test_many_findings_of_a_kind_are_counted() -> None:
    editor = Editor(image("32768"))
    for entry in editor.volume().iterdir("/many"):
        editor.change_inode(entry.inode, di_nlink=2)
    findings = [finding for finding in check(bytes(editor.data)) if finding.kind == "inode-links"]
    assert len(findings) == 51
    assert "more of this kind" in findings[-1].message


def test_a_last_group_without_room_for_its_own_superblock() -> None:
    editor = Editor(image("4096"))
    fs = editor.superblock
    size = (fs.fs_ncg - 1) * fs.fs_fpg + fs.fs_frag
    editor.change_superblock(fs_size=size)
    found = [each for each in check(editor.data[: size * fs.fs_fsize]) if each.kind == "backup-superblock"]
    assert [(each.where["group"], each.message) for each in found if "beyond" in each.message] == [
        (fs.fs_ncg - 1, "the backup lies beyond the image")
    ]


def test_what_is_too_old_is_a_finding() -> None:
    data = bytearray(70_000)
    data[8192 + 1372 : 8192 + 1376] = (0x011954).to_bytes(4, "little")  # and all zeros: fs_old_inodefmt of 4.2BSD
    (finding,) = check(data)
    assert (finding.kind, finding.field) == ("unsupported", "fs_old_inodefmt")


@pytest.mark.parametrize("size", [0, 1000, 65536, 70_000, 1 << 20, (16 << 20) - 1])
def test_truncated_images(size: int) -> None:
    assert check(image("4096")[:size])


def test_directories_that_share_their_blocks_are_not_read_for_ever() -> None:
    tree: dict[str, Member] = {"f": b"", **{f"big/{number:04}{'x' * 200}": HardLink("f") for number in range(700)}}
    editor = Editor(image_of({**tree, **{f"d/{number}": Directory() for number in range(160)}}))
    big = editor.inode(editor.find("/big"))
    for entry in editor.volume().iterdir("/d"):
        editor.change_inode(entry.inode, di_size=big.di_size, di_db=big.di_db, di_blocks=big.di_blocks)
    sizes = [finding for finding in check(bytes(editor.data)) if finding.kind == "directory-size"]
    assert "more of this kind" in sizes[-1].message


def test_a_directory_that_is_one_hole_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "image"
    build(path, {"d/x": b""}, size=256 << 20)
    with UFS2.open(path) as volume:
        number = volume.find("/d")
        changed = dataclasses.replace(volume.read_inode(number), di_size=255 << 20, di_ckhash=0).pack("little")
        place = volume.geometry.inode_offset(number)
    hashed = changed[:244] + inode_hash(changed).to_bytes(4, "little") + changed[248:]
    with path.open("r+b") as file:
        file.seek(place)
        file.write(hashed)
    tracemalloc.start()
    try:
        with UFS2.open(path) as volume, pytest.raises(DirectoryError):
            volume.listdir("/d")
        assert "directory-record-length" in {finding.kind for finding in check(path)}
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


def test_a_place_outside_the_image() -> None:
    assert [finding.kind for finding in check(b"", offset=512)] == ["image-truncated"]
    assert [finding.kind for finding in check(bytes(4096), size=8192)] == ["image-truncated"]


def test_random_damage_never_escapes() -> None:
    chance = random.Random(7)
    clean = image("4096")
    editor = Editor(clean)
    metadata = [(editor.group_offset(group), 4096) for group in range(4)]
    metadata += [(editor.geometry.inode_offset(2), 40_000), (65536, 1376), (editor.geometry.dblkno * 512, 60_000)]
    for _ in range(60):
        data = bytearray(clean)
        for _ in range(chance.randrange(1, 40)):
            start, length = chance.choice(metadata)
            data[start + chance.randrange(length)] = chance.randrange(256)
        try:
            check(bytes(data))
        except Ufs2Error as error:  # pragma: no cover -- what must not happen
            pytest.fail(f"a checker collects, it does not raise: {error}")


LISTED = {
    "every superblock rule": ("superblock-bsize", "superblock-nindir", "superblock-maxfilesize", "superblock-size"),
    "group magic, cgx, map offsets": ("group-magic", "group-number", "group-map-offset"),
    "free blocks, fragments, inodes": tuple(
        f"{place}-free-{what}"
        for place in ("group", "summary", "superblock")
        for what in ("blocks", "fragments", "inodes")
    ),
    "frsum, cluster sum, cluster map, rotors": ("group-frsum", "group-cluster-sum", "group-cluster-map", "group-rotor"),
    "blocks": (
        "block-marked-free", "block-marked-used", "block-claimed-twice", "block-out-of-range", "block-in-metadata",
    ),
    "inodes": (
        "inode-marked-free", "inode-marked-used", "inode-mode", "inode-links", "inode-blocks", "inode-trailing-hole",
        "inode-blocks-beyond-size", "inode-partial-truncation", "inode-not-clear", "inode-beyond-initialised",
        "inode-extsize", "inode-attributes",
    ),
    "directories": (
        "directory-record-length", "directory-name-length", "directory-name", "directory-dot", "directory-dotdot",
        "directory-entry-unused", "directory-entry-type", "directory-linked-twice", "directory-orphan",
        "directory-cycle", "directory-duplicate-name",
    ),
    "hashes": ("superblock-hash", "group-hash", "inode-hash"),
}  # fmt: skip


@pytest.mark.parametrize("what", LISTED)
def test_what_fsck_looks_for_has_a_mutation(what: str) -> None:
    assert set(LISTED[what]) <= {mutation.kind for mutation in mutations()}
