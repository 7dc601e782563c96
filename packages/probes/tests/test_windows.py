"""Images of Windows: what judges read of them, and what the stand-in for the boot manager makes of them."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from cloudboot_base import MemoryStorage
from cloudboot_base.testing import judge, run
from cloudboot_ntfs.bcd import GptDevice, Store
from cloudboot_oci_stream import push_image
from cloudboot_probes import image, recipe
from cloudboot_probes.cli.dispatch import run as command
from cloudboot_probes.describe import opened
from cloudboot_probes.errors import RecipeError
from cloudboot_probes.loader import REMOVABLE
from cloudboot_probes.windows import demonstration
from cloudboot_uefi_host import Budget, Ending, Firmware, boot_path, publish_block_io, start, vendor_path
from cloudboot_uefi_host.testing import grub_loader

MIB = 1 << 20


def write_tree(top: Path, architecture: str = "amd64") -> Path:
    """The demonstration's files as a folder of the host, in other cases and with what belongs on the ESP."""
    files = demonstration.files(architecture)
    for path in files.entries:
        data = files.read(path)
        if data is not None:
            place = top / path[1:].replace("System32", "system32")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
    for path, data in (("EFI/de-DE/bootmgfw.efi.mui", b"mui"), ("Fonts/wgl4_boot.ttf", b"font")):
        place = top / "Windows" / "Boot" / path
        place.parent.mkdir(parents=True)
        place.write_bytes(data)
    return top


def windows(**settings: object) -> recipe.Recipe:
    """The recipe ``windows`` with these settings."""
    made = recipe.load("windows")
    return replace(made, windows=replace(made.windows, stand_in=True, **settings))  # type: ignore[arg-type]  # a test's keywords


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("windows"))


