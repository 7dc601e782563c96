"""The build's account, and a kernel's account held against it."""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import json
import os
import shutil
import stat
import subprocess
import tarfile
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_base.testing import judge, run
from cloudboot_probes import debian
from cloudboot_probes.errors import AccountError, CloudbootError, ManifestError
from cloudboot_probes.inventory import RootMember, account_of_archive, account_of_mapping
from cloudboot_probes.manifest import Manifest, ManifestEntry
from cloudboot_probes.probe.account import BEGIN, END, Account, AccountReader, compare, size_limit
from cloudboot_qemu import ExpectTimeoutError, Transcript
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


HUGE = "9" * 5000


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-20],
        lambda text: text.replace('"schema": 1', '"schema": 2'),
        lambda text: text.replace('"schema": 1', '"schema": true'),
        lambda text: text.replace('"schema": 1', '"schema": 1.0'),
        lambda text: text.replace('"root": [', '"root": [7, '),
        lambda text: text.replace('"root": [', '"root": {"a": ').replace("\n ]\n}", "}}"),
        lambda text: text.replace('"system"', '"sytem"'),
        lambda text: text.replace('"system": "linux"', '"system": ["linux"]'),
        lambda text: text.replace('"uid"', '"uuid"'),
        lambda text: text.replace('"mode": 33188', '"mode": "abc"'),
        lambda text: text.replace('"mode": 33188', '"mode": 420'),
        lambda text: text.replace('"mode": 33188', '"mode": true'),
        lambda text: text.replace('"size": 3', '"size": Infinity'),
        lambda text: text.replace('"size": 3', '"size": NaN'),
        lambda text: text.replace('"size": 3', '"size": -1'),
        lambda text: text.replace('"size": 3', '"size": 1e3'),
        lambda text: text.replace('"size": 3', f'"size": {HUGE}'),
        lambda text: text.replace('"uid": 7', '"uid": 4294967296'),
        lambda text: text.replace('"mtime": -1', f'"mtime": {2**63}'),
        lambda text: text.replace('"links": 2', '"links": 0'),
        lambda text: text.replace("ab" * 32, "ab" * 31),
        lambda text: text.replace("cd" * 32, "xy" * 32),
        lambda text: text.replace('"/boot/k"', '"boot/k"'),
        lambda text: text.replace('"/boot/k"', '"/boot\\u0000k"'),
        lambda text: text.replace('"/boot/k"', '"/boot"'),
        lambda text: text.replace("udcff", "ud800"),
        lambda text: text.replace('"label"', '"\\ud800"'),
        lambda text: text.replace('"package": "p"', '"version": "p"'),
        lambda text: text.replace('"package": "p"', '"package": 7'),
        lambda text: text.replace('"recipe": {', '"recipe": [').replace('"n": 1\n }', "1 ]"),
        lambda text: text.replace('"target": "boot/k"', '"target": null'),
        lambda _: "[]",
        lambda _: "null",
        lambda _: '{"schema": 1}',
        lambda _: "[" * 100_000,
        lambda _: '{"schema":' + "[" * 100_000,
        lambda _: "\xff",
    ],
)
def test_what_is_no_manifest_is_refused(change: object) -> None:
    assert callable(change)
    before = MANIFEST.as_bytes().decode()
    changed = change(before)
    assert changed != before
    with pytest.raises(ManifestError, match="manifest") as caught:
        Manifest.from_bytes(changed.encode("latin-1"))
    assert caught.value.exit_code == 3
    str(caught.value).encode()  # no lone surrogate reaches a terminal or a report


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.data())
def test_any_value_anywhere_is_read_or_refused(data: st.DataObject) -> None:
    document = json.loads(MANIFEST.as_bytes())
    place: object = document
    while isinstance(place, dict | list) and place:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = data.draw(st.sampled_from(keys))
        if data.draw(st.booleans()) or not isinstance(place[key], dict | list):
            place[key] = data.draw(JSON)
            break
        place = place[key]
    try:
        read = Manifest.from_bytes(json.dumps(document).encode())
    except ManifestError:
        return
    assert Manifest.from_bytes(read.as_bytes()) == read


