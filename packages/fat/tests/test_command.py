"""The command, run as a user runs it."""

import datetime as dt
import gzip
import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

import cloudboot_gpt as gpt
from cloudboot_base import new_image
from cloudboot_base.testing import judge, loop_device, run
from cloudboot_fat.__main__ import main
from cloudboot_fat.commands import program
from cloudboot_fat.testing import fsck, mcopy_out, mtools

TREE = {"EFI/BOOT/BOOTX64.EFI": b"MZ" * 5000, "EFI/BOOT/grub.cfg": b"set timeout=0\n", "a long name.txt": b"text"}


def fat_said(*arguments: str | Path, code: int = 0, epoch: str | None = None) -> tuple[bytes, str]:
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        if epoch is None:
            patch.delenv("SOURCE_DATE_EPOCH", raising=False)
        else:
            patch.setenv("SOURCE_DATE_EPOCH", epoch)
        assert main([os.fspath(word) for word in arguments]) == code, err.getvalue()
    out.flush()
    assert isinstance(out.buffer, io.BytesIO)
    assert "Traceback" not in err.getvalue()
    return out.buffer.getvalue(), err.getvalue()


def test_the_module_runs(image: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "cloudboot_fat", "info", image], capture_output=True, check=True)
    assert b"FAT12" in done.stdout


def fat(*arguments: str | Path, code: int = 0) -> bytes:
    out, err = fat_said(*arguments, code=code)
    assert (code in {0, 1}) == (not err)
    return out


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in TREE.items():
        path = tmp_path / "esp" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "esp"


@pytest.fixture
def image(tmp_path: Path, folder: Path) -> Path:
    fat("build", tmp_path / "esp.img", folder, "--size", "4M", "--label", "esp", "--timestamp", "2025-01-02T03:04:06")
    return tmp_path / "esp.img"


def test_build_makes_what_mtools_reads(tmp_path: Path, image: Path) -> None:
    fsck(image)
    assert mcopy_out(image, tmp_path / "out") == {f"/{name}": data for name, data in TREE.items()}
    assert "2025-01-02   3:04" in mtools("mdir", image, "::/EFI")


def test_build_without_a_size_is_as_small_as_can_be(tmp_path: Path, folder: Path) -> None:
    facts = json.loads(fat("build", tmp_path / "small.img", folder, "--json"))
    assert facts["free_clusters"] == 0
    assert (tmp_path / "small.img").stat().st_size == facts["size"]
    fsck(tmp_path / "small.img")


def test_ls_cat_get(tmp_path: Path, image: Path) -> None:
    assert [line.split()[-1] for line in fat("ls", image, "/efi/boot").decode().splitlines()] == [
        "BOOTX64.EFI",
        "grub.cfg",
    ]
    listed = json.loads(fat("ls", image, "-R", "--json"))
    files = {entry["path"]: entry["size"] for entry in listed if entry["type"] == "file"}
    assert files == {f"/{name}": len(data) for name, data in TREE.items()}
    assert json.loads(fat("ls", image, "/EFI/BOOT/GRUB.CFG", "--json"))[0]["modified"] == "2025-01-02T03:04:06"
    assert listed[0]["modified_ns"] == 1_735_787_046_000_000_000
    assert fat("cat", image, "/EFI/BOOT/GRUB.CFG") == TREE["EFI/BOOT/grub.cfg"]
    assert json.loads(fat("get", image, "/", tmp_path / "all", "--json")) == {"files": 3}
    assert {name: (tmp_path / "all" / name).read_bytes() for name in TREE} == TREE
    fat("get", image, "/", tmp_path / "all", code=5)
    fat("get", image, "/EFI", tmp_path / "all" / "EFI", "--force")
    fat("get", image, "/EFI/BOOT/grub.cfg", tmp_path / "one")
    assert (tmp_path / "one").read_bytes() == TREE["EFI/BOOT/grub.cfg"]


def test_a_missing_directory_is_named_with_the_command_that_makes_it(
    image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["put", str(image), str(image), "/no/such/file"]) == 3
    said = capsys.readouterr().err
    assert "/no/such: no such file or directory" in said
    assert "cloudboot-fat mkdir IMAGE /no/such" in said
    assert main(["mkdir", str(image), "/no/such"]) == 0
    assert main(["put", str(image), __file__, "/no/such/file"]) == 0


def test_a_file_too_small_for_a_volume_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for content in (b"", b"x", bytes(511)):
        (tmp_path / "image").write_bytes(content)
        assert main(["ls", str(tmp_path / "image")]) == 3
        assert "too small for a FAT volume" in capsys.readouterr().err


