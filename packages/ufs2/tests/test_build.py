"""Building from folders, archives and mappings; what comes back is what went in, and what cannot go in is refused."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudboot_base import FileStorage, MemoryStorage, Window
from cloudboot_disk_image.compression import zstandard
from cloudboot_ufs2 import (
    UFS2,
    Directory,
    File,
    HardLink,
    NoSpaceError,
    OptionError,
    Options,
    SourceChangedError,
    SourceError,
    Symlink,
    build,
    check,
    plan,
    required_size,
)
from cloudboot_ufs2 import (
    format as format_volume,
)
from cloudboot_ufs2.builder.content import FileContent
from cloudboot_ufs2.builder.members import Member
from cloudboot_ufs2.testing import image_of, pattern, sample_tree


def assert_same(volume: UFS2, folder: Path) -> None:
    """The volume holds what the folder does: names, types, modes, owners, times, links and bytes."""
    seen = []
    for path, directories, files in volume.walk():
        for entry in [*directories, *files]:
            host = folder / entry.path[1:]
            here, there = volume.stat_inode(entry.inode), host.lstat()
            assert (here.st_mode, here.st_uid, here.st_gid) == (there.st_mode, there.st_uid, there.st_gid), entry.path
            if not entry.is_dir():
                assert here.st_nlink == there.st_nlink, entry.path
                assert here.st_size == there.st_size, entry.path
            if not entry.is_symlink():
                assert here.st_mtime_ns == there.st_mtime_ns, entry.path
            if entry.is_symlink():
                assert volume.readlink(entry.path) == os.readlink(host)
            elif entry.is_file():
                assert volume.read_file(entry.path) == host.read_bytes(), entry.path
            seen.append(entry.path)
        assert (folder / path[1:]).is_dir()
    assert sorted(seen) == sorted("/" + str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("block_size", [4096, 8192, 16384, 32768, 65536])
def test_a_folder(tree: Path, tmp_path: Path, block_size: int) -> None:
    image = tmp_path / "image"
    built = build(image, tree, Options(block_size=block_size, fragment_size=block_size // 8))
    assert check(image) == []
    assert image.stat().st_size == built.size
    with UFS2.open(image) as volume:
        assert_same(volume, tree)
        assert volume.superblock.fs_time == max(path.lstat().st_mtime_ns for path in [tree, *tree.rglob("*")]) // 10**9
        assert volume.find("/etc/hard") == volume.find("/boot/loader.conf")


@pytest.mark.parametrize("compress", [None, gzip.compress, lzma.compress, bz2.compress, zstandard().compress])
@pytest.mark.parametrize("way", ["path", "file", "memory", "pipe"])
def test_an_archive(tree: Path, archive: Path, tmp_path: Path, compress: Any, way: str) -> None:
    data = archive.read_bytes() if compress is None else compress(archive.read_bytes())
    packed = tmp_path / "packed"
    packed.write_bytes(data)
    image = tmp_path / "image"
    if way == "path":
        build(image, packed)
    elif way == "file":
        with packed.open("rb") as file:
            build(image, file)
    elif way == "memory":
        build(image, io.BytesIO(data))
    else:
        with subprocess.Popen(["cat", packed], stdout=subprocess.PIPE) as cat:
            assert cat.stdout is not None
            build(image, cat.stdout)  # type: ignore[arg-type] # a binary stream
    assert check(image) == []
    with UFS2.open(image) as volume:
        assert_same(volume, tree)


def test_gnu_archives_with_sparse_members(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with (folder / "sparse").open("wb") as file:
        file.write(b"start")
        file.seek(900_000)
        file.write(b"middle")
        file.truncate(3_000_000)
    subprocess.run(["tar", "--sparse", "--format=gnu", "-cf", tmp_path / "a.tar", "-C", folder, "."], check=True)
    build(tmp_path / "image", tmp_path / "a.tar")
    assert check(tmp_path / "image") == []
    with UFS2.open(tmp_path / "image") as volume:
        assert volume.read_file("/sparse", limit=1 << 30) == (folder / "sparse").read_bytes()
        assert volume.stat("/sparse").st_blocks * 512 < 200_000


def test_holes_of_a_host_file_stay_holes(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with (folder / "sparse").open("wb") as file:
        file.truncate(1 << 30)
        for offset in (0, 70_000_000, 500_000_000):
            file.seek(offset)
            file.write(pattern(100_000, offset))
    build(tmp_path / "image", folder, size=24 << 20)
    assert check(tmp_path / "image") == []
    with UFS2.open(tmp_path / "image") as volume, volume.open_file("/sparse") as copy:
        assert copy.size == 1 << 30
        for offset in (0, 70_000_000, 500_000_000):
            assert copy.read_at(offset - offset // 2, 10) == (b"\0" * 10 if offset else pattern(10, 0))
            assert copy.read_at(offset, 100_000) == pattern(100_000, offset)
        assert copy.read_at((1 << 30) - 5, 100) == bytes(5)


def test_a_mapping(tmp_path: Path) -> None:
    host = tmp_path / "file"
    host.write_bytes(b"from the host")
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "leaf").write_bytes(b"leaf")
    tree: dict[str, Member] = {
        "a/b/c": b"bytes",
        "a/host": host,
        "a/folder": folder,
        "a/file": File(host, 0o4755, uid=7, gid=8, mtime_ns=1),
        "a/dir": Directory(0o2775, uid=1, gid=2, mtime_ns=-1_500_000_000),
        "link": Symlink("a/b"),
        "hard": HardLink("a/b/c"),
    }
    data = image_of(tree)
    assert check(data) == []
    with UFS2.open(data) as volume:
        assert volume.read_file("/link/c") == b"bytes"
        assert volume.read_file("/a/folder/sub/leaf") == b"leaf"
        status = volume.stat("/a/file")
        assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns) == (0o4755, 7, 8, 1)
        assert volume.stat("/a/dir").st_mtime_ns == -1_500_000_000
        assert volume.stat("/hard").st_nlink == 2


def test_owners_and_times(tmp_path: Path, tree: Path) -> None:
    options = Options(timestamp=1_000_000)
    build(tmp_path / "set", tree, options, owner=(0, 5), times="set")
    build(tmp_path / "clamp", tree, options, times="clamp")
    with UFS2.open(tmp_path / "set") as volume:
        for _, directories, files in volume.walk():
            for entry in [*directories, *files]:
                status = volume.stat_inode(entry.inode)
                assert (status.st_uid, status.st_gid, status.st_mtime_ns) == (0, 5, 10**15)
    with UFS2.open(tmp_path / "clamp") as volume:
        assert volume.stat("/short").st_mtime_ns == 86_400_123_456_789
        assert volume.stat("/block").st_mtime_ns == 10**15
    with pytest.raises(OptionError, match="timestamp"):
        build(tmp_path / "none", tree, times="set")
    with pytest.raises(OptionError, match="owner"):
        build(tmp_path / "none", tree, owner=(-1, 0))


def test_same_input_same_bytes(tree: Path, archive: Path, tmp_path: Path) -> None:
    options = Options(timestamp=1)
    for name in ("one", "two"):
        build(tmp_path / name, tree, options, size=32 << 20)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    # An archive of the same tree gives the same bytes, except that it keeps whole seconds of links' times or not.
    build(tmp_path / "three", archive, options, size=32 << 20, times="set", owner=(0, 0))
    build(tmp_path / "four", tree, options, size=32 << 20, times="set", owner=(0, 0))
    assert (tmp_path / "three").read_bytes() == (tmp_path / "four").read_bytes()


def test_identity_follows_the_content() -> None:
    def identity(tree: dict[str, Member], options: Options) -> tuple[int, ...]:
        with UFS2.open(image_of(tree, options)) as volume:
            return volume.superblock.fs_id

    options = Options(timestamp=5)
    assert identity({"a": b"1"}, options) == identity({"a": b"2"}, options)
    assert identity({"a": b"1"}, options) != identity({"b": b"1"}, options)
    assert identity({"a": b"1"}, Options(label="x", timestamp=5)) != identity({"a": b"1"}, options)
    assert identity({"a": b"1"}, Options(fs_id=(7, -8))) == (7, -8)


def test_nothing_of_the_builder_or_of_the_old_bytes_gets_in() -> None:
    clean = bytearray(8 << 20)
    build(MemoryStorage(clean), sample_tree())
    dirty = bytearray(b"\xa5" * (8 << 20))
    build(MemoryStorage(dirty), sample_tree())
    with UFS2.open(bytes(dirty)) as volume:
        for region in volume.regions():
            if region.kind in ("superblock", "summary"):
                start, end = region.offset, region.offset + region.length
                limit = volume.superblock.fs_sbsize if region.kind == "superblock" else region.length
                assert dirty[start : start + limit] == clean[start : min(end, start + limit)]
        for path, _, files in volume.walk():
            for entry in files:
                if entry.is_file():
                    for start, length in volume.extents(entry.path):
                        padded = -(-length // volume.geometry.fragment_size) * volume.geometry.fragment_size
                        assert dirty[start : start + padded] == clean[start : start + padded], path
    assert check(bytes(dirty)) == []
    assert not any(dirty[65536 + 728 : 65536 + 856])


@pytest.mark.parametrize("size", [32768 * 12 + 1, 32768 * 40 + 5000, 32768 - 4096 + 1])
def test_a_last_block_that_is_whole_is_zero_after_the_end_of_its_file(size: int) -> None:
    dirty = bytearray(b"\xa5" * (8 << 20))
    build(MemoryStorage(dirty), {"file": pattern(size)})
    with UFS2.open(bytes(dirty)) as volume:
        lbn, within = divmod(size, 32768)
        start = volume.block_for_lbn("/file", lbn) * volume.geometry.fragment_size
    assert dirty[start : start + within] == pattern(size)[-within:]
    assert not any(dirty[start + within : start + 32768])


def test_an_old_superblock_of_ufs1_is_wiped() -> None:
    data = bytearray(8 << 20)
    data[8192 + 1372 : 8192 + 1376] = (0x011954).to_bytes(4, "big")
    format_volume(MemoryStorage(data))
    assert not any(data[8192 + 1372 : 8192 + 1376])


def test_into_its_slice_of_a_disk(tmp_path: Path, tree: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(b"\xee" * (64 << 20))
    with pytest.raises(FileExistsError):
        build(disk, tree, offset=1 << 20, size=32 << 20)
    build(disk, tree, offset=1 << 20, size=32 << 20, force=True)
    data = disk.read_bytes()
    assert set(data[: 1 << 20]) == {0xEE}
    assert set(data[33 << 20 :]) == {0xEE}
    assert check(disk, offset=1 << 20, size=32 << 20) == []
    with disk.open("r+b") as file:
        window = Window(FileStorage(file.fileno()), 33 << 20, 31 << 20)
        build(window, tree)
    assert check(disk, offset=33 << 20) == []
    with pytest.raises(NoSpaceError):
        build(disk, tree, offset=63 << 20, size=2 << 20, force=True)


def test_newfs(tmp_path: Path) -> None:
    built = format_volume(tmp_path / "empty", Options(label="root", timestamp=99), size=64 << 20)
    assert built.geometry.group_count == 4
    assert check(tmp_path / "empty") == []
    with UFS2.open(tmp_path / "empty") as volume:
        assert volume.label == "root"
        assert volume.listdir() == [".snap"]
        snap = volume.stat("/.snap")
        assert (stat.S_IMODE(snap.st_mode), snap.st_gid, snap.st_mtime_ns) == (0o775, 5, 99 * 10**9)
        fs = volume.superblock
        # What mkfs.c computes: everything is free but metadata, summary, the root's fragment and .snap's.
        assert fs.fs_cstotal.cs_ndir == 2
        assert fs.fs_cstotal.cs_nifree == 4 * 2176 - 4
        assert (fs.fs_maxbpg, fs.fs_metackhash, fs.fs_old_flags, fs.fs_clean) == (4096, 7, 0x80, 1)
    format_volume(tmp_path / "bare", Options(snap_directory=False), size=64 << 20)
    with UFS2.open(tmp_path / "bare") as volume:
        assert volume.listdir() == []
    with pytest.raises(OptionError, match="size"):
        format_volume(tmp_path / "none")


def test_too_small_says_what_is_needed_and_that_is_true(tree: Path, tmp_path: Path) -> None:
    for block_size in (4096, 32768, 65536):
        options = Options(block_size=block_size, fragment_size=block_size // 8)
        with pytest.raises(NoSpaceError) as caught:
            build(tmp_path / "image", tree, options, size=3 << 20)
        assert not (tmp_path / "image").exists()
        needed = caught.value.needed
        assert needed is not None
        assert f"{needed} bytes" in str(caught.value)
        build(tmp_path / "image", tree, options, size=needed, force=True)
        assert check(tmp_path / "image") == []
        with pytest.raises(NoSpaceError):
            build(tmp_path / "tight", tree, options, size=needed * 9 // 10)
        (tmp_path / "image").unlink()


def test_required_size_keeps_minfree_free() -> None:
    tree: dict[str, Member] = {"file": pattern(20 << 20)}
    bare, roomy = (required_size(tree, Options(), keep_free=percent) for percent in (0, 8))
    assert bare < roomy < bare * 1.2
    assert plan(bare, Options()).size * 4096 <= bare


def test_more_inodes_than_the_density_gives(tmp_path: Path) -> None:
    tree: dict[str, Member] = {f"d/{number}": Symlink("x") for number in range(5000)}
    built = build(tmp_path / "image", tree)
    assert check(tmp_path / "image") == []
    assert built.geometry.inode_count > 5000
    with pytest.raises(NoSpaceError):
        build(tmp_path / "sparse", tree, Options(density=1 << 20), size=64 << 20)


@pytest.mark.parametrize("size", [5000, 500_000])
def test_an_exception_leaves_no_file(size: int, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "grows").write_bytes(b"x" * size)

    class Growing(FileContent):
        def read(self, *arguments: Any, **named: Any) -> bytes:
            (folder / "grows").write_bytes(b"x" * (size + 1000))
            return super().read(*arguments, **named)

        def copy(self, *arguments: Any, **named: Any) -> None:
            (folder / "grows").write_bytes(b"x" * (size + 1000))
            super().copy(*arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cloudboot_ufs2.builder.source.FileContent", Growing)
        with pytest.raises(SourceChangedError) as caught:
            build(tmp_path / "image", folder)
    assert caught.value.member == str(folder / "grows")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder"]


def test_a_killed_build_leaves_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_bytes(b"x" * 5000)
    script = (
        "import os, signal, sys, cloudboot_ufs2\n"
        "cloudboot_ufs2.build(sys.argv[1], sys.argv[2], progress=lambda _: os.kill(os.getpid(), signal.SIGKILL))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "image", folder], check=False)
    assert done.returncode == -9
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder"]


def make_long_link(folder: Path) -> None:
    (folder / "far").symlink_to("x" * 1024)


@pytest.mark.parametrize(("make", "name"), [(make_long_link, "far")])
def test_what_a_folder_may_not_hold(tmp_path: Path, make: Any, name: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    make(folder)
    with pytest.raises(SourceError) as caught:
        build(tmp_path / "image", folder)
    assert caught.value.member == str(folder / name)
    assert name in str(caught.value)
    assert not (tmp_path / "image").exists()


def member(name: str, **fields: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


@pytest.mark.parametrize(
    "members",
    [
        [member("a/../../b")],
        [member("..")],
        [member("x" * 256)],
        [member("a/b"), member("a", type=tarfile.SYMTYPE, linkname="/etc")],
        [member("a", type=tarfile.SYMTYPE, linkname="/etc"), member("a/b")],
        [member("a", type=tarfile.LNKTYPE, linkname="missing")],
        [member("d", type=tarfile.DIRTYPE), member("a", type=tarfile.LNKTYPE, linkname="d")],
        [member("b"), member("a", type=tarfile.LNKTYPE, linkname="../b")],
        [member("a", type=tarfile.SYMTYPE, linkname="x" * 1024)],
    ],
    ids=lambda members: f"{members[-1].name[:12]} {members[-1].type!r}" if isinstance(members, list) else None,
)
def test_what_an_archive_may_not_hold(tmp_path: Path, members: list[tarfile.TarInfo]) -> None:
    path = tmp_path / "bad.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for info in members:
            tar.addfile(info)
    with pytest.raises(SourceError) as caught:
        build(tmp_path / "image", path)
    assert members[-1].name.lstrip("/")[:100] in caught.value.member
    assert not (tmp_path / "image").exists()


def test_damaged_archives(archive: Path, tmp_path: Path) -> None:
    whole = archive.read_bytes()
    zstd = zstandard()
    packed = {
        "gz": gzip.compress(whole),
        "xz": lzma.compress(whole),
        "bz2": bz2.compress(whole),
        # Without a checksum of its own, a changed literal would pass: tar has none of the content either.
        "zst": zstd.compress(whole, options={zstd.CompressionParameter.checksum_flag: 1}),
    }
    cases = [b"", b"not a tar", whole[: len(whole) // 2], *(data[:-99] for data in packed.values())]
    for data in packed.values():
        middle = len(data) // 2
        cases.append(data[:middle] + bytes(each ^ 0xFF for each in data[middle : middle + 2]) + data[middle + 2 :])
    for number, data in enumerate(cases):
        path = tmp_path / f"case-{number}"
        path.write_bytes(data)
        with pytest.raises(SourceError):
            build(tmp_path / "image", path)
        assert not (tmp_path / "image").exists()


@pytest.mark.parametrize(
    "tree",
    [
        {"/absolute": b""}, {"a/../../b": b""}, {"x" * 256: b""}, {"a": b"", "a/b": b""}, {"a\0b": b""},
        {"a": HardLink("b")}, {"a": Symlink("")}, {"a": File(b"", uid=-1)}, {"a": File(b"", gid=1 << 32)},
        {"a": File(b"", mtime_ns=1 << 100)}, {"a": b"", "./a": b""}, {"": b"the root"},
    ],
    ids=lambda tree: next(iter(tree))[:12],
)  # fmt: skip
def test_what_a_mapping_may_not_hold(tree: Mapping[str, Member]) -> None:
    with pytest.raises(SourceError):
        image_of(tree)


def test_files_beyond_the_reach_of_pointers(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with (folder / "vast").open("wb") as file:
        file.truncate(1 << 43)
    with pytest.raises(SourceError, match="too large") as caught:
        build(tmp_path / "image", folder, Options(block_size=4096, fragment_size=512))
    assert caught.value.member == "/vast"
