"""Reading: paths, streams, extents, and what happens when the image lies."""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import itertools
import os
import random
import stat
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_base import FormatError
from cloudboot_records import ByteOrder
from cloudboot_ufs2 import (
    UFS2,
    Attribute,
    AttributeAreaError,
    BlockError,
    CheckHashError,
    DirectoryError,
    ImageTruncatedError,
    InodeError,
    Options,
    SuperblockError,
    SymlinkLoopError,
    Ufs2Error,
    UnsupportedError,
    check,
    errors,
)
from cloudboot_ufs2.builder.members import Symlink
from cloudboot_ufs2.errors import PathError
from cloudboot_ufs2.layout.constants import SF_SNAPSHOT
from cloudboot_ufs2.reader.extattr import pack_attributes
from cloudboot_ufs2.testing import Editor, image_of, pattern, sample_image

KERNEL = pattern(3 * (1 << 20) + 12345, seed=1)


@functools.cache
def image(block_size: int = 4096) -> bytes:
    return sample_image(Options(block_size=block_size, fragment_size=block_size // 8))


@pytest.fixture
def volume() -> UFS2:
    return UFS2.open(image())


def test_paths(volume: UFS2) -> None:
    assert volume.find("/") == 2
    assert volume.find("boot/../boot/./loader.conf") == volume.find("/etc/hard")
    assert volume.find("/../../etc/deep/er/..") == volume.find("/etc/deep")
    assert volume.read_file("/etc/inline") == b'autoboot_delay="3"\n'
    assert volume.readlink("/etc/inline-119") == "i" * 119
    assert volume.readlink("/etc/block-120") == "b" * 120
    assert volume.exists("/caf\u00e9 \N{SNOWMAN}")
    assert not volume.exists("/short/below")


def test_paths_that_are_not_there(volume: UFS2) -> None:
    with pytest.raises(FileNotFoundError):
        volume.find("/nothing")
    with pytest.raises(NotADirectoryError):
        volume.find("/short/below")
    with pytest.raises(NotADirectoryError):
        volume.listdir("/short")
    with pytest.raises(IsADirectoryError):
        volume.open_file("/boot")
    with pytest.raises(InodeError):
        volume.readlink("/short")
    with pytest.raises(errors.FileNotFoundError) as caught:
        volume.read_file("/etc/block-120")
    assert caught.value.errno == 2


def test_symbolic_links_that_never_end() -> None:
    links = image_of({"a": Symlink("b"), "b": Symlink("/a"), "self": Symlink("self/x")})
    with UFS2.open(links) as volume:
        for path in ("/a", "/self", "/self/y"):
            with pytest.raises(SymlinkLoopError):
                volume.stat(path)
        assert stat.S_ISLNK(volume.stat("/a", follow_symlinks=False).st_mode)


def test_streams(volume: UFS2) -> None:
    with volume.open_file("/boot/kernel/kernel") as file:
        assert file.read(10) == KERNEL[:10]
        assert file.seek(-10, os.SEEK_END) == len(KERNEL) - 10
        assert file.read() == KERNEL[-10:]
        assert file.read() == b""
        assert file.seek(3, os.SEEK_CUR) == len(KERNEL) + 3
        assert file.read(1) == b""
        with pytest.raises(ValueError, match="negative"):
            file.seek(-1)
        assert not file.writable()
    assert io.BufferedReader(volume.open_file("/boot/kernel/kernel")).read() == KERNEL


@given(offset=st.integers(0, len(KERNEL) + 5000), size=st.integers(0, 200_000))
def test_any_part_of_a_file(offset: int, size: int) -> None:
    with UFS2.open(image()) as volume:
        assert volume.open_file("/boot/kernel/kernel").read_at(offset, size) == KERNEL[offset : offset + size]


@pytest.mark.parametrize("block_size", [4096, 32768])
def test_extents_are_the_bytes_of_the_file(block_size: int) -> None:
    data = image(block_size)
    with UFS2.open(data) as volume:
        for path in ("/boot/kernel/kernel", "/tail", "/short", "/many"):
            whole = b"".join(data[start : start + length] for start, length in volume.extents(path))
            number = volume.find(path)
            assert whole == volume.open_inode(number).read()
        assert volume.extents("/etc/inline-119", follow_symlinks=False) == []
        assert volume.extents("/empty") == []
        assert len(volume.pointer_blocks("/boot/kernel/kernel")) == (3 if block_size == 4096 else 1)
        start, _ = volume.extents("/tail")[0]
        assert volume.block_for_lbn("/tail", 0) * volume.geometry.fragment_size == start
        assert volume.block_for_lbn("/tail", 1 << 40) == 0


def test_regions_and_extents_never_overlap(volume: UFS2) -> None:
    taken = sorted((region.offset, region.length) for region in volume.regions())
    for path, directories, files in volume.walk():
        taken.extend(volume.extents(path))
        taken.extend(volume.pointer_blocks(path))
        for entry in files:
            if entry.is_file() and entry.path != "/etc/hard":
                taken.extend(volume.extents(entry.path))
                taken.extend(volume.pointer_blocks(entry.path))
        assert all(entry.is_dir() for entry in directories)
    taken.sort()
    for (start, length), (following, _) in itertools.pairwise(taken):
        assert start + length <= following


def test_walk_and_iterdir(volume: UFS2) -> None:
    tops = {entry.name: entry for entry in volume.iterdir("/etc")}
    assert tops["deep"].is_dir()
    assert tops["hard"].is_file()
    assert tops["inline"].is_symlink()
    assert tops["deep"].path == "/etc/deep"
    assert [path for path, _, _ in volume.walk("/etc")] == ["/etc", "/etc/deep", "/etc/deep/er"]
    assert len(volume.listdir("/many")) == 600


def test_in_a_disk(tmp_path: object) -> None:
    disk = bytes(12345) + image() + bytes(99)
    with UFS2.open(disk, offset=12345, size=len(image())) as volume:
        assert volume.read_file("/short") == b"short\n"
    with pytest.raises(ImageTruncatedError):
        UFS2.open(disk, offset=len(disk) + 1)


@pytest.mark.parametrize("size", [0, 5, 65536, 66000, 70_000, 1 << 20])
def test_truncated(size: int) -> None:
    with pytest.raises((SuperblockError, ImageTruncatedError, CheckHashError)):
        UFS2.open(image()[:size])


def test_other_magics_are_named() -> None:
    data = bytearray(1 << 20)
    data[65536 + 1372 : 65536 + 1376] = (0x19960408).to_bytes(4, "little")
    with pytest.raises(SuperblockError, match="newfs"):
        UFS2.open(data)
    # All zeros but the magic: fs_old_inodefmt is that of 4.2BSD.
    data[8192 + 1372 : 8192 + 1376] = (0x011954).to_bytes(4, "little")
    with pytest.raises(UnsupportedError) as caught:
        UFS2.open(data)
    assert caught.value.field == "fs_old_inodefmt"


def test_damage_is_told_by_its_hash() -> None:
    editor = Editor(image())
    editor.data[editor.geometry.inode_offset(editor.find("/short")) + 4] ^= 1
    with UFS2.open(editor.data) as volume:
        with pytest.raises(CheckHashError) as caught:
            volume.read_file("/short")
        assert caught.value.field == "di_ckhash"
    with UFS2.open(editor.data, verify=False) as volume:
        assert volume.read_file("/short") == b"short\n"
    editor = Editor(image())
    editor.data[65536 + 900] ^= 1
    with pytest.raises(CheckHashError):
        UFS2.open(editor.data)


def test_hostile_inodes() -> None:
    editor = Editor(image())
    editor.change_inode(editor.find("/short"), di_size=1 << 63)
    editor.change_inode(editor.find("/tail"), di_size=1 << 38)
    editor.change_pointer(editor.find("/block"), 0, 1 << 62)
    editor.change_inode(editor.find("/many"), di_size=1 << 36)
    editor.change_inode(editor.find("/etc/block-120"), di_size=1 << 33)
    editor.change_record("/", "empty", inode=0xFFFFFFF0)
    editor.change_record("/boot", "kernel", inode=editor.find("/boot"))
    with UFS2.open(editor.data) as volume:
        with pytest.raises(InodeError):
            volume.read_file("/short")
        with pytest.raises(InodeError):
            volume.read_file("/tail")
        with pytest.raises(BlockError):
            volume.read_file("/block")
        with pytest.raises(DirectoryError):
            volume.listdir("/many")
        with pytest.raises(InodeError):
            volume.readlink("/etc/block-120")
        with pytest.raises(InodeError):
            volume.stat("/empty")
        with pytest.raises(DirectoryError, match="two directories"):
            list(volume.walk("/boot"))


def test_a_file_that_shares_its_pointers_with_itself_ends() -> None:
    editor = Editor(image())
    number = editor.find("/boot/kernel/kernel")
    inode = editor.inode(number)
    # Every slot of the double indirect block leads to the same single indirect one.
    root = inode.di_ib[1] * editor.geometry.fragment_size
    editor.data[root : root + 4096] = inode.di_ib[0].to_bytes(8, "little") * 512
    editor.change_inode(number, di_size=editor.geometry.max_file_size // 600)
    with UFS2.open(editor.data) as volume, pytest.raises(BlockError):
        volume.extents("/boot/kernel/kernel")
    # The double indirect block leads to itself.
    editor.data[root : root + 4096] = inode.di_ib[1].to_bytes(8, "little") * 512
    editor.change_inode(number, di_ib=(inode.di_ib[0], inode.di_ib[1], inode.di_ib[1]))
    with UFS2.open(editor.data) as volume, pytest.raises(BlockError):
        volume.pointer_blocks("/boot/kernel/kernel")


def read_everything(data: bytes | bytearray) -> None:
    """Whatever a program can ask for, within reason."""
    with UFS2.open(data, verify=False) as volume:
        for path, directories, files in volume.walk():
            for entry in [*directories, *files]:
                volume.stat_inode(entry.inode)
                try:
                    if entry.is_symlink():
                        volume.link_target(entry.inode)
                    elif entry.is_file():
                        volume.read_file(entry.path)
                        volume.extents(entry.path)
                except Ufs2Error:
                    continue
            assert path


def test_random_damage_is_always_a_typed_error() -> None:
    chance = random.Random(11)
    clean = image()
    geometry = Editor(clean).geometry
    places = [(65536, 1376), (geometry.inode_offset(2), 20_000), (geometry.dblkno * 512, 40_000)]
    for _ in range(60):
        data = bytearray(clean)
        for _ in range(chance.randrange(1, 20)):
            start, length = chance.choice(places)
            data[start + chance.randrange(length)] ^= 1 << chance.randrange(8)
        with contextlib.suppress(FormatError):
            read_everything(data)


LONG_VALUE = bytes(range(256)) * 5
ATTRIBUTES = [
    Attribute(1, b"comment", b"the kernel"),
    Attribute(2, b"posix1e.acl_access", LONG_VALUE),
    Attribute(1, b"n" * 255, b""),
]


def with_attributes(area: bytes, options: Options) -> Editor:
    """The sample with extended attributes at ``/short``, in fragments that nothing else holds."""
    editor = Editor(sample_image(options))
    fsize = editor.geometry.fragment_size
    count = -(-len(area) // fsize)
    address = editor.geometry.size - editor.geometry.fragments_per_block
    editor.data[address * fsize : address * fsize + len(area)] = area
    number = editor.find("/short")
    held = editor.inode(number).di_blocks + count * fsize // 512
    editor.change_inode(number, di_extsize=len(area), di_extb=(address, 0), di_blocks=held)
    return editor


@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_extended_attributes(byteorder: ByteOrder) -> None:
    editor = with_attributes(pack_attributes(ATTRIBUTES, byteorder), Options(byteorder=byteorder))
    with UFS2.open(editor.data) as volume:
        assert volume.attributes("/short") == ATTRIBUTES
        assert volume.listxattr("/short") == ["user.comment", "system.posix1e.acl_access", "user." + "n" * 255]
        assert volume.getxattr("/short", "system.posix1e.acl_access") == LONG_VALUE
        assert volume.listxattr("/tail") == []
        with pytest.raises(OSError, match="no extended attribute") as caught:
            volume.getxattr("/short", "user.none")
        assert caught.value.errno == errno.ENODATA
    # Only the maps do not know of the block.
    assert {finding.kind for finding in check(editor.data)} & {
        "inode-extsize",
        "inode-blocks",
        "inode-attributes",
    } == set()


@pytest.mark.parametrize(
    "area",
    [
        b"\x10\0\0\0\1\0",
        b"\0\0\0\0\1\0\1x",
        b"\x11\0\0\0\1\0\1x" + bytes(16),
        b"\x20\0\0\0\1\0\1x" + bytes(8),
        b"\x10\0\0\0\1\x09\1x" + bytes(8),
        b"\x10\0\0\0\1\0\0x" + bytes(8),
        b"\xf8\xff\xff\xff\1\0\1x" + bytes(8),
    ],
)
def test_damaged_attributes(area: bytes) -> None:
    editor = with_attributes(area, Options(block_size=4096, fragment_size=512))
    with UFS2.open(editor.data) as volume, pytest.raises(AttributeAreaError):
        volume.attributes("/short")
    assert "inode-attributes" in {finding.kind for finding in check(editor.data)}


def test_snapshots_are_listed_and_not_read() -> None:
    editor = Editor(image())
    number = editor.find("/boot/kernel/kernel")
    inode = editor.inode(number)
    # What a snapshot's pointers look like: not copied, a hole, an address.
    pointers = (1, 2, 0, *inode.di_db[3:])
    editor.change_inode(number, di_db=pointers, di_flags=SF_SNAPSHOT)
    with UFS2.open(editor.data) as volume:
        assert volume.stat("/boot/kernel/kernel").st_flags == SF_SNAPSHOT
        assert volume.extents("/boot/kernel/kernel") == []
        with pytest.raises(UnsupportedError):
            volume.read_file("/boot/kernel/kernel")
    # Three blocks are free now, and nothing else is wrong.
    findings = check(editor.data)
    marked = [finding for finding in findings if finding.kind == "block-marked-used"]
    assert [finding.actual for finding in marked] == [inode.di_db[0]]
    assert {finding.kind for finding in findings} <= {
        "block-marked-used", "group-free-blocks", "summary-free-blocks", "superblock-free-blocks", "group-cluster-sum",
        "group-cluster-map", "group-free-fragments", "summary-free-fragments", "superblock-free-fragments",
    }  # fmt: skip


def test_one_empty_indirect_block_named_a_million_times_is_not_walked() -> None:
    """A triple indirect block whose pointers all lead to the same leaf of zeros: 2**26 holes, none of them real."""
    size = 65536
    editor = Editor(
        image_of({"f": pattern(13 * size)}, Options(block_size=size, fragment_size=size // 8), size=64 << 20)
    )
    fragment = editor.geometry.fragment_size
    last = (editor.geometry.size // 8 - 3) * 8
    leaf, middle, top = last - 8, last - 16, last - 24
    for address, below in ((leaf, 0), (middle, leaf), (top, middle)):
        editor.data[address * fragment : address * fragment + size] = struct.pack("<q", below) * (size // 8)
    number = editor.find("/f")
    inode = editor.inode(number)
    editor.change_inode(number, di_ib=(inode.di_ib[0], 0, top), di_size=editor.geometry.max_file_size)
    with UFS2.open(bytes(editor.data)) as volume, pytest.raises(BlockError, match="more blocks than the file system"):
        volume.extents("/f")


def test_what_cannot_be_a_path_is_a_typed_error() -> None:
    with UFS2.open(image_of({"f": b"x"}, Options())) as volume:
        for ask in (volume.find, volume.exists, volume.readlink, volume.read_file):
            with pytest.raises(PathError):
                ask("/\ud800")
        with volume.open_file("/f") as file, pytest.raises(ValueError, match="whence"):
            file.seek(0, 9)


#: Links by path: to a file, into a directory, to nothing, to themselves, and to each other.
LINKS = {
    "good": "f",
    "inside": "d/g",
    "dangling": "none",
    "self": "self",
    "one": "other",
    "other": "one",
    "on": "self/x",
}


def test_what_exists_is_what_a_folder_of_the_host_says(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "f").write_bytes(b"x")
    (tmp_path / "d" / "g").write_bytes(b"y")
    for name, target in LINKS.items():
        (tmp_path / name).symlink_to(target)
    with UFS2.open(
        image_of({"f": b"x", "d/g": b"y", **{n: Symlink(t) for n, t in LINKS.items()}}, Options())
    ) as volume:
        for path in ("f", "d", "d/g", "f/x", "none", *LINKS, *(f"{name}/x" for name in LINKS)):
            assert volume.exists(f"/{path}") == os.path.exists(tmp_path / path), path