def encoded(
    names: list[bytes], stats: list[str], hashes: list[tuple[str, bytes]], links: list[tuple[bytes, bytes]]
) -> bytes:
    """What the first program prints for these entries."""
    raw = b"".join(name + b"\0" for name in names) + b"\0"
    raw += "".join(f"{line}\n" for line in stats).encode() + b"\n"
    raw += b"".join(digest.encode() + b"  " + name + b"\n" for digest, name in hashes) + b"\n"
    raw += b"".join(b"%d '%b' -> '%b'\n" % (len(target), name, target) for name, target in links) + b"\n"
    return console(raw)


def console(raw: bytes) -> bytes:
    text = base64.b64encode(gzip.compress(raw))
    lines = [text[start : start + 160] for start in range(0, len(text), 160)]
    return b"\n".join([b"[    1.0] noise", BEGIN, *lines, END, b"cloudboot: end", b""])


NAMES = [b".", b"./boot", b"./boot/k", b"./l", b"./\xff"]
STATS = ["41ed 0 0 512 3 1", "41ed 0 0 512 2 1", "81a4 0 0 3 2 1", "a1ff 0 0 6 1 1", "8180 7 8 0 1 -1"]
HASHES = [("ab" * 32, b"./boot/k"), ("00" * 32, b"./\xff")]
LINKS = [(b"./l", b"boot/k")]


def test_a_kernel_that_sees_the_same_has_no_differences() -> None:
    assert compare(Account.parse(encoded(NAMES, STATS, HASHES, LINKS)), MANIFEST) == []


@pytest.mark.parametrize(
    ("part", "old", "new", "difference"),
    [
        (HASHES, "ab" * 32, "ac" * 32, "/boot/k: SHA-256 is " + "ac" * 32 + ", built as " + "ab" * 32),
        (STATS, "81a4 0 0 3", "81a5 0 0 3", "/boot/k: mode is 100645, built as 100644"),
        (STATS, "81a4 0 0 3", "81a4 0 1 3", "/boot/k: owner is 0:1, built as 0:0"),
        (STATS, "81a4 0 0 3 2 1", "81a4 0 0 3 2 2", "/boot/k: modification time is 2, built as 1"),
        (STATS, "81a4 0 0 3 2", "81a4 0 0 4 2", "/boot/k: size is 4, built as 3"),
        (STATS, "81a4 0 0 3 2", "81a4 0 0 3 1", "/boot/k: number of links is 1, built as 2"),
        (STATS, "41ed 0 0 512 3 1", "41ed 0 0 512 3 2", "/: modification time is 2, built as 1"),
        (STATS, "41ed 0 0 512 3 1", "41ed 0 0 512 2 1", "/: number of links is 2, built as 3"),
        (STATS, "41ed 0 0 512 2 1", "41ff 0 0 512 2 1", "/boot: mode is 40777, built as 40755"),
    ],
)
def test_every_kind_of_difference_is_named(part: list[Any], old: str, new: str, difference: str) -> None:
    def changed(given: list[Any]) -> list[Any]:
        if given is not part:
            return given
        return [
            item.replace(old, new, 1) if isinstance(item, str) else (item[0].replace(old, new), *item[1:])
            for item in given
        ]

    text = encoded(NAMES, changed(STATS), changed(HASHES), LINKS)
    assert compare(Account.parse(text), MANIFEST) == [difference]


