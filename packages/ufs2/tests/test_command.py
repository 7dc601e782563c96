"""The command: results on stdout, stories on stderr, exit codes."""

from __future__ import annotations

import gzip
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from cloudboot_base import Window
from cloudboot_base.command import BAD_INPUT, OK, USAGE
from cloudboot_base.testing import judge, loop_device, run
from cloudboot_disk_image import open_disk
from cloudboot_gpt import read_partitions
from cloudboot_gpt.testing import disklabel
from cloudboot_ufs2 import UFS2, check
from cloudboot_ufs2.__main__ import main
from cloudboot_ufs2.reader.partition import find_volume
from cloudboot_ufs2.testing import Editor


@pytest.fixture
def image(tree: Path, tmp_path: Path) -> str:
    assert main(["build", str(tmp_path / "image"), str(tree), "--label", "root", "-b", "16k", "--size", "32M"]) == 0
    return str(tmp_path / "image")


def test_build_says_what_it_made(image: str, tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["build", image, str(tree)]) == 5
    assert "--force" in capsys.readouterr().err
    assert main(["build", image, str(tree), "--force", "--json", "--owner", "0:0"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["size"] == Path(image).stat().st_size
    assert facts["block_size"] == 32768


def test_too_small(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", str(tmp_path / "small"), str(tree), "--size", "2M"]) == 4
    assert "bytes" in capsys.readouterr().err
    assert not (tmp_path / "small").exists()


def test_ls(image: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["ls", image, "/etc"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.endswith("inline -> ../boot/loader.conf") and line.startswith("lrwxrwxrwx") for line in lines)
    assert main(["ls", image, "-R", "--json"]) == 0
    rows = {row["path"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["/short"]["mode"] == "-rw-------"
    assert rows["/etc/hard"]["links"] == 2
    assert main(["ls", image, "/short"]) == 0
    assert main(["ls", image, "/missing"]) == 3


def test_cat(image: str, tree: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    capfdbinary.readouterr()
    assert main(["cat", image, "/boot/kernel/module.ko"]) == 0
    assert capfdbinary.readouterr().out == (tree / "boot/kernel/module.ko").read_bytes()
    assert main(["cat", image, "/boot"]) == 3
    assert main(["cat", image, "/tail", "--json"]) == 0
    assert sum(extent["length"] for extent in json.loads(capfdbinary.readouterr().out)["extents"]) == 40_000


def test_info_and_check(image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["info", image]) == 0
    assert "label: root" in capsys.readouterr().out
    assert main(["info", image, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["block_size"] == 16384
    assert main(["check", image]) == 0
    assert capsys.readouterr().out.endswith("no problems found\n")
    editor = Editor(Path(image).read_bytes())
    editor.change_inode(editor.find("/short"), di_nlink=3)
    (tmp_path / "bad").write_bytes(editor.data)
    assert main(["check", str(tmp_path / "bad")]) == 1
    assert "inode-links" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "bad"), "--json"]) == 1
    assert [finding["kind"] for finding in json.loads(capsys.readouterr().out)] == ["inode-links"]


def test_newfs_in_a_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(40 << 20))
    place = ["--offset", "8M", "--size", "32M"]
    assert main(["format", str(disk), *place]) == 5
    assert main(["format", str(disk), *place, "--force", "--no-snap", "--timestamp", "5", "-U", "--big-endian"]) == 0
    assert main(["check", str(disk), *place]) == 0
    capsys.readouterr()
    assert main(["info", str(disk), *place, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["byte_order"], facts["flags"], facts["time"]) == ("big", "0x202", 5)


@pytest.fixture
def disk(image: str, tmp_path: Path) -> str:
    """The image as the second partition of a GPT disk, compressed."""
    raw = tmp_path / "disk.raw"
    raw.write_bytes(bytes(20 << 20) + Path(image).read_bytes() + bytes(1 << 20))
    kind = "516E7CB6-6ECF-11D6-8FF8-00022D09712B"
    run(
        judge("sgdisk", "gdisk"), "-n", "1:2048:+1M", "-t", "1:EF00", "-n", f"2:{20 << 11}:+32M", "-t", f"2:{kind}", raw
    )
    (tmp_path / "disk.gz").write_bytes(gzip.compress(raw.read_bytes(), 1))
    return str(tmp_path / "disk.gz")


@pytest.fixture
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """cloudboot-gpt registered as what reads partition tables, the way an installed distribution is."""
    folder = tmp_path / "site/reader-1.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: reader\nVersion: 1\n")
    (folder / "entry_points.txt").write_text("[cloudboot.partitions]\nreader = cloudboot_gpt:read\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))


@pytest.mark.usefixtures("registered")
def test_a_partition_of_a_compressed_disk(disk: str, tree: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    capfdbinary.readouterr()
    assert main(["cat", disk, "/short"]) == 0
    assert capfdbinary.readouterr().out == b"short\n"
    assert main(["check", disk, "--partition", "2"]) == 0
    assert main(["ls", disk, "--partition", "1"]) == 3
    assert main(["ls", disk, "--partition", "3"]) == 2
    assert b"no partition number 3" in capfdbinary.readouterr().err
    for command in (["ls", disk], ["check", disk]):
        for place in (["--offset", "17M"], ["--size", "4M"]):
            assert main([*command, "--partition", "2", *place]) == 2
            assert b"a partition are given" in capfdbinary.readouterr().err
    assert main(["cat", disk, "/short", "--offset", "20M"]) == 0


def test_the_partition_of_a_disklabel_is_found_and_named(image: str, tmp_path: Path) -> None:
    """A FreeBSD slice: the file system is 16 sectors into it, where its disklabel says."""
    root = Path(image).read_bytes()
    sectors = len(root) // 512
    label = disklabel({"a": (7, 16, sectors), "c": (0, 0, 16 + sectors)})
    disk = tmp_path / "memstick.img"
    disk.write_bytes(bytes(2049 * 512) + label.ljust(15 * 512, b"\0") + root + bytes(1 << 20))
    script = f"label: dos\nstart=2048, size={16 + sectors}, type=a5\n"
    run(judge("sfdisk", "fdisk"), disk, stdin=script.encode())
    with open_disk(disk) as opened:
        for partition in (None, "s1a", "freebsd-ufs", 5):
            place = find_volume(opened.storage, partition=partition, readers=[read_partitions])
            assert tuple(place) == ((2048 + 16) * 512, len(root))
            volume = UFS2(Window(opened.storage, place.offset, len(root)))
            assert volume.read_file("/short") == b"short\n"


def test_get(image: str, tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = str(tmp_path / "got")
    assert main(["get", image, "/boot", target]) == 0
    assert (tmp_path / "got/kernel/module.ko").read_bytes() == (tree / "boot/kernel/module.ko").read_bytes()
    assert main(["get", image, "/boot", target]) == 5
    assert main(["get", image, "/short", str(tmp_path / "short")]) == 0
    assert main(["get", image, "/short", str(tmp_path / "short")]) == 5
    capsys.readouterr()
    assert main(["get", image, "/short", str(tmp_path / "short"), "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "path": "/short", "target": str(tmp_path / "short"), "files": 1, "size": 6, "skipped": [],
    }  # fmt: skip


def test_extract(image: str, tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = str(tmp_path / "boot.tar")
    (tmp_path / "loader.conf").write_text('a="b"\n')
    assert (
        main(["export", image, archive, "--preset", "freebsd-boot", "--loader-conf", str(tmp_path / "loader.conf")])
        == 0
    )
    assert "made boot/loader.conf" in capsys.readouterr().out
    assert run("tar", "-xOf", archive, "boot/loader.conf") == 'a="b"\n'
    assert main(["export", image, archive]) == 5
    assert main(["export", image, archive, "etc/*", "--force", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert {"etc", "etc/hard", "etc/deep/er/still"} <= set(facts["paths"])
    assert run("tar", "-tf", archive).splitlines()[0] == "etc/"
    assert main(["export", image, archive, "etc/*", "--preset", "freebsd-boot"]) == USAGE


def test_extract_to_a_pipe(image: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    capfdbinary.readouterr()
    assert main(["export", image, "-", "boot/*"]) == 0
    assert b"boot/kernel/module.ko" in capfdbinary.readouterr().out


def test_verify(image: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["verify", image]) == 1
    assert "kernel-not-elf" in capsys.readouterr().out
    assert main(["verify", image, "--json", "--no-require-kernel", "--require-loader-conf"]) == 1
    facts = json.loads(capsys.readouterr().out)
    assert facts["loader_conf_first_line"] == 'autoboot_delay="3"'
    assert [finding["kind"] for finding in facts["findings"]] == ["kernel-not-elf"]


def test_diff(image: str, tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["diff", image, str(tree)]) == 0
    assert main(["diff", image, image]) == 0
    assert not capsys.readouterr().out
    (tree / "short").write_bytes(b"other\n")
    (tree / "new").touch()
    assert main(["diff", image, str(tree), "--ignore", "mtime"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"/new: only in {tree}", "/short: content: differs from byte 0 on",
    ]  # fmt: skip
    assert main(["diff", image, str(tree), "--json"]) == 1
    fields = {(difference["path"], difference["field"]) for difference in json.loads(capsys.readouterr().out)}
    assert fields >= {("/new", "path"), ("/short", "content"), ("/short", "mtime")}


@pytest.mark.parametrize(
    "arguments", [[], ["build"], ["format", "x", "--size", "many"], ["build", "a", "b", "--owner", "me"]]
)
def test_wrong_usage(arguments: list[str]) -> None:
    assert main(arguments) == USAGE


def test_changing_in_place(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = str(tmp_path / "changed.ufs")
    assert main(["format", image, "--size", "32M"]) == OK
    moment = ("--timestamp", "1700000000")
    assert main(["mkdir", image, "/a/b", "-p", *moment]) == OK
    assert main(["put", image, str(tree), "/a/tree", *moment]) == OK
    capsys.readouterr()
    assert main(["put", image, str(tree), "/a/tree", *moment]) == BAD_INPUT
    assert "--force" in capsys.readouterr().err
    assert main(["put", image, str(tree), "/a/tree", "--force", *moment]) == OK
    (tmp_path / "file").write_bytes(b"x" * 70_000)
    assert main(["put", image, str(tmp_path / "file"), "/file", "--json", *moment]) == OK
    assert main(["ln", image, "/file", "/again", *moment]) == OK
    assert main(["ln", image, "-s", "a/tree", "/link", *moment]) == OK
    assert main(["mv", image, "/again", "/a/b/moved", *moment]) == OK
    assert main(["mv", image, "/file", "/a/b/moved", *moment]) == BAD_INPUT
    assert main(["rm", image, "/a", *moment]) == BAD_INPUT
    assert "rm -r" in capsys.readouterr().err
    assert check(image) == []
    # The Sleuth Kit sees the same names.
    listed = run(judge("fls", "sleuthkit"), "-f", "ufs", "-rp", image)
    assert "a/b/moved" in listed
    assert "a/tree/" in listed
    assert main(["rm", image, "/a", "-r", *moment]) == OK
    assert main(["rm", image, "/link", *moment]) == OK
    assert main(["ls", image, "--json"]) == OK
    assert [row["path"] for row in json.loads(capsys.readouterr().out)] == [".snap", "file"]
    assert check(image) == []
    os.mkfifo(tmp_path / "pipe")
    assert main(["put", image, str(tmp_path / "pipe"), "/pipe"]) == BAD_INPUT
    assert "pipe" in capsys.readouterr().err


def test_options_stand_before_and_after_paths(image: str, capsys: pytest.CaptureFixture[str]) -> None:
    expected = None
    for words in (
        ["ls", image, "/etc", "--json", "-R"],
        ["ls", "--json", image, "-R", "/etc"],
        ["ls", "-R", image, "--json", "/etc"],
    ):
        capsys.readouterr()
        assert main(words) == 0
        out = capsys.readouterr().out
        expected = expected or out
        assert out == expected


def test_wrong_usage_and_errors_as_json(image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["ls", image, "--json", "--no-such-option"]) == USAGE
    assert json.loads(capsys.readouterr().out)["error"] == "UsageError"
    assert main(["ls", image, "/missing", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["error"] == "FileNotFoundError"
    assert main(["format", str(tmp_path / "new"), "--size", "8M", "-m", "200"]) == 2
    (tmp_path / "zeros").write_bytes(bytes(1 << 20))
    for extra in ([], ["--offset", "0"]):
        assert main(["check", str(tmp_path / "zeros"), *extra]) == 3
    capsys.readouterr()
    assert main(["--version"]) == OK
    assert capsys.readouterr().out == f"cloudboot-ufs2 {version('cloudboot-ufs2')}\n"


def test_everything_works_without_extras_and_the_bytes_are_the_same(tmp_path: Path) -> None:
    program = (
        "import runpy, sys; sys.modules['numpy'] = None; sys.modules['google_crc32c'] = None\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    images = []
    for name, words in (("without", ("-c", f"import sys; sys.argv = sys.argv[1:]; {program}")), ("with", ())):
        (tmp_path / name).mkdir()
        run(sys.executable, *words, str(Path(__file__).with_name("smoke.py")), tmp_path / name)
        images.append((tmp_path / name / "image").read_bytes())
    assert images[0] == images[1]


def test_a_folder_in_the_place_of_the_image_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tree").mkdir()
    assert main(["build", str(tmp_path / "tree"), str(tmp_path / "out.img")]) == 2
    assert "tree is a folder, and IMAGE a file; IMAGE comes before SOURCE" in capsys.readouterr().err
    assert not (tmp_path / "out.img").exists()


def test_a_device_is_filled_by_force(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open(tmp_path / "disk", "wb") as file:
        file.truncate(48 << 20)
    with loop_device(tmp_path / "disk") as device:
        assert main(["build", device, str(tree)]) == 5
        assert "--force" in capsys.readouterr().err
        assert main(["build", device, str(tree), "--force", "-N"]) == 0
        assert main(["build", device, str(tree), "--force"]) == 0
        listed = run(judge("grub-fstest", "grub-common"), device, "ls", "(loop0)/etc/")
        assert check(device) == []
        assert main(["format", device, "--force"]) == 0
        assert check(device) == []
    assert "inline-119" in listed
    with UFS2.open(tmp_path / "disk") as volume:
        assert volume.superblock.fs_size * volume.superblock.fs_fsize == 48 << 20


def test_an_image_whose_end_is_missing_is_read_as_far_as_it_goes(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """As by the Sleuth Kit: what lies in front of the cut is whole."""
    (tmp_path / "tree").mkdir()
    for number in range(20):
        (tmp_path / "tree" / f"f{number:02}").write_bytes(bytes([number]) * 300_000)
    image = tmp_path / "image"
    assert main(["build", str(image), str(tmp_path / "tree"), "--size", "32M"]) == 0
    os.truncate(image, 4 << 20)
    listed = run(judge("fls", "sleuthkit"), image)
    capsysbinary.readouterr()
    assert main(["ls", str(image)]) == 0
    out, err = capsysbinary.readouterr()
    assert [line.split()[-1].decode() for line in out.splitlines()] == [
        line.split("\t")[1] for line in listed.splitlines() if "\tf" in line
    ]
    assert f"ends {(28 << 20)} bytes before its file system does".encode() in err
    codes = [main(["cat", str(image), f"/f{number:02}"]) for number in range(20)]
    assert set(codes) == {0, BAD_INPUT}
    for number, code in enumerate(codes):
        capsysbinary.readouterr()
        assert main(["cat", str(image), f"/f{number:02}"]) == code
        out, err = capsysbinary.readouterr()
        assert (out == bytes([number]) * 300_000) == (code == 0)
    assert main(["verify", str(image)]) == BAD_INPUT
    assert main(["put", str(image), str(image), "/f"]) == BAD_INPUT
    assert main(["check", str(image)]) == 1
