"""Replacing what is there: the old content stands until the new one is complete, whatever happens in between."""

from __future__ import annotations

import io
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudboot_base.command import BAD_INPUT, NO_SPACE, OK
from cloudboot_base.testing import judge, run
from cloudboot_ufs2 import UFS2, File, HardLink, NoSpaceError, Options, Symlink, WritableUFS2, build, check
from cloudboot_ufs2.__main__ import main
from cloudboot_ufs2.builder.members import Member
from cloudboot_ufs2.editor.capacity import need_of
from cloudboot_ufs2.editor.copyin import copy_in
from cloudboot_ufs2.layout.constants import FS_NEEDSFSCK
from cloudboot_ufs2.testing import AFTER_A_CUT, Journal, assert_clean, editable_image, pattern, totals

SMALL = Options(block_size=4096, fragment_size=512)
OLD, NEW = pattern(2_700_077, 1), pattern(2_000_123, 2)
TREE: dict[str, Member] = {
    "f": File(OLD, 0o640, uid=3, gid=4, xattrs={"user.a": b"b"}),
    "one": pattern(90_000, 3),
    "two": HardLink("one"),
}


def free_bytes(volume: UFS2) -> int:
    total, geometry = volume.superblock.fs_cstotal, volume.geometry
    return (total.cs_nbfree * geometry.fragments_per_block + total.cs_nffree) * geometry.fragment_size


