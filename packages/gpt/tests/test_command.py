"""``python -m cloudboot_gpt``: results on stdout, the story on stderr, exit codes."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from cloudboot_base.command import BAD_INPUT, CHECK_FAILED, NO_SPACE, OK, SYSTEM, USAGE
from cloudboot_base.testing import judge, loop_device, run
from cloudboot_gpt import PartitionSpec, create, partition_types, plan, read
from cloudboot_gpt.__main__ import main
from cloudboot_gpt.commands import program
from cloudboot_gpt.testing import sample_disk, sample_table, with_entry, with_mbr_record

if TYPE_CHECKING:
    from pathlib import Path

Capture = pytest.CaptureFixture[str]
DISK, TABLE = sample_disk(), sample_table()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(DISK)
    return path


def command(capsys: Capture, *words: object) -> tuple[int, str, str]:
    code = main([os.fspath(word) if hasattr(word, "__fspath__") else str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


def command_json(capsys: Capture, *words: object) -> Any:
    code, out, _ = command(capsys, *words, "--json")
    assert code in {OK, CHECK_FAILED}
    return json.loads(out)


def test_show(capsys: Capture, image: Path) -> None:
    code, out, _ = command(capsys, "show", image)
    assert code == OK
    assert out.splitlines()[0] == f"Disk {image}: 481 sectors, 240.5 KiB"
    assert out.splitlines()[-3:] == [
        "     1              64             191    64.0 KiB  esp                                   EFI System",
        "     2             192             383    96.0 KiB  freebsd-ufs                           rootfs",
        "     3             384             447    32.0 KiB  linux-swap                            "
        + TABLE.partitions[2].name,
    ]
    assert command_json(capsys, "show", image) == TABLE.as_dict()


def test_show_reads_the_backup_and_hybrids_when_told(capsys: Capture, image: Path) -> None:
    image.write_bytes(with_mbr_record(DISK[:512] + bytes(512) + DISK[1024:], 1, OSType=0x83, StartingLBA=64))
    code, _, err = command(capsys, "show", image, "--backup", "ignore")
    assert (code, "hint" in err) == (BAD_INPUT, True)
    assert command(capsys, "show", image, "--mbr", "protective")[0] == BAD_INPUT
    shown = command_json(capsys, "show", image)
    (said,) = shown.pop("notices")
    assert shown == TABLE.as_dict()
    assert said == "the primary table is damaged (no GPT header): cloudboot-gpt repair rebuilds it"
    assert command(capsys, "show", image)[2] == f"cloudboot-gpt: warning: {said}\n"


def test_a_name_cannot_steer_the_terminal(capsys: Capture, image: Path) -> None:
    table = plan([PartitionSpec(partition_types.ESP, 512, "a\x1b[2J\ud800\n")])
    image.write_bytes(bytes(table.size))
    create(image, table)
    _, out, _ = command(capsys, "show", image)
    assert out.splitlines()[-1].endswith(r"a\x1b[2J\ud800\n")
    assert command_json(capsys, "show", image)["partitions"][0]["name"] == "a\x1b[2J\ud800\n"


def test_check(capsys: Capture, image: Path) -> None:
    assert command(capsys, "check", image) == (OK, f"{image}: no problems found\n", "")
    image.write_bytes(with_entry(DISK, "primary", 2, StartingLBA=100))
    code, out, _ = command(capsys, "check", image)
    assert code == CHECK_FAILED
    assert out.splitlines()[0].startswith("partition-overlap: copy primary lba 2 partition 2: ")
    assert out.splitlines()[-1] == f"{image}: 2 problems found"
    findings = command_json(capsys, "check", image)
    assert [finding["kind"] for finding in findings] == ["partition-overlap", "copies-disagree"]
    assert findings[0]["where"] == {"copy": "primary", "lba": 2, "partition": 2}


def test_repair(capsys: Capture, image: Path) -> None:
    damaged = DISK[:512] + bytes(512) + DISK[1024:]
    image.write_bytes(damaged)
    said = (OK, "write the primary header at LBA 1\n", "")
    assert command(capsys, "repair", image, "--dry-run") == said
    assert image.read_bytes() == damaged
    assert command(capsys, "repair", image) == said
    assert image.read_bytes() == DISK
    assert command(capsys, "repair", image) == (OK, f"{image}: nothing to repair\n", "")
    assert command_json(capsys, "repair", image) == {"dry_run": False, "actions": [], "notices": []}
    image.write_bytes(bytes(len(DISK)))
    assert command(capsys, "repair", image)[0] == BAD_INPUT


@pytest.mark.parametrize("which", ["2", "freebsd-ufs", "FREEBSD_UFS", str(TABLE.partitions[1].guid)])
def test_extract(capsys: Capture, image: Path, tmp_path: Path, which: str) -> None:
    output = tmp_path / "ufs.img"
    assert command(capsys, "extract", image, which, output) == (OK, f"{output}: partition 2, 96.0 KiB\n", "")
    assert output.read_bytes() == b"\2" * (96 << 10)
    assert command(capsys, "extract", image, which, output)[0] == SYSTEM
    assert command_json(capsys, "extract", image, which, output, "--force")["number"] == 2


@pytest.mark.parametrize("which", ["4", "0", "netbsd-ffs", "nonsense"])
def test_extract_of_what_is_not_there(capsys: Capture, image: Path, tmp_path: Path, which: str) -> None:
    code, out, err = command(capsys, "extract", image, which, tmp_path / "out")
    assert (code, out) == (USAGE, "")
    assert err.startswith("cloudboot-gpt: error: ")
    assert not (tmp_path / "out").exists()


def test_create(capsys: Capture, tmp_path: Path) -> None:
    esp, image = tmp_path / "esp:1.img", tmp_path / "new.img"
    esp.write_bytes(b"FAT" * 10_000 + bytes(100_000))
    words = ["create", image, "--partition", f"esp::EFI System:{esp}", "--partition", "freebsd-ufs:64K:root"]
    assert command(capsys, *words, "--dry-run")[0] == OK
    assert not image.exists()
    code, out, _ = command(capsys, *words)
    assert code == OK
    assert "EFI System" in out
    table = read(image, backup="require")
    assert [(each.type_name, each.size, each.name) for each in table.partitions] == [
        ("esp", 130_048, "EFI System"),
        ("freebsd-ufs", 65536, "root"),
    ]
    data = image.read_bytes()
    assert data[table.partitions[0].offset :][:130_000] == esp.read_bytes()
    assert command(capsys, *words)[0] == SYSTEM
    assert image.read_bytes() == data
    assert command(capsys, *words, "--force")[0] == OK
    assert image.read_bytes() == data
    # Other content, other GUIDs; a seed takes the content out of it.
    guid = table.disk_guid
    esp.write_bytes(b"fat" * 10_000 + bytes(100_000))
    assert command_json(capsys, *words, "--dry-run")["disk_guid"] != str(guid)
    seeded = command_json(capsys, *words, "--dry-run", "--seed", "x")
    esp.write_bytes(bytes(130_000))
    assert command_json(capsys, *words, "--dry-run", "--seed", "x") == seeded
    # Bytes of the command line that are not UTF-8 (os.fsdecode) are bytes of the seed.
    assert command_json(capsys, *words, "--dry-run", "--seed", "\udcff") != seeded


def test_create_with_a_size_and_blocks_of_4096_bytes(capsys: Capture, tmp_path: Path) -> None:
    image = tmp_path / "new.img"
    words = ["--size", "4M", "--sector-size", "4096", "--entries", "256"]
    code, _, _ = command(capsys, "create", image, *words, "--partition", "esp:1M", "--partition", "linux:")
    assert (code, image.stat().st_size) == (OK, 4 << 20)
    table = read(image)
    assert (table.sector_size, table.entry_count) == (4096, 256)
    assert table.partitions[1].last_lba == table.last_usable_lba


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--partition", "esp"], USAGE),
        (["--partition", "minix:1M"], USAGE),
        (["--partition", "esp:lots"], USAGE),
        (["--partition", "esp:"], USAGE),
        (["--partition", "esp:0"], USAGE),
        (["--partition", "esp:16M", "--size", "8M"], NO_SPACE),
        (["--partition", "esp:1M:x:/no/such/file"], SYSTEM),
        (["--partition", "esp:1M:" + "x" * 37], USAGE),
        (["--partition", "esp::x:/dev/zero"], USAGE),
        (["--partition", "esp::x:/"], USAGE),
    ],
)
def test_create_refuses(capsys: Capture, tmp_path: Path, words: list[str], code: int) -> None:
    assert command(capsys, "create", tmp_path / "new.img", *words)[0] == code
    assert list(tmp_path.iterdir()) == []


def test_wrong_usage(capsys: Capture) -> None:
    code, out, err = command(capsys, "create", "x", "--sector-size", "513", "--json")
    assert code == json.loads(out)["exit_code"] == USAGE
    assert err.startswith("cloudboot-gpt: error: argument --sector-size: ")
    assert "did you mean show?" in command(capsys, "shwo", "x")[2]


def test_help_has_whole_sentences() -> None:
    for name, parser in program().commands.items():
        assert parser.purpose[0].isupper(), name
        assert parser.purpose.endswith("."), name
        for action in parser._actions:
            assert action.help, (name, action.dest)
            assert action.help[0].isupper(), action.help
            assert action.help.endswith("."), action.help
            assert "`" not in action.help, action.help


def test_a_disk_larger_than_its_table(capsys: Capture, image: Path) -> None:
    image.write_bytes(DISK + bytes(1 << 20))
    words = "its table is for 481: cloudboot-gpt grow moves the backup to the end"
    assert words in command(capsys, "show", image)[2]
    planned = command_json(capsys, "grow", image, "--dry-run")
    assert image.read_bytes() == DISK + bytes(1 << 20)
    assert command_json(capsys, "grow", image)["actions"] == planned["actions"] != []
    assert command(capsys, "check", image)[0] == OK
    assert command(capsys, "grow", image) == (OK, f"{image}: the table fits the disk\n", "")
    assert command(capsys, "show", image)[2] == ""


def test_grow_makes_an_image_larger(capsys: Capture, image: Path) -> None:
    assert command(capsys, "grow", image, "--size", "2M")[0] == OK
    assert image.stat().st_size == 2 << 20
    assert command(capsys, "check", image)[0] == OK
    assert command(capsys, "resize", image, "3", "max")[0] == OK
    grown = read(image, backup="require").partition(3)
    assert grown is not None
    assert grown.last_lba == 4096 - 34 - 7  # a multiple of 4 KiB
    assert command(capsys, "resize", image, "3", "max")[0] == OK
    assert read(image).partition(3) == grown
    before = image.read_bytes()
    assert command(capsys, "grow", image, "--size", "1M")[0] == USAGE
    assert command(capsys, "resize", image, "3", "64K")[0] == USAGE
    assert command(capsys, "resize", image, "1", "100K")[0] == NO_SPACE
    assert command(capsys, "resize", image, "1", "rest")[0] == USAGE
    assert image.read_bytes() == before
    code, out, _ = command(capsys, "resize", "--force", image, "3", "64K")
    assert (code, out.splitlines()[-1]) == (OK, f"{image}: partition 3 has 64.0 KiB")


def test_an_enlargement_that_is_refused_leaves_the_file_as_it_was(capsys: Capture, image: Path) -> None:
    damaged = DISK[:512] + bytes(512) + DISK[1024:]
    image.write_bytes(damaged)
    assert command(capsys, "grow", image, "--size", "2M")[0] == BAD_INPUT
    assert image.read_bytes() == damaged


def test_a_truncated_disk_is_shown(capsys: Capture, image: Path, tmp_path: Path) -> None:
    image.write_bytes(DISK[: 200 * 512])
    code, out, err = command(capsys, "show", image)
    assert (code, "the end of the image is missing" in err) == (OK, True)
    assert "linux-swap" in out
    assert command(capsys, "extract", image, "1", tmp_path / "esp")[0] == OK
    assert (tmp_path / "esp").read_bytes() == b"\1" * (64 << 10)
    assert command(capsys, "extract", image, "2", tmp_path / "ufs")[0] == BAD_INPUT
    assert not (tmp_path / "ufs").exists()


def test_one_good_partition_is_extracted_although_others_overlap(capsys: Capture, image: Path, tmp_path: Path) -> None:
    disk = DISK
    for copy in ("primary", "backup"):
        disk = with_entry(disk, copy, 1, StartingLBA=0, EndingLBA=TABLE.last_usable_lba)
    image.write_bytes(disk)
    assert "partition 1: the partition leaves the usable blocks" in command(capsys, "show", image)[2]
    code, _, err = command(capsys, "extract", image, "2", tmp_path / "out")
    assert (code, "shares blocks with partition 1" in err) == (OK, True)
    assert (tmp_path / "out").read_bytes() == b"\2" * (96 << 10)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"EndingLBA": TABLE.partitions[1].first_lba - 2}, "ends before it starts"),
        ({"EndingLBA": 1 << 63}, "the disk ends before the partition does"),
    ],
)
def test_a_partition_that_is_nowhere_is_told_and_not_extracted(
    capsys: Capture, image: Path, tmp_path: Path, fields: dict[str, int], said: str
) -> None:
    disk = DISK
    for copy in ("primary", "backup"):
        disk = with_entry(disk, copy, 2, **fields)  # type: ignore[arg-type]  # mypy takes the values for its keywords' too
    image.write_bytes(disk)
    code, _, err = command(capsys, "extract", image, "2", tmp_path / "out")
    assert (code, said in err.splitlines()[-1]) == (BAD_INPUT, True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", [("show",), ("check",), ("repair",), ("grow",), ("extract", "1", "out")])
def test_what_is_no_file_is_refused_at_once(capsys: Capture, tmp_path: Path, words: tuple[str, ...]) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, "/dev/zero"):
        code, out, _ = command(capsys, words[0], path, *words[1:], "--json")
        assert (code, json.loads(out)["error"]) == (USAGE, "FileKindError")


def test_the_module_runs(image: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cloudboot_gpt", "show", image, "--json"], capture_output=True, check=True
    )
    assert json.loads(done.stdout) == TABLE.as_dict()


def test_other_containers_are_read_and_not_changed(capsys: Capture, image: Path, tmp_path: Path) -> None:
    qcow2, packed = tmp_path / "disk.qcow2", tmp_path / "disk.img.gz"
    run(judge("qemu-img", "qemu-utils"), "convert", "-O", "qcow2", image, qcow2)
    packed.write_bytes(gzip.compress(DISK))
    # qemu-img rounds a disk up to whole clusters of the image, so that the table no longer reaches its end.
    assert command_json(capsys, "show", packed) == TABLE.as_dict()
    assert command_json(capsys, "show", qcow2)["partitions"] == TABLE.as_dict()["partitions"]
    assert command(capsys, "check", packed)[0] == OK
    for path in (qcow2, packed):
        before = path.read_bytes()
        output = tmp_path / "out"
        assert command(capsys, "extract", path, "2", output, "--force")[0] == OK
        assert output.read_bytes() == b"\2" * (96 << 10)
        for words in (("repair",), ("grow",), ("resize", "3", "max")):
            code, _, err = command(capsys, words[0], path, *words[1:])
            assert (code, "can be read, and not changed" in err) == (BAD_INPUT, True)
        assert path.read_bytes() == before


def test_a_disk_with_a_plain_mbr(capsys: Capture, tmp_path: Path) -> None:
    disk = tmp_path / "mbr.img"
    disk.write_bytes(bytes(8 << 20))
    script = b"label: dos\nlabel-id: 0x12345678\nsize=2MiB,type=ef\nsize=1MiB,type=83\n"
    run(judge("sfdisk", "fdisk"), "-q", disk, stdin=script)
    code, out, err = command(capsys, "show", disk)
    assert (code, err) == (OK, "")
    assert "Disk identifier (MBR): 0x12345678" in out
    assert [each["type_name"] for each in command_json(capsys, "show", disk)["partitions"]] == ["esp", "linux"]
    assert command(capsys, "extract", disk, "linux", tmp_path / "out")[0] == OK
    assert (tmp_path / "out").stat().st_size == 1 << 20
    assert command(capsys, "check", disk)[0] == BAD_INPUT


@pytest.mark.parametrize("sector_size", [512, 4096])
def test_a_table_is_written_to_a_device(capsys: Capture, tmp_path: Path, sector_size: int) -> None:
    """The sector size and the size are those of the device; old content does not shine through holes of the new."""
    disk, content = tmp_path / "disk", tmp_path / "content"
    disk.write_bytes(b"\xaa" * (16 << 20))
    with open(content, "wb") as file:
        file.truncate(2 << 20)
        file.write(b"content")
    with loop_device(disk, sector_size) as device:
        words = ("create", device, "--partition", f"esp::EFI:{content}", "--partition", "freebsd-ufs::root")
        code, _, err = command(capsys, *words)
        assert code == SYSTEM
        assert "--force writes to it" in err
        assert command(capsys, *words, "--force", "--size", "8M")[0] == USAGE
        assert command(capsys, *words, "--force", "--dry-run")[0] == OK
        assert disk.read_bytes() == b"\xaa" * (16 << 20)
        assert command(capsys, *words, "--force")[0] == OK
        said = run(judge("sgdisk", "gdisk"), "--print", "--verify", device)
        assert f"Sector size (logical/physical): {sector_size}" in said or f"logical): {sector_size}" in said
        assert "No problems found" in said
        code, _, err = command(capsys, "extract", device, "EFI", tmp_path / "extracted")
        assert (code, err) == (OK, "")
    assert (tmp_path / "extracted").read_bytes() == content.read_bytes()


def test_an_mbr_on_a_device_has_its_sectors(capsys: Capture, tmp_path: Path) -> None:
    with open(tmp_path / "disk", "wb") as file:
        file.truncate(64 << 20)
    with loop_device(tmp_path / "disk", 4096) as device:
        sfdisk = judge("sfdisk", "fdisk")
        run(sfdisk, "--quiet", device, stdin=b"label: dos\nsize=8MiB, type=c\nsize=16MiB, type=5\nsize=4MiB, type=83\n")
        theirs = json.loads(run(sfdisk, "--json", device))["partitiontable"]["partitions"]
        ours = command_json(capsys, "show", device)["partitions"]
    assert [(each["first_lba"], each["last_lba"] - each["first_lba"] + 1) for each in ours] == [
        (each["start"], each["size"]) for each in theirs
    ]
    assert len(ours) == 3
