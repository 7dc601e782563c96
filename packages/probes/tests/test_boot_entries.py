"""Which boot entry starts from a disk: every reason, and the choice that OVMF makes for the same variables."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from cloudboot_base import MemoryStorage, open_storage
from cloudboot_base.testing import judge, judge_file, ovmf, run
from cloudboot_probes import boot_entries
from cloudboot_probes.boot_entries import examine
from cloudboot_probes.disk import Disk
from cloudboot_uefi_abi.commands.variables import load_variables
from cloudboot_uefi_abi.constants import Machine, SectionFlag
from cloudboot_uefi_abi.device_path import DevicePath, FilePath, HardDrive
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.load_option import LoadOption, LoadOptionAttribute
from cloudboot_uefi_abi.pe import NewSection, write_image
from cloudboot_uefi_abi.variables import (
    Variable,
    VariableStore,
    efivarfs_file,
    efivarfs_name,
    format_store,
    pack_boot_order,
)

GLOBAL = GUIDS["EFI_GLOBAL_VARIABLE"]
ACTIVE = LoadOptionAttribute.ACTIVE


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk with a loader at the removable path and another one at a vendor's."""
    folder = tmp_path_factory.mktemp("entries")
    flags = SectionFlag.CODE | SectionFlag.EXECUTE | SectionFlag.READ
    for name, machine in (("loader.efi", Machine.AMD64), ("vendor.efi", Machine.AMD64), ("arm.efi", Machine.ARM64)):
        (folder / name).write_bytes(write_image(machine, [NewSection(".text", 0x1000, b"\xc3", flags)], 0x1000))
    (folder / "text").write_bytes(b"not a program")
    (folder / "root").mkdir()
    words = [sys.executable, "-m", "cloudboot_probes", "image", "build", "custom", "-o", "disk.img", "--root", "root"]
    words += ["--loader", "loader.efi", "--esp-file", "/EFI/vendor/a.efi=vendor.efi"]
    words += ["--esp-file", "/EFI/vendor/arm.efi=arm.efi", "--esp-file", "/EFI/vendor/text=text"]
    subprocess.run(words, check=True, cwd=folder, capture_output=True)
    return folder / "disk.img"


def drive(disk: Path, guid: UUID | None = None) -> HardDrive:
    with open_storage(disk) as opened:
        esp = Disk.open(opened.storage).gpt_table.partitions[0]
    return HardDrive.gpt(1, esp.first_lba, esp.blocks, guid or esp.guid)


def variables(*options: tuple[str, LoadOptionAttribute] | bytes, order: list[int]) -> list[Variable]:
    found = [Variable("BootOrder", GLOBAL, pack_boot_order(order))]
    for number, option in enumerate(options):
        data = option
        if isinstance(option, tuple):
            data = LoadOption(f"entry {number}", (DevicePath.from_text(option[0]),), b"", option[1]).pack()
        assert isinstance(data, bytes)
        found.append(Variable(f"Boot{number:04X}", GLOBAL, data))
    return found


