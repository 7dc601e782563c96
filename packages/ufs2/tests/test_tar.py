"""Archives as other programs write them, old ones and odd ones: GNU tar and bsdtar extract the same tree."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from cloudboot_base import FileKindError
from cloudboot_base.testing import judge, run
from cloudboot_ufs2 import UFS2, Options, SourceError, build, check, extract
from cloudboot_ufs2.__main__ import main
from cloudboot_ufs2.builder.built import Built
from cloudboot_ufs2.builder.node import device_number
from cloudboot_ufs2.testing import pattern
from cloudboot_vfs.testing_tar import AGREED, END, SPARSE, SPARSE_10, STUB, directory, header, member, padded, pax

Facts = dict[str, tuple[Any, ...]]


def facts_of_folder(folder: Path) -> Facts:
    found: Facts = {}
    first: dict[int, str] = {}
    for path in sorted(folder.rglob("*")):
        status, name = path.lstat(), str(path.relative_to(folder))
        mode = status.st_mode
        if stat.S_ISLNK(mode):
            found[name] = ("link", os.readlink(path))
        elif stat.S_ISDIR(mode):
            found[name] = ("directory", stat.S_IMODE(mode))
        else:
            same = first.setdefault(status.st_ino, name)
            found[name] = ("file", stat.S_IMODE(mode), int(status.st_mtime), path.read_bytes(), same)
    return found


def facts_of_image(image: Path) -> Facts:
    found: Facts = {}
    first: dict[int, str] = {}
    assert check(image) == []
    with UFS2.open(image) as volume:
        entries = [entry for _, folders, files in volume.walk() for entry in (*folders, *files)]
        for entry in sorted(entries, key=lambda each: Path(each.path)):
            status, name = volume.stat_inode(entry.inode), entry.path[1:]
            if stat.S_ISLNK(status.st_mode):
                found[name] = ("link", volume.readlink(entry.path))
            elif stat.S_ISDIR(status.st_mode):
                found[name] = ("directory", stat.S_IMODE(status.st_mode))
            else:
                same = first.setdefault(entry.inode, name)
                data = volume.read_file(entry.path)
                found[name] = ("file", stat.S_IMODE(status.st_mode), status.st_mtime_ns // 10**9, data, same)
    return found


@pytest.mark.parametrize("name", AGREED)
def test_the_judges_extract_the_same(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(AGREED[name] + (b"" if name == "no end" else END))
    build(tmp_path / "image", path)
    ours = facts_of_image(tmp_path / "image")
    for program in (judge("tar", "tar"), judge("bsdtar", "libarchive-tools")):
        folder = tmp_path / Path(program).name
        folder.mkdir()
        run(program, "-xpf", path, "-C", folder)
        assert ours == facts_of_folder(folder), program


def made(tmp_path: Path, data: bytes) -> tuple[Facts, Built]:
    (tmp_path / "a.tar").write_bytes(data)
    built = build(tmp_path / "image", tmp_path / "a.tar")
    return facts_of_image(tmp_path / "image"), built


def content(facts: Facts) -> dict[str, bytes]:
    return {name: fact[3] for name, fact in facts.items() if fact[0] == "file"}


@pytest.mark.parametrize(
    ("data", "files", "notice"),
    [
        # GNU tar skips them, too, bsdtar the second.
        (header(b"backup 2024", b"V") + member(b"f", b"x"), {"f": b"x"}, "volume label"),
        (header(b"f", b"A", 5) + padded(b"acl!!") + member(b"f", b"x"), {"f": b"x"}, "Solaris"),
        (member(b"f", b"x", kind=b"Z"), {"f": b"x"}, "unknown type"),
        (member(b"a", b"data") + header(b"a", b"1", link=b"a"), {"a": b"data"}, ""),
        # What a hard link names may follow; neither judge waits for it, and both take a slash away.
        (header(b"b", b"1", link=b"a") + member(b"a", b"x"), {"a": b"x", "b": b"x"}, ""),
        (member(b"a", b"x") + header(b"b", b"1", link=b"/a"), {"a": b"x", "b": b"x"}, "slash"),
        (member(b"/etc/motd", b"x"), {"etc/motd": b"x"}, "slash"),
        # pax and cpio repeat the data at a link; GNU tar loses its way there, bsdtar does not.
        (
            pax((b"mtime", b"5"))
            + member(b"a", b"data")
            + pax((b"mtime", b"5"))
            + header(b"b", b"1", 4, link=b"a")
            + padded(b"data")
            + member(b"c", b"c"),
            {"a": b"data", "b": b"data", "c": b"c"},
            "",
        ),
        (
            pax((b"mtime", b"5")) + header(b"b", b"1", 4, link=b"left out") + padded(b"data") + member(b"c", b"c"),
            {"b": b"data", "c": b"c"},
            "",
        ),
        # As GNU tar; bsdtar without -P takes the link away.
        (
            directory(b"usr/lib/") + header(b"lib", b"2", link=b"usr/lib") + member(b"lib/libc.so", b"elf"),
            {"usr/lib/libc.so": b"elf"},
            "",
        ),
        (
            directory(b"usr/lib/") + header(b"usr/lib64", b"2", link=b"/usr/../usr/lib") + member(b"usr/lib64/x", b"x"),
            {"usr/lib/x": b"x"},
            "",
        ),
        # As bsdtar; GNU tar lets only the last file stay.
        (
            pax((b"path", b"forced"), (b"uid", b"7"), kind=b"g") + member(b"x", b"1") + member(b"y", b"2"),
            {"x": b"1", "y": b"2"},
            "global",
        ),
        (pax((b"path", b"")) + member(b"b", b"2"), {"b": b"2"}, ""),
        # As both; bsdtar complains.
        (pax((b"path", b"one")) + pax((b"mtime", b"5")) + member(b"b", b"2"), {"b": b"2"}, ""),
        (pax((b"SCHILY.acl.access", b"user::rw-")) + member(b"a", b"1"), {"a": b"1"}, "access control"),
        (pax((b"SCHILY.fflags", b"immutable,uarch")) + member(b"a", b"1"), {"a": b"1"}, "flags"),
        (pax((b"SCHILY.xattr.security.selinux", b"u")) + member(b"a", b"1"), {"a": b"1"}, "namespace"),
        # Both judges pass over them in silence.
        (member(b"a", b"1") + END + member(b"b", b"2"), {"a": b"1"}, "behind the end"),
        (member(b"a", b"1") + END + b"garbage", {"a": b"1"}, ""),
        (b"", {}, "empty"),
    ],
)
def test_where_the_judges_differ_or_say_less(tmp_path: Path, data: bytes, files: dict[str, bytes], notice: str) -> None:
    facts, built = made(tmp_path, data + END)
    assert content(facts) == files
    assert bool(built.notices) == bool(notice)
    assert notice in " ".join(built.notices)


@pytest.mark.parametrize(
    "data",
    [
        *(
            pax((b"mtime", value)) + member(b"a")
            for value in (b".5", b"+5", b"1e3", b" 7", b"1_000", b"-.5", b"9" * 20, b"nan")
        ),
        *(
            pax((key, value)) + member(b"a")
            for key in (b"size", b"uid", b"gid")
            for value in (b"x", b"-1", b"1.5", b"0x10", b"\xd9\xa1")
        ),
        pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.realsize", b"")) + member(b"a", SPARSE),
        pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.realsize", b"100")) + member(b"a", SPARSE),
        pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.realsize", b"5000"))
        + member(b"a", b"99999999999\n" + bytes(500)),
        pax((b"GNU.sparse.size", b"10"), (b"GNU.sparse.map", b"1")) + member(b"a", b"x"),
        member(b"a", b"data", size_field=b"\xff" * 12),
        member(b"a", size_field=b"12345678x\0\0\0"),
        member(b"a", uid=b"-000001\0"),
        header(b"PaxHeaders/x", b"x", 5) + padded(b"9 a=b") + member(b"a"),
        header(b"PaxHeaders/x", b"x", 1 << 40) + member(b"a"),
        pax((b"path", b"x")),
        member(b"a", b"1") + b"\1" * 512,
        member(b"a", b"1") + b"\1" * 100,
        member(b"mvf", b"1", kind=b"M"),
        pax((b"path", b"good\0bad")) + member(b"x"),
        pax((b"linkpath", b"good\0bad")) + header(b"x", b"2"),
        pax((b"linkpath", b"")) + header(b"x", b"2"),
        member(b"d/../a"),
        member(b"a") + header(b"b", b"1", link=b"../a"),
        header(b"PaxHeaders/x", b"x", 14) + padded(b"99 path=abcd\n") + member(b"x"),
        pax(*SPARSE_10) + member(STUB, b"2\n0\n512\n256\n512\n".ljust(512, b"\0") + bytes(1024)),
        pax(*SPARSE_10) + member(STUB, b"1\n0\n2048\n".ljust(512, b"\0") + bytes(512)),
        header(b"b", b"1", link=b"nowhere"),
        b"".join(header(b"z%d" % each, b"1", link=b"z%d" % (each + 1)) for each in range(5000))
        + member(b"z5000", b"x"),
        header(b"loop", b"2", link=b"loop") + member(b"loop/x", b"1"),
        header(b"l", b"2", link=b"nowhere") + member(b"l/x", b"1"),
        directory(b"d/") + member(b"d/f", b"1") + member(b"d", b"2"),
        member(b"", b"1"),
        member(b".", b"1"),
    ],
)
def test_what_is_refused_is_named(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(SourceError) as caught:
        made(tmp_path, data + END)
    assert "literal" not in str(caught.value)


def test_a_flag_that_is_taken_back(tmp_path: Path) -> None:
    made(tmp_path, pax((b"SCHILY.fflags", b"uarch,schg,nodump,noschg,dump,none")) + member(b"a", b"1") + END)
    with UFS2.open(tmp_path / "image") as volume:
        assert volume.stat("/a").st_flags == 0x800


def test_flags_and_attributes_go_both_ways(tmp_path: Path) -> None:
    records = pax((b"SCHILY.fflags", b"schg,uarch"), (b"SCHILY.xattr.user.bin", b"a\n\x00\xff=b"))
    made(tmp_path, records + member(b"a", b"1") + END)
    with UFS2.open(tmp_path / "image") as volume:
        assert volume.stat("/a").st_flags == 0x20800
        assert volume.getxattr("/a", "user.bin") == b"a\n\x00\xff=b"
        extract(volume, tmp_path / "again.tar")
    build(tmp_path / "again", tmp_path / "again.tar")
    with UFS2.open(tmp_path / "again") as volume:
        assert volume.stat("/a").st_flags == 0x20800


@pytest.mark.parametrize(
    "arguments",
    [
        ["--format=gnu", "-S"],
        ["--format=pax", "-S"],
        ["--format=pax", "-S", "--sparse-version=0.0"],
        ["--format=pax", "-S", "--sparse-version=0.1"],
        ["--format=gnu", "-G"],
        ["--format=gnu", "-V", "label"],
        ["--format=v7"],
        ["--format=oldgnu", "-S"],
    ],
)
def test_what_gnu_tar_writes(arguments: Sequence[str], tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "f").write_bytes(b"x")
    os.link(folder / "sub" / "f", folder / "sub" / "g")
    with (folder / "sparse").open("wb") as file:
        for number in range(60):
            file.seek(number * 40_000)
            file.write(pattern(5000, number))
        file.truncate(3_000_000)
    run(judge("tar", "tar"), *arguments, "-cf", tmp_path / "a.tar", "-C", folder, ".")
    build(tmp_path / "image", tmp_path / "a.tar")
    assert facts_of_image(tmp_path / "image") == facts_of_folder(folder)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
@pytest.mark.parametrize("tail", [b"trailing garbage", b"g", bytes(700), bytes(3) + b"x"])
def test_what_follows_a_compressed_archive(compress: Callable[[bytes], bytes], tail: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.tar.z"
    whole = member(b"f", b"data") + END
    path.write_bytes(compress(whole[:512]) + compress(whole[512:]) + tail)
    assert run(judge("bsdtar", "libarchive-tools"), "-tf", path) == "f\n"
    build(tmp_path / "image", path)
    assert content(facts_of_image(tmp_path / "image")) == {"f": b"data"}


@pytest.mark.parametrize(
    ("program", "arguments"), [("xz", ["--format=lzma"]), ("xz", ["-9"]), ("gzip", []), ("bzip2", [])]
)
def test_what_compressors_write(program: str, arguments: list[str], tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(member(b"f", b"data") + END)
    packed = subprocess.run([judge("xz", "xz-utils"), *arguments, "-c", path], capture_output=True, check=True).stdout
    (tmp_path / "packed").write_bytes(packed)
    assert run(judge("bsdtar", "libarchive-tools"), "-tf", tmp_path / "packed") == "f\n"
    build(tmp_path / "image", tmp_path / "packed")
    assert content(facts_of_image(tmp_path / "image")) == {"f": b"data"}


def test_other_archives_are_named(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"data")
    for form in ("zip", "7zip"):
        path = tmp_path / form
        run(judge("bsdtar", "libarchive-tools"), "-C", tmp_path, f"--format={form}", "-cf", path, "f")
        with pytest.raises(SourceError, match=f"{form.removesuffix('ip')}.* archive cannot be read") as caught:
            build(tmp_path / "image", path)
        assert caught.value.hint == "unpack it first"


@pytest.mark.parametrize(
    ("form", "name"), [("cpio", "cpio"), ("newc", "cpio"), ("iso9660", "ISO 9660"), ("xar", "xar")]
)
def test_other_archives_are_no_empty_or_damaged_ones(form: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"data")
    run(judge("bsdtar", "libarchive-tools"), "-C", tmp_path, f"--format={form}", "-cf", tmp_path / "other", "f")
    with pytest.raises(SourceError, match=f"not a tar archive but an? {name}") as caught:
        build(tmp_path / "image", tmp_path / "other")
    assert "bsdtar" in (caught.value.hint or "")
    for data in (b"hello", b"x" * 2000, bytes(4096) + b"\x53\xef" * 300):
        (tmp_path / "other").write_bytes(data)
        with pytest.raises(SourceError, match="not a tar archive"):
            build(tmp_path / "image", tmp_path / "other")


def test_an_archive_is_an_ordinary_file(tmp_path: Path) -> None:
    """A pipe without a writer and a device without an end are refused at once."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(FileKindError) as caught:
            build(tmp_path / "image", path)
        assert "stdin" in (caught.value.hint or "")


