"""How the boot manager follows device paths: OVMF is the judge of every case."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from cloudboot_base import open_storage
from cloudboot_base.testing import judge, run
from cloudboot_probes.boot_entries import FALLBACK, Verdict, examine
from cloudboot_probes.disk import Disk
from cloudboot_uefi_abi.constants import Machine, SectionFlag
from cloudboot_uefi_abi.device_path import DevicePath, FilePath, GenericNode, HardDrive, Node
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.load_option import LoadOption
from cloudboot_uefi_abi.pe import NewSection, write_image
from cloudboot_uefi_abi.variables import Variable, VariableStore, pack_boot_order

GLOBAL = GUIDS["EFI_GLOBAL_VARIABLE"]
ABORTED = b"\x48\xb8" + struct.pack("<Q", 0x8000000000000015) + b"\xc3"  # mov rax, EFI_ABORTED; ret
FLAGS = SectionFlag.CODE | SectionFlag.EXECUTE | SectionFlag.READ
PROGRAM = write_image(Machine.AMD64, [NewSection(".text", 0x1000, ABORTED, FLAGS)], 0x1000)
FILE = FilePath(r"\EFI\t\a.efi")
HERE: Final = DevicePath.from_text("PciRoot(0x0)/Pci(0x2,0x0)").nodes  # where the machine has the disk

Drive = HardDrive
Made = Callable[[Drive], DevicePath]


def file(*texts: str) -> Made:
    return lambda drive: DevicePath.of(drive, *(FilePath(text) for text in texts))


def named(**fields: Any) -> Made:
    return lambda drive: DevicePath.of(replace(drive, **fields), FILE)


def raw_file(data: bytes) -> Made:
    return lambda drive: DevicePath.of(drive, GenericNode(4, 4, data))


def only(*nodes: Node) -> Made:
    return lambda _: DevicePath.of(*nodes)


TEXT = r"\EFI\t\a.efi".encode("utf-16-le")
CASES: Final[dict[str, tuple[Made, bool]]] = {
    "as it is": (named(), True),
    "another number": (named(partition=2), False),
    "number 0": (named(partition=0), False),
    "another start": (named(start=1), True),
    "another size": (named(size=1), True),
    "format of an MBR": (named(mbr_type=1), False),
    "no format": (named(mbr_type=0), False),
    "no signature": (named(signature_type=0), False),
    "signature of an MBR": (named(signature_type=1), False),
    "another signature": (named(signature=bytes(16)), False),
    "a controller": (lambda drive: DevicePath.of(*HERE, drive, FILE), True),
    "a controller and another start": (lambda drive: DevicePath.of(*HERE, replace(drive, start=1), FILE), False),
    "the partition alone": (DevicePath.of, True),
    "the disk alone": (only(*HERE), True),
    "the bus alone": (only(*HERE[:1]), False),
    "a file alone": (only(FILE), True),
    "two file nodes alone": (only(FilePath(r"\EFI"), FilePath(r"t\a.efi")), True),
    "an absent file alone": (only(FilePath(r"\EFI\t\b.efi")), False),
    "a bus and a file": (only(*HERE[:1], FILE), False),
    "nothing": (only(), False),
    "two instances": (lambda drive: DevicePath(((drive, FILE), (drive, FILE))), False),
    "an old end": (lambda drive: DevicePath(((drive, FILE),), (0xFF,)), False),
    "the partition twice": (lambda drive: DevicePath.of(drive, drive, FILE), False),
    "slashes": (file("/EFI/t/a.efi"), False),
    "a slash": (file(r"\EFI\t/a.efi"), False),
    "no separator in front": (file(r"EFI\t\a.efi"), True),
    "two separators in front": (file(r"\\EFI\t\a.efi"), False),
    "two separators inside": (file(r"\EFI\\t\a.efi"), True),
    "a separator behind": (file("\\EFI\\t\\a.efi\\"), False),
    "other case": (file(r"\efi\T\A.EFI"), True),
    "dots": (file(r"\EFI\.\t\..\t\a.efi"), True),
    "above the root": (file(r"\..\EFI\t\a.efi"), False),
    "two nodes": (file(r"\EFI", r"t\a.efi"), True),
    "two nodes, a separator between": (file("\\EFI\\", r"t\a.efi"), True),
    "two nodes, the second from the root": (file(r"\EFI", r"\EFI\t\a.efi"), True),
    "two nodes, one name": (file(r"\EFI\t\a", ".efi"), False),
    "an empty node first": (file("", r"\EFI\t\a.efi"), False),
    "an empty node last": (file(r"\EFI\t\a.efi", ""), False),
    "blanks and dots around names": (file("\\EFI\\ t.\\ a.efi . "), True),
    "a folder": (file(r"\EFI\t"), False),
    "the root": (file("\\"), False),
    "a comma": (file(r"\EFI\t\a,b.efi"), True),
    "a short name": (file(r"\EFI\t\LONGNA~1.EFI"), True),
    "a wildcard": (file(r"\EFI\t\*.efi"), False),
    "no null": (raw_file(TEXT), False),
    "two nulls": (raw_file(TEXT + bytes(4)), True),
    "an odd size": (raw_file(TEXT + bytes(3)), True),
    "text behind a null": (raw_file(TEXT + b"\0\0j\0u\0n\0k\0\0\0"), True),
}


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("paths")
    (folder / "root").mkdir()
    (folder / "a.efi").write_bytes(PROGRAM)
    words = [sys.executable, "-m", "cloudboot_probes", "image", "build", "custom", "-o", "disk.img", "--root", "root"]
    words += ["--loader", "a.efi"]
    for name in ("a.efi", "a,b.efi", "long name.efi"):
        words += ["--esp-file", f"/EFI/t/{name}=a.efi"]
    subprocess.run(words, check=True, cwd=folder, capture_output=True)
    return folder / "disk.img"


def examined(disk: Path, options: dict[str, bytes]) -> tuple[list[Variable], dict[str, Verdict]]:
    variables = [Variable("BootOrder", GLOBAL, pack_boot_order(range(1, len(options) + 1)))]
    variables += [Variable(f"Boot{number:04X}", GLOBAL, data) for number, data in enumerate(options.values(), 1)]
    with open_storage(disk) as opened:
        verdicts = {each.name: each for each in examine(Disk.open(opened.storage), variables, "amd64")}
    return variables, verdicts


def options_of(disk: Path) -> dict[str, bytes]:
    with open_storage(disk) as opened:
        esp = Disk.open(opened.storage).gpt_table.partitions[0]
    drive = HardDrive.gpt(1, esp.first_lba, esp.blocks, esp.guid)
    options = {name: LoadOption(name, (made(drive),)).pack() for name, (made, _) in CASES.items()}
    good = DevicePath.of(drive, FILE)
    options["a second path"] = LoadOption("a second path", (DevicePath.of(FilePath(r"\none")), good)).pack()
    options["bytes behind the path"] = LoadOption("bytes behind the path", (good,), padding=b"\1\2\3\4\5").pack()
    options["optional data"] = LoadOption("optional data", (good,), b"\xff" * 33).pack()
    return options


EXPECTED = {**{name: boots for name, (_, boots) in CASES.items()}, "a second path": False}
EXPECTED |= {"bytes behind the path": True, "optional data": True}


def test_the_verdict(disk: Path) -> None:
    options = options_of(disk)
    _, verdicts = examined(disk, options)
    found = {name: verdicts[f"Boot{number:04X}"].boots for number, name in enumerate(options, 1)}
    assert found == EXPECTED


@pytest.mark.live
def test_ovmf_agrees(disk: Path, boot_manager: Callable[[Path, Iterable[Variable]], dict[str, list[str]]]) -> None:
    options = options_of(disk)
    variables, _ = examined(disk, options)
    lines = boot_manager(disk, variables)
    # The firmware gives the number of an option that it does not take to one of its own.
    started = {
        name: any(line.startswith(f'failed to start "{name}"') for line in lines[f"Boot{number:04X}"])
        for number, name in enumerate(options, 1)
    }
    assert started == EXPECTED


MBR_CASES: Final[dict[str, tuple[Made, bool]]] = {
    "as it is": (named(), True),
    "another number": (named(partition=1), False),
    "another signature": (named(signature=b"\1".ljust(16, b"\0")), False),
    "a signature with more bytes": (named(signature=b"\x78\x56\x34\x12".ljust(16, b"\1")), False),
    "another start": (named(start=1), True),
    "a controller": (lambda drive: DevicePath.of(*HERE, drive, FILE), True),
    "a controller and another size": (lambda drive: DevicePath.of(*HERE, replace(drive, size=1), FILE), False),
    "format of a GPT": (named(mbr_type=2), False),
    "no signature": (named(signature_type=0), False),
    "a GUID": (named(signature_type=2, mbr_type=2), False),
    "the partition alone": (DevicePath.of, True),
    "the disk alone": (only(*HERE), True),
    "a file alone": (only(FILE), True),
}


@pytest.fixture(scope="module")
def mbr_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk with an MBR, its EFI system partition the second."""
    folder = tmp_path_factory.mktemp("mbr")
    path, start, size = folder / "disk.img", 4096, 65536
    with path.open("wb") as file:
        file.truncate(40 << 20)
    script = f"label: dos\nlabel-id: 0x12345678\nstart=2048,size=2048,type=83\nstart={start},size={size},type=ef\n"
    subprocess.run([judge("sfdisk", "fdisk"), "-q", path], input=script.encode(), check=True)
    fill_esp(path, start, size)
    return path