def test_every_entry_has_its_reason(disk: Path) -> None:
    hd = str(drive(disk).text())
    other = drive(disk, UUID(int=7)).text()
    found = variables(
        (rf"{hd}/\EFI\vendor\absent.efi", ACTIVE),
        (rf"{hd}/\EFI\vendor\text", ACTIVE),
        (rf"{hd}/\EFI\vendor\arm.efi", ACTIVE),
        (rf"{other}/\EFI\vendor\a.efi", ACTIVE),
        (rf"{hd}/\EFI\vendor\a.efi", LoadOptionAttribute(0)),
        (rf"{hd}/\EFI\vendor\a.efi", ACTIVE | LoadOptionAttribute.CATEGORY_APP),
        ("Fv(7CB8BDC9-F8EB-4F34-AAEA-3EE4AF6516A1)/FvFile(462CAA21-7614-4503-836E-8AB6F4662331)", ACTIVE),
        ("PciRoot(0x0)/Pci(0x5,0x0)/MAC(525400123456,0x1)/IPv4(0.0.0.0)/Uri()", ACTIVE),
        (rf"{hd}/Pci(0x1,0x0)", ACTIVE),
        (r"PciRoot(0x0)/\EFI\vendor\a.efi", ACTIVE),
        b"\1\0\0\0\xff\xff",
        (rf"PciRoot(0x0)/Pci(0x1,0x0)/{hd}/\EFI\vendor/a.efi", ACTIVE),
        (rf"{hd}/\EFI\vendor\a.efi", ACTIVE),
        order=[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0x99, 11],
    )
    with open_storage(disk) as opened:
        verdicts = {verdict.name: verdict for verdict in examine(Disk.open(opened.storage), found, "amd64")}
    reasons = {name: verdict.reason for name, verdict in verdicts.items()}
    assert reasons["Boot0000"] == "partition 1 has no /EFI/vendor/absent.efi"
    assert reasons["Boot0001"].startswith("/EFI/vendor/text is no EFI program: IMAGE_DOS_HEADER at byte 0: ")
    assert reasons["Boot0002"] == "/EFI/vendor/arm.efi is a program for arm64, not for amd64"
    assert reasons["Boot0003"] == "the disk has no partition HD(1,GPT,00000000-0000-0000-0000-000000000007)"
    assert reasons["Boot0004"] == "the option is not active"
    assert reasons["Boot0005"] == "the option is an application that is started from a menu only"
    assert reasons["Boot0006"] == "the program is in the firmware, not on the disk"
    assert reasons["Boot0007"] == "the program comes from the network"
    assert reasons["Boot0008"] == "behind the partition are other nodes than a file's path"
    assert reasons["Boot0009"] == "the path names a file and no partition"
    assert "EFI_LOAD_OPTION" in reasons["Boot000A"]
    assert reasons["Boot0099"] == "the variable does not exist"
    assert reasons["Boot000B"].startswith("/EFI/vendor/a.efi on partition 1; the firmware has to find this disk")
    assert reasons["Boot000C"] == "BootOrder does not name it"
    assert reasons[boot_entries.FALLBACK] == "/EFI/BOOT/BOOTX64.EFI on partition 1"
    assert [name for name, verdict in verdicts.items() if verdict.boots] == ["Boot000B", boot_entries.FALLBACK]
    assert verdicts["Boot000B"].order == 13
    assert verdicts["Boot000C"].order is None


def test_a_device_without_a_partition_and_an_empty_file_path(disk: Path) -> None:
    found = variables(
        ("PciRoot(0x0)/Pci(0x1F,0x2)/Sata(0x0,0xFFFF,0x0)", ACTIVE), (drive(disk).text(), ACTIVE), order=[0, 1]
    )
    with open_storage(disk) as opened:
        first, second, _ = examine(Disk.open(opened.storage), found, "amd64")
        arm = examine(Disk.open(opened.storage), found, "arm64")
    assert first.boots
    assert first.reason.startswith(
        "the path names a device and no partition; if that is this disk, /EFI/BOOT/BOOTX64.EFI"
    )
    assert (second.boots, second.reason) == (True, "/EFI/BOOT/BOOTX64.EFI on partition 1")
    assert [verdict.boots for verdict in arm] == [False, False, False]
    assert arm[-1].reason == "partition 1 has no /EFI/BOOT/BOOTAA64.EFI"


def test_damaged_file_systems_are_a_reason(disk: Path) -> None:
    data = bytearray(disk.read_bytes())
    data[64 * 512 : 66 * 512] = bytes(1024)
    found = variables((drive(disk).text(), ACTIVE), order=[0])
    verdicts = examine(Disk.open(MemoryStorage(bytes(data))), found, "amd64")
    assert not any(verdict.boots for verdict in verdicts)
    assert verdicts[0].reason.startswith("partition 1 cannot be read: ")


