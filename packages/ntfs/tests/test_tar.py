"""Archives as other programs write them, old ones and odd ones: what GNU tar and bsdtar extract, ntfs-3g reads."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import cloudboot_ntfs as ntfs
from cloudboot_base.testing import judge, run
from cloudboot_ntfs import errors
from cloudboot_ntfs.builder.build import Built
from cloudboot_ntfs.builder.source import Member
from cloudboot_ntfs.commands import main
from cloudboot_ntfs.testing import mounted, ntfsfix, pattern
from cloudboot_vfs.testing_tar import AGREED, END, SPARSE, SPARSE_10, STUB, directory, header, member, padded, pax

Facts = dict[str, tuple[Any, ...]]
_NO_NAMES = {"names of bytes"}  # NTFS stores names as Unicode


def facts_of(folder: Path) -> Facts:
    """What the programs have to agree in; NTFS does not store permissions."""
    found: Facts = {}
    first: dict[int, str] = {}
    for path in sorted(folder.rglob("*")):
        status, name = path.lstat(), str(path.relative_to(folder))
        if stat.S_ISLNK(status.st_mode):
            found[name] = ("link", os.readlink(path))
        elif stat.S_ISDIR(status.st_mode):
            found[name] = ("directory",)
        else:
            same = first.setdefault(status.st_ino, name)
            found[name] = ("file", int(status.st_mtime), path.read_bytes(), same)
    return found


def made(tmp_path: Path, data: bytes) -> tuple[Facts, Built]:
    """What ntfs-3g reads of a volume made of an archive."""
    (tmp_path / "a.tar").write_bytes(data)
    built = ntfs.build(tmp_path / "image", tmp_path / "a.tar", force=True)
    assert ntfs.check(tmp_path / "image") == []
    with mounted(tmp_path / "image", "ro") as folder:
        facts = facts_of(folder)
    for name, fact in facts.items():
        if fact[0] == "link" and "reparse" in fact[1]:  # ntfs-3g follows links, and cannot say where one leads nowhere
            facts[name] = ("link", judged_target(tmp_path / "image", name))
    return facts, built


def judged_target(image: Path, path: str) -> str:
    """The target of a symbolic link, as libfsntfs reads it."""
    pyfsntfs = pytest.importorskip("pyfsntfs")
    volume = pyfsntfs.volume()
    volume.open(str(image))
    try:
        entry = volume.get_file_entry_by_path("\\" + path.replace("/", "\\"))
        return str(entry.symbolic_link_target).replace("\\", "/")
    finally:
        volume.close()


def content(facts: Facts) -> dict[str, bytes]:
    return {name: fact[2] for name, fact in facts.items() if fact[0] == "file"}


@pytest.mark.parametrize("name", sorted(AGREED.keys() - _NO_NAMES))
def test_the_judges_extract_the_same(name: str, tmp_path: Path) -> None:
    ours, _ = made(tmp_path, AGREED[name] + (b"" if name == "no end" else END))
    for program in (judge("tar", "tar"), judge("bsdtar", "libarchive-tools")):
        folder = tmp_path / Path(program).name
        folder.mkdir()
        run(program, "-xpf", tmp_path / "a.tar", "-C", folder)
        assert ours == facts_of(folder), program


@pytest.mark.parametrize(
    ("data", "files", "notice"),
    [
        (header(b"backup 2024", b"V") + member(b"f", b"x"), {"f": b"x"}, "volume label"),
        (member(b"f", b"x", kind=b"Z"), {"f": b"x"}, "unknown type"),
        # What a hard link names may follow; neither judge waits for it, and both take a slash away.
        (header(b"b", b"1", link=b"a") + member(b"a", b"x"), {"a": b"x", "b": b"x"}, ""),
        (member(b"a", b"x") + header(b"b", b"1", link=b"/a"), {"a": b"x", "b": b"x"}, "slash"),
        # pax and cpio repeat the data at a link; GNU tar loses its way there, bsdtar does not.
        (
            pax((b"mtime", b"5")) + header(b"b", b"1", 4, link=b"left out") + padded(b"data") + member(b"c", b"c"),
            {"b": b"data", "c": b"c"},
            "",
        ),
        # Many such links, whose file is in none of them: a part of a larger archive.
        (
            pax((b"mtime", b"5")).join(
                [b"", *(header(b"%d" % n, b"1", 4, link=b"left") + padded(b"data") for n in range(300))]
            ),
            {f"{n}": b"data" for n in range(300)},
            "",
        ),
        # As GNU tar; bsdtar without -P takes the link away.
        (
            directory(b"usr/lib/") + header(b"usr/lib64", b"2", link=b"/usr/../usr/lib") + member(b"usr/lib64/x", b"x"),
            {"usr/lib/x": b"x"},
            "",
        ),
        (pax((b"SCHILY.acl.access", b"user::rw-")) + member(b"a", b"1"), {"a": b"1"}, "access control"),
        (pax((b"SCHILY.fflags", b"uarch")) + member(b"a", b"1"), {"a": b"1"}, "flags"),
        (pax((b"SCHILY.xattr.security.selinux", b"u")) + member(b"a", b"1"), {"a": b"1"}, "security.selinux"),
        (pax((b"SCHILY.xattr.user.a:b", b"u")) + member(b"a", b"1"), {"a": b"1"}, "user.a:b"),
        (member(b"a", b"1") + END + member(b"b", b"2"), {"a": b"1"}, "behind the end"),
        (b"", {}, "empty"),
    ],
)
def test_where_the_judges_differ_or_say_less(tmp_path: Path, data: bytes, files: dict[str, bytes], notice: str) -> None:
    facts, built = made(tmp_path, data + END)
    assert content(facts) == files
    assert bool(built.notices) == bool(notice)
    assert notice in " ".join(built.notices)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pax((b"mtime", b"nan")) + member(b"a"), "not a time"),
        (pax((b"atime", b"x")) + member(b"a"), "not a time"),
        (pax((b"path", b"good\0bad")) + member(b"x"), "no directory can hold"),
        (pax((b"linkpath", b"good\0bad")) + header(b"x", b"2"), "no symbolic link"),
        (pax((b"linkpath", b"x/" * 10_000)) + header(b"x", b"2"), "too long"),
        (pax((b"path", b"d/" * 2000 + b"x")) + member(b"x"), "too deep"),
        (member(b"d/../a"), "leaves the root"),
        (member(b"\xff"), "not UTF-8"),
        (member(b"a") + member(b"A"), "cannot tell apart"),
        (directory(b"dir/") + directory(b"DIR/"), "cannot tell apart"),
        (header(b"b", b"1", link=b"nowhere"), "not in the archive"),
        (
            b"".join(header(b"z%d" % each, b"1", link=b"z%d" % (each + 1)) for each in range(5000))
            + member(b"z5000", b"x"),
            "lead to one another",
        ),
        (directory(b"d/") + header(b"b", b"1", link=b"d"), "a hard link to a directory"),
        (header(b"loop", b"2", link=b"loop") + member(b"loop/x", b"1"), "through a file or a link"),
        (header(b"l", b"2", link=b"nowhere") + member(b"l/x", b"1"), "through a file or a link"),
        (directory(b"d/") + member(b"d/f", b"1") + member(b"d", b"2"), "holds something"),
        (member(b".", b"1"), "place of the root"),
        (header(b"null", b"3"), "not a file, directory or link"),
        (pax(*SPARSE_10[:3], (b"GNU.sparse.realsize", b"9" * 20)) + member(STUB, SPARSE), "larger than a file"),
        (member(b"a", b"1") + b"\1" * 512, "damaged archive"),
        (b"070707" + b"0" * 1000, "a cpio archive"),
    ],
)
def test_what_is_refused_is_named(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(errors.SourceError, match=message):
        made(tmp_path, data + END)
    assert not (tmp_path / "image").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--format=gnu", "-S"],
        ["--format=pax", "-S"],
        ["--format=pax", "-S", "--sparse-version=0.1"],
        ["--format=gnu", "-G"],
        ["--format=v7"],
    ],
)
def test_what_gnu_tar_writes(arguments: Sequence[str], tmp_path: Path) -> None:
    """The holes of a sparse member take no clusters."""
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "f").write_bytes(b"x")
    os.link(folder / "sub" / "f", folder / "sub" / "g")
    with (folder / "sparse").open("wb") as file:
        for number in range(30):
            file.seek(number * 400_000)
            file.write(pattern(5000, number))
        file.truncate(30_000_000)
    run(judge("tar", "tar"), *arguments, "-cf", tmp_path / "a.tar", "-C", folder, ".")
    ntfs.build(tmp_path / "image", tmp_path / "a.tar")
    assert "processed successfully" in ntfsfix(tmp_path / "image")
    with mounted(tmp_path / "image", "ro") as inside:
        assert facts_of(inside) == facts_of(folder)
        if "-S" in arguments:
            assert (inside / "sparse").stat().st_blocks * 512 < 1_000_000
    assert ntfs.check(tmp_path / "image") == []


def test_streams_and_times_of_pax_records(tmp_path: Path) -> None:
    """Extended attributes of users are data streams, as ntfs-3g maps them; times have units of 100 ns."""
    records = pax(
        (b"mtime", b"1600000000.1234567"),
        (b"atime", b"1600000001.7654321"),
        (b"LIBARCHIVE.creationtime", b"1500000000.5"),
        (b"SCHILY.xattr.user.note", b"a\n\x00\xff=b"),
        (b"LIBARCHIVE.xattr.user.x%3Dy", b"aGVsbG8"),
    )
    made(tmp_path, records + member(b"a", b"1") + END)
    with mounted(tmp_path / "image", "ro") as folder:
        assert (folder / "a:note").read_bytes() == b"a\n\x00\xff=b"
        assert (folder / "a:x=y").read_bytes() == b"hello"
        status = (folder / "a").stat()
        assert (status.st_mtime_ns, status.st_atime_ns) == (1_600_000_000_123_456_700, 1_600_000_001_765_432_100)
    with ntfs.NTFS(tmp_path / "image") as volume:
        assert volume.stat("/a").st_birthtime_ns == 1_500_000_000_500_000_000


def test_links_to_directories_are_directories_to_windows(tmp_path: Path) -> None:
    """Windows does not follow a link to a directory whose record is that of a file."""
    links = (b"to", b"d/sub"), (b"d/up", b"../d"), (b"d/root", b"/d"), (b"file", b"d/f"), (b"none", b"x"), (b"r", b"r")
    data = b"".join(header(name, b"2", link=target) for name, target in links)
    facts, _ = made(tmp_path, data + directory(b"d/sub/") + member(b"d/f", b"1") + END)
    assert facts["to"] == ("link", "d/sub")
    listed = run(judge("fls", "sleuthkit"), "-r", "-p", tmp_path / "image")
    kinds = {line.split("\t")[1]: line[:3] for line in listed.splitlines()}
    assert [name.decode() for name, _ in links if kinds[name.decode()] == "d/d"] == ["to", "d/up", "d/root"]
    assert {kinds[name] for name in ("file", "none", "r")} == {"r/r"}


def test_an_archive_on_stdin_and_what_is_said_of_it(tmp_path: Path) -> None:
    """A pipe, packed by xz; the notices go to stderr, and into the JSON."""
    (tmp_path / "a.tar").write_bytes(header(b"label", b"V") + member(b"f", b"data") + END)
    packed = subprocess.run([judge("xz", "xz-utils"), "-c", tmp_path / "a.tar"], capture_output=True, check=True).stdout
    command = [sys.executable, "-m", "cloudboot_ntfs", "build", str(tmp_path / "image"), "-", "--json"]
    done = subprocess.run(command, input=packed, capture_output=True, check=True)
    assert b"notice: a volume label is left out: label" in done.stderr
    assert b'"a volume label is left out: label"' in done.stdout
    with mounted(tmp_path / "image", "ro") as folder:
        assert (folder / "f").read_bytes() == b"data"


@pytest.mark.parametrize("form", ["newc", "iso9660", "zip"])
def test_other_archives_are_named(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "f").write_bytes(b"data")
    run(judge("bsdtar", "libarchive-tools"), "-C", tmp_path, f"--format={form}", "-cf", tmp_path / "other", "f")
    assert main(["build", str(tmp_path / "image"), str(tmp_path / "other")]) == 3
    said = capsys.readouterr().err
    assert {"newc": "a cpio archive", "iso9660": "an ISO 9660 image", "zip": "zip"}[form] in said
    assert "unpack it first" in said


def test_an_export_has_the_data_streams(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As extended attributes of the namespace ``user``, which make the same volume again."""
    streams = {"s": b"a\x00\xff=b", "x=y": b"hello", "large": bytes(70_000)}
    tree: dict[str, Member] = {
        "/d": ntfs.Directory(streams={"of": b"d"}),
        "/d/a": ntfs.File(b"1", streams=streams),
        "/b": ntfs.HardLink("/d/a"),
    }
    ntfs.build(tmp_path / "image", tree)
    archive = tmp_path / "a.tar"
    assert main(["export", str(tmp_path / "image"), str(archive)]) == 0
    assert "left out after 65536 bytes: /b:large" in capsys.readouterr().err
    listed = run(judge("tar", "tar"), "--xattrs", "-tvvf", archive)
    assert "x: 5 user.s\n" in listed
    assert "x: 1 user.of\n" in listed
    with tarfile.open(archive, errors="surrogateescape") as made_again:
        records = made_again.getmember("b").pax_headers
        assert records["SCHILY.xattr.user.s"].encode("utf-8", "surrogateescape") == streams["s"]
        assert made_again.getmember("d/a").linkname == "b"
    facts, built = made(tmp_path, archive.read_bytes())
    assert built.notices == ()
    assert content(facts) == {"b": b"1", "d/a": b"1"}
    with mounted(tmp_path / "image", "ro") as folder:
        assert {name: (folder / f"d/a:{name}").read_bytes() for name in ("s", "x=y")} == {
            name: streams[name] for name in ("s", "x=y")
        }
        assert (folder / "d:of").read_bytes() == b"d"