def fill_esp(path: Path, start: int, size: int) -> None:
    """Format a partition of a disk with an MBR, and put the programs there; in sectors."""
    place, program = f"{path}@@{start * 512}", path.with_name("a.efi")
    program.write_bytes(PROGRAM)
    run(judge("mformat", "mtools"), "-i", place, "-T", str(size), "-h", "16", "-s", "63", "::")
    run(judge("mmd", "mtools"), "-i", place, "::/EFI", "::/EFI/BOOT", "::/EFI/t")
    for name in ("BOOT/BOOTX64.EFI", "t/a.efi"):
        run(judge("mcopy", "mtools"), "-i", place, str(program), f"::/EFI/{name}")


def mbr_options() -> dict[str, bytes]:
    drive = HardDrive.mbr(2, 4096, 65536, 0x12345678)
    return {name: LoadOption(name, (made(drive),)).pack() for name, (made, _) in MBR_CASES.items()}


def test_the_verdict_on_a_disk_with_an_mbr(mbr_disk: Path) -> None:
    options = mbr_options()
    _, verdicts = examined(mbr_disk, options)
    found = {name: verdicts[f"Boot{number:04X}"].boots for number, name in enumerate(options, 1)}
    assert found == {name: boots for name, (_, boots) in MBR_CASES.items()}
    assert verdicts[FALLBACK].reason == "/EFI/BOOT/BOOTX64.EFI on partition 2"


