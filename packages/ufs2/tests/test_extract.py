"""Out of a file system: archives, copies, comparisons, and whether FreeBSD could boot from it."""

from __future__ import annotations

import functools
import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from cloudboot_base import MemoryStorage
from cloudboot_base.testing import judge, run
from cloudboot_ufs2 import (
    FREEBSD_BOOT,
    UFS2,
    Difference,
    Directory,
    File,
    Options,
    Symlink,
    Ufs2Error,
    UnsupportedError,
    build,
    compare,
    copy_out,
    errors,
    extract,
    verify,
)
from cloudboot_ufs2.builder.members import Member
from cloudboot_ufs2.exporter.presets import Preset
from cloudboot_ufs2.layout.constants import SF_SNAPSHOT
from cloudboot_ufs2.testing import Editor, image_of, pattern, sample_image

DAY = 86_400 * 10**9
ELF = b"\x7fELF\2\1\1" + bytes(9) + b"\2\0\x3e\0" + pattern(300_000)


def boot_tree(**more: Member) -> dict[str, Member]:
    """What a FreeBSD system has in /boot, and more that a boot archive should not hold."""
    return {
        "boot/kernel/kernel": File(ELF, 0o555, mtime_ns=DAY + 1),
        "boot/kernel/virtio.ko": b"v",
        "boot/kernel/virtio_blk.ko": b"vb",
        "boot/kernel/if_vtnet.ko": b"vn",
        "boot/kernel/zfs.ko": b"no",
        "boot/kernel.old/kernel": b"no",
        "boot/loader.efi": b"MZ",
        "boot/loader_lua.efi": b"MZ",
        "boot/defaults/loader.conf": b"# defaults\n",
        "boot/lua/loader.lua": b"-- lua\n",
        "boot/device.hints": b"",
        "boot/entropy": b"secret",
        "etc/rc.conf": b"no",
        **{name.replace("__", "/").replace("_conf", ".conf"): member for name, member in more.items()},
    }


@functools.cache
def sample() -> bytes:
    return sample_image()


def test_an_archive_is_what_tar_makes_of_the_tree(tree: Path, tmp_path: Path) -> None:
    build(tmp_path / "image", tree)
    with UFS2.open(tmp_path / "image") as volume:
        done = extract(volume, tmp_path / "all.tar")
        again = io.BytesIO()
        extract(volume, again)
    assert (tmp_path / "all.tar").read_bytes() == again.getvalue()
    assert list(done.paths) == sorted(done.paths, key=lambda path: path.split("/"))
    assert not done.skipped
    out = tmp_path / "out"
    out.mkdir()
    run(judge("tar", "tar"), "--same-owner", "-xpf", tmp_path / "all.tar", "-C", out)
    with UFS2.open(tmp_path / "image") as volume:
        assert list(compare(volume, out)) == []
    for path in tree.rglob("*"):
        host, copy = path.lstat(), (out / path.relative_to(tree)).lstat()
        assert (host.st_mode, host.st_size if path.is_file() else 0, host.st_uid, host.st_gid, host.st_nlink) == (
            copy.st_mode, copy.st_size if path.is_file() else 0, copy.st_uid, copy.st_gid, copy.st_nlink,
        )  # fmt: skip
        assert host.st_mtime_ns == copy.st_mtime_ns
        if path.is_symlink():
            assert os.readlink(path) == os.readlink(out / path.relative_to(tree))
        elif path.is_file():
            assert path.read_bytes() == (out / path.relative_to(tree)).read_bytes()


def test_there_and_back(tmp_path: Path) -> None:
    """A file system built from the archive of another holds the same."""
    with UFS2.open(sample()) as volume:
        extract(volume, tmp_path / "all.tar")
        build(tmp_path / "image", tmp_path / "all.tar", Options(block_size=8192, fragment_size=1024))
        with UFS2.open(tmp_path / "image") as copy:
            assert list(compare(volume, copy)) == []
            assert volume.stat("/short").st_mtime_ns == copy.stat("/short").st_mtime_ns == DAY + 123_456_789


def test_the_boot_preset() -> None:
    archive = io.BytesIO()
    with UFS2.open(image_of(boot_tree())) as volume:
        done = extract(volume, archive, FREEBSD_BOOT)
    assert done.synthesised == ("boot/loader.conf",)
    archive.seek(0)
    with tarfile.open(fileobj=archive) as tar:
        files = {member.name: member for member in tar if member.isreg()}
        assert set(files) == {
            "boot/kernel/kernel", "boot/kernel/virtio.ko", "boot/kernel/virtio_blk.ko", "boot/kernel/if_vtnet.ko",
            "boot/loader.efi", "boot/loader_lua.efi", "boot/defaults/loader.conf", "boot/lua/loader.lua",
            "boot/device.hints", "boot/loader.conf",
        }  # fmt: skip
        made = tar.extractfile("boot/loader.conf")
        assert made is not None
        lines = made.read().decode().splitlines()
        assert [line for line in lines if "_load" in line] == [
            'if_vtnet_load="YES"', 'virtio_load="YES"', 'virtio_blk_load="YES"',
        ]  # fmt: skip
        assert tar.getmember("boot").isdir()
        assert files["boot/kernel/kernel"].mode == 0o555
        assert files["boot/kernel/kernel"].pax_headers["mtime"] == "86400.000000001"
    # What was made of it is bootable.
    rebuilt = bytearray(16 << 20)
    archive.seek(0)
    build(MemoryStorage(rebuilt), archive)
    with UFS2.open(rebuilt) as volume:
        assert verify(volume).findings == []