def test_what_is_missing_or_too_much_is_named() -> None:
    def differences(names: list[bytes], stats: list[str], hashes: list[tuple[str, bytes]]) -> list[str]:
        return compare(Account.parse(encoded(names, stats, hashes, LINKS if b"./l" in names else [])), MANIFEST)

    assert differences(NAMES, STATS, HASHES[1:]) == ["/boot/k: SHA-256 is None, built as " + "ab" * 32]
    less = NAMES[:3] + NAMES[4:], STATS[:3] + STATS[4:]
    assert differences(*less, HASHES) == ["/l: the kernel does not see it"]
    more = [*NAMES, b"./new"], [*STATS, "81a4 0 0 0 1 1"]
    assert differences(*more, [*HASHES, ("00" * 32, b"./new")]) == ["/new: not in the manifest"]
    text = encoded(NAMES, STATS, HASHES, [(b"./l", b"boot/x")])
    assert compare(Account.parse(text), MANIFEST) == ["/l: target is boot/x, built as boot/k"]


HARD_NAMES = [
    b"line\nbreak", b"return\rhere", b"\x1b[2Jescape", b"cloudboot: end", b"x\ncloudboot: end\ny", b"back\\slash",
    b"\xff\xfe", b"a' -> 'b", b"quote'", b" ", b"\x1b]0;title\x07", b"cloudboot: account end", "grüße".encode(),
]  # fmt: skip


def test_names_may_hold_any_byte_and_text() -> None:
    """As busybox prints them, whose programs the image carries; the next test asks those programs themselves."""
    names = [b"."] + [b"./" + name for name in HARD_NAMES] + [b"./l1", b"./l2"]
    stats = ["41ed 0 0 512 2 1"] + ["81a4 0 0 1 1 1"] * len(HARD_NAMES) + ["a1ff 0 0 9 1 1"] * 2
    hashes = [(f"{number:064x}", name) for number, name in enumerate(names[1:-2])]
    links = [(b"./l1", b"x\n' -> 'y"), (b"./l2", b"\x1b[0m\n\n..")]
    account = Account.parse(encoded(names, stats, hashes, links))
    assert account.hashes == {
        "/" + name.decode("utf-8", "surrogateescape"): f"{number:064x}" for number, name in enumerate(HARD_NAMES)
    }
    assert account.targets == {"/l1": "x\n' -> 'y", "/l2": "\x1b[0m\n\n.."}
    assert len(account.entries) == len(names)


def test_the_first_programs_account_of_a_hard_tree(tmp_path: Path) -> None:
    """The very lines of ``init``, run by a shell here with busybox, give an account that agrees with the tree."""
    package = debian.extract(debian.fetch("busybox-static"), r"(usr/)?bin/busybox")
    busybox = str(shutil.copy(next(package.rglob("busybox")), tmp_path / "busybox"))
    os.chmod(busybox, 0o755)
    root = tmp_path / "root"
    members: dict[str, RootMember] = {}
    for number, name in enumerate(HARD_NAMES):
        path = os.fsencode(root) + b"/d%d/" % number + name
        os.makedirs(os.path.dirname(path))
        with open(path, "wb") as file:
            file.write(name * number)
        os.symlink(b"to\n" + name, path + b"link")
    os.utime(root, (1, 1))
    members["."] = root
    script = (resources.files("cloudboot_probes") / "data" / "init").read_text()
    body = script[script.index('    echo "cloudboot: account 1"') : script.index("    head -n 20 /errors")]
    body = body.replace("/errors", str(tmp_path / "errors"))
    tools = tmp_path / "bin"
    tools.mkdir()
    subprocess.run([busybox, "--install", "-s", str(tools)], check=True)
    done = subprocess.run(
        [busybox, "sh", "-c", f"export PATH={tools}\ncd {root}\n{body}"], capture_output=True, check=True
    )
    account = Account.parse(done.stdout)
    entries = {entry.path: entry for entry in account_of_mapping(members)}
    # The folders' links are a matter of the host's file system, and the root's own time is a folder's.
    assert [line for line in compare(account, Manifest("linux", "amd64", "", "", entries)) if "links" not in line] == []
    assert len(account.hashes) == len(account.targets) == len(HARD_NAMES)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"cloudboot: end\n", "no account"),
        (BEGIN + b"\n" + END + b"\n", "has no end"),
        (console(b"./a\0"), "names"),
        (console(b"./a\0\0"), "attributes"),
        (console(b"./a\0\0what\n\n\n\n"), "no attributes for '/a'"),
        (console(b"./a\0./b\0\0" + b"81a4 0 0 3 2 1\n\n\n\n"), "1 of 2 entries"),
        (console(b"./a\0\0" + b"81a4 0 0 3 2 1\n\n" + b"x\n\n\n"), "hashes"),
        (console(b"./a\0\0" + b"a1ff 0 0 3 1 1\n\n\n" + b"3 './a' -> 'tooLong'\n\n"), "targets"),
    ],
)
def test_a_damaged_account_says_what_is_wrong(text: bytes, words: str) -> None:
    with pytest.raises(AccountError, match=words):
        Account.parse(text)


