"""What does not fit a record, and what a file has besides its content: built, and told by ntfs-3g's programs."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import cloudboot_ntfs as ntfs
from cloudboot_base import MemoryStorage
from cloudboot_base.testing import judge, run
from cloudboot_ntfs import errors
from cloudboot_ntfs.builder.source import Member
from cloudboot_ntfs.layout.records import ReparseHead
from cloudboot_ntfs.security import sid_bytes
from cloudboot_ntfs.testing import mounted, ntfsfix, pattern

TAG = 0x80000099
#: Seconds and hundreds of nanoseconds that FILETIME can tell.
MADE, READ, MODIFIED, CHANGED = (1_500_000_000_123_456_700 + step * 10**17 for step in range(4))


def reparse(size: int) -> bytes:
    return ReparseHead(TAG, size, 0).pack() + pattern(size)


def attribute(image: Path, path: str, kind: int) -> bytes:
    """The bytes of an attribute, as ntfscat reads them."""
    command = [str(judge("ntfscat", "ntfs-3g")), "-a", f"{kind:#x}", str(image), path]
    return subprocess.run(command, capture_output=True, check=True).stdout


def kinds(image: Path, path: str) -> dict[str, str]:
    """The names of a file with their kinds, as ntfsinfo tells them."""
    told = run(judge("ntfsinfo", "ntfs-3g"), "-f", "-v", "-F", path, image)
    return dict(zip(re.findall(r"Filename:\s+'(.*)'", told), re.findall(r"Namespace:\s+(.*)", told), strict=True))


def test_kinds_of_names(tmp_path: Path) -> None:
    """A name that DOS can hold is one for DOS, whatever its case; of a file with several, one is."""
    tree: dict[str, Member] = {
        "/Readme.txt": b"1", "/long name.txt": b"2", "/bootmgr": b"3", "/nul.txt": b"4", "/a\u017f": b"5",
        "/Windows": ntfs.Directory(), "/one": b"6", "/Two.dll": ntfs.HardLink("/one"),
        "/a third name": ntfs.HardLink("/one"),
        "/Program Files": ntfs.Directory(short_name="PROGRA~1"),
        "/linked.exe": b"7", "/a pair of names": ntfs.HardLink("/linked.exe", short_name="APAIRO~1"),
    }  # fmt: skip
    ntfs.build(tmp_path / "image", tree)
    ntfs.format(tmp_path / "edited", size=8 << 20)
    with ntfs.WritableNTFS(tmp_path / "edited", short_names=True) as volume:
        volume.write_file("/one", b"6")
        volume.link("/one", "/Two.dll")
        volume.link("/one", "/a third name")
        volume.mkdir("/Program Files")
        volume.write_file("/Readme.txt", b"1")
    expected = {
        "/Readme.txt": {"Readme.txt": "Win32 & DOS"},
        "/one": {"one": "Win32 & DOS", "Two.dll": "POSIX", "a third name": "POSIX"},
        "/Program Files": {"Program Files": "Win32", "PROGRA~1": "DOS"},
    }
    for path, names in expected.items():
        assert kinds(tmp_path / "image", path) == kinds(tmp_path / "edited", path) == names
    image = tmp_path / "image"
    assert kinds(image, "/bootmgr") == {"bootmgr": "Win32 & DOS"}
    assert kinds(image, "/Windows") == {"Windows": "Win32 & DOS"}
    assert kinds(image, "/long name.txt") == {"long name.txt": "POSIX"}
    assert kinds(image, "/nul.txt") == {"nul.txt": "POSIX"}
    assert kinds(image, "/a\u017f") == {"a\u017f": "POSIX"}
    assert kinds(image, "/linked.exe") == {"linked.exe": "POSIX", "a pair of names": "Win32", "APAIRO~1": "DOS"}
    with mounted(image, "ro") as folder:
        assert os.getxattr(folder / "Program Files", "system.ntfs_dos_name") == b"PROGRA~1"
        assert (folder / "a pair of names").stat().st_nlink == 3  # of ntfs-3g; the name for DOS counts in the record
    with ntfs.NTFS(image) as volume:
        assert volume.read_file("/apairo~1") == b"7"
        assert volume.listdir("/PROGRA~1") == []
    assert ntfs.check(image) == []
    assert ntfs.check(tmp_path / "edited") == []


def test_times_of_a_member(tmp_path: Path) -> None:
    member = ntfs.File(b"x", mtime_ns=MODIFIED, created_ns=MADE, accessed_ns=READ, changed_ns=CHANGED)
    ntfs.build(tmp_path / "image", {"/file": member, "/other": ntfs.File(b"y", mtime_ns=MODIFIED)})
    told = []
    with mounted(tmp_path / "image", "ro") as folder:
        for name in ("file", "other"):
            raw = os.getxattr(folder / name, "system.ntfs_times")
            told.append([time * 100 - 11_644_473_600 * 10**9 for time in struct.unpack("<4Q", raw)])
    assert told == [[MADE, MODIFIED, READ, CHANGED], [MODIFIED] * 4]


@pytest.mark.parametrize("cluster_size", [512, 65536])
def test_reparse_points_that_do_not_fit_a_record(cluster_size: int, tmp_path: Path) -> None:
    image = tmp_path / "image"
    target = "/".join(["a rather long name of a folder"] * 90)
    tree: dict[str, Member] = {
        "/file": ntfs.Reparse(reparse(16_000)), "/folder": ntfs.Reparse(reparse(3000), is_directory=True),
        "/link": ntfs.Symlink(target),
    }  # fmt: skip
    ntfs.build(image, tree, ntfs.Options(cluster_size=cluster_size), size=32 << 20)
    with ntfs.WritableNTFS(image) as volume:
        volume.symlink(target, "/made")
        volume.make_reparse_point("/made file", reparse(2000))
        volume.make_reparse_point("/gone", reparse(9000))
        volume.rename("/gone", "/going")
        volume.unlink("/going")
        assert volume.readlink("/link") == volume.readlink("/made") == target
    assert ntfs.check(image) == []
    assert "processed successfully" in ntfsfix(image)
    for name, size in (("file", 16_000), ("folder", 3000), ("made file", 2000)):
        assert attribute(image, name, 0xC0) == reparse(size)
    assert attribute(image, "link", 0xC0) == attribute(image, "made", 0xC0)
    assert target.replace("/", "\\").encode("utf-16-le") in attribute(image, "link", 0xC0)
    with pytest.raises(errors.SourceError, match="too long"):
        ntfs.build(MemoryStorage(bytearray(8 << 20)), {"/link": ntfs.Symlink("x" * 5000)})


def test_a_security_descriptor_that_does_not_fit_a_record(tmp_path: Path) -> None:
    image = tmp_path / "image"
    large = "O:BAG:BAD:" + "(A;;FA;;;S-1-5-21-1-2-3-4)" * 200
    ntfs.build(image, {"/folder/file": b"1"})
    with ntfs.WritableNTFS(image) as volume:
        volume.set_sddl("/folder", large)
        volume.set_sddl("/folder", large + "(A;;FA;;;WD)")
        volume.write_file("/folder/new", b"2")
        volume.set_sddl("/folder/file", large)
        volume.unlink("/folder/file")
        assert volume.sddl("/folder") == volume.sddl("/folder/new") == large + "(A;;FA;;;WD)"
    assert ntfs.check(image) == []
    with ntfs.NTFS(image) as volume:
        assert volume.security_descriptor("/folder/new").count(sid_bytes("S-1-5-21-1-2-3-4")) == 200
    assert "All keys are present in all lists" in run(judge("ntfssecaudit", "ntfs-3g"), "-a", image, codes=(0, 1))
    for wrong in ("(A;;FA;;;BA)" * 3000, "(OA;;FA;no guid;;BA)", "(XA;;FA;;;BA;#" + "00" * 70_000 + ")"):
        with pytest.raises(errors.DescriptorError):
            ntfs.build(MemoryStorage(bytearray(8 << 20)), {"/a": ntfs.File(b"", security=f"O:BAG:BAD:{wrong}")})


def test_streams_from_anywhere_and_more_than_a_record_holds(tmp_path: Path) -> None:
    """Of the root, too, whose record comes before the number of records is known."""
    (tmp_path / "host").write_bytes(pattern(5000, 3))
    streams: dict[str, bytes | Path | MemoryStorage] = {
        f"stream {number}": pattern(number * 7, number) for number in range(60)
    }
    streams |= {"of the host": tmp_path / "host", "of a storage": MemoryStorage(bytearray(pattern(40_000, 4)))}
    tree: dict[str, Member] = {"/": ntfs.Directory(streams=streams), "/file": ntfs.File(b"main", streams=streams)}
    tree |= {f"/{number}": ntfs.File(b"%d" % number) for number in range(100)}
    image = tmp_path / "image"
    ntfs.build(image, tree)
    assert ntfs.check(image) == []
    assert "processed successfully" in ntfsfix(image)
    with mounted(image, "ro") as folder:
        assert len([path for path in folder.iterdir() if path.name.isdigit()]) == 100
        for number in range(60):
            assert Path(f"{folder}/file:stream {number}").read_bytes() == pattern(number * 7, number)
        assert Path(f"{folder}/file:of the host").read_bytes() == pattern(5000, 3)
        assert Path(f"{folder}/file:of a storage").read_bytes() == pattern(40_000, 4)
    with ntfs.NTFS(image) as volume:
        assert volume.read_file("/", stream="stream 59") == pattern(59 * 7, 59)
        assert len(volume.streams("/")) == 62


def test_a_directory_whose_index_bitmap_does_not_fit_its_record(tmp_path: Path) -> None:
    """More than 1,024 index blocks, which names of 255 units fill soonest."""
    count = 7000
    ntfs.build(tmp_path / "image", {f"/d/{number:05}{'n' * 250}": b"" for number in range(count)})
    assert ntfs.check(tmp_path / "image") == []
    with mounted(tmp_path / "image", "ro") as folder:
        assert len(os.listdir(folder / "d")) == count
        assert (folder / f"d/{count - 1:05}{'n' * 250}").exists()
    with ntfs.WritableNTFS(tmp_path / "image") as volume:
        volume.write_file("/d/new", b"1")
        volume.unlink(f"/d/00007{'n' * 250}")
    assert ntfs.check(tmp_path / "image") == []


def test_names_that_windows_cannot_open() -> None:
    tree = {"/ok": b"", "/full stop.": b"", "/sub/CON": b"", "/a:b": b"", "/console": b""}
    built = ntfs.build(MemoryStorage(bytearray(8 << 20)), tree)
    assert set(built.foreign) == {"/full stop.", "/sub/CON", "/a:b"}
    with pytest.raises(errors.SourceError, match="Windows cannot open"):
        ntfs.build(MemoryStorage(bytearray(8 << 20)), tree, ntfs.Options(windows_names=True))


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"/a long name": ntfs.File(b"", short_name="lower long")}, "not an 8.3 name"),
        ({"/a long name": ntfs.File(b"", short_name="A~1"), "/a~1": b""}, "tell apart"),
        ({"/a~1": b"", "/a long name": ntfs.File(b"", short_name="A~1")}, "another file's"),
        (
            {"/a long": ntfs.File(b"", short_name="A~1"), "/b long": ntfs.HardLink("/a long", short_name="B~1")},
            "one 8.3 name",
        ),
    ],
)
def test_short_names_that_cannot_be(tree: dict[str, bytes], message: str) -> None:
    with pytest.raises(errors.SourceError, match=message):
        ntfs.build(MemoryStorage(bytearray(8 << 20)), tree)


@pytest.mark.parametrize("cluster_size", [512, 4096, 16384, 65536])
def test_large_files_start_at_multiples_of_64_kib(cluster_size: int, tmp_path: Path) -> None:
    """What is passed over before them is free: another program may take it."""
    tree = {
        f"/{number:02}": pattern((1 << 20) + number * 7777 if number % 3 == 1 else number * 999) for number in range(20)
    }
    image = tmp_path / "image"
    ntfs.build(image, tree, ntfs.Options(cluster_size=cluster_size), size=32 << 20)
    with ntfs.NTFS(image) as volume:
        places = [volume.extents(f"/{number:02}")[0].offset for number in range(20) if number % 3 == 1]
    assert [place % 65536 for place in places] == [0] * len(places)
    assert ntfs.check(image) == []
    told = run(sys.executable, "-m", "phantom_trace", image)
    assert "No cross-layer inconsistencies found" in told
    with mounted(image) as folder:
        for number in range(40):
            (folder / f"new {number}").write_bytes(pattern(20_000, number))
        for path, data in tree.items():
            assert (folder / path[1:]).read_bytes() == data
    assert ntfs.check(image) == []
