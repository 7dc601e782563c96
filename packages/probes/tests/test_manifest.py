"""The build's account, and a kernel's account held against it."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from cloudboot_base.testing import judge, run
from cloudboot_probes.errors import CloudbootError
from cloudboot_probes.inventory import RootMember, account_of_archive, account_of_mapping
from cloudboot_probes.manifest import Manifest, ManifestEntry
from cloudboot_probes.probe.account import Account, compare
from cloudboot_ufs2 import UFS2, Directory, File, HardLink, Stat, Symlink, build

ROOT = {
    "/": ManifestEntry("/", 0o40755, 0, 0, 1),
    "/boot": ManifestEntry("/boot", 0o40755, 0, 0, 1),
    "/boot/k": ManifestEntry("/boot/k", 0o100644, 0, 0, 1, size=3, links=2, sha256="ab" * 32),
    "/l": ManifestEntry("/l", 0o120777, 0, 0, 1, target="boot/k"),
    "/\udcff": ManifestEntry("/\udcff", 0o100600, 7, 8, -1, size=0, links=1, sha256="00" * 32),
}
MANIFEST = Manifest("linux", "amd64", "label", "name", ROOT, {"/EFI/X": (3, "cd" * 32)}, ({"package": "p"},), {"n": 1})


def test_a_manifest_survives_its_file() -> None:
    data = MANIFEST.as_bytes()
    assert data == MANIFEST.as_bytes()
    assert data.isascii()
    assert Manifest.from_bytes(data) == MANIFEST


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-20],
        lambda text: text.replace('"schema": 1', '"schema": 2'),
        lambda text: text.replace('"root": [', '"root": [7, '),
        lambda text: text.replace('"system"', '"sytem"'),
        lambda text: text.replace('"uid"', '"uuid"'),
        lambda _: "[]",
        lambda _: "[" * 100_000,
        lambda _: "\xff",
    ],
)
def test_what_is_no_manifest_is_refused(change: object) -> None:
    assert callable(change)
    with pytest.raises(CloudbootError, match="manifest"):
        Manifest.from_bytes(change(MANIFEST.as_bytes().decode()).encode("latin-1"))


CONSOLE = """\
[    1.0] noise
cloudboot: stat 41ed 0 0 512 3 1 .
cloudboot: stat 41ed 0 0 512 2 1 ./boot
cloudboot: stat 81a4 0 0 3 2 1 ./boot/k
cloudboot: stat a1ff 0 0 6 1 1 ./l
cloudboot: stat 8180 7 8 0 1 -1 ./\udcff
cloudboot: file HASH  ./boot/k
cloudboot: file ZERO  ./\udcff
cloudboot: link boot/k <- ./l
cloudboot: end
""".replace("HASH", "ab" * 32).replace("ZERO", "00" * 32)


def account(text: str) -> Account:
    return Account.parse(text.encode("utf-8", "surrogateescape"))


def test_a_kernel_that_sees_the_same_has_no_differences() -> None:
    assert compare(account(CONSOLE), MANIFEST) == []


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        ("ab" * 32, "ac" * 32, "/boot/k: SHA-256 is " + "ac" * 32 + ", built as " + "ab" * 32),
        ("81a4 0 0 3", "81a5 0 0 3", "/boot/k: mode is 100645, built as 100644"),
        ("81a4 0 0 3", "81a4 0 1 3", "/boot/k: owner is 0:1, built as 0:0"),
        ("81a4 0 0 3 2 1", "81a4 0 0 3 2 2", "/boot/k: modification time is 2, built as 1"),
        ("81a4 0 0 3 2", "81a4 0 0 4 2", "/boot/k: size is 4, built as 3"),
        ("81a4 0 0 3 2", "81a4 0 0 3 1", "/boot/k: number of links is 1, built as 2"),
        ("41ed 0 0 512 3 1 .", "41ed 0 0 512 3 2 .", "/: modification time is 2, built as 1"),
        ("41ed 0 0 512 3 1 .", "41ed 0 0 512 2 1 .", "/: number of links is 2, built as 3"),
        ("41ed 0 0 512 2 1 ./boot", "41ff 0 0 512 2 1 ./boot", "/boot: mode is 40777, built as 40755"),
        ("link boot/k", "link boot/x", "/l: target is boot/x, built as boot/k"),
        ("cloudboot: file " + "ab" * 32 + "  ./boot/k\n", "", "/boot/k: SHA-256 is None, built as " + "ab" * 32),
        ("cloudboot: stat a1ff 0 0 6 1 1 ./l\n", "", "/l: the kernel does not see it"),
        ("cloudboot: end", "cloudboot: stat 81a4 0 0 0 1 1 ./new", "/new: not in the manifest"),
    ],
)
def test_every_kind_of_difference_is_named(old: str, new: str, difference: str) -> None:
    assert old in CONSOLE
    assert compare(account(CONSOLE.replace(old, new, 1)), MANIFEST) == [difference]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "tree"
    (top / "etc").mkdir(parents=True)
    (top / "etc" / "conf").write_bytes(b"x = 1\n")
    (top / "etc" / "again").hardlink_to(top / "etc" / "conf")
    (top / "link").symlink_to("etc/conf")
    (top / "tool").write_bytes(b"#!")
    (top / "tool").chmod(0o4755)
    os.utime(top / "tool", (1, 1_700_000_000))
    return top


def test_a_folder_and_its_archive_have_one_account(tree: Path, tmp_path: Path) -> None:
    tar = tmp_path / "tree.tar"
    run(judge("tar", "tar"), "-C", tree, "-cf", tar, ".")
    by_folder = {entry.path: entry for entry in account_of_mapping({".": tree})}
    by_archive = {entry.path: entry for entry in account_of_archive(tar)}
    assert by_folder == by_archive
    assert by_folder["/etc/again"].links == by_folder["/etc/conf"].links == 2
    for path, entry in by_folder.items():
        host = tree / path[1:]
        seen = subprocess.run(["stat", "-c", "%f %u %g %Y", host], capture_output=True, check=True).stdout.split()
        assert [f"{entry.mode:x}", str(entry.uid), str(entry.gid), str(entry.mtime)] == [word.decode() for word in seen]
        if stat.S_ISREG(entry.mode):
            assert entry.sha256 == run("sha256sum", host).split()[0]


def test_a_mapping_accounts_for_links_and_folders_below(tree: Path) -> None:
    members: dict[str, RootMember] = {
        "boot/k": File(b"abc", mtime_ns=5 * 10**9),
        "k2": HardLink("boot/k"),
        "s": Symlink("k2"),
        "sub": tree,
    }
    entries = {entry.path: entry for entry in account_of_mapping(members)}
    assert (entries["/k2"].links, entries["/boot/k"].links, entries["/k2"].mtime) == (2, 2, 5)
    assert entries["/s"].target == "k2"
    assert entries["/sub/etc/conf"].size == 6
    assert entries["/sub"].mtime == int(tree.stat().st_mtime)
    assert entries["/boot"] == ManifestEntry("/boot", 0o40755, 0, 0, 5)


def attributes(status: Stat) -> tuple[int, int, int, int]:
    return status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns // 10**9


def test_folders_that_nobody_names_are_as_the_writer_makes_them(tree: Path, tmp_path: Path) -> None:
    members: dict[str, RootMember] = {
        "a/b/first": File(b"", mtime_ns=7 * 10**9 + 5),
        "a/second": File(b"", mtime_ns=9 * 10**9),
        "links/only/one": HardLink("a/second"),
        "named/later/x": Symlink("y", mtime_ns=3 * 10**9),
        "named": Directory(mode=0o700, uid=4, mtime_ns=10**9),
        "in/there": tree,
    }
    tar = tmp_path / "tree.tar"
    with tarfile.open(tar, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, mtime, kind in (("p/q/x", 8, b"0"), ("r/s/y", 2, tarfile.LNKTYPE), ("p/z", 6, b"0"), ("r", 4, b"5")):
            member = tarfile.TarInfo(name)
            member.mtime, member.type, member.linkname = mtime, kind, "p/q/x" if kind == tarfile.LNKTYPE else ""
            archive.addfile(member)
    for source, account in ((members, account_of_mapping(members)), (tar, account_of_archive(tar))):
        image = tmp_path / "image"
        build(image, source, force=True)
        entries = {entry.path: (entry.mode, entry.uid, entry.gid, entry.mtime) for entry in account}
        with UFS2.open(image) as volume:
            found = ["/"]
            for top, below, others in volume.walk():
                found += [f"{top.rstrip('/')}/{entry.name}" for entry in (*below, *others)]
            assert entries == {path: attributes(volume.stat(path, follow_symlinks=False)) for path in found}


def test_an_archive_accounts_for_what_the_file_system_will_hold(tmp_path: Path) -> None:
    """Times that a float would round or cut towards zero, and a link to a link."""
    times = {"late": "1699999999.999999999", "early": "-1.5", "whole": "-2.0"}
    tar = tmp_path / "tree.tar"
    with tarfile.open(tar, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, mtime in times.items():
            member = tarfile.TarInfo(name)
            member.pax_headers = {"mtime": mtime}
            archive.addfile(member)
        for name, target in (("second", "late"), ("third", "second")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.LNKTYPE, target
            archive.addfile(member)
    image = tmp_path / "image"
    build(image, tar)
    entries = {entry.path: entry for entry in account_of_archive(tar)}
    with UFS2.open(image) as volume:
        assert {"/", *(f"/{name}" for name in volume.listdir())} == entries.keys()
        for path, entry in entries.items():
            held = volume.stat(path)
            assert held.st_mtime_ns // 10**9 == entry.mtime
            assert entry.links == (None if path == "/" else held.st_nlink)


def test_what_is_neither_folder_nor_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "noise"
    path.write_bytes(b"\x00noise" * 1000)
    with pytest.raises(CloudbootError, match="neither a folder nor a tar archive"):
        list(account_of_archive(path))


@pytest.mark.parametrize(
    ("headers", "size", "words"),
    [
        ({"mtime": "inf"}, 0, "neither a folder nor a tar archive"),
        ({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(2**62)}, 512, "more than"),
        ({"size": str(2**63)}, 0, "more than|neither"),
    ],
)
def test_hostile_archives_end_in_an_error(tmp_path: Path, headers: dict[str, str], size: int, words: str) -> None:
    tar = tmp_path / "hostile.tar"
    with tarfile.open(tar, "w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("file")
        member.pax_headers, member.size = headers, size
        archive.addfile(member, io.BytesIO(b"0\n".ljust(size, b"\0")))
    with pytest.raises(CloudbootError, match=words):
        list(account_of_archive(tar))


def test_json_of_a_manifest_is_plain(tmp_path: Path) -> None:
    document = json.loads(MANIFEST.as_bytes())
    assert document["esp"]["/EFI/X"] == {"size": 3, "sha256": "cd" * 32}
    assert [entry["path"] for entry in document["root"]] == sorted(ROOT)
