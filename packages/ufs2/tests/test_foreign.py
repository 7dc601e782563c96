"""File systems nobody here made: what NetBSD's makefs writes, UFS1 and UFS2, in both byte orders."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import stat
import struct
from pathlib import Path
from typing import Any

import pytest

from cloudboot_base.testing import judge, run
from cloudboot_ufs2 import UFS2, SuperblockError, Ufs2Error, check
from cloudboot_ufs2.testing import pattern

KINDS = [
    (version, byteorder, block_size)
    for version in (1, 2)
    for byteorder in ("little", "big")
    for block_size in (4096, 16384, 65536)
]
KIND_NAMES = [f"ufs{version}-{byteorder}-{block_size}" for version, byteorder, block_size in KINDS]


def below(tree: Path) -> list[Path]:
    """Everything below ``tree``. Python 3.11.2's ``rglob`` asks whether a link of 500 bytes is a folder, and fails."""
    return [Path(folder) / name for folder, folders, files in os.walk(tree) for name in (*folders, *files)]


@pytest.fixture
def foreign_tree(tmp_path: Path) -> Path:
    """Tails, indirect blocks of two levels at 4 KiB, symbolic links around the inline limits of both kinds."""
    root = tmp_path / "foreign"
    for folder in ("boot/kernel", "many", "deep/er"):
        (root / folder).mkdir(parents=True)
    (root / "boot/kernel/kernel").write_bytes(pattern(6 * (1 << 20) + 12345))
    (root / "tail").write_bytes(pattern(40_000, seed=1))
    (root / "empty").touch()
    (root / "deep/er/short").write_bytes(b"short\n")
    (root / "deep/er/short").chmod(0o640)
    os.link(root / "tail", root / "deep/hard")
    for length in (1, 59, 60, 61, 119, 120, 500):
        (root / f"link-{length}").symlink_to("t" * length)
    for number in range(300):
        (root / "many" / f"{number:03}").write_bytes(b"%d" % number)
    return root


@pytest.fixture(params=KINDS, ids=KIND_NAMES)
def made(request: pytest.FixtureRequest, foreign_tree: Path, tmp_path: Path) -> Path:
    version, byteorder, block_size = request.param
    image = tmp_path / "image"
    options = f"version={version},bsize={block_size},fsize={max(512, block_size // 8)},minfree=0,density=8192"
    run(judge("makefs", "makefs"), "-t", "ffs", "-B", byteorder, "-s", "24m", "-o", options, image, foreign_tree)
    return image


def test_everything_is_read(made: Path, foreign_tree: Path) -> None:
    found: set[str] = set()
    with UFS2.open(made) as volume:
        assert volume.superblock_offset == 8192
        for _, directories, others in volume.walk():
            for entry in [*directories, *others]:
                path = foreign_tree / entry.path[1:]
                host, status = path.lstat(), volume.stat_inode(entry.inode)
                found.add(entry.path[1:])
                assert (status.st_mode, status.st_uid, status.st_gid) == (host.st_mode, host.st_uid, host.st_gid)
                # NetBSD's makefs, built on Linux, takes no nanoseconds.
                assert status.st_mtime_ns == host.st_mtime_ns // 10**9 * 10**9
                assert status.st_nlink == host.st_nlink
                if stat.S_ISLNK(host.st_mode):
                    assert volume.link_target(entry.inode) == os.fsencode(os.readlink(path))
                elif stat.S_ISREG(host.st_mode):
                    assert status.st_size == host.st_size
                    assert volume.read_file(entry.path) == path.read_bytes()
                    extents = volume.extents(entry.path)
                    assert sum(length for _, length in extents) == host.st_size
    assert found == {str(path.relative_to(foreign_tree)) for path in below(foreign_tree)}


def test_the_checker_agrees_with_makefs(made: Path) -> None:
    findings = {finding.kind for finding in check(made)}
    with UFS2.open(made) as volume:
        # The one rule a UFS2 of NetBSD's makefs breaks: FreeBSD would not find it.
        assert findings == (set() if volume.dialect.name == "UFS1" else {"superblock-sblockloc"})


@pytest.mark.parametrize("made", [kind for kind in KINDS if kind[0] == 1], ids=KIND_NAMES[:6], indirect=True)
def test_the_sleuth_kit_reads_the_same(made: Path, foreign_tree: Path) -> None:
    # UFS1 only: of UFS2 it looks for no superblock at 8192.
    pytsk3 = pytest.importorskip("pytsk3")
    volume = pytsk3.FS_Info(pytsk3.Img_Info(str(made)))
    assert volume.info.ftype == pytsk3.TSK_FS_TYPE_FFS1
    with UFS2.open(made) as ours:
        for path in sorted(below(foreign_tree)):
            name = f"/{path.relative_to(foreign_tree)}"
            meta = volume.open(name).info.meta
            status = ours.stat(name, follow_symlinks=False)
            assert (meta.addr, meta.size, int(meta.mode)) == (status.st_ino, status.st_size, status.st_mode & 0o7777)
            assert (meta.mtime, meta.mtime_nano) == divmod(status.st_mtime_ns, 10**9)
            if not path.is_symlink() and path.is_file() and meta.size:
                data = volume.open(name).read_random(0, meta.size)
                assert hashlib.sha256(data).digest() == hashlib.sha256(ours.read_file(name)).digest()


# GRUB lists big-endian UFS1 and misreads its indirect blocks; it has no module for big-endian UFS2.
GRUB_KINDS = [kind for kind in KINDS if kind[1] == "little"]