def test_a_configuration_of_the_image_or_the_caller_wins() -> None:
    with UFS2.open(image_of(boot_tree(boot__loader_conf=b'a="b"\n'))) as volume:
        for configuration, expected in ((None, b'a="b"\n'), (b'c="d"\n', b'c="d"\n')):
            archive = io.BytesIO()
            done = extract(volume, archive, FREEBSD_BOOT, configuration=configuration)
            assert done.synthesised == (() if configuration is None else ("boot/loader.conf",))
            archive.seek(0)
            with tarfile.open(fileobj=archive) as tar:
                found = tar.extractfile("boot/loader.conf")
                assert found is not None
                assert found.read() == expected


def test_what_is_required_must_be_there(tmp_path: Path) -> None:
    with UFS2.open(image_of({"boot/loader.efi": b"MZ"})) as volume:
        with pytest.raises(errors.FileNotFoundError, match="boot/kernel/kernel"):
            extract(volume, tmp_path / "boot.tar", FREEBSD_BOOT)
        assert not (tmp_path / "boot.tar").exists()
        done = extract(volume, tmp_path / "boot.tar", ["boot/*"])
        assert done.paths == ("boot", "boot/loader.efi")
        with pytest.raises(FileExistsError):
            extract(volume, tmp_path / "boot.tar")
        assert extract(volume, tmp_path / "boot.tar", ["nothing/*", "nor*"], force=True).paths == ()


def test_presets_are_looked_for_where_they_can_be() -> None:
    assert FREEBSD_BOOT.roots() == ["boot"]
    assert Preset(("etc/*.conf", "boot/*/x", "boot/kernel/kernel")).roots() == ["boot", "etc"]
    assert Preset(("*.conf", "boot/x")).roots() == [""]


def test_what_is_left_out(tmp_path: Path) -> None:
    editor = Editor(sample())
    changes = {
        "/empty": {"di_mode": stat.S_IFIFO | 0o600},
        "/tail": {"di_flags": SF_SNAPSHOT},
        "/short": {"di_mode": stat.S_IFCHR | 0o600, "di_size": 0},
    }
    for path, fields in changes.items():
        editor.change_inode(editor.find(path), **fields)
    with UFS2.open(editor.data) as volume:
        done = extract(volume, tmp_path / "all.tar")
        assert {skipped.path for skipped in done.skipped} == changes.keys()
        copied = copy_out(volume, "/", tmp_path / "copy")
        assert {skipped.path for skipped in copied.skipped} == changes.keys()
        assert not (tmp_path / "copy/tail").exists()
        with pytest.raises(UnsupportedError, match="snapshot"):
            copy_out(volume, "/tail", tmp_path / "tail")


def test_copies(tree: Path, tmp_path: Path) -> None:
    build(tmp_path / "image", tree)
    with UFS2.open(tmp_path / "image") as volume:
        done = copy_out(volume, "/", tmp_path / "copy")
        assert list(compare(volume, tmp_path / "copy", ignore=["mode", "owner"])) == []
        assert done.files == sum(path.is_file() and not path.is_symlink() for path in tree.rglob("*")) - 1
        assert (tmp_path / "copy/many").stat().st_mode & 0o7777 == 0o777
        copy_out(volume, "/etc/inline", tmp_path / "conf")
        assert (tmp_path / "conf").read_bytes() == (tree / "boot/loader.conf").read_bytes()
        for target in ("copy", "conf"):
            with pytest.raises(FileExistsError):
                copy_out(volume, "/" if target == "copy" else "/short", tmp_path / target)
        copy_out(volume, "/short", tmp_path / "conf", force=True)
        assert (tmp_path / "conf").read_bytes() == b"short\n"


