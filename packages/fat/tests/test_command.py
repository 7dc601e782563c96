"""The command, run as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cloudboot_fat.testing import fsck, mcopy_out, mtools

TREE = {"EFI/BOOT/BOOTX64.EFI": b"MZ" * 5000, "EFI/BOOT/grub.cfg": b"set timeout=0\n", "a long name.txt": b"text"}


def fat(*arguments: str | Path, code: int = 0) -> bytes:
    done = subprocess.run([sys.executable, "-m", "cloudboot_fat", *arguments], capture_output=True, check=False)
    assert done.returncode == code, done.stderr.decode()
    assert (code in {0, 1}) == (not done.stderr)
    assert b"Traceback" not in done.stderr
    return done.stdout


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
    assert json.loads(fat("ls", image, "/EFI/BOOT/GRUB.CFG", "--json"))[0]["modified"] == "2025-01-02 03:04:06"
    assert fat("cat", image, "/EFI/BOOT/GRUB.CFG") == TREE["EFI/BOOT/grub.cfg"]
    assert json.loads(fat("get", image, "/", tmp_path / "all", "--json")) == {"files": 3}
    assert {name: (tmp_path / "all" / name).read_bytes() for name in TREE} == TREE
    fat("get", image, "/", tmp_path / "all", code=5)
    fat("get", image, "/EFI", tmp_path / "all" / "EFI", "--force")
    fat("get", image, "/EFI/BOOT/grub.cfg", tmp_path / "one")
    assert (tmp_path / "one").read_bytes() == TREE["EFI/BOOT/grub.cfg"]


def test_put_mkdir_rm(tmp_path: Path, image: Path, folder: Path) -> None:
    fat("put", image, folder / "EFI/BOOT/grub.cfg", "/new.cfg")
    fat("put", image, folder / "EFI/BOOT/BOOTX64.EFI", "/new.cfg", code=3)
    fat("put", image, folder / "EFI/BOOT/BOOTX64.EFI", "/new.cfg", "--force")
    assert fat("cat", image, "/new.cfg") == TREE["EFI/BOOT/BOOTX64.EFI"]
    assert json.loads(fat("put", image, folder, "/copy/of it", "--json")) == {"files": 3}
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
    assert fat("check", image) == b""
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
    fat("ls", tmp_path / "no such image", code=5)
    fat("ls", image, "/nothing", code=3)