@pytest.mark.parametrize("packed", ["tar -c", "tar -cz"])
def test_an_archive_from_a_process_substitution(tmp_path: Path, packed: str) -> None:
    """As tar takes it: bash names the pipe of another program /dev/fd/63."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("content")
    for script in (f'"$0" "$@" <({packed} tree)', f'{packed} tree | "$0" "$@" /dev/stdin'):
        command = [sys.executable, "-m", "cloudboot_ntfs", "build", "--size", "16M", "image"]
        judged = ["bash", "-c", script, judge("bsdtar", "libarchive-tools"), "-tf"]
        listed = subprocess.run(judged, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert listed.stdout.split() == ["tree/", "tree/file"]
        (tmp_path / "image").unlink(missing_ok=True)
        subprocess.run(["bash", "-c", script, *command], cwd=tmp_path, check=True, capture_output=True)
        assert main(["cat", str(tmp_path / "image"), "/tree/file"]) == 0


@pytest.mark.parametrize("script", ['"$0" "$@" - </dev/null', ': | "$0" "$@" -', '"$0" "$@" - <&-'])
def test_a_stdin_that_holds_nothing_is_no_archive(tmp_path: Path, script: str) -> None:
    command = [sys.executable, "-m", "cloudboot_ntfs", "build", str(tmp_path / "image")]
    done = subprocess.run(["bash", "-c", script, *command], capture_output=True, text=True, check=False)
    assert done.returncode in (3, 5)
    assert done.stderr.strip().endswith(("not a tar archive", "Bad file descriptor"))
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "image").exists()


def test_large_holes_stay_holes_in_an_export(tmp_path: Path) -> None:
    """A sparse file of ntfs-3g that is larger than its volume, and a compressed one; judged by GNU tar and bsdtar."""
    image, tree = tmp_path / "image", tmp_path / "tree"
    with open(image, "wb") as file:
        file.truncate(64 << 20)
    run(judge("mkntfs", "ntfs-3g"), "--force", "--quick", image)
    with mounted(image, "compression") as folder:
        with open(folder / "sparse", "wb") as file:
            file.write(b"begin")
            file.seek(2 << 30)
            file.write(b"end")
        (folder / "packed").mkdir()
        attributes = int.from_bytes(os.getxattr(folder / "packed", "system.ntfs_attrib"), sys.byteorder)
        value = (attributes | 0x800).to_bytes(4, sys.byteorder)
        os.setxattr(folder / "packed", "system.ntfs_attrib", value)
        with open(folder / "packed" / "file", "wb") as file:
            file.write(b"text" * 100_000 + bytes(3 << 20) + pattern(100_000))
        run(judge("cp", "coreutils"), "--recursive", "--sparse=always", folder, tree)
    assert ntfs.check(image) == []
    assert main(["export", str(image), str(tmp_path / "all.tar")]) == 0
    assert (tmp_path / "all.tar").stat().st_size < 1 << 20
    for program, package in (("tar", "tar"), ("bsdtar", "libarchive-tools")):
        target = tmp_path / program
        target.mkdir()
        run(judge(program, package), "-xpf", tmp_path / "all.tar", "-C", target)
        run(judge("diff", "diffutils"), "--recursive", tree, target)
