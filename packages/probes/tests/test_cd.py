"""ISO images as disks of probes: xorriso writes them, GRUB starts from them, OVMF finds the same as a machine's CD."""

import json
from pathlib import Path
from typing import Any

import pytest

from cloudboot_base.testing import judge, judge_file
from cloudboot_base.testing import run as execute
from cloudboot_probes import linux
from cloudboot_probes.cli.dispatch import run
from cloudboot_uefi_host.testing import MODULES, fat_volume, grub_loader

SCRIPT = (
    "set pager=0\nsearch --set=root --file /hello.txt\ncat /hello.txt\n"
    "echo cloudboot: loader GRUB\necho cloudboot: configuration /grub.cfg\n"
)
FOR_UEFI = ("-e", "efi.img", "-no-emul-boot")
FOR_A_BIOS = ("-b", "bios.img", "-no-emul-boot", "-boot-load-size", "4")
APPENDED = ("-append_partition", "2", "0xef")
PASSED = ("header", "publish-block-io", "connect-controller", "sfs-child", "load-image", "start-image", "loader-banner")


def iso(folder: Path, *options: str, appended: tuple[str, ...] | None = None) -> Path:
    """An ISO image with GRUB in its boot image for UEFI, and a file for GRUB's own reader of ISO 9660."""
    tree, output = folder / "tree", folder / "cd.iso"
    tree.mkdir()
    loader = grub_loader("amd64", folder, SCRIPT, modules=[*MODULES, "iso9660", "search"])
    (tree / "efi.img").write_bytes(fat_volume({"/EFI/BOOT/BOOTX64.EFI": loader}, 2 << 20))
    (tree / "bios.img").write_bytes(bytes(range(256)) * 64)
    (tree / "hello.txt").write_text("hello from ISO 9660\n")
    more = () if appended is None else (*APPENDED, str(tree / "efi.img"), *appended)
    command = ("-as", "mkisofs", "-quiet", "-J", "-R", "-o", str(output), "-c", "boot.cat", *options, *more)
    execute(judge("xorriso", "xorriso"), *command, tree)
    return output


def gates_of(record: Path) -> dict[str, Any]:
    """The gates of a record by name."""
    return {gate["gate"]: gate for gate in json.loads(record.read_text())["gates"]}