def fill(volume: WritableUFS2, leave: int) -> None:
    """Leave so many free bytes, in whole blocks."""
    frag, bsize = volume.geometry.fragments_per_block, volume.geometry.block_size
    with WritableUFS2.open(volume._storage, use_reserve=True) as other:
        while (spare := free_bytes(other) - leave) > 2 * bsize:
            size = min(12 * bsize, spare - bsize)
            other.write_file(f"/fill{spare}", b"f" * (size // bsize * bsize))
        assert frag


@pytest.mark.parametrize("path", ["/f", "/one"])
def test_a_cut_anywhere_leaves_the_old_content_or_the_new(path: str) -> None:
    image = editable_image(TREE, SMALL, size=16 << 20)
    journal = Journal(image)
    volume = WritableUFS2.open(journal)
    old = volume.read_file(path)
    before = bytearray(image)
    volume.write_file(path, NEW)
    assert volume.read_file(path) == NEW
    assert volume.read_file("/two") == pattern(90_000, 3)
    assert_clean(image)
    seen = set()
    for offset, data in journal.writes[:-1]:
        before[offset : offset + len(data)] = data
        findings = check(before)
        assert {found.kind for found in findings} <= AFTER_A_CUT | {"unclean"}
        with UFS2.open(before) as cut:
            content = cut.read_file(path)
            assert content in (old, NEW)
            seen.add(content == NEW)
            assert cut.read_file("/two") == pattern(90_000, 3)
            if findings:
                assert cut.superblock.fs_flags & FS_NEEDSFSCK
    assert seen == {False, True}


def test_what_belongs_to_the_file_stays() -> None:
    image = editable_image(TREE, SMALL, size=16 << 20)
    with WritableUFS2.open(image, clock=lambda: 5 * 10**9) as volume:
        before = volume.stat("/f")
        volume.write_file("/f", NEW)
        after = volume.stat("/f")
        assert (after.st_ino, after.st_mode, after.st_uid, after.st_gid) == (
            before.st_ino, before.st_mode, before.st_uid, before.st_gid,
        )  # fmt: skip
        assert after.st_birthtime_ns == before.st_birthtime_ns
        assert after.st_mtime_ns == 5 * 10**9
        assert volume.getxattr("/f", "user.a") == b"b"
        volume.link("/f", "/g")
        volume.write_file("/g", OLD)
        assert volume.read_file("/f") == NEW
        assert volume.stat("/f").st_nlink == volume.stat("/g").st_nlink == 1
        assert volume.getxattr("/g", "user.a") == b"b"
        assert stat.S_IMODE(volume.stat("/g").st_mode) == 0o640
        volume.link("/f", "/h")
        volume.write_file("/h", b"for both", in_place=True)
        assert volume.read_file("/f") == b"for both"
    assert_clean(image)


def test_nothing_leaks() -> None:
    image = editable_image(TREE, SMALL, size=16 << 20)
    with WritableUFS2.open(image) as volume:
        before = totals(volume)
        volume.write_file("/f", NEW)
        volume.write_file("/f", b"")
        volume.write_file("/f", bytes(3_000_000), sparse=True)
        volume.write_file("/f", io.BytesIO(OLD))
        assert totals(volume) == before
    assert_clean(image)


@pytest.mark.parametrize("minfree", [0, 8])
@pytest.mark.parametrize("short", [0, 512])
def test_a_replacement_fits_exactly_what_is_free_with_the_reserve(minfree: int, short: int) -> None:
    options = Options(block_size=4096, fragment_size=512, minfree=minfree)
    image = editable_image({"f": OLD}, options, size=16 << 20)
    volume = WritableUFS2.open(image)
    fill(volume, 2 << 20)
    volume = WritableUFS2.open(image)
    free = free_bytes(volume)
    size = free  # the largest whose blocks, indirect ones included, take exactly what is free
    frag = volume.geometry.fragments_per_block
    while need_of(volume.geometry, size).fragments(frag) * 512 > free:
        size -= 512
    data = pattern(size + short, 7)
    if need_of(volume.geometry, len(data)).fragments(frag) * 512 <= free:
        data = pattern(size + 8192, 7)
    if not short:
        volume.write_file("/f", pattern(size, 7))
        assert volume.read_file("/f") == pattern(size, 7)
    else:
        state = bytes(image)
        with pytest.raises(NoSpaceError, match="bytes are missing") as caught:
            volume.write_file("/f", data)
        need = need_of(volume.geometry, len(data)).fragments(frag) * 512
        assert caught.value.missing in (need - free, need - free + 4096 - (need - free) % 4096)
        assert "in-place" in str(caught.value.hint)
        assert bytes(image) == state
    assert_clean(image)


@pytest.mark.parametrize("make", [lambda data: data, io.BytesIO], ids=["bytes", "stream"])
def test_without_room_the_old_content_stays(make: Callable[[bytes], bytes]) -> None:
    image = editable_image({"f": OLD, "one": b"1", "two": HardLink("one")}, SMALL, size=4 << 20)
    volume = WritableUFS2.open(image)
    for path, old in (("/f", OLD), ("/one", b"1")):
        with pytest.raises(NoSpaceError):
            volume.write_file(path, make(pattern(3_000_000, 9)))
        assert volume.read_file(path) == old
    assert volume.read_file("/two") == b"1"
    assert_clean(image)


@pytest.fixture
def full(tmp_path: Path) -> str:
    """An image as large as its content needs, as ``build`` makes them, with a kernel of two names."""
    tree: dict[str, Member] = {
        "boot/vmlinuz": File(pattern(6_000_000, 1), 0o644), "vmlinuz": HardLink("boot/vmlinuz"),
        "etc/motd": b"old", "link": Symlink("etc/motd"),
    }  # fmt: skip
    build(tmp_path / "full.ufs", tree, Options(minfree=8))
    return str(tmp_path / "full.ufs")


def test_put_refuses_what_does_not_fit(full: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "new").write_bytes(pattern(7_000_000, 2))
    for target in ("/boot/vmlinuz", "/etc/motd", "/fresh"):
        before = Path(full).read_bytes()
        assert main(["put", full, str(tmp_path / "new"), target, "--force"]) == NO_SPACE
        assert "bytes are missing" in capsys.readouterr().err
        assert Path(full).read_bytes() == before
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "motd").write_bytes(b"a new one")
    (folder / "zz").write_bytes(pattern(7_000_000, 2))
    before = Path(full).read_bytes()
    assert main(["put", full, str(folder), "/etc", "--force"]) == NO_SPACE
    assert Path(full).read_bytes() == before
    assert main(["put", full, str(tmp_path / "new"), "/boot/vmlinuz", "--in-place"]) == NO_SPACE
    assert check(full) == []


def test_put_replaces_one_name_of_a_file(full: str, tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(pattern(100_000, 2))
    (tmp_path / "new").chmod(0o555)
    assert main(["put", full, str(tmp_path / "new"), "/vmlinuz", "--force", "--owner", "5:6"]) == OK
    with UFS2.open(full) as volume:
        assert volume.read_file("/vmlinuz") == pattern(100_000, 2)
        assert volume.read_file("/boot/vmlinuz") == pattern(6_000_000, 1)
        assert volume.stat("/vmlinuz")[:5] == (0o100555, volume.find("/vmlinuz"), 1, 5, 6)
    # The Sleuth Kit sees the same two files.
    icat = judge("icat", "sleuthkit")
    for path, size in (("/vmlinuz", 100_000), ("/boot/vmlinuz", 6_000_000)):
        with UFS2.open(full) as volume:
            number = volume.find(path)
        assert len(run(icat, "-f", "ufs", full, str(number)).encode("utf-8", "replace")) >= size
    assert main(["put", full, str(tmp_path / "new"), "/etc/motd", "--in-place", "--use-reserve"]) == OK
    assert check(full) == []


def test_a_folder_replaces_files_one_by_one_in_the_room_of_one(tmp_path: Path) -> None:
    image = editable_image({f"d/{number}": pattern(400_000, number) for number in range(8)}, SMALL, size=16 << 20)
    volume = WritableUFS2.open(image)
    fill(volume, 600_000)
    volume = WritableUFS2.open(image)
    for number in range(8):
        (tmp_path / "d").mkdir(exist_ok=True)
        (tmp_path / "d" / str(number)).write_bytes(pattern(400_000, 100 + number))
    assert copy_in(volume, tmp_path / "d", "/d", force=True).files == 8
    for number in range(8):
        assert volume.read_file(f"/d/{number}") == pattern(400_000, 100 + number)
    assert_clean(image)


def test_put_looks_before_it_changes(full: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "a").write_bytes(b"a")
    (folder / "sub" / "motd").mkdir()
    os.mkfifo(folder / "sub" / "pipe")
    before = Path(full).read_bytes()
    assert main(["put", full, str(folder), "/etc", "--force"]) == BAD_INPUT
    (folder / "sub" / "pipe").unlink()
    assert main(["put", full, str(folder / "sub"), "/etc", "--force"]) == BAD_INPUT
    (folder / "sub" / "motd").rmdir()
    (folder / "boot").write_bytes(b"not a directory")
    assert main(["put", full, str(folder), "/", "--force"]) == BAD_INPUT
    assert Path(full).read_bytes() == before
    capsys.readouterr()
    # A file goes into a directory; a link is replaced, not what it leads to.
    assert main(["put", full, str(folder / "a"), "/etc", "--json"]) == OK
    assert json.loads(capsys.readouterr().out)["size"] == 1
    (folder / "link").symlink_to("elsewhere")
    assert main(["put", full, str(folder / "link"), "/link", "--force"]) == OK
    with UFS2.open(full) as volume:
        assert volume.read_file("/etc/a") == b"a"
        assert volume.readlink("/link") == "elsewhere"
        assert volume.read_file("/etc/motd") == b"old"
    assert check(full) == []


def test_chmod_chown_and_touch(full: str, capsys: pytest.CaptureFixture[str]) -> None:
    moment = ("--timestamp", "1700000000")
    assert main(["chmod", full, "u+s,go-r", "/etc/motd", *moment]) == OK
    assert main(["chmod", full, "700", "/etc", "-R", *moment]) == OK
    assert main(["chown", full, "7:8", "/etc", "-R", *moment]) == OK
    assert main(["chown", full, ":9", "/link", "--no-dereference", *moment]) == OK
    assert main(["touch", full, "/etc/motd", "/made", *moment]) == OK
    assert main(["touch", full, "/none", "-c", *moment]) == OK
    assert main(["mkdir", full, "/var/db", "-p", "--owner", "1:2", *moment]) == OK
    assert main(["ln", full, "-s", "x", "/sym", "--owner", "1:2", *moment]) == OK
    assert main(["ln", full, "/made", "/hard", "--owner", "1:2", *moment]) == 2
    assert main(["chmod", full, "u+q", "/etc", *moment]) == 2
    with UFS2.open(full) as volume:
        assert volume.stat("/etc")[0] == 0o40700
        assert volume.stat("/etc/motd")[0] == 0o100700
        assert (volume.stat("/etc/motd").st_uid, volume.stat("/etc/motd").st_gid) == (7, 8)
        assert volume.stat("/link", follow_symlinks=False).st_gid == 9
        assert volume.stat("/made").st_mtime_ns == 1_700_000_000 * 10**9
        assert not volume.exists("/none")
        assert (volume.stat("/var").st_uid, volume.stat("/sym", follow_symlinks=False).st_gid) == (1, 2)
    assert check(full) == []


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (0o644, "u+x"),
        (0o755, "go-rwx"),
        (0o600, "a=r"),
        (0o640, "+X"),
        (0o755, "u+s,g+s,+t"),
        (0o7777, "u=rw"),
        (0o1, "4755"),
    ],
)
def test_modes_are_those_of_chmod(before: int, text: str, tmp_path: Path) -> None:
    from cloudboot_ufs2.editor.modes import changed_mode

    host = tmp_path / "file"
    host.write_bytes(b"")
    host.chmod(before)
    run("sh", "-c", f'umask 0; chmod "{text}" "{host}"')
    assert changed_mode(stat.S_IFREG | before, text) == stat.S_IMODE(host.stat().st_mode)


