"""Extended attributes: the bytes on disk as extattr.h has them, and through archives, which bsdtar and tar judge.

No program outside of FreeBSD reads the attributes of UFS2, so the bytes here are put together by hand from the
specification: ``sys/sys/extattr.h`` (the record) and ``sys/ufs/ffs/ffs_vnops.c`` (how the kernel pads it).
"""

from __future__ import annotations

import base64
import io
import re
import tarfile
from pathlib import Path

import pytest

from cloudboot_base import MemoryStorage
from cloudboot_base.testing import judge, run
from cloudboot_ufs2 import (
    UFS2,
    Directory,
    File,
    HardLink,
    Options,
    SourceError,
    Symlink,
    WritableUFS2,
    build,
    check,
    compare,
    extract,
    required_size,
)
from cloudboot_ufs2.builder.members import Member
from cloudboot_ufs2.testing import image_of, pattern, totals

SMALL = Options(block_size=4096, fragment_size=512, timestamp=1)
VALUES = {
    "user.comment": b"hello",
    "user.empty": b"",
    "user.binary": bytes(range(256)),
    "system.posix1e.acl_access": b"\0\1\2\3" * 5,
}
#: user.comment, little-endian: length 24, namespace 1 (user), 3 bytes after the content, a name of 7 bytes, the name,
#: padding to 8 bytes; the content and its own padding.
COMMENT = bytes.fromhex("18000000 01 03 07 63 6f 6d 6d 65 6e 74 0000 68 65 6c 6c 6f 000000")
#: system.x, whose name ends where 8 bytes do, and whose content does: length 16, no padding at all.
EXACT = bytes.fromhex("10000000 02 00 01 78 31 32 33 34 35 36 37 38")