@pytest.mark.live
def test_ovmf_agrees_about_a_disk_with_an_mbr(
    mbr_disk: Path, boot_manager: Callable[..., dict[str, list[str]]]
) -> None:
    options = mbr_options()
    variables, _ = examined(mbr_disk, options)
    lines = boot_manager(mbr_disk, variables)
    started = {
        name: any(line.startswith(f'failed to start "{name}"') for line in lines[f"Boot{number:04X}"])
        for number, name in enumerate(options, 1)
    }
    assert started == {name: boots for name, (_, boots) in MBR_CASES.items()}


EXTENDED: Final = HardDrive.mbr(2, 4096, 70000, 0x12345678)
#: The node of the logical partition is made by the extended one's driver: numbers from 1, no signature.
LOGICAL_CASES: Final[dict[str, tuple[Made, bool]]] = {
    "the logical partition": (named(), True),
    "number 5": (named(partition=5), False),
    "number 5 and the disk's signature": (
        lambda drive: DevicePath.of(replace(EXTENDED, partition=5, start=drive.start, size=drive.size), FILE),
        False,
    ),
    "the extended partition": (lambda _: DevicePath.of(EXTENDED, FILE), True),
    "the extended partition and the logical one": (lambda drive: DevicePath.of(EXTENDED, drive, FILE), False),
    "a controller and both": (lambda drive: DevicePath.of(*HERE, EXTENDED, drive, FILE), True),
    "a controller and the logical one": (lambda drive: DevicePath.of(*HERE, drive, FILE), False),
    "a controller and another number": (
        lambda drive: DevicePath.of(*HERE, EXTENDED, replace(drive, partition=2), FILE),
        False,
    ),
    "both and another start": (lambda drive: DevicePath.of(EXTENDED, replace(drive, start=1), FILE), False),
    "both and no file": (lambda drive: DevicePath.of(EXTENDED, drive), False),
    "a controller, both and no file": (lambda drive: DevicePath.of(*HERE, EXTENDED, drive), True),
    "a controller, both and another start": (
        lambda drive: DevicePath.of(*HERE, EXTENDED, replace(drive, start=1), FILE),
        False,
    ),
    "a controller and the extended partition": (lambda _: DevicePath.of(*HERE, EXTENDED, FILE), False),
    "the disk alone, with the logical partition": (only(*HERE), True),
    "a file alone, on the logical partition": (only(FILE), True),
}