def test_another_line_within_an_account_is_passed_over_and_a_changed_one_is_not() -> None:
    lines = encoded(NAMES, STATS, HASHES, LINKS).split(b"\n")
    at = lines.index(BEGIN) + 1
    assert Account.parse(b"\n".join([*lines[:at], b"[ 9.9] oops: hm", *lines[at:]])).entries
    changed = lines[at][:-8] + (b"AAAA" if lines[at][-8:-4] != b"AAAA" else b"BBBB") + lines[at][-4:]
    with pytest.raises(AccountError):
        Account.parse(b"\n".join([*lines[:at], changed, *lines[at + 1 :]]))


def test_an_account_is_bounded_by_what_was_built() -> None:
    reader = AccountReader(size_limit(MANIFEST))
    bomb = base64.b64encode(gzip.compress(bytes(64 << 20)))
    with pytest.raises(AccountError, match="longer than"):
        for start in range(0, len(bomb), 160):
            reader.feed(bomb[start : start + 160])


def test_forty_thousand_files_pass_through_a_console_that_keeps_less() -> None:
    """The account outgrows what a transcript keeps; a reader that follows sees all of it."""
    count = 40_000
    entries = {"/": ManifestEntry("/", 0o40755, 0, 0, 1)}
    names, stats, hashes = [b"."], ["41ed 0 0 512 2 1"], []
    for number in range(count):
        name, digest = f"file-{number:06}-{'n' * 40}", f"{number * 7919:064x}"
        entries[f"/{name}"] = ManifestEntry(f"/{name}", 0o100644, 0, 0, 1, size=number, links=1, sha256=digest)
        names.append(f"./{name}".encode())
        stats.append(f"81a4 0 0 {number} 1 1")
        hashes.append((digest, names[-1]))
    manifest = Manifest("linux", "amd64", "", "", entries)
    text = encoded(names, stats, hashes, [])
    transcript = Transcript(limit=len(text) // 8)
    reader, begun, done = AccountReader(size_limit(manifest)), False, False
    for start in range(0, len(text), 4096):
        transcript.feed(text[start : start + 4096].replace(b"\n", b"\r\n"), 0.0)
        with contextlib.suppress(ExpectTimeoutError):
            for line in transcript.take_lines(0):
                done = done or (begun and line == END)
                if begun and not done:
                    reader.feed(line)
                begun = begun or line == BEGIN
    assert transcript.dropped > 0
    assert transcript.lost == 0
    assert compare(reader.close(), manifest) == []


def test_a_reader_that_falls_behind_is_told() -> None:
    transcript = Transcript(limit=1000)
    for number in range(1000):
        transcript.feed(b"line %d\n" % number, 0.0)
    taken = transcript.take_lines(0)
    assert taken[-1] == b"line 999"
    assert transcript.lost == sum(len(b"line %d\n" % number) for number in range(1000 - len(taken)))


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