def area_of(image: bytes | bytearray, path: str) -> tuple[int, bytes]:
    """di_extsize, and the fragments di_extb leads to, without help from what reads attributes."""
    with UFS2.open(image) as volume:
        inode, fsize = volume.read_inode(volume.find(path)), volume.geometry.fragment_size
        data, left = b"", inode.di_extsize
        for address in inode.di_extb:
            held = min(left, volume.geometry.block_size)
            data += image[address * fsize : address * fsize + -(-held // fsize) * fsize] if address else b""
            left -= held
        return inode.di_extsize, data


@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_the_bytes_on_disk(byteorder: str) -> None:
    options = Options(
        block_size=4096, fragment_size=512, byteorder="big" if byteorder == "big" else "little", timestamp=1
    )
    member = File(b"content", xattrs={"user.comment": b"hello", "system.x": b"12345678"})
    built = image_of({"a": member}, options)
    edited = bytearray(image_of({"a": File(b"content")}, options))
    with WritableUFS2.open(edited) as volume:
        volume.setxattr("/a", "system.x", b"12345678")
        volume.setxattr("/a", "user.comment", b"hello")
    exact, comment = EXACT, COMMENT
    if byteorder == "big":
        exact, comment = EXACT[3::-1] + EXACT[4:], COMMENT[3::-1] + COMMENT[4:]
    for image in (built, edited):
        assert check(image) == []
        size, data = area_of(image, "/a")
        assert size == 40
        assert data == (exact + comment).ljust(512, b"\0")


def test_an_area_of_two_blocks_and_no_more() -> None:
    # The header of 7 bytes, a name of 1 and the value: two blocks to the byte.
    whole = {"user.x": pattern(2 * 4096 - 8)}
    image = image_of({"a": File(b"", xattrs=whole), "b": b"x"}, SMALL)
    assert check(image) == []
    size, data = area_of(image, "/a")
    assert (size, len(data)) == (8192, 8192)
    assert data[:8] == (8192).to_bytes(4, "little") + b"\1\0\1x"
    assert data[8:] == whole["user.x"]
    with UFS2.open(image) as volume:
        assert volume.getxattr("/a", "user.x") == whole["user.x"]
    with pytest.raises(SourceError, match="a: its extended attributes do not fit two blocks"):
        image_of({"a": File(b"", xattrs={"user.x": pattern(2 * 4096 - 7)})}, SMALL)


def held_by(values: dict[str, bytes]) -> bytearray:
    tree: dict[str, Member] = {
        "d": Directory(xattrs=values), "d/a": File(pattern(9000), xattrs=values), "d/l": Symlink("a", xattrs=values),
    }  # fmt: skip
    return bytearray(image_of(tree, SMALL, size=4 << 20))


def test_what_is_built_with_attributes_can_be_changed_and_leaves_nothing_behind() -> None:
    image = held_by(VALUES)
    assert check(image) == []
    with WritableUFS2.open(image) as volume, UFS2.open(held_by({})) as bare:
        for path in ("/d", "/d/a", "/d/l"):
            assert {name: volume.getxattr(path, name, follow_symlinks=False) for name in VALUES} == VALUES
            assert volume.listxattr(path, follow_symlinks=False) == sorted(VALUES)
            for name in VALUES:
                volume.removexattr(path, name, follow_symlinks=False)
        assert totals(volume) == totals(bare)
    assert check(image) == []


def test_a_size_that_is_fitted_counts_them() -> None:
    tree = {f"{number:03}": File(b"x", xattrs={"user.x": pattern(8000)}) for number in range(200)}
    size = required_size(tree, SMALL)
    buffer = bytearray(size)
    build(MemoryStorage(buffer), tree, SMALL)
    assert check(buffer) == []
    assert size > 200 * 8192


@pytest.mark.parametrize("name", ["comment", "other.comment", "user.", "user." + "x" * 256, "user.a\0b"])
def test_a_name_that_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(SourceError, match="an extended attribute"):
        image_of({"a": File(b"", xattrs={name: b""})})


AWKWARD = {**VALUES, "user.with=equals": b"1", "user.caf\u00e9 100%": b"\xff\0", "user.\udcff": b"not UTF-8"}


def carried() -> bytes:
    tree: dict[str, Member] = {
        "d": Directory(0o700, xattrs={"user.folder": b"1"}),
        "d/a": File(b"a", xattrs=AWKWARD),
        "d/b": HardLink("d/a"),
        "d/link": Symlink("a", xattrs={"user.link": b"2"}),
        "bare": b"",
    }
    return image_of(tree, SMALL)


def test_through_an_archive_and_back(tmp_path: Path) -> None:
    image, archive = carried(), tmp_path / "a.tar"
    with UFS2.open(image) as volume:
        extract(volume, archive)
    again = tmp_path / "again"
    build(again, archive, SMALL)
    assert check(again) == []
    with UFS2.open(image) as volume, UFS2.open(again) as other:
        assert list(compare(volume, other)) == []
        assert {name: other.getxattr("/d/b", name) for name in AWKWARD} == AWKWARD
        assert other.listxattr("/d") == ["user.folder"]
        assert other.listxattr("/d/link", follow_symlinks=False) == ["user.link"]


def test_differences(tmp_path: Path) -> None:
    image = bytearray(carried())
    before = bytes(image)
    with WritableUFS2.open(image) as volume:
        volume.removexattr("/d/a", "user.comment")
        volume.setxattr("/d", "user.folder", b"other")
    with UFS2.open(before) as one, UFS2.open(image) as other:
        found = [(each.path, each.field, each.left, each.right) for each in compare(one, other)]
        assert found == [
            ("/d", "xattrs", "user.folder=b'1'", "user.folder=b'other'"),
            ("/d/a", "xattrs", "user.comment=b'hello'", None),
            ("/d/b", "xattrs", "user.comment=b'hello'", None),
        ]
        assert list(compare(one, other, ignore=["xattrs"])) == []


def test_gnu_tar_sees_the_attributes(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    with UFS2.open(carried()) as volume:
        extract(volume, archive)
    listed = run(judge("tar", "tar"), "--xattrs", "--xattrs-include=*", "-tvvf", archive)
    shown = {name: int(size) for size, name in re.findall(r"^  x: +(\d+) (\S+)$", listed, re.MULTILINE)}
    assert shown == {**{name: len(value) for name, value in VALUES.items()}, "user.folder": 1, "user.link": 1}


def test_bsdtar_reads_ours_and_we_read_bsdtars(tmp_path: Path) -> None:
    """bsdtar converts an archive into one of its own: it must have understood every attribute."""
    bsdtar = judge("bsdtar", "libarchive-tools")
    ours, theirs = tmp_path / "ours.tar", tmp_path / "theirs.tar"
    image = carried()
    with UFS2.open(image) as volume:
        extract(volume, ours)
    run(bsdtar, "-c", "--format", "pax", "-f", theirs, f"@{ours}")
    with tarfile.open(theirs, errors="surrogateescape") as archive:
        headers = archive.getmember("d/a").pax_headers
    for name, value in VALUES.items():
        assert headers[f"SCHILY.xattr.{name}"].encode("utf-8", "surrogateescape") == value
        packed = headers[f"LIBARCHIVE.xattr.{name}"]
        assert base64.b64decode(packed + "=" * (-len(packed) % 4)) == value
    assert headers["LIBARCHIVE.xattr.user.with%3Dequals"] == "MQ"
    build(tmp_path / "again", theirs, SMALL)
    with UFS2.open(image) as volume, UFS2.open(tmp_path / "again") as other:
        assert list(compare(volume, other, ignore=["mtime"])) == []


def test_archives_of_linux_bring_what_freebsd_can_hold(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a")
    info.pax_headers = {
        "SCHILY.xattr.user.comment": "x", "SCHILY.xattr.security.capability": "\1\2", "SCHILY.xattr.trusted.t": "t",
    }  # fmt: skip
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info, io.BytesIO())
    build(tmp_path / "image", path, SMALL)
    with UFS2.open(tmp_path / "image") as volume:
        assert volume.listxattr("/a") == ["user.comment"]


@pytest.mark.parametrize("value", ["*", "A", "QQ==="])
def test_what_is_not_base64_is_refused(tmp_path: Path, value: str) -> None:
    info = tarfile.TarInfo("a")
    info.pax_headers = {"LIBARCHIVE.xattr.user.comment": value}
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info, io.BytesIO())
    with pytest.raises(SourceError, match="not base64"):
        build(tmp_path / "image", path, SMALL)