@pytest.fixture(scope="module")
def logical_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk with an MBR whose EFI system partition is a logical one."""
    folder = tmp_path_factory.mktemp("logical")
    path, start, size = folder / "disk.img", 6144, 65536
    with path.open("wb") as file:
        file.truncate(40 << 20)
    entries = {1: "start=2048,size=2048,type=83", 2: "start=4096,size=70000,type=5",
               5: f"start={start},size={size},type=ef"}  # fmt: skip
    lines = ["label: dos", "label-id: 0x12345678", "unit: sectors", ""]
    lines += [f"{path}{number} : {entry}" for number, entry in entries.items()]
    subprocess.run([judge("sfdisk", "fdisk"), "-q", path], input="\n".join(lines).encode(), check=True)
    fill_esp(path, start, size)
    return path


def logical_options() -> dict[str, bytes]:
    drive = HardDrive.mbr(1, 6144, 65536, 0)
    return {name: LoadOption(name, (made(drive),)).pack() for name, (made, _) in LOGICAL_CASES.items()}


def test_the_verdict_on_a_logical_partition(logical_disk: Path) -> None:
    options = logical_options()
    _, verdicts = examined(logical_disk, options)
    found = {name: verdicts[f"Boot{number:04X}"].boots for number, name in enumerate(options, 1)}
    assert found == {name: boots for name, (_, boots) in LOGICAL_CASES.items()}
    assert verdicts[FALLBACK].reason == "/EFI/BOOT/BOOTX64.EFI on partition 5"


@pytest.mark.live
def test_ovmf_agrees_about_a_logical_partition(
    logical_disk: Path, boot_manager: Callable[..., dict[str, list[str]]]
) -> None:
    options = logical_options()
    variables, _ = examined(logical_disk, options)
    lines = boot_manager(logical_disk, variables)
    started = {
        name: any(line.startswith(f'failed to start "{name}"') for line in lines[f"Boot{number:04X}"])
        for number, name in enumerate(options, 1)
    }
    assert started == {name: boots for name, (_, boots) in LOGICAL_CASES.items()}


def without_esp(disk: Path, target: Path) -> Path:
    target.write_bytes(disk.read_bytes())
    run(judge("sgdisk", "gdisk"), "--typecode=1:0700", str(target))
    return target


def test_the_removable_path_is_looked_for_in_every_file_system(disk: Path, tmp_path: Path) -> None:
    _, verdicts = examined(without_esp(disk, tmp_path / "disk.img"), {})
    assert verdicts[FALLBACK].reason == "/EFI/BOOT/BOOTX64.EFI on partition 1"


@pytest.mark.live
def test_ovmf_looks_for_it_there_too(
    disk: Path, tmp_path: Path, boot_manager: Callable[[Path, Iterable[Variable]], dict[str, list[str]]]
) -> None:
    options = {"disk": LoadOption("disk", (DevicePath.of(*HERE),)).pack()}
    changed = without_esp(disk, tmp_path / "disk.img")
    variables, verdicts = examined(changed, options)
    assert verdicts["Boot0001"].boots
    assert any(line.startswith('failed to start "disk"') for line in boot_manager(changed, variables)["Boot0001"])


@pytest.mark.live
def test_ovmf_reads_on_behind_a_record_whose_head_was_not_written(
    disk: Path, boot_manager: Callable[..., dict[str, list[str]]]
) -> None:
    options = options_of(disk)
    variables, _ = examined(disk, {"as it is": options["as it is"]})

    def interrupted(flash: bytes) -> bytes:
        first = VariableStore.parse(flash).records[0].offset
        head = bytearray(flash[first : first + 60])
        head[2] = 0xFF  # no bit of the state was written
        changed = flash[:first] + head + flash[first:0x10000] + flash[0x10000 + 60 :]
        assert len(changed) == len(flash)
        assert VariableStore.parse(changed).variables == VariableStore.parse(flash).variables
        return changed

    lines = boot_manager(disk, variables, interrupted)["Boot0001"]
    assert any(line.startswith('failed to start "as it is"') for line in lines)