def test_build_leaves_room(tmp_path: Path) -> None:
    tree = {"f": pattern(20_000_000, 1)}
    build(tmp_path / "tight", tree, Options(minfree=8))
    built = build(tmp_path / "roomy", tree, Options(minfree=8), free=20)
    fs = built.superblock
    free = (fs.fs_cstotal.cs_nbfree * fs.fs_frag + fs.fs_cstotal.cs_nffree) / fs.fs_dsize
    assert 0.28 <= free <= 0.32
    assert check(tmp_path / "roomy") == []
    with pytest.raises(ValueError, match="free"):
        build(tmp_path / "no", tree, free=91)


def test_the_adapters_replace_whole_files(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    pyfs = pytest.importorskip("cloudboot_ufs2.pyfs")
    image = tmp_path / "image"
    build(image, {"f": File(OLD, 0o640, uid=3), "g": HardLink("f")}, SMALL, size=4 << 20)
    big = pattern(3_000_000, 9)
    with pyfs.UFS2FS(image, writable=True) as home:
        for write in (lambda: home.writebytes("f", big), lambda: home.upload("f", io.BytesIO(big))):
            with pytest.raises(Exception, match=r"space|free"):
                write()  # type: ignore[no-untyped-call]  # a lambda
            assert home.readbytes("f") == OLD
        assert home.listdir("/") == ["f", "g"]
    target = fsspec.filesystem("ufs2", fo=str(image), mode="r+")
    for write in (lambda: target.pipe_file("/f", big), lambda: _write_half(target, big)):
        with pytest.raises(Exception, match=r"space|free|stop"):
            write()
        assert target.cat_file("/f") == OLD
    target.pipe_file("/f", b"new")
    assert (target.cat_file("/f"), target.cat_file("/g")) == (b"new", OLD)
    assert (target.info("/f")["uid"], target.info("/f")["mode"]) == (3, 0o100640)
    assert target.ls("/", detail=False) == ["/f", "/g"]
    target = None
    assert check(image) == []


def _write_half(target: object, data: bytes) -> None:
    with target.open("/f", "wb") as file:  # type: ignore[attr-defined]  # an adapter
        file.write(data[:1000])
        raise RuntimeError("stop")
