"""Known bytes: images of another program and what it was given; FreeBSD's newfs; and our own, which must not change.

``golden/README.md`` says where everything is from.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import lzma
import stat
from pathlib import Path
from typing import Any

import pytest

from cloudboot_base import MemoryStorage
from cloudboot_ufs2 import UFS2, Directory, File, HardLink, Options, Symlink, WritableUFS2
from cloudboot_ufs2 import format as format_volume
from cloudboot_ufs2.layout.records import Cg
from cloudboot_ufs2.testing import image_of, small_tree

GOLDEN = Path(__file__).parent / "golden"
MAKEFS = {
    "makefs-ufs1-big": "04d204af940d3e1c0536865e910d3f121c766d424f93198c8ccd3896e9e751e6",
    "makefs-ufs1-little": "8d2f32df53c23336239d7860692b32e314a53be961aa555bcba73b607bc5b0d8",
    "makefs-ufs2-big": "8c9cf5ac4124748029819e37c34d1b3aee52d0fff856fa9257c1a13a826c832c",
    "makefs-ufs2-little": "562274f9d03dd4e191788f15bb2872fc17e3029d1b9f8365efa3996c7596fb7c",
}


@pytest.mark.parametrize("name", MAKEFS)
def test_makefs(name: str) -> None:
    image = lzma.decompress((GOLDEN / f"{name}.xz").read_bytes())
    assert hashlib.sha256(image).hexdigest() == MAKEFS[name]
    tree = small_tree()
    with UFS2.open(image) as volume:
        assert (f"makefs-{volume.dialect.name.lower()}-{volume.byteorder}", volume.size) == (name, 300 << 10)
        found = {entry.path[1:] for _, below, others in volume.walk() for entry in [*below, *others]}
        assert found == set(tree)
        for path, member in tree.items():
            status = volume.stat(f"/{path}", follow_symlinks=False)
            if isinstance(member, HardLink):
                assert status.st_ino == volume.find(f"/{member.path!s}")
                assert status.st_nlink == 2
                continue
            kind, data = contents(member)
            assert stat.S_IFMT(status.st_mode) == kind
            if kind == stat.S_IFREG:
                assert volume.read_file(f"/{path}") == data
            elif kind == stat.S_IFLNK:
                assert volume.readlink(f"/{path}").encode() == data
            if isinstance(member, File | Directory | Symlink):
                assert (status.st_uid, status.st_gid, status.st_mtime_ns) == (member.uid, member.gid, member.mtime_ns)
                assert stat.S_IMODE(status.st_mode) == member.mode


def contents(member: Any) -> tuple[int, bytes]:
    match member:
        case bytes():
            return stat.S_IFREG, member
        case File(data=bytes(data)):
            return stat.S_IFREG, data
        case Directory():
            return stat.S_IFDIR, b""
        case Symlink(target=str(target)):
            return stat.S_IFLNK, target.encode()
    raise AssertionError(member)


def test_newfs_makes_what_freebsds_does() -> None:
    """Every field of a superblock and of a group's head that does not tell of a moment or of what was stored."""
    golden = json.loads((GOLDEN / "freebsd-newfs.json").read_text())
    buffer = bytearray(5 << 20)
    format_volume(MemoryStorage(buffer), Options(timestamp=1))
    with UFS2.open(buffer) as volume:
        geometry = volume.geometry
        at = (geometry.group_start(geometry.group_count - 1) + geometry.cblkno) * geometry.fragment_size
        head = Cg.unpack_from(buffer, at, "little")
        for record, fields in ((volume.superblock, golden["superblock"]), (head, golden["last group"])):
            assert len(fields) > 20
            ours = json.loads(json.dumps({name: getattr(record, name) for name in fields}, default=dataclasses.astuple))
            assert ours == fields


#: SHA-256 of small_tree() under the options below: whoever changes what is written changes these knowingly.
HASHES: dict[str, str] = json.loads((GOLDEN / "ours.json").read_text())
OURS = {
    "default": Options(),
    "4096/512": Options(block_size=4096, fragment_size=512),
    "65536/8192": Options(block_size=65536),
    "big-endian": Options(byteorder="big"),
    "no check-hashes": Options(check_hash=False),
    "soft updates": Options(soft_updates=True, label="label", trim=True),
    "dense, for space": Options(density=2048, minfree=2),
}


@pytest.mark.parametrize("name", OURS)
def test_our_own_bytes(name: str) -> None:
    image = image_of(small_tree(), dataclasses.replace(OURS[name], timestamp=1_700_000_000), size=16 << 20)
    assert hashlib.sha256(image).hexdigest() == HASHES[name]


def test_our_own_bytes_after_changes() -> None:
    image = bytearray(
        image_of(small_tree(), Options(block_size=4096, fragment_size=512, timestamp=1_700_000_000), size=4 << 20)
    )
    with WritableUFS2.open(image) as volume:
        volume.makedirs("/new/below")
        volume.write_file("/new/below/file", bytes(range(256)) * 1000)
        volume.rename("/indirect", "/new/moved")
        volume.symlink("x" * 300, "/new/link")
        volume.setxattr("/a", "user.comment", b"value")
        volume.truncate("/new/below/file", 70_001)
        volume.unlink("/d/e/f")
    assert hashlib.sha256(image).hexdigest() == HASHES["edited"]
