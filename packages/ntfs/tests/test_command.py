"""The command, on volumes of its own and of others."""

from __future__ import annotations

import json
import os
import struct
import tarfile
import time
from pathlib import Path

import pytest

from cloudboot_base.testing import flipped, judge, loop_device, run
from cloudboot_ntfs.commands import main
from cloudboot_ntfs.security import from_sddl
from cloudboot_ntfs.testing import SystemEditor, mounted, ntfsfix, pattern


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "Windows/System32").mkdir(parents=True)
    (source / "Windows/System32/winload.efi").write_bytes(pattern(50_000))
    (source / "note.txt").write_text("hello")
    os.link(source / "note.txt", source / "same.txt")
    os.symlink("note.txt", source / "link")
    return source


class Command:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str | Path, code: int = 0) -> str:
        assert main([str(word) for word in words]) == code
        return "".join(self._capsys.readouterr())


@pytest.fixture
def ntfs(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


def test_build_and_read(folder: Path, tmp_path: Path, ntfs: Command) -> None:
    image = tmp_path / "image"
    assert "5 files" in ntfs("build", image, folder, "--label", "WIN", "--serial", "1122-3344")
    assert "processed successfully" in ntfsfix(image)
    assert "exists" in ntfs("build", image, folder, code=5)
    ntfs("build", image, folder, "--label", "WIN", "--force")
    listed = ntfs("ls", image, "-R")
    assert "link -> note.txt" in listed
    assert "/Windows/System32/winload.efi" in listed
    assert ntfs("cat", image, "/NOTE.TXT") == "hello"
    assert "label:        WIN" in ntfs("info", image)
    assert {region["kind"] for region in json.loads(ntfs("info", image, "--regions", "--json"))["regions"]} >= {
        "mft",
        "bitmap",
    }
    assert ntfs("check", image) == f"{image}: no problems found\n"
    assert "(content)" in ntfs("streams", image, "/note.txt")
    assert ntfs("sddl", image, "/note.txt") == "O:BAG:BAD:(A;OICI;FA;;;WD)\n"
    assert ntfs("usn", image) == ""
    assert "no such file" in ntfs("cat", image, "/nothing", code=3)


def test_what_comes_out_is_what_went_in(folder: Path, tmp_path: Path, ntfs: Command) -> None:
    image = tmp_path / "image"
    ntfs("build", image, folder)
    ntfs("get", image, "/", tmp_path / "out")
    run("diff", "-r", "--no-dereference", folder, tmp_path / "out")
    assert (tmp_path / "out/note.txt").stat().st_mtime_ns // 100 == (folder / "note.txt").stat().st_mtime_ns // 100
    ntfs("export", image, tmp_path / "out.tar")
    with tarfile.open(tmp_path / "out.tar") as archive:
        assert {member.name: member.type for member in archive}["same.txt"] == tarfile.LNKTYPE
    (tmp_path / "again").mkdir()
    run(judge("bsdtar", "libarchive-tools"), "-xf", tmp_path / "out.tar", "-C", tmp_path / "again")
    run("diff", "-r", "--no-dereference", folder, tmp_path / "again")
    ntfs("build", tmp_path / "second", tmp_path / "out.tar")
    with mounted(tmp_path / "second", "ro") as inside:
        assert (inside / "Windows/System32/winload.efi").read_bytes() == pattern(50_000)


def test_format_inside_a_disk(tmp_path: Path, ntfs: Command) -> None:
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.truncate(40 << 20)
    sfdisk = judge("sfdisk", "fdisk")
    run(sfdisk, disk, stdin=b"label: gpt\nstart=2048, size=65536, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7\n")
    assert "--force" in ntfs("format", disk, "--offset", "1M", "--size", "32M", code=2)
    ntfs("format", disk, "--offset", "1M", "--size", "32M", "--force", "--label", "INSIDE")
    assert "label:        INSIDE" in ntfs("info", disk, "--offset", "1M", "--size", "32M")
    assert ntfs("check", disk, "--offset", "1M", "--size", "32M") == f"{disk}: no problems found\n"
    assert ntfs("format", tmp_path / "new", code=2)


def test_a_partition_of_a_disk_is_changed(folder: Path, tmp_path: Path, ntfs: Command) -> None:
    """The other partitions keep every byte; ntfs-3g reads the one that was changed."""
    basic = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
    disk, part = tmp_path / "disk", tmp_path / "part"
    disk.write_bytes(pattern(72 << 20))
    parts = [
        f"start={start}, size=65536, type={basic}, name={name}" for start, name in ((2048, "first"), (67584, "second"))
    ]
    run(judge("sfdisk", "fdisk"), disk, stdin="\n".join(["label: gpt", *parts, ""]).encode())
    for start in ("1M", "33M"):
        ntfs("format", disk, "--offset", start, "--size", "32M", "--force")
    before = disk.read_bytes()
    ntfs("put", disk, folder / "note.txt", "/note.txt", "--partition", "second")
    ntfs("mkdir", disk, "/dir", "--partition", "2")
    ntfs("mv", disk, "/note.txt", "/dir", "--partition", "2")
    ntfs("ln", disk, "/dir/note.txt", "/hard", "--partition", "2")
    ntfs("put", disk, folder, "/in", "--partition", "2")
    ntfs("rm", disk, "-r", "/in/Windows", "--partition", "2")
    assert ntfs("repair", disk, "--partition", "2") == "clean\n"
    for place in (("--offset", "1M"), ("--size", "4M")):
        for command in (("ls", disk), ("check", disk), ("repair", disk), ("mkdir", disk, "/new")):
            assert "a partition are given" in ntfs(*command, "--partition", "2", *place, code=2)
    assert "no partition is named so" in ntfs("rm", disk, "/hard", "--partition", "third", code=2)
    for words in (("ls", disk), ("mkdir", disk, "/no"), ("repair", disk)):
        for option in ("--offset", "--size"):
            assert "and a partition are given" in ntfs(*words, "--partition", "2", option, "32M", code=2)
    after = disk.read_bytes()
    assert (after[: 33 << 20], after[65 << 20 :]) == (before[: 33 << 20], before[65 << 20 :])
    part.write_bytes(after[33 << 20 : 65 << 20])
    assert "processed successfully" in ntfsfix(part)
    with mounted(part, "ro") as inside:
        assert (inside / "dir/note.txt").read_text() == "hello"
        assert (inside / "hard").stat().st_nlink == 2
        assert sorted(path.name for path in (inside / "in").iterdir()) == ["link", "note.txt", "same.txt"]
    ntfs("mkdir", disk, "/found")  # in the first partition of a type that holds NTFS
    assert "/found" in ntfs("ls", disk, "--partition", "1")


def test_check_fails_where_something_is_wrong(folder: Path, tmp_path: Path, ntfs: Command) -> None:
    image = tmp_path / "image"
    ntfs("build", image, folder)
    (tmp_path / "damaged").write_bytes(flipped(image.read_bytes(), 510))
    assert "boot-sector" in ntfs("check", tmp_path / "damaged", code=1)
    assert json.loads(ntfs("check", tmp_path / "damaged", "--json", code=1))[0]["kind"] == "boot-sector"
    (tmp_path / "other").write_bytes(bytes(1 << 20))
    assert ntfs("ls", tmp_path / "other", code=3)


def test_streams_are_told_of_and_written(tmp_path: Path, ntfs: Command) -> None:
    import cloudboot_ntfs

    cloudboot_ntfs.build(tmp_path / "image", {"/a": cloudboot_ntfs.File(b"1", streams={"s": b"stream"})})
    assert ntfs("cat", tmp_path / "image", "/a", "--stream", "s") == "stream"
    assert "1 data stream not copied" in ntfs("get", tmp_path / "image", "/a", tmp_path / "out")


def test_changes(folder: Path, tmp_path: Path, ntfs: Command) -> None:
    image = tmp_path / "image"
    ntfs("format", image, "--size", "16M")
    ntfs("put", image, folder, "/in", "--timestamp", "1700000000")
    assert "--force" in ntfs("put", image, folder, "/in", code=3)
    ntfs("put", image, folder, "/in", "--force")
    ntfs("mkdir", image, "/one/two")
    assert "device" in ntfs("mkdir", image, "/one/aux.d", "--windows-names", code=3)
    ntfs("mkdir", image, "/one/two/a long name", "--short-names")
    ntfs("rm", image, "/one/two/ALONGN~1")
    ntfs("mv", image, "/in/note.txt", "/one/two/Moved.txt")
    ntfs("ln", image, "/one/two/moved.txt", "/hard")
    ntfs("ln", image, "-s", "one/two", "/soft")
    ntfs("rm", image, "/in", code=3)
    ntfs("rm", image, "-r", "/in/Windows")
    ntfs("rm", image, "/in/link")
    assert ntfs("check", image) == f"{image}: no problems found\n"
    assert ntfs("cat", image, "/hard") == ntfs("cat", image, "/soft/moved.txt") == "hello"
    with mounted(image, "ro") as inside:
        assert sorted(path.name for path in inside.iterdir()) == ["hard", "in", "one", "soft"]
        assert (inside / "hard").stat().st_nlink == 2
        assert [path.name for path in (inside / "in").iterdir()] == ["same.txt"]


def test_what_is_put_or_moved_onto_a_directory_goes_into_it(
    folder: Path, tmp_path: Path, ntfs: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = tmp_path / "image"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    ntfs("format", image, "--size", "16M")
    ntfs("mkdir", image, "/dir")
    ntfs("put", image, folder / "note.txt", "/dir")
    ntfs("put", image, folder / "note.txt", "/new/", code=3)
    ntfs("put", image, folder / "note.txt", "/top.txt")
    ntfs("mv", image, "/top.txt", "/dir/")
    ntfs("mv", image, "/dir", "/Dir")  # its own name, spelled otherwise
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "soon")
    assert "SOURCE_DATE_EPOCH is 'soon'" in ntfs("mkdir", image, "/other", code=2)
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    earliest = int(time.time())
    ntfs("mkdir", image, "/now")
    with mounted(image, "ro") as inside:
        assert sorted(path.name for path in inside.iterdir()) == ["Dir", "now"]
        assert sorted(path.name for path in (inside / "Dir").iterdir()) == ["note.txt", "top.txt"]
        assert (inside / "Dir").stat().st_mtime == 1700000000
        assert (inside / "now").stat().st_mtime >= earliest


def test_streams_security_and_journal_as_others_see_them(tmp_path: Path, ntfs: Command) -> None:
    import cloudboot_ntfs

    dissect = pytest.importorskip("dissect.ntfs")
    number_of = pytest.importorskip("dissect.ntfs.util").segment_reference
    image = tmp_path / "image"
    tree = {
        "/a": cloudboot_ntfs.File(b"1", streams={"s": b"stream", "large": pattern(9000)}),
        "/secret": cloudboot_ntfs.File(b"2", security="O:BAG:SYD:PAI(A;;FA;;;SY)(A;;FR;;;WD)"),
    }
    cloudboot_ntfs.build(image, tree, size=16 << 20)
    journal = b""
    for number, name in enumerate(["first", "\u0416 second", "third"]):
        raw = name.encode("utf-16-le")
        size = -(-(60 + len(raw)) // 8) * 8
        head = struct.pack(
            "<IHHQQqQIIIIHH", size, 2, 0, 64 + number, 5, len(journal), 133_000_000_000_000_000 + number * 10_000_000,
            0x100 << number, 0, 0, 0x20, len(raw), 60,
        )  # fmt: skip
        journal += (head + raw).ljust(size, b"\0")
    with SystemEditor(image) as volume:
        volume.write_file("/$Extend/$UsnJrnl", b"")
        volume.write_file("/$Extend/$UsnJrnl", journal.ljust(8192, b"\0"), stream="$J")
    assert ntfs("check", image) == f"{image}: no problems found\n"
    with image.open("rb") as file:
        theirs = dissect.NTFS(file)
        record = theirs.mft.get("a")
        assert {each.name for each in record.attributes.DATA} == {"", "s", "large"}
        assert {each["name"]: each["size"] for each in json.loads(ntfs("streams", image, "/a", "--json"))} == {
            each.name: record.size(each.name) for each in record.attributes.DATA
        }
        told = json.loads(ntfs("usn", image, "--json"))
        assert [(each["usn"], each["name"], each["reason"], each["inode"]) for each in told] == [
            (
                each.record.Usn,
                each.filename,
                int(each.record.Reason),
                number_of(each.record.FileReferenceNumber),
            )
            for each in theirs.usnjrnl.records()
        ]
    assert [each["name"] for each in told] == ["first", "\u0416 second", "third"]
    assert told[1]["time_ns"] - told[0]["time_ns"] == 1_000_000_000
    assert "0x00000200" in ntfs("usn", image)
    archive = tmp_path / "a.wim"
    run(judge("wimcapture", "wimtools"), image, archive)
    detailed = run(judge("wimdir", "wimtools"), archive, "--detailed", "--path=/secret")
    descriptor = from_sddl(ntfs("sddl", image, "/secret").strip())
    assert descriptor[:20].hex() in detailed.lower().replace(" ", "").replace("\n", "")


def test_differences_are_listed(folder: Path, tmp_path: Path, ntfs: Command) -> None:
    image, other = tmp_path / "one", tmp_path / "other"
    ntfs("build", image, folder, "--size", "8M")
    ntfs("build", other, folder, "--size", "9M", "--cluster-size", "512")
    assert ntfs("diff", image, other) == ntfs("diff", image, folder) == ""
    new = tmp_path / "new"
    new.write_text("jello")
    when = ("--timestamp", "1700000000")
    ntfs("put", other, new, "/note.txt", "--force", *when)
    ntfs("put", other, new, "/added", *when)
    ntfs("rm", other, "/link", *when)
    ntfs("rm", other, "/Windows/System32/winload.efi", *when)
    with SystemEditor(other, timestamp_ns=1_700_000_000 * 10**9) as volume:
        volume.mkdir("/Windows/System32/winload.efi")
        volume.write_file("/Windows", b"[ZoneTransfer]", stream="Zone.Identifier")
    told = ntfs("diff", image, other, "--ignore", "mtime", code=1).splitlines()
    assert told == [
        "/Windows: streams: None, Zone.Identifier=b'14 bytes, 1f8fca7207abbbc3'",
        "/Windows/System32/winload.efi: type: -, d",
        f"/added: only in {other}",
        f"/link: only in {image}",
        "/note.txt: content: differs from byte 0 on",
        "/same.txt: content: differs from byte 0 on",
    ]
    fields = {each["field"] for each in json.loads(ntfs("diff", image, other, "--json", code=1))}
    assert fields == {"streams", "type", "path", "content", "mtime"}


def test_a_folder_in_the_place_of_the_image_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tree").mkdir()
    assert main(["build", str(tmp_path / "tree"), str(tmp_path / "out.img")]) == 2
    assert "tree is a folder, and IMAGE a file; IMAGE comes before SOURCE" in capsys.readouterr().err
    assert not (tmp_path / "out.img").exists()


@pytest.mark.parametrize("sector_size", [512, 4096])
def test_a_device_is_filled_by_force(folder: Path, tmp_path: Path, ntfs: Command, sector_size: int) -> None:
    with open(tmp_path / "disk", "wb") as file:
        file.truncate(32 << 20)
    with loop_device(tmp_path / "disk", sector_size) as device:
        assert "--force" in ntfs("build", device, folder, code=2)
        ntfs("build", device, folder, "--force", "--label", "DEVICE")
        said = run(judge("ntfsinfo", "ntfs-3g"), "--mft", device)
        assert ntfs("check", device) == f"{device}: no problems found\n"
        ntfs("format", device, "--force")
        assert ntfs("check", device) == f"{device}: no problems found\n"
    assert f"Sector Size: {sector_size}" in said
    assert "Volume Name: DEVICE" in said


def test_a_volume_whose_end_is_missing_is_read_as_far_as_it_goes(tmp_path: Path, ntfs: Command) -> None:
    """As by the Sleuth Kit: what lies in front of the cut is whole."""
    image = tmp_path / "image"
    with open(image, "wb") as file:
        file.truncate(32 << 20)
    run(judge("mkntfs", "ntfs-3g"), "--force", "--quick", image)
    for number in range(6):
        (tmp_path / f"f{number}").write_bytes(bytes([65 + number]) * 1_000_000)
        run(judge("ntfscp", "ntfs-3g"), image, tmp_path / f"f{number}", f"f{number}")
    os.truncate(image, 12 << 20)  # ntfs-3g spreads the files over the volume
    listed = run(judge("fls", "sleuthkit"), image)
    names = [line.split("\t")[1] for line in listed.splitlines() if line.split("\t")[1].startswith("f")]
    said = ntfs("ls", image)
    assert [line.split("/")[-1] for line in said.splitlines() if line.startswith("-")] == names
    assert "bytes before its volume does" in said
    codes = []
    for number in range(6):
        codes.append(main(["cat", str(image), f"/f{number}"]))
        if codes[-1] == 0:
            assert ntfs("cat", image, f"/f{number}").count(chr(65 + number)) >= 1_000_000
    assert set(codes) == {0, 3}
    assert "fewer sectors" in ntfs("put", image, tmp_path / "f0", "/more", code=3)
    assert "volume-truncated" in ntfs("check", image, code=1)
    os.truncate(image, 8192)  # the MFT is gone
    assert "fewer sectors" in ntfs("ls", image, code=3)


@pytest.mark.parametrize("size", ["0", "3", "8192"])
def test_a_sector_size_that_is_none_is_wrong_usage(folder: Path, tmp_path: Path, ntfs: Command, size: str) -> None:
    commands: list[list[str | Path]] = [["build", tmp_path / "a.img", folder], ["format", tmp_path / "a.img"]]
    for words in commands:
        assert "expected 512 to 4096" in ntfs(*words, "--size", "8M", "--sector-size", size, code=2)
    assert not (tmp_path / "a.img").exists()


def test_no_sector_has_no_bytes(folder: Path, tmp_path: Path, ntfs: Command) -> None:
    assert "sector" in ntfs("build", tmp_path / "image", folder, "--sector-size", "0", code=2)
    assert not (tmp_path / "image").exists()