def test_the_command(disk: Path, tmp_path: Path) -> None:
    hd = drive(disk)
    option = LoadOption("vendor", (DevicePath.of(hd, FilePath(r"\EFI\vendor\a.efi")),))
    found = [Variable("Boot0003", GLOBAL, option.pack()), Variable("BootOrder", GLOBAL, pack_boot_order([7, 3]))]
    flash = tmp_path / "vars.fd"
    flash.write_bytes(VariableStore.parse(format_store()).replace(found))
    folder = tmp_path / "efivars"
    folder.mkdir()
    for variable in found:
        (folder / efivarfs_name(variable)).write_bytes(efivarfs_file(variable))
    assert set(map(repr, load_variables(flash))) == set(map(repr, load_variables(folder)))
    command = [sys.executable, "-m", "cloudboot_probes", "image", "boot-entries", str(disk), "--variables"]
    done = subprocess.run([*command, str(flash)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "  1 Boot0007: the variable does not exist",
        "  2 Boot0003 vendor: boots /EFI/vendor/a.efi on partition 1",
        "  3 removable path: boots /EFI/BOOT/BOOTX64.EFI on partition 1",
        "starts: Boot0003",
    ]
    facts = json.loads(subprocess.run([*command, str(folder), "--json"], capture_output=True, check=True).stdout)
    assert facts["boots"] == "Boot0003"
    none = subprocess.run(
        [*command, str(flash), "--architecture", "arm64"], capture_output=True, text=True, check=False
    )
    assert none.returncode == 1
    assert "no entry starts from this disk" in none.stdout
    run(judge("qemu-img", "qemu-utils"), "convert", "-O", "qcow2", str(flash), str(tmp_path / "vars.qcow2"))
    contained = subprocess.run([*command, str(tmp_path / "vars.qcow2")], capture_output=True, text=True, check=True)
    assert contained.stdout == done.stdout
    (tmp_path / "text").write_text("no variables")
    wrong = subprocess.run([*command, str(tmp_path / "text")], capture_output=True, text=True, check=False)
    assert wrong.returncode == 3


@pytest.mark.live
def test_ovmf_starts_the_entry_that_was_chosen(disk: Path, tmp_path: Path) -> None:
    hd, gone = drive(disk), drive(disk, UUID(int=7))
    paths = [
        DevicePath.of(gone, FilePath(r"\EFI\vendor\a.efi")),
        DevicePath.of(hd, FilePath(r"\EFI\vendor\absent.efi")),
        DevicePath.of(hd, FilePath(r"\EFI\vendor\arm.efi")),
        DevicePath.of(hd, FilePath(r"\EFI\vendor\a.efi")),
        DevicePath.of(hd, FilePath(r"\EFI\vendor\a.efi")),
    ]
    # Half a number at the end of BootOrder does not keep the others from being tried.
    found = [Variable("BootOrder", GLOBAL, pack_boot_order([0, 1, 2, 3, 4]) + b"\x07")]
    for number, path in enumerate(paths):
        attributes = LoadOptionAttribute(0) if number == 3 else ACTIVE
        found.append(
            Variable(f"Boot{number:04X}", GLOBAL, LoadOption(f"entry {number}", (path,), b"", attributes).pack())
        )
    with open_storage(disk) as opened:
        verdicts = examine(Disk.open(opened.storage), found, "amd64")
    chosen = next(verdict.name for verdict in verdicts if verdict.boots)
    assert chosen == "Boot0004"
    store = VariableStore.parse(judge_file(Path("/usr/share/OVMF/OVMF_VARS_4M.fd"), "ovmf").read_bytes())
    text = ovmf(
        tmp_path,
        disk,
        lambda text: "\n" in text.partition("BdsDxe: starting")[2] or len(text) > 1 << 16,
        variables=store.replace(found),
    )
    assert f'BdsDxe: starting {chosen} "entry 4" from HD(1,GPT,' in text
    for verdict in verdicts[:3]:
        assert f"failed to load {verdict.name}" in text
    assert "Boot0003" not in text  # it is not active