def test_holes_stay_holes(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.seek(40 << 20)
        file.write(b"end")
    with UFS2.open(image_of({"sparse": tmp_path / "sparse"})) as volume:
        copy_out(volume, "/sparse", tmp_path / "copy")
        assert (tmp_path / "copy").stat().st_blocks < 1000
        assert (tmp_path / "copy").read_bytes() == (tmp_path / "sparse").read_bytes()


def test_large_holes_stay_holes_in_an_archive(tmp_path: Path) -> None:
    """A file may be larger than its file system; GNU tar and bsdtar make the same of the archive."""
    tree = tmp_path / "tree"
    (tree / "d").mkdir(parents=True)
    contents = {
        "d/large": [(0, b"begin"), (3 << 30, b"end")],
        "end": [(0, b"begin"), (9 << 20, b"")],
        "hole": [(2 << 20, b"")],
        "small": [(0, b"begin"), (500_000, b"end")],
    }
    for name, parts in contents.items():
        with open(tree / name, "wb") as file:
            for offset, data in parts:
                file.seek(offset)
                file.write(data)
                file.truncate()
    os.link(tree / "d/large", tree / "twin")
    build(tmp_path / "image", tree)
    with UFS2.open(tmp_path / "image") as volume:
        extract(volume, tmp_path / "all.tar")
    assert (tmp_path / "all.tar").stat().st_size < 1 << 20
    for program, package in (("tar", "tar"), ("bsdtar", "libarchive-tools")):
        target = tmp_path / program
        target.mkdir()
        run(judge(program, package), "-xpf", tmp_path / "all.tar", "-C", target)
        run(judge("diff", "diffutils"), "--recursive", tree, target)
        assert (target / "d/large").stat().st_blocks < 1000
        assert (target / "d/large").samefile(target / "twin")
    build(tmp_path / "again", tmp_path / "all.tar")
    with UFS2.open(tmp_path / "again") as volume:
        assert volume.stat("/d/large").st_size == (3 << 30) + 3
        with volume.open_file("/d/large") as opened:
            assert opened.read_at(3 << 30, 3) == b"end"


def test_an_interrupted_copy_leaves_nothing(tmp_path: Path) -> None:
    editor = Editor(sample())
    number = editor.find("/boot/kernel/module.ko")
    editor.change_pointer(number, 1, editor.geometry.size + 5)
    with UFS2.open(editor.data) as volume:
        for act in (
            lambda: copy_out(volume, "/", tmp_path / "copy"),
            lambda: extract(volume, tmp_path / "all.tar"),
        ):
            with pytest.raises(Ufs2Error):
                act()
    assert list(tmp_path.iterdir()) == []


def test_verify_names_what_is_wrong() -> None:
    good = b'# x\n\nkernel="kernel" # y\nvfs.root.mountfrom=ufs:/dev/da0\nexec="a"\n'
    cases: dict[str, tuple[dict[str, Member], set[str]]] = {
        "good": (boot_tree(boot__loader_conf=good), set()),
        "no configuration": (boot_tree(), {"loader-conf-missing"}),
        "bad configuration": (boot_tree(boot__loader_conf=b'a="b\n'), {"loader-conf-syntax"}),
        "no kernel": ({"boot/loader.conf": b""}, {"kernel-missing"}),
        "not an ELF kernel": ({"boot/loader.conf": b"", "boot/kernel/kernel": b"MZ"}, {"kernel-not-elf"}),
        "a folder as kernel": ({"boot/loader.conf": b"", "boot/kernel/kernel/x": b""}, {"kernel-type"}),
        "nothing": ({"a": b""}, {"not-a-root", "kernel-missing", "loader-conf-missing"}),
    }  # fmt: skip
    for name, (members, kinds) in cases.items():
        with UFS2.open(image_of(members)) as volume:
            assert {finding.kind for finding in verify(volume).findings} == kinds, name
    with UFS2.open(image_of({"a": b""})) as volume:
        result = verify(volume, require_kernel=False, require_loader_conf=False)
        assert {finding.kind for finding in result.findings} == {"not-a-root"}
        assert result.facts["block_size"] == 32768


def test_verify_reads_to_the_end() -> None:
    editor = Editor(image_of(boot_tree(boot__loader_conf=b"")))
    number = editor.find("/boot/kernel/kernel")
    editor.change_pointer(number, 9, 1 << 50)
    with UFS2.open(editor.data) as volume:
        assert [finding.kind for finding in verify(volume).findings] == ["damaged"]


def test_comparing() -> None:
    left: dict[str, Member] = {
        "same": b"s", "content": b"abcdef", "size": b"1", "mode": File(b"", 0o600), "owner": File(b"", uid=5),
        "time": File(b"", mtime_ns=5), "link": Symlink("a"), "kind": b"", "only-left": b"", "folder": Directory(0o700),
    }  # fmt: skip
    right: dict[str, Member] = {
        "same": b"s", "content": b"abcXef", "size": b"12", "mode": File(b"", 0o644), "owner": File(b"", uid=6),
        "time": File(b"", mtime_ns=6), "link": Symlink("b"), "kind": Symlink("x"), "only-right": b"",
        "folder": Directory(0o755),
    }  # fmt: skip
    with (
        UFS2.open(image_of(left)) as one,
        UFS2.open(image_of(right, Options(block_size=4096, fragment_size=512))) as other,
    ):
        found = {(difference.path, difference.field) for difference in compare(one, other)}
        assert found == {
            ("/content", "content"), ("/size", "size"), ("/mode", "mode"), ("/owner", "owner"), ("/time", "mtime"),
            ("/link", "target"), ("/kind", "type"), ("/kind", "mode"), ("/kind", "size"), ("/only-left", "path"),
            ("/only-right", "path"), ("/folder", "mode"),
        }  # fmt: skip
        assert Difference("/content", "content", "differs from byte 3 on", None) in list(compare(one, other))
        assert list(compare(one, one)) == []
        ignored = {difference.field for difference in compare(one, other, ignore=["mode", "content", "target"])}
        assert ignored == {"size", "owner", "mtime", "type", "path"}
