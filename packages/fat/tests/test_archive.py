"""Volumes out of tar archives and back, judged by GNU tar, bsdtar and mtools."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudboot_base import MemoryStorage
from cloudboot_base.testing import judge, run
from cloudboot_fat import FatReader, FormatOptions, build
from cloudboot_fat.__main__ import main
from cloudboot_fat.testing import contents, fsck, mcopy_out
from cloudboot_vfs.errors import SourceError

MIB = 1 << 20


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        f"/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "tree"
    (top / "EFI/BOOT").mkdir(parents=True)
    (top / "EFI/BOOT/BOOTX64.EFI").write_bytes(b"MZ" + bytes(range(256)) * 50)
    (top / "EFI/empty folder").mkdir()
    (top / "a long name, with ünïcode.text").write_text("text")
    (top / "again").hardlink_to(top / "EFI/BOOT/BOOTX64.EFI")
    (top / "loader.efi").symlink_to("EFI/BOOT/BOOTX64.EFI")
    (top / "EFI/folder").symlink_to("BOOT")
    with (top / "sparse.bin").open("wb") as file:
        file.truncate(3 * MIB)
        file.seek(2 * MIB)
        file.write(b"data" * 1000)
    return top


def by_gnu_tar(*options: str) -> Callable[[Path, Path], object]:
    return lambda tree, path: run(judge("tar", "tar"), *options, "-C", tree, "-cf", path, ".")


def by_bsdtar(*options: str) -> Callable[[Path, Path], object]:
    return lambda tree, path: run(judge("bsdtar", "libarchive-tools"), *options, "-C", tree, "-cf", path, ".")


@pytest.mark.parametrize(
    "make",
    [
        by_gnu_tar(), by_gnu_tar("-z", "--sort=name"), by_gnu_tar("-J", "--format=pax", "--sparse"),
        by_gnu_tar("--format=gnu", "--sparse"), by_gnu_tar("--format=pax", "--sparse", "--sparse-version=0.0"),
        by_bsdtar("--format=pax"), by_bsdtar("--format=ustar", "-j"), by_bsdtar("--format=gnutar"),
    ],
)  # fmt: skip
def test_an_archive_builds_what_its_folder_builds(
    tmp_path: Path, tree: Path, make: Callable[[Path, Path], object]
) -> None:
    make(tree, tmp_path / "tree.tar")
    built = []
    for name, source in (("folder", tree), ("archive", tmp_path / "tree.tar")):
        assert main(["build", str(tmp_path / name), str(source), "--size", "24M", "--label", "x"]) == 0
        built.append((tmp_path / name).read_bytes())
    assert built[0] == built[1]
    fsck(tmp_path / "archive")
    assert mcopy_out(tmp_path / "archive", tmp_path / "out") == files_below(tree) | {
        "/EFI/folder/BOOTX64.EFI": (tree / "again").read_bytes()
    }


def test_an_archive_from_a_pipe_sizes_its_volume(tmp_path: Path, tree: Path) -> None:
    by_gnu_tar()(tree, tmp_path / "tree.tar")
    words = f"cat {tmp_path}/tree.tar | {sys.executable} -m cloudboot_fat build {tmp_path}/v.img -"
    run("/bin/sh", "-c", words)
    fsck(tmp_path / "v.img")


def member(
    name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"", target: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size, info.mode = kind, target, len(data), 0o755
    return info, data


def archive(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w") as made:
        for info, data in members:
            made.addfile(info, io.BytesIO(data))
    return path


#: Archives in which members replace, meet or reach through one another.
CLASHES = {
    "a file twice": [member("a", data=b"first"), member("b", data=b"b"), member("a", data=b"last")],
    "a directory twice": [member("d", tarfile.DIRTYPE), member("d/x", data=b"x"), member("d", tarfile.DIRTYPE)],
    "no directories": [member("d/e/f/x", data=b"x")],
    "a file instead of an empty directory": [member("d", tarfile.DIRTYPE), member("d", data=b"x")],
    "a hard link over a file": [
        member("a", data=b"a"), member("b", data=b"b"), member("b", tarfile.LNKTYPE, target="a"),
    ],
    "below a link": [
        member("d", tarfile.DIRTYPE), member("l", tarfile.SYMTYPE, target="d"), member("l/x", data=b"through"),
    ],
    "a link instead of a file": [
        member("a", data=b"a"), member("b", data=b"b"), member("a", tarfile.SYMTYPE, target="b"),
    ],
    "dots": [member("./a", data=b"a"), member("d/./b", data=b"b")],
}  # fmt: skip


@pytest.mark.parametrize("name", CLASHES)
def test_members_that_meet_end_as_gnu_tar_extracts_them(tmp_path: Path, name: str) -> None:
    path = archive(tmp_path / "a.tar", *CLASHES[name])
    (tmp_path / "out").mkdir()
    run(judge("tar", "tar"), "--keep-directory-symlink", "-C", tmp_path / "out", "-xf", path)
    data = bytearray(4 * MIB)
    fs = build(MemoryStorage(data), path, FormatOptions(fresh=True))
    extracted = {
        f"/{found.relative_to(tmp_path / 'out').as_posix()}": found.read_bytes() if found.is_file() else None
        for found in (tmp_path / "out").rglob("*")
    }
    for link in (found for found in (tmp_path / "out").rglob("*") if found.is_symlink() and found.is_dir()):
        extracted |= {f"/{link.name}/{below.name}": below.read_bytes() for below in link.iterdir()}
    assert contents(fs) == extracted


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([member("../a", data=b"a")], "leaves the root"),
        ([member("a", data=b"a"), member("a/b", data=b"b")], "goes through a file"),
        ([member("d/a", data=b"a"), member("d", data=b"b")], "not empty"),
        ([member("a", tarfile.SYMTYPE, target="none")], "not in the archive"),
        ([member("a", tarfile.SYMTYPE, target="../../etc/passwd")], "not in the archive"),
        ([member("a", tarfile.LNKTYPE, target="none")], "not a file of the archive"),
        (
            [member("a", tarfile.SYMTYPE, target="b"), member("b", tarfile.SYMTYPE, target="a")],
            "too many symbolic links",
        ),
        ([member("d/l", tarfile.SYMTYPE, target="..")], "leads back"),
        ([member("d", tarfile.CHRTYPE)], "not a file, directory or link"),
        ([member("d", tarfile.FIFOTYPE)], "not a file, directory or link"),
    ],
)
def test_what_no_volume_holds_is_named(tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]], said: str) -> None:
    with pytest.raises(SourceError, match=said):
        build(MemoryStorage(bytearray(4 * MIB)), archive(tmp_path / "a.tar", *members))


def test_links_that_multiply_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudboot_vfs.archive._MOST_NODES", 1000)
    members = [member("d0/x", data=b"x")]
    for number in range(1, 30):
        members += [member(f"d{number}/{side}", tarfile.SYMTYPE, target=f"../d{number - 1}") for side in "lr"]
    with pytest.raises(SourceError, match="too many files"):
        build(MemoryStorage(bytearray(4 * MIB)), archive(tmp_path / "a.tar", *members))


@pytest.mark.parametrize("what", ["pipe", "zero", "text", "short"])
def test_what_is_no_archive_is_refused_at_once(tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    source = Path("/dev/zero") if what == "zero" else tmp_path / what
    if what == "pipe":
        os.mkfifo(source)
    elif what == "text":
        source.write_text("no archive" * 200)
    elif what == "short":
        source.write_bytes(archive(tmp_path / "a.tar", member("a", data=b"a" * 5000)).read_bytes()[:3000])
    assert main(["build", str(tmp_path / "v.img"), str(source), "--size", "4M"]) in (2, 3, 5)
    assert str(source) in capsys.readouterr().err or what == "short"
    assert not (tmp_path / "v.img").exists()


def test_an_export_is_what_other_tars_extract(
    tmp_path: Path, tree: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    image, out = tmp_path / "v.img", tmp_path / "out.tar"
    assert main(["build", str(image), str(tree), "--size", "24M", "--timestamp", "2025-01-31T12:00:00"]) == 0
    assert main(["export", str(image), str(out)]) == 0
    for number, program in enumerate((judge("tar", "tar"), judge("bsdtar", "libarchive-tools"))):
        folder = tmp_path / f"out{number}"
        folder.mkdir()
        run(program, "-C", folder, "-xf", out)
        assert main(["diff", str(image), str(folder)]) == 0
        assert files_below(folder) == mcopy_out(image, tmp_path / f"mcopy{number}")
        assert (folder / "again").stat().st_mtime == 1738324800
        assert (folder / "EFI/empty folder").is_dir()
    assert main(["export", str(image), str(out)]) == 5
    assert main(["export", str(image), str(tmp_path / "efi.tar"), "/EFI/BOOT/.."]) == 0
    with tarfile.open(tmp_path / "efi.tar") as made:
        assert made.getnames() == ["BOOT", "empty folder", "folder", "BOOT/BOOTX64.EFI", "folder/BOOTX64.EFI"]
    capfdbinary.readouterr()
    assert main(["export", str(image), "-"]) == 0
    assert capfdbinary.readouterr().out == out.read_bytes()
    # And back: the same volume.
    assert (
        main(["build", str(tmp_path / "w.img"), str(out), "--size", "24M", "--timestamp", "2025-01-31T12:00:00"]) == 0
    )
    assert (tmp_path / "w.img").read_bytes() == image.read_bytes()


def test_differences_are_listed(tmp_path: Path, tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, other = tmp_path / "v.img", tmp_path / "w.img"
    for path in (image, other):
        assert main(["build", str(path), str(tree), "--size", "24M"]) == 0
    note = tmp_path / "note"
    note.write_text("note")
    for arguments in (
        ["put", str(other), str(note), "/again", "--force"], ["put", str(other), str(note), "/new"],
        ["rm", str(other), "/loader.efi"], ["rm", "-r", str(other), "/EFI/folder"],
        ["put", str(other), str(note), "/EFI/folder"],
        ["put", str(other), str(note), "/a long name, with ünïcode.text", "--force"],
    ):  # fmt: skip
        assert main(arguments) == 0
    capsys.readouterr()
    assert main(["diff", str(image), str(other)]) == 1
    size = len((tree / "again").read_bytes())
    assert capsys.readouterr().out.splitlines() == [
        "/EFI/folder: type: d, -",
        f"/EFI/folder/BOOTX64.EFI: only in {image}",
        "/a long name, with ünïcode.text: content: differs from byte 0 on",
        f"/again: size: {size}, 4",
        f"/loader.efi: only in {image}",
        f"/new: only in {other}",
    ]
    assert main(["diff", str(image), str(other), "--ignore", "size", "--json"]) == 1
    assert [each["field"] for each in json.loads(capsys.readouterr().out)] == [
        "type",
        "path",
        "content",
        "path",
        "path",
    ]
    assert FatReader(MemoryStorage(image.read_bytes())).exists("/again")


@pytest.mark.parametrize("packed", ["tar -c", "tar -cz"])
def test_an_archive_from_a_process_substitution(tmp_path: Path, packed: str) -> None:
    """As tar takes it: bash names the pipe of another program /dev/fd/63."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("content")
    for script in (f'"$0" "$@" <({packed} tree)', f'{packed} tree | "$0" "$@" /dev/stdin'):
        command = [sys.executable, "-m", "cloudboot_fat", "build", "image"]
        judged = ["bash", "-c", script, judge("bsdtar", "libarchive-tools"), "-tf"]
        listed = subprocess.run(judged, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert listed.stdout.split() == ["tree/", "tree/file"]
        (tmp_path / "image").unlink(missing_ok=True)
        subprocess.run(["bash", "-c", script, *command], cwd=tmp_path, check=True, capture_output=True)
        assert main(["cat", str(tmp_path / "image"), "/tree/file"]) == 0


@pytest.mark.parametrize("script", ['"$0" "$@" - </dev/null', ': | "$0" "$@" -', '"$0" "$@" - <&-'])
def test_a_stdin_that_holds_nothing_is_no_archive(tmp_path: Path, script: str) -> None:
    command = [sys.executable, "-m", "cloudboot_fat", "build", str(tmp_path / "image")]
    done = subprocess.run(["bash", "-c", script, *command], capture_output=True, text=True, check=False)
    assert done.returncode in (3, 5)
    assert done.stderr.strip().endswith(("not a tar archive", "Bad file descriptor"))
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "image").exists()