def test_put_mkdir_rm(tmp_path: Path, image: Path, folder: Path) -> None:
    fat("put", image, folder / "EFI/BOOT/grub.cfg", "/new.cfg")
    assert json.loads(fat("put", image, folder / "EFI/BOOT/grub.cfg", "/efi", "--json")) == {
        "files": 1, "path": "/efi/grub.cfg",
    }  # fmt: skip
    fat("put", image, folder / "EFI/BOOT/grub.cfg", "/EFI/", code=3)
    fat("put", image, folder / "EFI/BOOT/grub.cfg", "/EFI/", "--force")
    fat("put", image, folder / "EFI/BOOT/grub.cfg", "/")
    assert mtools("mtype", image, "::/EFI/grub.cfg") == mtools("mtype", image, "::/grub.cfg") == "set timeout=0\n"
    fat("rm", image, "/EFI/grub.cfg")
    fat("rm", image, "/grub.cfg")
    fat("put", image, folder / "EFI/BOOT/BOOTX64.EFI", "/new.cfg", code=3)
    fat("put", image, folder / "EFI/BOOT/BOOTX64.EFI", "/new.cfg", "--force")
    assert fat("cat", image, "/new.cfg") == TREE["EFI/BOOT/BOOTX64.EFI"]
    assert json.loads(fat("put", image, folder, "/copy/of it", "--json")) == {"files": 3, "path": "/copy/of it"}
    fat("mkdir", image, "/x/y/z")
    fat("rm", image, "/copy", code=3)
    assert json.loads(fat("rm", "-r", image, "/copy", "--json")) == {"removed": 7}
    fat("rm", image, "/new.cfg")
    fat("rm", image, "/x/y/z")
    fsck(image)
    expected = {*mtools("mdir", image, "-/", "-b", "::").splitlines()}
    assert expected == {
        "::/EFI/", "::/EFI/BOOT/", "::/EFI/BOOT/BOOTX64.EFI", "::/EFI/BOOT/grub.cfg", "::/a long name.txt",
        "::/x/", "::/x/y/",
    }  # fmt: skip


def test_info_and_check(image: Path) -> None:
    facts = json.loads(fat("info", image, "--regions", "--json"))
    assert (facts["type"], facts["label"], facts["size"]) == ("FAT12", "ESP", 4 << 20)
    assert {"name": "boot sector", "offset": 0, "length": 512} in facts["regions"]
    assert "/EFI/BOOT/BOOTX64.EFI" in {region["name"] for region in facts["regions"]}
    assert b"label              ESP" in fat("info", image)
    assert fat("check", image).decode() == f"{image}: no problems found\n"
    with image.open("r+b") as file:
        file.seek(facts["reserved_sectors"] * 512)
        file.write(b"\0")
    assert b"fat-media" in fat("check", image, code=1)
    assert "fat-copies" in {finding["kind"] for finding in json.loads(fat("check", image, "--json", code=1))}


def test_a_volume_inside_a_disk(tmp_path: Path, folder: Path) -> None:
    disk = tmp_path / "disk.img"
    facts = json.loads(fat("format", disk, "--offset", "1M", "--size", "34M", "--type", "32", "--json"))
    assert (facts["type"], facts["hidden_sectors"]) == ("FAT32", 2048)
    fat("put", disk, "--offset", "1M", folder, "/")
    assert fat("cat", disk, "/a long name.txt", "--offset", "1M") == b"text"
    assert "BOOTX64  EFI     10000" in mtools("mdir", disk, "::/EFI/BOOT", at=1 << 20)


def test_overwriting_and_damage_are_refused(tmp_path: Path, image: Path) -> None:
    before = image.read_bytes()
    fat("format", image, code=5)
    assert image.read_bytes() == before
    fat("format", image, "--force", "--serial", "1234-ABCD")
    assert json.loads(fat("info", image, "--json"))["serial"] == "1234-ABCD"
    fat("format", tmp_path / "new.img", code=2)
    fat("format", tmp_path / "new.img", "--size", "16M", "--type", "32", code=4)
    fat("build", tmp_path / "new.img", tmp_path / "nothing", code=5)
    assert not (tmp_path / "new.img").exists()
    (tmp_path / "zeros").write_bytes(bytes(4096))
    fat("ls", tmp_path / "zeros", code=3)
    fat("check", tmp_path / "zeros", code=3)
    fat("ls", tmp_path / "no such image", code=5)
    fat("ls", image, "/nothing", code=3)