@pytest.mark.parametrize(
    "firmware", ["hosted", *(pytest.param(name, marks=pytest.mark.live) for name in ("ovmf", "qemu"))]
)
def test_a_cd_boots(firmware: str, tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    image = iso(tmp_path, *FOR_A_BIOS, "-eltorito-alt-boot", *FOR_UEFI)
    run(["probe", "linux", str(image), "--firmware", firmware, "--record", str(record)])
    found = gates_of(record)
    assert {name: found[name]["verdict"] for name in PASSED} == dict.fromkeys(PASSED, "pass"), found
    evidence = found["header"]["evidence"]
    assert evidence["disk_guid"] == "ISO 9660"
    assert [line.partition(" LBA")[0] for line in evidence["partitions"]] == [
        "0 boot image for a BIOS",
        "1 boot image for UEFI",
    ]
    console = "\n".join(line["text"] for line in json.loads(record.read_text())["console"])
    assert "hello from ISO 9660" in console
    place = "device_path" if firmware != "qemu" else "partition"
    assert ("/CDROM(0x1," if firmware != "qemu" else "1 boot image for UEFI") in found["sfs-child"]["evidence"][place]


START = """set pager=0
search --set=root --file /boot/vmlinuz
echo "cloudboot: loader ($root)"
configfile ($root)/boot/grub/grub.cfg
"""
CONFIGURATION = """echo "cloudboot: configuration ($root)/boot/grub/grub.cfg"
linux ($root)/boot/vmlinuz console=ttyS0 panic=-1
initrd ($root)/boot/initrd.img
boot
"""


def linux_cd(folder: Path, parts: linux.LinuxParts, maker: str) -> Path:
    """A CD with GRUB, Debian's kernel and an initial RAM disk, made by one of three programs."""
    tree, output = folder / "tree", folder / "linux.iso"
    (tree / "boot/grub").mkdir(parents=True)
    (tree / "boot/vmlinuz").write_bytes(parts.kernel)
    (tree / "boot/initrd.img").write_bytes(parts.initrd)
    if maker == "grub-mkrescue":
        (tree / "boot/grub/grub.cfg").write_text('echo "cloudboot: loader ($root)"\n' + CONFIGURATION)
        judge("mformat", "mtools")
        modules = judge_file(Path("/usr/lib/grub/x86_64-efi"), "grub-efi-amd64-bin")
        execute(judge("grub-mkrescue", "grub-common"), "-d", modules, "-o", output, tree)
        return output
    (tree / "boot/grub/grub.cfg").write_text(CONFIGURATION)
    loader = grub_loader("amd64", folder, START, modules=[*MODULES, "iso9660", "search", "linux", "boot", "efi_gop"])
    (tree / "efi.img").write_bytes(fat_volume({"/EFI/BOOT/BOOTX64.EFI": loader}, 4 << 20))
    program = [judge("xorriso", "xorriso"), "-as", "mkisofs"] if maker == "xorriso" else [judge(maker, maker)]
    execute(*program, "-quiet", "-J", "-R", "-o", output, "-c", "boot.cat", *FOR_UEFI, tree)
    return output


@pytest.mark.live
@pytest.mark.parametrize("maker", ["xorriso", "genisoimage", "grub-mkrescue"])
def test_the_kernel_of_a_cd_runs(maker: str, linux_parts: linux.LinuxParts, tmp_path: Path) -> None:
    """The kernel of the volume is in the machine's memory, and the loader has read it and its RAM disk to the end."""
    image = linux_cd(tmp_path, linux_parts, maker)
    found: dict[str, Any] = {}
    for firmware in ("hosted", "ovmf", "qemu"):
        record = tmp_path / f"{firmware}.json"
        assert run(["probe", "linux", str(image), "--firmware", firmware, "--record", str(record)]) == 0, firmware
        found = gates_of(record)
        assert {name: found[name]["verdict"] for name in PASSED} == dict.fromkeys(PASSED, "pass")
        assert found["root-mounted"]["verdict"] == "not-applicable"
        assert found["kernel-banner"]["verdict"] == ("pass" if firmware == "qemu" else "not-applicable")
    evidence = found["kernel-banner"]["evidence"]
    assert linux_parts.release in evidence["banner"]
    assert evidence["read"]["/boot/vmlinuz"] == f"{len(linux_parts.kernel)} of {len(linux_parts.kernel)} bytes"
    assert "ISO 9660" in found["root-mounted"]["reason"]


def test_reads_of_a_cd_are_sectors_of_files_and_of_its_catalogue(tmp_path: Path) -> None:
    """The loader's file is read to the last byte, through blocks of 2048 bytes."""
    record = tmp_path / "record.json"
    image = iso(tmp_path, *FOR_UEFI)
    run(["probe", "linux", str(image), "--firmware", "hosted", "--record", str(record), "--keep", str(tmp_path / "k")])
    assert gates_of(record)["loader-banner"]["verdict"] == "pass"
    reads = (tmp_path / "k" / "hosted" / "reads.txt").read_text().splitlines()
    assert any("/EFI/BOOT/BOOTX64.EFI" in line for line in reads)
    assert any("boot catalogue" in line for line in reads)
    assert all(int(line.split()[1]) % 2048 == int(line.split()[2]) % 2048 == 0 for line in reads)


@pytest.mark.parametrize(("appended", "identity"), [((), "ISO 9660"), (("-appended_part_as_gpt",), "")])
def test_an_image_for_sticks_is_a_disk_if_it_has_a_gpt_and_a_cd_otherwise(
    appended: tuple[str, ...], identity: str, tmp_path: Path
) -> None:
    record = tmp_path / "record.json"
    image = iso(tmp_path, *FOR_UEFI, appended=appended)
    run(["probe", "linux", str(image), "--firmware", "hosted", "--record", str(record)])
    found = gates_of(record)
    assert {name: found[name]["verdict"] for name in PASSED} == dict.fromkeys(PASSED, "pass"), found
    assert (found["header"]["evidence"]["disk_guid"] == "ISO 9660") == bool(identity)
    assert ("/CDROM(" in found["sfs-child"]["evidence"]["device_path"]) == bool(identity)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (FOR_A_BIOS, "no boot image for UEFI: entry 0 is a boot image for a BIOS"),
        ((), "an ISO 9660 volume without a boot catalogue"),
    ],
)
def test_a_cd_that_starts_no_uefi_is_refused_with_the_reason(
    options: tuple[str, ...], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = tmp_path / "record.json"
    image = iso(tmp_path, *options)
    assert run(["probe", "linux", str(image), "--firmware", "hosted", "--record", str(record)]) == 1
    header = gates_of(record)["header"]
    assert header["verdict"] == "fail"
    assert reason in header["error"]["message"]
    capsys.readouterr()
    assert run(["image", "inspect", str(image)]) == 3
    assert reason in capsys.readouterr().err


def test_a_cd_is_described_and_its_removable_path_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, variables = iso(tmp_path, *FOR_UEFI), tmp_path / "variables.json"
    assert run(["image", "inspect", str(image)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"CD, {image.stat().st_size} bytes\n")
    assert "boot image for UEFI" in shown
    assert "/EFI/BOOT/BOOTX64.EFI" in shown
    variables.write_text('{"version": 2, "variables": []}')
    assert run(["image", "boot-entries", str(image), "--variables", str(variables)]) == 0
    assert "/EFI/BOOT/BOOTX64.EFI on partition 0" in capsys.readouterr().out