@pytest.mark.parametrize("made", GRUB_KINDS, ids=["-".join(map(str, kind)) for kind in GRUB_KINDS], indirect=True)
def test_grub_reads_the_same(made: Path, tmp_path: Path) -> None:
    grub = judge("grub-fstest", "grub-common")
    with UFS2.open(made) as ours:
        for name in ("boot/kernel/kernel", "tail", "deep/er/short", "deep/hard"):
            (tmp_path / "ours").write_bytes(ours.read_file(name))
            run(grub, made, "cmp", f"(loop0)/{name}", tmp_path / "ours")


def test_groups_that_are_shifted(tmp_path: Path) -> None:
    """UFS1 of the days of drums with platters: the metadata of each group stands a little further on."""
    pytsk3 = pytest.importorskip("pytsk3")
    root, image = tmp_path / "links", tmp_path / "image"
    root.mkdir()
    # Nothing but inodes, so that the other groups have room to be moved in.
    for number in range(2500):
        (root / f"link-{number}").symlink_to(f"target-{number}")
    options = "version=1,bsize=4096,fsize=512,density=10240,minfree=0"
    run(judge("makefs", "makefs"), "-t", "ffs", "-s", "24m", "-o", options, image, root)
    data = bytearray(image.read_bytes())
    with UFS2.open(bytes(data)) as volume:
        geometry = volume.geometry
        expected = {entry.name: (entry.inode, volume.readlink(entry.path)) for entry in volume.iterdir("/")}
    assert max(inode for inode, _ in expected.values()) > geometry.group_inodes
    skew, mask, fsize = 16, ~3, geometry.fragment_size
    for group in range(1, geometry.group_count):
        start = (geometry.group_start(group) + geometry.sblkno) * fsize
        end = (geometry.group_start(group) + geometry.dblkno) * fsize
        shift = skew * (group & ~mask) * fsize
        data[start + shift : end + shift] = bytes(data[start:end])
        data[start : start + shift] = bytes(shift)
    data[8192 + 24 : 8192 + 32] = struct.pack("<ii", skew, mask)
    image.write_bytes(data)
    judged = pytsk3.FS_Info(pytsk3.Img_Info(str(image)))
    with UFS2.open(bytes(data)) as volume:
        for name, (inode, target) in expected.items():
            assert (volume.find(name, follow_symlinks=False), volume.readlink(name)) == (inode, target)
            meta = judged.open_meta(inode).info.meta
            assert (meta.addr, meta.link) == (inode, target.encode())
    kinds = {finding.kind for finding in check(data)}
    assert not any(kind.startswith(("group-m", "group-n", "inode", "superblock-old")) for kind in kinds)


def test_the_extended_attribute_magic_of_netbsd(foreign_tree: Path, tmp_path: Path) -> None:
    image = tmp_path / "image"
    run(judge("makefs", "makefs"), "-t", "ffs", "-s", "24m", "-o", "version=2", image, foreign_tree)
    data = bytearray(image.read_bytes())
    data[8192 + 1372 : 8192 + 1376] = (0x19012038).to_bytes(4, "little")
    with UFS2.open(data) as volume:
        assert volume.dialect.name == "UFS2"
        assert volume.read_file("/tail") == (foreign_tree / "tail").read_bytes()


def test_damaged_foreign_superblocks(foreign_tree: Path, tmp_path: Path) -> None:
    image = tmp_path / "image"
    run(judge("makefs", "makefs"), "-t", "ffs", "-s", "24m", "-o", "version=1", image, foreign_tree)
    clean = image.read_bytes()
    fields: dict[str, tuple[int, Any]] = {
        "fs_iblkno": (16, 3), "fs_old_cgoffset": (24, -1), "fs_old_cpg": (180, -5), "fs_inopb": (120, 16),
        "fs_nindir": (116, 7), "fs_dblkno": (20, 3), "fs_sbsize": (104, 77),
    }  # fmt: skip
    for field, (offset, value) in fields.items():
        data = bytearray(clean)
        data[8192 + offset : 8192 + offset + 4] = value.to_bytes(4, "little", signed=True)
        with pytest.raises(SuperblockError) as caught:
            UFS2.open(data)
        assert caught.value.field == field
        assert [finding.field for finding in check(data)][:1] == [field]


def test_random_damage_to_a_foreign_image_is_a_typed_error(foreign_tree: Path, tmp_path: Path) -> None:
    image = tmp_path / "image"
    options = "version=1,bsize=4096,fsize=512,density=16384"
    run(judge("makefs", "makefs"), "-t", "ffs", "-B", "big", "-s", "10m", "-o", options, image, foreign_tree)
    clean = image.read_bytes()
    with UFS2.open(clean) as volume:
        places = [
            (region.offset, region.length) for region in volume.regions() if region.kind not in {"boot", "summary"}
        ]
        places += [*volume.extents("/many"), *volume.extents("/"), *volume.pointer_blocks("/boot/kernel/kernel")]
    chance = random.Random(12)
    for _ in range(40):
        data = bytearray(clean)
        for _ in range(chance.randrange(1, 30)):
            start, length = chance.choice(places)
            data[start + chance.randrange(length)] = chance.randrange(256)
        for finding in check(bytes(data)):
            assert str(finding)
        with contextlib.suppress(Ufs2Error), UFS2.open(data) as volume:
            for _, _, others in volume.walk():
                for entry in others:
                    with contextlib.suppress(Ufs2Error):
                        volume.read_file(entry.path)
                    with contextlib.suppress(Ufs2Error):
                        volume.readlink(entry.path)