def test_mv(image: Path) -> None:
    fat("mkdir", image, "/x")
    fat("mv", image, "/a long name.txt", "/x")
    fat("mv", image, "/x/A LONG NAME.TXT", "/x/short")
    fat("mv", image, "/EFI/BOOT/grub.cfg", "/x/short", code=3)
    assert fat("cat", image, "/x/short") == b"text"
    fat("mv", image, "/EFI/BOOT/grub.cfg", "/x/short", "--force")
    assert mtools("mtype", image, "::/x/short") == "set timeout=0\n"
    fat("mv", image, "/x", "/EFI/BOOT")
    fat("mv", image, "/EFI/BOOT/x", "/EFI/BOOT/X")
    fat("mv", image, "/EFI", "/EFI/BOOT", code=2)
    fat("mv", image, "/nothing", "/EFI", code=3)
    assert mtools("mdir", image, "-/", "-b", "::").splitlines() == [
        "::/EFI/", "::/EFI/BOOT/", "::/EFI/BOOT/BOOTX64.EFI", "::/EFI/BOOT/X/", "::/EFI/BOOT/X/short",
    ]  # fmt: skip
    fsck(image)
    assert b"no problems" in fat("check", image)


def modified(image: Path, path: str) -> str:
    [entry] = json.loads(fat("ls", image, path, "--json"))
    moment: str = entry["modified"]
    return moment


def test_times_of_new_entries(image: Path, folder: Path) -> None:
    source = folder / "EFI/BOOT/grub.cfg"
    now = dt.datetime.now  # FAT has local time
    before = now().replace(microsecond=0).isoformat()
    fat("put", image, source, "/now")
    stored = modified(image, "/now")
    assert before[:-1] <= stored <= now().isoformat()
    assert stored[:10] in mtools("mdir", image, "::/now")
    fat_said("put", image, source, "/epoch", epoch="1700000000")
    assert modified(image, "/epoch") == "2023-11-14T22:13:20"
    fat_said("put", image, source, "/told", "--timestamp", "2000-02-29T01:02:04", epoch="1700000000")
    assert modified(image, "/told") == "2000-02-29T01:02:04"
    for epoch in ("0", "1", "315532799", "-5"):
        _, said = fat_said("put", image, source, "/early", "--force", epoch=epoch)
        assert "FAT stores no time before 1980" in said
        assert modified(image, "/early") == "1980-01-01T00:00:00"
    assert fat_said("mkdir", image, "/dir", epoch="315532800")[1] == ""
    fat_said("put", image, source, "/x", epoch="yesterday", code=2)
    fat("put", image, source, "/x", "--timestamp", "never", code=2)
    fat("put", image, source, "/x", "--timestamp", "2200-01-01", code=3)


def test_a_build_has_no_clock(tmp_path: Path, folder: Path) -> None:
    for name, epoch in (("a", None), ("b", None), ("c", "1700000000"), ("d", "1700000000")):
        fat_said("build", tmp_path / name, folder, "--size", "4M", epoch=epoch)
    a, b, c, d = ((tmp_path / name).read_bytes() for name in "abcd")
    assert a == b != c == d


@pytest.mark.parametrize(
    "words",
    [("ls",), ("info",), ("check",), ("cat", "/x"), ("put", "{self}", "/x"), ("rm", "/x"), ("format", "--force")],
)
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, words: tuple[str, ...]) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, Path("/dev/zero")):
        given = [word.replace("{self}", __file__) for word in words[1:]]
        document = json.loads(fat_said(words[0], path, *given, "--json", code=2)[0])
        assert document["error"] == "FileKindError"


def test_sources_that_are_no_files(tmp_path: Path, image: Path) -> None:
    before = image.read_bytes()
    os.mkfifo(tmp_path / "fifo")
    for source in (tmp_path / "fifo", Path("/dev/zero")):
        fat("put", image, source, "/x", code=2)
        fat("build", tmp_path / "new.img", source, code=2)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "folder" / "pipe")
    fat("build", tmp_path / "new.img", tmp_path / "folder", code=2)
    fat("put", image, tmp_path / "folder", "/x", code=2)
    assert image.read_bytes() == before
    assert not (tmp_path / "new.img").exists()