def test_device_numbers_that_the_header_cannot_hold(tmp_path: Path) -> None:
    """As libarchive writes and reads them."""
    path = tmp_path / "a.tar"
    path.write_bytes(pax((b"SCHILY.devmajor", b"259"), (b"SCHILY.devminor", b"70001")) + header(b"c", b"3") + END)
    assert "259,70001" in run(judge("bsdtar", "libarchive-tools"), "-tvf", path)
    build(tmp_path / "image", path)
    with UFS2.open(tmp_path / "image") as volume:
        assert volume.stat("/c").st_rdev == device_number(259, 70001)


def test_devices_pipes_and_sockets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (("null", tarfile.CHRTYPE), ("sda", tarfile.BLKTYPE), ("pipe", tarfile.FIFOTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.devmajor, info.devminor, info.mode = kind, 300, 0x12345, 0o640
            archive.addfile(info)
        info = tarfile.TarInfo("file")
        archive.addfile(info, io.BytesIO())
    build(tmp_path / "image", tmp_path / "a.tar")
    assert check(tmp_path / "image") == []
    with UFS2.open(tmp_path / "image") as volume:
        assert stat.S_ISCHR(volume.stat("/null").st_mode)
        # sys/types.h of FreeBSD 12 and later: makedev(300, 0x12345)
        assert volume.stat("/sda").st_rdev == 0x100 << 32 | 0x2C << 8 | 0x2300 << 24 | 0x10045
        assert stat.S_ISFIFO(volume.stat("/pipe").st_mode)
    fls = run(judge("fls", "sleuthkit"), "-f", "ufs", tmp_path / "image")
    for letters, path in (("c/c", "null"), ("b/b", "sda"), ("p/p", "pipe")):
        assert any(line.startswith(letters) and line.endswith(path) for line in fls.splitlines()), fls
    image = str(tmp_path / "less")
    assert main(["build", image, str(tmp_path / "a.tar"), "--skip-special"]) == 0
    assert "3 members" in capsys.readouterr().err
    with UFS2.open(image) as volume:
        assert volume.listdir() == ["file"]


def test_exclude(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "folder"
    for name in ("a/x.o", "a/x.c", "b/c/d/e", "b/c/x.o", "keep/b", "var/cache/pkg/p"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"1")
    os.link(folder / "a/x.c", folder / "b/c/linked")
    image = str(tmp_path / "image")
    patterns = ["*.o", "b/c", "/var/cache/*", "/keep2", "nothing"]
    assert main(["build", image, str(folder), *[word for each in patterns for word in ("--exclude", each)]]) == 0
    assert "2 members" in capsys.readouterr().err
    names = sorted(facts_of_image(Path(image)))
    assert names == ["a", "a/x.c", "b", "keep", "keep/b", "var", "var/cache"]
    listed = subprocess.run(
        ["tar", "-c", "-C", folder, "--exclude=*.o", "--exclude=./b/c", "--exclude=./var/cache/*", "."],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    with tarfile.open(fileobj=io.BytesIO(listed)) as archive:
        assert sorted(each.removeprefix("./") for each in archive.getnames() if each != ".") == names
    with UFS2.open(image) as volume:
        assert volume.stat("/a/x.c").st_nlink == 1


def test_the_smallest_block_size_takes_special_files() -> None:
    from cloudboot_ufs2 import Special
    from cloudboot_ufs2.testing import image_of

    image = image_of({"s": Special("socket"), "p": Special("fifo", mode=0o600)}, Options(block_size=4096))
    assert check(image) == []
    with pytest.raises(SourceError, match="no such kind"):
        image_of({"s": Special("door")})


@pytest.mark.parametrize("packed", ["tar -c", "tar -cz"])
def test_an_archive_from_a_process_substitution(tmp_path: Path, packed: str) -> None:
    """As tar takes it: bash names the pipe of another program /dev/fd/63."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("content")
    for script in (f'"$0" "$@" <({packed} tree)', f'{packed} tree | "$0" "$@" /dev/stdin'):
        command = [sys.executable, "-m", "cloudboot_ufs2", "build", "image"]
        judged = ["bash", "-c", script, judge("bsdtar", "libarchive-tools"), "-tf"]
        listed = subprocess.run(judged, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert listed.stdout.split() == ["tree/", "tree/file"]
        (tmp_path / "image").unlink(missing_ok=True)
        subprocess.run(["bash", "-c", script, *command], cwd=tmp_path, check=True, capture_output=True)
        assert main(["cat", str(tmp_path / "image"), "/tree/file"]) == 0


@pytest.mark.parametrize("script", ['"$0" "$@" - </dev/null', ': | "$0" "$@" -', '"$0" "$@" - <&-'])
def test_a_stdin_that_holds_nothing_is_no_archive(tmp_path: Path, script: str) -> None:
    command = [sys.executable, "-m", "cloudboot_ufs2", "build", str(tmp_path / "image")]
    done = subprocess.run(["bash", "-c", script, *command], capture_output=True, text=True, check=False)
    assert done.returncode in (3, 5)
    assert done.stderr.strip().endswith(("not a tar archive", "Bad file descriptor"))
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "image").exists()


@pytest.mark.parametrize("key", [b"mtime", b"uid", b"gid", b"size"])
def test_an_empty_value_takes_away_what_was_said_before(tmp_path: Path, key: bytes) -> None:
    """POSIX, pax, "pax Extended Header File Format": it "shall delete any header block field, previously entered
    extended header value, or global extended header value of the same name". What the header block says is then all
    that there is, and what GNU tar extracts, which complains; bsdtar takes 0."""
    wrong = {b"mtime": b"5", b"uid": b"7", b"gid": b"8", b"size": b"1"}[key]
    data = pax((key, b"")) + member(b"a", b"data", uid=b"0000011\0") + member(b"b", b"more")
    (tmp_path / "a.tar").write_bytes(data + END)
    (tmp_path / "theirs").mkdir()
    run(judge("tar", "tar"), "-xpf", tmp_path / "a.tar", "-C", tmp_path / "theirs", codes=(2,))
    facts, _ = made(tmp_path, data + END)
    assert facts == facts_of_folder(tmp_path / "theirs")
    if key != b"size":
        # The record of a global header, too; and one that is empty itself takes an earlier one away.
        (tmp_path / "image").unlink()
        anew, _ = made(tmp_path, pax((key, wrong), kind=b"g") + data + END)
        assert anew["a"] == facts["a"]
        (tmp_path / "image").unlink()
        anew, _ = made(tmp_path, pax((key, wrong), kind=b"g") + pax((key, b""), kind=b"g") + data + END)
        assert anew == facts