@pytest.fixture(scope="module")
def disk(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk of a folder, with the stand-in."""
    path = tmp_path_factory.mktemp("disk") / "disk.img"
    image.build(image.plan(windows(source=tree)), path)
    return path


def partition(disk: Path, number: int, target: Path) -> Path:
    """A partition of the disk as a file of its own, at the place that sfdisk states."""
    table = json.loads(run(judge("sfdisk", "fdisk"), "--json", disk))["partitiontable"]
    part = table["partitions"][number - 1]
    with open(disk, "rb") as source:
        source.seek(part["start"] * 512)
        target.write_bytes(source.read(part["size"] * 512))
    return target


def test_judges_read_what_was_built(disk: Path, tree: Path, tmp_path: Path) -> None:
    assert "No problems found" in run(judge("sgdisk", "gdisk"), "-v", disk)
    listing = run(judge("sgdisk", "gdisk"), "-p", disk)
    assert [line.split()[5] for line in listing.splitlines()[-3:]] == ["EF00", "0C01", "0700"]
    esp, ntfs = partition(disk, 1, tmp_path / "esp.img"), partition(disk, 3, tmp_path / "ntfs.img")
    run(judge("fsck.fat", "dosfstools"), "-n", esp)
    assert esp.read_bytes()[82:90] == b"FAT32   "
    for name, source in (
        ("EFI/Microsoft/Boot/Fonts/wgl4_boot.ttf", "Windows/Boot/Fonts/wgl4_boot.ttf"),
        ("EFI/Microsoft/Boot/de-DE/bootmgfw.efi.mui", "Windows/Boot/EFI/de-DE/bootmgfw.efi.mui"),
    ):
        data = subprocess.run([judge("mtype", "mtools"), "-i", esp, f"::{name}"], check=True, capture_output=True)
        assert data.stdout == (tree / source).read_bytes()
    loader = subprocess.run(
        [judge("ntfscat", "ntfs-3g"), "-f", ntfs, "/Windows/system32/winload.efi"], check=True, capture_output=True
    ).stdout
    assert loader == (tree / "Windows/system32/winload.efi").read_bytes()
    run(judge("ntfsfix", "ntfs-3g"), "-n", ntfs)


def test_the_store_names_the_partition_that_sgdisk_sees(disk: Path, tmp_path: Path) -> None:
    esp = partition(disk, 1, tmp_path / "esp.img")
    store = tmp_path / "BCD"
    run(judge("mcopy", "mtools"), "-i", esp, "::EFI/Microsoft/Boot/BCD", store)
    seen = run(judge("sgdisk", "gdisk"), "-i", "3", disk)
    guid = next(line.split()[-1] for line in seen.splitlines() if "unique GUID" in line)
    default = run_hivex(store, r"cd \Objects\{9dea862c-5cdd-4e70-acc1-f32b344d4795}\Elements\23000003", "lsval Element")
    data = run_hivex(store, rf"cd \Objects\{default.decode().strip()}\Elements\11000001", "lsval Element")
    fields = guid.split("-")
    stored = b"".join(bytes.fromhex(each)[::-1] for each in fields[:3]) + bytes.fromhex("".join(fields[3:]))
    assert len(data) == 88
    assert data[32:48] == stored


def run_hivex(hive: Path, *commands: str) -> bytes:
    """What hivexsh prints for commands over a hive."""
    shell = judge("hivexsh", "libhivex-bin")
    text = "\n".join([f"load {hive}", *commands]) + "\n"
    return subprocess.run([shell], input=text.encode(), check=True, capture_output=True).stdout


def test_the_same_files_give_the_same_bytes(tree: Path, disk: Path, tmp_path: Path) -> None:
    again = image.build(image.plan(windows(source=tree)), tmp_path / "again.img")
    assert again.sha256 == hashlib.sha256(disk.read_bytes()).hexdigest()


def test_a_given_store_is_pointed_at_the_partitions(tree: Path, disk: Path, tmp_path: Path) -> None:
    from uuid import UUID

    other = UUID("01234567-89ab-4def-8123-456789abcdef")
    from cloudboot_ntfs.bcd import BcdOptions, create

    given = tmp_path / "BCD"
    store = create("windows", BcdOptions(windows=GptDevice(other, other), boot_manager=GptDevice(other, other)))
    store.object("{default}").set("testsigning", True)
    given.write_bytes(store.pack())
    image.build(image.plan(windows(source=tree, bcd=given)), tmp_path / "disk.img")
    with opened(str(tmp_path / "disk.img")) as built:
        found = Store.open(built.esp.read_file("/EFI/Microsoft/Boot/BCD"))
        third = built.gpt_table.partitions[2]
        assert found.object("{default}").get("device") == GptDevice(third.guid, built.gpt_table.disk_guid)
        assert found.object("{default}").get("testsigning") is True
        assert found.object("{bootmgr}").get("device") == GptDevice(
            built.gpt_table.partitions[0].guid, built.gpt_table.disk_guid
        )


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_the_stand_in_follows_the_store_to_the_loader(architecture: str, tmp_path: Path) -> None:
    made = replace(windows(), architecture=architecture)
    image.build(image.plan(made), tmp_path / "disk.img")
    reference = f"oci:{tmp_path / 'store'}:windows"
    push_image(tmp_path / "disk.img", reference)
    record = tmp_path / "record.json"
    assert command(["probe", "windows", reference, "--architecture", architecture, "--record", str(record)]) == 0
    gates = {gate["gate"]: gate for gate in json.loads(record.read_text())["gates"]}
    console = gates["loader-banner"]["evidence"]["console"]
    assert console[-1] == "OK"
    assert gates["start-image"]["evidence"]["files"]["/Windows/system32/winload.efi"] > 10_000


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_grub_reads_the_volume_through_our_block_io(architecture: str, tmp_path: Path) -> None:
    """GRUB's own ntfs module hashes files of the volume: no code of ours is between them and Block IO."""
    tree = write_tree(tmp_path / "tree", architecture)
    many = tree / "Windows" / "system32" / "drivers"
    for number in range(300):
        (many / f"driver{number:04}.sys").write_bytes(b"driver %d\n" % number * 100)
    (tree / "Windows" / "large.bin").write_bytes(bytes(range(256)) * 4096)
    wanted = {
        "/Windows/system32/winload.efi": tree / "Windows/system32/winload.efi",
        "/Windows/system32/drivers/driver0271.sys": many / "driver0271.sys",
        "/Windows/large.bin": tree / "Windows/large.bin",
    }
    script = "set pager=0\n" + "".join(f"hashsum --hash sha256 (hd0,gpt3){path}\n" for path in wanted) + "echo END\n"
    loader = tmp_path / "grub.efi"
    modules = ("part_gpt", "ntfs", "normal", "echo", "hashsum", "gcry_sha256")
    loader.write_bytes(grub_loader(architecture, tmp_path, script, modules=modules))
    made = replace(windows(source=tree), architecture=architecture)
    made = replace(made, esp=replace(made.esp, size=40 * MIB, files={REMOVABLE[architecture]: loader}))
    image.build(image.plan(made), tmp_path / "disk.img")
    budget = Budget(seconds=120)
    storage = MemoryStorage((tmp_path / "disk.img").read_bytes())
    with Firmware(architecture, budget=budget) as firmware:
        device = publish_block_io(firmware, storage, vendor_path())
        firmware.drivers.connect(device.handle)
        started = firmware.images.load_from(boot_path(firmware, device), parent=firmware.handle)
        firmware.console.until(r"END\r?\n")
        assert start(firmware, started).ending is Ending.TEXT_SEEN
        words = firmware.console.text.split()
    for path, source in wanted.items():
        assert words[words.index(f"(hd0,gpt3){path}") - 1] == hashlib.sha256(source.read_bytes()).hexdigest()


@pytest.mark.parametrize(("sector", "size"), [(512, 34 * MIB), (4096, 260 * MIB)])
def test_the_smallest_esp_that_is_allowed_holds_fat32(sector: int, size: int, tmp_path: Path) -> None:
    made = replace(windows(), sector_size=sector)
    made = replace(made, esp=replace(made.esp, size=size))
    image.build(image.plan(made), tmp_path / "disk.img")
    with opened(str(tmp_path / "disk.img")) as disk:
        assert disk.table.sector_size == sector
        assert disk.esp.geometry.fat_type == 32
        assert [part.type_name for part in disk.table.partitions] == [
            "esp", "microsoft-reserved", "microsoft-basic-data",
        ]  # fmt: skip


def test_a_plan_in_json_is_what_is_built(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "disk.img"
    words = ["image", "build", "windows", "--from", str(tree), "--stand-in", "-o", str(output), "--json"]
    assert command([*words, "--dry-run"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert not output.exists()
    assert command(words) == 0
    built = json.loads(capsys.readouterr().out)
    assert [part["first_lba"] for part in planned["partitions"]] == [
        part["first_lba"] for part in built["table"]["partitions"]
    ]
    assert "/EFI/Microsoft/Boot/Fonts/wgl4_boot.ttf" in planned["esp"]
    assert planned["root"]["/Windows/system32/winload.efi"] > 10_000


@pytest.mark.parametrize(
    ("options", "code", "named"),
    [
        (["--root-size", "1M"], 4, "volume"),
        (["--bcd", "/etc/hostname"], 3, "/etc/hostname"),
        (["--root-file", "/windows/SYSTEM32=/etc/hostname"], 2, "/Windows/system32"),
    ],
)
def test_what_cannot_be_built_leaves_nothing(
    options: list[str], code: int, named: str, tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["image", "build", "windows", "--from", str(tree), "--stand-in", "-o", str(tmp_path / "disk.img")]
    assert command([*words, *options]) == code
    assert not list(tmp_path.iterdir())
    assert named in capsys.readouterr().err


def test_without_files_there_is_no_image() -> None:
    with pytest.raises(RecipeError, match="no Windows files"):
        image.plan(recipe.load("windows"))
    with pytest.raises(RecipeError, match="too small for FAT32"):
        made = windows()
        image.plan(replace(made, esp=replace(made.esp, size=16 * MIB)))