def test_wrong_values_are_wrong_usage(tmp_path: Path, image: Path) -> None:
    fat("ls", image, "--codepage", "klingon", code=2)
    fat("ls", image, "--codepage", "rot13", code=2)
    fat("ls", image, "--offset", "64M", code=2)
    fat("format", tmp_path / "new.img", "--size", "4M", "--label", "a:b", code=2)
    fat("format", tmp_path / "new.img", "--size", "4M", "--sector-size", "500", code=2)
    assert b"UsageError" in fat_said("sl", image, "--json", code=2)[0]
    assert "did you mean ls?" in fat_said("sl", image, code=2)[1]


def test_help_has_whole_sentences() -> None:
    for name, parser in program().commands.items():
        assert parser.purpose[0].isupper(), name
        assert parser.purpose.endswith("."), name
        for action in parser._actions:
            assert action.help, (name, action.dest)
            assert action.help[0].isupper() or action.help[0].isdigit(), action.help
            assert action.help.endswith("."), action.help


def test_a_deep_path(image: Path) -> None:
    deep = "/" + "/".join(["d"] * 500)
    fat("mkdir", image, deep)
    fat("put", image, __file__, deep + "/file")
    assert fat("cat", image, deep + "/file") == Path(__file__).read_bytes()
    fat("mkdir", image, "/" + "/".join(["long directory name"] * 300), code=3)
    fsck(image)


def test_what_does_not_fit_leaves_everything_as_it_was(tmp_path: Path, folder: Path) -> None:
    image = tmp_path / "full.img"
    fat("build", image, folder)  # as small as can be
    before = image.read_bytes()
    other = tmp_path / "other"
    for name, data in TREE.items():
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_bytes(data[::-1])
    assert "--in-place" in fat_said("put", image, other / "EFI/BOOT/BOOTX64.EFI", "/EFI/BOOT", "--force", code=4)[1]
    assert "bytes more" in fat_said("put", image, other, "/", "--force", code=4)[1]
    assert "bytes more" in fat_said("put", image, other, "/new", code=4)[1]
    assert image.read_bytes() == before
    fat("put", image, other, "/", "--in-place")
    assert mcopy_out(image, tmp_path / "out") == {f"/{name}": data[::-1] for name, data in TREE.items()}
    fsck(image)


def test_partitions_and_containers(tmp_path: Path, folder: Path, image: Path) -> None:
    disk = tmp_path / "disk.img"
    with disk.open("wb") as file:
        file.truncate(24 << 20)
    parts = ["-n", "1:2048:+1M", "-t", "1:8300", "-n", "2:8192:+8M", "-t", "2:ef00", "-c", "2:EFI system"]
    run(judge("sgdisk", "gdisk"), "-o", *parts, disk)
    fat("ls", disk, code=3)  # the ESP holds no volume yet
    facts = json.loads(fat("build", disk, folder, "--partition", "esp", "--force", "--label", "inside", "--json"))
    assert (facts["size"], facts["hidden_sectors"], facts["label"]) == (8 << 20, 8192, "INSIDE")
    run(judge("sgdisk", "gdisk"), "-v", disk)
    assert mtools("mtype", disk, "::/a long name.txt", at=8192 * 512) == "text"
    for which in ((), ("--partition", "2"), ("--partition", "EFI system"), ("--partition", "esp"), ("--offset", "4M")):
        assert fat("cat", disk, "/A LONG NAME.TXT", *which) == b"text"
    fat("put", disk, folder / "a long name.txt", "/EFI")
    fat("ls", disk, "--partition", "1", code=3)
    fat("ls", disk, "--partition", "3", code=2)
    fat("ls", disk, "--partition", "2", "--offset", "4M", code=2)
    fat("format", tmp_path / "new.img", "--partition", "2", "--size", "4M", code=2)
    # The same disk in other containers can be read, and is not changed.
    run(judge("qemu-img", "qemu-utils"), "convert", "-O", "qcow2", disk, tmp_path / "disk.qcow2")
    (tmp_path / "disk.img.gz").write_bytes(gzip.compress(disk.read_bytes(), 1))
    for packed in (tmp_path / "disk.qcow2", tmp_path / "disk.img.gz"):
        before = packed.read_bytes()
        assert fat("cat", packed, "/EFI/a long name.txt") == b"text"
        assert b"no problems" in fat("check", packed)
        fat("rm", packed, "/EFI/a long name.txt", code=3)
        assert packed.read_bytes() == before
    # The primary table is lost: the backup says where the ESP is.
    with disk.open("r+b") as file:
        file.seek(512)
        file.write(bytes(512))
    out, said = fat_said("cat", disk, "/EFI/a long name.txt")
    assert (out, "the backup was read" in said) == (b"text", True)


def test_a_folder_in_the_place_of_the_image_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tree").mkdir()
    assert main(["build", str(tmp_path / "tree"), str(tmp_path / "out.img")]) == 2
    assert "tree is a folder, and IMAGE a file; IMAGE comes before SOURCE" in capsys.readouterr().err
    assert not (tmp_path / "out.img").exists()


@pytest.mark.parametrize("sector_size", [512, 4096])
def test_a_device_decides_on_the_sector_size_as_for_mkfs(folder: Path, tmp_path: Path, sector_size: int) -> None:
    with open(tmp_path / "disk", "wb") as file:
        file.truncate(64 << 20)
    with loop_device(tmp_path / "disk", sector_size) as device:
        run(judge("mkfs.fat", "dosfstools"), device)
        theirs = json.loads(fat("info", device, "--json"))
        fat("build", device, folder, "--force")
        ours = json.loads(fat("info", device, "--json"))
    assert (ours["sector_size"], ours["size"]) == (theirs["sector_size"], theirs["size"]) == (sector_size, 64 << 20)
    fsck(tmp_path / "disk")


@pytest.mark.parametrize("made_by", ["sfdisk", "cloudboot-gpt"])
def test_a_partition_of_a_disk_with_large_sectors_has_them_too(folder: Path, tmp_path: Path, made_by: str) -> None:
    """Linux mounts no FAT whose sectors are smaller than those of its disk."""
    disk = tmp_path / "disk"
    if made_by == "sfdisk":
        with open(disk, "wb") as file:
            file.truncate(64 << 20)
        with loop_device(disk, 4096) as device:
            run(judge("sfdisk", "fdisk"), "--quiet", device, stdin=b"label: gpt\nsize=32MiB, type=uefi\n")
    else:
        table = gpt.plan([gpt.PartitionSpec(gpt.partition_types.ESP, 32 << 20)], sector_size=4096)
        with new_image(disk, table.size) as made:
            gpt.create(made, table)
    fat("build", disk, folder, "--partition", "esp", "--force")
    facts = json.loads(fat("info", disk, "--json"))
    assert facts["sector_size"] == 4096
    assert facts["hidden_sectors"] == gpt.read(disk).partitions[0].first_lba
    fat("format", disk, "--partition", "esp", "--force", "--sector-size", "512")
    assert json.loads(fat("info", disk, "--json"))["sector_size"] == 512


@pytest.mark.parametrize(
    "words", [["mkdir", "/new"], ["rm", "/note"], ["mv", "/note", "/other"], ["put", "NOTE", "/more"]]
)
def test_two_programs_do_not_change_a_volume_at_once(image: Path, tmp_path: Path, words: list[str]) -> None:
    """util-linux flock(1) holds the lock of another writer, as mtools and cloudboot-ufs2 do while they write."""
    note = tmp_path / "NOTE"
    note.write_text("text")
    fat("put", image, note, "/note")
    before = image.read_bytes()
    module = [sys.executable, "-m", "cloudboot_fat"]
    command = [*module, words[0], str(image), *[each.replace("NOTE", str(note)) for each in words[1:]]]
    flock = [judge("flock", "util-linux"), str(image)]
    done = subprocess.run([*flock, *command], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "another process is writing to the image" in done.stderr
    for again in (["format", str(image), "--force"], ["build", str(image), str(tmp_path), "--force"]):
        assert subprocess.run([*flock, *module, *again], capture_output=True, check=False).returncode != 0
    assert image.read_bytes() == before
    subprocess.run(command, check=True)


def test_writers_at_the_same_time_lose_nothing(image: Path, tmp_path: Path) -> None:
    """Each succeeds, and its file is there, or fails and says why."""
    for number in range(6):
        (tmp_path / f"f{number}").write_bytes(bytes([number]) * 20_000)
    fat("format", image, "--force")
    running = [
        subprocess.Popen([sys.executable, "-m", "cloudboot_fat", "put", image, tmp_path / f"f{number}", "/"])
        for number in range(6)
    ]
    written = [number for number, each in enumerate(running) if each.wait() == 0]
    assert written
    for number in written:
        assert run(judge("mtype", "mtools"), "-i", image, f"::/f{number}").encode() == bytes([number]) * 20_000
    fsck(image)


def test_no_sector_has_no_bytes(tmp_path: Path) -> None:
    assert b"sector" in fat_said("format", tmp_path / "image", "--size", "4M", "--sector-size", "0", code=2)[1].encode()
    assert not (tmp_path / "image").exists()
